# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an app's source shows, each check both ways; and the programs that may be asked about it."""

from __future__ import annotations

import base64
import json
import zlib
from textwrap import dedent

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._audit.code import MOST_FILES, collect, packed
from ansible_collections.graceful.deploy.plugins.module_utils._host.run import ProgramError
from ansible_collections.graceful.deploy.plugins.plugin_utils._audit import flow, tools
from ansible_collections.graceful.deploy.plugins.plugin_utils._audit.blocking import blocking
from ansible_collections.graceful.deploy.plugins.plugin_utils._audit.names import Files
from ansible_collections.graceful.deploy.plugins.plugin_utils._audit.pools import closes, pools
from ansible_collections.graceful.deploy.plugins.plugin_utils._audit.source import judge, write_all
from ansible_collections.graceful.deploy.plugins.plugin_utils._audit.text import render


def files(text: str, **others: str) -> Files:
    return Files({"main.py": dedent(text), **{f"{name}.py": dedent(text) for name, text in others.items()}})


def calls(text: str, **others: str) -> list[tuple[str, int, str]]:
    return [(block.path, block.line, block.call) for block in blocking(files(text, **others))]


BLOCKING = [
    ("import time", "time.sleep(1)"),
    ("from time import sleep as nap", "nap(1)"),
    ("import requests", "requests.get('http://x')"),
    ("import requests as r", "r.post('http://x')"),
    ("import httpx", "httpx.get('http://x')"),
    ("import urllib.request", "urllib.request.urlopen('http://x')"),
    ("from urllib.request import urlopen", "urlopen('http://x')"),
    ("import subprocess", "subprocess.run(['x'])"),
    ("from subprocess import check_output", "check_output(['x'])"),
    ("import os", "os.system('x')"),
    ("", "open('x')"),
    ("import psycopg2", "psycopg2.connect('x')"),
    ("import pymysql", "pymysql.connect()"),
    ("import sqlite3", "sqlite3.connect('x')"),
    ("import boto3", "boto3.client('s3')"),
    ("import redis\ncache = redis.Redis()", "cache.get('x')"),
    ("import redis\ncache = redis.from_url('x')", "cache.set('x', 1)"),
    ("import requests\nsession = requests.Session()", "session.get('x')"),
    ("from pymongo import MongoClient\nclient = MongoClient()", "client.ping()"),
]


@pytest.mark.parametrize(("imports", "call"), BLOCKING, ids=[row[1] for row in BLOCKING])
def test_calls_that_block(imports, call):
    body = f"{imports}\n\nasync def endpoint():\n    {call}\n"
    assert [line for _path, line, _call in calls(body)] == [body.count("\n")]
    # In a thread of its own it may.
    assert calls(f"{imports}\n\ndef endpoint():\n    {call}\n") == []


HARMLESS = [
    ("import asyncio", "await asyncio.sleep(1)"),
    ("import httpx", "await httpx.AsyncClient().get('x')"),
    ("import redis.asyncio as redis\ncache = redis.Redis()", "await cache.get('x')"),
    ("import time\nfrom starlette.concurrency import run_in_threadpool", "await run_in_threadpool(time.sleep, 1)"),
    ("import time, asyncio", "await asyncio.to_thread(lambda: time.sleep(1))"),
    ("import time", "def inner():\n        time.sleep(1)"),
    ("from aiofiles import open", "open('x')"),
    ("from mine import requests", "requests.get('x')"),
    ("import asyncpg", "await asyncpg.connect('x')"),
    ("import time", "time.monotonic()"),
]


@pytest.mark.parametrize(("imports", "call"), HARMLESS, ids=[row[1] for row in HARMLESS])
def test_calls_that_dont(imports, call):
    assert calls(f"{imports}\n\nasync def endpoint():\n    {call}\n") == []


