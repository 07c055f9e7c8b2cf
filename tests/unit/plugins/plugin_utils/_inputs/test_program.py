"""A program that the user names, as it is or in a package."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs import program
from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs.program import Kind, NotIt, inspect, named

TOOL = Kind("Tool", "tool", b"TOOL_HOME", re.compile(rb"tool v([0-9.]+)"), "its own site")
ELF = b"\x7fELF\x02\x01" + bytes(12) + b"\x3e\x00" + b"TOOL_HOME "


def packed(member: str, files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz" if member.endswith(".gz") else "w") as tar:
        for name, content in files.items():
            row = tarfile.TarInfo(name)
            row.size = len(content)
            tar.addfile(row, io.BytesIO(content))
    return buffer.getvalue()


def deb(members: dict[str, bytes]) -> bytes:
    archive = b"!<arch>\n"
    for name, content in members.items():
        archive += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode()
        archive += content + b"\n" * (len(content) % 2)
    return archive


CONTROL = packed("control.tar.gz", {"./control": b"Package: tool\nVersion: 1:1.2.3-4\n"})


def package(content: bytes = ELF, path: str = "./usr/bin/tool") -> bytes:
    data = packed("data.tar.gz", {path: content})
    return deb({"debian-binary": b"2.0\n", "control.tar.gz": CONTROL, "data.tar.gz": data})


def test_a_program_says_its_version_and_its_machine(tmp_path: Path) -> None:
    path = tmp_path / "tool"
    path.write_bytes(ELF + b"tool v2.0.1 ")
    found = inspect(str(path), TOOL)
    assert (found.machine, found.version, len(found.digest)) == ("x86_64", "2.0.1", 16)


def test_a_package_has_the_version_where_its_program_says_none(tmp_path: Path) -> None:
    path = tmp_path / "tool.deb"
    path.write_bytes(package())
    assert (inspect(str(path), TOOL).version, inspect(str(path), TOOL).content) == ("1.2.3", ELF)
    path.write_bytes(package(ELF + b"tool v2.0.1 "))
    assert inspect(str(path), TOOL).version == "2.0.1"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"#!/bin/sh\n", "neither a Linux program nor a .deb. Name Tool's program, as its own site offers it"),
        (ELF.replace(b"TOOL", b"FOOL"), "a program, but not Tool."),
        (package(path="./usr/bin/other"), "a package without /usr/bin/tool."),
        (package(b"#!/bin/sh\n"), "neither a Linux program"),
        (package()[:-40], "the package is damaged."),
    ],
)
def test_what_isnt_the_program_is_told_with_what_to_name(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(NotIt) as failure:
        inspect(str(path), TOOL)
    assert said in str(failure.value)
    found, problem = named("tool", str(path), TOOL)
    assert found is None and problem and problem.sentence.startswith(f"fastapi_tool is '{path}': ")
    assert said in problem.sentence


def test_a_file_that_isnt_there_is_told() -> None:
    assert "can't be read on the control node: No such file" in named("tool", "/nowhere/tool", TOOL)[1].sentence
    assert "it is a directory. Name the program in it." in named("tool", "/", TOOL)[1].sentence


def test_zstd_is_read_by_what_the_machine_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages made on newer systems are compressed so, and Python reads it from 3.14 on."""
    unreadable = deb({"debian-binary": b"2.0\n", "data.tar.zst": b"\x28\xb5\x2f\xfd..."})
    path = tmp_path / "tool.deb"
    path.write_bytes(unreadable)
    data = packed("data.tar", {"./usr/bin/tool": ELF})
    asked = []

    def run(command: list[str], **_more: object) -> subprocess.CompletedProcess:
        asked.append(command)
        return subprocess.CompletedProcess(command, 0 if command[0] == "zstd" else 2, data)

    monkeypatch.setattr(program.subprocess, "run", run)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    assert inspect(str(path), TOOL).content == ELF
    assert asked == [["dpkg-deb", "--fsys-tarfile", str(path)], ["zstd", "-dcq"]]
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(NotIt, match="Install zstd on this machine"):
        inspect(str(path), TOOL)
