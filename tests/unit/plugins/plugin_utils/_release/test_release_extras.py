"""Extras of the project, by whatever says what it needs: `pip install .[prod]` was ModuleNotFoundError here."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app.releases import ReleaseError
from ansible_collections.graceful.deploy.plugins.plugin_utils._release import extras, lockfile, read
from packaging.requirements import Requirement

A = "a" * 64
PROJECT = """
[project]
name = "Shop.Kit"
version = "1"
requires-python = ">=3.11"
dependencies = ["fastapi"]
[project.optional-dependencies]
Prod = ["shop-kit[data,prod]", "sentry-sdk"]
data = ["asyncpg>=0.20"]
dev = ["pytest"]
"""
OLD_POETRY = """
[tool.poetry]
name = "shopkit"
[tool.poetry.dependencies]
fastapi = "^0.110"
sentry-sdk = {version = "^2", optional = true}
asyncpg = {version = "*", optional = true, markers = "os_name == 'posix'"}
pytest = {version = "*", optional = true}
[tool.poetry.extras]
prod = ["Sentry_SDK", "asyncpg"]
dev = ["pytest"]
"""
MIXED_POETRY = OLD_POETRY + "[project]\nname = 'shopkit'\ndependencies = ['fastapi']\n"
LOCKED = "\n".join(
    f'[[package]]\nname = "{name}"\nversion = "1"\nfiles = [{{hash = "sha256:{A}"}}]\n'
    for name in ("fastapi", "sentry-sdk", "asyncpg", "pytest")
)
PYLOCK = 'lock-version = "1.0"\nextras = ["prod", "dev"]\n' + "".join(
    f'[[packages]]\nname = "{name}"\nversion = "1"\nmarker = "{marker}"\n'
    f'wheels = [{{url = "https://x/f.whl", hashes = {{sha256 = "{A}"}}}}]\n'
    for name, marker in (
        ("fastapi", "os_name != 'never'"),
        ("sentry-sdk", "'prod' in extras"),
        ("asyncpg", "'prod' in extras or 'data' in extras"),
        ("pytest", "'dev' in extras"),
    )
)


def names(lines: list[str]) -> set[str]:
    """What counts on this machine."""
    parsed = [Requirement(line) for line in lines]
    return {item.name for item in parsed if item.marker is None or item.marker.evaluate()}


WAYS = [
    ("pyproject.toml", PROJECT, ""),
    ("pdm.lock", PROJECT, LOCKED),
    ("poetry.lock", PROJECT, LOCKED),
    ("poetry.lock", OLD_POETRY, LOCKED),
    ("poetry.lock", MIXED_POETRY, LOCKED),
    ("pylock.toml", "", PYLOCK),
    ("requirements.txt", PROJECT, "-e .\n"),
]


def write(path: Path, name: str, project: str, text: str) -> str:
    (path / "pyproject.toml").write_text(project)
    if text:
        (path / name).write_text(text)
    return str(path)


@pytest.mark.project("variable", "an extra for hosts", "`fastapi_extras: [prod]`")
@pytest.mark.parametrize(("name", "project", "text"), WAYS)
def test_an_extra_brings_what_it_lists_and_no_other_does(tmp_path: Path, name: str, project: str, text: str) -> None:
    top = write(tmp_path, name, project, text)
    assert names(lockfile.read(top, name, None).lines) == {"fastapi"}
    found = names(lockfile.read(top, name, None, ["prod"]).lines)
    assert found == {"fastapi", "sentry-sdk", "asyncpg"}


@pytest.mark.parametrize(("name", "project", "text"), WAYS)
def test_an_extra_that_there_is_not_is_refused_with_those_that_there_are(
    tmp_path: Path, name: str, project: str, text: str
) -> None:
    top = write(tmp_path, name, project, text)
    with pytest.raises(
        ReleaseError, match=rf"^fastapi_extras is \['prd'\], .* is {name}, .* no extra prd\. It has .*dev"
    ):
        lockfile.read(top, name, None, ["prd"])


@pytest.mark.parametrize(("name", "text"), [("requirements.txt", "fastapi\n"), ("Pipfile.lock", '{"default": {}}')])
def test_what_has_no_extras_says_so(tmp_path: Path, name: str, text: str) -> None:
    top = write(tmp_path, name, PROJECT, text)
    with pytest.raises(
        ReleaseError, match=rf"fastapi_requirements is {name}, which has no extras\. Take fastapi_extras"
    ):
        lockfile.read(top, name, None, ["prod"])


@pytest.mark.project("served", "a line `-e .` or `.[prod]`", "what the project needs, with the extra")
@pytest.mark.parametrize("line", [".", "./", "-e .", "-e.", "--editable=.", ".[data]", "-e .[data, dev]"])
def test_a_line_for_the_project_itself_is_what_that_needs(tmp_path: Path, line: str) -> None:
    top = write(tmp_path, "requirements.txt", PROJECT, f"httpx\n{line}\n")
    found = lockfile.read(top, "requirements.txt", None)
    wanted = {"httpx", "fastapi", *(["asyncpg"] if "data" in line else []), *(["pytest"] if "dev" in line else [])}
    assert names(found.lines) == wanted
    # Asked for besides.
    assert "sentry-sdk" in names(lockfile.read(top, "requirements.txt", None, ["prod"]).lines)


@pytest.mark.parametrize(
    "project", ["[build-system]\nrequires = []\n", "[project]\nname = 'a'\ndynamic = ['dependencies']\n"]
)
def test_a_project_whose_list_a_program_makes_is_no_line(tmp_path: Path, project: str) -> None:
    top = write(tmp_path, "requirements.txt", project, "-e .\n")
    with pytest.raises(ReleaseError, match=r"whose line \. stands for the project.*Write that, or name the packages"):
        lockfile.read(top, "requirements.txt", None)


UV_LOCK = """
version = 1
requires-python = ">=3.11"
[[package]]
name = "fastapi"
version = "0.121.0"
source = { registry = "https://pypi.org/simple" }
wheels = [{ url = "https://x/fastapi-0.121.0-py3-none-any.whl", hash = "sha256:HASH" }]
[[package]]
name = "asyncpg"
version = "0.30.0"
source = { registry = "https://pypi.org/simple" }
wheels = [{ url = "https://x/asyncpg-0.30.0-py3-none-any.whl", hash = "sha256:HASH" }]
[[package]]
name = "shop-kit"
version = "1"
source = { virtual = "." }
dependencies = [{ name = "fastapi" }]
[package.optional-dependencies]
data = [{ name = "asyncpg" }]
[package.metadata]
requires-dist = [
    { name = "asyncpg", marker = "extra == 'data'", specifier = ">=0.20" },
    { name = "fastapi" },
]
provides-extras = ["data"]
""".replace("HASH", A)
UV_PROJECT = PROJECT.replace('Prod = ["shop-kit[data,prod]", "sentry-sdk"]\n', "").replace('dev = ["pytest"]\n', "")


def test_uv_exports_the_extra_and_an_older_lock_is_seen(tmp_path: Path, environment: None) -> None:
    top = write(tmp_path, "uv.lock", UV_PROJECT, UV_LOCK)
    for wanted, there in (([], {"fastapi"}), (["data"], {"fastapi", "asyncpg"})):
        found = lockfile.read(
            top, "uv.lock", lambda place, wanted=wanted: read.uv_export(place, "", print, wanted), wanted
        )
        assert names(found.lines) == there
    with pytest.raises(ReleaseError, match=r"^fastapi_extras is .*It has data"):
        lockfile.read(top, "uv.lock", None, ["prod"])
    older = UV_PROJECT.replace('"asyncpg>=0.20"', '"asyncpg>=0.20", "rich"')
    write(tmp_path, "uv.lock", older, UV_LOCK)
    assert lockfile.read(top, "uv.lock", None) is not None
    with pytest.raises(ReleaseError, match=r"from another pyproject\.toml: rich in that differs"):
        lockfile.read(top, "uv.lock", None, ["data"])


@pytest.mark.parametrize(
    ("marker", "wanted", "left"),
    [
        ('extra == "prod"', ["Prod"], extras.TRUE),
        ('extra == "prod"', [], extras.FALSE),
        ("os_name == 'nt' and extra != 'a'", ["a"], f"os_name == 'nt' and {extras.FALSE}"),
    ],
)
def test_extras_in_a_marker_are_decided(marker: str, wanted: list[str], left: str) -> None:
    assert extras.decided(marker, wanted) == left


@pytest.mark.parametrize(
    ("project", "wanted", "told"),
    [
        (PROJECT, [], "an extra Prod (asyncpg, sentry-sdk)"),
        (OLD_POETRY, [], "an extra prod (Sentry_SDK, asyncpg)"),
        (PROJECT, ["data"], ""),
        # What it would bring is there, or is brought in any case.
        ('[project]\nname = "a"\n[project.optional-dependencies]\nprod = ["gunicorn", "FastAPI>1"]\n', [], ""),
        ('[project]\nname = "a"\n[project.optional-dependencies]\ntest = ["pytest"]\n', [], ""),
    ],
)
def test_an_extra_for_hosts_is_pointed_out(project: str, wanted: list[str], told: str) -> None:
    said = extras.hint(tomllib.loads(project), wanted, ["fastapi"])
    assert told in said and bool(told) == bool(said)
