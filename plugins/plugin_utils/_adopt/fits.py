# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of a hand-made front door preflight would refuse is listed and not written. Pure."""

from __future__ import annotations

import typing as t

from .._inputs.check import RULES
from .._inputs.rules import TODO
from .._inputs.site import check_domain, check_site
from .front import Front

# One that can't be written leaves the rest.
_BY_ENTRY = ("protect", "static", "headers")
_NAMES = ("domains", "redirect_domains")
_NEEDED = ("tls_certificate", "tls_key")


def fit(front: Front) -> None:
    """Take out of a site's values what none of our variables may be, and tell it among the unknown."""
    for name, (value, why) in list(front.values.items()):
        if value == TODO:
            # Left open on purpose, and told of where that was seen.
            continue
        good, odd = _parted(front, name, value)
        front.unknown += [(front.files[0], *each) for each in odd]
        if odd and name in _NEEDED:
            # With fastapi_tls: files the proxy reads it.
            front.values[name] = (TODO, "")
        elif odd and not good:
            del front.values[name]
        elif odd:
            front.values[name] = (good, why)
    _together(front)
    if front.snippet and (problem := RULES["proxy_snippet"]("proxy_snippet", "\n".join(front.snippet))):
        front.unknown.append((front.files[0], "lines in the proxy's own language", problem.sentence))
        front.snippet = []


def _parted(front: Front, name: str, value: t.Any) -> tuple[t.Any, list[tuple[str, str]]]:
    """What of a value may be written, and of the rest text and reason."""
    if name in _NAMES:
        tls = front.values.get("tls", ("off", ""))[0]
        wrong = {each: check_domain(each, tls) for each in value}
        return [each for each in value if not wrong[each]], [(each, why) for each, why in wrong.items() if why]
    rule = RULES.get(name)
    if not rule:
        return value, []
    odd = []
    if name in _BY_ENTRY and isinstance(value, dict):
        problems = {key: rule(name, {key: each}) for key, each in value.items()}
        odd = [(f"{name} {key}", problem.sentence) for key, problem in problems.items() if problem]
        return {key: each for key, each in value.items() if not problems[key]}, odd
    if name in _BY_ENTRY:
        rows = [(each, rule(name, [each])) for each in value]
        odd = [(f"{name} {each['path']}", problem.sentence) for each, problem in rows if problem]
        return [each for each, problem in rows if not problem], odd
    problem = rule(name, value)
    return (None, [(name, problem.sentence)]) if problem else (value, [])


def _together(front: Front) -> None:
    """What fits by itself, and not beside the others."""
    said = {name: value for name, (value, _why) in front.values.items()}
    for problem in check_site({"proxy": front.proxy, "tls": "off", "domains": [], **said}):
        # Without a name there is no certificate, and nobody may do without TLS who hasn't said so.
        if problem.variable in front.values and problem.variable not in ("tls", "domains"):
            del front.values[problem.variable]
        front.unknown.append((front.files[0], problem.variable, problem.sentence))
