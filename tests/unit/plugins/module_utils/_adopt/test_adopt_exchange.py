"""Only the app's own site goes, and what is told of a host can be put back; what can't is refused in words."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._adopt import code, old, record
from ansible_collections.graceful.deploy.plugins.module_utils._adopt.exchange import (
    of_caddy,
    of_nginx,
    put_back,
    vet_back,
    without_import,
)
from ansible_collections.graceful.deploy.plugins.module_utils._adopt.look import look
from ansible_collections.graceful.deploy.plugins.module_utils._adopt.loses import Kept
from ansible_collections.graceful.deploy.plugins.module_utils._adopt.programs import Host, Refused
from ansible_collections.graceful.deploy.plugins.module_utils._hand.nginx_conf import Unreadable

MAIN = "/etc/caddy/Caddyfile"
AT = "127.0.0.1:8000"
APP = "a.com {\n\treverse_proxy localhost:8000\n}\n"
OTHER = "# b\nb.com {\n\trespond hi\n}\n"


def test_the_apps_site_is_cut_out_of_a_caddyfile_and_nothing_else():
    (entry,) = of_caddy({MAIN: f"{{\n\temail x@y.z\n}}\n\n{APP}\n{OTHER}"}, AT, Kept())
    assert entry["content"] == f"{{\n\temail x@y.z\n}}\n\n{OTHER}\nimport sites/*.caddy\n"


def test_a_caddyfile_that_is_the_apps_alone():
    assert of_caddy({MAIN: APP}, AT, Kept()) == [
        {"path": MAIN, "state": "present", "content": "import sites/*.caddy\n"}
    ]
    assert of_caddy({MAIN: "a.com\nreverse_proxy :8000\n"}, AT, Kept())[0]["content"] == "import sites/*.caddy\n"


def test_two_apps_of_one_caddyfile_go_back_in_any_order_and_what_others_wrote_stays():
    first, second = f"# of a\n{APP}", "c.com {\n\treverse_proxy localhost:9000\n}\n"
    before = f"{first}\n{second}"
    moved = of_caddy({MAIN: before}, AT, Kept())[0]["content"]
    both = of_caddy({MAIN: moved}, "127.0.0.1:9000", Kept())[0]["content"]
    assert (moved, both) == (f"{second}\nimport sites/*.caddy\n", "import sites/*.caddy\n")
    one = put_back(before, f"{OTHER}\n{both}", AT)
    assert one == f"{OTHER}\n{first}\nimport sites/*.caddy\n"
    assert put_back(before, one, AT) == one
    assert without_import(put_back(moved, one, "127.0.0.1:9000")) == f"{OTHER}\n{first}\n{second}"


def test_another_site_that_passes_to_the_app_is_not_the_apps_own():
    """Somebody sends an old name to it too, after the move: the app's own site comes back all the same."""
    old = "http://old.example.com {\n\treverse_proxy 127.0.0.1:8000\n}\n"
    now = f"{old}\nimport sites/*.caddy\n"
    assert put_back(APP, now, AT) == f"{old}\n{APP}\nimport sites/*.caddy\n"
    # Of two, only the one that isn't there.
    assert put_back(f"{old}\n{APP}", now, AT) == f"{old}\n{APP}\nimport sites/*.caddy\n"


def test_a_name_that_somebody_has_given_to_another_meanwhile_is_refused():
    with pytest.raises(Unreadable, match=r"another site of a\.com"):
        put_back(APP, "a.com {\n\trespond hi\n}\n", AT)


def test_a_site_without_braces_gets_them_where_another_came():
    before = "# of a\na.com, # and\nb.com # both\nreverse_proxy :8000\n"
    with_braces = "# of a\na.com, # and\nb.com { # both\nreverse_proxy :8000\n}\n"
    now = "c.com {\n}\n\nimport sites/*.caddy\n"
    assert put_back(before, now, AT) == f"c.com {{\n}}\n\n{with_braces}\nimport sites/*.caddy\n"


