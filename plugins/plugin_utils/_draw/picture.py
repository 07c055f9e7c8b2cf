# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pictures of what was measured, drawn on the control node by matplotlib, which is fetched at the first picture."""

from __future__ import annotations

import hashlib
import html
import json
import os
import sys
import typing as t
from dataclasses import asdict, dataclass, field

from ...module_utils._app.releases import ReleaseError
from ...module_utils._host.run import CONTROL_NODE, ProgramError, environment_without, run
from ...module_utils._release.index import read_index
from .._release.tools import Say, cache_directory, fetch, making, provide
from . import plot

REQUIREMENTS = os.path.join(os.path.dirname(__file__), "requirements.txt")
_LIMIT = 120
"""Seconds for one picture: the first of a matplotlib looks through the fonts."""


class DrawError(Exception):
    """Why there is no picture, in a sentence for the user."""


@dataclass(frozen=True)
class Line:
    """
    :param y: as many as `x`; None is a gap.
    :param style: ``line``, ``dots``, ``dashed`` or ``steps``.
    :param color: 0 to 5, else by its place in the panel; 4 is red.
    """

    label: str
    x: t.Sequence[float]
    y: t.Sequence[float | None]
    style: str = "line"
    color: int | None = None


@dataclass(frozen=True)
class Mark:
    """An upright line, with its label above the panel."""

    x: float
    label: str


@dataclass(frozen=True)
class Span:
    """A shaded stretch, with its label above the panel."""

    begin: float
    end: float
    label: str


@dataclass(frozen=True)
class Panel:
    """
    :param label: of the axis upwards, with its unit.
    :param log: whether that axis is logarithmic.
    :param top: the highest value of it; None is by what is drawn.
    :param ticks: places and texts of the axis to the right.
    """

    label: str
    lines: t.Sequence[Line] = ()
    marks: t.Sequence[Mark] = ()
    spans: t.Sequence[Span] = ()
    log: bool = False
    bottom: float = 0.0
    top: float | None = None
    ticks: t.Sequence[tuple[float, str]] | None = None


@dataclass(frozen=True)
class Picture:
    """Panels above each other that share the axis to the right."""

    title: str
    x_label: str
    panels: t.Sequence[Panel] = field(default_factory=list)
    subtitle: str = ""


def draw(picture: Picture, into: str, name: str, say: Say) -> list[str]:
    """Draw it as NAME.svg, which is light or dark as its reader is, and NAME.png.

    :param into: a directory, which is made.
    :param say: takes a line for the user, where something takes time.
    :returns: the two paths.
    :raises DrawError: the library can't be had, or the files can't be written.
    """
    os.makedirs(into, exist_ok=True)
    files = [os.path.join(into, f"{name}.{kind}") for kind in ("svg", "png")]
    source = os.path.join(into, f".{name}.json")
    try:
        library = _library(say)
        with open(source, "w", encoding="utf-8") as file:
            json.dump({"library": library, "files": files, **asdict(picture)}, file)
        environment = {**environment_without("PYTHON"), "MPLBACKEND": "agg", "MPLCONFIGDIR": f"{library}.settings"}
        run("Drawing", [sys.executable, "-I", plot.__file__, source], environment, CONTROL_NODE, _LIMIT)
    except (ReleaseError, ProgramError, OSError) as error:
        raise DrawError(f"There is no picture: {error}") from error
    finally:
        if os.path.exists(source):
            os.unlink(source)
    return files


@dataclass(frozen=True)
class Table:
    """:param rows: of texts, as many as `head` has; what begins with a digit is set to the right."""

    title: str
    head: t.Sequence[str]
    rows: t.Sequence[t.Sequence[str]]


_STYLE = """
:root { color-scheme: light dark; --back: #fff; --ink: #1f2328; --muted: #59636e; --line: #d1d9e0 }
@media (prefers-color-scheme: dark) { :root { --back: #0d1117; --ink: #e6edf3; --muted: #9198a1; --line: #3d444d } }
body { background: var(--back); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; margin: 0 auto;
  max-width: 60rem; padding: 1.5rem 1rem 3rem }
h1 { font-size: 1.5rem; margin: 0 0 .3rem } h2 { font-size: 1.1rem; margin: 2rem 0 .4rem }
p, li { max-width: 48rem } .lead { font-size: 1.1rem } .notes { color: var(--muted) }
.wide { overflow-x: auto } svg { display: block; height: auto; margin: 1.2rem 0; min-width: 40rem; width: 100% }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .8rem .3rem 0; text-align: left; vertical-align: top }
th { color: var(--muted); font-weight: 600 } .number { text-align: right }
"""


def page(
    title: str, lead: str, into: str, name: str, tables: t.Sequence[Table] = (), notes: t.Sequence[str] = ()
) -> str:
    """Write NAME.html, one file that needs no other: what was found, the picture NAME.svg where there is one, tables.

    :param lead: the answer, in a sentence.
    :returns: the path.
    """
    os.makedirs(into, exist_ok=True)
    drawn, said = os.path.join(into, f"{name}.svg"), html.escape
    parts = [f"<h1>{said(title)}</h1>", f'<p class="lead">{said(lead)}</p>']
    if os.path.exists(drawn):
        with open(drawn, encoding="utf-8") as file:
            text = file.read()
        text = text[text.index("<svg") :].replace("<svg ", f'<svg role="img" aria-label="{said(title)}" ', 1)
        parts.append(f'<div class="wide">{text}</div>')
    for table in tables:
        right = [all(row[column][:1].isdigit() for row in table.rows) for column in range(len(table.head))]
        marks = [' class="number"' if each else "" for each in right]
        head = "".join(f"<th{mark}>{said(text)}</th>" for mark, text in zip(marks, table.head, strict=True))
        rows = "".join(
            f"<tr>{''.join(f'<td{mark}>{said(text)}</td>' for mark, text in zip(marks, row, strict=True))}</tr>"
            for row in table.rows
        )
        parts.append(f'<h2>{said(table.title)}</h2><div class="wide"><table><tr>{head}</tr>{rows}</table></div>')
    if notes:
        parts.append(f'<ul class="notes">{"".join(f"<li>{said(note)}</li>" for note in notes)}</ul>')
    path = os.path.join(into, f"{name}.html")
    with open(path, "w", encoding="utf-8") as file:
        file.write(
            f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
            f"<title>{said(title)}</title><style>{_STYLE}</style>{chr(10).join(parts)}</html>\n"
        )
    return path


def _library(say: Say) -> str:
    """The directory of the cache that has matplotlib for this Python."""
    with open(REQUIREMENTS, "rb") as file:
        identity = hashlib.sha256(file.read() + sys.version.encode()).hexdigest()[:20]
    cache = cache_directory()
    path = os.path.join(cache, f"draw-{identity}")
    if not os.path.isdir(path):
        tools = provide(cache, {}, "", say)
        with making(path) as new:
            if new is not None:
                say("Fetching matplotlib for pictures, once…")
                command = [*tools.pip, "install", "--quiet", "--target", new, "--no-deps", "--require-hashes"]
                command += ["--only-binary=:all:", "--no-compile", "-r", REQUIREMENTS]
                fetch("Fetching matplotlib from the index", command, read_index(tools.pip, {}, "", CONTROL_NODE))
    return path
