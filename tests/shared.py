"""What tests share: real recordings (skipped where they are not there), the campaign's switch."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

CAMPAIGN = os.environ.get("OFS_CAMPAIGN") == "1"
"""Campaigns run whole, and figures of a machine of one's own are asserted, with OFS_CAMPAIGN=1.

By default tests assert ratios within a run, or ten times what an idle machine needs."""


def shared_data(relative: str) -> Path:
    """Path of a real recording; skips the test, naming the path, where it is absent."""
    root = Path(os.environ.get("OFS_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
    path = root / relative
    if not path.exists():
        pytest.skip(f"real recording not present: {path}")
    return path
