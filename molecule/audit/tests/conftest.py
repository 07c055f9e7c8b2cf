"""What was told of the host, once for all questions."""

from __future__ import annotations

import json

import pytest
from conftest import Control

# What looking at a host may not change: its files, and its processes.
STATE = (
    "find /etc /srv /usr/local /opt /var/lib /root -xdev -type f -printf '%p %s %m %U %T@\\n' | sort;"
    "ps -eo pid=,args= | grep -E '[g]unicorn|[u]vicorn|[n]ginx|[c]addy|[s]upervisord' | grep -v missing:app | sort"
)


class Told:
    """What audit_info has said: the findings, and the text that people saw."""

    def __init__(self, answer: dict, text: str) -> None:
        self.answer, self.text = answer, text
        self.findings: list[dict] = answer["findings"]

    def of(self, app: str) -> list[dict]:
        return [finding for finding in self.findings if finding["app"].split("-")[0] == app]


def ask_for(host, place, **variables: object) -> Told:
    to = place / "told.json"
    status, said = Control(host.backend.host).run("molecule/audit/told.yml", to=str(to), **variables)
    assert status == 0, said
    return Told(json.loads(to.read_text()), said)


@pytest.fixture(scope="session")
def told(host, tmp_path_factory) -> Told:
    before = host.check_output(STATE)
    found = ask_for(host, tmp_path_factory.mktemp("told"))
    found.changed = set(before.splitlines()) ^ set(host.check_output(STATE).splitlines())  # type: ignore[attr-defined]
    return found
