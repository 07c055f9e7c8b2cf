"""The recipes for CI: which jobs run when, and what ci/play does with secrets, without a host."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
CI = ROOT / "examples" / "ci"
GITHUB = {path.stem: yaml.safe_load(path.read_text()) for path in (CI / "github").glob("*.yml")}
GITLAB = yaml.safe_load((CI / "gitlab" / ".gitlab-ci.yml").read_text())
GITLAB_JOBS = {
    name: job
    for name, job in GITLAB.items()
    if isinstance(job, dict) and name not in ("workflow", "default", "variables") and not name.startswith(".")
}
STEPS = [step for workflow in GITHUB.values() for job in workflow["jobs"].values() for step in job["steps"]]
SCRIPTS = [step["run"] for step in STEPS if "run" in step] + ["\n".join(job["script"]) for job in GITLAB_JOBS.values()]
SECRETS = {"SSH_PRIVATE_KEY", "SSH_KNOWN_HOSTS", "VAULT_PASSWORD"}


def holds(condition: str, values: dict[str, Any]) -> bool:
    """What a condition of GitHub's or GitLab's says, of those that are written here: == and != joined by && and ||."""
    named = re.sub(r"\$\w+|github(\.\w+)+", lambda match: repr(values.get(match[0])), condition)
    return bool(eval(named.replace("&&", " and ").replace("||", " or ")))


@pytest.mark.parametrize(
    ("event", "head", "actor", "jobs"),
    [
        ("push", None, "ann", {"build", "deploy"}),
        ("pull_request", "us/shop", "ann", {"build", "check"}),
        ("pull_request", "stranger/shop", "ann", {"build", "no-check"}),
        ("pull_request", "us/shop", "dependabot[bot]", {"build", "no-check"}),
    ],
)
def test_what_github_runs(event, head, actor, jobs):
    values = {"github.event_name": event, "github.actor": actor, "github.repository": "us/shop"}
    values["github.event.pull_request.head.repo.full_name"] = head
    found = GITHUB["deploy"]["jobs"]
    assert {name for name, job in found.items() if "if" not in job or holds(job["if"], values)} == jobs


@pytest.mark.parametrize(
    ("values", "jobs"),
    [
        ({"$CI_PIPELINE_SOURCE": "push"}, {"build", "deploy", "status by hand", "rollback by hand"}),
        (
            {
                "$CI_PIPELINE_SOURCE": "merge_request_event",
                "$CI_MERGE_REQUEST_PROJECT_ID": "1",
                "$CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "1",
            },
            {"build", "check"},
        ),
        (
            {
                "$CI_PIPELINE_SOURCE": "merge_request_event",
                "$CI_MERGE_REQUEST_PROJECT_ID": "1",
                "$CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "2",
            },
            {"build", "no check"},
        ),
    ],
)
def test_what_gitlab_runs(values, jobs):
    found = set()
    for name, job in GITLAB_JOBS.items():
        rule = next((rule for rule in job.get("rules", [{}]) if holds(rule.get("if", "True"), values)), None)
        if rule is not None:
            found.add(f"{name} by hand" if rule.get("when") == "manual" else name)
    assert found == jobs


def test_what_gets_the_secrets_is_no_strangers():
    users = [
        name
        for workflow in GITHUB.values()
        for name, job in workflow["jobs"].items()
        if "secrets." in str(job) or "environment" in job
    ]
    assert sorted(users) == ["check", "deploy", "play"]
    assert not any("pull_request_target" in str(workflow) for workflow in GITHUB.values())
    assert {step["uses"].partition("/")[0] for step in STEPS if "uses" in step} == {"actions"}
    # An expression inside a script is text that somebody else wrote, and runs.
    assert not any("${{" in script for script in SCRIPTS)


def test_no_deploy_is_cut_off_by_the_next():
    for name, event in (("deploy", "push"), ("by-hand", "workflow_dispatch")):
        cancel = GITHUB[name]["concurrency"]["cancel-in-progress"]
        assert cancel is False or not holds(cancel.strip("${ }"), {"github.event_name": event})
    for name in ("deploy", "rollback"):
        assert GITLAB_JOBS[name]["resource_group"] == "production"
        assert not GITLAB_JOBS[name].get("interruptible", False)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script[:30])
def test_every_step_is_sound_shell(script):
    command = [Path(sys.executable).parent / "shellcheck", "--shell=bash", "-"]
    found = subprocess.run(command, input=script, capture_output=True, text=True)
    assert (found.returncode, found.stdout) == (0, "")


def test_the_pins_are_all_that_ansible_needs():
    pinned = {re.split(r"[=; ]", line)[0] for line in (CI / "requirements.txt").read_text().splitlines()[1:]}
    needed, waiting = set[str](), ["ansible-core"]
    while waiting:
        name = waiting.pop().lower()
        needed.add(name)
        for line in importlib.metadata.requires(name) or []:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting += {requirement.name.lower()} - needed
    assert needed <= pinned


def test_the_page_tells_of_every_secret():
    asked = {name for step in STEPS for name in re.findall(r"secrets\.(\w+)", str(step))}
    told = set(re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "ci.md").read_text(), re.MULTILINE))
    assert asked == told == SECRETS


# Programs that play calls, put in place of the real ones: nothing is downloaded, no host is asked.
FAKES = {
    "pip": "exit 0",
    "ansible-galaxy": "exit 0",
    "ansible-playbook": """
{ printf '%s\\n' "$@"; env; stat -c 'mode %a' "$ANSIBLE_HOME"/key; } >"$RECORD"
cat "$ANSIBLE_HOME"/key "$ANSIBLE_HOME"/known_hosts >>"$RECORD"
printf '\\033[0;31m%s\\033[0m\\n' "$SAYS"
exit "$STATUS"
""",
}


class App:
    """A repository with the recipe in it, and a runner's environment."""

    def __init__(self, top: Path) -> None:
        self.top, self.record, self.temp = top / "shop", top / "record", top / "temp"
        (self.top / "ci").mkdir(parents=True)
        (self.top / "inventory").mkdir()
        self.temp.mkdir()
        shutil.copy(CI / "play", self.top / "ci")
        fakes = top / "fakes"
        (fakes / "venv").mkdir(parents=True)
        for name, text in FAKES.items():
            (fakes / "venv" / name).write_text(f"#!/bin/bash\n{text}")
        (fakes / "python3").write_text(f'#!/bin/bash\nmkdir -p "$3" && cp -r {fakes}/venv "$3/bin"\n')
        for path in fakes.rglob("*"):
            path.chmod(0o755)
        key = top / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ci", "-f", key], check=True)
        self.public = key.with_suffix(".pub").read_text()
        self.git("init", "--quiet")
        self.git("add", ".")
        self.git("commit", "--quiet", "--message=First")
        self.environment = {
            "PATH": f"{fakes}:{os.environ['PATH']}",
            "HOME": str(top),
            "RUNNER_TEMP": str(self.temp),
            "RECORD": str(self.record),
            "SAYS": "all is well",
            "STATUS": "0",
            # As it comes out of a form: without the last line's end.
            "SSH_PRIVATE_KEY": key.read_text().strip(),
            "SSH_KNOWN_HOSTS": "192.0.2.10 " + " ".join(self.public.split()[:2]),
        }

    def git(self, *arguments: str) -> str:
        who = ["-c", "user.name=ann", "-c", "user.email=ann@example.com"]
        command = ["git", "-C", str(self.top), *who, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def play(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        told = self.environment | environment
        return subprocess.run([self.top / "ci" / "play", *arguments], env=told, capture_output=True, text=True)


@pytest.fixture
def app(tmp_path):
    if shutil.which("ssh-keygen") is None:
        pytest.skip("There is no ssh-keygen here")
    return App(tmp_path)


def test_play_hands_over_the_commit_and_leaves_no_secret(app):
    done = app.play("site", "--check", "--diff", VAULT_PASSWORD="hidden-word", GITLAB_USER_LOGIN="ann")
    assert (done.returncode, done.stderr) == (0, "")
    record = app.record.read_text()
    assert record.startswith("--inventory\ninventory\ngraceful.deploy.site\n-e\nfastapi_lock_wait=300\n")
    assert f"fastapi_source=file://{app.top}\n-e\nfastapi_version={app.git('rev-parse', 'HEAD')}\n--check\n" in record
    assert "mode 600\n" in record and "StrictHostKeyChecking=yes" in record and "LOGNAME=ann\n" in record
    assert app.environment["SSH_PRIVATE_KEY"] + "\n192.0.2.10 ssh-ed25519 " in record
    # Neither in the environment of what runs there, nor on the disk afterwards, nor in what is kept.
    assert "hidden-word" not in record and "SSH_PRIVATE_KEY" not in record
    assert list(app.temp.iterdir()) == []
    assert (app.top / "play.txt").read_text() == "all is well\n"


def test_play_takes_the_path_of_a_file_and_windows_lines(app, tmp_path):
    key = tmp_path / "variable"
    key.write_text(app.environment["SSH_PRIVATE_KEY"].replace("\n", "\r\n"))
    assert app.play("status", SSH_PRIVATE_KEY=str(key)).returncode == 0
    assert app.environment["SSH_PRIVATE_KEY"] in app.record.read_text()
    assert "fastapi_source" not in app.record.read_text()


def test_play_rolls_back_to_a_release(app):
    assert app.play("rollback", RELEASE="3f2a9c81d04e").returncode == 0
    assert "fastapi_release=3f2a9c81d04e\n" in app.record.read_text()


def test_play_writes_the_summary(app, tmp_path):
    summary = tmp_path / "summary"
    app.play("site", GITHUB_STEP_SUMMARY=str(summary))
    assert summary.read_text() == "### site\n~~~~~~~~diff\nall is well\n~~~~~~~~\n"


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"SSH_PRIVATE_KEY": ""}, "SSH_PRIVATE_KEY is empty: make a key"),
        ({"SSH_PRIVATE_KEY": "ci-key"}, "SSH_PRIVATE_KEY is no private key"),
        ({"SSH_KNOWN_HOSTS": ""}, "SSH_KNOWN_HOSTS is empty: put what 'ssh-keyscan"),
        ({"SSH_KNOWN_HOSTS": "192.0.2.10"}, "SSH_KNOWN_HOSTS has no line as ssh-keyscan prints it"),
        ({"RELEASE": "x fastapi_name=y"}, "RELEASE is no release"),
    ],
)
def test_play_says_what_is_missing_before_it_does_anything(app, environment, said):
    done = app.play("rollback", **environment)
    assert done.returncode == 1
    assert done.stderr.startswith(said) and done.stderr.count("\n") == 1
    assert not app.record.exists()
    assert list(app.temp.iterdir()) == []


