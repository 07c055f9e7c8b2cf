# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads requirements files as pip does, and refuses what the wheels method can't keep its word on."""

from __future__ import annotations

import codecs
import datetime
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ...module_utils._app.releases import ReleaseError
from ...module_utils._host.text import mask
from .packages import InvalidRequirement, Requirement, Version, canonicalize_name, canonicalize_version
from .trees import Tree, tree_of

PINS = {"gunicorn": "27.0.1", "uvicorn": "0.54.0"}
"""What every release needs to be served, in the versions that are taken where the app leaves it open."""

LOWEST = {"gunicorn": "21.2.0", "uvicorn": "0.22.0"}
"""The oldest that `scripts/worker-versions` ran the worker's tests with. Uvicorn 0.21 can't limit its drain. What is
Gunicorn's own is left: before 25 it heeds a SIGQUIT only after its drain, and before 24 logs a failed start twice."""

WEBSOCKETS = ("websockets", "17.4", "10.4")
"""What Uvicorn speaks WebSockets by, where an app has an endpoint for them and neither this nor wsproto: its name, the
version that is taken, and the oldest, which is the one that uvicorn[standard] asks for."""
_WITH_WEBSOCKETS = {
    "websockets": "",
    "wsproto": "",
    "uvicorn": "standard",
    "fastapi": "standard standard-no-fastapi-cloud-cli all",
}
"""What brings one by itself, with the extras that do."""

_COMMENT = re.compile(r"(^|\s+)#.*$")
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
_HASH = re.compile(r"--hash[= ]sha256:([0-9a-fA-F]{64})")
_PATH = re.compile(r"(\.{0,2}/|~|file:)|.*\.(whl|zip|tar\.gz|tgz|tar\.bz2|tar\.xz)$", re.IGNORECASE)
_VCS = re.compile(r"(.*@\s*)?(git|hg|svn|bzr)\+")
# Options that change nothing here: only wheels are taken in any case, and hashes are always checked.
_WITHOUT_EFFECT = {"--only-binary", "--prefer-binary", "--require-hashes", "--use-pep517", "--use-feature"}
_INDEX_OPTIONS = {
    "-i": "index_url",
    "--index-url": "index_url",
    "--pypi-url": "index_url",
    "--extra-index-url": "extra_index_urls",
    "-f": "find_links",
    "--find-links": "find_links",
    "--trusted-host": "trusted_hosts",
}
COMMIT = re.compile(
    r"(?P<name>[\w.-]+)\s*(?P<extras>\[[^\]]*\])?\s*@\s*git\+(?P<url>\S+)@(?P<commit>[0-9a-f]{40})"
    r"(#(egg=[^&\s;]+&?)?(subdirectory=(?P<below>[^&\s;]+))?)?(?P<marker>\s*;.*)?"
)
"""A package at one commit of a git repository, whose wheel is built."""
_ITSELF = re.compile(r"((-e|--editable)[ =]*)?\./?(\[(?P<extras>[^\]]*)\])?")
"""The project at the source's top, which is where the app is run from."""
_WAYS_OUT = (
    "Name a version that the index has a wheel of, or build the wheel yourself (pip wheel) and give its directory"
)


