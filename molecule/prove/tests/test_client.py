"""The load client on the host: what it may, and that it ends."""

from __future__ import annotations

import json
import os
import signal

from conftest import UNIT


def kill(process) -> None:
    """End a run as the kernel does, with all that it has started here."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()


def test_the_client_has_no_rights_and_ends_by_itself_when_its_run_is_killed(ask, prove):
    process = prove.start("nothing", seconds=10)
    prove.asked(1)
    kill(process)
    pid = ask.show(UNIT, "MainPID")["MainPID"]
    status = ask.run(f"cat /proc/{pid}/status")
    shown = ask.show(UNIT, "MemoryMax", "RuntimeMaxUSec", "TasksMax", "Nice", "DynamicUser")
    # Nobody but root reads what it was given or writes down, or writes there.
    modes = ask.run(
        "stat -c '%a %U' /run/graceful-prove/swap /run/graceful-prove/swap/wanted /run/graceful-prove/swap/rows"
    ).split()
    uids = next(line for line in status.splitlines() if line.startswith("Uid:")).split()[1:]
    assert all(60_000 < int(uid) < 66_000 for uid in uids)
    assert "CapEff:\t0000000000000000" in status
    assert shown == {
        "MemoryMax": str(256 << 20), "RuntimeMaxUSec": "50s", "TasksMax": "8", "Nice": "5", "DynamicUser": "yes"
    }  # fmt: skip
    assert modes[::2] == ["711", "600", "600"] and set(modes[1::2]) == {"root"}
    ask.until("the client has ended", lambda: ask.show(UNIT, "ActiveState")["ActiveState"] == "inactive")
    # By itself and in its time, and not because somebody ended it.
    assert json.loads(ask.run("tail -n 1 /run/graceful-prove/swap/rows"))["sent"] == 200


def test_the_next_run_of_the_same_person_ends_what_a_killed_one_has_left(prove):
    process = prove.start("nothing", seconds=300)
    prove.asked(1)
    kill(process)
    done = prove.run("nothing", seconds=10).well()
    assert "ended the client that a run of" in done.said
    assert (done.figures["sent"], done.figures["lost"]) == (200, 0)
    prove.nothing_left()
