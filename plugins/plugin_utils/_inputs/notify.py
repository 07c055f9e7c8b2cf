# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who is told of a deploy, and by whom it is: the rules for fastapi_notify and fastapi_deployer. Pure.

An address is a secret as a whole, so no value of fastapi_notify is ever shown.
"""

from __future__ import annotations

import difflib
import json
import re
import shlex
import typing as t
from urllib.parse import urlsplit

from ...module_utils._app.problems import HIDDEN, Problem, show, write
from ...module_utils._preflight.notify import digest

EVENTS = ("live", "failed", "moved_back", "rolled_back", "cut_off", "proved")
KINDS = ("url", "slack", "mail", "command")
KEYS = {"url": ("headers",), "command": ("user",)}
"""What a target may have beside its kind and ``on``."""
SAMPLES = {
    "url": "url: https://ci.example.org/deploys",
    "slack": "slack: 'https://hooks.slack.com/services/...'",
    "mail": "mail: ops@example.org",
    "command": "command: /usr/local/bin/told",
}
SYNONYMS = {
    **dict.fromkeys(("uri", "webhook", "http", "https", "endpoint", "post"), "url"),
    **dict.fromkeys(("mattermost", "slack_url", "slack_webhook", "rocketchat", "discord", "teams"), "slack"),
    **dict.fromkeys(("email", "e_mail", "to", "mailto", "address", "recipients"), "mail"),
    **dict.fromkeys(("cmd", "exec", "run", "program", "script"), "command"),
    **dict.fromkeys(("events", "when", "only", "event"), "on"),
    **dict.fromkeys(("header", "http_headers"), "headers"),
    **dict.fromkeys(("run_as", "as", "username"), "user"),
}
MOST_TARGETS, LONGEST_DEPLOYER = 20, 100
_LOOPBACK = ("localhost", "::1")


class _Wrong(Exception):
    """What is wrong with a target, and what to write."""

    def __init__(self, wrong: str, advice: str) -> None:
        super().__init__(wrong)
        self.wrong = wrong
        self.advice = advice


def plainly(value: t.Any) -> t.Any:
    """The list as it is meant: from -e it is text, as in ``-e fastapi_notify=[]``."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _keyed(target: dict[t.Any, t.Any]) -> dict[t.Any, t.Any]:
    """YAML takes ``on`` without quotes for true, in the place of a key, too."""
    return {"on" if key is True else key: value for key, value in target.items()}


def targets(variable: str, value: t.Any) -> Problem | None:
    """The rule for the whole list."""
    value = plainly(value)
    sample = write(variable, f"[{{{SAMPLES['slack']}}}]")
    if not isinstance(value, list):
        return Problem(variable, HIDDEN, "it has to be a list of targets.", sample)
    if len(value) > MOST_TARGETS:
        wrong = f"it has {len(value)} targets, and all are told at once, so {MOST_TARGETS} are the most."
        return Problem(variable, HIDDEN, wrong, "Let one of them tell the others.")
    for number, target in enumerate(value, start=1):
        try:
            _normal(target)
        except _Wrong as problem:
            return Problem(variable, HIDDEN, f"target {number} {problem.wrong}", problem.advice)
    return None


def _normal(target: t.Any) -> dict[str, t.Any]:
    """A target as the host's program reads it.

    :raises _Wrong: where it is none.
    """
    if not isinstance(target, dict):
        raise _Wrong("isn't a mapping.", f"Write it as in {{{SAMPLES['url']}}}.")
    target = _keyed(target)
    kinds = [kind for kind in KINDS if kind in target]
    known = [*(kinds or KINDS), *(key for kind in kinds for key in KEYS.get(kind, ())), "on"]
    for key in target:
        if key not in known:
            raise _Wrong(f"has {show(key)}, and there {_only(known)}.", _meant(key, known, target))
    if len(kinds) != 1:
        has = f"has {' and '.join(kinds)}" if kinds else "has none of them"
        raise _Wrong(f"{has}, and takes exactly one of {', '.join(KINDS)}.", "Make a target of each.")
    kind = kinds[0]
    found = {kind: _RULES[kind](target[kind])}
    if "headers" in target:
        found["headers"] = _headers(target["headers"])
    if kind == "command":
        found["user"] = _user(target.get("user", "nobody"))
    if "on" in target:
        found["on"] = _events(target["on"])
    return found


