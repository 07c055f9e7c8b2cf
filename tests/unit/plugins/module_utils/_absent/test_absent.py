"""An app's removal: what goes, in which order, what forbids it, and that nothing else is touched."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import re
import shutil
import threading
import time
import types
from pathlib import Path

import pytest
import yaml
from ansible_collections.graceful.deploy.plugins.module_utils._absent import account as absent_account
from ansible_collections.graceful.deploy.plugins.module_utils._absent import facts as absent_facts
from ansible_collections.graceful.deploy.plugins.module_utils._absent import flow as absent_flow
from ansible_collections.graceful.deploy.plugins.module_utils._absent import front as absent_front
from ansible_collections.graceful.deploy.plugins.module_utils._absent import places
from ansible_collections.graceful.deploy.plugins.module_utils._absent.flow import Removal
from ansible_collections.graceful.deploy.plugins.module_utils._absent.places import HostTree, Removable, remove
from ansible_collections.graceful.deploy.plugins.module_utils._app.lock import DeployLock
from ansible_collections.graceful.deploy.plugins.module_utils._host.systemd import CommandFailed

OURS = "# Written by Ansible (graceful.deploy.x); more.\n"
MACHINE = "0123456789abcdef0123456789abcdef"
ROOT = Path(__file__).resolve().parents[5]


def put(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


class Machine:
    """A host below a directory, with an app on it; it answers and notes the commands."""

    def __init__(self, top: Path, name: str = "hello") -> None:
        self.top, self.name, self.root = top, name, top / "srv" / name
        self.commands: list[list[str]] = []
        self.states: dict[str, str] = {}
        self.fails: str = ""

    def deploy(self) -> Machine:
        top, name, root = self.top, self.name, self.root
        put(top / f"etc/caddy/sites/{name}.caddy", f"{OURS}a.org, b.org {{\n}}\n")
        put(top / f"etc/caddy/sites/{name}.users", OURS)
        put(top / f"etc/caddy/sites/{name}.health", OURS)
        put(top / "etc/caddy/Caddyfile", OURS)
        units = top / "etc/systemd/system"
        put(units / f"{name}@.service", f"{OURS}User=deploy\nWorkingDirectory={root}/slots/%i/release\n")
        put(units / f"{name}@.socket", OURS)
        (units / "multi-user.target.wants").mkdir(exist_ok=True)
        (units / f"multi-user.target.wants/{name}@blue.service").symlink_to(units / f"{name}@.service")
        put(top / f"etc/systemd/journald@{name}.conf", OURS)
        put(units / f"systemd-journald@{name}.service.d/graceful.conf", OURS)
        put(units / f"{name}-log-files.service", OURS)
        self.supervise()
        put(top / f"usr/local/bin/{name}-logs", f"#!/usr/bin/python3\n{OURS}")
        put(top / f"usr/local/lib/{name}-log-files.py", OURS)
        for log in (".position", "access.log", "app.log", "app.log.20260101T000000.000000"):
            put(top / f"var/log/{name}/{log}")
        put(top / f"var/log/journal/{MACHINE}.{name}/system.journal")
        put(top / f"var/log/caddy/{name}.access.log")
        put(top / f"var/log/caddy/{name}.access-2026-01-01T00-00-00.000.log.gz")
        for domain in ("a.org", "b.org", "other.org"):
            put(top / f"var/lib/caddy/.local/share/caddy/certificates/acme/{domain}/{domain}.key")
        put(root / "releases/0123456789ab/app/main.py")
        record = {"id": "0123456789ab", "created": "2026-01-01T00:00:00Z"}
        put(root / "releases/0123456789ab/release.json", json.dumps(record))
        put(root / "slots/blue/env")
        put(root / "environment")
        put(root / ".env")
        put(root / "shared/media/photo.jpg")
        (root / "live.sock").symlink_to(f"/run/{name}/blue.sock")
        (root / "live").symlink_to("slots/blue")
        self.states = dict.fromkeys((f"{name}@blue.service", "caddy.service"), "active")
        self.take_pushes()
        return self

    def take_pushes(self, name: str = "") -> None:
        """What role webhook makes."""
        top, name = self.top, name or self.name
        units = top / "etc/systemd/system"
        ends = ("webhook.socket", "webhook.service", "webhook-hooks.service", "deploys.path", "deploys.service")
        for end in ends:
            put(units / f"{name}-{end}", OURS)
        for end in ("webhook.socket", "deploys.path", "deploys.service"):
            (units / f"multi-user.target.wants/{name}-{end}").symlink_to(units / f"{name}-{end}")
        put(top / f"etc/graceful-webhook/{name}.json", f"{{{{/*\n{OURS}*/}}}}\n[]\n")
        put(top / f"etc/graceful-webhook/{name}.secret", OURS)
        put(top / f"etc/systemd/journald@{name}-deploys.conf", OURS)
        put(top / f"var/log/journal/{MACHINE}.{name}-deploys/system.journal")
        (top / f"run/systemd/journal.{name}-deploys").mkdir(parents=True)
        for path in ("deploys.json", "known_hosts", "inventory/1/hosts.yml"):
            put(top / f"etc/graceful-deploys/{name}/{path}")
        put(top / f"var/lib/graceful-deploys/{name}/key")
        put(top / f"var/lib/graceful-deploys/{name}/pushes/00000001.json")
        put(top / "var/lib/graceful-deploys/cache/git/0123/HEAD")
        put(top / f"var/lib/graceful-webhook/{name}/queue/00000002.json")
        put(top / "etc/sudoers.d/graceful-deploys", OURS)
        put(top / "usr/local/lib/graceful-deploys/0123456789abcdef/complete")
        put(top / "var/lib/graceful-patch/patching", "{}")
        put(top / "usr/local/lib/graceful-webhook/push.py", OURS)

    def supervise(self, digest: str = "0123456789abcdef") -> None:
        """Oxmgr in the place of systemd."""
        top, name = self.top, self.name
        units = top / "etc/systemd/system"
        put(units / f"{name}-oxmgr@.service", OURS)
        (units / f"multi-user.target.wants/{name}-oxmgr@blue.service").symlink_to(units / f"{name}-oxmgr@.service")
        put(top / f"usr/local/bin/{name}-oxmgr", f"#!/usr/bin/python3 -IS\n{OURS}")
        put(top / f"usr/local/lib/graceful-oxmgr-{digest}")
        (top / f"usr/local/lib/{name}-oxmgr").symlink_to(f"/usr/local/lib/graceful-oxmgr-{digest}")
        put(top / f"var/lib/{name}-oxmgr/blue/state.json")

    def run(self, command: list[str]) -> tuple[int, str, str]:
        if command[:2] == ["systemctl", "show"]:
            units = command[command.index("--") + 1 :] if "--" in command else []
            return 0, "\n".join(f"ActiveState={self.states.get(unit, 'inactive')}\n" for unit in units), ""
        self.commands.append(command)
        if self.fails and self.fails in " ".join(command):
            return 1, "", "no"
        if command[:2] == ["systemctl", "stop"]:
            self.states.update(dict.fromkeys(command[3:], "inactive"))
        return 0, "", ""

    def absent(self, check: bool = False, **options: object) -> dict:
        params = {"name": self.name, "root": str(self.root), "user": "nobody-here", "group": "nobody-here"}
        params |= {"remove_data": False, "remove_user": False, **options}
        removal = Removal(params, check, self.run, HostTree(str(self.top)))
        try:
            return removal.result()
        finally:
            # As when the module's process ends.
            if removal.lock:
                os.close(removal.lock.descriptor)

    def files(self) -> set[str]:
        return {str(path.relative_to(self.top)) for path in self.top.rglob("*") if not path.is_dir()}


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    # The rule is the one of preflight; here the root lies in a directory of the test's own.
    monkeypatch.setattr("ansible_collections.graceful.deploy.plugins.module_utils._app.names.NO_ROOT_IN", [])
    monkeypatch.setattr("ansible_collections.graceful.deploy.plugins.module_utils._app.names.LONGEST_ROOT", 999)
    return Machine(tmp_path).deploy()


STAYS = {
    "etc/caddy/Caddyfile",
    "srv/hello/shared/media/photo.jpg",
    "var/lib/caddy/.local/share/caddy/certificates/acme/other.org/other.org.key",
}


def test_everything_goes_but_the_data_and_a_second_run_finds_nothing(machine: Machine) -> None:
    result = machine.absent()
    assert result["changed"]
    assert machine.files() == STAYS
    assert "shared stays, the app's data" in result["msg"]
    machine.commands.clear()
    assert not machine.absent()["changed"]
    assert machine.commands == []


def test_what_isnt_the_apps_stays_beside_its_logs(machine: Machine) -> None:
    mine = {
        str(put(machine.top / path).relative_to(machine.top))
        for path in ("var/log/hello/app.log.mine", "etc/systemd/system/systemd-journald@hello.service.d/mine.conf")
    }
    machine.absent()
    assert machine.files() == STAYS | mine


def test_the_proxy_hears_of_it_before_the_slots_are_stopped_and_units_go_after(machine: Machine) -> None:
    machine.absent()
    said = [" ".join(command) for command in machine.commands]
    order = [next(i for i, line in enumerate(said) if part in line) for part in ("caddy", "stop -- hello@", "daemon-")]
    assert order == sorted(order)
    # It was Caddy's only site.
    assert said[order[0]] == "systemctl restart -- caddy.service"


def test_with_other_sites_caddy_is_reloaded_and_what_that_means_is_said(machine: Machine) -> None:
    put(machine.top / "etc/caddy/sites/mine.caddy", "b.org {\n}\n")
    result = machine.absent()
    assert ["systemctl", "reload", "--", "caddy.service"] in machine.commands
    assert "systemctl restart caddy" in result["kept"][0]
    # A certificate that another site has a use for stays.
    kept = {path for path in machine.files() if "certificates" in path}
    assert {Path(path).name for path in kept} == {"b.org.key", "other.org.key"}


def test_check_mode_says_the_same_and_does_nothing(machine: Machine) -> None:
    before = machine.files()
    told = machine.absent(check=True)
    assert machine.files() == before and machine.commands == []
    assert machine.absent()["removed"] == told["removed"]


@pytest.mark.parametrize("step", range(30))
def test_a_run_that_is_cut_off_anywhere_is_finished_by_the_next(
    machine: Machine, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = []
    real = Removal._take

    def take(self: Removal, what: object) -> None:
        if len(taken) == step:
            raise KeyboardInterrupt
        taken.append(what)
        real(self, what)

    with monkeypatch.context() as patch:
        patch.setattr(Removal, "_take", take)
        with pytest.raises(KeyboardInterrupt):
            machine.absent()
    assert machine.absent()["changed"]
    assert machine.files() == STAYS
    assert not machine.absent()["changed"]


def test_a_proxy_that_a_run_was_cut_off_before_it_reloaded_is_reloaded_by_the_next(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(machine.top / "etc/caddy/sites/mine.caddy", "c.org {\n}\n")
    real = machine.run

    def run(command: list[str]) -> tuple[int, str, str]:
        if command[:2] == ["systemctl", "reload"]:
            raise KeyboardInterrupt
        return real(command)

    with monkeypatch.context() as patch:
        patch.setattr(machine, "run", run)
        with pytest.raises(KeyboardInterrupt):
            machine.absent()
    assert not (machine.top / "etc/caddy/sites/hello.caddy").exists()
    machine.absent()
    assert machine.commands[0] == ["systemctl", "reload", "--", "caddy.service"]


def test_a_reload_that_fails_leaves_the_site_and_the_slots(machine: Machine) -> None:
    put(machine.top / "etc/caddy/sites/mine.caddy", "c.org {\n}\n")
    machine.fails = "reload -- caddy"
    with pytest.raises(CommandFailed, match="as they were"):
        machine.absent()
    assert (machine.top / "etc/caddy/sites/hello.caddy").exists()
    assert not [command for command in machine.commands if "stop" in command]
    machine.fails = ""
    machine.absent()
    assert machine.files() == STAYS | {"etc/caddy/sites/mine.caddy"}


def test_the_supervisor_goes_with_the_slots_and_before_them(machine: Machine) -> None:
    machine.states |= {"hello-oxmgr@blue.service": "active"}
    machine.absent()
    (stopped,) = [command[3:] for command in machine.commands if command[:2] == ["systemctl", "stop"]]
    assert stopped == ["hello-oxmgr@blue.service", "hello@blue.service"]


def test_a_program_stays_while_another_app_has_it(machine: Machine) -> None:
    program = machine.top / "usr/local/lib/graceful-oxmgr-0123456789abcdef"
    shop = Machine(machine.top, "shop").deploy()
    machine.absent()
    assert program.exists()
    shop.absent()
    assert not program.exists()


def test_the_units_of_an_apps_oxmgr_are_no_app(machine: Machine) -> None:
    """What removes hello-oxmgr would take the slots from hello."""
    with pytest.raises(CommandFailed, match="Write fastapi_name: hello-app"):
        machine.absent(name="hello-oxmgr")


def test_a_directory_of_the_apps_own_that_has_the_supervisors_name_stays(machine: Machine) -> None:
    put(machine.top / "var/lib/hello-oxmgr/mine")
    machine.absent()
    assert machine.files() == STAYS | {"var/lib/hello-oxmgr/blue/state.json", "var/lib/hello-oxmgr/mine"}


def test_data_goes_when_that_is_asked_for_also_later(machine: Machine) -> None:
    machine.absent()
    assert machine.absent(remove_data=True)["removed"] == [f"remove {machine.root}"]
    assert not machine.root.exists()
    assert not machine.absent(remove_data=True)["changed"]


def test_what_is_not_the_apps_stays(machine: Machine) -> None:
    outside = put(machine.top / "outside/precious")
    put(machine.root / "notes.txt")
    (machine.root / "wheels").symlink_to(outside.parent)
    (machine.root / "releases/link").symlink_to(outside.parent)
    shop = Machine(machine.top, "hello-shop").deploy()
    result = machine.absent(remove_data=True)
    assert f"{machine.root}/notes.txt stays: it is none of the app's." in result["kept"]
    assert outside.exists() and (machine.root / "notes.txt").exists()
    names = {path for path in machine.files() if re.search(r"\bhello(?!-shop)\b", path)}
    assert names == {"srv/hello/notes.txt"}
    # The shop is deployed by pushes, still.
    shared = {path for path in machine.files() if re.match(r"etc/sudoers|usr/local/lib/graceful-[dw]|.*/cache/", path)}
    assert len(shared) == 4
    assert (shop.root / "releases/0123456789ab/release.json").exists()
    assert (machine.top / f"var/log/journal/{MACHINE}.hello-shop/system.journal").exists()
    assert (machine.top / "var/log/caddy/hello-shop.access.log").exists()


def test_a_directory_that_nothing_says_is_the_apps_is_left_alone(machine: Machine) -> None:
    """Another tool's layout, whose names are the same."""
    root = machine.top / "srv/blog"
    for path in ("releases/20260101/index.php", "shared/config.php", "current"):
        put(root / path)
    result = machine.absent(name="blog", root=str(root), remove_data=True)
    assert not result["changed"]
    assert "nothing in it says that it is blog's" in result["msg"]
    assert (root / "releases/20260101/index.php").exists()


