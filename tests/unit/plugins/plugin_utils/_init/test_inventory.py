"""The inventory that init.yml writes, for projects as people lay them out; and that what it leaves open is refused."""

from __future__ import annotations

import base64
import datetime
import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
import yaml
from ansible_collections.graceful.deploy.plugins.module_utils._app.releases import ReleaseError
from ansible_collections.graceful.deploy.plugins.plugin_utils._init.installed import Asked
from ansible_collections.graceful.deploy.plugins.plugin_utils._init.inventory import HOSTS, app_file
from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs import check, specification
from ansible_collections.graceful.deploy.plugins.plugin_utils._release import lockfile
from ansible_collections.graceful.deploy.plugins.plugin_utils._release.git import last_day
from ansible_collections.graceful.deploy.plugins.plugin_utils._release.read import open_source
from ansible_collections.graceful.deploy.plugins.plugin_utils._source.lacks import migrating

ROOT = Path(__file__).resolve().parents[5]
MAIN = """
from fastapi import FastAPI
app = FastAPI()
"""


@pytest.fixture
def project(tmp_path: Path):
    def write(files: dict[str, str]) -> Path:
        top = tmp_path / "my-shop"
        for name, text in files.items():
            (top / name).parent.mkdir(parents=True, exist_ok=True)
            (top / name).write_text(dedent(text))
        return top

    return write


def test_one_file_and_its_requirements(project):
    top = project({"main.py": MAIN, "requirements.txt": "fastapi\n"})
    written = app_file(str(top), str(top))
    assert yaml.safe_load(written.text) == {
        "fastapi_name": "my-shop",
        "fastapi_source": str(top),
        "fastapi_app": "main:app",
        "fastapi_domains": ["TODO"],
    }
    assert written.left == ["fastapi_domains"]
    assert "Found in main.py:3." in written.text


CATCH_ALL = MAIN + '@app.get("/{hash}")\ndef go(hash: str): ...\n'


def test_where_a_route_takes_ready_too_another_path_is_asked(project):
    """A shortener's `/{hash}` answered 400 to /ready, so no release came to traffic."""
    main = CATCH_ALL + '@app.get("/system/health")\ndef health(): ...\n'
    written = app_file(str(project({"main.py": main, "requirements.txt": "fastapi\n"})), "x")
    values = yaml.safe_load(written.text)
    assert values["fastapi_health_path"] == values["fastapi_ready_path"] == "/system/health"
    assert "/{hash} (main.py:5) takes /ready." in written.text


def test_where_a_route_takes_ready_and_no_other_path_is_there_it_is_said(project):
    written = app_file(str(project({"main.py": CATCH_ALL, "requirements.txt": "fastapi\n"})), "x")
    assert "fastapi_ready_path" not in yaml.safe_load(written.text)
    assert '#   @app.get("/ready", include_in_schema=False)' in written.text
    assert any("takes /health and /ready too" in note for note in written.notes)
    both = CATCH_ALL + '@app.get("/health")\n@app.get("/ready")\ndef ready(): ...\n'
    written = app_file(str(project({"main.py": both, "requirements.txt": "fastapi\n"})), "x")
    assert "{hash}" not in written.text and not written.notes


@pytest.mark.parametrize("source", ["git@git.example.com:app.git", "https://git.example.com/us/app"])
def test_a_repository_that_is_called_app_gives_that_name_and_not_none(project, tmp_path: Path, source: str):
    top = project({"main.py": MAIN, "requirements.txt": "fastapi\n"}).rename(tmp_path / "1234")
    assert yaml.safe_load(app_file(str(top), source).text)["fastapi_name"] == "app"


@pytest.mark.parametrize(("wants", "said"), [("^3.12", "wants Debian 13"), (">=3.11,<3.13", "wants Debian 12")])
def test_the_debian_that_fits_is_said_before_one_is_rented(project, wants: str, said: str):
    table = f'[tool.poetry]\nname = "shop"\n[tool.poetry.dependencies]\npython = "{wants}"\nfastapi = "*"\n'
    top = project({"main.py": MAIN, "pyproject.toml": table, "requirements.txt": "fastapi\n"})
    written = app_file(str(top), str(top))
    assert said in written.text and said in " ".join(written.notes)


ASYNCMY = [f"asyncmy-0.2.10-cp3{minor}-cp3{minor}-manylinux_2_17_x86_64.whl" for minor in (11, 12)]
PROJECT = '[project]\nname = "shop"\ndependencies = ["fastapi"]\n'


def locked(kind: str, files: list[str], version: str = "0.2.10") -> str:
    """fastapi, which needs asyncmy in this lock, and pywin32, which nobody needs."""
    rows = {"poetry": 'file = "{}"', "uv": 'url = "https://x.example/{}"', "pylock": 'name = "{}"'}
    table = {"poetry": "files", "uv": "wheels", "pylock": "wheels"}[kind]
    own = ", ".join(f"{{ {rows[kind].format(file)} }}" for file in files)
    needs = {"poetry": 'dependencies = {asyncmy = "*"}', "uv": 'dependencies = [{ name = "asyncmy" }]', "pylock": ""}
    head = "packages" if kind == "pylock" else "package"
    return f"""[[{head}]]
name = "fastapi"
version = "1.0"
{needs[kind]}
[[{head}]]
name = "asyncmy"
version = "{version}"
{table} = [{own}]
[[{head}]]
name = "pywin32"
version = "1"
{table} = [{{ {rows[kind].format("pywin32-1-cp311-cp311-win_amd64.whl")} }}]
"""


@pytest.mark.parametrize(
    ("name", "kind"),
    [("poetry.lock", "poetry"), ("pdm.lock", "poetry"), ("uv.lock", "uv"), ("pylock.toml", "pylock")],
)
@pytest.mark.parametrize(
    ("files", "told"),
    [
        (
            ASYNCMY,
            "The app wants Debian 12, which has Python 3.11: of what {} has, asyncmy==0.2.10 has no wheel for 3.13",
        ),
        ([*ASYNCMY, "asyncmy-0.2.10-cp39-abi3-manylinux_2_17_x86_64.whl"], ""),
        ([*ASYNCMY, "asyncmy-0.2.10-py3-none-any.whl"], ""),
        (ASYNCMY[1:], "No Debian's own Python has wheels of all that {} has: asyncmy==0.2.10 has no wheel for 3.11; "),
    ],
)
def test_a_lock_tells_which_debian_has_its_wheels(project, name, kind, files, told):
    """A stranger's app was refused on Debian 13 after a minute, for wheels that its lock lists by name."""
    top = project({"main.py": MAIN, "pyproject.toml": PROJECT, name: locked(kind, files)})
    written = app_file(str(top), str(top))
    notes = " ".join(written.notes)
    assert told.format(name) in notes and ("Debian" in notes) == bool(told)
    assert " ".join(notes.split()) in written.text.replace("\n# ", " ")


def test_a_package_that_no_python_has_a_wheel_of_is_told_with_another(project):
    lock = locked("uv", ["mysqlclient-0.2.10-cp311-cp311-win_amd64.whl"]).replace('"asyncmy"', '"mysqlclient"')
    top = project({"main.py": MAIN, "pyproject.toml": PROJECT, "uv.lock": lock})
    assert "Write pymysql: another driver" in " ".join(app_file(str(top), str(top)).notes)
    # In its place the same is taken, as wheels.
    (top / "uv.lock").write_text(lock.replace("mysqlclient", "psycopg2"))
    assert "Debian" not in " ".join(app_file(str(top), str(top)).notes)


def wheels(name: str, version: str, *minors: int) -> list[str]:
    stem = f"{name.replace('-', '_')}-{version}"
    return [f"{stem}-cp3{minor}-cp3{minor}-manylinux_2_17_x86_64.whl" for minor in minors]


ON_INDEX = {
    "fastapi": ["fastapi-0.68.0-py3-none-any.whl"],
    "orjson": [*wheels("orjson", "3.6", 9, 10), *wheels("orjson", "3.9", 11, 12), *wheels("orjson", "3.11", 13)],
    "greenlet": [*wheels("greenlet", "2.0", 11), *wheels("greenlet", "3.1", 11, 12, 13)],
    "psycopg2": ["psycopg2-2.9.3.tar.gz", "psycopg2-2.9.3-cp311-cp311-win_amd64.whl"],
    "psycopg2-binary": [*wheels("psycopg2-binary", "2.9.5", 11), *wheels("psycopg2-binary", "2.9.10", 11, 13)],
}


@pytest.mark.parametrize(
    ("pins", "told"),
    [
        (
            "orjson==3.9",
            "The app wants Debian 12, which has Python 3.11: of what {} has, orjson==3.9 has no wheel for 3.13",
        ),
        (
            "orjson==3.11",
            "The app wants Debian 13, which has Python 3.13: of what {} has, orjson==3.11 has no wheel for",
        ),
        ("greenlet==3.1", ""),
        ("psycopg2==2.9.3", ""),
        (
            "orjson==3.9\ngreenlet==3.1\norjson2==1",
            "The app wants Debian 12, which has Python 3.11: of what {} has, orjson==3.9",
        ),
        (
            "orjson==3.6\ngreenlet==2.0",
            "No Debian's own Python has wheels of all that {} has: orjson==3.6 has no wheel for 3.11; greenlet==2.0, "
            "orjson==3.6 have no wheel for 3.13. For Debian 12 write orjson==3.9, or put a Python that fits",
        ),
    ],
)
def test_an_index_tells_which_debian_has_the_wheels_of_what_is_pinned(project, pins: str, told: str):
    """Without a Dockerfile nothing told: a day was all there was, and the wrong Debian was rented."""
    top = project({"main.py": MAIN, "requirements.txt": f"fastapi==0.68.0\n{pins}\n"})
    written = app_file(
        str(top), str(top), day="2023-05-01", index=Asked(lambda listed: ON_INDEX if listed.lines else {})
    )
    notes = " ".join(written.notes)
    assert told.format("requirements.txt") in notes and ("Debian" in notes) == bool(told), notes
    # Where no index answers, the day is better than nothing.
    assert "most likely fits Debian 12" in " ".join(app_file(str(top), str(top), day="2023-05-01").notes)


@pytest.mark.parametrize("name", ["requirements.txt", "poetry.lock"])
def test_versions_that_have_wheels_are_written_where_no_debian_has_those_of_the_app(project, name: str):
    """Four of fourteen strangers' projects pin what has no wheel for a Python of Debian's; each had to be edited."""
    lock = '[[package]]\nname = "fastapi"\nversion = "0.68.0"\nfiles = [{file = "fastapi-0.68.0-py3-none-any.whl"}]\n'
    rows = {"orjson": ("3.6", wheels("orjson", "3.6", 9)), "unneeded": ("1", wheels("unneeded", "1", 9))}
    lock += "[package.dependencies]\norjson = '*'\n"
    for package, (version, files) in rows.items():
        lock += f'[[package]]\nname = "{package}"\nversion = "{version}"\nfiles = [{{file = "{files[0]}"}}]\n'
    text = lock if name == "poetry.lock" else "fastapi==0.68.0\norjson==3.6\n"
    top = project({"main.py": MAIN, "pyproject.toml": PROJECT, name: text})
    asked = []

    def versions(listed, missing, files, target):
        asked.append((target.minor, [item.pin for item in missing]))
        return ["orjson==3.9", "other==2"] if target.minor == "3.11" else []

    # A wheel that came after the lock, which it has no hash of.
    later = {"unneeded": rows["unneeded"][1]}
    later |= {"orjson": [*ON_INDEX["orjson"], *wheels("orjson", "3.6", 11)]} if name == "poetry.lock" else {}
    index = Asked(lambda listed: ON_INDEX | later if listed.constraints or listed.lines else {}, versions)
    written = app_file(str(top), str(top), index=index)
    # What is for development alone is nobody's.
    assert asked == [("3.11", ["orjson==3.6"])]
    assert yaml.safe_load(written.text)["fastapi_versions"] == ["orjson==3.9", "other==2"]
    told = "The app wants Debian 12, which has Python 3.11, and 2 newer versions than "
    assert any(note.startswith(told) for note in written.notes)
    assert "nobody has tried the app with them" in " ".join(written.text.replace("\n# ", " ").split())


