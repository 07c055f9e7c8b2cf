# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an app's Python files show by themselves: they are parsed and never run.

It is advice that is made of this, and never a refusal: what can't be read off the text is passed over.
"""

from __future__ import annotations

import ast
import os
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

from ...module_utils._app.roots import ENDING
from ...module_utils._host.text import mask
from .asked import (
    ENGINES,
    GETENV,
    all_of,
    asks,
    at_import,
    compared,
    default_of,
    getenv,
    handed,
    kinds_of,
    needs,
    pooled,
    reader,
    uses,
)
from .memory import changed, stores
from .modules import ASIDE, IMPORTS, MOST_BYTES, OF_SRC, is_imported, module_of, no_packages
from .nodes import called as _called
from .nodes import keyword as _keyword
from .nodes import name as _name
from .nodes import parsed, walk
from .nodes import text as _text
from .paths import DATABASE, SQLITE, configured_file, constant_directory, constant_path, own_attributes, written_file
from .reached import idle_lines
from .secret import is_kept, is_own, opens
from .shown import Code, Place, Router
from .sockets import keeping

# What a file has to mention to be worth parsing.
_TELLING = re.compile(
    rb"(?im)fastapi|starlette|websocket|basesettings|basemodel|environ|getenv|decouple|sqlite|celery|apscheduler|"
    rb"token_(?:bytes|hex|urlsafe)|urandom|uuid4|generate_key|"
    rb"create_(?:async_)?engine|path\(__file__|mkdir|makedirs|open\(|write_(?:text|bytes)|FileHandler|basicConfig|tinydb|logger\.add|"
    rb"\.(?:db|sqlite|json|log)\d?[\"']|^\w+\s*(?::.*)?=\s*(?:[\[{]|(?:dict|list|set|defaultdict|deque)\()|"
    rb"(?:redis|postgres|mysql|mongodb|amqp|nats)[\w+]*://|http://[a-z][\w-]*:\d|"
    rb"^(app|application|api)\s*(:.*)?=|^class \w+\([\w., ]*(?:settings|config|enum)\w*\)"
)
# What asks for the version of an installed package, or for the file that its build writes it to.
_VERSION = re.compile(rb"importlib[._]metadata|pkg_resources|import\s+_version|[._]_version\s+import")
_RUN = re.compile(rb"""\buvicorn\.run\(\s*["']([\w.]+:\w+)["']""")
# A requirement of pydantic's first version, as pip and Poetry write it.
_OLD_PYDANTIC = re.compile(
    rb"""(?mi)^\s*["']?pydantic\s*(\[[^\]]*\])?["']?\s*(==\s*1|~=\s*1|<\s*2|>=\s*1[^\n]*<\s*2|=\s*"[\^~=]*1)"""
)
_REQUIREMENTS = re.compile(r"(^|/)(requirements[^/]*\.(txt|in)|pyproject\.toml)$")
# What nobody imports.
_SCRIPTS = re.compile(r"(scripts|tools|bin)/")
_PROJECTS = ("pyproject.toml", "requirements.txt", "setup.py", "Pipfile")
_MOST_NAMES = 8
APPS = frozenset({"FastAPI", "Starlette"})
_GETS = frozenset({"get", "api_route", "route"})


_GIVEN = frozenset(
    "HOME PATH TMPDIR USER LOGNAME SHELL PYTHONUNBUFFERED CREDENTIALS_DIRECTORY INVOCATION_ID JOURNAL_STREAM "
    "FASTAPI_NAME FASTAPI_RELEASE FASTAPI_SLOT FASTAPI_PROCESS FASTAPI_INSTANCE".split()
)
"""What each service has in its environment by itself."""
_OF_DATABASE = frozenset("DATABASE DB DBNAME DB_NAME PASS PASSWORD PWD".split())


def read_code(top: str, paths: Iterable[str]) -> Code:
    """Read the Python files among `paths`, which count from `top`. Never raises for what is in them."""
    code, paths = Code(), list(paths)
    contents: dict[str, bytes] = {}
    code.migrations = _migrations(paths)
    scripts = {f"{directory}/env.py" for directory in code.migrations}
    python = [p for p in sorted(paths) if p.endswith(".py") and (p in scripts or not ASIDE.search(p))]
    for path in python:
        try:
            with open(os.path.join(top, path), "rb") as file:
                contents[path] = file.read(MOST_BYTES)
        except OSError:
            code.unread.append(path)
    code.examples = [path for path in sorted(paths) if os.path.basename(path).startswith(".env.")]
    packages = {path.removesuffix("/__init__.py") for path in python}
    if any(OF_SRC.search(content) for content in contents.values()):
        packages.add("src")
    packages -= no_packages(packages, python, contents)
    # A project of its own, as a member of a workspace is, isn't imported as a part of what is above it.
    projects = {os.path.dirname(path) for path in paths if os.path.basename(path) in _PROJECTS} - packages
    own: dict[str, set[str]] = {}
    for path in python:
        parts = path.removesuffix(".py").split("/")
        for depth, part in enumerate(parts):
            own.setdefault("/".join(parts[:depth]), set()).add(part)
    trees: dict[str, ast.Module] = {}
    for path, content in contents.items():
        imported = {name.decode() for name in IMPORTS.findall(content)} - sys.stdlib_module_names
        code.roots[path], code.modules[path] = module_of(path, packages, projects, own, imported)
        if _VERSION.search(content):
            code.asking.append(path)
        code.served += [name.decode() for name in _RUN.findall(content)]
        try:
            if _TELLING.search(content):
                trees[path] = parsed(content)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            code.unread.append(path)
    old = any(_OLD_PYDANTIC.search(_bytes(top, path)) for path in paths if _REQUIREMENTS.search(path))
    files = [_File(code, path, tree) for path, tree in trees.items()]
    # A file may hang its routes on what another one makes, under a prefix that a third one names.
    for each in files:
        each.definitions()
    classes = {f"{each.module}:{name}": (each, node) for each in files for name, node in each.classes.items()}
    for each in files:
        each.settings(classes, old)
    # A settings' object has them as its attributes.
    held = {f".{local}": name for each in files for local, name in each.held.items()}
    held |= {f"{each.module}:{local}": name for each in files for local, name in each.held.items()}
    for each in files:
        each.needs(held)
    # An attribute's name is somebody else's easily, if it isn't a constant's or a setting's.
    values = {
        f".{name}": (each, value)
        for each in files
        for name, value in each.values.items()
        # `UPLOADS = settings.UPLOADS` is a second name for the setting, and says nothing of it.
        if name in each.attributes and _name(value).rpartition(".")[2] != name
    }
    values |= {f"{each.module}:{name}": (each, value) for each in files for name, value in each.values.items()}
    for each in files:
        each.places(values)
    kept = {f"{each.module}:{name}" for each in files for name in stores(each.tree)}
    for each in files:
        each.memory(kept)
    for each in files:
        each.made_elsewhere(classes)
    for each in files:
        each.routes()
    _apart(code, files, contents, paths)
    for found in (code.wanted, code.asked, code.open_secrets, code.random):
        # Beside a password or a database's name, USER is the app's own.
        user = {"USER"} if _OF_DATABASE & {*code.wanted, *code.asked} else set[str]()
        for name in _GIVEN & set(found) - user:
            del found[name]
    _compared(code, files)
    for name in [*code.wanted]:
        # A database's user has a password, whatever stands for that where it isn't set.
        before = re.sub("(USER|USERNAME)$", "", name)
        for password in (
            {f"{before}{kind}" for kind in ("PASSWORD", "PASS")} & set(code.asked) if before != name else ()
        ):
            code.wanted.setdefault(password, code.asked[password])
    # A script that prints a new key for its reader is nothing of the app's.
    served = {router.place.path for router in code.routers.values()}
    used = {path for path in {made[0].path for made in code.random.values()} if is_imported(path, contents)}
    code.random = {name: made for name, made in code.random.items() if made[0].path in served | used}
    # What tests use, and nothing refuses to be without.
    code.asked = {name: at for name, at in code.asked.items() if name in code.wanted or not name.startswith("TEST_")}
    return code


def _apart(code: Code, files: list[_File], contents: dict[str, bytes], paths: list[str]) -> None:
    """Set apart the files that the source brings, and that only what the app doesn't run writes: a deploy brings new
    ones. A database isn't the source's, whoever writes it."""
    above = {path[: match.start()] for path in paths for match in re.finditer("/", path)}
    there = {path for path in code.files if path in above or path in paths} - {*filter(DATABASE.search, code.files)}
    if not there:
        return
    served = {router.place.path for router in code.routers.values() if router.kind != "router"}
    is_idle = idle_lines({each.path: each.tree for each in files}, contents, served)
    wrote: dict[str, list[Place]] = {}
    for each in files:
        for path, place in each.wrote:
            wrote.setdefault(path, []).append(place)
    for path in sorted(there):
        if not code.files[path][1] and all(is_idle(place.path, place.line) for place in wrote[path]):
            code.apart[path] = code.files.pop(path)[0]


def _compared(code: Code, files: list[_File]) -> None:
    """Fill in which of the variables that are asked for are compared with texts, and used for nothing else."""
    locals_of: dict[str, set[str]] = {}
    for each in files:
        for local, variable in each.held.items():
            locals_of.setdefault(local.rpartition(".")[2], set()).add(variable)
    used: dict[str, int] = {}
    found: dict[str, list[tuple[str, Place]]] = {}
    counted: dict[str, int] = {}
    for each in files:
        for node in each.nodes:
            if variable := asks(node) if isinstance(node, ast.Call) else "":
                used[variable] = used.get(variable, 0) + 1
            elif isinstance(node, (ast.Assign, ast.AnnAssign)) and (variable := asks(node.value)):
                # It is used where its name is.
                used[variable] = used.get(variable, 0) - 1
            elif isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Load):
                for variable in locals_of.get(_name(node).rpartition(".")[2], ()):
                    used[variable] = used.get(variable, 0) + 1
            for part, texts in compared(node):
                for variable in {asks(part)} - {""} or locals_of.get(_name(part).rpartition(".")[2], set[str]()):
                    counted[variable] = counted.get(variable, 0) + 1
                    found.setdefault(variable, []).extend((text, Place(each.path, part.lineno)) for text in texts)
    for variable, pairs in found.items():
        if counted[variable] == used.get(variable):
            code.compared[variable] = dict(reversed(pairs))


def _migrations(paths: list[str]) -> list[str]:
    """Directories with Alembic's env.py and versions/, and the files alembic.ini that there are."""
    versions = sorted(
        {match[1] for path in paths if (match := re.fullmatch(r"(.+)/versions/[^/]+\.py", path))}, key=len
    )
    found = [directory for directory in versions if f"{directory}/env.py" in paths]
    inis = [path for path in sorted(paths) if os.path.basename(path) == "alembic.ini"]
    return found + [
        ini
        for ini in inis
        if ini == "alembic.ini" or any(f"{each}/".startswith(ini.removesuffix("alembic.ini")) for each in found)
    ]


def _bytes(top: str, path: str) -> bytes:
    """What a file holds; nothing where it can't be read."""
    try:
        with open(os.path.join(top, path), "rb") as file:
            return file.read(MOST_BYTES)
    except OSError:
        return b""


class _File:
    """One file, read into what all files show."""

    def __init__(self, code: Code, path: str, tree: ast.Module) -> None:
        self.code = code
        self.path = path
        self.tree = tree
        self.nodes = list(walk(tree))
        self.module = code.modules[path]
        self.package = self.module if path.endswith("__init__.py") else self.module.rpartition(".")[0]
        self.imported: dict[str, str] = {}
        """Local names, with what they stand for: 'app.routes.users' or 'app.routes.users:router'."""
        self.demanding: set[str] = set()
        """Functions that make an application, and that nobody can call without arguments."""
        self.classes: dict[str, ast.ClassDef] = {}
        self.values: dict[str, ast.expr] = {}
        """What names stand for."""
        self.attributes: set[str] = set()
        """Names of constants, and of what a class has."""
        self.own: dict[str, ast.expr] = {}
        """What its classes' attributes are made of, where that is said once: of self.path what it is by default."""
        self.held: dict[str, str] = {}
        """Names, with the variable that each has the value of."""
        self.wrote: list[tuple[str, Place]] = []
        """Files and directories that it writes below the source's top, with each place that does."""

    def _at(self, node: ast.AST) -> Place:
        return Place(self.path, getattr(node, "lineno", 1))

    def definitions(self) -> None:
        for node in self.nodes:
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                self._import(node)
            elif isinstance(node, (ast.AnnAssign, ast.Assign)):
                target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
                if isinstance(target, ast.Name) and node.value is not None:
                    self.values[target.id] = node.value
                    self.attributes |= {target.id} if target.id.isupper() else set()
                if isinstance(target, ast.Name) and (text := _text(node.value)) is not None:
                    same = self.code.texts.setdefault(target.id, text) == text
                    self.code.texts[target.id] = text if same else None
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _name(node.value) != "self":
                self.code.assigned.add(node.attr.upper())
            elif isinstance(node, ast.ClassDef):
                self.attributes |= {_name(e.target) for e in node.body if isinstance(e, ast.AnnAssign)}
            elif isinstance(node, ast.Call) and _name(node.func).endswith(".mount"):
                self._static(node)
            elif isinstance(node, ast.Call) and len(node.args) == 2 and _name(node.func).endswith(GETENV):
                self._address(node.args[1], _text(node.args[0]) or "")
                self._open(node.args[1], _text(node.args[0]) or "", "")
                self.code.containers.setdefault(self._at(node.args[1]), "")
            elif isinstance(node, ast.BoolOp) and (variable := asks(node.values[0])):
                self._open(node.values[-1], variable, "")
                self.code.containers.setdefault(self._at(node.values[-1]), "")
            elif isinstance(node, ast.Call) and _called(node) in _ASKING:
                # Something else may be said there.
                for part in (*node.args, *(each.value for each in node.keywords)):
                    self.code.containers.setdefault(self._at(part), "")
            elif isinstance(node, (ast.List, ast.Tuple, ast.Set)):
                # Whose requests are let in, as by CORS: nobody connects to them.
                for part in node.elts:
                    if (_text(part) or "").startswith("http"):
                        self.code.containers.setdefault(self._at(part), "")
            elif isinstance(node, ast.Constant):
                self._address(node, "")
        # Only what has one meaning in all of the file.
        stored = [n.id for n in self.nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
        stored += [node.arg for node in self.nodes if isinstance(node, ast.arg)]
        times = Counter(stored)
        self.values = {name: value for name, value in self.values.items() if times[name] == 1}
        self.own = own_attributes(self.nodes)
        for node, function in self._all():
            if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, ast.Call):
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                self._made(_name(target), node.value, function)
            elif isinstance(node, ast.ClassDef) and not function:
                self.classes[node.name] = node
            for inner in [node, *(node.body if isinstance(node, ast.ClassDef) else [])]:
                if isinstance(inner, (ast.Assign, ast.AnnAssign, ast.Expr)) and not function:
                    self._environment(inner)
            # A plain class has constants, and one with bases may have settings.
            for inner in [node, *(node.body if isinstance(node, ast.ClassDef) and not node.bases else [])]:
                if isinstance(inner, (ast.Assign, ast.AnnAssign)) and not function:
                    self._random(inner)
        script = any(self.path.startswith(f"{directory}/") for directory in self.code.migrations)
        makes = next((n for n in self.nodes if isinstance(n, ast.Attribute) and n.attr == "create_all"), None)
        if makes and not script and not _SCRIPTS.match(self.path):
            self.code.creates = self.code.creates or self._at(makes)
        self._asked()
        self.code.listeners += map(self._at, keeping(self.tree))

    def _address(self, node: ast.expr, variable: str) -> None:
        """An address that can't be right on a host: of a database beside the code, or of a container."""
        url = _text(node)
        if url and _PASSWORD_OF_DATABASE.search(variable) and not variable.startswith("TEST_"):
            self.code.open_passwords.setdefault(variable, self._at(node))
        if url and (match := SQLITE.fullmatch(url)):
            self._writes(match[1], node, variable)
        elif url and variable and (match := _COMPOSED.match(url) or (_HOST.search(variable) and _BARE.fullmatch(url))):
            # A name that compose gives a container: the host knows none such.
            self.code.wanted.setdefault(variable, self._at(node))
            self.code.containers[self._at(node)] = ""
            self.code.hosts[variable] = (match["host"], url)
        elif url == "" and variable.upper() in self.code.assigned:
            # The app makes it of its parts.
            return
        elif (url == "" and _DATABASE_URL.search(variable) and not variable.startswith("TEST_")) or (
            _OF_A_DATABASE.search(variable) and _PLACEHOLDER.search(url or "")
        ):
            # No engine is made of it.
            self.code.wanted.setdefault(variable, self._at(node))
        elif url and (part := _PART_OF_DATABASE.fullmatch(variable)) and url.isprintable():
            self.code.parts.setdefault(part[1], {}).setdefault(part[2].lower(), (variable, url, self._at(node)))
        elif url and variable and _BESIDE.match(url) and not variable.startswith("TEST_"):
            self.code.beside.setdefault(variable, (self._at(node), url))
        elif url and variable and _OWN_DATABASE.match(url) and not variable.startswith("TEST_"):
            self.code.defaults.setdefault(variable, (self._at(node), mask(url)))
            self.code.containers[self._at(node)] = ""
        elif url and not variable and _OWN_DATABASE.match(url):
            self.code.fixed.setdefault(self._at(node), mask(url))
        elif url and (match := _CONTAINER.match(url)):
            self.code.containers.setdefault(self._at(node), match["scheme"] + match["host"])

    def _static(self, call: ast.Call) -> None:
        """A directory below the source's top that the app serves itself: not the top, which has its code."""
        path, files = self._path(call.args[0] if call.args else None), call.args[1] if len(call.args) > 1 else None
        if not path or not isinstance(files, ast.Call) or _called(files) != "StaticFiles":
            return
        given = _keyword(files, "directory") or (files.args[0] if files.args else None)
        directory = os.path.normpath(_text(given) or "/")
        if not os.path.isabs(directory) and directory.split("/")[0] not in (".", ".."):
            self.code.statics.setdefault(path, directory)

    def _writes(self, path: str | None, node: ast.AST, variable: str = "") -> None:
        """A file that the app writes below the source's top, where it may only read."""
        path = os.path.normpath(path or ".")
        if (constant := re.split("[{%]", path)[0]) != path:
            # What a log makes of its time.
            self._fills(os.path.dirname(constant), node)
        elif _is_below(path) and ENDING.search(path) and not path.endswith(".py") and not _SCRIPTS.match(self.path):
            self.wrote.append((path, self._at(node)))
            # A place that is known to ask for a variable stays that.
            known = self.code.files.setdefault(path, (self._at(node), variable))
            self.code.files[path] = (self._at(node), variable) if variable else known

    def _fills(self, directory: str | None, node: ast.AST) -> None:
        """A directory that the app writes files to, of names that come with requests. Not one with code in it."""
        path = os.path.normpath(directory or ".")
        if _is_below(path) and not any(each.startswith(f"{path}/") for each in self.code.modules):
            self.wrote.append((path, self._at(node)))
            self.code.files.setdefault(path, (self._at(node), ""))

    def _locals(self) -> dict[int, dict[str, ast.expr]]:
        """What names stand for where a call is, by the call's id: those of the module, and of the function around."""
        found: dict[int, dict[str, ast.expr]] = {}
        scopes = [self.tree, *(n for n in self.nodes if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef)))]
        for scope in scopes:
            inner = [node for node in walk(scope) if isinstance(node, (ast.Assign, ast.Call))]
            names: dict[str, ast.expr] = dict(self.values)
            for node in inner if scope is not self.tree else ():
                if isinstance(node, ast.Assign):
                    names[_name(node.targets[0])] = node.value
            found |= {id(node): names for node in inner if isinstance(node, ast.Call)}
        return found

    def places(self, values: dict[str, tuple[_File, ast.expr]]) -> None:
        """Directories that the app makes beside its code, or serves, and files that it writes: constants alone.

        :param values: what names of all files are, by 'module:name'; by '.name' as an attribute of whatever has it.
        """
        if _SCRIPTS.match(self.path):
            return

        def below(part: ast.expr) -> str | None:
            return self._below(part, values, _MOST_NAMES)

        local = self._locals()
        asked = {id(n.args[1]): _text(n.args[0]) or "" for n in self.nodes if getenv(n) and len(n.args) == 2}
        for node in self.nodes:
            if isinstance(node, (ast.JoinedStr, ast.BinOp)):
                url = below(node) or ""
                if match := SQLITE.fullmatch(url):
                    self._writes(match[1], node, asked.get(id(node), ""))
            if isinstance(node, (ast.Call, ast.Dict)) and (file := configured_file(node)):
                self._writes(below(file), node)
            if not isinstance(node, ast.Call):
                continue
            if file := written_file(node, lambda name: self.code.meant(self._key(name))):
                if (path := below(file)) is None:
                    self._fills(constant_directory(file, below, local.get(id(node), {}).get), node)
                self._writes(path, node)
            made: ast.expr | None = None
            if isinstance(node.func, ast.Attribute) and node.func.attr == "mkdir" and _name(node.func) != "os.mkdir":
                made = node.func.value
            elif _name(node.func).endswith(("makedirs", "os.mkdir")):
                made = node.args[0] if node.args else _keyword(node, "name")
            elif _called(node) == "StaticFiles":
                made = _keyword(node, "directory") or (node.args[0] if node.args else None)
            found = made and below(made)
            path = os.path.normpath(found or ".")
            if _is_below(path):
                self.code.made.setdefault(path, self._at(node))

    def _below(self, node: ast.expr, values: dict[str, tuple[_File, ast.expr]], steps: int) -> str | None:
        """A path of constants, from the source's top; None for any other."""

        def meaning(name: str) -> str | None:
            if (own := self.own.get(name)) is not None and steps:
                return self._below(own, values, steps - 1)
            places = [self.code.meant(self._key(name)), *([f".{name.rpartition('.')[2]}"] if "." in name else [])]
            file, value = next((values[place] for place in places if place in values), (self, None))
            return file._below(value, values, steps - 1) if value and steps else None

        return constant_path(node, self.path, meaning)

    def memory(self, kept: set[str]) -> None:
        """:param kept: what modules keep in variables, by 'module:name'."""
        for local, node in changed(self.tree):
            if self.code.meant(self._key(local)) in kept:
                self.code.memory.setdefault(local, self._at(node))

    def made_elsewhere(self, classes: _Classes) -> None:
        """`app = create_app()`: the same application, as an object. Or `app = App()`, of a class of the app's own."""
        for node in _statements(self.tree.body):
            if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, ast.Call):
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                made = self.code.routers.get(self.code.meant(self._key(_name(node.value.func))))
                if made and made.factory and isinstance(target, ast.Name):
                    same = replace(made, kind="app", factory="", place=self._at(node))
                    self.code.routers[f"{self.module}:{target.id}"] = same
                key = self.code.meant(self._key(_name(node.value.func)))
                above = _bases(key, classes) if key in classes else []
                if {base.rpartition(".")[2] for base in above} & APPS and isinstance(target, ast.Name):
                    # What it includes by itself isn't read.
                    own = Router("app", self._at(node), children=[("", None)])
                    self.code.routers.setdefault(f"{self.module}:{target.id}", own)

    def _path(self, node: ast.expr | None) -> str | None:
        """A path or prefix: a text, the name of one, or a text with such names in it; None for anything else."""
        if isinstance(node, ast.JoinedStr):
            parts = [self._path(part) for part in node.values]
            return None if None in parts else "".join(map(str, parts))
        if isinstance(node, ast.FormattedValue):
            return self._path(node.value)
        text = _text(node)
        return self.code.texts.get(_name(node).rpartition(".")[2]) if text is None else text

    def _prefix(self, call: ast.Call) -> str | None:
        """The prefix given in a call: '' for none."""
        value = _keyword(call, "prefix")
        return "" if value is None else self._path(value)

    def routes(self) -> None:
        for node, function in self._all():
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                self._decorated(node, function)
            elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
                self._hung(node.value, function)

    def _all(self) -> Iterator[tuple[ast.stmt, str]]:
        """The statements of the module, and those of each function that makes an application, with 'function name'."""
        for node in _statements(self.tree.body):
            yield node, ""
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and (name := _made_by(node)):
                arguments = node.args
                if len(arguments.args) > len(arguments.defaults) or None in arguments.kw_defaults:
                    self.demanding.add(node.name)
                for inner in _statements(node.body):
                    yield inner, f"{node.name} {name}"

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                self.code.imports.setdefault(alias.name.partition(".")[0], self._at(node))
                self.imported[alias.asname or alias.name] = alias.name
            return
        base = node.module or ""
        if node.level:
            parts = self.package.split(".") if self.package else []
            base = ".".join([*parts[: len(parts) - node.level + 1], *filter(None, [base])])
        else:
            self.code.imports.setdefault(base.partition(".")[0], self._at(node))
        for alias in node.names:
            module = f"{base}.{alias.name}" if base else alias.name
            known = module in self.code.modules.values()
            self.imported[alias.asname or alias.name] = module if known else f"{base}:{alias.name}"
            if not known:
                self.code.aliases.setdefault(f"{self.module}:{alias.asname or alias.name}", f"{base}:{alias.name}")

    def _key(self, name: str) -> str:
        """Whom a name stands for, as 'module:name'."""
        module, _dot, last = name.rpartition(".")
        if not module:
            return f"{self.module}:{name}"
        return f"{self.imported.get(module, module)}:{last}"

    def full(self, name: str) -> str:
        """What a name of another package is there: `Base` is pydantic.BaseModel where it is imported as that."""
        return self.code.meant(self._key(name)).replace(":", ".") if name in self.imported else name

    def _router(self, name: str, function: str) -> Router | None:
        factory, _space, made = function.partition(" ")
        key = f"{self.module}:{factory}" if factory and name == made else self._key(name)
        return self.code.routers.get(self.code.meant(key))

    def _made(self, name: str, call: ast.Call, function: str) -> None:
        kind = _called(call)
        factory, _space, app = function.partition(" ")
        if factory and name == app and kind not in APPS:
            # Another function makes it, and this one says by its annotation what it gives back.
            kind = "FastAPI"
        if not name or kind not in (*APPS, "APIRouter"):
            return
        if factory and (kind == "APIRouter" or name != app):
            return
        kind, prefix = ("app", "") if kind in APPS else ("router", self._prefix(call))
        if factory in self.demanding:
            kind = "maker"
        self.code.routers[f"{self.module}:{factory or name}"] = Router(kind, self._at(call), prefix, factory)

    def _decorated(self, function: ast.FunctionDef | ast.AsyncFunctionDef, within: str) -> None:
        for call in function.decorator_list:
            if not isinstance(call, ast.Call):
                continue
            name, _dot, method = _name(call.func).rpartition(".")
            router = self._router(name, within) if name else None
            if router is None:
                continue
            path = self._path(call.args[0] if call.args else _keyword(call, "path"))
            if method == "websocket":
                router.sockets.append(self._at(function))
            elif method in _GETS and path is not None:
                methods = _keyword(call, "methods")
                if method == "get" or methods is None or "GET" in ast.unparse(methods):
                    router.gets.setdefault(path, self._at(function))

    def _hung(self, call: ast.Call, within: str) -> None:
        """include_router, mount, add_api_route and the like."""
        name, _dot, method = _name(call.func).rpartition(".")
        router = self._router(name, within) if name else None
        if router is None:
            return
        arguments = call.args
        if method == "include_router" and arguments:
            router.children.append((self._key(_name(arguments[0])), self._prefix(call)))
        elif method == "mount" and len(arguments) > 1 and not isinstance(arguments[1], ast.Call):
            router.children.append((self._key(_name(arguments[1])), self._path(arguments[0])))
        elif method in ("add_api_route", "add_route") and arguments and (path := self._path(arguments[0])) is not None:
            router.gets.setdefault(path, self._at(call))
        elif method in ("add_api_websocket_route", "add_websocket_route"):
            router.sockets.append(self._at(call))

    def settings(self, classes: _Classes, old: bool) -> None:
        """The fields of pydantic-settings' classes that have no default.

        :param classes: of all files, by 'module:name'.
        :param old: whether the project asks for pydantic 1.
        """
        # A class that may come from either comes from pydantic 2 where that is installed.
        if "pydantic_settings" not in {name.partition(":")[0] for name in self.imported.values()}:
            old = old or bool(_OLD_SETTINGS & set(self.imported.values()))
        for node in self.classes.values():
            above = _bases(f"{self.module}:{node.name}", classes)
            if "BaseSettings" not in {base.rpartition(".")[2] for base in above}:
                continue
            prefix = self._configured(node, "env_prefix", above, classes)
            delimiter = self._configured(node, "env_nested_delimiter", above, classes)
            fields = _Fields(classes, old or "pydantic.BaseSettings" in above, delimiter)
            self._wants(node, fields, prefix, "", "", frozenset())

    def _configured(self, node: ast.ClassDef, option: str, above: Iterable[str], classes: _Classes) -> str:
        """A text of a settings class's configuration, or of those above it; '' where they have none."""
        others = [classes[base] for base in above if base in classes]
        return next(filter(None, (file._own(each, option) for file, each in [(self, node), *others])), "")

    def _own(self, node: ast.ClassDef, option: str) -> str:
        found = next((self._path(each.value) for each in node.keywords if each.arg == option), "") or ""
        for part in walk(node):
            if isinstance(part, ast.Call) and _called(part) in ("SettingsConfigDict", "ConfigDict"):
                found = self._path(_keyword(part, option)) or found
            elif isinstance(part, ast.Assign) and _name(part.targets[0]) == option:
                found = self._path(part.value) or found
        return found

    def _wants(
        self, node: ast.ClassDef, fields: _Fields, before: str, bare: str, path: str, within: frozenset[str]
    ) -> list[str]:
        """The variables without which a class has no value.

        :param before: what the names of a class's variables begin with.
        :param bare: the same without the prefix that the project has chosen.
        :param path: what pydantic calls the class in what it says, as 'db.' or ''.
        :param within: the models that this one is a part of.
        """
        found: list[str] = []
        for item in node.body:
            if not isinstance(item, ast.AnnAssign) or not isinstance(item.target, ast.Name):
                continue
            kinds = kinds_of(item.annotation)
            name, short = f"{before}{item.target.id}", f"{bare}{item.target.id}"
            model = self._model(kinds, fields)
            if model and model not in within:
                alias = "" if item.value is None else self._required_field(item.value)
                if fields.delimiter and (alias is not None or self._makes(item.value, model)):
                    file, inner = fields.classes[model]
                    name, deeper = f"{alias or name}{fields.delimiter}", f"{path}{alias or item.target.id}"
                    lacks = file._wants(inner, fields, name, f"{alias or short}_", f"{deeper}.", within | {model})
                    self.code.variables.setdefault(deeper.lower(), lacks)
                    found += lacks
                continue
            # Of its own fields pydantic-settings looks at what they are by default, too.
            refuses = "None" not in kinds and not fields.old and not within
            if "None" in kinds and not fields.old:
                kinds.remove("None")
            choices = self._choices(kinds, fields)
            if not kinds or not (choices or all(map(_PLAIN.fullmatch, kinds))):
                continue
            if item.value is not None:
                default = self._default(item.value)
                alias = self._alias(item.value) if isinstance(item.value, ast.Call) else ""
                self._address(default, (alias or name).upper())
                if isinstance(default, ast.Constant) and default.value is None and _DATABASE_URL.search(alias or name):
                    # The app starts without, and answers 500 where it needs it.
                    self.code.asked.setdefault((alias or name).upper(), self._at(item))
                # A call that isn't Field's is the default itself.
                whole = item.value if _maker(item.value) else default
                self._open(whole, (alias or name).upper(), (alias or short).upper())
            if asked := asks(item.value):
                # Its absence is None, which such a field refuses.
                name = short = asked
            elif item.value is not None:
                if refuses and isinstance(default, ast.Constant) and default.value is None:
                    alias = alias or ""
                else:
                    alias = self._required_field(item.value)
                if alias is None:
                    self.code.variables.setdefault(f"{path}{item.target.id}".lower(), [name.upper()])
                    continue
                name, short = alias or name, alias or short
            variable = asked or name.upper()
            self.code.variables.setdefault(f"{path}{item.target.id}".lower(), [variable])
            self.code.wanted.setdefault(variable, self._at(item))
            self.code.bare[variable] = short.upper()
            if choices:
                self.code.choices[variable] = choices
            found.append(variable)
        return found

    def _choices(self, kinds: list[str], fields: _Fields) -> dict[str, str]:
        """What may stand for an enumeration, by the names of its members; empty for any other annotation."""
        for kind in kinds:
            key = self.code.meant(self._key(kind))
            node = fields.classes[key][1] if key in fields.classes else None
            if node and any(base.rpartition(".")[2] in _ENUMS for base in _bases(key, fields.classes)):
                pairs = [(e.targets[0], e.value) for e in node.body if isinstance(e, ast.Assign)]
                return {_name(to): str(value.value) for to, value in pairs if isinstance(value, ast.Constant)}
        return {}

    def _model(self, kinds: list[str], fields: _Fields) -> str:
        """The key of the model that an annotation names, '' for anything else."""
        for kind in kinds:
            key = self.code.meant(self._key(kind))
            if key in fields.classes and _is_model(key, fields.classes):
                return key
        return ""

    def _makes(self, value: ast.expr | None, model: str) -> bool:
        """Whether a field's default is made of its model's own fields, as by Field(default_factory=Model)."""
        factory = _keyword(value, "default_factory") if isinstance(value, ast.Call) else None
        return factory is not None and self.code.meant(self._key(_name(factory))) == model

    @staticmethod
    def _required_field(value: ast.expr) -> str | None:
        """The alias of a Field without a default, '' where it has none; None for what has a default."""
        if isinstance(value, ast.Constant) and value.value is ...:
            return ""
        if _called(value) != "Field" or not isinstance(value, ast.Call):
            return None
        default = value.args[0] if value.args else _keyword(value, "default")
        if _keyword(value, "default_factory") is not None:
            return None
        if default is not None and not (isinstance(default, ast.Constant) and default.value is ...):
            return None
        return _File._alias(value)

    @staticmethod
    def _default(value: ast.expr) -> ast.expr:
        """What a field is without a value of the environment's."""
        if not isinstance(value, ast.Call):
            return value
        if getenv(value):
            return value.args[-1]
        return value.args[0] if value.args else _keyword(value, "default") or value

    @staticmethod
    def _alias(call: ast.Call) -> str | None:
        """The alias that a Field has, '' where it has none; None for more than can be said in a name."""
        for given in ("validation_alias", "alias", "env"):
            if (alias := _keyword(call, given)) is not None:
                return _text(alias)
        return ""

    def _open(self, default: ast.expr, variable: str, bare: str) -> None:
        """A secret of the app's own, whose default whoever reads the source can sign with, or get in by."""
        value, bare = _text(default), bare or variable
        others = variable in self.code.open_passwords or _PASSWORD_OF_DATABASE.search(variable)
        if variable and value is not None and (is_own(bare) or (opens(bare, value) and not others)):
            self.code.open_secrets.setdefault(variable, self._at(default))
            self.code.bare.setdefault(variable, bare)
        elif variable and (maker := _maker(default)) and is_kept(bare):
            self.code.random[variable] = (self._at(default), maker, True)

    def _random(self, node: ast.Assign | ast.AnnAssign) -> None:
        """A secret that is made up where a module is imported, by each worker another one."""
        name = _name(node.target if isinstance(node, ast.AnnAssign) else node.targets[0])
        parts = list(walk(node))
        # What is made anew at each call, or may be said by a variable.
        other = any(isinstance(part, ast.Lambda) or (isinstance(part, ast.expr) and getenv(part)) for part in parts)
        calls = (_called(part) for part in parts if isinstance(part, ast.Call))
        if not other and is_kept(name) and (maker := next((call for call in calls if call in _MAKERS), "")):
            self.code.random.setdefault(name, (self._at(node), maker, False))

    def _environment(self, node: ast.stmt) -> None:
        """os.environ["NAME"] and config("NAME") in what runs at import, where nothing catches its absence."""
        for part in walk(node):
            if isinstance(part, ast.Subscript) and isinstance(part.ctx, ast.Load):
                name = _text(part.slice)
                if name and _name(part.value).rpartition(".")[2] == "environ":
                    self.code.wanted.setdefault(name, self._at(part))
            elif isinstance(part, ast.Call) and (place := reader(part, self.full, self.values)) and part.args:
                name, default = _text(part.args[0]), default_of(part, place)
                if name and default is not None:
                    self._address(default, name)
                    self._open(default, name, "")
                elif name:
                    self.code.wanted.setdefault(name, self._at(part))

    def _asked(self) -> None:
        """os.getenv("NAME") without a default, of which only the app knows whether it can be without."""
        for node in self.nodes:
            if getenv(node) and len(node.args) == 2 and getattr(node.args[1], "value", True) not in (None, ""):
                self.code.stood.add(_text(node.args[0]) or "")
            if isinstance(node, ast.Call) and (name := asks(node)):
                self.code.asked.setdefault(name, self._at(node))
            if isinstance(node, (ast.Assign, ast.AnnAssign)) and (name := asks(node.value)):
                self.held[_name(node.target if isinstance(node, ast.AnnAssign) else node.targets[0])] = name

    def needs(self, held: dict[str, str]) -> None:
        """What was asked for, where the app refuses to go on without it, or makes a database's engine of it.

        :param held: the variables that names of all files stand for, by 'module:name', and by '.name' where one is an
            attribute of whatever has it.
        """
        for node in self.nodes:
            if isinstance(node, ast.Call) and _called(node) in ENGINES and node.args and (name := asks(node.args[0])):
                self.code.wanted.setdefault(name, self.code.asked[name])
            if isinstance(node, ast.Call) and pooled(node):
                self.code.pooled.setdefault(_name(node.args[0]).rpartition(".")[2].upper(), self._at(node))
            for local in sorted(needs(node) - {""}):
                if name := self._variable(local, held):
                    self.code.wanted.setdefault(name, self.code.asked[name])
            names = [self.held.get(local, "") for local in all_of(getattr(node, "test", None))]
            if names and all(names) and not self.code.wanted.keys() & {*names}:
                self.code.together[self._at(node)] = names
        models = {each.name: each for each in self.nodes if isinstance(each, ast.ClassDef) and self._is_strict(each)}
        others = {key: name for key, name in held.items() if key[1:].isupper() or not key.startswith(".")}
        # Alembic imports its script to call what is in it.
        script = any(self.path == f"{directory}/env.py" for directory in self.code.migrations)
        for node in at_import(self.tree, calling=script):
            for part in [*uses(node, models), *(handed(node) if script else ())]:
                local = _name(part)
                # What is given another value first isn't what was asked for.
                changed = local in self.held and local not in self.values
                name = asks(part) or ("" if changed else self._variable(local, others))
                if name in self.code.asked:
                    self.code.wanted.setdefault(name, self.code.asked[name])

    def _variable(self, local: str, held: dict[str, str]) -> str:
        """The variable that a name has the value of, '' for none."""
        _before, dot, last = local.rpartition(".")
        places = [self.code.meant(self._key(local)), *([f".{last}"] if dot else [])]
        return self.held.get(local) or next((held[place] for place in places if place in held), "")

    def _is_strict(self, node: ast.ClassDef) -> bool:
        return any(self.full(_name(base)).rpartition(".")[2] == "BaseModel" for base in node.bases)


