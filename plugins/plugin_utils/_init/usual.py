# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Values for variables that the app wants, where nobody has to be asked for them. Pure."""

from __future__ import annotations

import re
import typing as t

from .._source.paths import SQLITE

_SECRET = re.compile(
    r"(?i)secret|passw|passphrase|pwd|(^|_)pass($|_)|key|token|credential|salt|private|(^|_)pin($|_)|certificate|"
    r"licen[sc]e|webhook"
)
# What is about a secret, and is none: ACCESS_TOKEN_EXPIRE_MINUTES.
_ABOUT = re.compile(r"(?i)(expir\w*|minutes|seconds|hours|days|lifetime|ttl|algorithm|length|size|enabled)$")
_ADDRESS = re.compile(
    r"(?i)(^|_)(url|uri|dsn|host|hostname|hosts|address|addr|domain|server|servers|broker|origins?|e?mail)($|_)"
)
_AN_ADDRESS = re.compile(r"(?i)://|@|^localhost\b|^\d+\.\d+\.\d+\.\d+|^[\w-]+(\.[\w-]+)*\.[a-z]{2,}(:\d+)?$")
# What stands for a value in an example, or is right on the machine of whoever develops the app.
_PLACEHOLDER = re.compile(
    r"(?i)your|change|replace|example|placeholder|todo|xxx|\.\.\.|[<>{}$]|^(dev\w*|local|tests?|testing)$|\s\|\s|"
    r"^(str|string|text|int|integer|num|number|float|bool|boolean|url|uuid|path|value|secret|password|required|optional)$"
)
_SWITCH = re.compile(r"(?i)(^|_)(debug|reload|echo)$")
_GUESS = "It is a guess: it is what most use."


_KINDS = r"(POSTGRES\w*?|PG|MYSQL|MARIADB|DB|DATABASE)"
_USUAL = {
    r"((JWT|AUTH|ACCESS|TOKEN|SECURITY|SIGNING)_)*ALGORITHM": "HS256",
    r"\w*REFRESH\w*_EXPIR\w*_MINUTES": "10080",
    r"(\w+_)?EXPIR\w*_MINUTES": "30",
    r"(\w+_)?EXPIR\w*_DAYS": "7",
    r"(\w+_)?COOKIE_SAME_?SITE": "lax",
    r"(\w+_)?COOKIE_(SECURE|HTTP_?ONLY)": "true",
    r"(\w+_)?(CSRF|COOKIE|SESSION)\w*_MAX_AGE": "3600",
    r"LOG(GING)?_LEVEL": "INFO",
    r"(\w+_)?(E?MAIL|SMTP)_?PORT": "587",
    r"(\w+_)?(RABBIT(MQ)?|AMQP)_?PORT": "5672",
    r"(\w+_)?(MAIL|SMTP)_(START_?)?TLS": "true",
    r"(\w+_)?(MAIL|SMTP)_SSL(_TLS)?": "false",
    r"(\w+_)?(REDIS|RDS)_?PORT": "6379",
    r"(\w+_)?(REDIS|RDS)_?(DB|DATABASE)": "0",
    r"(\w+_)?(REDIS|RDS)_?(URL|URI|DSN)": "redis://127.0.0.1:6379/0",
    r"(\w+_)?(POSTGRES\w*|PG|MYSQL|MARIADB|DB|DATABASE|REDIS|RDS)_?(HOST|HOSTNAME|SERVER)": "127.0.0.1",
    # The server is another one, which the app's own words don't start.
    r"((APP|API|SERVER|UVICORN|FASTAPI|BACKEND)_)?HOST": "127.0.0.1",
    r"((APP|API|SERVER|UVICORN|FASTAPI|BACKEND|ENTRYPOINT)_)?PORT": "8000",
}
"""What most have for a variable, by its name."""
MADE_UP = "It is made up: no mail is sent until it is yours."
_NOBODY = "nobody@example.com"
_OF_MAIL = {
    r"(\w+_)?(E?MAILS?|SMTP)_?(USER(_?NAME)?|LOGIN)": _NOBODY,
    r"(\w+_)?(E?MAILS?|SMTP)_?(FROM|SENDER)(_(E?MAIL|ADDRESS))?|(FROM|SENDER)_?E?MAIL(_ADDRESS)?": _NOBODY,
    r"(\w+_)?(E?MAILS?|SMTP)_?(HOST_)?(PASS(WORD|WD)?|PWD)|(FROM|SENDER)_?E?MAIL_PASS(WORD)?": "unset",
    r"(\w+_)?(SENDGRID|MAILGUN|RESEND|POSTMARK|BREVO|SENDINBLUE|MAILJET)_(API_)?KEY": "unset",
    r"(\w+_)?(E?MAILS?|SMTP)_?(SERVER|HOST(_?NAME)?)": "127.0.0.1",
    r"(\w+_)?(E?MAILS?|SMTP)_?HOST_?USER": _NOBODY,
}
"""What an app starts with that sends mail now and then, by its variable's name; of what kind it may be is checked by
some."""
_DRIVERS = {
    "asyncpg": "postgresql+asyncpg",
    "psycopg": "postgresql+psycopg",
    "psycopg-binary": "postgresql+psycopg",
    "psycopg2": "postgresql+psycopg2",
    "psycopg2-binary": "postgresql+psycopg2",
    "pg8000": "postgresql+pg8000",
    "asyncmy": "mysql+asyncmy",
    "aiomysql": "mysql+aiomysql",
    "pymysql": "mysql+pymysql",
    "mysqldb": "mysql+mysqldb",
    "mysqlclient": "mysql+mysqldb",
    "mysql": "mysql+mysqlconnector",
    "mysql-connector-python": "mysql+mysqlconnector",
}
ONE_BY_ONE = frozenset(
    "psycopg2 psycopg2-binary pg8000 pymysql mysqldb mysqlclient mysql mysql-connector-python".split()
)
"""Those of the drivers that no asynchronous engine can be made of."""
_DATABASE_URL = re.compile(r"(\w+_)?(DATABASE|DB|SQLALCHEMY\w*|POSTGRES\w*|MYSQL|MARIADB)_?(URL|URI|DSN)")


