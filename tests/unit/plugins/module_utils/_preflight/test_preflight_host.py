"""The host's half: what is read from recorded text, and what is thought of hosts."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
from pathlib import Path

import ansible
import pytest
from ansible.release import __version__ as ansible_version
from ansible_collections.graceful.deploy.plugins.module_utils._app.words import is_ours
from ansible_collections.graceful.deploy.plugins.module_utils._host.files import Room, room_at
from ansible_collections.graceful.deploy.plugins.module_utils._preflight import facts as preflight_facts
from ansible_collections.graceful.deploy.plugins.module_utils._preflight import flow as preflight_flow
from ansible_collections.graceful.deploy.plugins.module_utils._preflight import parse as preflight_parse
from ansible_collections.graceful.deploy.plugins.module_utils._preflight.judge import judge, summary
from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs.become import explain

BOOKWORM = """PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
NAME="Debian GNU/Linux"
VERSION_ID="12"
VERSION="12 (bookworm)"
VERSION_CODENAME=bookworm
ID=debian
HOME_URL="https://www.debian.org/"
"""
UBUNTU = 'PRETTY_NAME="Ubuntu 24.04.1 LTS"\nVERSION_ID="24.04"\nID=ubuntu\nID_LIKE=debian\n'
MINT = 'NAME="Linux Mint"\nID=linuxmint\nID_LIKE="ubuntu debian"\nPRETTY_NAME=\'Linux Mint 22\'\n'
ALPINE = 'NAME="Alpine Linux"\nID=alpine\nVERSION_ID=3.20.3\nPRETTY_NAME="Alpine Linux v3.20"\n'

# Recorded in a container with something on port 80 and sshd on 22; the third line of tcp is no listener (06).
TCP = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 609032 1 0 100
   1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 616695 1 0 100
   2: 0100007F:01BB 0100007F:A001 06 00000000:00000000 03:00001137 00000000     0        0 0 3 00000000d8d7397b
"""
TCP6 = """  sl  local_address                         remote_address                        st tx_queue rx_queue
   0: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 \
00000000     0        0 616706 1 00000000b3b0ee54 100 0 0 10 0
"""

PARAMS = {
    "name": "hello",
    "root": "/srv/hello",
    "user": "deploy",
    "group": "deploy",
    "python": "/usr/bin/python3",
    "proxy": "caddy",
    "http_port": 80,
    "log_max_size": "500M",
    "log_files": False,
    "on_failure": "mail@%n.service",
    "writable_paths": ["/var/lib/a"],
    "tls": "off",
    "domains": [],
}


def disk(path: str = "/srv", megabytes: int = 9000, device: int = 1, **changes: object) -> Room:
    found = Room(path, device, free_bytes=megabytes << 20, free_inodes=None, read_only=False)
    return dataclasses.replace(found, **changes)


def host(**changes: object) -> dict[str, object]:
    """What a fresh Debian 12 host says of itself, with some of it changed."""
    facts = {
        "os": preflight_parse.parse_os_release(BOOKWORM),
        "pid1": "systemd",
        "systemd": 252,
        "uid": 0,
        "python": {
            "path": "/usr/bin/python3",
            "real_path": "/usr/bin/python3.11",
            "problem": "",
            "version": "3.11.2",
        },
        "disks": [disk(), disk("/var")],
        "logs": {"used": 0, "free": 10 << 30},
        "ports": [],
        "sites": {},
        "left_sites": {},
        "site": "",
        "balancers": {"names": [], "balancers": []},
        "shares": False,
        "certificates": {},
        "caddy": {},
        "nginx": {"grace": 0, "ipv6": True},
        "oxmgr": {},
        "user_id": None,
        "group_id": None,
        "root": {"unit_root": "", "sharing": [], "taken": {}, "strange": [], "led_by": ""},
        "owners": {"group": "", "path": "", "user": ""},
        "in_the_way": "",
        "foreign_units": [],
        "foreign_runtime": [],
        "proxy_installed": False,
        "missing_paths": [],
        "missing_unit": "",
        "notify": {"current": True, "sendmail": True, "authorities": True, "commands": []},
        "background": {"foreign": {}, "missing_paths": {}, "timers": {}},
        "plain_unit": False,
    }
    return facts | changes


