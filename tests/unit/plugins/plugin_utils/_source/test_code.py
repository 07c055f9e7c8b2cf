"""What is read off an app's source, for projects as people lay them out, and what is said of it."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest
from ansible_collections.graceful.deploy.plugins.plugin_utils._source.advice import HEALTH, READY, advice, settings_in
from ansible_collections.graceful.deploy.plugins.plugin_utils._source.code import read_code
from ansible_collections.graceful.deploy.plugins.plugin_utils._source.shown import Code
from ansible_collections.graceful.deploy.plugins.plugin_utils._source.sockets import has_sockets

MAIN = """
from fastapi import FastAPI
app = FastAPI()
"""
VALUES = {"app": "main:app", "health_path": "/health", "ready_path": "/ready", "env": {}, "workers": "auto"}


@pytest.fixture
def project(tmp_path: Path):
    """Write files, and read them."""

    def read(files: dict[str, str]) -> Code:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(dedent(text))
        return read_code(str(tmp_path), files)

    return read


def paths(code: Code, app: str) -> list[str]:
    return sorted(code.paths(app)[0])


def said(code: Code, top: Path, **values: object) -> list[str]:
    return advice(code, VALUES | values, str(top))


def test_what_an_example_that_is_shipped_sets_is_not_told_as_unset(project, tmp_path):
    """`Settings(_env_file=".env.example")`: eight variables were told that the app had."""
    text = (
        "import os\nfrom fastapi import FastAPI\nA, B = os.environ['ALPHABET'], os.environ['HOST_B']\napp = FastAPI()\n"
    )
    code = project({"main.py": text, ".env.example": "ALPHABET=abc\n"})
    (told,) = [line for line in said(code, tmp_path, app="main:app") if "from its environment" in line]
    assert "The app wants HOST_B (main.py:3)" in told


def test_an_app_in_one_file(project, tmp_path):
    code = project({"main.py": MAIN + "@app.get('/')\ndef root(): ...\n@app.post('/in')\ndef put(): ...\n"})
    assert list(code.apps) == ["main:app"]
    assert code.paths("main:app")[1] is True
    assert paths(code, "main:app") == ["/"]
    # It has no path of such a kind, and none can be proposed: the deploy tells of that.
    assert said(code, tmp_path) == []


def test_routers_in_other_files_under_prefixes_that_have_names(project):
    """A package below backend/, a prefix by an f-string, one of a settings class, and a router that is handed on."""
    code = project(
        {
            "backend/app/__init__.py": "",
            "backend/app/config.py": """
                from pydantic_settings import BaseSettings
                class Settings(BaseSettings):
                    API: str = "/api"
                """,
            "backend/app/main.py": """
                from fastapi import FastAPI
                from app.routes import router
                from app.config import settings
                from . import admin
                app: FastAPI = FastAPI()
                app.include_router(router, prefix=f"{settings.API}/v1")
                app.include_router(admin.router)
                """,
            "backend/app/routes/__init__.py": """
                from fastapi import APIRouter
                from .utils import router as utils
                router = APIRouter()
                router.include_router(utils, prefix="/utils")
                """,
            "backend/app/routes/utils.py": """
                import fastapi
                router = fastapi.APIRouter()
                @router.get("/health-check/")
                async def health(): ...
                @router.api_route("/both", methods=["POST", "GET"])
                async def both(): ...
                @router.api_route("/put", methods=["PUT"])
                async def put(): ...
                """,
            "backend/app/admin.py": """
                from fastapi import APIRouter
                router = APIRouter(prefix="/admin")
                router.add_api_route("/readyz", print)
                """,
        }
    )
    assert list(code.apps) == ["app.main:app"]
    assert code.roots["backend/app/main.py"] == "backend"
    assert code.paths("app.main:app")[1] is True
    assert paths(code, "app.main:app") == ["/admin/readyz", "/api/v1/utils/both", "/api/v1/utils/health-check/"]


def test_a_prefix_that_nothing_tells_leaves_the_question_open(project):
    code = project({"main.py": MAIN + "from other import r\nimport os\napp.include_router(r, prefix=os.getcwd())\n"})
    assert code.paths("main:app") == ({}, False)


@pytest.mark.parametrize(
    ("text", "apps"),
    [
        ("def create_app():\n    api = FastAPI()\n    return api\n", ["main:create_app"]),
        ("def make():\n    api = FastAPI()\n    return api\napp = make()\n", ["main:app", "main:make"]),
        # Who has to give it something can't be called by Gunicorn.
        ("def create_app(settings):\n    api = FastAPI()\n    return api\n", []),
        ("if True:\n    app = FastAPI()\n", ["main:app"]),
        ("if __name__ == '__main__':\n    app = FastAPI()\n", []),
        ("inner = FastAPI()\napp = FastAPI()\napp.mount('/inner', inner)\n", ["main:app", "main:inner"]),
    ],
)
def test_applications_in_the_order_of_their_likelihood(project, text, apps):
    assert list(project({"main.py": f"from fastapi import FastAPI\n{text}"}).apps) == apps


def test_an_object_that_another_modules_function_makes_of_arguments(project):
    """main.py doesn't name FastAPI at all, and the function's file is called setup.py."""
    code = project(
        {
            "src/app/__init__.py": "",
            "src/app/main.py": "from .core.setup import create\n\napp = create(settings={}, debug=True)\n",
            "src/app/core/__init__.py": "",
            "src/app/core/setup.py": """
                from fastapi import FastAPI
                def create(settings, *, debug) -> FastAPI:
                    made = FastAPI()
                    @made.get("/healthz")
                    def healthz(): ...
                    return made
                """,
        }
    )
    assert list(code.apps) == ["app.main:app"] and str(code.apps["app.main:app"].place) == "src/app/main.py:3"
    assert paths(code, "app.main:app") == ["/healthz"]


def test_a_function_that_says_what_it_gives_back(project):
    """Another module's function makes the application; this one adds to it."""
    code = project(
        {
            "main.py": """
                from fastapi import FastAPI
                from platform_of_ours import build
                def create_app(settings: dict | None = None) -> FastAPI:
                    app = build(settings)
                    @app.get("/healthz")
                    def healthz(): ...
                    return app
                app = create_app()
                """,
            "platform_of_ours.py": """
                from fastapi import FastAPI
                def build(settings) -> FastAPI:
                    made = FastAPI()
                    return made
                """,
        }
    )
    assert list(code.apps) == ["main:app", "main:create_app"]
    assert paths(code, "main:app") == ["/healthz"]


