"""A user for each campaign, and a market for all."""

from __future__ import annotations

from pathlib import Path

import pytest

from data.log import LogStore
from data.sources.synthetic import MarketSpec, write_market
from tests.e2e.support import CAMPAIGN, User, new_user

MARKET = MarketSpec(
    seed=7, duration_s=7_200 if CAMPAIGN else 720, rate_per_s=100, depth_levels=5, depth_ms=500
)
"""Made of many small trades: a drop in a thousand is two a minute."""


@pytest.fixture
def user(tmp_path: Path) -> User:
    """A user who has nothing yet."""
    return new_user(tmp_path / "home")


@pytest.fixture(scope="session")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log of :data:`MARKET`."""
    folder = tmp_path_factory.mktemp("market") / "log"
    write_market(LogStore(folder, create=True), MARKET)
    return folder