UV = """
[[package]]
name = "shop"
source = { virtual = "." }
dependencies = [{ name = "fastapi" }]
[package.metadata]
requires-dist = [{ name = "fastapi" }]
[[package]]
name = "fastapi"
version = "0.115.0"
source = { registry = "https://pypi.org/simple" }
"""


@pytest.mark.parametrize(
    ("files", "chosen"),
    [
        ({"uv.lock": UV}, "uv.lock"),
        ({"uv.lock": UV, "Dockerfile": "RUN pip install -r requirements.txt\n"}, "requirements.txt"),
        ({"uv.lock": UV, "Dockerfile": "COPY uv.lock .\nRUN uv sync --frozen\n"}, "uv.lock"),
        # Made from another project, or with nothing of the app's.
        ({"uv.lock": UV.replace('requires-dist = [{ name = "fastapi" }]', "requires-dist = []")}, "requirements.txt"),
        ({"pylock.toml": 'lock-version = "1.0"\npackages = []\n'}, "requirements.txt"),
        (
            {"poetry.lock": '[[package]]\nname = "fastapi"\nversion = "0.115.0"\nfiles = []\n'},
            "poetry.lock",
        ),
        # What the code needs is added to what isn't locked.
        (
            {"uv.lock": UV, "main.py": MAIN + "from pydantic import EmailStr\n"},
            "requirements.txt",
        ),
        ({"requirements-prod.txt": "fastapi\n", "Dockerfile": "COPY requirements.txt .\n"}, "requirements-prod.txt"),
    ],
)
def test_of_several_files_the_one_that_is_installed_counts(project, files: dict[str, str], chosen: str):
    """A requirements.txt of a project's first days was chosen beside the lock that everybody used."""
    top = project({"main.py": MAIN, "requirements.txt": "fastapi\n", "pyproject.toml": PROJECT} | files)
    written = app_file(str(top), str(top))
    assert yaml.safe_load(written.text)["fastapi_requirements"] == chosen


@pytest.mark.parametrize("path", ["alembic/env.py", "migrations/env.py", "app/db/migrations/env.py"])
@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('config.set_main_option("sqlalchemy.url", os.getenv("DB_ADDRESS"))', True),
        ('url = os.getenv("DB_ADDRESS")\nconfig.set_main_option("sqlalchemy.url", url)', True),
        ('def get_url():\n    return os.environ.get("DB_ADDRESS")', True),
        ('def online():\n    context.configure(url=os.getenv("DB_ADDRESS"))', True),
        ('config.set_main_option("sqlalchemy.url", os.environ["DB_ADDRESS"])', True),
        ("def get_url():\n    return f\"postgresql://{os.getenv('DB_ADDRESS')}/shop\"", True),
        ('if os.getenv("DB_ADDRESS"):\n    config.set_main_option("sqlalchemy.url", os.getenv("DB_ADDRESS"))', False),
        ('url = os.getenv("DB_ADDRESS", "sqlite://")', False),
    ],
)
def test_what_migrations_alone_ask_for_is_wanted(project, path: str, text: str, wanted: bool):
    """A migration failed before each first deploy for a variable that no module of the app reads."""
    versions = f"{os.path.dirname(path)}/versions/1_first.py"
    ini = f"[alembic]\nscript_location = {os.path.dirname(path)}\n"
    files = {path: f"import os\nfrom alembic import context\nconfig = context.config\n{text}\n", versions: ""}
    top = project({"main.py": MAIN, "requirements.txt": "fastapi\nalembic\n", "alembic.ini": ini} | files)
    written = app_file(str(top), str(top))
    assert ("DB_ADDRESS" in written.left) == wanted, written.text


def test_a_database_of_whoever_develops_the_app_is_filled_in(project):
    """Migrations met a server that knows no user `postgres` with that password."""
    config = """
        import os
        from pydantic import Field
        from pydantic_settings import BaseSettings
        class Settings(BaseSettings):
            database: str = Field("postgresql://shop:shop@localhost:5432/shop", validation_alias="SHOP_DATABASE")
            redis_url: str = "redis://localhost:6379/0"
            lite_url: str = "sqlite:///shop.db"
            database_url: str | None = None
            other: str | None = None
        OTHER = os.getenv("OTHER_URL", "mysql+pymysql://root:root@127.0.0.1/shop")
        TESTS = os.getenv("TEST_URL", "mysql+pymysql://root:root@127.0.0.1/tests")
        """
    top = project({"config.py": config, "main.py": MAIN, "requirements.txt": "fastapi\n"})
    written = app_file(str(top), str(top))
    env = yaml.safe_load(written.text)["fastapi_env"]
    assert env == {"SHOP_DATABASE": "TODO", "OTHER_URL": "TODO"}
    assert "By default it is postgresql://" in written.text and "shop:shop" not in written.text
    # The app starts without, and only it knows what then.
    assert "# DATABASE_URL: ...  # config.py:9" in written.text and "# OTHER:" not in written.text


@pytest.mark.project(
    "variable", "packages that compile at run time, as numba", "`fastapi_allow_jit: true`; init.yml writes it"
)
def test_what_compiles_at_run_time_may(project):
    top = project({"main.py": MAIN, "requirements.txt": "fastapi\ncatboost==1.2\n"})
    assert yaml.safe_load(app_file(str(top), str(top)).text)["fastapi_allow_jit"] is True
    (top / "requirements.txt").write_text("fastapi\nscikit-learn\n")
    assert "fastapi_allow_jit" not in yaml.safe_load(app_file(str(top), str(top)).text)


@pytest.mark.parametrize(
    "text",
    [
        "class Store:\n  def __init__(self, path=None):\n    self.path = path or settings.sqlite_path\n",
        "class Store:\n  def __init__(self, path: str = 'data/papers.db'):\n    self.path = path\n",
        "class Store:\n  def __init__(self, *, path='data/papers.db'):\n    self.path = str(path)\n",
        "class Store:\n  def __init__(self):\n    self.path = './data/papers.db'\n",
    ],
)
def test_a_file_that_an_object_holds_the_path_of_is_shared(project, text: str):
    """Reads were answered, and the first write was a 500."""
    uses = "  def open(self):\n    return sqlite3.connect(self.path)\n"
    settings = "import os\nclass Settings:\n  sqlite_path: str = os.getenv('P', './data/papers.db')\n"
    settings += "settings = Settings()\n"
    store = f"import sqlite3\nfrom config import settings\n{text}{uses}"
    top = project({"main.py": MAIN, "config.py": settings, "store.py": store, "requirements.txt": "fastapi\n"})
    assert yaml.safe_load(app_file(str(top), str(top)).text)["fastapi_shared_paths"] == ["data"]
    # Of two meanings none is known.
    (top / "store.py").write_text(store + "  def move(self, path):\n    self.path = path\n")
    assert "fastapi_shared_paths" not in yaml.safe_load(app_file(str(top), str(top)).text)


def test_an_app_that_sends_mail_starts_before_anybody_has_an_account(project):
    """Of nine values that were left to fill in, five were a mail server's."""
    config = """
        from pydantic_settings import BaseSettings
        class Settings(BaseSettings):
            MAIL_USERNAME: str
            MAIL_PASSWORD: str
            MAIL_FROM: str
            MAIL_FROM_NAME: str
            MAIL_PORT: int
            MAIL_SERVER: str
            MAIL_STARTTLS: bool
            SMTP_LOGIN: str
            EMAIL_HOST_USER: str
            EMAIL_HOST_PASSWORD: str
            EMAILS_FROM_EMAIL: str
            SENDGRID_API_KEY: str
            ADMIN_EMAIL: str
            ADMIN_PASSWORD: str
            GMAIL_TOKEN: str
        """
    top = project({"config.py": config, "main.py": MAIN, "requirements.txt": "fastapi\n"})
    written = app_file(str(top), str(top))
    env = yaml.safe_load(written.text)["fastapi_env"]
    # Somebody's own, whoever sends mail.
    assert [name for name, value in env.items() if value == "TODO"] == ["ADMIN_EMAIL", "ADMIN_PASSWORD", "GMAIL_TOKEN"]
    assert env["MAIL_USERNAME"] == env["EMAILS_FROM_EMAIL"] == "nobody@example.com"
    assert (env["MAIL_SERVER"], env["MAIL_FROM_NAME"]) == ("127.0.0.1", "my-shop")
    assert (
        "MAIL_PASSWORD: unset  # config.py:5 wants it. It is made up: no mail is sent until it is yours."
        in written.text
    )
    (note,) = (note for note in written.notes if "mail" in note)
    assert note.startswith("No mail is sent until MAIL_USERNAME, MAIL_PASSWORD, MAIL_FROM, MAIL_FROM_NAME, MAIL_SERVER")


@pytest.mark.parametrize(
    "files",
    [
        {"requirements.txt": "fastapi==0.68.0\nuvicorn==0.15.0\n"},
        {
            "pyproject.toml": '[project]\nname = "shop"\ndependencies = ["fastapi", "uvicorn"]\n',
            "uv.lock": """
[[package]]
name = "shop"
source = { virtual = "." }
dependencies = [{ name = "uvicorn" }]
[package.metadata]
requires-dist = [{ name = "fastapi" }, { name = "uvicorn" }]
[[package]]
name = "uvicorn"
version = "0.15.0"
source = { registry = "https://pypi.org/simple" }
""",
        },
    ],
)
def test_what_is_taken_in_place_of_a_line_is_said_at_once(project, files: dict[str, str]):
    top = project({"main.py": MAIN} | files)
    written = app_file(str(top), str(top))
    name = next(name for name in files if name != "pyproject.toml")
    assert f"{name} has uvicorn==0.15.0, and workers need uvicorn 0.22.0 or newer" in " ".join(written.notes)
    assert "0.22.0 is taken in its place" in " ".join(written.text.replace("\n# ", " ").split())


@pytest.mark.parametrize(
    ("files", "day", "told"),
    [
        ({"Dockerfile": "FROM python:3.10-slim AS base\n"}, "", "Debian 12: its own recipes have Python 3.10"),
        ({".python-version": "3.13\n"}, "", "Debian 13: its own recipes have Python 3.13"),
        ({}, "2023-11-02", "Debian 12: its last commit is of 2023-11-02"),
        ({}, "2025-11-02", ""),
        ({"Dockerfile": "FROM python:3.10\n", "requirements.txt": "fastapi\n"}, "", ""),
    ],
)
def test_what_is_pinned_fits_the_python_of_its_recipes(project, files, day, told):
    top = project({"main.py": MAIN, "requirements.txt": "fastapi==0.104.1\n"} | files)
    notes = " ".join(app_file(str(top), str(top), "", day).notes)
    assert told in notes and ("Debian" in notes) == bool(told)


