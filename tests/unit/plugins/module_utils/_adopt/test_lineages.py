"""certbot's certificates on a host: names from the certificate, the way of renewal from its file."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._adopt.lineages import lineages
from ansible_collections.graceful.deploy.plugins.module_utils._adopt.programs import Host

sys.path.append(str(Path(__file__).parents[3]))
from self_signed import self_signed


@pytest.mark.parametrize(
    ("conf", "dns"),
    [
        ("authenticator = nginx\ninstaller = nginx\nserver = https://ca.shop.org/acme\n", False),
        ("authenticator = webroot\nwebroot_path = /var/www,\n", False),
        ("authenticator = dns-cloudflare\n", True),
        ("authenticator = manual\npref_challs = dns-01,\n", True),
        ("# authenticator = dns-x\nauthenticator=standalone\n", False),
        (None, False),
    ],
)
def test_each_with_its_names_and_how_it_is_renewed(tmp_path, conf, dns):
    live, renewal = tmp_path / "etc/letsencrypt/live", tmp_path / "etc/letsencrypt/renewal"
    (live / "shop.org").mkdir(parents=True)
    (live / "README").touch()
    (live / "empty").mkdir()
    renewal.mkdir()
    self_signed(live / "shop.org/fullchain.pem", live / "shop.org/privkey.pem", "DNS:shop.org,DNS:*.shop.org", 60)
    if conf is not None:
        (renewal / "shop.org.conf").write_text(f"[renewalparams]\n{conf}")
    host = Host(lambda _command: (1, "", ""), str(tmp_path))
    server = "https://ca.shop.org/acme" if conf and "server" in conf else ""
    assert lineages(host) == [
        {"path": "/etc/letsencrypt/live/shop.org", "names": ["shop.org", "*.shop.org"], "dns": dns, "server": server}
    ]


def test_a_host_without_certbot_has_none(tmp_path):
    assert lineages(Host(lambda _command: (1, "", ""), str(tmp_path))) == []
