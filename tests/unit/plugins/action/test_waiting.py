"""Who watches a run that waits for another deploy is told for whom, before it does."""

from __future__ import annotations

import pytest
from ansible.utils.display import Display
from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs.waiting import waiting

NOTE = {"by": "ann@laptop", "since": "noon", "release": "a1", "phase": "watch", "pid": 7}
HELD = {"failed": True, "msg": "Another deploy ...", "held": NOTE}
GOOD = {"changed": True}


@pytest.mark.parametrize(
    ("wait", "answers", "asked", "said"),
    [
        # From -e it is text.
        ("300", [HELD, GOOD], [0, "300"], ["web1: waits up to 300 s for another deploy: ann@laptop began at noon "]),
        (300, [GOOD], [0], []),
        (300, [{"failed": True, "msg": "No such release."}], [0], []),
        (0, [HELD], [0], []),
        ("soon", [HELD], ["soon"], []),
    ],
)
def test_the_first_call_has_no_patience_and_the_second_is_announced(monkeypatch, wait, answers, asked, said):
    shown: list[str] = []
    monkeypatch.setattr(Display, "display", lambda _self, line: shown.append(line))
    calls: list[object] = []

    def call(arguments):
        calls.append(arguments["lock_wait"])
        return answers[len(calls) - 1]

    assert waiting(call, {"name": "hello", "lock_wait": wait}, "web1") == answers[-1]
    assert calls == asked
    assert [line[: len(begun)] for line, begun in zip(shown, said, strict=True)] == said
