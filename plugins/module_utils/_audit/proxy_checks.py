# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How an app is reached: its ports, its proxies and their time-outs, bodies and certificates."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from .._app.words import PRIVATE_ZONES
from .._host.certificate import read_certificate, served
from .findings import Finding
from .model import LOCAL, WORLD, Host, Proxy, Served, listed
from .sites import Site

DAYS = 20
DAY = 86400.0
_PUBLIC = re.compile(r"(?:\*?\.)?(?:[a-z0-9_-]+\.)+[a-z][a-z0-9-]+\.?")
_TIMED_OUT = re.compile(r"upstream timed out \(110.*?upstream: \"https?://([^\"]*)\"")


def proxy_of(site: Site, host: Host) -> Proxy | None:
    return next((proxy for proxy in host.proxies if proxy.kind == site.proxy), None)


def ports(app: Served, host: Host) -> Iterator[Finding]:
    """Whether clients can go past the proxy, or there is none."""
    tcp = list(app.container.ports) if app.container else app.tcp
    open_to_world = [(address, port) for address, port in tcp if not address.startswith(LOCAL)]
    if not open_to_world:
        return
    shown = ", ".join(f"{address}:{port}" for address, port in open_to_world)
    where = app.container.where if app.container else app.at("bind") if app.settings.get("bind") else app.at("host")
    port = open_to_world[0][1]
    local = f'ports: "127.0.0.1:{port}:{port}"' if app.container else _bound(app, port)
    worldwide = any(address in WORLD for address, _port in open_to_world)
    if app.sites:
        site = app.sites[0]
        yield app.find(
            "listens-beside-proxy",
            where,
            f"It listens on {shown}, and {site.proxy} serves it, too ({site.where}).",
            local,
            "" if worldwide else "medium",
        )
    elif worldwide:
        yield app.find(
            "no-proxy",
            where,
            f"It listens on {shown}, and no site of Caddy's or nginx's on this host serves it.",
            f"{local}, and a site of Caddy's: example.com {{ reverse_proxy 127.0.0.1:{port} }}",
        )


def _bound(app: Served, port: int) -> str:
    option = "--bind 127.0.0.1:{}" if app.settings.kind in ("gunicorn", "hypercorn") else "--host 127.0.0.1 --port {}"
    return option.format(port)


def waits(app: Served, host: Host) -> Iterator[Finding]:
    """The proxy's patience with slow requests, and with its own end."""
    limit = app.settings.number("timeout") if app.settings.kind == "gunicorn" else None
    logged = timed_out(app)
    told = False
    for site in app.sites:
        if limit is not None and site.wait is not None and site.wait < limit:
            line = _wait_line(site, int(limit) + 5)
            default = "" if site.wait_at else " (its default)"
            yield app.find(
                "proxy-timeout-short",
                site.wait_at or site.where,
                f"{site.proxy} waits {site.wait:g} s{default} for an answer, and Gunicorn allows {limit:g} s "
                f"({app.settings.set_by('timeout')}).",
                line,
            )
            told = True
    if logged and not told:
        site = app.sites[0]
        yield app.find(
            "proxy-timeout-short",
            site.wait_at or site.where,
            f"nginx's error log has {logged} request(s) that it waited for in vain, for {site.wait:g} s.",
            _wait_line(site, int(2 * (site.wait or 60))),
        )
    graceful = app.settings.number("graceful_timeout")
    for proxy in {id(p): p for site in app.sites if (p := proxy_of(site, host))}.values():
        if graceful and proxy.stop_wait is not None and proxy.unit and proxy.stop_wait < graceful:
            more = "ExecStop=, KillSignal=SIGQUIT and " if proxy.kind == "nginx" and proxy.unit.get("ExecStop") else ""
            yield app.find(
                "proxy-stops-early",
                proxy.unit.get("FragmentPath") or proxy.kind,
                f"{proxy.kind} is killed {proxy.stop_wait:g} s after it was told to stop, and the app gives requests "
                f"{graceful:g} s.",
                f"systemctl edit {proxy.unit.get('Id')}: [Service] {more}TimeoutStopSec={int(graceful) + 10}",
            )


def _wait_line(site: Site, seconds: int) -> str:
    if site.proxy == "nginx":
        return f"proxy_read_timeout {seconds}s; beside the proxy_pass"
    return f"transport http {{ response_header_timeout {seconds}s }} in the reverse_proxy"


def timed_out(app: Served, path: str = "/var/log/nginx/error.log") -> int:
    """How often nginx's log says, at its end, that it has waited for this app in vain."""
    if not any(site.proxy == "nginx" for site in app.sites):
        return 0
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.path.getsize(path) - (1 << 18)))
            text = file.read().decode(errors="replace")
    except OSError:
        return 0
    mine = [site.address for site in app.sites]
    return sum(any(target.startswith(address) for address in mine) for target in _TIMED_OUT.findall(text))


