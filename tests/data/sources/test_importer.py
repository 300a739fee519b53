"""Imports as a whole: archives, repeated imports, what is refused, and being killed."""

from __future__ import annotations

import gzip
import itertools
import json
import random
import subprocess
import sys
import time
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.errors import ConfigError, CorruptFileError, DataError, UsageError
from data.events import Kind
from data.log import LogStore
from data.sources import inlet
from data.sources.importer import Step, import_paths
from tests.data.sources.imported import Imported, group
from tests.shared import shared_data

SAMPLES = "binance-samples/archive_csv/"
LTC = [f"binance-spot/LTCUSDT_2025-06-21_{h}h_trades.csv" for h in ("06", "09", "12", "15", "18")]


@pytest.fixture
def made(tmp_path: Path) -> Imported:
    """An empty log."""
    return Imported(tmp_path / "log")


def trade_line(i: int, price: str = "100.5", qty: str = "2", at: int | None = None) -> str:
    return f"{i},{price},{qty},{i},{i},{at or 1720055357510 + i},false\n"


def archive(folder: Path, lines: list[str], name: str = "BTCUSDT-aggTrades-2024-07-04.csv") -> Path:
    path = folder / name
    path.write_text("".join(lines), encoding="utf-8")
    return path


# --- archives ----------------------------------------------------------------------------------


def test_ltcusdt(made: Imported) -> None:
    report = made.take("ltc", *[shared_data(p) for p in LTC])
    counts = [4_311, 8_386, 11_985, 20_061, 8_582]
    assert [f.rows["trade"] for f in report.files] == counts
    assert report.total("added") == sum(counts) == 53_325
    assert not report.counted("rejected")
    trades = made.rows(Kind.TRADE, "binance-spot", "LTCUSDT")
    ids, side = trades["id"], trades["side"]
    assert (ids[0], ids[-1]) == (293517768, 293571260)
    assert (np.diff(ids) > 0).all()
    holes = np.diff(ids) - 1
    assert (int((holes > 0).sum()), int(holes.sum())) == (16, 168)
    assert (int((side == 1).sum()), int((side == -1).sum())) == (28_770, 24_555)
    scale = -int(trades["qty_scale"])
    assert Decimal(int(trades["qty"][side == 1].sum())).scaleb(scale) == Decimal("111776.466")
    assert Decimal(int(trades["qty"][side == -1].sum())).scaleb(scale) == Decimal("125098.926")
    assert (trades["price"].min(), trades["price"].max()) == (7860, 8339)
    assert not trades["recv_ns"].any()


@pytest.mark.parametrize(
    ("name", "venue", "symbol", "rows", "quantity"),
    [
        ("usdm_btcusdt_20230404-05", "binance-um", "BTCUSDT", 5_252, "1189.085"),
        ("usdm_btcusdt_20240718-19", "binance-um", "BTCUSDT", 5_554, "1122.459"),
        ("usdm_btcusdt_20240808", "binance-um", "BTCUSDT", 10_447, "2429.366"),
        ("spot_btcusdt_20240808", "binance-spot", "BTCUSDT", 5_813, "212.03315"),
        ("spot_nexousdt_20240723-24", "binance-spot", "NEXOUSDT", 7_489, "870270.68"),
    ],
)
def test_derived_aggregates(
    made: Imported, name: str, venue: str, symbol: str, rows: int, quantity: str
) -> None:
    report = made.take("x", shared_data(f"derived-aggtrades/{name}.csv.gz"), venue=venue)
    assert report.files[0].symbol == symbol
    trades = made.rows(Kind.TRADE, venue, symbol)
    assert trades["id"].tolist() == list(range(1, rows + 1))
    total = Decimal(int(trades["qty"].sum())).scaleb(-int(trades["qty_scale"]))
    assert total == Decimal(quantity)


def defect(made: Imported, name: str, symbol: str, kind: Kind = Kind.TRADE) -> tuple[Any, Any]:
    report = made.take("x", shared_data(f"{SAMPLES}{name}"), symbol=symbol)
    return report.files[0], made.rows(kind, report.files[0].venue, symbol)


