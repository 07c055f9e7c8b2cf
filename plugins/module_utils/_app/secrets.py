# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which values of an app's environment and credentials are secrets, and what people read without them.

An app's exception may quote any of them. Nothing says which is one, so it is told by name and looks:

- A password in a URL, a value whose name ends in a word such as PASSWORD, SECRET, TOKEN or KEY, and each credential:
  hidden from six characters on, unless it is a path, a number of less than eight digits, or a name that
  another value or the URL has as well (user and password `postgres`). A mere word is hidden where it stands alone.
- Anything else: hidden from eight characters on where it looks drawn and not written, with letters and digits mixed as
  in a key; each such piece of a URL, a list or JSON by itself. So `production`, `eu-central-1`, `512M`,
  `shop.example.com` and `/srv/shop/shared` stay readable, in our own sentences too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, unquote

from .words import RELEASE_LINE

STARS = "***"
LEAST_NAMED, LEAST_DRAWN, LEAST_DIGITS, LEAST_CUT = 6, 8, 8, 4
"""Characters that a secret has at the least: by its name, by its looks, of digits alone, of one that was cut."""
_NAMED = r"(?:PASSWORD|PASSWD|PASSPHRASE|PASS|PWD|SECRET|TOKEN|KEY|CREDENTIAL|SALT|PEPPER|PIN|AUTH)S?"
_BY_NAME = re.compile(rf"{_NAMED}(?:_?(?:BASE|BASE64|B64|HEX|OLD|NEW|PREVIOUS|CURRENT|[0-9]+))?", re.I)
# "password": "x", or password=x.
_INSIDE = re.compile(rf"{_NAMED}[\"']?\s*[=:]\s*[\"']?([^\s\"',;&}}]+)", re.I)
_URL = re.compile(r"\w://(?:([^/\s@:]*)(?::((?:(?!\w+://)[^\n])*))?@)?([^\s/?#]*)([^\s\"',]*)")
_WORDS = re.compile(r"[^\s\"'`,;{}\[\]()<>=&?|]+")
_PATH = re.compile(r"(?:~|\.{1,2})?(?:/[\w.@+-]+)+/?")
_TOPS = ("bin", "data", "etc", "home", "lib", "media", "mnt", "opt", "root", "run", "srv", "tmp", "usr", "var")
_HOST = re.compile(r"(?:[a-z0-9._+-]+@)?[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,24}\.?(?::[0-9]+)?")


def drawn(word: str) -> bool:
    """Whether a word looks like a key: of characters that nobody chose to be read."""
    if len(word) < LEAST_DRAWN or _HOST.fullmatch(word):
        return False
    if len(set(re.findall(r"[!#$%^*+~]", word))) > 1:
        return True
    return any(map(_mixed, re.findall(r"[A-Za-z0-9]+", word)))


def _mixed(run: str) -> bool:
    if len(run) < 6 or run.isdigit():
        return False
    letters = run.isalpha()
    # node18, 512M, 30min
    if not letters and not re.fullmatch(r"[A-Za-z]+[0-9]{1,4}|[0-9]+[A-Za-z]{1,3}", run):
        return True
    # CamelCase has words in it.
    parts = re.findall(r"[A-Z]?[a-z]+|[A-Z]+", run)
    return len(run) >= 24 or (letters and len(run) >= 8 and len(run) / len(parts) < 2.6)


def _is_path(value: str) -> bool:
    tops = value.lstrip("~.").split("/")
    return bool(_PATH.fullmatch(value)) and (value[0] != "/" or tops[1] in _TOPS or not drawn(value))


def _named(value: str) -> set[str]:
    """What is hidden of a value whose name says that it is a secret."""
    plain = _is_path(value) or (value.isdigit() and len(value) < LEAST_DIGITS)
    return {value} if len(value) >= LEAST_NAMED and not plain else set()


