"""Runs a shell command inside a module when it has begun a phase, or come back from a function.

Python imports this at each start by a .pth file in its site directory. /run/saboteur.json says where and what:
{"file": "_swap/swap.py", "function": "phase", "phase": "move", "command": "kill -9 $PPID"}, where only that function
has a phase. Without that file it does nothing.
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
    # At its end: the phase has been told to the lock, and what it does comes next.
    if event != "return" or code.co_name != _plan["function"]:
        return
    if not code.co_filename.endswith(f"/module_utils/{_plan['file']}"):
        return
    if _plan["phase"] in ("", frame.f_locals.get("name")):
        sys.setprofile(None)
        subprocess.run(["sh", "-c", _plan["command"]], check=False)


if _plan:
    sys.setprofile(_watch)
