"""Pushes are deployed one after the other: which, in which order, and what becomes of them whatever is cut off."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app.problems import report
from ansible_collections.graceful.deploy.plugins.module_utils._app.releases import ReleaseError
from ansible_collections.graceful.deploy.plugins.module_utils._push import pushes as store
from ansible_collections.graceful.deploy.plugins.module_utils._push.pushes import Push
from ansible_collections.graceful.deploy.plugins.plugin_utils._push import deploys
from ansible_collections.graceful.deploy.plugins.plugin_utils._push.deploys import Deploys, Settings
from ansible_collections.graceful.deploy.plugins.plugin_utils._release.git import Standing
from hypothesis import given
from hypothesis import strategies as st

A, B, C = 40 * "a", 40 * "b", 40 * "c"
SETTINGS = Settings("hello", "ssh://git@example.com/us/hello.git", "main", "v*", ["/x/inventory/1"])
MAIN = "refs/heads/main"


def ran(number: int, commit: str, ref: str = MAIN) -> Push:
    return Push(number, ref, commit, state=store.DEPLOYED, started="2026-11-25T01:12:03Z")


def stands(commit: str = C, head: str = C, within: bool = True, passed: bool = False) -> Standing:
    return Standing(commit, head, within, passed)


@pytest.mark.parametrize(
    ("ref", "standing", "before", "why"),
    [
        (MAIN, stands(), [], ""),
        (MAIN, stands(), [ran(1, A), ran(2, B)], ""),
        # Pushed once more, such as to try again.
        (MAIN, stands(passed=True), [ran(1, C)], ""),
        (MAIN, stands(C, B, passed=True), [ran(1, C)], ""),
        # Forced back: what the branch has now is what is wanted.
        (MAIN, stands(passed=True), [ran(1, C), ran(2, B)], ""),
        # The next is pushed already, and waits behind nothing.
        (MAIN, stands(B), [ran(1, A)], ""),
        ("refs/heads/old", stands(), [], "refs/heads/old isn't deployed any more"),
        ("refs/tags/x1", stands(), [], "refs/tags/x1 isn't deployed any more"),
        ("refs/tags/main", stands(), [], "refs/tags/main isn't deployed any more"),
        (MAIN, stands("", C, False), [], "the repository hasn't that commit"),
        (MAIN, stands("", "", False), [], "the repository hasn't that commit"),
        (MAIN, stands(C, B, False), [], "that commit isn't on main, or isn't any more"),
        (MAIN, stands(C, "", False), [], "that commit isn't on main"),
        (MAIN, stands(A, C, passed=True), [ran(2, B)], "push 2 (main at bbbbbbbbbbbb, by unknown) came after that"),
        # Recorded, and sent again: also where the branch has begun anew, so that nothing is known to come after it.
        (
            MAIN,
            stands(A, C),
            [ran(1, A), ran(2, B)],
            "push 1 (main at aaaaaaaaaaaa, by unknown) brought it, and push 2",
        ),
        ("refs/tags/v1", stands(A, A), [], ""),
        ("refs/tags/v1", stands(A, A), [ran(1, B)], ""),
        ("refs/tags/v1", stands(A, A), [ran(1, A, "refs/tags/v1")], ""),
        ("refs/tags/v1", stands(A, A), [ran(1, A, "refs/tags/v1"), ran(2, B, "refs/tags/v2")], "push 1 (v1 at"),
        ("refs/tags/v1", stands(A, A, passed=True), [ran(2, B, "refs/tags/v2")], "push 2 (v2 at"),
        # A tag that was moved.
        ("refs/tags/v1", stands(C, C), [ran(1, A, "refs/tags/v1"), ran(2, B)], ""),
        ("refs/tags/v1", stands(A, C), [ran(1, A, "refs/tags/v1"), ran(2, C, "refs/tags/v1")], "push 1 (v1 at"),
        ("refs/tags/v1", stands(A, C, False), [ran(2, C, "refs/tags/v1")], "that commit isn't on v1"),
    ],
)
def test_no_push_brings_back_what_is_older(ref: str, standing: Standing, before: list[Push], why: str) -> None:
    said = deploys.why_not(Push(9, ref, standing.commit or C), SETTINGS, before, standing)
    assert said.startswith(why) and bool(said) == bool(why)


def test_what_is_not_named_is_not_deployed() -> None:
    for branch, tags, ref in [("", "v*", MAIN), ("main", "", "refs/tags/v1"), ("", "", "refs/tags/v1")]:
        settings = Settings("hello", "x", branch, tags, [])
        assert deploys.why_not(Push(1, ref, C), settings, [], stands()) == f"{ref} isn't deployed any more"


class Killed(BaseException):
    """As by a power cut."""


class Host:
    """A repository of one branch, and what is pushed of it. Commits are numbers; a bad one is on no branch."""

    def __init__(self, top: str) -> None:
        self.taken, self.states = Path(top, "queue"), Path(top, "pushes")
        self.taken.mkdir()
        self.states.mkdir()
        self.count, self.begun, self.said = 0, list[int](), list[str]()
        self.history, self.broken = list[str](), set[str]()
        self.unreachable = False
        self.told = list[tuple[int, str]]()
        self.steps, self.last_step = 0, 0

    def push(self, on_branch: bool = True, works: bool = True) -> int:
        self.count += 1
        commit = f"{self.count:040x}"
        self.history += [commit] * on_branch
        self.broken |= set() if works else {commit}
        store.note(str(self.taken), Push(self.count, MAIN, commit, "ann", "2026-11-25T01:12:03Z"))
        return self.count

    def ask(self, push: Push, since: str) -> Standing:
        if self.unreachable:
            raise ReleaseError("fastapi_source is x, and the server can't be reached.\ngit said: no")
        known, index = push.commit in self.history, self.history.index
        passed = known and since in self.history and index(push.commit) <= index(since)
        return Standing(push.commit if known else "", self.history[-1] if self.history else "", known, passed)

    def deploy(self, push: Push) -> str:
        self.begun.append(push.number)
        self.step()
        return "web1: it doesn't import" if push.commit in self.broken else ""

    def step(self) -> None:
        self.steps += 1
        if self.steps == self.last_step:
            raise Killed

    def run(self, killed_at: int = 0) -> None:
        """:param killed_at: the step before which the process is gone; 0 for none."""
        self.steps, self.last_step = 0, killed_at
        note, unlink = store.note, os.unlink

        def noting(directory: str, push: Push) -> None:
            self.step()
            note(directory, push)
            self.step()

        def unlinking(path: str) -> None:
            self.step()
            unlink(path)
            self.step()

        tell = lambda push: self.told.append((push.number, push.reason))  # noqa: E731
        work = Deploys(SETTINGS, str(self.taken), str(self.states), self.ask, self.deploy, self.said.append, tell)
        with (
            mock.patch.object(store, "note", noting),
            mock.patch.object(deploys.os, "unlink", unlinking),
            # A disk's time says nothing here.
            mock.patch.object(deploys.os, "fsync"),
            contextlib.suppress(Killed),
        ):
            work.run()

    @property
    def became(self) -> dict[int, str]:
        return {push.number: push.state for push in store.pushes(str(self.states))}

    def reason(self, number: int) -> str:
        return next(push.reason for push in store.pushes(str(self.states)) if push.number == number)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(str(tmp_path))


def test_the_newest_wins_and_what_it_overtook_is_told(host: Host) -> None:
    for _each in range(3):
        host.push()
    host.run()
    assert host.begun == [3] and os.listdir(host.taken) == []
    assert host.became == {1: "overtaken", 2: "overtaken", 3: "deployed"}
    assert host.reason(1) == "push 3 is newer"
    done = store.pushes(str(host.states))[-1]
    assert (done.by, done.received, done.tries) == ("ann", "2026-11-25T01:12:03Z", 1) and done.started and done.ended
    assert host.said[-2:] == [f"Deploying {done}.", f"{done} is deployed."]


def test_one_that_comes_while_another_is_deployed_is_next(host: Host) -> None:
    host.push()
    real = host.deploy

    def deploy(push: Push) -> str:
        if push.number == 1:
            host.push()
            host.push()
        return real(push)

    host.deploy = deploy  # type: ignore[method-assign]
    host.run()
    assert host.begun == [1, 3] and host.became == {1: "deployed", 2: "overtaken", 3: "deployed"}


def test_a_newest_that_is_refused_takes_no_older_one_along(host: Host) -> None:
    host.push()
    host.push()
    host.push(on_branch=False)
    host.run()
    assert host.begun == [2] and host.became == {1: "overtaken", 2: "deployed", 3: "not deployed"}
    assert host.reason(3).startswith("the repository hasn't that commit")


def test_why_a_deploy_failed_is_noted_and_the_next_push_is_deployed(host: Host) -> None:
    host.push(works=False)
    host.run()
    assert host.became == {1: "failed"} and host.reason(1) == "web1: it doesn't import"
    assert host.said[-1].endswith("failed: web1: it doesn't import")
    host.push()
    host.run()
    assert host.became == {1: "failed", 2: "deployed"}
    assert host.told == [(1, "web1: it doesn't import")]


def test_a_repository_that_cannot_be_asked_is_told(host: Host) -> None:
    host.push()
    host.unreachable = True
    host.run()
    assert host.became == {1: "failed"} and host.begun == []
    assert host.reason(1) == "fastapi_source is x, and the server can't be reached."
    assert "git said: no" in host.said[-1]
    assert host.told == [(1, "fastapi_source is x, and the server can't be reached.")]


def test_what_was_cut_off_is_begun_once_more_and_not_a_third_time(host: Host) -> None:
    host.push()
    # Noting and unlinking are two steps each, noting the begin two more.
    host.run(killed_at=7)
    assert host.became == {1: "running"} and host.begun == [1]
    host.run(killed_at=5)
    assert host.became == {1: "running"} and host.begun == [1, 1]
    host.run()
    assert host.became == {1: "cut off"} and host.reason(1) == "it was cut off 2 times"
    assert host.begun == [1, 1]


def test_what_was_cut_off_is_overtaken_by_a_newer_one(host: Host) -> None:
    host.push()
    host.run(killed_at=7)
    host.push()
    host.run()
    assert host.became == {1: "overtaken", 2: "deployed"} and host.begun == [1, 2]


ROUNDS = st.lists(
    st.tuples(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=3), st.integers(min_value=0, max_value=22)),
    max_size=5,
)


@given(ROUNDS)
def test_wherever_it_is_killed_every_push_comes_to_one_end_and_the_newest_is_deployed(rounds) -> None:
    with tempfile.TemporaryDirectory() as top:
        host, good = Host(top), list[int]()
        for pushed, killed_at in rounds:
            for on_branch, works in pushed:
                number = host.push(on_branch, works)
                good += [number] * on_branch
            host.run(killed_at)
        host.run()
        became = host.became
        assert sorted(became) == list(range(1, host.count + 1)) and os.listdir(host.taken) == []
        assert not set(became.values()) & {store.WAITING, store.RUNNING}
        assert host.begun == sorted(host.begun)
        assert max(map(host.begun.count, host.begun), default=0) <= deploys.TRIES
        # What the branch has in the end is what was deployed, or is told why it wasn't.
        if good:
            assert became[good[-1]] in (store.DEPLOYED, store.FAILED, store.CUT_OFF)
        finals = [push for push in store.pushes(str(host.states)) if push.state == store.DEPLOYED]
        assert all(push.number in host.begun and push.ended for push in finals)
        before, said = became, len(host.said)
        host.run()
        assert host.became == before and len(host.said) == said


def test_numbers_that_begin_anew_lose_no_push(host: Host) -> None:
    """Who empties the directory of the listener takes its count away, too."""
    for _each in range(3):
        host.push()
    host.run()
    push = Push(1, MAIN, host.history[-1], "bob", "2026-11-26T00:00:00Z")
    store.note(str(host.taken), push)
    host.run()
    assert host.begun == [3, 4] and host.became[4] == "deployed"


def test_nothing_stays_where_pushes_wait(host: Host) -> None:
    """systemd starts this for as long as something is there."""
    (host.taken / "00000001.json").write_text("{")
    os.mkfifo(host.taken / "00000002.json")
    (host.taken / "00000003.json").symlink_to("/etc/passwd")
    (host.taken / "00000004.json").mkdir()
    host.push()
    assert host.count == 1
    host.run()
    assert os.listdir(host.taken) == ["00000004.json"]
    assert "00000003.json is no push, and is thrown away." in host.said


# Of one run of Ansible.


def test_the_command_and_its_variables() -> None:
    settings = Settings(
        "hello",
        "git@x:y.git",
        "main",
        "",
        ["/i/1", "/i/here"],
        ["web1", "web2"],
        ["dev@/v/1", "default@/v/2"],
        {"fastapi_hosts": "web"},
    )
    words = deploys.ansible(settings, "ansible-playbook", "graceful.deploy.release")
    assert os.path.basename(words[0]) == "ansible-playbook" and words[1] == "graceful.deploy.release"
    assert words[2:] == ["-i", "/i/1", "-i", "/i/here", "--vault-id", "dev@/v/1", "--vault-id", "default@/v/2"]
    given_ = deploys.variables(settings, Push(7, MAIN, C, "ann"))
    assert given_["fastapi_version"] == C and given_["fastapi_source"] == "git@x:y.git"
    assert given_["fastapi_hosts"] == "web" and given_["fastapi_deployer"] == "push 7 by ann"


def test_what_tells_of_a_failed_push_is_json_and_no_template_but_its_own() -> None:
    settings = Settings("hello", "git@x:y.git", "main", "", ["/i/1"], ["web1", "web2"])
    reason = "KeyError: {{ lookup('pipe', 'id') }} {% if %} {#"
    failed = Push(7, MAIN, C, "ann", "2026-11-25T01:12:03Z", "failed", reason=reason)
    words = deploys.telling(settings, failed)
    assert os.path.basename(words[0]) == "ansible" and words[1] == "web1"
    said = json.loads(words[-1])
    root = said.pop("root")
    assert root == "{{ fastapi_root | default('') }}"
    assert not any(brace in json.dumps(said) for brace in ("{{", "{%", "{#"))
    assert said["by"] == "push 7 by ann" and said["unless_told_since"] == "2026-11-25T01:12:03Z"


@given(st.text(max_size=300))
def test_no_name_is_a_template(name: str) -> None:
    kept = store.person(name)
    assert kept and "{" not in kept and "\n" not in kept and kept.isprintable()


@pytest.fixture
def playbook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where a test writes its stand-in for ansible-playbook, a shell's script."""
    program = tmp_path / "bin" / "ansible-playbook"
    program.parent.mkdir()
    monkeypatch.setattr(deploys.sys, "executable", str(program.parent / "python"))
    return program


