"""What the app is told of the client, and what it gets of requests that aren't what they seem."""

from __future__ import annotations

import re

import pytest
from conftest import parse

ID = "a-request.id_of-mine-1"
SPOOFED = {
    "X_Forwarded_For": "6.6.6.6, 7.7.7.7",
    "X_Forwarded_Proto": "https",
    "X_Forwarded_Host": "evil.test",
    # Longer than what a request's id, which is random, has in it now and then.
    "X_Forwarded_Port": "60666",
    "X_Forwarded_Server": "evil",
    "X_Forwarded_Prefix": "/evil",
    "X_Real_IP": "6.6.6.6",
    "Forwarded": "for=6.6.6.6;proto=https;host=evil.test",
}


@pytest.mark.core
def test_the_app_sees_the_client_and_the_scheme(door):
    plain = door.seen(source="127.0.0.5")
    assert (plain["client"], plain["scheme"], plain["headers"]["host"]) == ("127.0.0.5", "http", ["front"])
    shop = door.seen("shop", source="127.0.0.6")
    assert (shop["client"], shop["scheme"], shop["headers"]["host"]) == ("127.0.0.6", "https", ["shop.test"])
    assert shop["headers"]["x-forwarded-host"] == ["shop.test"]


@pytest.mark.core
@pytest.mark.parametrize("site", ["open", "shop"])
def test_spoofed_headers_are_replaced(door, site):
    seen = door.seen(site, source="127.0.0.5", **SPOOFED)
    told = seen["headers"]
    assert (seen["client"], seen["scheme"]) == ("127.0.0.5", "http" if site == "open" else "https")
    assert told["x-forwarded-for"] == ["127.0.0.5"]
    assert told["x-forwarded-proto"] == [seen["scheme"]]
    assert told["x-forwarded-host"] == told["host"]
    everything = str(told)
    for lie in ("6.6.6.6", "7.7.7.7", "evil", "60666"):
        assert lie not in everything, told


def test_spoofed_headers_given_twice_or_in_other_writing(door):
    lines = ["GET /seen HTTP/1.1", "Host: front", "Connection: close", "Authorization: Basic kept"]
    lies = ["X-Forwarded-For: 6.6.6.6", "x-forwarded-FOR: 6.6.6.7", "X_Forwarded_For: 6.6.6.8", "X-Real-Ip:6.6.6.9"]
    (answer,) = door.raw(*lines, *lies, source="127.0.0.5")
    assert answer.status == 200
    assert answer.json["client"] == "127.0.0.5"
    told = {name: value for name, value in answer.json["headers"] if "6.6.6" in value and "_" not in name}
    assert not told
    assert ["authorization", "Basic kept"] in answer.json["headers"]


@pytest.mark.core
@pytest.mark.parametrize(
    ("chain", "client"),
    [
        ("5.5.5.5", "5.5.5.5"),
        # What stands left of the first address that isn't trusted is the client's own word.
        ("6.6.6.6, 5.5.5.5", "5.5.5.5"),
        ("6.6.6.6, 5.5.5.5, 127.0.0.9", "5.5.5.5"),
        ("2001:db8::5", "2001:db8::5"),
    ],
)
def test_a_trusted_proxy_is_believed(door, differs, chain, client):
    if door.kind == "caddy" and chain.endswith("127.0.0.9"):
        differs("chain")
        client = "127.0.0.9"
    seen = door.seen(source="127.0.0.9", X_Forwarded_For=chain, X_Forwarded_Proto="https", X_Forwarded_Host="front")
    assert (seen["client"], seen["scheme"]) == (client, "https")
    assert seen["headers"]["x-forwarded-for"] == [client]


def test_a_trusted_proxy_that_says_nothing(door):
    seen = door.seen(source="127.0.0.9")
    assert (seen["client"], seen["scheme"]) == ("127.0.0.9", "http")


def test_a_request_id_is_made_passed_on_answered_and_logged(door):
    answers = door.get_all(["/seen?a", "/seen?b"])
    ids = [answer.headers["x-request-id"] for answer in answers]
    assert len(set(ids)) == 2
    for answer, given in zip(answers, ids, strict=True):
        assert re.fullmatch(r"[A-Za-z0-9._-]{8,64}", given)
        assert ["x-request-id", given] in answer.json["headers"]
    logged = door.ask.until("they are logged", lambda: [line for line in door.access_log() if ids[1] in str(line)])
    assert len(logged) == 1


