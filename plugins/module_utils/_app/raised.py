# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an app raised, read from its last lines: what, and where in its own files. Pure, and content with any text."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_FRAME = re.compile(r'  File "([^"]+)", line ([0-9]+)(?:,? in .+)?')
_BEGIN = re.compile(r"(?:Exception Group )?Traceback \(most recent call last\):")
# Of faulthandler: the deepest frame comes first.
_CRASHED = re.compile(r"(?:Current thread|Thread) 0x\w+.*\(most recent call first\):")
_FATAL = re.compile(r"(Fatal Python error): (.+)")
_RAISED = re.compile(r"((?:[A-Za-z_<][\w<>]*\.)*[A-Za-z_]\w*)(?:: ?(.*))?")
_GROUP = re.compile(r" *[|+] ")
_CHAINED = re.compile(r"The above exception was the direct cause|During handling of the above exception")
# How an order to stop, or the arbiter's giving up, looks from inside; none of it is why.
_NO_REASON = frozenset({"CancelledError", "HaltServer", "KeyboardInterrupt", "SystemExit"})
# The same in each failure, so they tell nothing of the app.
_FOREIGN = re.compile(
    r"<frozen |/importlib/__init__\.py$|/asyncio/runners\.py$|/slots/[^/]+/(?:\w+\.py|release/\.venv/bin/[^/]+)$|"
    r"/site-packages/(?:gunicorn|uvicorn|uvicorn_worker)/"
)
MISSING = "Field required"
"""What pydantic says of a field that has no value."""
_PACKAGE = re.compile(r"/(?:site|dist)-packages/(.+)")


@dataclass
class Trace:
    """One traceback.

    :param frames: path, line and code ('' where there is none), the deepest last.
    :param kind: name of the exception's class; '' where the traceback was cut off before it.
    :param open: whether what it says begins on the next line.
    :param below: the lines that follow what was raised.
    :param chained: whether it belongs to the one before it.
    """

    frames: list[tuple[str, str, str]] = field(default_factory=list)
    kind: str = ""
    what: str = ""
    open: bool = False
    below: list[str] = field(default_factory=list)
    chained: bool = False


def traces(said: str) -> list[Trace]:
    """The tracebacks in a log, in its order."""
    found: list[Trace] = []
    inside = chained = crashed = False
    fatal = ""
    for text in said.split("\n"):
        grouped = _GROUP.match(text)
        line = text[grouped.end() :] if grouped else text
        if match := _FATAL.fullmatch(line):
            fatal = match[2]
        begins, frame = _BEGIN.fullmatch(line) or _CRASHED.fullmatch(line), _FRAME.fullmatch(line)
        # The head of a long one may have been cut off.
        if begins or (frame and not inside):
            inside, crashed = True, bool(begins) and not _BEGIN.fullmatch(line)
            found.append(Trace(chained=chained or bool(grouped)))
            if crashed:
                found[-1].kind, found[-1].what = "Fatal Python error", fatal
            chained = False
        if not found or begins:
            continue
        last = found[-1]
        if frame:
            last.frames.insert(0 if crashed else len(last.frames), (frame[1], frame[2], ""))
        elif inside and line.startswith("    "):
            if last.frames and not last.frames[-1][2] and not crashed:
                last.frames[-1] = (*last.frames[-1][:2], line.strip())
        elif inside and not line.startswith("  [Previous line repeated"):
            inside = False
            if not crashed and (match := _RAISED.fullmatch(line)):
                last.kind, last.what = match[1].rpartition(".")[2], (match[2] or "").strip()
                last.open = match[2] == ""
        else:
            chained = chained or bool(_CHAINED.match(line))
            last.below.append(line)
    return found


def own(path: str) -> str:
    """Path of a file of the user's in its release; '' where it isn't one."""
    match = re.search(r"/(?:releases/[^/]+|slots/[^/]+/release)/(?!\.venv/)(.+)", path)
    return match[1] if match else ""


