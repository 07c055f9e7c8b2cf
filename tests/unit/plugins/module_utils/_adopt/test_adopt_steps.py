"""A step that is run again writes over nothing of others', and what is put back is as it was, unit by unit."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._adopt import old, proxies, record, steps
from ansible_collections.graceful.deploy.plugins.module_utils._adopt.programs import Refused
from ansible_collections.graceful.deploy.plugins.module_utils._host.systemd import CommandFailed

ADOPT = {"unit": "shop.service", "kind": "systemd", "at": "127.0.0.1:8000", "proxy": "caddy"}
SITE = "a.com {\n\treverse_proxy :8000\n}\n"


class Systemd:
    """systemctl of a host with some units, as far as it is asked here."""

    def __init__(self, top: Path, **units: str) -> None:
        self.top, self.enabled, self.said = top, units, list[str]()
        self.active = dict.fromkeys(units, True)

    def run(self, command: list[str]) -> tuple[int, str, str]:
        words = [word for word in command[1:] if not word.startswith("-")]
        verb, names = words[0], words[1:]
        if verb == "show":
            rows = [
                f"LoadState=loaded\nActiveState={'active' if self.active[name] else 'inactive'}\n"
                f"UnitFileState={self.enabled[name]}\n"
                for name in names
            ]
            return 0, "\n".join(rows), ""
        self.said.append(" ".join(words))
        for name in names:
            if verb in ("start", "stop"):
                self.active[name] = verb == "start"
            elif verb in ("enable", "disable"):
                self.enabled[name] = f"{verb}d"
                if verb == "disable" and (self.top / name).is_symlink():
                    (self.top / name).unlink()
        return 0, "", ""


@pytest.fixture
def move(tmp_path, monkeypatch):
    """A move of an app of Caddy's, and the host's Caddyfile."""
    caddyfile = tmp_path / "Caddyfile"
    caddyfile.write_text(SITE)
    monkeypatch.setattr(proxies, "MAIN", {**proxies.MAIN, "caddy": str(caddyfile)})
    monkeypatch.setattr(steps, "proxy_files", lambda _host: {"caddy": {str(caddyfile): caddyfile.read_text("latin1")}})
    monkeypatch.setattr(
        steps,
        "of_caddy",
        lambda files, _at, *_more: [
            {"path": path, "state": "present", "content": "import sites/*.caddy\n"} for path in files
        ],
    )
    monkeypatch.setattr(record, "save", lambda _root, kept: saved.append(dict(kept)))
    saved: list[dict[str, Any]] = [{"stage": "beside", "adopt": ADOPT}]
    monkeypatch.setattr(record, "load", lambda _root: dict(saved[-1]))

    def go(step: str) -> dict[str, Any]:
        params = {
            "name": "shop",
            "root": str(tmp_path / "shop"),
            "adopt": ADOPT,
            "step": step,
            "protected": [],
            "static": [],
            "snippet": "",
        }
        return steps.Move(lambda _command: (0, "", ""), params, False).go()

    return go, caddyfile, saved


@pytest.mark.parametrize("stage", ["moved", "finishing", "finished"])
def test_a_move_again_writes_nothing_over(move, stage):
    go, caddyfile, saved = move
    assert go("exchange")["replaces"][0]["path"] == str(caddyfile)
    saved.append({**saved[-1], "stage": stage})
    caddyfile.write_text("import sites/*.caddy\nsomebody.else {\n}\n")
    again = go("exchange")
    assert (again["replaces"], again["done"], again["changed"], again["stage"]) == ([], True, False, stage)


@pytest.mark.parametrize("stage", ["moving", "moved", "finishing", "finished"])
def test_what_has_moved_is_not_deployed_beside_again(move, stage):
    """The role would find our site at the proxy, and take it for one that nobody wants any more."""
    go, _caddyfile, saved = move
    assert not go("begin")["done"]
    saved.append({**saved[-1], "stage": stage})
    again = go("begin")
    assert (again["done"], again["changed"], again["stage"], saved[-1]["stage"]) == (True, False, stage, stage)
    assert "shop has the traffic already" in again["msg"] or stage == "moving"


def test_a_move_that_was_cut_goes_on_unless_somebody_has_written_since(move):
    go, caddyfile, _saved = move
    go("exchange")
    assert go("exchange")["replaces"][0]["path"] == str(caddyfile)
    caddyfile.write_text("somebody.else {\n}\n")
    with pytest.raises(CommandFailed, match="isn't what it was"):
        go("exchange")


def test_a_file_that_could_not_be_put_back_is_refused_before_anything_lands(move):
    go, caddyfile, saved = move
    caddyfile.write_bytes(b"# f\xfcr\n" + SITE.encode())
    with pytest.raises(Refused, match=r"Caddyfile:1 isn't UTF-8.*iconv -f latin1"):
        go("exchange")
    assert saved[-1]["stage"] == "beside"


@pytest.fixture
def back(move, tmp_path, monkeypatch):
    """Exchange the site, have others do what they do, and go back; what is the Caddyfile then."""
    go, caddyfile, saved = move
    landed: list[dict[str, Any]] = []
    sites = tmp_path / "sites"
    sites.mkdir()
    monkeypatch.setattr(steps, "MAIN", {"caddy": str(caddyfile)})
    monkeypatch.setattr(steps, "SITES", str(sites))
    monkeypatch.setattr(steps, "_OURS", {"caddy": (f"{sites}/{{name}}.caddy",)})
    monkeypatch.setattr(steps, "roots_by_units", lambda _units: {"shop": "/srv/shop", "other": "/srv/other"})

    class Layer:
        changed_files, changes = True, ["a file"]

        def __init__(self, _run, params) -> None:
            self.apply = lambda: landed.extend(params["files"])

    monkeypatch.setattr(steps, "Layer", Layer)
    saved[-1]["missing"] = [str(sites)]

    def run(now: str = "import sites/*.caddy\n", names: tuple[str, ...] = (), before: str = SITE) -> str:
        caddyfile.write_text(before)
        go("exchange")
        caddyfile.write_text(now)
        for name in ("shop.caddy", "_unknown.caddy", *names):
            (sites / name).touch()
        go("back")
        assert saved[-1]["stage"] == "beside"
        return str(landed[0]["content"])

    return run


LINE = "\nimport sites/*.caddy\n"


@pytest.mark.parametrize(
    ("names", "line"),
    [((), ""), (("other.caddy",), LINE), (("blog.caddy",), LINE), (("shop.users", ".blog.caddy"), "")],
)
@pytest.mark.parametrize("more", ["", "somebody.else {\n}\n\n"])
def test_the_old_site_comes_back_and_takes_no_other_off_the_air(back, names, line, more):
    """Our sites are imported while one of ours, or somebody's own, is left; what was written meanwhile stays."""
    assert back(f"{more}import sites/*.caddy\n", names) == f"{more}{SITE}{line}"


