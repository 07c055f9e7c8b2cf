"""Root reads what people's own files say: no pipe, nothing endless, and nothing that somebody's link leads to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._adopt import code
from ansible_collections.graceful.deploy.plugins.module_utils._adopt.look import look
from ansible_collections.graceful.deploy.plugins.module_utils._adopt.programs import Host, Refused
from ansible_collections.graceful.deploy.plugins.module_utils._host.reading import directory_led, read_led

root = pytest.mark.skipif(os.geteuid() != 0, reason="it makes files another user's")
EVE = 65534


def test_a_file_is_read_whole_or_not_at_all(tmp_path):
    (tmp_path / "a").write_text("x" * 10)
    assert (read_led(str(tmp_path / "a"), 10), read_led(str(tmp_path / "a"), 9)) == ("x" * 10, None)


def test_a_pipe_and_an_endless_file_hold_nobody_back(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").touch()
    os.truncate(tmp_path / "large", 1 << 40)
    assert [read_led(str(tmp_path / name)) for name in ("pipe", "large", "none")] == [None] * 3
    assert read_led("/dev/zero") is None


def test_a_pipe_beside_the_code_is_none_of_it(tmp_path):
    (tmp_path / "main.py").write_text("app = 1\n")
    os.mkfifo(tmp_path / "pipe")
    assert code.pack(str(tmp_path))
    found = code.look(Host(lambda _command: (1, "", ""), str(tmp_path.parent)), f"/{tmp_path.name}")
    assert (found["bytes"], found["data"]) == (8, [])


def test_a_link_of_the_owners_own_is_followed(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a").write_text("x")
    (tmp_path / "current").symlink_to("real")
    assert read_led(str(tmp_path / "current" / "a")) == "x"
    assert directory_led(str(tmp_path / "current")) == str(tmp_path / "real")
    (tmp_path / "real" / "main.py").write_text("app = 1\n")
    assert code.pack(str(tmp_path / "current"))


@root
def test_a_link_of_somebody_elses_leads_root_nowhere(tmp_path):
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_text("root's")
    home = tmp_path / "eve"
    home.mkdir()
    (home / "key").symlink_to(tmp_path / "secret" / "key")
    (home / "place").symlink_to(tmp_path / "secret")
    for path in (home, home / "key", home / "place"):
        os.chown(path, EVE, EVE, follow_symlinks=False)
    assert [read_led(str(home / each)) for each in ("key", "place/key")] == [None, None]
    assert directory_led(str(home / "place")) == ""
    with pytest.raises(Refused, match="a link that its owner didn't make"):
        code.pack(str(home / "place"))
    # What root has linked there, root has meant.
    (tmp_path / "link").symlink_to("secret/key")
    assert read_led(str(tmp_path / "link")) == "root's"


@root
def test_another_users_file_among_the_code_is_not_fetched(tmp_path):
    (tmp_path / "main.py").write_text("app = 1\n")
    (tmp_path / "key.py").write_text("k = 1\n")
    (tmp_path / "key.py").chmod(0o600)
    for path in (tmp_path, tmp_path / "main.py"):
        os.chown(path, EVE, EVE)
    with pytest.raises(Refused, match=r"can't be read by its owner, .*: key\.py is another user's"):
        code.pack(str(tmp_path))


def test_a_file_that_has_gone_meanwhile_is_passed_over(tmp_path, monkeypatch):
    (tmp_path / "main.py").write_text("app = 1\n")
    monkeypatch.setattr(code.os, "lstat", lambda *_args, **_options: (_ for _ in ()).throw(FileNotFoundError()))
    assert list(code._walk(str(tmp_path))) == []


def test_an_environment_file_that_cannot_be_read_is_told_and_not_dropped(tmp_path: Path):
    for path, text in {
        "etc/systemd/system/a.service": "[Service]\nEnvironmentFile=/srv/a/env\nExecStart=/v/bin/uvicorn a:b\n",
        "srv/a/env": "A=1\n" + "#" * (1 << 20),
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    found = look(Host(lambda _command: (1, "", ""), str(tmp_path)), "", 2)
    assert found["unread"] == ["/srv/a/env"]
