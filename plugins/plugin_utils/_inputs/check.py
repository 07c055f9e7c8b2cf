# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Everything that can be known to be wrong with the fastapi_ variables before anybody asks the host. Pure."""

from __future__ import annotations

import difflib
import typing as t

from ...module_utils._app import names as shapes
from ...module_utils._app.problems import HIDDEN, Problem, write
from ...module_utils._app.words import PREFIX
from ...module_utils._plan.capacity import Capacity
from ...module_utils._plan.flow import ARGUMENT_SPEC as PLAN_SPEC
from ...module_utils._plan.flow import plan_for
from ...module_utils._plan.timeouts import Refusal
from . import canary, env_file, fleet, front, notify, oxmgr, processes, rules, webhook
from . import rules as sandbox
from .site import check_site
from .specification import Spec, choices

# What the collection's playbooks read beside the role's own variables.
PLAYBOOK_VARIABLES = frozenset({"hosts"})
# What counts when an app is taken off a host: the rest may be gone, or bad, by then.
FOR_REMOVAL = frozenset(
    "name state root user group remove_data remove_user lock_wait balancers health_interval".split()
)
# What others call things, where the nearest name by letters would be another one.
SYNONYMS = {
    "port": "http_port",
    "domain": "domains",
    "hostname": "domains",
    "server_name": "domains",
    "environment": "env",
    "env_vars": "env",
    "src": "source",
    "repo": "source",
    "path": "root",
    "directory": "root",
    "dir": "root",
    "app_name": "name",
    "module": "app",
    "worker_count": "workers",
    "num_workers": "workers",
    "memory_limit": "memory_max",
    "log_level": "env",
    "migrate": "before_swap",
    "migrations": "before_swap",
    "pre_deploy": "before_swap",
    "secrets": "credentials",
    **dict.fromkeys(("notifications", "notify_url", "slack", "slack_webhook", "webhook_url", "alerts"), "notify"),
    **dict.fromkeys(("deployed_by", "by", "author"), "deployer"),
    "read_write_paths": "writable_paths",
    **dict.fromkeys(("celery", "beat", "background", "background_jobs", "background_workers", "daemons"), "processes"),
    **dict.fromkeys(("cron", "cron_jobs", "cronjobs", "crontab", "jobs", "schedule", "schedules"), "timers"),
}
# What to write for the variables that have no default.
SAMPLES = {"name": "hello", "source": "/home/me/hello"}
# Those whose default isn't empty, and that say something by being so.
MAY_BE_EMPTY = frozenset({"webhook_branch"})
SECRET = frozenset({"env", "credentials", "index_url", "protect", "processes", "notify", "webhook_secret"})

