# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asks one path of a service, over its unix socket or through the front door, until it answers as it should."""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from .door import Door

TIMED_OUT = "no answer (TimeoutError: timed out)"
LONGEST = 300
"""Characters of an answer that are kept."""
CUT_SHORT = 1.0
"""Seconds: a question with no more left than this may stay unanswered for that reason alone."""
NOT_THERE = 3.0
"""Seconds of nothing but 404 after which a path is taken to be missing: nobody adds one to an app that runs."""
STANDS_IN = "graceful.deploy answers for the app, which has no "
"""How the worker class begins its answer where the app has no such path (graceful_watch.StandIn)."""
SENT_ON = (301, 302, 303, 307, 308)
REFUSED = (400, 404, 422)
"""What a route gives that takes any word, as `/{id}`, for a word that is none of its own."""
NEVER_MORE = (*REFUSED, *SENT_ON)
"""What an app says to a path or a name that it doesn't take, however long it is asked."""

_SAYS_NOTHING = re.compile(r"""(?i)$|<|Not Found$|\{"detail":\s*"Not Found"\}$""")
"""What comes where no route takes a path: Starlette's and FastAPI's words, or a page."""
_HOST = re.compile(r"(?i)\bhost\b")
"""What TrustedHostMiddleware says is "Invalid host header"."""


@dataclass(frozen=True)
class Answer:
    """What came back: a status with the beginning of the body, or status 0 with what went wrong.

    :param to_https: whether it sends to https somebody who came by http, past the proxy that ends TLS for clients.
    """

    status: int
    text: str
    to_https: bool = False

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300 or self.to_https

    def __str__(self) -> str:
        return f"{self.status} {self.text}".strip() if self.status else self.text


def ask(door: Door, path: str, timeout: float) -> Answer:
    """One GET on a connection of its own; never raises for what the service does.

    :param timeout: seconds for all of it.
    """
    connection = http.client.HTTPConnection(door.host, timeout=timeout)
    cut = _Cut(timeout)
    try:
        connection.sock = door.connect(timeout)
        cut.off(connection.sock)
        connection.request("GET", path, headers={**door.headers, "Connection": "close"})
        response = connection.getresponse()
        body = response.read(LONGEST + 1).decode(errors="replace")
        text = f"{body[:LONGEST]}..." if len(body) > LONGEST else body
        to = response.getheader("Location") or ""
        sent_on = response.status in SENT_ON and bool(to)
        past = bool(door.port) and not door.tls and door.scheme == "https"
        answer = Answer(
            response.status, f"to {to}" if sent_on else text.strip(), sent_on and past and to.startswith("https:")
        )
        return Answer(0, TIMED_OUT) if cut.expired else answer
    except Exception as error:
        return Answer(0, TIMED_OUT if cut.expired else f"no answer ({type(error).__name__}: {error})")
    finally:
        cut.cancel()
        connection.close()


class _Cut(threading.Thread):
    """Ends an exchange at its limit: a socket's own is for each piece, and a service may send a byte at a time."""

    def __init__(self, seconds: float) -> None:
        super().__init__(daemon=True)
        self.end = time.monotonic() + seconds
        self.over = threading.Event()
        self.expired = False

    def off(self, connection: socket.socket) -> None:
        self.connection = connection
        self.start()

    def run(self) -> None:
        if not self.over.wait(self.end - time.monotonic()):
            self.expired = True
            with contextlib.suppress(OSError):
                # Not TLS's own, which would say goodbye first.
                socket.socket.shutdown(self.connection, socket.SHUT_RDWR)

    def cancel(self) -> None:
        self.over.set()


def ask_watching(door: Door, path: str, timeout: float, lost: Callable[[], str | None]) -> Answer | str:
    """Ask, and meanwhile see whether the service died: the socket is systemd's, and keeps callers waiting even then."""
    answers: list[Answer] = []
    thread = threading.Thread(target=lambda: answers.append(ask(door, path, timeout)), daemon=True)
    thread.start()
    while True:
        thread.join(0.25)
        if not thread.is_alive():
            return answers[0]
        reason = lost()
        if reason:
            return reason


def advice(door: Door, answer: Answer, path: str) -> str:
    """What to do about an answer that clients get too, in a sentence; '' where it tells nothing."""
    asked = f"It was asked as clients ask, for Host {door.host}"
    if answer.status in REFUSED and not _SAYS_NOTHING.match(answer.text) and not _HOST.search(answer.text):
        variable = "fastapi_health_path" if re.search("health|live|ping", path) else "fastapi_ready_path"
        # A 404 may be said in words of the app's own, too.
        lacks = "it has no such path, or " if answer.status == 404 else ""
        return (
            f" So says the app itself: {lacks}a route of it with a parameter, such as /{{id}}, takes {path} too. Write "
            f"{variable}: /system/health, or another path that the app answers with 2xx; or give the app {path}, above "
            "such a route."
        )
    if answer.status == 400:
        return (
            f" {asked}. Where the app takes certain names alone (TrustedHostMiddleware), write one of them first in "
            "fastapi_domains, or add this one to the app's."
        )
    if answer.status in SENT_ON:
        return (
            f" {asked}, by {door.scheme}. Where the app takes https alone, set fastapi_tls to something else than off; "
            "or, where a proxy before this one ends TLS, fastapi_trusted_proxies to that one's address."
        )
    if answer.status == 421 and door.port:
        return f" The proxy has no site for {door.host}, the first of fastapi_domains."
    if answer.status == 503 and door.port:
        return (
            f" So clients get it for Host {door.host}: the proxy holds them back while the app doesn't answer "
            "fastapi_ready_path with 2xx; or the app says so itself. Its log tells why: logs.yml."
        )
    return ""


def wait_until_good(
    door: Door,
    path: str,
    limit: float,
    in_a_row: int = 1,
    lost: Callable[[], str | None] = lambda: None,
    pause: float = 0.1,
    not_there: str = "",
) -> Answer | str:
    """Ask until ``in_a_row`` answers in a row are good.

    :param limit: seconds to try for.
    :param lost: says why there is no point in waiting longer, or None.
    :param pause: seconds between two questions.
    :param not_there: advice for a path that answers 404 and nothing else. With it, three seconds of that are enough, or
        of other answers that an app which runs doesn't change.
    :returns: the last good answer, or the sentence that says what was seen instead.
    """
    end = time.monotonic() + limit
    good, last, missing_since = 0, Answer(0, "nothing was asked yet"), 0.0
    while (remaining := end - time.monotonic()) > 0:
        answer = ask_watching(door, path, min(5.0, max(remaining, 0.1)), lost)
        if isinstance(answer, str):
            return answer
        # The last one may have had no time left to be answered: what was seen before it tells more.
        if answer.status or not last.status or remaining > CUT_SHORT:
            last = answer
        good = good + 1 if answer.good else 0
        if good >= in_a_row:
            return last
        if not answer.good and (reason := lost()):
            return reason
        missing_since = (missing_since or time.monotonic()) if last.status in NEVER_MORE else 0.0
        if not_there and missing_since and time.monotonic() - missing_since > NOT_THERE:
            return f"{path} on {door.name} answers {last}.{advice(door, last, path) or ' ' + not_there}"
        time.sleep(pause)
    times = "" if in_a_row == 1 else f" {in_a_row} times in a row"
    said = f"{path} on {door.name} did not answer 2xx{times} within {limit:g} s; the last answer: {last}"
    return f"{said}.{why}" if (why := advice(door, last, path)) else said
