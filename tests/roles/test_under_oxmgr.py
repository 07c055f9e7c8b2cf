"""What runs a slot under Oxmgr, without that: the oxfile, the client against what 0.5.0 answered, the launcher."""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import signal
import socketserver
import subprocess
import sys
import threading
import time
import tomllib
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._oxmgr import oxfile as oxfiles
from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs.env_file import render as env_file
from hypothesis import given, settings
from hypothesis import strategies as st

FILES = Path(__file__).resolve().parents[2] / "roles" / "gunicorn" / "files"
# Recorded from Oxmgr 0.5.0; to what it doesn't understand it says nothing, and closes.
PONG = b'{"ok":true,"message":"pong","process":null,"processes":[],"logs":null}\n'
DUPLICATE = b'{"ok":false,"message":"duplicate process name: hello-blue","process":null,"processes":[],"logs":null}\n'
STARTED = b'{"ok":true,"message":"started hello-blue (1)","process":{"id":1,"name":"hello-blue"},"processes":[]}\n'


def loaded(name: str):
    spec = importlib.util.spec_from_file_location(name, FILES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


daemon, slot = loaded("graceful_daemon"), loaded("graceful_slot")


class Oxmgr(socketserver.ThreadingTCPServer):
    """Gives each question the next of the answers; None is no answer for as long as somebody waits."""

    allow_reuse_address = daemon_threads = True

    def __init__(self, *answers: bytes | None) -> None:
        self.answers, self.asked = list(answers), []
        super().__init__(("127.0.0.1", 0), Answering)
        self.address = f"127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Answering(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.server.asked.append(json.loads(self.rfile.readline()))
        answer = self.server.answers.pop(0)
        if answer is None:
            self.rfile.read()
        else:
            self.wfile.write(answer)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (DUPLICATE, "Oxmgr said: duplicate process name: hello-blue"),
        (b"", "Oxmgr doesn't understand what it was asked for: start."),
        (b"HTTP/1.1 400 Bad Request\r\n", "What answers there isn't Oxmgr."),
        (b"[1]\n", "What answers there isn't Oxmgr."),
    ],
)
def test_what_oxmgr_refuses_is_told_in_its_words(answer, said):
    with Oxmgr(answer) as server, pytest.raises(daemon.Refused) as refused:
        daemon.ask(server.address, {"type": "start"}, 5)
    assert str(refused.value) == said


def test_one_that_is_busy_is_waited_for_no_longer_than_was_said():
    begun = time.monotonic()
    with Oxmgr(None) as server, pytest.raises(OSError, match="timed out"):
        daemon.ask(server.address, {"type": "ping"}, 0.3)
    assert time.monotonic() - begun < 3


@pytest.mark.parametrize("own", [True, False])
def test_a_daemon_forgets_what_it_was_told_and_starts_only_where_nobody_reaches_it(tmp_path, monkeypatch, own):
    networks = {"/proc/self/ns/net": 2 if own else 1, "/proc/1/ns/net": 1}
    monkeypatch.setattr(daemon.os, "stat", lambda path: os.stat_result((0, networks[path], *[0] * 8)))
    (tmp_path / "state.json").write_text("{}")
    for name, value in {"OXMGR_HOME": str(tmp_path), "OXMGR_DAEMON_ADDR": "127.0.0.1:1"}.items():
        monkeypatch.setenv(name, value)
    if own:
        # Also where it remembers nothing.
        daemon.main("forget")
        daemon.main("forget")
        assert os.listdir(tmp_path) == []
    else:
        with pytest.raises(daemon.Refused, match="no network of its own"):
            daemon.main("forget")


@pytest.fixture
def oxfile(render, tmp_path):
    def written(**variables) -> Path:
        path = tmp_path / "oxfile.toml"
        path.write_text(render("gunicorn", "oxfile.toml.j2", **variables))
        return path

    return written


