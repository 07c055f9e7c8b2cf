"""Certificates on both balancers, and the end of it all: what comes after has no plain site to ask."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

FRONT = Path(__file__).resolve().parents[2] / "front"
AUTHORITY = "/var/lib/acme/pki/authorities/local/root.crt"
SITE = {
    "fastapi_domains": ["shop.test"],
    "fastapi_tls": "acme",
    "fastapi_acme_directory": "https://acme.test:9443/acme/local/directory",
    "fastapi_acme_ca": "/etc/acme-root.pem",
    "fastapi_acme_email": "ann@shop.test",
}


def serve_acme(fleet) -> None:
    """An authority on the client's host, which finds the site by the address that the balancers share."""
    files = ["--directory", str(Path(sys.executable).parent), "caddy", "--directory", str(FRONT), "acme.Caddyfile"]
    packed = subprocess.run(["tar", "--create", "--dereference", *files], capture_output=True, check=True).stdout
    into = ["docker", "exec", "--interactive", fleet.client, "sh", "-c", "mkdir -p /opt/acme && tar -x -C /opt/acme"]
    subprocess.run(into, input=packed, check=True)
    fleet.ask.run(
        f"echo '{fleet.shared} shop.test' >>/etc/hosts; echo '127.0.0.1 acme.test' >>/etc/hosts; "
        "systemd-run --quiet --unit=acme --setenv=HOME=/var/lib/acme --property=StateDirectory=acme "
        "/opt/acme/caddy run --config /opt/acme/acme.Caddyfile --adapter caddyfile"
    )
    asked = "curl -sk https://acme.test:9443/acme/local/directory | grep newOrder"
    fleet.ask.until("the authority answers", lambda: fleet.ask.host.run(asked).rc == 0)
    root = fleet.ask.run(f"cat {AUTHORITY}")
    for host in fleet.balancers:
        fleet.run(host, f"echo '{fleet.own} acme.test' >>/etc/hosts; printf %s '{root}' >/etc/acme-root.pem")


def test_each_balancer_gets_a_certificate_and_all_goes(fleet):
    serve_acme(fleet)
    fleet.more |= SITE
    # First the one that the authority comes to. Else the other may ask before the question is handed on to it: a real
    # authority says no, and is asked again after a minute; this one never says no.
    holder = next(host for host in fleet.balancers if fleet.shared in fleet.run(host, "hostname -I"))
    fleet.good("site", "--limit", fleet.container(holder))
    said = fleet.good("site")

    def served(host: str) -> str:
        past = f"--cacert {AUTHORITY} --resolve shop.test:443:{fleet.address(host)}"
        return fleet.ask.host.run(f"curl -s -m 5 {past} https://shop.test/who").stdout

    # The authority comes to the one that has the address, whichever has asked for a certificate.
    for host in fleet.balancers:
        fleet.ask.until(f"{host} has a certificate", lambda host=host: served(host), 100)
        seen = json.loads(served(host))
        assert (seen["scheme"], seen["host"], seen["client"]) == ("https", "shop.test", fleet.own), said
    assert fleet.get("/x", "-H", "Host: shop.test")[0] == 308
    # Between balancer and host it is plain HTTP.
    assert fleet.run("web1", "ss -Hltn 'sport = :443'") == ""

    said = fleet.good("site", fastapi_state="absent")
    # No request comes to an app that has gone.
    ends = {host: said.index(f"changed: [{fleet.container(host)}]") for host in [*fleet.balancers, *fleet.apps]}
    assert max(ends[host] for host in fleet.balancers) < min(ends[host] for host in fleet.apps), said
    for host in fleet.balancers:
        assert fleet.shared not in fleet.run(host, "hostname -I")
        left = "ls -d /etc/*/sites*/*swap* /etc/keepalived/graceful/swap* /etc/systemd/system/swap* 2>/dev/null || true"
        assert fleet.run(host, left) == ""
    status, said = fleet.play("site", fastapi_state="absent")
    assert status == 0 and said.partition("PLAY RECAP")[2].count("changed=0") == 5, said
