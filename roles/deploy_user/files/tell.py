# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tells of a deploy's outcome whom fastapi_notify names: an event (JSON) on standard input, and what came of it on
standard output, as JSON with ``told``, ``not_told`` and ``nobody``, which says why nobody was to be told.

    python3 -BEsS /srv/shop/commands/tell.py <event.json

The targets are in the file ``notify`` beside this one, the app is in the directory above. All targets are told at once,
and within LIMIT: whatever a target does, it neither fails nor holds up who deploys.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, unquote, urlsplit

LIMIT = 4.0
"""Seconds for all targets, so that with the start of this program, on a busy host, it is less than five."""
HARD_LIMIT = 8
"""Seconds after which the kernel ends this program, whatever it waits for."""
MOST_EVENT, MOST_REASON, MOST_WORD = 64 * 1024, 500, 100
"""Bytes of an event, characters of its reason, and of what else is text in it."""
MOST_ANSWER = 300
"""Bytes that are read of an answer."""
KEPT = 50
"""So many of the last events are remembered, for those that are told once."""
LEAST = 6
"""Characters from which on a value of the environment is hidden."""
WORDS = {
    "live": "live",
    "failed": "failed",
    "moved_back": "moved back",
    "rolled_back": "rolled back",
    "cut_off": "cut off",
    "proved": "what clients noticed",
}
"""The events, as a person reads them."""
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SENDMAIL = "/usr/sbin/sendmail"
RELEASE_LINE = "FASTAPI_RELEASE="
Target = dict[str, Any]
Message = dict[str, Any]
Tell = Callable[[Target, Message], str]
"""Tells a target; returns why that failed, '' where it didn't."""


class Refused(Exception):
    """What is wrong with an event, in a sentence."""


class Silent(Exception):
    """Why an event isn't told, in a sentence."""


# What there is to hide.


def read_text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except (OSError, ValueError):
        return ""


def names_below(directory: str) -> list[str]:
    """The paths of what is in a directory."""
    try:
        return sorted(os.path.join(directory, name) for name in os.listdir(directory))
    except OSError:
        return []


def assignments(environment: str) -> dict[str, str]:
    """An environment file of ours, value by name."""
    rows = (line.partition("=") for line in environment.split("\n") if not line.startswith(RELEASE_LINE))
    return {name: re.sub(r"\\(.)", r"\1", value[1:-1]) for name, _sign, value in rows if value}


def secrets_of(root: str) -> dict[str, str]:
    """Everything that the app has in its environments and credentials, by the text: the variable that has it."""
    found: dict[str, str] = {}

    def add(name: str, value: str) -> None:
        # Of a key that has several lines each is one.
        for part in (value, *value.splitlines()):
            found.setdefault(part.strip(), name)
        for password in re.findall(r"//[^/\s@:]*:([^\s]*)@", value):
            for part in (password, unquote(password)):
                found.setdefault(part, name)

    # A slot that is set aside has a dot before its name.
    slots = [path for kind in ("slots", "generations") for path in names_below(f"{root}/{kind}")]
    environments = [path for slot in slots for path in names_below(slot) if os.path.basename(path).startswith("env")]
    for place in (f"{root}/environment", *environments):
        for name, value in assignments(read_text(place)).items():
            add(name, value)
    for kept in (path for slot in slots for path in names_below(f"{slot}/credentials")):
        add(os.path.basename(kept), read_text(kept))
    return found


def secrets_in(target: Target) -> dict[str, str]:
    """What a target's own description has of secrets: the path and query of an address, and headers."""
    found = {}
    for address in filter(None, (target.get("url"), target.get("slack"))):
        found[address] = "address"
        parts = urlsplit(address)
        # Of its words those that look drawn: "services" may stand in any sentence.
        words = [
            word
            for word in re.split("[/?&=]", f"{parts.path}?{parts.query}")
            if len(word) > 15 or re.search("[0-9]", word)
        ]
        found |= dict.fromkeys((parts.path, parts.query, *words), "address")
    for name, value in (target.get("headers") or {}).items():
        found |= dict.fromkeys((value, *value.split()[1:]), name)
    return found


def forms(secret: str) -> set[str]:
    """How programs may spell it: as it is, in JSON, as Python's repr(), in a URL."""
    spelled = {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1]}
    return spelled | {quote(secret, safe=safe, errors="replace") for safe in ("", "/")}


