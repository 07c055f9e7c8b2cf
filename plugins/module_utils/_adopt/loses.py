# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of an old site would be open or gone behind ours: that is refused before the exchange. Pure.

Ours passes every path to the app but those of fastapi_static and fastapi_proxy_snippet, and closes those of
fastapi_protect.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from .._hand.caddyfile import Line, Site, upstreams
from .._hand.nginx_conf import Directive, goes_to, normal
from .programs import Refused


@dataclass(frozen=True)
class Kept:
    """What the inventory says of the site that is to come.

    :param protected: paths of fastapi_protect.
    :param static: paths of fastapi_static.
    :param snippet: fastapi_proxy_snippet.
    """

    protected: Collection[str] = field(default=())
    static: Collection[str] = field(default=())
    snippet: str = ""

    def closes(self, path: str) -> bool:
        """Whether a path is protected by an entry of its own, or by one above it that isn't for all."""
        if not path:
            return bool(self.protected)
        rows = [each.rstrip("/") or "/" for each in self.protected]
        return path in rows or any(row != "/" and path.startswith(f"{row}/") for row in rows)

    def serves(self, path: str) -> bool:
        plain = path.rstrip("*").rstrip("/")
        return (bool(plain) and plain in self.snippet) or plain in {each.rstrip("/") for each in self.static}


def vet(proxy: str, closed: list[tuple[str, str, str]], others: list[tuple[str, str, str]], kept: Kept) -> None:
    """:param closed: path, place and text of what closes one; '' for a path that can't be told.
    :param others: the same of what serves something else than the app; '/' for what no other path is for.
    :raises Refused: for what the inventory has no word for.
    """
    for path, place, text in closed:
        if not kept.closes(path):
            raise Refused(
                f"{place} closes {path or 'a part of the site'} by '{text}', and nothing that comes in its place does. "
                f"Write {path or 'its paths'} into fastapi_protect, with users, or with addresses: [127.0.0.1] for "
                f"nobody from outside. Where it may be open to everybody, take the line out there, reload {proxy}, and "
                "run again."
            )
    for path, place, text in others:
        if path == "/":
            raise Refused(
                f"{place} has something else than the app for '/' ({text}), which would be gone: ours passes every "
                "path to the app. Split the site: give the app a name of its own in fastapi_domains and in a site "
                f"where '/' is the app's, reload {proxy}, and run again. Or have the app itself answer there."
            )
        if not kept.serves(path):
            raise Refused(
                f"{place} serves {path} from elsewhere ({text}), and nothing that comes in its place does. Take it "
                "over: files by fastapi_static, another service by fastapi_proxy_snippet. Or take it out there, "
                f"reload {proxy}, and run again."
            )


# nginx

_CLOSES = ("deny", "auth_basic", "auth_request", "auth_jwt", "ssl_verify_client")
_OF_HOST = re.compile(r"\(?\$(host|http_host|server_name|scheme|server_port|http_upgrade)\b")
_SERVES = ("root", "alias", "try_files", "return", "rewrite", "autoindex", "index")


def of_nginx(servers: list[Directive], known: Mapping[str, Directive], at: str, kept: Kept) -> None:
    """:raises Refused: as vet()."""
    closed: list[tuple[str, str, str]] = []
    others: list[tuple[str, str, str]] = []
    for server in servers:
        closed += _closed(server, "/", known, at)
        others += _others(server, known, at, kept)
    vet("nginx", closed, others, kept)


def _path(location: Directive) -> str:
    """Where a location is; of a pattern what it begins with, '' where nothing of that is plain."""
    sign, given = (location.args[0] if len(location.args) > 1 else ""), (location.args or ("/",))[-1]
    if sign.startswith("~") and not re.fullmatch(r"\^?/?(\.\*)?\$?", given):
        plain = re.match(r"\^([\w/-]*)", given)
        return plain[1].rstrip("/") if plain else ""
    return given.lstrip("^").removesuffix("$").removesuffix(".*").rstrip("/") or "/"


def _closed(block: Directive, path: str, known: Mapping[str, Directive], at: str) -> Iterator[tuple[str, str, str]]:
    for each in block.block or ():
        if each.name == "location":
            # One that goes elsewhere is kept as it is.
            if normal(at) in goes_to(each, known):
                yield from _closed(each, _path(each), known, at)
        elif (each.name in _CLOSES and each.args[:1] not in (("off",), ("optional",))) or (
            each.name == "if" and not _OF_HOST.match(" ".join(each.args)) and _refuses(each)
        ):
            yield path, each.place, each.text


def _refuses(block: Directive) -> bool:
    return any(each.args[:1] and each.args[0].startswith("4") for each in block.all("return"))


