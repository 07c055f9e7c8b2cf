"""Versions of a day: what names none is taken as it was then, what serves is as tested, a lock as it is."""

from __future__ import annotations

import functools
import http.server
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app.releases import ReleaseError
from ansible_collections.graceful.deploy.plugins.module_utils._release.index import Index
from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs import rules
from ansible_collections.graceful.deploy.plugins.plugin_utils._release import sdist, tools
from ansible_collections.graceful.deploy.plugins.plugin_utils._release.requirements import Requirements, injected
from ansible_collections.graceful.deploy.plugins.plugin_utils._release.resolver import (
    Collector,
    begun,
    identity_of,
    resolve,
    versions_of,
)
from ansible_collections.graceful.deploy.plugins.plugin_utils._release.target import Target
from release_run import Run
from release_wheelhouse import make_sdist, make_wheel

HOST = Target("3.11.2", "cp311", "x86_64", "glibc", (2, 36))
FILES = {
    ("fastapi", "0.115"): ("2025-01-01", ("starlette",)),
    ("fastapi", "0.128"): ("2026-01-01", ("starlette",)),
    ("starlette", "0.40"): ("2024-10-01", ()),
    ("starlette", "1.0"): ("2026-02-01", ()),
    ("gunicorn", "27.0.1"): ("2026-06-01", ()),
    ("uvicorn", "0.34"): ("2024-12-01", ()),
    ("uvicorn", "0.54.0"): ("2026-06-01", ()),
    ("young", "1"): ("2026-03-01", ()),
    ("plain", "0"): ("2025-01-01", ()),
    ("plain", "1"): ("2025-03-01", ()),
    ("plain", "2"): ("2026-03-01", ()),
    ("swift", "1"): ("2025-03-01", ()),
    ("swift", "2"): ("2025-09-01", ()),
    ("swift", "2.1"): ("2025-10-01", ()),
    ("swift", "3"): ("2026-03-01", ()),
}
PYTHONS = {"1": "cp310", "2": "cp310"}
"""Those that the compiled package `swift` has no wheel of for the host's."""


