# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An app's site in nginx, as our variables. Pure."""

from __future__ import annotations

import re
import typing as t

from ...module_utils._adopt.exchange import only_redirects
from ...module_utils._hand.nginx_conf import Directive, goes_to, normal, parse, servers, upstreams
from . import certbot
from .front import Front, domains, inside, is_public, seconds, size

_OWN = "this collection's site has its own"
_OURS = {
    "proxy_set_header proxy_http_version proxy_redirect proxy_pass_header proxy_buffering": _OWN,
    "proxy_request_buffering": _OWN,
    "proxy_buffers proxy_buffer_size proxy_busy_buffers_size proxy_cache_bypass proxy_next_upstream": _OWN,
    "proxy_connect_timeout proxy_send_timeout send_timeout client_body_timeout proxy_max_temp_file_size": _OWN,
    "ssl_protocols ssl_ciphers ssl_prefer_server_ciphers ssl_session_cache ssl_session_timeout ssl_dhparam": _OWN,
    "ssl_session_tickets ssl_ecdh_curve ssl_stapling ssl_stapling_verify ssl_trusted_certificate resolver": _OWN,
    "http2 http3 server_tokens charset gzip_vary gzip_min_length gzip_types gzip_proxied gzip_comp_level": _OWN,
    "gzip_disable gzip_buffers gzip_http_version brotli brotli_types brotli_comp_level underscores_in_headers": _OWN,
    "access_log error_log log_not_found": "what it writes is in the site's own access log",
    "default_type sendfile tcp_nopush tcp_nodelay keepalive_requests client_body_buffer_size index expires etag": _OWN,
}
_KNOWN = {name: why for names, why in _OURS.items() for name in names.split()}
_PATTERN = "fastapi_protect takes plain paths and no patterns: step=move waits until it has those that are meant"
_INCLUDES = {"/etc/letsencrypt/options-ssl-nginx.conf", "proxy_params", "/etc/nginx/proxy_params", "mime.types"}


def read(
    files: t.Mapping[str, str],
    at: t.Collection[str],
    directory: str,
    users: t.Mapping[str, str],
    lineages: t.Sequence[t.Mapping[str, t.Any]] = (),
) -> Front | None:
    """The site that passes requests to the app; None where nginx has none.

    :param files: nginx' files with their texts.
    :param at: the app's addresses, each as normal().
    :param directory: the app's.
    :param users: files of passwords with their texts.
    :param lineages: certbot's certificates, as module_utils' lineages().
    :raises Unreadable: where a file isn't in nginx' language.
    """
    parsed = {path: parse(text, path) for path, text in files.items()}
    known: dict[str, Directive] = {}
    for found in parsed.values():
        known |= upstreams(found)
    mine = [
        server
        for found in parsed.values()
        for server in servers(found)
        if {normal(each) for each in at} & goes_to(server, known)
    ]
    if not mine:
        return None
    front = Front("nginx", sorted({server.file for server in mine}))
    names = [name for server in mine for each in server.all("server_name") for name in each.args]
    good, bad = domains(names)
    redirected = _redirected(parsed, front, good)
    front.put("domains", good)
    for name in bad:
        front.unknown.append((mine[0].place, f"server_name {name}", "fastapi_domains takes plain names"))
    if redirected:
        front.put("redirect_domains", sorted(redirected))
    _tls(front, mine, lineages)
    reader = _Reader(front, {normal(each) for each in at}, known, directory, users, files)
    for server in mine:
        reader.server(server)
    if "max_body" not in front.values:
        front.put("max_body", "1M", "nginx' own, where none is written.")
    front.snippet = list(dict.fromkeys(front.snippet))
    return front


def _redirected(parsed: dict[str, tuple[Directive, ...]], front: Front, good: list[str]) -> set[str]:
    """Names that are sent to the app's, by servers of the same files that do nothing else."""
    found: set[str] = set()
    for path in front.files:
        for server in servers(parsed[path]):
            names = {name.lower() for each in server.all("server_name") for name in each.args}
            if only_redirects(server):
                targets = _returns(server)
                found |= {name for name in names if name not in good and any(f"//{each}" in targets for each in good)}
    return {name for name in found if domains([name])[0]}


def _returns(block: Directive) -> str:
    return " ".join(
        _returns(each) if each.block is not None else " ".join(each.args)
        for each in block.block or ()
        if each.name in ("return", "rewrite", "if", "location")
    )


