"""What somebody would try who has taken the app over. Prints JSON: each attempt with what it got, '' where stopped.

An attempt returns when it got through, and raises when it was stopped.
"""

from __future__ import annotations

import ctypes
import errno
import glob
import json
import mmap
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

libc = ctypes.CDLL(None, use_errno=True)
HERE = Path(__file__)
FACTS = json.loads(sys.argv[1])
ROOT, OTHER = Path(FACTS["root"]), Path(FACTS["other"])
ATTEMPTS: dict[str, Callable[[], object]] = {}
INIT_MODULE, PERF_EVENT_OPEN, BPF, USERFAULTFD, IO_URING_SETUP = 175, 298, 321, 323, 425  # x86-64
CLONE_NEWUSER, PTRACE_ATTACH, READ_KERNEL_LOG, NO_RANDOM_ADDRESSES = 0x10000000, 16, 3, 0x0040000


class StoppedError(Exception):
    pass


def attempt(name: str, *arguments: object) -> Callable:
    def add(function: Callable) -> Callable:
        ATTEMPTS[name] = lambda: function(*arguments)
        return function

    return add


def tried(name: str, function: Callable, *arguments: object) -> None:
    attempt(name, *arguments)(function)


def c(function: str, *arguments: object) -> int:
    """Call libc; raises OSError."""
    if (result := getattr(libc, function)(*arguments)) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), function)
    return result


def say(path: str, kind: int = socket.SOCK_STREAM) -> None:
    with socket.socket(socket.AF_UNIX, kind) as unix:
        unix.settimeout(2)
        unix.connect(path)


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    if done.returncode:
        raise StoppedError(done.stderr)
    return done.stdout


def write(path: Path) -> None:
    with open(path, "a") as file:
        file.write("#\n")


# The app itself.
tried("write its own code", write, HERE)
tried("write its own packages", write, Path(sys.prefix, "pyvenv.cfg"))
tried("make its own code writable", os.chmod, HERE, 0o777)
tried("add a release", os.mkdir, ROOT / "releases" / "evil")
tried("write its own slot", write, Path(FACTS["slot"], "gunicorn.conf.py"))
tried("move its own traffic", os.symlink, "/tmp/evil", ROOT / "live.sock.new")
tried("read its slot's environment file", Path(FACTS["slot"], "env").read_bytes)
tried("read its own environment file", (ROOT / "environment").read_bytes)
tried("make its own environment file readable", os.chmod, ROOT / "environment", 0o644)
tried("read its slot's credentials", os.listdir, Path(FACTS["slot"], "credentials"))
tried("remove its own socket", os.unlink, FACTS["socket"])
tried("put a link in place of a shared directory", os.rename, ROOT / "shared/media", ROOT / "shared/x")
tried("write beside the shared directories", os.symlink, "/etc", ROOT / "shared" / "etc")

# Other apps and users.
tried("read another app's environment file", (OTHER / "environment").read_bytes)
tried("read another app's code", os.listdir, OTHER / "releases")
tried("read another app's slots", os.listdir, OTHER / "slots")
tried("write to another app", write, OTHER / "evil")
tried("write to another app's run directory", write, Path(FACTS["other_socket"]).parent / "evil")
tried("connect to another app's socket", say, FACTS["other_socket"])
tried("connect to another app by its link", say, str(OTHER / "live.sock"))
tried("read another app's environment", Path(f"/proc/{FACTS['other_pid']}/environ").read_bytes)
tried("kill another app", os.kill, FACTS["other_pid"], signal.SIGKILL)
tried("read another app's journal", lambda: next(Path(f).read_bytes() for f in glob.glob("/var/log/journal/*/*")))
tried("write to another app's journal", say, FACTS["other_journal"])
tried("read another's file in /tmp", Path("/tmp/nightingale").read_bytes)
tried("read another's file in /dev/shm", Path("/dev/shm/nightingale").read_bytes)
tried("use another's shared memory", lambda: c("shmget", FACTS["ipc_key"], 0, 0))
tried("read the proxy's keys", os.listdir, "/var/lib/caddy/.local")
tried("read the proxy's configuration", Path("/var/lib/caddy/.config/caddy/autosave.json").read_bytes)
tried("reach the proxy's admin socket", say, "/run/caddy/admin.sock")


@attempt("see other users' processes")
def _() -> list[str]:
    seen = [p for p in os.listdir("/proc") if p.isdigit() and os.stat(f"/proc/{p}").st_uid != os.getuid()]
    if not seen:
        raise StoppedError
    return seen


# The host.
tried("read /etc/shadow", Path("/etc/shadow").read_bytes)
tried("read root's home", os.listdir, "/root")
tried("see homes", lambda: next(os.scandir("/home")))
for _path in "/etc/cron.d/evil", "/var/spool/cron/evil", "/etc/evil", "/usr/evil", "/var/lib/evil", "/run/evil":
    tried(f"write {_path}", write, Path(_path))
