"""Whose a root is: of another app, of somebody else, or the app's own, however far an earlier run has come."""

from __future__ import annotations

import os
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app.roots import (
    ENTRIES,
    ENVIRONMENT,
    OLD_ENVIRONMENT,
    SHARED,
)
from ansible_collections.graceful.deploy.plugins.module_utils._app.words import BUILDING
from ansible_collections.graceful.deploy.plugins.module_utils._preflight import roots
from ansible_collections.graceful.deploy.plugins.module_utils._preflight.roots import (
    judge_root,
    judge_user,
    read_root,
)

TEMPLATE = Path(__file__).parents[5] / "roles" / "gunicorn" / "templates" / "service.j2"


class Host:
    """A directory of units, and roots beside it."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.units = top / "units"
        self.units.mkdir()

    def at(self, name: str) -> str:
        return f"{self.top}/srv/{name}".rstrip("/")

    def unit(self, name: str, root: str, user: str = "deploy") -> None:
        text = TEMPLATE.read_text().replace("{{ fastapi_root }}", root).replace("{{ fastapi_user }}", user)
        (self.units / f"{name}@.service").write_text(text)

    def put(self, root: str, *names: str) -> None:
        """Files; directories where the name ends in a slash; a live link of an app where it begins with @."""
        os.makedirs(self.at(root), exist_ok=True)
        for name in names:
            path = Path(self.at(root), name.rpartition("@")[0] or name)
            if name.endswith("/"):
                path.mkdir(parents=True)
            elif "@" in name:
                path.symlink_to(f"/run/{name.rpartition('@')[2]}/blue.sock")
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text('{"id": "1", "created": "x", "name": "hello"}')

    def asked(self, name: str, root: str, user: str = "nobody-is-this") -> list[str]:
        params = {"name": name, "root": root if root.startswith("/") else self.at(root), "user": user}
        return [problem.sentence for problem in judge_root(params, read_root(params, str(self.units)))]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


@pytest.mark.parametrize("other", ["elsewhere", "hello/inside", ""])
def test_an_app_that_lives_elsewhere_is_refused(host: Host, other: str) -> None:
    host.unit("hello", host.at("hello"))
    (said,) = host.asked("hello", other)
    assert said.startswith(
        f"fastapi_root is '{host.at(other)}': the app hello lives in {host.at('hello')} on this host"
    )
    assert f"Write fastapi_root: {host.at('hello')}. To move it" in said and "fastapi_state: absent" in said
    assert host.asked("hello", "hello") == []


@pytest.mark.parametrize(
    ("root", "part"),
    [
        ("shop", "that is the directory of another app, shop."),
        ("shop/inside", "/srv/shop, and neither may be inside the other."),
        ("shop/releases/x", "/srv/shop, and neither"),
        ("", "/srv/shop, and neither"),
        ("link", "/srv/shop, and neither"),
        ("link/inside", "/srv/shop, and neither"),
    ],
)
@pytest.mark.parametrize("known", ["unit", "link"])
def test_the_root_of_another_app_or_one_inside_or_around_it_is_refused(
    host: Host, root: str, part: str, known: str
) -> None:
    if known == "unit":
        host.unit("shop", host.at("shop"))
        host.put("shop")
    else:
        if root == "":
            return  # a directory has too many below it to look into all
        host.put("shop", "releases/", "live.sock@shop")
    os.symlink(host.at("shop"), host.at("link"))
    (said,) = host.asked("hello", root)
    if known == "unit" or root != "link":
        assert part in said
    assert "shop" in said and "Write a directory of the app's own, such as /srv/hello" in said
    assert host.asked("shop", "shop") == []


@pytest.mark.parametrize("root", ["shop2", "sho", "hello", "shop.d/hello"])
def test_one_beside_it_is_fine(host: Host, root: str) -> None:
    host.unit("shop", host.at("shop"))
    host.put("shop", "releases/")
    assert host.asked("hello", root) == []


def test_units_of_others_that_look_alike_are_nobodys(host: Host) -> None:
    (host.units / "hello@.service").write_text(f"[Service]\nExecStart={host.at('a')}/slots/%i/x\n")
    (host.units / "shop@.service").write_text(f"[Service]\nExecStart={host.at('hello')}/slots/%i/x\n")
    assert host.asked("hello", "hello") == []


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["incoming/"], "it holds incoming."),
        (["a", "b", "c", "d"], "it holds a, b, c and more."),
        ([".env", "main.py"], "it holds .env, main.py."),
        (["releases/v1/"], "it holds releases."),
        (["live.sock"], ""),
        (["shared/", "x"], "it holds shared, x."),
    ],
)
def test_what_nothing_shows_to_be_the_apps_is_refused(host: Host, names: list[str], told: str) -> None:
    host.put("ftp", *names)
    said = host.asked("ftp", "ftp")
    assert len(said) == bool(told)
    assert all(told in each and "nothing in it says that it is ftp's" in each for each in said)
    os.symlink(host.at("ftp"), host.at("link"))
    assert len(host.asked("ftp", "link")) == bool(told)


SEARCHED = set(
    # python-dotenv, environs; decouple; dynaconf
    ".env .env.local settings.ini settings.toml settings.yaml settings.json .secrets.toml config "
    # what says where a project begins: rootutils, setuptools_scm, pytest, coverage, black, uv, Poetry, Node.js
    ".git .hg .project-root pyproject.toml setup.py setup.cfg tox.ini pytest.ini conftest.py .coveragerc uv.toml "
    ".python-version poetry.toml Pipfile requirements.txt package.json alembic.ini logging.ini logging.yaml manage.py "
    ".dockerenv mlruns .sentryclirc prefect.toml app".split()
)
"""Names that libraries search for from an app's own file upwards."""