def test_defect_interleaved(made: Imported) -> None:
    name = "DEFECT_um_aggTrades_monthly_interleaved_2023-10.csv"
    file, trades = defect(made, name, "BTCUSDT")
    assert (file.added, file.duplicates, file.conflicts, file.out_of_order) == (6, 0, 0, 2)
    firsts = [1862715434, 1862715435, 1862715436]
    assert trades["id"].tolist() == [*firsts, 1896999302, 1896999303, 1896999304]


def test_defect_duplicates(made: Imported) -> None:
    file, trades = defect(made, "DEFECT_um_aggTrades_duplicates_2022-09.csv", "BTCUSDT")
    assert (file.added, file.duplicates, file.conflicts) == (2, 2, 0)
    assert trades["id"].tolist() == [1446230265, 1446230266]


def test_defect_one_id_two_trades(made: Imported) -> None:
    name = "DEFECT_spot_aggTrades_same_id_two_trades_ZILBTC_2021-02-28.csv"
    file, trades = defect(made, name, "ZILBTC")
    assert (file.added, file.duplicates, file.conflicts) == (3, 0, 1)
    assert trades["qty"].tolist() == [276, 824, 19332]


def test_defect_book_ticker(made: Imported) -> None:
    name = "DEFECT_um_bookTicker_out_of_order_2024-01-15.csv"
    file, quotes = defect(made, name, "ETHUSDT", Kind.QUOTE)
    assert (file.added, file.out_of_order) == (3, 1)
    assert not file.rejected
    assert quotes["id"].tolist() == [3831603310013, 3831603310668, 3835812359996]


# --- importing again ---------------------------------------------------------------------------


def test_importing_twice_changes_nothing(made: Imported, tmp_path: Path) -> None:
    bad = archive(tmp_path, [trade_line(1), "oops\n", trade_line(2)])
    sources = [*group("spot0808"), bad.rename(tmp_path / "ETHUSDT-aggTrades-2024-07-04.csv")]
    sources += [shared_data(p) for p in LTC[:2]]
    first = made.take("1", *sources)
    before = made.digest()
    second = made.take("2", *sources)
    assert made.digest() == before
    assert second.total("added") == 0
    assert second.total("duplicates") == first.total("added")
    assert second.rejects == first.rejects
    third = import_paths(LogStore(made.folder), sources[::-1])
    assert third.total("added") == 0
    assert made.digest() == before


def test_alone_or_together_a_file_gives_the_same_rows(made: Imported, tmp_path: Path) -> None:
    first, second = group("um0718")
    made.take("alone", first)
    made.take("both", first, second)
    other = Imported(tmp_path / "other")
    other.take("both", second, first)
    assert made.digest().keys() == other.digest().keys()
    mine, theirs = made.digest(), other.digest()
    mine.pop("catalogue.parquet")
    theirs.pop("catalogue.parquet")
    assert mine == theirs


def test_a_second_file_alone_has_no_book(made: Imported) -> None:
    report = made.take("x", group("um0718")[1])
    assert report.counted("rows")["depth"] == 0
    assert "import them together" in report.files[0].notes[0]


