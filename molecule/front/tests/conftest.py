"""One host's front door, and ways to ask it: the same tests for each proxy. Where they may differ is said here."""

from __future__ import annotations

import base64
import http.client
import io
import json
import re
import shlex
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

SCENARIO = Path(__file__).resolve().parents[1]
# What the tests of the templates ask is asked here as well.
sys.path.append(str(SCENARIO.parents[1] / "tests" / "roles"))
SAID = pytest.StashKey[list]()
USED = pytest.StashKey[set]()
PORTS = {"open": 8080, "shop": 443, "vault": 443}
NAMES = {"open": "front", "shop": "shop.test", "vault": "vault.test"}
# Opens a WebSocket.
UPGRADE = "\r\n".join(
    [
        "GET /ws HTTP/1.1",
        "Host: front",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "",
        "",
    ]
)

# What the proxies do differently, and why it stays so. A test asks by key; every one asked for is printed at the end.
DIFFERENCES: dict[str, str] = {
    "http3": "nginx speaks no HTTP/3: Debian's is built without it, or it is experimental there",
    "reload": "Caddy built with Go 1.23 or newer loses some requests in a reload, of 100 a second about one in each",
    "unread": "Caddy resets a connection that the client wants closed, where it refuses a request with its body unread",
    "websocket": "Caddy 2.6.2 closes WebSockets in a reload, with 1001; their clients come back at once",
    "chain": "Caddy 2.6.2 takes the last address of X-Forwarded-For for the client: one trusted proxy, no chain",
    "nameless": "Caddy 2.6.2 drops a header without a name, and serves the request",
    "links": "Caddy follows links in a directory of static files; what the release's author put there is served",
    "addresses": "Caddy 2.6.2 can't go by the address of a client behind a trusted proxy; the run says so",
    "rate_limit": "Caddy limits rates by a module that neither Debian's nor the usual build has; the run says so",
}


@dataclass
class Answer:
    """One answer of HTTP/1.1; ``status`` is 0 where there was none."""

    status: int
    headers: dict[str, str]
    body: bytes
    closed: bool
    seconds: float
    first: float | None

    @property
    def json(self) -> dict:
        return json.loads(self.body)

    @property
    def by_app(self) -> bool:
        return self.headers.get("x-app") == "yes"


class _Raw(io.BytesIO):
    def makefile(self, *_args, **_options):
        return self

    def close(self) -> None:
        """So that the next answer can be read from it."""


def parse(said: dict, method: str = "GET") -> list[Answer]:
    """All the answers that came over one connection."""
    raw = _Raw(said["raw"].encode("latin-1"))
    answers = []
    while raw.tell() < len(raw.getvalue()):
        response = http.client.HTTPResponse(raw, method=method)  # type: ignore[arg-type]
        try:
            response.begin()
            body = response.read()
        except http.client.HTTPException as error:
            body = str(error).encode()
        headers = {name.lower(): value for name, value in (response.headers or {}).items()}
        status = response.status if isinstance(response.status, int) else 0
        answers.append(Answer(status, headers, body, said["closed"], said["seconds"], said["first"]))
    return answers or [Answer(0, {}, b"", said["closed"], said["seconds"], None)]


