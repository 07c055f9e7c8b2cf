"""While nobody may be cut off, a person sees for whom is waited."""

from __future__ import annotations

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._adopt import old


@pytest.fixture
def drained(monkeypatch, tmp_path):
    """Drain by a clock that goes on by 30 s each time; how many were left, and what stood in the note at each."""
    note, now, seen = tmp_path / "waiting", [0.0], list[str]()

    def sleep(_seconds: float) -> None:
        seen.append(note.read_text() if note.exists() else "")
        now[0] += 30

    monkeypatch.setattr(old.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(old.time, "sleep", sleep)

    def drain(*counts: int) -> tuple[int, list[str]]:
        rest = list(counts)
        monkeypatch.setattr(old, "connections", lambda _at: rest.pop(0) if rest else 0)
        left = old.drain("127.0.0.1:9000", 90, str(note))
        assert not note.exists()
        return left, seen

    return drain


def test_it_says_for_how_many_and_how_long(drained):
    said = [
        f"waiting for {count} to 127.0.0.1:9000 to end, {rest} s more at most\n"
        for count, rest in (("2 connections", 90), ("1 connection", 60), ("1 connection", 30), ("1 connection", 0))
    ]
    assert drained(2, 1, 1, 1, 1) == (1, said)


def test_where_nobody_is_waited_for_nothing_is_said(drained):
    assert drained(0, 0, 0) == (0, ["", ""])
