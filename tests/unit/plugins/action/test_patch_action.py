"""Whether a host may leave and be rebooted, by what the control node knows of the others."""

from __future__ import annotations

import types
from unittest import mock

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.graceful.deploy.plugins.action.patch import ActionModule
from ansible_collections.graceful.deploy.plugins.module_utils._patch.marked import SIGN

ANSWER = {
    "changed": False,
    "packages": [],
    "kept_back": [],
    "reboot_reasons": ["kernel 2 is installed, and 1 runs"],
    "apps": ["shop"],
    "last_down": None,
    "listed_at": 1.0,
    "notes": [],
    "down": None,
    "reboot": False,
    "again": [],
    "stays_up": "",
}
FLEET = ["lb1", "web1", "web2", "lb2"]
BALANCERS = ["lb1", "lb2"]


def called(host: str, answer: object = None, play: list[str] | None = None, limited: list[str] | None = None, **args):
    """What the action gives, and the options with which the module was called."""
    play = play or FLEET
    inventory = types.SimpleNamespace(get_hosts=lambda *_a, **_k: [types.SimpleNamespace(name=name) for name in play])
    hostvars = type("HostVars", (dict,), {"_inventory": inventory})({name: {} for name in play})
    task_vars = {"inventory_hostname": host, "hostvars": hostvars, "ansible_play_hosts_all": limited or play}
    task = types.SimpleNamespace(
        args={"name": "shop", "by": "ann", **args},
        async_val=0,
        check_mode=False,
        action="graceful.deploy.patch",
        delegate_to=None,
        get_play=lambda: types.SimpleNamespace(hosts="all", order=None),
    )
    connection = mock.MagicMock()
    connection._shell.tmpdir = "/nowhere"
    loader = DataLoader()
    plugin = ActionModule(task, connection, mock.MagicMock(), loader, Templar(loader, task_vars), None)
    answer = ANSWER if answer is None else answer
    plugin._execute_module = mock.Mock(side_effect=answer if isinstance(answer, Exception) else [answer])
    result = plugin.run(None, task_vars)
    calls = plugin._execute_module.call_args_list
    return result, calls[0].args[1] if calls else {}


READY = [{"host": "x", "unready": ""}]


@pytest.mark.parametrize(
    ("host", "play", "reboot", "within"),
    [
        ("web1", FLEET, "auto", 60),
        ("lb1", FLEET, "auto", 60),
        # The only one of its kind, however many there are of the other.
        ("lb1", ["lb1", "web1", "web2"], "never", 0),
        ("web1", ["lb1", "lb2", "web1"], "never", 0),
    ],
)
def test_balanced_is_who_has_another_of_its_kind_in_the_play(host, play, reboot, within):
    balancers = [name for name in BALANCERS if name in play]
    _result, options = called(host, play=play, leave_within=60, balancers=balancers, asked=READY)
    assert (options["reboot"], options["leave_within"]) == (reboot, within)
    assert options["balancer"] is (host in balancers)


def test_the_inventory_counts_and_not_limit():
    result, options = called("web1", limited=["web1"], leave_within=60, balancers=BALANCERS, asked=READY)
    assert options["reboot"] == "auto" and not result.get("failed")


def test_a_lone_host_behind_somebody_elses_balancer_leaves_and_is_not_rebooted_unasked():
    _result, options = called("web1", play=["web1"], leave_within=60, asked=[])
    assert (options["reboot"], options["leave_within"], options.get("alone", "")) == ("never", 60, "")
    _result, options = called("web1", play=["web1"], leave_within=60, reboot="needed")
    assert options["reboot"] == "needed"


def test_several_hosts_behind_somebody_elses_balancer_stand_in_for_each_other():
    _result, options = called("web1", play=["web1", "web2"], leave_within=60, asked=READY)
    assert options["reboot"] == "auto"
    _result, options = called("web1", play=["web1", "web2"], asked=[])
    assert options["reboot"] == "never"


def test_a_host_does_not_leave_where_no_other_is_ready():
    asked = [{"host": "web2", "unready": "is leaving itself"}]
    _result, options = called("web1", leave_within=60, balancers=BALANCERS, asked=asked)
    assert "web2 is leaving itself" in options["alone"]
    _result, options = called("web1", leave_within=60, balancers=BALANCERS, asked=[*asked, *READY])
    assert options["alone"] == ""


def test_who_may_stand_in_is_named_without_a_trip():
    result, options = called("web2", leave_within=60, balancers=BALANCERS, step="others")
    assert (result["others"], options) == (["web1"], {})
    assert called("lb2", leave_within=60, balancers=BALANCERS, step="others")[0]["others"] == ["lb1"]
    assert called("web2", leave_within=0, step="others")[0]["others"] == []


def test_one_that_cannot_be_reached_is_not_ready():
    gone = AnsibleConnectionFailure("no route")
    result, _options = called("web1", gone, balancers=BALANCERS, step="ready")
    assert result["unready"] == "can't be reached: no route" and not result.get("failed")
    result, options = called("web1", {"unready": ""}, balancers=BALANCERS, step="ready")
    assert (result["unready"], options["step"]) == ("", "ready")


def test_the_hosts_before_and_after_are_those_of_the_two_plays():
    failed = {"failed": True, "msg": "No."}
    result, _options = called("web2", failed, leave_within=60, balancers=BALANCERS, asked=READY)
    assert "Patched before it: web1. Left as they were: lb1, lb2." in result["msg"]


def test_another_run_waits_longer_for_a_host_that_reboots_than_this_one_is_silent():
    """Up to 13 s lie between two tries, whatever time-out of connections ansible.cfg has."""
    loaders = mock.MagicMock()
    plugin = ActionModule(*[mock.MagicMock() for _argument in range(6)])
    plugin._task_vars, plugin._host, plugin._shared_loader_obj = {}, "web1", loaders
    loaders.action_loader.get.return_value.run.return_value = {}
    plugin._reboot({"back_within": 600, "balancer": False})
    args = loaders.action_loader.get.call_args.kwargs["task"].args
    assert args["connect_timeout"] + 13 < SIGN and args["reboot_timeout"] == 600


CUT = {"failed": True, "msg": "No start of json char found", "module_stdout": "", "rc": 137}


@pytest.mark.parametrize("first", [CUT, AnsibleConnectionFailure("closed")], ids=["killed", "closed"])
def test_a_host_that_cuts_a_connection_after_its_boot_is_asked_again(first, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    plugin = ActionModule(*[mock.MagicMock() for _argument in range(6)])
    plugin._task_vars = {}
    plugin._execute_module = mock.Mock(side_effect=[first, ANSWER])
    assert plugin._back({"back_within": 600}) == ANSWER


@pytest.mark.parametrize(
    ("answer", "within"), [({"failed": True, "msg": "swap isn't ready."}, 600), (CUT, 0)], ids=["says no", "too late"]
)
def test_an_answer_after_a_boot_counts(answer, within):
    plugin = ActionModule(*[mock.MagicMock() for _argument in range(6)])
    plugin._task_vars = {}
    plugin._execute_module = mock.Mock(side_effect=[answer])
    with pytest.raises(Exception, match=answer["msg"]):
        plugin._back({"back_within": within})
