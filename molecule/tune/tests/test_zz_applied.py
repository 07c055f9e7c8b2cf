"""What was chosen is brought to the traffic, and the next deploy keeps it."""

from __future__ import annotations

import json
import re

from conftest import VARIABLES
from deploys import ROOT
from tunes import QUICK


def workers(ask, site) -> int:
    return int(re.search(r"^workers = (\d+)", ask.run(f"cat {ROOT}/slots/{site.live}/gunicorn.conf.py"), re.M)[1])


def test_it_is_applied_and_stays(ask, site, load, control, tmp_path):
    """One more than CPUs is chosen, where the rule has fewer; the deploy after that plans by what was measured."""
    # As one in which nothing was measured: other tests may have.
    ask.run(f"rm -f {ROOT}/tuned.json")
    more = int(ask.run("nproc")) + 1
    with load() as running:
        status, said = control.run("tune", *VARIABLES, **QUICK, most=more, apply=True, into=str(tmp_path))
        assert status == 0, said
        assert workers(ask, site) == more, said
        site.gone(site.standby)
        said = site.good("release", "-v")
    running.counted.nothing_lost()
    assert f"{more} workers, as tune.yml has measured on " in said
    assert workers(ask, site) == more
    site.alone()
    assert json.loads(ask.run(f"cat {ROOT}/tuned.json"))["workers"] == more


def test_a_number_that_somebody_wrote_stands_in_the_way_of_that(control, tmp_path):
    status, said = control.run("tune", *VARIABLES, **QUICK, fastapi_workers=2, apply=True, into=str(tmp_path))
    assert (status, "fastapi_workers is 2" in said, list(tmp_path.iterdir())) == (2, True, []), said
