"""How pushes come in: what is refused, and that what is proposed passes."""

from __future__ import annotations

import re
import subprocess

import pytest
import yaml
from ansible_collections.graceful.deploy.plugins.module_utils._app import names
from ansible_collections.graceful.deploy.plugins.module_utils._push.pushes import Push, _good
from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs import check as inputs
from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs import webhook
from ansible_collections.graceful.deploy.plugins.plugin_utils._inputs.specification import load_spec, typed
from hypothesis import example, given
from hypothesis import strategies as st

SPEC = load_spec()
CANARY = "k4n4ry"
SECRET = "aZ0._~+/=:@%^*,!-xyz12345"


@pytest.mark.parametrize(
    ("variable", "values"),
    [
        ("webhook_path", ["/-/push", "/p", "/push/", "/a.b/~c"]),
        ("webhook_branch", ["main", "release/1.x", "feature/#12+fix@x", "a-b_c", 200 * "x"]),
        ("webhook_tags", ["v*", "v?.?", "*", "release/*", "1.0"]),
        ("webhook_secret", [20 * "x", SECRET, 500 * "x"]),
    ],
)
def test_good_values(variable: str, values: list[object]) -> None:
    for value in values:
        assert inputs.RULES[variable](variable, value) is None


@pytest.mark.parametrize(
    ("variable", "value", "advice"),
    [
        ("webhook_path", "/", "Write fastapi_webhook_path: /-/push."),
        ("webhook_path", "", "Write fastapi_webhook_path: /-/push."),
        ("webhook_path", "push", "Write fastapi_webhook_path: /push."),
        ("webhook_path", "https://example.com/-/push", "Write fastapi_webhook_path: /-/push."),
        ("webhook_path", "/-/push?x", "Write fastapi_webhook_path: /-/pushx."),
        ("webhook_path", "/a b", "Write fastapi_webhook_path: /ab."),
        ("webhook_path", '/"};', "Write fastapi_webhook_path: /-/push."),
        # Not what an app is asked at by default.
        ("webhook_path", 5, "Write fastapi_webhook_path: /-/push."),
        ("webhook_path", True, "Write fastapi_webhook_path: /-/push."),
        ("webhook_branch", "refs/heads/main", "Write fastapi_webhook_branch: main."),
        ("webhook_branch", "refs/heads/release/1", "Write fastapi_webhook_branch: release/1."),
        ("webhook_branch", "main, dev", "Write fastapi_webhook_branch: main."),
        ("webhook_branch", "release/*", "Write fastapi_webhook_branch: main."),
        ("webhook_branch", "-x", "Write fastapi_webhook_branch: main."),
        ("webhook_branch", 'x"', "Write fastapi_webhook_branch: main."),
        ("webhook_branch", "{{x}}", "Write fastapi_webhook_branch: main."),
        ("webhook_branch", "main\n", "Write fastapi_webhook_branch: main."),
        ("webhook_branch", 201 * "x", "Write fastapi_webhook_branch: main."),
        ("webhook_branch", ["main"], "Write fastapi_webhook_branch: main."),
        ("webhook_tags", "refs/tags/v*", "Write fastapi_webhook_tags: v*."),
        ("webhook_tags", "[0-9]", "Write fastapi_webhook_tags: v*."),
        ("webhook_tags", "v*\n", "Write fastapi_webhook_tags: v*."),
        ("webhook_tags", 1.0, "Write fastapi_webhook_tags: v*."),
    ],
)
def test_bad_values_are_refused_with_what_to_write(variable: str, value: object, advice: str) -> None:
    problem = inputs.RULES[variable](variable, value)
    assert problem is not None and problem.advice == advice
    written = yaml.safe_load(advice.removeprefix(f"Write fastapi_{variable}: ").removesuffix("."))
    assert inputs.RULES[variable](variable, written) is None


@pytest.mark.parametrize("value", [CANARY, f"{CANARY} {20 * 'x'}", f"{CANARY}{20 * 'x'}\n", f'{CANARY}{20 * "x"}"', 5])
def test_a_secret_that_is_short_or_no_word_is_refused_unseen(value: object) -> None:
    problem = webhook.secret("webhook_secret", value)
    assert problem is not None and CANARY not in problem.sentence and webhook.MAKE_SECRET in problem.sentence


NAMES = st.text("a./-@{}*~^:\\ #+k_loc\n\x7f", min_size=1, max_size=12)


@given(NAMES | st.from_regex(r"[a./-]{1,4}\.lock[a./]{0,3}", fullmatch=True))
@example("a.lock/b")
@example("a./b")
@example("@")
def test_a_branch_that_passes_is_one_that_git_has_and_that_is_believed(name: str) -> None:
    if webhook.branch("webhook_branch", name) is None:
        done = subprocess.run(["git", "check-ref-format", f"refs/heads/{name}"], check=False)
        assert done.returncode == 0
        assert _good(Push(1, f"refs/heads/{name}", 40 * "a"))
        assert webhook.tags("webhook_tags", name) is None


