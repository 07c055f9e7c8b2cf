"""What is asked, and as whom: every question of ours to an app is like a request of one of its clients."""

from __future__ import annotations

import contextlib
import http.server
import importlib.util
import socketserver
import sys
import threading
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.filter.client import client
from ansible_collections.graceful.deploy.plugins.module_utils._host import probe
from ansible_collections.graceful.deploy.plugins.module_utils._host.door import GATED, Door, as_client
from ansible_collections.graceful.deploy.plugins.module_utils._host.probe import Answer, ask, wait_until_good

ROLES = Path(__file__).resolve().parents[5] / "roles"


class Handler(http.server.BaseHTTPRequestHandler):
    """Keeps what it was asked, and answers as the server's `answer` says: a status, where it sends to or its text."""

    def do_GET(self):
        self.server.heard.append((self.path, dict(self.headers)))
        status, to = self.server.answer
        self.send_response(status)
        if to and status < 400:
            self.send_header("Location", to)
        self.end_headers()
        if status >= 400:
            self.wfile.write(to.encode())

    def address_string(self):
        return "socket"

    def log_message(self, *_):
        pass


class UnixServer(socketserver.ThreadingUnixStreamServer):
    def get_request(self):
        return super().get_request()[0], ("socket", 0)


@contextlib.contextmanager
def serving(server):
    server.heard, server.answer = [], (200, "")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with server:
        yield server
        server.shutdown()


@pytest.fixture
def app(tmp_path):
    with serving(UnixServer(str(tmp_path / "s"), Handler)) as server:
        yield server


