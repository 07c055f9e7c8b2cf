"""The action plugin: as Ansible runs it, and with a host that answers what the test wants."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from pathlib import Path
from unittest import mock

import pytest
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.graceful.deploy.plugins.action.preflight import HOST_VARIABLES, ActionModule

ROOT = Path(__file__).parents[4]
CANARY = "k4n4ry"
HOST = {"python": {"version": "3.11.2"}, "systemd": 252}
PLAN = {"explanation": "2 workers.", "workers": 2}
LOGS = {"most": "1000M", "most_bytes": 1000 << 20, "text": "Logs: at most 1000M."}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    top = tmp_path / "hello"
    (top / "app").mkdir(parents=True)
    (top / "app" / "main.py").touch()
    (top / "requirements.txt").write_text("fastapi\n")
    return top


def action(task_vars: dict[str, object], answer: object, args: dict[str, object] | None = None) -> ActionModule:
    """The plugin with a host that gives `answer`, or raises it."""
    task = types.SimpleNamespace(args=args or {}, async_val=0, check_mode=False, action="graceful.deploy.preflight")
    connection = mock.MagicMock()
    connection._shell.tmpdir = "/nowhere"
    loader = DataLoader()
    plugin = ActionModule(task, connection, mock.MagicMock(), loader, Templar(loader, task_vars), None)
    replies = {"side_effect": answer} if isinstance(answer, Exception) else {"return_value": answer}
    plugin._execute_module = mock.Mock(**replies)
    return plugin


def good(source: Path, **changes: object) -> dict[str, object]:
    return {"inventory_hostname": "web1", "fastapi_name": "hello", "fastapi_source": str(source)} | changes


def run(task_vars: dict[str, object], answer: object = None, **args: object) -> dict[str, object]:
    answer = answer or {
        "problems": [],
        "plan": PLAN,
        "host": HOST,
        "logs": LOGS,
        "releases": {"created": {}},
        "timers": {},
    }
    return action(task_vars, answer, args).run(None, task_vars)


def test_several_hosts_by_a_free_strategy_are_refused_before_any_is_asked(source: Path) -> None:
    variables = good(source, ansible_play_hosts_all=["web1", "web2"])
    plugin = action(variables, {"problems": []})
    plugin._task.get_play = lambda: types.SimpleNamespace(strategy="free")
    result = plugin.run(None, variables)
    assert result["failed"] and result["msg"].startswith(
        "Nothing was changed on any host. This play runs by strategy free,"
    )
    plugin._execute_module.assert_not_called()


@pytest.mark.parametrize(
    ("transport", "args", "warned"), [("ssh", "-C", 1), ("ssh", "-o ServerAliveInterval=9", 0), ("local", "", 0)]
)
def test_a_long_canary_over_a_connection_that_may_be_forgotten_is_warned_of(
    source: Path, transport: str, args: str, warned: int
) -> None:
    variables = good(source, fastapi_canary={"share": "10%", "seconds": 600})
    answer = {"problems": [], "plan": PLAN, "host": HOST, "logs": LOGS, "releases": {}, "timers": {}}
    plugin = action(variables, answer)
    plugin._connection.transport = transport
    plugin._connection.get_option = {"ssh_args": args, "ssh_common_args": "", "ssh_extra_args": ""}.__getitem__
    result = plugin.run(None, variables)
    assert not result.get("failed"), result
    assert len([each for each in result["warnings"] if "ServerAliveInterval" in each]) == warned


def test_a_good_run_returns_the_plan_and_tells_the_host_typed_values(source: Path) -> None:
    variables = good(
        source, fastapi_http_port="8080", fastapi_tls=False, fastapi_timeout="30", fastapi_env={"A": CANARY}
    )
    plugin = action(
        variables, {"problems": [], "plan": PLAN, "host": HOST, "logs": LOGS, "releases": {"created": {}}, "timers": {}}
    )
    result = plugin.run(None, variables)
    assert not result.get("failed") and result["changed"] is False
    assert (result["msg"], result["plan"], result["host"]) == ("2 workers. Logs: at most 1000M.", PLAN, HOST)
    assert result["releases"] == {"created": {}}
    (_name, arguments), _keywords = plugin._execute_module.call_args
    values = arguments["variables"]
    assert (values["http_port"], values["tls"], values["root"]) == (8080, "off", "/srv/hello")
    assert (values["timeout"], values["proxy_timeout"], values["group"]) == (30, 35, "deploy")
    assert CANARY not in str(result)


def test_the_host_is_told_what_it_needs_and_no_secret(source: Path) -> None:
    variables = good(source, fastapi_env={"A": CANARY}, fastapi_index_url=f"https://u:{CANARY}@x/simple")
    plugin = action(variables, {"problems": [], "plan": PLAN, "host": HOST, "logs": LOGS, "releases": {}, "timers": {}})
    plugin.run(None, variables)
    (_name, arguments), keywords = plugin._execute_module.call_args
    assert set(arguments["variables"]) <= set(HOST_VARIABLES)
    assert {"name", "root", "python", "http_port", "workers"} <= set(arguments["variables"])
    assert CANARY not in str(arguments)
    assert json.dumps(arguments)
    assert keywords == {"task_vars": variables}


def test_the_host_is_asked_for_what_tells_and_given_no_address(source: Path) -> None:
    hook = f"https://hooks.example.org/{CANARY}"
    # YAML reads `on` without quotes as true, also in the place of a key.
    variables = good(source, fastapi_notify=[{"slack": hook, True: ["failed"]}, {"command": f"sh /opt/x {CANARY}"}])
    plugin = action(variables, {"problems": [], "plan": PLAN, "host": HOST, "logs": LOGS, "releases": {}, "timers": {}})
    assert not plugin.run(None, variables).get("failed")
    (_name, arguments), _keywords = plugin._execute_module.call_args
    asked = arguments["variables"]["notify"]
    assert asked["commands"] == [{"program": "sh", "paths": ["/opt/x"], "user": "nobody"}]
    assert (asked["https"], asked["mail"], len(asked["digest"])) == (True, False, 8)
    assert CANARY not in str(arguments)
    result = run(good(source, fastapi_notify=[{"slack": hook, "onn": "x"}]))
    assert result["failed"] and "fastapi_notify: target 1 has 'onn'" in result["msg"]
    assert CANARY not in str(result)


def test_bad_variables_cost_no_trip(source: Path) -> None:
    variables = good(source, fastapi_name="Hello", fastapi_workers=0)
    plugin = action(variables, {})
    result = plugin.run(None, variables)
    assert result["failed"] and result["msg"].startswith("Nothing was changed on web1: there are 2 problems")
    plugin._execute_module.assert_not_called()


def test_what_follows_from_a_bad_variable_is_not_told_again(source: Path) -> None:
    result = run(good(source, fastapi_name="a b", fastapi_user="root"))
    assert "there are 2 problems" in result["msg"]
    assert "fastapi_root" not in result["msg"] and "fastapi_group" not in result["msg"]


def test_the_problems_of_a_host_come_together_with_that_of_its_python(source: Path) -> None:
    (source / "pyproject.toml").write_text('[project]\nrequires-python = ">=3.12"\n')
    answer = {"problems": [["fastapi_http_port", "Port."], ["", "Disk."]], "plan": None, "host": HOST}
    message = run(good(source), answer)["msg"]
    assert "3 problems" in message and "1. Port." in message and "2. Disk." in message and ">=3.12" in message


def test_a_variable_of_the_task_comes_before_that_of_the_host(source: Path) -> None:
    plugin = action(
        good(source),
        {"problems": [], "plan": PLAN, "host": HOST, "logs": LOGS, "releases": {}, "timers": {}},
        {"variables": {"http_port": 81}},
    )
    plugin.run(None, good(source))
    (_name, arguments), _keywords = plugin._execute_module.call_args
    assert arguments["variables"]["http_port"] == 81
    assert "fastapi_prot: there is no such variable" in run(good(source), variables={"prot": 81})["msg"]


def test_warnings_are_passed_on(source: Path) -> None:
    answer = {
        "problems": [],
        "plan": PLAN,
        "host": HOST,
        "logs": LOGS,
        "releases": {},
        "timers": {},
        "warnings": ["From the host."],
    }
    first, second = run(good(source, fastapi_app="main:app"), answer)["warnings"]
    assert first == "From the host." and "app.main:app" in second


def test_a_template_that_fails_is_a_problem_among_the_others(source: Path) -> None:
    env = {
        "A": trust_as_template("{{ nope }}"),
        "B": trust_as_template("{{ '" + CANARY + "' | from_json }}"),
        "C-D": CANARY,
    }
    port = trust_as_template("{{ also_nope }}")
    message = run(good(source, fastapi_env=env, fastapi_http_port=port))["msg"]
    assert "4 problems" in message
    assert "fastapi_env['A']: 'nope' is undefined." in message
    assert "fastapi_env['B']: its template, lookup or vault fails" in message
    assert "fastapi_http_port: 'also_nope' is undefined." in message
    assert CANARY not in message


def test_sudo_without_a_password_is_explained(source: Path) -> None:
    with pytest.raises(AnsibleActionFail, match=r"Nothing was changed on web1\. sudo asks for a password") as caught:
        run(good(source), AnsibleError("Missing sudo password"))
    assert str(caught.value).endswith("in /etc/sudoers.d.")
    answer = {"failed": True, "msg": "No start of json char found", "module_stderr": "sudo: a password is required\n"}
    result = run(good(source), answer)
    assert result["failed"] and "--ask-become-pass" in result["msg"]
    assert result["msg"].endswith("What the host said: sudo: a password is required")


@pytest.mark.parametrize("error", [AnsibleConnectionFailure("no route"), AnsibleError("something else")])
def test_other_failures_pass_as_they_are(source: Path, error: AnsibleError) -> None:
    with pytest.raises(type(error), match=str(error)):
        run(good(source), error)
    assert run(good(source), {"failed": True, "msg": "odd"})["msg"] == "odd"
    assert run(good(source), {"unreachable": True, "msg": "gone"})["unreachable"]


# ---- as Ansible runs it


def play(tmp_path: Path, inventory: str, playbook: str, *arguments: str, hosts: str = "web1") -> str:
    """The output of a playbook on this machine. Its host may be refused: what is tested comes before that."""
    (tmp_path / "group_vars").mkdir(exist_ok=True)
    (tmp_path / "group_vars" / "all.yml").write_text(inventory)
    lines = [f"{host} ansible_connection=local\n" for host in hosts.split(" ")]
    (tmp_path / "hosts").write_text("".join(lines))
    (tmp_path / "play.yml").write_text(playbook)
    keep = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE")}
    settings = {
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
        "ANSIBLE_HOME": str(tmp_path / "home"),
        "ANSIBLE_ROLES_PATH": str(tmp_path / "roles"),
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml",
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
    }
    program = Path(sys.executable).with_name("ansible-playbook")
    command = [str(program), "-i", "hosts", "play.yml", *arguments]
    done = subprocess.run(command, cwd=tmp_path, env=keep | settings, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


PLAYBOOK = """
- hosts: all
  gather_facts: false
  tasks:
    - graceful.deploy.preflight:
