"""A machine of one Debian, run by QEMU, and ways to ask it, to boot it and to take its power away."""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import testinfra

ROOT = Path(__file__).resolve().parents[2]
# What asks the containers asks machines as well.
spec = importlib.util.spec_from_file_location("hosts", ROOT / "molecule" / "conftest.py")
assert spec and spec.loader
hosts = importlib.util.module_from_spec(spec)
sys.modules["hosts"] = hosts
spec.loader.exec_module(hosts)

KVM_CREATE_VM = 0xAE01
"""The ioctl that shows whether /dev/kvm, which may be there and useless, can be used."""
BOOT = 300
"""Seconds that a boot may take by emulation on a busy machine."""
SPEAKS = 20
"""Seconds after which a kernel has said something, if it runs at all."""


def has_kvm() -> bool:
    try:
        file = os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        os.close(fcntl.ioctl(file, KVM_CREATE_VM, 0))
    except OSError:
        return False
    finally:
        os.close(file)
    return True


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class Machine:
    """One machine; its disk is laid over the image, which stays as it is."""

    def __init__(self, image: Path, place: Path) -> None:
        self.name = f"vm-{image.stem}"
        self.image, self.place = image, place
        self.arm = image.stem.endswith("-arm64")
        self.kvm = has_kvm() and self.arm == (platform.machine() == "aarch64")
        self.memory = 1024
        """MiB: a small machine that people rent."""
        self.ssh, self.http = free_port(), free_port()
        self.disk = place / "disk.qcow2"
        command = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(image), str(self.disk)]
        subprocess.run(command, check=True)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Give it power; back when it answers."""
        self._power()
        if self.kvm and not self._speaks():
            self.cut()
            self.kvm = False
            self._power()
        self.wait()

    def _speaks(self) -> bool:
        """Whether its kernel has begun. There are hosts whose KVM makes a machine, and then runs none of it."""
        end = time.monotonic() + SPEAKS
        while time.monotonic() < end and not (self.place / "console").read_bytes():
            time.sleep(0.2)
        return bool((self.place / "console").read_bytes())

    def _power(self) -> None:
        forward = f"hostfwd=tcp:127.0.0.1:{self.ssh}-:22,hostfwd=tcp:127.0.0.1:{self.http}-:80"
        program = "qemu-system-aarch64 -M virt" if self.arm else "qemu-system-x86_64"
        # What the largest processor has besides costs more by emulation than it brings.
        cpu = "cortex-a72" if self.arm and not self.kvm else "max"
        words = f"{program} -accel {'kvm' if self.kvm else 'tcg,thread=multi'} -cpu {cpu} -smp 2 -m {self.memory}"
        words += f" -display none -no-user-config -netdev user,id=n0,{forward} -device virtio-net-pci,netdev=n0"
        command = [*words.split(), "-device", "virtio-rng-pci", "-serial", f"file:{self.place / 'console'}"]
        command += ["-kernel", str(self.image.with_suffix(".vmlinuz"))]
        command += ["-initrd", str(self.image.with_suffix(".initrd"))]
        command += ["-append", f"console={'ttyAMA0' if self.arm else 'ttyS0'} net.ifnames=0"]
        command += ["-drive", f"file={self.disk},if=virtio,cache=writeback"]
        (self.place / "console").write_bytes(b"")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def wait(self) -> None:
        """Wait until it has booted."""
        end = time.monotonic() + BOOT
        while time.monotonic() < end:
            assert self.process and self.process.poll() is None, "QEMU has ended"
            answer = self.ask_ssh("systemctl is-system-running --wait", 60)
            if answer.strip() in ("running", "degraded"):
                return
            time.sleep(0.5)
        pytest.fail(
            f"it has not booted within {BOOT} s; its last words: {(self.place / 'console').read_text()[-2000:]}"
        )

    def ask_ssh(self, command: str, limit: float) -> str:
        words = ["ssh", *self.options, "-p", str(self.ssh), "admin@127.0.0.1", command]
        try:
            return subprocess.run(words, capture_output=True, text=True, timeout=limit, check=False).stdout
        except subprocess.TimeoutExpired:
            return ""

    @property
    def options(self) -> list[str]:
        """Of ssh."""
        key = self.image.parent / "key"
        wanted = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "ConnectTimeout=10", "LogLevel=ERROR")
        return ["-i", str(key), *(word for each in wanted for word in ("-o", each))]

    def cut(self) -> None:
        """Take the power away: what was not synced is gone."""
        if self.process:
            self.process.kill()
            self.process.wait()

    def boot_number(self) -> str:
        return self.ask_ssh("cat /proc/sys/kernel/random/boot_id", 20).strip()

    def reboot(self) -> None:
        """As a person does it; back when it has booted again."""
        before = self.boot_number()
        assert before
        self.ask_ssh("sudo systemctl reboot", 30)
        end = time.monotonic() + BOOT
        while time.monotonic() < end and self.boot_number() in ("", before):
            time.sleep(0.5)
        self.wait()

    def host(self):
        """For testinfra; as root."""
        extra = " ".join(self.options[2:])
        address = f"ssh://admin@127.0.0.1:{self.ssh}?sudo=true&controlpersist=0"
        return testinfra.get_host(address, ssh_identity_file=self.options[1], ssh_extra_args=extra)

    def inventory(self) -> dict:
        variables = {
            "ansible_host": "127.0.0.1",
            "ansible_port": self.ssh,
            "ansible_user": "admin",
            "ansible_ssh_private_key_file": self.options[1],
            "ansible_ssh_common_args": " ".join(self.options[2:]),
        }
        return {"all": {"hosts": {self.name: variables}}}


@pytest.fixture(scope="session")
def machine(tmp_path_factory) -> Iterator[Machine]:
    image = os.environ.get("VM_IMAGE", "")
    if not image:
        pytest.skip("scripts/vm makes the machines")
    place = tmp_path_factory.mktemp("machine")
    machine = Machine(Path(image), place)
    inventory = place / "inventory.json"
    inventory.write_text(json.dumps(machine.inventory()))
    os.environ["MOLECULE_INVENTORY_FILE"] = str(inventory)
    try:
        machine.start()
        yield machine
    finally:
        machine.cut()
        shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
def ask(machine):
    return hosts.Asker(machine.host())


@pytest.fixture
def control(machine):
    return hosts.Control(machine.name)


count = hosts.count
pytest_terminal_summary = hosts.pytest_terminal_summary
