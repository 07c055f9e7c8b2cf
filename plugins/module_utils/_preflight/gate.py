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

OPEN, PASSING, RETURNING, BEHIND, BALANCES = "open", "passing", "returning", "behind", "balances"
SERVES = (OPEN, PASSING, RETURNING)
"""Sites of a host that clients come to by themselves."""
# What an app's host behind balancers has of the site's variables: the rest is theirs.
DOORLESS: dict[str, t.Any] = {"tls": "off", "redirect_domains": [], "rate_limit": "", "protect": [], "webhook_path": ""}
# Relative to the host's top.
_SITES = ("/etc/caddy/sites/{}.caddy", "/etc/nginx/sites-enabled/zz-graceful-{}.conf")


def read_site(name: str, top: str = "") -> str:
    """``open`` to everybody; ``passing``, to them and to balancers; ``returning``, the same where these go; ``behind``
    balancers; or one that ``balances``; '' where there is none of ours."""
    text = _site(name, top)
    mark = re.search(r"^# (passing|returning|behind|balances) ", text, re.M)
    return mark[1] if mark else OPEN if text else ""


def read_balancers(name: str, top: str = "") -> dict[str, list[str]]:
    """Whom the site of one of the app's hosts takes for its balancers: ``names`` and ``balancers``, their addresses."""
    mark = re.search(r"^# (?:passing|returning|behind) (.*) at (.*)$", _site(name, top), re.M)
    return {"names": mark[1].split(), "balancers": mark[2].split()} if mark else {"names": [], "balancers": []}


def _site(name: str, top: str) -> str:
    texts = (read_text(top + path.format(name)) for path in _SITES)
    return next((text for text in texts if is_ours(text)), "")


def as_served(params: dict[str, t.Any]) -> dict[str, t.Any]:
    """The variables as they count on one of the app's hosts: where clients come by balancers alone, the door is theirs.

    ``direct`` of them is fastapi_direct where there are balancers. One that clients come to by now keeps its door until
    that says that they don't any more (plugin_utils/_inputs/passage.py).
    """
    direct = params.get("direct")
    passes = direct == "served" or (direct == "auto" and read_site(params["name"]) in SERVES)
    return params if not direct or passes else params | DOORLESS


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
        off = f"by site.yml with --limit {params['here']} -e fastapi_state=absent"
        advice = f"Take that off it first, {off}; or put it back into the list."
        if not params.get("direct"):
            # The last ones go: their clients are to come to the app's hosts first.
            advice = (
                f"Run site.yml for the app's hosts first, by --limit, and have the site's name lead to them; then take "
                f"that off this one, {off}."
            )
        yield Problem("balancers", HIDDEN, wrong, advice)