class Scrub:
    """Takes secrets out of text: each becomes the name of its variable in brackets.

    :param secrets: the variable by the text.
    """

    def __init__(self, secrets: dict[str, str]) -> None:
        self.names: dict[str, str] = {}
        for secret, name in secrets.items():
            if len(secret) >= LEAST:
                for form in forms(secret):
                    self.names.setdefault(form, name)
        longest_first = sorted(self.names, key=len, reverse=True)
        self.any = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def __call__(self, text: str) -> str:
        # In one go: what stands beside a name in brackets is looked at once, and the name never.
        if self.any:
            text = self.any.sub(lambda found: f"[{self.names[found[0]]}]", text)
        return re.sub(r"//[^/\s@:]*:[^\s]*@", "//[hidden]@", text)


def one_line(value: object, most: int) -> str:
    """The first line of a text, without what a terminal or a chat would take for an order."""
    line = str(value).strip().partition("\n")[0]
    line = "".join(char if char.isprintable() else " " for char in line).strip()
    return line if len(line) <= most else f"{line[: most - 1]}…"


# What is told.


def commit_of(root: str, release: str | None) -> str | None:
    """The commit that a release was made of; None where its source isn't git, or nobody knows."""
    if not release or "/" in release:
        return None
    found = ""
    with contextlib.suppress(ValueError, AttributeError, TypeError, RecursionError):
        found = json.loads(read_text(f"{root}/releases/{release}/release.json"))["source"].get("revision", "")
    # It may be pruned by now.
    for line in [] if found else read_text(f"{root}/history.jsonl").splitlines():
        with contextlib.suppress(ValueError, AttributeError, RecursionError):
            entry = json.loads(line)
            found = (entry.get("release") == release and entry.get("revision")) or found
    return found if isinstance(found, str) and found else None


def live_release(root: str) -> str:
    """The release that has the traffic; empty where none has."""
    try:
        slot = os.path.basename(os.readlink(f"{root}/live.sock")).removesuffix(".sock")
        return os.path.basename(os.readlink(f"{root}/slots/{slot}/release").rstrip("/"))
    except OSError:
        return ""


def message_of(event: dict[str, Any], known: dict[str, Any], root: str, scrub: Callable[[str], str]) -> Message:
    """What every target gets.

    :param event: as it was given.
    :param known: what the targets' file says of the app and the host.
    :raises Refused: for an event that there isn't.
    """
    if event.get("event") not in WORDS:
        raise Refused(f"event is {event.get('event')!r}, and has to be one of {', '.join(WORDS)}.")
    words = {name: one_line(event.get(name) or "", MOST_WORD) or None for name in ("release", "previous")}
    if event["event"] == "failed":
        # What served before serves.
        words["previous"] = words["previous"] or live_release(root) or None
    numbers = {
        name: event[name] if isinstance(event.get(name), (int, float)) and event[name] is not True else None
        for name in ("seconds", "lost", "sent")
    }
    message = {
        "event": event["event"],
        "app": known["app"],
        "host": known["host"],
        "by": one_line(scrub(str(event.get("by") or "")), MOST_WORD) or None,
        **words,
        "commit": one_line(event.get("commit") or "", MOST_WORD) or commit_of(root, words["release"]),
        "previous_commit": commit_of(root, words["previous"]),
        **numbers,
        "reason": one_line(scrub(str(event.get("reason") or "")), MOST_REASON) or None,
        "at": one_line(event.get("at") or time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), MOST_WORD),
    }
    return {**message, "text": text_of(message)}


def text_of(message: Message) -> str:
    """One readable line."""
    seconds, lost = message["seconds"], message["lost"]
    took = f" after {seconds:.0f} s" if seconds is not None and seconds >= 10 else ""
    took = took or (f" after {seconds:.1f} s" if seconds is not None else "")
    said = f"{message['app']} on {message['host']}: {WORDS[message['event']]}{took}"
    both = message["commit"] and (message["previous_commit"] or not message["previous"])
    new = message["commit"][:7] if both else message["release"]
    old = (message["previous_commit"] or "")[:7] if both else message["previous"]
    if new and message["release"] == message["previous"]:
        said += f", {new} with other settings"
    elif new:
        said += f", {old} → {new}" if old else f", {new}"
    of = f" of {message['sent']:,.0f}" if message["sent"] is not None else ""
    said += f", {lost:,.0f}{of} requests lost" if lost is not None else ""
    said += f": {message['reason']}" if message["reason"] else ""
    return said + (f" (by {message['by']})" if message["by"] else "")


