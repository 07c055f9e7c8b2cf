"""What apt-get's simulation says, and by which pins it is asked."""

from __future__ import annotations

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._host.systemd import CommandFailed
from ansible_collections.graceful.deploy.plugins.module_utils._patch import apt
from ansible_collections.graceful.deploy.plugins.module_utils._patch.apt import ALL, PINS, SECURITY, Apt, parse

SIMULATED = """\
Reading package lists...
Calculating upgrade...
The following packages have been kept back:
  grub-efi-amd64-signed grub-efi-amd64-bin
  shim-signed
The following NEW packages will be installed:
  linux-image-6.1.0-32-amd64
The following packages will be upgraded:
  libssl3 linux-image-amd64
Inst libssl3 [3.0.15-1~deb12u1] (3.0.16-1~deb12u1 Debian-Security:12/stable-security [amd64]) []
Inst linux-image-6.1.0-32-amd64 (6.1.129-1 Debian-Security:12/stable-security [amd64])
Inst linux-image-amd64 [6.1.123-1] (6.1.129-1 Debian-Security:12/stable-security [amd64])
Conf libssl3 (3.0.16-1~deb12u1 Debian-Security:12/stable-security [amd64])
"""


def test_what_would_be_upgraded_and_what_is_kept_back():
    packages, kept = parse(SIMULATED)
    assert [str(each) for each in packages] == [
        "libssl3 3.0.15-1~deb12u1 -> 3.0.16-1~deb12u1",
        "linux-image-6.1.0-32-amd64 6.1.129-1 (new)",
        "linux-image-amd64 6.1.123-1 -> 6.1.129-1",
    ]
    assert kept == ["grub-efi-amd64-signed", "grub-efi-amd64-bin", "shim-signed"]
    assert parse("Reading package lists...\n") == ([], [])


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """Calls of apt-get, each with the text of its preferences."""
    own = tmp_path / "preferences"
    own.write_text("Package: nginx\nPin: version 1.*\nPin-Priority: 1001\n")
    monkeypatch.setattr(apt, "PREFERENCES", str(own))
    monkeypatch.setattr(apt, "HALF_DONE", str(tmp_path / "updates"))
    calls = []

    def run(command):
        paths = [word.partition("=")[2] for word in command if word.startswith("Dir::Etc::Preferences=")]
        calls.append((command, [open(path).read() for path in paths]))  # noqa: SIM115
        return 0, SIMULATED, ""

    return run, calls


def test_security_is_a_matter_of_this_call_alone(asked):
    run, calls = asked
    Apt(run, SECURITY).upgrade()
    command, (preferences,) = calls[0]
    assert command[-2:] == ["upgrade", "--with-new-pkgs"]
    assert preferences.startswith("Package: nginx\n") and preferences.endswith(PINS)
    # Debian's own rule: what has less than 100 doesn't replace what is installed, which is pinned by * too.
    assert PINS.index("a=now") < PINS.index("release *")
    Apt(run, ALL).upgrade()
    assert calls[1][1] == []
    assert "--no-remove" in command and "DEBIAN_FRONTEND=noninteractive" in command


def test_what_dpkg_was_cut_off_in_is_finished_first(asked, tmp_path):
    run, calls = asked
    Apt(run, SECURITY).update()
    assert [command[-1] for command, _pins in calls] == ["update"]
    (tmp_path / "updates").mkdir()
    (tmp_path / "updates" / "0001").touch()
    Apt(run, SECURITY).update()
    assert next(command[-2:] for command, _pins in calls[1:]) == ["--configure", "-a"]


def test_apts_own_words_are_told():
    with pytest.raises(CommandFailed, match="could not fetch the lists of packages: no network"):
        Apt(lambda _command: (100, "Hit:1\n", "E: no network"), SECURITY).update()
