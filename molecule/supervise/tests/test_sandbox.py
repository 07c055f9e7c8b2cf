"""The service's sandbox: libraries work in it, a hostile app gets nowhere, and an app that needs more is told how."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path
from urllib.parse import quote

import pytest
import yaml
from conftest import SCENARIO

BOXED = SCENARIO / "boxed"
NAME, ROOT, OTHER = "boxed", "/srv/boxed", "night"
VARIABLES = yaml.safe_load((SCENARIO / "boxed.yml").read_text())
SECRETS = VARIABLES["fastapi_credentials"]


class Boxed:
    """The app on one host."""

    def __init__(self, ask, control, tmp_path: Path) -> None:
        self.ask, self.control, self.tmp_path = ask, control, tmp_path

    def deploy(self, fault: str = "", playbook: str = "release", *options: str, **variables: object) -> tuple[int, str]:
        source = BOXED
        if fault:
            source = self.tmp_path / "source"
            shutil.copytree(BOXED, source, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
            (source / "app/fault.py").write_text(fault)
        return self.control.run(playbook, *options, **{**VARIABLES, "fastapi_source": str(source), **variables})

    def good(self, *arguments: str, **variables: object) -> str:
        status, said = self.deploy(*arguments, **variables)
        assert status == 0, said
        return said

    def get(self, path: str) -> dict:
        status, body = self.ask.get(path, "http://127.0.0.1", "--header", "Host: boxed.test", "--max-time", "60")
        assert status == 200, body
        return json.loads(body)

    @property
    def slot(self) -> str:
        return self.ask.run(f"basename $(readlink {ROOT}/live.sock) .sock").strip()

    def facts(self) -> dict:
        """What a well-informed attacker knows, and the bait."""
        bait = (
            "cp /usr/bin/id /usr/local/bin/setuid-id; chmod 4755 /usr/local/bin/setuid-id; "
            "install -d -m 755 /home/somebody; echo x | tee /tmp/nightingale >/dev/shm/nightingale; "
            "ipcs -m | awk '$5 == 4096 {print $1; exit}' | grep . || "
            "{ ipcmk -M 4096 -p 666 >/dev/null; ipcs -m | awk '$5 == 4096 {print $1; exit}'; }"
        )
        key = self.ask.run(bait).strip()
        main = self.ask.show(f"{NAME}@{self.slot}.service", "MainPID")["MainPID"]
        other = self.ask.run(f"basename $(readlink /srv/{OTHER}/live.sock) .sock").strip()
        return {
            "root": ROOT,
            "slot": f"{ROOT}/slots/{self.slot}",
            "socket": f"/run/{NAME}/{self.slot}.sock",
            "worker": int(self.ask.run(f"pgrep -P {main} | head -1")),
            "other": f"/srv/{OTHER}",
            "other_socket": f"/run/{OTHER}/{other}.sock",
            "other_pid": int(self.ask.show(f"{OTHER}@{other}.service", "MainPID")["MainPID"]),
            "other_journal": f"/run/systemd/journal.{OTHER}/stdout",
            "ipc_key": int(key, 16),
            "too_many": 400,
        }


_swaps: dict[str, object] = {}


@pytest.fixture
def swap(ask, boxed, recorded):
    """Have a release with a fault brought to the traffic by the module alone, as a run has called it: its result."""
    name = ask.host.backend.host
    if name not in _swaps:
        boxed.good(keep=True)
        _swaps[name] = recorded("swap").call
    return lambda fault: _swaps[name](release=ask.clone(ROOT, {"app/fault.py": fault}))


@pytest.fixture
def boxed(ask, control, tmp_path) -> Boxed:
    # A reboot undoes what prepare.yml did.
    ask.run(
        f"mount --make-rshared /; unit={NAME}@$(basename $(readlink {ROOT}/live.sock) .sock).service; "
        "systemctl is-active --quiet $unit || { systemctl reset-failed $unit; systemctl restart $unit; }"
    )
    return Boxed(ask, control, tmp_path)


def test_what_systemd_says_of_the_sandbox(ask, boxed):
    said = ask.run(f"systemd-analyze security --no-pager {NAME}@{boxed.slot}.service").splitlines()[-1]
    assert float(said.split(":")[1].split()[0]) <= 1.5, said


def test_libraries_work(ask, boxed):
    # The other process takes the database away for a while, too.
    ask.until("all work", lambda: "FAILED" not in str(boxed.get("/libraries")), 60)
    assert len(boxed.get("/libraries")) == 10


@pytest.mark.core
def test_a_hostile_app_gets_nowhere(ask, boxed):
    facts = boxed.facts()
    got = boxed.get(f"/attempts?facts={quote(json.dumps(facts))}")
    assert {name: text for name, text in got.items() if text} == {}
    assert len(got) > 80
    assert ask.show(f"{NAME}@{boxed.slot}.service", "ActiveState")["ActiveState"] == "active"
    # The same without the sandbox, for what the rights of files alone don't stop: else it would prove nothing.
    python = f"{ROOT}/slots/{boxed.slot}/release/.venv/bin/python -m app.attempts"
    bare = f"systemd-run --quiet --pipe --uid={NAME} --property=TasksMax=1000 "
    bare += f"--working-directory={ROOT}/slots/{boxed.slot}/release"
    loose = json.loads(ask.run(f"{bare} {python} {shlex.quote(json.dumps(facts))}"))
    freed = {name for name, text in loose.items() if text and not got[name]}
    assert freed >= {
        "listen on a port",
        "listen on a port of the kernel's choice",
        "listen on a unix socket",
        "open a raw socket" if loose["open a raw socket"] else "listen on UDP",
        "read another's file in /tmp",
        "read another's file in /dev/shm",
        "reach systemd over D-Bus",
        "run a setuid program",
        "see other users' processes",
        "start more processes than it may",
        "use another's shared memory",
        "write and execute memory",
        "write to another app's journal",
    }, sorted(freed)


def test_credentials_reach_the_app_and_nothing_else(ask, boxed):
    assert boxed.get("/secrets") == SECRETS
    place = f"{ROOT}/slots/{boxed.slot}/credentials"
    assert ask.run(f"stat -c '%a %U' {place} {place}/key").split() == ["700", "root", "600", "root"]
    main = ask.show(f"{NAME}@{boxed.slot}.service", "MainPID")["MainPID"]
    everywhere = f"cat /proc/{main}/environ /etc/systemd/system/{NAME}@.service {ROOT}/history.jsonl"
    assert "nightingale" not in ask.run(
        f"{everywhere}; journalctl --no-pager; journalctl --no-pager --namespace {NAME}"
    )


def test_a_rotated_secret_is_a_swap_that_shows_it_nowhere(ask, boxed):
    before = boxed.slot
    rotated = {**SECRETS, "key": "nightingale-key-2"}
    show = 'test "$(cat $CREDENTIALS_DIRECTORY/key)" = nightingale-key-2'
    said = boxed.good("", "release", "--diff", "-vvv", fastapi_credentials=rotated)
    # -vvv shows what -e has brought, in its first lines.
    assert "nightingale" not in said[said.index("PLAY [") :].replace(json.dumps(rotated), "")
    assert boxed.slot != before
    assert boxed.get("/secrets")["key"] == "nightingale-key-2"
    assert "changed=0" in boxed.good("", "release", fastapi_credentials=rotated)
    # Commands before a release get them too.
    fault = "# a new release"
    boxed.good(fault, fastapi_credentials=rotated, fastapi_before_swap=[show])
    boxed.good()


FAULTS = {
    "a path": ("open('/var/lib/evil/x', 'w')", "fastapi_writable_paths: [/var/lib/evil]"),
    "a path of the release": ("open('lock', 'w')", "fastapi_shared_paths: [data]"),
    "a file of the release": ("open('seen.json', 'w')", "fastapi_shared_paths: [seen.json]"),
    "executable memory": (
        "import mmap\nraise MemoryError('Cannot allocate write+execute memory for ffi.callback()')",
        "fastapi_allow_jit: true",
    ),
    "a port": ("import socket\nsocket.socket().bind(('127.0.0.1', 9100))", "fastapi_allow_listen: true"),
    "netlink": ("import socket\nsocket.socket(socket.AF_NETLINK, socket.SOCK_RAW)", "RestrictAddressFamilies"),
    "threads": (
        "import threading\nfor _ in range(400): threading.Thread(target=threading.Event().wait, daemon=True).start()",
        "fastapi_sandbox: {TasksMax: 4000}",
    ),
    "a device": ("open('/dev/nvidia0')", "DeviceAllow: /dev/nvidia0 rw"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_app_that_dies_of_the_sandbox_is_told_which_variable(ask, boxed, swap, fault):
    code, advice = FAULTS[fault]
    ask.run("install -d -o boxed /var/lib/evil")
    result = swap(code)
    assert result.get("failed"), result
    assert advice in " ".join(result["msg"].split()), result
    assert boxed.get("/secrets") == SECRETS


def test_a_library_finds_a_home_to_write_in_that_outlives_the_release(ask, boxed):
    """Nothing has to be set for it: not for the app, nor for a command, and the command finds what the app has kept."""
    place = "from pathlib import Path\nplace = Path('~/.cache/fonts').expanduser()\n"
    boxed.good(f"{place}place.mkdir(parents=True, exist_ok=True)\n(place / 'list').write_text('kept')")
    assert ask.run(f"stat -c '%a %U' {ROOT}/home; cat {ROOT}/home/.cache/fonts/list").split() == ["700", NAME, "kept"]
    boxed.good("# a new release", fastapi_before_swap=["grep -q kept ~/.cache/fonts/list", "touch $HOME/.config"])
    assert ask.run(f"ls -A {ROOT}/home").split() == [".cache", ".config"]


@pytest.mark.parametrize(
    ("code", "variables"),
    [
        ("open('/var/lib/evil/x', 'w')", {"fastapi_writable_paths": ["/var/lib/evil"]}),
        ("import mmap\nmmap.mmap(-1, 4096, prot=7)", {"fastapi_allow_jit": True}),
        ("import socket\nsocket.socket().bind(('127.0.0.1', 0))", {"fastapi_allow_listen": True}),
        (
            "import socket\nsocket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
            {"fastapi_sandbox": {"RestrictAddressFamilies": "AF_UNIX AF_INET AF_INET6 AF_NETLINK"}},
        ),
    ],
    ids=["path", "jit", "listen", "sandbox"],
)
def test_each_variable_lifts_what_it_says(ask, boxed, code, variables):
    ask.run("install -d -o boxed /var/lib/evil")
    boxed.good(code, **variables)


def test_a_path_that_is_missing_is_named(boxed):
    status, said = boxed.deploy(fastapi_writable_paths=["/var/lib/not-there"])
    assert status == 2
    assert "fastapi_writable_paths" in said
