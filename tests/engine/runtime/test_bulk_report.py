"""Bulk volume classification judged by hidden flags: against numpy, and on the replay."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import replays
from data.events import Kind
from data.log import LogReader, LogStore
from engine.runtime.bulk_report import LENGTH, WARM, BulkCounter
from engine.runtime.sides_report import COLUMNS, count_sides

S = 10**9


def market(seconds: int = 900, seed: int = 2) -> dict[str, np.ndarray]:
    """Trades of a price that follows the flow, some without a flag, some out of order."""
    rng = np.random.default_rng(seed)
    n = seconds * 4
    ts = np.sort(rng.integers(0, seconds * S, n)) + 1_700_000_000 * S
    flag = rng.choice([-1, 1], n).astype(np.int8)
    price = 10_000 + np.cumsum(np.where(rng.random(n) < 0.5, flag, rng.integers(-1, 2, n)))
    flag[rng.random(n) < 0.05] = 0
    return {"ts": ts, "price": price.astype(np.int64), "qty": rng.integers(1, 900, n), "flag": flag}


def slow(m: dict[str, np.ndarray], horizon: int) -> dict[str, Any]:
    """The definitions, bar by bar."""
    good = m["flag"] != 0
    ts, price, qty, flag = (m[k][good] for k in ("ts", "price", "qty", "flag"))
    bars = ts // (horizon * S)
    volume = squares = 0.0
    n = 0
    base: int | None = None
    right = total = net = 0
    signs: list[bool] = []
    said: dict[int, list[float]] = {}
    for bar in np.unique(bars)[:-1]:
        inside = bars == bar
        v, buy = int(qty[inside].sum()), int(qty[inside & (flag > 0)].sum())
        last = int(price[inside][-1])
        change = 0 if base is None else last - base
        sigma = math.sqrt(squares / volume) if n >= WARM else 0.0
        less = v // 2
        if change and sigma:
            less = v * round(0.5 * math.erfc(abs(change) / sigma / math.sqrt(2)) * 1e9) // 10**9
        bought = less if change < 0 else v - less
        if base is not None:
            n += 1
            weight = 1 / min(n, LENGTH)
            volume += weight * (v - volume)
            squares += weight * (v * change * change - squares)
        base = last
        row = said.setdefault(int(bar * horizon // 60), [0.0, 0.0, 0.0])
        row[2] = last
        if sigma:
            right += min(bought, buy) + min(v - bought, v - buy)
            total, net = total + v, net + abs(2 * buy - v)
            row[0] += 2 * bought - v
            row[1] += 2 * buy - v
            if 2 * buy != v and 2 * bought != v:
                signs.append((2 * buy > v) == (2 * bought > v))
    rows = np.array([said[k] for k in sorted(said)])
    if bars[-1] * horizon // 60 == bars[-1] * horizon / 60 or horizon == 60:
        pass  # the last bar begins a minute: the one before is whole
    else:
        rows = rows[:-1]
    x, y, r = rows[1:, 0], rows[1:, 1], np.diff(rows[:, 2])
    c = np.corrcoef([x, y, r])
    partial = (c[0, 1] - c[0, 2] * c[1, 2]) / math.sqrt((1 - c[0, 2] ** 2) * (1 - c[1, 2] ** 2))
    return {"accuracy": right / total, "halves": 1 - net / (2 * total),
            "sign": sum(signs) / len(signs), "corr": c[0, 1], "partial_corr": partial}  # fmt: skip


@pytest.mark.parametrize("pieces", [1, 7])
def test_counts_are_those_of_the_definitions(pieces: int) -> None:
    m = market()
    counter = BulkCounter()
    for cut in np.array_split(np.arange(len(m["ts"])), pieces):
        counter.take(m["ts"][cut], m["price"][cut], m["qty"][cut], m["flag"][cut])
    for count in counter.counts():
        if count.horizon_s == 60:
            continue  # fifteen bars: too few to be judged
        want = slow(m, count.horizon_s)
        for name, value in want.items():
            assert getattr(count, name) == pytest.approx(value, rel=1e-9), (count.horizon_s, name)
        skill = (want["accuracy"] - want["halves"]) / (1 - want["halves"])
        assert count.skill == pytest.approx(skill)


def test_too_little_is_nothing() -> None:
    counter = BulkCounter()
    m = market(20)
    counter.take(m["ts"], m["price"], m["qty"], m["flag"])
    for count in counter.counts():
        assert (count.bars, count.accuracy, count.sign, count.corr) == (0, None, None, None)


def test_the_replay_with_its_flags_hidden() -> None:
    """What the rules find on the replay, and that a shorter bar knows more beyond the price."""
    store = LogStore(str(replays.path("btc_flow")))
    there = {s.kind for s in store.series()}
    kinds = {k: names for k, names in COLUMNS.items() if k in there}
    report = count_sides(LogReader(store, "synthetic", "BTCUSDT", kinds), S)
    rules = {r.rule: r.agreed / report.trades for r in report.rules}
    assert report.trades > 500_000 and Kind.TRADE in there
    assert rules["tick"] == pytest.approx(0.915, abs=0.01)
    assert rules["ladder"] == pytest.approx(0.862, abs=0.01)
    bulk = {b.horizon_s: b for b in report.bulk}
    partial = [bulk[h].partial_corr or 0 for h in (1, 5, 15, 60)]
    assert partial == sorted(partial, reverse=True)
    assert partial[0] > 0.33 and partial[3] < 0.25
    # halves beat long bars by ELO's accuracy: the yardstick alone says nothing
    assert (bulk[60].skill or 0) < 0 < (bulk[1].skill or 0)
    assert all((b.sign or 0) > 0.6 for b in report.bulk)
