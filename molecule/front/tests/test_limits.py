"""What the proxy lets through and what it cuts: bodies, heads, idle connections, rates, times; and compression."""

from __future__ import annotations

import collections
import gzip
import json
import os
import re
import zlib
from dataclasses import dataclass

import pytest
from conftest import UPGRADE, parse

MIB = 1 << 20


@pytest.mark.core
def test_a_body_that_is_too_large_is_refused_by_the_proxy(door):
    """By the size that is announced: most of it isn't even sent."""
    out = door.ask.host.run(
        f"head -c {21 * MIB + 1} /dev/zero | curl -s -m 20 -o /dev/null -w '%{{http_code}} %{{size_upload}}' "
        "-H Expect: --data-binary @- http://127.0.0.1:8080/upload"
    ).stdout
    status, sent = out.split()
    assert status == "413"
    assert int(sent) < 10 * MIB


def test_a_body_that_is_too_large_over_http2(door):
    out = door.ask.host.run(
        f"head -c {11 * MIB} /dev/zero | curl -sk -m 20 --http2 -o /dev/null -w '%{{http_code}} %{{http_version}}' "
        "-H Expect: --data-binary @- https://shop.test/upload"
    ).stdout
    assert out == "413 2"


def test_a_chunked_body_that_is_too_large_is_refused(door):
    """Its size isn't known before it has come. A client that only sends may be cut off before it reads the answer."""
    upload = "curl -s -m 20 -X POST -T - -o /dev/null -w '%{http_code}' http://127.0.0.1:8080/upload"
    answers: list[str] = []

    def refused() -> bool:
        answers.append(door.ask.host.run(f"head -c 23000000 /dev/zero | {upload}").stdout)
        return answers[-1] == "413"

    door.ask.until("it is refused", refused, 20)
    assert set(answers) <= {"413", "100", "000"}


@pytest.mark.core
def test_the_largest_body_goes_through(door):
    out = door.ask.run(f"head -c {21 * MIB} /dev/zero | curl -s -m 20 --data-binary @- http://127.0.0.1:8080/upload")
    assert json.loads(out)["bytes"] == 21 * MIB


def test_a_body_is_streamed(door):
    """What has come of it is with the app before the rest has."""
    head = "POST /upload HTTP/1.1\r\nHost: front\r\nConnection: close\r\nContent-Length: 20000\r\n\r\n"
    pieces = [[0, head + "x" * 10000], [1, "y" * 10000]]
    (said,) = door.talk(door.at("open", pieces))
    body = json.loads(said["raw"].partition("\r\n\r\n")[2].partition("{")[2].partition("}")[0].join("{}"))
    assert body["bytes"] == 20000
    assert body["spread"] > 0.8, body


def test_200_uploads_of_20_mb_at_once(door, say):
    """All are taken, and the workers stay far from their cap."""
    door.ask.run(
        "rm -f /run/uploads.json; systemd-run --quiet --collect --unit=uploads sh -c 'cd /run; "
        f"python3 /opt/front/uploads.py 8080 200 {20 * MIB} >uploads.part; mv uploads.part uploads.json'"
    )
    most = 0

    def done() -> bool:
        nonlocal most
        pids = door.ask.run("pgrep -f '[g]unicorn.*open' || true").split()
        total = 0
        for pid in pids:
            found = re.search(r"^Pss:\s+(\d+)", door.ask.host.run(f"cat /proc/{pid}/smaps_rollup").stdout, re.M)
            total += int(found[1]) if found else 0
        most = max(most, total)
        return door.ask.host.file("/run/uploads.json").exists

    door.ask.until("the uploads end", done, 120)
    counted = json.loads(door.ask.run("cat /run/uploads.json"))
    say(f"200 uploads of 20 MB at once: {counted}, workers' memory at most {most // 1024} MB of 300 MB")
    assert counted == {"200": 200}
    assert 0 < most < 250 * 1024


@pytest.mark.core
def test_an_answer_comes_whole_where_nobody_reads_the_body(door, say, count):
    """FRONT_UNREAD asks more often."""
    many = int(os.environ.get("FRONT_UNREAD", "1000"))
    counted = json.loads(door.ask.run(f"python3 /opt/front/unread.py 8080 {many}"))
    say(f"{many} bodies that nobody reads, of 1 byte to 1 MB: {counted}")
    count(f"a body that the app doesn't read ({door.kind})", many, many - counted.get("405", 0))
    # The app has the path, for GET alone.
    assert counted == {"405": many}, "requests were lost"


