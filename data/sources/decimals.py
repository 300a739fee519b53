"""Decimal text to fixed point, exactly.

Owns every way in which a price or a quantity written in decimals becomes an int64: one text at a
time (:func:`to_fixed`, memoised in :class:`Fixed`), a column of decimal128 out of the CSV reader
(:func:`from_decimal128`), and the search for the smallest power of ten that still holds every
value (:func:`strip`).

What must hold: no float takes part; what cannot be held exactly raises, it is never rounded
(:func:`round_fixed` is the one exception and says so in its name).

It refuses to know what a number means, and which file it came from.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

SCALE_MAX = 12
"""Most decimals that the log can hold (:class:`data.events.Scales`)."""

INT64_MAX = (1 << 63) - 1

_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_EXPONENT = re.compile(r"[+-]?[0-9]*\.?(?P<frac>[0-9]*)[eE]\+?(?P<power>[0-9]{1,3})")
_CONTEXT = Context(prec=2000, rounding=ROUND_HALF_EVEN)
_DIGITS_MAX = 400
"""Longest text that is looked at: what is longer is no price."""

_CACHE_MAX = 250_000


class NumberError(ValueError):
    """A text is not a decimal number."""


class PrecisionError(ValueError):
    """A decimal number has more decimals than can be stored."""


def is_rounded(text: str) -> bool:
    """True when a spreadsheet wrote a whole number with fewer digits than it has: ``3.5E+09``.

    A price may be written so; a time or an id has lost its end.
    """
    found = _EXPONENT.fullmatch(text)
    return found is not None and int(found["power"]) > len(found["frac"])


def to_fixed(text: str, scale: int) -> int:
    """``text`` times ``10**scale`` as an exact int of any size.

    Accepts what Arrow's CSV reader accepts: sign, digits, point, exponent, blanks around.
    NumberError when it is no number, PrecisionError when digits would be lost.
    """
    whole, _, frac = text.partition(".")
    digits = whole + frac
    if whole and len(frac) <= scale and len(digits) < 64 and digits.isascii() and digits.isdigit():
        return int(digits) * 10 ** (scale - len(frac))
    return _to_fixed_slow(text, scale)


def _to_fixed_slow(text: str, scale: int) -> int:
    text = text.strip(" \t")
    if len(text) > _DIGITS_MAX or not _DECIMAL.fullmatch(text):
        raise NumberError(f"{text[:40]!r} is not a decimal number")
    shifted = Decimal(text).scaleb(scale, _CONTEXT)
    whole = int(shifted)
    if whole != shifted:
        raise PrecisionError(f"{text[:40]!r} has more than {scale} decimals")
    return whole


def round_fixed(text: str, scale: int) -> int:
    """``text`` times ``10**scale``, rounded half to even; for averages that lie off the grid."""
    text = text.strip(" \t")
    if len(text) > _DIGITS_MAX or not _DECIMAL.fullmatch(text):
        raise NumberError(f"{text[:40]!r} is not a decimal number")
    return int(Decimal(text).scaleb(scale, _CONTEXT).to_integral_value(ROUND_HALF_EVEN))


class Fixed(dict[str, int]):
    """Memo of :func:`to_fixed` at one scale: ``fixed[text]``.

    Feeds repeat the same prices and sizes over and over; a look-up costs a tenth of a conversion.
    Bounded: it forgets everything when it holds a quarter of a million texts.
    """

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale

    def __missing__(self, text: str) -> int:
        """Convert and remember; NumberError and PrecisionError as :func:`to_fixed`."""
        if type(text) is not str:
            raise NumberError(f"{text!r} is not a decimal in a string")
        value = to_fixed(text, self.scale)
        if len(self) >= _CACHE_MAX:
            self.clear()
        self[text] = value
        return value


def strip(values: np.ndarray, scale: int) -> tuple[np.ndarray, int]:
    """``(values', scale')``: the smallest scale that holds every value of the int64 array."""
    if not len(values):
        return values, 0
    drop = min(_zeros(values[:: max(1, len(values) // 512)], scale), scale)
    while drop and np.any(values % 10**drop):
        drop -= 1
    return (values // 10**drop, scale - drop) if drop else (values, scale)


def _zeros(sample: np.ndarray, most: int) -> int:
    """How many trailing decimal zeros all values of ``sample`` share, at most ``most``."""
    common = int(np.gcd.reduce(sample))
    zeros = 0
    while zeros < most and common % 10 ** (zeros + 1) == 0:
        zeros += 1
    return zeros


def pack(values: Sequence[int], scale: int) -> tuple[np.ndarray, int]:
    """int64 array and smallest scale of exact ints at ``scale``; OverflowError where none fits."""
    try:
        return strip(np.array(values, dtype=np.int64), scale)
    except OverflowError:
        drop = scale
        while drop and any(v % 10**drop for v in values):
            drop -= 1
        return np.array([v // 10**drop for v in values], dtype=np.int64), scale - drop


def from_decimal128(column: pa.ChunkedArray, scale: int) -> tuple[np.ndarray, int]:
    """int64 array and smallest scale of a decimal128 column without nulls, stored at ``scale``.

    OverflowError when the values need more than 64 bits even at the smallest scale.
    """
    import pyarrow as pa

    for smaller in (scale, 8, 4, 2, 0):
        if smaller > scale:
            continue
        try:
            narrowed = column.cast(pa.decimal128(38, smaller))
        except pa.ArrowInvalid:
            break  # digits would be lost at this scale: only exact ints can tell
        pairs = _words(narrowed)
        low, high = pairs[:, 0], pairs[:, 1]
        if np.array_equal(high, low >> 63):
            return strip(np.ascontiguousarray(low), smaller)
    return pack([int(v.as_py().scaleb(scale, _CONTEXT)) for v in column], scale)


def _words(column: pa.ChunkedArray) -> np.ndarray:
    """(n, 2) int64 array of a decimal128 column: low word, high word (little-endian machines)."""
    parts = [
        np.frombuffer(c.buffers()[1], dtype=np.int64).reshape(-1, 2)[c.offset : c.offset + len(c)]
        for c in column.chunks
        if len(c)
    ]
    if not parts:
        return np.empty((0, 2), dtype=np.int64)
    return np.concatenate(parts) if len(parts) > 1 else parts[0]


def grow(values: np.ndarray, by: int) -> np.ndarray:
    """``values * 10**by``; OverflowError instead of a wrapped result.

    A negative ``by`` divides; every value must then be a multiple of ``10**-by``.
    """
    if by == 0 or not len(values):
        return values
    if by < 0:
        return values // 10**-by
    limit = INT64_MAX // 10**by
    if int(values.max()) > limit or int(values.min()) < -limit:
        raise OverflowError(f"values do not fit into 64 bits with {by} more decimals")
    return values * np.int64(10**by)
