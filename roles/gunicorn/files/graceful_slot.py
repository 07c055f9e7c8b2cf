# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Starts a slot under Oxmgr: what systemd does for a service, this does here. Then it becomes the arbiter.

    graceful_slot.py NAME USER GROUP [listen]

Oxmgr has no users, no sockets, no credentials, and an interface that is open to all who reach its network. So root's
daemon runs in a network of its own, and this leaves it, takes the socket of its slot and nothing else, and gives away
all rights. It forks nobody, so what Oxmgr watches is the arbiter. Where it can't give an app just what it should have,
it refuses to start it.
"""

from __future__ import annotations

import contextlib
import ctypes
import grp
import os
import pwd
import re
import shutil
import socket
import sys
from typing import NoReturn

CLONE_NEWNET = 0x40000000
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 24, 38, 47, 4
SECCOMP_ALLOW, SECCOMP_ERRNO, EPERM = 0x7FFF0000, 0x00050000, 1
ENTRY = re.compile(r'([A-Za-z_][A-Za-z0-9_]*)="((?:[^"\\]|\\["\\`$])*)"\n')
NOTICE = 5
TOLD = 4
"""The file descriptor of what the arbiter tells of itself; 3 is the socket."""
WATCHDOG = 20
"""Seconds within which the arbiter tells that it lives; what watches it is more patient (by Oxmgr's health check)."""
libc = ctypes.CDLL(None, use_errno=True)


def refuse(why: str) -> NoReturn:
    sys.stderr.write(f"This slot can't be started under Oxmgr: {why}\n")
    sys.stderr.flush()
    sys.exit(78)


def check(number: int) -> None:
    """What a function of the C library has returned."""
    if number < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def log_to_journal(identifier: str) -> str:
    """Standard output and error to the app's journal: Oxmgr's own pipes end with it, and at the first byte that isn't
    UTF-8. Returns what tells the stream, as systemd does in JOURNAL_STREAM."""
    stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    stream.connect("/run/systemd/journal/stdout")
    stream.shutdown(socket.SHUT_RD)
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 << 20)
    # The identifier, no unit but the one that journald sees, the priority, its prefixes, and nowhere else.
    stream.sendall(f"{identifier}\n\n{NOTICE}\n1\n0\n0\n0\n".encode())
    status = os.fstat(stream.fileno())
    for number in (1, 2):
        os.dup2(stream.fileno(), number)
    stream.close()
    return f"{status.st_dev}:{status.st_ino}"


def take_socket(unit: str) -> None:
    """The slot's socket, which the daemon got from systemd, as 3; what else is open is closed."""
    names = os.environ.get("LISTEN_FDNAMES", "").split(":")
    if unit not in names or os.environ.get("LISTEN_FDS") != str(len(names)):
        refuse(f"its daemon has no socket of {unit}.")
    number = 3 + names.index(unit)
    with socket.socket(fileno=os.dup(number)) as found:
        if not found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            refuse(f"what its daemon has for {unit} isn't a listening socket.")
    if number != 3:
        os.dup2(number, 3)
    os.set_inheritable(3, True)
    os.closerange(4, os.sysconf("SC_OPEN_MAX"))


