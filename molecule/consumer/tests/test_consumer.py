"""Two apps on one host from somebody else's playbook: each as its variables say, and neither sees the other."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor

from conftest import ROOT, said_by

MAIL = "http://127.0.0.1:8080"
SHOP = ("https://shop.test", "--insecure", "--resolve", "shop.test:443:127.0.0.1")
AWKWARD = "  \"it's\" `quoted` $HOME ${x} $(id) %h %% # no comment; \\ \\\\ \\n 'ünï' = end  "


def service(ask, name: str) -> str:
    """The unit of the app's live slot."""
    root = "/opt" if name == "mail_api" else "/srv"
    slot = ask.run(f"readlink {root}/{name}/live.sock").strip().removeprefix(f"/run/{name}/").removesuffix(".sock")
    return f"{name}@{slot}.service"


def environment_of(ask, name: str) -> dict[str, str]:
    """What a worker of the app really has, asked of the kernel."""
    arbiter = ask.show(service(ask, name), "MainPID")["MainPID"]
    worker = ask.run(f"pgrep -P {arbiter}").split()[0]
    text = ask.run(f"tr '\\0' '\\n' </proc/{worker}/environ")
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def test_each_is_served_at_its_own_door(ask):
    status, body = ask.get("/", *SHOP)
    assert (status, json.loads(body)["name"]) == (200, "shop")
    assert ask.get("/alive", MAIL) == (200, "able")
    assert ask.get("/", "http://127.0.0.1", "-H", "Host: www.shop.test")[0] == 308
    assert ask.get("/alive", "http://127.0.0.1", "-H", "Host: www.shop.test")[1] == ""


def test_readiness_asks_the_real_database(ask):
    assert ask.get("/ready", *SHOP) == (200, "ready")
    live = "curl -s -o /dev/null -w %{http_code} --unix-socket /srv/shop/live.sock http://shop.test"
    ask.run("systemctl stop postgresql")
    try:
        ask.until("not ready without its database", lambda: ask.run(f"{live}/ready") == "503")
        assert ask.run(f"{live}/health") == "200"
    finally:
        ask.run("systemctl start postgresql")
    ask.until("ready again", lambda: ask.run(f"{live}/ready") == "200")
    ask.until("the proxy has seen it", lambda: ask.get("/ready", *SHOP) == (200, "ready"))


def test_the_mailer_may_write_where_it_shares_and_nowhere_else(ask):
    unit = service(ask, "mail_api")
    release = f"/opt/mail_api/slots/{unit.removeprefix('mail_api@').removesuffix('.service')}/release"
    inside = f"nsenter -m -t {ask.show(unit, 'MainPID')['MainPID']} runuser -u mailer --"
    ask.run(f"{inside} touch {release}/media/uploads/letter")
    assert ask.run("stat -c '%U %G %a' /opt/mail_api/shared/media/uploads").strip() == "mailer mailers 750"
    assert ask.run("ls /opt/mail_api/shared/media/uploads").strip() == "letter"
    for place in (release, f"{release}/service", "/opt/mail_api/shared", "/opt/mail_api"):
        assert ask.run(f"{inside} touch {place}/letter 2>&1 || true").strip().endswith(("denied", "system")), place


def test_each_has_its_workers_user_and_limits(ask):
    for name, user, workers in (("shop", "shop", int(ask.run("nproc")) + 1), ("mail_api", "mailer", 3)):
        arbiter = ask.show(service(ask, name), "MainPID")["MainPID"]
        pids = ask.run(f"pgrep -P {arbiter}").split()
        assert len(pids) == workers
        assert set(ask.run(f"ps -o user= -p {','.join(pids)}").split()) == {user}
    mail = ask.show(service(ask, "mail_api"), "TimeoutStopUSec", "MemoryMax", "Group")
    assert mail == {"TimeoutStopUSec": "16s", "MemoryMax": str(600 * 2**20), "Group": "mailers"}
    for size, status in ((1_000_000, 200), (1_100_000, 413)):
        ask.run(f"head -c {size} /dev/zero >/tmp/body")
        assert ask.get("/size", MAIL, "-X", "POST", "--data-binary", "@/tmp/body")[0] == status
    assert f"SystemMaxUse={50 * 1024**2 * 7 // 8}" in ask.run("cat /etc/systemd/journald@mail_api.conf")


def test_values_of_the_environment_survive_exactly(ask):
    shop = environment_of(ask, "shop")
    assert shop["QUOTES"] == AWKWARD
    assert shop["DB_POOL_SIZE"] == "3"
    status, body = ask.get("/environment", MAIL)
    mail = json.loads(body)
    assert (status, mail["DEBUG"], mail["LEVEL"], mail["FASTAPI_SLOT"]) == (200, "true", "7", "blue")


