"""What a newcomer's host is like after ``site.yml`` with nothing but a name and a source; run again after a reboot."""

from __future__ import annotations

import json

import pytest

NAME = "hello"


@pytest.fixture
def slot(ask) -> str:
    """The live slot, once the app serves: after a reboot the host may still be booting."""
    ask.until("the app serves through Caddy", lambda: ask.get("/ready")[0] == 200)
    return ask.run(f"readlink /srv/{NAME}/live.sock").strip().removeprefix(f"/run/{NAME}/").removesuffix(".sock")


def test_the_app_is_served_with_its_release(ask, slot):
    status, body = ask.get("/")
    release = ask.run(f"basename $(readlink /srv/{NAME}/slots/{slot}/release)").strip()
    assert status == 200
    assert json.loads(body)["release"] == release
    assert json.loads(body)["slot"] == slot
    assert ask.get("/health") == (200, "ok")
    assert ask.get("/ready") == (200, "ready")
    assert ask.get("/items/7") == (200, '{"id":7}')


def test_workers_are_as_planned_and_run_as_the_deploy_user(ask, slot):
    cpus = int(ask.run("nproc"))
    arbiter = ask.show(f"{NAME}@{slot}.service", "MainPID")["MainPID"]
    workers = ask.run(f"pgrep -P {arbiter}").split()
    assert len(workers) == cpus
    users = ask.run(f"ps -o user= -p {','.join([arbiter, *workers])}").split()
    assert set(users) == {"deploy"}
    pids = {json.loads(ask.get("/")[1])["pid"] for _ in range(40)}
    assert pids <= {int(pid) for pid in workers}


def test_the_ladder_stands_in_the_running_units(ask, slot):
    service = ask.show(
        f"{NAME}@{slot}.service",
        *("TimeoutStopUSec", "KillMode", "OOMPolicy", "Restart", "MemoryMax", "MemoryHigh", "Type", "User"),
    )
    assert service["TimeoutStopUSec"] == "45s"
    assert service["KillMode"] == "control-group"
    assert service["OOMPolicy"] == "continue"
    assert service["Restart"] == "always"
    assert service["User"] == "deploy"
    assert service["MemoryHigh"] == "infinity"
    assert int(service["MemoryMax"]) < 2**40
    assert ask.show("caddy.service", "TimeoutStopUSec")["TimeoutStopUSec"] == "1min 40s"


def test_only_the_proxy_listens(ask, slot):
    rows = [line.split() for line in ask.run("ss -Htlnp").splitlines()]
    assert {(row[3].rsplit(":", 1)[1], row[5].split('"')[1]) for row in rows} == {("80", "caddy")}


def test_only_the_live_slot_runs_and_is_enabled(ask, slot):
    other = "green" if slot == "blue" else "blue"
    for suffix in ("service", "socket"):
        live, standby = f"{NAME}@{slot}.{suffix}", f"{NAME}@{other}.{suffix}"
        assert ask.show(live, "ActiveState", "UnitFileState") == {"ActiveState": "active", "UnitFileState": "enabled"}
        # A run doesn't wait until the slot that it left has finished its requests.
        ended = lambda unit=standby: ask.show(unit, "ActiveState")["ActiveState"] == "inactive"  # noqa: E731
        ask.until(f"{standby} has ended", ended)
        assert ask.show(standby, "UnitFileState")["UnitFileState"] == "disabled"
    assert ask.run("systemctl --failed --plain --no-legend --no-pager") == ""


def test_systemd_finds_nothing_to_say_about_the_units(ask, slot):
    result = ask.host.run(f"systemd-analyze verify {NAME}@{slot}.service {NAME}@{slot}.socket")
    ours = [line for line in (result.stdout + result.stderr).splitlines() if NAME in line]
    assert ours == []


def test_a_stop_lets_the_request_in_flight_finish(ask, slot):
    """An upload of 4 s is under way at a restart of the service: it gets its answer, and later requests wait."""
    stopped = len([line for line in ask.log(NAME, f"{NAME}@{slot}") if line.get("event") == "stopped"])
    ask.run("head -c 400000 /dev/urandom >/tmp/body")
    ask.run(
        "rm -f /tmp/answer; (curl -s -m 60 --limit-rate 100k -X POST --data-binary @/tmp/body -w '\\n%{http_code}' "
        "http://127.0.0.1/upload >/tmp/answer.part; mv /tmp/answer.part /tmp/answer) >/dev/null 2>&1 &"
    )
    ask.until("the upload is under way", lambda: ask.host.run("pgrep -x curl").rc == 0)
    ask.run("sleep 1")
    ask.run(f"systemctl restart {NAME}@{slot}.service")
    assert ask.get("/health") == (200, "ok")
    ask.until("the upload ended", lambda: ask.host.file("/tmp/answer").exists)
    body, status = ask.run("cat /tmp/answer").rsplit("\n", 1)
    assert (status, json.loads(body)["bytes"]) == ("200", 400000)
    digest = ask.run("sha256sum /tmp/body").split()[0]
    assert json.loads(body)["sha256"] == digest
    # The lifespan shutdown ran in every worker.
    workers = int(ask.run("nproc"))
    now = len([line for line in ask.log(NAME, f"{NAME}@{slot}") if line.get("event") == "stopped"])
    assert now - stopped == workers


