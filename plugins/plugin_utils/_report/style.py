# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the page looks, on a light and on a dark screen."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --back: #fff; --ink: #1f2328; --muted: #59636e; --line: #d1d9e0; --soft: #eaeef2;
  --good: #1a7f37; --bad: #cf222e; --back-to: #8250df; --bar: #0969da }
@media (prefers-color-scheme: dark) { :root { --back: #0d1117; --ink: #e6edf3; --muted: #9198a1; --line: #3d444d;
  --soft: #21262d; --good: #3fb950; --bad: #ff7b72; --back-to: #bc8cff; --bar: #58a6ff } }
* { box-sizing: border-box }
body { background: var(--back); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; margin: 0 auto;
  max-width: 76rem; padding: 1.5rem 1rem 3rem }
h1 { font-size: 1.6rem; margin: 0 } h2 { font-size: 1.1rem; margin: 2rem 0 .4rem }
.lead { font-size: 1.1rem; margin: .2rem 0 } .muted { color: var(--muted); margin: 0 0 .5rem } code { font-size: .9em }
.attention { border-left: 4px solid var(--bad); list-style: none; margin: 0; padding: .1rem 0 .1rem .9rem }
.attention li { margin: .25rem 0; overflow-wrap: anywhere }
.wide { overflow-x: auto } table { border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100% }
th, td { border-bottom: 1px solid var(--line); padding: .35rem .9rem .35rem 0; text-align: left; vertical-align: top }
td { white-space: nowrap } td:last-child { min-width: 10rem; white-space: normal }
td.wraps, th.wraps { min-width: 12rem; white-space: normal }
th { color: var(--muted); font-weight: 600 } th:not(.wraps) { white-space: nowrap } th[scope] { color: var(--ink) }
.number { text-align: right } .good { color: var(--good) } .bad { color: var(--bad) }
.bar { background: var(--soft); border-radius: 3px; height: .7rem; margin-top: .35rem; min-width: 9rem;
  position: relative }
.bar b { background: var(--bar); border-radius: 3px; display: block; height: 100% }
.bar b.full { background: var(--bad) }
.bar i { border-left: 2px solid var(--ink); height: 1rem; margin-left: -1px; position: absolute; top: -.15rem }
small { color: var(--muted) }
.timeline { display: grid; gap: .3rem .8rem; grid-template-columns: max-content 1fr }
.line { background: var(--soft); border-radius: 3px; height: 1.3rem; margin: .1rem .5rem; position: relative }
.timeline i, .key { border-radius: 50%; height: .7rem; width: .7rem }
.timeline i { margin-left: -.35rem; position: absolute; top: .3rem } .key { display: inline-block; margin-left: .6rem }
i.good { background: var(--good) }
i.bad { background: var(--bad); border-radius: 1px; transform: rotate(45deg); z-index: 1 }
i.back { background: var(--back-to) }
.ticks { color: var(--muted); font-size: .8rem; height: 1.2rem; margin: 0 .5rem; position: relative }
.ticks span { position: absolute; white-space: nowrap }
"""
