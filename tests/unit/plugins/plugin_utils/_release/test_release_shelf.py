"""What an index has of an app's pins: what lacks a wheel is told at once, and which Debian has it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app.releases import ReleaseError
from ansible_collections.graceful.deploy.plugins.plugin_utils._release import locks, shelf
from ansible_collections.graceful.deploy.plugins.plugin_utils._release.shelf import (
    Shelf,
    fails_on,
    misfit,
    nearest,
    refusal,
)
from ansible_collections.graceful.deploy.plugins.plugin_utils._release.target import Target, check_python, debians
from release_run import Run
from release_wheelhouse import make_sdist, make_wheel

BOOKWORM, TRIXIE = debians("", "x86_64").values()
WAY_OUT = "Or set fastapi_build_host."


def compiled(name: str, version: str, *minors: int, platform: str = "manylinux_2_17_x86_64") -> list[str]:
    wheels = [f"{name}-{version}-cp3{minor}-cp3{minor}-{platform}.whl" for minor in minors]
    return [*wheels, f"{name}-{version}.tar.gz"]


FILES = {
    "asyncpg": [*compiled("asyncpg", "0.29.0", 10, 11, 12), *compiled("asyncpg", "0.30.0", 11, 12, 13)],
    "orjson": [*compiled("orjson", "3.10.6", 11, 12), *compiled("orjson", "3.11.0rc1", 13), "odd"],
    "psycopg2": compiled("psycopg2", "2.9.5", 11, 12, 13, platform="win_amd64"),
    "psycopg2-binary": [*compiled("psycopg2_binary", "2.9.5", 11), *compiled("psycopg2_binary", "2.9.10", 13)],
    "plain": ["plain-1.0.tar.gz"],
    "pure": ["pure-1.0-py3-none-any.whl", "pure-1.0-cp311-cp311-win_amd64.whl", "pure-1.0.tar.gz"],
    "stable": ["stable-1.0-cp39-abi3-manylinux_2_17_x86_64.whl"],
    "arm": compiled("arm", "1.0", 11, 13, platform="manylinux_2_17_aarch64"),
}


def of(**pins: str) -> Shelf:
    return Shelf({name.replace("_", "-"): version for name, version in pins.items()}, FILES)


def test_what_would_have_to_be_compiled() -> None:
    everything = of(asyncpg="0.29", orjson="3.10.6", plain="1.0", pure="1.0", stable="1.0", arm="1.0", gone="1.0")
    assert [item.pin for item in everything.lacking(TRIXIE)] == ["arm==1.0", "asyncpg==0.29", "orjson==3.10.6"]
    assert [item.pin for item in everything.lacking(BOOKWORM)] == ["arm==1.0"]


def test_all_are_told_at_once_with_the_version_that_has_a_wheel_and_the_debian_that_fits() -> None:
    """A project of two years ago was told its nine packages in nine runs."""
    said = refusal(of(asyncpg="0.29.0", orjson="3.10.6"), TRIXIE, ">=3.10", WAY_OUT, "asyncpg==0.29.0")
    assert "asyncpg==0.29.0 has no wheel for Python 3.13 on x86_64 with glibc 2.41, nor has another." in said
    assert "asyncpg==0.29.0 has wheels for Python 3.10 to 3.12; asyncpg==0.30.0 has one for 3.13." in said
    assert "orjson==3.10.6 has wheels for Python 3.11 to 3.12, and no version of it on the index has one" in said
    assert "Debian 12 has 3.11." in said and "such as 3.12" in said and WAY_OUT in said and "--find-links" in said
    assert refusal(of(plain="1.0"), TRIXIE, "", WAY_OUT, "plain==1.0") == ""


def test_no_debian_is_named_that_the_apps_own_range_excludes() -> None:
    """On Debian 13 a project for 3.12 was sent to Debian 12, and there back to Debian 13."""
    pins = of(asyncpg="0.29.0")
    said = refusal(pins, TRIXIE, ">=3.12,<4", WAY_OUT, "asyncpg==0.29.0")
    assert "Debian 12" not in said and "No Debian's own Python fits all that is pinned" in said
    assert "a Python of your own on the host, such as 3.12, and set fastapi_python" in said
    with pytest.raises(ReleaseError) as refused:
        check_python(">=3.12,<4", "3.11.2", "x86_64", lambda other: [item.pin for item in pins.lacking(other)])
    said = str(refused.value)
    assert "No Debian's own Python fits. Debian 13 has Python 3.13, for which there is no wheel of asyncpg" in said
    with pytest.raises(ReleaseError, match=r"the host's is 3\.11\.2\. Debian 13 has Python 3\.13\. Set"):
        check_python(">=3.12,<4", "3.11.2", "x86_64", lambda _other: [])


def test_a_package_that_never_has_wheels_is_told_its_twin() -> None:
    said = refusal(of(psycopg2="2.9.5"), TRIXIE, "", "", "psycopg2==2.9.5")
    assert (
        "psycopg2==2.9.5 has none for Linux on x86_64. Write psycopg2-binary==2.9.10: " in said and "Debian" not in said
    )
    assert "Write psycopg2-binary==2.9.5" in refusal(of(psycopg2="2.9.5"), BOOKWORM, "", "", "psycopg2==2.9.5")


@pytest.mark.parametrize(
    ("version", "target", "found"),
    [
        ("0.29.0", TRIXIE, "asyncpg==0.30.0"),
        ("0.31.0", TRIXIE, "asyncpg==0.30.0"),
        ("0.28.0", BOOKWORM, "asyncpg==0.29.0"),
        ("0.29.0", Target("3.14.0", "cp314", "x86_64", "glibc", (2, 41)), ""),
    ],
)
def test_the_nearest_version_that_has_a_wheel(version: str, target: Target, found: str) -> None:
    assert nearest("asyncpg", version, FILES["asyncpg"], target) == found


def test_a_wheel_that_does_not_fit_is_told_by_its_tag() -> None:
    assert misfit("a-1-cp311-cp311-linux_x86_64.whl", BOOKWORM) == ""
    said = misfit("a-1-cp311-cp311-linux_x86_64.whl", TRIXIE)
    assert "its tag cp311-cp311-linux_x86_64 isn't one that Python 3.13 on x86_64 with glibc 2.41 takes" in said


def make_outdated(links: Path, *names: str) -> None:
    """Packages of which only the second version has a wheel for this Python."""
    minor = sys.version_info.minor
    for name in names:
        make_sdist(links, name, "1.0")
        make_wheel(links, name, "1.0", tag="cp36-cp36m-manylinux_2_17_x86_64")
        make_wheel(links, name, "1.1", tag=f"cp3{minor}-cp3{minor}-manylinux_2_17_x86_64")


def test_the_index_is_asked_once_and_nothing_is_downloaded(
    run: Run, source: Path, tmp_path: Path, wheelhouse: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    links = tmp_path / "links"
    monkeypatch.setenv("PIP_FIND_LINKS", f"{wheelhouse} {links}")
    make_outdated(links, "one", "two", "three")
    asked: list[list[str]] = []
    files_of = shelf.files_of
    monkeypatch.setattr(shelf, "files_of", lambda names, *rest: asked.append(names) or files_of(names, *rest))
    (source / "requirements.txt").write_text("fastapi==0.121.0\none==1.0\ntwo==1.0\nthree==1.0\nno; os_name=='nt'\n")
    with pytest.raises(ReleaseError, match=r"has no wheel for .*, nor have 2 others") as refused:
        run(state="collected")
    assert all(
        f"{name}==1.0 has none for Linux on x86_64; {name}==1.1 has one" in str(refused.value)
        for name in ("one", "two")
    )
    assert asked == [["fastapi", "one", "three", "two"]] and not any(line.startswith("Building") for line in run.said)


def test_what_the_run_exchanges_by_itself_is_nothing_to_write(
    run: Run, source: Path, tmp_path: Path, wheelhouse: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """psycopg2 was among three packages to write other versions of, and so no fastapi_versions was named."""
    links, minor = tmp_path / "links", sys.version_info.minor
    monkeypatch.setenv("PIP_FIND_LINKS", f"{wheelhouse} {links}")
    make_outdated(links, "one")
    make_sdist(links, "psycopg2", "2.9.3")
    make_wheel(links, "psycopg2", "2.9.3", tag=f"cp3{minor}-cp3{minor}-win_amd64")
    make_wheel(links, "psycopg2-binary", "2.9.5", tag=f"cp3{minor}-cp3{minor}-manylinux_2_17_x86_64")
    (source / "requirements.txt").write_text("fastapi==0.121.0\none==1.0\npsycopg2==2.9.3\n")
    with pytest.raises(ReleaseError, match=r"one==1\.0 has no wheel for") as refused:
        run(state="collected")
    assert "psycopg2==2.9.3 has none" not in str(refused.value)
    assert "Or leave the file as it is, and write fastapi_versions: [one==1.1]" in str(refused.value)


def test_what_a_lock_has_for_development_is_not_told(
    run: Run, source: Path, tmp_path: Path, wheelhouse: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    links = tmp_path / "links"
    monkeypatch.setenv("PIP_FIND_LINKS", f"{wheelhouse} {links}")
    make_outdated(links, "one", "inner", "dev")
    make_wheel(links, "outer", "1.0", ("inner",))
    (source / "requirements.txt").unlink()
    names = ("fastapi", "one", "outer", "inner", "dev", "starlette")
    versions = {"fastapi": "0.121.0", "starlette": "0.48.0"}
    text = "".join(f'[[package]]\nname = "{name}"\nversion = "{versions.get(name, "1.0")}"\n' for name in names)
    (source / "poetry.lock").write_text(text)
    (source / "pyproject.toml").write_text(
        '[tool.poetry]\npackage-mode = false\n[tool.poetry.dependencies]\nfastapi = "*"\none = "*"\nouter = "*"\n'
    )
    with pytest.raises(ReleaseError, match=r"has no wheel for .*, nor has another") as refused:
        run(state="collected")
    assert "inner==1.0 has" in str(refused.value) and "one==1.0 has" in str(refused.value)
    assert "dev==" not in str(refused.value)


def test_what_a_uv_lock_pins_for_the_project() -> None:
    registry = {"registry": "https://pypi.org/simple"}
    lock = {
        "package": [
            {
                "name": "shop",
                "source": {"virtual": "."},
                "dependencies": [
                    {"name": "uvicorn", "extra": ["standard"]},
                    {"name": "odd", "marker": "os_name == 'nt'"},
                ],
                "dev-dependencies": {"dev": [{"name": "pytest"}]},
            },
            {
                "name": "uvicorn",
                "version": "0.30.6",
                "source": registry,
                "optional-dependencies": {"standard": [{"name": "uvloop"}]},
            },
            *({"name": name, "version": "1", "source": registry} for name in ("uvloop", "odd", "pytest")),
        ]
    }
    assert sorted(locks.uv_pins(lock, "Shop")) == ["odd==1 ; os_name == 'nt'", "uvicorn==0.30.6", "uvloop==1"]


@pytest.mark.parametrize(
    ("name", "version", "python", "fails"),
    [
        ("pydantic", "1.8.2", "3.11", True),
        ("pydantic", "1.10.0", "3.11", False),
        ("pydantic", "1.10.15", "3.13", True),
        ("pydantic", "1.10.16", "3.13", False),
        ("pydantic", "2.5.0", "3.13", False),
        ("pydantic", "1.8.2", "3.10", False),
        ("sqlalchemy", "1.4.54", "3.13", False),
        ("sqlalchemy", "2.0.30", "3.13", True),
        ("sqlalchemy", "2.0.31", "3.13", False),
        ("sqlalchemy", "2.0.30", "3.11", False),
        ("aiofiles", "0.5.0", "3.11", True),
        ("aiofiles", "0.6.0", "3.11", False),
        ("aioredis", "1.3.0", "3.11", True),
        ("aioredis", "1.3.1", "3.11", False),
        ("aioredis", "2.0.1", "3.11", True),
        ("fastapi", "0.1", "3.13", False),
    ],
)
def test_what_cant_be_imported_there_is_as_good_as_without_a_wheel(
    name: str, version: str, python: str, fails: bool
) -> None:
    """Each was tried: its wheel is for every Python by its name, and FastAPI ended with "'not' is not a valid parameter
    name"."""
    assert fails_on(name, version, python) == fails
    pure = [f"{name}-{each}-py3-none-any.whl" for each in (version, "1.9.2", "1.10.16", "2.0.31")]
    for host in (BOOKWORM, TRIXIE):
        lacks = Shelf({name: version}, {name: pure}).lacking(host) if host.minor == python else []
        assert bool(lacks) == (fails and host.minor == python)
        if lacks and name in ("pydantic", "sqlalchemy"):
            newer = "2.0.31" if name == "sqlalchemy" else "1.10.16"
            assert lacks[0].told(host) == f"{name}=={version} doesn't run on Python {python}; {name}=={newer} does."
