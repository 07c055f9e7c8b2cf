# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The proxies' part of an app's removal: its site, what Caddy's sites share, and Caddy's certificates."""

from __future__ import annotations

import os
import re
from typing import Any

from .._host.files import names_in, read_text
from .._host.systemd import Run
from .._layer.flow import Layer
from .._preflight.caddy import read_caddy
from . import places
from .places import HostTree, Removable

UNKNOWN = "_unknown.caddy"
_SITES = "/etc/caddy/sites"
_STORAGE = "/var/lib/caddy"
_CERTIFICATES = ".local/share/caddy/certificates"


def is_alone(name: str, directory: str) -> bool:
    """Whether Caddy has no site but the app's."""
    sites = {entry for entry in names_in(directory) if entry.endswith(".caddy")}
    return sites <= {f"{name}.caddy", UNKNOWN}


def certificates(host: HostTree, sites: list[str]) -> list[Removable]:
    """Certificates that Caddy keeps for names of the app's site, and of nothing else in its configuration.

    :param sites: the app's own site files.
    """
    storage = host.at(_STORAGE)
    directory = os.path.join(storage, _CERTIFICATES)
    mine = [read_text(path) for path in sites]
    files = [os.path.join(place, name) for place, _names, names in os.walk(host.at("/etc/caddy")) for name in names]
    others = [read_text(path) for path in files if path not in sites]
    found = []
    for issuer in names_in(directory):
        for entry in names_in(os.path.join(directory, issuer)):
            domain = entry.replace("wildcard_", "*", 1)
            if speaks_of(domain, mine) and not speaks_of(domain, others):
                found.append(Removable(storage, os.path.join(_CERTIFICATES, issuer, entry)))
    return found


def speaks_of(domain: str, texts: list[str]) -> bool:
    pattern = rf"(?<![\w.*-]){re.escape(domain)}(?![\w.-])"
    return any(re.search(pattern, text, re.IGNORECASE) for text in texts)


def without(text: str, caddy: dict[str, Any]) -> str:
    """The site that refuses unknown names, as it has to be without the app; '' where no port is left for it. Pure.

    The rule is the role's (_caddy_refusing in its variables), over the sites that stay.

    :param text: the site's file as it is.
    :param caddy: what read_caddy() says without the app.
    """
    wants = [] if caddy["own_main"] else caddy["others"]
    open_ports = {*caddy["open_ports"], *(int(want.get("open_port", 0)) for want in wants)}
    ports = sorted({int(port) for want in wants for port in want.get("ports", [])} - open_ports)
    addresses = ", ".join(f"{'https' if port == 443 else 'http'}://:{port}" for port in ports)
    return re.sub(r"^https?://:.* {$", f"{addresses} {{", text, count=1, flags=re.MULTILINE) if ports else ""


def site_layer(run: Run, host: HostTree, name: str, proxy: str, alone: bool) -> Layer:
    """The removal of an app's site from one proxy, which is reloaded where it runs, and goes on as before where it
    can't be.

    :param alone: whether the proxy has no other site. Caddy is restarted then: until its next start it writes to the
        log of a site that it once had, though the file is gone (2.6.2 and 2.11.7).
    """
    wanted = dict.fromkeys(places.files(host, name)[proxy], "")
    unknown = read_text(host.at(f"{_SITES}/{UNKNOWN}"))
    if proxy == "caddy" and unknown:
        wanted[host.at(f"{_SITES}/{UNKNOWN}")] = without(unknown, read_caddy(run, name, False))
    options = {"owner": "root", "group": "root", "mode": "0644", "package": None, "needs_line": ""}
    files = [
        {"path": path, "content": text, "state": "present" if text else "absent", **options}
        for path, text in wanted.items()
    ]
    unit = {"name": places.PROXY_UNITS[proxy], "enabled": False, "state": "kept", "reload_for": list(wanted)}
    unit["restart_for"] = list(wanted) if alone else []
    nothing: dict[str, Any] = {"packages": [], "user": None, "directories": [], "secrets": {}, "vet": None}
    return Layer(run, {**nothing, "files": files, "units": [unit]})
