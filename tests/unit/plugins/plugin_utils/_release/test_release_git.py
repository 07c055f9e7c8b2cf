"""Sources from git URLs: what is meant by them, and what a real git does with real repositories."""

from __future__ import annotations

import http.server
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app.releases import ReleaseError
from ansible_collections.graceful.deploy.plugins.plugin_utils._release import git as release_git
from ansible_collections.graceful.deploy.plugins.plugin_utils._release import read as release_read
from ansible_collections.graceful.deploy.plugins.plugin_utils._release.git import (
    environment,
    is_git,
    name_of,
    remote_of,
)


class Repository:
    """A repository with branch main (two commits), tag v1.0 (the first) and branch topic."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = f"file://{path}"
        path.mkdir()
        self.git("init", "-q", "-b", "main")
        self.first = self.commit("app.py", "one")
        self.git("tag", "v1.0")
        self.git("branch", "topic")
        self.second = self.commit("app.py", "two")

    def git(self, *arguments: str) -> str:
        command = ["git", "-C", str(self.path), "-c", "user.name=a", "-c", "user.email=a@b.c", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def commit(self, name: str, text: str) -> str:
        (self.path / name).write_text(text)
        self.git("add", "--all")
        self.git("commit", "-qm", text)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Repository(tmp_path / "hello")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that ask the remote."""
    found: list[list[str]] = []
    real = subprocess.run

    def recording(command: list[str], *arguments: object, **options: object) -> object:
        found.extend([command] if {"fetch", "ls-remote", "clone"} & set(command) else [])
        return real(command, *arguments, **options)

    monkeypatch.setattr(subprocess, "run", recording)
    return found


def read(repository: Repository, version: str, run: Path) -> tuple[str, str]:
    """What app.py says in the checkout, and the commit."""
    run.mkdir(exist_ok=True)
    work = run / f"work-{len(os.listdir(run))}"
    work.mkdir()
    directory, origin = release_read.open_source(repository.url, version, str(work))
    assert origin["name"] == "hello" and ".git" not in os.listdir(directory)
    return Path(directory, "app.py").read_text(), origin["revision"]


def test_head_branches_tags_and_commits(repository: Repository, tmp_path: Path) -> None:
    for number, (version, text, commit) in enumerate(
        [
            ("", "two", repository.second),
            ("main", "two", repository.second),
            ("topic", "one", repository.first),
            ("v1.0", "one", repository.first),
            ("refs/heads/topic", "one", repository.first),
            (repository.first, "one", repository.first),
            (repository.first[:10], "one", repository.first),
        ]
    ):
        assert read(repository, version, tmp_path / f"run-{number}") == (text, commit), version


def test_a_run_has_one_commit_whatever_is_pushed_meanwhile(
    repository: Repository, tmp_path: Path, asked: list[list[str]]
) -> None:
    assert read(repository, "main", tmp_path / "run")[1] == repository.second
    third = repository.commit("app.py", "three")
    assert read(repository, "main", tmp_path / "run") == ("two", repository.second)
    assert len(asked) == 1
    assert read(repository, "main", tmp_path / "next") == ("three", third)
    assert len(asked) == 2


def test_a_commit_that_the_mirror_has_is_not_asked_for(
    repository: Repository, tmp_path: Path, asked: list[list[str]]
) -> None:
    read(repository, "", tmp_path / "run-1")
    asked.clear()
    assert read(repository, repository.first, tmp_path / "run-2")[0] == "one"
    assert asked == []
    # A branch that was rewritten, and the old one's name as a directory of names.
    repository.git("branch", "-D", "topic")
    repository.git("branch", "topic/new")
    assert read(repository, "topic/new", tmp_path / "run-3")[0] == "two"
    assert len(asked) == 1


def test_a_commit_on_no_branch(repository: Repository, tmp_path: Path) -> None:
    repository.git("checkout", "-q", "--detach")
    lost = repository.commit("app.py", "lost")
    repository.git("update-ref", "refs/pull/1/head", lost)
    repository.git("checkout", "-q", "main")
    repository.git("config", "uploadpack.allowAnySHA1InWant", "true")
    assert read(repository, lost, tmp_path / "run") == ("lost", lost)


