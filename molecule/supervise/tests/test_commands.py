"""Commands of the app's, once: at a terminal, in a script, by run.yml; whatever becomes of who waits for them."""

from __future__ import annotations

import json
import os
import signal

import pytest
from conftest import NAME, ROOT

RUN = f"{NAME}-run"
# What a person types comes when the shell is there to read it.
TYPED = r"""
import os, pty, re, sys, time
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:2])
said = b""
for wanted, typed in ((b"$ ", b"tty; python -c 'import app, sys; print(app.__file__, sys.stdin.isatty())'\n"),
                      (b"True\r\n", b"sleep 987\n"), (b"sleep 987\r\n", b"\x03"), (b"^C", b"exit 4\n")):
    while wanted not in said:
        said += os.read(terminal, 1000)
    sys.stdout.buffer.write(said)
    said = b""
    time.sleep(0.3)
    os.write(terminal, typed)
print("status", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


@pytest.fixture
def notes(ask):
    """The notes of all commands, the oldest first."""
    return lambda: [
        json.loads(line)
        for line in ask.run(f"for each in {ROOT}/commands/*.json; do cat $each; echo; done").split("\n")
        if line
    ]


def asleep(ask) -> str:
    return ask.host.run("pgrep -x sleep -a").stdout


@pytest.mark.core
def test_it_is_run_as_the_app_is(ask, notes):
    said = ask.host.run(
        f"echo 'in it' | {RUN} sh -c 'id -un; pwd; echo $FASTAPI_RELEASE; cat; printenv DATABASE_URL; echo \"$1\" >&2; "
        "touch here; exit 7' - '%h $HOME'"
    )
    release = ask.run(f"readlink {ROOT}/slots/*/release | tail -n 1").strip().rpartition("/")[2]
    assert said.rc == 7
    user, where, told, given, *_rest = said.stdout.split("\n")
    assert (user, where, told, given) == (NAME, f"{ROOT}/releases/{release}", release, "in it")
    assert "postgresql://" in said.stdout
    assert "%h $HOME\n" in said.stderr and "Read-only file system" in said.stderr
    note = notes()[-1]
    assert (note["status"], note["release"], note["why"]) == (7, release, "")
    assert note["by"].startswith("root@") and note["command"].startswith("sh -c 'id -un")
    assert ask.host.file(f"{ROOT}/commands").mode == 0o700


def test_what_cant_be_run_is_refused_in_words(ask):
    for command, words in (
        (f"{RUN} </dev/null", "A shell needs a terminal"),
        (f"{RUN} -r ../../etc id", "There is no release ../../etc"),
        (f"runuser -u nobody -- {RUN} id", "sudo"),
    ):
        said = ask.host.run(command)
        assert said.rc and words in said.stdout + said.stderr, said
    assert ask.host.run(f"{RUN} nothere").rc == 127


@pytest.mark.core
def test_alone_it_is_a_shell_with_a_terminal(ask):
    ask.run(f"cat >/tmp/typed.py <<'END'\n{TYPED}\nEND")
    said = ask.run(f"timeout 60 python3 /tmp/typed.py {RUN}")
    assert "/dev/pts/" in said and f"{ROOT}/releases/" in said and "status 4" in said, said
    assert "sleep 987" not in asleep(ask)


@pytest.mark.core
@pytest.mark.parametrize("how", ["interrupted", "nobody reads"])
def test_it_ends_with_its_children_when_nobody_waits_for_it_any_more(ask, notes, how):
    command = f"{RUN} sh -c 'sleep 986 & sleep 986'"
    if how == "interrupted":
        ask.run(f"timeout --signal=INT 2 {command} || true")
    else:
        ask.run(f"({command} || true) | sleep 1")
    ask.until("they have ended", lambda: "sleep 986" not in asleep(ask), 5)
    ask.until("it is noted", lambda: notes()[-1].get("why") == "It was ended by SIGTERM.", 5)


@pytest.mark.core
def test_run_yml_shows_what_it_prints_and_fails_with_it(ask, control, notes):
    status, said = control.run("run", fastapi_name=NAME, command="seq 3; printf rest; echo err >&2; exit 5")
    assert status == 2 and "1\n2\n3\nresterr\n" in said and "The command ended with status 5." in said
    note = notes()[-1]
    assert note["status"] == 5 and "@" in note["by"] and note["command"].startswith("seq 3;")
    assert ask.host.run(f"ls {ROOT}/commands | grep -E out").stdout == ""
    status, said = control.run("run", "--check", fastapi_name=NAME, command="touch /tmp/never")
    assert status == 0 and "Would run in the live release of night: touch /tmp/never" in said
    assert notes()[-1] == note
    status, said = control.run("status", fastapi_name=NAME)
    assert "seq 3; printf rest" in said and "status 5" in said


def test_run_yml_refuses_in_words(control):
    for given, words in (
        ({"command": ""}, "There is no command. Write what to run"),
        ({"command": "id", "release": "none"}, "There is no release none of night"),
        ({"command": "id", "fastapi_name": "nothere"}, "There is no /usr/local/bin/nothere-run"),
    ):
        status, said = control.run("run", **{"fastapi_name": NAME, **given})
        assert status == 2 and words in said, said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_what_run_yml_has_begun_ends_where_that_is_ended(ask, control, notes, number):
    with control.start("run", fastapi_name=NAME, command="sleep 985 & echo begun; sleep 985") as process:
        ask.until("it runs", lambda: process.stdout.readline() == "begun\n")
        if number == signal.SIGINT:
            os.killpg(process.pid, number)
        else:
            process.kill()
        process.stdout.read()
    ask.until("it has ended", lambda: "sleep 985" not in asleep(ask), 45)
    ask.until("it is noted", lambda: notes()[-1].get("why") == "It was ended by SIGTERM.", 5)


def test_a_command_that_takes_more_memory_than_the_slot_is_ended_and_nobody_else(ask, notes):
    said = ask.host.run(f"{RUN} python -c 'x = bytearray(4 << 30); x[::4096] = bytes(len(x[::4096]))'")
    assert said.rc and ("MemoryError" in said.stderr or "mostly for its memory" in said.stderr), said
    assert ask.get("/ready")[0] == 200
