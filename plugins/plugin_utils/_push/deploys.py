# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Deploys what was pushed, one after the other, on the host that takes the pushes: NAME-deploys.service runs it.

It is a control node there, so it runs `release.yml` as anybody does, with the same checks, lock, watch and way back.
"""

from __future__ import annotations

import contextlib
import fcntl
import fnmatch
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import typing as t
from dataclasses import dataclass, field

from ...module_utils._app.lock import now
from ...module_utils._app.releases import ReleaseError
from ...module_utils._host.run import finish
from ...module_utils._push import pushes as store
from ...module_utils._push.pushes import CUT_OFF, DEPLOYED, FAILED, OVERTAKEN, PASSED_OVER, RUNNING, WAITING, Push
from .._release.git import HEAD, Standing, remote_of, standing
from .._release.tools import cache_directory

PLAYBOOK = "graceful.deploy.release"
LOCK_WAIT = 600
"""Seconds to wait for somebody who deploys by hand."""
GRACE = 30
"""Seconds for a deploy that took too long to end by itself."""
PAUSES = (2.0, 5.0, 15.0)
"""Seconds before the git server is asked again."""
TRIES = 2
"""So often is a push begun: once more where the host went down, or the deploy was killed."""


@dataclass(frozen=True)
class Settings:
    """What the role webhook wrote down.

    :param inventories: paths for `-i`.
    :param hosts: all that are deployed to.
    :param extra: variables that playbooks read before any host's.
    :param limit: seconds that one deploy may take.
    """

    name: str
    source: str
    branch: str
    tags: str
    inventories: list[str]
    hosts: list[str] = field(default_factory=list)
    vault_ids: list[str] = field(default_factory=list)
    extra: dict[str, t.Any] = field(default_factory=dict)
    limit: int = 3600


Ask = t.Callable[[Push, str], Standing]
"""What the repository says of a push, and of the commit that was begun last."""
Deploy = t.Callable[[Push], str]
"""Deploys it; why it failed, or ''."""
Say = t.Callable[[str], None]
Tell = t.Callable[[Push], None]
"""Tells of a push that failed."""


def why_not(push: Push, settings: Settings, ran: t.Sequence[Push], stands: Standing) -> str:
    """Why a push isn't deployed; '' where it is. Pure.

    A delivery may come twice, late, or again after months, by whoever has recorded it. What it may never do is to bring
    back an older state.

    :param ran: pushes that were begun, in that order.
    """
    last = ran[-1] if ran else None
    if push.name != settings.branch if push.branch else not fnmatch.fnmatchcase(push.name, settings.tags):
        return f"{push.ref} isn't deployed any more"
    if not stands.commit:
        return "the repository hasn't that commit, or not on a branch or tag"
    if not stands.within:
        # A fork's commit can be asked for by its id where the server keeps both together.
        return f"that commit isn't on {push.name}, or isn't any more"
    if stands.commit == stands.head and push.branch:
        return ""
    if last and stands.commit == last.commit:
        return ""
    if before := [other for other in ran if (other.ref, other.commit) == (push.ref, stands.commit)]:
        return f"{before[-1]} brought it, and {last} came after that"
    if last and stands.passed:
        return f"{last} came after that commit. To go back, run rollback.yml, or push the older state as a new commit"
    return ""


class Deploys:
    """The pushes of one app on this host."""

    def __init__(
        self, settings: Settings, taken: str, states: str, ask: Ask, deploy: Deploy, say: Say, tell: Tell
    ) -> None:
        self.settings, self.taken, self.states = settings, taken, states
        self.ask, self.deploy, self.say, self.tell = ask, deploy, say, tell

    def run(self) -> None:
        """Deploy until nothing waits."""
        self.resume()
        while waiting := self.take():
            self.one(waiting)
            store.prune(self.states)

    def resume(self) -> None:
        """What was cut off is begun once more, unless something newer waits."""
        for push in store.pushes(self.states):
            if push.state == RUNNING:
                again = push.tries < TRIES
                self.say(f"{push} was cut off{'; it is begun once more' if again else ''}.")
                reason = "" if again else f"it was cut off {push.tries} times"
                self.note(push.now(state=WAITING if again else CUT_OFF, ended=now(), reason=reason))

    def take(self) -> list[Push]:
        """What waits, the newest first. A file is taken away when it has been noted, so none is lost in between."""
        known = {push.number: push for push in store.pushes(self.states)}
        for name in store.numbers(self.taken):
            path = os.path.join(self.taken, name)
            push = store.read(path)
            if not push:
                self.say(f"{name} is no push, and is thrown away.")
            elif not _is_noted(push, known.get(push.number)):
                # Above all others in any case: who has emptied the listener's directory begins anew with its numbers.
                number = max(push.number, max(known, default=0) + 1)
                known[number] = Push(number, push.ref, push.commit, push.by, push.received)
                self.note(known[number])
            # It would start this for ever; whoever listens may make a directory of such a name.
            with contextlib.suppress(OSError):
                os.unlink(path)
        return [push for push in reversed(store.pushes(self.states)) if push.state == WAITING]

    def one(self, waiting: t.Sequence[Push]) -> None:
        """Deploy the newest that may be; the others have been overtaken by it."""
        for place, push in enumerate(waiting):
            # By their numbers: none is begun after a newer one, and a clock may go back.
            ran = [other for other in store.pushes(self.states) if other.started and other.number != push.number]
            try:
                stands = self.ask(push, ran[-1].commit if ran else "")
                reason, state = why_not(push, self.settings, ran, stands), PASSED_OVER
            except ReleaseError as error:
                reason, state = str(error), FAILED
            if reason:
                self.say(f"{push} isn't deployed: {reason}")
                ended = push.now(state=state, ended=now(), reason=reason.partition("\n")[0])
                self.note(ended)
                if state == FAILED:
                    self.tell(ended)
                continue
            for older in waiting[place + 1 :]:
                self.note(older.now(state=OVERTAKEN, ended=now(), reason=f"push {push.number} is newer"))
            begun = push.now(state=RUNNING, commit=stands.commit, started=now(), ended="", tries=push.tries + 1)
            self.note(begun)
            self.say(f"Deploying {begun}.")
            reason = self.deploy(begun)
            ended = begun.now(state=FAILED if reason else DEPLOYED, ended=now(), reason=reason)
            self.note(ended)
            self.say(f"{begun} {f'failed: {reason}' if reason else 'is deployed.'}")
            if reason:
                self.tell(ended)
            return

    def note(self, push: Push) -> None:
        store.note(self.states, push)


def _is_noted(push: Push, noted: Push | None) -> bool:
    """Whether the push was noted by a run that was killed before the push's file was gone."""
    return noted is not None and (push.ref, push.received) == (noted.ref, noted.received)