@pytest.mark.parametrize(
    ("version", "words"),
    [("v1.1", "The nearest names are v1.0"), ("mian", "main"), ("f" * 40, "no branch, tag or commit")],
)
def test_a_version_that_is_not_there_is_named_with_near_ones(
    repository: Repository, tmp_path: Path, version: str, words: str
) -> None:
    with pytest.raises(ReleaseError, match=f"^fastapi_version is {version}, and file://.*{words}"):
        read(repository, version, tmp_path / "run")
    # Nothing half-made is taken for a checkout the next time.
    with pytest.raises(ReleaseError, match=words):
        read(repository, version, tmp_path / "run")


def test_a_name_of_two_things_is_refused(repository: Repository, tmp_path: Path) -> None:
    repository.git("branch", "v1.0", "main")
    with pytest.raises(ReleaseError, match=r"Write fastapi_version: refs/tags/v1\.0 or refs/heads/v1\.0"):
        read(repository, "v1.0", tmp_path / "run")
    assert read(repository, "refs/tags/v1.0", tmp_path / "run")[0] == "one"


def test_a_head_that_names_nothing(repository: Repository, tmp_path: Path) -> None:
    repository.git("symbolic-ref", "HEAD", "refs/heads/master")
    with pytest.raises(ReleaseError, match=r"HEAD names no branch that it has\. Write fastapi_version: main or"):
        read(repository, "", tmp_path / "run")
    assert read(repository, "main", tmp_path / "run")[0] == "two"


@pytest.mark.project("refused", "git submodules", "a clone with them, by its path")
def test_submodules_are_refused_by_name(repository: Repository, tmp_path: Path) -> None:
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{repository.first},libs/shared")
    repository.git("commit", "-qm", "submodule")
    with pytest.raises(ReleaseError, match=r"whose libs/shared is a submodule.*--recurse-submodules"):
        read(repository, "main", tmp_path / "run")


def test_links_bits_and_files_kept_out_of_archives_are_there(repository: Repository, tmp_path: Path) -> None:
    (repository.path / "run.sh").write_text("#!/bin/sh\n")
    (repository.path / "run.sh").chmod(0o755)
    (repository.path / "link").symlink_to("app.py")
    (repository.path / ".gitattributes").write_text("run.sh export-ignore\n")
    repository.commit("more.py", "more")
    read(repository, "", tmp_path / "run")
    (top,) = (tmp_path / "run").glob("graceful-source-*/source")
    assert os.access(top / "run.sh", os.X_OK) and os.readlink(top / "link") == "app.py"
    assert sorted(os.listdir(top)) == [".gitattributes", "app.py", "link", "more.py", "run.sh"]


