"""What a release's app raised is in the first line, with its own file; the frames of others are left out."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app.raised import (
    advice,
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
            "models/best.bin isn't there. What isn't in the source",
        ),
        ("import ssl\nssl.create_default_context(cafile='/etc/no.pem')", "FileNotFoundError: [Errno 2]", ""),
        (
            "import sqlite3\nsqlite3.connect('no/x.db')",
            "OperationalError: unable to open",
            "fastapi_shared_paths: [data]",
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


def test_two_modules_that_import_each_other(said) -> None:
    text = said("from app.other import b\na = 1", other="from app.main import a\nb = 2")
    assert cause(text).startswith("ImportError: cannot import name 'a' from partially initialized module 'app.main'")
    assert ", at app/other.py line 1: from app.main import a" in cause(text)
    assert "Two modules import each other" in advice(text)


def test_settings_without_a_value_are_named_together() -> None:
    place = "at app/settings.py line 9: settings = Settings()"
    assert cause(PYDANTIC) == f"ValidationError: nothing is set for database_url, secret_key, {place}"
    assert advice(PYDANTIC) == "Write fastapi_env: {DATABASE_URL: …, SECRET_KEY: …}, secrets by ansible-vault."


def test_a_setting_of_another_kind_is_named_without_its_value() -> None:
    said = PYDANTIC.replace(
        "Field required [type=missing, input_value={}", "Input should be a URL [type=url, input_value='pw'", 1
    )
    first = (
        "ValidationError: nothing is set for secret_key; database_url: Input should be a URL, at app/settings.py line 9"
    )
    assert cause(said).startswith(first), cause(said)
    assert advice(said) == "Write fastapi_env: {SECRET_KEY: …}, secrets by ansible-vault."


def test_an_attribute_that_the_module_has_not() -> None:
    said = "Failed to find attribute 'api' in 'app.main'."
    assert advice(said) == "app.main has no api: write fastapi_app: module:name with the name that it has."
    assert cause(said) == ""


def test_how_the_server_ends_isnt_why() -> None:
    halted = """Traceback (most recent call last):
  File "/srv/shop/releases/1/.venv/lib/python3.11/site-packages/gunicorn/arbiter.py", line 201, in run
    self.manage_workers()
gunicorn.errors.HaltServer: <HaltServer 'Worker failed to boot.' 3>"""
    assert cause(f"{PYDANTIC}\n{halted}") == cause(PYDANTIC)


def test_what_was_raised_comes_first_where_it_ended_the_release() -> None:
    log = "Traceback (most recent call last):\n  File \"/srv/x/releases/1/a.py\", line 1, in <module>\nKeyError: 'X'"
    ended, slow = "x@blue.service ended (exit-code, status 3).", "/ready on /run/x.sock did not answer 2xx within 60 s."
    assert because(ended, log) == f"KeyError: 'X', at a.py line 1. {ended}"
    assert because(slow, log) == f"{slow} The last that it raised: KeyError: 'X', at a.py line 1."
    assert because(slow, "nothing of the kind") == slow


LINES = st.sampled_from(
    [*PYDANTIC.split("\n"), "  + Exception Group Traceback (most recent call last):", "  | ValueError: a", "", "plain"]
)


@given(st.one_of(st.text(), st.lists(LINES).map("\n".join)))
def test_no_text_is_too_odd_and_no_line_but_of_a_frame_is_left_out(text: str) -> None:
    cause(text)
    advice(text)
    kept, lines = without_frames(text).split("\n"), text.split("\n")
    rest = iter(lines)
    assert all(line in rest for line in kept)
    assert len(lines) - len(kept) <= sum("File " in line or line.startswith(("    ", "  |")) for line in lines)
