"""A host that is read once more: beside, moved in, and gone back."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._adopt import record
from ansible_collections.graceful.deploy.plugins.module_utils._adopt.look import look
from ansible_collections.graceful.deploy.plugins.module_utils._adopt.programs import Host, Refused
from ansible_collections.graceful.deploy.plugins.plugin_utils._adopt.inventory import name_of

HOSTS = Path(__file__).resolve().parents[3] / "adopt_hosts"


@pytest.fixture
def again(tmp_path, monkeypatch):
    """Read a host on which moves are noted, by the old one's name and the stage."""

    def read(name: str, unit: str = "", root: str = "", **stages: str) -> dict[str, Any]:
        shutil.copytree(HOSTS / name / "host", tmp_path, symlinks=True, dirs_exist_ok=True)
        kept = [
            {"adopt": {"unit": f"{old}.service"}, "name": old, "root": root or f"/srv/{old}", "stage": stage}
            for old, stage in stages.items()
        ]
        monkeypatch.setattr(record, "adopted", lambda: kept)
        return look(Host(lambda _command: (1, "", ""), str(tmp_path)), unit, 2)

    return read


@pytest.mark.parametrize(
    ("stage", "said", "then"),
    [
        ("moving", "a run of step=move was cut off", "Next is step=move"),
        ("moved", "has been moved in already, and runs on without traffic", "Next is step=finish"),
        ("finishing", "has been moved in already, and runs on without traffic", "Next is step=finish"),
        ("finished", "has been moved in already, and is stopped and disabled", "Next is site.yml"),
    ],
)
@pytest.mark.parametrize("unit", ["", "shop", "shop.service"])
def test_what_has_moved_in_is_told_as_that(again, stage, said, then, unit):
    with pytest.raises(Refused) as refused:
        again("uvicorn", unit, shop=stage)
    assert said in str(refused.value) and then in str(refused.value) and "step=undo" in str(refused.value)


def test_it_is_told_where_its_keeper_has_its_file_no_more(again, tmp_path):
    """supervisord's file has another name after finish."""
    with pytest.raises(Refused, match=r"gone\.service has been moved in already"):
        again("compose", gone="finished")


def test_the_other_one_of_two_is_the_one_that_is_left(again):
    assert again("two", one="finished")["program"]["name"] == "two.service"
    with pytest.raises(Refused, match=r"one\.service has been moved in already"):
        again("two", "one", one="finished")


@pytest.mark.parametrize(("root", "written"), [("/srv/shop", ""), ("/srv/shop-app", "/srv/shop-app")])
def test_one_that_runs_beside_keeps_its_name_and_directory(again, tmp_path, root, written):
    """Both are there by now, and would be taken for somebody else's."""
    for path in ("srv/shop/slots", "run/shop"):
        (tmp_path / path).mkdir(parents=True)
    assert name_of(again("uvicorn", root=root, shop="beside")) == ("shop", written)


def test_the_data_of_one_that_was_taken_off_is_nobody_elses(again, tmp_path):
    (tmp_path / "srv" / "shop" / "shared").mkdir(parents=True)
    assert name_of(again("uvicorn")) == ("shop", "")
    (tmp_path / "srv" / "shop" / "theirs").touch()
    assert name_of(again("uvicorn")) == ("shop", "/srv/shop-app")


def test_a_directory_of_that_name_in_which_the_old_one_is_stays_its_own(again, tmp_path):
    unit = tmp_path / "etc" / "systemd" / "system" / "shop.service"
    found = again("uvicorn")
    (tmp_path / "srv" / "shop").mkdir(parents=True)
    shutil.move(tmp_path / "opt" / "shop", tmp_path / "srv" / "shop" / "shared")
    text = unit.read_text().replace("/opt/shop", "/srv/shop/shared")
    unit.write_text(text)
    found = look(Host(lambda _command: (1, "", ""), str(tmp_path)), "", 2)
    assert name_of(found) == ("shop", "/srv/shop-app")


def test_all_moves_are_found_those_without_a_unit_of_ours_too(tmp_path, monkeypatch):
    monkeypatch.setattr(record, "OUTSIDE", str(tmp_path / "lib"))
    monkeypatch.setattr(record, "roots_by_units", lambda _units: {"far": str(tmp_path / "else" / "far")})
    for root, stage in ((tmp_path / "srv" / "near", "beside"), (tmp_path / "else" / "far", "moved")):
        record.save(str(root), {"adopt": {"unit": f"{root.name}.service"}, "name": root.name, "stage": stage})
    (tmp_path / "srv" / "other").mkdir()
    found = {row["root"]: row["stage"] for row in record.adopted(str(tmp_path / "srv"))}
    assert found == {str(tmp_path / "srv" / "near"): "beside", str(tmp_path / "else" / "far"): "moved"}
