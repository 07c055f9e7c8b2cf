# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What can be known to be wrong with the app's source on the control node, by the rules of the module release."""

from __future__ import annotations

import re
import tempfile
import typing as t

from ansible_collections.graceful.deploy.plugins.module_utils import (
    release_archive,
    release_requirements,
    release_source,
)
from ansible_collections.graceful.deploy.plugins.module_utils.preflight_problem import PREFIX
from ansible_collections.graceful.deploy.plugins.module_utils.release_common import ReleaseError

# The variables that the checks read; while one of them is bad itself, there is nothing to check.
NEEDED = frozenset({"source", "requirements", "exclude", "app"})
_REMOTE = re.compile(r"(git\+|git@|[a-z][a-z0-9+.-]*://)")


def about(sentence: str) -> str:
    """The variable that a refusal of release begins with."""
    match = re.match(rf"{PREFIX}(\w+)", sentence)
    return match[1] if match else "source"


class Checked(t.NamedTuple):
    """Problems as (variable, sentence) pairs, what is worth a warning, and the Python versions the app asks for."""

    problems: list[tuple[str, str]]
    warning: str = ""
    python: str = ""


def check_source(values: dict[str, t.Any], path: str) -> Checked:
    """Everything that release would refuse of the source by itself.

    `path` is the absolute path that fastapi_source stands for.
    """
    source = values["source"]
    if _REMOTE.match(source):
        shown = release_requirements.mask(source)
        wrong = "it has to be a directory or an archive on the control node."
        return Checked(
            [("source", f"{PREFIX}source is '{shown}': {wrong} Clone it there, and write the clone's path.")]
        )
    found: list[tuple[str, str]] = []

    def attempt(check: t.Callable[..., t.Any], *arguments: t.Any) -> t.Any:
        try:
            return check(*arguments)
        except ReleaseError as error:
            found.append((about(str(error)), str(error)))
        except OSError as error:
            found.append(("source", f"{PREFIX}source is {source}, and can't be read: {error.strerror or error}."))
        return None

    with tempfile.TemporaryDirectory(prefix="graceful-preflight-") as workdir:
        top = attempt(release_archive.open_source, path, workdir)
        if top is None:
            return Checked(found)
        entries = attempt(release_source.scan, top, values["exclude"])
        requirements = attempt(release_source.find_requirements, top, values["requirements"])
        if requirements is not None:
            attempt(release_requirements.read, top, requirements)
        warning = ""
        if entries is not None:
            attempt(release_source.check_app, entries, values["app"])
            warning = app_hint({entry.path for entry in entries}, values["app"])
        wanted = attempt(release_source.requires_python, top) or ""
    # An archive is unpacked to a place that nobody knows.
    return Checked([(variable, sentence.replace(top, path)) for variable, sentence in found], warning, wanted)


def app_hint(paths: t.Collection[str], app: str) -> str:
    """A warning where nothing in the source has the app's name; it may still come from an installed package."""
    module = app.partition(":")[0]
    top = module.partition(".")[0]
    if any(path == f"{top}.py" or path.startswith(f"{top}/") for path in paths):
        return ""
    modules = sorted(path for path in paths if re.fullmatch(r"([A-Za-z_]\w*/)?(main|app|api|server|asgi)\.py", path))
    names = [f"{path[:-3].replace('/', '.')}:app" for path in modules]
    advice = f"Perhaps {PREFIX}app should be {' or '.join(names)}." if names else "Check both."
    return (
        f"{PREFIX}app is {app}, and {PREFIX}source has neither {top}/ nor {top}.py at its top. Unless a package brings "
        f"it, no worker will start. {advice}"
    )


def check_python(wanted: str, version: str) -> list[tuple[str, str]]:
    """Whether the host's interpreter is one that the app's pyproject.toml allows."""
    try:
        release_source.check_python(wanted, version)
    except ReleaseError as error:
        return [("python", str(error))]
    return []
