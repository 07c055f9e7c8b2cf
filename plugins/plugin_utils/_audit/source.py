# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an app's source shows, as findings: it is parsed and never run."""

from __future__ import annotations

import ast
import contextlib
import itertools
import os
import tempfile
import typing as t
from collections.abc import Callable, Iterator, Mapping

from ...module_utils._audit.findings import Finding
from .._source.advice import HEALTH, READY, alone, like
from .._source.code import read_code
from .._source.nodes import called
from .._source.secret import how_made
from .._source.shown import Code, Place
from . import blocking as blocks
from . import pools
from .asked import asks_database
from .names import Files
from .tools import Ruff

MOST = 4
"""Places that are named beside the first."""
RESERVED = 3
"""PostgreSQL's superuser_reserved_connections."""
USUAL_CONNECTIONS = 100
# Settings for tests and for whoever develops the app.
_ELSEWHERE = ("ci.py", "dev.py", "development.py", "local.py", "test.py", "testing.py", "tests.py")
# What makes an answer and asks nothing.
_ANSWERS = (
    "Response",
    "JSONResponse",
    "PlainTextResponse",
    "ORJSONResponse",
    "HTMLResponse",
    "dict",
    "str",
    "time",
    "now",
    "utcnow",
    "isoformat",
)
_POSTGRES = ("asyncpg", "psycopg", "psycopg2", "psycopg_pool")


def judge(
    texts: Mapping[str, str],
    where: str,
    app: Mapping[str, t.Any],
    database: Mapping[str, t.Any],
    ruff: Ruff | None = None,
) -> list[Finding]:
    """Findings of one source.

    :param texts: Python files by path.
    :param where: what stands before these paths in a finding.
    :param app: what the module told of the app; {} where none runs it.
    :param database: PostgreSQL on the same host, or {}.
    """
    files = Files(texts)
    name = str(app.get("name") or "")

    def find(check: str, place: str, seen: str, write: str, severity: str = "") -> Finding:
        return Finding(check, name, os.path.join(where, place), seen, write, severity)

    blocking = blocks.blocking(files)
    found = list(_blocking(blocking, find))
    with tempfile.TemporaryDirectory() as top:
        code = read_code(top, write_all(top, texts))
        if ruff:
            own = {(block.path, block.line) for block in blocking}
            found += _by_ruff(ruff, top, own, find)
    found += _pools(files, app, database, find)
    found += _readiness(files, code, app, find)
    found += _liveness(files, code, app, find)
    found += _memory(code, app, find)
    found += _secrets(code, app, find)
    if files.unread:
        found.append(
            find(
                "not-looked-at",
                files.unread[0],
                f"{len(files.unread)} file(s) aren't Python that this machine can read.",
                "Nothing: it is told so that you know.",
            )
        )
    return found


_Find = Callable[..., Finding]


def write_all(top: str, texts: Mapping[str, str]) -> list[str]:
    """Write files below a directory. Their paths may be a host's word: one that leads out of it is left out, as is one
    that no file can have, or that is a directory already.

    :returns: the paths that were written.
    """
    written = []
    for path, text in texts.items():
        whole = os.path.normpath(os.path.join(top, path))
        if whole.startswith(f"{top}{os.sep}"):
            with contextlib.suppress(OSError, ValueError):
                os.makedirs(os.path.dirname(whole), exist_ok=True)
                with open(whole, "w", encoding="utf-8", errors="surrogateescape") as file:
                    file.write(text)
                written.append(path)
    return written


def _blocking(found: list[blocks.Block], find: _Find) -> Iterator[Finding]:
    def by_call(block: blocks.Block) -> tuple[str, str]:
        return block.what.partition(" (in ")[0], block.call

    for (_what, call), group in itertools.groupby(sorted(found, key=by_call), by_call):
        first, *others = sorted(group, key=lambda block: (block.path, block.line))
        more = ", ".join(f"{each.path}:{each.line}" for each in others[:MOST])
        more += f" and {len(others) - MOST} more" if len(others) > MOST else ""
        yield find(
            "sync-call-in-async",
            f"{first.path}:{first.line}",
            f"async def {first.by} calls {call}()"
            + (f", {first.what}." if first.what != call else ".")
            + (f" The same at {more}." if more else ""),
            first.instead,
            "low" if call == "open" else "",
        )


_HARMFUL = ("ASYNC210", "ASYNC212", "ASYNC220", "ASYNC221", "ASYNC222", "ASYNC251")


def _by_ruff(ruff: Ruff, top: str, own: set[tuple[str, int]], find: _Find) -> Iterator[Finding]:
    for path, line, rule, message in ruff.asked(top):
        if (path, line) not in own:
            yield find(
                "sync-call-in-async",
                f"{path}:{line}",
                f"ruff says {rule}: {message}.",
                f"What ruff rule {rule} says.",
                "" if rule in _HARMFUL else "low",
            )