def test_a_slot_is_registered_as_its_file_says(oxfile, tmp_path):
    program = tmp_path / "oxmgr"
    program.write_text("#!/bin/sh\ntest $1 = validate\n")
    program.chmod(0o755)
    # The first answers aren't there yet: the daemon has just been started.
    with Oxmgr(PONG, STARTED) as server:
        daemon.begin(server.address, "hello-green", str(program), str(oxfile()))
    asked = server.asked[1]["spec"]
    check = asked.pop("health_check")
    assert asked == {
        "name": "hello-green",
        "command": "/usr/bin/python3 -IS /srv/hello/slots/green/graceful_slot.py hello deploy deploy",
        "cwd": "/",
        "env": {},
        "namespace": "hello",
        "restart_policy": "always",
        "restart_delay_secs": 1,
        "start_delay_secs": 0,
        "max_restarts": 4294967295,
        "crash_restart_limit": 10,
        "stop_signal": "SIGUSR2",
        "stop_timeout_secs": 50,
    }
    assert check.pop("command").endswith("graceful_daemon.py watch /run/hello-oxmgr/green/told 30")
    assert check == {"interval_secs": 10, "timeout_secs": 5, "max_failures": 3}


def test_a_file_that_oxmgr_refuses_starts_nothing(oxfile, tmp_path):
    program = tmp_path / "oxmgr"
    program.write_text("#!/bin/sh\necho 'missing field `apps`' >&2; exit 1\n")
    program.chmod(0o755)
    with Oxmgr() as server, pytest.raises(daemon.Refused, match="missing field `apps`"):
        daemon.begin(server.address, "hello-green", str(program), str(oxfile()))
    assert server.asked == []


@pytest.mark.parametrize(
    "root",
    ["/srv/hello", "/srv/my apps/hello", "/srv/it's", '/srv/a"b\\c', "/srv/a~b/~x", "/srv/ü/#é", "/srv/a]]\tb"],
)
def test_whatever_the_paths_are_the_command_has_them(oxfile, root):
    text = oxfile(fastapi_root=root, fastapi_allow_listen=True).read_text()
    # Oxmgr passes over what it doesn't know, and takes some values for others.
    assert oxfiles.read(text)[1] == []
    apps = tomllib.loads(text)["apps"]
    assert [app["name"] for app in apps] == ["hello-blue", "hello-green"]
    for app in apps:
        place = f"{root}/slots/{app['namespace'] and app['name'].removeprefix('hello-')}"
        script = [f"{place}/graceful_slot.py", "hello", "deploy", "deploy", "listen"]
        assert shlex.split(app["command"]) == ["/usr/bin/python3", "-IS", *script]
        assert shlex.split(app["health_cmd"])[2] == f"{place}/graceful_daemon.py"


VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)


@given(st.dictionaries(st.from_regex(r"[A-Z_][A-Z0-9_]{0,8}", fullmatch=True), VALUES, max_size=4))
@settings(deadline=None)
def test_every_value_reaches_the_app_as_it_was_written(values):
    try:
        text = env_file(values)
    except Exception:
        # What systemd wouldn't take is refused there.
        return
    assert slot.environment(text) == values


def test_an_environment_that_nobody_of_ours_wrote_starts_nothing(capsys):
    with pytest.raises(SystemExit):
        slot.environment('A="1"\nSECRET=canary\n')
    assert "canary" not in capsys.readouterr().err


