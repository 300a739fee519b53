"""The side rules against a slow and obvious reference, over a log that is read in pieces."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.events import Kind, Scales
from data.log import LogReader, LogStore
from engine.runtime.sides_report import COLUMNS, SidesReport, count_sides

T = 1_723_161_600_000_000_000
S = 1_000_000_000


def random_market(seed: int, count: int) -> dict[Kind, dict[str, Any]]:
    """Trades around a wandering quote, a tenth without a flag, books and quotes in between."""
    rng = np.random.default_rng(seed)
    ts = T + np.sort(rng.integers(0, 60 * S, count)).astype(np.int64)
    price = 1000 + np.cumsum(rng.integers(-2, 3, count)).astype(np.int64)
    trades = {
        "ts_ns": ts,
        "id": np.arange(1, count + 1, dtype=np.int64),
        "price": price,
        "qty": rng.integers(1, 50, count).astype(np.int64),
        "side": rng.choice([-1, 0, 1], count, p=[0.45, 0.1, 0.45]).astype(np.int8),
        "tick": rng.choice([-2, -1, 0, 1, 2], count).astype(np.int8),
    }
    n = count // 3
    at = T + np.sort(rng.integers(0, 60 * S, n)).astype(np.int64)
    bid = 998 + rng.integers(-5, 5, n).astype(np.int64)
    half = rng.integers(-1, 4, n)  # some are crossed, some empty
    quotes = {
        "ts_ns": at, "id": np.arange(1, n + 1), "bid": bid, "ask": bid + half,
        "bid_qty": np.ones(n, np.int64), "ask_qty": np.ones(n, np.int64),
    }  # fmt: skip
    levels = rng.integers(0, 3, n)
    offsets = np.concatenate(([0], np.cumsum(levels))).astype(np.int64)
    rung = np.concatenate([np.arange(k) for k in levels]).astype(np.int64)
    base = np.repeat(bid, levels)
    one = np.ones(len(rung), np.int64)
    depth = {
        "ts_ns": at + 7, "id": np.arange(1, n + 1),
        "bid_price": (base - rung, offsets), "bid_qty": (one, offsets),
        "ask_price": (base + 1 + rung, offsets), "ask_qty": (one, offsets),
    }  # fmt: skip
    return {Kind.TRADE: trades, Kind.DEPTH: depth, Kind.QUOTE: quotes}


def reference(market: dict[Kind, dict[str, Any]], age_ns: int) -> dict[str, list[int]]:
    """[decided, agreed, decided_qty, agreed_qty] by rule, one event at a time in plain Python."""
    events: list[tuple[int, int, int]] = [
        (int(t), int(kind), row)
        for kind, columns in market.items()
        for row, t in enumerate(columns["ts_ns"])
    ]
    rules = ("tick", "quote", "lee_ready", "ladder", "venue_tick")
    counts = {rule: [0, 0, 0, 0] for rule in rules}
    last, direction, quote, quote_ns = 0, 0, None, 0
    for t, number, row in sorted(events):
        columns = market[Kind(number)]
        if number == Kind.QUOTE:
            bid, ask = int(columns["bid"][row]), int(columns["ask"][row])
            quote, quote_ns = ((bid, ask), t) if ask > bid else (None, quote_ns)
        elif number == Kind.DEPTH:
            prices, offsets = columns["bid_price"]
            if offsets[row + 1] > offsets[row]:
                top = int(prices[offsets[row]]), int(columns["ask_price"][0][offsets[row]])
                quote, quote_ns = top, t
        else:
            price, flag = int(columns["price"][row]), int(columns["side"][row])
            if last and price != last:
                direction = 1 if price > last else -1
            last = price
            by_quote = 0
            if quote is not None:
                twice = quote[0] + quote[1]
                by_quote = (2 * price > twice) - (2 * price < twice)
            synced = quote is not None and t - quote_ns <= age_ns
            answers = {
                "tick": direction,
                "quote": by_quote,
                "lee_ready": by_quote or direction,
                "ladder": (by_quote if synced else 0) or direction,
                "venue_tick": int(np.sign(columns["tick"][row])),
            }
            for rule, answer in answers.items():
                if flag and answer:
                    qty = int(columns["qty"][row])
                    agreed = answer == flag
                    step = (1, agreed, qty, qty * agreed)
                    counts[rule] = [a + b for a, b in zip(counts[rule], step, strict=True)]
    return counts


def stored(market: dict[Kind, dict[str, Any]], folder: Path) -> LogStore:
    store = LogStore(folder, create=True)
    with store.transaction() as change:
        for kind, columns in market.items():
            change.merge(kind, "x", "Y", columns, Scales(2, 1))
    return store


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("age_ns", [0, 50_000_000, 10**18])
def test_counts_are_those_of_the_reference(seed: int, age_ns: int, tmp_path: Path) -> None:
    market = random_market(seed, 600)
    store = stored(market, tmp_path / "log")
    expected = reference(market, age_ns)
    seen: list[SidesReport] = []
    for chunk in (1, 7, 65_536):
        reader = LogReader(store, "x", "Y", COLUMNS, chunk_rows=chunk)
        seen.append(count_sides(reader, age_ns))
    assert seen[0] == seen[1] == seen[2]
    for rule in seen[0].rules:
        qty = [rule.decided_qty * 10, rule.agreed_qty * 10]
        assert [rule.decided, rule.agreed, *map(round, qty)] == expected[rule.rule], rule.rule
    flags = market[Kind.TRADE]["side"]
    assert seen[0].trades == int((flags != 0).sum())
    assert seen[0].unflagged == int((flags == 0).sum())
    assert seen[0].qty == pytest.approx(int(market[Kind.TRADE]["qty"][flags != 0].sum()) / 10)


def test_a_log_of_trades_alone_has_only_the_tick_rule(tmp_path: Path) -> None:
    market = random_market(9, 100)
    market[Kind.TRADE]["tick"][:] = 0
    store = stored({Kind.TRADE: market[Kind.TRADE]}, tmp_path / "log")
    reader = LogReader(store, "x", "Y", {Kind.TRADE: COLUMNS[Kind.TRADE]})
    report = count_sides(reader, S)
    by_rule = {rule.rule: rule for rule in report.rules}
    assert "venue_tick" not in by_rule and report.quotes == 0
    assert by_rule["quote"].decided == 0
    assert by_rule["tick"].decided == by_rule["ladder"].decided > 80
