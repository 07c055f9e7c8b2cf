# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The inventory that deploys an app, written from what its source shows; what that can't tell is a line with TODO."""

from __future__ import annotations

import json
import os
import re
import typing as t

from ...module_utils._app import names
from ...module_utils._app.words import PREFIX
from ...module_utils._host.files import names_in, read_text
from .._inputs.rules import TODO
from .._inputs.specification import load_spec
from .._release import lockfile, pyproject
from .._release.git import ignored, is_git, name_of
from .._release.source import PLACEHOLDERS, scan
from .._source.advice import HEALTH, READY, alone, like, settings_in, takes
from .._source.code import read_code
from .._source.lacks import needed
from .._source.paths import SQLITE
from .._source.secret import can_be_made_up, is_own, make
from .._source.shown import Code, Place
from .installed import UNASKED, Asked, instead, required_by, requirements_of, unread, until, which_debian
from .migrated import migrations, other_database
from .needed import JIT, packages
from .prestart import before
from .usual import (
    MADE_UP,
    ONE_BY_ONE,
    beginning,
    chosen,
    filled,
    is_database,
    of_any_host,
    of_example,
    of_service,
    on_host,
)
from .written import Written, as_yaml

HOSTS = f"""\
---
# Where the app is to run: a Debian 12 or 13 that you reach over SSH.
all:
  hosts:
    web1:
      # Its address or name.
      ansible_host: {TODO}
      # The user who may log in and use sudo. If sudo asks for a password, add -K to each command.
      ansible_user: {TODO}
"""


_SOURCE = "The code on this machine, or a git URL."
_ANYTHING = ("app", "api", "backend", "server", "src", "None")
_WORKERS = re.compile(
    r"""\bcelery\s+(?:-A|--app)[\s=][^\n&|;#"']*?\b(?:worker|beat)\b[^\n&|;#"'\]]*"""
    r"""|\b(?:arq|dramatiq|rq\s+worker|taskiq\s+worker)\s+[\w.:][^\n&|;#"'\]]*"""
)
"""How the queues that people use are started."""


def app_file(
    top: str, source: str, version: str = "", day: str = "", index: Asked = UNASKED, root: str = ""
) -> Written:
    """The text of group_vars/all/app.yml for the app in the directory `top`.

    :param source: what fastapi_source is to be: the same directory, an archive or a URL, which `top` was made of.
    :param day: of its last commit.
    :param index: what is asked of an index.
    :param root: the app's directory on the host; '' where its name says it.
    """
    code, below, outside = _read(top)
    whole, top = top, os.path.join(top, below)
    out = Written(
        f"---\n# Written by init.yml, from what {source} shows. A line with {TODO} has to be filled in.\n"
        "# Every variable: ansible-doc -t role graceful.deploy.fastapi\n"
    )
    name = _name(top, source)
    out.line("name", name, "Directories, services and logs on the host are named after it.")
    out.comment(f"A second app on the same host needs another name, and a user of its own: {PREFIX}user: NAME")
    # A path may name the directory itself, unless something above it is needed too, as a workspace's lock.
    inside = below and (is_git(source) or not os.path.isdir(source) or bool(lockfile.workspace_lock(top, whole)))
    out.line("source", source if inside else os.path.join(source, below).rstrip("/"), _SOURCE)
    if version:
        out.line("version", version)
    if inside:
        out.line("source_directory", below, "Where the app is in it.")
    example, values = _example(top, code)
    for variable in code.wanted:
        if match := SQLITE.fullmatch(values.get(variable, "")):
            code.files.setdefault(os.path.normpath(match[1]), (Place(example, 1), variable))
    # A database of whoever develops it isn't what the host's begins with, nor are uploads.
    own = ignored(top, [path for path in (*code.files, *code.apart) if os.path.lexists(os.path.join(top, path))])
    # What git ignores no deploy from elsewhere brings.
    code.files |= {path: (code.apart.pop(path), "") for path in sorted({*own} & code.apart.keys())}
    if outside or own:
        kinds = ["what does by default"]
        kinds += ["links that lead out of the source"] * bool(outside) + ["files that git ignores"] * bool(own)
        left_out = [*_patterns(), *(f"/{path}" for path in (*outside, *own))]
        out.line("exclude", left_out, f"What stays behind: {', and '.join(kinds)}.")
    app = _app(out, code, _served(top, whole), _texts(r"(?i)^readme\b", top, whole))
    requirements = requirements_of(out, top, whole, _served(top, whole), needed(top, [*code.modules], app))
    instead(out, top, requirements)
    until(out, top, requirements, day)
    which_debian(out, top, requirements, day, _served(top, whole), index)
    unread(out, top)
    out.line(
        "domains", [TODO], "A name that leads to the host: HTTPS comes by itself. [] is plain HTTP under any name."
    )
    _paths(out, code, app)
    required = required_by(top, requirements)
    debian, read = packages(_texts(r"(?i)dockerfile", top, whole), required)
    if debian:
        out.line("packages", debian, f"What the app needs of Debian's, by {' and '.join(read)}.")
    if writing := sorted(JIT & required):
        out.line("allow_jit", True, f"{' and '.join(writing)} wants memory that it can both write and execute.")
    for why, _other in alone(code)[:1]:
        out.alone = why
        out.line("workers", 1, why)
    if code.migrations:
        migrations(out, top, requirements, code, required)
    before(out, top)
    _static(out, code)
    table = lockfile.load_project(top)
    installed = pyproject.roots(table, code.modules) if pyproject.is_package(table, requirements) else []
    _shared(out, code, top, root or f"/srv/{name}", own, {*code.imports, *required})
    other_database(out, code, top)
    _env(out, code, app, top, installed, required, name.replace(TODO, ""))
    _containers(out, code)
    for constant, (place, _maker, asked) in code.random.items():
        if not asked:
            out.comment(
                f"{place} makes {constant} up, in each worker and at each start another one: users are logged out at "
                f'random. Have it ask, as by os.environ["{constant}"], and set that in {PREFIX}env.'
            )
    _processes(out, code, _served(top, whole))
    return out


