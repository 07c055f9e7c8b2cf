"""An app with the faults that are seen in sources. It runs: what isn't installed here is imported where it is used."""

import subprocess
import time

from fastapi import FastAPI

try:
    from sqlalchemy.orm import Session
except ImportError:
    Session = int

app = FastAPI()
carts = {}


@app.get("/health")
@app.get("/ready")
async def health():
    return {"status": "ok"}


@app.get("/slow")
async def slow():
    time.sleep(1)
    return {}


@app.get("/price")
async def price():
    import requests

    return requests.get("http://127.0.0.1:9/price", timeout=1).json()


@app.get("/convert")
async def convert():
    subprocess.run(["true"], check=True)
    with open("/etc/hostname") as file:
        return file.read()


@app.get("/orders")
async def orders(db: Session = 0):
    return db.query(1).all()


@app.post("/carts/{name}")
async def put(name: str):
    carts[name] = name
    return {}


@app.get("/eat")
async def eat():
    """Takes more memory than its unit has."""
    return len(b"x" * (400 << 20))