@pytest.mark.parametrize(
    ("path", "text", "root"),
    [
        ("backend/main.py", "from core import x", "backend"),
        ("backend/main.py", "import os", ""),
        ("pkg/main.py", "import redis", ""),  # a library, after which a module is called too
        ("pkg/main.py", "from pkg import core", ""),
        ("pkg/main.py", "import redis\nimport core", "pkg"),
        ("pkg/main.py", "import redis\nimport core\nimport pkg", ""),
    ],
)
def test_the_directory_that_a_files_imports_are_found_in(project, path, text, root):
    code = project(
        {
            path: f"{MAIN}{text}\n",
            "backend/core.py": "x = 1\n",
            "pkg/__init__.py": "",
            "pkg/redis.py": "",
            "pkg/core.py": "",
        }
    )
    assert code.roots[path] == root


@pytest.mark.project("served", "a factory, `app.main:create_app`", "called by Uvicorn")
def test_a_factorys_routes(project):
    code = project(
        {
            "src/shop/__init__.py": "",
            "src/shop/app.py": """
                from starlette.applications import Starlette
                from fastapi import FastAPI
                def create_app(debug: bool = False) -> FastAPI:
                    app = FastAPI()
                    @app.get("/livez")
                    def livez(): ...
                    return app
                """,
        }
    )
    assert list(code.apps) == ["shop.app:create_app"]
    assert code.roots["src/shop/app.py"] == "src"
    assert paths(code, "shop.app:create_app") == ["/livez"]


def test_a_directory_src_that_is_a_package_itself(project):
    files = {"src/main.py": MAIN + "from src.config import settings\n", "src/config.py": "settings = 1\n"}
    assert list(project(files).apps) == ["src.main:app"]
    assert list(project({"src/main.py": MAIN, "src/config.py": ""}).apps) == ["main:app"]


@pytest.mark.parametrize(
    ("asks", "wanted"),
    [
        ("from decouple import config\nclass Conf:\n    KEY = config('A_KEY', cast=str)", True),
        ("import decouple\nKEY = decouple.config('A_KEY')", True),
        ("from starlette.config import Config\nread = Config('.env')\nKEY = read('A_KEY', cast=str)", True),
        ("from starlette.config import Config\nread = Config()\nKEY = read('A_KEY', str)", True),
        ("from environs import Env\nenv = Env()\nKEY = env.str('A_KEY')", True),
        ("from environs import Env\nenv = Env()\nKEY = env('A_KEY')", True),
        ("from decouple import config\nKEY = config('A_KEY', default='x')", False),
        ("from decouple import config\nKEY = config('A_KEY', 'x')", False),
        ("from starlette.config import Config\nread = Config()\nKEY = read('A_KEY', str, 'x')", False),
        ("from environs import Env\nenv = Env()\nenv.read_env('A_KEY')", False),
        ("from decouple import config\ndef later():\n    return config('A_KEY')", False),
        ("def config(name): ...\nKEY = config('A_KEY')", False),
    ],
)
def test_what_other_libraries_ask_for_without_a_default_is_wanted(project, asks: str, wanted: bool):
    assert list(project({"main.py": MAIN, "settings.py": asks}).wanted) == ["A_KEY"] * wanted


def test_defaults_that_other_libraries_are_given_are_read(project):
    asks = "from decouple import config\nURL = config('URL', default='sqlite:///./shop.db')\n"
    code = project({"main.py": MAIN, "settings.py": asks + "KEY = config('SECRET_KEY', default='changeme')\n"})
    assert list(code.files) == ["shop.db"] and list(code.open_secrets) == ["SECRET_KEY"] and not code.wanted


def test_settings_of_an_enumeration_are_wanted_with_what_they_may_be(project):
    code = project(
        {
            "main.py": MAIN,
            "kinds.py": "from enum import Enum\nclass Mode(str, Enum):\n    DEV = 'dev'\n    PROD = 'live'\n",
            "config.py": """
                from pydantic import Field
                from pydantic_settings import BaseSettings
                from kinds import Mode
                class Settings(BaseSettings):
                    mode: Mode = Field(default=...)
                    other: Mode = Mode.DEV
                """,
        }
    )
    assert list(code.wanted) == ["MODE"] and code.choices == {"MODE": {"DEV": "dev", "PROD": "live"}}


