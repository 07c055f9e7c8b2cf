"""Files of a host: a lock has one holder, also where its file goes meanwhile."""

from __future__ import annotations

import fcntl
import os

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app.lock import NAME, DeployLock
from ansible_collections.graceful.deploy.plugins.module_utils._host import files
from ansible_collections.graceful.deploy.plugins.module_utils._release.place import mutex


@pytest.fixture
def removed_once(monkeypatch):
    """A removal that unlinks the file between its open and its lock; returns the removal's own descriptor."""

    def watch(path):
        flock, done = fcntl.flock, []

        def at_the_moment(descriptor, how):
            if not done:
                done.append(True)
                os.unlink(path)
            flock(descriptor, how)

        monkeypatch.setattr(files.fcntl, "flock", at_the_moment)

    return watch


def test_a_deploy_lock_whose_file_was_just_removed_is_taken_anew(tmp_path, removed_once):
    path = tmp_path / NAME
    path.touch()
    removed_once(path)
    lock = DeployLock(str(tmp_path))
    assert os.path.samestat(os.fstat(lock.descriptor), path.stat())


def test_a_mutex_whose_file_another_has_made_anew_is_not_held_by_two(tmp_path, monkeypatch):
    path = tmp_path / "build.lock"
    path.touch()
    flock, done = fcntl.flock, []

    def at_the_moment(descriptor, how):
        if not done:
            path.unlink()
            done.append(os.open(path, os.O_RDWR | os.O_CREAT))
            flock(done[0], fcntl.LOCK_EX)
        flock(descriptor, how)

    monkeypatch.setattr(files.fcntl, "flock", at_the_moment)
    with mutex(str(path), wait=False) as mine:
        assert not mine
    os.close(done[0])
    with mutex(str(path), wait=False) as mine:
        assert mine


def test_a_directory_that_goes_has_no_holder(tmp_path):
    with pytest.raises(FileNotFoundError):
        files.hold(str(tmp_path / "none" / NAME), os.O_RDWR | os.O_CREAT, wait=False)
