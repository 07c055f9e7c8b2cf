# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The inventory that says what a hand-made host does. What has no equal is in it as a comment: nothing is dropped."""

from __future__ import annotations

import json
import os
import re
import typing as t
from dataclasses import dataclass, field

import yaml

from ...module_utils._adopt.exchange import of_caddy, of_nginx
from ...module_utils._adopt.loses import Kept
from ...module_utils._adopt.programs import Refused
from ...module_utils._app import names
from ...module_utils._app.words import PREFIX
from ...module_utils._hand.nginx_conf import Unreadable, normal
from ...module_utils._host.text import mask
from .._init.written import Written, as_yaml, is_template
from .._inputs.check import check as problems_of
from .._inputs.rules import TODO
from .._inputs.specification import load_spec, typed
from . import caddy_site, environment, nginx_site, settings, sizes
from .fits import fit
from .front import Front
from .source import Shown

VAULT = "secret_env"
"""Name of the variable that holds the secret part of the environment."""
_ADVICE = {
    "--root-path": "write it into the app: FastAPI(root_path=...)",
    "--limit-concurrency": "see fastapi_rate_limit",
}
# What a line says of itself: a header, an option or a variable of such a name.
_SPOKEN = re.compile(
    r"(?i)\b((?:authorization|cookie):\s*(?:(?:bearer|basic)\s+)?|(?:bearer|basic)\s+"
    r"|[\w-]*(?:passw(?:or)?d|secret|token|api[-_]?key|dsn)[\w-]*(?:\s*[=:]\s*|\s+))(?!\*\*\*)[^\s'\";]+"
)
_ASYNC = re.compile(r"uvicorn(_worker)?(\.|$)|\.workers\.Uvicorn|asgi", re.I)


@dataclass
class Page:
    """What is to be written.

    :param app: group_vars/all/app.yml.
    :param secrets: group_vars/all/secrets.yml; '' for none.
    :param unknown: lines without an equal: place, text and what to do.
    """

    name: str
    app: Written
    secrets: str = ""
    unknown: list[tuple[str, str, str]] = field(default_factory=list)
    values: dict[str, t.Any] = field(default_factory=dict)


def at_of(found: t.Mapping[str, t.Any]) -> str:
    """The address at which the app is served."""
    return addresses(found)[0]


def addresses(found: t.Mapping[str, t.Any]) -> list[str]:
    """All that it listens at: clients are looked for at the first one."""
    sockets = [value for _s, name, value, _p in found["program"]["settings"] if name == "ListenStream"]
    given = [*found["server"]["bind"], *sockets]
    port = found["program"]["environment"].get("PORT", "")
    given = given or [f"0.0.0.0:{port}" if port else "127.0.0.1:8000"]
    return list(dict.fromkeys(_address(found, each) for each in given))


def _address(found: t.Mapping[str, t.Any], address: str) -> str:
    if address.startswith("unix:") and not address.startswith("unix:/"):
        address = "unix:" + os.path.join(found["directory"], address.removeprefix("unix:"))
    host, _colon, port = address.rpartition(":")
    # Uvicorn's :: is of IPv6 alone, and so is ::1: that is where it is asked. Addresses are compared by normal().
    return f"[::1]:{port}" if host.strip("[]") in ("::1", "::") and port.isdigit() else normal(address)


def front_of(found: t.Mapping[str, t.Any], at: str) -> Front:
    """:raises Refused: where no proxy on the host passes anything to the app, or it can't be read."""
    proxies, directory = found["proxies"], found["directory"]
    try:
        lineages = proxies.get("lineages") or []
        front = nginx_site.read(proxies["nginx"], [at], directory, proxies["users"], lineages)
        front = front or caddy_site.read(proxies["caddy"], [at], directory)
    except Unreadable as error:
        raise Refused(f"The proxy's configuration can't be read: {error}") from error
    if front:
        fit(front)
        return front
    raise Refused(
        f"{found['program']['name']} listens at {at}, and neither Caddy nor nginx on this host passes requests there. "
        "A proxy "
        "on another host isn't moved from here: put Caddy or nginx in front on this host first, or deploy by init.yml "
        "and "
        f"site.yml to another port, and have that proxy ask there. Only {'/etc/nginx/sites-enabled, conf.d'} and "
        "/etc/caddy/Caddyfile with what it imports are read."
    )