def _tls(front: Front, mine: list[Directive], lineages: t.Sequence[t.Mapping[str, t.Any]]) -> None:
    listens = [(server, each) for server in mine for each in server.all("listen")]
    secure = [server for server, each in listens if "ssl" in each.args]
    ports = sorted({int(found[0]) for _s, each in listens if (found := re.findall(r"(?:^|:|\])(\d+)$", each.args[0]))})
    if secure:
        certificate, key = secure[0].last("ssl_certificate"), secure[0].last("ssl_certificate_key")
        names = [*front.values["domains"][0], *front.values.get("redirect_domains", ([], ""))[0]]
        if certificate and certificate[0].startswith("/etc/letsencrypt/") and names and all(map(is_public, names)):
            line = (secure[0].place, f"ssl_certificate {certificate[0]}")
            certbot.take_over(front, line, names, lineages, certificate[0])
        else:
            front.put("tls", "files", "The certificate that is there. Whoever renews it reloads nginx then.")
            front.put("tls_certificate", certificate[0] if certificate else "")
            front.put("tls_key", key[0] if key else "")
        for port in ports:
            if port not in (80, 443):
                front.unknown.append((mine[0].place, f"listen {port}", "with TLS ours listens on 80 and 443"))
        return
    front.put("tls", "off")
    if ports and ports != [80]:
        front.put("http_port", ports[-1])
    for port in ports[:-1]:
        front.unknown.append((mine[0].place, f"listen {port}", "ours listens on one port"))


def _upgrades(location: Directive) -> bool:
    """Whether a location is for WebSockets."""
    return any(each.args[:1] and each.args[0].lower() == "upgrade" for each in location.all("proxy_set_header"))