def _only(known: list[str]) -> str:
    return f"{'are' if len(known) > 1 else 'is'} only {', '.join(known)}"


def _meant(key: object, known: list[str], target: dict[t.Any, t.Any]) -> str:
    folded = str(key).lower().replace("-", "_")
    near = [SYNONYMS.get(folded, folded), *difflib.get_close_matches(folded, known, 1, 0.6)]
    meant = next((word for word in near if word in known and word not in target), "")
    if not meant and near[0] in ("headers", "user"):
        return f"Take it out: that is for {'url' if near[0] == 'headers' else 'command'}."
    return f"Write {meant} for it." if meant else "Take it out."


def _text(kind: str, value: t.Any) -> str:
    if not isinstance(value, str) or not value:
        raise _Wrong(f"has a {kind} that isn't text, or is empty.", f"Write it as in {SAMPLES[kind]}.")
    if not value.isprintable():
        raise _Wrong(f"has a {kind} with a newline, a tab or the like in it.", "Write it on one line.")
    return value


def _address(kind: str, value: t.Any) -> str:
    address = _text(kind, value)
    example = f"Write the whole address, as in {SAMPLES[kind]}."
    try:
        parts = urlsplit(address)
        host, _port = parts.hostname or "", parts.port
    except ValueError:
        raise _Wrong(f"has a {kind} that is no address.", example) from None
    if not re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", address):
        raise _Wrong(f"has a {kind} without a scheme.", example)
    if parts.scheme not in ("https", "http") or not host or re.search(r"[\s\\]", address) or not address.isascii():
        raise _Wrong(f"has a {kind} that isn't an address with https, in ASCII and without blanks.", example)
    if parts.scheme == "http" and host not in _LOOPBACK and not host.startswith("127."):
        wrong = f"has a {kind} with http: who is on the way could read it, and post in your name from then on."
        advice = "Write https. With http only the host itself is told (127.0.0.1, localhost), such as a relay on it."
        raise _Wrong(wrong, advice)
    if "@" in parts.netloc:
        advice = "Write headers: {Authorization: 'Basic ...'} beside it."
        raise _Wrong(f"has a {kind} with a user or a password before the host, which isn't sent.", advice)
    return address


def _url(value: t.Any) -> str:
    return _address("url", value)


def _slack(value: t.Any) -> str:
    return _address("slack", value)


def _headers(value: t.Any) -> dict[str, str]:
    example = "Write them as in headers: {Authorization: 'Bearer {{ vault_token }}'}."
    if not isinstance(value, dict):
        raise _Wrong("has headers that aren't a mapping of names to texts.", example)
    for name, text in value.items():
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_|~-]{1,100}", name):
            raise _Wrong("has a header whose name can't be one.", example)
        if not isinstance(text, str) or not re.fullmatch(r"[ -~\xa0-\xff]+", text):
            raise _Wrong(f"has a header {name} that isn't text on one line.", example)
    return dict(value)


def _mail(value: t.Any) -> list[str]:
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not found:
        raise _Wrong("has a mail that is no address and no list of them.", f"Write it as in {SAMPLES['mail']}.")
    for address in found:
        # A name alone is a user of the host's. None may look like an option of sendmail's.
        if not isinstance(address, str) or not re.fullmatch(
            r"[A-Za-z0-9_][\w.+%-]*(@[A-Za-z0-9][A-Za-z0-9.-]*)?", address, re.A
        ):
            raise _Wrong("has a mail with something else than plain addresses.", f"Write it as in {SAMPLES['mail']}.")
    return [str(address) for address in found]