def test_what_runs_once_may_block():
    text = """
        from contextlib import asynccontextmanager

        @asynccontextmanager
        async def lifespan(app):
            open("model.bin")
            yield

        @app.on_event("startup")
        async def begin():
            open("model.bin")
        """
    assert calls(text) == []


@pytest.mark.parametrize(
    "parameter",
    [
        "db: Session",
        "db: Session = Depends(get_db)",
        "db: Annotated[Session, Depends(get_db)]",
        "db: SessionDep",
        "*, db: orm.Session",
    ],
)
def test_sqlalchemys_sync_session(parameter):
    text = f"""
        from typing import Annotated
        from fastapi import Depends
        from sqlalchemy import orm
        from sqlalchemy.orm import Session
        from deps import SessionDep

        async def endpoint({parameter}):
            db.add(1)
            return db.query(1)

        def plain({parameter}):
            return db.query(1)
        """
    deps = "from typing import Annotated\nfrom sqlalchemy.orm import Session\nSessionDep = Annotated[Session, 1]\n"
    assert calls(text, deps=deps) == [("main.py", 10, "db.query")]


def test_a_session_that_is_made_there():
    text = """
        from sqlalchemy.orm import Session, sessionmaker
        from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
        Local = sessionmaker(engine)
        Other = async_sessionmaker(engine)

        async def one():
            with Session(engine) as db:
                db.execute(1)

        async def two():
            db = Local()
            db.execute(1)

        async def three(db: AsyncSession, other: Session):
            await db.execute(1)
            # Whoever awaits it has another one than the annotation says.
            await other.execute(1)
            async with Other() as other:
                await other.execute(1)
        """
    assert [line for _path, line, _call in calls(text)] == [9, 13]


def test_what_blocks_by_way_of_a_helper_in_another_file():
    text = """
        from app import crud
        from app.crud import users

        async def endpoint():
            users()
            crud.users()
            await run_in_threadpool(users)
        """
    crud = "from app.low import fetch\n\ndef users():\n    return fetch()\n"
    low = "import requests\n\ndef fetch():\n    return requests.get('x')\n"
    found = blocking(
        Files({"app/main.py": dedent(text), "app/crud.py": crud, "app/low.py": low, "app/__init__.py": ""})
    )
    assert [(block.path, block.line) for block in found] == [("app/main.py", 6), ("app/main.py", 7)]
    assert "app/crud.py:4" in found[0].what


def test_what_is_no_python_is_told_and_the_rest_is_read():
    found = judge({"a.py": "def (", "b.py": "import time\nasync def x():\n    time.sleep(1)\n"}, "/srv", {}, {})
    assert [(finding.id, finding.where) for finding in found] == [
        ("sync-call-in-async", "/srv/b.py:3"),
        ("not-looked-at", "/srv/a.py"),
    ]


# --- Pools.


@pytest.mark.parametrize(
    ("call", "most"),
    [
        ("create_async_engine(url)", 15),
        ("create_async_engine(url, pool_size=20, max_overflow=5)", 25),
        ("create_async_engine(url, pool_size=int(os.getenv('POOL', '7')), max_overflow=0)", 7),
        ("create_async_engine(url, pool_size=int(os.environ.get('DB_POOL_SIZE', 3)), max_overflow=0)", 40),
        ("create_async_engine(url, pool_size=settings.db_pool_size, max_overflow=0)", 40),
        ("create_async_engine(url, pool_size=SIZE, max_overflow=0)", 9),
        ("create_async_engine(url, pool_size=settings.other)", None),
        ("create_async_engine(url, poolclass=NullPool)", None),
        ("create_async_engine('sqlite+aiosqlite:///x.db')", 0),
        ("asyncpg.create_pool(url)", 10),
        ("asyncpg.create_pool(url, max_size=4)", 4),
    ],
)
def test_how_many_connections_a_pool_takes(call, most):
    text = f"""
        import os, asyncpg
        from sqlalchemy.ext.asyncio import create_async_engine
        SIZE = 9

        def make():
            return {call}
        """
    (pool,) = pools(files(text), {"DB_POOL_SIZE": 40})
    assert (pool.most, pool.line, pool.at_import) == (most, 7, False)