class _Reader:
    def __init__(
        self,
        front: Front,
        at: set[str],
        known: t.Mapping[str, Directive],
        directory: str,
        users: t.Mapping[str, str],
        files: t.Mapping[str, str],
    ) -> None:
        self.front, self.at, self.known, self.directory, self.users, self.files = (
            front,
            at,
            known,
            directory,
            users,
            files,
        )

    def server(self, server: Directive) -> None:
        for each in server.block or ():
            if each.name == "location":
                self.location(each, server)
            elif each.name not in ("listen", "server_name", "ssl_certificate", "ssl_certificate_key"):
                self.line(each, "/")

    def location(self, location: Directive, server: Directive) -> None:
        path = location.args[-1] if location.args else "/"
        exact = location.args[0] if len(location.args) > 1 else ""
        if goes_to(location, self.known) & self.at:
            plain = exact in ("", "^~") and path.rstrip("/") == ""
            for each in location.block or ():
                if each.name == "proxy_pass" and re.fullmatch(
                    r"https?://(unix:[^:]+:/.*|(?!unix:)[^/]+/.*)", each.args[0]
                ):
                    advice = "the app gets the whole path, not one without the location's"
                    if not (plain and each.args[0].endswith("/")):
                        self.front.unknown.append((each.place, f"location {path}: {each.text}", advice))
                elif each.name == "proxy_read_timeout" and _upgrades(location):
                    self.front.ours.append((each.place, each.text, "Uvicorn's pings keep a WebSocket open"))
                elif each.name != "proxy_pass":
                    self.line(each, path if exact in ("", "=", "^~") and path.startswith("/") else "")
            return
        if "acme-challenge" in path or (path in ("/favicon.ico", "/robots.txt") and len(location.block or ()) < 3):
            self.front.ours.append((location.place, location.text, "the app answers it, or certbot's renewal did"))
            return
        at = self._files(location, server)
        if at and (relative := inside(at, self.directory)) and exact in ("", "^~") and path.rstrip("/"):
            static = dict(self.front.values.get("static", ({}, ""))[0])
            static[path.rstrip("/")] = relative
            self.front.values["static"] = (static, "Of the release, so it has to be among the code.")
            return
        text = self.files[location.file][location.start : location.end]
        # Ours has these itself; a second one of the same name is refused by nginx.
        if exact in ("", "^~") and path.rstrip("/") == "":
            self.front.unknown.append(
                (location.place, location.text, "everything that has no place of its own is the app's")
            )
        else:
            self.front.snippet.append(text)

    def _files(self, location: Directive, server: Directive) -> str:
        """The directory that a location serves; '' where it does something else."""
        if any(each.name in ("proxy_pass", "return", "fastcgi_pass", "uwsgi_pass") for each in location.block or ()):
            return ""
        if alias := location.last("alias"):
            return alias[0]
        root = location.last("root") or server.last("root")
        return f"{root[0].rstrip('/')}{location.args[-1]}" if root else ""

    def line(self, each: Directive, path: str) -> None:
        front, first = self.front, each.args[0] if each.args else ""
        if each.name == "client_max_body_size":
            front.put("max_body", size(first) or "1G", "" if size(first) else "It was without a limit, which ours has.")
        elif each.name == "proxy_read_timeout" and seconds(first):
            longest = max(seconds(first) or 0, front.values.get("proxy_timeout", (0, ""))[0])
            front.values["proxy_timeout"] = (longest, "")
        elif each.name == "keepalive_timeout" and seconds(first):
            front.put("idle_timeout", seconds(first))
        elif each.name == "client_header_timeout" and seconds(first):
            front.put("header_timeout", min(seconds(first) or 1, 600))
        elif each.name == "gzip":
            front.put("compress", first == "on")
        elif each.name == "add_header" and len(each.args) > 1 and "$" not in each.args[1] and path == "/":
            self._header(each)
        elif each.name in ("auth_basic", "auth_basic_user_file", "allow", "deny") and path:
            self._protect(each, path)
        elif each.name in ("auth_basic", "auth_basic_user_file", "allow", "deny"):
            front.unknown.append((each.place, each.text, _PATTERN))
        elif each.name == "include" and first in _INCLUDES:
            front.ours.append((each.place, each.text, _OWN))
        elif each.name in _KNOWN:
            # An app that reads a header of its own name gets nothing there any more.
            own = each.name == "proxy_set_header" and not re.match(
                r"(?i)(host|connection|upgrade|accept-encoding|x-forwarded-(for|proto|host|ssl)|x-scheme|x-request-id)$",
                first,
            )
            told = (
                "X-Forwarded-For has the address" if first.lower() == "x-real-ip" else "the app doesn't get it any more"
            )
            # Its value may be a key of the app's.
            text = f"{each.name} {first} ..." if own else each.text
            (front.unknown if own else front.ours).append((each.place, text, told if own else _KNOWN[each.name]))
        elif (each.name == "return" and each.args[:1] == ("444",)) or (each.name == "if" and only_redirects(each)):
            front.ours.append((each.place, each.text, "ours redirects and refuses by itself"))
        elif each.name in ("root", "try_files"):
            front.ours.append((each.place, each.text, "what is no file goes to the app, as all does here"))
        else:
            advice = "write fastapi_rate_limit" if each.name.startswith("limit_req") else "see fastapi_proxy_snippet"
            front.unknown.append((each.place, each.text, advice))

    def _header(self, each: Directive) -> None:
        name, value = each.args[0], each.args[1]
        if name.lower() == "strict-transport-security":
            found = re.search(r"max-age=(\d+)", value)
            if found:
                self.front.put("hsts", min(int(found[1]), 63072000))
            if "include" in value.lower() or "preload" in value.lower():
                self.front.unknown.append((each.place, each.text, "ours has max-age alone"))
        else:
            self.front.header(name, value)

    def _protect(self, each: Directive, path: str) -> None:
        entries = {entry["path"]: dict(entry) for entry in self.front.values.get("protect", ([], ""))[0]}
        entry = entries.setdefault(path.rstrip("/") or "/", {"path": path.rstrip("/") or "/"})
        if each.name == "deny" and (each.args != ("all",) or "addresses" not in entry):
            advice = "step=move waits until fastapi_protect has it: addresses: [127.0.0.1] is for nobody outside"
            self.front.unknown.append((each.place, f"location {path}: {each.text}", advice))
        if each.name == "allow" and each.args[0] != "all":
            entry["addresses"] = [*entry.get("addresses", []), each.args[0]]
        elif each.name == "auth_basic_user_file":
            rows = [line.split(":", 1) for line in self.users.get(each.args[0], "").splitlines() if ":" in line]
            kept = {name: value for name, value in rows if re.match(r"\$2[aby]\$", value)}
            if kept:
                entry["users"] = kept
            if len(kept) < len(rows) or not rows:
                names = ", ".join(name for name, value in rows if name not in kept) or "its users"
                advice = f"ours takes bcrypt alone: make one anew for {names} (htpasswd -nB), in fastapi_protect"
                self.front.unknown.append((each.place, each.text, advice))
        if len(entry) > 1:
            why = "Hashes of passwords: for a file that ansible-vault encrypts." if "users" in entry else ""
            self.front.values["protect"] = ([*{**entries}.values()], why)