class Answers(http.server.SimpleHTTPRequestHandler):
    """An index by JSON, as PyPI's is; the files of `untold` are without their time."""

    protocol_version = "HTTP/1.1"
    untold = ("timeless",)

    def do_GET(self) -> None:
        parts = self.path.strip("/").split("/")
        if parts[0] == "simple":
            self._list(parts[1])
        else:
            super().do_GET()

    def _list(self, wanted: str) -> None:
        files = [
            {
                "filename": path.name,
                "url": f"/{path.name}",
                "hashes": {},
                **({"upload-time": f"{FILES[name, version][0]}T12:00:00Z"} if name not in self.untold else {}),
            }
            for path in sorted(Path(self.directory).iterdir())
            for name, version in [path.name.removesuffix(".tar.gz").split("-")[:2]]
            if name == wanted
        ]
        body = json.dumps({"meta": {"api-version": "1.1"}, "name": wanted, "files": files, "versions": []}).encode()
        self.send_response(200 if files else 404)
        self.send_header("Content-Type", "application/vnd.pypi.simple.v1+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words: object) -> None:
        """Nothing on the screen."""


@pytest.fixture
def dated(environment: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    files = tmp_path / "files"
    for (name, version), (_day, needs) in FILES.items():
        python = PYTHONS.get(version, "cp311")
        tag = f"{python}-{python}-manylinux_2_17_x86_64" if name == "swift" else "py3-none-any"
        (make_sdist if name == "plain" else make_wheel)(files, name, version, needs, tag=tag)
    make_wheel(files, "timeless", "1")
    own = tools.provide(tools.cache_directory(), {}, "", lambda text: None)
    # What uv keeps of one index isn't another's.
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Answers, directory=str(files)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    index = Index(index_url=f"http://127.0.0.1:{server.server_port}/simple")
    yield Collector(str(tmp_path), own, index, HOST, lambda text: None)
    server.shutdown()
    server.server_close()


def versions(collector: Collector, lines: list[str], until: str) -> dict[str, str]:
    requirements = Requirements(lines=lines, until=until)
    pins = injected(requirements, HOST.markers)
    return versions_of(resolve(collector, requirements, pins, collector.cache, "requirements.txt"))


@pytest.mark.project(
    "variable",
    "requirements without versions that don't go with today's",
    '`fastapi_packages_until: "2025-07-14"`; init.yml writes it',
)
def test_what_names_no_version_is_taken_as_it_was(dated: Collector) -> None:
    """Templates of last year ended in 500: the newest Starlette takes their arguments in another order."""
    served = {"gunicorn": "27.0.1", "uvicorn": "0.54.0"}
    assert versions(dated, ["fastapi"], "") == {"fastapi": "0.128", "starlette": "1.0", **served}
    # What serves is as it was tested.
    assert versions(dated, ["fastapi"], "2025-07-14") == {"fastapi": "0.115", "starlette": "0.40", **served}
    # The day itself counts; what is named exactly is taken whatever its day, and what it brings is bounded.
    assert versions(dated, ["fastapi"], "2026-01-01")["fastapi"] == "0.128"
    assert versions(dated, ["fastapi"], "2025-12-31")["fastapi"] == "0.115"
    found = versions(dated, ["fastapi==0.128", "uvicorn"], "2025-07-14")
    assert (found["fastapi"], found["starlette"], found["uvicorn"]) == ("0.128", "0.40", "0.34")


def test_what_is_built_of_its_source_is_of_the_day_too(dated: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def fetch(_step: str, command: list[str], _index: Index) -> str:
        asked.append(command)
        raise ReleaseError("Not now.")

    # The pip that runs these tests may be older than the pinned one, and not know the option.
    monkeypatch.setattr(sdist, "fetch", fetch)
    for until, lines in (("", ["plain"]), ("2025-07-14", ["plain"]), ("2025-07-14", ["plain==2", "fastapi"])):
        sources = sdist.Sources(os.path.join(dated.cache, f"built-{len(asked)}"), **vars(dated))
        with pytest.raises(ReleaseError, match="Not now"):
            resolve(dated, Requirements(lines=lines, until=until), [], dated.cache, "requirements.txt", sources)
    bounded = [
        command[command.index("--uploaded-prior-to") + 1 :][:1] for command in asked if "--uploaded-prior-to" in command
    ]
    assert len(asked) == 3 and bounded == [["2025-07-15T00:00:00Z"]]


def test_what_there_was_nothing_of_is_told(dated: Collector) -> None:
    with pytest.raises(ReleaseError, match=r"and young had nothing that fits by 2025-07-14\. Write a later day"):
        versions(dated, ["fastapi", "young"], "2025-07-14")
    with pytest.raises(ReleaseError, match=r"the index doesn't say when the files of timeless were uploaded"):
        versions(dated, ["fastapi", "timeless"], "2025-07-14")
    assert versions(dated, ["fastapi", "timeless==1"], "2025-07-14")["timeless"] == "1"


@pytest.mark.project(
    "served",
    "requirements without versions, and one of them had no wheel by their day",
    "its first later version that has one; the run says so",
)
def test_what_had_no_wheel_by_the_day_is_the_first_that_has_one(dated: Collector) -> None:
    """A package whose wheels for a new Python came after an app's last commit stopped all of it."""
    said: list[str] = []
    telling = replace(dated, say=said.append)
    assert versions(telling, ["fastapi", "swift"], "2025-07-14")["swift"] == "2.1"
    assert versions(telling, ["fastapi", "swift>2.5"], "2026-06-01")["swift"] == "3"
    assert [line for line in said if "swift" in line] == [
        "swift==1 had no wheel for Python 3.11 on x86_64 with glibc 2.36 by 2025-07-14: swift==2.1 is taken, the first "
        "later version that has one."
    ]
    # What the app names exactly, or has bounded, is never another version.
    for line in ("swift==2", "swift<2.1"):
        with pytest.raises(ReleaseError, match="has no wheel for"):
            versions(dated, ["fastapi", line], "2025-07-14")


def test_it_decides_the_set_and_is_told_where_it_is_not_set(dated: Collector) -> None:
    lines = ["fastapi", "starlette>=0.4", "young==1", "lib @ https://example.com/lib-1.whl"]
    newest = Requirements(lines=lines)
    bounded = replace(newest, until="2025-07-14")
    assert identity_of(dated, newest, []) != identity_of(dated, bounded, [])
    told = begun(newest, ["gunicorn==1"], HOST)
    assert told.startswith("Resolving 5 requirements for ")
    assert " 2 of the app's 4 name no exact version: today's newest are taken, see fastapi_packages_until." in told
    assert begun(bounded, [], HOST).endswith("…") and begun(Requirements(lines=["young==1"]), [], HOST).endswith("…")


def test_what_nothing_names_is_of_the_day(run: Run, source: Path) -> None:
    loose = [run(check=True, packages_until=day)["release"] for day in ("", "2025-07-14")]
    assert loose[0] != loose[1]
    # What an exact requirement brings along is named by nothing.
    (source / "requirements.txt").write_text("fastapi==0.121.0\n")
    exact = [run(check=True, packages_until=day)["release"] for day in ("", "2025-07-14")]
    assert exact[0] != exact[1]
    digests = {("fastapi", "0.121.0"): {"a" * 64}}
    assert not Requirements(lines=["fastapi==0.121.0"], hashes=digests).open
    assert Requirements(lines=["fastapi>=0.121.0"], hashes=digests).open


@pytest.mark.parametrize("value", ["2025-13-01", "14.07.2025", "yesterday", "2025-7-1", 20250714, ["2025-07-14"]])
def test_a_day_is_a_day(value: object) -> None:
    problem = rules.day("packages_until", value)
    assert problem is not None and "it has to be a day" in problem.sentence and "'2025-07-14'" in problem.sentence
    assert rules.day("packages_until", "2025-07-14") is None
