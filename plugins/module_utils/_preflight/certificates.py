# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates that lie on the host: reads them, and judges whether the proxy can serve with them."""

from __future__ import annotations

import grp
import os
import pwd
import ssl
import stat
import time
import typing as t

from .._app.problems import Problem
from .._host.certificate import read_certificate

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


WARN_DAYS = 14
DAY = 86400


def covers(name: str, domain: str) -> bool:
    """Whether a name of a certificate is good for a domain; a wildcard stands for one label."""
    name, domain = name.lower(), domain.lower()
    if name.startswith("*."):
        return name == domain or (not domain.startswith("*.") and domain.partition(".")[2] == name[2:])
    return name == domain


def judge_certificates(params: dict[str, t.Any], found: dict[str, t.Any]) -> tuple[list[Problem], list[str]]:
    """What is wrong with the files, and what is worth a warning."""
    problems: list[Problem] = []
    warnings: list[str] = []
    if found.get("acme_ca"):
        wrong = _unusable(found["acme_ca"], "certificate")
        problems.append(Problem("acme_ca", params["acme_ca"], *wrong))
    certificate, key = found.get("certificate"), found.get("key")
    if certificate:
        problems += _judge_certificate(params, certificate, found["now"])
        left = int((certificate.get("ends", 0) - found["now"]) // DAY)
        if not problems and left < WARN_DAYS:
            path = params["tls_certificate"]
            warnings.append(f"The certificate in {path} ends in {left} days. Put a new one there, and run again.")
    if key:
        problems += _judge_key(params, key, bool(certificate and certificate["problem"]))
    return problems, warnings


def _unusable(problem: str, kind: str) -> tuple[str, str]:
    if problem == "missing":
        return "there is no such file on the host.", "Put it there, or fix the path."
    line = {"certificate": "CERTIFICATE", "key": "PRIVATE KEY"}[kind]
    return f"it isn't a PEM {kind}.", f"Such a file has a line that ends in {line}-----."


def _judge_certificate(params: dict[str, t.Any], found: dict[str, t.Any], now: float) -> t.Iterator[Problem]:
    path = params["tls_certificate"]
    if found["problem"]:
        yield Problem("tls_certificate", path, *_unusable(found["problem"], "certificate"))
        return
    if found["ends"] < now or found["begins"] > now:
        ended = found["ends"] < now
        day = time.strftime("%Y-%m-%d", time.gmtime(found["ends" if ended else "begins"]))
        wrong = (
            f"it {'ended' if ended else 'is valid only from'} {'on ' if ended else ''}{day}, and browsers refuse it."
        )
        yield Problem("tls_certificate", path, wrong, "Put a valid one there; see that the host's clock is right.")
    domains = [*params["domains"], *params.get("redirect_domains", [])]
    missing = [domain for domain in domains if not any(covers(name, domain) for name in found["names"])]
    if missing:
        has = ", ".join(found["names"]) or "no name at all"
        wrong = f"it isn't for {', '.join(missing)}; it has {has}."
        advice = "Put one there that has every name of fastapi_domains and fastapi_redirect_domains."
        yield Problem("tls_certificate", path, wrong, advice)
    if found["denied"]:
        wrong = f"{found['reader']} runs as its own user and can't read it, because of the mode of {found['denied']}."
        place = f"/etc/ssl/{params['name']}.pem"
        advice = f"On the host: install -m 644 {path} {place}, and write fastapi_tls_certificate: {place}."
        yield Problem("tls_certificate", path, wrong, advice)


def _judge_key(params: dict[str, t.Any], found: dict[str, t.Any], unpaired: bool) -> t.Iterator[Problem]:
    """`unpaired`: whether there is no certificate that it could be compared with."""
    path = params["tls_key"]
    if found["problem"] == "missing":
        yield Problem("tls_key", path, *_unusable("missing", "key"))
        return
    if found["problem"] == "encrypted":
        wrong = "it is locked with a passphrase, and nobody is there to type it when the proxy starts."
        yield Problem("tls_key", path, wrong, f"Unlock it on the host: openssl pkey -in {path} -out {path}.open.")
    elif found["problem"] == "other":
        wrong = f"it isn't the key of fastapi_tls_certificate, {params['tls_certificate']}."
        yield Problem("tls_key", path, wrong, "Put the two there that were made together.")
    elif found["problem"] and not unpaired:
        yield Problem("tls_key", path, *_unusable("unreadable", "key"))
    reader = found["reader"]
    if found["owner"] != 0 or found["mode"] & 0o027:
        state = f"owned by uid {found['owner']} with mode {found['mode']:04o}"
        wrong = f"on the host it is {state}, so others than root may read or replace it."
        group = f"root:{reader}" if reader else "root:root"
        advice = f"On the host: chown {group} {path} && chmod {'640' if reader else '600'} {path}."
        yield Problem("tls_key", path, wrong, advice)
    elif found["denied"]:
        wrong = f"{reader} runs as its own user and can't read it, because of the mode of {found['denied']}."
        advice = (
            f"On the host: groupadd --system --force {reader} && install -o root -g {reader} -m 640 {path} "
            f"/etc/ssl/{params['name']}.key, and write fastapi_tls_key: /etc/ssl/{params['name']}.key."
        )
        yield Problem("tls_key", path, wrong, advice)
