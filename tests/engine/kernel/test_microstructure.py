"""The microstructure score: by hand, its faults beside its mends, halves that mirror."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.errors import ConfigError
from data.events import Kind
from engine.kernel.book import BOOK_STATE
from engine.kernel.core import CORE_STATE
from engine.kernel.market_state import COOLDOWN, MANIPULATED, MARKET_STATE, NORMAL, PUMP, STALE
from engine.kernel.microstructure import (
    ARM,
    BOOK,
    EDGE,
    FLOW,
    MICROSTRUCTURE_STATE,
    NONE,
    VOLATILITY,
    WALLS,
    WATCH,
    microstructure_boundary,
)
from engine.kernel.walls import WALLS_STATE
from engine.kernel.windows import MASK, WINDOWS_STATE
from engine.runtime.parameters import build, settle
from tests.engine.driving import SCALES, fold_events, probe
from tests.engine.tapes import START, Event, S, market, mirrored

ONE = 10**9
STEP = 5 * S
NOW = START // STEP * STEP
ONES = tuple([1] * 5)


@dataclass(frozen=True)
class Scene:
    """What the score reads at a boundary; quantities of 5 levels a side, volumes of 1, 5, 15 s."""

    bids: tuple[int, ...] = ONES
    asks: tuple[int, ...] = ONES
    buy: tuple[int, int, int] = (1, 1, 1)
    sell: tuple[int, int, int] = (1, 1, 1)
    seconds: tuple[tuple[int, int], ...] = ()
    walls: tuple[int, int] = (0, 0)
    spoof: float = 0.0
    pump: float = 0.0
    way: int = 0
    state: int = NORMAL
    stale: int = 0
    first_ns: int = 1
    price: int = 100_000
    ranges: int = 60
    most: int = 14 * 120
    last: int = 14 * 60
    settings: dict[str, str] = field(default_factory=dict)

    def mirror(self) -> Scene:
        return replace(
            self, bids=self.asks, asks=self.bids, buy=self.sell, sell=self.buy, way=-self.way,
            seconds=tuple((b, a) for a, b in self.seconds), walls=self.walls[::-1],
        )  # fmt: skip


def inputs(x: Scene) -> list[Any]:
    """Records of core, windows, book, walls and market state, as the fold would hold them."""
    core, windows = np.zeros(1, CORE_STATE), np.zeros(1, WINDOWS_STATE)
    book, walls = np.zeros(1, BOOK_STATE), np.zeros(1, WALLS_STATE)
    state = np.zeros(1, MARKET_STATE)
    core["first_trade_ns"], core["last_price"] = x.first_ns, x.price
    windows["buy"][0, :3], windows["sell"][0, :3] = x.buy, x.sell
    for back, (buy, sell) in enumerate(x.seconds, 1):
        at = (NOW // S - back) & MASK
        windows["bucket_buy"][0, at], windows["bucket_sell"][0, at] = buy, sell
    book["stale"], book["bids"], book["asks"] = x.stale, len(x.bids), len(x.asks)
    book["bid_qty"][0, : len(x.bids)], book["ask_qty"][0, : len(x.asks)] = x.bids, x.asks
    book["queue"] = (x.bids[0] - x.asks[0]) / (x.bids[0] + x.asks[0])
    walls["live"][0], walls["score_fp9"] = x.walls, round(x.spoof * ONE)
    state["state"], state["pump_fp9"], state["pump_side"] = x.state, round(x.pump * ONE), x.way
    state["signal"]["direction"] = x.way if x.state == PUMP else 0
    return [core[0], windows[0], book[0], walls[0], state[0]]


def scored(x: Scene) -> Any:
    """The record after one boundary; the true range of the last step repeats the oldest."""
    c = probe("microstructure")
    given_ = {f"microstructure.{k}": v for k, v in x.settings.items()}
    p = build(c, settle(c, given_), SCALES)["microstructure"][0]
    s = np.zeros(1, MICROSTRUCTURE_STATE)
    if x.ranges:
        each = x.last // 14
        s["range"], s["range_sum"], s["ranges"] = each, x.last, 14 * 100
        s["sums"] = x.ranges - 1
        s["sum"][0, :] = x.last
        s["sum"][0, 0] = x.most
        s["high"], s["low"], s["trades"] = x.price + each, x.price, 1
        s["close"] = s["last"] = x.price
    s["last_ns"] = NOW - STEP
    core, windows, book, walls, state = inputs(x)
    microstructure_boundary(s[0], p, core, STEP, windows, book, walls, state, NOW)
    return s[0]


def halves(x: Scene) -> tuple[float, float]:
    s = scored(x)
    return int(s["score_long_fp9"]) / ONE, int(s["score_short_fp9"]) / ONE


BULL = Scene(
    bids=(3, 2, 2, 1, 1), asks=(1, 1, 0, 0, 1), buy=(4, 3, 9), sell=(0, 1, 3), walls=(3, 1),
    seconds=((4, 0), (3, 1), (0, 0)),
)  # fmt: skip
"""Book .5 (best level .5), flow (1 + .5 + .5) / 3, two leaning seconds, walls .5."""


# by hand


def test_a_score_by_hand() -> None:
    """ATR 60 of a price of 100 000 is half of a least move of .12 %; half its largest is best."""
    s = scored(BULL)
    flow = (1 + 0.5 + 0.5) / 3
    edge = 60 / 100_000 / 0.0012
    parts = [0.5, flow, 0.5, 1.0, edge]
    assert s["parts_fp9"].tolist() == [round(v * ONE) for v in parts]
    assert int(s["momentum_fp9"]) == round(2 / 3 * ONE)
    want = 0.2 * 0.5 + 0.25 * (flow / 2 + 1 / 3) + 0.15 * 0.5 + 0.15 + 0.25 * edge
    assert halves(BULL) == pytest.approx((100 * want, 100 * (0.15 + 0.25 * edge)))
    assert (int(s["side"]), int(s["level"])) == (1, WATCH)
    assert int(s["signal"]["direction"]) == 1
    assert int(s["signal"]["value_fp9"]) == int(s["score_long_fp9"])
    assert int(s["coverage_fp9"]) == ONE


@pytest.mark.parametrize(("watch", "arm", "level"), [(80, 90, NONE), (12, 22, ARM)])
def test_levels_are_settings(watch: int, arm: int, level: int) -> None:
    s = scored(replace(BULL, settings={"watch": str(watch), "arm": str(arm)}))
    assert int(s["level"]) == level
    assert int(s["signal"]["direction"]) == (1 if level else 0)


def test_penalties_by_hand() -> None:
    """Spoof to both, pump whole to the side of the run and half to the other."""
    base = halves(BULL)
    spoofed = halves(replace(BULL, spoof=0.25))
    assert spoofed == pytest.approx([b - 100 * 0.25**1.5 for b in base])
    pump = 100 * 0.8 * 0.3**1.3
    up, down = (halves(replace(BULL, pump=0.3, way=w)) for w in (1, -1))
    assert up == pytest.approx((base[0] - pump, base[1] - pump / 2))
    assert down == pytest.approx((base[0] - pump / 2, base[1] - pump))
    seed = {"mode": "seed_fed"}
    down = halves(replace(BULL, pump=0.3, way=-1, settings=seed))
    base = halves(replace(BULL, settings=seed))
    assert down == pytest.approx((base[0] - pump, base[1] - pump / 2)), "longs, whichever way"


@pytest.mark.parametrize(
    ("state", "way", "left"),
    [
        (NORMAL, 1, (1, 1)), (COOLDOWN, 0, (0.6, 0.6)), (STALE, 0, (0, 0)),
        (MANIPULATED, 0, (0, 0)), (PUMP, 1, (0, 0.5)), (PUMP, -1, (0.5, 0)), (PUMP, 0, (0, 0)),
    ],
)  # fmt: skip
def test_what_a_market_state_leaves(state: int, way: int, left: tuple[float, float]) -> None:
    base = halves(BULL)
    found = halves(replace(BULL, state=state, way=way))
    assert found == pytest.approx([b * share for b, share in zip(base, left, strict=True)])
    seed = halves(replace(BULL, state=state, way=way, settings={"mode": "seed"}))
    if state == PUMP:
        assert seed[0] == 0 and seed[1] > 0, "the seed bans longs, whichever way it runs"


@pytest.mark.parametrize(
    ("at", "want"), [(0.2, 0), (0.3, 0), (0.4, 0.75), (0.5, 1), (0.65, 0.4375), (0.7, 0), (1, 0)]
)
def test_volatility_is_a_parabola(at: float, want: float) -> None:
    s = scored(replace(BULL, most=14_000, last=round(14_000 * at)))
    assert int(s["parts_fp9"][VOLATILITY]) == round(want * ONE)


def test_momentum_is_a_run_of_one_way() -> None:
    for seconds, want in (
        (((5, 0), (5, 0), (5, 0)), 1.0), (((5, 0), (0, 5), (5, 0)), 1 / 3),
        (((6, 4), (5, 0), (5, 0)), 0.0), (((0, 3), (1, 3), (2, 4)), -1.0), ((), 0.0),
    ):  # fmt: skip
        assert int(scored(replace(BULL, seconds=seconds))["momentum_fp9"]) == round(want * ONE)


# the seed's faults, and their mends


def test_seed_mode_feeds_neither_momentum_nor_walls() -> None:
    seed, fed = (scored(replace(BULL, settings={"mode": m})) for m in ("seed", "seed_fed"))
    assert [int(x) for x in (seed["momentum_fp9"], seed["parts_fp9"][WALLS])] == [0, 0]
    flow = (1 + 0.5 + 0.5) / 3
    want = 0.2 * 0.5 + 0.25 * flow / 2 + 0.15 + 0.25
    assert int(seed["score_long_fp9"]) / ONE == pytest.approx(100 * want)
    want += 0.25 / 3 + 0.15 * 0.5
    assert int(fed["score_long_fp9"]) / ONE == pytest.approx(100 * want)


def test_the_seed_divides_price_units_by_a_share() -> None:
    """A range of 6.0 in price is 5000 times a "percent" of .0012: full, whatever the price."""
    cheap = Scene(price=100, last=14 * 60, settings={"mode": "seed"})
    assert int(scored(cheap)["parts_fp9"][EDGE]) == ONE
    tiny = Scene(last=14, settings={"mode": "seed", "buffer": "0.9991"})
    assert int(scored(tiny)["parts_fp9"][EDGE]) == 100_000_000, "0.1 in price units over 1"
    mended = replace(tiny, settings={"buffer": "0.9991"})
    assert int(scored(mended)["parts_fp9"][EDGE]) == 10_000, "1 of 100 000 over 1"


def test_the_seed_reads_the_best_level_and_standard_five() -> None:
    x = replace(BULL, bids=(1, 9, 9, 9, 9), asks=(3, 0, 0, 0, 0))
    assert int(scored(x)["parts_fp9"][BOOK]) == round(34 / 40 * ONE)
    assert int(scored(replace(x, settings={"mode": "seed"}))["parts_fp9"][BOOK]) == -ONE // 2


def test_missing_is_not_zero_but_in_the_seed() -> None:
    """Without flow three quarters of the weight are left and are taken for the whole."""
    x = replace(BULL, first_ns=NOW)
    s = scored(x)
    assert (int(s["coverage_fp9"]), int(s["known"]) >> FLOW & 1) == (750_000_000, 0)
    known = 0.2 * 0.5 + 0.15 * 0.5 + 0.15 + 0.25 * 0.5
    assert halves(x)[0] == pytest.approx(100 * known / 0.75)
    early = replace(x, settings={"mode": "seed_fed"}, buy=(0, 0, 0), sell=(0, 0, 0))
    zero = replace(early, first_ns=1)
    assert halves(early) == halves(zero)


@pytest.mark.parametrize("change", [{"stale": 1}, {"ranges": 0}, {"state": STALE}])
def test_it_abstains(change: dict[str, int]) -> None:
    """No book leaves .65, no ranges .60: both below the floor."""
    s = scored(replace(BULL, **change))  # type: ignore[arg-type]
    assert (int(s["signal"]["ready"]), int(s["level"]), int(s["side"])) == (0, NONE, 0)
    assert halves(replace(BULL, **change)) == (0, 0)  # type: ignore[arg-type]
    low = scored(replace(BULL, settings={"coverage": "0.5"}, **change))  # type: ignore[arg-type]
    assert int(low["signal"]["ready"]) == (change.get("state") != STALE)


def test_a_parabola_without_width_is_refused() -> None:
    with pytest.raises(ConfigError, match="wild must be above"):
        scored(replace(BULL, settings={"calm": "0.5", "wild": "0.5"}))


# properties

qty = st.integers(0, 50)
levels = st.tuples(st.integers(1, 50), qty, qty, qty, qty)
volumes = st.tuples(qty, qty, qty)
scenes = st.builds(
    Scene, bids=levels, asks=levels, buy=volumes, sell=volumes,
    seconds=st.lists(st.tuples(qty, qty), max_size=4).map(tuple),
    walls=st.tuples(st.integers(0, 8), st.integers(0, 8)), spoof=st.floats(0, 1),
    pump=st.floats(0, 1), way=st.sampled_from((-1, 0, 1)),
    state=st.sampled_from((NORMAL, STALE, PUMP, MANIPULATED, COOLDOWN)),
    stale=st.sampled_from((0, 0, 0, 1)), last=st.integers(0, 200).map(lambda x: 14 * x),
    ranges=st.sampled_from((0, 30, 60, 300)),
)  # fmt: skip
EXAMPLES = settings(max_examples=200, deadline=None, derandomize=True)


@EXAMPLES
@given(scenes)
def test_halves_mirror_exactly(x: Scene) -> None:
    a, b = scored(x), scored(x.mirror())
    for one, other in (("long", "short"), ("short", "long")):
        for name in ("score", "pump", "factor"):
            assert int(a[f"{name}_{one}_fp9"]) == int(b[f"{name}_{other}_fp9"]), name
    assert int(a["side"]) == -int(b["side"])
    assert int(a["signal"]["direction"]) == -int(b["signal"]["direction"])
    for name in ("level", "known", "coverage_fp9", "spoof_fp9"):
        assert int(a[name]) == int(b[name]), name


@EXAMPLES
@given(scenes, st.sampled_from(("standard", "seed", "seed_fed")), st.integers(1, 30))
def test_more_for_a_side_never_lowers_it_nor_raises_the_other(
    x: Scene, mode: str, more: int
) -> None:
    x = replace(x, settings={"mode": mode})
    low = halves(x)
    assert all(0 <= v <= 100 for v in low)
    deeper = tuple(q + more for q in x.bids)
    bought = tuple(q + more for q in x.buy)
    walls = (x.walls[0] + 1, x.walls[1])
    for y in (
        replace(x, bids=deeper), replace(x, buy=bought), replace(x, walls=walls),
        replace(x, seconds=tuple((b + more, s) for b, s in x.seconds)),
    ):  # fmt: skip
        high = halves(y)
        assert high[0] >= low[0] - 1e-9
        assert high[1] <= low[1] + 1e-9


@EXAMPLES
@given(scenes, st.floats(0, 1))
def test_a_penalty_never_raises_a_score(x: Scene, more: float) -> None:
    low = halves(x)
    for y in (replace(x, spoof=max(x.spoof, more)), replace(x, pump=max(x.pump, more))):
        assert all(after <= before for after, before in zip(halves(y), low, strict=True))


# in a fold

QUICK = {"market_state.warm": "4"}
NO_COST = {f"microstructure.{k}": "0" for k in ("fee", "slippage", "buffer")}


def rows_of(events: list[Event], **changes: str) -> np.ndarray:
    given_ = {f"microstructure.{k}": v for k, v in changes.items()}
    done = fold_events(probe("microstructure"), events, {**QUICK, **NO_COST, **given_})
    return done.sink.rows("decision")


def test_it_speaks_on_a_market_and_mirrors_to_the_last_digit() -> None:
    """Without cost the fee edge knows no price, so the mirrored market scores exactly alike."""
    events = [e for e in market(4, 900) if e["kind"] != Kind.GAP]
    a, b = rows_of(events), rows_of(mirrored(events, 10**6))
    assert (a["score_fp9"] > 0).sum() > 60
    assert set(a["direction"].tolist()) == {-1, 0, 1}
    assert a["score_fp9"].tolist() == b["probability_fp9"].tolist()
    assert a["probability_fp9"].tolist() == b["score_fp9"].tolist()
    assert a["direction"].tolist() == (-b["direction"]).tolist()


def test_a_gap_begins_its_ranges_anew() -> None:
    """A gap of trades: no ATR for 14 steps and one, no volatility for 59 more."""
    events = market(4, 900)
    s = fold_events(probe("microstructure"), events, QUICK).fold.state["microstructure"][0]
    assert 15 < int(s["ranges"]) < 91
    assert int(s["sums"]) == int(s["ranges"]) - 13
    assert math.isclose(int(s["range_sum"]), sum(s["range"].tolist()))
    whole = [e for e in events if e["kind"] != Kind.GAP]
    t = fold_events(probe("microstructure"), whole, QUICK).fold.state["microstructure"][0]
    assert int(t["ranges"]) > 2 * int(s["ranges"]) - 5
    assert int(t["range_sum"]) == int(s["range_sum"])
