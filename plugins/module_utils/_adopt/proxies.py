# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The proxies' files on a host: which there are, and what each says."""

from __future__ import annotations

import os
import re
from typing import Any

from .._app.words import is_ours
from .programs import Host

MAIN = {"nginx": "/etc/nginx/nginx.conf", "caddy": "/etc/caddy/Caddyfile"}


def proxy_files(host: Host) -> dict[str, Any]:
    """By proxy, the text of each file with sites; what a link leads to, by the link; and where users' passwords are.

    Files of this collection are left out.
    """
    nginx = [
        f"{directory}/{entry}"
        for directory, ending in (("/etc/nginx/conf.d", ".conf"), ("/etc/nginx/sites-enabled", ""))
        for entry in host.names(directory)
        if entry.endswith(ending) and not entry.startswith(".")
    ]
    nginx = ([MAIN["nginx"]] if host.is_file(MAIN["nginx"]) else []) + nginx
    found: dict[str, dict[str, str]] = {"nginx": {}, "caddy": {}}
    for path in nginx:
        text = read_linked(host, path)
        if text and not is_ours(text):
            found["nginx"][path] = text
    if host.is_file(MAIN["caddy"]):
        for path in (MAIN["caddy"], *_imported(host, MAIN["caddy"])):
            text = read_linked(host, path)
            if not is_ours(text):
                found["caddy"][path] = text
    files = {
        path for text in found["nginx"].values() for path in re.findall(r"auth_basic_user_file\s+\"?([^\s;\"]+)", text)
    }
    users = {path: host.read(path if path.startswith("/") else f"/etc/nginx/{path}") for path in sorted(files)}
    return {**found, "links": {path: link for path in nginx if (link := _link(host, path))}, "users": users}


def _link(host: Host, path: str) -> str:
    place = host.top + path
    return os.readlink(place) if os.path.islink(place) else ""


def read_linked(host: Host, path: str) -> str:
    """A file's text; of a link what it leads to, within the tree that is looked at."""
    link = _link(host, path)
    return host.read(os.path.normpath(os.path.join(os.path.dirname(path), link)) if link else path)


def _imported(host: Host, path: str) -> list[str]:
    """Files that a Caddyfile imports: those of a name or of a pattern in one directory."""
    found = []
    for target in re.findall(r"(?m)^import\s+(\S+)", host.read(path)):
        whole = os.path.normpath(os.path.join(os.path.dirname(path), target))
        directory, name = os.path.split(whole)
        if "*" in name:
            pattern = re.compile(re.escape(name).replace(r"\*", "[^/]*"))
            found += [f"{directory}/{entry}" for entry in host.names(directory) if pattern.fullmatch(entry)]
        elif host.is_file(whole):
            found.append(whole)
    return [path for path in found if not os.path.basename(path).startswith(".")]
