"""Whether an app has its data and releases still, by another user or group."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._preflight import owners
from ansible_collections.graceful.deploy.plugins.module_utils._preflight.owners import judge_owners, read_owners

USER, GROUP = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name


def asked(root: Path, **changed: object) -> list[str]:
    params = {"name": "hello", "root": str(root), "user": USER, "group": GROUP, "shared_paths": ["media", "a.db"]}
    return [problem.sentence for problem in judge_owners(params | changed, read_owners(params | changed))]


def release(root: Path, name: str, created: str) -> Path:
    path = root / "releases" / name
    path.mkdir(parents=True)
    (path / "release.json").write_text(f'{{"id": "{name}", "created": "{created}"}}')
    return path


class Owned:
    """Files look as if they were other people's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.of: dict[str, tuple[int, int, int]] = {}
        for ask in ("stat", "lstat"):
            real = getattr(os, ask)
            monkeypatch.setattr(owners.os, ask, lambda path, real=real, **more: self.changed(path, real(path, **more)))

    def changed(self, path: object, found: os.stat_result) -> os.stat_result:
        if str(path) not in self.of:
            return found
        uid, gid, mode = self.of[str(path)]
        return os.stat_result((found.st_mode & ~0o7777 | mode, *found[1:4], uid, gid, *found[6:]))


@pytest.fixture
def owned(monkeypatch: pytest.MonkeyPatch) -> Owned:
    return Owned(monkeypatch)


def test_a_group_that_could_not_read_the_release_is_refused(tmp_path: Path, owned: Owned) -> None:
    """Changing to the requested working directory failed: Permission denied."""
    assert asked(tmp_path) == [] == asked(tmp_path, group="nobody-here")
    old, new = release(tmp_path, "a", "2026-01-01"), release(tmp_path, "b", "2026-01-02")
    daemon = grp.getgrnam("daemon").gr_gid
    for path, gid in ((old, 54321), (new, daemon)):
        owned.of[str(path)] = (0, gid, 0o750)
    (said,) = asked(tmp_path, group="hello")
    assert said.startswith("fastapi_group is 'hello': the release in")
    assert (
        "belongs to the group daemon on this host, and the app couldn't read it. Write fastapi_group: daemon." in said
    )
    assert said.endswith("take the app off the host first (fastapi_state: absent, which leaves its data), then deploy.")
    assert asked(tmp_path, group="daemon") == []
    # What is live counts.
    (tmp_path / "slots" / "blue").mkdir(parents=True)
    (tmp_path / "slots" / "blue" / "release").symlink_to("../../releases/a")
    (tmp_path / "live.sock").symlink_to("/run/hello/blue.sock")
    assert "belongs to the group 54321" in asked(tmp_path, group="daemon")[0]
    (tmp_path / "live.sock").unlink()
    # Whoever may not look is told so by somebody else.
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "releases").touch()
    assert asked(tmp_path / "more", group="hello") == []


@pytest.mark.parametrize(
    ("uid", "mode", "refused"), [(2, 0o750, True), (2, 0o757, False), (0, 0o750, False), (None, 0o750, False)]
)
def test_data_that_the_user_could_not_write_is_refused(
    tmp_path: Path, owned: Owned, uid: int | None, mode: int, refused: bool
) -> None:
    path = tmp_path / "shared" / "a.db"
    path.mkdir(parents=True)
    me = pwd.getpwnam("daemon")
    owned.of[str(path)] = (me.pw_uid if uid is None else uid, 54321, mode)
    said = asked(tmp_path, user="daemon")
    assert len(said) == refused
    if refused:
        assert said[0].startswith(f"fastapi_user is 'daemon': {path} belongs to bin on this host, and daemon may not")
        assert "Write fastapi_user: bin." in said[0] and f"run chown -R daemon {path} there, and deploy." in said[0]
    # One that isn't made yet may get that number.
    assert asked(tmp_path, user="nobody-here") == []


def test_data_of_an_account_that_is_gone_is_nobodys_to_name(tmp_path: Path, owned: Owned) -> None:
    path = tmp_path / "shared" / "media"
    path.mkdir(parents=True)
    owned.of[str(path)] = (54321, 54321, 0o750)
    (said,) = asked(tmp_path, user="daemon")
    assert "belongs to 54321 on this host" in said and "Write fastapi_user" not in said and "chown -R daemon" in said
