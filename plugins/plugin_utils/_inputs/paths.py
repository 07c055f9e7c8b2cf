# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which requests of an app's a person wants asked: ``-e paths=...`` of ``tune``, ``prove`` and others. Pure.

As text ``/``, ``/items/1`` or ``POST /items {"name": "a"}``, several of them with commas between; or a list of these
and of mappings with ``path``, ``method``, ``body``, ``content_type`` and ``share``.
"""

from __future__ import annotations

import json
import re
import typing as t
from dataclasses import dataclass

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
KEYS = ("path", "method", "body", "content_type", "share")
MOST, LONGEST_PATH, LONGEST_BODY, LARGEST_SHARE = 20, 2000, 64 << 10, 1000
_PATH = re.compile(r"/[!#-;=?-\[\]_a-z~%^|]*", re.ASCII)
_NEXT = re.compile(rf",\s*(?=(?:(?:{'|'.join(METHODS)})\s+)?/)")
_TYPE = re.compile(r"[A-Za-z0-9.+/_-]+(; ?[A-Za-z0-9=._-]+)?", re.ASCII)
_LINE = re.compile(rf"(?:(?P<method>{'|'.join(METHODS)})\s+)?(?P<path>/\S*)(?:\s+(?P<body>\S.*))?", re.DOTALL)


class PathsError(Exception):
    """What is wrong with the paths, and what to write; a sentence or two for the user."""


@dataclass(frozen=True)
class Asked:
    """One kind of request.

    :param share: how many of these go out for each of another with 1; 1 to 1000.
    """

    path: str
    method: str = "GET"
    body: str = ""
    content_type: str = ""
    share: int = 1

    def __str__(self) -> str:
        return self.path if self.method == "GET" else f"{self.method} {self.path}"


def read(value: t.Any) -> list[Asked]:
    """
    :raises PathsError: it isn't what can be asked, with which one and what to write.
    """
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise PathsError(f"paths isn't a list in JSON: {error}. Write: -e paths=/,/items/1") from None
    if isinstance(value, str):
        value = list(_parts(value.strip()))
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list) or not value:
        raise PathsError("paths names no path to ask. Write: -e paths=/,/items/1")
    if len(value) > MOST:
        raise PathsError(f"paths has {len(value)} entries, and {MOST} are the most.")
    return [_one(entry) for entry in value]


def _parts(text: str) -> t.Iterator[str]:
    """The entries between commas, but for commas within a body."""
    begin = 0
    for comma in _NEXT.finditer(text):
        part = text[begin : comma.start()]
        if all(part.count(one) == part.count(other) for one, other in ("{}", "[]")) and part.count('"') % 2 == 0:
            yield part
            begin = comma.end()
    if text[begin:]:
        yield text[begin:]


def _one(entry: t.Any) -> Asked:
    if isinstance(entry, str):
        found = _LINE.fullmatch(entry.strip())
        if not found:
            raise PathsError(f"paths has {entry!r}, which isn't a path. A path begins with /, as in {_near(entry)}")
        entry = {key: text for key, text in found.groupdict().items() if text}
    if not isinstance(entry, dict):
        raise PathsError(f"paths has {entry!r}. Each is a path or a mapping with {', '.join(KEYS)}.")
    if unknown := [key for key in entry if key not in KEYS]:
        raise PathsError(f"paths has an entry with {unknown[0]!r}, which isn't known. There are {', '.join(KEYS)}.")
    path, method = entry.get("path"), str(entry.get("method", "GET")).upper()
    if not isinstance(path, str) or not _PATH.fullmatch(path) or len(path) > LONGEST_PATH:
        raise PathsError(
            f"paths has the path {path!r}. It begins with /, and other characters than letters of ASCII, digits and "
            "punctuation are written as in a URL, such as %20 for a space."
        )
    if method not in METHODS:
        raise PathsError(f"paths has the method {method!r} for {path}. There are {', '.join(METHODS)}.")
    body, kind = entry.get("body", ""), entry.get("content_type", "")
    if not isinstance(body, str):
        body = json.dumps(body)
    if len(body.encode()) > LONGEST_BODY:
        raise PathsError(f"The body for {method} {path} is larger than {LONGEST_BODY >> 10} KiB.")
    if body and method in ("GET", "HEAD"):
        raise PathsError(f"paths has a body for {method} {path}. Write its method: POST {path} {body[:40]}")
    if not isinstance(kind, str) or (kind and not _TYPE.fullmatch(kind)):
        raise PathsError(f"paths has the content_type {kind!r} for {path}. Write one such as application/json.")
    try:
        share = int(str(entry.get("share", 1)))
    except ValueError:
        share = 0
    if not 1 <= share <= LARGEST_SHARE:
        raise PathsError(f"paths has the share {entry['share']!r} for {path}. It is a number, 1 to {LARGEST_SHARE}.")
    return Asked(path, method, body, (kind or "application/json") if body else "", share)


def _near(entry: str) -> str:
    words = entry.split()
    return f"/{words[-1].lstrip('/')}" if words else "/"
