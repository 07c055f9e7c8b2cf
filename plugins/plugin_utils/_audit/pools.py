# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pools and clients of an app: where they are opened, whether they are closed, how many connections they take. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .._source.asked import GETENV
from .._source.nodes import called, keyword, name, text
from .names import Files

# Makers of pools, by what their whole name ends in: the argument with the most connections, and that by default.
POOLS = {
    "create_async_engine": ("pool_size", 5),
    "create_engine": ("pool_size", 5),
    "asyncpg.create_pool": ("max_size", 10),
    "psycopg_pool.AsyncConnectionPool": ("max_size", 4),
    "psycopg_pool.ConnectionPool": ("max_size", 4),
    "aiomysql.create_pool": ("maxsize", 10),
    "asyncmy.create_pool": ("maxsize", 10),
    "databases.Database": ("max_size", 10),
}
OVERFLOW = 10
CLIENTS = (
    "httpx.AsyncClient",
    "aiohttp.ClientSession",
    "redis.asyncio.Redis",
    "redis.asyncio.from_url",
    "motor.motor_asyncio.AsyncIOMotorClient",
    "aio_pika.connect_robust",
)
# What connects when it is called, so at import where a module calls it.
CONNECTS = (
    "psycopg2.connect",
    "psycopg.connect",
    "psycopg_pool.ConnectionPool",
    "psycopg2.pool.SimpleConnectionPool",
    "psycopg2.pool.ThreadedConnectionPool",
    "pymysql.connect",
    "MySQLdb.connect",
    "mysql.connector.connect",
    "pymongo.MongoClient",
    "asyncpg.create_pool",
    "pika.BlockingConnection",
)
_ENDING = re.compile(r"(?i)(^|_)(close|stop|shutdown|disconnect|teardown|cleanup)(_|$)")
_CLOSES = ("aclose", "close", "disconnect", "dispose", "close_all", "wait_closed", "shutdown", "stop")
# What keeps the data of requests outside: with one of these, readiness has something to ask.
DEPENDS = (
    "sqlalchemy",
    "sqlmodel",
    "asyncpg",
    "psycopg",
    "psycopg2",
    "psycopg_pool",
    "pymysql",
    "aiomysql",
    "asyncmy",
    "redis",
    "motor",
    "pymongo",
    "databases",
    "tortoise",
    "aio_pika",
    "elasticsearch",
    "beanie",
)


# What closes each, by its maker; any other is a pool's of its own.
_CLOSED_BY = {
    "create_engine": "engine.dispose()",
    "create_async_engine": "await engine.dispose()",
    "psycopg_pool.ConnectionPool": "pool.close()",
    "aiomysql.create_pool": "pool.close(); await pool.wait_closed()",
    "asyncmy.create_pool": "pool.close(); await pool.wait_closed()",
    "databases.Database": "await database.disconnect()",
    "httpx.AsyncClient": "await client.aclose()",
    "aiohttp.ClientSession": "await session.close()",
    "redis.asyncio.Redis": "await redis.aclose()",
    "redis.asyncio.from_url": "await redis.aclose()",
    "motor.motor_asyncio.AsyncIOMotorClient": "client.close()",
    "aio_pika.connect_robust": "await connection.close()",
}


def closed_by(maker: str) -> str:
    """The statement that closes what a maker has made."""
    return _CLOSED_BY.get(maker, "await pool.close()")


@dataclass(frozen=True)
class Pool:
    """One pool or client.

    :param most: connections that it opens at most; 0 for a client, None where the text doesn't tell.
    :param at_import: whether a module's body makes it.
    """

    path: str
    line: int
    maker: str
    most: int | None
    at_import: bool
    connects: bool


