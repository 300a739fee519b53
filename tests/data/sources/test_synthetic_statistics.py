"""Synthetic markets look like the recordings: bands around published and measured figures.

Anchors for trades a second (BTCUSDT perpetual, busiest day): mean 55.6, p50 21, p95 204, p99 483,
p99.9 1251, empty seconds 5 %. Sizes, sweeps, sign persistence and spreads are those of the BTCUSDT
recordings of 2023, 2024 and 2026.
"""

from __future__ import annotations

import numpy as np

from tests.data.sources.synthetic_markets import NS, busy, plain


def per_second() -> np.ndarray:
    m = busy()
    second = (m.trades["ts_ns"] - m.spec.start_ns) // NS
    return np.bincount(second, minlength=m.spec.duration_s)


def correlation(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.corrcoef(x, y)[0, 1])


def test_trades_a_second_are_spread_as_on_the_busiest_day() -> None:
    n = per_second()
    mean = n.mean()
    assert 40 < mean < 72
    assert 0.28 < np.percentile(n, 50) / mean < 0.48  # 21 / 55.6 = 0.38
    assert 3.0 < np.percentile(n, 95) / mean < 4.8  # 3.7
    assert 7.0 < np.percentile(n, 99) / mean < 11.0  # 8.7
    assert 13.0 < np.percentile(n, 99.9) / mean < 30.0  # 22
    assert 0.03 < (n == 0).mean() < 0.08  # 0.05


def test_arrivals_cluster_far_beyond_poisson_and_the_clusters_last() -> None:
    n = per_second()
    assert n.var() / n.mean() > 50
    logs = np.log1p(n)
    assert correlation(logs[1:], logs[:-1]) > 0.5
    assert correlation(logs[60:], logs[:-60]) > 0.25
    ts = busy().trades["ts_ns"]
    assert 0.35 < (np.diff(ts) == 0).mean() < 0.75  # 0.25 to 0.81 in the recordings
    assert np.unique(ts, return_counts=True)[1].max() > 50


def test_sizes_have_a_heavy_tail_and_round_lots() -> None:
    q = busy().trades["qty"]
    p = np.percentile(q, [50, 95, 99, 99.9])
    assert 3 <= p[0] <= 30
    assert p[2] > 50 * p[0]
    assert q.max() > 10 * p[2]
    top = np.sort(q)[-2_000:]
    hill = 1.0 / np.log(top[1:] / top[0]).mean()
    assert 1.0 < hill < 4.0
    for lot in (100, 500, 1_000):
        around = [(q == lot + d).sum() for d in (-3, -2, -1, 1, 2, 3)]
        assert (q == lot).sum() > 4 * np.mean(around)


def test_signs_remember_for_hundreds_of_trades() -> None:
    s = busy().trades["side"].astype(float)
    s -= s.mean()
    acf = {k: float((s[k:] * s[:-k]).mean() / s.var()) for k in (1, 10, 100, 500)}
    assert acf[1] > 0.5
    assert acf[10] > 0.2
    assert 0.03 < acf[100] < 0.4
    assert acf[500] > 0.02
    assert abs(busy().trades["side"].mean()) < 0.1


def test_net_flow_of_a_minute_is_a_fraction_of_its_volume() -> None:
    t = busy().trades
    minute = (t["ts_ns"] - busy().spec.start_ns) // (60 * NS)
    delta = np.bincount(minute, weights=t["side"] * t["qty"])
    volume = np.bincount(minute, weights=t["qty"])
    assert 0.10 < np.mean(np.abs(delta) / volume) < 0.32  # 0.16 to 0.29 in real markets


def test_flow_moves_the_price_of_its_window_and_says_little_of_the_next() -> None:
    m = busy()
    window = (m.trades["ts_ns"] - m.spec.start_ns) // (10 * NS)
    flow = np.bincount(window, weights=m.trades["side"] * m.trades["qty"], minlength=8_640)
    edge = np.append(m.mid[::10], m.mid[-1])
    move = np.diff(edge)
    assert 0.2 < correlation(flow, move) ** 2 < 0.7
    assert correlation(flow[:-1], move[1:]) ** 2 < 0.03
    for lag in (1, 3, 6):
        assert abs(correlation(move[lag:], move[:-lag])) < 0.08


def test_returns_have_the_asked_deviation_and_fat_tails() -> None:
    m = busy()
    move = np.diff(m.mid[::60])
    daily = move.std() * np.sqrt(1_440) / m.spec.ref_ticks
    assert 0.7 * m.spec.daily_vol < daily < 1.4 * m.spec.daily_vol
    assert ((move - move.mean()) ** 4).mean() / move.var() ** 2 > 4


def test_the_spread_is_one_tick_and_comes_back_to_it() -> None:
    m = plain()
    spread = m.levels("ask_price")[:, 0] - m.levels("bid_price")[:, 0]
    assert 0.98 < (spread == 1).mean() < 0.9999
    assert spread.max() > 3
    wide = np.flatnonzero(spread[:-1] > 1)
    assert (spread[wide + 1] == 1).mean() > 0.8


def test_the_price_rests_and_jumps() -> None:
    move = np.diff(plain().mid)
    assert 0.80 < (move == 0).mean() < 0.97  # 0.92 in a recording
    assert np.abs(move[move != 0]).mean() > 3


def test_the_touch_responds_to_flow_and_refills() -> None:
    m = plain()
    ask, bid = m.levels("ask_price")[:, 0], m.levels("bid_price")[:, 0]
    change = np.diff(m.levels("ask_qty")[:, 0])
    still = (np.diff(ask) == 0) & (np.diff(bid) == 0)
    step = (m.trades["ts_ns"] - m.spec.start_ns) // (m.spec.depth_ms * 1_000_000)
    bought = np.bincount(step, weights=np.maximum(m.trades["side"], 0) * m.trades["qty"])
    bought = np.pad(bought, (0, len(ask) - len(bought)))[: len(change)]
    assert change[still & (bought > 300)].mean() < -100
    assert change[still & (bought == 0)].mean() > 0


def test_a_lopsided_touch_leans_towards_the_next_move_and_only_leans() -> None:
    m = plain()
    lean = np.log(m.levels("bid_qty")[:, 0] / m.levels("ask_qty")[:, 0])
    ahead = m.mid[10:] - m.mid[:-10]
    assert 0.05 < correlation(lean[:-10], ahead) < 0.35


def test_prices_behind_the_touch_have_gaps_and_persist() -> None:
    price = plain().levels("bid_price")
    reach = price[:, 0] - price[:, -1]
    assert 20 < np.median(reach) < 45  # 28 ticks for 20 levels in a recording
    same = (price[1:, 0] == price[:-1, 0]) & (price[1:, 8] == price[:-1, 8])
    assert same.mean() > 0.4
