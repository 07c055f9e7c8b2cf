# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which hosts of a play serve an app, and which of them a run is for."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleError

MOST_FORKS = 50
"""What is advised at most."""


def taken(task_vars: dict[str, t.Any]) -> list[str]:
    """The play's hosts in this run, all batches together: --limit leaves out the others."""
    return list(task_vars.get("ansible_play_hosts_all") or [task_vars.get("inventory_hostname", "")])


def too_few_forks(task_vars: dict[str, t.Any]) -> str:
    """A warning where Ansible asks fewer hosts at once than there are, said by the first of them; '' elsewhere.

    A playbook can't set that, and all that is done on all hosts takes as many rounds.
    """
    hosts, forks = list(task_vars.get("ansible_play_batch") or ()), task_vars.get("ansible_forks")
    if not isinstance(forks, int) or len(hosts) <= forks or hosts[0] != task_vars.get("inventory_hostname"):
        return ""
    # Each is a process of some 60 MB.
    enough, rounds = min(len(hosts), MOST_FORKS), -(-len(hosts) // forks)
    return (
        f"Ansible asks {forks} hosts at a time, and this run has {len(hosts)}, so each step takes {rounds} rounds. "
        f"Write forks = {enough} below [defaults] in ansible.cfg, or add --forks {enough}."
    )


def apart(task: t.Any, task_vars: dict[str, t.Any]) -> str:
    """Why several hosts can't be all or none, a sentence; '' where they can, or where there is one.

    Under a strategy by which no host waits for another, Ansible passes over ``run_once``, and each host would take
    itself for all of them.
    """
    try:
        strategy = str(task.get_play().strategy)
    except AttributeError:
        return ""
    # Those of other collections are called so as well, such as mitogen_free.
    if not strategy.endswith(("free", "host_pinned")) or len(taken(task_vars)) < 2:
        return ""
    return (
        f"This play runs by strategy {strategy}, by which no host waits for the others, and of several hosts all are "
        "to have a release or none. It is set in the play, by ANSIBLE_STRATEGY, or in ansible.cfg. Write strategy: "
        "linear in the play."
    )


def in_play(task: t.Any, task_vars: dict[str, t.Any]) -> list[str]:
    """The play's hosts, in its order, whatever --limit says."""
    try:
        # No public interface says what --limit leaves out.
        play, inventory = task.get_play(), task_vars["hostvars"]._inventory
        found = inventory.get_hosts(play.hosts, ignore_limits=True, ignore_restrictions=True, order=play.order)
        listed = [host.name for host in found]
    except (AttributeError, KeyError, AnsibleError):
        listed = []
    return listed or taken(task_vars)


def of_app(task: t.Any, task_vars: dict[str, t.Any], name: str, without: t.Container[str] = ()) -> list[str]:
    """The play's hosts whose app has this name, in the play's order, whatever --limit says. One at least.

    One whose own variables take the app off it has none.

    :param without: balancers, which have no app.

    Role gunicorn finds the first of them in the same way (`_gunicorn_first`), among those that are taken.
    """
    hosts = [
        host
        for host in in_play(task, task_vars)
        if host not in without
        and _on(host, task_vars, "fastapi_name", name) == name
        and _on(host, task_vars, "fastapi_state", "") != "absent"
    ]
    return hosts or [task_vars.get("inventory_hostname", "")]


def _on(host: str, task_vars: dict[str, t.Any], variable: str, else_: str) -> object:
    """What a host's own variables say. Where they don't, the play or the role does, for all alike."""
    try:
        return task_vars["hostvars"][host].get(variable, else_)
    except (KeyError, AnsibleError):
        return else_