@pytest.fixture
def proxy():
    with serving(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        yield server


def test_the_app_is_asked_as_the_proxy_hands_on_what_a_client_asks(app):
    ask(Door("shop.test", unix=app.server_address, scheme="https"), "/ready", 5)
    ((path, headers),) = app.heard
    assert path == "/ready"
    assert headers.items() >= as_client("shop.test", "https").items()
    assert headers["Host"] == headers["X-Forwarded-Host"] == "shop.test"
    assert (headers["X-Forwarded-For"], headers["X-Forwarded-Proto"]) == ("127.0.0.1", "https")


def test_the_proxy_is_asked_as_a_client_asks_and_told_to_answer_as_it_answers_them(proxy):
    ask(Door("shop.test", port=proxy.server_port, scheme="https"), "/health", 5)
    ((_path, headers),) = proxy.heard
    assert (headers["Host"], headers[GATED]) == ("shop.test", "1")
    assert not [name for name in headers if name.startswith("X-Forwarded")]


@pytest.mark.parametrize(
    ("scheme", "to", "good"),
    [
        ("https", "https://shop.test/health", True),
        ("http", "https://shop.test/health", False),
        ("https", "http://shop.test/", False),
        ("https", "/login", False),
    ],
)
def test_past_the_proxy_that_ends_tls_being_sent_to_https_is_an_answer_and_nothing_else(proxy, scheme, to, good):
    proxy.answer = (307, to)
    answer = ask(Door("shop.test", port=proxy.server_port, scheme=scheme), "/health", 5)
    assert (answer.good, str(answer)) == (good, f"307 to {to}")


def test_an_app_that_sends_its_clients_elsewhere_is_not_ready(app):
    app.answer = (307, "https://shop.test/ready")
    assert not ask(Door("shop.test", unix=app.server_address, scheme="https"), "/ready", 5).good


@pytest.mark.parametrize(
    ("status", "to", "words"),
    [
        (400, "Invalid host header", ["Host shop.test", "fastapi_domains", "TrustedHostMiddleware"]),
        (400, '{"error": "no such link"}', ["/{id}", "takes /ready", "fastapi_ready_path: /system/health"]),
        (404, '{"detail": "No such link"}', ["/{id}", "fastapi_ready_path: /system/health"]),
        (422, '{"detail": [{"loc": ["path", "id"]}]}', ["/{id}", "fastapi_ready_path: /system/health"]),
        (404, '{"detail":"Not Found"}', ["Add it."]),
        (307, "https://shop.test/ready", ["to https://shop.test/ready", "by http", "fastapi_tls", "trusted_proxies"]),
        (404, "", ["Add it."]),
    ],
)
def test_what_an_app_says_to_no_client_is_not_waited_for_and_names_what_to_write(app, monkeypatch, status, to, words):
    monkeypatch.setattr(probe, "NOT_THERE", 0.2)
    app.answer = (status, to)
    said = wait_until_good(Door("shop.test", unix=app.server_address), "/ready", 30, pause=0.01, not_there="Add it.")
    assert isinstance(said, str) and f"answers {status}" in said
    assert [word for word in words if word not in said] == []
    # Whoever has no such middleware looks for it in vain.
    assert ("TrustedHostMiddleware" in said) == ("TrustedHostMiddleware" in words)


@pytest.mark.parametrize(
    ("status", "words"), [(503, ["Host shop.test", "fastapi_ready_path"]), (421, ["fastapi_domains"]), (502, ["502"])]
)
def test_what_clients_get_of_the_proxy_is_told_with_what_to_do(proxy, status, words):
    proxy.answer = (status, "")
    said = wait_until_good(Door("shop.test", port=proxy.server_port), "/health", 0.3, pause=0.01)
    assert isinstance(said, str) and f"last answer: {status}" in said
    assert [word for word in words if word not in said] == []


def test_a_last_question_without_time_for_its_answer_hides_no_other(monkeypatch):
    answers = [Answer(503, "held back"), Answer(0, probe.TIMED_OUT)]
    monkeypatch.setattr(probe, "ask", lambda *_: answers.pop(0) if len(answers) > 1 else answers[0])
    said = wait_until_good(Door("shop.test", port=1), "/health", 0.3, pause=0.01)
    assert isinstance(said, str) and "last answer: 503 held back" in said
    # One that had all the time that there is tells the state.
    assert "TimeoutError" in str(wait_until_good(Door("shop.test", port=1), "/health", 0.1, pause=0.01))


@pytest.mark.parametrize(
    ("domains", "address", "tls", "trusted", "asked"),
    [
        (["shop.test", "b.test"], "web1", "acme", [], ("shop.test", "https")),
        (["*.shop.test"], "web1", "files", [], ("www.shop.test", "https")),
        (["shop.test"], "web1", "off", [], ("shop.test", "http")),
        # A bare off is false to YAML.
        (["shop.test"], "web1", False, [], ("shop.test", "http")),
        (["shop.test"], "web1", "off", ["10.0.0.5"], ("shop.test", "https")),
        ([], "192.0.2.10", "off", [], ("192.0.2.10", "http")),
        ([], "2001:db8::1", "off", [], ("[2001:db8::1]", "http")),
        ([], "web_1.example", "off", [], ("web_1.example", "http")),
        ([], 'a "b"', "off", [], ("localhost", "http")),
    ],
)
def test_whom_an_app_is_asked_for(domains, address, tls, trusted, asked):
    found = client(domains, address, tls, trusted)
    assert (found["host"], found["scheme"]) == asked
    assert found["headers"] == as_client(*asked)


def module(role: str, name: str):
    spec = importlib.util.spec_from_file_location(name, ROLES / role / "files" / f"{name}.py")
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[name] = loaded
    spec.loader.exec_module(loaded)
    return loaded


def test_nginx_readiness_asks_with_the_same_headers(app, monkeypatch):
    ready = module("nginx", "ready")
    arguments = [app.server_address, "/ready", "shop.test", "https", "1", "5", "flag"]
    monkeypatch.setattr(sys, "argv", ["ready.py", *arguments])

    class Enough(Exception):
        pass

    def end(_seconds):
        raise Enough

    monkeypatch.setattr(ready.time, "sleep", end)
    with pytest.raises(Enough):
        ready.main()
    ((path, headers),) = app.heard
    assert (path, headers) == ("/ready", {**as_client("shop.test", "https"), "Connection": "close"})
