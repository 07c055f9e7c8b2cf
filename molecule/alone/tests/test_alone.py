"""Each role by itself: the app is served as role fastapi would serve it, and every role has done its own part."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def proxy(host) -> str:
    return "nginx" if "trixie" in host.backend.host else "caddy"


def test_the_app_is_served_through_the_proxy(ask, proxy):
    assert ask.get("/health")[0] == 200
    assert ask.get("/ready")[0] == 200
    ask.run(f"systemctl is-active {proxy}.service")


def test_the_release_is_the_roles_and_nobody_else_may_change_it(ask):
    live = ask.run("readlink /srv/hello/live.sock").strip().removeprefix("/run/hello/").removesuffix(".sock")
    release = ask.run(f"readlink -f /srv/hello/slots/{live}/release").strip()
    record = json.loads(ask.run(f"cat {release}/release.json"))
    assert release == f"/srv/hello/releases/{record['id']}"
    assert ask.run(f"stat -c '%U:%G %a' {release}").strip() == "root:deploy 750"


def test_the_workers_are_planned(ask):
    """Role gunicorn alone asks for a plan itself; in role fastapi preflight has made it."""
    live = ask.run("readlink /srv/hello/live.sock").strip().removeprefix("/run/hello/").removesuffix(".sock")
    arbiter = ask.show(f"hello@{live}.service", "MainPID")["MainPID"]
    cpus = int(ask.run("nproc"))
    assert len(ask.run(f"pgrep -P {arbiter}").split()) == cpus
    assert ask.show(f"hello@{live}.service", "MemoryMax")["MemoryMax"] != "infinity"


def test_the_journal_is_bounded(ask):
    assert "SystemMaxUse=" in ask.run("cat /etc/systemd/journald@hello.conf")
    assert ask.run("hello-logs -n 1").strip()
