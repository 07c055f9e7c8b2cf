"""Whether a host has what fastapi_notify tells by."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._preflight import notify

ASKED = {"digest": "", "mail": False, "https": False, "commands": []}


def look(root: Path, **asked: object) -> tuple[list[str], list[str], dict]:
    params = {"root": str(root), "notify": {**ASKED, **asked}}
    found = notify.read_notify(params, str(root))
    problems, warnings = notify.judge_notify(params, found)
    return [problem.sentence for problem in problems], warnings, found


def test_what_is_missing_is_named_with_what_to_install(tmp_path):
    command = {"program": "no-such-program-here", "paths": [], "user": "no-such-user"}
    said, warnings, _found = look(tmp_path, mail=True, https=True, commands=[command])
    assert [" ".join(text.split()[:6]) for text in said] == [
        "fastapi_notify: it names a mail, and",
        "fastapi_notify: it names the command no-such-program-here,",
        "fastapi_notify: its command no-such-program-here is to",
    ]
    assert "apt-get install msmtp-mta" in said[0]
    assert "ca-certificates" in warnings[0]


def test_what_is_there_is_no_problem(tmp_path):
    for path in ("usr/sbin/sendmail", "etc/ssl/certs/ca-certificates.crt"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).touch(0o755)
    command = {"program": "sh", "paths": ["/etc/passwd", "/no/such/file"], "user": "nobody"}
    assert look(tmp_path, mail=True, https=True, commands=[command])[:2] == ([], [])
    assert look(tmp_path, mail=False, https=False)[:2] == ([], [])
    params = {"root": str(tmp_path)}
    assert notify.judge_notify(params, notify.read_notify(params)) == ([], [])


def test_the_apps_own_user_may_be_one_that_the_run_makes(tmp_path):
    params = {"root": str(tmp_path), "user": "no-such-user"}
    params["notify"] = {**ASKED, "commands": [{"program": "sh", "paths": [], "user": "no-such-user"}]}
    found = notify.read_notify(params, str(tmp_path))
    assert notify.judge_notify(params, found) == ([], [])
    assert len(notify.judge_notify({**params, "user": "deploy"}, found)[0]) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="files are given to others")
@pytest.mark.parametrize("spoil", ["mode", "group", "owner", "directory"])
def test_a_command_that_somebody_else_can_write_to_is_refused(tmp_path, monkeypatch, spoil):
    place = Path("/opt/graceful-test-of-notify")
    place.mkdir(mode=0o755)
    try:
        program = place / "told"
        program.touch(0o755)
        program.chmod(0o755)
        asked = {"program": str(program), "paths": [], "user": "daemon"}
        assert look(tmp_path, commands=[asked])[0] == []
        os.chown(program, 1, -1)
        # Its own user may.
        assert look(tmp_path, commands=[asked])[0] == []
        os.chown(program, 0, 0)
        if spoil == "mode":
            program.chmod(0o757)
        elif spoil == "group":
            os.chown(program, 0, 12345)
            program.chmod(0o775)
        elif spoil == "owner":
            os.chown(program, 12345, 0)
        else:
            place.chmod(0o777)
        bad = place if spoil == "directory" else program
        for each in (asked, {"program": "sh", "paths": [str(program)], "user": "nobody"}):
            (said,) = look(tmp_path, commands=[each])[0]
            assert f"others can write to {bad}" in said and "chmod go-w" in said
    finally:
        (place / "told").unlink()
        place.rmdir()


def test_whether_the_host_has_the_targets_of_this_run(tmp_path):
    text = '{"targets": []}\n'
    assert look(tmp_path)[2]["current"] is True
    assert look(tmp_path, digest=notify.digest(text))[2]["current"] is False
    here = tmp_path / "commands"
    here.mkdir()
    (here / "notify").write_text(text)
    # One of an earlier version, which had no such program.
    assert look(tmp_path, digest=notify.digest(text))[2]["current"] is False
    (here / "tell.py").touch()
    assert look(tmp_path, digest=notify.digest(text))[2]["current"] is True
    assert look(tmp_path)[2]["current"] is False
