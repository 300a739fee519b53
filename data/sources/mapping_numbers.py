"""Cells to numbers: a whole column of decimal text at once, exactly.

Owns the conversion of decimal cells to int64 with a power-of-ten scale, and of words to small
numbers. What must hold: no float takes part and nothing is rounded unless a number of decimals was
asked for; a cell that is no number marks its row and disturbs no other; the plain form (sign,
digits, one point) is converted for all rows at once, any other form (exponent, thousands of digits)
one by one by :mod:`data.sources.decimals`, with the same result.

It refuses to know what a number means.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal

import numpy as np

from data.sources.decimals import (
    INT64_MAX,
    SCALE_MAX,
    NumberError,
    PrecisionError,
    is_rounded,
    round_fixed,
    to_fixed,
)
from data.sources.mapping_fields import Fields

OK, EMPTY, NUMBER, PRECISION, OVERFLOW = range(5)
"""States of a cell."""

REASON = {EMPTY: "number", NUMBER: "number", PRECISION: "precision", OVERFLOW: "overflow"}
"""Reason of rejection for a state (keys of :data:`data.sources.rejects.REASONS`)."""

_DIGITS_MAX = 18
_WIDTH_MAX = 32
_PLUS, _MINUS, _POINT, _ZERO = 43, 45, 46, 48
_POWERS = np.array([10**i for i in range(19)], dtype=np.int64)
_FLOAT_SCALE = 25
"""Decimals at which a number is read before it is rounded to fewer."""


@dataclass(slots=True)
class Decimals:
    """A column of numbers: ``values`` int64[rows] at ``scale``, ``state`` int8[rows].

    Values of rows that are not OK are 0.
    """

    values: np.ndarray
    scale: int
    state: np.ndarray


def decimals(
    fields: Fields,
    column: int,
    point: str = ".",
    shift: int = 0,
    places: int | None = None,
    most: int = SCALE_MAX,
    *,
    exact: bool = False,
) -> Decimals:
    """The numbers of a column, none with more than ``most`` decimals.

    ``point`` is the decimal sign. ``shift`` is a power of ten that the file's numbers carry: with 4
    the text ``12345`` is 1.2345. ``places`` rounds half to even to that many decimals. ``exact``: a
    whole number that a spreadsheet rounded (``3.5E+09``) is none.
    """
    starts, ends = fields.starts[:, column], fields.ends[:, column]
    raw, frac, plain = _plain(fields.data, starts, ends, ord(point))
    state = np.where(ends == starts, EMPTY, OK).astype(np.int8)
    odd = ~plain & (state == OK)
    if places is not None:
        odd |= (state == OK) & (frac + shift > places)
    for row in np.flatnonzero(odd):
        text = fields.text(int(row), column)
        if exact and is_rounded(text.replace(point, ".")):
            state[row], raw[row], frac[row] = NUMBER, 0, 0
        else:
            state[row], raw[row], frac[row] = _one(text, point, shift, places)
    frac = np.where(odd | (state != OK), frac, frac + shift)
    raw = np.where(state == OK, raw, 0)
    if (frac > most).any():
        raw, frac, _ = _stripped(raw, frac)
        state[(frac > most) & (state == OK)] = PRECISION
        raw = np.where(state == OK, raw, 0)
    values, scale = _common(raw, np.where(state == OK, frac, 0), state)
    return Decimals(values, scale, state)


def _plain(
    data: np.ndarray, starts: np.ndarray, ends: np.ndarray, point: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(digits as int64, decimals int64, bool whether the cell has the plain form), each [rows]."""
    rows = len(starts)
    value, frac = np.zeros(rows, dtype=np.int64), np.zeros(rows, dtype=np.int64)
    if not rows or not len(data):
        return value, frac, np.zeros(rows, dtype=bool)
    first = data[np.minimum(starts, len(data) - 1)]
    signed = (ends > starts) & ((first == _MINUS) | (first == _PLUS))
    begin = starts + signed
    width = ends - begin
    plain = (width > 0) & (width <= _WIDTH_MAX)
    digits, points = np.zeros(rows, dtype=np.int64), np.zeros(rows, dtype=np.int64)
    for k in range(min(int(width.max(initial=0)), _WIDTH_MAX)):
        here = k < width
        sign = data[np.where(here, begin + k, 0)]
        digit = sign - np.uint8(_ZERO)  # wraps for signs below "0", which is then not below 10
        is_digit, is_point = here & (digit < 10), here & (sign == point)
        plain &= ~here | is_digit | is_point
        room = is_digit & (digits < _DIGITS_MAX)
        value = np.where(room, value * 10 + digit, value)
        digits += is_digit
        frac += is_digit & (points > 0)
        points += is_point
    plain &= (points <= 1) & (digits > 0) & (digits <= _DIGITS_MAX)
    return np.where(first == _MINUS, -value, value), frac, plain


