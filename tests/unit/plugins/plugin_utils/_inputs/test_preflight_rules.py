"""Rules for single values: what newcomers type, and that what a refusal proposes passes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from ansible_collections.graceful.deploy.plugins.module_utils._app import names
from ansible_collections.graceful.deploy.plugins.module_utils._app.problems import HIDDEN, show
from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs import check as inputs
from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs import rules
from hypothesis import example, given
from hypothesis import strategies as st

ROLE = Path(__file__).parents[5] / "roles" / "fastapi"

GOOD = {
    "name": ["a", "hello", "hello-2", "a_b", "a" * 31],
    "app": ["main:app", "app.main:app", "_a.b:c.d", "app.main:create.app", "main:create_app()"],
    "root": ["/srv/hello", "/opt/x", "/data/apps/hello", "/var/www/hello", "/srv/a.b+c@d_e-f"],
    "user": ["deploy", "www-data", "a1"],
    "packages": [[], ["libpq5", "g++", "libc6:amd64", "ncbi-blast+", "libqt5x11extras5:kfreebsd-amd64"]],
    "python": ["/usr/bin/python3", "/opt/py/3.12/bin/python3.12"],
    "keep_releases": [2, 5, "7"],
    "exclude": [[], [".git", "*.log", "tests/"]],
    "index_url": ["https://pypi.example.com/simple", "https://u:p%40@host:8080/simple/", "file:///srv/wheels"],
    "worker_class": ["graceful_worker.GracefulWorker", "uvicorn_worker.UvicornWorker"],
    "keepalive": [1, 5, "75"],
    "health_path": ["/", "/health", "/api/v1/health_z-1.2~"],
    "on_failure": ["mail-me@%n.service", "page.service", "alarm.target"],
    "static": [{"/static": "app/static", "/a/b.d": "x"}],
    "protect": [[{"path": path, "addresses": ["10.0.0.0/8"]}] for path in ("/", "/admin", "/admin/", "/a.b/..c/~d")],
    "headers": [{}, {"X-Frame-Options": "DENY", "Content-Type": "text/plain", "Date-Of": "x"}],
    "http_port": [1, 80, "8080", 65535],
    "max_body": ["10M", "1.5G", 1048576],
    "log_retention": ["14d", "48h", "365d"],
}
# value, part of the sentence
BAD = {
    "name": [
        ("he/llo", "fastapi_name: he-llo."),
        ("hello\n", "'hello\\n'"),
        ("Hello", "fastapi_name: hello."),
        ("hello world", "fastapi_name: hello-world."),
        ("1st", "fastapi_name: st."),
        ("-", "fastapi_name: hello."),
        ("", "fastapi_name: hello."),
        ("a" * 32, "1 to 31"),
        ("héllo", "fastapi_name: h-llo."),
        (5, "is 5:"),
        (True, "is true:"),
        ("postgresql", "postgresql@.service"),
        ("Caddy", "fastapi_name: hello."),
        ("systemd-x", "well-known"),
    ],
    "on_failure": [
        ("mail-me", "fastapi_on_failure: mail-me.service."),
        ("a.service b.service", "one unit"),
        ("mail@%h.service", "fastapi_on_failure: mail@h.service."),
        ("x.service\nExecStart=/bin/sh", "one unit"),
    ],
    "app": [
        ("app/main.py:app", "fastapi_app: app.main:app."),
        ("app/main.py", "fastapi_app: app.main:app."),
        ("main.py:api", "fastapi_app: main:api."),
        ("main", "fastapi_app: main:app."),
        ("app.main.app", "fastapi_app: app.main:app."),
        ("./main.py", "fastapi_app: main:app."),
        ("main:app ", "fastapi_app: main:app."),
        ("main:app\n", "\\n"),
        ("main:", "fastapi_app: main:app."),
        (":app", "fastapi_app: app.main:app."),
        ("main:app --reload", "fastapi_app: app.main:app."),
        ("main:create_app('prod')", "fastapi_app: main:create_app()."),
        ("main.py:create_app()", "fastapi_app: main:create_app()."),
        ("main:create_app() ", "fastapi_app: main:create_app()."),
        ("create_app()", "fastapi_app: app.main:app."),
        ("my-app.main:app", "fastapi_app: app.main:app."),
        (None, "null"),
    ],
    "root": [
        ("/", "system's own"),
        ("/etc", "system's own"),
        ("/etc/hello", "system's own"),
        ("/srv", "system's own"),
        ("/home/me/app", "hidden from the service"),
        ("/tmp/x", "emptied at boot"),
        ("srv/hello", "absolute"),
        ("/srv/hello/", "fastapi_root: /srv/hello."),
        ("/srv/../etc", "fastapi_root: /etc."),
        ("//srv/x", "fastapi_root: /srv/x."),
        ("/srv/my app", "a blank"),
        ("/srv/a\n", "a newline"),
        ("/srv/{x}", "{"),
        ('/srv/"x"', "a double quote"),
        ("/srv/%i", "%"),
        ("/srv/" + "x" * 100, "unix socket"),
    ],
    "user": [
        ("root", "never run as root"),
        ("Root", "fastapi_user: deploy."),
        ("nobody", "nobody too"),
        ("Deploy User", "fastapi_user: deploy-user."),
        ("1000", "a letter first"),
        (1000, "fastapi_user: deploy."),
        ("a:b", "fastapi_user: a-b."),
    ],
    "packages": [
        ("libpq5", "fastapi_packages: ['libpq5']."),
        (["libpq5; rm"], "libpq5; rm"),
        (["-y"], "-y"),
        (["curl-"], "Write curl for it."),
        (["libpq5", "curl:amd64-"], "Write curl:amd64 for it."),
        (["curl=8.1"], "no version"),
        (["curl/bookworm-backports"], "Write curl for it."),
        (["./x.deb"], "Take it out."),
        (["libpq*"], "name of a Debian package"),
        (["curl wget"], "name of a Debian package"),
        (["curl\n"], "Write curl for it."),
        ("curl-", "fastapi_packages: ['libpq5']."),
        ([5], "5"),
        ({}, "a list"),
    ],
    "python": [
        ("python3", "/usr/bin/python3."),
        (3.12, "/usr/bin/python3.12."),
        ("3.12", "/usr/bin/python3.12."),
        ("python3.11", "/usr/bin/python3.11."),
        ("/root/.pyenv/bin/python", "home directories"),
        ("venv/bin/python", "absolute"),
        ("/usr/bin/python3 -I", "a blank"),
        (True, "absolute"),
    ],
    "keep_releases": [(1, "fastapi_keep_releases: 2."), (0, "from 2"), (True, "is true"), ("all", "whole number")],
    "exclude": [(".git", "['.git']"), ([""], "''"), (["a\nb"], "a\\nb"), ([1], "text")],
    "worker_class": [("sync", "can't"), ("uvicorn", "module.Class"), ("a.b-c", "module.Class")],
    "keepalive": [("5s", "fastapi_keepalive: 5."), ("2m", "fastapi_keepalive: 120."), (-1, "from 1"), (2.5, "whole")],
    "health_path": [
        ("health", "fastapi_health_path: /health."),
        ("https://x.org/health", "fastapi_health_path: /health."),
        ("/a b", "fastapi_health_path: /ab."),
        ("/{x}", "fastapi_health_path: /x."),
        ("/h\n", "\\n"),
        ("/h?x=1", "slash first"),
        (None, "/health"),
        ("//health", "fastapi_health_path: /health."),
        ("/a//health/", "fastapi_health_path: /a/health/."),
        ("/x/../health", "fastapi_health_path: /health."),
        ("/./health", "fastapi_health_path: /health."),
        ("/health/..", "fastapi_health_path: /."),
        ("/health/.", "fastapi_health_path: /health."),
        ("/%68ealth%0a", "fastapi_health_path: /health."),
    ],
    "static": [
        ({"//static": "x"}, "Write /static for it."),
        ({"/a/../static/": "x"}, "Write /static for it."),
        ({"/./": "x"}, "Write /static for it."),
        ({"/st%61tic": "x"}, "Write /static for it."),
        ({"/static\n": "x"}, "Write /static for it."),
    ],
    "headers": [
        ({"Content-Length": "5"}, "Take Content-Length out."),
        ({"transfer-encoding": "chunked"}, "Take transfer-encoding out."),
        ({"X-A": "b", "CONNECTION": "close"}, "Take CONNECTION out."),
        ({"Content-Length": 5}, "Take Content-Length out."),
        ({"Content-Encoding": "gzip"}, "server's own"),
    ],
    "http_port": [(0, "fastapi_http_port: 1."), (70000, "65535"), ("80/tcp", "80"), (True, "is true"), (80.5, "whole")],
    "max_body": [("10MB", "fastapi_max_body: 10M."), ("10 m", "10M"), (0, "above zero"), ("lots", "100M")],
    "log_retention": [
        (14, "fastapi_log_retention: 14d."),
        ("14 days", "fastapi_log_retention: 14d."),
        ("2w", "fastapi_log_retention: 14d."),
        ("3 months", "fastapi_log_retention: 90d."),
        ("1y", "fastapi_log_retention: 365d."),
        ("forever", "fastapi_log_retention: 14d."),
        ("0d", "number"),
        ("14d\n", "14d."),
    ],
}


@pytest.mark.parametrize(("variable", "value"), [(v, value) for v, values in GOOD.items() for value in values])
def test_good_values_pass(variable: str, value: object) -> None:
    assert inputs.RULES[variable](variable, value) is None


@pytest.mark.parametrize(("variable", "value", "part"), [(v, *case) for v, cases in BAD.items() for case in cases])
def test_bad_values_are_refused_with_what_to_write(variable: str, value: object, part: str) -> None:
    problem = inputs.RULES[variable](variable, value)
    assert problem is not None
    assert problem.sentence.startswith(f"fastapi_{variable} is {show(value)}: ")
    assert part in problem.sentence
    assert "\n" not in problem.sentence
    assert problem.wrong.endswith(".") and problem.advice.endswith(".")


@pytest.mark.parametrize(
    ("path", "instead"),
    [
        ("//admin", "/admin"),
        ("/x/../office", "/office"),
        ("/./a", "/a"),
        ("/a/.", "/a"),
        ("/admin//", "/admin/"),
        ("/admin\n", "/admin"),
        ("/admin%0A", "/admin"),
        ("/%61dmin", "/admin"),
        ("/admin*", "/admin"),
        ("admin", "/admin"),
    ],
)
def test_a_path_that_would_protect_nothing_is_refused_with_the_one_that_does(path: str, instead: str) -> None:
    """Its value isn't shown: hashes of passwords are in it."""
    problem = inputs.RULES["protect"]("protect", [{"path": path, "users": {"ann": "canary"}}])
    assert problem is not None
    assert show(path) in problem.sentence and "canary" not in problem.sentence
    assert problem.advice == f"Write path: {instead}."
    assert rules.url_path("health_path", instead) is None


anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=40),
    st.text("aZ09_-./: \n(),%wdhmKMG", max_size=12),
    st.lists(st.text(max_size=5), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


@pytest.mark.parametrize("variable", sorted(inputs.RULES))
@given(value=anything)
@example("'\"")
def test_a_proposed_value_passes(variable: str, value: object) -> None:
    """The law for every rule: no value makes it stumble, and `Write fastapi_x: V` is a V that it takes."""
    rule = inputs.RULES[variable]
    problem = rule(variable, value)
    if problem is None:
        return
    written = re.search(rf"[Ww]rite fastapi_{variable}: (.*)\.$", problem.sentence)
    # Two rules say one thing at a time: the shortest form of a path may still be the system's.
    if written and not (variable in ("root", "python") and "shortest form" in problem.sentence):
        assert rule(variable, yaml.safe_load(written[1])) is None, problem.sentence


def test_a_well_known_name_gets_one_that_passes() -> None:
    for name in names.WELL_KNOWN:
        problem = names.name("name", name)
        assert problem is not None
        assert names.name("name", problem.advice.removeprefix("Write fastapi_name: ").removesuffix(".")) is None


def test_the_index_is_never_shown() -> None:
    for value in ("u:secret@host", "ftp://u:secret@host", "https://u:se cret@host", 5, ["secret"]):
        problem = rules.index_url("index_url", value)
        assert problem is not None and problem.value is HIDDEN
        assert "cret" not in problem.sentence


def test_show_is_one_line_and_bounded() -> None:
    assert show("a\nb\t\x1b") == "'a\\nb\\t\\x1b'"
    assert show("Größe") == "'Größe'"
    assert (show(True), show(None), show(1.5), show(["a"])) == ("true", "null", "1.5", '["a"]')
    assert len(show("x" * 5000)) < 110


def test_every_rule_is_for_a_variable_that_the_role_has() -> None:
    options = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    assert set(inputs.RULES) <= {name.removeprefix("fastapi_") for name in options}
