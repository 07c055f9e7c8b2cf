# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Calls that block an event loop, in async functions and in what these call. Pure.

It knows what ruff's ASYNC210, 220, 221, 222, 230 and 251 know, and the sync drivers of databases beside that.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from .._source.nodes import called, name
from .names import Files

HTTP = "an HTTP request"
DATABASE = "a sync database call"
_CALLS: dict[str, tuple[str, str]] = {
    "time.sleep": ("time.sleep", "await asyncio.sleep(...)"),
    "os.system": ("a subprocess", "await asyncio.create_subprocess_exec(...)"),
    "os.popen": ("a subprocess", "await asyncio.create_subprocess_exec(...)"),
    "urllib.request.urlopen": (HTTP, "httpx.AsyncClient, awaited"),
    "urllib3.request": (HTTP, "httpx.AsyncClient, awaited"),
    "open": ("open() of a file", "await run_in_threadpool(...) of starlette.concurrency, or anyio.open_file"),
    "sqlite3.connect": (DATABASE, "aiosqlite, awaited"),
    "psycopg2.connect": (DATABASE, "asyncpg or psycopg's AsyncConnection, awaited"),
    "psycopg.connect": (DATABASE, "psycopg.AsyncConnection, awaited"),
    "pymysql.connect": (DATABASE, "aiomysql or asyncmy, awaited"),
    "MySQLdb.connect": (DATABASE, "aiomysql or asyncmy, awaited"),
    "mysql.connector.connect": (DATABASE, "aiomysql or asyncmy, awaited"),
    "pyodbc.connect": (DATABASE, "aioodbc, awaited"),
    "redis.Redis": (DATABASE, "redis.asyncio, awaited"),
}
_FAMILIES = (
    (("requests",), "get post put patch delete head options request", HTTP, "httpx.AsyncClient, awaited"),
    (("httpx",), "get post put patch delete head options request stream", HTTP, "httpx.AsyncClient, awaited"),
    (
        ("subprocess",),
        "run call check_call check_output getoutput getstatusoutput",
        "a subprocess",
        "await asyncio.create_subprocess_exec(...)",
    ),
    (("boto3",), "client resource", "a sync AWS client", "aioboto3, or run_in_threadpool"),
)
# What is made of these blocks in each of its methods.
_MAKERS = {
    "requests.Session": (HTTP, "httpx.AsyncClient, awaited"),
    "httpx.Client": (HTTP, "httpx.AsyncClient, awaited"),
    "redis.Redis": (DATABASE, "redis.asyncio, awaited"),
    "redis.StrictRedis": (DATABASE, "redis.asyncio, awaited"),
    "redis.from_url": (DATABASE, "redis.asyncio, awaited"),
    "redis.Redis.from_url": (DATABASE, "redis.asyncio, awaited"),
    "pymongo.MongoClient": (DATABASE, "pymongo.AsyncMongoClient, awaited"),
    "psycopg2.connect": (DATABASE, "asyncpg, awaited"),
    "pymysql.connect": (DATABASE, "aiomysql, awaited"),
    "sqlite3.connect": (DATABASE, "aiosqlite, awaited"),
}
_SESSIONS = ("sqlalchemy.orm.Session", "sqlalchemy.orm.session.Session", "sqlmodel.Session")
_SESSION = (
    "SQLAlchemy's sync Session",
    "AsyncSession of sqlalchemy.ext.asyncio, awaited; or def in place of async def",
)
_IN_SESSION = frozenset("execute exec query scalar scalars get commit flush refresh rollback merge delete".split())
# Of a cursor or a connection, which a driver's connect() gives.
_CACHEABLE = ("lifespan", "startup", "shutdown", "on_startup", "on_shutdown")


@dataclass(frozen=True)
class Block:
    """One call that blocks.

    :param what: what it is, for a sentence; `instead` what to write.
    :param by: the async function that it is in, and the sync one that it goes by, if any.
    """

    path: str
    line: int
    call: str
    what: str
    instead: str
    by: str


def blocking(files: Files) -> list[Block]:
    """All of them, by file and line."""
    reading = _Reading(files)
    found = [block for path in files.trees for block in reading.of_file(path)]
    return sorted(found, key=lambda block: (block.path, block.line))


