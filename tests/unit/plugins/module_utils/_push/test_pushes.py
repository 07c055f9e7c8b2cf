"""What became of pushes, in files that another user may have written: nothing of them is believed."""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._push import pushes
from ansible_collections.graceful.deploy.plugins.module_utils._push.pushes import Push
from hypothesis import example, given
from hypothesis import strategies as st

COMMIT = 40 * "a"
GOOD = {"number": 7, "ref": "refs/heads/main", "commit": COMMIT, "by": "ann", "received": "2026-11-25T01:12:03Z"}


def put(place: Path, text: str, name: str = "00000007.json") -> str:
    path = place / name
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    return str(path)


def test_a_push_is_read_as_it_was_noted(tmp_path: Path) -> None:
    push = Push(**GOOD, state=pushes.FAILED, started="2026-11-25T01:12:04Z", reason="web1: no", tries=2)
    pushes.note(str(tmp_path), push)
    assert pushes.read(str(tmp_path / "00000007.json")) == push
    assert (tmp_path / "00000007.json").stat().st_mode & 0o777 == 0o640
    assert os.listdir(tmp_path) == ["00000007.json"]
    assert str(push) == f"push 7 (main at {COMMIT[:12]}, by ann)"


@pytest.mark.parametrize(
    "changes",
    [
        {"number": 8},
        {"number": 0},
        {"number": -7},
        {"number": 7.0},
        {"number": "7"},
        {"number": True},
        {"number": None},
        {"number": float("nan")},
        {"tries": float("inf")},
        {"tries": True},
        {"tries": -1},
        {"ref": "main"},
        {"ref": "refs/pull/1/head"},
        {"ref": "refs/heads/a b"},
        {"ref": "refs/heads/a\x9b2J"},
        {"ref": "refs/heads/\ud800"},
        {"ref": "refs/heads/" + 201 * "x"},
        {"ref": ["refs/heads/main"]},
        {"commit": COMMIT[1:]},
        {"commit": COMMIT + "\n"},
        {"commit": "HEAD"},
        {"commit": 5},
        {"by": ["ann"]},
        {"by": None},
        {"received": "\x1b[2J"},
        {"started": "soon"},
        {"ended": 5},
        {"state": "great"},
        {"state": ["waiting"]},
        {"reason": {}},
    ],
)
def test_what_is_no_push_is_not_believed(tmp_path: Path, changes: dict[str, object]) -> None:
    assert pushes.read(put(tmp_path, json.dumps(GOOD))) == Push(**GOOD)
    assert pushes.read(put(tmp_path, json.dumps(GOOD | changes))) is None
    assert pushes.pushes(str(tmp_path)) == []


@pytest.mark.parametrize("missing", ["number", "ref", "commit"])
def test_what_lacks_something_is_no_push(tmp_path: Path, missing: str) -> None:
    assert pushes.read(put(tmp_path, json.dumps({name: GOOD[name] for name in GOOD if name != missing}))) is None


def test_numbers_have_an_end(tmp_path: Path) -> None:
    assert pushes.read(put(tmp_path, json.dumps(GOOD | {"number": 10**12 - 1}), f"{10**12 - 1}.json"))
    assert pushes.read(put(tmp_path, json.dumps(GOOD | {"number": 10**12}), f"{10**12}.json")) is None
    assert pushes.read(put(tmp_path, f'{{"number": {5000 * "9"}}}')) is None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "7", '"x"', "{}", "[" * 60_000, '{"a":' * 10_000, "\0", json.dumps([GOOD])]
)
def test_any_text_may_be_there(tmp_path: Path, text: str) -> None:
    assert pushes.read(put(tmp_path, text)) is None


def test_huge_files_are_not_read_to_their_end(tmp_path: Path) -> None:
    path = put(tmp_path, json.dumps(GOOD))
    os.truncate(path, 1 << 40)
    began = time.monotonic()
    assert pushes.read(path) is None
    assert time.monotonic() - began < 5


