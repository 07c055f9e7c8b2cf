"""The roles' templates, rendered by Ansible's own templar without a host."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible_collections.graceful.deploy.plugins.module_utils.preflight_parse import site_addresses, wanted_addresses

ROOT = Path(__file__).resolve().parents[2]
PLAYBOOK = """
- hosts: localhost
  gather_facts: false
  connection: local
  tasks:
    - ansible.builtin.copy:
        dest: "{out}"
        mode: "0644"
        content: "{{{{ lookup('ansible.builtin.template', '{template}') }}}}"
"""


@pytest.fixture
def render(tmp_path):
    def rendered(role: str, template: str, **variables) -> str:
        folder = ROOT / "roles" / role
        values = yaml.safe_load((folder / "defaults" / "main.yml").read_text()) | {f"{role}_name": "hello"} | variables
        out = tmp_path / "rendered"
        playbook = tmp_path / "play.yml"
        playbook.write_text(PLAYBOOK.format(out=out, template=folder / "templates" / template))
        values_file = tmp_path / "values.yml"
        values_file.write_text(yaml.safe_dump(values))
        command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,", "-e", f"@{values_file}"]
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}
        done = subprocess.run(
            [*command, "-e", f"ansible_python_interpreter={sys.executable}", str(playbook)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return out.read_text()

    return rendered


def test_gunicorns_configuration_is_python_with_the_planned_numbers(render):
    text = render("gunicorn", "gunicorn.conf.py.j2", gunicorn_workers=3, gunicorn_release="x", gunicorn_timeout=70)
    settings = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in ast.parse(text).body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
    }
    assert settings["workers"] == 3
    assert settings["timeout"] == 70
    assert settings["graceful_timeout"] == 30
    assert settings["control_socket_disable"] is True
    assert "drain=24" in text
    assert settings["wsgi_app"] == "app.main:app"


def test_the_unit_stops_later_than_gunicorn(render):
    text = render("gunicorn", "service.j2", gunicorn_release="x", gunicorn_stop_timeout=50)
    lines = dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    assert lines["TimeoutStopSec"] == "50"
    assert lines["User"] == lines["Group"] == "deploy"
    assert lines["EnvironmentFile"] == "/srv/hello/slots/%i/env"
    # Of the app itself the unit says nothing: both slots have it, and one may hold another release.
    assert "app.main" not in text


@pytest.mark.parametrize(
    ("variables", "address"),
    [
        ({}, "http://:80 {"),
        ({"caddy_http_port": 8080}, "http://:8080 {"),
        ({"caddy_domains": ["a.test", "b.test"], "caddy_tls": "off"}, "http://a.test:80, http://b.test:80 {"),
        # A bare off is false to YAML.
        ({"caddy_domains": ["a.test"], "caddy_tls": False}, "http://a.test:80 {"),
        ({"caddy_domains": ["a.test", "b.test"]}, "a.test, b.test {"),
        ({"caddy_domains": ["a.test"], "caddy_tls": "internal"}, "a.test {"),
    ],
)
def test_the_sites_address(render, variables, address):
    text = render("caddy", "site.caddy.j2", **variables)
    assert address in text.splitlines()
    # Preflight compares it with the sites of other apps.
    assert site_addresses(text) == wanted_addresses(
        {
            "proxy": "caddy",
            "tls": variables.get("caddy_tls", "acme" if "caddy_domains" in variables else "off") or "off",
            "domains": variables.get("caddy_domains", []),
            "http_port": variables.get("caddy_http_port", 80),
        }
    )
    assert ("tls internal" in text) == (variables.get("caddy_tls") == "internal")
    assert text.count("{") == text.count("}")


def test_the_access_log_stays_within_its_limit(render):
    text = render("caddy", "site.caddy.j2", caddy_log_max_size="50M")
    assert "roll_size 10MiB" in text
    assert "roll_keep 4\n" in text