def test_all_that_a_source_shows(project):
    top = project(
        {
            "backend/pyproject.toml": '[project]\nname = "Shop API"\ndependencies = ["fastapi", "alembic"]\n',
            "backend/alembic.ini": "",
            "backend/.env": "MAPS_KEY=1\nLOG_LEVEL=debug\n",
            "backend/src/shop/__init__.py": "",
            "backend/src/shop/main.py": """
                import os
                import celery
                from apscheduler.schedulers.asyncio import AsyncIOScheduler
                from fastapi import FastAPI
                from fastapi.staticfiles import StaticFiles
                KEY = os.environ["MAPS_KEY"]
                def create_app():
                    app = FastAPI()
                    app.mount("/static", StaticFiles(directory="static"))
                    @app.get("/healthz")
                    def healthz(): ...
                    @app.get("/ready")
                    def ready(): ...
                    return app
                """,
        }
    )
    written = app_file(str(top), str(top))
    values = yaml.safe_load(written.text)
    assert values == {
        "fastapi_name": "shop-api",
        "fastapi_source": f"{top}/backend",
        "fastapi_app": "shop.main:create_app",
        "fastapi_domains": ["TODO"],
        "fastapi_health_path": "/healthz",
        "fastapi_workers": 1,
        "fastapi_before_swap": ["alembic upgrade head"],
        "fastapi_shared_paths": ["static"],
        "fastapi_env": {"PYTHONPATH": "src", "MAPS_KEY": "TODO"},
    }
    assert written.left == ["fastapi_domains", "MAPS_KEY"]
    for told in ("sets LOG_LEVEL", "fastapi_static: {/static: static}", "uses Celery"):
        assert told in written.text
    # All that it writes are variables, and good ones but for what is left open.
    spec = specification.load_spec()
    given = {name.removeprefix("fastapi_"): value for name, value in values.items()}
    assert sorted(variable for variable, _text in check.check(given, spec)) == ["domains", "env['MAPS_KEY']"]


APP = "from fastapi import FastAPI\napp = FastAPI()\n"


def test_what_the_source_says_of_its_app_counts(project):
    """`app/__init__.py` had a FastAPI() without a route, and was served."""
    top = project(
        {"app/__init__.py": APP, "app/main.py": APP, "entrypoint.sh": "exec uvicorn app.main:app --port 80\n"}
    )
    assert yaml.safe_load(app_file(str(top), str(top)).text)["fastapi_app"] == "app.main:app"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Makefile", "run:\n\tuvicorn shop.web:server --reload\n"),
        ("justfile", "run:\n    uvicorn shop.web:server\n"),
        ("README.md", "Run it: `uvicorn shop.web:server`\n"),
        ("run.py", "import uvicorn\nif __name__ == '__main__':\n    uvicorn.run('shop.web:server', reload=True)\n"),
    ],
)
def test_what_people_are_told_to_run_is_the_app(project, name, text):
    files = {"main.py": APP, "shop/__init__.py": "", "shop/web.py": APP.replace("app =", "server =")}
    top = project(files | {name: text})
    assert yaml.safe_load(app_file(str(top), str(top)).text)["fastapi_app"] == "shop.web:server"


@pytest.mark.parametrize(
    "files",
    [
        {"src/main.py": "from fastapi import FastAPI\nclass App(FastAPI): ...\napp = App()\n"},
        {
            "src/core/web.py": "from fastapi import FastAPI as Base\nclass App(Base): ...\n",
            "src/main.py": "from src.core.web import App\napp: App = App()\n@app.get('/healthz')\ndef x(): ...\n",
        },
        # Of something that isn't read.
        {"src/main.py": "import lib\napp = lib.make()\n", "Makefile": "run:\n\tuvicorn src.main:app\n"},
    ],
)
def test_an_app_of_a_class_of_its_own_is_found(project, files):
    top = project(files | {"src/__init__.py": "", "requirements.txt": "fastapi\n"})
    values = yaml.safe_load(app_file(str(top), str(top)).text)
    assert values["fastapi_app"] == "src.main:app"
    assert values.get("fastapi_health_path") == ("/healthz" if "src/core/web.py" in files else None)


POETRY = """[[package]]
name = "fastapi"
version = "1"
[package.dependencies]
{} = "*"
[[package]]
name = "alembic"
version = "1"
"""


@pytest.mark.parametrize(
    ("name", "text", "brought"),
    [
        ("requirements.txt", "fastapi\nalembic==1.13\n", True),
        ("requirements.txt", "fastapi\n-r more.txt\n", True),
        ("requirements.txt", "fastapi\n# alembic\n", False),
        (
            "pyproject.toml",
            '[project]\nname = "x"\ndependencies = ["fastapi"]\n[dependency-groups]\nd = ["alembic"]\n',
            False,
        ),
        ("pyproject.toml", '[tool.poetry.dependencies]\nfastapi = "*"\nalembic = "^1.13"\n', True),
        ("pylock.toml", '[[packages]]\nname = "alembic"\nversion = "1"\n', True),
        ("poetry.lock", POETRY.format("alembic"), True),
        ("poetry.lock", POETRY.format("mako"), False),
    ],
)
def test_migrations_are_run_where_hosts_get_alembic(project, name, text, brought):
    poetry = {"pyproject.toml": '[tool.poetry.dependencies]\nfastapi = "*"\n'} if name == "poetry.lock" else {}
    top = project({"main.py": APP, "alembic.ini": "", name: text} | poetry)
    written = app_file(str(top), str(top))
    assert ("fastapi_before_swap" in yaml.safe_load(written.text)) == brought
    said = written.text.replace("\n# ", " ")
    assert ("doesn't name alembic" in said or "alembic is in pyproject.toml's group d," in said) != brought


@pytest.mark.parametrize(
    ("name", "recipe", "written"),
    [
        (
            "Procfile",
            "web: uvicorn app.main:app\nworker: celery -A app.tasks worker -c 2\nbeat: celery -A app.tasks beat\n",
            {
                "worker": {"command": "celery -A app.tasks worker -c 2"},
                "beat": {
                    "command": "celery -A app.tasks beat -s ../../home/celerybeat-schedule",
                    "instances": 1,
                    "hosts": "first",
                },
            },
        ),
        (
            "docker-compose.yml",
            'services:\n  w:\n    command: ["celery", "-A", "app.tasks", "worker", "-l", "info"]\n',
            {"worker": {"command": "celery -A app.tasks worker -l info"}},
        ),
        (
            "start.sh",
            "celery -A w.celery worker --loglevel=info --logfile=logs/celery.log --pidfile x.pid -c 2\n",
            {"worker": {"command": "celery -A w.celery worker --loglevel=info -c 2"}},
        ),
        ("start.sh", "uv run arq app.worker.Settings && true\n", {"worker": {"command": "arq app.worker.Settings"}}),
        ("start.sh", "poetry run dramatiq app.jobs &\n", {"worker": {"command": "dramatiq app.jobs"}}),
        (
            "start.sh",
            "celery -A t beat -s x\ncelery -A t beat -s y\ncelery -A t worker\ncelery -A t worker -P solo\n"
            "celery -A t worker -Q mail\n",
            {
                "beat": {"command": "celery -A t beat -s x", "instances": 1, "hosts": "first"},
                "worker": {"command": "celery -A t worker"},
                "worker-3": {"command": "celery -A t worker -Q mail"},
            },
        ),
        (
            "start.sh",
            "arq a.Settings\narq b.Settings\n",
            {"worker": {"command": "arq a.Settings"}, "worker-2": {"command": "arq b.Settings"}},
        ),
        ("start.sh", "echo celery is used for jobs\n", None),
    ],
)
def test_what_the_recipes_run_beside_the_web_is_a_process(project, name, recipe, written):
    top = project({"app/main.py": APP, "requirements.txt": "fastapi\n", name: recipe})
    values = yaml.safe_load(app_file(str(top), str(top)).text)
    assert values.get("fastapi_processes") == written
    spec = specification.load_spec()
    assert not [name for name, _text in check.check({"processes": written or {}}, {"processes": spec["processes"]})]


def test_what_every_service_has_is_wanted_of_nobody(project):
    top = project({"app/main.py": APP + 'import os\nx = os.environ["FASTAPI_RELEASE"] + os.environ["HOME"]\n'})
    assert "fastapi_env" not in yaml.safe_load(app_file(str(top), str(top)).text)


@pytest.mark.parametrize(
    ("files", "shared", "told"),
    [
        ({"main.py": "URL = os.getenv('DB_URL', 'sqlite:///./shop.db')"}, ["shop.db"], "main.py:4 has shop.db."),
        ({"main.py": "db = sqlite3.connect('a.db')", "a.db": "x"}, ["a.db"], "it begins as the source's a.db, once."),
        # A directory that the source hasn't got is shared as a whole, for what is written beside the file.
        ({"main.py": "handler = RotatingFileHandler('logs/app.log')"}, ["logs"], "main.py:4 has logs."),
        ({"main.py": "open('app/n.json', 'w')\nos.makedirs('app/up')", "app/x": ""}, ["app/n.json", "app/up"], ""),
        ({"main.py": "os.makedirs('data')\nsqlite3.connect('data/a.db')"}, ["data"], ""),
        ({"main.py": "os.makedirs('up')\nos.makedirs('static')", "up/.gitkeep": "", "static/a.css": ""}, ["up"], ""),
        (
            {"main.py": "@app.post('/')\ndef f(n): open(f'up/{n}', 'w')", "up/a": ""},
            ["up"],
            "begins as the source's up, once.",
        ),
        (
            {"main.py": "u = os.environ['DB_URL']", ".env.example": "DB_URL=sqlite:///./e.db\n"},
            ["e.db"],
            ".env.example",
        ),
    ],
)
def test_a_file_beside_the_code_is_shared(project, files, shared, told):
    """The app was deployed by an edit of its source alone."""
    main = APP + "import os\n" + files["main.py"] + "\n"
    top = project({"requirements.txt": "fastapi\n", **files, "main.py": main})
    written = app_file(str(top), str(top))
    values = yaml.safe_load(written.text)
    assert values["fastapi_shared_paths"] == shared
    assert values.get("fastapi_env", {}) == ({"DB_URL": "sqlite:///./e.db"} if ".env.example" in files else {})
    assert told in written.text.replace("\n# ", " ")
    assert written.notes == [
        f"What the app writes to {', '.join(shared)} is kept below /srv/my-shop/shared: backups are yours."
    ]


WRITES = "def divide():\n    with open('q/easy.json', 'w') as file:\n        file.write('[]')\n"


@pytest.mark.parametrize(
    ("files", "shared"),
    [
        # A function that nobody calls, one that only its author runs, and a script.
        ({"utils.py": WRITES, "main.py": "from utils import other\n"}, False),
        ({"utils.py": WRITES + "if __name__ == '__main__':\n    divide()\n", "main.py": "import utils\n"}, False),
        ({"main.py": f"{WRITES}def twice(): divide(); twice()\n"}, False),
        ({"main.py": "", "make.py": f"{WRITES}divide()\n"}, False),
        ({"main.py": f"import typer\ncli = typer.Typer()\n@cli.command()\n{WRITES}"}, False),
        ({"main.py": "class A:\n    @staticmethod\n    def d():\n        open('q/easy.json', 'w')\n"}, False),
        ({"main.py": "def d(n):\n    open(f'q/{n}', 'w')\n"}, False),
        # What the app comes to.
        ({"main.py": "from utils import *\n@app.get('/')\ndef f(): divide()\n", "utils.py": WRITES}, True),
        ({"main.py": "from lib.utils import divide as d\nd()\n", "lib/utils.py": WRITES}, True),
        ({"main.py": "from lib import x\n", "lib/__init__.py": "open('q/easy.json', 'w')", "lib/x.py": ""}, True),
        ({"main.py": f"@app.get('/')\n{WRITES}"}, True),
        ({"main.py": f"{WRITES}@app.get('/', dependencies=[Depends(divide)])\ndef f(): ...\n"}, True),
        ({"main.py": f"{WRITES}@app.get('/')\ndef f(x=Depends(divide)): ...\n"}, True),
        ({"main.py": "class A(Endpoint):\n    def get(self):\n        open('q/easy.json', 'w')\nA\n"}, True),
        ({"main.py": "class A:\n    def __init__(self):\n        open('q/easy.json', 'w')\nA()\n"}, True),
        ({"main.py": "", "tasks.py": f"from celery import Celery\nc = Celery()\n@c.task\n{WRITES}"}, True),
        ({"main.py": f"{WRITES}queue.enqueue('main.divide')\n"}, True),
        ({"main.py": f"if x:\n    pass\nelse:\n    pass\n{WRITES}for x in y: divide()\n"}, True),
        # Nobody knows what is imported.
        ({"main.py": "import importlib\nimportlib.import_module(x)\n", "p.py": f"{WRITES}divide()\n"}, True),
    ],
)
def test_what_the_source_brings_and_the_app_never_writes_comes_with_each_deploy(project, files, shared):
    """A deploy said live, and the app went on with the questions of the first one."""
    files = {**files, "main.py": APP + files["main.py"]}
    written = app_file(*[str(project({"requirements.txt": "fastapi\n", "q/easy.json": "[]", **files}))] * 2)
    found = yaml.safe_load(written.text).get("fastapi_shared_paths")
    assert found == (["q/easy.json"] if shared else None)
    told = "which the source brings, and the app was not seen to come to that line." in written.text.replace(
        "\n# ", " "
    )
    assert told is not shared and bool(written.notes) is shared


