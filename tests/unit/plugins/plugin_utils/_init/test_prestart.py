"""What is run before an app by its own scripts, and may have to be on a host."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.plugin_utils._init.prestart import before, commands
from ansible_collections.graceful.deploy.plugins.plugin_utils._init.written import Written


@pytest.fixture
def top(tmp_path: Path) -> Path:
    for name in ("scripts/create_tables.py", "app/initial_data.py", "app/main.py", "app/helper.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
    return tmp_path


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("#!/bin/sh\nset -e\npython ./scripts/create_tables.py\n", ["python scripts/create_tables.py"]),
        ("python3 -m app.initial_data && exec gunicorn app.main:app\n", ["python -m app.initial_data"]),
        # Where a container has the source.
        ("  poetry run python /code/app/initial_data.py\n", ["python app/initial_data.py"]),
        # What serves, what there isn't, what makes nothing, and what is said in passing.
        ("python app/main.py\npython other/init_db.py\npython -m app.helper\n# python app/initial_data.py\n", []),
        ("echo python app/initial_data.py\npython -c 'import app.initial_data'\n", []),
    ],
)
def test_what_a_script_runs_of_the_sources_own(top: Path, text: str, found: list[str]) -> None:
    assert commands(text, os.fspath(top)) == found


def test_it_is_told_with_where_it_belongs(top: Path) -> None:
    out = Written()
    before(out, os.fspath(top))
    assert out.text == "" and not out.notes
    (top / "scripts" / "prestart.sh").write_text("python ./scripts/create_tables.py\npython app/initial_data.py\n")
    before(out, os.fspath(top))
    said = out.text.replace("\n# ", " ")
    assert "scripts/prestart.sh runs `python scripts/create_tables.py` and `python app/initial_data.py` before" in said
    assert "fastapi_before_swap: [python scripts/create_tables.py, python app/initial_data.py]" in said
    assert len(out.notes) == 1
