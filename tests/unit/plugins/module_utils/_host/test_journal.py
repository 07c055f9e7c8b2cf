"""An app's log as people read it: the question to journalctl, and what becomes of its answer."""

from __future__ import annotations

import json
import os
import re
import stat
import time

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._host import journal as log_reader
from ansible_collections.graceful.deploy.plugins.module_utils._host.journal import (
    folded,
    good_request,
    last_lines,
    readable,
)
from ansible_collections.graceful.deploy.plugins.modules import logs_info
from hypothesis import given
from hypothesis import strategies as st

UTC = "2026-11-25 02:30:00"
ENTRY = {"__REALTIME_TIMESTAMP": "1795573800123456", "_PID": "911", "_SYSTEMD_UNIT": "hello@blue.service"}
REQUEST = {"event": "request", "method": "GET", "path": "/items/1", "status": 200, "seconds": 0.0014}


@pytest.fixture(autouse=True)
def utc(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def journal(tmp_path, monkeypatch):
    """A journalctl that answers with the given entries, and what it was asked."""

    def answer(*entries: dict, status: int = 0, said: str = "") -> list[list[str]]:
        (tmp_path / "entries").write_text("".join(json.dumps({**ENTRY, **entry}) + "\n" for entry in entries))
        program = tmp_path / "journalctl"
        program.write_text(
            f"#!/bin/sh\nfor word; do printf '%s\\0' \"$word\"; done >>{tmp_path}/asked; echo >>{tmp_path}/asked\n"
            f'case "$*" in *--sync*) exit;; esac\ncat {tmp_path}/entries; printf "%s" "{said}" >&2; exit {status}\n'
        )
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        return lambda: [line.split("\0")[:-1] for line in (tmp_path / "asked").read_text().splitlines()]

    return answer


def shown(message: object, **fields: object) -> str:
    text = message if isinstance(message, str) else json.dumps(message)
    return log_reader.shown({**ENTRY, "MESSAGE": text, **fields})


def test_a_request_is_one_line_with_who_asked():
    line = shown({**REQUEST, "client": "192.0.2.7:0", "request_id": "ae90a31e", "slot": "blue"})
    assert (
        line == "11-25 02:30:00.123 blue      911       GET /items/1 200 0.001s client=192.0.2.7:0 request_id=ae90a31e"
    )


def test_a_traceback_stands_below_its_line_and_the_other_fields_on_it():
    record = {"level": "error", "event": "it broke", "order": 7, "exception": "Traceback:\n  in app.main"}
    said = shown(record, PRIORITY="3")
    assert said == "11-25 02:30:00.123 blue      911 ERROR it broke order=7\n    Traceback:\n      in app.main"


def test_what_systemd_says_of_a_unit_is_told_as_its():
    said = shown("Started it.", UNIT="hello@green.service", _SYSTEMD_UNIT="init.scope", _PID="1")
    assert said == "11-25 02:30:00.123 green systemd       Started it."


@pytest.mark.parametrize("message", ["plain", '{"not": "ended', "[1]", "null", ""])
def test_what_is_no_record_stays_as_it_was_written(message):
    assert shown(message) == f"11-25 02:30:00.123 blue      911       {message}"


def test_bytes_that_are_no_text_are_spelled_out():
    assert log_reader.text_of([104, 105, 255]) == "hi\\xff"
    assert log_reader.text_of(["one", [116, 119, 111]]) == "one\ntwo"


@pytest.mark.parametrize("message", ["\x1b[2J\x1b]0;owned\x07", {"event": "a\rb\x1b[31m", "user": "\x9b31m"}])
def test_nothing_in_a_message_reaches_the_terminal(message):
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", shown(message))


VALUES = st.text() | st.integers() | st.none() | st.lists(st.text(), max_size=2)
KEYS = st.sampled_from([*log_reader.TOLD, "method", "path", "status", "seconds", "x"])


@given(st.text() | st.dictionaries(KEYS, VALUES))
def test_any_message_can_be_shown_and_keeps_to_its_lines(message):
    rows = shown(message).split("\n")
    assert rows[0].startswith("11-25 02:30:00.123 blue      911 ")
    assert all(row.startswith("    ") for row in rows[1:])


@pytest.mark.parametrize(
    ("query", "wanted", "unwanted"),
    [
        ({}, ["--lines=100", "--unit=hello@blue.service", "--unit=hello@green.service"], ["--follow", "--no-tail"]),
        ({"slot": "green"}, ["--unit=hello@green.service"], ["--unit=hello@blue.service"]),
        ({"since": "-1h"}, ["--since=-1h"], ["--lines=100"]),
        ({"since": "-1h", "lines": 5}, ["--since=-1h", "--lines=5"], []),
        ({"only": "problems"}, ["--priority=warning"], ["_TRANSPORT=stdout"]),
        ({"only": "access"}, ["--priority=6..6", "_TRANSPORT=stdout"], []),
        # The last five of those that fit, not those that fit among the last five.
        ({"request": "ae90", "lines": 5}, [], ["--lines=5"]),
    ],
)
def test_the_question(query, wanted, unwanted):
    given = {"lines": None, "since": "", "until": "", "request": "", "slot": "", "only": ""}
    command = log_reader.journalctl("hello", log_reader.asked(**{**given, **query}))
    assert "--namespace=+hello" in command
    assert {*wanted} <= {*command}
    assert not {*unwanted} & {*command}


def test_the_question_after_deploys():
    command = log_reader.journalctl("hello", log_reader.asked(None, "-1h", "", "", "", "", deploys=True), follow=True)
    # systemd's words, such as that the deploy was killed, are in the host's own journal.
    assert command[:2] == ["journalctl", "--namespace=+hello-deploys"]
    place = command.index("--unit=hello-deploys.service")
    assert command[place:] == [
        *("--unit=hello-deploys.service", "_TRANSPORT=stdout", "+", "_PID=1"),
        *("--since=-1h", "--no-tail", "--follow"),
    ]
    assert [word for word in command if "unit" in word] == ["--unit=hello-deploys.service"]
    assert "--lines=5" in log_reader.journalctl("hello", log_reader.asked(5, "", "", "", "", "", deploys=True))


def test_the_command_reads_the_journal_of_the_deploys(journal, capsys):
    asked = journal({"MESSAGE": "Deploying push 7 (main at 362cc8a599b6, by ann)."})
    assert log_reader.main(["--deploys", "--since", "-1h"], "hello") == 0
    assert asked()[0] == ["--namespace=hello-deploys", "--sync"]
    assert {"--namespace=+hello-deploys", "--since=-1h"} <= {*asked()[-1]}
    assert capsys.readouterr().out.endswith("Deploying push 7 (main at 362cc8a599b6, by ann).\n")


def test_a_request_is_found_by_its_id_the_last_ones_where_so_many_are_asked_for(journal):
    entries = [{"MESSAGE": json.dumps({**REQUEST, "path": f"/{n}", "request_id": f"id{n % 2}"})} for n in range(6)]
    journal(*entries)
    all_of_it = log_reader.asked(None, "", "", "id1", "", "")
    assert [re.search(r"GET (\S+)", line)[1] for line in log_reader.read("hello", all_of_it)] == ["/1", "/3", "/5"]
    last = log_reader.asked(2, "", "", "id1", "", "")
    assert [re.search(r"GET (\S+)", line)[1] for line in log_reader.read("hello", last)] == ["/3", "/5"]


def test_the_journal_is_written_out_before_it_is_read(journal):
    asked = journal({"MESSAGE": "hi"})
    assert [*log_reader.read("hello", log_reader.Query())]
    assert asked()[0] == ["--namespace=hello", "--sync"]


def test_what_journalctl_refuses_is_said_in_its_words(journal, capsys):
    journal(status=1, said="Failed to parse timestamp: noon-ish")
    assert log_reader.main(["--since", "noon-ish"], "hello") == 1
    assert capsys.readouterr().err == "Failed to parse timestamp: noon-ish\n"


def test_a_time_that_begins_with_a_hyphen_is_no_option(journal, capsys):
    asked = journal({"MESSAGE": "hi"})
    assert log_reader.main(["--since", "-1h", "-n", "3", "--until", "-5min"], "hello") == 0
    assert {"--since=-1h", "--until=-5min", "--lines=3"} <= {*asked()[-1]}
    assert capsys.readouterr().out.endswith(" hi\n")


def test_raw_lines_are_as_they_were_written(journal, capsys):
    journal({"MESSAGE": json.dumps(REQUEST)})
    assert log_reader.main(["--raw"], "hello") == 0
    assert json.loads(capsys.readouterr().out) == REQUEST


def test_a_traceback_in_json_is_readable():
    line = '{"event": "Exception in worker process", "exception": "Traceback\\n  File x\\nKeyError"}'
    assert readable(line) == "Exception in worker process\nTraceback\n  File x\nKeyError"
    assert readable("plain [1]") == "plain [1]"
    assert readable("[1, 2]") == "[1, 2]"


def test_a_log_line_that_is_not_utf8_can_be_shown():
    assert readable(b"caf\xe9".decode(errors="surrogateescape")) == "caf\\udce9"
    assert readable('{"message": "caf\\ud800"}') == "caf\\ud800"


@pytest.mark.parametrize("status", ["started", [1], 500])
def test_only_a_number_under_500_makes_a_request_good(status):
    assert not good_request(json.dumps({"event": "request", "status": status}))
    assert good_request('{"event": "request", "status": 204}')
    assert good_request('{"event": "request"}')
    assert readable('{"event": "request", "status": "started", "message": "hi"}') == "hi"


def test_the_last_lines_are_the_last_and_leave_out_good_requests():
    """Under load the line that tells why stands among hundreds of requests that were answered."""
    newest_first = ["end", *['{"event": "request", "status": 200}', '{"event": "request", "n": 7}'] * 50]
    newest_first += ['{"event": "request", "status": 500, "method": "GET", "path": "/x"}', '{"event": "boom"}', "begin"]
    asked = []

    def run(command):
        asked.append(command)
        return 0, "" if "--priority=warning" in command else "\n".join(newest_first) + "\n", ""

    assert last_lines(run, "hello", "hello@blue.service", 7.9, 3) == "boom\nGET /x 500\nend"
    assert {"--reverse", "--since=@7", "--unit=hello@blue.service"} <= set(asked[-1])


def test_what_went_wrong_is_told_though_an_app_has_logged_much_after_it():
    """One that echoes its SQL buried the exception of the worker that died under the statements of the other."""
    newest_first = [f"SELECT {n}" for n in range(40)]
    wrong = ["DuplicateTable: orderstatus", "startup failed"]

    def run(command):
        rows = wrong if "--priority=warning" in command else newest_first + wrong
        return 0, "\n".join(rows) + "\n", ""

    said = last_lines(run, "hello", "hello@blue.service", 0, 10).split("\n")
    assert said == ["startup failed", "DuplicateTable: orderstatus", *(f"SELECT {n}" for n in range(7, -1, -1))]
    # Nothing is told twice where it is among the last.
    newest_first[:] = ["DuplicateTable: orderstatus", *newest_first]
    said = last_lines(run, "hello", "hello@blue.service", 0, 10).split("\n")
    assert said[0] == "startup failed" and said.count("DuplicateTable: orderstatus") == 1


def test_control_characters_are_told_by_their_numbers():
    assert readable('{"event": "\\u001b[2Jowned"}') == "\\x1b[2Jowned"


def test_the_same_traceback_is_told_once():
    trace = '{"event": "Exception in worker process", "exception": "Traceback:\\n  in app.main"}'

    def run(_command):
        return 0, "\n".join(["end", trace, "boot", trace, "boot"]), ""

    assert last_lines(run, "hello", "hello@blue.service", 0) == (
        "boot\nException in worker process\nTraceback:\n  in app.main\nboot\n"
        "Exception in worker process (as above)\nend"
    )


def test_what_comes_again_and_again_is_told_once_with_how_often():
    """A hundred answers of 503 were all that was seen, and one line of them said why."""
    access = {"event": "request", "method": "GET", "path": "/ready", "status": 503}
    rows = ["begin", "model missing", "tesseract is not in your PATH"]
    rows += [row for n in range(150) for row in (json.dumps({**access, "seconds": n / 1e4}), "not in your PATH")]
    rows += [json.dumps({**access, "status": 500}), "twice", "twice", "end"]
    run = lambda command: (0, "\n".join(reversed(rows)), "")  # noqa: E731
    said = last_lines(run, "hello", "hello@blue.service", 0, 100).split("\n")
    assert said == [
        *("begin", "model missing", "tesseract is not in your PATH"),
        *("GET /ready 503 (150 times)", "not in your PATH (150 times)", "GET /ready 500", "twice", "twice", "end"),
    ]


def test_lines_of_the_plain_form_are_folded_but_for_those_that_belong_to_another():
    when = "2026-11-30T03:40:{:02}.123Z INFO blue "
    access = [when.format(n) + f'- "GET /ready HTTP/1.1" 503 0.00{n} -' for n in range(5)]
    trace = ["Traceback (most recent call last):", '  File "a.py", line 1, in f', "    f()", "    ^^^", "KeyError: 'a'"]
    chain = [*trace, "The above exception was the direct cause of the following exception:", *trace]
    refused = ["a", "  Field required [type=missing]", "b", "  Field required [type=missing]"]
    texts = [*access, *chain, *refused, *chain, *refused, *chain]
    assert folded(texts) == [f"{access[-1]} (5 times)", *texts[5:]]


HOSTILE = [
    "[" * 3000,
    '{"a":' * 3000,
    '{"message": ' + "[" * 900 + "]" * 900 + "}",
    "9" * 5000,
    '{"seconds": ' + "9" * 5000 + "}",
    '{"event": "request", "method": 1, "path": null, "status": 1e999, "seconds": ' + "9" * 400 + "}",
    '{"event": "request", "method": [], "path": {}, "status": NaN, "seconds": NaN}',
    '{"message": "\\ud800", "\\udfff": 1}',
    '{"message": "a\u2028b\u0085c\\u000bd"}',
    "null",
    '"text"',
    "{",
    "{}",
]


@pytest.mark.parametrize("line", HOSTILE, ids=range(len(HOSTILE)))
def test_nothing_that_an_app_writes_ends_the_reading_of_its_log(line, journal, capsys):
    assert not good_request(line) or "1e999" in line
    told = last_lines(lambda command: (0, f"end\n{line}\nbegin", ""), "hello", "hello@blue.service", 0)
    assert told.startswith("begin\n") and told.endswith("\nend")
    told.encode()
    journal({"MESSAGE": line}, {"MESSAGE": "the next"})
    assert log_reader.main([], "hello") == 0
    assert capsys.readouterr().out.rstrip().endswith("the next")


@given(st.dictionaries(st.sampled_from(["__REALTIME_TIMESTAMP", "PRIORITY", "UNIT", "_PID", "MESSAGE"]), VALUES))
def test_any_field_may_be_anything(fields):
    """Who may write to the journal's socket gives a line any field, twice where it likes."""
    assert log_reader.shown(fields) is not None


@given(st.binary())
def test_what_is_no_json_is_an_empty_object(line):
    assert isinstance(log_reader.object_in(line), dict)


def test_a_line_that_is_no_line_to_others_stays_one():
    said = last_lines(lambda command: (0, "a\u2028b\x0bc\x1cd\x85e", ""), "hello", "hello@blue.service", 0)
    assert said == "a\u2028b\\x0bc\\x1cd\\x85e"


def test_an_answer_of_journalctl_that_is_cut_off_is_shown_as_far_as_it_came(journal, tmp_path):
    journal({"MESSAGE": "whole"})
    with (tmp_path / "entries").open("a") as file:
        file.write('{"MESSAGE": "ha')
    assert list(log_reader.read("hello", log_reader.Query(), raw=True)) == ["whole", '{"MESSAGE": "ha']


def test_what_is_printed_on_the_control_node_has_no_secret_and_the_journal_has(journal, tmp_path, monkeypatch):
    (tmp_path / "slots" / "blue").mkdir(parents=True)
    (tmp_path / "slots" / "blue" / "env").write_text('API_KEY="Zk3vQ9xT7mLw2Rb8"\n')
    unit = f"# Written by Ansible (graceful.deploy.gunicorn)\n[Service]\nExecStart={tmp_path}/slots/%i/x\n"
    monkeypatch.setattr(logs_info, "read_text", lambda path: unit if path.endswith("/hello@.service") else "")
    journal({"MESSAGE": "401 for Zk3vQ9xT7mLw2Rb8"})
    query = log_reader.asked(None, "", "", "", "", "")
    assert logs_info.answer("hello", query)["text"].endswith("911       401 for ***")
    assert next(iter(log_reader.read("hello", query))).endswith("401 for Zk3vQ9xT7mLw2Rb8")
