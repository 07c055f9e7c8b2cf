"""The value that follows from what workers take."""

from __future__ import annotations

import pytest
from ansible_collections.graceful.deploy.plugins.module_utils._observe.status import advice

MIB = 1 << 20


@pytest.mark.parametrize(
    ("peaks", "plan", "age", "said"),
    [
        ([140, 145], 150, 10, ""),
        (
            [140, 176],
            150,
            10,
            "a worker has taken up to 176M, and 150M are planned: write fastapi_worker_memory: 220M.",
        ),
        ([40, 41], 150, 10, ""),
        ([40, 41], 150, 4000, "with fastapi_worker_memory: 60M more of them would fit."),
        ([80, 81], 150, 4000, ""),
        ([], 150, 10, ""),
        ([40], None, 4000, ""),
    ],
)
def test_advice(peaks, plan, age, said):
    found = advice([peak * MIB for peak in peaks], plan and plan * MIB, age)
    assert found.endswith(said) and bool(found) == bool(said)
