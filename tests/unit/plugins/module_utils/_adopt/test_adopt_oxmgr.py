"""Which of the host's Oxmgrs has an app, and what it is told; one that lies may not lead anywhere."""

from __future__ import annotations

import contextlib
import getpass
import json
import re
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._adopt import old, oxmgr
from ansible_collections.graceful.deploy.plugins.module_utils._host.systemd import CommandFailed

APP = "/srv/shop/oxfile.toml#api"
RUNS = {"name": "api", "status": "running", "desired_state": "running", "cwd": "/srv/shop", "stop_timeout_secs": 15}


class Oxmgr(socketserver.ThreadingTCPServer):
    """A daemon as far as it is asked here."""

    daemon_threads = True

    def __init__(self, *apps: dict[str, Any]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.apps, self.said = list(apps), list[str]()
        self.raw = b""
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, request: dict[str, str]) -> dict[str, Any]:
        if request["type"] == "list":
            return {"ok": True, "message": "ok", "processes": self.apps}
        self.said.append(f"{request['type']} {request['target']}")
        for app in self.apps:
            if app["name"] == request["target"]:
                running = request["type"] == "restart"
                app |= {"status": "running" if running else "stopped"}
                app |= {"desired_state": app["status"]}
                return {"ok": True, "message": "done"}
        return {"ok": False, "message": "process not found"}


class Handler(socketserver.StreamRequestHandler):
    server: Oxmgr

    def handle(self) -> None:
        request = json.loads(self.rfile.readline())
        self.wfile.write(self.server.raw or json.dumps(self.server.answer(request)).encode() + b"\n")


@pytest.fixture
def begin() -> Iterator[Any]:
    begun: list[Oxmgr] = []

    def one(*apps: dict[str, Any]) -> Oxmgr:
        begun.append(Oxmgr(*apps))
        return begun[-1]

    yield one
    for each in begun:
        each.shutdown()
        each.server_close()


@pytest.fixture
def proc(tmp_path, monkeypatch) -> Any:
    """A host's processes; what is found there is what Old finds."""
    (tmp_path / "self" / "ns").mkdir(parents=True)
    (tmp_path / "self" / "ns" / "net").symlink_to("net:[1]")

    def add(pid: int, port: int, network: int = 1, words: str = "/usr/bin/oxmgr daemon run", address: str = "") -> str:
        place = tmp_path / str(pid)
        (place / "ns").mkdir(parents=True)
        (place / "ns" / "net").symlink_to(f"net:[{network}]")
        (place / "cmdline").write_text(words.replace(" ", "\0") + "\0")
        (place / "environ").write_text(f"HOME=/root\0OXMGR_DAEMON_ADDR={address or f'127.0.0.1:{port}'}\0")
        return str(tmp_path)

    find = oxmgr.find
    monkeypatch.setattr(oxmgr, "find", lambda name: find(name, str(tmp_path)))
    add.place = str(tmp_path)  # type: ignore[attr-defined]
    return add


def port(server: Oxmgr) -> int:
    return int(server.server_address[1])


def test_it_is_stopped_for_good_and_started_again(begin, proc):
    server = begin(dict(RUNS))
    proc(7, port(server))
    hand = old.Old(lambda _command: (1, "", ""), {"unit": APP, "kind": "oxmgr"})
    was = hand.state()
    assert was == {"active": True, "enabled": True} and hand.refusal() == ""
    hand.stop(was)
    assert hand.state() == {"active": False, "enabled": False}
    hand.start(was)
    assert hand.state() == was
    # One that runs isn't started anew: it would answer nobody meanwhile.
    hand.start(was)
    assert server.said == ["stop api", "restart api"]


def test_one_in_a_network_of_its_own_is_never_asked(begin, proc):
    """Those of this collection's apps, whose addresses are all the same, and those of containers."""
    server = begin(dict(RUNS))
    proc(7, port(server), network=2)
    proc(8, port(server), words="/usr/bin/oxmgr list")
    with pytest.raises(CommandFailed) as failed:
        oxmgr.find(APP)
    said = str(failed.value)
    assert said.startswith("No Oxmgr that runs on this host has an app api")
    assert "(process 7) has a network of its own, as in a container" in said
    assert "runuser -l USER -s /bin/sh -c 'oxmgr apply /srv/shop/oxfile.toml'" in said


@pytest.mark.parametrize(
    "address", ["192.0.2.1:80", "127.0.0.1", "example.com:80", "127.0.0.1:80/x", "0.0.0.0:80", "[::1]:80"]
)
def test_root_connects_to_no_other_host_and_says_of_an_odd_address_what_it_is(proc, address):
    proc(7, 0, address=address)
    assert oxmgr.daemons(proc.place)[0] == []
    with pytest.raises(
        CommandFailed, match=re.escape(f"(process 7) isn't asked: its OXMGR_DAEMON_ADDR is '{address}'")
    ):
        oxmgr.find(APP)


