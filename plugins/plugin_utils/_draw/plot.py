# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A program of its own, which draws what ``picture.py`` describes: ``plot.py FILE.json``. It alone uses matplotlib."""

from __future__ import annotations

import json
import sys
import typing as t

# Each colour as it is on a light and on a dark page.
BACK, INK, MUTED, GRID = ("#ffffff", "#0d1117"), ("#1f2328", "#e6edf3"), ("#59636e", "#9198a1"), ("#d1d9e0", "#3d444d")
SHADES = [("#e8edf2", "#262c34"), ("#f3f6f8", "#1b2027")]
"""In turn, so that two stretches side by side are told apart."""
LINES = [
    ("#0969da", "#58a6ff"),
    ("#bc4c00", "#f0883e"),
    ("#1a7f37", "#3fb950"),
    ("#8250df", "#bc8cff"),
    ("#cf222e", "#ff7b72"),
    ("#1b7c83", "#39c5cf"),
]
WIDTH, HEADER, PANEL, ROW = 9.0, 0.62, 2.1, 0.16
"""Inches: of the picture, of its title, of a panel, and of a row of labels above one."""


def dark() -> str:
    """A style sheet that turns each light colour into its dark one, where the reader's page is dark."""
    pairs = [BACK, INK, MUTED, GRID, *SHADES, *LINES]
    rules = "".join(
        f'[style*="{kind}: {light}"]{{{kind}:{to} !important}}' for light, to in pairs for kind in ("fill", "stroke")
    )
    return f"<style>@media (prefers-color-scheme: dark){{{rules}}}</style>"


def rows_of(labels: t.Sequence[tuple[float, float]]) -> list[int]:
    """The lowest row for each label in which it touches none before it.

    :param labels: where each begins and ends, in any unit.
    """
    ends: list[float] = []
    rows = []
    for begin, end in labels:
        row = next((number for number, last in enumerate(ends) if last <= begin), len(ends))
        ends[row : row + 1] = [end]
        rows.append(row)
    return rows


def main(path: str) -> None:
    with open(path, encoding="utf-8") as file:
        what = json.load(file)
    sys.path.insert(0, what["library"])
    import matplotlib  # type: ignore[import-not-found]
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # type: ignore[import-not-found]
    from matplotlib.figure import Figure  # type: ignore[import-not-found]

    # Names of users' paths and apps aren't formulas. A salt, so that the same figures are the same file.
    matplotlib.rcParams.update({"text.parse_math": False, "svg.hashsalt": "graceful", "font.size": 9})
    panels = what["panels"]
    figure = Figure(figsize=(WIDTH, HEADER + PANEL * len(panels)), facecolor=BACK[0])
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axis, panel in zip(axes, panels, strict=True):
        _panel(axis, panel)
    axes[-1].set_xlabel(what["x_label"], color=INK[0])
    # Labels above a panel need rows of their own; how many is known when the axis is.
    figure.subplots_adjust(left=0.09, right=0.8)
    rows = [_labels(axis, panel) for axis, panel in zip(axes, panels, strict=True)]
    _place(figure, axes, rows, what)
    svg, png = what["files"]
    figure.savefig(png, dpi=160, facecolor=BACK[0])
    figure.savefig(svg, facecolor=BACK[0], metadata={"Date": None})
    with open(svg, encoding="utf-8") as file:
        drawn = file.read()
    head, end, rest = drawn.partition("<defs>")
    with open(svg, "w", encoding="utf-8") as file:
        file.write(f"{head}{dark()}{end}{rest}")


