# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of the proxies' files has to go, or to change, where an app's site becomes ours; and only that. Pure."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from .._hand import caddyfile, nginx_conf
from .._hand.nginx_conf import Directive, Unreadable, normal
from . import loses
from .loses import Kept
from .programs import Refused
from .proxies import MAIN

IMPORT = "import sites/*.caddy"
_IMPORT = re.compile(rf"(?:(?<=\n)(?:[ \t]*\r?\n)+)?^[ \t]*{re.escape(IMPORT)}[ \t]*\r?(?:\n|\Z)", re.MULTILINE)
_HARMLESS = ("listen", "server_name", "server_tokens", "access_log", "error_log")


def only_redirects(server: Directive) -> bool:
    """Whether a server sends everybody elsewhere, as certbot's for plain HTTP does."""
    rest = [each for each in server.block or () if each.name not in _HARMLESS]
    rest = [each for each in rest if not (each.name == "location" and "acme-challenge" in each.text)]
    return bool(rest) and all(
        each.name in ("return", "rewrite") or (each.name in ("if", "location") and only_redirects(each))
        for each in rest
    )


def of_nginx(files: Mapping[str, str], at: str, kept: Kept) -> list[dict[str, Any]]:
    """The files to be taken out, as `layer` takes them: each holds the app's site and nothing of anybody else.

    :param kept: what the inventory says of the site that is to come.
    :raises Refused: where one does, or ours would open or lose something of it.
    """
    parsed = {path: nginx_conf.parse(text, path) for path, text in files.items()}
    known: dict[str, Directive] = {}
    for found in parsed.values():
        known |= nginx_conf.upstreams(found)
    mine = [
        server
        for found in parsed.values()
        for server in nginx_conf.servers(found)
        if normal(at) in nginx_conf.goes_to(server, known)
    ]
    names = {name for server in mine for name in names_of(server)}
    for path in sorted({server.file for server in mine}):
        if path == MAIN["nginx"]:
            raise Refused(
                f"{mine[0].place} has the site in nginx' main file, which isn't taken out. Move the server block into "
                "a "
                "file of its own, /etc/nginx/sites-available/NAME, link that from sites-enabled, reload nginx, and run "
                "again."
            )
        for server in nginx_conf.servers(parsed[path]):
            own = server in mine or (
                only_redirects(server) and (not names_of(server) or _near(names_of(server), names))
            )
            if not own:
                who = " ".join(sorted(names_of(server))) or "every name"
                raise Refused(
                    f"{server.place} has the site of {who} in the same file as the app's, {' '.join(sorted(names))}. "
                    "Move "
                    f"that server block into a file of its own beside it, reload nginx, and run again: {path} goes as "
                    "a whole."
                )
    loses.of_nginx(mine, known, at, kept)
    return [{"path": path, "state": "absent"} for path in sorted({server.file for server in mine})]


def names_of(server: Directive) -> set[str]:
    return {name.lower() for each in server.all("server_name") for name in each.args if name not in ("_", "")}


def _near(names: Collection[str], mine: Collection[str]) -> bool:
    """Whether names that are redirected are the app's: the same, or with www."""
    return all(name in mine or f"www.{name}" in mine or name.removeprefix("www.") in mine for name in names)


def of_caddy(files: Mapping[str, str], at: str, kept: Kept) -> list[dict[str, Any]]:
    """The same for Caddy. The app's sites are cut out of a file that has more in it, and the main file imports ours.

    :raises Refused: where a file wouldn't say the same of all others afterwards, or as of_nginx().
    """
    parsed = {path: caddyfile.parse(text, path) for path, text in files.items()}
    mine = [site for file in parsed.values() for site in _going(file.sites, at)]
    snippets = {
        other.name.strip("()"): other.block or ()
        for file in parsed.values()
        for other in file.others
        if other.name.startswith("(")
    }
    passing = [line for lines in (*(site.lines for site in mine), *snippets.values()) for line in _passing(lines, at)]
    loses.of_caddy(mine, snippets, passing, kept)
    entries: dict[str, dict[str, Any]] = {}
    for path in sorted({site.file for site in mine}):
        own = [site for site in mine if site.file == path]
        others = [site for site in parsed[path].sites if site not in own]
        if path != MAIN["caddy"] and not others and not parsed[path].others:
            entries[path] = {"path": path, "state": "absent"}
            continue
        text = caddyfile.without(files[path], own)
        _same(path, files[path], text, others)
        entries[path] = {"path": path, "state": "present", "content": text}
    main = MAIN["caddy"]
    text = entries.get(main, {}).get("content", files.get(main, ""))
    # One of ours isn't among the files, and imports them.
    if main in files and not imports(text):
        entries[main] = {"path": main, "state": "present", "content": with_import(text)}
    return list(entries.values())


