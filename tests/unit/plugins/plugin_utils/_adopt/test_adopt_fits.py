"""Whatever adopt.yml writes, preflight takes it, or it is left open and named: nothing is written that it refuses."""

from __future__ import annotations

import copy
import functools
import typing as t

import pytest
import yaml
from ansible_collections.graceful.deploy.plugins.module_utils._adopt.look import look
from ansible_collections.graceful.deploy.plugins.module_utils._adopt.programs import Host, Refused
from ansible_collections.graceful.deploy.plugins.plugin_utils._adopt import nginx_site
from ansible_collections.graceful.deploy.plugins.plugin_utils._adopt.inventory import Page, write
from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs.check import check, check_names
from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs.rules import TODO
from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs.specification import load_spec, typed
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from test_adopt_hosts import HOSTS

AT = "127.0.0.1:8000"
# To make a failure small takes minutes: it is shown as it was found.
BRIEFLY = settings(
    max_examples=30,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@functools.cache
def host() -> dict[str, t.Any]:
    return look(Host(lambda _command: (1, "", ""), str(HOSTS / "article" / "host")), "", cpus=2)


def page_of(proxy: str, text: str, lineages: t.Sequence[dict[str, t.Any]] = (), **changed: str) -> Page:
    found = copy.deepcopy(host())
    found["proxies"] = {"nginx": {}, "caddy": {}, "links": {}, "users": {"/etc/h": "ann:$2y$05$" + "a" * 53}}
    found["proxies"][proxy] = {f"/etc/{proxy}/site": text}
    found["proxies"]["lineages"] = lineages
    found["server"]["given"] |= changed
    return write(found, "../shop", "")


def refused(page: Page) -> list[str]:
    """What preflight says of it beside what is named as left open."""
    both = f"{page.app.text}\n{page.secrets}".replace("!unsafe ", "").replace("---\n", "")
    values = yaml.safe_load(both)
    spec = load_spec()
    said = {name.removeprefix("fastapi_"): value for name, value in values.items() if name.startswith("fastapi_")}
    said["env"] = {}
    assert check_names([name for name in values if name.startswith("fastapi_")], spec) == []
    defaults = {name: option["default"] for name, option in spec.items() if "default" in option}
    defaults = {name: value for name, value in defaults.items() if "{{" not in str(value)}
    found = check(typed({**defaults, "root": "/srv/a", "group": "deploy", "tls": "off", **said}, spec), spec)
    return [sentence for name, sentence in found if said.get(name) not in (TODO, [TODO])]


WORDS = st.sampled_from(
    [
        "/",
        "/admin",
        "/a b",
        "/admin/",
        "/x//y",
        r"\\.php$",
        "^/(a|b)/",
        "/%41",
        "/..",
        "@named",
        "/\u00e4",
        "0",
        "-1",
        "99999",
    ]
    + [
        "8m",
        "1.5g",
        "0s",
        "9000s",
        "7d",
        "10.0.0.0/8",
        "all",
        "fe80::1%eth0",
        "unix:",
        "on",
        "off",
        "Restricted",
        "/etc/h",
    ]
    + [
        "X-Frame-Options",
        "Date",
        "Content-Length",
        "DENY",
        "a$b",
        "max-age=9",
        "max-age=99999999999",
        "www.x.org",
        "*.x.org",
    ]
    + ["x_y.org", "1.2.3.4", "443", "80", "2019", "70000", "ssl", "/etc/ssl/a.pem", "ssl/a.pem", "~^x$", "me@x", "5/s"]
)
NAMES = st.sampled_from(
    "auth_basic auth_basic_user_file allow deny add_header client_max_body_size proxy_read_timeout keepalive_timeout "
    "client_header_timeout gzip listen server_name ssl_certificate ssl_certificate_key return root "
    "proxy_set_header".split()
)
QUOTED = WORDS.map(lambda word: f'"{word}"')
LINES = st.lists(st.tuples(NAMES, st.lists(QUOTED, min_size=1, max_size=2)), max_size=5)
LOCATIONS = st.lists(st.tuples(st.sampled_from(["", "=", "^~", "~", "~*"]), QUOTED, LINES, st.booleans()), max_size=3)


def lines(rows: t.Iterable[tuple[str, list[str]]]) -> str:
    return "".join(f"{name} {' '.join(words)};\n" for name, words in rows)


@BRIEFLY
@given(LINES, LOCATIONS)
def test_whatever_an_nginx_site_says(rows, locations):
    text = "".join(
        f"location {sign} {path} {{\n{lines(inner)}{f'proxy_pass http://{AT};' if mine else ''}}}\n"
        for sign, path, inner, mine in locations
    )
    site = f"server {{\n{lines(rows)}{text}location / {{ proxy_pass http://{AT}; }}\n}}\n"
    try:
        page = page_of("nginx", site)
    except Refused:
        assume(False)
    assert refused(page) == []


DIRECTIVES = st.sampled_from(
    [
        "encode {0}",
        "request_body {{\n max_size {0}\n}}",
        "header {0} {1}",
        "basicauth {0} {{\n ann $2y$05$%s\n}}" % ("a" * 53),
    ]
    + ["tls {0}", "tls {0} {1}", "handle {0} {{\n file_server\n root {1}\n}}", "respond {0} {1}", "root {0}", "log"]
)
CADDY = st.lists(st.tuples(DIRECTIVES, QUOTED, QUOTED).map(lambda row: row[0].format(*row[1:])), max_size=5)
ADDRESSES = st.sampled_from(
    ["x.org", "http://x.org", "x.org:8443", ":8080", "*.x.org", "localhost", "http://x.org:2019", "x_y.org"]
)
UPSTREAM = st.sampled_from(["", "health_uri {0}", "health_interval {0}", "transport http {{\n read_timeout {0}\n}}"])


@BRIEFLY
@given(ADDRESSES, CADDY, UPSTREAM, QUOTED)
def test_whatever_a_caddyfile_says(address, rows, upstream, word):
    inner = "\n".join(rows)
    site = f"{address} {{\n{inner}\nreverse_proxy {AT} {{\n{upstream.format(word)}\n}}\n}}\n"
    try:
        page = page_of("caddy", site)
    except Refused:
        assume(False)
    assert refused(page) == []


@BRIEFLY
@given(st.sampled_from(["keepalive", "max_requests", "timeout", "workers"]), st.integers(0, 1 << 40))
def test_whatever_a_command_line_says(name, number):
    assert (
        refused(page_of("nginx", f"server {{ location / {{ proxy_pass http://{AT}; }} }}", **{name: str(number)})) == []
    )


def test_a_pattern_is_no_protected_path():
    text = f"""server {{
    location ~* \\.php$ {{ deny all; proxy_pass http://{AT}; }}
    location ~ ^/admin {{ auth_basic "x"; auth_basic_user_file /etc/h; proxy_pass http://{AT}; }}
    location /inner {{ allow 10.0.0.0/8; deny all; proxy_pass http://{AT}; }}
    location / {{ proxy_pass http://{AT}; }}
}}"""
    front = nginx_site.read({"site": text}, [AT], "/srv/a", {"/etc/h": "ann:$2y$05$" + "a" * 53})
    assert front and [entry["path"] for entry in front.values["protect"][0]] == ["/inner"]
    assert [place for place, _text, why in front.unknown if "patterns" in why] == ["site:2", "site:3", "site:3"]
    page = page_of("nginx", text)
    assert "deny all" in page.app.text and [note for note in page.app.notes if "Before step=move" in note]


LIVE = "/etc/letsencrypt/live"
BOTH = ["shop.org", "www.shop.org"]


def certbots(names: str, *lineages: tuple[str, list[str], bool]) -> Page:
    """The page of a site with these names and such lineages: the last part of the path, names, by DNS."""
    text = f"server {{ listen 443 ssl; server_name {names}; location / {{ proxy_pass http://{AT}; }}\n"
    text += f"ssl_certificate {LIVE}/x/fullchain.pem; ssl_certificate_key {LIVE}/x/privkey.pem; }}"
    found = [{"path": f"{LIVE}/{path}", "names": each, "dns": dns} for path, each, dns in lineages]
    return page_of("nginx", text, lineages=found)


@pytest.mark.parametrize(
    "lineages",
    [[("x", BOTH, False)], [("x", ["shop.org"], False), ("y", [*BOTH, "more.org"], False)], [("x", BOTH, True)] * 2],
    ids=["one", "another", "by DNS"],
)
def test_certbots_certificate_with_all_names_is_served_on_and_renewed_as_it_was(lineages):
    page = certbots("shop.org www.shop.org", *lineages)
    values = yaml.safe_load(page.app.text)
    by_http = [path for path, names, dns in lineages if not dns and {*BOTH} <= {*names}]
    assert values["fastapi_tls"] == ("acme" if by_http else "files") and refused(page) == []
    assert values.get("fastapi_tls_certificate") == (None if by_http else f"{LIVE}/x/fullchain.pem")
    assert values.get("fastapi_tls_key") == (None if by_http else f"{LIVE}/x/privkey.pem")
    assert ("renewal-hooks" in page.app.text) is not bool(by_http)


@pytest.mark.parametrize(
    ("server", "written"),
    [("https://ca.shop.org/acme/directory", True), ("https://acme-v02.api.letsencrypt.org/directory", False)],
)
def test_it_is_renewed_by_the_authority_that_certbot_has(server, written):
    text = f"server {{ listen 443 ssl; server_name shop.org; location / {{ proxy_pass http://{AT}; }}\n"
    text += f"ssl_certificate {LIVE}/x/fullchain.pem; ssl_certificate_key {LIVE}/x/privkey.pem; }}"
    lineage = {"path": f"{LIVE}/x", "names": ["shop.org"], "dns": False, "server": server}
    page = page_of("nginx", text, lineages=[lineage])
    assert yaml.safe_load(page.app.text).get("fastapi_acme_directory") == (server if written else None)
    assert refused(page) == []


STAGING = "https://acme-staging-v02.api.letsencrypt.org/directory"


@pytest.mark.parametrize(
    ("lineages", "written"),
    [
        ({"a": STAGING, "x": "https://ca.shop.org/acme"}, "https://ca.shop.org/acme"),
        ({"a": "https://ca.shop.org/acme", "x": ""}, None),
        ({"a": STAGING, "b": "https://ca.shop.org/acme"}, "https://ca.shop.org/acme"),
        ({"x": STAGING}, None),
    ],
    ids=["a trial's beside it", "another's beside it", "neither is the site's", "the site's is a trial's"],
)
def test_the_authority_is_that_of_the_certificate_which_the_site_names(lineages, written):
    """One that no client trusts is never taken over, and the site's own is told."""
    text = f"server {{ listen 443 ssl; server_name shop.org; location / {{ proxy_pass http://{AT}; }}\n"
    text += f"ssl_certificate {LIVE}/x/fullchain.pem; ssl_certificate_key {LIVE}/x/privkey.pem; }}"
    rows = [
        {"path": f"{LIVE}/{name}", "names": ["shop.org"], "dns": False, "server": server}
        for name, server in lineages.items()
    ]
    page = page_of("nginx", text, lineages=rows)
    values = yaml.safe_load(page.app.text)
    assert (values["fastapi_tls"], values.get("fastapi_acme_directory")) == ("acme", written)
    assert any("for trials" in row[2] for row in page.unknown) is (lineages == {"x": STAGING})
    assert refused(page) == []


def test_a_wildcard_is_for_one_label():
    page = certbots("shop.org www.shop.org", ("wild", ["*.shop.org", "shop.org"], True))
    assert yaml.safe_load(page.app.text)["fastapi_tls_certificate"] == f"{LIVE}/wild/fullchain.pem"
    page = certbots("shop.org a.www.shop.org", ("wild", ["*.shop.org", "shop.org"], True))
    assert "TODO" in yaml.safe_load(page.app.text)["fastapi_tls_certificate"]


@pytest.mark.parametrize("lineages", [[], [("x", ["shop.org"], False), ("y", ["www.shop.org"], False)]])
def test_where_no_certificate_has_all_names_it_is_left_open_with_what_to_do(lineages):
    """With acme clients would meet one by the host's own authority, with files one of the two names would have none."""
    page = certbots("shop.org www.shop.org", *lineages)
    values = yaml.safe_load(page.app.text)
    assert (values["fastapi_tls"], values["fastapi_tls_certificate"], values["fastapi_tls_key"]) == (
        "files",
        "TODO",
        "TODO",
    )
    words = " ".join(line.lstrip("# ") for line in page.app.text.splitlines())
    assert "certbot --nginx --expand -d shop.org -d www.shop.org" in words
    assert "absolute path" not in words and len([row for row in page.unknown if "certificate" in row[1]]) == 1


def test_a_certificate_for_names_that_nobody_certifies_stays():
    page = certbots("shop.internal")
    assert yaml.safe_load(page.app.text)["fastapi_tls_certificate"] == f"{LIVE}/x/fullchain.pem" and refused(page) == []


@pytest.mark.parametrize(
    ("top", "tls", "said"),
    [
        (
            "{\n acme_ca https://ca.corp/dir\n acme_ca_root /etc/ca.pem\n email a@b.org\n}\n",
            "",
            ["https://ca.corp/dir", "a@b.org"],
        ),
        ("", "tls a@b.org {\n ca https://ca.corp/dir\n}", ["https://ca.corp/dir", "a@b.org"]),
        ("", "tls {\n issuer acme https://ca.corp/dir {\n email a@b.org\n }\n}", ["https://ca.corp/dir", "a@b.org"]),
    ],
)
def test_a_caddyfiles_authority_is_taken_over(top, tls, said):
    page = page_of("caddy", f"{top}shop.org {{\n{tls}\nreverse_proxy {AT}\n}}\n")
    values = yaml.safe_load(page.app.text)
    assert (values["fastapi_tls"], values["fastapi_acme_directory"], values["fastapi_acme_email"]) == ("acme", *said)
    assert refused(page) == [] and not [row for row in page.unknown if "tls" in row[1]]
