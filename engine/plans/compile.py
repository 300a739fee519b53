"""Compiling plans: decimals and names to the PLAN records that the kernel evaluates.

Owns the way from natural units to int64, and every check that needs the instrument or the fold:
prices lie on the grid, sizes are not nothing, conditions fit into their places, and the fold has
the handlers that fill in the numbers asked for. It refuses to know TOML.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from data.errors import ConfigError
from data.events import FP9, Scales
from data.units import INT64_MAX
from engine.kernel.metrics import AT, METRICS, SOURCES
from engine.kernel.plans import (
    BETWEEN,
    CONDITIONS_MAX,
    EQ,
    GE,
    LE,
    NE,
    NO_ZONE_WITHIN,
    PENDING,
    PLAN,
    PLANS_MAX,
    ZONE_WITHIN,
)
from engine.plans.contradict import check_together
from engine.plans.model import STOP_MODES, TARGET_MODES, Level, Plan, Row
from engine.plans.vocabulary import ORDER_FLOW, WORDS, Ask

UNITS = dict(METRICS)
HANDLERS_OF = {
    name: [handler for handler, names in SOURCES.items() if name in names] for name in AT
}
"""Handlers that fill a number in, by the number's name; price and time need none."""
_OPS = {">=": GE, ">": GE, "<=": LE, "<": LE, "between": BETWEEN, "=": EQ, "not": NE,
        "zone within": ZONE_WITHIN, "no zone within": NO_ZONE_WITHIN}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Compiled:
    """A plan with its record (shape (1,), dtype PLAN) and the condition that gave each row."""

    plan: Plan
    record: np.ndarray
    words: tuple[str, ...]


def unit_scale(unit: str, scales: Scales) -> int:
    """How many of the kernel's units one natural unit is."""
    return {"price": 10**scales.price, "qty": 10**scales.qty, "fp9": FP9}.get(unit, 1)


def compile_plan(plan: Plan, scales: Scales) -> Compiled:
    """The record of ``plan`` on an instrument of ``scales``; ConfigError where it does not fit."""
    rows, words = _rows(plan)
    record = np.zeros(1, dtype=PLAN)
    r = record[0]
    r["id"], r["status"], r["direction"] = plan.id, PENDING, plan.direction
    r["order_flow"] = int(any(name in ORDER_FLOW for name in plan.asked))
    r["from_ns"], r["expiry_ns"] = plan.from_ns, plan.expiry_ns
    r["stop_mode"], r["stop_value"] = _level(plan.stop, STOP_MODES, scales)
    r["target_mode"], r["target_value"] = _level(plan.target, TARGET_MODES, scales)
    r["qty"] = _exact(plan.qty, 10**scales.qty, plan.where, "qty", "quantity")
    r["risk_fp9"] = _near(plan.risk, FP9, plan.where, "risk")
    asked = plan.asked
    confidence = max(asked.get(name, 0) for name in ("min_confidence", "min_confluence"))
    r["min_rr_fp9"] = _near(Decimal(asked.get("min_rr_ratio", 0)), FP9, plan.where, "min_rr_ratio")
    r["min_confidence_fp9"] = _near(Decimal(confidence) / 100, FP9, plan.where, "min_confidence")
    _reward(plan)
    check_together(plan, rows, words)
    r["n"] = len(rows)
    places = {given.name: given.where for given in plan.conditions}
    for k, row in enumerate(rows):
        a, b = _bounds(row, scales, places[words[k]])
        r["conditions"][k] = (AT[row.metric], _OPS[row.op], a, b)
    return Compiled(plan, record, words)


def compile_all(plans: Iterable[Plan], symbol: str, scales: Scales) -> list[Compiled]:
    """The plans of ``symbol``; ConfigError when there are more than the kernel has places."""
    ours = [p for p in plans if p.symbol == symbol]
    if len(ours) > PLANS_MAX:
        raise ConfigError(
            f"there are {len(ours)} plans of {symbol}",
            where=ours[PLANS_MAX].where,
            why=f"{PLANS_MAX} is the most that can stand at a time",
            do="take some out",
        )
    return [compile_plan(p, scales) for p in ours]


def check_sources(compiled: Iterable[Compiled], handlers: Iterable[str], strategy: str) -> None:
    """ConfigError for a condition that asks for a number that no handler of the fold fills in."""
    have = set(handlers)
    for c in compiled:
        for k, word in enumerate(c.words):
            name = METRICS[int(c.record["conditions"]["metric"][0, k])][0]
            handlers_of = HANDLERS_OF[name]
            if not handlers_of or have.intersection(handlers_of):
                continue
            names = " or ".join(map(repr, handlers_of))
            raise ConfigError(
                f"strategy {strategy} cannot answer the condition {word!r}",
                where=next((g.where for g in c.plan.conditions if g.name == word), c.plan.where),
                why=f"its fold has no handler {names}, which knows {name}",
                do="take the condition out, or choose a strategy that has it",
            )  # fmt: skip


