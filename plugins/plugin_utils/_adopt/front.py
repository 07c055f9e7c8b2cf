# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a hand-made front door comes to in our variables, and what of it has no equal. Pure."""

from __future__ import annotations

import math
import os
import re
import typing as t
from dataclasses import dataclass, field

from .._inputs.site import is_address, is_hostname

_PRIVATE = re.compile(r"(?i)(^|\.)(localhost|local|internal|lan|home|corp|test|example|invalid)$")


@dataclass
class Front:
    """One app's site in a proxy.

    :param files: in which it is, as the proxy reads them.
    :param values: variables without prefix, each with why it is that, '' where it just says the same.
    :param ours: lines that need no equal: place, text, why.
    :param unknown: lines that have none: place, text, what to do.
    :param snippet: lines that go on as they are, in the proxy's own language.
    """

    proxy: str
    files: list[str] = field(default_factory=list)
    values: dict[str, tuple[t.Any, str]] = field(default_factory=dict)
    ours: list[tuple[str, str, str]] = field(default_factory=list)
    unknown: list[tuple[str, str, str]] = field(default_factory=list)
    snippet: list[str] = field(default_factory=list)

    def put(self, name: str, value: t.Any, why: str = "") -> None:
        self.values.setdefault(name, (value, why))

    def header(self, name: str, value: str) -> None:
        """A header that answers get; a variable in it isn't one that we could write."""
        headers = dict(self.values.get("headers", ({}, ""))[0])
        headers[name] = value
        self.values["headers"] = (headers, "")


def size(text: str) -> str:
    """A size as nginx (8m) and Caddy (10MB) write it, as ours: 8M. '' where it is none, or no limit."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([kmg]?)(i?)b?", text.lower())
    if not found or not float(found[1]):
        return ""
    unit = found[2].upper()
    number = float(found[1])
    # Caddy's MB is a million bytes; no body that was let in is refused for that.
    if not unit:
        return f"{math.ceil(number / 1024)}K"
    return f"{math.ceil(number)}{unit}"


def seconds(text: str) -> int | None:
    """A time as nginx, Caddy and systemd write it, in whole seconds; None where it is none."""
    text = text.strip().lower()
    if text in ("infinity", "0"):
        return 0
    units = {"": 1.0, "ms": 0.001, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
    found = re.findall(r"([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)", text)
    if not found or re.sub(r"[0-9.\s]|[a-z]", "", text) or any(unit not in units for _n, unit in found):
        return None
    return math.ceil(sum(float(number) * units[unit] for number, unit in found))


def domains(names: t.Iterable[str]) -> tuple[list[str], list[str]]:
    """Names that a site answers to, and those that ours can't have."""
    good: list[str] = []
    bad: list[str] = []
    for name in dict.fromkeys(names):
        if name in ("_", "", "*"):
            continue
        (good if is_hostname(name) and not is_address(name) else bad).append(name.lower())
    return good, bad


def is_public(name: str) -> bool:
    return not (_PRIVATE.search(name) or "." not in name or is_address(name))


def inside(path: str, directory: str) -> str:
    """A directory relative to the app's; '' where it isn't in it."""
    relative = os.path.relpath(os.path.normpath(path), directory)
    return "" if relative.startswith("..") or relative == "." else relative
