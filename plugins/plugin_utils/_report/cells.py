# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pieces of the page: tables, and what is in their cells, none of which is taken for markup. Pure."""

from __future__ import annotations

import html
import time
import typing as t

from ...module_utils._observe.text import ENDS_SOON

WRAPS = "wraps"
"""The class of cells with so much in them that it takes several lines."""


def table(title: str, head: t.Sequence[str | tuple[str, str]], rows: t.Sequence[str]) -> str:
    """:param head: names of the columns, one with a class as in `cell`."""
    if not rows:
        return ""
    names = cells(*head).replace("<td", "<th").replace("</td>", "</th>")
    body = "".join(f"<tr>{each}</tr>" for each in rows)
    return f'<h2>{title}</h2><div class="wide"><table><tr>{names}</tr>{body}</table></div>'


def cells(*found: str | tuple[str, str]) -> str:
    return "".join(cell(*each) if isinstance(each, tuple) else cell(each) for each in found)


def cell(text: str, kind: str = "") -> str:
    return f"<td{f' class={chr(34)}{kind}{chr(34)}' if kind else ''}>{escaped(text)}</td>"


def escaped(text: object) -> str:
    return html.escape(str(text))


def first(text: str) -> str:
    """The first line, which says what it is."""
    line = text.strip().partition("\n")[0]
    return line if len(line) <= 200 else f"{line[:199]}…"


def when(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(at))


def days_left(facts: t.Mapping[str, t.Any], now: float) -> int | None:
    """Until the certificate ends; None where there is none."""
    ends = (facts.get("certificate") or {}).get("ends")
    return None if ends is None else int((ends - now) // 86400)


def of_certificate(facts: t.Mapping[str, t.Any], now: float) -> tuple[str, str]:
    left = days_left(facts, now)
    return "-" if left is None else f"{left} d", "bad" if left is not None and left < ENDS_SOON else ""


def ends_soon(facts: t.Mapping[str, t.Any], now: float) -> str:
    """What to say of it; '' where there is time."""
    left = days_left(facts, now)
    if left is None or left >= ENDS_SOON:
        return ""
    return f"the certificate ends in {left} days." if left >= 0 else "the certificate has ended."
