# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Debian's `webhook` runs for a push whose signature is good: it notes the push, and answers with its number.

It deploys nothing and reads no secret. What it was told by the git server is in its environment.
"""

from __future__ import annotations

import datetime
import fcntl
import fnmatch
import json
import os
import re
import socket
import sys
import time
from collections.abc import Mapping, Sequence

COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
# As git has it; whoever deploys believes no other.
REF = re.compile(r"refs/(heads|tags)/[^\x00-\x20\x7f~^:?*\[\\]{1,200}")
EVENTS = frozenset({"push", "Push Hook", "Tag Push Hook"})
"""Those that bring a commit, by GitHub's, Gitea's and Forgejo's words and by GitLab's."""
LONGEST = 200


def read(environment: Mapping[str, str], branch: str, tags: str) -> tuple[dict[str, str], str]:
    """The push that the git server tells of, and why it isn't to be deployed, if it isn't.

    :param environment: by names that the role's template gives.
    """
    event = _first(environment, "EVENT_GITHUB", "EVENT_GITLAB", "EVENT_GITEA")
    if event and event not in EVENTS:
        return {}, f"the event {_line(event)} deploys nothing; choose push"
    ref, commit = _first(environment, "REF"), _first(environment, "COMMIT", "AFTER")
    kind, _slash, name = ref.removeprefix("refs/").partition("/")
    if not ref.startswith("refs/") or not name:
        return {}, "it has no ref, such as refs/heads/main"
    if not (kind == "heads" and name == branch) and not (kind == "tags" and tags and fnmatch.fnmatchcase(name, tags)):
        wanted = [f"branch {branch}"] * bool(branch) + [f"tags {tags}"] * bool(tags)
        return {}, f"{_line(ref)} isn't deployed, but {' and '.join(wanted)}"
    if not REF.fullmatch(ref) or not ref.isprintable():
        return {}, f"{_line(ref)} is no name that git has"
    if not COMMIT.fullmatch(commit):
        return {}, "its field after is no commit"
    if not commit.strip("0"):
        return {}, f"{_line(ref)} was deleted"
    by = _first(environment, "BY_NAME", "BY_USER", "BY_LOGIN", "BY")
    return {"ref": ref, "commit": commit, "by": _line(by) or "unknown"}, ""


def _first(environment: Mapping[str, str], *names: str) -> str:
    """The first of these that says something. webhook writes JSON's null so, such as GitLab's of a deleted branch."""
    return next((text for name in names if (text := environment.get(name, "")) not in ("", "<nil>")), "")


def _line(text: str) -> str:
    """On one line, whatever a stranger to this host has called a branch or himself."""
    return "".join(char if char.isprintable() else " " for char in text)[:LONGEST].strip()


def keep(queue: str, push: Mapping[str, str]) -> int:
    """Note the push, on the disk when this returns; its number."""
    place = os.path.dirname(queue)
    counter = os.open(os.path.join(place, "number"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    # Beside the queue, which has nothing but whole pushes: whatever is in it starts a deploy.
    beside = os.path.join(place, "new")
    try:
        fcntl.flock(counter, fcntl.LOCK_EX)
        number = last_number(os.pread(counter, 20, 0), os.listdir(queue)) + 1
        os.ftruncate(counter, os.pwrite(counter, b"%d" % number, 0))
        os.fsync(counter)
        received = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        with open(beside, "w", encoding="utf-8") as file:
            json.dump({"number": number, "received": received, **push}, file)
            file.flush()
            os.fsync(file.fileno())
        os.rename(beside, os.path.join(queue, f"{number:08}.json"))
        directory = os.open(queue, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        os.fsync(directory)
        os.close(directory)
        return number
    finally:
        os.close(counter)


def last_number(noted: bytes, waiting: Sequence[str]) -> int:
    """The last that was given, also where a power cut has left nothing of the note."""
    given = [int(name[:-5]) for name in waiting if re.fullmatch(r"\d{8,12}\.json", name, re.ASCII)]
    return max([int(noted) if re.fullmatch(rb"\d{1,12}", noted) else 0, *given])


def listening(port: int, limit: float = 15.0) -> int:
    """Wait until somebody listens there, so that the first push finds it: an exit status."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return 0
        time.sleep(0.05)
    return 1


def main(arguments: list[str]) -> int:
    if arguments[0] == "armed":
        return 0 if len(os.environ.get("SECRET", "")) >= 20 else 1
    if arguments[0] == "listening":
        return listening(int(arguments[1]))
    queue, branch, tags = arguments[1:4]
    push, why = read(os.environ, branch, tags)
    answer = {"push": None, "reason": why} if why else {"push": keep(queue, push), "commit": push["commit"]}
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
