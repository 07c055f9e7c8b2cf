"""What makes a host able to deploy by itself: complete or not at all, and nothing of it left over."""

from __future__ import annotations

import base64
import io
import os
import pwd
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._host.run import ProgramError
from ansible_collections.graceful.deploy.plugins.module_utils._push import install
from ansible_collections.graceful.deploy.plugins.modules import deployer_host


@pytest.fixture(autouse=True)
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, path in {"BASE": "lib", "HOME": "home", "SETTINGS": "etc", "LISTENER": "listener"}.items():
        monkeypatch.setattr(install, name, str(tmp_path / path))
        (tmp_path / path).mkdir()
    (tmp_path / "units").mkdir()
    monkeypatch.setattr(install, "SERVICES", str(tmp_path / "units/*-deploys.service"))
    monkeypatch.setattr(install, "USER", pwd.getpwuid(os.getuid()).pw_name)
    return tmp_path


def archive(*members: str) -> str:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name in members:
            tar.addfile(tarfile.TarInfo(name), io.BytesIO())
    return base64.b64encode(packed.getvalue()).decode()


def test_an_environment_is_complete_or_not_there(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []

    def run(step: str, command: list[str], *_more: object) -> str:
        ran.append(command)
        if "install" in command and fails:
            raise ProgramError(f"{step} failed on the host")
        return ""

    monkeypatch.setattr(install, "run", run)
    monkeypatch.setattr(install, "finish", lambda *_words: None)
    monkeypatch.setattr(install, "read_index", lambda *_words: None)
    monkeypatch.setattr(install, "pip_environment", lambda _index, base: base)
    fails = True
    with pytest.raises(ProgramError):
        install.install("0123", archive("plugins/x.py"), "ansible-core==1 --hash=sha256:0", "")
    assert not install.present("0123") and os.listdir(host / "lib") == []
    fails = False
    install.install("0123", archive("plugins/x.py"), "ansible-core==1 --hash=sha256:0", "")
    assert install.present("0123")
    assert (host / "lib/0123/collections/ansible_collections/graceful/deploy/plugins/x.py").exists()
    assert "--require-hashes" in ran[-1] and "--no-deps" in ran[-1]
    count = len(ran)
    install.install("0123", "", "", "")
    assert len(ran) == count


def test_an_archive_writes_nothing_outside_its_place(host: Path) -> None:
    with pytest.raises(tarfile.FilterError):
        install.install("0123", archive("../../../../../../escaped"), "", "")
    assert os.listdir(host / "lib") == [] and not (host / "escaped").exists()


def test_versions_that_nobody_is_deployed_by_go(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for digest in ("aaaa000000000000", "bbbb000000000000", "cccc000000000000", "dddd000000000000"):
        (host / "lib" / digest / "venv").mkdir(parents=True)
    (host / "units/hello-deploys.service").write_text(f"ExecStart={host}/lib/bbbb000000000000/venv/bin/python -m x\n")
    # A deploy of an app whose service has been written anew meanwhile.
    (host / "proc").mkdir()
    (host / "proc/cmdline").write_text(f"{host}/lib/cccc000000000000/venv/bin/python\0-m\0x")
    monkeypatch.setattr(install, "PROCESSES", str(host / "proc/cmdline"))
    monkeypatch.setattr(install, "trial", lambda _name, _digest: "no")
    trial = {"step": "trial", "name": "hello", "digest": "dddd000000000000"}
    assert deployer_host.steps(trial, True) == {"changed": False, "reason": "no"}
    assert deployer_host.steps(trial, False) == {"changed": True, "reason": "no"}
    assert sorted(os.listdir(host / "lib")) == ["bbbb000000000000", "cccc000000000000", "dddd000000000000"]
    assert deployer_host.steps(trial, False) == {"changed": False, "reason": "no"}


def test_what_an_earlier_run_brought_and_this_one_does_not_goes(host: Path) -> None:
    for name in ("deploys.json", "inventory/1/hosts.yml", "inventory/2/gone.yml"):
        (host / "etc/hello" / name).parent.mkdir(parents=True, exist_ok=True)
        (host / "etc/hello" / name).touch()
    keep = ["deploys.json", "inventory/1/hosts.yml", "environment"]
    gone = install.left_over("hello", keep)
    assert gone == [str(host / "etc/hello/inventory/2/gone.yml")]
    install.remove(gone)
    assert install.left_over("hello", keep) == []


def test_a_secret_is_made_once_and_is_roots_alone(host: Path) -> None:
    assert not install.has_secret("hello")
    install.make_secret("hello")
    path = host / "listener/hello.secret"
    assert install.has_secret("hello") and stat.S_IMODE(path.stat().st_mode) == 0o600
    head, line = path.read_text().splitlines()
    assert head.startswith("# Written by Ansible (graceful.deploy.") and len(line.removeprefix("SECRET=")) >= 40
    install.make_secret("other")
    assert (host / "listener/other.secret").read_text().splitlines()[1] != line


def test_what_a_run_would_do_is_told_and_a_second_does_nothing(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (host / "home/hello").mkdir()
    monkeypatch.setattr(install, "install", lambda digest, *_words: (host / f"lib/{digest}").mkdir())
    monkeypatch.setattr(install, "present", lambda digest: (host / f"lib/{digest}").exists())
    asked = {"name": "hello", "digest": "0123", "step": "ask"}
    given = {"keep": [], "archive": "x", "requirements": "x", "index_url": "", "make_secret": True}
    assert deployer_host.steps(asked, False) == {"changed": False, "lacks": True}
    assert deployer_host.steps(asked | given | {"step": "install"}, True) == {"changed": True, "key": ""}
    assert os.listdir(host / "home/hello") == [] and os.listdir(host / "lib") == []
    if os.getuid():
        pytest.skip("only root makes a key for another user")
    done = deployer_host.steps(asked | given | {"step": "install"}, False)
    assert done["changed"] and done["key"].startswith("ssh-ed25519 ") and " hello on " in done["key"]
    assert stat.S_IMODE((host / "home/hello/key").stat().st_mode) == 0o600
    command = ["ssh-keygen", "-l", "-f", str(host / "home/hello/key.pub")]
    assert subprocess.run(command, capture_output=True, check=True).stdout
    assert deployer_host.steps(asked | given | {"step": "install"}, False) == {"changed": False, "key": done["key"]}
    assert deployer_host.steps(asked, False) == {"changed": False, "lacks": False}


def test_a_trial_says_why_a_push_could_not_be_deployed(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (host / "etc/hello").mkdir()
    (host / "etc/hello/environment").write_text("HOME=/x\nGIT_SSH_COMMAND=ssh -o A=b\n\n")
    asked: list[object] = []

    def run(_step: str, command: list[str], environment: dict, *_more: object, **_options: object) -> str:
        asked.extend([command, environment])
        if why is None:
            return ""
        raise ProgramError("Trying failed on the host: it didn't end within 900 s.", why)

    monkeypatch.setattr(install, "run", run)
    why: str | None = None
    assert install.trial("hello", "0123") == ""
    assert asked[0][0] == str(host / "lib/0123/venv/bin/python") and asked[0][-1] == "try"
    assert asked[1] == {"HOME": "/x", "GIT_SSH_COMMAND": "ssh -o A=b"}
    why = "web1: no\n"
    assert install.trial("hello", "0123") == "web1: no"
    why = ""
    assert "900 s" in install.trial("hello", "0123")
