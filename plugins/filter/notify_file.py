# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ..plugin_utils._inputs.notify import render
from ..plugin_utils._inputs.variables import plain


def notify_file(targets: object, name: str, host: str) -> str:
    try:
        return render(plain(targets), str(name), str(host))
    except ValueError as error:
        raise AnsibleFilterError(f"notify_file: {error}") from None


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., object]]:
        return {"notify_file": notify_file}