def python(**changes: object) -> dict[str, object]:
    return {**host()["python"], **changes}


def holder(**changes: object) -> dict[str, object]:
    return {"port": 80, "pid": 812, "program": "nginx", "unit": "nginx.service"} | changes


def test_a_fresh_host_is_fit() -> None:
    assert judge(PARAMS, host()) == ([], [])


@pytest.mark.parametrize(
    ("facts", "parts"),
    [
        ({"os": preflight_parse.parse_os_release(ALPINE)}, ["Alpine Linux v3.20", "Debian 12 or 13"]),
        ({"os": {}}, ["/etc/os-release"]),
        ({"systemd": None, "pid1": "tini"}, ["tini, not systemd"]),
        ({"systemd": 241}, ["version 241", "247"]),
        ({"uid": 1000}, ["uid 1000", "become: true"]),
        ({"python": python(problem="is /x, and there is no such program on the host.")}, ["fastapi_python is /x"]),
        ({"python": python(version="3.9.2")}, ["fastapi_python is '/usr/bin/python3'", "3.9.2", "Debian 12"]),
        ({"python": python(real_path="/root/.pyenv/bin/python3.12")}, ["/root/.pyenv/bin/python3.12", "/opt"]),
        ({"disks": [disk(megabytes=312), disk("/var")]}, ["/srv has 312 MB free", "500 MB", "at least 188 MB"]),
        ({"disks": [disk(), disk("/var", 10, 2)]}, ["/var has 10 MB free", "journal"]),
        ({"disks": [disk(read_only=True), disk("/var")]}, ["read-only"]),
        ({"missing_paths": ["/var/lib/a"]}, ["fastapi_writable_paths", "install -d -o deploy -g deploy /var/lib/a"]),
        ({"disks": [disk(free_inodes=5), disk("/var")]}, ["5 inodes"]),
        ({"ports": [holder()]}, ["fastapi_proxy is 'caddy'", "holds port 80", "fastapi_proxy: nginx", "--now nginx"]),
        ({"left_sites": {"nginx": "/x/hello.conf"}}, ["/x/hello.conf", "rm /x/hello.conf && systemctl reload nginx"]),
        (
            {"ports": [holder()], "left_sites": {"nginx": "/x/hello.conf"}},
            [
                "still has",
                "rm /x/hello.conf && systemctl reload nginx; ",
                "hello-nginx-ready.service",
                ") and stop nginx",
                "--now nginx",
            ],
        ),
        (
            {"ports": [holder(program="apache2", unit="apache2.service")]},
            ["http_port is 80", "apache2 (pid 812", "8080"],
        ),
        ({"ports": [holder(unit="session-3.scope")]}, ["kill 812"]),
        ({"ports": [holder(pid=0, program="", unit="")]}, ["can't be seen", "ss -ltnp"]),
        ({"ports": [holder(pid=1, program="systemd", unit="init.scope")]}, ["list-sockets"]),
        ({"ports": [holder(program="caddy", unit="docker-4f2.scope")]}, ["caddy (pid 812, docker-4f2.scope)"]),
        ({"user_id": 0}, ["fastapi_user is 'deploy'", "root (id 0)"]),
        ({"group_id": 0}, ["fastapi_group is 'deploy'"]),
        ({"in_the_way": "/srv/hello"}, ["fastapi_root is '/srv/hello'", "isn't a directory"]),
        ({"root": {"unit_root": "/opt/x", "sharing": []}}, ["lives in /opt/x", "Write fastapi_root: /opt/x."]),
        ({"owners": {"group": "www", "path": "", "user": ""}}, ["group www on this host", "Write fastapi_group: www."]),
        ({"foreign_units": ["/etc/systemd/system/hello@.service"]}, ["hello@.service", "fastapi_name: hello-app"]),
        ({"foreign_runtime": ["/run/hello/x"]}, ["/run/hello/x", "fastapi_name: hello-app"]),
    ],
)
def test_an_unfit_host_is_refused(facts: dict[str, object], parts: list[str]) -> None:
    (problem,) = judge(PARAMS, host(**facts))[0]
    for part in parts:
        assert part in problem.sentence
    assert problem.wrong.endswith(".") and problem.advice.endswith(".")


