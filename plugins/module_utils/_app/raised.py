# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an app raised, read from its last lines: in a sentence, where in its own files, and what to write. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_FRAME = re.compile(r'^ {2}File "(?P<path>[^"]+)", line (?P<line>[0-9]+)(?:, in .+)?$')
_BEGIN = re.compile(r"^(?:Exception Group )?Traceback \(most recent call last\):$")
_GROUP = re.compile(r"^ *[|+] ")
"""Before each line of an exception group's traceback."""
_RAISED = re.compile(r"^(?P<kind>(?:\w+\.)*[A-Za-z_]\w*)(?:: (?P<what>.*))?$")
_OWN = re.compile(r"/releases/[^/]+/(?!\.venv/)(?P<name>.+)")
_PACKAGE = re.compile(r"/site-packages/(?P<name>.+)")
# Of the server and its interpreter: they are the same in each failure, and say nothing of the app.
_FOREIGN = re.compile(
    r"/site-packages/(?:gunicorn|uvicorn|starlette|fastapi)/|/slots/[^/]+/\w+\.py$|^<frozen |/python3[.0-9]*/importlib/"
)
_INVALID = re.compile(r"^([A-Za-z_][\w.]*)\n  (.+?)(?: \[type=.*)?$", re.MULTILINE)
"""A field of pydantic's, and what it says of it; without the value, which may be a secret."""
_MISSING = "Field required"
# How the end looks from inside, of which something else is the reason.
_ENDINGS = ("CancelledError", "HaltServer", "KeyboardInterrupt", "SystemExit")
_LIBRARIES = {
    "libGL.so.1": "libgl1",
    "libpq.so.5": "libpq5",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libmagic.so.1": "libmagic1",
    "libgomp.so.1": "libgomp1",
    "libmariadb.so.3": "libmariadb3",
    "libcairo.so.2": "libcairo2",
    "libpango-1.0.so.0": "libpango-1.0-0",
    "libpangoft2-1.0.so.0": "libpangoft2-1.0-0",
    "libgobject-2.0.so.0": "libglib2.0-0",
    "libsndfile.so.1": "libsndfile1",
    "libportaudio.so.2": "libportaudio2",
    "libodbc.so.2": "libodbc2",
    "libzbar.so.0": "libzbar0",
    "libSM.so.6": "libsm6",
    "libXext.so.6": "libxext6",
    "libXrender.so.1": "libxrender1",
    "libvips.so.42": "libvips42",
}
"""Debian's package of a library that Python packages expect to be there."""


@dataclass
class _Trace:
    """One traceback: its frames as (path, line, code), and what was raised."""

    frames: list[tuple[str, str, str]] = field(default_factory=list)
    kind: str = ""
    what: str = ""


def _traces(said: str) -> list[_Trace]:
    found: list[_Trace] = []
    now: _Trace | None = None
    for line in (_GROUP.sub("", text) for text in said.split("\n")):
        if frame := _FRAME.match(line):
            # The beginning of a long one may have been cut off.
            now = now or _Trace()
            now.frames.append((frame["path"], frame["line"], ""))
        elif _BEGIN.match(line):
            now = _Trace()
        elif now is None:
            continue
        elif line.startswith("    "):
            if now.frames and not now.frames[-1][2] and line.strip("~^ "):
                now.frames[-1] = (*now.frames[-1][:2], line.strip())
        elif now.frames and (raised := _RAISED.match(line)):
            now.kind, now.what = raised["kind"].rpartition(".")[2], (raised["what"] or "").strip()
            found.append(now)
            now = None
    return found


def cause(said: str) -> str:
    """What was raised last and where, as a part of a sentence without its stop; '' where no traceback tells.

    :param said: the last lines of an app, with tracebacks.
    """
    traces = _traces(said)
    traces = [trace for trace in traces if trace.kind not in _ENDINGS] or traces
    if not traces:
        return ""
    last = traces[-1]
    what = last.what
    if last.kind == "ValidationError" and (fields := dict(_INVALID.findall(said))):
        missing = ", ".join(name for name, why in fields.items() if why == _MISSING)
        wrong = [f"{name}: {why}" for name, why in fields.items() if why != _MISSING]
        what = "; ".join([f"nothing is set for {missing}"] * bool(missing) + wrong)
    told = f"{last.kind}: {what}" if what else last.kind
    return f"{told.rstrip('.')}{_place(traces)}"


def because(trouble: str, log: str) -> str:
    """What was seen of a release that doesn't become ready, with what it raised: first where that ended it.

    :param trouble: what was seen, a sentence.
    :param log: its last lines.
    """
    raised = cause(log)
    if not raised:
        return trouble
    ended = re.search(r"\.service ended|ended unexpectedly", trouble)
    return f"{raised}. {trouble}" if ended else f"{trouble} The last that it raised: {raised}."


