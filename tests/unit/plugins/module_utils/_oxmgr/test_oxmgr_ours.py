# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app.words import MARK
from ansible_collections.graceful.deploy.plugins.module_utils._oxmgr.keys import FOR_EVER, quoted
from ansible_collections.graceful.deploy.plugins.module_utils._oxmgr.ours import app, spec, text
from ansible_collections.graceful.deploy.plugins.module_utils._oxmgr.oxfile import read
from hypothesis import example, given
from hypothesis import strategies as st

LAUNCHER = ["/usr/bin/python3", "-I", "/usr/local/lib/graceful/hello/slot"]
COMMANDS = {slot: [*LAUNCHER, slot] for slot in ("blue", "green")}
OURS = text(*(app("hello", slot, "/srv/hello", words, 45, words) for slot, words in COMMANDS.items()))
RECORDED = json.loads((Path(__file__).parent / "oxmgr-0.5.0.json").read_text())
SCHEMA = os.environ.get("OXMGR_SCHEMA", "")

# Lists of characters: as the alphabet of text() the loud ones would be merged with the thousands of quiet ones.
LOUD = "\"'\\`$~#&|;<>(){}[]=%! \t\n\r\x01\x7f\x80éü☃🦀"
CHARACTERS = st.one_of(st.sampled_from(LOUD), st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
WORDS = st.lists(CHARACTERS, max_size=8).map("".join)
ARGV = st.tuples(st.just("/usr/bin/env"), WORDS, WORDS).map(list)
NAMES = st.from_regex(r"[a-z][a-z0-9_-]{0,20}", fullmatch=True)
PATHS = st.lists(st.sampled_from(LOUD[:24] + "abc/._-$~ "), max_size=12).map(lambda found: "/" + "".join(found))
PATHS = PATHS.filter(str.isprintable)


def shell_words(command: str) -> list[str]:
    """A second reading of POSIX' rules, as the crate that Oxmgr uses has them, with comments."""
    words, word, at = [], None, 0
    while at < len(command):
        character = command[at]
        if character in " \t\n":
            if word is not None:
                words.append(word)
            word = None
        elif character == "#" and word is None:
            at = command.find("\n", at) % (len(command) + 1)
        elif character == "'":
            end = command.index("'", at + 1)
            word = (word or "") + command[at + 1 : end]
            at = end
        elif character == '"':
            word, at = word or "", at + 1
            while command[at] != '"':
                if command[at] == "\\" and command[at + 1] in '$`"\\\n':
                    at += 1
                word, at = word + command[at], at + 1
        elif character == "\\":
            at += 1
            word = (word or "") + command[at]
        else:
            word = (word or "") + character
        at += 1
    return words if word is None else [*words, word]


def expanded(value: str) -> str:
    """What Oxmgr makes of a path or a variable, as far as it changes nothing; else an error."""
    assert value.isascii()
    assert not value.startswith("~")
    assert "$" not in value.replace("$$", "")
    return value.replace("$$", "$")


def test_the_file_word_for_word():
    check = ["/usr/bin/python3", "-I", "/usr/local/lib/graceful/hello/probe", "blue"]
    blue = app("hello", "blue", "/srv/hello", COMMANDS["blue"], 45, check)
    assert text(blue, app("hello", "green", "/srv/hello", COMMANDS["green"], 45)) == (
        f"{MARK}oxmgr). It is read when a slot is registered, and never applied as a whole.\n"
        "version = 1\n"
        "\n"
        "[[apps]]\n"
        'name = "hello-blue"\n'
        'command = "/usr/bin/python3 -I /usr/local/lib/graceful/hello/slot blue"\n'
        'cwd = "/srv/hello"\n'
        'restart_policy = "always"\n'
        "restart_delay_secs = 1\n"
        "max_restarts = 4294967295\n"
        "crash_restart_limit = 10\n"
        'stop_signal = "SIGUSR2"\n'
        "stop_timeout_secs = 45\n"
        'namespace = "hello"\n'
        'health_cmd = "/usr/bin/python3 -I /usr/local/lib/graceful/hello/probe blue"\n'
        "health_interval_secs = 10\n"
        "health_timeout_secs = 5\n"
        "health_max_failures = 3\n"
        "\n"
        "[[apps]]\n"
        'name = "hello-green"\n'
        'command = "/usr/bin/python3 -I /usr/local/lib/graceful/hello/slot green"\n'
        'cwd = "/srv/hello"\n'
        'restart_policy = "always"\n'
        "restart_delay_secs = 1\n"
        "max_restarts = 4294967295\n"
        "crash_restart_limit = 10\n"
        'stop_signal = "SIGUSR2"\n'
        "stop_timeout_secs = 45\n"
        'namespace = "hello"\n'
    )


def test_our_own_file_passes_our_own_reading():
    apps, found = read(OURS)
    assert found == []
    assert [(one.name, one.signal, one.stop_timeout) for one in apps] == [
        ("hello-blue", "SIGUSR2", 45),
        ("hello-green", "SIGUSR2", 45),
    ]
    assert apps[0].values["max_restarts"] == FOR_EVER


@given(NAMES, PATHS, ARGV, ARGV, st.integers(1, 2**31))
@example("a", "/$x/$$/~", ["/x", "$HOME", "a'b"], ["/x", "#", ""], 45)
def test_what_is_written_is_read_as_it_was_meant(name, cwd, command, check, seconds):
    made = text(app(name, "blue", cwd, command, seconds, check), app(name, "green", cwd, check, seconds))
    assert made.isascii()
    assert made.isprintable() or set(made) <= {*map(chr, range(32, 127)), "\n"}
    data = tomllib.loads(made)
    blue, green = data["apps"]
    assert (blue["name"], green["name"]) == (f"{name}-blue", f"{name}-green")
    assert shell_words(blue["command"]) == command
    assert shell_words(green["command"]) == shell_words(blue["health_cmd"]) == check
    assert "health_cmd" not in green
    assert expanded(blue["cwd"]) == cwd
    assert blue["stop_timeout_secs"] == seconds
    # A word of the app's own may look like the shell's.
    apps, found = read(made)
    assert {one.key.rpartition(".")[2] for one in found} <= {"command", "health_cmd", "stop_signal"}
    assert apps[0].argv == command
    if SCHEMA:
        import jsonschema

        jsonschema.validate(data, json.loads(Path(SCHEMA).read_text()))


@pytest.mark.skipif(not SCHEMA, reason="OXMGR_SCHEMA names no file: Oxmgr's oxfile.schema.json")
def test_our_own_file_passes_the_schema():
    import jsonschema

    data = tomllib.loads(OURS)
    jsonschema.validate(data, json.loads(Path(SCHEMA).read_text()))


@given(st.lists(CHARACTERS | st.just("\0"), max_size=12).map("".join))
def test_a_quoted_text_is_read_back(value):
    assert tomllib.loads(f"x = {quoted(value)}") == {"x": value}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": "hello@x"}, "letters, digits, _ and - alone"),
        ({"name": "hällo"}, "letters, digits, _ and - alone"),
        ({"cwd": "srv"}, "from /"),
        ({"cwd": "/srv/ü"}, "ASCII"),
        ({"cwd": "/srv/\n"}, "printable"),
        ({"command": []}, "no command"),
        ({"command": ["/x", "a\0b"]}, "no command"),
        ({"command": ["/x", "\udc80"]}, "isn't UTF-8"),
    ],
)
def test_what_can_t_be_written(change, says):
    given = {"name": "hello", "slot": "blue", "cwd": "/srv", "command": LAUNCHER, "stop_timeout": 45, **change}
    with pytest.raises(ValueError, match=says):
        text(app(**given))


def test_a_daemon_is_told_what_one_has_taken():
    told = json.loads(RECORDED["start"]["request"])["spec"]
    assert spec(app("hello", "blue", "/", ["/bin/sleep", "1000"], 45)) == told


def test_a_daemon_is_told_of_the_check_and_of_a_path_as_it_is():
    told = spec(app("hello", "blue", "/srv/$ü", ["/x"], 45, ["/y", "a b"]))
    assert told["cwd"] == "/srv/$ü"
    assert told["health_check"] == {"command": "/y 'a b'", "interval_secs": 10, "timeout_secs": 5, "max_failures": 3}
    assert not [key for key in told if key.startswith("health_") and key != "health_check"]
