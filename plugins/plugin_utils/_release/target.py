# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a release is built for: one interpreter on one platform, in the words of wheels, of pip and of uv."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ...module_utils._app.releases import ReleaseError
from .packages import InvalidSpecifier, SpecifierSet

# Names that wheels had for a platform before PEP 600 numbered it by its glibc.
_LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
# The platforms that `uv pip compile --python-platform` of the pinned uv has a name for.
_UV_GLIBC = (17, 28, *range(31, 41))
_UV_MACHINES = ("x86_64", "aarch64")


@dataclass(frozen=True)
class Target:
    """The host's interpreter and platform.

    :param version: of Python, with its patch level, because markers of real packages ask for it.
    :param abi: as wheels spell it, 'cp311'.
    :param libc: 'glibc' or 'musl'.
    :param libc_version: (major, minor).
    """

    version: str
    abi: str
    machine: str
    libc: str
    libc_version: tuple[int, int]

    @property
    def minor(self) -> str:
        return ".".join(self.version.split(".")[:2])

    @property
    def family(self) -> str:
        """What of the platform is part of a release's id."""
        return f"linux-{self.machine}-{self.libc}"

    def __str__(self) -> str:
        return f"Python {self.minor} on {self.machine} with {self.libc} {'.'.join(map(str, self.libc_version))}"

    @property
    def platforms(self) -> list[str]:
        """Platform tags that the host takes, best first."""
        return platform_tags(self.machine, self.libc, self.libc_version)

    @property
    def uv_platform(self) -> str:
        return uv_platform(self.machine, self.libc, self.libc_version)

    @property
    def markers(self) -> dict[str, str]:
        """The environment that requirements' markers are evaluated in."""
        return {
            "implementation_name": "cpython",
            "implementation_version": self.version,
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": self.version,
            "python_version": self.minor,
            "sys_platform": "linux",
            "extra": "",
        }


def target_of(interpreter: dict[str, Any]) -> Target:
    """From what the host's probe says; raises where no wheels can be collected for it."""
    version = str(interpreter["version"])
    where = f"fastapi_python is {interpreter['path']} (Python {version})"
    if interpreter["implementation"] != "cpython":
        raise ReleaseError(
            f"{where}, which is {interpreter['implementation']}: method wheels serves CPython. Set another."
        )
    if interpreter["free_threaded"]:
        raise ReleaseError(f"{where}, a free-threaded build, which few wheels are made for. Set an ordinary one.")
    libc, _space, libc_version = str(interpreter["libc"]).partition(" ")
    try:
        major, minor = (int(part) for part in libc_version.split(".")[:2])
    except ValueError:
        raise ReleaseError(
            f"{where}, and its C library is neither glibc nor musl: no wheels are made for it."
        ) from None
    return Target(
        version=version,
        abi="cp" + "".join(version.split(".")[:2]),
        machine=normal_machine(str(interpreter["machine"]), int(interpreter["bits"])),
        libc=libc,
        libc_version=(major, minor),
    )


DEBIANS = {"Debian 12": ("3.11.2", (2, 36)), "Debian 13": ("3.13.5", (2, 41))}
"""The Python that each comes with, and its glibc."""


def debians(wanted: str, machine: str) -> dict[str, Target]:
    """The Debians whose own Python an app takes, by name.

    :param wanted: what the app asks of it, such as '>=3.12'.
    """
    return {
        name: Target(version, "cp" + "".join(version.split(".")[:2]), machine, "glibc", glibc)
        for name, (version, glibc) in DEBIANS.items()
        if fitting(wanted, version)
    }


def fitting(wanted: str, version: str) -> bool:
    """Whether an app takes a Python of this version; raises where what it asks for can't be read."""
    try:
        return not wanted or SpecifierSet(wanted).contains(version, prereleases=True)
    except InvalidSpecifier:
        raise ReleaseError(f"requires-python in pyproject.toml is {wanted!r}, which isn't a version range.") from None


