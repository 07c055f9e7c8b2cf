# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A tolerant reading of nginx's configuration, as far as it says how apps are served."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from .._host.reading import read_text
from .sites import Site, seconds

MAIN = "/etc/nginx/nginx.conf"
_TOKEN = re.compile(r"""#[^\n]*|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[{};]|(?:\$\{[^}]*\}|\\.|[^\s{};"'\\])+|\n""")
WAIT, KEPT = 60.0, 60.0
"""Seconds of proxy_read_timeout and of an upstream's keepalive_timeout where nothing is said."""
_DEEP = 20


@dataclass
class Block:
    """A directive with its words, and what stands in its braces."""

    words: list[str]
    where: str
    inner: list[Block] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.words[0] if self.words else ""


def parse(text: str, path: str) -> list[Block]:
    """The directives of one file. What is no nginx's is passed over."""
    top = Block([], path)
    words: list[str] = []
    stack, line, begun = [top], 1, 1
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token == "\n" or token.startswith("#"):
            line += token == "\n"
            continue
        if token in ("{", ";"):
            block = Block(words, f"{path}:{begun}")
            if words:
                stack[-1].inner.append(block)
            if token == "{":
                stack.append(block)
            words = []
        elif token == "}":
            words = []
            if len(stack) > 1:
                stack.pop()
        else:
            begun = begun if words else line
            words.append(token[1:-1] if token[0] in "\"'" else token)
            line += token.count("\n")
    return top.inner


def read(path: str = MAIN, text: Callable[[str], str] = read_text, deep: int = 0) -> list[Block]:
    """A file's directives, with those of what it includes in place of each `include`."""

    def inserted(blocks: list[Block]) -> Iterator[Block]:
        for block in blocks:
            block.inner = list(inserted(block.inner))
            if block.name != "include" or len(block.words) < 2:
                yield block
                continue
            for other in sorted(glob.glob(os.path.join(os.path.dirname(MAIN), block.words[1]))):
                if deep < _DEEP and not other.endswith("mime.types"):
                    yield from read(other, text, deep + 1)

    return list(inserted(parse(text(path), path)))


def sites(blocks: list[Block]) -> list[Site]:
    """Every place that passes requests on by HTTP."""
    upstreams: dict[str, Block] = {}
    for block in _all(blocks):
        if block.name == "upstream" and len(block.words) > 1:
            upstreams[block.words[1]] = block
    return list(_walk(blocks, [], upstreams))


def _all(blocks: list[Block]) -> Iterator[Block]:
    for block in blocks:
        yield block
        yield from _all(block.inner)


def _walk(blocks: list[Block], around: list[list[Block]], upstreams: dict[str, Block]) -> Iterator[Site]:
    for block in blocks:
        if block.name == "proxy_pass" and len(block.words) > 1:
            yield from _passed(block, [*around, blocks], upstreams)
        if block.inner and block.name != "upstream":
            yield from _walk(block.inner, [*around, blocks], upstreams)


def _passed(block: Block, around: list[list[Block]], upstreams: dict[str, Block]) -> Iterator[Site]:
    target = re.sub(r"^https?://", "", block.words[1])
    named = target.split("/")[0]
    upstream = None if target.startswith("unix:") else upstreams.get(named)
    if upstream:
        addresses = [each.words[1] for each in upstream.inner if each.name == "server" and len(each.words) > 1]
    else:
        addresses = [re.sub(r"(?<=.):/?$", "", target) if target.startswith("unix:") else named]
    wait = _set(around, "proxy_read_timeout")
    names = [word for each in _here(around, "server_name") for word in each.words[1:] if word != "_"]
    certificates = {each.words[1]: each.where for each in _here(around, "ssl_certificate") if len(each.words) > 1}
    body = _set(around, "client_max_body_size")
    keeps, keeps_at = _kept(upstream, around)
    for address in addresses:
        yield Site(
            "nginx",
            address if address.startswith("unix:") or ":" in address else f"{address}:80",
            block.where,
            tuple(names),
            (seconds(wait.words[1]) if wait and len(wait.words) > 1 else None) or WAIT,
            wait.where if wait else "",
            keeps,
            keeps_at,
            certificates,
            limit=not (body and body.words[1:] == ["0"]),
        )


def _here(around: list[list[Block]], name: str) -> list[Block]:
    """All of a directive in the innermost block that has it."""
    for blocks in reversed(around):
        if found := [block for block in blocks if block.name == name]:
            return found
    return []


def _set(around: list[list[Block]], name: str) -> Block | None:
    found = _here(around, name)
    return found[-1] if found else None


def _kept(upstream: Block | None, around: list[list[Block]]) -> tuple[float, str]:
    """Seconds for which connections are kept: only of an upstream, by HTTP/1.1, and without `Connection: close`."""
    inner = {each.name: each for each in upstream.inner} if upstream else {}
    kept = inner.get("keepalive")
    version = _set(around, "proxy_http_version")
    cleared = any(
        [word.lower() for word in each.words[1:]] == ["connection", ""] for each in _here(around, "proxy_set_header")
    )
    if not kept or kept.words[1:2] == ["0"] or not version or version.words[1:] != ["1.1"] or not cleared:
        return 0, ""
    timeout = inner.get("keepalive_timeout")
    return (seconds(timeout.words[1]) if timeout and len(timeout.words) > 1 else None) or KEPT, kept.where