def variables(**changes: object) -> dict[str, object]:
    values = {name: option["default"] for name, option in SPEC.items() if "default" in option}
    values |= {"name": "hello", "source": "git@x.org:y.git", "root": "/srv/hello", "group": "deploy"}
    values |= {"proxy_timeout": 65, "max_requests_jitter": 0, "domains": ["a.org"], "tls": "acme"}
    return typed(values | changes, SPEC)


def sentences(**changes: object) -> list[str]:
    return [sentence for _variable, sentence in inputs.check(variables(**changes), SPEC)]


OFF = {"tls": "off", "domains": []}
HASH = "$2b$05$abcdefghijklmnopqrstuupx2xBUC4954936wVIjyyPHmUBFu0wCW"


@pytest.mark.parametrize(
    "changes",
    [
        {"webhook_path": "/-/push"},
        {"webhook_path": "/-/push", **OFF, "trusted_proxies": ["10.0.0.0/8"]},
        {"webhook_path": "/-/push", "tls": "internal"},
        {"webhook_path": "/-/push", "webhook_branch": "", "webhook_tags": "v*"},
        {"webhook_path": "/-/push", "webhook_secret": SECRET, "webhook_host": "web1"},
        {"webhook_path": "/-/push", "protect": [{"path": "/", "users": {"ann": HASH}}]},
        {"webhook_path": "/staticpush", "static": {"/static": "app/static"}},
        {"webhook_path": "/administration", "protect": [{"path": "/admin", "users": {"ann": HASH}}]},
        # Nothing is asked of who takes no pushes.
        {**OFF},
        {"proxy": "none", "webhook_branch": ""},
    ],
)
def test_good_sets_pass(changes: dict[str, object]) -> None:
    assert sentences(**changes) == []


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        (OFF, ["whoever sees a push", "fastapi_tls: acme", "fastapi_trusted_proxies"]),
        ({"proxy": "none"}, ["fastapi_proxy is none", "Write fastapi_proxy: caddy"]),
        ({"proxy": "none", **OFF}, ["fastapi_proxy is none"]),
        ({"health_path": "/-/push"}, ["asked there whether it is well", "fastapi_webhook_path: /-push-1."]),
        ({"ready_path": "/-/push"}, ["asked there whether it is well", "fastapi_webhook_path: /-push-1."]),
        ({"webhook_path": "/health"}, ["asked there whether it is well", "fastapi_webhook_path: /-/push."]),
        ({"static": {"/-": "app/static"}}, ["files below /-", "fastapi_webhook_path: /-push-1."]),
        ({"static": {"/-/push": "app/static"}}, ["files below /-/push"]),
        (
            {"protect": [{"path": "/-/", "users": {"ann": HASH}}, {"path": "/-push-1", "users": {"ann": HASH}}]},
            ["lets only some in below /-,", "fastapi_webhook_path: /-push-2."],
        ),
        (
            {"webhook_path": "/admin/push", "protect": [{"path": "/Admin", "users": {"ann": HASH}}]},
            ["lets only some in below /Admin,", "fastapi_webhook_path: /-/push."],
        ),
        (
            {"webhook_branch": "", "webhook_tags": ""},
            ["no push would deploy anything", "fastapi_webhook_branch: main."],
        ),
    ],
)
def test_sets_that_would_take_no_push_are_refused(changes: dict[str, object], parts: list[str]) -> None:
    (sentence,) = sentences(**{"webhook_path": "/-/push", **changes})
    for part in parts:
        assert part in sentence
    assert HASH not in sentence
    # What is proposed passes.
    if written := re.search(r"Write (fastapi_webhook_\w+): (.*)\.$", sentence):
        mended = {"webhook_path": "/-/push", **changes, written[1].removeprefix("fastapi_"): written[2]}
        assert sentences(**mended) == []


def test_what_was_refused_already_is_not_refused_once_more() -> None:
    (sentence,) = sentences(webhook_path="/-/push", domains=[], tls="of")
    assert sentence.startswith("fastapi_tls is 'of'")


def test_the_secret_is_never_shown() -> None:
    (sentence,) = sentences(webhook_path="/-/push", webhook_secret=CANARY)
    assert sentence.startswith("fastapi_webhook_secret: ") and CANARY not in sentence


@pytest.mark.parametrize(
    ("name", "instead"), [("shop-deploys", "shop-app"), ("a-deploys-deploys", "a-deploys-app"), ("x-deploys", "x-app")]
)
def test_a_name_that_a_journal_of_deploys_has_is_refused(name: str, instead: str) -> None:
    problem = names.name("name", name)
    assert problem is not None and problem.advice == f"Write fastapi_name: {instead}."
    assert names.name("name", instead) is None
    assert names.name("name", "deploys") is None and names.name("name", "shop-deploy") is None
