"""What a hostile or careless host says is neither run on the control node, nor shown, nor let fill its memory."""

from __future__ import annotations

import base64
import copy
import gzip
import io
import tarfile
import types
import zlib
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


@pytest.mark.parametrize("end", ["\u2028", "\u2029", "\x85", "\r", "\n", "\x1b"])
def test_a_comment_ends_where_its_line_does(end):
    out = Written("---\n")
    out.comment(f"/srv/start.sh:1: export X={end}fastapi_before_swap: id")
    assert yaml.safe_load(out.text) is None


SHOWN = [
    ("nginx", "proxy_set_header X-Api-Key k-TOPSECRET;"),
    ("nginx", "more_set_headers 'Authorization: Bearer k-TOPSECRET';"),
    ("script", "export SECRET_KEY=k-TOPSECRET"),
    ("script", "export PLAIN=k-TOPSECRET"),
    ("unit", "ExecStartPre=/usr/bin/curl -H 'Authorization: Bearer k-TOPSECRET' http://h"),
    ("unit", "ExecStartPost=/usr/bin/ping --token k-TOPSECRET"),
    ("conf", "slack_token = 'k-TOPSECRET'"),
    ("conf", "import os\nos.environ['DB_PASSWORD'] = 'k-TOPSECRET'"),
    ("conf", "call('k-TOPSECRET')"),
    ("conf", "workers = f('k-TOPSECRET')"),
    ("conf", "def hook(server, key='k-TOPSECRET'): pass"),
    (
        "nginx",
        "proxy_pass http://localhost:8000; } location /x { proxy_set_header X 'Bearer k-TOPSECRET'; "
        "proxy_pass http://localhost:9; } location = /y {",
    ),
    ("caddy", "header_up X-Api-Key k-TOPSECRET"),
    ("caddy", "header_down X-Api-Key k-TOPSECRET"),
]


@pytest.mark.parametrize(("where", "line"), SHOWN)
def test_a_value_that_may_be_a_secret_is_shown_nowhere(tmp_path, where, line):
    def put(kind: str) -> str:
        return line if kind == where else ""

    site = f"server {{ server_name a.com; location / {{ {put('nginx')} proxy_pass http://localhost:8000; }} }}\n"
    caddy = f"a.com {{\n\treverse_proxy :8000 {{\n\t\t{put('caddy')}\n\t}}\n}}\n"
    files = {
        "etc/systemd/system/shop.service": f"[Service]\nUser=www\n{put('unit')}\nWorkingDirectory=/srv/shop\n"
        "ExecStart=/srv/shop/start.sh\n",
        "srv/shop/start.sh": f"#!/bin/sh\n{put('script')}\nexec gunicorn -k uvicorn.workers.UvicornWorker main:app\n",
        "srv/shop/gunicorn.conf.py": put("conf"),
        **({"etc/caddy/Caddyfile": caddy} if where == "caddy" else {"etc/nginx/conf.d/a.conf": site}),
    }
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    page = write(look(Host(lambda _command: (1, "", ""), str(tmp_path)), "", 2), "../shop", "")
    shown = page.app.text + str(page.unknown) + str(page.app.notes)
    if line != "export PLAIN=k-TOPSECRET":
        assert "TOPSECRET" not in shown, [row for row in shown.splitlines() if "TOPSECRET" in row]
    else:
        # It is a variable of the app's whose name says nothing: in its environment, and told by name elsewhere.
        assert [row for row in shown.splitlines() if "TOPSECRET" in row] == ['  PLAIN: "k-TOPSECRET"']
    assert line.split("\n")[-1].split()[0].split("=")[0].split("(")[0] in shown + page.secrets or where == "script"


def test_a_script_that_is_refused_shows_no_more_than_a_lines_first_word(tmp_path):
    files = {
        "etc/systemd/system/a.service": "[Service]\nExecStart=/a.sh\n",
        "a.sh": "#!/bin/sh\ncurl -H 'Authorization: Bearer k-TOPSECRET' x && gunicorn a:b\n",
    }
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    with pytest.raises(Refused, match=r"/a\.sh:2 can't be seen through: it begins with 'curl'") as refused:
        look(Host(lambda _command: (1, "", ""), str(tmp_path)), "", 2)
    assert "TOPSECRET" not in str(refused.value)


@pytest.mark.parametrize(
    ("bind", "at"), [("[::1]:8000", "[::1]:8000"), ("[::]:8000", "[::1]:8000"), (":8000", "127.0.0.1:8000")]
)
def test_what_is_of_ipv6_alone_is_asked_there(bind, at):
    found = found_of("article")
    found["server"]["bind"] = [bind]
    page = write(found, "../shop", "")
    assert yaml.safe_load(page.app.text)["adopt"]["at"] == at
    assert yaml.safe_load(page.app.text)["fastapi_proxy"] == "caddy"


def packed(content: bytes) -> str:
    return base64.b64encode(gzip.compress(content)).decode()


def test_what_unpacks_to_more_than_it_may_is_refused_before_it_is_all_there(tmp_path, monkeypatch):
    bomb = packed(bytes(64 << 20))
    unpacked: list[int] = []
    begin = zlib.decompressobj

    def decompressobj(**options: Any) -> Any:
        object_ = begin(**options)

        def decompress(data: bytes, limit: int = 0) -> bytes:
            content = object_.decompress(data, limit)
            unpacked.append(len(content))
            return content

        return types.SimpleNamespace(decompress=decompress)

    monkeypatch.setattr(source.zlib, "decompressobj", decompressobj)
    monkeypatch.setattr(source, "LARGEST", 1 << 20)
    with pytest.raises(tarfile.TarError, match="unpacks to more than 1 MB"):
        source.unpack(bomb, str(tmp_path / "a"))
    assert unpacked == [(1 << 20) + 1]
    with pytest.raises(tarfile.TarError, match="isn't packed"):
        source.unpack(base64.b64encode(b"no gzip at all").decode(), str(tmp_path / "b"))


def test_more_files_than_there_may_be_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(source, "MOST_FILES", 2)
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:") as archive:
        for name in "abc":
            archive.addfile(tarfile.TarInfo(name))
    with pytest.raises(tarfile.TarError, match="more than 2 files"):
        source.unpack(packed(content.getvalue()), str(tmp_path / "a"))
