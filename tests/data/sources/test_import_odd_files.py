"""Files as people have them: packed oddly, mangled by spreadsheets, turned round, with damage."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from data.errors import DataError, UsageError
from data.events import Kind
from data.sources import row_checks
from data.sources.binance_frames import market_of
from data.sources.detect import detect
from data.sources.lines import local_time_ns
from data.sources.mapping_explain import Hints, explain
from data.sources.opening import members_of
from data.sources.recording_rows import time_ns
from data.sources.rejects import RejectedError
from tests.data.sources.imported import Imported

TICKS = (
    "<DATE>\t<TIME>\t<BID>\t<ASK>\t<LAST>\t<VOLUME>\t<FLAGS>",
    "2024.01.02\t10:00:00.100\t1.10000\t1.10010\t\t\t6",
    "2024.01.02\t10:00:00.200\t1.10001\t\t\t\t2",
    "2024.01.02\t10:00:00.300\t\t1.10012\t\t\t4",
    "2024.01.02\t10:00:01.000\t1.10002\t1.10015\t\t\t6",
)
QUOTES = [(110000, 110010), (110001, 110010), (110001, 110012), (110002, 110015)]
NAME = "EURUSD_202401021000_202401021001.csv"

BYBIT = (
    "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,"
    "foreignNotional",
    "1714521600.1234,BTCUSDT,Buy,0.005,60000.5,PlusTick,0a1b-1,3.0e+10,0.005,300",
    "1714521601.5,BTCUSDT,Sell,0.01,60000.0,MinusTick,0a1b-2,6e+10,0.01,600",
    "1714521602.25,BTCUSDT,Sell,0.01,60000.0,ZeroMinusTick,0a1b-3,6e+10,0.01,600",
)
BYBIT_NAME = "BTCUSDT2024-05-01.csv"


def put(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def text(lines: tuple[str, ...], end: str = "\r\n") -> bytes:
    return (end.join(lines) + end).encode()


def packed(entries: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return out.getvalue()


def quotes(log: Imported) -> list[tuple[int, int]]:
    rows = log.rows(Kind.QUOTE, "mt5", "EURUSD")
    return list(zip(rows["bid"].tolist(), rows["ask"].tolist(), strict=True))


def test_nothing_is_carried_back_in_time(tmp_path: Path) -> None:
    """An export that runs backwards must not fill empty cells with what came later."""
    turned = (TICKS[0], *reversed(TICKS[1:]))
    log = Imported(tmp_path / "log")
    report = log.take("a", put(tmp_path, NAME, text(turned)), broker_offset="UTC")
    assert quotes(log) == [QUOTES[0], QUOTES[3]]
    assert report.files[0].skipped == {"the other side is not known yet": 2}


def test_nothing_is_carried_back_from_the_block_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same where a block holds few rows."""
    monkeypatch.setattr("data.sources.opening._READ", 64)
    monkeypatch.setattr("data.sources.opening.Reader.blocks.__defaults__", (64,))
    turned = (TICKS[0], *reversed(TICKS[1:]))
    log = Imported(tmp_path / "log")
    log.take("a", put(tmp_path, NAME, text(turned)), broker_offset="UTC")
    assert quotes(log) == [QUOTES[0], QUOTES[3]]
    log = Imported(tmp_path / "forward")
    log.take("a", put(tmp_path, NAME, text(TICKS)), broker_offset="UTC")
    assert quotes(log) == QUOTES


@pytest.mark.parametrize(
    "content",
    [
        text(TICKS, "\r"),
        text(TICKS).decode().encode("utf-16-be"),
        text(TICKS, "\r").decode().encode("utf-16"),
        gzip.compress(text(TICKS, "\r")),
        packed(
            {NAME: text(TICKS), "__MACOSX/._" + NAME: b"\0\5\x16\7Mac OS X", ".DS_Store": b"\0"}
        ),
        packed({"README.txt": b"ticks of a broker\n", NAME: text(TICKS)}),
    ],
    ids=["cr", "utf-16-be", "cr utf-16", "cr gzip", "zip of a mac", "zip with a readme"],
)
def test_every_packing_gives_the_same_rows(tmp_path: Path, content: bytes) -> None:
    log = Imported(tmp_path / "log")
    report = log.take("a", put(tmp_path, NAME, content), broker_offset="UTC", symbol="EURUSD")
    assert quotes(log) == QUOTES
    assert not report.files[0].rejected


def test_a_text_beside_the_table_in_a_zip_is_named(tmp_path: Path) -> None:
    path = put(tmp_path, "EURUSD.zip", packed({"README.txt": b"hello\n", NAME: text(TICKS)}))
    report = Imported(tmp_path / "log").take("a", path, broker_offset="UTC")
    assert [Path(name).name for name, _ in report.unknown] == ["EURUSD.zip!README.txt"]


