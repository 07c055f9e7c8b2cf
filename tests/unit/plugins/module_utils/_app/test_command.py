"""What is known of an app's commands, whatever is in their notes."""

from __future__ import annotations

import json

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app import command, roots

NOTE = {"started": "2026-11-29T15:09:15Z", "by": "ann@laptop", "command": "id", "release": "a1"}


@pytest.fixture
def note(tmp_path):
    (tmp_path / command.COMMANDS).mkdir()
    return lambda number, **more: (tmp_path / command.COMMANDS / f"{number}.json").write_text(
        json.dumps({**NOTE, **more})
    )


def test_the_newest_come_first_with_how_they_ended(note, tmp_path):
    note("1", ended="x", status=0, why="")
    note("2", ended="x", status=143, why="It was ended by SIGTERM.")
    note("3", boot="another one")
    note("4", boot=command.boot())
    outcomes = [row["outcome"] for row in command.last(str(tmp_path), 3)]
    assert outcomes == ["running", "cut off", "It was ended by SIGTERM."]
    assert command.last(str(tmp_path), 4)[3] == {**NOTE, "outcome": "status 0"}


def test_only_a_release_that_a_command_runs_from_now_is_kept(note, tmp_path):
    note("1", ended="x", status=0)
    note("2", boot="before the reboot", release="b2")
    assert command.running_from(str(tmp_path)) == set()
    note("3", boot=command.boot(), release="c3")
    assert command.running_from(str(tmp_path)) == {"c3"}
    assert command.running_from(str(tmp_path / "nothing")) == set()


@pytest.mark.parametrize(
    "text", ["", "\0\0", "[]", "5", "[" * 3000, '{"by": "ann@lap', '{"command": [1], "status": {}}']
)
def test_any_note_can_be_shown(tmp_path, text):
    (tmp_path / command.COMMANDS).mkdir()
    (tmp_path / command.COMMANDS / "1.json").write_text(text)
    (row,) = command.last(str(tmp_path), 5)
    assert row["outcome"] == "cut off" and all(isinstance(value, str) for value in row.values())


def test_a_line_finds_the_releases_programs_and_its_words_as_they_are():
    place = command.Place("hello", "deploy", "deploy", "/srv/hello/slots/blue", "", "/srv/hello/releases/b2")
    assert command.shell(place, 'exec "$@"', ["a b", "$x"])[2:] == [
        "export PATH=/srv/hello/releases/b2/.venv/bin:$PATH "
        'PYTHONPATH=/srv/hello/releases/b2${PYTHONPATH:+:$PYTHONPATH}\nexec "$@"',
        "hello",
        "a b",
        "$x",
    ]
    words = command.command_line(place, "run-1", ["echo", "$x"], ["--pipe"], ["MemoryMax=1G"])
    assert words[-3:] == ["--", "echo", "$$x"] and "--property=MemoryMax=1G" in words
    assert "--property=WorkingDirectory=/srv/hello/releases/b2" in words
    assert "--property=EnvironmentFile=/srv/hello/slots/blue/env" in words


def test_it_knows_the_apps_directory_as_the_rest_does():
    """Which imports what NAME-run can't."""
    assert (command.HOME, command.COMMANDS) == (roots.HOME, roots.COMMANDS)
