# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules for how pushes come in, and which of them are deployed."""

from __future__ import annotations

import itertools
import re
import typing as t

from ...module_utils._app.problems import HIDDEN, Problem, write
from . import rules

SHORTEST_SECRET = 20
SAMPLE = "/-/push"
# As git has it, without what a shell or a glob would take for its own, and as long as pushes are believed.
_GOOD = r"(?![-./])(?!refs/)(?!.*(\.\.|//|/\.|\./|\.lock(/|$)))[A-Za-z0-9._/+@#%s-]{1,200}(?<![./])"
_NAME, _PATTERN = re.compile(_GOOD % "", re.ASCII), re.compile(_GOOD % "*?", re.ASCII)
MAKE_SECRET = "python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"


def path(variable: str, value: t.Any) -> Problem | None:
    problem = rules.url_path(variable, value)
    if problem and isinstance(value, str) and rules.plain_path(value) != "/":
        return problem
    if problem and not isinstance(value, str):
        return Problem(variable, value, problem.wrong, write(variable, SAMPLE))
    if problem or len(value) < 2:
        wrong = "the app's own pages are there; pushes need a path that the app has nothing at."
        return Problem(variable, value, wrong, write(variable, SAMPLE))
    return None


def branch(variable: str, value: t.Any) -> Problem | None:
    # An empty one is none, where tags are what is deployed.
    if isinstance(value, str) and (value == "" or _NAME.fullmatch(value)):
        return None
    wrong = "it has to be the name of one branch, as git has it."
    given = value.removeprefix("refs/heads/") if isinstance(value, str) else ""
    return Problem(variable, value, wrong, write(variable, given if _NAME.fullmatch(given) else "main"))


def tags(variable: str, value: t.Any) -> Problem | None:
    if isinstance(value, str) and _PATTERN.fullmatch(value):
        return None
    wrong = "it has to be a pattern of tags' names, in which * and ? stand for characters."
    given = value.removeprefix("refs/tags/") if isinstance(value, str) else ""
    return Problem(variable, value, wrong, write(variable, given if _PATTERN.fullmatch(given) else "v*"))


def secret(variable: str, value: t.Any) -> Problem | None:
    if isinstance(value, str) and len(value) >= SHORTEST_SECRET and re.fullmatch(r"[A-Za-z0-9._~+/=:@%^*,!-]+", value):
        return None
    wrong = f"it has to be {SHORTEST_SECRET} or more of letters, digits and . _ ~ + / = : @ % ^ * , ! -, since whoever "
    wrong += "guesses it deploys."
    return Problem(variable, HIDDEN, wrong, f"Make one by {MAKE_SECRET}.")


def check(values: dict[str, t.Any]) -> list[Problem]:
    """What joins the path with the rest of the site; one that is missing here is refused already."""
    at = values.get("webhook_path")
    if not at:
        return []
    found = []
    if values.get("proxy") == "none":
        wrong = "pushes come in through the site of the app's proxy, and fastapi_proxy is none."
        found.append(
            Problem("webhook_path", at, wrong, "Write fastapi_proxy: caddy, or take it out and deploy from your CI.")
        )
    elif values.get("tls") in ("off", "") and not values.get("trusted_proxies", [""]):
        wrong = "without TLS whoever sees a push on its way could send another in its place, and fastapi_tls is off."
        advice = (
            "Write fastapi_tls: acme and fastapi_domains, or fastapi_trusted_proxies where another proxy has the TLS."
        )
        found.append(Problem("webhook_path", at, wrong, advice))
    if wrong := taken(at, values):
        found.append(Problem("webhook_path", at, wrong, write("webhook_path", free(values))))
    if not values.get("webhook_branch", "main") and not values.get("webhook_tags", ""):
        wrong = "it is empty, and so is fastapi_webhook_tags: no push would deploy anything."
        found.append(Problem("webhook_branch", HIDDEN, wrong, write("webhook_branch", "main")))
    return found


def taken(at: str, values: dict[str, t.Any]) -> str:
    """What the site has at a path already; '' where it has nothing."""
    if at in (values.get("health_path"), values.get("ready_path")):
        return "the app is asked there whether it is well."
    for static in map(str, values.get("static") or {}):
        if _below(at, static):
            return f"fastapi_static has files below {static}."
    for entry in values.get("protect") or []:
        guarded = str(entry.get("path", "")).rstrip("/") if isinstance(entry, dict) else ""
        # The proxies take /Admin for /admin there.
        if guarded and _below(at.lower(), guarded.lower()):
            return f"fastapi_protect lets only some in below {guarded}, and the git server is none of them."
    return ""


def _below(path: str, top: str) -> bool:
    return f"{path}/".startswith(f"{top.rstrip('/')}/")


def free(values: dict[str, t.Any]) -> str:
    """A path that the site has nothing at."""
    others = (f"/-push-{number}" for number in itertools.count(1))
    return next(path for path in itertools.chain([SAMPLE], others) if not taken(path, values))
