"""Times at the edges: what is written is what is kept, to the nanosecond."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import UsageError
from data.times import format_utc, parse_utc

T = 1_723_161_255_000_000_000  # 2024-08-08T23:54:15Z


@pytest.mark.parametrize(
    ("text", "ts_ns"),
    [
        ("1970-01-01", 0),
        ("2024-08-08", T - (23 * 3600 + 54 * 60 + 15) * 10**9),
        ("2024-08-08T23:54", T - 15 * 10**9),
        ("2024-08-08T23:54:15", T),
        ("2024-08-08 23:54:15Z", T),
        ("2024-08-08T23:54:15.5", T + 500_000_000),
        ("2024-08-08T23:54:15.000000001Z", T + 1),
        ("2024-08-09T01:54:15+02:00", T),
        ("2024-08-08T18:24:15-0530", T),
        (" 2024-02-29 ", 1_709_164_800_000_000_000),
    ],
)
def test_iso_8601_is_read(text: str, ts_ns: int) -> None:
    assert parse_utc(text) == ts_ns


@pytest.mark.parametrize(
    "text",
    [
        "", "now", "2024", "2024-8-8", "2023-02-29", "2024-08-08T24:00", "2024-08-08T23",
        "2024-08-08T23:54:60", "08.08.2024", "1723161255", "1969-12-31", "2262-01-01",
        "2024-08-08T23:54:15.0000000001", "2024-08-08T00:00+24:00", "２０２４-08-08",
    ],
)  # fmt: skip
def test_anything_else_is_refused_with_the_accepted_forms(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_utc(text)
    assert repr(text) in str(caught.value) and "2024-08-08T23:54:15" in caught.value.do


@given(st.integers(0, 9_214_646_399_999_999_999))
def test_what_is_written_is_read_again(ts_ns: int) -> None:
    assert parse_utc(format_utc(ts_ns)) == ts_ns


def test_decimals_are_as_many_as_needed() -> None:
    assert format_utc(T) == "2024-08-08T23:54:15.000Z"
    assert format_utc(T + 1_000) == "2024-08-08T23:54:15.000001Z"
    assert format_utc(T + 1) == "2024-08-08T23:54:15.000000001Z"