"""


def test_every_problem_says_where_it_was_set(tmp_path: Path, source: Path) -> None:
    inventory = f"""
fastapi_name: hello
fastapi_source: {source}
fastapi_http_port: many
fastapi_tls: yes
fastapi_graceful_timout: 20
fastapi_env:
  GOOD: {CANARY}
  BAD: |
    {CANARY}
"""
    said = play(tmp_path, inventory, PLAYBOOK, "-e", "fastapi_workers=many")
    for line, words in {
        4: "fastapi_http_port is 'many'",
        5: "fastapi_tls is true",
        6: "Write fastapi_graceful_timeout instead.",
        9: "fastapi_env['BAD']: its value holds a newline.",
    }.items():
        assert any(words in text and f"(group_vars/all.yml:{line})" in text for text in said.splitlines()), said
    assert "(CLI option '-e')" in said
    assert CANARY not in said


def test_the_playbook_refuses_in_our_words_and_quotes_no_line_of_a_file(tmp_path: Path, source: Path) -> None:
    """Ansible's own validation of a role would come first, and shows the lines around an undefined variable."""
    inventory = f"""
fastapi_name: hello
fastapi_source: {source}
fastapi_timeout: abc
fastapi_proxy: apache
fastapi_env:
  PLAIN: {CANARY}
  DATABASE_URL: "postgresql://app:{CANARY}@{{{{ nowhere }}}}/app"
"""
    said = play(tmp_path, inventory, (ROOT / "playbooks" / "site.yml").read_text(), "--check")
    assert "Nothing was changed on web1: there are 3 problems to fix first." in said
    assert "fastapi_timeout is 'abc': write a whole number of seconds, 1 or more, such as 60." in said
    assert "fastapi_proxy is 'apache': it has to be one of caddy, nginx, none. Write fastapi_proxy: caddy." in said
    assert "fastapi_env['DATABASE_URL']: 'nowhere' is undefined." in said
    assert CANARY not in said