@pytest.mark.parametrize(
    "content",
    [
        packed({"inner.zip": packed({NAME: text(TICKS)})}),
        packed({NAME + ".gz": gzip.compress(text(TICKS))}),
        gzip.compress(gzip.compress(text(TICKS))),
    ],
)
def test_what_is_packed_twice_is_said_so(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DataError, match="packed twice"):
        Imported(tmp_path / "log").take("a", put(tmp_path, "EURUSD.zip", content))


def test_an_empty_zip_holds_nothing_to_import(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing to import"):
        Imported(tmp_path / "log").take("a", put(tmp_path, "a.zip", packed({})))


@pytest.mark.parametrize("year", [2099, 2200])
def test_a_row_that_is_still_to_come_is_rejected(tmp_path: Path, year: int) -> None:
    """One such row would make a fold walk there."""
    later = f"{year}.01.02\t10:00:02.000\t1.2\t1.3\t\t\t6"
    log = Imported(tmp_path / "log")
    report = log.take("a", put(tmp_path, NAME, text((*TICKS, later))), broker_offset="UTC")
    assert quotes(log) == QUOTES
    assert report.files[0].rejected.total() == 1
    row = BYBIT[1].replace("1714521600", "4070908800")
    report = log.take("b", put(tmp_path, BYBIT_NAME, text((*BYBIT, row))))
    assert report.files[0].rejected == {"time": 1}
    assert report.files[0].added == 3


def test_the_bound_moves_with_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    now_ns = 1_800_000_000 * 10**9
    monkeypatch.setattr(row_checks.time, "time_ns", lambda: now_ns)
    names = ("recv_ns", "id", "bid_qty", "ask_qty")
    columns = {name: np.zeros(2, dtype=np.int64) for name in names}
    columns |= {name: np.ones(2, dtype=np.int64) for name in ("bid", "ask")}
    columns["ts_ns"] = now_ns + np.array([-1, 0]) + row_checks.AHEAD_NS
    found = [mask for reason, mask in row_checks.problems(Kind.QUOTE, columns) if reason == "time"]
    assert np.logical_or.reduce(found).tolist() == [False, True]


def test_a_week_that_is_not_over_is_still_a_bar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monday_ns = 1_704_672_000 * 10**9
    monkeypatch.setattr(row_checks.time, "time_ns", lambda: monday_ns + 3_600 * 10**9)
    head = "<DATE>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>"
    row = "\t1.1\t1.2\t1.0\t1.15\t5\t0\t3"
    path = put(tmp_path, "EURUSD_Weekly.csv", text((head, "2024.01.01" + row, "2024.01.08" + row)))
    report = Imported(tmp_path / "log").take("a", path, broker_offset="UTC")
    assert report.files[0].rows == {"bar": 2}


def test_quoted_cells_of_an_archive(tmp_path: Path) -> None:
    plain, quoted = Imported(tmp_path / "plain"), Imported(tmp_path / "quoted")
    plain.take("a", put(tmp_path / "1", BYBIT_NAME, text(BYBIT)))
    lines = tuple(",".join(f'"{cell}"' for cell in line.split(",")) for line in BYBIT)
    quoted.take("a", put(tmp_path / "2", BYBIT_NAME, text(lines)))
    assert quoted.digest() == plain.digest()


@pytest.mark.parametrize("rows", [(), tuple(row + "," for row in BYBIT[1:])])
def test_a_name_helps_where_no_row_can_be_read(tmp_path: Path, rows: tuple[str, ...]) -> None:
    path = put(tmp_path, BYBIT_NAME, text((BYBIT[0], *rows)))
    assert detect(members_of(path)[0], None, None).symbol == "BTCUSDT"
    report = Imported(tmp_path / "log").take("a", path)
    assert report.files[0].rejected == ({"columns": 3} if rows else {})
    assert ("there is no row in it" in report.files[0].notes) == (not rows)
    path = put(tmp_path, "trades.csv", text((BYBIT[0],)))
    with pytest.raises(UsageError, match="symbol is not known") as caught:
        detect(members_of(path)[0], None, None)
    assert "REST" not in caught.value.why


def test_a_time_that_a_spreadsheet_rounded_is_rejected(tmp_path: Path) -> None:
    rows = [row.replace("1714521601.5", "1.71452E+09") for row in BYBIT]
    report = Imported(tmp_path / "a").take("a", put(tmp_path, BYBIT_NAME, text(tuple(rows))))
    assert report.files[0].rejected == {"time_text": 1}
    assert report.files[0].added == 2
    exact = [row.replace("1714521601.5", "1.7145216015E+09") for row in BYBIT]
    log = Imported(tmp_path / "b")
    log.take("a", put(tmp_path, BYBIT_NAME, text(tuple(exact))))
    times = log.rows(Kind.TRADE, "bybit", "BTCUSDT")["ts_ns"]
    assert 1_714_521_601_500_000_000 in times.tolist()


def test_an_id_or_an_epoch_that_a_spreadsheet_rounded_is_rejected(tmp_path: Path) -> None:
    mapping = put(
        tmp_path,
        "own.toml",
        b'kind = "trade"\nvenue = "mine"\nsymbol = "LTCUSDT"\n'
        b'[time]\ncolumn = "time"\nunit = "ms"\n'
        b'[columns]\nid = "id"\nprice = "price"\nqty = "qty"\nside = "side"\n',
    )
    lines = (
        "id,time,price,qty,side",
        "3500000001,1714521600123,80,1,buy",
        "3.5E+09,1714521600124,80,1,buy",
        "3500000003,1.71452E+12,80,1,buy",
        "3500000004,1.714521600125e+12,8.5E+01,1.2e3,buy",
    )
    log = Imported(tmp_path / "log")
    report = log.take("a", put(tmp_path, "mine.csv", text(lines)), mapping=mapping)
    assert report.files[0].rejected == {"number": 1, "time_text": 1}
    assert log.rows(Kind.TRADE, "mine", "LTCUSDT")["id"].tolist() == [3500000001, 3500000004]


def test_a_lean_row_lies_in_the_day_of_its_file(tmp_path: Path) -> None:
    """A number outside would land on another day, which has a file of its own."""
    rows = b"-5,1.1,1.2\n0,1.1,1.2\n86399999.5,1.1,1.2\n86400000,1.1,1.2\n"
    entry = "20140505_eurusd_tick_quote.csv"
    path = tmp_path / "forex/oanda/tick/eurusd/20140505_quote.zip"
    log = Imported(tmp_path / "log")
    report = log.take("a", put(path.parent, path.name, packed({entry: b"5,1.1,1.2\n" + rows})))
    assert report.files[0].rejected == {"time_text": 2}
    midnight_ns = 1_399_248_000 * 10**9
    times = log.rows(Kind.QUOTE, "oanda", "EURUSD")["ts_ns"] - midnight_ns
    assert times.tolist() == [0, 5_000_000, 86_399_999_500_000]


def test_an_empty_file_under_a_mapping_is_called_empty(tmp_path: Path) -> None:
    own = 'kind = "quote"\nvenue = "mine"\nsymbol = "LTCUSDT"\n'
    own += '[time]\ncolumn = "t"\n[columns]\nbid = 2\nask = 3\n'
    mapping = put(tmp_path, "own.toml", own.encode())
    with pytest.raises(DataError, match="nothing in the file"):
        Imported(tmp_path / "log").take("a", put(tmp_path, "a.csv", b"\r\n"), mapping=mapping)


def test_the_table_of_a_zip_is_explained_not_the_text_beside_it(tmp_path: Path) -> None:
    content = packed({"README.txt": b"ticks of a broker\n", NAME: text(TICKS)})
    told = explain(put(tmp_path, "EURUSD.zip", content), Hints())
    assert told.toml == ""
    assert "MetaTrader" in told.format


@pytest.mark.parametrize(
    "payload", [b'\xff{"e":"trade"}', b'{"e":"tra\xffde","s":"X"}', b"[" * 9999]
)
def test_a_message_that_is_no_text_shows_no_market(payload: bytes) -> None:
    assert market_of(payload) == ("", "")
    assert market_of(b'{"stream":"btcusdt@trade","data":' + payload + b"}")[1] == ""


def test_single_levels_and_trades_of_one_instant_are_explained(tmp_path: Path) -> None:
    stamp = "binance-futures,BTCUSDT,1714521600123000,1714521600130000"
    lines = (
        "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount",
        f"{stamp},true,bid,100,1",
        f"{stamp},true,ask,101,1",
        "binance-futures,BTCUSDT,1714521601123000,1714521601130000,false,bid,99,3",
    )
    name = "binance-futures_incremental_book_L2_2024-05-01_BTCUSDT.csv"
    assert len(explain(put(tmp_path, name, text(lines)), Hints()).rows) == 2
    assert len(explain(put(tmp_path, BYBIT_NAME, text(BYBIT[:2])), Hints()).rows) == 1


def test_a_local_time_still_to_come_makes_no_book(tmp_path: Path) -> None:
    """Depth rows too: the line is rejected before the book sees it."""
    with pytest.raises(RejectedError) as caught:
        local_time_ns(b"4071000000000")
    assert caught.value.reason == "time"
    with pytest.raises(RejectedError):
        time_ns(4_071_000_000_000)
    assert time_ns(1_714_521_600_123) == 1_714_521_600_123_000_000
