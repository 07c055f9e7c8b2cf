"""Directories and files that outlive releases."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app.releases import ReleaseError
from ansible_collections.graceful.deploy.plugins.module_utils._host.systemd import CommandFailed
from ansible_collections.graceful.deploy.plugins.module_utils._release.access import make_shared
from ansible_collections.graceful.deploy.plugins.module_utils._swap.flow import told
from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs import rules as preflight_rules
from ansible_collections.graceful.deploy.plugins.plugin_utils._release.source import (
    Entry,
    shared_files,
    without_shared,
    wrong_path,
)
from hypothesis import given
from hypothesis import strategies as st
from release_run import Run, releases

PARTS = st.sampled_from(["a", "b", "a b", "..", ".", "", "media", ".venv"])
PATHS = st.lists(st.lists(PARTS, min_size=1, max_size=3).map("/".join), max_size=3)


def entry(path: str, target: str = "") -> Entry:
    return Entry(path, False, 0, "", target)


@pytest.mark.parametrize(
    ("paths", "says"),
    [
        (["/srv/media"], "'/srv/media' in it has to be a path below the release"),
        (["media/"], "has to be a path below"),
        ([""], "has to be a path below"),
        (["a/../b"], "has to be a path below"),
        (["a\nb"], "has to be a path below"),
        ([".venv/x"], "'.venv/x' in it is the release's own"),
        (["media", "media"], "'media' is in it twice"),
        (["media/cache", "media"], "'media/cache' in it lies in 'media'"),
    ],
)
def test_wrong_paths_are_refused_before_anything_changes(paths: list[str], says: str) -> None:
    assert says in wrong_path(paths)
    problem = preflight_rules.shared_paths("shared_paths", paths)
    assert problem is not None and says in problem.sentence


@given(PATHS)
def test_what_passes_stays_below_the_release_and_apart(paths: list[str]) -> None:
    if wrong_path(paths):
        return
    assert [os.path.normpath(path) for path in paths] == paths
    for path in paths:
        assert not path.startswith(("/", "..")) and not any(o != path and o.startswith(f"{path}/") for o in paths)


def test_placeholders_are_left_out_and_code_and_links_are_refused() -> None:
    entries = [entry("app/main.py"), entry("media/.gitkeep"), entry("media.py"), entry("var/uploads/a/.keep")]
    stay = without_shared([*entries, entry("media/logo.png")], ["media", "var/uploads"])
    assert [item.path for item in stay] == ["app/main.py", "media.py", "media/logo.png"]
    with pytest.raises(
        ReleaseError, match=r"has app, and fastapi_source has app/main\.py: code, which no later deploy"
    ):
        without_shared(entries, ["app"])
    with pytest.raises(ReleaseError, match="fastapi_source has media: a link"):
        without_shared([entry("media", "elsewhere")], ["media"])
    with pytest.raises(ReleaseError, match="has var/uploads, and var in fastapi_source is no directory"):
        without_shared([entry("var", "elsewhere")], ["var/uploads"])


def test_a_directory_begins_as_the_sources_once(run: Run, source: Path) -> None:
    """An upload failed where the repository has some: its directory could be no shared one."""
    (source / "up" / "in").mkdir(parents=True)
    (source / "up" / "in" / "a.txt").write_text("a")
    (source / "up" / "b.txt").write_text("b")
    up = Path(run(shared_paths=["up"])["path"]) / "up"
    assert os.readlink(up) == "../../shared/up" and (up / "in" / "a.txt").read_text() == "a"
    (up / "b.txt").unlink()
    (up / "in" / "a.txt").write_text("changed")
    (source / "up" / "c.txt").write_text("c")
    again = Path(run(shared_paths=["up"])["path"]) / "up"
    assert sorted(os.listdir(again)) == ["in"] and (again / "in" / "a.txt").read_text() == "changed"


def test_what_it_begins_with_is_the_apps(tmp_path: Path) -> None:
    (tmp_path / "tree" / "up" / "in").mkdir(parents=True, mode=0o700)
    (tmp_path / "tree" / "up" / "in" / "a").touch()
    make_shared(str(tmp_path), ["up"], 12345, 23456, str(tmp_path / "tree"))
    for place, mode in (("up", 0o750), ("up/in", 0o750), ("up/in/a", 0o640)):
        found = (tmp_path / "shared" / place).stat()
        assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (12345, 23456, mode)


def test_a_release_finds_what_the_one_before_wrote(run: Run, source: Path) -> None:
    (source / "media").mkdir()
    (source / "media" / ".gitkeep").touch()
    paths = ["media", "var/uploads"]
    first = Path(run(shared_paths=paths)["path"])
    (first / "var" / "uploads" / "file").write_text("kept")
    (source / "app" / "more.py").touch()
    result = run(shared_paths=paths)
    second = Path(result["path"])
    assert (second / "var/uploads/file").read_text() == "kept" and second != first
    assert os.readlink(second / "var/uploads") == "../../../shared/var/uploads"
    assert os.readlink(second / "media") == "../../shared/media" and list((second / "media").iterdir()) == []
    assert not run(shared_paths=paths)["changed"]
    assert run(shared_paths=["media"])["release"] != result["release"]


def test_directories_are_made_once_for_the_user(tmp_path: Path) -> None:
    make_shared(str(tmp_path), ["var/uploads"], 12345, 23456)
    places = [tmp_path / "shared", tmp_path / "shared/var", tmp_path / "shared/var/uploads"]
    owners = [(place.stat().st_uid, place.stat().st_gid, place.stat().st_mode & 0o777) for place in places]
    me = os.geteuid()
    assert owners == [(me, 23456, 0o750), (me, 23456, 0o750), (12345, 23456, 0o750)]
    places[1].chmod(0o755)
    places[2].chmod(0o770)
    make_shared(str(tmp_path), ["var/uploads", "media"], 54321, 23456)
    assert places[1].stat().st_mode & 0o777 == 0o755 and places[2].stat().st_mode & 0o777 == 0o770
    assert places[2].stat().st_uid == 12345


def test_a_directory_that_a_run_left_half_made_is_finished(tmp_path: Path) -> None:
    (tmp_path / "shared" / "media").mkdir(parents=True, mode=0o700)
    (tmp_path / "shared").chmod(0o700)
    make_shared(str(tmp_path), ["media"], 12345, 23456)
    assert (tmp_path / "shared/media").stat().st_uid == 12345


def test_the_way_to_what_is_left_of_an_app_follows_its_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PermissionError: questions/easy.json. Data stays where an app is taken off, and comes back with another group."""
    me = (os.geteuid(), os.getegid())
    make_shared(str(tmp_path), ["var/up"], *me)
    moved: list[tuple[str, int, int]] = []
    monkeypatch.setattr(os, "fchown", lambda place, *to: moved.append((os.readlink(f"/proc/self/fd/{place}"), *to)))
    make_shared(str(tmp_path), ["var/up"], me[0], 54321)
    assert moved == [(str(tmp_path / part), -1, 54321) for part in ("shared", "shared/var")]
    # What anybody gave other rights keeps them.
    (tmp_path / "shared").chmod(0o755)
    moved.clear()
    make_shared(str(tmp_path), ["var/up"], me[0], 54321)
    assert [path for path, *_to in moved] == [str(tmp_path / "shared/var")]