def _one(text: str, point: str, shift: int, places: int | None) -> tuple[int, int, int]:
    """(state, value, scale) of a cell of any form."""
    if point != ".":
        if "." in text:
            return NUMBER, 0, 0  # it may part thousands here
        text = text.replace(point, ".", 1)
    try:
        if places is not None:
            value, scale = round_fixed(_shifted(text, shift), places), places
        else:
            value, scale = to_fixed(_shifted(text, shift), SCALE_MAX), SCALE_MAX
    except NumberError:
        return NUMBER, 0, 0
    except PrecisionError:
        return PRECISION, 0, 0
    while scale and value % 10 == 0:
        value, scale = value // 10, scale - 1
    return (OK, value, scale) if abs(value) <= INT64_MAX else (OVERFLOW, 0, 0)


def _shifted(text: str, shift: int) -> str:
    if not shift:
        return text
    try:
        return str(Decimal(text).scaleb(-shift, Context(prec=600, rounding=ROUND_HALF_EVEN)))
    except ArithmeticError:  # decimal's own answer to what is no number
        raise NumberError(f"{text[:40]!r} is not a decimal number") from None


def _common(raw: np.ndarray, frac: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, int]:
    """The values at one scale; marks in ``state`` the rows that no common scale can hold.

    Of two ways to make them fit (the large ones go, or those that force the scale up go) the one
    that costs fewer rows is taken.
    """
    while True:
        top = int(frac.max(initial=0))
        more = top - frac
        limit = INT64_MAX // _POWERS[np.minimum(more, 18)]
        large = (np.abs(raw) > limit) | ((more > 18) & (raw != 0))
        if top <= SCALE_MAX and not large.any():
            return raw * _POWERS[np.minimum(more, 18)], top
        raw, frac, shorter = _stripped(raw, frac)
        if shorter:
            continue
        forcing = (frac == top) & (state == OK)
        if top > SCALE_MAX:
            bad, why = forcing, PRECISION
        else:
            bad, why = (forcing if forcing.sum() < large.sum() else large), OVERFLOW
        state[bad] = why
        raw, frac = np.where(bad, 0, raw), np.where(bad, 0, frac)


def _stripped(raw: np.ndarray, frac: np.ndarray) -> tuple[np.ndarray, np.ndarray, bool]:
    """The same numbers without trailing zeros; True when that made one shorter."""
    before = int(frac.sum())
    while (zero := (frac > 0) & (raw % 10 == 0)).any():
        raw, frac = np.where(zero, raw // 10, raw), frac - zero
    return raw, frac, int(frac.sum()) < before


def words(fields: Fields, column: int) -> tuple[list[str], np.ndarray]:
    """The different texts of a column, and for each row the index of its own (int64[rows])."""
    starts, ends = fields.starts[:, column], fields.ends[:, column]
    width = ends - starts
    texts: dict[str, int] = {}
    index = np.zeros(len(fields), dtype=np.int64)
    for size in np.unique(width):
        rows = np.flatnonzero(width == size)
        if not size:
            index[rows] = texts.setdefault("", len(texts))
            continue
        cells = np.ascontiguousarray(fields.matrix(rows, column, int(size)))
        found, inverse = np.unique(cells.view(f"V{int(size)}").ravel(), return_inverse=True)
        own = [texts.setdefault(v.tobytes().decode("utf-8", "replace"), len(texts)) for v in found]
        index[rows] = np.array(own, dtype=np.int64)[inverse]
    return list(texts), index
