#!/usr/bin/python
# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: prove
short_description: Count what clients notice while an app is deployed
version_added: 0.2.0
author:
  - The graceful.deploy authors (@graceful)
description:
  - Sends numbered requests at a constant rate through the app's own front door, from the host itself, while something
    else is done with the app. Then it counts which of them were lost, late or worked on twice, and draws how long
    answers took over time, with the phases of the deploy.
  - The playbook C(prove.yml) calls it twice, before (O(state=begun)) and after (O(state=ended)) a deploy, rollback or
    restart. What is ended has to have been begun in the same run of Ansible.
  - Requests are real ones, which the app works on and the proxy logs. They go to 127.0.0.1 of the host alone, and only
    for an app that this collection has deployed there, through the site that it has made.
  - The client is a transient unit of systemd's, C(NAME-prove.service), with a user of its own, no rights, and bounds in
    memory, time and number. Where the run of Ansible dies, it ends by itself after O(seconds).
  - A request is lost when it had no answer, one of 500 or more, or one of a status that its path didn't answer in the
    steady stretch before. A path that answers 404 or 401 there isn't lost when it does later. 429 is counted by itself.
  - A request is late when its answer took longer than O(late) seconds, and longer than twice the 99th percentile of its
    path in the steady stretch.
  - A request is doubled when the app's access log has it twice. Work that was cut off isn't in that log.
  - The figures of a deploy go into its line in C(history.jsonl), where M(graceful.deploy.status_info) shows them, and
    to whom C(fastapi_notify) names, as event C(proved).
  - Reads the C(fastapi_) variables of the host, and takes name, root, proxy and site from them.
options:
  state:
    description: Whether it begins or ends.
    type: str
    choices: [begun, ended]
    required: true
  during:
    description:
      - What is done meanwhile. V(swap), V(restart) and V(reload) bring the live release to the traffic anew, by that
        way. V(nothing) measures the quiet.
    type: str
    choices: [deploy, rollback, swap, restart, reload, nothing]
    required: true
  paths:
    description:
      - What to ask, 1 to 20 entries. As text with commas between, as in V(/,/items/1), or a list of paths and of
        mappings with C(path), C(method), C(body), C(content_type) and C(share).
      - Another method than GET is sent only where it is named, as in C(POST /items {"name":"a"}).
    type: raw
    required: true
  rate:
    description: Requests a second, all paths together, 0.1 to 200.
    type: float
    default: 20
  seconds:
    description:
      - How long requests are sent at most, 10 to 900. A deploy that takes longer isn't seen to its end, and the report
        says so. Left out, it is 300, and 30 for O(during=nothing).
    type: float
  before:
    description: Seconds of the steady stretch before anything is done, 2 to 60.
    type: float
    default: 5
  late:
    description: Seconds after which an answer is late, 0.01 to 60, where its path isn't as slow in the steady stretch.
    type: float
    default: 1.0
  timeout:
    description: Seconds after which a request without an answer is lost, 1 to 120.
    type: float
    default: 30
  fail_on_lost:
    description: Fail where so many requests were lost, or more. 0 never does.
    type: int
    default: 0
  into:
    description: Directory on the control node for the report and the pictures, which is made where it isn't there.
    type: path
    default: prove
attributes:
  check_mode:
    support: full
    description: Checks the options and the host, says what would be asked, and sends nothing.
  diff_mode:
    support: none
    description: There is nothing to compare.
  idempotent:
    support: none
    description: Each run sends requests.
  platform:
    support: full
    description: Debian with systemd.
    platforms: debian
  action:
    support: full
    description: Has an action plugin of the same name, and is nothing without it.
notes:
  - Pictures take a plotting library, which is fetched once for the control node. Where that can't be had, the report
    and the figures are written without them.
seealso:
  - module: graceful.deploy.swap
  - module: graceful.deploy.status_info
"""

EXAMPLES = r"""
- name: Begin to ask
  graceful.deploy.prove:
    state: begun
    during: deploy
    paths: /,/items/1

- name: Deploy, and count what clients noticed, whatever comes of it
  block:
    - name: Deploy
      ansible.builtin.include_role:
        name: graceful.deploy.fastapi
        tasks_from: release
  always:
    - name: Count
      graceful.deploy.prove:
        state: ended
        during: deploy
        paths: /,/items/1
        fail_on_lost: 1
"""

RETURN = r"""
figures:
  description:
    - What was counted. C(sent), C(answered), C(lost), C(late), C(limited) (429) and C(doubled) are numbers of requests;
      C(doubled) is null where the app's log has none of them.
    - C(before) and C(after) have C(count), C(p50), C(p99) and C(max) of the steady stretch and of all that follows, in
      milliseconds. C(lost_reasons) says why requests were lost, how often and when, in seconds since the first request.
    - C(deploy) is what moved meanwhile, null where nothing did.
    - The report, the first of RV(files), has more, such as each request that was lost or late, up to 200 of them.
  returned: when it has ended
  type: dict
  sample: {"sent": 1200, "lost": 0, "late": 0, "doubled": 0, "before": {"p99": 12.1}, "after": {"p99": 15.3}}
files:
  description: Paths on the control node of the report and the pictures.
  returned: when it has ended
  type: list
  elements: str
  sample: [prove/web1-deploy.json, prove/web1-deploy.svg, prove/web1-deploy.html]
told:
  description: Whom C(fastapi_notify) names and was told of the figures.
  returned: when it has ended
  type: list
  elements: str
  sample: [slack at hooks.example.org]
msg:
  description: A sentence on what was counted.
  returned: always
  type: str
  sample: 0 of 1,200 requests lost, 0 late, 0 worked on twice; p99 12 → 15 ms.
"""
