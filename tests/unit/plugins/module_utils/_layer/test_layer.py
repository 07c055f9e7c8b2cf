"""A layer's decisions: what counts as different, what a unit needs, and that a failure leaves nothing behind."""

from __future__ import annotations

import hashlib
import os
import pwd
import subprocess

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._host.systemd import CommandFailed, parse_show
from ansible_collections.graceful.deploy.plugins.module_utils._layer import files as layer_files
from ansible_collections.graceful.deploy.plugins.module_utils._layer import flow as layer_vet
from ansible_collections.graceful.deploy.plugins.module_utils._layer import packages as layer_packages
from ansible_collections.graceful.deploy.plugins.module_utils._layer import write as layer_write
from ansible_collections.graceful.deploy.plugins.module_utils._layer.files import Difference, Wanted
from ansible_collections.graceful.deploy.plugins.module_utils._layer.flow import unit_actions

ME = pwd.getpwuid(os.getuid()).pw_name


def run(command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def nothing(command):
    return 0, "", ""


def wanted(path, content="new\n", **more):
    return Wanted(str(path), ME, ME, more.pop("mode", 0o640), None if content is None else content.encode(), **more)


def test_a_file_is_written_once_with_its_mode(tmp_path):
    target = tmp_path / "file"
    differences = layer_files.compare(nothing, [wanted(target)])
    assert [d.any for d in differences] == [True]
    layer_write.apply(differences)
    assert target.read_text() == "new\n"
    assert target.stat().st_mode & 0o7777 == 0o640
    assert [d.any for d in layer_files.compare(nothing, [wanted(target)])] == [False]
    assert os.listdir(tmp_path) == ["file"]


def test_a_link_is_put_in_the_place_of_another_and_back(tmp_path):
    link = tmp_path / "link"
    link.symlink_to("/old")
    options = {"path": str(link), "content": None, "state": "present", "owner": ME, "group": ME, "mode": "0644"}
    item = Wanted.file({**options, "package": None, "needs_line": "", "link": "/new"}, {})
    (difference,) = layer_files.compare(nothing, [item])
    assert difference.any and difference.diff()["after"].endswith("0777\n/new")
    undo = layer_write.apply([difference])
    assert os.readlink(link) == "/new"
    assert [d.any for d in layer_files.compare(nothing, [item])] == [False]
    undo.restore()
    assert os.readlink(link) == "/old"
    link.unlink()
    link.write_text("/new")
    assert layer_files.compare(nothing, [item])[0].any
    assert os.listdir(tmp_path) == ["link"]


def test_a_mode_alone_is_a_difference_and_the_diff_leaves_the_text_out(tmp_path):
    target = tmp_path / "file"
    target.write_text("new\n")
    target.chmod(0o604)
    difference = layer_files.compare(nothing, [wanted(target)])[0]
    assert difference.any
    assert not difference.content
    assert "0604" in difference.diff()["before"]
    assert "new" not in difference.diff()["after"]


def test_a_secret_is_in_no_diff(tmp_path):
    target = tmp_path / "file"
    target.write_text("old canary\n")
    diff = layer_files.compare(nothing, [wanted(target, "new canary\n", secret=True)])[0].diff()
    assert "canary" not in str(diff)
    assert diff["before"] != ""


def test_a_failure_on_the_way_puts_back_what_was_there(tmp_path):
    first, fresh = tmp_path / "first", tmp_path / "directory"
    first.write_text("old\n")
    items = [wanted(fresh, None, mode=0o750), wanted(first), wanted(tmp_path / "missing" / "file")]
    with pytest.raises(OSError, match="missing"):
        layer_write.apply(layer_files.compare(nothing, items))
    assert first.read_text() == "old\n"
    assert os.listdir(tmp_path) == ["first"]


def test_somebody_elses_file_is_left_alone_and_has_to_import_ours(tmp_path):
    target = tmp_path / "Caddyfile"
    item = wanted(target, package="caddy", needs_line="import sites/*.caddy")
    digest = "5d2cb7c0000000000000000000000000"

    def packaged(command):
        return 0, f"\n {target} {digest}\n", ""

    target.write_text("my own\n")
    with pytest.raises(CommandFailed, match=r"is your own.*import sites/\*\.caddy"):
        layer_files.compare(packaged, [item])
    target.write_text("my own\n  import sites/*.caddy\n")
    assert layer_files.compare(packaged, [item]) == []
    target.write_text("# Written by Ansible (graceful.deploy.caddy); old\n")
    assert layer_files.compare(packaged, [item])[0].any
    target.write_text("hello\n")
    digest = "b1946ac92492d2347c6235b4d2611184"
    assert layer_files.compare(packaged, [item])[0].any


def test_a_secret_that_is_not_wanted_goes_unless_others_may_read_it(tmp_path):
    target = tmp_path / ".env"
    item = wanted(target, "", secret=True, absent=True)
    assert [d.any for d in layer_files.compare(nothing, [item])] in ([], [False])
    target.write_text("A=canary\n")
    for mode in (0o640, 0o604):
        target.chmod(mode)
        assert layer_files.compare(nothing, [item]) == []
    target.chmod(0o600)
    differences = layer_files.compare(nothing, [item])
    assert "canary" not in str(differences[0].diff())
    layer_write.apply(differences)
    assert not target.exists()


def test_vetting_sees_old_and_new_files_together_and_nothing_lands(tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "main").write_text("main\n")
    differences = layer_files.compare(nothing, [wanted(tree / "sites" / "new", "site\n")])
    command = ["sh", "-c", "test $(cat {tree}/main {tree}/sites/new | wc -l) = 2"]
    layer_vet.vet(run, str(tree), command, None, differences)
    refuse = ["sh", "-c", "echo no good in {tree}; exit 1"]
    with pytest.raises(CommandFailed, match="sh refuses the new configuration, so no file was changed: no good in"):
        layer_vet.vet(run, str(tree), refuse, None, differences)
    assert os.listdir(tree) == ["main"]


UNIT = {"enabled": True, "state": "started", "reload_for": ["/site"], "restart_for": ["/main"]}
UP = {"ActiveState": "active", "UnitFileState": "enabled"}


@pytest.mark.parametrize(
    ("state", "newest", "actions"),
    [
        (UP, {"/site": 1.0, "/main": 1.0}, []),
        (UP, {"/site": 9.0, "/main": 1.0}, ["reload"]),
        (UP, {"/site": 9.0, "/main": 9.0}, ["restart"]),
        ({"LoadState": "not-found"}, {"/site": 9.0}, ["enable", "start"]),
        ({**UP, "ActiveState": "failed"}, {"/site": 9.0}, ["start"]),
        ({**UP, "UnitFileState": "disabled"}, {}, ["enable"]),
    ],
)
def test_what_a_unit_needs(state, newest, actions):
    assert unit_actions(UNIT, state, 5.0, newest) == actions


def test_a_unit_that_isnt_wanted_up_isnt_started():
    unit = {"enabled": False, "state": "kept", "reload_for": [], "restart_for": ["/main"]}
    assert unit_actions(unit, {"ActiveState": "inactive"}, 5.0, {"/main": 9.0}) == []
    assert unit_actions(unit, {"ActiveState": "active"}, 5.0, {"/main": 9.0}) == ["restart"]


def test_packages_are_asked_of_dpkg():
    def dpkg(command):
        text = "caddy amd64 installed\nlibpq5 amd64 config-files\ntzdata all installed\nawk  not-installed\n"
        return 1, text, "dpkg-query: no packages found matching ffmpeg"

    names = ["caddy", "caddy:amd64", "caddy:i386", "tzdata", "libpq5", "ffmpeg", "awk"]
    assert layer_packages.missing_packages(dpkg, names) == ["caddy:i386", "libpq5", "ffmpeg", "awk"]
    assert layer_packages.missing_packages(dpkg, []) == []


def test_lists_are_fetched_only_when_the_first_try_fails():
    commands = []

    def apt(command):
        commands.append(command)
        if command[0] == "dpkg-query":
            return 0, "caddy amd64 installed\n", ""
        return (100, "", "E: Unable to locate package") if len(commands) == 1 else (0, "", "")

    layer_packages.install_packages(apt, ["caddy"])
    assert ["update" in command for command in commands] == [False, True, False, False]
    # Whatever a name means to apt-get, it removes nothing.
    assert all("--no-remove" in command for command in commands if "install" in command)
    with pytest.raises(CommandFailed, match=r"provides awk, but no package has that name"):
        layer_packages.install_packages(apt, ["caddy", "awk"])
    said = "Reading package lists...\nE: Unable to locate package cady\n"
    with pytest.raises(CommandFailed, match=r"apt-get could not install cady: Unable to locate package cady$"):
        layer_packages.install_packages(lambda command: (100, said, ""), ["cady"])
    with pytest.raises(CommandFailed, match=r"apt-get could not install caddy: .*mirror is away"):
        layer_packages.install_packages(lambda command: (100, "", "mirror is away"), ["caddy"])


def test_a_missing_user_is_made_with_its_group():
    user = {"name": "nobody-yet", "group": "nobodies-yet", "home": "/srv/x", "shell": "/usr/sbin/nologin"}
    group, account = layer_packages.user_commands(user)
    assert group == ["groupadd", "--system", "--", "nobodies-yet"]
    assert account[-1] == "nobody-yet"
    assert layer_packages.user_commands({**user, "name": "root", "group": "root"}) == []


def test_systemctl_show_is_read_in_blocks():
    text = "Id=a.service\nResult=exit-code\n\nId=b.socket\nExecStart={ path=/x ; argv[]=/x a=b }\n"
    assert parse_show(text) == [
        {"Id": "a.service", "Result": "exit-code"},
        {"Id": "b.socket", "ExecStart": "{ path=/x ; argv[]=/x a=b }"},
    ]


def test_a_directory_where_a_file_is_wanted_isnt_hidden(tmp_path):
    assert Difference(wanted(tmp_path), layer_files.look(str(tmp_path))).any


def test_what_not_everybody_may_read_is_in_no_diff_even_where_it_goes(tmp_path):
    secret, plain = tmp_path / "hello.users", tmp_path / "hello.caddy"
    for path, mode in ((secret, 0o640), (plain, 0o644)):
        path.write_text("ann $2y$05$hash\n")
        path.chmod(mode)
    items = [wanted(path, None, absent=True) for path in (secret, plain)]
    shown = [difference.diff()["before"] for difference in layer_files.compare(lambda _: (0, "", ""), items)]
    assert ["$2y$" in text for text in shown] == [False, True]


def test_what_goes_goes_last(tmp_path, monkeypatch):
    """Cut off in between, what stays names nothing that is gone."""
    old, new = tmp_path / "hello.users", tmp_path / "hello.caddy"
    old.write_text("old")
    items = [wanted(old, None, absent=True), wanted(new, "no users")]
    monkeypatch.setattr(
        layer_write.os, "unlink", lambda path: pytest.fail("before the other") if not new.exists() else 0
    )
    layer_write.apply(layer_files.compare(lambda _: (0, "", ""), items))
    assert new.read_text() == "no users"


def test_a_packages_page_is_taken_out_unless_somebody_changed_it(tmp_path):
    """The package's file is linked; the link is what goes, and comes back when the reload fails."""
    page, link = tmp_path / "page", tmp_path / "default"
    page.write_text("packaged\n")
    link.symlink_to("page")
    digest = hashlib.md5(b"packaged\n", usedforsecurity=False).hexdigest()

    def dpkg(command):
        return 0, f" {page} {digest}\n", ""

    item = wanted(link, None, package="nginx-common", absent=True)
    differences = layer_files.compare(dpkg, [item])
    assert [d.any for d in differences] == [True]
    undo = layer_write.apply(differences)
    assert not link.is_symlink()
    assert page.exists()
    undo.restore()
    assert os.readlink(link) == "page"
    page.write_text("mine\n")
    assert layer_files.compare(dpkg, [item]) == []


def test_a_link_in_the_place_of_a_file_is_replaced(tmp_path):
    (tmp_path / "other").write_text("new\n")
    (tmp_path / "file").symlink_to("other")
    layer_write.apply(layer_files.compare(nothing, [wanted(tmp_path / "file")]))
    assert not (tmp_path / "file").is_symlink()
    assert (tmp_path / "file").read_text() == "new\n"


def test_a_file_that_is_gone_changed_when_its_directory_did(tmp_path):
    """So a run that was cut off between removing a site and reloading its proxy is made good."""
    (tmp_path / "sites").mkdir()
    os.utime(tmp_path / "sites", (1000, 1000))
    assert layer_files.changed_at(str(tmp_path / "sites" / "gone")) == 1000
    assert layer_files.changed_at(str(tmp_path / "nowhere" / "gone")) == 0
    (tmp_path / "sites" / "there").touch()
    assert layer_files.changed_at(str(tmp_path / "sites" / "there")) == os.stat(tmp_path / "sites" / "there").st_ctime


def test_a_root_that_is_a_link_is_refused_in_a_sentence_before_anything_is_written(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "srv").symlink_to("disk")
    with pytest.raises(CommandFailed, match=rf"{tmp_path}/srv on the host has.*is a link to {tmp_path}/disk"):
        layer_files.compare(nothing, [wanted(tmp_path / "new"), wanted(tmp_path / "srv", None, mode=0o755)])
    (tmp_path / "file").touch()
    with pytest.raises(CommandFailed, match="file on the host has to be a directory, and something else is there"):
        layer_files.compare(nothing, [wanted(tmp_path / "file", None, mode=0o755)])
    assert sorted(os.listdir(tmp_path)) == ["disk", "file", "srv"]


@pytest.fixture
def shared(tmp_path, monkeypatch):
    """A layer that writes the file that all sites share, worked out from what the others say of it."""
    (tmp_path / "shop.caddy").write_text('# Written by Ansible (graceful.deploy.caddy)\n# wants {"idle_timeout": 9}\n')
    (tmp_path / "mine.caddy").write_text("# somebody's own\n# wants {}\n")
    (tmp_path / "hello.caddy").write_text('# Written by Ansible (graceful.deploy.caddy)\n# wants {"idle_timeout": 1}\n')

    def layer(said, again=False):
        files = [
            {"path": str(tmp_path / name), "content": "new\n", "mode": "0640", "owner": ME, "group": ME, **OTHERWISE}
            for name in ("hello.caddy", "options")
        ]
        others = {"paths": f"{tmp_path}/*.caddy", "said": said, "again": again}
        empty = {"packages": [], "user": None, "directories": [], "secrets": {}, "units": [], "vet": None}
        return layer_vet.Layer(nothing, {**empty, "files": files, "others": others})

    return layer


OTHERWISE = {"state": "present", "package": None, "needs_line": ""}


def test_what_another_run_has_brought_meanwhile_is_told_before_anything_is_written(shared, tmp_path):
    """Two apps of a host deployed at once: each works out what both share from what it saw when it began."""
    assert shared([{"idle_timeout": 9}]).overtaken() is None
    assert shared([{"idle_timeout": 5}]).overtaken() == [{"idle_timeout": 9}]
    assert shared([]).overtaken() == [{"idle_timeout": 9}]
    with pytest.raises(CommandFailed, match=r"Other runs keep changing .*\.caddy.*run it again"):
        shared([], again=True).overtaken()
    assert not (tmp_path / "options").exists()
    shared([]).apply()
    # Where nothing would be written, what others say is no matter.
    assert shared([]).overtaken() is None
