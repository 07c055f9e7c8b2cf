# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What patch.yml says of a host, before and after, and where it stops. Pure."""

from __future__ import annotations

import typing as t

from ...module_utils._observe.text import age

Answer = t.Mapping[str, t.Any]
UNBALANCED = (
    "it went on to serve meanwhile, for no balancer of it is known (fastapi_balancers). Behind one of somebody else's: "
    "-e leave_within=60"
)
ASKED_TO = "it went on to serve meanwhile: -e leave_within=0."
ALONE = "it went on to serve meanwhile, for the play has no other {} that could stand in for it."
LISTED = 40
"""So many packages are named."""


def upgraded(answer: Answer, check: bool) -> list[str]:
    """The packages, a line each."""
    packages = answer["packages"]
    if not packages:
        return ["nothing to upgrade."]
    verb = "would be upgraded" if check else "upgraded"
    shown = [f"  {each}" for each in packages[:LISTED]]
    more = [f"  and {len(packages) - LISTED} more"] if len(packages) > LISTED else []
    return [f"{len(packages)} package(s) {verb}:", *shown, *more]


def kept(answer: Answer) -> str:
    """'' where nothing is kept back."""
    names = ", ".join(answer.get("kept_back") or [])
    return names and f"Kept back, because they are held or take a removal: {names}. See apt-get upgrade on the host."


def listed(answer: Answer, now: float) -> str:
    """By which lists check mode answers."""
    at = float(answer.get("listed_at") or 0)
    if not at:
        return (
            "The host has no lists of packages: apt-get update has never run there, and check mode doesn't fetch any."
        )
    return f"By the lists that the host fetched {age(now - at)} ago; check mode doesn't fetch them anew."


def down(answer: Answer) -> str:
    """What a reboot makes unreachable, and for how long it was the last time."""
    apps = ", ".join(answer.get("apps") or []) or "no app of this collection"
    last = answer.get("last_down")
    known = f"for {last:.0f} s at most the last time" if last is not None else "for how long isn't known yet"
    return f"unreachable meanwhile: {apps}, {known}"


def reboots(answer: Answer) -> str:
    """Before it does."""
    return f"reboots: {'; '.join(answer['reboot_reasons'])}; {down(answer)}."


def served(balancers: t.Collection[str], others: t.Collection[str], balancer: bool) -> str:
    """That a host went on to serve while it was patched, and why."""
    if not balancers:
        return UNBALANCED
    return ASKED_TO if others else ALONE.format("balancer" if balancer else "host of the app")


def wants_reboot(answer: Answer, reboot: str, balanced: bool) -> str:
    """That a reboot is needed and isn't done; '' where none is.

    :param reboot: the option.
    :param balanced: whether other hosts serve meanwhile.
    """
    if not answer.get("reboot_reasons"):
        return ""
    said = f"It has to be rebooted: {'; '.join(answer['reboot_reasons'])}."
    if reboot == "never":
        return f"{said} Not done: -e reboot=never."
    if balanced and reboot == "auto" and answer.get("stays_up"):
        return f"{said} Not done, because {answer['stays_up']}. At a good hour: -e reboot=needed"
    if balanced or reboot == "needed":
        return f"{said} {down(answer)[0].upper()}{down(answer)[1:]}."
    return (
        f"{said} Not done, because no other host stands in for it (fastapi_balancers); {down(answer)}. At a good hour: "
        "-e reboot=needed"
    )


def stopped(why: str, host: str, hosts: t.Sequence[str], marked: bool) -> str:
    """Why the run ends here, and what of the others.

    :param hosts: all, in the order in which they are patched.
    :param marked: whether the host may be left marked as leaving.
    """
    place = list(hosts).index(host) if host in hosts else 0
    done, left = list(hosts[:place]), list(hosts[place + 1 :])
    lines = [why]
    if marked:
        lines.append(f"When {host} is well, run patch.yml again: it finishes what this run began.")
    lines.append(f"Patched before it: {', '.join(done) or 'none'}. Left as they were: {', '.join(left) or 'none'}.")
    return "\n".join(lines)


def summary(answer: Answer, back: Answer | None) -> str:
    """One line of what was done beside the upgrade; '' where nothing was."""
    notes = [*answer.get("notes", []), *(back or {}).get("notes", [])]
    seconds = (back or answer).get("down")
    if seconds is not None:
        notes.append(f"ready after {seconds:.0f} s at most")
    return "; ".join(notes)