def test_play_wants_the_password_where_something_is_encrypted(app):
    (app.top / "inventory" / "vault.yml").write_text("$ANSIBLE_VAULT;1.1;AES256\n00\n")
    done = app.play("site", GITHUB_ACTIONS="true", ENVIRONMENT="check")
    assert done.returncode == 1
    assert done.stderr.startswith("::error::VAULT_PASSWORD is empty") and "Environments > check >" in done.stderr


def test_play_wants_the_whole_history(app, tmp_path):
    app.git("commit", "--quiet", "--allow-empty", "--message=Second")
    shallow = tmp_path / "shallow"
    subprocess.run(["git", "clone", "--quiet", "--depth=1", f"file://{app.top}", shallow], check=True)
    app.top = shallow
    assert "fetch-depth: 0 (GitHub)" in app.play("site").stderr


@pytest.mark.parametrize(
    ("says", "said"),
    [
        ("Host key verification failed.", "A host has another key than SSH_KNOWN_HOSTS says"),
        ("admin@192.0.2.10: Permission denied (publickey,password).", "A host doesn't know the key of SSH_PRIVATE_KEY"),
        ("Decryption failed (no vault secrets were found", "VAULT_PASSWORD isn't what inventory/ was encrypted with"),
    ],
)
def test_play_says_what_to_do_about_a_host_that_cant_be_reached(app, says, said):
    done = app.play("site", SAYS=says, STATUS="4")
    assert done.returncode == 4
    assert done.stderr.startswith(said)
    assert ("publickey" in says) == (app.public.strip() in done.stderr)