def check(found: t.Mapping[str, t.Any]) -> None:
    """:raises Refused: where it is no app that this collection could serve."""
    server, name = found["server"], found["program"]["name"]
    if server["program"] == "gunicorn" and not _ASYNC.search(server["worker_class"]):
        raise Refused(
            f"{name} runs Gunicorn with --worker-class {server['worker_class']}, which serves WSGI: no FastAPI app. "
            "What is "
            "needed is an ASGI app and a worker of Uvicorn's."
        )
    if not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*(\(\))?", server["app"]):
        raise Refused(
            f"{name} serves '{server['app']}', and what is needed is module:attribute, as in app.main:app. Write it "
            "like that "
            "into its command, and run again."
        )


def name_of(found: t.Mapping[str, t.Any]) -> tuple[str, str]:
    """The app's name and, where /srv has another by that name, its directory; of one that runs beside already, its."""
    if name := found["adopted"]["name"]:
        root = found["adopted"]["root"]
        return name, root if root != f"/srv/{name}" else ""
    program = found["program"]
    stem = re.split("[/#]", program["name"])[-1].removesuffix(".service")
    taken = {entry for entry in found["taken"]["/run"] if not entry.endswith(".sock")}
    for given in (stem, os.path.basename(found["directory"]), f"{stem}-app"):
        name = names.fitting(given, 27, names.WELL_KNOWN)
        if name and names.name("name", name) is None and name not in taken:
            return name, f"/srv/{name}-app" if name in found["taken"]["/srv"] else ""
    return TODO, ""


def write(found: t.Mapping[str, t.Any], source: str, version: str, shown: Shown | None = None, below: str = "") -> Page:
    """:param source: what fastapi_source is to be; ``version`` likewise.
    :param shown: what the code says beside.
    :raises Refused: where it can't be adopted.
    """
    check(found)
    program, server, git = found["program"], found["server"], found["code"]["git"]
    at = at_of(found)
    front = front_of(found, at)
    name, root = name_of(found)
    out = Written(
        f"---\n# Written by adopt.yml, from {program['name']} as it is on the host. A line with {TODO} has to be "
        "filled in.\n"
        "# Every variable: ansible-doc -t role graceful.deploy.fastapi\n"
    )
    page = Page(name, out)
    out.line("name", name, "Directories, services and logs on the host are named after it.")
    if root:
        out.line("root", root, f"/srv/{name} is the old one's.")
    _source(page, found, source, version, below)
    out.line("app", server["app"])
    shown = shown or Shown()
    out.text += shown.text
    _user(page, program, found["own_group"])
    page.unknown += [
        (
            program["file"],
            f"it listens at {other} too",
            f"who asks there has to ask the proxy's site: only {at} is seen",
        )
        for other in addresses(found)[1:]
    ]
    if program["kind"] == "oxmgr":
        out.comment(f"Oxmgr kept it alive, and systemd will. For Oxmgr here, too: {PREFIX}supervisor: oxmgr")
    taken = settings.take(program["kind"], program["settings"], _hide(found))
    _front(page, front, _hide(found))
    _sizes(page, found, taken, front, shown.alone)
    for key in ("memory_max", "writable_paths", "on_failure", "sandbox"):
        if key in taken.values:
            why = "It is for the arbiter and all workers of one slot." if key == "memory_max" else ""
            out.line(key, taken.values[key], why)
    _environment(page, found, server)
    _lines(page, found, front, taken)
    _adopt(page, found, at, front)
    if git.get("changed"):
        listed = ", ".join(git["changed"][:5])
        out.notes.append(f"The checkout on the host has changes that no commit has, and they stay behind: {listed}.")
    untemplated(page)
    settle(page)
    page.app.left += shown.left
    page.app.notes += shown.notes
    return page


class _Hidden:
    """A line of a unit without the values of the environment."""

    def __init__(self, program: t.Mapping[str, t.Any], files: t.Iterable[t.Any]) -> None:
        values = [*program["environment"].items()]
        for each in files:
            values += (each or {}).items()
        self.values = sorted(
            (v for n, v in values if environment.is_secret(n, v) and len(v) > 3), key=len, reverse=True
        )

    def __call__(self, text: str) -> str:
        for value in self.values:
            text = text.replace(value, "***")
        return mask(_SPOKEN.sub(r"\1***", text))


