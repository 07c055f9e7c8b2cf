# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Disposable Debian hosts in containers: reached over SSH as a user with sudo, like a server that was just rented."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

IMAGE = "graceful-deploy-test:bookworm"
# Boots systemd on ordinary machines and on those where --privileged isn't to be had.
FLAGS = [
    *(f"--cap-add={name}" for name in ("SYS_ADMIN", "NET_ADMIN", "SYS_NICE", "SYS_PTRACE")),
    *("--security-opt=seccomp=unconfined", "--security-opt=apparmor=unconfined"),
    *("--cgroupns=host", "--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw", "--env=container=docker"),
    # What the role's sysctl.d does at boot, where /proc/sys may be written.
    "--sysctl=net.ipv4.tcp_migrate_req=1",
    *(f"--tmpfs={path}" for path in ("/run", "/run/lock", "/tmp")),
]
SSH_OPTIONS = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o IdentitiesOnly=yes"
# Of a copy: what is below /srv is made anew. A directory of an image can't be renamed (EXDEV), and an image keeps no
# fractions of a second, by which an environment is known to be as it was installed.
UNPACK = "rm -rf /srv; tar --extract --file=/srv.tar --directory=/; rm /srv.tar; exec /lib/systemd/systemd"
CA_BUNDLE = "/usr/local/share/bench-ca.crt"
PREPARE = """
set -e
useradd --create-home --shell /bin/bash admin
echo 'admin ALL=(ALL) NOPASSWD:ALL' >/etc/sudoers.d/admin
install -d -o admin -g admin -m 0700 /home/admin/.ssh
printf '%s\\n' "$1" >/home/admin/.ssh/authorized_keys
chown admin:admin /home/admin/.ssh/authorized_keys
systemctl start ssh
"""


class BenchError(Exception):
    """The benchmark can't go on; the text says why."""


def docker(*args: str, data: bytes | None = None, check: bool = True) -> str:
    try:
        # A session of its own: a signal to our group must not end a `docker rm`.
        done = subprocess.run(
            ["docker", *args], input=data, capture_output=True, check=False, timeout=120, start_new_session=True
        )
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        raise BenchError(f"docker {args[0]}: {error}. Is there an engine? scripts/engine starts one.") from error
    if check and done.returncode != 0:
        raise BenchError(f"docker {' '.join(args)}:\n{done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode(errors="replace")


def make_key(directory: Path) -> Path:
    """A throwaway key for the hosts' user; the same one for all of them."""
    if not shutil.which("ssh") or not shutil.which("ssh-keygen"):
        raise BenchError(
            "The programs ssh and ssh-keygen are missing. Install them: sudo apt-get install openssh-client"
        )
    key = directory / "key"
    if not key.exists():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "bench", "-f", key], check=True)
    return key


def parse_pip_config(text: str) -> dict[str, str]:
    """The settings that `pip config list` shows, by their names alone; the environment's come last there and win."""
    found = (re.fullmatch(r"(\S+)\.([a-z-]+)=('.*'|\".*\")", line) for line in text.splitlines())
    entries = sorted((m[1] == ":env:", m[2], ast.literal_eval(m[3])) for m in found if m)
    return {name: value for _from_env, name, value in entries}


def pip_conf(settings: dict[str, str], has_bundle: bool) -> str:
    """/etc/pip.conf for a host that has to find the same index as this machine. Local paths mean nothing there."""
    kept = {name: settings[name] for name in ("index-url", "extra-index-url", "trusted-host") if name in settings}
    for name in ("index-url", "extra-index-url"):
        kept[name] = " ".join(url for url in kept.get(name, "").split() if url.startswith(("http://", "https://")))
    kept["cert"] = CA_BUNDLE if has_bundle else ""
    lines = [f"{name} = {value}" for name, value in kept.items() if value]
    return "\n".join(["[global]", *lines, ""]) if lines else ""


def ca_bundle() -> Path | None:
    """The authorities of this machine, where it says that pip needs others than its own."""
    names = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
    return next((Path(os.environ[name]) for name in names if os.environ.get(name)), None)