@pytest.mark.parametrize("link", ["shared", "shared/var", "shared/var/uploads"])
def test_links_of_the_app_lead_root_nowhere(tmp_path: Path, link: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "root" / link).parent.mkdir(parents=True)
    (tmp_path / "root" / link).symlink_to(elsewhere)
    with pytest.raises(ReleaseError, match=rf"{link} isn't a directory on the host\. Move it away"):
        make_shared(str(tmp_path / "root"), ["var/uploads"], 12345, 23456)
    assert list(elsewhere.iterdir()) == [] and elsewhere.stat().st_uid == os.geteuid()


def test_a_refusal_on_the_host_leaves_no_release(run: Run) -> None:
    (run.root / "shared").mkdir(parents=True)
    (run.root / "shared" / "media").touch()
    with pytest.raises(ReleaseError, match="shared/media isn't a directory"):
        run(shared_paths=["media"])
    assert releases(run) == []


def test_a_file_is_one_by_the_source_or_else_by_its_ending() -> None:
    entries = [entry("database"), entry("media.d/.gitkeep"), entry("main.py")]
    paths = ["blog.db", "var/data.json", "database", "media.d", "media", ".cache", "v1.0", "a.b/c"]
    assert shared_files(entries, paths) == ["blog.db", "var/data.json", "database"]
    assert [item.path for item in without_shared(entries, paths)] == ["database", "main.py"]


@pytest.mark.project(
    "variable", "a SQLite database or file beside the code", "`fastapi_shared_paths: [blog.db]`; init.yml writes it"
)
@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_database_beside_the_code_outlives_releases(run: Run, source: Path, mode: str) -> None:
    """Its name is fixed in the code. SQLite follows the link, and writes its journal beside what that leads to."""
    first = Path(run(shared_paths=["blog.db"])["path"])
    assert os.readlink(first / "blog.db") == "../../shared/blog.db/blog.db" and not (first / "blog.db").exists()
    database = sqlite3.connect(first / "blog.db")
    database.execute(f"PRAGMA journal_mode={mode}")
    with database:
        database.execute("CREATE TABLE posts (title TEXT)")
        database.execute("INSERT INTO posts VALUES ('kept')")
        beside = sorted(path.name for path in (run.root / "shared" / "blog.db").iterdir())
    assert beside == {"delete": ["blog.db", "blog.db-journal"], "wal": ["blog.db", "blog.db-shm", "blog.db-wal"]}[mode]
    (source / "app" / "more.py").touch()
    second = Path(run(shared_paths=["blog.db"])["path"])
    assert second != first and not list(second.glob("blog.db-*")) and not list(first.glob("blog.db-*"))
    assert sqlite3.connect(second / "blog.db").execute("SELECT * FROM posts").fetchall() == [("kept",)]
    database.close()


