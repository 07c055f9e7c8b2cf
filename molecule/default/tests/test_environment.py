"""Values of the environment reach a service exactly: drawn cases, in units of the host's own systemd."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SYSTEMD = Path(__file__).resolve().parents[3] / "tests" / "systemd"


@pytest.mark.usefixtures("before_the_reboot")
def test_what_is_rendered_is_what_systemd_gives(ask):
    cases = subprocess.run([sys.executable, str(SYSTEMD / "env_cases.py")], capture_output=True, check=True).stdout
    for name, text in (("cases.json", cases), ("env_roundtrip.py", (SYSTEMD / "env_roundtrip.py").read_bytes())):
        write = ["docker", "exec", "-i", ask.host.backend.host, "sh", "-c", f"cat >/tmp/{name}"]
        subprocess.run(write, input=text, check=True)
    said = ask.run("python3 /tmp/env_roundtrip.py /tmp/cases.json")
    values, units = int(said.split()[0]), int(said.split()[3])
    assert "arrived exactly" in said
    assert values > 500 and units > 20
