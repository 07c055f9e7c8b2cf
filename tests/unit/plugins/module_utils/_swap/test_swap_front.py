"""Which door a deploy, and a rollback, ask clients' question at."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any

from ansible_collections.graceful.deploy.plugins.module_utils._swap.flow import Deploy

TERMS = SimpleNamespace(host="shop.example.org", scheme="https", health_path="/alive")


def front(port: int, rollback: bool) -> tuple[Any, list[str]]:
    deploy, warned = Deploy.__new__(Deploy), []
    deploy.params = {"front_port": port, "front_tls": False, "rollback": rollback, "host": "", "scheme": "http"}
    deploy.warn = warned.append
    return deploy._front(SimpleNamespace(terms=TERMS)), warned


def test_a_rollback_asks_as_the_live_slots_clients_do():
    """It is run with a name and nothing else, so the name that clients ask for is the slot's."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        door, warned = front(server.getsockname()[1], rollback=True)
    assert (door.host, door.scheme, warned) == ("shop.example.org", "https", [])


def test_a_rollback_with_another_hosts_port_does_not_fail_for_that():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    door, warned = front(port, rollback=True)
    assert door is None
    assert f"nobody listens at port {port}" in warned[0] and "fastapi_http_port" in warned[0]
    # A deploy knows what it is told, and has to see that clients are served.
    door, warned = front(port, rollback=False)
    assert (door.port, warned) == (port, [])
