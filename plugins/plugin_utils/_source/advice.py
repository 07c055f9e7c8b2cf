# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What to say of an app before its first deploy, by what its source shows. Pure but for a .env, which is read."""

from __future__ import annotations

import os
import re
import typing as t

from ...module_utils._app.words import PREFIX
from .secret import how_made
from .shown import Code, Place

HEALTH = re.compile(r"(?i)(.*/)?(health[-_]?z?(check)?|live(z|ness)?|alive|ping|heartbeat)/?")
READY = re.compile(r"(?i)(.*/)?(ready(z|ness)?|readiness)/?")
# What keeps in one process what all workers would have to share, and what comes of it.
ALONE = {
    "apscheduler": "runs its jobs in each worker, so each job as often as there are workers",
    "rocketry": "runs its tasks in each worker, so each task as often as there are workers",
    "gradio": "keeps its sessions in one process, so every other click meets a worker that doesn't know it",
    "nicegui": "keeps its pages in one process, so every other click meets a worker that doesn't know it",
    "socketio": "keeps its clients in one process, so every other request meets a worker that doesn't know them",
}
_ASSIGNED = re.compile(r"\s*(?:export\s+)?([A-Za-z_]\w*)\s*=")
_MOST_NAMES = 8


def advice(code: Code, values: dict[str, t.Any], top: str) -> list[str]:
    """Sentences that warn; none where the source shows nothing.

    :param values: of the variables, typed.
    """
    told = [_path(code, values, "health", HEALTH), _path(code, values, "ready", READY)]
    told += [_unset(code, values, top), _beside(code, values), _open(code, values), _random(code, values)]
    if str(values.get("workers")) != "1":
        told += [f"{why} Write {PREFIX}workers: 1, or {other}." for why, other in alone(code)]
    return [sentence for sentence in told if sentence]


def like(code: Code, app: str, shape: re.Pattern[str]) -> dict[str, Place]:
    """The paths of an application that are called as a liveness or readiness path is, shortest first."""
    paths, _whole = code.paths(app)
    return {path: paths[path] for path in sorted(paths, key=len) if shape.fullmatch(path) and "{" not in path}


_ANY_WORD = re.compile(r"/\{\w+(:(str|path))?\}/?")


def takes(code: Code, app: str) -> tuple[str, Place] | None:
    """The route of an application that takes any first word, /ready as well; None where it has none."""
    paths, _whole = code.paths(app)
    return next(((path, place) for path, place in paths.items() if _ANY_WORD.fullmatch(path)), None)


def _path(code: Code, values: dict[str, t.Any], kind: str, shape: re.Pattern[str]) -> str:
    app, wanted = str(values["app"]).removesuffix("()"), str(values.get(f"{kind}_path", ""))
    paths, whole = code.paths(app)
    near = {path: at for path, at in paths.items() if path == f"{wanted}/"} or like(code, app, shape)
    variable, taken = f"{PREFIX}{kind}_path", takes(code, app)
    if not near and wanted not in paths and wanted.count("/") == 1 and taken and ":path" not in taken[0]:
        other = next(iter(like(code, app, HEALTH)), "")
        write = f"write {variable}: {other}, which it has, or " if other else ""
        told = f"{variable} is {wanted}, which the app's route {taken[0]} ({taken[1]}) takes. If it answers an error"
        return f"{told}, as to an unknown word, no release gets traffic: {write}add {wanted} above that route"
    if not wanted or wanted in paths or not near:
        return ""
    path, at = next(iter(near.items()))
    lacks = "has no such path" if whole else "seems to have no such path"
    return f"{variable} is {wanted}, and the app {lacks}; it has {path} ({at}). Write {variable}: {path}"


def settings_in(top: str, path: str = ".env") -> list[str]:
    """The names that a .env of the source sets; its own is left behind, as it may hold the secrets of a laptop."""
    try:
        with open(os.path.join(top, path), encoding="utf-8", errors="replace") as file:
            lines = file.read(1 << 20).split("\n")
    except OSError:
        return []
    return list(dict.fromkeys(match[1] for line in lines if (match := _ASSIGNED.match(line))))


def _there(values: dict[str, t.Any], variable: str = "env") -> set[str]:
    """The names that fastapi_env sets, or another variable of its kind."""
    given = values.get(variable)
    return {str(name).upper() for name in given} if isinstance(given, dict) else set()