@pytest.mark.parametrize("options", [["-vvv"], ["-vvv", "--check", "--diff"]])
@pytest.mark.parametrize("bad", ["", "fastapi_http_port: many", "fastapi_env_typo: k4n4ry"])
def test_no_secret_is_in_any_output(tmp_path: Path, source: Path, options: list[str], bad: str) -> None:
    inventory = f"""
fastapi_name: hello
fastapi_source: {source}
fastapi_index_url: https://user:{CANARY}@pypi.example.com/simple
part: {CANARY}
fastapi_env:
  DATABASE_URL: "postgresql://{{{{ part }}}}@db/x"
  PLAIN: {CANARY}
  {"BROKEN: '{{ part | from_json }}'" if bad else ""}
{bad}
"""
    said = play(tmp_path, inventory, PLAYBOOK, *options)
    assert "TASK [graceful.deploy.preflight]" in said and "PLAY RECAP" in said
    assert ("Using module file" in said) is not bool(bad), "the host is asked where the variables are good"
    assert "Traceback" not in said
    assert CANARY not in said


def test_two_apps_on_one_host_are_each_checked_with_their_own_variables(tmp_path: Path, source: Path) -> None:
    tasks = tmp_path / "roles" / "caller" / "tasks"
    tasks.mkdir(parents=True)
    (tasks / "main.yml").write_text("- graceful.deploy.preflight:\n  ignore_errors: true\n")
    playbook = f"""
- hosts: all
  gather_facts: false
  vars: {{fastapi_source: {source}, suffix: Bad}}
  tasks:
    - ansible.builtin.include_role: {{name: caller}}
      vars: {{fastapi_name: "one{{{{ suffix }}}}"}}
    - ansible.builtin.include_role: {{name: caller}}
      vars: {{fastapi_name: "two{{{{ suffix }}}}", fastapi_root: "/srv/{{{{ fastapi_name }}}}/"}}
"""
    said = play(tmp_path, "", playbook)
    first, second = said.split("TASK [caller :")[1:]
    assert "fastapi_name is 'oneBad'" in first and "twoBad" not in first
    assert "fastapi_name is 'twoBad'" in second and "oneBad" not in second
    assert "fastapi_root is '/srv/twoBad/'" in second and "play.yml:" in second


