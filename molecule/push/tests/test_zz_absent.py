"""Taking the app off takes all of this with it."""

from __future__ import annotations

from conftest import NAME


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
