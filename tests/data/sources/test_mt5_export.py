"""MetaTrader exports in every dialect: recognised, read, merged."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from data.errors import DataError, UsageError
from data.events import Kind
from data.sources.detect import detect
from data.sources.mt5_export import named
from data.sources.opening import members_of
from tests.data.sources.exports import bars, minutes, terminal_bars
from tests.data.sources.imported import Imported

START = int(datetime(2024, 1, 2, tzinfo=UTC).timestamp())
MINUTE = 60 * 10**9

BARS = {
    "terminal, tabs": "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>\n"
    "2024.01.02\t00:00:00\t1.1\t1.3\t1.0\t1.2\t5\t0\t12\n"
    "2024.01.02\t00:01:00\t1.2\t1.3\t1.1\t1.25\t6\t0\t12\n"
    "2024.01.02\t00:02:00\t1.25\t1.3\t1.1\t1.2\t7\t0\t12\n",
    "copy_rates, epoch": "time,open,high,low,close,tick_volume,spread,real_volume\n"
    f"{START},1.1,1.3,1.0,1.2,5,12,0\n{START + 60},1.2,1.3,1.1,1.25,6,12,0\n"
    f"{START + 120},1.25,1.3,1.1,1.2,7,12,0\n",
    "copy_rates, pandas text": ",time,open,high,low,close,tick_volume,spread,real_volume\n"
    "0,2024-01-02 00:00:00,1.1,1.3,1.0,1.2,5,12,0\n1,2024-01-02 00:01:00,1.2,1.3,1.1,1.25,6,12,0\n"
    "2,2024-01-02 00:02:00,1.25,1.3,1.1,1.2,7,12,0\n",
    "copy_rates, called UTC": "time;open;high;low;close;tick_volume;spread;real_volume\n"
    "2024-01-02 00:00:00+00:00;1,1;1,3;1,0;1,2;5;12;0\n"
    "2024-01-02 00:01:00+00:00;1,2;1,3;1,1;1,25;6;12;0\n"
    "2024-01-02 00:02:00+00:00;1,25;1,3;1,1;1,2;7;12;0\n",
    "MT4, no header": "2024.01.02,00:00,1.1,1.3,1.0,1.2,5\n2024.01.02,00:01,1.2,1.3,1.1,1.25,6\n"
    "2024.01.02,00:02,1.25,1.3,1.1,1.2,7\n",
    "no header, dashes": "2024-01-02;00:00;1.1;1.3;1.0;1.2;5\n2024-01-02;00:01;1.2;1.3;1.1;1.25;6\n"
    "2024-01-02;00:02;1.25;1.3;1.1;1.2;7\n",
    "no header, one cell": "2024.01.02 00:00,1.1,1.3,1.0,1.2,5,0\n"
    "2024.01.02 00:01,1.2,1.3,1.1,1.25,6,0\n2024.01.02 00:02,1.25,1.3,1.1,1.2,7,0\n",
    "quoted, compact dates": '"Date","Time","Open","High","Low","Close","TickVol","Vol","Spread"\n'
    '"20240102","00:00:00","1.1","1.3","1.0","1.2","5","0","12"\n'
    '"20240102","00:01:00","1.2","1.3","1.1","1.25","6","0","12"\n'
    '"20240102","00:02:00","1.25","1.3","1.1","1.2","7","0","12"\n',
}

TICKS = {
    "terminal, empty cells": "<DATE>\t<TIME>\t<BID>\t<ASK>\t<LAST>\t<VOLUME>\t<FLAGS>\n"
    "2024.01.02\t00:00:00.123\t1.1\t1.2\t\t\t6\n2024.01.02\t00:00:00.123\t\t1.21\t\t\t4\n"
    "2024.01.02\t00:00:01.5\t1.11\t\t\t\t2\n",
    "terminal, no flags": "<DATE>\t<TIME>\t<BID>\t<ASK>\t<LAST>\t<VOLUME>\n"
    "2024.01.02\t00:00:00.123\t1.1\t1.2\n2024.01.02\t00:00:00.123\t\t1.21\t\t\n"
    "2024.01.02\t00:00:01.500\t1.11\t\t\t\n",
    "copy_ticks": "time,bid,ask,last,volume,time_msc,flags,volume_real\n"
    f"{START},1.1,1.2,0.0,0,{START}123,6,0.0\n{START},1.1,1.21,0.0,0,{START}123,4,0.0\n"
    f"{START + 1},1.11,1.21,0.0,0,{START + 1}500,2,0.0\n",
    "copy_ticks, text": ",time,bid,ask,last,volume,time_msc,flags,volume_real\n"
    "0,2024-01-02 00:00:00,1.1,1.2,0.0,0,2024-01-02 00:00:00.123,6,0.0\n"
    "1,2024-01-02 00:00:00,1.1,1.21,0.0,0,2024-01-02 00:00:00.123,4,0.0\n"
    "2,2024-01-02 00:00:01,1.11,1.21,0.0,0,2024-01-02 00:00:01.500,2,0.0\n",
}


def write(folder: Path, name: str, text: str, encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("dialect", BARS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_bars_of_every_dialect(tmp_path: Path, dialect: str, encoding: str) -> None:
    made = Imported(tmp_path / "log")
    path = write(tmp_path, "EURUSD_M1_202401020000_202401020002.csv", BARS[dialect], encoding)
    (file,) = made.take("one", path, broker_offset="+02:00").files
    assert (file.venue, file.symbol, dict(file.rows), dict(file.rejected)) == (
        "mt5", "EURUSD", {"bar": 3}, {},
    )  # fmt: skip
    rows = made.rows(Kind.BAR, "mt5", "EURUSD")
    first = (START - 7200) * 10**9
    assert rows["open_ns"].tolist() == [first, first + MINUTE, first + 2 * MINUTE]
    assert rows["interval_ns"].tolist() == [MINUTE] * 3
    assert rows["close"].tolist() == [120, 125, 120]
    assert (int(rows["price_scale"]), rows["trades"].tolist()) == (2, [5, 6, 7])
    assert "broker's clock +02:00" in " ".join(file.notes)


@pytest.mark.parametrize("dialect", TICKS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_ticks_of_every_dialect(tmp_path: Path, dialect: str, encoding: str) -> None:
    made = Imported(tmp_path / "log")
    path = write(tmp_path, "XAUUSDm_202401020000_202401020002.csv", TICKS[dialect], encoding)
    (file,) = made.take("one", path, broker_offset="new-york").files
    assert (file.symbol, dict(file.rows)) == ("XAUUSDM", {"quote": 3})
    rows = made.rows(Kind.QUOTE, "mt5", "XAUUSDM")
    first = (START - 7200) * 10**9
    assert rows["ts_ns"].tolist() == [first + 123_000_000] * 2 + [first + 1_500_000_000]
    assert rows["bid"].tolist() == [110, 110, 111]
    assert rows["ask"].tolist() == [120, 121, 121]


def test_without_a_time_column_bars_are_days(tmp_path: Path) -> None:
    text = "<DATE>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>\n" + "".join(
        f"2024.01.0{d}\t1.1\t1.3\t1.0\t1.2\t5\t77\t1\n" for d in (2, 3, 4)
    )
    made = Imported(tmp_path / "log")
    made.take("one", write(tmp_path, "EURUSD_Daily.csv", text), broker_offset="new-york")
    rows = made.rows(Kind.BAR, "mt5", "EURUSD")
    assert rows["interval_ns"].tolist() == [86_400 * 10**9] * 3
    assert rows["volume"].tolist() == [77] * 3


@pytest.mark.parametrize(
    ("name", "symbol", "minutes_each"),
    [
        ("EURUSD_M1_202401020000_202401312359", "EURUSD", 1),
        ("XAUUSDm_202401020000_202401031459", "XAUUSDM", 0),
        ("EURUSD60", "EURUSD", 60),
        ("EURUSD1", "EURUSD", 1),
        ("US30", "US30", 0),
        ("NAS100_H4", "NAS100", 240),
        ("GER40.cash_M5", "GER40.CASH", 5),
        ("EURUSD.M15", "EURUSD", 15),
        ("#AAPL_Daily", "AAPL", 1_440),
        ("eurusd_m5", "EURUSD", 5),
        ("DAT_MT_EURUSD_M1_2023", "EURUSD", 1),
        ("rates_XAUUSD_H1", "XAUUSD", 60),
        ("XAUUSD-ticks-2024-01-01", "XAUUSD", 0),
        ("my_data", "", 0),
        ("export", "", 0),
        ("2024-01-02", "", 0),
    ],
)
def test_what_a_name_tells(name: str, symbol: str, minutes_each: int) -> None:
    found = named(name)
    assert (found.symbol, found.interval_ns) == (symbol, minutes_each * MINUTE)


def look(path: Path, symbol: str | None = None, interval_ns: int = 0):  # type: ignore[no-untyped-def]
    return detect(members_of(path)[0], None, symbol, interval_ns)


def test_what_is_left_open_is_asked_for(tmp_path: Path) -> None:
    text = BARS["terminal, tabs"]
    with pytest.raises(UsageError, match="symbol is not known"):
        look(write(tmp_path, "export.csv", text))
    assert look(tmp_path / "export.csv", "EURUSD").table.mapping.interval_ns == MINUTE
    with pytest.raises(UsageError, match="length of the bars is not clear") as error:
        look(write(tmp_path, "EURUSD_M5.csv", text))
    assert "--interval 1m" in str(error.value)
    assert look(tmp_path / "EURUSD_M5.csv", None, MINUTE).table.mapping.interval_ns == MINUTE
    one = "".join(line for line in text.splitlines(keepends=True)[:2])
    with pytest.raises(UsageError, match="length of the bars is not known"):
        look(write(tmp_path, "EURUSD.csv", one))
    with pytest.raises(DataError, match="monthly"):
        look(write(tmp_path, "EURUSD_MN1.csv", one))


@pytest.mark.parametrize(
    "text",
    [
        "time,open,high,low,close,volume\n1704153600,1,2,0.5,1,7\n",
        "<TICKER>;<DATE>;<TIME>;<OPEN>;<HIGH>;<LOW>;<CLOSE>;<VOL>\nA;20240102;000000;1;2;1;2;3\n",
        "time,bid,ask\n1704153600,1,2\n",
        "2024.01.02,00:00,1.1,1.0,1.2,1.15,33\n",  # the high lies below the low
        "a,b,c,d\n1,2,3,4\n",
    ],
)
def test_tables_that_only_look_similar_are_not_taken(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match="format is not known") as error:
        look(write(tmp_path, "EURUSD_M1.csv", text))
    assert "--explain" in str(error.value)


def test_overlapping_exports_become_one_row_each(tmp_path: Path) -> None:
    rows = bars(list(minutes("2024-01-08T00:00", "2024-01-08T03:00")))
    part = rows[:100]
    moment, o, _, _, _, _ = part[-1]
    part[-1] = (moment, o, o + 1e-5, o, o, 3)  # not finished when the export was made
    first = write(tmp_path, "EURUSD_M1_202401080200_202401080339.csv", terminal_bars(part, 2))
    later = write(tmp_path, "EURUSD_M1_202401080200_202401080459.csv", terminal_bars(rows[50:], 2))
    digests = []
    for order in ((first, later), (later, first)):
        made = Imported(tmp_path / f"log{len(digests)}")
        for path in order:
            made.take(path.name, path, broker_offset="+02:00")
        report = made.reports[order[1].name]
        assert (report.total("duplicates"), report.total("conflicts")) == (49, 1)
        found = made.rows(Kind.BAR, "mt5", "EURUSD")
        assert len(found["ts_ns"]) == 180
        assert found["trades"].tolist() == [row[5] for row in rows]
        digests.append([v for k, v in made.digest().items() if "data.parquet" in k])
        before = made.digest()
        made.take("again", first, later, broker_offset="+02:00")
        assert made.digest() == before
    assert digests[0] == digests[1], "the order of imports leaves no trace"


def test_distinct_ticks_of_a_millisecond_survive_overlaps(tmp_path: Path) -> None:
    head = "<DATE>\t<TIME>\t<BID>\t<ASK>\t<LAST>\t<VOLUME>\n"
    rows = [f"2024.01.02\t00:00:0{i // 4}.001\t1.{1 + i % 2}\t1.5\t\t\n" for i in range(16)]
    made = Imported(tmp_path / "log")
    for n, part in enumerate((rows[:8], rows[4:], rows)):
        path = write(tmp_path, f"EURUSD_{n}.csv", head + "".join(part))
        made.take(str(n), path, broker_offset="UTC")
    assert made.rows(Kind.QUOTE, "mt5", "EURUSD")["bid"].tolist() == [11, 12] * 8
    assert [made.reports[k].total("duplicates") for k in "012"] == [0, 4, 16]


def test_the_two_odd_hours_are_counted(tmp_path: Path) -> None:
    text = (
        "2024.10.27,02:59,1,2,1,2,1\n2024.10.27,03:00,1,2,1,2,2\n2024.10.27,03:59,1,2,1,2,3\n"
        + ("2024.10.27,03:00,1,2,1,2,4\n2024.10.27,04:00,1,2,1,2,5\n2024.03.31,03:30,1,2,1,2,6\n")
    )
    path = write(tmp_path, "BTCUSD_M1.csv", text)
    made = Imported(tmp_path / "log")
    (file,) = made.take("one", path, broker_offset="Europe/Athens").files
    assert dict(file.rejected) == {"skipped_hour": 1}
    assert any(note.startswith("3 rows lie in the hour") for note in file.notes)
    rows = made.rows(Kind.BAR, "mt5", "BTCUSD")
    assert rows["trades"].tolist() == [1, 2, 3, 4, 5]
    steps = (rows["open_ns"][1:] - rows["open_ns"][:-1]) // MINUTE
    assert steps.tolist() == [1, 59, 1, 60]


def test_rejected_lines_stand_beside_the_log(tmp_path: Path) -> None:
    text = "damaged\n" + BARS["MT4, no header"] + "2024.01.02,00:03,1.25,x,1.1,1.2,7\nfoo\n"
    made = Imported(tmp_path / "log")
    report = made.take("one", write(tmp_path, "EURUSD1.csv", text), broker_offset="UTC")
    assert dict(report.counted("rejected")) == {"number": 1, "columns": 2}
    (name,) = report.rejects
    assert b'"line": 6' in (tmp_path / "log" / name).read_bytes()
