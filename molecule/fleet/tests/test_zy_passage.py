"""A site that is served by its hosts gets balancers, and gives them up again: nobody's request is lost on the way."""

from __future__ import annotations

import json

import pytest

SITE = {
    "fastapi_domains": ["shop.test"],
    "fastapi_tls": "files",
    "fastapi_tls_certificate": "/etc/ssl/shop.pem",
    "fastapi_tls_key": "/etc/ssl/private/shop.key",
}
CERTIFY = """
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 9 -subj /CN=shop.test \
    -addext subjectAltName=DNS:shop.test -keyout /etc/ssl/private/shop.key -out /etc/ssl/shop.pem 2>&1
chown -R root:{group} /etc/ssl/private
chmod 750 /etc/ssl/private
chmod 640 /etc/ssl/private/shop.key
"""


@pytest.fixture
def tls(fleet):
    """The site by its name, with certificates; and as it was when that is over."""
    before = dict(fleet.more), list(fleet.balancers)
    for host in [*fleet.apps, *fleet.balancers]:
        group = fleet.run(host, "getent group caddy || true").partition(":")[0] or "root"
        fleet.run(host, CERTIFY.format(group=group))
    fleet.more |= SITE
    yield fleet
    fleet.more, fleet.balancers = before
    fleet.good("site")


def asked(fleet, host: str, url: str = "https://shop.test/who", *more: str) -> str:
    """What a client gets who takes this host for the site."""
    place = fleet.shared if host == "shared" else fleet.address(host)
    there = f"--resolve shop.test:443:{place} --resolve shop.test:80:{place}"
    return str(fleet.ask.host.run(f"curl -sk -m 5 {there} {' '.join(more)} {url}").stdout)


def plain(said: str) -> str:
    """Ansible breaks warnings into lines."""
    return " ".join(said.split())


def test_a_live_site_gets_balancers_and_gives_them_up_without_a_lost_request(tls, tally):
    fleet = tls
    status = ("http://shop.test/who", "-o /dev/null -w '%{http_code}'")
    fleet.good("site")
    fleet.ask.until("the balancers serve", lambda: "node" in asked(fleet, "shared"), 60)
    web = fleet.address(fleet.apps[0])

    # Back: the hosts open, and their balancers are answered as before, whatever was written while they were closed.
    fleet.balancers = []
    with fleet.load_now(tls="shop.test") as by_balancers:
        said = fleet.good("site")
    assert "write fastapi_direct: served" in plain(said)
    tally("balancers are given up, by them", by_balancers)
    by_balancers.counted.nothing_lost()
    seen = json.loads(asked(fleet, "web1"))
    assert (seen["scheme"], seen["client"]) == ("https", fleet.own)
    assert asked(fleet, "web1", *status) == "308"
    through = json.loads(asked(fleet, "shared"))
    assert (through["scheme"], through["client"]) == ("https", fleet.own)
    # Clients come to the hosts by now.
    with fleet.load_now(web, tls="shop.test") as direct:
        said = fleet.good("site", fastapi_direct="served")
    tally("balancers are given up, directly", direct)
    direct.counted.nothing_lost()
    assert all("# returning" not in fleet.run(host, "cat /etc/caddy/sites/swap.caddy") for host in fleet.apps), said

    # And in: both are answered until somebody says that clients come by the balancers, however often it runs.
    fleet.balancers = ["lb1", "lb2"]
    with fleet.load_now(web, tls="shop.test") as direct:
        said = fleet.good("site", fastapi_direct="auto")
    assert "write fastapi_direct: refused" in plain(said)
    tally("a live site gets balancers, directly", direct)
    direct.counted.nothing_lost()
    assert json.loads(asked(fleet, "web1"))["client"] == fleet.own
    said = fleet.good("site", fastapi_direct="auto")
    assert "write fastapi_direct: refused" in plain(said)
    assert json.loads(asked(fleet, "web1"))["client"] == fleet.own
    for host in fleet.balancers:
        fleet.ask.until(f"{host} serves", lambda host=host: "node" in asked(fleet, host), 60)
    with fleet.load_now(tls="shop.test") as by_balancers:
        said = fleet.good("site")
    assert "This run closes" in plain(said)
    tally("a live site gets balancers, by them", by_balancers)
    by_balancers.counted.nothing_lost()
    assert asked(fleet, "web1", *status) == "403"
    assert fleet.run("web1", "ss -Hltn 'sport = :443'") == ""