def test_a_second_name_for_a_setting_is_the_setting(project):
    settings = "from pydantic_settings import BaseSettings\nclass Settings(BaseSettings): UPLOADS: str = 'kept'\n"
    helper = "import os\nfrom config import settings\nUPLOADS = settings.UPLOADS\nos.makedirs(UPLOADS)\n"
    code = project({"main.py": MAIN, "config.py": settings + "settings = Settings()\n", "helper.py": helper})
    assert list(code.made) == ["kept"]


def test_tests_and_what_isnt_python_say_nothing(project):
    code = project({"tests/main.py": MAIN, "test_main.py": MAIN, "main.py": "from fastapi import\n", "two.py": MAIN})
    assert list(code.apps) == ["two:app"]
    assert code.unread == ["main.py"]


def test_settings_that_have_no_default_are_wanted(project, tmp_path):
    code = project(
        {
            "main.py": MAIN + "import os\nURL = os.environ['SEARCH_URL']\nKEY = os.environ.get('KEY')\n"
            "A, B = str(os.getenv('A')), os.getenv('B', '')\nSIZE = int(os.environ['SIZE'])\n",
            "config.py": """
                from pydantic import Field, SecretStr
                from pydantic_settings import BaseSettings, SettingsConfigDict
                class Nested(dict): ...
                class Settings(BaseSettings):
                    model_config = SettingsConfigDict(env_prefix="SHOP_")
                    database_url: str
                    secret: SecretStr = Field(...)
                    queue: str = Field(validation_alias="QUEUE_URL")
                    debug: bool = False
                    size: int = Field(default=5)
                    more: str | None = None
                    nested: Nested
                """,
        }
    )
    assert sorted(code.wanted) == ["QUEUE_URL", "SEARCH_URL", "SHOP_DATABASE_URL", "SHOP_SECRET", "SIZE"]
    assert sorted(code.asked) == ["A", "KEY"]
    known = {"SHOP_DATABASE_URL": "x", "shop_secret": "y", "SEARCH_URL": "z", "SIZE": "1"}
    (sentence,) = said(code, tmp_path, env=known)
    assert "The app wants QUEUE_URL (config.py:9)" in sentence
    assert said(code, tmp_path, env=dict.fromkeys(code.wanted, "x")) == []


def test_settings_are_seen_wherever_they_are_written(project):
    """Of each kind a project of somebody's needed a second try."""
    code = project(
        {
            "config.py": """
                import os
                from pydantic import PostgresDsn
                from pydantic_settings import BaseSettings
                PREFIX = "POSTGRES_"
                class Database(BaseSettings, env_prefix=PREFIX): ...
                class Settings(BaseSettings):
                    model_config = SettingsConfigDict(env_prefix=PREFIX)
                    host: str
                    url: PostgresDsn | str
                    key: str = os.getenv("API_KEY")
                    other: str | None = None
                """,
            "database.py": """
                import os
                from sqlalchemy import create_engine
                URL = os.getenv("DATABASE_URL")
                engine = create_engine(URL)
                QUEUE = os.environ.get("QUEUE_URL")
                if QUEUE is None or not URL:
                    raise RuntimeError("no queue")
                def mail():
                    sender = os.getenv("SENDER")
                    if not sender:
                        raise ValueError
                    token = os.getenv("PAGE_TOKEN")
                    if not token:
                        raise HTTPException(503)
                    return os.getenv("COPY_TO")
                """,
        }
    )
    wanted = ["API_KEY", "DATABASE_URL", "POSTGRES_HOST", "POSTGRES_URL", "QUEUE_URL", "SENDER"]
    assert sorted(code.wanted) == wanted
    assert sorted({*code.asked} - {*code.wanted}) == ["COPY_TO", "PAGE_TOKEN"]


@pytest.mark.parametrize(
    "engine",
    [
        "from app.config import DATABASE_URL\nengine = create_engine(DATABASE_URL)",
        "from app.config import DATABASE_URL as url\nengine = create_async_engine(url, echo=True)",
        "from app import config\nengine = create_engine(config.DATABASE_URL)",
        "from .config import settings\nengine = create_engine(settings.DATABASE_URL)",
        "import os\nengine = create_engine(os.getenv('DATABASE_URL'))",
    ],
)
def test_a_databases_url_is_wanted_where_another_file_makes_the_engine(project, engine):
    """`Expected string or URL object, got None`, of what init had among what may be missing."""
    code = project(
        {
            "app/__init__.py": "",
            "app/config.py": """
                import os
                DATABASE_URL = os.getenv("DATABASE_URL")
                MAIL = os.getenv("MAIL")
                class Settings:
                    DATABASE_URL = os.getenv("DATABASE_URL")
                settings = Settings()
                """,
            "app/database.py": f"from sqlalchemy import create_engine\n{engine}\n",
            "app/other.py": "import os\ndef save(url):\n    return os.getenv('NOTHING')\n",
        }
    )
    assert (sorted(code.wanted), sorted(code.asked)) == (["DATABASE_URL"], ["DATABASE_URL", "MAIL", "NOTHING"])


