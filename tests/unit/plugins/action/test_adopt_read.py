"""What ``adopt`` writes here of a host that it has read: the code, what that needs, and what is open still."""

from __future__ import annotations

import base64
import io
import tarfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.graceful.deploy.plugins.action import adopt
from ansible_collections.graceful.deploy.plugins.module_utils._adopt.look import look
from ansible_collections.graceful.deploy.plugins.module_utils._adopt.programs import Host

HOST = Path(__file__).resolve().parents[2] / "adopt_hosts" / "uvicorn" / "host"
REMOTE = "https://example.com/ann/shop.git"
GIT = {"remote": REMOTE, "revision": "a" * 40, "branch": "main", "below": "", "changed": [], "unpushed": False}
CODE = "from fastapi import FastAPI\napp = FastAPI()\n"


def packed(files: dict[str, str]) -> str:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return base64.b64encode(out.getvalue()).decode()


@pytest.fixture
def read(monkeypatch, tmp_path):
    """Read the host, of which the code is this; what was said, and what app.yml has then."""
    where = tmp_path / "here"
    where.mkdir()
    monkeypatch.chdir(where)
    monkeypatch.setattr(ActionBase, "run", lambda *_args: {})
    monkeypatch.setattr(Display, "display", lambda *_args: None)

    def go(files: dict[str, str], git: dict[str, Any], source: str = "") -> tuple[str, dict[str, Any]]:
        found = look(Host(lambda _command: (1, "", ""), str(HOST)), "", cpus=2)
        found["code"] |= {"git": git, "installed": ["fastapi==0.115.0", "uvicorn==0.34.0"]}
        clone = tmp_path / "clone"
        for name, text in files.items():
            (clone / git.get("below", "") / name).parent.mkdir(parents=True, exist_ok=True)
            (clone / git.get("below", "") / name).write_text(text)
        monkeypatch.setattr(adopt, "open_source", lambda *_args: (str(clone), None))
        answers = {"read": {"found": found}, "fetch": {"packed": packed(files)}}
        monkeypatch.setattr(ActionBase, "_execute_module", lambda _self, _name, args, task_vars: answers[args["step"]])
        action = object.__new__(adopt.ActionModule)
        action._task = SimpleNamespace(args={"step": "read", "source": source}, no_log=False, check_mode=False)
        action._play_context = SimpleNamespace(remote_user="ann")
        done = action.run(task_vars={"inventory_hostname": "web1"})
        assert not done.get("failed"), done
        text = (where / "inventory" / "group_vars" / "all" / "app.yml").read_text()
        return done["msg"], yaml.safe_load(text.replace("!unsafe ", ""))

    return go


@pytest.mark.parametrize("below", ["", "server"])
def test_a_clone_that_does_not_say_what_it_needs_is_told_of_with_what_works(read, below):
    """`beside` would stop at it."""
    said, values = read({"main.py": CODE}, GIT | {"below": below})
    name = values["fastapi_name"]
    assert values["fastapi_requirements"] == "TODO" and "Fill in fastapi_requirements." in said
    text = Path("inventory", "group_vars", "all", "app.yml").read_text()
    assert "# Nothing in the source that can be served says what the app needs" in text
    assert f"{name}-requirements.txt has the 2 packages that are installed on the host" in said
    assert f"Add it to the source as {f'{below}/' if below else ''}requirements.txt, push that" in said
    assert ", and write that commit as fastapi_version, and fastapi_requirements: requirements.txt. Or" in said
    assert "Next, when that is filled in, to run it beside" in said
    assert Path(f"{name}-requirements.txt").read_text().endswith("\nfastapi==0.115.0\nuvicorn==0.34.0\n")
    assert f" {name}-requirements.txt" in said.partition("Undo: rm -r")[2]
    # Again: nothing changes.
    assert "Nothing to write" in read({"main.py": CODE}, GIT | {"below": below})[0]


def test_a_directory_of_somebodys_gets_nothing_written_into_it(read, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "main.py").write_text(CODE)
    said, _values = read({}, GIT, str(mine))
    assert f"{mine} doesn't say what the app needs" in said and "push" not in said
    assert [path.name for path in mine.iterdir()] == ["main.py"]


def test_a_copy_gets_the_list_and_nothing_is_open(read):
    said, values = read({"main.py": CODE}, {})
    assert "its copy has a requirements.txt now, of the 2 packages" in said and "Fill in" not in said
    assert "fastapi_requirements" not in values and not list(Path().glob("*-requirements.txt"))
    assert "fastapi==0.115.0" in Path(values["fastapi_name"], "requirements.txt").read_text()


def test_a_list_that_the_code_has_is_never_written_over(read):
    """Beside a second one that says it, too, it was taken for none."""
    _said, values = read({"main.py": CODE, "requirements.txt": "fastapi\n", "uv.lock": "version = 1\n"}, {})
    assert Path(values["fastapi_name"], "requirements.txt").read_text() == "fastapi\n"


@pytest.mark.parametrize(
    ("git", "why"),
    [
        (GIT | {"unpushed": True}, "none of its branches has the host's commit aaaaaaaaaaaa"),
        (GIT | {"remote": "/srv/git/shop.git"}, "no other machine can fetch from it"),
    ],
)
def test_why_the_remote_is_not_taken_is_told(read, git, why):
    files = {"main.py": CODE, "requirements.txt": "fastapi\n"}
    for _time in ("a copy", "it is there already"):
        said, values = read(files, git)
        assert f"The remote of the checkout on the host, {git['remote']}, isn't taken: " in said and why in said
    assert "is there already: it is taken for the code" in said and "fastapi_version" not in values


def test_state_in_memory_is_told_with_the_number_of_workers(read):
    """init.yml says it with its own fastapi_workers, and the host has said another."""
    code = f"{CODE}rooms = {{}}\n@app.post('/rooms')\nasync def create():\n    rooms['a'] = 1\n"
    said, values = read({"main.py": code, "requirements.txt": "fastapi\n"}, GIT)
    why = "main.py:6 changes rooms, which is in memory: each worker has its own, and each deploy begins with a new one."
    assert f"{why} While the old one and ours both run, they are two as well." in said
    text = Path("inventory", "group_vars", "all", "app.yml").read_text()
    above = text.partition("\nfastapi_workers:")[0].rpartition("\nfastapi_")[2]
    assert why in " ".join(line.removeprefix("# ") for line in above.splitlines())
    assert values["fastapi_workers"] == 1


def test_where_data_is_kept_goes_by_the_apps_own_name(read):
    """init.yml would name it by the source's."""
    code = f"{CODE}import sqlite3\nsqlite3.connect('shop.db')\n"
    said, values = read({"main.py": code, "requirements.txt": "fastapi\n"}, GIT | {"below": "server"})
    assert values["fastapi_shared_paths"] == ["shop.db"]
    assert f"kept below /srv/{values['fastapi_name']}/shared" in said
