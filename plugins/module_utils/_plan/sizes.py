# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sizes in bytes as systemd writes them: a number with K, M, G or T, base 1024 (systemd.resource-control(5))."""

from __future__ import annotations

import re
import reprlib

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30
TIB = 1 << 40

_UNITS = {"T": TIB, "G": GIB, "M": MIB, "K": KIB}

# systemd reads the suffixes in capitals only; "150MB" and "150m" are what people type all the same.
_SIZE = re.compile(r"([0-9]{1,18})(?:\.([0-9]{1,9})(?=[KMGT]))?([KMGT]?)")
_NEAR_MISS = re.compile(r"\s*([0-9]{1,18}(?:\.[0-9]{1,9})?)\s*([KMGTkmgt])(?:i?[Bb])?\s*")


def suggest_size(value: object) -> str | None:
    """The size that was probably meant by a spelling that parse_size refuses, or None."""
    match = _NEAR_MISS.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    suggestion = match[1] + match[2].upper()
    try:
        parse_size(suggestion)
    except ValueError:
        return None
    return suggestion


def parse_size(value: object) -> int:
    """Bytes from 157286400, "157286400", "150M" or "1.5G"; a fraction of a byte is dropped.

    Raises ValueError with a sentence for anything else, for zero and for booleans.
    """
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    match = _SIZE.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        example = suggest_size(value) or "150M"
        raise ValueError(
            f"{reprlib.repr(value)} is not a size: write a number of bytes, or one with K, M, G or T, such as {example}"
        )
    whole, fraction, suffix = match[1], match[2] or "", match[3]
    # Whole numbers throughout: a float would lose bytes above 2**53.
    size: int = int(whole + fraction) * _UNITS.get(suffix, 1) // 10 ** len(fraction)
    if size < 1:
        raise ValueError(f"{value!r} is no size to plan with: write a number above zero, such as 150M")
    return size


def format_size(size: int) -> str:
    """The same number of bytes in the largest unit that holds it exactly: 157286400 is "150M", 1000 is "1000"."""
    for suffix, unit in _UNITS.items():
        if size and size % unit == 0:
            return f"{size // unit}{suffix}"
    return str(size)


def human_size(size: int) -> str:
    """A size for a sentence: whole megabytes up to 10G, then gigabytes with one decimal."""
    if size < MIB:
        return f"{size} bytes"
    if size < 10 * GIB:
        return f"{size / MIB:.0f}M"
    return f"{round(size / GIB, 1):g}G"


def round_down(size: int, at_least: int = 0) -> int:
    """The size in whole megabytes, unless that would fall below at_least."""
    whole = size // MIB * MIB
    return whole if whole >= at_least else size


def round_up(size: int, at_most: int | None = None) -> int:
    """The size in whole megabytes, unless that would rise above at_most."""
    whole = -(-size // MIB) * MIB
    return whole if at_most is None or whole <= at_most else size


def with_margin(taken: int) -> int:
    """What to plan for something that has taken so many bytes at most: a quarter more, in whole tens of megabytes."""
    return -(-taken * 5 // (4 * 10 * MIB)) * 10 * MIB
