"""Delta turns by hand, on tapes with loose settings, on nulls and plants."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from engine.kernel import delta_turn
from engine.kernel.candles import CANDLE
from tests.engine.driving import Result, fold_events, probe
from tests.engine.kernel.oracles import Reference
from tests.engine.kernel.test_handlers import EXAMPLES, follow, needed
from tests.engine.tapes import MINUTE, Event, Plot, S, fixed, tapes, write

START = 1_723_161_600 * S
FAR = np.iinfo(np.int64).max
Bar = tuple[int, int, int, int, int]
"""open, high, low, close, delta."""


def record(bar: Bar) -> Any:
    c = np.zeros(1, dtype=CANDLE)
    c["open"], c["high"], c["low"], c["close"] = bar[:4]
    return c[0]


def forms(*bars: Bar, sign: int = 1, extreme: int = FAR) -> int:
    return int(delta_turn.delta_forms(*(record(b) for b in bars), sign, extreme))


RISE_1: Bar = (10, 15, 9, 14, 5)
RISE_2: Bar = (14, 20, 12, 18, 5)


@pytest.mark.parametrize(
    ("c", "want"),
    [
        ((18, 21, 13, 19, -5), 1),  # higher high, higher low
        ((18, 20, 13, 19, -5), 0),  # the high must be higher
        ((18, 21, 12, 19, -5), 0),  # and the low too
        ((18, 20, 11, 17, -5), 2),  # fell after two rises, high at the high before
        ((18, 21, 11, 17, -5), 2),  # or above
        ((18, 19, 11, 17, -5), 0),  # or not
        ((18, 20, 11, 18, -5), 0),  # a candle that went nowhere did not fall
        ((18, 21, 13, 17, -5), 3),
    ],
)
def test_forms_by_hand(c: Bar, want: int) -> None:
    assert forms(RISE_1, RISE_2, c) == want

    def turned(bar: Bar) -> Bar:
        return (100 - bar[0], 100 - bar[2], 100 - bar[1], 100 - bar[3], -bar[4])

    assert forms(turned(RISE_1), turned(RISE_2), turned(c), sign=-1) == want


def test_atas_asks_for_two_rises() -> None:
    flat: Bar = (14, 20, 12, 14, 5)
    down: Bar = (18, 20, 11, 17, -5)
    assert forms(flat, RISE_2, down) == forms(RISE_1, flat, down) == 0


@pytest.mark.parametrize(("extreme", "want"), [(20, 4), (19, 4), (21, 0), (FAR, 0)])
def test_at_or_through_the_extreme_of_the_session(extreme: int, want: int) -> None:
    inside: Bar = (15, 20, 12, 16, -5)
    assert forms(RISE_1, RISE_2, inside, extreme=extreme) == want
    low: Bar = (85, 88, 80, 84, 5)
    mirrored = [(90, 91, 85, 86, -5), (86, 88, 80, 82, -5), low]
    assert forms(*mirrored, sign=-1, extreme=extreme - 100) == want


def trades(bars: list[Bar | None], start: int = START) -> list[Event]:
    """Four trades a candle at open, high, low, close; all but the last are even on both sides."""
    out: list[Event] = []

    def add(at: int, price: int, qty: int, side: int) -> None:
        out.append({"kind": 4, "ts_ns": at, "id": len(out), "price": price, "qty": qty,
                    "side": side})  # fmt: skip

    for n, bar in enumerate(bars):
        if bar is None:
            continue
        at = start + n * MINUTE + S
        for k, price in enumerate(bar[:4]):
            add(at + k * S, price, 1, 1 if k % 2 else -1)
        delta = bar[4]
        if delta:
            add(at + 5 * S, bar[3], abs(delta), 1 if delta > 0 else -1)
    return out


def calm(n: int) -> list[Bar | None]:
    """Candles between 1000 and 1010 whose delta is 100 in size, of either sign in turn."""
    return [(1005, 1010, 1000, 1005, 100 if k % 2 else -100) for k in range(n)]


def folded(bars: list[Bar | None], **settings: str) -> Result:
    given_ = {f"delta_turn.{k}": v for k, v in settings.items()}
    return fold_events(probe("delta_turn"), trades([*bars, (1005, 1005, 1005, 1005, 0)]), given_)


def signal(result: Result) -> dict[str, int]:
    g = result.fold.state["delta_turn"]["signal"][0]
    return {n: int(g[n]) for n in g.dtype.names}


TURN: Bar = (1006, 1012, 1001, 1007, -150)
"""Higher high and higher low than the calm ones, sold."""


def test_an_event_whole() -> None:
    g = signal(folded([*calm(41), TURN], form="quantower"))
    assert (g["fired"], g["direction"]) == (1, -1)
    assert g["value_fp9"] == -1_500_000_000
    assert g["strength_fp9"] == round(math.erf(1.5 / math.sqrt(2)) * 1e9)
    assert (g["fired_ns"], g["until_ns"]) == (START + 42 * MINUTE, START + 43 * MINUTE)
    assert g["threshold_fp9"] == 1_000_000_000


@pytest.mark.parametrize(("delta", "fired"), [(-99, 0), (-100, 1), (99, 0), (100, 0), (0, 0)])
def test_flow_must_be_large_and_against_the_price(delta: int, fired: int) -> None:
    """sigma is 100 exactly: |z| >= 1; bought into a higher high is no turn."""
    bars = [*calm(41), (*TURN[:4], delta)]
    assert signal(folded(bars, form="quantower"))["fired"] == fired


@pytest.mark.parametrize(
    ("form", "want"), [("any", -1), ("quantower", 0), ("atas", 0), ("marketdelta", -1)]
)
def test_one_form_alone(form: str, want: int) -> None:
    at_high: Bar = (1005, 1010, 1000, 1004, -150)
    assert signal(folded([*calm(41), at_high], form=form))["direction"] == want


def test_a_turn_at_the_low() -> None:
    mirrored: Bar = (1004, 1009, 998, 1003, 150)
    assert signal(folded([*calm(41), mirrored]))["direction"] == 1


def test_it_waits_until_it_knows_what_is_usual() -> None:
    assert signal(folded([*calm(31), TURN]))["fired"] == 1  # the first candle does not count
    g = signal(folded([*calm(30), TURN]))
    assert (g["fired"], g["ready"]) == (0, 0)


def test_no_candle_without_trades_takes_part() -> None:
    assert signal(folded([*calm(40), None, TURN], form="quantower"))["fired"] == 0
    assert signal(folded([*calm(39), None, *calm(1), TURN], form="quantower"))["fired"] == 0
    assert signal(folded([*calm(38), None, *calm(2), TURN], form="quantower"))["fired"] == 1


def test_one_price_and_no_delta_say_nothing() -> None:
    still: list[Bar | None] = [(1000, 1000, 1000, 1000, 0)] * 45
    assert signal(folded(still))["fired"] == 0
    quiet: list[Bar | None] = [*still[:44], TURN]
    g = signal(folded(quiet))
    assert (g["fired"], g["ready"]) == (0, 1), "without any delta before, nothing is usual"


def test_nothing_reaches_over_a_gap() -> None:
    """A hole in the turning candle or in one of the two before it; in a fourth it is no matter."""
    for back, fired in ((1, 0), (2, 0), (3, 0), (4, 1)):
        tape = trades([*calm(41), TURN, (1005,) * 4 + (0,)])
        at = START + (42 - back) * MINUTE
        hole = {"kind": 0, "ts_ns": at, "id": 0, "stream": 4, "from_ns": at, "to_ns": at,
                "filled": 0}  # fmt: skip
        n = next(k for k, e in enumerate(tape) if e["ts_ns"] > at)
        tape.insert(n + 1, {**hole, "ts_ns": tape[n]["ts_ns"], "to_ns": tape[n]["ts_ns"]})
        done = fold_events(probe("delta_turn"), tape, {"delta_turn.form": "quantower"})
        assert signal(done)["fired"] == fired, back
        assert int(done.fold.state["delta_turn"]["session_candles"][0]) < 10


LOOSE: dict[str, Any] = {"z": 0.1, "warm": 2, "settle": 2, "length": 5}
LOOSE_TEXT = {f"delta_turn__{k}": str(v) for k, v in LOOSE.items()}


def market() -> Reference:
    names = needed("delta_turn")
    return Reference(names, **{"delta_turn": LOOSE})  # type: ignore[arg-type]


@EXAMPLES
@given(tapes(12))
def test_loose_settings_agree_with_the_oracle(plot: Plot) -> None:
    follow("delta_turn", write(plot), market(), **LOOSE_TEXT)


def busy(seed: int, n: int = 120) -> list[Event]:
    """Candles of a fair walk with random deltas; half a day from midnight on, some are empty."""
    rng = np.random.default_rng(seed)
    out: list[Bar | None] = []
    price = 1000
    for _ in range(n):
        path = price + np.cumsum(rng.choice([-3, -1, 0, 1, 3], 12))
        delta = round(rng.normal(0, 100))
        bar = (price, max(price, int(path.max())), min(price, int(path.min())), int(path[-1]))
        out.append(None if rng.random() < 0.05 else (*bar, delta))
        price = int(path[-1])
    return trades(out, START + 22 * 60 * MINUTE)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_candles_full_of_turns_agree_with_the_oracle(seed: int) -> None:
    """Over a session's end, with every form among them."""
    follow("delta_turn", busy(seed, 180), market(), **LOOSE_TEXT)
    settled = {k.replace("__", "."): v for k, v in LOOSE_TEXT.items()}
    rows = fold_events(probe("delta_turn"), busy(seed, 180), settled).sink.rows("decision")
    met = {int(x) % 10 for x in rows["entry_delta"]}
    assert {1, 4, 5} <= met
    assert met & {2, 3, 6, 7}


@pytest.mark.parametrize("seed", [4, 8])
def test_long_tapes_agree_with_the_oracle(seed: int) -> None:
    follow("delta_turn", fixed(seed, 70), market(), **LOOSE_TEXT)


def test_null_rate_and_direction() -> None:
    """Where delta knows nothing of price, events come alike on both sides and in known share."""
    fired, net, n = 0, 0, 0
    for seed in range(4):
        rows = fold_events(probe("delta_turn"), busy(seed, 400)).sink.rows("decision")
        minute = rows[rows["ts_ns"] % MINUTE == 5 * S]
        held = (minute["entry_delta"] % 10 > 0) & (abs(minute["flip_fp9"]) >= 10**9)
        fired += int(held.sum())
        net += int(np.sign(minute["flip_fp9"][held]).sum())
        n += len(minute)
    assert 0.02 < fired / n < 0.2, fired / n
    assert abs(net) < 4 * math.sqrt(fired)
