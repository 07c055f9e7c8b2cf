# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Workers and time-outs of a hand-made app, as they are or as our checks would have them. Pure."""

from __future__ import annotations

import typing as t

from ...module_utils._plan.timeouts import Timeouts, climb

DEFAULTS = Timeouts()


def workers(server: t.Mapping[str, t.Any], cpus: int) -> tuple[object, str]:
    """How many workers, and why where that isn't what was written."""
    written = str(server["given"].get("workers", ""))
    if not written.isdigit() or not int(written):
        if server["program"] == "gunicorn" or written == "0":
            return 1, "Gunicorn's own, where none is written."
        return 1, "One process, as it was. `auto` is one for each CPU, where requests share nothing in its memory."
    count = int(written)
    if count > cpus + 1 and count >= 2 * cpus + 1:
        why = (
            f"It was {count}, on {cpus} CPU{'s' * (cpus != 1)}. An async worker serves hundreds of requests at once, "
            "so 2 x CPUs "
            f"+ 1 of them cost memory and database connections for nothing. To have them all the same, write {count}."
        )
        return "auto", why
    return count, ""


def timeouts(given: t.Mapping[str, str], stop: int | None, proxy: int | None) -> dict[str, tuple[int, str]]:
    """The time-outs to write, each with what was before and why it can't be, '' where it is as it was."""
    read = {name: int(float(value)) for name, value in given.items() if value.replace(".", "", 1).isdigit()}
    timeout, graceful = read.get("timeout", 0), read.get("graceful_timeout", 0)
    written = {"timeout": timeout, "graceful_timeout": graceful, "stop_timeout": stop or 0, "proxy_timeout": proxy or 0}
    written = {name: value for name, value in written.items() if value}
    if proxy and not timeout:
        # What the proxy cut off before isn't served longer now.
        written["timeout"] = max(1, proxy - 5)
    fixed, problems = climb(Timeouts(**written))
    reasons = {problem.variable.removeprefix("fastapi_"): problem for problem in problems}
    found: dict[str, tuple[int, str]] = {}
    for name in ("timeout", "graceful_timeout", "stop_timeout", "proxy_timeout"):
        if name in reasons:
            was = f"It was {written[name]}. " if name in written else ""
            found[name] = (fixed[name], was + reasons[name].sentence.rpartition(" Write ")[0])
        elif name in written and written[name] != getattr(DEFAULTS, name):
            found[name] = (fixed[name], "")
    if given.get("timeout") == "0":
        found["timeout"] = (DEFAULTS.timeout, "It was without one, and the proxy's is made of it.")
    return found
