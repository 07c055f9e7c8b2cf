"""What happens when something dies on a newcomer's host."""

from __future__ import annotations

import json

NAME = "hello"


def arbiter_of(ask) -> str:
    """The process of the slot that serves, whichever it is; "0" while there is none."""
    slot = ask.run(f"basename $(readlink /srv/{NAME}/live.sock) .sock").strip()
    return ask.show(f"{NAME}@{slot}.service", "MainPID")["MainPID"]


def test_a_killed_arbiter_comes_back_and_nobody_is_refused(ask):
    """The socket is systemd's, so a request that comes meanwhile waits in it."""
    ask.until("the app serves through Caddy", lambda: ask.get("/ready")[0] == 200)
    before = arbiter_of(ask)
    ask.run(f"kill -9 {before}")
    assert ask.get("/health") == (200, "ok")
    after = ask.until(
        "another arbiter",
        lambda: (pid := arbiter_of(ask)) not in (before, "0") and pid,
    )
    pids = {json.loads(ask.get("/")[1])["pid"] for _ in range(10)}
    assert pids <= {int(pid) for pid in ask.run(f"pgrep -P {after}").split()}


def test_a_killed_worker_is_replaced(ask):
    ask.until("the app serves through Caddy", lambda: ask.get("/ready")[0] == 200)
    arbiter = arbiter_of(ask)
    before = ask.run(f"pgrep -P {arbiter}").split()
    ask.run(f"kill -9 {before[0]}")
    ask.until(
        "as many workers as before, and the killed one gone",
        lambda: len(now := ask.run(f"pgrep -P {arbiter}").split()) == len(before) and before[0] not in now,
    )
    ask.until("the app serves through Caddy", lambda: ask.get("/ready")[0] == 200)
    assert arbiter_of(ask) == arbiter
