"""What ``tune`` refuses on the control node, without a trip."""

from __future__ import annotations

import pytest
from ansible_collections.graceful.deploy.plugins.action.tune import ActionModule, _Refused
from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs.paths import PathsError


def checked(**arguments):
    return ActionModule._checked(object.__new__(ActionModule), {"paths": "/", **arguments})


def test_what_is_given_as_text_becomes_what_the_module_takes():
    given = checked(paths="/,POST /items {}", clients="8", think="0.1", seconds="2", most="3")
    assert [(each["method"], each["path"]) for each in given["paths"]] == [("GET", "/"), ("POST", "/items")]
    numbers = {name: given[name] for name in ("clients", "think", "seconds", "most", "idle", "slower")}
    assert numbers == {"clients": 8, "think": 0.1, "seconds": 2.0, "most": 3, "idle": 50, "slower": 2.0}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"clients": 0}, "clients is 0, and has to be a whole number from 1 to 1000: -e clients=64."),
        ({"clients": "many"}, "clients is 'many'"),
        ({"seconds": 0.5}, "seconds is 0.5, and has to be a number from 1 to 120"),
        ({"most": 65}, "most is 65"),
        ({"slower": 1}, "slower is 1"),
        ({"paths": "HEAD /"}, "h2load can't ask"),
        ({"paths": "/a,POST /a", "clients": 1}, "more kinds of requests"),
        ({"apply": "true", "workers": 2}, "apply is true, and fastapi_workers is 2"),
        ({"apply": True, "workers": "2"}, "fastapi_workers is 2"),
    ],
)
def test_refusals_say_what_to_write(arguments, said):
    with pytest.raises(_Refused) as refused:
        checked(**arguments)
    assert said in str(refused.value)


def test_a_number_is_no_obstacle_where_nothing_is_applied():
    assert checked(workers=2, apply="false") and checked(apply=True, workers="auto")


def test_no_paths_are_refused():
    with pytest.raises(PathsError):
        checked(paths="")
