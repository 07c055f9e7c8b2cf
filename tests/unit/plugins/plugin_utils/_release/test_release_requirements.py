from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app.releases import ReleaseError
from ansible_collections.graceful.deploy.plugins.module_utils._host.text import mask
from ansible_collections.graceful.deploy.plugins.plugin_utils._release import requirements as release_requirements
from ansible_collections.graceful.deploy.plugins.plugin_utils._release.target import Target
from hypothesis import given
from hypothesis import strategies as st

BOOKWORM = Target("3.11.2", "cp311", "x86_64", "glibc", (2, 36))


def read(tmp_path: Path, text: str, **others: str) -> release_requirements.Requirements:
    (tmp_path / "requirements.txt").write_text(text)
    for name, content in others.items():
        (tmp_path / f"{name}.txt").write_text(content)
    return release_requirements.read(str(tmp_path), "requirements.txt")


def test_lines_are_read_as_pip_reads_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERSION", "1.2")
    text = (
        "\ufefffastapi[standard] >= 0.100  # a comment\n\n# another \\\n"
        "asyncpg==${VERSION} \\\n    --hash=sha256:" + "A" * 64 + " \\\n    --hash=sha256:" + "b" * 64 + "\n"
        "uvloop==0.21 ; sys_platform != 'win32' and \\\n  platform_python_implementation == 'CPython'\n"
        "--require-hashes\n--prefer-binary\n--only-binary :all:\n"
    )
    found = read(tmp_path, text)
    assert found.lines == [
        "fastapi[standard] >= 0.100",
        "asyncpg==1.2",
        "uvloop==0.21 ; sys_platform != 'win32' and   platform_python_implementation == 'CPython'",
    ]
    assert found.hashes == {("asyncpg", "1.2"): {"a" * 64, "b" * 64}}


@pytest.mark.project(
    "served", "`requirements.txt`, with what it includes", "its lines, with the constraints and index options in it"
)
def test_includes_constraints_and_index_options(tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "deep.txt").write_text("deep\n-r ../requirements.txt\n")
    found = read(
        tmp_path,
        "-r base.txt\n--requirement=sub/deep.txt\n-c limits.txt\n-i https://one/simple\n--extra-index-url=https://two/?a=b\n"
        "--find-links wheels\n-f https://three/links\n--pre\n--trusted-host four\n",
        base="base\n-r base.txt\n",
        limits="limited<2\n",
    )
    assert (found.lines, found.constraints) == (["base", "deep"], ["limited<2"])
    assert found.options == {
        "index_url": ["https://one/simple"],
        "extra_index_urls": ["https://two/?a=b"],
        "find_links": [str(tmp_path / "wheels"), "https://three/links"],
        "pre": ["yes"],
        "trusted_hosts": ["four"],
    }


@pytest.mark.project(
    "refused", "a branch of git, a URL, a path of your machine", "the same with a commit, or a wheel by `--find-links`"
)
@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("-e .", "an editable install"),
        ("--editable=./lib", "an editable install"),
        ("./lib", "a path of the control node"),
        ("../lib", "a path of the control node"),
        ("/opt/lib", "a path of the control node"),
        ("~/lib", "a path of the control node"),
        ("file:///opt/lib", "a path of the control node"),
        ("lib-1.0-py3-none-any.whl", "a path of the control node"),
        ("wheels/lib-1.0.tar.gz", "a path of the control node"),
        (f"git+https://example.com/lib.git@{'a' * 40}", "as in lib @ git"),
        ("lib @ git+https://example.com/lib.git@abc1234", "another commit tomorrow"),
        ("git+https://example.com/lib.git", "version control"),
        ("lib @ git+ssh://git@example.com/lib.git@main", "version control"),
        ("lib @ https://example.com/lib-1.0-py3-none-any.whl", "it is a URL"),
        ("https://example.com/lib.zip", "it is a URL"),
        ("-r ../common.txt", "from outside the source"),
        ("-r /etc/common.txt", "from outside the source"),
        ("-c https://example.com/limits.txt", "from outside the source"),
        ("-r missing.txt", "missing.txt can't be read"),
        ("--no-binary lib", "only wheels are taken"),
        ("--frobnicate", "not an option"),
        ("fast api", "isn't a requirement"),
        ("fastapi=0.1", "isn't a requirement"),
    ],
)
def test_what_has_no_wheel_is_refused_with_its_line(tmp_path: Path, line: str, why: str) -> None:
    with pytest.raises(ReleaseError, match=why) as refused:
        read(tmp_path, f"fastapi\n{line}\n")
    assert "line 2" in str(refused.value) or "missing" in line


