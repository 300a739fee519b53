"""The server's clock against the tables of time zones, in doubtful hours, and against quotes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import EXIT_CONFIG, ConfigError
from data.events import Scales
from engine.broker.mt5_clock import NS, ServerClock
from engine.broker.mt5_link import Mt5Settings, prove_clock

HOUR = 3_600
NOON_S = 1_760_443_200
SINCE_2001, UNTIL_2040 = 978_307_200, 2_208_988_800
ZONES = {"new-york": ("America/New_York", 7), "eet": ("Europe/Athens", 0)}


def utc_s(*when: int) -> int:
    return int(datetime(*when, tzinfo=UTC).timestamp())


def tick(server_s: float) -> SimpleNamespace:
    return SimpleNamespace(time=int(server_s), time_msc=round(server_s * 1000))


@pytest.mark.parametrize("rule", ZONES)
@given(at=st.integers(SINCE_2001, UNTIL_2040))
def test_a_rule_agrees_with_the_table_of_its_zone(rule, at):
    zone, ahead = ZONES[rule]
    local = datetime.fromtimestamp(at, UTC).astimezone(ZoneInfo(zone)).utcoffset()
    assert local is not None
    expected = local + timedelta(hours=ahead)
    assert ServerClock(rule).offset_ns(at * NS) == expected.total_seconds() * NS


@pytest.mark.parametrize("rule", [*ZONES, "utc", "utc+3", "utc-5", "utc+5:30"])
@given(at=st.integers(SINCE_2001, UNTIL_2040), away=st.integers(-1_500, 1_500))
def test_there_and_back_again(rule, at, away):
    clock = ServerClock(rule)
    assert clock.to_utc_ns(clock.to_server_s(at * NS), (at + away) * NS) == at * NS
    ms = clock.to_server_ns(at * NS) // 1_000_000 + 7
    assert clock.to_utc_ns(ms, at * NS) == at * NS + 7_000_000


@pytest.mark.parametrize(
    ("rule", "hours"), [("utc", 0), ("utc+3", 3), ("utc-5", -5), ("utc+5:30", 5.5), ("+03:00", 3)]
)
def test_a_constant_offset(rule, hours):
    assert ServerClock(rule).offset_ns(NOON_S * NS) == hours * HOUR * NS


@pytest.mark.parametrize("rule", ["", "est", "utc+3:75", "utc3", "new york"])
def test_an_unknown_rule_is_refused(rule):
    with pytest.raises(ConfigError, match="no rule") as error:
        ServerClock(rule)
    assert error.value.exit_code == EXIT_CONFIG


def test_the_hour_that_autumn_repeats_is_told_apart_by_what_is_near():
    clock = ServerClock("new-york")
    change = utc_s(2025, 11, 2, 6)
    before, after = change - HOUR // 2, change + HOUR // 2
    assert clock.to_server_s(before * NS) == clock.to_server_s(after * NS)
    wall = clock.to_server_s(after * NS)
    assert clock.to_utc_ns(wall, before * NS) == before * NS
    assert clock.to_utc_ns(wall, after * NS) == after * NS
    assert clock.to_utc_ns(wall) == after * NS


def test_what_has_happened_is_the_later_one_that_is_not_in_the_future():
    clock = ServerClock("new-york")
    change = utc_s(2025, 11, 2, 6)
    first, second = change - HOUR // 2, change + HOUR // 2
    wall = clock.to_server_s(first * NS)
    assert clock.past_utc_ns(wall, (change + 60) * NS) == first * NS
    assert clock.past_utc_ns(wall, (second + 1) * NS) == second * NS
    plain = clock.to_server_s(NOON_S * NS)
    assert clock.past_utc_ns(plain, 0) == clock.past_utc_ns(plain, NOON_S * NS) == NOON_S * NS


def test_the_hour_that_spring_skips_is_read_by_the_offset_before_it():
    clock = ServerClock("new-york")
    change = utc_s(2026, 3, 8, 7)
    last = clock.to_server_s((change - 1) * NS)
    assert clock.to_server_s(change * NS) == last + 1 + HOUR
    assert clock.to_utc_ns(last + 600) == (change - 1 + 600) * NS


def test_a_window_reaches_back_over_a_change():
    clock = ServerClock("new-york")
    since, now = utc_s(2025, 11, 2, 5, 59), utc_s(2025, 11, 2, 6, 30)
    begin = clock.window_from_s(since * NS, now * NS)
    assert all(clock.to_server_s(t * NS) >= begin for t in range(since, now))
    assert clock.window_from_s(NOON_S * NS, NOON_S * NS + 1) == clock.to_server_s(NOON_S * NS)


def test_a_fresh_quote_confirms_the_rule():
    verdict = ServerClock("new-york").check(tick(NOON_S + 3 * HOUR - 2), NOON_S * NS)
    assert verdict.proven and not verdict.wrong
    assert (verdict.age_ns, verdict.offset_ns) == (2 * NS, 3 * HOUR * NS)


@pytest.mark.parametrize(("real", "said"), [(3, "utc+2"), (3, "utc"), (2, "utc-5"), (6, "eet")])
def test_a_quote_of_the_future_refutes_the_rule(real, said):
    verdict = ServerClock(said).check(tick(NOON_S + real * HOUR), NOON_S * NS)
    assert verdict.wrong and not verdict.proven
    assert "future" in verdict.words


def test_an_old_quote_tells_nothing_unless_it_is_fresh():
    clock, old = ServerClock("utc+3"), tick(NOON_S + 2 * HOUR)
    assert clock.check(old, NOON_S * NS) == clock.check(old, NOON_S * NS, fresh=False)
    verdict = clock.check(old, NOON_S * NS)
    assert not verdict.wrong and not verdict.proven and "3600 s old" in verdict.words
    assert clock.check(old, NOON_S * NS, fresh=True).wrong


def test_a_time_that_stands_still_is_not_waited_for():
    """A stand-in plays on only while somebody hears its flow, and quotes may be old by then."""
    waits = []
    terminal = SimpleNamespace(
        now_ns=lambda: NOON_S * NS, sleep=waits.append,
        call=lambda *_a, **_k: SimpleNamespace(value=tick(NOON_S - HOUR)),
    )  # fmt: skip
    settings = Mt5Settings(1, "Demo", {"EURUSD": Scales(5, 2)}, clock="utc")
    assert prove_clock(terminal, settings) is False
    assert sum(waits) == pytest.approx(2.0)


def test_no_quote_at_all_tells_nothing():
    verdict = ServerClock("utc").check(tick(0), NOON_S * NS)
    assert not verdict.wrong and not verdict.proven and verdict.words
