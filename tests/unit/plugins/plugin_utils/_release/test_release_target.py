from __future__ import annotations

import sys

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app.releases import ReleaseError
from ansible_collections.graceful.deploy.plugins.module_utils._release import facts as release_facts
from ansible_collections.graceful.deploy.plugins.plugin_utils._release.target import (
    debian_for,
    normal_machine,
    platform_tags,
    target_of,
    uv_platform,
    wheel_fits,
)
from packaging import tags

INTERPRETER = {
    "path": "/usr/bin/python3",
    "version": "3.11.2",
    "implementation": "cpython",
    "free_threaded": False,
    "machine": "x86_64",
    "bits": 64,
    "libc": "glibc 2.36",
}


def test_tags_go_down_from_the_hosts_glibc() -> None:
    found = platform_tags("x86_64", "glibc", (2, 36))
    assert found[0] == "manylinux_2_36_x86_64" and found[-1] == "linux_x86_64"
    assert found[found.index("manylinux_2_17_x86_64") + 1] == "manylinux2014_x86_64"
    assert "manylinux1_x86_64" in found and "manylinux_2_37_x86_64" not in found
    arm = platform_tags("aarch64", "glibc", (2, 41))
    assert "manylinux_2_17_aarch64" in arm and "manylinux_2_16_aarch64" not in arm
    assert platform_tags("x86_64", "musl", (1, 2)) == [
        "musllinux_1_2_x86_64",
        "musllinux_1_1_x86_64",
        "musllinux_1_0_x86_64",
        "linux_x86_64",
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="compares with this machine's own tags")
def test_tags_are_those_that_packaging_finds_on_this_machine() -> None:
    facts, problem = release_facts.probe(sys.executable)
    assert problem == ""
    # Where the plain tag comes in the order has changed from one packaging to the next.
    assert sorted(target_of(facts).platforms) == sorted(tags.platform_tags())


@pytest.mark.parametrize(
    ("machine", "libc", "version", "expected"),
    [
        ("x86_64", "glibc", (2, 36), "x86_64-manylinux_2_36"),
        ("aarch64", "glibc", (2, 41), "aarch64-manylinux_2_40"),
        ("x86_64", "glibc", (2, 30), "x86_64-manylinux_2_28"),
        ("x86_64", "musl", (1, 2), "x86_64-unknown-linux-musl"),
    ],
)
def test_the_highest_platform_that_uv_knows(machine: str, libc: str, version: tuple[int, int], expected: str) -> None:
    assert uv_platform(machine, libc, version) == expected


@pytest.mark.parametrize(("machine", "libc", "version"), [("armv7l", "glibc", (2, 36)), ("x86_64", "glibc", (2, 12))])
def test_a_platform_that_uv_does_not_know_is_refused(machine: str, libc: str, version: tuple[int, int]) -> None:
    with pytest.raises(ReleaseError, match=f"The host is {machine}"):
        uv_platform(machine, libc, version)


def test_a_32_bit_python_wants_32_bit_wheels() -> None:
    assert normal_machine("x86_64", 32) == "i686" and normal_machine("arm64", 64) == "aarch64"


def test_the_target_in_words() -> None:
    target = target_of(INTERPRETER)
    assert str(target) == "Python 3.11 on x86_64 with glibc 2.36"
    assert (target.abi, target.family, target.markers["python_full_version"]) == (
        "cp311",
        "linux-x86_64-glibc",
        "3.11.2",
    )


@pytest.mark.parametrize(
    "odd", [{"implementation": "pypy"}, {"free_threaded": True}, {"libc": ""}, {"libc": "glibc strange"}]
)
def test_an_interpreter_without_wheels_is_refused(odd: dict) -> None:
    with pytest.raises(ReleaseError, match=r"fastapi_python is /usr/bin/python3 \(Python 3\.11\.2\)"):
        target_of(INTERPRETER | odd)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("", ""),
        (">=3.11", ""),
        (">=3.10,<4", ""),
        ("nonsense", ""),
        (">=3.11,<3.13", "wants Debian 12"),
        ("==3.11.*", "wants Debian 12"),
        (">=3.12,<4", "wants Debian 13"),
        ("==3.12.*", "fits no Debian's own Python"),
        (">=3.14", "fits no Debian's own Python"),
    ],
)
def test_which_debian_an_app_wants_is_told_before_one_is_rented(wanted: str, said: str) -> None:
    found = debian_for(wanted)
    assert said in found and bool(found) == bool(said)


def test_an_interpreter_that_is_not_there() -> None:
    for python in ("/usr/bin/python3.99", "python3.99", "/etc", "/etc/passwd"):
        facts, problem = release_facts.probe(python)
        assert facts == {} and f"is {python}, and there is no such program" in problem
    facts, problem = release_facts.probe("/bin/false")
    assert facts == {} and "doesn't run as a Python" in problem


def test_whether_a_wheel_of_uv_fits() -> None:
    platforms = platform_tags("x86_64", "glibc", (2, 36))
    assert wheel_fits("uv-0.13.9-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", platforms)
    assert not wheel_fits("uv-0.13.9-py3-none-musllinux_1_1_x86_64.whl", platforms)
    assert not wheel_fits("uv-0.13.9-py3-none-macosx_11_0_arm64.whl", platforms)
    assert wheel_fits("pip-26.3-py3-none-any.whl", platforms)
