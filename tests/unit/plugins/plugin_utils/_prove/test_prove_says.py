"""What a person reads of what was counted, and what is drawn."""

from __future__ import annotations

import json

import pytest
from ansible_collections.graceful.deploy.plugins.plugin_utils._draw.picture import DrawError
from ansible_collections.graceful.deploy.plugins.plugin_utils._prove import drawn, reports, says
from ansible_collections.graceful.deploy.plugins.plugin_utils._prove.options import checked

OPTIONS = checked({"during": "deploy", "paths": "/,/slow", "fail_on_lost": 3})
TIMES = {"count": 9, "p50": 4.0, "p99": 12.0, "max": 13.0}
DEPLOY = {"release": "b2", "previous": "a1", "kind": "deploy", "strategy": "swap", "outcome": "live", "seconds": 4.2}
PATH = {"sent": 10, "lost": 0, "late": 0, "late_after": 1.0, "answers": {"200": 5}, "before": TIMES, "after": TIMES}


def figures(**more: object) -> dict:
    known = {"app": "shop", "host": "web1", "during": "deploy", "run": "r", "rate": 20.0, "began": 1000.0}
    known |= {"sent": 1200, "answered": 1200, "lost": 0, "late": 0, "limited": 0, "doubled": 0, "seconds": 20.0}
    known |= {
        "before": TIMES,
        "after": {**TIMES, "p99": 15.3},
        "paths": [{"path": "/", **PATH}, {"path": "/slow", **PATH}],
    }
    known |= {"lost_reasons": [], "lost_requests": [], "late_requests": [], "lost_curve": {"piece": 0.5, "counts": []}}
    known |= {"behind": {"count": 9, "p99": 1.0, "max": 2.0}, "steady_seconds": 5.0, "drained": 12.0, "noted": True}
    phases = [
        ("start", 7.0, 8.0),
        ("move", 8.0, 8.0),
        ("disable", 8.0, 9.0),
        ("watch", 9.0, 10.0),
        ("drain", 10.0, 10.1),
    ]
    known["phases"] = [{"phase": name, "begin": begin, "end": end} for name, begin, end in phases]
    known |= {"points": [[0.1, 4.0, 0], [9.5, 12.0, 1]], "deploy": DEPLOY, "ended_early": False}
    return {**known, **more}


LOST = {
    "lost": 4,
    "lost_reasons": [{"why": "502", "times": 4, "first": 9.1, "last": 9.8, "paths": ["/"]}],
    "lost_requests": [{"number": n, "path": "/", "at": 9.1, "seconds": 0.0, "why": "502"} for n in range(4)],
    "lost_curve": {"piece": 0.5, "counts": [0] * 18 + [3, 1]},
}


def test_all_in_a_sentence():
    assert says.headline(figures()) == "0 of 1,200 requests lost, 0 late, 0 worked on twice; p99 12 → 15 ms."
    assert "nobody knows how many worked on twice" in says.headline(figures(doubled=None))


def test_what_moved():
    assert says.moved(figures(), "deploy") == "Release b2 is live, before it a1, by swap in 4.2 s."
    assert "Nothing has moved" in says.moved(figures(deploy=None), "deploy")
    assert "during=swap" in says.moved(figures(deploy=None), "deploy")
    failed = {**DEPLOY, "outcome": "moved back", "reason": "it died"}
    assert says.moved(figures(deploy=failed), "deploy").endswith(
        "did not get through (moved back, by swap in 4.2 s): it died"
    )
    assert "live anew" in says.moved(figures(deploy={**DEPLOY, "previous": "b2"}), "swap")


def test_what_was_lost_is_told_with_its_phase():
    assert says.lost_lines(figures(**LOST)) == ["4 lost: 502, from 9.1 to 9.8 s, in phase watch: /"]
    assert says.lost_lines(figures()) == []