def _shared(out: Written, code: Code, top: str, root: str, own: t.Collection[str], packages: t.Collection[str]) -> None:
    """:param own: files that stay behind.
    :param packages: those that the app imports or requires."""
    if code.apart:
        path, at = next(iter(code.apart.items()))
        others = [other for other in code.apart if other != path]
        alike = f"; so it is with {', '.join(others[:4])}" if others else ""
        out.comment(
            f"{at} writes {path}, which the source brings, and the app was not seen to come to that line{alike}. Each "
            f"release has its own, with what the source has. If the app does write there, name it in "
            f"{PREFIX}shared_paths, whose files begin as the source's once, and then are the app's."
        )

    def there(path: str) -> bool:
        """Whether the source has more than a placeholder there."""
        place = os.path.join(top, path)
        return os.path.lexists(place) and (not os.path.isdir(place) or bool({*os.listdir(place)} - {*PLACEHOLDERS}))

    # What the source has is in each release, and is made by no app: its files are served, say.
    made = {path: at for path, at in code.made.items() if not there(path)}
    for path, (at, _variable) in code.files.items():
        # Of a directory that the source hasn't got, all is the app's: what it writes beside the file too.
        above = os.path.dirname(path)
        made.setdefault(above if above and not there(above) else path, at)
    shared: list[str] = []
    for path in sorted(made):
        if not any(path.startswith(f"{above}/") for above in shared):
            shared.append(path)
    if not shared:
        return
    said = [f"{made[path]} has {path}" for path in shared]
    begins = [path for path in shared if path in code.files and there(path) and path not in own]
    said += [f"it begins as the source's {' and '.join(begins)}, once"] if begins else []
    out.line("shared_paths", shared, f"What the app writes, and has from release to release: {', '.join(said)}.")
    for path, (_at, variable) in code.files.items():
        if variable and is_database(code.bare.get(variable, variable)) and variable not in code.pooled:
            as_ = beginning(code.bare.get(variable, variable), packages) or "an address whose driver is required"
            out.comment(f"{path} is the app's database by default. For another set {variable} in {PREFIX}env: {as_}")
    out.notes.append(f"What the app writes to {', '.join(shared)} is kept below {root}/shared: backups are yours.")


