# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""/proc, by a tree that is made here."""

from __future__ import annotations

import os
import stat

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._audit import (
    caddyfile,
    find,
    leaks,
    nginx,
    processes,
    servers,
    stop_checks,
    units,
)
from ansible_collections.graceful.deploy.plugins.module_utils._audit.model import Host, Served
from ansible_collections.graceful.deploy.plugins.module_utils._audit.processes import parse_cgroup, read_all
from ansible_collections.graceful.deploy.plugins.module_utils._hand import options, supervisord
from ansible_collections.graceful.deploy.plugins.module_utils._host.reading import read_text
from hypothesis import given
from hypothesis import strategies as st

STATUS = "Name:\tx\nPPid:\t{ppid}\nUid:\t0\t{uid}\t0\t0\nGid:\t0\t{uid}\t0\t0\nGroups:\t5 6\n"


@pytest.fixture
def proc(tmp_path):
    def add(pid: int, ppid: int, command: str, cgroup: str = "0::/system.slice/app.service\n", uid: int = 7) -> None:
        here = tmp_path / "proc" / str(pid)
        here.mkdir(parents=True)
        (here / "cmdline").write_bytes(b"".join(word.encode() + b"\0" for word in command.split()))
        (here / "status").write_text(STATUS.format(ppid=ppid, uid=uid))
        (here / "cgroup").write_text(cgroup)
        (here / "environ").write_bytes(b"A=1\0B=two=2\0")
        (here / "cwd").symlink_to("/srv/app")
        (here / "fd").mkdir()
        (here / "fd" / "3").symlink_to("socket:[4242]")

    add.root = str(tmp_path)
    add(1, 0, "/sbin/init", "0::/init.scope\n")
    return add


def test_processes_with_their_parents_users_and_units(proc):
    proc(10, 1, "/usr/bin/python3 /usr/bin/gunicorn app:app")
    proc(11, 10, "/usr/bin/python3 /usr/bin/gunicorn app:app", uid=8)
    table = read_all(proc.root)
    assert (table[10].unit, table[10].cwd, table[10].children) == ("app.service", "/srv/app", [table[11]])
    assert (table[11].uid, table[11].gids) == (8, (5, 6, 8))
    ((process, kind, words),) = find.roots(table)
    assert (process.pid, kind, words, find.workers_of(process)) == (10, "gunicorn", ["app:app"], [table[11]])


def test_uvicorns_reloader_has_one_worker_and_a_helper(proc):
    proc(10, 1, "uvicorn app:app --reload")
    proc(11, 10, "python -c from_multiprocessing.resource_tracker_import_main")
    proc(12, 10, "python -c from_multiprocessing.spawn_import_spawn_main")
    table = read_all(proc.root)
    assert [process.pid for process in find.workers_of(table[10])] == [12]


def test_environment_and_open_files(proc):
    proc(10, 1, "uvicorn app:app")
    process = read_all(proc.root)[10]
    processes.read_more(process, proc.root)
    assert process.environ == {"A": "1", "B": "two=2"}
    assert processes.sockets_of(process) == {4242}
    tcp = {4242: ("0.0.0.0", 8000)}
    assert find.listeners([process], tcp, {}) == ([("0.0.0.0", 8000)], [])


@pytest.mark.parametrize(
    ("command", "control"),
    [
        ("gunicorn app:app", "/home/a/.gunicorn/gunicorn.ctl"),
        ("gunicorn --control-socket=/run/app/ctl.sock app:app", "/run/app/ctl.sock"),
        ("gunicorn --control-socket ./ctl.sock app:app", "/srv/app/ctl.sock"),
    ],
)
def test_gunicorns_control_socket_is_none_of_the_apps(proc, command, control):
    """Its health was asked there, which gave no answer."""
    proc(10, 1, command)
    process = read_all(proc.root)[10]
    processes.read_more(process, proc.root)
    told = servers.settings("gunicorn", command.split()[1:], {})
    assert find.listeners([process], {}, {4242: control}, find.control_of(told)) == ([], [])
    assert find.listeners([process], {}, {4242: "/run/app.sock"}, find.control_of(told)) == ([], ["/run/app.sock"])
    config = servers.parse_config("control_socket = '/run/app/x'", "/c.py")[0]
    assert find.control_of(servers.settings("gunicorn", ["app:app"], {}, config)) == "run/app/x"


def test_what_may_not_be_read_is_none(proc):
    proc(10, 1, "uvicorn app:app")
    process = read_all(proc.root)[10]
    processes.read_more(process, proc.root + "/nowhere")
    assert (process.environ, process.files) == (None, None)


