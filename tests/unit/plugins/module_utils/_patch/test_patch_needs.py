"""Whether a host has to be rebooted, and which services run what was replaced."""

from __future__ import annotations

import os

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._patch import needs


@pytest.mark.parametrize(
    ("running", "installed", "newer"),
    [
        ("6.1.0-9-amd64", ["6.1.0-9-amd64", "6.1.0-28-amd64"], "6.1.0-28-amd64"),
        ("6.1.0-28-amd64", ["6.1.0-9-amd64", "6.1.0-28-amd64"], ""),
        ("6.12.48+deb13-amd64", ["6.12.57+deb13-amd64"], "6.12.57+deb13-amd64"),
        # Another flavour's isn't what would be booted.
        ("6.1.0-9-cloud-amd64", ["6.1.0-28-amd64"], ""),
        ("6.1.0-9-amd64", ["6.1.0-28-cloud-amd64", "6.1.0-28-rt-amd64"], ""),
        ("6.12.48+deb13-amd64", ["6.12.57+deb13-cloud-amd64"], ""),
        ("6.1.0-9-cloud-amd64", ["6.1.0-28-cloud-amd64", "6.1.0-40-amd64"], "6.1.0-28-cloud-amd64"),
        ("6.12.48+deb13-686-pae", ["6.12.57+deb13-686"], ""),
        # A container's is its host's.
        ("6.8.0-45-generic", [], ""),
    ],
)
def test_a_newer_kernel(running, installed, newer):
    assert needs.newer_kernel(running, installed) == newer


LIBRARY = "7f1 r-xp 00000000 08:01 42 /usr/lib/x86_64-linux-gnu/libssl.so.3 (deleted)"


@pytest.mark.parametrize(
    ("exe", "maps", "old"),
    [
        ("/usr/bin/python3.11 (deleted)", "", True),
        ("/usr/bin/python3.11", LIBRARY, True),
        ("/usr/bin/python3.11", LIBRARY.replace(" (deleted)", ""), False),
        # What a program itself has made and unlinked, or read as data, is nothing of a package's.
        ("/usr/bin/python3.11", LIBRARY.replace("/usr/lib", "/tmp"), False),
        ("/usr/bin/python3.11", LIBRARY.replace("r-xp", "r--p"), False),
        ("/usr/bin/python3.11", "7f1 rw-s 00000000 00:01 9 /memfd:x (deleted)", False),
        ("/srv/shop/releases/a/.venv/bin/python (deleted)", "", False),
    ],
)
def test_old_files(exe, maps, old):
    assert needs.has_old_files(exe, maps) is old


@pytest.mark.parametrize(
    ("cgroup", "unit"),
    [
        ("0::/system.slice/system-shop.slice/shop@blue.service\n", "shop@blue.service"),
        ("0::/system.slice/nginx.service/workers\n", "nginx.service"),
        ("12:memory:/x.service\n1:name=systemd:/docker/0af/system.slice/cron.service\n", "cron.service"),
        ("0::/user.slice/user-0.slice/user@0.service/app.slice/x.service\n", "user@0.service"),
        ("0::/user.slice/user-0.slice/session-1.scope\n", ""),
        ("0::/init.scope\n", ""),
    ],
)
def test_the_unit_of_a_process(cgroup, unit):
    assert needs.unit_of(cgroup) == unit


def test_processes_are_found_by_their_unit(tmp_path):
    for pid, exe in (("12", "/usr/bin/a (deleted)"), ("13", "/usr/bin/a")):
        (tmp_path / pid).mkdir()
        os.symlink(exe, tmp_path / pid / "exe")
        (tmp_path / pid / "maps").write_text("")
        (tmp_path / pid / "cgroup").write_text("0::/system.slice/a.service\n")
    (tmp_path / "14").mkdir()
    (tmp_path / "self").mkdir()
    assert needs.stale(str(tmp_path)) == {"a.service": [12]}


class _Kernels:
    def __init__(self, running: str, installed: list[str]) -> None:
        self.running, self.installed = running, installed

    def uname(self):
        return type("Uname", (), {"release": self.running})


def test_a_kernel_that_a_reboot_does_not_bring_is_not_rebooted_for_again(tmp_path, monkeypatch):
    host = _Kernels("6.1.0-9-amd64", ["6.1.0-9-amd64", "6.1.0-28-amd64"])
    monkeypatch.setattr(needs.os, "uname", host.uname)
    monkeypatch.setattr(needs, "names_in", lambda _place: [f"vmlinuz-{each}" for each in host.installed])
    monkeypatch.setattr(needs, "REBOOT", str(tmp_path / "required"))
    place = str(tmp_path)

    def look():
        return needs.reboot_reasons(lambda _command: (1, "", ""), place)

    assert (look().kernel, len(look().reasons)) == ("6.1.0-28-amd64", 1)
    # Rebooted, and GRUB has started the old one.
    assert "a reboot has brought 6.1.0-9-amd64 all the same" in needs.note_kernel(place, "6.1.0-28-amd64")
    assert (look().kernel, look().reasons) == ("", [])
    assert "GRUB_DEFAULT" in look().unbooted
    # Another reason is one, and so is a still newer kernel.
    (tmp_path / "required").touch()
    assert len(look().reasons) == 1
    host.installed.append("6.1.0-30-amd64")
    assert look().kernel == "6.1.0-30-amd64" and look().unbooted == ""
    host.running = "6.1.0-30-amd64"
    assert needs.note_kernel(place, "6.1.0-30-amd64") == ""


def test_what_needrestart_waits_for_is_not_rebooted_for_again_either(tmp_path, monkeypatch):
    monkeypatch.setattr(needs.os, "uname", _Kernels("6.8.0-45-generic", []).uname)
    monkeypatch.setattr(needs, "names_in", lambda _place: [])
    monkeypatch.setattr(needs.shutil, "which", lambda _name: "/usr/sbin/needrestart")
    monkeypatch.setattr(needs, "REBOOT", str(tmp_path / "required"))
    said = "NEEDRESTART-KCUR: 6.8.0-45-generic\nNEEDRESTART-KEXP: 6.8.0-50-generic\nNEEDRESTART-KSTA: 3\n"
    found = needs.reboot_reasons(lambda _command: (0, said, ""), str(tmp_path))
    assert found.kernel == "6.8.0-50-generic" and found.reasons
    needs.note_kernel(str(tmp_path), found.kernel)
    assert needs.reboot_reasons(lambda _command: (0, said, ""), str(tmp_path)).reasons == []


@pytest.mark.parametrize("text", ["", "[]", "{", "null"])
def test_a_note_that_nobody_can_read_is_none(tmp_path, text):
    (tmp_path / needs.UNBOOTED).write_text(text)
    assert needs._noted(str(tmp_path)) == ("", "")
