# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an app imports when it starts and nothing that is installed brings, seen before a host waits for it in vain.

What may be caught, skipped or found elsewhere is passed over, so a function's imports, and those in `if` and `try`.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
import sys
from collections.abc import Collection, Iterator

from ...module_utils._app.advice import PACKAGES
from ...module_utils._host.files import read_text
from .nodes import called, parsed, text, walk
from .shown import Place

_NEEDS = {
    **dict.fromkeys(("EmailStr", "NameEmail"), "email_validator"),
    **dict.fromkeys(("File", "Form", "UploadFile"), "multipart"),
    **dict.fromkeys(("OAuth2PasswordRequestForm", "OAuth2PasswordRequestFormStrict"), "multipart"),
    "Jinja2Templates": "jinja2",
    "SessionMiddleware": "itsdangerous",
    "TestClient": "httpx",
    "create_async_engine": "greenlet",
}
"""What a class or function needs of another package than that which has it, and which it names in no requirement."""
_OF = ("fastapi", "pydantic", "sqlalchemy", "sqlmodel", "starlette")
_HASHES = ("argon2", "bcrypt")
"""Schemes of passlib's, with the module that each needs."""
_DRIVER = re.compile(
    r"(?:sqlite|postgresql|postgres|mysql|mariadb|oracle|mssql)\+"
    r"(aiosqlite|asyncpg|psycopg|psycopg2|pg8000|pymysql|aiomysql|asyncmy|mysqldb|pyodbc|aioodbc|oracledb)(://.*)?",
    re.DOTALL,
)
_LEFT = {
    **dict.fromkeys("asynchat asyncore imp smtpd".split(), 12),
    # Debian 12 has it in a package of its own.
    "distutils": 11,
    **dict.fromkeys("aifc audioop cgi cgitb chunk crypt imghdr lib2to3 mailcap nntplib pipes".split(), 13),
    **dict.fromkeys("sndhdr spwd sunau telnetlib uu xdrlib".split(), 13),
}
"""What the standard library has no more, with the minor version of Python 3 that left it out."""
_MOST_NAMES = 8


def lacking(top: str, paths: Collection[str], app: str, brought: Collection[str], minor: str, file: str) -> str:
    """A warning with what the app's modules need and nobody brings; '' where nothing shows that.

    :param paths: of the source's files, from `top`.
    :param app: as fastapi_app names it.
    :param brought: the top modules of all that is installed.
    :param minor: of the host's Python, such as '3.11'.
    :param file: what says what the app needs.
    """
    left = {name for name, version in _LEFT.items() if int(minor.partition(".")[2]) >= version}
    standard = (sys.stdlib_module_names | set(_LEFT)) - left
    known = {*standard, *brought}
    # A package's one name was another's before.
    known |= {"multipart"} if "python_multipart" in known else set()
    known |= {"distutils"} if "setuptools" in known else set()
    found: dict[str, str] = {}
    drivers: dict[str, str] = {}
    for path, tree in _reached(top, paths, app):
        drivers |= _drivers(path, tree)
        for name, why in _wanted(path, tree):
            if name not in known and not _is_own(name, path, paths):
                found.setdefault(name, why)
    # Of several databases the host has one, and which isn't told here.
    found |= {} if known & set(drivers) else drivers
    if not found:
        return ""
    some = [f"{name} ({why})" for name, why in list(found.items())[:_MOST_NAMES]]
    packages = {**PACKAGES, "distutils": "setuptools"}
    add = list(dict.fromkeys(packages.get(name, name.replace("_", "-")) for name in list(found)[:_MOST_NAMES]))
    more = f" and {len(found) - _MOST_NAMES} more" if len(found) > _MOST_NAMES else ""
    gone = f" Python {minor} has no {', '.join(sorted(left & set(found)))} any more." if left & set(found) else ""
    # A run adds these by itself where nothing is locked.
    own = [_CALLED.get(name, name) for name in found if name in _NEEDS.values()]
    pinned = ", ".join(f"{name}==VERSION" for name in own)
    other = f"; or leave the app as it is, and write fastapi_versions: [{pinned}]" if len(own) == len(found) else ""
    return (
        f"Nothing that is installed brings {', '.join(some)}{more}, and the app will fail for it.{gone} "
        f"Add what does, most likely {adding(file, add)}{other}"
    )


_ADD = {"poetry.lock": "poetry add", "uv.lock": "uv add", "pdm.lock": "pdm add", "Pipfile.lock": "pipenv install"}


def adding(file: str, packages: Collection[str]) -> str:
    """How packages come into what says what an app needs: its tool's command, or the lines to write.

    :param file: that says it.
    """
    lines = ", ".join(packages)
    if command := _ADD.get(os.path.basename(file)):
        # Brackets are a shell's, too.
        return f"by `{command} {' '.join(map(shlex.quote, packages))}`"
    if file.endswith("pyproject.toml"):
        return f"in the dependencies of {file}: {lines}"
    return f"by a line in {file}: {lines}" if len(packages) == 1 else f"by lines in {file}: {lines}"


def needed(top: str, paths: Collection[str], app: str) -> dict[str, str]:
    """What classes and functions that the app's modules import need of other packages, by name, each with why."""
    found: dict[str, str] = {}
    for path, tree in _reached(top, paths, app):
        for name, why in _others(path, tree):
            if not _is_own(name, path, paths) and name not in _FOR_TESTS:
                found.setdefault(_CALLED.get(name, name), why)
    return found