def test_the_second_port_is_the_one_for_https() -> None:
    params = PARAMS | {"tls": "acme"}
    assert preflight_parse.wanted_ports(params) == [80, 443]
    (problem,) = judge(params, host(ports=[holder(port=443, program="apache2")]))[0]
    assert problem.sentence.startswith("fastapi_tls is 'acme': it needs port 443")


SITES = {"/etc/caddy/sites/shop.caddy": ["http://:80"], "/etc/caddy/sites/blog.caddy": ["a.org", "B.org"]}


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({}, ["fastapi_domains is []", "shop.caddy", "http://:80", "[hello.example.com]", "fastapi_http_port"]),
        ({"domains": ["x.org", "b.org"], "tls": "acme"}, ["blog.caddy", "serves b.org", "other names"]),
    ],
)
def test_an_address_that_another_app_has_is_refused(changes: dict[str, object], parts: list[str]) -> None:
    (problem,) = judge(PARAMS | changes, host(sites=SITES))[0]
    for part in parts:
        assert part in problem.sentence


@pytest.mark.parametrize(
    "changes",
    [
        {"http_port": 8080},
        {"domains": ["a.org"]},
        {"domains": ["c.org"], "tls": "internal"},
        {"proxy": "none", "domains": ["a.org"], "tls": "acme"},
    ],
)
def test_an_address_of_its_own_is_fine(changes: dict[str, object]) -> None:
    assert judge(PARAMS | changes, host(sites=SITES)) == ([], [])


OURS = "# Written by Ansible (graceful.deploy.caddy); more.\n"


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_the_sites_of_other_apps_are_read(tmp_path: Path) -> None:
    sites = tmp_path / "etc/caddy/sites"
    put(sites / "hello.caddy", f"{OURS}http://:80 {{\n}}\n")
    put(sites / "shop.caddy", f"{OURS}# wants\na.org, b.org {{\n\troute {{\n\t}}\n}}\n\nwww.a.org {{\n}}\n")
    put(sites / "mine.caddy", "c.org {\n}\n")
    put(sites / "_unknown.caddy", f"{OURS}http://:80 {{\n}}\n")
    put(sites / "shop.caddy.bak", f"{OURS}d.org {{\n}}\n")
    read = preflight_facts.read_sites("hello", "caddy", str(tmp_path))
    assert read == {f"{sites}/mine.caddy": [], f"{sites}/shop.caddy": ["a.org", "b.org", "www.a.org"]}
    assert preflight_facts.read_sites("hello", "caddy", str(tmp_path / "nowhere")) == {}
    assert preflight_facts.read_sites("hello", "none", str(tmp_path)) == {}
    assert preflight_facts.left_sites("hello", "nginx", str(tmp_path)) == {"caddy": f"{sites}/hello.caddy"}
    assert preflight_facts.left_sites("hello", "caddy", str(tmp_path)) == {}


def test_the_sites_of_nginx_are_read_and_the_packages_default_is_nobodys(tmp_path: Path) -> None:
    sites = tmp_path / "etc/nginx/sites-enabled"
    secure = "server {\n    listen 443 ssl http2;\n    listen [::]:443 ssl;\n    server_name a.org www.a.org;\n}\n"
    plain = "server { listen 8080; server_name b.org; # server_name c.org;\n listen unix:/run/x; }\n"
    default = "server {\n    listen 80 default_server;\n    server_name _;\n}\n"
    put(sites / "zz-graceful-hello.conf", OURS + default)
    put(sites / "zz-graceful-shop.conf", OURS + default + secure)
    put(sites / "default", default)
    put(tmp_path / "etc/nginx/conf.d/mine.conf", plain)
    read = preflight_facts.read_sites("hello", "nginx", str(tmp_path))
    assert read == {
        f"{tmp_path}/etc/nginx/conf.d/mine.conf": ["http://b.org:8080"],
        f"{sites}/default": [],
        f"{sites}/zz-graceful-shop.conf": ["a.org", "http://:80", "www.a.org"],
    }
    site = f"{sites}/zz-graceful-hello.conf"
    assert preflight_facts.left_sites("hello", "none", str(tmp_path)) == {"nginx": site}