def _meant(code: Code, told: t.Collection[str]) -> list[str]:
    """Which databases the app has by default, where variables may say others.

    :param told: variables that have a line of their own.
    """
    found = []
    for name, (place, default) in code.beside.items():
        if name not in told:
            found.append(f"By default {name} is {default} ({place}): have that on the host, or set it in {PREFIX}env.")
    for parts in code.parts.values():
        which = next((parts[kind] for kind in ("name", "db", "database") if kind in parts), None)
        names = [variable for variable, _default, _place in parts.values() if variable not in told]
        if not which or which[0] not in names:
            continue
        said = which[1]
        for kinds, word in ((("user", "username"), "of the user"), (("host", "hostname", "server"), "at")):
            said += next((f" {word} {parts[kind][1]}" for kind in kinds if kind in parts), "")
        said = f"By default the database is {said} ({which[2]})"
        found.append(f"{said}: have that on the host, or set {', '.join(names)} in {PREFIX}env.")
    return found


_OF_DATABASE = frozenset("DATABASE DB DBNAME DB_NAME".split())


def _containers(out: Written, code: Code) -> None:
    for place, address in code.fixed.items():
        # What stands for a variable is told there.
        if code.containers.get(place) == "" or any(map(is_database, (*code.wanted, *code.asked, *code.defaults))):
            continue
        told = f"{place} has {address} as its database, and asks for no other: have such a one on the host"
        out.comment(f'{told}, or have it ask, as by os.environ["DATABASE_URL"], and set that in {PREFIX}env.')
        out.notes.append(f"{told}.")
    for place, address in code.containers.items():
        if address:
            scheme, _slashes, host = address.partition("://")
            variable = f"{re.split('[+]', scheme)[0].upper()}_URL"
            out.comment(
                f"{place} has the address {address}, by a name that compose gives: the host knows no `{host}`. "
                f'Have it ask, as by os.environ["{variable}"], and set that in {PREFIX}env.'
            )


def _processes(out: Written, code: Code, recipes: str) -> None:
    """What the source's own recipes run beside its web: a queue's workers, and their scheduler."""
    found: dict[str, str] = {}
    known = set[tuple[str, ...]]()
    # In a list of words as in a line for the shell.
    for match in _WORKERS.finditer(re.sub(r"""["']\s*,\s*["']""", " ", recipes)):
        # The log is the journal's, and a file of it in the release couldn't be written.
        command = " ".join(re.sub(r"\s(?:--detach|(?:--(?:log|pid)file[ =]|-f )\S+)", "", match[0]).split())
        name = "beat" if re.search(r" beat( |$)", command) else "worker"
        if name == "beat" and not re.search(r" (?:-s|--schedule)[ =]|cheduler", command):
            # It notes there when it has sent what, by itself where it was started: in the release, which is read-only.
            command += " -s ../../home/celerybeat-schedule"
        # A second recipe starts the same once more; workers of another queue or app are others.
        whose = (name, *(re.findall(r" (?:-A|--app|-Q|--queues)[ =](\S+)", command) or [command]))
        name = f"{name}-{len(found) + 1}" if name in found else name
        if whose not in known and "{{" not in command:
            known.add(whose)
            found[name] = command
    if found:
        out.comment("As the source's own recipes start them. They run and move with the app, and are in its status.")
        out.text += f"{PREFIX}processes:\n"
        for name, command in found.items():
            # Two schedulers would begin each job twice.
            once = ", instances: 1, hosts: first" if name.startswith("beat") else ""
            out.text += f"  {name}: {{command: {json.dumps(command)}{once}}}\n"
    elif place := code.imports.get("celery"):
        module = code.modules.get(place.path, place.path)
        example = f"{PREFIX}processes: {{worker: {{command: celery -A {module} worker}}}}"
        out.comment(f"{place} uses Celery. Its workers run beside the app where they are named: {example}")


def _patterns() -> list[str]:
    return t.cast("list[str]", load_spec()["exclude"]["default"])


