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
    monkeypatch.setattr(apt, "PREFERENCES_PARTS", str(tmp_path / "preferences.d"))
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


PINNED = """\
# of the cloud's image
Package: *
Pin: release n=trixie
Pin-Priority: 900

Explanation: ours
Package: nginx
Pin: version 1.*
Pin-Priority: 1001
# a comment

Package: src:*
Pin: origin example.org
Pin-Priority: 990
"""


def test_pins_for_all_packages_are_dropped_and_said_and_those_that_name_some_stay(asked, tmp_path):
    run, calls = asked
    parts = tmp_path / "preferences.d"
    parts.mkdir()
    (parts / "vendor.pref").write_text(PINNED)
    (parts / "two").write_text("Package: libc6\n *:any\nPin: release *\nPin-Priority: 995\n")
    (parts / "nginx").write_text("Package: nginx*\nPin: origin nginx.org\nPin-Priority: 700\n")
    (parts / "not.read").write_text("Package: curl\nPin: release *\nPin-Priority: 700\n")
    apt_get = Apt(run, SECURITY)
    apt_get.upgrade()
    command, (preferences,) = calls[0]
    assert "Dir::Etc::PreferencesParts=/dev/null" in command
    assert preferences.endswith(PINS) and preferences.count("Package: *\n") == PINS.count("Package: *\n")
    own = preferences.removesuffix(PINS)
    assert own.count("Pin:") == 3 and own.endswith("\n\n")
    assert "Package: nginx\n" in own and "Package: nginx*" in own and "Explanation: ours" in own
    said = apt_get.set_aside()
    assert f"{parts}/two, {parts}/vendor.pref: pins for all packages" in said and "upgrade=all" in said
    assert Apt(run, ALL).set_aside() == ""


def test_nothing_is_said_of_pins_that_name_packages(asked):
    assert Apt(asked[0], SECURITY).set_aside() == ""


def test_what_dpkg_was_cut_off_in_is_no_part_of_fetching_the_lists(asked, tmp_path):
    run, calls = asked
    apt_get = Apt(run, SECURITY)
    assert not apt_get.is_half_done()
    (tmp_path / "updates").mkdir()
    (tmp_path / "updates" / "0001").touch()
    assert apt_get.is_half_done()
    apt_get.update()
    assert [command[-1] for command, _pins in calls] == ["update"]
    apt_get.finish()
    assert calls[1][0][-2:] == ["--configure", "-a"]


def test_apts_own_words_are_told():
    with pytest.raises(CommandFailed, match="could not fetch the lists of packages: no network"):
        Apt(lambda _command: (100, "Hit:1\n", "E: no network"), SECURITY).update()
