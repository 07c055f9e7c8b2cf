# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A tolerant reading of a Caddyfile, as far as it says how apps are served."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Iterator

from .._host.reading import read_text
from .nginx import Block
from .sites import Site, seconds

MAIN = "/etc/caddy/Caddyfile"
KEPT = 120.0
"""Seconds for which Caddy keeps a connection to an upstream that isn't used, where nothing is said."""
_TOKEN = re.compile(r"""(?:(?<=\s)|^)#[^\n]*|"(?:\\.|[^"\\])*"|`[^`]*`|\\\n|[^\s"`]\S*|\n""")
_DEEP = 20
# What a site's block has beside its addresses begins so.
_SNIPPET = re.compile(r"\((.+)\)|&\((.+)\)")


def parse(text: str, path: str) -> list[Block]:
    """The lines of one file as directives, with what stands in their braces."""
    top = Block([], path)
    words: list[str] = []
    stack, line, begun = [top], 1, 1

    def ended(opens: bool) -> None:
        nonlocal words
        block = Block(words, f"{path}:{begun}")
        if words or opens:
            stack[-1].inner.append(block)
        if opens:
            stack.append(block)
        words = []

    for match in _TOKEN.finditer(text):
        token = match[0]
        if token == "\n":
            # A list of addresses goes on after a comma.
            if not (words and words[-1].endswith(",")):
                ended(False) if words else None
            line += 1
        elif token.startswith("#"):
            continue
        elif token == "\\\n":
            line += 1
        elif token == "{":
            begun = begun if words else line
            ended(True)
        elif token == "}":
            ended(False) if words else None
            if len(stack) > 1:
                stack.pop()
        else:
            begun = begun if words else line
            words.append(token[1:-1] if token[0] in '"`' and len(token) > 1 else token)
            line += token.count("\n")
    ended(False) if words else None
    return top.inner


def read(path: str = MAIN, text: Callable[[str], str] = read_text, deep: int = 0) -> list[Block]:
    """A file's directives, with those of what it imports in place of each `import`."""
    top = parse(text(path), path)
    snippets = {
        match[1] or match[2]: block for block in top if block.words and (match := _SNIPPET.fullmatch(block.name))
    }

    def inserted(blocks: list[Block], within: tuple[str, ...] = ()) -> Iterator[Block]:
        for block in blocks:
            if block.name != "import" or len(block.words) < 2:
                block.inner = list(inserted(block.inner, within))
                yield block
                continue
            named = block.words[1]
            if named in snippets and named not in within:
                yield from inserted(snippets[named].inner, (*within, named))
                continue
            for other in sorted(glob.glob(os.path.join(os.path.dirname(path), named))):
                if deep < _DEEP and os.path.isfile(other):
                    yield from read(other, text, deep + 1)

    return [block for block in inserted(top) if not (block.words and _SNIPPET.fullmatch(block.name))]


def sites(blocks: list[Block]) -> list[Site]:
    """Every place that passes requests on."""
    found: list[Site] = []
    for block in blocks:
        if not block.words:  # the options of all sites
            continue
        if block.name == "reverse_proxy":
            # A file with one site may have no braces around it.
            found += _passed(block, blocks, [])
            continue
        addresses = [word.rstrip(",") for word in block.words if word.rstrip(",")]
        for each, around in _proxies(block.inner, []):
            found += _passed(each, [*block.inner, *around], addresses)
    return found


def _proxies(blocks: list[Block], around: list[Block]) -> Iterator[tuple[Block, list[Block]]]:
    for block in blocks:
        if block.name == "reverse_proxy":
            yield block, [*around, *blocks]
        elif block.inner:
            yield from _proxies(block.inner, [*around, *blocks])


def _passed(block: Block, around: list[Block], addresses: list[str]) -> Iterator[Site]:
    inner = {each.name: each for each in block.inner if each.words}
    # The first word may say for which requests.
    words = [word for word in block.words[1:] if not word.startswith(("@", "/", "*"))]
    words += [word for each in block.inner if each.name == "to" for word in each.words[1:]]
    transport = {each.name: each for each in (inner["transport"].inner if "transport" in inner else []) if each.words}
    wait = transport.get("response_header_timeout") or transport.get("read_timeout")
    keep = transport.get("keepalive")
    keeps: float = KEPT
    if keep and len(keep.words) > 1:
        keeps = 0 if keep.words[1] == "off" else seconds(keep.words[1]) or KEPT
    tls = [each for each in around if each.name == "tls"]
    certificates = {each.words[1]: each.where for each in tls if len(each.words) > 2 and "/" in each.words[1]}
    names = [re.sub(r"^https?://|:[0-9]+$|/.*$", "", address) for address in addresses]
    plain = all(address.startswith(("http://", ":")) and not address.endswith(":443") for address in addresses)
    asked = inner.get("health_uri")
    for word in dict.fromkeys(map(_address, words)):
        yield Site(
            "caddy",
            word,
            block.where,
            tuple(name for name in names if name),
            seconds(wait.words[1]) if wait and len(wait.words) > 1 else None,
            wait.where if wait else "",
            keeps,
            keep.where if keep else "",
            certificates,
            own_tls=not certificates and not plain and bool(addresses),
            health=asked.words[1] if asked and len(asked.words) > 1 else "",
            limit=any(each.name == "request_body" for each in around),
        )


def _address(word: str) -> str:
    """'127.0.0.1:8000' or 'unix:/run/app.sock' of what stands behind reverse_proxy."""
    if match := re.match(r"(?:unix\+h2c|unix)/(/.*)", word):
        return f"unix:{match[1].split('|')[0]}"
    word = re.sub(r"^(https?|h2c)://", "", word).split("/")[0]
    if word.startswith(":"):
        return f"127.0.0.1{word}"
    return word if re.search(r":[0-9]+$", word) else f"{word}:80"
