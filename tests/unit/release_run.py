"""One run of the module release with both halves in this process, and a directory for an index."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import sys
import time
import typing as t
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._host.run import run as run_program
from ansible_collections.graceful.deploy.plugins.module_utils._release import build as release_build
from ansible_collections.graceful.deploy.plugins.module_utils._release import facts as release_facts
from ansible_collections.graceful.deploy.plugins.module_utils._release import index as release_index
from ansible_collections.graceful.deploy.plugins.module_utils._release import install as release_install
from ansible_collections.graceful.deploy.plugins.plugin_utils._release import flow as release_flow
from ansible_collections.graceful.deploy.plugins.plugin_utils._release.deliver import Ways
from ansible_collections.graceful.deploy.plugins.plugin_utils._release.options import DEFAULT_EXCLUDE
from release_wheelhouse import fill, repack_tools

USER = pwd.getpwuid(os.getuid()).pw_name
GROUP = grp.getgrgid(os.getgid()).gr_name


@pytest.fixture(scope="session")
def wheelhouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wheelhouse")
    repack_tools(directory)
    fill(directory)
    return directory


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def environment(wheelhouse: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither this machine's pip configuration nor its cache nor an index takes part."""
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheelhouse))
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setattr(release_index, "run", asked_once)


ANSWERS: dict[tuple, str] = {}


def asked_once(step: str, command: Sequence[str], environment: Mapping[str, str], where: str, **more: t.Any) -> str:
    """As `run`; but pip takes a second to say its configuration: where that is the environment alone it is asked once.

    :raises ProgramError: as `run`.
    """
    if command[-2:] != ["config", "list"] or environment.get("PIP_CONFIG_FILE") != os.devnull:
        return run_program(step, command, environment, where, **more)
    key = tuple(sorted(item for item in environment.items() if item[0].startswith("PIP_")))
    if key not in ANSWERS:
        ANSWERS[key] = run_program(step, command, environment, where, **more)
    return ANSWERS[key]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    top = tmp_path / "hello"
    (top / "app").mkdir(parents=True)
    (top / "app" / "__init__.py").touch()
    (top / "app" / "main.py").write_text("import fastapi\napp = fastapi.VERSION\n")
    (top / "requirements.txt").write_text("fastapi\n")
    (top / ".env").write_text("SECRET=canary\n")
    return top


class Run:
    """The action plugin's part, without Ansible: both halves in this process."""

    def __init__(self, tmp_path: Path, source: Path) -> None:
        self.tmp_path = tmp_path
        self.root = tmp_path / "srv"
        self.said: list[str] = []
        self.installs = 0
        self.queries = 0
        self.params = {
            "name": "hello",
            "root": str(self.root),
            "user": USER,
            "group": GROUP,
            "source": str(source),
            "version": "",
            "state": "present",
            "collected": {},
            "build_host": "",
            "requirements": "",
            "extras": [],
            "source_directory": "",
            "method": "wheels",
            "python": sys.executable,
            "keep": 2,
            "exclude": DEFAULT_EXCLUDE,
            "shared_paths": [],
            "public_paths": [],
            "index_url": "",
            "packages_until": "",
            "versions": [],
            "app": "app.main:app",
        }

    def __call__(self, check: bool = False, **changed: object) -> dict:
        params = self.params | changed
        workdir = self.tmp_path / f"work-{time.monotonic_ns()}"
        workdir.mkdir()

        def install(archive: str, sha256: str, release: str, python: str) -> dict:
            self.installs += 1
            options = {name: params[name] for name in ("name", "root", "user", "group", "keep")}
            if params["method"] == "index":
                options["index_url"] = params["index_url"]
            return release_install.install(
                release_install.Order(**options, python=python, archive=archive, sha256=sha256, release=release)
            )

        def query() -> dict:
            self.queries += 1
            return release_facts.query(params["root"], params["group"], *release_facts.probe(params["python"]))

        def build(archive: str, sha256: str, into: str) -> str:
            shutil.copy(archive, workdir)
            sent = workdir / os.path.basename(archive)
            return shutil.copy(release_build.build(str(sent), sha256, params["python"])["wheel"], into)

        return release_flow.run(params, check, str(workdir), Ways(query, install, self.said.append, build))


@pytest.fixture
def run(environment: None, tmp_path: Path, source: Path) -> Run:
    return Run(tmp_path, source)


def releases(run: Run) -> list[str]:
    return sorted(path.name for path in (run.root / "releases").iterdir())
