"""The apps that somebody set up by hand on the scenario's hosts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from adopted import Adopted

# Domain, old unit, and new directory.
APPS = {
    "adopt-bookworm": {
        "myproject": ("your-domain.org", "myproject.service", "/srv/myproject"),
        "shop": ("shop.example.org", "shop.service", "/srv/shop"),
        "stock": ("stock.example.org", "supervisor/stock", "/srv/stock-app"),
        "books": ("books.example.org", "books.service", "/srv/books"),
        "bills": ("bills.example.org", "bills.service", "/srv/bills"),
    },
    "adopt-trixie": {
        "myapi": ("api.example.com", "myapi.service", "/srv/myapi-app"),
        "cafe": ("cafe.example.com", "cafe.service", "/srv/cafe-app"),
        "menu": ("menu.example.com", "menu.service", "/srv/menu-app"),
    },
}
# With TLS; the host trusts who has signed for them.
SECURE = ("books", "bills", "cafe")


@pytest.fixture
def app_of(ask, control, count) -> Callable[[str, Path], Adopted]:
    """One of them, by its name and the directory in which its inventory is written."""

    def made(name: str, where: Path) -> Adopted:
        host = ask.host.backend.host
        proxy = "nginx" if "bookworm" in host else "Caddy"
        return Adopted(ask, control, count, where, name, *APPS[host][name], proxy, name in SECURE, "/opt/hand")

    return made
