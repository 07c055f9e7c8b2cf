"""Bad input and unfit hosts, each refused on a host that serves: named, with what to write, and nothing changed."""

from __future__ import annotations

import json
from pathlib import Path

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


@pytest.mark.parametrize(
    ("variables", "words"),
    [
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
        ({"fastapi_env": {"A": "canary\nword"}}, ["fastapi_env", "A", "newline"]),
        ({"fastapi_env": {"1A": "canary"}}, ["fastapi_env", "1A"]),
        ({"fastapi_gracefull_timeout": 20}, ["fastapi_gracefull_timeout", "fastapi_graceful_timeout"]),
        ({"fastapi_python": "/usr/bin/python3.99"}, ["fastapi_python", "python3.99"]),
        ({"fastapi_source": "/nowhere/at/all"}, ["fastapi_source", "/nowhere/at/all"]),
        ({"fastapi_domains": ["https://a.example.com"]}, ["fastapi_domains", "https://a.example.com", "a.example.com"]),
    ],
    ids=str,
)
def test_bad_input_is_named_with_what_to_write(site, state, variables, words):
    before = state()
    status, said = site(**variables)
    text = " ".join(said.split())
    assert status == 2, said
    assert [word for word in words if word not in text] == [], said
    assert "canary" not in said
    assert "changed=0" in text
    assert state() == before


def test_a_source_without_requirements(site, state, tmp_path):
    before = state()
    tree = source(tmp_path)
    (Path(tree) / "requirements.txt").unlink()
    status, said = site(fastapi_source=tree)
    assert (status, "requirements.txt" in said, "fastapi_source" in said) == (2, True, True), said
    assert state() == before


def test_an_app_that_needs_a_newer_python(site, state, tmp_path):
    before = state()
    status, said = site(
        fastapi_source=source(tmp_path, **{"pyproject.toml": '[project]\nrequires-python = ">=3.99"\n'})
    )
    assert (status, "3.99" in said, "fastapi_python" in said) == (2, True, True), said
    assert state() == before


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


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ("import nothing_like_this\n", "nothing_like_this"),
        (
            "from contextlib import asynccontextmanager\nfrom fastapi import FastAPI\n\n@asynccontextmanager\n"
            "async def lifespan(app):\n    raise RuntimeError('no such queue')\n    yield\n\n"
            "app = FastAPI(lifespan=lifespan)\n",
            "no such queue",
        ),
    ],
    ids=["import", "lifespan"],
)
def test_a_release_that_doesnt_start_never_has_a_request(ask, site, tmp_path, code, word):
    """The live release serves on, the run ends with the traceback, and the standby slot is gone again."""
    ask.until("the app serves", lambda: ask.get("/ready")[0] == 200)
    live, standby = slots(ask)
    main = f"systemctl show hello@{live}.service --property=MainPID"
    before = ask.get("/")[1], ask.run(main)
    status, said = site(fastapi_source=source(tmp_path, **{"app/main.py": code}))
    assert status == 2, said
    assert word in said
    assert "did not become ready" in said
    after = ask.get("/")[1], ask.run(main)
    assert json.loads(after[0])["release"] == json.loads(before[0])["release"]
    assert after[1] == before[1]
    assert ask.show(f"hello@{standby}.service", "ActiveState")["ActiveState"] == "inactive"
    assert not ask.host.file(f"/run/hello/{standby}.sock").exists
    # The next good run needs no cleaning up.
    status, said = site()
    assert status == 0, said
    assert ask.run(main) == before[1]


def test_a_port_that_something_else_has(ask, site, state):
    before = state()
    ask.run("systemd-run --unit=squatter python3 -m http.server 8081")
    try:
        ask.until("the port is taken", lambda: ask.host.run("curl -s http://127.0.0.1:8081/").rc == 0)
        status, said = site(fastapi_http_port=8081)
    finally:
        ask.run("systemctl stop squatter")
    assert (status, "fastapi_http_port" in said, "8081" in said, "python3" in said) == (2, True, True, True), said
    assert state() == before


def test_a_user_without_sudo(ask, site, state):
    before = state()
    status, said = site("-e", "ansible_become=false", "-e", "ansible_user=nobody")
    assert status != 0
    assert "sudo" in said or "become" in said, said
    assert state() == before


def test_a_full_disk_leaves_nothing_half_made(ask, site, state, tmp_path):
    """A second app whose directory is on a file system of 40 MB."""
    before = state()
    ask.run("mkdir -p /mnt/small && mount -t tmpfs -o size=40m tmpfs /mnt/small")
    try:
        status, said = site(fastapi_name="second", fastapi_root="/mnt/small/second", fastapi_http_port=8082)
        left = ask.run("ls -A /mnt/small")
    finally:
        ask.run("umount /mnt/small")
    assert status == 2, said
    assert "MB" in said
    assert left == ""
    assert state() == before


def test_secrets_are_in_no_output_however_loud(ask, site):
    """A changed secret is a change; -vvv and --diff show that there is one, not what it is."""
    live, standby = slots(ask)
    secret = {"fastapi_env": {"TOKEN": "canary-token-word", "FLAG": "x"}}
    for options in (["-vvv", "--diff", "--check"], ["-vvv", "--diff"], ["-vvv", "--diff"]):
        status, said = site(*options, **secret)
        assert status == 0, said
        assert "canary" not in said
    assert "canary-token-word" in ask.run("cat /srv/hello/.env")
    assert "canary" not in ask.run("journalctl --no-pager --namespace='*'")
    assert "canary" not in ask.run("ps axww -o args | grep -v grep")
    assert slots(ask) == (standby, live)
    status, said = site()
    assert status == 0, said
    assert slots(ask) == (live, standby)
