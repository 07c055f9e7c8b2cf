"""What the app needs, from pylock.toml, uv.lock and pyproject.toml."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app.releases import ReleaseError
from ansible_collections.graceful.deploy.plugins.plugin_utils._release import lockfile as release_lockfile
from ansible_collections.graceful.deploy.plugins.plugin_utils._release import locks as release_locks
from ansible_collections.graceful.deploy.plugins.plugin_utils._release import pylock as release_pylock
from ansible_collections.graceful.deploy.plugins.plugin_utils._release import read as release_read
from ansible_collections.graceful.deploy.plugins.plugin_utils._release.requirements import injected
from ansible_collections.graceful.deploy.plugins.plugin_utils._release.resolver import only_listed
from ansible_collections.graceful.deploy.plugins.plugin_utils._release.target import Target
from hypothesis import given
from hypothesis import strategies as st
from packaging.markers import Marker

A, B, C = ("a" * 64, "b" * 64, "c" * 64)
MARKERS = Target("3.11.2", "cp311", "x86_64", "glibc", (2, 36)).markers

PYLOCK = f"""
lock-version = "1.0"
created-by = "uv"
default-groups = ["web"]

[[packages]]
name = "FastAPI"
version = "0.121.0"
sdist = {{ url = "https://x/f.tar.gz", hashes = {{ sha256 = "{A}" }} }}
wheels = [{{ url = "https://x/f.whl", hashes = {{ sha256 = "{B}" }} }}]

[[packages]]
name = "colorama"
version = "0.4"
marker = "sys_platform == 'win32'"
wheels = [{{ url = "https://x/c.whl", hashes = {{ sha256 = "{C}" }} }}]

[[packages]]
name = "gunicorn"
version = "26.0"
marker = "'web' in dependency_groups or 'x' in extras"
wheels = [{{ url = "https://x/g.whl", hashes = {{ sha256 = "{C}" }} }}]

[[packages]]
name = "pytest"
version = "9"
marker = "'dev' in dependency_groups"
wheels = [{{ url = "https://x/p.whl", hashes = {{ sha256 = "{C}" }} }}]