def debian_for(wanted: str) -> str:
    """What to say of the Debian whose own Python an app takes; '' where both fit, or where that can't be read."""
    try:
        fit = debians(wanted, "x86_64")
    except ReleaseError:
        return ""
    if len(fit) == len(DEBIANS):
        return ""
    has = " and ".join(f"{name} has {'.'.join(its.split('.')[:2])}" for name, (its, _glibc) in DEBIANS.items())
    which = f"wants {' or '.join(fit)}" if fit else "fits no Debian's own Python"
    more = "" if fit else ". Put one on the host, and set fastapi_python to it"
    return f"The app needs Python {wanted}, and so {which}: {has}{more}."


def check_python(
    wanted: str, version: str, machine: str = "x86_64", lacking: Callable[[Target], Sequence[str]] = lambda _other: ()
) -> None:
    """Raise where the host's interpreter isn't what the app's pyproject.toml asks for.

    :param lacking: what of the app has no wheel for another target, to send nobody to a Debian that refuses it next.
    """
    if fitting(wanted, version):
        return
    there = debians(wanted, machine)
    missing = {name: lacking(its) for name, its in there.items()}
    good = [f"{name} has Python {its.minor}. " for name, its in there.items() if not missing[name]]
    bad = "".join(
        f"{name} has Python {its.minor}, for which there is no wheel of {', '.join(missing[name])}. "
        for name, its in there.items()
        if missing[name] and not good
    )
    none = "" if good else "No Debian's own Python fits. "
    newer = "Write versions that have one, or set" if bad else "Set"
    raise ReleaseError(
        f"The app needs Python {wanted} (requires-python in its pyproject.toml), and the host's is {version}. "
        f"{none}{bad}{''.join(good)}{newer} fastapi_python to one that is on the host and fits, or widen "
        "requires-python if the app runs there."
    )


def normal_machine(machine: str, bits: int) -> str:
    """The machine as wheels name it; a 32-bit Python on a 64-bit kernel wants 32-bit wheels."""
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(machine.lower(), machine)
    return {"x86_64": "i686", "aarch64": "armv7l"}.get(machine, machine) if bits == 32 else machine


def platform_tags(machine: str, libc: str, version: tuple[int, int]) -> list[str]:
    """PEP 600 and PEP 656: every level down from the host's own, the older names among them, then the plain one."""
    tags = []
    if libc == "glibc":
        floor = 5 if machine in ("x86_64", "i686") else 17
        for minor in range(version[1], floor - 1, -1):
            tags.append(f"manylinux_2_{minor}_{machine}")
            if minor in _LEGACY:
                tags.append(f"{_LEGACY[minor]}_{machine}")
    else:
        tags = [f"musllinux_1_{minor}_{machine}" for minor in range(version[1], -1, -1)]
    return [*tags, f"linux_{machine}"]


def uv_platform(machine: str, libc: str, version: tuple[int, int]) -> str:
    """The highest platform that uv knows and the host has; raises where there is none."""
    if libc == "musl" and machine in _UV_MACHINES:
        return f"{machine}-unknown-linux-musl"
    levels = [minor for minor in _UV_GLIBC if minor <= version[1]]
    if libc != "glibc" or machine not in _UV_MACHINES or not levels:
        raise ReleaseError(
            f"The host is {machine} with {libc} {version[0]}.{version[1]}. Method wheels collects wheels for x86_64 "
            "and aarch64, with glibc 2.17 or newer, or musl."
        )
    return f"{machine}-manylinux_2_{levels[-1]}"


def wheel_fits(filename: str, platforms: list[str]) -> bool:
    """Whether a wheel that needs no particular Python, such as uv's, runs on one of the platforms."""
    tags = filename.removesuffix(".whl").rpartition("-")[2].split(".")
    return "any" in tags or not set(tags).isdisjoint(platforms)