def _schemes(packages: t.Collection[str]) -> list[str]:
    """What an address of the app's database may begin with, by the drivers that it has."""
    # Others than SQLAlchemy know of no driver in it.
    whole = any(name.startswith(("sqlalchemy", "sqlmodel")) for name in packages)
    found = [scheme for name, scheme in _DRIVERS.items() if name in {each.lower() for each in packages}]
    return list(dict.fromkeys(scheme if whole else scheme.partition("+")[0] for scheme in found))


def usual(bare: str, packages: t.Collection[str], app: str = "") -> str:
    """What most have for a variable, '' where that can't be told.

    :param bare: its name, without a prefix that all of the project's have.
    :param packages: those that the app imports or requires.
    :param app: what the app is called.
    """
    name = bare.upper()
    if re.fullmatch(
        rf"(\w+_)?{_KINDS}_?(USER|USERNAME|NAME|DB|DATABASE)|(APP|PROJECT|STACK|SERVICE)_(NAME|TITLE)", name
    ):
        # A database has to be made in any case: by these names it is found.
        return app.replace("-", "_")
    if re.fullmatch(r"(\w+_)?(POSTGRES\w*|PG|MYSQL|MARIADB|DB|DATABASE)_?PORT", name):
        kinds = {scheme.partition("+")[0] for scheme in _schemes(packages)}
        mysql = re.search("MYSQL|MARIADB", name) or (kinds == {"mysql"} and not name.startswith(("POSTGRES", "PG")))
        return "3306" if mysql else "5432"
    return next((value for pattern, value in _USUAL.items() if re.fullmatch(pattern, name)), "")


def beginning(bare: str, packages: t.Collection[str]) -> str:
    """How the address of a database begins, to say beside a variable for it; '' where that can't be told."""
    schemes = _schemes(packages) if is_database(bare) else []
    return " or ".join(f"{scheme}://USER:PASSWORD@127.0.0.1/NAME" for scheme in schemes)


def is_database(bare: str) -> bool:
    """Whether a variable's name is one of the address of a database."""
    return bool(_DATABASE_URL.fullmatch(bare.upper()))


