# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way of a host out of its balancers and back again; of a balancer, out of its clients' way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._app import leaving
from .._app.slots import App
from .._host.systemd import CommandFailed, Run
from .balancer import Balancer
from .marked import Marked, front_of, is_good, terms_of
from .quiet import Traffic, wait_until_left


class Way:
    """:param params: the module's options.
    :param notes: takes phrases of what was done.
    """

    def __init__(
        self, params: dict[str, Any], marked: Marked, run: Run, warn: Callable[[str], None], notes: list[str]
    ) -> None:
        self.params, self.marked, self.warn, self.notes = params, marked, warn, notes
        self.apps: list[App] = marked.apps
        self.balancer = Balancer(params, run) if params["balancer"] and not marked.apps else None

        self.kept = ""
        """Why the address couldn't be handed over, where that was tried."""

    @property
    def serves(self) -> str:
        """Why clients would notice if it went down now, of a balancer; '' where they wouldn't, or it isn't one."""
        if self.kept or self.balancer is None:
            return self.kept
        if self.marked.note.get("address") or self.balancer.may_have_address():
            return ""
        return "no keepalived runs here that would hand its clients over to the other balancer"

    def leave(self) -> None:
        """Mark the host, and wait until nothing is sent to it any more.

        :raises CommandFailed: where that can't be; nothing is changed then.
        """
        if not self.marked.note and self.params["alone"]:
            raise CommandFailed(f"{self.params['alone']} Nothing was changed, and this host serves on.")
        if self.balancer is not None:
            self._leave_clients(self.balancer)
        else:
            self._leave_balancers()

    def _leave_clients(self, balancer: Balancer) -> None:
        note = self.marked.note
        front = note.get("front", balancer.answers())
        shares = bool(note.get("address")) or bool(self.params["leave_within"] and balancer.may_have_address())
        if not front and balancer.door is not None:
            self.warn(f"This balancer doesn't answer for the app ({balancer.path}), and isn't asked again afterwards.")
        # Before it is done: whoever finishes this has to undo it.
        self.marked.say("leaving", front=front, address=shares)
        if not shares:
            return
        if problem := balancer.hand_over():
            self.kept = f"the shared address can't be handed over: {problem}"
            self.marked.say("leaving", address=False)
        else:
            self.notes.append("handed the address over")

    def _leave_balancers(self) -> None:
        port, tls, limit = self.params["front_port"], self.params["front_tls"], self.params["leave_within"]
        first = not self.marked.note
        served = bool(port and self.apps and is_good(self.apps[0], front_of(self.apps[0], port, tls)))
        self.marked.say("leaving", front=self.marked.note.get("front", served))
        if not (limit and self.apps):
            return
        left = wait_until_left([Traffic(app) for app in self.apps], self.params["notice"], limit)
        if left.coming:
            if first:
                self.marked.end()
            raise CommandFailed(
                f"Requests still come {left.seconds:.0f} s after this host was marked as leaving; the last one was "
                f"{left.coming}. Nothing was upgraded. Either a balancer doesn't ask "
                f"{terms_of(self.apps[0]).get('ready_path', '/ready')} of this host, or is slower than that: "
                "-e leave_within=120; or clients come past the balancers, and lose requests if it goes on: "
                "-e leave_within=0."
            )
        if left.under_way:
            self.warn(f"{left.under_way} request(s) hadn't ended after {left.seconds:.0f} s; a reboot ends them.")
        self.notes.append(f"left the balancers in {left.seconds:.0f} s")

    def wait_until_ready(self, limit: float) -> str:
        """What is wrong after so many seconds; '' where the host may serve again."""
        if self.balancer is not None:
            # What it didn't do before is nothing of ours.
            return self.balancer.wait_until_ready(limit) if self.marked.note.get("front") else ""
        return self.marked.wait_until_ready(limit, self.params["front_port"], self.params["front_tls"])

    @property
    def stays(self) -> str:
        """What is left as it is where it doesn't come back, a sentence."""
        if self.balancer is None:
            return "The host stays marked as leaving, so that balancers send it nothing."
        if self.marked.note.get("address"):
            return "The other balancer has the shared address."
        return "Clients may still come to it."

    def come_back(self) -> None:
        """Be sent requests again.

        :raises CommandFailed: where a balancer can't take part any more.
        """
        problem = self.balancer.take_part() if self.balancer is not None and self.marked.note.get("address") else ""
        if problem:
            raise CommandFailed(f"{problem}\nThis balancer can't have the shared address until that runs.")
        self.marked.end()
        for root in self.marked.by_hand:
            self.notes.append(f"stays out as it was marked by hand ({leaving.path(root)})")
