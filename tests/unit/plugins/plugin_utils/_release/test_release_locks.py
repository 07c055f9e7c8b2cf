"""Locks of other tools are used, or refused with the command that helps; none is passed over in silence."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app.releases import ReleaseError
from ansible_collections.graceful.deploy.plugins.plugin_utils._release import lockfile
from ansible_collections.graceful.deploy.plugins.plugin_utils._release.listed import fitting_debian

A, B = "a" * 64, "b" * 64
PROJECT = """
[project]
dependencies = ["fastapi (>=0.110,<1)", "uvicorn[standard]==0.30.6", "colorama ; sys_platform == 'win32'"]
"""
OLD_POETRY = """
[tool.poetry.dependencies]
python = "^3.11"
fastapi = "^0.110"
uvicorn = {version = "^0.30", extras = ["standard"]}
colorama = [{version = "*", markers = "sys_platform == 'win32'"}]
rich = {version = "*", optional = true}
"""


def lock(*more: str) -> str:
    """As Poetry and PDM write it; both have much besides."""
    packages = [("fastapi", "0.110.3", A), ("uvicorn", "0.30.6", B), ("colorama", "0.4.6", B), ("pytest", "9.2", B)]
    return "\n".join(
        [
            *(
                f'[[package]]\nname = "{name}"\nversion = "{version}"\n'
                f'files = [{{file = "{name}.whl", hash = "sha256:{digest}"}}, {{file = "x", hash = "md5:1"}}]'
                for name, version, digest in packages
            ),
            *more,
        ]
    )


def read(path: Path, name: str, text: str, project: str = PROJECT) -> lockfile.Requirements:
    (path / name).write_text(text)
    (path / "pyproject.toml").write_text(project)
    assert lockfile.find_requirements(str(path), "") == name
    return lockfile.read(str(path), name, None)


@pytest.mark.project(
    "served",
    "`poetry.lock` of Poetry 1 and 2, `pdm.lock`",
    "the project's dependencies in the lock's versions, without those tools",
)
@pytest.mark.parametrize("name", ["poetry.lock", "pdm.lock"])
@pytest.mark.parametrize("project", [PROJECT, OLD_POETRY])
def test_the_project_says_what_and_its_lock_which(tmp_path: Path, name: str, project: str) -> None:
    """A pdm.lock beside [project] was passed over, and the newest versions were served."""
    found = read(tmp_path, name, lock(), project)
    assert [line.split(" ")[0] for line in found.lines][:1] == ["fastapi"] and len(found.lines) == 3
    assert any(line.startswith("uvicorn[standard]") for line in found.lines) and "win32" in found.lines[2]
    # What nobody asks for, as pytest here, limits nothing.
    assert found.constraints == ["fastapi==0.110.3", "uvicorn==0.30.6", "colorama==0.4.6", "pytest==9.2"]
    assert found.hashes[("fastapi", "0.110.3")] == {A}


def test_an_old_lock_of_poetrys_lists_the_files_at_its_end(tmp_path: Path) -> None:
    """Each wheel was refused, because none had a hash that was listed."""
    old = '[[package]]\nname = "fastapi"\nversion = "0.110.3"\n[metadata]\nlock-version = "1.1"\n[metadata.files]\n'
    old += f'fastapi = [{{file = "fastapi-0.110.3-cp311-cp311-manylinux1_x86_64.whl", hash = "sha256:{A}"}}]\n'
    found = read(tmp_path, "poetry.lock", old, OLD_POETRY.replace("uvicorn", "#").replace("colorama", "#"))
    assert found.hashes[("fastapi", "0.110.3")] == {A}
    said = fitting_debian("poetry.lock", tomllib.loads(old), {"project": {"dependencies": ["fastapi"]}}, "")
    assert "Debian 12" in said


def test_one_of_two_versions_counts_where_its_marker_says(tmp_path: Path) -> None:
    two = [
        f'[[package]]\nname = "numpy"\nversion = "{version}"\nmarkers = "python_version {sign} \'3.12\'"'
        for version, sign in (("1.26", "<"), ("2.4", ">="))
    ]
    found = read(tmp_path, "poetry.lock", lock(*two))
    assert found.constraints[-2:] == ["numpy==1.26 ; python_version < '3.12'", "numpy==2.4 ; python_version >= '3.12'"]


@pytest.mark.parametrize(
    ("name", "command"), [("poetry.lock", "poetry lock"), ("pdm.lock", "pdm lock"), ("Pipfile.lock", "pipenv lock")]
)
@pytest.mark.parametrize("dependency", ["httpx", "fastapi>=0.120"])
def test_a_lock_of_another_project_is_refused_with_the_command(
    tmp_path: Path, name: str, command: str, dependency: str
) -> None:
    if name == "Pipfile.lock":
        with pytest.raises(ReleaseError, match=r"which isn't a lock of Pipenv's"):
            read(tmp_path, name, "{}")
        return
    with pytest.raises(ReleaseError, match=rf"{dependency}: the lock .*Run {command}, and commit both"):
        read(tmp_path, name, lock(), f'[project]\ndependencies = ["{dependency}"]\n')


@pytest.mark.project("served", "a dependency from git whose commit a lock names", "that commit is built")
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pdm.lock", f'git = "https://x/lib.git"\nrevision = "{A[:40]}"'),
        (
            "poetry.lock",
            f'[package.source]\ntype = "git"\nurl = "https://x/lib.git"\nresolved_reference = "{A[:40]}"',
        ),
    ],
)
def test_the_commit_that_a_lock_names_is_what_is_built(tmp_path: Path, name: str, text: str) -> None:
    extra = f'[[package]]\nname = "lib"\nversion = "1"\n{text}'
    found = read(tmp_path, name, lock(extra), '[project]\ndependencies = ["lib[x] @ git+https://x/lib.git@main"]\n')
    assert found.lines == [f"lib[x] @ git+https://x/lib.git@{A[:40]}"]
    assert not any(line.startswith("lib") for line in found.constraints)


@pytest.mark.parametrize("text", ['git = "https://x/lib"', 'path = "./lib.whl"', '[package.source]\ntype = "git"'])
def test_what_no_index_has_is_refused_by_name(tmp_path: Path, text: str) -> None:
    name = "poetry.lock" if "source" in text else "pdm.lock"
    extra = f'[[package]]\nname = "lib"\nversion = "1"\n{text}'
    with pytest.raises(ReleaseError, match=r"lib: the lock takes it from a (git|path)"):
        read(tmp_path, name, lock(extra), '[project]\ndependencies = ["lib"]\n')
    # One that only tests need keeps nobody from deploying.
    assert read(tmp_path, name, lock(extra)).lines


@pytest.mark.project("served", "`Pipfile.lock`", "its section `default`")
def test_a_pipfile_lock_is_its_default_section(tmp_path: Path) -> None:
    default = {
        "fastapi": {"version": "==0.110.3", "hashes": [f"sha256:{A}"], "markers": "python_version >= '3.8'"},
        "uvicorn": {"version": "==0.30.6", "hashes": [f"sha256:{B}"], "extras": ["standard"], "index": "pypi"},
    }
    (tmp_path / "Pipfile.lock").write_text(json.dumps({"default": default, "develop": {"pytest": {"version": "==9"}}}))
    assert lockfile.find_requirements(str(tmp_path), "") == "Pipfile.lock"
    found = lockfile.read(str(tmp_path), "Pipfile.lock", None)
    assert found.lines == ["fastapi ; python_version >= '3.8'", "uvicorn"]
    assert found.constraints == ["fastapi==0.110.3", "uvicorn==0.30.6"] and found.hashes[("uvicorn", "0.30.6")] == {B}


@pytest.mark.project(
    "refused", "two files that say what the app needs", "`fastapi_requirements` with the one that counts"
)
@pytest.mark.parametrize(
    ("files", "words"),
    [
        (["requirements.txt", "poetry.lock"], r"requirements\.txt and poetry\.lock\. Write"),
        (["pyproject.toml", "pixi.lock"], r"pyproject\.toml and pixi\.lock\. Write fastapi_requirements: pyproject"),
        (["uv.lock", "conda-lock.yml"], r"uv\.lock and conda-lock\.yml\. Write"),
        (["pylock.toml", "pylock.prod.toml"], r"pylock\.toml and pylock\.prod\.toml"),
    ],
)
def test_none_of_two_is_passed_over(tmp_path: Path, files: list[str], words: str) -> None:
    for name in files:
        (tmp_path / name).write_text("[project]\ndependencies = ['fastapi']\n")
    with pytest.raises(ReleaseError, match=words):
        lockfile.find_requirements(str(tmp_path), "")


@pytest.mark.project(
    "refused",
    "Conda's environments; a `Pipfile`, `setup.py` or `requirements.in` alone",
    "the command that makes a file that is served",
)
@pytest.mark.parametrize(
    ("project", "advice"),
    [
        ("[tool.poetry]\nname = 'x'\n", "Run poetry lock, and commit poetry.lock"),
        ("[project]\ndynamic = ['dependencies']\n", "Run uv pip compile .* pyproject.toml -o requirements.txt"),
    ],
)
def test_a_project_without_a_list_that_can_be_read_gets_advice_that_works(
    tmp_path: Path, project: str, advice: str
) -> None:
    (tmp_path / "pyproject.toml").write_text(project)
    with pytest.raises(ReleaseError, match=advice):
        lockfile.find_requirements(str(tmp_path), "")
    with pytest.raises(ReleaseError, match=r"environment\.yml, which isn't read here\. Conda's"):
        lockfile.read(str(tmp_path), "environment.yml", None)
