"""Whatever the spelling: what an app would serve as a protected path, the proxy doesn't hand to it unasked.

Here with the Caddy of these tools, and nginx where there is one; the scenario front asks those that Debian has. CADDY
may name another Caddy.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
import yaml
from spellings import spellings
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

ROOT = Path(__file__).resolve().parents[2]

CADDY = os.environ.get("CADDY", str(Path(sys.executable).parent / "caddy"))
NGINX = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
# Of "open sesame".
HASH = "$2b$05$abcdefghijklmnopqrstuupx2xBUC4954936wVIjyyPHmUBFu0wCW"
PATHS = [
    {"path": "/admin", "users": {"ann": HASH}},
    {"path": "/office", "addresses": ["10.0.0.0/8"]},
    {"path": "/files/private", "addresses": ["10.0.0.0/8"]},
]
WHOLE = [{"path": "/", "addresses": ["10.0.0.0/8"]}]


def secret(_request) -> PlainTextResponse:
    return PlainTextResponse("the secret")


def well(_request) -> PlainTextResponse:
    return PlainTextResponse("well")


def routes(whole: bool, files: Path) -> list:
    """The parts of an app that serve what is protected: by name, by a rest, from a directory; or everything."""
    if whole:
        return [Route("/health", well), Route("/{rest:path}", secret)]
    found = [Route("/health", well), Route("/ready", well), Mount("/files", StaticFiles(directory=files))]
    for path in ("/admin", "/office"):
        found += [Route(path, secret), Route(path + "/{rest:path}", secret)]
    return found


class Served(uvicorn.Server):
    """In a thread, which may not take signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.contextmanager