def _hide(found: t.Mapping[str, t.Any]) -> _Hidden:
    return _Hidden(found["program"], [*found["environment_files"].values(), *found["dotenv"].values()])


def _source(page: Page, found: t.Mapping[str, t.Any], source: str, version: str, below: str) -> None:
    git, out = found["code"]["git"], page.app
    if mask(source) != source:
        # A password or a token is in it.
        page.secrets += f"{PREFIX}source: {_quoted(source)}\n"
        out.comment(f"{PREFIX}source is in secrets.yml: it holds a password.")
    else:
        out.line(
            "source", source, f"The remote of {found['directory']} on the host." if git and version else "The code."
        )
    if version:
        branch = git.get("branch", "")
        more = (
            f" A branch's name, such as {branch}, deploys what is pushed to it." if branch not in ("", "HEAD") else ""
        )
        out.line("version", version, f"What is on the host.{more}")
    if below:
        out.line("source_directory", below, "Where the app is in it.")


def _user(page: Page, program: t.Mapping[str, t.Any], own_group: str) -> None:
    """:param own_group: the user's, where nothing says another."""
    user = program["user"]
    wrong = names.account("user", user) if user else None
    _whose(page, program, user, wrong.wrong if wrong else "")
    runs_as = "deploy" if wrong or not user else user
    group = program["group"] or (own_group if runs_as == user else "")
    if refused := names.account("group", group) if group else None:
        page.unknown.append((program["file"], f"Group={group}", refused.wrong))
    elif group and group != runs_as:
        page.app.line("group", group, "As before: what it writes is this group's.")


def _whose(page: Page, program: t.Mapping[str, t.Any], user: str, wrong: str) -> None:
    if wrong:
        page.app.line("user", "deploy", f"It was {user}: {wrong}")
        page.unknown.append((program["file"], f"User={user}", "what is its own on the host has to be made deploy's"))
    elif user:
        page.app.line("user", user)
    elif program["kind"] == "oxmgr":
        page.app.line(
            "user", "deploy", "No Oxmgr that runs has this app now, and the oxfile doesn't say who it runs as."
        )
        page.unknown.append((program["file"], "its user", "what is its own on the host has to be made deploy's"))
    else:
        page.app.line("user", "deploy", "It ran as root: a hole in the app would be a hole in the host.")
        page.unknown.append((program["file"], "no User=: root", "what it wrote on the host has to be made deploy's"))


def _front(page: Page, front: Front, hide: _Hidden) -> None:
    page.app.line("proxy", front.proxy)
    for name, (value, why) in front.values.items():
        if name == "proxy_timeout":
            continue
        if name == "protect" and why:
            page.secrets += f"# {why}\n{PREFIX}protect: {_quoted(value)}\n"
            page.app.comment(f"{PREFIX}protect is in secrets.yml.")
        elif isinstance(value, (dict, list)) and name not in ("domains", "redirect_domains"):
            if why:
                page.app.comment(why)
            page.app.text += f"{PREFIX}{name}: {_quoted(value)}\n"
        else:
            page.app.line(name, value, why)
    if front.snippet:
        text = "".join(f"  {line}\n" if line.strip() else "\n" for each in front.snippet for line in _dedented(each))
        written = f"{PREFIX}proxy_snippet: {'!unsafe ' if is_template(text) else ''}|\n{text}"
        if hide(text) != text:
            page.app.comment(
                f"{PREFIX}proxy_snippet, lines as they were in the proxy's own language, is in secrets.yml."
            )
            page.secrets += written
        else:
            page.app.comment("As they were, in the proxy's own language.")
            page.app.text += written


def _dedented(text: str) -> list[str]:
    """The lines of a block whose first line has lost its indent."""
    lines = [line.expandtabs(4) for line in text.splitlines()]
    indent = len(lines[-1]) - len(lines[-1].lstrip()) if len(lines) > 1 else 0
    return [lines[0], *(line[indent:] if not line[:indent].strip() else line.lstrip() for line in lines[1:])]


