"""The order of what patch does on a host: what waits until nobody is served, and what it knows after a reboot."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app import leaving
from ansible_collections.graceful.deploy.plugins.module_utils._app.lock import DeployLock
from ansible_collections.graceful.deploy.plugins.module_utils._app.slots import App
from ansible_collections.graceful.deploy.plugins.module_utils._host.probe import Answer
from ansible_collections.graceful.deploy.plugins.module_utils._host.systemd import CommandFailed
from ansible_collections.graceful.deploy.plugins.module_utils._patch import (
    apt,
    balancer,
    flow,
    marked,
    needs,
    quiet,
    ready,
    way,
)

PARAMS = {
    "name": "shop",
    "root": "/nowhere",
    "upgrade": "all",
    "reboot": "auto",
    "leave_within": 60,
    "notice": 0,
    "back_within": 60,
    "front_port": 443,
    "front_tls": True,
    "front_host": "shop.example.com",
    "health_path": "/health",
    "balancer": True,
    "alone": "",
    "step": "begin",
    "lock_wait": 0,
    "by": "ann",
}
UPGRADES = "Inst openssl [1] (2 Debian-Security:12/stable-security [amd64])\n"


class Host:
    """A host on which all goes well; `done` has what was done, in words."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.place, self.done, self.warned, self.boot = tmp_path / "own", [], [], "one"
        self.shares, self.good, self.old, self.reasons = True, True, {}, []
        self.fails = ""
        monkeypatch.setattr(flow, "HOST", str(self.place))
        monkeypatch.setattr(marked, "HOST", str(self.place))
        monkeypatch.setattr(marked, "SIGN", 0.1)
        monkeypatch.setattr(ready, "HOST", str(self.place))
        monkeypatch.setattr(balancer, "SHARES", str(tmp_path))
        monkeypatch.setattr(balancer, "HANDED_OVER", 0)
        monkeypatch.setattr(apt, "HALF_DONE", str(tmp_path / "updates"))
        monkeypatch.setattr(balancer, "ask", self.ask)
        monkeypatch.setattr(balancer, "wait_until_good", lambda *_a, **_k: self.asked("ask until ready"))
        monkeypatch.setattr(flow, "apps_here", lambda _app: self.apps)
        monkeypatch.setattr(needs, "stale", lambda: self.old)
        monkeypatch.setattr(needs, "boot", lambda: self.boot)
        monkeypatch.setattr(
            needs, "reboot_reasons", lambda *_a: needs.Reboot(self.reasons, "2" if self.reasons else "")
        )
        monkeypatch.setattr(way, "is_good", lambda *_a: True)
        monkeypatch.setattr(way, "wait_until_left", lambda *_a: self.asked("leave") and quiet.Left(1.0))
        monkeypatch.setattr(flow, "wait_for_one", lambda *_a: True)
        monkeypatch.setattr(marked, "wait_until_good", lambda *_a, **_k: self.asked("ask until ready"))
        self.apps: list[App] = []

    def asked(self, word: str) -> object:
        self.done.append(word)
        return Answer(200, "ok") if self.good else "503"

    def ask(self, *_arguments: object) -> Answer:
        self.done.append("ask")
        return Answer(200 if self.good else 503, "")

    def run(self, command: list[str]) -> tuple[int, str, str]:
        words = [each for each in command if each not in ("timeout", "30", "90", "--", "--quiet")]
        if "apt-get" in words or "dpkg" in words:
            word = "configure" if "--configure" in words else "plan" if "--simulate" in words else words[-1]
            word = "upgrade" if word == "--with-new-pkgs" else word
            self.done.append(word)
            return int(word == self.fails), UPGRADES if word == "plan" else "", "E: broken"
        if "show" in words:
            return 0, "\n".join(["Id=x\nActiveState=active\nType=simple\n"] * (len(words) - 3)), ""
        if "is-active" in words:
            return (0 if self.shares else 3), "", ""
        self.done.append(" ".join(words[1:]).replace(".service", ""))
        return int(words[1] == self.fails), "", "E: broken"

    def patch(self, **params: object) -> dict:
        patch = flow.Patch({**PARAMS, **params}, False, self.run, self.warned.append)
        try:
            return patch.result()
        finally:
            # As the end of a module does.
            for lock in patch.marked.locks:
                os.close(lock.descriptor)


@pytest.fixture
def host(tmp_path, monkeypatch) -> Host:
    return Host(tmp_path, monkeypatch)


@pytest.fixture
def serving(host, tmp_path, monkeypatch) -> Host:
    """A host of the app, in place of a balancer."""
    root = tmp_path / "shop"
    (root / "slots" / "blue").mkdir(parents=True)
    (root / "live.sock").symlink_to("/run/shop/blue.sock")
    (root / "slots" / "blue" / "slot.json").write_text(json.dumps({"release": "a", "terms": {"strategy": "swap"}}))
    host.apps = [App("shop", str(root))]
    return host


