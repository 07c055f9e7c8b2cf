"""certificate.sh: which certificate nginx has until the authority's own is there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
sys.path.append(str(TOP / "tests" / "unit"))
from self_signed import self_signed  # noqa: E402


@pytest.fixture
def keep(tmp_path):
    """Run what the service does once; where the app's certificate is then."""
    text = (TOP / "roles/nginx/files/certificate.sh").read_text().partition("# An app that gets")[0]
    for place in ("nginx/graceful", "letsencrypt"):
        (tmp_path / place).mkdir(parents=True)
        text = text.replace(f"/etc/{place}", str(tmp_path / place))
    (tmp_path / "nginx/graceful/shop").mkdir()
    program = tmp_path / "certificate.sh"
    program.write_text(f'{text}\nsystemctl() {{ false; }}\nauthority\nkeep "$@"\n')

    def run(kind: str, *names: str) -> str:
        subprocess.run(["sh", program, "shop", kind, *names], check=True, timeout=60, capture_output=True)
        return str((tmp_path / "nginx/graceful/shop/tls").readlink())

    return run


def lineage(tmp_path: Path, name: str, names: str, days: int = 60) -> str:
    place = tmp_path / "letsencrypt/live" / name
    place.mkdir(parents=True)
    self_signed(place / "fullchain.pem", place / "privkey.pem", names, days)
    return str(place)


def test_certbots_own_is_served_until_ours_is_there(keep, tmp_path):
    lineage(tmp_path, "a-other", "DNS:other.org")
    lineage(tmp_path, "b-old", "DNS:shop.org,DNS:www.shop.org", 1)
    lineage(tmp_path, "c-part", "DNS:shop.org")
    good = lineage(tmp_path, "shop.org", "DNS:shop.org,DNS:www.shop.org,DNS:more.shop.org")
    assert keep("acme", "shop.org", "www.shop.org") == good
    # As it is the next time, and where it isn't wanted.
    assert keep("acme", "shop.org", "www.shop.org") == good
    assert keep("internal", "shop.org", "www.shop.org") == "own"


def test_without_one_it_is_the_hosts_own(keep, tmp_path):
    lineage(tmp_path, "c-part", "DNS:shop.org")
    assert keep("acme", "shop.org", "www.shop.org") == "own"


def test_a_wildcard_is_for_one_label(keep, tmp_path):
    lineage(tmp_path, "a-deep", "DNS:shop.org,DNS:*.org")
    good = lineage(tmp_path, "b-wild", "DNS:*.shop.org,DNS:shop.org")
    assert keep("acme", "shop.org", "www.shop.org") == good
    assert keep("internal", "shop.org") == "own"
    assert keep("acme", "shop.org", "a.b.shop.org") == "own"


def test_several_that_have_a_name_each_are_none(keep, tmp_path):
    lineage(tmp_path, "shop.org", "DNS:shop.org")
    lineage(tmp_path, "www.shop.org", "DNS:www.shop.org")
    assert keep("acme", "shop.org", "www.shop.org") == "own"
