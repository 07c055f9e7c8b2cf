#!/usr/bin/python
# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: patch
short_description: Upgrade a host's packages and reboot it, out of its balancers
version_added: 0.2.0
author:
  - The graceful.deploy authors (@graceful)
description:
  - Marks the host as leaving (C(leaving) in the app's directory), so that its proxy answers 503 at the readiness path
    and balancers send it nothing more, and waits until no request comes and none is under way. Upgrades the packages,
    reboots where that is needed, waits until the app is ready, also through the proxy, takes the mark away, and waits
    for a request.
  - apt decides what is upgraded, by pins of this call's own where O(upgrade=security). Nothing is removed,
    configuration files stay as they are, and nothing of the host's own configuration is changed.
  - An app whose Python or libraries were replaced is started anew by M(graceful.deploy.swap), without a lost request.
    Other services that still have old files in memory are restarted where the host has left its balancers, and named
    otherwise. Databases and brokers are always named alone. Jobs and transient units are left to end.
  - A balancer hands its shared address to the other one before it is upgraded (it stops keepalived), and takes part
    again when the site answers through it.
  - All apps of this collection on the host are marked, and none can be deployed meanwhile. A run that died is finished
    by the next one. What was done is in the apps' histories.
options:
  name:
    description: Name of the app. On a host without it packages are upgraded and nothing else.
    type: str
    required: true
  root:
    description: Absolute path of the app's directory. Empty is C(/srv/) and the O(name).
    type: path
    default: ""
  upgrade:
    description: V(security) takes what comes from Debian's security archive, and leaves out the host's own pins for all
      packages; V(all) takes whatever C(apt-get upgrade) would.
    type: str
    choices: [security, all]
    default: security
  reboot:
    description:
      - V(needed) reboots where a package asks for it (C(/run/reboot-required)) or a newer kernel is installed, V(never)
        doesn't. For a kernel that a reboot hasn't brought it isn't rebooted again, and the run warns.
      - V(auto) is V(needed) where balancers send requests to other hosts meanwhile (O(leave_within)), and the play has
        another host of its kind; and V(never) elsewhere. The run then says what is to be done. A balancer is rebooted
        where keepalived hands its address over.
    type: str
    choices: [auto, needed, never]
    default: auto
  leave_within:
    description:
      - Seconds in which the balancers have to leave the host out, 0 to 3600; the run fails before it changes anything
        where requests still come then. 0 doesn't wait, where there are no balancers; so it is where O(balancers) are
        given and the play has no other host of this one's kind.
    type: int
    default: 0
  notice:
    description: Seconds in which a balancer notices that the host is leaving, or is back.
    type: int
    default: 22
  back_within:
    description: Seconds in which the host has to be back, and then its apps ready, after a reboot; 10 to 3600.
    type: int
    default: 600
  front_port:
    description: TCP port of the proxy on this host, through which the app has to answer afterwards if it did before; 0
      asks nothing.
    type: int
    default: 0
  front_tls:
    description: Whether O(front_port) speaks TLS. Its certificate isn't checked.
    type: bool
    default: false
  front_host:
    description: Name of the site for which a balancer is asked through O(front_port).
    type: str
    default: ""
  health_path:
    description: Path for which a balancer is asked there; of an app's host it is known.
    type: str
    default: /health
  balancers:
    description: Names of the balancers in the inventory. A host stands in for another of its kind, balancer or not.
    type: list
    elements: str
    default: []
  asked:
    description:
      - What the hosts that may stand in have answered to O(step=ready), RV(host) and RV(unready) of each. Where none is
        ready, this one doesn't leave, and the run fails before anything is changed.
      - Without it nobody is asked for that.
    type: list
    elements: dict
  balancer:
    description: Whether the host is a balancer. The action plugin sees to it.
    type: bool
    default: false
  alone:
    description: Why the host may not leave. The action plugin sees to it.
    type: str
    default: ""
  step:
    description:
      - What of it a call does; V(back) is what follows a reboot, which the action plugin sees to.
      - V(others) names the hosts of the play that may stand in for this one, whatever C(--limit) says. V(ready) says
        why the host, to which the task is delegated, can't stand in. Both change nothing.
    type: str
    choices: [begin, back, others, ready]
    default: begin
  lock_wait:
    description: Seconds to wait for a deploy to end, at most.
    type: int
    default: 0
  by:
    description: Who patches, for the history. Empty is the user and host of the control node.
    type: str
    default: ""
attributes:
  action:
    support: full
    description: Has an action plugin of the same name, which reboots, starts apps anew, and says what is done.
  check_mode:
    support: full
    description: Says what would be upgraded by the lists of packages that the host has, which aren't fetched anew, and
      whether the host has to be rebooted already.
  diff_mode:
    support: full
    description: Shows the packages with their versions.
  idempotent:
    support: full
    description: A second run finds nothing to upgrade, and does nothing.
seealso:
  - module: graceful.deploy.status_info
"""

EXAMPLES = r"""
- name: Take Debian's security updates, and reboot where that is needed
  graceful.deploy.patch:
    name: hello
    leave_within: 60
"""

RETURN = r"""
others:
  description: The hosts that may stand in, in the order in which to ask them.
  returned: O(step=others)
  type: list
  elements: str
  sample: [web2]
host:
  description: The host that was asked.
  returned: O(step=ready)
  type: str
  sample: web2
unready:
  description: Why the host can't stand in for another one, a phrase; empty where it can.
  returned: O(step=ready)
  type: str
  sample: ""
packages:
  description: What was upgraded, or would be, with its versions.
  returned: success
  type: list
  elements: str
  sample: ["openssl 3.0.15-1~deb12u1 -> 3.0.16-1~deb12u1"]
kept_back:
  description: Packages that apt doesn't upgrade without removing others, or that are held.
  returned: success
  type: list
  elements: str
  sample: []
reboot_reasons:
  description: Why the host has to be rebooted; empty where it hasn't.
  returned: success
  type: list
  elements: str
  sample: ["kernel 6.1.0-32-amd64 is installed, and 6.1.0-28-amd64 runs"]
rebooted:
  description: Whether it was.
  returned: success
  type: bool
  sample: true
down:
  description: For how many seconds the apps answered nobody, at most; null where the host wasn't rebooted.
  returned: success
  type: float
  sample: 34.2
last_down:
  description: The same of the last time; null where nobody knows.
  returned: success
  type: float
  sample: 31.7
listed_at:
  description: When the host's lists of packages were fetched last, in seconds since the epoch.
  returned: success
  type: float
  sample: 1795000000.0
apps:
  description: The apps of this collection that the host serves.
  returned: success
  type: list
  elements: str
  sample: [hello]
notes:
  description: What else was done, a phrase each.
  returned: success
  type: list
  elements: str
  sample: ["left the balancers in 25 s", "upgraded 3 package(s)", "gets requests again"]
"""

from functools import partial

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._host.guard import finish
from ..module_utils._host.systemd import CommandFailed
from ..module_utils._patch.flow import Patch
from ..module_utils._patch.options import ARGUMENTS


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = dict(module.params)
    params["root"] = params["root"] or f"/srv/{params['name']}"
    # A program that can't be started ends a module at once by default, in the middle of a step.
    run = partial(module.run_command, expand_user_and_vars=False, handle_exceptions=False)
    patch = Patch(params, module.check_mode, run, module.warn)
    finish(module, patch.result, CommandFailed, state=lambda: patch.state)


if __name__ == "__main__":
    main()
