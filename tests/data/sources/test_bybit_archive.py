"""The Bybit archive CSV, contracts and spot: what rows become, whatever order they stand in."""

from __future__ import annotations

import gzip
import random
import uuid
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import DataError, UsageError
from data.events import Kind
from data.ids import opaque_id
from data.log.checks import check_log
from data.sources import inlet
from data.sources.archive_csv import ArchiveParser
from data.sources.archive_layouts import titles_of
from data.sources.bybit_layouts import recognise
from data.sources.detect import detect
from data.sources.opening import members_of
from data.sources.rejects import Rejects
from tests.data.sources.imported import Imported

HEAD = (
    "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,"
    "foreignNotional"
)
# Rows as they stand in samples of the archive: 2026, 2025 (a dated future), 2022 (inverse).
ROW = (
    "1784851200.0547,BTCUSDT,Buy,0.038,65065.80,ZeroPlusTick,d6b9a5ac-3439-5cea-b590-fd245e5b3992,"
    "2.4725004e+11,0.038,2472.5004"
)
DATED = (
    "1741910443.7357,BTC-14MAR25,Buy,0.001,81095.00,MinusTick,26bb8b97-1991-503f-b2c2-f4e8d0b94721,"
    "8.1095e+09,0.001,81.095"
)
INVERSE = (
    "1668728606,BTCUSD,Buy,611,16661.00,ZeroMinusTick,00fcc5e9-d36f-51ae-9906-11f83ed505a7,"
    "3.6672468639337374e+06,611,0.036672468639337374"
)
SPOT = "id,timestamp,price,volume,side,rpi\n1,1747612800074,106453.8,0.003718,sell,0\n"


def write(folder: Path, name: str, *lines: str, end: str = "\n") -> Path:
    path = folder / name
    text = (end.join(lines) + end).encode()
    path.write_bytes(gzip.compress(text, mtime=0) if name.endswith(".gz") else text)
    return path


def tape(rows: int, seed: int = 1, step_ms: int = 400) -> list[str]:
    """Rows like those of the archive: sweeps of one time, ties in price and size."""
    rng = random.Random(seed)
    ticks = ("PlusTick", "ZeroPlusTick", "MinusTick", "ZeroMinusTick")
    time, lines = 17_848_512_000_000, []
    for _ in range(rows):
        if rng.random() < 0.5:
            time += rng.randrange(step_ms * 10)
        price, size = 65_000 + rng.randrange(5), rng.randrange(1, 4)
        seconds = f"{time // 10_000}.{time % 10_000:04d}".rstrip("0").rstrip(".")
        trade = uuid.UUID(int=rng.getrandbits(128), version=4)
        side = rng.choice(("Buy", "Sell"))
        lines.append(
            f"{seconds},BTCUSDT,{side},0.00{size},{price}.50,{rng.choice(ticks)},{trade},1e+09,1,1"
        )
    return lines


def contents(
    made: Imported, symbol: str = "BTCUSDT", venue: str = "bybit"
) -> list[tuple[int, ...]]:
    rows = made.rows(Kind.TRADE, venue, symbol)
    names = ("ts_ns", "id", "price", "qty", "side", "tick")
    return list(zip(*(rows[n].tolist() for n in names), strict=True))