def test_no_library_finds_anything_of_ours_above_a_release() -> None:
    assert not {*ENTRIES, SHARED} & (SEARCHED - {OLD_ENVIRONMENT})
    tasks = (Path(__file__).parents[5] / "roles" / "deploy_user" / "tasks" / "main.yml").read_text()
    made = re.findall(r"path: \"{{ fastapi_root }}/(\S+)\"(?!\n +state: absent)", tasks)
    assert ENVIRONMENT in made
    assert not {*made} & SEARCHED


BEGUN = ["build.lock", ".graceful-x1", f"releases/{BUILDING}1/source/", "wheels/", "shared/media/", "environment"]


@pytest.mark.parametrize(
    "names",
    [
        [],
        ["lost+found/"],
        [".graceful-x1"],
        [".env"],
        ["environment"],
        ["environment", "releases/"],
        *(BEGUN[:number] for number in range(1, len(BEGUN))),
        ["shared/x"],
        [*BEGUN, "maintenance"],
        [*BEGUN, "releases/1/release.json", "mine"],
        [*BEGUN, "slots/blue/", "live.sock@ftp", "mine"],
        ["live.sock@ftp", "mine"],
    ],
)
def test_what_a_run_has_begun_another_goes_on_with(host: Host, names: list[str]) -> None:
    host.put("ftp", *names)
    assert host.asked("ftp", "ftp") == []


def test_an_app_that_is_there_may_have_files_of_its_admins_beside_it(host: Host) -> None:
    host.unit("hello", host.at("hello"))
    host.put("hello", "notes.txt", "dump.sql")
    assert host.asked("hello", "hello") == []


def test_a_removal_that_was_cut_off_may_be_followed_by_a_deploy(host: Host) -> None:
    host.put("hello", "removing.json", "mine")
    assert host.asked("hello", "hello") == []
    assert len(host.asked("other", "hello")) == 1


@pytest.mark.parametrize(("mode", "refused"), [(0o755, False), (0o777, True), (0o1777, False)])
def test_a_link_that_everybody_can_exchange_is_refused_before_the_user_is_there(
    host: Host, mode: int, refused: bool
) -> None:
    host.put("data", "real/")
    os.symlink("real", host.at("data/link"))
    os.chmod(host.at("data"), mode)
    assert len(host.asked("hello", "data/link")) == refused


@pytest.mark.parametrize(
    ("mode", "uid", "gid", "refused"),
    [
        (0o755, 0, 0, False),
        (0o755, 4711, 0, True),
        (0o775, 0, 4712, True),
        (0o775, 0, 4713, True),
        (0o775, 0, 9, False),
        (0o777, 0, 0, True),
        (0o1777, 0, 0, False),
    ],
)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to others")
@pytest.mark.parametrize("below", ["", "/hello"])
def test_a_link_that_the_apps_user_can_exchange_is_refused(
    host: Host, monkeypatch: pytest.MonkeyPatch, mode: int, uid: int, gid: int, refused: bool, below: str
) -> None:
    """Also where it is a link to a link."""
    monkeypatch.setattr(roots.pwd, "getpwnam", lambda _name: SimpleNamespace(pw_uid=4711, pw_gid=4712))
    monkeypatch.setattr(roots.os, "getgrouplist", lambda _name, group: [group, 4713])
    places = host.top / "srv" / "data"
    (places / "real").mkdir(parents=True)
    (places / "link").symlink_to("real")
    (host.top / "srv" / "first").symlink_to(places / "link")
    os.chown(places, uid, gid)
    os.chmod(places, mode)
    for first in ("data/link", "first"):
        said = host.asked("hello", first + below, "deploy")
        assert len(said) == refused
        if refused:
            assert f"the user deploy could exchange the link {places}/link on the way" in said[0]
            assert f"Write {places}/real{below}, or make root the owner of {places}." in said[0]
    assert host.asked("hello", "data/real", "deploy") == []


def test_a_second_app_of_the_same_user_is_told_before_it_is_there(host: Host) -> None:
    """From one app `cat /srv/notes/shared/app.db` printed the other's database, and nobody had said so."""
    host.unit("blog", host.at("blog"))
    host.unit("blog.mails.1", host.at("blog"))
    host.unit("notes", host.at("notes"), user="notes")

    def told(name: str, user: str) -> list[str]:
        params = {"name": name, "root": host.at(name), "user": user}
        return judge_user(params, read_root(params, str(host.units)))

    (said,) = told("shop", "deploy")
    assert said.startswith("fastapi_user is deploy, the user of blog on this host too: each can read what")
    assert said.endswith("Write fastapi_user: shop to have a user of its own for shop.")
    assert told("shop", "shop") == []
    # It is there, and so are its files; its own processes are no other app.
    host.unit("chat", host.at("chat"))
    assert told("blog", "deploy") == told("notes", "notes") == []
