"""Certificates on the host: read from real files, and judged by what was read."""

from __future__ import annotations

import os
import pwd
import subprocess
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._preflight.certificates import (
    covers,
    denied,
    judge_certificates,
    read_certificates,
)
from self_signed import self_signed

DAY = 86400


def make(directory: Path, name: str, *names: str, days: int = 90) -> tuple[str, str]:
    """A certificate and its key, by the real openssl."""
    certificate, key = directory / f"{name}.pem", directory / f"{name}.key"
    self_signed(certificate, key, ",".join(f"DNS:{entry}" for entry in names), days)
    key.chmod(0o600)
    return str(certificate), str(key)


def params(certificate: str, key: str, **changes: object) -> dict[str, object]:
    files = {"tls": "files", "tls_certificate": certificate, "tls_key": key, "acme_ca": ""}
    return {"name": "hello", "proxy": "nginx", "domains": ["a.org"], "redirect_domains": [], **files, **changes}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    return make(tmp_path_factory.mktemp("pair"), "pair", "a.org", "*.b.org")


def sentences(given: dict[str, object], later: float = 0, owner: int = 0) -> list[str]:
    """What is said of the files, `later` seconds from now; tests needn't run as root."""
    found = read_certificates(given)
    found["now"] += later
    if "key" in found and "owner" in found["key"]:
        found["key"]["owner"] = owner
    return [problem.sentence for problem in judge_certificates(given, found)[0]]


def test_a_good_pair_is_fine(pair: tuple[str, str]) -> None:
    assert sentences(params(*pair, domains=["a.org", "x.b.org"])) == []
    assert sentences(params(*pair, tls="acme")) == []


def test_each_thing_that_is_wrong_is_said(pair: tuple[str, str], tmp_path: Path) -> None:
    certificate, key = pair
    (said,) = sentences(params(f"{tmp_path}/nowhere.pem", key))
    assert "fastapi_tls_certificate is" in said and "no such file" in said
    (said,) = sentences(params(certificate, f"{tmp_path}/nowhere.key"))
    assert "fastapi_tls_key is" in said and "no such file" in said
    (said,) = sentences(params(key, key))
    assert "isn't a PEM certificate" in said
    (said,) = sentences(params(certificate, make(tmp_path, "other", "a.org")[1]))
    assert f"isn't the key of fastapi_tls_certificate, {certificate}" in said
    (said,) = sentences(params(certificate, key, domains=["a.org", "b.org"], redirect_domains=["c.org"]))
    assert "isn't for b.org, c.org; it has a.org, *.b.org" in said
    (said,) = sentences(params(certificate, key), later=91 * DAY)
    assert "it ended on " in said
    (said,) = sentences(params(certificate, key), later=-2 * DAY)
    assert "valid only from" in said


def test_a_key_that_is_no_key_and_one_that_is_locked(pair: tuple[str, str], tmp_path: Path) -> None:
    junk, locked = tmp_path / "junk.key", tmp_path / "locked.key"
    junk.write_text("nothing\n")
    subprocess.run(["openssl", "pkey", "-in", pair[1], "-aes128", "-passout", "pass:x", "-out", locked], check=True)
    junk.chmod(0o600)
    locked.chmod(0o600)
    (said,) = sentences(params(pair[0], str(junk)))
    assert "isn't a PEM key" in said
    (said,) = sentences(params(pair[0], str(locked)))
    assert "passphrase" in said and f"openssl pkey -in {locked}" in said


@pytest.mark.parametrize(("mode", "owner"), [(0o644, 0), (0o620, 0), (0o600, 1000)])
def test_a_key_that_others_can_read_or_replace_is_refused(
    pair: tuple[str, str], tmp_path: Path, mode: int, owner: int
) -> None:
    key = tmp_path / "key"
    key.write_bytes(Path(pair[1]).read_bytes())
    key.chmod(mode)
    (said,) = sentences(params(pair[0], str(key)), owner=owner)
    assert f"chown root:root {key} && chmod 600 {key}" in said and f"{mode:04o}" in said


def test_the_end_is_near(pair: tuple[str, str]) -> None:
    given = params(*pair)
    found = read_certificates(given)
    found["key"]["owner"] = 0
    assert judge_certificates(given, found) == ([], [])
    found["now"] += 80 * DAY
    assert judge_certificates(given, found)[0] == []
    assert "ends in 9 days" in judge_certificates(given, found)[1][0]


def test_an_authority_has_to_be_there(pair: tuple[str, str]) -> None:
    given = params(*pair, tls="acme")
    assert sentences({**given, "acme_ca": pair[0]}) == []
    assert "no such file" in sentences({**given, "acme_ca": "/nowhere.pem"})[0]
    assert "isn't a PEM certificate" in sentences({**given, "acme_ca": "/etc/hostname"})[0]


def test_a_proxy_with_a_user_of_its_own_has_to_reach_the_key(tmp_path: Path) -> None:
    certificate, key = make(tmp_path, "own", "a.org")
    reader = next(entry for entry in pwd.getpwall() if entry.pw_uid != os.getuid() and entry.pw_uid != 0).pw_name
    closed = denied(key, reader)
    assert closed and f"{key}/".startswith(f"{closed}/")
    assert denied("/etc/hostname", reader) == ""
    assert denied(key, "") == ""
    given = params(certificate, key, proxy="caddy")
    found = read_certificates(given)
    found["key"] |= {"owner": 0, "denied": key}
    found["certificate"]["denied"] = ""
    (problem,) = judge_certificates(given, found)[0]
    assert "caddy runs as its own user" in problem.wrong
    assert f"install -o root -g caddy -m 640 {key} /etc/ssl/hello.key" in problem.advice


def test_a_wildcard_stands_for_one_label() -> None:
    assert covers("*.a.org", "x.A.org")
    assert covers("*.a.org", "*.a.org")
    assert not covers("*.a.org", "a.org")
    assert not covers("*.a.org", "y.x.a.org")
