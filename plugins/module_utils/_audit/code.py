# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the control node needs to read an app's source: its Python files, and which packages are installed for it."""

from __future__ import annotations

import base64
import glob
import json
import os
import re
import stat
import zlib
from collections.abc import Iterable

from .._host.files import names_in
from .._host.reading import read_text
from .model import Served

MOST_BYTES, MOST_FILES = 2 << 20, 2000
ASIDE = frozenset(
    "node_modules __pycache__ site-packages dist-packages build dist test tests testing docs examples benchmarks "
    "versions migrations".split()
)
_DIST = re.compile(r"([A-Za-z0-9][\w.]*)-([0-9][^-/]*)\.(?:dist|egg)-info$")
# Directories that are no app's, however it was started.
_NO_CODE = ("/", "/root", "/home", "/tmp", "/var", "/srv", "/opt", "/usr", "/etc", "/var/lib")


def top_of(app: Served) -> str:
    """The directory that its module is imported from, as the host names it; '' where it isn't found."""
    if not app.main:
        return ""
    before = f"/proc/{app.main.pid}/root" if app.container else ""
    module = str(app.settings.get("app") or "").partition(":")[0]
    first = module.split(".")[0]
    if first.endswith(".py") or "/" in module or not first:
        first = ""
    places = [
        app.settings.get("chdir"),
        app.settings.get("pythonpath"),
        (app.main.environ or {}).get("PYTHONPATH", "").split(":")[0],
    ]
    for place in ["", *filter(None, places)]:
        top = before + os.path.normpath(os.path.join(app.main.cwd, str(place)))
        if first and (os.path.exists(f"{top}/{first}.py") or os.path.isdir(f"{top}/{first}")):
            return top
        if not first and place == "" and top not in _NO_CODE and any(name.endswith(".py") for name in names_in(top)):
            return top
    return ""


def collect(top: str) -> tuple[dict[str, str], str]:
    """The Python files below a directory, by path, and why some were left out; no environment's, no tests'."""
    found: dict[str, str] = {}
    size = 0
    for directory, names, files in os.walk(top):
        inner = [name for name in names if not name.startswith(".") and name not in ASIDE]
        names[:] = sorted(name for name in inner if not os.path.exists(os.path.join(directory, name, "pyvenv.cfg")))
        if top in _NO_CODE:
            names[:] = []
        for name in sorted(files):
            path = os.path.join(directory, name)
            if not name.endswith(".py") or not stat.S_ISREG(os.lstat(path).st_mode):
                continue
            text = read_text(path, MOST_BYTES, follow=False)
            size += len(text)
            if size > MOST_BYTES or len(found) >= MOST_FILES:
                return found, f"only the first {len(found)} Python files below {top} were read"
            found[os.path.relpath(path, top)] = text
    return found, ""


# pydantic's env_file, python-dotenv, environs, starlette's Config.
_READS = re.compile(r"(?:\b_?env_file|\bload_dotenv|\bdotenv_path|\bdotenv_values|\bread_env|\bConfig)\s*[=(]")
_FILE = re.compile(r"""["']([\w./@+-]{1,100})["']""")


def environment_names(files: Iterable[str]) -> set[str]:
    """What an app's source names as files that it takes its environment from.

    :param files: texts of Python.
    """
    near = (text[match.end() : match.end() + 200] for text in files for match in _READS.finditer(text))
    return {name for each in near for name in _FILE.findall(each) if "env" in name.lower()}


def packed(files: dict[str, str]) -> str:
    return base64.b64encode(zlib.compress(json.dumps(files).encode(), 9)).decode()


def packages(app: Served) -> dict[str, str]:
    """Versions of what is installed for an app, by name."""
    found: dict[str, str] = {}
    for place in _places(app):
        for name in names_in(place):
            if match := _DIST.match(name):
                found.setdefault(match[1].lower().replace("_", "-"), match[2])
    return found


def _places(app: Served) -> list[str]:
    if not app.main:
        return []
    before = f"/proc/{app.main.pid}/root" if app.container else ""
    starts = [os.path.dirname(os.path.dirname(os.path.join(app.main.cwd, word))) for word in app.main.argv[:2]]
    starts.append((app.main.environ or {}).get("VIRTUAL_ENV", ""))
    for start in starts:
        if start and os.path.exists(f"{before}{start}/pyvenv.cfg"):
            return glob.glob(f"{before}{start}/lib/python3*/site-packages")
    # Debian fixes holes in its own packages without another version.
    system = ("/usr/local/lib/python3*/dist-packages", "/usr/local/lib/python3*/site-packages")
    return [place for pattern in system for place in glob.glob(before + pattern)]