def test_links_pipes_and_directories_are_no_pushes(tmp_path: Path) -> None:
    """As root, status would read whatever a link leads to, and wait for whoever writes into a pipe."""
    elsewhere = put(tmp_path, json.dumps(GOOD | {"number": 1}), "elsewhere")
    place = tmp_path / "queue"
    place.mkdir()
    (place / "00000001.json").symlink_to(elsewhere)
    os.mkfifo(place / "00000002.json")
    (place / "00000003.json").mkdir()
    (place / "00000004.json").symlink_to("/nonexistent")
    put(place, json.dumps(GOOD))
    put(place, json.dumps(GOOD), "7.json")
    put(place, json.dumps(GOOD), "00000007.json.new")
    assert [push.number for push in pushes.pushes(str(place))] == [7]


def test_the_oldest_is_first_whatever_the_digits(tmp_path: Path) -> None:
    numbers = [2, 99_999_999, 100_000_000, 1, 10**11]
    for number in numbers:
        pushes.note(str(tmp_path), Push(number, "refs/heads/main", COMMIT))
    assert [push.number for push in pushes.pushes(str(tmp_path))] == sorted(numbers)
    assert pushes.pushes(str(tmp_path / "nowhere")) == []


def test_what_is_shown_stays_on_its_line(tmp_path: Path) -> None:
    text = json.dumps(GOOD | {"by": "a\nb\x1b[2J\u202e\ud800", "reason": 900 * "x" + "\r"})
    push = pushes.read(put(tmp_path, text))
    assert push and push.by == "ab2J" and push.reason == 500 * "x"


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=3,
)


@given(
    st.dictionaries(
        st.sampled_from(["number", "ref", "commit", "by", "received", "started", "ended", "state", "reason", "tries"]),
        ANY,
    )
)
@example({"by": "\ud800", "extra": 1})
def test_whatever_a_field_holds_what_is_read_can_be_noted_and_shown(changes: dict[str, object]) -> None:
    with tempfile.TemporaryDirectory() as place:
        path = put(Path(place), json.dumps(GOOD | changes))
        push = pushes.read(path)
        if push:
            shown = f"{push} {push.received} {push.started} {push.ended} {push.reason} {push.state}"
            assert shown.isprintable() and shown.encode()
            pushes.note(place, push)
            assert pushes.read(path) == push


def test_old_ones_are_forgotten_but_none_that_waits_or_runs(tmp_path: Path) -> None:
    for number in range(1, pushes.KEPT + 11):
        state = {2: pushes.WAITING, 3: pushes.RUNNING}.get(number, pushes.DEPLOYED)
        pushes.note(str(tmp_path), Push(number, "refs/heads/main", COMMIT, state=state))
    put(tmp_path, "{", "00000001.json")
    pushes.prune(str(tmp_path))
    kept = [push.number for push in pushes.pushes(str(tmp_path))]
    assert kept == [2, 3, *range(11, pushes.KEPT + 11)]
    assert not (tmp_path / "00000001.json").exists()


def test_a_host_knows_what_waits_and_what_was_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pushes, "TAKEN", str(tmp_path / "{name}/queue"))
    monkeypatch.setattr(pushes, "STATES", str(tmp_path / "{name}/pushes"))
    assert pushes.known("hello") == []
    for place in ("queue", "pushes"):
        (tmp_path / "hello" / place).mkdir(parents=True)
    for number in (1, 2):
        pushes.note(str(tmp_path / "hello/pushes"), Push(number, "refs/heads/main", COMMIT, state=pushes.DEPLOYED))
    # Between the note and the end of its file, a push is in both.
    for number in (2, 3):
        pushes.note(str(tmp_path / "hello/queue"), Push(number, "refs/heads/main", COMMIT))
    assert [(push.number, push.state) for push in pushes.known("hello")] == [
        (1, "deployed"),
        (2, "deployed"),
        (3, "waiting"),
    ]