ENGINE = (
    "from sqlalchemy.ext.asyncio import create_async_engine\n"
    "engine = create_async_engine('postgresql+asyncpg://x/y', pool_size=10)\n"
)


@pytest.mark.parametrize(
    ("workers", "database", "found"),
    [
        (6, {"max_connections": 100, "where": "/etc/p.conf:2"}, [("pool-exceeds-database", "")]),
        (6, {"max_connections": 200, "where": "/etc/p.conf:2"}, []),
        (2, {"max_connections": 100, "where": "/etc/p.conf:2"}, []),
        (6, {}, []),
    ],
)
def test_pool_times_workers_against_the_database(workers, database, found):
    told = judge({"db.py": ENGINE}, "/srv", {"name": "shop", "workers": workers}, database)
    assert [(each.id, each.severity) for each in told if each.id == "pool-exceeds-database"] == found


def test_without_a_database_beside_it_postgresqls_default_counts():
    told = judge({"db.py": ENGINE}, "/srv", {"name": "shop", "workers": 9, "packages": {"asyncpg": "0.30"}}, {})
    assert [(each.id, each.severity) for each in told if each.id.startswith("pool")] == [
        ("pool-exceeds-database", "medium")
    ]


@pytest.mark.parametrize(
    ("text", "closed"),
    [
        (
            "@asynccontextmanager\nasync def lifespan(app):\n    pool = make()\n    yield\n    await pool.close()\n",
            True,
        ),
        (
            "@asynccontextmanager\nasync def l(app):\n    try:\n        yield\n    finally:\n        e.dispose()\n",
            True,
        ),
        ("@asynccontextmanager\nasync def lifespan(app):\n    async with make() as pool:\n        yield\n", True),
        ("app.add_event_handler('shutdown', stop(app))\n", True),
        ("app = FastAPI(on_shutdown=[end])\n", True),
        ("async def close_database(app):\n    await app.state.pool.close()\n", True),
        ("app.add_event_handler('startup', begin(app))\n", False),
        ("@app.on_event('shutdown')\nasync def end():\n    await database.disconnect()\n", True),
        ("@asynccontextmanager\nasync def lifespan(app):\n    pool = make()\n    yield\n", False),
        ("@asynccontextmanager\nasync def lifespan(app):\n    await old.close()\n    yield\n", False),
        ("@app.on_event('startup')\nasync def begin():\n    await database.disconnect()\n", False),
        ("", False),
    ],
)
def test_whether_something_is_closed_at_shutdown(text, closed):
    assert closes(files(text)) == closed
    told = judge({"db.py": ENGINE, "main.py": text}, "/srv", {}, {})
    assert [each.id for each in told if each.id == "no-lifespan-shutdown"] == (
        [] if closed else ["no-lifespan-shutdown"]
    )


def test_an_app_without_pools_needs_no_shutdown():
    assert judge({"main.py": "from fastapi import FastAPI\napp = FastAPI()\n"}, "/srv", {}, {}) == []


@pytest.mark.parametrize(
    ("text", "preload", "found"),
    [
        ("import psycopg2\nconn = psycopg2.connect('x')\n", False, True),
        ("from psycopg_pool import ConnectionPool\npool = ConnectionPool('x')\n", False, True),
        ("from psycopg_pool import ConnectionPool\npool = ConnectionPool('x', open=False)\n", False, False),
        (ENGINE, False, False),
        (ENGINE, True, True),
        ("import psycopg2\ndef make():\n    return psycopg2.connect('x')\n", False, False),
    ],
)
def test_connections_that_are_opened_at_import(text, preload, found):
    told = judge({"db.py": text}, "/srv", {"preload": preload}, {})
    assert [each.where for each in told if each.id == "pool-at-import"] == (["/srv/db.py:2"] if found else [])