def test_a_request_id_is_kept_when_it_is_one(door):
    kept = door.get("/seen", X_Request_ID=ID)
    assert kept.headers["x-request-id"] == ID
    assert [value for name, value in kept.json["headers"] if name == "x-request-id"] == [ID]
    bad = ("short", "x" * 65, "has a blank", "quote\"'quote", "{env.HOME}${host}")
    said = door.talk(*(door.at("open", [[0, door.request("/seen", X_Request_ID=each)]]) for each in bad))
    for each, answer in zip(bad, said, strict=True):
        (made,) = parse(answer)
        assert made.headers["x-request-id"] != each
        assert [value for name, value in made.json["headers"] if name == "x-request-id"] == [
            made.headers["x-request-id"]
        ]


def test_an_error_of_the_proxys_own_has_a_request_id_too(door):
    assert door.get("/admin").headers.get("x-request-id")


@pytest.mark.core
def test_a_wrong_host_gets_nothing(door):
    """Neither the app nor a redirect to it, on both ports, whatever the name."""
    door.cases()
    talks = []
    for name in ("evil.test", "shop.test.evil.test", "127.0.0.1"):
        text = f"GET /seen?case HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n"
        talks += [{"port": port, "pieces": [[0, text]], "tls": tls} for port, tls in ((443, "shop.test"), (80, ""))]
    for said in door.talk(*talks):
        assert "x-app" not in said["raw"].lower()
        assert "shop" not in said["raw"]
        status = said["raw"].split(" ")[1:2]
        assert status and status[0] in ("404", "421"), said
    assert door.cases() == []


def test_a_wrong_name_in_tls_gets_no_certificate_of_ours(door):
    out = door.ask.host.run(
        "echo | timeout 5 openssl s_client -connect 127.0.0.1:443 -servername evil.test 2>/dev/null"
        " | openssl x509 -noout -text 2>/dev/null"
    ).stdout
    assert "shop.test" not in out and "vault.test" not in out, out


HIDDEN = "GET /seen?case={}-hidden HTTP/1.1\r\nHost: front\r\n\r\n"
# Lines of a head and a body, {hidden} a request in it that a reader of the one kind takes for content, one of the other
# kind for a request; {all} is the length with it, {short} without.
FORMS = {
    "CL and TE": (["Content-Length: {all}", "Transfer-Encoding: chunked"], "0\r\n\r\n{hidden}"),
    "TE and CL": (["Transfer-Encoding: chunked", "Content-Length: {short}"], "{size}\r\n{hidden}\r\n0\r\n\r\n"),
    "two lengths": (["Content-Length: 0", "Content-Length: {all}"], "{hidden}"),
    "two lengths, the other way": (["Content-Length: {all}", "Content-Length: 0"], "{hidden}"),
    "two lengths in one": (["Content-Length: 0, {all}"], "{hidden}"),
    "length with a sign": (["Content-Length: +{all}"], "{hidden}"),
    "length in hex": (["Content-Length: 0x5"], "hello{hidden}"),
    "length below zero": (["Content-Length: -1"], "{hidden}"),
    "length and a blank": (["Content-Length : {all}"], "{hidden}"),
    "length on two lines": (["Content-Length: 0", " {all}"], "{hidden}"),
    "TE after a tab": (["Transfer-Encoding:\tchunked", "Content-Length: {all}"], "0\r\n\r\n{hidden}"),
    "TE after a vertical tab": (["Transfer-Encoding: \x0bchunked", "Content-Length: {all}"], "0\r\n\r\n{hidden}"),
    "TE misspelt": (["Transfer-Encoding: xchunked", "Content-Length: {all}"], "0\r\n\r\n{hidden}"),
    "TE in capitals": (["Transfer-Encoding: CHUNKED", "Content-Length: {all}"], "0\r\n\r\n{hidden}"),
    "TE twice": (["Transfer-Encoding: chunked", "Transfer-Encoding: identity"], "0\r\n\r\n{hidden}"),
    "TE and a blank": (["Transfer-Encoding : chunked", "Content-Length: {all}"], "0\r\n\r\n{hidden}"),
    "TE on a folded line": (["X: y", " Transfer-Encoding: chunked", "Content-Length: {all}"], "0\r\n\r\n{hidden}"),
    "TE with HTTP/1.0": (["Transfer-Encoding: chunked", "Content-Length: {all}"], "0\r\n\r\n{hidden}"),
    "bare LF before TE": (["X: y\nTransfer-Encoding: chunked", "Content-Length: {all}"], "0\r\n\r\n{hidden}"),
    "bare CR before TE": (["X: y\rTransfer-Encoding: chunked", "Content-Length: {all}"], "0\r\n\r\n{hidden}"),
    "bare LF in chunks": (["Transfer-Encoding: chunked"], "5\nhello\n0\n\n{hidden}"),
    "bare LF in an extension": (["Transfer-Encoding: chunked"], "5;a\nhello\r\n0\r\n\r\n{hidden}"),
    "a size that overflows": (["Transfer-Encoding: chunked"], "10000000000000005\r\nhello\r\n0\r\n\r\n{hidden}"),
    "a zero byte": (["X: a\x00b", "Content-Length: {all}"], "{hidden}"),
    "an upgrade": (["Connection: Upgrade", "Upgrade: websocket", "Content-Length: 0"], "{hidden}"),
}


