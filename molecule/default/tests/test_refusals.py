"""Bad input and unfit hosts, each refused on a host that serves: named, with what to write, and nothing changed."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import dotenv
import pytest

pytestmark = pytest.mark.usefixtures("before_the_reboot")
HELLO = Path(__file__).resolve().parents[3] / "examples" / "hello"


def slots(ask) -> tuple[str, str]:
    """The live slot and the other one."""
    live = ask.run("readlink /srv/hello/live.sock").strip().removeprefix("/run/hello/").removesuffix(".sock")
    return live, "green" if live == "blue" else "blue"


@pytest.fixture
def site(control):
    """Run site.yml against this one host with more variables, as a person would with -e."""
    always = {"fastapi_name": "hello", "fastapi_source": str(HELLO)}
    return lambda *options, **variables: control.run("site", *options, **{**always, **variables})


@pytest.fixture
def state(ask):
    """What must not change: the live release, its processes, every file of ours."""

    def look() -> str:
        ask.until("the app serves", lambda: ask.get("/ready")[0] == 200)
        main = ask.run(f"systemctl show hello@{slots(ask)[0]}.service caddy.service --property=MainPID")
        files = "find /srv /etc/systemd/system /etc/caddy /opt -printf '%p %m %u %g %T@ %l\\n' | sort"
        return main + ask.run(files) + ask.run("ls /run/hello; ls -A /srv/hello/releases")

    return look


def source(tmp_path: Path, **files: str) -> str:
    """A source tree with an app that works unless a file says otherwise."""
    good = {
        "app/main.py": "from fastapi import FastAPI\napp = FastAPI()\n\n@app.get('/health')\n@app.get('/ready')\n"
        "async def ok():\n    return 'ok'\n",
        "requirements.txt": "fastapi==0.165.0\n",
    }
    for name, text in {**good, **files}.items():
        path = tmp_path / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(tmp_path / "source")


CASES: list[tuple[dict[str, object], list[str]]] = [
    ({"fastapi_graceful_timeout": 50}, ["fastapi_graceful_timeout", "50", "fastapi_stop_timeout", "45", "55"]),
    ({"fastapi_stop_timeout": 33}, ["fastapi_stop_timeout", "33", "35"]),
    ({"fastapi_proxy_timeout": 50}, ["fastapi_proxy_timeout", "50", "fastapi_timeout", "60"]),
    ({"fastapi_name": "a/b"}, ["fastapi_name", "a/b"]),
    ({"fastapi_name": "hello\n"}, ["fastapi_name"]),
    ({"fastapi_name": "Hello"}, ["fastapi_name", "Hello", "hello"]),
    ({"fastapi_app": "app.main"}, ["fastapi_app", "app.main", "app.main:app"]),
    ({"fastapi_app": "app.nowhere:app"}, ["fastapi_app", "nowhere"]),
    ({"fastapi_memory_max": "100M"}, ["fastapi_memory_max", "100M", "214M"]),
    ({"fastapi_workers": 0}, ["fastapi_workers", "0"]),
    ({"fastapi_workers": -1}, ["fastapi_workers", "-1"]),
    ({"fastapi_workers": "many"}, ["fastapi_workers", "many", "auto"]),
    ({"fastapi_env": {"A": "nightingale\nword"}}, ["fastapi_env", "A", "newline"]),
    ({"fastapi_env": {"1A": "nightingale"}}, ["fastapi_env", "1A"]),
    ({"fastapi_gracefull_timeout": 20}, ["fastapi_gracefull_timeout", "fastapi_graceful_timeout"]),
    ({"fastapi_python": "/usr/bin/python3.99"}, ["fastapi_python", "python3.99"]),
    ({"fastapi_source": "/nowhere/at/all"}, ["fastapi_source", "/nowhere/at/all"]),
    ({"fastapi_domains": ["https://a.example.com"]}, ["fastapi_domains", "https://a.example.com", "a.example.com"]),
    # With a source of their own, or something on the host that is in the way; see below.
    ({"fastapi_source": "NO_REQUIREMENTS"}, ["requirements.txt", "fastapi_source"]),
    ({"fastapi_source": "NEW_PYTHON"}, ["3.99", "fastapi_python"]),
    ({"fastapi_http_port": 8081}, ["fastapi_http_port", "8081", "python3"]),
    ({"fastapi_name": "second", "fastapi_root": "/mnt/small/second", "fastapi_http_port": 8082}, ["MB"]),
    ({"ansible_become": False, "ansible_user": "nobody"}, ["sudo"]),
]
"""Variables beside a name and a source that are good, and the words that have to be in what is said to them."""


@pytest.fixture(scope="module")
def refused(tmp_path_factory):
    """Run site.yml once against as many hosts as there are cases, all of which are this one: what it said to each."""
    said: list[str] = []

    def run(ask, control, state) -> list[str]:
        if said:
            return said
        bare = source(tmp_path_factory.mktemp("bare"))
        (Path(bare) / "requirements.txt").unlink()
        python = {"pyproject.toml": '[project]\nrequires-python = ">=3.99"\n'}
        sources = {"NO_REQUIREMENTS": bare, "NEW_PYTHON": source(tmp_path_factory.mktemp("new"), **python)}
        here = {"ansible_connection": "community.docker.docker", "ansible_host": control.host}
        hosts = {}
        for number, (variables, _words) in enumerate(CASES):
            named = {name: sources.get(str(value), value) for name, value in variables.items()}
            hosts[f"case-{number:02}"] = {**here, "fastapi_name": "hello", "fastapi_source": str(HELLO), **named}
        inventory = tmp_path_factory.mktemp("inventory") / "cases.json"
        inventory.write_text(json.dumps({"all": {"hosts": hosts}}))
        before = state()
        ask.run("mkdir -p /mnt/small && mount -t tmpfs -o size=40m tmpfs /mnt/small")
        ask.run("systemd-run --unit=squatter python3 -m http.server 8081")
        try:
            ask.until("the port is taken", lambda: ask.host.run("curl -s http://127.0.0.1:8081/").rc == 0)
            options = ("--limit", "case-*", "--forks", "6")
            status, whole = control.run("site", "-i", str(inventory), *options, fastapi_serial="100%")
            left = ask.run("ls -A /mnt/small")
        finally:
            ask.run("systemctl stop squatter; umount /mnt/small")
        assert status != 0, whole
        assert left == ""
        assert "nightingale" not in whole
        assert state() == before
        tasks, _, recap = whole.rpartition("PLAY RECAP")
        for name in hosts:
            assert re.search(rf"^{name} .* changed=0 ", recap, re.M), recap
            found = re.search(rf"^fatal: \[{name}\](.*?)(?=^fatal: |^ok: |^\[ERROR\]|\Z)", tasks, re.M | re.S)
            said.append(found[1] if found else "")
        return said

    return run


@pytest.mark.parametrize("number", range(len(CASES)), ids=lambda number: str(CASES[number][0]))
def test_bad_input_is_named_with_what_to_write(refused, ask, control, state, number):
    text = refused(ask, control, state)[number]
    assert text
    assert [word for word in CASES[number][1] if word not in " ".join(text.split())] == [], text


def test_a_requirement_without_a_wheel_for_the_hosts_python(ask, site, state, tmp_path):
    """numpy 1.21 ended at Python 3.10. Not even the user and the directories of a new app are made."""
    before = state()
    new = {"fastapi_name": "bare", "fastapi_user": "bare", "fastapi_http_port": 8083}
    tree = source(tmp_path, **{"requirements.txt": "fastapi==0.165.0\nnumpy==1.21.0\n"})
    status, said = site(fastapi_source=tree, **new)
    assert status == 2, said
    assert ask.host.run("id bare").rc != 0
    assert "numpy" in said
    assert "wheel" in said
    assert state() == before


LIFESPAN = """import os
from contextlib import asynccontextmanager
from fastapi import FastAPI

