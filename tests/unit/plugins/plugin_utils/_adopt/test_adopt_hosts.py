"""Ten hosts that somebody set up by hand, and what is written of each: tests/unit/adopt_hosts/NAME/host is the host's
tree, and beside it are the files that come of it. WRITE=1 writes these anew, to be read before they are committed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import yaml
from ansible_collections.graceful.deploy.plugins.module_utils._adopt.look import look
from ansible_collections.graceful.deploy.plugins.module_utils._adopt.programs import Host, Refused
from ansible_collections.graceful.deploy.plugins.plugin_utils._adopt.inventory import Page, write
from ansible_collections.graceful.deploy.plugins.plugin_utils._adopt.source import from_source
from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs.check import check, check_names
from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs.specification import load_spec, typed

HOSTS = Path(__file__).resolve().parents[3] / "adopt_hosts"
NAMES = sorted(path.name for path in HOSTS.iterdir())
UNIT = {"two": "one", "two-apps": "one"}
SECRETS = ["correct-horse", "9f8e7d6c", "tok-5a6b", "pa ss", "$2a$14", "$2y$05"]


def read(name: str, unit: str = "") -> Page:
    host = Host(lambda _command: (1, "", ""), str(HOSTS / name / "host"))
    found = look(host, unit or UNIT.get(name, ""), cpus=2)
    top = host.top + found["directory"]
    shown = from_source(top, "../shop", {"user", "tls", "proxy", "static", "max_body", "ready_path"}, "/srv/shop")
    return write(found, "../shop", "", shown)


def written(name: str) -> dict[str, str]:
    """The files that come of a host, by name."""
    try:
        page = read(name)
    except Refused as refused:
        return {"refused.txt": f"{refused}\n"}
    files = {"app.yml": page.app.text, "notes.txt": "".join(f"{note}\n" for note in page.app.notes)}
    files["secrets.yml"] = f"---\n{page.secrets}" if page.secrets else ""
    return {name: text for name, text in files.items() if text}


@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_of_it(name):
    files, place = written(name), HOSTS / name
    if os.environ.get("WRITE"):
        for path in place.glob("*.*"):
            path.unlink()
        for file, text in files.items():
            (place / file).write_text(text)
    assert {path.name: path.read_text() for path in place.glob("*.*")} == files


@pytest.mark.parametrize("name", [name for name in NAMES if name != "compose"])
def test_it_is_an_inventory_that_preflight_takes(name):
    page = read(name)
    # !unsafe is Ansible's word for a text that is no template.
    both = f"{page.app.text}\n{page.secrets}".replace("!unsafe ", "").replace("---\n", "")
    values = yaml.safe_load(both)
    spec = load_spec()
    given = {key.removeprefix("fastapi_"): value for key, value in values.items() if key.startswith("fastapi_")}
    given["env"] = dict.fromkeys(given.get("env", {}), "x")
    assert check_names([key for key in values if key.startswith("fastapi_")], spec) == []
    defaults = {
        key: option["default"] for key, option in spec.items() if "default" in option and "{{" not in str(option)
    }
    defaults |= {"root": "/srv/shop", "group": "deploy", "tls": "off"}
    found = check(typed({**defaults, **given}, spec), spec)
    assert found == [], found


@pytest.mark.parametrize("name", NAMES)
def test_no_secret_is_in_what_everybody_may_read(name):
    files = written(name)
    shown = "".join(text for file, text in files.items() if file != "secrets.yml")
    assert [secret for secret in SECRETS if secret in shown] == []


def test_each_of_two_apps_can_be_meant():
    assert (read("two", "two.service").name, read("two", "one").name) == ("two", "one")
    with pytest.raises(Refused, match="There are 2 app servers"):
        look(Host(lambda _command: (1, "", ""), str(HOSTS / "two" / "host")), "", 2)


def test_a_container_is_told_of_beside_other_apps(tmp_path):
    """Who asks for a service of a compose file hears what is needed, whatever else serves there."""
    for name in ("two", "compose"):
        shutil.copytree(HOSTS / name / "host", tmp_path, symlinks=True, dirs_exist_ok=True)
    with pytest.raises(Refused, match=r"There are one.service, two.service. /srv/shop/docker-compose.yml:4 .*init.yml"):
        look(Host(lambda _command: (1, "", ""), str(tmp_path)), "web", 2)
