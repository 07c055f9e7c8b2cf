"""What the run refuses before it changes anything. One run of Ansible asks all, each case as a host of its own."""

from __future__ import annotations


def test_what_would_not_serve_is_refused(door, front):
    """A key for all to read, another certificate's key, no certificate, one for other names; a port that is taken; what
    this proxy can't do."""
    door.ask.run(
        "rm -rf /run/bad && cp -a /etc/front /run/bad && cd /run/bad && cp -a vault.key open.key && chmod 644 open.key"
        " && cp -a vault.key other.key && openssl ecparam -name prime256v1 -genkey -noout >other.key"
    )
    cases = {
        "open-key": ("vault", {"fastapi_tls_key": "/run/bad/open.key"}, ["fastapi_tls_key"]),
        "other-key": ("vault", {"fastapi_tls_key": "/run/bad/other.key"}, ["fastapi_tls_key"]),
        "missing": ("vault", {"fastapi_tls_certificate": "/run/bad/none.pem"}, ["fastapi_tls_certificate"]),
        "other-names": ("vault", {"fastapi_tls_certificate": "/run/bad/acme-root.pem"}, ["fastapi_tls"]),
        "port": ("open", {"fastapi_http_port": 9443}, ["9443"]),
    }
    if door.proxy == "caddy":
        words = ["fastapi_rate_limit", "http.handlers.rate_limit", "nginx"]
        cases["rate-limit"] = ("vault", {"fastapi_rate_limit": "5/s"}, words)
    if door.kind == "caddy":
        protect = [{"path": "/office", "addresses": ["127.0.0.8"]}]
        cases["addresses"] = ("open", {"fastapi_protect": protect}, ["fastapi_protect", "2.6.2"])
    said = front.refused({name: (site, variables) for name, (site, variables, _) in cases.items()})
    missing = {
        name: said[name] for name, (_, _, words) in cases.items() if not all(word in said[name] for word in words)
    }
    assert not missing
    assert door.get("/seen", "vault").status == 200