def test_a_line_that_was_there_before_the_move_stays(back):
    before = f"{SITE}{LINE}"
    assert back(f"somebody.else {{\n}}\n{LINE}", before=before) == f"somebody.else {{\n}}\n\n{SITE}{LINE}"


def test_a_site_without_braces_gets_them_beside_another_apps(back):
    assert (
        back(names=("other.caddy",), before="a.com\nreverse_proxy :8000\n")
        == "a.com {\nreverse_proxy :8000\n}\n" + LINE
    )


def test_what_cannot_be_put_together_is_refused_in_words(back):
    with pytest.raises(CommandFailed, match="isn't what it was after the move"):
        back("somebody.else\nrespond hi\n")


@pytest.mark.parametrize("proxy", ["nginx", "caddy"])
def test_what_is_in_a_directory_goes_before_it(proxy):
    paths = record.FOUNDATIONS[proxy]
    assert not [path for path in paths for below in paths[paths.index(path) :] if below.startswith(f"{path}/")]


@pytest.mark.parametrize(("user", "goes"), [("deploy", False), ("other", True)])
def test_a_user_of_two_apps_goes_with_the_last(tmp_path, monkeypatch, user, goes):
    """Two that ran as root are both deploy's, whom the first has made."""
    host = Host(tmp_path, monkeypatch)
    monkeypatch.setattr(record, "UNITS", str(tmp_path / "units"))
    (tmp_path / "units").mkdir()
    unit = f"# Written by Ansible (graceful.deploy.gunicorn)\n[Service]\nUser={user}\nExecStart=/srv/two/slots/%i/run\n"
    (tmp_path / "units" / "two@.service").write_text(unit)
    assert host.go("undo")["made_user"] is goes