def test_a_build_host_has_to_be_in_the_inventory(source: Path) -> None:
    groups = {"all": ["web1", "builder"]}
    assert not run(good(source, groups=groups, fastapi_build_host="builder")).get("failed")
    message = run(good(source, groups=groups, fastapi_build_host="buildr"))["msg"]
    assert "fastapi_build_host is 'buildr'" in message and "Write fastapi_build_host: builder." in message


WORKER = {"command": f"celery -p {CANARY}", "env": {"A": CANARY}, "writable_paths": ["/var/lib/a"]}
CLEANUP = {"command": "python -m app.cleanup", "schedule": "30 3 * * *"}


def test_the_host_is_told_names_paths_and_calendars_and_the_run_says_when(
    source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    variables = good(source, fastapi_processes={"worker": WORKER}, fastapi_timers={"cleanup": CLEANUP})
    timers = {"cleanup": {"schedule": ["*-*-* 03:30:00"], "next": ["Mon 2026-11-30 03:30:00 UTC"]}}
    answer = {"problems": [], "plan": PLAN, "host": HOST, "logs": LOGS, "releases": {}, "timers": timers}
    plugin = action(variables, answer)
    result = plugin.run(None, variables)
    (_name, arguments), _keywords = plugin._execute_module.call_args
    told = {"processes": {"worker": ["/var/lib/a"]}, "timers": {"cleanup": ["*-*-* 03:30:00"]}}
    assert arguments["variables"]["background"] == told
    assert CANARY not in str(arguments) and CANARY not in str(result)
    assert result["timers"] == timers
    assert "Timer" not in capsys.readouterr().out
    plugin._task.check_mode = True
    plugin.run(None, variables)
    assert "web1: Timer cleanup: *-*-* 03:30:00, next Mon" in " ".join(capsys.readouterr().out.split())
    assert result["msg"].splitlines()[1] == "Timer cleanup: *-*-* 03:30:00, next Mon 2026-11-30 03:30:00 UTC."


def test_another_host_than_the_first_is_told_of_what_it_has(source: Path) -> None:
    variables = good(source, fastapi_processes={"worker": WORKER}, fastapi_timers={"cleanup": CLEANUP})
    variables |= {"inventory_hostname": "web2", "ansible_play_hosts_all": ["web1", "web2"]}
    plugin = action(variables, {"failed": True})
    plugin.run(None, variables)
    (_name, arguments), _keywords = plugin._execute_module.call_args
    assert arguments["variables"]["background"] == {"processes": {"worker": ["/var/lib/a"]}, "timers": {}}


def test_without_processes_and_timers_the_host_is_told_of_none(source: Path) -> None:
    plugin = action(good(source), {"failed": True})
    plugin.run(None, good(source))
    (_name, arguments), _keywords = plugin._execute_module.call_args
    assert "background" not in arguments["variables"]


LIMITED = """
- hosts: "{{ hosts | default('all') }}"
  gather_facts: false
  serial: 1
  order: reverse_sorted
  tasks:
    - block:
        - graceful.deploy.preflight:
"""


def test_what_runs_on_the_first_host_alone_needs_it_in_the_limit(tmp_path: Path, source: Path) -> None:
    inventory = f"""
fastapi_name: shop
fastapi_source: {source}
fastapi_timers: {{cleanup: {{command: 'true', schedule: '@daily'}}}}
fastapi_processes: {{beat: {{command: 'true', hosts: first}}}}
fastapi_http_port: many
"""
    # In the play's order web3 is first, but serves another app.
    (tmp_path / "host_vars").mkdir()
    (tmp_path / "host_vars" / "web3.yml").write_text("fastapi_name: blog\n")

    def said(*arguments: str) -> str:
        return play(tmp_path, inventory, LIMITED, *arguments, hosts="web1 web2 web3")

    refused = said("--limit", "web1")
    assert "there are 3 problems" in refused, refused
    assert "fastapi_timers: cleanup runs on web2 alone, the first host of shop, and --limit leaves that out" in refused
    assert "fastapi_processes: beat runs on web2 alone" in refused
    for limit in ("web2", "web1,web2", "web3"):
        assert "there is 1 problem " in said("--limit", limit), limit


BALANCED = {"fastapi_balancers": ["lb1"], "fastapi_domains": ["a.org"], "fastapi_address": "192.0.2.1"}


def balanced(source: Path, name: str, **changes: object) -> dict[str, object]:
    """The variables of one of two hosts, each of which has what is good for all."""
    everything = good(source, inventory_hostname=name, **BALANCED, **changes)
    hosts = {"web1": {"fastapi_balancers": ["lb1"], "ansible_host": "192.0.2.1"}}
    hosts["lb1"] = {"fastapi_balancers": ["lb1"], "ansible_host": "192.0.2.11"}
    more = {"hostvars": hosts, "groups": {"all": ["web1", "lb1"]}, "ansible_play_hosts_all": ["web1", "lb1"]}
    return everything | more | ({"fastapi_address": "192.0.2.11"} if name == "lb1" else {})


def test_a_host_behind_a_balancer_serves_plain_http(source: Path) -> None:
    """Whatever the site's certificates are, and on any port. The host knows whether clients come to it still."""
    variables = balanced(source, "web1", fastapi_http_port=8080, fastapi_rate_limit="20/s")
    plugin = action(
        variables, {"problems": [], "plan": PLAN, "host": HOST, "logs": LOGS, "releases": {"created": {}}, "timers": {}}
    )
    result = plugin.run(None, variables)
    assert not result.get("failed"), result
    (_name, arguments), _keywords = plugin._execute_module.call_args
    values = arguments["variables"]
    assert (values["direct"], values["http_port"], values["rate_limit"]) == ("auto", 8080, "20/s")
    assert result["fleet"]["part"] == "app" and result["fleet"]["balancers"] == ["192.0.2.11"]


def test_a_balancer_is_asked_for_the_site_alone(source: Path) -> None:
    variables = balanced(source, "lb1") | {"fastapi_http_port": 80}
    del variables["fastapi_source"]
    answer = {"problems": [], "host": {"caddy": {}, "fleet": {"interface": "eth0", "shares": False, "serves": False}}}
    plugin = action(variables, answer)
    result = plugin.run(None, variables)
    assert not result.get("failed") and result["warnings"] == [], result
    assert result["msg"] == "Requests for hello go to web1."
    fleet = result["fleet"]
    assert (fleet["part"], fleet["hosts"][0]["dial"], fleet["interface"]) == ("balancer", "192.0.2.1:80", "eth0")
    (_name, arguments), _keywords = plugin._execute_module.call_args
    assert arguments["variables"]["part"] == "balancer"
    assert "python" not in arguments["variables"]


def test_a_new_balancer_is_told_of_hosts_that_dont_know_it_and_says_how_many_hosts_ansible_asks(source: Path) -> None:
    batch, play = ["lb1", *(f"web{number}" for number in range(8))], ["lb1", "web1"]
    variables = balanced(source, "lb1") | {"ansible_play_batch": batch, "ansible_forks": 5}
    variables["ansible_play_hosts_all"] = ["lb1"]
    fleet = {"interface": "eth0", "shares": False, "serves": False}
    answer = {"problems": [], "host": {"caddy": {}, "fleet": fleet}}
    plugin = action(variables, answer)
    plugin._task.get_play = lambda: types.SimpleNamespace(hosts="all", order=None, strategy="linear")
    inventory = types.SimpleNamespace(get_hosts=lambda *_a, **_k: [types.SimpleNamespace(name=name) for name in play])
    variables["hostvars"] = type("HostVars", (dict,), {"_inventory": inventory})(variables["hostvars"])
    new, forks = plugin.run(None, variables)["warnings"]
    assert "lb1 is new to hello, and this run leaves out web1" in new and "without --limit" in new
    assert "Write forks = 9" in forks


def test_a_host_whose_own_variables_take_the_app_off_it_gets_no_requests(source: Path) -> None:
    variables = balanced(source, "lb1")
    variables["hostvars"]["web2"] = {
        "fastapi_balancers": ["lb1"],
        "ansible_host": "192.0.2.2",
        "fastapi_state": "absent",
    }
    variables["groups"]["all"].append("web2")
    variables["ansible_play_hosts_all"].append("web2")
    fleet = {"interface": "eth0", "shares": False, "serves": True}
    result = action(variables, {"problems": [], "host": {"caddy": {}, "fleet": fleet}}).run(None, variables)
    assert result["msg"] == "Requests for hello go to web1."


def test_a_balancer_that_nobody_finds_is_refused_before_a_host_is_asked(source: Path) -> None:
    variables = balanced(source, "web1")
    variables["groups"] = {"all": ["web1"]}
    plugin = action(variables, {})
    result = plugin.run(None, variables)
    assert result["failed"] and "lb1 in it isn't a host of the inventory" in str(result["msg"])
    plugin._execute_module.assert_not_called()


def passed(source: Path, site: str, *part: str, direct: str = "auto", **args: object) -> dict[str, object]:
    """What the run says of one of the app's hosts that has this site by now."""
    variables = balanced(source, "web1", fastapi_direct=direct) | {"ansible_play_hosts_all": ["web1", *part]}
    host = HOST | {"site": site, "balancers": {"names": ["lb1"], "balancers": ["192.0.2.11"]}}
    answer = {"problems": [], "plan": PLAN, "host": host, "logs": LOGS, "releases": {"created": {}}, "timers": {}}
    return action(variables, answer, args).run(None, variables)


def test_a_host_isnt_closed_where_no_balancer_takes_part(source: Path) -> None:
    refused = passed(source, "open", direct="refused")
    assert refused["failed"] and "none of them takes part in it" in str(refused["msg"])
    assert "with --limit web1,lb1." in str(refused["msg"])
    for site, args in (("behind", {}), ("", {}), ("open", {"front": False}), ("open", {"front": "False"})):
        result = passed(source, site, *([] if site else ["lb1"]), **args)
        assert not result.get("failed") and result["warnings"] == [] and not result["fleet"]["closes"], result
        # Whose site isn't written, it is as it was.
        assert result["fleet"]["passing"] is (site == "open")


def test_a_host_that_serves_clients_goes_on_doing_so_and_it_is_said_what_comes_next(source: Path) -> None:
    result = passed(source, "open", "lb1")
    assert not result.get("failed") and result["fleet"]["passing"] and not result["fleet"]["closes"]
    (warning,) = result["warnings"]
    assert "answer clients themselves, and lb1 too" in warning and "write fastapi_direct: refused" in warning


def test_who_is_closed_is_told_before_anything_changes(source: Path) -> None:
    result = passed(source, "passing", "lb1", direct="refused")
    assert not result.get("failed") and result["fleet"]["closes"] and not result["fleet"]["passing"]
    (warning,) = result["warnings"]
    assert "This run closes hello on web1" in warning and "answers lb1 alone" in warning


def test_a_host_whose_balancers_are_gone_from_the_list_lets_them_in_still(source: Path) -> None:
    variables = good(source, fastapi_proxy="caddy", inventory_hostname="web1")
    host = HOST | {"site": "behind", "balancers": {"names": ["lb1"], "balancers": ["192.0.2.11"]}}
    answer = {"problems": [], "plan": PLAN, "host": host, "logs": LOGS, "releases": {"created": {}}, "timers": {}}
    plugin = action(variables, answer)
    result = plugin.run(None, variables)
    assert result["fleet"] | {"first": ""} == {
        **{"part": "app", "names": ["lb1"], "balancers": ["192.0.2.11"], "first": "", "closes": False, "passing": True},
        "returning": True,
    }
    (_name, arguments), _keywords = plugin._execute_module.call_args
    assert arguments["variables"]["direct"] == ""
    # A deploy alone would ask by a door that isn't there.
    refused = action(variables, answer, {"front": False}).run(None, variables)
    assert refused["failed"] and "answers its balancers alone still. Run site.yml first" in str(refused["msg"])


def test_a_deploy_alone_looks_no_address_up(source: Path) -> None:
    """A host that deploys its pushes by itself may be 127.0.1.1 to itself."""
    variables = balanced(source, "web1", fastapi_proxy="caddy") | {"fastapi_address": "web1.invalid"}
    answer = {"problems": [], "plan": PLAN, "host": HOST, "logs": LOGS, "releases": {"created": {}}, "timers": {}}
    result = action(variables, answer, {"front": False}).run(None, variables)
    assert not result.get("failed") and result["fleet"]["names"] == ["lb1"], result
    assert action(variables, answer).run(None, variables)["failed"]
