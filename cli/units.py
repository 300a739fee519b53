"""Values with units on the command line: ``--cadence 100ms``, ``--keep 30d``, ``--rate 5MiB/s``.

Owns the click types of :mod:`data.units`. A wrong value is a usage error that shows what fits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from data import units


class UnitType(click.ParamType):
    """A text with a unit, read by one function of :mod:`data.units`."""

    def __init__(self, name: str, parse: Callable[[str], float]) -> None:
        self.name = name
        self._parse = parse

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The number in its base unit; a usage error that shows what fits."""
        if isinstance(value, (int, float)):
            return value
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(f"{value!r} is no {self.name.lower()}: {error}", param, ctx)


DURATION = UnitType("DURATION", units.parse_duration)
"""A length of time as int64 nanoseconds."""

SIZE = UnitType("SIZE", units.parse_size)
"""A number of bytes."""

RATE = UnitType("RATE", units.parse_rate)
"""A number a second, as a float."""

BYTE_RATE = UnitType("BYTE_RATE", units.parse_byte_rate)
"""Bytes a second, as a float."""