def test_they_share_no_user_socket_or_environment(ask):
    shop, mail = environment_of(ask, "shop"), json.loads(ask.get("/environment", MAIL)[1])
    assert "nightingale-mail-word" not in str(shop)
    assert not any("nightingale-shop" in value or "nightingale-database" in value for value in mail.values())
    for path in (
        "/srv/shop/environment",
        "/srv/shop/slots/blue/env",
        "/srv/shop/slots/blue/release/app/main.py",
        "/opt/mail_api/environment",
    ):
        said = json.loads(ask.get(f"/try?path={path}", MAIL)[1])
        assert "yes" not in said.values(), (path, said)
    for user, other in (("mailer", "/run/shop/blue.sock"), ("shop", "/run/mail_api/blue.sock")):
        assert ask.host.run(f"runuser -u {user} -- curl -s --unix-socket {other} http://x/").rc == 7
    for user, path in (
        ("mailer", "/srv/shop/environment"),
        ("shop", "/opt/mail_api/environment"),
        ("shop", "/opt/mail_api/releases"),
    ):
        assert ask.host.run(f"runuser -u {user} -- ls {path}/ || runuser -u {user} -- cat {path}").rc != 0


def test_the_app_cannot_write_its_own_code(ask):
    said = json.loads(ask.get("/try?path=/opt/mail_api/slots/blue/release/service/web.py", MAIL)[1])
    assert said["read"] == "yes"
    assert said["write"] != "yes"


def test_what_was_excluded_is_not_there(ask):
    release = "/opt/mail_api/slots/blue/release"
    assert ask.host.file(f"{release}/service/web.py").exists
    assert not ask.host.file(f"{release}/notes").exists
    assert {"gunicorn": "27.0.1", "uvicorn": "0.54.0"}.items() <= json.loads(ask.run(f"cat {release}/release.json"))[
        "packages"
    ].items()


def test_no_secret_can_be_seen_by_others(ask):
    """Not in the process list, not in a file that others may read, not in a journal."""
    assert "nightingale" not in ask.run("ps axww -o args | grep -v grep")
    readable = ask.host.run(
        "grep -rslE 'nightingale-(shop|mail|database)-word' /srv /opt /etc /run /var/log /tmp --include='*' 2>/dev/null"
    ).stdout
    for path in readable.split():
        assert ask.host.file(path).mode & 0o077 == 0, path
    journal = ask.run("journalctl --no-pager --namespace='*'")
    assert "nightingale" not in journal


def test_a_request_longer_than_the_drain_is_cut_and_the_lifespan_ends(ask):
    """The drain is 10 - 3 - 1 = 6 s: a request of 2 s is answered, one of 30 s isn't, and the shutdown still runs."""
    arbiter = ask.show(service(ask, "mail_api"), "MainPID")["MainPID"]
    workers = set(ask.run(f"pgrep -P {arbiter}").split())
    with ThreadPoolExecutor() as pool:
        long = pool.submit(ask.get, "/slow?seconds=30", MAIL)
        short = pool.submit(ask.get, "/slow?seconds=2", MAIL)
        time.sleep(1)
        began = time.monotonic()
        ask.run(f"systemctl restart {service(ask, 'mail_api')}")
        took = time.monotonic() - began
        assert short.result()[0] == 200
        assert long.result()[0] in (0, 502, 503)
    assert 4 < took < 12
    ask.run("journalctl --namespace=mail_api --sync")
    journal = ask.run("journalctl --namespace=mail_api --no-pager -o cat")
    assert {f"lifespan shutdown of {pid}" for pid in workers} <= set(journal.splitlines())
    assert ask.get("/alive", MAIL) == (200, "able")


def test_the_client_is_who_it_is(ask):
    assert json.loads(ask.get("/client", MAIL, "-H", "X-Forwarded-For: 6.6.6.6")[1]) == {
        "host": "127.0.0.1",
        "scheme": "http",
    }


def test_two_more_apps_brought_at_once_are_both_served(ask, control):
    """Each run works out what the sites of a host share, the longest of each wait: neither may undo the other's."""
    more = {
        "left": {"fastapi_http_port": 8091, "fastapi_idle_timeout": 333},
        "right": {"fastapi_http_port": 8092, "fastapi_proxy_timeout": 222},
    }
    common = {
        "fastapi_source": str(ROOT / "molecule/swap/app"),
        "fastapi_workers": 1,
        "fastapi_bake": 1,
        "fastapi_domains": [],
    }
    runs = [control.start("site", fastapi_name=name, fastapi_tls="off", **common, **own) for name, own in more.items()]
    for said, run in [(said_by(run), run) for run in runs]:
        assert run.returncode == 0, said
    for own in more.values():
        assert ask.get("/", f"http://127.0.0.1:{own['fastapi_http_port']}")[0] == 200
    shared = ask.run("cat /etc/caddy/graceful.options")
    assert "idle 333s" in shared and "grace_period 227s" in shared
    assert ask.get("/alive", MAIL) == (200, "able")
    for name, own in more.items():
        status, said = control.run("site", fastapi_name=name, fastapi_tls="off", **common, **own)
        assert status == 0 and "changed=0" in said
