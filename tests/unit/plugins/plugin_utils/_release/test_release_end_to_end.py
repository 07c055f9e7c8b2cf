"""A release from a source directory to a virtual environment that runs, here, with a directory for an index."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app.releases import ReleaseError
from ansible_collections.graceful.deploy.plugins.module_utils._host.run import ProgramError
from ansible_collections.graceful.deploy.plugins.module_utils._release import facts as release_facts
from ansible_collections.graceful.deploy.plugins.module_utils._release import venv as release_venv
from ansible_collections.graceful.deploy.plugins.plugin_utils._release import flow as release_flow
from ansible_collections.graceful.deploy.plugins.plugin_utils._release import tools as release_tools
from release_run import GROUP, USER, Run, releases

ROOT = Path(__file__).resolve().parents[5]


def test_a_release_runs_from_its_place_and_through_a_slot(run: Run) -> None:
    result = run()
    path = Path(result["path"])
    assert result["changed"] and releases(run) == [result["release"]]
    slot = run.root / "slots" / "blue"
    slot.mkdir(parents=True)
    (slot / "release").symlink_to(f"../../releases/{result['release']}")
    for top in (path, slot / "release"):
        command = [top / ".venv/bin/python", "-c", "import app.main, gunicorn; print(app.main.app, gunicorn.VERSION)"]
        ran = subprocess.run(command, cwd=top, capture_output=True, text=True, check=True)
        assert ran.stdout == "0.121.0 27.0.1\n"
    assert not (path / ".env").exists()
    record = json.loads((path / "release.json").read_text())
    assert record["id"] == result["release"] and record["packages"] == result["packages"]
    assert set(result["packages"]) == {"fastapi", "starlette", "gunicorn", "uvicorn", "packaging"}


def test_files_are_for_the_group_to_read_and_compiled(run: Run) -> None:
    path = Path(run()["path"])
    for item in [path, *path.rglob("*")]:
        if not item.is_symlink():
            mode = item.stat().st_mode & 0o777
            assert mode == 0o750 if item.is_dir() else mode in (0o640, 0o750), item
            assert item.stat().st_gid == os.getgid()
    assert list((path / "app" / "__pycache__").glob("main.*.pyc"))
    assert list(path.glob(".venv/lib/*/site-packages/__pycache__/fastapi.*.pyc"))
    # Nothing tells where it was built.
    texts = [p for p in path.rglob("*") if p.is_file() and not p.is_symlink() and p.suffix != ".pyc"]
    assert not [p for p in texts if b".building-" in p.read_bytes()]


def test_the_same_input_is_one_trip_and_changes_nothing(run: Run) -> None:
    first = run()
    run.said.clear()
    second = run()
    assert not second["changed"] and second["release"] == first["release"]
    assert run.installs == 1 and run.said == []
    assert second["diff"]["before"] == second["diff"]["after"] == f"{first['release']}\n"


def test_check_mode_predicts_and_builds_nothing(run: Run) -> None:
    predicted = run(check=True)
    assert not run.root.exists() and run.installs == 0
    assert predicted == {**predicted, "changed": True, "diff": {**predicted["diff"], "before": ""}}
    done = run()
    assert (done["release"], done["diff"]) == (predicted["release"], predicted["diff"])


def test_collecting_asks_once_changes_nothing_and_leaves_nothing_to_collect(run: Run, source: Path) -> None:
    (source / "requirements.txt").write_text("fastapi==0.100.0\n")
    collected = run(state="collected", group="no-such-group")
    assert (collected["changed"], collected["complete"]) == (False, False) and "diff" not in collected
    assert not run.root.exists() and [line.split()[0] for line in run.said][-1] == "Collecting"
    run.said.clear()
    done = run(collected=collected["collected"])
    assert done["changed"] and done["release"] == collected["release"] and run.queries == 1
    assert [line.split()[0] for line in run.said] == ["Sending"]
    again = run(state="collected")
    assert (again["changed"], again["complete"], again["release"]) == (False, True, done["release"])
    (source / "more").touch()
    with pytest.raises(ReleaseError, match="no group no-such-group on the host"):
        run(collected=collected["collected"], group="no-such-group")


@pytest.mark.parametrize("method", ["wheels", "venv"])
def test_what_is_imported_and_in_no_wheel_is_told_before_anything_changes(run: Run, source: Path, method: str) -> None:
    (source / "app" / "main.py").write_text("import fastapi, gunicorn, app\nfrom PIL import Image\n")
    (told,) = run(state="collected", method=method)["warnings"]
    assert told.startswith("Nothing that is installed brings PIL (app/main.py:2), and") and told.endswith("pillow")
    (source / "app" / "main.py").write_text("import fastapi, gunicorn, app\n")
    assert "warnings" not in run(state="collected", method=method)


def test_what_was_collected_is_taken_without_asking_pip_again(
    run: Run, source: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collected = run(state="collected")["collected"]
    (name,) = collected["set"].values()
    asked = []
    read_index = release_flow.read_index
    monkeypatch.setattr(release_flow, "read_index", lambda *given: asked.append(given) or read_index(*given))
    (source / "requirements.txt").write_text("fastapi\n# another release by now\n")
    assert run(collected=collected)["changed"] and len(asked) == 1
    (source / "requirements.txt").write_text("fastapi\n")
    assert run(collected=collected)["changed"] and len(asked) == 1
    shutil.rmtree(run.root)
    (cache / "graceful.deploy" / "wheels" / name / "set.json").unlink()
    assert run(collected=collected)["changed"] and len(asked) == 2


@pytest.mark.parametrize("options", [{"state": "collected"}, {"check": True}], ids=str)
def test_what_has_no_wheel_is_refused_before_anything_changes(run: Run, source: Path, options: dict) -> None:
    (source / "requirements.txt").write_text("fastapi\nelsewhere==1.0\n")
    with pytest.raises(ReleaseError, match=r"elsewhere==1\.0 has no wheel"):
        run(**options)
    assert not run.root.exists()


def test_hosts_that_are_alike_collect_once(run: Run, source: Path, cache: Path, tmp_path: Path) -> None:
    """Three forks at once, as Ansible makes them for three hosts."""
    (source / "requirements.txt").write_text("starlette\n")
    before = set(cache.glob("graceful.deploy/wheels/[!.]*"))
    children = []
    for number in range(3):
        child = os.fork()
        if child == 0:
            try:
                run.root = tmp_path / f"srv-{number}"
                result = run(root=str(run.root))
                said = {"said": run.said, "release": result["release"]}
                (tmp_path / f"said-{number}").write_text(json.dumps(said))
            finally:
                os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    reports = [json.loads((tmp_path / f"said-{number}").read_text()) for number in range(3)]
    assert len({report["release"] for report in reports}) == 1
    assert sum(line.startswith("Resolving") for report in reports for line in report["said"]) == 1
    assert len(set(cache.glob("graceful.deploy/wheels/[!.]*")) - before) == 1


def test_a_uv_lock_is_honoured(run: Run, source: Path, wheelhouse: Path) -> None:
    """Locked by uv itself, to a version that isn't the newest."""
    (source / "requirements.txt").unlink()
    (source / "pyproject.toml").write_text(
        '[project]\nname = "hello"\nversion = "1"\ndependencies = ["fastapi<0.121"]\n'
    )
    uv = [str(Path(sys.executable).parent / "uv"), "lock", "--quiet", "--no-index", "--find-links", str(wheelhouse)]
    subprocess.run([*uv, "--project", str(source), "--python", sys.executable], check=True)
    assert run()["packages"]["fastapi"] == "0.100.0"
    lock = (source / "uv.lock").read_text()
    # Of files in a directory uv records no hash; of those of an index it does.
    lock, count = re.subn(r'(fastapi-[^"/]+[.]whl")', rf'\1, hash = "sha256:{"0" * 64}"', lock)
    assert count == 1
    (source / "uv.lock").write_text(lock)
    with pytest.raises(
        ReleaseError, match=r"fastapi_requirements is uv\.lock, and the wheel.*has none of the\s+hashes"
    ):
        run()


