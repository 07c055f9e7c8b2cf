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
    r"(?i)your|change|replace|example|placeholder|todo|xxx|\.\.\.|[<>{}$]|^(dev\w*|local|tests?|testing)$"
)
_SWITCH = re.compile(r"(?i)(^|_)(debug|reload|echo)$")
_GUESS = "It is a guess: it is what most use."


def usual(bare: str, imports: t.Container[str]) -> str:
    """What most have for a variable, '' where that can't be told.

    :param bare: its name, without a prefix that all of the project's have.
    :param imports: the packages that the app imports.
    """
    name = bare.upper()
    if re.fullmatch(r"((JWT|AUTH|ACCESS|TOKEN|SECURITY|SIGNING)_)*ALGORITHM", name):
        return "HS256"
    if re.fullmatch(r"(\w+_)?ACCESS_TOKEN_EXPIRE_MINUTES", name):
        return "30"
    if re.fullmatch(r"(\w+_)?REDIS_?PORT", name):
        return "6379"
    if re.fullmatch(r"(\w+_)?(POSTGRES\w*|PG|DB|DATABASE)_?PORT", name):
        mysql = any(driver in imports for driver in ("MySQLdb", "aiomysql", "asyncmy", "mysql", "pymysql"))
        return "3306" if mysql and not name.startswith(("POSTGRES", "PG")) else "5432"
    return ""


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


def filled(
    name: str, bare: str, example: str, values: t.Mapping[str, str], imports: t.Container[str]
) -> tuple[str, str]:
    """A value for a variable, and why it is that; ('', '') where somebody has to say it.

    :param example: the file that `values` are from.
    """
    if value := of_example(name, values.get(name, "")):
        return value, f"{example} has it."
    if bare.upper().startswith("TEST_"):
        # It has to be there for the rest to be read, as a URL where it is checked to be one.
        value = "postgresql://unused@localhost/unused" if re.search("(?i)(url|uri|dsn)$", name) else "unused"
        return usual(bare, imports) or value, "Tests alone use it."
    if _SWITCH.search(bare):
        return "false", "On a host."
    if value := usual(bare, imports):
        return value, _GUESS
    return "", ""
