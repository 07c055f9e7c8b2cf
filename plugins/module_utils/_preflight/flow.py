# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The host's half of preflight: looks, judges what it found, plans, and asks what role release would ask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._app.releases import ReleaseError
from .._plan.capacity import CapacityError
from .._plan.flow import plan_from_params
from .._plan.seen import see
from .._plan.timeouts import Refusal
from .._release import facts as release_facts
from . import balance, gate, logs
from .background import summary_of_timers
from .facts import read_facts
from .judge import judge, summary

Found = tuple[str, str]
"""The variable that is wrong, or '' for the host, and the sentence."""


def look(
    variables: dict[str, Any], run: Callable[[list[str]], tuple[int, str, str]]
) -> tuple[dict[str, Any], list[str]]:
    """Everything in one trip: ``problems``, ``plan``, ``host``, ``logs``, ``timers`` and ``releases``; and warnings. On
    a balancer ``problems`` and ``host`` alone."""
    if variables.get("part") == "balancer":
        return balance.look(variables, run)
    variables = gate.as_served(variables)
    facts = read_facts(variables, run)
    found, warnings = judge(variables, facts)
    problems = [(problem.variable, problem.sentence) for problem in found]
    planned, refused = plan(variables, run)
    problems += refused
    releases, unreadable = ask_releases(variables, facts["python"]) if not problems else ({}, [])
    answer = {"plan": planned, "host": summary(facts), "logs": logs.explain(variables), "releases": releases}
    answer["timers"] = summary_of_timers(facts["background"])
    return {**answer, "problems": problems + unreadable}, warnings


def plan(
    variables: dict[str, Any], run: Callable[[list[str]], tuple[int, str, str]]
) -> tuple[dict[str, Any] | None, list[Found]]:
    try:
        return plan_from_params(variables, seen=see(run, variables["name"], variables["root"])), []
    except Refusal as refusal:
        return None, [(problem.variable, problem.sentence) for problem in refusal.problems]
    except CapacityError as error:
        return None, [("", str(error))]


def ask_releases(variables: dict[str, Any], python: dict[str, Any]) -> tuple[dict[str, Any], list[Found]]:
    """What role release would ask the host for, and what stands in its way."""
    try:
        return release_facts.query(variables["root"], variables["group"], python), []
    except ReleaseError as error:
        return {}, [("root", str(error))]
    except OSError as error:
        wrong = f"fastapi_root is {variables['root']}: what is there can't be read: {error}."
        return {}, [("root", f"{wrong} Move that away; or run again, if another deploy is at work.")]