def test_a_pylock_and_a_project_are_honoured(run: Run, source: Path, wheelhouse: Path) -> None:
    (source / "requirements.txt").unlink()
    (source / "pyproject.toml").write_text(
        '[project]\nname = "hello"\nversion = "1"\ndependencies = ["fastapi<0.121"]\n'
    )
    assert run()["packages"]["fastapi"] == "0.100.0"
    wheel = wheelhouse / "fastapi-0.100.0-py3-none-any.whl"
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    (source / "pylock.toml").write_text(
        'lock-version = "1.0"\n[[packages]]\nname = "fastapi"\nversion = "0.100.0"\n'
        f'wheels = [{{ name = "{wheel.name}", hashes = {{ sha256 = "{digest}" }} }}]\n'
    )
    result = run()
    assert result["changed"] and result["packages"]["fastapi"] == "0.100.0"
    assert json.loads(Path(result["path"], "release.json").read_text())["requirements"] == "pylock.toml"


def test_a_commit_is_built_and_recorded(run: Run, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    git = ["git", "-C", str(source), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for command in (["init", "-q", "-b", "main"], ["add", "app", "requirements.txt"], ["commit", "-qm", "one"]):
        subprocess.run([*git, *command], check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    done = run(source=f"file://{source}", version="main")
    record = json.loads(Path(done["path"], "release.json").read_text())
    assert record["source"] == {"name": "hello", "revision": commit}
    # The same files are the same release, whichever way they came.
    assert not run()["changed"]


def test_wheels_come_from_the_cache_the_second_time(run: Run, source: Path) -> None:
    run()
    run.said.clear()
    (source / "app" / "main.py").write_text("import fastapi\napp = 'new'\n")
    assert run()["changed"]
    assert [line.split()[0] for line in run.said] == ["Sending"]


def test_a_cached_wheel_that_was_tampered_with_is_collected_again(run: Run, source: Path, cache: Path) -> None:
    run()
    for wheel in cache.glob("graceful.deploy/wheels/*/wheels/starlette-*.whl"):
        wheel.write_bytes(wheel.read_bytes() + b"more")
    (source / "changed").touch()
    run.said.clear()
    assert run()["changed"]
    assert any(line.startswith("Resolving") for line in run.said)


def test_old_releases_go_and_those_of_slots_stay(run: Run, source: Path) -> None:
    made = []
    for number in range(4):
        (source / "number").write_text(str(number))
        result = run()
        made.append(result["release"])
        listed = result["diff"]["after"].split()
        assert sorted(listed) == releases(run)
        # Its deploy has ended: until then it would stay.
        with open(run.root / "history.jsonl", "a", encoding="utf-8") as history:
            history.write(json.dumps({"release": result["release"], "outcome": "failed"}) + "\n")
        if number == 0:
            slot = run.root / "slots" / "green"
            slot.mkdir(parents=True)
            (slot / "release").symlink_to(f"../../releases/{made[0]}")
    assert releases(run) == sorted([made[0], made[3]])


def test_a_wheel_with_another_hash_is_refused(run: Run, source: Path, wheelhouse: Path) -> None:
    (source / "requirements.txt").write_text(f"fastapi==0.121.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(ReleaseError, match=r"fastapi==0\.121 has none of the\s+hashes"):
        run()
    assert not run.root.exists()


def test_a_requirement_without_a_fitting_wheel_is_named_with_ways_out(run: Run, source: Path) -> None:
    (source / "requirements.txt").write_text("fastapi\nelsewhere==1.0\n")
    with pytest.raises(
        ReleaseError, match=r"(?s)elsewhere==1\.0 has no wheel for Python 3\.\d+ on x86.*fastapi_python"
    ):
        run()
    assert run.installs == 0


def test_a_marker_of_the_host_decides_what_is_added(run: Run, source: Path) -> None:
    (source / "requirements.txt").write_text("fastapi\ngunicorn==26.0; sys_platform == 'win32'\n")
    assert run()["packages"]["gunicorn"] == "27.0.1"


def test_pip_serves_where_uv_does_not_run(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release_venv, "uv_program", lambda build: "")
    result = run()
    path = Path(result["path"])
    assert "installed by pip" in result["msg"]
    ran = subprocess.run(
        [path / ".venv/bin/python", "-c", "import uvicorn; print(uvicorn.VERSION)"], capture_output=True
    )
    assert ran.stdout == b"0.54.0\n"
    texts = [p for p in (path / ".venv").rglob("*") if p.is_file() and not p.is_symlink() and p.suffix != ".pyc"]
    assert not [p for p in texts if b".building-" in p.read_bytes()]


def test_a_failed_step_is_named_and_leaves_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release_venv, "_sources", lambda build: ["no-such-option"])
    with pytest.raises(ProgramError, match=r"Installing the wheels failed on the host with exit code"):
        run()
    assert releases(run) == []


def test_no_room_is_refused_before_anything_is_sent(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release_facts, "free_bytes", lambda path: 1_000_000)
    with pytest.raises(ReleaseError, match=r"has 1\.0 MB free, and building the release needs [\d.]+ MB"):
        run()
    assert run.installs == 0


def test_a_missing_group_is_refused_before_anything_is_built_but_not_in_check_mode(run: Run) -> None:
    assert run(check=True, group="no-such-group")["changed"]
    with pytest.raises(ReleaseError, match="no group no-such-group on the host"):
        run(group="no-such-group")
    assert run.said == [] and not run.root.exists()


def test_a_source_that_changes_while_it_is_packed_is_refused(
    run: Run, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An archive of these very bytes may be in the cache, and is as good.
    (source / "unlike any other").touch()
    collect = release_flow.collect

    def meanwhile(*arguments: object) -> object:
        (source / "app" / "main.py").write_text("other\n")
        return collect(*arguments)

    monkeypatch.setattr(release_flow, "collect", meanwhile)
    with pytest.raises(ReleaseError, match=r"main\.py changed while it was packed"):
        run()


def test_what_a_killed_run_leaves_is_cleared_and_a_live_one_is_not(run: Run, source: Path) -> None:
    run()
    where = run.root / "releases"
    (where / ".building-0123456789ab-dead" / "source").mkdir(parents=True)
    program = (
        "import sys, time\n"
        "from ansible_collections.graceful.deploy.plugins.module_utils._release.place import building\n"
        f"with building({str(where)!r}, 'ffffffffffff') as build:\n    print(build, flush=True)\n    time.sleep(60)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / ".collections")}
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=environment) as live:
        assert live.stdout is not None
        theirs = Path(live.stdout.readline().strip())
        (source / "more").touch()
        run()
        assert theirs.is_dir() and not list(where.glob(".building-0123*"))
        live.send_signal(signal.SIGKILL)
        live.wait()
    assert theirs.is_dir()
    (source / "still more").touch()
    run()
    assert not list(where.glob(".building-*"))


@pytest.mark.parametrize("delay", [0.05, 0.4])
def test_sigkill_at_any_moment_leaves_complete_releases_or_rubbish_only(run: Run, source: Path, delay: float) -> None:
    kept = run()["release"]
    (source / "next").write_text(str(delay))
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        try:
            run()
        finally:
            os._exit(0)
    deadline = time.monotonic() + 30
    while not list((run.root / "releases").glob(".building-*")) and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(delay)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    for path in (run.root / "releases").iterdir():
        assert path.name == kept or path.name.startswith(".building-") or (path / "release.json").is_file()
    # uv may outlive its parent by a moment.
    time.sleep(0.5)
    result = run()
    assert not list((run.root / "releases").glob(".building-*"))
    assert set(releases(run)) == {kept, result["release"]}


@pytest.mark.project("served", "a private index, with a password", "asked; the password is shown nowhere")
def test_credentials_are_in_no_argument_list(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[str] = []
    real = subprocess.run

    def recording(command: list[str], *arguments: object, **options: object) -> object:
        commands.append(" ".join(command))
        return real(command, *arguments, **options)

    monkeypatch.setattr(subprocess, "run", recording)
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    with pytest.raises(ReleaseError, match="the index can't be reached") as refused:
        run(index_url="http://someone:canary-token@127.0.0.1:9/simple")
    assert any("compile" in command for command in commands)
    assert not [command for command in commands if "canary" in command] and "canary" not in str(refused.value)


def test_tools_are_fetched_where_python_has_no_pip(
    environment: None, tmp_path: Path, wheelhouse: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a control node whose Ansible came without pip: the standard library's takes the first step."""
    monkeypatch.setattr(release_tools.importlib.util, "find_spec", lambda name: None)
    said: list[str] = []
    tools = release_tools.provide(str(tmp_path), {}, "", said.append)
    ran = subprocess.run([tools.uv, "--version"], capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("uv ") and said
    assert not os.path.exists(os.path.join(tools.directory, "first"))


def test_what_to_install_is_said_where_python_has_neither_pip_nor_venv(
    environment: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release_tools.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(release_tools.sys, "executable", "/bin/false")
    with pytest.raises(ReleaseError, match=r"has neither pip nor venv.*apt-get install python3\.\d+-venv"):
        release_tools.provide(str(tmp_path), {}, "", str)
    assert not list(tmp_path.glob("tools-*"))


def test_a_fork_that_waited_takes_what_the_other_made(environment: None, tmp_path: Path) -> None:
    said: list[str] = []
    path = str(tmp_path / "made")
    with release_tools.making(path) as new:
        assert new is not None
        Path(new, "content").touch()
    with release_tools.making(path) as again:
        assert again is None
    assert os.listdir(path) == ["content"] and said == []


def test_the_task_itself(environment: None, tmp_path: Path, source: Path) -> None:
    """By Ansible's own command, with a secret in the index: in no output, however verbose."""
    root = tmp_path / "srv"
    arguments = {
        "name": "hello",
        "root": str(root),
        "group": GROUP,
        "user": USER,
        "source": str(source),
        "python": sys.executable,
    }
    command = [sys.executable, "-m", "ansible", "adhoc", "localhost", "-m", "graceful.deploy.release", "-vvv", "--diff"]
    where = {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
        "ANSIBLE_LOCALHOST_WARNING": "0",
        "ANSIBLE_HOME": str(tmp_path / "ansible"),
    }

    def ansible(**more: object) -> subprocess.CompletedProcess[str]:
        full = [*command, "-a", json.dumps(arguments | more)]
        return subprocess.run(full, capture_output=True, text=True, env=where, cwd=ROOT, check=False)

    first = ansible()
    assert first.returncode == 0 and "CHANGED" in first.stdout, first.stdout + first.stderr
    second = ansible()
    assert "localhost | SUCCESS" in second.stdout and "nothing to build or send" in " ".join(second.stdout.split())
    (source / "requirements.txt").write_text("fastapi\nuvicorn==0.1\n")
    where["PIP_NO_INDEX"] = "0"
    where["UV_HTTP_RETRIES"] = "0"
    where["PIP_RETRIES"] = "0"
    refused = ansible(index_url="http://someone:canary-token@127.0.0.1:9/simple")
    output = refused.stdout + refused.stderr
    assert refused.returncode != 0 and "fastapi_requirements is requirements.txt" in output
    assert "canary" not in output
    shutil.rmtree(root)


@pytest.mark.project("variable", "the app in a directory of its repository", "`fastapi_source_directory: backend`")
def test_a_directory_of_the_source_is_what_is_shipped(run: Run, source: Path, tmp_path: Path) -> None:
    top = tmp_path / "repository"
    (top / "frontend").mkdir(parents=True)
    (top / "frontend" / "index.html").touch()
    alone = run()
    source.rename(top / "backend")
    inside = run(source=str(top), source_directory="backend")
    # The same files are the same release.
    assert inside["release"] == alone["release"] and not inside["changed"]
    (top / "frontend" / "index.html").write_text("changed")
    assert not run(source=str(top), source_directory="backend/")["changed"]
    (top / "backend" / "app" / "main.py").write_text("import fastapi\napp = 2\n")
    path = Path(run(source=str(top), source_directory="backend")["path"])
    assert sorted(item.name for item in path.iterdir() if item.name[0] != ".") == [
        "app",
        "release.json",
        "requirements.txt",
    ]


@pytest.mark.project("served", "a WebSocket endpoint, and no library for it", "`websockets` is added")
def test_an_app_with_a_websocket_endpoint_is_sent_what_speaks_it(run: Run, source: Path) -> None:
    code = "import fastapi\napp = 1\n\n\ndef routes(app):\n    @app.websocket('/ws')\n    async def talk(socket): ...\n"
    assert "websockets" not in run()["packages"]
    (source / "app" / "main.py").write_text(code)
    assert run()["packages"]["websockets"] == "17.4"
