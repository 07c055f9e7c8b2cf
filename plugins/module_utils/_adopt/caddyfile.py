# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads Caddyfiles: sites, their directives, and where each stands in the text. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from .nginx_conf import Unreadable

_TOKEN = re.compile(
    r"""(?P<space>[^\S\n]+|\\\r?\n)|(?P<line>\n)|(?P<comment>\#[^\n]*)|(?P<word>"(?:\\.|[^"\\])*"|`[^`]*`|\S+)"""
)


@dataclass(frozen=True)
class Line:
    """A line of a block: its words, and what it opens.

    :param start: and `end`: where it stands in the file's text.
    """

    words: tuple[str, ...]
    file: str
    number: int
    start: int
    end: int
    block: tuple[Line, ...] | None = None

    @property
    def name(self) -> str:
        return self.words[0] if self.words else ""

    @property
    def args(self) -> tuple[str, ...]:
        return self.words[1:]

    @property
    def place(self) -> str:
        return f"{self.file}:{self.number}"

    @property
    def text(self) -> str:
        return " ".join(self.words) + (" { ... }" if self.block is not None else "")


@dataclass(frozen=True)
class Site:
    """One site: its addresses as written, and its lines."""

    addresses: tuple[str, ...]
    lines: tuple[Line, ...]
    file: str
    number: int
    start: int
    end: int

    @property
    def place(self) -> str:
        return f"{self.file}:{self.number}"


@dataclass(frozen=True)
class File:
    """A whole Caddyfile: its sites, the directories that it imports, and other blocks at its top (options, "
    "snippets)."""

    sites: tuple[Site, ...]
    imports: tuple[str, ...]
    others: tuple[Line, ...]


def _rows(text: str, file: str) -> Iterator[tuple[list[str], int, int, int]]:
    """Words of each line, its number, where it begins and ends."""
    words: list[str] = []
    number = first = 1
    start = end = position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if not match:
            raise Unreadable(f"{file}:{number} can't be read.")
        if match["word"]:
            word = match["word"]
            if word[0] in '"`' and (len(word) < 2 or word[-1] != word[0]):
                raise Unreadable(f"{file}:{number} has a quote that isn't closed.")
            if word.startswith("<<"):
                raise Unreadable(f"{file}:{number} has a heredoc, which adopt.yml doesn't read.")
            start, first = (start, first) if words else (position, number)
            words.append(word[1:-1] if word[0] in '"`' else word)
            end = match.end()
        elif match["line"]:
            if words:
                yield words, first, start, end
            words = []
        number += match[0].count("\n")
        position = match.end()
    if words:
        yield words, first, start, end


def parse(text: str, file: str) -> File:
    """:raises Unreadable: where braces or quotes don't match, or what is written isn't known here."""
    rows = list(_rows(text, file))
    sites, imports, others, lead = [], [], [], list[tuple[list[str], int, int, int]]()
    index = 0
    while index < len(rows):
        words, number, start, end = rows[index]
        if words[-1] == "{":
            inner, index = _block(rows, index + 1, file)
            end = rows[index - 1][3]
            heads = [word for row in lead for word in row[0]] + words[:-1]
            number, start = (lead[0][1], lead[0][2]) if lead else (number, start)
            if heads and not heads[0].startswith("("):
                sites.append(Site(_addresses(heads), inner, file, number, start, end))
            else:
                others.append(Line(tuple(heads) or ("{",), file, number, start, end, inner))
            lead = []
            continue
        if words[0] == "import" and not lead:
            imports.append(words[1] if len(words) > 1 else "")
        elif words[-1].endswith(","):
            lead.append(rows[index])
        elif not sites:
            # A file without braces is one site.
            heads = [word for row in lead for word in row[0]] + words
            first = lead[0] if lead else rows[index]
            inner = _lines(rows[index + 1 :], file)
            return File(
                (Site(_addresses(heads), inner, file, first[1], first[2], len(text)),), tuple(imports), tuple(others)
            )
        else:
            raise Unreadable(f"{file}:{number} is outside of every site: {' '.join(words)}")
        index += 1
    return File(tuple(sites), tuple(imports), tuple(others))


def _addresses(words: list[str]) -> tuple[str, ...]:
    return tuple(part for word in words for part in word.split(",") if part)


def _block(rows: list[tuple[list[str], int, int, int]], index: int, file: str) -> tuple[tuple[Line, ...], int]:
    """The lines up to the brace that closes, and the number of the row after that."""
    found: list[Line] = []
    while index < len(rows):
        words, number, start, end = rows[index]
        if words == ["}"]:
            return tuple(found), index + 1
        if words[-1] == "{":
            inner, index = _block(rows, index + 1, file)
            found.append(Line(tuple(words[:-1]), file, number, start, rows[index - 1][3], inner))
            continue
        found.append(Line(tuple(words), file, number, start, end))
        index += 1
    raise Unreadable(f"{file}:{rows[-1][1]} ends before a block does.")


def _lines(rows: list[tuple[list[str], int, int, int]], file: str) -> tuple[Line, ...]:
    closing = ["}"], 0, 0, 0
    return _block([*rows, closing], 0, file)[0]


def upstreams(lines: tuple[Line, ...]) -> set[str]:
    """What reverse_proxy names, at any depth, as written."""
    found: set[str] = set()
    for line in lines:
        if line.name == "reverse_proxy":
            matcher = line.args[:1] and (line.args[0].startswith(("@", "/")) or line.args[0] == "*")
            found |= {*line.args[1 if matcher else 0 :]}
            found |= {word for inner in line.block or () if inner.name == "to" for word in inner.args}
        else:
            found |= upstreams(line.block or ())
    return found


def without(text: str, sites: list[Site]) -> str:
    """The file's text with these sites cut out, and nothing else changed but one blank line after each."""
    for site in sorted(sites, key=lambda each: each.start, reverse=True):
        before, after = text[: site.start], text[site.end :]
        text = before + re.sub(r"\A[^\S\n]*\n(\s*\n)?", "", after)
    return text
