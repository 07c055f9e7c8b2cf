# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How an app's migrations are run, by what its Alembic is told."""

from __future__ import annotations

import os
import re
import typing as t

from ...module_utils._app.releases import ReleaseError
from ...module_utils._app.words import PREFIX
from ...module_utils._host.files import names_in, read_text
from .._inputs.rules import TODO
from .._release import lockfile
from .._source.lacks import adding, migrating
from .._source.paths import DATABASE
from .._source.shown import Code
from .installed import is_locked, is_open
from .unmade import unmade
from .written import Written, as_yaml

_DATABASE = re.compile(r"(?i)(database|db|postgres\w*|sqlalchemy\w*)_?(url|uri|dsn)$")
_ADDRESS = re.compile(r"(?m)^[ \t]*sqlalchemy\.url\s*=[ \t]*(?!driver://)[a-z][\w+]*://\S+")
_OVERRIDDEN = re.compile(
    r"""set_main_option\(\s*["']sqlalchemy\.url|create_(async_)?engine\(|["']sqlalchemy\.url["'](\]\s*=|\s*:)|"""
    r"""set_section_option\([^\n]*["']sqlalchemy\.url["']"""
)
"""What has an env.py of Alembic's take another address than that of its alembic.ini."""
_OF_INI = r"""[\w.]*get_main_option\(\s*["']sqlalchemy\.url["']\s*\)"""
_UNLESS = re.compile(
    r"""if\s+(?:not\s+)?[\w.]*get_main_option\(\s*["']sqlalchemy\.url["']\s*\)(?:\s+(?:is|==)\s+None)?\s*:\s*\n\s+"""
    r"""[\w.]*set_main_option\([^\n]*"""
)
"""Where it does so only if that has none."""


def migrations(out: Written, top: str, requirements: str, code: Code, required: t.Collection[str]) -> None:
    """Where what hosts get has Alembic: many projects have it among what is for development alone.

    :param required: names of the packages that the app requires.
    """
    found = code.migrations
    inis = sorted((path for path in found if path.endswith("alembic.ini")), key=len)
    table = lockfile.load_project(top)
    needed = "\n".join(
        map(str, [*lockfile.project_of(table).get("dependencies", []), *lockfile.poetry_dependencies(table)])
    )
    if requirements.endswith((".txt", ".in")):
        needed += "\n" + read_text(os.path.join(top, requirements))
        # What it includes isn't read here.
        needed += "\nalembic" if re.search(r"(?m)^\s*(-r|--requirement|-e|\.)", needed) else ""
    if not inis and "alembic" not in table.get("tool", {}):
        out.comment(
            f"{found[0]}/versions/ has migrations, and there is no alembic.ini, without which alembic runs none: does "
            f".gitignore name it? Have one at the top, with [alembic] and script_location = {found[0]} in it, and have "
            f"the migrations run before each new release: {PREFIX}before_swap: [alembic upgrade head]"
        )
        return
    below = os.path.dirname(inis[0]) if inis else ""
    env, from_top = _script(top, inis[0]) if inis else ("", False)
    text = f"alembic -c {inis[0]} upgrade head" if from_top and below else "alembic upgrade head"
    command = [f"cd {below} && {text}" if below and not from_top else text]
    an = inis[0] if below else "an alembic.ini" if inis else "a [tool.alembic] in pyproject.toml"
    fixed = _fixed(top, inis[0], env) if env else None
    brought = migrating(top, [*inis, env, f"{os.path.dirname(env)}/versions/any.py"]) if env else {}
    if inis and not env:
        out.comment(f"There is {an}, and where it has its script_location is no env.py, so nothing can be migrated.")
        return
    if fixed and "sqlite" not in fixed[0] and code.wanted.keys() | code.asked.keys() | code.files.keys():
        out.comment(
            f"There is {an} with an address of a database in it, and {env} takes no other than that. If it is the "
            f"host's too: {PREFIX}before_swap: {as_yaml(command)}"
        )
        return
    if (lacks := unmade(top, f"{os.path.dirname(env)}/versions")) and code.creates:
        out.comment(
            f"There is {an}, and {lacks[0]} needs the table {lacks[1]}, which no migration before it has made: "
            f"{code.creates} makes the tables as the app starts. Deploy without, have run.yml run `alembic stamp head` "
            f"once, and write then, for what changes later: {PREFIX}before_swap: {as_yaml(command)}"
        )
        return
    # A list of UTF-16, as PowerShell writes it, is read by what reads requirements.
    there = "alembic" in required and requirements.endswith((".txt", ".in"))
    there = there or is_locked(top, requirements, "alembic", required)
    if there or re.search(r"(?mi)^\s*alembic\b", needed):
        out.line("before_swap", command, f"Run before the new release starts; there is {an}.")
        return
    if brought and not code.creates and is_open(top, requirements):
        out.line(
            "before_swap",
            command,
            f"Run before the new release starts; there is {an}. {requirements} doesn't name alembic, so each release "
            "gets its newest version that fits.",
        )
        return
    place, extra = _beside(top, table)
    said = f"There is {an}, and "
    said += f"alembic is in {place}. " if place else "what is installed doesn't name alembic. "
    said += f"Write {PREFIX}extras: [{extra}]" if extra else f"Add it {adding(requirements, ['alembic'])}"
    said += f", and have it run before each new release: {PREFIX}before_swap: {as_yaml(command)}"
    if code.creates or all(path.endswith("alembic.ini") for path in found):
        out.comment(said)
        return
    said += ". Nothing else is seen to make the app's tables"
    # An app without any starts, and looks like a good one.
    out.line("before_swap", [TODO], f"{said}. If something does: {PREFIX}before_swap: []")
    out.notes.append(f"{said}.")


