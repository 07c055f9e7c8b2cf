"""What a host has already isn't sent or made again: environments, wheels, archives."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app.releases import ReleaseError
from ansible_collections.graceful.deploy.plugins.module_utils._host.text import megabytes
from ansible_collections.graceful.deploy.plugins.module_utils._release import facts as release_facts
from ansible_collections.graceful.deploy.plugins.module_utils._release import store as release_store
from ansible_collections.graceful.deploy.plugins.module_utils._release import venv as release_venv
from ansible_collections.graceful.deploy.plugins.plugin_utils._release import bundle as release_bundle
from ansible_collections.graceful.deploy.plugins.plugin_utils._release import deliver as release_deliver
from release_run import Run, releases
from release_wheelhouse import make_wheel


def change(source: Path, text: str) -> None:
    (source / "app" / "main.py").write_text(f"import fastapi\napp = {text!r}\n")


def says(path: Path) -> str:
    """What the app and its programs say from their environment."""
    command = f"cd {path} && .venv/bin/python -c 'import app.main, gunicorn; print(app.main.app, gunicorn.__file__)'"
    return subprocess.run(command, shell=True, capture_output=True, text=True, check=True).stdout


def files_of(path: Path) -> dict[str, tuple[int, int, int]]:
    return {
        str(file.relative_to(path)): (file.stat().st_ino, file.stat().st_mode, file.stat().st_gid)
        for file in path.rglob("*")
        if file.is_file() and not file.is_symlink()
    }


@pytest.fixture(params=["uv", "pip"])
def installer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "pip":
        monkeypatch.setattr(release_venv, "uv_program", lambda build: "")
    return str(request.param)


def test_changed_code_sends_code_and_takes_the_environment_that_is_there(
    run: Run, source: Path, installer: str
) -> None:
    first = run()
    change(source, "second")
    second = run()
    assert second["sent_bytes"] < 100_000 < first["sent_bytes"]
    assert f"kB sent, environment of {first['release']}" in second["msg"]
    old, new = Path(first["path"]), Path(second["path"])
    kept, cloned = files_of(old / ".venv"), files_of(new / ".venv")
    assert {name: value[1:] for name, value in kept.items()} == {name: value[1:] for name, value in cloned.items()}
    own = {name for name in kept if kept[name] != cloned[name] and not name.endswith("/graceful_order.pth")}
    # What pip and venv write names its place; what uv writes doesn't.
    assert bool(own) == (installer == "pip") and all(name == "pyvenv.cfg" or name.startswith("bin/") for name in own)
    for name in own:
        assert str(old) not in (new / ".venv" / name).read_text()
    record = json.loads((new / "release.json").read_text())
    assert record["installer"] == installer and record["packages"] == second["packages"] == first["packages"]
    # The one that it came from may go.
    shutil.rmtree(old)
    assert says(new) == f"second {new}/.venv/lib/{next((new / '.venv/lib').iterdir()).name}/site-packages/gunicorn.py\n"
    change(source, "third")
    third = run()
    assert third["sent_bytes"] < 100_000 and says(Path(third["path"])).startswith("third ")


def test_programs_of_a_clone_run_from_the_clone(run: Run, source: Path, wheelhouse: Path, installer: str) -> None:
    files = {
        "speaks.py": b"import sys\ndef main():\n    print(sys.prefix)\n",
        "speaks-1.0.dist-info/entry_points.txt": b"[console_scripts]\nspeaks = speaks:main\n",
    }
    make_wheel(wheelhouse, "speaks", "1.0", files=files)
    (source / "requirements.txt").write_text("fastapi\nspeaks\n")
    old = Path(run()["path"])
    change(source, "next")
    new = Path(run()["path"])
    shutil.rmtree(old)
    ran = subprocess.run([new / ".venv/bin/speaks"], capture_output=True, text=True, check=True)
    assert ran.stdout == f"{new}/.venv\n"


def test_a_changed_requirement_sends_its_wheel_alone(run: Run, source: Path) -> None:
    run()
    (source / "requirements.txt").write_text("fastapi<0.101\n")
    second = run()
    assert second["sent_bytes"] < 100_000 and second["packages"]["fastapi"] == "0.100.0"
    assert "installed by uv" in second["msg"]


def test_an_environment_that_was_changed_by_hand_is_not_taken_again(run: Run, source: Path) -> None:
    first = Path(run()["path"])
    (module,) = first.glob(".venv/lib/*/site-packages/starlette.py")
    module.write_text("VERSION = 'mine'\n")
    change(source, "next")
    second = run()
    assert any("changed by hand" in line for line in run.said)
    (fresh,) = Path(second["path"]).glob(".venv/lib/*/site-packages/starlette.py")
    assert "mine" not in fresh.read_text()
    assert releases(run) == sorted([first.name, second["release"]])


def test_a_damaged_wheel_of_the_host_is_sent_again(run: Run, source: Path) -> None:
    run()
    for wheel in (run.root / "wheels").iterdir():
        wheel.write_bytes(b"rubbish")
    (source / "requirements.txt").write_text("fastapi<0.101\n")
    second = run()
    assert any("is damaged" in line for line in run.said) and second["packages"]["fastapi"] == "0.100.0"
    record = json.loads(Path(second["path"], "release.json").read_text())
    for digest in record["wheels"].values():
        assert release_store.sha256_of(str(run.root / "wheels" / digest)) == digest


def test_a_release_that_was_pruned_since_the_host_was_asked(
    run: Run, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Path(run()["path"])
    change(source, "next")
    query = release_facts.query

    def then_gone(*arguments: t.Any) -> dict:
        answer = query(*arguments)
        shutil.rmtree(first)
        return answer

    monkeypatch.setattr(release_facts, "query", then_gone)
    second = run()
    assert any("isn't on the host any more" in line for line in run.said)
    assert releases(run) == [second["release"]] and says(Path(second["path"])).startswith("next ")


def test_a_host_that_never_has_enough_is_not_asked_for_ever(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release_store, "complete", lambda *arguments: ["wheels/some.whl"])
    with pytest.raises(ReleaseError, match=r"though everything was sent: some\.whl isn't among"):
        run()
    assert releases(run) == [] and run.installs == 2


def test_wheels_go_with_the_last_release_that_is_made_of_them(run: Run, source: Path) -> None:
    def kept() -> int:
        return len(list((run.root / "wheels").iterdir()))

    def deploy() -> None:
        """A release, and the end of its deploy: until then it would stay."""
        entry = {"release": run()["release"], "outcome": "failed"}
        with open(run.root / "history.jsonl", "a", encoding="utf-8") as history:
            history.write(json.dumps(entry) + "\n")

    deploy()
    once = kept()
    (run.root / "wheels" / "left.1234").touch()
    (source / "requirements.txt").write_text("fastapi<0.101\n")
    deploy()
    assert kept() == once + 1
    for number in range(2):
        change(source, str(number))
        deploy()
    assert kept() == once


def test_another_group_gets_files_of_its_own(run: Run, source: Path) -> None:
    """Names of one file have one owner: a clone would hand the old release to the new group as well."""
    first = Path(run()["path"])
    os.chown(first / ".venv", -1, os.getgid() + 1)
    change(source, "next")
    assert "installed by uv" in run()["msg"]


def test_files_that_cannot_be_linked_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "a").write_text("content")
    os.utime(tmp_path / "a", (5, 5))
    release_store.link_or_copy(str(tmp_path / "a"), str(tmp_path / "b"))
    assert (tmp_path / "b").read_text() == "content" and (tmp_path / "b").stat().st_mtime == 5


def test_a_clone_writes_anew_only_what_names_its_place(tmp_path: Path) -> None:
    origin, venv = tmp_path / "old" / ".venv", tmp_path / "build" / ".venv"
    (origin / "bin").mkdir(parents=True)
    (origin / "lib" / "bin").mkdir(parents=True)
    venv.parent.mkdir()
    for name in ("pyvenv.cfg", "bin/run", "lib/bin/run"):
        (origin / name).write_text(f"at {origin}\n")
        (origin / name).chmod(0o750)
    (origin / "bin" / "program").write_bytes(os.fsencode(origin) * 100_000)
    (origin / "bin" / "python").symlink_to("/usr/bin/python3")
    release_venv.clone(str(origin), str(venv), "/srv/new/.venv", os.getgid())
    assert (venv / "pyvenv.cfg").read_text() == (venv / "bin/run").read_text() == "at /srv/new/.venv\n"
    assert (venv / "bin/run").stat().st_mode & 0o777 == 0o750
    for name in ("lib/bin/run", "bin/program"):
        assert (venv / name).samefile(origin / name)
    assert os.readlink(venv / "bin/python") == "/usr/bin/python3"


def test_a_fingerprint_tells_what_changed_and_overlooks_bytecode(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "a.py").write_text("1")
    before = release_venv.fingerprint(str(tmp_path))["digest"]
    (tmp_path / "lib" / "__pycache__").mkdir()
    (tmp_path / "lib" / "__pycache__" / "a.pyc").touch()
    assert release_venv.fingerprint(str(tmp_path))["digest"] == before
    (tmp_path / "link").symlink_to("lib")
    assert release_venv.fingerprint(str(tmp_path))["digest"] != before


def test_an_archive_is_packed_once_for_all_hosts(run: Run, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (source / "only here").write_text(str(time.time_ns()))
    packed: list[str] = []
    write = release_bundle.write_archive

    def counting(contents: object, manifest: dict, path: str) -> str:
        packed.append(path)
        return write(contents, manifest, path)

    monkeypatch.setattr(release_bundle, "write_archive", counting)
    first = run(root=str(run.root / "one"))
    times = {Path(first["path"], "app/main.py").stat().st_mtime}
    second = run(root=str(run.root / "two"))
    times.add(Path(second["path"], "app/main.py").stat().st_mtime)
    assert len(packed) == 1 and len(times) == 1 and first["release"] == second["release"]


def test_a_damaged_archive_in_the_cache_is_packed_again(run: Run, source: Path, cache: Path) -> None:
    (source / "only here").write_text(str(time.time_ns()))
    first = run(root=str(run.root / "one"))
    (archive,) = cache.glob(f"graceful.deploy/packs/{first['release']}-*/release.tar")
    with archive.open("r+b") as file:
        file.seek(5000)
        file.write(b"damage")
    assert run(root=str(run.root / "two"))["changed"]


def test_archives_of_yesterday_go(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / f"{name}.built").touch()
    yesterday = time.time() - 90_000
    for name in ("old", "old.built"):
        os.utime(tmp_path / name, (yesterday, yesterday))
    release_deliver.forget_unused(str(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "new.built"]


@pytest.mark.parametrize(("size", "text"), [(31_400_000, "31.4 MB"), (100_000, "0.1 MB"), (11_700, "12 kB")])
def test_sizes_for_people(size: int, text: str) -> None:
    assert megabytes(size) == text


def test_what_another_run_clears_away_meanwhile_stops_nobody(tmp_path):
    """Two runs of Ansible share the cache: a directory that one was filling was gone before the other had looked."""
    (tmp_path / ".x-1").symlink_to("gone")
    old = tmp_path / "old.built"
    old.touch()
    os.utime(old, (0, 0))
    release_deliver.forget_unused(str(tmp_path))
    assert not old.exists()


@pytest.mark.parametrize("umask", [0o077, 0o000])
def test_modes_are_set_and_not_left_to_roots_umask(run: Run, source: Path, umask: int, installer: str) -> None:
    before = os.umask(umask)
    try:
        run()
        change(source, "app = 2\n")
        second = run()
    finally:
        os.umask(before)
    assert second["sent_bytes"] < 100_000
    root = Path(run.root)
    assert (root.stat().st_mode & 0o777, (root / "releases").stat().st_mode & 0o777) == (0o755, 0o751)
    tree = root / "releases" / second["release"]
    for path in [tree, *tree.rglob("*")]:
        if path.is_dir() and not path.is_symlink():
            assert path.stat().st_mode & 0o777 == 0o750, path
        elif not path.is_symlink():
            assert path.stat().st_mode & 0o777 in (0o640, 0o750), path
    for path in root.rglob("*"):
        assert path.is_symlink() or not path.stat().st_mode & 0o022, path
