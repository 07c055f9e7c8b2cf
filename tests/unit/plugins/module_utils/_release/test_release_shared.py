"""Directories that outlive releases."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app.releases import ReleaseError
from ansible_collections.graceful.deploy.plugins.module_utils._release.access import make_shared
from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs import rules as preflight_rules
from ansible_collections.graceful.deploy.plugins.plugin_utils._release.source import Entry, without_shared, wrong_path
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
        (["/srv/media"], "'/srv/media' in it has to be a directory below the release"),
        (["media/"], "has to be a directory below"),
        ([""], "has to be a directory below"),
        (["a/../b"], "has to be a directory below"),
        (["a\nb"], "has to be a directory below"),
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


def test_placeholders_are_left_out_and_other_files_are_refused() -> None:
    entries = [entry("app/main.py"), entry("media/.gitkeep"), entry("media.py"), entry("var/uploads/a/.keep")]
    stay = without_shared(entries, ["media", "var/uploads"])
    assert [item.path for item in stay] == ["app/main.py", "media.py"]
    with pytest.raises(ReleaseError, match=r"has media, and fastapi_source has media/logo\.png.*fastapi_exclude"):
        without_shared([entry("media/logo.png")], ["media"])
    with pytest.raises(ReleaseError, match="fastapi_source has media, which"):
        without_shared([entry("media", "elsewhere")], ["media"])
    with pytest.raises(ReleaseError, match="has var/uploads, and var in fastapi_source is no directory"):
        without_shared([entry("var", "elsewhere")], ["var/uploads"])


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