def test_the_release_is_complete_and_not_the_services_to_write(ask, slot):
    directory = ask.run(f"readlink -f /srv/{NAME}/slots/{slot}/release").strip()
    record = json.loads(ask.run(f"cat {directory}/release.json"))
    assert directory.endswith(record["id"])
    assert {"gunicorn", "uvicorn", "fastapi"} <= set(record["packages"])
    assert ask.run(f"find {directory} -user deploy -o ! -type l -perm /o=rwx | head -3") == ""
    assert not [name for name in ask.run(f"ls -A /srv/{NAME}/releases").split() if name.startswith(".")]
    assert ask.host.run(f"runuser -u deploy -- touch {directory}/app/x").rc != 0
    assert ask.host.run("runuser -u deploy -- cat /srv/hello/environment").rc != 0


def test_logs_are_found_where_one_looks(ask, slot):
    ask.get("/items/4711")
    lines = ask.log(NAME, f"{NAME}@{slot}")
    assert any(line.get("event") == "item_fetch" and line.get("item_id") == 4711 for line in lines)
    assert any(line.get("path") == "/items/4711" and line.get("status") == 200 for line in lines)
    assert not any(line.get("path") in ("/health", "/ready") for line in lines)
    status = ask.run(f"systemctl status --no-pager -l {NAME}@{slot}.service")
    assert "4711" in status
    access = [json.loads(line) for line in ask.run(f"cat /var/log/caddy/{NAME}.access.log").splitlines()]
    assert any(line["request"]["uri"] == "/items/4711" and line["status"] == 200 for line in access)
    limits = ask.run(f"cat /etc/systemd/journald@{NAME}.conf")
    # And a file more, an eighth, while the oldest is removed: 500M together.
    assert f"SystemMaxUse={500 * 1024**2 * 7 // 8}" in limits
    assert "MaxRetentionSec=14d" in limits


def test_a_body_over_the_limit_is_refused_by_the_proxy(ask, slot):
    ask.run("head -c 11000000 /dev/zero >/tmp/large")
    assert ask.get("/upload", "http://127.0.0.1", "-X", "POST", "--data-binary", "@/tmp/large")[0] == 413
    ask.run("head -c 10000000 /dev/zero >/tmp/large")
    assert ask.get("/upload", "http://127.0.0.1", "-X", "POST", "--data-binary", "@/tmp/large")[0] == 200


def test_the_client_is_told_the_truth(ask, slot):
    """A forged X-Forwarded-For doesn't reach the access log as the client."""
    ask.get("/items/815", "http://127.0.0.1", "-H", "X-Forwarded-For: 6.6.6.6")
    lines = [line for line in ask.log(NAME, f"{NAME}@{slot}") if line.get("path") == "/items/815" and "client" in line]
    assert [line["client"].rsplit(":", 1)[0] for line in lines][-1:] == ["127.0.0.1"]


def test_no_user_of_the_host_can_rewrite_the_proxy(ask, slot):
    assert ask.host.run("curl -s -m 5 http://127.0.0.1:2019/config/").rc == 7
    assert ask.host.run("runuser -u deploy -- curl -s --unix-socket /run/caddy/admin.sock http://caddy/config/").rc == 7
    assert ask.run("curl -s --unix-socket /run/caddy/admin.sock http://caddy/config/").startswith("{")


def test_a_page_shows_what_runs_where(ask, slot, control, tmp_path):
    page, release = tmp_path / "status.html", ask.run(f"basename $(readlink /srv/{NAME}/slots/{slot}/release)").strip()
    status, said = control.run("status", "--check", fastapi_name=NAME, report=str(page))
    assert status == 0, said
    assert not page.exists()
    status, said = control.run("status", fastapi_name=NAME, report=str(page))
    assert status == 0, said
    text = page.read_text()
    assert f"with release {release}." in text
    assert "/ready answers" not in text
    assert '<td class="good">200 ready</td>' in text
    assert 'class="good" style="left:' in text
    assert str(page) in said
