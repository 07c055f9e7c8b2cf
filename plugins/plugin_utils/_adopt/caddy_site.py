# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An app's site in Caddy, as our variables. Pure."""

from __future__ import annotations

import re
import typing as t

from ...module_utils._hand.caddyfile import Line, Site, address_of, parse, upstreams
from ...module_utils._hand.nginx_conf import normal
from .front import Front, domains, inside, is_public, seconds, size

_OWN = "this collection's site has its own"


def sites_of(files: t.Mapping[str, str], at: t.Collection[str]) -> list[Site]:
    """:raises Unreadable: where a file isn't one that can be read here."""
    wanted = {normal(each) for each in at}
    parsed = [parse(text, path) for path, text in files.items()]
    return [
        site for file in parsed for site in file.sites if wanted & {address_of(each) for each in upstreams(site.lines)}
    ]


def read(files: t.Mapping[str, str], at: t.Collection[str], directory: str) -> Front | None:
    """As nginx_site.read()."""
    mine = sites_of(files, at)
    if not mine:
        return None
    front = Front("caddy", sorted({site.file for site in mine}))
    _addresses(front, mine)
    snippets = {
        other.name.strip("()"): other.block or ()
        for path, text in files.items()
        for other in parse(text, path).others
        if other.name.startswith("(")
    }
    reader = _Reader(front, {normal(each) for each in at}, directory, files, snippets)
    for site in mine:
        for line in site.lines:
            reader.line(line, "/")
    if "max_body" not in front.values:
        front.put("max_body", "1G", "Caddy had no limit, and this site has one.")
    for path in sorted(files):
        for other in parse(files[path], path).others:
            if other.words[:1] == ("{",):
                front.ours.append((other.place, "global options", "Caddyfile keeps them"))
                _authority(front, other.block or ())
    return front


_AUTHORITY = {"acme_ca": "acme_directory", "ca": "acme_directory", "dir": "acme_directory", "email": "acme_email"}
_AUTHORITY |= {"acme_ca_root": "acme_ca", "ca_root": "acme_ca", "trusted_roots": "acme_ca"}


def _authority(front: Front, options: t.Iterable[Line]) -> list[Line]:
    """Take over by whom certificates are: another authority's would be got anew. What isn't known is returned."""
    odd = []
    for each in options:
        if each.name in _AUTHORITY and len(each.args) == 1:
            if front.values.get("tls", ("",))[0] == "acme":
                front.put(_AUTHORITY[each.name], each.args[0])
        elif each.name == "local_certs" and front.values.get("tls", ("",))[0] == "acme":
            front.values["tls"] = ("internal", "")
        elif each.name == "issuer" and each.args[:1] == ("acme",):
            for url in each.args[1:]:
                front.put("acme_directory", url)
            odd += _authority(front, each.block or ())
        else:
            odd.append(each)
    return odd


def _addresses(front: Front, mine: list[Site]) -> None:
    names, schemes, ports = [], set(), set()
    for site in mine:
        for address in site.addresses:
            found = re.fullmatch(r"(?:(https?)://)?([^:/]*)(?::(\d+))?(/.*)?", address)
            if not found or found[4] or "{" in address:
                front.unknown.append((site.place, address, "fastapi_domains takes plain names"))
                continue
            names.append(found[2])
            port = int(found[3] or 0)
            schemes.add(found[1] or ("http" if port == 80 or (not found[2] and port != 443) else "https"))
            ports.add(port or (80 if found[1] == "http" else 443))
    good, bad = domains(names)
    front.put("domains", good)
    front.unknown += [(mine[0].place, name, "fastapi_domains takes plain names") for name in bad]
    if "https" in schemes:
        if all(map(is_public, good)):
            front.put("tls", "acme", "Caddy goes on with the certificate that it has.")
        else:
            front.put("tls", "internal", "For such names Caddy has an authority of its own.")
        odd = sorted(ports - {80, 443})
    else:
        front.put("tls", "off")
        if ports and ports != {80}:
            front.put("http_port", max(ports))
        odd = sorted(ports)[:-1]
    front.unknown += [(mine[0].place, f"port {port}", "ours listens on 80 and 443, or on one port") for port in odd]