def test_a_secret_with_a_default_is_warned_of(project, tmp_path):
    """It went live unseen, and whoever had the source could sign what the app believes."""
    config = """
        import os
        from pydantic import Field
        from pydantic_settings import BaseSettings
        JWT = os.environ.get("JWT_SECRET_KEY", "changeme")
        API_KEY = os.getenv("API_KEY", "x")
        class Settings(BaseSettings):
            SECRET_KEY: str = Field(default="your-super-secret-key")
            stripe_secret_key: str = ""
            db_password: str = "postgres"
        """
    code = project({"main.py": MAIN, "config.py": config})
    (sentence,) = said(code, tmp_path)
    assert sentence.startswith(
        "JWT_SECRET_KEY, API_KEY, SECRET_KEY have defaults (config.py:5) that whoever reads the source knows"
    )
    assert "changeme" not in sentence and "Write fastapi_env: {JWT_SECRET_KEY: ...}" in sentence
    (sentence,) = said(code, tmp_path, env={"JWT_SECRET_KEY": "x", "API_KEY": "z"})
    assert sentence.startswith("SECRET_KEY has a default (config.py:8)")
    assert said(code, tmp_path, env={"JWT_SECRET_KEY": "x", "API_KEY": "z"}, credentials={"secret_key": "y"}) == []


@pytest.mark.parametrize(
    ("text", "name", "how"),
    [
        ("SECRET_KEY = secrets.token_urlsafe(32)", "SECRET_KEY", "Have it ask, as by os.environ"),
        ("class Config:\n    JWT_KEY: str = uuid.uuid4().hex", "JWT_KEY", "Have it ask"),
        ("KEY = os.getenv('JWT_SECRET', secrets.token_hex())", "JWT_SECRET", "Write fastapi_env: {JWT_SECRET: ...}"),
        ("KEY = os.environ.get('COOKIE_KEY') or os.urandom(24)", "COOKIE_KEY", "Write"),
        ("class S(BaseSettings):\n    secret_key: str = secrets.token_urlsafe(32)", "SECRET_KEY", "Write"),
        ("class S(BaseSettings):\n    salt: str = Field(default_factory=lambda: str(uuid4()))", "SALT", "Write"),
        (
            "class S(BaseSettings):\n    crypt_key: str = Fernet.generate_key().decode()",
            "CRYPT_KEY",
            "urlsafe_b64encode",
        ),
    ],
)
def test_a_secret_that_each_worker_makes_up(project, tmp_path, text, name, how):
    """Users were logged out at random: what one worker had signed, the next refused."""
    config = f"import os\n{text}\n"
    # A script that prints a new one.
    assert project({"main.py": MAIN, "config.py": config}).random == {}
    code = project({"app/__init__.py": "", "app/main.py": MAIN + "from .config import x\n", "app/config.py": config})
    (sentence,) = said(code, tmp_path, workers=1)
    assert sentence.startswith(f"{name} is made up (app/config.py:") and how in sentence
    # One that the module makes for itself isn't asked for, so nothing that is set helps.
    assert bool(said(code, tmp_path, env={name: "x"})) == ("Have it ask" in how)


@pytest.mark.parametrize(
    "text",
    [
        "INSTANCE_ID = uuid.uuid4()",
        "def new():\n    token = secrets.token_urlsafe()\n    return token",
        "make_token = lambda: secrets.token_urlsafe()",
        "class Item(BaseModel):\n    key: str = Field(default_factory=uuid4)",
        "SECRET_KEY = os.environ['SECRET_KEY'] if True else ''",
    ],
)
def test_what_may_differ_is_no_such_secret(project, tmp_path, text):
    assert project({"main.py": MAIN + "import config", "config.py": f"import os\n{text}\n"}).random == {}


@pytest.mark.parametrize(
    ("requirements", "where", "wanted"),
    [
        ("pydantic-settings\n", "pydantic_settings", ["MAIL", "ORIGINS"]),
        ("pydantic>=1.10,<2\n", "pydantic_settings", []),
        ("pydantic[email]==1.10.2\n", "pydantic_settings", []),
        ("fastapi\n", "pydantic", []),
    ],
)
def test_a_setting_that_may_be_none_has_to_be_given_all_the_same(project, requirements, where, wanted):
    """Field required, by pydantic 2, whose None is a value like any other."""
    code = project(
        {
            "requirements.txt": requirements,
            "config.py": f"""
                from typing import Optional
                from {where} import BaseSettings
                class Settings(BaseSettings):
                    origins: str | None
                    mail: Optional[str]
                    other: Optional[str] = None
                """,
        }
    )
    assert sorted(code.wanted) == wanted


def test_settings_in_models_have_the_names_that_the_environment_has(project):
    """RMQ__URL, where RMQ alone was asked for, or nothing."""
    code = project(
        {
            "app/__init__.py": "",
            "app/models.py": """
                from pydantic import BaseModel as Base
                class Model(Base): ...
                class Pool(Model):
                    size: int
                    timeout: int = 3
                class Database(BaseModel):
                    url: str
                    pool: Pool
                """,
            "app/config.py": """
                from pydantic import BaseModel, Field
                from pydantic_settings import BaseSettings, SettingsConfigDict
                from app.models import Database
                from . import models
                class Session(BaseModel):
                    SECRET_KEY: str
                class Run(BaseModel):
                    port: int = 8000
                class Settings(BaseSettings):
                    model_config = SettingsConfigDict(env_prefix="SHORTENER__", env_nested_delimiter="__")
                    session: Session
                    db: Database
                    second: models.Pool = Field(default_factory=models.Pool)
                    run: Run = Run()
                    debug: bool
                class Other(BaseSettings):
                    run: Session
                """,
        }
    )
    names = ["DB__POOL__SIZE", "DB__URL", "DEBUG", "SECOND__SIZE", "SESSION__SECRET_KEY"]
    assert sorted(code.wanted) == [f"SHORTENER__{name}" for name in names]
    assert str(code.wanted["SHORTENER__DB__URL"]) == "app/models.py:8"
    # As pydantic says it.
    assert code.variables["db"] == ["SHORTENER__DB__URL", "SHORTENER__DB__POOL__SIZE"]
    assert code.variables["db.pool.timeout"] == ["SHORTENER__DB__POOL__TIMEOUT"]


