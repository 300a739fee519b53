"""Conditions of one plan that can never be true together, such as a rising and a falling CVD.

Owns the check on compiled rows: bounds of one number that leave nothing between them, and a zone
that must be there and must not. It refuses to know what the numbers are.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from data.errors import ConfigError
from engine.plans.model import Plan, Row


def check_together(plan: Plan, rows: Sequence[Row], words: Sequence[str]) -> None:
    """ConfigError for the first two ``rows`` that exclude each other; ``words`` gave them."""
    for k, row in enumerate(rows):
        for j in range(k):
            if row.metric == rows[j].metric and _exclude(rows[j], row):
                where = next(g.where for g in plan.conditions if g.name == words[k])
                raise ConfigError(
                    f"{plan.title} can never act: {words[j]} and {words[k]} exclude each other",
                    where=where,
                    why=f"both ask for {row.metric}, and no number answers both",
                    do="take one of them out",
                )


def _exclude(a: Row, b: Row) -> bool:
    """Whether no number answers both rows of one metric."""
    zones = {"zone within", "no zone within"}
    if {a.op, b.op} == zones:
        return (a.a, a.b) == (b.a, b.b)
    spans = [_span(a), _span(b)]
    if spans[0] is None or spans[1] is None:
        return False
    low = max(spans[0][0], spans[1][0])
    high = min(spans[0][1], spans[1][1])
    return (
        low > high or (low == high and ">" in (a.op, b.op)) or (low == high and "<" in (a.op, b.op))
    )


def _span(row: Row) -> tuple[Decimal, Decimal] | None:
    """Lowest and highest number that answers ``row``; None where that is no single span."""
    ends = Decimal("-Infinity"), Decimal("Infinity")
    return {
        "=": (row.a, row.a), "between": (row.a, row.b),
        ">=": (row.a, ends[1]), ">": (row.a, ends[1]),
        "<=": (ends[0], row.a), "<": (ends[0], row.a),
    }.get(row.op)  # fmt: skip
