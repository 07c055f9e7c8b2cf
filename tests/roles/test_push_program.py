"""What notes a push whose signature is good: which it takes, and that no number is lost or given twice."""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._push import pushes
from hypothesis import example, given
from hypothesis import strategies as st

PATH = Path(__file__).parents[2] / "roles/webhook/files/push.py"
SPEC = importlib.util.spec_from_file_location("webhook_push", PATH)
program = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(program)

COMMIT, OTHER, NONE = 40 * "a", 64 * "b", 40 * "0"
PUSH = {"ref": "refs/heads/main", "commit": COMMIT, "by": "ann"}


def read(branch: str = "main", tags: str = "v*", **environment: str) -> tuple[dict[str, str], str]:
    return program.read({"REF": "refs/heads/main", "AFTER": COMMIT, **environment}, branch, tags)


@pytest.mark.parametrize(
    "environment",
    [
        {"EVENT_GITHUB": "push", "BY_NAME": "ann"},
        {"EVENT_GITLAB": "Push Hook", "BY_USER": "ann", "COMMIT": COMMIT},
        {"EVENT_GITLAB": "Tag Push Hook", "REF": "refs/tags/v1", "BY_USER": "ann", "COMMIT": COMMIT, "AFTER": OTHER},
        {"EVENT_GITEA": "push", "EVENT_GITHUB": "push", "BY_NAME": "<nil>", "BY_LOGIN": "ann"},
        {"BY": "ann"},
    ],
)
def test_pushes_of_each_server_are_taken(environment: dict[str, str]) -> None:
    ref = environment.get("REF", "refs/heads/main")
    assert read(**environment) == ({"ref": ref, "commit": COMMIT, "by": "ann"}, "")


def test_who_pushed_may_be_unknown_and_commits_may_be_longer() -> None:
    assert read(AFTER=OTHER) == ({"ref": "refs/heads/main", "commit": OTHER, "by": "unknown"}, "")
    assert read(AFTER=OTHER, BY="\n")[0]["by"] == "unknown"


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        ({"EVENT_GITHUB": "ping"}, "the event ping deploys nothing; choose push"),
        ({"EVENT_GITLAB": "Merge Request Hook"}, "the event Merge Request Hook deploys nothing"),
        ({"EVENT_GITHUB": "push\n\x1b[2J"}, "the event push  [2J deploys nothing"),
        ({"REF": ""}, "no ref, such as refs/heads/main"),
        ({"REF": "<nil>"}, "no ref"),
        ({"REF": "main"}, "no ref"),
        ({"REF": "refs/heads/"}, "no ref"),
        ({"REF": "refs/heads/other"}, "refs/heads/other isn't deployed, but branch main and tags v*"),
        ({"REF": "refs/heads/main/x"}, "isn't deployed"),
        ({"REF": "refs/heads/main\n"}, "isn't deployed"),
        ({"REF": "refs/tags/main"}, "isn't deployed"),
        ({"REF": "refs/heads/v1"}, "isn't deployed"),
        ({"REF": "refs/pull/7/head"}, "isn't deployed"),
        ({"REF": "refs/tags/v1\nx"}, "refs/tags/v1 x is no name that git has"),
        ({"REF": "refs/tags/v1 x"}, "is no name"),
        ({"REF": "refs/tags/v\x9b2J"}, "is no name"),
        ({"REF": "refs/tags/v\udcff"}, "is no name"),
        ({"REF": "refs/tags/v*"}, "is no name"),
        ({"REF": "refs/tags/v" + 10_000 * "1"}, "is no name"),
        ({"AFTER": ""}, "no commit"),
        ({"AFTER": "main"}, "no commit"),
        ({"AFTER": COMMIT + "\n"}, "no commit"),
        ({"AFTER": COMMIT[:12]}, "no commit"),
        ({"AFTER": NONE}, "refs/heads/main was deleted"),
        ({"AFTER": NONE, "COMMIT": "<nil>", "EVENT_GITLAB": "Push Hook"}, "refs/heads/main was deleted"),
        ({"branch": "", "REF": "refs/heads/"}, "no ref"),
        ({"branch": "", "tags": "v*"}, "isn't deployed, but tags v*"),
        ({"tags": "", "REF": "refs/tags/v1"}, "isn't deployed, but branch main"),
    ],
)
def test_what_is_no_push_to_deploy_is_refused_with_the_reason(environment: dict[str, str], why: str) -> None:
    push, said = read(**environment)
    assert push == {} and why in said
    assert said.isprintable() and len(said) < 300


TEXT = st.text(st.characters(exclude_characters="\0"), max_size=300)


