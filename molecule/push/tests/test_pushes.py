"""What is pushed is served, by whoever it was told, and nothing that shouldn't be."""

from __future__ import annotations

import concurrent.futures
import itertools
import json
import time

import pytest
from conftest import KINDS, NAME, ROOT, STATES

pytestmark = pytest.mark.usefixtures("ask")


def test_each_git_server_is_understood(pushed, load, tally):
    before = len(pushed.notes())
    with load() as running:
        for kind in KINDS:
            note = pushed.deployed(pushed.commit(), kind=kind, by="ann")
            assert (note["by"], note["ref"], note["tries"]) == ("ann", "refs/heads/main", 1)
    assert len(pushed.notes()) == before + len(KINDS)
    running.counted.nothing_lost()
    tally("five pushes, one by each kind of git server", running)


@pytest.mark.core
def test_of_twenty_pushes_in_ten_seconds_the_last_is_served(pushed, ask, load, tally):
    commits = [pushed.commit() for _ in range(20)]
    with load() as running:
        begun = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            told = []
            for number, commit in enumerate(commits):
                time.sleep(max(0.0, begun + number * 0.5 - time.monotonic()))
                told.append(pool.submit(pushed.taken, commit, KINDS[number % len(KINDS)]))
            numbers = [each.result() for each in told]
        assert time.monotonic() - begun < 20
        last = pushed.became(max(numbers))
        assert last["state"] == "deployed", (last, pushed.log())
        ask.until("none is at work", lambda: {n["state"] for n in pushed.notes().values()} <= FINAL)
    assert len(set(numbers)) == 20
    assert pushed.live == commits[-1]
    notes = [note for note in pushed.notes().values() if note["number"] in numbers]
    ran = sorted((note["started"], note["ended"]) for note in notes if note["started"])
    assert 2 <= len(ran) < 20, "several ran, and not one for each push"
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(ran)), f"never two at once: {ran}"
    assert {note["state"] for note in notes} <= {"deployed", "overtaken"}
    running.counted.nothing_lost()
    tally("20 pushes in 10 s", running)


FINAL = {"deployed", "failed", "overtaken", "not deployed", "cut off"}


@pytest.mark.core
def test_who_has_no_secret_is_refused(pushed, ask):
    before, live = pushed.notes(), pushed.live
    commit = pushed.commit()
    for kind in KINDS:
        assert pushed.told(commit, kind, secret="x" * 43)[0] == 403, kind
    plain = "curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1/-/push"
    assert ask.run(f"{plain} -d '{{}}'") == "403"
    assert ask.run(f"{plain} -H 'X-Gitlab-Token;' -d '{{}}'") == "403", "an empty one"
    assert ask.run(f"{plain} -H 'Authorization: Bearer ' -d '{{}}'") == "403"
    assert ask.run(f"{plain} -X GET") == "405"
    assert ask.run(f"{plain}/../push -X GET --path-as-is") in ("400", "404")
    assert ask.run(f"{plain}x -d '{{}}'") == "404"
    assert (pushed.notes(), pushed.live) == (before, live)


@pytest.mark.core
def test_a_huge_body_is_refused_and_costs_no_memory(pushed, ask):
    commit = pushed.commit()
    # 0 where the client still writes when it is refused, and sees the connection's end.
    assert pushed.told(commit, size=6 << 20)[0] in (413, 0)
    # What announces no size is cut.
    chunked = "head -c 60000000 /dev/zero | curl -s -o /dev/null -w '%{http_code}' -H 'Transfer-Encoding: chunked' "
    assert ask.run(f"{chunked} --data-binary @- http://127.0.0.1/-/push || true") in ("413", "400", "500", "502", "000")
    for _ in range(20):
        assert pushed.told(commit, body="{" * 1000, size=4 << 20, secret="x" * 43)[0] == 403
    assert ask.show(f"{NAME}-webhook-hooks.service", "NRestarts")["NRestarts"] == "0"
    pushed.deployed(commit)


def test_what_is_not_to_be_deployed_is_not(pushed):
    live = pushed.live
    commit = pushed.commit("other")
    others = [
        {"ref": "refs/heads/other"},
        {"ref": "refs/tags/release-1"},
        {"ref": "refs/heads/main\n"},
        {"ref": "main"},
        {"event": "ping"},
        {"body": "not JSON"},
    ]
    for fields in others:
        status, answer = pushed.told(commit, **fields)
        assert status == 202 and answer["push"] is None and answer["reason"], (fields, answer)
    status, answer = pushed.told("0" * 40)
    assert answer["push"] is None and "deleted" in answer["reason"]
    # Signed, and of a commit that is in the repository, but on no branch that is deployed: as a fork's may be.
    note = pushed.became(pushed.taken(commit))
    assert note["state"] == "not deployed" and "isn't on main" in note["reason"]
    note = pushed.became(pushed.taken("1234567890" * 4))
    assert note["state"] == "not deployed" and "hasn't that commit" in note["reason"]
    assert pushed.live == live


def test_a_delivery_that_comes_again_brings_nothing_old_back(pushed):
    old = pushed.commit()
    pushed.deployed(old)
    new = pushed.commit()
    pushed.deployed(new)
    note = pushed.became(pushed.taken(old))
    assert note["state"] == "not deployed" and "came after that" in note["reason"], note
    # Of what the branch has now, a person may ask for another try.
    assert pushed.deployed(new)["state"] == "deployed"


def test_a_branch_that_was_set_back_is_deployed(pushed, ask):
    first = pushed.commit()
    pushed.deployed(first)
    second = pushed.commit()
    pushed.deployed(second)
    ask.run(f"cd /opt/work; git reset -q --hard {first}; git push -q --force origin main")
    assert pushed.became(pushed.taken(first))["state"] == "deployed"
    assert pushed.live == first
    note = pushed.became(pushed.taken(second))
    assert note["state"] == "not deployed" and "isn't on main" in note["reason"]


def test_tags_are_deployed_by_their_pattern(pushed, ask):
    commit = pushed.commit("released")
    ask.run(f"cd /opt/work; git tag -f -a -m one v1.1 {commit}; git push -q --force origin v1.1; git checkout -q main")
    tag = ask.run("cd /opt/work; git rev-parse v1.1").strip()
    # GitHub names the tag itself, GitLab the commit.
    note = pushed.became(pushed.taken(tag, ref="refs/tags/v1.1"))
    assert (note["state"], note["commit"]) == ("deployed", commit), note
    assert pushed.live == commit
    pushed.deployed(pushed.commit("main"))
    note = pushed.became(pushed.taken(commit, kind="gitlab", ref="refs/tags/v1.1", event="Tag Push Hook"))
    assert note["state"] == "not deployed" and "brought it" in note["reason"], note


def test_people_see_what_was_pushed(pushed, ask, control):
    note = pushed.deployed(pushed.commit(), by="ann \x1b[31m of us")
    status, said = control.run("status", fastapi_name=NAME)
    assert status == 0 and "ann" in said and note["commit"][:12] in said and "deployed" in said, said
    assert "\x1b[31m of" not in said
    log = pushed.log()
    assert "Bring the release to the traffic" in log and "is deployed" in log, log
    assert "COMMAND=" not in log and "pam_unix" not in log
    status, said = control.run("logs", fastapi_name=NAME, deploys=True)
    assert status == 0 and "is deployed" in said
    history = [json.loads(line) for line in ask.run(f"cat {ROOT}/history.jsonl").splitlines()]
    assert f"push {note['number']}" in history[-1]["by"], history[-1]
    assert ask.run(f"stat -c %U {STATES}").strip() == "graceful-deploys"
