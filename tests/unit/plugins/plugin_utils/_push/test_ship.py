"""What a host gets to deploy by itself: the inventory, this collection, and settings."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml
from ansible_collections.graceful.deploy.plugins.module_utils._push import install
from ansible_collections.graceful.deploy.plugins.plugin_utils._push import ship
from ansible_collections.graceful.deploy.plugins.plugin_utils._push.ship import File, ShipError

BIN = Path(sys.executable).parent


def put(path: Path, text: str = "x: 1\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def names(files: list[File]) -> list[str]:
    return [file.path for file in files]


# The inventory.


def test_a_directory_is_brought_as_it_is(tmp_path: Path) -> None:
    for name in ("hosts.yml", "group_vars/all/vault.yml", "host_vars/web1.yml", ".hidden"):
        put(tmp_path / "inventory" / name)
    put(tmp_path / "inventory/inventory.sh").chmod(0o755)
    for name in (".git/config", "__pycache__/x.pyc", "hosts.yml~", "site.retry", ".hosts.yml.swp", ".venv/bin/python"):
        put(tmp_path / "inventory" / name)
    places, files = ship.inventory([str(tmp_path / "inventory")])
    assert places == ["inventory/1"]
    assert names(files) == [
        f"inventory/1/{name}"
        for name in (".hidden", "group_vars/all/vault.yml", "host_vars/web1.yml", "hosts.yml", "inventory.sh")
    ]
    assert [file.path for file in files if file.executable] == ["inventory/1/inventory.sh"]
    assert {file.content for file in files} == {b"x: 1\n"}


def test_a_file_brings_the_variables_beside_it_and_nothing_else(tmp_path: Path) -> None:
    for name in ("hosts.yml", "group_vars/web/main.yml", "host_vars/web1.yml", "roles/x.yml", "secrets.txt"):
        put(tmp_path / "one" / name)
    put(tmp_path / "two/hosts.ini", "web2\n")
    places, files = ship.inventory([str(tmp_path / "one/hosts.yml"), str(tmp_path / "two/hosts.ini")])
    assert places == ["inventory/1/hosts.yml", "inventory/2/hosts.ini"]
    assert names(files) == [
        *("inventory/1/hosts.yml", "inventory/1/group_vars/web/main.yml", "inventory/1/host_vars/web1.yml"),
        "inventory/2/hosts.ini",
    ]


def test_links_are_followed_as_ansible_does_and_circles_are_not(tmp_path: Path) -> None:
    """Variables that several inventories share would be left behind without a word."""
    put(tmp_path / "shared/all/vars.yml")
    put(tmp_path / "prod/hosts.yml")
    (tmp_path / "prod/group_vars").symlink_to(tmp_path / "shared")
    (tmp_path / "shared/all/up").symlink_to(tmp_path / "shared")
    (tmp_path / "prod/self").symlink_to(".")
    (tmp_path / "prod/link.yml").symlink_to("hosts.yml")
    _places, files = ship.inventory([str(tmp_path / "prod")])
    assert names(files) == [f"inventory/1/{name}" for name in ("group_vars/all/vars.yml", "hosts.yml", "link.yml")]
    assert names(ship.inventory([str(tmp_path / "prod/hosts.yml")])[1]) == [
        "inventory/1/hosts.yml",
        "inventory/1/group_vars/all/vars.yml",
    ]


def test_sources_that_cannot_be_brought(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*sources: str, match: str) -> None:
        with pytest.raises(ShipError, match=match) as told:
            ship.inventory(sources)
        assert str(told.value).endswith(".")

    refused(match="no inventory")
    refused("web1,web2", match="a list of hosts")
    refused(str(tmp_path / "gone"), match="isn't there any more")
    hosts = put(tmp_path / "i/hosts.yml")
    refused(str(hosts), "web1,", match="a list of hosts")
    (tmp_path / "i/.#hosts.yml").symlink_to("ann@laptop.4711")
    refused(str(tmp_path / "i"), match=r"\.#hosts\.yml is in the inventory, and can't be read \(No such file")
    (tmp_path / "i/.#hosts.yml").unlink()
    os.mkfifo(tmp_path / "i/pipe")
    refused(str(tmp_path / "i"), match="no file of up to 1 MB")
    (tmp_path / "i/pipe").unlink()
    os.truncate(put(tmp_path / "i/big"), (1 << 20) + 1)
    refused(str(tmp_path / "i"), match="no file of up to 1 MB")
    (tmp_path / "i/big").unlink()
    for number in range(ship._MOST):
        put(tmp_path / f"i/many/{number}")
    monkeypatch.setattr(ship, "_read", lambda *_words: pytest.fail("it is read before it is counted"))
    refused(str(tmp_path / "i"), match="more than 500 files")


def test_what_is_no_text_is_refused_by_its_name() -> None:
    assert File("inventory/1/hosts.yml", "grün".encode()).text == "grün"
    with pytest.raises(ShipError, match=r"inventory/1/logo\.png isn't text"):
        _text = File("inventory/1/logo.png", b"\x89PNG\xff").text


def test_vaulted_values_need_a_password() -> None:
    whole = File("a", b"$ANSIBLE_VAULT;1.1;AES256\n6162\n")
    inside = File("b", b"x: !vault |\n  $ANSIBLE_VAULT;1.2;AES256;dev\n  6162\n")
    for files in ([whole], [File("c", b"x"), inside]):
        assert ship.lacks_password(files, [])
        assert not ship.lacks_password(files, [("default", b"x")])
    assert not ship.lacks_password([File("c", b"x")], [])


HOSTS = """\
all:
  vars: {fastapi_name: hello, ansible_user: root, ansible_become_method: su, ansible_become_exe: doas}
  children:
    web:
      hosts: {web1: {ansible_host: 10.0.0.1, ansible_connection: ssh}, web2: {}}
