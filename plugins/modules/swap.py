#!/usr/bin/python
# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: swap
short_description: Bring a release to the traffic without losing a request
version_added: 0.1.0
author:
  - The graceful.deploy authors (@graceful)
description:
  - Fills the standby slot with a release and its configuration, starts it, asks its readiness path on its own socket
    until it answers several times in a row, moves the link that the proxy dials, watches the release for a while, then
    tells the old slot to stop. The run doesn't wait until that has finished its requests; the next one that needs the
    slot does.
  - A changed environment, worker count or unit goes the same way as a changed release.
  - When the wanted release is live, up and alone, nothing happens. When an earlier run was cut off, the steps that are
    missing are taken.
  - A release that doesn't become ready never has a request. One that dies or fails O(health_path) while it is watched
    loses the traffic again, by itself. The run fails with its last log lines, and what was live before is live.
  - One deploy of an app moves traffic at a time. The lock ends with its holder, however that ends, and a second one is
    told who holds it and since when, or waits for O(lock_wait) seconds. What is live, which releases there are and what
    the units say is read when the lock is had, and not before.
  - What became of each deploy is in C(history.jsonl) under O(root), one JSON object a line.
  - Whom C(fastapi_notify) names is told of each outcome, when the lock is free again. M(graceful.deploy.tell) says how.
  - Where what an app or a command printed quotes a secret of O(environment) or O(credentials), C(***) is told and kept.