def of_service(name: str) -> bool:
    """Whether a variable's name says of which service it is."""
    return bool(re.search(r"(?i)(^|_)(redis|rds|e?mail|smtp|rabbit(mq)?|amqp|mysql|mariadb|postgres\w*?|pg)_", name))


def of_any_host(name: str, value: str) -> bool:
    """Whether an example's value is nobody's own: a number or a switch, or a word that says how and not who."""
    if re.search(r"(?i)(^|_)(s?id|user\w*|phone|chat|account|client|bucket)($|_)", name):
        return False
    how = re.search(r"(?i)(algorithm|level|same_?site|tz|timezone|lang(uage)?|locale|format|env(ironment)?)$", name)
    return bool(how or re.fullmatch(r"(?i)\d+(\.\d+)?|true|false|yes|no|on|off", value))


def chosen(choices: t.Mapping[str, str], value: str) -> tuple[str, str]:
    """What a host has of an enumeration, and why; ('', which there are) where somebody has to say it.

    :param choices: by the names of its members.
    :param value: what would be there otherwise.
    """
    if value in choices.values():
        return value, ""
    for usual_one in (r"prod(uction)?", "info"):
        for member, each in choices.items():
            if re.fullmatch(usual_one, member, re.IGNORECASE):
                return each, _GUESS
    return "", f"One of {', '.join(choices.values())}"


def on_host(name: str, default: str) -> str:
    """A default with a container's name, as it is for what runs on the host; '' where a password is in it."""
    return "" if "@" in default else re.sub(rf"(^|//){re.escape(name)}(?!://)\b", r"\g<1>127.0.0.1", default, count=1)


def of_example(name: str, value: str) -> str:
    """What an example of the environment has for a variable, where it holds for a host too; '' where it may not."""
    if SQLITE.fullmatch(value):
        # Beside the code, where it is shared.
        return value
    if (_SECRET.search(name) and not _ABOUT.search(name)) or _ADDRESS.search(name):
        return ""
    if not value or _AN_ADDRESS.search(value) or _PLACEHOLDER.search(value):
        return ""
    # An app that is in debug mode shows its inside to whoever meets an error.
    return "" if _SWITCH.search(name) and value.lower() not in ("false", "0", "no", "off") else value


def superusers(bare: str, value: str) -> str:
    """What to say of a database's user or name that is its superuser's, with a blank before it; '' for any other."""
    if value.lower() not in ("postgres", "root", "sa", "mysql"):
        return ""
    if re.fullmatch(rf"(\w+_)?{_KINDS}_?(USER|USERNAME|USER_NAME)", bare.upper()):
        return " That is the database's superuser: give the app a user of its own."
    if re.fullmatch(rf"(\w+_)?{_KINDS}_?(NAME|DB|DATABASE)", bare.upper()):
        return " That is the server's own database: give the app one of its own."
    return ""


def filled(
    name: str, bare: str, example: str, values: t.Mapping[str, str], packages: t.Collection[str], app: str = ""
) -> tuple[str, str]:
    """A value for a variable, and why it is that; ('', '') where somebody has to say it.

    :param example: the file that `values` are from.
    :param app: what the app is called.
    """
    if value := of_example(name, values.get(name, "")):
        return value, f"{example} has it.{superusers(bare, value)}"
    if bare.upper().startswith("TEST_"):
        # It has to be there for the rest to be read, as a URL where it is checked to be one.
        value = "postgresql://unused@localhost/unused" if re.search("(?i)(url|uri|dsn)$", name) else "unused"
        return usual(bare, packages) or value, "Tests alone use it."
    if _SWITCH.search(bare):
        return "false", "On a host."
    # REDIS_PORT, of a class that has the prefix REDIS_, is no port of the app's.
    if value := usual(name if of_service(name) else bare, packages, app):
        return value, "It is a guess: the app's own name." if value == app.replace("-", "_") else _GUESS
    for shown in (name, bare):
        if re.fullmatch(r"(\w+_)?(E?MAILS?|SMTP)_?(FROM|SENDER)_?NAME", shown.upper()):
            return app or "app", MADE_UP
        if value := next((value for pattern, value in _OF_MAIL.items() if re.fullmatch(pattern, shown.upper())), ""):
            return value, MADE_UP
    return "", ""
