"""Packages that lie beside the app in its repository: members of a workspace, and directories that a line names."""

from __future__ import annotations

import tarfile
from hashlib import sha256
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app.releases import ReleaseError
from ansible_collections.graceful.deploy.plugins.plugin_utils._release import lockfile
from ansible_collections.graceful.deploy.plugins.plugin_utils._release.trees import Tree, lines_of, tree_of
from release_run import Run
from release_wheelhouse import make_sdist


@pytest.mark.parametrize(
    ("line", "tree"),
    [
        ("./libs/lib", Tree("libs/lib")),
        ("libs/lib/", Tree("libs/lib")),
        ("-e libs/lib", Tree("libs/lib")),
        ("--editable=./libs/lib[fast]", Tree("libs/lib", "", "[fast]")),
        ("lib[fast] @ file:libs/lib ; os_name == 'posix'", Tree("libs/lib", "lib", "[fast]", " ; os_name == 'posix'")),
        ("lib @ ../outer", Tree("../outer", "lib")),
        ("-e lib", Tree("libs/lib")),  # counted from the file's own directory
        # The project itself, what an index has, and what isn't there.
        ("-e .", None),
        ("libs", None),
        ("fastapi[standard]>=0.100", None),
        ("./libs/other", None),
        ("lib @ https://example.com/libs/lib", None),
        ("-e git+https://example.com/libs/lib", None),
    ],
)
def test_a_line_that_names_a_directory(tmp_path: Path, line: str, tree: Tree | None) -> None:
    (tmp_path / "app/libs/lib").mkdir(parents=True)
    (tmp_path / "outer").mkdir()
    assert tree_of(line, str(tmp_path / "app"), "", "libs") == tree


@pytest.fixture
def lib(tmp_path: Path) -> Path:
    """The source of a package `ours` that needs starlette, beside the app's."""
    with tarfile.open(make_sdist(tmp_path / "made", "ours", "1.5", requires=("starlette",))) as archive:
        archive.extractall(tmp_path / "packages", filter="data")
    return (tmp_path / "packages/ours-1.5").rename(tmp_path / "packages/ours")


def test_an_equal_tree_is_an_equal_line(tmp_path: Path, lib: Path) -> None:
    """Whatever was made in it: else each deploy would bring another release."""
    cache = str(tmp_path / "cache")

    def line() -> str:
        (one,) = lines_of([Tree("../packages/ours", "ours")], str(tmp_path / "hello"), str(tmp_path), cache)
        return one

    before = line()
    (lib / "__pycache__").mkdir()
    (lib / "__pycache__/x.pyc").touch()
    (lib / "ours.egg-info").mkdir()
    (lib / "ours.egg-info/PKG-INFO").touch()
    assert line() == before
    (lib / "more.py").touch()
    assert line() != before


def test_what_cant_be_packed_is_refused_with_what_to_write(tmp_path: Path, lib: Path) -> None:
    app = tmp_path / "hello"
    app.mkdir(exist_ok=True)
    write = rf"Write fastapi_source: {tmp_path} and fastapi_source_directory: hello\."
    with pytest.raises(ReleaseError, match=rf"\.\./packages/ours, which is outside of fastapi_source.*{write}"):
        lines_of([Tree("../packages/ours")], str(app), str(app), str(tmp_path / "cache"))
    (app / "bare").mkdir()
    with pytest.raises(ReleaseError, match=r"no pyproject\.toml there says.*Write NAME @ file:bare\."):
        lines_of([Tree("bare")], str(app), str(app), str(tmp_path / "cache"))
    with pytest.raises(ReleaseError, match="there is no such directory"):
        lines_of([Tree("gone", "gone")], str(app), str(app), str(tmp_path / "cache"))


