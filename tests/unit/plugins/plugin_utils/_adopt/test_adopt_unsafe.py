"""What a hostile or careless host says is neither run on the control node, nor shown, nor let fill its memory."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.graceful.deploy.plugins.module_utils._adopt.look import look
from ansible_collections.graceful.deploy.plugins.module_utils._adopt.programs import Host, Refused
from ansible_collections.graceful.deploy.plugins.plugin_utils._adopt import source
from ansible_collections.graceful.deploy.plugins.plugin_utils._adopt.inventory import Page, untemplated, write
from ansible_collections.graceful.deploy.plugins.plugin_utils._init.written import Written, as_yaml

HOSTS = Path(__file__).resolve().parents[3] / "adopt_hosts"
RUN = "{{ lookup('pipe', 'id') }}"


def found_of(name: str, unit: str = "") -> dict[str, Any]:
    return copy.deepcopy(look(Host(lambda _command: (1, "", ""), str(HOSTS / name / "host")), unit, cpus=2))


@pytest.mark.parametrize("key", ["remote", "branch", "below"])
def test_a_checkout_that_speaks_to_ansible_is_refused(key):
    with pytest.raises(Refused, match=f"as its {key}, a template"):
        source.vet({"remote": "https://h/r", "branch": "main", "below": "", key: f"https://h/{RUN}"}, "/srv/shop")
    source.vet({"remote": "https://h/r", "branch": "main", "below": ""}, "/srv/shop")


@pytest.mark.parametrize("sign", ["{{ x }}", "{% x %}", "{# x #}"])
def test_a_text_of_somebody_elses_is_no_template(sign):
    assert as_yaml(sign).startswith("!unsafe ")
    assert as_yaml([sign]) == f'[!unsafe "{sign}"]' and as_yaml({"a": sign}) == f'{{"a": !unsafe "{sign}"}}'


def test_nothing_that_is_written_of_a_host_is_a_template():
    found = found_of("caddyfile")
    found["program"]["name"] = f"/srv/x/oxfile.toml#{RUN}"
    caddyfile = found["proxies"]["caddy"]
    path = next(iter(caddyfile))
    caddyfile[path] = caddyfile[path].replace("X-Frame-Options DENY", "X-Frame-Options '{%x'").replace("/old", RUN[:9])
    page = write(found, f"https://h/{RUN}", RUN)
    untemplated(page)
    for line in page.app.text.splitlines():
        assert "{{" not in line or line.startswith("#") or "secret_env." in line or "!unsafe" in line or "redir" in line
    assert "fastapi_proxy_snippet: !unsafe |" in page.app.text


def test_what_would_be_one_all_the_same_is_refused():
    page = Page("a", Written(f'---\nfastapi_headers: {{"{RUN}": "x"}}\n'))
    with pytest.raises(Refused, match="a template in it"):
        untemplated(page)


@pytest.mark.parametrize("end", ["\u2028", "\u2029", "\x85", "\r", "\n"])
def test_a_comment_ends_where_its_line_does(end):
    out = Written("---\n")
    out.comment(f"/srv/start.sh:1: export X={end}fastapi_before_swap: id")
    assert yaml.safe_load(out.text) is None
