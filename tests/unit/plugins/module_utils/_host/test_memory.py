"""What a service takes and whom the kernel has killed, from the kernel's own texts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._host.memory import (
    STAGES,
    WORKER_UP,
    Group,
    Use,
    group_of,
    hold_to,
    how_far,
    most_taken,
    parse_use,
    serving,
    use_of,
    workers,
)

MIB = 1 << 20
ROLLUP = """5581a8a00000-7ffd0b5f9000 ---p 00000000 00:00 0                          [rollup]
Rss:               62000 kB
Pss:               40000 kB
Pss_Anon:          30000 kB
Shared_Clean:      12000 kB
"""
STATUS = """Name:\tpython
VmPeak:\t  300000 kB
VmHWM:\t   92000 kB
VmRSS:\t   62000 kB
Threads:\t2
"""


def test_the_peak_is_what_was_resident_less_what_is_shared():
    assert parse_use(ROLLUP, STATUS) == Use(40000 * 1024, 70000 * 1024)


def test_a_process_that_is_gone_has_no_use():
    assert parse_use("", "") is None
    assert use_of("999999999") is None


def test_this_process_has_one():
    use = use_of(str(os.getpid()))
    assert use is not None
    assert 0 < use.now <= use.peak


def test_a_worker_that_has_started_says_so_by_its_name():
    """The name is that of roles/gunicorn/files/graceful_worker.py; ps shows it too."""
    source = Path(__file__).parents[5] / "roles/gunicorn/files/graceful_worker.py"
    assert f'UP_NAME = "{WORKER_UP}"' in source.read_text()
    assert all(f'_NAME = "{name}"' in source.read_text() and len(name) < 16 for name in STAGES)
    named = "import time; open('/proc/self/comm', 'w').write('gunicorn: up'); print(flush=True); time.sleep(60)"
    before = serving(str(os.getpid()))
    with subprocess.Popen([sys.executable, "-c", named], stdout=subprocess.PIPE) as child:
        assert child.stdout and child.stdout.readline()
        try:
            assert serving(str(os.getpid())) == before + 1
            assert how_far(str(os.getpid())) == f"{before + 1} started"
        finally:
            child.kill()
    assert serving("0") == serving("") == 0
    assert how_far("") == ""


def test_the_workers_of_a_process_are_its_children_and_the_most_that_one_took_is_known():
    eats = "import time; x = b'x' * (80 << 20); del x; print(flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", eats], stdout=subprocess.PIPE) as child:
        assert child.stdout and child.stdout.readline()
        try:
            assert str(child.pid) in workers(str(os.getpid()))
            # What it gave back counts.
            assert most_taken(str(os.getpid())) > 80 * MIB > (use_of(str(child.pid)) or Use(0, 0)).now
        finally:
            child.kill()
    assert [workers(none) for none in ("", "0", "999999999", "/1")] == [set()] * 4


V1_NO_LIMIT = str(2**63 - 4096)
V2 = {"memory.events": "low 0\nhigh 0\nmax 31\noom 2\noom_kill 2\n", "memory.max": "419430400\n"}
V1 = {"memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n", "memory.failcnt": "31\n"}
V1 |= {"memory.limit_in_bytes": "419430400\n"}


@pytest.mark.parametrize(
    ("version", "texts", "expected"),
    [
        (2, V2, Group(2, 400 * MIB, True)),
        # Page cache was given back at the limit; who was killed was killed for the host's want.
        (2, V2 | {"memory.events": "max 31\noom 0\noom_kill 1\n"}, Group(1, 400 * MIB, False)),
        (2, V2 | {"memory.max": "max\n"}, Group(2, None, True)),
        (1, V1, Group(2, 400 * MIB, True)),
        (1, V1 | {"memory.failcnt": "0\n"}, Group(2, 400 * MIB, False)),
        (1, V1 | {"memory.limit_in_bytes": V1_NO_LIMIT}, Group(2, None, True)),
        # An old kernel, which doesn't count kills.
        (1, V1 | {"memory.oom_control": "oom_kill_disable 0\n"}, Group(0, 400 * MIB, True)),
        (1, {}, Group()),
    ],
)
def test_the_limit_and_the_kills_of_a_control_group(tmp_path: Path, version, texts, expected):
    name = "/system.slice/system-hello.slice/hello@blue.service"
    directory = tmp_path / ("memory" if version == 1 else "") / name.lstrip("/")
    directory.mkdir(parents=True)
    for file, text in texts.items():
        (directory / file).write_text(text)
    assert group_of(name, str(tmp_path)) == expected
    assert group_of("", str(tmp_path)) == Group()


@pytest.mark.parametrize(("version", "file"), [(2, "memory.max"), (1, "memory.limit_in_bytes")])
def test_a_changed_limit_is_given_to_the_kernel(tmp_path: Path, version, file):
    """Somebody raises it because workers die of it; systemd says the new value, and the kernel goes on killing."""
    name = "/system.slice/hello@blue.service"
    directory = tmp_path / ("memory" if version == 1 else "") / name.lstrip("/")
    directory.mkdir(parents=True)
    (directory / file).write_text("419430400\n")
    for nothing in (("", 2**31), (name, 0), ("/none", 2**31)):
        hold_to(*nothing, str(tmp_path))
    assert (directory / file).read_text() == "419430400\n"
    hold_to(name, 2**31, str(tmp_path))
    assert (directory / file).read_text() == str(2**31)
    assert [path.name for path in directory.iterdir()] == [file]
