# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What each variable of the front door may look like: a Problem, or None where the value is good. Pure.

All of it lands in a proxy's configuration, so nothing passes that could end a line, a word or a block there.
"""

from __future__ import annotations

import ipaddress
import re
import typing as t

from ...module_utils._app.problems import HIDDEN, Problem, show, write
from .rules import plain_path, url_path

ACME_WORDS = ("letsencrypt", "letsencrypt-staging")
# What HTTP/1.1 itself or the proxy sets in each answer (RFC 9110, RFC 9112), in small letters.
SERVERS_OWN = frozenset(
    """
    connection content-encoding content-length content-range date keep-alive proxy-connection server te trailer
    transfer-encoding upgrade via x-request-id
    """.split()
)
_RATE = re.compile(r"([1-9][0-9]{0,6})/([smh])", re.ASCII)
_BCRYPT = re.compile(r"\$2[aby]\$[0-9]{2}\$[./A-Za-z0-9]{53}", re.ASCII)


def host_path(variable: str, value: t.Any) -> Problem | None:
    """Absolute path of a file on the host."""
    if (
        isinstance(value, str)
        and re.fullmatch(r"(/[A-Za-z0-9._@+-]+)+", value, re.ASCII)
        and ".." not in value.split("/")
    ):
        return None
    wrong = "it has to be an absolute path on the host, of letters, digits and . _ @ + - only."
    return Problem(variable, value, wrong, write(variable, f"/etc/ssl/private/{variable.rpartition('_')[2]}.pem"))


def acme_directory(variable: str, value: t.Any) -> Problem | None:
    if isinstance(value, str) and (
        value in ACME_WORDS or re.fullmatch(r"https://[A-Za-z0-9.:/_~%-]+", value, re.ASCII)
    ):
        return None
    wrong = f"it has to be {' or '.join(ACME_WORDS)}, or the URL of an ACME directory, which begins with https://."
    return Problem(variable, value, wrong, write(variable, ACME_WORDS[0]))


def email(variable: str, value: t.Any) -> Problem | None:
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", value, re.ASCII):
        return None
    return Problem(variable, value, "it has to be an e-mail address.", write(variable, "me@example.com"))


def rate(variable: str, value: t.Any) -> Problem | None:
    if isinstance(value, str) and _RATE.fullmatch(value):
        return None
    wrong = "it has to be a number of requests, a slash, and s, m or h for a second, minute or hour."
    number = re.search(r"[1-9][0-9]{0,6}", str(value))
    return Problem(variable, value, wrong, write(variable, f"{number[0] if number else 20}/s"))


def is_network(value: t.Any) -> bool:
    # Python takes whatever stands behind a % for an IPv6 zone, and netmasks, which the proxies don't know.
    if not isinstance(value, str) or not re.fullmatch(r"[0-9A-Fa-f:.]+(/[0-9]{1,3})?", value, re.ASCII):
        return False
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        return False
    return True


def networks(variable: str, value: t.Any) -> Problem | None:
    if not isinstance(value, list):
        entry = value if is_network(value) else "10.0.0.0/8"
        return Problem(variable, value, "it has to be a list.", write(variable, f"[{entry}]"))
    for entry in value:
        if not is_network(entry):
            wrong = f"{show(entry)} in it is no address and no network such as 10.0.0.0/8 or 2001:db8::/32."
            return Problem(variable, value, wrong, "Fix that entry or take it out.")
    return None


def static(variable: str, value: t.Any) -> Problem | None:
    """Directories inside the release by the URL's path."""
    example = write(variable, "{/static: app/static}")
    if not isinstance(value, dict):
        return Problem(variable, value, "it has to be a mapping of URL paths to directories.", example)
    for path, directory in value.items():
        if url_path(variable, path) or path == "/" or path.endswith("/"):
            wrong = (
                f"{show(path)} has to be the path of a URL below /, of letters, digits and . _ ~ / - only, without a "
            )
            wrong += "slash at its end, // or a . or .. between slashes."
            plain = plain_path(path).rstrip("/") or "/static"
            return Problem(variable, value, wrong, f"Write {plain} for it.")
        inside = isinstance(directory, str) and re.fullmatch(
            r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*", directory, re.ASCII
        )
        if not inside:
            wrong = f"{show(directory)} has to be a directory in the source, such as app/static, without a leading dot."
            return Problem(variable, value, wrong, example)
    return None