def with_import(text: str) -> str:
    """With the line at its end, on which a Caddyfile without braces would have it within its site."""
    text = text.rstrip()
    return f"{text}\n\n{IMPORT}\n" if text else f"{IMPORT}\n"


def put_back(before: str, now: str, at: str) -> str:
    """A Caddyfile with the app's sites in it again, and with all that others have done in it since.

    :param before: as it was when the app's sites were in it; `now` without them.
    :raises Unreadable: where it isn't a Caddyfile any more, or somebody has given one of their addresses another use.
    """
    before = braced(before)
    found = caddyfile.parse(now, MAIN["caddy"]).sites
    there = {address for site in _going(found, at) for address in site.addresses}
    missing = [site for site in _sites(before, at) if not there.issuperset(site.addresses)]
    if not missing:
        return now
    used = {address for site in found for address in site.addresses}
    if twice := sorted(used.intersection(address for site in missing for address in site.addresses)):
        raise Unreadable(f"{MAIN['caddy']} has another site of {' '.join(twice)} by now.")
    texts = [before[caddyfile.begin(before, site) : site.end].strip() for site in missing]
    rest = without_import(now)
    text = "\n\n".join([*filter(None, [rest.strip()]), *texts]) + "\n"
    return text if rest == now else with_import(text)


def braced(text: str) -> str:
    """A Caddyfile that is one site without braces, with them: only so another site can stand beside it.

    :raises Unreadable: where it isn't a Caddyfile.
    """
    for site in caddyfile.parse(text, MAIN["caddy"]).sites:
        head = next(line for line in caddyfile.lines(text, MAIN["caddy"]) if line.start == site.start)
        if head.block is None:
            return f"{text[: head.end]} {{{text[head.end :].rstrip()}\n}}\n"
    return text


def vet_back(text: str, before: str, at: str) -> None:
    """:raises Unreadable: where a Caddyfile that was put together hasn't the app's sites as they were before, or has
    the line for ours within a site, as where somebody's stands without braces."""
    found = caddyfile.parse(text, MAIN["caddy"])
    there = {address for site in _going(found.sites, at) for address in site.addresses}
    lines = imports(text) and IMPORT.partition(" ")[2] not in found.imports
    if lines or not all(there.issuperset(site.addresses) for site in _sites(before, at)):
        raise Unreadable(f"{MAIN['caddy']} can't have the app's site in it beside the others.")


def _sites(text: str, at: str) -> list[caddyfile.Site]:
    return _going(caddyfile.parse(text, MAIN["caddy"]).sites, at)


def _going(sites: Iterable[caddyfile.Site], at: str) -> list[caddyfile.Site]:
    """Those of the sites that pass requests to an address."""
    return [site for site in sites if normal(at) in addresses(site.lines)]


def imports(text: str) -> bool:
    """Whether a Caddyfile has the line for our sites."""
    return bool(_IMPORT.search(text))


def without_import(text: str) -> str:
    """Without that line, and the blank ones before it; all else to the letter."""
    rest = _IMPORT.sub("", text)
    return rest if rest.strip() else ""


def _passing(lines: tuple[caddyfile.Line, ...], at: str) -> Iterator[caddyfile.Line]:
    """Lines at any depth that pass requests to the app."""
    for line in lines:
        if line.name == "reverse_proxy" and normal(at) in addresses((line,)):
            yield line
        yield from _passing(line.block or (), at)


def addresses(lines: tuple[caddyfile.Line, ...]) -> set[str]:
    return {caddyfile.address_of(each) for each in caddyfile.upstreams(lines)}


def _same(path: str, before: str, after: str, others: list[caddyfile.Site]) -> None:
    """:raises Refused: where the others' text isn't what it was, to the letter."""
    try:
        left = caddyfile.parse(after, path).sites
    except Unreadable as error:
        left = ()
        raise Refused(f"{path} can't be read without the app's site: {error} {_split(path)}") from error
    if [before[site.start : site.end] for site in others] != [after[site.start : site.end] for site in left]:
        raise Refused(f"The app's site can't be cut out of {path} without touching the others. {_split(path)}")


def _split(path: str) -> str:
    place = os.path.dirname(path)
    return f"Move the app's site into a file of its own in {place}/sites that ends in .caddy, import it, and run again."
