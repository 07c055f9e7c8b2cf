"""One constant-rate client for as long as a file's tests run; each fault looks at the requests that ended since."""

from __future__ import annotations

import contextlib
import itertools
import json
import subprocess
import sys
import tempfile
from pathlib import Path

STEADY = Path(__file__).resolve().parents[3] / "tests" / "load" / "steady.py"
SLOW = 2.0
"""Seconds that a third of the requests take."""
QUICK = 1.0
"""Seconds within which a GET or a POST is answered when all is well."""
USUAL = {"get": QUICK, "post": QUICK, "slow": SLOW + QUICK}
OPTIONS = f"--seconds 900 --rate 30 --slow {SLOW}"
LOG = "/run/steady.log"
_numbers = itertools.count(1_000_000, 1_000_000)


class Load:
    """30 requests a second to one host.

    :param outside: have the client beside the host, not in it.
    """

    def __init__(self, ask, outside: bool = False) -> None:
        self.ask = ask
        self.outside = outside
        self.rows: dict[int, dict] = {}
        """Requests that have ended, by number."""
        self.calm: tuple[int, list[int], float] | None = None
        """The processes that served when all requests of the last fault had ended, and the time of that (epoch)."""
        self._first = self._next = next(_numbers)
        self._read, self._running = "", False
        self._client = contextlib.ExitStack()

    def start(self) -> None:
        """Begin to send, if it hasn't; back when requests of all kinds are on their way and answered."""
        if self._running:
            return
        self._first = self._next = next(_numbers)
        self.rows, self._offset, self._read = {}, 0, ""
        if self.outside:
            address = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
            inspect = ["docker", "inspect", "--format", address, self.ask.host.backend.host]
            found = subprocess.run(inspect, check=True, capture_output=True, text=True).stdout.strip()
            place = Path(self._client.enter_context(tempfile.TemporaryDirectory()))
            self._log = place / "log"
            # Not /dev/null, in whose place it would put a file.
            files = ["--log", str(self._log), "--out", str(place / "report")]
            words = [sys.executable, str(STEADY), "--address", found, *files]
            client = subprocess.Popen([*words, *OPTIONS.split(), "--first", str(self._first)])
            self._client.callback(client.wait, 60)
            self._client.callback(client.terminate)
        else:
            service = "systemd-run --quiet --collect --unit=steady --property=TimeoutStopSec=60"
            words = f"python3 /opt/load/steady.py {OPTIONS} --first {self._first} --log {LOG} --out /run/steady.json"
            # What a run that was cut off has left would be another client.
            self.ask.run(f"systemctl stop steady 2>/dev/null; rm -f {LOG}; {service} {words}")
            self._client.callback(self.ask.host.run, "systemctl stop steady")
        self._running = True
        self.ask.until("the load is steady", lambda: any(row["kind"] == "slow" for row in self.ended()))

    def close(self) -> None:
        self._client.close()
        self._running = False

    def ended(self, since: float = 0) -> list[dict]:
        """Requests that have ended since a time (epoch), well or badly."""
        if self.outside:
            # The client has just begun.
            new = self._log.read_text()[self._offset :] if self._log.exists() else ""
        else:
            new = self.ask.host.run(f"tail -c +{self._offset + 1} {LOG}").stdout
        self._offset += len(new)
        *lines, self._read = (self._read + new).split("\n")
        self.rows.update((row["n"], row) for row in map(json.loads, lines))
        return [row for row in self.rows.values() if row["at"] + row["seconds"] >= since]

    def settle(self, moment: float) -> None:
        """Wait until all that was sent before a moment (epoch) has ended."""

        def over() -> bool:
            self.ended()
            while self._next in self.rows:
                self._next += 1
            return self._next > self._first and self.rows[self._next - 1]["at"] > moment

        # A request is lost after 30 s.
        self.ask.until("what was sent has ended", over, 40)


class Seen:
    """What the load saw around a fault. Counts are requests, times seconds.

    :param struck: when the fault began (epoch).
    :param rows: the requests that have ended since.
    """

    def __init__(self, struck: float, rows: list[dict]) -> None:
        self.struck = struck
        self.sent = len(rows)
        mixed = [row for row in rows if row["how"] == "mixed"]
        assert mixed == [], f"lost in other answers: {mixed}"
        self.lost = [row for row in rows if row["how"] == "lost"]
        late = [row for row in rows if row["how"] == "lost" or row["seconds"] > USUAL[row["kind"]]]
        self.again = max((row["at"] + row["seconds"] - struck for row in late), default=0.0)
        """From the fault until the last request that was lost, or answered late, had ended."""

    def __str__(self) -> str:
        kinds = sorted({f"{each['kind']}: {each['what']}" for each in self.lost})
        return f"{len(self.lost)} of {self.sent} lost {kinds or ''}, all served again after {self.again:.1f} s"