[[packages]]
name = "me"
directory = {{ path = ".", editable = true }}
"""


def write(path: Path, **files: str) -> str:
    for name, text in files.items():
        (path / f"{name}.toml").write_text(text)
    return str(path)


@pytest.mark.project("served", "`pylock.toml`", "its versions and hashes")
def test_a_pylock_is_exact_versions_and_hashes(tmp_path: Path) -> None:
    found = release_lockfile.read(write(tmp_path, pylock=PYLOCK), "pylock.toml", None)
    assert [line.partition(" ")[0] for line in found.lines] == [
        "FastAPI==0.121.0",
        "colorama==0.4",
        "gunicorn==26.0",
        "pytest==9",
    ]
    assert found.hashes[("fastapi", "0.121")] == {A, B}
    on_the_host = [line for line in found.lines if ";" not in line or Marker(line.partition(";")[2]).evaluate(MARKERS)]
    assert [line.partition("==")[0] for line in on_the_host] == ["FastAPI", "gunicorn"]
    assert injected(found, MARKERS) == ["uvicorn==0.54.0"]


def test_a_commit_in_a_pylock_is_what_is_built(tmp_path: Path) -> None:
    vcs = f'vcs = {{ type = "git", url = "https://x/lib", commit-id = "{A[:40]}", subdirectory = "py" }}'
    write(tmp_path, pylock=f'lock-version = "1.0"\n[[packages]]\nname = "lib"\nmarker = "os_name == \'nt\'"\n{vcs}\n')
    found = release_lockfile.read(str(tmp_path), "pylock.toml", None)
    assert found.lines == [f"lib @ git+https://x/lib@{A[:40]}#subdirectory=py ; os_name == 'nt'"]


def test_a_workspace_is_called_one_with_what_to_do(tmp_path: Path) -> None:
    """It had been said that there is no pyproject.toml, which there was."""
    (tmp_path / "uv.lock").write_text(LOCK)
    write(tmp_path, pyproject='[tool.uv.workspace]\nmembers = ["backend"]\n')
    with pytest.raises(ReleaseError, match=r"the lock of a workspace .* Write fastapi_source_directory: backend,"):
        release_lockfile.read(str(tmp_path), "uv.lock", None)


@pytest.mark.parametrize("name", ["pylock.prod.toml", "sub/pylock.toml"])
def test_other_names_of_a_pylock(tmp_path: Path, name: str) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / name).write_text(PYLOCK)
    assert release_lockfile.read(str(tmp_path), name, None).hashes


@pytest.mark.parametrize(
    ("package", "words"),
    [
        ('vcs = { type = "git", url = "https://x/y.git" }', "lib: it is fetched from version control"),
        ('archive = { url = "https://x/y.zip", hashes = { sha256 = "0" } }', "lib: it is a URL or a path"),
        ('wheels = [{ url = "x", hashes = { sha256 = "0" } }]', "lib: it has no version"),
        ('version = "1"', "lib: it has no file with a sha256"),
    ],
)
def test_what_has_no_wheel_on_an_index_is_refused_by_name(tmp_path: Path, package: str, words: str) -> None:
    write(tmp_path, pylock=f'lock-version = "1.0"\n[[packages]]\nname = "lib"\n{package}\n')
    with pytest.raises(ReleaseError, match=f"^fastapi_requirements is pylock.toml.*\n.*{words}"):
        release_lockfile.read(str(tmp_path), "pylock.toml", None)


def test_a_pylock_of_a_version_to_come_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match=r"lock-version is '2\.0'"):
        release_lockfile.read(write(tmp_path, pylock='lock-version = "2.0"\n'), "pylock.toml", None)


@given(
    st.lists(st.sampled_from(["dev", "web", "a.b"]), unique=True),
    st.sampled_from(["dev", "web", "a.b"]),
    st.booleans(),
    st.sampled_from(["extras", "dependency_groups"]),
    st.sampled_from(['"', "'"]),
)
def test_groups_in_a_marker_are_decided(groups: list[str], name: str, negated: bool, where: str, quote: str) -> None:
    text = f"{quote}{name}{quote} {'not ' if negated else ''}in {where}"
    decided = release_pylock.decide_groups(f"python_version > '3' and ({text})", groups)
    inside = where == "dependency_groups" and name in groups
    assert Marker(decided).evaluate(MARKERS) is (inside is not negated)


PYPROJECT = """
[project]
name = "My_App"
version = "1"
dependencies = ["fastapi>=0.100,<1", "uvicorn[standard]", "h11; python_version < '3.0'"]
[project.optional-dependencies]
extra = ["rich"]
"""
LOCK = """
version = 1
[[package]]
name = "my-app"
source = { virtual = "." }
[package.metadata]
requires-dist = [
    { name = "fastapi", specifier = "<1,>=0.100" },
    { name = "h11", marker = "python_full_version < '3'" },
    { name = "rich", marker = "extra == 'extra'" },
    { name = "uvicorn", extras = ["standard"] },
]
"""


def stale(pyproject: str, lock: str = LOCK) -> list[str]:
    return release_locks.stale_names(tomllib.loads(pyproject)["project"], tomllib.loads(lock))


@pytest.mark.project("refused", "a lock that is older than its project", "the tool's own command that makes it anew")
@pytest.mark.parametrize(
    ("before", "after", "names"),
    [
        ("", "", []),
        (">=0.100,<1", ">=0.100,<2", ["fastapi"]),
        ('"uvicorn[standard]", ', "", ["uvicorn"]),
        ('"uvicorn[standard]"', '"uvicorn[standard]", "httpx"', ["httpx"]),
        ("My_App", "other", ["fastapi", "h11", "uvicorn"]),
    ],
)
def test_a_lock_that_is_older_than_its_project_is_seen(before: str, after: str, names: list[str]) -> None:
    assert stale(PYPROJECT.replace(before, after)) == names


def test_what_a_lock_takes_from_elsewhere_has_no_version_to_compare() -> None:
    lock = LOCK.replace('specifier = "<1,>=0.100"', 'git = "https://x/y"')
    assert stale(PYPROJECT, lock) == []


@pytest.mark.project("served", "`uv.lock`", "what uv exports of it")
def test_a_uv_lock_is_what_uv_exports(tmp_path: Path) -> None:
    write(tmp_path, pyproject=PYPROJECT)
    (tmp_path / "uv.lock").write_text(LOCK)
    asked: list[str] = []

    def export(project: str) -> str:
        asked.append(project.rstrip("/"))
        return f"fastapi==0.121.0 \\\n    --hash=sha256:{A}\nh11==0.16 ; python_version < '3.0'\n"

    found = release_lockfile.read(str(tmp_path), "uv.lock", export)
    assert asked == [str(tmp_path)]
    assert found.lines == ["fastapi==0.121.0", "h11==0.16 ; python_version < '3.0'"]
    assert found.hashes == {("fastapi", "0.121"): {A}}
    # Without uv, as before the host is asked, what can be checked is.
    assert release_lockfile.read(str(tmp_path), "uv.lock", None).lines == []
    write(tmp_path, pyproject=PYPROJECT.replace("<1", "<2"))
    with pytest.raises(ReleaseError, match=r"fastapi_requirements is uv\.lock.*fastapi in that differs\. Run uv lock"):
        release_lockfile.read(str(tmp_path), "uv.lock", None)
    (tmp_path / "pyproject.toml").unlink()
    with pytest.raises(ReleaseError, match=r"there is no pyproject\.toml"):
        release_lockfile.read(str(tmp_path), "uv.lock", None)


@pytest.mark.parametrize("line", ["-e ./libs/lib", "./libs/lib", "lib @ git+https://x/y@abc", "lib @ https://x/y.whl"])
def test_path_and_git_dependencies_of_a_uv_lock_are_refused(tmp_path: Path, line: str) -> None:
    write(tmp_path, pyproject=PYPROJECT)
    (tmp_path / "uv.lock").write_text(LOCK)
    with pytest.raises(ReleaseError, match="can't be served by wheels") as refused:
        release_lockfile.read(str(tmp_path), "uv.lock", lambda _project: line)
    assert f"uv.lock, {line}: " in str(refused.value)


@pytest.mark.project(
    "served", "`pyproject.toml` without a lock, as Hatch has it", "the newest versions that it allows, once"
)
def test_the_dependencies_of_a_project(tmp_path: Path) -> None:
    found = release_lockfile.read(write(tmp_path, pyproject=PYPROJECT), "pyproject.toml", None)
    assert found.lines == ["fastapi>=0.100,<1", "uvicorn[standard]", "h11; python_version < '3.0'"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[tool.ruff]\n", "no list of dependencies"),
        ("[project]\nname = 'x'\ndynamic = ['dependencies']\n", "no list of dependencies"),
        ("[project]\ndependencies = ['lib @ git+https://x/y']\n", "lib @ git.*version control"),
        (
            "[project]\ndependencies = ['lib>1']\n[tool.uv.sources]\nLib = { workspace = true }\n",
            "lib>1: .*from a workspace.*Run uv lock",
        ),
        ("[project]\ndependencies = ['lib>']\n", "isn't a requirement that can be read"),
        ("[project]\ndependencies = [\n", "can't be read"),
    ],
)
def test_a_project_that_can_not_be_served_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ReleaseError, match=words):
        release_lockfile.read(write(tmp_path, pyproject=text), "pyproject.toml", None)


def test_a_file_that_an_index_had_later_is_no_choice() -> None:
    item = f"fastapi==0.121.0 \\\n    --hash=sha256:{A} \\\n    --hash=sha256:{B}"
    assert only_listed(item, {("fastapi", "0.121"): {B, C}}) == f"fastapi==0.121.0 --hash=sha256:{B}"
    assert only_listed(item, {("fastapi", "0.121"): {C}}) == item, "refused later, with the sentence for that"
    assert only_listed(item, {}) == item


WORKSPACE = f"""
version = 1
requires-python = ">=3.11"
[manifest]
members = ["backend", "worker"]
[[package]]
name = "backend"
version = "1"
source = {{ virtual = "backend" }}
dependencies = [{{ name = "fastapi" }}]
[package.metadata]
requires-dist = [{{ name = "fastapi" }}]
[[package]]
name = "worker"
version = "1"
source = {{ virtual = "worker" }}
dependencies = [{{ name = "celery" }}]
[package.metadata]
requires-dist = [{{ name = "celery" }}]
[[package]]
name = "fastapi"
version = "0.100.0"
source = {{ registry = "https://pypi.org/simple" }}
wheels = [{{ url = "https://x/fastapi-0.100.0-py3-none-any.whl", hash = "sha256:{A}" }}]
[[package]]
name = "celery"
version = "5"
source = {{ registry = "https://pypi.org/simple" }}
wheels = [{{ url = "https://x/celery-5-py3-none-any.whl", hash = "sha256:{A}" }}]
"""


@pytest.mark.project(
    "variable", "a project in a workspace of uv's", "`fastapi_source_directory: backend`; the lock at the top holds"
)
def test_a_member_of_a_workspace_is_served_by_its_lock(tmp_path: Path, environment: None) -> None:
    """As fastapi's own full-stack template is laid out: the lock at the top, each project in a directory."""
    write(tmp_path, pyproject='[tool.uv.workspace]\nmembers = ["backend", "worker"]\n')
    (tmp_path / "uv.lock").write_text(WORKSPACE)
    for member, needs in (("backend", "fastapi"), ("worker", "celery"), ("other", "fastapi")):
        (tmp_path / member).mkdir()
        project = (
            f'[project]\nname = "{member}"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["{needs}"]\n'
        )
        write(tmp_path / member, pyproject=project)
    backend = str(tmp_path / "backend")
    name = release_lockfile.find_requirements(backend, "", str(tmp_path))
    assert name == release_lockfile.find_requirements(backend, "", f"{tmp_path}/") == "../uv.lock"
    assert release_lockfile.workspace_lock(backend, "/elsewhere") == "../uv.lock"
    assert release_lockfile.workspace_lock(str(tmp_path / "other"), "/elsewhere") == ""
    found = release_lockfile.read(backend, name, lambda top: release_read.uv_export(top, "", print))
    assert (found.lines, found.hashes) == (["fastapi==0.100.0"], {("fastapi", "0.100"): {A}})
    write(tmp_path / "backend", pyproject='[project]\nname = "backend"\ndependencies = ["fastapi>=0.121"]\n')
    with pytest.raises(ReleaseError, match=r"fastapi in that differs\. Run uv lock"):
        release_lockfile.read(backend, name, None)
    # What isn't in the lock, has a lock of its own, or is served from its directory alone.
    assert release_lockfile.find_requirements(str(tmp_path / "other"), "", str(tmp_path)) == "pyproject.toml"
    assert release_lockfile.find_requirements(backend, "", backend) == "pyproject.toml"
    (tmp_path / "backend" / "requirements.txt").write_text("fastapi\n")
    assert release_lockfile.find_requirements(backend, "", str(tmp_path)) == "requirements.txt"


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ('[project]\nname = "x"\nrequires-python = ">=3.11"\n[tool.poetry.dependencies]\npython = "^3.12"\n', ">=3.11"),
        ('[tool.poetry.dependencies]\npython = "^3.12"\n', ">=3.12,<4"),
        ('[tool.poetry.dependencies]\npython = "~3.11"\n', ">=3.11,<3.12"),
        ('[tool.poetry.dependencies]\npython = "3.12.2"\n', "==3.12.*"),
        ('[tool.poetry.dependencies]\npython = ">=3.11,<3.14"\n', ">=3.11,<3.14"),
        ('[tool.poetry.dependencies]\npython = "^3.11 || ^2.7"\n', ""),
        ('[tool.poetry.dependencies]\npython = "*"\n', ""),
        ('[tool]\npoetry = "x"\n', ""),
        ("", ""),
    ],
)
def test_what_the_project_asks_of_python_is_read_in_poetrys_words_too(tmp_path, text, asked):
    """One that asks for 3.12 went onto 3.11 without a word."""
    (tmp_path / "pyproject.toml").write_text(text)
    assert release_lockfile.requires_python(str(tmp_path)) == asked
