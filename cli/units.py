"""Values with units on the command line: ``--cadence 100ms``, ``--keep 30d``, ``--rate 5MiB/s``.

Owns the click types of :mod:`data.units`. A wrong value is a usage error that shows what fits.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import click

from data import units

_BARE = re.compile(r"\s*[0-9]{1,20}(\.[0-9]{0,20})?([eE][+-]?[0-9])?\s*")


class UnitType(click.ParamType):
    """A text with a unit, read by one function of :mod:`data.units`.

    ``bare`` is put after a number without a unit, where that has always had a meaning. With
    ``above_zero`` nothing is refused as the wrong amount.
    """

    numbers = True
    """A number in a file of settings is read as the flag reads it: 0 fits, 5 has no unit."""

    def __init__(
        self,
        name: str,
        parse: Callable[[str], float],
        bare: str = "",
        *,
        above_zero: bool = False,
    ) -> None:
        self.name = name
        self._parse = parse
        self.bare = bare
        self.above_zero = above_zero

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The number in its base unit; a usage error that shows what fits."""
        if isinstance(value, (int, float)):
            return value
        try:
            found = self._parse(self._with_unit(value))
        except ValueError as error:
            self.fail(f"{value!r} is no {self.name.lower()}: {error}", param, ctx)
        if self.above_zero and not found:
            self.fail(f"{value!r} is nothing: more than 0 is asked for", param, ctx)
        return found

    def _with_unit(self, text: str) -> str:
        return f"{Decimal(text.strip()):f}{self.bare}" if _BARE.fullmatch(text) else text


DURATION = UnitType("DURATION", units.parse_duration)
"""A length of time as int64 nanoseconds."""

SIZE = UnitType("SIZE", units.parse_size)
"""A number of bytes."""

RATE = UnitType("RATE", units.parse_rate)
"""A number a second, as a float."""

BYTE_RATE = UnitType("BYTE_RATE", units.parse_byte_rate)
"""Bytes a second, as a float."""

SECONDS = UnitType("DURATION", units.parse_duration, bare="s")
"""A length of time as int64 nanoseconds; a bare number is seconds."""

SILENCE = UnitType("DURATION", units.parse_duration, bare="s", above_zero=True)
"""A length of time above zero as int64 nanoseconds; a bare number is seconds."""

PER_SECOND = UnitType("RATE", units.parse_rate, bare="/s")
"""A number a second, as a float; a bare number is that already."""
