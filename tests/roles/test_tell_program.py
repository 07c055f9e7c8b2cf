# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program on the host that tells who has to know: to real servers on this machine, and what it never tells."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

PATH = Path(__file__).parents[2] / "roles/deploy_user/files/tell.py"
SPEC = importlib.util.spec_from_file_location("tell", PATH)
tell = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(tell)

SECRET = "Zk3vQ9xT7mLw2Rb8"
PASSWORD = "p4ss/w@rd+xyz"
BACK = {"event": "moved_back", "by": "alice", "release": "b2", "previous": "a1", "seconds": 12.3}


class Server:
    """Records what it is told, and answers as its path says: /500, /302, /hang, anything else well."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict, dict]] = []
        self.free = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.got.append((self.path, body, dict(self.headers)))
                if self.path.startswith("/hang"):
                    outer.free.wait(30)
                status = 500 if self.path == "/500" else 302 if self.path == "/302" else 200
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", f"{outer.url}/elsewhere")
                self.end_headers()
                # A body without end is no reason to wait for it.
                self.wfile.write(f"no such hook {SECRET}\n".encode() + b"x" * 100_000)

            do_GET = do_POST  # noqa: N815

            def log_message(self, *_arguments) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def told(self) -> dict[str, dict]:
        return {path: body for path, body, _headers in self.got}


@pytest.fixture
def server():
    server = Server()
    yield server
    server.free.set()
    server.server.shutdown()
    server.server.server_close()


class Host:
    """An app's directory with the program, as the role leaves it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.here = root / "commands"
        self.here.mkdir(parents=True)
        shutil.copy(PATH, self.here / "tell.py")
        for release, commit in (("a1", "3f2a1c7d" * 5), ("b2", "9be01d77" * 5)):
            (root / "releases" / release).mkdir(parents=True)
            record = {"id": release, "created": "now", "source": {"revision": commit}}
            (root / "releases" / release / "release.json").write_text(json.dumps(record))
        slot = root / "slots/blue"
        (slot / "credentials").mkdir(parents=True)
        (slot / "release").symlink_to("../../releases/a1")
        (root / "live.sock").symlink_to("/run/shop/blue.sock")
        (slot / "env").write_text(
            f'API_KEY="{SECRET}"\nDATABASE_URL="postgresql://shop:{PASSWORD}@db/shop"\nFASTAPI_RELEASE="a1"\n'
        )
        (slot / "credentials/pem").write_text("first-line-of-it\nsecond-line-of-it\n")

    def targets(self, *targets: dict) -> None:
        (self.here / "notify").write_text(json.dumps({"app": "shop", "host": "web1", "targets": targets}))

    def run(self, **event: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-BEsS", str(self.here / "tell.py")]
        return subprocess.run(command, input=json.dumps(event), capture_output=True, text=True, timeout=30, check=False)

    def tell(self, **event: object) -> dict:
        done = self.run(**event)
        assert (done.returncode, done.stderr) == (0, ""), done
        return json.loads(done.stdout)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "shop")


def test_each_kind_is_told_what_there_is_to_know(host: Host, server: Server, tmp_path: Path) -> None:
    out = tmp_path / "out"
    host.targets(
        {"url": f"{server.url}/json", "headers": {"Authorization": "Bearer t0ken-of-ours"}},
        {"slack": f"{server.url}/services/T0/B0/x"},
        {"command": ["sh", "-c", f"(cat; id -un; echo $FASTAPI_EVENT_TEXT) >{out}"], "user": account()},
    )
    reason = "/health answered 500 in the watch\nand more"
    said = host.tell(**BACK, reason=reason)
    address = server.url.removeprefix("http://")
    assert said["told"] == [f"url at {address}", f"slack at {address}", "command sh"]
    assert (said["not_told"], said["nobody"]) == ([], "")
    text = "shop on web1: moved back after 12 s, 3f2a1c7 → 9be01d7: /health answered 500 in the watch (by alice)"
    message = server.told["/json"]
    at = message.pop("at")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", at)
    assert message == {
        "event": "moved_back",
        "app": "shop",
        "host": "web1",
        "by": "alice",
        "release": "b2",
        "previous": "a1",
        "commit": "9be01d77" * 5,
        "previous_commit": "3f2a1c7d" * 5,
        "seconds": 12.3,
        "lost": None,
        "sent": None,
        "reason": "/health answered 500 in the watch",
        "text": text,
    }
    assert server.told["/services/T0/B0/x"] == {"text": text}
    headers = next(headers for path, _body, headers in server.got if path == "/json")
    assert (headers["Authorization"], headers["Content-Type"]) == ("Bearer t0ken-of-ours", "application/json")
    given, user, line = out.read_text().splitlines()
    assert (json.loads(given)["text"], user, line) == (text, account(), text)


