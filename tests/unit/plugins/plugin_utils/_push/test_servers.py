"""Whom a deploy speaks to by ssh, and by which keys: asked of a real ssh."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.plugin_utils._push import servers
from ansible_collections.graceful.deploy.plugins.plugin_utils._push.servers import server_of
from ansible_collections.graceful.deploy.plugins.plugin_utils._push.ship import ShipError


def put(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("source", "server"),
    [
        ("git@github.com:us/hello.git", ("github.com", 22)),
        ("git+git@github.com:us/hello.git", ("github.com", 22)),
        ("github.com:us/hello.git", ("github.com", 22)),
        ("ssh://git@example.com/us/hello.git", ("example.com", 22)),
        ("ssh://git@example.com:2222/us/hello.git", ("example.com", 2222)),
        ("git+ssh://git@example.com:2222/us/hello", ("example.com", 2222)),
        ("ssh://example.com/us/hello.git", ("example.com", 22)),
        ("ssh://git:word@example.com/hello.git", ("example.com", 22)),
        ("ssh://git@[2001:db8::1]:2222/hello.git", ("2001:db8::1", 2222)),
        ("ssh://[2001:db8::1]/hello.git", ("2001:db8::1", 22)),
        ("ssh://git@example.com/a:b@c/hello.git", ("example.com", 22)),
        ("https://git@example.com:8443/us/hello.git", None),
        ("git+https://example.com/us/hello.git", None),
        ("git://example.com/us/hello.git", None),
        ("file:///srv/git/hello.git", None),
        ("/srv/git/hello.git", None),
    ],
)
def test_whom_ssh_is_asked_for(source: str, server: tuple[str, int] | None) -> None:
    assert server_of(source) == server


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a configuration of ssh's; known_hosts is its file of keys."""
    put(tmp_path / "config", f"UserKnownHostsFile {tmp_path}/known_hosts {tmp_path}/more\nGlobalKnownHostsFile none\n")
    monkeypatch.setenv("GIT_SSH_COMMAND", f"ssh -F {tmp_path}/config")
    return tmp_path


def key(directory: Path, name: str = "key") -> str:
    if not (directory / name).exists():
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(directory / name)]
        subprocess.run(command, check=True)
    return (directory / f"{name}.pub").read_text().strip()


def test_the_keys_of_a_server_are_brought_under_its_name(ssh: Path) -> None:
    one, two = key(ssh), key(ssh, "other")
    put(ssh / "known_hosts", f"example.com,10.0.0.1 {one}\n# no\nother.org {two}\n")
    put(ssh / "more", f"*.com {two}\n@cert-authority *.com {two}\n")
    assert servers.known_hosts([("example.com", 22)]) == f"example.com {one}\nexample.com {two}\n"
    assert servers.known_hosts([("other.org", 22), ("other.org", 22)]) == f"other.org {two}\n"
    assert servers.known_hosts([]) == ""


def test_hashed_names_say_no_more_than_what_was_asked_for(ssh: Path) -> None:
    put(ssh / "known_hosts", f"example.com {key(ssh)}\n[example.com]:2222 {key(ssh, 'other')}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(ssh / "known_hosts")], check=True, capture_output=True)
    assert "example.com" not in (ssh / "known_hosts").read_text()
    assert servers.known_hosts([("example.com", 22)]) == f"example.com {key(ssh)}\n"
    assert servers.known_hosts([("example.com", 2222)]) == f"[example.com]:2222 {key(ssh, 'other')}\n"


def test_names_in_capitals_are_ssh_s_own(ssh: Path) -> None:
    put(ssh / "known_hosts", f"example.com {key(ssh)}\n")
    assert servers.known_hosts([("Example.COM", 22)]) == f"example.com {key(ssh)}\n"


def test_another_port_has_a_key_of_its_own_or_that_of_the_name(ssh: Path) -> None:
    put(ssh / "known_hosts", f"example.com {key(ssh)}\n")
    assert servers.known_hosts([("example.com", 2222)]) == f"[example.com]:2222 {key(ssh)}\n"
    put(ssh / "known_hosts", f"[example.com]:2222 {key(ssh)}\n")
    with pytest.raises(ShipError, match=r"^example\.com: this machine's known_hosts has no key of it"):
        servers.known_hosts([("example.com", 22)])


def test_what_is_brought_is_what_ssh_finds(ssh: Path) -> None:
    put(ssh / "known_hosts", f"example.com {key(ssh)}\n[2001:db8::1]:2222 {key(ssh)}\n")
    text = servers.known_hosts([("example.com", 22), ("2001:db8::1", 2222)])
    brought = put(ssh / "brought", text)
    for name in ("example.com", "[2001:db8::1]:2222"):
        done = subprocess.run(["ssh-keygen", "-F", name, "-f", str(brought)], capture_output=True, check=False)
        assert done.returncode == 0


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("Host work\n  HostName git.example.com\n", r"work is a name of this machine's own \(ssh reaches git\.example"),
        ("Host work\n  Port 2222\n", r"ssh reaches work by it, port 2222"),
    ],
)
def test_names_that_only_this_machine_has_are_refused(ssh: Path, lines: str, said: str) -> None:
    (ssh / "config").write_text((ssh / "config").read_text() + lines)
    put(ssh / "known_hosts", f"work {key(ssh)}\ngit.example.com {key(ssh)}\n[work]:2222 {key(ssh)}\n")
    with pytest.raises(ShipError, match=said) as told:
        servers.known_hosts([("work", 22)])
    assert str(told.value).endswith("Write that in place of work.")


def test_servers_that_nobody_has_met_are_named_together(ssh: Path) -> None:
    with pytest.raises(ShipError, match=r"^a\.org and \[b\.org\]:2222: this machine's known_hosts has no key"):
        servers.known_hosts([("a.org", 22), ("b.org", 2222)])