def _unset(code: Code, values: dict[str, t.Any], top: str) -> str:
    """Settings without which the app won't start, or which its .env sets, and that nobody has set for the host."""
    there = _there(values)
    # What a process alone has may be wanted by that alone.
    for process in (values.get("processes") or {}).values():
        there |= {str(name).upper() for name in process.get("env") or ()}
    # What the code names is shipped, and has its values.
    there |= {name.upper() for path in code.examples for name in settings_in(top, path)}
    wanted = {name: at for name, at in code.wanted.items() if name.upper() not in there}
    behind = settings_in(top)
    if wanted:
        name, at = next(iter(wanted.items()))
        told = " The .env of the source, which sets some, stays behind." if set(behind) & set(wanted) else ""
        it = "it" if len(wanted) == 1 else "them"
        return (
            f"The app wants {_names(wanted)} ({at}) from its environment, and {PREFIX}env doesn't set {it}.{told} "
            f"Write {PREFIX}env: {{{name}: ...}}"
        )
    # Who has taken one over knows of the others.
    if behind and not there & {name.upper() for name in behind}:
        return (
            f"{PREFIX}source has a .env, which stays behind, as it is this machine's. It sets {_names(behind)}, and "
            f"{PREFIX}env none of them. Write there what the host needs, passwords by ansible-vault."
        )
    return ""


def _beside(code: Code, values: dict[str, t.Any]) -> str:
    """What the app could read and never write, as a database, seen before somebody's first sign-up fails."""
    shared = values.get("shared_paths")
    shared = shared if isinstance(shared, list) else []
    found = code.unshared(shared, _there(values))
    if not found:
        return ""
    path, place = next(iter(found.items()))
    return (
        f"{place} writes {path}, beside the code, where the app can only read. It outlives releases, and can be "
        f"written, where it is shared. Write {PREFIX}shared_paths: [{', '.join([*shared, *found])}]"
    )


def _open(code: Code, values: dict[str, t.Any]) -> str:
    """A secret that isn't one, and with which anybody can sign what the app believes."""
    there = _there(values) | _there(values, "credentials")
    found = {name: at for name, at in code.open_secrets.items() if name.upper() not in there}
    if not found:
        return ""
    name, at = next(iter(found.items()))
    has = "has a default" if len(found) == 1 else "have defaults"
    return (
        f"{_names(found)} {has} ({at}) that whoever reads the source knows, and {PREFIX}env doesn't set "
        f"{'it' if len(found) == 1 else 'them'}. Write {PREFIX}env: {{{name}: ...}}, encrypted by ansible-vault, with "
        f"what {how_made('')} says."
    )


def _random(code: Code, values: dict[str, t.Any]) -> str:
    """A secret that no two workers and no two releases have in common."""
    there = _there(values) | _there(values, "credentials")
    found = {name: made for name, made in code.random.items() if not made[2] or name.upper() not in there}
    if not found:
        return ""
    name, (at, maker, asked) = next(iter(found.items()))
    write = "Write" if asked else f'Have it ask, as by os.environ["{name}"], and write'
    is_made = "is made up" if len(found) == 1 else "are made up"
    return (
        f"{_names(found)} {is_made} ({at}) by each worker at each start, so what one has signed or encrypted is "
        "nothing to another, nor to the next release: users are logged out at random. "
        f"{write} {PREFIX}env: {{{name}: ...}}, encrypted by ansible-vault, with what {how_made(maker)} says."
    )


def _names(names: t.Collection[str]) -> str:
    some = list(names)[:_MOST_NAMES]
    more = len(names) - len(some)
    return ", ".join(some) + (f" and {more} more" if more else "")


def alone(code: Code) -> list[tuple[str, str]]:
    """Why the app can't have a second worker, each with another way out; none where nothing shows that."""
    told = [
        (f"{place} imports {name}, which {what}.", "give it a process of its own outside of the app")
        for name, what in ALONE.items()
        if (place := code.imports.get(name))
    ]
    if code.listeners and code.sockets:
        why = "each worker has its own, so a message reaches only the clients of one worker."
        told.append(
            (f"{code.listeners[0]} keeps WebSockets in memory: {why}", "hand messages on through Redis or PostgreSQL")
        )
    for name, place in list(code.memory.items())[:1]:
        why = "each worker has its own, and each deploy begins with a new one."
        told.append((f"{place} changes {name}, which is in memory: {why}", "keep it in a database"))
    return told
