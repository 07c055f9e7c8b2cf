# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A file of an inventory as it is written, line by line. Pure."""

from __future__ import annotations

import json
import re
import textwrap
from dataclasses import dataclass, field

from ...module_utils._app.words import PREFIX
from .._inputs.rules import TODO

# What YAML takes for a boolean or for nothing.
_WORDS = ("yes", "no", "on", "off", "true", "false", "null", "y", "n")


@dataclass
class Written:
    """A file's text, and the names in it that still have to be filled in."""

    text: str = ""
    left: list[str] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    """Values that were made up for it, which belong on no screen."""
    notes: list[str] = field(default_factory=list)
    """Sentences that belong on the screen too."""
    alone: str = ""
    """Why it can't have a second worker, which stands with its number."""

    @property
    def shown(self) -> str:
        """The text without its secrets."""
        text = self.text
        for secret in self.secrets:
            text = text.replace(secret, "********")
        return text

    def comment(self, text: str, indent: str = "") -> None:
        # Some characters that nobody sees end a line of YAML, and others have no place in it at all.
        text = "".join(each if each.isprintable() else " " for each in text)
        self.text += textwrap.indent(textwrap.fill(text, 110, break_on_hyphens=False), f"{indent}# ") + "\n"

    def line(self, name: str, value: object, comment: str = "") -> None:
        """A variable, with what it says of itself before it."""
        if comment:
            self.comment(comment)
        if value == TODO or value == [TODO]:
            self.left.append(PREFIX + name)
        self.text += f"{PREFIX}{name}: {as_yaml(value)}\n"


def is_template(text: str) -> bool:
    """Whether Ansible might run what is in a text."""
    return any(sign in text for sign in ("{{", "{%", "{#"))


def as_yaml(value: object) -> str:
    """A value as YAML: a text without quotes where nothing takes it for anything else, and never as a template."""
    if isinstance(value, list):
        return f"[{', '.join(map(as_yaml, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{json.dumps(key)}: {as_yaml(its)}' for key, its in value.items())}}}"
    if isinstance(value, str) and is_template(value):
        return f"!unsafe {json.dumps(value)}"
    word = isinstance(value, str) and re.fullmatch(r"[A-Za-z_/][\w./@+:-]*(?<!:)( [\w./@+-]+)*", value)
    return str(value) if word and str(value).lower() not in _WORDS else json.dumps(value)
