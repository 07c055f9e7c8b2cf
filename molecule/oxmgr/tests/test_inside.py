"""What an app is given, and what it may: the launcher does what systemd does for a service."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
import yaml
from conftest import NAME, ROOT, SCENARIO

VARIABLES = yaml.safe_load((SCENARIO / "variables.yml").read_text())
PORTS = (40000, 40001)
# What connects says so; what is refused says why.
CONNECT = """
import socket
def tried(port):
    try:
        with socket.create_connection(("127.0.0.1", port), 3) as link:
            link.sendall(b'{"type":"list"}\\n')
            return link.recv(1000).decode()
    except OSError as error:
        return type(error).__name__
said = [tried(port) for port in (40000, 40001)]
"""


def attempt(expression: str, imports: str = "os") -> str:
    """Code that says what an expression gave, or the name of the error that it raised."""
    lines = [f"import {imports}, ctypes", "try:", f"    said = repr({expression})"]
    return "\n".join([*lines, "except OSError as error:", "    said = type(error).__name__"])


@pytest.mark.core
def test_the_environment_arrives_exactly_and_nothing_of_the_daemons(site, ask):
    slot = site.live
    main = site.main_pid(slot)
    raw = ask.host.run(f"cat /proc/{main}/environ").stdout_bytes.decode()
    got = dict(entry.split("=", 1) for entry in raw.removesuffix("\0").split("\0"))
    for name, value in VARIABLES["fastapi_env"].items():
        assert got.pop(name) == value, name
    assert got.pop("FASTAPI_RELEASE") == site.release
    assert (got.pop("FASTAPI_NAME"), got.pop("FASTAPI_SLOT")) == (NAME, slot)
    assert (got.pop("LISTEN_FDS"), got.pop("LISTEN_PID")) == ("1", main)
    assert got.pop("LISTEN_FDNAMES") == f"{NAME}@{slot}.socket"
    assert (got.pop("HOME"), got.pop("TMPDIR"), got.pop("PYTHONUNBUFFERED")) == (f"{ROOT}/home", "/var/tmp", "1")
    usual = {"PATH", "LANG", "USER", "LOGNAME", "SHELL", "JOURNAL_STREAM", "CREDENTIALS_DIRECTORY"}
    assert set(got) == usual | {"FASTAPI_TOLD", "WATCHDOG_USEC"}
    # And so to the app, by Python.
    seen = site.python("import os; said = dict(os.environ)")
    assert {name: seen.get(name) for name in VARIABLES["fastapi_env"]} == VARIABLES["fastapi_env"]


def test_nothing_secret_is_where_others_read(site, ask):
    """Neither what Oxmgr keeps, nor a command line, nor a log."""
    slot = site.live
    kept = f"cat /var/lib/{NAME}-oxmgr/*/state.json {ROOT}/slots/{slot}/oxfile.toml /etc/systemd/system/{NAME}*"
    said = ask.run(f"{kept}; cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '; journalctl --no-pager")
    assert "canary-plain" not in said and "canary-key" not in said


def test_credentials_are_files_of_the_apps(site):
    code = """
import os, pathlib
place = pathlib.Path(os.environ["CREDENTIALS_DIRECTORY"])
seen = {path: path.stat() for path in place.iterdir()}
said = {path.name: [path.read_text(), oct(stat.st_mode), stat.st_uid == os.getuid()] for path, stat in seen.items()}
"""
    assert site.python(code) == {"key": [VARIABLES["fastapi_credentials"]["key"], "0o100400", True]}


@pytest.mark.core
def test_the_app_has_no_rights(site, ask):
    code = "import os; said = [open('/proc/self/status').read(), os.getcwd(), os.getgroups(), os.umask(0o077)]"
    status, cwd, groups, umask = site.python(code)
    fields = dict(line.split(":", 1) for line in status.splitlines())
    uid, gid = ask.run("id -u deploy; id -g deploy").split()
    assert (fields["Uid"].split(), fields["Gid"].split()) == ([uid] * 4, [gid] * 4)
    assert {name: int(value, 16) for name, value in fields.items() if name.startswith("Cap")} == {
        f"Cap{each}": 0 for each in ("Inh", "Prm", "Eff", "Bnd", "Amb")
    }
    assert (fields["NoNewPrivs"].strip(), fields["Seccomp"].strip(), umask) == ("1", "2", 0o077)
    assert (cwd, groups) == (f"{ROOT}/releases/{site.release}", [int(gid)])


ATTEMPTS = {
    "bind a port": ('__import__("socket").socket().bind(("127.0.0.1", 0))', "PermissionError"),
    "become root": ("os.setuid(0)", "PermissionError"),
    "read the environment file": (f'open("{ROOT}/slots/blue/env")', "PermissionError"),
    "read the other's": (f'open("{ROOT}/slots/green/env")', "PermissionError"),
    "read root's credentials": (f'os.listdir("{ROOT}/slots/blue/credentials")', "PermissionError"),
    "put something to its own credentials": (
        f'open("/run/{NAME}-oxmgr/SLOT/credentials/x", "w")',
        "PermissionError",
    ),
    "read Oxmgr's state": (f'open("/var/lib/{NAME}-oxmgr/SLOT/state.json")', "PermissionError"),
    "reach Oxmgr's events": (
        f'__import__("socket").socket(1).connect("/var/lib/{NAME}-oxmgr/SLOT/events.sock")',
        "PermissionError",
    ),
    "signal Oxmgr": ("os.kill(DAEMON, 0)", "PermissionError ProcessLookupError"),
    "go into its network": ('os.open("/proc/DAEMON/ns/net", 0)', "PermissionError FileNotFoundError"),
    "write into the release": (f'open("{ROOT}/slots/SLOT/release/x", "w")', "PermissionError OSError"),
    "write what the launcher is": (f'open("{ROOT}/slots/SLOT/graceful_slot.py", "a")', "PermissionError OSError"),
    "read what the arbiter tells": (f'open("/run/{NAME}-oxmgr/SLOT/told")', "PermissionError FileNotFoundError"),
}


@pytest.mark.parametrize("name", ATTEMPTS)
def test_the_app_gets_nowhere(site, name):
    expression, refused = ATTEMPTS[name]
    slot = site.live
    code = attempt(expression.replace("SLOT", slot).replace("DAEMON", site.daemon(slot)))
    assert site.python(code) in refused.split(), name


def test_it_listens_nowhere_by_a_socket_that_it_didnt_bind(site, ask):
    """listen() says that all is well, and has no port."""
    before = ask.run("cat /proc/net/tcp | awk '$4 == \"0A\"' | wc -l")
    site.python("import socket; s = socket.socket(); s.listen(); said = s.getsockname()[1]; kept = s")
    assert site.python("import socket; s = socket.socket(); s.listen(); said = s.getsockname()[1]") == 0
    assert ask.run("cat /proc/net/tcp | awk '$4 == \"0A\"' | wc -l") == before


@pytest.mark.core
def test_no_socket_but_the_slots_own(site):
    code = """
