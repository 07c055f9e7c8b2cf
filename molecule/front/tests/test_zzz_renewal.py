"""Certificates that end are replaced in time."""

from __future__ import annotations

import re

from test_certificates import asked, certificate, serial


def test_a_certificate_is_renewed(door):
    """They last six minutes. certbot is started as its timer does. Caddy looks every ten minutes, and when it starts;
    from 2.7 on it keeps what it has over a reload. Last, so that the other tests' time is part of the wait."""
    start = "systemctl start certbot.service" if door.proxy == "nginx" else "systemctl restart caddy"
    # Caddy renews in the last third, certbot in the last half (from 4.0 on) or at any time.
    seconds = 170 if door.proxy == "nginx" else 110
    shown = "echo | openssl s_client -connect 127.0.0.1:443 -servername shop.test 2>/dev/null"
    due = f"{shown} | openssl x509 -noout -checkend {seconds}"
    before = serial(certificate(door, "shop.test"))
    door.ask.until("the renewal is due", lambda: door.ask.host.run(due).rc == 1, 300)
    door.ask.run(start)

    def renewed() -> bool:
        found = re.search(r"Serial Number:\s+(\S+)", certificate(door, "shop.test"))
        return bool(found) and found[1] != before

    door.ask.until("another certificate is shown", renewed, 60)
    assert asked(door, "https://shop.test/health", "%{http_code}") == "200"
