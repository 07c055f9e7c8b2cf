#!/usr/bin/python
# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: status_info
short_description: Tell what an app is doing on a host, what it did, and which releases there are
version_added: 0.1.0
author:
  - The graceful.deploy authors (@graceful)
description:
  - Says which release is live, since when, with how many workers and how much memory, which releases are on the host
    and which of them are known to be bad, and what became of the last deploys.
  - On a balancer (C(fastapi_balancers)), says to which hosts of the app it hands requests, whether each is ready,
    whether it has the address that balancers share, and its certificate.
  - A deploy that was cut off is told once to whom C(fastapi_notify) names, by this module or by the next deploy.
  - Prints a table for people, and returns the same as data. Secrets that the app's words quote are C(***) in both.
extends_documentation_fragment:
  - graceful.deploy.read_only
options:
  name:
    description: Name of the app.
    type: str
    required: true
  root:
    description: Absolute path of the app's directory. Empty is C(/srv/) and the O(name).
    type: path
    default: ""
  deploys:
    description: How many of the last deploys the table shows, 1 or more.
    type: int
    default: 10
attributes:
  action:
    support: full
    description: Has an action plugin of the same name, which prints the table.
seealso:
  - module: graceful.deploy.swap
"""

EXAMPLES = r"""
- name: Show what the app is doing
  graceful.deploy.status_info:
    name: hello
"""

RETURN = r"""
text:
  description: The table.
  returned: success
  type: str
  sample: "hello: release 3f2a9c81d04e is live in slot blue, /ready answers 200 ready"
balances:
  description:
    - On a balancer, a row for each of the app's hosts, with C(host), C(address), C(ready) and C(answer). Beside it
      there are RV(text), RV(proxy), RV(shared) and RV(certificate) alone.
  returned: on a balancer
  type: list
  elements: dict
  sample: [{host: web1, address: "192.0.2.11:80", ready: true, answer: 200 ready}]
proxy:
  description: On a balancer, which proxy it has, and its state.
  returned: on a balancer
  type: str
  sample: nginx is active
shared:
  description: On a balancer, the address that it shares with another one, whether it has it now, and the state of
    keepalived; empty where it shares none.
  returned: on a balancer
  type: dict
  sample: {address: 192.0.2.10, here: true, keepalived: active}
live:
  description: The slot that has the traffic; null before the first release.
  returned: success
  type: str
  sample: blue
release:
  description: The release that has the traffic.
  returned: success
  type: str
  sample: 3f2a9c81d04e
slots:
  description:
    - What each slot holds and does, by its name. Its state is C(live), C(standby), C(stopped), or C(draining) where it
      was told to stop and finishes its requests.
    - Memory is in bytes. Since is when it started, or began to drain, in seconds since the epoch.
    - What a person has to know or do is in note and advice, which are empty where all is well.
  returned: success
  type: dict
  sample:
    blue:
      state: live
      service: active (running)
      release: 3f2a9c81d04e
      since: 1795000000
      workers: 2
      restarts: 0
      memory: 79691776
      memory_max: 482344960
      worker_memory: [37224448, 37228544]
      worker_memory_planned: 157286400
      enabled: true
      note: ""
      advice: "a worker has taken up to 210.0 MiB, and 150.0 MiB are planned: write fastapi_worker_memory: 270M."
      ready: /ready answers 200 ready
certificate:
  description:
    - What the proxy shows clients at port 443, with its end in seconds since the epoch and its names; empty where they
      come by http, or the proxy of this host has none.
  returned: success
  type: dict
  sample: {ends: 1802000000, names: [shop.example.org]}
stalls:
  description:
    - How many times event loops stood still in the last day for C(fastapi_slow_callback) seconds or longer, and of the
      longest the seconds and where; empty where none did. The last 1000 count.
  returned: success
  type: dict
  sample: {times: 3, seconds: 1.27, where: "app/main.py:42 in read: data = requests.get(url)"}
