from __future__ import annotations

import io
import json
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._app.releases import ReleaseError
from ansible_collections.graceful.deploy.plugins.module_utils._release import archive as release_archive
from ansible_collections.graceful.deploy.plugins.module_utils._release.archive import FORMAT
from ansible_collections.graceful.deploy.plugins.plugin_utils._release import read as release_read
from hypothesis import given
from hypothesis import strategies as st

FILE = (tarfile.REGTYPE, "")


def tar_of(path: Path, members: dict[str, tuple[bytes, str]], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as tar:
        for name, (kind, target) in members.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.mode = kind, target, 0o755
            info.size = 1 if kind == tarfile.REGTYPE else 0
            tar.addfile(info, io.BytesIO(b"x") if info.size else None)
    return path


def open_tar(tmp_path: Path, members: dict[str, tuple[bytes, str]]) -> Path:
    return Path(release_read.open_path(str(tar_of(tmp_path / "source.tar.gz", members)), str(tmp_path)))


def test_a_single_top_directory_is_left_out(tmp_path: Path) -> None:
    top = open_tar(tmp_path, {"hello-1.0/main.py": FILE, "./hello-1.0/link": (tarfile.SYMTYPE, "main.py")})
    assert sorted(path.name for path in top.iterdir()) == ["link", "main.py"]
    assert (top / "main.py").stat().st_mode & stat.S_IXUSR


def test_several_tops_and_hard_links_are_kept(tmp_path: Path) -> None:
    top = open_tar(tmp_path, {"main.py": FILE, "app/a.py": FILE, "app/b.py": (tarfile.LNKTYPE, "app/a.py")})
    assert (top / "app" / "b.py").read_text() == "x" and (top / "main.py").exists()


@pytest.mark.parametrize(
    "members",
    [
        {"../evil": FILE},
        {"/etc/evil": FILE},
        {"a/../../evil": FILE},
        {"a": (tarfile.SYMTYPE, "../.."), "b": FILE},
        {"a": (tarfile.SYMTYPE, "/etc")},
        {"a": (tarfile.SYMTYPE, "."), "a/b": FILE},
        {"a": (tarfile.LNKTYPE, "../../etc/passwd")},
        {"a": (tarfile.LNKTYPE, "/etc/passwd")},
        {"a": (tarfile.LNKTYPE, "nothing")},
        {"device": (tarfile.CHRTYPE, "")},
        {"disk": (tarfile.BLKTYPE, "")},
        {"pipe": (tarfile.FIFOTYPE, "")},
        {"a": FILE, "a/b": FILE},
    ],
)
def test_a_tar_that_would_write_elsewhere_is_refused(tmp_path: Path, members: dict) -> None:
    (tmp_path / "work").mkdir()
    archive = tar_of(tmp_path / "source.tar.gz", members)
    with pytest.raises(ReleaseError, match="fastapi_source"):
        release_read.open_path(str(archive), str(tmp_path / "work"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source.tar.gz", "work"]
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["source"]


def test_a_zip_keeps_bits_and_links_and_refuses_traversal(tmp_path: Path) -> None:
    def entry(name: str, mode: int) -> zipfile.ZipInfo:
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        return info

    with zipfile.ZipFile(tmp_path / "good.zip", "w") as archive:
        archive.writestr(entry("top/run", stat.S_IFREG | 0o755), "x")
        archive.writestr(entry("top/link", stat.S_IFLNK | 0o777), "run")
    (tmp_path / "one").mkdir()
    top = Path(release_read.open_path(str(tmp_path / "good.zip"), str(tmp_path / "one")))
    assert (top / "run").stat().st_mode & stat.S_IXUSR and (top / "link").readlink() == Path("run")
    for number, (name, mode, content) in enumerate(
        [("../evil", 0, "x"), ("link", stat.S_IFLNK, "/etc/passwd"), ("device", stat.S_IFCHR, "")]
    ):
        with zipfile.ZipFile(tmp_path / f"{number}.zip", "w") as archive:
            archive.writestr(entry(name, mode), content)
        (tmp_path / f"work{number}").mkdir()
        with pytest.raises(ReleaseError, match="fastapi_source"):
            release_read.open_path(str(tmp_path / f"{number}.zip"), str(tmp_path / f"work{number}"))
    assert not (tmp_path / "evil").exists()


def test_a_path_that_was_counted_from_where_somebody_is_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "examples/hello").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ReleaseError, match=rf"Write fastapi_source: {tmp_path}/examples/hello\."):
        release_read.open_path("/somewhere/playbooks/examples/hello/", str(tmp_path))
    with pytest.raises(ReleaseError, match=r"on the control node\.$"):
        release_read.open_path("/somewhere/else/", str(tmp_path))


def test_what_is_no_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="there is nothing of that name"):
        release_read.open_path(str(tmp_path / "nothing"), str(tmp_path))
    (tmp_path / "text").write_text("text")
    with pytest.raises(ReleaseError, match="neither a directory nor an archive"):
        release_read.open_path(str(tmp_path / "text"), str(tmp_path))