@pytest.mark.parametrize(
    "text",
    [
        OTHER,
        "b.com\nrespond hi\n\na.com {\n\treverse_proxy :8000\n}\n",
        "a.com\nreverse_proxy :8000\n\nimport sites/*.caddy\n",
    ],
)
def test_what_was_put_together_is_read_before_the_old_app_is_started(text):
    with pytest.raises(Unreadable, match="can't have the app's site"):
        vet_back(text, APP, AT)


@pytest.mark.parametrize("text", ["a\r\n\r\n# \u2028b\r\n", "a\n\tb\x0c\n", "a"])
def test_only_the_line_of_ours_is_cut_out(text):
    end = "" if text.endswith("\n") else "\n"
    assert without_import(f"{text}{end}\r\n  import sites/*.caddy\r\n") == text + end
    assert without_import(f"import sites/*.caddy\n{text}") == without_import(text) == text


def test_a_site_in_an_imported_file():
    files = {MAIN: f"{OTHER}import sites/*.caddy\n", "/etc/caddy/sites/a.caddy": APP}
    assert of_caddy(files, AT, Kept()) == [{"path": "/etc/caddy/sites/a.caddy", "state": "absent"}]


@pytest.mark.parametrize(
    ("file", "text", "why"),
    [
        ("/etc/nginx/nginx.conf", "http { server { location / { proxy_pass http://localhost:8000; } } }", "main file"),
        (
            "/etc/nginx/conf.d/a.conf",
            "server { server_name a.com; location / { proxy_pass http://localhost:8000; } }\nserver { server_name "
            "b.com; root /b; }",
            r"a\.conf:2 has the site of b\.com",
        ),
    ],
)
def test_a_file_that_is_not_the_apps_alone_is_refused_with_how_to_split_it(file, text, why):
    with pytest.raises(Refused, match=why) as refused:
        of_nginx({file: text}, AT, Kept())
    assert "a file of its own" in str(refused.value).replace("\n", " ")


def test_a_redirect_to_https_goes_along():
    text = (
        "server { server_name a.com; location / { proxy_pass http://localhost:8000; } }\n"
        "server { listen 80; server_name www.a.com; return 301 https://a.com$request_uri; }"
    )
    assert of_nginx({"/etc/nginx/sites-enabled/a": text}, AT, Kept()) == [
        {"path": "/etc/nginx/sites-enabled/a", "state": "absent"}
    ]


TCP = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1
   1: 0100007F:1F40 0100007F:C001 01 00000000:00000000 00:00000000 00000000     0        0 2 1
   2: 0100007F:C001 0100007F:1F40 01 00000000:00000000 00:00000000 00000000     0        0 3 1
