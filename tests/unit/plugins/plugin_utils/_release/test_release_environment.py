"""Method venv: an environment made on the control node, shipped whole."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app.releases import ReleaseError
from ansible_collections.graceful.deploy.plugins.module_utils._host.run import ProgramError
from ansible_collections.graceful.deploy.plugins.module_utils._release import facts as release_facts
from ansible_collections.graceful.deploy.plugins.plugin_utils._release import methods as release_methods
from ansible_collections.graceful.deploy.plugins.plugin_utils._release.target import Target, target_of
from release_run import Run, releases

HERE = target_of(release_facts.probe(sys.executable)[0])


def test_it_runs_on_the_host_and_nothing_was_installed_there(run: Run, source: Path, cache: Path) -> None:
    result = run(method="venv")
    path = Path(result["path"])
    assert "installed by the control node" in result["msg"] and result["packages"]["fastapi"] == "0.121.0"
    assert not (run.root / "wheels").exists()
    shutil.move(cache / "graceful.deploy" / "environments", run.tmp_path / "away")
    command = [path / ".venv/bin/python", "-c", "import app.main, gunicorn; print(app.main.app, gunicorn.__cached__)"]
    ran = subprocess.run(command, cwd=path, capture_output=True, text=True, check=True)
    shutil.move(run.tmp_path / "away", cache / "graceful.deploy" / "environments")
    version, bytecode = ran.stdout.split()
    assert version == "0.121.0" and bytecode.startswith(str(path))
    # The bytecode is taken: without write access none would be made anew, at each start.
    module, header = Path(bytecode).parents[1] / "gunicorn.py", Path(bytecode).read_bytes()[:16]
    assert int.from_bytes(header[8:12], "little") == int(module.stat().st_mtime)
    assert os.readlink(path / ".venv/bin/python") == sys.executable
    home = os.path.dirname(os.path.realpath(sys.executable))
    assert f"home = {home}\n" in (path / ".venv/pyvenv.cfg").read_text()
    assert json.loads((path / "release.json").read_text())["method"] == "venv"


def test_it_is_made_once_and_then_taken_again(run: Run, source: Path) -> None:
    first = run(method="venv")
    (source / "app" / "main.py").write_text("app = 'next'\n")
    run.said.clear()
    second = run(method="venv")
    assert f"environment of {first['release']}" in second["msg"] and len(run.said) == 1
    run.said.clear()
    assert run(method="venv", root=str(run.root / "other"))["changed"]
    assert [line.split()[0] for line in run.said] == ["Sending"]


@pytest.mark.parametrize(
    "other",
    [
        {"version": "3.10.1", "abi": "cp310"},
        {"machine": "aarch64"},
        {"libc": "musl", "libc_version": (1, 2)},
    ],
)
def test_another_python_machine_or_libc_is_refused_with_both_named(other: dict) -> None:
    target = dataclasses.replace(HERE, **other)
    with pytest.raises(ReleaseError) as refused:
        release_methods.interpreter(target, [sys.executable])
    said = str(refused.value)
    assert f"the host has {target}" in said and f"Python {HERE.minor} on {HERE.machine} with {HERE.libc} (" in said
    assert release_methods.interpreter(HERE, ["/bin/false", sys.executable]) == sys.executable


def test_a_refusal_comes_before_anything_is_sent(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release_methods, "candidates", lambda minor: ["/bin/false"])
    with pytest.raises(ReleaseError, match="fastapi_release_method is venv, and the host has Python 3"):
        run(method="venv")
    assert run.installs == 0 and not run.root.exists()


def test_a_file_that_needs_a_newer_glibc_is_refused(tmp_path: Path) -> None:
    (tmp_path / "fast.cpython-311.so").write_bytes(b"\x7fELF\0GLIBC_2.4\0GLIBC_2.38\0GLIBC_2.17\0")
    (tmp_path / "notes.txt").write_bytes(b"GLIBC_2.99\0")
    entries = release_methods.every_file(str(tmp_path))
    host = Target("3.11.2", "cp311", "x86_64", "glibc", (2, 36))
    with pytest.raises(ReleaseError, match=r"fast\.cpython-311\.so needs glibc 2\.38, where the host has 2\.36"):
        release_methods.check_libc(str(tmp_path), entries, host)
    release_methods.check_libc(str(tmp_path), entries, dataclasses.replace(host, libc_version=(2, 38)))


def test_a_python_that_does_not_start_leaves_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    query = release_facts.query

    def other(*arguments: t.Any) -> dict:
        facts = query(*arguments)
        facts["interpreter"]["path"] = "/bin/false"
        return facts

    monkeypatch.setattr(release_facts, "query", other)
    with pytest.raises(ProgramError, match="Starting the environment's Python failed on the host"):
        run(method="venv")
    assert releases(run) == []
