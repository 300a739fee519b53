"""A stored record as people read it: numbers scaled, enums and bits by the names of its run.

Owns the one way in which ``ofs diff`` and ``ofs explain`` show a column. It refuses to know where
the text goes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from data.errors import DataError
from data.events import FP9, MONEY_SCALE, Field, Scales, Table
from data.runs import MANIFEST, Run
from engine.runtime.compare import stored_text

QUALITY = ("gap in window", "CVD approximate", "book stale", "warming up")
"""What the bits of a decision's ``quality`` say."""

_BITS = {"gates": "gates", "blocked": "gates", "refused": "refusals", "quality": "quality"}
"""Columns of bits, and what of the manifest names them."""


@dataclass(frozen=True, slots=True)
class Side:
    """A run and the scales of its records."""

    run: Run
    scales: Scales

    @classmethod
    def of(cls, run: Run) -> Side:
        """The run with its scales; DataError where its manifest names none."""
        try:
            scales = Scales(int(run.manifest["price_scale"]), int(run.manifest["qty_scale"]))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                "the manifest names no scales",
                where=str(run.folder / MANIFEST),
                why=str(error),
                do="run the backtest again",
            ) from error
        return cls(run, scales)

    def names(self, what: str) -> Sequence[str]:
        """Names of gates or detectors, as the manifest lists them."""
        found = self.run.manifest.get(what)
        return [str(name) for name in found] if isinstance(found, list) else []


def shown(table: Table, column: Field, value: Any, scales: Scales, side: Side) -> Any:
    """A stored integer as people read it; bits become a list of names."""
    number = int(value)
    if column.name in _BITS and column.unit == "bits":
        what = _BITS[column.name]
        return named_bits(number, QUALITY if what == "quality" else side.names(what))
    if column.name == "detector":
        names = side.names("detectors")
        return names[number] if 0 <= number < len(names) else number
    divisor = {"price": 10**scales.price, "qty": 10**scales.qty, "money": 10**MONEY_SCALE}
    divisor["fp9"] = FP9
    if column.unit in divisor:
        return number / divisor[column.unit]
    if column.unit == "ns" and column.name == "latency_ns":
        return number
    text = stored_text(table, column.name, value)
    return number if text == str(number) else text


def named_bits(bits: int, names: Sequence[str]) -> list[str]:
    """Names of the bits that are set; bits without a name stand last, as a number."""
    known = [name for i, name in enumerate(names) if bits >> i & 1]
    rest = bits >> len(names)
    return known + ([f"bits {rest << len(names):#x}"] if rest else [])