def told(lines: list[str]) -> list[tuple[int, ...]]:
    """The same by another reading: the price at scale 1, the quantity at scale 3."""
    out = []
    for line in lines:
        time, _, side, size, price, tick, trade = line.split(",")[:7]
        out.append((
            int(Decimal(time) * 10**9), opaque_id(trade), int(Decimal(price) * 10),
            int(Decimal(size) * 1000), 1 if side == "Buy" else -1,
            {"PlusTick": 2, "ZeroPlusTick": 1, "ZeroMinusTick": -1, "MinusTick": -2}[tick],
        ))  # fmt: skip
    return out


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (ROW, (1_784_851_200_054_700_000, 650_658, 38, 1, 1, 1, 3)),
        (DATED, (1_741_910_443_735_700_000, 81_095, 1, 1, -2, 0, 3)),
        (INVERSE, (1_668_728_606_000_000_000, 16_661, 611, 1, -1, 0, 0)),
        # six decimals of 2019, and a price in scientific notation
        ("1569974396.557895,ADAM19,Sell,900,1.347e-05,MinusTick,bd386f13-96a3-54d3-7532-6af87eefaffa"
         ",1,1,1", (1_569_974_396_557_895_000, 1347, 900, -1, -2, 8, 0)),
    ],
)  # fmt: skip
def test_real_rows(tmp_path: Path, row: str, expected: tuple[int, ...]) -> None:
    made = Imported(tmp_path / "log")
    report = made.take("x", write(tmp_path, "x.csv", HEAD, row))
    symbol = row.split(",")[1]
    got = made.rows(Kind.TRADE, "bybit", symbol)
    names = ("ts_ns", "price", "qty", "side", "tick", "price_scale", "qty_scale")
    assert tuple(int(np.ravel(got[n])[0]) for n in names) == expected
    assert got["id"].tolist() == [opaque_id(row.split(",")[6])]
    assert (got["recv_ns"].tolist(), got["seq"].tolist()) == ([0], [0])
    notes = [n for f in report.files for n in f.notes]
    assert any("contracts of 1 USD" in n for n in notes) == (symbol == "BTCUSD")


@pytest.mark.parametrize("rpi", [False, True])
@pytest.mark.parametrize("order", range(3))
def test_any_order_of_columns_and_the_newer_column(tmp_path: Path, order: int, rpi: bool) -> None:
    lines = tape(200)
    table = [line.split(",") + (["0"] if rpi else []) for line in [HEAD, *lines]]
    table[0][-1] = "RPI" if rpi else table[0][-1]
    places = list(range(len(table[0])))
    random.Random(order).shuffle(places)
    if not order:
        places.sort()
    made = Imported(tmp_path / "log")
    path = write(tmp_path, "x.csv.gz", *(",".join(row[i] for i in places) for row in table))
    made.take("x", path)
    assert contents(made) == told(lines)


def test_trades_of_one_time_stand_as_in_the_file_in_both_directions(tmp_path: Path) -> None:
    lines = tape(3_000, step_ms=2)
    made, turned = Imported(tmp_path / "a"), Imported(tmp_path / "b")
    made.take("x", write(tmp_path, "x.csv", HEAD, *lines))
    report = turned.take("x", write(tmp_path, "y.csv", HEAD, *reversed(lines)))
    assert contents(made) == told(lines)
    assert contents(turned) == told(lines), "newest first"
    (file,) = report.files
    assert file.out_of_order == 0
    assert any("turned round" in note for note in file.notes)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=30), st.lists(st.integers(0, 9000)))
def test_a_file_is_turned_round_wherever_its_blocks_end(sweeps: list[int], cuts: list[int]) -> None:
    lines = [
        f"17848512{i:02d},BTCUSDT,Buy,{i * 10 + k + 1},5,PlusTick,{uuid.UUID(int=k)},1,1,1\n"
        for i, count in enumerate(sweeps)
        for k in range(count)
    ]
    layout = recognise(titles_of(HEAD))
    assert layout is not None
    for text, backwards in (("".join(lines), False), ("".join(reversed(lines)), len(sweeps) > 1)):
        ends = {text.rfind("\n", 0, min(c, len(text))) + 1 for c in cuts} | {0, len(text)}
        parser = ArchiveParser(layout, False, Rejects("x", lambda _n, _d: None))
        chunks = [
            c for a, b in pairwise(sorted(ends)) for c in parser.parse(text[a:b].encode())
        ] + parser.finish()
        parser_order = [int(q) for c in chunks for q in c.array("qty")]
        wanted = [int(line.split(",")[3]) for line in lines]
        if not backwards and text != "".join(lines):
            wanted.reverse()  # one instant tells no direction: it stays as it stands
        order = np.argsort([t for c in chunks for t in c.array("ts_ns")], kind="stable")
        # chunks of several digits carry different scales only where quantities end in zeros
        scaled = [q * 10 ** (0 - c.scales.qty) for c in chunks for q in c.array("qty")]
        assert [int(scaled[i]) for i in order] == wanted
        assert parser.backwards == backwards
        assert len(parser_order) == len(lines)


