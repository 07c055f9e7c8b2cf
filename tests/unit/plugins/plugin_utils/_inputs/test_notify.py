"""Who is told: what a target may be, what is refused without showing it, and what the host is asked and given."""

from __future__ import annotations

import json

import pytest
import yaml
from ansible_collections.graceful.deploy.plugins.module_utils._app.problems import HIDDEN
from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs import check, notify
from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs.specification import load_spec

CANARY = "k4n4ry"
HOOK = f"https://hooks.example.org/services/{CANARY}"

GOOD = [
    {"url": HOOK},
    {"url": HOOK, "headers": {"Authorization": f"Bearer {CANARY}"}, "on": ["failed", "moved_back"]},
    {"url": "http://127.0.0.1:9000/x"},
    {"url": "http://localhost/x"},
    {"slack": HOOK, "on": "failed"},
    # As YAML reads `on` without quotes.
    {"slack": HOOK, True: ["failed"]},
    {"mail": "ops@example.org"},
    {"mail": ["ops@example.org", "root"]},
    {"command": "/usr/local/bin/told --to 'the $team; all'"},
    {"command": ["/usr/local/bin/told", "a | b"], "user": "told"},
]


@pytest.mark.parametrize("target", GOOD)
def test_a_target_that_can_be_told(target):
    assert notify.targets("notify", [target]) is None


BAD = [
    ("not a list", f"https://{CANARY}", "has to be a list"),
    ("a mapping alone", {"url": HOOK}, "has to be a list"),
    ("text in it", [HOOK], "target 1 isn't a mapping"),
    (
        "none of them",
        [{"url": HOOK}, {"on": ["live"]}],
        "target 2 has none of them, and takes exactly one of url, slack",
    ),
    ("two of them", [{"url": HOOK, "slack": HOOK}], "target 1 has url and slack"),
    (
        "a key of others'",
        [{"webhook": HOOK}],
        "has 'webhook', and there are only url, slack, mail, command, on. Write url",
    ),
    ("a misspelt key", [{"slack": HOOK, "onn": ["live"]}], "has 'onn', and there are only slack, on. Write on for it"),
    ("another's key", [{"slack": HOOK, "headers": {}}], "Take it out: that is for url"),
    ("another's key, too", [{"mail": "root", "run_as": "x"}], "Take it out: that is for command"),
    ("no scheme", [{"url": f"hooks.example.org/{CANARY}"}], "without a scheme"),
    ("another scheme", [{"url": f"ftp://hooks.example.org/{CANARY}"}], "isn't an address with https"),
    ("a file", [{"url": f"file:///{CANARY}"}], "isn't an address with https"),
    ("http", [{"slack": HOOK.replace("https", "http")}], "who is on the way could read it"),
    ("http that only looks local", [{"url": f"http://localhost.evil.example/{CANARY}"}], "who is on the way"),
    ("a newline", [{"url": f"{HOOK}\nX: y"}], "with a newline, a tab"),
    ("a blank", [{"url": f"{HOOK} y"}], "without blanks"),
    ("a password", [{"url": f"https://me:{CANARY}@hooks.example.org/"}], "Write headers: {Authorization"),
    ("a port that is none", [{"url": f"https://hooks.example.org:x/{CANARY}"}], "no address"),
    ("no host", [{"url": f"https:///{CANARY}"}], "isn't an address with https"),
    ("empty", [{"slack": ""}], "isn't text, or is empty"),
    (
        "a header of two lines",
        [{"url": HOOK, "headers": {"X": f"{CANARY}\r\nY: z"}}],
        "a header X that isn't text on one",
    ),
    ("a header's name", [{"url": HOOK, "headers": {"X: y": CANARY}}], "whose name can't be one"),
    ("an option of sendmail's", [{"mail": "-Cevil"}], "something else than plain addresses"),
    ("a newline in a mail", [{"mail": "ops@example.org\nBcc: x@y"}], "something else than plain addresses"),
    ("no mail", [{"mail": []}], "no address and no list"),
    ("a shell's command", [{"command": f"told {CANARY} | cat"}], "'|' outside of quotes, and no shell"),
    ("a variable", [{"command": "told $HOME"}], "outside of quotes"),
    ("an open quote", [{"command": f"told '{CANARY}"}], "a quote doesn't close"),
    ("a relative program", [{"command": "./told"}], "absolute path"),
    ("no words", [{"command": []}], "neither text nor a list"),
    ("a number in it", [{"command": ["sleep", 5]}], "neither text nor a list"),
    ("a user", [{"command": "told", "user": "a b"}], "a user that is no name"),
    ("an event", [{"slack": HOOK, "on": ["moved back"]}], "Write moved_back for it"),
    ("no event", [{"slack": HOOK, "on": []}], "an on that is no list of events"),
    ("too many", [{"slack": HOOK}] * 21, "20 are the most"),
]


