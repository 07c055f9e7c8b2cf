#!/usr/bin/python3
# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs in a host, asks its own front door on 127.0.0.1, and prints what came of it as JSON. Standard library alone.

inside.py hold PORT COUNT PATH UNIT    memory of the unit's processes while COUNT connections have asked PATH and stay
inside.py switch PORT FILE             seconds until / is answered 503 once FILE is there, and 200 once it is gone
inside.py start UNIT DOOR              seconds from the restart of the unit until its /ready answers 200
inside.py rest UNIT SECONDS            CPU seconds and memory of the unit's processes while nobody asks them anything
inside.py cpu UNIT                     CPU seconds that the unit's processes have used so far

DOOR is a TCP port or the path of a unix socket.
"""

from __future__ import annotations

import json
import os
import resource
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request


def processes(unit: str) -> list[str]:
    """The main process of a unit and its children."""
    main = subprocess.run(
        ["systemctl", "show", "--value", "--property=MainPID", unit], capture_output=True, text=True, check=True
    ).stdout.strip()
    with open(f"/proc/{main}/task/{main}/children", encoding="ascii") as file:
        return [main, *file.read().split()]


def cpu(unit: str) -> float:
    """Seconds on a CPU of all threads, by the kernel's count of nanoseconds."""
    total = 0
    for process in processes(unit):
        for thread in os.listdir(f"/proc/{process}/task"):
            with open(f"/proc/{process}/task/{thread}/schedstat", encoding="ascii") as file:
                total += int(file.read().split()[0])
    return total / 1e9


def memory(unit: str) -> int:
    """Bytes (PSS)."""
    total = 0
    for process in processes(unit):
        with open(f"/proc/{process}/smaps_rollup", encoding="ascii") as file:
            total += sum(int(line.split()[1]) * 1024 for line in file if line.startswith("Pss:"))
    return total


def hold(port: int, count: int, path: str, unit: str) -> dict[str, int]:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 65536), most))
    before = memory(unit)
    sockets = []
    for _ in range(count):
        sock = socket.create_connection(("127.0.0.1", port), timeout=20)
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        sockets.append(sock)
        if not path.startswith("/slow"):
            sock.recv(65536)
    time.sleep(1)
    held = memory(unit)
    answered = (
        sum(sock.recv(65536).startswith(b"HTTP/1.1 200") for sock in sockets) if path.startswith("/slow") else count
    )
    return {"before": before, "held": held, "answered": answered}


def status(port: int) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def until(port: int, wanted: int) -> float:
    begin = time.monotonic()
    while status(port) != wanted:
        if time.monotonic() - begin > 60:
            sys.exit(f"/ isn't answered with {wanted} within 60 s.")
        time.sleep(0.05)
    return time.monotonic() - begin


def switch(port: int, path: str) -> dict[str, float]:
    until(port, 200)
    with open(path, "w", encoding="ascii"):
        pass
    try:
        away = until(port, 503)
    finally:
        os.unlink(path)
    return {"away": away, "back": until(port, 200)}


def ready(door: str) -> bool:
    try:
        if door.startswith("/"):
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(5)
            connection.connect(door)
        else:
            connection = socket.create_connection(("127.0.0.1", int(door)), timeout=5)
        with connection:
            connection.sendall(b"GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return connection.recv(65536).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def start(unit: str, door: str) -> float:
    # Or systemd takes these starts for a crash loop's.
    subprocess.run(["systemctl", "reset-failed", unit], check=True)
    begin = time.monotonic()
    subprocess.run(["systemctl", "restart", unit], check=True)
    while not ready(door):
        if time.monotonic() - begin > 60:
            sys.exit(f"{unit} isn't ready within 60 s.")
        time.sleep(0.01)
    return time.monotonic() - begin


def rest(unit: str, seconds: float) -> dict[str, float]:
    before = cpu(unit)
    time.sleep(seconds)
    return {"cpu": cpu(unit) - before, "memory": memory(unit)}


if __name__ == "__main__":
    _, what, *given = sys.argv
    commands = {
        "hold": lambda port, count, path, unit: hold(int(port), int(count), path, unit),
        "switch": lambda port, path: switch(int(port), path),
        "start": lambda unit, door: {"start": start(unit, door)},
        "rest": lambda unit, seconds: rest(unit, float(seconds)),
        "cpu": lambda unit: {"cpu": cpu(unit)},
    }
    print(json.dumps(commands[what](*given)))
