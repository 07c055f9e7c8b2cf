# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._oxmgr.foreign import FOREIGN, WITHOUT
from ansible_collections.graceful.deploy.plugins.module_utils._oxmgr.keys import (
    FOR_EVER,
    KEYS,
    KINDS,
    mebibytes,
    seconds,
    written,
)
from ansible_collections.graceful.deploy.plugins.module_utils._oxmgr.oxfile import Finding, read
from hypothesis import example, given
from hypothesis import strategies as st

GOOD = f"""
[[apps]]
name = "api"
command = "/srv/api/.venv/bin/gunicorn app.main:app -k uvicorn_worker.UvicornWorker --graceful-timeout 30"
cwd = "/srv/api"
restart_policy = "always"
max_restarts = {FOR_EVER}
stop_signal = "SIGINT"
stop_timeout_secs = 35
"""
# Word for word what the post has, but for the length of its command.
ARTICLE = """# oxfile.toml
[processes.api]
command = "./.venv/bin/gunicorn app.main:app --worker-class uvicorn.workers.UvicornWorker --graceful-timeout 30"
cwd = "/srv/myapi"
env_file = ".env"
restart = "on-failure"
stop_signal = "SIGTERM"
stop_timeout = "45s"

[processes.api.health]
type = "http"
url = "http://127.0.0.1:8000/health"
interval = "10s"

[processes.api.limits]
memory = "1G"
"""
HALF = ARTICLE.replace("[processes.api]", '[[apps]]\nname = "api"').replace("[processes.api.", "[apps.")
BLOG = """
[[apps]]
name = "api"
command = "gunicorn app:app"
working_dir = "/srv/api"
restart_on_exit = true
stop_timeout_ms = 12500
user = "deploy"
max_restarts = 0
health_check = { endpoint = "/health", interval = 10, retries = 5 }
limits = { memory_mb = 512 }
webhook = { secret = "s3cr3t" }
"""
SCHEMA = os.environ.get("OXMGR_SCHEMA", "")


def serious(text: str) -> list[Finding]:
    return [found for found in read(text)[1] if found.serious]


def with_line(line: str) -> str:
    """The good app with one more key, or with another value of one that it has."""
    key = line.split("=")[0].strip()
    return "\n".join(old for old in GOOD.splitlines() if old.split("=")[0].strip() != key) + f"\n{line}\n"


def only(text: str, is_serious: bool = True) -> Finding:
    (found,) = read(text)[1]
    assert found.serious == is_serious, found.sentence
    return found


def test_a_good_file_has_nothing_to_say_of():
    (app,), found = read(GOOD)
    assert found == []
    assert (app.name, app.signal, app.stop_timeout, app.graceful_timeout) == ("api", "SIGINT", 35, 30)
    assert app.argv[0] == "/srv/api/.venv/bin/gunicorn"
    assert app.values["health_interval_secs"] == 30
    assert set(app.values) == set(KEYS)


def test_the_post_s_file_is_translated_key_by_key():
    (app,), found = read(ARTICLE)
    says = {one.key: one.sentence for one in found if one.serious}
    assert list(says) == ["api", "api.env_file", "api.restart", "api.stop_timeout", "api.health", "api.limits"]
    assert says["api"].startswith("oxfile.toml:2: no version of Oxmgr reads [processes.api]")
    assert 'Write [[apps]], and below it name = "api".' in says["api"]
    assert "the app starts without these variables" in says["api.env_file"]
    assert "set -a; . ./.env; exec COMMAND" in says["api.env_file"]
    assert says["api.restart"].endswith('Write restart_policy = "on_failure".')
    assert "Write stop_timeout_secs = 45. With SIGTERM Oxmgr waits 15 s at most." in says["api.stop_timeout"]
    assert 'health_cmd = "curl -fsS -m 5 http://127.0.0.1:8000/health", health_interval_secs = 10' in says["api.health"]
    assert "Write max_memory_mb = 1024. It looks at the command's first process alone" in says["api.limits"]
    assert says["api.limits"].startswith("oxfile.toml:15: ")
    # What follows, the ladder for one, goes by what was meant.
    assert (app.signal, app.stop_timeout, app.values["restart_policy"]) == ("SIGTERM", 45, "on_failure")


def test_the_half_converted_file_to_which_validate_says_ok():
    says = {one.key: one.sentence for one in serious(HALF)}
    assert list(says) == ["api.env_file", "api.restart", "api.stop_timeout", "api.health", "api.limits"]
    assert says["api.stop_timeout"].startswith("oxfile.toml:9: stop_timeout of api is no key of Oxmgr's")