def test_a_balancer_hands_its_address_over_before_it_is_upgraded_and_takes_part_again_when_it_answers(host):
    host.old = {"nginx.service": [1]}
    result = host.patch()
    assert host.done == [
        *("update", "plan", "ask", "stop keepalived", "upgrade", "try-restart nginx"),
        *("ask until ready", "start keepalived"),
    ]
    assert {"handed the address over", "restarted nginx.service"} <= set(result["notes"])
    # Its note and its lock are root's own, and the note is gone.
    assert [path.name for path in host.place.iterdir()] == ["deploy.lock"]


def test_a_balancer_is_asked_after_its_reboot_and_stays_out_where_it_does_not_answer(host):
    host.reasons = ["kernel"]
    assert host.patch()["reboot"] is True
    host.boot, host.good, host.reasons = "two", False, []
    assert leaving.patching_in(str(host.place))["phase"] == "reboot"
    with pytest.raises(CommandFailed, match="This balancer doesn't answer for the app: 503\nThe other balancer has"):
        host.patch(step="back")
    assert "start keepalived" not in host.done
    host.good = True
    told = host.patch(step="back")
    assert host.done[-2:] == ["ask until ready", "start keepalived"] and -1 < told["down"] < 60


def test_a_balancer_that_cannot_hand_its_address_over_is_not_rebooted_and_its_proxy_is_named(host):
    host.shares, host.reasons, host.old = False, ["kernel"], {"nginx.service": [1]}
    result = host.patch()
    assert result["reboot"] is False and "keepalived" in result["stays_up"]
    assert not [word for word in host.done if word.startswith(("stop", "start", "try-restart"))]
    assert any("systemctl restart nginx.service" in said for said in host.warned)
    assert host.patch(reboot="needed")["reboot"] is True


def test_where_handing_over_fails_nothing_that_serves_is_restarted(host):
    host.fails, host.old, host.reasons = "stop", {"caddy.service": [1], "cron.service": [2]}, ["kernel"]
    host.patch()
    assert [word for word in host.done if word.startswith("try")] == ["try-restart cron"]
    assert host.patch(reboot="never")["stays_up"].startswith("the shared address can't be handed over")


def test_a_balancer_without_another_one_keeps_its_address(host):
    host.patch(leave_within=0, reboot="never")
    assert not [word for word in host.done if "keepalived" in word]


def test_an_upgrade_that_fails_gives_a_balancer_back(host):
    host.fails = "upgrade"
    with pytest.raises(CommandFailed, match="broken\nIt serves as before"):
        host.patch()
    assert host.done[-2:] == ["ask until ready", "start keepalived"]


def test_two_at_once_are_refused(host):
    first = marked.Marked([], "ann")
    first.lock(0)
    with pytest.raises(CommandFailed, match=r"patch\.yml is patching this host"):
        host.patch()


def test_one_that_reboots_the_host_has_no_lock_and_is_alive_where_it_comes_back(serving, monkeypatch):
    root, came = serving.apps[0].root, []
    serving.reasons = ["kernel"]
    assert serving.patch(balancer=False)["reboot"] is True
    serving.done.clear()
    # While another one waits for a sign, it has its lock again.
    monkeypatch.setattr(marked.time, "sleep", lambda _s: came or came.append(DeployLock(root, patches=True)))
    monkeypatch.setattr(marked, "SIGN", 60.0)
    with pytest.raises(CommandFailed, match=r"Nothing was changed\. patch\.yml is patching this host: ann began at"):
        serving.patch(balancer=False, by="bob")
    assert serving.done == [] and leaving.patching_in(root)["by"] == "ann"
    os.close(came[0].descriptor)


def test_one_that_cant_go_on_after_its_reboot_doesnt_say_that_nothing_was_changed(serving, monkeypatch):
    serving.reasons = ["kernel"]
    serving.patch(balancer=False)
    held = DeployLock(serving.apps[0].root, patches=True)
    monkeypatch.setattr(marked.time, "monotonic", iter(range(0, 1000, 10)).__next__)
    with pytest.raises(
        CommandFailed, match=r"^This run has upgraded or rebooted this host, and isn't finished with it\."
    ):
        serving.patch(balancer=False, step="back")
    os.close(held.descriptor)


def test_one_that_is_not_heard_of_after_its_reboot_is_dead(serving):
    serving.reasons = ["kernel"]
    serving.patch(balancer=False)
    serving.boot, serving.reasons = "two", []
    assert "rebooted (kernel)" in serving.patch(balancer=False, by="bob")["notes"]
    assert not Path(leaving.note_path(serving.apps[0].root)).exists()


def test_one_that_comes_back_has_the_lock(serving, monkeypatch):
    serving.reasons = ["kernel"]
    serving.patch(balancer=False)
    serving.boot, serving.reasons, told = "two", [], []

    def another(*_a: object, **_k: object) -> Answer:
        with pytest.raises(CommandFailed, match=r"patch\.yml is patching this host: ann .* in phase back"):
            marked.Marked(serving.apps, "bob").lock(0)
        told.append("refused")
        return Answer(200, "ok")

    monkeypatch.setattr(marked, "wait_until_good", another)
    serving.patch(balancer=False, step="back")
    assert told[0] == "refused"