def _place(traces: list[_Trace]) -> str:
    """The deepest frame of the app's own, of the last traceback that has one; or else of a package's."""
    for pattern, where in ((_OWN, "at"), (_PACKAGE, "in the package's")):
        for trace in reversed(traces):
            for path, line, code in reversed(trace.frames):
                match = pattern.search(path)
                if match and not _FOREIGN.search(path):
                    return f", {where} {match['name']} line {line}" + (f": {code}" if code else "")
    return ""


def without_frames(said: str) -> str:
    """The lines without those that show where the server was: Gunicorn's, Uvicorn's, ours, the import system's."""
    kept: list[str] = []
    dropping = False
    for text in said.split("\n"):
        line = _GROUP.sub("", text)
        if frame := _FRAME.match(line):
            dropping = bool(_FOREIGN.search(frame["path"]))
        else:
            dropping = dropping and line.startswith("    ")
        if not dropping:
            kept.append(text)
    return "\n".join(kept)


def advice(said: str) -> str:
    """What to write for the usual reasons why an app doesn't start, a sentence each; '' where none is known.

    :param said: why it failed, and its last lines.
    """
    found = []
    for name in dict.fromkeys(re.findall(r"ModuleNotFoundError: No module named '([\w.]+)'", said)):
        found.append(
            f"Nothing that the release installs brings {name}: add what does to the requirements (its name there may "
            "be another). If it is a module of the app's own, it isn't where fastapi_app counts from, which is the "
            "top of the source."
        )
    for name in dict.fromkeys(re.findall(r"\b(lib[\w+.-]+\.so(?:\.[0-9]+)*): cannot open shared object", said)):
        package = _LIBRARIES.get(name, "")
        found.append(
            f"The host has no {name}. Write fastapi_packages: [{package}]."
            if package
            else f"The host has no {name}. Find the package that has it (apt-file search {name}), and name it in "
            "fastapi_packages."
        )
    traces = [trace for trace in _traces(said) if trace.kind == "KeyError"]
    names = [trace.what.strip("'") for trace in traces if any("environ" in code for *_place, code in trace.frames)]
    if "ValidationError" in said:
        names += [name.upper() for name, why in _INVALID.findall(said) if why == _MISSING]
    if names:
        wanted = ", ".join(f"{name}: …" for name in dict.fromkeys(names))
        found.append(f"Write fastapi_env: {{{wanted}}}, secrets by ansible-vault.")
    if "attempt to write a readonly database" in said or "unable to open database file" in said:
        found.append(
            "The release is read-only to the app. Write fastapi_shared_paths: [data], and have SQLite's file in data/, "
            "which outlives releases."
        )
    if re.search(r"no such table|UndefinedTable|relation \"[^\"]+\" does not exist|Table '[^']+' doesn't exist", said):
        found.append("The database lacks a table. Write fastapi_before_swap: [alembic upgrade head], or what makes it.")
    if re.search(r"Connection refused|Connect call failed|ConnectionRefusedError|actively refused", said):
        found.append(
            "What the app connects to isn't there. See that it runs, and that fastapi_env has the right address: "
            "localhost is the host itself."
        )
    if re.search(r"Name or service not known|name resolution|could not translate host name", said):
        found.append("The host can't find a name that the app connects to: see the address in fastapi_env.")
    if "partially initialized module" in said:
        found.append("Two modules import each other: move one of the imports into the function that needs it.")
    if match := re.search(r"Failed to find attribute '([^']+)' in '([^']+)'", said):
        found.append(f"{match[2]} has no {match[1]}: write fastapi_app: module:name with the name that it has.")
    if re.search(r"Address already in use|address already in use", said):
        found.append("The app opens a port of its own, which another worker or slot has: it can't, behind a proxy.")
    if "SyntaxError: " in said:
        found.append("If it runs at home, the host's Python is older: see fastapi_python.")
    for path in dict.fromkeys(re.findall(r"FileNotFoundError: \[Errno 2\] No such file or directory: '([^']+)'", said)):
        if not path.startswith(("/dev/", "/run/credentials/")):
            found.append(
                f"{path} isn't there. What isn't in the source (git leaves out what .gitignore names) is put into a "
                "directory of fastapi_shared_paths once, by hand."
                if not path.startswith("/") or "/releases/" in path
                else f"{path} isn't on the host, or isn't the app's to see."
            )
    if "os error 30" in said:
        found.append(
            "The app writes where it may only read: what it keeps belongs in a directory of fastapi_shared_paths, and "
            "its home and TMPDIR are writable."
        )
    return " ".join(found)
