# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules for how the site is reached: domains, certificates and the port, which depend on each other."""

from __future__ import annotations

import ipaddress
import re
import typing as t

from ...module_utils._app.problems import HIDDEN, Problem, write
from ...module_utils._app.words import PRIVATE_ZONES

_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)", re.ASCII)
_CADDY_ADMIN = 2019


def bare(entry: str) -> str:
    """The host name in what somebody took for one: without scheme, port, path, trailing dot and blanks."""
    host = re.sub(r"^[a-z][a-z0-9+.-]*://", "", entry.strip().lower())
    host = re.split(r"[/?#]", host)[0].rpartition("@")[2]
    host = re.sub(r":\d*$", "", host).rstrip(".")
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:
        return host


def is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def is_hostname(host: str) -> bool:
    """Whether this is a host name, with or without a wildcard as its first label; an IPv4 address passes as well."""
    labels = host.lower().removeprefix("*.").split(".")
    return len(host) <= 253 and all(_LABEL.fullmatch(label) for label in labels)


def check_domain(entry: object, tls: object) -> str:
    """What is wrong with one entry of fastapi_domains, and what to write; empty where nothing is."""
    if not isinstance(entry, str):
        return f"{entry!r} isn't text. Put it in quotes."
    if not is_hostname(entry):
        plain = bare(entry)
        instead = (
            f"Write {plain}." if plain != entry and is_hostname(plain) else "Write a host name such as www.example.com."
        )
        return f"{entry!r} isn't a host name, which has no scheme, port, path or blank. {instead}"
    if tls != "acme":
        return ""
    host = entry.lower()
    if host.startswith("*."):
        return (
            f"{entry!r} is a wildcard, and acme would need your DNS provider to prove that it is yours. "
            "List the names one by one, or write fastapi_tls: internal."
        )
    if is_address(host) or "." not in host or host.endswith(PRIVATE_ZONES):
        return (
            f"{entry!r} isn't a public name, and no public authority would certify it, so browsers get no answer. "
            "Write fastapi_tls: internal, or 'off'."
        )
    return ""


def check_domains(value: t.Any, tls: object, variable: str = "domains") -> list[Problem]:
    if isinstance(value, str):
        listed = ", ".join(bare(name) for name in re.split(r"[\s,]+", value) if name)
        return [Problem(variable, value, "it has to be a list.", write(variable, f"[{listed}]"))]
    if not isinstance(value, list):
        return [Problem(variable, value, "it has to be a list of host names.", write(variable, "[www.example.com]"))]
    problems = []
    for entry in value:
        found = check_domain(entry, tls)
        if found:
            problems.append(Problem(variable, value, *_split(found)))
    names = [entry.lower() for entry in value if isinstance(entry, str)]
    for twice in sorted({name for name in names if names.count(name) > 1}):
        problems.append(Problem(variable, value, f"{twice} is in it twice, which the proxy refuses.", "Take one out."))
    return problems


def _split(text: str) -> tuple[str, str]:
    wrong, _dot, advice = text.partition(". ")
    return wrong + ".", advice


def check_site(values: dict[str, t.Any]) -> list[Problem]:
    """All rules that join proxy, domains, tls and port; one that is missing here is refused already.

    Where ``behind`` is set, TLS ends at balancers, and this host serves plain HTTP.
    """
    tls, domains, port, proxy = (values.get(key) for key in ("tls", "domains", "http_port", "proxy"))
    # An authority of one's own may certify names that aren't public.
    public = "" if str(values.get("acme_directory", "")).startswith("https://") else tls
    problems = check_domains(domains, public) if "domains" in values else []
    if proxy == "none":
        return problems
    here = "off" if values.get("behind") else tls
    problems += _check_redirects(values.get("redirect_domains"), domains, public)
    for name in ("tls_certificate", "tls_key") if here == "files" else ():
        if values.get(name) == "":
            wrong = "it is empty, and with fastapi_tls: files the proxy reads it."
            problems.append(Problem(name, HIDDEN, wrong, write(name, f"/etc/ssl/private/{name[4:]}.pem")))
    if tls in ("acme", "internal", "files") and domains == []:
        wrong = "fastapi_domains is empty, and a certificate is for a name."
        problems.append(Problem("tls", tls, wrong, "Write fastapi_domains: [www.example.com], or fastapi_tls: 'off'."))
    if here in ("acme", "internal", "files") and port not in (80, None):
        wrong = f"with fastapi_tls: {tls} the proxy serves HTTPS on 443, and redirects plain HTTP on 80 to it."
        advice = f"{write('http_port', 80)[:-1]}, or fastapi_tls: 'off' for plain HTTP on {port}."
        problems.append(Problem("http_port", port, wrong, advice))
    count, _slash, unit = str(values.get("rate_limit", "")).partition("/")
    if proxy == "nginx" and unit == "h" and int(count) % 60:
        wrong = "nginx counts by the minute, so of an hour it has to be 60 or a multiple of it."
        nearest = f"{max(1, round(int(count) / 60)) * 60}/h"
        problems.append(Problem("rate_limit", values["rate_limit"], wrong, write("rate_limit", nearest)))
    if proxy == "caddy" and port == _CADDY_ADMIN:
        wrong = "Caddy's administration listens there."
        problems.append(Problem("http_port", port, wrong, write("http_port", 8080)))
    return problems


def _check_redirects(redirects: t.Any, domains: t.Any, tls: object) -> list[Problem]:
    if redirects is None or redirects == []:
        return []
    problems = check_domains(redirects, tls, "redirect_domains")
    if problems or not isinstance(domains, list):
        return problems
    if not domains:
        wrong = "fastapi_domains is empty, so there is no name to send anybody to."
        return [Problem("redirect_domains", redirects, wrong, "Write fastapi_domains: [example.com].")]
    if str(domains[0]).startswith("*."):
        wrong = (
            f"they are sent to the first of fastapi_domains, and {domains[0]} is no name that anybody can be sent to."
        )
        return [Problem("redirect_domains", redirects, wrong, "Put a name without * first in fastapi_domains.")]
    both = {name.lower() for name in redirects} & {str(name).lower() for name in domains}
    for name in sorted(both):
        wrong = f"{name} is in fastapi_domains too, and would be sent on to itself or to another."
        problems.append(Problem("redirect_domains", redirects, wrong, "Take it out of one of them."))
    return problems
