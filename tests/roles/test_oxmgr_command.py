# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command NAME-oxmgr: what it gives to Oxmgr, and what it refuses."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import threading
from pathlib import Path
from unittest import mock

import pytest

PATH = Path(__file__).parents[2] / "roles/oxmgr/files/oxmgr.py"
SPEC = importlib.util.spec_from_file_location("oxmgr_command", PATH)
oxmgr = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(oxmgr)


@pytest.mark.parametrize(
    "words",
    [
        *("list", "list --json", "ps", "status hello-blue", "events", "ui", "doctor", "--version"),
        *("restart hello-blue", "rs hello-green", "stop hello-green", "rm -- hello-green", "delete worker"),
        *("apply x.toml --only hello-green", "apply x.toml --only=worker", "import x.toml --only worker,mail"),
        *("daemon --help", "reload -h", "stop --help"),
    ],
)
def test_what_does_no_harm_is_given_to_it(words: str) -> None:
    assert oxmgr.refusal("hello", "blue", words.split()) == ""


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("daemon stop", "systemctl stop hello@SLOT.socket hello-oxmgr@SLOT.service"),
        ("daemon run", "start a slot twice"),
        ("daemon", "start a slot twice"),
        ("service install", "systemctl status 'hello-oxmgr@*.service'"),
        ("startup", "systemctl status 'hello-oxmgr@*.service'"),
        ("reload hello-green", "release.yml"),
        ("rl hello-green", "release.yml"),
        ("logs hello-blue -f", "hello-logs"),
        ("log", "hello-logs"),
        ("stop hello-blue", "hello-blue serves"),
        ("delete hello-blue", "hello-blue serves"),
        ("rm -- hello-blue", "hello-blue serves"),
        ("stop --wait hello-blue", "hello-blue serves"),
        ("stop all", "Name one app"),
        ("restart all", "Name one app"),
        ("stop 1", "Name one app"),
        ("stop ./hello-blue", "Name one app"),
        ("rs oxfile.toml", "Name one app"),
        ("stop", "Name one app"),
        ("apply x.toml", "Without --only apply"),
        ("apply x.toml --only", "Without --only apply"),
        ("apply x.toml --only hello-green --prune", "--prune deletes"),
        ("apply x.toml --only worker,hello-blue", "hello-blue serves"),
        ("import x.toml", "Without --only import"),
    ],
)
def test_what_would_end_what_serves_is_refused_with_what_to_do(words: str, part: str) -> None:
    assert part in oxmgr.refusal("hello", "blue", words.split())


def test_what_is_live_is_read_from_the_link(tmp_path: Path) -> None:
    assert oxmgr.live_of(str(tmp_path)) == ""
    (tmp_path / "live.sock").symlink_to("/run/hello/green.sock")
    assert oxmgr.live_of(str(tmp_path)) == "green"
    assert oxmgr.refusal("hello", "", ["stop", "hello-blue"]) == ""


