"""Tells of a push as a git server does: client.py KIND FIELDS, and prints status and answer.

KIND is github, gitlab, gitea, plain (any program that signs) or bearer; FIELDS is JSON: ref, commit and by, and what
isn't as it should be: secret, event, body (sent as it is), size (bytes that the body is filled up to).
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import sys

SECRET = "/etc/graceful-webhook/swap.secret"
PATH = "/-/push"


def request(kind: str, given: dict) -> tuple[bytes, dict[str, str]]:
    """Body and headers."""
    with open(SECRET) as file:
        secret = given.get("secret") or file.read().strip().partition("SECRET=")[2]
    ref, commit, by = given.get("ref", "refs/heads/main"), given.get("commit", ""), given.get("by", "ann")
    content: dict = {"ref": ref, "after": commit, "before": "0" * 40, "repository": {"name": "app"}}
    if kind == "github":
        # Of an annotated tag it is the tag's own id.
        content |= {"pusher": {"name": by, "email": "a@example.com"}, "head_commit": {"id": commit}}
    elif kind == "gitlab":
        content |= {"object_kind": "push", "checkout_sha": commit, "user_username": by, "user_name": "Ann"}
    elif kind == "gitea":
        content |= {"pusher": {"login": by, "full_name": "Ann"}}
    else:
        content = {"ref": ref, "after": commit, "by": by}
    body = given["body"].encode() if "body" in given else json.dumps(content).encode()
    body += b" " * (given.get("size", 0) - len(body))
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {
        "github": {"X-GitHub-Event": given.get("event", "push"), "X-Hub-Signature-256": f"sha256={signature}"},
        "gitlab": {"X-Gitlab-Event": given.get("event", "Push Hook"), "X-Gitlab-Token": secret},
        "gitea": {"X-Gitea-Event": given.get("event", "push"), "X-Gitea-Signature": signature},
        "plain": {"X-Hub-Signature-256": f"sha256={signature}"},
        "bearer": {"Authorization": f"Bearer {secret}"},
    }[kind]
    return body, {"Content-Type": "application/json", **headers}


def main(kind: str, fields: str) -> None:
    body, headers = request(kind, json.loads(fields))
    connection = http.client.HTTPConnection("127.0.0.1", 80, timeout=30)
    try:
        connection.request("POST", PATH, body, headers)
        answer = connection.getresponse()
        print(answer.status, answer.read().decode(errors="replace").strip())
    except OSError as error:
        print(0, error)


if __name__ == "__main__":
    main(*sys.argv[1:])