def open_told(path: str) -> None:
    """The file in which the arbiter tells of itself, root's own, as TOLD."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    if number != TOLD:
        os.dup2(number, TOLD)
        os.close(number)
    os.set_inheritable(TOLD, True)


def environment(text: str) -> dict[str, str]:
    """An environment file, as deploys write it. No value of it is in what is said."""
    found, end = {}, 0
    while end < len(text):
        match = ENTRY.match(text, end)
        if not match:
            refuse("its environment has a line that no deploy has written. Deploy again.")
        found[match[1]], end = re.sub(r'\\(["\\`$])', r"\1", match[2]), match.end()
    return found


def copy_credentials(source: str, target: str, user: int, group: int) -> bool:
    """Root's secrets as files of the app's user, in memory. Whether there are any. The directory stays root's: what an
    app could put there, root would have to get rid of at the next start."""
    shutil.rmtree(target, ignore_errors=True)
    names = os.listdir(source) if os.path.isdir(source) else []
    if not names:
        return False
    os.makedirs(target, 0o700)
    for name in names:
        with open(os.path.join(source, name), "rb") as file:
            number = os.open(os.path.join(target, name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
            with os.fdopen(number, "wb") as copy:
                shutil.copyfileobj(file, copy)
        os.chown(os.path.join(target, name), user, group)
    os.chown(target, -1, group)
    os.chmod(target, 0o750)
    return True


def leave_network() -> None:
    """Back to the host's network, out of the one in which the daemon takes orders from anybody."""
    if os.stat("/proc/self/ns/net").st_ino == os.stat("/proc/1/ns/net").st_ino:
        refuse("its daemon has no network of its own, so that everybody on this host could command it.")
    place = os.open("/proc/1/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    check(libc.setns(place, CLONE_NEWNET))
    os.close(place)


def give_up_rights(name: str, user: int, group: int) -> None:
    check(libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))
    with open("/proc/sys/kernel/cap_last_cap", encoding="ascii") as file:
        last = int(file.read())
    for capability in range(last + 1):
        check(libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0))
    os.initgroups(name, group)
    os.setresgid(group, group, group)
    os.setresuid(user, user, user)
    check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    with open("/proc/self/status", encoding="utf-8") as file:
        if re.search(r"^Cap(Inh|Prm|Eff|Bnd|Amb):\s*0*[1-9a-f]", file.read(), re.MULTILINE):
            refuse("rights of root's are left.")


def refuse_ports() -> None:
    """No bind(), and a listen() that does nothing, as the service's unit has it (SystemCallFilter=). The daemon has to
    listen, so it can't be in its unit."""
    try:
        seccomp = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    except OSError:
        refuse("the host has no libseccomp2. Install it, or write fastapi_allow_listen: true.")
    seccomp.seccomp_init.restype = ctypes.c_void_p
    rules = ctypes.c_void_p(seccomp.seccomp_init(ctypes.c_uint32(SECCOMP_ALLOW)))
    for name, error in ((b"bind", EPERM), (b"listen", 0)):
        number = seccomp.seccomp_syscall_resolve_name(name)
        if not rules or seccomp.seccomp_rule_add(rules, ctypes.c_uint32(SECCOMP_ERRNO | error), number, 0) < 0:
            refuse("the kernel takes no filter of system calls.")
    if seccomp.seccomp_load(rules) < 0:
        refuse("the kernel takes no filter of system calls.")


def main(name: str, user: str, group: str, listen: str = "") -> None:
    here = os.path.dirname(os.path.abspath(__file__))
    root, slot = os.path.dirname(os.path.dirname(here)), os.path.basename(here)
    stream = log_to_journal(f"{name}-{slot}")
    account, gid = pwd.getpwnam(user), grp.getgrnam(group).gr_gid
    unit, run = f"{name}@{slot}.socket", f"/run/{name}-oxmgr/{slot}"
    take_socket(unit)
    open_told(f"{run}/told")
    with open(f"{here}/env", encoding="utf-8", newline="") as file:
        wanted = environment(file.read())
    given = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin",
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        "USER": user,
        "LOGNAME": user,
        "SHELL": account.pw_shell,
        "HOME": f"{root}/home",
        "TMPDIR": "/var/tmp",
        "FASTAPI_NAME": name,
        "FASTAPI_SLOT": slot,
        "PYTHONUNBUFFERED": "1",
        **wanted,
        "JOURNAL_STREAM": stream,
        "LISTEN_FDS": "1",
        "LISTEN_FDNAMES": unit,
        "LISTEN_PID": str(os.getpid()),
        "FASTAPI_TOLD": str(TOLD),
        "WATCHDOG_USEC": str(WATCHDOG * 1_000_000),
    }
    if copy_credentials(f"{here}/credentials", f"{run}/credentials", account.pw_uid, gid):
        given["CREDENTIALS_DIRECTORY"] = f"{run}/credentials"
    leave_network()
    give_up_rights(user, account.pw_uid, gid)
    os.umask(0o077)
    os.chdir(f"{here}/release")
    if listen != "listen":
        refuse_ports()
    python = f"{here}/release/.venv/bin/python"
    os.execve(python, [python, "-m", "gunicorn", "-c", f"{here}/gunicorn.conf.py"], given)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (OSError, KeyError) as error:
        refuse(f"{error}.")
