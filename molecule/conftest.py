"""What the scenarios' tests share: they ask the running system on the host, not the files that were written."""

from __future__ import annotations

import functools
import json
import os
import shlex
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from testinfra.backend.base import CommandResult
from testinfra.backend.docker import DockerBackend

# What two scenarios share, imported by their own conftest.py.
pytest.register_assert_rewrite("adopted", "deploys", "tunes", "two_hosts")
ROOT = Path(__file__).resolve().parents[1]
ROW = "fault"
"""Name of the property in which a test records what was lost: a row of docs/reliability.md."""
RECORDED = "/opt/recorded"
"""Directory on a host with the modules that a run has left, and whose calls are made again; also after a reboot."""
# Ansible's own `execute` of an exploded module, in a directory of the call's own: calls may be made at once.
CALL = """
import json, os, sys, tempfile

module, name, changes = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
kept = os.path.join(os.path.dirname(__file__), name)
place = tempfile.mkdtemp(prefix="call-", dir=os.path.dirname(__file__))
os.mkdir(f"{place}/debug_dir")
for name in os.listdir(f"{kept}/debug_dir"):
    if name != "args":
        os.symlink(f"{kept}/debug_dir/{name}", f"{place}/debug_dir/{name}")
with open(f"{kept}/debug_dir/args") as file:
    arguments = json.load(file)
arguments["ANSIBLE_MODULE_ARGS"].update(changes)
with open(f"{place}/debug_dir/args", "w") as file:
    json.dump(arguments, file)
program = f"{place}/AnsiballZ_{module}.py"
os.symlink(f"{kept}/AnsiballZ_{module}.py", program)
os.execv(sys.executable, [sys.executable, program, "execute"])
"""

# Runs commands on a host as `docker exec` does: each until it has ended, whoever still holds its output.
SHELL = """
import json, os, subprocess, sys

for line in sys.stdin:
    out, err = os.fdopen(os.memfd_create("out"), "r+b"), os.fdopen(os.memfd_create("err"), "r+b")
    with out, err:
        command = ["/bin/sh", "-c", json.loads(line)]
        status = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err).returncode
        texts = [(file.seek(0), file.read().decode("latin-1"))[1] for file in (out, err)]
    print(json.dumps([128 - status if status < 0 else status, *texts]), flush=True)
"""

# Releases share what they are made of: a new one is there in no time, with a name, a record and some files of its own.
CLONE = """
set -e
cd {root}/releases
origin=$(basename $(readlink {root}/slots/$(basename $(readlink {root}/live.sock) .sock)/release))
rm -rf .building-by-test
cp -al $origin .building-by-test
cd .building-by-test
rm -f {removed}
{written}
sed -i -e 's/"id": "'$origin'"/"id": "{release}"/' \\
  -e 's/"created": "[^"]*"/"created": "'$(date -u +%FT%T.%6NZ)'"/' release.json
cd ..
mv .building-by-test {release}
"""

# Modules that are asked of the other Debian's host alone, as the answer is the same. What is marked `core` is asked of
# both; so is what each of the two nginx makes of requests.
_REQUESTS = ["test_client", "test_conveniences", "test_limits"]
_RUNS = [f"test_{name}" for name in "certificates questions ready reloads unchanged zz_manners zzz_renewal".split()]
LEFT_TO_THE_OTHER = {
    "audit-bookworm": ["test_audit"],
    "default-bookworm": ["test_refusals"],
    "fleet-bookworm": ["test_moves", "test_zz_canary", "test_zz_cut_off"],
    "fleet-trixie": ["test_hosts", "test_patched", "test_zy_passage"],
    # Scenario swap has the same question for Debian's Caddy.
    "front-caddy-bookworm": [*_RUNS, "test_canary"],
    "front-caddy-trixie": _REQUESTS,
    "front-current-bookworm": [*_RUNS, "test_canary"],
    "front-current-trixie": _REQUESTS,
    "front-nginx-bookworm": _RUNS,
    "front-nginx-trixie": ["test_conveniences"],
    "oxmgr-bookworm": ["test_as_under_systemd", "test_tune"],
    "oxmgr-trixie": ["test_changes", "test_faults", "test_inside", "test_zz_ends"],
    "processes-bookworm": ["test_timers", "test_zz_absent"],
    "processes-trixie": ["test_generations"],
    "prove-bookworm": ["test_client", "test_ways"],
    "prove-trixie": ["test_ends"],
    "push-bookworm": ["test_pushes"],
    "push-trixie": ["test_trouble"],
    "supervise-bookworm": ["test_alive", "test_commands", "test_lifecycles", "test_logs"],
    "supervise-trixie": ["test_busy", "test_ends", "test_faults", "test_memory", "test_sandbox"],
    "swap-bookworm": ["test_children", "test_drains", "test_moves", "test_told"],
    "swap-trixie": ["test_bad_releases", "test_canary", "test_cut_off"],
    "tune-bookworm": ["test_cut_off", "test_zz_applied"],
    "tune-trixie": ["test_refused"],
}

