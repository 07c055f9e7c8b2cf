"""Each library at real work; a failure is an exception that names it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import ctypes
import inspect
import io
import multiprocessing
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
from multiprocessing import shared_memory
from pathlib import Path

import asyncpg
import numpy
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from PIL import Image, ImageDraw, ImageFilter


async def use_all() -> dict[str, str]:
    """What each of them said, by its name."""
    said = {}
    for work in (uvloop, httptools, asyncpg_, numpy_, cryptography, pillow, ctypes_, processes, files, host):
        try:
            result = work()
            said[work.__name__.rstrip("_")] = str(await result if inspect.isawaitable(result) else result)
        except Exception as error:
            said[work.__name__.rstrip("_")] = f"FAILED: {error!r}"
    return said


def uvloop() -> str:
    module = type(asyncio.get_running_loop()).__module__
    assert module == "uvloop", module
    return module


def httptools() -> str:
    assert "uvicorn.protocols.http.httptools_impl" in sys.modules
    return "parses"


async def asyncpg_() -> list:
    connection = await asyncpg.connect(Path(os.environ["CREDENTIALS_DIRECTORY"], "database_url").read_text())
    try:
        return [tuple(row) for row in await connection.fetch("select n, current_user from generate_series(1, $1) n", 2)]
    finally:
        await connection.close()


def numpy_() -> float:
    matrix = numpy.random.default_rng(1).random((400, 400))
    singular = numpy.linalg.svd(matrix @ matrix.T, compute_uv=False)
    return float(round(singular[0] + abs(numpy.fft.fft(matrix)).max(), 1))


def cryptography() -> int:
    box = Fernet(Fernet.generate_key())
    assert box.decrypt(box.encrypt(b"word")) == b"word"
    aes = AESGCM(AESGCM.generate_key(256))
    assert aes.decrypt(b"n" * 12, aes.encrypt(b"n" * 12, b"word", None), None) == b"word"
    ec.generate_private_key(ec.SECP256R1()).sign(b"word", ec.ECDSA(SHA256()))
    return rsa.generate_private_key(65537, 2048).key_size


def pillow() -> list[int]:
    image = Image.new("RGB", (640, 480), "white")
    ImageDraw.Draw(image).text((10, 10), "sandbox", fill="black")
    image = image.resize((200, 150)).filter(ImageFilter.GaussianBlur(2))
    sizes = []
    for kind in ("JPEG", "PNG", "WEBP"):
        out = io.BytesIO()
        image.save(out, kind)
        sizes.append(Image.open(io.BytesIO(out.getvalue())).convert("RGB").size[0])
    return sizes


def ctypes_() -> list[int]:
    """A callback from C, which older versions of libffi made executable at run time."""
    compare_type = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
    numbers = (ctypes.c_int * 3)(3, 1, 2)
    ctypes.CDLL(None).qsort(numbers, 3, 4, compare_type(lambda one, two: one[0] - two[0]))
    return list(numbers)


def processes() -> str:
    with concurrent.futures.ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
        assert list(pool.map(abs, [-1, -2])) == [1, 2]
    block = shared_memory.SharedMemory(create=True, size=1 << 20)
    block.close()
    block.unlink()
    threads = [threading.Thread(target=threading.Event().wait, args=(0.01,)) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return subprocess.run(["/usr/bin/uname", "-s"], capture_output=True, text=True, check=True).stdout.strip()


def files() -> str:
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "x").write_text("x")
    shared = Path("media", "shared.sqlite3")
    with sqlite3.connect(shared) as database:
        database.execute("create table if not exists t (n)")
        database.execute("insert into t values (1)")
    return "written"


def host() -> str:
    assert socket.getaddrinfo("localhost", 80)
    assert "MemAvailable" in Path("/proc/meminfo").read_text()
    assert os.getloadavg() and os.cpu_count() and os.sched_getaffinity(0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.connect(("127.0.0.1", 9))
        udp.send(b"statsd")
    return "asked"