def account() -> str:
    return subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize(
    ("event", "text"),
    [
        ({"event": "live", "release": "b2", "seconds": 4.21, "lost": 0}, "live after 4.2 s, 9be01d7, 0 requests lost"),
        ({"event": "live", "release": "b2", "previous": "b2"}, "live, 9be01d7 with other settings"),
        ({"event": "live", "release": "b2", "previous": "gone"}, "live, gone → b2"),
        # What is live was live before it, too, and its commit is the one that was pushed.
        ({"event": "failed", "commit": "c0ffee00c0ffee", "reason": "no wheel"}, "failed, 3f2a1c7 → c0ffee0: no wheel"),
        ({"event": "rolled_back", "release": "a1", "previous": "b2"}, "rolled back, 9be01d7 → 3f2a1c7"),
        (
            {"event": "proved", "release": "b2", "previous": "a1", "lost": 3, "sent": 1200, "reason": "p99 12 → 15 ms"},
            "what clients noticed, 3f2a1c7 → 9be01d7, 3 of 1,200 requests lost: p99 12 → 15 ms",
        ),
        (
            {"event": "cut_off", "reason": "in phase watch", "by": "ann@laptop"},
            "cut off: in phase watch (by ann@laptop)",
        ),
    ],
)
def test_the_text_reads_well(host: Host, event: dict, text: str) -> None:
    host.targets({"command": ["true"]})
    assert host.tell(**event, check=True)["text"] == f"shop on web1: {text}"


def test_a_commit_is_known_from_the_history_where_its_release_is_pruned(host: Host) -> None:
    (host.root / "history.jsonl").write_text('{"release": "old", "revision": "aaaabbbb"}\nhalf {\n[]\n')
    assert tell.commit_of(str(host.root), "old") == "aaaabbbb"
    assert tell.commit_of(str(host.root), "none") is None
    assert tell.commit_of(str(host.root), "../releases/a1") is None


def test_a_target_hears_of_what_it_asked_for_alone(host: Host, server: Server) -> None:
    host.targets({"url": f"{server.url}/all"}, {"url": f"{server.url}/bad", "on": ["failed", "cut_off"]})
    host.tell(event="live")
    assert [path for path, _body, _headers in server.got] == ["/all"]
    host.tell(event="failed")
    assert sorted(path for path, _body, _headers in server.got) == ["/all", "/all", "/bad"]


