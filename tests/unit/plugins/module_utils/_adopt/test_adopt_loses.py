"""What is closed stays closed, and nobody's pages go, by a move: it refuses, and says what to do."""

from __future__ import annotations

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._adopt.exchange import of_caddy, of_nginx
from ansible_collections.graceful.deploy.plugins.module_utils._adopt.loses import Kept
from ansible_collections.graceful.deploy.plugins.module_utils._adopt.programs import Refused
from ansible_collections.graceful.deploy.plugins.plugin_utils._adopt import nginx_site

AT = "127.0.0.1:8000"
APP = "proxy_pass http://127.0.0.1:8000;"
ROOT = f"location / {{ {APP} }}"
NOTHING = Kept()


def nginx(inner: str, kept: Kept = NOTHING) -> list[dict[str, object]]:
    return of_nginx({"/etc/nginx/conf.d/a.conf": f"server {{\nserver_name a.com;\n{inner}\n}}\n"}, AT, kept)


def caddy(inner: str, kept: Kept = NOTHING) -> list[dict[str, object]]:
    lines = "".join(f"\t{line}\n" for line in inner.split("\n"))
    return of_caddy({"/etc/caddy/Caddyfile": f"(pass) {{\n\treverse_proxy :8000\n}}\na.com {{\n{lines}}}\n"}, AT, kept)


@pytest.mark.parametrize(
    ("inner", "path"),
    [
        (f"location /internal {{ deny all; {APP} }} {ROOT}", "/internal"),
        (f"location / {{ deny 203.0.113.9; {APP} }}", "/"),
        (f"deny 203.0.113.9; {ROOT}", "/"),
        (f"location ~ ^/internal/ {{ deny all; {APP} }} {ROOT}", "/internal"),
        (f"location /admin {{ allow 192.0.2.0/24; deny all; {APP} }} {ROOT}", "/admin"),
        (f"location /admin {{ auth_basic x; {APP} }} {ROOT}", "/admin"),
        (f"location /admin {{ auth_request /auth; {APP} }} {ROOT}", "/admin"),
        (f"ssl_verify_client on; {ROOT}", "/"),
        (f"location /x {{ if ($remote_addr != 192.0.2.1) {{ return 403; }} {APP} }} {ROOT}", "/x"),
    ],
)
def test_a_path_that_nginx_closes_is_refused_until_ours_does(inner, path):
    with pytest.raises(Refused, match=rf"a\.conf:3 closes {path} by .*Write {path} into fastapi_protect"):
        nginx(inner)
    if path != "/":
        with pytest.raises(Refused, match=f"closes {path} "):
            nginx(inner, Kept(protected=["/", "/other"]))
    assert nginx(inner, Kept(protected=[path]))


@pytest.mark.parametrize(
    "inner",
    [
        ROOT,
        f"location / {{ try_files $uri @app; }} location @app {{ {APP} }}",
        f"location /api/ {{ {APP} }}",
        f"if ($host = www.a.com) {{ return 404; }} auth_basic off; {ROOT}",
        f"location ~ /\\.ht {{ deny all; }} location = /favicon.ico {{ log_not_found off; }} {ROOT}",
        f"location /.well-known/acme-challenge/ {{ root /var/www; }} location /ws {{ {APP} }} {ROOT}",
    ],
)
def test_a_site_that_is_the_apps_is_taken(inner):
    assert nginx(inner) == [{"path": "/etc/nginx/conf.d/a.conf", "state": "absent"}]


@pytest.mark.parametrize(
    "inner",
    [
        f"root /var/www/spa; location / {{ try_files $uri /index.html; }} location /api/ {{ {APP} }}",
        f"location / {{ proxy_pass http://127.0.0.1:3000; }} location /api/ {{ {APP} }}",
        f"location / {{ return 404; }} location /api/ {{ {APP} }}",
        f"root /var/www/spa; location /api/ {{ {APP} }}",
    ],
)
def test_a_site_whose_front_page_is_not_the_apps_is_refused(inner):
    with pytest.raises(Refused, match=r"something else than the app for '/' .*Split the site"):
        nginx(inner, Kept(static=["/assets"], snippet="location /x { }"))


