"""Runs a shell command inside module `swap` when it begins a phase.

Python imports this at each start by a .pth file in its site directory. /run/saboteur.json says when and what:
{"phase": "move", "command": "kill -9 $PPID"}. Without that file it does nothing.
"""

import json
import subprocess
import sys

try:
    with open("/run/saboteur.json", encoding="utf-8") as _file:
        _plan = json.load(_file)
except (OSError, ValueError):
    _plan = None


def _watch(frame, event, _argument):
    code = frame.f_code
    # Its end: the phase has been told to the lock, and what it does comes next.
    if event != "return" or code.co_name != "phase" or not code.co_filename.endswith("/module_utils/swap.py"):
        return
    if frame.f_locals["name"] == _plan["phase"]:
        sys.setprofile(None)
        subprocess.run(["sh", "-c", _plan["command"]], check=False)


if _plan:
    sys.setprofile(_watch)
