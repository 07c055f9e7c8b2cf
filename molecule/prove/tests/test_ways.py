"""Each way to take over anew, and what is worked on twice."""

from __future__ import annotations


def test_a_restart_makes_requests_wait_and_loses_none(prove):
    done = prove.run("restart", late=0.2).well()
    figures = done.figures
    assert figures["lost"] == 0 and figures["doubled"] == 0, done.said
    assert figures["late"] > 0 and all(row["seconds"] > 0.2 for row in figures["late_requests"])
    assert figures["deploy"]["strategy"] == "restart" and figures["deploy"]["kind"] == "again"
    # The slot keeps the strategy of its deploys.
    assert "swap" in prove.ask.run("cat /srv/swap/slots/*/slot.json")
    entry = prove.history()[-1]
    assert entry["release"] == entry["previous"] and entry["proved"]["late"] == figures["late"]


def test_the_live_release_takes_over_anew_by_the_other_slot(prove):
    before = prove.ask.run("readlink /srv/swap/live.sock")
    done = prove.run("swap", fail_on_lost=1).well()
    assert prove.ask.run("readlink /srv/swap/live.sock") != before
    assert done.figures["deploy"]["release"] == done.figures["deploy"]["previous"]
    assert "is live anew, by swap" in done.said


def test_what_the_app_works_on_twice_is_counted(ask, prove):
    with prove.start("nothing", seconds=10) as process:
        token = prove.asked(2)
        # As if something between had asked again: the app's access log has the number once more.
        line = f"<6>GET / 200 0.001s request_id={token}-7"
        ask.run(
            "curl -fsS --unix-socket /srv/swap/live.sock --data-binary @- http://app/python <<'END'\n"
            f"import os; os.write(1, b'{line}' + bytes([10]))\nEND"
        )
        done = prove.ended(process).well()
    assert (done.figures["doubled"], done.figures["doubled_requests"]) == (1, [7]), done.said