def _read(top: str) -> tuple[Code, str, list[str]]:
    """What the source shows; the directory in it that is the app's project, '' for the whole; and the links in that
    which lead out of it."""
    code, outside = _look(top)
    root = next((code.roots[router.place.path] for router in code.apps.values()), "")
    for below in (root, os.path.dirname(root)):
        project = os.path.join(top, below)
        if below and any(
            os.path.isfile(os.path.join(project, name)) for name in (*lockfile.REQUIREMENTS, "pyproject.toml")
        ):
            code, outside = _look(project)
            return code, below, outside
    return code, "", outside


def _look(top: str) -> tuple[Code, list[str]]:
    outside: list[str] = []
    return read_code(top, [entry.path for entry in scan(top, _patterns(), outside)]), outside


def _name(top: str, source: str) -> str:
    project = lockfile.project_of(lockfile.load_project(top))
    beside = name_of(source) if is_git(source) else os.path.basename(source.rstrip("/")).split(".")[0]
    # Many projects are called app.
    given = [str(project.get("name") or ""), beside, os.path.basename(top)]
    for name in sorted(given, key=lambda name: name in _ANYTHING):
        if found := names.fitting(name, 31, names.WELL_KNOWN):
            return found
    return TODO


def _served(*directories: str) -> str:
    """What the source's own recipes say: Dockerfile, Procfile, compose files and scripts beside them."""
    return _texts(
        r"(?i)^(dockerfile|procfile|(docker-)?compose)|\.(sh|ya?ml)$|^(make|just)file$|^pyproject\.toml$", *directories
    )


def _texts(named: str, *directories: str) -> str:
    found = [
        read_text(os.path.join(directory, name))
        for directory in dict.fromkeys(directories)
        for name in sorted(names_in(directory))
        if re.search(named, name)
    ]
    return "\n".join(found)


def _app(out: Written, code: Code, recipes: str, readme: str) -> str:
    """:param recipes: what says in other words how it is served.
    :param readme: what says it to people, for other machines as well.
    """
    texts = [recipes, "\n".join(code.served), readme]
    # sorted() keeps the order of what it finds equal.
    apps = sorted(code.apps, key=lambda app: [not re.search(rf"(?<![\w.]){re.escape(app)}\b", text) for text in texts])
    if not apps:
        told = re.search(_SERVER, "\n".join(texts))
        say = "What Gunicorn imports, as in main:app for `app` in main.py. No FastAPI() was found in the source"
        say += f", whose own recipes serve {told[1]}." if told else "."
        out.line("app", told[1] if told and told[1].partition(":")[0] in code.modules.values() else TODO, say)
        return ""
    others = f" Others: {', '.join(apps[1:4])}." if apps[1:] else ""
    out.line("app", apps[0], f"Found in {code.routers[apps[0]].place}.{others}")
    return apps[0]


_SERVER = re.compile(r"""\b(?:uvicorn|gunicorn|hypercorn)\b["',\s][^\n]*?([A-Za-z_][\w.]*:[A-Za-z_]\w*)""")


def _paths(out: Written, code: Code, app: str) -> None:
    taken = takes(code, app)
    lacking: list[str] = []
    for kind, shape in (("health", HEALTH), ("ready", READY)):
        found: dict[str, Place] = like(code, app, shape)
        if f"/{kind}" in found:
            continue
        if found:
            path, place = next(iter(found.items()))
            out.line(f"{kind}_path", path, f"Found in {place}.")
        elif taken and (others := like(code, app, HEALTH)):
            # The app's server answers in place of a 404 alone, and this route may say 400 or 422.
            path, place = next(iter(others.items()))
            out.line(f"{kind}_path", path, f"Found in {place}. {taken[0]} ({taken[1]}) takes /{kind}.")
        elif taken:
            lacking.append(f"/{kind}")
    if taken and lacking:
        told = (
            f"{taken[0]} ({taken[1]}) takes {' and '.join(lacking)} too, and no release has traffic until "
            f"{'both answer' if lacking[1:] else 'it answers'} 2xx. Add {'them' if lacking[1:] else 'it'} to the app, "
            "above that route"
        )
        out.comment(f"{told}, as docs/your-app.md shows in ten lines:")
        for path in lacking:
            name = path.strip("/")
            out.text += f'#   @app.get("{path}", include_in_schema=False)\n#   async def {name}() -> dict[str, str]:\n'
            out.text += '#       return {"status": "ok"}\n'
        out.notes.append(f"{told}: docs/your-app.md has ten lines.")


