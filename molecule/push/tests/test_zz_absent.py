"""Taking the app off takes all of this with it."""

from __future__ import annotations

from conftest import NAME
from deploys import SWAP


def test_it_is_taken_off_for_good_without_the_app(ask, control):
    """As a person does who takes fastapi_webhook_path out."""
    variables = {"fastapi_source": str(SWAP / "app"), "fastapi_hosts": ask.host.backend.host}
    status, said = control.run("webhook", fastapi_webhook_path="", **variables)
    assert status == 0, said
    places = ["/etc/graceful-webhook/*", "/etc/graceful-deploys/*", "/usr/local/lib/graceful-*"]
    assert ask.run(f"ls -d {' '.join(places)} /etc/sudoers.d/graceful-deploys 2>/dev/null || true") == ""
    assert ask.run(f"systemctl list-units --all --plain --no-legend '{NAME}-webhook*' '{NAME}-deploys*' | cat") == ""
    assert ask.get("/")[0] == 200 and ask.get("/-/push")[0] == 404


def test_nothing_of_it_stays(ask, control):
    status, said = control.run("site", fastapi_name=NAME, fastapi_state="absent", fastapi_source="/nowhere")
    assert status == 0, said
    places = [
        "/etc/graceful-webhook/*",
        "/etc/graceful-deploys/*",
        "/etc/sudoers.d/graceful-deploys",
        "/etc/systemd/journald@swap*",
        "/etc/systemd/system/swap*",
        "/run/swap*",
        "/usr/local/lib/graceful-*",
        "/var/lib/graceful-deploys/swap",
        "/var/lib/graceful-webhook/swap",
    ]
    left = ask.run(f"ls -d {' '.join(places)} 2>/dev/null || true")
    assert left == ""
    assert ask.run("systemctl list-units --all --plain --no-legend 'swap-*' 'swap@*' | cat") == ""
    status, said = control.run("site", fastapi_name=NAME, fastapi_state="absent", fastapi_source="/nowhere")
    assert status == 0 and "changed=0" in said, said
