"""What is said of the host's Caddy."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._preflight import caddy as caddy_host
from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs import caddy as caddy_choice


@pytest.mark.parametrize(
    ("text", "writable", "drops"), [("0\n", False, True), ("0\n", True, False), ("1\n", False, False)]
)
def test_a_container_that_drops_requests_in_a_reload_is_told(
    text: str, writable: bool, drops: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda _path, _mode: writable)
    (tmp_path / "tcp_migrate_req").write_text(text)
    assert caddy_host.drops_on_reload(str(tmp_path / "tcp_migrate_req")) is drops
    assert caddy_host.drops_on_reload(str(tmp_path / "none")) is False
    said = caddy_choice.warnings({"own_main": False, "drops_on_reload": drops})
    assert [("--sysctl net.ipv4.tcp_migrate_req=1" in text) for text in said] == [True] * drops