class _Reader:
    def __init__(
        self,
        front: Front,
        at: set[str],
        directory: str,
        files: t.Mapping[str, str],
        snippets: t.Mapping[str, tuple[Line, ...]],
    ) -> None:
        self.front, self.at, self.directory, self.files, self.snippets = front, at, directory, files, snippets
        self.root = ""

    def line(self, line: Line, path: str) -> None:
        front, first = self.front, line.args[0] if line.args else ""
        if line.name == "reverse_proxy":
            self.proxy(line, path)
        elif line.name in ("handle", "route", "handle_path") and upstreams(line.block or ()):
            mine = self.at & {address_of(each) for each in upstreams(line.block or ())}
            if not mine:
                self._keep(line)
                return
            if line.name == "handle_path":
                front.unknown.append((line.place, line.text, "the app gets the whole path, not one without this"))
            for inner in line.block or ():
                self.line(inner, first.rstrip("*") or path)
        elif line.name in ("handle", "handle_path") and self._static(line, first):
            return
        elif line.name == "import" and len(line.args) == 1 and first in self.snippets:
            for inner in self.snippets[first]:
                self.line(inner, path)
        elif line.name == "encode":
            front.put("compress", True)
        elif line.name == "request_body":
            for inner in line.block or ():
                if inner.name == "max_size" and inner.args:
                    front.put("max_body", size("".join(inner.args)) or "1G")
        elif line.name == "header" and (not line.block and len(line.args) == 2) and first[0] not in "@-?+>*/":
            self._header(line, first, line.args[1])
        elif line.name == "header" and line.block and not line.args:
            for inner in line.block:
                if len(inner.words) == 2 and inner.name[0] not in "@-?+>":
                    self._header(inner, inner.name, inner.words[1])
                elif inner.name.lower() in ("-server", "-via"):
                    front.ours.append((inner.place, inner.text, _OWN))
                else:
                    front.unknown.append((inner.place, f"header {inner.name} ...", "see fastapi_proxy_snippet"))
        elif line.name in ("basicauth", "basic_auth"):
            self._users(line, first)
        elif line.name == "tls":
            self._tls(line)
        elif line.name == "log":
            front.ours.append((line.place, line.text, "what it writes is in the site's own access log"))
        elif line.name == "root" and line.args:
            self.root = line.args[-1]
            front.ours.append((line.place, line.text, "what is no file goes to the app, as all does here"))
        elif line.name in ("import", "handle_errors", "bind", "vars") or (line.name.startswith("@") and not line.block):
            front.unknown.append((line.place, line.text, "see fastapi_proxy_snippet"))
        elif line.name == "file_server":
            front.unknown.append((line.place, line.text, "files are served for paths of their own: fastapi_static"))
        else:
            self._keep(line)

    def _keep(self, line: Line) -> None:
        """A line that goes on as it is: ours has no word for it."""
        self.front.snippet.append(self.files[line.file][line.start : line.end])

    def proxy(self, line: Line, path: str) -> None:
        front = self.front
        first = line.args[0] if line.args else ""
        if not self.at & {address_of(each) for each in upstreams((line,))}:
            self._keep(line)
            return
        if first.startswith("/") and first.rstrip("*") != "/":
            front.ours.append((line.place, line.text, "all paths are the app's"))
        elif first.startswith("@"):
            front.unknown.append((line.place, line.text, "all paths are the app's"))
        for inner in line.block or ():
            value = inner.args[0] if inner.args else ""
            if inner.name == "health_uri":
                front.put("ready_path", value)
            elif inner.name == "health_interval" and seconds(value):
                front.put("health_interval", seconds(value))
            elif inner.name == "transport":
                for each in inner.block or ():
                    if each.name in ("read_timeout", "response_header_timeout") and each.args and seconds(each.args[0]):
                        front.put("proxy_timeout", seconds(each.args[0]))
                    else:
                        front.ours.append((each.place, each.text, _OWN))
            elif inner.name == "header_up" and not re.match(
                r"(?i)(host|x-forwarded-(for|proto|host)|x-request-id)$", value.lstrip("+-")
            ):
                told = (
                    "X-Forwarded-For has the address"
                    if value.lower() == "x-real-ip"
                    else "the app doesn't get it any more"
                )
                # Its value may be a key of the app's.
                front.unknown.append((inner.place, f"header_up {value} ...", told))
            elif inner.name == "header_down":
                front.unknown.append((inner.place, f"header_down {value} ...", "see fastapi_headers"))
            else:
                front.ours.append((inner.place, inner.text, _OWN))

    def _static(self, line: Line, path: str) -> bool:
        names = [inner.name for inner in line.block or ()]
        if "file_server" not in names:
            return False
        roots = [inner.args[-1] for inner in line.block or () if inner.name == "root" and inner.args]
        at = (roots or [self.root])[0]
        place = path.rstrip("*").rstrip("/")
        served = at if line.name == "handle_path" else f"{at.rstrip('/')}{place}"
        if not (place and at and (relative := inside(served, self.directory))):
            return False
        static = dict(self.front.values.get("static", ({}, ""))[0])
        static[place] = relative
        self.front.values["static"] = (static, "Of the release, so it has to be among the code.")
        return True

    def _header(self, line: Line, name: str, value: str) -> None:
        if name.lower() == "strict-transport-security":
            if found := re.search(r"max-age=(\d+)", value):
                self.front.put("hsts", min(int(found[1]), 63072000))
            if "include" in value.lower() or "preload" in value.lower():
                self.front.unknown.append((line.place, line.text, "ours has max-age alone"))
        elif "{" in value:
            self.front.unknown.append((line.place, f"header {name} ...", "a value is text alone in fastapi_headers"))
        else:
            self.front.header(name, value)

    def _users(self, line: Line, first: str) -> None:
        path = first.rstrip("*").rstrip("/") or "/"
        if first.startswith("@"):
            self.front.unknown.append((line.place, line.text, "write its paths into fastapi_protect"))
            return
        users = {
            inner.name: inner.args[0] for inner in line.block or () if inner.args and inner.args[0].startswith("$2")
        }
        if len(users) < len(line.block or ()):
            self.front.unknown.append((line.place, line.text, "ours takes bcrypt alone, in fastapi_protect"))
        if users:
            entries = [*self.front.values.get("protect", ([], ""))[0], {"path": path, "users": users}]
            why = "Hashes of passwords: for a file that ansible-vault encrypts."
            self.front.values["protect"] = (entries, why)

    def _tls(self, line: Line) -> None:
        if line.args == ("internal",):
            self.front.values["tls"] = ("internal", "")
        elif len(line.args) == 2:
            self.front.values["tls"] = ("files", "")
            self.front.put("tls_certificate", line.args[0])
            self.front.put("tls_key", line.args[1])
        elif len(line.args) == 1 and "@" in line.args[0]:
            self.front.put("acme_email", line.args[0])
        elif line.args:
            self.front.unknown.append((line.place, line.text, "see fastapi_tls and fastapi_acme_directory"))
        for odd in _authority(self.front, line.block or ()):
            self.front.unknown.append((odd.place, f"tls {{ {odd.name} ... }}", "it has no equal"))
