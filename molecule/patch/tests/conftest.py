"""A host with archives of its own, whose packages and versions the tests make."""

from __future__ import annotations

import itertools
import shlex
import time
from collections.abc import Callable

import pytest
from deploys import *  # noqa: F403

# Whatever an earlier session has left on the host.
_versions = itertools.count(int(time.time()))
Upgradable = Callable[..., str]


@pytest.fixture(scope="session")
def archives() -> set[str]:
    """Hosts that have them."""
    return set()


@pytest.fixture
def upgradable(ask, archives) -> Upgradable:
    """Put a newer version of an installed package into an archive; the version."""
    host = ask.host.backend.host
    if host not in archives:
        ask.run(
            "/opt/load/archive.sh Debian-Security tiny 1; /opt/load/archive.sh Debian other 1; apt-get -q update; "
            "DEBIAN_FRONTEND=noninteractive apt-get -y -q install tiny other"
        )
        archives.add(host)

    def make(commands: str = "true", label: str = "Debian-Security", name: str = "tiny") -> str:
        """:param commands: what its postinst does."""
        version = str(next(_versions))
        ask.run(shlex.join(["/opt/load/archive.sh", label, name, version, commands]))
        return version

    return make