def script(program: Path, text: str) -> None:
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)


PUSH = Push(7, MAIN, C, "ann")


def test_a_run_gets_its_variables_and_where_to_write_why_it_failed(playbook: Path, tmp_path: Path) -> None:
    script(playbook, f'printf "%s\\n" "$@" > {tmp_path}/words; cat "${{5#@}}" > {tmp_path}/given; test -t 0; exit 0')
    assert deploys.run_ansible(SETTINGS, PUSH, "--check") == ("", "")
    assert (tmp_path / "words").read_text().splitlines()[-1] == "--check"
    assert json.loads((tmp_path / "given").read_text())["fastapi_version"] == C


@pytest.mark.parametrize(
    ("noted", "found"),
    [
        ('{"host": "web1", "action": "fail", "msg": " it died\\n"}', ("web1", "it died")),
        ('{"host": "web1", "msg": ""}', ("web1", "ansible-playbook ended with 2")),
        ("", ("", "ansible-playbook ended with 2")),
        ("[]", ("", "ansible-playbook ended with 2")),
        ("{}", ("", "ansible-playbook ended with 2")),
    ],
)
def test_why_a_run_failed_is_what_was_noted_first(playbook: Path, noted: str, found: tuple[str, str]) -> None:
    script(playbook, f"cat > $GRACEFUL_FIRST_FAILURE <<'X'\n{noted}\nX\nexit 2")
    assert deploys.run_ansible(SETTINGS, PUSH) == found


