"""Wall clocks to UTC and back: fixed, IANA and New York's close, and the two odd hours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import UsageError
from data.sources.mapping_times import read_one
from data.sources.mapping_zones import UTC_ZONE, Clock, Zone, offset_text, parse_zone

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(1980, 1, 1), datetime(2037, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def wall(*texts: str) -> np.ndarray:
    found = [read_one(text, "ymd") for text in texts]
    return np.array([f[0] for f in found if f], dtype=np.int64)


def shown(utc_ns: np.ndarray) -> list[str]:
    return [str(np.datetime64(int(ns), "ns"))[:16] for ns in utc_ns]


@given(
    st.lists(MOMENTS, min_size=1, max_size=30),
    st.sampled_from(["Europe/Athens", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]),
)
def test_utc_to_a_wall_clock_and_back(moments: list[datetime], name: str) -> None:
    zone = ZoneInfo(name)
    local = [m.replace(microsecond=0).astimezone(zone) for m in moments]
    shown_s = [int((m.replace(tzinfo=UTC) - EPOCH).total_seconds()) for m in local]
    ns = np.array(shown_s) * 1_000_000_000
    for moment, at, one in zip(moments, local, ns, strict=True):
        found = Clock(parse_zone(name)).to_utc(np.array([one]))
        back = EPOCH + timedelta(seconds=int(found.utc_ns[0]) // 10**9)
        assert not found.skipped[0], "a time that was shown exists"
        assert bool(found.doubled[0]) or at.fold == 0
        if at.fold == 0:
            assert back == moment.replace(microsecond=0)
    whole = Clock(parse_zone(name)).to_utc(np.sort(ns))
    assert whole.utc_ns.shape == ns.shape


def test_midnight_of_a_broker_is_the_close_of_new_york() -> None:
    clock = Clock(parse_zone("new-york"))
    times = wall("2024.01.06 00:00", "2024.07.06 00:00", "2024.03.09 00:00", "2024.03.16 00:00")
    assert shown(clock.to_utc(times).utc_ns) == [
        "2024-01-05T22:00", "2024-07-05T21:00", "2024-03-08T22:00", "2024-03-15T21:00",
    ]  # fmt: skip
    assert clock.doubled == clock.skipped == 0


def test_the_hour_that_is_skipped_is_marked() -> None:
    clock = Clock(parse_zone("Europe/Athens"))
    found = clock.to_utc(wall("2024.03.31 02:59", "2024.03.31 03:30", "2024.03.31 04:00"))
    assert found.skipped.tolist() == [False, True, False]
    assert shown(found.utc_ns)[0::2] == ["2024-03-31T00:59", "2024-03-31T01:00"]
    assert clock.skipped == 1


def test_the_hour_that_comes_twice_is_told_by_the_step_back() -> None:
    texts = ["02:59", "03:00", "03:59", "03:00", "03:30", "04:00"]
    times = wall(*(f"2024.10.27 {t}" for t in texts))
    whole = Clock(parse_zone("Europe/Athens"))
    utc = ["23:59", "00:00", "00:59", "01:00", "01:30", "02:00"]
    assert [t[11:] for t in shown(whole.to_utc(times).utc_ns)] == utc
    assert whole.doubled == 4
    for cut in range(1, len(texts)):  # wherever a block ends
        clock = Clock(parse_zone("Europe/Athens"))
        parts = [clock.to_utc(times[:cut]).utc_ns, clock.to_utc(times[cut:]).utc_ns]
        assert [t[11:] for t in shown(np.concatenate(parts))] == utc


def test_without_a_step_back_it_is_the_first_pass() -> None:
    clock = Clock(parse_zone("new-york"))
    found = clock.to_utc(wall("2024.11.03 08:00", "2024.11.03 08:59", "2024.11.03 09:00"))
    assert [t[11:] for t in shown(found.utc_ns)] == ["05:00", "05:59", "07:00"]
    assert found.doubled.tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("text", "zone"),
    [
        ("UTC", UTC_ZONE),
        ("+00:00", UTC_ZONE),
        ("+02:00", Zone("+02:00", 7200)),
        ("-5", Zone("-05:00", -18000)),
        ("utc+3", Zone("+03:00", 10800)),
        ("GMT+0530", Zone("+05:30", 19800)),
        ("New-York", Zone("new-york", 25200, "America/New_York")),
        ("Europe/Athens", Zone("Europe/Athens", 0, "Europe/Athens")),
    ],
)
def test_words_for_clocks(text: str, zone: Zone) -> None:
    assert parse_zone(text) == zone
    assert zone.words()


@pytest.mark.parametrize(
    "text", ["Europe/Athen", "+25:00", "+02:75", "newyork", "", "../../x", "new"]
)
def test_words_that_are_no_clock(text: str) -> None:
    with pytest.raises(UsageError, match="no time zone") as error:
        parse_zone(text)
    assert error.value.exit_code == 2
    if text == "Europe/Athen":
        assert "did you mean Europe/Athens" in str(error.value)


def test_offsets_are_shown_with_their_sign() -> None:
    assert [offset_text(s) for s in (0, 7200, -19800)] == ["+00:00", "+02:00", "-05:30"]
    assert Clock(Zone("+02:00", 7200)).to_utc(np.array([7200 * 10**9])).utc_ns.tolist() == [0]
