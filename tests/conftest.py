"""Makes the collection importable under its full name, from this checkout."""

import sys
from pathlib import Path

from hypothesis import settings

# A busy machine makes one example slow; that says nothing about the code.
settings.register_profile("graceful", deadline=None)
settings.load_profile("graceful")

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / ".collections"))
