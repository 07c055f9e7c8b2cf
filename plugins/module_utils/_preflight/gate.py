# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whom the app's site on this host answers by now, and what is left there of a balancer."""

from __future__ import annotations

import os
import re
import typing as t

from .._app.problems import HIDDEN, Problem
from .._app.words import is_ours
from .._host.files import names_in, read_text

OPEN, BEHIND, BALANCES = "open", "behind", "balances"
# Relative to the host's top.
_SITES = ("/etc/caddy/sites/{}.caddy", "/etc/nginx/sites-enabled/zz-graceful-{}.conf")


def read_site(name: str, top: str = "") -> str:
    """``open`` to everybody, ``behind`` balancers, or one that ``balances``; '' where there is none of ours."""
    for path in _SITES:
        text = read_text(top + path.format(name))
        if is_ours(text):
            mark = re.search(r"^# (behind|balances) ", text, re.M)
            return mark[1] if mark else OPEN
    return ""


def balanced(top: str = "") -> list[str]:
    """The apps for which this host balances."""
    found = set()
    for path in _SITES:
        directory, pattern = os.path.split(path)
        before, after = pattern.split("{}")
        entries = [entry for entry in names_in(top + directory) if entry.startswith(before) and entry.endswith(after)]
        found |= {entry[len(before) : -len(after)] for entry in entries}
    return sorted(name for name in found if read_site(name, top) == BALANCES)


def shares(name: str, top: str = "") -> bool:
    """Whether this host has a part in an address that balancers share."""
    return os.path.exists(f"{top}/etc/keepalived/graceful/{name}.conf")


def judge_left(params: dict[str, t.Any], site: str, has_address: bool) -> t.Iterator[Problem]:
    """A host of the app that was one of its balancers, and is so still as far as the host knows."""
    if site == BALANCES or has_address:
        left = "the shared address" if has_address else "the site"
        wrong = (
            f"this host isn't in it, and has {left} of a balancer of {params['name']} still. As one of the app's hosts "
            "it would refuse all clients that come to it."
        )
        advice = (
            f"Take that off it first, by site.yml with --limit {params['here']} -e fastapi_state=absent; or put it "
            "back into the list."
        )
        yield Problem("balancers", HIDDEN, wrong, advice)
