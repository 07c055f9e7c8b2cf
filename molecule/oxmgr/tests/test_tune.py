"""Numbers of workers are measured under Oxmgr as under systemd: the questions of scenario tune."""

# ruff: noqa: F401
from __future__ import annotations

from test_measured import (
    test_a_person_reads_a_table_and_a_line_to_paste,
    test_an_event_loop_that_stands_still_is_counted,
    test_clients_notice_nothing_and_all_is_as_before,
    test_it_is_killed_and_the_next_deploy_finds_its_way,
    test_twice_the_workers_bring_twice_as_much,
)
