"""An app that somebody runs under an Oxmgr of their own is moved in by adopt.yml, to either supervisor, and back again;
beside one that this collection has brought, under load."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import pytest
import yaml
from adopted import Adopted, last
from conftest import left_of_oxmgr

STATE = "/home/shelf/.local/share/oxmgr/state.json"


@pytest.fixture
def shelf(ask, control, say, tmp_path, monkeypatch) -> Iterator[Adopted]:
    # One that was cut off has left it.
    ask.host.run("sh /opt/hand/oxmgr.sh away")
    try:
        ask.run("sh /opt/hand/oxmgr.sh")
    except BaseException:
        ask.host.run("sh /opt/hand/oxmgr.sh away")
        raise
    # The code is written there.
    monkeypatch.chdir(tmp_path)
    unit = "/srv/shelf/oxfile.toml#shelf"
    # Its rate isn't that of the rows of docs/reliability.md.
    count = lambda fault, sent, lost: say(f"{fault}: {lost} of {sent} lost")  # noqa: E731
    yield Adopted(ask, control, count, tmp_path, "shelf", "shelf.example.org", unit, "/srv/shelf-app", "Caddy")
    ask.run("sh /opt/hand/oxmgr.sh away")


def kept(ask) -> tuple[str, str]:
    """What the user's Oxmgr has written down of it: how it is, and how it is to be."""
    (row,) = json.loads(ask.run(f"cat {STATE}"))["processes"]
    return row["status"], row["desired_state"]


@pytest.mark.core
@pytest.mark.parametrize("supervisor", ["systemd", "oxmgr"])
def test_it_is_moved_and_undone(shelf, ask, supervisor):
    ours = {"fastapi_supervisor": "oxmgr", "fastapi_oxmgr": os.environ["OXMGR"]} if supervisor == "oxmgr" else {}
    ask.until("the old one serves", lambda: shelf.get("/ready")[0] == 200)
    shelf.note()
    shelf.run("", unit=shelf.unit, into=str(shelf.inventory))
    values = yaml.safe_load((shelf.inventory / "group_vars" / "all" / "app.yml").read_text())
    # The oxfile doesn't say who it runs as.
    assert (values["fastapi_name"], values["fastapi_user"], values["fastapi_workers"]) == ("shelf", "shelf", 2)
    assert values["adopt"] == {"unit": shelf.unit, "kind": "oxmgr", "at": "127.0.0.1:9100", "proxy": "caddy"}
    with shelf.loaded(f"a whole move from an oxfile to {supervisor}, and its undo") as report:
        shelf.run("beside", paths="/ready,/nothing", **ours)
        assert shelf.release == "none"
        shelf.run("move", **ours)
        assert shelf.release != "none"
        slot = ask.run(f"basename $(readlink {shelf.root}/live.sock) .sock").strip()
        unit = f"shelf-oxmgr@{slot}" if ours else f"shelf@{slot}"
        assert ask.run(f"systemctl is-active {unit}.service").strip() == "active"
        assert kept(ask) == ("running", "running")
        assert "is stopped and disabled" in shelf.run("finish", **ours)
        # As after a boot.
        ask.run("systemctl restart oxmgr")
        assert kept(ask) == ("stopped", "stopped")
        shelf.again("finish")
        shelf.run("undo", **ours)
    assert kept(ask) == ("running", "running")
    assert last(report) == "none" and len(report["releases"]) == 2
    shelf.is_as_before()
    assert not [line for line in left_of_oxmgr(ask, "shelf") if "shelf" in line and "/opt/oxmgr" not in line]


def test_an_oxmgr_that_is_down_is_told(shelf, ask):
    """Nothing says who runs the app then, nor whether it serves: `beside` begins nothing."""
    ask.run("systemctl stop oxmgr")
    said = shelf.run("", unit=shelf.unit, into=str(shelf.inventory))
    assert "its user" in said, said
    said = shelf.run("beside", ok=False)
    assert "No Oxmgr that runs on this host has an app shelf" in " ".join(said.split()), said
    assert not ask.host.file(shelf.root).exists
