# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._plan.capacity import (
    CapacityError,
    parse_cgroups,
    parse_cpu_list,
    parse_mem_total,
    parse_memory_limit,
    parse_mounts,
    parse_quota,
    path_below,
    read_capacity,
    service_affinity,
)
from cgroup_trees import NAMES, lay_out

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30

# What a service gets on each recorded host, with as many CPUs by affinity as that host has.
EXPECTED = {
    "hybrid_host": (2, 2, "affinity", 24684084 * KIB, "MemTotal"),
    "hybrid_container": (2, 1.5, "cgroup v1 quota at /", 600 * MIB, "cgroup v1 memory.limit_in_bytes at /"),
    "hybrid_container_private": (2, 1.5, "cgroup v1 quota at /", 600 * MIB, "cgroup v1 memory.limit_in_bytes at /"),
    "hybrid_systemd": (2, 1.5, "cgroup v1 quota at /docker/", 768 * MIB, "cgroup v1 memory.limit_in_bytes at /docker/"),
    "hybrid_systemd_slice": (2, 0.8, "/system.slice", 500 * MIB, "/system.slice"),
    "v1_host": (2, 2, "affinity", 2035000 * KIB, "MemTotal"),
    "v1_nested": (16, 3, "cgroup v1 quota at /boxes/one", 2 * GIB, "cgroup v1 memory.limit_in_bytes at /boxes"),
    "v2_host": (4, 4, "affinity", 4028352 * KIB, "MemTotal"),
    "v2_quota": (96, 1.5, "cgroup v2 quota at /", GIB, "cgroup v2 memory.max at /"),
    "v2_nested": (
        16,
        2.5,
        "cgroup v2 quota at /machine.slice",
        2 * GIB,
        "cgroup v2 memory.high at /machine.slice/box.scope",
    ),
    "v2_outside": (4, 2, "cgroup v2 quota at /", 512 * MIB, "cgroup v2 memory.max at /"),
    "no_cgroups": (3, 3, "affinity", 1024000 * KIB, "MemTotal"),
}


def test_every_tree_is_expected_to_give_something():
    assert sorted(EXPECTED) == NAMES


@pytest.mark.parametrize("name", EXPECTED)
def test_capacity_of_each_host(name, tmp_path):
    affinity, cpus, cpu_source, memory, memory_source = EXPECTED[name]
    capacity = read_capacity(lay_out(name, tmp_path), lambda: affinity)
    assert (capacity.cpus, capacity.memory) == (cpus, memory)
    # Recorded containers have an id in their path.
    assert cpu_source in capacity.cpu_source
    assert memory_source in capacity.memory_source
    if "/docker/" not in capacity.memory_source:
        assert (cpu_source, memory_source) == (capacity.cpu_source, capacity.memory_source)


def test_a_cpuset_lower_than_affinity_and_quota(tmp_path):
    root = lay_out("v2_nested", tmp_path)
    (tmp_path / "sys/fs/cgroup/machine.slice/cpu.max").write_text("max 100000\n")
    capacity = read_capacity(root, lambda: 16)
    assert (capacity.cpus, capacity.cpu_source) == (3, "cgroup v2 cpuset at /machine.slice/box.scope/system.slice")


def test_affinity_lower_than_everything(tmp_path):
    assert read_capacity(lay_out("v2_nested", tmp_path), lambda: 1).cpu_source == "affinity"


def test_the_session_s_own_slice_doesn_t_count(tmp_path):
    # v2_host has a limit of 100M on user.slice, where whoever asks is; the service isn't there.
    assert read_capacity(lay_out("v2_host", tmp_path), lambda: 4).memory > GIB


@pytest.mark.parametrize(("tree", "controllers"), [("v2_host", ("", "")), ("hybrid_systemd_slice", ("cpu", "memory"))])
@pytest.mark.parametrize(("name", "slice_"), [("hello", "system-hello.slice"), ("my-app", r"system-my\x2dapp.slice")])
def test_the_app_s_own_slice_counts(tmp_path, tree, controllers, name, slice_):
    """As after systemctl set-property system-hello.slice MemoryMax=300M CPUQuota=50%."""
    root = lay_out(tree, tmp_path)
    cpu, memory = (next(Path(root, "sys/fs/cgroup", kind).glob("**/system.slice")) / slice_ for kind in controllers)
    for directory in (cpu, memory):
        directory.mkdir(exist_ok=True)
    for file, text in (("cpu.max", "50000 100000"), ("cpu.cfs_quota_us", "50000"), ("cpu.cfs_period_us", "100000")):
        (cpu / file).write_text(text)
    for file in ("memory.max", "memory.limit_in_bytes"):
        (memory / file).write_text(f"{300 * MIB}\n")
    without, found = read_capacity(root, lambda: 4), read_capacity(root, lambda: 4, name)
    assert (found.cpus, found.own, found.memory) == (0.5, 300 * MIB, without.memory)
    assert slice_ in found.cpu_source
    # Another app's is nothing to it.
    assert (read_capacity(root, lambda: 4, "other"), without.own) == (without, None)


