# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads Caddyfiles: sites, their directives, and where each stands in the text. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from .nginx_conf import Unreadable, normal

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
    """A whole Caddyfile: its sites, what it imports, and other blocks at its top (options, snippets)."""

    sites: tuple[Site, ...]
    imports: tuple[str, ...]
    others: tuple[Line, ...]


_Row = tuple[list[str], int, int, int]


def _rows(text: str, file: str, strict: bool) -> Iterator[_Row]:
    """Words of each line, its number, where it begins and ends."""
    words: list[str] = []
    number = first = 1
    start = end = position = 0
    while match := _TOKEN.match(text, position):
        if word := match["word"]:
            closed = word[0] not in '"`' or (len(word) > 1 and word[-1] == word[0])
            if strict and not closed:
                raise Unreadable(f"{file}:{number} has a quote that isn't closed.")
            if strict and word.startswith("<<"):
                raise Unreadable(f"{file}:{number} has a heredoc, which adopt.yml doesn't read.")
            if word == "}" and words and not strict:
                yield words, first, start, end
                words = []
            start, first = (start, first) if words else (position, number)
            words.append(word[1:-1] if word[0] in '"`' and closed else word)
            end = match.end()
        if words and (match["line"] or (not strict and word in ("{", "}"))):
            yield words, first, start, end
            words = []
        number += match[0].count("\n")
        position = match.end()
    if words:
        yield words, first, start, end


def lines(text: str, file: str, strict: bool = True, each: Callable[[], None] = lambda: None) -> tuple[Line, ...]:
    """What a file has at its top: a site's block has its addresses as words, one without words has '{'.

    :param strict: refuse what isn't known here; else that is passed over.
    :param each: is called for each line, and may raise.
    :raises Unreadable: where braces or quotes don't match, or what is written isn't known here.
    """
    stack: list[tuple[list[Line], _Row]] = []
    found: list[Line] = []
    lead: _Row | None = None
    number = 1

    def close(end: int) -> None:
        nonlocal found
        outer, (words, number, start, _end) = stack.pop()
        outer.append(Line(tuple(words) or ("{",), file, number, start, end, tuple(found)))
        found = outer

    for words, number, start, end in _rows(text, file, strict):
        each()
        if lead:
            # A list of addresses goes on after a comma.
            words, (number, start), lead = [*lead[0], *words], lead[1:3], None
        if words[-1] == "{":
            stack.append((found, (words[:-1], number, start, end)))
            found = []
        elif words == ["}"] and stack:
            close(end)
        elif words == ["}"] and strict:
            raise Unreadable(f"{file}:{number} has a }} that closes nothing.")
        elif words[-1].endswith(",") and not stack:
            lead = (words, number, start, end)
        elif words != ["}"]:
            found.append(Line(tuple(words), file, number, start, end))
    if stack and strict:
        raise Unreadable(f"{file}:{number} ends before a block does.")
    while stack:
        close(len(text))
    return (*found, Line(tuple(lead[0]), file, *lead[1:])) if lead else tuple(found)


def parse(text: str, file: str) -> File:
    """:raises Unreadable: as lines()."""
    sites, imports, others = [], [], []
    top = lines(text, file)
    for index, line in enumerate(top):
        where = (line.file, line.number, line.start)
        if line.block is not None and line.name != "{" and not line.name.startswith("("):
            sites.append(Site(_addresses(line.words), line.block, *where, line.end))
        elif line.block is not None:
            others.append(line)
        elif line.name == "import":
            imports.append(line.args[0] if line.args else "")
        elif not sites:
            # A file without braces is one site.
            sites.append(Site(_addresses(line.words), top[index + 1 :], *where, len(text)))
            break
        else:
            raise Unreadable(f"{line.place} is outside of every site: {' '.join(line.words)}")
    return File(tuple(sites), tuple(imports), tuple(others))


def _addresses(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(part for word in words for part in word.split(",") if part)


def targets(line: Line) -> list[str]:
    """What a reverse_proxy names, as written; its first word may say for which requests."""
    matcher = line.args[:1] and line.args[0].startswith(("@", "/", "*"))
    return [
        *line.args[bool(matcher) :],
        *(word for each in line.block or () if each.name == "to" for word in each.args),
    ]


def upstreams(lines: tuple[Line, ...]) -> set[str]:
    """What each reverse_proxy names, at any depth, as written."""
    found: set[str] = set()
    for line in lines:
        found |= set(targets(line)) if line.name == "reverse_proxy" else upstreams(line.block or ())
    return found


def address_of(upstream: str) -> str:
    """What reverse_proxy names, as normal() writes it."""
    if match := re.match(r"unix(?:\+h2c)?/(/[^|]*)", upstream):
        return normal(f"unix:{match[1]}")
    return normal(re.sub(r"^(https?|h2c)://", "", upstream).partition("/")[0])


def begin(text: str, site: Site) -> int:
    """Where a site begins with the comment that stands right above it."""
    return site.start - len(re.search(r"(?:^[^\S\n]*#.*\n)*\Z", text[: site.start], re.M)[0])  # type: ignore[index]


def without(text: str, sites: list[Site]) -> str:
    """The file's text with these sites cut out, each with its comment, and nothing else changed but one blank line
    after each."""
    for site in sorted(sites, key=lambda each: each.start, reverse=True):
        before, after = text[: begin(text, site)], text[site.end :]
        text = before + re.sub(r"\A[^\S\n]*\n(\s*\n)?", "", after)
    return text
