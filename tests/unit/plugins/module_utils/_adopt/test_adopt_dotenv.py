"""The .env that an app reads by itself is its environment too: read as its library does, or refused, never dropped."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from ansible_collections.graceful.deploy.plugins.module_utils._adopt import dotenv, steps
from ansible_collections.graceful.deploy.plugins.module_utils._adopt.look import look
from ansible_collections.graceful.deploy.plugins.module_utils._adopt.programs import Host, Refused
from ansible_collections.graceful.deploy.plugins.plugin_utils._adopt.environment import sort
from ansible_collections.graceful.deploy.plugins.plugin_utils._adopt.inventory import write

TEXT = """# a comment
export SECRET_KEY='it is \\'s'  # behind
DATABASE_URL=postgresql://shop:correct-horse@db/${NAME:-shop}   # where
NAME = "x\\ny"
EMPTY=
BARE
USED=${NAME}-${FROM_UNIT}
"""


def shop(tmp_path: Path, env: bytes | None) -> Host:
    for path, text in {
        "etc/systemd/system/shop.service": "[Service]\nUser=root\nWorkingDirectory=/srv/shop\n"
        "Environment=FROM_UNIT=u NAME=unit\nExecStart=/srv/shop/venv/bin/uvicorn main:app\n",
        "etc/caddy/Caddyfile": "a.example.com {\n\treverse_proxy :8000\n}\n",
        "srv/shop/main.py": "app = 1\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    if env is not None:
        (tmp_path / "srv/shop/.env").write_bytes(env)
    return Host(lambda _command: (1, "", ""), str(tmp_path))


def test_it_is_read_as_python_dotenv_reads_it():
    assert dotenv.parse(TEXT, {"FROM_UNIT": "u"}) == {
        "SECRET_KEY": "it is 's",
        "DATABASE_URL": "postgresql://shop:correct-horse@db/shop",
        "NAME": "x\ny",
        "EMPTY": "",
        "USED": "x\ny-u",
    }


def test_what_the_unit_sets_wins_over_it():
    found = sort(
        {"A": "unit"}, {"/e": {"B": "file"}}, "/srv/a", {"/1": {"A": "x", "B": "x", "C": "1"}, "/2": {"C": "2"}}
    )
    assert ({**found.plain, **found.secret}) == {"A": "unit", "B": "file", "C": "1"}


def test_it_is_in_the_inventory_and_shown_nowhere(tmp_path):
    page = write(look(shop(tmp_path, TEXT.encode()), "", 2), "../shop", "")
    secrets, app = yaml.safe_load(page.secrets), yaml.safe_load(page.app.text)
    assert secrets["secret_env"]["DATABASE_URL"] == "postgresql://shop:correct-horse@db/unit"
    assert app["fastapi_env"]["SECRET_KEY"] == "{{ secret_env.SECRET_KEY }}"
    assert "correct-horse" not in page.app.text + str(page.app.notes)
    assert any(note.startswith("/srv/shop/.env, which no unit names") for note in page.app.notes)
    assert "unread" not in app["adopt"]


def test_one_that_cannot_be_read_keeps_it_from_going_on(tmp_path, monkeypatch):
    page = write(look(shop(tmp_path, b"A=\xe4\n"), "", 2), "../shop", "")
    adopt = yaml.safe_load(page.app.text)["adopt"]
    assert adopt["unread"] == ["/srv/shop/.env"]
    params = {"name": "shop", "root": str(tmp_path / "root"), "adopt": adopt, "step": "begin"}
    with pytest.raises(Refused, match=r"/srv/shop/\.env couldn't be read .* Write its variables into fastapi_env"):
        steps.Move(lambda _command: (0, "", ""), params, False).go()
    assert not (tmp_path / "root").exists()


def test_it_is_read_with_the_rights_of_the_apps_user(monkeypatch):
    asked: list[list[str]] = []

    def run(command: list[str]) -> tuple[int, str, str]:
        asked.append(command)
        return 0, "A=1\n", ""

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os.path, "lexists", lambda path: path == "/srv/shop/.env")
    found = dotenv.look(Host(run), dotenv.files("/srv/shop", "/srv/shop"), "deploy", "web", {})
    assert found == {"/srv/shop/.env": {"A": "1"}}
    assert asked[0][:6] == ["runuser", "-u", "deploy", "-g", "web", "--"] and "timeout" in asked[0]


def test_no_env_is_none(tmp_path):
    assert look(shop(tmp_path, None), "", 2)["dotenv"] == {}
