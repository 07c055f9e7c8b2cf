"""certificate.sh: which certificate nginx has until the authority's own is there; acme.sh, which asks for that."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

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


def test_one_that_ends_within_a_day_is_better_than_none(keep, tmp_path):
    """Some authorities' certificates are for a day."""
    good = lineage(tmp_path, "shop.org", "DNS:shop.org", 1)
    assert keep("acme", "shop.org") == good


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


PROBLEM = """Certbot failed to authenticate some domains (authenticator: webroot).
The Certificate Authority reported these problems:
  Domain: shop.org
  Type:   {}
  Detail: 192.0.2.10: Invalid response from http://shop.org/.well-known/acme-challenge/x: 404
"""


@pytest.fixture
def acme(tmp_path):
    """Runs acme.sh with a certbot that says these things, one each time, before it succeeds: how often it was asked."""
    text = (TOP / "roles/nginx/files/acme.sh").read_text()
    for place in ("nginx/graceful/shop", "letsencrypt"):
        (tmp_path / place).mkdir(parents=True)
        text = text.replace(f"/etc/{place.removesuffix('/shop')}", str(tmp_path / place.removesuffix("/shop")))
    (tmp_path / "acme.sh").write_text(text)
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "systemctl").write_text("#!/bin/sh\n")
    (programs / "certbot").write_text(
        f"#!/bin/sh\necho x >>{tmp_path}/asked\n"
        f'said={tmp_path}/$(wc -l <{tmp_path}/asked).said\n[ ! -e "$said" ] || {{ cat "$said"; exit 1; }}\n'
    )
    for program in programs.iterdir():
        program.chmod(0o755)

    def run(again: str, *says: str) -> tuple[int, subprocess.CompletedProcess[str]]:
        (tmp_path / "asked").write_text("")
        for number, words in enumerate(says, start=1):
            (tmp_path / f"{number}.said").write_text(words)
        words = ["sh", tmp_path / "acme.sh", "shop", "https://acme.test/d", "me@shop.org", "", again, "shop.org"]
        done = subprocess.run(
            words, env={"PATH": f"{programs}:/usr/bin:/bin"}, timeout=60, capture_output=True, text=True
        )
        return (tmp_path / "asked").read_text().count("x"), done

    return run


def test_a_certificate_is_asked_for_once(acme):
    asked, done = acme("")
    assert (asked, done.returncode, done.stdout) == (1, 0, "issued\n")


@pytest.mark.parametrize("kind", ["unauthorized", "connection"])
def test_where_the_other_balancer_answered_it_is_asked_for_once_more(acme, kind):
    said = PROBLEM.format(kind)
    asked, done = acme("0.01", said)
    assert (asked, done.returncode) == (2, 0), done
    asked, done = acme("0.01", said, said)
    assert (asked, done.returncode) == (2, 1) and "No certificate for shop.org" in done.stderr and said in done.stderr


@pytest.mark.parametrize(
    ("again", "said"),
    [
        ("", PROBLEM.format("unauthorized")),
        ("0.01", PROBLEM.format("dns")),
        ("0.01", PROBLEM.format("unauthorized") + "  Domain: b.org\n  Type:   dns\n"),
        ("0.01", "There were too many requests of a given type :: too many failed authorizations recently"),
    ],
)
def test_what_another_attempt_would_not_change_is_asked_once(acme, again, said):
    """Authorities count what fails."""
    asked, done = acme(again, said)
    assert (asked, done.returncode) == (1, 1) and said.strip() in done.stderr


def test_the_words_of_a_failure_come():
    """With `until` the task fails by itself, whatever failed_when says, and nothing says why."""
    tasks = yaml.safe_load((TOP / "roles/nginx/tasks/main.yml").read_text())
    asks, says = tasks[-2:]
    assert asks["failed_when"] is False and not {"until", "retries"} & asks.keys()
    assert says["ansible.builtin.fail"]["msg"] == "{{ __nginx_acme.stderr }}"
