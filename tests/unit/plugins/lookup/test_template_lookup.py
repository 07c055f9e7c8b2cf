"""The lookup that renders a role's templates."""

from __future__ import annotations

import typing as t
from pathlib import Path

from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template


class Large(dict[str, t.Any]):
    """What a host has told, which nobody needs a second time."""

    def __deepcopy__(self, memo: object) -> t.NoReturn:
        raise AssertionError("all variables were copied")


def test_a_template_is_rendered_from_typed_variables_without_a_copy_of_all(tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "port.j2").write_text("{{ fastapi_http_port + 1 }} {{ found.kernel }}")
    variables = {"fastapi_http_port": "8080", "found": Large(kernel="6.1"), "ansible_search_path": [str(tmp_path)]}
    templar = Templar(DataLoader(), variables)
    said = templar.template(trust_as_template("{{ lookup('graceful.deploy.template', 'port.j2') }}"))
    assert said == "8081 6.1"
    assert variables["ansible_search_path"] == [str(tmp_path)]