def test_what_was_brought_for_all_goes_with_the_last_app(tmp_path, monkeypatch):
    """The first one has brought and taken it; the second knows that."""
    default, brought = tmp_path / "default", tmp_path / "graceful.conf"
    monkeypatch.setattr(record, "OUTSIDE", str(tmp_path / "lib"))
    monkeypatch.setattr(record, "FOUNDATIONS", {"caddy": (str(brought),)})
    monkeypatch.setattr(record, "TAKEN", {"caddy": (str(default),)})
    roots = {name: str(tmp_path / name) for name in ("one", "two")}
    monkeypatch.setattr(record, "roots_by_units", lambda _units: roots)
    default.write_text("the package's")
    for name, root in roots.items():
        units = Systemd(tmp_path, **{"shop.service": "enabled"})
        params = {"name": name, "root": root, "adopt": ADOPT, "step": "begin", "user": "web"}
        steps.Move(units.run, params, False).go()
        brought.write_text("ours")
        default.unlink(missing_ok=True)
        monkeypatch.setattr(record, "has_user", lambda _name: True)
    kept = [record.load(root) for root in roots.values()]
    assert kept[0]["made_user"] and kept[1]["made_user"]
    assert kept[0]["missing"] == kept[1]["missing"] == [str(brought)]
    assert kept[0]["taken"] == kept[1]["taken"] and kept[1]["taken"][0]["content"] == "the package's"


@pytest.mark.parametrize("site", [True, False])
def test_only_an_app_with_a_site_at_the_proxy_keeps_what_was_brought_for_it(tmp_path, monkeypatch, site):
    """One of site.yml's has no note of its own: what stays for it is told. One without a site needs nothing."""
    host = Host(tmp_path, monkeypatch, others=True)
    default = tmp_path / "default"
    taken = {"path": str(default), "state": "present", "link": "/etc/nginx/sites-available/default"}
    record.save(str(host.root), {**record.load(str(host.root)), "taken": [taken]})
    monkeypatch.setattr(steps, "_OURS", {"caddy": (f"{tmp_path}/{{name}}.caddy",)})
    for module in (steps, record):
        monkeypatch.setattr(module, "roots_by_units", lambda _units: {"shop": str(host.root), "b": f"{tmp_path}/b"})
    (tmp_path / "shop.caddy").touch()
    if site:
        (tmp_path / "b.caddy").touch()
    told = host.go("undo")
    said = host.go("tidy", left=told["left"])["msg"]
    if site:
        assert said == (
            f"b has a site at caddy as well. So these stay, which the move had brought: {host.brought}. {default} "
            "stays away, which takes every name. When no site of ours is left, put it back: "
            f"ln -s /etc/nginx/sites-available/default {default}."
        )
    assert host.brought.exists() is site and host.landed == ([] if site else [str(default)])


@pytest.fixture
def units(tmp_path, monkeypatch):
    monkeypatch.setattr(old, "UNITS", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("socket", "service"), [("enabled", "disabled"), ("disabled", "enabled"), ("enabled", "enabled")]
)
def test_each_unit_starts_at_boot_as_it_did(units, socket, service):
    host = Systemd(units, **{"shop.socket": socket, "shop.service": service})
    before = old.Old(host.run, {**ADOPT, "sockets": ["shop.socket"]})
    was = before.state()
    before.stop(was)
    assert set(host.active.values()) == {False} and set(host.enabled.values()) == {"disabled"}
    assert before.state() != was
    before.start(was)
    assert host.enabled == {"shop.socket": socket, "shop.service": service} and before.state() == was


def test_a_socket_that_did_not_run_is_not_started(units):
    host = Systemd(units, **{"shop.socket": "disabled", "shop.service": "enabled"})
    host.active["shop.socket"] = False
    before = old.Old(host.run, {**ADOPT, "sockets": ["shop.socket"]})
    was = before.state()
    before.stop(was)
    before.start(was)
    assert host.active == {"shop.socket": False, "shop.service": True}