def _rows(plan: Plan) -> tuple[list[Row], tuple[str, ...]]:
    """All rows of the conditions, and which condition each is of."""
    rows: list[Row] = []
    words: list[str] = []
    for given in plan.conditions:
        make = WORDS[given.name].rows
        if make is None:
            continue
        made = make(Ask(given.value, plan.direction, plan.asked))
        rows += made
        words += [given.name] * len(made)
    if len(rows) > CONDITIONS_MAX:
        raise ConfigError(
            f"{plan.title} has too many conditions",
            where=plan.where,
            why=f"they compile to {len(rows)} comparisons, {CONDITIONS_MAX} is the most",
            do="split it into two plans, or take conditions out",
        )
    return rows, tuple(words)


def _bounds(row: Row, scales: Scales, where: str) -> tuple[int, int]:
    """Bounds as int64 that hold for exactly the int64 values that the decimals hold for."""
    scale = unit_scale(UNITS[row.metric], scales)
    if row.op in ("zone within", "no zone within"):
        scale = 10**scales.price
    a, b = row.a * scale, row.b * scale
    low, high = math.ceil(a), math.floor(a)
    found = {
        ">=": (low, 0), ">": (high + 1, 0), "<=": (high, 0), "<": (low - 1, 0),
        "between": (low, math.floor(b)), "zone within": (low, math.floor(b)),
        "no zone within": (low, math.floor(b)),
    }.get(row.op)  # fmt: skip
    if found is None:
        found = (_exact(row.a, scale, where, row.metric, UNITS[row.metric]), 0)
    if max(abs(x) for x in found) > INT64_MAX:
        raise ConfigError(
            f"the bound of {row.metric} is too large",
            where=where,
            why=f"{row.a:.3g} is more than can be kept",
            do="write a smaller number",
        )
    return found


def _level(level: Level, modes: tuple[str, ...], scales: Scales) -> tuple[int, int]:
    mode = modes.index(level.mode)
    if level.mode in ("price", "distance"):
        return mode, _exact(level.value, 10**scales.price, level.where, level.mode, "price")
    return mode, _near(level.value, FP9, level.where, level.mode)


def _exact(value: Decimal, scale: int, where: str, name: str, unit: str) -> int:
    """A number that lies on the instrument's grid; ConfigError where it does not."""
    number = value * scale
    if number != number.to_integral_value():
        raise ConfigError(
            f"{name} = {value} is finer than the instrument",
            where=where,
            why=f"the smallest {unit} kept is {Decimal(1) / scale:f}",
            do="round it",
        )
    return _fits(int(number), where, name)


def _near(value: Decimal, scale: int, where: str, name: str) -> int:
    return _fits(int((value * scale).to_integral_value()), where, name)


def _fits(number: int, where: str, name: str) -> int:
    if abs(number) > INT64_MAX:
        raise ConfigError(f"{name} is too large", where=where, do="write a smaller number")
    return number


def _reward(plan: Plan) -> None:
    """ConfigError where stop and target are known already and cannot reach min_rr_ratio."""
    least = Decimal(plan.asked.get("min_rr_ratio", 0))
    if not least:
        return
    ratio = _known_ratio(plan)
    if plan.target.mode == "none" or (ratio is not None and ratio < least):
        raise ConfigError(
            f"{plan.title} can never reach its min_rr_ratio of {least}",
            where=plan.target.where,
            why="it has no target" if ratio is None else f"its target is {ratio:.4g} stops away",
            do="move the target or the stop, or ask for less",
        )


def _known_ratio(plan: Plan) -> Decimal | None:
    """Target over stop as distances from the entry; None where that depends on the market."""
    if plan.target.mode == "r":
        return plan.target.value
    away = [_distance(level, plan.asked) for level in (plan.stop, plan.target)]
    if away[0] is None or away[1] is None or not away[0]:
        return None
    return away[1] / away[0]


def _distance(level: Level, asked: dict[str, Any]) -> Decimal | None:
    if level.mode == "distance":
        return level.value
    if "price_near" not in asked:
        return None
    entry = Decimal(asked["price_near"])
    if level.mode == "price":
        return abs(level.value - entry)
    return level.value * entry if level.mode == "share" else None
