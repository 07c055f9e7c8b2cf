"""Where Ansible asks fewer hosts at once than there are, one of them says what to write."""

from __future__ import annotations

import pytest
from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs.hosts import too_few_forks


def said(host: str, count: int, forks: object = 5) -> str:
    batch = [f"web{number}" for number in range(count)]
    return too_few_forks({"inventory_hostname": host, "ansible_play_batch": batch, "ansible_forks": forks})


def test_the_first_of_too_many_hosts_says_what_to_write() -> None:
    assert said("web0", 12) == (
        "Ansible asks 5 hosts at a time, and this run has 12, so each step takes 3 rounds. Write forks = 12 below "
        "[defaults] in ansible.cfg, or add --forks 12."
    )
    assert "--forks 50." in said("web0", 80)


@pytest.mark.parametrize(
    ("host", "count", "forks"), [("web1", 12, 5), ("web0", 5, 5), ("web0", 12, 12), ("web0", 12, None), ("web0", 0, 5)]
)
def test_nothing_is_said_twice_or_where_there_are_enough(host: str, count: int, forks: object) -> None:
    assert said(host, count, forks) == ""
