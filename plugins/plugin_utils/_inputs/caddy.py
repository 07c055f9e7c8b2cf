# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which Caddy will serve, and what that one can't do. Pure: the same words for preflight and for the role alone."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import os
import re
import tarfile
import typing as t

from ...module_utils._app.problems import HIDDEN, Problem
from ...module_utils._preflight.caddy import BROUGHT, PACKAGED_VERSION

OLDEST = (2, 6, 2)
# health_fails, trusted_proxies_strict; and client_ip and stream_close_delay, which are older.
CURRENT = (2, 8, 0)
# The first that hands on what its compression holds when the app flushes.
FLUSHES = (2, 9, 0)


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def choose(host: dict[str, t.Any], program: Program | None) -> dict[str, t.Any]:
    """What the role's templates go by.

    :param host: what caddy_host.read_caddy() returned.
    :param program: the one that the user named, if any.
    :return: ``program`` (its path on the host), ``version``, ``modules``, ``current`` (whether it is 2.8 or newer),
        ``flushes`` (whether a compressed stream is one, 2.9), ``brought`` (whether it is one that the user named),
        ``present`` (whether it is on the host already), ``packages`` that give it its unit and user, ``stale`` (paths
        of programs brought before), and what the other sites want: ``others``, ``open_ports`` and ``own_main``; and
        ``drops_on_reload``.
    """
    if program:
        path, version, modules = BROUGHT + program.digest, program.version, program.modules
        present = path in host["brought"]
    else:
        path, version, modules = host["program"], host["version"], host["modules"]
        present = bool(version)
    version = version or PACKAGED_VERSION
    hand_made = bool(host["version"]) and not host["packaged"]
    return {
        "program": path,
        "version": version,
        "modules": modules,
        "current": numbers(version) >= CURRENT,
        "flushes": numbers(version) >= FLUSHES,
        "brought": program is not None,
        "present": present,
        # A Caddy that no package brought isn't overwritten by one.
        "packages": [] if hand_made else ["caddy"],
        "stale": [old for old in host["brought"] if old != path],
        "others": host["others"],
        "open_ports": host["open_ports"],
        "own_main": host["own_main"],
        "drops_on_reload": host["drops_on_reload"],
    }


def problems(params: dict[str, t.Any], host: dict[str, t.Any], program: Program | None) -> t.Iterator[Problem]:
    """What can't be had.

    :param params: ``caddy``, ``rate_limit``, ``trusted_proxies`` and ``protect``, as in the role fastapi.
    """
    chosen = choose(host, program)
    version = chosen["version"]
    if program and program.machine != host["machine"]:
        wrong = f"that program is for {program.machine}, and the host is {host['machine']}."
        yield Problem("caddy", params["caddy"], wrong, "Name the one for the host.")
    if not program and host["version"] and not host["packaged"] and not (host["unit"] and host["account"]):
        lacks = "no caddy.service" if not host["unit"] else "no user and group caddy"
        wrong = f"the host has a Caddy that no package brought ({host['program']}), and {lacks} to run it."
        advice = "Remove that program, and Debian's is installed; or install Caddy as its documentation says for units."
        yield Problem("caddy", params["caddy"], wrong, advice)
    if numbers(version) < OLDEST:
        wrong = f"Caddy {version} is too old; the site needs 2.6.2 or newer."
        yield Problem("caddy", params["caddy"], wrong, "Update it on the host, or name a newer program.")
    if params["rate_limit"] and RATE_LIMIT not in chosen["modules"]:
        whose = "the Caddy that you name" if program else f"the host's Caddy {version}"
        wrong = f"{whose} lacks the module {RATE_LIMIT}, and would refuse the site."
        advice = "Name a Caddy that was built with it in fastapi_caddy, or write fastapi_proxy: nginx, which can."
        yield Problem("rate_limit", params["rate_limit"], wrong, advice)
    if params["trusted_proxies"] and not chosen["current"]:
        entries = [entry["path"] for entry in params["protect"] if entry.get("addresses")]
        if entries:
            wrong = (
                f"Caddy {version} knows a client behind a trusted proxy by no address that {entries[0]} could go by."
            )
            advice = "Name Caddy 2.8 or newer in fastapi_caddy, write fastapi_proxy: nginx, or protect it by users."
            yield Problem("protect", HIDDEN, wrong, advice)


