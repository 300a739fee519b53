"""One log of real recordings for the session; what was compiled once serves every process."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.support import BTC, BTC_SETTINGS, NEXO, NEXO_SETTINGS, User, new_user
from tests.shared import shared_data

RECORDINGS = (
    "binance-spot/nexousdt_20240723.dat.gz",
    "binance-spot/nexousdt_20240724.dat.gz",
    "binance-um/btcusdt_20240808.gz",
)


@pytest.fixture
def user(tmp_path: Path) -> User:
    """A user who has nothing yet."""
    return new_user(tmp_path / "home")


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> User:
    """A user whose log holds the three recordings, imported by one command."""
    user = new_user(tmp_path_factory.mktemp("recorded"))
    done = user.ofs("import", *(shared_data(name) for name in RECORDINGS))
    assert done.code == 0, done.err
    return user


@pytest.fixture(scope="session")
def stories(recorded: User) -> dict[str, dict[str, object]]:
    """One backtest of each symbol, as ``--json`` gives it, by symbol."""
    return {
        NEXO: recorded.backtest("--symbol", NEXO, settings=NEXO_SETTINGS),
        BTC: recorded.backtest("--symbol", BTC, settings=BTC_SETTINGS),
    }
