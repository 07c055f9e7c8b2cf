"""The mark of a host that leaves: who made it, whether patch.yml is still at work, and whom it holds off."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app import leaving
from ansible_collections.graceful.deploy.plugins.module_utils._app.lock import DeployLock, Held
from ansible_collections.graceful.deploy.plugins.module_utils._observe.text import _leaving

NOTE = {"by": "ann@laptop", "since": "2026-11-25T00:58:16Z", "phase": "reboot"}


@pytest.fixture
def root(tmp_path) -> str:
    return str(tmp_path)


def aged(root: str, seconds: float) -> None:
    note = json.loads(Path(leaving.note_path(root)).read_text())
    with open(leaving.note_path(root), "w") as file:
        json.dump({**note, "said": time.time() - seconds}, file)


def test_a_mark_made_by_hand_holds_nobody_off(root):
    assert leaving.note_in(root) == {}
    open(leaving.path(root), "w").close()
    note = leaving.note_in(root)
    assert note["since"].endswith("Z") and not note["alive"]
    assert leaving.patched_by(root) == {}
    DeployLock(root).release()
    assert _leaving(note, "/srv/hello")[-1].endswith("rm /srv/hello/leaving")
    os.unlink(leaving.path(root))
    leaving.remove(root)
    assert leaving.note_in(root) == {}


def test_a_patch_beside_a_mark_made_by_hand_knows_what_it_has_begun_and_leaves_the_mark(root):
    open(leaving.path(root), "w").close()
    leaving.write(root, {**NOTE, "upgraded": "openssl"})
    assert leaving.patching_in(root)["upgraded"] == "openssl" and leaving.is_by_hand(root)
    with pytest.raises(Held):
        DeployLock(root)
    assert "is under way, in phase reboot" in _leaving(leaving.note_in(root), root)[1]
    leaving.remove(root)
    assert sorted(os.listdir(root)) == ["deploy.lock", "leaving"]
    assert leaving.note_in(root)["by"] == "" and leaving.patching_in(root) == {}


def test_a_patch_takes_its_own_mark_with_it(root):
    leaving.write(root, NOTE)
    assert not leaving.is_by_hand(root) and leaving.note_in(root)["phase"] == "reboot"
    leaving.remove(root)
    assert os.listdir(root) == []


def test_a_mark_that_somebody_took_away_is_not_forgotten_by_patch(root):
    leaving.write(root, NOTE)
    os.unlink(leaving.path(root))
    assert leaving.note_in(root) == {} and leaving.patched_by(root)["phase"] == "reboot"


@pytest.mark.parametrize("text", ["null", "[1]", "{", '{"said": "now", "kind": "patch"}', '{"said": 1e400}', "\0" * 9])
def test_a_mark_that_nobody_can_read_is_one(root, text):
    for place in (leaving.path(root), leaving.note_path(root)):
        with open(place, "w") as file:
            file.write(text)
    assert not leaving.note_in(root)["alive"]
    assert leaving.patched_by(root) == {}


def test_no_deploy_between_two_calls_of_patch(root):
    leaving.write(root, NOTE)
    assert all(os.stat(place).st_mode & 0o777 == 0o600 for place in (leaving.path(root), leaving.note_path(root)))
    with pytest.raises(Held) as held:
        DeployLock(root)
    said = held.value.sentence("hello")
    assert said.startswith("patch.yml is patching this host: ann@laptop began at 2026-11-25T00:58:16Z, and is in phase")
    assert "process" not in said and "fastapi_lock_wait=900" in said
    # Its own start of the app anew.
    DeployLock(root, patches=True).release()
    assert "is under way, in phase reboot" in _leaving(leaving.note_in(root), root)[1]


def test_a_patch_that_died_holds_nobody_off(root):
    leaving.write(root, NOTE)
    aged(root, leaving.QUIET + 1)
    DeployLock(root).release()
    assert "Run it again" in _leaving(leaving.note_in(root), root)[1]


def test_a_deploy_that_waits_goes_on_when_the_mark_goes(root):
    leaving.write(root, NOTE)
    begun = time.monotonic()
    aged(root, leaving.QUIET - 0.6)
    lock = DeployLock(root, wait=20)
    assert "of which then: ann@laptop" in lock.waited and time.monotonic() - begun < 15
    lock.release()
