# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a Caddyfile says of how apps are served."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterable, Iterator

from .._hand.caddyfile import Line, address_of, lines, targets
from .filesystem import Files
from .sites import Site, seconds

MAIN = "/etc/caddy/Caddyfile"
KEPT = 120.0
"""Seconds for which Caddy keeps a connection to an upstream that isn't used, where nothing is said."""
_DEEP = 20
# What a site's block has beside its addresses begins so.
_SNIPPET = re.compile(r"\((.+)\)|&\((.+)\)")


def read(path: str = MAIN, files: Files | None = None, above: tuple[str, ...] = ()) -> list[Line]:
    """A file's lines, with those of what it imports in place of each `import`.

    :param files: the proxy's file system.
    :param above: the files that import this one, which none of them does again.
    :raises TooMuch: where that has no end.
    """
    files, above = files or Files(), (*above, path)
    top = lines(files.text(path), path, strict=False, each=files.budget.block)
    snippets = {match[1] or match[2]: line for line in top if (match := _SNIPPET.fullmatch(line.name))}

    def inserted(found: Iterable[Line], within: tuple[str, ...] = ()) -> Iterator[Line]:
        for line in found:
            # A snippet's are read again at each place that imports it.
            files.budget.block()
            if line.name != "import" or not line.args:
                block = None if line.block is None else tuple(inserted(line.block, within))
                yield dataclasses.replace(line, block=block)
                continue
            named = line.args[0]
            if named in snippets and named not in within:
                yield from inserted(snippets[named].block or (), (*within, named))
                continue
            for other in files.matching(os.path.join(os.path.dirname(path), named)):
                if len(above) <= _DEEP and other not in above:
                    yield from read(other, files, above)

    return [line for line in inserted(top) if not _SNIPPET.fullmatch(line.name)]


def sites(found: Iterable[Line]) -> list[Site]:
    """Every place that passes requests on."""
    top = tuple(found)
    rows: list[Site] = []
    for line in top:
        if line.name == "{":  # the options of all sites
            continue
        if line.name == "reverse_proxy":
            # A file with one site may have no braces around it.
            rows += _passed(line, top, [])
            continue
        addresses = [word.rstrip(",") for word in line.words if word.rstrip(",")]
        for each, around in _proxies(line.block or (), ()):
            rows += _passed(each, (*(line.block or ()), *around), addresses)
    return rows


def _proxies(found: tuple[Line, ...], around: tuple[Line, ...]) -> Iterator[tuple[Line, tuple[Line, ...]]]:
    for line in found:
        if line.name == "reverse_proxy":
            yield line, (*around, *found)
        elif line.block:
            yield from _proxies(line.block, (*around, *found))


def _inner(line: Line | None) -> dict[str, Line]:
    return {each.name: each for each in (line.block or () if line else ())}


def _passed(line: Line, around: Iterable[Line], addresses: list[str]) -> Iterator[Site]:
    inner = _inner(line)
    transport = _inner(inner.get("transport"))
    wait = transport.get("response_header_timeout") or transport.get("read_timeout")
    keep = transport.get("keepalive")
    keeps: float = KEPT
    if keep and keep.args:
        keeps = 0 if keep.args[0] == "off" else seconds(keep.args[0]) or KEPT
    around = list(around)
    tls = [each for each in around if each.name == "tls"]
    certificates = {each.args[0]: each.place for each in tls if len(each.args) > 1 and "/" in each.args[0]}
    names = [re.sub(r"^https?://|:[0-9]+$|/.*$", "", address) for address in addresses]
    plain = all(address.startswith(("http://", ":")) and not address.endswith(":443") for address in addresses)
    asked = inner.get("health_uri")
    for address in dict.fromkeys(map(address_of, targets(line))):
        yield Site(
            "caddy",
            address,
            line.place,
            tuple(name for name in names if name),
            seconds(wait.args[0]) if wait and wait.args else None,
            wait.place if wait else "",
            keeps,
            keep.place if keep else "",
            certificates,
            own_tls=not certificates and not plain and bool(addresses),
            health=asked.args[0] if asked and asked.args else "",
            limit=any(each.name == "request_body" for each in around),
        )
