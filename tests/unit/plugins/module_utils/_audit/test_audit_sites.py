# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sites of Caddy and nginx, as people write them."""

from __future__ import annotations

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._audit import caddyfile, nginx, sites
from ansible_collections.graceful.deploy.plugins.module_utils._hand.caddyfile import lines

# What a well-known tutorial says, word for word.
TUTORIAL = """
server {
    listen 80;
    server_name your_domain www.your_domain;

    location = /favicon.ico { access_log off; log_not_found off; }
    location /static/ {
        root /home/sammy/myproject;
    }

    location / {
        include proxy_params;
        proxy_pass http://unix:/run/gunicorn.sock;
    }
}
"""


def of_nginx(text):
    return nginx.sites(nginx.parse(text, "site", strict=False))


def of_caddy(text):
    return caddyfile.sites(lines(text, "Caddyfile", strict=False))


def test_nginx_as_the_tutorial_says():
    (site,) = of_nginx(TUTORIAL)
    assert (site.address, site.where) == ("unix:/run/gunicorn.sock", "site:13")
    assert site.names == ("your_domain", "www.your_domain")
    assert (site.wait, site.wait_at, site.keeps, site.limit) == (60, "", 0, True)


@pytest.mark.parametrize(
    ("target", "address"),
    [
        ("http://127.0.0.1:8000", "127.0.0.1:8000"),
        ("http://127.0.0.1:8000/api/", "127.0.0.1:8000"),
        ("http://unix:/run/app.sock:/", "unix:/run/app.sock"),
        ("https://backend:8443", "backend:8443"),
        ("http://localhost", "127.0.0.1:80"),
    ],
)
def test_where_nginx_passes_requests_to(target, address):
    (site,) = of_nginx(f"server {{ location / {{ proxy_pass {target}; }} }}")
    assert site.address == address


KEPT = """
upstream app { server 127.0.0.1:8000; server unix:/run/b.sock; %s }
server { location / { proxy_pass http://app; %s } }
"""


@pytest.mark.parametrize(
    ("upstream", "location", "keeps"),
    [
        ("keepalive 16;", 'proxy_http_version 1.1; proxy_set_header Connection "";', 60),
        ("keepalive 16; keepalive_timeout 4s;", 'proxy_http_version 1.1; proxy_set_header Connection "";', 4),
        ("keepalive 0;", 'proxy_http_version 1.1; proxy_set_header Connection "";', 0),
        ("", 'proxy_http_version 1.1; proxy_set_header Connection "";', 0),
        ("keepalive 16;", 'proxy_set_header Connection "";', 0),
        ("keepalive 16;", "proxy_http_version 1.1;", 0),
    ],
)
def test_for_how_long_nginx_keeps_connections(upstream, location, keeps):
    found = of_nginx(KEPT % (upstream, location))
    assert [site.address for site in found] == ["127.0.0.1:8000", "unix:/run/b.sock"]
    assert {site.keeps for site in found} == {keeps}


def test_what_nginx_inherits_from_the_blocks_around():
    (site,) = of_nginx(
        "http { proxy_read_timeout 90; client_max_body_size 0;\n server { ssl_certificate /a.pem;\n"
        " location / { proxy_pass http://127.0.0.1:1; } } }"
    )
    assert (site.wait, site.wait_at, site.limit, site.certificates) == (90, "site:1", False, {"/a.pem": "site:2"})


def test_nginx_reads_what_is_included(tmp_path):
    (tmp_path / "sites").mkdir()
    (tmp_path / "sites" / "a.conf").write_text("server { location / { proxy_pass http://127.0.0.1:8000; } }")
    main = tmp_path / "nginx.conf"
    main.write_text(f"http {{ include {tmp_path}/sites/*; }}")
    (site,) = nginx.sites(nginx.read(str(main)))
    assert site.where == f"{tmp_path}/sites/a.conf:1"


def test_files_that_include_one_another_end(tmp_path):
    main = tmp_path / "nginx.conf"
    main.write_text(f"include {main}; server {{ location / {{ proxy_pass http://127.0.0.1:8000; }} }}")
    assert nginx.sites(nginx.read(str(main)))
    caddy = tmp_path / "Caddyfile"
    caddy.write_text(f"import {caddy}\n(a) {{\n import a\n}}\nx.com {{\n import a\n reverse_proxy :8000\n}}\n")
    assert caddyfile.sites(caddyfile.read(str(caddy)))


