"""An app that somebody set up by hand, and is moved in by adopt.yml: what scenarios share that ask about it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_before: dict[str, str] = {}
ANEW = "TLSV1_ALERT_INTERNAL_ERROR"
SECRETS = ("9f8e7d6c5b4a39281706f5e4d3c2b1a0", "correct-horse")
# Everything that a person would look at to see whether the host is what it was; not when what ran last.
STATE = """
cd /etc
find nginx caddy systemd/system supervisor sysctl.d logrotate.d passwd group ! -type d 2>/dev/null | sort |
  while read -r path; do
    printf '%s %s ' "$path" "$(stat -c '%U:%G %a' "$path")"
    if [ -L "$path" ]; then readlink "$path"; else sha256sum <"$path"; fi
  done
find /var/lib -maxdepth 1 -name 'graceful*'
ls letsencrypt/renewal 2>/dev/null
find /etc/nginx /etc/caddy /etc/systemd/system -type d ! -name '*.wants' 2>/dev/null | sort
ls /srv /opt /usr/local/bin /usr/local/lib
systemctl list-unit-files --no-legend --state=enabled
systemctl list-units --no-legend --plain --state=running --type=service | cut -d ' ' -f 1 | grep -v -e getty -e journald
"""


@dataclass
class Adopted:
    """One app on one host.

    :param where: a directory of the test's own, in which its inventory is written.
    :param domain: of its site; ``unit`` is its old one, and ``root`` its new directory.
    :param proxy: whose site it is, for a person; ``secure`` says that it has TLS, signed by whom the host trusts.
    :param load: where the host has the load client.
    """

    ask: Any
    control: Any
    count: Callable[..., None]
    where: Path
    name: str
    domain: str
    unit: str
    root: str
    proxy: str
    secure: bool = False
    load: str = "/opt/load"

    @property
    def inventory(self) -> Path:
        return self.where / f"inventory-{self.name}"

    def run(self, step: str, *options: str, ok: bool = True, **variables: object) -> str:
        """A person's run of a step; what it said."""
        if step:
            variables["step"] = step
            options = ("-i", str(self.inventory), *options)
        status, said = self.control.run("adopt", *options, **variables)
        assert (status == 0) is ok, said
        assert not [secret for secret in SECRETS if secret in said], "a secret was shown"
        return said

    def start(self, step: str, **variables: object):
        """Begin a step."""
        return self.control.start("adopt", "-i", str(self.inventory), step=step, **variables)

    @property
    def stage(self) -> str:
        """How far the move is, by the host."""
        found = self.ask.host.run(f"cat {self.root}/adopted.json")
        return str(json.loads(found.stdout)["stage"]) if found.rc == 0 else ""

    def note(self) -> None:
        """How the host is before anything is done."""
        _before[self.name] = self.ask.run(STATE)

    def is_as_before(self) -> None:
        now, before = self.ask.run(STATE), _before[self.name]
        assert now == before, [line for line in (now + before).splitlines() if (line in now) != (line in before)]

    def again(self, step: str) -> None:
        """The step once more, which changes nothing."""
        said = self.run(step)
        assert "changed=0 " in said, said

    def get(self, path: str) -> tuple[int, str]:
        if self.secure:
            return self.ask.get(path, f"https://{self.domain}")
        return self.ask.get(path, "http://127.0.0.1", "-H", f"Host: {self.domain}")

    @property
    def release(self) -> str:
        """Who answers clients: 'none' is the old one."""
        return str(json.loads(self.get("/")[1])["release"])

    @contextlib.contextmanager
    def loaded(self, fault: str, rate: int = 40) -> Iterator[dict]:
        """Clients ask all the time, of whom none may notice anything; at the end there is their report.

        :param rate: requests a second.
        """
        ask, load = self.ask, f"steady-{self.name}"
        report: dict = {}
        ask.run(
            f"rm -f /run/{load}.json; systemd-run --quiet --collect --unit={load} --property=TimeoutStopSec=60 "
            f"python3 {self.load}/steady.py --seconds 900 --rate {rate} --slow 1 --out /run/{load}.json "
            f"--host {self.domain}" + (" --tls trusted --port 443" if self.secure else "")
        )
        try:
            yield report
        finally:
            ask.run(f"systemctl stop {load}")
        report |= json.loads(ask.run(f"cat /run/{load}.json"))
        self.count(f"adopt.yml, {fault} ({self.proxy})", report["sent"], len(report["lost"]))
        # In a reload Caddy 2.6.2 has its ports before its own certificates again: see docs/architecture.md.
        anew = [row for row in report["lost"] if self.secure and self.proxy == "Caddy" and ANEW in row["what"]]
        lost = [row for row in report["lost"] if row not in anew]
        assert lost == [] and len(anew) <= 3 and report["mixed"] == [], (
            f"lost: {report['lost'][:5]} {report['mixed'][:5]}"
        )
        assert report["sent"] == report["answered"] + len(anew) > 40

    def under_load(self, fault: str, step: str, ok: bool = True, **variables: object) -> tuple[dict, str]:
        """A step while clients ask; the load's report, and what the run said."""
        with self.loaded(fault) as report:
            said = self.run(step, ok=ok, **variables)
        return report, said


def last(report: dict) -> str:
    """The release that answered last."""
    releases = report["releases"]
    return max(releases, key=lambda release: releases[release]["last"])