class Host:
    def __init__(self, name: str, key: Path) -> None:
        self.name = name
        self.key = key
        self.connection: dict[str, str | int] = {}

    def start(self, pip_settings: dict[str, str]) -> None:
        self.boot(IMAGE)
        self.run("sh", "-c", PREPARE, "sh", self.key.with_suffix(".pub").read_text().strip(), check=True)
        bundle = ca_bundle()
        if bundle is not None:
            docker("exec", "-i", self.name, "tee", CA_BUNDLE, data=bundle.read_bytes())
        conf = pip_conf(pip_settings, bundle is not None)
        if conf:
            docker("exec", "-i", self.name, "tee", "/etc/pip.conf", data=conf.encode())

    def boot(self, image: str) -> None:
        """Start it from an image: of a host that was prepared before (`keep`), too."""
        self.remove()
        command = ["run", "--detach", "--name", self.name, "--hostname", "app", *FLAGS, "--publish", "127.0.0.1::22"]
        docker(*command, image, *(["/lib/systemd/systemd"] if image == IMAGE else ["sh", "-c", UNPACK]))
        # A copy of a host that serves starts its app as well; several boot at once.
        running = {"running", "degraded"}
        self.wait("systemd starts", lambda: self.run("systemctl", "is-system-running").strip() in running, 120)
        self.connection = {
            "ansible_host": "127.0.0.1",
            "ansible_port": int(docker("port", self.name, "22/tcp").split(":")[-1]),
            "ansible_user": "admin",
            "ansible_ssh_private_key_file": str(self.key),
            "ansible_ssh_common_args": SSH_OPTIONS,
        }

    def keep(self, image: str) -> None:
        """Stop it, and keep what it has on its disk as an image."""
        self.run("systemctl", "enable", "ssh", check=True)
        self.run("tar", "--create", "--format=posix", "--file=/srv.tar", "--directory=/", "srv", check=True)
        docker("stop", "--time", "60", self.name)
        docker("commit", self.name, image)
        self.remove()

    def remove(self) -> None:
        docker("rm", "--force", "--volumes", self.name, check=False)
        if docker("ps", "--all", "--quiet", "--filter", f"name=^/{self.name}$"):
            raise BenchError(f"The container {self.name} can't be removed. Try: docker rm --force {self.name}")

    def run(self, *command: str, check: bool = False) -> str:
        return docker("exec", self.name, *command, check=check)

    def serves(self) -> None:
        """Raises BenchError where / isn't answered with 200 by the app, through what listens on port 80."""
        command = ("curl", "--silent", "--output", "/dev/null", "--max-time", "5", "--write-out", "%{http_code}")
        self.wait("/ answers 200", lambda: self.run(*command, "http://127.0.0.1/") == "200")
        body = self.run("curl", "--silent", "--max-time", "5", "--include", "http://127.0.0.1/")
        if '"name"' not in body:
            raise BenchError(f"{self.name}: that isn't the app:\n{body}")

    def ssh_bytes(self) -> tuple[int, int]:
        """Bytes that came and went over the SSH connections still open: Ansible keeps its one open for a minute."""
        shown = self.run("ss", "--tcp", "--info", "--no-header", "--numeric", "sport = :22")
        return tuple(sum(map(int, re.findall(rf"bytes_{way}:(\d+)", shown))) for way in ("received", "acked"))

    def answers_with(self, release: str) -> None:
        """Raises BenchError where another release than this one answers, by the header that app/load.py gives it."""
        head = self.run("curl", "--silent", "--max-time", "5", "--include", "http://127.0.0.1/")
        if f"x-release: {release}" not in head.lower():
            raise BenchError(f"{self.name}: another release than {release} answers:\n{head}")

    def wait(self, what: str, ready, limit: float = 30) -> None:
        deadline = time.monotonic() + limit
        while not ready():
            if time.monotonic() > deadline:
                raise BenchError(f"{self.name}: waited {limit:.0f} s in vain until {what}.")
            time.sleep(0.2)
