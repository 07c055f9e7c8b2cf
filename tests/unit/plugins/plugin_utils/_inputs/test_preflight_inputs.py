"""All variables together: what is missing, unknown, of the wrong kind, or at odds with another."""

from __future__ import annotations

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app.problems import report
from ansible_collections.graceful.deploy.plugins.module_utils._plan.flow import whole_number
from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs import check as inputs
from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs.front import is_network
from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs.site import bare, check_site, is_hostname
from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs.specification import (
    choices,
    load_spec,
    seconds,
    typed,
)
from hypothesis import example, given
from hypothesis import strategies as st

SPEC = load_spec()
CANARY = "k4n4ry"


def variables(**changes: object) -> dict[str, object]:
    """A whole set of good variables, as the role's defaults give them, with some changed."""
    values = {name: option["default"] for name, option in SPEC.items() if "default" in option}
    values |= {
        "name": "hello",
        "source": "/src",
        "root": "/srv/hello",
        "group": "deploy",
        "tls": "off",
        "proxy_timeout": 65,
        "max_requests_jitter": 0,
    }
    return typed(values | changes, SPEC)


def sentences(**changes: object) -> list[str]:
    return [sentence for _variable, sentence in inputs.check(variables(**changes), SPEC)]


def test_the_defaults_pass() -> None:
    assert sentences() == []


@pytest.mark.parametrize(
    "changes",
    [
        {"domains": ["www.example.com"], "tls": "acme"},
        {"domains": ["*.example.com", "10.0.0.1", "localhost"], "tls": "internal"},
        {"tls": False},
        {"http_port": "8080", "workers": "3", "timeout": "10", "proxy_timeout": "15"},
        {"memory_max": "", "index_url": "", "requirements": "requirements/prod.txt"},
        {"env": {"DATABASE_URL": CANARY, "DEBUG": False, "PORT": 5}},
        {"proxy": "none", "tls": "acme"},
        {"strategy": "swap", "workload": "mixed"},
        {"strategy": "reload"},
    ],
)
def test_good_sets_pass(changes: dict[str, object]) -> None:
    assert sentences(**changes) == []


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"graceful_timeout": 50}, ["fastapi_graceful_timeout is 50 and fastapi_stop_timeout is 45", "55"]),
        ({"graceful_timeout": 45}, ["fastapi_stop_timeout: 50 or more"]),
        ({"graceful_timeout": 41}, ["fastapi_stop_timeout: 46 or more"]),
        ({"proxy_timeout": 60}, ["fastapi_timeout is 60 and fastapi_proxy_timeout is 60", "61 or more"]),
        ({"workers": 0}, ["fastapi_workers is 0", "auto"]),
        ({"workers": -2}, ["fastapi_workers is -2", "auto"]),
        ({"workers": "many"}, ["fastapi_workers is 'many'", "auto"]),
        ({"workers": True}, ["fastapi_workers is True", "auto"]),
        ({"worker_memory": "150MB"}, ["fastapi_worker_memory", "'150MB'", "150M"]),
        ({"memory_max": "100M"}, ["fastapi_memory_max is 100M", "214M"]),
        ({"timeout": "30s", "proxy_timeout": 90}, ["fastapi_timeout", "'30s'", "seconds"]),
        ({"db_pool_size": -1}, ["fastapi_db_pool_size is -1"]),
        ({"workload": "web"}, ["fastapi_workload is 'web'", "one of io, cpu, mixed", "fastapi_workload: io."]),
        ({"strategy": "swop"}, ["fastapi_strategy: swap."]),
        ({"release_method": "pip"}, ["one of wheels, venv, index.", "fastapi_release_method: wheels."]),
        ({"proxy": "Caddy"}, ["fastapi_proxy: caddy."]),
        ({"proxy": "nginxx"}, ["one of"]),
        ({"tls": True}, ["fastapi_tls is true"]),
        ({"tls": "of"}, ["fastapi_tls: 'off'."]),
        ({"source": 5}, ["fastapi_source is 5: it has to be text."]),
        ({"source": None}, ["fastapi_source: it has no value."]),
        ({"source": ""}, ["fastapi_source: it has no value.", "fastapi_source: /home/me/hello"]),
        ({"worker_memory": ""}, ["fastapi_worker_memory: it has no value.", "Take it out"]),
        ({"memory_max": None}, ["fastapi_memory_max: ''."]),
        ({"user": None}, ["Take it out for the default."]),
        ({"index_url": f"ftp://u:{CANARY}@x"}, ["fastapi_index_url: it has to be the URL"]),
        ({"env": f"A={CANARY}"}, ["fastapi_env: it has to be a dictionary"]),
        ({"env": {"A B": CANARY}}, ["fastapi_env['A B']: ", "Name it A_B."]),
        ({"env": {"A": f"{CANARY}\n"}}, ["fastapi_env['A']: its value holds a newline"]),
        ({"env": {"WEB_CONCURRENCY": CANARY}}, ["fastapi_workers"]),
    ],
)
def test_a_bad_one_is_refused_alone(changes: dict[str, object], parts: list[str]) -> None:
    (sentence,) = sentences(**changes)
    for part in parts:
        assert part in sentence
    assert CANARY not in sentence