def test_a_default_that_says_to_write_another_is_none(project):
    """`db_password: str = 'add db password to .env'`, and each route with a database answered 500."""
    fields = "class S(BaseSettings):\n    db_user: str = 'add db user to .env'\n    db_host: str = 'localhost'\n"
    asks = "import os\nA = os.getenv('POSTGRES_DB', '<your database>')\nB = os.getenv('MAPS_KEY', 'your_key')\n"
    assert sorted(project({"config.py": asks + fields}).wanted) == ["DB_USER", "POSTGRES_DB"]


def test_who_has_a_users_name_wants_its_password(project):
    """`os.getenv("DB_PASSWORD") or ""` is the password of nobody."""
    lines = "import os\nDB_USER, DB_PASSWORD = os.getenv('DB_USER'), os.getenv('DB_PASSWORD') or ''\n"
    asks = "A_PASSWORD = os.getenv('A_PASSWORD')\nurl = f'mysql://{os.getenv(\"DB_USER\")}@h'\n"
    assert sorted(project({"config.py": lines + asks}).wanted) == ["DB_PASSWORD", "DB_USER"]


def test_a_settings_class_may_be_below_one_of_the_apps_own(project):
    code = project(
        {
            "base.py": """
                from pydantic_settings import BaseSettings as Base, SettingsConfigDict
                class AppSettings(Base):
                    model_config = SettingsConfigDict(env_prefix="SHOP_")
                """,
            "config.py": """
                from base import AppSettings
                class Settings(AppSettings):
                    url: str
                """,
        }
    )
    assert sorted(code.wanted) == ["SHOP_URL"]


def test_a_default_of_none_that_a_field_refuses_is_none(project):
    """Input should be a valid string, of a value that nobody had set: pydantic-settings looks at defaults too."""
    fields = """
        from typing import Optional
        from pydantic import BaseModel, Field
        from {} import BaseSettings
        class Inner(BaseModel):
            name: str = None
        class Settings(BaseSettings):
            token: str = None
            port: int = Field(None, alias="SHOP_PORT")
            more: Optional[str] = None
            other: str | None = Field(default=None)
            inner: Inner = Inner()
        """
    assert sorted(project({"a.py": fields.format("pydantic_settings")}).wanted) == ["SHOP_PORT", "TOKEN"]
    assert sorted(project({"a.py": fields.format("pydantic")}).wanted) == []


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        ("port = int(os.getenv('X'))", True),
        ("app = FastAPI(title=os.getenv('X'))", True),
        ("app = FastAPI(root_path=os.getenv('X'))", False),
        ("class Config:\n    port = float(os.environ.get('X'))", True),
        ("hosts = os.getenv('X').split(',')", True),
        ("class Config:\n    X = os.getenv('X')\nconfig = Config()\nurl = config.X.replace('a', 'b')", True),
        ("class M(BaseModel):\n    a: str\nm = M(a=os.getenv('X'))", True),
        ("X = os.getenv('X')\nurl = f'mysql://u@{X}/db'", True),
        ("X = os.getenv('X')\nurl = f'mysql://u:{quote_plus(X)}@h/db'", True),
        ("url = URL.create('mysql', username=os.getenv('X'))", True),
        ("title = f'Shop {os.getenv(\"X\")}'", False),
        ("conf = ConnectionConfig(MAIL_FROM=os.getenv('X'))", True),
        ("class M(BaseModel):\n    a: str | None\nm = M(a=os.getenv('X'))", False),
        ("port = int(os.getenv('X') or 5)", False),
        ("port = int(os.getenv('X')) if os.getenv('X') else 5", False),
        ("X = os.getenv('X')\nif X:\n    X.split(',')", False),
        ("try:\n    port = int(os.getenv('X'))\nexcept TypeError: ...", False),
        ("def f():\n    return int(os.getenv('X'))", False),
    ],
)
def test_what_is_used_at_import_as_if_it_were_set_is_wanted(project, lines, wanted):
    """`int()` of nothing: each name cost a run."""
    code = project({"config.py": f"import os\nfrom pydantic import BaseModel\n{lines}\n"})
    assert (list(code.wanted), list(code.asked)) == (["X"] * wanted, ["X"])