@dataclass
class Waited:
    """What was heard, by name, of all that takes its time: it doesn't disturb each other, and is asked at once."""

    said: dict[str, dict]
    slow_heads: list[dict]
    load: object
    cases: list[dict]


@pytest.fixture(scope="module")
def waited(door, load) -> Waited:
    keep = "GET /seen HTTP/1.1\r\nHost: front\r\n\r\n"
    events = door.request("/events", Accept_Encoding="gzip, br, zstd")
    talks = {
        "silent": door.at("open", [], limit=12),
        "idle": door.at("open", [[0, keep], [2, keep]], limit=14),
        "long": door.at("open", [[0, door.request("/slow?seconds=11")]], limit=16),
        "beyond": door.at("open", [[0, door.request("/slow?seconds=20")]], limit=16),
        "events": door.at("open", [[0, events]], limit=9),
        "lines": door.at("open", [[0, door.request("/lines", Accept_Encoding="gzip")]], limit=9),
        "websocket": door.at("open", [[0, UPGRADE]], limit=9),
    }
    pieces = [[0, "GET /seen?case=slow HTTP/1.1\r\nHost: front\r\n"], *[[1, "X"]] * 15]
    door.cases()
    with load("--rate 30 --slow 0.2") as running:
        said = door.talk(*talks.values(), *[door.at("open", pieces, limit=14)] * 20)
    return Waited(dict(zip(talks, said, strict=False)), said[len(talks) :], running, door.cases())


def test_a_slow_head_is_cut_and_others_do_not_notice(waited):
    """Twenty clients that send a byte of their head a second; the limit is 3 s."""
    assert len(waited.slow_heads) == 20
    for each in waited.slow_heads:
        assert each["closed"] and 2 < each["seconds"] < 9, each
        assert not each["raw"] or each["raw"].split()[1] in ("400", "408"), each
    assert waited.load.lost == [], str(waited.load)
    assert waited.cases == []


def test_a_connection_that_says_nothing_is_cut(waited):
    said = waited.said["silent"]
    assert said["closed"] and said["seconds"] < 9, said


def test_an_idle_connection_is_closed(waited):
    """Kept open between two requests, closed when nothing comes for 4 s."""
    said = waited.said["idle"]
    assert said["raw"].count("HTTP/1.1 200") == 2
    assert said["closed"] and 5 < said["seconds"] < 10, said


@pytest.mark.core
def test_rate_limit(door, differs):
    if door.proxy == "caddy":
        differs("rate_limit")
        return
    answers = door.get_all(["/seen"] * 30, "vault", source="127.0.0.20")
    counted = collections.Counter(answer.status for answer in answers)
    assert set(counted) == {200, 429}
    # Five at once, and what comes due while they are sent.
    assert 5 <= counted[200] <= 15, counted
    for answer in answers:
        if answer.status == 429:
            assert int(answer.headers["retry-after"]) >= 1
            assert not answer.by_app
    # Neither somebody else nor the health check is meant.
    assert door.get("/seen", "vault", source="127.0.0.21").status == 200
    assert {answer.status for answer in door.get_all(["/health"] * 30, "vault", source="127.0.0.20")} == {200}


def test_a_network_of_ipv6_is_one_client(door, differs):
    """Who has one address of it has 2^64."""
    if door.proxy == "caddy":
        differs("rate_limit")
        return

    def statuses(*clients: str) -> list[int]:
        texts = [door.request("/seen", site="vault", X_Forwarded_For=client) for client in clients]
        said = door.talk(*(door.at("vault", [[0, text]], source="127.0.0.9") for text in texts))
        return [parse(each)[0].status for each in said]

    counted = collections.Counter(statuses(*(f"2001:db8:a:1::{number:x}" for number in range(1, 31))))
    assert set(counted) == {200, 429} and counted[200] <= 15, counted
    # Other networks are others, and so are addresses of IPv4.
    others = [f"2001:db8:a:{number:x}::1" for number in range(2, 17)] + [f"192.0.2.{number}" for number in range(1, 16)]
    assert set(statuses(*others)) == {200}


