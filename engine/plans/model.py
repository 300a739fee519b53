"""What a plan is outside the kernel: its numbers as the user gave them, and where each stands.

Owns the plain records that the reader fills, the compiler reads and the explainer shows. Prices,
quantities and ratios are exact decimals in the instrument's own units until a scale is known. It
refuses to know TOML, and what a condition compiles to.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from data.errors import ConfigError

STOP_MODES = ("none", "price", "distance", "share", "atr", "structure")
"""How a stop may be given; the place is its number in the kernel."""
TARGET_MODES = ("none", "price", "distance", "share", "atr", "", "r")
"""How a target may be given; the place is its number in the kernel."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the kernel's table: ``metric`` compared with ``a`` (and ``b``), natural units.

    ``op``: >=, <=, >, <, between, =, not, zone within, no zone within. Bounds of a side are -1, 0
    or +1, of a level its number, of a time of day seconds.
    """

    metric: str
    op: str
    a: Decimal
    b: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Given:
    """A condition as it stands in the file: its name, its value, and ``file:line``."""

    name: str
    value: Any
    where: str


@dataclass(frozen=True, slots=True)
class Level:
    """A stop or a target: ``mode`` of STOP_MODES or TARGET_MODES, and its number."""

    mode: str = "none"
    value: Decimal = Decimal(0)
    where: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """One plan: ``direction`` +1 or -1, times ns UTC (0: none), sizes as decimals (0: none)."""

    id: int
    name: str
    symbol: str
    direction: int
    conditions: tuple[Given, ...]
    stop: Level
    target: Level
    qty: Decimal = Decimal(0)
    risk: Decimal = Decimal(0)
    from_ns: int = 0
    expiry_ns: int = 0
    note: str = ""
    where: str = ""

    @property
    def asked(self) -> dict[str, Any]:
        """Values of the conditions by name."""
        return {c.name: c.value for c in self.conditions}

    @property
    def title(self) -> str:
        """How messages name the plan."""
        return f"plan {self.id}" + (f" ({self.name})" if self.name else "")


@dataclass(frozen=True, slots=True)
class PlanFile:
    """A file of plans: its text, the plans that are sound, and every mistake in the others."""

    path: str
    text: str
    plans: tuple[Plan, ...]
    mistakes: tuple[ConfigError, ...] = field(default=())

    def sound(self) -> tuple[Plan, ...]:
        """The plans; the first mistake is raised where there is one."""
        if self.mistakes:
            raise self.mistakes[0]
        return self.plans
