"""Small wheels for the tests of release, and a directory of them that stands in for an index."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import io
import os
import shlex
import shutil
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.plugin_utils._release.tools import PIP, UV


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


BACKEND = """
import base64, hashlib, sys, zipfile
def build_wheel(directory, config_settings=None, metadata_directory=None):
    if {fails!r}:
        sys.exit({fails!r})
    stem = "{stem}"
    wheel = f"{{stem}}-{tag}.whl"
    files = {{
        "{module}.py": "VERSION = {version!r}\\n",
        f"{{stem}}.dist-info/METADATA": "Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n{requires}",
        f"{{stem}}.dist-info/WHEEL": "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: {tag}\\n",
    }}
    def digest(text):
        return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
    record = "".join(f"{{path}},sha256={{digest(text)}},{{len(text)}}\\n" for path, text in files.items())
    files[f"{{stem}}.dist-info/RECORD"] = record + f"{{stem}}.dist-info/RECORD,,\\n"
    with zipfile.ZipFile(f"{{directory}}/{{wheel}}", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return wheel
"""


def make_sdist(
    directory: Path,
    name: str,
    version: str,
    requires: tuple[str, ...] = (),
    tag: str = "py3-none-any",
    fails: str = "",
    needs: tuple[str, ...] = (),
) -> Path:
    """A source with a build backend of its own, which needs `needs`; it exits with the sentence `fails`."""
    stem = f"{name.replace('-', '_')}-{version}"
    lines = "".join(f"Requires-Dist: {line}\\n" for line in requires)
    backend = BACKEND.format(
        stem=stem, tag=tag, module=name.replace("-", "_"), version=version, name=name, requires=lines, fails=fails
    )
    project = f'[build-system]\nrequires = {list(needs)}\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    content = {
        "pyproject.toml": project,
        "backend.py": "".join(f"import {need.replace('-', '_')}\n" for need in needs) + backend,
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
    }
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{stem}.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for member, text in content.items():
            info = tarfile.TarInfo(f"{stem}/{member}")
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return path


def _record_hash(data: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def repack_tools(directory: Path) -> None:
    """Wheels of the pinned uv and pip, made of those of the test's environment: no index is asked."""
    uv = shutil.which("uv", path=os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")]))
    pip = importlib.util.find_spec("pip")
    if uv is None or pip is None or pip.origin is None:
        pytest.skip("needs uv and pip in the environment that runs the tests")
    # Not its 60 MB: each test would pack, send, hash and unpack them several times.
    program = {f"uv-{UV}.data/scripts/uv": f'#!/bin/sh\nexec {shlex.quote(uv)} "$@"\n'.encode()}
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
    make_wheel(directory, "websockets", "17.4")
    make_wheel(directory, "elsewhere", "1.0", tag="cp311-cp311-win_amd64")
