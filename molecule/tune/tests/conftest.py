"""A host that is measured while it serves: the app and the load of scenario swap; see deploys.py and tunes.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from deploys import *  # noqa: F403
from tunes import *  # noqa: F403

VARIABLES = ("-e", f"@{Path(__file__).resolve().parents[1]}/variables.yml")


@pytest.fixture
def options() -> list[str]:
    return [*VARIABLES]
