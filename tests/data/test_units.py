"""Durations, sizes and rates: what is read, what is refused, and that showing and reading agree."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data import units


@given(st.integers(min_value=0, max_value=units.INT64_MAX))
def test_a_shown_duration_is_read_back(ns: int) -> None:
    assert units.parse_duration(units.format_duration(ns)) == ns


@given(st.text(max_size=12))
def test_any_text_is_read_or_refused_with_a_hint(text: str) -> None:
    for parse in (units.parse_duration, units.parse_size, units.parse_rate, units.parse_byte_rate):
        try:
            assert parse(text) >= 0
        except ValueError as error:
            assert "write a" in str(error)


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("5s", 5 * 10**9),
        ("250ms", 250 * 10**6),
        ("1h30m", 5400 * 10**9),
        ("0", 0),
        ("1.5 s", 15 * 10**8),
    ],
)
def test_durations(text: str, ns: int) -> None:
    assert units.parse_duration(text) == ns


@pytest.mark.parametrize("text", ["5", "", "-1s", "5s5s", "1m2h", "1.5ns", "9999999d", "s", "1e3s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="write a length of time"):
        units.parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size"), [("2GiB", 2 << 30), ("500MB", 500_000_000), ("1.5 KiB", 1536), ("0", 0)]
)
def test_sizes(text: str, size: int) -> None:
    assert units.parse_size(text) == size


@pytest.mark.parametrize("text", ["2", "2gib", "", "-1MB", "0.5B", "1 2MB"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="write a size"):
        units.parse_size(text)


def test_rates() -> None:
    assert units.parse_rate("2400/min") == 40
    assert units.parse_byte_rate("5MiB/s") == 5 << 20
    with pytest.raises(ValueError, match="write a rate"):
        units.parse_rate("5MiB/s")
    with pytest.raises(ValueError, match="write a rate"):
        units.parse_rate("5")


def test_sizes_for_a_person() -> None:
    assert [units.format_size(n) for n in (0, 1023, 1536, 123_456_789)] == [
        "0 B", "1023 B", "1.50 KiB", "118 MiB",
    ]  # fmt: skip
