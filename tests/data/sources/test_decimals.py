"""Decimal text to fixed point: exact against decimal.Decimal, never a float in between."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.sources.decimals import (
    INT64_MAX,
    SCALE_MAX,
    Fixed,
    NumberError,
    PrecisionError,
    from_decimal128,
    grow,
    pack,
    round_fixed,
    strip,
    to_fixed,
)

digits = st.text("0123456789", min_size=1, max_size=12)
plain = st.builds(
    lambda sign, whole, frac, zeros: f"{sign}{whole}.{frac}{zeros}" if frac else f"{sign}{whole}",
    st.sampled_from(["", "-", "+"]),
    digits,
    st.text("0123456789", max_size=8),
    st.sampled_from(["", "0", "000"]),
)


@settings(deadline=None)
@given(plain)
def test_every_decimal_is_exact(text: str) -> None:
    assert Decimal(to_fixed(text, SCALE_MAX)) == Decimal(text) * 10**SCALE_MAX


@settings(deadline=None)
@given(plain, st.integers(-6, 6))
def test_exponents_are_exact_too(text: str, power: int) -> None:
    written = f"{text}e{power}"
    try:
        value = to_fixed(written, SCALE_MAX)
    except PrecisionError:
        assert Decimal(written).scaleb(SCALE_MAX) % 1 != 0
        return
    assert Decimal(value) == Decimal(written).scaleb(SCALE_MAX)


@settings(deadline=None)
@given(st.text(max_size=12))
def test_any_text_is_a_number_or_an_error(text: str) -> None:
    try:
        value = to_fixed(text, 8)
    except (NumberError, PrecisionError):
        return
    assert Decimal(value) == Decimal(text.strip(" \t")) * 10**8


@pytest.mark.parametrize(
    "text",
    ["", " ", ".", "-", "1.2.3", "1_0", "0x1F", "nan", "inf", "١", "1e", "1e9999", "1" * 500],
)
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(NumberError):
        to_fixed(text, 8)


def test_digits_are_never_dropped() -> None:
    with pytest.raises(PrecisionError):
        to_fixed("0.123456789", 8)
    assert to_fixed("0.12345678000", 8) == 12345678


def test_rounding_is_half_to_even() -> None:
    assert [round_fixed(t, 1) for t in ("0.25", "0.35", "0.251", "-0.25")] == [2, 4, 3, -2]


def test_the_memo_gives_the_same_and_refuses_what_is_no_text() -> None:
    fixed = Fixed(8)
    assert fixed["1.5"] == fixed["1.5"] == 150_000_000
    assert "1.5" in fixed
    with pytest.raises(NumberError):
        fixed[15]  # type: ignore[index]


@settings(deadline=None)
@given(st.lists(st.integers(-(10**15), 10**15), min_size=1), st.integers(0, 9))
def test_strip_finds_the_smallest_scale(values: list[int], zeros: int) -> None:
    scale = 3
    grown = np.array([v * 10 ** min(zeros, scale) for v in values], dtype=np.int64)
    small, smaller = strip(grown, scale)
    assert [Decimal(int(v)).scaleb(-smaller) for v in small] == [
        Decimal(int(v)).scaleb(-scale) for v in grown
    ]
    assert smaller == 0 or any(int(v) % 10 for v in small)


def test_strip_looks_at_every_value() -> None:
    values = np.full(100_000, 1_000, dtype=np.int64)
    values[77_777] += 10
    assert strip(values, 3)[1] == 2


def test_pack_holds_large_quantities_at_a_smaller_scale() -> None:
    large = [10**20, 3 * 10**19]  # 10^12 and 3 * 10^11 at eight decimals
    values, scale = pack(large, 8)
    assert scale == 0
    assert values.tolist() == [10**12, 3 * 10**11]
    with pytest.raises(OverflowError):
        pack([10**20 + 1], 8)


@settings(deadline=None)
@given(st.lists(plain, min_size=1, max_size=20))
def test_an_arrow_column_is_exact(texts: list[str]) -> None:
    wanted = [Decimal(t) for t in texts]
    column = pa.chunked_array([pa.array(wanted, pa.decimal128(38, SCALE_MAX))])
    try:
        values, scale = from_decimal128(column, SCALE_MAX)
    except OverflowError:
        most = max(max(0, -int(d.normalize().as_tuple().exponent)) for d in wanted)
        assert max(abs(d) for d in wanted).scaleb(most) > INT64_MAX
        return
    assert [Decimal(int(v)).scaleb(-scale) for v in values] == wanted


def test_a_sliced_arrow_column_keeps_its_place() -> None:
    whole = pa.array([Decimal(i) / 4 for i in range(10)], pa.decimal128(38, SCALE_MAX))
    values, scale = from_decimal128(pa.chunked_array([whole.slice(3, 2), whole.slice(7, 1)]), 12)
    assert (values.tolist(), scale) == ([75, 100, 175], 2)


def test_growing_never_wraps() -> None:
    values = np.array([INT64_MAX // 10, 5], dtype=np.int64)
    assert grow(values, 1).tolist() == [INT64_MAX // 10 * 10, 50]
    with pytest.raises(OverflowError):
        grow(values + 1, 1)
