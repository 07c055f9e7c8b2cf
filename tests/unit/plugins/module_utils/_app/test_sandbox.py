"""What stood in an app's way, read from its last lines, and what the variables of the sandbox may hold."""

from __future__ import annotations

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app.command import settings
from ansible_collections.graceful.deploy.plugins.module_utils._app.sandbox import hints
from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs import rules

TRACE = """Traceback (most recent call last):
  File "/srv/hello/releases/1/app/main.py", line 9, in <module>
    {line}
{error}
"""


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("OSError: [Errno 30] Read-only file system: '/var/lib/hello/x.db'", "_writable_paths: [/var/lib/hello]"),
        ("OSError: [Errno 30] Read-only file system: '/srv/hello/releases/1/var/up/x'", "_shared_paths: [var/up]"),
        # A file at the top, or beside the code, which a shared directory would hide.
        (
            "OSError: [Errno 30] Read-only file system: '/srv/hello/releases/1/x.log'",
            "_shared_paths: [x.log]",
        ),
        (
            "OSError: [Errno 30] Read-only file system: 'lock'",
            "_shared_paths: [data], and have the app keep lock in data/",
        ),
        (
            TRACE.format(line="open('app/x.db', 'w')", error="OSError: [Errno 30] Read-only file system: 'app/x.db'"),
            "_shared_paths: [app/x.db]",
        ),
        (
            TRACE.format(line="os.mkdir('app/logs')", error="OSError: [Errno 30] Read-only file system: 'app/logs'"),
            "_shared_paths: [app/logs]",
        ),
        ("OSError: [Errno 30] Read-only file system: 'uploads/1.jpg'", "_shared_paths: [uploads]"),
        ("# Fatal error in , line 0\n# Check failed: 12 == (*__errno_location ()) SetPermissions", "_allow_jit: true"),
        ("FATAL ERROR: v8::internal Fatal process out of memory: Failed to reserve memory", "_allow_jit: true"),
        ("MemoryError: Cannot allocate write+execute memory for ffi.callback().", "_allow_jit: true"),
        (
            "ImportError: /x/y.so: cannot enable executable stack as shared object requires: Operation not permitted",
            "jit",
        ),
        ("LLVM ERROR: Unable to allocate section memory!", "_allow_jit: true"),
        (
            "OSError: [Errno 1] error while attempting to bind on address ('0.0.0.0', 9100): operation not permitted",
            "_allow_listen: true",
        ),
        (
            TRACE.format(line="listener.bind(address)", error="PermissionError: [Errno 1] Operation not permitted"),
            "_allow_listen: true",
        ),
        ("OSError: [Errno 97] Address family not supported by protocol", "{RestrictAddressFamilies: "),
        ("RuntimeError: can't start new thread", "{TasksMax: "),
        (
            TRACE.format(line="pid = os.fork()", error="BlockingIOError: [Errno 11] Resource temporarily unavailable"),
            "{TasksMax: ",
        ),
        ("FileNotFoundError: [Errno 2] No such file or directory: '/dev/nvidia0'", "DeviceAllow: /dev/nvidia0 rw"),
        ("hello@blue.service ended (exit-code, status 226).", "fastapi_writable_paths"),
        ("hello@blue.service ended (exit-code, status 243).", "fastapi_credentials"),
        ("No such file or directory: '/run/credentials/hello@blue.service/key'", "make-rshared"),
        ("PermissionError: [Errno 1] Operation not permitted", "fastapi_sandbox lifts"),
    ],
)
def test_the_variable_that_lifts_it_is_named(said, hint):
    assert hint in hints(said, "/srv/hello"), hints(said, "/srv/hello")


@pytest.mark.parametrize(
    "said",
    [
        "ModuleNotFoundError: No module named 'numpy'",
        "FileNotFoundError: [Errno 2] No such file or directory: '/etc/hello.toml'",
        "ConnectionRefusedError: [Errno 111] Connect call failed ('127.0.0.1', 5432)",
        "PermissionError: [Errno 13] Permission denied: '/srv/other/x'",
        "OSError: [Errno 98] error while attempting to bind on address ('0.0.0.0', 80): address already in use",
        "hello@blue.service ended (exit-code, status 3).",
    ],
)
def test_what_is_not_the_sandboxs_fault_is_not_laid_at_its_door(said):
    assert hints(said, "/srv/hello") == ""


def test_a_unit_without_a_sandbox_gives_none():
    assert settings("[Service]\nType=notify\nUser=x\nMemoryMax=1G\n", "/srv/hello/slots/.blue-1") == []


@pytest.mark.parametrize(
    ("rule", "value", "word"),
    [
        (rules.writable_paths, "/var/lib/hello", "list"),
        (rules.writable_paths, ["var/lib"], "absolute"),
        (rules.writable_paths, ["/var/lib/a b"], "blank"),
        (rules.writable_paths, ["/etc"], "take the host"),
        (rules.writable_paths, ["/home/me/data"], "hidden"),
        (rules.sandbox, ["TasksMax=1"], "mapping"),
        (rules.sandbox, {"ExecStartPre": "/bin/evil"}, "no setting"),
        (rules.sandbox, {"User": "root"}, "no setting"),
        (rules.sandbox, {"TasksMax": "1\nExecStartPre=/bin/evil"}, "one line"),
        (rules.sandbox, {"TasksMax": "1 \\"}, "one line"),
        (rules.sandbox, {"DeviceAllow": [None]}, "one line"),
        (rules.credentials, "canary", "mapping"),
        (rules.credentials, {"canary/../x": "y"}, "name in it"),
        (rules.credentials, {"key": ""}, "not empty"),
        (rules.credentials, {"key": 5}, "text"),
        (rules.credentials, {"key": "canary" * 200_000}, "bytes"),
    ],
)
def test_what_is_refused(rule, value, word):
    problem = rule("x", value)
    assert word in problem.sentence
    assert "canary" not in problem.sentence


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        (rules.writable_paths, ["/var/lib/hello", "/mnt/data"]),
        (rules.sandbox, {"TasksMax": 4000, "PrivateDevices": False, "DeviceAllow": ["/dev/a rw"], "LimitNOFILE": 9}),
        (rules.credentials, {"key.pem": "-----BEGIN\nx\n"}),
    ],
)
def test_what_is_taken(rule, value):
    assert rule("x", value) is None