def test_whatever_a_target_does_all_is_over_in_five_seconds_and_the_others_are_told(host: Host, server: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        mute, refused = silent.getsockname()[1], closed.getsockname()[1]
        host.targets(
            {"url": f"{server.url}/hang/{SECRET}"},
            {"url": f"http://127.0.0.1:{mute}/{SECRET}"},
            {"url": f"http://127.0.0.1:{refused}/{SECRET}"},
            {"url": f"{server.url}/500"},
            {"slack": f"{server.url}/302"},
            {"url": f"http://no-such-name.invalid/{SECRET}"},
            {"command": ["sh", "-c", "trap '' TERM; sleep 60 & sleep 60"]},
            {"command": ["/no/such/program", SECRET]},
            {"command": ["sh", "-c", f"echo it is {SECRET}; exit 3"]},
            {"url": f"{server.url}/good"},
        )
        begun = time.monotonic()
        said = host.tell(event="live")
        took = time.monotonic() - begun
    assert 3.5 < took < 5, took
    address = server.url.removeprefix("http://")
    assert said["told"] == [f"url at {address}"]
    assert "/good" in server.told and "/elsewhere" not in server.told
    assert {(row["target"], row["why"]) for row in said["not_told"]} == {
        (f"url at {address}", "no answer within 4 s"),
        (f"url at 127.0.0.1:{mute}", "no answer within 4 s"),
        (f"url at 127.0.0.1:{refused}", "connection refused"),
        (f"url at {address}", "it answers 500: no such hook [API_KEY]"),
        (f"slack at {address}", "it answers 302, a redirect, and none is followed"),
        ("url at no-such-name.invalid", "its name can't be resolved"),
        ("command sh", "no answer within 4 s"),
        ("command /no/such/program", "it can't be started: No such file or directory"),
        ("command sh", "it ended with status 3: it is [API_KEY]"),
    }
    assert SECRET not in json.dumps(said)


def test_a_resolver_that_hangs_holds_up_nobody(host: Host) -> None:
    """It can't be interrupted."""
    host.targets({"url": "https://hooks.example.org/x"})
    program = (host.here / "tell.py").read_text()
    hangs = "import socket\nsocket.getaddrinfo = lambda *_a, **_k: time.sleep(60)\n"
    (host.here / "tell.py").write_text(program.replace("\nif __name__", f"\n{hangs}\nif __name__"))
    begun = time.monotonic()
    said = host.tell(event="live")
    assert time.monotonic() - begun < 5
    assert said["not_told"] == [{"target": "url at hooks.example.org", "why": "no answer within 4 s"}]


def test_a_proxy_of_the_environments_is_used_for_what_lies_beyond_the_host_alone(
    host: Host, server: Server, monkeypatch
) -> None:
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as proxy:

        def serve() -> None:
            connection, _address = proxy.accept()
            with connection:
                asked.append(connection.recv(1000))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        for name in ("https_proxy", "http_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.getsockname()[1]}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        host.targets({"url": f"{server.url}/x"}, {"url": "https://hooks.example.org/x"})
        assert host.tell(event="live")["told"] == [f"url at {server.url.removeprefix('http://')}"]
        thread.join(10)
    assert asked and asked[0].startswith(b"CONNECT hooks.example.org:443 ")


def test_a_certificate_that_nobody_has_signed_is_told_nothing(host: Host, server: Server, tmp_path: Path) -> None:
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-subj",
        "/CN=x",
    ]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", tmp_path / "key", "-out", tmp_path / "certificate"]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "certificate", tmp_path / "key")
    server.server.socket = context.wrap_socket(server.server.socket, server_side=True)
    address = f"127.0.0.1:{server.server.server_port}"
    host.targets({"url": f"https://{address}/x"})
    said = host.tell(event="live")
    assert server.got == []
    wrong = f"its certificate can't be trusted: {'self-signed certificate'}"
    assert said["not_told"] == [{"target": f"url at {address}", "why": wrong}]


def test_mail_goes_by_sendmail_and_no_text_makes_a_header(host: Host, tmp_path: Path) -> None:
    sendmail = tmp_path / "sendmail"
    sendmail.write_text(f'#!/bin/sh\n(echo "$@"; cat) >{tmp_path}/out\n')
    sendmail.chmod(0o755)
    program = (host.here / "tell.py").read_text()
    (host.here / "tell.py").write_text(program.replace('"/usr/sbin/sendmail"', repr(str(sendmail))))
    host.targets({"mail": ["ops@example.org", "root"]})
    assert host.tell(**BACK, reason="grün\r\nBcc: x@evil.example")["told"] == ["mail to ops@example.org, root"]
    text = (tmp_path / "out").read_text()
    words, _, letter = text.partition("\n")
    assert words == "-i -- ops@example.org root"
    from email import message_from_string, policy

    parsed = message_from_string(letter, policy=policy.default)
    assert parsed["To"] == "ops@example.org, root" and parsed["Bcc"] is None
    assert parsed["Subject"].startswith("shop on web1: moved back after 12 s, 3f2a1c7 → 9be01d7: grün")
    body = parsed.get_content().splitlines()
    assert body[0].startswith("shop on web1: moved back") and f"commit: {'9be01d77' * 5}" in body


def test_a_chat_is_told_no_order(host: Host, server: Server) -> None:
    host.targets({"slack": f"{server.url}/s"})
    host.tell(event="failed", reason="<!channel> & @here \x1b[31mred\x1b[0m")
    assert server.told["/s"]["text"].endswith(": &lt;!channel&gt; &amp; @\u200bhere  [31mred [0m")


def test_what_is_told_once_is_told_once(host: Host, server: Server) -> None:
    host.targets({"url": f"{server.url}/x"})
    assert host.tell(event="cut_off", key="noon 7")["told"]
    assert host.tell(event="cut_off", key="noon 7")["nobody"] == "This was told before."
    assert host.tell(event="cut_off", key="noon 8")["told"]
    assert len(server.got) == 2
    assert (host.here / "told").stat().st_mode & 0o777 == 0o600


def test_who_saw_a_run_fail_tells_what_the_run_has_not(host: Host, server: Server) -> None:
    host.targets({"url": f"{server.url}/x"})
    mine = {"event": "failed", "by": "push 17", "unless_told_since": "2026-11-25T00:58:16Z"}
    assert host.tell(**mine)["told"]
    assert "push 17 was told since" in host.tell(**mine)["nobody"]
    assert host.tell(**mine | {"by": "push 18"})["told"]
    assert host.tell(**mine | {"unless_told_since": "2126-11-25T00:58:16Z"})["told"]
    # That an earlier one of the same was cut off is no outcome of this one.
    assert host.tell(event="cut_off", by="push 19", key="k")["told"]
    assert host.tell(**mine | {"by": "push 19"})["told"]


def test_a_full_disk_is_no_reason_to_tell_nobody(host: Host, server: Server) -> None:
    host.targets({"url": f"{server.url}/x"})
    (host.here / "told").symlink_to("/dev/full")
    assert host.tell(event="live")["told"]


def test_without_targets_nobody_is_told(host: Host) -> None:
    assert host.tell(event="live")["nobody"].startswith("No targets are set")
    host.targets({"command": ["false"], "on": ["failed"]})
    assert host.tell(event="live")["told"] == []
    assert host.tell(event="failed", check=True)["told"] == ["command false"]


@pytest.mark.parametrize(("given", "wrong"), [({"event": "alive"}, "event is 'alive'"), ({}, "event is None")])
def test_an_event_that_there_is_not_is_refused(host: Host, given: dict, wrong: str) -> None:
    host.targets({"command": ["true"]})
    done = host.run(**given)
    assert done.returncode == 2 and wrong in done.stderr and "Traceback" not in done.stderr


# Anything that may be in a value, quoting and URLs alike.
VALUES = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=6, max_size=30)
SPELLINGS = st.sampled_from([str, repr, json.dumps, tell.quote])