def _static(out: Written, code: Code) -> None:
    # What the app writes to is shared, and the proxy serves what is in the release.
    statics = {
        path: directory
        for path, directory in code.statics.items()
        if not any(f"{file}/".startswith(f"{directory}/") for file in code.files)
    }
    if statics:
        path, directory = next(iter(statics.items()))
        static = f"{PREFIX}static: {{{path}: {directory}}}"
        out.comment(f"The app serves {directory}/ itself. The proxy does it for less: {static}")


def _example(top: str, code: Code) -> tuple[str, dict[str, str]]:
    """What the source gives as an example of its environment: the file's name, and its values."""
    for name in (
        *code.examples,
        ".env.example",
        ".env.sample",
        ".env.template",
        ".env.dist",
        ".env-example",
        ".env-sample",
        ".env_example",
        ".env_sample",
        "env.example",
        "env.sample",
        "example.env",
    ):
        if text := read_text(os.path.join(top, name), 1 << 16):
            rows = re.findall(r"(?m)^\s*(?:export\s+)?([A-Za-z_]\w*)\s*=[ \t]*(\S.*?)\s*$", text)
            # What follows a value without quotes is a comment.
            plain = {key: value if value[0] in "'\"" else re.sub(r"(^|\s+)#.*", "", value) for key, value in rows}
            return name, {key: value.strip("'\"") for key, value in plain.items() if value.isprintable()}
    return "", {}


