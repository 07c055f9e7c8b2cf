# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the host keeps of a move while it can be undone: ``adopted.json`` in the app's directory, root's alone.

While it is being undone that directory goes, so the record is out of its way then, and goes last."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import re
from typing import Any

from .._app.roots import ADOPTED, roots_by_units
from .._host import files
from .._host.files import names_in, read_text
from .._layer.files import look
from .programs import Refused

UNITS = "/etc/systemd/system"
OUTSIDE = "/var/lib/graceful-adopt"
"""Where the record is while the app's directory is being removed."""
STAGES = ("beside", "moving", "moved", "finishing", "finished", "undoing")
# What our roles put on a host for all apps of a proxy: where it wasn't there before, it goes with the app.
FOUNDATIONS = {
    "nginx": (
        "/etc/nginx/modules-enabled/zz-graceful.conf",
        "/etc/systemd/system/nginx.service.d/graceful.conf",
        "/etc/systemd/system/nginx.service.d",
        "/etc/systemd/system/certbot.service.d/graceful.conf",
        "/etc/systemd/system/certbot.service.d",
        # The host's own authority, which nobody needs when no site of ours is left.
        *(f"/etc/nginx/graceful/{name}" for name in ("authority.key", "authority.pem", ".lock")),
        "/etc/nginx/graceful",
        "/var/lib/nginx/graceful-acme",
    ),
    "caddy": (
        "/etc/sysctl.d/60-graceful-caddy.conf",
        "/etc/systemd/system/caddy.service.d/graceful.conf",
        "/etc/systemd/system/caddy.service.d/graceful-stop.conf",
        "/etc/systemd/system/caddy.service.d",
        "/etc/caddy/graceful.options",
        "/etc/caddy/sites/_unknown.caddy",
        "/etc/caddy/sites",
    ),
}
# What a role takes away as the package's own, and has to be put back.
TAKEN = {"nginx": ("/etc/nginx/sites-enabled/default",), "caddy": ()}


def outside(root: str) -> str:
    return os.path.join(OUTSIDE, f"{root.strip('/').replace('/', '-')}.json")


def load(root: str) -> dict[str, Any]:
    """{} where nothing is being adopted."""
    for path in (outside(root), os.path.join(root, ADOPTED)):
        with contextlib.suppress(ValueError):
            found = json.loads(read_text(path))
            if isinstance(found, dict) and found.get("stage") in STAGES and found.get("root", root) == root:
                return found
    return {}


def save(root: str, record: dict[str, Any]) -> None:
    undoing = record["stage"] == "undoing"
    path = outside(root) if undoing else os.path.join(root, ADOPTED)
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    text = json.dumps({**record, "root": root}, indent=1) + "\n"
    files.write(path, text.encode(), 0o600, 0, 0)
    files.sync_directory(os.path.dirname(path))
    if not undoing:
        forget(root)


def others(name: str, proxy: str) -> list[dict[str, Any]]:
    """What is kept of the moves of other apps on the host, behind the same proxy."""
    found = [load(root) for other, root in roots_by_units(UNITS).items() if other != name]
    return [kept for kept in found if kept.get("adopt", {}).get("proxy") == proxy]


def adopted(top: str = "/srv") -> list[dict[str, Any]]:
    """What is kept of all moves on the host, those among it that have no unit of ours yet.

    :param top: where an app's directory is, if nothing says another.
    """
    roots = {*roots_by_units(UNITS).values(), *(os.path.join(top, name) for name in names_in(top))}
    found = {root: load(root) for root in sorted(roots)}
    return [{**kept, "root": root} for root, kept in found.items() if kept]


def forget(root: str) -> None:
    """Drop the record of a move that is undone."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(outside(root))
    with contextlib.suppress(OSError):
        os.rmdir(OUTSIDE)


def kept(path: str) -> dict[str, Any]:
    """A file or a link as it is, so that it can be put back: what `layer` takes for it."""
    found = look(path)
    if found.kind is None:
        return {"path": path, "state": "absent"}
    text = (found.content or b"").decode("utf-8", "surrogateescape")
    row: dict[str, Any] = {"path": path, "state": "present", "owner": found.owner, "group": found.group}
    row["mode"] = f"{found.mode or 0:04o}"
    return {**row, "link": text} if found.kind == "link" else {**row, "content": text}


def vet(rows: list[dict[str, Any]]) -> None:
    """:raises Refused: where a file couldn't be put back to the letter, as it isn't UTF-8."""
    for row in rows:
        text = row.get("content", row.get("link", ""))
        found = re.search("[\udc80-\udcff]", text)
        if found:
            raise Refused(
                f"{row['path']}:{text.count(chr(10), 0, found.start()) + 1} isn't UTF-8, and what goes has to come "
                f"back to the letter. Write the file anew as UTF-8 (iconv -f latin1 -t utf8 {row['path']}), reload the "
                "proxy, and run again."
            )


def missing(proxy: str) -> list[str]:
    """Of what our roles would put there, what isn't."""
    return [path for path in FOUNDATIONS.get(proxy, ()) if not os.path.lexists(path)]


def has_user(name: str) -> bool:
    try:
        return bool(pwd.getpwnam(name))
    except KeyError:
        return False


def runs_as(user: str, name: str) -> bool:
    """Whether another app of ours than the one of that name runs as a user."""
    texts = [read_text(f"{UNITS}/{other}@.service") for other in roots_by_units(UNITS) if other != name]
    return any(re.search(rf"(?m)^User={re.escape(user)}$", text) for text in texts)


def tidy(paths: list[str]) -> list[str]:
    """Take away files that our roles have brought, and directories of these that are empty; those that went."""
    gone = []
    for path in paths:
        if path not in {each for known in FOUNDATIONS.values() for each in known} or not os.path.lexists(path):
            continue
        if os.path.isdir(path) and not os.path.islink(path):
            if names_in(path):
                continue
            os.rmdir(path)
        else:
            os.unlink(path)
        gone.append(path)
    return gone
