# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What can be known to be wrong with the app's source on the control node, by the rules of the module release."""

from __future__ import annotations

import functools
import os
import re
import tempfile
import typing as t

from ...module_utils._app.releases import ReleaseError
from ...module_utils._app.words import PREFIX
from ...module_utils._host.text import mask
from .._release import extras, lockfile, locks, project, read
from .._release.flow import lacking
from .._release.instead import with_versions
from .._release.packages import canonicalize_name
from .._release.requirements import Requirements
from .._release.source import check_app, scan
from .._release.target import check_python as check_interpreter
from .._release.target import normal_machine
from .._release.tools import Say
from .._source.advice import advice
from .once import code_of
from .rules import versions as check_versions

# The variables that the checks read; while one of them is bad itself, there is nothing to check.
NEEDED = frozenset({"source", "version", "source_directory", "requirements", "extras", "exclude", "app"})


def about(sentence: str) -> str:
    """The variable that a refusal of release begins with."""
    match = re.match(rf"{PREFIX}(\w+)", sentence)
    return match[1] if match else "source"


class Checked(t.NamedTuple):
    """Problems as (variable, sentence) pairs, what is worth a warning, the Python versions the app asks for, and what
    it pins."""

    problems: list[tuple[str, str]]
    warnings: t.Sequence[str] = ()
    python: str = ""
    pinned: Requirements = Requirements()


def check_source(values: dict[str, t.Any], path: str, run_directory: str) -> Checked:
    """Everything that release would refuse of the source by itself.

    `path` is the absolute path that fastapi_source stands for, or its URL; what is fetched of that stays in
    `run_directory` for the whole run.
    """
    source = mask(values["source"])
    found: list[tuple[str, str]] = []

    def attempt(check: t.Callable[..., t.Any], *arguments: t.Any) -> t.Any:
        try:
            return check(*arguments)
        except ReleaseError as error:
            found.append((about(str(error)), str(error)))
        except OSError as error:
            found.append(("source", f"{PREFIX}source is {source}, and can't be read: {error.strerror or error}."))
        return None

    with tempfile.TemporaryDirectory(prefix="graceful-preflight-", dir=run_directory) as workdir:
        opened = attempt(read.open_source, path, values["version"], workdir)
        if opened is None:
            return Checked(found)
        whole, _origin = opened
        top = attempt(read.project_in, whole, values["source_directory"])
        if top is None:
            return Checked(found)
        entries = attempt(scan, top, values["exclude"])
        requirements = attempt(lockfile.find_requirements, top, values["requirements"], whole)
        listed = None
        if requirements is not None:
            listed = attempt(lockfile.read, top, requirements, None, values["extras"])
        if entries is not None:
            attempt(check_app, entries, values["app"])
        wanted = attempt(lockfile.requires_python, top)
        pinned = listed or Requirements()
        # What uv says of it needs uv; this is enough for a sentence.
        if listed is not None and not listed.lines and os.path.basename(requirements) == "uv.lock":
            name = str(lockfile.project_of(lockfile.load(top, "pyproject.toml")).get("name", ""))
            pinned = Requirements(locks.uv_pins(lockfile.load(top, requirements), name))
        if isinstance(values.get("versions"), list) and not check_versions("versions", values["versions"]):
            pinned = with_versions(pinned, values["versions"])
        warnings: list[str] = []
        if entries is not None:
            env = values.get("env")
            searched = str(env.get("PYTHONPATH", "") if isinstance(env, dict) else "").split(":")
            paths = {entry.path for entry in entries}
            code = code_of(top, paths, run_directory)
            # What can't be read is among the problems by now.
            if listed is not None and wanted is not None:
                asks = next(iter(code.asking), f"{PREFIX}before_swap" if values.get("before_swap") else "")
                roots, told = attempt(_installed, top, requirements, listed, paths, asks) or ([], "")
                searched += roots
                warnings += [
                    told,
                    _lock_above(top, path, requirements),
                    attempt(_extras, top, requirements, listed, values["extras"]) or "",
                ]
            brought = lockfile.names(top, requirements, listed) if listed is not None else set()
            warnings += [app_hint(paths, values["app"], searched, brought), *advice(code, values, top)]
    # An archive is unpacked to a place that nobody knows.
    return Checked(
        [(variable, sentence.replace(whole, mask(path))) for variable, sentence in found],
        [sentence for sentence in warnings if sentence],
        wanted or "",
        pinned,
    )