def test_overlapping_exports_merge_to_one_row_each(tmp_path: Path) -> None:
    lines = tape(2_000)
    parts = (lines[:900], lines[700:1_500], lines[1_200:], lines[:900])
    made = Imported(tmp_path / "log")
    paths = [write(tmp_path, f"{i}.csv", HEAD, *part) for i, part in enumerate(parts)]
    report = made.take("x", *paths)
    assert sorted(contents(made)) == sorted(told(lines))
    counts = (report.total("added"), report.total("duplicates"), report.total("conflicts"))
    assert counts == (2_000, sum(map(len, parts)) - 2_000, 0)
    assert list(check_log(made.store)) == []
    before = made.digest()
    made.take("again", *reversed(paths))
    assert made.digest() == before


def test_buffers_that_end_anywhere_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = tape(4_000, step_ms=1)
    spot = [f"{i},{line.split(',')[0].replace('.', '')[:13]:0<13},5,1,buy" for i, line in
            enumerate(lines)]  # fmt: skip
    one, many = Imported(tmp_path / "a"), Imported(tmp_path / "b")
    paths = [write(tmp_path, "x.csv", HEAD, *lines)]
    paths.append(write(tmp_path, "BTCUSDT-2026-07.csv", "id,timestamp,price,volume,side", *spot))
    one.take("x", *paths)
    monkeypatch.setattr(inlet, "BUFFER_BYTES", 20_000)
    monkeypatch.setattr("data.sources.opening.Reader.blocks.__defaults__", (3_000,))
    many.take("x", *paths)
    assert contents(many) == contents(one) == told(lines)
    same = contents(one, venue="bybit-spot")
    assert len(same) == 4_000, "equal trades without an id, all of one file, are different trades"
    assert contents(many, venue="bybit-spot") == same
    before = many.digest()
    many.take("again", *paths)
    assert many.digest() == before


def test_spot_has_no_ids_and_a_time_in_ms(tmp_path: Path) -> None:
    made = Imported(tmp_path / "log")
    equal = "2,1747612800150,106456.9,0.0005,buy,0\n3,1747612800150,106456.9,0.0005,buy,0"
    path = write(tmp_path, "BTCUSDT_2025-05-19.csv.gz", SPOT.rstrip(), *equal.split("\n"))
    made.take("x", path)
    assert contents(made, venue="bybit-spot") == [
        (1_747_612_800_074_000_000, 0, 1_064_538, 3_718, -1, 0),
        (1_747_612_800_150_000_000, 0, 1_064_569, 500, 1, 0),
        (1_747_612_800_150_000_000, 0, 1_064_569, 500, 1, 0),
    ]
    assert made.take("again", path).total("duplicates") == 3
    assert list(check_log(made.store)) == []


