# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where wheels come from: pip's own configuration, said to pip and to uv alike, and never in an argument list."""

from __future__ import annotations

import ast
import hashlib
import os
import re
import ssl
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .._host.run import environment_without, run
from .._host.text import mask


@dataclass(frozen=True)
class Index:
    """The indexes of one deploy; URLs may hold credentials, so it is never shown.

    :param cert: path of the authorities' bundle that pip was told of.
    """

    index_url: str = ""
    extra_index_urls: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    trusted_hosts: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    no_index: bool = False
    pre: bool = False
    cert: str = ""
    client_cert: str = ""
    proxy: str = ""
    timeout: str = ""


def read_index(pip: Sequence[str], options: Mapping[str, list[str]], index_url: str, where: str) -> Index:
    """The indexes that pip is configured with, joined with those of the requirements files and of the task.

    :param pip: how to start pip.
    :param where: the machine that this runs on, for the sentence of what fails.
    """
    config = run("Reading pip's configuration", [*pip, "config", "list"], environment_without("PYTHON"), where)
    return index_of(parse_config(config), options, index_url)


def parse_config(text: str) -> dict[str, str]:
    """The settings for ``pip download`` in the output of ``pip config list``: the environment wins, then download."""
    rank = {"global": 0, "download": 1, ":env:": 2}
    found: list[tuple[int, str, str]] = []
    for line in text.splitlines():
        key, separator, value = line.partition("=")
        section, _dot, name = key.rpartition(".")
        if separator and section in rank:
            try:
                found.append((rank[section], name, str(ast.literal_eval(value))))
            except (ValueError, SyntaxError):
                continue
    return {name: value for _rank, name, value in sorted(found, key=lambda item: item[0])}


def index_of(config: Mapping[str, str], options: Mapping[str, list[str]], index_url: str) -> Index:
    """Join what pip is configured with, what the requirements files add, and the task's own index.

    The most particular index wins: the task's, else the requirements file's, else pip's.
    """

    def many(name: str, option: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*config.get(name, "").split(), *options.get(option, [])]))

    def yes(name: str, option: str) -> bool:
        return config.get(name, "").lower() in ("1", "true", "yes", "on", "y", "t") or option in options

    return Index(
        index_url=index_url or (options.get("index_url") or [""])[-1] or config.get("index-url", ""),
        extra_index_urls=many("extra-index-url", "extra_index_urls"),
        find_links=many("find-links", "find_links"),
        trusted_hosts=many("trusted-host", "trusted_hosts"),
        constraints=many("constraint", "constraints"),
        # A task that names an index means to use it.
        no_index=yes("no-index", "no_index") and not index_url,
        pre=yes("pre", "pre"),
        cert=config.get("cert", ""),
        client_cert=config.get("client-cert", ""),
        proxy=config.get("proxy", ""),
        timeout=config.get("timeout", config.get("default-timeout", "")),
    )


def pip_environment(index: Index, base: Mapping[str, str]) -> dict[str, str]:
    """The environment for pip. Set as a whole, so that a file's settings and the task's are one."""
    settings = {
        "PIP_INDEX_URL": index.index_url,
        "PIP_EXTRA_INDEX_URL": " ".join(index.extra_index_urls),
        "PIP_FIND_LINKS": " ".join(index.find_links),
        "PIP_TRUSTED_HOST": " ".join(index.trusted_hosts),
        "PIP_NO_INDEX": "1" if index.no_index else "0",
        # uv was told of the constraints and has chosen. A file's setting is unset by another value only, not by ''.
        "PIP_CONSTRAINT": os.devnull,
        "PIP_NO_INPUT": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        # Nothing is installed into this Python; a user's rule about that would only stand in the way.
        "PIP_REQUIRE_VIRTUALENV": "0",
    }
    inherited = {name: value for name, value in base.items() if name not in settings and not name.startswith("PYTHON")}
    return {**inherited, **{name: value for name, value in settings.items() if value}}


def uv_environment(index: Index, base: Mapping[str, str]) -> dict[str, str]:
    """The same for uv. uv's own index settings are left out, so that both tools look in the same places."""
    links = [link for link in index.find_links if "://" in link or os.path.exists(link)]
    settings = {
        "UV_DEFAULT_INDEX": index.index_url,
        "UV_INDEX": " ".join(index.extra_index_urls),
        "UV_FIND_LINKS": ",".join(links),
        "UV_INSECURE_HOST": " ".join(index.trusted_hosts),
        "UV_PRERELEASE": "allow" if index.pre else "",
        "UV_HTTP_TIMEOUT": index.timeout,
        # pip believes the system's authorities; uv brings its own unless told.
        "UV_SYSTEM_CERTS": "1" if _has_system_authorities() else "",
        "SSL_CERT_FILE": index.cert or base.get("SSL_CERT_FILE", ""),
        "SSL_CLIENT_CERT": index.client_cert or base.get("SSL_CLIENT_CERT", ""),
        # pip takes the best version of all its indexes, and a partial mirror among them is common. By uv's own rule the
        # first index that has a package decides, and a version that pip would find may not be found.
        "UV_INDEX_STRATEGY": base.get("UV_INDEX_STRATEGY", "unsafe-best-match"),
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_NO_CONFIG": "1",
        "UV_NO_PROGRESS": "1",
        "NO_COLOR": "1",
    }
    if index.proxy:
        settings |= dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), index.proxy)
    ours = {
        *settings,
        # Given as arguments, beside which uv doesn't look at this.
        "UV_CONSTRAINT",
        "UV_INDEX_URL",
        "UV_EXTRA_INDEX_URL",
        "UV_NO_INDEX",
        "UV_CONFIG_FILE",
        "UV_OVERRIDE",
        "VIRTUAL_ENV",
    }
    inherited = {name: value for name, value in base.items() if name not in ours and not name.startswith("PYTHON")}
    return {**inherited, **{name: value for name, value in settings.items() if value}}


def fingerprint(index: Index) -> list[object]:
    """What of the index makes a set of wheels another one: addresses without credentials, contents of directories."""
    links = [link for link in index.find_links if "://" in link]
    addresses = [mask(url) for url in (index.index_url, *index.extra_index_urls, *links)]
    # Not where a directory is, which for a source that came in an archive is another place every time.
    listings = [_listing(link) for link in index.find_links if "://" not in link]
    texts = [_text_digest(path) for path in index.constraints]
    return [addresses, listings, texts, index.no_index, index.pre]


def secrets(index: Index) -> list[str]:
    """Every credential in the URLs, as written and as it is decoded."""
    found = set()
    for url in (index.index_url, *index.extra_index_urls, *index.find_links, index.proxy):
        credentials = re.search(r"://([^/\s]*)@", url)
        for part in re.split(r":", credentials[1]) + [credentials[1]] if credentials else []:
            found |= {part, urllib.parse.unquote(part)}
    # Short ones would blacken ordinary words; a user's name may be one, a token isn't.
    return sorted((part for part in found if len(part) >= 6), key=len, reverse=True)


def _listing(directory: str) -> list[tuple[str, int, int]]:
    try:
        with os.scandir(directory) as listing:
            return sorted((item.name, item.stat().st_size, item.stat().st_mtime_ns) for item in listing)
    except OSError:
        return []


def _text_digest(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return mask(path)


def _has_system_authorities() -> bool:
    paths = ssl.get_default_verify_paths()
    return bool(paths.cafile) or bool(paths.capath and os.listdir(paths.capath))
