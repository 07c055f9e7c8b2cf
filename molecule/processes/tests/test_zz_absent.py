"""At the end the app is taken off the host."""

from __future__ import annotations

from conftest import ROOT, VARIABLES, Site


def test_an_app_that_is_taken_off_leaves_nothing_of_what_ran_beside_it(site: Site, ask, control):
    """Though an old generation is at a job, and the timer's command at its run: the job is finished."""
    long = site.send("arq", 15)
    site.until(long, "begun")
    ask.run("queue-cli set stock:seconds 300 >/dev/null; systemctl start --no-block jobs.stock.service")
    site.deploy()
    assert "deactivating" in site.states(site.live - 1)
    said = site.run("site", fastapi_state="absent", fastapi_remove_data=True)
    assert "changed=0" not in said
    left = ask.run(
        f"ls -d {ROOT} /run/jobs /var/lib/systemd/timers/stamp-jobs.* 2>/dev/null || true;"
        "systemctl list-units --all --plain --no-legend 'jobs*' | cat;"
        "find /etc/systemd -name '*jobs*'; pgrep --full --list-full '/srv/[j]obs/' || true"
    )
    assert left == ""
    assert len(site.of(long)) == 1
    status, said = control.run("site", *VARIABLES, fastapi_state="absent", fastapi_remove_data=True)
    assert status == 0 and "changed=0" in said, said