def test_a_recording_and_the_archive_of_the_same_trades_are_one(tmp_path: Path) -> None:
    """The feed tells milliseconds, the archive tenths of them; the UUID says which is which."""
    lines = tape(50)
    messages = []
    for i, line in enumerate(lines):
        time, symbol, side, size, price, tick, trade = line.split(",")[:7]
        ms = int(Decimal(time) * 1000)
        messages.append(
            f'{ms + 7}123456 {{"topic":"publicTrade.{symbol}","type":"snapshot","ts":{ms + 3},'
            f'"data":[{{"T":{ms},"s":"{symbol}","S":"{side}","v":"{size}","p":"{price}",'
            f'"L":"{tick}","i":"{trade}","BT":false,"seq":{i}}}]}}'
        )
    archive = write(tmp_path, "x.csv", HEAD, *lines)
    recording = write(tmp_path, "x.log", *messages)
    for name, paths in (("a", (archive, recording)), ("b", (recording, archive))):
        made = Imported(tmp_path / name)
        for path in paths:
            made.take(path.name, path)
        got = contents(made)
        assert [row[1:] for row in got] == [row[1:] for row in told(lines)]
        assert made.reports[paths[1].name].total("conflicts") == 0
        assert made.rows(Kind.TRADE, "bybit", "BTCUSDT")["recv_ns"].all()


def test_trades_with_and_without_ids_of_one_time_are_refused(tmp_path: Path) -> None:
    made = Imported(tmp_path / "log")
    spot = write(tmp_path, "BTCUSDT_2025-05-19.csv", SPOT, "2,1747612810150,106456.9,0.5,buy,0")
    made.take("x", spot)
    lines = [
        f'1747612805123 {{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1,"data":[{{"T":{t},'
        f'"s":"BTCUSDT","S":"Buy","v":"1","p":"2","i":"{t}"}}]}}'
        for t in (1747612801000, 1747612809000)
    ]
    with pytest.raises(DataError, match="numbered otherwise") as error:
        made.take("y", write(tmp_path, "y.log", *lines))
    assert "without ids" in str(error.value)


@pytest.mark.parametrize(
    ("at", "text", "reason"),
    [
        (0, "soon", "number"),
        (0, "12.5", "time"),
        (0, "1784851200.00547123451", "precision"),
        (1, "../x", "market"),
        (2, "Hold", "side"),
        (3, "0", "qty"),
        (4, "-1", "price"),
        (5, "UpTick", "tick"),
        (6, "", "number"),
        (9, "1,1", "columns"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, at: int, text: str, reason: str) -> None:
    cells = ROW.split(",")
    cells[at] = text
    made = Imported(tmp_path / "log")
    report = made.take("x", write(tmp_path, "x.csv", HEAD, ROW, ",".join(cells), DATED, end="\r\n"))
    assert report.counted("rejected") == {reason: 1}
    assert report.counted("rows") == {"trade": 2}


def test_what_a_file_is(tmp_path: Path) -> None:
    def look(name: str, *lines: str, venue: str | None = None, symbol: str | None = None) -> str:
        (member,) = members_of(write(tmp_path, name, *lines))
        found = detect(member, venue, symbol)
        assert found.has_header
        return f"{found.venue} {found.symbol}"

    assert look("anything.csv", HEAD, ROW) == "bybit BTCUSDT"
    assert look("anything.csv", HEAD, ROW, DATED) == "bybit ", "several"
    assert look("BTCUSDT-2022-11.csv.gz", SPOT) == "bybit-spot BTCUSDT"
    assert look("x.csv", SPOT, symbol="BTCUSDT") == "bybit-spot BTCUSDT"
    for wrong in ({"venue": "binance-um"}, {"symbol": "ETHUSDT"}):
        with pytest.raises(UsageError, match="contradicts"):
            look("x.csv", HEAD, ROW, **wrong)
    with pytest.raises(UsageError, match="symbol is not known"):
        look("x.csv", SPOT)
    # BitMEX has the same columns and one more; its times are written otherwise
    with pytest.raises(DataError, match="not known"):
        look("x.csv", f"{HEAD},trdType", f"{ROW},Regular")


def test_the_symbol_asked_for_is_all_that_is_taken(tmp_path: Path) -> None:
    made = Imported(tmp_path / "log")
    report = made.take("x", write(tmp_path, "x.csv", HEAD, ROW, DATED), symbol="BTCUSDT")
    assert report.counted("rows") == {"trade": 1}
    assert report.counted("left_out") == {"rows of BTC-14MAR25": 1}
