# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The findings as a person reads them. Pure."""

from __future__ import annotations

import re
import textwrap
import typing as t
from collections.abc import Mapping

WIDTH = 110
_INDENT = " " * 10


def render(host: str, told: Mapping[str, t.Any]) -> str:
    """A head for the host, then each app with its findings, the worst first; what is the host's stands last."""
    apps, findings, counts = told["apps"], told["findings"], told["counts"]
    number = f"{len(apps)} app{'' if len(apps) == 1 else 's'}"
    if others := told.get("others"):
        number += f" of {len(apps) + len(others)}"
    lines = [f"{host}: {number}; {', '.join(f'{count} {severity}' for severity, count in counts.items())}"]
    if others:
        some = ", ".join(others[:10]) + (f" and {len(others) - 10} more" if len(others) > 10 else "")
        lines += textwrap.wrap(
            f"Not shown, as fastapi_name is set: {some}. To see all: -e fastapi_name=", WIDTH, initial_indent="  ",
            subsequent_indent="  ", break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip
    for app in apps:
        lines += ["", _head(app)]
        mine = [finding for finding in findings if finding["app"] == app["name"]]
        lines += _rows(mine) or ["  nothing to say"]
    known = {app["name"] for app in apps}
    if rest := [finding for finding in findings if finding["app"] not in known]:
        lines += ["", "the host", *_rows(rest)]
    return "\n".join(lines)


def _head(app: Mapping[str, t.Any]) -> str:
    """shop: gunicorn, 9 workers, shop.service, 127.0.0.1:8000, behind nginx; and its command."""
    parts = [app["server"]]
    if app["pid"]:
        parts.append("1 process" if app["workers"] < 2 else f"{app['workers']} workers")
    else:
        parts.append("doesn't run")
    parts += [
        part for part in (app["container"] or app["unit"] or app["supervisor"], ", ".join(app["listens"])) if part
    ]
    if app["sites"]:
        parts.append("behind " + " and ".join(sorted({site["proxy"] for site in app["sites"]})))
    head = f"{app['name']}: {', '.join(parts)}"
    return f"{head}\n  pid {app['pid']}: {app['command']}" if app["pid"] else head


def _rows(findings: list[Mapping[str, t.Any]]) -> list[str]:
    lines: list[str] = []
    told: set[str] = set()
    for finding in findings:
        # The process and its command stand once, above.
        where = re.sub(r"^(pid [0-9]+): .*", r"\1", finding["where"])
        lines.append(f"  {finding['severity']:<7} {finding['id']}  {where}")
        if finding["severity"] == "info":
            text = f"{finding['seen']} {'' if finding['write'].startswith('Nothing:') else finding['write']}".strip()
            lines += _wrapped(text)
            continue
        # What several of a kind cost is told with the first of them.
        costs = "" if finding["costs"] in told else finding["costs"]
        told.add(finding["costs"])
        lines += _wrapped(f"{finding['seen']} {costs}")
        lines += _wrapped(f"Write: {finding['write']}")
    return lines


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT, break_long_words=False, break_on_hyphens=False
    )