def test_the_gate_fails_from_its_number_on():
    assert says.gate(figures(), OPTIONS, "web1") == ""
    assert says.gate(figures(**{**LOST, "lost": 2}), OPTIONS, "web1") == ""
    assert says.gate(figures(**{**LOST, "lost": 3}), OPTIONS, "web1").startswith("3 of 1,200")
    said = says.gate(figures(**LOST), OPTIONS, "web1")
    assert said.startswith("4 of 1,200 requests to web1 were lost, most for this: 502.") and "rollback.yml" in said
    assert says.gate(figures(**LOST), checked({"during": "deploy", "paths": "/"}), "web1") == ""
    back = {**LOST, "deploy": {**DEPLOY, "outcome": "moved back"}}
    assert "rollback.yml" not in says.gate(figures(**back), OPTIONS, "web1")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"ended_early": True}, "larger -e seconds="),
        ({"drained": None}, "The old slot still finishes requests"),
        ({"limited": 7}, "7 requests were answered 429"),
        ({"doubled": None}, "the app's access log has none"),
        ({"behind": {"p99": 150.0, "max": 900.0}}, "The client itself was up to 900 ms late"),
        ({"noted": False}, "not in the history"),
    ],
)
def test_what_makes_figures_worth_less_is_told(more, said):
    assert any(said in note for note in says.notes(figures(**more), OPTIONS))
    assert says.notes(figures(), OPTIONS) == []


def test_odd_answers_before_are_told_with_what_they_mean():
    lines = says.steady(OPTIONS, [{"200": 5}, {"401": 5}])
    assert len(lines) == 1 and lines[0].startswith("/slow answers 401 (5) before") and "fastapi_protect" in lines[0]


def test_only_what_people_can_see_is_shaded_and_named():
    named = [(span.label, span.begin, span.end) for span in drawn.stretches(figures())]
    assert named == [
        ("steady", 0.0, 5.0),
        ("setup", 5.0, 7.0),
        ("start", 7.0, 8.0),
        ("watch", 9.0, 10.0),
        ("finish", 10.1, 12.0),
    ]
    assert [span.label for span in drawn.stretches(figures(phases=[], drained=1.0))] == ["steady"]


def test_the_picture_and_the_tables_have_one_name_for_each_phase():
    told = {table.title: table.rows for table in reports.tables(figures(**LOST))}
    names = [row[0] for row in told["Phases"]]
    assert names == ["steady", "setup", "start", "move", "disable", "watch", "drain", "finish"]
    picture = drawn.picture(figures(**LOST), "shop")
    shown = [span.label for span in picture.panels[0].spans] + [mark.label for mark in picture.panels[0].marks]
    assert set(shown) <= set(names) and "move" in shown
    assert [says.phase_at(figures(), at) for at in (1.0, 6.0, 9.5, 11.0, 15.0)] == [
        "steady",
        "setup",
        "watch",
        "finish",
        "",
    ]


def test_the_picture_has_a_colour_for_each_path_and_red_for_what_was_lost():
    picture = drawn.picture(figures(), "shop")
    assert [(line.label, line.color) for line in picture.panels[0].lines] == [("/", 0), ("/slow", 1)]
    assert [mark.x for mark in picture.panels[0].marks] == [8.0] and len(picture.panels) == 1
    picture = drawn.picture(figures(**LOST), "shop")
    assert (picture.panels[0].lines[-1].color, len(picture.panels[0].lines[-1].x)) == (drawn.RED, 4)
    line = picture.panels[1].lines[0]
    assert max(line.y) == 6.0 and len(line.x) == len(line.y) == 21
    many = [{"path": f"/{n}", **PATH} for n in range(9)]
    lines = drawn.dots(figures(paths=many, points=[[1.0, 4.0, n] for n in range(9)]))
    assert [line.label for line in lines] == ["/0", "/1", "/2", "6 other paths"] and len(lines[-1].x) == 6


def test_a_report_is_written_where_there_is_no_picture(tmp_path, monkeypatch):
    def no(*_arguments: object) -> list[str]:
        raise DrawError("There is no picture: no index.")

    monkeypatch.setattr(reports, "draw", no)
    files, troubles = reports.write(figures(**LOST), OPTIONS, str(tmp_path / "out"), print)
    assert troubles == ["There is no picture: no index."] and [file.rpartition(".")[2] for file in files] == [
        "json",
        "html",
    ]
    assert json.loads((tmp_path / "out" / files[0].rpartition("/")[2]).read_text())["lost"] == 4


def test_the_sum_over_several_hosts_is_of_this_run_alone(tmp_path):
    rows = {"web1": ("r", 1), "web2": ("r", 2), "old": ("other", 50)}
    for host, (run, lost) in rows.items():
        (tmp_path / f"{host}.json").write_text(json.dumps(figures(host=host, run=run, lost=lost)))
    assert reports.total(str(tmp_path), "r", ["web1"]) == ""
    assert reports.total(str(tmp_path), "r", ["web1", "web2"]).startswith("On all 2 hosts: 3 of 2,400 requests lost")
    assert reports.total(str(tmp_path), "r", ["web1", "web2", "web3"]).startswith("On 2 of 3 hosts so far: 3 of")