def test_a_run_that_noted_nothing_says_with_what_it_ended(playbook: Path) -> None:
    script(playbook, "exit 4")
    assert deploys.run_ansible(SETTINGS, PUSH) == ("", "ansible-playbook ended with 4")
    script(playbook, "kill -9 $$")
    assert deploys.run_ansible(SETTINGS, PUSH) == ("", "ansible-playbook ended with -9")


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("heeds", [True, False])
def test_a_run_that_hangs_is_ended_with_all_that_it_started(
    playbook: Path, tmp_path: Path, heeds: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deploys, "GRACE", 1)
    trap = "" if heeds else "trap '' TERM"
    script(playbook, f"{trap}\nsleep 100 & echo $! > {tmp_path}/child; echo $$ > {tmp_path}/pid; wait; sleep 100")
    settings = Settings("hello", "x", "main", "", [], limit=1)
    began = time.monotonic()
    assert deploys.run_ansible(settings, PUSH) == ("", "it took longer than 1 s")
    assert time.monotonic() - began < 10
    for name in ("pid", "child"):
        pid = int((tmp_path / name).read_text())
        end = time.monotonic() + 5
        while alive(pid) and time.monotonic() < end:
            time.sleep(0.05)
        assert not alive(pid), os.kill(pid, signal.SIGKILL)


