"""Method index: the host asks an index of its own, here a real one with a password, over http and https."""

from __future__ import annotations

import base64
import functools
import http.server
import json
import os
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app.releases import ReleaseError
from ansible_collections.graceful.deploy.plugins.module_utils._release import host_index as release_host_index
from ansible_collections.graceful.deploy.plugins.module_utils._release import venv as release_venv
from ansible_collections.graceful.deploy.plugins.plugin_utils._release import methods as release_methods
from release_run import Run, releases
from self_signed import self_signed

PASSWORD = "canary-pass-word"


class Index(http.server.BaseHTTPRequestHandler):
    """A simple index (PEP 503) over a directory of wheels, for whoever knows the password."""

    def __init__(self, wheels: Path, asked: list[str], *arguments: object) -> None:
        self.wheels, self.asked = wheels, asked
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        wanted = "Basic " + base64.b64encode(f"someone:{PASSWORD}".encode()).decode()
        name = self.path.strip("/").rpartition("/")[2].partition("#")[0]
        if self.headers["Authorization"] != wanted:
            self.answer(401, b"")
        elif name.endswith(".whl"):
            self.asked.append(name)
            self.answer(200, (self.wheels / name).read_bytes())
        else:
            files = sorted(path.name for path in self.wheels.glob(f"{name.replace('-', '_')}-*.whl"))
            links = "".join(f'<a href="/files/{file}">{file}</a>' for file in files)
            self.answer(200 if files else 404, f"<!DOCTYPE html><html><body>{links}</body></html>".encode())

    def do_HEAD(self) -> None:
        self.answer(405, b"")

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", "Basic realm=index")
        self.send_header("Content-Type", "text/html" if body[:1] == b"<" else "application/octet-stream")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


class Served:
    def __init__(self, wheels: Path, certificate: Path | None = None) -> None:
        self.asked: list[str] = []
        handler = functools.partial(Index, wheels, self.asked)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.scheme = "https" if certificate else "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def __enter__(self) -> Served:
        return self

    def __exit__(self, *_error: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def url(self, password: str = PASSWORD) -> str:
        return f"{self.scheme}://someone:{password}@127.0.0.1:{self.server.server_port}/simple"


@pytest.fixture
def index(environment: None, wheelhouse: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """The only index that there is, for both halves; the tools come from the wheelhouse as ever."""
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Served(wheelhouse) as served:
        yield served


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The host has no wheels of its own to look at."""
    of_host = release_host_index.of_host

    def without_links(build: str, python: str, index_url: str) -> release_host_index.HostIndex:
        with monkeypatch.context() as patch:
            patch.delenv("PIP_FIND_LINKS")
            return of_host(build, python, index_url)

    monkeypatch.setattr(release_host_index, "of_host", without_links)


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_the_host_installs_what_the_control_node_locked(
    run: Run, index: Served, alone: None, monkeypatch: pytest.MonkeyPatch, installer: str
) -> None:
    if installer == "pip":
        monkeypatch.setattr(release_venv, "uv_program", lambda build: "")
    commands: list[str] = []
    real = subprocess.run

    def recording(command: list[str], *arguments: object, **options: object) -> object:
        commands.append(" ".join(command))
        return real(command, *arguments, **options)

    monkeypatch.setattr(subprocess, "run", recording)
    result = run(method="index", index_url=index.url())
    assert f"installed by {installer}" in result["msg"]
    assert set(result["packages"]) == {"fastapi", "starlette", "gunicorn", "uvicorn", "packaging"}
    assert "fastapi-0.121.0-py3-none-any.whl" in index.asked
    path = Path(result["path"])
    said = real([path / ".venv/bin/python", "-c", "import fastapi; print(fastapi.VERSION)"], capture_output=True)
    assert said.stdout == b"0.121.0\n"
    record = json.loads((path / "release.json").read_text())
    assert record["method"] == "index" and not [name for name in record["wheels"] if name.startswith("wheels/")]
    # The password is in no argument list, and in no file of the host or of the cache.
    assert not [command for command in commands if PASSWORD in command]
    for place in (run.root, Path(os.environ["XDG_CACHE_HOME"])):
        assert real(["grep", "-rl", PASSWORD, place], capture_output=True, check=False).stdout == b""


def test_changed_code_asks_no_index(run: Run, source: Path, index: Served, alone: None) -> None:
    first = run(method="index", index_url=index.url())
    index.server.shutdown()
    index.server.server_close()
    (source / "app" / "main.py").write_text("app = 'next'\n")
    assert f"environment of {first['release']}" in run(method="index", index_url=index.url())["msg"]


def refusal(run: Run, locked_with: str, **params: object) -> str:
    """What is said where the host's index is another one than the lock was made with."""
    install = release_host_index.of_host
    release_host_index.of_host = lambda build, python, url: install(build, python, str(params["index_url"]))
    try:
        with pytest.raises(ReleaseError) as refused:
            run(method="index", index_url=locked_with)
    finally:
        release_host_index.of_host = install
    assert releases(run) == [] and PASSWORD not in str(refused.value)
    return " ".join(str(refused.value).split())


def test_an_index_that_the_host_cannot_reach(run: Run, index: Served, alone: None) -> None:
    said = refusal(run, index.url(), index_url=f"http://someone:{PASSWORD}@127.0.0.1:9/simple")
    assert "the host can't reach http://***@127.0.0.1:9/simple" in said and "fastapi_release_method: wheels" in said


def test_a_password_that_the_index_does_not_take(run: Run, index: Served, alone: None) -> None:
    said = refusal(run, index.url(), index_url=index.url("other-pass-word"))
    # uv doesn't tell it from a package that isn't there.
    assert "with a user and a password that it takes" in said


def test_an_index_that_has_less(run: Run, index: Served, alone: None, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with Served(tmp_path / "empty") as less:
        assert "the host finds less in http://***@" in refusal(run, index.url(), index_url=less.url())


def test_an_authority_that_the_host_does_not_know(
    run: Run, index: Served, alone: None, wheelhouse: Path, tmp_path: Path
) -> None:
    certificate = tmp_path / "index.pem"
    self_signed(tmp_path / "cert", certificate, "IP:127.0.0.1", 2)
    with certificate.open("ab") as file:
        file.write((tmp_path / "cert").read_bytes())
    with Served(wheelhouse, certificate) as served:
        said = refusal(run, index.url(), index_url=served.url())
    assert "the host doesn't know the authority" in said and "update-ca-certificates" in said


@pytest.mark.parametrize(
    ("said", "means"),
    [
        ("ERROR: Could not find a version ... No matching distribution found for x", "finds less in"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE", "gets other files"),
        ("HTTPSConnectionPool(host='x', port=443): Max retries exceeded", "can't reach"),
        ("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]'))", "doesn't know the authority"),
        ("HTTP error 401 while getting https://index", "may not take packages from"),
        ("something else", "something else"),
    ],
)
def test_words_of_pip(said: str, means: str) -> None:
    assert means in release_host_index.meaning(said, "https://index")


def test_what_a_lock_names() -> None:
    lock = "fastapi==0.121.0 \\\n    --hash=sha256:1 \\\n    --hash=sha256:2\nuvicorn-worker==0.4.0 --hash=sha256:3\n"
    assert release_methods.packages_of(lock) == {"fastapi": "0.121.0", "uvicorn-worker": "0.4.0"}