# Modules that `.ci/run` leaves to `make test-all`: minutes each, in which mostly the same code runs as in others. And
# what the newest Caddy answers as Debian's does.
TAKES_LONG = ["test_two", "test_zy_passage", "test_zz_canary", "test_zz_cut_off", "test_zzz_renewal"]
AS_DEBIANS = ["test_certificates", "test_unchanged", "test_zz_manners"]


class Shell:
    """A process on a host that runs one command after the other: `docker exec` for each would cost 65 ms of a CPU, and
    tests that wait for something ask several times a second."""

    def __init__(self, host: str) -> None:
        command = ["docker", "exec", "--interactive", host, "python3", "-c", SHELL]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, command: str) -> tuple[int, bytes, bytes]:
        """Status, standard output and error of a shell line; those of one that was killed where the host ended."""
        assert self.process.stdin and self.process.stdout
        try:
            print(json.dumps(command), file=self.process.stdin, flush=True)
            status, out, err = json.loads(self.process.stdout.readline())
        except (OSError, json.JSONDecodeError):
            self.process.kill()
            self.process.wait()
            return 128 + signal.SIGKILL, b"", b"The host has ended meanwhile."
        return status, out.encode("latin-1"), err.encode("latin-1")


shells = threading.local()


def by_shell(backend: DockerBackend, command: str, *args: str, **_options: object) -> CommandResult:
    """What testinfra does by `docker exec`, by a shell that stays: one for each host and thread."""
    line = backend.get_command(command, *args)
    mine: dict[str, Shell] = shells.__dict__.setdefault("mine", {})
    shell = mine.get(backend.name)
    # It ends when its host does, which may have been started again since.
    if not shell or shell.process.poll() is not None:
        shell = mine[backend.name] = Shell(backend.name)
    status, out, err = shell.run(line)
    return backend.result(status, backend.encode(line), out, err)


DockerBackend.run = by_shell  # type: ignore[method-assign]


