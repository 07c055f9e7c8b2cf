# Written by Ansible (graceful.deploy.nginx); changes made here are undone by the next run.
# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asks an app whether it is ready, and keeps a file for as long as it isn't: nginx has no active health checks.

    ready.py SOCKET PATH HOST SCHEME INTERVAL TIMEOUT FLAG
    ready.py ADDRESS:PORT,... PATH HOST SCHEME INTERVAL TIMEOUT FLAG

On a balancer the hosts of the app are asked: each that isn't ready has a file of its name beside the flag, and the flag
is there while none is.

One bad answer is no outage: a second one a moment later has to agree. Where this program isn't, neither is the file.
Runs on the host's own Python, by itself, for years: it imports little.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
import time

CONFIRM_SECONDS = 1.0


def connected(place: str, timeout: float) -> socket.socket:
    """A connection to an app's socket or to ADDRESS:PORT."""
    if not place.startswith("/"):
        address, _colon, port = place.rpartition(":")
        return socket.create_connection((address.strip("[]"), int(port)), timeout)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout)
        connection.connect(place)
    except OSError:
        connection.close()
        raise
    return connection


def ask(path: str, request: bytes, timeout: float) -> str:
    """Why the app isn't ready, or an empty string where its answer is 2xx.

    :param path: of its socket, which may be a link: each question goes to where it leads now; or ADDRESS:PORT, with an
        IPv6 address in brackets.
    :param timeout: seconds for each step; as patient as the proxy is with a request, because the socket queues while
        the app restarts.
    """
    head = b""
    try:
        with connected(path, timeout) as connection:
            connection.sendall(request)
            while b"\n" not in head and len(head) < 256:
                received = connection.recv(256)
                if not received:
                    break
                head += received
    except TimeoutError:
        return f"no answer within {timeout:g} s"
    except OSError as error:
        return error.strerror or str(error)
    line = head.partition(b"\n")[0].decode("latin-1").strip()
    words = line.split(" ", 2)
    if len(words) < 2 or not words[0].startswith("HTTP/1."):
        return "an answer that isn't HTTP" if line else "no answer"
    return "" if words[1].startswith("2") and len(words[1]) == 3 else " ".join(words[1:])


def gone(path: str) -> None:
    """Remove a file that somebody else may have removed."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def end(what: threading.ExceptHookArgs) -> None:
    """Of a thread that failed: a host that nobody asks would stay as it is for ever, and systemd starts all anew."""
    threading.__excepthook__(what)
    sys.stderr.flush()
    os._exit(1)


class Readiness:
    """Two bad answers in a row make an app unready, a good one makes it ready.

    :param flag: path of the file that is there while it is unready.
    :param name: of one of several, for messages, and what becomes of it as `means`.
    """

    def __init__(self, flag: str, name: str = "", means: str = "nginx answers 503 for it") -> None:
        self.flag = flag
        self.name = name and f"{name} is "
        self.means = means
        self.doubt = False
        self.unready = os.path.exists(flag)

    def heard(self, why: str, interval: float) -> float:
        """Take an answer, as `ask` gives it; the seconds until the next question."""
        if not why:
            if self.unready:
                gone(self.flag)
                print(f"{self.name}ready again", flush=True)
            self.doubt = self.unready = False
            return interval
        if not self.doubt and not self.unready:
            self.doubt = True
            return min(CONFIRM_SECONDS, interval)
        if not self.unready:
            with open(self.flag, "w"):
                pass
            self.unready = True
            print(f"{self.name}not ready ({why}): {self.means}", flush=True)
        return interval


class Hosts:
    """Several, each asked by a thread of its own; ``flag`` is there while none is ready."""

    def __init__(self, places: list[str], flag: str) -> None:
        self.flag = flag
        self.lock = threading.Lock()
        top = os.path.dirname(flag)
        for left in set(os.listdir(top)) - {*places, os.path.basename(flag)}:
            gone(os.path.join(top, left))
        self.all = [Readiness(os.path.join(top, place), place, "the other hosts get its requests") for place in places]

    def heard(self, host: Readiness, why: str, interval: float) -> float:
        """As that host's own; the flag of all follows."""
        with self.lock:
            pause = host.heard(why, interval)
            none = all(each.unready for each in self.all)
            if none and not os.path.exists(self.flag):
                with open(self.flag, "w"):
                    pass
                print("no host is ready: nginx answers 503", flush=True)
            elif not none and os.path.exists(self.flag):
                gone(self.flag)
            return pause

    def watch(self, host: Readiness, place: str, request: bytes, interval: float, timeout: float) -> None:
        while True:
            time.sleep(self.heard(host, ask(place, request, timeout), interval))


def main() -> None:
    path, target, host, scheme, interval, timeout, flag = sys.argv[1:]
    lines = [
        f"GET {target} HTTP/1.1",
        f"Host: {host}",
        "Accept: */*",
        "User-Agent: graceful.deploy",
        # As what clients ask is handed on.
        "X-Forwarded-For: 127.0.0.1",
        f"X-Forwarded-Proto: {scheme}",
        f"X-Forwarded-Host: {host}",
        "X-Request-ID: graceful-question",
        "Connection: close",
    ]
    request = "\r\n".join([*lines, "", ""]).encode()
    if not path.startswith("/"):
        threading.excepthook = end
        places = path.split(",")
        hosts = Hosts(places, flag)
        for host, place in zip(hosts.all, places, strict=True):
            watch = (host, place, request, float(interval), float(timeout))
            threading.Thread(target=hosts.watch, args=watch, daemon=True).start()
        threading.Event().wait()
    readiness = Readiness(flag)
    while True:
        time.sleep(readiness.heard(ask(path, request, float(timeout)), float(interval)))


if __name__ == "__main__":
    main()