releases:
  description: The complete releases, the one that served last first.
  returned: success
  type: list
  elements: dict
  sample:
    - release: 3f2a9c81d04e
      state: live
      why: ""
      revision: 51d1c0a4d9c5b2a5b0d8a5f3f6e7c4b3a2918070
      built: "2026-11-25T00:57:50.000000Z"
      size: 31400000
history:
  description: Every deploy that is on record, the oldest first, as C(history.jsonl) has it.
  returned: success
  type: list
  elements: dict
  sample:
    - started: "2026-11-25T00:58:16Z"
      release: 3f2a9c81d04e
      previous: 81d04e3f2a9c
      slot: blue
      strategy: swap
      kind: deploy
      by: ann@laptop
      revision: ""
      phases: {start: 0.4, ready: 1.0, watch: 2.0, drain: 0.2}
      seconds: 4.0
      outcome: live
      reason: ""
commands:
  description:
    - The last five commands that M(graceful.deploy.run) or C(NAME-run) ran, the newest first.
    - The outcome is C(running), C(status) and a number, why it was ended, or C(cut off) where the host went down.
  returned: success
  type: list
  elements: dict
  sample:
    - started: "2026-11-25T01:12:03Z"
      release: 3f2a9c81d04e
      by: ann@laptop
      command: python -m app.admin create ann
      outcome: status 0
pushes:
  description:
    - The last eight pushes that this host took, the newest last, where it deploys what is pushed (role webhook).
    - The state is C(waiting), C(running), C(deployed), C(failed), C(overtaken) by a newer one, C(not deployed), as an
      older state isn't, or C(cut off).
  returned: success
  type: list
  elements: dict
  sample:
    - number: 17
      ref: refs/heads/main
      commit: 362cc8a599b639112585415b14f49078e5e3b528
      by: ann
      received: "2026-11-25T01:12:03Z"
      started: "2026-11-25T01:12:03Z"
      ended: "2026-11-25T01:12:14Z"
      state: deployed
      reason: ""
      tries: 1
leaving:
  description:
    - Of a host that balancers leave out, because C(leaving) is in the app's directory, since when it is there. Where
      C(patch.yml) has put it there, also who runs that, in which phase it is, and whether it may still be under way.
    - Empty where it isn't there.
  returned: success
  type: dict
  sample: {since: "2026-11-25T00:58:16Z", by: ann@laptop, phase: reboot, alive: true}
deploying:
  description: Who deploys right now, since when and how far it is; empty where nobody does.
  returned: success
  type: dict
  sample: {}
cut_off:
  description: The same of a deploy that was cut off, until the next one begins; empty where none was.
  returned: success
  type: dict
  sample: {}
told:
  description: Whom C(fastapi_notify) names and was told of a deploy that was cut off.
  returned: success
  type: list
  elements: str
  sample: []
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._app import names, tell
from ..module_utils._app.slots import App
from ..module_utils._host.guard import finish
from ..module_utils._host.systemd import CommandFailed, Systemd
from ..module_utils._observe import balance
from ..module_utils._observe.status import report


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "root": {"type": "path", "default": ""},
            "deploys": {"type": "int", "default": 10},
        },
        supports_check_mode=True,
    )
    name = module.params["name"]
    if problem := names.name("name", name):
        module.fail_json(msg=problem.sentence)
    app = App(name, module.params["root"] or f"/srv/{name}")
    deploys = max(1, module.params["deploys"])

    def answer() -> dict[str, Any]:
        if said := balance.site_of(name):
            return {"changed": False, **balance.report(Systemd(module.run_command), name, said)}
        facts = report(Systemd(module.run_command), app, deploys)
        event = tell.of_cut_off(facts["cut_off"]) if facts["cut_off"] and not module.check_mode else None
        said, warnings = tell.end(tell.begin(app.root, event) if event else None)
        for sentence in warnings:
            module.warn(sentence)
        return {"changed": False, **facts, "told": said["told"]}

    finish(module, answer, CommandFailed)


if __name__ == "__main__":
    main()
