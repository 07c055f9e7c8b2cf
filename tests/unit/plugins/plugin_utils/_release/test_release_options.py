"""The options of the module release, whose documentation no sanity test compares with what its action goes by."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.graceful.deploy.plugins.modules import release
from ansible_collections.graceful.deploy.plugins.plugin_utils._release.options import argument_spec, wrong_option

KEYS = ("type", "default", "choices", "required", "elements")


def test_the_documentation_says_what_the_action_plugin_goes_by() -> None:
    documented = yaml.safe_load(release.DOCUMENTATION)["options"]
    said = {name: {key: option[key] for key in KEYS if key in option} for name, option in documented.items()}
    meant = {name: {key: option[key] for key in KEYS if key in option} for name, option in argument_spec().items()}
    assert said == meant


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"root": "srv/hello"}, "absolute path"),
        ({"keep": 0}, "Write 1 or more"),
        ({"state": "built"}, "needs build_host"),
        ({}, ""),
    ],
)
def test_what_an_argument_specification_cannot_say(change: dict[str, object], says: str) -> None:
    params = {"name": "hello", "root": "/srv/hello", "keep": 5, "state": "present", "collected": {}, "build_host": ""}
    said = wrong_option(params | change)
    assert says in said and bool(said) == bool(says)