@pytest.mark.parametrize(
    "raw",
    [b"[]\n", b"not json\n", b'{"processes": 5}\n', b'{"processes": [5]}\n', b"\n", b"[" * 900_000 + b"\n"],
    ids=["list", "text", "number", "numbers", "nothing", "deep"],
)
def test_one_that_answers_otherwise_is_an_error_and_not_one_without_the_app(begin, proc, raw):
    server = begin(dict(RUNS))
    server.raw = raw
    proc(7, port(server))
    with pytest.raises(CommandFailed, match=r"^Not every Oxmgr .* answers.*: what answers there isn't Oxmgr\."):
        oxmgr.find(APP)


def test_one_that_does_not_listen_is_an_error_of_its_own(begin, proc):
    """Its app may run on, and a colleague's of the same name isn't taken for it."""
    colleague = begin(RUNS | {"cwd": "/srv/shop-2"})
    with socket.create_server(("127.0.0.1", 0)) as gone:
        closed = gone.getsockname()[1]
    proc(7, closed)
    proc(8, port(colleague))
    with pytest.raises(CommandFailed, match=r"^Not every Oxmgr .* answers.*refused"):
        oxmgr.find(APP)


def test_no_number_of_silent_ones_holds_root_back(proc, monkeypatch):
    """All have one limit together, and a byte now and then doesn't put it off."""
    monkeypatch.setattr(oxmgr, "ANSWER", 0.5)
    with contextlib.ExitStack() as stack:
        for pid in range(20):
            listens = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            proc(100 + pid, listens.getsockname()[1])
            threading.Thread(target=trickle, args=(listens,), daemon=True).start()
        begun = time.monotonic()
        with pytest.raises(CommandFailed, match=r"Not every Oxmgr .* answers.*timed out"):
            oxmgr.find(APP)
        assert time.monotonic() - begun < 3


def trickle(listens: socket.socket) -> None:
    with contextlib.suppress(OSError):
        link, _address = listens.accept()
        with link:
            while True:
                link.sendall(b" ")
                time.sleep(0.001)


@pytest.mark.parametrize("cwd", ["/srv/shop-2", "/srv", "/", 5, "/srv/shop/../other"])
def test_a_colleagues_app_of_the_same_name_is_not_taken(begin, proc, cwd):
    colleague = begin(RUNS | {"cwd": cwd})
    proc(7, port(colleague))
    with pytest.raises(
        CommandFailed, match=r"^No Oxmgr .*It isn't the api that the one of .* has, which isn't in /srv/shop\."
    ):
        oxmgr.find(APP)


def test_it_may_be_where_the_oxfile_says(begin, proc, tmp_path):
    """Else one that says nowhere is its owner's."""
    oxfile = tmp_path / "etc" / "oxfile.toml"
    oxfile.parent.mkdir()
    oxfile.write_text('version = 1\n[[apps]]\nname = "api"\ncommand = "a"\ncwd = "/opt/api"\n')
    server = begin(RUNS | {"cwd": "/opt/api"})
    proc(7, port(server))
    assert oxmgr.find(f"{oxfile}#api").runs
    server.apps[0]["cwd"] = None
    with pytest.raises(CommandFailed, match="which isn't in /opt/api"):
        oxmgr.find(f"{oxfile}#api")
    oxfile.write_text(oxfile.read_text().replace("cwd", "# cwd"))
    assert oxmgr.find(f"{oxfile}#api").runs


def test_two_processes_with_one_address_are_one_daemon(begin, proc):
    """Anybody can name a process so."""
    server = begin(dict(RUNS))
    proc(7, port(server))
    proc(8, 0, address=f"localhost:{port(server)}")
    assert oxmgr.find(APP).runs


def test_of_two_with_the_name_it_is_the_one_beside_its_oxfile(begin, proc):
    mine, other = begin(dict(RUNS)), begin(RUNS | {"cwd": "/srv/shop-2"})
    proc(7, port(mine))
    proc(8, port(other))
    oxmgr.find(APP).stop()
    assert (mine.said, other.said) == (["stop api"], [])
    other.apps[0]["cwd"] = "/srv/shop/app"
    with pytest.raises(CommandFailed, match=r"^More than one Oxmgr .*Give yours another name in /srv/shop/oxfile\."):
        oxmgr.find(APP)


def test_a_daemon_that_says_no_is_told(begin, proc):
    server = begin(dict(RUNS))
    proc(7, port(server))
    held = oxmgr.find(APP)
    server.apps.clear()
    with pytest.raises(CommandFailed, match="Oxmgr didn't stop api: it said process not found"):
        held.stop()
    server.raw = b"\n"
    user = re.escape(getpass.getuser())
    with pytest.raises(CommandFailed, match=rf"isn't Oxmgr\. Try runuser -l {user} -s /bin/sh -c 'oxmgr stop api'\."):
        held.stop()


def test_a_user_has_the_port_that_oxmgr_gives_him():
    """Where root's Oxmgr 0.5.0 listens. Scenario oxmgr asks another user's."""
    assert oxmgr.default_port(0) == 47824
