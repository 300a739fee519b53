"""Markets of agents: the same for the same seed, a sound book, and tables that agree."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from data.errors import ConfigError
from data.events import NS, Kind
from data.log import LogStore
from data.sources.synthetic import (
    MarketSpec,
    agents,
    decode_labels,
    encode_labels,
    label_path,
    write_market,
)
from data.sources.synthetic.agents import AgentSpec
from tests.data.sources.synthetic.agent_markets import HOUR_S, LIGHT, digest, everything, seen
from tests.shared import CAMPAIGN

SMALL = AgentSpec(seed=3, duration_s=360, patterns=("absorption",), every_s=360)


def test_equal_specifications_give_equal_markets_compiled_or_not() -> None:
    code = (
        "from tests.data.sources.synthetic.agent_markets import digest\n"
        "from tests.data.sources.synthetic.test_agents import SMALL\n"
        "print(digest(SMALL))\n"
    )
    out = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONHASHSEED": "77"},
        capture_output=True,
        encoding="utf-8",
        check=True,
        timeout=120,
    )
    assert out.stdout.strip() == digest(SMALL)


@pytest.mark.parametrize(
    "change",
    [{"seed": 4}, {"noise": 0.4}, {"rho": 0.4}, {"branching": 0.4}, {"spread_ticks": 2.0},
     {"rate_per_s": 6.0}, {"strength": (2.0, 3.0)}, {"null": True}],
)  # fmt: skip
def test_every_parameter_matters(change: dict) -> None:
    assert digest(replace(SMALL, **change)) != digest(SMALL)


def test_the_order_of_asking_for_kinds_does_not_matter() -> None:
    few = agents.market(replace(SMALL, kinds=(Kind.TRADE,)))
    assert list(few.tables) == [Kind.TRADE]
    np.testing.assert_array_equal(
        few.tables[Kind.TRADE]["price"], agents.market(SMALL).tables[Kind.TRADE]["price"]
    )


def test_prints_lie_at_the_touch_on_the_aggressors_side() -> None:
    m = everything()
    bid, ask = m.touch
    assert len(bid) == len(m.trades["price"]) > 30_000
    assert (bid < ask).all()
    want = np.where(m.trades["side"] > 0, ask, bid)
    np.testing.assert_array_equal(m.trades["price"], want)
    assert (m.trades["qty"] > 0).all()
    assert (np.diff(m.trades["ts_ns"]) >= 0).all() and (np.diff(m.trades["id"]) == 1).all()
    assert (m.trades["price"] % m.spec.tick_units == 0).all()


def test_books_are_never_crossed_and_never_empty() -> None:
    m = everything()
    depth = m.tables[Kind.DEPTH]
    price, qty = {}, {}
    for side in ("bid", "ask"):
        values, offsets = depth[f"{side}_price"]
        assert (np.diff(offsets) == 20).all()
        price[side] = values.reshape(-1, 20)
        qty[side] = depth[f"{side}_qty"][0].reshape(-1, 20)
    assert (price["bid"][:, 0] < price["ask"][:, 0]).all()
    assert (np.diff(price["bid"]) < 0).all() and (np.diff(price["ask"]) > 0).all()
    assert (qty["bid"] > 0).all() and (qty["ask"] > 0).all()
    np.testing.assert_array_equal(
        depth["ts_ns"], m.spec.start_ns + np.arange(2 * HOUR_S * 10) * 100_000_000
    )


def test_quotes_change_with_every_row_and_agree_with_the_books() -> None:
    m = everything()
    q, depth = m.quotes, m.tables[Kind.DEPTH]
    values = np.stack([q[n] for n in ("bid", "bid_qty", "ask", "ask_qty")])
    changes = (np.diff(values) != 0).any(axis=0)
    assert changes.mean() > 0.999  # but for the first of a block, which stands for itself
    at = np.searchsorted(q["ts_ns"], depth["ts_ns"], side="right") - 1
    for name, column in (("bid", "bid_price"), ("bid_qty", "bid_qty"), ("ask", "ask_price")):
        np.testing.assert_array_equal(q[name][at], depth[column][0].reshape(-1, 20)[:, 0])


def test_bars_are_those_of_the_trades() -> None:
    m = everything()
    t, bars = m.trades, m.tables[Kind.BAR]
    cut = np.searchsorted(t["ts_ns"], np.append(bars["open_ns"], m.spec.end_ns))
    for k in range(len(bars["ts_ns"])):
        price, qty = t["price"][cut[k] : cut[k + 1]], t["qty"][cut[k] : cut[k + 1]]
        side = t["side"][cut[k] : cut[k + 1]]
        got = [int(bars[n][k]) for n in ("open", "high", "low", "close", "volume", "buy_volume")]
        want = [price[0], price.max(), price.min(), price[-1], qty.sum(), qty[side > 0].sum()]
        assert got == [int(x) for x in want]
    assert bars["trades"].sum() == len(t["price"])


def test_no_chunk_reaches_over_midnight_and_labels_come_once() -> None:
    spec = everything().spec
    chunks = list(agents.generate(spec))
    day = 86_400 * NS
    assert {c.from_ns // day for c in chunks} == {(c.to_ns - 1) // day for c in chunks}
    assert all(c.from_ns // day == (c.to_ns - 1) // day for c in chunks)
    assert [x for c in chunks for x in c.labels] == everything().labels
    assert {x.type for x in everything().labels} == set(agents.PATTERN_KINDS)
    for x in everything().labels:
        assert x.start_ns <= x.onset_ns < x.end_ns < x.settle_ns <= spec.end_ns


def test_a_hundred_thousand_trades_take_seconds() -> None:
    list(agents.generate(replace(SMALL, duration_s=60, patterns=())))  # compiled by now
    began = time.process_time()
    m = agents.market(AgentSpec(seed=1, duration_s=6 * HOUR_S))
    spent = time.process_time() - began
    assert len(m.tables[Kind.TRADE]["price"]) > 100_000
    assert spent < (2.0 if CAMPAIGN else 10.0), f"{spent:.1f} s"


def test_twins_are_one_market_until_the_first_pattern() -> None:
    spec = replace(everything().spec, kinds=LIGHT)
    market, twin = seen(spec), seen(replace(spec, null=True))
    assert [replace(x, twin=False, level=0) for x in twin.labels] == [
        replace(x, level=0) for x in market.labels
    ]
    assert all(x.twin for x in twin.labels) and not any(x.twin for x in market.labels)
    first = market.labels[0].start_ns
    n = np.searchsorted(market.trades["ts_ns"], first)
    assert n > 100
    for name in ("ts_ns", "price", "qty", "side"):
        np.testing.assert_array_equal(market.trades[name][:n], twin.trades[name][:n])
    assert not np.array_equal(market.trades["price"][-n:], twin.trades["price"][-n:])


def test_twins_have_the_same_background_orders_and_news_outside_of_patterns() -> None:
    spec = replace(everything().spec, kinds=LIGHT)
    market, twin = seen(spec), seen(replace(spec, null=True))
    borders = [spec.start_ns, *(x.settle_ns for x in market.labels)]
    ends = [*(x.start_ns for x in market.labels), spec.end_ns]
    moves: list[tuple[float, float]] = []
    for a, b in zip(borders, ends, strict=True):
        orders = []
        for m in (market, twin):
            i, j = np.searchsorted(m.trades["ts_ns"], [a, b])
            orders.append(set(zip(m.trades["ts_ns"][i:j], m.trades["side"][i:j], strict=True)))
        assert orders[0] == orders[1]
        edge = np.arange(a, b, 60 * NS)
        moves += zip(np.diff(market.mid(edge)), np.diff(twin.mid(edge)), strict=True)
    assert len(moves) > 30
    assert np.corrcoef(np.array(moves).T)[0, 1] > 0.75


def test_a_market_of_agents_in_the_log(tmp_path) -> None:
    spec = replace(SMALL, symbol="AGENTS")
    store = LogStore(str(tmp_path / "log"), create=True)
    labels = write_market(store, spec)
    want = agents.market(spec)
    assert labels == want.labels and len(labels) == 1
    rows = {e.kind: e.rows for e in store.catalogue().entries}
    assert rows == {kind: len(table["ts_ns"]) for kind, table in want.tables.items()}
    body = store.storage.read_bytes(label_path(spec))
    assert decode_labels(body) == (spec, labels) and encode_labels(spec, labels) == body
    flow = MarketSpec(seed=3, symbol="AGENTS", duration_s=360)
    assert label_path(flow) != label_path(spec)
    assert b"generator" not in encode_labels(flow, [])
    assert write_market(store, spec) == labels


@pytest.mark.parametrize(
    ("change", "named"),
    [({"rho": 0.95}, "rho"), ({"noise": 1.1}, "noise"), ({"branching": 0.95}, "branching"),
     ({"spread_ticks": 0.5}, "spread_ticks"), ({"rate_per_s": 0.1}, "rate_per_s"),
     ({"depth_ms": 250}, "depth_ms"), ({"patterns": ("cvd_divergence",)}, "every_s"),
     ({"patterns": ("trend",)}, "patterns"), ({"tick": -1}, "tick"), ({"seed": -1}, "seed"),
     ({"duration_s": 90}, "duration_s"), ({"ref_price": 1.0, "tick": 1}, "ref_price")],
)  # fmt: skip
def test_values_out_of_range_are_refused_by_name(change: dict, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        replace(SMALL, **change)


def test_a_specification_survives_json() -> None:
    assert AgentSpec.from_dict(SMALL.to_dict()) == SMALL
    with pytest.raises(ConfigError, match="vol"):
        AgentSpec.from_dict({**SMALL.to_dict(), "vol": 1})
