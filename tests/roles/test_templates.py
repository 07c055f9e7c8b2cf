"""The roles' templates, rendered by Ansible's own templar without a host."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible_collections.graceful.deploy.plugins.module_utils._host.door import as_client
from ansible_collections.graceful.deploy.plugins.module_utils._preflight.parse import site_addresses, wanted_addresses
from ansible_collections.graceful.deploy.plugins.module_utils._swap.canary import mark

ROOT = Path(__file__).resolve().parents[2]


def test_gunicorns_configuration_is_python_with_the_planned_numbers(render):
    text = render("gunicorn", "gunicorn.conf.py.j2", fastapi_health_interval=7)
    settings = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in ast.parse(text).body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
    }
    assert settings["workers"] == 3
    assert settings["timeout"] == 21
    assert settings["graceful_timeout"] == 30
    assert settings["control_socket_disable"] is True
    assert "drain=24" in text
    # In one order, whatever the run: another content of a slot is a deploy.
    assert 'stand_in_for=["/health", "/ready"],' in text
    assert settings["wsgi_app"] == "app.main:app"


def test_the_unit_stops_later_than_gunicorn(render):
    text = render("gunicorn", "service.j2")
    lines = dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    assert lines["TimeoutStopSec"] == "50"
    assert lines["WatchdogSec"] == "30"
    assert "OnFailure" not in lines
    assert lines["User"] == lines["Group"] == "deploy"
    assert lines["EnvironmentFile"] == "/srv/hello/slots/%i/env"
    assert lines["MemoryDenyWriteExecute"] == "yes"
    assert lines["TasksMax"] == "896"
    assert ("MemoryHigh" in lines, lines["MemoryMax"]) == (False, "400M")
    assert lines["CapabilityBoundingSet"] == ""
    assert "SystemCallFilter=~bind\nSystemCallFilter=~listen:0\n" in text
    # Of the app itself the unit says nothing: both slots have it, and one may hold another release.
    assert "app.main" not in text


def test_each_line_of_the_sandbox_may_be_another(render):
    text = render(
        "gunicorn",
        "service.j2",
        fastapi_allow_jit=True,
        fastapi_allow_listen=True,
        fastapi_writable_paths=["/var/lib/a", "/var/lib/b"],
        fastapi_credentials={"key": "canary"},
        fastapi_sandbox={"PrivateDevices": False, "DeviceAllow": ["/dev/a rw", "/dev/b"], "TasksMax": 4000},
    )
    for line in (
        "MemoryDenyWriteExecute=no",
        "PrivateDevices=no",
        "DeviceAllow=/dev/a rw",
        "DeviceAllow=/dev/b",
        "TasksMax=4000",
        "ReadWritePaths=-/srv/hello/home /var/lib/a /var/lib/b",
        "LoadCredential=key:/srv/hello/slots/%i/credentials/key",
    ):
        assert line in text.splitlines(), line
    assert "~bind" not in text and "~listen" not in text
    assert text.count("TasksMax") == 1
    assert "canary" not in text


def test_other_words_for_a_boolean_are_one_where_a_role_is_used_alone(render):
    """Preflight refuses them; without it, -e fastapi_allow_jit=no must not open the sandbox."""
    closed = render("gunicorn", "service.j2", fastapi_allow_jit="no", fastapi_allow_listen="off")
    assert "MemoryDenyWriteExecute=yes" in closed
    assert "SystemCallFilter=~bind" in closed
    assert "MemoryDenyWriteExecute=no" in render("gunicorn", "service.j2", fastapi_allow_jit="yes")


def test_the_watchdog_is_never_as_quick_as_the_arbiters_own_loop(render):
    variables = {"fastapi_health_interval": 1, "fastapi_health_failures": 2, "fastapi_on_failure": "mail@%n.service"}
    text = render("gunicorn", "service.j2", **variables)
    assert "WatchdogSec=10\n" in text
    assert "OnFailure=mail@%n.service\n" in text


@pytest.mark.parametrize(
    ("variables", "address"),
    [
        ({}, "http://:80 {"),
        ({"fastapi_http_port": 8080}, "http://:8080 {"),
        ({"fastapi_domains": ["a.test", "b.test"], "fastapi_tls": "off"}, "http://a.test:80, http://b.test:80 {"),
        # A bare off is false to YAML.
        ({"fastapi_domains": ["a.test"], "fastapi_tls": False}, "http://a.test:80 {"),
        ({"fastapi_domains": ["a.test", "b.test"]}, "a.test, b.test {"),
        ({"fastapi_domains": ["a.test"], "fastapi_tls": "internal"}, "a.test {"),
    ],
)
def test_the_sites_address(caddy_site, variables, address):
    text = caddy_site(**variables)
    assert address in text.splitlines()
    # Preflight compares it with the sites of other apps.
    assert site_addresses(text) == wanted_addresses(
        {
            "proxy": "caddy",
            "tls": variables.get("fastapi_tls", "acme" if "fastapi_domains" in variables else "off") or "off",
            "domains": variables.get("fastapi_domains", []),
            "http_port": variables.get("fastapi_http_port", 80),
        }
    )
    assert ("tls internal" in text) == (variables.get("fastapi_tls") == "internal")
    assert text.count("{") == text.count("}")


def test_the_access_log_stays_within_its_limit(caddy_site):
    text = caddy_site(fastapi_log_max_size="50M")
    assert "roll_size 10MiB" in text
    assert "roll_keep 4\n" in text


TEXT = {
    "fastapi_domains": ["a.test"],
    "fastapi_tls": "internal",
    "fastapi_hsts": "0",
    "fastapi_compress": "false",
    "fastapi_maintenance": "False",
    "fastapi_health_interval": "{{ 6 * 2 }}",
    "fastapi_timeout": "30",
}


def test_what_is_text_on_the_command_line_is_of_its_type_in_a_template(render, caddy_site, site):
    """From -e all is text: "false" would be true, "0" as well, and nothing could be computed."""
    text = caddy_site(**TEXT)
    assert "encode" not in text and "Strict-Transport-Security" not in text
    assert "try_files /maintenance" in text
    assert "response_header_timeout 35s" in text
    lines = site(**TEXT)
    assert "gzip off;" in lines and "set $hello_closed 0;" in lines
    assert not [line for line in lines if "max-age" in line]
    allowed = {"fastapi_allow_jit": "false", "fastapi_allow_listen": "true", "fastapi_health_failures": "4"}
    unit = render("gunicorn", "service.j2", **TEXT, **allowed).splitlines()
    assert "MemoryDenyWriteExecute=yes" in unit and "WatchdogSec=48" in unit
    assert "SystemCallFilter=~bind" not in unit


EVERYTHING = {
    "fastapi_domains": ["a.test", "b.test"],
    "fastapi_redirect_domains": ["www.a.test"],
    "fastapi_tls": "acme",
    "fastapi_acme_directory": "https://acme.test/directory",
    "fastapi_acme_email": "ann@a.test",
    "fastapi_acme_ca": "/etc/ssl/ca.pem",
    "fastapi_hsts": 3600,
    "fastapi_trusted_proxies": ["10.0.0.0/8"],
    "fastapi_static": {"/static": "app/static"},
    "fastapi_protect": [
        {"path": "/admin", "users": {"ann": "$2y$05$" + "x" * 53}},
        {"path": "/", "addresses": ["10.0.0.0/8"]},
    ],
    "fastapi_headers": {"X-Frame-Options": "'the' one; of #1"},
    "fastapi_maintenance": True,
    "fastapi_proxy_snippet": 'respond /mine "mine" 200\n',
    "fastapi_canary": {"share": "10%", "seconds": 60},
}


@pytest.mark.parametrize(
    "variables", [{}, EVERYTHING, {**EVERYTHING, "fastapi_tls": "internal"}], ids=["none", "all", "internal"]
)
def test_caddy_takes_the_site(caddy_site, tmp_path, variables):
    site = tmp_path / "Caddyfile"
    site.write_text(caddy_site(**variables))
    (tmp_path / "hello.users").write_text(caddy_site("users.j2", **variables))
    assert "$2y$05$" not in site.read_text()
    command = [Path(sys.executable).parent / "caddy", "adapt", "--adapter", "caddyfile", "--config", site]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    # One handler for each: in one, all would be left out where the app has set any.
    defaults = [handler["response"]["set"] for handler in handlers(told) if "require" in handler.get("response", {})]
    assert all(len(each) == 1 for each in defaults)
    assert len(defaults) >= (4 if not variables else 3)


def handlers(told) -> list[dict]:
    """All handlers in a configuration, however deep."""
    if isinstance(told, list):
        return [found for each in told for found in handlers(each)]
    if not isinstance(told, dict):
        return []
    return ([told] if told.get("handler") == "headers" else []) + [f for each in told.values() for f in handlers(each)]


@pytest.mark.parametrize("share", [*range(1, 20), 25, 33, 49, 50])
def test_a_canary_has_its_share_of_all_lots(caddy_site, share):
    """Of the ids that Caddy gives requests, by their first two digits; and a site that has none says nothing of it."""
    text = caddy_site(fastapi_canary={"share": f"{share}%", "seconds": 60})
    drawn = re.compile(re.search(r'vars_regexp \{http.request.uuid\} "(.*)"', text)[1])
    hit = [number for number in range(256) if drawn.search(f"{number:02x}c0ffee-0000-4000-8000-000000000000")]
    assert abs(len(hit) / 256 - share / 100) <= 0.002 and hit == list(range(len(hit)))
    assert mark(share) in [line.strip() for line in text.splitlines()]


@pytest.mark.parametrize(
    ("variables", "has"),
    [
        ({}, True),
        ({"_gunicorn_part": "move", "__fastapi_batches": [["localhost"], ["other"]]}, True),
        ({"_gunicorn_part": "standby", "__fastapi_batches": [["one", "other"], ["localhost"]]}, False),
        # Left by another app of the play that had several hosts.
        ({"_gunicorn_part": "all", "__fastapi_batches": [["other"]]}, True),
    ],
)
def test_of_several_hosts_those_of_the_first_batch_have_a_canary(render, tmp_path, variables, has):
    (tmp_path / "said.j2").write_text("{{ _gunicorn_canary }}")
    assert render("gunicorn", str(tmp_path / "said.j2"), **variables) == str(has)


def test_without_a_canary_no_site_shares_anything_out(caddy_site, site):
    text = caddy_site() + "\n".join(site())
    assert "canary" not in text and "X-Graceful-Side" not in text
    lines = site(fastapi_canary={"share": 10, "seconds": 60}, fastapi_name="a-b")
    assert {mark(10), "10% 1;", "proxy_pass http://$a_hb_to;"} <= {*lines}
    # The path of readiness is asked of what serves.
    assert (
        lines.count("proxy_pass http://unix:/srv/a-b/live.sock;")
        == len([line for line in site(fastapi_name="a-b") if line.startswith("proxy_pass http://unix:/srv/a-b/live")])
        - 1
    )


NGINX = {
    "fastapi_protect": [
        {"path": "/admin.d", "users": {"ann": "$2y$05$x"}},
        {"path": "/", "addresses": ["10.0.0.0/8"]},
    ],
    "fastapi_static": {"/static": "app/static"},
    "fastapi_rate_limit": "90/h",
    "fastapi_proxy_snippet": "location = /mine {\n    return 200 mine;\n}\n",
    "fastapi_headers": {"X-Frame-Options": "'the' one; of #1"},
}


@pytest.fixture
def caddy_site(render):
    """Caddy's site, of a version from 2.8 on."""
    role_vars = yaml.safe_load((ROOT / "roles" / "caddy" / "vars" / "main.yml").read_text())
    found = {
        "present": True,
        "current": True,
        "flushes": True,
        "own_main": False,
        "others": [],
        "open_ports": [],
        "brought": False,
    }

    def rendered(template: str = "site.caddy.j2", **variables) -> str:
        return render("caddy", template, **{**role_vars, "fastapi_found": {"host": {"caddy": found}}, **variables})

    return rendered