# The host's half: the archive that the control node sends.


def sent(path: Path, manifest: dict, members: dict[str, bytes]) -> str:
    everything = {"manifest.json": json.dumps({"format": FORMAT, "links": {}, **manifest}).encode(), **members}
    with tarfile.open(path, "w") as tar:
        for name, content in everything.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return str(path)


def listed(content: bytes, executable: bool = False) -> dict[str, object]:
    return {"sha256": release_archive_hash(content), "executable": executable}


def release_archive_hash(content: bytes) -> str:
    return release_archive.hashlib.sha256(content).hexdigest()


def unpack(tmp_path: Path, manifest: dict, members: dict[str, bytes]) -> Path:
    archive = sent(tmp_path / "sent.tar", manifest, members)
    into = tmp_path / "into"
    into.mkdir()
    release_archive.unpack(archive, release_archive.read_manifest(archive), str(into))
    return into


def test_what_the_manifest_says_is_unpacked(tmp_path: Path) -> None:
    manifest = {"files": {"source/run": listed(b"x", True)}, "links": {"source/link": "run"}}
    into = unpack(tmp_path, manifest, {"source/run": b"x"})
    assert (into / "source" / "link").read_bytes() == b"x"
    assert (into / "source" / "run").stat().st_mode & stat.S_IXUSR


@pytest.mark.parametrize(
    ("manifest", "members", "reason"),
    [
        ({"files": {"a": listed(b"x")}}, {"a": b"y"}, "isn't what its manifest says"),
        ({"files": {}}, {"a": b"y"}, "doesn't name"),
        ({"files": {"a": listed(b"x")}}, {"a": b"x", "b": b"x"}, "doesn't name"),
        ({"files": {"a": listed(b"x")}}, {}, "lacks 'a'"),
        ({"files": {"../a": listed(b"x")}}, {"../a": b"x"}, "leads out"),
        ({"files": {"/a": listed(b"x")}}, {"/a": b"x"}, "leads out"),
        ({"files": {}, "links": {"a": "../b"}}, {}, "leads out"),
        ({"files": {}, "links": {"a": "/b"}}, {}, "leads out"),
        ({"files": {}, "format": 0}, {}, "another version"),
    ],
)
def test_an_archive_that_is_not_its_manifest_is_refused(
    tmp_path: Path, manifest: dict, members: dict[str, bytes], reason: str
) -> None:
    with pytest.raises(ReleaseError, match=reason):
        unpack(tmp_path, manifest, members)


PART = st.sampled_from(["..", ".", "", "a", "b", "/", "a/b"])


@given(st.lists(PART, min_size=1, max_size=5).map("/".join))
def test_a_safe_path_never_leaves(path: str) -> None:
    if release_archive.is_safe_path(path):
        assert Path("/top", path).resolve().is_relative_to("/top") and ".." not in path.split("/")


@given(st.lists(st.sampled_from("ab"), min_size=1, max_size=3).map("/".join), st.lists(PART, max_size=6).map("/".join))
def test_a_safe_link_never_leads_out(path: str, target: str) -> None:
    if release_archive.is_safe_link(path, target):
        assert Path("/top", path).parent.joinpath(target).resolve().is_relative_to("/top")
