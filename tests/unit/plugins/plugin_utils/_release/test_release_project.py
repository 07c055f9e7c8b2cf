"""An app that is a package of its own: it finds its version, its entry points and its commands in each release."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import typing as t
import venv
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app.command import Place, shell
from ansible_collections.graceful.deploy.plugins.module_utils._app.releases import ReleaseError
from ansible_collections.graceful.deploy.plugins.module_utils._release import venv as release_venv
from ansible_collections.graceful.deploy.plugins.plugin_utils._release import project
from ansible_collections.graceful.deploy.plugins.plugin_utils._release.requirements import Requirements
from release_run import Run

SHOP = """
[project]
name = "Shop.Kit"
version = "{version}"
description = "Sells\\nthings"
authors = [{{name = "A B", email = "a@b.c"}}, {{name = "D"}}]
requires-python = ">=3.11"
dependencies = ["fastapi"]

[project.optional-dependencies]
prod = ["gunicorn; os_name == 'posix'"]

[project.scripts]
shop-admin = "shopkit.cli:Admin.main"

[project.entry-points."shop.plugins"]
paper = "shopkit.paper"

[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
"""
CLI = """
import sys
class Admin:
    @staticmethod
    def main():
        print(sys.prefix, *sys.argv[1:])
        return 3
"""
ASKS = """
import importlib.metadata as m
import shopkit
print(m.version("shop-kit"), m.metadata("shop-kit")["Summary"], shopkit.__file__)
print([e.load().NAME for e in m.entry_points(group="shop.plugins")], len(list(m.distributions(name="shop_kit"))))
"""


@pytest.fixture
def shop(source: Path) -> Path:
    """A package below src, as its own tool lays it out, with a command that prints where it runs."""
    package = source / "src" / "shopkit"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "paper.py").write_text("NAME = 'paper'\n")
    (package / "cli.py").write_text(CLI)
    (source / "pyproject.toml").write_text(SHOP.format(version="1.4.0-rc1"))
    return source


def asks(path: Path) -> str:
    """What the release says from elsewhere, so that its working directory isn't what finds the code."""
    command = [path / ".venv/bin/python", "-I", "-c", ASKS]
    return subprocess.run(command, cwd="/", capture_output=True, text=True, check=True).stdout


def command(path: Path, name: str = "shop-admin") -> subprocess.CompletedProcess[str]:
    environment = {"PATH": f"{path}/.venv/bin:{os.environ['PATH']}"}
    return subprocess.run([name, "a b"], cwd="/", env=environment, capture_output=True, text=True, check=False)


@pytest.mark.project(
    "served", "a project that is a package", "installed in place: its version, entry points and commands are there"
)
@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_a_package_is_there_for_itself_and_for_its_commands(
    run: Run, shop: Path, installer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if installer == "pip":
        monkeypatch.setattr(release_venv, "uv_program", lambda build: "")
    first = Path(run()["path"])
    assert asks(first) == f"1.4.0rc1 Sells things {first}/src/shopkit/__init__.py\n['paper'] 1\n"
    ran = command(first)
    assert (ran.stdout, ran.returncode) == (f"{first}/.venv a b\n", 3)
    # Another version is another release, and the environment the same: nothing is installed again.
    (shop / "pyproject.toml").write_text(SHOP.format(version="1.5").replace("shop-admin", "shop-boss"))
    (shop / "src/shopkit/paper.py").write_text("NAME = 'pen'\n")
    second = run()
    assert second["sent_bytes"] < 100_000 and f"environment of {first.name}" in second["msg"]
    path = Path(second["path"])
    shutil.rmtree(first)
    assert asks(path) == f"1.5 Sells things {path}/src/shopkit/__init__.py\n['pen'] 1\n"
    assert command(path, "shop-boss").stdout == f"{path}/.venv a b\n"
    assert not (path / ".venv/bin/shop-admin").exists(), "a command that went stays with its release"
    for item in (path / ".venv").rglob("*"):
        if not item.is_symlink():
            assert item.stat().st_mode & 0o777 in ((0o750,) if item.is_dir() else (0o640, 0o750)), item
    assert (path / ".venv/bin/shop-boss").stat().st_mode & 0o777 == 0o750
    # What isn't a package any more has nothing of the one that its environment comes from.
    (shop / "pyproject.toml").unlink()
    third = run()
    assert "environment of" in third["msg"]
    assert not list(Path(third["path"]).glob(".venv/lib/*/site-packages/shop_kit*"))


def test_a_package_runs_from_an_environment_that_was_sent_whole(run: Run, shop: Path) -> None:
    path = Path(run(method="venv")["path"])
    assert asks(path).startswith("1.4.0rc1 ") and command(path).returncode == 3


@pytest.mark.project(
    "served", "a directory `alembic/` with an `__init__.py`", "`alembic` finds itself, and the app's code"
)
def test_a_directory_of_the_source_is_not_what_a_packages_program_imports(tmp_path: Path) -> None:
    """`alembic/__init__.py` beside alembic.ini: "No module named 'alembic.config'"."""
    top = tmp_path / "release"
    venv.create(top / ".venv")
    (site,) = top.glob(".venv/lib/python*/site-packages")
    files = {
        f".venv/{path}": text for path, text in project.added(None, site.parent.name.removeprefix("python")).items()
    }
    files |= {
        f"{site.relative_to(top)}/alembic/__init__.py": "",
        f"{site.relative_to(top)}/alembic/config.py": "import models, more; print('its own', models.__file__)",
        "alembic/__init__.py": "",
        "models.py": "",
        "backend/more.py": "",
        "backend/alembic/__init__.py": "",
        ".venv/bin/alembic": f"#!{top}/.venv/bin/python\nimport alembic.config\n",
    }
    for name, text in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text)
    (top / ".venv/bin/alembic").chmod(0o755)
    place = Place("shop", "deploy", "deploy", "", chosen=str(top))

    def ran(line: str) -> subprocess.CompletedProcess[str]:
        words, environment = shell(place, line), {"PATH": os.environ["PATH"], "PYTHONPATH": "backend"}
        return subprocess.run(words, cwd=top, env=environment, capture_output=True, text=True, check=False)

    assert ran("alembic").stdout == f"its own {top}/models.py\n", ran("alembic").stderr
    # As Python does it.
    assert "No module named alembic.config" in ran("python -m alembic.config").stderr
    assert ran("python -c 'import alembic; print(alembic.__file__)'").stdout == f"{top}/alembic/__init__.py\n"


def test_code_alone_changes_nothing_of_a_package(run: Run, shop: Path) -> None:
    """No slower deploy, and the origin still counts as unchanged when it is cloned."""
    for number in range(3):
        (shop / "src/shopkit/paper.py").write_text(f"NAME = {number}\n")
        result = run()
        assert ("environment of" in result["msg"]) == (number > 0)
    assert asks(Path(result["path"])).splitlines()[1] == "[2] 1"
    assert not [line for line in run.said if "by hand" in line]


def test_a_command_never_takes_a_packages_place(run: Run, shop: Path) -> None:
    (shop / "pyproject.toml").write_text(SHOP.format(version="1").replace("shop-admin", "python"))
    with pytest.raises(ReleaseError, match=r"has the command python, and a package .* \[project\.scripts\]"):
        run()


def find(top: Path, text: str, requirements: str = "requirements.txt", **files: str) -> project.Project | None:
    (top / "pyproject.toml").write_text(text)
    for name, content in files.items():
        place = top / name.replace("__", "/").replace("_py", ".py").replace("_so", ".so")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content)
    paths = [str(path.relative_to(top)) for path in top.rglob("*") if path.is_file()]
    return project.find(str(top), requirements, Requirements(lines=["Listed==1"]), paths)