def test_a_run_that_ends_at_once_when_it_is_told_to_leaves_nobody_to_kill(playbook: Path) -> None:
    script(playbook, "exec sleep 100")
    assert deploys.run_ansible(Settings("hello", "x", "main", "", [], limit=1), PUSH) == ("", "it took longer than 1 s")


@pytest.mark.parametrize(
    ("host", "said", "reason"),
    [
        ("", "", ""),
        ("web1", "it died", "web1: it died"),
        ("", "it took longer than 5 s", "it took longer than 5 s"),
        ("web1", "The release doesn't import:\nTraceback\n1. x", "web1: The release doesn't import:"),
        ("web1", report(["fastapi_x: no."], "web1"), "web1: fastapi_x: no."),
        ("web1", report(["fastapi_x: no.", "b.", "c."], "web1"), "web1: fastapi_x: no. (and 2 more)"),
        ("web1", report(["fastapi_x: no:\n  line", "b."], "web1"), "web1: fastapi_x: no: (and 1 more)"),
        ("web1", "there is 1 problem to fix first.", "web1: there is 1 problem to fix first."),
        ("web1", "\n  \x1b[31mred\x1b[0m\ttab\ud800\n", "web1: [31mred [0m tab"),
    ],
)
def test_the_reason_is_one_line(host: str, said: str, reason: str) -> None:
    assert deploys.reason_of(host, said) == reason


