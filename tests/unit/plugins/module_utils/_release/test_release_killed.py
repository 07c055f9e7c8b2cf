"""A release is complete or absent: killed at each of its steps, on a full disk, from a damaged archive."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app.releases import ReleaseError
from ansible_collections.graceful.deploy.plugins.module_utils._host.files import sha256_of
from ansible_collections.graceful.deploy.plugins.module_utils._preflight.roots import strangers
from ansible_collections.graceful.deploy.plugins.module_utils._release import install as release_install
from ansible_collections.graceful.deploy.plugins.module_utils._release import venv as release_venv
from release_run import Run, releases

ROOT = Path(__file__).resolve().parents[5]
SHARED = ["media"]


class Captured(Exception):
    """Carries the order that the host's half would have carried out."""


def order_of(run: Run, monkeypatch: pytest.MonkeyPatch, keep_archive: Path) -> release_install.Order:
    """What a run would do on the host, with the archive where it stays."""

    def capture(order: release_install.Order) -> None:
        shutil.copy(order.archive, keep_archive)
        raise Captured(dataclasses.replace(order, archive=str(keep_archive)))

    with monkeypatch.context() as patch:
        patch.setattr(release_install, "install", capture)
        with pytest.raises(Captured) as caught:
            run(shared_paths=SHARED)
    return caught.value.args[0]


def killed_at(step: int, order: release_install.Order) -> bool:
    """Install in a process that is killed before its `step`th touch of a file or a program; False: it got through."""
    child = os.fork()
    if child == 0:
        left = step

        def count(event: str, _arguments: object) -> None:
            nonlocal left
            if event == "open" or event.startswith(("os.", "subprocess.", "fcntl.")):
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        try:
            sys.addaudithook(count)
            release_install.install(order)
        finally:
            os._exit(0)
    _pid, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def check(run: Run) -> None:
    """Whatever has a release's name is whole: its record is there and its environment is as the record says. And the
    directory can be told to be an app's, so that the next run goes on."""
    assert strangers("hello", str(run.root)) == []
    for path in (run.root / "releases").iterdir():
        if not path.name.startswith(".building-"):
            record = json.loads((path / "release.json").read_text())
            assert record["id"] == path.name
            assert release_venv.fingerprint(str(path / ".venv"))["digest"] == record["venv"]["digest"]
            assert (path / "app" / "main.py").is_file() and (path / "media").is_symlink()


def check_clean(run: Run, expected: set[str]) -> None:
    check(run)
    assert set(releases(run)) == expected
    assert all(len(path.name) == 64 for path in (run.root / "wheels").iterdir())
    assert (run.root / "shared" / "media").stat().st_mode & 0o777 == 0o750


def test_killed_at_every_step_of_a_code_only_deploy(
    run: Run, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin = run(shared_paths=SHARED)["release"]
    (source / "app" / "main.py").write_text("app = 'next'\n")
    order = order_of(run, monkeypatch, tmp_path / "release.tar")
    final = run.root / "releases" / order.release
    step = 0
    while killed_at(step := step + 1, order):
        check(run)
        if final.is_dir():
            # Made, and killed while it cleared up. The next one is to make it again.
            shutil.rmtree(final)
    assert step > 100, "the steps weren't counted"
    check_clean(run, {origin, order.release})


def test_killed_at_steps_of_a_first_deploy(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order = order_of(run, monkeypatch, tmp_path / "release.tar")
    step = 1
    while killed_at(step, order):
        if (run.root / "releases").is_dir():
            check(run)
        assert strangers("hello", str(run.root)) == []
        shutil.rmtree(run.root / "releases" / order.release, ignore_errors=True)
        # Most of its steps are alike.
        step += 1 if step < 10 else 25
    assert step > 100, "the steps weren't counted"
    check_clean(run, {order.release})


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty"])
def test_a_damaged_archive(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    archive = tmp_path / "release.tar"
    order = order_of(run, monkeypatch, archive)
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 1
    archive.write_bytes({"flipped": bytes(content), "cut": bytes(content[:5000]), "empty": b""}[damage])
    with pytest.raises(ReleaseError, match="came over damaged"):
        release_install.install(order)
    # Also where its digest is right, as for one that was packed badly.
    with pytest.raises(ReleaseError, match=r"The archive"):
        release_install.install(dataclasses.replace(order, sha256=sha256_of(str(archive))))
    assert releases(run) == [] and not (run.root / "wheels").exists()


ON_A_SMALL_DISK = """
import json, os, subprocess, sys
from ansible_collections.graceful.deploy.plugins.module_utils._app.releases import ReleaseError
from ansible_collections.graceful.deploy.plugins.module_utils._release import install as release_install
order, kilobytes, seen = json.loads(sys.argv[1]), int(sys.argv[2]), {}
subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", order["root"]], check=True)
if sys.argv[3] == "unchecked":
    release_install.free_bytes = lambda path: 1 << 40
try:
    release_install.install(release_install.Order(**order))
    said = ""
except (ReleaseError, OSError) as error:
    said = str(error)
print(json.dumps({"said": said, "releases": os.listdir(os.path.join(order["root"], "releases"))}))
"""


@pytest.fixture
def small_disk(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A function that installs on a filesystem of so many kB: what the install says, and the releases then."""
    if subprocess.run(["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], check=False).returncode:
        pytest.skip("needs the right to mount")
    order = dataclasses.asdict(order_of(run, monkeypatch, tmp_path / "release.tar"))
    run.root.mkdir(exist_ok=True)

    def install(kilobytes: int, mode: str) -> tuple[str, list[str]]:
        command = ["unshare", "--mount", sys.executable, "-c", ON_A_SMALL_DISK]
        ran = subprocess.run(
            [*command, json.dumps(order), str(kilobytes), mode],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONPATH": str(ROOT / ".collections")},
        )
        answer = json.loads(ran.stdout)
        return answer["said"], answer["releases"]

    return install


def test_a_disk_that_fills_up_at_any_moment(small_disk) -> None:
    kilobytes, refused = 2_000, 0
    while True:
        said, there = small_disk(kilobytes, "unchecked")
        if not said:
            break
        assert there == [], said
        refused += 1
        kilobytes = kilobytes * 3 // 2
        assert kilobytes < 1_000_000, said
    assert refused > 2 and len(there) == 1


def test_what_is_asked_for_is_enough(small_disk) -> None:
    said, there = small_disk(2_000, "checked")
    assert "Nothing was changed" in said and there == []
    needed = float(said.partition("needs ")[2].partition(" MB")[0])
    assert small_disk(int(needed * 1000) + 200, "checked")[0] == ""
