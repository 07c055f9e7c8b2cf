#!/usr/bin/python
# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: tune
short_description: Measure how many workers an app needs on this host
version_added: 0.2.0
author:
  - The graceful.deploy authors (@graceful)
description:
  - Starts the live release in the standby slot with 1, 2, 3 and more workers, asks it on its own socket with h2load for
    O(paths), and says what came of each number. Clients get nothing of it, their slot isn't touched, and nothing moves.
  - It ends when two further workers have brought less than a twentieth each, at O(most), or where the host has no room
    for one more, by the sums of M(graceful.deploy.worker_plan_info). The standby slot is as before then.
  - It chooses the fewest workers whose throughput is within a twentieth of the best, and whose p99 isn't more than half
    as long again (and 5 ms) as the shortest of those.
  - It is refused while a deploy runs or the standby slot still has requests, on a host whose CPUs are in use (O(idle)),
    and where a second slot has no room. What serves is asked ten times a second meanwhile. Where its p95 doubles, the
    run stops. What is measured and what asks get a tenth of the CPU where what serves wants it too.
  - The load comes from the same host and takes a part of its CPUs, which is told. So the throughput is lower than by
    clients elsewhere, and right to compare numbers of workers by.
  - Requests are real. Those that change something change what the app's database has, thousands of times.
  - It needs Debian's package C(nghttp2-client), installs it where it is missing, and leaves it there.
  - The app has to run under systemd (C(fastapi_supervisor)).
options:
  name:
    description: Name of the app.
    type: str
    required: true
  root:
    description: Absolute path of the app's directory. Empty is C(/srv/) and the O(name).
    type: path
    default: ""
  paths:
    description:
      - >-
        Which requests are asked, as V(/), V(/items/1) or V(POST /items {"name": "a"}), with commas between several; or
        a list of these, and of mappings with C(path), C(method), C(body), C(content_type) and C(share), how many of
        these go out for each of another with 1.
      - As many as the user wants go out. C(HEAD) can't be asked.
    type: raw
    required: true
  clients:
    description: How many clients ask at once, each the next request when it has its answer; 1 to 1000.
    type: int
    default: 64
  think:
    description:
      - Seconds between two requests of a client at least, 0 to 60. With 0 each has a connection of its own, as our
        proxies ask. With more, clients keep theirs.
    type: float
    default: 0
  seconds:
    description: Seconds for which each number is measured, 1 to 120. It is asked for a quarter longer before.
    type: float
    default: 8
  most:
    description: The most workers that are tried, 1 to 64.
    type: int
    default: 8
  idle:
    description:
      - Percent of the host's CPUs that have to be idle before, 0 to 100; 0 asks for nothing. Where that is less between
        two numbers of workers, the run warns, and nothing is applied.
    type: int
    default: 50
  slower:
    description:
      - How many times as long the p95 of the slot that serves may become before the run stops, 1.5 to 100, if it is 25
        ms longer, too.
    type: float
    default: 2
  apply:
    description:
      - Whether what was chosen is to be brought to the traffic afterwards, which M(graceful.deploy.swap) does with what
        this module returns as RV(tuned). This module only refuses it in time where O(workers) says another number.
    type: bool
    default: false
  into:
    description: Directory on the control node for C(NAME-HOST.json), C(.html), C(.svg) and C(.png). It is made.
    type: path
    default: tune
  workers:
    description: C(fastapi_workers), by which deploys choose.
    type: raw
    default: auto
  workload:
    description: C(fastapi_workload), for what the planner would choose.
    type: str
    choices: [io, cpu, mixed]
    default: io
  worker_memory:
    description: C(fastapi_worker_memory). Where it isn't V(auto) it counts in place of what is measured.
    type: str
    default: auto
  memory_max:
    description: C(fastapi_memory_max).
    type: str
    default: ""
  db_pool_size:
    description: C(fastapi_db_pool_size).
    type: int
    default: 0
  db_max_connections:
    description: C(fastapi_db_max_connections), which two slots with as many workers have to fit into.
    type: int
    default: 0
  by:
    description: Who measures, for who wants to deploy meanwhile. Empty is the user and host of the control node.
    type: str
    default: ""
attributes:
  check_mode:
    support: full
    description: Says what would be measured, and starts nothing. It fails where a run would be refused.
  diff_mode:
    support: none
    description: Nothing lasting is changed but the package.
  idempotent:
    support: none
    description: Each run measures anew.
  platform:
    support: full
    description: Debian with systemd.
    platforms: debian
  action:
    support: full
    description: Has an action plugin of the same name, which reads O(paths), prints the table and draws the picture.
seealso:
  - module: graceful.deploy.worker_plan_info
  - module: graceful.deploy.swap