@pytest.mark.project("served", "a package beside the app, as `./libs/lib` or a lock names it", "it is built")
def test_a_directory_that_requirements_name_is_built(run: Run, source: Path, tmp_path: Path, lib: Path) -> None:
    lib.rename(source / "ours")
    (source / "requirements.txt").write_text("fastapi\nours @ file:ours\n")
    first = run()
    assert first["packages"]["ours"] == "1.5"
    assert sum(line.startswith("Building the wheel of ours from its directory") for line in run.said) == 1
    assert not run()["changed"]
    text = next(Path(first["path"]).glob(".venv/lib/*/site-packages/ours-1.5.dist-info/METADATA")).read_text()
    assert "Requires-Dist: starlette" in text
    with pytest.raises(ReleaseError, match=r"is built from a directory.*fastapi_release_method: wheels"):
        run(method="index")


WORKSPACE = """
version = 1
requires-python = ">=3.11"
[manifest]
members = ["hello", "ours"]
[[package]]
name = "hello"
version = "1"
source = { virtual = "hello" }
dependencies = [{ name = "fastapi" }, { name = "ours" }]
[package.metadata]
requires-dist = [{ name = "fastapi" }, { name = "ours", editable = "packages/ours" }]
[[package]]
name = "fastapi"
version = "VERSION"
source = { registry = "https://pypi.org/simple" }
wheels = [{ url = "https://x/fastapi-VERSION-py3-none-any.whl", hash = "sha256:DIGEST" }]
[[package]]
name = "ours"
version = "1.5"
source = { editable = "packages/ours" }
"""


@pytest.mark.project("variable", "a project that needs another member of its workspace", "the same; the other is built")
def test_a_member_of_a_workspace_that_needs_another(
    run: Run, source: Path, tmp_path: Path, lib: Path, wheelhouse: Path
) -> None:
    """Its lock is at the top, and the other member's code outside of what is shipped: it comes as a wheel."""
    wheel = next(wheelhouse.glob("fastapi-*.whl"))
    version, digest = wheel.name.split("-")[1], sha256(wheel.read_bytes()).hexdigest()
    (tmp_path / "uv.lock").write_text(WORKSPACE.replace("VERSION", version).replace("DIGEST", digest))
    (tmp_path / "pyproject.toml").write_text('[tool.uv.workspace]\nmembers = ["hello", "packages/ours"]\n')
    (source / "requirements.txt").unlink()
    (source / "pyproject.toml").write_text(
        '[project]\nname = "hello"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["fastapi", "ours"]\n'
        "[tool.uv.sources]\nours = { workspace = true }\n"
    )
    packages = run(source=str(tmp_path), source_directory="hello")["packages"]
    assert (packages["ours"], packages["fastapi"]) == ("1.5", version)


@pytest.mark.parametrize(
    ("name", "text", "path"),
    [
        ("pdm.lock", 'path = "./libs/lib"', "libs/lib"),
        ("poetry.lock", '[package.source]\ntype = "directory"\nurl = "../lib"', "../lib"),
        ("pylock.toml", 'directory = { path = "libs/lib" }', "libs/lib"),
        ("pyproject.toml", "", "../lib"),
    ],
)
def test_a_directory_that_a_lock_names(tmp_path: Path, name: str, text: str, path: str) -> None:
    project = '[project]\nname = "hello"\nversion = "1"\ndependencies = ["lib[fast]"]\n'
    if name == "pyproject.toml":
        project += '[tool.uv.sources]\nlib = { path = "../lib" }\n'
    (tmp_path / "pyproject.toml").write_text(project)
    if name == "pylock.toml":
        (tmp_path / name).write_text(f'lock-version = "1.0"\n[[packages]]\nname = "lib"\n{text}\n')
    elif text:
        (tmp_path / name).write_text(f'[[package]]\nname = "lib"\nversion = "1"\n{text}\n')
    found = lockfile.read(str(tmp_path), name, None)
    extras = "" if name == "pylock.toml" else "[fast]"
    assert (found.trees, found.lines) == ([Tree(path, "lib", extras)], [])
