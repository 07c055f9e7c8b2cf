"""What a person may write for prove.yml, and what is said to who writes something else."""

from __future__ import annotations

import pytest
from ansible_collections.graceful.deploy.plugins.plugin_utils._prove.options import OptionsError, checked

GOOD = {"during": "deploy", "paths": "/,/items/1"}


def test_what_nobody_says_has_its_default():
    options = checked({**GOOD, "rate": "", "seconds": None})
    assert (options.rate, options.seconds, options.before, options.late, options.fail_on_lost) == (20, 300, 5, 1, 0)
    assert options.kinds == ["/", "/items/1"] and options.writes == []
    assert checked({**GOOD, "during": "nothing"}).seconds == 30
    assert checked({**GOOD, "during": "nothing", "seconds": "60"}).seconds == 60


def test_a_person_is_told_which_requests_write():
    options = checked({**GOOD, "paths": '/,POST /items {"name": "a"},DELETE /items/1'})
    assert options.writes == ["POST /items", "DELETE /items/1"]
    assert options.for_host()["asked"][1]["body"] == '{"name": "a"}'


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"during": ""}, "-e during=deploy|rollback|swap|restart|reload|nothing"),
        ({"during": "deply"}, "during is 'deply'.*Write: -e during=deploy"),
        ({"paths": ""}, "Write: -e paths=/,/items/1"),
        ({"paths": "http://elsewhere.example/"}, "isn't a path"),
        ({"rate": "201"}, "rate is 201. It has to be 0.1 to 200.*your users would notice.*Write: -e rate=200"),
        ({"rate": "fast"}, "rate is fast.*Write: -e rate=20"),
        ({"rate": "nan"}, "rate is nan"),
        ({"rate": "-1"}, "Write: -e rate=0.1"),
        ({"seconds": 901}, "10 to 900.*Write: -e seconds=900"),
        ({"seconds": 10, "before": 10}, "the steady stretch before takes 10 of them.*-e seconds=40"),
        ({"rate": 0.1}, "isn't asked within the 5 s before"),
        ({"fail_on_lost": "1.5"}, "whole number"),
        ({"fail_on_lost": "-1"}, "0 to 1e"),
    ],
)
def test_what_can_not_be_is_refused_with_what_to_write(given, said):
    with pytest.raises(OptionsError) as refused:
        checked({**GOOD, **given})
    import re

    assert re.search(said.replace("|", "\\|"), str(refused.value), re.DOTALL), str(refused.value)