def test_credentials_are_the_apps_to_read_in_a_directory_of_roots(tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr(os, "chown", lambda path, user, group: given.append((os.path.basename(path), user, group)))
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    (source / "key").write_text("canary")
    # What an earlier start has left goes.
    target.mkdir()
    (target / "old").write_text("")
    assert slot.copy_credentials(str(source), str(target), 1234, 4321)
    assert given == [("key", 1234, 4321), ("target", -1, 4321)]
    assert [(path.name, path.read_text(), path.stat().st_mode & 0o777) for path in target.iterdir()] == [
        ("key", "canary", 0o400)
    ]
    assert target.stat().st_mode & 0o777 == 0o750
    (source / "key").unlink()
    assert not slot.copy_credentials(str(source), str(target), 1234, 4321) and not target.exists()


def test_of_several_sockets_a_slot_takes_its_own(tmp_path):
    """In a process of its own, as 3 and up are what the daemon has from systemd."""
    program = f"""
import os, socket, sys
sys.path.insert(0, {str(FILES)!r})
import graceful_slot
for number, name in enumerate(["green", "blue"]):
    made = socket.socket(socket.AF_UNIX)
    made.bind({str(tmp_path)!r} + "/" + name)
    made.listen()
    os.dup2(made.fileno(), 10 + number)
os.dup2(10, 3), os.dup2(11, 4)
os.environ |= {{"LISTEN_FDS": "2", "LISTEN_FDNAMES": "a@green.socket:a@blue.socket"}}
graceful_slot.take_socket("a@blue.socket")
print(socket.socket(fileno=3).getsockname(), sorted(map(int, os.listdir("/proc/self/fd")))[:5])
graceful_slot.take_socket("a@red.socket")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    # The last one is the directory that is being read.
    assert done.stdout == f"{tmp_path}/blue [0, 1, 2, 3]\n"
    assert (done.returncode, "no socket of a@red.socket" in done.stderr) == (78, True)


@pytest.mark.parametrize(("late", "ended"), [(5, None), (40, signal.SIGURG), (90, signal.SIGKILL)])
def test_an_arbiter_that_tells_nothing_any_more_is_ended(tmp_path, late, ended):
    told = tmp_path / "told"
    told.write_text("")
    os.utime(told, (time.time() - late,) * 2)
    # As graceful_watch does: it dies of the signal that everybody else ignores.
    arbiter = (
        "import signal, sys\n"
        "signal.signal(signal.SIGURG, signal.SIG_IGN if sys.argv[1:] else lambda *_: sys.exit(9))\n"
        "print(flush=True)\n"
        "while True: signal.pause()\n"
    )
    deaf = ["deaf"] if ended == signal.SIGKILL else []
    with subprocess.Popen([sys.executable, "-c", arbiter, *deaf], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        (tmp_path / "state.json").write_text(json.dumps({"processes": [{"pid": process.pid}]}))
        daemon.watch(str(tmp_path), str(told), 30)
        if not ended:
            assert process.poll() is None
            process.kill()
        assert process.wait(5) == {None: -signal.SIGKILL, signal.SIGURG: 9, signal.SIGKILL: -signal.SIGKILL}[ended]


def test_the_unit_has_the_sandbox_and_no_more_than_it_needs(render):
    text = render("gunicorn", "oxmgr.service.j2", fastapi_name="my-app", fastapi_sandbox={"ProtectHome": "read-only"})
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert {"PrivateNetwork=yes", "ProtectSystem=strict", "NoNewPrivileges=yes", "ProtectHome=read-only"} <= {*lines}
    assert {"MemoryMax=400M", "TimeoutStopSec=50", "Slice=system-my\\x2dapp.slice"} <= {*lines}
    assert not [line for line in lines if line.startswith(("User=", "PrivateUsers=yes", "OOMScoreAdjust"))]
    held = next(line for line in lines if line.startswith("CapabilityBoundingSet="))
    assert "CAP_NET" not in held and "CAP_SYS_MODULE" not in held


def test_the_sockets_name_who_takes_their_connections(render):
    named = "Service=hello-oxmgr@%i.service"
    assert named in render("gunicorn", "socket.j2", fastapi_supervisor="oxmgr")
    assert "Service=" not in render("gunicorn", "socket.j2")
    # A slot that the service still runs keeps its socket meanwhile, which goes by that line else.
    assert "Sockets=hello@%i.socket" in render("gunicorn", "service.j2", fastapi_supervisor="oxmgr")
    assert "Sockets=" not in render("gunicorn", "service.j2")
