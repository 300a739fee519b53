"""Columns of cells to numbers and times: against one cell at a time, and against the calendar."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.sources.decimals import NumberError, PrecisionError, to_fixed
from data.sources.mapping_fields import split
from data.sources.mapping_numbers import OK, OVERFLOW, PRECISION, decimals, words
from data.sources.mapping_times import epoch, read_one, written

EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001
FIRST, LAST = datetime(1971, 1, 1), datetime(2199, 12, 31)  # noqa: DTZ001
CELLS = st.text("0123456789.+-eE x", max_size=24)
PRICES = st.decimals(-(10**6), 10**6, places=6, allow_nan=False, allow_infinity=False)


def column(texts: list[str], separator: str = ";") -> bytes:
    return "".join(f"{i}{separator}{text}\n" for i, text in enumerate(texts)).encode()


def test_lines_become_cells() -> None:
    block = b'a,b, c \r\n"d,1",e,"f"\n\n  \n1,2\n,,\n7,8,9'
    fields, odd, count = split(block, 10, ",", 3, 3)
    assert (count, fields.lines.tolist(), odd) == (7, [10, 11, 15, 16], [(14, b"1,2")])
    assert [[fields.text(r, c) for c in range(3)] for r in range(4)] == [
        ["a", "b", "c"], ["d\x1f1", "e", "f"], ["", "", ""], ["7", "8", "9"],
    ]  # fmt: skip


def test_missing_last_cells_are_empty_and_blanks_do_not_count() -> None:
    fields, odd, _ = split(b"1\t 2 \t\t\n3\t4\n5\n6\t7\t8\t9\t\n", 1, "\t", 4, 2)
    assert [[fields.text(r, c) for c in range(4)] for r in range(2)] == [
        ["1", "2", "", ""], ["3", "4", "", ""],
    ]  # fmt: skip
    assert [line for line, _ in odd] == [3, 4]
    assert split(b"", 1, ",", 2, 2)[2] == 0


@given(st.lists(CELLS, min_size=1, max_size=8))
def test_a_cell_is_the_number_that_it_is_alone(texts: list[str]) -> None:
    fields, _, _ = split(column(texts), 1, ";", 2, 2)
    found = decimals(fields, 1)
    for row, text in enumerate(texts):
        try:
            value = to_fixed(text, 12)
        except (NumberError, PrecisionError):
            assert found.state[row] != OK, text
            continue
        if found.state[row] == OK:
            assert int(found.values[row]) * 10 ** (12 - found.scale) == value
        else:  # no common scale holds it and its neighbours
            assert found.state[row] in (OVERFLOW, PRECISION)
            assert len(texts) > 1 or abs(value) > 10**18


@given(st.lists(PRICES, min_size=1, max_size=30))
def test_prices_of_any_sign_and_length(values: list[Decimal]) -> None:
    fields, _, _ = split(column([format(v, "f") for v in values]), 1, ";", 2, 2)
    found = decimals(fields, 1)
    assert (found.state == OK).all()
    assert [Decimal(int(v)).scaleb(-found.scale) for v in found.values] == values


def test_comma_shift_and_rounding() -> None:
    fields, _, _ = split(column(["1,25", "1.25", "12345"]), 1, ";", 2, 2)
    assert decimals(fields, 1, ",").state.tolist() == [OK, 2, OK]
    fields, _, _ = split(column(["110250", "-7", "2.5"]), 1, ";", 2, 2)
    shifted = decimals(fields, 1, shift=5)
    assert (shifted.values / 10**shifted.scale).tolist() == [1.1025, -0.00007, 0.000025]
    fields, _, _ = split(column(["0.30000000000000004", "1.5e-15", "2.125"]), 1, ";", 2, 2)
    assert decimals(fields, 1).state.tolist() == [PRECISION, PRECISION, OK]
    rounded = decimals(fields, 1, places=2)
    assert (rounded.values.tolist(), rounded.scale) == ([30, 0, 212], 2)


def test_the_fewer_go_where_no_scale_holds_all() -> None:
    texts = ["99999999999999", "12.5", "7.25", "0.000000000001"]
    fields, _, _ = split(column(texts), 1, ";", 2, 2)
    found = decimals(fields, 1)
    assert found.state.tolist().count(OVERFLOW) == 1
    assert found.state[1] == found.state[2] == OK


def test_words_of_any_width() -> None:
    texts = ["buy", "Sell", "", "buy", "ä", "sell"]
    fields, _, _ = split(column(texts), 1, ";", 2, 2)
    known, index = words(fields, 1)
    assert [known[i] for i in index] == texts


@given(
    st.lists(st.datetimes(FIRST, LAST), min_size=1, max_size=20),
    st.sampled_from(
        [
            "%Y.%m.%d %H:%M:%S.%f", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y%m%d %H%M%S",
            "%Y/%m/%d", "%Y%m%d", "%Y-%m-%dT%H:%M:%S.%fZ", "%Y-%m-%d %H:%M:%S+02:00",
        ]
    ),
)  # fmt: skip
def test_written_times_are_the_calendar_s(moments: list[datetime], form: str) -> None:
    fields, _, _ = split(column([m.strftime(form) for m in moments]), 1, ";", 2, 2)
    times = written(fields, (1,), "ymd")
    assert (times.state == OK).all()
    for moment, ns in zip(moments, times.ns.tolist(), strict=True):
        again = datetime.strptime(moment.strftime(form), form).replace(tzinfo=None)  # noqa: DTZ007
        assert EPOCH + timedelta(microseconds=ns // 1000) == again
    assert (times.zone_s == (7200 if "+02" in form else 0)).all()


@given(st.lists(st.text("0123456789.:-/ TZ+", max_size=26), max_size=6))
def test_no_text_is_too_strange_for_a_time(texts: list[str]) -> None:
    good = "2024.02.29 23:59:59.999"
    fields, _, _ = split(column([*texts, good]), 1, ";", 2, 2)
    times = written(fields, (1,), "ymd")
    assert times.state[-1] == OK
    for row, text in enumerate(texts):
        assert (times.state[row] == OK) == (read_one(text, "ymd") is not None)


@pytest.mark.parametrize(
    ("text", "order", "iso"),
    [
        ("2024.02.29 9:05", "ymd", "2024-02-29T09:05:00"),
        ("31.12.2023 23:59:59,5", "dmy", "2023-12-31T23:59:59.500000"),
        ("1/2/2024 9:30", "mdy", "2024-01-02T09:30:00"),
        ("20240102 170000123", "ymd", "2024-01-02T17:00:00.123000"),
        ("2023.02.29", "ymd", None),
        ("2024.04.31", "ymd", None),
        ("2024.01.02 24:00", "ymd", None),
        ("2024-01.02", "ymd", None),
        ("99999.01.01", "ymd", None),
        ("0001-01-01", "ymd", None),
        ("", "ymd", None),
    ],
)
def test_forms_of_dates(text: str, order: str, iso: str | None) -> None:
    found = read_one(text, order)
    if iso is None:
        assert found is None
    else:
        moment = datetime.fromisoformat(iso).replace(tzinfo=UTC)
        assert found == (int(moment.timestamp() * 1000) * 1_000_000, None)


def test_a_date_and_a_clock_in_two_columns() -> None:
    fields, _, _ = split(b"2024.01.02\t03:04\n2024.01.02\t3x\nx\t03:04\n", 1, "\t", 2, 2)
    times = written(fields, (0, 1), "ymd")
    assert (times.state == OK).tolist() == [True, False, False]
    assert times.ns[0] == 1_704_164_640_000_000_000


def test_epochs_are_exact_in_every_unit() -> None:
    fields, _, _ = split(column(["1626992741.06217", "-1", "", "x", "9e30"]), 1, ";", 2, 2)
    times = epoch(decimals(fields, 1), "s")
    assert times.ns.tolist()[:2] == [1_626_992_741_062_170_000, -1_000_000_000]
    assert (times.state == OK).tolist() == [True, True, False, False, False]
    fields, _, _ = split(column(["43.142", "86399999.9999", "0.0000001"]), 1, ";", 2, 2)
    day = 1_398_902_400_000_000_000
    times = epoch(decimals(fields, 1), "ms", day)
    assert times.ns.tolist()[:2] == [day + 43_142_000, day + 86_399_999_999_900]
    assert times.state[2] != OK, "a tenth of a nanosecond is not rounded away"
    assert epoch(decimals(fields, 1), "ns").state.tolist().count(OK) == 0
    assert isinstance(times.ns, np.ndarray)
