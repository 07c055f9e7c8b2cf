"""Runs that change nothing: all is as it is wanted, or the run refuses what it is asked for."""

from __future__ import annotations


def test_a_run_without_a_change_reloads_nothing(door, front, load):
    """All the apps, by when the proxy last read its configuration, and by its processes; and it loses nothing."""
    before = door.reloaded()
    with load("--rate 40 --slow 0.2") as running:
        status, said = front.control.run("molecule/front/converge.yml")
    assert status == 0 and "changed=0 " in said, said
    assert door.reloaded() == before
    assert running.lost == [], str(running)


def test_what_would_not_serve_is_refused(door, front):
    """A key for all to read, another certificate's key, no certificate, one for other names; a port that is taken; what
    this proxy can't do. One run of Ansible asks all, each case as a host of its own."""
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
