"""Which releases go: by what served, never by a file's time."""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app import command
from ansible_collections.graceful.deploy.plugins.module_utils._app.releases import to_prune
from ansible_collections.graceful.deploy.plugins.module_utils._release import place as release_place
from hypothesis import given
from hypothesis import strategies as st

IDS = st.integers(0, 25).map(lambda number: f"{number:012x}")
TIMES = st.integers(0, 99).map(lambda second: f"2026-01-01T00:00:{second:02}.000000Z")
CREATED = st.dictionaries(IDS, TIMES, max_size=12)
SERVED = st.dictionaries(IDS, st.integers(0, 99))


@given(CREATED, SERVED, st.sets(IDS), st.integers(1, 6))
def test_what_goes(created: dict[str, str], served: dict[str, int], protected: set[str], keep: int) -> None:
    gone = to_prune(created, served, protected, keep)
    stay = set(created) - set(gone)
    assert len(gone) == len(set(gone)) and set(gone) <= set(created)
    assert not protected & set(gone)
    # As many as there should be, more only where all of them are protected, fewer only where there were fewer.
    assert len(stay) == min(len(created), max(keep, len(protected & set(created))))
    for left in stay - protected:
        for went in gone:
            assert served.get(left, -1) >= served.get(went, -1)
            assert left in served or (went not in served and created[left] >= created[went])


@given(CREATED, SERVED, st.sets(IDS), st.integers(1, 6))
def test_what_stays_now_is_what_stays_the_next_time(
    created: dict[str, str], served: dict[str, int], protected: set[str], keep: int
) -> None:
    gone = to_prune(created, served, protected, keep)
    left = {release: when for release, when in created.items() if release not in gone}
    assert to_prune(left, served, protected, keep) == []


