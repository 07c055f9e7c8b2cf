"""What status says on a balancer."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._observe import balance

SAID = {"hosts": [{"name": "web1", "dial": "192.0.2.1:80"}], "path": "/ready", "host": "a.org", "scheme": "https"}
OURS = "# Written by Ansible (graceful.deploy.caddy); changes made here are undone by the next run.\n"


def test_the_site_says_what_it_balances() -> None:
    assert balance.parse(f"{OURS}# wants {{}}\n# balances {json.dumps(SAID)}\n") == SAID
    assert balance.parse(f"{OURS}# wants {{}}\n") is None
    # Somebody else's may say what it likes.
    assert balance.parse(f"# balances {json.dumps(SAID)}\n") is None


class Systemd:
    def show(self, units: list[str]) -> dict[str, dict[str, str]]:
        return {unit: {"ActiveState": "active"} for unit in units}


@pytest.fixture
def host():
    """A host of the app that is ready for who asks as clients of the site do."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            good = self.headers["Host"] == "a.org" and self.headers["X-Forwarded-Proto"] == "https"
            self.send_response(200 if good else 400)
            self.end_headers()
            self.wfile.write(b"ready")

        def log_message(self, *_words: object) -> None: ...

    server = HTTPServer(("127.0.0.2", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.2:{server.server_port}"
    server.shutdown()


@pytest.fixture
def certificate(monkeypatch) -> dict:
    shown = {"begins": 0, "ends": time.time() + 60 * 86400, "names": ["a.org"]}
    monkeypatch.setattr(balance, "served", lambda name: shown if name == "a.org" else {})
    return shown


def test_each_host_is_asked(host: str, certificate: dict) -> None:
    said = SAID | {"hosts": [{"name": "web1", "dial": host}, {"name": "web2", "dial": "127.0.0.3:9"}]}
    found = balance.report(Systemd(), "hello", said)
    assert [(row["host"], row["ready"]) for row in found["balances"]] == [("web1", True), ("web2", False)]
    lines = found["text"].splitlines()
    assert lines[0] == "hello: nginx is active, and hands requests to 1 of 2 hosts of the app"
    assert lines[3].split()[:4] == ["web1", host, "200", "ready"]
    assert "no answer" in lines[4]
    assert found["shared"] == {} and found["certificate"] == {"ends": certificate["ends"], "names": ["a.org"]}


SHARES = """vrrp_instance shop {
    interface eth0
    virtual_router_id 10
    virtual_ipaddress {
        %s/24
    }
}
"""


@pytest.mark.parametrize(("address", "here"), [("127.0.0.1", True), ("192.0.2.10", False)])
def test_who_has_the_shared_address(tmp_path, monkeypatch, certificate, address, here):
    monkeypatch.setattr(balance, "SHARED", str(tmp_path))
    (tmp_path / "hello.conf").write_text(SHARES % address)
    certificate["ends"] = 86400.0
    found = balance.report(Systemd(), "hello", SAID | {"hosts": []})
    assert found["shared"] == {"address": address, "here": here, "keepalived": "active"}
    lines = found["text"].splitlines()
    assert lines[1] == f"  The shared address {address} is {'here' if here else 'not here'}; keepalived is active."
    assert lines[2] == "  The certificate has ended on 1970-01-02, and should have been renewed."