# What is told once.


def note(path: str, event: dict[str, Any], message: Message) -> None:
    """Remember an event.

    :param path: where.
    :raises Silent: where it has been told already. A disk that is full is no reason to tell nobody.
    """
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "r+", encoding="utf-8", errors="replace") as file:
            # Held for a moment by two runs at once; whoever is later finds what the first has noted.
            fcntl.flock(file, fcntl.LOCK_EX)
            try:
                told = [row for row in json.loads(file.read(MOST_EVENT)) if isinstance(row, dict)]
            except (ValueError, TypeError, RecursionError):
                told = []
            key, since = event.get("key"), event.get("unless_told_since")
            if key and key in [row.get("key") for row in told]:
                raise Silent("This was told before.")
            mine = [str(row.get("at")) for row in told if row.get("by") == message["by"] and row.get("key") is None]
            if since and any(at >= str(since) for at in mine):
                raise Silent(f"An outcome by {message['by']} was told since {since}.")
            told.append({"key": key, "by": message["by"], "event": message["event"], "at": message["at"]})
            file.seek(0)
            file.write(json.dumps(told[-KEPT:]) + "\n")
            file.truncate()


# How each kind of target is told.


def name_of(target: Target) -> str:
    """A target as a person knows it, without what is secret of it."""
    for kind in ("url", "slack"):
        if kind in target:
            return f"{kind} at {urlsplit(target[kind]).netloc.rpartition('@')[2]}"
    if "mail" in target:
        return f"mail to {', '.join(target['mail'])}"
    return f"command {target['command'][0]}"


def why(error: BaseException) -> str:
    """A failure of the network in a few words, none of which is the address's."""
    import socket
    import ssl
    from urllib.error import URLError

    if isinstance(error, URLError) and isinstance(error.reason, BaseException):
        error = error.reason
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate can't be trusted: {error.verify_message}"
    if isinstance(error, socket.gaierror):
        return "its name can't be resolved"
    if isinstance(error, TimeoutError):
        return f"no answer within {LIMIT:g} s"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return type(error).__name__


def post(address: str, data: bytes, headers: dict[str, str]) -> str:
    """POST once. No redirect is followed: it would carry the message, and a secret, to somebody else."""
    import ssl
    from http.client import HTTPException
    from urllib import request
    from urllib.error import HTTPError

    class NoRedirect(request.HTTPRedirectHandler):
        def redirect_request(self, *_arguments: Any) -> None:
            return None

    host = urlsplit(address).hostname or ""
    # A proxy of the environment's is for what lies beyond this host.
    here = [request.ProxyHandler({})] if is_loopback(host) else []
    opener = request.build_opener(NoRedirect, request.HTTPSHandler(context=ssl.create_default_context()), *here)
    standard = {"Content-Type": "application/json", "User-Agent": "graceful.deploy"}
    try:
        asked = request.Request(address, data, {**standard, **headers}, method="POST")
        with opener.open(asked, timeout=LIMIT) as answer:
            answer.read(MOST_ANSWER)
            return ""
    except HTTPError as error:
        said = ""
        with contextlib.suppress(Exception):
            said = one_line(error.read(MOST_ANSWER).decode(errors="replace"), MOST_WORD)
        moved = ", a redirect, and none is followed" if 300 <= error.code < 400 else ""
        return f"it answers {error.code}{moved}" + (f": {said}" if said and not moved else "")
    except (OSError, HTTPException, ValueError) as error:
        return why(error)


def is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")


def url(target: Target, message: Message) -> str:
    return post(target["url"], json.dumps(message).encode(), target.get("headers") or {})


def slack(target: Target, message: Message) -> str:
    """As Slack and Mattermost read text: these three characters begin links and calls to everybody."""
    text = message["text"].replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"@(?=(?:channel|all|here|everyone)\b)", "@\u200b", text)
    return post(target["slack"], json.dumps({"text": text}).encode(), {})


running: list[subprocess.Popen[bytes]] = []


