"""What systemctl answers, and what it answers now and then."""

from __future__ import annotations

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app.supervisor import State
from ansible_collections.graceful.deploy.plugins.module_utils._host import systemd
from ansible_collections.graceful.deploy.plugins.module_utils._host.systemd import CommandFailed, Systemd, parse_show
from hypothesis import given
from hypothesis import strategies as st

UNITS = ["hello@blue.service", "hello@blue.socket"]
WHOLE = "Id=a\nActiveState=active\n\nId=b\nActiveState=failed\n"


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(systemd, "PAUSE", 0)


@pytest.mark.parametrize("short", [(0, "Id=a\nActiveState=active\n", ""), (1, "", "Connection timed out"), (0, "", "")])
def test_an_answer_for_fewer_units_is_asked_for_again(short):
    answers = [short, short, (0, WHOLE, "")]
    shown = Systemd(lambda _command: answers.pop(0)).show(UNITS)
    assert [state["ActiveState"] for state in shown.values()] == ["active", "failed"]
    assert answers == []


def test_asking_again_has_an_end_in_words():
    asked = []
    run = lambda command: asked.append(command) or (0, "Id=a\n", "")  # noqa: E731
    with pytest.raises(CommandFailed, match="told of 1 of 2 units"):
        Systemd(run).show(UNITS)
    assert len(asked) == systemd.TRIES
    with pytest.raises(CommandFailed, match="Connection timed out"):
        Systemd(lambda _command: (1, "", "Connection timed out")).show(UNITS)


def test_a_services_status_adds_no_property():
    said = parse_show("StatusText=a\u2028ActiveState=failed\x85b\nActiveState=active\n")
    assert said == [{"StatusText": "a\u2028ActiveState=failed\x85b", "ActiveState": "active"}]


@given(st.text())
def test_any_answer_is_read(text):
    for state in parse_show(text):
        assert all(isinstance(value, str) for value in state.values())
    state = dict.fromkeys(Systemd.properties, text)
    watcher = Systemd(lambda _command: (0, "", ""))
    assert watcher.changed_at(state) is not None and watcher.entered_at(state) is not None
    assert State(told=f"{text} worker(s) ended unexpectedly").died >= 0
    assert State(told="9" * 5000 + " worker(s) ended unexpectedly").died == 0


@pytest.mark.parametrize(
    ("result", "status", "words"),
    [("exit-code", "3", "exit-code, status 3"), ("success", "9", "signal 9"), ("success", "0", "success, status 0")],
)
def test_a_signal_that_systemd_takes_for_a_success_is_told_as_one(result, status, words):
    """SuccessExitStatus= of our unit has it that way."""
    assert systemd.ending({"Result": result, "ExecMainStatus": status}) == words
