# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A balancer that is patched: what it answers its clients, and the address that it shares with the other one."""

from __future__ import annotations

import os
import time
from typing import Any

from .._host.door import Door
from .._host.probe import ask, wait_until_good
from .._host.systemd import Run

ADDRESS = "keepalived.service"
"""What gives the balancers' common address to the other one when it stops."""
SHARES = "/etc/keepalived/graceful"
"""Where an app's site has the address that it shares, NAME.conf."""
HANDED_OVER = 2.0
"""Seconds in which the other one has the address: it hears of it at once, and misses three words in two seconds."""


class Balancer:
    """:param params: the module's options."""

    def __init__(self, params: dict[str, Any], run: Run) -> None:
        self.run = run
        self.name = params["name"]
        self.path = params["health_path"]
        port, tls = params["front_port"], params["front_tls"]
        host = params["front_host"] or "localhost"
        # Where a proxy before this one ends TLS, the app may send to https who comes by http; it answers then, too.
        self.door = Door(host, port=port, tls=tls, scheme="https") if port else None

    def answers(self) -> bool:
        """Whether clients of the site get a good answer here: at the app's health path, which isn't protected."""
        return self.door is not None and ask(self.door, self.path, 5.0).good

    def wait_until_ready(self, limit: float) -> str:
        """What is wrong after so many seconds; '' where nothing is."""
        if self.door is None:
            return ""
        said = wait_until_good(self.door, self.path, limit, in_a_row=3)
        return f"This balancer doesn't answer for the app: {said}" if isinstance(said, str) else ""

    def shares(self) -> bool:
        """Whether it is to have the address in turn with the other one."""
        return os.path.exists(os.path.join(SHARES, f"{self.name}.conf"))

    def may_have_address(self) -> bool:
        """Whether keepalived runs, which gives the address to the other one when it stops."""
        return self.run(["systemctl", "is-active", "--quiet", ADDRESS])[0] == 0

    def hand_over(self) -> str:
        """Let the other one have the address; why that can't be, or ''."""
        status, out, err = self.run(["timeout", "30", "systemctl", "stop", ADDRESS])
        if status:
            return f"systemctl stop {ADDRESS} failed: {(err or out).strip()}"
        time.sleep(HANDED_OVER)
        return ""

    def take_part(self) -> str:
        """Be there again for when the other one dies; what is wrong, or ''."""
        status, out, err = self.run(["timeout", "30", "systemctl", "start", ADDRESS])
        return f"systemctl start {ADDRESS} failed: {(err or out).strip()}" if status else ""
