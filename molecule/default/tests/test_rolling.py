"""Several hosts: all are ready before the first one moves, and where one fails, none has the new release."""

from __future__ import annotations

import json

import pytest
from two_hosts import DIES_WHEN_LIVE, HELLO, history, live, source

pytestmark = pytest.mark.usefixtures("before_the_reboot")


@pytest.fixture
def deploy(control, hosts, tmp_path):
    """Deploy to both hosts."""
    inventory = tmp_path / "both.json"
    reached = {"ansible_connection": "community.docker.docker"}
    options = ("-i", str(inventory), "--limit", ",".join(hosts))

    def run(source: str, second: dict | None = None, **variables: object) -> tuple[int, str]:
        """:param second: variables of the second host alone."""
        own = {hosts[0]: {**reached, "fastapi_env": {}}, hosts[1]: {**reached, "fastapi_env": {}, **(second or {})}}
        inventory.write_text(json.dumps({"all": {"hosts": own}}))
        return control.run(
            "release", *options, fastapi_name="hello", fastapi_source=source, fastapi_bake=1, **variables
        )

    return run


FAILS_HERE = """
import os
if os.environ.get("ODD"):
    raise RuntimeError("only here")
"""


def test_all_hosts_move_or_none(hosts, deploy, tmp_path):
    begin = {name: live(name) for name in hosts}
    before = {name: history(name) for name in hosts}

    # One that fails on the second host alone, before anybody's traffic moves.
    status, said = deploy(source(tmp_path, FAILS_HERE), {"fastapi_env": {"ODD": "1"}})
    assert status == 2, said
    assert "only here" in said
    assert f"because of {hosts[1]}, so that" in said
    assert f"{hosts[0]} is as it was." in said
    assert {name: live(name) for name in hosts} == begin
    assert history(hosts[0]) == before[hosts[0]]
    assert [entry["outcome"] for entry in history(hosts[1])[len(before[hosts[1]]) :]] == ["failed"]

    # One that dies on the second host when it has the traffic there: by then the first has it, and gives it back.
    status, said = deploy(source(tmp_path, DIES_WHEN_LIVE), {"fastapi_env": {"ODD": "1"}})
    assert status == 2, said
    assert f"because of {hosts[1]}, so that" in said
    assert f"{hosts[0]} is back on release {begin[hosts[0]]}." in said
    assert {name: live(name) for name in hosts} == begin
    new = [(entry["kind"], entry["outcome"]) for entry in history(hosts[0])[len(before[hosts[0]]) :]]
    assert new == [("deploy", "live"), ("rollback", "live")]


def test_migrations_run_once_before_any_host_starts_the_release(hosts, deploy, tmp_path):
    before = {name: history(name) for name in hosts}
    tree = source(tmp_path, "# a new release")
    status, said = deploy(tree, fastapi_before_swap=["echo migrating; exit 3"])
    assert status == 2, said
    assert "fastapi_before_swap" in said
    assert "migrating" in said
    assert f"because of {hosts[0]}, so that" in said
    for name in hosts:
        assert [entry for entry in history(name)[len(before[name]) :] if entry["outcome"] != "failed"] == []
    status, said = deploy(tree, fastapi_before_swap=["echo migrated $FASTAPI_RELEASE as $(id -un)"])
    assert status == 0, said
    assert said.count("migrated") == 2  # the command, and what it printed
    assert "as deploy" in said
    assert live(hosts[0]) == live(hosts[1])
    assert f"migrated {live(hosts[0])}" in said
    phases = [list(history(name)[-1]["phases"]) for name in hosts]
    assert all("adopt" in each and "start" not in each for each in phases)
    # Back to what the other tests expect; its migrations have been.
    status, said = deploy(str(HELLO), fastapi_before_swap=["echo migrated"], fastapi_serial="100%")
    assert status == 0, said
