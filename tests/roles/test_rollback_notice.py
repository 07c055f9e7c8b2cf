"""What a rollback says of the inventory's fastapi_serial, by which it doesn't go."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

PLAYBOOK = Path(__file__).resolve().parents[2] / "playbooks" / "rollback.yml"


@pytest.mark.parametrize(
    ("serial", "hosts", "said"),
    [
        (1, ["web1", "web2"], True),
        ([1, "100%"], ["web1", "web2"], True),
        ("50%", ["web1", "web2"], True),
        # All at once, or one host and its balancer.
        ("100%", ["web1", "web2"], False),
        (1, ["web1", "lb1"], False),
        # What a deploy refuses.
        *((bad, ["web1", "web2"], False) for bad in ("all", 0, "0%", "", [], ["x"], True, {"a": 1}, 2.5, None)),
    ],
)
def test_a_rollback_says_that_it_goes_by_no_serial_and_never_fails_for_it(render, tmp_path, serial, hosts, said):
    (play,) = yaml.safe_load(PLAYBOOK.read_text())
    task = play["tasks"][0]
    (tmp_path / "when.j2").write_text(f"{{{{ {' and '.join(f'({each})' for each in task['when'])} }}}}")
    facts = {"fastapi_serial": serial, "ansible_play_batch": hosts, "ansible_play_hosts_all": hosts}
    facts |= {"fastapi_balancers": ["lb1"], **task["vars"]}
    assert render("fastapi", str(tmp_path / "when.j2"), **facts) == str(said)