class Asker:
    """Asks one host; every question is a command that runs there."""

    def __init__(self, host) -> None:
        self.host = host

    def run(self, command: str) -> str:
        """Run a shell line that has to succeed, and give its output."""
        result = self.host.run(command)
        assert result.rc == 0, f"{command}: {result.rc}\n{result.stdout}\n{result.stderr}"
        return result.stdout

    def get(self, path: str, address: str = "http://127.0.0.1", *options: str) -> tuple[int, str]:
        """Ask through the proxy: status and body."""
        words = ["curl", "-s", "-m", "20", "-w", "\n%{http_code}", *options, f"{address}{path}"]
        out = self.host.run(shlex.join(words)).stdout
        body, _, status = out.rpartition("\n")
        return int(status), body

    def show(self, unit: str, *properties: str) -> dict[str, str]:
        out = self.run(f"systemctl show {shlex.quote(unit)} --property={','.join(properties)}")
        return dict(line.split("=", 1) for line in out.splitlines() if "=" in line)

    def log(self, name: str, unit: str) -> list[dict]:
        """The app's lines in its own journal that are JSON."""
        self.run(f"journalctl --namespace={name} --sync")
        out = self.run(f"journalctl --namespace={name} --unit={unit} --output=cat --no-pager")
        return [json.loads(line) for line in out.splitlines() if line.startswith("{")]

    def until(self, what: str, condition: Callable[[], object], limit: float = 30) -> object:
        """Wait until ``condition`` gives something true, at most ``limit`` seconds."""
        end = time.monotonic() + limit
        while (asked := time.monotonic()) < end:
            found = condition()
            if found:
                return found
            # Asking takes no more than half of the time: it would keep from happening what is waited for.
            time.sleep(max(0.2, time.monotonic() - asked))
        pytest.fail(f"{what}: not within {limit} s; last: {found!r}")

    def clone(self, root: str, files: dict[str, str]) -> str:
        """Make a release on the host of the live one; its id.

        :param root: the app's directory.
        :param files: texts of other files, by path; an empty one takes the file away.
        """
        release = uuid.uuid4().hex[:12]
        texts = [(shlex.quote(path), shlex.quote(text)) for path, text in files.items() if text]
        written = "\n".join(f"printf %s {text} >{path}; chown --reference=app {path}" for path, text in texts)
        self.run(CLONE.format(root=root, release=release, removed=shlex.join(files), written=written))
        return release

    def systemd_version(self) -> int:
        return int(self.run("systemctl --version").split()[1])


def said_by(process: subprocess.Popen[str], limit: float = 300) -> str:
    """What a process prints until it ends; one that doesn't end in time is killed, so that nothing waits for it."""
    try:
        return process.communicate(timeout=limit)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        raise


class Control:
    """Runs playbooks against one host, or a pattern of hosts, as a person would with -e."""

    def __init__(self, host: str) -> None:
        self.host = host

    def start(self, playbook: str, *options: str, keep: bool = False, **variables: object) -> subprocess.Popen[str]:
        """Begin a run.

        :param playbook: name of one of the collection's, or a path below the checkout.
        :param keep: whether the modules stay on the host, for Recorded.
        """
        path = ROOT / playbook if "/" in playbook else ROOT / "playbooks" / f"{playbook}.yml"
        command = ["ansible-playbook", "-i", os.environ["MOLECULE_INVENTORY_FILE"], "--limit", self.host]
        # Of two -e the later one wins.
        command += [*options, "-e", json.dumps(variables), str(path)]
        environment = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
            "ANSIBLE_PIPELINING": "true",
            "ANSIBLE_KEEP_REMOTE_FILES": str(keep),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml",
        }
        return subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, playbook: str, *options: str, keep: bool = False, **variables: object) -> tuple[int, str]:
        """Run to the end: exit status and all that was said."""
        with self.start(playbook, *options, keep=keep, **variables) as process:
            said = said_by(process)
        return process.returncode, said