def _maker(node: ast.expr) -> str:
    """The function that makes a random value of an expression; '' where none does."""
    names = (_name(part).rpartition(".")[2] for part in walk(node) if isinstance(part, (ast.Name, ast.Attribute)))
    return next((name for name in names if name in _MAKERS), "")


def _is_below(path: str) -> bool:
    """Whether a path stays below the source's top, and isn't the top itself."""
    return not os.path.isabs(path) and path.split("/")[0] not in (".", "..", "~")


def _bases(key: str, classes: _Classes) -> list[str]:
    """All that a class is made of, by 'module:name' where the source has it, else by its own full name."""
    found: list[str] = []
    waiting = [key]
    while waiting:
        file, node = classes[waiting.pop()]
        for base in node.bases:
            above = file.code.meant(file._key(_name(base)))
            above = above if above in classes else file.full(_name(base))
            if above in classes and above not in found:
                waiting.append(above)
            found.append(above)
    return found


def _is_model(key: str, classes: _Classes) -> bool:
    return any(base.rpartition(".")[2] in ("BaseModel", "BaseSettings") for base in _bases(key, classes))


_Classes = dict[str, tuple[_File, ast.ClassDef]]


class _Fields(NamedTuple):
    """What holds for all fields of a settings class, those of the models in it too."""

    classes: _Classes
    old: bool
    """Whether it is pydantic 1, to which a field that may be None needs no default."""
    delimiter: str
    """What stands between a model's name and its field's; '' where a model is one variable, of JSON."""