def test_a_file_begins_as_the_sources_once(run: Run, source: Path) -> None:
    (source / "var").mkdir()
    (source / "var" / "seed.json").write_text("[1]")
    path = Path(run(shared_paths=["var/seed.json"])["path"]) / "var" / "seed.json"
    shared = run.root / "shared/var/seed.json/seed.json"
    assert path.is_symlink() and path.resolve() == shared and path.read_text() == "[1]"
    assert os.listdir(shared.parent) == ["seed.json"] and shared.stat().st_mode & 0o777 == 0o640
    path.write_text("[1, 2]")
    (source / "var" / "seed.json").write_text("[3]")
    assert (Path(run(shared_paths=["var/seed.json"])["path"]) / "var" / "seed.json").read_text() == "[1, 2]"


def test_what_the_source_has_changed_of_it_is_told_where_the_release_is_collected(run: Run, source: Path) -> None:
    """A deploy said live, and the app went on with the questions of the first one."""
    for path in ("q/easy.json", "media/a.png", "media/b.png", "a.db"):
        (source / path).parent.mkdir(exist_ok=True)
        (source / path).write_text("1")
    paths = ["q/easy.json", "media", "none", "a.db"]
    assert not run(shared_paths=paths)["warnings"]
    # A developer's database is another one after each try.
    (source / "a.db").write_text("2")
    assert not run(shared_paths=paths)["warnings"]
    (source / "q" / "easy.json").write_text("2")
    collected = run(shared_paths=paths, state="collected")
    (told,) = collected["warnings"]
    assert told.startswith(f"q/easy.json has changed in the source, and the app goes on with what is in {run.root}/sh")
    assert f"copy it to {run.root}/shared/q/easy.json/easy.json on the host" in told
    assert run(shared_paths=paths, state="collected", collected=collected["collected"])["warnings"] == [told]
    # Once a run, and to no one who has no such path any more, or whose source has none.
    assert not run(shared_paths=paths, collected=collected["collected"])["warnings"]
    (source / "q" / "easy.json").write_text("3")
    assert not run(shared_paths=["media"])["warnings"]
    shutil.rmtree(source / "media")
    assert not run(shared_paths=["media"])["warnings"]
    (source / "media").mkdir()
    for name in ("b.png", "c.png"):
        (source / "media" / name).write_text("2")
    assert not run(shared_paths=["media"])["warnings"]
    (source / "media" / "c.png").unlink()
    (told,) = run(shared_paths=["media"])["warnings"]
    assert told.startswith("media has changed") and f"copy it to {run.root}/shared/media on" in told


def test_a_copy_that_was_cut_off_is_made_anew_and_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "a.db").write_text("whole")
    other = tmp_path / "other"
    other.write_text("root's")
    (tmp_path / "shared" / "a.db").mkdir(parents=True)
    (tmp_path / "shared" / "a.db" / ".a.db.new").symlink_to(other)
    me = (os.geteuid(), os.getegid())
    make_shared(str(tmp_path), ["a.db"], *me, str(tmp_path / "tree"), ["a.db"])
    assert (tmp_path / "shared/a.db/a.db").read_text() == "whole" and other.read_text() == "root's"


def test_a_file_that_somebody_put_there_is_told_its_place(run: Run) -> None:
    (run.root / "shared").mkdir(parents=True)
    (run.root / "shared" / "blog.db").touch()
    with pytest.raises(ReleaseError, match=r"move it to \S+/shared/blog\.db/blog\.db\."):
        run(shared_paths=["blog.db"])


def test_what_the_app_would_write_where_it_may_only_read_is_noted(run: Run, source: Path) -> None:
    """A traceback has no name of SQLite's file: it is told from the release's record where a deploy fails by it."""
    (source / "app" / "db.py").write_text("import sqlite3\ndb = sqlite3.connect('games.db')\nopen('a/b.json', 'w')\n")
    first = json.loads(Path(run(shared_paths=["a"])["path"], "release.json").read_text())
    assert (first["writes"], first["shared_files"]) == (["games.db"], [])
    said = told(CommandFailed("x"), "sqlite3.OperationalError: unable to open database file", "", "/srv/x", first)
    assert "Write fastapi_shared_paths: [a, games.db]: what is shared" in said
    second = json.loads(Path(run(shared_paths=["games.db", "a"])["path"], "release.json").read_text())
    assert (second["writes"], second["shared_files"]) == ([], ["games.db"])