def _panel(axis: t.Any, panel: dict[str, t.Any]) -> None:
    axis.set_facecolor(BACK[0])
    axis.set_ylabel(panel["label"], color=INK[0])
    axis.tick_params(colors=MUTED[0], length=3)
    axis.grid(axis="y", color=GRID[0], linewidth=0.6)
    axis.set_axisbelow(True)
    for side, spine in axis.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(GRID[0])
    for number, span in enumerate(panel["spans"]):
        axis.axvspan(span["begin"], span["end"], color=SHADES[number % 2][0], linewidth=0, zorder=0)
    for mark in panel["marks"]:
        axis.axvline(mark["x"], color=MUTED[0], linewidth=1, linestyle=(0, (2, 2)), zorder=1)
    for number, line in enumerate(panel["lines"]):
        color = LINES[(number if line["color"] is None else line["color"]) % len(LINES)][0]
        y = [float("nan") if value is None else value for value in line["y"]]
        look: dict[str, t.Any] = {"color": color, "label": line["label"], "linewidth": 1.6}
        if line["style"] == "dots":
            look |= {"linestyle": "none", "marker": "o", "markersize": 3.2, "markeredgewidth": 0}
        elif line["style"] == "dashed":
            look |= {"linestyle": (0, (4, 2))}
        elif line["style"] == "steps":
            look |= {"drawstyle": "steps-post"}
        elif len(y) <= 32:
            look |= {"marker": "o", "markersize": 3.5}
        axis.plot(line["x"], y, **look)
    if panel["log"]:
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter(lambda value, _place: f"{value:,.10g}")
    else:
        axis.yaxis.set_major_formatter(lambda value, _place: f"{value:,.10g}")
        axis.set_ylim(bottom=panel["bottom"])
    if panel["top"] is not None:
        axis.set_ylim(top=panel["top"])
    if panel["ticks"]:
        axis.set_xticks([place for place, _text in panel["ticks"]], [text for _place, text in panel["ticks"]])
    if any(line["label"] for line in panel["lines"]):
        axis.legend(
            loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, labelcolor=INK[0], borderaxespad=0, fontsize=8
        )


def _labels(axis: t.Any, panel: dict[str, t.Any]) -> int:
    """Write those of marks and spans above the panel, each in a row where it has room; how many rows that takes."""
    renderer = axis.figure.canvas.get_renderer()
    low, high = axis.get_xlim()
    left, right = axis.transData.transform((low, 0))[0], axis.transData.transform((high, 0))[0]
    wanted = [(span["begin"], span["end"], span["label"]) for span in panel["spans"] if span["label"]]
    wanted += [(mark["x"], mark["x"], mark["label"]) for mark in panel["marks"] if mark["label"]]
    texts, places = [], []
    for begin, end, label in sorted(wanted):
        text = axis.text(0, 0, label, color=MUTED[0], fontsize=7.5, ha="left", va="bottom", clip_on=False)
        width = text.get_window_extent(renderer).width
        center = axis.transData.transform(((begin + end) / 2, 1))[0]
        at = min(max(center - width / 2, left), max(right - width, left))
        texts.append((text, at))
        places.append((at, at + width + 6))
    rows = rows_of(places)
    for (text, at), row in zip(texts, rows, strict=True):
        text.set_position(((at - left) / (right - left), 1.0))
        text.set_transform(axis.transAxes + _points(axis, 2 + row * ROW * 72))
    return max(rows, default=-1) + 1


def _points(axis: t.Any, up: float) -> t.Any:
    from matplotlib.transforms import ScaledTranslation  # type: ignore[import-not-found]

    return ScaledTranslation(0, up / 72, axis.figure.dpi_scale_trans)


def _place(figure: t.Any, axes: t.Sequence[t.Any], rows: list[int], what: dict[str, t.Any]) -> None:
    """Give each panel its height and the room above it, and the picture its title."""
    above = [0.14 + ROW * count for count in rows]
    foot, between = 0.5, 0.16
    header = HEADER if what["subtitle"] else HEADER - 0.2
    height = header + sum(above) + (PANEL - 0.4) * len(axes) + between * (len(axes) - 1) + foot
    figure.set_size_inches(WIDTH, height)
    top = height - header
    for axis, room in zip(axes, above, strict=True):
        top -= room
        axis.set_position((0.09, (top - (PANEL - 0.4)) / height, 0.71, (PANEL - 0.4) / height))
        top -= PANEL - 0.4 + between
    figure.text(0.015, 1 - 0.12 / height, what["title"], va="top", fontsize=12, fontweight="bold", color=INK[0])
    if what["subtitle"]:
        figure.text(0.015, 1 - 0.38 / height, what["subtitle"], va="top", fontsize=9, color=MUTED[0])


if __name__ == "__main__":
    main(sys.argv[1])
