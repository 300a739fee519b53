"""The seed's proxy metrics by hand: its figures, its faults, and what mends them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.kernel import proxy_metrics as pm
from engine.kernel.candles import CANDLES_STATE
from engine.kernel.core import CORE_PARAMS, CORE_STATE
from engine.kernel.metrics import AT, METRICS_STATE, metrics_proxy
from engine.kernel.proxy import PROXY_STATE
from engine.runtime.compose import compose, generate
from engine.runtime.strategy import Strategy
from tests.engine.driving import new_fold, probe
from tests.engine.kernel.oracle_proxy import ProxyMetrics
from tests.engine.kernel.oracles import Reference
from tests.engine.probes import PROBES, STATE
from tests.engine.tapes import MINUTE, S, pack
from tests.engine.tapes_proxy import plain_quotes, proxy_tape

FP9 = 10**9
NOW = 1_000 * 5 * MINUTE
FLAG, BVC_1S, BVC_BAR = 1, 4, 7
Bar = tuple[int, int, int, int]
"""(close, volume, buy, sell)."""


def metrics(bars: list[Bar], mode: int = 0, source: int = BVC_1S, quality: int = 2,
            minutes: int = 30) -> Any:  # fmt: skip
    """The state after one boundary over these closed five-minute candles, oldest first."""
    candles = np.zeros(1, CANDLES_STATE)
    for n, (close, volume, buy, sell) in enumerate(bars):
        c = candles["ring"][0, 2 * 256 + n]
        for name, value in (("close", close), ("volume", volume), ("buy", buy), ("sell", sell)):
            c[name] = value
        c["trades"] = int(volume > 0)
    candles["closed"][0, 2] = len(bars)
    s, p = np.zeros(1, pm.PROXY_METRICS_STATE), np.zeros(1, pm.PROXY_METRICS_PARAMS)
    p["mode"], p["minutes"], p["large_money"] = mode, minutes, 100_000 * 10**8
    core, core_p, proxy = (np.zeros(1, d) for d in (CORE_STATE, CORE_PARAMS, PROXY_STATE))
    core["last_price"], core_p["money_mul"], core_p["money_div"] = 50_000, 10**8, 1
    proxy["side_source"], proxy["data_quality"] = source, quality
    pm.proxy_metrics_boundary(s[0], p[0], core_p[0], core[0], candles[0], proxy[0], NOW)
    return s[0]


def flows(*deltas: int) -> list[Bar]:
    return [(100 + n, 100, 50 + d // 2, 50 - (d - d // 2)) for n, d in enumerate(deltas)]


CLOSES = [(100, 30), (105, 20), (103, 40), (104, 80), (104, 160), (109, 320)]
SEED_BARS = [(close, volume, 0, 0) for close, volume in CLOSES]


def test_the_seed_pairs_a_change_with_the_earlier_volume() -> None:
    """Changes + - + 0 + with volumes 30 20 40 80 160 of the bars BEFORE them."""
    s = metrics(SEED_BARS, mode=pm.SEED)
    assert int(s["cvd_value"]) == 30 - 20 + 40 + 160
    assert int(s["aggressor_ratio_fp9"]) == (30 + 40 + 160) * FP9 // 20
    assert int(s["imbalance_score"]) == 100 * 210 // 250
    # CVD 30 10 50 50 210: mean of the last three against the mean of the two before
    assert int(s["cvd_slope"]) == 1
    assert int(s["data_quality"]) == 2, "six of six bars: proxy"
    assert int(s["data_source"]) == pm.SOURCE_PROXY


def test_the_standard_form_uses_the_bar_that_made_the_flow() -> None:
    s = metrics(flows(10, -20, 40, 0, 30, 6))
    assert int(s["cvd_value"]) == 66
    assert int(s["aggressor_ratio_fp9"]) == round(86 / 20 * FP9)
    assert int(s["imbalance_score"]) == 62
    assert int(s["imbalance_fp9"]) == round(66 / 106 * FP9)
    # CVD 10 -10 30 30 60 66: (52 - 10) / sum of |delta| 106
    assert int(s["slope_fp9"]) == round((52 - 10) / 106 * FP9)
    assert (int(s["cvd_slope"]), int(s["signal"]["direction"])) == (1, 1)


def test_a_sale_is_not_a_purchase() -> None:
    """Row 28: the seed's score has no direction; the signed share beside it has."""
    up, down = metrics(flows(9, 9, 9, 9, 9, 9)), metrics(flows(-9, -9, -9, -9, -9, -9))
    assert int(up["imbalance_score"]) == int(down["imbalance_score"]) == 100
    assert int(up["imbalance_fp9"]) == -int(down["imbalance_fp9"]) == FP9
    assert (int(up["aggressor_ratio_fp9"]), int(down["aggressor_ratio_fp9"])) == (999 * FP9, 0)
    assert (int(up["cvd_slope"]), int(down["cvd_slope"])) == (1, -1)


