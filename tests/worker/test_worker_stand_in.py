# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An app without a liveness or readiness path is answered for there, and nowhere else."""

from __future__ import annotations

import pytest
from gunicorn_process import Gunicorn, until

HOOKS = """
import graceful_watch
graceful_worker.configure(
    question=graceful_watch.Question("/health", interval=0.5, failures=3), stand_in_for=["/health", "/ready"]
)
"""


@pytest.mark.project("served", "an app without `/health` and `/ready`", "its worker answers there")
def test_what_the_app_lacks_is_answered_and_nothing_else(gunicorn: Gunicorn) -> None:
    """FastAPI under a middleware that streams: it has no /ready, and a /health of its own."""
    gunicorn.start("apps:fastapi_app()", hooks=HOOKS)
    client = gunicorn.connect()
    status, head, body = client.get("/ready").response()
    assert (status, body) == (200, "graceful.deploy answers for the app, which has no /ready\n")
    assert "text/plain" in head
    # The connection is whole: the app's own body came behind nothing.
    assert client.get("/ready?a=1").response()[0] == 200
    assert client.get("/ready/").response()[0] == 404
    assert client.get("/nowhere").response()[0] == 404
    assert client.get("/health").response()[::2] == (200, "200")
    gunicorn.switch("health-500")
    assert client.get("/health").response()[::2] == (200, "500")


def test_an_answer_of_the_apps_own_stays_whatever_it_is(gunicorn: Gunicorn) -> None:
    gunicorn.switch("health-500")
    gunicorn.start(hooks=HOOKS)
    assert gunicorn.connect().get("/health").response()[0] == 500
    gunicorn.switch("health-500", on=False)
    gunicorn.switch("health-404")
    assert gunicorn.connect().get("/health").response()[0] == 200
    # Its own worker is told the same.
    until(lambda: len(gunicorn.events("health")) > 4)
    assert "Not alive" not in gunicorn.log()
