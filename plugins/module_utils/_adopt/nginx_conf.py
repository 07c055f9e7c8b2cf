# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads nginx' configuration language: directives with their words, blocks and places. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass


class Unreadable(ValueError):
    """Text that isn't in the language; the sentence says where."""


@dataclass(frozen=True)
class Directive:
    """One directive: ``block`` is None where it ends in a semicolon.

    :param start: and `end`: where it stands in the file's text.
    """

    name: str
    args: tuple[str, ...]
    file: str
    line: int
    start: int
    end: int
    block: tuple[Directive, ...] | None = None

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}"

    @property
    def text(self) -> str:
        """As a person writes it, without what is in its block."""
        return " ".join((self.name, *self.args)) + (" { ... }" if self.block is not None else ";")

    def all(self, *names: str) -> list[Directive]:
        """Of the block's own directives those of these names."""
        return [inner for inner in self.block or () if inner.name in names]

    def last(self, name: str) -> tuple[str, ...]:
        found = self.all(name)
        return found[-1].args if found else ()


_TOKEN = re.compile(
    r"""\s+|\#[^\n]*|[{};]|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|(?!["'])(?:\\.|\$\{[^}\s]*\}|[^\s{};\\])+""", re.S
)


def _tokens(text: str, file: str) -> Iterator[tuple[str, int]]:
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if not match:
            raise Unreadable(f"{file}:{text.count(chr(10), 0, position) + 1} has a quote that isn't closed.")
        word = match[0]
        if not word[0].isspace() and word[0] != "#":
            yield word, position
        position += len(word)


def parse(text: str, file: str) -> tuple[Directive, ...]:
    """:raises Unreadable: where a brace, a quote or a semicolon is missing."""
    stack: list[tuple[list[Directive], list[str], int]] = []
    found: list[Directive] = []
    words: list[str] = []
    begun = 0

    def line(position: int) -> int:
        return text.count("\n", 0, position) + 1

    for word, position in _tokens(text, file):
        begun = begun if words else position
        if word == ";":
            if words:
                found.append(Directive(words[0], tuple(words[1:]), file, line(begun), begun, position + 1))
            words = []
        elif word == "{":
            if not words:
                raise Unreadable(f"{file}:{line(position)} has a {{ without a name before it.")
            stack.append((found, words, begun))
            found, words = [], []
        elif word == "}":
            if words or not stack:
                raise Unreadable(f"{file}:{line(position)} has a }} where a semicolon or nothing is expected.")
            outer, head, at = stack.pop()
            outer.append(Directive(head[0], tuple(head[1:]), file, line(at), at, position + 1, tuple(found)))
            found = outer
        else:
            words.append(_bare(word))
    if stack or words:
        raise Unreadable(f"{file}:{line(len(text))} ends before a block or a directive does.")
    return tuple(found)


def _bare(word: str) -> str:
    if len(word) > 1 and word[0] == word[-1] and word[0] in "\"'":
        return re.sub(r"\\([\"'\\])", r"\1", word[1:-1])
    return word


def servers(directives: Iterable[Directive]) -> list[Directive]:
    """All server blocks, also those in an http block."""
    found = []
    for each in directives:
        if each.name == "server" and each.block is not None:
            found.append(each)
        elif each.name == "http":
            found += servers(each.block or ())
    return found


def upstreams(directives: Iterable[Directive]) -> dict[str, list[str]]:
    """The addresses of each upstream, by its name."""
    found: dict[str, list[str]] = {}
    for each in directives:
        if each.name == "upstream" and each.args:
            found[each.args[0]] = [server.args[0] for server in each.all("server") if server.args]
        elif each.name == "http":
            found |= upstreams(each.block or ())
    return found


def passed(directive: Directive) -> Iterator[Directive]:
    """Each proxy_pass in a block, at any depth."""
    for inner in directive.block or ():
        if inner.name == "proxy_pass" and inner.args:
            yield inner
        yield from passed(inner)


def goes_to(directive: Directive, known: dict[str, list[str]]) -> set[str]:
    """The addresses that what is in a block is passed to: ``127.0.0.1:8000`` or ``unix:/run/shop.sock``."""
    found: set[str] = set()
    for each in passed(directive):
        target = re.sub(r"^https?://", "", each.args[0])
        match = re.match(r"unix:[^:]+|[^/]+", target)
        address = match[0] if match else target
        found |= {normal(other) for other in known.get(address, [address])}
    return found


def normal(address: str) -> str:
    """One spelling for an address of this host: a port of 127.0.0.1, or unix: and a path."""
    if address.startswith(("unix:", "/")):
        return "unix:" + address.removeprefix("unix:").removeprefix("//").rstrip(":")
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit():
        host, port = address, "80"
    local = host.strip("[]").lower() in ("", "localhost", "127.0.0.1", "0.0.0.0", "::1", "::", "*")
    return f"127.0.0.1:{port}" if local else f"{host}:{port}"
