"""What status.yml says of a deploy that failed, once its release serves."""

from __future__ import annotations

from typing import Any

from ansible_collections.graceful.deploy.plugins.module_utils._observe.text import _revision, render

REASON = "/ready on /run/shop/blue.sock answers 503, and the app's last lines say that the database isn't there"
FAILED = {"release": "abc", "started": "2026-11-30T20:15:00Z", "outcome": "failed", "reason": REASON}
LIVE = {"release": "abc", "started": "2026-11-30T20:40:00Z", "outcome": "live"}


def shown(*history: dict[str, Any]) -> str:
    empty = {key: {} for key in ("slots", "certificate", "stalls", "maintenance", "deploying", "cut_off")}
    lists = {key: [] for key in ("processes", "timers", "releases", "pushes", "commands")}
    facts = {"name": "shop", "root": "/srv/shop", "live": None, **empty, **lists, "history": [*history]}
    return " ".join(render(facts, 0.0, 10).split())


def test_a_reason_has_its_time() -> None:
    assert f"2026-11-30 20:15 abc: {REASON}" in shown(FAILED)
    assert f"2026-11-30 20:15 abc: {REASON}" in shown({**LIVE, "release": "other"}, FAILED)
    assert f"2026-11-30 20:15 abc: {REASON}" in shown(FAILED, {**LIVE, "release": "other"})


def test_it_goes_where_the_release_became_live_later() -> None:
    """It read as if what serves were ill."""
    assert REASON not in shown(FAILED, LIVE) and " failed" in shown(FAILED, LIVE)


def test_a_revision_in_short_still_says_that_files_differed():
    assert _revision("ba246d1f7400aaaa") == "ba246d1f7400"
    assert _revision("ba246d1f7400aaaa-dirty") == "ba246d1f7400-dirty"
    assert _revision("") == ""