def form_of(number: int, name: str) -> str:
    lines, body = FORMS[name]
    hidden = HIDDEN.format(number)
    body = body.replace("{hidden}", hidden).replace("{size}", f"{len(hidden):x}")
    values = {"all": str(len(body)), "short": str(len(f"{len(hidden):x}") + 2)}
    head = "\r\n".join(lines).format(**values)
    version = "1.0" if "1.0" in name else "1.1"
    return f"POST /seen?case={number}-first HTTP/{version}\r\nHost: front\r\n{head}\r\n\r\n{body}"


@pytest.mark.core
def test_smuggling(door, say):
    """Each form is refused, or the app sees just what the proxy has answered: no request that only one knows."""
    door.cases()
    talks = [door.at("open", [[0, form_of(number, name)]], limit=3) for number, name in enumerate(FORMS)]
    answers = [parse(said) for said in door.talk(*talks)]
    cases = [case["target"].partition("case=")[2] for case in door.cases()]
    wrong, refused = [], 0
    for number, name in enumerate(FORMS):
        mine = [case for case in cases if case.startswith(f"{number}-")]
        by_app = [answer for answer in answers[number] if answer.by_app]
        first, hidden = f"{number}-first", f"{number}-hidden"
        # Caddy passes a head on before it has seen that the body is none; the app sees that the client is gone.
        broken = mine == [first] and not by_app and [answer.status for answer in answers[number]] == [502]
        # What the app saw twice, the proxy answered twice.
        alike = len(mine) == len(by_app) and (hidden not in mine or len(answers[number]) == 2)
        if not broken and not alike:
            wrong.append((name, mine, answers[number]))
        refused += not by_app
    say(f"{len(FORMS)} forms, {refused} refused by the proxy, the others seen alike by proxy and app")
    assert not wrong


NO_REQUESTS = [
    ["GET /seen?case HTTP/1.1", "Host: front", "Host: evil.test"],
    ["GET /seen?case HTTP/1.1"],
    ["GET /seen?case HTTP/1.1", "Host : front"],
    ["GET /seen?case HTTP/1.1", "Host: fr ont"],
    ["GET /seen?case HTTP/1.1", "Host: front", ": nameless"],
    ["GET /seen?case\x00 HTTP/1.1", "Host: front"],
]


def test_what_is_no_request_is_refused(door, differs):
    asked = NO_REQUESTS
    if door.kind == "caddy":
        differs("nameless")
        asked = [lines for lines in asked if ": nameless" not in lines]
    door.cases()
    said = door.talk(*(door.at("open", [[0, "\r\n".join([*lines, "", ""])]], limit=2) for lines in asked))
    for lines, each in zip(asked, said, strict=True):
        assert parse(each)[0].status in (0, 400), lines
    assert door.cases() == []


def test_a_pipelined_request_is_seen_once(door):
    """What the smuggling test goes by: two requests on a connection are two to the app, and two answers."""
    door.cases()
    answers = door.raw("GET /seen?case=0 HTTP/1.1", "Host: front", body=HIDDEN.format(0), limit=1)
    assert [answer.status for answer in answers] == [200, 200]
    assert [case["target"] for case in door.cases()] == ["/seen?case=0", "/seen?case=0-hidden"]