def _installed(
    top: str, requirements: str, listed: Requirements, paths: t.Collection[str], asks: str
) -> tuple[list[str], str]:
    """Where the source's own package puts its code, and what its build would know besides, which `asks` asks for."""
    own = project.find(top, requirements, listed, paths)
    return own.roots if own else [], project.hint(top, requirements, listed, own, asks)


def _lock_above(top: str, path: str, requirements: str) -> str:
    """A warning where the source is a directory of a workspace whose lock lies above it, out of what is read."""
    try:
        lock = lockfile.workspace_lock(top, os.sep) if top == path and requirements == "pyproject.toml" else ""
    except ReleaseError:
        # Of somebody else's, in a directory above.
        return ""
    if not lock:
        return ""
    above = os.path.dirname(os.path.normpath(os.path.join(top, lock)))
    return (
        f"{PREFIX}source is {path}, a project of the workspace whose uv.lock is in {above}. It isn't read from there, "
        f"so the newest versions are taken. Write {PREFIX}source: {above} and {PREFIX}source_directory: "
        f"{os.path.relpath(top, above)}"
    )


def _extras(top: str, requirements: str, listed: Requirements, wanted: t.Sequence[str]) -> str:
    """A hint where the project has an extra that hosts need; a plain requirements.txt has none."""
    pyproject = lockfile.load_project(top)
    if listed.own is None and requirements not in ("uv.lock", "pyproject.toml", "poetry.lock", "pdm.lock"):
        return ""
    return extras.hint(pyproject, [*wanted, *(listed.own or [])], locks.direct(pyproject))


def app_hint(
    paths: t.Collection[str], app: str, searched: t.Collection[str] = (), brought: t.Collection[str] = ()
) -> str:
    """A warning where nothing in the source has the app's name; it may still come from an installed package.

    :param searched: directories of the source that the app's PYTHONPATH names.
    :param brought: names of the packages that the app needs. One called as the module, as titiler.application is for
        titiler.application.main, brings it.
    """
    module = app.partition(":")[0]
    top = module.partition(".")[0]

    def is_in(directory: str) -> bool:
        return any(path == f"{directory}{top}.py" or path.startswith(f"{directory}{top}/") for path in paths)

    if is_in("") or any(is_in(f"{directory.strip('./')}/") for directory in searched if directory):
        return ""
    if any(f"{name}-".startswith(f"{canonicalize_name(top)}-") for name in brought):
        return ""
    if is_in("src/"):
        return (
            f"{PREFIX}app is {app}, and {top} is in src/ of {PREFIX}source. The project isn't installed, and workers "
            f"look in the source's top alone. Write {PREFIX}env: {{PYTHONPATH: src}}."
        )
    modules = sorted(path for path in paths if re.fullmatch(r"([A-Za-z_]\w*/)?(main|app|api|server|asgi)\.py", path))
    names = [f"{path[:-3].replace('/', '.')}:app" for path in modules]
    advice = f"Perhaps {PREFIX}app should be {' or '.join(names)}." if names else "Check both."
    return (
        f"{PREFIX}app is {app}, and {PREFIX}source has neither {top}/ nor {top}.py at its top. Unless a package brings "
        f"it, no worker will start. {advice}"
    )


def check_python(
    source: Checked, python: t.Mapping[str, t.Any], index_url: str = "", say: Say = lambda _text: None
) -> list[tuple[str, str]]:
    """Whether the host's interpreter is one that the app's pyproject.toml allows.

    :param python: what it says of itself.
    """
    machine = normal_machine(str(python.get("machine", "x86_64")), int(python.get("bits", 64)))
    try:
        asking = functools.partial(lacking, source.pinned, index_url, say)
        check_interpreter(source.python, python["version"], machine, asking)
    except ReleaseError as error:
        return [("python", str(error))]
    return []