@pytest.mark.parametrize(
    ("text", "files"),
    [
        ('engine = create_engine("sqlite:///./shop.db")', ["shop.db"]),
        ('URL = os.getenv("DB_URL", "sqlite+aiosqlite:///shop.db?timeout=9")', ["shop.db DB_URL"]),
        ('class Settings(BaseSettings):\n    db: str = Field("sqlite:///shop.db")', ["shop.db DB"]),
        ('NAME = "database.db"\nURL = f"sqlite:///{NAME}"', ["database.db"]),
        ('HERE = Path(__file__).resolve().parent\nURL = f"sqlite:///{HERE}/shop.db"', ["shop.db"]),
        ('URL = os.getenv("A_URL", f"sqlite:///{NAME}")\nNAME = "a.sqlite3"', ["a.sqlite3 A_URL"]),
        ('URL = "sqlite:///" + os.path.join(os.path.dirname(__file__), "data", "x.db")', ["data/x.db"]),
        ("import settings as s\ndb = sqlite3.connect(s.DB_FILE)", ["games.db"]),
        ("from sqlite3 import connect\nfrom settings import DB_FILE\ndb = connect(DB_FILE)", ["games.db"]),
        ('async def f():\n    async with aiosqlite.connect("a.db") as db: ...', ["a.db"]),
        (
            'Tortoise(db_url="sqlite://t.sqlite3")\nSqliteDatabase("p.db")\nTinyDB("n.json")',
            ["n.json", "p.db", "t.sqlite3"],
        ),
        ('def save():\n    with open("data.json", "w") as f: ...', ["data.json"]),
        ('Path("state.json").write_text("{}")\n(Path(__file__).parent / "n.txt").open("a")', ["n.txt", "state.json"]),
        (
            'RotatingFileHandler("app.log")\nlogging.basicConfig(filename="b.log")\nlogger.add("c.log")',
            ["app.log", "b.log", "c.log"],
        ),
        ('open("a.json")\nopen("b.json", "rb")\nopen(name, "w")\nopen(f"{name}.json", "w")\ntemplates.open("a.x")', []),
        ('URL = "sqlite:///:memory:"\nOTHER = "sqlite://"\nopen("x.py", "w")\nopen("lock", "w")', []),
        ('URL = "sqlite:////var/lib/shop.db"\nopen("/tmp/x.log", "w")\nopen("../x.log", "w")', []),
        ('for x in y:\n    NAME = x\nURL = f"sqlite:///{NAME}"', []),
        ('DB = {"drivername": "sqlite", "database": os.path.join("var", "s.db")}', ["var/s.db"]),
        ('u = URL.create("sqlite+aiosqlite", database="s.db")\nURL.create("postgresql", database="x.y")', ["s.db"]),
        ('LOG = {"a": {"class": "logging.FileHandler", "filename": "app.log"}, "filename": "b.log"}', ["app.log"]),
        ('p = os.getenv("DB_PATH", "./b.db")\nURL = "sqlite:///" + p', ["b.db"]),
        ('logger.add("logs/{time:YYYY-MM-DD}/x.log")', ["logs"]),
        ('frame.to_csv("out.csv")\nimage.save(path)', ["out.csv"]),
        # Uploads, under names that come with requests.
        ('UP = "app/uploads"\ndef f(file):\n    open(f"{UP}/{file.name}", "wb")', ["app/uploads"]),
        (
            'def f(n):\n    p = os.path.join("up", n)\n    open(p, "wb")\ndef g(n):\n    p = "x" + n\n    open(p, "w")',
            ["up"],
        ),
        ('UP = Path("up")\nasync def f(n):\n    async with aiofiles.open(UP / "in" / n, "wb") as out: ...', ["up/in"]),
        ('def f(n):\n    open(f"/tmp/{n}", "wb")\n    open(f"{n}.json", "w")\n    open(f"{n}/x", "w")', []),
        ('def f(n):\n    open(f"code/{n}", "wb")', []),
    ],
)
def test_a_file_beside_the_code_is_told_before_it_is_written_to(project, tmp_path, text, files):
    """Its app was deployed, and the first sign-up failed: attempt to write a readonly database."""
    lines = MAIN + "import os, sqlite3, aiosqlite, logging\nfrom pathlib import Path\n" + text + "\n"
    code = project({"main.py": lines, "settings.py": 'DB_FILE = "games.db"\n', "code/x.py": ""})
    assert sorted(f"{path} {variable}".strip() for path, (_at, variable) in code.files.items()) == files
    told = [sentence for sentence in said(code, tmp_path, shared_paths=["media"]) if "beside the code" in sentence]
    assert bool(told) == bool(files)
    if files:
        assert f"fastapi_shared_paths: [media, {', '.join(path for path in code.files)}]" in told[0]
        assert said(code, tmp_path, shared_paths=list(code.files)) == []
        there = {variable: "x" for _at, variable in code.files.values() if variable}
        assert bool(said(code, tmp_path, env=there)) == (not there)


@pytest.mark.parametrize(
    ("default", "wanted"),
    [
        ("postgresql+asyncpg://shop:x@db:5432/shop", True),
        ("redis://redis", True),
        ("postgresql://shop@localhost:5432/shop", False),
        ("redis://127.0.0.1:6379/0", False),
        ("https://api.example.com/v1", False),
        ("just words", False),
    ],
)
def test_an_address_that_only_compose_knows_is_wanted_anew(project, default, wanted):
    code = project(
        {
            "main.py": MAIN + f"import os\nURL = os.getenv('A_URL', {default!r})\n",
            "config.py": f"class Settings(BaseSettings):\n    b_url: str = {default!r}\n    other: str = 'x'\n",
        }
    )
    assert sorted(code.wanted) == ["A_URL", "B_URL"] * wanted


def test_static_files_have_the_path_that_the_app_gives_them(project):
    code = project(
        {
            "main.py": MAIN + "from fastapi.staticfiles import StaticFiles\n"
            "app.mount('/public', StaticFiles(directory='.'))\napp.mount('/up', StaticFiles(directory='../x'))\n"
            "app.mount('/static', StaticFiles(directory='app/static'), name='static')\n"
        }
    )
    assert code.statics == {"/static": "app/static"}


def test_what_python_warns_of_is_not_said(project, recwarn):
    project({"main.py": MAIN + "PATTERN = '\\d'\n"})
    assert [each for each in recwarn if issubclass(each.category, SyntaxWarning)] == []