def _env(
    out: Written,
    code: Code,
    app: str,
    top: str,
    installed: t.Collection[str],
    required: t.Collection[str],
    called: str,
) -> None:
    """:param installed: directories that are on the path without it.
    :param required: names of the packages that the app requires.
    :param called: the app's name.
    """
    rows: list[tuple[str, str, str]] = []
    if app and (root := code.roots[code.routers[app].place.path]) and root not in installed:
        rows.append(("PYTHONPATH", root, f"The app is in {root}/."))
    example, values = _example(top, code)
    for name, (place, default) in code.defaults.items():
        if name not in code.wanted:
            begins = beginning(code.bare.get(name, name), {*code.imports, *required})
            write = f" For another write {begins}" if begins else ""
            why = f"{place} asks for it. By default it is {default}: if the host has such a one, that.{write}"
            rows.append((name, TODO, why))
    there = {*code.imports, *required}
    beside = {variable for _at, variable in code.files.values()}
    for name, place in code.pooled.items():
        if name in beside and name not in code.wanted and (begins := beginning(name, there - ONE_BY_ONE)):
            rows.append(
                (name, TODO, f"{place} makes a pool of it, and SQLite, the default, may have none. As {begins}")
            )
    made = {name: place for name, place in code.asked.items() if is_own(name)}
    for name, place in code.open_secrets.items():
        if can_be_made_up(code.bare.get(name, name)):
            made[name] = place
        elif name not in code.wanted and name not in code.defaults:
            rows.append((name, TODO, f"{place} has a default that everybody can read."))
    made |= {name: place for name, (place, _maker, asked) in code.random.items() if asked}
    # Beside a database's name, what has no other name is the database's.
    of = "DB_" if _OF_DATABASE & {*code.wanted, *code.asked} else ""
    for name, place in code.wanted.items():
        bare = code.bare.get(name, name)
        bare = f"{of}{bare}" if bare.upper() in ("HOST", "PORT", "SERVER") and not of_service(name) else bare
        value, why = filled(name, bare, example, values, there, called)
        given = f"{example} has {values[name]}" if values.get(name) else ""
        if name in code.choices and value not in code.choices[name].values():
            value, why = chosen(code.choices[name], value)
            given = why
        if name in code.hosts and (here := on_host(*code.hosts[name])):
            value, why = here, f"By default it is {code.hosts[name][1]}, a container's name that the host doesn't know."
        elif not value and (begins := beginning(bare, there)):
            given = "; ".join(filter(None, [f"As {begins}, by the driver that is required", given]))
        if value and value == values.get(name) and example in code.examples:
            # The release has it by itself.
            continue
        if is_own(bare):
            made[name] = place
        else:
            rows.append((name, value or TODO, f"{place} wants it. {why or given}".rstrip()))
    told = {*code.wanted, *code.defaults, *made, *(name for name, _value, _comment in rows)}
    asked = {name: place for name, place in code.asked.items() if name not in told}
    for name, place in list(asked.items()):
        if (value := of_example(name, values.get(name, ""))) and of_any_host(name, value):
            # The app would start without it, and fail where it comes by.
            del asked[name]
            if example not in code.examples:
                rows.append((name, value, f"{place} asks for it, and {example} has it."))
    switches = {
        name: (text, place)
        for name, texts in code.compared.items()
        for text, place in texts.items()
        if name in asked and re.fullmatch(r"(?i)prod(uction)?|live", text)
    }
    # Nothing fails without these.
    asked = {name: place for name, place in asked.items() if name not in code.stood and name not in code.compared}
    behind = [name for name in settings_in(top) if name.upper() not in {*code.wanted, *code.asked, *made}]
    meant = _meant(code, {*code.wanted, *(row[0] for row in rows)})
    if rows or made or asked or switches or behind or meant or code.open_passwords:
        out.comment("The app's environment. Passwords belong in a file that ansible-vault encrypts.")
    if rows or made:
        out.text += f"{PREFIX}env:\n"
    for name, value, comment in rows:
        out.text += f"  {name}: {as_yaml(value)}  # {comment}\n"
        out.left += [name] if value == TODO else []
    if mail := [name for name, _value, comment in rows if MADE_UP in comment]:
        out.notes.append(f"No mail is sent until {', '.join(mail)} in {PREFIX}env are yours: what is there is made up.")
    for name, place in made.items():
        why = "has a default that everybody can read" if name in code.open_secrets else "wants it"
        why = "makes it up, in each worker and at each start another one" if name in code.random else why
        keep = "this one was made for you; keep it, and encrypt this file with ansible-vault."
        out.comment(f"{place} {why}; {keep}", "  ")
        if not is_own(code.bare.get(name, name)):
            out.comment("Who asks the app needs it. If it is another service's key, write that instead.", "  ")
        out.secrets.append(make(code.random[name][1] if name in code.random else "", name))
        out.text += f"  {name}: {json.dumps(out.secrets[-1])}\n"
    # A name needs the variable above it, without which its line can't be taken in.
    some = bool(rows or made)
    indent = "  " if some else ""
    hidden = "  # " if some else "#   "
    if asked:
        too = "Asked for too, and nothing stands for them where they aren't set:"
        out.comment(
            too if some else f"Asked for, and nothing stands for them. A line needs {PREFIX}env without its #:", indent
        )
        out.text += "" if some else f"# {PREFIX}env:\n"
        out.text += "".join(f"{hidden}{name}: ...  # {place}\n" for name, place in asked.items())
        for place, together in code.together.items():
            out.comment(f"{place} does without {', '.join(together)}, unless all of them are set.", indent)
    if switches:
        out.comment("Not needed to start. The app is another one where this is set:", indent)
        out.text += "" if some or asked else f"# {PREFIX}env:\n"
        for name, (text, place) in switches.items():
            out.text += f"{hidden}{name}: {as_yaml(text)}  # {place} compares it with that.\n"
    for name, place in code.open_passwords.items():
        if name not in {*code.wanted, *made, *(row[0] for row in rows)}:
            said = f"{place} has a password for the database that everybody can read: the host's own belongs in {name}"
            out.comment(f"{said} here, encrypted, with its user and name as the source calls them.", indent)
            out.notes.append(f"{said}, in {PREFIX}env.")
    for said in meant:
        out.comment(said, indent)
        out.notes.append(said)
    if behind:
        out.comment(f"The .env of the source, which stays behind, sets {', '.join(behind)}.", indent)
