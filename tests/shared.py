"""Where tests find the real recordings, and how they skip when those are not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def shared_data(relative: str) -> Path:
    """Path of a real recording; skips the test, naming the path, where it is absent."""
    root = Path(os.environ.get("OFS_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
    path = root / relative
    if not path.exists():
        pytest.skip(f"real recording not present: {path}")
    return path