def _pieces(value: str) -> set[str]:
    """What is hidden of a value by its looks."""
    found: set[str] = set()
    for user, password, host, rest in _URL.findall(value):
        words = _WORDS.findall(re.sub(r"[/#]", " ", rest))
        found |= {word for word in (user, *words) if drawn(word)}
        if password not in (user, host.partition(":")[0], host.partition(".")[0], rest.strip("/").partition("?")[0]):
            found |= {each for text in (password, unquote(password)) for each in _named(text)}
    others = _WORDS.findall(_URL.sub(" ", value))
    if "://" not in value and not re.search(r"\s", value):
        others.append(value)
    found |= {word for word in others if drawn(word) and not _is_path(word)}
    return found | {each for word in _INSIDE.findall(value) for each in _named(word)}


def assignments(environment: str) -> dict[str, str]:
    """An environment file of ours (env_file.py), value by name."""
    rows = (line.partition("=") for line in environment.split("\n") if not line.startswith(RELEASE_LINE))
    return {name: re.sub(r"\\(.)", r"\1", value[1:-1]) for name, _sign, value in rows if value}


def secrets_in(environment: str, credentials: Mapping[str, str]) -> set[str]:
    """The secrets of one slot.

    :param environment: text of its environment file.
    :param credentials: text by name.
    """
    values = assignments(environment)
    named = {name: value for name, value in values.items() if re.search(rf"(?:{_BY_NAME.pattern})$", name, re.I)}
    others = {value for name, value in values.items() if name not in named}
    found: set[str] = set()
    for value in [*values.values(), *credentials.values()]:
        found |= _pieces(value)
    for value in [*named.values(), *(text.strip() for text in credentials.values())]:
        if value not in others and "://" not in value:
            found |= _named(value)
    return found


SHOWN = 100
"""Characters of a cut secret's end that are looked for."""


class Hider:
    """Takes secrets out of text.

    :param secrets: each at least LEAST_CUT characters long.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        spelled = {form for secret in secrets for form in _forms(secret)}
        longest_first = sorted(spelled, key=len, reverse=True)
        self._whole = re.compile("|".join(map(_pattern, longest_first))) if spelled else None
        # Starts, and ends from behind.
        self._starts = {secret[:SHOWN] for secret in spelled}
        self._ends = {secret[::-1][:SHOWN] for secret in spelled}

    def __call__(self, text: str) -> str:
        # Also of a URL that isn't the environment's.
        text = re.sub(r"(?<=://)[^/\s@:]*:[^/\s@]*@", f"{STARS}@", text)
        if self._whole:
            text = self._cut(self._whole.sub(STARS, text))
        return text

    def _cut(self, text: str) -> str:
        """Without what is left of a secret beside an ellipsis: pydantic shows the two ends of a long value."""
        before, *rest = re.split(r"(\.\.\.|…)", text)
        for sign, after in zip(rest[::2], rest[1::2], strict=True):
            if n := _begun(before[-SHOWN:], self._starts):
                before = before[:-n] + STARS
            if n := _begun(after[:SHOWN][::-1], self._ends):
                after = STARS + after[n:]
            before += sign + after
        return before


def _begun(text: str, secrets: set[str]) -> int:
    """How many characters at the end of a text begin one of the secrets; 0 for less than LEAST_CUT."""
    some = [secret for secret in secrets if secret[:LEAST_CUT] in text]
    lengths = (n for s in some for n in range(LEAST_CUT, min(len(s), len(text)) + 1) if text.endswith(s[:n]))
    return max(lengths, default=0)


def _forms(secret: str) -> set[str]:
    """How programs may spell it: as it is, in JSON, as Python's repr(), in a URL."""
    spelled = {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1]}
    return spelled | {quote(secret, safe=safe, errors="replace") for safe in ("", "/")}


def _pattern(secret: str) -> str:
    if not secret.isalnum() or (drawn(secret) and len(secret) >= LEAST_DRAWN):
        return re.escape(secret)
    # A word of the language, perhaps. What stands before it may be an escaped newline.
    return rf"(?:(?<![A-Za-z0-9_])|(?<=\\[nrt])){re.escape(secret)}(?![A-Za-z0-9_])"
