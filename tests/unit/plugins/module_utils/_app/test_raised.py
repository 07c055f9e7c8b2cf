"""What a release's app raised is in the first line, with its own file; the frames of others are left out."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app.advice import advice
from ansible_collections.graceful.deploy.plugins.module_utils._app.raised import (
    because,
    cause,
    without_frames,
)
from hypothesis import given
from hypothesis import strategies as st

PYDANTIC = """Traceback (most recent call last):
  File "/srv/shop/releases/1/app/settings.py", line 9, in <module>
    settings = Settings()
               ^^^^^^^^^^
  File "/srv/shop/releases/1/.venv/lib/python3.11/site-packages/pydantic_settings/main.py", line 188, in __init__
    super().__init__(
pydantic_core._pydantic_core.ValidationError: 2 validation errors for Settings
database_url
  Field required [type=missing, input_value={}, input_type=dict]
    For further information visit https://errors.pydantic.dev/2.12/v/missing
secret_key
  Field required [type=missing, input_value={}, input_type=dict]
    For further information visit https://errors.pydantic.dev/2.12/v/missing"""


@pytest.fixture
def said(tmp_path: Path):
    """What Python says of an app that a server (its frames are Gunicorn's) imports."""
    release = tmp_path / "srv/shop/releases/0123"
    site = release / ".venv/lib/python3.11/site-packages"
    for name, text in {
        "gunicorn": "import importlib\ndef load(name):\n    return importlib.import_module(name)\n",
        "drawing": "def draw():\n    raise ValueError('no such colour')\n",
    }.items():
        (site / name).mkdir(parents=True)
        (site / name / "__init__.py").write_text(text)
    (release / "app").mkdir()

    def run(code: str, **files: str) -> str:
        for name, text in {"main": code, **files}.items():
            (release / f"app/{name}.py").write_text(textwrap.dedent(text))
        serve = f"import sys; sys.path[:0] = {[str(release), str(site)]!r}; import gunicorn; gunicorn.load('app.main')"
        done = subprocess.run([sys.executable, "-c", serve], capture_output=True, text=True, check=False, cwd=release)
        assert done.returncode == 1
        return f"Worker startup failed\n{done.stderr.rstrip()}\nWorker (pid:7) exited with code 3"

    return run


@pytest.mark.parametrize(
    ("code", "first", "write"),
    [
        (
            "import nope.inner",
            "ModuleNotFoundError: No module named 'nope', at app/main.py line 1: import nope.inner",
            "Nothing that the release installs brings nope: add what does to the requirements",
        ),
        (
            "import os\nurl = os.environ['DATABASE_URL']",
            "KeyError: 'DATABASE_URL', at app/main.py line 2: url = os.environ['DATABASE_URL']",
            "Write fastapi_env: {DATABASE_URL: …}, secrets by ansible-vault.",
        ),
        (
            "raise RuntimeError('DATABASE__URL is not set')",
            "RuntimeError: DATABASE__URL is not set, at app/main.py line 1",
            "Write fastapi_env: {DATABASE__URL: …}, secrets by ansible-vault.",
        ),
        (
            "raise ValueError('Missing environment variable: SECRET_KEY')",
            "ValueError: Missing environment variable: SECRET_KEY, at app/main.py line 1",
            "Write fastapi_env: {SECRET_KEY: …}",
        ),
        ("raise ValueError('ORDER_ID has the wrong length')", "ValueError: ORDER_ID has", ""),
        # The app's own line, not the package's.
        ("import drawing\ndrawing.draw()", "ValueError: no such colour, at app/main.py line 2: drawing.draw()", ""),
        ("def broken(:\n  pass", "SyntaxError: invalid syntax, at app/main.py line 1: def broken(:", "fastapi_python"),
        (
            "try:\n  1 / 0\nexcept ZeroDivisionError as error:\n  raise RuntimeError('wrapped.') from error",
            "RuntimeError: wrapped, at app/main.py line 4: raise RuntimeError('wrapped.') from error",
            "",
        ),
        (
            "raise ExceptionGroup('many', [ValueError('a')])",
            "ExceptionGroup: many (1 sub-exception), at app/main.py",
            "",
        ),
        (
            "open('models/best.bin')",
            "FileNotFoundError: [Errno 2] No such file or directory: 'models/best.bin', at app/main.py line 1: open(",
            "put it on the host as /srv/NAME/shared/models/best.bin, for the app's user to read, and write",
        ),
        ("import ssl\nssl.create_default_context(cafile='/etc/no.pem')", "FileNotFoundError: [Errno 2]", ""),
        (
            "import sqlite3\nsqlite3.connect('no/x.db')",
            "OperationalError: unable to open",
            "fastapi_shared_paths: [blog.db], with the path",
        ),
        (
            "import sqlite3\nsqlite3.connect(':memory:').execute('select * from user')",
            "OperationalError: no such table: user, at app/main.py line 2",
            "fastapi_before_swap: [alembic upgrade head]",
        ),
        (
            "import socket\nsocket.create_connection(('127.0.0.1', 9))",
            "ConnectionRefusedError: [Errno 111] Connection refused, at app/main.py line 2: socket.create_connection(",
            "What the app connects to isn't there.",
        ),
        (
            "import socket\nsocket.getaddrinfo('db.invalid', 5432)",
            "gaierror: [Errno -",
            "The host can't find a name that the app connects to",
        ),
        (
            "raise ImportError('libGL.so.1: cannot open shared object file: No such file or directory')",
            "ImportError: libGL.so.1: cannot open shared object file",
            "The host has no libGL.so.1. Write fastapi_packages: [libgl1].",
        ),
        (
            "raise OSError('libx.so.9: cannot open shared object file')",
            "OSError: libx.so.9",
            "apt-file search libx.so.9",
        ),
        (
            "import sqlite3\nd = sqlite3.connect(':memory:')\nd.execute('create table c (n unique)')\n"
            "d.execute('insert into c values (1)')\nd.execute('insert into c values (1)')",
            "IntegrityError: UNIQUE constraint failed: c.n, at app/main.py line 5",
            "have it done by fastapi_before_swap, which runs once for a release.",
        ),
        # SQLAlchemy 2.1 takes a URL that names no driver for psycopg's.
        ("import psycopg", "ModuleNotFoundError: No module named 'psycopg'", "as postgresql+psycopg2://"),
        (
            "import distutils.none",
            "ModuleNotFoundError: No module named 'distutils",
            "add setuptools to the requirements",
        ),
        ("assert False", "AssertionError, at app/main.py line 1: assert False", ""),
        ("class Odd(Exception): pass\nraise Odd('a: b')", "Odd: a: b, at app/main.py line 2: raise Odd('a: b')", ""),
    ],
)
def test_the_first_line_tells_and_the_rest_is_the_apps(said, code: str, first: str, write: str) -> None:
    text = said(code)
    assert cause(text).startswith(first), cause(text)
    assert write in advice(text), advice(text)
    kept = without_frames(text)
    assert "site-packages/gunicorn" in text and "gunicorn" not in kept and "importlib" not in kept
    assert kept.startswith("Worker startup failed\n") and kept.endswith("\nWorker (pid:7) exited with code 3")
    assert cause(kept) == cause(text)


def test_a_package_that_a_package_imports_isnt_taken_for_the_apps_module() -> None:
    """`celery worker --pool=gevent` without gevent: fastapi_app was to be changed."""
    frame = '  File "/srv/shop/releases/0123456789ab/.venv/lib/python3.13/site-packages/{}", line 1, in main\n    {}\n'
    end = "ModuleNotFoundError: No module named 'gevent'"
    theirs = "Traceback (most recent call last):\n" + frame.format("celery/__init__.py", "import gevent") + end
    assert advice(theirs) == "Nothing that the release installs brings gevent: add what does to the requirements."
    loader = "return _bootstrap._gcd_import(name[level:], package, level)"
    asked = frame.format("gunicorn/app/wsgiapp.py", "return util.import_app(self.app_uri)")
    ours = "Traceback (most recent call last):\n" + asked + frame.format("gunicorn/util.py", loader) + end
    assert advice(ours).startswith("There is no gevent at the top of the source: write fastapi_app")
    # Found by its name: no frame is the user's, and none has an import of it.
    named = "Traceback (most recent call last):\n" + frame.format("kombu/utils/imports.py", loader) + end
    assert advice(named) == "Nothing that the release installs brings gevent: add what does to the requirements."


def test_a_worker_of_gunicorns_that_lacks_its_package() -> None:
    """Recorded of Gunicorn 27.0.1 with `-k gevent`, cut."""
    packages = "/srv/shop/releases/0123456789ab/.venv/lib/python3.13/site-packages"
    text = (
        "Error: class uri 'gevent' invalid or not found: \n\n[Traceback (most recent call last):\n"
        f'  File "{packages}/gunicorn/workers/ggevent.py", line 12, in <module>\n    import gevent\n'
        "ModuleNotFoundError: No module named 'gevent'\n\n"
        "During handling of the above exception, another exception occurred:\n\nTraceback (most recent call last):\n"
        f'  File "{packages}/gunicorn/util.py", line 130, in load_class\n'
        "    mod = importlib.import_module('.'.join(components))\n"
        f'  File "{packages}/gunicorn/workers/ggevent.py", line 14, in <module>\n'
        '    raise RuntimeError("gevent worker requires gevent 24.10.1 or higher")\n'
        "RuntimeError: gevent worker requires gevent 24.10.1 or higher\n]"
    )
    assert advice(text) == "Nothing that the release installs brings gevent: add what does to the requirements."


def test_a_migration_that_needs_a_table_isnt_told_to_run_migrations() -> None:
    """Its own line was advised, for what that line had just failed with."""
    error = 'sqlalchemy.exc.ProgrammingError: UndefinedTableError: table "posts" does not exist'
    frames = '  File "/srv/shop/releases/0123456789ab/{}", line 23, in upgrade\n    op.drop_table("posts")\n'
    text = "Traceback (most recent call last):\n{}" + error
    told = advice(text.format(frames.format("alembic/versions/e6b5_slug.py")))
    assert told.startswith("The migration alembic/versions/e6b5_slug.py needs a table that none before it has made")
    assert "`alembic stamp head`" in told
    told = advice(text.format(frames.format("app/main.py")))
    assert told == "The database lacks a table. Write fastapi_before_swap: [alembic upgrade head], or what makes it."


def test_two_modules_that_import_each_other(said) -> None:
    text = said("from app.other import b\na = 1", other="from app.main import a\nb = 2")
    assert cause(text).startswith("ImportError: cannot import name 'a' from partially initialized module 'app.main'")
    assert ", at app/other.py line 1: from app.main import a" in cause(text)
    assert "Two modules import each other" in advice(text)


def test_settings_without_a_value_are_named_together() -> None:
    place = "at app/settings.py line 9: settings = Settings()"
    assert cause(PYDANTIC) == f"ValidationError: nothing is set for database_url, secret_key, {place}"
    assert advice(PYDANTIC) == "Write fastapi_env: {DATABASE_URL: …, SECRET_KEY: …}, secrets by ansible-vault."


@pytest.mark.parametrize(
    ("rows", "write", "hint"),
    [
        ({"rmq": "Field required"}, "{RMQ: …}", "in place of RMQ, as RMQ__FIELD: the class's env_prefix"),
        (
            {"session.secret_key": "Input should be a valid string"},
            "{SESSION__SECRET_KEY: …}",
            "as SESSION__SECRET_KEY, has the class's env_prefix before it, if there is one, and its env_nested",
        ),
        ({"db.url": "Field required"}, "{DB__URL: …}", "as DB__URL, has the class's env_prefix"),
        # What was tried for a plain one.
        ({"port.int": "Input should be a valid integer", "db_url": "Field required"}, "{DB_URL: …}", ""),
    ],
)
def test_a_setting_in_another_is_named_as_the_environment_has_it(rows, write, hint) -> None:
    """`fastapi_env: {RMQ: …}` was advised, and what it was set to was refused again."""
    head, _row, _rest = PYDANTIC.partition("database_url\n")
    said = head + "\n".join(
        f"{name}\n  {why} [type=x, input_value={{}}, input_type=dict]" for name, why in rows.items()
    )
    told = advice(said)
    assert told.startswith(f"Write fastapi_env: {write}, secrets by ansible-vault.")
    assert hint in told and bool(hint) == ("env_prefix" in told)


@pytest.mark.parametrize(
    ("rows", "write"),
    [
        (
            {"db": "Field required", "log.level": "Field required", "debug": "Field required"},
            "{SHOP__DB__URL: …, SHOP__DB__USER: …, SHOP__LOG__LEVEL: …, DEBUG: …}",
        ),
        # Of a default of None.
        ({"token": "Input should be a valid string"}, "{TOKEN: …}"),
        ({"port": "Input should be a valid integer, unable to parse string as an integer"}, ""),
    ],
)
def test_a_setting_is_named_as_its_class_in_the_source_has_it(rows, write) -> None:
    """Without the prefix that the class has, what was advised was no variable of the app's."""
    known = {"db": ["SHOP__DB__URL", "SHOP__DB__USER"], "log.level": ["SHOP__LOG__LEVEL"]}
    head, _row, _rest = PYDANTIC.partition("database_url\n")
    said = head + "\n".join(f"{name}\n  {why} [type=x, input_value=None, x=y]" for name, why in rows.items())
    told = advice(said, settings=known)
    assert told.startswith(f"Write fastapi_env: {write}, secrets by ansible-vault." if write else "") and bool(
        told
    ) == bool(write)
    assert "SHOP__DB__URL__FIELD" not in told and "Where db is a model" not in told


@pytest.mark.parametrize(
    ("what", "named"),
    [
        (
            "OperationalError: (2003, \"Can't connect to MySQL server on 'mysql-shared' (Name or service not known)\")",
            "{DB_HOST: …}",
        ),
        ("ConnectionError: Error -2 connecting to redis:6379. Name or service not known.", "{REDIS_HOST: …}"),
        ("gaierror: [Errno -2] Name or service not known", "{DB_HOST: …, REDIS_HOST: …}"),
    ],
)
def test_the_variable_is_named_whose_default_is_a_containers_name(what, named) -> None:
    hosts = {"mysql-shared": "DB_HOST", "redis": "REDIS_HOST"}
    said = trace(what, "app/db.py: redis.connect()")
    assert (
        f"by default. One of a compose file's, such as db, is none there: set the address in fastapi_env, as {named}."
        in advice(said, hosts=hosts)
    )
    assert "is none there: set the address in fastapi_env." in advice(said)


@pytest.mark.parametrize(
    ("what", "package"),
    [
        ("TesseractNotFoundError: tesseract is not installed or it's not in your PATH. See README", "tesseract-ocr"),
        ("PDFInfoNotInstalledError: Unable to get page count. Is poppler installed and in PATH?", "poppler-utils"),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'ffmpeg'", "ffmpeg"),
        ("OSError: No wkhtmltopdf executable found: \"b''\"", "wkhtmltopdf"),
        ("ImportError: failed to find libmagic.  Check your installation", "libmagic1"),
    ],
)
def test_a_program_that_the_host_lacks_is_a_package(what, package) -> None:
    """Hundred lines said that tesseract isn't installed, and none what to write."""
    told = advice(trace(what, "app/ocr.py: read()"))
    assert f"Write fastapi_packages: [{package}]." in told and "shared" not in told


def test_a_variable_that_is_used_as_if_it_were_set_is_named() -> None:
    what = "TypeError: int() argument must be a string, a bytes-like object or a real number, not 'NoneType'"
    assert "Write fastapi_env: {MAIL_PORT: …}" in advice(trace(what, 'app/mail.py: PORT = int(os.getenv("MAIL_PORT"))'))
    what = (
        "ValidationError: 1 validation error for ConnectionConfig\nMAIL_FROM\n  Input should be a valid string [type=x]"
    )
    assert "Write fastapi_env: {MAIL_FROM: …}" in advice(trace(what, "app/mail.py: conf = ConnectionConfig("))


GUNICORN = ".venv/lib/python3.11/site-packages/gunicorn/util.py"


def trace(error: str, *frames: str) -> str:
    """A traceback as Python writes it; each frame is a path under a release, and code."""
    rows = [
        f'  File "/srv/shop/releases/1/{path}", line 7, in f\n    {code}'
        for path, code in (f.split(": ") for f in frames)
    ]
    return "\n".join(["Traceback (most recent call last):", *rows, error])


@pytest.mark.parametrize(
    ("said", "told", "write"),
    [
        (
            trace("AttributeError: module 'app.main' has no attribute 'api'", f"{GUNICORN}: app = getattr()")
            + "\n\nDuring handling of the above exception, another exception occurred:\n\n"
            + trace(
                "gunicorn.errors.AppImportError: Failed to find attribute 'api' in 'app.main'.", f"{GUNICORN}: raise"
            ),
            "AppImportError: Failed to find attribute 'api' in 'app.main'",
            "app.main has no api: write fastapi_app: module:name with the name that it has.",
        ),
        (
            trace("ModuleNotFoundError: No module named 'shop'", f"{GUNICORN}: importlib.import_module(module)"),
            "ModuleNotFoundError: No module named 'shop'",
            "There is no shop at the top of the source: write fastapi_app",
        ),
        # An exception that the app has caught and logged before it is no reason.
        (
            trace("KeyError: 'cache'", "app/cache.py: connect()")
            + "\n"
            + trace("gunicorn.errors.AppImportError: Failed to find attribute 'x' in 'app'.", f"{GUNICORN}: raise"),
            "AppImportError: Failed to find attribute 'x' in 'app'",
            "fastapi_app",
        ),
        (
            trace("ModuleNotFoundError: No module named 'app'", "src/app/main.py: import app.models"),
            "ModuleNotFoundError: No module named 'app', at src/app/main.py line 7: import app.models",
            "app is in src/ of the source. Write fastapi_env: {PYTHONPATH: src}.",
        ),
        (
            trace("ModuleNotFoundError: No module named 'yaml'", "app/main.py: import yaml"),
            "ModuleNotFoundError: No module named 'yaml', at app/main.py line 7: import yaml",
            "add what does to the requirements (PyYAML).",
        ),
        (
            trace("app.main.f.<locals>.Bad: x", "app/main.py: f()") + "\nReason: Worker failed to boot.",
            "Bad: x, at app/main.py line 7: f()",
            "",
        ),
        (
            trace("ImportError: \n\nIMPORTANT: read this", "app/main.py: import numpy"),
            "ImportError: IMPORTANT: read this, at app/main.py line 7: import numpy",
            "",
        ),
        (trace("KeyboardInterrupt") + "\nother", "", ""),
        (
            trace("SystemExit: no licence", "app/main.py: sys.exit(why)"),
            "SystemExit: no licence, at app/main.py line 7: sys.exit(why)",
            "",
        ),
        # The place of one that a library wraps is in what it wraps.
        (
            trace("ValueError: a", "app/main.py: parse()")
            + "\n\nThe above exception was the direct cause of the following exception:\n\n"
            + trace("lib.Broken: b", ".venv/lib/python3.11/site-packages/lib/x.py: raise"),
            "Broken: b, at app/main.py line 7: parse()",
            "",
        ),
        (
            trace("lib.Broken: b", ".venv/lib/python3.11/site-packages/lib/x.py: raise"),
            "Broken: b, in lib/x.py of a package line 7: raise",
            "",
        ),
        (
            "Fatal Python error: Segmentation fault\n\nCurrent thread 0x00007f1 (most recent call first):\n"
            '  File "/usr/lib/python3.11/ctypes/__init__.py", line 525 in string_at\n'
            '  File "/srv/shop/releases/1/app/main.py", line 3 in <module>\n'
            f'  File "/srv/shop/releases/1/{GUNICORN}", line 420 in import_app',
            "Fatal Python error: Segmentation fault, at app/main.py line 3",
            "",
        ),
        (
            trace(
                'psycopg.OperationalError: connection failed: connection to server at "10.0.0.9", port 5432 failed: '
                "Connection refused",
                "app/db.py: connect()",
            ),
            'OperationalError: connection failed: connection to server at "10.0.0.9", port 5432 failed: Connection',
            "What the app connects to isn't there at 10.0.0.9 port 5432.",
        ),
        (
            trace("redis.exceptions.ConnectionError: Error 111 connecting to localhost:6379. Connection refused."),
            "ConnectionError: Error 111 connecting to localhost:6379. Connection refused",
            "isn't there at localhost port 6379.",
        ),
        (
            trace("FileNotFoundError: [Errno 2] No such file or directory", "app/m.py: c.load_cert_chain(path)"),
            "FileNotFoundError: [Errno 2] No such file or directory, at app/m.py line 7",
            "fastapi_credentials",
        ),
        (
            trace("sqlite3.OperationalError: attempt to write a readonly database", "app/m.py: x"),
            "OperationalError: attempt to write a readonly database",
            "fastapi_shared_paths: [blog.db], with the path",
        ),
        (trace('psycopg.errors.UndefinedTable: relation "a" does not exist'), "UndefinedTable", "fastapi_before_swap"),
    ],
)
def test_what_a_server_logs_of_a_start_that_fails(said: str, told: str, write: str) -> None:
    assert cause(said).startswith(told) and (told or not cause(said)), cause(said)
    assert write in advice(said), advice(said)
    # Not a different answer for what is shown.
    assert cause(without_frames(said)) == cause(said)
    assert GUNICORN not in without_frames(said)


@pytest.mark.parametrize(
    ("said", "write"),
    [
        ('OperationalError: FATAL:  password authentication failed for user "shop"', "set them in fastapi_env"),
        (
            'UniqueViolationError: duplicate key value violates unique constraint "pg_type_typname_nsp_index"',
            "as create_all() does, run it once more; else",
        ),
        ("ImportError: libxcb.so.1: cannot open shared object file: No such file", "fastapi_packages: [libxcb1]"),
    ],
)
def test_what_strangers_projects_met_has_advice(said: str, write: str) -> None:
    assert write in advice(trace(said)), advice(trace(said))


MISSING = "FileNotFoundError: [Errno 2] No such file or directory: "


@pytest.mark.parametrize(
    ("said", "parts"),
    [
        (
            f"{MISSING}'serviceAccount.json'",
            [
                "hand it over by fastapi_credentials, whose serviceAccount.json the app opens as "
                "$CREDENTIALS_DIRECTORY/serviceAccount.json, or put it on the host as "
                "/srv/shop/shared/secrets/serviceAccount.json",
                "fastapi_shared_paths: [secrets]; the app opens it as secrets/serviceAccount.json.",
            ],
        ),
        (
            f"{MISSING}'./certs/key.pem'",
            ["/srv/shop/shared/certs/key.pem, for the app's user to read, and write fastapi_shared_paths: [certs]."],
        ),
        (
            # A directory with code in it can't be shared.
            f"{MISSING}'/srv/shop/releases/1/app/firebase.json'",
            ["app/firebase.json isn't there", "as /srv/shop/shared/secrets/firebase.json"],
        ),
        (f"{MISSING}'/code/keys/key.pem'", ["isn't on the host", "$CREDENTIALS_DIRECTORY/key.pem"]),
        (
            f"{MISSING}'/code/list.csv'",
            ["put it on the host as /srv/shop/shared/data/list.csv", "[data]; the app opens"],
        ),
        (f"{MISSING}'/srv/shop/shared/secrets/a.pem'", ["a.pem isn't on the host: put it there once"]),
        (
            "google.auth.exceptions.DefaultCredentialsError: File creds/gcp.json was not found.",
            ["creds/gcp.json isn't there", "/srv/shop/shared/creds/gcp.json"],
        ),
    ],
)
def test_a_file_that_is_missing_has_a_whole_path_on_the_host(said: str, parts: list[str]) -> None:
    told = advice(trace(said, "app/main.py: open(path)"), "/srv/shop")
    assert all(part in told for part in parts), told


@pytest.mark.parametrize(
    ("said", "host"),
    [
        (
            "OSError: We couldn't connect to 'https://huggingface.co' to load the files, and couldn't find them in the "
            "cached files.",
            "huggingface.co",
        ),
        (
            "requests.exceptions.ConnectionError: HTTPSConnectionPool(host='openaipublic.blob.core.windows.net'): "
            'Max retries exceeded with url: /x (Caused by NameResolutionError("Failed to resolve"))',
            "openaipublic.blob.core.windows.net",
        ),
        ("httpx.ConnectError: [Errno -3] Temporary failure in name resolution", "what huggingface_hub asks"),
    ],
)
def test_a_model_that_is_downloaded_at_the_start_is_no_name_of_a_compose_file(said: str, host: str) -> None:
    """It said that the host can't find a name, such as db."""
    frames = ["app/main.py: load()", ".venv/lib/python3.11/site-packages/huggingface_hub/file_download.py: get()"]
    told = advice(trace(said, *frames), "/srv/shop")
    assert told.startswith(f"The app downloads a model when it starts, and the host has no way to {host}.")
    assert "/srv/shop/shared/models" in told and "such as db" not in told and "HTTPS_PROXY" in told


def test_words_that_name_no_missing_variable_are_no_advice() -> None:
    assert advice(trace("ValueError: MAX_SIZE is 3, set it lower")) == ""
    assert advice(trace("RuntimeError: the set of IDS_OF_USERS was changed")) == ""


def test_data_that_is_no_setting_isnt_looked_for_in_the_environment() -> None:
    assert advice(PYDANTIC.replace("Settings", "Order").replace("settings", "order")) == ""


def test_how_the_server_ends_isnt_why() -> None:
    halted = """Traceback (most recent call last):
  File "/srv/shop/releases/1/.venv/lib/python3.11/site-packages/gunicorn/arbiter.py", line 201, in run
    self.manage_workers()
gunicorn.errors.HaltServer: <HaltServer 'Worker failed to boot.' 3>"""
    assert cause(f"{PYDANTIC}\n{halted}") == cause(PYDANTIC)


def test_what_was_raised_comes_first() -> None:
    log = "Traceback (most recent call last):\n  File \"/srv/x/releases/1/a.py\", line 1, in <module>\nKeyError: 'X'"
    raised = "KeyError: 'X', at a.py line 1"
    ended = "Release 1 did not become ready: x@blue.service ended (exit-code, status 3)."
    slow = "Release 1 did not become ready: /ready on /run/x.sock did not answer 2xx within 60 s."
    assert because(ended, log) == f"Release 1 can't start: {raised}\n{ended}"
    assert because(slow, log) == f"Release 1 raised {raised}\n{slow}"
    assert (
        because("fastapi_before_swap has 'x', and it ended.", log)
        == f"fastapi_before_swap has 'x', and it ended: {raised}."
    )
    assert because(slow, "nothing of the kind") == slow


@pytest.mark.parametrize("seen", ["/ready on x answers 404", "x ended (oom-kill). The kernel killed it at the limit"])
def test_what_no_exception_explains_is_told_as_it_was_seen(seen: str) -> None:
    log = trace("KeyError: 'cache'", "app/cache.py: connect()")
    assert because(f"Release 1 did not become ready: {seen}", log) == f"Release 1 did not become ready: {seen}"


ODD = "  + Exception Group Traceback (most recent call last):\n  | ValueError: a\n\nplain\n    mine"
FRAMES = trace("KeyError", f"{GUNICORN}: x", "a.py: b")
LINES = st.sampled_from([line for text in (PYDANTIC, FRAMES, ODD) for line in text.split("\n")])


@given(st.one_of(st.text(), st.lists(LINES).map("\n".join)))
def test_no_text_is_too_odd_and_no_line_but_of_a_frame_is_left_out(text: str) -> None:
    cause(text)
    advice(text)
    kept, lines = without_frames(text).split("\n"), text.split("\n")
    rest = iter(lines)
    assert all(line in rest for line in kept)
    left = list(lines)
    for line in kept:
        left.remove(line)
    assert all(re.match(r"(?: *[|+] )?(?:  File |    )", line) for line in left), left
    assert len(lines) - len(kept) <= sum("File " in line or line.startswith(("    ", "  |")) for line in lines)


def test_the_file_that_the_source_writes_is_named_with_what_is_shared_by_now() -> None:
    said = advice(trace("sqlite3.OperationalError: unable to open database file"), shared=["media", "games.db"])
    assert "Write fastapi_shared_paths: [media, games.db]: what is shared" in said


def test_of_packages_only_what_raised_is_shown() -> None:
    """150 lines of SQLAlchemy's stood before what to write, twice."""
    library = ".venv/lib/python3.11/site-packages/sqlalchemy"
    first = trace(
        "sqlite3.OperationalError: no",
        f"{library}/a.py: a",
        "app/db.py: create()",
        f"{library}/b.py: b",
        f"{library}/c.py: c",
    )
    said = f"{first}\n\nThe above exception was the direct cause of the following exception:\n\n{first}\nlast"
    kept = without_frames(said)
    assert kept.count("/c.py") == kept.count("app/db.py") == 2 and "/a.py" not in kept and "/b.py" not in kept
    assert cause(kept) == cause(said) and kept.endswith("\nlast")
