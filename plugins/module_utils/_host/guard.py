# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The outermost frame of each module that runs on a host: it ends in a result or in a sentence, whatever happens."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from typing import Any

NOTHING = "Nothing was changed."


def finish(
    module: Any,
    work: Callable[[], dict[str, Any]],
    *known: type[Exception],
    state: Callable[[], str] = lambda: NOTHING,
    hide: Callable[[str], str] = str,
) -> None:
    """Do a module's work, and end the module.

    :param module: the AnsibleModule.
    :param work: returns what the module returns.
    :param known: what it raises with a sentence for people.
    :param state: says after anything else in what state the host is.
    :param hide: takes secrets out of what a failure says.
    """
    # What is made is open to those whom its mode says, whatever umask root has on this host.
    os.umask(0o022)
    try:
        result = work()
    except known as failure:
        # Ansible refuses an answer that isn't UTF-8, with all that it says.
        more = getattr(failure, "more", {})
        module.fail_json(msg=hide(str(failure)).encode(errors="backslashreplace").decode(), **more)
    except Exception as error:
        said = hide(f"{type(error).__name__}: {error}").encode(errors="backslashreplace").decode()
        msg = f"{state()} The host answered in a way that this version of graceful.deploy doesn't know ({said})."
        advice = "Run again; if it comes back, report it with what -vvv shows."
        module.fail_json(msg=f"{msg} {advice}", exception=hide(traceback.format_exc()))
    else:
        module.exit_json(**result)