def test_the_repository_that_a_deploy_starts_in_takes_no_part(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a hook, where git sets these."""
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    run = tmp_path / "run"
    (run / "work").mkdir(parents=True)
    _directory, origin = release_read.open_source(repository.url, "main", str(run / "work"))
    assert origin["revision"] == repository.second


def test_a_repository_that_is_not_there_is_refused(repository: Repository, tmp_path: Path) -> None:
    repository.url += "-not"
    with pytest.raises(ReleaseError, match=r"^fastapi_source is file://.*hello-not, and there is no such repository"):
        read(repository, "", tmp_path / "run")


class _Locked(http.server.BaseHTTPRequestHandler):
    """A server that wants a password; keeps what it was told."""

    seen: list[str | None]

    def do_GET(self) -> None:  # the name is http.server's
        self.seen.append(self.headers["Authorization"])
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="x"')
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[tuple[str, list[str | None]]]:
    seen: list[str | None] = []
    handler = type("Handler", (_Locked,), {"seen": seen})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{running.server_port}", seen
        running.shutdown()


@pytest.mark.project("served", "a private repository, with a token in its URL", "fetched; the token is shown nowhere")
def test_credentials_reach_the_server_and_no_argument_list_or_message(
    repository: Repository, tmp_path: Path, asked: list[list[str]], server: tuple[str, list[str | None]]
) -> None:
    host, seen = server
    (tmp_path / "run").mkdir()
    trace = tmp_path / "trace"
    os.environ["GIT_TRACE"] = str(trace)
    try:
        with pytest.raises(ReleaseError, match="the server wants other credentials") as refused:
            release_read.open_source(f"http://someone:k4n%40ry-word@{host}/x.git", "", str(tmp_path / "run"))
    finally:
        del os.environ["GIT_TRACE"]
    # someone:k4n@ry-word
    assert "Basic c29tZW9uZTprNG5Acnktd29yZA==" in seen
    shown = str(refused.value) + str(asked) + trace.read_text()
    assert "remote-http" in shown and "ry-word" not in shown


def test_a_missing_credential_fails_and_does_not_wait(
    repository: Repository, tmp_path: Path, server: tuple[str, list[str | None]]
) -> None:
    (tmp_path / "run").mkdir()
    with pytest.raises(ReleaseError, match="the server wants other credentials"):
        release_read.open_source(f"http://{server[0]}/x.git", "", str(tmp_path / "run"))


def test_without_git_the_sentence_says_so(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ReleaseError, match="the control node has no git"):
        read(repository, "", tmp_path / "run")


@pytest.mark.parametrize(
    "source",
    [
        "https://example.com/us/hello.git",
        "https://example.com/us/hello",
        "git+https://example.com/us/hello",
        "ssh://git@example.com:2222/us/hello.git/",
        "git@example.com:us/hello.git",
        "example.com:us/hello.git",
        "file:///srv/hello",
        "git://example.com/hello",
    ],
)
def test_what_is_a_url(source: str) -> None:
    assert is_git(source) and name_of(source) == "hello"
    assert remote_of(source, "main").url == source.removeprefix("git+")


@pytest.mark.parametrize("path", ["/srv/hello", "../hello", "~/hello.git", "hello-1.0.tar.gz", "C:", "a/b:c.git/d"])
def test_what_is_a_path(path: str) -> None:
    assert not is_git(path)


@pytest.mark.parametrize(
    ("source", "version", "words"),
    [
        ("git+https://example.com/x.git@v1.2", "", "Write that in fastapi_version: v1.2"),
        ("https://example.com/x.git#egg=x", "", "Take it out"),
        ("https://example.com/x-1.0.tar.gz", "", "Download it"),
        ("git+ext::sh -c id", "", "it has to be a URL with"),
        ("https://example.com/x.git", "--upload-pack=id", "it has to be a branch"),
        ("https://example.com/x.git", "a b", "it has to be a branch"),
        ("https://example.com/x.git", "main:other", "it has to be a branch"),
    ],
)
def test_what_can_not_be_meant(source: str, version: str, words: str) -> None:
    with pytest.raises(ReleaseError, match=words):
        remote_of(source, version)


def test_credentials_leave_the_url() -> None:
    remote = remote_of("https://us%40er:p%2Fw@example.com:8443/x.git", "")
    assert (remote.url, remote.user, remote.password) == ("https://example.com:8443/x.git", "us@er", "p/w")
    found = environment(remote, {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "a.b", "GIT_CONFIG_VALUE_0": "c"})
    assert found["GIT_CONFIG_COUNT"] == "3" and found["GIT_CONFIG_KEY_0"] == "a.b"
    assert "p/w" not in "".join(value for name, value in found.items() if name.startswith("GIT_CONFIG"))


def test_unused_mirrors_go(repository: Repository, tmp_path: Path) -> None:
    read(repository, "", tmp_path / "run")
    (mirror,) = (tmp_path / "cache" / "graceful.deploy" / "git").glob("[!.]*")
    old = mirror.with_name("0" * 20)
    old.mkdir()
    os.utime(old, (0, 0))
    release_git.checkout(remote_of(repository.url, ""), str(mirror.parent.parent), _empty(tmp_path / "out"))
    assert mirror.is_dir() and not old.exists()


def _empty(path: Path) -> str:
    path.mkdir()
    return str(path)
