# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real Gunicorn on a unix socket that is handed over as systemd does, and raw clients for it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
WORKER_DIR = HERE.parents[1] / "roles" / "gunicorn" / "files"
# systemd's half of socket activation: the socket is fd 3, and LISTEN_PID is the pid that Gunicorn will have.
ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.executable, [sys.executable, "-m", "gunicorn", *sys.argv[2:]])
"""


def until(condition: Callable[[], object], seconds: float = 8.0) -> object:
    """The condition's first true value; a failure where there is none in time."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        if value := condition():
            return value
        time.sleep(0.01)
    raise AssertionError(f"not true within {seconds} s: {condition}")


class Client:
    """One connection, driven byte by byte."""

    def __init__(self, path: Path) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(15)
        self.sock.connect(str(path))

    def send(self, data: str) -> Client:
        self.sock.sendall(data.encode())
        return self

    def get(self, path: str) -> Client:
        return self.send(f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n")

    def read_until(self, mark: bytes) -> bytes:
        data = b""
        while not data.endswith(mark):
            byte = self.sock.recv(1)
            if not byte:
                raise AssertionError(f"closed after {data!r}")
            data += byte
        return data

    def response(self) -> tuple[int, str, str]:
        """(status, lower-case head, body) of a response with a content length."""
        head = self.read_until(b"\r\n\r\n").decode().lower()
        length, body = int(head.split("content-length: ")[1].split()[0]), b""
        while len(body) < length:
            chunk = self.sock.recv(length - len(body))
            if not chunk:
                raise AssertionError(f"closed within the body, after {body!r}")
            body += chunk
        return int(head.split()[1]), head, body.decode()

    def end(self) -> bytes:
        """What comes until the server closes, which mustn't be by a reset."""
        data = b""
        while chunk := self.sock.recv(65536):
            data += chunk
        return data

    def rest(self) -> bytes:
        """What comes until the server closes; b"" where it resets."""
        data = b""
        with contextlib.suppress(ConnectionResetError):
            while chunk := self.sock.recv(65536):
                data += chunk
        return data


class Gunicorn:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.socket = directory / "app.sock"
        self.conf = directory / "gunicorn.conf.py"
        self.log_path = directory / "log"
        self.process: subprocess.Popen | None = None

    def configure(
        self,
        drain: float | None = None,
        lifespan: float | None = None,
        kwargs: dict | None = None,
        worker_class: str = "graceful_worker.GracefulWorker",
        hooks: str = "",
        **settings: object,
    ) -> None:
        lines = {
            "workers": 1,
            "timeout": 30,
            "graceful_timeout": 10,
            "control_socket_disable": True,
            "accesslog": None,
            "worker_class": worker_class,
        } | settings
        self.conf.write_text(
            textwrap.dedent(f"""\
            import sys
            sys.path.insert(0, {str(WORKER_DIR)!r})
            import graceful_worker
            graceful_worker.configure(drain={drain!r}, lifespan={lifespan!r})
            graceful_worker.GracefulWorker.CONFIG_KWARGS = {kwargs or {"loop": "auto", "http": "auto"}!r}
            """)
            + "".join(f"{name} = {value!r}\n" for name, value in lines.items())
            + hooks
        )

    def start(self, app: str = "apps:app", wait: bool = True, **settings: object) -> Gunicorn:
        self.configure(**settings)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.socket))
        listener.listen(2048)
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", ACTIVATE, str(listener.fileno()), "-c", str(self.conf), app],
                pass_fds=[listener.fileno()],
                cwd=HERE,
                stdout=log,
                stderr=log,
                env=os.environ | {"SWITCHES": str(self.directory), "PYTHONDONTWRITEBYTECODE": "1"},
            )
        self.listener = listener  # held open, as systemd does
        if wait:
            self.pid_of_answer()
        return self

    def switch(self, name: str, on: bool = True) -> None:
        path = self.directory / name
        path.touch() if on else path.unlink()

    def connect(self) -> Client:
        return Client(self.socket)

    def pid_of_answer(self) -> int:
        with contextlib.closing((client := self.connect()).sock):
            return int(client.get("/").response()[2].split()[0].strip('"'))

    def workers(self) -> list[int]:
        path = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        return [int(pid) for pid in Path(path).read_text().split()]

    def signal(self, number: int, pid: int | None = None) -> float:
        os.kill(pid or self.process.pid, number)
        return time.monotonic()

    def stop(self) -> float:
        return self.signal(signal.SIGTERM)

    def exit_code(self, seconds: float = 15) -> int:
        return self.process.wait(seconds)

    def log(self) -> str:
        return self.log_path.read_text(encoding="utf-8")

    def events(self, name: str = "") -> list[str]:
        path = self.directory / "events"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [line for line in lines if line.split()[0] == name] if name else lines

    def end(self) -> None:
        """Kill what is left, the workers of a dead arbiter too."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGSTOP)  # it may be about to fork another
            until(lambda: "State:\tT" in Path(f"/proc/{self.process.pid}/status").read_text())
            workers = self.workers()
            self.process.kill()
            self.process.wait()
            for pid in workers:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.listener.close()


@contextlib.contextmanager
def load(server: Gunicorn, clients: int = 16) -> Iterator[dict]:
    """Load while the block runs; the result is in the yielded dictionary afterwards."""
    result: dict = {}
    process = subprocess.Popen(
        [sys.executable, str(HERE / "load.py"), str(server.socket), str(clients)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "started\n"
        yield result
    finally:
        process.terminate()
        output, _ = process.communicate(timeout=30)
    result.update(json.loads(output))