def test_no_flow_is_one_to_one_and_flat() -> None:
    s = metrics(flows(0, 0, 0, 0, 0, 0))
    assert int(s["aggressor_ratio_fp9"]) == FP9
    assert (int(s["imbalance_score"]), int(s["cvd_slope"])) == (0, 0)


def test_the_seeds_slope_is_relative_to_what_was() -> None:
    """Near zero a trifle is a trend in the seed's form (its fault), not in the standard one."""
    jitter = flows(100, -98, 96, -96, 98, -98)
    cvd = np.cumsum([100, -98, 96, -96, 98, -98])
    standard = metrics(jitter)
    assert abs(cvd[3:].mean() - cvd[:3].mean()) / 586 < 0.06
    assert int(standard["cvd_slope"]) == 0 or abs(int(standard["slope_fp9"])) < 0.07 * FP9
    bars = [(100 + (n % 2), 50 + (n == 2), 0, 0) for n in range(6)]
    seed = metrics(bars, mode=pm.SEED)
    assert int(seed["cvd_slope"]) != 0 and abs(int(seed["cvd_value"])) <= 51


def test_true_volumes_where_there_are_trades() -> None:
    bars = [(100, 60, 40, 20)] * 6
    for mode in (0, pm.SEED):
        s = metrics(bars, mode=mode, source=FLAG, quality=3)
        assert int(s["aggressor_ratio_fp9"]) == 2 * FP9
        assert (int(s["imbalance_score"]), int(s["cvd_value"])) == (33, 120)
        assert (int(s["data_source"]), int(s["data_quality"])) == (pm.SOURCE_TRADES, 3)
        assert int(s["cvd_slope"]) == 1, "pressure 2 > 1.1, and the CVD rises"
    sold = metrics([(100, 60, 20, 40)] * 6, mode=pm.SEED, source=FLAG, quality=3)
    assert int(sold["cvd_slope"]) == -1
    even = metrics([(100, 60, 30, 30)] * 6, mode=pm.SEED, source=FLAG, quality=3)
    assert int(even["cvd_slope"]) == 0


@pytest.mark.parametrize(("have", "want"), [(6, 2), (5, 2), (4, 1), (3, 1), (2, 0), (0, 0)])
def test_quality_by_the_share_of_bars(have: int, want: int) -> None:
    bars = [*flows(*[9] * have), *[(110, 0, 0, 0)] * (6 - have)]
    for mode in (0, pm.SEED):
        s = metrics(bars, mode=mode)
        assert (int(s["bars"]), int(s["data_quality"])) == (have, want)
        assert int(s["signal"]["ready"]) == int(want > 0)


def test_a_bar_only_source_is_limited_in_the_standard_form() -> None:
    full = flows(9, 9, 9, 9, 9, 9)
    assert int(metrics(full, source=BVC_BAR, quality=1)["data_quality"]) == 1
    assert int(metrics(full, mode=pm.SEED, source=BVC_BAR, quality=1)["data_quality"]) == 2


def test_the_window_has_six_bars_at_least() -> None:
    assert int(metrics(flows(*[9] * 9), minutes=5)["bars"]) == 6
    assert int(metrics(flows(*[9] * 12), minutes=60)["bars"]) == 12


