#!/usr/bin/python
# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: worker_plan_info
short_description: Plan how many Gunicorn workers a host can carry, with which limits and timeouts
version_added: 0.1.0
author:
  - The graceful.deploy authors (@graceful)
description:
  - Looks at what a service on this host will get, which is often less than the hardware has, and plans from it the
    number of Uvicorn workers, the memory limits of a slot, and how a release takes over. The plan is the same for as
    long as the host's CPUs, memory and limits are.
  - CPUs are the fewest of PID 1's affinity, the cpusets and the CPU quotas from the app's own slice, or from
    C(system.slice), up to the topmost cgroup that can be seen. Memory is the lowest limit on that way, or all of the
    host's. cgroup v1, v2 and both at once are read.
  - Kept for the system are 256M or a tenth of the memory, whichever is more, but never more than half. A slot takes
    O(worker_memory) for each worker and 64M for Gunicorn's arbiter.
  - Checks the timeout ladder too, from the workers outwards. Every value that can't stand is refused at once, with
    one that would pass.
  - It plans for one app. Where several share a host, give each its O(memory_max), and its O(workers) where they share
    CPUs.
  - The options are the variables of the role P(graceful.deploy.fastapi#role) without their prefix C(fastapi_), which
    messages spell out.
extends_documentation_fragment:
  - graceful.deploy.read_only
attributes:
  platform:
    description: Target OS families that can be operated against.
    platforms: linux
    support: full
options:
  name:
    description:
      - The app's name. Where it is given, what its workers have taken and the limit of its slice
        (C(system-NAME.slice)) count as well.
    type: str
  root:
    description: The app's directory, in which its history is.
    type: path
  workload:
    description:
      - What the app does most.
      - V(io) waits for others, V(cpu) computes; both get one worker for each whole CPU, for an async worker that waits
        serves many connections.
      - V(mixed) does both in the same process and gets one worker more.
    type: str
    choices: [io, cpu, mixed]
    default: io
  workers:
    description:
      - V(auto), or the number of workers, from 1.
      - A number is taken as it is, or refused where memory or the database can't carry it; it is never lowered.
    type: raw
    default: auto
  worker_memory:
    description:
      - What one worker takes when it is busy, in bytes or with the suffix K, M, G or T (base 1024). At least V(16M).
      - V(auto) is V(150M), or a quarter more than a worker of the app O(name) has taken at most, if that is more. So an
        app of which nothing is known yet is planned by an assumption, and its next deploy by what was measured.
    type: str
    default: auto
  memory_max:
    description:
      - The most that a slot may take before the kernel kills, C(MemoryMax=) in bytes or with a suffix as in
        O(worker_memory). Room for one worker at least.
      - Empty for what the host can give, in equal parts to the slots that run at once. It protects the rest of the host
        from an app that runs away, and says nothing of what the app needs.
    type: str
    default: ''
  strategy:
    description:
      - How a release takes over.
      - V(swap) starts it in a second slot beside the one that serves, so both have to fit.
      - V(restart) loses no request either, but requests wait while it starts.
      - V(reload) is Gunicorn's own, for changes of code alone.
      - V(auto) is V(swap) where two slots fit in memory and in the database's connections, else V(restart). It never
        takes a worker away to make a swap fit.
    type: str
    choices: [auto, swap, restart, reload]
    default: auto
  db_pool_size:
    description:
      - The most database connections that one worker opens. V(0) where that doesn't matter.
    type: int
    default: 0
  db_max_connections:
    description:
      - The most connections that the database has for this app, over all workers and both slots of a swap.
        V(0) for no cap.
    type: int
    default: 0
  timeout:
    description:
      - The slowest request that is allowed, in seconds, from 1.
    type: int
    default: 60
  graceful_timeout:
    description:
      - Seconds from the signal to stop until Gunicorn kills its workers. At least 2 more than O(lifespan_timeout).
    type: int
    default: 30
  lifespan_timeout:
    description:
      - Seconds that are kept for the app's lifespan shutdown, from 1.
      - Requests have what is left of O(graceful_timeout), less a second.
    type: int
    default: 5
  stop_timeout:
    description:
      - Seconds until the supervisor kills what is left of a slot (C(TimeoutStopSec=) of systemd). At least 5 more than
        O(graceful_timeout). With O(oxfile) it is what that file says.
    type: int
    default: 45
  proxy_timeout:
    description:
      - Seconds that the proxy waits for an answer. More than O(timeout); V(0) is 5 more.
    type: int
    default: 0
  beside:
    description:
      - What runs beside the web workers, by name, each with C(count), how many may run at once, and C(memory), the size
        of each. Without a size it is planned as V(150M).
      - Each counts O(db_pool_size) connections. The host's other apps are seen where O(name) is given.
    type: dict
    default: {}
  supervisor:
    description:
      - What starts and stops Gunicorn.
      - With V(oxmgr) and without O(oxfile) it is meant as the roles set Oxmgr up, with a stop signal that gets all of
        O(stop_timeout).
    type: str
    choices: [systemd, oxmgr]
    default: systemd
    version_added: 0.2.0
  oxfile:
    description:
      - The text of an C(oxfile.toml) that somebody wrote, for O(supervisor=oxmgr). It is read more strictly than
        Oxmgr does, which passes over keys that it doesn't know. What it wouldn't do as the file says is refused.
      - Its C(stop_timeout_secs) and C(stop_signal) take the place of O(stop_timeout). After C(SIGTERM) Oxmgr waits 15
        seconds at most. A C(--graceful-timeout) in its command takes the place of O(graceful_timeout).
    type: str
    version_added: 0.2.0
  oxfile_app:
    description:
      - The name of the app in O(oxfile), where it has several. By default the one that runs Gunicorn.
    type: str
    version_added: 0.2.0
seealso:
  - name: systemd.resource-control(5)
    description: What MemoryMax= does.
    link: https://www.freedesktop.org/software/systemd/man/latest/systemd.resource-control.html
"""

EXAMPLES = r"""
# On the command line, for any host:
#   ansible all -m graceful.deploy.worker_plan_info
#   ansible all -m graceful.deploy.worker_plan_info -a 'workload=mixed worker_memory=300M'

- name: Plan for an app that takes 300M a worker
  graceful.deploy.worker_plan_info:
    worker_memory: 300M
  register: planned

- name: Say what was planned and why
  ansible.builtin.debug:
    msg: "{{ planned.msg }}"

- name: Plan within a database's connections, with two slots at once
  graceful.deploy.worker_plan_info:
    strategy: swap
    db_pool_size: 10
    db_max_connections: 80

- name: Read an oxfile that somebody wrote, and compare its time-outs with Gunicorn's
  graceful.deploy.worker_plan_info:
    supervisor: oxmgr
    oxfile: "{{ lookup('ansible.builtin.file', 'oxfile.toml') }}"

- name: Plan for an app with downloads of up to five minutes
  graceful.deploy.worker_plan_info:
    timeout: 300
    graceful_timeout: 310
    stop_timeout: 320
"""

RETURN = r"""
msg:
  description: The plan in two sentences, or what it is refused for, one problem a line.
  returned: always
  type: str
  sample: >-
    2 workers for 2 CPUs (affinity); memory would allow 23 of 150M each. Releases take over by swap: two slots need
    728M, and the host can give 3546M.
plan:
  description: What was planned.
  returned: success
  type: dict
  contains:
    workers:
      description: Gunicorn's workers in each slot.
      type: int
      sample: 2
    caps:
      description: The most workers that each resource allows.
      type: dict
      contains:
        cpu:
          description: Whole CPUs, at least 1; one more for O(workload=mixed).
          type: int
          sample: 2
        memory:
          description: How many fit in the memory of a slot.
          type: int
          sample: 23
        database:
          description: How many the database's connections allow; null without such a limit.
          type: int
          sample: null
    bound_by:
      description: What decided the number, one of V(cpu), V(tuned) (M(graceful.deploy.tune) has measured it),
        V(memory), V(database) or V(workers) (O(workers) was given).
      type: str
      sample: cpu
    strategy:
      description: One of V(swap), V(restart) or V(reload).
      type: str
      sample: swap
    strategy_reason:
      description: Why, in a sentence.
      type: str
      sample: "Releases take over by swap: two slots need 728M, and the host can give 3546M."
    worker_memory:
      description: What each worker is planned to take.
      type: str
      sample: 150M
    worker_memory_bytes:
      description: The same in bytes.
      type: int
      sample: 157286400
    memory_max:
      description: A slot's C(MemoryMax=).
      type: str
      sample: 455M
    memory_max_bytes:
      description: The same in bytes.
      type: int
      sample: 477102080
    memory_worst_case:
      description: What all slots that may run at once can take together.
      type: str
      sample: 910M
    memory_worst_case_bytes:
      description: The same in bytes.
      type: int
      sample: 954204160
    memory_available_bytes:
      description: What the host can give to all slots together, in bytes.
      type: int
      sample: 3718250496
    explanation:
      description: The plan in two sentences, as in RV(msg).
      type: str
      sample: "2 workers for 2 CPUs (affinity); memory would allow 23 of 150M each. [...]"
    timeout:
      description: The slowest request that is allowed, in seconds.
      type: int
      sample: 60
    graceful_timeout:
      description: Seconds until Gunicorn kills its workers.
      type: int
      sample: 30
    lifespan_timeout:
      description: Seconds for the app's lifespan shutdown.
      type: int
      sample: 5
    drain_timeout:
      description: Seconds in which requests may finish (Uvicorn's C(timeout_graceful_shutdown)).
      type: int
      sample: 24
    stop_timeout:
      description: Seconds until the supervisor kills what is left.
      type: int
      sample: 45
    proxy_timeout:
      description: Seconds that the proxy waits for an answer.
      type: int
      sample: 65
    swap_patience:
      description: Seconds that a swap waits for the old slot to stop, 10 more than O(stop_timeout).
      type: int
      sample: 55
capacity:
  description: What a service on this host gets.
  returned: success
  type: dict
  contains:
    cpus:
      description: CPUs, with a fraction where a quota has one.
      type: float
      sample: 2.0
    cpu_source:
      description: Where that was found.
      type: str
      sample: affinity
    memory:
      description: Bytes of memory, before the system's share.
      type: int
      sample: 4131389440
    memory_source:
      description: Where that was found.
      type: str
      sample: cgroup v2 memory.max at /system.slice
    own:
      description: Bytes that the app's own slice may take; null where it has no limit. None of it is kept for others.
      type: int
      sample: null
    beside:
      description: What is planned beside the web workers, as O(beside) says, with the bytes of each.
      type: list
      elements: dict
      sample: [{name: worker, each: 419430400, count: 2}]
    others:
      description: The host's other apps, with the bytes that each takes.
      type: list
      elements: dict
      sample: [{name: blog, each: 381681664, count: 1}]
advice:
  description: What is worth knowing of O(oxfile), a sentence each. It is shown as warnings, too.
  returned: when O(oxfile) is given
  type: list
  elements: str
  sample: ["oxfile.toml:2: api is restarted 10 times in its life, not in some time: [...]"]
problems:
  description: What the plan is refused for, in the order in which to fix it.
  returned: when the input can't be planned with
  type: list
  elements: dict
  contains:
    variable:
      description:
        - The role's variable; V(host memory) where no variable could fix it.
        - For O(oxfile) its key, as in V(oxfile api.restart_policy); C(--graceful-timeout), C(stop_timeout_secs) or
          C(stop_signal) where a time-out there doesn't fit.
      type: str
      sample: fastapi_stop_timeout
    value:
      description: What it is; null for what is wrong in O(oxfile), where it may be a secret.
      type: raw
      sample: 45
    passing_value:
      description:
        - What would pass, with the passing values of the other problems.
        - Null for what is wrong in O(oxfile), where no one value would do.
      type: raw
      sample: 55
    sentence:
      description: What is wrong, what it would cost, and what to write.
      type: str
      sample: "fastapi_graceful_timeout is 50 and fastapi_stop_timeout is 45: [...]"
"""

from dataclasses import asdict
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._host.guard import finish
from ..module_utils._plan.capacity import CapacityError
from ..module_utils._plan.flow import ARGUMENT_SPEC, NOTHING, plan_from_params
from ..module_utils._plan.handmade import read_oxfile
from ..module_utils._plan.seen import see
from ..module_utils._plan.timeouts import Refusal

ARGUMENTS = {
    "name": {"type": "str"},
    "root": {"type": "path"},
    # Its environment may hold secrets.
    "oxfile": {"type": "str", "no_log": True},
    "oxfile_app": {"type": "str"},
    **ARGUMENT_SPEC,
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        required_together=[("name", "root")],
        required_by={"oxfile_app": ["oxfile"]},
        supports_check_mode=True,
    )
    finish(module, lambda: answer(module), CapacityError)


def answer(module: AnsibleModule) -> dict[str, Any]:
    name, root, text = module.params["name"], module.params["root"], module.params["oxfile"]
    if text is not None and module.params["supervisor"] != "oxmgr":
        module.fail_json(
            msg="oxfile is given and supervisor is systemd, which doesn't read it. Write supervisor: oxmgr."
        )
    oxfile, advice = (None, None) if text is None else read_oxfile(text, module.params["oxfile_app"] or "")
    for sentence in advice or []:
        module.warn(sentence)
    try:
        seen = see(module.run_command, name, root) if name else NOTHING
        plan = plan_from_params(module.params, seen=seen, oxfile=oxfile)
    except Refusal as refusal:
        module.fail_json(msg=str(refusal), problems=[asdict(problem) for problem in refusal.problems])
    capacity = plan.pop("capacity")
    told = {} if advice is None else {"advice": advice}
    return {"changed": False, "msg": plan["explanation"], "plan": plan, "capacity": capacity, **told}


if __name__ == "__main__":
    main()
