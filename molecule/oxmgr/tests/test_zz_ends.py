"""The host starts anew, in peace and in the midst of a deploy; and at last the app is taken off it."""

from __future__ import annotations

import contextlib
import subprocess

import pytest
from conftest import NAME, ROOT
from load import Load, Seen

NEVER = {"InactiveExitTimestampMonotonic": "0"}


@pytest.fixture
def reboot(site, ask):
    """A reboot of a container's systemd, in which all that ran ends."""

    def rebooted() -> None:
        boot = ask.run("stat -c %Y /proc/1")
        command = ["docker", "restart", "--time", "60", ask.host.backend.host]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        ask.until("the host is back", lambda: ask.host.run("systemctl is-active caddy").rc == 0, 60)
        # What prepare.yml did.
        ask.run("mount --make-rshared /")
        assert ask.run("stat -c %Y /proc/1") != boot
        ask.until("clients are served", lambda: ask.get("/ready")[0] == 200, 60)

    return rebooted


def started(site, slot: str) -> bool:
    """Whether a slot was started since the boot, which systemd forgets at the next."""
    units = (site.unit(slot), f"{NAME}@{slot}.service", f"{NAME}@{slot}.socket")
    return any(site.ask.show(unit, "InactiveExitTimestampMonotonic") != NEVER for unit in units)


@pytest.mark.core
def test_a_reboot_under_load_starts_the_live_slot_alone(site, ask, count, reboot):
    """As in scenario supervise: what was taken is answered, and what comes while there is no host is refused."""
    site.deploy()
    live, release = site.live, site.release
    now = lambda: float(ask.run("date +%s.%N"))  # noqa: E731
    with contextlib.closing(Load(ask, outside=True)) as client:
        client.start()
        struck = now()
        reboot()
        client.settle(now())
        seen = Seen(struck, client.ended(struck))
    count("the host is rebooted", seen.sent, len(seen.lost), again=round(seen.again, 1))
    # But for one that may have come in the moment before the proxy's socket was closed.
    assert len([each for each in seen.lost if "Connect call failed" not in each["what"]]) <= 1, str(seen)
    assert seen.lost, "lost is counted while the host is away"
    assert seen.again < 30
    assert (site.live, site.release) == (live, release)
    assert not started(site, site.standby)
    site.alone()
    site.deploy()
    site.alone()


@pytest.mark.parametrize("phase", ["ready", "move", "drain"])
def test_a_reboot_in_the_midst_of_a_deploy(site, reboot, sabotage, phase):
    """What the link names serves; and the next run finishes."""
    before, release = site.release, site.clone()
    sabotage("touch /run/there; sleep 600", phase)
    with site.begin(release) as process:
        site.ask.until("the phase", lambda: site.ask.host.file("/run/there").exists, 60)
        live = site.live
        reboot()
        process.wait()
    assert site.live == live
    assert site.release == (release if phase == "drain" else before)
    site.deploy(release)
    assert site.release == release
    site.alone()


@pytest.mark.core
def test_absent_takes_all_of_it(site, ask):
    said = site.good("site", fastapi_state="absent", fastapi_remove_data=True)
    assert "changed=0" not in said
    left = ask.run(
        f"ls -d {ROOT} /run/{NAME} /run/{NAME}-oxmgr /var/lib/{NAME}-oxmgr 2>/dev/null || true;"
        f"systemctl list-units --all --plain --no-legend '{NAME}@*' '{NAME}-oxmgr*' '*{NAME}*.slice' | cat;"
        f"find /etc/systemd /run/systemd/system -name '*{NAME}[@-]*'; pgrep --full --list-full '/srv/[s]wap/' || true;"
        f"pgrep --list-full oxmgr || true; ls -d /usr/local/lib/*oxmgr* /usr/local/bin/{NAME}-* 2>/dev/null || true"
    )
    assert left == ""
    assert "changed=0" in site.control.run("site", *site.options, fastapi_state="absent", fastapi_remove_data=True)[1]
