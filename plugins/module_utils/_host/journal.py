# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An app's log as people read it: what to ask journalctl for, and what to make of its answer.

The role log_rotation also installs this file as the command NAME-logs, so it imports nothing but the standard library.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

LINES = 100
FIELDS = "MESSAGE,PRIORITY,UNIT,SYSLOG_IDENTIFIER,_PID,_SYSTEMD_UNIT"
WORDS = {0: "EMERG", 1: "ALERT", 2: "CRIT", 3: "ERROR", 4: "WARN", 7: "debug"}
# The priorities are those that roles/gunicorn/files/graceful_logging.py gives.
# systemd's own words have the access log's.
ONLY = {
    "access": ["--priority=6..6", "_TRANSPORT=stdout"],
    "problems": ["--priority=warning"],
    "app": ["--priority=notice"],
}
# What would move the cursor or colour the terminal of whoever reads: a client may have brought it into the log.
CONTROL = {code: f"\\x{code:02x}" for code in (*range(9), *range(11, 32), *range(127, 160))}
# Line by the columns before the message, and by the message itself.
TOLD = frozenset({"timestamp", "level", "event", "message", "msg", "logger", "slot", "exception", "release"})
# By these two and nothing else lines of the log's plain form differ: its time, and an access line's last two words.
_WHEN = re.compile(r"^\d{4}-\d\d-\d\d[T ][\d:.,]+Z? |(?<= \d{3}) [\d.]+ \S+$")
_BEGINS = re.compile(
    r"[ |+]*(?:Exception Group )?Traceback \(most recent call last\):|"
    r"The above exception was the direct cause|During handling of the above exception"
)
MANY = 3
"""So often, and a line stands once."""

Run = Callable[[list[str]], tuple[int, str, str]]
"""Runs a command without a shell: exit status, standard output, standard error."""


class NotRead(Exception):
    """journalctl failed; the text is what it said."""


@dataclass(frozen=True)
class Query:
    """What somebody wants to read.

    :param lines: the last so many of them; 0 for all.
    :param since: a time as journalctl takes it, such as ``-1h`` or ``02:30``; empty for the beginning.
    :param request: only what has this text in it, such as a request's id.
    :param slot: ``blue``, ``green``, or empty for both.
    :param process: of this process or timer alone; empty for all.
    :param deploys: not the app's lines, but those of the deploys that pushes have started.
    :param only: ``access``, ``problems`` (warnings and worse), ``app`` (all but the access log), or empty for all.
    """

    lines: int = LINES
    since: str = ""
    until: str = ""
    request: str = ""
    slot: str = ""
    only: str = ""
    process: str = ""
    deploys: bool = False


def asked(lines: int | None, since: str, until: str, request: str, slot: str, only: str, **more: Any) -> Query:
    """The query for what somebody wrote. Who names a time or a request, and no number of lines, wants all of it."""
    count = lines if lines is not None else 0 if since or request else LINES
    return Query(count, since, until, request, slot, only, **more)


def journalctl(name: str, query: Query, follow: bool = False) -> list[str]:
    """The command whose answer has the lines; systemd's own words about the app's units are among them."""
    namespace = f"{name}-deploys" if query.deploys else name
    # What systemd says of a unit is in the host's own journal.
    command = ["journalctl", f"--namespace=+{namespace}", "--quiet", "--output=json", "--all"]
    command.append(f"--output-fields={FIELDS}")
    if query.deploys:
        # Of what else is in there, such as sudo's lines for each task, nobody is the wiser.
        command += [f"--unit={name}-deploys.service", "_TRANSPORT=stdout", "+", "_PID=1"]
        return command + _bounds(query, follow)
    slots = [query.slot] if query.slot else [] if query.process else ["blue", "green"]
    # Of the second, in which Oxmgr runs the slot, there is often none.
    command += [f"--unit={unit}@{slot}.service" for slot in slots for unit in (name, f"{name}-oxmgr")]
    # Of processes and timers: an app's name has no dot, so no other app's begins like this.
    command += [] if query.slot else [f"--unit={name}.{query.process}.*" if query.process else f"--unit={name}.*"]
    return command + ONLY.get(query.only, []) + _bounds(query, follow)


def _bounds(query: Query, follow: bool) -> list[str]:
    options = {"since": query.since, "until": query.until}
    command = [f"--{option}={value}" for option, value in options.items() if value]
    # --lines would count what comes before the search.
    command += [f"--lines={query.lines}"] if query.lines and not query.request else ["--no-tail"] if follow else []
    return command + (["--follow"] if follow else [])


def text_of(value: object) -> str:
    """A field's text; bytes that aren't UTF-8 come as numbers, and a field that is there twice as a list."""
    if isinstance(value, list):
        if all(isinstance(item, int) for item in value):
            return bytes(value).decode(errors="backslashreplace")
        return "\n".join(map(text_of, value))
    return value if isinstance(value, str) else ""


