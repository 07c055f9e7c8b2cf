# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asks a daemon of Oxmgr's by its own protocol: a line of JSON each way over TCP. Never by its program, which starts a
second daemon where the first is busy."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import socket
import threading
import time
from dataclasses import dataclass
from typing import Any

ADDRESS = ("127.0.0.1", 40000)
LONGEST = 16 << 20
"""Bytes of an answer, which holds all that Oxmgr knows of each app."""
_CLONE_NEWNET = 0x40000000


class OxmgrError(Exception):
    """A sentence for people. What was asked may have been done all the same where `late` is true."""

    def __init__(self, sentence: str, late: bool = False) -> None:
        super().__init__(sentence)
        self.late = late


@dataclass(frozen=True)
class Process:
    """What Oxmgr says of an app. `status` is running, stopped, crashed, restarting or errored; `desired` is running or
    stopped, and what it starts by; `started` is in seconds since 1970."""

    name: str
    status: str
    desired: str
    pid: int | None
    restarts: int
    exit_code: int | None
    started: int | None


class Client:
    """A daemon of one app.

    :param pid: of the daemon, if it has a network of its own.
    :param limit: seconds for one question. One loop does all of Oxmgr's work, so that any answer but those to ping,
        status and list may take as long as a stop, and those as well while it is starting or stopping something.
    """

    def __init__(self, address: tuple[str, int] = ADDRESS, pid: int | None = None, limit: float = 10) -> None:
        self.address = address
        self.pid = pid
        self.limit = limit

    def ping(self, limit: float | None = None) -> None:
        self._ask("ping", limit=limit)

    def list(self, limit: float | None = None) -> dict[str, Process]:
        """All apps by their names."""
        answer = self._ask("list", limit=limit)
        return {process.name: process for process in map(_process, answer.get("processes") or [])}

    def status(self, name: str, limit: float | None = None) -> Process:
        return _process(self._ask("status", limit=limit, target=name).get("process"))

    def start(self, spec: dict[str, Any], limit: float | None = None) -> Process:
        """Register an app and start it. One that is registered, and be it stopped, is refused: restart() starts it."""
        return _process(self._ask("start", limit=limit, spec=spec).get("process"))

    def stop(self, name: str, limit: float | None = None) -> None:
        """Stop an app for good, over reboots too. It is answered when the app has ended."""
        self._ask("stop", limit=limit, target=name)

    def restart(self, name: str, limit: float | None = None) -> Process:
        """Stop an app and start it; or start one that is stopped."""
        return _process(self._ask("restart", limit=limit, target=name).get("process"))

    def delete(self, name: str, limit: float | None = None) -> None:
        self._ask("delete", limit=limit, target=name)

    def _ask(self, kind: str, limit: float | None, **more: Any) -> dict[str, Any]:
        limit = self.limit if limit is None else limit
        end = time.monotonic() + limit
        line = _answer(self._connect(limit), {"type": kind, **more}, end, limit)
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or not isinstance(answer.get("ok"), bool):
            raise OxmgrError(f"What answers on {_shown(self.address)} isn't Oxmgr: {line[:80]!a}.")
        if not answer["ok"]:
            raise OxmgrError(
                f"Oxmgr refuses to {kind} {more.get('target', '')}".rstrip() + f": {answer.get('message')}."
            )
        return answer

    def _connect(self, limit: float) -> socket.socket:
        try:
            made = socket_in(self.pid) if self.pid else socket.socket()
        except OSError as error:
            raise OxmgrError(
                f"The network of Oxmgr's daemon, process {self.pid}, can't be entered: {error}."
            ) from error
        try:
            made.settimeout(limit)
            made.connect(self.address)
        except OSError as error:
            made.close()
            raise OxmgrError(f"Oxmgr can't be reached on {_shown(self.address)}: {error}.") from error
        return made


def _answer(link: socket.socket, request: dict[str, Any], end: float, limit: float) -> bytes:
    """The line that answers, by its time limit as a whole."""
    said = f"Oxmgr hasn't answered {request['type']} in {limit:g} s"
    data = b""
    with contextlib.closing(link):
        try:
            link.sendall(json.dumps(request, separators=(",", ":")).encode() + b"\n")
            while b"\n" not in data:
                left = end - time.monotonic()
                if left <= 0:
                    raise TimeoutError
                link.settimeout(left)
                more = link.recv(65536)
                if not more:
                    break
                data += more
                if len(data) > LONGEST:
                    raise OxmgrError(f"Oxmgr's answer to {request['type']} is longer than {LONGEST} bytes.")
        except TimeoutError as error:
            raise OxmgrError(f"{said}: it is busy with another app's start or stop, or hangs.", late=True) from error
        except OSError as error:
            raise OxmgrError(f"Oxmgr broke off while it was asked to {request['type']}: {error}.", late=True) from error
    line, newline, _rest = data.partition(b"\n")
    if not newline:
        raise OxmgrError(
            f"Oxmgr closed the connection without an answer to {request['type']}: it does so with what it can't "
            "read, and where it has just ended.",
            late=True,
        )
    return line


def _process(record: Any) -> Process:
    try:
        return Process(
            name=str(record["name"]),
            status=str(record["status"]),
            desired=str(record["desired_state"]),
            pid=_number(record["pid"]),
            restarts=int(record["restart_count"]),
            exit_code=_number(record["last_exit_code"]),
            started=_number(record["last_started_at"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise OxmgrError(
            f"Oxmgr says of an app what no version that is known does: {type(error).__name__}: {error}."
        ) from error


def _number(value: Any) -> int | None:
    return None if value is None else int(value)


def _shown(address: tuple[str, int]) -> str:
    return f"{address[0]}:{address[1]}"


def socket_in(pid: int) -> socket.socket:
    """A TCP socket of the network that a process has. A socket keeps the network in which it was made, so a thread
    enters that one, makes the socket and ends; who calls stays where he is. Raises OSError."""
    made: list[socket.socket] = []
    failed: list[OSError] = []

    def make() -> None:
        try:
            with open(f"/proc/{pid}/ns/net", "rb") as network:
                _enter(network.fileno())
                made.append(socket.socket())
        except OSError as error:
            failed.append(error)

    thread = threading.Thread(target=make, name=f"network of {pid}")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return made[0]


def _enter(network: int) -> None:
    """setns(2) of the calling thread. Python has it from 3.12 on."""
    if hasattr(os, "setns"):
        os.setns(network, _CLONE_NEWNET)
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(network, _CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
