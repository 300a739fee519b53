"""Which strategies a session can fold."""

from __future__ import annotations

import pytest

import strategies
from data.errors import ConfigError
from engine.runtime.replay import Request
from engine.runtime.session_fold import composition_of


def test_a_strategy_that_may_read_another_series_is_folded_without_one() -> None:
    request = Request(strategies.get("scalper"), "scalper")
    assert composition_of(request).strategy.name == "scalper"


def test_a_series_that_a_session_does_not_receive_is_refused_by_name() -> None:
    request = Request(strategies.get("scalper"), "scalper", settings={"reference.vix": "cboe:VIX"})
    with pytest.raises(ConfigError, match="cboe:VIX"):
        composition_of(request)
