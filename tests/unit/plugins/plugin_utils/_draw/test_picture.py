"""What of a picture needs no library: where its labels go, its colours at night, and the page around it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.plugin_utils._draw import plot
from ansible_collections.graceful.deploy.plugins.plugin_utils._draw.picture import REQUIREMENTS, Table, page


@pytest.mark.parametrize(
    ("labels", "rows"),
    [
        ([], []),
        ([(0, 10), (10, 20), (21, 30)], [0, 0, 0]),
        ([(0, 10), (5, 15), (9, 19), (12, 20)], [0, 1, 2, 0]),
        ([(0, 100), (1, 2), (3, 4), (101, 102)], [0, 1, 1, 0]),
    ],
)
def test_labels_that_would_touch_get_rows_of_their_own(labels, rows):
    assert plot.rows_of(labels) == rows


def test_each_colour_has_one_for_the_night():
    written = set(re.findall(r"#[0-9a-f]{6}", Path(plot.__file__).read_text()))
    sheet = plot.dark()
    light = set(re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", sheet))
    assert light | set(re.findall(r"\{\w+:(#[0-9a-f]{6})", sheet)) == written
    assert len(light) == len(written) / 2


def test_the_page_holds_the_picture_and_no_markup_of_an_app(tmp_path):
    (tmp_path / "web1.svg").write_text('<?xml version="1.0"?>\n<!DOCTYPE svg>\n<svg width="1"></svg>\n')
    table = Table("By path", ["path", "sent"], [["/<script>", "1,200"]])
    text = Path(page("shop & co", "0 lost", str(tmp_path), "web1", [table], ["<b>"])).read_text()
    assert '<svg role="img" aria-label="shop &amp; co" width="1">' in text
    assert "<?xml" not in text
    assert "<script>" not in text
    assert "<b>" not in text
    assert '<td class="number">1,200</td>' in text
    assert "<td>/&lt;script&gt;</td>" in text
    assert "<svg" not in Path(page("shop", "0 lost", str(tmp_path), "web2")).read_text()


def test_what_draws_is_pinned_by_hash():
    lines = Path(REQUIREMENTS).read_text()
    assert "matplotlib==" in lines
    for line in re.split(r"(?<!\\)\n", lines):
        assert line.startswith("#") or not line or "--hash=sha256:" in line