def test_large_trades_are_counted_for_half_an_hour() -> None:
    s = np.zeros(1, pm.PROXY_METRICS_STATE)[0]
    s["large_lots"] = 5
    minutes = [0, 1, 1, 29, 30, 31, 700]
    ts = np.array([NOW + m * MINUTE + S for m in minutes])
    qty = np.array([5, 4, 50, 6, 5, 5, 9])
    for at, want in ((NOW + 30 * MINUTE, 3), (NOW + 32 * MINUTE, 3)):
        one = s.copy()
        pm.proxy_metrics_trades(one, ts, qty, 0, int((ts < at).sum()))
        pm._count_large(one, 30, at)
        assert int(one["large_trade_count"]) == want
    pm.proxy_metrics_trades(s, ts, qty, 0, len(ts))
    pm._count_large(s, 30, NOW + 701 * MINUTE)
    assert int(s["large_trade_count"]) == 1, "what the ring forgot is gone"
    pm.proxy_metrics_trades(s, ts, qty, 0, 1)
    assert int(s["large"].sum()) == 1, "too late to count"


def test_jumps_of_the_mid_are_large_by_proxy() -> None:
    s = np.zeros(1, pm.PROXY_METRICS_STATE)[0]
    bid, jumps = 1000, 0
    for n in range(400):
        bid += 40 if n in (50, 150, 160, 300) else 1 if n % 2 else -1
        pm.proxy_metrics_quote(s, BVC_1S, NOW + n * S // 10, bid, bid + 2)
        jumps = int(s["large"].sum())
    assert jumps == 2, "150 and 300: 50 had no past, 160 came within the cooldown"
    real = np.zeros(1, pm.PROXY_METRICS_STATE)[0]
    for n in range(400):
        pm.proxy_metrics_quote(real, FLAG, NOW + n * S // 10, 1000 + 40 * (n == 150), 1100)
    assert not real["large"].any(), "where there are trades, trades are counted"


def test_plans_ask_half_an_hour_where_flow_comes_by_proxy() -> None:
    """cvd_rising, aggressor_ratio and imbalance_score of a plan are those of 11.9 then."""
    m = np.zeros(1, METRICS_STATE)[0]
    ratio, score, trend = (AT[n] for n in ("aggressor_ratio", "imbalance_score", "cvd_trend"))
    metrics_proxy(m, metrics(flows(10, -20, 40, 0, 30, 6), source=FLAG, quality=3))
    assert not m["known"][[ratio, score, trend]].any(), (
        "where there are trades, their windows are asked"
    )
    metrics_proxy(m, metrics(flows(10, -20, 40, 0, 30, 6)))
    assert [int(m["value"][k]) for k in (ratio, score, trend)] == [round(4.3 * FP9), 62 * FP9, 1]
    assert m["known"][[ratio, score, trend]].tolist() == [1, 1, 1]
    metrics_proxy(m, metrics(flows(10, -20)))
    assert not m["known"][[ratio, score, trend]].any(), (
        "two bars of six: unavailable, so a condition on it fails"
    )
    names = ("windows", "cvd_trend", "proxy_metrics", "metrics")
    source = generate(compose(Strategy("x", "x", names, (), STATE, PROBES["flow"])), "m", "f")
    order = [source.index(call) for call in ("metrics_windows(s", "metrics_trend(s",
                                             "metrics_proxy(s")]  # fmt: skip
    assert order == sorted(order), "the later filler is believed"


@pytest.mark.parametrize("mode", ["standard", "seed"])
def test_agrees_with_its_oracle_where_quotes_speak(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ProxyMetrics, "seed", mode == "seed")
    names = ("candles", "proxy", "proxy_metrics")
    for seed in (5, 6):
        events = [*plain_quotes(seed, 45, most=1), *proxy_tape(seed)]
        fold, _ = new_fold(probe("proxy_metrics"), {"proxy_metrics.mode": mode})
        market, tape, ready = Reference(names), pack(events), 0
        for n, e in enumerate(events):
            fold.feed(*tape.batch(n, n + 1))
            market.event(e)
            if n % 23 == 0 or n + 1 == len(events):
                market.oracle("proxy_metrics").check(fold.state["proxy_metrics"][0])
                ready += int(fold.state["proxy_metrics"]["signal"]["ready"][0])
        assert ready > 10
