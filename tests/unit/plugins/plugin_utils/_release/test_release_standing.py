"""How a commit that a push named stands to its branch or tag, asked of real repositories."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app.releases import ReleaseError
from ansible_collections.graceful.deploy.plugins.module_utils._push.pushes import DEPLOYED, Push
from ansible_collections.graceful.deploy.plugins.plugin_utils._push import deploys
from ansible_collections.graceful.deploy.plugins.plugin_utils._push.deploys import Settings, why_not
from ansible_collections.graceful.deploy.plugins.plugin_utils._release.git import HEAD, Standing, remote_of, standing

MAIN = "refs/heads/main"


class Server:
    """A bare repository that pushes go to, from a clone that makes commits."""

    def __init__(self, top: Path) -> None:
        self.top, self.url = top, f"file://{top}/bare.git"
        self.work = top / "work"
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", top / "bare.git"], check=True)
        # As GitHub's and GitLab's: whatever is there can be asked for by its id.
        subprocess.run(["git", "-C", top / "bare.git", "config", "uploadpack.allowAnySHA1InWant", "true"], check=True)
        subprocess.run(["git", "init", "-q", "-b", "main", self.work], check=True)
        self.git("remote", "add", "origin", self.url)

    def git(self, *words: str) -> str:
        command = ["git", "-C", str(self.work), "-c", "user.name=a", "-c", "user.email=a@b.c", *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def push(self, text: str, to: str = MAIN) -> str:
        """Make a commit, and push it; its id."""
        self.git("commit", "-q", "--allow-empty", "-m", text)
        self.git("push", "-q", "--force", "origin", f"HEAD:{to}")
        return self.git("rev-parse", "HEAD")

    def asked(self, commit: str, ref: str = MAIN, since: str = "") -> Standing:
        return standing(remote_of(self.url, ""), str(self.top / "cache"), ref, commit, since)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Server(tmp_path)


def test_commits_of_the_branch(server: Server) -> None:
    first, second = server.push("one"), server.push("two")
    assert server.asked(second) == Standing(second, second, True, False)
    assert server.asked(first) == Standing(first, second, True, False)
    assert server.asked(first, since=second) == Standing(first, second, True, True)
    assert server.asked(second, since=second) == Standing(second, second, True, True)
    assert server.asked(second, since=first) == Standing(second, second, True, False)
    # What was pushed meanwhile is seen.
    third = server.push("three")
    assert server.asked(third, since=second) == Standing(third, third, True, False)


def test_a_commit_of_another_branch(server: Server) -> None:
    first = server.push("one")
    other = server.push("other", "refs/heads/topic")
    assert server.asked(other) == Standing(other, first, False, False)
    assert server.asked(other, "refs/heads/topic", since=first) == Standing(other, other, True, False)
    assert server.asked(first, "refs/heads/gone") == Standing(first, "", False, False)


def test_a_commit_that_can_be_asked_for_by_its_id_alone_is_not(server: Server) -> None:
    """Where the server keeps forks together, whoever has a fork could name his own."""
    first = server.push("one")
    forked = server.push("evil", "refs/pull/1/head")
    assert server.asked(forked) == Standing("", first, False, False)
    mirror = next((server.top / "cache/git").glob("[0-9a-f]*"))
    found = subprocess.run(["git", f"--git-dir={mirror}", "cat-file", "-e", forked], capture_output=True, check=False)
    assert found.returncode != 0


def test_a_commit_that_was_forced_away(server: Server) -> None:
    first, second = server.push("one"), server.push("two")
    assert server.asked(second).within
    server.git("reset", "-q", "--hard", first)
    third = server.push("three")
    gone = server.asked(second, since=third)
    assert (gone.head, gone.within, gone.passed) == (third, False, False)
    # Back to where it was: what the branch has now is within, and older than what ran.
    server.git("push", "-q", "--force", "origin", f"{first}:{MAIN}")
    assert server.asked(first, since=third) == Standing(first, first, True, True)


def test_tags_lead_to_their_commits(server: Server) -> None:
    first = server.push("one")
    server.git("tag", "-a", "v1", "-m", "v1")
    server.git("tag", "light")
    server.git("push", "-q", "origin", "v1", "light")
    tag = server.git("rev-parse", "v1")
    assert tag != first
    # GitHub names the tag's own id, GitLab the commit's.
    for commit in (tag, first):
        assert server.asked(commit, "refs/tags/v1") == Standing(first, first, True, False)
    assert server.asked(first, "refs/tags/light") == Standing(first, first, True, False)
    second = server.push("two")
    server.git("tag", "-f", "-a", "v1", "-m", "moved")
    server.git("push", "-q", "--force", "origin", "v1")
    assert server.asked(tag, "refs/tags/v1", since=second) == Standing(first, second, True, True)
    server.git("push", "-q", "origin", ":refs/tags/v1")
    assert server.asked(tag, "refs/tags/v1") == Standing(first, "", False, False)


def test_the_head_of_the_repository_whatever_it_is_called(server: Server) -> None:
    """Where tags alone are deployed, a trial takes what a clone would."""
    server.push("one")
    subprocess.run(["git", "-C", server.top / "bare.git", "symbolic-ref", "HEAD", "refs/heads/trunk"], check=True)
    second = server.push("two", "refs/heads/trunk")
    assert server.asked(HEAD, HEAD) == Standing(second, second, True, False)


def test_a_server_that_is_gone_is_told(server: Server) -> None:
    commit = server.push("one")
    server.asked(commit)
    (server.top / "bare.git").rename(server.top / "moved.git")
    with pytest.raises(ReleaseError, match="there is no such repository"):
        server.asked(commit)


def test_what_is_pushed_is_deployed_and_what_was_recorded_is_not(server: Server) -> None:
    settings = Settings("hello", server.url, "main", "v*", [])
    ran: list[Push] = []

    def deliver(commit: str, ref: str = MAIN) -> str:
        push = Push(len(ran) + 1, ref, commit)
        stands = server.asked(commit, ref, ran[-1].commit if ran else "")
        if why := why_not(push, settings, ran, stands):
            return why
        ran.append(push.now(commit=stands.commit, state=DEPLOYED, started="2026-11-25T01:12:03Z"))
        return ""

    first = server.push("one")
    assert deliver(first) == "" and deliver(first) == ""
    second, third = server.push("two"), server.push("three")
    # One that comes late, before the newest has run.
    assert deliver(second) == "" and deliver(third) == ""
    assert "came after that" in deliver(first) and "came after that" in deliver(second)
    server.git("reset", "-q", "--hard", second)
    server.git("push", "-q", "--force", "origin", f"{second}:{MAIN}")
    assert deliver(second) == ""
    assert "isn't on main, or isn't any more" in deliver(third)
    fourth = server.push("four")
    assert deliver(fourth) == "" and "came after that" in deliver(second)
    server.git("tag", "v1")
    server.git("push", "-q", "origin", "v1")
    assert deliver(fourth, "refs/tags/v1") == ""
    forked = server.push("evil", "refs/pull/1/head")
    assert "hasn't that commit" in deliver(forked)


def test_an_old_state_of_a_branch_that_has_begun_anew_stays_old(server: Server) -> None:
    """The commit that ran last is on no branch, so nothing is known to come before it."""
    settings = Settings("hello", server.url, "main", "", [])
    first, second = server.push("one"), server.push("two")
    ran = [Push(1, MAIN, first, started="x"), Push(2, MAIN, second, started="x")]
    server.git("reset", "-q", "--hard", first)
    server.push("three")
    stands = server.asked(first, since=second)
    assert (stands.within, stands.passed) == (True, False)
    assert why_not(Push(3, MAIN, first), settings, ran, stands).startswith("push 1 (main at")


@pytest.mark.parametrize("branch", ["main", ""])
def test_a_trial_is_a_check_of_what_the_branch_has(
    server: Server, branch: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commit, given = server.push("one"), list[object]()
    monkeypatch.setattr(
        deploys, "run_ansible", lambda _settings, push, *more: given.append((push.commit, *more)) or ("web1", "no")
    )
    assert deploys.attempt(Settings("hello", server.url, branch, "v*", [])) == 1
    assert given == [(commit, "--check")] and capsys.readouterr().err == "web1: no\n"
    monkeypatch.setattr(deploys, "run_ansible", lambda *_words: ("", ""))
    assert deploys.attempt(Settings("hello", server.url, branch, "v*", [])) == 0


def test_a_trial_without_its_branch_or_server_says_so(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    server.push("one")
    assert deploys.attempt(Settings("hello", server.url, "mian", "", [])) == 1
    assert capsys.readouterr().err == "the repository has no branch mian.\n"
    assert deploys.attempt(Settings("hello", f"{server.url}x", "main", "", [])) == 1
    assert "there is no such repository" in capsys.readouterr().err
