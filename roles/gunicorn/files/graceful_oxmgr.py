# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Gunicorn needs where Oxmgr runs it; gunicorn.conf.py imports it then."""

from __future__ import annotations

import ctypes
import os
import signal
from typing import Any

from gunicorn.arbiter import Arbiter

PR_SET_PDEATHSIG = 1

# Oxmgr cuts SIGTERM off after 15 s, whatever it is told, and no other signal: so it is told to stop a slot by this one.
# Gunicorn's own answer to it is a second arbiter.
Arbiter.handle_usr2 = Arbiter.handle_term


def post_fork(arbiter: Any, worker: Any) -> None:
    """Gunicorn's hook. A worker leaves the group that Oxmgr tells to stop, because the signal would end what a request
    waits for in turn, such as a converter; the arbiter tells it. And it ends with its arbiter: Oxmgr leaves the workers
    of one that was killed alone, and they would serve old code for ever."""
    del arbiter
    os.setpgid(0, 0)
    # What is told there is the arbiter's word alone.
    os.close(int(os.environ["FASTAPI_TOLD"]))
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != worker.ppid:
        os.kill(os.getpid(), signal.SIGTERM)
