"""Metrics in the whole fold: every number is what its handler says at the boundary."""

from __future__ import annotations

from typing import Any

import numpy as np

from data.events import Kind
from engine.kernel.metrics import AT, METRICS, METRICS_STATE, metrics_confluence
from engine.kernel.metrics import aggressor_ratio as ratio
from engine.kernel.metrics import imbalance_score as score
from strategies.plan_watch import STRATEGY
from tests.engine.driving import fold_events, whole
from tests.engine.tapes import Event, S, market

SIGNALS = {
    "cvd_divergence": "cvd_divergence.signal", "delta_divergence": "delta_divergence.signal",
    "absorption": "absorption.signal", "liquidity_sweep": "sweep.signal",
    "vwap_deviation": "vwap_deviation.signal", "pressure": "pressure.signal",
    "large_prints": "tape.prints", "stacked_imbalance": "diagonal.signal",
    "order_block": "order_block.signal", "tape": "tape.signal", "cvd_trend": "cvd_trend.signal",
    "exhaustion": "auction.signal", "unfinished_auction": "auction.unfinished",
    "delta_turn": "delta_turn.signal", "replenish": "replenish.signal", "walls": "walls.signal",
}  # fmt: skip
"""Where in the state the direction of a number stands."""
NUMBERS = {
    "vwap_z": ("vwap_deviation.signal", "value_fp9"), "spoof_score": ("walls", "score_fp9"),
    "cvd_slope": ("cvd_trend", "slope_fp9"), "cvd_slope_t": ("cvd_trend.signal", "value_fp9"),
    "tape_speed": ("tape.signal", "value_fp9"), "tape_fast": ("tape", "fast"),
    "absorption_zones": ("absorption.zones", "n"), "market_state": ("market_state", "state"),
    "volatility_regime": ("regime.volatility", "level"), "trend_regime": ("regime.trend", "level"),
    "volume_regime": ("regime.volume", "level"), "book_regime": ("regime.book", "level"),
    "confluence_score": ("confluence", "score_fp9"), "confluence_side": ("confluence", "side"),
}  # fmt: skip
SHORT = {"impact.length": "8", "impact.warm": "4", "regime.warm": "4", "regime.window": "4",
         "regime.burst": "2"}  # fmt: skip


def at_a_boundary(events: list[Event]) -> list[Event]:
    """The tape without its hole, and a clock event on the next boundary: nothing comes after it."""
    end = (events[-1]["ts_ns"] // (5 * S) + 1) * 5 * S
    whole_ = [e for e in events if e["kind"] != Kind.GAP]
    return [*whole_, {"kind": Kind.CLOCK, "ts_ns": end, "id": 0}]


def part(state: Any, path: str) -> Any:
    for name in path.split("."):
        state = state[name]
    return state


def test_every_number_is_what_its_handler_says() -> None:
    seen: set[str] = set()
    for seed, seconds in ((1, 2400), (4, 1900)):
        events = at_a_boundary(market(seed=seed, seconds=seconds))
        state = fold_events(whole(STRATEGY), events, SHORT).fold.state[0]
        m = state["metrics"]
        value = {n: int(m["value"][k]) for n, k in AT.items()}
        known = {n: int(m["known"][k]) for n, k in AT.items()}
        for name, path in SIGNALS.items():
            g = part(state, path)
            assert known[name] == int(g["ready"]), name
            assert value[name] == int(g["direction"]), name
            if f"{name}_strength" in AT and known[name]:
                assert value[f"{name}_strength"] == int(g["strength_fp9"]), name
        for name, (path, field) in NUMBERS.items():
            if known[name]:
                assert value[name] == int(part(state, path)[field]), name
        seen |= {n for n in AT if known[n]}
        assert value["time_of_day"] == events[-1]["ts_ns"] // S % 86_400
        if known["atr_1m"]:
            assert value["atr_1m"] == round(float(state["atr"]["value"][1]))
    quiet = {"confluence_probability", "large_trades", "data_quality", "cvd_divergence",
             "cvd_divergence_strength"}  # fmt: skip
    lacking = set(AT) - seen - quiet
    assert len(lacking) <= 8, f"this market makes too little known: {sorted(lacking)}"


def test_the_seeds_ratio_and_score_by_hand() -> None:
    assert [ratio(3, 2), ratio(3, 0), ratio(0, 0), ratio(0, 5)] == [1.5, 999.0, 1.0, 0.0]
    assert [score(3, 1), score(1, 3), score(0, 0), score(5, 0)] == [50.0, 50.0, 0.0, 100.0]


def test_confidence_is_the_probability_only_where_a_model_is_fitted() -> None:
    from engine.kernel.confluence import CONFLUENCE_STATE

    m, c = np.zeros(1, METRICS_STATE)[0], np.zeros(1, CONFLUENCE_STATE)[0]
    c["signal"]["ready"], c["signal"]["strength_fp9"], c["side"] = 1, 800_000_000, -1
    metrics_confluence(m, c)
    k = {n: AT[n] for n, _ in METRICS}
    assert int(m["value"][k["confidence"]]) == 800_000_000
    assert int(m["value"][k["confluence_side"]]) == -1
    assert int(m["known"][k["confluence_probability"]]) == 0
    c["fitted"], c["probability_fp9"] = 1, 550_000_000
    metrics_confluence(m, c)
    assert int(m["value"][k["confidence"]]) == 550_000_000
    assert int(m["known"][k["confluence_probability"]]) == 1