class Door:
    """The front door of one host, asked from inside the host."""

    def __init__(self, ask) -> None:
        self.ask = ask
        name = ask.host.backend.host.removeprefix("front-")
        self.kind, _, self.suite = name.partition("-")
        self.proxy = "nginx" if self.kind == "nginx" else "caddy"

    def talk(self, *talks: dict) -> list[dict]:
        """What talk.py heard, for each talk, all of them at the same time."""
        words = base64.b64encode(json.dumps(talks).encode()).decode()
        return json.loads(self.ask.run(f"python3 /opt/front/talk.py {words}"))

    def answers(self, *talks: dict) -> list[Answer]:
        """The first answer to each talk, all of them at the same time."""
        return [parse(said)[0] for said in self.talk(*talks)]

    def raw(self, *lines: str, site: str = "open", body: str = "", **options: object) -> list[Answer]:
        """Send these lines of a head and a body as they are; all the answers on the connection."""
        text = "\r\n".join([*lines, "", ""]) + body
        return parse(self.talk(self.at(site, [[0, text]], **options))[0], lines[0].split()[0])

    def at(self, site: str, pieces: list, **options: object) -> dict:
        port = PORTS[site]
        return {"port": port, "pieces": pieces, **({"tls": NAMES[site]} if port == 443 else {}), **options}

    def request(self, target: str, method: str = "GET", site: str = "open", body: str = "", **headers: str) -> str:
        """A request's text; headers by name with underscores."""
        wanted = {"host": NAMES[site], "connection": "close"}
        wanted |= {"content-length": str(len(body))} if body else {}
        wanted |= {name.replace("_", "-").lower(): value for name, value in headers.items()}
        lines = [f"{method} {target} HTTP/1.1", *(f"{name.title()}: {value}" for name, value in wanted.items())]
        return "\r\n".join(lines) + "\r\n\r\n" + body

    def get(
        self,
        target: str,
        site: str = "open",
        method: str = "GET",
        body: str = "",
        source: str = "",
        limit: float = 10,
        **headers: str,
    ) -> Answer:
        return self.get_all([target], site, method, body, source, limit, **headers)[0]

    def get_all(
        self,
        targets: list[str],
        site: str = "open",
        method: str = "GET",
        body: str = "",
        source: str = "",
        limit: float = 10,
        **headers,
    ) -> list[Answer]:
        """The answers to requests on connections of their own, all sent at the same time."""
        texts = [self.request(target, method, site, body, **headers) for target in targets]
        said = self.talk(*(self.at(site, [[0, text]], source=source, limit=limit) for text in texts))
        return [parse(each, method)[0] for each in said]

    def seen(self, site: str = "open", target: str = "/seen", **options) -> dict:
        """What the app saw of a request; headers as a mapping of lower-case names to lists."""
        answer = self.get(target, site, **options)
        assert answer.status == 200, answer
        seen = answer.json
        headers: dict[str, list[str]] = {}
        for name, value in seen["headers"]:
            headers.setdefault(name, []).append(value)
        return {**seen, "headers": headers}

    def curl(self, *words: str) -> str:
        return self.ask.host.run(shlex.join(["curl", "-s", "-m", "20", *words])).stdout

    def cases(self) -> list[dict]:
        """The requests with ``case`` in their target that the app has seen since the last time this was asked."""
        path = "/srv/open/shared/switches/cases"
        out = self.ask.run(f"cat {path} 2>/dev/null; rm -f {path}")
        return [json.loads(line) for line in out.splitlines()]

    def turn(self, switch: str, text: str = "1", site: str = "open") -> None:
        path = f"/srv/{site}/shared/switches/{switch}"
        self.ask.run(f"printf %s {text} >{path}.part && chmod 666 {path}.part && mv {path}.part {path}")

    def main_pid(self) -> str:
        return self.ask.show(f"{self.proxy}.service", "MainPID")["MainPID"]

    def reloaded(self) -> str:
        """Something else after each start and each reload of the proxy."""
        names = "InvocationID,MainPID,StateChangeTimestampMonotonic"
        return self.ask.run(f"systemctl show {self.proxy} --property={names}; pgrep -P {self.main_pid()} || true")

    def access_log_path(self, site: str) -> str:
        # Debian rotates all of nginx' *.log by rules of its own.
        return f"/var/log/{self.proxy}/{site}.access.{'json' if self.proxy == 'nginx' else 'log'}"

    def access_log(self, site: str = "open") -> list[dict]:
        out = self.ask.run(f"cat {self.access_log_path(site)}")
        return [json.loads(line) for line in out.splitlines()]


