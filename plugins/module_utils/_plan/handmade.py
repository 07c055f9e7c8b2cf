# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A hand-made oxfile's part in a plan. Sent with worker_plan_info alone, for roles write an oxfile of ours. Pure."""

from __future__ import annotations

from .._oxmgr.app import CAP, App
from .._oxmgr.oxfile import read
from .flow import Oxfile
from .timeouts import OXMGR, PlanProblem, Supervisor

NAME = "oxfile"


def read_oxfile(text: str, name: str = "") -> tuple[Oxfile, list[str]]:
    """How an app of an oxfile is stopped, with all for which the file can't stand; and what is worth knowing of it.

    :param name: of the app, where the file has several.
    """
    apps, findings = read(text)
    problems = [
        PlanProblem(f"{NAME} {found.key}".strip(), None, found.passing, found.sentence)
        for found in findings
        if found.serious
    ]
    app, choice = _choose(apps, name)
    supervisor = OXMGR if app is None else supervisor_of(app)
    return Oxfile(supervisor, (*problems, *choice)), [found.sentence for found in findings if not found.serious]


def _choose(apps: list[App], name: str) -> tuple[App | None, list[PlanProblem]]:
    """The app by its name; or the only one, or the only one that is Gunicorn."""
    chosen = [app for app in apps if app.name == name] if name else apps
    if not name and len(apps) > 1:
        chosen = [app for app in apps if app.is_gunicorn]
    if len(chosen) == 1 or not apps:
        return (chosen[0] if chosen else None), []
    names = ", ".join(app.name for app in apps)
    wrong = f"no app of the oxfile is called {name}" if name else "the oxfile has several apps"
    sentence = f"{NAME}_app is {name or 'not given'}: {wrong}. Write one of {names}."
    return None, [PlanProblem(f"{NAME}_app", name, apps[0].name, sentence)]


def supervisor_of(app: App) -> Supervisor:
    """Oxmgr, as it stops this app."""
    seconds, names = {"stop_timeout": app.stop_timeout}, {"stop_timeout": "stop_timeout_secs"}
    if app.graceful_timeout is not None:
        seconds["graceful_timeout"] = app.graceful_timeout
        names["graceful_timeout"] = "--graceful-timeout"
    names["stop_signal"] = "stop_signal"
    cap = CAP if app.signal == "SIGTERM" else None
    return Supervisor(OXMGR.name, cap, (app.signal, "SIGINT"), seconds, names)