@dataclass(frozen=True)
class Line:
    """What a line of the log says.

    :param head: the message.
    :param rest: what else is in the line, as ``name=value``.
    :param below: what belongs on lines of its own, such as a traceback.
    """

    head: str
    rest: tuple[str, ...] = ()
    below: str = ""


def parse(message: str) -> Line:
    """Take a line apart; what isn't a JSON object stays as it is, and so does one that can't be told as text."""
    with contextlib.suppress(ArithmeticError, RecursionError):
        if record := object_in(message):
            return _line(record)
    return Line(message)


def object_in(text: str | bytes) -> dict[str, object]:
    """A JSON object; empty for what else an app may write, such as brackets by the thousand (RecursionError)."""
    with contextlib.suppress(ValueError, RecursionError):
        if isinstance(record := json.loads(text), dict):
            return record
    return {}


def _line(record: dict[str, object]) -> Line:
    if record.get("event") == "request" and {"method", "path", "status"} <= record.keys():
        seconds = record.get("seconds")
        rest = [f"{seconds:.3f}s"] if isinstance(seconds, (int, float)) else []
        rest += [f"{key}={record[key]}" for key in ("client", "request_id") if record.get(key)]
        return Line(f"{record['method']} {record['path']} {record['status']}", tuple(rest))
    head = str(record.get("message") or record.get("msg") or record.get("event") or "")
    trace = record.get("exception") or record.get("exc_info")
    # Of a line with both an event and a message, the event is told as well.
    second = {"event"} if record.get("event") and str(record["event"]) != head else set()
    rest = [f"{key}={value}" for key, value in record.items() if key not in TOLD - second]
    first, *more = head.strip().split("\n", 1)
    return Line(first, tuple(rest), "\n".join(filter(None, [*more, trace if isinstance(trace, str) else ""])))


def shown(entry: dict[str, object], raw: bool = False) -> str:
    """One line of the journal with time, slot, process, and how bad it is."""
    message = text_of(entry.get("MESSAGE"))
    if raw:
        return message
    seconds, micro = divmod(_number(entry, "__REALTIME_TIMESTAMP", 0), 1_000_000)
    when = f"{time.strftime('%m-%d %H:%M:%S', time.localtime(seconds))}.{micro // 1000:03d}"
    unit = text_of(entry.get("UNIT")) or text_of(entry.get("_SYSTEMD_UNIT"))
    # blue of shop@blue.service, and worker of shop.worker.4@1.service.
    first, _at, instance = unit.removesuffix(".service").partition("@")
    slot = first.split(".")[1] if "." in first else instance
    who = entry.get("_PID") if "UNIT" not in entry else "systemd"
    word = WORDS.get(_number(entry, "PRIORITY", 6), "")
    says = parse(message)
    line = " ".join(filter(None, [says.head, *says.rest])).translate(CONTROL).replace("\n", "\\n")
    below = [f"    {row}" for row in says.below.translate(CONTROL).split("\n")] if says.below else []
    return "\n".join([f"{when} {slot:5} {who!s:>7} {word:5} {line}", *below])


def _number(entry: dict[str, object], field: str, default: int) -> int:
    """A field's number: who may write to the journal's socket may give it any text, or the field twice."""
    return int(text) if re.fullmatch(r"[0-9]{1,16}", text := text_of(entry.get(field))) else default


def read(name: str, query: Query, follow: bool = False, raw: bool = False) -> Iterator[str]:
    """The lines as people read them, the oldest first.

    :raises NotRead: where journalctl refuses, such as a time that is none.
    """
    # What has been written already has to be there to be read.
    namespace = f"{name}-deploys" if query.deploys else name
    subprocess.run(["journalctl", f"--namespace={namespace}", "--sync"], capture_output=True, check=False)
    found = collections.deque[str](maxlen=query.lines) if query.request and query.lines and not follow else None
    command = journalctl(name, query, follow)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        for line in process.stdout or ():
            if query.request and query.request.encode() not in line:
                continue
            # Of an answer that journalctl couldn't finish, all that came is shown.
            text = shown(object_in(line) or {"MESSAGE": list(line.rstrip(b"\n"))}, raw)
            if found is None:
                yield text
            else:
                found.append(text)
        said = process.stderr.read().decode(errors="backslashreplace").strip() if process.stderr else ""
    # So it is told that no unit of a name has ever logged anything.
    if process.returncode and not (query.process and said.endswith("No data available")):
        raise NotRead(said or f"journalctl ended with {process.returncode}")
    yield from found or ()


