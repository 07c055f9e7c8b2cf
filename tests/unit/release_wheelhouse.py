"""Small wheels for the tests of release, and a directory of them that stands in for an index."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import os
import shutil
import sys
import zipfile
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils.release_tools import PIP, UV


def make_wheel(
    directory: Path,
    name: str,
    version: str,
    requires: tuple[str, ...] = (),
    files: dict[str, bytes] | None = None,
    tag: str = "py3-none-any",
) -> Path:
    """A wheel with a module of its own name, or with `files`."""
    stem = f"{name.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        *(f"Requires-Dist: {r}" for r in requires),
    ]
    content = files or {f"{name.replace('-', '_')}.py": f"VERSION = {version!r}\n".encode()}
    content |= {
        f"{info}/METADATA": ("\n".join(lines) + "\n").encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
    }
    record = "".join(f"{path},{_record_hash(data)},{len(data)}\n" for path, data in content.items())
    content[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    directory.mkdir(parents=True, exist_ok=True)
    wheel = directory / f"{stem}-{tag}.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, data in content.items():
            archive.writestr(zipfile.ZipInfo(path, (2026, 1, 2, 3, 4, 6)), data)
    return wheel


def _record_hash(data: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def repack_tools(directory: Path) -> None:
    """Wheels of the pinned uv and pip, made from those of the test's environment: no index is asked."""
    uv = shutil.which("uv", path=os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")]))
    pip = importlib.util.find_spec("pip")
    if uv is None or pip is None or pip.origin is None:
        pytest.skip("needs uv and pip in the environment that runs the tests")
    program = {f"uv-{UV}.data/scripts/uv": Path(uv).read_bytes()}
    make_wheel(directory, "uv", UV, files=program, tag="py3-none-linux_x86_64")
    package = Path(pip.origin).parent
    content = {
        f"pip/{path.relative_to(package)}": path.read_bytes()
        for path in sorted(package.rglob("*"))
        if path.is_file() and path.suffix != ".pyc"
    }
    make_wheel(directory, "pip", PIP, files=content)


def fill(directory: Path) -> None:
    """What a small app needs: the three that serve it, a framework and its one dependency."""
    make_wheel(directory, "gunicorn", "27.0.1", ("packaging",))
    make_wheel(directory, "packaging", "25.0")
    make_wheel(directory, "uvicorn", "0.54.0")
    make_wheel(directory, "uvicorn-worker", "0.4.0", ("gunicorn>=20", "uvicorn>=0.15"))
    make_wheel(directory, "fastapi", "0.100.0", ("starlette>=0.40", "older; python_full_version < '3.0'"))
    make_wheel(directory, "fastapi", "0.121.0", ("starlette>=0.40",))
    make_wheel(directory, "starlette", "0.48.0")
    make_wheel(directory, "elsewhere", "1.0", tag="cp311-cp311-win_amd64")