# What a variable may hold of each type, and more: text that is no number, lists, dictionaries, null, YAML's booleans.
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["8080", "off"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


def is_of_type(value: object, name: str) -> bool:
    """Whether a value is of its option's type, told generously: what isn't has to be refused."""
    option = SPEC[name]
    if option["type"] == "int" or name == "workers":
        return whole_number(value) is not None or (name == "workers" and value == "auto")
    if option["type"] == "float":
        return seconds(value) is not None
    if option["type"] == "raw":
        return isinstance(value, (str, int, list)) and not isinstance(value, bool)
    if option["type"] == "list":
        return isinstance(value, list) and all(isinstance(entry, str) for entry in value)
    if option["type"] == "dict":
        return isinstance(value, dict)
    if option["type"] == "bool":
        return isinstance(value, bool) or str(value).lower() in ("true", "false")
    sizes = ("worker_memory", "memory_max", "max_body", "log_max_size")
    return (
        isinstance(value, str)
        or (name in sizes and whole_number(value) is not None)
        or (value is False and "off" in choices(option))
    )


@pytest.mark.parametrize("name", SPEC)
@given(value=anything)
@example("abc")
@example(1.5)
@example(["x"])
@example({"x": "y"})
@example({"x": "TODO"})
@example(True)
@example("FALSE")
def test_a_value_of_another_type_is_refused_by_name(name: str, value: object) -> None:
    """site.yml leaves the types to preflight: what it lets through would reach templates as it is."""
    found = inputs.check(variables(**{name: value}), SPEC)
    if not is_of_type(value, name):
        # Of what still has to be filled in, the part is named that it stands in.
        assert name in [variable.partition("[")[0] for variable, _sentence in found]
    for _variable, sentence in found:
        assert sentence.startswith("fastapi_") and sentence.rstrip().endswith(".")


def test_all_is_told_at_once_and_no_variable_twice() -> None:
    found = inputs.check(
        variables(
            name="X", http_port="many", workers=0, strategy="x", graceful_timeout=50, domains="a.b", env={"1": 1}
        ),
        SPEC,
    )
    assert [variable for variable, _sentence in found] == [
        "name",
        "env['1']",
        "strategy",
        "http_port",
        "domains",
        "workers",
        "stop_timeout",
    ]


def test_what_is_missing_is_told_and_what_could_not_be_read_is_not_called_missing() -> None:
    values = variables()
    del values["name"], values["source"]
    (sentence,) = [text for _name, text in inputs.check(values, SPEC, {"source"})]
    assert sentence.startswith("fastapi_name: it isn't set")


@pytest.mark.parametrize(
    ("full", "advice"),
    [
        ("fastapi_graceful_timout", "Write fastapi_graceful_timeout instead."),
        ("fastapi_domain", "Write fastapi_domains instead."),
        ("fastapi_port", "Write fastapi_http_port instead."),
        ("fastapi_evn", "Write fastapi_env instead."),
        ("fastapi_environment", "Write fastapi_env instead."),
        ("fastapi_Name", "Write fastapi_name instead."),
        ("FASTAPI_NAME", "Write fastapi_name instead."),
        ("fastapi__name", "Write fastapi_name instead."),
        ("fastapi_host", "Write fastapi_hosts instead."),
        ("fastapi_quux_zzz", "Take it out"),
        ("fastapi_", "Take it out"),
        ("fast_api_workers", "Write fastapi_workers instead."),
        ("fasapi_workers", "Write fastapi_workers instead."),
        ("fastpai_env", "Write fastapi_env instead."),
    ],
)
def test_a_variable_that_the_role_does_not_have_is_refused(full: str, advice: str) -> None:
    ((name, sentence),) = inputs.check_names([full], SPEC)
    assert name == full
    assert sentence.startswith(f"{full}: there is no such variable")
    assert advice in sentence


@pytest.mark.parametrize(
    "full",
    [
        "fastapi_name",
        "fastapi_hosts",
        "fastapi_serial",
        "_fastapi_x",
        "__fastapi_plan",
        "fast_name",
        "my_fastapi_x",
        "fastapi",
    ],
)
def test_other_variables_are_nobodys_business(full: str) -> None:
    assert inputs.check_names([full], SPEC) == []


def test_every_variable_that_was_ever_read_is_known() -> None:
    assert inputs.check_names([f"fastapi_{name}" for name in SPEC], SPEC) == []


@pytest.mark.parametrize(
    ("entry", "host"),
    [
        ("https://www.example.com/", "www.example.com"),
        ("http://example.com:8080/a?b", "example.com"),
        ("example.com.", "example.com"),
        (" Example.com ", "example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("u:p@example.com", "example.com"),
    ],
)
def test_the_host_in_what_was_taken_for_one(entry: str, host: str) -> None:
    assert bare(entry) == host


@pytest.mark.parametrize(
    "host", ["a.b", "localhost", "*.example.com", "xn--bcher-kva.example", "10.0.0.1", "a" * 63 + ".b"]
)
def test_host_names(host: str) -> None:
    assert is_hostname(host)


@pytest.mark.parametrize(
    "host", ["", "a..b", "-a.b", "a-.b", "a_b.c", "a b", "*", "a.*.b", "a/b", "a:80", "a" * 64 + ".b", "a.b\n", "a.b."]
)
def test_not_host_names(host: str) -> None:
    assert not is_hostname(host)


SITE = {"tls": "off", "domains": [], "http_port": 80, "proxy": "caddy"}


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"domains": "example.com"}, "Write fastapi_domains: [example.com]."),
        ({"domains": "https://a.org, b.org/"}, "Write fastapi_domains: [a.org, b.org]."),
        ({"domains": {"a": 1}}, "a list of host names"),
        ({"domains": ["https://a.org"]}, "Write a.org."),
        ({"domains": ["a.org:8080"]}, "Write a.org."),
        ({"domains": ["what is this"]}, "www.example.com"),
        ({"domains": [5]}, "quotes"),
        ({"domains": ["a.org", "A.org"]}, "twice"),
        ({"domains": ["*.a.org"], "tls": "acme"}, "DNS provider"),
        ({"domains": ["localhost"], "tls": "acme"}, "fastapi_tls: internal"),
        ({"domains": ["10.0.0.1"], "tls": "acme"}, "fastapi_tls: internal"),
        ({"domains": ["nas.local"], "tls": "acme"}, "fastapi_tls: internal"),
        ({"domains": ["intranet"], "tls": "acme"}, "fastapi_tls: internal"),
        ({"tls": "acme"}, "fastapi_domains is empty"),
        ({"tls": "internal"}, "fastapi_domains is empty"),
        ({"domains": ["a.org"], "tls": "acme", "http_port": 443}, "HTTPS"),
        ({"domains": ["a.org"], "tls": "internal", "http_port": 8080}, "or fastapi_tls: 'off' for plain HTTP on 8080."),
        ({"http_port": 2019}, "administration"),
        ({"proxy": "nginx", "rate_limit": "50/h"}, "fastapi_rate_limit: 60/h"),
        ({"proxy": "nginx", "rate_limit": "119/h"}, "fastapi_rate_limit: 120/h"),
        ({"domains": ["*.a.org"], "redirect_domains": ["b.org"]}, "a name without * first"),
    ],
)
def test_sites_that_could_not_be_served(changes: dict[str, object], part: str) -> None:
    (problem,) = check_site(SITE | changes)
    assert part in problem.sentence
    assert problem.advice.endswith(".")


@pytest.mark.parametrize("changes", [{"http_port": 443}, {"proxy": "none", "tls": "acme", "http_port": 2019}])
def test_sites_that_can(changes: dict[str, object]) -> None:
    assert check_site(SITE | changes) == []


@pytest.mark.parametrize("entry", ["10.0.0.0/8", "10.0.0.1", "2001:db8::/32", "::1"])
def test_networks(entry: str) -> None:
    assert is_network(entry)


@pytest.mark.parametrize(
    "entry",
    ["fe80::1%x\n}\nrespond injected\n@zz {\nremote_ip ::2", "fe80::1%eth0", "10.0.0.0/255.0.0.0", "::1\n", "", 10],
)
def test_not_networks(entry: object) -> None:
    """Python takes the first three for networks; they would end a line of the proxy's, or it knows none such."""
    assert not is_network(entry)


def test_a_report_counts() -> None:
    assert report(["a."], "web1") == "Nothing was changed on web1: there is 1 problem to fix first.\n1. a."
    assert report(["a.", "b."], "web1").endswith("there are 2 problems to fix first.\n1. a.\n2. b.")
