# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Containers as `docker inspect` tells of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Run = Callable[[list[str]], tuple[int, str, str]]
STOP = 10.0
"""Seconds after which Docker kills a container that it has told to stop, where nothing is said."""


@dataclass(frozen=True)
class Container:
    """One container.

    :param compose: its compose file, '' where none is known.
    :param ports: what is published, as (address, port).
    :param log_bounded: whether its log has a limit.
    """

    name: str
    image: str
    compose: str
    restart: str
    stop_wait: float
    memory: int
    log: str
    log_bounded: bool
    ports: tuple[tuple[str, int], ...]

    @property
    def where(self) -> str:
        return self.compose or f"container {self.name}"


def parse(text: str) -> Container | None:
    """The first container of an answer of `docker inspect`; None where it is none."""
    try:
        told = json.loads(text)[0]
        host, config = told.get("HostConfig") or {}, told.get("Config") or {}
        return _container(told, host, config)
    except (ValueError, IndexError, KeyError, TypeError, AttributeError):
        return None


def _container(told: dict[str, Any], host: dict[str, Any], config: dict[str, Any]) -> Container:
    log = host.get("LogConfig") or {}
    kind = log.get("Type", "")
    published = (host.get("PortBindings") or {}).values()
    ports = {
        (each.get("HostIp") or "0.0.0.0", int(each["HostPort"]))
        for bound in published
        for each in bound or ()
        if str(each.get("HostPort", "")).isdecimal()
    }
    labels = config.get("Labels") or {}
    return Container(
        name=str(told.get("Name", "")).lstrip("/"),
        image=str(config.get("Image", "")),
        compose=str(labels.get("com.docker.compose.project.config_files", "")).partition(",")[0],
        restart=str((host.get("RestartPolicy") or {}).get("Name", "") or "no"),
        stop_wait=float(config.get("StopTimeout") or STOP),
        memory=int(host.get("Memory") or 0),
        log=str(told.get("LogPath", "")),
        log_bounded=kind not in ("json-file", "") or bool((log.get("Config") or {}).get("max-size")),
        ports=tuple(sorted(ports)),
    )


def inspect(run: Run, identity: str) -> Container | None:
    """Ask Docker, or Podman; None where neither tells."""
    for program in ("docker", "podman"):
        try:
            status, out, _err = run([program, "inspect", identity])
        except OSError:
            continue
        if not status and (found := parse(out)):
            return found
    return None