def warnings(chosen: dict[str, t.Any]) -> list[str]:
    said = []
    if chosen["own_main"]:
        said.append(
            "/etc/caddy/Caddyfile is your own and left alone, so the times for a request's head, for idle connections "
            "and for a reload are the ones in it, and a request for a name that no site has is answered as it says."
        )
    if chosen["drops_on_reload"]:
        said.append(
            "net.ipv4.tcp_migrate_req is 0, and can't be set from inside this host, as in a container. "
            "A request that arrives while Caddy reads a changed site may be lost. Deploys reload nothing. Where the "
            "host is started, set it to 1: with Docker, --sysctl net.ipv4.tcp_migrate_req=1."
        )
    return said


_MACHINES = {3: "i686", 40: "armv7l", 62: "x86_64", 183: "aarch64", 243: "riscv64", 21: "ppc64le", 22: "s390x"}
_ELF = b"\x7fELF"
_DEB = b"!<arch>\n"
# Go writes the versions of everything that a program was built from into it.
_VERSION = re.compile(rb"(?:mod|dep)\tgithub\.com/caddyserver/caddy/v2\tv([0-9]+\.[0-9]+\.[0-9]+)")
RATE_LIMIT = "http.handlers.rate_limit"


class NotCaddy(ValueError):
    """What is wrong with the file, and what to name instead: two sentences."""


@dataclasses.dataclass(frozen=True)
class Program:
    """`content` is the program itself, also where the file is a package; `version` is empty where it isn't told."""

    content: bytes = dataclasses.field(repr=False)
    machine: str
    version: str
    modules: list[str]

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()[:16]


def ar_members(archive: bytes) -> dict[str, bytes]:
    """The files in an ar archive, which is what a .deb is (deb(5))."""
    members = {}
    offset = len(_DEB)
    while offset + 60 <= len(archive):
        name, size = archive[offset : offset + 16], archive[offset + 48 : offset + 58]
        start = offset + 60
        end = start + int(size)
        members[name.decode("ascii", "replace").strip().rstrip("/")] = archive[start:end]
        offset = end + end % 2
    return members


def unpack(archive: bytes) -> tuple[bytes, str]:
    """The program in a .deb, and the package's version.

    :raises NotCaddy: where there is none, or the package is compressed in a way that Python can't read.
    """
    found = {}
    for member, content in ar_members(archive).items():
        if not member.startswith(("control.tar", "data.tar")):
            continue
        try:
            with tarfile.open(fileobj=io.BytesIO(content)) as tar:
                for wanted in ("./control", "control", "./usr/bin/caddy", "usr/bin/caddy"):
                    file = tar.extractfile(wanted) if wanted in tar.getnames() else None
                    if file:
                        found[wanted.rpartition("/")[2]] = file.read()
        except tarfile.ReadError:
            wrong = f"its {member} is compressed in a way that this Python can't read."
            raise NotCaddy(f"{wrong} Take the program out of it (dpkg-deb -x) and name that.") from None
    if "caddy" not in found:
        raise NotCaddy("it is a package without /usr/bin/caddy. Name Caddy's own package or its program.")
    version = re.search(rb"(?m)^Version: (?:[0-9]+:)?v?([0-9]+\.[0-9]+\.[0-9]+)", found.get("control", b""))
    return found["caddy"], version[1].decode() if version else ""


def inspect(path: str) -> Program:
    """:raises NotCaddy: where the file isn't a Linux program, or not Caddy.

    :raises OSError: where it can't be read.
    """
    if os.path.isdir(path):
        raise NotCaddy("it is a directory. Name the program in it.")
    with open(path, "rb") as file:
        content = file.read()
    packaged = ""
    if content.startswith(_DEB):
        try:
            content, packaged = unpack(content)
        except (tarfile.TarError, EOFError, ValueError) as error:
            if isinstance(error, NotCaddy):
                raise
            raise NotCaddy("the package is damaged. Fetch it again.") from None
    if not content.startswith(_ELF) or len(content) < 20:
        raise NotCaddy("it is neither a Linux program nor a .deb. Name Caddy's program, as caddyserver.com offers it.")
    if b"caddyserver/caddy" not in content:
        raise NotCaddy("it is a program, but not Caddy. Name Caddy's program, as caddyserver.com offers it.")
    machine = int.from_bytes(content[18:20], "little" if content[5] == 1 else "big")
    told = _VERSION.search(content)
    modules = [RATE_LIMIT] if RATE_LIMIT.encode() in content else []
    return Program(content, _MACHINES.get(machine, f"ELF {machine}"), told[1].decode() if told else packaged, modules)
