"""Who asks an app whether it is well is answered as its clients are, and sees what they see; and a balancer is."""

from __future__ import annotations

import pytest


def at_socket(door, target: str, *headers: str) -> str:
    """The status of the shop's answer to somebody who doesn't come through the proxy."""
    options = [word for header in headers for word in ("--header", header)]
    return door.curl(
        "-o", "/dev/null", "-w", "%{http_code}", "--unix-socket", "/srv/shop/live.sock", *options, f"http://x{target}"
    )


@pytest.mark.core
def test_an_app_that_takes_its_clients_alone_is_asked_as_they_ask(door):
    """It was deployed by the first run. The proxy's own questions get through to /ready, again and again."""
    assert at_socket(door, "/ready") == "400"
    assert at_socket(door, "/ready", "Host: shop.test") == "307"
    assert at_socket(door, "/ready", "Host: shop.test", "X-Forwarded-Proto: https") == "500"
    gone = "test ! -e /srv/shop/shared/switches/slow-ready && echo gone || true"
    for _ in range(3):
        door.turn("slow-ready", "0", "shop")
        door.ask.until("the proxy has asked", lambda: door.ask.run(gone), 10)
        answer = door.get("/seen", "shop")
        assert (answer.status, answer.by_app) == (200, True)
    # The workers' own question, once each second interval; without a good answer they end.
    assert "Not alive" not in door.ask.run("journalctl --namespace=shop --output=cat --no-pager")


@pytest.mark.core
def test_health_is_answered_whatever_the_name_and_nothing_else_is(door):
    """As balancers ask: by the host's address, by http, or by https where the name in TLS is one of a site's."""
    ways = [{"port": 80}, {"port": 443, "tls": "shop.test"}]
    targets = {"/health": 200, "/health?x": 200, "/health/": 421, "//health": 421, "/HEALTH": 421, "/health%0a": 421}
    targets |= dict.fromkeys(["/", "/ready", "/seen", "/seen?/health", "/static/hello.txt", "/healthy"], 421)
    asked = [(way, target) for way in ways for target in targets]
    for host in ("10.0.0.5", "balancer.invalid"):
        talks = [{**way, "pieces": [[0, door.request(target, host=host)]]} for way, target in asked]
        answers = door.answers(*talks)
        for (way, target), answer in zip(asked, answers, strict=True):
            said = (answer.status, answer.by_app)
            assert said == (targets[target], targets[target] == 200), (host, way, target)


def test_a_release_that_clients_are_kept_from_is_moved_back(door, front):
    """It is alive, and was ready while it was asked at its own socket; then the proxy finds that it isn't any more."""
    before = door.get("/").json["release"]
    env = {"fastapi_env": {"DATABASE": "", "READY_FOR": "1.5"}, "fastapi_bake": 12, "_fastapi_surroundings": False}
    status, said = front.run("open", **env)
    said = " ".join(said.split())
    assert status == 2, said
    assert "didn't stay well: /health on http://" in said and "503" in said and "fastapi_ready_path" in said
    assert f"The traffic is back on release {before}" in said
    door.ask.until("clients are served", lambda: door.get("/seen").status == 200, 10)
