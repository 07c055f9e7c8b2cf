# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Commands of servers, and the files and scripts that they are told by."""

from __future__ import annotations

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._audit import servers
from ansible_collections.graceful.deploy.plugins.module_utils._audit.servers import Value, binds, recognise, settings


@pytest.mark.parametrize(
    ("command", "kind", "words"),
    [
        ("/srv/a/.venv/bin/gunicorn app:app", "gunicorn", ["app:app"]),
        ("/srv/a/.venv/bin/python /srv/a/.venv/bin/gunicorn app:app", "gunicorn", ["app:app"]),
        ("python3 -m gunicorn -c x.py", "gunicorn", ["-c", "x.py"]),
        ("/usr/bin/python3.11 -u -X dev -m uvicorn main:app", "uvicorn", ["main:app"]),
        ("uvicorn main:app --reload", "uvicorn", ["main:app", "--reload"]),
        ("/venv/bin/python /venv/bin/fastapi run main.py", "fastapi", ["run", "main.py"]),
        ("hypercorn app:app", "hypercorn", ["app:app"]),
        ("granian --interface asgi app:app", "granian", ["--interface", "asgi", "app:app"]),
        ("gunicorn: master [app.main:app]", "gunicorn", ["app.main:app"]),
        ("python /srv/a/main.py --x", "python", ["/srv/a/main.py", "--x"]),
    ],
)
def test_servers_are_told_by_their_commands(command, kind, words):
    assert recognise(command.split()) == (kind, words)


@pytest.mark.parametrize(
    "command",
    [
        "/bin/sh -c gunicorn app:app",
        "vim gunicorn.conf.py",
        "grep uvicorn",
        "python3 -c import_gunicorn",
        "fastapi --version",
        "python3",
        "nginx: master process /usr/sbin/nginx",
        "gunicorn: worker [app.main:app]",
    ],
)
def test_what_only_names_one_is_none(command):
    assert recognise(command.split()) is None


def test_options_in_each_of_their_forms():
    found = servers.parse_words(
        "gunicorn", "-w4 --bind=unix:/a --bind 127.0.0.1:1 -k x.Y -t 60 --reload app.main:app".split()
    )
    assert {name: value.value for name, value in found.items()} == {
        "workers": "4",
        "bind": ["unix:/a", "127.0.0.1:1"],
        "worker_class": "x.Y",
        "timeout": "60",
        "reload": True,
        "app": "app.main:app",
    }


def test_an_unknown_option_doesnt_take_the_app():
    assert (
        servers.parse_words("gunicorn", ["--statsd-host", "localhost", "app.main:app"])["app"].value == "app.main:app"
    )
    assert servers.parse_words("uvicorn", ["--proxy-headers", "app.main:app"])["app"].value == "app.main:app"


CONFIG = """
import multiprocessing
bind = "unix:/run/a.sock"
workers = multiprocessing.cpu_count() * 2 + 1
timeout: int = 120
graceful_timeout = 20
"""


def test_gunicorns_file_is_read_and_not_run():
    found, unknown = servers.parse_config(CONFIG, "/srv/gunicorn.conf.py")
    assert found == {
        "bind": Value(["unix:/run/a.sock"], "/srv/gunicorn.conf.py:3"),
        "timeout": Value(120, "/srv/gunicorn.conf.py:5"),
        "graceful_timeout": Value(20, "/srv/gunicorn.conf.py:6"),
    }
    assert unknown == ["workers"]


def test_the_command_wins_over_the_environment_and_that_over_the_file():
    config = {"workers": Value(1, "f:1"), "timeout": Value(2, "f:2"), "graceful_timeout": Value(3, "f:3")}
    environ = {"GUNICORN_CMD_ARGS": "--timeout 20 --workers 10", "WEB_CONCURRENCY": "7"}
    told = settings("gunicorn", ["app:app", "--workers", "5"], environ, config)
    assert [(told.get(name), told.where(name)) for name in ("workers", "timeout", "graceful_timeout", "keepalive")] == [
        ("5", "command"),
        ("20", "GUNICORN_CMD_ARGS"),
        (3, "f:3"),
        (2, "default"),
    ]
    assert settings("gunicorn", [], {"WEB_CONCURRENCY": "7"}).get("workers") == 7
    assert settings("uvicorn", [], {"UVICORN_HOST": "0.0.0.0"}).get("host") == "0.0.0.0"


@pytest.mark.parametrize(
    ("command", "places"),
    [
        ("gunicorn a:b", ["127.0.0.1:8000"]),
        ("gunicorn a:b --bind 0.0.0.0", ["0.0.0.0:8000"]),
        ("gunicorn a:b -b unix:/x -b :9000", ["unix:/x", ":9000"]),
        ("uvicorn a:b", ["127.0.0.1:8000"]),
        ("uvicorn a:b --uds /x", ["unix:/x"]),
        ("uvicorn a:b --fd 3", []),
        ("fastapi run", ["0.0.0.0:8000"]),
        ("fastapi dev --port 9", ["127.0.0.1:9"]),
    ],
)
def test_where_a_server_listens(command, places):
    kind, words = recognise(command.split())
    assert binds(settings(kind, words, {})) == places


def test_fastapi_dev_reloads_and_run_does_not():
    assert settings("fastapi", ["dev", "main.py"], {}).get("reload")
    assert not settings("fastapi", ["run", "main.py"], {}).get("reload")


def test_a_script_that_runs_uvicorn_itself():
    told = servers.parse_script(
        'import uvicorn\napp = 1\nuvicorn.run("main:app", host="0.0.0.0",\n reload=True)\n', "/srv/main.py"
    )
    assert (told.kind, told.get("app"), told.get("host"), told.get("reload")) == (
        "uvicorn",
        "main:app",
        "0.0.0.0",
        True,
    )
    assert told.where("reload") == "/srv/main.py:4"
    assert servers.parse_script("print(1)", "x") is None
    assert servers.parse_script("uvicorn.run(", "x") is None
