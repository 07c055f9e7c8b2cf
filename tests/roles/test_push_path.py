"""The path at which a site takes pushes: on one host alone, in one spelling, before what keeps other clients out.

Asked of the Caddy of these tools, and of nginx where there is one, as the protected paths are.
"""

from __future__ import annotations

import http.client
import http.server
import json
import re
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import test_protected_paths as front
import yaml

ROOT = front.ROOT
SOCKET = "/run/hello-webhook.sock"
PUSHES = {"fastapi_webhook_path": "/-/push", "fastapi_webhook_host": "localhost"}
tmp_path, proxy_for = front.tmp_path, front.proxy_for


@pytest.fixture
def render(render, tmp_path):
    """With the listener's socket in the test's own directory."""
    return lambda role, template, **variables: render(role, template, **variables).replace(SOCKET, f"{tmp_path}/push")


class Listener(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    heard: list[tuple[str, str, int]]


class Answer(http.server.BaseHTTPRequestHandler):
    """In the place of Debian's webhook."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        whole = self.headers.get("Content-Length")
        body = self.rfile.read(int(whole)) if whole else b""
        self.server.heard.append((self.command, self.path, len(body)))
        self.send_response(202)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"push")

    do_GET = do_POST  # noqa: N815

    def address_string(self) -> str:
        return "proxy"

    def log_message(self, *_words: object) -> None:
        pass


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    with Listener(f"{tmp_path}/push", Answer) as server:
        server.heard = []
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def post(port: int, path: str, body: bytes = b"{}") -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("POST", path, body, {"Content-Type": "application/json", "X-Hub-Signature-256": "x"})
        return connection.getresponse().status
    except (BrokenPipeError, ConnectionResetError):
        return connection.getresponse().status
    finally:
        connection.close()


CLOSED = {
    "fastapi_protect": [{"path": "/", "users": {"ann": front.HASH}}, {"path": "/", "addresses": ["10.0.0.0/8"]}],
    "fastapi_maintenance": True,
    "fastapi_max_body": "1K",
}


def test_a_push_passes_what_others_do_not(proxy_for, listener: Listener) -> None:
    port = proxy_for(**PUSHES, **CLOSED)
    assert post(port, "/-/push", 100_000 * b"x") == 202
    assert post(port, "/-/push?x=1") == 202
    assert [(method, path.partition("?")[0], size) for method, path, size in listener.heard] == [
        ("POST", "/hooks/push", 100_000),
        ("POST", "/hooks/push", 2),
    ]
    assert post(port, "/") in (401, 403, 503)
    assert post(port, "/-/push", 5_300_000 * b"x") == 413
    assert len(listener.heard) == 2


def test_one_spelling_alone_leads_there(proxy_for, listener: Listener) -> None:
    port = proxy_for(**PUSHES, **CLOSED)
    others = ["/-/PUSH", "/-/push/", "/-/push/x", "//-/push", "/-//push", "/%2d/push/", "/x/../-/push", "/-/./push"]
    others += ["/-/push%0a", "/-/pus", "/-/pushes", "/hooks/push", "/-/push;x", "/-/push%2f", "/-/push%3f"]
    answers = front.ask(port, others)
    assert listener.heard == []
    assert not {target for target, answer in answers.items() if front.status(answer) in (200, 202, 502)}


def test_on_another_host_the_app_is_asked(proxy_for, listener: Listener, tmp_path: Path) -> None:
    """The site is the same everywhere, and so is the variable: there the path is a path as any other."""
    with front.app_at(tmp_path / "live.sock", True, "h11"):
        port = proxy_for(**PUSHES | {"fastapi_webhook_host": "elsewhere"})
        assert b"the secret" in front.ask(port, ["/-/push"])["/-/push"]
    assert listener.heard == []


def test_beside_pushes_the_app_is_asked_as_before(proxy_for, listener: Listener, tmp_path: Path) -> None:
    with front.app_at(tmp_path / "live.sock", True, "h11"):
        port = proxy_for(**PUSHES)
        answers = front.ask(port, ["/health", "/", "/-/pushed"])
    assert b"well" in answers["/health"] and b"the secret" in answers["/"] and b"the secret" in answers["/-/pushed"]
    assert listener.heard == []


def site(render, proxy: str, **variables: object) -> str:
    role_vars = yaml.safe_load((ROOT / "roles" / proxy / "vars" / "main.yml").read_text())
    found = {"present": True, "current": True, "flushes": True, "own_main": False}
    found |= {"others": [], "open_ports": [], "brought": False, "ipv6": False}
    host = {"host": {proxy: found}}
    template = {"caddy": "site.caddy.j2", "nginx": "site.conf.j2"}[proxy]
    return render(proxy, template, **{**role_vars, "fastapi_found": host, **variables})


@pytest.mark.parametrize("proxy", ["caddy", "nginx"])
def test_the_first_host_of_the_play_takes_the_pushes(render, proxy: str) -> None:
    groups = {"all": ["web1", "web2"], "ungrouped": [], "api": ["web2"]}

    def takes(host: str, **variables: object) -> bool:
        given = {"inventory_hostname": host, "groups": groups, "fastapi_webhook_path": "/-/push", **variables}
        return "hooks/push" in site(render, proxy, **given)

    assert [takes(host) for host in ("web1", "web2")] == [True, False]
    assert [takes(host, fastapi_hosts="api") for host in ("web1", "web2")] == [False, True]
    assert [takes(host, fastapi_webhook_host="web2") for host in ("web1", "web2")] == [False, True]
    assert not takes("web1", fastapi_webhook_path="")


@pytest.mark.parametrize("proxy", ["caddy", "nginx"])
def test_a_site_that_takes_no_pushes_has_nothing_of_it(render, proxy: str) -> None:
    assert "push" not in site(render, proxy)
    assert "push" not in site(render, proxy, **PUSHES | {"fastapi_webhook_host": "elsewhere"})


# What listens.

SECRET = "canary-aZ0._~+/=:@%^*,!-"


def role(render, template: str, **variables: object) -> str:
    variables = {"fastapi_domains": [], "inventory_hostname": "web1", "groups": {"all": ["web1"]}, **variables}
    return render("webhook", template, **variables, __webhook_deployer={"digest": "0123456789abcdef", "key": "ssh-x"})


def filled_in(text: str, secret: str) -> list[dict]:
    """As webhook -template reads it: a Go template whose only function here is getenv."""
    text = re.sub(r"\{\{/\*.*?\*/\}\}", "", text, flags=re.DOTALL)
    text = re.sub(r'\{\{ getenv "SECRET" \}\}', lambda _match: secret, text)
    assert "{{" not in text
    return json.loads(text)


@pytest.mark.parametrize("branch", ["main", "feature/#12+fix@x", "release/1.x-y_z", "", 200 * "x"])
@pytest.mark.parametrize("tags", ["", "v*", "v?.?-#@+"])
def test_the_hooks_are_json_whatever_the_branch_is_called(render, branch: str, tags: str) -> None:
    text = role(render, "hooks.json.j2", fastapi_webhook_branch=branch, fastapi_webhook_tags=tags)
    (hook,) = filled_in(text, SECRET)
    arguments = [argument["name"] for argument in hook["pass-arguments-to-command"]]
    assert arguments == ["take", "/var/lib/graceful-webhook/hello/queue", branch, tags]
    assert hook["execute-command"] == "/usr/local/lib/graceful-webhook/push.py" and hook["http-methods"] == ["POST"]
    rules = [rule["match"] for rule in hook["trigger-rule"]["or"]]
    # Each asks for the secret: without it nothing matches.
    assert [rule.get("secret") or rule["value"] for rule in rules] == [SECRET] * 4 + [f"Bearer {SECRET}"]
    assert {rule["type"] for rule in rules} == {"payload-hmac-sha256", "value"}
    names = [given["envname"] for given in hook["pass-environment-to-command"]]
    assert len(set(names)) == len(names)
    program = (ROOT / "roles/webhook/files/push.py").read_text()
    assert all(f'"{name}"' in program for name in names)


FILES = [path.name for path in (ROOT / "roles/webhook/templates").glob("*.j2") if path.name != "sandbox.j2"]


@pytest.mark.parametrize("template", FILES)
def test_the_secret_is_in_no_file_but_its_own(render, template: str) -> None:
    variables = {"fastapi_webhook_secret": SECRET, "fastapi_webhook_path": "/-/push"}
    text = role(render, template, **variables, __webhook_tried={"reason": ""})
    assert "canary" not in text and text.strip()


def test_the_secrets_file_is_roots_alone_and_no_task_shows_it() -> None:
    variables = yaml.safe_load((ROOT / "roles/webhook/vars/main.yml").read_text())
    assert variables["_webhook_secret"]["mode"] == "0600" and set(variables["_webhook_secret"]) == {"path", "mode"}
    uses = re.findall(
        r"^.*fastapi_webhook_secret.*$", (ROOT / "roles/webhook/tasks/present.yml").read_text(), re.MULTILINE
    )
    # As whether one has to be made, as a condition, and as module layer's secrets.
    assert len(uses) == 3 and uses[2].strip().startswith("secrets:"), uses


@pytest.mark.parametrize(
    ("variables", "address"),
    [
        ({"fastapi_domains": ["a.org", "b.org"], "fastapi_tls": "acme"}, "https://a.org/-/push"),
        ({"fastapi_tls": "off"}, "http://web1/-/push"),
        ({"fastapi_tls": "off", "ansible_host": "10.0.0.1"}, "http://10.0.0.1/-/push"),
        ({"fastapi_tls": False, "fastapi_domains": ["a.org"]}, "http://a.org/-/push"),
        (
            {"fastapi_tls": "off", "fastapi_domains": ["a.org"], "fastapi_trusted_proxies": ["10.0.0.0/8"]},
            "https://a.org/-/push",
        ),
    ],
)
def test_what_is_left_to_do_is_said_with_the_address(render, variables: dict, address: str) -> None:
    tried = {"__webhook_tried": {"reason": "web1: no:\nfirst\nsecond"}}
    text = role(render, "next.j2", fastapi_webhook_path="/-/push", **variables, **tried)
    assert f"Pushes are taken at {address}\n" in text
    assert text.startswith("A push couldn't be deployed yet: web1: no:\n   first\n   second\n")
    assert "sudo sed -n s/^SECRET=//p /etc/graceful-webhook/hello.secret" in text and "authorized_keys" not in text
    many = {"groups": {"all": ["web1", "web2"]}, "__webhook_tried": {"reason": ""}, "fastapi_webhook_secret": SECRET}
    text = role(render, "next.j2", fastapi_webhook_path="/-/push", **variables, **many)
    assert "logs in as on web2." in text and "are all right" in text and "canary" not in text
