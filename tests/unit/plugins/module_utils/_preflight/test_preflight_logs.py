# Copyright: (c) 2026, The graceful.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The most that the logs take, in words, and a warning where the disk is smaller."""

from __future__ import annotations

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._preflight.logs import explain, judge_logs, read_logs

PARAMS = {"name": "hello", "proxy": "caddy", "log_max_size": "500M", "log_files": False}
MIB = 1 << 20


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({}, "Logs: at most 1000M (journal 500M, access log of caddy 500M)."),
        ({"proxy": "none", "log_max_size": "2G"}, "Logs: at most 2048M (journal 2048M)."),
        (
            {"proxy": "nginx", "log_files": True, "log_max_size": "10G"},
            "Logs: at most 40G (journal 10G, access log of nginx 10G, error log of nginx 10G, files 10G).",
        ),
    ],
)
def test_the_bound_in_words(changed, text):
    assert explain({**PARAMS, **changed})["text"] == text


def test_a_disk_that_is_too_small_is_told_with_what_would_fit():
    assert judge_logs(PARAMS, {"used": 0, "free": 1000 * MIB}) == []
    # What the logs have already is theirs: a second run warns of nothing that the first didn't.
    assert judge_logs(PARAMS, {"used": 900 * MIB, "free": 100 * MIB}) == []
    (warning,) = judge_logs(PARAMS, {"used": 0, "free": 999 * MIB})
    assert "may take 1000M" in warning and "room for 999M" in warning and "fastapi_log_max_size: 399M" in warning
    assert judge_logs({**PARAMS, "log_max_size": "399M"}, {"used": 0, "free": 999 * MIB}) == []


def test_what_is_there_is_counted_for_this_app_alone(tmp_path):
    for path in ("journal/id.hello/system.journal", "journal/id.other/system.journal", "caddy/hello.access.log"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"x" * 8192)
    found = read_logs(PARAMS, str(tmp_path))
    assert found["used"] == 2 * 8192
    assert found["free"] > 0
    assert read_logs(PARAMS, str(tmp_path / "not" / "there"))["used"] == 0