def test_the_vendors_blog():
    (app,), found = read(BLOG)
    says = {one.key: one.sentence for one in found}
    assert 'Write cwd = "/srv/api".' in says["api.working_dir"]
    assert 'Write restart_policy = "always".' in says["api.restart_on_exit"]
    assert "Write stop_timeout_secs = 13." in says["api.stop_timeout_ms"]
    assert "setpriv --reuid deploy" in says["api.user"]
    assert f"Write max_restarts = {FOR_EVER}." in says["api.max_restarts"]
    assert "http://127.0.0.1:8000/health" in says["api.health_check"]
    assert "health_max_failures = 5" in says["api.health_check"]
    assert "Write max_memory_mb = 512." in says["api.limits"]
    assert "pull_secret" in says["api.webhook"]
    assert "s3cr3t" not in str(found)
    assert (app.values["cwd"], app.stop_timeout) == ("/srv/api", 13)


def test_toml_that_isn_t_names_its_line():
    assert read("[[apps]]\nname = api\n")[0] == []
    assert only("[[apps]]\nname = api\n").sentence.startswith("oxfile.toml:2: this isn't TOML (Invalid value).")
    assert read("x = 1\nx = 2", "ox/oxfile.toml")[1][0].sentence.startswith("ox/oxfile.toml:2: ")


@pytest.mark.parametrize("text", ["", "version = 1", "apps = []", "[deploy.prod]\nhost = 'x'"])
def test_a_file_without_apps(text):
    assert "there is no app in it" in only(text).sentence


@pytest.mark.parametrize(
    ("line", "key", "says", "passing"),
    [
        ('name = "hello@blue"', "hello@blue.name", 'Write name = "hello-blue".', "hello-blue"),
        ('name = "all"', "all.name", "the word for all apps", "api"),
        ('restart_polcy = "always"', "api.restart_polcy", "Write restart_policy, if you mean that.", None),
        ("frobnicate = 1", "api.frobnicate", "Take it out.", None),
        ('stop_timeout_secs = "45s"', "api.stop_timeout_secs", "Write stop_timeout_secs = 45.", 45),
        ("stop_timeout_secs = -1", "api.stop_timeout_secs", "0 or more", None),
        ("stop_timeout_secs = 0", "api.stop_timeout_secs", "Write stop_timeout_secs = 1 or more.", 1),
        ("max_restarts = 4294967296", "api.max_restarts", "from 0 to 4294967295", None),
        ("max_restarts = 0", "api.max_restarts", "never and not for ever", FOR_EVER),
        ('unified_logs = "true"', "api.unified_logs", "Write unified_logs = true.", True),
        ('restart_policy = "sometimes"', "api.restart_policy", "always, on_failure or never", None),
        ('restart_policy = "unless-stopped"', "api.restart_policy", 'Write restart_policy = "always".', "always"),
        ('ignore_watch = "db"', "api.ignore_watch", 'Write ignore_watch = ["db"].', ["db"]),
        ('stop_signal = "SIGSTOP"', "api.stop_signal", "takes for SIGTERM without a word", "SIGTERM"),
        ('stop_signal = "QUIT"', "api.stop_signal", "without a lifespan shutdown", "SIGINT"),
        ('stop_signal = "SIGHUP"', "api.stop_signal", "doesn't end", "SIGINT"),
        ('stop_signal = "SIGKILL"', "api.stop_signal", "cut at once", "SIGINT"),
        ('command = "cd /srv && gunicorn a:b"', "api.command", "has &&, a shell's word", None),
        ('command = "source x"', "api.command", "has source, a shell's word", None),
        ('command = "gunicorn a:b -b $HOST"', "api.command", "has $HOST, which stays as it is", None),
        ('command = "gunicorn \'a:b"', "api.command", "a quote isn't closed", None),
        ('command = ""', "api.command", "api has no command", None),
        ('health_cmd = "curl x | grep ok"', "api.health_cmd", "has |, a shell's word", None),
        ("health_interval_secs = 10", "api.health_interval_secs", "nothing is asked", None),
        ("wait_ready = true", "api.wait_ready", "Oxmgr refuses it", None),
        ('cron_restart = "0 4 * * *"', "api.cron_restart", 'Write cron_restart = "0 0 4 * * *".', "0 0 4 * * *"),
        (
            'log_date_format = "%Y %Q"',
            "api.log_date_format",
            'has "%Q", which ends the whole daemon',
            "%Y-%m-%dT%H:%M:%S%z",
        ),
        ('log_date_format = "%Y %"', "api.log_date_format", 'has "%"', "%Y-%m-%dT%H:%M:%S%z"),
        ("cluster_mode = true", "api.cluster_mode", "Node.js", False),
        ("instances = 2", "api.instances", "--workers", 1),
        ('env = { A = "süß" }', "api.env.A", "two each", None),
        ("env = { PORT = 8000 }", "api.env.PORT", "Write its value in quotes", None),
        ('cwd = "/srv/ü"', "api.cwd", "two each", None),
        ('logs = { stdot = "/x" }', "api.logs.stdot", "Write one of stdout, stderr, combined", None),
        ("profiles = { prod = { comand = 1 } }", "api.profiles.prod.comand", "is no key", None),
        ('profiles = { prod = { command = "x" } }', "api.profiles.prod.command", "only in [[apps]]", None),
        ("cron = 5", "api.cron", "systemd timer", None),
    ],
)
def test_what_oxmgr_refuses_or_does_otherwise(line, key, says, passing):
    (found,) = serious(with_line(line))
    assert (found.key, found.passing) == (key, passing)
    assert says in found.sentence
    assert found.sentence.startswith("oxfile.toml:")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('stop_signal = "TERM"', "api has 15 s to stop and not 35"),
        ('stop_signal = "SIGUSR2"', "starts itself a second time"),
        ("max_restarts = 10", "restarted 10 times in its life"),
        ("max_memory_mb = 512", "the arbiter"),
        ("reuse_port = true", "--reuse-port"),
        ('cron_restart = "0 0 4 * * *"', "by UTC"),
        ('env = { A = "p$x" }', "Write $$ for a $"),
        ('env = { A = "~/x" }', "Write the path from /"),
        ('cwd = "app"', "Write the path from /"),
        ('cwd = "$HOME/app"', "Write $$ for a $"),
    ],
)
def test_what_is_only_worth_knowing(line, says):
    assert says in only(with_line(line), is_serious=False).sentence