_ENUMS = frozenset({"Enum", "StrEnum", "IntEnum"})
_OLD_SETTINGS = frozenset({"pydantic:BaseSettings", "pydantic.v1:BaseSettings"})
_MAKERS = frozenset({"generate_key", "token_bytes", "token_hex", "token_urlsafe", "urandom", "uuid4"})
_COMPOSED = re.compile(r"[\w+]+://([^@/]*@)?(?P<host>(?!localhost\b)[A-Za-z][\w-]*)(:\d+)?(/|$)")
# The same without a scheme, where a variable's name says that it is an address.
_BARE = re.compile(r"(?P<host>(?!localhost\b|unknown\b|default\b|none\b)[A-Za-z][\w-]*)(:\d+)?", re.IGNORECASE)
_HOST = re.compile(r"(?i)^host$|_(host|hostname|server|servers|addr)$")
_OF_A_DATABASE = re.compile(r"(?i)(^|_)(db|database|postgres\w*|pg|mysql|mariadb)_")
_PASSWORD_OF_DATABASE = re.compile(r"(?i)(^|_)(db|database|postgres\w*|pg|mysql|mariadb)_?(password|passwd|pass|pwd)$")
# What stands in a default for what somebody else has to say.
_PLACEHOLDER = re.compile(r"(?i)\byour|\badd .*\.env|change[-_ ]?(me|it|this)|replace|placeholder|^<.*>$|xxx")
# A database of whoever develops the app, whose user nobody else has.
_OWN_DATABASE = re.compile(
    r"(?:postgres\w*|mysql|mariadb)(?:\+\w+)?://"
    r"(?:[^@/:]+:[^@/]+@(?:localhost|127\.0\.0\.1)\b|(?:[^@/:]+@)?(?:localhost|127\.0\.0\.1)(?::\d+)?/\w)"
)
# The same of what lets everybody in who is on its machine.
_BESIDE = re.compile(r"(?:mongodb|rediss?)(?:\+\w+)?://(?:localhost|127\.0\.0\.1)\b")
_PART_OF_DATABASE = re.compile(
    r"(?i)((?:\w+_)?(?:postgres(?:ql)?|pg|mysql|mariadb|mongo(?:db)?|db|database)_?)"
    r"(host|hostname|server|port|user|username|name|db|database)"
)
_DATABASE_URL = re.compile(r"(?i)(database|db|postgres\w*|sqlalchemy\w*)_?(url|uri|dsn)$")
# The same in what nothing else can be said for. Of http, a name alone is as often a test's.
_CONTAINER = re.compile(
    r"(?P<scheme>(?:rediss?|valkey|postgres\w*|mysql|mariadb|mongodb|p?y?amqps?|nats|kafka|memcached|http(?=[^/]*//[^/]*:\d))"
    r"(?:\+\w+)?://)(?:[^@/]*@)?(?P<host>(?!localhost\b)[A-Za-z][\w-]*)(?::\d+)?(?:/|$)"
)
_ASKING = ("getenv", "env", "config", "Field", "setdefault", "Query", "Option")
# Annotations of what one environment variable can hold.
_PLAIN = re.compile(
    r"(?:[\w.]+\.)?(?:str|int|float|bool|bytes|Path|SecretStr|EmailStr|\w*Dsn|\w*Url)"
    r"|(?:Annotated|list|List|set)\[.*\]|Literal\[.*\]"
)


def _made_by(function: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """The name under which a function makes an application that it gives back; '' for any other function."""
    told = _name(function.returns).rpartition(".")[2] in APPS
    made = {
        _name(node.targets[0] if isinstance(node, ast.Assign) else node.target)
        for node in walk(function)
        if isinstance(node, (ast.Assign, ast.AnnAssign))
        and (_called(node.value) in APPS or (told and isinstance(node.value, ast.Call)))
    }
    returned = [_name(node.value) for node in walk(function) if isinstance(node, ast.Return)]
    return next((name for name in returned if name in made), "")


def _statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """A body's statements, with those inside of `if`, `with` and loops. What a `try` holds may be missing."""
    for node in body:
        yield node
        if isinstance(node, ast.If) and "__main__" in ast.unparse(node.test):
            continue
        if isinstance(node, (ast.If, ast.With, ast.AsyncWith, ast.For, ast.While)):
            yield from _statements(node.body)
            yield from _statements(getattr(node, "orelse", []))