def test_a_limit_above_the_host_s_memory_is_none(tmp_path):
    root = lay_out("v2_quota", tmp_path)
    (tmp_path / "sys/fs/cgroup/memory.max").write_text(f"{2**62}\n")
    assert read_capacity(root, lambda: 2).memory_source == "MemTotal"


def test_usual_places_are_tried_without_mountinfo(tmp_path):
    v1 = lay_out("v1_nested", tmp_path / "v1")
    v2 = lay_out("v2_quota", tmp_path / "v2")
    for root in (v1, v2):
        (tmp_path / root / "proc/self/mountinfo").unlink()
    # v1's joined directory has another name than the controller; memory is found all the same.
    assert read_capacity(v1, lambda: 16).memory == 2 * GIB
    assert read_capacity(v2, lambda: 96).cpus == 1.5


def test_a_v1_controller_hides_the_same_one_of_v2(tmp_path):
    # A bare v2 beside v1 has no limits of its own; what lies there by mistake isn't believed.
    root = lay_out("hybrid_systemd", tmp_path)
    (tmp_path / "sys/fs/cgroup/unified/memory.max").write_text("1048576\n")
    assert read_capacity(root, lambda: 2).memory == 768 * MIB


def test_unreadable_files_are_no_limit(tmp_path):
    root = lay_out("v2_quota", tmp_path)
    (tmp_path / "sys/fs/cgroup/memory.max").write_text("surprise\n")
    (tmp_path / "sys/fs/cgroup/cpu.max").write_bytes(b"\xff\xfe")
    assert read_capacity(root, lambda: 2).memory_source == "MemTotal"


def test_a_host_without_meminfo_is_refused(tmp_path):
    with pytest.raises(CapacityError, match="Linux"):
        read_capacity(str(tmp_path), lambda: 2)


def test_this_machine():
    capacity = read_capacity()
    assert capacity.cpus > 0
    assert capacity.memory > 0
    assert service_affinity() >= 1


def test_parse_cgroups():
    assert parse_cgroups("4:cpu,cpuacct:/a:b\n1:name=systemd:/init.scope\n0::/x\nodd\n") == {
        "cpu": "/a:b",
        "cpuacct": "/a:b",
        "name=systemd": "/init.scope",
        "": "/x",
    }


def test_parse_mounts():
    text = (
        "35 24 0:30 /../box /mnt/a\\040b rw shared:9 master:1 - cgroup2 cgroup2 rw,nsdelegate\n"
        "36 32 0:33 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
        "37 32 0:34 / /home rw - ext4 /dev/vda1 rw\n\nodd - cgroup\n"
    )
    v2, v1 = parse_mounts(text)
    assert (v2.version, v2.root, v2.point, v2.controllers) == (2, "/../box", "/mnt/a b", frozenset())
    assert (v1.version, v1.point) == (1, "/sys/fs/cgroup/cpu,cpuacct")
    assert {"cpu", "cpuacct"} <= v1.controllers


@pytest.mark.parametrize(
    ("text", "count"), [("0-3\n", 4), ("0", 1), ("0,2,4-5", 4), ("", None), ("\n", None), ("a-b", None), ("3-0", None)]
)
def test_parse_cpu_list(text, count):
    assert parse_cpu_list(text) == count


@pytest.mark.parametrize(
    ("text", "cpus"),
    [
        ("150000 100000\n", 1.5),
        ("max 100000", None),
        ("-1\n 100000", None),
        ("0 100000", None),
        ("5 0", None),
        (" ", None),
    ],
)
def test_parse_quota(text, cpus):
    assert parse_quota(text) == cpus


@pytest.mark.parametrize(
    ("text", "limit"), [("max\n", None), ("1048576\n", 1048576), ("0", 0), ("", None), ("-1", None)]
)
def test_parse_memory_limit(text, limit):
    assert parse_memory_limit(text) == limit


def test_parse_mem_total():
    assert parse_mem_total("MemFree: 1 kB\nMemTotal:        2035000 kB\n") == 2035000 * KIB
    assert parse_mem_total("MemFree: 1 kB\n") is None


@pytest.mark.parametrize(
    ("path", "root", "below"),
    [
        ("/a/b", "/", "/a/b"),
        ("/a/b", "/a", "/b"),
        ("/a/b", "/a/b", ""),
        ("/", "/", ""),
        ("", "/", ""),
        ("/ab", "/a", None),
        ("/a", "/a/b", None),
        ("/../x", "/", None),
        ("/../x", "/..", "/x"),
    ],
)
def test_path_below(path, root, below):
    assert path_below(path, root) == below