"""

EXAMPLES = r"""
- name: Measure how many workers are right
  graceful.deploy.tune:
    name: hello
    paths: /,/items/1

- name: Measure with a mix of requests, each client one in a tenth of a second
  graceful.deploy.tune:
    name: hello
    paths:
      - {path: /items, share: 9}
      - {path: /items, method: POST, body: {name: a}}
    clients: 200
    think: 0.1
"""

RETURN = r"""
line:
  description: One line to paste.
  returned: success
  type: str
  sample: "fastapi_workers: 3  # 2,140 requests/s, p99 18 ms, 96 % of the best with half its memory"
chosen:
  description: The number of workers; null in check mode.
  returned: success
  type: int
  sample: 3
counts:
  description:
    - What was measured with each number of workers. Good answers a second are rate; p50, p95, p99 and live_p95 are
      milliseconds, memory (PSS of all, and the most that a worker has taken) is bytes; cpu, load_cpu and idle are CPUs
      of the slot, of the load, and what the host had left; ready is the seconds that the start took.
    - Connections to databases are counted by TCP, by the name of what listens on such a port. Errors are in bad by
      their status, 0 for a request without an answer.
  returned: success
  type: list
  elements: dict
  sample:
    - workers: 1
      requests: 5714
      rate: 714.2
      p50: 88.4
      p95: 97.1
      p99: 120.6
      errors: 0
      memory: 78643200
      worker_memory: 52428800
      cpu: 0.98
      load_cpu: 0.11
      idle: 2.7
      ready: 1.2
      live_p95: 2.1
      connections: {PostgreSQL: 5}
      bad: {}
      stalls: null
ended:
  description: Why it ended where it did.
  returned: success
  type: str
  sample: The last two brought less than 5 % each.
doubt:
  description:
    - Why the choice isn't one to rely on, and isn't applied. Empty where it came to its end, and the host was quiet
      enough for O(idle) between two numbers of workers, too.
  returned: success
  type: str
  sample: ""
planned:
  description: What the planner chooses without having measured.
  returned: success
  type: int
  sample: 2
tuned:
  description: What M(graceful.deploy.swap) takes to bring the choice to the traffic and to have plans know it.
  returned: success
  type: dict
  sample: {workers: 3, at: "2026-11-30T17:20:00Z", rate: 2140.5, p99: 18.2, cpus: 2.0, worker_memory: 52428800}
live_p95:
  description: Milliseconds, of the questions to the slot that serves, before anything was started.
  returned: success
  type: float
  sample: 1.9
installed:
  description: Packages that were installed for it.
  returned: success
  type: list
  elements: str
  sample: [nghttp2-client]
files:
  description: What was written on the control node.
  returned: success
  type: list
  elements: str
  sample: [tune/hello-web1.json, tune/hello-web1.svg, tune/hello-web1.png, tune/hello-web1.html]
held:
  description: What a deploy that is under way says of itself.
  returned: when it failed for that
  type: dict
msg:
  description: The line to paste, or what is wrong.
  returned: always
  type: str
  sample: "fastapi_workers: 3  # 2,140 requests/s, p99 18 ms, 96 % of the best with half its memory"
"""

import signal
from functools import partial

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._host.guard import finish
from ..module_utils._host.systemd import CommandFailed
from ..module_utils._tune.flow import Tune

ARGUMENTS = {
    "name": {"type": "str", "required": True},
    "root": {"type": "path", "default": ""},
    # As plugin_utils/_inputs/paths.py has read them.
    "paths": {"type": "raw", "required": True},
    "clients": {"type": "int", "default": 64},
    "think": {"type": "float", "default": 0},
    "seconds": {"type": "float", "default": 8},
    "most": {"type": "int", "default": 8},
    "idle": {"type": "int", "default": 50},
    "slower": {"type": "float", "default": 2},
    "apply": {"type": "bool", "default": False},
    "into": {"type": "path", "default": "tune"},
    "workers": {"type": "raw", "default": "auto"},
    "workload": {"type": "str", "choices": ["io", "cpu", "mixed"], "default": "io"},
    "worker_memory": {"type": "str", "default": "auto"},
    "memory_max": {"type": "str", "default": ""},
    "db_pool_size": {"type": "int", "default": 0},
    "db_max_connections": {"type": "int", "default": 0},
    "by": {"type": "str", "default": ""},
}


def _end(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    # So that what was started is stopped, and the slot put back.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    run = partial(module.run_command, expand_user_and_vars=False, handle_exceptions=False)
    tune = Tune(module.params, module.check_mode, run, module.warn)
    finish(module, tune.result, CommandFailed, state=lambda: tune.state, hide=tune.hide)


if __name__ == "__main__":
    main()
