"""Explaining a plan: every condition, the number it was asked with, its bound and its verdict.

Owns the way back from the kernel's integers to units that a user reads. It refuses to evaluate
anything: what it tells is what the kernel kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from data.enums import MarketState
from data.events import Scales
from data.times import format_utc
from engine.kernel.metrics import METRICS
from engine.kernel.plans import BETWEEN, NO_ZONE_WITHIN, OP_NAMES, STATUS_NAMES, ZONE_WITHIN
from engine.plans.compile import unit_scale
from engine.plans.vocabulary import BOOK, DAYS, QUALITY, TREND, VOLATILITY, VOLUME

LEVELS: dict[str, tuple[tuple[str, ...], int]] = {
    "market_state": (tuple(s.name.lower() for s in MarketState), 0),
    "volatility_regime": (VOLATILITY, -1),
    "trend_regime": (TREND, -1),
    "volume_regime": (VOLUME, -1),
    "book_regime": (BOOK, -1),
    "data_quality": (QUALITY, 0),
}
"""Names of the levels of a number, and the number of the first of them."""
SIDES = {-1: "sell", 0: "none", 1: "buy"}
VERDICTS = ("unknown", "passed", "failed")


@dataclass(frozen=True, slots=True)
class Line:
    """One condition of a plan, as it was last asked."""

    condition: str
    metric: str
    value: str
    bound: str
    verdict: str


@dataclass(frozen=True, slots=True)
class Explained:
    """A plan and its last evaluation; ``at_ns`` 0: it was never due."""

    id: int
    name: str
    status: str
    at_ns: int
    met: bool
    lines: tuple[Line, ...]

    def facts(self) -> dict[str, Any]:
        """One JSON object."""
        return {
            "schema": 1,
            "plan": self.id,
            "name": self.name,
            "status": self.status,
            "evaluated": format_utc(self.at_ns) if self.at_ns else None,
            "met": self.met,
            "conditions": [
                {"condition": x.condition, "metric": x.metric, "value": x.value,
                 "bound": x.bound, "verdict": x.verdict}
                for x in self.lines
            ],
        }  # fmt: skip


def explain(slot: Any, scales: Scales, name: str = "", words: tuple[str, ...] = ()) -> Explained:
    """What ``slot`` (a PLAN record of the state) keeps of its last evaluation.

    ``words``: the condition that gave each row; a plan that came by control events has none.
    """
    lines = []
    for k in range(int(slot["n"])):
        lines.append(_line(words[k] if words else "", slot, k, scales))
    at_ns = int(slot["at_ns"])
    met = at_ns > 0 and not int(slot["failed"]) and not int(slot["unknown"])
    status = STATUS_NAMES[int(slot["status"])]
    return Explained(int(slot["id"]), name, status, at_ns, met, tuple(lines))


def _line(word: str, slot: Any, k: int, scales: Scales) -> Line:
    c = slot["conditions"][k]
    name, unit = METRICS[int(c["metric"])]
    op, a, b = int(c["op"]), int(c["a"]), int(c["b"])
    bit = 1 << k
    verdict = "passed" if int(slot["passed"]) & bit else "unknown"
    verdict = "failed" if int(slot["failed"]) & bit else verdict
    if not int(slot["at_ns"]):
        verdict = "not asked"
    shown = "unknown" if verdict in ("unknown", "not asked") else ""
    value = shown or in_unit(name, unit, int(slot["value"][k]), scales)
    bound_unit = "price" if op in (ZONE_WITHIN, NO_ZONE_WITHIN) else unit
    low = in_unit(name, bound_unit, a, scales)
    bound = f"{OP_NAMES[op]} {low}"
    if op in (BETWEEN, ZONE_WITHIN, NO_ZONE_WITHIN):
        bound += f" and {in_unit(name, bound_unit, b, scales)}"
    return Line(word, name, value, bound, verdict)


def in_unit(name: str, unit: str, number: int, scales: Scales) -> str:
    """The int64 ``number`` of metric ``name`` as a user reads it."""
    if unit == "side":
        return SIDES.get(number, str(number))
    if unit == "level":
        names, first = LEVELS[name]
        return names[number - first] if 0 <= number - first < len(names) else str(number)
    if unit == "second":
        return f"{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}"
    if unit == "day":
        return DAYS[number % 7]
    if unit == "price":
        return f"{number / unit_scale(unit, scales):.{scales.price}f}"
    if unit == "qty":
        return f"{number / unit_scale(unit, scales):.{scales.qty}f}"
    return f"{number / unit_scale(unit, scales):.6g}"
