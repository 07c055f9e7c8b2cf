# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an upgrade asks for when it is done: a reboot, or a new start of what still has the old files in memory."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from .._host.files import names_in, read_text, write
from .._host.systemd import Run

REBOOT = "/run/reboot-required"
REPLACED = (" (deleted)", ("/usr/", "/lib", "/bin/", "/sbin/"))
"""How /proc ends the path of a file that is gone, and how paths of packages' programs and libraries begin."""
PENDING = ("2", "3")
"""needrestart's states of a kernel that waits for a reboot: a compatible one, or another version."""
UNBOOTED = "kernel.json"
"""Name of the file that says which kernel a reboot was to bring, and which one runs all the same."""


def numbers(name: str) -> list[int]:
    return [int(each) for each in re.findall(r"\d+", name)]


def flavour(kernel: str) -> str:
    """What of a kernel's name follows its version and its ABI's number: amd64, cloud-amd64, rt-amd64.

    :param kernel: as uname says, such as 6.1.0-28-cloud-amd64 or 6.12.57+deb13-amd64.
    """
    version, _dash, rest = kernel.partition("-")
    number, dash, after = rest.partition("-")
    return after if dash and number[:1].isdigit() and "+" not in version else rest


def newer_kernel(running: str, installed: Iterable[str]) -> str:
    """The newest kernel of the running one's flavour, where that isn't the running one; else ''.

    :param running: as uname says, such as 6.1.0-28-amd64.
    """
    same = [each for each in installed if flavour(each) == flavour(running)]
    newest = max(same, key=numbers, default=running)
    return newest if numbers(newest) > numbers(running) else ""


@dataclass(frozen=True)
class Reboot:
    """Whether a host has to be rebooted.

    :param reasons: why, in words; empty where it hasn't.
    :param kernel: the one that it would bring; '' where it is for another reason.
    :param unbooted: a sentence on a kernel that a reboot hasn't brought; '' where there is none.
    """

    reasons: list[str]
    kernel: str = ""
    unbooted: str = ""


def reboot_reasons(run: Run, place: str) -> Reboot:
    """Whether the host has to be rebooted.

    :param place: the directory in which note_kernel() leaves its note.
    """
    reasons = []
    if os.path.exists(REBOOT):
        asking = sorted(set(read_text(f"{REBOOT}.pkgs", 5000).split()))
        reasons.append(f"{', '.join(asking) or 'a package'} asks for it ({REBOOT})")
    running = os.uname().release
    wanted, why = _waiting(running, run)
    # What has started another one would do so again, at each run.
    if wanted and _noted(place) == (wanted, running):
        return Reboot(reasons, "", unbooted(wanted, running))
    return Reboot([*reasons, *filter(None, [why])], wanted)


def _waiting(running: str, run: Run) -> tuple[str, str]:
    """The kernel that a reboot would bring, and why that is wanted, in words; both '' where there is none."""
    kernels = [name.removeprefix("vmlinuz-") for name in names_in("/boot") if name.startswith("vmlinuz-")]
    if newest := newer_kernel(running, kernels):
        return newest, f"kernel {newest} is installed, and {running} runs"
    if running in kernels and os.stat(f"/boot/vmlinuz-{running}").st_mtime > booted():
        return "", f"kernel {running} was replaced since it was booted"
    if shutil.which("needrestart"):
        said = dict(re.findall(r"^NEEDRESTART-(K\w+): (.*)$", run(["needrestart", "-b", "-k"])[1], re.MULTILINE))
        if said.get("KSTA") in PENDING:
            kernel = said.get("KEXP", "").strip()
            return kernel, f"needrestart says that kernel {kernel} waits for it"
    return "", ""


def unbooted(wanted: str, running: str) -> str:
    return (
        f"Kernel {wanted} is installed, and a reboot has brought {running} all the same: the boot loader starts "
        "another one. Not rebooted for it again. See GRUB_DEFAULT in /etc/default/grub, and update-grub."
    )


def note_kernel(place: str, wanted: str) -> str:
    """After a reboot for a kernel: note where another one runs, as unbooted() says; '' where it is the wanted one.

    :raises OSError: where the note can't be written.
    """
    running = os.uname().release
    if running == wanted:
        return ""
    write(os.path.join(place, UNBOOTED), json.dumps({"wanted": wanted, "got": running}).encode(), 0o600)
    return unbooted(wanted, running)


def _noted(place: str) -> tuple[str, str]:
    try:
        note = json.loads(read_text(os.path.join(place, UNBOOTED), 1000) or "{}")
        return str(note.get("wanted", "")), str(note.get("got", ""))
    except (ValueError, RecursionError, AttributeError):
        return "", ""


def booted() -> float:
    """Seconds since the epoch."""
    match = re.search(r"^btime (\d+)$", read_text("/proc/stat"), re.MULTILINE)
    return float(match[1]) if match else 0.0


def boot() -> str:
    """Another one after each boot: the kernel's id, and in a container the time at which its first process began."""
    began = read_text("/proc/1/stat").rpartition(")")[2].split()
    return f"{read_text('/proc/sys/kernel/random/boot_id').strip()} {began[19] if len(began) > 19 else ''}"


def has_old_files(exe: str, maps: str) -> bool:
    """Whether a process runs a program, or has a library in memory, that a package has replaced since.

    :param exe: what /proc/PID/exe leads to, and `maps` the text of /proc/PID/maps.
    """
    ending, places = REPLACED
    if exe.endswith(ending) and exe.startswith(places):
        return True
    rows = (line.split(maxsplit=5) for line in maps.splitlines() if line.endswith(ending))
    return any("x" in row[1] and row[5].startswith(places) for row in rows if len(row) == 6)


def unit_of(cgroup: str) -> str:
    """The service of the system's that a process belongs to, by /proc/PID/cgroup; '' where it has none."""
    for line in cgroup.splitlines():
        number, _names, path = line.partition(":")
        if (number == "0" or "name=systemd" in path) and (match := re.search(r"/([^/]+\.service)(?:/|$)", path)):
            return match[1]
    return ""


def stale(proc: str = "/proc") -> dict[str, list[int]]:
    """The services that have old files in memory, with their processes."""
    found: dict[str, list[int]] = defaultdict(list)
    for pid in filter(str.isdigit, names_in(proc)):
        try:
            exe = os.readlink(f"{proc}/{pid}/exe")
        except OSError:
            # A thread of the kernel's, or one that has just ended.
            continue
        if has_old_files(exe, read_text(f"{proc}/{pid}/maps")):
            unit = unit_of(read_text(f"{proc}/{pid}/cgroup"))
            if unit:
                found[unit].append(int(pid))
    return dict(found)