def test_what_the_app_never_writes_is_shared_where_no_deploy_brings_it(project):
    files = {"requirements.txt": "fastapi\n", "main.py": APP + WRITES}
    top = project(files)
    assert yaml.safe_load(app_file(str(top), str(top)).text)["fastapi_shared_paths"] == ["q"]
    project({**files, "q/easy.json": "[]", ".gitignore": "q/easy.json\n"})
    subprocess.run(["git", "init", "-q", str(top)], check=True)
    values = yaml.safe_load(app_file(str(top), str(top)).text)
    assert values["fastapi_shared_paths"] == ["q/easy.json"] and "/q/easy.json" in values["fastapi_exclude"]
    # A database is never the source's, whoever writes it.
    project({"main.py": APP + "import sqlite3\ndef f(): sqlite3.connect('q/a.db')\n", "q/a.db": ""})
    assert yaml.safe_load(app_file(str(top), str(top)).text)["fastapi_shared_paths"] == ["q/a.db"]


def test_a_database_of_whoever_develops_it_stays_behind(project):
    text = "import sqlite3\nsqlite3.connect('a.db')\ndef f(n): open(f'up/{n}', 'wb')\n"
    top = project({"main.py": APP + text, "a.db": "", "up/b": "", ".gitignore": "*.db\nup/\n"})
    subprocess.run(["git", "init", "-q", str(top)], check=True)
    written = app_file(str(top), str(top)).text
    values = yaml.safe_load(written)
    assert values["fastapi_shared_paths"] == ["a.db", "up"] and values["fastapi_exclude"][-2:] == ["/a.db", "/up"]
    assert "files that git ignores" in written and "begins as" not in written


@pytest.mark.parametrize(
    ("text", "shared"),
    [
        ("UPLOAD_DIR = Path('uploads')\nUPLOAD_DIR.mkdir(exist_ok=True)", ["uploads"]),
        ("BASE_DIR = Path(__file__).resolve().parent.parent\nUP = BASE_DIR / 'up' / 'in'\nUP.mkdir()", ["up/in"]),
        ("os.makedirs(os.path.join(os.path.dirname(__file__), 'logs'), exist_ok=True)", ["app/logs"]),
        ("from app.config import settings\nos.makedirs(settings.MEDIA)\nos.makedirs('media/in')", ["media"]),
        ("def lifespan(app):\n    Path(os.getenv('OUT', './out')).mkdir()", ["out"]),
        ("app.mount('/m', StaticFiles(directory='src/media'))", ["src/media"]),
        ("os.makedirs('there/')\nos.makedirs('/var/lib/x')\nos.makedirs('../x')\nPath('~/x').mkdir()", None),
        ("def save(name):\n    (Path('a') / name).mkdir()\ndef x(path):\n    path.mkdir()\npath = 'y'", None),
        ("Path(__file__).parent.parent.parent.mkdir()\nPath.cwd().mkdir()", None),
    ],
)
def test_directories_that_the_app_makes_are_shared(project, text, shared):
    """`Read-only file system: 'uploads'`, at the first start."""
    top = project(
        {
            "app/__init__.py": "",
            "app/main.py": APP + f"import os\nfrom pathlib import Path\n{text}\n",
            "app/config.py": "class Settings(BaseSettings):\n    MEDIA: str = 'media'\nsettings = Settings()\n",
            "there/x": "",
        }
    )
    written = app_file(str(top), str(top))
    assert yaml.safe_load(written.text).get("fastapi_shared_paths") == shared
    assert not check.check({"shared_paths": shared or []}, {"shared_paths": specification.load_spec()["shared_paths"]})
    assert bool(shared) == bool(re.search(r"app/main\.py:\d+ has ", written.text.replace("\n# ", " ")))


@pytest.mark.parametrize(
    ("ini", "env", "told"),
    [
        ("[alembic]\nscript_location = moves\nsqlalchemy.url = sqlite:///./x.db\n", "", True),
        ("[alembic]\nsqlalchemy.url = sqlite:///./x.db\n", 'config.set_main_option("sqlalchemy.url", url)', False),
        (
            "[alembic]\nx = 1\nsqlalchemy.url = sqlite:///./x.db\n",
            'if config.get_main_option("sqlalchemy.url") is None:\n    config.set_main_option("sqlalchemy.url", url)\n',
            True,
        ),
        (
            "[alembic]\nx = 1\nsqlalchemy.url = sqlite:///./x.db\n",
            'def run():\n    url = config.get_main_option("sqlalchemy.url")\n    e = create_engine(url, echo=True)\n',
            True,
        ),
        (
            "[alembic]\nx = 1\nsqlalchemy.url = sqlite:///./x.db\n",
            "e = create_async_engine(context.config.get_main_option('sqlalchemy.url'))\n",
            True,
        ),
        (
            "[alembic]\nsqlalchemy.url = sqlite:///./x.db\n",
            'url = config.get_main_option("sqlalchemy.url")\nurl = os.getenv("DB_URL")\ne = create_engine(url)\n',
            False,
        ),
        # Another engine beside it, as for making the database, or in its place.
        (
            "[alembic]\nx = 1\nsqlalchemy.url = sqlite:///./x.db\n",
            "admin = create_engine(ADMIN)\ne = engine_from_config(config.get_section(name), prefix='sqlalchemy.')\n",
            True,
        ),
        (
            "[alembic]\nsqlalchemy.url = sqlite:///./x.db\n",
            "if URL:\n    e = create_engine(URL)\nelse:\n    e = engine_from_config(config.get_section(name))\n",
            False,
        ),
        (
            "[alembic]\nsqlalchemy.url = sqlite:///./x.db\n",
            "e = engine_from_config({'sqlalchemy.url': URL}, prefix='sqlalchemy.')\n",
            False,
        ),
        ("[alembic]\nsqlalchemy.url = driver://user:pass@localhost/dbname\n", "", False),
        ("[alembic]\nsqlalchemy.url = sqlite:////var/x.db\n", "", False),
        ("[alembic]\nsqlalchemy.url = sqlite:///%(here)s/shop.db\n", "", False),
    ],
)
def test_an_address_of_alembics_own_is_told(project, ini, env, told):
    """The app's database was moved, and migrations went on with the one beside the code."""
    text = APP + "import os\nURL = os.getenv('DB_URL', 'sqlite+aiosqlite:///./shop.db')\n"
    written = app_file(str(top := project({"main.py": text, "alembic.ini": ini, "alembic/env.py": env})), str(top)).text
    written = written.replace("\n# ", " ")
    assert (
        bool(re.search(r"alembic\.ini line \d is `sqlalchemy\.url = sqlite:///\S+`: beside the code", written)) == told
    )
    if told:
        assert "takes no other. Write there the app's: sqlalchemy.url = sqlite:///shop.db" in written


@pytest.mark.parametrize(
    ("text", "listed", "switch"),
    [
        ("debug = os.getenv('ENV') != 'PROD'\n", False, "PROD"),
        ("ENV = os.getenv('ENV')\nif ENV in ('production', 'staging'): ...\n", False, "production"),
        # One that isn't a host's is of no use there.
        ("debug = 'DEV' == os.environ.get('ENV')\n", False, ""),
        ("a = os.getenv('ENV')\nb = os.getenv('ENV', 'x')\n", False, ""),
        ("a = os.getenv('ENV')\nb = os.getenv('ENV', '')\n", True, ""),
        ("ENV = os.getenv('ENV')\nif ENV == 'PROD': ...\nopen(ENV)\n", True, ""),
        ("class C:\n    ENV = os.getenv('ENV')\nc = C()\nif c.ENV == 'PROD': ...\nopen(c.ENV)\n", True, ""),
        ("if os.getenv('ENV') == other: ...\n", True, ""),
    ],
)
@pytest.mark.parametrize("more", ["", "KEY = os.environ['THEIR_KEY_ID']\n"])
def test_what_is_only_compared_or_has_a_default_elsewhere_is_not_required(project, text, listed, switch, more):
    """`os.getenv("ENV") == "PROD"` was listed as if the app failed without."""
    top = project({"main.py": MAIN + "import os\n" + more + text, "requirements.txt": "fastapi\n"})
    written = app_file(str(top), str(top)).text
    assert bool(re.search(r"# +ENV: \.\.\.", written)) == listed
    assert ("nothing stands for them" in written) == listed
    assert bool(switch) == ("The app is another one where this is set:" in written)
    if switch:
        assert re.search(rf"#( +)ENV: {switch}  # main.py:\d compares it with that\.\n", written)
        # Without their #, the lines are YAML.
        told = re.sub(r"(?m)^( *)# ?((fastapi_env:|  ENV: |ENV: ).*)", r"\1\2", written)
        assert yaml.safe_load(told)["fastapi_env"]["ENV"] == switch


def test_an_examples_superuser_of_the_database_is_told(project):
    """`postgres` of .env.example went to the host, where the app was to be the superuser."""
    names = ("POSTGRES_USER", "DB_USERNAME", "POSTGRES_DB", "DATABASE_NAME")
    text = MAIN + "import os\n" + "".join(f"{name} = os.environ['{name}']\n" for name in names)
    example = "POSTGRES_USER=postgres\nDB_USERNAME=shop\nPOSTGRES_DB=postgres\nDATABASE_NAME=shop\n"
    top = project({"main.py": text, "requirements.txt": "fastapi\n", ".env.example": example})
    written = app_file(str(top), str(top)).text
    has = "wants it. .env.example has it."
    assert f"{has} That is the database's superuser: give the app a user of its own.\n" in written
    assert f"{has} That is the server's own database: give the app one of its own.\n" in written
    assert written.count(f"{has}\n") == 2


def test_an_address_that_the_app_makes_of_its_parts_isnt_asked_for(project):
    """`database_url: str = ''`, and below `settings.database_url = f"postgresql://{...}"`."""
    text = (
        APP + "class Settings(BaseSettings):\n    db_password: str\n    database_url: str = ''\nsettings = Settings()\n"
    )
    for more, env in (("s.database_url = make()\n", set()), ("", {"DATABASE_URL"})):
        top = project({"main.py": text + more, "requirements.txt": "fastapi\npsycopg2-binary\n"})
        assert yaml.safe_load(app_file(str(top), str(top)).text)["fastapi_env"].keys() == {"DB_PASSWORD", *env}