@pytest.mark.parametrize(("value", "said"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_a_target_that_cannot_be_is_refused_with_what_to_write_and_never_shown(value, said):
    problem = notify.targets("notify", value)
    assert problem and problem.value is HIDDEN
    assert said in problem.sentence, problem.sentence
    assert CANARY not in problem.sentence
    assert problem.sentence.startswith("fastapi_notify: ")
    with pytest.raises(ValueError, match="fastapi_notify"):
        notify.render(value, "shop", "web1")


def test_the_rule_is_asked_by_the_check_and_yaml_may_write_on_without_quotes():
    spec = load_spec()
    value = yaml.safe_load("- slack: https://hooks.example.org/x\n  on: [failed, live]\n")
    assert check.check_value("notify", value, spec["notify"]) == []
    assert check.check_value("notify", [{"url": "x"}], spec["notify"])
    assert json.loads(notify.render(value, "shop", "web1")) == {
        "app": "shop",
        "host": "web1",
        "targets": [{"slack": "https://hooks.example.org/x", "on": ["live", "failed"]}],
    }


@pytest.mark.parametrize("none", [[], "[]"])
def test_nobody_is_an_empty_list_also_as_text_of_the_command_line(none):
    assert notify.targets("notify", none) is None
    assert notify.render(none, "shop", "web1") == ""
    assert notify.for_host(none, "shop", "web1") == {"digest": "", "mail": False, "https": False, "commands": []}


def test_the_file_has_one_form_of_each_and_a_command_runs_as_nobody():
    found = json.loads(notify.render(GOOD, "shop", "web1"))["targets"]
    assert found[4] == found[5] | {"slack": HOOK, "on": ["failed"]}
    assert found[6] == {"mail": ["ops@example.org"]}
    assert found[8] == {"command": ["/usr/local/bin/told", "--to", "the $team; all"], "user": "nobody"}
    assert found[9] == {"command": ["/usr/local/bin/told", "a | b"], "user": "told"}


def test_the_host_is_asked_for_what_it_has_to_have_and_told_no_address():
    asked = notify.for_host([*GOOD, {"command": ["sh", "/opt/told.sh", CANARY]}], "shop", "web1")
    assert CANARY not in json.dumps(asked)
    assert (asked["mail"], asked["https"], len(asked["digest"])) == (True, True, 8)
    assert asked["commands"] == [
        {"program": "/usr/local/bin/told", "paths": [], "user": "nobody"},
        {"program": "/usr/local/bin/told", "paths": [], "user": "told"},
        {"program": "sh", "paths": ["/opt/told.sh"], "user": "nobody"},
    ]
    assert asked["digest"] != notify.for_host(GOOD, "shop", "web2")["digest"]


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        ("push 17\nby alice", "fastapi_deployer: 'push 17 by alice'"),
        ("x" * 101, f"'{'x' * 100}'"),
        (17, "'push 17 by alice'"),
        ("\x1b[31m", "'push 17 by alice'"),
    ],
)
def test_who_deploys_is_one_line(value, advice):
    problem = notify.deployer("deployer", value)
    assert problem and advice in problem.sentence
    assert notify.deployer("deployer", "push 17 by alice") is None