@pytest.mark.parametrize(
    "line",
    [
        'stop_signal = "sigint"',
        'env = { A = "a$$b", B = "$5", C = "a$", D = "a~b" }',
        'restart_policy = "on-failure"',
        "command = \"/bin/sh -c 'set -a; . ./.env; exec gunicorn a:b -b $HOST'\"",
        'log_date_format = "%Y-%m-%d %H:%M:%S%.3f %:z %-d %%"',
        'cron_restart = "@daily"',
        "watch = ['a']",
        "profiles = { prod = { instances = 1, disabled = true } }",
        'logs = { stdout = "/var/log/x" }',
        "max_cpu_percent = 0.0",
        "max_cpu_percent = -1.0",
    ],
)
def test_what_is_as_it_looks(line):
    assert read(with_line(line))[1] == []


# Each was given to a daemon of 0.5.0 of its own, which lived or was gone after the app's first line.
@pytest.mark.parametrize(
    "form",
    [
        "%Y-%m-%dT%H:%M:%S%z",
        "%q %s%t%n",
        "%+ %c %.3f %3f %-d %_H %:z %::z %:::z",
        "%R %T %r %X %x %F %v %D %Z",
        "%f %.f %.6f %9f %.9f %-H",
        "%C %y %h %e %a %A %w %u %U %W %G %g %V %j %k %I %l %P %p %B %b",
        "plain",
    ],
)
def test_a_form_of_dates_that_the_daemon_survives(form):
    assert read(with_line(f'log_date_format = "{form}"'))[1] == []


@pytest.mark.parametrize("form", ["%#z", "%Q", "%E", "%-", "%5Y", "%.2f", "%:", "%"])
def test_a_form_of_dates_that_ends_the_daemon(form):
    (found,) = serious(with_line(f'log_date_format = "{form}"'))
    assert "ends the whole daemon" in found.sentence


def test_a_value_of_the_defaults_counts_and_is_named_where_it_is():
    text = '[defaults]\nstop_signal = "SIGSTOP"\nname = "x"\n' + GOOD.replace('stop_signal = "SIGINT"', "")
    name, signal = serious(text)
    assert name.sentence == "oxfile.toml:3: name isn't read in defaults, only in [[apps]]. Write it there."
    assert signal.sentence.startswith('oxfile.toml:2: stop_signal of api is "SIGSTOP"')