@pytest.mark.parametrize(
    ("name", "text", "more", "command"),
    [
        ("requirements.txt", "fastapi==0.104.1\n", "", ["alembic upgrade head"]),
        # What makes tables already may have made them on the host.
        ("requirements.txt", "fastapi==0.104.1\n", "Base.metadata.create_all(bind=engine)\n", None),
        # A lock stays as it is.
        ("requirements.txt", f"fastapi==0.104.1 --hash=sha256:{'0' * 64}\n", "", ["TODO"]),
        ("poetry.lock", POETRY.format("mako"), "", ["TODO"]),
    ],
)
def test_migrations_of_an_app_whose_list_lacks_alembic_are_run(project, name, text, more, command):
    """`no such table`, answered 500 by an app that was deployed at the first try."""
    files = {"alembic.ini": "[alembic]\nscript_location = moves\n", "moves/env.py": "from alembic import context\n"}
    files |= {"moves/versions/a.py": "", "main.py": APP + more, name: text}
    files |= {"pyproject.toml": '[tool.poetry.dependencies]\nfastapi = "*"\n'} if name == "poetry.lock" else {}
    top = project(files)
    written = app_file(str(top), str(top))
    assert yaml.safe_load(written.text).get("fastapi_before_swap") == command
    said = re.sub(r"\n# ", " ", written.text)
    assert ("doesn't name alembic, so each release gets its newest" in said) == (command == ["alembic upgrade head"])
    assert migrating(str(top), files) == {"alembic": "for its migrations, moves/env.py"}
    assert migrating(str(top), files.keys() - {"alembic.ini"}) == {}


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            {"uv.lock": "version = 1\n", "pyproject.toml": PROJECT + '[dependency-groups]\ndev = ["alembic>=1"]\n'},
            "alembic is in pyproject.toml's group dev, which isn't installed. Add it by `uv add alembic`",
        ),
        (
            {
                "poetry.lock": POETRY.format("mako"),
                "pyproject.toml": '[tool.poetry.dependencies]\nfastapi = "*"\n'
                '[tool.poetry.group.tools.dependencies]\nalembic = "*"\n',
            },
            "alembic is in pyproject.toml's group tools, which isn't installed. Add it by `poetry add alembic`",
        ),
        (
            {"pyproject.toml": PROJECT + '[project.optional-dependencies]\ndb = ["alembic"]\n'},
            "alembic is in pyproject.toml's extra db. Write fastapi_extras: [db], and",
        ),
        (
            {"requirements.txt": "fastapi\n", "requirements-dev.txt": "alembic==1\n"},
            "alembic is in requirements-dev.txt, which isn't installed. Add it by a line in requirements.txt: alembic",
        ),
    ],
)
def test_where_alembic_is_and_how_it_comes_to_hosts_is_said(project, files, said):
    """And the run waits for an answer: an app without tables starts, and looks like a good one."""
    migrated = {"alembic.ini": "[alembic]\nscript_location = moves\n", "moves/env.py": "", "moves/versions/a.py": ""}
    top = project({"main.py": APP, **migrated, **files})
    written = app_file(str(top), str(top))
    text = re.sub(r"\n# ", " ", written.text)
    assert said in text and "before each new release: fastapi_before_swap: [alembic upgrade head]" in text
    assert "fastapi_before_swap" in written.left and any(said in note for note in written.notes)


def test_a_list_of_powershells_has_alembic_in_it(project):
    """Written as UTF-16 by `pip freeze > requirements.txt`: migrations were left out."""
    alembic = {
        "alembic.ini": "[alembic]\nscript_location = alembic\n",
        "alembic/env.py": "",
        "alembic/versions/a.py": "",
    }
    top = project({"main.py": APP, "requirements.txt": "fastapi\n", **alembic})
    written = app_file(str(top), str(top))
    assert any("doesn't name alembic" in note for note in written.notes)
    (top / "requirements.txt").write_bytes("fastapi==0.135.3\r\nalembic==1.18.4\r\n".encode("utf-16"))
    written = app_file(str(top), str(top))
    assert yaml.safe_load(written.text)["fastapi_before_swap"] == ["alembic upgrade head"]
    assert not any("alembic" in note for note in written.notes)


@pytest.mark.parametrize(
    ("text", "required", "env", "told"),
    [
        (
            "URL = os.getenv('DATABASE_URL', 'sqlite:///./app.db')",
            "sqlalchemy\npsycopg2-binary",
            None,
            "app.db is the app's database by default. For another set DATABASE_URL in fastapi_env: "
            "postgresql+psycopg2://USER:PASSWORD@127.0.0.1/NAME",
        ),
        (
            "URL = os.getenv('DATABASE_URL', 'postgresql://localhost/db')",
            "sqlalchemy\npsycopg2-binary",
            {"DATABASE_URL": "TODO"},
            "By default it is postgresql://localhost/db: if the host has such a one, that. For another write "
            "postgresql+psycopg2://USER:PASSWORD@127.0.0.1/NAME",
        ),
        (
            "N = os.getenv('DB_NAME', 'shop')\nUSER = os.getenv('DB_USER', 'me')\nHOST = os.getenv('DB_HOST', '::1')",
            "sqlalchemy",
            None,
            "By default the database is shop of the user me at ::1 (main.py:4): have that on the host, or set "
            "DB_NAME, DB_USER, DB_HOST in fastapi_env.",
        ),
        (
            "URL = os.getenv('MONGO_URL', 'mongodb://localhost:27017')",
            "motor",
            None,
            "By default MONGO_URL is mongodb://localhost:27017 (main.py:4): have that on the host, or set it",
        ),
        # The name alone is said by somebody.
        ("NAME = os.environ['DB_NAME']\nHOST = os.getenv('DB_HOST', 'localhost')", "", {"DB_NAME": "shop"}, ""),
    ],
)
def test_the_database_that_the_app_has_by_default_is_told(project, text, required, env, told):
    top = project({"main.py": APP + f"import os\n{text}\n", "requirements.txt": f"fastapi\n{required}\n"})
    written = app_file(str(top), "/src/shop").text
    assert yaml.safe_load(written).get("fastapi_env") == env
    flat = re.sub(r"\n# ", " ", written)
    assert told in flat if told else "By default" not in flat


def test_an_address_of_alembics_own_is_told_where_the_apps_database_is_elsewhere(project):
    """It was told only beside an app whose own database was SQLite's too, and had a variable."""
    text = APP + "import os\nURL = os.environ['POSTGRES_URL']\n"
    top = project({"main.py": text, "alembic.ini": "[alembic]\nsqlalchemy.url = sqlite:///x.db\n"})
    written = app_file(str(top), str(top)).text.replace("\n# ", " ")
    assert "takes no other. Add to alembic/env.py, at its top `import os` and below" in written
    assert 'config.set_main_option("sqlalchemy.url", os.environ["POSTGRES_URL"])' in written


@pytest.mark.parametrize(
    ("files", "command", "told"),
    [
        (
            {"alembic/env.py": "", "alembic/versions/a1_x.py": ""},
            None,
            "alembic/versions/ has migrations, and there is no",
        ),
        (
            {"db/migrations/env.py": "", "db/migrations/versions/a1_x.py": ""},
            None,
            "script_location = db/migrations in it",
        ),
        (
            {"db/env.py": "", "db/versions/a.py": "", "alembic.ini": ""},
            "alembic upgrade head",
            "there is an alembic.ini.",
        ),
        (
            {"db/moves/env.py": "", "db/moves/versions/a.py": "", "db/alembic.ini": ""},
            "cd db && alembic upgrade head",
            "there is db/alembic.ini.",
        ),
        (
            {"m/env.py": "", "m/versions/a.py": "", "pyproject.toml": "[tool.alembic]\nscript_location = 'm'\n"},
            "alembic upgrade head",
            "[tool.alembic]",
        ),
        (
            {"api/moves/env.py": "", "api/moves/versions/a.py": "", "api/alembic.ini": "script_location = api/moves\n"},
            "alembic -c api/alembic.ini upgrade head",
            "there is api/alembic.ini.",
        ),
        (
            {"a/b/env.py": "", "a/b/versions/a.py": "", "a/alembic.ini": "script_location = %(here)s/b\n"},
            "cd a && alembic upgrade head",
            "there is a/alembic.ini.",
        ),
        # env.py was never committed.
        ({"alembic/README": "", "alembic.ini": "script_location = alembic\n"}, None, "is no env.py"),
        # A database of whoever develops the app, which has another by its environment.
        (
            {
                "alembic/env.py": "",
                "alembic/versions/a.py": "",
                "alembic.ini": "script_location = alembic\nsqlalchemy.url = postgresql://u:geheim@localhost/x\n",
                "db.py": "import os\nURL = os.environ['URL']\n",
            },
            None,
            "takes no other than that. If it is the host's too: fastapi_before_swap: [alembic upgrade head]",
        ),
        # Versions of something else.
        ({"api/versions/v1.py": ""}, None, ""),
    ],
)
def test_migrations_are_seen_wherever_they_are(project, files, command, told):
    """`alembic/versions/` without an alembic.ini was passed over, and the app met a database without tables."""
    top = project({"main.py": APP, "requirements.txt": "fastapi\nalembic\n"} | files)
    text = app_file(str(top), str(top)).text
    assert yaml.safe_load(text).get("fastapi_before_swap") == (command and [command])
    said = text.replace("\n# ", " ")
    assert told in said and ("no alembic.ini" in said) == (
        bool(told) and "alembic.ini" not in "".join(files) and not command
    )


@pytest.mark.parametrize(
    ("text", "address", "write"),
    [
        ("limiter = Limiter(storage_uri='redis://redis:6379')", "redis://redis", "REDIS_URL"),
        (
            "engine = create_engine('postgresql+psycopg://u:s3cret@db:5432/x')",
            "postgresql+psycopg://db",
            "POSTGRESQL_URL",
        ),
        ("httpx.get('http://search:9200/x')", "http://search", "HTTP_URL"),
        ("x = os.getenv('R_URL', 'redis://redis:6379')", "", ""),
        ("class Settings(BaseSettings):\n    url: str = Field('redis://redis:6379')", "", ""),
        ("x = config('R_URL', default='redis://redis:6379')", "", ""),
        ("x = 'redis://localhost:6379', 'redis://cache.example.com', 'http://www', 'https://x.example'", "", ""),
        ("app.add_middleware(CORS, allow_origins=['http://frontend:3000'])", "", ""),
    ],
)
def test_a_containers_name_that_is_written_in_the_code_is_told(project, text, address, write):
    top = project({"main.py": APP + f"import os\n{text}\n"})
    written = app_file(str(top), str(top)).text.replace("\n# ", " ")
    assert (f"has the address {address}, by a name that compose gives" in written) == bool(address)
    if address:
        assert "main.py:4 has the address" in written and f'os.environ["{write}"]' in written
    assert ("by a name that compose gives" in written) == bool(address) and "s3cret" not in written


@pytest.mark.parametrize(
    ("members", "value"),
    [
        ("DEV = 'dev'\n    PROD = 'live'", '"live"  # config.py:6 wants it. It is a guess'),
        ("DEBUG = 10\n    INFO = 20", '"20"  # config.py:6 wants it. It is a guess'),
        ("RED = 'red'\n    BLUE = 'blue'", "TODO  # config.py:6 wants it. One of red, blue"),
    ],
)
def test_what_an_enumeration_may_be_is_chosen_or_listed(project, members: str, value: str):
    settings = "from enum import Enum\nfrom pydantic_settings import BaseSettings\n"
    settings += f"class Kind(Enum):\n    {members}\nclass Settings(BaseSettings): kind: Kind\n"
    # An example that lists them is none of them.
    top = project({"main.py": MAIN, "config.py": settings, ".env.example": "KIND=DEV | PROD\n"})
    assert f"  KIND: {value}" in app_file(str(top), str(top)).text.replace("KIND: live", 'KIND: "live"')


@pytest.mark.parametrize("name", [".env-example", "env.sample"])
@pytest.mark.parametrize(
    ("says", "written"),
    [
        ("MODE=fast", "fast  # main.py:4 wants it. {} has it."),
        ("MODE=STRING", "TODO  # main.py:4 wants it. {} has STRING"),
        ("MODE=number", "TODO  # main.py:4 wants it. {} has number"),
        ("MODE=a | b", "TODO  # main.py:4 wants it. {} has a | b"),
    ],
)
def test_an_example_that_says_of_what_type_a_value_is_has_none(project, name: str, says: str, written: str):
    top = project({"main.py": MAIN + "import os; mode = os.environ['MODE']\n", name: f"{says}\n"})
    assert f"  MODE: {written.format(name)}\n" in app_file(str(top), str(top)).text