def ansible(settings: Settings, program: str, what: str) -> list[str]:
    """A call of one of Ansible's programs with all that the role has brought; pure."""
    inventories = [word for path in settings.inventories for word in ("-i", path)]
    vaults = [word for each in settings.vault_ids for word in ("--vault-id", each)]
    return [os.path.join(os.path.dirname(sys.executable), program), what, *inventories, *vaults]


def variables(settings: Settings, push: Push) -> dict[str, t.Any]:
    """What a push says beside the inventory; pure."""
    return {
        **settings.extra,
        "fastapi_source": settings.source,
        "fastapi_version": push.commit,
        "fastapi_lock_wait": LOCK_WAIT,
        "fastapi_deployer": push.deployer,
    }


def first_failure(path: str) -> tuple[str, str]:
    """The host of the first failure that the callback graceful.deploy.first_failure noted, and all that it said."""
    try:
        with open(path, encoding="utf-8") as file:
            first = json.load(file)
        return str(first["host"]), str(first["msg"]).strip()
    except (OSError, ValueError, KeyError, TypeError):
        return "", ""


def reason_of(host: str, said: str) -> str:
    """Why a run failed, on one line; pure."""
    first, _newline, rest = said.strip().partition("\n")
    if first.endswith("to fix first.") and (problem := re.match(r"1\. (.*)", rest)):
        more = len(re.findall(r"^\d+\. ", rest, re.MULTILINE)) - 1
        first = problem[1] + (f" (and {more} more)" if more else "")
    # Colours of a program, or what no terminal and no file takes.
    first = "".join(char if char.isprintable() else " " for char in first).strip()
    return f"{host}: {first}" if host and first else first


