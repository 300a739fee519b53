"""Book pressure: one side built up is told, noise is told rarely, nothing is told from no book."""

from __future__ import annotations

import random

import pytest

from data.events import Kind
from tests.engine.driving import fold_events, probe
from tests.engine.kernel.test_handlers import follow, market_of
from tests.engine.tapes import START, Author, Event, S, market


def books(seconds: int, lean: dict[int, float], seed: int = 3, units: int = 1) -> list[Event]:
    """A book a second at one price; at ``lean`` seconds bids are larger by that factor."""
    a = Author(seed)
    r = random.Random(seed)
    base = START // S * S
    for n in range(seconds):
        a.now = base + n * S + 1
        qty = [[r.randint(900, 1100) * units for _ in range(10)] for _ in range(2)]
        factor = lean.get(n, 1.0)
        bids = [int(q * factor) for q in qty[0]]
        asks = [int(q / factor) for q in qty[1]]
        a.add(Kind.DEPTH, bid_price=[50_000 - x for x in range(10)], bid_qty=bids,
              ask_price=[50_001 + x for x in range(10)], ask_qty=asks)  # fmt: skip
    return a.events


def told(events: list[Event], **settings: str) -> list[int]:
    given = {k.replace("__", "."): v for k, v in settings.items()}
    rows = fold_events(probe("pressure"), events, given).sink.rows("decision")
    return [{0: 0, 1: 0, 4: 1, -2: -1}[int(x)] for x in rows["delta"]]


def test_a_side_that_is_built_up_is_told() -> None:
    for factor, side in ((1.6, 1), (1 / 1.6, -1)):
        directions = told(books(600, dict.fromkeys(range(502, 600), factor)))
        # the step up is told once, at its boundary: what rests unchanged adds no flow
        first = next(n for n, d in enumerate(directions) if d == side)
        assert 99 <= first <= 101
        assert directions.count(side) - sum(d == side for d in directions[:99]) <= 2
        assert -side not in directions[99:102]


def test_noise_is_told_rarely_and_evenly() -> None:
    directions = [d for seed in range(6) for d in told(books(3000, {}, seed))]
    share = sum(d != 0 for d in directions) / len(directions)
    assert share < 0.05, "at most the tails of a normal beyond two"
    assert abs(sum(directions)) < 4 * max(1.0, sum(d != 0 for d in directions)) ** 0.5


def test_units_do_not_matter() -> None:
    plan = dict.fromkeys(range(502, 510), 1.6)
    want = told(books(600, plan))
    assert told(books(600, plan, units=10**12)) == want
    assert any(want)


@pytest.mark.parametrize("events", [[], books(40, {}), books(3, {})])
def test_too_little_says_nothing(events: list[Event]) -> None:
    assert not events or set(told(events)) <= {0}


def test_a_constant_book_says_nothing() -> None:
    events = books(600, {})
    for e in events:
        e.update(bid_qty=[7] * 10, ask_qty=[7] * 10)
    assert set(told(events)) == {0}


def test_no_book_no_word_and_the_step_over_a_gap_is_left_out() -> None:
    events = books(600, dict.fromkeys(range(502, 600), 3.0))
    cut = [e for n, e in enumerate(events) if not 480 <= n < 502]
    assert not any(told(cut)[96:102]), "a step from a stale book is not a step"
    at = next(n for n, e in enumerate(events) if e["ts_ns"] >= events[503]["ts_ns"])
    gap = {"kind": Kind.GAP, "ts_ns": events[at]["ts_ns"], "id": 0, "stream": int(Kind.DEPTH),
           "from_ns": events[at]["ts_ns"], "to_ns": events[at]["ts_ns"], "filled": 0}  # fmt: skip
    assert 1 in told(events)[99:102]
    assert not any(told([*events[:at], gap, *events[at:]])[99:102])


def test_the_seed_reads_resting_size() -> None:
    lean = dict.fromkeys(range(300, 330), 1.3)  # share 1.69 / 2.69 = .628
    directions = told(books(400, lean), pressure__mode="seed")
    assert directions.count(1) == 6
    assert directions.count(-1) == 0
    assert not any(told(books(400, dict.fromkeys(range(300, 330), 1.2)), pressure__mode="seed"))


@pytest.mark.parametrize("seed", [1, 2])
def test_agrees_with_its_oracle_when_warm(seed: int) -> None:
    follow("pressure", market(seed, 1500), market_of("pressure"))