NAMED = '[project]\nname = "shopkit"\nversion = "1"\n'
SYSTEM = '[build-system]\nrequires = []\nbuild-backend = "{}"\n'


@pytest.mark.parametrize(
    ("text", "requirements", "package"),
    [
        (NAMED + SYSTEM.format("uv_build"), "uv.lock", True),
        (NAMED + SYSTEM.format("setuptools.build_meta"), "requirements.txt", True),
        (NAMED, "uv.lock", False),
        (NAMED, "requirements.txt", False),
        (NAMED, "pyproject.toml", False),
        (NAMED + "[project.scripts]\nshop = 'a:b'\n", "pyproject.toml", True),
        (NAMED + "[project.scripts]\nshop = 'a:b'\n", "uv.lock", False),
        (NAMED, "pdm.lock", True),
        (NAMED, "poetry.lock", True),
        (NAMED + "[tool.uv]\npackage = true\n", "uv.lock", True),
        (NAMED + SYSTEM.format("uv_build") + "[tool.uv]\npackage = false\n", "uv.lock", False),
        (NAMED + SYSTEM.format("pdm.backend") + "[tool.pdm]\ndistribution = false\n", "pdm.lock", False),
        ('[tool.poetry]\nname = "shopkit"\nversion = "1"\n', "poetry.lock", True),
        ('[tool.poetry]\nname = "shopkit"\nversion = "1"\npackage-mode = false\n', "poetry.lock", False),
        # Only settings of tools, as in most applications.
        ("[tool.ruff]\nline-length = 100\n", "requirements.txt", False),
        # Its own wheel is among what the requirements name.
        (NAMED.replace("shopkit", "listed") + SYSTEM.format("maturin"), "requirements.txt", False),
    ],
)
def test_what_the_projects_own_tool_would_install(tmp_path: Path, text: str, requirements: str, package: bool) -> None:
    found = find(tmp_path, text, requirements)
    assert bool(found) == package and (found is None or found.version == "1")


