# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One way to say what is wrong, for the control node's half of preflight and for the host's."""

from __future__ import annotations

import dataclasses
import json

from .words import PREFIX

_LONGEST = 100
_NOT_WORDS = ("true", "false", "yes", "no", "on", "off", "y", "n", "null", "")


class _Hidden:
    """Stands for a value that must not be shown, or that there isn't."""

    def __repr__(self) -> str:
        return "HIDDEN"


HIDDEN = _Hidden()


def show(value: object) -> str:
    """A value on one line, much as YAML would spell it: 'text', 5, true, null, ["a"]. Long ones are cut."""
    if isinstance(value, str):
        # Newlines and other unprintable characters become visible escapes: they are often what is wrong.
        text = "'" + "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in value) + "'"
    else:
        text = json.dumps(value, ensure_ascii=False, default=lambda odd: f"<{type(odd).__name__}>")
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."


@dataclasses.dataclass(frozen=True)
class Problem:
    """What is wrong with one variable (without its prefix), or with the host where `variable` is empty.

    `wrong` says what is wrong and what it would cost, `advice` what to do about it; both are whole sentences.
    """

    variable: str
    value: object
    wrong: str
    advice: str

    @property
    def sentence(self) -> str:
        if not self.variable:
            return f"{self.wrong} {self.advice}"
        value = "" if self.value is HIDDEN else f" is {show(self.value)}"
        return f"{PREFIX}{self.variable}{value}: {self.wrong} {self.advice}"


def write(variable: str, value: object) -> str:
    """The advice to set `variable` to `value`, in quotes where YAML would take the word for something else."""
    quoted = f"'{value}'" if value in _NOT_WORDS else value
    return f"Write {PREFIX}{variable}: {quoted}."


def report(sentences: list[str], host: str) -> str:
    """The message of a refusal: every problem at once, in one numbered list."""
    count = "1 problem" if len(sentences) == 1 else f"{len(sentences)} problems"
    head = f"Nothing was changed on {host}: there {'is' if len(sentences) == 1 else 'are'} {count} to fix first."
    return "\n".join([head, *(f"{number}. {text}" for number, text in enumerate(sentences, start=1))])