def test_processes_without_a_command_are_the_kernels(proc, tmp_path):
    proc(10, 1, "")
    (tmp_path / "proc" / "11").mkdir()
    assert set(read_all(proc.root)) == {1}
    assert read_all(str(tmp_path / "nothing")) == {}


ID = "a" * 64


@pytest.mark.parametrize(
    ("text", "own", "unit", "container"),
    [
        ("0::/system.slice/app.service\n", "0::/init.scope\n", "app.service", ""),
        (
            "5:cpu:/x\n1:name=systemd:/system.slice/app.service\n0::/\n",
            "1:name=systemd:/init.scope\n",
            "app.service",
            "",
        ),
        ("0::/system.slice/system-app.slice/app@1.service\n", "0::/init.scope\n", "app@1.service", ""),
        ("0::/user.slice/user-0.slice/session-3.scope\n", "0::/init.scope\n", "session-3.scope", ""),
        (f"0::/system.slice/docker-{ID}.scope\n", "0::/init.scope\n", "", ID),
        (f"1:name=systemd:/docker/{ID}\n", "1:name=systemd:/init.scope\n", "", ID),
        (f"0::/machine.slice/libpod-{ID}.scope/container\n", "0::/init.scope\n", "", ID),
        # The host is a container itself.
        (f"0::/docker/{ID}/system.slice/app.service\n", f"0::/docker/{ID}/init.scope\n", "app.service", ""),
        (f"0::/docker/{ID}\n", f"0::/docker/{ID}/init.scope\n", "", ""),
        ("", "", "", ""),
    ],
)
def test_unit_and_container_by_the_cgroup(text, own, unit, container):
    assert parse_cgroup(text, own)[1:] == (unit, container)


def test_listening_sockets():
    tcp = (
        "  sl  local_address rem_address st tx_queue rx_queue tr tm->when retrnsmt uid timeout inode\n"
        "   0: 00000000:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 111 1\n"
        "   1: 0100007F:1F41 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 112 1\n"
        "   2: 0100007F:1F42 0100007F:0050 01 00000000:00000000 00:00000000 00000000 0 0 113 1\n"
        "   3: 00000000000000000000000000000000:1F43 00:0000 0A 00000000:00000000 00:00000000 00000000 0 0 114 1\n"
        "   4: 00000000000000000000000001000000:1F44 00:0000 0A 00000000:00000000 00:00000000 00000000 0 0 115 1\n"
        "   5: 0000000000000000FFFF00000100007F:1F45 00:0000 0A 00000000:00000000 00:00000000 00000000 0 0 116 1\n"
    )
    assert processes.parse_tcp(tcp) == [
        ("0.0.0.0", 8000, 111),
        ("127.0.0.1", 8001, 112),
        ("::", 8003, 114),
        ("::1", 8004, 115),
        ("127.0.0.1", 8005, 116),
    ]
    unix = (
        "Num       RefCount Protocol Flags    Type St Inode Path\n"
        "0000: 00000002 00000000 00010000 0001 01 21 /run/a.sock\n"
        "0000: 00000003 00000000 00000000 0001 03 22 /run/a.sock\n"
        "0000: 00000002 00000000 00010000 0001 01 23\n"
    )
    assert processes.parse_unix(unix) == {21: "/run/a.sock"}


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("gunicorn --env API_TOKEN=abc", ["API_TOKEN"]),
        ("app --db-password hunter2", ["--db-password"]),
        ("app postgresql://u:p@db/x", ["a URL with a password"]),
        ("env SECRET_KEY=x app", ["SECRET_KEY"]),
        ("gunicorn --keyfile /etc/x.key --certfile /etc/x.pem", []),
        ("app --password-file /etc/x --token $TOKEN", []),
        ("app SECRET_FILE=/run/x PASSWORD=/run/secrets/x", []),
        ("app http://127.0.0.1:8000/x@y", []),
        ("uvicorn main:app --ssl-keyfile k.pem --keep-alive 5", []),
    ],
)
def test_secrets_in_commands(command, found):
    assert leaks.in_words(command.split()) == found


def test_commands_are_shown_without_their_secrets():
    words = "app --env API_TOKEN=abc --password hunter2 postgresql://u:p@db/x --workers 4".split()
    shown = " ".join(leaks.without_secrets(words))
    assert shown == "app --env API_TOKEN=*** --password *** postgresql://***@db/x --workers 4"


