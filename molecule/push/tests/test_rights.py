"""Who may read and do what: the app's user, and the one who listens, tried as each of them."""

from __future__ import annotations

import pytest
from conftest import NAME, STATES

SECRETS = (
    f"/etc/graceful-deploys/{NAME}/deploys.json",
    f"/etc/graceful-deploys/{NAME}/ansible.cfg",
    f"/var/lib/graceful-deploys/{NAME}/key",
    f"/etc/graceful-webhook/{NAME}.secret",
    f"/etc/graceful-deploys/{NAME}/inventory",
    STATES,
)
"""Four files and two directories."""
FORBIDDEN = (
    *(f"cat {path}" for path in SECRETS[:-2]),
    *(f"ls {path}" for path in SECRETS[-2:]),
    "ls /var/lib/graceful-deploys",
    f"touch /var/lib/graceful-webhook/{NAME}/queue/00000099.json",
    f"touch {STATES}/00000099.json",
    "touch /usr/local/lib/graceful-webhook/push.py",
    "touch /usr/local/lib/graceful-deploys/x",
    f"systemctl --no-ask-password start {NAME}-deploys.service",
    "sudo -n true",
    "sudo -n -u graceful-deploys true",
    f"curl -sf --unix-socket /run/{NAME}-webhook.sock http://x/hooks/push -d '{{}}'",
    "curl -sf -m 5 http://127.0.0.1:9000/hooks/push -d '{}'",
)


@pytest.mark.core
@pytest.mark.parametrize("command", FORBIDDEN)
def test_the_apps_user_may_not(ask, command):
    assert ask.host.run(f"runuser -u deploy -- sh -c '{command}'".replace("'{}'", "{}")).rc != 0


def test_root_may_so_the_attempts_are_real(ask):
    for path in SECRETS:
        ask.run(f"test -e {path}")
    assert (
        ask.run(
            f"curl -s -o /dev/null -w '%{{http_code}}' --unix-socket /run/{NAME}-webhook.sock "
            "http://x/hooks/push -d '{}'"
        )
        == "403"
    )


def test_who_listens_reads_no_key_and_deploys_nothing(ask):
    pid = ask.show(f"{NAME}-webhook-hooks.service", "MainPID")["MainPID"]
    inside = (
        f"nsenter --target {pid} --mount --net --setuid $(id -u graceful-webhook) --setgid $(id -g graceful-webhook) "
    )
    for command in (
        f"cat /etc/graceful-deploys/{NAME}/deploys.json",
        f"ls /var/lib/graceful-deploys/{NAME}",
        f"cat /srv/{NAME}/environment",
        "touch /etc/x",
        "sudo -n true",
        "curl -sf -m 3 http://127.0.0.1:80/",
    ):
        assert ask.host.run(f"{inside} {command}").rc != 0, command
    exposed = ask.run(f"systemd-analyze security --no-pager {NAME}-webhook-hooks.service | tail -1")
    assert float(exposed.split(":")[1].split()[0]) < 3, exposed


def test_only_the_deploying_user_becomes_root(ask):
    ask.run("runuser -u graceful-deploys -- sudo -n true")
    assert ask.host.run("runuser -u graceful-webhook -- sudo -n true").rc != 0
    ask.run("visudo --check --quiet")


def test_no_secret_is_in_a_log_or_a_process(ask):
    secret = ask.run(f"grep -o '[^=]*$' /etc/graceful-webhook/{NAME}.secret | tail -1").strip()
    assert len(secret) >= 20
    for namespace in ("", f"--namespace {NAME}-deploys"):
        assert ask.host.run(f"journalctl {namespace} --output cat | grep -F -e {secret}").rc == 1
    assert ask.host.run(f"cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -F -e {secret} | grep -v grep").stdout == ""
