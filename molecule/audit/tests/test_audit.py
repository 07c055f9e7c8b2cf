"""Each fault that plant.sh has planted is found, by its id and place; none is invented on an app that has none."""

from __future__ import annotations

import pytest

MAIN, DB = "/srv/shop/app/main.py:", "/srv/shop/app/db.py:"
SITE, UNIT = "/etc/nginx/sites-enabled/shop:", "/etc/systemd/system/shop.service"
# Id, app, how the place begins, and a word of what was seen.
PLANTED = [
    ("uvicorn-alone", "alone", "pid ", "one process"),
    ("reload-in-production", "alone", "pid ", "watches"),
    ("runs-as-root", "alone", "pid ", "root"),
    ("secrets-readable", "alone", "/etc/systemd/system/alone.service:3", "PAYMENT_SECRET"),
    ("listens-beside-proxy", "alone", "pid ", "0.0.0.0:8001"),
    ("graceful-unbounded", "alone", "pid ", "without a limit"),
    ("no-health", "alone", "pid ", "/healthz"),
    ("no-readiness", "alone", "pid ", "/readyz"),
    ("upstream-keepalive", "alone", "/etc/caddy/Caddyfile:5", "120 s (its default)"),
    ("no-body-limit", "alone", "/etc/caddy/Caddyfile:5", "any size"),
    ("too-many-workers", "shop", "pid ", "2 x CPUs + 1"),
    ("pool-exceeds-database", "shop", f"{DB}9", "/etc/postgresql/15/main/postgresql.conf:2 says 100"),
    ("deprecated-worker", "shop", "pid ", "uvicorn.workers"),
    ("stop-before-graceful", "shop", f"{UNIT}:8", "10 s"),
    ("kill-mode", "shop", f"{UNIT}:9", "KillMode=process"),
    ("no-restart", "shop", UNIT, "isn't started again"),
    ("not-enabled", "shop", UNIT, "static"),
    ("no-memory-limit", "shop", "pid ", "Nothing limits"),
    ("proxy-timeout-short", "shop", f"{SITE}15", "60 s (its default)"),
    ("upstream-keepalive", "shop", f"{SITE}3", "60 s"),
    ("no-body-limit", "shop", f"{SITE}15", "any size"),
    ("certificate-ends", "shop", f"{SITE}8", "5 day(s)"),
    ("certificate-not-renewed", "shop", f"{SITE}8", "no timer"),
    ("secrets-readable", "shop", "/srv/shop/.env:1", "DATABASE_PASSWORD"),
    ("secrets-in-command", "shop", "pid ", "API_TOKEN"),
    ("code-writable", "shop", "/srv/shop/app", "its own user"),
    ("log-unbounded", "shop", "/var/log/shop/error.log", "logrotate"),
    ("disk-fills", "shop", "/var/log/shop/error.log", "a day"),
    ("same-health", "shop", f"{MAIN}", "one function"),
    ("readiness-asks-nothing", "shop", f"{MAIN}", "/ready asks nothing"),
    ("memory-shared-by-none", "shop", f"{MAIN}", "carts"),
    ("sync-call-in-async", "shop", f"{MAIN}", "time.sleep()"),
    ("sync-call-in-async", "shop", f"{MAIN}", "requests.get()"),
    ("sync-call-in-async", "shop", f"{MAIN}", "subprocess.run()"),
    ("sync-call-in-async", "shop", f"{MAIN}", "db.query()"),
    ("sync-call-in-async", "shop", f"{MAIN}", "open()"),
    ("secret-default", "shop", f"{DB}8", "SECRET_KEY"),
    ("no-lifespan-shutdown", "shop", f"{DB}9", "no lifespan"),
    ("pool-at-import", "shop", f"{DB}10", "psycopg2.connect()"),
    ("no-proxy", "leaky", "pid ", "0.0.0.0:8002"),
    ("oom-kills", "leaky", "leaky.service", "killed"),
    ("workers-exceed-memory", "tight", "pid ", "MemoryMax= of tight.service"),
    ("restart-loop", "looping", "looping.service", "times"),
    ("stop-before-graceful", "told", "/etc/supervisor/conf.d/told.conf:5", "5 s"),
    ("no-restart", "told", "/etc/supervisor/conf.d/told.conf:6", "false"),
    ("proxy-stops-early", "told", "/", "5 s"),
    ("no-restart", "byhand", "pid ", "No supervisor"),
    ("shared-user", "shop", "pid ", "as told does"),
]


