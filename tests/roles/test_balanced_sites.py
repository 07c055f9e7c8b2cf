"""The sites of balancers, and of the hosts behind them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.graceful.deploy.plugins.module_utils._preflight.ways import parse_shared

ROLES = Path(__file__).resolve().parents[2] / "roles"
HOSTS = [
    {"name": "web1", "address": "192.0.2.1", "dial": "192.0.2.1:80"},
    {"name": "web2", "address": "192.0.2.2", "dial": "192.0.2.2:8080"},
]
PEER = {"name": "lb2", "address": "192.0.2.12", "dial": "192.0.2.12:80"}
TOGETHER = {"names": ["lb1", "lb2"], "balancers": ["192.0.2.11", "192.0.2.12"], "first": "web1"}
BALANCER = TOGETHER | {"part": "balancer", "hosts": HOSTS, "peers": [PEER], "pushes": "192.0.2.1:80"}
BALANCER |= {"address": "192.0.2.11", "rank": 0, "router": 7, "interface": "eth0"}
APP = TOGETHER | {"part": "app"}
CADDY = {"program": "/usr/bin/caddy", "version": "2.6.2", "current": False, "flushes": False, "brought": False}
CADDY |= {"present": True, "packages": [], "stale": [], "others": [], "open_ports": [], "own_main": False}
SITE = {
    "fastapi_root": "/srv/hello",
    "fastapi_domains": ["shop.example.com"],
    "fastapi_redirect_domains": ["www.example.com"],
    "fastapi_tls": "acme",
    "fastapi_hsts": 100,
    "fastapi_rate_limit": "20/s",
    "fastapi_static": {"/static": "app/static"},
    "fastapi_protect": [{"path": "/admin", "addresses": ["198.51.100.0/24"]}],
    "fastapi_proxy_snippet": "# of the user's own",
    "fastapi_webhook_path": "/-/push",
    "fastapi_webhook_host": "web1",
}
SITES = {"caddy": "site.caddy.j2", "nginx": "site.conf.j2"}
# What is done where clients come in, as each proxy writes it, and what where the app is.
AT_THE_DOOR = {
    "caddy": [
        "issuer acme",
        "Strict-Transport-Security",
        "rate_limit",
        "198.51.100.0/24",
        "# of the user's own",
        "redir ",
    ],
    "nginx": [
        "ssl_certificate ",
        "Strict-Transport",
        "limit_req",
        "198.51.100.0/24",
        "# of the user's own",
        "return 308",
    ],
}
AT_THE_APP = {"caddy": ["/srv/hello/live.sock", "file_server", "encode"], "nginx": ["live.sock", "alias ", "gzip on"]}


@pytest.fixture
def site(render):
    def rendered(role: str, fleet: dict, template: str = "", **changes: object) -> str:
        found = {"plan": {}, "host": {"caddy": CADDY, "nginx": {"ipv6": True, "grace": 0}}, "fleet": fleet}
        return render(role, template or SITES[role], fastapi_found=found, **(SITE | changes))

    return rendered


@pytest.mark.parametrize("role", SITES)
def test_each_thing_is_done_once(site, role):
    door, app = site(role, BALANCER), site(role, APP)
    for word in AT_THE_DOOR[role]:
        assert word in door and word not in app, word
    for word in AT_THE_APP[role]:
        assert word in app and word not in door, word


@pytest.mark.parametrize("role", SITES)
def test_a_host_behind_balancers_answers_them_alone(site, role):
    text = site(role, APP)
    if role == "caddy":
        assert "@past not remote_ip 192.0.2.11 192.0.2.12 127.0.0.1 ::1\n\t\terror @past 403" in text
        # The path that has a password at the balancers isn't open to other users of the host.
        assert "path /admin /admin/*\n\t\t\tnot remote_ip 192.0.2.11 192.0.2.12\n\t\t}\n\t\terror @inside1 403" in text
        assert "http://shop.example.com:80 {" in text
    else:
        assert "    192.0.2.11 2;\n    192.0.2.12 2;\n" in text
        assert "if ($hello_near = 0) {\n        return 403;" in text
        assert "if ($hello_inside_1) {\n        return 403;" in text
        assert "443" not in text
    # What they say of the client is believed.
    assert ("trusted_proxies 192.0.2.11 192.0.2.12" if role == "caddy" else "set_real_ip_from 192.0.2.12;") in text


def test_a_balancer_of_caddys_repeats_what_may_be(site):
    text = site("caddy", BALANCER)
    plain, bodied = text.split("reverse_proxy @plain 192.0.2.1:80 192.0.2.2:8080 {")[1].split(
        "reverse_proxy 192.0.2.1:80 192.0.2.2:8080 {"
    )
    assert "lb_try_duration 5s" in plain and "fail_duration 12s" in plain
    # This Caddy would send a body that it has no more, and have the good host out for it.
    assert "lb_try_duration" not in bodied and "fail_duration" not in bodied and "max_fails 1" in bodied
    assert plain.count("health_uri /ready") == bodied.count("health_uri /ready") == 1


def test_nginx_balancers_repeat_what_may_be(site):
    text = site("nginx", BALANCER)
    assert "proxy_next_upstream error timeout;" in text and "non_idempotent" not in text
    assert "include /etc/nginx/graceful/hello/hosts.conf;" in text
    unit = site("nginx", BALANCER, "ready.service.j2")
    assert "ready.py 192.0.2.1:80,192.0.2.2:8080 /ready shop.example.com https 10 10 " in unit
    # Before a new site's certificate is there nginx refuses to reload, which is no reason not to ask the hosts.
    assert "ExecStartPre=-+/bin/sh /etc/nginx/graceful/hello/hosts.sh " in unit
    assert "PrivateNetwork" not in unit and "PrivateNetwork=true" in site("nginx", APP, "ready.service.j2")


@pytest.mark.parametrize("role", SITES)
def test_what_an_authority_asks_the_wrong_balancer_goes_to_the_other(site, role):
    text = site(role, BALANCER)
    assert "192.0.2.12:80" in text
    alone = site(role, BALANCER | {"peers": []})
    assert "192.0.2.12:80" not in alone and "X-Graceful-Peer" not in alone


def test_the_shared_address(site):
    text = site("fastapi", BALANCER, "address.conf.j2", fastapi_balancer_address="192.0.2.10/24")
    assert "interface eth0" in text and "priority 200\n" in text and "unicast_src_ip 192.0.2.11" in text
    assert "        192.0.2.12\n" in text and "        192.0.2.10/24\n" in text
    # For another app's preflight.
    assert parse_shared(text) == {"address": "192.0.2.10", "interface": "eth0", "router": 7}


@pytest.mark.parametrize("role", SITES)
def test_a_site_says_whom_it_answers(site, role):
    """Preflight reads that (_preflight/gate.py)."""
    assert "\n# behind lb1 lb2\n" in site(role, APP) and "# behind " not in site(role, BALANCER)
    assert "\n# balances {" in site(role, BALANCER) and "# balances " not in site(role, APP)
    assert "# behind " not in site(role, {}) and "# balances " not in site(role, {})


def test_a_host_in_maintenance_stays_among_the_balancers_hosts(site):
    """Its page is for clients, and the others have it too."""
    ready = "if ($uri = /ready) {\n        set $hello_closed 0;"
    assert ready in site("nginx", APP) and ready not in site("nginx", {}) + site("nginx", BALANCER)
    top, path = "@maintenance {\n\t\t\t", "not vars {http.request.orig_uri.path} /health"
    ready, alone = f"{top}# Balancers would leave the host out.\n\t\t\t{path} /ready\n", f"{top}{path}\n"
    assert ready in site("caddy", APP)
    assert alone in site("caddy", {}) and alone in site("caddy", BALANCER)


def test_what_balancers_do_a_hosts_own_caddy_needs_not_be_able_to():
    task = yaml.safe_load((ROLES / "caddy/tasks/main.yml").read_text())[0]["graceful.deploy.caddy"]
    given = {"fastapi_rate_limit": "20/s", "fastapi_protect": [{"path": "/"}], "fastapi_trusted_proxies": ["10.0.0.1"]}
    for behind, wanted in ((True, ["", [], []]), (False, list(given.values()))):
        templar = Templar(DataLoader(), given | {"_caddy_behind": behind})
        found = [templar.template(trust_as_template(task[key])) for key in ("rate_limit", "protect", "trusted_proxies")]
        assert found == wanted
