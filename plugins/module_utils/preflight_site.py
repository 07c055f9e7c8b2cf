# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules for how the site is reached: domains, certificates and the port, which depend on each other."""

from __future__ import annotations

import ipaddress
import re
import typing as t

from ansible_collections.graceful.deploy.plugins.module_utils.preflight_parse import wanted_addresses
from ansible_collections.graceful.deploy.plugins.module_utils.preflight_problem import Problem, write

_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)", re.ASCII)
# RFC 6761, RFC 6762 and ICANN's reservation of .internal: no public authority may certify these.
_PRIVATE = (
    "local",
    "localhost",
    "internal",
    "intranet",
    "lan",
    "home",
    "corp",
    "test",
    "example",
    "invalid",
    "home.arpa",
)
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
    if is_address(host) or "." not in host or host.endswith(tuple(f".{zone}" for zone in _PRIVATE)):
        return (
            f"{entry!r} isn't a public name, and no public authority would certify it, so browsers get no answer. "
            "Write fastapi_tls: internal, or 'off'."
        )
    return ""


def check_domains(value: t.Any, tls: object) -> list[Problem]:
    if isinstance(value, str):
        names = ", ".join(bare(name) for name in re.split(r"[\s,]+", value) if name)
        return [Problem("domains", value, "it has to be a list.", write("domains", f"[{names}]"))]
    if not isinstance(value, list):
        return [Problem("domains", value, "it has to be a list of host names.", write("domains", "[www.example.com]"))]
    problems = []
    for entry in value:
        found = check_domain(entry, tls)
        if found:
            problems.append(Problem("domains", value, *_split(found)))
    names = [entry.lower() for entry in value if isinstance(entry, str)]
    for twice in sorted({name for name in names if names.count(name) > 1}):
        problems.append(Problem("domains", value, f"{twice} is in it twice, which the proxy refuses.", "Take one out."))
    return problems


def _split(text: str) -> tuple[str, str]:
    wrong, _dot, advice = text.partition(". ")
    return wrong + ".", advice


def check_site(values: dict[str, t.Any]) -> list[Problem]:
    """All rules that join proxy, domains, tls and port; one that is missing here is refused already."""
    tls, domains, port, proxy = (values.get(key) for key in ("tls", "domains", "http_port", "proxy"))
    problems = check_domains(domains, tls) if "domains" in values else []
    if proxy == "none":
        return problems
    if tls in ("acme", "internal") and domains == []:
        wrong = "fastapi_domains is empty, and a certificate is for a name."
        problems.append(Problem("tls", tls, wrong, "Write fastapi_domains: [www.example.com], or fastapi_tls: 'off'."))
    if tls in ("acme", "internal") and port not in (80, None):
        wrong = f"with fastapi_tls: {tls} the proxy serves HTTPS on 443, and redirects plain HTTP on 80 to it."
        advice = f"{write('http_port', 80)[:-1]}, or fastapi_tls: 'off' for plain HTTP on {port}."
        problems.append(Problem("http_port", port, wrong, advice))
    if proxy == "caddy" and port == _CADDY_ADMIN:
        wrong = "Caddy's administration listens there."
        problems.append(Problem("http_port", port, wrong, write("http_port", 8080)))
    return problems


def check_taken(params: dict[str, t.Any], sites: dict[str, list[str]]) -> t.Iterator[Problem]:
    """Addresses that the site of another app on the host has already; `sites` are those by file."""
    wanted = {address.lower() for address in wanted_addresses(params)}
    for path, taken in sites.items():
        for address in sorted(wanted & {address.lower() for address in taken}):
            wrong = f"{path} on the host already serves {address} for another app, and Caddy takes an address once."
            advice = "Give this app other names, or remove that file, if what it serves is no more."
            if not params["domains"]:
                wrong = f"{wrong[:-1]}; without a name every request on the port is this app's."
                advice = f"Write fastapi_domains: [{params['name']}.example.com], or another fastapi_http_port."
            yield Problem("domains", params["domains"], wrong, advice)