def test_an_address_is_taken_in_nginx_too() -> None:
    changes = {"proxy": "nginx", "domains": ["www.b.org"], "redirect_domains": ["b.org"], "tls": "internal"}
    (problem,) = judge(PARAMS | changes, host(sites={"/etc/nginx/conf.d/mine.conf": ["b.org"]}))[0]
    assert "/etc/nginx/conf.d/mine.conf on the host already serves b.org, and nginx takes" in problem.sentence


def test_without_a_proxy_no_port_matters() -> None:
    assert preflight_parse.wanted_ports(PARAMS | {"proxy": "none", "tls": "acme"}) == []


def test_the_proxy_itself_may_hold_its_port() -> None:
    assert judge(PARAMS, host(ports=[holder(program="caddy", unit="caddy.service")])) == ([], [])


def test_one_full_disk_is_one_problem() -> None:
    assert len(judge(PARAMS, host(disks=[disk("/", 10), disk("/", 10)]))[0]) == 1


def test_all_problems_are_told_at_once() -> None:
    facts = host(systemd=None, user_id=0, ports=[holder()], disks=[disk(megabytes=1), disk("/var")])
    assert len(judge(PARAMS, facts)[0]) == 4


@pytest.mark.parametrize(
    ("facts", "part"),
    [
        ({"os": preflight_parse.parse_os_release(UBUNTU)}, "Ubuntu 24.04.1 LTS is untested"),
        ({"os": preflight_parse.parse_os_release(MINT)}, "Linux Mint 22 is untested"),
        ({"os": {"id": "debian", "pretty_name": "Debian sid"}}, "Debian sid is untested"),
        ({"python": python(version="3.10.4")}, "Python 3.10.4 is untested"),
        ({"plain_unit": True}, "hello.service exists"),
        ({"missing_unit": "mail@.service"}, "fastapi_on_failure is 'mail@%n.service', and there is no mail@.service"),
    ],
)
def test_some_things_are_only_worth_a_warning(facts: dict[str, object], part: str) -> None:
    problems, (warning,) = judge(PARAMS, host(**facts))
    assert problems == []
    assert part in warning


def test_the_summary_is_what_later_tasks_use() -> None:
    found = summary(host(proxy_installed=True))
    assert (found["distribution"], found["release"], found["systemd"], found["proxy_installed"]) == (
        "debian",
        "12",
        252,
        True,
    )
    assert "problem" not in found["python"]


def test_os_release() -> None:
    assert preflight_parse.parse_os_release(BOOKWORM)["pretty_name"] == "Debian GNU/Linux 12 (bookworm)"
    assert preflight_parse.parse_os_release('# c\n\nID="a\\"b"\nbad line\nX=\n') == {"id": 'a"b', "x": ""}


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("systemd 252 (252.39-1~deb12u2)\n+PAM +AUDIT\n", 252),
        ("systemd 257 (257.13-1~deb13u1)\n", 257),
        ("systemd 247\n", 247),
        ("", None),
        ("not found", None),
    ],
)
def test_systemd_version(text: str, version: int | None) -> None:
    assert preflight_parse.systemd_version(text) == version


def test_listeners() -> None:
    assert preflight_parse.parse_listeners(TCP) == [(80, 609032), (22, 616695)]
    assert preflight_parse.parse_listeners(TCP6) == [(22, 616706)]
    assert preflight_parse.parse_listeners("") == []


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("0::/system.slice/nginx.service\n", "nginx.service"),
        ("12:memory:/docker/4f\n1:name=systemd:/docker/4f/system.slice/web.service\n0::/docker/4f\n", "web.service"),
        ("0::/user.slice/user-0.slice/session-3.scope\n", "session-3.scope"),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/x.service\n", "x.service"),
        ("0::/\n", ""),
        ("", ""),
        ("4:memory:/other.service\n0::/\n", ""),
    ],
)
def test_unit_of_a_process(text: str, unit: str) -> None:
    assert preflight_parse.unit_of(text) == unit


@pytest.mark.parametrize(
    ("text", "ours"),
    [
        ("# Written by Ansible (graceful.deploy.gunicorn); changes made here are undone.\n[Unit]\n", True),
        ("[Unit]\nDescription=graceful.deploy\n", False),
        ("", False),
    ],
)
def test_whose_unit_it_is(text: str, ours: bool) -> None:
    assert is_ours(text) is ours