options:
  name:
    description: Name of the app, which its units carry (C(NAME@blue.service)).
    type: str
    required: true
  root:
    description: Absolute path of the app's directory, which holds C(releases) and C(slots).
    type: path
    required: true
  group:
    description: Name of the group that the service runs with. It may read the slot's files.
    type: str
    required: true
  user:
    description: Name of the user that the service runs as. Commands of O(before) run as it, too.
    type: str
    default: deploy
  app:
    description: The application as C(module:attribute), which V(restart) and V(reload) load once beside the live one.
    type: str
    default: app.main:app
  release:
    description:
      - Id of a complete release under C(releases). Required without O(rollback).
      - With O(rollback) the release to go back to; empty is the last that served well.
    type: str
    default: ""
  rollback:
    description:
      - Go back to a release that is there, with the configuration of the live slot. Nothing else is asked for then but
        O(name), O(root) and O(group).
      - A release that failed, or that was rolled back from, is refused. The one that is left is marked as bad.
    type: bool
    default: false
  again:
    description:
      - Bring the live release to the traffic anew, by this strategy and with the configuration of the live slot, which
        keeps the strategy of its own. Nothing else is asked for then but O(name), O(root) and O(group). V(swap) is
        refused where deploys of the app don't take over by a second slot.
      - Nobody is told of it, unless it fails.
    type: str
    choices: ["", swap, restart, reload]
    default: ""
  environment:
    description: Text of the environment file in systemd's syntax. Secret.
    type: str
    default: ""
  credentials:
    description: Secrets by name, each a file of the slot that root alone reads and O(unit) loads. Secret.
    type: dict
    default: {}
  files:
    description: The other files of the slot, text by name, such as C(gunicorn.conf.py).
    type: dict
    default: {}
  unit:
    description: Text of the service unit. A slot started with another text is replaced.
    type: str
    default: ""
  socket:
    description: Text of the socket unit, likewise.
    type: str
    default: ""
  processes:
    description:
      - What runs beside the web workers for as long as its release is live, by name. Each has C(command), and may have
        C(instances), C(stop_timeout), C(stop_signal), C(memory_max), C(writable_paths) and C(hosts), as
        C(fastapi_processes) describes them. An C(env) there is handed on as O(process_environments).
      - They are started from the new release when it has the traffic and stayed well, and are watched. Where one ends,
        all of it goes back. The old ones are told to stop then, and nobody waits for them.
    type: dict
    default: {}
  timers:
    description: Commands that run at times, by name, with C(command), C(calendars), C(timeout) and C(hosts).
    type: dict
    default: {}
  process_environments:
    description: Text of an environment file in systemd's syntax by the name of its process. Secret.
    type: dict
    default: {}
  first:
    description: Whether this is the host for what has C(hosts=first) among O(processes) and O(timers).
    type: bool
    default: true
  tuned:
    description:
      - What M(graceful.deploy.tune) has returned under this name. Brings the release that is live, with its slot's
        configuration, to the traffic once more with that number of workers, and keeps the note as C(tuned.json) under
        O(root), by which plans go from then on where C(fastapi_workers) is V(auto). Nothing else is asked for then but
        O(name), O(root) and O(group).
    type: dict
    default: {}
    version_added: 0.2.0
  before:
    description:
      - Lines for the shell, such as C(alembic upgrade head), run one after the other from a new release before it
        starts, as O(user), with the app's environment, in the sandbox of O(unit), and with the release's programs first
        on the path. Each may take an hour.
      - The module does this and nothing else then, so that one host can do it before any host moves its traffic. It
        does nothing where the release is live already.
    type: list
    elements: str
    default: []
  strategy:
    description:
      - V(swap) runs both slots for a moment. V(restart) restarts the live slot in place, for hosts whose memory holds
        only one; its socket queues what arrives meanwhile.
      - V(reload) has Gunicorn fork new workers in the live slot and end the old ones (SIGHUP). It is refused where more
        than code changes, because running processes keep their interpreter, packages and environment.
      - With V(restart) and V(reload) the app is loaded once beside the live one first, so that one that can't be
        imported changes nothing.
    type: str
    choices: [swap, restart, reload]
    default: swap
  reason:
    description: Why this O(strategy), a sentence that is shown with the result.
    type: str
    default: ""
  ready_path:
    description: Path that answers 2xx when the app can take traffic.
    type: str
    default: /ready
  health_path:
    description: Path that answers 2xx while the app is alive; asked while the release is watched.
    type: str
    default: /health
  ready_timeout:
    description: Seconds within which the release has to become ready, 1 or more.
    type: int
    default: 60
  bake:
    description:
      - Seconds for which the release is watched after the move, while the old one still runs; 0 doesn't watch. A first
        release is watched before the move, since there is nothing to go back to. A rollback isn't watched, because its
        release has served well before.
    type: int
    default: 2
  patience:
    description: Seconds to wait for the old slot's queue, or for the old workers of a V(reload). At least the unit's
      stop timeout.
    type: int
    default: 55
  worker_memory:
    description: Bytes that each worker is planned to take, kept with the slot for M(graceful.deploy.status_info).
    type: int
    default: 0
  memory_room:
    description:
      - Bytes that a slot may take in place of what O(unit) says, where it is the first and the kernel kills workers of
        it for memory while it starts. The next deploys take over by V(restart) then. 0 leaves it at what O(unit) says.
    type: int
    default: 0
  fewer_workers:
    description:
      - Whether to try with half of the workers, and half of that, where the kernel kills some for memory while the slot
        that is to have the traffic starts. The run warns then. What had the traffic before has it meanwhile.
    type: bool
    default: false
  host:
    description: Host header of the questions to the app, as clients write it.
    type: str
    default: localhost
  scheme:
    description: How clients come. The app is told so with each question, by C(X-Forwarded-Proto).
    type: str
    choices: [http, https]
    default: http
  front_port:
    description:
      - TCP port of the reverse proxy on this host, through which O(health_path) is asked when the release is live, in
        such a way that the proxy answers as it answers clients; 0 asks nothing.
      - Where that was answered well before the traffic moved and isn't while the release is watched, the traffic goes
        back. Else the run fails where there is no good answer within 30 seconds, and the release stays live.
      - With O(rollback) the traffic never goes back for that. The run fails, or with V(back) of O(part) warns.
    type: int
    default: 0
  front_tls:
    description: Whether O(front_port) speaks TLS. Its certificate isn't checked.
    type: bool
    default: false
  front_unit:
    description:
      - Unit of systemd's that is reloaded, or restarted, to have the proxy ask at once whether the app is ready.
      - That is done where the traffic goes back to the release before, also by O(rollback), and where a release that is
        ready is watched, if O(front_port) has no good answer. A proxy that has asked while another release was down
        would answer clients with 503 until it asks again.
    type: str
    default: ""
  canary:
    description:
      - Before all requests go to a new release, C(share) percent of them do for C(seconds), and what the two answer is
        compared by O(front_log). The run goes back where the release is worse by more than C(errors) percentage points
        or C(slower) percent of the 95th percentile, which takes C(requests) on each side. Empty has none.
      - There is none either with a first release, with V(restart) and V(reload), where settings alone change, and with
        O(rollback); the result says so where it was asked for.
    type: dict
    default: {}
    version_added: 0.2.0
  front_site:
    description: Path of the proxy's site, which has to have the branch for O(canary).
    type: str
    default: ""
    version_added: 0.2.0
  front_log:
    description: Path of the proxy's access log.
    type: str
    default: ""
    version_added: 0.2.0
  front_follows:
    description: Whether the same run writes O(front_site) later. A site without the branch is refused where it doesn't.
    type: bool
    default: false
    version_added: 0.2.0
  part:
    description:
      - V(standby) starts the release in the slot that has no traffic, proves it ready, and moves nothing; where it is
        to take the place of the live one (O(strategy)), it is loaded once. V(all) then goes on with what stands by, if
        it is just what is wanted and ready still, and does all of it otherwise.
      - V(back), with O(rollback) and a O(release), brings back what the other slot was started with, its settings too,
        where that has this release; else it is a rollback.
      - V(leave) stops what stands by, as another host of a fleet isn't ready; what serves isn't touched. Of the other
        options it takes O(name), O(root), O(group) and O(lock_wait).
    type: str
    choices: [all, standby, back, leave]
    default: all
  lock_wait:
    description:
      - Seconds to wait for another deploy of the app to end, at most; 0 fails at once where there is one. The release
        isn't pruned by anybody meanwhile.
    type: int
    default: 0
  by:
    description: Who deploys, for the lock and the history. Empty is the user and host of the control node.
    type: str
    default: ""