def run_ansible(settings: Settings, push: Push, *options: str) -> tuple[str, str]:
    """Deploy one push: the host on which it failed, and why; ('', '') where it didn't. Ansible's words are the log."""
    with tempfile.TemporaryDirectory(prefix="graceful-push-") as place:
        given, failure = os.path.join(place, "push.json"), os.path.join(place, "failure.json")
        with open(given, "w", encoding="utf-8") as file:
            json.dump(variables(settings, push), file)
        environment = {**os.environ, "GRACEFUL_FIRST_FAILURE": failure}
        words = [*ansible(settings, "ansible-playbook", PLAYBOOK), "--extra-vars", f"@{given}", *options]
        with subprocess.Popen(words, env=environment, stdin=subprocess.DEVNULL, process_group=0) as ran:
            try:
                status = ran.wait(settings.limit)
            except subprocess.TimeoutExpired:
                os.killpg(ran.pid, signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    ran.wait(GRACE)
                # What it has left behind; mostly nothing.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(ran.pid, signal.SIGKILL)
                return "", f"it took longer than {settings.limit} s"
        host, said = first_failure(failure)
        return (host, said or f"ansible-playbook ended with {status}") if status else ("", "")


def patiently(ask: t.Callable[[], Standing], sleep: t.Callable[[float], None] = time.sleep) -> Standing:
    """Ask the git server again where it can't be reached: it may be busy, or this host's network not there yet."""
    for pause in PAUSES:
        try:
            return ask()
        except ReleaseError:
            sleep(pause)
    return ask()


def telling(settings: Settings, push: Push) -> list[str]:
    """The call that tells whom fastapi_notify names of a push that failed, unless its deploy has; pure."""
    said = {
        "name": settings.name,
        "event": "failed",
        "by": push.deployer,
        "commit": push.commit,
        # No template, whatever the app's own words are.
        "reason": re.sub(r"\{(?=[{%#])", "{ ", push.reason),
        "unless_told_since": push.started or push.received,
    }
    words = ansible(settings, "ansible", settings.hosts[0])
    root = '"root": "{{ fastapi_root | default(\'\') }}"'
    return [*words, "--become", "-m", "graceful.deploy.tell", "-a", f"{json.dumps(said)[:-1]}, {root}}}"]


def tell(settings: Settings, push: Push) -> None:
    """Where nobody can be told, the deploy's own log says why."""
    if settings.hosts:
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            if finish(telling(settings, push), os.environ, 120).returncode:
                print("Nobody could be told of it.", flush=True)


def attempt(settings: Settings) -> int:
    """Do all that a deploy does but for its changes; standard error says why one would fail: an exit status."""
    ref = f"refs/heads/{settings.branch}" if settings.branch else HEAD
    try:
        stands = standing(remote_of(settings.source, ""), cache_directory(), ref, ref)
        if not stands.commit:
            raise ReleaseError(f"the repository has no branch {settings.branch}.")
    except ReleaseError as error:
        print(error, file=sys.stderr)
        return 1
    host, said = run_ansible(settings, Push(0, ref, stands.commit), "--check")
    print(f"{host}: {said}" if host else said, file=sys.stderr)
    return 1 if said else 0


def main(arguments: t.Sequence[str]) -> int:
    with open(arguments[0], encoding="utf-8") as file:
        settings = Settings(**json.load(file))
    if arguments[1:] == ["try"]:
        return attempt(settings)
    states = store.STATES.format(name=settings.name)
    lock = os.open(os.path.dirname(states), os.O_RDONLY | os.O_CLOEXEC)
    fcntl.flock(lock, fcntl.LOCK_EX)
    remote = remote_of(settings.source, "")

    def ask(push: Push, since: str) -> Standing:
        return patiently(lambda: standing(remote, cache_directory(), push.ref, push.commit, since))

    def say(text: str) -> None:
        print(text, flush=True)

    def deploy(push: Push) -> str:
        return reason_of(*run_ansible(settings, push))

    taken = store.TAKEN.format(name=settings.name)
    Deploys(settings, taken, states, ask, deploy, say, lambda push: tell(settings, push)).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