@pytest.mark.parametrize("root", ["/", "/srv", "/var/lib", "/srv/../etc", "srv/hello", "/srv/hello/"])
def test_a_root_that_is_the_systems_is_refused(root: str) -> None:
    options = {"name": "hello", "root": root, "user": "deploy", "group": "deploy"}
    with pytest.raises(CommandFailed, match="fastapi_root is"):
        Removal({**options, "remove_data": True, "remove_user": False}, False, lambda _command: (1, "", "")).result()


def test_another_apps_directory_is_refused(machine: Machine) -> None:
    with pytest.raises(CommandFailed, match="directory of another app, hello"):
        machine.absent(name="shop")
    with pytest.raises(CommandFailed, match=f"Write fastapi_root: {machine.root}"):
        machine.absent(root=str(machine.top / "srv/elsewhere"))
    assert (machine.root / "live.sock").is_symlink()


def test_a_host_leaves_its_balancers_before_anything_goes(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def sleep(seconds: float) -> None:
        site = machine.top / "etc/caddy/sites/hello.caddy"
        seen.append((seconds, site.exists(), (machine.root / "leaving").exists(), list(machine.commands)))

    monkeypatch.setattr(absent_flow, "time", types.SimpleNamespace(sleep=sleep, monotonic=time.monotonic))
    said = "mark the host as leaving, and serve on for 22 s"
    assert machine.absent(check=True, leave_for=22)["removed"][0] == said and seen == []
    assert machine.absent(leave_for=22)["removed"][0] == said
    assert seen == [(22, True, True, [])]
    # Nothing serves any more.
    assert not (machine.root / "leaving").exists()
    assert machine.absent(leave_for=22)["changed"] is False and len(seen) == 1


def test_without_balancers_nobody_is_waited_for(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(absent_flow, "time", types.SimpleNamespace(monotonic=time.monotonic))
    assert not [line for line in machine.absent()["removed"] if "leaving" in line]


ADDRESS = "    interface eth0\n    virtual_router_id 7\n    virtual_ipaddress {\n        192.0.2.10/24\n    }\n"


def test_an_address_that_another_app_is_served_by_stays(machine: Machine) -> None:
    address = put(machine.top / "etc/keepalived/graceful/hello.conf", f"{OURS}{ADDRESS}")
    site = put(machine.top / "etc/nginx/sites-enabled/zz-graceful-blog.conf", f"{OURS}# balances {{}}\n")
    for check in (True, False):
        with pytest.raises(CommandFailed, match=r"192\.0\.2\.10, .* goes with hello, and blog may be served by it too"):
            machine.absent(check)
    assert address.exists() and not machine.commands
    # Not where that one is no balancer's, or has an address of its own.
    site.write_text(f"{OURS}# behind lb1\n")
    machine.absent(check=True)
    site.write_text(f"{OURS}# balances {{}}\n")
    put(machine.top / "etc/keepalived/graceful/blog.conf", f"{OURS}{ADDRESS}")
    machine.absent()
    assert not address.exists()


def test_a_deploy_or_a_build_under_way_is_respected(machine: Machine) -> None:
    note = {"by": "ann@laptop", "since": "now", "pid": 7, "phase": "ready"}
    lock = DeployLock(str(machine.root))
    lock.write(note)
    with pytest.raises(CommandFailed, match="ann@laptop began at now, and is in phase ready"):
        machine.absent()
    os.close(lock.descriptor)
    building = machine.root / "releases/.building-x"
    building.mkdir()
    with absent_facts.mutex(str(building)), pytest.raises(CommandFailed, match="is being built"):
        machine.absent()
    machine.absent()
    assert machine.files() == STAYS


def test_a_removal_waits_for_a_deploy_or_a_build_where_it_is_told_to(machine: Machine) -> None:
    lock = DeployLock(str(machine.root))
    lock.write({"by": "ann@laptop", "since": "now", "pid": 7, "phase": "ready"})
    with pytest.raises(CommandFailed, match="has waited 1 s for its end") as failed:
        machine.absent(lock_wait=1)
    assert failed.value.more["held"]["by"] == "ann@laptop"
    timer = threading.Timer(0.5, os.close, [lock.descriptor])
    timer.start()
    building = machine.root / "releases/.building-x"
    building.mkdir()
    with contextlib.ExitStack() as stack:
        stack.enter_context(absent_facts.mutex(str(building)))
        more = threading.Timer(1, stack.pop_all().close)
        more.start()
        result = machine.absent(lock_wait=30)
    assert result["waited"]
    assert machine.files() == STAYS


def test_of_two_removals_the_second_finds_nothing_more(machine: Machine, monkeypatch) -> None:
    """The first has taken the directory with the lock that the second waits for."""

    def gone(root: str, _wait: float) -> DeployLock:
        shutil.rmtree(root)
        raise FileNotFoundError(root)

    monkeypatch.setattr(absent_flow, "DeployLock", gone)
    machine.absent(lock_wait=1)
    assert not machine.root.exists()


def test_a_mounted_file_system_is_not_emptied(machine: Machine) -> None:
    media = machine.root / "shared/media"
    put(machine.top / "proc/self/mountinfo", f"36 35 98:0 / {media} rw - ext4 /dev/sdb rw\n")
    with pytest.raises(CommandFailed, match=f"umount {media}"):
        machine.absent(remove_data=True)
    machine.absent()
    assert (media / "photo.jpg").exists()


def test_mount_points_are_read_with_their_escapes() -> None:
    text = "36 35 98:0 / /srv/hello/a\\040b rw - ext4 x rw\n37 35 98:0 / /srv/hello2 rw - ext4 x rw\n"
    assert absent_facts.mounts_below("/srv/hello", text) == ["/srv/hello/a b"]


def test_a_half_deployed_app_goes_too(machine: Machine) -> None:
    root = machine.top / "srv/half"
    put(root / ".env")
    put(root / "build.lock")
    (root / "releases/.building-0123").mkdir(parents=True)
    assert machine.absent(name="half", root=str(root))["removed"] == [f"remove {root}"]
    assert not root.exists()


def test_a_link_in_a_path_is_not_followed(tmp_path: Path) -> None:
    precious = put(tmp_path / "precious/certificate")
    (tmp_path / "base").mkdir()
    (tmp_path / "base/link").symlink_to(precious.parent)
    with pytest.raises(NotADirectoryError):
        remove(Removable(str(tmp_path / "base"), "link/certificate"))
    remove(Removable(str(tmp_path / "base"), "link"))
    remove(Removable(str(tmp_path / "base"), "link"))
    assert precious.exists() and not os.path.lexists(tmp_path / "base/link")


ACCOUNT = {"uid": 999, "shell": "/usr/sbin/nologin", "home": "/srv/hello", "inside": ["x"], "gid": 997, "members": []}
WHO = {"user": "deploy", "group": "deploy", "root": "/srv/hello"}


@pytest.mark.parametrize(
    ("changes", "runs_as", "part"),
    [
        ({}, [], ""),
        ({"home": "/srv/gone", "inside": []}, [], ""),
        ({"home": "/srv/other", "inside": ["shared"]}, [], ""),
        ({}, ["shop@.service"], "shop@.service on the host runs as deploy too"),
        ({"uid": 1000}, [], "id 1000"),
        ({"uid": 33}, [], "id 33"),
        ({"shell": "/bin/bash"}, [], "shell /bin/bash"),
        ({"home": "/var/lib/redis"}, [], "home /var/lib/redis"),
    ],
)
def test_only_a_user_that_the_role_made_may_go(changes: dict, runs_as: list[str], part: str) -> None:
    said = absent_account.refusal(ACCOUNT | changes, runs_as, WHO)
    assert part in said and bool(said) == bool(part)


def test_the_group_goes_with_its_user_and_not_from_under_others() -> None:
    assert [*absent_account.goes(ACCOUNT, WHO)] == [("userdel", "deploy"), ("groupdel", "deploy")]
    assert [*absent_account.goes(ACCOUNT | {"members": ["ann"]}, WHO)] == [("userdel", "deploy")]
    assert [*absent_account.goes({}, WHO)] == []
    me = pwd.getpwuid(os.getuid())
    assert absent_account.read(me.pw_name, "nobody-here")["uid"] == me.pw_uid


def test_a_user_that_others_run_as_stops_it_all(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(absent_account, "read", lambda _user, _group: ACCOUNT)
    put(machine.top / "etc/systemd/system/worker.service", "[Service]\nUser=deploy\n")
    before = machine.files()
    with pytest.raises(CommandFailed, match=r"worker\.service on the host runs as deploy"):
        machine.absent(user="deploy", remove_user=True)
    assert machine.files() == before
    (machine.top / "etc/systemd/system/worker.service").unlink()
    monkeypatch.setattr(absent_account, "read", lambda _user, _group: ACCOUNT | {"home": str(machine.root)})
    with pytest.raises(CommandFailed, match="shared stays, which would be nobody's"):
        machine.absent(user="deploy", group="deploy", remove_user=True)
    options = {"user": "deploy", "group": "deploy", "remove_user": True, "remove_data": True}
    assert machine.absent(**options)["removed"][-2:] == [
        "remove user deploy",
        "remove group deploy",
    ]
    assert machine.commands[-2:] == [["userdel", "--", "deploy"], ["groupdel", "--", "deploy"]]


CADDY = {"own_main": False, "open_ports": [], "others": []}
REFUSING = f"{OURS}# Names.\nhttp://:80, https://:443 {{\n\trespond 421\n}}\n"


@pytest.mark.parametrize(
    ("caddy", "line"),
    [
        (CADDY, ""),
        (CADDY | {"others": [{"ports": [80, 443]}]}, "http://:80, https://:443 {"),
        (CADDY | {"others": [{"ports": [8080]}, {"ports": [80], "open_port": 8080}]}, "http://:80 {"),
        (CADDY | {"others": [{"ports": [80]}], "open_ports": [80]}, ""),
        (CADDY | {"others": [{"ports": [80]}], "own_main": True}, ""),
    ],
)
def test_ports_that_only_the_app_wanted_are_let_go(caddy: dict, line: str) -> None:
    text = absent_front.without(REFUSING, caddy)
    assert text == (REFUSING.replace("http://:80, https://:443 {", line) if line else "")


def test_a_name_is_a_whole_one() -> None:
    assert absent_front.speaks_of("a.org", ["A.org, b.org {"])
    assert absent_front.speaks_of("*.a.org", ["*.a.org {"])
    assert not absent_front.speaks_of("a.org", ["www.a.org {", "a.org.uk {", "*.a.org {", "b-a.org {"])


def test_commands_at_work_are_the_apps_own(tmp_path: Path) -> None:
    units = tmp_path / "run/systemd/transient"
    units.mkdir(parents=True)
    own = [
        f"graceful-shop-run-2026-11-29T151946Z-b86d45{end}" for end in ("-alone.service", "-alone.timer", ".service")
    ]
    for name in (*own, "graceful-shop-run-run-2026-11-29T151946Z-b86d45.service", "graceful-shop-check.service"):
        (units / name).touch()
    assert places.command_units(places.HostTree(str(tmp_path)), "shop") == own


def test_what_patch_knows_of_the_host_goes_with_the_last_app(tmp_path) -> None:
    host = HostTree(str(tmp_path))
    assert places.patch_tree(host, "shop") == []
    put(tmp_path / "var/lib/graceful-patch/patching", "{}")
    for name in ("_unknown", "shop"):
        put(tmp_path / f"etc/caddy/sites/{name}.caddy", OURS)
    put(tmp_path / "etc/caddy/sites/mine.caddy", "c.org {\n}\n")
    assert [tree.inside for tree in places.patch_tree(host, "shop")] == ["graceful-patch"]
    # A balancer's other site, of either proxy.
    put(tmp_path / "etc/caddy/sites/blog.caddy", OURS)
    assert places.patch_tree(host, "shop") == []
    (tmp_path / "etc/caddy/sites/blog.caddy").unlink()
    assert len(places.patch_tree(host, "shop")) == 1
    put(tmp_path / "etc/nginx/graceful/blog/site", "")
    assert places.patch_tree(host, "shop") == []


def test_every_place_that_a_role_writes_for_an_app_is_known() -> None:
    """What a role leaves and the removal doesn't know would stay for ever."""
    known = {path for paths in places.files(HostTree(), "NAME").values() for path in paths}
    known |= {
        "/etc/systemd/system/systemd-journald@NAME.service.d",
        "/usr/local/lib/NAME-oxmgr",
        "/var/lib/NAME-oxmgr",
        "/var/log/NAME",
        "/etc/nginx/graceful/NAME",
        "/var/log/nginx/NAME.access.json",
        "/var/log/nginx/NAME.error.txt",
        "/var/log/caddy/NAME.access.log",
        "/etc/graceful-deploys/NAME",
        "/var/lib/graceful-deploys/NAME",
        "/var/lib/graceful-webhook/NAME",
    }
    text = ""
    for role in ("caddy", "nginx", "gunicorn", "log_rotation", "oxmgr", "webhook"):
        for folder in ("tasks", "vars", "templates", "files"):
            text += "".join(path.read_text() for path in sorted((ROOT / "roles" / role / folder).glob("*")))
        variables = ROOT / "roles" / role / "vars/main.yml"
        for name, value in (yaml.safe_load(variables.read_text()) if variables.exists() else {}).items():
            text = text.replace("{{ " + name + " }}", str(value)).replace(f'"{{{{ {name} }}}}', f'"{value}')
    text = text.replace("{{ fastapi_name }}", "NAME")
    written = set(re.findall(r"/(?:etc|var|usr)/[\w./@-]*NAME[\w./@-]*", text))
    strays = {path for path in written if not any(path == one or path.startswith(f"{one}/") for one in known)}
    assert len(written) > 6
    # The beginning of the names of units, which are known by their ends; and see named_trees().
    assert strays == {
        "/etc/systemd/system/NAME-nginx",
        "/etc/systemd/system/NAME",
        "/var/lib/logrotate/graceful-NAME",
        # A unit's that is disabled, and certbot's.
        "/etc/systemd/system/multi-user.target.wants/NAME-nginx-certificate.service",
        "/etc/letsencrypt/renewal/graceful-NAME.conf",
        # Of those that start at boot; see boot_links().
        "/etc/systemd/system/multi-user.target.wants/NAME-deploys.path",
        "/etc/systemd/system/multi-user.target.wants/NAME-deploys.service",
        "/etc/systemd/system/sockets.target.wants/NAME-webhook.socket",
    }


def test_directories_inside_each_other_by_the_thousand_are_removed_and_no_link_is_followed(tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "kept").touch()
    top = tmp_path / "root" / "shared"
    top.mkdir(parents=True)
    place = os.open(top, os.O_RDONLY)
    for number in range(3000):
        os.mkdir("d", dir_fd=place)
        os.symlink(tmp_path / "other", "link", dir_fd=place)
        os.close(os.open(f"-f{number}", os.O_CREAT | os.O_WRONLY, dir_fd=place))
        inner = os.open("d", os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = inner
    os.close(place)
    remove(Removable(str(tmp_path / "root"), "shared"))
    assert os.listdir(tmp_path / "root") == []
    assert os.listdir(tmp_path / "other") == ["kept"]
    # A name that rm could take for an option.
    (tmp_path / "root" / "-r").mkdir()
    remove(Removable(str(tmp_path / "root"), "-r"))
    assert os.listdir(tmp_path / "root") == []


def test_what_cannot_be_removed_is_said_with_its_reason(tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    said = "rm: cannot remove 'd/x': Operation not permitted"
    (tmp_path / "bin" / "rm").write_text(f'#!/bin/sh\necho "{said}" >&2; exit 1\n')
    (tmp_path / "bin" / "rm").chmod(0o755)
    (tmp_path / "d").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    with pytest.raises(OSError, match="cannot remove 'd/x': Operation not permitted"):
        remove(Removable(str(tmp_path), "d"))
