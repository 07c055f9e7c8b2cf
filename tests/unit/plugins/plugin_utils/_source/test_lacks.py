"""What an app imports at its start and nothing installs: it was ModuleNotFoundError on the host, after minutes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest
from ansible_collections.graceful.deploy.plugins.plugin_utils._source.lacks import adding, lacking, needed

INSTALLED = {"fastapi", "pydantic", "starlette", "sqlalchemy", "passlib", "pydantic_settings"}
Lacks = Callable[..., str]


@pytest.fixture
def lacks(tmp_path: Path) -> Lacks:
    def of(files: dict[str, str], app: str = "main:app", brought: set[str] | None = None, minor: str = "3.11") -> str:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(dedent(text))
        return lacking(str(tmp_path), files, app, INSTALLED | (brought or set()), minor, "requirements.txt")

    return of


def test_what_classes_need_of_other_packages_is_named_as_requirements_have_it(tmp_path: Path) -> None:
    files = {
        "main.py": "from fastapi import FastAPI, Form\nimport db, yaml\nfrom fastapi.testclient import TestClient\n",
        "db.py": "from sqlalchemy.ext.asyncio import create_async_engine\nfrom pydantic import EmailStr\n",
        "unused.py": "from fastapi.templating import Jinja2Templates\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert needed(str(tmp_path), files, "main:app") == {
        "python-multipart": "for Form, main.py:1",
        "greenlet": "for create_async_engine, db.py:1",
        "email-validator": "for EmailStr, db.py:2",
    }


@pytest.mark.parametrize("text", ["from distutils.sysconfig import get_config_var", "import distutils.util, os"])
def test_what_debian_keeps_apart_of_the_standard_library_is_needed(lacks: Lacks, tmp_path: Path, text: str) -> None:
    """Debian 12's Python has no distutils, and 3.13 none at all: setuptools brings it."""
    (tmp_path / "main.py").write_text(text)
    assert needed(str(tmp_path), ["main.py"], "main:app") == {"setuptools": "main.py:1"}
    assert "distutils (main.py:1), and the app" in lacks({"main.py": text}, "main:app")
    assert lacks({"main.py": text}, "main:app").endswith("by a line in requirements.txt: setuptools")
    assert lacks({"main.py": text}, "main:app", {"setuptools"}) == ""


def test_what_is_missing_is_told_with_its_place_and_its_packages_name(lacks: Lacks) -> None:
    files = {
        "src/shop/__init__.py": "",
        "src/shop/main.py": "import os\nfrom fastapi import FastAPI\nfrom shop.api import users\nfrom . import db\n",
        "src/shop/api/__init__.py": "import yaml",
        "src/shop/api/users.py": "from jose import jwt\nfrom ..db import x\nimport jose, shop.late",
        "src/shop/db.py": "import weird",
        "src/shop/late.py": "from PIL import Image",
        "src/shop/unused.py": "import celery",
    }
    told = lacks(files, "shop.main:app")
    for part in (
        "yaml (src/shop/api/__init__.py:1)",
        "jose (src/shop/api/users.py:1)",
        "weird (src/shop/db.py:1)",
        "PIL (src/shop/late.py:1)",
        "Add what does, most likely by lines in requirements.txt: ",
        "PyYAML",
        "python-jose",
        "pillow",
    ):
        assert part in told
    assert "celery" not in told
    assert lacks(files, "shop.main:app", {"yaml", "jose", "weird", "PIL"}) == ""


@pytest.mark.parametrize(
    "text",
    [
        "try:\n    import orjson\nexcept ImportError:\n    orjson = None\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import boto3\n",
        "import sys\nif sys.platform == 'win32':\n    import winloop\n",
        "def send():\n    import sendgrid\n",
        # Of the source: beside the file, in a directory that may be on the path, and at the top.
        "import beside\nimport helpers\nimport native\nimport spaced.inner\nfrom .nowhere import x",
        "import __future__, cgi, sqlite3\n",
        "this is no Python",
    ],
)
def test_what_may_be_elsewhere_or_is_caught_is_no_matter(lacks: Lacks, text: str) -> None:
    files = {
        "app/__init__.py": "",
        "app/main.py": text,
        "app/beside.py": "",
        "lib/helpers.py": "",
        "native.cpython-311-x86_64-linux-gnu.so": "",
        "other/spaced/inner.py": "",
    }
    assert lacks(files, "app.main:app") == ""


