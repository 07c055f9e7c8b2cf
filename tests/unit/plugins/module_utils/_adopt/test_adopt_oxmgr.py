"""Which of the host's Oxmgrs has an app, and what it is told; one that lies may not lead anywhere."""

from __future__ import annotations

import json
import socketserver
import threading
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
    with pytest.raises(CommandFailed, match=r"No Oxmgr .* has an app api.*oxmgr apply /srv/shop/oxfile.toml"):
        oxmgr.find(APP)


@pytest.mark.parametrize("address", ["192.0.2.1:80", "127.0.0.1", "example.com:80", "127.0.0.1:80/x"])
def test_root_connects_to_no_other_host(proc, address):
    proc(7, 0, address=address)
    assert list(oxmgr.daemons(proc.place)) == []


@pytest.mark.parametrize("raw", [b"[]\n", b"not json\n", b'{"processes": 5}\n', b'{"processes": [5]}\n', b"\n"])
def test_what_answers_otherwise_has_no_app(begin, proc, raw):
    server = begin(dict(RUNS))
    server.raw = raw
    proc(7, port(server))
    with pytest.raises(CommandFailed, match="No Oxmgr"):
        oxmgr.find(APP)


def test_of_two_with_the_name_it_is_the_one_beside_its_oxfile(begin, proc):
    mine, other = begin(dict(RUNS)), begin(RUNS | {"cwd": "/srv/shop-2"})
    proc(7, port(mine))
    proc(8, port(other))
    oxmgr.find(APP).stop()
    assert (mine.said, other.said) == (["stop api"], [])
    other.apps[0]["cwd"] = "/srv/shop/app"
    with pytest.raises(CommandFailed, match="More than one Oxmgr"):
        oxmgr.find(APP)


def test_a_daemon_that_says_no_is_told(begin, proc):
    server = begin(dict(RUNS))
    proc(7, port(server))
    held = oxmgr.find(APP)
    server.apps.clear()
    with pytest.raises(CommandFailed, match="Oxmgr didn't stop api: it said process not found"):
        held.stop()


def test_a_user_has_the_port_that_oxmgr_gives_him():
    """Where root's Oxmgr 0.5.0 listens. Scenario oxmgr asks another user's."""
    assert oxmgr.default_port(0) == 47824