@pytest.mark.parametrize(
    ("sized", "requires", "asked"),
    [
        ("pool_size=5", "asyncpg", True),
        ("max_overflow=5", "asyncpg", True),
        ("echo=True", "asyncpg", False),
        ("pool_size=5", "psycopg2-binary", False),
        ("pool_size=5", "aiosqlite", False),
    ],
)
def test_a_pool_isnt_made_of_sqlite_where_another_database_is_meant(project, sized: str, requires: str, asked: bool):
    """`create_async_engine("sqlite+aiosqlite://...", pool_size=10)` ended with a TypeError on the host."""
    settings = "from pydantic_settings import BaseSettings\nfrom sqlalchemy.ext.asyncio import create_async_engine\n"
    settings += "class Settings(BaseSettings): DATABASE_URL: str = 'sqlite+aiosqlite:///./shop.db'\n"
    settings += f"engine = create_async_engine(Settings().DATABASE_URL, {sized})\n".replace("Settings().", "settings.")
    top = project({"main.py": MAIN, "config.py": settings, "requirements.txt": f"fastapi\nsqlalchemy\n{requires}\n"})
    written = app_file(str(top), str(top))
    said = "config.py:4 makes a pool of it, and SQLite, the default, may have none. As postgresql+asyncpg://USER"
    assert ("DATABASE_URL" in written.left) == (said in written.text) == asked


FIRST = "revision = 'a'\ndown_revision = None\ndef upgrade():\n    {}\n"
SECOND = "revision: str = 'b'\ndown_revision: str = 'a'\ndef upgrade():\n    {}\n"


@pytest.mark.parametrize(
    ("first", "second", "creates", "fits"),
    [
        ("pass", "op.drop_table('posts')", True, False),
        ("pass", "op.add_column('posts', sa.Column('slug', sa.String()))", True, False),
        ("pass", "with op.batch_alter_table('posts') as b: b.drop_column('x')", True, False),
        ("op.create_table('posts', sa.Column('id', sa.Integer()))", "op.drop_table('posts')", True, True),
        ("op.execute('create table posts (id int)')", "op.drop_table('posts')", True, True),
        ("make_tables()", "op.drop_table('posts')", True, True),
        # A host may have the tables already.
        ("pass", "op.drop_table('posts')", False, True),
    ],
)
def test_migrations_that_an_empty_database_refuses_arent_run(
    project, first: str, second: str, creates: bool, fits: bool
):
    """Made beside create_all(), whose tables were there: UndefinedTableError, of the app's first deploy."""
    top = project(
        {
            "main.py": MAIN + ("from models import Base\nBase.metadata.create_all()\n" if creates else ""),
            "requirements.txt": "fastapi\nalembic\n",
            "alembic.ini": "[alembic]\nscript_location = alembic\n",
            "alembic/env.py": "",
            "alembic/versions/1_a.py": FIRST.format(first),
            "alembic/versions/2_b.py": SECOND.format(second),
        }
    )
    text = app_file(str(top), str(top)).text
    assert ("\nfastapi_before_swap: [alembic upgrade head]" in text) == fits
    said = " ".join(text.replace("\n# ", " ").split())
    told = "alembic/versions/2_b.py needs the table posts, which no migration before it has made: main.py:5 makes"
    assert (told in said) != fits


@pytest.mark.parametrize(
    ("name", "default", "told"),
    [
        ("DB_PASSWORD", "stockpass", True),
        ("POSTGRES_PASSWORD", "postgres", True),
        ("DB_PASSWORD", "", False),
        ("TEST_DB_PASSWORD", "x", False),
        ("MAIL_PASSWORD", "x", False),
    ],
)
@pytest.mark.parametrize("form", ["os.getenv('{}', '{}')", "Settings()\nclass Settings(BaseSettings): {}: str = '{}'"])
def test_a_databases_password_that_everybody_can_read_is_told(project, name: str, default: str, told: bool, form: str):
    """Nothing asked for it, and the database was to have it or the app answered 500."""
    code = "import os\nfrom pydantic_settings import BaseSettings\n"
    top = project({"main.py": MAIN, "config.py": f"{code}X = {form.format(name, default)}\n"})
    written = app_file(str(top), str(top))
    said = f"has a password for the database that everybody can read: the host's own belongs in {name}"
    assert (said in " ".join(written.text.replace("\n# ", " ").split())) == (said in " ".join(written.notes)) == told


OWN = "postgresql://shop:secret@localhost:5432/shop"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (f"URL = '{OWN}'", True),
        (f"URL = os.getenv('DATABASE_URL', '{OWN}')", False),
        (f"URL = os.getenv('DATABASE_URL') or '{OWN}'", False),
        (f"URL = os.getenv('URL') or '{OWN}'", False),
        (f"URL = '{OWN}'\nif os.getenv('DATABASE_URL'): URL = os.getenv('DATABASE_URL')", False),
        ("URL = 'postgresql://db.example.com/shop'", False),
    ],
)
def test_a_database_that_only_the_code_names_is_told(project, line: str, told: bool):
    """It is to be on the host by that name, user and password, of which nothing asked."""
    top = project({"main.py": MAIN + "import os\n" + line + "\n"})
    written = app_file(str(top), str(top))
    said = "main.py:5 has postgresql://***@localhost:5432/shop as its database, and asks for no other"
    assert (said in " ".join(written.text.replace("\n# ", " ").split())) == (said in " ".join(written.notes)) == told
    assert "secret@" not in written.text


def test_redis_is_looked_for_on_the_host(project):
    top = project({"main.py": MAIN + "import os; url = os.environ['REDIS_URL']\n"})
    assert "  REDIS_URL: redis://127.0.0.1:6379/0  # main.py:4 wants it. It is a guess" in app_file(str(top), "x").text


def test_an_example_of_the_environment_stands_beside_what_is_wanted(project):
    """Which driver the database's URL has to name was in it alone."""
    top = project({"main.py": APP + "import os\nA = os.environ['A_URL']\nB = os.environ['B']\n"})
    (top / ".env.example").write_text("# first\nA_URL = 'postgresql+psycopg://x: #{{ y }}'\nB=\nC=\"\"\n")
    written = app_file(str(top), str(top))
    assert "A_URL: TODO  # main.py:4 wants it. .env.example has postgresql+psycopg://x: #{{ y }}\n" in written.text
    assert yaml.safe_load(written.text)["fastapi_env"] == {"A_URL": "TODO", "B": "TODO"}


def test_a_line_that_is_taken_in_is_valid(project):
    """Below `fastapi_env: {}` it wasn't YAML."""
    top = project({"main.py": APP + "import os\nA = os.getenv('A_URL')\n", ".env": "B=1\n"})
    text = app_file(str(top), str(top)).text
    assert "fastapi_env" not in yaml.safe_load(text)
    text = text.replace("# fastapi_env:\n#   A_URL: ...", "fastapi_env:\n  A_URL: x")
    assert yaml.safe_load(text)["fastapi_env"] == {"A_URL": "x"}


def test_what_each_worker_would_make_up_is_made_up_once(project):
    config = """
        import secrets
        from cryptography.fernet import Fernet
        from pydantic_settings import BaseSettings
        SALT = secrets.token_hex(8)
        class Settings(BaseSettings):
            SECRET_KEY: str = secrets.token_urlsafe(32)
            FERNET_KEY: bytes = Fernet.generate_key()
        """
    top = project({"main.py": APP + "import config", "config.py": config})
    written = app_file(str(top), str(top))
    env = yaml.safe_load(written.text)["fastapi_env"]
    assert re.fullmatch(r"[\w-]{43}", env["SECRET_KEY"]) and re.fullmatch(r"[\w-]{43}=", env["FERNET_KEY"])
    assert not any(value in written.shown for value in env.values()) and set(env) == {"SECRET_KEY", "FERNET_KEY"}
    told = written.text.replace("\n# ", " ").replace("\n  # ", " ")
    assert "config.py:7 makes it up, in each worker and at each start another one; this one was made for you" in told
    assert "config.py:5 makes SALT up" in told and 'os.environ["SALT"]' in told


def test_a_secret_of_the_apps_own_is_made_up(project):
    """Tokens were signed with `your-super-secret-key` on a host."""
    top = project(
        {
            "main.py": APP + "import os\nA = os.getenv('JWT_SECRET', 'changeme')\nB = os.environ['SESSION_SECRET']\n"
            "C = os.environ['STRIPE_SECRET_KEY']\nD = os.getenv('GOOGLE_CLIENT_SECRET', 'x')\n"
            "E = os.getenv('SECRET')\n",
            "config.py": """
                from pydantic_settings import BaseSettings
                class Settings(BaseSettings):
                    secret_key: str = "secret_key"
                    class Config:
                        env_prefix = "SHOP_"
                """,
            ".env.example": "SESSION_SECRET=abc\n",
        }
    )
    written = app_file(str(top), str(top))
    env = yaml.safe_load(written.text)["fastapi_env"]
    assert env.pop("STRIPE_SECRET_KEY") == "TODO"
    assert sorted(env) == ["JWT_SECRET", "SECRET", "SESSION_SECRET", "SHOP_SECRET_KEY"]
    assert all(re.fullmatch(r"[\w-]{43}", value) for value in env.values()) and len({*env.values()}) == 4
    told = written.text.replace("\n  # ", " ")
    assert "main.py:4 has a default that everybody can read; this one was made for you; keep it" in told
    assert "main.py:5 wants it; this one was made for you" in told and "config.py:4 has a default" in told
    # A diff of it is seen by whoever looks on.
    assert not any(value in written.shown for value in env.values()) and "JWT_SECRET" in written.shown


def test_what_a_shipped_example_has_is_not_written_again(project):
    """Its secrets and addresses are examples all the same."""
    settings = """
        from pydantic_settings import BaseSettings
        class Settings(BaseSettings):
            log_level: str
            db_password: str
            secret_jwt_key: str
            secret_fernet_key: str
            model_config = {"env_file": ("envs/.env.template", ".env")}
        """
    example = "LOG_LEVEL=info\nDB_PASSWORD=x\nSECRET_JWT_KEY=x\nSECRET_FERNET_KEY=x\n"
    top = project({"main.py": APP, "config.py": settings, "envs/.env.template": example})
    env = yaml.safe_load(app_file(str(top), str(top)).text)["fastapi_env"]
    assert list(env) == ["DB_PASSWORD", "SECRET_JWT_KEY", "SECRET_FERNET_KEY"] and env["DB_PASSWORD"] == "TODO"
    assert len(base64.urlsafe_b64decode(env["SECRET_FERNET_KEY"])) == 32


@pytest.mark.parametrize(
    ("requirements", "name", "value"),
    [
        ("sqlalchemy\npymysql\n", "db_port", "3306"),
        ("sqlalchemy\npsycopg2-binary\n", "db_port", "5432"),
        ("sqlalchemy\npymysql\n", "postgres_port", "5432"),
        ("", "mysql_port", "3306"),
        ("", "rds_db", "0"),
        ("", "jwt_access_expire_minutes", "30"),
        ("", "jwt_refresh_expire_days", "7"),
        ("", "csrf_cookie_samesite", "lax"),
        ("", "csrf_cookie_secure", "true"),
        ("", "app_host", "127.0.0.1"),
        ("", "app_port", "8000"),
        ("", "mail_starttls", "true"),
        ("", "mail_host", "127.0.0.1"),
        ("", "db_user", "my_shop"),
        ("", "mysql_database", "my_shop"),
        ("", "postgres_db", "my_shop"),
        ("", "project_name", "my_shop"),
        ("", "db_password", "TODO"),
        ("", "smtp_user", "nobody@example.com"),
        ("", "frontend_host", "TODO"),
    ],
)
def test_what_most_have_is_by_the_driver_that_is_required(project, requirements, name, value):
    """PostgreSQL's port was a guess for an app with asyncmy, which waited 87 s for it."""
    settings = f"from pydantic_settings import BaseSettings\nclass Settings(BaseSettings):\n    {name}: str\n"
    top = project({"main.py": APP, "config.py": settings, "requirements.txt": f"fastapi\n{requirements}"})
    assert yaml.safe_load(app_file(str(top), str(top)).text)["fastapi_env"] == {name.upper(): value}