@asynccontextmanager
async def lifespan(app):
    raise RuntimeError(f"no such queue at {os.environ['QUEUE']} {os.environ['API_KEY']}")
    yield

app = FastAPI(lifespan=lifespan)
"""


def test_a_release_that_doesnt_start_never_has_a_request(ask, site, control, tmp_path):
    """The live release serves on, the run ends with the traceback, and the standby slot is gone again. The exception
    quotes a secret of the environment: the journal has it, and nothing that is printed or kept for the next deploy."""
    ask.until("the app serves", lambda: ask.get("/ready")[0] == 200)
    live, standby = slots(ask)
    main = f"systemctl show hello@{live}.service --property=MainPID"
    before = ask.get("/")[1], ask.run(main)
    for code, word in (("import nothing_like_this\n", "nothing_like_this"), (LIFESPAN, "no such queue")):
        environment = {"QUEUE": "redis://shop:parrot-word@127.0.0.1:6379/0", "API_KEY": "parrot-key"}
        status, said = site(fastapi_source=source(tmp_path, **{"app/main.py": code}), fastapi_env=environment)
        assert status == 2, said
        assert word in said
        assert "did not become ready" in said
        # What it raised comes first, with its own file; of the server's frames there are none.
        first = r"start: \w+Error: .*, at app/main.py line [0-9]+: "
        assert re.search(first, " ".join(said.split())), said
        assert "gunicorn/arbiter.py" not in said
        after = ask.get("/")[1], ask.run(main)
        assert json.loads(after[0])["release"] == json.loads(before[0])["release"]
        assert after[1] == before[1]
        assert ask.show(f"hello@{standby}.service", "ActiveState")["ActiveState"] == "inactive"
        assert not ask.host.file(f"/run/hello/{standby}.sock").exists
    for variables in ({}, {"only": "problems", "lines": 200}):
        said += control.run("logs" if variables else "status", fastapi_name="hello", **variables)[1]
    assert said.count("no such queue at redis://***@127.0.0.1:6379/0 ***") > 2
    assert "parrot" not in said + ask.run("cat /srv/hello/history.jsonl")
    assert "shop:parrot-word@127.0.0.1:6379/0 parrot-key" in ask.run("journalctl --no-pager --namespace=hello")
    # The next good run needs no cleaning up.
    status, said = site()
    assert status == 0, said
    assert ask.run(main) == before[1]


LARGE = "from fastapi import FastAPI\nMODEL = b'x' * (300 << 20)\n"


def test_a_release_whose_workers_need_more_memory_than_there_is(ask, site, recorded, tmp_path):
    """A model of 300 MB that each of two workers loads at import, and a limit of 455M: the run says what to write.

    Where nobody has written how many workers there have to be, one alone serves, and the next plan knows.
    """
    before, (live, standby) = ask.get("/")[1], slots(ask)
    good = (Path(source(tmp_path)) / "app/main.py").read_text()
    tree = source(tmp_path, **{"app/main.py": good.replace("from fastapi import FastAPI\n", LARGE)})
    status, said = site(keep=True, fastapi_source=tree, fastapi_memory_max="455M", fastapi_workers=2)
    assert status == 2, said
    told = "at the memory limit of its slot, which is 455M (fastapi_memory_max): write fastapi_worker_memory: "
    assert told in " ".join(said.split()), said
    assert json.loads(ask.get("/")[1])["release"] == json.loads(before)["release"]

    result = recorded("swap").call(fewer_workers=True)
    assert "runs with 1 worker(s) where 2 were planned" in result["msg"], result
    assert slots(ask) == (standby, live)
    arbiter = ask.show(f"hello@{standby}.service", "MainPID")["MainPID"]
    assert len(ask.run(f"pgrep -P {arbiter}").split()) == 1
    # The good one again, by a plan that goes by what was measured.
    status, said = site("-v")
    assert status == 0, said
    assert "A worker has taken up to 3" in " ".join(said.split()), said
    assert slots(ask) == (live, standby)


DOTENV = (
    "from dotenv import find_dotenv, load_dotenv\nfrom fastapi import FastAPI\n\nload_dotenv()\napp = FastAPI()\n\n"
    "@app.get('/health')\n@app.get('/ready')\nasync def ok():\n    return find_dotenv()\n"
)


def test_secrets_are_in_no_output_however_loud(ask, site, tmp_path):
    """A changed secret is a change; -vvv and --diff show that there is one, not what it is.

    The app calls load_dotenv(), as many do, which searches for a .env from its own file upwards; and the host is one
    that version 0.1.0 has set up, with root's there.
    """
    live, standby = slots(ask)
    tree = source(tmp_path, **{"app/main.py": DOTENV})
    shutil.copytree(os.path.dirname(dotenv.__file__), f"{tree}/dotenv")
    secret = {"fastapi_env": {"TOKEN": "nightingale-token-word", "FLAG": "x"}, "fastapi_source": tree}
    ask.run("mv /srv/hello/environment /srv/hello/.env")
    for options in (["-vvv", "--diff", "--check"], ["-vvv", "--diff"], ["-vvv", "--diff"]):
        status, said = site(*options, **secret)
        assert status == 0, said
        assert "nightingale" not in said
    assert ask.get("/ready") == (200, '""')
    assert ask.run("ls -A /srv/hello | grep -e env -e '^[.]'") == "environment\n"
    assert "nightingale-token-word" in ask.run("cat /srv/hello/environment")
    assert "nightingale" not in ask.run("journalctl --no-pager --namespace='*'")
    assert "nightingale" not in ask.run("ps axww -o args | grep -v grep")
    assert slots(ask) == (standby, live)
    status, said = site()
    assert status == 0, said
    assert slots(ask) == (live, standby)