DYNAMIC = '[project]\nname = "shopkit"\ndynamic = ["version"]\n'


@pytest.mark.parametrize(
    ("text", "files", "version"),
    [
        ('[tool.hatch.version]\npath = "src/shopkit/__about__.py"', {"src__shopkit____about___py": "x"}, "0+unknown"),
        ('[tool.hatch.version]\npath = "about.py"', {"about_py": '__version__: str = "v2.0"\n'}, "2.0"),
        ('[tool.pdm.version]\nsource = "file"\npath = "about.py"', {"about_py": "__version__ = '2.1'\n"}, "2.1"),
        (
            '[tool.setuptools.dynamic]\nversion = {attr = "shopkit.about.RELEASE"}',
            {"src__shopkit__about_py": "OTHER = '1'\nRELEASE = '2.2'\n"},
            "2.2",
        ),
        ('[tool.setuptools.dynamic]\nversion = {file = "VERSION"}', {"VERSION": "2.3\n"}, "2.3"),
        ('[tool.setuptools.dynamic]\nversion = {file = ["../VERSION"]}', {}, "0+unknown"),
        ('[tool.hatch.version]\nsource = "vcs"', {}, "0+unknown"),
        ('[tool.hatch.version]\nsource = "vcs"\nfallback-version = "0.1"', {}, "0.1"),
        ('[tool.setuptools_scm]\nfallback_version = "0.2"', {}, "0.2"),
    ],
)
def test_a_version_is_read_where_it_is_said_to_be(
    tmp_path: Path, text: str, files: dict[str, str], version: str
) -> None:
    (tmp_path / "VERSION").write_text("9\n")
    top = tmp_path / "top"
    top.mkdir()
    found = find(top, DYNAMIC + SYSTEM.format("any") + text, **files)
    assert found and found.version == version


def test_flit_has_its_version_in_the_module(tmp_path: Path) -> None:
    found = find(tmp_path, DYNAMIC + SYSTEM.format("flit_core.buildapi"), shopkit_py="__version__ = '3.1'\n")
    assert found and (found.version, found.roots) == ("3.1", [""])


@pytest.mark.project(
    "served", "code in `src/` or where setuptools, Hatch, Poetry, PDM or Flit are told", "found without `PYTHONPATH`"
)
@pytest.mark.parametrize(
    ("text", "files", "roots"),
    [
        ("", ["shopkit/a.py"], [""]),
        ("", ["src/shopkit/a.py"], ["src"]),
        ("", ["src/__init__.py", "src/main.py"], [""]),
        ('[tool.setuptools]\npackage-dir = {"" = "lib"}', ["lib/shopkit/a.py", "src/b.py"], ["lib"]),
        ('[tool.setuptools.packages.find]\nwhere = ["lib", "more"]', ["lib/a/b.py", "more/c/d.py"], ["lib", "more"]),
        ('[[tool.poetry.packages]]\ninclude = "shopkit"\nfrom = "python"', ["python/shopkit/a.py"], ["python"]),
        ('[tool.hatch.build.targets.wheel]\npackages = ["code/shopkit"]', ["code/shopkit/a.py"], ["code"]),
        ('[tool.uv.build-backend]\nmodule-root = "py"', ["py/shopkit/a.py"], ["py"]),
        ('[tool.pdm.build]\npackage-dir = "./py"', ["py/shopkit/a.py"], ["py"]),
        ('[tool.pdm.build]\npackage-dir = "../py"', ["py/shopkit/a.py"], [""]),
    ],
)
def test_the_code_is_where_its_backend_is_told(tmp_path: Path, text: str, files: list[str], roots: list[str]) -> None:
    (tmp_path / "pyproject.toml").write_text(NAMED + SYSTEM.format("any") + text)
    found = project.find(str(tmp_path), "requirements.txt", Requirements(), files)
    assert found and found.roots == roots


