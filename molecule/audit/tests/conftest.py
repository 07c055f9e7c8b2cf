"""What was told of the host, once for all questions."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

# What looking at a host may not change: its files, and its processes.
STATE = (
    "find /etc /srv /usr/local /opt /var/lib /root -xdev -type f -printf '%p %s %m %U %T@\\n' | sort;"
    "ps -eo pid=,args= | grep -E '[g]unicorn|[u]vicorn|[n]ginx|[c]addy|[s]upervisord' | grep -v missing:app | sort"
)


class Told:
    """What audit_info has said: the findings, the text that people saw, and what was another meanwhile."""

    def __init__(self, answer: dict, text: str) -> None:
        self.changed: set[str] = set()
        self.answer, self.text = answer, text
        self.findings: list[dict] = answer["findings"]

    def of(self, app: str) -> list[dict]:
        return [finding for finding in self.findings if finding["app"].split("-")[0] == app]


@pytest.fixture(scope="module")
def ask_for(control, tmp_path_factory) -> Callable[..., Told]:
    """Look at the host, with the variables of audit.yml."""

    def asked(**variables: object) -> Told:
        to = tmp_path_factory.mktemp("told") / "told.json"
        status, said = control.run("molecule/audit/told.yml", to=str(to), **variables)
        assert status == 0, said
        return Told(json.loads(to.read_text()), said)

    return asked


@pytest.fixture(scope="module")
def told(host, ask_for) -> Told:
    before = host.check_output(STATE)
    found = ask_for()
    found.changed = set(before.splitlines()) ^ set(host.check_output(STATE).splitlines())
    return found
