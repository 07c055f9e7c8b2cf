"""Two apps of one host, one moved after the other, while both have clients: each is alone in what is done with it.

On bookworm nginx has both in one file, one's certificate by certbot, the other's a file; on trixie one Caddyfile has
both and others, one's certificate is Caddy's own, the other begins by a script and has a gunicorn.conf.py.
"""

from __future__ import annotations

import contextlib

import pytest
import yaml
from adopted import Adopted

pytestmark = pytest.mark.core
TWO = {"adopt-bookworm": ("books", "bills"), "adopt-trixie": ("cafe", "menu")}
WITH = {
    "books": "certbot's certificate",
    "bills": "a certificate by files",
    "cafe": "Caddy's own certificate",
    "menu": "a start script",
}
FILE = "/etc/nginx/sites-available/apps"
# As the refusal says: each app's server blocks into a file of their own.
SPLIT = f"""
test -e {FILE} || exit 0
cd /etc/nginx
awk '/^server/ {{ n++ }} {{ print > ("sites-available/" (part[n] = part[n] ? part[n] : "part" n)) }}' {FILE}
cat sites-available/part2 >sites-available/bills
rm sites-available/part2
cat sites-available/part* >sites-available/books
rm sites-available/part* {FILE} sites-enabled/apps
ln -s ../sites-available/books ../sites-available/bills sites-enabled/
systemctl reload nginx
"""
SHOWN = "echo | openssl s_client -connect 127.0.0.1:443 -servername {} 2>/dev/null | openssl x509 -noout -serial"


@pytest.fixture
def two(ask, app_of, tmp_path, monkeypatch) -> list[Adopted]:
    # What is read is written where one is.
    monkeypatch.chdir(tmp_path)
    return [app_of(name, tmp_path) for name in TWO[ask.host.backend.host]]


def read(app: Adopted) -> tuple[dict, str]:
    said = app.run("", unit=app.unit, into=str(app.inventory))
    return yaml.safe_load((app.inventory / "group_vars" / "all" / "app.yml").read_text()), said


def moved(app: Adopted) -> None:
    app.run("beside", paths="/ready,/health,/static/a.txt")
    assert app.release == "none"
    said = app.run("move")
    assert app.release != "none", said
    assert "is stopped and disabled" in app.run("finish")


def renewed(app: Adopted) -> None:
    """certbot's timer does its work, for all that it knows, and clients get what is new."""
    before = app.ask.run(SHOWN.format(app.domain))
    app.ask.run("systemctl start certbot.service")
    app.ask.until("another certificate is shown", lambda: app.ask.run(SHOWN.format(app.domain)) != before, 10)


def test_each_of_two_moves_alone(two):
    one, other = two
    ask, nginx = one.ask, one.name == "books"
    for app in two:
        ask.until("the old one serves", lambda app=app: app.get("/ready")[0] == 200)
    if nginx:
        said = one.run("", "--check", unit=one.unit, into=str(one.inventory))
        assert "Move that server block into a file of its own" in said or ask.host.run(f"test -e {FILE}").rc
        ask.run(SPLIT)
    values, said = read(one)
    assert "Before step=move" not in said, said
    assert values["fastapi_tls"] == "acme"
    one.note()
    serial = ask.run(SHOWN.format(one.domain))
    with contextlib.ExitStack() as loads:
        reports = [
            loads.enter_context(app.loaded(f"one of two apps, with {WITH[app.name]}, in and out", 20)) for app in two
        ]
        moved(one)
        assert other.release == "none"
        # Caddy goes on with the one that it has; certbot's own was served until ours was there, or clients had noticed.
        assert (ask.run(SHOWN.format(one.domain)) != serial) is nginx
        assert one.get("/static/a.txt") == (200, f"a file of {one.name}\n")
        assert one.get("/admin")[0] == 401
        read(other)
        moved(other)
        if nginx:
            assert one.get("/uploads/own.txt")[0] == 200
            renewed(one)
        one.run("undo")
        assert (one.release == "none", other.release == "none") == (True, False)
        other.run("undo")
    for report in reports:
        assert len(report["releases"]) == 2
    one.is_as_before()
    if nginx:
        renewed(one)
