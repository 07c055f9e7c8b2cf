# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which lines of a unit's sandbox stood in the way of an app that died. Pure."""

from __future__ import annotations

import re

from .roots import ENDING

_PERMITTED = "Operation not permitted"


def hints(said: str, root: str) -> str:
    """Which variable lifts what an app died of, a sentence each; '' where nothing points to the sandbox.

    :param said: why it failed, and its last lines.
    :param root: the app's directory.
    """
    found = []
    for path in dict.fromkeys(re.findall(r"Read-only file system: b?['\"]?([^'\"\s]+)", said)):
        found.append(f"{path} is read-only to the app: {_writable(path, root, said)}")
    if re.search(
        r"[Cc]annot allocate write\+execute memory|failed to map segment|cannot (enable|apply) (executable|additional)|"
        rf"Unable to allocate section memory|LLVM ERROR.*(memory|[Pp]ermission)|ffi_prep_closure.*{_PERMITTED}|"
        # Node.js and browsers, which the app starts.
        "Fatal process o(ut of memory|om)|Check failed: .*(SetPermissions|mprotect)|V8::FatalProcess|MarkAsExecutable",
        said,
    ):
        found.append("The app wants memory that it can both write and execute. Write fastapi_allow_jit: true.")
    if re.search(rf"attempting to bind on address.*{_PERMITTED}|\bbind\(.*(\n.*){{0,6}}{_PERMITTED}", said, re.I):
        found.append("The app binds a socket of its own. Write fastapi_allow_listen: true.")
    if "Address family not supported by protocol" in said:
        found.append(
            "The app opens a socket that is neither unix nor internet. Write fastapi_sandbox: "
            "{RestrictAddressFamilies: AF_UNIX AF_INET AF_INET6 AF_NETLINK}, or the family that it needs."
        )
    if "can't start new thread" in said or re.search(r"fork\b.*(\n.*){0,3}Resource temporarily unavailable", said):
        found.append("The app has as many threads and processes as it may. Write fastapi_sandbox: {TasksMax: 4000}.")
    for path in dict.fromkeys(re.findall(r"(?:No such file or directory|not permitted): ['\"](/dev/[^'\"]+)", said)):
        wanted = f"{{PrivateDevices: false, DevicePolicy: closed, DeviceAllow: {path} rw}}"
        found.append(f"{path} is hidden from the app. Write fastapi_sandbox: {wanted}.")
    if "status 226" in said:
        found.append("Status 226 is a path that isn't on the host: see fastapi_writable_paths and fastapi_sandbox.")
    if "status 243" in said:
        found.append("Status 243 is a credential that couldn't be read: see fastapi_credentials.")
    if re.search(r"(No such file or directory|Permission denied): ['\"]/run/credentials/", said):
        found.append(
            "systemd gave the app no such credential: see fastapi_credentials. In a container systemd hands over none "
            "until its mounts are shared (mount --make-rshared /)."
        )
    if not found and _PERMITTED in said:
        found.append(
            f"'{_PERMITTED}' may be the sandbox: fastapi_sandbox lifts a line of it, such as {{SystemCallFilter: ''}}."
        )
    return " ".join(found)


def _writable(path: str, root: str, said: str) -> str:
    """What to write for a path that the app may only read; relative paths are the release's.

    A shared directory takes the place of what the source has there, so it is never one with code in it.
    """
    match = re.fullmatch(rf"{re.escape(root)}/(?:releases|slots)/[^/]+/(?:release/)?(.+)", path)
    inside = match[1] if match else path
    if inside.startswith("/"):
        return f"write fastapi_writable_paths: [{path.rpartition('/')[0] or path}]."
    made = re.search(r"\b(?:mkdir|makedirs)\(.*\n(?:[ ~^]*\n|  .*\n)*\w*Error: .*" + re.escape(path), said)
    top = inside if made else inside.rpartition("/")[0]
    code = {place.rpartition("/")[0] for place in re.findall(r'/releases/[^/]+/([^"]+)", line', said)}
    if not top or any(f"{place}/".startswith(f"{top}/") for place in code):
        if not made and ENDING.search(inside):
            return f"write fastapi_shared_paths: [{inside}], and the app has it from release to release."
        return (
            f"write fastapi_shared_paths: [data], and have the app keep {inside.rpartition('/')[2]} in data/, which it "
            "has from release to release."
        )
    return f"write fastapi_shared_paths: [{top}], and the app has it from release to release."
