# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is known of an app by its source: its applications and routers, their paths, and what it wants and keeps."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass, field

USUAL = ("main", "app", "asgi", "server", "api", "application")
"""What modules and applications are called that are to be served."""


@dataclass(frozen=True)
class Place:
    """Where something is written: a file below the source's top, and a line in it."""

    path: str
    line: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


@dataclass
class Router:
    """What routes are hung on: an application or an APIRouter.

    :param kind: 'app', 'router', or 'maker' for a function that makes an application of arguments.
    :param prefix: its own; None where it isn't written as a text.
    :param factory: the function that makes it and gives it back; '' for one of the module's own.
    """

    kind: str
    place: Place
    prefix: str | None = ""
    factory: str = ""
    gets: dict[str, Place] = field(default_factory=dict)
    sockets: list[Place] = field(default_factory=list)
    children: list[tuple[str, str | None]] = field(default_factory=list)
    """What it includes: another's key, and the prefix given there."""


@dataclass
class Code:
    """What all files show.

    :param modules: the module's name of each file, as the app would import it.
    :param roots: the directory of each file that has to be on the path for that; '' for the source's top.
    :param routers: by 'module:name'.
    :param aliases: names of that kind that a module has from another, with whom they stand for.
    :param texts: names that stand for one text in all files, such as a prefix; None for those that stand for several.
    :param imports: top packages, with the first place that imports each.
    :param wanted: environment variables without which the app doesn't start, with the place that wants each.
    :param asked: those that it asks for, with nothing in their place.
    :param statics: by path, directories that the app serves itself, below the source's top.
    :param listeners: places that keep WebSockets in memory.
    """

    modules: dict[str, str] = field(default_factory=dict)
    roots: dict[str, str] = field(default_factory=dict)
    routers: dict[str, Router] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str | None] = field(default_factory=dict)
    imports: dict[str, Place] = field(default_factory=dict)
    wanted: dict[str, Place] = field(default_factory=dict)
    asked: dict[str, Place] = field(default_factory=dict)
    stood: set[str] = field(default_factory=set)
    """Variables that the source has a default for somewhere."""
    compared: dict[str, dict[str, Place]] = field(default_factory=dict)
    """Variables that are only compared, with the texts that they are compared with: nothing fails without them."""
    together: dict[Place, list[str]] = field(default_factory=dict)
    """Variables that count where all of them are set: the app does without them else."""
    open_secrets: dict[str, Place] = field(default_factory=dict)
    """Variables that hold a secret of the app's own, such as its API's key, and for which the source has a default."""
    open_passwords: dict[str, Place] = field(default_factory=dict)
    """Variables that hold a database's password, and for which the source has a default."""
    random: dict[str, tuple[Place, str, bool]] = field(default_factory=dict)
    """Secrets that each worker makes up: the place, the function that makes it, and whether a variable may say it."""
    bare: dict[str, str] = field(default_factory=dict)
    """What wanted variables and secrets are called without the prefix that the project has chosen for all of them."""
    pooled: dict[str, Place] = field(default_factory=dict)
    """Settings whose address of a database an engine with a pool of its own size is made of."""
    assigned: set[str] = field(default_factory=set)
    """Attributes of objects that the app gives a value as it runs, in capitals."""
    choices: dict[str, dict[str, str]] = field(default_factory=dict)
    """What wanted variables may hold that are of an enumeration, by the names of its members."""
    variables: dict[str, list[str]] = field(default_factory=dict)
    """By what pydantic calls a setting, as 'db.password' or 'db', the variables that it has to have."""
    statics: dict[str, str] = field(default_factory=dict)
    files: dict[str, tuple[Place, str]] = field(default_factory=dict)
    """Files below the source's top that the app writes, as SQLite's database, and directories that it fills: the place
    that names each, and the variable that may name another one, or ''."""
    apart: dict[str, Place] = field(default_factory=dict)
    """The like that the source brings, and that only what the app doesn't run writes, such as a function that nobody
    calls: a place that does."""
    containers: dict[Place, str] = field(default_factory=dict)
    """Where an address has a container's name, without what is secret in it; '' where another can be said."""
    hosts: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Variables whose default has a container's name, with that name and the default."""
    defaults: dict[str, tuple[Place, str]] = field(default_factory=dict)
    """Variables whose default is a database on the machine of whoever develops the app, with that."""
    beside: dict[str, tuple[Place, str]] = field(default_factory=dict)
    """Variables whose default is a database that any host may have, as Redis, with that."""
    parts: dict[str, dict[str, tuple[str, str, Place]]] = field(default_factory=dict)
    """Variables that have a database's address in parts, by what all begin with and by what each is, such as `name`:
    the variable, its default, and the place."""
    fixed: dict[Place, str] = field(default_factory=dict)
    """Where the address of a database of this machine is, without its password; of what may be said otherwise, too."""
    made: dict[str, Place] = field(default_factory=dict)
    """Directories below the source's top that the app makes, or serves."""
    listeners: list[Place] = field(default_factory=list)
    served: list[str] = field(default_factory=list)
    """What the source's own programs have Uvicorn serve."""
    examples: list[str] = field(default_factory=list)
    """Files such as .env.template, which are shipped where the code names them: what it takes its defaults from."""
    creates: Place | None = None
    """Where the app makes its tables itself, as by create_all()."""
    migrations: list[str] = field(default_factory=list)
    """Directories with Alembic's env.py and versions/, and the files alembic.ini that there are."""
    memory: dict[str, Place] = field(default_factory=dict)
    """Variables of modules that requests change: each worker has its own."""
    asking: list[str] = field(default_factory=list)
    """Files that ask for the version of an installed package."""
    unread: list[str] = field(default_factory=list)
    """Files that aren't the Python of this machine."""

    @property
    def apps(self) -> dict[str, Router]:
        """Applications, the likeliest to be served first."""
        inner = {self.meant(child) for router in self.routers.values() for child, _prefix in router.children}

        def rank(item: tuple[str, Router]) -> tuple[bool, bool, bool, int, str]:
            key, router = item
            module, _colon, name = key.partition(":")
            usual = module.rpartition(".")[2] in USUAL and name in (*USUAL, router.factory)
            return key in inner, bool(router.factory), not usual, len(key), key

        return dict(sorted(((key, each) for key, each in self.routers.items() if each.kind == "app"), key=rank))

    def meant(self, key: str) -> str:
        """Whom a name stands for that one module has from another."""
        for _step in range(5):
            key = self.aliases.get(key, key)
        return key

    @property
    def unlike(self) -> dict[str, list[str]]:
        """Those of the settings whose variables aren't called as they are."""
        return {name: each for name, each in self.variables.items() if each not in ([], [name.upper()])}

    def paths(self, app: str) -> tuple[dict[str, Place], bool]:
        """The paths that an application answers to GET, and whether the text tells them all."""
        found: dict[str, Place] = {}
        whole = True

        def walk(key: str, before: str | None, seen: frozenset[str]) -> None:
            nonlocal whole
            router = self.routers.get(self.meant(key))
            if router is None or before is None or router.prefix is None or key in seen:
                whole = False
                return
            for path, place in router.gets.items():
                found.setdefault(before + router.prefix + path, place)
            for child, prefix in router.children:
                walk(child, None if prefix is None else before + router.prefix + prefix, seen | {key})

        walk(app, "", frozenset())
        return found, whole

    def unshared(self, shared: Iterable[str], said: Container[str] = ()) -> dict[str, Place]:
        """Files that the app would write beside its code, where it may only read.

        :param shared: what fastapi_shared_paths has.
        :param said: variables that name another one.
        """
        return {
            path: place
            for path, (place, variable) in self.files.items()
            if variable.upper() not in said and not any(f"{path}/".startswith(f"{above}/") for above in shared)
        }

    @property
    def sockets(self) -> list[Place]:
        """WebSocket endpoints."""
        return [place for router in self.routers.values() for place in router.sockets]
