"""A project of Poetry's that has no lock: what its own table says, in the words of packaging."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app.releases import ReleaseError
from ansible_collections.graceful.deploy.plugins.plugin_utils._release import lockfile, poetry, pyproject


@pytest.mark.parametrize(
    ("constraint", "said"),
    [
        ("^1.2.3", ">=1.2.3,<2"),
        ("^1.2", ">=1.2,<2"),
        ("^1", ">=1,<2"),
        ("^0.105.0", ">=0.105.0,<0.106"),
        ("^0.24.0.post1", ">=0.24.0.post1,<0.25"),
        ("^0.0.6", ">=0.0.6,<0.0.7"),
        ("^0.0", ">=0.0,<0.1"),
        ("^0", ">=0,<1"),
        ("~1.2.3", ">=1.2.3,<1.3"),
        ("~1.2", ">=1.2,<1.3"),
        ("~1", ">=1,<2"),
        ("~=1.2", "~=1.2"),
        ("1.2.3", "==1.2.3"),
        ("=1.2.3", "==1.2.3"),
        ("1.2.*", "==1.2.*"),
        ("*", ""),
        (">=1.2, <2.0,!=1.5", ">=1.2,<2.0,!=1.5"),
        (">= 1.2 <2.0", ">=1.2,<2.0"),
        ("^1.2,!=1.3", ">=1.2,<2,!=1.3"),
    ],
)
def test_a_constraint_of_poetrys_is_a_specifier(constraint: str, said: str) -> None:
    """By https://python-poetry.org/docs/dependency-specification/."""
    assert poetry.ranges(constraint) == said


@pytest.mark.parametrize("constraint", ["^1.0 || ^2.0", "^1.0|^2.0", "latest", "^one"])
def test_what_isnt_one_range_is_never_guessed(constraint: str) -> None:
    with pytest.raises(ValueError, match=r"\|\||\||latest|one"):
        poetry.ranges(constraint)


PROJECT = """
[tool.poetry]
name = "shop"
version = "0.1.0"
[tool.poetry.dependencies]
python = "^3.10"
fastapi = "^0.105.0"
uvicorn = {extras = ["standard"], version = "~0.24"}
colorama = {version = "*", platform = "win32"}
tomli = {version = "^2", python = "<3.11"}
redis = {version = "^5", optional = true}
rich = [{version = "13.0", markers = "os_name == 'nt'"}, {version = "14.0", markers = "os_name != 'nt'"}]
[tool.poetry.extras]
cache = ["redis"]
[tool.poetry.group.dev.dependencies]
pytest = "^7"
"""
LINES = [
    "fastapi>=0.105.0,<0.106",
    "uvicorn[standard]>=0.24,<0.25",
    "colorama ; sys_platform == 'win32'",
    "tomli>=2,<3 ; python_full_version < '3.11'",
    "rich==13.0 ; (os_name == 'nt')",
    "rich==14.0 ; (os_name != 'nt')",
]


@pytest.mark.project(
    "served", "`[tool.poetry.dependencies]` without a lock", "the newest versions that it allows, once"
)
def test_a_project_of_poetrys_without_a_lock_is_read_as_ranges(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    assert lockfile.find_requirements(str(tmp_path), "") == "pyproject.toml"
    assert lockfile.read(str(tmp_path), "pyproject.toml", None).lines == LINES
    with_extra = lockfile.read(str(tmp_path), "pyproject.toml", None, ["cache"]).lines
    assert sorted(with_extra) == sorted([*LINES, "redis>=5,<6"])
    # Poetry installs the project too.
    assert pyproject.is_package(lockfile.load_project(str(tmp_path)), "pyproject.toml")


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ('"^1 || ^2"', r"fastapi: \^1 \|\| \^2 can't be said by one range\. Run poetry lock"),
        ('{git = "https://x.example/f.git", branch = "main"}', r"fastapi: It is a branch\. Run poetry lock"),
        ('{path = "../f"}', r"fastapi: path is for Poetry to read\. Run poetry lock"),
        ('{version = "1", source = "ours"}', r"fastapi: source is for Poetry to read\. Run poetry lock"),
        ('{version = "1", allow-prereleases = true}', "allow-prereleases is for Poetry to read"),
    ],
)
def test_what_only_poetry_can_read_is_refused_with_its_command(tmp_path: Path, entry: str, said: str) -> None:
    (tmp_path / "pyproject.toml").write_text(f"[tool.poetry.dependencies]\nfastapi = {entry}\n")
    with pytest.raises(ReleaseError, match=said):
        lockfile.read(str(tmp_path), "pyproject.toml", None)


def test_a_list_in_project_counts_beside_poetrys_own_table(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(f'[project]\nname = "shop"\ndependencies = ["starlette"]\n{PROJECT}')
    assert lockfile.read(str(tmp_path), "pyproject.toml", None).lines == ["starlette"]
    assert not lockfile.is_poetrys(lockfile.load_project(str(tmp_path)))
