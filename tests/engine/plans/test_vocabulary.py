"""The vocabulary: every word compiles on both sides, and turned round it is turned round."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from data.events import Scales
from engine.kernel.metrics import AT, FILLERS, METRICS, SOURCES
from engine.kernel.plans import BETWEEN, EQ, GE, LE, NE, NO_ZONE_WITHIN, ZONE_WITHIN
from engine.kernel.registry import HANDLERS
from engine.plans.compile import Compiled, check_sources, compile_all, compile_plan
from engine.plans.read import parse_plans
from engine.plans.vocabulary import NOT_ANSWERED, ORDER_FLOW, WORDS, Word, not_answered
from tests.engine.kernel.mirror_plans import TURNED

SCALES = Scales(1, 3)
CENTRE = 200_000
"""Prices are mirrored about half of it, in price units."""
CONDITIONS = """
[[plan]]
symbol = "X"
direction = "{side}"
stop = {{ distance = 5 }}
target = {{ r = 2 }}
[plan.conditions]
{lines}
"""
SAMPLES = {"flag": "true", "ratio": "1.5", "qty": "2.5", "percent": "75", "hours": '"07:00-16:30"',
           "days": '"mon-fri"', "tests": '["atr_1m <= 25"]'}  # fmt: skip


def compiled(lines: str, side: str = "BUY") -> Compiled:
    (plan,) = parse_plans(CONDITIONS.format(side=side, lines=lines), "x").sound()
    return compile_plan(plan, SCALES)


def rows(c: Compiled) -> list[tuple[str, int, int, int]]:
    kept = c.record["conditions"][0][: int(c.record["n"][0])]
    return [(METRICS[int(x["metric"])][0], *(int(x[f]) for f in ("op", "a", "b"))) for x in kept]


def sample(name: str, word: Word, price: str) -> str:
    """Lines that ask for ``name`` and for what it cannot be without."""
    value = price if word.kind == "price" else SAMPLES.get(word.kind) or f'"{word.choices[0]}"'
    lines = [f"{name} = {value}"]
    if word.of:
        lines.append(f"{word.of} = {price if WORDS[word.of].kind == 'price' else 'true'}")
    for other in (*word.needs, *(WORDS[word.of].needs if word.of else ())):
        if other != name:
            lines.append(f"{other} = {price}")
    return "\n".join(dict.fromkeys(lines))


@pytest.mark.parametrize("name", list(WORDS))
@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_every_word_compiles(name: str, side: str) -> None:
    c = compiled(sample(name, WORDS[name], "9000"), side)
    assert rows(c) or name == "min_rr_ratio"
    assert bool(c.record["order_flow"][0]) == (name in ORDER_FLOW)
    assert len(c.words) == int(c.record["n"][0])
    assert WORDS[name].doc


def turned(row: tuple[str, int, int, int]) -> tuple[str, int, int, int]:
    """A row as it must stand in the mirrored plan."""
    name, op, a, b = row
    unit = dict(METRICS)[name]
    if op in (ZONE_WITHIN, NO_ZONE_WITHIN) or (name == "price" and op == BETWEEN):
        return name, op, CENTRE - b, CENTRE - a
    other = {GE: LE, LE: GE}.get(op, op)
    if name == "price":
        return name, other, CENTRE - a, 0
    if unit == "side":
        return name, op, -a, 0
    if name in TURNED:
        return name, other if name != "trend_regime" else op, -a, 0
    if name == "aggressor_ratio":
        return name, other, round(10**18 / a), 0
    return row


OWN_SIDE = {"bull": "bear", "positive": "negative", "rising": "falling", "above": "below"}
FIXED = ("trend_regime", "vwap_deviation_direction", "order_block_type", "imbalance_direction",
         "volume_above")  # fmt: skip
"""Words that name a side themselves in their value, or a size and no side."""


def counterpart(text: str) -> str:
    for a, b in OWN_SIDE.items():
        if a in text:
            return text.replace(a, b)
        if b in text:
            return text.replace(b, a)
    return text


@pytest.mark.parametrize("name", [n for n in WORDS if n not in FIXED])
def test_a_plan_turned_round_is_its_rows_turned_round(name: str) -> None:
    here, there = "9000", str(CENTRE // 10 - 9000)
    if name == "tolerance":
        lines = [f"price_near = {p}\ntolerance = 20" for p in (here, there)]
    elif name == "price_near":
        lines = [f"price_near = {p}\ntolerance = 1.5" for p in (here, there)]
    elif name == "max_spread":
        lines = ["max_spread = 2"] * 2
    else:
        lines = [sample(name, WORDS[name], here), counterpart(sample(name, WORDS[name], there))]
    a, b = compiled(lines[0], "BUY"), compiled(lines[1], "SELL")
    want = [turned(r) for r in rows(a)]
    for x, y in zip(want, rows(b), strict=True):
        assert x[:2] == y[:2]
        assert abs(x[2] - y[2]) <= 1
        assert x[3] == y[3]


@pytest.mark.parametrize(
    ("line", "side", "want"),
    [
        ("delta_positive = true", "BUY", [("delta_300s", GE, 1, 0)]),
        ("delta_negative = true", "BUY", [("delta_300s", LE, -1, 0)]),
        ("cvd_rising = true", "SELL", [("cvd_trend", EQ, 1, 0)]),
        ("cvd_div_bear = true", "SELL", [("cvd_divergence", EQ, -1, 0)]),
        ("aggressor_ratio = 1.2", "BUY", [("aggressor_ratio", GE, 1_200_000_000, 0)]),
        ("aggressor_ratio = 1.2", "SELL", [("aggressor_ratio", LE, 833_333_333, 0)]),
        ("imbalance_score = 60", "SELL", [("imbalance_score", GE, 60_000_000_000, 0)]),
        ("price_near = 4500.0\ntolerance = 5.0", "BUY", [("price", BETWEEN, 44_950, 45_050)]),
        ("price_above = 4500.04", "BUY", [("price", GE, 45_001, 0)]),
        ("price_below = 4500.04", "BUY", [("price", LE, 45_000, 0)]),
        ("liquidity_sweep = true", "SELL", [("liquidity_sweep", EQ, -1, 0)]),
        ("vwap_deviation = true", "BUY", [("vwap_z", LE, -2_000_000_000, 0)]),
        ("spoof_detected = true", "BUY", [("walls", NE, 0, 0)]),
        ("avoid_absorption_zones = true\nprice_near = 4500\ntolerance = 5", "BUY",
         [("absorption_zones", NO_ZONE_WITHIN, 44_950, 45_050),
          ("price", BETWEEN, 44_950, 45_050)]),
        ("absorption_zone_detected = true", "BUY", [("absorption_zones", GE, 1, 0)]),
        ("avoid_absorption_zones = true", "BUY", [("absorption_zones", EQ, 0, 0)]),
        ("min_confidence = 75", "SELL",
         [("confluence_side", EQ, -1, 0), ("confidence", GE, 750_000_000, 0)]),
        ('hours = "07:00-16:30"', "BUY", [("time_of_day", BETWEEN, 25_200, 59_399)]),
        ('weekdays = "mon-fri"', "BUY", [("weekday", BETWEEN, 0, 4)]),
        ('market_state = "normal"', "BUY", [("market_state", EQ, 0, 0)]),
        ('where = ["delta_30s > 2.5", "cvd_slope_t < -1"]', "BUY",
         [("delta_30s", GE, 2501, 0), ("cvd_slope_t", LE, -1_000_000_001, 0)]),
    ],
)  # fmt: skip
def test_rows_by_hand(line: str, side: str, want: list[Any]) -> None:
    assert sorted(rows(compiled(line, side))) == sorted(want)


def test_the_seeds_ten_are_order_flow_and_the_two_ratios_are_not() -> None:
    assert len(ORDER_FLOW) == 10
    assert not ORDER_FLOW & {"aggressor_ratio", "imbalance_score"}


def test_no_name_is_answered_and_refused() -> None:
    assert not [name for name in WORDS if not_answered(name)]
    for start in NOT_ANSWERED:
        assert not_answered(start + ("x" if start.endswith("_") else "")), start


def test_every_number_has_a_place_and_a_source() -> None:
    assert len(AT) == len(METRICS)
    assert set(SOURCES) == set(FILLERS)
    assert {n for names in SOURCES.values() for n in names} == set(AT) - {
        "price", "time_of_day", "weekday",
    }  # fmt: skip
    assert set(SOURCES) <= set(HANDLERS)


def test_a_fold_that_cannot_answer_is_told() -> None:
    c = compiled("cvd_div_bull = true")
    check_sources([c], ("cvd_divergence", "windows"), "mine")
    with pytest.raises(Exception, match="cannot answer the condition 'cvd_div_bull'"):
        check_sources([c], ("windows",), "mine")


def test_only_the_symbol_takes_part_and_places_are_bounded() -> None:
    text = "\n".join(CONDITIONS.format(side="BUY", lines="price_above = 1") for _ in range(33))
    plans = parse_plans(text, "x").sound()
    assert compile_all(plans, "Y", SCALES) == []
    assert [c.plan.id for c in compile_all(plans[:32], "X", SCALES)] == list(range(1, 33))
    with pytest.raises(Exception, match="there are 33 plans of X"):
        compile_all(plans, "X", SCALES)


def test_numbers_of_a_plan_in_the_units_of_the_kernel() -> None:
    text = """
[[plan]]
id = 7
symbol = "X"
direction = "SELL"
stop = { share = 0.003 }
target = { r = 2.5 }
qty = 0.015
from = 2024-08-08T00:00:00Z
expires = "2024-08-09"
[plan.conditions]
price_near = 100
tolerance = 1
min_rr_ratio = 1.5
min_confidence = 75
"""
    r = compile_plan(parse_plans(text, "x").sound()[0], SCALES).record[0]
    want = {
        "id": 7, "status": 1, "direction": -1, "order_flow": 0,
        "from_ns": 1_723_075_200 * 10**9, "expiry_ns": 1_723_161_600 * 10**9,
        "stop_mode": 3, "stop_value": 3_000_000, "target_mode": 6, "target_value": 2_500_000_000,
        "qty": 15, "risk_fp9": 0, "min_rr_fp9": 1_500_000_000, "min_confidence_fp9": 750_000_000,
    }  # fmt: skip
    assert {k: int(r[k]) for k in want} == want
    assert Decimal(int(r["n"])) == 3
