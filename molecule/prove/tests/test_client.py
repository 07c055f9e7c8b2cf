"""The load client on the host: what it may, and that it ends."""

from __future__ import annotations

import os
import signal
import time

from conftest import UNIT


def test_a_run_that_is_killed_leaves_a_client_that_ends_by_itself_and_the_next_one_works(ask, prove):
    begun = time.monotonic()
    process = prove.start("nothing", seconds=12)
    prove.asked(1)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert ask.show(UNIT, "ActiveState")["ActiveState"] == "active"
    ask.until("the client has ended", lambda: ask.show(UNIT, "ActiveState")["ActiveState"] == "inactive")
    assert time.monotonic() - begun > 10
    # The same again, and now the next run comes at once: it is the same person's.
    process = prove.start("nothing", seconds=300)
    prove.asked(1)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    done = prove.run("nothing", seconds=10).well()
    assert "ended the client that a run" in done.said
    assert (done.figures["sent"], done.figures["lost"]) == (200, 0)
    prove.nothing_left()


def test_the_client_has_no_rights_and_is_bounded(ask, prove):
    with prove.start("nothing", seconds=10) as process:
        prove.asked(1)
        pid = ask.show(UNIT, "MainPID")["MainPID"]
        status = ask.run(f"cat /proc/{pid}/status")
        shown = ask.show(UNIT, "MemoryMax", "RuntimeMaxUSec", "TasksMax", "Nice", "DynamicUser")
        # Nobody but root reads what it was given or writes down, or writes there.
        modes = ask.run("stat -c '%a %U' /run/swap-prove /run/swap-prove/wanted /run/swap-prove/rows").split()
        assert prove.ended(process).status == 0
    uids = next(line for line in status.splitlines() if line.startswith("Uid:")).split()[1:]
    assert all(60_000 < int(uid) < 66_000 for uid in uids)
    assert "CapEff:\t0000000000000000" in status
    assert shown == {
        "MemoryMax": str(256 << 20), "RuntimeMaxUSec": "50s", "TasksMax": "8", "Nice": "5", "DynamicUser": "yes"
    }  # fmt: skip
    assert modes[::2] == ["711", "600", "600"] and set(modes[1::2]) == {"root"}
