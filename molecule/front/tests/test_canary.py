"""While a deploy tries a release on a part of the requests: who gets which, what the log says, and a run of it."""

from __future__ import annotations

import shutil
import uuid
from collections import Counter
from pathlib import Path

import pytest
from conftest import SCENARIO

SHARE = 40
THERE, LINK = "/run/open/canary", "/run/open/canary.sock"
NUMBER = 120


@pytest.fixture
def lead(door):
    """Have the canary's link lead somewhere, as a deploy does for its time."""
    yield lambda target: door.ask.run(f"ln -sfn {target} {LINK}; touch {THERE}")
    door.ask.run(f"rm -f {THERE} {LINK}")


def side(answer) -> str:
    return answer.headers.get("x-graceful-side", "")


def logged(door, mark: str) -> Counter[str]:
    """Who has answered the requests with a mark, by the access log."""
    rows = door.access_log()
    if door.proxy == "nginx":
        return Counter(row["side"] for row in rows if mark in row["uri"])
    return Counter(row["resp_headers"].get("X-Graceful-Side", [""])[0] for row in rows if mark in row["request"]["uri"])


def test_requests_go_by_lot_and_the_log_says_where(door, lead):
    mark = f"/seen?lot={uuid.uuid4().hex}"
    targets = [f"{mark}{number}" for number in range(NUMBER)]
    assert {side(answer) for answer in door.get_all(targets[:20])} == {""}
    lead("$(readlink /srv/open/live.sock)")
    # What a client says of it is nothing to the proxy.
    answers = door.get_all(targets, X_Graceful_Side="canary", X_Request_ID="00000000-0000-4000-8000-000000000000")
    assert {(answer.status, answer.by_app) for answer in answers} == {(200, True)}
    counted = Counter(map(side, answers))
    # Further off than this is one in a million.
    assert counted.keys() == {"canary", "live"} and 22 < counted["canary"] < 75, counted
    door.ask.until("the log is written", lambda: logged(door, mark) == counted + Counter({"": 20}), 5)
    posted = door.get_all(["/echo"] * 30, method="POST", body="as it is")
    assert {answer.body for answer in posted} == {b"as it is"} and {*map(side, posted)} == {"canary", "live"}
    # Questions for health aren't the canary's, and files are what serves'.
    for target in ("/health", "/ready", "/static/hello.txt"):
        assert {side(answer) for answer in door.get_all([target] * 20)} <= {"", "live"}, target
    assert {side(answer) for answer in door.get_all(["/ready"] * 20, X_Graceful_Gated="1")} <= {"", "live"}


def test_a_canary_that_is_not_there_costs_nothing(door, lead):
    """The link is left and leads nowhere, and so it does while it is in use; or to a socket at which nobody listens."""
    lead("/run/open/none.sock")
    assert {answer.status for answer in door.get_all(["/seen"] * 30)} == {200}
    door.ask.run(f"rm {THERE}")
    assert {(answer.status, side(answer)) for answer in door.get_all(["/seen"] * 30)} == {(200, "")}
    bind = "import socket; socket.socket(socket.AF_UNIX).bind('/run/open/deaf.sock')"
    door.ask.run(f'rm -f /run/open/deaf.sock; python3 -c "{bind}"; chmod 666 /run/open/deaf.sock')
    try:
        lead("/run/open/deaf.sock")
        answers = door.get_all(["/seen"] * 30)
        assert {(answer.status, answer.by_app) for answer in answers} == {(200, True)}, Counter(map(str, answers))
    finally:
        door.ask.run("rm -f /run/open/deaf.sock")


def test_a_deploy_by_a_part_of_the_requests(door, front, control, load, say, tmp_path: Path):
    source = tmp_path / "app"
    shutil.copytree(SCENARIO / "app", source, ignore=shutil.ignore_patterns("__pycache__"))
    (source / "version.txt").write_text(uuid.uuid4().hex)
    with load("--rate 60 --slow 0.2") as running:
        said = front.good("open", fastapi_source=str(source), _fastapi_surroundings=False)
    say(f"a canary: {running}")
    assert running.lost == [] and running.report["mixed"] == [], f"lost: {running}"
    said = " ".join(said.split())
    assert f"As a canary with {SHARE} % of the requests for 3 s it was no worse: " in said, said
    assert not door.ask.host.file(THERE).exists
    # Other tests deploy settings of the release that was there.
    status, said = control.run("rollback", fastapi_name="open")
    assert status == 0, said
