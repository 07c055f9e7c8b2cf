"""Each role's specification, defaults, playbooks and documentation say the same: Ansible doesn't compare them."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path for path in (ROOT / "roles").iterdir() if path.is_dir())


def spec_of(role: Path) -> dict:
    return yaml.safe_load((role / "meta" / "argument_specs.yml").read_text())["argument_specs"]["main"]["options"]


def defaults_of(role: Path) -> dict:
    return yaml.safe_load((role / "defaults" / "main.yml").read_text())


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_defaults_are_the_specified_ones_key_by_key_and_value_by_value(role):
    documented = {name: option["default"] for name, option in spec_of(role).items() if "default" in option}
    assert defaults_of(role) == documented


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_every_variable_has_the_roles_prefix_and_is_required_or_has_a_default(role):
    for name, option in spec_of(role).items():
        assert name.startswith(f"{role.name}_")
        assert bool(option.get("required")) != ("default" in option), name
        assert option["description"], name


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_every_variable_is_used_by_its_role(role):
    text = "".join(
        path.read_text() for folder in ("tasks", "templates", "vars") for path in sorted((role / folder).glob("*"))
    )
    # preflight reads the public variables by the specification itself.
    checked = (ROOT / "plugins" / "module_utils" / "_plan" / "flow.py").read_text()
    for name in spec_of(role):
        planned = role.name == "fastapi" and f'"{name.removeprefix("fastapi_")}"' in checked
        assert re.search(rf"\b{name}\b", text) or planned or name == "fastapi_supervisor", name


@pytest.mark.parametrize("role", [role for role in ROLES if role.name != "fastapi"], ids=lambda role: role.name)
def test_what_fastapi_hands_to_a_role_is_known_to_it(role):
    """Specifications ignore unknown names, so a misspelt one would be lost without a word."""
    handed = set()
    tasks = [yaml.safe_load(path.read_text()) for path in (ROOT / "roles" / "fastapi" / "tasks").glob("*.yml")]
    for task in itertools.chain.from_iterable(tasks):
        include = task.get("ansible.builtin.include_role", {})
        if include.get("name") == f"graceful.deploy.{role.name}":
            handed |= set(task.get("vars", {}))
    assert handed <= set(spec_of(role))
    required = {name for name, option in spec_of(role).items() if option.get("required")}
    assert required <= handed


def test_what_scenarios_and_examples_set_exists():
    known = set(spec_of(ROOT / "roles" / "fastapi")) | {"fastapi_hosts"}
    files = [*ROOT.glob("molecule/*/*.yml"), *ROOT.glob("examples/**/*.yml"), *ROOT.glob("playbooks/*.yml")]
    for path in [*files, ROOT / "README.md"]:
        for name in re.findall(r"\bfastapi_[a-z_]+(?=:)", path.read_text()):
            assert name in known, f"{path.relative_to(ROOT)}: {name}"


def test_the_scenarios_change_nearly_every_variable():
    paths = [ROOT / "molecule" / "consumer" / "converge.yml", *ROOT.glob("molecule/front/sites/*.yml")]
    text = "".join(path.read_text() for path in paths)
    missing = {name for name in spec_of(ROOT / "roles" / "fastapi") if f"{name}:" not in text}
    # An index of one's own needs a server, a version a repository, a build host a compiler: tested where releases are.
    elsewhere = {"fastapi_index_url", "fastapi_version", "fastapi_build_host"}
    # Given by a test, for a run.
    elsewhere |= {"fastapi_state", "fastapi_remove_data", "fastapi_remove_user", "fastapi_maintenance"}
    assert missing == elsewhere
