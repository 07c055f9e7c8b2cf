"""Certificates and what comes with them: where they are from, that they are renewed, what is redirected."""

from __future__ import annotations

import re

import pytest

ROOT_CERTIFICATE = "/etc/front/acme-root.pem"


def certificate(door, name: str) -> str:
    """The certificate that is shown for a name: its text, with serial number and dates."""
    return door.ask.host.run(
        f"echo | openssl s_client -connect 127.0.0.1:443 -servername {name} 2>/dev/null | openssl x509 -noout -text"
    ).stdout


def serial(text: str) -> str:
    return re.search(r"Serial Number:\s+(\S+)", text)[1]


def asked(door, url: str, tell: str, *words: str) -> str:
    """What curl tells of an answer, trusting the authority alone."""
    return door.curl("--cacert", ROOT_CERTIFICATE, "-o", "/dev/null", "-w", tell, *words, url)


@pytest.mark.core
@pytest.mark.parametrize("name", ["shop.test", "alias.test", "www.shop.test"])
def test_the_authority_certified_each_name(door, name):
    out = asked(door, f"https://{name}/health", "%{http_code}")
    assert out == ("308" if name.startswith("www") else "200")


@pytest.mark.core
def test_plain_http_is_sent_to_https(door):
    for name in ("shop.test", "alias.test"):
        out = door.curl("-o", "/dev/null", "-w", "%{http_code} %{redirect_url}", f"http://{name}/a/b?c=d%20e")
        assert out == f"308 https://{name}/a/b?c=d%20e"


@pytest.mark.core
def test_www_is_sent_to_the_first_domain(door):
    told = asked(door, "https://www.shop.test/a?b=c", "%{http_code} %{redirect_url}")
    assert told == "308 https://shop.test/a?b=c"
    said = asked(door, "http://www.shop.test/health?b=c", "%{url_effective}", "-L")
    assert said.endswith("https://shop.test/health?b=c")


@pytest.mark.core
def test_hsts_where_it_is_wanted_and_on_https_alone(door):
    assert door.get("/seen", "shop").headers["strict-transport-security"] == "max-age=3600"
    assert "strict-transport-security" not in door.get("/seen", "vault").headers
    plain = door.curl("-D", "-", "-o", "/dev/null", "http://shop.test/").lower()
    assert "strict-transport-security" not in plain


@pytest.mark.core
def test_http2(door):
    assert asked(door, "https://shop.test/", "%{http_version}", "--http2") == "2"


def test_http3(door, differs):
    if door.proxy == "nginx":
        differs("http3")
        return
    assert "h3=" in door.get("/seen", "shop").headers["alt-svc"]
    if "HTTP3" in door.curl("--version"):
        assert asked(door, "https://shop.test/", "%{http_version}", "--http3-only") == "3"
    else:
        assert door.ask.run("ss -Hlun sport = :443").strip()


def test_old_tls_is_refused(door):
    for version, status in (("tls1_1", False), ("tls1_2", True), ("tls1_3", True)):
        done = door.ask.host.run(
            f"echo | openssl s_client -connect 127.0.0.1:443 -servername vault.test -{version} -cipher ALL:@SECLEVEL=0"
        )
        assert ("BEGIN CERTIFICATE" in done.stdout) == status, version


@pytest.mark.core
def test_a_certificate_of_the_users_own_is_the_one_shown(door):
    own = door.ask.run("openssl x509 -noout -text -in /etc/front/vault.pem")
    assert serial(certificate(door, "vault.test")) == serial(own)


def test_other_certificates(door, front):
    """A new one at the same path: the next run has the proxy read it. One of the host's own authority, and back."""
    subject = "-subj /CN=vault.test -addext subjectAltName=DNS:vault.test"
    made = f"openssl req -x509 -key vault.key -days 9 {subject} -out vault.pem 2>/dev/null"
    before = serial(certificate(door, "vault.test"))
    door.ask.run(f"cd /etc/front && cp -a vault.pem kept.pem && {made}")
    try:
        front.good("vault")
        test_a_certificate_of_the_users_own_is_the_one_shown(door)
        new = serial(certificate(door, "vault.test"))
        assert new != before
        front.good("vault", fastapi_tls="internal", fastapi_tls_certificate="", fastapi_tls_key="")
        door.ask.until(
            "another certificate is shown",
            lambda: "vault.test" in (text := certificate(door, "vault.test")) and serial(text) not in (before, new),
            10,
        )
        assert door.get("/seen", "vault").status == 200
    finally:
        door.ask.run("cd /etc/front && mv kept.pem vault.pem")
        front.good("vault")
    test_a_certificate_of_the_users_own_is_the_one_shown(door)
    assert serial(certificate(door, "vault.test")) == before


def test_a_foreign_name_gets_nothing_of_ours(door):
    shown = certificate(door, "evil.test")
    assert "shop.test" not in shown and "vault.test" not in shown


def test_an_authority_that_is_away_takes_nothing_down(door, front):
    """The site serves on with the certificate that it has, over a reload and a restart of the proxy, and what else is
    changed is changed."""
    before = serial(certificate(door, "shop.test"))
    door.ask.run("systemctl stop acme")
    try:
        door.ask.run(f"systemctl reload {door.proxy}")
        door.ask.run(f"systemctl restart {door.proxy}")
        door.ask.until("shop answers", lambda: door.get("/seen", "shop").status == 200, 10)
        front.good("shop", fastapi_hsts=7200)
        assert door.get("/seen", "shop").headers["strict-transport-security"] == "max-age=7200"
        assert serial(certificate(door, "shop.test")) == before
    finally:
        door.ask.run(
            "systemd-run --quiet --unit=acme --setenv=HOME=/var/lib/acme --property=StateDirectory=acme "
            "/opt/front/caddy run --config /opt/front/acme.Caddyfile --adapter caddyfile"
        )
        door.ask.until(
            "the authority is back",
            lambda: "newOrder" in door.curl("-k", "https://acme.test:9443/acme/local/directory"),
        )
        front.good("shop")