def app_at(path: Path, whole: bool, http: str) -> Iterator[None]:
    private = path.parent / "files" / "private"
    private.mkdir(parents=True)
    (private / "x").write_text("the secret")
    app = Starlette(routes=routes(whole, private.parent))
    server = Served(uvicorn.Config(app, uds=str(path), http=http, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_for(lambda: server.started)
        yield
    finally:
        server.should_exit = True
        thread.join(20)


def wait_for(condition) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A short one: a socket's path has 107 bytes at most."""
    with tempfile.TemporaryDirectory(prefix="front-") as directory:
        yield Path(directory)


@pytest.fixture(params=["caddy", "nginx"])
def proxy_for(request, render, tmp_path) -> Iterator:
    """Start a proxy with the role's site, before an app that is at live.sock in the directory."""
    if request.param == "nginx" and not NGINX:
        pytest.skip("there is no nginx here; the scenario front has one")
    running = []

    def start(**variables) -> int:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        variables |= {"fastapi_root": str(tmp_path), "fastapi_http_port": port, "fastapi_compress": False}
        command = (caddy if request.param == "caddy" else nginx)(render, tmp_path, variables)
        log = (tmp_path / "log").open("w")
        running.append(subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log, env={"HOME": str(tmp_path)}))
        wait_for(lambda: answers(port) or running[0].poll() is not None)
        assert running[0].poll() is None, (tmp_path / "log").read_text()
        return port

    yield start
    for process in running:
        process.terminate()
        process.wait(20)


def caddy(render, directory: Path, variables: dict) -> list[str]:
    said = subprocess.run([CADDY, "version"], capture_output=True, text=True, check=True).stdout
    current = tuple(map(int, said.split()[0].removeprefix("v").split("."))) >= (2, 8)
    found = {
        "present": True,
        "current": current,
        "flushes": current,
        "own_main": False,
        "others": [],
        "open_ports": [],
        "brought": False,
    }
    role_vars = yaml.safe_load((ROOT / "roles" / "caddy" / "vars" / "main.yml").read_text())
    variables = {**role_vars, "fastapi_found": {"host": {"caddy": found}}, **variables}
    (directory / "hello.users").write_text(render("caddy", "users.j2", **variables))
    site = render("caddy", "site.caddy.j2", **variables).replace("/var/log/caddy", str(directory))
    (directory / "Caddyfile").write_text("{\n\tadmin off\n\tauto_https off\n}\n" + site)
    return [CADDY, "run", "--adapter", "caddyfile", "--config", str(directory / "Caddyfile")]


def nginx(render, directory: Path, variables: dict) -> list[str]:
    role_vars = yaml.safe_load((ROOT / "roles" / "nginx" / "vars" / "main.yml").read_text())
    role_vars |= {"_nginx_dir": str(directory), "fastapi_found": {"host": {"nginx": {"ipv6": False}}}}
    site = render("nginx", "site.conf.j2", **role_vars, **variables).replace("/var/log/nginx", str(directory))
    (directory / "users-1").write_text(f"ann:{HASH}\n")
    (directory / "users-0").write_text("")
    (directory / "site.conf").write_text(site)
    places = "".join(f"{kind}_temp_path {directory}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "scgi"))
    main = f"daemon off;\nmaster_process off;\npid {directory}/pid;\nerror_log stderr;\nevents {{}}\n"
    http = f"{places}uwsgi_temp_path {directory}/uwsgi;\ninclude {directory}/site.conf;\n"
    (directory / "nginx.conf").write_text(f"{main}http {{\n{http}}}\n")
    assert NGINX
    return [NGINX, "-e", "stderr", "-c", str(directory / "nginx.conf")]


def ask(where: int | Path, targets: list[str], head: str = "") -> dict[str, bytes]:
    """What is answered to each target, all of it."""

    async def one(target: str, few: asyncio.Semaphore) -> bytes:
        async with few:
            there = asyncio.open_connection("127.0.0.1", where) if isinstance(where, int) else None
            reader, writer = await (there or asyncio.open_unix_connection(str(where)))
            text = f"GET {target} HTTP/1.1\r\nHost: front\r\nConnection: close\r\n{head}\r\n"
            writer.write(text.encode("latin-1"))
            heard = b""
            with contextlib.suppress(ConnectionError):
                heard = await asyncio.wait_for(reader.read(), 30)
            writer.close()
            return heard

    async def everything() -> list[bytes]:
        few = asyncio.Semaphore(50)
        return await asyncio.gather(*(one(target, few) for target in targets))

    return dict(zip(targets, asyncio.run(everything()), strict=True))


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/") else 0


@pytest.mark.parametrize("http", ["httptools", "h11"])
def test_no_spelling_gets_past_a_protected_path(proxy_for, tmp_path, http):
    targets = [*spellings("/admin"), *spellings("/office")[::4]]
    # Where it reads a request's line in the other way, the app's directories are the same ones.
    targets += spellings("/files/private/x") if http == "httptools" else ["/files/private/x", "/files//private//x"]
    with app_at(tmp_path / "live.sock", False, http):
        port = proxy_for(fastapi_protect=PATHS)
        served = {target for target, answer in ask(tmp_path / "live.sock", targets).items() if b"secret" in answer}
        asked = ask(port, targets)
        open_ones = ask(port, ["/admin", "/health", "/health?x=%0a"], "Authorization: Basic YW5uOm9wZW4gc2VzYW1l\r\n")
    # Else nothing was asked.
    assert len(served) > 100
    assert {"/admin", "/admin%0a", "/files/private/x", "/files//private//x", "/office"} <= served
    assert {target: answer for target, answer in asked.items() if b"secret" in answer} == {}
    # Refused, asked for a password, or handed on as what it isn't: Caddy sends # as a letter of the path.
    assert {target for target in served if status(asked[target]) not in (400, 401, 403, 404)} == set()
    assert b"secret" in open_ones.pop("/admin")
    assert {status(answer) for answer in open_ones.values()} == {200}


def test_only_liveness_itself_is_left_out_of_a_site_that_is_protected_as_a_whole(proxy_for, tmp_path):
    targets = [*spellings("/health"), *spellings("/static/x", 200)]
    with app_at(tmp_path / "live.sock", True, "httptools"):
        port = proxy_for(fastapi_protect=WHOLE)
        served = {target for target, answer in ask(tmp_path / "live.sock", targets).items() if b"secret" in answer}
        asked = ask(port, targets)
    assert {"/HEALTH", "//health", "/health/"} <= served
    assert {target: answer for target, answer in asked.items() if b"secret" in answer} == {}
    assert status(asked["/health"]) == status(asked["/health?/.."]) == 200


CONTROLS = [
    f"{before}%{code:{form}}{after}"
    for code in [*range(0x20), 0x7F]
    for form in ("02x", "02X")
    for before in ("/", "/x", "/static/", "/health")
    for after in ("", "/y", "?z")
]


@pytest.mark.parametrize("variables", [{}, {"fastapi_maintenance": True}], ids=["open", "maintenance"])
def test_no_control_character_reaches_any_app(proxy_for, tmp_path, variables):
    """Before all else that a site may do with a path."""
    with app_at(tmp_path / "live.sock", True, "httptools"):
        port = proxy_for(fastapi_static={"/static": "app/static"}, **variables)
        asked = ask(port, [*CONTROLS, "/x?%0a", "/%250a"])
    fine = [status(asked.pop(target)) for target in ("/x?%0a", "/%250a")]
    assert {target: status(answer) for target, answer in asked.items() if status(answer) != 400} == {}
    assert fine == [503 if variables else 200] * 2