"""
UNIX = """Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 10 /run/a b.sock
0000000000000000: 00000003 00000000 00000000 0001 03 11 /run/a b.sock
0000000000000000: 00000003 00000000 00000000 0001 03 12 /run/other.sock
"""


def test_who_still_speaks_to_it_is_counted(tmp_path):
    (tmp_path / "tcp").write_text(TCP)
    (tmp_path / "unix").write_text(UNIX)
    proc = str(tmp_path)
    assert (old.connections(AT, proc), old.connections("127.0.0.1:80", proc)) == (1, 0)
    assert (old.connections("unix:/run/a b.sock", proc), old.connections("unix:/run/x.sock", proc)) == (1, 0)


def test_it_is_waited_for_until_nobody_does(monkeypatch, tmp_path):
    seen = iter([2, 0, 1, 0, 0, 0])
    monkeypatch.setattr(old, "connections", lambda _at: next(seen))
    monkeypatch.setattr(old.time, "sleep", lambda _seconds: None)
    assert old.drain(AT, 60, str(tmp_path / "waiting")) == 0 and list(seen) == []
    monkeypatch.setattr(old, "connections", lambda _at: 3)
    assert old.drain(AT, 0, str(tmp_path / "waiting")) == 3


def test_a_link_and_a_file_are_kept_as_they_are(tmp_path):
    (tmp_path / "a").write_text("x")
    (tmp_path / "a").chmod(0o640)
    (tmp_path / "b").symlink_to("a")
    rows = [record.kept(str(tmp_path / name)) for name in "abc"]
    assert (rows[0]["content"], rows[0]["mode"], rows[1]["link"], rows[2]["state"]) == ("x", "0640", "a", "absent")


def test_only_what_our_roles_bring_is_tidied_up(tmp_path):
    (tmp_path / "x").write_text("")
    assert record.tidy([str(tmp_path / "x")]) == []
    assert (tmp_path / "x").exists()


def run(command: list[str]) -> tuple[int, str, str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def test_a_checkout_is_told_with_what_is_not_in_it(tmp_path):
    top = tmp_path / "srv" / "shop"
    top.mkdir(parents=True)
    (top / "main.py").write_text("app = 1\n")
    git = ["git", "-C", str(top), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for words in (
        ["init", "-q", "-b", "main"],
        ["add", "."],
        ["commit", "-qm", "x"],
        ["remote", "add", "origin", "https://h/r"],
    ):
        subprocess.run([*git, *words], check=True)
    (top / "main.py").write_text("app = 2\n")
    found = code.git(Host(run, str(tmp_path)), "/srv/shop")
    assert (found["remote"], found["branch"], found["changed"], found["unpushed"]) == (
        "https://h/r",
        "main",
        ["main.py"],
        True,
    )
    assert len(found["revision"]) == 40


@pytest.mark.skipif(os.geteuid() != 0, reason="it becomes the directory's owner")
def test_code_is_packed_without_secrets_data_and_environments(tmp_path):
    from ansible_collections.graceful.deploy.plugins.plugin_utils._adopt.source import unpack

    for path in (
        "app/main.py",
        ".env",
        ".env.example",
        "shop.db",
        "uploads/a.png",
        "venv/pyvenv.cfg",
        "key.pem",
        ".git/config",
    ):
        (tmp_path / "a" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "a" / path).write_text("x")
    unpack(code.pack(str(tmp_path / "a")), str(tmp_path / "b"))
    assert sorted(str(p.relative_to(tmp_path / "b")) for p in Path(tmp_path / "b").rglob("*") if p.is_file()) == [
        ".env.example",
        "app/main.py",
    ]
    found = code.look(Host(lambda _c: (1, "", ""), str(tmp_path)), "/a")
    assert (sorted(found["data"]), sorted(found["secret"])) == (["shop.db", "uploads"], [".env", "key.pem"])


def test_too_much_code_is_refused(tmp_path, monkeypatch):
    (tmp_path / "a.py").write_text("x" * 100)
    monkeypatch.setattr(code, "LARGEST", 10)
    with pytest.raises(Refused, match="-e fastapi_source=DIRECTORY"):
        code.pack(str(tmp_path))


def host_with(tmp_path: Path, **files: str) -> Host:
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return Host(lambda _command: (1, "", ""), str(tmp_path))


@pytest.mark.parametrize(
    ("files", "why"),
    [
        (
            {
                "etc/systemd/system/a.service": "[Service]\nExecStart=/a.sh\n",
                "a.sh": "#!/bin/sh\nfor x in 1; do gunicorn a:b; done\n",
            },
            "a.sh:2",
        ),
        (
            {
                "etc/systemd/system/a.service": "[Service]\nType=oneshot\nExecStart=/b/uvicorn "
                "a:b\nExecStart=/b/uvicorn c:d\n"
            },
            r"more than one app server \(.*a\.service:3 and .*a\.service:4\)",
        ),
        (
            {"proc/41/cmdline": "python3\0/b/gunicorn\0a:b\0", "proc/41/cgroup": "0::/user.slice/session-1.scope\n"},
            "Process 41 is a gunicorn, kept alive by session-1.scope",
        ),
        ({"proc/41/cmdline": "uvicorn\0a:b\0", "proc/41/cgroup": "0::/system.slice/docker-ab.scope\n"}, "a container"),
        ({"etc/x": ""}, "Nothing on this host starts an app server"),
    ],
)
def test_what_cannot_be_adopted_is_refused_in_words(tmp_path, files, why):
    with pytest.raises(Refused, match=why):
        look(host_with(tmp_path, **files), "", 2)
