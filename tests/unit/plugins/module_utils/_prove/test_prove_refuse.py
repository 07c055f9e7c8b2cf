"""Where numbered requests aren't sent, and why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app.slots import App
from ansible_collections.graceful.deploy.plugins.module_utils._prove import refuse
from ansible_collections.graceful.deploy.plugins.module_utils._prove.count import Row, Seen


@pytest.fixture
def app(tmp_path, monkeypatch):
    """An app of ours, live behind a Caddy site of ours."""
    monkeypatch.setattr(refuse, "SITES", {"caddy": f"{tmp_path}/{{name}}.caddy", "nginx": f"{tmp_path}/none"})
    (tmp_path / "shop.caddy").touch()
    (tmp_path / "history.jsonl").write_text(json.dumps({"release": "a1", "outcome": "live"}) + "\n")
    (tmp_path / "live.sock").symlink_to("/run/shop/blue.sock")
    return App("shop", str(tmp_path))


def test_only_an_app_of_ours_is_asked(app):
    assert refuse.nothing_of_ours(app, "caddy") == ""
    assert "no site of graceful.deploy's" in refuse.nothing_of_ours(app, "nginx")
    Path(app.link).unlink()
    assert "Nothing of shop is live" in refuse.nothing_of_ours(app, "caddy")
    Path(app.root, "history.jsonl").unlink()
    assert "was never deployed to this host" in refuse.nothing_of_ours(app, "caddy")


def said(app: App, *statuses: int) -> str:
    rows = [
        Row(n, n % 2, 1000.0 + n, 0.1, status, 0.0, "" if status else "refused") for n, status in enumerate(statuses)
    ]
    return refuse.refusal(app, Seen(1000.0, 0.0, len(rows), False, rows), ["/", "/items"], "shop.example.com")


def test_paths_that_answer_well_or_at_least_steadily_are_taken(app):
    assert said(app, 200, 404, 200, 404) == ""
    assert said(app, 401, 301, 429, 200) == ""


def test_what_is_lost_in_the_quiet_proves_nothing(app):
    assert said(app, 200, 502, 200, 200).startswith(
        "/items got 502 1 of 2 times before anything was done, asked for Host"
    )
    assert "/ got no answer 1 of 2 times before anything was done (refused)" in said(app, 0, 200, 200, 200)
    Path(app.root, "maintenance").touch()
    assert "shop is in maintenance" in said(app, 503, 503)


def test_a_limit_that_answers_most_of_them_is_told_with_what_to_write(app):
    assert "3 of 4 requests were answered 429" in said(app, 200, 429, 429, 429)
    assert "-e rate=2" in said(app, 200, 429, 429, 429)