"""


def test_here_wins_over_what_the_inventory_says_of_the_way_to_the_host(tmp_path: Path) -> None:
    put(tmp_path / "i/hosts.yml", HOSTS)
    said = {
        **{"ansible_connection": "ssh", "ansible_become": False, "ansible_become_user": "deploy"},
        **{"ansible_sudo_user": "deploy", "ansible_sudo_exe": "doas", "ansible_sudo_flags": "-x"},
        **{"ansible_become_password": "wrong", "ansible_python_interpreter": "/opt/python", "fastapi_workers": 3},
    }
    put(tmp_path / "i/host_vars/web1.yml", yaml.safe_dump(said))
    put(tmp_path / "i/group_vars/web.yml", yaml.safe_dump(said | {"ansible_become_method": "doas"}))
    places, files = ship.inventory([str(tmp_path / "i/hosts.yml")])
    top = tmp_path / "there"
    for file in [*files, *ship.here("web1")]:
        put(top / file.path, file.text)
    sources = [word for place in [*places, "inventory/here"] for word in ("-i", str(top / place))]

    def variables(host: str) -> dict:
        command = [BIN / "ansible-inventory", *sources, "--host", host]
        done = subprocess.run(command, capture_output=True, check=True, cwd=tmp_path, env=environment(tmp_path))
        return json.loads(done.stdout)

    found = variables("web1")
    assert {name: found[name] for name in found if name.startswith("ansible_")} == {
        **{"ansible_connection": "local", "ansible_python_interpreter": "/usr/bin/python3", "ansible_become": True},
        **{"ansible_become_method": "ansible.builtin.sudo", "ansible_become_user": "root", "ansible_sudo_user": "root"},
        **dict.fromkeys(("ansible_become_exe", "ansible_sudo_exe"), "sudo"),
        **dict.fromkeys(("ansible_become_flags", "ansible_sudo_flags"), "-H -S -n"),
        **dict.fromkeys(("ansible_become_password", "ansible_become_pass", "ansible_sudo_pass"), ""),
        # Names for what it isn't reached by.
        **{"ansible_host": "10.0.0.1", "ansible_user": "root"},
    }
    # All else is as the inventory has it, also of the other host.
    assert (found["fastapi_name"], found["fastapi_workers"]) == ("hello", 3)
    assert variables("web2")["ansible_connection"] == "ssh"


def environment(home: Path, **more: str) -> dict[str, str]:
    return {"PATH": f"{BIN}:/usr/bin:/bin", "HOME": str(home), "LC_ALL": "C.UTF-8", **more}


@pytest.mark.parametrize(
    ("inventory", "pattern", "good"),
    [
        ("all:\n  hosts:\n    web1:\n", "all", True),
        ("all: [:\n", "all", False),
        ("all:\n  hosts:\n    web1:\n", "shop", False),
    ],
)
def test_a_run_that_would_leave_hosts_out_is_no_success(
    tmp_path: Path, inventory: str, pattern: str, good: bool
) -> None:
    """Ansible itself calls a run without a host a good one."""
    put(tmp_path / "hosts.yml", inventory)
    put(tmp_path / "play.yml", f"- hosts: {pattern}\n  gather_facts: false\n  tasks: []\n")
    configuration = ship.configuration("hello").replace(install.HOME, str(tmp_path))
    settings = put(tmp_path / "ansible.cfg", configuration)
    command = [BIN / "ansible-playbook", "play.yml", "-i", "hosts.yml"]
    base = environment(tmp_path, ANSIBLE_CONFIG=str(settings))
    done = subprocess.run(command, capture_output=True, check=False, cwd=tmp_path, env=base)
    assert (done.returncode == 0) == good, done.stdout + done.stderr


def test_the_services_environment_is_lines_that_systemd_takes() -> None:
    lines = ship.environment("hello", "0123456789abcdef").splitlines()
    found = dict(line.split("=", 1) for line in lines)
    assert found["PYTHONPATH"] == "/usr/local/lib/graceful-deploys/0123456789abcdef/collections"
    assert found["ANSIBLE_CALLBACKS_ENABLED"] == "graceful.deploy.first_failure"
    assert "StrictHostKeyChecking=yes" in found["GIT_SSH_COMMAND"]
    assert not any(set(line) & set("\\'\"$`#;") for line in lines)


# The collection.


def test_the_archive_is_the_same_bytes_for_the_same_files() -> None:
    one = ship.collection_archive()
    assert one == ship.collection_archive()
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(one))) as tar:
        members = {member.name: member for member in tar}
    assert {"galaxy.yml", "meta/runtime.yml", "playbooks/release.yml", "roles/webhook/files/push.py"} <= set(members)
    assert "plugins/plugin_utils/_push/deploys.py" in members
    assert not [name for name in members if "__pycache__" in name or name.startswith(("tests", "docs", ".", "/"))]
    assert {member.mtime for member in members.values()} == {0} and len(one) < 2 << 20


def test_the_archive_does_not_depend_on_who_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ship, "COLLECTION", str(tmp_path))
    put(tmp_path / "plugins/b.py").chmod(0o600)
    put(tmp_path / "plugins/a.py").chmod(0o755)
    one = ship.collection_archive()
    put(tmp_path / "plugins/__pycache__/a.pyc")
    put(tmp_path / "plugins/.a.py.swp")
    os.utime(tmp_path / "plugins/b.py", (1, 1))
    (tmp_path / "plugins/b.py").chmod(0o640)
    assert ship.collection_archive() == one
    put(tmp_path / "plugins/b.py", "y")
    assert ship.collection_archive() != one


def test_what_is_unpacked_works(tmp_path: Path) -> None:
    place = tmp_path / "collections/ansible_collections/graceful/deploy"
    place.mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(ship.collection_archive())) as tar:
        tar.extractall(place, filter="data")
    base = environment(tmp_path, ANSIBLE_COLLECTIONS_PATH=str(tmp_path / "collections"), PYTHONDONTWRITEBYTECODE="1")
    command = [BIN / "ansible-doc", "-t", "module", "graceful.deploy.swap", "--json"]
    done = subprocess.run(command, capture_output=True, check=True, cwd=tmp_path, env=base)
    assert json.loads(done.stdout)["graceful.deploy.swap"]["doc"]["filename"].startswith(str(place))
    # As the service runs it.
    command = [sys.executable, "-m", install.RUNNER, str(tmp_path / "none.json")]
    base["PYTHONPATH"] = str(tmp_path / "collections")
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=base)
    assert "FileNotFoundError" in done.stderr and "none.json" in done.stderr


def test_what_is_installed_has_its_hashes() -> None:
    text = ship.requirements()
    assert "ansible-core==" in text
    for entry in text.replace("\\\n", " ").splitlines():
        assert not entry.strip() or entry.startswith("#") or "--hash=sha256:" in entry or entry.startswith("    #"), (
            entry
        )