RULES: dict[str, rules.Rule] = {
    "name": shapes.name,
    "remove_data": front.boolean,
    "remove_user": front.boolean,
    "app": rules.app,
    "root": shapes.root,
    "user": shapes.account,
    "group": shapes.account,
    "packages": rules.packages,
    "python": shapes.python,
    "keep_releases": rules.number(2, 1000, 5),
    "extras": rules.words(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?", "prod"),
    "exclude": rules.words(r"[^\x00-\x1f\x7f]+", "*.log"),
    "shared_paths": rules.shared_paths,
    "writable_paths": sandbox.writable_paths,
    "allow_jit": front.boolean,
    "allow_listen": front.boolean,
    "sandbox": sandbox.sandbox,
    "credentials": sandbox.credentials,
    "index_url": rules.index_url,
    "packages_until": rules.day,
    "versions": rules.versions,
    "worker_class": rules.worker_class,
    "keepalive": rules.number(1, 3600, 5, "seconds"),
    "health_path": rules.url_path,
    "ready_path": rules.url_path,
    "health_interval": rules.number(1, 3600, 10, "seconds"),
    "health_failures": rules.number(2, 100, 3),
    "slow_callback": rules.fraction_of_seconds(0.1, 60, 0.5),
    "on_failure": rules.unit,
    "ready_timeout": rules.number(1, 3600, 60, "seconds"),
    "bake": rules.number(0, 600, 2, "seconds"),
    "canary": canary.entry,
    "notify": notify.targets,
    "deployer": notify.deployer,
    "lock_wait": rules.number(0, 3600, 300, "seconds"),
    "serial": rules.serial,
    "balancers": fleet.names,
    "balancer_address": fleet.shared,
    "address": fleet.address,
    "before_swap": rules.words(r"[^\x00]+", "alembic upgrade head"),
    "max_requests": rules.number(0, 1_000_000_000, 10_000),
    "max_requests_jitter": rules.number(0, 1_000_000_000, 1_000),
    "http_port": rules.number(1, 65535, 80),
    "tls_certificate": front.host_path,
    "tls_key": front.host_path,
    "acme_directory": front.acme_directory,
    "acme_email": front.email,
    "acme_ca": front.host_path,
    "hsts": rules.number(0, 63_072_000, 31_536_000, "seconds"),
    "max_body": rules.size,
    "header_timeout": rules.number(1, 600, 10, "seconds"),
    "idle_timeout": rules.number(1, 3600, 120, "seconds"),
    "rate_limit": front.rate,
    "compress": front.boolean,
    "trusted_proxies": front.networks,
    "static": front.static,
    "protect": front.protect,
    "headers": front.headers,
    "maintenance": front.boolean,
    "proxy_snippet": front.snippet,
    "log_max_size": rules.size,
    "log_retention": rules.retention,
    "log_files": front.boolean,
    "webhook_path": webhook.path,
    "webhook_branch": webhook.branch,
    "webhook_tags": webhook.tags,
    "webhook_secret": webhook.secret,
    "processes": processes.entries,
    "timers": processes.entries,
}
# The plan's own rules are asked here as well, on a host without bounds: what is refused there fits no host.
BOUNDLESS = Capacity(cpus=1.0, cpu_source="", memory=1 << 60, memory_source="")


def check_names(names: t.Iterable[str], spec: Spec) -> list[tuple[str, str]]:
    """Variables that look like ours and are none of ours: (whole name, sentence) pairs.

    Their values are never shown: one may be a misspelt secret.
    """
    known = {*spec, *PLAYBOOK_VARIABLES}
    found = []
    for full in sorted(names):
        suffix = _suffix(full, known)
        if suffix is None:
            continue
        folded = suffix.lower().strip("_")
        near = [folded] if folded in known else difflib.get_close_matches(folded, known, 1, 0.6)
        meant = SYNONYMS.get(folded) or (near[0] if near else "")
        advice = f"Write {PREFIX}{meant} instead." if meant else "Take it out; the README of the role lists them all."
        found.append((full, f"{full}: there is no such variable, so it would change nothing. {advice}"))
    return found


_ALMOST_PREFIX = frozenset(
    [
        "fast_api",
        *("fastapi"[:i] + "fastapi"[i + 1 :] for i in range(7)),
        *("fastapi"[:i] + "fastapi"[i + 1] + "fastapi"[i] + "fastapi"[i + 2 :] for i in range(6)),
    ]
) - {"fastapi"}


def _suffix(full: str, known: set[str]) -> str | None:
    """What stands after the prefix in a variable that is meant for the role, but isn't one of it; else None."""
    if full.lower().startswith(PREFIX):
        suffix = full[len(PREFIX) :]
        return None if full.startswith(PREFIX) and suffix in known else suffix
    for almost in _ALMOST_PREFIX:
        if full.startswith(f"{almost}_") and full[len(almost) + 1 :] in known:
            return full[len(almost) + 1 :]
    return None


def check_value(name: str, value: t.Any, option: dict[str, t.Any]) -> list[Problem]:
    """One variable by itself: there, of its kind, one of its choices, and good by its own rule."""
    allowed = choices(option)
    problem = None
    # An empty text where the default isn't one: `fastapi_source:` from a variable of the shell that nobody set.
    if value is None or (value == "" and option.get("default") != "" and name not in MAY_BE_EMPTY):
        if option.get("default") == "":
            advice = write(name, "")
        else:
            advice = "Take it out for the default." if "default" in option else write(name, SAMPLES[name])
        problem = Problem(name, HIDDEN, "it has no value.", advice)
    elif allowed:
        problem = rules.one_of(allowed)(name, value)
    elif value == "" and option.get("default") == "":
        return []
    elif name in RULES:
        problem = RULES[name](name, value)
    elif option.get("type") in ("str", "path") and name not in PLAN_SPEC:
        problem = rules.text(name, value)
    return [problem] if problem else []


def check_env(env: object) -> list[Problem]:
    found = []
    for name, wrong, advice in env_file.problems(env):
        # The trailing sentence about files names no variable of ours, so the key is part of the name.
        found.append(Problem(f"env[{name!r}]" if name else "env", HIDDEN, wrong, advice))
    return found


def check_plan(values: dict[str, t.Any]) -> list[tuple[str, str]]:
    """What the plan and the timeout ladder refuse whatever the host: variable without prefix, and sentence."""
    try:
        plan_for({name: values[name] for name in PLAN_SPEC if name in values}, BOUNDLESS)
    except Refusal as refusal:
        return [(problem.variable.removeprefix(PREFIX), problem.sentence) for problem in refusal.problems]
    return []


def check(values: dict[str, t.Any], spec: Spec, unread: t.Collection[str] = ()) -> list[tuple[str, str]]:
    """Every problem of the variables: (variable without prefix, sentence) pairs, the plan's after the others.

    `values` are typed() values by name without prefix, `spec` the role's options in the same form. What is in
    `unread` is set, but its value can't be had, and that is told elsewhere.
    """
    problems: list[Problem] = []
    for name, option in spec.items():
        if left := rules.unfilled(name, values.get(name)):
            problems += left
        elif name in values:
            problems += check_env(values[name]) if name == "env" else check_value(name, values[name], option)
        elif option.get("required") and name not in unread:
            problems.append(Problem(name, HIDDEN, "it isn't set, and has no default.", write(name, SAMPLES[name])))
    bad = {problem.variable.partition("[")[0] for problem in problems} | set(unread)
    good = {name: value for name, value in values.items() if name not in bad}
    together = [
        *check_site(good),
        *canary.check(good),
        *processes.same_names(good),
        *oxmgr.check(good),
        *webhook.check(good),
        *fleet.check(good),
    ]
    problems += [problem for problem in together if problem.variable not in bad]
    found = [(problem.variable, problem.sentence) for problem in problems]
    return found + [pair for pair in check_plan(values) if pair[0] not in bad]
