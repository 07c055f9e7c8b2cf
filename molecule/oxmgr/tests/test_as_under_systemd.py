"""The questions of scenario swap that are the same whoever keeps the slots alive."""

# ruff: noqa: F401
from __future__ import annotations

from test_bad_releases import (
    test_a_bad_release_by_a_persons_run,
    test_a_release_that_loses_the_traffic_again,
    test_a_rollback_never_goes_to_a_release_that_died_after_its_watch,
    test_bad_releases_in_place,
    test_releases_that_never_get_the_traffic,
)
from test_children import left_behind, test_a_swap, test_in_the_live_slot
from test_cut_off import (
    test_a_host_that_was_half_deployed_by_hand,
    test_a_rollback_that_is_killed_is_finished_by_the_next,
    test_a_service_that_somebody_stopped,
    test_the_module_is_killed,
)
from test_drains import (
    test_a_request_longer_than_the_drain_is_cut_and_told,
    test_a_stop_that_was_lost_is_made_good,
    test_an_end_that_takes_too_long_is_seen,
)
from test_moves import (
    test_5_restarts,
    test_10_reloads,
    test_a_good_deploy_and_a_rollback_by_a_persons_runs,
    test_a_killed_worker_loses_only_what_it_was_answering,
    test_an_app_without_health_and_readiness,
    test_check_mode_says_what_would_be_done_and_does_nothing,
    test_recycling_by_max_requests,
)