def _sizes(page: Page, found: t.Mapping[str, t.Any], taken: settings.Taken, front: Front, alone: str) -> None:
    server, given = found["server"], found["server"]["given"]
    count, why = sizes.workers(server, found["cpus"])
    page.app.line("workers", count, f"{why} {alone}".strip())
    if server["program"] not in ("gunicorn", "uvicorn", "fastapi"):
        page.app.comment(f"It was served by {server['program']}; here Gunicorn keeps Uvicorn's workers.")
    proxy = front.values.get("proxy_timeout", (None, ""))[0]
    for name, (value, reason) in sizes.timeouts(given, taken.values.get("stop_timeout"), proxy).items():
        page.app.line(name, value, reason)
    for name, default in (("keepalive", "5"), ("max_requests", "0"), ("max_requests_jitter", "0")):
        if given.get(name, default) != default and given[name].isdigit():
            page.app.line(name, int(given[name]))


def _environment(page: Page, found: t.Mapping[str, t.Any], server: t.Mapping[str, t.Any]) -> None:
    given = {**found["program"]["environment"], **server["env"]}
    if path := server["given"].get("pythonpath"):
        given["PYTHONPATH"] = path.replace(",", ":")
    sorted_ = environment.sort(given, found["environment_files"], found["directory"], found["dotenv"])
    out = page.app
    for path, values in found["dotenv"].items():
        if values:
            told = (
                f"{path}, which no unit names and the app may read by itself, isn't among the code: its "
                f"{len(values)} variables are in {PREFIX}env."
            )
            out.comment(told)
            out.notes.append(told)
    for path in _unread(found):
        told = (
            f"{path} may be read by the app, and can't be read here. Write its variables into {PREFIX}env, and take "
            "`unread` out of `adopt`: step=beside waits for that."
        )
        out.comment(told)
        out.notes.append(told)
    if sorted_.plain or sorted_.secret:
        out.comment("The app's environment." + (" What may be secret is in secrets.yml." if sorted_.secret else ""))
        out.text += f"{PREFIX}env:\n"
    for name, value in sorted_.plain.items():
        out.text += f"  {name}: {_quoted(value)}\n"
    for name in sorted_.secret:
        out.text += f'  {name}: "{{{{ {VAULT}.{name} }}}}"\n'
    if sorted_.secret:
        page.secrets += f"{VAULT}:\n" + "".join(
            f"  {name}: {_quoted(value)}\n" for name, value in sorted_.secret.items()
        )
    for name, why in sorted_.left:
        out.comment(f"Left out: {name}, because {why}.".replace("..", "."))


def _unread(found: t.Mapping[str, t.Any]) -> list[str]:
    """Files with variables of the app's that couldn't be read."""
    return [*found["unread"], *(path for path, values in found["dotenv"].items() if values is None)]


def _quoted(value: object) -> str:
    """Somebody else's text as YAML, in quotes also within what holds it: never a template of Ansible's."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{json.dumps(key)}: {_quoted(its)}' for key, its in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_quoted, value))}]"
    return ("!unsafe " if isinstance(value, str) and is_template(value) else "") + json.dumps(value)


def settle(page: Page) -> None:
    """Leave open what preflight would refuse: it names that, and the line before it says why."""
    values = yaml.safe_load(page.app.text.replace("!unsafe ", "")) or {}
    given = {name.removeprefix(PREFIX): value for name, value in values.items() if name.startswith(PREFIX)}
    # What is in secrets.yml was looked at before it was written.
    given["env"] = {}
    spec = load_spec()
    defaults = {name: option["default"] for name, option in spec.items() if "default" in option}
    plain = {name: value for name, value in defaults.items() if "{{" not in str(value)}
    root, group = f"/srv/{given.get('name')}", given.get("user", "deploy")
    found = problems_of(
        typed({**plain, "source": ".", "root": root, "group": group, "tls": "off", **given}, spec), spec
    )
    for name, sentence in found:
        line = re.compile(rf"^{PREFIX}{name}: .*$", re.M)
        if given.get(name) not in (None, TODO, [TODO]) and line.search(page.app.text):
            page.app.text = line.sub(f"{PREFIX}{name}: {TODO}", page.app.text, count=1)
            page.app.left.append(PREFIX + name)
            page.app.notes.append(sentence)


def untemplated(page: Page) -> None:
    """:raises Refused: where Ansible would take something of the host's for a template, and run it on this machine."""
    for text in (page.app.text, page.secrets):
        for node, unsafe in _scalars(yaml.compose(text, Loader=yaml.SafeLoader)):
            mine = re.fullmatch(rf"\{{\{{ {VAULT}\.\w+ \}}\}}", node)
            if not unsafe and not mine and is_template(node):
                raise Refused(
                    f"What was read on the host has a template in it that Ansible would run here: {node[:80]!r}. Look "
                    "at who wrote that, take it out on the host, and run again."
                )


