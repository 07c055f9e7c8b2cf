# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ..plugin_utils._inputs.serial import SerialError, batches


def in_batches(hosts: t.Sequence[str], serial: t.Any) -> list[list[str]]:
    """
    :raises AnsibleFilterError: `serial` isn't a number, a percentage, or a list of them.
    """
    try:
        return batches(hosts, serial)
    except SerialError as error:
        raise AnsibleFilterError(f"fastapi_serial: {error}") from error


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., object]]:
        return {"batches": in_batches}
