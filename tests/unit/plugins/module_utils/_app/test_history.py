"""What the record of deploys says: which releases served well, which are bad, where a rollback goes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app import history, lock
from ansible_collections.graceful.deploy.plugins.module_utils._app.lock import (
    NAME,
    DeployLock,
    Held,
    is_held,
    left_in,
    note_in,
)
from ansible_collections.graceful.deploy.plugins.module_utils._observe.text import render
from hypothesis import given
from hypothesis import strategies as st

ANY = st.recursive(st.none() | st.floats() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=2))


def entry(release, outcome="live", previous=None, kind="deploy", **more):
    return {"release": release, "outcome": outcome, "previous": previous, "kind": kind, **more}


GOOD = [entry("a"), entry("b", previous="a"), entry("c", previous="b")]


def test_a_rollback_goes_to_the_release_that_served_before():
    assert history.rollback_target(GOOD, ["a", "b", "c"], "c") == "b"


def test_what_was_pruned_is_no_target():
    assert history.rollback_target(GOOD, ["a", "c"], "c") == "a"
    assert history.rollback_target(GOOD, ["c"], "c") is None


def test_a_release_that_was_rolled_back_from_is_bad_and_stays_so():
    entries = [*GOOD, entry("b", previous="c", kind="rollback", started="noon")]
    assert history.marked(entries) == {"c": "a rollback left it at noon"}
    assert history.rollback_target(entries, ["a", "b", "c"], "b") == "a"
    entries.append(entry("a", previous="b", kind="rollback"))
    assert history.rollback_target(entries, ["a", "b", "c"], "a") is None


def test_a_release_that_died_after_its_watch_and_was_mended_by_the_next_is_no_target():
    """It had gone live, and nobody rolled back from it: the next deploy found it down."""
    entries = [*GOOD, entry("d", previous="c", ill="kept dying")]
    assert history.marked(entries) == {"c": "kept dying when d took its place"}
    assert history.rollback_target(entries, ["a", "b", "c", "d"], "d") == "b"
    # Started again by a deploy of its own, it is as good as any.
    entries += [entry("c", previous="d"), entry("e", previous="c", ill="")]
    assert history.rollback_target(entries, ["a", "b", "c", "d", "e"], "e") == "c"
    # One that took over from itself, with another configuration, marks nothing.
    assert history.marked([*GOOD, entry("c", previous="c", ill="was down")]) == {}


@pytest.mark.parametrize("outcome", ["failed", "moved back"])
def test_a_release_that_failed_is_never_a_target_until_it_has_served(outcome):
    entries = [*GOOD, entry("d", outcome, "c", reason="it died")]
    assert history.marked(entries) == {"d": "it died"}
    assert history.rollback_target(entries, ["a", "b", "c", "d"], "c") == "b"
    entries.append(entry("d", previous="c"))
    assert history.marked(entries) == {}
    assert history.rollback_target(entries, ["a", "b", "c", "d"], "c") == "d"


def test_a_release_that_served_and_then_failed_is_bad():
    entries = [*GOOD, entry("b", "moved back", "c")]
    assert history.rollback_target(entries, ["a", "b", "c"], "c") == "a"


def test_a_run_that_was_cut_off_says_nothing_of_its_release():
    assert history.marked([*GOOD, entry("b", "interrupted", "c")]) == {}


def test_a_full_disk_or_a_failed_migration_does_not_mark_a_release():
    assert history.marked([*GOOD, entry("d", "failed", "c", blames=False)]) == {}


def test_a_bad_configuration_does_not_mark_the_release_that_is_live():
    assert history.marked([*GOOD, entry("c", "failed", "c")]) == {}


@given(
    st.lists(
        st.builds(
            entry,
            st.sampled_from("abcd"),
            st.sampled_from(["live", "failed", "moved back", "interrupted"]),
            st.sampled_from([None, *"abcd"]),
            st.sampled_from(["deploy", "rollback"]),
        ),
        max_size=12,
    ),
    st.sets(st.sampled_from("abcd")),
    st.sampled_from([None, *"abcd"]),
)
def test_a_target_is_there_has_served_and_is_not_known_to_be_bad(entries, there, live):
    target = history.rollback_target(entries, there, live)
    if target is not None:
        assert target in there
        assert target != live
        assert any(e["release"] == target and e["outcome"] == "live" for e in entries)
        assert target not in history.marked(entries)


def test_entries_are_added_a_line_each_and_half_a_line_is_passed_over(tmp_path):
    for one in GOOD:
        history.append(str(tmp_path), one, os.getgid())
    with open(tmp_path / history.NAME, "a", encoding="utf-8") as file:
        file.write('{"release": "d", "outc')
    assert history.read(str(tmp_path)) == GOOD
    assert os.stat(tmp_path / history.NAME).st_mode & 0o777 == 0o640


def test_a_long_history_is_cut_to_its_newest_lines(tmp_path):
    with open(tmp_path / history.NAME, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(entry(str(n))) + "\n" for n in range(2 * history.KEPT))
    history.append(str(tmp_path), entry("last"), os.getgid())
    entries = history.read(str(tmp_path))
    assert (len(entries), entries[-1]["release"]) == (history.KEPT, "last")
    assert os.listdir(tmp_path) == [history.NAME]


def test_a_line_that_was_left_half_takes_no_other_with_it(tmp_path):
    (tmp_path / history.NAME).write_text(json.dumps(entry("first")) + '\n{"started": "2026-')
    history.append(str(tmp_path), entry("next"), os.getgid())
    history.append(str(tmp_path), entry("last"), os.getgid())
    assert [found["release"] for found in history.read(str(tmp_path))] == ["first", "next", "last"]


HOLD = """
import sys
from ansible_collections.graceful.deploy.plugins.module_utils._app.lock import DeployLock
lock = DeployLock(sys.argv[1])
lock.write({"by": "ann@laptop", "since": "noon", "phase": "ready"})
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_deployer_is_told_who_holds_the_lock_which_ends_with_its_holder(tmp_path):
    holder = hold(tmp_path)
    try:
        assert is_held(str(tmp_path))
        with pytest.raises(Held) as held:
            DeployLock(str(tmp_path))
        assert held.value.note == {"by": "ann@laptop", "since": "noon", "phase": "ready"}
    finally:
        holder.kill()
        holder.communicate()
    assert not is_held(str(tmp_path))
    # Nobody else may hold it, so nobody else may open it; nor where an earlier version left it open to all.
    (tmp_path / NAME).chmod(0o644)
    lock = DeployLock(str(tmp_path))
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600
    assert lock.left["phase"] == "ready"
    lock.clear()
    assert note_in(str(tmp_path)) == {}
    assert is_held(str(tmp_path))
    os.close(lock.descriptor)