@pytest.mark.parametrize(
    ("said", "pid"),
    [
        ("ActiveState=active\nMainPID=7\n", 7),
        ("ActiveState=activating\nMainPID=7\n", 7),
        ("ActiveState=activating\nMainPID=0\n", 0),
        ("ActiveState=inactive\nMainPID=0\n", 0),
        ("", 0),
    ],
)
def test_a_unit_that_is_down_is_told(said: str, pid: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", lambda command, **_more: subprocess.CompletedProcess(command, 0, said))
    if pid:
        assert oxmgr.main_pid("hello-oxmgr@blue.service") == pid
    else:
        with pytest.raises(oxmgr.Refused, match=r"hello-oxmgr@blue\.service is \w+, so there is nobody to ask"):
            oxmgr.main_pid("hello-oxmgr@blue.service")


def test_it_waits_for_a_daemon_that_is_busy_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(oxmgr, "ADDRESS", server.getsockname())
        with pytest.raises(oxmgr.Refused, match="waits for an app to end"):
            oxmgr.wait("hello-oxmgr@blue.service", 0.3)
        server.accept()[0].close()

        def answer() -> None:
            with server.accept()[0] as connection:
                assert connection.recv(100) == b'{"type": "ping"}\n'
                connection.sendall(b'{"ok":true}\n')

        thread = threading.Thread(target=answer)
        thread.start()
        oxmgr.wait("hello-oxmgr@blue.service", 5)
        thread.join()


@pytest.mark.parametrize(
    ("words", "live", "slots", "rest"),
    [
        ("list", "blue", ["blue", "green"], "list"),
        ("ps --json", "", ["blue", "green"], "ps --json"),
        ("green list", "blue", ["green"], "list"),
        ("status hello-green", "blue", ["green"], "status hello-green"),
        ("events -p hello-green", "blue", ["green"], "events -p hello-green"),
        ("events", "green", ["green"], "events"),
        ("green events", "blue", ["green"], "events"),
    ],
)
def test_whose_daemon_is_meant(words: str, live: str, slots: list[str], rest: str) -> None:
    assert oxmgr.slots_meant("hello", live, words.split()) == (slots, rest.split())


def test_whose_daemon_is_meant_has_to_be_said_where_nothing_is_live() -> None:
    with pytest.raises(oxmgr.Refused, match="hello-oxmgr blue events"):
        oxmgr.slots_meant("hello", "", ["events"])
    with pytest.raises(oxmgr.Refused, match="hello-oxmgr green list"):
        oxmgr.slots_meant("hello", "blue", ["green"])


@pytest.mark.parametrize(
    ("down", "words", "shown"),
    [
        ("", ["list", "--json"], '[{"name": "blue"}, {"name": "green"}]\n'),
        ("green", ["list", "--json"], '[{"name": "blue"}]\n'),
        ("green", ["list"], '[{"name": "blue"}]'),
    ],
)
def test_both_slots_are_one_list(
    down: str, words: list[str], shown: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def reach(_name: str, slot: str) -> None:
        if slot == down:
            raise oxmgr.Refused("It is down.")

    def run(command: list[str], env: dict[str, str], **_more: object) -> subprocess.CompletedProcess:
        slot = os.path.basename(env["OXMGR_HOME"])
        return subprocess.CompletedProcess(command, 0, f'[{{"name": "{slot}"}}]')

    monkeypatch.setattr(oxmgr, "reach", reach)
    monkeypatch.setattr(subprocess, "run", run)
    assert oxmgr.lists("hello", ["blue", "green"], words) == 0
    assert capsys.readouterr().out == shown


def test_a_list_of_nothing_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oxmgr, "main_pid", mock.Mock(side_effect=oxmgr.Refused("It is down.")))
    with pytest.raises(oxmgr.Refused, match="It is down"):
        oxmgr.lists("hello", ["blue", "green"], ["list"])


def test_words_reach_it_as_they_were_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    for name in ("main_pid", "enter", "wait"):
        monkeypatch.setattr(oxmgr, name, lambda *given: called.append(given))
    monkeypatch.setattr(oxmgr, "live_of", lambda _root: "blue")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "chdir", called.append)
    monkeypatch.setattr(signal, "signal", lambda *_given: None)
    monkeypatch.setattr(os, "execve", lambda *given: called.append(given))
    monkeypatch.setenv("OXMGR_HOME", "/root/mine")
    monkeypatch.setenv("OXMGR_LOG_MAX_FILES", "1")
    oxmgr.main("hello", "/srv/hello", ["start", "a  'b' $HOME", "--name", "x"])
    program, words, environment = called[-1]
    assert (program, words) == ("/usr/local/lib/hello-oxmgr", ["oxmgr", "start", "a  'b' $HOME", "--name", "x"])
    assert {key: value for key, value in environment.items() if key.startswith("OXMGR_")} == {
        "OXMGR_HOME": "/var/lib/hello-oxmgr/blue",
        "OXMGR_DAEMON_ADDR": "127.0.0.1:40000",
        "OXMGR_API_ADDR": "127.0.0.1:40001",
    }
    assert "/" not in called
    oxmgr.main("hello", "/srv/hello", ["restart", "hello-blue"])
    assert called[-2] == "/"


def test_nobody_but_root_gets_in_and_everybody_may_read_what_there_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "execve", lambda *_given: pytest.fail("it was run"))
    assert oxmgr.main("hello", "/srv/hello", ["list"]) == 1
    assert "sudo hello-oxmgr" in capsys.readouterr().err
    assert oxmgr.main("a-longer-name", "/srv/hello", []) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "  restart a-longer-name-blue  end it and start it again" in "\n".join(lines)
    assert max(map(len, lines)) < 120
