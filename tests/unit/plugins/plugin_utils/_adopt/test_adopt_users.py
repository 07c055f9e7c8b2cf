"""As whom an adopted app goes on, and with which groups: no line of that is dropped."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.graceful.deploy.plugins.module_utils._adopt.look import look
from ansible_collections.graceful.deploy.plugins.module_utils._adopt.programs import Host
from ansible_collections.graceful.deploy.plugins.plugin_utils._adopt.inventory import write

HOST = Path(__file__).resolve().parents[3] / "adopt_hosts" / "uvicorn" / "host"
UVICORN = "/opt/shop/venv/bin/uvicorn main:app --port 8080"
GUNICORN = "/opt/shop/venv/bin/gunicorn main:app -k uvicorn.workers.UvicornWorker -b 127.0.0.1:8080"


@pytest.fixture
def said(tmp_path):
    """What app.yml has, and which lines have no equal, of a unit with these lines."""

    def read(lines: str, command: str = UVICORN) -> tuple[dict[str, Any], list[str]]:
        shutil.copytree(HOST, tmp_path, symlinks=True, dirs_exist_ok=True)
        (tmp_path / "etc" / "passwd").write_text("ubuntu:x:1000:1000::/:/bin/sh\nweb:x:999:33::/:/bin/sh\n")
        (tmp_path / "etc" / "group").write_text("www-data:x:33:\nubuntu:x:1000:\n")
        unit = f"[Service]\nWorkingDirectory=/opt/shop\nExecStart={command}\n{lines}"
        (tmp_path / "etc" / "systemd" / "system" / "shop.service").write_text(unit)
        found = look(Host(lambda _command: (1, "", ""), str(tmp_path)), "", 2)
        page = write(found, "../shop", "")
        return yaml.safe_load(page.app.text), [text for place, text, _why in page.unknown if "nginx" not in place]

    return read


@pytest.mark.parametrize(
    ("lines", "user", "group", "told"),
    [
        ("User=ubuntu\n", "ubuntu", None, []),
        ("User=ubuntu\nGroup=ubuntu\n", "ubuntu", None, []),
        ("User=ubuntu\nGroup=www-data\n", "ubuntu", "www-data", []),
        # Its own group has another name than it.
        ("User=web\n", "web", "www-data", []),
        ("User=web\nGroup=ubuntu\n", "web", "ubuntu", []),
        ("User=ubuntu\nGroup=root\n", "ubuntu", None, ["Group=root"]),
        ("User=ubuntu\nGroup=caddy\n", "ubuntu", None, ["Group=caddy"]),
        ("Group=www-data\n", "deploy", "www-data", ["no User=: root"]),
        ("User=root\n", "deploy", None, ["User=root"]),
    ],
)
def test_the_group_goes_on(said, lines, user, group, told):
    values, unknown = said(lines)
    assert (values["fastapi_user"], values.get("fastapi_group"), unknown) == (user, group, told)


def test_whom_gunicorn_gives_its_workers_to_is_the_user(said):
    values, unknown = said("", f"{GUNICORN} --user ubuntu --group www-data")
    assert (values["fastapi_user"], values["fastapi_group"], unknown) == ("ubuntu", "www-data", [])
    # Who isn't root can't.
    assert said("User=web\n", f"{GUNICORN} --user ubuntu")[0]["fastapi_user"] == "web"


def test_more_groups_go_on_as_they_were(said):
    values, unknown = said("User=ubuntu\nSupplementaryGroups=audio video\nSupplementaryGroups=redis\n")
    assert values["fastapi_sandbox"] == {"SupplementaryGroups": ["audio", "video", "redis"]} and unknown == []


def test_a_second_address_is_told(said):
    _values, unknown = said("User=ubuntu\n", f"{GUNICORN} -b 0.0.0.0:9000")
    assert unknown == ["it listens at 127.0.0.1:9000 too"]
