"""The readers of what hand-made hosts are configured in: each as its own program reads it, or it is refused."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._adopt import server
from ansible_collections.graceful.deploy.plugins.module_utils._adopt.script import Opaque, see_through
from ansible_collections.graceful.deploy.plugins.module_utils._adopt.server import read_file as read_conf
from ansible_collections.graceful.deploy.plugins.module_utils._hand import caddyfile, nginx_conf, options, unit_text
from ansible_collections.graceful.deploy.plugins.module_utils._hand.nginx_conf import Unreadable

PLUGINS = Path(__file__).resolve().parents[5] / "plugins"


def test_nginx_blocks_quotes_and_variables():
    text = r"""
upstream app { server unix:/run/shop.sock fail_timeout=0; }
server { # one }
    server_name "a b" ${host}x;
    location ~ "^/a{2};$" { return 200 'x;"y'; }
    location / { proxy_pass http://app; }
}
"""
    found = nginx_conf.parse(text, "f")
    (block,) = nginx_conf.servers(found)
    assert block.last("server_name") == ("a b", "${host}x")
    assert [each.args for each in block.all("location")] == [("~", "^/a{2};$"), ("/",)]
    assert nginx_conf.goes_to(block, nginx_conf.upstreams(found)) == {"unix:/run/shop.sock"}
    assert text[block.start : block.end].endswith("}") and block.place == "f:3"


@pytest.mark.parametrize("text", ["server { listen 80;", "server { listen 80 }", 'a "b;', "{ }", "listen 80; }"])
def test_nginx_text_that_is_none_is_refused(text):
    with pytest.raises(Unreadable, match=r"^f:1 "):
        nginx_conf.parse(text, "f")


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("127.0.0.1:8000", "127.0.0.1:8000"),
        ("localhost:8000", "127.0.0.1:8000"),
        ("0.0.0.0:8000", "127.0.0.1:8000"),
        ("[::]:8000", "127.0.0.1:8000"),
        ("10.0.0.2:8000", "10.0.0.2:8000"),
        ("unix:/run/a.sock:", "unix:/run/a.sock"),
        ("localhost", "127.0.0.1:80"),
    ],
)
def test_an_address_has_one_spelling(written, normal):
    assert nginx_conf.normal(written) == normal


def test_a_caddyfile_with_options_snippets_and_addresses_over_lines():
    text = "{\n\temail a@b.c\n}\n(x) {\n\tlog\n}\n"
    text += 'a.com,\nb.com {\n\theader X "a b"\n\thandle /c* {\n\t\treverse_proxy :1\n\t}\n}\n'
    found = caddyfile.parse(text, "C")
    (site,) = found.sites
    assert site.addresses == ("a.com", "b.com")
    assert [line.words for line in site.lines] == [("header", "X", "a b"), ("handle", "/c*")]
    assert caddyfile.upstreams(site.lines) == {":1"}
    assert [other.name for other in found.others] == ["{", "(x)"]
    assert caddyfile.without(text, [site]) == text[: text.index("a.com")]


def test_a_caddyfile_without_braces_is_one_site():
    (site,) = caddyfile.parse("example.com\n\nreverse_proxy localhost:8000\n", "C").sites
    assert (site.addresses, caddyfile.upstreams(site.lines)) == (("example.com",), {"localhost:8000"})


@pytest.mark.parametrize(
    "text", ["a.com {\n\tlog\n", "a.com {\n}\nlog\n", 'a.com {\n\trespond "x\n}\n', "a {\n\tb <<X\n}"]
)
def test_a_caddyfile_that_cannot_be_read_is_refused(text):
    with pytest.raises(Unreadable):
        caddyfile.parse(text, "C")


def test_an_environment_file_is_read_as_systemd_reads_it():
    text = 'A=b # c\nB="c d"\n# x\n ; y\nexport E=1\nC=\'i t\'\nD="a\\"b\\n\\$"\nF = x y  \nG=a\\\nb\nH="1\n2"\nI=\n'
    values, odd = unit_text.parse_environment(text)
    assert values == {
        **{"A": "b # c", "B": "c d", "C": "i t", "D": 'a"b\\n$', "F": "x y", "G": "ab", "H": "1\n2", "I": ""}
    }
    assert odd == [(5, "export E")]


def test_a_unit_is_read_with_its_drop_in():
    text = '[Service]\nExecStart=/bin/a \\\n  b\n# x\nEnvironment=A=1 "B=x y"\n'
    settings = unit_text.parse_unit(text, "u") + unit_text.parse_unit(
        "[Service]\nExecStart=\nExecStart=/bin/c %p\n", "d"
    )
    settings = unit_text.in_force(settings)
    assert [each.value for each in unit_text.values(settings, "ExecStart")] == ["/bin/c %p"]
    assert unit_text.environment(settings, "shop.service") == {"A": "1", "B": "x y"}
    assert unit_text.specified("/run/%p-%n", "shop.service") == "/run/shop-shop.service"


@pytest.mark.parametrize(
    ("command", "app", "bind"),
    [
        ("/v/bin/gunicorn app.main:app -w4 --bind=unix:/run/a.sock", "app.main:app", ["unix:/run/a.sock"]),
        ("/v/bin/python -m uvicorn main:app --port 9000", "main:app", ["127.0.0.1:9000"]),
        ("uvicorn --factory main:make --uds /run/a.sock", "main:make()", ["unix:/run/a.sock"]),
        ("/v/bin/fastapi run app/main.py --workers 2", "app.main:app", ["0.0.0.0:8000"]),
        ("uv run --frozen uvicorn main:app", "main:app", ["127.0.0.1:8000"]),
        ("env A=1 gunicorn main", "main:application", []),
    ],
)
def test_a_command_line(command, app, bind):
    found = server.read(command.split())
    assert found and (found.app, found.bind, found.unknown) == (app, bind, [])


def test_an_option_that_nobody_knows_is_told():
    found = server.read("gunicorn main:app --statsd-host x:1 --preload -k uvicorn.workers.UvicornWorker".split())
    assert found and (found.unknown, found.app) == (["--statsd-host x:1"], "main:app")
    assert found.worker_class == "uvicorn.workers.UvicornWorker" and found.ours[0][0] == "--preload"
    assert server.read(["/usr/bin/node", "main.js"]) is None


def test_gunicorns_file_is_read_and_not_run():
    found = server.Server("gunicorn", given={"workers": "3"})
    text = "import os\nworkers = 9\nbind = ['a:1', 'b:2']\ntimeout = int(os.getenv('T', '5')) * 2\n"
    text += "x = open('/etc/passwd')\n"
    read_conf(found, text + "def when_ready(s): pass\nraise SystemExit\n", "g.py", {"T": "7"}, 2)
    assert (found.given["workers"], found.given["timeout"], found.bind) == ("3", "14", ["a:1", "b:2"])
    assert [line.partition(":")[2] for line in found.unknown] == [
        "5: x = ...",
        "6: def when_ready(s): ...",
        "7: raise ...",
    ]


def test_a_script_is_seen_through():
    text = (
        '#!/bin/sh\nset -eu\nexport A=b\ncd sub\n. ../.venv/bin/activate\nexec gunicorn "main:app" -b :${PORT:-8000}\n'
    )
    seen = see_through(["/srv/start.sh"], lambda _path: text, "/srv", {})
    assert seen and seen.words == ["gunicorn", "main:app", "-b", ":8000"]
    assert (seen.directory, seen.environment) == ("/srv/sub", {"A": "b"})
    seen = see_through(["/bin/sh", "-c", "cd /srv && exec uvicorn main:app"], lambda _path: "", "/", {})
    assert seen and (seen.words, seen.directory) == (["uvicorn", "main:app"], "/srv")


@pytest.mark.parametrize(
    ("lines", "words", "sets"),
    [
        ("export WORKERS=${WORKERS:-4}", "2 main:app", {}),
        ('A=b WORKERS="${WORKERS:-4}"', "2 main:app", {"A": "b"}),
        ("WORKERS=3\nWORKERS=${WORKERS:-4}", "3 main:app", {"WORKERS": "3"}),
        ("N=${WORKERS:-4}\nWORKERS=$N", "2 main:app", {"N": "2", "WORKERS": "2"}),
        ("export APP=${APP:-other:app}", "2 main:app", {}),
        ("export EMPTY=${EMPTY:-4}\nWORKERS=$EMPTY", "4 main:app", {"EMPTY": "4", "WORKERS": "4"}),
        ("WORKERS=${NONE:-}", " main:app", {"WORKERS": ""}),
    ],
)
def test_what_a_script_sets_where_nothing_is_set_is_what_it_was_begun_with(lines, words, sets):
    text = f'#!/bin/sh\n{lines}\nexec gunicorn --workers "$WORKERS" $APP\n'
    seen = see_through(["/a"], lambda _path: text, "/srv", {"WORKERS": "2", "APP": "main:app", "EMPTY": ""})
    assert seen and (" ".join(seen.words[2:]), seen.environment) == (words, sets)


def test_a_secret_gets_no_other_name_by_a_script():
    """Under its own it is known as one."""
    for line in ("URL=x://u:$TOKEN@h", "URL=${TOKEN:-x}"):
        with pytest.raises(Opaque, match="'URL'") as opaque:
            see_through(["/a"], lambda _path: f"#!/bin/sh\n{line}\ngunicorn a:b\n", "/", {"TOKEN": "tok-5a6b"})  # noqa: B023
        assert "tok-5a6b" not in str(opaque.value)


@pytest.mark.parametrize(
    "line", ["aws s3 cp x y", "gunicorn a:b & gunicorn c:d", "if true; then gunicorn a:b; fi", "A=$(id)"]
)
def test_a_script_that_does_more_is_refused_by_its_line(line):
    with pytest.raises(Opaque, match=r"/srv/start\.sh:3 can't be seen through"):
        see_through(["/srv/start.sh"], lambda _path: f"#!/bin/bash\n\n{line}\ngunicorn a:b\n", "/srv", {})


def test_audit_reads_hosts_whose_python_is_older():
    """3.10, which is Ubuntu 22.04's. Oxfiles alone need 3.11, and audit says so there."""
    rooms = [PLUGINS / "module_utils" / room for room in ("_hand", "_audit", "_host")]
    for path in (path for room in rooms for path in room.glob("*.py")):
        tree = ast.parse(path.read_text(), feature_version=(3, 10))
        names = {
            each.name
            for node in ast.walk(tree)
            if isinstance(node, (ast.Import, ast.ImportFrom))
            for each in node.names
        }
        assert not names & {"tomllib", "UTC", "StrEnum", "Self", "assert_never", "LiteralString"}, path


def test_every_server_has_its_options_by_the_same_names():
    commands = {
        "gunicorn": "-w4 -b :1 --graceful-timeout 9 -k x.Y a:b",
        "uvicorn": "a:b --workers=4 --timeout-graceful-shutdown 9",
        "fastapi": "a.py --workers 4 --timeout-graceful-shutdown 9",
        "hypercorn": "-w 4 --bind :1 --graceful-timeout=9 a:b",
        "granian": "--interface asgi --workers 4 --workers-kill-timeout 9 a:b",
    }
    for program, words in commands.items():
        found = {each.name: each.value for each in options.options(program, words.split()) if each.known}
        assert (found["workers"], found["graceful_timeout"]) == ("4", "9"), program
        assert found["app"] in ("a:b", "a.py")
