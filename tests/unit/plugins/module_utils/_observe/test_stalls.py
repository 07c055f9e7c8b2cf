"""What status says of event loops that stood still, by the log's lines."""

from __future__ import annotations

import json

from ansible_collections.graceful.deploy.plugins.module_utils._observe.stalls import of_last_day, sentence, worst

WHERE = "app/main.py:42 in read: data = requests.get(url)"
PLAIN = f"2026-11-30T17:00:00.000Z WARNING blue The event loop stood still for 0.71 s at {WHERE}"


def in_json(said: str) -> str:
    return json.dumps({"level": "warning", "event": said, "slot": "green"})


def test_the_longest_counts_in_either_form_of_the_log():
    longest = in_json("The event loop stood still for 2.25 s at app/a.py:1 in f: sum(range(9))")
    assert worst([PLAIN, longest, PLAIN]) == {"times": 3, "seconds": 2.25, "where": "app/a.py:1 in f: sum(range(9))"}
    assert worst([PLAIN])["where"] == WHERE


def test_what_nobody_wrote_is_told_as_it_is():
    found = worst([in_json("The event loop stood still for 1.00 s, in code that isn't the app's own")])
    assert found["where"] == "in code that isn't the app's own"


def test_a_host_without_a_cpu_is_nothing_of_the_apps():
    stopped = "The event loop stood still for 9.00 s: the process was stopped, or the host had no CPU for it"
    assert worst([in_json(stopped)]) == {}
    assert worst([in_json(stopped), PLAIN])["times"] == 1
    assert worst(["", "{", "The event loop stood still for ever"]) == {}


def test_one_question_of_both_slots():
    asked = []

    def run(command):
        asked.append(command)
        return 0, f"{PLAIN}\n", ""

    found = of_last_day(run, "shop", ["shop@blue.service", "shop@green.service"])
    assert found["times"] == 1
    (command,) = asked
    assert {"--namespace=shop", "--unit=shop@blue.service", "--priority=4..4", "--since=-24h"} <= set(command)


def test_people_read_what_to_do():
    once = sentence("shop", worst([PLAIN]))
    assert once.startswith(f"In the last day an event loop stood still once for 0.7 s ({WHERE}).")
    assert "shop-logs --problems --since -24h" in once
    assert "stood still 2 times, the longest for 0.7 s" in sentence("shop", worst([PLAIN, PLAIN]))
