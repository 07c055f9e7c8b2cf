"""The Markdown files are right about the repository: links lead somewhere, variables exist, the map is true."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    ROOT / name
    for name in subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    if (ROOT / name).exists()
)
MAP = ROOT / "docs" / "map.md"
# A row of the map: | behaviour | [file](path) `name` `name` |
ROW = re.compile(r"^\| (?P<behaviour>[^|]+) \| \[[^]]+\]\((?P<path>[^)]+)\)(?P<names>[^|]*) \|$", re.MULTILINE)


def prose(path: Path) -> str:
    """The text without blocks of code, in which brackets aren't links."""
    return re.sub(r"^```.*?^```", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)


def anchors(path: Path) -> set[str]:
    """What GitHub makes of the headings."""
    heads = re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).strip().replace(" ", "-") for head in heads}


def broken_links(path: Path) -> list[str]:
    """Relative links that lead to no file of the checkout, or to no heading of it."""
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    return broken


def rows() -> list[re.Match]:
    return list(ROW.finditer(MAP.read_text()))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(path):
    assert broken_links(path) == []


def test_a_broken_link_is_seen(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# A head: `code`\n[a](page.md#a-head-code) [b](gone.md) [c](#gone) [d](https://example.com/)\n")
    assert broken_links(page) == ["gone.md", "#gone"]


def test_every_line_of_the_maps_tables_is_a_row():
    lines = [line for line in MAP.read_text().splitlines() if line.startswith("| ")]
    heads = [line for line in lines if line.startswith(("| behaviour", "| ---"))]
    assert len(rows()) == len(lines) - len(heads)
    assert len(rows()) >= 40


@pytest.mark.parametrize("row", rows(), ids=lambda row: row["behaviour"])
def test_the_map_names_what_is_in_the_file(row):
    path = (MAP.parent / row["path"]).resolve()
    names = re.findall(r"`([^`]+)`", row["names"])
    assert path.is_file()
    assert names
    text = path.read_text()
    for name in names:
        # A function, class or method of Python; elsewhere a word or a line of the file.
        wanted = rf"\b(?:def|class) {name.rpartition('.')[2]}\b" if path.suffix == ".py" else re.escape(name)
        assert re.search(wanted, text), f"{name} isn't in {row['path']}"


def test_every_variable_that_a_guide_names_exists():
    specs = [yaml.safe_load(path.read_text()) for path in ROOT.glob("roles/*/meta/argument_specs.yml")]
    entries = [entry for spec in specs for entry in spec["argument_specs"].values()]
    # Two are the playbooks'.
    known = {name for entry in entries for name in entry.get("options", {})} | {"fastapi_hosts", "fastapi_serial"}
    guides = [path for path in DOCUMENTS if path.parent in (ROOT, ROOT / "docs")]
    used = {(path.name, name) for path in guides for name in re.findall(r"\bfastapi_[a-z_]*[a-z]\b", path.read_text())}
    assert {(path, name) for path, name in used if name not in known} == set()