@pytest.mark.project("variable", "settings in a `.env`", "`fastapi_env`; the run lists the names")
def test_a_dotenv_is_named_and_its_values_are_not(project, tmp_path):
    code = project({"main.py": MAIN})
    (tmp_path / ".env").write_text("# a comment\nexport TOKEN = s3cret\nA_LIST=[\n'B=1']\nTOKEN=again\n")
    assert settings_in(str(tmp_path)) == ["TOKEN", "A_LIST"]
    (sentence,) = said(code, tmp_path)
    assert "It sets TOKEN, A_LIST" in sentence
    assert "s3cret" not in sentence
    # Who has taken one over knows of the file.
    assert said(code, tmp_path, env={"token": "x"}) == []


@pytest.mark.project(
    "variable",
    "`/healthz`, `/api/v1/ready` and the like",
    "`fastapi_health_path`, `fastapi_ready_path`; the run names them",
)
@pytest.mark.parametrize("path", ["/healthz", "/api/v1/health", "/livez", "/health/", "/utils/health-check/", "/ping"])
def test_a_liveness_path_of_another_name_is_proposed(project, tmp_path, path):
    code = project({"main.py": MAIN + f"@app.get('{path}')\ndef alive(): ...\n"})
    (sentence,) = said(code, tmp_path)
    assert sentence == (
        f"fastapi_health_path is /health, and the app has no such path; it has {path} (main.py:5). "
        f"Write fastapi_health_path: {path}"
    )
    assert said(code, tmp_path, health_path=path) == []


def test_what_is_called_otherwise_is_neither(project):
    for path in ("/health-insurance", "/alright", "/readers", "/already", "/deliver"):
        assert not HEALTH.fullmatch(path) and not READY.fullmatch(path), path


@pytest.mark.project(
    "variable",
    "state that two workers can't share: schedulers, lists of WebSockets, in-memory stores",
    "`fastapi_workers: 1`; the run names the place",
)
def test_state_that_two_workers_cant_share(project, tmp_path):
    code = project(
        {
            "main.py": """
                from fastapi import FastAPI, WebSocket
                from apscheduler.schedulers.asyncio import AsyncIOScheduler
                app = FastAPI()
                class Manager:
                    def __init__(self):
                        self.active: list[WebSocket] = []
                @app.websocket("/ws")
                async def talk(socket: WebSocket): ...
                """
        }
    )
    jobs, sockets = said(code, tmp_path)
    assert jobs.startswith("main.py:3 imports apscheduler, which runs its jobs in each worker")
    assert sockets.startswith("main.py:7 keeps WebSockets in memory")
    assert all("Write fastapi_workers: 1" in sentence for sentence in (jobs, sockets))
    assert said(code, tmp_path, workers="1") == []
    assert [str(place) for place in code.sockets] == ["main.py:9"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("class Manager:\n  active: dict[str, WebSocket] = {}", 2),
        ("class Manager:\n  def __init__(self):\n    self.active: dict[int, list['WebSocket']] = {}", 3),
        ("class M:\n  def add(self, user: str, socket: WebSocket):\n    self.active[user] = socket", 3),
        ("class M:\n  def add(self, room, ws: fastapi.WebSocket):\n    self.rooms[room].append(ws)", 3),
        ("class M:\n  def add(self, room, ws: WebSocket):\n    self.rooms.setdefault(room, {})[1] = ws", 3),
        ("class M:\n  def add(self, ws: WebSocket):\n    self.all.add((1, ws))", 3),
        ("class M:\n  def add(self, ws: WebSocket):\n    self.all[1] = Client(socket=ws)", 3),
        ("clients = {}\nasync def talk(ws: WebSocket):\n  clients[ws.query_params['id']] = {'socket': ws}", 3),
        # Of one call, or of a message.
        ("async def talk(ws: WebSocket):\n  mine = []\n  mine.append(ws)", 0),
        ("class M:\n  async def talk(self, ws: WebSocket):\n    self.last.append(await ws.receive_text())", 0),
        ("class M:\n  def add(self, user):\n    self.users[user.id] = user", 0),
    ],
)
def test_connections_that_are_kept_by_user_are_one_workers(project, text: str, line: int):
    """A chat's messages reached those who had met the same worker."""
    code = project({"main.py": "from fastapi import WebSocket\n" + text})
    assert [place.line - 1 for place in code.listeners] == ([line] if line else [])