def keeps(app: Served, _host: Host) -> Iterator[Finding]:
    """Connections that the proxy keeps for longer than the app."""
    own = app.settings.number("keepalive")
    if own is None:
        return
    for site in app.sites:
        if site.keeps > own:
            default = "" if site.keeps_at else " (its default)"
            write = (
                "keepalive off in transport http { } of the reverse_proxy"
                if site.proxy == "caddy"
                else "no keepalive in the upstream"
            )
            option = "--timeout-keep-alive" if app.settings.kind in ("uvicorn", "fastapi") else "--keep-alive"
            yield app.find(
                "upstream-keepalive",
                site.keeps_at or site.where,
                f"{site.proxy} keeps connections for {site.keeps:g} s{default}, the app closes them after {own:g} s.",
                f"{write}; or {option} {int(site.keeps) + 5} for the app.",
            )


def bodies(app: Served, _host: Host) -> Iterator[Finding]:
    # Where ours has none, nobody can send a body: /health of names that no site has.
    for site in [] if app.ours else app.sites:
        if not site.limit:
            write = (
                "request_body { max_size 10MB } in the site" if site.proxy == "caddy" else "client_max_body_size 10m;"
            )
            yield app.find("no-body-limit", site.where, f"{site.proxy} takes bodies of any size here.", write)


def plain(app: Served, host: Host) -> Iterator[Finding]:
    """Public names that are served without TLS. Ours have it unless somebody said otherwise, as behind balancers."""
    secure = {name for site in [*host.sites, *app.sites] if site.own_tls or site.certificates for name in site.names}
    told: set[str] = set()
    for site in [] if app.ours else app.sites:
        names = [name for name in site.names if is_public(name) and name not in secure | told]
        if not names or site.own_tls or site.certificates:
            continue
        told |= {*names}
        write = f"certbot --nginx -d {' -d '.join(names)}"
        if site.proxy == "caddy":
            write = f"{', '.join(names)} {{ in place of http://: Caddy gets the certificate itself"
        yield app.find(
            "no-tls",
            site.where,
            f"{site.proxy} serves {listed(names)} by plain HTTP alone.",
            f"{write}. Nothing, if a balancer or CDN in front of this host has the certificate.",
        )


def is_public(name: str) -> bool:
    """Whether a public authority would certify a site's name: none of addresses, patterns and what is local."""
    return bool(_PUBLIC.fullmatch(name.lower())) and not name.lower().endswith(PRIVATE_ZONES)


def certificates(app: Served, host: Host) -> Iterator[Finding]:
    seen: set[str] = set()
    for site in app.sites:
        for path, where in site.certificates.items():
            if path not in seen:
                seen.add(path)
                yield from _of_file(app, host, path, where)
        if site.own_tls and site.names and site.names[0] not in seen:
            seen.add(site.names[0])
            yield from _of_door(app, host, site)


def _of_file(app: Served, host: Host, path: str, where: str) -> Iterator[Finding]:
    found = read_certificate(path)
    if found["problem"]:
        host.unseen(where, f"The certificate {path} is {found['problem']}, so its end isn't known.", app=app.name)
        return
    left = (found["ends"] - host.now) / DAY
    renewed = renewer(path, host)
    if left < DAYS:
        yield app.find(
            "certificate-ends",
            where,
            f"{path} {_ends(left)}.",
            "certbot renew --force-renewal: it says why it hasn't."
            if "letsencrypt" in path
            else "A new file there, then reload the proxy.",
        )
    if not renewed:
        yield app.find(
            "certificate-not-renewed",
            where,
            f"{path} {_ends(left)}, and no timer and no cron job of certbot, acme.sh or the like was found for it.",
            "apt install certbot && certbot certonly; or Caddy, which gets its certificates itself.",
            "low" if app.ours else "",
        )


def _ends(left: float) -> str:
    return f"has ended {-left:.0f} day(s) ago" if left < 0 else f"ends in {left:.0f} day(s)"


def renewer(path: str, host: Host) -> str:
    """What renews a certificate; '' where nothing that is known does.

    certbot's timer renews what certbot has made, and nothing else.
    """
    real = {path, os.path.realpath(path)}
    certbots = any(each.startswith("/etc/letsencrypt/") for each in real)
    for name in host.renewers:
        if "certbot" not in name and "letsencrypt" not in name:
            return name
        if certbots:
            return name
    return ""


def _of_door(app: Served, host: Host, site: Site) -> Iterator[Finding]:
    """A certificate that the proxy has got itself, as it serves it."""
    name = site.names[0]
    shown = served(name)
    if not shown:
        host.unseen(site.where, f"Asked at 127.0.0.1:443 for {name}, the proxy showed no certificate.", app=app.name)
        return
    left, whole = shown["ends"] - host.now, shown["ends"] - shown["begins"]
    # It renews each after two thirds of its time, and some last only hours.
    if left < min(DAYS * DAY, whole / 6):
        yield app.find(
            "certificate-ends",
            site.where,
            f"The certificate for {name} {_ends(left / DAY)}, though {site.proxy} should have renewed it.",
            f"journalctl -u {site.proxy} | grep -i acme says why; ports 80 and 443 have to be reachable from outside.",
        )