POSTGRESQL = "postgresql"
"""What `unnamed_driver` finds needed, of which SQLAlchemy's version says what it is."""


def unnamed_driver(top: str, paths: Collection[str], app: str) -> dict[str, str]:
    """POSTGRESQL, and why, where an engine is made and an address begins with postgresql:// alone: SQLAlchemy then
    imports a driver that nothing names."""
    engine, address = False, ""
    for path, tree in _reached(top, paths, app):
        for part in ast.walk(tree):
            engine = engine or (isinstance(part, ast.Call) and called(part) == "create_engine")
            if isinstance(part, ast.Constant) and (text(part) or "").startswith("postgresql://"):
                address = address or f"for a database's URL, {Place(path, part.lineno)}"
    return {POSTGRESQL: address} if engine and address else {}


def migrating(top: str, paths: Collection[str]) -> dict[str, str]:
    """alembic, and why, where the source has migrations of its: many lists name it among what is for development."""
    if not any(os.path.basename(path) == "alembic.ini" for path in paths):
        return {}
    scripts = [f"{match[1]}/env.py" for path in paths if (match := re.fullmatch(r"(.+)/versions/[^/]+\.py", path))]
    for script in sorted(set(scripts) & set(paths)):
        if re.search(r"(?m)^\s*(from|import) alembic\b", read_text(os.path.join(top, script))):
            return {"alembic": f"for its migrations, {script}"}
    return {}


_CALLED = {"distutils": "setuptools", "email_validator": "email-validator", "multipart": "python-multipart"}
_FOR_TESTS = ("httpx",)


def _reached(top: str, paths: Collection[str], app: str) -> Iterator[tuple[str, ast.Module]]:
    """The files that the app's module imports, and itself, with their trees."""
    module = app.partition(":")[0].replace(".", "/")
    # Below a directory that is on the path: the source's top, or what installs it in place or PYTHONPATH says.
    places = sorted((path for path in paths if re.search(rf"(^|/){re.escape(module)}(/__init__)?\.py$", path)), key=len)
    below = re.sub(rf"{re.escape(module)}(/__init__)?\.py$", "", places[0]) if places else ""
    waiting, seen = [module], set[str]()
    while waiting:
        parts = waiting.pop().split("/")
        # Who imports a module imports the packages that it is in.
        names = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
        files = [f"{root}{name}{kind}" for root in (below, "") for name in names for kind in (".py", "/__init__.py")]
        for path in files:
            if path in seen or path not in paths:
                continue
            seen.add(path)
            try:
                with open(os.path.join(top, path), "rb") as file:
                    tree = parsed(file.read())
            except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
                continue
            yield path, tree
            package = os.path.dirname(path.removeprefix(below))
            for node in tree.body:
                if isinstance(node, ast.Import):
                    waiting += [alias.name.replace(".", "/") for alias in node.names]
                elif isinstance(node, ast.ImportFrom):
                    above = package.split("/")[: len(package.split("/")) - node.level + 1] if node.level else []
                    base = "/".join([*filter(None, above), *filter(None, (node.module or "").split("."))])
                    waiting += [f"{base}/{alias.name}".strip("/") for alias in node.names]


def _wanted(path: str, tree: ast.Module) -> Iterator[tuple[str, str]]:
    """The top modules that a file needs when it is imported, each with why."""
    for node in tree.body:
        at = Place(path, node.lineno)
        if isinstance(node, ast.Import):
            yield from ((alias.name.partition(".")[0], str(at)) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield (node.module or "").partition(".")[0], str(at)
    yield from _others(path, tree)
    for part in walk(tree):
        if isinstance(part, ast.Call) and called(part) == "CryptContext":
            schemes = {text(each) for each in walk(part) if isinstance(each, ast.Constant)}
            yield from ((name, f"for passlib, {Place(path, part.lineno)}") for name in _HASHES if name in schemes)


def _others(path: str, tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in tree.body:
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [getattr(node, "module", "")]
        if any((name or "").partition(".")[0] == "distutils" for name in names) and not getattr(node, "level", 0):
            yield "distutils", str(Place(path, node.lineno))
        if isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").partition(".")[0] in _OF:
            for alias in node.names:
                if alias.name in _NEEDS:
                    yield _NEEDS[alias.name], f"for {alias.name}, {Place(path, node.lineno)}"


def _drivers(path: str, tree: ast.Module) -> dict[str, str]:
    """The modules that databases' URLs name, each with why."""
    parts = [part for part in walk(tree) if isinstance(part, ast.Constant)]
    return {
        "MySQLdb" if match[1] == "mysqldb" else match[1]: f"for a database's URL, {Place(path, part.lineno)}"
        for part in parts
        if (match := _DRIVER.fullmatch(text(part) or ""))
    }


def _is_own(name: str, path: str, paths: Collection[str]) -> bool:
    """Whether the source has a module of that name where Python may look: not only inside of another package."""
    beside = os.path.dirname(path)
    for other in paths:
        directory, found, _rest = f"/{other}".rpartition(f"/{name}.py")
        if not found:
            directory, found, _rest = f"/{other}".partition(f"/{name}/")
        if found and (directory.strip("/") in ("", beside) or f"{directory.strip('/')}/__init__.py" not in paths):
            return True
    return any(other.startswith(f"{name}.") for other in paths)
