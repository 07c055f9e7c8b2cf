# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The control node's half of audit_info: adds what the source and the versions show to what the host has told."""

from __future__ import annotations

import base64
import itertools
import json
import os
import typing as t
import zlib
from collections.abc import Mapping

from ...module_utils._audit.code import MOST_FILES, collect
from ...module_utils._audit.findings import Finding, counts, ordered
from ...module_utils._audit.model import listed
from ...module_utils._host.run import ProgramError
from . import tools
from .source import judge
from .text import render

MOST = 16 << 20
"""Bytes that a host's files may become when they are unpacked."""
PRIVATE = ("files", "variables", "numbers", "preload", "packages", "source_unread")
"""What the module tells of an app for the control node alone."""
NOTHING = "Nothing: it is told so that you know."


def unpack(text: str) -> dict[str, str]:
    """The files that a host has sent; none where that isn't what it should be."""
    try:
        engine = zlib.decompressobj()
        data = engine.decompress(base64.b64decode(text, validate=True), MOST)
        found = json.loads(data)
    except (ValueError, zlib.error, RecursionError, MemoryError):
        return {}
    rows = itertools.islice(found.items(), MOST_FILES) if isinstance(found, dict) else ()
    return {str(path): content for path, content in rows if isinstance(content, str)}


def complete(
    told: Mapping[str, t.Any], source: str, read_source: bool, host: str, elsewhere: str = ""
) -> dict[str, t.Any]:
    """The module's answer, with what the control node finds.

    :param source: directory with the source, '' for what the host has sent.
    :param elsewhere: what was named in its place and is no directory, such as a git URL.
    """
    found: list[Finding] = []
    apps = [dict(app) for app in told.get("apps", [])]
    ruff = tools.ruff() if read_source else None
    if elsewhere:
        why = "fastapi_source is no directory of this machine, so the source on the host was read."
        found.append(Finding("not-looked-at", "", elsewhere, why, "-e fastapi_source=DIRECTORY, to read another one."))
    if read_source:
        found += _sources(apps, source, told.get("database") or {}, ruff)
        by = (
            f"ruff's ASYNC rules ({ruff.program}) and by our own reading"
            if ruff
            else "our own reading: ruff isn't on this machine's PATH"
        )
        if any(app["files"] for app in apps) or source:
            found.append(
                Finding(
                    "source-read",
                    "",
                    "the source",
                    f"Calls that block were looked for by {by}; none of it was run.",
                    NOTHING if ruff else "pip install ruff, and run again.",
                )
            )
    found += _together([each for app in apps for each in _versions(app)])
    for app in apps:
        for key in PRIVATE:
            app.pop(key, None)
    findings = ordered([*told.get("findings", []), *(each.as_dict() for each in found)])
    result = {"findings": findings, "apps": apps, "counts": counts(findings), "others": told.get("others", [])}
    return {**result, "text": render(host, result)}


def _sources(
    apps: list[dict[str, t.Any]], source: str, database: Mapping[str, t.Any], ruff: tools.Ruff | None
) -> list[Finding]:
    found: list[Finding] = []
    if source:
        texts, why = collect(os.path.abspath(source))
        mine = [app for app in apps if _is_of(app, texts)]
        if why or not texts:
            found.append(
                Finding(
                    "not-looked-at",
                    "",
                    source,
                    f"{why or 'There is no Python file below it'}.".capitalize(),
                    "fastapi_source names the directory that has the app.",
                )
            )
        # Of what no app on the host runs, only the source itself can be judged.
        for app in mine or [{}]:
            found += _judged(texts, source, app, database, ruff)
        return found
    for app in apps:
        if app.get("source_unread"):
            found.append(
                Finding("not-looked-at", app["name"], app["source"], f"{app['source_unread']}.".capitalize(), NOTHING)
            )
        if app["files"]:
            found += _judged(unpack(app["files"]), app["source"], app, database, ruff)
        elif app["pid"]:
            found.append(
                Finding(
                    "not-looked-at",
                    app["name"],
                    app["command"],
                    "Its source isn't below its working directory, so it wasn't read.",
                    "-e fastapi_source=../shop, where the source is on this machine.",
                )
            )
    return found


def _judged(
    texts: Mapping[str, str],
    where: str,
    app: Mapping[str, t.Any],
    database: Mapping[str, t.Any],
    ruff: tools.Ruff | None,
) -> list[Finding]:
    try:
        return judge(texts, where, app, database, ruff)
    except ProgramError as error:
        told = [Finding("not-looked-at", str(app.get("name") or ""), "ruff", str(error), NOTHING)]
        return told + judge(texts, where, app, database)


def _is_of(app: Mapping[str, t.Any], texts: Mapping[str, str]) -> bool:
    """Whether a source has the module that an app is served from."""
    path = str(app.get("app") or "").partition(":")[0].replace(".", "/")
    return bool(path) and any(each in texts or f"src/{each}" in texts for each in (f"{path}.py", f"{path}/__init__.py"))


def _together(found: list[Finding]) -> list[Finding]:
    """What wasn't asked for the same reason is told once for all apps."""
    asked = [each for each in found if each.id != "holes-not-asked"]
    reasons: dict[tuple[str, str], list[str]] = {}
    for each in found:
        if each.id == "holes-not-asked":
            reasons.setdefault((each.seen, each.write), []).append(each.app)
    return asked + [Finding("holes-not-asked", "", ", ".join(apps), *reason) for reason, apps in reasons.items()]


def _versions(app: Mapping[str, t.Any]) -> list[Finding]:
    """Holes that are known in what is installed."""
    name, packages = app["name"], app.get("packages") or {}
    if not app["pid"]:
        return []
    if not packages:
        return [
            Finding(
                "holes-not-asked",
                name,
                app["command"],
                "Its packages are Debian's own, or weren't found.",
                "apt list --upgradable, and unattended-upgrades.",
            )
        ]
    try:
        told = tools.holes(packages)
    except ProgramError as error:
        by_hand = "pip-audit by hand, where there is a network."
        return [Finding("holes-not-asked", name, app["command"], str(error), by_hand)]
    if told is None:
        command = "pip install pip-audit here, and run again; or pip-audit -r requirements.txt where the source is."
        why = "pip-audit isn't on this machine's PATH, so no version was looked up."
        return [Finding("holes-not-asked", name, app["command"], why, command)]
    found = [
        Finding(
            "known-holes",
            name,
            f"{package} {version}",
            f"It has {', '.join(ids[:5])}.",
            f"{package}>={fixed[0]}" if fixed else f"Another package: no version of {package} is without it.",
        )
        for package, version, ids, fixed in told.found
    ]
    if told.skipped:
        why = f"pip-audit knows nothing of {listed(told.skipped)}: {told.why}."
        found.append(Finding("holes-not-asked", name, app["command"], why, "pip-audit where PyPI itself is reached."))
    return found