@pytest.mark.parametrize(
    ("text", "there"),
    [
        ("@app.websocket('/ws')\nasync def ws(socket): ...", True),
        (
            "class A:\n  def routes(self):\n    @self.router.websocket ('/ws')\n    async def ws(socket): ...",
            True,
        ),
        ("@app.websocket_route('/ws')\nasync def ws(socket): ...", True),
        ("routes = [WebSocketRoute('/ws', endpoint)]", True),
        ("routing.router.add_api_websocket_route('/ws', ws)", True),
        ("app.add_websocket_route('/ws', ws)", True),
        # A client's, a comment, and what isn't Python.
        ("async def ask(session):\n    return await session.websocket('wss://example.com')", False),
        ("# @app.websocket('/ws')", False),
        ("@app.websocket('/ws'\nasync def", False),
    ],
)
def test_a_websocket_endpoint_is_seen_however_it_is_hung(tmp_path: Path, text: str, there: bool) -> None:
    (tmp_path / "main.py").write_text(text)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_it.py").write_text("app.add_websocket_route('/ws', ws)")
    assert has_sockets(str(tmp_path), ["tests/test_it.py", "main.py", "gone.py"]) == there


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("dogs_db = {0: 'Rex'}\n@app.post('/dog')\ndef add(dog):\n    dogs_db[max(dogs_db) + 1] = dog", ["dogs_db"]),
        ("todos: list[str] = []\n@app.post('/')\nasync def add(x):\n    if x:\n        todos.append(x)", ["todos"]),
        ("from store import items\n@app.delete('/{i}')\ndef drop(i):\n    del items[i]", ["items"]),
        ("import store\n@app.put('/')\ndef put(i):\n    store.items.update(i)", ["store.items"]),
        ("last = 0\n@app.post('/')\ndef add():\n    global last\n    last += 1", ["last"]),
        # A function's own, a parameter, a cache, what is read, and what no request changes.
        ("db = {}\n@app.post('/')\ndef add():\n    db = {}\n    db['x'] = 1", []),
        ("db = {}\n@app.post('/')\ndef add(db):\n    db.add(1)", []),
        ("my_cache = {}\n@app.post('/')\ndef add(x):\n    my_cache[x] = 1", []),
        ("db = {}\n@app.get('/')\ndef get(x):\n    db[x] = 1", []),
        ("db = {}\n@app.post('/')\ndef add(x):\n    return db[x]\ndef fill():\n    db['x'] = 1", []),
        ("db = {}\n@mock.patch('x.y')\ndef add(x):\n    db[x] = 1", []),
        ("db = Session()\n@app.post('/')\ndef add(x):\n    db.add(x)", []),
    ],
)
def test_what_requests_change_in_memory_wants_one_worker(project, tmp_path, text, names):
    """A new dog was there, there, and missing: each of two workers had its own."""
    code = project({"main.py": MAIN + text + "\n", "store.py": "items = {}\n"})
    assert list(code.memory) == names
    told = [sentence for sentence in said(code, tmp_path) if "in memory" in sentence]
    assert len(told) == len(names)
    if names:
        assert f"changes {names[0]}, which is in memory: each worker has its own" in told[0]
        assert told[0].endswith("Write fastapi_workers: 1, or keep it in a database.")
        assert said(code, tmp_path, workers=1) == []


def test_what_is_asked_for_and_used_at_once_is_wanted(project):
    """One failed deploy for each: int() argument must be a string, not 'NoneType'."""
    code = project(
        {
            "config.py": """
                import os
                class Config:
                    PORT = int(os.getenv("A_PORT"))
                    URL = os.getenv("B_URL")
                hosts = os.getenv("C_HOSTS").split(",")
                word = os.getenv("D_WORD")
                words = word.split()
                """,
            "main.py": MAIN
            + """
import os
from config import Config
url = Config.URL.replace("a", "b")
maybe = os.getenv("E_X")
if maybe:
    parts = maybe.split()
other = os.getenv("F_X")
if not other:
    other = "x"
more = other.split()
a = int(os.getenv("G_X")) if os.getenv("G_X") else 1
b = (os.getenv("H_X") or "a").split()
c = os.getenv("I_X")
d = c and c.split()
def later():
    return int(os.getenv("J_X"))
try:
    e = int(os.getenv("K_X"))
except TypeError:
    e = 1
""",
        }
    )
    assert sorted(code.wanted) == ["A_PORT", "B_URL", "C_HOSTS", "D_WORD"]


@pytest.mark.parametrize(
    ("asks", "found"),
    [
        ("os.getenv('API_KEY', 'changeme')", ["API_KEY"]),
        ("os.environ.get('X_API_KEY') or 'changeme'", ["X_API_KEY"]),
        ("os.getenv('FIRST_SUPERUSER_PASSWORD', 'changethis')", ["FIRST_SUPERUSER_PASSWORD"]),
        ("os.getenv('API_KEY', '')", []),
        ("os.getenv('API_KEY')", []),
        ("os.getenv('TOKEN', 'https://x/token')", []),
        ("os.getenv('STRIPE_API_KEY', 'sk_test')", []),
        # The database's own, which is told otherwise.
        ("os.getenv('POSTGRES_PASSWORD', 'postgres')", []),
        ("os.getenv('API_KEY_NAME', 'X-API-Key')", []),
    ],
)
def test_a_default_that_lets_in_whoever_reads_the_source(project, asks: str, found: list[str]):
    assert list(project({"main.py": MAIN, "config.py": f"import os\nKEY = {asks}\n"}).open_secrets) == found


ANY = 'from fastapi import FastAPI\napp = FastAPI()\n@app.get("/{hash}")\ndef go(hash): ...\n'
CHECK = '@app.get("/system/health")\ndef check(): ...\n'


@pytest.mark.parametrize(
    ("text", "values", "write"),
    [
        (ANY, {}, "add /ready above that route"),
        (ANY + CHECK, {}, "write fastapi_ready_path: /system/health, which it has, or add /ready above"),
        (ANY + CHECK, {"ready_path": "/system/health"}, ""),
        (ANY + '@app.get("/ready")\ndef ready(): ...\n', {}, ""),
        # An app of one page answers that with 200.
        (ANY.replace("hash}", "path:path}"), {}, ""),
        (ANY.replace("/{hash}", "/links/{hash}"), {}, ""),
    ],
)
def test_a_route_that_takes_ready_is_told_before_anything_changes(project, tmp_path, text, values, write):
    """A shortener answered it 400, after the build and a slot's start."""
    told = [each for each in said(project({"main.py": text}), tmp_path, **values) if "ready_path is" in each]
    assert bool(told) == bool(write)
    assert not told or (write in told[0] and "route /{hash} (main.py:4) takes" in told[0])