def _pools(files: Files, app: Mapping[str, t.Any], database: Mapping[str, t.Any], find: _Find) -> Iterator[Finding]:
    found = pools.pools(files, app.get("numbers") or {})
    for pool in found:
        if pool.at_import and (pool.connects or app.get("preload")):
            shared = " and --preload shares it among all workers" if app.get("preload") else ""
            yield find(
                "pool-at-import",
                f"{pool.path}:{pool.line}",
                f"{pool.maker}() is called when the module is imported{shared}.",
                "Open it in the lifespan, before its yield, and keep it in app.state.",
            )
    to_close = [pool for pool in found if pool.most != 0 or pool.maker in pools.CLIENTS]
    if to_close and not pools.closes(files):
        first = to_close[0]
        yield find(
            "no-lifespan-shutdown",
            f"{first.path}:{first.line}",
            f"{first.maker}() is opened, and no lifespan and no shutdown handler closes it.",
            f"{pools.closed_by(first.maker)} behind the yield of a lifespan, and FastAPI(lifespan=lifespan)",
            # Its connections end with their process, and nothing waits for them.
            "low" if first.maker == "create_engine" else "",
        )
    sized = [pool for pool in found if pool.most]
    imported = {each.partition(".")[0] for names in files.imports.values() for each in names.values()}
    installed = {name.replace("-", "_") for name in app.get("packages") or ()}
    postgres = database or {*_POSTGRES} & (imported | installed)
    workers = int(app.get("workers") or 0)
    if sized and workers and postgres:
        most = sum(pool.most or 0 for pool in sized)
        limit = int(database.get("max_connections", USUAL_CONNECTIONS))
        if most * workers > limit - RESERVED:
            place = f"{database['where']} says" if database else "PostgreSQL's default is"
            fit = max(1, (limit - RESERVED) // workers)
            yield find(
                "pool-exceeds-database",
                f"{sized[0].path}:{sized[0].line}",
                f"Up to {most} connections in each of {workers} workers are {most * workers}, and {place} {limit}, "
                f"{RESERVED} of them for administrators.",
                f"{fit} for each worker: pool_size={fit - fit // 2}, max_overflow={fit // 2}; or fewer workers.",
                "" if database else "medium",
            )


def _readiness(files: Files, code: Code, app: Mapping[str, t.Any], find: _Find) -> Iterator[Finding]:
    for key in [str(app.get("app") or "").removesuffix("()"), *code.apps]:
        ready, health = like(code, key, READY), like(code, key, HEALTH)
        if not ready:
            continue
        (path, place), *_rest = ready.items()
        function = function_at(files, place)
        asked, also = next(iter(health.items()), ("", None))
        other = function_at(files, also) if also else None
        if function is not None and function is other:
            yield find(
                "same-health",
                str(place),
                f"{path} and {asked} are one function, {function.name}().",
                "One function each: /health asks nothing, /ready asks the database.",
            )
        depends = {each.partition(".")[0] for names in files.imports.values() for each in names.values()} & {
            *pools.DEPENDS
        }
        if function is not None and asks_nothing(function) and depends:
            yield find(
                "readiness-asks-nothing",
                str(place),
                f"{path} asks nothing, and the app needs {', '.join(sorted(depends))}.",
                f'await db.execute("SELECT 1") in {function.name}(), and status 503 where that fails.',
            )
        return


def _liveness(files: Files, code: Code, app: Mapping[str, t.Any], find: _Find) -> Iterator[Finding]:
    """A liveness path that asks what may be away. One function for both is told by `_readiness`."""
    for key in [str(app.get("app") or "").removesuffix("()"), *code.apps]:
        ready = [function_at(files, place) for place in like(code, key, READY).values()]
        for path, place in like(code, key, HEALTH).items():
            function = function_at(files, place)
            if function is not None and function not in ready and (asked := asks_database(files, place.path, function)):
                yield find(
                    "health-asks-database",
                    str(place),
                    f"{path} asks the database ({asked}).",
                    "/ready is for that: leave the question out of this one, and ask it there.",
                )
                return


def function_at(files: Files, place: Place) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    """The function to which a route belongs."""
    for node in ast.walk(files.trees.get(place.path, ast.Module([], []))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            if first <= place.line <= node.lineno:
                return node
    return None


def asks_nothing(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a function only answers: it takes nothing, waits for nothing, and calls nothing but an answer."""
    arguments = function.args
    if arguments.args or arguments.kwonlyargs or arguments.posonlyargs:
        return False
    nodes = [part for statement in function.body for part in ast.walk(statement)]
    if any(isinstance(node, (ast.Await, ast.AsyncWith, ast.AsyncFor, ast.With)) for node in nodes):
        return False
    # One that looks at something of its own, as a flag, asks for that.
    if any(isinstance(node, (ast.If, ast.IfExp)) for node in nodes):
        return False
    return all(called(node) in _ANSWERS for node in nodes if isinstance(node, ast.Call))


def _memory(code: Code, app: Mapping[str, t.Any], find: _Find) -> Iterator[Finding]:
    if int(app.get("workers") or 0) < 2:
        return
    for sentence, instead in alone(code):
        place, _blank, rest = sentence.partition(" ")
        yield find("memory-shared-by-none", place, f"It {rest}", f"One worker; or {instead}.")


def _secrets(code: Code, app: Mapping[str, t.Any], find: _Find) -> Iterator[Finding]:
    there = {name.upper() for name in app.get("variables") or ()}
    # Where nothing could be seen of the environment, nothing is known to be missing.
    for name, place in code.open_secrets.items() if there else ():
        if name.upper() not in there and os.path.basename(place.path) not in _ELSEWHERE:
            yield find(
                "secret-default",
                str(place),
                f"{name} has a default there, and the app's environment doesn't set it.",
                f"{name}=... in a file of mode 0600 (EnvironmentFile=), with what {how_made('')} says.",
            )