def test_nobody_leaves_where_no_other_is_ready(host, serving):
    for apps in ([], serving.apps):
        host.apps, host.done = apps, []
        with pytest.raises(CommandFailed, match=r"web2 is ill\. Nothing was changed, and this host serves on"):
            host.patch(alone="web2 is ill.", balancer=not apps)
        assert host.done == ["update", "plan"]
    assert not Path(leaving.path(serving.apps[0].root)).exists()
    # It has left already, before a run that died.
    leaving.write(serving.apps[0].root, {"by": "ann"})
    host.patch(alone="web2 is ill.", balancer=False)
    assert "upgrade" in host.done


def test_what_dpkg_was_cut_off_in_is_finished_after_the_host_has_left(serving, tmp_path):
    (tmp_path / "updates").mkdir()
    (tmp_path / "updates" / "0001").touch()
    result = serving.patch(balancer=False)
    assert serving.done[:5] == ["update", "leave", "configure", "plan", "upgrade"]
    assert result["packages"] == ["openssl 1 -> 2"] and "finished what dpkg was cut off in" in result["notes"]


def test_a_mark_made_by_hand_forgets_nothing_and_stays(serving):
    root = serving.apps[0].root
    Path(leaving.path(root)).touch()
    serving.reasons = ["kernel"]
    assert serving.patch(balancer=False)["reboot"] is True
    serving.boot, serving.reasons = "two", []
    told = serving.patch(balancer=False, step="back")
    assert told["down"] is not None and told["upgraded"] == "openssl 1 -> 2"
    assert f"stays out as it was marked by hand ({root}/leaving)" in told["notes"]
    assert Path(leaving.path(root)).read_text() == "" and not Path(leaving.note_path(root)).exists()


@pytest.mark.parametrize(("ago", "known"), [(60, True), (leaving.QUIET + 60, False)])
def test_a_run_that_died_long_ago_is_no_time_down(serving, ago, known):
    root = serving.apps[0].root
    serving.reasons = ["kernel"]
    serving.patch(balancer=False)
    note = json.loads(Path(leaving.note_path(root)).read_text())
    at = time.time() - ago
    Path(leaving.note_path(root)).write_text(json.dumps({**note, "said": at, "down_at": at}))
    serving.boot, serving.reasons = "two", []
    told = serving.patch(balancer=False)
    assert (told["down"] is not None) is known


def test_a_kernel_that_does_not_boot_is_noted_when_the_host_is_back(serving, monkeypatch):
    serving.reasons = ["kernel"]
    serving.patch(balancer=False)
    serving.boot, serving.reasons = "two", []
    monkeypatch.setattr(needs.os, "uname", lambda: type("Uname", (), {"release": "1"}))
    serving.patch(balancer=False, step="back")
    assert json.loads((serving.place / needs.UNBOOTED).read_text()) == {"wanted": "2", "got": "1"}
    assert any("a reboot has brought 1 all the same" in said for said in serving.warned)


def test_whether_a_host_can_stand_in(serving, host, monkeypatch):
    answers = Answer(200, "")
    monkeypatch.setattr(ready, "ask", lambda *_a: answers)
    monkeypatch.setattr(ready, "is_good", lambda *_a: True)
    params = {**PARAMS, "root": serving.apps[0].root, "balancer": False}
    assert ready.why_not(params, host.run) == ""
    answers = Answer(503, "no")
    assert ready.why_not(params, host.run) == "isn't ready: /ready answers 503 no"
    Path(leaving.path(serving.apps[0].root)).touch()
    assert ready.why_not(params, host.run).startswith("is leaving itself")
    assert ready.why_not({**params, "root": "/nowhere"}, host.run) == "has no release of shop"


def test_whether_a_balancer_can_stand_in(host, tmp_path):
    (tmp_path / "shop.conf").touch()
    assert ready.why_not(PARAMS, host.run) == ""
    host.shares = False
    assert "keepalived" in ready.why_not(PARAMS, host.run)
    host.good = False
    assert "doesn't answer for the app" in ready.why_not(PARAMS, host.run)
    host.place.mkdir()
    leaving.write(str(host.place), {"by": "ann"})
    assert ready.why_not(PARAMS, host.run) == "is patched by another run"


def test_a_balancer_is_asked_as_clients_of_the_site_ask(host):
    door = balancer.Balancer(PARAMS, host.run).door
    assert (door.host, door.port, door.tls) == ("shop.example.com", 443, True)
    # Where TLS ends before it, the app may send on to https; that is an answer.
    assert balancer.Balancer({**PARAMS, "front_tls": False}, host.run).door.scheme == "https"
    assert balancer.Balancer({**PARAMS, "front_port": 0}, host.run).door is None