@pytest.mark.parametrize(
    ("inner", "path"),
    [
        (f"location /grafana/ {{ proxy_pass http://127.0.0.1:3000; }} {ROOT}", "/grafana"),
        (f"location /files {{ alias /var/files/; }} {ROOT}", "/files"),
    ],
)
def test_what_nginx_serves_beside_has_to_be_taken_over(inner, path):
    with pytest.raises(Refused, match=rf"serves {path} from elsewhere .*fastapi_static.*fastapi_proxy_snippet"):
        nginx(inner)
    assert nginx(inner, Kept(static=[path])) and nginx(inner, Kept(snippet=f"location {path}/ {{ }}"))


def test_files_that_come_before_the_app_have_to_be_taken_over():
    inner = f"root /srv/a/public; location / {{ try_files $uri @app; }} location @app {{ {APP} }}"
    with pytest.raises(Refused, match=r"serves /srv/a/public/ from elsewhere \(try_files \$uri @app\)"):
        nginx(inner)
    assert nginx(inner, Kept(static=["/assets"]))


@pytest.mark.parametrize(
    ("inner", "path", "told"),
    [
        ("basic_auth /admin/* {\n\tann $2a$14$x\n}\nreverse_proxy :8000", "/admin", "/admin"),
        (
            "handle /admin* {\n\tbasicauth {\n\t\tann $2a$14$x\n\t}\n\treverse_proxy :8000\n}\nimport pass",
            "/admin",
            "/admin",
        ),
        ("basic_auth @some {\n\tann $2a$14$x\n}\nreverse_proxy :8000", "/x", "a part of the site"),
        ("tls {\n\tclient_auth {\n\t}\n}\nreverse_proxy :8000", "/", "/"),
    ],
)
def test_a_path_that_caddy_closes_is_refused_until_ours_does(inner, path, told):
    with pytest.raises(Refused, match=f"closes {told} by"):
        caddy(inner)
    assert caddy(inner, Kept(protected=[path]))


@pytest.mark.parametrize(
    "inner",
    [
        "reverse_proxy :8000",
        "import pass",
        "handle {\n\treverse_proxy :8000\n}",
        "reverse_proxy /api/* :8000",
        "root * /var/www\nreverse_proxy :8000\nfile_server",
        "redir /old /new\nhandle /api/* {\n\treverse_proxy :8000\n}\nreverse_proxy :8000",
    ],
)
def test_a_site_of_caddy_that_is_the_apps_is_taken(inner):
    assert caddy(inner)[0]["state"] == "present"


@pytest.mark.parametrize(
    "inner",
    [
        "root * /var/www/spa\nreverse_proxy /api/* :8000\nfile_server",
        "handle /api/* {\n\treverse_proxy :8000\n}\nhandle {\n\troot * /spa\n\tfile_server\n}",
        "reverse_proxy /api/* :8000\nreverse_proxy :3000",
        "reverse_proxy /api/* :8000\nrespond 404",
        "@notfile not file\nroot * /spa\nreverse_proxy @notfile :8000\nfile_server",
    ],
)
def test_a_site_of_caddy_whose_front_page_is_not_the_apps_is_refused(inner):
    with pytest.raises(Refused, match=r"something else than the app for '/' .*Split the site"):
        caddy(inner)


def test_what_caddy_serves_beside_has_to_be_taken_over():
    inner = "handle /metrics* {\n\treverse_proxy :9100\n}\nreverse_proxy :8000"
    with pytest.raises(Refused, match="serves /metrics from elsewhere"):
        caddy(inner)
    assert caddy(inner, Kept(snippet="handle /metrics* {"))


@pytest.mark.parametrize("line", ["deny all;", "deny 203.0.113.9;"])
def test_a_deny_without_an_equal_is_told(line):
    text = f"server {{ server_name a.com; {ROOT} location /internal {{ {line} {APP} }} }}"
    front = nginx_site.read({"/etc/nginx/conf.d/a": text}, [AT], "/srv/a", {})
    assert front and [row[1] for row in front.unknown] == [f"location /internal: {line}"]