def _others(server: Directive, known: Mapping[str, Directive], at: str, kept: Kept) -> Iterator[tuple[str, str, str]]:
    named = {
        location.args[0]
        for location in server.all("location")
        if location.args and location.args[0].startswith("@") and normal(at) in goes_to(location, known)
    }

    def falls_through(block: Directive) -> bool:
        tried = block.last("try_files")
        pages = {each.args[-1] for each in block.all("error_page") if each.args}
        return bool(named & {*tried[-1:], *pages})

    whole = None
    for location in server.all("location"):
        path = _path(location) or "/"
        plain = len(location.args) == 1 or location.args[0] == "^~"
        if plain and path == "/" and not location.args[-1].startswith("@"):
            whole = location
        elif normal(at) in goes_to(location, known) or falls_through(location) or location.args[0].startswith("@"):
            continue
        elif not _passing(location) and path != "/":
            yield path, location.place, location.text
    front = whole or server
    mine = falls_through(front) or (whole is not None and normal(at) in goes_to(whole, known))
    if not mine and (whole is not None or any(server.all(name) for name in ("root", "try_files", "return"))):
        shown = next((each.text for each in front.block or () if each.name in (*_SERVES, "proxy_pass")), front.text)
        yield "/", front.place, shown
    tried, root = front.last("try_files")[:-1], front.last("root") or server.last("root")
    if mine and root and any("$uri" in word for word in tried) and not (kept.static or kept.snippet):
        yield f"{root[0]}/", front.place, f"try_files {' '.join(front.last('try_files'))}"


def _passing(location: Directive) -> bool:
    """Whether a location is one that no site of ours misses: certbot's, an icon, or what is refused."""
    text = " ".join(location.args)
    short = location.args[-1] in ("/favicon.ico", "/robots.txt") and len(location.block or ()) < 3
    served = [each for each in location.block or () if each.name in (*_SERVES, "proxy_pass", "fastcgi_pass")]
    return "acme-challenge" in text or short or not served


# Caddy

_HANDLES = ("handle", "handle_path", "route")
_WORDS = ("respond", "redir", "abort", "error")
"""What goes on as it is, in fastapi_proxy_snippet."""
_ANSWERS = (*_HANDLES, *_WORDS, "file_server", "php_fastcgi", "reverse_proxy")


def of_caddy(sites: list[Site], snippets: dict[str, tuple[Line, ...]], mine: Collection[Line], kept: Kept) -> None:
    """:param snippets: lines by the name under which a site imports them.
    :param mine: lines that pass requests to the app, at any depth.
    :raises Refused: as vet().
    """
    closed: list[tuple[str, str, str]] = []
    others: list[tuple[str, str, str]] = []
    for site in sites:
        lines = list(_expanded(site.lines, snippets))
        closed += _caddy_closed(lines, "/")
        others += _caddy_others(lines, mine)
    vet("Caddy", closed, others, kept)


def _expanded(lines: tuple[Line, ...], snippets: dict[str, tuple[Line, ...]], depth: int = 0) -> Iterator[Line]:
    for line in lines:
        if line.name == "import" and line.args and line.args[0] in snippets and depth < 8:
            yield from _expanded(snippets[line.args[0]], snippets, depth + 1)
        else:
            yield line


def _matcher(line: Line) -> str:
    """The matcher that a line begins with; '' for all requests."""
    first = line.args[0] if line.args else ""
    return first if first.startswith(("/", "@")) and first not in ("/", "/*") else ""


def _caddy_closed(lines: list[Line], path: str) -> Iterator[tuple[str, str, str]]:
    for line in lines:
        at = _matcher(line)
        place = "" if at.startswith("@") else at.rstrip("*").rstrip("/") or path
        if line.name in ("basicauth", "basic_auth"):
            yield place, line.place, f"{line.name} {at}".strip()
        elif line.name == "tls" and any(inner.name == "client_auth" for inner in line.block or ()):
            yield "/", line.place, "tls { client_auth }"
        elif line.name in _HANDLES:
            yield from _caddy_closed([*(line.block or ())], place)


def _goes(line: Line, mine: Collection[Line]) -> bool:
    """Whether a line, or one within it, passes to the app."""
    return line in mine or any(_goes(inner, mine) for inner in line.block or ())


def _takes_all(lines: list[Line], mine: Collection[Line]) -> bool:
    """Whether the app gets what no other line is for."""
    for line in lines:
        if not _matcher(line) and (line in mine or (line.name in _HANDLES and _takes_all([*(line.block or ())], mine))):
            return True
    return False


def _caddy_others(lines: list[Line], mine: Collection[Line]) -> Iterator[tuple[str, str, str]]:
    whole = _takes_all(lines, mine)
    for line in lines:
        if line.name not in _ANSWERS or _goes(line, mine):
            continue
        at = _matcher(line)
        # Behind what takes all Caddy never comes to a file_server or a respond without a matcher of its own.
        serves = line.name not in _HANDLES or upstreams(line.block or ()) or _has(line, ("file_server", "php_fastcgi"))
        if not at and not whole:
            yield "/", line.place, line.text
        elif at.startswith("/") and serves and line.name not in (*_WORDS, *(["file_server"] if whole else [])):
            yield at.rstrip("*").rstrip("/"), line.place, line.text


def _has(line: Line, names: Collection[str]) -> bool:
    return any(inner.name in names or _has(inner, names) for inner in line.block or ())