def _command(value: t.Any) -> list[str]:
    example = f"Write it as in {SAMPLES['command']}, or as a list of words."
    words = value
    if isinstance(value, str):
        _text("command", value)
        try:
            words = shlex.split(value)
        except ValueError:
            raise _Wrong("has a command in which a quote doesn't close.", example) from None
        if found := re.search(r"[;&|<>`]|\$[({A-Za-z_]", re.sub(r"'[^']*'|\"[^\"]*\"", "", value)):
            wrong = f"has a command with {show(found[0])} outside of quotes, and no shell reads it."
            raise _Wrong(wrong, "Put it into a script, or quote what stands for itself.")
    if (
        not isinstance(words, list)
        or not words
        or not all(isinstance(word, str) and "\0" not in word for word in words)
    ):
        raise _Wrong("has a command that is neither text nor a list of texts.", example)
    if not words[0] or ("/" in words[0] and not words[0].startswith("/")):
        raise _Wrong("has a command that doesn't begin with a program's name or absolute path.", example)
    return [str(word) for word in words]


def _user(value: t.Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[a-z_][a-z0-9_-]{0,31}", value):
        raise _Wrong("has a user that is no name of one.", "Write the name, or take it out for nobody.")
    return value


def _events(value: t.Any) -> list[str]:
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not found:
        raise _Wrong("has an on that is no list of events.", f"Write some of [{', '.join(EVENTS)}], or take it out.")
    for event in found:
        if event not in EVENTS:
            near = difflib.get_close_matches(str(event).lower().replace("-", "_").replace(" ", "_"), EVENTS, 1, 0.5)
            wrong = f"has {show(event)} in on, and there are only {', '.join(EVENTS)}."
            raise _Wrong(wrong, f"Write {near[0]} for it." if near else "Take it out.")
    return [event for event in EVENTS if event in found]


_RULES: dict[str, t.Callable[[t.Any], t.Any]] = {"url": _url, "slack": _slack, "mail": _mail, "command": _command}


def deployer(variable: str, value: t.Any) -> Problem | None:
    """Who deploys: it goes into a line of each message, of the history and of the lock."""
    if isinstance(value, str) and value.isprintable() and len(value) <= LONGEST_DEPLOYER:
        return None
    wrong = f"it has to be text on one line, of {LONGEST_DEPLOYER} characters at most."
    near = " ".join(value.split())[:LONGEST_DEPLOYER] if isinstance(value, str) else ""
    return Problem(
        variable, value, wrong, write(variable, f"'{near}'" if near.isprintable() and near else "'push 17 by alice'")
    )


def render(value: t.Any, name: str, host: str) -> str:
    """The host's file of targets; empty where there are none. It holds secrets.

    :param name: the app's.
    :param host: what the inventory calls the host, as messages do.
    :raises ValueError: for what targets() refuses.
    """
    value = plainly(value)
    if problem := targets("notify", value):
        raise ValueError(problem.sentence)
    found = [_normal(target) for target in value]
    return json.dumps({"app": name, "host": host, "targets": found}, indent=1, sort_keys=True) + "\n" if found else ""


def for_host(value: t.Any, name: str, host: str) -> dict[str, t.Any]:
    """What the host is asked about before anything changes; no address and nothing else of a target is in it."""
    found = [_normal(target) for target in plainly(value)]
    commands = [
        {"program": words[0], "paths": [word for word in words[1:] if word.startswith("/")], "user": target["user"]}
        for target in found
        if (words := target.get("command"))
    ]
    addresses = [target.get(kind, "") for target in found for kind in ("url", "slack")]
    return {
        "digest": digest(render(value, name, host)),
        "mail": any("mail" in target for target in found),
        "https": any(address.startswith("https:") for address in addresses),
        "commands": commands,
    }
