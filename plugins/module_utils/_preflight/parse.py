# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads what the host's programs and kernel print for preflight. Pure."""

from __future__ import annotations

import re
import typing as t

from .._app.words import is_ours


def parse_os_release(text: str) -> dict[str, str]:
    """os-release(5): shell assignments, quoted or not; in lower case."""
    found = {}
    for line in text.splitlines():
        match = re.match(r"\s*([A-Z][A-Z0-9_]*)=(.*?)\s*$", line)
        if match:
            value = match.group(2)
            if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
                value = re.sub(r"\\(.)", r"\1", value[1:-1])
            found[match.group(1).lower()] = value
    return found


def systemd_version(text: str) -> int | None:
    """The number in the first line of `systemctl --version`: "systemd 252 (252.38-1~deb12u1)"."""
    match = re.match(r"systemd (\d+)", text)
    return int(match.group(1)) if match else None


def parse_listeners(text: str) -> list[tuple[int, int]]:
    """Port and inode of each listening socket in /proc/net/tcp or tcp6 (state 0A)."""
    found = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 9 and fields[3] == "0A":
            found.append((int(fields[1].rpartition(":")[2], 16), int(fields[9])))
    return found


def unit_of(cgroups: str) -> str:
    """The systemd unit in a /proc/PID/cgroup, v1, v2 or hybrid; empty where there is none."""
    for line in cgroups.splitlines():
        _number, controllers, path = (line.split(":", 2) + ["", ""])[:3]
        if controllers in ("", "name=systemd"):
            units = [part for part in path.split("/") if part.endswith((".service", ".scope"))]
            if units:
                return units[-1]
    return ""


def wanted_ports(params: dict[str, t.Any]) -> list[int]:
    """The TCP ports that the proxy will listen on."""
    if params["proxy"] == "none":
        return []
    return [params["http_port"]] + ([443] if params["tls"] != "off" and params["http_port"] != 443 else [])


def wanted_addresses(params: dict[str, t.Any]) -> list[str]:
    """The addresses of the app's site: host names where they are by TLS, else URLs; none without a proxy."""
    if params["proxy"] == "none":
        return []
    if params["tls"] != "off":
        return [*params["domains"], *params.get("redirect_domains", [])]
    return [f"http://{domain}:{params['http_port']}" for domain in params["domains"] or [""]]


def site_addresses(text: str) -> list[str]:
    """The addresses in a site file of this collection; none in one that somebody else wrote."""
    if not is_ours(text):
        return []
    heads = [line[:-2] for line in text.splitlines() if line.endswith(" {") and not line[:1].isspace()]
    return [address for head in heads for address in head.split(", ")]


def nginx_addresses(text: str) -> list[str]:
    """The addresses in a site file of nginx's, as wanted_addresses() spells them.

    A server without a name counts only in a file of this collection: in others it is the package's default site, say.
    """
    found = []
    for block in re.split(r"\bserver\s*\{", re.sub(r"#.*", "", text))[1:]:
        names = [name for line in re.findall(r"\bserver_name\s+([^;]*);", block) for name in line.split()]
        names = [name for name in names if name != "_"] or ([""] if is_ours(text) else [])
        for listen in re.findall(r"\blisten\s+([^;]*);", block) or ["80"]:
            port = re.search(r"(?:^|:)(\d+)(?:\s|$)", listen)
            if listen.startswith("unix:"):
                continue
            secure = re.search(r"\s(ssl|quic)\b", listen)
            found += [name if secure else f"http://{name}:{port[1] if port else 80}" for name in names]
    return sorted({address for address in found if address})
