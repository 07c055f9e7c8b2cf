from __future__ import annotations

import contextlib
import os
import random
import shutil
import string
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app.releases import ReleaseError
from ansible_collections.graceful.deploy.plugins.plugin_utils._release import bundle as release_bundle
from ansible_collections.graceful.deploy.plugins.plugin_utils._release import lockfile as release_lockfile
from ansible_collections.graceful.deploy.plugins.plugin_utils._release import read as release_read
from ansible_collections.graceful.deploy.plugins.plugin_utils._release import source as release_source
from ansible_collections.graceful.deploy.plugins.plugin_utils._release import target as release_target
from ansible_collections.graceful.deploy.plugins.plugin_utils._release.options import DEFAULT_EXCLUDE
from hypothesis import given, settings
from hypothesis import strategies as st

NAME = st.text(string.ascii_letters + "._-é", min_size=1, max_size=6).filter(
    lambda name: name not in (".", "..") and not release_source.excluded(name, True, release_source.NEVER_SHIPPED)
)
TREE = st.dictionaries(
    st.tuples(NAME.map(lambda name: "d" + name), NAME),
    st.tuples(st.binary(max_size=30), st.booleans()),
    min_size=1,
    max_size=6,
)


def write(top: Path, tree: dict[tuple[str, str], tuple[bytes, bool]], order: list[tuple[str, str]], when: int) -> Path:
    for key in order:
        content, executable = tree[key]
        path = top.joinpath(*key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o755 if executable else 0o600)
        os.utime(path, (when, when))
    return top


def id_of(top: Path, **header: object) -> str:
    return release_source.release_id(release_source.scan(str(top), []), {"python": "3.11", **header})[0]


@settings(max_examples=60, deadline=None)
@given(TREE, st.data())
def test_order_times_and_place_do_not_matter_and_content_does(
    tmp_path_factory: pytest.TempPathFactory, tree: dict, data: st.DataObject
) -> None:
    first = write(tmp_path_factory.mktemp("a"), tree, list(tree), 1_000_000)
    second = write(tmp_path_factory.mktemp("b"), tree, data.draw(st.permutations(list(tree))), 2_000_000)
    (second / "empty" / "directory").mkdir(parents=True)
    assert id_of(first) == id_of(second)
    victim = second.joinpath(*data.draw(st.sampled_from(sorted(tree))))
    change = data.draw(st.sampled_from(["content", "bit", "name", "gone", "link"]))
    if change == "content":
        victim.write_bytes(victim.read_bytes() + b"x")
    elif change == "bit":
        victim.chmod(victim.stat().st_mode ^ 0o100)
    elif change == "name":
        victim.rename(victim.with_name(victim.name + "2"))
    elif change == "gone":
        victim.unlink()
    else:
        victim.unlink()
        victim.symlink_to("elsewhere")
    assert id_of(first) != id_of(second)


def test_the_order_in_which_a_disk_lists_files_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abc":
        (tmp_path / name).write_text(name)
    before, scandir = id_of(tmp_path), os.scandir

    @contextlib.contextmanager
    def reversed_scandir(path: str) -> Iterator[list[os.DirEntry]]:
        with scandir(path) as listing:
            yield sorted(listing, key=lambda item: item.name, reverse=True)

    monkeypatch.setattr(os, "scandir", reversed_scandir)
    assert id_of(tmp_path) == before


@pytest.mark.parametrize("header", [{"python": "3.13"}, {"method": "venv"}, {"pins": ["gunicorn==27.0.1"]}])
def test_what_else_a_release_is_made_of_changes_its_id(tmp_path: Path, header: dict) -> None:
    (tmp_path / "main.py").touch()
    assert id_of(tmp_path) != id_of(tmp_path, **header)


