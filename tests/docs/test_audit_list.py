"""docs/audit.md has a row for each check that there is, in the words of the code."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.graceful.deploy.plugins.module_utils._audit.findings import CHECKS

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "audit.md"


def test_each_check_is_documented():
    rows = [f"| `{name}` | {check.severity} | {check.looks} | {check.costs} |" for name, check in CHECKS.items()]
    written = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("| `") and line.count(" | ") == 3]
    assert written == rows