def test_a_unit_that_is_a_link_stays_one(units):
    (units / "shop.service").symlink_to("/srv/shop/shop.service")
    host = Systemd(units, **{"shop.service": "enabled"})
    before = old.Old(host.run, ADOPT)
    was = before.state()
    before.stop(was)
    assert (units / "shop.service").readlink() == Path("/srv/shop/shop.service")
    assert "daemon-reload" in host.said
    # What was killed in between.
    (units / "shop.service").unlink()
    before.start(was)
    assert (units / "shop.service").is_symlink()


class Host:
    """A host on which an app has moved in, as undo sees it: what is removed is files."""

    def __init__(self, tmp_path: Path, monkeypatch, others: bool = False) -> None:
        """:param others: whether other apps may be on the host; `landed` are the paths that the old site's return
        writes then, beside the app's own.
        """
        monkeypatch.setattr(record, "OUTSIDE", str(tmp_path / "lib"))
        brought = tmp_path / "graceful.conf"
        monkeypatch.setattr(record, "FOUNDATIONS", {"caddy": (str(brought),)})
        monkeypatch.setattr(steps.answers, "until_answered", lambda *_args: "")
        self.landed: list[str] = []
        if others:
            monkeypatch.setattr(steps, "Layer", self.layer)
        else:
            monkeypatch.setattr(steps.Move, "_old_site", lambda _self: [])
            monkeypatch.setattr(steps.Move, "_others", lambda _self: [])
        monkeypatch.setattr(steps.Move, "_site_before", lambda _self: [])
        self.root, self.lib, self.brought = tmp_path / "shop", tmp_path / "lib", brought
        self.units = Systemd(tmp_path, **{"shop.service": "enabled"})
        was = old.Old(self.units.run, ADOPT).state()
        brought.write_text("ours")
        kept = {"adopt": ADOPT, "was": was, "missing": [str(brought)], "made_user": True, "stage": "finished"}
        record.save(str(self.root), kept)
        (self.root / "releases").mkdir()
        (self.root / "deploy.lock").touch()

    def layer(self, _run, params) -> SimpleNamespace:
        rows = [row["path"] for row in params["files"] if row["state"] == "present"]
        return SimpleNamespace(changed_files=True, changes=[], apply=lambda: self.landed.extend(rows))

    def go(self, step: str, **more: Any) -> dict[str, Any]:
        params = {"name": "shop", "root": str(self.root), "adopt": ADOPT, "step": step, "patience": 0, **more}
        params |= {"host": "a.com", "scheme": "http", "user": "deploy"}
        return steps.Move(self.units.run, params, False).go()

    def undo(self, cut: str = "") -> dict[str, Any]:
        """As the playbook does it, up to where it is cut off."""
        told = self.go("undo")
        if not told["goes"] or cut == "undo":
            return told
        for name in ("releases", record.ADOPTED, "deploy.lock"):
            path = self.root / name
            if path.exists():
                path.rmdir() if path.is_dir() else path.unlink()
            if cut == name:
                return told
        if self.root.exists():
            self.root.rmdir()
        if cut == "absent":
            return told
        if cut == "tidy":
            record.tidy(told["left"])
            return told
        self.go("tidy", left=told["left"])
        return told


@pytest.mark.parametrize("cut", ["undo", "releases", record.ADOPTED, "deploy.lock", "absent", "tidy"])
def test_an_undo_that_is_cut_off_is_finished_by_the_next_one(tmp_path, monkeypatch, cut):
    host = Host(tmp_path, monkeypatch)
    host.undo(cut)
    told = host.undo()
    assert (told["goes"], told["made_user"]) == (True, True)
    assert not any(path.exists() for path in (host.root, host.lib, host.brought))
    assert host.go("undo")["msg"].startswith("Nothing is being adopted")


@pytest.mark.parametrize("cut", ["undo", "absent"])
def test_beside_after_an_undo_that_is_cut_off_knows_what_the_first_brought(tmp_path, monkeypatch, cut):
    host = Host(tmp_path, monkeypatch)
    host.undo(cut)
    monkeypatch.setattr(record, "TAKEN", {"caddy": ()})
    assert host.go("begin")["stage"] == "beside"
    found = record.load(str(host.root))
    assert (found["missing"], found["made_user"], host.lib.exists()) == ([str(host.brought)], True, False)
    host.undo()
    assert not any(path.exists() for path in (host.root, host.lib, host.brought))