@pytest.mark.core
@pytest.mark.parametrize(
    ("check", "app", "where", "word"), PLANTED, ids=[f"{row[0]}-{row[1]}-{row[3]}" for row in PLANTED]
)
def test_a_planted_fault_is_found_where_it_is(told, check, app, where, word):
    same = [finding for finding in told.of(app) if finding["id"] == check]
    assert [f for f in same if f["where"].startswith(where) and word in f["seen"]], same or told.of(app)


@pytest.mark.core
def test_none_is_invented_on_a_clean_app(told):
    assert {app["name"] for app in told.answer["apps"]} >= {"clean"}
    assert told.of("clean") == []


@pytest.mark.core
def test_no_secret_is_shown(told):
    for secret in (
        "hunter2-of-the-shop",
        "pay-8d7c6b5a4f3e",
        "tok-4f9a8b7c6d5e",
        "correct-horse-battery",
        "change-me-1234",
    ):
        assert secret not in told.text
        assert secret not in str(told.answer)


@pytest.mark.core
def test_nothing_is_changed(told):
    assert told.changed == set()


def test_no_check_met_what_it_does_not_know(told):
    assert [f for f in told.findings if "doesn't know" in f["seen"]] == []


def test_each_app_is_told_with_what_runs_it_and_what_leads_to_it(told):
    rows = {app["name"].split("-")[0]: app for app in told.answer["apps"]}
    assert set(rows) == {"alone", "byhand", "clean", "leaky", "looping", "shop", "tight", "told"}
    seen = {
        name: (row["server"], row["supervisor"], *{site["proxy"] for site in row["sites"]})
        for name, row in rows.items()
    }
    assert seen["alone"] == ("uvicorn", "systemd", "caddy")
    assert seen["told"] == ("gunicorn", "supervisord", "caddy")
    assert seen["shop"] == ("gunicorn", "systemd", "nginx")
    assert seen["byhand"] == ("uvicorn", "")
    assert rows["clean"]["listens"] == ["unix:/run/clean/app.sock"]
    assert rows["clean"]["answers"] == {"/health": "200 ok", "/ready": "200 ready"}
    # What only the control node needed.
    assert not {"files", "variables"} & set(rows["clean"])


def test_one_app_alone_can_be_asked_for(ask_for):
    told = ask_for(fastapi_name="clean")
    assert [app["name"] for app in told.answer["apps"]] == ["clean"]
    # The others are told by name, and as many.
    others = told.answer["others"]
    assert {"shop", "leaky"} <= set(others) and f"1 app of {len(others) + 1};" in told.text
    assert {finding["app"] for finding in told.findings} <= {""}
    assert [f for f in told.findings if f["severity"] != "info"] == []


def test_the_source_of_the_control_node_is_read_in_place_of_the_hosts(ask_for, tmp_path):
    source = tmp_path / "source"
    (source / "app").mkdir(parents=True)
    (source / "app" / "main.py").write_text(
        "import time\nfrom fastapi import FastAPI\n\napp = FastAPI()\n\n"
        "@app.get('/')\nasync def index():\n    time.sleep(1)\n"
    )
    told = ask_for(fastapi_name="shop", fastapi_source=str(source))
    places = [finding["where"] for finding in told.findings if finding["id"] == "sync-call-in-async"]
    assert places == [f"{source}/app/main.py:8"]


@pytest.mark.parametrize(
    ("name", "fail_on", "fails"), [("alone", "high", True), ("clean", "low", False), ("", "medium", True)]
)
def test_the_exit_status_tells(control, name, fail_on, fails):
    status, said = control.run("audit", fastapi_name=name, fail_on=fail_on)
    assert (status != 0) == fails, said
    # All was shown before.
    assert "Write:" in said or not fails


def test_without_root_it_says_what_it_could_not_see(ask_for):
    told = ask_for(ansible_become_user="nobody")
    unseen = [finding for finding in told.findings if finding["id"] == "not-looked-at"]
    assert any("wasn't run as root" in finding["seen"] for finding in unseen)
    # What everybody may see is found all the same.
    assert {"reload-in-production", "stop-before-graceful", "secrets-readable"} <= {f["id"] for f in told.findings}
    assert "runs-as-root" in {f["id"] for f in told.of("alone")}


def test_other_words_for_severity_are_refused(control):
    status, said = control.run("audit", fail_on="hihg")
    assert status != 0
    assert "value of fail_on must be one of" in said