@given(
    st.dictionaries(st.sampled_from(["EVENT_GITHUB", "REF", "AFTER", "COMMIT", "BY", "BY_NAME"]), TEXT),
    st.sampled_from(["refs/tags/v", "refs/heads/", ""]),
    TEXT,
)
@example({"AFTER": COMMIT}, "refs/tags/v", "1" * 200)
@example({"AFTER": COMMIT}, "refs/tags/v", "1" * 199)
@example({"AFTER": COMMIT, "BY": "\u202e" + 300 * "\x1b"}, "refs/tags/v", "é")
def test_what_is_taken_is_believed_by_who_deploys(environment: dict[str, str], begin: str, rest: str) -> None:
    """A number that somebody got as his answer, and no trace of the push after that, would be a push lost."""
    push, why = program.read({"REF": begin + rest, **environment}, "main", "v*")
    assert bool(push) != bool(why)
    if push:
        with tempfile.TemporaryDirectory() as place:
            queue = Path(place, "queue")
            queue.mkdir()
            number = program.keep(str(queue), push)
            (found,) = pushes.pushes(str(queue))
        assert (found.number, found.ref, found.commit) == (number, push["ref"], push["commit"])


@pytest.fixture
def queue(tmp_path: Path) -> Path:
    (tmp_path / "queue").mkdir()
    return tmp_path / "queue"


def waiting(queue: Path) -> list[int]:
    return [push.number for push in pushes.pushes(str(queue))]


def test_twenty_at_once_get_a_number_each_and_wait_in_its_order(queue: Path) -> None:
    together = threading.Barrier(20)

    def take(_each: int) -> int:
        together.wait()
        return program.keep(str(queue), PUSH)

    with ThreadPoolExecutor(20) as pool:
        assert sorted(pool.map(take, range(20))) == list(range(1, 21))
    assert waiting(queue) == list(range(1, 21))
    command = [sys.executable, "-IS", str(PATH), "take", str(queue), "main", ""]
    environment = {"REF": "refs/heads/main", "AFTER": COMMIT, "PATH": ""}
    running = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) for _each in range(8)]
    answers = [json.loads(each.communicate()[0]) for each in running]
    assert sorted(answer["push"] for answer in answers) == list(range(21, 29))
    assert {answer["commit"] for answer in answers} == {COMMIT}
    assert waiting(queue) == list(range(1, 29))
    assert os.listdir(queue) == [name for name in os.listdir(queue) if re.fullmatch(r"\d{8}\.json", name)]


@pytest.mark.parametrize("fails", ["pwrite", "fsync", "rename", "ftruncate"])
@pytest.mark.parametrize("after", range(3))
def test_a_full_disk_leaves_nothing_that_would_start_a_deploy(
    queue: Path, fails: str, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """systemd starts the deploys for as long as anything is in that directory."""
    assert program.keep(str(queue), PUSH) == 1
    real, calls = getattr(os, fails), []

    def full(*arguments: object) -> object:
        calls.append(arguments)
        if len(calls) > after:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*arguments)

    given = []
    with monkeypatch.context() as patch:
        patch.setattr(program.os, fails, full)
        for _each in range(2):
            with contextlib.suppress(OSError):
                given.append(program.keep(str(queue), PUSH))
    assert {name for name in os.listdir(queue) if not re.fullmatch(r"\d{8}\.json", name)} == set()
    assert len(calls) > after or given == [2, 3]
    last = program.keep(str(queue), PUSH)
    numbers = waiting(queue)
    assert set(given) < set(numbers) and len(set(numbers)) == len(numbers) and numbers[-1] == last


def test_a_note_of_the_last_number_that_a_power_cut_has_emptied_gives_none_twice(queue: Path) -> None:
    for _each in range(12):
        program.keep(str(queue), PUSH)
    for left in ("", "\0\0", "x", "1"):
        (queue.parent / "number").write_text(left)
        before = waiting(queue)
        assert program.keep(str(queue), PUSH) == before[-1] + 1
    (queue.parent / "number").write_text("5")
    assert program.last_number(b"5", ["00000003.json", "x", "9.json"]) == 5


def test_a_half_file_of_a_program_that_was_killed_stands_in_nobodys_way(queue: Path) -> None:
    (queue.parent / "new").write_text('{"number": 7, "re')
    assert program.keep(str(queue), PUSH) == 1
    assert os.listdir(queue) == ["00000001.json"] and not (queue.parent / "new").exists()


def test_a_push_that_is_not_deployed_gets_no_number(queue: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(program.os, "environ", {"REF": "refs/heads/other", "AFTER": COMMIT})
    assert program.main(["take", str(queue), "main", ""]) == 0
    said = {"push": None, "reason": "refs/heads/other isn't deployed, but branch main"}
    assert json.loads(capsys.readouterr().out) == said
    assert os.listdir(queue.parent) == ["queue"]


@pytest.mark.parametrize(("secret", "status"), [(None, 1), ("", 1), (19 * "x", 1), (20 * "x", 0)])
def test_without_a_secret_nothing_listens(secret: str | None, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program.os, "environ", {} if secret is None else {"SECRET": secret})
    assert program.main(["armed"]) == status


def test_it_waits_for_whoever_listens() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        assert program.listening(port, 0.1) == 1
        timer = threading.Timer(0.2, listener.listen)
        timer.start()
        began = time.monotonic()
        assert program.main(["listening", str(port)]) == 0
        assert time.monotonic() - began > 0.1
        timer.join()
