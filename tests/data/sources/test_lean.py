"""LEAN's zips: the exact rows of the real ones, and what is refused."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from data.errors import DataError, UsageError
from data.events import Kind
from data.sources.detect import Found, detect
from data.sources.opening import members_of
from tests.data.sources.imported import Imported
from tests.shared import shared_data

ROWS = {
    "cfd/oanda/tick/xauusd": (129744, 265015, 9889, 186204, 161552, 219809, 199123),
    "forex/oanda/tick/eurusd": (24179, 49341, 1164, 25177, 44864, 41367, 87833),
}
DAYS = ("01", "02", "04", "05", "06", "07", "08")
MIDNIGHT = 1_398_902_400_000_000_000  # 2014-05-01


@pytest.mark.parametrize("folder", ROWS)
def test_every_row_of_the_real_quotes(tmp_path: Path, folder: str) -> None:
    made = Imported(tmp_path / "log")
    report = made.take("all", shared_data(f"quotes/{folder}"))
    assert tuple(f.rows["quote"] for f in report.files) == ROWS[folder]
    assert [Path(f.path).name[6:8] for f in report.files] == list(DAYS)
    assert not report.counted("rejected") and not report.unknown
    symbol = folder.rpartition("/")[2].upper()
    # one row of EURUSD repeats the row before it; the three that return within a ms stay
    repeated = int(symbol == "EURUSD")
    assert (report.total("added"), report.total("duplicates")) == (
        sum(ROWS[folder]) - repeated, repeated,
    )  # fmt: skip
    rows = made.rows(Kind.QUOTE, "oanda", symbol)
    if symbol == "XAUUSD":
        assert rows["ts_ns"][0] == MIDNIGHT + 43_142_000
        assert (rows["bid"][0], rows["ask"][0], int(rows["price_scale"])) == (1291677, 1292033, 3)
    else:
        assert rows["ts_ns"][0] == MIDNIGHT + 292_000_000
        assert (rows["bid"][0], rows["ask"][0], int(rows["price_scale"])) == (138676, 138686, 5)
    before = made.digest()
    again = made.take("again", shared_data(f"quotes/{folder}/20140508_quote.zip"))
    assert (again.total("added"), made.digest()) == (0, before)


def look(folder: Path, place: str, entry: str, text: str, venue: str | None = None) -> Found:
    path = folder / place
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(entry, text)
    return detect(members_of(path)[0], venue, None)


def test_trades_bars_and_quotes_with_sizes(tmp_path: Path) -> None:
    base = "crypto/gdax"
    for what, rows, kind in (
        ("minute", "60000,1,2,0.5,1.5,7", Kind.BAR),
        ("tick", "86400,232.4,93.1", Kind.TRADE),
    ):
        name = f"20240102_btcusd_{what}_trade.csv"
        found = look(tmp_path, f"{base}/{what}/btcusd/20240102_trade.zip", name, rows + "\n")
        assert found.table is not None
        assert (found.venue, found.symbol, found.table.mapping.kind) == ("gdax", "BTCUSD", kind)
        made = Imported(tmp_path / f"log-{what}")
        made.take("one", found.member.path)
        assert len(made.rows(kind, "gdax", "BTCUSD")["ts_ns"]) == 1
    name = "20240102_btcusd_tick_quote.csv"
    text = "86400,232.4,20392,232.42,8059.5\n"
    found = look(tmp_path, f"{base}/tick/btcusd/20240102_quote.zip", name, text)
    made = Imported(tmp_path / "log-quote")
    made.take("one", found.member.path)
    rows = made.rows(Kind.QUOTE, "gdax", "BTCUSD")
    assert (rows["bid_qty"].tolist(), rows["ask_qty"].tolist()) == ([203920], [80595])


def test_a_market_of_another_midnight(tmp_path: Path) -> None:
    place, entry = "forex/fxcm/tick/eurusd/20140501_quote.zip", "20140501_eurusd_tick_quote.csv"
    found = look(tmp_path, place, entry, "292,1.38676,1.38686\n")
    made = Imported(tmp_path / "log")
    made.take("one", found.member.path)
    ts_ns = made.rows(Kind.QUOTE, "fxcm", "EURUSD")["ts_ns"].tolist()
    assert ts_ns == [MIDNIGHT + 292_000_000 + 5 * 3_600 * 10**9]


def test_what_is_not_in_the_path_is_asked_for(tmp_path: Path) -> None:
    entry = "20140501_eurusd_tick_quote.csv"
    with pytest.raises(UsageError, match="venue is not known"):
        look(tmp_path, "20140501_quote.zip", entry, "292,1.38676,1.38686\n")
    found = look(tmp_path, "20140501_quote.zip", entry, "292,1.38676,1.38686\n", "oanda")
    assert (found.venue, found.symbol) == ("oanda", "EURUSD")


@pytest.mark.parametrize(
    ("place", "entry", "text"),
    [
        ("equity/usa/minute/spy/20240102_trade.zip", "20240102_spy_minute_trade.csv", "1,2,3,1,2"),
        ("forex/oanda/minute/eurusd/20240102_quote.zip", "20240102_eurusd_minute_quote.csv",
         "60000,1,2,0.5,1,0,1,2,0.5,1,0"),
        ("20240102_trade.zip", "20240102_spy_minute_trade.csv", "60000,4700000,2,3,4,5"),
    ],
)  # fmt: skip
def test_other_files_of_lean_are_refused_by_name(
    tmp_path: Path, place: str, entry: str, text: str
) -> None:
    with pytest.raises(DataError, match="not understood"):
        look(tmp_path, place, entry, text + "\n")
