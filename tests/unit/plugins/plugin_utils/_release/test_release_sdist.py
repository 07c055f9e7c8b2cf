"""Packages that an index has as source alone: built once, or refused with the way out."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app.releases import ReleaseError
from ansible_collections.graceful.deploy.plugins.module_utils._release import build as release_build
from ansible_collections.graceful.deploy.plugins.plugin_utils._release import sdist as release_sdist
from ansible_collections.graceful.deploy.plugins.plugin_utils._release import workshop as release_workshop
from ansible_collections.graceful.deploy.plugins.plugin_utils._release.requirements import Requirements
from ansible_collections.graceful.deploy.plugins.plugin_utils._release.sdist import (
    commit_name,
    compiled_for,
    is_pure,
    wanted,
)
from ansible_collections.graceful.deploy.plugins.plugin_utils._release.target import Target
from packaging.utils import InvalidSdistFilename, parse_sdist_filename
from release_run import Run
from release_wheelhouse import make_sdist, make_wheel

HOST = Target("3.11.2", "cp311", "x86_64", "glibc", (2, 36))


@pytest.fixture
def index(run: Run, tmp_path: Path, wheelhouse: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of sources beside the wheels."""
    directory = tmp_path / "sources"
    directory.mkdir()
    monkeypatch.setenv("PIP_FIND_LINKS", f"{wheelhouse} {directory}")
    return directory


def require(source: Path, *lines: str) -> None:
    (source / "requirements.txt").write_text("\n".join(["fastapi", *lines, ""]))


def built(run: Run) -> int:
    return sum(line.startswith("Building") for line in run.said)


@pytest.mark.project("served", "a dependency that has no wheel, in pure Python", "it is built, once")
@pytest.mark.parametrize(("name", "wanted"), [("plain-a", ""), ("plain-b", "==1.0"), ("plain-c", ">=0.9")])
def test_a_pure_source_is_built_once(run: Run, source: Path, index: Path, name: str, wanted: str) -> None:
    make_sdist(index, name, "1.0", requires=("starlette",))
    require(source, name + wanted)
    first = run()
    assert first["packages"][name] == "1.0" and built(run) == 1
    # Another set of wheels, the same source.
    require(source, name + wanted, "packaging")
    assert run()["changed"] and built(run) == 1


def test_sources_that_need_each_other(run: Run, source: Path, index: Path) -> None:
    make_sdist(index, "outer", "1.0", requires=("inner",))
    make_sdist(index, "inner", "2.0")
    make_sdist(index, "inner", "3.0")
    require(source, "outer", "inner<3")
    assert run(state="collected")["needs_build"] is False
    packages = run()["packages"]
    assert (packages["outer"], packages["inner"]) == ("1.0", "2.0") and built(run) == 2


def test_an_older_wheel_is_preferred_to_a_newer_source(run: Run, source: Path, index: Path) -> None:
    """As it was before sources were taken: nothing is built where it needn't be."""
    make_sdist(index, "starlette", "0.99")
    require(source)
    assert run()["packages"]["starlette"] == "0.48.0" and built(run) == 0


def test_listed_hashes_are_those_of_the_source(run: Run, source: Path, index: Path) -> None:
    sdist = make_sdist(index, "hashed", "1.0")
    require(source, f"hashed==1.0 --hash=sha256:{hashlib.sha256(sdist.read_bytes()).hexdigest()}")
    assert run()["packages"]["hashed"] == "1.0"
    require(source, f"hashed==1.0 --hash=sha256:{'0' * 64}")
    with pytest.raises(ReleaseError, match=r"hashed==1\.0 has no wheel") as refused:
        run()
    assert "Fetching its source failed" in str(refused.value) and built(run) == 1


@pytest.mark.project(
    "refused", "a dependency that has to be compiled, without a build host", "another version, or `fastapi_build_host`"
)
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"tag": f"cp{sys.version_info.major}{sys.version_info.minor}-none-linux_x86_64"},
            "Its source is compiled, here",
        ),
        ({"fails": "no such header: ffi.h"}, "no such header: ffi.h"),
    ],
    ids=["compiled", "fails"],
)
def test_a_compiled_source_is_refused_with_the_way_out(
    run: Run, source: Path, index: Path, options: dict, words: str
) -> None:
    make_sdist(index, "compiled", "1.0", **options)
    require(source, "compiled==1.0")
    with pytest.raises(ReleaseError, match=r"compiled==1\.0 has no wheel for") as refused:
        run(state="collected")
    assert words in str(refused.value) and "Set fastapi_build_host to a host" in str(refused.value)
    assert "apt-get install build-essential python3-dev" in str(refused.value)
    assert not run.root.exists()