import os, socket
said = []
for name in os.listdir("/proc/self/fd"):
    try:
        found = socket.socket(fileno=os.dup(int(name)))
    except OSError:
        continue
    with found:
        if found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            said.append(found.getsockname())
"""
    assert set(site.python(code)) == {f"/run/{NAME}/{site.live}.sock"}


@pytest.mark.core
def test_nobody_in_the_hosts_network_reaches_oxmgr(site, ask):
    refused = ["ConnectionRefusedError"] * 2
    assert site.python(CONNECT) == refused
    place = "/run/connect.py"
    ask.run(f"cat >{place} <<'END'\n{CONNECT}\nprint(__import__('json').dumps(said))\nEND\nchmod 644 {place}")
    for user in ("root", "nobody", "deploy"):
        assert json.loads(ask.run(f"runuser -u {user} -- python3 {place}")) == refused, user
    # It is there, for root in its network alone.
    daemon = site.daemon(site.live)
    assert "swap-" in ask.run(f"nsenter --net --target {daemon} python3 {place}")
    assert ask.host.run(f"runuser -u nobody -- nsenter --net --target {daemon} true").rc
    assert "swap-" in site.tell(site.live, "list").stdout


@pytest.mark.core
def test_each_slots_lines_are_told_by_their_slot_and_kind(site, ask):
    """As under systemd: NAME-logs, a slot's own, and problems alone."""
    old, word = site.live, f"said-{time.time_ns()}"
    speak = "import logging, os; print('WORD in', os.environ['FASTAPI_SLOT']); logging.error('WORD is bad')"
    site.python(speak.replace("WORD", word))
    # A byte that is no UTF-8 would end Oxmgr's own pipe, and with it the app's prints.
    site.python(f"import os; os.write(1, b'{word} \\xff raw\\n')")
    site.deploy()
    new = site.live
    site.python(speak.replace("WORD", word))
    logs = lambda options: [line for line in ask.run(f"{NAME}-logs {options} -n 2000").splitlines() if word in line]  # noqa: E731
    ask.until("all is in the journal", lambda: len(logs("")) == 5)
    for slot, lines in ((old, 3), (new, 2)):
        mine = logs(f"-s {slot}")
        assert len(mine) == lines and any(f"{word} in {slot}" in line for line in mine), mine
    problems = logs("--problems")
    assert len(problems) == 2 and all("is bad" in line for line in problems), problems
    status, said = site.control.run("logs", *site.options)
    assert status == 0 and word in said, said
    site.alone()


@pytest.fixture
def open_network(ask) -> Iterator[None]:
    """A daemon that everybody on the host could command."""
    directory = f"/run/systemd/system/{NAME}-oxmgr@.service.d"
    text = "[Service]\\nPrivateNetwork=no\\n"
    ask.run(f"mkdir -p {directory}; printf '{text}' >{directory}/test.conf; systemctl daemon-reload")
    yield
    ask.run(f"rm -r {directory}; systemctl daemon-reload")


def test_no_daemon_is_started_in_an_open_network_and_the_deploy_says_so(site, ask, open_network):
    """Not for a moment; and the reason is on the screen."""
    live, before = site.live, site.release
    started = lambda: ask.show(site.unit(site.standby), "ExecMainStartTimestampMonotonic").popitem()[1]  # noqa: E731
    last = started()
    status, said = site.run()
    assert status == 2
    assert "has no network of its own" in " ".join(said.split()), said
    assert (site.live, site.release, site.history()[-1]["outcome"]) == (live, before, "failed")
    # systemd forgets the last one where what comes before it fails.
    assert started() in (last, "0")
    site.alone()


def test_a_python_that_is_gone_is_told(site):
    """The launcher's own last words: what it can't start."""
    release = site.clone()
    # Its own link in its own directory: what links share is left alone.
    place = f"{ROOT}/releases/{release}/.venv/bin"
    site.ask.run(f"rm -f {place}/python {place}/python3*")
    result = site.swap(release)
    assert result.get("failed"), result
    assert "can't be started" in result["msg"] and "No such file" in result["msg"], result
    site.alone()
