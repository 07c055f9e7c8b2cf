# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What nginx's configuration says of how apps are served."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Iterator, Mapping

from .._hand.nginx_conf import Directive, addresses, parse, target_of, upstreams
from .filesystem import Files
from .sites import Site, seconds

MAIN = "/etc/nginx/nginx.conf"
WAIT, KEPT = 60.0, 60.0
"""Seconds of proxy_read_timeout and of an upstream's keepalive_timeout where nothing is said."""
_DEEP = 20
_Around = list[tuple[Directive, ...]]


def read(path: str = MAIN, files: Files | None = None, within: tuple[str, ...] = ()) -> list[Directive]:
    """A file's directives, with those of what it includes in place of each `include`.

    :param files: the proxy's file system.
    :param within: the files that include this one, which none of them does again.
    :raises TooMuch: where that has no end.
    """
    files, within = files or Files(), (*within, path)

    def inserted(directives: Iterable[Directive]) -> Iterator[Directive]:
        for each in directives:
            if each.name != "include" or not each.args:
                block = None if each.block is None else tuple(inserted(each.block))
                yield dataclasses.replace(each, block=block)
                continue
            for other in files.matching(os.path.join(os.path.dirname(MAIN), each.args[0])):
                if len(within) <= _DEEP and other not in within and not other.endswith("mime.types"):
                    yield from read(other, files, within)

    return list(inserted(parse(files.text(path), path, strict=False, each=files.budget.block)))


def sites(directives: Iterable[Directive]) -> list[Site]:
    """Every place that passes requests on by HTTP."""
    top = tuple(directives)
    return list(_walk(top, [], upstreams(top)))


def _walk(directives: tuple[Directive, ...], around: _Around, known: Mapping[str, Directive]) -> Iterator[Site]:
    around = [*around, directives]
    for each in directives:
        if each.name == "proxy_pass" and each.args:
            yield from _passed(each, around, known)
        if each.block and each.name != "upstream":
            yield from _walk(each.block, around, known)


def _passed(passing: Directive, around: _Around, known: Mapping[str, Directive]) -> Iterator[Site]:
    wait = _set(around, "proxy_read_timeout")
    body = _set(around, "client_max_body_size")
    keeps, keeps_at = _kept(known.get(target_of(passing)), around)
    for address in addresses(passing, known):
        yield Site(
            "nginx",
            address,
            passing.place,
            tuple(name for each in _here(around, "server_name") for name in each.args if name != "_"),
            (seconds(wait.args[0]) if wait and wait.args else None) or WAIT,
            wait.place if wait else "",
            keeps,
            keeps_at,
            {each.args[0]: each.place for each in _here(around, "ssl_certificate") if each.args},
            limit=not (body and body.args == ("0",)),
        )


def _here(around: _Around, name: str) -> list[Directive]:
    """All of a directive in the innermost block that has it."""
    for directives in reversed(around):
        if found := [each for each in directives if each.name == name]:
            return found
    return []


def _set(around: _Around, name: str) -> Directive | None:
    found = _here(around, name)
    return found[-1] if found else None


def _kept(upstream: Directive | None, around: _Around) -> tuple[float, str]:
    """Seconds for which connections are kept: only of an upstream, by HTTP/1.1, and without `Connection: close`."""
    kept = upstream.all("keepalive")[-1:] if upstream else []
    version = _set(around, "proxy_http_version")
    cleared = any(
        [arg.lower() for arg in each.args] == ["connection", ""] for each in _here(around, "proxy_set_header")
    )
    if not upstream or not kept or kept[0].args[:1] == ("0",) or not version or version.args != ("1.1",) or not cleared:
        return 0, ""
    timeout = upstream.last("keepalive_timeout")
    return (seconds(timeout[0]) if timeout else None) or KEPT, kept[0].place