@pytest.mark.project("served", "a requirements file in UTF-16, as PowerShell writes it", "read as pip reads it")
def test_what_powershell_writes_is_read(tmp_path: Path) -> None:
    for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"):
        text = "fastapi==0.121\r\n# \u00e9\r\nrich\r\n"
        text = f"\ufeff{text}" if encoding[-2:] in ("le", "be") else text
        (tmp_path / "requirements.txt").write_bytes(text.encode(encoding))
        assert release_requirements.read(str(tmp_path), "requirements.txt").lines == ["fastapi==0.121", "rich"]
    (tmp_path / "requirements.txt").write_bytes(b"rich # \xe9\n")
    with pytest.raises(ReleaseError, match=r"isn't text in UTF-8 from byte 7 on\. Save it as UTF-8"):
        release_requirements.read(str(tmp_path), "requirements.txt")


def test_all_bad_lines_are_told_at_once_and_without_credentials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "canary-1")
    with pytest.raises(ReleaseError) as refused:
        read(tmp_path, "-e .\nlib @ https://me:canary-2@example.com/x\nlib2 @ https://${TOKEN}@example.com/x\n")
    assert str(refused.value).count("line ") >= 3 and "canary" not in str(refused.value)


@pytest.mark.parametrize(
    ("lines", "constraints", "expected"),
    [
        (["fastapi"], [], ["gunicorn==27.0.1", "uvicorn==0.54.0"]),
        (["Gunicorn>=20", "uvicorn[standard]==0.30"], [], []),
        (
            ["gunicorn==23; sys_platform == 'win32'"],
            [],
            ["gunicorn==27.0.1", "uvicorn==0.54.0"],
        ),
        (["gunicorn; python_full_version < '3.11.3'", "uvicorn", "uvicorn.worker"], [], []),
        (["gunicorn"], ["uvicorn<0.40"], ["uvicorn"]),
        (["gunicorn-extras", "uvicorn-worker2"], [], ["gunicorn==27.0.1", "uvicorn==0.54.0"]),
        # It imports distutils, which neither Debian's Python has.
        (["gunicorn", "uvicorn", "python-decouple==3.4"], [], ["setuptools"]),
        (["gunicorn", "uvicorn", "python-decouple==3.6"], [], []),
        (["gunicorn", "uvicorn", "python_decouple"], [], []),
        (["gunicorn", "uvicorn", "python-decouple==3.5", "setuptools==60"], [], []),
    ],
)
def test_what_the_files_lack_is_added(lines: list[str], constraints: list[str], expected: list[str]) -> None:
    requirements = release_requirements.Requirements(lines=lines, constraints=constraints)
    assert release_requirements.injected(requirements, BOOKWORM.markers) == expected


@pytest.mark.project(
    "served", "hashes, as `pip-compile --generate-hashes` writes them", "a file with another hash is refused"
)
def test_hashes_hold_for_the_versions_that_are_listed(tmp_path: Path) -> None:
    listed = read(tmp_path, f"A.b==1.0 --hash=sha256:{'a' * 64}\n").hashes
    assert release_requirements.check_hashes({("a-b", "1"): "a" * 64}, listed) == []
    assert release_requirements.check_hashes({("a-b", "1"): "c" * 64, ("gunicorn", "27"): "d" * 64}, listed) == [
        "a-b==1"
    ]
    assert release_requirements.check_hashes({("a-b", "2"): "c" * 64}, listed) == []


SECRET = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=6, max_size=20)


ODD_SECRET = st.text(st.sampled_from("ab/ @:?#&%"), max_size=9).map("P{}P".format)


@given(ODD_SECRET, st.sampled_from(["https://me:{}@host/simple", "see git+ssh://me:{}@host:22/x and more"]))
def test_masking_leaves_nothing_of_a_password_that_should_have_been_quoted(password: str, text: str) -> None:
    masked = mask(text.format(password))
    assert "P" not in masked and "://***@host" in masked


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("https://host/simple?token=secret", "https://host/simple?token=***"),
        (
            "x https://host/?a=1&access_token=se/cret y",
            "x https://host/?a=***&access_token=*** y",
        ),
        ("https://host:8443/simple is down", "https://host:8443/simple is down"),
        ("https://host/repo.git@v1", "https://host/repo.git@v1"),
        ("https://a:b@one/x https://two/y@z", "https://***@one/x https://two/y@z"),
        ("https://token@host/x", "https://***@host/x"),
        ("git@host:me/repo.git", "git@host:me/repo.git"),
        ("is it? a=b", "is it? a=b"),
    ],
)
def test_masking_leaves_what_is_no_secret(text: str, masked: str) -> None:
    assert mask(text) == masked


@given(SECRET, SECRET, st.sampled_from(["https://{}:{}@host/simple", "see git+ssh://{}:{}@host:22/x and more"]))
def test_masking_leaves_no_credentials(user: str, password: str, text: str) -> None:
    masked = mask(text.format(f"U{user}U", f"P{password}P"))
    assert f"U{user}U" not in masked and f"P{password}P" not in masked and "host" in masked