# --- Readiness, memory, secrets.

APP = """
from fastapi import Depends, FastAPI
import asyncpg
app = FastAPI()

@app.get("/health")
async def health():
    return {"status": "ok"}

"""


@pytest.mark.parametrize(
    ("ready", "found"),
    [
        ('@app.get("/ready")\nasync def ready():\n    return {"status": "ready"}\n', ["readiness-asks-nothing"]),
        ('@app.get("/ready")\nasync def ready():\n    return Response("ready")\n', ["readiness-asks-nothing"]),
        ('@app.get("/ready")\nasync def ready(db=Depends(get_db)):\n    await db.execute("SELECT 1")\n', []),
        ('@app.get("/ready")\nasync def ready():\n    await pool.fetch("SELECT 1")\n', []),
        ('@app.get("/ready")\ndef ready():\n    if not begun:\n        raise HTTPException(503)\n', []),
        ('@app.get("/readyz")\n@app.get("/livez")\nasync def both():\n    await ask()\n', ["same-health"]),
    ],
)
def test_readiness(ready, found):
    text = (
        APP.replace('@app.get("/health")\nasync def health():\n    return {"status": "ok"}\n', "")
        if "livez" in ready
        else APP
    )
    told = judge({"main.py": text + ready}, "/srv", {"app": "main:app"}, {})
    assert [each.id for each in told] == found


LIVE = "from fastapi import Depends, FastAPI, Request\nfrom db import SessionLocal, engine, get_db\napp = FastAPI()\n"


@pytest.mark.parametrize(
    ("health", "asked"),
    [
        ("async def health(db=Depends(get_db)):\n    return {}", "get_db"),
        ("def health(session: SessionDep):\n    return {}", "SessionDep"),
        ("def health(x: Annotated[Session, Depends(given)]):\n    return {}", "Session"),
        ("def health():\n    with engine.connect() as c:\n        c.execute('SELECT 1')", "engine.connect()"),
        ("def health():\n    with SessionLocal() as s:\n        s.execute('SELECT 1')", "SessionLocal()"),
        (
            "async def health(r: Request):\n    await r.app.state.pool.fetchval('SELECT 1')",
            "r.app.state.pool.fetchval()",
        ),
        (
            "async def health(r: Request):\n    async with r.app.state.sessionmaker() as s: pass",
            "r.app.state.sessionmaker()",
        ),
        ("async def health():\n    return {'database': 'not asked'}", ""),
        ("async def health(r: Request):\n    return r.session.get('x')", ""),
        ("def health():\n    return requests.Session().get('x')", ""),
        ("async def health(settings=Depends(get_settings)):\n    return settings.execute()", ""),
    ],
)
def test_liveness_that_asks_the_database(health, asked):
    text = LIVE + f"import requests\n@app.get('/health')\n{health}\n"
    told = [each for each in judge({"main.py": text}, "/srv", {"app": "main:app"}, {}) if each.id != "not-looked-at"]
    told = [each for each in told if each.id == "health-asks-database"]
    assert [each.seen for each in told] == ([f"/health asks the database ({asked})."] if asked else [])


def test_readiness_may_ask_the_database():
    text = LIVE + "@app.get('/ready')\nasync def ready(db=Depends(get_db)):\n    await db.execute('SELECT 1')\n"
    assert judge({"main.py": text}, "/srv", {"app": "main:app"}, {}) == []
    # One function for both is told as that.
    told = judge({"main.py": text.replace("@app", "@app.get('/health')\n@app", 1)}, "/srv", {"app": "main:app"}, {})
    assert [each.id for each in told] == ["same-health"]