def hold(root) -> subprocess.Popen[bytes]:
    """A deploy that holds the lock until it is killed."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", HOLD, str(root)]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
    assert holder.stdout.readline() == b"held\n"
    return holder


def test_who_waits_gets_the_lock_when_its_holder_ends_and_says_who_that_was(tmp_path):
    holder = hold(tmp_path)
    timer = threading.Timer(0.5, holder.kill)
    timer.start()
    try:
        lock = DeployLock(str(tmp_path), 30)
    finally:
        timer.join()
        holder.communicate()
    assert lock.waited.startswith("Waited ") and "ann@laptop began at noon" in lock.waited
    assert lock.left["phase"] == "ready"
    os.close(lock.descriptor)
    lock = DeployLock(str(tmp_path), 30)
    assert lock.waited == ""
    os.close(lock.descriptor)


def test_a_holder_that_has_only_just_got_the_lock_is_given_a_moment_to_say_who_it_is(tmp_path):
    first = DeployLock(str(tmp_path))
    timer = threading.Timer(0.3, first.write, [{"by": "ann@laptop", "since": "noon", "phase": "ready"}])
    timer.start()
    try:
        with pytest.raises(Held) as held:
            DeployLock(str(tmp_path))
    finally:
        timer.join()
        first.release()
    assert "ann@laptop began at noon" in held.value.sentence("hello")
    assert held.value.waited == 0


def test_who_has_waited_in_vain_says_how_long(tmp_path):
    holder = hold(tmp_path)
    begun = time.monotonic()
    try:
        with pytest.raises(Held) as held:
            DeployLock(str(tmp_path), 1)
    finally:
        holder.kill()
        holder.communicate()
    assert 1 <= time.monotonic() - begun < 10
    assert "has waited 1 s for its end (fastapi_lock_wait)" in held.value.sentence("hello")


def test_a_directory_that_goes_while_its_lock_is_waited_for_is_gone(tmp_path):
    """A removal unlinks the lock last, and then the directory."""
    root = tmp_path / "hello"
    root.mkdir()
    holder = hold(root)
    timer = threading.Timer(0.5, lambda: (shutil.rmtree(root), holder.kill()))
    timer.start()
    try:
        with pytest.raises(FileNotFoundError):
            DeployLock(str(root), 30)
    finally:
        timer.join()
        holder.communicate()


@pytest.mark.parametrize("umask", [0o077, 0o000])
def test_the_group_reads_the_history_whatever_roots_umask_is(tmp_path, umask):
    before = os.umask(umask)
    try:
        history.append(str(tmp_path), {"release": "a1", "outcome": "live"}, os.getgid())
    finally:
        os.umask(before)
    assert os.stat(history.path(str(tmp_path))).st_mode & 0o777 == 0o640


@given(st.text(st.characters()))
def test_any_reason_is_one_line_of_ascii_and_comes_back_as_it_was(tmp_path_factory, reason):
    root = str(tmp_path_factory.mktemp("app"))
    for release in ("a1", "b2"):
        history.append(root, {"release": release, "outcome": "failed", "reason": reason}, os.getgid())
    with open(history.path(root), "rb") as file:
        written = file.read()
    assert written.isascii() and written.count(b"\n") == 2
    assert [entry["reason"] for entry in history.read(root)] == [reason, reason]


def test_a_failure_is_known_whose_reason_holds_ends_of_lines():
    """As earlier versions have written them."""
    lines = [
        {"release": "a1", "outcome": "live"},
        {"release": "b2", "outcome": "failed", "reason": "a\u2028b\x85c\x0b"},
    ]
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    assert history.marked(history.parse(text)) == {"b2": "a\u2028b\x85c\x0b"}


@given(st.text() | st.recursive(st.none() | st.floats() | st.text(), lambda inner: st.lists(inner)).map(json.dumps))
def test_any_line_of_a_history_is_read_or_passed_over(line):
    entries = history.parse(f'{{"release": "a1", "outcome": "live"}}\n{line}\n{"[" * 3000}\n')
    assert entries[0]["release"] == "a1"
    assert history.rollback_target(entries, ["a1"], None) == "a1"


@given(
    st.dictionaries(
        st.sampled_from(["release", "started", "seconds", "by", "reason", "kind", "outcome", "previous"]), ANY
    )
)
def test_any_entry_of_a_history_can_be_shown(entry):
    entries = history.parse(json.dumps({"release": "a1", **entry}))
    facts = {
        "name": "hello",
        "live": None,
        "slots": {},
        "releases": [],
        "history": entries,
        "commands": [],
        "pushes": [],
        "processes": [],
        "timers": [],
        "certificate": {},
        "stalls": {},
    }
    facts |= {"deploying": {}, "cut_off": {}, "maintenance": False, "root": "/srv/hello"}
    assert render(facts, 0, 10)
    history.marked(entries)


def test_a_note_is_on_the_disk_before_its_phase_begins(tmp_path, monkeypatch):
    """A power cut in the phase leaves it."""
    synced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.path.realpath(f"/proc/self/fd/{descriptor}")))
    monkeypatch.setattr(os, "fdatasync", lambda descriptor: synced.append((tmp_path / NAME).read_text()))
    lock = DeployLock(str(tmp_path))
    lock.write({"phase": "start"})
    lock.clear()
    assert synced == [str(tmp_path), '{"phase": "start"}\n', ""]


@pytest.mark.parametrize("text", ["\0" * 203, '{"by": "ann@lap', "[]", "5", "[" * 3000, '{"phase": "start"}{"phase'])
def test_a_note_that_cannot_be_read_is_of_a_deploy_that_was_cut_off(tmp_path, text):
    (tmp_path / NAME).write_text(text)
    assert left_in(str(tmp_path)) == {"by": "unknown", "since": "unknown", "release": "unknown", "phase": "unknown"}
    assert DeployLock(str(tmp_path)).left == note_in(str(tmp_path)) == left_in(str(tmp_path)) or is_held(str(tmp_path))


@pytest.mark.parametrize("text", ["", "\n", "{}"])
def test_an_empty_note_is_of_none(tmp_path, text):
    (tmp_path / NAME).write_text(text)
    assert left_in(str(tmp_path)) == {}


@given(st.binary() | ANY.map(lambda value: json.dumps(value).encode()))
def test_any_note_is_read(tmp_path_factory, content):
    root = tmp_path_factory.mktemp("app")
    (root / NAME).write_bytes(content)
    note = note_in(str(root))
    assert not note or isinstance(note.get("release", ""), str)
    assert Held(note).sentence("hello").startswith("Another deploy of hello is moving traffic")


def test_figures_go_to_the_line_of_their_deploy_alone(tmp_path):
    lines = [entry("a", began=1.5), entry("b", began=2.5, reason="split\u2028here"), "half a li", entry("b", began=3.5)]
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines) + "\n"
    (tmp_path / history.NAME).write_text(text)
    assert history.amend(str(tmp_path), 2.5, {"proved": {"sent": 9, "lost": 1}})
    after = (tmp_path / history.NAME).read_text().split("\n")
    assert [n for n, line in enumerate(text.split("\n")) if line != after[n]] == [1]
    assert json.loads(after[1]) == {**lines[1], "proved": {"sent": 9, "lost": 1}}
    assert not history.amend(str(tmp_path), 9.5, {"proved": {}})
    assert (tmp_path / history.NAME).read_text().split("\n") == after


def test_what_was_proved_is_shown_where_it_is_whole():
    proved = {"sent": 1200, "lost": 3, "late": 0, "doubled": None, "before": 12.1, "after": 15.3}
    entries = history.parse(json.dumps(entry("a", proved=proved)) + "\n" + json.dumps(entry("b", proved=["x"])))
    assert entries[0]["proved"] == proved and "proved" not in entries[1]
    facts = {
        "name": "x",
        "live": None,
        "maintenance": False,
        "deploying": {},
        "cut_off": {},
        "slots": {},
        "releases": [],
    }
    facts |= {
        "processes": [],
        "timers": [],
        "pushes": [],
        "commands": [],
        "certificate": {},
        "stalls": [],
        "history": entries,
    }
    said = render(facts, 0, 9)
    assert "lost, p99" in said and "3 of 1,200, 12 → 15 ms" in said
    assert "lost, p99" not in render({**facts, "history": entries[1:]}, 0, 9)
    canary = {"share": 10, "seconds": 60.0, "requests": 310, "errors": 13, "p95": 480.2}
    canary |= {"live_requests": 2790, "live_errors": 3, "live_p95": None}
    rows = [entry("c", canary=canary), entry("d", canary={**canary, "requests": 0}), entry("e", canary={"p95": "x"})]
    entries = history.parse("\n".join(map(json.dumps, rows)))
    assert entries[0]["canary"] == canary and "canary" not in entries[2]
    said = render({**facts, "history": entries}, 0, 9)
    assert "4.2 % of 310, 480 ms / 0.1 % of 2,790" in said and "no requests / 0.1 % of 2,790" in said
    assert "canary" not in render({**facts, "history": entries[2:]}, 0, 9)


def test_a_start_anew_says_nothing_of_what_there_is_to_go_back_from():
    entries = [*GOOD, entry("d", "failed", previous="c"), entry("c", previous="c", kind=history.AGAIN)]
    assert history.last_telling(entries)["release"] == "d"
    assert history.rollback_target(entries, ["a", "b", "c"], "c") == "b"
    assert history.marked([*entries, entry("c", "failed", previous="c", kind=history.AGAIN)]).keys() == {"d"}


def test_who_is_beside_a_deploy_leaves_the_note_of_one_that_was_cut_off(tmp_path):
    (tmp_path / NAME).write_text('{"release": "a"}\n')
    with lock.beside(str(tmp_path), 0):
        assert is_held(str(tmp_path))
        with pytest.raises(Held), lock.beside(str(tmp_path), 0.3):
            pass
    assert left_in(str(tmp_path)) == {"release": "a"}