@pytest.fixture
def site(render):
    """The lines of nginx' site, without indentation."""

    def rendered(**variables) -> list[str]:
        role_vars = yaml.safe_load((ROOT / "roles" / "nginx" / "vars" / "main.yml").read_text())
        text = render("nginx", "site.conf.j2", **role_vars, **variables)
        assert text.count("{") == text.count("}")
        assert "{{" not in text
        assert "{%" not in text
        return [line.strip() for line in text.splitlines()]

    return rendered


@pytest.mark.parametrize(
    ("variables", "there", "missing"),
    [
        ({}, ["listen 80 default_server;", "listen [::]:80 default_server;", "server_name _;"], ["return 421;"]),
        ({"fastapi_http_port": 8080}, ["listen 8080 default_server;"], ["listen 80 default_server;"]),
        # A bare off is false to YAML.
        (
            {"fastapi_domains": ["a.test", "b.test"], "fastapi_tls": False},
            ["listen 80;", "server_name a.test b.test;", "return 421;"],
            ["listen 80 default_server;", "listen 443 ssl http2;"],
        ),
        (
            {"fastapi_domains": ["a.test"], "fastapi_redirect_domains": ["www.a.test"], "fastapi_hsts": 60},
            ["listen 443 ssl http2;", "server_name a.test www.a.test;", "ssl_reject_handshake on;", '"" "max-age=60";'],
            ["http2 on;"],
        ),
        (
            {"fastapi_domains": ["a.test"], "fastapi_found": {"host": {"release": "13"}}},
            ["listen 443 ssl;", "http2 on;"],
            ["listen 443 ssl http2;"],
        ),
        (NGINX, ["location = /mine {", "location ^~ /static/ {", "rate=1r/m;"], []),
    ],
)
def test_nginx_site(site, variables, there, missing):
    lines = site(**variables)
    text = "\n".join(lines)
    assert [line for line in there if line not in text] == []
    assert [line for line in missing if line in lines] == []