@pytest.mark.parametrize(
    ("made", "closed"),
    [
        ("from sqlalchemy import create_engine\nx = create_engine('postgresql://x')", "engine.dispose() behind"),
        (
            "from sqlalchemy.ext.asyncio import create_async_engine\nx = create_async_engine('postgresql+asyncpg://x')",
            "await engine.dispose() behind",
        ),
        ("import asyncpg\nasync def f():\n    return await asyncpg.create_pool()", "await pool.close() behind"),
        ("import httpx\nx = httpx.AsyncClient()", "await client.aclose() behind"),
    ],
)
def test_the_advice_to_close_fits_what_is_open(made, closed):
    told = judge({"db.py": made}, "/srv", {}, {})
    assert [each.write.startswith(closed) for each in told if each.id == "no-lifespan-shutdown"] == [True]


def test_an_app_that_needs_nothing_may_be_ready_at_once():
    ready = '@app.get("/ready")\nasync def ready():\n    return {}\n'
    assert judge({"main.py": APP.replace("import asyncpg\n", "") + ready}, "/srv", {"app": "main:app"}, {}) == []


@pytest.mark.parametrize(("workers", "found"), [(1, []), (2, ["memory-shared-by-none"])])
def test_what_requests_change_in_memory(workers, found):
    text = "from fastapi import FastAPI\napp = FastAPI()\nitems = {}\n"
    text += '@app.post("/x")\nasync def put():\n    items[1] = 2\n'
    assert [each.id for each in judge({"main.py": text}, "/srv", {"workers": workers}, {})] == found


@pytest.mark.parametrize(
    ("variables", "found"), [(["PATH"], ["secret-default"]), (["PATH", "SECRET_KEY"], []), ([], [])]
)
def test_a_secret_whose_default_everybody_knows(variables, found):
    text = 'import os\nSECRET_KEY = os.getenv("SECRET_KEY", "change-me-please")\n'
    told = judge({"main.py": text}, "/srv", {"variables": variables}, {})
    assert [each.id for each in told] == found
    assert "change-me" not in str(told)
    # A class of settings for tests alone.
    assert judge({"settings/test.py": text}, "/srv", {"variables": variables}, {}) == []


def test_an_apis_key_whose_default_everybody_knows():
    text = "from pydantic_settings import BaseSettings\nclass Settings(BaseSettings):\n    api_key: str = 'changeme'\n"
    told = judge({"app/core/config.py": text}, "/srv", {"variables": ["PATH"]}, {})
    assert [(each.id, each.where) for each in told] == [("secret-default", "/srv/app/core/config.py:3")]
    assert judge({"app/core/config.py": text}, "/srv", {"variables": ["API_KEY"]}, {}) == []


# --- What a host sends, and the programs of the control node.


def test_what_a_host_sends_stays_where_it_belongs(tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    write_all(str(inside), {"a/b.py": "1", "../out.py": "2", "/tmp/hostile.py": "3", "a/../../out.py": "4"})
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.py")] == ["inside/a/b.py"]


@pytest.mark.parametrize("odd", ["a\0b.py", "b.py/c.py", "d", "\ud800.py", f"{'x' * 300}.py"])
def test_a_path_that_no_file_can_have_is_left_out_and_the_others_are_read(tmp_path, odd):
    texts = {"b.py": "", "d/e.py": "", odd: "", "f.py": "import time\nasync def x():\n    time.sleep(1)\n"}
    assert set(write_all(str(tmp_path), texts)) == set(texts) - {odd}
    assert [each.where for each in judge(texts, "/srv", {}, {})] == ["/srv/f.py:3"]


@pytest.mark.parametrize("sent", ["[" * 200_000, '{"a":' * 200_000, "[1]", '"x"', "{", "\xff"])
def test_what_is_no_files_is_none(sent):
    assert flow.unpack(base64.b64encode(zlib.compress(sent.encode("latin-1"))).decode()) == {}


def test_no_more_files_are_taken_than_a_host_would_send():
    many = {f"{number}.py": "" for number in range(MOST_FILES + 5)}
    assert len(flow.unpack(packed({**many}))) == MOST_FILES
    assert flow.unpack(packed({"a.py": ["no", "text"], "b.py": "x"})) == {"b.py": "x"}


def test_files_go_over_and_come_back(tmp_path):
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "main.py").write_text("x = 'ä'\n")
    (tmp_path / ".env").write_text("SECRET=1")
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "x.py").write_text("")
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv" / "pyvenv.cfg").write_text("")
    (tmp_path / "venv" / "x.py").write_text("")
    found, why = collect(str(tmp_path))
    assert (found, why) == ({"app/main.py": "x = 'ä'\n"}, "")
    assert flow.unpack(packed(found)) == found
    assert flow.unpack("nonsense") == {}
    assert flow.unpack("") == {}


