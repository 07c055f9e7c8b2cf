# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates that lie on the host, as preflight_certificate_rules asks for them. Reads only; keeps to Python 3.8."""

from __future__ import annotations

import grp
import os
import pwd
import ssl
import stat
import time
import typing as t

# nginx reads its keys as root before it starts its workers.
READERS = {"caddy": "caddy"}


def read_certificates(params: dict[str, t.Any]) -> dict[str, t.Any]:
    """What judge_certificates() asks for; empty where no file on the host is named."""
    found: dict[str, t.Any] = {"now": time.time()}
    if params["proxy"] == "none":
        return found
    if params["tls"] == "files":
        certificate, key = params["tls_certificate"], params["tls_key"]
        reader = READERS.get(params["proxy"], "")
        readable = {"reader": reader, "denied": denied(certificate, reader)}
        found["certificate"] = {**read_certificate(certificate), **readable}
        found["key"] = {**read_key(certificate, key), "reader": reader, "denied": denied(key, reader)}
    if params["tls"] == "acme" and params["acme_ca"]:
        found["acme_ca"] = read_authority(params["acme_ca"])
    return found


def read_certificate(path: str) -> dict[str, t.Any]:
    """``problem`` is missing or unreadable; else ``begins``, ``ends`` (seconds since the epoch) and ``names``."""
    if not os.path.isfile(path):
        return {"problem": "missing"}
    try:
        # No public call tells what is in a certificate without a connection; this one is there since Python 2.6.
        seen = ssl._ssl._test_decode_cert(path)  # type: ignore[attr-defined]
    except (OSError, ValueError):
        return {"problem": "unreadable"}
    names = [name for kind, name in seen.get("subjectAltName", ()) if kind in ("DNS", "IP Address")]
    begins, ends = (ssl.cert_time_to_seconds(seen[field]) for field in ("notBefore", "notAfter"))
    return {"problem": "", "begins": begins, "ends": ends, "names": names}


def read_key(certificate: str, path: str) -> dict[str, t.Any]:
    """``problem`` is missing, encrypted, unreadable or other (another certificate's); ``mode`` and ``owner``."""
    if not os.path.isfile(path):
        return {"problem": "missing"}
    status = os.stat(path)
    return {
        "problem": key_problem(certificate, path),
        "mode": stat.S_IMODE(status.st_mode),
        "owner": status.st_uid,
    }


def key_problem(certificate: str, path: str) -> str:
    asked = []

    def passphrase() -> str:
        asked.append(True)
        return ""

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, path, passphrase)
    except (OSError, ValueError) as error:
        if asked:
            return "encrypted"
        return "other" if "MISMATCH" in str(getattr(error, "reason", "")) else "unreadable"
    return ""


def read_authority(path: str) -> str:
    if not os.path.isfile(path):
        return "missing"
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except (OSError, ValueError):
        return "unreadable"
    return ""


def denied(path: str, user: str) -> str:
    """The first part of a path that keeps `user` from reading it; empty where nothing does, or nobody is named.

    A user that isn't there yet is taken for one in the group of its name.
    """
    if not user:
        return ""
    try:
        uid = pwd.getpwnam(user).pw_uid
        groups = os.getgrouplist(user, pwd.getpwnam(user).pw_gid)
    except KeyError:
        uid, groups = -1, [row.gr_gid for row in grp.getgrall() if row.gr_name == user]
    real = os.path.realpath(path)
    parents = [real[:index] or "/" for index, char in enumerate(real) if char == "/"]
    for part in [*parents, real]:
        try:
            status = os.stat(part)
        except OSError:
            return ""  # that it is missing is told elsewhere
        bit = 4 if part == real else 1
        shift = 6 if status.st_uid == uid else 3 if status.st_gid in groups else 0
        if not status.st_mode >> shift & bit:
            return part
    return ""