def _scalars(node: t.Any) -> t.Iterator[tuple[str, bool]]:
    """Each text of a YAML document, and whether it is marked as none of Ansible's."""
    if isinstance(node, yaml.ScalarNode):
        yield node.value, node.tag == "!unsafe"
    elif node is not None:
        for each in node.value:
            for inner in each if isinstance(each, tuple) else (each,):
                yield from _scalars(inner)


def _lines(page: Page, found: t.Mapping[str, t.Any], front: Front, taken: settings.Taken) -> None:
    program, server = found["program"], found["server"]
    hide = _hide(found)
    page.unknown += [(place, hide(text), why) for place, text, why in taken.unknown + front.unknown]
    for each in server["unknown"]:
        placed = re.match(r"(/\S+:\d+): (.*)", each)
        place, text = placed.groups() if placed else (program["file"], each)
        page.unknown.append((place, hide(text), _ADVICE.get(text.split()[0], "it has no equal")))
    page.unknown += [
        (place.partition(": ")[0], f"{place.partition(': ')[2]} ...", "systemd passes over it, too")
        for place in found["odd"]
    ]
    ours = taken.ours + front.ours + [(program["file"], text, why) for text, why in server["ours"]]
    ours += [(place, text, "seen through") for place, text, _kind in program["steps"]]
    ours = [(place, hide(text), why) for place, text, why in ours]
    data = found["code"]["data"]
    out = page.app
    if data:
        out.comment(
            f"Beside the code on the host there {'are' if len(data) > 1 else 'is'} {', '.join(data)}. What of it the "
            "app writes "
            f"to is kept from release to release by {PREFIX}shared_paths, and begins empty: copy it to {{root}}/shared "
            f"yourself, or have the app write where it did, by {PREFIX}writable_paths and its environment."
        )
        out.notes.append(
            f"The app's own data stays where it is on the host: {', '.join(data[:5])}. app.yml says what to do."
        )
    if page.unknown:
        out.comment("These lines have no equal, and are not moved:")
        for place, text, why in page.unknown:
            out.comment(f"{place}: {text}" + (f"  ({why})" if why else ""), "")
    if ours:
        out.comment("These need none:")
        for text, why in sorted({(text, why) for _place, text, why in ours}):
            out.comment(f"{text}  ({why})")


def _adopt(page: Page, found: t.Mapping[str, t.Any], at: str, front: Front) -> None:
    program, out = found["program"], page.app
    rows: dict[str, t.Any] = {"unit": program["name"], "kind": program["kind"], "at": at, "proxy": front.proxy}
    if program["kind"] == "supervisor":
        rows["file"] = program["file"]
    if sockets := [place.rpartition(":")[0] for _s, name, _v, place in program["settings"] if name == "ListenStream"]:
        rows["sockets"] = [os.path.basename(path) for path in sockets]
    if unread := _unread(found):
        rows["unread"] = unread
    out.comment("What adopt.yml's other steps go by. Take it out when the old one isn't needed any more.")
    out.text += "adopt:\n" + "".join(f"  {key}: {as_yaml(value)}\n" for key, value in rows.items())
    try:
        files = found["proxies"][front.proxy]
        said = {name: value for name, (value, _why) in front.values.items()}
        protected = [entry["path"] for entry in said.get("protect", [])]
        kept = Kept(protected, [*said.get("static", {})], "\n".join(front.snippet))
        (of_nginx if front.proxy == "nginx" else of_caddy)(files, at, kept)
    except Refused as refused:
        out.notes.append(f"Before step=move: {refused}")
        out.comment(f"Before step=move: {refused}")
