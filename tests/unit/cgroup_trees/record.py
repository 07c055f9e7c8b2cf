# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints what a host says of its cgroups, as one of the trees beside this file: python3 record.py >host.txt.

Run it as root on a host of the kind that is missing, and put a line with "#" above its output that says which kind.
A line "== /path" starts a file; where the path ends in "/" it is a directory.
"""

from __future__ import annotations

import re
from pathlib import Path

FILES = (
    "cpu.max",
    "cpuset.cpus.effective",
    "memory.max",
    "memory.high",
    "cpu.cfs_quota_us",
    "cpu.cfs_period_us",
    "cpuset.cpus",
    "memory.limit_in_bytes",
)


def main() -> None:
    out = [("/proc/1/cgroup", Path("/proc/1/cgroup").read_text("utf-8"))]
    mounts = [line for line in Path("/proc/self/mountinfo").read_text("utf-8").splitlines() if " - cgroup" in line]
    out.append(("/proc/self/mountinfo", "\n".join(mounts)))
    out.append(("/proc/meminfo", Path("/proc/meminfo").read_text("utf-8").splitlines()[0]))
    # Every place above PID 1 and above its system.slice, in every hierarchy: more than a service's own way up.
    places = {Path("/"), Path("/system.slice")}
    for path in {line.split(":", 2)[2] for line in out[0][1].splitlines()}:
        for place in (Path(path), Path(path.removesuffix("/init.scope") or "/", "system.slice")):
            places |= {place, *place.parents}
    for point in [line.split()[4] for line in mounts]:
        for place in sorted(places):
            directory = Path(point, *place.parts[1:])
            if place.name == "system.slice" and directory.is_dir():
                out.append((f"{directory}/", ""))
            out += [
                (str(directory / file), (directory / file).read_text("utf-8"))
                for file in FILES
                if (directory / file).is_file()
            ]
    text = "\n".join(f"== {name}\n{content}".rstrip() for name, content in out)
    print(re.sub(r"([0-9a-f]{12})[0-9a-f]{52}", r"\1", text))


if __name__ == "__main__":
    main()