@pytest.mark.parametrize(
    "text", ["", "}", "server {", "location { proxy_pass", "{{{{", 'a "b', "proxy_pass;", "\0\xff;{}"]
)
def test_what_is_no_configuration_is_passed_over(text):
    of_nginx(text)
    of_caddy(text)


def test_the_articles_caddyfile():
    (site,) = of_caddy(
        "api.example.com {\n  reverse_proxy 127.0.0.1:8000 {\n    health_uri /ready\n    health_interval 10s\n  }\n}\n"
    )
    assert (site.address, site.where, site.names) == ("127.0.0.1:8000", "Caddyfile:2", ("api.example.com",))
    assert (site.health, site.keeps, site.keeps_at, site.wait, site.own_tls) == ("/ready", 120, "", None, True)
    assert not site.limit


@pytest.mark.parametrize(
    ("words", "address"),
    [
        (":8000", "127.0.0.1:8000"),
        ("localhost:8000", "127.0.0.1:8000"),
        ("unix//run/app.sock", "unix:/run/app.sock"),
        ("http://127.0.0.1:8000", "127.0.0.1:8000"),
        ("@api 127.0.0.1:8000", "127.0.0.1:8000"),
        ("/api/* h2c://127.0.0.1:8000", "127.0.0.1:8000"),
        ("{\n to 127.0.0.1:8000\n}", "127.0.0.1:8000"),
    ],
)
def test_where_caddy_passes_requests_to(words, address):
    (site,) = of_caddy(f"x.com {{\n reverse_proxy {words}\n}}\n")
    assert site.address == address


def test_what_a_caddyfile_says_of_connections_time_bodies_and_certificates():
    (site,) = of_caddy(
        """
        x.com,
        y.com {
            tls /etc/ssl/x.pem /etc/ssl/x.key
            request_body {
                max_size 1MB
            }
            handle /api/* {
                reverse_proxy 127.0.0.1:8000 {
                    transport http {
                        keepalive off
                        response_header_timeout 1m30s
                    }
                }
            }
        }
        """
    )
    assert site.names == ("x.com", "y.com")
    assert (site.keeps, site.keeps_at, site.wait, site.wait_at) == (0, "Caddyfile:11", 90, "Caddyfile:12")
    assert (site.certificates, site.own_tls, site.limit) == ({"/etc/ssl/x.pem": "Caddyfile:4"}, False, True)


def test_a_caddyfile_reads_snippets_and_other_files(tmp_path):
    main = tmp_path / "Caddyfile"
    (tmp_path / "sites").mkdir()
    (tmp_path / "sites" / "a.caddy").write_text("a.com {\n reverse_proxy :8001\n}\n")
    main.write_text("(app) {\n reverse_proxy :8000\n}\nb.com {\n import app\n}\nimport sites/*\n")
    found = {site.names[0]: site.address for site in caddyfile.sites(caddyfile.read(str(main)))}
    assert found == {"b.com": "127.0.0.1:8000", "a.com": "127.0.0.1:8001"}


def test_plain_http_and_one_site_without_braces():
    (plain,) = of_caddy("http://x.com, :8080 {\n reverse_proxy :8000\n}\n")
    assert not plain.own_tls
    (bare,) = of_caddy("reverse_proxy :8000\n")
    assert (bare.address, bare.own_tls, bare.names) == ("127.0.0.1:8000", False, ())


@pytest.mark.parametrize(
    ("text", "seconds"), [("60", 60), ("60s", 60), ("1m30s", 90), ("500ms", 0.5), ("1h", 3600), ("soon", None)]
)
def test_times_as_proxies_write_them(text, seconds):
    assert sites.seconds(text) == seconds


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("127.0.0.1:8000", "0.0.0.0:8000", True),
        ("localhost:8000", "::1:8000", True),
        ("localhost:8000", ":::8000", True),
        ("127.0.0.1:8000", "127.0.0.1:8001", False),
        ("10.0.0.2:8000", "127.0.0.1:8000", False),
        ("unix:/run/a.sock", "unix:/run/./a.sock", True),
        ("unix:/run/a.sock", "unix:/run/b.sock", False),
    ],
)
def test_whether_two_addresses_are_one_place(one, other, same):
    assert sites.same(one, other) == same


def test_a_socket_by_a_link_is_the_same(tmp_path):
    (tmp_path / "live.sock").symlink_to(tmp_path / "blue.sock")
    assert sites.same(f"unix:{tmp_path}/live.sock", f"unix:{tmp_path}/blue.sock")