tried("write /proc/sys", write, Path("/proc/sys/kernel/core_pattern"))
tried("write a control group", write, Path("/sys/fs/cgroup/cgroup.procs"))
tried("install a crontab", run, "crontab", str(HERE))
tried("start a unit", run, "systemctl", "--no-ask-password", "start", "systemd-tmpfiles-clean.service")
tried("reach systemd over D-Bus", say, "/run/dbus/system_bus_socket")
tried("reach systemd's own socket", say, "/run/systemd/private")
tried("change the clock", lambda: time.clock_settime(time.CLOCK_REALTIME, time.time()))
tried("change the host's name", socket.sethostname, "evil")
tried("read the kernel's log", lambda: c("klogctl", READ_KERNEL_LOG, ctypes.create_string_buffer(99), 99))
for _path in "/dev/mem", "/dev/kmsg", "/dev/port":
    tried(f"open {_path}", os.open, _path, os.O_RDONLY)
tried("find a disk", lambda: next(d for d in glob.glob("/dev/*") if os.stat(d).st_mode & 0o170000 == 0o060000))
tried("make a device", os.mknod, "/tmp/mem", 0o020666, os.makedev(1, 1))

# Rights.
tried("become root", os.setuid, 0)
tried("become another user", os.setreuid, 1, 1)
tried("make a program setuid", lambda: (write(Path("/tmp/s")), os.chmod("/tmp/s", 0o4755)))
tried("enter a user namespace", lambda: c("unshare", CLONE_NEWUSER))
tried("mount", lambda: c("mount", b"none", b"/tmp", b"tmpfs", 0, None))
tried("change the root", os.chroot, "/tmp")
tried("trace another worker", lambda: c("ptrace", PTRACE_ATTACH, FACTS["worker"], None, None))
tried("load a module", lambda: c("syscall", INIT_MODULE, None, 0, b""))
tried("use bpf", lambda: c("syscall", BPF, 0, ctypes.create_string_buffer(b"\2" + b"\0" * 3 + b"\4\0\0\0" * 3, 72), 72))
tried(
    "count events of the kernel", lambda: c("syscall", PERF_EVENT_OPEN, ctypes.create_string_buffer(128), 0, -1, -1, 0)
)
tried("use io_uring", lambda: c("syscall", IO_URING_SETUP, 1, ctypes.create_string_buffer(120)))
tried("handle faults", lambda: c("syscall", USERFAULTFD, 1))
tried("write and execute memory", lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC))
tried("turn off address randomisation", lambda: c("personality", NO_RANDOM_ADDRESSES))
tried("take all of the CPU", lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)))


@attempt("run a setuid program")
def _() -> None:
    if run("/usr/local/bin/setuid-id", "-u").strip() != "0":
        raise StoppedError


@attempt("read another worker's memory")
def _() -> None:
    class Piece(ctypes.Structure):
        _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]

    maps = Path(f"/proc/{FACTS['worker']}/maps").read_text()
    start = int(maps.split("-")[0], 16)
    into = ctypes.create_string_buffer(8)
    here, there = Piece(ctypes.addressof(into), 8), Piece(start, 8)
    c("process_vm_readv", FACTS["worker"], ctypes.byref(here), 1, ctypes.byref(there), 1, 0)


@attempt("start more processes than it may")
def _() -> int:
    children = []
    try:
        while len(children) < FACTS["too_many"]:
            if not (pid := os.fork()):
                signal.pause()
            children.append(pid)
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return len(children)


# The network.
def bind(family: int, address: object, kind: int = socket.SOCK_STREAM) -> None:
    with socket.socket(family, kind) as sock:
        sock.bind(address)


tried("listen on a port", bind, socket.AF_INET, ("0.0.0.0", 9999))
tried("listen on a port over IPv6", bind, socket.AF_INET6, ("::", 9999))
tried("listen on UDP", bind, socket.AF_INET, ("0.0.0.0", 9999), socket.SOCK_DGRAM)
tried("listen on a unix socket", bind, socket.AF_UNIX, "/tmp/evil.sock")
tried("listen on an abstract socket", bind, socket.AF_UNIX, "\0evil")
tried("open a raw socket", socket.socket, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
tried("open a packet socket", socket.socket, socket.AF_PACKET, socket.SOCK_RAW)
tried("talk to the kernel by netlink", socket.socket, socket.AF_NETLINK, socket.SOCK_RAW)


def listen(family: int) -> object:
    """Without bind() the kernel chooses the port; whether it listens is asked of the kernel, not of the call."""
    with socket.socket(family) as sock:
        sock.listen()
        if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise StoppedError
        return sock.getsockname()


tried("listen on a port of the kernel's choice", listen, socket.AF_INET)
tried("listen on a port of the kernel's choice over IPv6", listen, socket.AF_INET6)


def outcome(function: Callable[[], object]) -> str:
    try:
        return f"got {function()!r}"[:100]
    except (OSError, StoppedError, subprocess.TimeoutExpired, StopIteration) as error:
        # The kernel looked at it, and would have done it had it been made better.
        reached = getattr(error, "errno", None) in (errno.EFAULT, errno.EINVAL)
        return f"reached the kernel: {error}" if reached else ""


def main() -> None:
    got = {}
    for name, function in ATTEMPTS.items():
        # Each in a process of its own: one that gets through changes what the next may do.
        reading, writing = os.pipe()
        if not (pid := os.fork()):
            os.write(writing, outcome(function).encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            got[name] = pipe.read()
        os.waitpid(pid, 0)
    print(json.dumps(got))


if __name__ == "__main__":
    main()
