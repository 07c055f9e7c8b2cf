"""Makes the collection importable under its full name, from this checkout."""

import os
import sys
from pathlib import Path

from hypothesis import settings

# A busy machine makes one example slow; that says nothing about the code.
# The same examples in each run. Others are tried by: pytest --hypothesis-profile=random
settings.register_profile("graceful", deadline=None, derandomize=True)
settings.register_profile("random", deadline=None, max_examples=1000)
settings.load_profile("graceful")

# Much of what a test of `swap` waited for was the disk. That shows nothing: machines lose power in `make test-vm`.
os.fsync = lambda descriptor: None  # type: ignore[assignment]

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / ".collections"))