@given(
    st.dictionaries(st.from_regex(r"[A-Z]{1,3}_[0-9]{1,2}", fullmatch=True), VALUES, min_size=1, max_size=4), st.data()
)
def test_no_value_of_the_environment_is_in_a_reason(values: dict[str, str], data: st.DataObject) -> None:
    parts = data.draw(st.lists(st.sampled_from([*values.values()]) | st.text(max_size=8), min_size=1, max_size=6))
    spelled = [data.draw(SPELLINGS)(part) if part in values.values() else part for part in parts]
    scrubbed = tell.Scrub({value: name for name, value in values.items()})("".join(spelled))
    without_names = re.sub(r"\[[A-Z]{1,3}_[0-9]{1,2}\]", "\0", scrubbed)
    for value in values.values():
        # What the names in brackets are made of is no secret.
        assume(value not in "".join(f"[{name}]" for name in values))
        assert value not in without_names


@given(
    st.from_regex(r"[!-?A-~]{6,20}", fullmatch=True),
    st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=10),
)
def test_a_password_goes_from_its_url_alone_and_from_any_url(password: str, around: str) -> None:
    assume("://" not in password and password not in around)
    root_values = {f"amqp://me:{password}@mq/": "MQ_URL", password: "MQ_URL"}
    assert password not in tell.Scrub(root_values)(f"{around} {password} {around}").replace("[MQ_URL]", "\0")
    assert password not in tell.Scrub({})(f"{around} //user:{password}@host {around}").replace("[hidden]", "\0")


