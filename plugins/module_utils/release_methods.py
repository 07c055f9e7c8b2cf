# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the methods differ in on the control node: wheels, a lock for the host's own index, or a whole environment."""

from __future__ import annotations

import os
from dataclasses import dataclass

from ansible_collections.graceful.deploy.plugins.module_utils import (
    release_environment,
    release_tools,
    release_wheels,
)
from ansible_collections.graceful.deploy.plugins.module_utils.release_requirements import Requirements


@dataclass(frozen=True)
class Made:
    """What an environment is made of on the host.

    :param lock: a requirements file with hashes that names exactly what is installed.
    :param packages: version by name.
    :param environment: where it is shipped whole.
    """

    wheels: list[release_wheels.Wheel]
    installers: list[str]
    lock: str
    packages: dict[str, str]
    environment: release_environment.Environment | None = None

    def __str__(self) -> str:
        """For a sentence: what the control node has ready."""
        if self.environment:
            return f"environment of {len(self.packages)} packages"
        return f"set of {len(self.wheels)} wheels" if self.wheels else f"lock of {len(self.packages)} packages"


def from_wheels(wheels: list[release_wheels.Wheel], installers: list[str]) -> Made:
    packages = {wheel.name: wheel.version for wheel in wheels}
    return Made(wheels, installers, release_wheels.lock_text(wheels), packages)


def locked(collector: release_wheels.Collector, requirements: Requirements, pins: list[str], name: str) -> str:
    """The requirements with all that they need, one version each, with the hashes of its files on the index.

    Resolved once, on the control node, so that all hosts install the same, today and next week.

    :param name: of the requirements file, for sentences.
    """
    locks = os.path.join(collector.cache, "locks")
    os.makedirs(locks, mode=0o700, exist_ok=True)
    path = os.path.join(locks, release_wheels.identity_of(collector, requirements, pins))
    with release_tools.making(path) as new:
        if new is not None:
            count = len(requirements.lines) + len(pins)
            collector.say(f"Resolving {count} requirements for {collector.target}…")
            lines = release_wheels.resolve(collector, requirements, pins, new, name)
            with open(os.path.join(new, "lock.txt"), "w", encoding="utf-8") as file:
                file.writelines(f"{release_wheels.only_listed(line, requirements.hashes)}\n" for line in lines)
            release_tools.forget_unused(locks)
    os.utime(path)
    with open(os.path.join(path, "lock.txt"), encoding="utf-8") as file:
        return file.read()


def from_environment(environment: release_environment.Environment, wheels: list[release_wheels.Wheel]) -> Made:
    """The wheels are in it, and nothing installs anything on the host."""
    made = from_wheels(wheels, [])
    return Made([], [], made.lock, made.packages, environment)


def from_index(lock: str, installers: list[str]) -> Made:
    return Made([], installers, lock, packages_of(lock))


def packages_of(lock: str) -> dict[str, str]:
    """Version by name of what a lock names."""
    pins = [line.split()[0] for line in lock.splitlines() if line and line[0] not in " #-"]
    return {name: version for name, _separator, version in (pin.partition("==") for pin in pins)}