def cause(said: str) -> str:
    """What was raised last and where, without a stop; '' where no traceback tells.

    :param said: the app's last lines.
    """
    found = [trace for trace in traces(said) if trace.kind]
    telling = [trace for trace in found if trace.kind not in _NO_REASON] or [
        # sys.exit() of the app's own.
        trace
        for trace in found
        if trace.kind == "SystemExit"
    ]
    if not telling:
        return ""
    last = telling[-1]
    told = ": ".join(filter(None, [last.kind, _message(last)])).rstrip(". ")
    return told + _place(found[: found.index(last) + 1])


def refused(trace: Trace) -> dict[str, str]:
    """What pydantic says of each field that it refuses, without its value, which may be a secret."""
    rows = zip(trace.below, trace.below[1:], strict=False)
    return {name: why.strip().partition(" [type=")[0] for name, why in rows if re.match(r"  \S.* \[type=", why)}


def _message(trace: Trace) -> str:
    """The first line of what it says; of pydantic's all that is wrong, in one line."""
    wrong = re.fullmatch(r"[0-9]+ validation errors? for (.+)", trace.what)
    problems = refused(trace)
    if not wrong or not problems:
        return trace.what or next((line.strip() for line in trace.below if trace.open and line.strip()), "")
    missing = [name for name, why in problems.items() if why == MISSING]
    told = [f"nothing is set for {', '.join(missing)}"] if missing else []
    return "; ".join(told + [f"{name}: {why}" for name, why in problems.items() if name not in missing])


def _place(found: list[Trace]) -> str:
    """The deepest frame of the user's, of the last in the last one's chain that has any; or else of a package's."""
    chain = found[-1:]
    while chain[0].chained and len(chain) < len(found):
        chain = found[-len(chain) - 1 :]
    packaged = ""
    for trace in reversed(chain):
        for path, line, code in reversed(trace.frames):
            at = f" line {line}" + (f": {code}" if code else "")
            if name := own(path):
                return f", at {name}{at}"
            if not packaged and (match := _PACKAGE.search(path)) and not _FOREIGN.search(path):
                packaged = f", in {match[1]} of a package{at}"
    return packaged


def without_frames(said: str) -> str:
    """The lines without the frames of Gunicorn, Uvicorn, the import system and ours, which no user can change; and of
    other packages' only the deepest of a traceback, which raised: an ORM has dozens between it and the app."""
    kept, held = list[str](), list[str]()
    dropping = holding = False
    for text in said.split("\n"):
        line = _GROUP.sub("", text, count=1) if _GROUP.match(text) else text
        if frame := _FRAME.fullmatch(line):
            dropping = bool(_FOREIGN.search(frame[1]))
            if not dropping:
                # Where all crashes the deepest comes first, and has no comma.
                held, holding = [], ", in " in line and bool(_PACKAGE.search(frame[1]))
        elif not line.startswith("    "):
            kept, held, dropping, holding = kept + held, [], False, False
        if not dropping:
            (held if holding else kept).append(text)
    return "\n".join(kept + held)


def because(seen: str, said: str) -> str:
    """Why a release failed, its first line with what the app raised, where it raised anything.

    :param seen: what was seen from outside: ``Release ID how it failed: what was seen``.
    :param said: its last lines.
    """
    # What the app answers with care, and what the kernel does, comes of no exception.
    what = "" if re.search(r"answers? [34][0-9]{2}\b|The kernel killed", seen) else cause(said)
    if not what:
        return seen
    release = re.match(r"Release \S+ ", seen)
    if not release:
        return f"{seen.rstrip('.')}: {what}."
    ended = r"did not become ready: .*(?:\.service ended|ended unexpectedly)|can't be loaded"
    how = "can't start:" if re.match(ended, seen[release.end() :]) else "raised"
    return f"{release[0]}{how} {what}\n{seen}"