def test_what_is_compiled_is_refused_before_it_is_built_and_the_pythons_that_it_has_wheels_for_are_named(
    run: Run, source: Path, index: Path
) -> None:
    """To build it first took seven minutes for pandas, and told no more."""
    other, debian = ("3.11", "Debian 12") if sys.version_info[:2] == (3, 13) else ("3.13", "Debian 13")
    make_sdist(index, "big", "1.0")
    for version in ("3.7", other):
        tag = f"cp{version.replace('.', '')}"
        make_wheel(index, "big", "1.0", tag=f"{tag}-{tag}-manylinux_2_17_x86_64")
    require(source, "big==1.0")
    with pytest.raises(ReleaseError, match=r"big==1\.0 has no wheel for") as refused:
        run(state="collected")
    said = str(refused.value)
    assert f"big==1.0 has wheels for Python 3.7, {other}, and no version of it on the index has one for" in said
    assert f"own Python has wheels for all that is pinned: {debian} has {other}." in said
    assert "Or set fastapi_build_host" in said and "apt-get install build-essential python3-dev" in said
    assert built(run) == 0


def test_a_wheel_that_its_source_gives_another_tag_is_told_by_it(
    run: Run, source: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that was said was that what is built doesn't fit the host."""
    wheels = {
        "tagged": make_wheel(index.parent / "odd", "tagged", "1.0", tag="cp36-cp36m-linux_x86_64"),
        "renamed": make_wheel(index.parent / "odd", "renamed", "1.0.post1"),
    }

    def build(path: str, into: str, *_rest: object) -> str:
        return shutil.copy(wheels[Path(path).name.partition("-")[0]], into)

    monkeypatch.setattr(release_workshop, "HERE", release_sdist.Workshop(["test"], build))
    for name, words in (
        ("tagged", "built to tagged-1.0-cp36-cp36m-linux_x86_64.whl, and its tag cp36-cp36m-linux_x86_64 isn't one"),
        ("renamed", "Its source calls itself renamed==1.post1 when it is built"),
    ):
        make_sdist(index, name, "1.0")
        require(source, f"{name}==1.0")
        with pytest.raises(ReleaseError, match=rf"{name}==1\.0 has no wheel for") as refused:
            run(state="collected")
        assert words in str(refused.value) and " another" in str(refused.value)


@pytest.mark.parametrize("setting", ["constraint in a file", "constraint of the environment"])
def test_a_constraint_of_pips_configuration_holds_for_both_steps(
    run: Run, source: Path, index: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, setting: str
) -> None:
    """uv passed over it, and pip, which collects, refused what uv had chosen."""
    (tmp_path / "limits.txt").write_text("fastapi<0.121\nplain-e<2\n")
    if "file" in setting:
        (tmp_path / "pip.conf").write_text(f"[global]\nconstraint = {tmp_path}/limits.txt\n")
        monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    else:
        monkeypatch.setenv("PIP_CONSTRAINT", str(tmp_path / "limits.txt"))
    for version in ("1.0", "2.0"):
        make_sdist(index, "plain-e", version)
    require(source, "plain-e")
    packages = run(state="collected") and run()["packages"]
    assert (packages["fastapi"], packages["plain-e"]) == ("0.100.0", "1.0")


@pytest.mark.parametrize(
    ("files", "pythons"),
    [
        (["pandas-2.2.2-cp310-cp310-manylinux_2_17_x86_64.whl", "pandas-2.2.2-cp39-cp39-musllinux_1_1_x86_64.whl"], 2),
        (["pandas-2.2.2-cp312-cp312-win_amd64.whl", "pandas-2.2.1-cp312-cp312-manylinux_2_17_x86_64.whl"], 0),
        (["pandas-2.2.2-cp312-cp312-manylinux_2_17_x86_64.whl", "pandas-2.2.2-py3-none-any.whl"], 0),
        (["pandas-2.2.2.tar.gz", "pandas-2.2.2-odd.whl", "index.html"], 0),
    ],
)
def test_the_pythons_for_which_an_index_has_compiled_wheels(files: list[str], pythons: int) -> None:
    assert len(compiled_for("pandas-2.2.2.tar.gz", files)) == pythons


@pytest.fixture
def system_python(run: Run) -> None:
    """An interpreter that a user without rights can start too; that of the tests may be in root's home."""
    run.params["python"] = "/usr/bin/python3"
    if not Path("/usr/bin/python3.11").exists():
        pytest.skip("needs Debian's Python")


@pytest.mark.project(
    "variable",
    "a dependency that has no wheel and has to be compiled",
    "`fastapi_build_host: NAME`, a host with a compiler",
)
@pytest.mark.usefixtures("system_python")
def test_a_build_host_builds_what_is_compiled(run: Run, source: Path, index: Path) -> None:
    """Here both hosts are this machine; what is sent is all that the build has."""
    make_wheel(index, "build-tool", "1.0")
    make_sdist(index, "compiled", "2.0", tag="py3-none-linux_x86_64", needs=("build-tool",))
    require(source, "compiled==2.0")
    first = run(state="collected", build_host="builder")
    assert (first["needs_build"], first["complete"], built(run)) == (True, False, 1)
    with pytest.raises(ReleaseError, match=r"compiled-2\.0 has no wheel.*state=built"):
        run(collected=first["collected"], build_host="builder")
    second = run(state="built", build_host="builder", collected=first["collected"])
    assert second["needs_build"] is False and not run.root.exists()
    assert run(collected=first["collected"], build_host="builder")["packages"]["compiled"] == "2.0"
    # The wheel is kept, also for another set.
    require(source, "compiled==2.0", "packaging")
    assert run(state="collected", build_host="builder")["needs_build"] is False


@pytest.mark.usefixtures("system_python")
def test_what_fails_on_a_build_host_is_said_with_its_last_lines(run: Run, source: Path, index: Path) -> None:
    make_sdist(index, "compiled", "3.0", fails="no such header: pq.h")
    require(source, "compiled==3.0")
    collected = run(state="collected", build_host="builder")["collected"]
    with pytest.raises(ReleaseError, match="A compiler and headers have to be there") as refused:
        run(state="built", build_host="builder", collected=collected)
    assert "no such header: pq.h" in str(refused.value)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """What is sent to a build host, as far as a build that never gets to pip needs it."""
    pip = make_wheel(tmp_path / "made", "pip", "1.0")
    path = tmp_path / "build.zip"
    with zipfile.ZipFile(path, "w") as packed:
        packed.write(make_sdist(tmp_path / "made", "x", "1"), "source/x-1.tar.gz")
        packed.write(pip, f"pip/{pip.name}")
    return path


def build(archive: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    monkeypatch.setattr(release_build, "command", lambda *arguments: ["/bin/sh", "-c", script])
    return release_build.build(str(archive), hashlib.sha256(archive.read_bytes()).hexdigest(), "python")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give it up")
def test_a_build_has_no_rights_and_one_directory_of_its_own(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = "id -u; id -G; touch ../stray ../source/stray 2>&1; pwd >mine && ls; exit 1"
    with pytest.raises(ReleaseError) as refused:
        build(archive, script, monkeypatch)
    said = str(refused.value).splitlines()
    assert "0" not in " ".join(said[-5:-2]).split() and "mine" in said
    assert sum("Permission denied" in line for line in said) == 2


def test_a_link_in_a_wheels_place_is_not_followed(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text("canary")
    with pytest.raises(OSError, match="symbolic links"):
        build(archive, f"mkdir out && ln -s {tmp_path}/secret out/x-1-py3-none-any.whl", monkeypatch)


def test_an_archive_that_came_over_damaged_is_not_built(tmp_path: Path) -> None:
    (tmp_path / "build.zip").write_bytes(b"x")
    with pytest.raises(ReleaseError, match="came over damaged"):
        release_build.build(str(tmp_path / "build.zip"), "0" * 64, sys.executable)


@pytest.mark.parametrize(
    ("like", "good"),
    [
        (HOST, True),
        (Target("3.11.9", "cp311", "x86_64", "glibc", (2, 31)), True),
        (Target("3.13.2", "cp313", "x86_64", "glibc", (2, 36)), False),
        (Target("3.11.2", "cp311", "aarch64", "glibc", (2, 36)), False),
        (Target("3.11.2", "cp311", "x86_64", "musl", (1, 2)), False),
        (Target("3.11.2", "cp311", "x86_64", "glibc", (2, 41)), False),
    ],
    ids=str,
)
def test_a_build_host_has_to_be_like_the_target(like: Target, good: bool) -> None:
    if good:
        release_workshop.check_alike("builder", like, HOST)
        return
    with pytest.raises(ReleaseError, match=r"^fastapi_build_host is builder") as refused:
        release_workshop.check_alike("builder", like, HOST)
    assert str(like) in str(refused.value) and str(HOST) in str(refused.value)


@pytest.mark.parametrize(
    ("missing", "line"),
    [
        ("plain", "plain>1,<3"),
        ("other", "other"),
        ("Locked==1.0", f"Locked==1.0 --hash=sha256:{'a' * 64}"),
        ("locked", f"locked==1.0 --hash=sha256:{'a' * 64}"),
        ("plain==2.0", "plain==2.0"),
    ],
)
def test_what_is_asked_for(missing: str, line: str) -> None:
    requirements = Requirements(["Plain>1", "locked==1.0"], ["plain<3"], {("locked", "1"): {"a" * 64}})
    assert wanted(missing, requirements) == line


@pytest.mark.parametrize(
    ("filename", "pure"),
    [
        ("a-1-py3-none-any.whl", True),
        ("a-1-py2.py3-none-any.whl", True),
        ("a-1-cp311-cp311-linux_x86_64.whl", False),
        ("a-1-py3-none-linux_x86_64.whl", False),
        ("a-1-py312-none-any.whl", False),
        ("a-1-cp39-abi3-any.whl", False),
    ],
)
def test_purity(filename: str, pure: bool) -> None:
    assert is_pure(filename) is pure


def test_what_builds_a_source(tmp_path: Path) -> None:
    sdist = make_sdist(tmp_path, "x", "1", needs=("flit-core",))
    assert release_workshop.build_requirements(str(sdist)) == ["flit-core"]
    path = tmp_path / "y-1.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("y-1/setup.py", "")
    assert release_workshop.build_requirements(str(path)) == ["setuptools>=40.8.0", "wheel"]


@pytest.fixture
def repository(tmp_path: Path) -> tuple[str, str]:
    """A package in a directory of a git repository: its URL and a commit."""
    with tarfile.open(make_sdist(tmp_path / "made", "ours", "1.5", requires=("starlette",))) as archive:
        archive.extractall(tmp_path / "repository", filter="data")
    git = ["git", "-C", str(tmp_path / "repository"), "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "one"]):
        subprocess.run([*git, *command], check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    return f"file://{tmp_path}/repository", commit


@pytest.mark.project("served", "`lib @ git+https://…@COMMIT`", "that commit is built")
def test_a_package_of_a_commit_is_built_and_wins_over_the_indexs(
    run: Run, source: Path, index: Path, repository: tuple[str, str]
) -> None:
    url, commit = repository
    make_wheel(index, "ours", "1.5")
    require(source, f"ours @ git+{url}@{commit}#subdirectory=ours-1.5", f"no @ git+{url}@{commit} ; os_name == 'nt'")
    result = run()
    assert result["packages"]["ours"] == "1.5" and built(run) == 2  # said before it is fetched, and before it is built
    text = next(Path(result["path"]).glob(".venv/lib/*/site-packages/ours-1.5.dist-info/METADATA")).read_text()
    assert "Requires-Dist: starlette" in text


@pytest.mark.parametrize("commit", ["2177163436a6", "217716343696", "2c1", "1e5", "000000000000", "abcdef123456"])
def test_no_commit_is_taken_for_a_version(commit: str) -> None:
    """uv refuses a wheel of another version than the archive's name says, and each hundredth commit looks like one."""
    with pytest.raises(InvalidSdistFilename):
        parse_sdist_filename(commit_name("ours", commit.ljust(40, "f")))


def test_a_commit_that_gives_no_wheel_is_refused_by_its_line(
    run: Run, source: Path, index: Path, repository: tuple[str, str]
) -> None:
    url, commit = repository
    for line, why in (
        (f"ours @ git+{url}@{commit}#subdirectory=nope", "there is no directory nope in that commit"),
        (f"other @ git+{url}@{commit}#subdirectory=ours-1.5", "what is built there is ours"),
        (f"ours @ git+{url}@{'0' * 40}", "has no branch, tag or commit of that name"),
    ):
        require(source, line)
        with pytest.raises(ReleaseError, match=f"fastapi_requirements has .*{why}"):
            run()
    require(source, f"ours @ git+{url}@{commit}")
    with pytest.raises(ReleaseError, match=r"built from a commit.*fastapi_release_method: wheels"):
        run(method="index")
