"""Which hosts of a fleet move together."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.graceful.deploy.plugins.filter.batches import in_batches as batches
from hypothesis import given
from hypothesis import strategies as st

HOSTS = [f"web{number}" for number in range(1, 9)]


@pytest.mark.parametrize(
    ("serial", "sizes"),
    [
        ([1, "100%"], [1, 7]),
        (1, [1] * 8),
        ("3", [3, 3, 2]),
        ("100%", [8]),
        (["1", "25%", "50%"], [1, 2, 4, 1]),
        ('[1, "50%"]', [1, 4, 3]),
        ("[1, 50%]", [1, 4, 3]),
        ("5%", [1] * 8),
    ],
)
def test_a_canary_first_and_then_the_rest(serial, sizes):
    assert [len(batch) for batch in batches(HOSTS, serial)] == sizes


@pytest.mark.parametrize("serial", [0, "0%", "101%", "some", None, [], [1, "x"], True, -1])
def test_what_is_no_number_of_hosts_is_told(serial):
    with pytest.raises(AnsibleFilterError, match="fastapi_serial: "):
        batches(HOSTS, serial)


@given(st.lists(st.text(min_size=1), unique=True), st.lists(st.integers(1, 5), min_size=1))
def test_each_host_moves_once_in_its_order(hosts, serial):
    found = batches(hosts, serial)
    assert [host for batch in found for host in batch] == hosts
    assert all(found)
