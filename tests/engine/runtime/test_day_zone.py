"""The zone of an account's day: the table against the calendar, and the day against midnight."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.errors import ConfigError
from engine.kernel.risk import RISK_PARAMS, ZONE_MAX, risk_day
from engine.runtime.compose import compose
from engine.runtime.day_zone import fill_zone, zone_switches
from engine.runtime.parameters import build, settle
from tests.engine import probes
from tests.engine.driving import SCALES

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NS = 10**9
ZONES = (
    "Europe/Athens", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Tokyo",
    "America/Havana", "UTC",
)  # fmt: skip


def params(zone: str) -> np.ndarray:
    p = np.zeros(1, RISK_PARAMS)
    fill_zone(p, zone)
    return p


PARAMS = {zone: params(zone) for zone in ZONES}


def ns(at: datetime) -> int:
    return int((at - EPOCH) / timedelta(seconds=1)) * NS


def calendar_day(zone: str, at: datetime) -> int:
    return at.astimezone(ZoneInfo(zone)).date().toordinal() - EPOCH.date().toordinal()


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(ZONES), st.integers(631_152_000, 2_524_521_600))
def test_the_day_is_the_calendars(zone: str, second: int) -> None:
    at = EPOCH + timedelta(seconds=second)
    assert int(risk_day(PARAMS[zone][0], ns(at))) == calendar_day(zone, at)


@pytest.mark.parametrize("zone", ZONES)
def test_around_every_switch_of_the_clock(zone: str) -> None:
    rows = zone_switches(zone)
    assert len(rows) <= ZONE_MAX
    assert [a for a, _ in rows] == sorted({a for a, _ in rows})
    for from_ns, offset in rows[1:]:
        for second in (-1, 0, 1):
            at = EPOCH + timedelta(seconds=from_ns // NS + second)
            assert int(risk_day(PARAMS[zone][0], ns(at))) == calendar_day(zone, at)
        at = EPOCH + timedelta(seconds=from_ns // NS)
        ahead = at.astimezone(ZoneInfo(zone)).utcoffset()
        assert ahead == timedelta(seconds=offset // NS)


def test_days_of_23_and_of_25_hours() -> None:
    """Athens, 2024: 31 March has 23 hours, 27 October 25; each begins at 22 or 21 h UTC."""
    p = PARAMS["Europe/Athens"][0]

    def hours(day: datetime) -> int:
        number = day.toordinal() - EPOCH.toordinal()
        around = (day + timedelta(hours=h) for h in range(-26, 27))
        return sum(int(risk_day(p, ns(at))) == number for at in around)

    assert hours(datetime(2024, 3, 31, tzinfo=UTC)) == 23
    assert hours(datetime(2024, 10, 27, tzinfo=UTC)) == 25
    assert hours(datetime(2024, 6, 3, tzinfo=UTC)) == 24


@pytest.mark.parametrize(("text", "minutes"), [("+02:00", 120), ("-0530", -330), ("+3", 180)])
def test_fixed_offsets(text: str, minutes: int) -> None:
    ((_, offset),) = zone_switches(text)
    assert offset == minutes * 60 * NS
    midnight = 86_400 * NS * 20_000
    p = params(text)[0]
    edge = midnight - offset
    assert (int(risk_day(p, edge - 1)), int(risk_day(p, edge))) == (19_999, 20_000)


def test_a_zone_is_a_setting() -> None:
    c = compose(probes.alone("risk"), broker="none")
    p = build(c, settle(c, {"risk.zone": "Europe/Athens"}), SCALES)["risk"]
    assert int(p["zone_n"][0]) == len(zone_switches("Europe/Athens"))
    assert int(p["zone_offset_ns"][0, 1]) == 3 * 3600 * NS
    for bad in ("Europe/Atlantis", "+27:00", "", "../etc"):
        with pytest.raises(ConfigError, match=r"is not a value for risk\.zone"):
            build(c, settle(c, {"risk.zone": bad}), SCALES)
