"""Whom the app's site answers by now, and what is left of a balancer."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app.words import MARK
from ansible_collections.graceful.deploy.plugins.module_utils._preflight import gate

PLACES = ["etc/caddy/sites/shop.caddy", "etc/nginx/sites-enabled/zz-graceful-shop.conf"]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("# wants {}", "open"),
        ("# passing lb1 lb2 at 192.0.2.11 2001:db8::12", "passing"),
        ("# returning lb1 lb2 at 192.0.2.11 2001:db8::12", "returning"),
        ("# behind lb1 lb2", "behind"),
        ('# balances {"hosts": []}', "balances"),
    ],
)
def test_a_site_says_whom_it_answers(tmp_path: Path, place: str, line: str, says: str) -> None:
    assert gate.read_site("shop", str(tmp_path)) == ""
    path = tmp_path / place
    path.parent.mkdir(parents=True)
    path.write_text(f"{MARK} (graceful.deploy.x)\n# wants 1\n{line}\nserver # behind nobody\n")
    assert gate.read_site("shop", str(tmp_path)) == says
    # Somebody's own file is no site of ours.
    path.write_text(f"{line}\n")
    assert gate.read_site("shop", str(tmp_path)) == ""


@pytest.mark.parametrize("place", PLACES)
def test_a_site_says_who_its_balancers_are(tmp_path: Path, place: str) -> None:
    path = tmp_path / place
    path.parent.mkdir(parents=True)
    nobody: dict[str, list[str]] = {"names": [], "balancers": []}
    # Those of before this was written say no addresses.
    for line, known in (
        (
            "# behind lb1 lb2 at 192.0.2.11 2001:db8::12",
            {"names": ["lb1", "lb2"], "balancers": ["192.0.2.11", "2001:db8::12"]},
        ),
        ("# behind lb1 lb2", nobody),
        ("# wants {}", nobody),
    ):
        path.write_text(f"{MARK} (graceful.deploy.x)\n{line}\n")
        assert gate.read_balancers("shop", str(tmp_path)) == known


def test_a_host_that_clients_come_to_keeps_its_own_door(monkeypatch: pytest.MonkeyPatch) -> None:
    for direct, site, tls in (
        ("", "behind", "acme"),
        ("auto", "open", "acme"),
        ("auto", "passing", "acme"),
        ("auto", "returning", "acme"),
        ("auto", "behind", "off"),
        ("auto", "", "off"),
        ("served", "behind", "acme"),
        ("refused", "open", "off"),
    ):
        monkeypatch.setattr(gate, "read_site", lambda name, site=site: site)
        params = {"name": "shop", "direct": direct, "tls": "acme", "rate_limit": "20/s", "http_port": 80}
        assert gate.as_served(params)["tls"] == tls, (direct, site)
        assert params["tls"] == "acme"


def test_a_host_that_was_a_balancer_is_refused(tmp_path: Path) -> None:
    params = {"name": "shop", "here": "lb2", "direct": "auto"}
    assert list(gate.judge_left(params, "open", False)) == list(gate.judge_left(params, "behind", False)) == []
    (site,) = gate.judge_left(params, "balances", False)
    (address,) = gate.judge_left(params, "", True)
    assert "has the site of a balancer of shop still" in site.sentence
    assert "has the shared address of a balancer" in address.sentence
    assert "site.yml with --limit lb2 -e fastapi_state=absent;" in address.sentence
    # Of the last ones the clients come to the app's hosts first.
    (last,) = gate.judge_left(params | {"direct": ""}, "balances", False)
    assert "Run site.yml for the app's hosts first, by --limit" in last.sentence
    assert not gate.shares("shop", str(tmp_path))
    (tmp_path / "etc/keepalived/graceful").mkdir(parents=True)
    (tmp_path / "etc/keepalived/graceful/shop.conf").touch()
    assert gate.shares("shop", str(tmp_path))


def test_the_apps_of_a_balancer_are_known(tmp_path: Path) -> None:
    assert gate.balanced(str(tmp_path)) == []
    for name, line in (("shop", "# balances {}"), ("blog-2", "# balances {}"), ("wiki", "# behind lb1"), ("x", "")):
        for place in PLACES:
            path = tmp_path / place.replace("shop", name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{MARK} (graceful.deploy.x)\n{line}\n")
    (tmp_path / "etc/caddy/sites/shop.users").touch()
    assert gate.balanced(str(tmp_path)) == ["blog-2", "shop"]