attributes:
  check_mode:
    support: full
    description: Says which steps a run would take.
  diff_mode:
    support: full
    description: Shows the live release before and after, and the steps.
  idempotent:
    support: full
    description: A second run finds the release live and does nothing.
"""

EXAMPLES = r"""
- name: Bring the release to the traffic
  graceful.deploy.swap:
    name: hello
    root: /srv/hello
    group: deploy
    release: 3f2a9c81d04e

- name: Start the live release anew in place, as after a change that only a start brings
  graceful.deploy.swap:
    name: hello
    root: /srv/hello
    group: deploy
    again: restart

- name: Go back to the release that served before
  graceful.deploy.swap:
    name: hello
    root: /srv/hello
    group: deploy
    rollback: true
"""

RETURN = r"""
slot:
  description: The slot that has the traffic after the run.
  returned: success
  type: str
  sample: blue
release:
  description: The release that has the traffic after the run.
  returned: success
  type: str
  sample: 3f2a9c81d04e
previous:
  description: The release that was live before; null before the first.
  returned: success
  type: str
  sample: 81d04e3f2a9c
strategy:
  description: How it was brought to the traffic.
  returned: success
  type: str
  sample: swap
steps:
  description: What was done, or would be in check mode, a sentence each.
  returned: success
  type: list
  elements: str
  sample: ["prepare slot blue with release 3f2a9c81d04e", "start slot blue and wait until it is ready"]
phases:
  description: Seconds that each step took, by its name.
  returned: success
  type: dict
  sample: {"fill": 0.01, "start": 0.2, "ready": 1.1, "move": 0.0, "watch": 2.1, "drain": 0.2}
seconds:
  description: Seconds that all of it took.
  returned: success
  type: float
  sample: 4.9
