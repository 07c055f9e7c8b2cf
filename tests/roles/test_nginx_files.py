"""nginx' readiness, asked over real sockets, and who gets into which path."""

from __future__ import annotations

import importlib.util
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.filter.nginx_users import nginx_users

FILES = Path(__file__).resolve().parents[2] / "roles" / "nginx" / "files"


@pytest.fixture(scope="module")
def ready():
    spec = importlib.util.spec_from_file_location("ready", FILES / "ready.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def app(tmp_path):
    """An app that answers one question with what it was given."""
    path = str(tmp_path / "app.sock")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    heard = []

    def answer(pieces: list[bytes]) -> None:
        connection, _ = listener.accept()
        with connection:
            heard.append(connection.recv(4096))
            for piece in pieces:
                connection.sendall(piece)

    def serve(*pieces: bytes) -> tuple[str, list[bytes], threading.Thread]:
        thread = threading.Thread(target=answer, args=(list(pieces),))
        thread.start()
        return path, heard, thread

    yield serve
    listener.close()


@pytest.mark.parametrize(
    ("pieces", "why"),
    [
        ([b"HTTP/1.1 200 OK\r\n\r\n"], ""),
        ([b"HTTP/1.1 2", b"04 No Content\r\n\r\n"], ""),
        ([b"HTTP/1.1 200\r\n\r\n"], ""),
        ([b"HTTP/1.1 503 Service Unavailable\r\n\r\nnot ready"], "503 Service Unavailable"),
        ([b"HTTP/1.1 307 Temporary Redirect\r\n\r\n"], "307 Temporary Redirect"),
        ([b"SSH-2.0-OpenSSH\r\n"], "an answer that isn't HTTP"),
        ([b"HTTP/1.1 2000 What\r\n"], "2000 What"),
        ([], "no answer"),
    ],
)
def test_an_answer(ready, app, pieces, why):
    path, heard, thread = app(*pieces)
    assert ready.ask(path, b"GET /ready HTTP/1.1\r\n\r\n", 5) == why
    thread.join(5)
    assert heard == [b"GET /ready HTTP/1.1\r\n\r\n"]


def test_an_app_that_is_not_there_or_does_not_answer(ready, tmp_path):
    path = str(tmp_path / "app.sock")
    assert ready.ask(path, b"x", 5) == "No such file or directory"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        assert ready.ask(path, b"x", 0.05) == "no answer within 0.05 s"
    assert ready.ask(path, b"x", 5) == "Connection refused"


def test_two_bad_answers_in_a_row_make_an_app_unready_and_a_good_one_ready(ready, tmp_path, capsys):
    flag = tmp_path / "unready"
    readiness = ready.Readiness(str(flag))
    told = []
    for why, wait in [("503", 1), ("", 10), ("503", 1), ("503", 10), ("503", 10), ("", 10), ("", 10), ("503", 1)]:
        assert readiness.heard(why, 10) == wait
        told.append(flag.exists())
    assert told == [False, False, False, True, True, False, False, False]
    assert capsys.readouterr().out.splitlines() == ["not ready (503): nginx answers 503 for it", "ready again"]


def test_a_prober_that_begins_anew_knows_what_it_said(ready, tmp_path):
    flag = tmp_path / "unready"
    flag.touch()
    ready.Readiness(str(flag)).heard("", 2)
    assert not flag.exists()


def test_users_of_a_path_have_to_be_let_in_by_the_paths_above_too():
    protect = [
        {"path": "/admin/", "users": {"ann": "A", "bob": "B"}},
        {"path": "/admin/vault", "users": {"bob": "B2", "eve": "E"}},
        {"path": "/administrator", "users": {"eve": "E"}},
        {"path": "/office", "addresses": ["10.0.0.0/8"]},
    ]
    assert nginx_users(protect) == [
        {"path": "/administrator", "text": "eve:E\n"},
        {"path": "/admin/vault", "text": "bob:B2\n"},
        {"path": "/admin", "text": "ann:A\nbob:B\n"},
    ]
    assert nginx_users([{"path": "/", "users": {"ann": "A"}}])[0]["path"] == "/"
    assert nginx_users([]) == []


def test_a_host_that_isnt_ready_has_a_file_and_none_at_all_has_the_flag(ready, tmp_path):
    flag = tmp_path / "unready"
    (tmp_path / "192.0.2.9:80").touch()  # one that has left since
    hosts = ready.Hosts(["192.0.2.1:80", "192.0.2.2:80"], str(flag))
    assert [path.name for path in tmp_path.iterdir()] == []
    first, second = hosts.all
    assert hosts.heard(first, "503", 5) == 1  # one bad answer is no outage
    assert list(tmp_path.iterdir()) == []
    assert hosts.heard(first, "503", 5) == 5
    assert (tmp_path / "192.0.2.1:80").exists() and not flag.exists()
    hosts.heard(second, "503", 5)
    hosts.heard(second, "503", 5)
    assert flag.exists()
    hosts.heard(first, "", 5)
    assert not flag.exists() and not (tmp_path / "192.0.2.1:80").exists()


def test_a_flag_that_somebody_removed_is_no_error(ready, tmp_path):
    hosts = ready.Hosts(["192.0.2.1:80"], str(tmp_path / "unready"))
    for why in ("503", "503"):
        hosts.heard(hosts.all[0], why, 5)
    (tmp_path / "192.0.2.1:80").unlink()
    hosts.heard(hosts.all[0], "", 5)
    assert list(tmp_path.iterdir()) == []


def test_a_host_that_nobody_asks_any_more_ends_it_all(tmp_path):
    """systemd starts it anew; without that all but this host would go on."""
    flag = tmp_path / "gone" / "unready"
    flag.parent.mkdir()
    program = f"""
import os, shutil, sys
sys.argv[1:] = ["127.0.0.1:1,127.0.0.1:2", "/ready", "a.org", "http", "0.05", "1", {str(flag)!r}]
sys.path.insert(0, {str(FILES)!r})
import ready
ready.ask = lambda place, *_rest: place.endswith(":1") and int("no number") or ""
ready.main()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and "ValueError" in done.stderr


def test_a_host_is_asked_over_tcp(ready):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        place = f"127.0.0.1:{listener.getsockname()[1]}"

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        assert ready.ask(place, b"GET / HTTP/1.1\r\n\r\n", 5) == ""
        thread.join()
    assert ready.ask(place, b"GET / HTTP/1.1\r\n\r\n", 5) == "Connection refused"


@pytest.fixture
def hosts_sh(tmp_path):
    """Runs the script with a systemctl of the test's own: how often nginx was reloaded, and the list."""
    file, flags, programs = tmp_path / "hosts.conf", tmp_path / "flags", tmp_path / "bin"
    flags.mkdir()
    programs.mkdir()
    (tmp_path / "state").write_text("active\n")
    (tmp_path / "reload").write_text("")
    program = (
        f"#!/bin/sh\necho $1 >>{tmp_path}/asked\ncase $1 in show) cat {tmp_path}/state;; *) . {tmp_path}/reload;; esac"
    )
    (programs / "systemctl").write_text(f"{program}\n")
    (programs / "systemctl").chmod(0o755)

    def run(good: bool = True) -> tuple[int, str]:
        (tmp_path / "asked").write_text("")
        command = ["sh", FILES / "hosts.sh", file, flags, "192.0.2.1:80", "[2001:db8::2]:80"]
        done = subprocess.run(command, env={"PATH": f"{programs}:/usr/bin:/bin"}, timeout=30)
        assert (done.returncode == 0) is good
        return (tmp_path / "asked").read_text().count("reload"), file.read_text()

    return run


UP = "server 192.0.2.1:80 max_fails=1 fail_timeout=3s;\nserver [2001:db8::2]:80 max_fails=1 fail_timeout=3s;\n"
# A mistake of the only one that is ready would be an outage of all.
ONE = "server 192.0.2.1:80 max_fails=0 fail_timeout=3s;\nserver [2001:db8::2]:80 max_fails=0 fail_timeout=3s down;\n"


def test_hosts_that_arent_ready_are_down_for_nginx(hosts_sh, tmp_path):
    assert hosts_sh() == (1, UP)
    assert hosts_sh() == (0, UP)  # nothing has changed
    (tmp_path / "flags/[2001:db8::2]:80").touch()
    assert hosts_sh() == (1, ONE)
    # Of none nginx would make a 502.
    (tmp_path / "flags/192.0.2.1:80").touch()
    assert hosts_sh() == (0, ONE)


def test_what_changes_while_nginx_reloads_isnt_lost(hosts_sh, tmp_path):
    """The path unit doesn't look meanwhile."""
    (tmp_path / "reload").write_text(f"touch '{tmp_path}/flags/[2001:db8::2]:80'\n")
    assert hosts_sh() == (2, ONE)


def test_a_reload_that_failed_is_tried_again(hosts_sh, tmp_path):
    assert hosts_sh() == (1, UP)
    flag = tmp_path / "flags/[2001:db8::2]:80"
    flag.touch()
    (tmp_path / "reload").write_text("exit 1\n")
    assert hosts_sh(good=False) == (1, ONE)
    assert hosts_sh(good=False) == (1, ONE)
    # Whatever nginx has read by another's reload meanwhile.
    flag.unlink()
    assert hosts_sh(good=False) == (1, UP)
    (tmp_path / "reload").write_text("")
    assert hosts_sh() == (1, UP)
    assert hosts_sh() == (0, UP)


def test_an_nginx_that_starts_meanwhile_is_asked_again(hosts_sh, tmp_path):
    (tmp_path / "state").write_text("activating\n")
    assert hosts_sh() == (0, UP)
    (tmp_path / "state").write_text("active\n")
    assert hosts_sh() == (1, UP)
    (tmp_path / "state").write_text("inactive\n")
    (tmp_path / "flags/[2001:db8::2]:80").touch()
    assert hosts_sh() == (0, ONE)
    (tmp_path / "state").write_text("active\n")
    assert hosts_sh() == (0, ONE)  # it has read that as it started
