"""Absorption: planted, on noise, over gaps, in both seed modes; the life of its zones."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from data.events import Kind
from engine.kernel.absorption import ABSORPTION_STATE
from engine.kernel.zones import (
    ZONES,
    ZONES_STATE,
    zone_level_near,
    zone_near,
    zones_add,
    zones_renew,
    zones_through,
)
from tests.engine.driving import fold_events, probe
from tests.engine.kernel.minute_tapes import FROM, PRICE, Move, draw, gap, tape, tick
from tests.engine.kernel.test_handlers import follow, market_of
from tests.engine.kernel.test_symmetry import CENTRE, mirror_absorption, scale_free
from tests.engine.tapes import MINUTE, Event, S, fixed, market, mirrored, scaled

LONG = {"impact.length": "346", "impact.warm": "240"}


def state(events: list[Event], **changes: str) -> Any:
    settings = {**LONG, **{f"absorption.{k}": v for k, v in changes.items()}}
    return fold_events(probe("absorption"), events, settings).fold.state["absorption"][0]


def planted(side: int, moves: list[Move], follows: float = 0.0) -> list[Move]:
    """Three minutes of flow of ``side``, three sigmas of a sum in all; price follows a little."""
    out, price = list(moves), moves[-1][0]
    total = 3.0 * 5000 * math.sqrt(3)
    for k in range(1, 4):
        # at rho 0.6, sigma 50: lambda is 0.6 * 50 / 5000
        out.append((price + round(side * follows * 0.006 * total * k / 3), round(side * total / 3)))
    return out


@pytest.mark.parametrize("side", [1, -1])
def test_planted_absorption(side: int) -> None:
    """Buyers spend three sigmas and nothing moves: it is bearish, and the zone lies above."""
    moves = planted(side, draw(500, 3))
    s = state(tape(moves))
    g = s["signal"]
    assert (int(g["ready"]), int(g["direction"]), int(g["fired"]) > 0) == (1, -side, True)
    z, shortfall = int(s["flow_z_fp9"]) / 1e9, int(s["shortfall_fp9"]) / 1e9
    assert z * side == pytest.approx(3.0, rel=0.2)
    assert shortfall == pytest.approx(0.6 * 3 / 0.8, rel=0.3)
    assert int(g["value_fp9"]) == int(s["shortfall_fp9"])
    assert int(g["strength_fp9"]) / 1e9 == pytest.approx(
        math.erf(shortfall / math.sqrt(2)), rel=1e-6
    )
    zone = s["zones"]["items"][int(s["zones"]["n"]) - 1]
    assert (int(zone["side"]), int(zone["low"]), int(zone["high"])) == (
        -side, moves[-1][0], moves[-1][0])  # fmt: skip


@pytest.mark.parametrize(
    ("follows", "fires"), [(0.0, True), (0.3, True), (0.6, False), (1.0, False)]
)
def test_price_that_follows_is_no_absorption(follows: float, fires: bool) -> None:
    s = state(tape(planted(1, draw(500, 3), follows)), shortfall="0.5")
    assert (int(s["signal"]["fired_ns"]) == FROM + 503 * MINUTE) == fires


def test_price_that_goes_the_other_way_is_a_divergence() -> None:
    s = state(tape(planted(1, draw(500, 3), -0.8)))
    assert int(s["efficiency_fp9"]) < -500_000_000
    assert int(s["signal"]["fired_ns"]) != FROM + 503 * MINUTE


def test_null_rate_and_planted_recall() -> None:
    """No more than half a percent of null minutes; four in five planted ones of three sigmas."""
    fired = looks = found = 0
    for seed in range(6):
        moves = draw(700, 100 + seed)
        a = state(tape(moves))
        fired += int(a["signal"]["fired"])
        looks += 700 - 246
        b = state(tape(planted(1, moves)))
        found += int(b["signal"]["direction"]) == -1 and int(b["signal"]["fired_ns"]) == (
            FROM + 703 * MINUTE)  # fmt: skip
    assert fired / looks < 0.005, fired / looks
    assert found >= 4, found


def test_not_before_240_sums() -> None:
    early = state(tape(planted(1, draw(200, 3))))
    assert int(early["signal"]["ready"]) == int(early["signal"]["fired"]) == 0


def test_nothing_across_a_gap() -> None:
    moves = planted(1, draw(500, 3))
    whole = tape(moves)
    for at in (500, 501, 502):
        cut = next(k for k, e in enumerate(whole) if e["ts_ns"] >= FROM + at * MINUTE + 10 * S)
        s = state([*whole[:cut], gap(at), *whole[cut:]])
        assert int(s["signal"]["ready"]) == 0
        assert int(s["zones"]["n"]) == 0
    s = state([*whole, gap(503)])
    assert (int(s["signal"]["ready"]), int(s["zones"]["n"])) == (0, 0)
    assert int(s["zones"]["cleared"]) > 0


@pytest.mark.parametrize(("side", "away", "lives"), [(1, 1, False), (1, -400, True), (1, 0, True),
                                                     (-1, -1, False), (-1, 400, True)])  # fmt: skip
def test_a_zone_lives_until_it_is_gone_through(side: int, away: int, lives: bool) -> None:
    """Absorbed buyers leave a resistance: only a trade above it ends it."""
    moves = planted(side, draw(500, 3))
    events = [*tape(moves), tick(503, moves[-1][0] + away, 20 * S), tick(503, moves[-1][0], 50 * S)]
    s = state(events)
    born = [int(z["born_ns"]) for z in s["zones"]["items"][: int(s["zones"]["n"])]]
    assert (FROM + 503 * MINUTE in born) == lives


def test_a_zone_expires_and_a_signal_falls_silent() -> None:
    moves = planted(1, draw(500, 3))
    still = [*tape(moves), *(tick(n, moves[-1][0]) for n in range(504, 512))]
    s = state(still)
    assert (int(s["signal"]["direction"]), int(s["zones"]["n"]) > 0) == (0, True)
    s = state([*still, *(tick(n, moves[-1][0]) for n in range(512, 566))])
    assert int(s["zones"]["n"]) == 0
    assert int(s["zones"]["expired"]) > 0


def test_location_asks_for_a_pivot_near() -> None:
    moves = planted(1, draw(500, 3))
    anywhere = state(tape(moves))
    away = int(anywhere["location_fp9"]) / 1e9
    assert away >= 0
    for limit, fires in ((away + 0.01, True), (max(away - 0.01, 1e-9), away == 0)):
        s = state(tape(moves), location=f"{limit:.9f}")
        assert (int(s["signal"]["fired_ns"]) == FROM + 503 * MINUTE) == fires


@pytest.mark.parametrize("moves", [
    [(PRICE, 0)] * 300,  # one price, no flow
    [(PRICE, 1000)] * 300,  # one price, one flow
    [(PRICE + n, 0) for n in range(300)],
    [(PRICE + 10 * n, 100 * n) for n in range(300)],
])  # fmt: skip
def test_degenerate_series_say_nothing(moves: list[Move]) -> None:
    s = state(tape(moves))
    assert int(s["signal"]["fired"]) == int(s["zones"]["added"]) == 0


def test_large_numbers() -> None:
    """Prices near 1e9 units, volumes of 1e9 a minute: the same events."""
    moves = planted(-1, draw(500, 3))
    small = state(tape(moves))
    big = state(scaled(tape(moves), price=1900, qty=2))
    scale_free(small, big)
    assert int(big["signal"]["fired"]) > 0


def test_agrees_with_its_oracle_where_it_speaks() -> None:
    """With the short memories of the probe: many events, zones renewed, gone through, expired."""
    moves = draw(60, 5)
    for side in (1, -1, 1):
        moves = planted(side, [*moves, *draw(12, 7 + side)])
    follow("absorption", tape(moves), market_of("absorption"))


def test_mirror_where_it_speaks() -> None:
    events = tape(planted(1, draw(500, 3)))
    a, b = state(events), state(mirrored(events, CENTRE))
    assert int(a["signal"]["fired"]) > 0
    mirror_absorption(a, b)


# --- the seed


def book(ts: int, bid: int, ask: int, price: int = PRICE) -> Event:
    down, up = [price - k for k in range(1, 7)], [price + k for k in range(1, 7)]
    return {"kind": Kind.DEPTH, "ts_ns": ts, "id": 1, "bid_price": down, "ask_price": up,
            "bid_qty": [bid] * 5 + [10**9], "ask_qty": [ask] * 5 + [1]}  # fmt: skip


def seed_look(bid: int = 30, ask: int = 20, buy: int = 150, sell: int = 0, **changes: str) -> Any:
    """Volume in whole units within the last minute, and a book; scale of quantity is 3."""
    rows = [{"kind": Kind.TRADE, "ts_ns": FROM + at * S, "id": at, "price": PRICE, "qty": q * 1000,
             "side": side} for at, q, side in ((1, buy, 1), (2, sell, -1)) if q]  # fmt: skip
    events = [*rows, book(FROM + 3 * S, bid, ask), tick(0, PRICE, 5 * S + 1)]
    return state(events, **{"mode": "seed", "volume": "100", **changes})


def test_the_golden_range_of_the_seed() -> None:
    """Its price is never looked at, so strength lies in [.833, 1] whenever it fires."""
    s = seed_look(buy=100)
    assert int(s["signal"]["direction"]) == 1
    assert int(s["signal"]["strength_fp9"]) / 1e9 == pytest.approx((0.5 + 1 + 1) / 3)
    assert int(seed_look(buy=400)["signal"]["strength_fp9"]) == 10**9
    zone = s["zones"]["items"][0]
    assert int(zone["low"]) + int(zone["high"]) == 2 * PRICE


@pytest.mark.parametrize(("given", "direction"), [
    ({"buy": 99}, 0),  # below the volume
    ({"bid": 29}, 0),  # 1.45 to 1
    ({"bid": 30}, 1),
    ({"bid": 11}, 0),  # the ratio is lopsided: 0.55 is not enough ...
    ({"bid": 10}, 1),  # ... and 0.5 is
    ({"buy": 50, "sell": 60}, -1),  # the side of the aggressor (defect 21)
    ({"buy": 60, "sell": 60}, -1),  # no surplus is a SELL
    ({"bid": 0}, 0),
])  # fmt: skip
def test_the_seed_thresholds(given: dict[str, int], direction: int) -> None:
    assert int(seed_look(**given)["signal"]["direction"]) == direction


def test_the_volume_threshold_of_the_seed_is_in_whole_units() -> None:
    assert int(seed_look(volume="100000")["signal"]["direction"]) == 0
    assert int(seed_look(buy=100_000, volume="100000")["signal"]["direction"]) == 1


@pytest.mark.parametrize(("mode", "direction"), [("seed", 1), ("seed_atr", 0)])
def test_the_real_price_check_is_a_mode_of_its_own(mode: str, direction: int) -> None:
    """Price ran in the last minute: only the variant with the real movement sees it."""
    events = [*tape(draw(30, 1)), book(FROM + 30 * MINUTE + 6 * S, 30, 20, PRICE)]
    events.append(tick(30, events[-2]["price"], 11 * S))
    s = state(events, mode=mode, volume="1")
    assert int(s["movement"]) > 0
    assert int(s["signal"]["direction"]) in (direction, -direction)


def test_the_real_price_check_passes_where_price_stalled() -> None:
    still = [(PRICE, 0)] * 2
    events = [*tape([*draw(30, 1), *still]), book(FROM + 32 * MINUTE + 6 * S, 30, 20)]
    events.append(tick(32, PRICE, 11 * S))
    assert int(state(events, mode="seed_atr", volume="1")["signal"]["direction"]) != 0


@pytest.mark.parametrize("mode", ["seed", "seed_atr"])
@pytest.mark.parametrize("tape_", [fixed(4, 40), market(2, 400)], ids=["disorder", "market"])
def test_the_seed_agrees_with_its_oracle(mode: str, tape_: list[Event]) -> None:
    """A threshold that these tapes reach: 20 whole units in a minute."""
    where = market_of("absorption", absorption=mode, absorption_volume=20_000)
    follow("absorption", tape_, where, absorption__mode=mode, absorption__volume="20")


# --- zones


def zones() -> Any:
    return np.zeros(1, dtype=ZONES_STATE).view(np.recarray)[0]


def test_zone_near() -> None:
    z = zones()
    zones_add(z, 100, 110, 1, 5, 50, 7)
    zones_add(z, 130, 140, -1, 6, 50, 7)
    asked = [(105, 0, 0), (95, 5, 0), (95, 4, -1), (120, 10, 1), (119, 10, 0), (142, 2, 1)]
    for price, tolerance, want in asked:
        assert zone_near(z, price, tolerance, 0) == want, price
    assert zone_near(z, 105, 100, -1) == 1
    assert [zone_level_near(z, p, 10) for p in (95, 94, 120, 144, 146)] == [0, -1, -1, 1, -1]


def test_zones_renewed_and_gone_through() -> None:
    z = zones()
    zones_renew(z, 100, 110, 1, 5, 50, 7)
    zones_renew(z, 108, 112, 1, 6, 60, 8)
    zones_renew(z, 108, 112, -1, 7, 70, 9)
    first = z["items"][0]
    assert [int(first[f]) for f in ("low", "high", "born_ns", "until_ns")] == [108, 112, 5, 60]
    assert (int(z["n"]), int(z["added"])) == (2, 2)
    zones_through(z, 107, 112)
    assert (int(z["n"]), int(z["items"][0]["side"]), int(z["touched"])) == (1, -1, 1)


def test_a_full_table_gives_up_its_oldest() -> None:
    z = zones()
    for n in range(ZONES + 3):
        zones_renew(z, 10 * n, 10 * n + 1, 1, n, 10**6, n)
    assert (int(z["n"]), int(z["displaced"]), int(z["items"][0]["born_ns"])) == (ZONES, 3, 3)


def test_the_state_has_a_fixed_size() -> None:
    assert ABSORPTION_STATE.itemsize < 3000
