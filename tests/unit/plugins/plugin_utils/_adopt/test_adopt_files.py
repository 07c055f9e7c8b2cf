"""What adopting writes on the control node: over nothing that says otherwise, and secrets for their owner alone."""

from __future__ import annotations

import os
import stat

import pytest
import yaml
from ansible_collections.graceful.deploy.plugins.module_utils._adopt.programs import Refused
from ansible_collections.graceful.deploy.plugins.plugin_utils._adopt.environment import sort
from ansible_collections.graceful.deploy.plugins.plugin_utils._adopt.files import File, compared, hosts_file, put
from ansible_collections.graceful.deploy.plugins.plugin_utils._adopt.front import seconds, size
from ansible_collections.graceful.deploy.plugins.plugin_utils._adopt.sizes import timeouts, workers
from ansible_collections.graceful.deploy.plugins.plugin_utils._adopt.source import freeze, is_reachable


def test_secrets_are_their_owners_alone_and_in_no_diff(tmp_path):
    previous = os.umask(0)
    try:
        files = [
            File(str(tmp_path / "i" / "app.yml"), "a: 1\n"),
            File(str(tmp_path / "s.yml"), "k:\n  P: 'x y'\n", True),
        ]
        changed, diff = compared(files)
        put(files, ("", ""))
    finally:
        os.umask(previous)
    assert changed and "x y" not in str(diff)
    assert stat.S_IMODE((tmp_path / "s.yml").stat().st_mode) == 0o600
    assert compared(files) == (False, [])


def test_what_is_there_is_not_written_over(tmp_path):
    (tmp_path / "app.yml").write_text("mine: true\n")
    with pytest.raises(Refused, match="-e into=DIRECTORY"):
        compared([File(str(tmp_path / "app.yml"), "a: 1\n")])


def test_a_host_is_written_as_it_was_reached():
    variables = {
        "ansible_host": "192.0.2.1",
        "ansible_connection": "ssh",
        "ansible_password": "x",
        "ansible_port": 2222,
    }
    found = yaml.safe_load(hosts_file("web1", variables, "ann"))["all"]["hosts"]
    assert found == {"web1": {"ansible_host": "192.0.2.1", "ansible_port": 2222, "ansible_user": "ann"}}
    assert yaml.safe_load(hosts_file("192.0.2.1", {}, ""))["all"]["hosts"] == {"192.0.2.1": None}


@pytest.mark.parametrize(
    ("count", "cpus", "written"),
    [("5", 2, "auto"), ("4", 2, 4), ("96", 4, "auto"), ("3", 1, "auto"), ("2", 1, 2), ("", 4, 1)],
)
def test_2n_plus_1_workers_are_not_taken_over(count, cpus, written):
    number, why = workers({"program": "gunicorn", "given": {"workers": count} if count else {}}, cpus)
    assert number == written
    assert (f"It was {count}," in why) is (written == "auto")


def test_a_broken_ladder_is_written_as_it_has_to_be_with_why():
    found = timeouts({"timeout": "90", "graceful_timeout": "60"}, 20, 60)
    assert {name: value for name, (value, _why) in found.items()} == {
        **{"timeout": 90, "graceful_timeout": 60, "stop_timeout": 65, "proxy_timeout": 91}
    }
    assert found["stop_timeout"][1].startswith("It was 20. fastapi_graceful_timeout is 60")
    assert timeouts({"timeout": "60", "graceful_timeout": "30"}, 45, None) == {}


def test_the_environment_is_sorted_and_what_stays_behind_is_told():
    given = {
        "PATH": "/v/bin",
        "MODE": "live",
        "API_KEY": "abcdef12",
        "PYTHONPATH": "/srv/a/lib:/srv/a",
        "VIRTUAL_ENV": "/v",
    }
    found = sort(given, {"/e": {"X": "1"}, "/gone": None}, "/srv/a")
    assert (found.plain, found.secret) == ({"MODE": "live", "PYTHONPATH": "lib"}, {"API_KEY": "abcdef12", "X": "1"})
    assert [name for name, _why in found.left] == ["/gone", "PATH", "VIRTUAL_ENV"]


@pytest.mark.parametrize(
    ("text", "found"), [("8m", "8M"), ("0", ""), ("20MB", "20M"), ("1GiB", "1G"), ("500", "1K"), ("x", "")]
)
def test_a_size(text, found):
    assert size(text) == found


@pytest.mark.parametrize(
    ("text", "found"), [("1h", 3600), ("1min 30s", 90), ("500ms", 1), ("infinity", 0), ("soon", None)]
)
def test_a_time(text, found):
    assert seconds(text) == found


def test_requirements_are_written_where_only_the_environment_says_them(tmp_path):
    assert "2 packages" in freeze(str(tmp_path), ["fastapi==0.1", "uvicorn==0.2"])
    assert "fastapi==0.1\nuvicorn==0.2\n" in (tmp_path / "requirements.txt").read_text()


def test_a_remote_on_the_host_itself_is_nobody_elses():
    assert [is_reachable(each) for each in ("https://h/r", "git@h:r", "ssh://h/r", "/srv/git/r", "file:///r")] == [
        True
    ] * 3 + [
        False,
        False,
    ]
