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
def test_a_host_that_clients_come_to_has_two_doors(site, role):
    text = site(role, APP | {"passing": True})
    for word in [*AT_THE_DOOR[role], *AT_THE_APP[role]]:
        assert word in text, word
    assert "\n# passing lb1 lb2 at 192.0.2.11 192.0.2.12\n" in text
    if role == "caddy":
        own, plain = text.split("\nhttp://shop.example.com:80 {\n")
        assert "issuer acme" in own and "redir @past" not in own and "health_uri" in own
        # Who comes past the balancers goes where TLS is; one door asks whether the app is ready.
        assert (
            "@past not remote_ip 192.0.2.11 192.0.2.12 127.0.0.1 ::1\n\t\tredir @past https://{host}{uri} 308" in plain
        )
        assert "tls {" not in plain.split("\nwww.example.com {")[0] and "health_uri" not in plain
        # Balancers have asked already.
        assert text.count("not remote_ip 198.51.100.0/24\n") == text.count("not remote_ip 192.0.2.11 192.0.2.12\n") == 2
    else:
        own = text.split("    server_name shop.example.com;")[0].rpartition("server {")[2]
        assert "listen 443 ssl" in own and "listen 80;" in own
        assert '"~^http 0 " 1;' in text and "if ($hello_plain) {\n        return 308 https://$hello_target" in text
        # The other names are sent on as ever, and none of them twice.
        assert "    server_name www.example.com;" in text and "server_name shop.example.com www" not in text
        assert text.count("location ^~ /.well-known/acme-challenge/") == 2


def test_an_authority_gets_its_answer_on_a_host_with_two_doors(site):
    """Whoever asks, whatever is protected, and in maintenance: elsewhere that has a server of its own."""
    free = """map "$hello_from_1 $uri" $hello_barred_1 {
    "~^0 /\\.well-known/acme-challenge/" 0;
    "~*^0 """
    open_ = (
        'if ($uri ~ "^/\\.well-known/acme-challenge/") {\n        set $hello_closed 0;\n    }\n    if ($hello_closed) {'
    )
    protect = [{"path": "/", "addresses": ["198.51.100.0/24"]}]
    text = site("nginx", APP | {"passing": True}, fastapi_protect=protect, fastapi_maintenance=True)
    assert free in text and open_ in text
    for fleet, tls in (({}, "acme"), (APP | {"passing": True}, "files"), (BALANCER, "acme")):
        other = site("nginx", fleet, fastapi_protect=protect, fastapi_tls=tls)
        assert free not in other and open_ not in other


@pytest.mark.parametrize("role", SITES)
def test_without_tls_the_two_doors_are_one(site, role):
    text = site(role, APP | {"passing": True}, fastapi_tls="off")
    assert "443" not in text and "redir @past" not in text and "_plain" not in text and "_near = 0" not in text
    assert text.count("http://shop.example.com:80 {" if role == "caddy" else "server_name shop.example.com;") == 1


def test_a_password_is_asked_for_by_a_balancer_or_by_the_host_and_not_by_both(site):
    """A balancer takes it out of the request."""
    asked = {"fastapi_protect": [{"path": "/admin", "users": {"ann": "$2y$05$abcdefghijklmnopqrstuv"}}]}
    both = site("nginx", APP | {"passing": True}, **asked)
    assert 'map "$hello_near $hello_users" $hello_realm {' in both and '"~^2 " off;\n    "~ 0$" off;' in both
    assert "map $hello_users $hello_realm {\n    0 off;" in site("nginx", {}, **asked)
    caddy = site("caddy", APP | {"passing": True}, **asked)
    assert caddy.count("path /admin /admin/*\n\t\t\tnot remote_ip 192.0.2.11 192.0.2.12\n") == 2


@pytest.mark.parametrize("role", SITES)
def test_hosts_and_balancers_may_have_ipv6(site, role):
    six = APP | {"balancers": ["2001:db8::11", "192.0.2.12"]}
    for fleet in (six, six | {"passing": True}):
        text = site(role, fleet)
        assert (" 2001:db8::11 192.0.2.12" if role == "caddy" else "    2001:db8::11 2;\n") in text
        assert ("trusted_proxies 2001:db8::11" if role == "caddy" else "set_real_ip_from 2001:db8::11;") in text
    host = {"name": "web1", "address": "2001:db8::1", "dial": "[2001:db8::1]:80"}
    peer = {"name": "lb2", "address": "2001:db8::12", "dial": "[2001:db8::12]:80"}
    balancer = BALANCER | {"hosts": [host, HOSTS[1]], "peers": [peer], "pushes": host["dial"]}
    balancer |= {"address": "2001:db8::11"}
    text = site(role, balancer)
    if role == "caddy":
        assert "reverse_proxy @plain [2001:db8::1]:80 192.0.2.2:8080 {" in text
        assert "reverse_proxy @challenge [2001:db8::12]:80 {" in text
    else:
        assert "proxy_pass http://[2001:db8::12]:80;" in text
        assert "ready.py [2001:db8::1]:80,192.0.2.2:8080 /ready" in site(role, balancer, "ready.service.j2")
    shared = site("fastapi", balancer, "address.conf.j2", fastapi_balancer_address="2001:db8::10/64")
    assert "unicast_src_ip 2001:db8::11" in shared and "        2001:db8::12\n" in shared
    assert parse_shared(shared)["address"] == "2001:db8::10"


@pytest.mark.parametrize("role", SITES)
def test_balancers_serve_the_certificate_that_is_on_each_of_them(site, role):
    files = {"fastapi_tls": "files", "fastapi_tls_certificate": "/etc/ssl/a.pem", "fastapi_tls_key": "/etc/ssl/a.key"}
    words = 'tls "/etc/ssl/a.pem" "/etc/ssl/a.key"' if role == "caddy" else "ssl_certificate_key /etc/ssl/a.key;"
    assert words in site(role, BALANCER, **files) and words not in site(role, APP, **files)


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
    assert "\n# behind lb1 lb2 at 192.0.2.11 192.0.2.12\n" in site(role, APP) and "# behind " not in site(
        role, BALANCER
    )
    assert "\n# balances {" in site(role, BALANCER) and "# balances " not in site(role, APP)
    leaves = site(role, APP | {"passing": True, "returning": True})
    assert "\n# returning lb1 lb2 at 192.0.2.11 192.0.2.12\n" in leaves and "# passing" not in leaves
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
