# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An event loop that stands still is told with the line that held it."""

from __future__ import annotations

import importlib
import re
import signal
import sys
from types import ModuleType

import pytest
from gunicorn_process import WORKER_DIR, Gunicorn, load, until

HOOKS = "\ngraceful_worker.configure(slow_callback=0.4)\n"


def told(gunicorn: Gunicorn) -> list[str]:
    return re.findall(r"The event loop stood still.*", gunicorn.log())


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize(
    ("path", "at"),
    [
        ("/block?0.7", r" at apps\.py:\d+ in app: time\.sleep\(float\(value\)\)"),
        ("/compute?60000000", r" at apps\.py:\d+ in app: sum\(range\(int\(value\)\)\)"),
    ],
)
def test_what_held_the_loop_is_told(gunicorn: Gunicorn, loop: str, path: str, at: str) -> None:
    gunicorn.start(hooks=HOOKS, kwargs={"http": "auto", "loop": loop})
    assert gunicorn.connect().get(path).response()[0] == 200
    until(lambda: told(gunicorn))
    (line,) = told(gunicorn)
    assert re.fullmatch(rf"The event loop stood still for \d+\.\d\d s{at}", line), line
    if "block" in path:
        assert 0.65 < float(line.split()[6]) < 3


def test_under_fastapi_too(gunicorn: Gunicorn) -> None:
    """Its endpoints run in tasks of their own, below many frames of others."""
    gunicorn.start(app="apps:fastapi_app()", hooks=HOOKS)
    assert gunicorn.connect().get("/block").response()[0] == 200
    until(lambda: told(gunicorn))
    assert re.search(r" at apps\.py:\d+ in block: time\.sleep\(0\.7\)$", told(gunicorn)[0])


def test_what_doesnt_hold_it_isnt(gunicorn: Gunicorn) -> None:
    gunicorn.start(hooks=HOOKS)
    with load(gunicorn):
        assert gunicorn.connect().get("/slow?1").response()[0] == 200
        assert gunicorn.connect().get("/thread?1").response()[0] == 200
    assert told(gunicorn) == []


def test_another_thread_that_holds_python_is_no_fault_of_the_hosts(gunicorn: Gunicorn) -> None:
    gunicorn.start(hooks=HOOKS)
    assert gunicorn.connect().get("/computing-thread?60000000").response()[0] == 200
    until(lambda: told(gunicorn))
    assert "while another thread of the app held Python" in told(gunicorn)[0]


def test_a_process_that_was_stopped_blames_no_line(gunicorn: Gunicorn) -> None:
    gunicorn.start(hooks=HOOKS)
    (worker,) = gunicorn.workers()
    held = gunicorn.connect().get("/held")
    until(lambda: gunicorn.events("request"))
    gunicorn.signal(signal.SIGSTOP, worker)
    with pytest.raises(AssertionError):
        until(lambda: told(gunicorn), 1)
    gunicorn.signal(signal.SIGCONT, worker)
    until(lambda: told(gunicorn))
    assert told(gunicorn)[0].endswith("the process was stopped, or the host had no CPU for it")
    gunicorn.switch("release")
    assert held.response()[0] == 200


def test_without_a_limit_nothing_watches(gunicorn: Gunicorn) -> None:
    gunicorn.start()
    assert gunicorn.connect().get("/block?0.7").response()[0] == 200
    assert gunicorn.connect().get("/").response()[0] == 200
    assert told(gunicorn) == []


@pytest.fixture
def stall(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(WORKER_DIR))
    return importlib.import_module("graceful_stall")


def test_a_place_is_the_apps_own(stall: ModuleType, tmp_path) -> None:
    release = str(tmp_path)
    library = f"{release}/.venv/lib/python3/site-packages/slowlib/calls.py"

    def frame_in(path: str, source: str, **names: object):
        found: dict = {"sys": sys, **names}
        exec(compile(source, path, "exec"), found)
        return found["call"]

    inner = frame_in(library, "def call():\n    return sys._getframe()\n")
    assert stall.shown(stall.place(inner(), release), release) == "slowlib/calls.py:2 in call"
    outer = frame_in(f"{release}/app/main.py", "def call():\n    return inner()\n", inner=inner)
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "main.py").write_text("def call():\n    return inner()\n")
    assert stall.shown(stall.place(outer(), release), release) == "app/main.py:2 in call: return inner()"
    assert stall.place(None, release) is None
