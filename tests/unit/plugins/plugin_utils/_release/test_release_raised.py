"""An app that pins versions of years ago: which later ones have a wheel, and that they are taken."""

from __future__ import annotations

import hashlib
import tarfile
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app.releases import ReleaseError
from ansible_collections.graceful.deploy.plugins.module_utils._host.run import ProgramError
from ansible_collections.graceful.deploy.plugins.module_utils._release.index import Index
from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs import rules
from ansible_collections.graceful.deploy.plugins.plugin_utils._release import tools, wheels
from ansible_collections.graceful.deploy.plugins.plugin_utils._release.instead import with_versions
from ansible_collections.graceful.deploy.plugins.plugin_utils._release.raised import bare, lacking, needs_of, tried
from ansible_collections.graceful.deploy.plugins.plugin_utils._release.requirements import Requirements
from ansible_collections.graceful.deploy.plugins.plugin_utils._release.resolver import Collector
from ansible_collections.graceful.deploy.plugins.plugin_utils._release.target import Target
from release_run import Run
from release_wheelhouse import make_sdist, make_wheel

HOST = Target("3.11.2", "cp311", "x86_64", "glibc", (2, 36))


def compiled(directory: Path, name: str, version: str, *minors: int, requires: tuple[str, ...] = ()) -> None:
    for minor in minors:
        tag = f"cp3{minor}-cp3{minor}-manylinux_2_17_x86_64"
        make_wheel(directory, name, version, requires, tag=tag)


@pytest.fixture
def index(environment: None, wheelhouse: Path, tmp_path: Path) -> Collector:
    links = tmp_path / "links"
    compiled(links, "core", "1.0", 9, 10)
    compiled(links, "core", "1.1", 10)
    compiled(links, "core", "1.2", 11)
    compiled(links, "core", "1.3", 11)
    # As pydantic, which takes one version of pydantic-core alone.
    for minor in range(4):
        make_wheel(links, "model", f"2.{minor}", (f"core==1.{minor}",))
    compiled(links, "lonely", "1.0", 9)
    make_wheel(links, "fastapi", "0.68.0", ("promise",))
    make_sdist(links, "promise", "2.3", fails="It isn't built before it is deployed.")
    compiled(links, "psycopg2-binary", "2.9.5", 11)
    make_sdist(links, "psycopg2", "2.9.3")
    own = tools.provide(tools.cache_directory(), {}, "", lambda text: None)
    return Collector(str(tmp_path), own, Index(find_links=(str(links),), no_index=True), HOST, lambda text: None)


@pytest.mark.parametrize(
    ("lines", "constraints", "found"),
    [
        (["fastapi==0.68.0", "core==1.0"], [], ["core==1.2"]),
        (["fastapi==0.68.0", "core"], ["core==1.0"], ["core==1.2"]),
        (["fastapi==0.68.0", "core==1.1 ; python_version > '3'"], [], ["core==1.2"]),
        # What is built of its source needs nothing.
        (["fastapi==0.68.0", "promise==2.3", "core==1.0"], [], ["core==1.2"]),
        # The oldest that go together, and nothing else.
        (["fastapi==0.68.0", "promise==2.3", "model==2.0", "core==1.0"], [], ["core==1.2", "model==2.2"]),
        (["fastapi==0.68.0", "psycopg2==2.9.3", "core==1.0"], [], ["core==1.2"]),
        (["fastapi==0.68.0", "core==1.2"], [], []),
        (["fastapi==0.68.0", "core==1.0", "lonely==1.0"], [], []),
    ],
)
def test_the_first_later_versions_that_go_with_the_rest(
    index: Collector, tmp_path: Path, lines: list[str], constraints: list[str], found: list[str]
) -> None:
    files: dict[str, list[str]] = {}
    for path in (tmp_path / "links").iterdir():
        files.setdefault(path.name.split("-")[0].replace("_", "-"), []).append(path.name)
    (tmp_path / "new").mkdir()
    asked = bare(Requirements(lines=lines, constraints=constraints), "requirements.txt", files, HOST)
    missing = lacking(asked, files, HOST)
    assert bool(missing) == any("core==1.0" in line or "core==1.1" in line for line in (*lines, *constraints))
    if all(item.instead for item in missing):
        assert (tried(index, asked, missing, files, str(tmp_path / "new")) if missing else []) == found
    else:
        assert found == []


@pytest.mark.project(
    "variable",
    "versions of years ago that no Debian's Python has wheels of",
    "`fastapi_versions: [numpy==1.23.2]`; init.yml writes those that have one",
)
def test_other_versions_are_taken_than_an_app_names(run: Run, source: Path, wheelhouse: Path) -> None:
    """Four of fourteen strangers' projects pinned what has no wheel for a Python of Debian's."""
    for version in ("1.0", "2.0"):
        make_wheel(wheelhouse, "numbers", version)
    make_wheel(wheelhouse, "charts", "1.0", ("numbers",))
    (source / "requirements.txt").write_text("fastapi\ncharts==1.0\nnumbers==0.9\n")
    assert run(versions=["numbers==1.0"])["packages"]["numbers"] == "1.0"
    # Of another package's too.
    (source / "requirements.txt").write_text("fastapi\ncharts==1.0\n")
    packages = run(versions=["Numbers == 1.0", "unneeded==7"])["packages"]
    assert packages["numbers"] == "1.0" and "unneeded" not in packages
    # Another version is another release.
    assert run(versions=["numbers==1.0"])["release"] != run(versions=["numbers==2.0"])["release"]


def packed(into: Path, files: dict[str, str]) -> None:
    """A source lib-1.tar.gz."""
    for name, text in files.items():
        (into / "lib-1" / name).parent.mkdir(parents=True, exist_ok=True)
        (into / "lib-1" / name).write_text(text)
    with tarfile.open(into / "lib-1.tar.gz", "w:gz") as archive:
        archive.add(into / "lib-1", "lib-1")