def test_nginx_protects_by_whole_segments_and_leaves_liveness_out_of_the_whole_site(site):
    lines = site(**NGINX)
    assert '"~*^/admin\\.d(?:/|$)" 1;' in lines
    assert '"~*^0 /(?!(?-i:health)$)" 1;' in lines
    assert "auth_basic_user_file /etc/nginx/graceful/hello/users-$hello_users;" in lines
    assert not [line for line in lines if "$2y" in line]


def test_two_apps_whose_names_look_alike_share_no_name_in_nginx(site):
    dash, line = (set(site(fastapi_name=name, **NGINX)) for name in ("a-b", "a_b"))
    shared = [text for text in dash & line if text.startswith(("map", "geo", "limit_req_zone", "log_format"))]
    assert shared == []
    assert any(text.endswith("$a_hb_id {") for text in dash)
    assert any(text.endswith("$a_ub_id {") for text in line)


def test_nginx_access_log_stays_within_its_limit(render):
    role_vars = yaml.safe_load((ROOT / "roles" / "nginx" / "vars" / "main.yml").read_text())
    text = render("nginx", "logrotate.conf.j2", **role_vars, fastapi_log_max_size="50M")
    assert "size 10485760\n" in text
    assert "rotate 4\n" in text
    assert "-mmin +2160 " in render("nginx", "logs.service.j2", **role_vars, fastapi_log_retention="36h")


def test_the_proxies_and_the_workers_ask_as_clients_ask(render, caddy_site):
    """With all the headers, and in each place with the same ones."""
    variables = {"fastapi_domains": ["shop.test", "b.test"], "fastapi_tls": "internal"}
    headers = as_client("shop.test", "https")
    lines = [line.strip() for line in caddy_site(**variables).splitlines()]
    begin = lines.index("health_headers {") + 1
    assert lines[begin : begin + len(headers)] == [f'{name} "{value}"' for name, value in headers.items()]
    assert json.dumps(headers) in render("gunicorn", "gunicorn.conf.py.j2", **variables)
    assert " /ready shop.test https " in render("nginx", "ready.service.j2", **variables)
    # Where the site has no name, clients come by the host's.
    assert 'Host "192.0.2.10"' in caddy_site(ansible_host="192.0.2.10")


def test_what_names_that_no_site_has_get_of_an_app_is_asked_by_its_own_name(render, caddy_site):
    text = render("caddy", "health.j2", fastapi_domains=["shop.test"], fastapi_tls="internal")
    for line in ("@hello vars {http.request.orig_uri.path} /health", "header_up Host shop.test"):
        assert line in text
    assert "header_up X-Forwarded-Proto https" in text and text.count("{") == text.count("}")
