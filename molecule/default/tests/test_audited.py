"""What audit.yml says of a host that this collection made: nothing above low."""

from __future__ import annotations

import pytest


@pytest.mark.core
def test_nothing_above_low_is_found_on_a_host_of_ours(ask, control):
    ask.until("the app serves through the proxy", lambda: ask.get("/ready")[0] == 200)
    status, said = control.run("audit", fail_on="medium")
    assert status == 0, said
    # It was looked at, as the app that it is.
    assert "gunicorn" in said and "behind caddy" in said, said
    assert "hello@" in said, said
    status, said = control.run("audit", fastapi_name="hello", fail_on="medium")
    assert status == 0 and "1 app;" in said, said