waited:
  description: For whose deploy it waited, and how long; empty where nobody else deployed.
  returned: success
  type: str
  sample: "Waited 12 s for another deploy, of which then: ann@laptop began at 2026-11-25T00:58:16Z with release
    81d04e3f2a9c, and is in phase watch (process 4711)."
told:
  description: Whom C(fastapi_notify) names and was told of it. Who couldn't be told is a warning.
  returned: success, or when it failed after it had begun
  type: list
  elements: str
  sample: [slack at hooks.example.org]
held:
  description: What another deploy that is under way says of itself, such as C(by), C(since), C(release) and C(phase).
  returned: when it failed for that
  type: dict
commands:
  description: Each command of O(before) with the seconds that it took and the last line that it printed.
  returned: success
  type: list
  elements: str
  sample: ["alembic upgrade head (1.2 s)"]
msg:
  description: A sentence on what is live, and how it got there.
  returned: success
  type: str
  sample: "Release 3f2a9c81d04e is live in slot blue, by swap in 4.4 s (start 0.2 s, ready 1.1 s, watch 3.1 s)."
"""

from functools import partial

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._host.guard import finish
from ..module_utils._host.systemd import CommandFailed
from ..module_utils._swap.flow import Deploy

ARGUMENTS = {
    "name": {"type": "str", "required": True},
    "root": {"type": "path", "required": True},
    "group": {"type": "str", "required": True},
    "user": {"type": "str", "default": "deploy"},
    "app": {"type": "str", "default": "app.main:app"},
    "release": {"type": "str", "default": ""},
    "rollback": {"type": "bool", "default": False},
    "again": {"type": "str", "choices": ["", "swap", "restart", "reload"], "default": ""},
    "environment": {"type": "str", "default": "", "no_log": True},
    "credentials": {"type": "dict", "default": {}, "no_log": True},
    # Not secret: Ansible would write their whole text to the host's log at each deploy.
    "files": {"type": "dict", "default": {}, "no_log": True},
    "unit": {"type": "str", "default": ""},
    "socket": {"type": "str", "default": ""},
    "processes": {"type": "dict", "default": {}},
    "timers": {"type": "dict", "default": {}},
    "process_environments": {"type": "dict", "default": {}, "no_log": True},
    "first": {"type": "bool", "default": True},
    "tuned": {"type": "dict", "default": {}},
    "before": {"type": "list", "elements": "str", "default": []},
    "strategy": {"type": "str", "choices": ["swap", "restart", "reload"], "default": "swap"},
    "reason": {"type": "str", "default": ""},
    "ready_path": {"type": "str", "default": "/ready"},
    "health_path": {"type": "str", "default": "/health"},
    "ready_timeout": {"type": "int", "default": 60},
    "bake": {"type": "int", "default": 2},
    "patience": {"type": "int", "default": 55},
    "worker_memory": {"type": "int", "default": 0},
    "memory_room": {"type": "int", "default": 0},
    "fewer_workers": {"type": "bool", "default": False},
    "host": {"type": "str", "default": "localhost"},
    "scheme": {"type": "str", "choices": ["http", "https"], "default": "http"},
    "front_port": {"type": "int", "default": 0},
    "front_tls": {"type": "bool", "default": False},
    "front_unit": {"type": "str", "default": ""},
    "canary": {"type": "dict", "default": {}},
    "front_site": {"type": "str", "default": ""},
    "front_log": {"type": "str", "default": ""},
    "front_follows": {"type": "bool", "default": False},
    "part": {"type": "str", "choices": ["all", "standby", "back", "leave"], "default": "all"},
    "lock_wait": {"type": "int", "default": 0},
    "by": {"type": "str", "default": ""},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    # A variable in a command is for its own shell: it would get root's value, or a sign too many.
    # A program that can't be started ends a module at once by default, in the middle of a step.
    run = partial(module.run_command, expand_user_and_vars=False, handle_exceptions=False)
    deploy = Deploy(module.params, module.check_mode, run, module.warn)
    finish(module, deploy.result, CommandFailed, state=lambda: deploy.state, hide=deploy.hide)


if __name__ == "__main__":
    main()
