"""The app's code is read once a run, and never believed to be what it was where it isn't."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs import once
from ansible_collections.graceful.deploy.plugins.plugin_utils._source.shown import Code

MAIN = "from fastapi import FastAPI\napp = FastAPI()\n@app.get('/ready')\ndef ready(): ...\n"


@pytest.fixture
def top(tmp_path: Path) -> Path:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "main.py").write_text(MAIN)
    return tmp_path / "source"


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A line for each time that the code is really read."""
    seen: list[str] = []
    really = once.read_code

    def read(top: str, paths: list[str]) -> Code:
        seen.append(top)
        return really(top, paths)

    monkeypatch.setattr(once, "read_code", read)
    return seen


def code_of(top: Path, run: Path, *paths: str) -> Code:
    return once.code_of(str(top), paths or ("main.py",), str(run))


def test_hosts_of_one_run_read_it_once(top: Path, tmp_path: Path, reads: list[str]) -> None:
    found: list[Code] = []
    hosts = [threading.Thread(target=lambda: found.append(code_of(top, tmp_path))) for _ in range(5)]
    for host in hosts:
        host.start()
    for host in hosts:
        host.join()
    assert len(reads) == 1
    assert all(each == found[0] for each in found)
    assert list(found[0].routers["main:app"].gets) == ["/ready"]


def test_another_run_reads_it_itself(top: Path, tmp_path: Path, reads: list[str]) -> None:
    (tmp_path / "next").mkdir()
    code_of(top, tmp_path)
    code_of(top, tmp_path / "next")
    assert len(reads) == 2


def test_what_has_changed_meanwhile_is_read_again(top: Path, tmp_path: Path, reads: list[str]) -> None:
    code_of(top, tmp_path)
    (top / "main.py").write_text(MAIN.replace("/ready", "/alive"))
    assert list(code_of(top, tmp_path).routers["main:app"].gets) == ["/alive"]
    (top / "requirements.txt").write_text("pydantic<2\n")
    code_of(top, tmp_path, "main.py", "requirements.txt")
    (top / "requirements.txt").write_text("pydantic>=2\n")
    code_of(top, tmp_path, "main.py", "requirements.txt")
    assert len(reads) == 4
