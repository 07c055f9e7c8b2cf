"""The built collection: what is in it, and that it works by name from where it is installed."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
TOP = {
    *("CHANGELOG.rst", "CODE_OF_CONDUCT.md", "CONTRIBUTING.md", "FILES.json", "LICENSE", "MANIFEST.json", "README.md"),
    *("SECURITY.md", "ansible.cfg", "changelogs", "docs", "examples", "meta", "playbooks", "plugins", "roles"),
}


def run(*command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [str(BIN / command[0]), *command[1:]],
        cwd=cwd,
        env={**os.environ, "LC_ALL": "C.UTF-8", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    """A copy of what git knows or would add, with the leftovers of a working checkout beside it."""
    copy = tmp_path_factory.mktemp("checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.split(b"\0")
    for name in filter(None, listed):
        source, target = ROOT / os.fsdecode(name), copy / os.fsdecode(name)
        if source.is_symlink() or not source.exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    for leftover in (
        ".venv/bin/python",
        "tests/output/x",
        "examples/hello/.venv/x",
        "inventory/hosts.yml",
        "plugins/__pycache__/x.pyc",
        ".env",
    ):
        (copy / leftover).parent.mkdir(parents=True, exist_ok=True)
        (copy / leftover).write_text("leftover")
    return copy


@pytest.fixture(scope="module")
def artefact(tree, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("out")
    built = run("ansible-galaxy", "collection", "build", "--output-path", str(out), cwd=tree)
    assert built.returncode == 0, built.stderr
    return next(out.glob("graceful-deploy-*.tar.gz"))


def test_it_holds_what_it_should_and_nothing_else(artefact):
    with tarfile.open(artefact) as archive:
        names = archive.getnames()
    assert {name.split("/")[0] for name in names} <= TOP
    assert {"README.md", "LICENSE", "playbooks", "plugins", "roles", "meta"} <= {name.split("/")[0] for name in names}
    wrong = [
        n for n in names if any(p in (".venv", "__pycache__", ".env") or p.startswith(".ruff") for p in n.split("/"))
    ]
    assert wrong == []
    assert "examples/hello/app/main.py" in names
    assert "roles/gunicorn/files/graceful_worker.py" in names


def test_site_runs_by_name_where_it_is_installed(artefact, tmp_path):
    empty = tmp_path / "ansible.cfg"
    empty.write_text("")
    # Nothing of this checkout's settings: they would find the collection here, and install nothing.
    where = {"ANSIBLE_COLLECTIONS_PATH": str(tmp_path / "c"), "ANSIBLE_CONFIG": str(empty), "HOME": str(tmp_path)}
    install = ("ansible-galaxy", "collection", "install", str(artefact), "-p", str(tmp_path / "c"))
    installed = run(*install, cwd=tmp_path, **where)
    assert installed.returncode == 0, installed.stderr
    played = run(
        *("ansible-playbook", "-i", "localhost,", "-c", "local", "graceful.deploy.site", "--check"),
        *("-e", "fastapi_name=Not/Good", "-e", f"fastapi_source={ROOT / 'examples' / 'hello'}"),
        cwd=tmp_path,
        **where,
    )
    assert "fastapi_name" in played.stdout + played.stderr
    assert "Not/Good" in played.stdout + played.stderr
    assert played.returncode == 2
    for kind, name in (("module", "worker_plan"), ("role", "fastapi")):
        shown = run("ansible-doc", "-t", kind, f"graceful.deploy.{name}", cwd=tmp_path, **where)
        assert shown.returncode == 0, shown.stderr
        assert name in shown.stdout.lower()
