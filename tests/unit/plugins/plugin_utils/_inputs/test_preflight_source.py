"""What is refused of an app's source before any host is asked."""

from __future__ import annotations

import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs import source as inputs_source
from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs.source import (
    Checked,
    app_hint,
    check_python,
    check_source,
)
from ansible_collections.graceful.deploy.plugins.plugin_utils._release.requirements import Requirements
from ansible_collections.graceful.deploy.plugins.plugin_utils._release.target import Target

VALUES = {
    "source": "/src",
    "version": "",
    "requirements": "",
    "extras": [],
    "source_directory": "",
    "exclude": [".git"],
    "app": "app.main:app",
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    top = tmp_path / "hello"
    (top / "app").mkdir(parents=True)
    (top / "app" / "main.py").touch()
    (top / "requirements.txt").write_text("fastapi\n")
    (top / "pyproject.toml").write_text('[project]\nrequires-python = ">=3.11"\n')
    return top


def check(source: Path, **changes: object) -> Checked:
    with tempfile.TemporaryDirectory() as run:
        return check_source(VALUES | {"source": str(source)} | changes, str(source), run)


def test_a_good_source_passes_and_says_which_python_it_needs(source: Path) -> None:
    assert check(source)[:3] == ([], [], ">=3.11")


def test_an_archive_is_looked_into(source: Path, tmp_path: Path) -> None:
    archive = tmp_path / "hello.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(source, "hello-1.0")
    assert check(archive)[:3] == ([], [], ">=3.11")
    (source / "requirements.txt").unlink()
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(source, "hello-1.0")
    ((variable, sentence),) = check(archive).problems
    assert variable == "source"
    assert f"fastapi_source is {archive}" in sentence, "names the archive, not where it was unpacked"


def test_a_repository_is_looked_into_and_its_credentials_are_not_shown(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    git = ["git", "-C", source, "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for command in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "one"]):
        subprocess.run([*git, *command], check=True)
    url = f"file://{source}"
    assert check_source(VALUES | {"source": url}, url, str(tmp_path))[:3] == ([], [], ">=3.11")
    ((variable, sentence),) = check_source(VALUES | {"source": url, "version": "man"}, url, str(tmp_path)).problems
    assert variable == "version" and "main" in sentence
    url = "http://u:k4n4ry@127.0.0.1:9/x.git"
    ((variable, sentence),) = check_source(VALUES | {"source": url}, url, str(tmp_path)).problems
    assert variable == "source" and "can't be reached" in sentence and "k4n4ry" not in sentence


def test_a_version_of_a_directory_is_refused(source: Path) -> None:
    ((variable, sentence),) = check(source, version="v1").problems
    assert variable == "version" and "Take fastapi_version out" in sentence and "file://" not in sentence
    (source / ".git").mkdir()
    ((_variable, sentence),) = check(source, version="v1").problems
    assert f"fastapi_source: file://{source}" in sentence


def test_a_source_that_is_not_there(tmp_path: Path) -> None:
    ((variable, sentence),) = check(tmp_path / "none").problems
    assert variable == "source" and f"{tmp_path}/none" in sentence


def test_every_problem_of_a_source_at_once(source: Path) -> None:
    (source / "app" / "main.py").rename(source / "app" / "api.py")
    (source / "requirements.txt").write_text("-e .\n")
    (source / "pyproject.toml").write_text("not toml")
    found = check(source).problems
    assert [variable for variable, _sentence in found] == ["requirements", "app"]


def test_a_requirements_file_that_is_named_and_missing(source: Path) -> None:
    ((variable, sentence),) = check(source, requirements="prod.txt").problems
    assert variable == "requirements" and "prod.txt" in sentence


@pytest.mark.parametrize(
    ("paths", "app", "part"),
    [
        (["main.py"], "app.main:app", "Perhaps fastapi_app should be main:app."),
        (["src/other/x.py", "api/main.py"], "app.main:app", "api.main:app"),
        (["src/app/main.py"], "app.main:app", "Write fastapi_env: {PYTHONPATH: src}."),
        (["x.py"], "app.main:app", "Check both."),
        (["app/main.py"], "app.main:app", ""),
        (["main.py"], "main:app", ""),
    ],
)
def test_a_likely_slip_in_the_apps_name_is_pointed_out(paths: list[str], app: str, part: str) -> None:
    hint = app_hint(paths, app)
    assert part in hint and bool(hint) == bool(part)


def test_a_source_below_src_is_found_where_the_environment_says_so(source: Path) -> None:
    (source / "src").mkdir()
    (source / "app").rename(source / "src" / "app")
    assert "PYTHONPATH: src" in check(source).warnings[0]
    assert check(source, env={"PYTHONPATH": "src"}).warnings == []
    assert check(source, env={"PYTHONPATH": "/opt/lib:./src/"}).warnings == []
    # Another check says what is wrong with it.
    assert "PYTHONPATH: src" in check(source, env="PYTHONPATH=src").warnings[0]


def test_the_hosts_python_is_held_to_what_the_app_needs() -> None:
    bookworm = {"version": "3.11.2"}
    assert check_python(Checked([], python=">=3.11"), bookworm) == []
    assert check_python(Checked([]), bookworm) == []
    ((variable, sentence),) = check_python(Checked([], python=">=3.12"), bookworm)
    assert variable == "python" and ">=3.12" in sentence and "3.11.2" in sentence


def test_a_debian_for_which_the_pins_have_no_wheels_is_not_recommended(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There release refused them, and sent to the first Debian again."""
    (source / "pyproject.toml").write_text('[project]\nname = "shop"\nrequires-python = ">=3.12"\n')
    (source / "requirements.txt").write_text("asyncpg==0.29.0\n")
    asked = []

    def lacking(pinned: Requirements, index_url: str, _say: object, other: Target) -> list[str]:
        asked.append((pinned.lines, index_url, other.minor, other.machine))
        return ["asyncpg==0.29.0 (asyncpg==0.30.0 has one)"]

    monkeypatch.setattr(inputs_source, "lacking", lacking)
    checked = check(source)
    host = {"version": "3.11.2", "machine": "arm64", "bits": 64}
    ((_variable, sentence),) = check_python(checked, host, "https://index/simple")
    assert asked == [(["asyncpg==0.29.0"], "https://index/simple", "3.13", "aarch64")]
    assert "No Debian's own Python fits" in sentence and "asyncpg==0.30.0 has one" in sentence


PACKAGE = '[project]\nname = "shop"\nrequires-python = ">=3.11"\n{}\n[build-system]\nrequires = []\n'


def test_a_package_below_src_needs_no_path(source: Path) -> None:
    (source / "app").rename(source / "src")
    (source / "src/shop").mkdir()
    (source / "src/shop/main.py").touch()
    assert "PYTHONPATH: src" in check(source, app="shop.main:app").warnings[0]
    (source / "pyproject.toml").write_text(PACKAGE.format('version = "1"'))
    assert check(source, app="shop.main:app")[:3] == ([], [], ">=3.11")


def test_a_version_that_only_a_build_knows_is_told_where_the_app_asks_for_it(source: Path) -> None:
    (source / "pyproject.toml").write_text(PACKAGE.format('dynamic = ["version"]'))
    assert check(source).warnings == []
    (source / "app/main.py").write_text("from importlib.metadata import version\n")
    (told,) = check(source).warnings
    assert "app/main.py finds 0+unknown" in told and "write version into [project]" in told
    (source / "pyproject.toml").write_text("[build-system]\nrequires = []\n")
    (told,) = check(source).warnings
    assert "app/main.py finds no version" in told
    (source / "app/main.py").write_text("")
    (told,) = check(source, before_swap=["shop migrate"]).warnings
    assert "fastapi_before_swap finds no version and no command" in told


def test_a_package_that_compiles_is_refused_before_any_host_is_asked(source: Path) -> None:
    (source / "pyproject.toml").write_text(PACKAGE.format('version = "1"') + 'build-backend = "maturin"\n')
    ((variable, sentence),) = check(source).problems
    assert variable == "source" and "compiles code of its own" in sentence


def test_a_table_that_is_none_is_told_once(source: Path) -> None:
    (source / "pyproject.toml").write_text('tool = "x"\n' + PACKAGE.format('version = "1"'))
    ((_variable, sentence),) = check(source).problems
    assert "can be installed" in sentence


@pytest.mark.parametrize("kind", ["directory", "archive", "url"])
def test_the_app_may_be_in_a_directory_of_the_source(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A repository with backend/ and frontend/ beside each other had no way but a checkout of one's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    top = tmp_path / "shop"
    (top / "frontend").mkdir(parents=True)
    source.rename(top / "backend")
    path = str(top)
    if kind == "archive":
        path = str(tmp_path / "shop.tar.gz")
        with tarfile.open(path, "w:gz") as tar:
            tar.add(top, "shop-1.0")
    elif kind == "url":
        git = ["git", "-C", top, "-c", "user.name=a", "-c", "user.email=a@b.c"]
        (top / "frontend/index.html").touch()
        for command in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "one"]):
            subprocess.run([*git, *command], check=True)
        path = f"file://{top}"
    with tempfile.TemporaryDirectory() as run:

        def problems(below: str, **changes: object) -> list[str]:
            values = VALUES | {"source": path, "source_directory": below} | changes
            return [sentence for _variable, sentence in check_source(values, path, run).problems]

        assert problems("backend") == problems("backend/") == []
        assert problems("")[0] == (
            f"fastapi_source is {path}, and nothing at its top says what the app needs. There is "
            "backend/requirements.txt. Write fastapi_source_directory: backend where the app is in there, else "
            "fastapi_requirements: backend/requirements.txt"
        )
        (sentence,) = problems("frontend", requirements="x.txt")
        assert f"no such file in fastapi_source ({path}/frontend)" in sentence
        (sentence,) = problems("back")
        assert sentence == (
            "fastapi_source_directory is back, and fastapi_source has no such directory. It has backend, frontend."
        )
        for outside in ("..", "/etc", "backend/../../x"):
            assert "directory inside fastapi_source" in problems(outside)[0] or "no such" in problems(outside)[0]


def test_the_extra_that_hosts_need_is_pointed_out_until_it_is_asked_for(source: Path) -> None:
    (source / "requirements.txt").unlink()
    text = '[project]\nname = "a"\ndependencies = ["fastapi"]\n[project.optional-dependencies]\nprod = ["sentry-sdk"]\n'
    (source / "pyproject.toml").write_text(text)
    (told,) = check(source).warnings
    assert "write fastapi_extras: [prod]" in told
    assert check(source, extras=["prod"])[:3] == ([], [], "")
    ((variable, sentence),) = check(source, extras=["prd"]).problems
    assert variable == "extras" and "It has prod." in sentence
    (source / "requirements.txt").write_text("fastapi\n")
    assert check(source)[:3] == ([], [], "")


@pytest.mark.project("served", "an app that one of its packages brings", "found in the environment")
@pytest.mark.parametrize(
    ("app", "files", "silent"),
    [
        ("titiler.application.main:app", {"requirements.txt": "titiler.application==0.21\n"}, True),
        ("mlflow.server.fastapi_app:app", {"requirements.txt": "MLflow[extras]>2\n"}, True),
        ("titiler.application.main:app", {"requirements.txt": "titilers\nfastapi\n"}, False),
        ("chat.server:app", {"uv.lock": '[[package]]\nname = "chat-server"\n[[package]]\nname = "own"\n'}, True),
        ("own.server:app", {"uv.lock": '[[package]]\nname = "own"\n'}, False),
        ("chat.server:app", {"poetry.lock": '[[package]]\nname = "Chat"\nversion = "1"\n'}, True),
    ],
)
def test_an_app_that_a_package_brings_is_no_warning(
    source: Path, app: str, files: dict[str, str], silent: bool
) -> None:
    """It was told on every run that no worker will start, and served well."""
    (source / "requirements.txt").unlink()
    needs = '["Chat"]' if "poetry.lock" in files else "[]"
    (source / "pyproject.toml").write_text(f'[project]\nname = "own"\ndependencies = {needs}\n')
    for name, text in files.items():
        (source / name).write_text(text)
    found = check(source, app=app)
    assert found.problems == [] and bool(found.warnings) != silent
    assert silent or "no worker will start" in found.warnings[0]


def test_a_lock_above_the_source_is_not_passed_over_in_silence(source: Path) -> None:
    (source / "requirements.txt").unlink()
    (source / "pyproject.toml").write_text('[project]\nname = "Hello"\ndependencies = ["fastapi"]\n')
    (source.parent / "uv.lock").write_text('[[package]]\nname = "other"\n')
    assert check(source).warnings == []
    (source.parent / "uv.lock").write_text('[[package]]\nname = "hello"\n')
    (told,) = check(source).warnings
    assert f"fastapi_source: {source.parent} and fastapi_source_directory: hello" in told
    (source.parent / "uv.lock").write_text("no toml")
    assert check(source).warnings == []
    (source.parent / "uv.lock").write_text('[[package]]\nname = "hello"\n')
    (source / "requirements.txt").write_text("fastapi\n")
    assert check(source).warnings == []
