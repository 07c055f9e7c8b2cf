"""Whom the app's site answers by now, and what is left of a balancer."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app.words import MARK
from ansible_collections.graceful.deploy.plugins.module_utils._preflight import gate

PLACES = ["etc/caddy/sites/shop.caddy", "etc/nginx/sites-enabled/zz-graceful-shop.conf"]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("line", "says"), [("# wants {}", "open"), ("# behind lb1 lb2", "behind"), ('# balances {"hosts": []}', "balances")]
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


def test_a_host_that_was_a_balancer_is_refused(tmp_path: Path) -> None:
    params = {"name": "shop", "here": "lb2"}
    assert list(gate.judge_left(params, "open", False)) == list(gate.judge_left(params, "behind", False)) == []
    (site,) = gate.judge_left(params, "balances", False)
    (address,) = gate.judge_left(params, "", True)
    assert "has the site of a balancer of shop still" in site.sentence
    assert "has the shared address of a balancer" in address.sentence
    assert "site.yml with --limit lb2 -e fastapi_state=absent;" in address.sentence
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