@dataclass
class Requirements:
    """What the requirements files say, includes and all.

    :param lines: requirements, one a line, without hashes.
    :param constraints: the same from -c files.
    :param hashes: (name, version) -> SHA-256 digests listed for it.
    :param trees: directories of the app's repository that are named; `lines` gets them when the source is read.
    :param own: extras of the project itself, where a line names that; None where none does.
    :param python: what the project asks of the interpreter, '' where it asks nothing.
    :param overrides: lines that count in place of whatever asks for the same package.
    :param until: the last day of which versions are taken where none is named, such as 2025-07-14; '' for the newest.
    :param options: index settings: values by the names of _INDEX_OPTIONS, 'no_index' and 'pre' as ['yes'].
    """

    lines: list[str] = field(default_factory=list)
    constraints: list[str] = field(default_factory=list)
    hashes: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    trees: list[Tree] = field(default_factory=list)
    own: list[str] | None = None
    python: str = ""
    overrides: list[str] = field(default_factory=list)
    until: str = ""
    options: dict[str, list[str]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    seen: set[tuple[str, bool]] = field(default_factory=set)

    @property
    def loose(self) -> list[str]:
        """Lines that don't name the one version that is taken, and whose lock doesn't either."""
        locked = named(line for line in self.constraints if _is_exact(line))
        return [line for line in self.lines if not _is_exact(line) and not named([line]) <= locked]

    @property
    def open(self) -> bool:
        """Whether anything that is taken has no version that somebody wrote: a requirement, or what those bring, which
        only a lock names, and that has hashes."""
        return bool(self.loose) or not self.hashes

    @property
    def end(self) -> str:
        """The moment at which the day ends, '' where none is set; a bare day ends as the machine's time zone has it."""
        after = datetime.timedelta(days=1)
        return f"{datetime.date.fromisoformat(self.until) + after}T00:00:00Z" if self.until else ""

    @property
    def dated(self) -> list[str]:
        """uv's arguments that leave out what was uploaded after the day, but for what the app names exactly."""
        exact = named(line for line in (*self.lines, *self.constraints) if _is_exact(line))
        return ["--exclude-newer", self.end, *undated(exact)] if self.until else []


def undated(names: Iterable[str]) -> list[str]:
    """uv's arguments for packages of which any day's version is taken."""
    return [argument for name in sorted(names) for argument in ("--exclude-newer-package", f"{name}=false")]


def _is_exact(line: str) -> bool:
    parsed = Requirement(line)
    return bool(parsed.url) or any(
        pin.operator in ("==", "===") and not pin.version.endswith("*") for pin in parsed.specifier
    )


def read(source: str, name: str) -> Requirements:
    """Read the file `name` below `source` with all that it includes; raises with every line that can't be served."""
    found = Requirements()
    _read_file(found, source, name, constraint=False)
    return whole(found, name)


def whole(found: Requirements, name: str) -> Requirements:
    """What was found, unless there were problems on the way."""
    if found.problems:
        raise ReleaseError(
            f"fastapi_requirements is {name}, and can't be served by wheels:\n" + "\n".join(found.problems)
        )
    return found


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their numbers: continued ones joined, comments and blank ones left out."""
    start, parts = 0, []
    for number, line in enumerate([*text.splitlines(), ""], start=1):
        start = start or number
        if line.endswith("\\") and not _COMMENT.match(line):
            parts.append(line[:-1])
            continue
        joined = _COMMENT.sub("", "".join([*parts, line])).strip()
        if joined:
            yield start, joined
        start, parts = 0, []


def _read_file(found: Requirements, source: str, name: str, constraint: bool) -> None:
    if (name, constraint) in found.seen:
        return
    found.seen.add((name, constraint))
    try:
        with open(os.path.join(source, name), "rb") as file:
            content = file.read()
        # Windows' PowerShell writes UTF-16, and pip reads it.
        text = content.decode("utf-16" if content[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig")
    except UnicodeDecodeError as error:
        found.problems.append(f"{name} isn't text in UTF-8 from byte {error.start} on. Save it as UTF-8.")
        return
    except OSError as error:
        found.problems.append(f"{name} can't be read: {error}")
        return
    read_lines(found, source, name, text, constraint)


def read_lines(
    found: Requirements, source: str, name: str, text: str, constraint: bool = False, base: str = ""
) -> None:
    """Add what `text` says, the content of the file `name` below `source`.

    :param base: of the paths of directories in it, counted from `source`; beside that, the file's own counts.
    """
    for number, raw in logical_lines(text):
        line = _VARIABLE.sub(lambda match: os.environ.get(match[1]) or match[0], raw)
        itself = None if constraint else _ITSELF.fullmatch(line)
        if itself and os.path.isfile(os.path.join(source, "pyproject.toml")):
            found.own = [*(found.own or []), *re.findall(r"[\w.-]+", itself["extras"] or "")]
            continue
        tree = None if constraint else tree_of(line, source, base, os.path.dirname(name))
        if tree:
            found.trees.append(tree)
            continue
        # Only what was written is shown: a variable may hold a token.
        problem = _option(found, source, name, line) if line.startswith("-") else add(found, line, constraint)
        if problem:
            found.problems.append(f"{name}, line {number}, {mask(raw)[:100]}: {problem}")


def _option(found: Requirements, source: str, name: str, line: str) -> str:
    option, value = _split_option(line)
    if option in ("-r", "--requirement", "-c", "--constraint"):
        included = os.path.normpath(os.path.join(os.path.dirname(name), value))
        if "://" in value or os.path.isabs(value) or included.startswith(".."):
            return "it includes a file from outside the source, so an equal source could be another release. Copy it."
        _read_file(found, source, included, constraint=option in ("-c", "--constraint"))
    elif option in ("-e", "--editable"):
        return (
            "an editable install would point to a directory of the control node. If it is the app itself, leave the "
            f"line out: the source is shipped and is the working directory. {_WAYS_OUT} by --find-links."
        )
    elif option in _INDEX_OPTIONS:
        key = _INDEX_OPTIONS[option]
        beside = os.path.join(source, os.path.dirname(name), value)
        value = os.path.abspath(beside) if key == "find_links" and os.path.isdir(beside) else value
        found.options.setdefault(key, []).append(value)
    elif option in ("--no-index", "--pre"):
        found.options[option.lstrip("-").replace("-", "_")] = ["yes"]
    elif option == "--no-binary":
        return f"it asks to build on the host, and only wheels are taken. Remove it. {_WAYS_OUT} by --find-links."
    elif option not in _WITHOUT_EFFECT:
        return f"{option} is not an option that is known here. Remove it."
    return ""


def _split_option(line: str) -> tuple[str, str]:
    """('-r', 'base.txt') of '-r base.txt', '-rbase.txt', '--requirement base.txt' and '--requirement=base.txt'."""
    if not line.startswith("--"):
        return line[:2], line[2:].strip().lstrip("=").strip().strip("'\"")
    option = re.split(r"[=\s]", line, maxsplit=1)[0]
    return option, line[len(option) :].lstrip("= ").strip().strip("'\"")


def add(found: Requirements, line: str, constraint: bool = False) -> str:
    """Add one requirement; returns what is wrong with it, or ''."""
    text = re.split(r"\s--?[a-z]", line, maxsplit=1)[0].strip()
    if COMMIT.fullmatch(text) and not constraint:
        found.lines.append(text)
        return ""
    if _VCS.match(text):
        return (
            "it is fetched from version control by a name that may be another commit tomorrow. Name the package and "
            f"the whole commit, as in lib @ git+https://example.com/lib.git@{'0123456789' * 4}. Or: {_WAYS_OUT} by "
            "--find-links."
        )
    if _PATH.match(text) and ("://" not in text or text.startswith("file:")):
        return f"it is a path of the control node. {_WAYS_OUT} by --find-links, and name the package here."
    if "://" in text:
        return f"it is a URL. {_WAYS_OUT} by --find-links, and name the package here."
    try:
        parsed = Requirement(text)
    except InvalidRequirement as error:
        return f"it isn't a requirement that can be read: {str(error).splitlines()[0]}. Write it as name==version."
    if found_hashes := _HASH.findall(line):
        for pin in parsed.specifier:
            if pin.operator in ("==", "==="):
                key = (canonicalize_name(parsed.name), canonicalize_version(pin.version))
                found.hashes.setdefault(key, set()).update(digest.lower() for digest in found_hashes)
    (found.constraints if constraint else found.lines).append(text)
    return ""


def named(lines: Iterable[str]) -> set[str]:
    """Names of what the lines ask for."""
    return {canonicalize_name(Requirement(line).name) for line in lines}


def injected(
    requirements: Requirements, markers: dict[str, str], sockets: bool = False, needs: Iterable[str] = ()
) -> list[str]:
    """Lines for what the files don't name and serving needs. They are added to what the app was resolved to, so they
    decide nothing of it, and what it brings by itself takes their place.

    A line whose marker is false on the host doesn't count. Where a constraint names the package, it alone decides.

    :param sockets: whether the app has WebSocket endpoints.
    :param needs: packages that what the app imports needs. A lock stays as it is: it was tried with what is in it.
    """

    def counting(lines: Iterable[str]) -> list[Requirement]:
        parsed = [Requirement(line) for line in lines]
        return [r for r in parsed if r.marker is None or r.marker.evaluate(markers)]

    lines = counting(requirements.lines)
    has = {canonicalize_name(line.name) for line in lines}
    constrained = {canonicalize_name(line.name) for line in counting(requirements.constraints)}
    wanted = dict(PINS)
    if sockets and not any(_brings_websockets(line) for line in lines):
        wanted[WEBSOCKETS[0]] = WEBSOCKETS[1]
    needs = [*needs, *(needed for line in lines for needed in _unsaid(line))]
    others = [name for name in dict.fromkeys(needs) if name not in has] if not requirements.hashes else []
    pins = [
        f"{name}=={version}" if name not in constrained else name for name, version in wanted.items() if name not in has
    ]
    return pins + others


_UNSAID = {"python-decouple": ("3.6", "setuptools")}
"""What versions below one import and name in no requirement: distutils, which Python 3.12 left out and Debian 12 has in
a package of its own, is in setuptools."""


def _unsaid(line: Requirement) -> list[str]:
    below, needed = _UNSAID.get(canonicalize_name(line.name), ("0", ""))
    pinned = [Version(each.version) for each in line.specifier if each.operator == "==" and "*" not in each.version]
    return [needed] if any(version < Version(below) for version in pinned) else []


def _brings_websockets(line: Requirement) -> bool:
    extras = _WITH_WEBSOCKETS.get(canonicalize_name(line.name))
    return extras is not None and (not extras or bool(line.extras & set(extras.split())))


def check_hashes(wheels: dict[tuple[str, str], str], listed: dict[tuple[str, str], set[str]]) -> list[str]:
    """Names of the packages whose wheel isn't among the hashes that the app's requirements list for that version.

    :param wheels: (name, version) -> SHA-256 of the wheel that was collected.
    """
    wrong = [key for key, digest in wheels.items() if key in listed and digest not in listed[key]]
    return [f"{name}=={version}" for name, version in sorted(wrong)]