def test_two_apps_of_one_name_and_one_that_isn_t_there():
    second = GOOD.replace("35", '35\ndepends_on = ["api", "db"]')
    keys = [found.key for found in serious(GOOD + second)]
    assert keys == ["api.name", "api.name", "api.depends_on"]


def test_one_table_in_place_of_several():
    (app,), found = read(GOOD.replace("[[apps]]", "[apps]"))
    assert app.name == "api"
    assert [one.sentence for one in found] == [
        "oxfile.toml:2: [apps] is one table, and Oxmgr refuses the file. Write [[apps]]."
    ]
    assert [one.key for one in serious("defaults = 5\n" + GOOD)] == ["defaults"]


def test_what_stands_at_the_top_and_isn_t_read():
    text = "version = 2\n[default]\nx = 1\n" + GOOD
    assert [found.key for found in serious(text)] == ["version", "default"]
    assert "Write defaults, if you mean that." in serious(text)[1].sentence


def test_every_foreign_key_has_something_to_write():
    assert set(WITHOUT) <= set(FOREIGN)
    assert not set(FOREIGN) & set(KEYS)
    for key, meant in FOREIGN.items():
        for value in ("45s", "/x", 5, True, {}, {"url": "/x", "memory": "1G"}, [], None):
            told = meant(value)
            assert told.advice or told.keys, key
            assert set(told.keys) <= set(KEYS), key


@pytest.mark.parametrize(
    ("value", "unit", "number"),
    [
        ("45s", "s", 45),
        (45, "s", 45),
        ("2m", "s", 120),
        ("1500ms", "s", 2),
        (1500, "ms", 2),
        ("x", "s", None),
        (True, "s", None),
    ],
)
def test_seconds(value, unit, number):
    assert seconds(value, unit) == number


@pytest.mark.parametrize(
    ("value", "number"),
    [("1G", 1024), ("512MiB", 512), ("1gb", 1024), (512, 512), ("1k", 1), ("x", None), (True, None)],
)
def test_mebibytes(value, number):
    assert mebibytes(value) == number


TEXT = st.text("aZ0/~$%&|;. \"'\\#ü🦀\n", max_size=6)
VALUES = (
    TEXT
    | st.booleans()
    | st.integers(-2, 2**33)
    | st.sampled_from(("45s", "true", "SIGTERM", "TERM", "always", "0 4 * * *", "%Q", "all", 0.5))
    | st.lists(TEXT, max_size=2)
)
APPS = st.dictionaries(st.sampled_from((*KEYS, *FOREIGN, "nonsense")), VALUES, max_size=6)


def render(app: dict) -> str:
    return "[[apps]]\n" + "".join(f"{key} = {written(value)}\n" for key, value in app.items())


@given(APPS)
@example({"max_memory_mb": ""})
def test_whatever_stands_there_is_read_to_values_of_the_right_type(app):
    apps, found = read(render(app))
    for one in found:
        assert "\n" not in one.sentence
        assert one.sentence.startswith("oxfile.toml")
        assert one.sentence.endswith(".")
    (got,) = apps
    for key, known in KEYS.items():
        assert got.values[key] == known.default or KINDS[known.kind].fits(got.values[key])
    assert got.stop_timeout >= 1
    assert got.signal.startswith("SIG")


@given(APPS)
def test_every_proposal_applied_passes(app):
    for _round in range(3):
        proposed = {
            found.key.rpartition(".")[2]: found.passing for found in serious(render(app)) if found.passing is not None
        }
        if not proposed:
            break
        app = {**app, **proposed}
    assert not [found for found in serious(render(app)) if found.passing is not None]


@given(st.text("[]=\"'.\n apsnme12{}#ü", max_size=40))
def test_no_text_breaks_the_reading(text):
    apps, found = read(text)
    assert apps or found


@pytest.mark.skipif(not SCHEMA, reason="OXMGR_SCHEMA names no file: Oxmgr's oxfile.schema.json")
def test_the_table_of_keys_is_the_schemas():
    """The schema lacks three that the code takes."""
    definitions = json.loads(Path(SCHEMA).read_text())["definitions"]
    unlisted = {"cron_restart", "log_date_format", "logs"}
    assert set(definitions["app"]["properties"]) | unlisted == set(KEYS)
    assert set(definitions["defaults"]["properties"]) | unlisted == set(KEYS) - {
        "name",
        "command",
        "profiles",
        "disabled",
    }
    assert set(definitions["profile"]["properties"]) | unlisted == set(KEYS) - {"name", "command", "profiles"}