def main(arguments: Sequence[str], name: str) -> int:
    parser = argparse.ArgumentParser(
        prog=f"{name}-logs",
        description=f"The log of {name}: what the app and its workers wrote, and what systemd did to them.",
        epilog="Times are journalctl's: -1h, 02:30, yesterday, '2026-11-25 02:30:00'. Needs root or group adm.",
        allow_abbrev=False,
    )
    parser.add_argument("-f", "--follow", action="store_true", help="go on as lines come")
    parser.add_argument("-n", "--lines", type=int, default=None, metavar="N", help=f"the last N; {LINES} by default")
    parser.add_argument("-r", "--request", default="", metavar="ID", help="only lines with this X-Request-ID")
    parser.add_argument("-s", "--slot", default="", choices=["blue", "green"], help="only this slot's")
    parser.add_argument(
        "-a", "--access", dest="only", action="store_const", const="access", help="the access log alone"
    )
    parser.add_argument(
        "-p", "--problems", dest="only", action="store_const", const="problems", help="warnings and worse"
    )
    parser.add_argument("-P", "--process", default="", metavar="NAME", help="only of this process or timer")
    parser.add_argument(
        "--deploys", action="store_true", help="what the deploys said that pushes have started, in place of the app"
    )
    parser.add_argument("--app", dest="only", action="store_const", const="app", help="all but the access log")
    parser.add_argument("--since", default="", metavar="TIME", help="from then on, all of it")
    parser.add_argument("--until", default="", metavar="TIME")
    parser.add_argument("--raw", action="store_true", help="the lines as they were written")
    # argparse takes the -1h of `--since -1h` for an option.
    text = re.sub(r"(^|\0)(--since|--until)\0", r"\1\2=", "\0".join(arguments))
    given = parser.parse_args(text.split("\0") if text else [])
    more = {"process": given.process, "deploys": given.deploys}
    query = asked(given.lines, given.since, given.until, given.request, given.slot, given.only or "", **more)
    # An app may write half a character, or one that the reader's terminal hasn't got.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        for text in read(name, query, given.follow, given.raw):
            print(text, flush=given.follow)
    except NotRead as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


def good_request(line: str) -> bool:
    """Whether a log line says no more than that a request was answered, or taken up: under load most of them do."""
    record = object_in(line)
    status = record.get("status") or 0  # The app's own lines may call anything one.
    return record.get("event") == "request" and isinstance(status, int) and status < 500


def readable(line: str) -> str:
    """A line for a failure's text: the message, then the traceback on lines of its own.

    Bytes that aren't UTF-8 are spelled out: Ansible refuses a result that has any, with all that it says. So are
    control characters, which a client may have brought into the log.
    """
    says = parse(line)
    text = "\n".join(filter(None, [says.head or line, says.below]))
    return text.encode(errors="backslashreplace").decode().translate(CONTROL)


def last_lines(run: Run, namespace: str, who: str, since: float, count: int = 30) -> str:
    """The last lines that a unit logged after ``since`` (seconds since the epoch), for a failure's text.

    :param who: the unit, or an identifier, which has no dot.
    """
    run(["journalctl", f"--namespace={namespace}", "--sync"])
    # With --since alone --lines counts from the beginning.
    command = ["journalctl", f"--namespace={namespace}", "--quiet", "--output=cat", "--no-pager", "--reverse"]
    command += [f"--since=@{int(since)}", f"--{'unit' if '.' in who else 'identifier'}={who}"]
    told = _told(run([*command, f"--lines={20 * count}"])[1])
    if len(told) > count:
        # A chatty app, such as one that logs its SQL, may have buried what went wrong.
        wrong = _told(run([*command, f"--lines={count}", "--priority=warning"])[1], good=True)
        buried = [text for text in wrong if text not in told[-count:]]
        told = [*buried, *told[-max(count // 2, count - len(buried)) :]][-count:]
    said: list[str] = []
    for text in told:
        # A release that can't be imported says so with a traceback for each worker.
        said.append(text.partition("\n")[0] + " (as above)" if "\n" in text and text in said else text)
    return "\n".join(said).strip()


def _told(out: str, good: bool = False) -> list[str]:
    """What journalctl has said, the newest first, as people read it, in its order.

    :param good: whether good requests are told as well.
    """
    lines = [line for line in out.split("\n") if line and (good or not good_request(line))]
    return folded([readable(line) for line in reversed(lines)])


def folded(texts: Sequence[str]) -> list[str]:
    """The lines, of which one that comes many times stands once, where it was last, with how often.

    Not those of a traceback in the log's plain form, nor others that are set in: each belongs to the one before it.
    """
    keys, inside = list[str](), False
    for text in texts:
        begins, part = bool(_BEGINS.match(text)), text[:1].isspace()
        keys.append("" if inside or begins or part or "\n" in text else _WHEN.sub("", text))
        inside = begins or (inside and part)  # what was raised ends it
    times, last = collections.Counter(keys), {key: number for number, key in enumerate(keys)}
    kept = []
    for number, (text, key) in enumerate(zip(texts, keys, strict=True)):
        if not key or times[key] < MANY:
            kept.append(text)
        elif last[key] == number:
            kept.append(f"{text} ({times[key]} times)")
    return kept


if __name__ == "__main__":
    # A pager that is closed, and Ctrl-C, end it without a word.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(main(sys.argv[1:], os.path.basename(sys.argv[0]).removesuffix("-logs")))
