"""Mirrored sides mirror every direction; other units of price or volume scale what they should."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from engine.kernel.registry import HANDLERS
from engine.kernel.signals import SIGNAL_STATE
from tests.engine.driving import fold_events, probe
from tests.engine.kernel import mirror_divergence as divergence
from tests.engine.kernel import mirror_plans
from tests.engine.kernel import mirrors_proxy as proxied
from tests.engine.kernel.mirrors_classifier import CLASSIFIER_MIRRORS, CLASSIFIER_VOLUMES
from tests.engine.kernel.mirrors_market import MARKET_MIRRORS, MARKET_PRICES, MARKET_VOLUMES
from tests.engine.kernel.mirrors_trading import TRADING_MIRRORS, TRADING_PRICES, TRADING_VOLUMES
from tests.engine.kernel.test_handlers import EXAMPLES
from tests.engine.probe_groups import units
from tests.engine.tapes import Event, Plot, mirrored, scaled, tapes, write

CENTRE = 1_000_000
UNITS = units(HANDLERS)
together = pytest.mark.parametrize("unit", list(UNITS))
FEW = settings(EXAMPLES, max_examples=max(5, EXAMPLES.max_examples // 2))
CANDLE_PRICES = ("open", "high", "low", "close")
CANDLE_VOLUMES = ("volume", "buy", "sell", "delta_min", "delta_max")


def states(unit: str, *tapes_: list[Event], **options: str) -> list[Any]:
    """The state, of every handler of the unit, after each tape."""
    given_ = {k.replace("__", "."): v for k, v in options.items()}
    c = probe(UNITS[unit][0])
    return [fold_events(c, tape, given_).fold.state[0] for tape in tapes_]


def same(a: Any, b: Any, fields: tuple[str, ...], factor: int = 1) -> None:
    for f in fields:
        assert np.array_equal(np.asarray(a[f]) * factor, np.asarray(b[f])), f


def mirror_sides(a: Any, b: Any) -> None:
    same(a, b, ("by_flag", "by_quote", "by_tick", "unknown", "invalid"))
    same(a, b, ("tick_dir",), -1)


def mirror_flow(a: Any, b: Any) -> None:
    same(a, b, ("cvd",), -1)
    same(a, b, ("unknown", "trades", "sessions", "approximate"))
    assert (int(a["buy"]), int(a["sell"])) == (int(b["sell"]), int(b["buy"]))


def mirror_windows(a: Any, b: Any) -> None:
    for x, y in (("buy", "sell"), ("buys", "sells"), ("sell", "buy"), ("sells", "buys")):
        assert np.array_equal(a[x], b[y])
    same(a, b, ("largest", "late"))


def mirror_candles(a: Any, b: Any) -> None:
    same(a, b, ("closed", "late"))
    n = [int(x) for x in a["closed"]]
    for f in range(3):
        for k in range(min(n[f], 256)):
            x, y = a["ring"][f * 256 + k], b["ring"][f * 256 + k]
            same(x, y, ("open_ns", "volume", "trades", "flags"))
            for p, q in (("buy", "sell"), ("sell", "buy")):
                assert x[p] == y[q]
            assert (x["delta_min"], x["delta_max"]) == (-y["delta_max"], -y["delta_min"])
            for p, q in (("open", "open"), ("high", "low"), ("low", "high"), ("close", "close")):
                assert int(x[p]) == CENTRE - int(y[q])


def mirror_footprint(a: Any, b: Any) -> None:
    """Without merged rows: buy and sell rows swap and the rows stand upside down."""
    for name in ("quarter", "minute", "five"):
        x, y = a[name], b[name]
        if int(x["shift"]) or int(y["shift"]):
            continue
        for s in range(3):
            rows = {int(x["base"]) + k: int(v) for k, v in enumerate(x["cells"][s]) if v}
            turned = {
                CENTRE - int(y["base"]) - k: int(v) for k, v in enumerate(y["cells"][2 - s]) if v
            }
            assert rows == turned


def mirror_vwap(a: Any, b: Any) -> None:
    for name in ("session", "anchored"):
        x, y = a[name], b[name]
        assert float(x["weight"]) == float(y["weight"])
        assert float(x["squares"]) == float(y["squares"])
        if float(x["weight"]):
            assert float(x["mean"]) == -float(y["mean"])
            assert int(x["origin"]) == CENTRE - int(y["origin"])


def mirror_book(a: Any, b: Any) -> None:
    same(a, b, ("ofi", "mlofi", "seed_sign", "queue"), -1)
    same(a, b, ("stale", "crossed", "snapshots"))
    for n in (5, 10, 25):
        assert abs(int(a[f"imbalance{n}_fp9"]) + int(b[f"imbalance{n}_fp9"])) <= 1
    if not float(a["bid_share"]):
        return  # no boundary yet
    assert math.isclose(float(a["bid_share"]), 1 - float(b["bid_share"]), rel_tol=1e-12)
    if not int(a["stale"]):
        assert math.isclose(float(a["micro"]), CENTRE - float(b["micro"]), rel_tol=1e-12)


def mirror_atr(a: Any, b: Any) -> None:
    same(a, b, ("ready", "range_sum", "value"))


def mirror_vwap_deviation(a: Any, b: Any) -> None:
    mirror_signal(a["signal"], b["signal"])
    same(a, b, ("efficiency_fp9",))


def mirror_live_zones(a: Any, b: Any) -> None:
    same(a, b, ("n", "added", "touched", "expired", "displaced", "cleared"))
    for x, y in zip(a["items"][: int(a["n"])], b["items"], strict=False):
        same(x, y, ("side",), -1)
        same(x, y, ("born_ns", "until_ns", "strength_fp9"))
        assert (int(x["low"]), int(x["high"])) == (CENTRE - int(y["high"]), CENTRE - int(y["low"]))


def mirror_absorption(a: Any, b: Any) -> None:
    same(a["signal"], b["signal"], ("direction",), -1)
    same(a["signal"], b["signal"], ("ready", "strength_fp9", "value_fp9", "fired", "until_ns"))
    same(a, b, ("shortfall_fp9", "efficiency_fp9", "location_fp9"))
    same(a, b, ("flow_z_fp9",), -1)
    mirror_live_zones(a["zones"], b["zones"])


def mirror_sweep(a: Any, b: Any) -> None:
    same(a["signal"], b["signal"], ("direction",), -1)
    same(a["signal"], b["signal"], ("ready", "strength_fp9", "value_fp9", "fired", "until_ns"))
    same(a, b, ("kind", "penetration_fp9", "reclaim_fp9", "session_end_ns"))
    for k in range(2):
        x, y = a["sides"][k], b["sides"][1 - k]
        same(x, y, ("kind", "bars", "atr", "burst", "flow", "peak", "turn", "high_bar"))
    if int(a["kind"]):
        assert int(a["level"]) == CENTRE - int(b["level"])
        assert int(a["extreme"]) == CENTRE - int(b["extreme"])


def mirror_signal(a: Any, b: Any) -> None:
    same(a, b, ("direction", "value_fp9"), -1)
    same(a, b, ("ready", "strength_fp9", "threshold_fp9", "fired", "fired_ns", "until_ns"))


def mirror_zones(a: Any, b: Any) -> None:
    """As sets: mirrored, the rows of a candle come in the other order."""
    if int(a["displaced"]) or int(b["displaced"]):
        return
    same(a, b, ("n", "added", "touched", "expired", "cleared"))
    x = [[int(z[f]) for f in ("low", "high", "side", "born_ns")] for z in a["items"][: int(a["n"])]]
    y = [[int(z[f]) for f in ("low", "high", "side", "born_ns")] for z in b["items"][: int(b["n"])]]
    assert sorted(x) == sorted([CENTRE - high, CENTRE - low, -side, t] for low, high, side, t in y)


def mirror_diagonal(a: Any, b: Any) -> None:
    if int(a["coarse"]) or int(b["coarse"]):
        return  # merged rows are not cut at mirrored prices
    mirror_signal(a["signal"], b["signal"])
    for x, y in (("buy", "sell"), ("sell", "buy")):
        same(a[x], b[y], ("rows", "longest", "stacks", "volume"))
    mirror_zones(a["zones"], b["zones"])


MIRROR = {
    "sides": mirror_sides, "flow": mirror_flow, "windows": mirror_windows,
    "candles": mirror_candles, "footprint": mirror_footprint, "vwap": mirror_vwap,
    "book": mirror_book, "atr": mirror_atr, **MARKET_MIRRORS, **TRADING_MIRRORS,
    "pivots": lambda a, b: divergence.mirror_pivots(a, b, CENTRE),
    "impact": divergence.mirror_impact, "cvd_divergence": divergence.mirror_cvd_divergence,
    "recent": divergence.mirror_recent, "delta_divergence": divergence.mirror_delta_divergence,
    "cvd_trend": divergence.mirror_cvd_trend,
    "vwap_deviation": mirror_vwap_deviation,
    "absorption": mirror_absorption,
    "sweep": mirror_sweep,
}  # fmt: skip


def mirror_auction(a: Any, b: Any) -> None:
    if int(a["coarse"]) or int(b["coarse"]):
        return
    for name in ("signal", "unfinished"):
        mirror_signal(a[name], b[name])
    for what in ("dry", "open"):
        assert int(a[f"{what}_low_fp9"]) == int(b[f"{what}_high_fp9"])
        assert int(a[f"{what}_high_fp9"]) == int(b[f"{what}_low_fp9"])
    mirror_zones(a["zones"], b["zones"])


def mirror_delta_turn(a: Any, b: Any) -> None:
    mirror_signal(a["signal"], b["signal"])
    same(a, b, ("z_fp9",), -1)
    same(a, b, ("forms", "session_end_ns", "session_candles"))
    if int(a["session_candles"]):
        assert int(a["session_high"]) == CENTRE - int(b["session_low"])
        assert int(a["session_low"]) == CENTRE - int(b["session_high"])


def mirror_tape(a: Any, b: Any) -> None:
    for name in ("signal", "prints"):
        x, y = a[name], b[name]
        same(x, y, ("direction",), -1)
        same(x, y, ("ready", "strength_fp9", "value_fp9", "fired", "fired_ns", "until_ns"))
    same(a, b, ("pace", "before", "fast", "large_lots", "large", "largest"))
    assert (int(a["bought"]), int(a["sold"])) == (int(b["sold"]), int(b["bought"]))


MIRROR |= {
    "proxy": lambda a, b: proxied.mirror_proxy(a, b, CENTRE),
    "proxy_metrics": proxied.mirror_proxy_metrics,
}
MIRROR |= {
    "diagonal": mirror_diagonal, "auction": mirror_auction, "delta_turn": mirror_delta_turn,
    "tape": mirror_tape, **CLASSIFIER_MIRRORS, "plans": mirror_plans.mirror_plans,
    "metrics": lambda a, b: mirror_plans.mirror_metrics(a, b, CENTRE),
    "order_block": lambda a, b: mirror_plans.mirror_order_block(a, b, CENTRE),
}  # fmt: skip


@together
@FEW
@given(tapes(8, without=("invalid", "jump")))
def test_mirrored_sides_mirror_every_direction(unit: str, plot: Plot) -> None:
    events = write(plot)
    a, b = states(unit, events, mirrored(events, CENTRE))
    for name in UNITS[unit]:
        MIRROR[name](a[name], b[name])


VOLUMES: dict[str, tuple[str, ...]] = {
    **MARKET_VOLUMES,
    **TRADING_VOLUMES,
    **CLASSIFIER_VOLUMES,
    "pivots": (), "impact": (), "cvd_divergence": (), "cvd_trend": (),
    "delta_divergence": (), "recent": ("delta",), "sides": (),
    "flow": ("cvd", "buy", "sell", "unknown"),
    "windows": ("buy", "sell", "largest"), "book": ("ofi", "mlofi", "bid_qty", "ask_qty"),
    "candles": (), "footprint": (), "vwap": (), "atr": (),
    "vwap_deviation": (),
    "absorption": (),
    "sweep": (),
}  # fmt: skip
PRICES: dict[str, tuple[str, ...]] = {
    **MARKET_PRICES,
    **TRADING_PRICES,
    "sides": ("last_price", "bid", "ask"), "book": ("bid_price", "ask_price", "mid2"),
    "candles": ("last_close",), "atr": ("range_sum",),
}  # fmt: skip
VOLUMES |= {"proxy": (), "proxy_metrics": ()}
VOLUMES |= {"metrics": (), "plans": (), "order_block": ()}
VOLUMES |= {"diagonal": (), "auction": (), "delta_turn": (), "tape": ("bought", "sold", "largest")}


def signal_parts(s: Any) -> list[Any]:
    """Every signal that a state holds."""
    return [s[f] for f in s.dtype.names if s.dtype[f] == SIGNAL_STATE]


def scale_free(a: Any, b: Any) -> None:
    """A signal that knows no units; roundings may differ in the last digits."""
    x, y = a["signal"], b["signal"]
    same(x, y, ("ready", "direction", "threshold_fp9", "fired", "fired_ns", "until_ns"))
    for field in ("value_fp9", "strength_fp9"):
        assert math.isclose(int(x[field]), int(y[field]), rel_tol=1e-8, abs_tol=4.0), field


def parts(name: str, a: Any, b: Any, k: int, volume: bool) -> None:
    """What is nested: candles, grids and weighted sums."""
    if name == "proxy":
        proxied.scaled_proxy(a, b)
        return
    if name == "proxy_metrics":
        proxied.scaled_proxy_metrics(a, b, k, volume)
        return
    for x, y in zip(signal_parts(a), signal_parts(b), strict=True):
        same(x, y, ("ready", "direction", "strength_fp9", "value_fp9", "fired", "until_ns"))
    if name == "candles":
        for kind in ("ring", "open"):
            same(a[kind], b[kind], CANDLE_VOLUMES, k if volume else 1)
            same(a[kind], b[kind], CANDLE_PRICES, 1 if volume else k)
            same(a[kind], b[kind], ("open_ns", "trades", "flags"))
    elif name == "pivots":
        divergence.scaled_pivots(a, b, k, volume)
    elif name == "impact":
        divergence.scaled_impact(a, b, k, volume)
    elif name in ("cvd_divergence", "delta_divergence", "cvd_trend"):
        divergence.scaled_signal(a, b)
    elif name == "footprint":
        for grid in ("quarter", "minute", "five"):
            same(a[grid], b[grid], ("base", "shift", "low", "high"))
            same(a[grid], b[grid], ("cells",), k if volume else 1)
    elif name in ("vwap_deviation", "absorption", "sweep", "order_block"):
        scale_free(a, b)
    elif name == "metrics":
        mirror_plans.scaled_metrics(a, b, k, volume)
    elif name == "vwap":
        for x, y in ((a[n], b[n]) for n in ("session", "anchored")):
            w, p = (k, 1) if volume else (1, k)
            assert math.isclose(float(x["weight"]) * w, float(y["weight"]))
            assert math.isclose(float(x["mean"]) * p, float(y["mean"]), rel_tol=1e-9, abs_tol=1e-6)
            want = float(x["squares"]) * w * p * p
            assert math.isclose(want, float(y["squares"]), rel_tol=1e-9, abs_tol=1e-3)


@together
@FEW
@given(tapes(8, without=("invalid",)))
def test_other_units_of_volume(unit: str, plot: Plot) -> None:
    """Volumes times 7: sums are 7 times as large, ratios and counts are what they were."""
    events = write(plot)
    a, b = states(unit, events, scaled(events, qty=7))
    for name in UNITS[unit]:
        seven_times_the_volume(name, a[name], b[name])


def seven_times_the_volume(name: str, a: Any, b: Any) -> None:
    same(a, b, VOLUMES[name], 7)
    same(a, b, PRICES.get(name, ()))
    parts(name, a, b, 7, volume=True)
    if name == "book":
        same(a, b, ("seed_sign", "stale"))
        assert abs(int(a["imbalance5_fp9"]) - int(b["imbalance5_fp9"])) <= 1
        for field in ("queue", "micro", "bid_share"):
            assert math.isclose(float(a[field]), float(b[field]), rel_tol=1e-12)


@together
@FEW
@given(tapes(8, without=("invalid", "quotes")))
def test_other_units_of_price(unit: str, plot: Plot) -> None:
    """Prices times 3 (and rows three times as high): volumes are what they were."""
    events = write(plot)
    has_rows = any(h.name == "footprint" for h in probe(UNITS[unit][0]).handlers)
    rows = {"footprint__row": "0.3"} if has_rows else {}
    (a,) = states(unit, events)
    (b,) = states(unit, scaled(events, price=3), **rows)
    for name in UNITS[unit]:
        three_times_the_price(name, a[name], b[name])


def three_times_the_price(name: str, a: Any, b: Any) -> None:
    same(a, b, VOLUMES[name])
    same(a, b, PRICES.get(name, ()), 3)
    parts(name, a, b, 3, volume=False)
    if name == "book":
        same(a, b, ("imbalance5_fp9", "imbalance25_fp9", "queue", "bid_share", "seed_sign"))
        assert math.isclose(float(a["micro"]) * 3, float(b["micro"]), rel_tol=1e-12)


def test_every_handler_is_mirrored_and_scaled() -> None:
    assert set(MIRROR) == set(VOLUMES) == set(HANDLERS)