def test_merging_in_small_pieces_gives_the_same_bytes(
    made: Imported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = [*group("spot0808"), shared_data(LTC[0])]
    made.take("x", *sources)
    monkeypatch.setattr(inlet, "BUFFER_BYTES", 1 << 18)
    other = Imported(tmp_path / "other")
    other.take("x", *sources)
    assert made.digest().items() - other.digest().items() <= {
        ("catalogue.parquet", made.digest()["catalogue.parquet"])
    }


# --- what is refused, and what is said ---------------------------------------------------------


def test_two_numberings_of_trades_do_not_mix(made: Imported) -> None:
    made.take("trades", *group("um0808"))
    before = made.digest()
    with pytest.raises(DataError, match="numbered otherwise") as error:
        made.take("x", shared_data("derived-aggtrades/usdm_btcusdt_20240808.csv.gz"))
    assert "count twice" in str(error.value)
    assert made.digest() == before


def test_aggregates_stand_in_for_single_trades(made: Imported, tmp_path: Path) -> None:
    trade = {"e": "trade", "E": 1, "T": 1720055357510, "s": "BTCUSDT", "t": 7, "p": "1", "q": "2"}
    trade |= {"X": "MARKET", "m": True}
    agg = {**trade, "e": "aggTrade", "a": 70, "f": 7, "l": 7}
    frames = [{"stream": f"btcusdt@{d['e']}", "data": d} for d in (trade, agg)]
    path = tmp_path / "x.txt"
    path.write_text(
        "".join(f"1720055357600000 {json.dumps(f)}\n" for f in frames), encoding="utf-8"
    )
    report = made.take("x", path)
    assert report.counted("rows") == {"trade": 1}
    assert report.counted("left_out") == {"trade (there is aggTrade)": 1}
    assert made.rows(Kind.TRADE, "binance-um", "BTCUSDT")["id"].tolist() == [70]


def test_a_row_that_no_scale_holds_is_kept_beside_the_log(made: Imported, tmp_path: Path) -> None:
    lines = [trade_line(i, qty="900.001") for i in range(1, 60)]
    lines[30] = trade_line(31, price="60000.12345678")
    lines[40] = trade_line(41, price="90000000000", qty="90000000000")
    report = made.take("x", archive(tmp_path, lines))
    assert report.counted("rejected") == {"overflow": 1}
    assert report.total("added") == 58
    (name,) = report.rejects
    (record,) = map(json.loads, (made.folder / name).read_text(encoding="utf-8").splitlines())
    assert record["line"] == 41
    assert "id=41" in record["raw"]


def test_folders_and_zips(made: Imported, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    archive(folder, [trade_line(1)])
    (folder / "notes.txt").write_text("hello\n", encoding="utf-8")
    (folder / "BTCUSDT-aggTrades-2024-07-04.zip.CHECKSUM").write_text("0  x\n", encoding="utf-8")
    with zipfile.ZipFile(folder / "two.zip", "w") as z:
        z.writestr("BTCUSDT-aggTrades-2024-07-05.csv", trade_line(2))
        z.writestr("ETHUSDT-aggTrades-2024-07-05.csv", trade_line(3))
        z.writestr("readme", "hello\n")
    report = made.take("x", folder)
    assert [(f.file, f.symbol) for f in report.files] == [
        ("BTCUSDT-aggTrades-2024-07-04.csv", "BTCUSDT"),
        ("two.zip!BTCUSDT-aggTrades-2024-07-05.csv", "BTCUSDT"),
        ("two.zip!ETHUSDT-aggTrades-2024-07-05.csv", "ETHUSDT"),
    ]
    assert [Path(p).name for p, _ in report.unknown] == ["notes.txt", "two.zip!readme"]
    with pytest.raises(DataError, match="format is not known"):
        made.take("x", folder / "notes.txt")
    with pytest.raises(DataError, match="nothing to import"):
        made.take("x", shared_data("vix"))


def test_a_file_that_was_cut_off_is_imported_and_said(made: Imported, tmp_path: Path) -> None:
    whole = gzip.compress("".join(trade_line(i) for i in range(1, 5000)).encode())
    path = tmp_path / "BTCUSDT-aggTrades-2024-07-04.csv.gz"
    path.write_bytes(whole[: len(whole) // 2])
    (file,) = made.take("x", path).files
    assert "cut off" in file.notes[0]
    assert 1000 < file.rows["trade"] < 4000
    assert file.rejected.total() <= 1
    assert file.lines == file.rows["trade"] + file.rejected.total()


def test_a_damaged_file_leaves_the_log_as_it_was(made: Imported, tmp_path: Path) -> None:
    good = archive(tmp_path, [trade_line(1)])
    made.take("x", good)
    before = made.digest()
    noise = random.Random(1).randbytes(200_000).hex()
    lines = [trade_line(i) for i in range(1, 50_000)] + [noise]
    whole = bytearray(gzip.compress("".join(lines).encode()))
    whole[-100] ^= 0xFF
    bad = tmp_path / "ETHUSDT-aggTrades-2024-07-04.csv.gz"
    bad.write_bytes(whole)
    with pytest.raises(CorruptFileError) as error:
        made.take("x", archive(tmp_path, [trade_line(9)], "SOLUSDT-aggTrades-2024-07-04.csv"), bad)
    assert str(bad) in str(error.value)
    assert made.digest() == before


def test_settings_out_of_range(made: Imported, tmp_path: Path) -> None:
    path = archive(tmp_path, [trade_line(1)])
    for options in ({"levels": 0}, {"levels": 26}, {"cadence_ns": -1}, {"cadence_ns": 10**15}):
        with pytest.raises(ConfigError):
            made.take("x", path, **options)
    with pytest.raises(UsageError):
        made.take("x", path, venue="nowhere")
    assert not made.store.catalogue().entries


def test_levels_and_cadence(made: Imported) -> None:
    made.take("x", *group("spot0808"), levels=7, cadence_ns=1_000_000_000)
    depth = made.rows(Kind.DEPTH, "binance-spot", "BTCUSDT")
    assert set(np.diff(depth["bid_offsets"])) == set(np.diff(depth["ask_offsets"])) == {7}
    slots = depth["ts_ns"] // 1_000_000_000
    assert (np.diff(slots) == 1).all()
    assert len(slots) == 346


def test_books_of_another_depth_among_those_there_are_said(made: Imported) -> None:
    path = shared_data("binance-samples/recorded/spot_btcusdt_20240808_with_rest_snapshot.jsonl")
    assert not made.take("20", path).files[0].notes
    assert not made.take("20 again", path).files[0].notes
    (note,) = made.take("5", path, levels=5).files[0].notes
    assert "already held" in note


def test_progress_is_told(made: Imported, tmp_path: Path) -> None:
    lines = [trade_line(i) for i in range(1, 200_000)]
    steps: list[Step] = []
    made.take("x", archive(tmp_path, lines), progress=steps.append)
    found, rest = steps[0].found, steps[1:]
    assert found is not None
    assert found.symbol == "BTCUSDT"
    assert len(rest) > 1
    assert all(a.done_bytes < b.done_bytes for a, b in itertools.pairwise(rest))
    assert rest[-1].done_bytes == rest[-1].total_bytes
    assert rest[-1].rows == len(lines)
    assert rest[-1].market_ns == (1720055357510 + len(lines)) * 10**6


def test_a_partial_book_is_used_where_the_diffs_have_no_snapshot(
    made: Imported, tmp_path: Path
) -> None:
    diff = {"e": "depthUpdate", "E": 1720055357510, "T": 1720055357510, "s": "BTCUSDT", "U": 1}
    diff |= {"u": 2, "pu": 0, "b": [["10", "1"]], "a": [["11", "1"]]}
    streams = ("btcusdt@depth@0ms", "btcusdt@depth5@100ms", "btcusdt@depth20@100ms")
    frames = [{"stream": s, "data": diff} for s in streams]
    path = tmp_path / "x.txt"
    path.write_text(
        "".join(f"1720055357600000 {json.dumps(f)}\n" for f in frames), encoding="utf-8"
    )
    report = made.take("x", path)
    assert report.counted("rows") == {"depth": 1}
    assert report.counted("left_out") == {
        "depth5@100ms (there is depth20@100ms)": 1,
        "gaps of unused depth diffs": 1,
    }


# --- being killed ------------------------------------------------------------------------------

IMPORT = "import sys; from data.log import LogStore; from data.sources.importer import import_paths"
SCRIPT = f"{IMPORT}; import_paths(LogStore(sys.argv[1], create=True), sys.argv[2:])"


def start(folder: Path, paths: list[Path]) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-c", SCRIPT, str(folder), *map(str, paths)]
    return subprocess.Popen(words, cwd=Path(__file__).parents[3])


def test_killed_at_any_moment_the_log_is_as_before_or_complete(tmp_path: Path) -> None:
    sources = [shared_data(p) for p in LTC] + group("spot0808")
    made = Imported(tmp_path / "log")
    made.take("first", sources[0])
    before = {(e.path, e.sha256) for e in made.store.catalogue().entries}
    whole = Imported(tmp_path / "whole")
    whole.take("all", *sources)
    after = {(e.path, e.sha256) for e in whole.store.catalogue().entries}
    begun = time.monotonic()
    assert start(Path(tmp_path / "timed"), sources).wait() == 0
    length_s = time.monotonic() - begun
    seen = set()
    for share in (0.5, 0.75, 0.9, 0.97):
        process = start(made.folder, sources)
        time.sleep(length_s * share)
        process.kill()
        process.wait()
        now = {(e.path, e.sha256) for e in LogStore(made.folder).catalogue().entries}
        assert now in (before, after), share
        seen.add(now == after)
    made.take("rest", *sources)
    assert {(e.path, e.sha256) for e in made.store.catalogue().entries} == after