def test_no_more_than_two_megabytes_are_read(tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.py").write_text("#" * (1 << 20))
    found, why = collect(str(tmp_path))
    assert (list(found), why) == (["0.py", "1.py"], f"only the first 2 Python files below {tmp_path} were read")


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Put a program on the PATH that says something, and ends with a status."""

    def add(name: str, said: object, status: int = 0) -> None:
        place = tmp_path / "bin"
        place.mkdir(exist_ok=True)
        (place / f"{name}.json").write_text(said if isinstance(said, str) else json.dumps(said))
        path = place / name
        path.write_text(f"#!/bin/sh\ncat {place}/{name}.json\nexit {status}\n")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{place}:/usr/bin:/bin")

    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    return add


def row(line: int, rule: str) -> dict:
    return {
        "filename": "main.py",
        "location": {"row": line},
        "code": rule,
        "message": "Async functions should not block.",
    }


def test_ruff_adds_what_we_dont_know(program, tmp_path, monkeypatch):
    text = "import time\nimport trio\nasync def x():\n    time.sleep(1)\n    trio.odd()\n"
    assert tools.ruff() is None

    class Fake(tools.Ruff):
        def asked(self, top):
            yield from [("main.py", 4, "ASYNC251", "sleep"), ("main.py", 5, "ASYNC222", "odd")]

    found = judge({"main.py": text}, "/srv", {}, {}, Fake("ruff"))
    assert [(each.where, "ruff" in each.seen) for each in found] == [
        ("/srv/main.py:4", False),
        ("/srv/main.py:5", True),
    ]


def test_ruffs_answer_is_read(program, tmp_path):
    program("ruff", [{**row(4, "ASYNC251"), "filename": f"{tmp_path}/a/main.py"}])
    assert list(tools.ruff().asked(str(tmp_path))) == [("a/main.py", 4, "ASYNC251", "Async functions should not block")]
    program("ruff", "no json")
    with pytest.raises(ProgramError, match="wasn't understood"):
        list(tools.ruff().asked(str(tmp_path)))


APP_TOLD = {"name": "shop", "pid": 7, "command": "gunicorn", "packages": {"h11": "0.14.0"}}


def test_known_holes(program):
    vulns = [{"id": "PYSEC-1", "fix_versions": ["0.16.0"]}]
    program("pip-audit", {"dependencies": [{"name": "h11", "version": "0.14.0", "vulns": vulns}]}, 1)
    (finding,) = flow._versions(APP_TOLD)
    assert (finding.id, finding.where, finding.write) == ("known-holes", "h11 0.14.0", "h11>=0.16.0")
    program("pip-audit", {"dependencies": [{"name": "h11", "version": "0.14.0", "vulns": []}]})
    assert flow._versions(APP_TOLD) == []


def test_what_pip_audit_knows_nothing_of_isnt_taken_for_sound(program):
    """So answers 2.10.1 where it reaches a mirror alone."""
    why = "Dependency not found on PyPI and could not be audited: h11 (0.14.0)"
    program("pip-audit", {"dependencies": [{"name": "h11", "skip_reason": why}], "fixes": []})
    (finding,) = flow._versions(APP_TOLD)
    assert finding.id == "holes-not-asked"
    assert why in finding.seen


@pytest.mark.parametrize(("said", "status"), [("no network", 1), ("", 2)])
def test_a_pip_audit_that_fails_is_told(program, said, status):
    program("pip-audit", said, status)
    assert [each.id for each in flow._versions(APP_TOLD)] == ["holes-not-asked"]


def test_without_pip_audit_it_says_so_and_how(program):
    (finding,) = flow._versions(APP_TOLD)
    assert finding.id == "holes-not-asked"
    assert "pip install pip-audit" in finding.write


# --- All of it.

TOLD = {
    "findings": [],
    "database": {},
    "apps": [
        {
            **{
                "name": "shop",
                "server": "gunicorn",
                "app": "main:app",
                "pid": 7,
                "command": "gunicorn main:app",
                "workers": 2,
            },
            **{"unit": "shop.service", "supervisor": "systemd", "container": "", "listens": ["127.0.0.1:8000"]},
            **{"sites": [{"proxy": "nginx", "where": "/site:3", "names": []}], "ours": False, "source": "/srv/shop"},
            "source_unread": "",
            "files": packed({"main.py": "import time\nasync def x():\n    time.sleep(1)\n"}),
            **{"variables": ["A"], "numbers": {}, "preload": False, "packages": {}},
        }
    ],
}


def test_host_and_control_node_together(program):
    found = flow.complete(TOLD, "", True, "web-1")
    assert found["counts"]["high"] == 1
    assert "files" not in found["apps"][0]
    head, _blank, app, *_rest = found["text"].split("\n")
    assert head.startswith("web-1: 1 app; 1 high, 0 medium")
    assert app == "shop: gunicorn, 2 workers, shop.service, 127.0.0.1:8000, behind nginx"
    assert "  high    sync-call-in-async  /srv/shop/main.py:3\n" in found["text"]
    assert [each["id"] for each in flow.complete(TOLD, "", False, "x")["findings"]] == ["holes-not-asked"]


def test_a_source_that_no_app_runs_is_judged_by_itself(program, tmp_path):
    (tmp_path / "other.py").write_text("import time\nasync def x():\n    time.sleep(1)\n")
    found = flow.complete(TOLD, str(tmp_path), True, "x")["findings"]
    assert [(each["app"], each["where"]) for each in found if each["severity"] == "high"] == [
        ("", f"{tmp_path}/other.py:3")
    ]
    (tmp_path / "main.py").write_text("")
    found = flow.complete(TOLD, str(tmp_path), True, "x")["findings"]
    assert [each["app"] for each in found if each["severity"] == "high"] == ["shop"]


def test_how_the_source_was_read_isnt_called_unseen(program):
    found = flow.complete(TOLD, "", True, "x")["findings"]
    (finding,) = [each for each in found if each["where"] == "the source"]
    assert (finding["id"], finding["severity"]) == ("source-read", "info")
    assert "not-looked-at" not in {each["id"] for each in found}


def test_the_table_says_how_many_apps_arent_shown(program):
    found = flow.complete({**TOLD, "others": ["blog", "notes"]}, "", True, "web-1")
    head, more, *_rest = found["text"].split("\n")
    assert head.startswith("web-1: 1 app of 3; 1 high")
    assert more == "  Not shown, as fastapi_name is set: blog, notes. To see all: -e fastapi_name="
    assert found["others"] == ["blog", "notes"]


def test_costs_that_differ_are_each_told():
    row = {"id": "no-health", "app": "shop", "severity": "low", "where": "x", "seen": "Seen.", "write": "this"}
    rows = [{**row, "costs": "One."}, {**row, "costs": "Another."}, {**row, "costs": "One."}]
    text = render("x", {"apps": [], "findings": rows, "counts": {}})
    assert (text.count("One."), text.count("Another.")) == (1, 1)


def test_lines_of_the_table_are_short(program):
    text = render("x", flow.complete(TOLD, "", True, "x"))
    assert max(map(len, text.split("\n"))) <= 120
