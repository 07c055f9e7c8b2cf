# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Text for people: what programs said, sizes, and URLs without their passwords. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

_URL = r"\b(?:https?|ftps?|file|git|ssh|\w+\+\w+|postgres\w*|mysql|rediss?|valkeys?|amqps?|mongodb|smtps?)://"
"""How another URL begins, where a password with :// in it doesn't."""


def mask(text: str) -> str:
    """Hide what stands between a URL's scheme and its host, and the values after its question mark.

    A password that nobody has quoted may hold a slash, a blank or an @. So behind ``user:`` all goes to the last @ of
    the line, or before the next URL: rather too much than a part of a password.
    """
    text = re.sub(rf"(?<=://)(?:[^/\s@:]*:(?:(?!{_URL})[^\n])*|[^/\s]*)@", "***@", text)
    return re.sub(r"://[^\s?]*\?\S+", lambda url: re.sub(r"(?<==)[^&#\s'\"<>]+", "***", url[0]), text)


def hide(text: str, hidden: Iterable[str]) -> str:
    """A program's words without these secrets, and without what URLs in them hold."""
    for secret in hidden:
        text = text.replace(secret, "***")
    return mask(text)


def megabytes(size: float) -> str:
    """A size for a sentence: '24.1 MB', in units of a million bytes; a small one '12 kB'."""
    return f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{size / 1e3:.0f} kB"


def last_lines(text: str, count: int = 15) -> str:
    """The end of a program's output, which is where it says why it stopped."""
    return "\n".join(text.strip().splitlines()[-count:])