class Recorded:
    """A module as Ansible last called it on a host in a run with ``keep``: payload and parameters.

    It is called again there with some parameters changed, without a run of Ansible.

    :param module: its short name.
    :param name: what it is kept as, where more than one call of it is.
    """

    def __init__(self, ask: Asker, module: str, name: str = "") -> None:
        self.module = module
        self.name = name or module
        self.host = ask.host.backend.host
        self.ask = ask
        kept, program = f"{RECORDED}/{self.name}", f"AnsiballZ_{module}.py"
        ask.run(
            f'set -e; last=$(ls -t ~/.ansible/tmp/*/{program} | head -n 1); test -n "$last"; rm -rf {kept}; '
            f"mkdir -p {kept}; cp $last {kept}/; python3 {kept}/{program} explode >/dev/null; "
            f"printf %s {shlex.quote(CALL)} >{RECORDED}/call.py"
        )

    @functools.cached_property
    def parameters(self) -> dict:
        """What Ansible called it with, its own (``_ansible_...``) among them."""
        return json.loads(self.ask.run(f"cat {RECORDED}/{self.name}/debug_dir/args"))["ANSIBLE_MODULE_ARGS"]

    def start(self, **changes: object) -> subprocess.Popen[str]:
        """Begin a call; its standard output is the module's.

        :param changes: parameters in place of the recorded ones; also Ansible's own, such as _ansible_check_mode.
        """
        call = ["python3", f"{RECORDED}/call.py", self.module, self.name, json.dumps(changes)]
        return subprocess.Popen(
            ["docker", "exec", self.host, *call],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def call(self, **changes: object) -> dict:
        """Call to the end: the module's result, or {} where it was killed."""
        with self.start(**changes) as process:
            return self.result(process)

    @staticmethod
    def result(process: subprocess.Popen[str]) -> dict:
        """Wait for a call that was begun; its result.

        :raises AssertionError: where it ended by itself, and said no result.
        """
        said = said_by(process)
        if process.returncode == 128 + signal.SIGKILL:
            return {}
        lines = [line for line in said.splitlines() if line.startswith("{")]
        assert lines, f"status {process.returncode}: {said}"
        return json.loads(lines[-1])


@pytest.fixture(scope="module")
def ask(host) -> Asker:
    return Asker(host)


@pytest.fixture
def before_the_reboot(host) -> None:
    """For what a reboot changes nothing about: only the verification before it goes through that."""
    marker, boot = host.file("/var/lib/verified-before-boot"), host.check_output("stat -c %Y /proc/1")
    if not marker.exists:
        host.check_output(f"echo {boot} >{marker.path}")
    elif marker.content_string.strip() != boot:
        pytest.skip("done before the reboot")


@pytest.fixture
def count(ask, record_property) -> Callable[..., None]:
    """Record a row of docs/reliability.md.

    What happened, how many requests were sent and lost; where it was measured if that wasn't a container (``where``);
    after how many seconds all was served in time again, where that was looked at (``again``); and what was counted if
    that weren't requests (``what``).
    """

    def row(fault: str, sent: int, lost: int, **more: object) -> None:
        debian = "trixie" if ask.systemd_version() > 252 else "bookworm"
        record_property(ROW, {"fault": fault, "debian": debian, "sent": sent, "lost": lost, **more})

    return row


@pytest.fixture(scope="module")
def control(host) -> Control:
    return Control(host.backend.host)


@pytest.fixture
def recorded(ask) -> Callable[..., Recorded]:
    """Take what a run with ``keep`` has left of a module."""
    return lambda module, name="": Recorded(ask, module, name)


def pytest_configure(config) -> None:
    config.addinivalue_line(
        "markers", "core: the heart of a promise, asked by `make test`; the rest is asked by `make test-all`"
    )


def pytest_terminal_summary(terminalreporter) -> None:
    """What was counted, for a person; and, where RELIABILITY_ROWS names a file, added to it for scripts/reliability."""
    reports = [report for how in ("failed", "passed") for report in terminalreporter.stats.get(how, [])]
    rows = [value for report in reports for name, value in report.user_properties if name == ROW]
    if not rows:
        return
    terminalreporter.section("Faults under load")
    for row in rows:
        again = f", again after {row['again']} s" if "again" in row else ""
        terminalreporter.line(f"{row['debian']:9} {row['fault']:60} {row['lost']:4} of {row['sent']} lost{again}")
    if path := os.environ.get("RELIABILITY_ROWS"):
        with open(path, "a", encoding="utf-8") as file:
            file.writelines(json.dumps({**row, "at": time.strftime("%Y-%m-%d")}) + "\n" for row in rows)


def pytest_collection_modifyitems(config, items) -> None:
    """Leave to the other Debian's host what is its, unless somebody asks by name or ASK_BOTH is set.

    And with ASK_LESS to `make test-all` what takes long.
    """
    if os.environ.get("ASK_BOTH") or config.option.keyword or config.option.markexpr == "core":
        return
    host = os.environ.get("MOLECULE_PLATFORM_NAME", "")
    others = LEFT_TO_THE_OTHER.get(host, [])
    left = [item for item in items if item.path.stem in others and not item.get_closest_marker("core")]
    if os.environ.get("ASK_LESS"):
        long = [*TAKES_LONG, *(AS_DEBIANS if host.startswith("front-current-") else ())]
        left += [item for item in items if item.path.stem in long and item not in left]
    items[:] = [item for item in items if item not in left]
    config.hook.pytest_deselected(items=left)
