"""What goes wrong: a release that is bad, and what is refused."""

from __future__ import annotations


def test_a_deploy_that_fails_shows_its_figures_all_the_same(prove):
    done = prove.run("deploy", fastapi_source=prove.source("dies"), fastapi_bake=6)
    assert done.status == 2 and "The traffic is back on release" in done.said, done.said
    assert done.figures["deploy"]["outcome"] == "moved back"
    assert "did not get through (moved back" in done.said
    assert prove.history()[-1]["proved"]["sent"] == done.figures["sent"]
    assert prove.told()[-1]["event"] == "proved" and "moved back" in prove.told()[-1]["reason"]
    prove.nothing_left()


def test_a_deploy_of_what_is_live_moves_nothing_and_says_so(ask, prove):
    live = ask.run("readlink /srv/swap/slots/*/release | sort -u")
    lines = len(prove.history())
    done = prove.run("rollback", fastapi_release="nosuch")
    assert done.status == 2 and "Nothing has moved" in done.said, done.said
    assert done.figures["deploy"] is None and len(prove.history()) == lines
    assert ask.run("readlink /srv/swap/slots/*/release | sort -u") == live


def test_check_mode_says_what_would_be_sent_and_sends_nothing(ask, prove):
    history = prove.history()
    done = prove.run("swap", "--check")
    assert done.status == 0 and "Would send real requests to" in done.said, done.said
    assert done.figures == {} and prove.history() == history
    prove.nothing_left()


def test_what_can_not_be_is_refused_before_anything_is_asked(ask, prove):
    for variables, words in (
        ({"fastapi_name": "stranger"}, "stranger was never deployed to this host by graceful.deploy"),
        ({"rate": 500}, "rate is 500. It has to be 0.1 to 200"),
        ({"during": "relaod"}, "Write: -e during=reload"),
        ({"fastapi_proxy": "none"}, "there is no front door"),
        ({"paths": ""}, "paths names no path"),
    ):
        done = prove.run(**{"during": "restart", **variables})
        assert done.status == 2 and words in done.said, done.said
    ask.run("touch /srv/swap/maintenance")
    try:
        done = prove.run("restart")
        assert done.status == 2 and "swap is in maintenance" in done.said, done.said
    finally:
        ask.run("rm /srv/swap/maintenance")
    prove.nothing_left()
    assert prove.history()[-1].get("kind") != "again" or "proved" in prove.history()[-1]