def test_a_long_request_and_one_beyond(waited):
    """Up to the proxy's 12 s; then 504, and not from the app."""
    (long,), (beyond,) = parse(waited.said["long"]), parse(waited.said["beyond"])
    assert (long.status, long.by_app) == (200, True)
    assert (beyond.status, beyond.by_app) == (504, False)
    assert 11.5 < beyond.seconds < 14
    assert len(beyond.body) < 1000
    assert_tells_nothing(beyond)


def test_a_stream_may_last_longer_than_the_limit(waited):
    """The limit is for the answer to begin. Nor is it held back to be compressed."""
    said = waited.said["events"]
    assert not said["closed"]
    assert said["first"] < 1
    assert said["raw"].count("data: ") > 35
    assert "content-encoding" not in said["raw"].lower()


def test_a_stream_of_json_lines_is_a_stream_for_who_takes_it_compressed_too(waited):
    said = waited.said["lines"]
    head, _, body = said["raw"].encode("latin-1").partition(b"\r\n\r\n")
    text = b"".join(re.findall(rb"(?s)[0-9a-f]+\r\n(.*?)\r\n(?=[0-9a-f]+\r\n|$)", body))
    if b"content-encoding: gzip" in head.lower():
        text = zlib.decompressobj(31).decompress(text)
    assert (said["closed"], text.count(b'"release"') > 35) == (False, True), said


def test_a_websocket_goes_through(waited):
    said = waited.said["websocket"]
    assert said["raw"].startswith("HTTP/1.1 101"), said
    assert "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in said["raw"]
    assert said["raw"].count('"release"') > 35
    assert not said["closed"]


def test_a_large_answer_is_whole(door):
    answer = door.get(f"/big?size={MIB}")
    assert (answer.status, len(answer.body)) == (200, MIB)


TEXTS = ["text/html; charset=utf-8", "text/css", "text/plain", "text/xml", "text/javascript", "application/javascript"]
TEXTS += ["application/json", "application/wasm", "image/svg+xml"]


@pytest.mark.core
def test_text_is_compressed(door):
    targets = [f"/text?type={text.replace('+', '%2b').replace(';', '%3b').replace(' ', '%20')}" for text in TEXTS]
    for target, answer in zip(targets, door.get_all(targets, Accept_Encoding="gzip"), strict=True):
        assert answer.headers.get("content-encoding") == "gzip", (target, answer.headers)
        assert "accept-encoding" in answer.headers["vary"].lower(), target
        assert len(answer.body) < 2000, target


def test_what_the_client_does_not_know_is_not_sent(door):
    plain, refused, other = (
        door.get("/text"),
        door.get("/text", Accept_Encoding="gzip;q=0, identity"),
        door.get("/text", Accept_Encoding="x-own"),
    )
    for answer in (plain, refused, other):
        assert "content-encoding" not in answer.headers
        assert len(answer.body) == 20_000


def test_a_better_compression_where_there_is_one(door, say):
    used = door.get("/text", Accept_Encoding="gzip, br, zstd").headers["content-encoding"]
    say(f"gzip, br, zstd: {used}")
    assert used in ("zstd", "br", "gzip")


def test_what_is_no_text_or_too_short_is_left_alone(door):
    targets = ["/text?type=image/png", "/text?type=application/octet-stream", "/text?type=text/plain&size=60"]
    for target, answer in zip(targets, door.get_all(targets, Accept_Encoding="gzip, br, zstd"), strict=True):
        assert answer.status == 200 and "content-encoding" not in answer.headers, target


def test_what_is_compressed_is_not_compressed_again(door):
    answer = door.get("/encoded", Accept_Encoding="gzip, br, zstd")
    assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(answer.body).startswith(b"the same line again")


def assert_tells_nothing(answer) -> None:
    """No version, no name of a program's inside."""
    assert not re.search(r"\d+\.\d+\.\d+", str(answer.headers.get("server", ""))), answer.headers
    assert not re.search(rb"\d+\.\d+\.\d+|goroutine|/srv/|\.sock", answer.body), answer.body


def test_the_apps_own_errors_go_through(door):
    codes = [400, 404, 500, 502, 503, 504]
    for code, answer in zip(codes, door.get_all([f"/status/{code}" for code in codes]), strict=True):
        assert (answer.status, answer.json) == (code, {"from": "the app"})
