"""Each role's specification, defaults, playbooks and documentation say the same: Ansible doesn't compare them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path for path in (ROOT / "roles").iterdir() if path.is_dir())
# Read by the playbooks before any host's variables.
PLAYBOOKS = {"fastapi_hosts"}
# What one role registers for the next.
REGISTERED = {"release_result"}


def entries_of(role: Path) -> dict:
    return yaml.safe_load((role / "meta" / "argument_specs.yml").read_text())["argument_specs"]


def spec_of(role: Path) -> dict:
    return entries_of(role)["main"]["options"]


SPEC = spec_of(ROOT / "roles" / "fastapi")
DEFAULTS = yaml.safe_load((ROOT / "roles" / "fastapi" / "defaults" / "main.yml").read_text())


def text_of(role: Path) -> str:
    return "".join(
        path.read_text() for folder in ("tasks", "templates", "vars") for path in sorted((role / folder).glob("*"))
    )


def test_what_is_made_from_the_one_specification_is_up_to_date():
    command = [sys.executable, ROOT / "scripts" / "docs", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_every_role_has_the_words_meanings_and_defaults_of_the_one_specification(role):
    for entry, spec in entries_of(role).items():
        for name, option in spec["options"].items():
            assert name.startswith("fastapi_")
            assert option["description"], name
            # What is for an entry point alone is given to it, so that it leaves no name behind in the play.
            # A computed default is in defaults/main.yml alone.
            assert bool(option.get("required")) != (name in DEFAULTS) or name not in SPEC, name
            assert "default" not in option or name in SPEC, f"{entry}: {name}"
            if name in SPEC:
                assert option.get("default") == SPEC[name].get("default")
                assert option["type"] == SPEC[name]["type"]


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_every_variable_that_a_role_uses_is_an_option_of_its(role):
    """A misspelt one would be undefined in one branch of a template, one day."""
    used = set(re.findall(r"\b(?<!\.)fastapi_[a-z_]+\b(?!\()", text_of(role)))
    known = {name for spec in entries_of(role).values() for name in spec["options"]}
    # Handed by role fastapi to others.
    known |= {"fastapi_found", "fastapi_front_port"} if role.name == "fastapi" else set()
    # The playbooks' own, by which these tell which host takes the pushes, and to which it deploys.
    known |= PLAYBOOKS if role.name in ("caddy", "nginx", "webhook") else set()
    assert used - known == set()


def test_every_variable_is_used_by_some_role():
    text = "".join(text_of(role) for role in ROLES)
    # preflight reads the public variables by the specification itself.
    for name in SPEC:
        assert re.search(rf"\b{name}\b", text), name


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_every_tasks_file_that_others_may_name_has_a_specification(role):
    """Those that the role itself takes in are its own."""
    text = "".join(path.read_text() for path in (role / "tasks").glob("*.yml"))
    included = set(re.findall(r"(?:include|import)_tasks: (\w+)\.yml", text))
    included |= {name for pair in re.findall(r"'(\w+)' if .* else '(\w+)' }}\.yml", text) for name in pair}
    named = set(re.findall(rf"graceful\.deploy\.{role.name}(?:,\s*|\n\s*)tasks_from: (\w+)", everything()))
    files = {path.stem for path in (role / "tasks").glob("*.yml")}
    assert named <= set(entries_of(role)) <= files
    assert files - included <= set(entries_of(role))


def everything() -> str:
    files = [*ROOT.glob("roles/*/tasks/*.yml"), *ROOT.glob("playbooks/*.yml"), *ROOT.glob("examples/*.yml")]
    return "".join(path.read_text() for path in files)


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_names_say_whose_they_are(role):
    """A role's constants begin with _ROLE_, what it registers with __ROLE_: all roles of a host share their names."""
    constants = role / "vars" / "main.yml"
    for name in yaml.safe_load(constants.read_text()) if constants.exists() else []:
        assert name.startswith(f"_{role.name}_")
    for name in re.findall(r"register: (\w+)", text_of(role)):
        assert name.startswith(f"__{role.name}_") or name in REGISTERED


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_nothing_of_ansibles_markup_is_left_in_the_readme(role):
    text = (role / "README.md").read_text()
    assert re.findall(r"\b(?:[BCEILMOPRUV]|RV)\([^)]*\)", text) == []


def test_what_scenarios_and_examples_set_exists():
    known = {name for role in ROLES for spec in entries_of(role).values() for name in spec["options"]} | PLAYBOOKS
    files = [*ROOT.glob("molecule/*/*.yml"), *ROOT.glob("examples/**/*.yml"), *ROOT.glob("playbooks/*.yml")]
    for path in [*files, ROOT / "README.md"]:
        for name in re.findall(r"\bfastapi_[a-z_]+(?=:)", path.read_text()):
            assert name in known, f"{path.relative_to(ROOT)}: {name}"


def test_the_scenarios_change_nearly_every_variable():
    paths = [ROOT / "molecule" / "consumer" / "converge.yml", *ROOT.glob("molecule/front/sites/*.yml")]
    paths += [ROOT / "molecule" / "processes" / "variables.yml", *ROOT.glob("molecule/push/*.yml")]
    text = "".join(path.read_text() for path in paths)
    missing = {name for name in SPEC if f"{name}:" not in text}
    # An index of one's own, and one that tells of days or has old versions, needs a server, a version a repository, a
    # build host a compiler: tested where releases are. Oxmgr is nothing that the tests can fetch.
    elsewhere = {
        "fastapi_index_url",
        "fastapi_packages_until",
        "fastapi_versions",
        "fastapi_version",
        "fastapi_build_host",
        "fastapi_oxmgr",
    }
    # One host, its first branch and a secret that it makes are what most have: what else there may be, templates show.
    elsewhere |= {"fastapi_webhook_host", "fastapi_webhook_branch", "fastapi_webhook_secret"}
    # Scenario fleet's inventory has them.
    elsewhere |= {"fastapi_balancers", "fastapi_balancer_address", "fastapi_address", "fastapi_direct"}
    # Given by a test, for a run.
    elsewhere |= {
        "fastapi_serial",
        "fastapi_state",
        "fastapi_remove_data",
        "fastapi_remove_user",
        "fastapi_maintenance",
    }
    assert missing == elsewhere
