"""Three hosts of an app behind two balancers: what boots them, what is done to them, and what clients see meanwhile."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import deploys
import pytest
import yaml

SCENARIO = Path(__file__).resolve().parents[1]
NAME = "swap"
ROOT = f"/srv/{NAME}"
APPS = ["web1", "web2", "web3"]
BALANCERS = ["lb1", "lb2"]
# What differs between the Debians: a network of its own, and the balancers' proxy.
NETWORKS = {"bookworm": "10.201.12", "trixie": "10.201.13"}
PROXIES = {"bookworm": "nginx", "trixie": "caddy"}
SHARED = 100
"""Last part of the address that the balancers share."""
LIMIT = 30
CANARY = {"share": "30%", "requests": 20}
"""What of fastapi_canary all tests that have one share."""
WHO = """

@app.get("/who")
def who(request: Request) -> dict[str, str | None]:
    return {
        "node": os.uname().nodename,
        "client": request.client.host if request.client else None,
        "scheme": request.url.scheme,
        "host": request.url.hostname,
        "id": request.headers.get("x-request-id"),
    }
"""
"""What the app of scenario swap has more here: which host answers, and who that takes the client for."""
# Of loads: none that a run before has sent has one of these.
_numbers = itertools.count(int(time.time()) % 1_000_000)
_versions = itertools.count(1)


def docker(*words: str, check: bool = True) -> str:
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=check, timeout=120).stdout


@dataclass
class Counted:
    """What the client saw, and what the app's hosts say of it."""

    sent: int
    lost: list[dict[str, Any]]
    mixed: list[dict[str, Any]]
    releases: dict[str, dict[str, Any]]
    latency: dict[str, dict[str, float]]
    doubled: list[int]
    """Numbers of POSTs that were worked on more than once."""
    slowest: float
    """Seconds of the slowest answer to what takes none."""

    def __str__(self) -> str:
        each = ", ".join(f"{name} {seen['answers']}" for name, seen in self.releases.items())
        return f"{self.sent} sent, {len(self.lost)} lost, slowest {self.slowest:.1f} s; answered by {each}"

    def nothing_wrong(self) -> None:
        assert self.sent > 20
        assert self.mixed == [] and self.doubled == [], str(self)

    def nothing_lost(self) -> None:
        self.nothing_wrong()
        assert self.lost == [], f"{self}\n{self.lost[:10]}"


class Load:
    """Constant load from the client's host for as long as the block lasts; then ``counted`` has what came of it."""

    def __init__(self, fleet: Fleet, address: str, rate: int, tls: str = "") -> None:
        self.fleet = fleet
        self.words = f"--address {address} --rate {rate} --slow 1 --timeline --out /run/steady.json --seconds 300"
        self.words += f" --port 443 --host {tls} --tls any" if tls else ""
        self.counted: Counted

    def __enter__(self) -> Load:
        self.number = next(_numbers) * 1_000_000
        unit = "systemd-run --quiet --collect --unit=steady --property=TimeoutStopSec=60 --property=LimitNOFILE=16384"
        self.fleet.ask.run(
            f"rm -f /run/steady.json; {unit} python3 /opt/load/steady.py --first {self.number} {self.words}"
        )
        return self

    def __exit__(self, *_rest: object) -> None:
        self.fleet.ask.run("systemctl stop steady")
        report = json.loads(self.fleet.ask.run("cat /run/steady.json"))
        times: dict[int, int] = {}
        for host in self.fleet.up:
            for number in self.fleet.worked_on(host, self.number):
                times[number] = times.get(number, 0) + 1
        # Every third request from the second on is a POST.
        posts = {number for number in times if (number - self.number) % 3 == 1}
        self.counted = Counted(
            sent=report["sent"],
            lost=report["lost"],
            mixed=report["mixed"],
            releases=report["releases"],
            latency=report["latency"],
            doubled=sorted(number for number in posts if times[number] > 1),
            slowest=max(report["latency"][kind].get("max", 0) for kind in ("get", "post")) / 1000,
        )
        print(self.counted)


