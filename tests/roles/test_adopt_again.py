"""A step of adopt.yml that has been done already: nothing of the role runs, nor what comes behind it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

PLAYBOOK = Path(__file__).resolve().parents[2] / "playbooks" / "adopt.yml"


@pytest.mark.parametrize("step", ["beside", "move"])
@pytest.mark.parametrize(("done", "goes"), [({"done": True}, "False"), ({"done": False}, "True"), ({}, "True")])
def test_only_the_first_task_of_a_step_is_run_where_it_was_done(render, tmp_path, step, done, goes):
    """The role would bring the release of app.yml to traffic again after a rollback, and refuses `beside` then."""
    (play,) = yaml.safe_load(PLAYBOOK.read_text())
    (block,) = (task["block"] for task in play["tasks"] if f"== '{step}'" in str(task.get("when")) and "block" in task)
    first, *rest = block
    assert rest
    for task in rest:
        (tmp_path / "when.j2").write_text(f"{{{{ {task['when']} }}}}")
        found = {first["register"]: {"stage": "moved", **done}, "ansible_check_mode": False}
        assert render("fastapi", str(tmp_path / "when.j2"), **found) == goes, task["name"]
