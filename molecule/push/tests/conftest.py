"""A host that takes pushes: what is pushed to its repository, who tells it of that, and what has become of it."""

from __future__ import annotations

import itertools
import json
import shlex
from collections.abc import Callable
from typing import Any

import pytest
from deploys import *  # noqa: F403
from deploys import NAME, ROOT

KINDS = ("github", "gitlab", "gitea", "plain", "bearer")
STATES = f"/var/lib/graceful-deploys/{NAME}/pushes"
LIMIT = 90
"""Seconds in which what takes five is done, on a machine that has other work."""
_versions = itertools.count(1)


class Pushed:
    """The repository, the git server's word of a push, and the host's notes."""

    def __init__(self, ask) -> None:
        self.ask = ask

    def commit(self, branch: str = "main", fault: str = "", **files: str) -> str:
        """Push a commit that nobody has had before; its id.

        :param fault: what is wrong with the app, see scenario swap.
        :param files: texts by name, with two underscores for a dot.
        """
        wanted = {"version__txt": f"{next(_versions)} {branch}\n", "fault__txt": fault, **files}
        written = "; ".join(
            f"printf %s {shlex.quote(text)} >{name.replace('__', '.')}" if text else f"rm -f {name.replace('__', '.')}"
            for name, text in wanted.items()
        )
        return self.ask.run(
            f"cd /opt/work; set -e; git checkout -q -B {branch}; {written}; git add --all; "
            f"git commit -q --allow-empty -m more; git push -q --force origin {branch}; git rev-parse HEAD"
        ).strip()

    def told(self, commit: str, kind: str = "github", **fields: Any) -> tuple[int, Any]:
        """Tell of a push: the status, and the answer as JSON where it is that."""
        given = json.dumps({"commit": commit, **fields})
        said = self.ask.run(f"python3 /opt/load/client.py {kind} {shlex.quote(given)}")
        status, _blank, text = said.partition(" ")
        return int(status), json.loads(text) if text.startswith("{") else text.strip()

    def taken(self, commit: str, kind: str = "github", **fields: Any) -> int:
        """Tell of a push that is taken; its number."""
        status, answer = self.told(commit, kind, **fields)
        assert status == 202 and answer["push"], answer
        return int(answer["push"])

    def notes(self) -> dict[int, dict[str, Any]]:
        """What has become of the pushes, by number."""
        lines = self.ask.host.run(f"cat {STATES}/*.json").stdout.splitlines()
        return {note["number"]: note for note in map(json.loads, lines)}

    def became(self, number: int, limit: float = LIMIT) -> dict[str, Any]:
        """Wait until nothing more becomes of a push; the note of it."""

        def final() -> dict[str, Any] | None:
            note = self.notes().get(number)
            return note if note and note["state"] not in ("waiting", "running") else None

        return dict(self.ask.until(f"push {number} has ended", final, limit))  # type: ignore[call-overload]

    def running(self, number: int) -> None:
        """Wait until a push is being deployed."""
        self.ask.until(f"push {number} runs", lambda: self.notes().get(number, {}).get("state") == "running", LIMIT)

    def deployed(self, commit: str, **fields: Any) -> dict[str, Any]:
        """Tell of a push that has to be deployed."""
        note = self.became(self.taken(commit, **fields))
        assert note["state"] == "deployed", (note, self.log())
        assert self.live == commit
        return note

    @property
    def live(self) -> str:
        """The commit that has the traffic, by the record of its release."""
        slot = self.ask.run(f"readlink {ROOT}/live.sock").strip().removesuffix(".sock").rpartition("/")[2]
        record = json.loads(self.ask.run(f"cat {ROOT}/slots/{slot}/release/release.json"))
        return str(record["source"]["revision"])

    def heard(self, number: int) -> list[dict[str, Any]]:
        """What fastapi_notify's target was told of a push."""
        lines = self.ask.host.run("cat /var/log/told.jsonl").stdout.splitlines()
        told = [json.loads(line) for line in lines]
        return [each for each in told if each["by"].startswith(f"push {number} by ")]

    def log(self) -> str:
        return self.ask.run(f"{NAME}-logs --deploys -n 200")


@pytest.fixture
def pushed(ask) -> Pushed:
    """When nothing is at work, and clients are served."""
    pushed = Pushed(ask)
    idle = lambda: not [n for n in pushed.notes().values() if n["state"] in ("waiting", "running")]  # noqa: E731
    ask.until("nothing is being deployed", idle, LIMIT)
    ask.until("clients are served", lambda: ask.get("/ready")[0] == 200)
    return pushed


@pytest.fixture
def tally(count) -> Callable[[str, Any], None]:
    """Record a row of what a load has counted."""
    return lambda fault, running: count(fault, running.counted.sent, len(running.counted.lost))
