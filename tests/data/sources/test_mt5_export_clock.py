"""Which clock an export runs on: found from weekends, pauses and prices, or asked for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from data.errors import UsageError
from data.events import Kind
from tests.data.sources.exports import Bar, bars, minutes, terminal_bars
from tests.data.sources.imported import Imported
from tests.shared import shared_data

YEAR = ("2024-02-26T00:00", "2024-04-12T00:00")
"""Both switches of spring lie in it: New York's on 03-10, Europe's on 03-31."""


def starts(rows: list[Bar]) -> list[int]:
    return [int(moment.timestamp()) * 10**9 for moment, *_ in rows]


def take(folder: Path, name: str, text: str, **options: str) -> tuple[Imported, str]:
    path = folder / name
    path.write_text(text, encoding="utf-8", newline="")
    made = Imported(folder / "log")
    (file,) = made.take(name, path, **options).files
    return made, " ".join(file.notes)


@pytest.mark.parametrize(
    ("clock", "said"),
    [
        ("new-york", "new-york (America/New_York +7 h)"),
        (2, "+02:00"),
        (0, "UTC"),
        (-5, "-05:00"),
        ("Europe/Athens", "Europe/Athens"),
        ("Europe/London", "Europe/London"),
        ("America/New_York", "America/New_York"),
    ],
)
def test_weekends_over_the_switches_tell_the_rule(
    tmp_path: Path, clock: str | int, said: str
) -> None:
    rows = bars(list(minutes(*YEAR, 15)))
    made, notes = take(tmp_path, "EURUSD_M15.csv", terminal_bars(rows, clock), broker_offset="auto")
    assert said in notes
    assert "estimated: seen from a weekend's begin (6), a weekend's end (6)" in notes
    assert made.rows(Kind.BAR, "mt5", "EURUSD")["open_ns"].tolist() == starts(rows)


def test_one_weekend_is_enough_where_rules_agree(tmp_path: Path) -> None:
    rows = bars(list(minutes("2024-07-05T12:00", "2024-07-08T03:00")))
    made, notes = take(tmp_path, "EURUSD_M1.csv", terminal_bars(rows, "Europe/Athens"))
    assert "new-york" in notes, "in July the two clocks are one"
    assert made.rows(Kind.BAR, "mt5", "EURUSD")["open_ns"].tolist() == starts(rows)


def test_metals_open_an_hour_later_and_pause(tmp_path: Path) -> None:
    rows = bars(list(minutes("2024-07-01T12:00", "2024-07-04T03:00", opens=18, pause=True)))
    made, notes = take(tmp_path, "XAUUSD_M1.csv", terminal_bars(rows, 3))
    assert "the end of a daily pause (3)" in notes
    assert made.rows(Kind.BAR, "mt5", "XAUUSD")["open_ns"].tolist() == starts(rows)


REFUSED: dict[str, Callable[[], str]] = {
    "EURUSD_M1.csv": lambda: terminal_bars(bars(list(minutes("2024-07-02", "2024-07-03"))), 2),
    "BTCUSD_M1.csv": lambda: terminal_bars(bars(list(minutes("2024-07-01", "2024-07-09"))), 2),
    "GBPUSD_H4.csv": lambda: terminal_bars(
        bars(list(minutes("2024-07-01", "2024-07-20", 240))), 2
    ),
    # in this weekend of March clocks of New York and of Athens differ, and one edge fits each
    "USDJPY_M1.csv": lambda: terminal_bars(bars(list(minutes("2024-03-08", "2024-03-09"))), 2)
    + terminal_bars(bars(list(minutes("2024-03-10T22:00", "2024-03-11"))), 5).partition("\n")[2],
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_known_is_asked_for(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="broker's clock is not known") as error:
        take(tmp_path, name, REFUSED[name]())
    assert error.value.exit_code == 2
    assert "--broker-offset" in str(error.value)
    made, notes = take(tmp_path, name, REFUSED[name](), broker_offset="+02:00")
    assert "as --broker-offset says" in notes
    assert made.reports[name].total("added") > 0


def test_a_wrong_word_is_doubted_aloud(tmp_path: Path) -> None:
    rows = bars(list(minutes("2024-06-28T12:00", "2024-07-08T03:00", 15)))
    text = terminal_bars(rows, "new-york")
    _, notes = take(tmp_path, "EURUSD_M15.csv", text, broker_offset="+02:00")
    assert "is the clock right? 4 of 4 weekends and pauses lie +01:00 from the hours of FX" in notes
    _, notes = take(tmp_path, "EURUSD_M15.csv", text, broker_offset="+03:00")
    assert "is the clock right" not in notes


def test_the_other_files_of_an_import_are_a_hint(tmp_path: Path) -> None:
    weekend = bars(list(minutes("2024-07-05T12:00", "2024-07-08T03:00", 5)))
    for name, rows in (("AUDUSD_M5.csv", weekend), ("EURUSD_M5.csv", weekend[:30])):
        (tmp_path / name).write_text(terminal_bars(rows, 3), encoding="utf-8", newline="")
    made = Imported(tmp_path / "log")
    with pytest.raises(UsageError, match="not known") as error:
        made.take("both", tmp_path / "AUDUSD_M5.csv", tmp_path / "EURUSD_M5.csv")
    assert "other files of this import run on new-york" in str(error.value)


def test_a_word_that_is_no_clock_is_refused(tmp_path: Path) -> None:
    text = terminal_bars(bars(list(minutes("2024-07-02", "2024-07-02T00:10"))), 2)
    with pytest.raises(UsageError, match="no time zone"):
        take(tmp_path, "EURUSD_M1.csv", text, broker_offset="Athens")


def test_prices_in_the_log_tell_the_clock(tmp_path: Path) -> None:
    market = bars(list(minutes("2024-07-02T06:00", "2024-07-02T12:00")))
    made, _ = take(tmp_path, "EURUSD_M1.csv", terminal_bars(market, 2), broker_offset="+02:00")
    other = [
        (m, o + 2e-5, h + 2e-5, low + 2e-5, c + 2e-5, n) for m, o, h, low, c, n in market[30:300]
    ]
    path = tmp_path / "EURUSDm_M1.csv"
    path.write_text(terminal_bars(other, 5), encoding="utf-8", newline="")
    (file,) = made.take("two", path).files
    assert "+05:00, estimated: seen from the same prices in the log (mt5 EURUSD)" in file.notes[0]
    found = made.rows(Kind.BAR, "mt5", "EURUSDM")
    assert found["open_ns"].tolist() == starts(other)


def test_a_real_market_of_another_source_tells_the_clock(tmp_path: Path) -> None:
    day = shared_data("quotes/forex/oanda/tick/eurusd/20140506_quote.zip")
    made = Imported(tmp_path / "log")
    made.take("quotes", day)
    rows = made.rows(Kind.QUOTE, "oanda", "EURUSD")
    ends = np.flatnonzero(np.diff(rows["ts_ns"] // (60 * 10**9)) != 0)
    text = "time,open,high,low,close,tick_volume,spread,real_volume\n"
    for i in ends[:400]:
        start = int(rows["ts_ns"][i]) // (60 * 10**9) * 60 + 3 * 3600  # UTC+3, written as an epoch
        bid = int(rows["bid"][i])
        text += f"{start},{bid},{bid},{bid},{bid},9,1,0\n"
    path = tmp_path / "EURUSD_M1.csv"
    path.write_text(text, encoding="utf-8")
    (file,) = made.take("bars", path).files
    assert "+03:00" in file.notes[0] or "new-york" in file.notes[0]
    found = made.rows(Kind.BAR, "mt5", "EURUSD")
    assert found["open_ns"][0] == rows["ts_ns"][ends[0]] // (60 * 10**9) * (60 * 10**9)


def test_the_market_of_the_tests_keeps_fx_hours() -> None:
    found = list(minutes("2024-03-08T00:00", "2024-03-11T12:00"))
    assert found[0] == datetime.fromisoformat("2024-03-08T00:00+00:00")
    gaps = [(a, b) for a, b in pairwise(found) if (b - a).seconds > 60]
    assert [(a.isoformat()[:16], b.isoformat()[:16]) for a, b in gaps] == [
        ("2024-03-08T21:59", "2024-03-10T21:00")
    ]
