"""How a canary is begun, watched and ended, without systemd and without a proxy."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app.slots import App
from ansible_collections.graceful.deploy.plugins.module_utils._host.systemd import CommandFailed
from ansible_collections.graceful.deploy.plugins.module_utils._swap import canary as canary_module
from ansible_collections.graceful.deploy.plugins.module_utils._swap.canary import Canary, mark, why_not
from ansible_collections.graceful.deploy.plugins.module_utils._swap.compare import Limits

LINE = '{"side":"%s","status":%d,"duration":0.01,"upstream_status":"","upstream_duration":""}\n'


class Systemd:
    """What was asked of it; it starts things, or doesn't."""

    def __init__(self, status: int = 0) -> None:
        self.status = status
        self.commands: list[list[str]] = []

    def __call__(self, command: list[str]) -> tuple[int, str, str]:
        self.commands.append(command)
        return (self.status, "", "no such unit") if command[0] == "systemd-run" else (5, "", "not loaded")


@pytest.fixture
def log(tmp_path) -> Path:
    path = tmp_path / "access.log"
    path.touch()
    return path


@pytest.fixture
def made(tmp_path, log, monkeypatch):
    """A canary of which nothing is in /run."""
    monkeypatch.setattr(canary_module, "_file", lambda _app: str(tmp_path / "canary"))
    monkeypatch.setattr(canary_module, "_link", lambda _app: str(tmp_path / "canary.sock"))
    monkeypatch.setattr(canary_module, "LOOK", 0.01)

    def make(systemd: Systemd, seconds: int = 1) -> Canary:
        limits = Limits(share=10, seconds=seconds, requests=20)
        return Canary(systemd, App("hello", str(tmp_path)), "green", limits, str(log))

    return make


def served(log: Path, canary: int, live: int, status: int = 200) -> None:
    with log.open("a") as file:
        file.writelines([LINE % ("canary", status)] * canary + [LINE % ("live", 200)] * live)


def test_it_has_its_time_and_is_ended(made, log, tmp_path):
    systemd, looks, told = Systemd(), [], []
    canary = made(systemd)

    def well(_seconds: float) -> None:
        looks.append((os.readlink(tmp_path / "canary.sock"), (tmp_path / "canary").exists()))
        told.append((tmp_path / "canary").read_text())
        served(log, 1, 9)

    assert canary.watch(well) is None
    assert set(looks) == {("/run/hello/green.sock", True)}
    assert not (tmp_path / "canary").exists()
    # For a person who waits.
    assert told[0] == "" and told[-1] == (
        "a canary has 10 % of the requests for 1 s more of 1 s: 1 requests, errors 0.0 %, p95 10 ms; "
        "the live release: 9 requests, errors 0.0 %, p95 10 ms\n"
    )
    # Who ends it is there before it, and waits for the lock that the kernel frees with this run.
    order = [command[0] for command in systemd.commands]
    assert order == ["systemctl", "systemd-run", "systemctl"]
    assert systemd.commands[1][-5:] == ["flock", f"{tmp_path}/deploy.lock", "rm", "-f", f"{tmp_path}/canary"]
    counted = canary.figures
    assert (counted["requests"], counted["live_requests"]) == (len(looks), 9 * len(looks))
    assert 1 <= counted["seconds"] < 2 and canary.says.startswith("As a canary with 10 %")


def test_one_with_errors_ends_at_once(made, log, tmp_path):
    canary = made(Systemd(), seconds=60)
    trouble = canary.watch(lambda _seconds: served(log, 5, 45, status=500))
    assert trouble == "errors 100.0 % of 5 requests against 0.0 % of 45, in 0 s with 10 % of the requests"
    assert not (tmp_path / "canary").exists()


def test_one_that_dies_ends_at_once(made, tmp_path):
    assert made(Systemd(), seconds=60).watch(lambda _seconds: "it ended (signal 9)") == "it ended (signal 9)"
    assert not (tmp_path / "canary").exists()


def test_times_of_the_first_moments_do_not_count(made, log):
    """What was just started has cold caches; its errors count all the same."""
    canary = made(Systemd())
    served(log, 0, 0)
    first = iter([lambda: served(log, 20, 180)])

    def well(seconds: float) -> None:
        next(first, lambda: None)()

    canary.watch(well)
    assert (canary.canary.requests, canary.canary.timed) == (20, 0)


def test_nothing_is_shared_out_where_nobody_would_end_it_or_nobody_can_count(made, tmp_path, log):
    with pytest.raises(CommandFailed, match="no such unit"):
        made(Systemd(status=1)).watch(lambda _seconds: pytest.fail("it was begun"))
    log.unlink()
    log.mkdir()
    systemd = Systemd()
    with pytest.raises(OSError, match=r"access\.log"):
        made(systemd).watch(lambda _seconds: pytest.fail("it was begun"))
    assert systemd.commands == [] and not (tmp_path / "canary").exists()


def test_a_log_that_the_proxy_has_not_begun_is_an_empty_one(made, log):
    log.unlink()
    canary = made(Systemd())
    assert canary.watch(lambda _seconds: None) is None
    assert "too few requests to tell" in canary.says
    trouble = made(Systemd(), seconds=60).watch(lambda _seconds: served(log, 5, 45, status=500))
    assert trouble and trouble.startswith("errors 100.0 %")


@pytest.mark.parametrize(
    ("canary", "live", "status", "told"),
    [(0, 60, 200, "of about 7 requests that it was given it has answered 0"), (3, 27, 500, "errors 100.0 % of 3")],
)
def test_what_counts_at_the_last_look_alone_goes_back_at_the_end(made, log, canary, live, status, told):
    first = iter([lambda: served(log, canary, live, status)])

    def well(_seconds: float) -> None:
        next(first, lambda: None)()

    tried = made(Systemd())
    trouble = tried.watch(well)
    assert trouble and trouble.startswith(told) and tried.took >= 0.9


def test_whatever_fails_meanwhile_ends_it(made, tmp_path):
    def fails(_seconds: float) -> None:
        raise RuntimeError("a full disk, say")

    with pytest.raises(RuntimeError):
        made(Systemd(), seconds=60).watch(fails)
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    ("live", "same", "strategy", "word"),
    [
        (None, False, "swap", "first release"),
        ("blue", False, "restart", "by restart"),
        ("blue", False, "reload", "by reload"),
        ("blue", True, "swap", "other settings"),
    ],
)
def test_what_has_none_is_told_why(live, same, strategy, word):
    said = why_not(live, same, strategy, "There is no memory for two.")
    assert said.startswith("No canary (fastapi_canary): ") and word in said
    assert ("no memory" in said) == (strategy != "swap")


def test_a_new_release_by_swap_has_one():
    assert why_not("blue", False, "swap", "") == ""
    assert mark(10) == "# canary 10 %"
