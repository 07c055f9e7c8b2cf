"""Static files of a release: the proxy's user can read these, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app.releases import ReleaseError
from ansible_collections.graceful.deploy.plugins.module_utils._app.slots import is_open
from ansible_collections.graceful.deploy.plugins.plugin_utils._release.source import Entry, check_public
from release_run import Run, releases


def entries(*paths: str) -> list[Entry]:
    return [Entry(path, False, 0, "") for path in paths]


@pytest.mark.parametrize(
    ("paths", "shared", "says"),
    [
        (["static"], [], "no such directory in fastapi_source"),
        (["app/main.py"], [], "no such directory"),
        (["../etc"], [], "has to be a path below the release"),
        (["media"], ["media"], "has media, and fastapi_shared_paths has media"),
        (["media/a"], ["media"], "nothing that the app writes"),
        (["app"], ["app/uploads"], "nothing that the app writes"),
    ],
)
def test_a_directory_that_cannot_be_served_is_refused(paths: list[str], shared: list[str], says: str) -> None:
    with pytest.raises(ReleaseError, match=says):
        check_public(entries("app/main.py", "app/static/a.css", "media/x", "media/a/x"), paths, shared)


def test_a_directory_that_is_there_is_fine() -> None:
    check_public(entries("app/main.py", "app/static/a.css"), ["app/static", "app"], ["media"])


def others(path: Path) -> int:
    return path.lstat().st_mode & 0o007


def test_others_read_the_static_files_and_pass_what_leads_there(run: Run, source: Path) -> None:
    (source / "app/static/css").mkdir(parents=True)
    (source / "app/static/css/a.css").write_text("body{}")
    (source / "app/static/link").symlink_to("../main.py")
    closed = run()["release"]
    tree = run.root / "releases" / closed
    assert not any(others(path) for path in [tree, *tree.rglob("*")] if not path.is_symlink())
    opened = run(public_paths=["app/static"])
    assert opened["changed"] and opened["release"] != closed
    assert run(public_paths=["app/static"])["changed"] is False
    tree = run.root / "releases" / opened["release"]
    open_to_all = {
        str(path.relative_to(tree)): others(path)
        for path in [tree, *tree.rglob("*")]
        if not path.is_symlink() and others(path)
    }
    assert open_to_all == {".": 1, "app": 1, "app/static": 5, "app/static/css": 5, "app/static/css/a.css": 4}
    assert is_open(str(tree)) and not is_open(str(run.root / "releases" / closed))
    assert os.stat(run.root / "releases").st_mode & 0o777 == 0o751
    assert releases(run) == sorted([closed, opened["release"]])
