"""Processes and timers on a host: whose units are there, which directories are missing, when timers run."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._preflight import background

# Recorded from systemd 252 of Debian 12, and 257 of Debian 13.
BOOKWORM = """  Original form: *-*-* 03:30
Normalized form: *-*-* 03:30:00
    Next elapse: Mon 2026-11-30 03:30:00 UTC
       From now: 5h 25min left
       Iter. #2: Tue 2026-12-01 03:30:00 UTC
       From now: 1 day 5h left
       Iter. #3: Wed 2026-12-02 03:30:00 UTC
       From now: 2 days left
"""
TRIXIE = """Normalized form: Mon *-*-01/2 03:30:00
    Next elapse: Mon 2026-12-07 03:30:00 CET
       (in UTC): Mon 2026-12-07 02:30:00 UTC
       From now: 1 week 0 days left
   Iteration #2: Mon 2026-12-21 03:30:00 CET
       (in UTC): Mon 2026-12-21 02:30:00 UTC
       From now: 3 weeks 0 days left
"""
NEVER = """  Original form: *-02-30
Normalized form: *-02-30 00:00:00
    Next elapse: never
"""
REFUSED = "Failed to parse calendar specification 'nope': Invalid argument\n"
ANSWERS = {
    "*-*-* 03:30": (0, BOOKWORM, ""),
    "Mon *-*-01/2 03:30:00": (0, TRIXIE, ""),
    "*-02-30": (0, NEVER, ""),
    "nope": (1, "", REFUSED),
}
PARAMS = {"name": "shop", "user": "deploy", "group": "www"}


def read(**told: object) -> dict[str, object]:
    def run(command: list[str]) -> tuple[int, str, str]:
        assert command[:-1] == ["systemd-analyze", "calendar", "--iterations=3", "--"]
        return ANSWERS[command[-1]]

    return background.read_background(PARAMS | {"background": {"processes": {}, "timers": {}, **told}}, run, [])


def judged(found: dict[str, object]) -> tuple[list[str], list[str]]:
    problems, warnings = background.judge_background(PARAMS, found)
    return [problem.sentence for problem in problems], warnings


def test_nothing_is_asked_where_there_is_the_web_alone() -> None:
    found = background.read_background(PARAMS, lambda _command: pytest.fail("asked"), [])
    assert judged(found) == ([], [])
    assert background.summary_of_timers(found) == {} and background.lines({}) == []


def test_the_next_times_are_told_in_their_order_and_once() -> None:
    found = read(timers={"cleanup": ["Mon *-*-01/2 03:30:00", "*-*-* 03:30", "*-*-* 03:30"], "odd": ["*-*-* 03:30"]})
    assert judged(found) == ([], [])
    days = [f"{day} 03:30:00 UTC" for day in ("Mon 2026-11-30", "Tue 2026-12-01", "Wed 2026-12-02")]
    timers = background.summary_of_timers(found)
    assert timers["cleanup"]["next"] == days
    assert timers["cleanup"]["schedule"] == ["Mon *-*-01/2 03:30:00", "*-*-* 03:30:00", "*-*-* 03:30:00"]
    assert background.lines(timers)[1] == f"Timer odd: *-*-* 03:30:00, next {', '.join(days)}."


def test_both_debians_ways_to_say_it_are_read() -> None:
    expected = {
        "calendar": "Mon *-*-01/2 03:30:00",
        "next": ["Mon 2026-12-07 03:30:00 CET", "Mon 2026-12-21 03:30:00 CET"],
    }
    assert background.parse_calendar(TRIXIE, "x") == expected
    assert background.parse_calendar("", "x") == {"calendar": "x", "next": []}


def test_a_calendar_that_systemd_cannot_read_is_refused_in_its_words() -> None:
    ((sentence,), warnings) = judged(read(timers={"cleanup": ["nope"], "good": ["*-*-* 03:30"]}))
    assert sentence.startswith(
        "fastapi_timers: schedule of cleanup: the host's systemd doesn't take it: Failed to parse"
    )
    assert "'nope': Invalid argument. Write schedule: '*-*-* 03:30'" in sentence
    assert warnings == []


def test_a_timer_that_never_runs_is_worth_a_warning() -> None:
    problems, (warning,) = judged(read(timers={"a": ["*-02-30"], "b": ["*-02-30", "*-*-* 03:30"]}))
    assert problems == []
    assert warning.startswith("fastapi_timers: a never runs: *-02-30 00:00:00 doesn't come any more.")
    assert background.lines({"a": {"schedule": ["x"], "next": []}}) == ["Timer a: x, next never."]


def test_a_directory_that_is_missing_is_refused(tmp_path: Path) -> None:
    found = read(processes={"worker": [str(tmp_path), f"{tmp_path}/a"], "beat": []})
    ((sentence,), _warnings) = judged(found)
    assert sentence.startswith(f"fastapi_processes: writable_paths of worker: {tmp_path}/a isn't a directory")
    assert f"install -d -o deploy -g www {tmp_path}/a." in sentence


def test_units_of_others_with_our_names_are_refused(tmp_path: Path) -> None:
    for name in ("etc/shop.worker.service.d", "etc/timers.target.wants", "lib"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "lib")
    directories = [str(tmp_path / name) for name in ("etc", "lib", "link", "nowhere")]
    (tmp_path / "etc/shop.worker.4@.service").write_text("# graceful.deploy\n")
    for name in ("etc/shop.workers.service", "etc/shop.service", "etc/shop@.service", "lib/xshop.worker.service"):
        (tmp_path / name).write_text("[Unit]\n")
    assert background.foreign_units("shop.worker.", directories) == []
    told = {"processes": {"worker": []}, "timers": {"cleanup": []}}

    def now() -> list[str]:
        found = background.read_background(PARAMS | {"background": told}, lambda _c: (1, "", ""), directories)
        return judged(found)[0]

    assert now() == []
    (tmp_path / "lib/shop.worker.service").write_text("[Unit]\n")
    (tmp_path / "etc/shop.cleanup.timer").symlink_to("/dev/null")
    (tmp_path / "etc/shop.cleanup.service").write_text("[Service]\n")
    worker, cleanup = now()
    assert worker.startswith("fastapi_processes: worker would have units that the host has by somebody else: ")
    assert f"{tmp_path}/lib/shop.worker.service. Give worker another name, or remove what brought that." in worker
    assert cleanup.startswith("fastapi_timers: cleanup would") and cleanup.endswith("remove what brought them.")
