"""An environment's values reach the app as they stand in the file, or the run stops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible.template import Templar
from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs import variables


def found(path: Path, text: str, secret: bytes = b"", variable: str = "env") -> list[tuple[str, str]]:
    """The problems of fastapi_env, or of another variable, in a file of variables."""
    file, loader = path / "app.yml", DataLoader()
    if secret:
        loader.set_vault_secrets([("default", VaultSecret(secret))])
        file.write_bytes(VaultLib(loader._vault.secrets).encrypt(text))
    else:
        file.write_text(text)
    given: dict[str, Any] = loader.load_from_file(str(file))
    templar = Templar(loader=loader, variables=given)
    read = variables.Variables({}, given, templar, loader.get_text_file_contents)
    values, problems = read.values({variable})
    assert variable in values
    return problems


CHANGED = [
    "0644",
    "1_000",
    "0x1F",
    "0b11",
    "12:30",
    "1.10",
    "1.0e+3",
    ".inf",
    "+5",
    "007",
    "yes",
    "No",
    "on",
    "OFF",
    "True",
]
KEPT = [
    "8080",
    "-1",
    "0",
    "1.5",
    "true",
    "false",
    "1e3",
    "08",
    "'0644'",
    '"yes"',
    "!!str 0644",
    "1,000",
    "1.2.3",
    "abc",
]


@pytest.mark.parametrize(
    "form", ["fastapi_env:\n  NAME: {}\n", "fastapi_env:\n  NAME:   {}  # why\n", "fastapi_env: {{NAME: {}}}\n"]
)
@pytest.mark.parametrize("value", CHANGED)
def test_what_yaml_would_change_is_refused_without_being_shown(tmp_path: Path, value: str, form: str) -> None:
    """MODE: 0644 had become 420 without a word."""
    ((name, sentence),) = found(tmp_path, form.format(value))
    assert name == "env['NAME']" and sentence.startswith("fastapi_env['NAME']: YAML takes it")
    assert sentence.endswith("Put it in quotes.")


@pytest.mark.parametrize("form", ["fastapi_env:\n  NAME: {}\n", "fastapi_env:\n  'NAME': {}\n"])
@pytest.mark.parametrize("value", KEPT)
def test_what_reaches_the_app_as_it_is_written_goes_through(tmp_path: Path, value: str, form: str) -> None:
    assert found(tmp_path, form.format(value)) == []


def test_what_a_template_makes_is_left_alone(tmp_path: Path) -> None:
    text = "port: 80\nfastapi_env:\n  PORT: '{{ port }}'\n  SUM: '{{ port + 8 }}'\n  BOTH: '{{ 1 == 1 }}'\n  N: null\n"
    assert found(tmp_path, text) == []


def test_an_encrypted_file_is_no_way_around(tmp_path: Path) -> None:
    assert [name for name, _sentence in found(tmp_path, "fastapi_env: {MODE: 0644}\n", b"secret")] == ["env['MODE']"]


@pytest.mark.parametrize("value", CHANGED)
def test_what_yaml_would_change_of_a_processs_own_environment_is_refused_too(tmp_path: Path, value: str) -> None:
    text = f"fastapi_processes:\n  worker:\n    command: celery\n    env: {{NAME: {value}, GOOD: '1'}}\n  other: {{}}\n"
    ((name, sentence),) = found(tmp_path, text, variable="processes")
    assert name == "processes"
    assert sentence.startswith("fastapi_processes['worker']['env']['NAME']: YAML takes it")


@pytest.mark.parametrize("value", [*KEPT, "'{{ 1 == 1 }}'"])
def test_what_reaches_a_process_as_it_is_written_goes_through(tmp_path: Path, value: str) -> None:
    text = f"fastapi_processes:\n  worker:\n    env: {{NAME: {value}}}\n"
    assert found(tmp_path, text.replace("1,000", "'1,000'"), variable="processes") == []


def test_a_template_in_a_process_that_fails_shows_no_secret(tmp_path: Path) -> None:
    text = "part: k4n4ry\nfastapi_processes:\n  worker: {env: {A: '{{ part | from_json }}'}}\n"
    loader = DataLoader()
    (tmp_path / "app.yml").write_text(text)
    given = loader.load_from_file(str(tmp_path / "app.yml"), trusted_as_template=True)
    read = variables.Variables({}, given, Templar(loader=loader, variables=given), loader.get_text_file_contents)
    values, ((name, sentence),) = read.values({"processes"})
    assert (name, values) == ("processes", {})
    assert "may hold the secret" in sentence and "k4n4ry" not in sentence
