"""Order blocks: against the oracle on moves that break levels, and one block by hand."""

from __future__ import annotations

import random

import numpy as np
import pytest

from data.events import Kind
from tests.engine.driving import fold_events, new_fold, probe
from tests.engine.kernel.minute_tapes import FROM, gap
from tests.engine.kernel.test_handlers import follow, market_of
from tests.engine.tapes import MINUTE, Event, S, mirrored, pack

CENTRE = 1_000_000


def trade(n: int, at_s: int, price: int, qty: int, side: int) -> Event:
    return {"kind": Kind.TRADE, "ts_ns": FROM + n * MINUTE + at_s * S, "id": 100 * n + at_s + 1,
            "price": price, "qty": qty, "side": side}  # fmt: skip


def legs(seed: int, minutes: int = 120) -> list[Event]:
    """A market in legs of six minutes: it trends, so that levels break."""
    r, price, drift, out = random.Random(seed), 100_000, 0, []
    for n in range(minutes):
        drift = r.choice((-6, -2, 0, 2, 6)) if n % 6 == 0 else drift
        for k in range(6):
            price += r.randint(-6, 6) + drift
            side = 1 if r.random() < 0.5 + drift / 20 else -1
            out.append(trade(n, 9 * k, price, r.randint(1, 3000), side))
    return out


@pytest.mark.parametrize("seed", [2, 5])
def test_agrees_with_the_oracle_where_levels_break(seed: int) -> None:
    market = market_of("order_block")
    follow("order_block", legs(seed), market)
    assert market.oracle("order_block").counts["added"] > 2


def candle(n: int, prices: tuple[int, ...], side: int = 1) -> list[Event]:
    return [trade(n, 2 + 12 * k, x, 1000, side) for k, x in enumerate(prices)]


def by_hand(minutes: int = 38) -> list[Event]:
    """Humps that make pivots, a falling candle, then three that rise over the last hump."""
    out: list[Event] = []
    for n in range(30):
        top = 100_000 + (40 if n == 20 else 20 - abs(n % 4 - 2))
        out += candle(n, (100_000, top, 100_000, 100_001), 1 if n % 2 else -1)
    out += candle(30, (100_010, 100_012, 99_990, 99_995), -1)
    for k, n in enumerate((31, 32, 33)):
        at = 100_000 + 40 * k
        out += candle(n, (at, at + 10, at + 30, at + 40))
    for n in range(34, minutes):
        out += candle(n, (100_100, 100_060, 100_040, 100_020) if n == 34 else (100_005,) * 4)
    return out


def blocks_of(events: list[Event], **settings: str) -> tuple[np.ndarray, np.ndarray]:
    s = {f"order_block.{k}": v for k, v in settings.items()}
    state = fold_events(probe("order_block"), events, s).fold.state["order_block"][0]
    return state["blocks"][: int(state["n"])], state


def test_a_block_by_hand() -> None:
    (block,), state = blocks_of(by_hand(), frames="1m")
    assert [int(block[f]) for f in ("low", "high", "side")] == [99_990, 100_012, 1]
    # the last pivot is the 100,020 of minute 26; the close of minute 31 is the first beyond it
    assert int(block["born_ns"]) == FROM + 32 * MINUTE
    assert int(block["delta"]) == 4 * 1000
    assert int(state["side"]) == 1, "the last price, 100,005, lies in it"
    assert int(state["delta_side"]) == 1
    (turned,), _ = blocks_of(mirrored(by_hand(), CENTRE), frames="1m")
    assert [int(turned[f]) for f in ("low", "high", "side")] == [
        CENTRE - 100_012, CENTRE - 99_990, -1,
    ]  # fmt: skip


def test_nothing_is_told_before_the_candle_that_breaks_has_closed() -> None:
    events = by_hand()
    born = FROM + 32 * MINUTE
    fold, _ = new_fold(probe("order_block"), {"order_block.frames": "1m"})
    tape = pack(events)
    before = sum(e["ts_ns"] < born for e in events)
    fold.feed(*tape.batch(0, before))
    assert int(fold.state["order_block"]["added"][0]) == 0
    fold.feed(*tape.batch(before, len(events)))
    assert int(fold.state["order_block"]["added"][0]) == 1


def test_traded_through_expired_and_forgotten_over_a_gap() -> None:
    whole = by_hand()
    live, _ = blocks_of([*whole, trade(38, 1, 99_990, 5, -1)], frames="1m")
    assert len(live) == 1, "touched is not through"
    through, state = blocks_of(
        [*whole, trade(38, 1, 99_989, 5, -1), trade(38, 20, 100_000, 5, 1)], frames="1m"
    )
    assert (len(through), int(state["mitigated"])) == (0, 1)
    over, state = blocks_of(by_hand(60), frames="1m", life="10m")
    assert (len(over), int(state["expired"])) == (0, 1)
    lost, state = blocks_of([*whole, gap(39)], frames="1m")
    assert (len(lost), int(state["added"])) == (0, 1)


def test_too_small_a_move_or_too_far_a_candle_makes_no_block() -> None:
    assert len(blocks_of(by_hand(), frames="1m", displacement="9")[0]) == 0
    slow = [e for e in by_hand() if e["ts_ns"] < FROM + 31 * MINUTE]
    slow += candle(31, (100_000, 100_010, 100_010, 100_012))
    slow += candle(32, (100_020, 100_030, 100_040, 100_050)) + candle(33, (100_050,))
    assert len(blocks_of(slow, frames="1m", candles="1")[0]) == 0
    assert len(blocks_of(slow, frames="1m", candles="2")[0]) == 1
    assert len(blocks_of(by_hand(), frames="5m")[0]) == 0