def test_secrets_of_an_environment_file_are_told_by_name():
    text = '# c\nexport DB_PASSWORD="hunter2!"\nDEBUG=true\nURL=postgresql://u:secretpw@db/x\nPORT=8000\n'
    found = leaks.values(text)
    assert found["DB_PASSWORD"] == (2, "hunter2!")
    assert leaks.secret_names({name: value for name, (_line, value) in found.items()}) == ["DB_PASSWORD", "URL"]


def test_a_file_is_open_to_all_only_if_each_directory_above_is(tmp_path):
    path = tmp_path / "a" / ".env"
    path.parent.mkdir()
    path.write_text("x")
    path.chmod(0o600)
    assert not leaks.open_to_all(str(path))
    path.chmod(0o644)
    # Above it, pytest's own directories are closed to others.
    closed = any(not os.stat(above).st_mode & stat.S_IXOTH for above in path.parents)
    assert leaks.open_to_all(str(path)) != closed
    path.parent.chmod(0o700)
    assert not leaks.open_to_all(str(path))
    assert not leaks.open_to_all("/nowhere/.env")
    assert leaks.open_to_all("/etc/passwd")


def test_a_pipe_holds_nobody_back_and_a_link_may_be_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_bytes(b"ok\xff")
    (tmp_path / "link").symlink_to("file")
    assert read_text(str(tmp_path / "pipe")) == ""
    assert read_text(str(tmp_path)) == ""
    assert read_text("/dev/zero") == ""
    assert read_text(str(tmp_path / "link"), 2) == "ok"
    assert read_text(str(tmp_path / "link"), follow=False) == ""
    assert read_text("bad\0path") == ""


WORDS = st.lists(
    st.text(max_size=12) | st.sampled_from(["--bind", "-w", "-c", "=", "--password", "a:b", "-m"]), max_size=6
)


@given(WORDS, st.sampled_from(options.SERVERS))
def test_no_command_is_too_odd(words, kind):
    servers.recognise(words)
    servers.binds(servers.settings(kind, words, {}))
    leaks.in_words(words)
    assert len(leaks.without_secrets(words)) == len(words)


@given(st.text(alphabet="{}();,#\"'\\\n @/:ab=", max_size=60))
def test_no_file_is_too_odd(text):
    nginx.sites(nginx.parse(text, "x", strict=False))
    caddyfile.sites(caddyfile.lines(text, "x", strict=False))
    supervisord.parse(text, "x")
    units.own_environment(text)
    leaks.values(text)
    processes.parse_tcp(text)
    processes.parse_unix(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [("1min 30s", 90), ("5s", 5), ("infinity", None), ("", None), ("500ms", 0.5), ("0", 0), ("2h", 7200)],
)
def test_systemds_times(text, value):
    assert units.seconds(text) == value


def test_a_units_command_line_and_files():
    told = "{ path=/usr/bin/gunicorn ; argv[]=/usr/bin/gunicorn a:b --workers 4 ; ignore_errors=no ; start_time=[n/a] }"
    assert units.commands(told) == ["/usr/bin/gunicorn", "a:b", "--workers", "4"]
    unit = {"FragmentPath": "/a.service", "DropInPaths": "/b.conf", "EnvironmentFiles": "/srv/.env (ignore_errors=no)"}
    texts = {"/a.service": "[Service]\nTimeoutStopSec=5\nRestart=no\n", "/b.conf": "[Service]\n TimeoutStopSec = 9\n"}
    assert units.line_of(unit, "TimeoutStopSec", texts.get) == "/b.conf:2"
    assert units.line_of(unit, "Restart", texts.get) == "/a.service:3"
    assert units.line_of(unit, "KillMode", texts.get) == "/a.service"
    assert units.environment_files(unit) == ["/srv/.env"]
    assert units.own_environment('[Service]\nEnvironment=A=1 "B=two words"\n') == [(2, "A", "1"), (2, "B", "two words")]


@pytest.mark.parametrize(
    ("word", "restart"),
    [("True", "true"), ("TRUE", "true"), ("yes", "true"), ("On", "true"), ("1", "true"), ("Unexpected", "unexpected")]
    + [("False", "false"), ("no", "false"), ("OFF", "false"), ("0", "false")],
)
def test_supervisords_words_for_a_restart(word, restart):
    (program,) = supervisord.parse(f"[program:x]\ncommand=x\nautorestart={word}\n", "x")
    assert program.restart == restart
    app = Served("x", servers.settings("uvicorn", [], {}), program=program, supervisor="supervisord")
    host = Host(0, True, 1, "", 0)
    assert [each.id for each in stop_checks.comes_back(app, host)] == ["no-restart"] * (restart == "false")
