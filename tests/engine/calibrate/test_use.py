"""A model in a run of a strategy with a desk: placed where the barriers of its labels were."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from data.errors import ConfigError
from engine.calibrate.model import Model
from engine.calibrate.sample import features_hash
from engine.calibrate.use import placement, with_model
from engine.runtime.compose import Composition, compose
from engine.runtime.parameters import settle
from strategies import get
from tests.engine.calibrate.test_model import FACTS, MODEL


def model(stop: str, target: str, horizon: str = "30m") -> Model:
    facts: dict[str, Any] = {
        **FACTS,
        "labels": {"stop": stop, "target": target, "horizon": horizon},
        "provenance": {"features_hash": features_hash()},
        "settings": {},
    }
    return replace(MODEL, facts=facts)


@pytest.fixture(scope="module")
def scalper() -> Composition:
    return compose(get("scalper"))


@pytest.mark.parametrize(
    ("stop", "target", "want"),
    [
        ("4atr", "6atr", {"desk.stop": "atr", "desk.stop_atr": "4", "desk.target_atr": "6"}),
        ("0.1%", "2atr", {"desk.stop": "share", "desk.stop_share": "0.001", "desk.target": "atr"}),
        ("1atr", "0.25%", {"desk.target": "share", "desk.target_share": "0.0025"}),
    ],
)
def test_the_barriers_become_stop_and_target(
    scalper: Composition, stop: str, target: str, want: dict[str, str]
) -> None:
    found, doubts = with_model(model(stop, target, "20m"), scalper, {})
    assert not doubts
    assert found | want == found and found["exits.hold"] == "20m"
    settled = settle(scalper, found)
    assert settled | want == settled


def test_another_stop_than_the_labels_is_refused(scalper: Composition) -> None:
    with pytest.raises(ConfigError, match="does not fit") as caught:
        with_model(model("4atr", "6atr"), scalper, {"desk.stop_atr": "2"})
    assert "desk.stop_atr=4, this run has 2" in str(caught.value.why)
    found, doubts = with_model(model("4atr", "6atr"), scalper, {"desk.stop_atr": "2"}, force=True)
    assert found["desk.stop_atr"] == "2" and len(doubts) == 1
    # the same value in other words is the same
    assert not with_model(model("4atr", "6atr"), scalper, {"desk.stop_atr": "4.0"})[1]


def test_a_strategy_without_a_desk_places_nothing() -> None:
    found, _ = with_model(model("4atr", "6atr"), compose(get("watch")), {})
    assert not any(key.startswith("desk.") for key in found)
    assert placement(model("4atr", "6atr"))["desk.stop"] == "atr"


def test_a_model_of_another_market_is_refused(scalper: Composition) -> None:
    fitted = model("4atr", "6atr")
    fitted.facts["provenance"] |= {"venue": "binance-um", "symbol": "BTCUSDT"}
    assert not with_model(fitted, scalper, {}, market=("binance-um", "BTCUSDT"))[1]
    with pytest.raises(ConfigError, match="does not fit") as caught:
        with_model(fitted, scalper, {}, market=("oanda", "XAUUSD"))
    assert "on binance-um BTCUSDT, this run is of oanda XAUUSD" in str(caught.value.why)
    assert with_model(fitted, scalper, {}, market=("oanda", "XAUUSD"), force=True)[1]
