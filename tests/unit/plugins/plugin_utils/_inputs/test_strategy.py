"""Of several hosts all have a release or none, which a strategy by which each goes alone can't keep."""

from __future__ import annotations

import types
from pathlib import Path

import pytest
import yaml
from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs.hosts import apart

PLAYBOOKS = Path(__file__).parents[5] / "playbooks"
# They only ask or begin something on one host.
EACH_BY_ITSELF = {"audit.yml", "init.yml", "logs.yml", "run.yml"}


def said(strategy: str, hosts: int) -> str:
    task = types.SimpleNamespace(get_play=lambda: types.SimpleNamespace(strategy=strategy))
    # One that has failed is no longer in the batch, and the next would take itself for the only one.
    every = [f"web{number}" for number in range(hosts)]
    return apart(task, {"inventory_hostname": "web0", "ansible_play_hosts_all": every, "ansible_play_batch": ["web0"]})


@pytest.mark.parametrize("strategy", ["free", "host_pinned", "ansible.builtin.free", "mitogen_free"])
def test_several_hosts_that_go_alone_are_refused_with_what_to_write(strategy: str) -> None:
    told = said(strategy, 2)
    assert told.startswith(f"This play runs by strategy {strategy},") and told.endswith(
        "Write strategy: linear in the play."
    )
    assert said(strategy, 1) == ""


@pytest.mark.parametrize("strategy", ["linear", "ansible.builtin.linear", "debug", "mitogen_linear"])
def test_hosts_that_wait_for_each_other_are_not(strategy: str) -> None:
    assert said(strategy, 3) == ""


@pytest.mark.parametrize("path", sorted(PLAYBOOKS.glob("*.yml")), ids=lambda path: path.name)
def test_a_playbook_of_ours_says_it_itself(path: Path) -> None:
    plays = yaml.safe_load(path.read_text())
    assert {play.get("strategy") for play in plays} == ({None} if path.name in EACH_BY_ITSELF else {"linear"})
