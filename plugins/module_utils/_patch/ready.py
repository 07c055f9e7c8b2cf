# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a host can stand in for another one of its kind, asked there before that one leaves. Changes nothing."""

from __future__ import annotations

import os
from typing import Any

from .._app import leaving, roots
from .._app.slots import App
from .._host.probe import ask
from .._host.systemd import Run
from .balancer import Balancer
from .marked import HOST, door_of, front_of, is_good, terms_of


def why_not(params: dict[str, Any], run: Run) -> str:
    """:returns: a phrase that follows the host's name; '' where it can."""
    return _balancer(Balancer(params, run)) if params["balancer"] else _app(params)


def _app(params: dict[str, Any]) -> str:
    app = App(params["name"], params["root"])
    # Its own directory may have another place than the one that asks has.
    if not os.path.isdir(app.root):
        app = App(app.name, roots.roots_by_units(app.units).get(app.name, app.root))
    if not app.live():
        return f"has no release of {app.name}"
    if os.path.lexists(leaving.path(app.root)):
        return f"is leaving itself ({leaving.path(app.root)})"
    path = terms_of(app).get("ready_path", "/ready")
    answer = ask(door_of(app), path, 5.0)
    if not answer.good:
        return f"isn't ready: {path} answers {answer}"
    port = params["front_port"]
    if port and not is_good(app, front_of(app, port, params["front_tls"])):
        return f"doesn't answer through its proxy, port {port}"
    return ""


def _balancer(balancer: Balancer) -> str:
    if leaving.patched_by(HOST):
        return "is patched by another run"
    if balancer.door is not None and not balancer.answers():
        return f"doesn't answer for the app: {balancer.path} at {balancer.door.name}"
    if balancer.shares() and not balancer.may_have_address():
        return "has no keepalived running, and can't take the address over"
    return ""
