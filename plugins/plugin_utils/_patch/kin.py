# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which hosts of a play are of a host's own kind, apps' hosts or balancers, and whether one of them stands in. Pure."""

from __future__ import annotations

import typing as t


def ordered(hosts: t.Sequence[str], balancers: t.Container[str]) -> list[str]:
    """Hosts in the order in which patch.yml's two plays take them."""
    return sorted(hosts, key=lambda host: host in balancers)


def others(host: str, kin: t.Sequence[str]) -> list[str]:
    """The others of a host's kind: first those before it, the last one first, as the run has just seen that serve.

    :param kin: all of its kind, in the play's order.
    """
    place = list(kin).index(host) if host in kin else 0
    found = [*reversed(kin[:place]), *kin[place:]]
    return [each for each in found if each != host]


def alone(asked: t.Sequence[t.Mapping[str, t.Any]], balancer: bool) -> str:
    """Why a host may not leave, in a sentence; '' where another one of its kind is ready.

    :param asked: ``host`` and ``unready`` of each that was asked, '' where that is ready.
    """
    if any(each.get("unready") == "" for each in asked):
        return ""
    what = "balancer" if balancer else "host of the app"
    said = "; ".join(f"{each.get('host')} {each.get('unready') or 'was not asked'}" for each in asked)
    return (
        f"No other {what} is ready, so this one doesn't leave: {said or 'none was asked'}. Make another one ready and "
        "run again; -e leave_within=0 upgrades this one while it serves."
    )