@dataclass
class Fleet:
    """The hosts of one Debian.

    :param ask: asks the client's host.
    :param apps: those of the app by now.
    """

    client: str
    ask: Any
    control: Any
    where: Path
    apps: list[str] = field(default_factory=lambda: list(APPS))
    up: list[str] = field(default_factory=lambda: list(APPS))
    balancers: list[str] = field(default_factory=lambda: list(BALANCERS))
    more: dict[str, Any] = field(default_factory=dict)
    """Variables of all hosts."""
    connection: str = "community.docker.docker"
    branched: bool = False
    """Whether the sites of the app's hosts know of canaries."""

    @property
    def debian(self) -> str:
        return self.client.rpartition("-")[2]

    @property
    def network(self) -> str:
        return f"{self.client}-net"

    def address(self, host: str) -> str:
        return f"{NETWORKS[self.debian]}.{11 + [*APPS, 'web4', *BALANCERS].index(host)}"

    @property
    def shared(self) -> str:
        return f"{NETWORKS[self.debian]}.{SHARED}"

    @property
    def own(self) -> str:
        """The client's address among them."""
        net = NETWORKS[self.debian].replace(".", r"\.")
        return str(self.ask.run(f"hostname -I | grep -o '{net}[.0-9]*' | head -n 1").strip())

    def container(self, host: str) -> str:
        return f"{self.client}-{host}"

    def run(self, host: str, command: str, check: bool = True) -> str:
        """A shell line on one of the hosts."""
        return docker("exec", self.container(host), "sh", "-c", command, check=check)

    def create(self) -> None:
        """Boot all, from what the scenario has prepared."""
        self.remove()
        docker("network", "create", "--subnet", f"{NETWORKS[self.debian]}.0/24", self.network)
        docker("commit", self.client, f"{self.client}-copy")
        self.boot(*APPS)
        self.boot(*BALANCERS)
        docker("network", "connect", self.network, self.client)

    def boot(self, *hosts: str) -> None:
        """Start containers as the scenario's are, all at once. Those of the app are copies of the one that has it."""
        runs = []
        for host in hosts:
            image = f"graceful-deploy-test:{self.debian}" if host in BALANCERS else f"{self.client}-copy"
            # A copied directory can't be exchanged for another one on a container's file system; in a volume it can.
            options = f"--volume=/srv --network={self.network} --ip={self.address(host)}"
            platform = {"name": self.container(host), "image": image, "options": options}
            variables = json.dumps({"molecule_yml": {"platforms": [platform]}})
            command = ["ansible-playbook", str(SCENARIO.parent / "create.yml"), "-e", variables]
            runs.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
        for run in runs:
            said = run.communicate(timeout=120)[0]
            assert run.returncode == 0, said

    def remove(self) -> None:
        names = [self.container(host) for host in [*APPS, "web4", *BALANCERS]]
        docker("rm", "--force", "--volumes", *names, check=False)
        docker("network", "disconnect", "--force", self.network, self.client, check=False)
        docker("network", "rm", self.network, check=False)
        docker("rmi", f"{self.client}-copy", check=False)

    def inventory(self) -> Path:
        odd = self.apps[-1]
        hosts: dict[str, dict[str, Any]] = {
            self.container(host): {"fastapi_address": self.address(host), "fastapi_env": {"ODD": str(int(host == odd))}}
            for host in [*self.apps, *self.balancers]
        }
        for host in self.balancers:
            hosts[self.container(host)]["fastapi_proxy"] = PROXIES[self.debian]
        together = {
            "ansible_connection": self.connection,
            "fastapi_balancers": [self.container(host) for host in self.balancers],
            "fastapi_balancer_address": f"{self.shared}/24" if self.balancers else "",
            # They are copies of a host that serves clients itself.
            "fastapi_direct": "refused",
            **self.more,
        }
        path = self.where / "fleet.json"
        path.write_text(json.dumps({"fleet": {"hosts": hosts, "vars": together}}))
        return path

    def play(self, playbook: str, *options: str, **variables: Any) -> tuple[int, str]:
        """A person's run for all of them."""
        known = yaml.safe_load((SCENARIO / "variables.yml").read_text())
        words = ("-i", str(self.inventory()), "--limit", "fleet", *options)
        source = {} if "fastapi_source" in variables else {"fastapi_source": self.source()}
        return self.control.run(playbook, *words, **known, **source, fastapi_hosts="fleet", **variables)

    def good(self, playbook: str, *options: str, **variables: Any) -> str:
        status, said = self.play(playbook, *options, **variables)
        assert status == 0, said
        return said

    def have_canaries(self) -> None:
        """From here on; the run of site.yml that comes next ends it, so the last tests do so."""
        if not self.branched:
            self.good("site", fastapi_canary={**CANARY, "seconds": 1})
            self.branched = True

    def cut(self, playbook: str, host: str, when: str, **variables: Any) -> str:
        """A run that loses its connection to a host, and fails; what it said.

        :param when: a shell line that succeeds on the host from that moment on.
        """
        note = self.where / "cut"
        note.unlink(missing_ok=True)
        cut = {"host": self.container(host), "when": when, "power": False, "note": str(note)}
        known = {"CUT": json.dumps(cut), "ANSIBLE_CONNECTION_PLUGINS": str(SCENARIO.parent / "connection")}
        self.connection = "cut_off"
        try:
            with patch.dict(os.environ, known):
                status, said = self.play(playbook, **variables)
        finally:
            self.connection = Fleet.connection
        assert note.exists(), f"{host} wasn't cut off\n{said}"
        assert status != 0, said
        return said

    def source(self, line: str = "", fault: str = "") -> str:
        """The app, with some lines more where they are given: then no deploy has had it before; or with a fault."""
        path = self.where / "source"
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(deploys.SWAP / "app", path, ignore=shutil.ignore_patterns("__pycache__"))
        with (path / "app" / "main.py").open("a") as file:
            file.write(WHO)
            file.write(f"\n# {next(_versions)}\n{line}\n" if line or fault else "")
        if fault:
            (path / "fault.txt").write_text(fault)
        return str(path)

    def load(self, address: str = "", rate: int = 30) -> Load:
        self.settled()
        return self.load_now(address, rate)

    def load_now(self, address: str = "", rate: int = 30, tls: str = "") -> Load:
        """As `load`, whichever hosts are ready by now.

        :param tls: the site's name, where it has TLS.
        """
        return Load(self, address or self.shared, rate, tls)

    def get(self, path: str = "/", *options: str, address: str = "") -> tuple[int, str]:
        return self.ask.get(path, f"http://{address or self.shared}", *options)

    def settled(self) -> None:
        """Wait until clients are served, and each balancer hands requests to every host."""
        for host in self.balancers:
            self.ask.until(f"{host} has all hosts", lambda host=host: self.serving(host) == set(self.apps), LIMIT)
        self.ask.until("the shared address answers", lambda: self.get()[0] == 200, LIMIT)

    def serving(self, balancer: str) -> set[str]:
        """The app's hosts that have answered one of nine questions to a balancer."""
        url = f"http://{self.address(balancer)}/who"
        lines = self.ask.run(f"for _ in $(seq 9); do curl -s -m 5 {url} || true; echo; done").splitlines()
        names = {json.loads(line)["node"] for line in lines if line.startswith('{"node"')}
        return {name.removeprefix(f"{self.client}-") for name in names}

    def worked_on(self, host: str, first: int) -> list[int]:
        """Numbers of this load's requests that a host has begun to work on, one for each time."""
        command = (
            f"journalctl --namespace={NAME} --sync; "
            f"journalctl --namespace={NAME} --since=-5min --output=cat --no-pager --grep='^.\"n\"' || true"
        )
        lines = [json.loads(line) for line in self.run(host, command).splitlines() if line.startswith("{")]
        return [line["n"] for line in lines if line["n"] // 1_000_000 == first // 1_000_000]

    def live(self, host: str) -> str:
        """The release that has a host's traffic, and its slot alone runs."""
        slot = self.run(host, f"readlink {ROOT}/live.sock").strip().rpartition("/")[2].removesuffix(".sock")
        return self.run(host, f"readlink {ROOT}/slots/{slot}/release").strip().rpartition("/")[2]

    def history(self, host: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.run(host, f"cat {ROOT}/history.jsonl").splitlines()]

    def releases(self, but: str = "") -> set[str]:
        """What is live on all hosts, or on all but one."""
        return {self.live(host) for host in self.apps if host != but}


_fleets: dict[str, Fleet] = {}


@pytest.fixture(scope="session")
def places(tmp_path_factory) -> Iterator[Callable[[], Path]]:
    """What goes when all tests have ended."""
    yield lambda: tmp_path_factory.mktemp("fleet")
    for fleet in _fleets.values():
        fleet.remove()


@pytest.fixture
def fleet(ask, control, places) -> Fleet:
    """All hosts, as the first run of site.yml has left them."""
    client = ask.host.backend.host
    if client not in _fleets:
        made = _fleets[client] = Fleet(client, ask, control, places())
        made.create()
        made.good("site")
    found = _fleets[client]
    found.ask, found.control = ask, control
    found.settled()
    return found


@pytest.fixture
def tally(count) -> Callable[..., None]:
    """Record a row of what a load has counted."""
    return lambda fault, load, **more: count(f"{FLEET}{fault}", load.counted.sent, len(load.counted.lost), **more)


FLEET = "Fleet: "
