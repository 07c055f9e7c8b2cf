# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The source that both sides deploy: the example, with another edition of the code or another dependency."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from hosts import BenchError

BENCH = Path(__file__).resolve().parent
EXAMPLE = BENCH.parent / "examples" / "hello"
# One pure package, in versions that no host and no cache of a run has seen yet; the hashes are those of the wheels.
CHANGED = (
    ("25.5.0", "a8453e9b9e636ec59bd9e79bbd4a72f025981b3ba0f5837aebf48f02f37a7f9f"),
    ("25.4.0", "fe809ff5c27e557d14e613f45ca441aabda051d119ee5a0102aaba6ce40eed2c"),
    ("25.3.0", "a341f5524004c158498c3127eecded091eb67d3a611e7a3093deca30db06e172"),
    ("25.2.0", "0fecea2e345d5d491b72f3db2e5fcd6393abfc8cd06a4851f21fcd4d1a99f437"),
    ("25.1.0", "843fe4f254540329f380812cbe612e1af5ec5b8172205ae634679cd35a6d6321"),
    ("24.4.0", "597f61e80a91cc0749a9fd2a098ed76715a1c8a01f73e336b746504d1aad7610"),
)
# The whole entry of one package in a list with hashes: lines that end in a backslash go on.
ENTRY = re.compile(r"^structlog==(?P<version>\S+)(?: \\\n +--hash=\S+)*$", re.MULTILINE)


def copy_example(to: Path) -> None:
    """The example as it is, without what running it leaves behind."""
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(EXAMPLE, to, ignore=shutil.ignore_patterns("__pycache__", ".*"))


def write(to: Path, edition: int, change: int | None = None) -> str:
    """Write the source that the load client can ask; returns what its answers carry as their release.

    :param edition: number of the code's edition.
    :param change: index into ``CHANGED``; None for the example's own dependencies.
    """
    copy_example(to)
    load = (BENCH / "app" / "load.py").read_text()
    (to / "app" / "load.py").write_text(swap_once(re.compile(r'^EDITION = "0"$', re.M), f'EDITION = "{edition}"', load))
    with (to / "app" / "main.py").open("a") as main:
        main.write("\n\nfrom app.load import instrument\n\ninstrument(app)\n")
    requirements = (to / "requirements.txt").read_text()
    found = ENTRY.search(requirements)
    version = found["version"] if found else ""
    if change is not None:
        version, digest = CHANGED[change]
        requirements = swap_once(ENTRY, f"structlog=={version} --hash=sha256:{digest}", requirements)
        (to / "requirements.txt").write_text(requirements)
    return f"{edition}+{version}"


def swap_once(pattern: re.Pattern[str], text: str, within: str) -> str:
    new, count = pattern.subn(text, within)
    if count != 1:
        raise BenchError(
            f"{pattern.pattern} is there {count} times, not once: bench/source.py is older than the source."
        )
    return new