def test_a_module_inside_of_another_package_is_not_what_a_full_name_means(lacks: Lacks) -> None:
    files = {"app/__init__.py": "", "app/main.py": "import redis", "app/core/__init__.py": "", "app/core/redis.py": ""}
    assert "redis (app/main.py:1)" in lacks(files, "app.main:app")


@pytest.mark.parametrize(
    ("text", "module", "package"),
    [
        ("from pydantic import BaseModel, EmailStr", "email_validator (for EmailStr, main.py:1)", "pydantic[email]"),
        ("from fastapi import Form", "multipart (for Form", "python-multipart"),
        ("from fastapi import FastAPI, UploadFile", "multipart (for UploadFile", "python-multipart"),
        ("from fastapi.security import OAuth2PasswordRequestForm", "multipart (for OAuth2", "python-multipart"),
        ("from fastapi.templating import Jinja2Templates", "jinja2 (for Jinja2Templates", "jinja2"),
        ("from starlette.middleware.sessions import SessionMiddleware", "itsdangerous (for Session", "itsdangerous"),
        ("from fastapi.testclient import TestClient", "httpx (for TestClient", "httpx"),
        ("from sqlalchemy.ext.asyncio import create_async_engine", "greenlet (for create_async", "greenlet"),
        (
            "from passlib.context import CryptContext\nc = CryptContext(schemes=['bcrypt'])",
            "bcrypt (for pass",
            "bcrypt",
        ),
        ("URL = 'postgresql+asyncpg://u@localhost/x'", "asyncpg (for a database's URL, main.py:1)", "asyncpg"),
        ("import os\nu = os.getenv('A')\nURL = f'mysql+mysqldb://{u}'", "MySQLdb (for a database's URL", "mysqlclient"),
    ],
)
def test_what_a_class_needs_and_its_package_does_not_bring(lacks: Lacks, text: str, module: str, package: str) -> None:
    told = lacks({"main.py": text})
    assert module in told and f"most likely by a line in requirements.txt: {package}" in told
    name = module.partition(" ")[0]
    assert lacks({"main.py": text}, brought={"python_multipart" if name == "multipart" else name}) == ""


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("poetry.lock", "by `poetry add greenlet 'pydantic[email]'`"),
        ("backend/uv.lock", "by `uv add greenlet 'pydantic[email]'`"),
        ("pdm.lock", "by `pdm add greenlet 'pydantic[email]'`"),
        ("Pipfile.lock", "by `pipenv install greenlet 'pydantic[email]'`"),
        ("pyproject.toml", "in the dependencies of pyproject.toml: greenlet, pydantic[email]"),
        ("requirements.txt", "by lines in requirements.txt: greenlet, pydantic[email]"),
    ],
)
def test_a_lock_is_not_written_by_hand(file: str, said: str) -> None:
    assert adding(file, ["greenlet", "pydantic[email]"]) == said


def test_a_version_of_the_inventorys_brings_what_the_code_needs_and_nothing_else(lacks: Lacks) -> None:
    engine = "from sqlalchemy.ext.asyncio import create_async_engine\n"
    assert lacks({"main.py": engine}).endswith("and write fastapi_versions: [greenlet==VERSION]")
    assert "fastapi_versions" not in lacks({"main.py": engine + "import redis\n"})


def test_of_two_databases_one_will_do(lacks: Lacks) -> None:
    text = "A = 'sqlite+aiosqlite:///./x.db'\nB = 'postgresql+asyncpg://localhost/x'\n"
    assert "aiosqlite" in lacks({"main.py": text}) and lacks({"main.py": text}, brought={"asyncpg"}) == ""


def test_what_python_has_no_more(lacks: Lacks) -> None:
    told = lacks({"main.py": "import cgi"}, minor="3.13")
    assert "cgi (main.py:1)" in told and "Python 3.13 has no cgi any more." in told
