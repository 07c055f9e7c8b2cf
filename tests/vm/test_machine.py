"""What needs a kernel, a cgroup v2, a shutdown and a disk of one's own. In this order, each after the one before."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys

import pytest
from conftest import ROOT

NAME = "whole"
APP = ROOT / "molecule" / "swap" / "app"
STEADY = ROOT / "tests" / "load" / "steady.py"
SABOTEUR = ROOT / "molecule" / "swap" / "saboteur.py"
PACKAGES = "/usr/lib/python3/dist-packages"


@pytest.fixture
def variables(machine) -> dict[str, object]:
    """What every run is given. An emulated machine gets time for what it does ten times as slowly, and nothing else."""
    slow = {} if machine.kvm else {"fastapi_ready_timeout": 300, "fastapi_health_interval": 60}
    return {"fastapi_name": NAME, "fastapi_source": str(APP), "fastapi_workers": 2, **slow}


@pytest.fixture
def run(control, variables):
    """Run a playbook, which has to succeed; what it said."""

    def good(playbook: str, **more: object) -> str:
        with control.start(playbook, **{**variables, **more}) as process:
            said = process.communicate(timeout=1800)[0]
        assert process.returncode == 0, said
        return said

    return good


@pytest.fixture
def load(machine, tmp_path):
    """Six requests a second from beside the machine, until it is told to end; then what came of them."""
    report = tmp_path / "report.json"
    command = [sys.executable, str(STEADY), "--port", str(machine.http), "--rate", "6", "--timeout", "60"]
    command += ["--seconds", "1200", "--timeline", "--out", str(report)]
    process = subprocess.Popen(command)

    def ended() -> dict:
        process.terminate()
        process.wait(120)
        return json.loads(report.read_text())

    yield ended
    process.kill()
    process.wait()


@pytest.fixture
def row(machine, count):
    """Record what was lost, with where."""
    return lambda fault, counted: count(
        fault, counted["sent"], len(counted["lost"]), where="machine" if machine.kvm else "emulated"
    )


def live(ask) -> str:
    return ask.run(f"readlink /srv/{NAME}/live.sock").strip().removeprefix(f"/run/{NAME}/").removesuffix(".sock")


def release(ask) -> str:
    return json.loads(ask.get("/")[1])["release"]


def unit(ask) -> str:
    return f"{NAME}@{live(ask)}.service"


def workers(ask) -> list[str]:
    return sorted(ask.run(f"pgrep -P {ask.show(unit(ask), 'MainPID')['MainPID']}").split())


def group(ask) -> str:
    """The slot's directory below /sys/fs/cgroup, of version 2."""
    return "/sys/fs/cgroup" + ask.show(unit(ask), "ControlGroup")["ControlGroup"]


def entries(ask) -> list[dict]:
    return [json.loads(line) for line in ask.run(f"cat /srv/{NAME}/history.jsonl").splitlines()]


def serves(ask) -> bool:
    return ask.get("/ready")[0] == 200


def test_a_bare_machine_becomes_a_service(ask, run):
    assert ask.run("stat -fc %T /sys/fs/cgroup").strip() == "cgroup2fs"
    run("site")
    assert serves(ask)
    assert ask.run("sysctl -n net.ipv4.tcp_migrate_req").strip() == "1"
    assert ask.run(f"cat {group(ask)}/memory.max").strip() == ask.show(unit(ask), "MemoryMax")["MemoryMax"]
    # Past it the kernel would slow down workers that have done nothing.
    assert ask.run(f"cat {group(ask)}/memory.high").strip() == "max"


def test_a_second_run_changes_nothing(run):
    assert "changed=0 " in run("site")


def test_memory_past_the_cap_ends_the_worker_that_took_it_and_no_other(ask, load, row):
    before, arbiter = workers(ask), ask.show(unit(ask), "MainPID")
    ask.host.run("curl -s -m 1 -X POST http://127.0.0.1/hog")
    ask.until("a worker has been replaced", lambda: len({*workers(ask)} - {*before}) == 1 and serves(ask), 300)
    counted = load()
    row("a worker takes memory past the cap (cgroup v2)", counted)
    assert ask.show(unit(ask), "MainPID") == arbiter
    assert len({*workers(ask)} & {*before}) == 1
    events = dict(line.split() for line in ask.run(f"cat {group(ask)}/memory.events").splitlines())
    assert (events["oom_kill"], events["high"]) == ("1", "0")
    # What it was at itself: slow requests of 2 s, two a second between two workers.
    assert len(counted["lost"]) <= 12, counted["lost"]


