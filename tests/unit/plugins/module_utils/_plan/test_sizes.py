# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._plan.sizes import (
    GIB,
    MIB,
    format_size,
    human_size,
    parse_size,
    round_down,
    round_up,
    suggest_size,
)
from hypothesis import given
from hypothesis import strategies as st

SIZES = st.integers(1, 2**50) | st.builds(
    lambda n, unit: n << unit, st.integers(1, 5000), st.sampled_from((10, 20, 30))
)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("150M", 150 * MIB),
        ("1.5G", 3 * GIB // 2),
        ("0.1G", 107374182),
        ("1T", 1 << 40),
        ("4K", 4096),
        ("1073741824", GIB),
        (1073741824, GIB),
        ("007M", 7 * MIB),
        # A float would round this to an even number.
        ("9007199254740993", 2**53 + 1),
    ],
)
def test_reads_systemds_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text",
    ["", " ", "150MB", "150 M", "150m", "1.5", "M", ".5M", "1.M", "-1M", "+1M", "50%", "infinity", "many", "0", "0M", 0]
    + [-5, True, False, None, 1.5, [], "150M\n", "\n150M", "１５０M", "1_000", "1e9", "9" * 5000, "0.0001K"],
)
def test_refuses_the_rest_with_a_sentence(text):
    with pytest.raises(ValueError, match=r"such as [0-9]+[KMGT]") as caught:
        parse_size(text)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("150MB", "150M"),
        ("150 MiB", "150M"),
        ("1.5g", "1.5G"),
        ("2gb", "2G"),
        ("0MB", None),
        ("many", None),
        (150, None),
    ],
)
def test_suggests_what_was_meant(text, meant):
    assert suggest_size(text) == meant
    if meant:
        with pytest.raises(ValueError, match=f"such as {meant}"):
            parse_size(text)


@given(SIZES)
def test_what_is_written_reads_back(size):
    assert parse_size(format_size(size)) == size


@pytest.mark.parametrize(
    ("size", "text"), [(150 * MIB, "150M"), (GIB, "1G"), (1536 * MIB, "1536M"), (1000, "1000"), (0, "0"), (2048, "2K")]
)
def test_writes_the_largest_exact_unit(size, text):
    assert format_size(size) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [(150 * MIB + 3, "150M"), (1536 * MIB, "1536M"), (24 * GIB, "24G"), (int(21.2 * GIB), "21.2G"), (150, "150 bytes")],
)
def test_sizes_in_sentences(size, text):
    assert human_size(size) == text


@given(SIZES, SIZES)
def test_rounding_stays_on_its_side(size, bound):
    low, high = min(size, bound), max(size, bound)
    assert low <= round_down(high, low) <= high
    assert low <= round_up(low, high) <= high
    assert round_down(size) % MIB == round_up(size) % MIB == 0
