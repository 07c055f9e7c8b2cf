"""Environments that have to reach a service exactly, with the files that the collection writes for them.

Runs on the control node (needs hypothesis); the cases go to a host, where env_roundtrip.py asks the real systemd:

    python tests/systemd/env_cases.py > cases.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / ".collections"))

from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs.env_file import MAX_ASSIGNMENT, problems, render

HARD = [
    "",
    " ",
    "\t",
    " blanks around ",
    "\ttabs\taround\t",
    "'",
    '"',
    "''",
    '""',
    'it\'s "both"',
    '\\"',
    "\\",
    "\\\\",
    "ends in a backslash\\",
    "C:\\new\\table\\x41\\101\\u0041",
    "$HOME ${HOME} $$ $ ${ $(id) `id`",
    "\\$HOME \\`",
    "100% %h %i %% %n",
    "# no comment",
    "a # b ; c",
    "; no comment",
    "a=b=c",
    "=",
    "export X=1",
    '{"json": ["with", \'quotes\', {"and": "$dollar"}]}',
    "postgresql://u:p%40ss'w\"o#r$d@db/x?sslmode=require&options=-c%20a%3Db",
    "äöü ß € 漢字 🦀 مرحبا",
    "\ufeffbyte order mark",
    "C1 control \x85 and separators \u2028\u2029 and no-break\u00a0",
    "combining e\u0301, zero width \u200b\u200d",
    "*?[a-z]~!&|<>(){}",
    "x" * 100_000,
    '"\\$`' * 20_000,
]

# Ordinary text is rarely what breaks a quoting rule; half of all characters are ones that mean something somewhere.
_LOUD = st.sampled_from("\"'\\$`%#;={}[]()!*?~&|<> \t")
_ANY = st.characters(exclude_categories=["Cs"]).filter(lambda char: not problems({"X": char}))
_VALUES = st.lists(st.one_of(_LOUD, _LOUD, _ANY), max_size=40).map("".join)
# A prefix keeps generated names clear of PATH, LD_PRELOAD and the like, which would break the program that looks.
_NAMES = st.from_regex(r"[Xx_]_[A-Za-z0-9_]{0,20}", fullmatch=True)


def generated(count: int = 40) -> list[dict[str, str]]:
    """The same environments on every run."""
    found: list[dict[str, str]] = []

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.dictionaries(_NAMES, _VALUES, min_size=20, max_size=40))
    def collect(env: dict[str, str]) -> None:
        found.append(env)

    collect()
    return found


def cases() -> list[dict[str, object]]:
    """What env_roundtrip.py takes: each environment and its file."""
    limits = [
        {"LONGEST": "x" * (MAX_ASSIGNMENT - len("LONGEST=") - 1)},
        # Backslashes double in the file, and systemd may escape them once more between its own processes.
        {f"MANY_{number}": "\\" * 100_000 for number in range(10)},
    ]
    environments = [{f"HARD_{number}": value for number, value in enumerate(HARD)}, *limits, *generated()]
    return [{"env": env, "file": render(env)} for env in environments]


if __name__ == "__main__":
    json.dump(cases(), sys.stdout)
