# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A page of all hosts, of what ``status_info`` says of each: one file that needs no other, light and dark. Pure."""

from __future__ import annotations

import calendar
import time
import typing as t
from collections import defaultdict

from ...module_utils._observe.text import CANARY, age, canary
from ...module_utils._plan.sizes import human_size
from . import balancers
from .cells import WRAPS, cell, cells, ends_soon, escaped, first, of_certificate, table, when
from .style import STYLE

Facts = t.Mapping[str, t.Any]
DAYS = 30
"""So long is the timeline."""
LAST = 25
"""So many deploys are in the table."""
MUCH = 0.85
"""Part of the memory limit from which on it is to be looked at."""
GOOD = "live"
RAN = "ran"
"""Of commands before a release, which is no deploy."""


def page(facts: t.Mapping[str, Facts | None], now: float) -> str:
    """
    :param facts: what each host says, by its name; None for one that couldn't be asked.
    :param now: seconds since the epoch.
    """
    before = {host: each for host, each in facts.items() if each is not None and "balances" in each}
    facts = {host: each for host, each in facts.items() if host not in before}
    told = {host: each for host, each in facts.items() if each is not None}
    lead = " ".join(filter(None, [summary(facts), balancers.summary(before)]))
    title = ", ".join(sorted({each["name"] for each in [*told.values(), *before.values()]})) or "Status"
    attention = [*balancers.to_look_at(before, told, now), *to_look_at(facts, now)]
    parts = [
        f"<h1>{escaped(title)}</h1>",
        f'<p class="lead">{escaped(lead)}</p>',
        f'<p class="muted">As of {when(now)} UTC, by <code>status.yml -e report=</code>.</p>',
    ]
    if attention:
        rows = "".join(f"<li><b>{escaped(host)}</b> {escaped(what)}</li>" for host, what in attention)
        parts.append(f'<h2>To look at</h2><ul class="attention">{rows}</ul>')
    parts += [balancers.table_of(before, told, now), _hosts(facts, now)]
    parts += [_timeline(told, now), _deploys(told), _beside(told), _pushes(told)]
    body = "\n".join(part for part in parts if part)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escaped(title)}</title><style>{STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def summary(facts: t.Mapping[str, Facts | None]) -> str:
    """Which release is where, in a sentence."""
    count = f"{len(facts)} host{'' if len(facts) == 1 else 's'}"
    where = defaultdict(list)
    for host, each in facts.items():
        if each is not None:
            where[each["release"] or ""].append(host)
    without, silent = where.pop("", []), [host for host, each in facts.items() if each is None]
    apps = {each["name"] for each in facts.values() if each is not None}
    if len(apps) > 1:
        return f"{count} with {len(apps)} apps."
    if not where:
        return f"{count}, and {'none could be asked' if silent == [*facts] else 'nothing is live on any'}."
    if len(where) == 1 and not without and not silent:
        return f"{count}, {'with' if len(facts) == 1 else 'all with'} release {next(iter(where))}."
    said = [
        f"{release} on {', '.join(hosts)}" for release, hosts in sorted(where.items(), key=lambda row: -len(row[1]))
    ]
    said += [f"nothing live on {', '.join(without)}"] if without else []
    said += [f"{', '.join(silent)} couldn't be asked"] if silent else []
    return f"{count} with {len(where)} release{'' if len(where) == 1 else 's'}: {'; '.join(said)}."


def to_look_at(facts: t.Mapping[str, Facts | None], now: float) -> t.Iterator[tuple[str, str]]:
    """What somebody has to know, by host: what status says in words, and figures that are near their limits."""
    for host, each in facts.items():
        if each is None:
            yield host, "couldn't be asked."
            continue
        if not each["live"]:
            yield host, "nothing is live."
        if each["maintenance"]:
            yield host, "clients get the maintenance page."
        if each.get("leaving"):
            yield host, f"it is leaving since {each['leaving']['since']}: balancers send it nothing."
        if each["deploying"]:
            yield host, f"a deploy is under way, in phase {each['deploying'].get('phase')}."
        if each["cut_off"]:
            yield host, f"a deploy was cut off in phase {each['cut_off'].get('phase')}. Deploy again."
        for slot, row in each["slots"].items():
            for said in (row["note"], row["advice"]):
                if said:
                    yield host, f"{slot}: {first(said)}"
            if slot == each["live"] and row["memory_max"] and row["memory"] > MUCH * row["memory_max"]:
                yield host, f"{slot} has {human_size(row['memory'])} of {human_size(row['memory_max'])}."
        if (ready := _live(each).get("ready", "")) and " answers 2" not in ready:
            yield host, first(ready)
        if said := ends_soon(each, now):
            yield host, said
        if stalls := each.get("stalls"):
            yield host, f"an event loop stood still for {stalls['seconds']:.1f} s ({stalls['where']})."
        yield from ((host, f"{row['process']}: {first(row['note'])}") for row in each["processes"] if row["note"])
        yield from ((host, f"{row['timer']}: {first(row['note'])}") for row in each["timers"] if row["note"])
        last = _last_deploy(each)
        if last and last.get("outcome") != GOOD:
            why = first(last.get("reason", ""))
            yield host, f"the last {last.get('kind', 'deploy')} ended as {last.get('outcome')}: {why}"


def _live(each: Facts) -> Facts:
    return each["slots"].get(each["live"], {}) if each["live"] else {}


def _hosts(facts: t.Mapping[str, Facts | None], now: float) -> str:
    rows = []
    for host, each in facts.items():
        if each is None:
            rows.append([escaped(host), '<td class="bad" colspan="8">couldn\'t be asked</td>'])
            continue
        live = _live(each)
        good = " answers 2" in live.get("ready", "")
        answer = live.get("ready", "").partition(" answers ")[2]
        rows.append(
            [
                escaped(host),
                cell(each["name"]),
                f"<td><code>{escaped(each['release'] or '-')}</code></td>",
                cell(age(now - live["since"]) if live.get("workers") else "-"),
                cell(answer[:40] or "-", "good" if good else "bad" if live else ""),
                cell(str(live.get("workers", "-")), "number"),
                f"<td>{_memory(live)}</td>",
                cell(*of_certificate(each, now)),
                cell(_last(each)),
            ]
        )
    head = ["host", "app", "release", "since", "ready", "workers", "memory of its limit", "certificate", "last deploy"]
    return table("Hosts", head, [f'<th scope="row">{first}</th>{"".join(rest)}' for first, *rest in rows])


def _last_deploy(each: Facts) -> Facts:
    return next((entry for entry in reversed(each["history"]) if entry.get("outcome") != RAN), {})


def _last(each: Facts) -> str:
    if not (last := _last_deploy(each)):
        return "-"
    return f"{last.get('started', '')[:16].replace('T', ' ')} {last.get('outcome', '')}"


def _memory(live: Facts) -> str:
    """A bar of what the slot has, with a mark where the plan's workers would be."""
    if not live.get("workers") or not live.get("memory_max"):
        return human_size(live["memory"]) if live.get("memory") else "-"
    most = live["memory_max"]
    part = min(1.0, live["memory"] / most)
    planned = (live.get("worker_memory_planned") or 0) * live["workers"] / most
    mark = f'<i style="left:{100 * min(1.0, planned):.0f}%" title="planned for its workers"></i>' if planned else ""
    full = ' class="full"' if part > MUCH else ""
    return (
        f'<div class="bar"><b{full} style="width:{100 * part:.0f}%"></b>{mark}</div>'
        f"<small>{human_size(live['memory'])} of {human_size(most)}</small>"
    )


def _began(entry: Facts) -> float:
    try:
        return calendar.timegm(time.strptime(entry.get("started", "")[:19], "%Y-%m-%dT%H:%M:%S"))
    except ValueError:
        return 0.0


def _timeline(told: t.Mapping[str, Facts], now: float) -> str:
    begin, rows = now - DAYS * 86400, []
    for host, each in told.items():
        marks = []
        for entry in each["history"]:
            if (at := _began(entry)) < begin or entry.get("outcome") == RAN:
                continue
            said = [when(at), entry.get("kind", ""), entry.get("release", ""), entry.get("outcome", "")]
            said += [entry.get("by", ""), _lost(entry), _compared(entry), first(entry.get("reason", ""))]
            kind = "back" if entry.get("kind") == "rollback" else "good" if entry.get("outcome") == GOOD else "bad"
            left = 100 * (at - begin) / (now - begin)
            marks.append(
                f'<i class="{kind}" style="left:{left:.2f}%" title="{escaped(", ".join(filter(None, said)))}"></i>'
            )
        rows.append(f'<div class="host">{escaped(host)}</div><div class="line">{"".join(marks)}</div>')
    if not any("<i " in row for row in rows):
        return ""
    days = [time.strftime("%d %b", time.gmtime(begin + step * DAYS * 86400 / 6)) for step in range(6)]
    ticks = "".join(f'<span style="left:{100 * step / 6:.1f}%">{day}</span>' for step, day in enumerate(days))
    return (
        f"<h2>Deploys of the last {DAYS} days</h2>"
        '<p class="muted"><i class="key good"></i> went live <i class="key back"></i> rolled back '
        '<i class="key bad"></i> failed, or moved back</p>'
        f'<div class="timeline">{"".join(rows)}<div></div><div class="ticks">{ticks}</div></div>'
    )


def _lost(entry: Facts) -> str:
    """What ``prove.yml`` counted in this deploy; empty where it didn't."""
    proved = entry.get("proved")
    if not isinstance(proved, dict) or not proved.get("sent"):
        return ""
    return f"{proved.get('lost', 0):,} of {proved['sent']:,} lost"


def _compared(entry: Facts) -> str:
    """What a canary was, and what served beside it; empty where there was none."""
    counted = entry.get("canary")
    return f"canary / live: {canary(counted)}" if isinstance(counted, dict) and counted else ""


def _deploys(told: t.Mapping[str, Facts]) -> str:
    found = [(_began(entry), host, entry) for host, each in told.items() for entry in each["history"]]
    found = sorted(found, key=lambda row: (-row[0], row[1]))[:LAST]
    proved, canaries = (any(what(entry) for _at, _host, entry in found) for what in (_lost, _compared))
    rows = [
        "".join(
            [
                cell(when(at)),
                cell(host),
                cell(entry.get("kind", "")),
                f"<td><code>{escaped(entry.get('release', ''))}</code></td>",
                cell(f"{entry.get('seconds', 0):.1f} s", "number"),
                cell(entry.get("outcome", ""), {GOOD: "good", RAN: ""}.get(entry.get("outcome", ""), "bad")),
                *([cell(_lost(entry))] if proved else []),
                *([cell(_compared(entry).removeprefix("canary / live: "), WRAPS)] if canaries else []),
                cell(entry.get("by", "")),
                cell(first(entry.get("reason", ""))),
            ]
        )
        for at, host, entry in found
    ]
    more = [*([("requests", "")] if proved else []), *([(CANARY, WRAPS)] if canaries else [])]
    head: list[str | tuple[str, str]] = ["UTC", "host", "kind", "release", "took", "outcome", *more, "who", "why"]
    return table("Last deploys", head, rows)


def _beside(told: t.Mapping[str, Facts]) -> str:
    rows = []
    for host, each in told.items():
        for row in each["processes"]:
            state = "" if "running" in row["service"] else "bad"
            rows.append(cells(host, row["process"], (row["service"], state), row["release"] or "-", row["command"]))
        for row in each["timers"]:
            state = "bad" if row["note"] else ""
            rows.append(
                cells(host, row["timer"], (row["outcome"], state), f"next {row['next'] or '-'}", row["command"])
            )
    return table("Processes and timers", ["host", "name", "state", "", "command"], rows)


def _pushes(told: t.Mapping[str, Facts]) -> str:
    rows = []
    for host, each in told.items():
        for push in reversed(each["pushes"]):
            state = (push["state"], "bad" if push["state"] in ("failed", "cut off") else "")
            when = push["received"][:16].replace("T", " ")
            rows.append(cells(host, str(push["number"]), when, push["commit"][:12], state, push["by"], push["reason"]))
    return table("Pushes", ["host", "push", "received (UTC)", "commit", "state", "who", "why"], rows)