class Load:
    """Constant load on one site for as long as the block lasts; then ``report`` has what came of it."""

    def __init__(self, door: Door, options: str) -> None:
        self.door = door
        self.options = options
        self.report: dict = {}

    def __enter__(self) -> Load:
        self.door.ask.run(
            "rm -f /run/steady.json; systemd-run --quiet --collect --unit=steady --property=TimeoutStopSec=60 "
            "python3 /opt/front/steady.py --port 8080 --seconds 300 --unread 8000 --timeline --out /run/steady.json "
            f"{self.options}"
        )
        return self

    def __exit__(self, *_error) -> None:
        self.door.ask.run("systemctl stop steady")
        self.report = json.loads(self.door.ask.run("cat /run/steady.json"))

    @property
    def lost(self) -> list[dict]:
        return self.report["lost"]

    def __str__(self) -> str:
        what: dict[str, int] = {}
        for each in self.lost:
            what[each["what"]] = what.get(each["what"], 0) + 1
        return f"{self.report['sent']} sent, {len(self.lost)} lost {what or ''}".rstrip()


class Front:
    """Runs the scenario's playbook for one of its sites, with other variables."""

    def __init__(self, control) -> None:
        self.control = control

    def run(self, site: str, *options: str, **variables: object) -> tuple[int, str]:
        return self.control.run("molecule/front/site.yml", *options, front_site=site, **variables)

    def good(self, site: str, *options: str, **variables: object) -> str:
        status, said = self.run(site, *options, **variables)
        assert status == 0, said
        return said

    def refused(self, cases: dict[str, tuple[str, dict]]) -> dict[str, str]:
        """One run, in which each case is a host of its own, has to fail for each and change nothing.

        :param cases: by name, the site and its other variables.
        :return: what was said of each, on one line.
        """
        name = self.control.host
        hosts = {
            f"{name}-{case}": {
                "ansible_connection": "community.docker.docker",
                "ansible_host": name,
                "front_site": site,
                "front_case": variables,
            }
            for case, (site, variables) in cases.items()
        }
        with tempfile.NamedTemporaryFile("w", suffix=".json") as inventory:
            json.dump({"cases": {"hosts": hosts}}, inventory)
            inventory.flush()
            status, said = self.control.run(
                "molecule/front/refused.yml", "-i", inventory.name, "--limit", "cases", "--forks", "4"
            )
        assert status == 2, said
        recap = said.partition("PLAY RECAP")[2]
        found = {}
        for case in cases:
            host = re.escape(f"{name}-{case}")
            assert re.search(rf"^{host} .*changed=0 .*failed=1 ", recap, re.M), said
            told = re.search(rf"^(?:fatal: )?\[{host}\]: FAILED!.*?(?=^\S|\Z)", said, re.M | re.S)
            assert told, said
            found[case] = " ".join(told[0].split())
        return found


@pytest.fixture(scope="module")
def door(ask) -> Door:
    return Door(ask)


@pytest.fixture
def front(control) -> Front:
    return Front(control)


@pytest.fixture(scope="module")
def load(door):
    return lambda options="": Load(door, options)


@pytest.fixture
def say(request):
    """Take a line for the table at the end of the run."""
    lines = request.config.stash.setdefault(SAID, [])
    return lambda text: lines.append(f"{request.node.name}: {text}")


@pytest.fixture
def differs(request):
    """Name a difference that is known, so that it is told at the end."""

    def use(key: str) -> None:
        request.config.stash.setdefault(USED, set()).add(f"{DIFFERENCES[key]} ({request.node.name})")

    return use


def timed(function) -> tuple[object, float]:
    began = time.monotonic()
    return function(), time.monotonic() - began


def pytest_terminal_summary(terminalreporter) -> None:
    terminalreporter.section("What was counted")
    for line in terminalreporter.config.stash.get(SAID, []):
        terminalreporter.line(line)
    terminalreporter.section("Differences between the proxies that were met")
    for line in sorted(terminalreporter.config.stash.get(USED, set())):
        terminalreporter.line(line)