def test_the_collections_own_units_are_recognised() -> None:
    templates = Path(__file__).parents[5] / "roles" / "gunicorn" / "templates"
    for name in ("service.j2", "socket.j2"):
        assert is_ours((templates / name).read_text())


def test_units_of_others_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = tmp_path / "etc", tmp_path / "lib"
    ours.mkdir()
    theirs.mkdir()
    (tmp_path / "link").symlink_to(theirs)
    directories = (str(ours), str(theirs), str(tmp_path / "link"))
    monkeypatch.setattr(preflight_facts, "UNIT_DIRECTORIES", directories)
    assert preflight_facts.foreign_units("hello") == []
    (ours / "hello@.service").write_text("# graceful.deploy\n")
    assert preflight_facts.foreign_units("hello") == []
    (theirs / "hello@.service").write_text("[Unit]\n")
    assert preflight_facts.foreign_units("hello") == [f"{theirs}/hello@.service"]
    (ours / "hello@.socket").symlink_to("/dev/null")
    assert preflight_facts.foreign_units("hello") == [f"{ours}/hello@.socket", f"{theirs}/hello@.service"]


def test_what_is_in_the_way_of_the_root(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    assert preflight_facts.first_file_in(str(tmp_path / "new" / "x")) == ""
    assert preflight_facts.first_file_in(str(tmp_path / "file")) == str(tmp_path / "file")
    assert preflight_facts.first_file_in(str(tmp_path / "file" / "x")) == str(tmp_path / "file")
    assert preflight_facts.first_file_in(str(tmp_path / "dangling")) == str(tmp_path / "dangling")


def test_the_disk_is_that_of_the_nearest_directory(tmp_path: Path) -> None:
    found = room_at(str(tmp_path / "a" / "b"))
    assert found.path == str(tmp_path)
    assert found.device == os.stat(tmp_path).st_dev
    assert found.free_bytes > 0


def test_a_listener_of_this_process_is_found() -> None:
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        (found,) = preflight_facts.read_holders([port])
    assert (found["port"], found["pid"]) == (port, os.getpid())
    assert found["program"]
    assert preflight_facts.read_holders([port]) == []


@pytest.mark.parametrize(
    ("output", "part"),
    [
        # As ansible-core 2.19 and 2.21 and sudo 1.9 of Debian 12 and 13 print them.
        ("Missing sudo password", "--ask-become-pass"),
        ("sudo: a password is required", "--ask-become-pass"),
        ("Incorrect sudo password", "refused the password"),
        (
            "Sorry, try again.\nsudo: no password was provided\nsudo: 1 incorrect password attempt",
            "refused the password",
        ),
        ("plain is not in the sudoers file.\nThis incident has been reported to the administrator.", "group sudo"),
        ("Sorry, user plain is not allowed to execute '/bin/sh' as root on web1.", "group sudo"),
        ("Sorry, user plain may not run sudo on web1.", "group sudo"),
        ("/bin/sh: 1: sudo: not found", "no sudo on this host"),
        ("bash: line 1: sudo: command not found", "no sudo on this host"),
        ("/bin/sh: 1: /usr/bin/python3: not found", "no Python"),
        ("The module interpreter '/usr/bin/python3.7' was not found.", "no Python"),
        ("Timeout (12s) waiting for privilege escalation prompt: ", "sudo -v"),
        ("sudo: a terminal is required to read the password", "--ask-become-pass"),
        (
            "Timed out waiting for become success.\n>>> Standard Error\nsudo: a password is required",
            "--ask-become-pass",
        ),
    ],
)
def test_a_module_that_could_not_start_is_explained(output: str, part: str) -> None:
    assert part in explain(output)


@pytest.mark.parametrize(
    "output", ["", "Traceback (most recent call last)", "Connection refused", "[Errno 28] No space left"]
)
def test_other_failures_keep_their_own_words(output: str) -> None:
    assert explain(output) == ""


def test_what_a_process_closes_while_we_look_hides_nothing(tmp_path: Path) -> None:
    """A proxy under load closes files all the time; its listening socket was lost from sight with them."""
    files = tmp_path / "7" / "fd"
    files.mkdir(parents=True)
    # Like a name that is gone: neither can be read as a link.
    (files / "3").write_text("")
    (files / "4").symlink_to("socket:[55]")
    assert preflight_facts.open_files(7, str(tmp_path)) == ["socket:[55]"]
    assert preflight_facts.open_files(8, str(tmp_path)) == []


def test_a_unit_that_is_nowhere_is_missed(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(preflight_facts, "UNIT_DIRECTORIES", (str(tmp_path),))
    assert preflight_facts.missing_unit("") == ""
    assert preflight_facts.missing_unit("mail@%n.service") == "mail@.service"
    (tmp_path / "mail@.service").touch()
    assert preflight_facts.missing_unit("mail@%n.service") == ""
    assert preflight_facts.missing_unit("tell.service") == "tell.service"


@pytest.mark.parametrize(
    ("active", "file", "told"),
    [
        ("active", "enabled", True),
        ("active", "disabled", True),
        ("inactive", "enabled", True),
        ("inactive", "disabled", False),
        ("failed", "masked", False),
        ("inactive", "static", False),
        ("", "", True),
    ],
)
def test_an_older_way_to_run_the_app_is_told_until_it_is_ended(
    tmp_path: Path, active: str, file: str, told: bool
) -> None:
    """The warning never ended, although what it asks for was done."""
    asked: list[list[str]] = []

    def run(command: list[str]) -> tuple[int, str, str]:
        asked.append(command)
        return 0, f"ActiveState={active}\nUnitFileState={file}\n" if active else "", ""

    def is_told(name: str = "hello") -> bool:
        return preflight_facts.plain_unit(name, str(tmp_path), run, str(tmp_path))

    (tmp_path / "hello.service").touch()
    assert is_told() is told and asked[0][-1] == "hello.service" and not is_told("other")
    # adopt.yml ends it in a step of its own.
    (tmp_path / "adopted.json").touch()
    assert not is_told() and len(asked) == 1


def old_python(version: str) -> str:
    """One that this machine happens to have; empty where it has none."""
    there = Path.home().glob(f".pyenv/versions/{version}.*/bin/python")
    return str(next(there, None) or shutil.which(f"python{version}") or "")


@pytest.mark.parametrize("version", ["3.8", "3.9"])
def test_a_host_whose_python_is_too_old_is_told(version: str) -> None:
    python = old_python(version)
    if not python:
        pytest.skip(f"no Python {version} on this machine")
    if version == "3.8" and not ansible_version.startswith("2.19."):
        pytest.skip("from 2.20 on ansible-core's own modules need 3.9 on a host")
    code = """
from ansible.module_utils.testing import patch_module_args
from ansible_collections.graceful.deploy.plugins.modules import preflight
with patch_module_args({"variables": {}}):
    preflight.main()
"""
    # As Ansible runs a module there: nothing but its own files and the collection's.
    places = [Path(__file__).resolve().parents[5] / ".collections", Path(ansible.__file__).parents[1]]
    path = os.pathsep.join(map(str, places))
    run = subprocess.run([python, "-c", code], env={"PYTHONPATH": path}, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    ((variable, sentence),) = json.loads(run.stdout)["problems"]
    assert variable == "" and f"Python {version}" in sentence and "those here need 3.11" in sentence


def test_releases_that_cannot_be_read_are_a_problem_of_the_root(tmp_path: Path) -> None:
    variables = {"root": str(tmp_path), "group": "nobody-here"}
    found, problems = preflight_flow.ask_releases(variables, {"version": "3.11.2"})
    assert (found["created"], found["interpreter"], problems) == ({}, {"version": "3.11.2"}, [])
    (tmp_path / "history.jsonl").mkdir()
    ((variable, sentence),) = preflight_flow.ask_releases(variables, {})[1]
    assert variable == "root" and "history.jsonl" in sentence and "Move that away" in sentence
    (tmp_path / "releases").write_text("")
    ((variable, sentence),) = preflight_flow.ask_releases(variables, {})[1]
    assert variable == "root" and "releases is not a directory on the host. Move it away" in sentence