def protect(variable: str, value: t.Any) -> Problem | None:
    """Paths with users or addresses. Hashes of passwords are never shown."""
    example = write(variable, "[{path: /admin, addresses: [10.0.0.0/8]}]")
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        return Problem(variable, HIDDEN, "it has to be a list of mappings.", example)
    for entry in value:
        path = entry.get("path")
        if unknown := sorted(map(str, entry.keys() - {"path", "users", "addresses"})):
            wrong = f"an entry has {', '.join(unknown)}, and there are only path, users and addresses."
            return Problem(variable, HIDDEN, wrong, example)
        if problem := url_path(variable, path):
            advice = f"Write path: {plain_path(path)}." if isinstance(path, str) else example
            return Problem(variable, HIDDEN, f"the path {show(path)} would protect nothing; {problem.wrong}", advice)
        users, addresses = entry.get("users"), entry.get("addresses")
        if not users and not addresses:
            wrong = f"{path} has neither users nor addresses, so nobody would be let in."
            return Problem(variable, HIDDEN, wrong, example)
        if users and not isinstance(users, dict):
            wrong = f"users of {path} have to be a mapping of names to bcrypt hashes."
            return Problem(variable, HIDDEN, wrong, "Make a line with htpasswd -nB ann.")
        for name, hashed in (users or {}).items():
            if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9._@-]+", name, re.ASCII):
                wrong = f"{show(name)} isn't a user name of letters, digits and . _ @ -."
                return Problem(variable, HIDDEN, wrong, "Fix the name.")
            if not isinstance(hashed, str) or not _BCRYPT.fullmatch(hashed):
                wrong = f"the password of {name} for {path} isn't a bcrypt hash, which begins with $2y$, $2b$ or $2a$."
                return Problem(variable, HIDDEN, wrong, f"Make one with htpasswd -nB {name}, and quote it.")
        if addresses is not None and (problem := networks(variable, addresses)):
            return Problem(variable, HIDDEN, f"addresses of {path}: {problem.wrong}", problem.advice)
    return None


def headers(variable: str, value: t.Any) -> Problem | None:
    example = write(variable, "{X-Frame-Options: DENY}")
    if not isinstance(value, dict):
        return Problem(variable, value, "it has to be a mapping of header names to values.", example)
    for name, text in value.items():
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", name, re.ASCII):
            return Problem(variable, value, f"{show(name)} isn't the name of a header.", example)
        if name.lower() in SERVERS_OWN:
            wrong = (
                f"{name} is the server's own: it says how one answer goes over the connection, and another value or a "
            )
            wrong += "second one would break answers or be dropped."
            return Problem(variable, value, wrong, f"Take {name} out.")
        # A dollar or a brace would be a variable to nginx or a placeholder to Caddy.
        if not isinstance(text, str) or not re.fullmatch(r"[ -~]+", text) or re.search(r'[$"\\{}`]', text):
            wrong = f'{name} has to be text on one line, without any of $ " \\ {{ }} and backquotes.'
            return Problem(variable, value, wrong, example)
    return None


def snippet(variable: str, value: t.Any) -> Problem | None:
    if isinstance(value, str) and not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", value):
        return None
    wrong = "it has to be text, of one line or more, without control characters."
    return Problem(variable, value, wrong, "Put a | behind the colon, and the lines below it.")


def boolean(variable: str, value: t.Any) -> Problem | None:
    if isinstance(value, bool):
        return None
    return Problem(variable, value, "it has to be true or false.", write(variable, "true")[:-1].replace("'", "") + ".")