def test_what_is_hidden_is_read_from_every_slot(host: Host) -> None:
    other = host.root / "generations/4"
    (other / "credentials").mkdir(parents=True)
    (other / "env.worker").write_text('BROKER="amqp://u:w0rkers-own@mq"\n')
    (host.root / "environment").write_text('OTHER="with \\"quotes\\" in it"\n')
    # A file of the source's that has such a name is none.
    (host.root / "releases/a1/env.py").write_text('WORD="elsewhere"\n')
    (host.root / "slots/.green.before").mkdir()
    (host.root / "slots/.green.before/env").write_text('OLD="formerly-this"\n')
    scrub = tell.Scrub(tell.secrets_of(str(host.root)))
    said = f'{SECRET} {PASSWORD} p4ss%2Fw%40rd%2Bxyz second-line-of-it w0rkers-own with "quotes" in it formerly-this a1'
    hidden = "[API_KEY] [DATABASE_URL] [DATABASE_URL] [pem] [BROKER] [OTHER] [OLD] a1"
    assert scrub(said) == hidden
    assert scrub(f"can't reach postgresql://shop:{PASSWORD}@db/shop now") == "can't reach [DATABASE_URL] now"
    assert scrub("can't reach //me:any@thing@elsewhere now") == "can't reach //[hidden]@elsewhere now"


def test_the_longest_is_hidden_first() -> None:
    scrub = tell.Scrub({"secret": "A", "secret-longer": "B", "bcdefgh": "C", "abcdef": "D"})
    assert scrub("secret-longer, secret") == "[B], [A]"
    assert scrub("abcdefgh") == "[D]gh"


def test_of_a_target_its_token_is_hidden_and_no_word_of_it() -> None:
    target = {"url": "https://hooks.example.org/services/T01/B02/abcDEF123456xyz?key=k3y-of-ours"}
    secrets = tell.secrets_in({**target, "headers": {"Authorization": "Bearer t0ken-of-ours"}})
    scrub = tell.Scrub(secrets)
    said = "services: abcDEF123456xyz, k3y-of-ours, t0ken-of-ours, Bearer"
    assert scrub(said) == "services: [address], [address], [Authorization], Bearer"


def test_the_program_says_the_same_of_events_and_slots_as_the_rest_of_us() -> None:
    plugins = PATH.parents[3] / "plugins"
    assert f'RELEASE_LINE = "{tell.RELEASE_LINE}"' in (plugins / "module_utils/_app/words.py").read_text()
    events = re.search(r"^EVENTS = \((.*)\)$", (plugins / "plugin_utils/_inputs/notify.py").read_text(), re.M)
    assert events and re.findall(r"\w+", events[1]) == list(tell.WORDS)
    choices = re.search(r'"choices": \[(.*)\]', (plugins / "modules/tell.py").read_text())
    assert choices and re.findall(r"\w+", choices[1]) == list(tell.WORDS)
    assert os.path.basename(tell.SENDMAIL) == "sendmail"