def test_what_only_an_example_sets_is_set_where_it_holds_for_any_host(project):
    """The app started without it, and its login answered 500. Somebody's own accounts are left to whoever deploys."""
    names = ("ALGORITHM", "MAIL_HOST", "S3_BUCKET", "CHAT_ID", "LIMIT")
    code = "import os\n" + "".join(f"{name} = os.getenv('{name}')\n" for name in names)
    example = "ALGORITHM=HS256\nMAIL_HOST=mail.example.com\nS3_BUCKET=shop\nCHAT_ID=99\nLIMIT=5\n"
    top = project({"main.py": APP, "config.py": code, ".env.example": example})
    text = app_file(str(top), str(top)).text
    assert yaml.safe_load(text)["fastapi_env"] == {"ALGORITHM": "HS256", "LIMIT": "5"}
    assert all(f"{name}: ..." in text for name in ("MAIL_HOST", "S3_BUCKET", "CHAT_ID"))


def test_a_port_of_a_class_with_a_prefix_is_what_the_prefix_says(project):
    code = "from pydantic_settings import BaseSettings, SettingsConfigDict\n"
    code += "class Database(BaseSettings):\n    model_config = SettingsConfigDict(env_prefix='DB_')\n    name: str\n"
    for kind in ("REDIS", "SMTP", "RABBITMQ"):
        code += (
            f"class {kind}(BaseSettings):\n    model_config = SettingsConfigDict(env_prefix='{kind}_')\n    port: int\n"
        )
    top = project({"main.py": APP, "config.py": code, "requirements.txt": "fastapi\nasyncpg\n"})
    values = yaml.safe_load(app_file(str(top), str(top)).text)["fastapi_env"]
    assert values.pop("DB_NAME")
    assert values == {"REDIS_PORT": "6379", "SMTP_PORT": "587", "RABBITMQ_PORT": "5672"}


def test_what_a_pipfile_locks_is_installed(project):
    lock = '{"default": {"fastapi": {"version": "==0.110.0"}, "alembic": {"version": "==1.13"}}}'
    top = project({"main.py": APP, "Pipfile.lock": lock, "alembic.ini": "", "alembic/env.py": ""})
    assert yaml.safe_load(app_file(str(top), str(top)).text)["fastapi_before_swap"] == ["alembic upgrade head"]


def test_a_port_beside_a_databases_name_is_the_databases(project):
    settings = "import os\nPORT, DATABASE = int(os.getenv('PORT')), os.getenv('DATABASE')\n"
    top = project({"main.py": APP, "config.py": settings, "requirements.txt": "fastapi\naiomysql\n"})
    assert yaml.safe_load(app_file(str(top), str(top)).text)["fastapi_env"] == {"PORT": "3306"}


@pytest.mark.parametrize(
    ("requirements", "told"),
    [
        ("sqlalchemy\npymysql\n", "As mysql+pymysql://USER:PASSWORD@127.0.0.1/NAME, by the driver"),
        ("sqlmodel\nasyncpg\n", "As postgresql+asyncpg://USER"),
        ("databases\nasyncpg\n", "As postgresql://USER"),
        ("pymongo\n", ""),
    ],
)
def test_the_address_of_a_database_is_told_by_its_driver(project, requirements, told):
    """A stranger wrote postgresql:// for an app of MySQL's."""
    text = APP + "import os\nURL = os.getenv('DATABASE_URL', '')\n"
    top = project({"main.py": text, "requirements.txt": f"fastapi\n{requirements}"})
    written = app_file(str(top), str(top))
    assert written.left == ["fastapi_domains", "DATABASE_URL"] and told in written.text
    assert ("USER:PASSWORD" in written.text) == bool(told)


def test_a_containers_name_is_the_host_itself(project):
    settings = """
        import os
        from pydantic_settings import BaseSettings
        DB_HOST, HOSTNAME = os.getenv("DB_HOST", "mysql-shared"), os.getenv("HOSTNAME", "web")
        CACHE, QUEUE = os.getenv("CACHE_URL", "redis://redis:6379/0"), os.getenv("QUEUE_URL", "amqp://u:p@queue/")
        class Settings(BaseSettings):
            redis_host: str = "redis"
            kafka_servers: str = "kafka:9092"
            smtp_host: str = "mail.example.com"
            db_server: str = "localhost"
            company_address: str = "Street"
            other_host: str = os.getenv("OTHER_HOST", "10.0.0.1")
        """
    top = project({"main.py": APP, "config.py": settings})
    written = app_file(str(top), str(top))
    assert yaml.safe_load(written.text)["fastapi_env"] == {
        "DB_HOST": "127.0.0.1",
        "CACHE_URL": "redis://127.0.0.1:6379/0",
        "QUEUE_URL": "TODO",
        "REDIS_HOST": "127.0.0.1",
        "KAFKA_SERVERS": "127.0.0.1:9092",
    }
    assert "wants it. By default it is mysql-shared, a container's name that the host doesn't know." in written.text


@pytest.mark.parametrize(
    ("dockerfile", "requirements", "packages"),
    [
        (
            "FROM python:3.11\nRUN apt-get update && apt-get install -y --no-install-recommends \\\n"
            "    build-essential gcc curl libpq-dev \\\n    # for scans\n    tesseract-ocr tesseract-ocr-deu \\\n"
            "    poppler-utils libgl1-mesa-glx && rm -rf /var/lib/apt/lists/*\n",
            "",
            ["libgl1", "poppler-utils", "tesseract-ocr", "tesseract-ocr-deu"],
        ),
        ("RUN apt install -y git ffmpeg=7:5.1 ; echo graphviz\n", "", ["ffmpeg"]),
        ("", "pytesseract==0.3\npyodbc\n", ["libodbc2", "tesseract-ocr"]),
        ("RUN apt-get install -y build-essential python3-dev\n", "requests\n", None),
    ],
)
@pytest.mark.project(
    "variable",
    "programs or libraries of Debian's, as `tesseract`",
    "`fastapi_packages: [tesseract-ocr]`; init.yml writes it",
)
def test_what_the_app_calls_is_installed(project, dockerfile, requirements, packages):
    """A reader of scans was served without its reader."""
    top = project({"main.py": APP, "Dockerfile": dockerfile, "requirements.txt": f"fastapi\n{requirements}"})
    assert yaml.safe_load(app_file(str(top), str(top)).text).get("fastapi_packages") == packages


def test_nobody_is_asked_for_what_most_have_or_the_example_says(project):
    top = project(
        {
            "config.py": """
                from pydantic_settings import BaseSettings
                class Settings(BaseSettings):
                    algorithm: str
                    access_token_expire_minutes: int
                    debug: bool
                    reload: bool
                    postgres_port: int
                    postgres_user: str
                    postgres_password: str
                    postgres_host: str
                    redis_port: int
                    environment: str
                    mail_from: str
                    test_database_url: str
                    test_name: str
                    size: int
                """,
            "main.py": APP + "import os\nX = os.getenv('TEST_X')\n",
            ".env.example": "DEBUG=false\nRELOAD=true\n"
            "POSTGRES_PORT=5433  # ours\nPOSTGRES_USER=shop\nENVIRONMENT=local\n"
            "POSTGRES_PASSWORD=shop\nPOSTGRES_HOST=db\nMAIL_FROM=a@b.example\nACCESS_TOKEN_EXPIRE_MINUTES=60\n",
        }
    )
    written = app_file(str(top), str(top))
    assert yaml.safe_load(written.text)["fastapi_env"] == {
        "ALGORITHM": "HS256",
        "ACCESS_TOKEN_EXPIRE_MINUTES": "60",
        "DEBUG": "false",
        "RELOAD": "false",
        "POSTGRES_PORT": "5433",
        "POSTGRES_USER": "shop",
        "POSTGRES_PASSWORD": "TODO",
        "POSTGRES_HOST": "127.0.0.1",
        "REDIS_PORT": "6379",
        "ENVIRONMENT": "TODO",
        "MAIL_FROM": "nobody@example.com",
        "TEST_DATABASE_URL": "postgresql://unused@localhost/unused",
        "TEST_NAME": "unused",
        "SIZE": "TODO",
    }
    assert "ALGORITHM: HS256  # config.py:4 wants it. It is a guess" in written.text and "TEST_X" not in written.text


@pytest.mark.parametrize(
    ("text", "requirements", "refused"),
    [
        ("[tool.black]\nline-length = 88\ntarget-version = [py311]\n", True, False),
        ("[tool.black]\ntarget-version = [py311]\n", False, True),
        ('[project]\nname = "x"\n[tool.black]\ntarget-version = [py311]\n', True, True),
    ],
)
def test_a_mistake_in_a_formatters_settings_stops_nobody(project, text, requirements, refused):
    """pip had never read it."""
    top = project(
        {"main.py": APP, "pyproject.toml": text, **({"requirements.txt": "fastapi\n"} if requirements else {})}
    )
    if refused:
        with pytest.raises(ReleaseError, match=r"line \d.*: target-version = \[py311\]"):
            app_file(str(top), str(top))
        return
    written = app_file(str(top), str(top))
    assert "# pyproject.toml isn't TOML: Invalid value (at line 3, column 19)" in written.text
    assert yaml.safe_load(written.text)["fastapi_app"] == "main:app"
    # The run reads it as init does.
    assert (lockfile.requires_python(str(top)), lockfile.find_requirements(str(top), "")) == ("", "requirements.txt")


def test_a_directory_is_the_top_where_imports_say_so(project):
    """backend.app.main:app was written, whose `from app.database` finds nothing."""
    files = {
        "backend/__init__.py": "",
        "backend/requirements.txt": "fastapi\n",
        "backend/app/main.py": APP + "from app.database import engine\nfrom app.routers import users\nimport redis\n",
        "backend/app/database.py": "import os\nengine = os.environ['A']\n",
        "backend/app/routers/users.py": "x = 1\n",
        "backend/app/redis/client.py": "import redis\n",
    }
    values = yaml.safe_load(app_file(str(project(files)), "https://example.com/a/shop.git").text)
    assert (values["fastapi_source_directory"], values["fastapi_app"]) == ("backend", "app.main:app")
    assert "fastapi_requirements" not in values
    # A library's name says nothing.
    top = project({**files, "backend/app/main.py": APP + "from backend.app import database\nimport redis\n"})
    assert yaml.safe_load(app_file(str(top), str(top)).text)["fastapi_app"] == "backend.app.main:app"


def test_a_link_out_of_the_source_is_left_out(project):
    """A README of the repository's, linked from backend/, had all of it refused."""
    top = project({"README.md": "", "backend/requirements.txt": "fastapi\n", "backend/main.py": APP})
    (top / "backend" / "README.md").symlink_to("../README.md")
    values = yaml.safe_load(app_file(str(top / "backend"), str(top / "backend")).text)
    assert values["fastapi_exclude"][-1] == "/README.md" and "__pycache__" in values["fastapi_exclude"]


