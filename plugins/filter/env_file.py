# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ..plugin_utils._inputs.env_file import render


def env_file(env: dict[str, object]) -> str:
    try:
        return render(env)
    except ValueError as error:
        raise AnsibleFilterError(f"env_file: {error}") from None


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., object]]:
        return {"env_file": env_file}
