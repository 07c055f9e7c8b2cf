"""The lookup that renders a role's templates; tests/roles has what comes of it."""

from __future__ import annotations

import copy
import typing as t

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.graceful.deploy.plugins.lookup import template


class Large(dict[str, t.Any]):
    """What a host has told, which nobody needs a second time."""

    def __deepcopy__(self, memo: object) -> t.NoReturn:
        raise AssertionError("all variables were copied")


class Core:
    """As Ansible's own lookup begins."""

    def run(self, terms: list[str], variables: dict[str, t.Any], template_vars: dict[str, t.Any]) -> list[t.Any]:
        own = copy.deepcopy(variables)
        own.update(template_vars)
        return [own]


def test_variables_are_typed_and_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template.lookup_loader, "get", lambda *_args, **_more: Core())
    variables = {"fastapi_http_port": "8080", "found": Large(kernel="6.1")}
    templar = Templar(DataLoader(), variables)
    (own,) = template.LookupModule(loader=templar._loader, templar=templar).run(["port.j2"], variables)
    assert own == {"fastapi_http_port": 8080, "found": {"kernel": "6.1"}}
    assert variables["fastapi_http_port"] == "8080"