def test_a_directory_that_no_import_can_name_is_put_on_the_path(project):
    """`fastapi-ml.main:app` was written, and then refused."""
    top = project({"fastapi-ml/main.py": APP, "requirements.txt": "fastapi\n"})
    values = yaml.safe_load(app_file(str(top), str(top)).text)
    assert (values["fastapi_app"], values["fastapi_env"]) == ("main:app", {"PYTHONPATH": "fastapi-ml"})


def test_what_cant_be_told_is_left_open(project):
    top = project({"notes.txt": ""})
    written = app_file(str(top), str(top))
    assert written.left == ["fastapi_app", "fastapi_requirements", "fastapi_domains"]
    assert "No FastAPI() was found" in written.text
    top = project({"main.py": MAIN, "requirements.txt": "fastapi\n", "uv.lock": ""})
    written = app_file(str(top), str(top))
    assert "There are requirements.txt and uv.lock." in written.text
    assert yaml.safe_load(written.text)["fastapi_requirements"] == "requirements.txt"


def test_an_app_in_a_directory_of_a_url(project):
    top = project({"api/main.py": MAIN, "api/__init__.py": "", "api/requirements.txt": "fastapi\n"})
    assert yaml.safe_load(app_file(str(top), "https://example.com/a/shop.git").text)["fastapi_app"] == "api.main:app"
    top = project({"api/app/main.py": MAIN, "api/app/__init__.py": "", "api/requirements.txt": ""})
    (top / "api/__init__.py").unlink()
    (top / "api/main.py").unlink()
    written = app_file(str(top), "https://example.com/a/shop.git")
    values = yaml.safe_load(written.text)
    assert (values["fastapi_name"], values["fastapi_source"]) == ("shop", "https://example.com/a/shop.git")
    assert values["fastapi_source_directory"] == "api"


def test_a_member_of_a_workspace_is_named_in_it_so_that_its_lock_holds(project):
    member = '[project]\nname = "api"\ndependencies = ["fastapi"]\n'
    lock = 'version = 1\n[[package]]\nname = "api"\nsource = { virtual = "api" }\n'
    top = project({"uv.lock": lock, "api/pyproject.toml": member, "api/app/__init__.py": "", "api/app/main.py": MAIN})
    values = yaml.safe_load(app_file(str(top), str(top)).text)
    assert (values["fastapi_source"], values["fastapi_source_directory"]) == (str(top), "api")
    assert "fastapi_requirements" not in values


def test_requirements_further_down_are_found(project):
    """As where what builds an image has a directory of its own; those for hosts come first."""
    files = ["infra/requirements.txt", "infra/requirements/dev.txt", "tests/requirements.txt", "a/b/c/requirements.txt"]
    top = project({"main.py": MAIN, **dict.fromkeys([*files, "infra/requirements/prod.txt"], "fastapi\n")})
    written = app_file(str(top), str(top))
    assert yaml.safe_load(written.text)["fastapi_requirements"] == "infra/requirements/prod.txt"
    assert "There are infra/requirements/prod.txt and infra/requirements.txt." in written.text
    assert written.left == ["fastapi_domains"]


def test_an_app_that_imports_from_its_own_directory(project):
    """backend/main.py imports core.config from backend/core, and no directory is marked as a package."""
    files = {"backend/main.py": MAIN + "from core.config import settings\n", "backend/core/config.py": "settings = 1\n"}
    top = project({**files, "backend/requirements.txt": "fastapi\n"})
    values = yaml.safe_load(app_file(str(top), str(top)).text)
    assert (values["fastapi_source"], values["fastapi_app"]) == (f"{top}/backend", "main:app")
    # A member of a workspace further down.
    member = '[project]\nname = "api"\ndependencies = ["fastapi"]\n'
    lock = 'version = 1\n[[package]]\nname = "api"\nsource = { virtual = "packages/api" }\n'
    files = {"app/main.py": MAIN + "from shared import x\n", "app/api/__init__.py": "", "app/routes.py": ""}
    files = {f"mono/packages/api/{path}": text for path, text in files.items()}
    shared = {"mono/packages/shared/shared.py": "x = 1\n", "mono/packages/shared/pyproject.toml": ""}
    top = project({**files, **shared, "mono/uv.lock": lock, "mono/packages/api/pyproject.toml": member})
    (top / "backend/requirements.txt").unlink()
    (top / "backend/main.py").unlink()
    values = yaml.safe_load(app_file(str(top), str(top)).text)
    assert values["fastapi_source_directory"] == "mono/packages/api"
    assert (values["fastapi_source"], values["fastapi_app"]) == (str(top), "app.main:app")


@pytest.mark.parametrize("value", ["TODO", ["TODO"], {"A": "TODO", "B": "x"}])
def test_what_is_left_open_is_refused_by_name(value):
    name = "env" if isinstance(value, dict) else "domains" if isinstance(value, list) else "app"
    spec = specification.load_spec()
    found = check.check({"name": "shop", "source": "/src", name: value}, spec)
    ((variable, sentence),) = found
    assert variable == ("env['A']" if name == "env" else name)
    assert "it still has to be filled in" in sentence


def test_the_playbook_writes_it_once_and_preflight_refuses_it(project, tmp_path):
    """As a person would, from the checkout."""
    top = project({"main.py": MAIN, "requirements.txt": "fastapi\n"})
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"), "ANSIBLE_NOCOLOR": "1"}
    program = str(Path(sys.executable).with_name("ansible-playbook"))

    def run(*words: str) -> tuple[int, str]:
        done = subprocess.run(
            [program, *words], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        return done.returncode, " ".join((done.stdout + done.stderr).split())

    init = [str(ROOT / "playbooks" / "init.yml"), "-e", "fastapi_source=my-shop", "-e", "into=new"]
    status, said = run(*init, "--check")
    assert (status, "Would write new/group_vars/all/app.yml and new/hosts.yml" in said) == (0, True), said
    assert not (tmp_path / "new").exists()
    status, said = run(*init)
    assert status == 0, said
    assert "Fill in ansible_host, ansible_user, fastapi_domains. Then look: ansible-playbook -i new" in said, said
    # Of a first deploy --diff has 1,800 lines.
    assert "playbooks/site.yml --check" in said and "--diff" not in said, said
    assert (tmp_path / "new/hosts.yml").read_text() == HOSTS
    assert yaml.safe_load((tmp_path / "new/group_vars/all/app.yml").read_text())["fastapi_source"] == str(top)
    status, said = run(*init)
    assert (status, "is there already" in said) == (2, True), said
    status, said = run("-i", "new", str(ROOT / "playbooks" / "site.yml"), "--check")
    assert status == 2, said
    for name in ("ansible_host", "ansible_user", "fastapi_domains"):
        assert f"{name} is 'TODO': it still has to be filled in" in said, said


@pytest.mark.parametrize(
    ("requirements", "day", "told"),
    [
        ("fastapi\nuvicorn==0.30.0\njinja2>=3\n", "2025-07-14", "2 of the 3 requirements name no exact version"),
        ("fastapi\n", "2020-07-14", "is of 2020-07-14; this is when both Debians' Pythons had their wheels"),
        ("fastapi==0.110.0\n", "2023-07-14", "nothing names the versions of what the requirements bring along"),
        ("fastapi==0.110.0\nstarlette==0.36.3\nanyio==4.3.0\n", "2023-07-14", ""),
        ("fastapi\n", "", ""),
        ("fastapi\n", str(datetime.datetime.now(datetime.UTC).date()), ""),
    ],
)
def test_versions_of_an_apps_own_days_are_written(project, requirements, day, told):
    """Three of six strangers' projects were served, and answered 500 with the newest of what they name."""
    top = project({"main.py": APP, "requirements.txt": requirements})
    written = app_file(str(top), str(top), "", day).text
    assert yaml.safe_load(written).get("fastapi_packages_until") == (max(day, "2024-12-01") if told else None)
    assert told in written.replace("\n# ", " ")


def test_what_a_lock_names_needs_no_day(project):
    """Of a poetry.lock it was said that none of its versions is exact."""
    top = project({"main.py": APP, "pyproject.toml": PROJECT, "poetry.lock": locked("poetry", ASYNCMY)})
    assert "packages_until" not in app_file(str(top), str(top), "", "2025-07-14").text


def test_the_day_of_the_last_commit_is_that_of_the_directory(project, tmp_path, monkeypatch):
    top = project({"main.py": APP, "untracked/x": ""})
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2024-03-05T12:00:00Z")
    git = ["git", "-C", str(top), "-c", "user.name=x", "-c", "user.email=x@example.com"]
    assert last_day(str(top)) == ""
    for command in (["init", "-q"], ["add", "main.py"], ["commit", "-qm", "x"]):
        subprocess.run([*git, *command], check=True)
    assert (last_day(str(top)), last_day(str(top / "untracked"))) == ("2024-03-05", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "work" / "in").mkdir(parents=True)
    into, origin = open_source(f"file://{top}", "", str(tmp_path / "work" / "in"))
    assert last_day(into, f"file://{top}", origin["revision"]) == "2024-03-05"


def test_a_user_beside_a_password_is_the_apps(project):
    """Filled in as it was written, PostgreSQL refused the user deploy: the service's own, which the app took for it."""
    lines = [f"{name} = os.getenv('{name.upper()}')" for name in ("user", "password", "database")]
    text = "\n".join(["import os", *lines, "{test}", "    {then}", ""])
    top = project(
        {
            "requirements.txt": "fastapi\n",
            "main.py": APP + text.format(test="if not all([user, password, database]):", then="url = 'sqlite://'"),
        }
    )
    written = app_file(str(top), str(top))
    assert "#   USER: ...  # main.py:4" in written.text and written.left == ["fastapi_domains"]
    assert "# main.py:7 does without USER, PASSWORD, DATABASE, unless all of them are set." in written.text
    project(
        {
            "requirements.txt": "fastapi\n",
            "main.py": APP + text.format(test="if not all([user, password, database]):", then="raise ValueError"),
        }
    )
    written = app_file(str(top), str(top))
    assert written.left == ["fastapi_domains", "DATABASE", "PASSWORD", "USER"] and "does without" not in written.text
    project({"requirements.txt": "fastapi\n", "main.py": APP + "import os\nprint(os.getenv('USER'))\n"})
    assert "USER" not in app_file(str(top), str(top)).text


def test_what_the_app_writes_to_is_nothing_for_the_proxy(project):
    text = "app.mount('/up', StaticFiles(directory='up'))\n@app.post('/')\ndef f(n): open(f'up/{n}', 'wb')\n"
    top = project({"main.py": APP + text, "up/a": ""})
    written = app_file(str(top), str(top)).text
    assert yaml.safe_load(written)["fastapi_shared_paths"] == ["up"] and "fastapi_static" not in written


def test_a_key_that_everybody_can_read_is_another_on_the_host(project):
    """`X-API-Key: changeme` was answered 200 on a host."""
    config = """
        from pydantic import Field, SecretStr
        from pydantic_settings import BaseSettings
        class Settings(BaseSettings):
            api_key: str = "changeme"
            admin_token: SecretStr = SecretStr("letmein")
            password: str = Field("hunter2", description="x")
            private_key: str = "/etc/keys/app.pem"
            token_url: str = "token"
            api_key_header: str = "X-API-Key"
            openai_api_key: str = ""
        """
    top = project({"main.py": APP + "import app_config", "app_config.py": config})
    written = app_file(str(top), str(top))
    env = yaml.safe_load(written.text)["fastapi_env"]
    assert env.pop("PASSWORD") == "TODO" and "PASSWORD" in written.left
    assert sorted(env) == ["ADMIN_TOKEN", "API_KEY"]
    assert all(re.fullmatch(r"[\w-]{43}", value) and value not in written.shown for value in env.values())
    told = written.text.replace("\n  # ", " ")
    assert "app_config.py:5 has a default that everybody can read; this one was made for you; keep it" in told
    assert "If it is another service's key, write that instead." in told
    assert "changeme" not in written.text and "letmein" not in written.text