class _Reading:
    def __init__(self, files: Files) -> None:
        self.files = files
        self.made: dict[str, tuple[str, str]] = {}
        self.sessions: set[str] = {*_SESSIONS}
        self.makers: set[str] = set()
        for path, tree in files.trees.items():
            for node in tree.body:
                self._names(path, node)
        # Sync functions that block, found by going round as long as one more is found.
        self.helpers: dict[str, tuple[str, str, str]] = {}
        for _round in range(4):
            before = len(self.helpers)
            for path, tree in files.trees.items():
                for function in _functions(tree, ast.FunctionDef):
                    key = files.full(path, ast.Name(function.name))
                    if key not in self.helpers and (first := next(self._blocks(path, function), None)):
                        self.helpers[key] = (first.what, first.instead, f"{path}:{first.line}")
            if len(self.helpers) == before:
                break

    def _names(self, path: str, node: ast.stmt) -> None:
        """What a module's own names are made of, such as a client or an alias of a type."""
        value = getattr(node, "value", None)
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if value is None or not isinstance(target, ast.Name):
            return
        own = self.files.full(path, target)
        if isinstance(value, ast.Call):
            maker = self.files.full(path, value.func)
            if maker in _MAKERS:
                self.made[own] = _MAKERS[maker]
            if called(value) in ("sessionmaker", "scoped_session") and not any(
                "Async" in name(each.value) for each in value.keywords
            ):
                self.makers.add(own)
        elif self._is_session(path, value):
            self.sessions.add(own)

    def _is_session(self, path: str, annotation: ast.expr | None) -> bool:
        if isinstance(annotation, ast.Subscript) and name(annotation.value).rpartition(".")[2] in (
            "Annotated",
            "Optional",
        ):
            inner = annotation.slice
            return self._is_session(path, inner.elts[0] if isinstance(inner, ast.Tuple) and inner.elts else inner)
        return annotation is not None and self.files.full(path, annotation) in self.sessions

    def of_file(self, path: str) -> Iterator[Block]:
        for function in _functions(self.files.trees[path], ast.AsyncFunctionDef):
            decorators = {
                name(each.func if isinstance(each, ast.Call) else each).rpartition(".")[2]
                for each in function.decorator_list
            }
            # What runs once, before the first request and after the last.
            if function.name in _CACHEABLE or decorators & {"asynccontextmanager", "on_event"}:
                continue
            yield from self._blocks(path, function)

    def _blocks(self, path: str, function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Block]:
        local = self._locals(path, function)
        waited = {id(node.value) for node in ast.walk(function) if isinstance(node, ast.Await)}
        for call in _calls(function):
            if id(call) in waited:
                continue
            if found := self._judge(path, call, local):
                what, instead = found[0], found[1]
                yield Block(path, call.lineno, name(call.func) or called(call), what, instead, function.name)

    def _locals(self, path: str, function: ast.FunctionDef | ast.AsyncFunctionDef) -> dict[str, tuple[str, str]]:
        """Names in a function that stand for something whose methods block."""
        found = {}
        for argument in [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]:
            if self._is_session(path, argument.annotation):
                found[argument.arg] = _SESSION
        for node in ast.walk(function):
            pairs: list[tuple[ast.expr | None, ast.expr]] = []
            if isinstance(node, ast.Assign):
                pairs = [(node.targets[0], node.value)]
            elif isinstance(node, ast.With):
                pairs = [(item.optional_vars, item.context_expr) for item in node.items]
            for target, value in pairs:
                if isinstance(target, ast.Name) and isinstance(value, ast.Call):
                    maker = self.files.full(path, value.func)
                    if maker in self.sessions or maker in self.makers:
                        found[target.id] = _SESSION
                    elif maker in _MAKERS:
                        found[target.id] = _MAKERS[maker]
        return found

    def _judge(self, path: str, call: ast.Call, local: dict[str, tuple[str, str]]) -> tuple[str, str] | None:
        if isinstance(call.func, ast.Name) and call.func.id == "open" and "open" not in self.files.imports[path]:
            return _CALLS["open"]
        whole = self.files.full(path, call.func)
        before, _dot, last = whole.rpartition(".")
        if (whole in _CALLS and whole not in _MAKERS) or whole in (
            "sqlite3.connect",
            "psycopg2.connect",
            "pymysql.connect",
        ):
            return _CALLS[whole]
        for modules, names, what, instead in _FAMILIES:
            if before in modules and last in names.split():
                return what, instead
        if before in self.made:
            return self.made[before]
        if (
            isinstance(call.func, ast.Attribute)
            and isinstance(call.func.value, ast.Name)
            and call.func.value.id in local
        ):
            found = local[call.func.value.id]
            return found if found is not _SESSION or last in _IN_SESSION else None
        if whole in self.helpers:
            what, instead, at = self.helpers[whole]
            return f"{what} (in {at})", instead
        return None


def _functions(tree: ast.AST, kind: type) -> Iterator:  # type: ignore[type-arg]
    return (node for node in ast.walk(tree) if isinstance(node, kind))


def _calls(function: ast.AST) -> Iterator[ast.Call]:
    """The calls that a function makes itself, not those of functions in it, nor of lambdas handed on."""
    waiting: list[ast.AST] = list(getattr(function, "body", []))
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            continue
        if isinstance(node, ast.Call):
            yield node
        waiting += list(ast.iter_child_nodes(node))