@given(st.text(), st.text())
def test_whatever_ansible_said_the_reason_can_be_printed_and_noted(host: str, said: str) -> None:
    reason = deploys.reason_of("web1" if host else "", said)
    assert reason.isprintable() and reason.encode() is not None


def test_a_missing_note_is_no_reason(tmp_path: Path) -> None:
    assert deploys.first_failure(str(tmp_path / "none")) == ("", "")


def test_one_at_a_time_and_by_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """main() with the real store: a push that was noted is deployed by what the settings say."""
    monkeypatch.setattr(store, "TAKEN", str(tmp_path / "{name}/queue"))
    monkeypatch.setattr(store, "STATES", str(tmp_path / "{name}/pushes"))
    for place in ("queue", "pushes"):
        (tmp_path / "hello" / place).mkdir(parents=True)
    store.note(str(tmp_path / "hello/queue"), Push(1, MAIN, C))
    settings = {"name": "hello", "source": "ssh://git@x/y.git", "branch": "main", "tags": "", "inventories": []}
    (tmp_path / "deploys.json").write_text(json.dumps(settings | {"vault_ids": [], "extra": {}}))
    monkeypatch.setattr(deploys, "standing", lambda *_words: stands())
    monkeypatch.setattr(deploys, "run_ansible", lambda _settings, push: ("web1", f"no {push.commit[:3]}"))
    assert deploys.main([str(tmp_path / "deploys.json")]) == 0
    (push,) = store.known("hello")
    assert (push.state, push.reason) == ("failed", "web1: no ccc")


def test_a_git_server_that_is_away_for_a_moment_is_asked_again() -> None:
    answers, waited = iter([ReleaseError("no"), ReleaseError("no"), Standing(C, C, True, False)]), list[float]()

    def ask() -> Standing:
        answer = next(answers)
        if isinstance(answer, ReleaseError):
            raise answer
        return answer

    assert deploys.patiently(ask, waited.append).commit == C and waited == list(deploys.PAUSES[:2])
    with pytest.raises(ReleaseError, match="gone"):
        deploys.patiently(mock.Mock(side_effect=ReleaseError("gone")), waited.append)
    assert len(waited) == 2 + len(deploys.PAUSES)