class Host:
    """The directories of an app, as deploys leave them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.made: list[str] = []
        (root / "releases").mkdir(parents=True)

    def deploy(self, outcome: str, keep: int = 3, kind: str = "deploy", release: str = "") -> str:
        """A release that is built, prunes, and then goes live or not."""
        live = self.live
        if not release:
            release = f"{len(self.made):012x}"
            self.made.append(release)
            (self.root / "releases" / release).mkdir()
            record = {"id": release, "created": f"2026-01-01T00:00:{len(self.made):02}Z"}
            (self.root / "releases" / release / "release.json").write_text(json.dumps(record))
            # A file's time says nothing: here the oldest look newest.
            os.utime(self.root / "releases" / release, (1e9 - len(self.made), 1e9 - len(self.made)))
            release_place.prune(str(self.root), release, keep)
        entry = {"started": "", "release": release, "previous": live, "outcome": outcome, "kind": kind, "reason": ""}
        with open(self.root / "history.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
        if outcome == "live":
            slot = "green" if live and os.readlink(self.root / "live.sock") == "/run/x/blue.sock" else "blue"
            self.fill(slot, release)
            (self.root / "live.sock").unlink(missing_ok=True)
            (self.root / "live.sock").symlink_to(f"/run/x/{slot}.sock")
        return release

    def fill(self, slot: str, release: str, name: str = "release") -> None:
        (self.root / "slots" / slot).mkdir(parents=True, exist_ok=True)
        (self.root / "slots" / slot / name).unlink(missing_ok=True)
        (self.root / "slots" / slot / name).symlink_to(f"../../releases/{release}")

    @property
    def live(self) -> str | None:
        try:
            slot = os.path.basename(os.readlink(self.root / "live.sock")).removesuffix(".sock")
        except FileNotFoundError:
            return None
        return os.path.basename(os.readlink(self.root / "slots" / slot / "release"))

    @property
    def there(self) -> set[str]:
        return {path.name for path in (self.root / "releases").iterdir()}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "srv")


def test_a_bad_week_leaves_what_a_rollback_needs(host: Host) -> None:
    _oldest, older, previous, live = (host.deploy("live", keep=4) for _ in range(4))
    for outcome in ("failed", "moved back", "failed", "interrupted", "failed"):
        bad = host.deploy(outcome, keep=4)
        assert host.there == {older, previous, live, bad}


def test_a_release_that_a_command_runs_from_stays_until_that_has_ended(host: Host) -> None:
    oldest = host.deploy("live", keep=2)
    note = host.root / command.COMMANDS / "1.json"
    note.parent.mkdir()
    note.write_text(json.dumps({"release": oldest, "boot": command.boot()}))
    for _ in range(4):
        host.deploy("live", keep=2)
    assert oldest in host.there
    note.write_text(json.dumps({"release": oldest, "boot": command.boot(), "ended": "now"}))
    host.deploy("live", keep=2)
    assert oldest not in host.there


def test_a_release_whose_deploy_waits_for_another_stays(host: Host) -> None:
    """It has never served, and would be the first to go."""
    waits = host.deploy("failed", keep=2)
    place = os.open(host.root / "releases" / waits, os.O_RDONLY)
    fcntl.flock(place, fcntl.LOCK_SH)
    for _ in range(3):
        host.deploy("live", keep=2)
    assert waits in host.there
    os.close(place)
    host.deploy("live", keep=2)
    assert waits not in host.there


def test_of_two_deploys_at_once_neither_prunes_what_the_other_has_just_made(host: Host) -> None:
    """For an hour; one that has failed is on record, and goes as before."""
    for _ in range(4):
        host.deploy("live", keep=2)
    made = host.deploy("failed", keep=2)
    (host.root / "history.jsonl").write_text("".join((host.root / "history.jsonl").read_text().splitlines(True)[:-1]))
    record = host.root / "releases" / made / "release.json"

    def since(seconds: float) -> None:
        created = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(time.time() - seconds))
        record.write_text(json.dumps({"id": made, "created": created}))

    since(3000)
    host.deploy("live", keep=2)
    assert made in host.there
    since(4000)
    host.deploy("live", keep=2)
    assert made not in host.there


def test_a_release_that_was_rolled_back_from_goes_before_the_good_ones(host: Host) -> None:
    good = [host.deploy("live", keep=5) for _ in range(3)]
    for _ in range(3):
        bad = host.deploy("live", keep=5)
        host.deploy("live", kind="rollback", release=good[-1])
    new = host.deploy("failed", keep=5)
    # Bad as it is, it lies in the other slot.
    assert host.there == {*good, bad, new}


def test_what_a_slot_holds_stays_also_in_one_set_aside_or_in_memory_alone(host: Host) -> None:
    aside, booted, _gone, previous, live = (host.deploy("live", keep=9) for _ in range(5))
    host.fill(".green.before", aside)
    host.fill("blue", booted, "booted")
    for _ in range(3):
        newest = host.deploy("failed", keep=1)
    assert host.there == {aside, booted, previous, live, newest}


def test_without_a_history_the_newest_by_their_record_stay(host: Host) -> None:
    made = [host.deploy("failed", keep=9) for _ in range(5)]
    (host.root / "history.jsonl").unlink()
    newest = host.deploy("failed", keep=3)
    assert host.there == {made[3], made[4], newest}


def test_what_a_rollback_goes_to_stays_where_both_slots_hold_the_live_one(host: Host) -> None:
    good = host.deploy("live", keep=9)
    live = host.deploy("live", keep=9)
    host.deploy("live", release=live)
    host.fill("blue", live)
    newest = host.deploy("failed", keep=2)
    assert host.there == {good, live, newest}


def test_what_is_on_its_way_stays_and_takes_nobodys_place():
    created = {name: f"2026-11-2{day}" for day, name in enumerate("abcdx", start=1)}
    served = {name: number for number, name in enumerate("abcd")}
    assert to_prune(created, served, {"d"}, 3, {"x"}) == ["a"]
    assert to_prune(created, served, {"d"}, 3) == ["x", "a"]