def test_what_a_source_says_that_it_needs_counts(index: Collector, tmp_path: Path) -> None:
    """An ORM that has no wheel was left as it was, beside a date library that it doesn't go with."""
    links = tmp_path / "links"
    packed(tmp_path, {"PKG-INFO": "Metadata-Version: 2.1\nName: orm\nVersion: 1\nRequires-Dist: core<1.2\n"})
    (tmp_path / "lib-1.tar.gz").rename(links / "orm-1.tar.gz")
    make_wheel(links, "orm", "2", ("core",))
    asked = Requirements(lines=["fastapi==0.68.0", "orm==1", "core==1.0"])
    files = {"core": [path.name for path in links.glob("core-*")], "orm": ["orm-1.tar.gz", "orm-2-py3-none-any.whl"]}
    (tmp_path / "new").mkdir()
    found = tried(index, asked, lacking(asked, files, HOST), files, str(tmp_path / "new"))
    assert found == ["core==1.2", "orm==2"]


@pytest.mark.parametrize(
    ("files", "needs"),
    [
        (
            {"PKG-INFO": "Requires-Dist: a>=1\nRequires-Dist: b; extra == 'x'\nRequires-Dist: ???\n"},
            ["a>=1"],
        ),
        (
            {
                "lib.egg-info/requires.txt": 'a\nb>=2\n\n[:python_version < "3.8"]\nc\n\n[test]\nd\n',
                "PKG-INFO": "Name: lib\n",
            },
            ["a", "b>=2", 'c ; python_version < "3.8"'],
        ),
        ({"setup.py": "raise SystemExit"}, []),
    ],
)
def test_it_is_read_off_its_files(tmp_path: Path, files: dict[str, str], needs: list[str]) -> None:
    packed(tmp_path, files)
    assert needs_of(str(tmp_path / "lib-1.tar.gz")) == needs
    (tmp_path / "broken.zip").write_bytes(b"PK")
    assert needs_of(str(tmp_path / "broken.zip")) == []


# Recorded from pip 26.3, of PyYAML 6.0, whose wheels for Python 3.11 came a year after the others; shortened.
MISMATCH = """Collecting wheels failed on the control node with exit code 1:
        Expected sha256 {listed}
        Expected     or 1e4747bc279b4f613a09eb64bba2ba602d8a6664c6ce6396a4d0cd413a50ce07
             Got        432557aa2c09802be39460360ddffd48156e30721f5e8d917f01d31694216782
"""


def test_a_lock_from_before_a_pythons_wheels_is_told(
    run: Run, source: Path, wheelhouse: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pip's list of hashes was all that was on the screen, and no package's name."""
    for version in ("1.0", "1.1"):
        make_wheel(wheelhouse, "fast", version)
    listed = hashlib.sha256((wheelhouse / "fast-1.0-py3-none-any.whl").read_bytes()).hexdigest()
    (source / "requirements.txt").write_text(f"fastapi\nfast==1.0 --hash=sha256:{listed}\n")
    ways = wheels.fetch
    told = "Got nothing."

    def fetch(step: str, command: list[str], index: Index) -> str:
        if step == "Collecting wheels":
            raise ProgramError(told)
        return ways(step, command, index)

    monkeypatch.setattr(wheels, "fetch", fetch)
    with pytest.raises(ProgramError, match="Got nothing"):
        run()
    told = MISMATCH.format(listed=listed)
    with pytest.raises(
        ReleaseError, match=r"lists hashes of fast==1\.0, and none of the wheel .* came later\."
    ) as refused:
        run()
    assert str(refused.value).endswith("Make the list anew, or write fastapi_versions: [fast==1.1]")


def test_extras_and_markers_stay() -> None:
    asked = Requirements(
        lines=["Lib[fast]==1 ; python_version > '3'", "lib @ git+https://x.example/lib.git@" + "0" * 40, "other==3"],
        constraints=["lib==1", "other==3"],
    )
    changed = with_versions(asked, ["lib==2"])
    assert changed.lines == ['Lib[fast]==2; python_version > "3"', asked.lines[1], "other==3"]
    assert changed.constraints == ["other==3", "lib==2"] and with_versions(asked, []) is asked


@pytest.mark.parametrize("lines", [["sqlalchemy==2"], ["sqlalchemy==2", "greenlet==3.1.1 ; python_version < '3.13'"]])
def test_what_the_code_needs_and_a_version_names_is_brought_past_a_marker(lines: list[str]) -> None:
    """SQLAlchemy asks for greenlet on old Pythons alone, so a lock brought none to Debian 13, and nor did a version."""
    asked = Requirements(lines=lines, constraints=["greenlet==3.1.1"])
    changed = with_versions(asked, ["greenlet==3.2.0"], ["greenlet", "alembic"])
    assert changed.lines[-1] == "greenlet==3.2.0" and changed.constraints == ["greenlet==3.2.0"]
    assert not any("alembic" in line for line in changed.lines)
    once = with_versions(Requirements(lines=["greenlet==3.1.1"]), ["greenlet==3.2.0"], ["greenlet"])
    assert once.lines == ["greenlet==3.2.0"]


@pytest.mark.parametrize("value", [["numpy"], ["numpy>=1"], ["numpy==1.*"], "numpy==1", [1.2], ["a==1 b==2"]])
def test_each_is_one_version_of_a_package(value: object) -> None:
    problem = rules.versions("versions", value)
    assert problem is not None
    assert rules.versions("versions", ["numpy==1.23.2", "zope-interface == 6.0", "masonite-orm==3.0.0.post1"]) is None