def pools(files: Files, numbers: Mapping[str, int] | None = None) -> list[Pool]:
    """:param numbers: values of the app's environment."""
    found = []
    for path, tree in files.trees.items():
        within = {
            id(part)
            for node in ast.walk(tree)
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            for part in ast.walk(node)
            if part is not node
        }
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            whole = files.full(path, node.func)
            known = next(
                (
                    maker
                    for maker in (*POOLS, *CLIENTS, *CONNECTS)
                    if whole == maker or (maker in POOLS and "." not in maker and whole.endswith(f".{maker}"))
                ),
                "",
            )
            if known:
                most = _most(files, path, node, known, numbers or {}) if known in POOLS else 0
                opens = known in CONNECTS and not _is_false(keyword(node, "open"))
                found.append(Pool(path, node.lineno, known, most, id(node) not in within, opens))
    return found


def _is_false(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


def _most(files: Files, path: str, call: ast.Call, maker: str, numbers: Mapping[str, int]) -> int | None:
    argument, default = POOLS[maker]
    if name(keyword(call, "poolclass")).endswith("NullPool"):
        return None
    first = text(call.args[0]) if call.args else ""
    if first and first.startswith("sqlite"):
        return 0
    given = keyword(call, argument)
    size = default if given is None else number(files, path, given, numbers)
    if size is None or not maker.endswith("engine"):
        return size
    more = keyword(call, "max_overflow")
    overflow = OVERFLOW if more is None else number(files, path, more, numbers)
    return None if overflow is None or overflow < 0 else size + overflow


def number(files: Files, path: str, node: ast.expr, numbers: Mapping[str, int]) -> int | None:
    """A number that is written, or that a variable of the environment has, or its default; None for anything else."""
    if isinstance(node, ast.Constant):
        return int(node.value) if isinstance(node.value, (int, str)) and str(node.value).isdecimal() else None
    if isinstance(node, ast.Call) and called(node) == "int" and node.args:
        return number(files, path, node.args[0], numbers)
    if isinstance(node, ast.Call) and name(node.func).endswith(GETENV) and node.args:
        variable = text(node.args[0]) or ""
        if variable in numbers:
            return numbers[variable]
        return number(files, path, node.args[1], numbers) if len(node.args) > 1 else None
    dotted = name(node)
    if dotted:
        last = dotted.rpartition(".")[2]
        if last.upper() in numbers:
            return numbers[last.upper()]
        for each in files.trees[path].body:
            if isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name) and each.targets[0].id == dotted:
                return number(files, path, each.value, numbers)
    return None


def closes(files: Files) -> bool:
    """Whether something is closed at shutdown: behind a lifespan's yield, in `async with` around it, or by an event."""
    for tree in files.trees.values():
        if any(_closes(function) for function in _ends(tree)) or any(map(_hands_over, ast.walk(tree))):
            return True
    return False


def _hands_over(node: ast.AST) -> bool:
    """add_event_handler("shutdown", ...) or on_shutdown=[...]: what is handed over there will know what to close."""
    if not isinstance(node, ast.Call):
        return False
    handler = called(node) == "add_event_handler" and bool(node.args) and text(node.args[0]) == "shutdown"
    return handler or keyword(node, "on_shutdown") is not None


def _ends(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        decorators = [(name(each.func if isinstance(each, ast.Call) else each), each) for each in node.decorator_list]
        lifespan = any(dotted.endswith("asynccontextmanager") for dotted, _each in decorators)
        event = any(
            dotted.endswith("on_event")
            and isinstance(each, ast.Call)
            and each.args
            and text(each.args[0]) == "shutdown"
            for dotted, each in decorators
        )
        if lifespan or event or _ENDING.search(node.name):
            yield node


def _closes(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    if any(
        isinstance(node, ast.AsyncWith) and any(isinstance(part, ast.Yield) for part in ast.walk(node))
        for node in ast.walk(function)
    ):
        return True
    yields = [node.lineno for node in ast.walk(function) if isinstance(node, ast.Yield)]
    after = max(yields, default=0)
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call) and node.lineno > after]
    return any(
        called(call) in _CLOSES or "close" in called(call) or "shutdown" in called(call) or "disconnect" in called(call)
        for call in calls
    )