def test_the_slice_of_the_app_counts(ask, machine):
    """What somebody gave the app's own slice, and not what the machine has."""
    ask.run(f"systemctl set-property --runtime system-{NAME}.slice MemoryMax=300M CPUQuota=50%")
    try:
        words = ["-m", "graceful.deploy.worker_plan_info", "-b", "-a", f"name={NAME} root=/srv/{NAME}"]
        done = subprocess.run(
            ["ansible", "-i", str(machine.place / "inventory.json"), machine.name, *words],
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        ask.run(f"systemctl set-property --runtime system-{NAME}.slice MemoryMax= CPUQuota=")
    for told in ("cpus: 0.5", f"/system.slice/system-{NAME}.slice", "memory_max: 300M"):
        assert told in done.stdout, done.stdout + done.stderr


def test_credentials_are_the_apps_alone(ask, run):
    run("release", fastapi_credentials={"token": "canary"})
    path = f"/run/credentials/{unit(ask)}/token"
    assert ask.run(f"cat {path}") == "canary"
    assert ask.host.run(f"runuser -u deploy -- cat {path}").stdout == "canary"
    assert ask.host.run(f"runuser -u nobody -- cat {path}").rc != 0


def test_a_reboot_finishes_what_was_begun_and_serves_by_itself(ask, machine, load, row):
    before, pids = release(ask), workers(ask)
    ask.run("curl -s -m 100 'http://127.0.0.1/slow?seconds=2&n=1'")
    machine.reboot()
    ask.until("it serves", lambda: serves(ask), 300)
    assert release(ask) == before
    counted = load()
    row("reboot; the journal has the app's last words", counted)
    # Its last words, after each worker's lifespan has ended.
    said = ask.run(f"journalctl --namespace={NAME} --boot=-1 --output=cat --no-pager")
    stopped = {json.loads(line)["pid"] for line in said.splitlines() if line.startswith('{"event": "stopped"')}
    assert stopped >= {*map(int, pids)}, said[-3000:]
    # None that was taken was cut or answered with an error: what is lost found nobody there.
    assert [each for each in counted["lost"] if each["what"].startswith(("HTTP", "cut"))] == []


@pytest.mark.parametrize("phase", ["start", "move", "watch"])
def test_the_power_is_cut_in_a_deploy(ask, machine, control, run, load, row, variables, tmp_path, phase):
    """It boots into a good release by itself, the history knows of the deploy, and the next one gets through."""
    before, known = release(ask), len(entries(ask))
    ask.run(f"cat >{PACKAGES}/saboteur.py <<'END'\n{SABOTEUR.read_text()}\nEND")
    plan = {"file": "_swap/swap.py", "function": "phase", "phase": phase, "command": "touch /run/there; sleep 900"}
    ask.run(f"echo import saboteur >{PACKAGES}/saboteur.pth; echo '{json.dumps(plan)}' >/run/saboteur.json; sync")
    source = tmp_path / "source"
    subprocess.run(["cp", "-a", str(APP), str(source)], check=True)
    (source / "version.txt").write_text(f"{phase}\n")
    # One worker, so that two slots fit: with two the machine is too small to swap.
    given = {"fastapi_source": str(source), "fastapi_workers": 1}
    process = control.start("release", **{**variables, **given})
    try:
        ask.until("the phase", lambda: ask.host.file("/run/there").exists or process.poll() is not None, 900)
        assert process.poll() is None, process.communicate()[0]
        machine.cut()
    finally:
        # It would wait for the module, which sleeps.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    machine.start()
    ask.run(f"rm -f {PACKAGES}/saboteur.*")
    ask.until("it serves", lambda: serves(ask), 300)
    row(f"power cut in a deploy, phase {phase}", load())
    assert (release(ask) == before) == (phase != "watch")
    run("release", **given)
    since = entries(ask)[known:]
    assert [each["reason"] for each in since if each["reason"]] == [f"cut off in phase {phase}"], since
    assert release(ask) == history[-1]["release"]
