"""Who watches a long step sees now and then how far it is."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest
from ansible.utils.display import Display
from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs.progress import shown


class Action:
    """As much of an action plugin as asks a host."""

    def __init__(self) -> None:
        self._connection = SimpleNamespace(become=SimpleNamespace(success=""))
        self._connection.set_become_plugin = lambda plugin: None
        self.asked: list[object] = []
        self.answers = [{"stdout": ""}, OSError("gone"), {"stdout": "half of it\nand more"}, {"stdout": "all of it"}]
        self.enough = threading.Event()

    def _low_level_execute_command(self, command: str) -> dict[str, str]:
        self.asked.append((command, self._connection))
        answer = self.answers[min(len(self.asked), len(self.answers)) - 1]
        if len(self.asked) >= len(self.answers):
            self.enough.set()
        if isinstance(answer, OSError):
            raise answer
        return answer


@pytest.fixture
def lines(monkeypatch) -> list[str]:
    said: list[str] = []
    monkeypatch.setattr(Display, "display", lambda _self, line: said.append(line))
    return said


def test_what_the_host_says_is_shown_while_the_step_lasts(lines):
    action = Action()
    with shown(action, "cat it", 0.001, "web1"):
        assert action.enough.wait(5)
    # Nothing said, or nobody reached: no line.
    assert lines[0] == "web1: half of it" and set(lines[1:]) <= {"web1: all of it"}
    # The step itself has the connection.
    assert action.asked[0][0] == "cat it" and all(way is not action._connection for _word, way in action.asked)


def test_nothing_is_shown_when_it_has_ended(lines):
    action = Action()
    with shown(action, "cat it", 60, "web1"):
        pass
    assert lines == [] and action.asked == []