def run(words: list[str], data: bytes, environment: dict[str, str], user: str = "") -> str:
    """Run a program, without a shell, with ``data`` as its input; it is ended with its children at LIMIT."""
    import pwd

    options: dict[str, Any] = {}
    if user and os.geteuid() == 0:
        account = pwd.getpwnam(user)
        groups = os.getgrouplist(user, account.pw_gid)
        options = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": groups}
    everywhere = {"PATH": PATH, "LANG": "C.UTF-8", "HOME": "/"}
    try:
        process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            env={**everywhere, **environment},
            start_new_session=True,
            **options,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"it can't be started: {getattr(error, 'strerror', '') or type(error).__name__}"
    running.append(process)
    said = process.communicate(data)[0]
    if process.returncode:
        last = one_line(said.decode(errors="replace").strip().rpartition("\n")[2], MOST_WORD)
        return f"it ended with status {process.returncode}" + (f": {last}" if last else "")
    return ""


def mail(target: Target, message: Message) -> str:
    from email.message import EmailMessage

    letter = EmailMessage()
    letter["Subject"] = one_line(message["text"], 150)
    letter["To"] = ", ".join(target["mail"])
    letter["Auto-Submitted"] = "auto-generated"
    rows = [f"{name}: {value}" for name, value in message.items() if value is not None and name != "text"]
    letter.set_content("\n".join([message["text"], "", *rows, ""]))
    return run([SENDMAIL, "-i", "--", *target["mail"]], bytes(letter), {})


def command(target: Target, message: Message) -> str:
    told = {"FASTAPI_EVENT": message["event"], "FASTAPI_EVENT_TEXT": message["text"], "FASTAPI_NAME": message["app"]}
    return run(target["command"], json.dumps(message).encode() + b"\n", told, target.get("user") or "nobody")


KINDS: dict[str, Tell] = {"url": url, "slack": slack, "mail": mail, "command": command}


def tell(targets: list[Target], message: Message, end: float) -> list[str]:
    """Tell all targets at once; why each failed, '' where it didn't.

    :param end: on the monotonic clock. A name that isn't resolved can't be given up any sooner than its resolver does,
        so who hasn't answered by then is left behind with this process.
    """
    answers = [f"no answer within {LIMIT:g} s"] * len(targets)

    def one(number: int, target: Target) -> None:
        kind = next(kind for kind in KINDS if kind in target)
        try:
            answers[number] = KINDS[kind](target, message)
        except Exception as error:
            answers[number] = f"an error that nobody thought of ({type(error).__name__})"

    threads = [threading.Thread(target=one, args=row, daemon=True) for row in enumerate(targets)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    told = list(answers)
    for process in running:
        if process.poll() is None:
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
    return told


def answer(here: str, text: str, end: float) -> dict[str, Any]:
    """Tell of one event.

    :param here: the directory of this program and of the targets' file.
    :raises Refused: where that can't be read.
    """
    result: dict[str, Any] = {"told": [], "not_told": [], "nobody": ""}
    given = read_text(f"{here}/notify")
    if not given:
        return {**result, "nobody": "No targets are set: fastapi_notify is empty."}
    known = json.loads(given)
    try:
        event = json.loads(text)
    except (ValueError, RecursionError):
        event = None
    if not isinstance(event, dict):
        raise Refused("The event isn't a JSON object.")
    root = os.path.dirname(here)
    secrets = secrets_of(root)
    for target in known["targets"]:
        secrets = {**secrets_in(target), **secrets}
    scrub = Scrub(secrets)
    message = message_of(event, known, root, scrub)
    targets = [each for each in known["targets"] if message["event"] in (each.get("on") or WORDS)]
    if event.get("check"):
        return {**result, "told": [name_of(each) for each in targets], "text": message["text"]}
    try:
        note(f"{here}/told", event, message)
    except Silent as reason:
        return {**result, "nobody": str(reason)}
    result["text"] = message["text"]
    for target, failure in zip(targets, tell(targets, message, end), strict=True):
        if failure:
            result["not_told"].append({"target": name_of(target), "why": scrub(failure)})
        else:
            result["told"].append(name_of(target))
    return result


def main() -> int:
    end = time.monotonic() + LIMIT
    signal.alarm(HARD_LIMIT)
    try:
        given = sys.stdin.buffer.read(MOST_EVENT).decode(errors="replace")
        said = answer(os.path.dirname(os.path.abspath(__file__)), given, end)
    except Refused as problem:
        print(problem, file=sys.stderr, flush=True)
        return 2
    print(json.dumps(said), flush=True)
    return 0


if __name__ == "__main__":
    # Without waiting for threads that still wait for somebody.
    os._exit(main())
