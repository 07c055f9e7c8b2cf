"""An app for the sandbox's tests: it uses what real apps use, or tries what none should be able to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from fastapi import FastAPI, Response

from app import libraries

FAULT = Path(__file__).with_name("fault.py")
if FAULT.exists():
    exec(compile(FAULT.read_text(), str(FAULT), "exec"))

app = FastAPI()


@app.get("/health")
@app.get("/ready")
def well() -> Response:
    return Response("ok")


@app.get("/libraries")
async def use_libraries() -> dict[str, str]:
    return await libraries.use_all()


@app.get("/attempts")
def attempts(facts: str) -> dict[str, str]:
    """Try everything, in a process of its own, as an app that somebody has taken over could.

    :param facts: JSON, what the attacker knows of the host.
    """
    command = [sys.executable, "-m", "app.attempts", facts]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return json.loads(done.stdout)


@app.get("/secrets")
def secrets() -> dict[str, str]:
    place = Path(os.environ["CREDENTIALS_DIRECTORY"])
    return {path.name: path.read_text() for path in place.iterdir()}