def test_moving_bytes_between_name_and_content_changes_the_id(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for top, name, content in ((one, "ab", "c"), (other, "a", "bc")):
        top.mkdir()
        (top / name).write_text(content)
    assert id_of(one) != id_of(other)


@pytest.mark.parametrize(
    ("path", "is_directory", "pattern", "hit"),
    [
        ("a/b/x.pyc", False, "*.pyc", True),
        ("a/.env", False, ".env", True),
        ("a/.envrc", False, ".env", False),
        ("data", True, "data/", True),
        ("data", False, "data/", False),
        ("a/data", True, "data/", True),
        ("a/data", True, "/data", False),
        ("data", True, "/data", True),
        ("docs/build", True, "docs/build", True),
        ("a/docs/build", True, "docs/build", False),
        ("a/docs/build", True, "docs/build/", False),
        ("a/docs/x.md", False, "*/x.md", True),
        ("File", False, "file", False),
        ("x1", False, "x[0-9]", True),
    ],
)
def test_exclusion(path: str, is_directory: bool, pattern: str, hit: bool) -> None:
    assert release_source.excluded(path, is_directory, [pattern]) is hit


def test_secrets_caches_and_virtual_environments_are_not_shipped(tmp_path: Path) -> None:
    for name in ("app/main.py", ".env", ".env.production", "app/__pycache__/m.pyc", ".git/config", "my-env/pyvenv.cfg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [entry.path for entry in release_source.scan(str(tmp_path), DEFAULT_EXCLUDE)] == ["app/main.py"]


def test_links_inside_are_kept_and_those_that_lead_out_refused_all_at_once(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").touch()
    (tmp_path / "inside").symlink_to("a/file")
    (tmp_path / "a" / "directory").symlink_to("..")
    (tmp_path / "dangling").symlink_to("a/later")
    kept = {entry.path: entry.target for entry in release_source.scan(str(tmp_path), []) if entry.target}
    assert kept == {"inside": "a/file", "a/directory": "..", "dangling": "a/later"}
    (tmp_path / "out").symlink_to("../elsewhere")
    (tmp_path / "absolute").symlink_to(tmp_path / "a")
    # By its text alone this one stays inside.
    (tmp_path / "winding").symlink_to("a/directory/../x")
    with pytest.raises(ReleaseError) as refused:
        release_source.scan(str(tmp_path), [])
    assert all(f"{name} is a symlink to" in str(refused.value) for name in ("out", "absolute", "winding"))


@pytest.mark.project("served", "an `.env.template` or the like that the code names, as by `env_file`", "it is shipped")
def test_an_example_of_the_environment_is_shipped_where_the_code_names_it(tmp_path: Path) -> None:
    """A settings class had 25 of its defaults in an envs/.env.template, and nothing was set on the host."""
    for name in (".env", "envs/.env", "envs/.env.template", "envs/.env.example", "envs/.env.template.local"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("A=1\n")
    (tmp_path / "settings.py").write_text("env_file = (ENVS / '.env.template', ENVS / '.env')  # not .env.example\n")
    assert [entry.path for entry in release_source.scan(str(tmp_path), [])] == ["envs/.env.template", "settings.py"]
    assert [entry.path for entry in release_source.scan(str(tmp_path), ["envs"])] == ["settings.py"]


@pytest.mark.parametrize("patterns", [[], ["tests"], DEFAULT_EXCLUDE])
def test_secrets_and_version_control_stay_behind_whatever_is_left_out(tmp_path: Path, patterns: list[str]) -> None:
    """A list of one's own, such as [tests], had shipped .env and .git."""
    for name in (".env", "deep/.env.production", ".envrc", ".netrc", ".git/config", "deep/.git", ".hg/x", "main.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("canary")
    assert [entry.path for entry in release_source.scan(str(tmp_path), patterns)] == ["main.py"]


@pytest.mark.parametrize("name", ["release.json", ".venv/bin/python"])
def test_names_that_a_release_needs_for_itself_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).touch()
    with pytest.raises(ReleaseError, match="the release keeps its own"):
        release_source.scan(str(tmp_path), [])


@pytest.mark.project("refused", "files in Git LFS", "`git lfs pull` in a clone, and its path")
def test_a_pointer_of_git_lfs_is_refused_by_name(tmp_path: Path) -> None:
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 12345\n"
    (tmp_path / "model.bin").write_text(pointer)
    (tmp_path / "about.md").write_text(f"A pointer looks like this:\n{pointer}")
    with pytest.raises(ReleaseError, match=r"model\.bin is a pointer of Git LFS.*git lfs pull") as refused:
        release_source.scan(str(tmp_path), [])
    assert "about" not in str(refused.value)
    assert len(release_source.scan(str(tmp_path), ["*.bin"])) == 1


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ReleaseError, match="pipe is neither a file, a directory nor a symlink"):
        release_source.scan(str(tmp_path), [])


@pytest.mark.parametrize("name", ["environment.yaml", "env.yml", "env.yaml", "conda.yml"])
def test_condas_environment_is_refused_by_whatever_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("name: shop\nchannels: [conda-forge]\ndependencies:\n  - fastapi\n")
    with pytest.raises(ReleaseError, match=r"Conda's packages.*pip list --format=freeze > requirements.txt"):
        release_lockfile.find_requirements(str(tmp_path), "")
    if "environment" not in name:
        (tmp_path / "pyproject.toml").write_text("[project]\ndependencies = ['fastapi']\n")
        (tmp_path / name).write_text("DEBUG: false\n")
        assert release_lockfile.find_requirements(str(tmp_path), "") == "pyproject.toml"


def test_requirements_are_found_or_refused_with_what_to_write(tmp_path: Path) -> None:
    def find(wanted: str = "") -> str:
        return release_lockfile.find_requirements(str(tmp_path), wanted)

    with pytest.raises(
        ReleaseError, match=r"says what the app needs \(looked for requirements\.txt.*Write a requirements"
    ):
        find()
    for name, advice in (
        ("setup.py", "hashes setup.py -o"),
        ("requirements.in", "s.in -o"),
        ("Pipfile", "Run pipenv lock, and commit Pipfile.lock"),
        ("environment.yml", "Conda's packages.*pip list --format=freeze > requirements.txt"),
    ):
        (tmp_path / name).touch()
        with pytest.raises(ReleaseError, match=advice):
            find()
    (tmp_path / "pyproject.toml").write_text("[tool.ruff]\n")
    with pytest.raises(ReleaseError, match="Conda"):
        find()
    (tmp_path / "pyproject.toml").write_text("[project]\ndependencies = ['fastapi']\n")
    with pytest.raises(ReleaseError, match=r"has pyproject\.toml and environment\.yml\. Write"):
        find()
    (tmp_path / "environment.yml").unlink()
    (tmp_path / "pyproject.toml").write_text("[project]\ndependencies = ['fastapi']\n")
    assert find() == "pyproject.toml"
    (tmp_path / "uv.lock").touch()
    assert find() == "uv.lock"
    (tmp_path / "pylock.toml").touch()
    with pytest.raises(ReleaseError, match=r"has pylock\.toml and uv\.lock\. Write fastapi_requirements: "):
        find()
    (tmp_path / "pylock.toml").unlink()
    (tmp_path / "uv.lock").unlink()
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "prod.txt").touch()
    assert find() == "requirements/prod.txt"
    (tmp_path / "requirements.txt").touch()
    with pytest.raises(
        ReleaseError, match=r"has requirements\.txt and requirements/prod\.txt\. Write fastapi_requirements: "
    ):
        find()
    assert find("./requirements/../requirements.txt") == "requirements.txt"
    for wanted in ("../requirements.txt", "/etc/passwd"):
        with pytest.raises(ReleaseError, match="has to be a path inside"):
            find(wanted)
    with pytest.raises(ReleaseError, match="there is no such file"):
        find("nope.txt")


@pytest.mark.parametrize(
    ("app", "paths", "good"),
    [
        ("app.main:app", ["app/main.py"], True),
        ("app.main:app", ["app/main/__init__.py"], True),
        ("app.main:app", ["app/main.cpython-311-x86_64-linux-gnu.so", "app/x.py"], True),
        ("app.main:app", ["app/server.py"], False),
        ("app.main:app", ["other.py"], True),
        ("app.main:app", ["app/logo.png"], True),
        ("main:app", ["main.py"], True),
        ("app:app", ["app/__init__.py"], True),
        ("app.api.main:app", ["app/api/v1.py"], False),
    ],
)
def test_the_module_of_the_app(app: str, paths: list[str], good: bool) -> None:
    entries = [release_source.Entry(path, False, 0, "") for path in paths]
    if good:
        release_source.check_app(entries, app)
    else:
        with pytest.raises(ReleaseError, match=rf"fastapi_app is {app}.* It has {paths[0]}"):
            release_source.check_app(entries, app)


@pytest.mark.project("refused", "a newer Python than the host has", "the version, and `fastapi_python`")
def test_requires_python(tmp_path: Path) -> None:
    assert release_lockfile.requires_python(str(tmp_path)) == ""
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\nrequires-python = ">=3.12"\n')
    wanted = release_lockfile.requires_python(str(tmp_path))
    release_target.check_python(wanted, "3.13.0")
    with pytest.raises(ReleaseError, match=r"the host's is 3\.11\.2\. Debian 13 has Python 3\.13\. Set fastapi_python"):
        release_target.check_python(wanted, "3.11.2")
    with pytest.raises(
        ReleaseError,
        match=r"the host's is 3\.13\.5\. No Debian's own Python fits\. Set fastapi_python",
    ):
        release_target.check_python(">=3.14", "3.13.5")
    (tmp_path / "pyproject.toml").write_text("[project\n")
    with pytest.raises(ReleaseError, match="can't be read"):
        release_lockfile.requires_python(str(tmp_path))


def test_the_revision_is_read_and_the_index_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert release_bundle.revision(str(tmp_path)) == ""
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("HOME", str(tmp_path))

    def git(*command: str) -> None:
        who = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
        environment = {name: value for name, value in os.environ.items() if name != "GIT_DIR"}
        subprocess.run(["git", "-C", str(tmp_path), *who, *command], check=True, capture_output=True, env=environment)

    git("init")
    (tmp_path / "file").write_text("1")
    git("add", "file")
    git("commit", "-m", "one")
    clean = release_bundle.revision(str(tmp_path))
    assert len(clean) == 40
    before = (tmp_path / ".git" / "index").stat().st_mtime_ns
    (tmp_path / "file").write_text("2")
    assert release_bundle.revision(str(tmp_path)) == f"{clean}-dirty"
    assert (tmp_path / ".git" / "index").stat().st_mtime_ns == before
    # A copy of some app's code that lies in somebody else's checkout, whose revision says nothing of it.
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "main.py").write_text("1")
    for _time in ("untracked", "ignored"):
        assert release_bundle.revision(str(tmp_path / "shop")) == ""
        (tmp_path / ".gitignore").write_text("shop\n")
    (tmp_path / ".gitignore").unlink()
    git("add", "shop")
    git("commit", "-m", "two")
    assert len(release_bundle.revision(str(tmp_path / "shop"))) == 40


def test_a_zip_entry_of_month_13_is_refused_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "app.zip"
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("app/main.py")
        info.date_time = (2026, 13, 1, 0, 0, 0)
        archive.writestr(info, "app = 1\n")
    with pytest.raises(ReleaseError, match=r"app.zip, and can't be unpacked: .* Make it anew"):
        release_read.open_path(str(path), str(tmp_path))


@pytest.mark.parametrize("kind", ["zip", "gztar", "bztar", "xztar"])
def test_whatever_is_damaged_in_an_archive_is_told_in_a_sentence(tmp_path: Path, kind: str) -> None:
    top = tmp_path / "top" / "hello"
    top.mkdir(parents=True)
    (top / "main.py").write_bytes(random.Random(1).randbytes(2000))
    packed = Path(shutil.make_archive(str(tmp_path / "packed"), kind, top.parent))
    content = bytearray(packed.read_bytes())
    for place in range(0, len(content), 23):
        damaged = tmp_path / f"damaged{place}"
        damaged.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        (tmp_path / f"work{place}").mkdir()
        with contextlib.suppress(ReleaseError):
            release_read.open_path(str(damaged), str(tmp_path / f"work{place}"))
