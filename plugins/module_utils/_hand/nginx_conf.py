# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads nginx' configuration language: directives with their words, blocks and places. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
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


def parse(text: str, file: str, strict: bool = True, each: Callable[[], None] = lambda: None) -> tuple[Directive, ...]:
    """:param strict: refuse what nginx would; else that is passed over.
    :param each: is called for each directive, and may raise.
    :raises Unreadable: where a brace, a quote or a semicolon is missing.
    """
    stack: list[tuple[list[Directive], list[str], int, int]] = []
    found: list[Directive] = []
    words: list[str] = []
    begun = position = 0
    first = line = 1

    def wrong(what: str) -> None:
        if strict:
            raise Unreadable(f"{file}:{line} {what}")

    def close(end: int) -> None:
        nonlocal found
        outer, head, at, number = stack.pop()
        if head:
            outer.append(Directive(head[0], tuple(head[1:]), file, number, at, end, tuple(found)))
        found = outer

    while position < len(text):
        match = _TOKEN.match(text, position)
        if not match:
            wrong("has a quote that isn't closed.")
            position += 1
            continue
        word, at = match[0], position
        position = match.end()
        if word in ("{", ";"):
            each()
        if word == ";":
            if words:
                found.append(Directive(words[0], tuple(words[1:]), file, first, begun, position))
            words = []
        elif word == "{":
            if not words:
                wrong("has a { without a name before it.")
            stack.append((found, words, begun, first))
            found, words = [], []
        elif word == "}":
            if words or not stack:
                wrong("has a } where a semicolon or nothing is expected.")
            words = []
            if stack:
                close(position)
        elif not word.isspace() and word[0] != "#":
            begun, first = (begun, first) if words else (at, line)
            words.append(_bare(word))
        line += word.count("\n")
    if stack or words:
        wrong("ends before a block or a directive does.")
    while stack:
        close(len(text))
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


def upstreams(directives: Iterable[Directive]) -> dict[str, Directive]:
    """Each upstream, by its name."""
    found: dict[str, Directive] = {}
    for each in directives:
        if each.name == "upstream" and each.args:
            found[each.args[0]] = each
        elif each.name == "http":
            found |= upstreams(each.block or ())
    return found


def passed(directive: Directive) -> Iterator[Directive]:
    """Each proxy_pass in a block, at any depth."""
    for inner in directive.block or ():
        if inner.name == "proxy_pass" and inner.args:
            yield inner
        yield from passed(inner)


def target_of(passing: Directive) -> str:
    """The upstream's name, or the address, that a proxy_pass has."""
    target = re.sub(r"^https?://", "", passing.args[0])
    match = re.match(r"unix:[^:]+|[^/]+", target)
    return match[0] if match else target


def goes_to(directive: Directive, known: Mapping[str, Directive]) -> set[str]:
    """The addresses that what is in a block is passed to: ``127.0.0.1:8000`` or ``unix:/run/shop.sock``."""
    return {address for each in passed(directive) for address in addresses(each, known)}


def addresses(passing: Directive, known: Mapping[str, Directive]) -> list[str]:
    """The same of one proxy_pass."""
    target = target_of(passing)
    if target not in known:
        return [normal(target)]
    return [normal(server.args[0]) for server in known[target].all("server") if server.args]


def normal(address: str) -> str:
    """One spelling for an address of this host: a port of 127.0.0.1, or unix: and a path."""
    if address.startswith(("unix:", "/")):
        return "unix:" + address.removeprefix("unix:").removeprefix("//").rstrip(":")
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit():
        host, port = address, "80"
    local = host.strip("[]").lower() in ("", "localhost", "127.0.0.1", "0.0.0.0", "::1", "::", "*")
    return f"127.0.0.1:{port}" if local else f"{host}:{port}"