@pytest.mark.project("refused", "a project that compiles code of its own", "a wheel of it by `--find-links`")
@pytest.mark.parametrize(
    ("text", "files"),
    [
        (SYSTEM.format("maturin"), {}),
        (SYSTEM.format("scikit_build_core.build"), {}),
        (SYSTEM.format("setuptools.build_meta"), {"setup_py": "setup(ext_modules=[Extension('a', ['a.c'])])"}),
        (SYSTEM.format("setuptools.build_meta") + '[tool.setuptools]\next-modules = [{name = "a"}]', {}),
    ],
)
def test_a_package_that_compiles_is_refused_with_a_way_out(tmp_path: Path, text: str, files: dict[str, str]) -> None:
    with pytest.raises(
        ReleaseError, match=r"^fastapi_source is a package that compiles .*pip wheel .* shopkit and --find"
    ):
        find(tmp_path, NAMED + text, **files)
    # One that was compiled in place is shipped as it lies there.
    assert find(tmp_path, NAMED + text, **files, shopkit__fast_so="")


@pytest.mark.parametrize(
    "text",
    [
        NAMED.replace("shopkit", "../up") + SYSTEM.format("x"),
        NAMED.replace('"1"', '"1/2"') + SYSTEM.format("x"),
        NAMED + SYSTEM.format("x") + "[project.scripts]\n'../up' = 'a:b'",
        NAMED + SYSTEM.format("x") + "[project.scripts]\nup = 'no reference'",
        NAMED + SYSTEM.format("x") + "[tool]\nhatch = 'x'",
    ],
)
def test_what_nothing_can_be_made_of_is_refused_in_a_sentence(tmp_path: Path, text: str) -> None:
    with pytest.raises(ReleaseError, match=r"^pyproject\.toml in fastapi_source"):
        find(tmp_path, text)


def test_commands_and_plugins_as_poetry_writes_them(tmp_path: Path) -> None:
    text = """
    [tool.poetry]
    name = "shopkit"
    version = "1.2"
    authors = ["A B <a@b.c>"]
    [tool.poetry.scripts]
    shop = "shopkit.cli:main"
    more = {reference = "shopkit.cli:more", type = "console"}
    file = {reference = "bin/file.sh", type = "file"}
    [tool.poetry.plugins."shop.plugins"]
    paper = "shopkit.paper"
    """
    found = find(tmp_path, text, "poetry.lock")
    assert found and found.entry_points == {
        "console_scripts": {"shop": "shopkit.cli:main", "more": "shopkit.cli:more"},
        "shop.plugins": {"paper": "shopkit.paper"},
    }
    assert {path for path in found.files("3.13") if path.startswith("bin/")} == {"bin/shop", "bin/more"}


def test_the_metadata_is_what_python_reads(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(SHOP.format(version="1"))
    found = t.cast(project.Project, project.find(str(tmp_path), "uv.lock", Requirements(), ["shopkit/a.py"]))
    for path, text in found.files("3.13").items():
        place = tmp_path / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    (read,) = importlib.metadata.distributions(name="shop-kit", path=[str(tmp_path / "lib/python3.13/site-packages")])
    assert read.requires == ["fastapi", "gunicorn ; (os_name == 'posix') and extra == 'prod'"]
    assert (read.metadata["Author-email"], read.metadata["Author"]) == ("A B <a@b.c>", "D")
    assert read.metadata.get_all("Provides-Extra") == ["prod"] and read.metadata["Requires-Python"] == ">=3.11"
    assert all(Path(str(file.locate())).exists() for file in read.files or []) and len(read.files or []) == 6
    assert json.loads(json.dumps(found.identity))


def test_a_line_for_the_project_itself_installs_it_with_the_extra(run: Run, shop: Path) -> None:
    """Also where nothing says what would build it, as pip does."""
    text = SHOP.format(version="1.6").partition("[build-system]")[0].replace("gunicorn;", "packaging;")
    (shop / "pyproject.toml").write_text(text.replace('"fastapi"', '"starlette"'))
    (shop / "requirements.txt").write_text("-e .\n")
    result = run(extras=["prod"], app="shopkit.main:app")
    assert set(result["packages"]) == {"starlette", "packaging", "gunicorn", "uvicorn"}
    assert asks(Path(result["path"])).startswith("1.6 ")
