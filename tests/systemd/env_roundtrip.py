"""Asks the systemd of this host what it makes of environment files, and compares value for value.

    python3 env_roundtrip.py cases.json

Takes the cases of env_cases.py. Runs as root on a host that boots systemd, needs the standard library alone, and
starts one transient unit a case. Exit status 0 and a count where every value arrived exactly, else 1 and the first
that didn't.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile

# Bytes, not text: the locale of a unit must have no say in the comparison.
DUMP = """
import json, os, sys
with open(sys.argv[1], "w") as file:
    json.dump({name.hex(): value.hex() for name, value in os.environb.items()}, file)
"""


def ask(directory: str, text: str) -> dict[str, str]:
    """The environment, name and value in hexadecimal, of a unit that has `text` as its EnvironmentFile=."""
    path, answer = os.path.join(directory, "env"), os.path.join(directory, "answer.json")
    with open(path, "w", encoding="utf-8", newline="") as file:
        file.write(text)
    os.chmod(path, 0o600)
    unit = ["systemd-run", "--quiet", "--wait", "--collect", "-p", f"EnvironmentFile={path}"]
    subprocess.run([*unit, sys.executable, "-I", "-c", DUMP, answer], check=True, timeout=60)
    with open(answer, encoding="ascii") as file:
        return json.load(file)


def main() -> int:
    with open(sys.argv[1], encoding="utf-8") as file:
        cases = json.load(file)
    compared = 0
    with tempfile.TemporaryDirectory(dir="/run") as directory:
        for number, case in enumerate(cases):
            found = ask(directory, case["file"])
            for name, value in case["env"].items():
                arrived = found.get(name.encode().hex())
                if arrived != value.encode().hex():
                    got = "nothing" if arrived is None else repr(bytes.fromhex(arrived)[:200])
                    print(f"case {number}, {name}: sent {value.encode()[:200]!r}, the service got {got}")
                    return 1
                compared += 1
    print(f"{compared} values in {len(cases)} units arrived exactly")
    return 0


if __name__ == "__main__":
    sys.exit(main())
