# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a proxy's site says of an app that it serves, in one form for Caddy and nginx."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field

from .._hand.nginx_conf import normal


@dataclass
class Site:
    """One place that hands requests to an upstream.

    :param proxy: 'caddy' or 'nginx'.
    :param address: 'HOST:PORT' or 'unix:PATH'.
    :param where: the file and line of its proxy_pass or reverse_proxy.
    :param names: the host names that it answers to.
    :param wait: seconds that it waits for an answer; None is no limit. `wait_at` is where that is set, '' where not.
    :param keeps: seconds for which it keeps a connection that isn't used; 0 is not at all.
    :param keeps_at: where that is set, '' for its default.
    :param certificates: files, with where each is named.
    :param own_tls: whether it gets its certificates itself.
    :param health: the path that it asks by itself, '' for none.
    :param limit: whether it limits a body's size.
    """

    proxy: str
    address: str
    where: str
    names: tuple[str, ...] = ()
    wait: float | None = None
    wait_at: str = ""
    keeps: float = 0
    keeps_at: str = ""
    certificates: dict[str, str] = field(default_factory=dict)
    own_tls: bool = False
    health: str = ""
    limit: bool = True


_TIMES = {"": 1.0, "ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


def seconds(text: str) -> float | None:
    """Seconds of '90', '1m30s' or '500ms', as both proxies write them; None for anything else."""
    parts = re.findall(r"([0-9.]+)(ns|us|ms|s|m|h|d|w|)", text)
    if not parts or "".join(count + unit for count, unit in parts) != text.replace(" ", ""):
        return None
    return sum(float(count) * _TIMES[unit] for count, unit in parts)


def same(address: str, other: str) -> bool:
    """Whether two addresses are one place; a socket may be named by a link."""
    one, two = normal(address), normal(other)
    return one == two or (one[:5] == two[:5] == "unix:" and os.path.realpath(one[5:]) == os.path.realpath(two[5:]))
