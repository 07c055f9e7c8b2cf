"""Which Oxmgr is taken, which are refused, and what can't be had under it."""

from __future__ import annotations

import pytest
from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs import oxmgr
from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs.program import Program

OLD = "/usr/local/lib/graceful-oxmgr-0123456789abcdef"
OTHER = "/usr/local/lib/graceful-oxmgr-fedcba9876543210"
HOST = {
    "machine": "x86_64",
    "libc": "2.36",
    "there": False,
    "led_by": "",
    "version": "",
    "digest": "",
    "candidate": "",
    "brought": [OLD, OTHER],
    "in_use": [OTHER],
    "link": OLD,
    "namespaces": True,
    "cgroup2": True,
}
INSTALLED = HOST | {"there": True, "version": "0.5.0", "digest": "00000000000000aa"}


def named(version: str = "0.5.0", machine: str = "x86_64", content: bytes = b"") -> Program:
    return Program(content, machine, version)


def said(host: dict, program: Program | None = None) -> str:
    return "\n".join(problem.sentence for problem in oxmgr.problems({"oxmgr": "/home/me/oxmgr"}, host, program))


def test_the_version_is_read_where_the_program_has_it() -> None:
    content = b"command-line interface0.5.0Oxmgr process manager{before-help}{name} {version}"
    assert oxmgr.KIND.version.search(content)[1] == b"0.5.0"


def test_the_named_one_comes_before_the_hosts_own() -> None:
    chosen = oxmgr.choose(INSTALLED, named())
    assert chosen["program"] == f"/usr/local/lib/graceful-oxmgr-{named().digest}"
    assert (chosen["present"], chosen["packages"], chosen["linked"]) == (False, [], False)
    assert said(INSTALLED, named()) == ""


def test_the_hosts_own_is_copied_so_that_no_upgrade_changes_it() -> None:
    chosen = oxmgr.choose(INSTALLED, None)
    assert chosen["program"] == "/usr/local/lib/graceful-oxmgr-00000000000000aa"
    assert (chosen["present"], chosen["source"], chosen["packages"]) == (False, "/usr/bin/oxmgr", [])
    assert said(INSTALLED) == ""
    again = oxmgr.choose(INSTALLED | {"digest": "0123456789abcdef"}, None)
    assert (again["program"], again["present"], again["linked"]) == (OLD, True, True)
    # Where that was taken away, a deploy alone brings it, too.
    gone = oxmgr.choose(INSTALLED | {"digest": "0123456789abcdef", "brought": [OTHER]}, None)
    assert (gone["program"], gone["present"], gone["linked"]) == (OLD, False, False)


def test_what_no_app_has_any_more_is_stale() -> None:
    assert oxmgr.choose(INSTALLED, None)["stale"] == [OLD]


def test_a_package_is_installed_where_apt_knows_a_good_one() -> None:
    assert oxmgr.choose(HOST | {"candidate": "0.5.0"}, None)["packages"] == ["oxmgr"]
    assert said(HOST | {"candidate": "0.5.0"}) == ""


@pytest.mark.parametrize(
    ("host", "program", "parts"),
    [
        ({}, None, ["fastapi_supervisor is 'oxmgr'", "the host has no Oxmgr", "as fastapi_oxmgr"]),
        (
            {"candidate": "0.6.0"},
            None,
            ["the package that the host's apt has is Oxmgr 0.6.0", "From 0.6.0 on"],
        ),
        ({"there": True}, None, ["/usr/bin/oxmgr doesn't say that it is Oxmgr"]),
        ({"there": True, "version": "0.4.0"}, None, ["the host's /usr/bin/oxmgr is Oxmgr 0.4.0. Older ones"]),
        ({"there": True, "version": "0.10.0"}, None, ["Oxmgr 0.10.0. From 0.6.0 on"]),
        ({"there": True, "led_by": "ann"}, None, ["exchanged by ann", "chown root:root"]),
        ({}, named("0.6.0"), ["fastapi_oxmgr is '/home/me/oxmgr': that is Oxmgr 0.6.0. From 0.6.0 on", "Name version"]),
        ({}, named("0.5.1"), ["that is Oxmgr 0.5.1. Tested is 0.5.0 alone."]),
        ({}, named(""), ["doesn't say its version. Name the .deb"]),
        ({}, named(machine="aarch64"), ["for aarch64, and the host is x86_64"]),
        ({}, named(content=b"GLIBC_2.4 GLIBC_2.39 GLIBC_2.17"), ["needs glibc 2.39, and the host has 2.36", "musl"]),
        ({"namespaces": False}, named(), ["no namespaces of the network"]),
        ({"cgroup2": False}, named(), ["cgroups of version 1 alone"]),
    ],
)
def test_what_cant_be_had_is_refused_with_what_to_do(host: dict, program: Program | None, parts: list[str]) -> None:
    sentence = said(HOST | host, program)
    assert "\n" not in sentence
    assert [part for part in parts if part not in sentence] == []


def test_a_newer_glibc_on_the_host_is_good() -> None:
    assert said(HOST | {"libc": "2.41"}, named(content=b"GLIBC_2.39 ")) == ""


def test_a_daemon_that_listens_to_everybody_is_warned_of() -> None:
    rows = [{"port": 47824, "pid": 7, "program": "oxmgr", "unit": ""}]
    (text,) = oxmgr.warnings(oxmgr.choose(INSTALLED | {"daemons": rows}, None))
    assert "listens on port 47824" in text and "(pid 7, no unit)" in text
    assert oxmgr.warnings(oxmgr.choose(INSTALLED, None)) == []


@pytest.mark.parametrize(
    "name",
    [
        *("PrivateUsers", "CapabilityBoundingSet", "AmbientCapabilities", "RestrictNamespaces", "SystemCallFilter"),
        *(
            "UMask",
            "BindReadOnlyPaths",
            "PrivateNetwork",
            "SocketBindDeny",
            "IPAddressAllow",
            "RestrictNetworkInterfaces",
            "SupplementaryGroups",
        ),
    ],
)
def test_lines_of_the_sandbox_that_a_root_daemon_cant_have_are_refused_by_name(name: str) -> None:
    values = {"supervisor": "oxmgr", "on_failure": "", "sandbox": {name: "x", "TasksMax": 4000, "PrivateTmp": False}}
    (problem,) = oxmgr.check(values)
    assert problem.sentence.startswith(f"fastapi_sandbox: {name} in it can't be had under Oxmgr: ")
    assert oxmgr.check(values | {"supervisor": "systemd"}) == []


def test_on_failure_is_refused_because_the_daemon_goes_on() -> None:
    (problem,) = oxmgr.check({"supervisor": "oxmgr", "on_failure": "mail@%n.service", "sandbox": {}})
    assert problem.variable == "on_failure" and "fastapi_supervisor: systemd" in problem.sentence
    assert oxmgr.check({"supervisor": "oxmgr", "on_failure": "", "sandbox": {}}) == []