def _beside(top: str, table: dict[str, t.Any]) -> tuple[str, str]:
    """Where alembic is named beside what is installed, as a group for development; and the extra, if it is one of the
    project's."""

    def under(here: t.Any, *names: str) -> dict[str, t.Any]:
        for name in names:
            here = here.get(name) if isinstance(here, dict) else {}
        return here if isinstance(here, dict) else {}

    def has(listed: t.Any) -> bool:
        return isinstance(listed, (list, dict)) and any(re.match(r"(?i)alembic\b", str(each)) for each in listed)

    tool = under(table, "tool")
    groups = [*under(tool, "pdm", "dev-dependencies").items(), *under(table, "dependency-groups").items()]
    groups += [(name, under(group, "dependencies")) for name, group in under(tool, "poetry", "group").items()]
    groups += [("dev", under(tool, "poetry", "dev-dependencies")), ("dev", under(tool, "uv").get("dev-dependencies"))]
    for name, listed in under(lockfile.project_of(table), "optional-dependencies").items():
        if has(listed):
            return f"pyproject.toml's extra {name}", name
    for name, listed in groups:
        if has(listed):
            return f"pyproject.toml's group {name}, which isn't installed", ""
    try:
        if has(under(lockfile.load(top, "Pipfile"), "dev-packages")):
            return "Pipfile's dev-packages, which aren't installed", ""
    except ReleaseError:
        pass
    for name in sorted(names_in(top)):
        if re.fullmatch(r"(?i)[\w.-]*(requirements|dev)[\w.-]*\.(txt|in)", name) and re.search(
            r"(?mi)^\s*alembic\b", read_text(os.path.join(top, name))
        ):
            return f"{name}, which isn't installed", ""
    return "", ""


def other_database(out: Written, code: Code, top: str) -> None:
    """Migrations of another database than the app's: one beside the code, by an address in alembic.ini."""
    env, _from_top = _script(top, "alembic.ini")
    text, fixed = read_text(os.path.join(top, "alembic.ini")), _fixed(top, "alembic.ini", env)
    found = fixed and re.match(
        r"[ \t]*sqlalchemy\.url\s*=\s*sqlite[\w+]*:///(?:%\(here\)s/)?(?!/|:memory:)(\S+)", fixed[0]
    )
    # The same file, which is shared, is the same database.
    if not fixed or not found or os.path.normpath(found[1]) in code.files:
        return
    line = text.count("\n", 0, fixed.end()) + 1
    variable = next(filter(_DATABASE.search, (*code.wanted, *code.asked)), "DATABASE_URL")
    write = (
        f"Add to {env}, at its top `import os` and below `config = context.config`: "
        f'config.set_main_option("sqlalchemy.url", os.environ["{variable}"])'
    )
    if database := next((path for path in code.files if DATABASE.search(path)), ""):
        write = f"Write there the app's: {found[0].strip().removesuffix(found[1])}{database}"
    out.comment(
        f"alembic.ini line {line} is `{found[0].strip()}`: beside the code, where a migration can only read, and {env} "
        f"takes no other. {write}"
    )


def _script(top: str, ini: str) -> tuple[str, bool]:
    """The env.py of the migrations that an alembic.ini is of, '' where there is none; and whether it is counted from
    the source's top. Alembic counts from where it is run."""
    found = re.search(r"(?m)^[ \t]*script_location\s*=[ \t]*(%\(here\)s/)?(\S+)", read_text(os.path.join(top, ini)))
    location = found[2].replace(":", "/") if found else "alembic"
    places = [os.path.normpath(os.path.join(below, location, "env.py")) for below in (os.path.dirname(ini), "")]
    there = [os.path.isfile(os.path.join(top, place)) for place in places]
    from_top = there == [False, True] and bool(found and not found[1])
    return places[1] if from_top else places[0] if there[0] or not found else "", from_top


def _fixed(top: str, ini: str, env: str) -> re.Match[str] | None:
    """The address that migrations have in alembic.ini, and no other."""
    found = _ADDRESS.search(read_text(os.path.join(top, ini)))
    script = _UNLESS.sub("", read_text(os.path.join(top, env)))
    for name in re.findall(rf"(?m)^[ \t]*(\w+)\s*(?::\s*\w+\s*)?=\s*{_OF_INI}[ \t]*$", script):
        # An engine of the file's own address, where the name stands for nothing else.
        if len(re.findall(rf"(?m)^[ \t]*{name}\s*(?::[^=\n]*)?=", script)) == 1:
            script = re.sub(rf"create_(async_)?engine\(\s*{name}\b", "", script)
    script = re.sub(rf"create_(async_)?engine\(\s*{_OF_INI}", "", script)
    if of_ini := set(re.findall(r"(\w+)\s*=[^\n=]*?\b(?:async_)?engine_from_config\(", script)):
        # Beside it another engine may be made, as one that makes the database; in its place another one.
        script = re.sub(
            r"(?:(\w+)\s*=\s*)?create_(?:async_)?engine\(", lambda made: made[0] if made[1] in of_ini else "", script
        )
    return None if found and _OVERRIDDEN.search(script) else found
