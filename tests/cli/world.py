"""A folder in which every example of the README and of the helps can run: real, small files.

What the examples name is made here: archive files, recordings, tables of other programs, a log with
two venues and a hole, finished runs, settings that name a stand-in archive on loopback.
"""

from __future__ import annotations

import gzip
import io
import json
import shutil
import zipfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from cli.common import data_folder
from data.events import Kind, Scales
from data.log import LogStore
from data.sources.archive_files import ArchiveFile
from data.sources.importer import import_paths
from data.sources.synthetic import PATTERN_KINDS, MarketSpec, write_market
from data.venue.archive_rows import MadeUp
from tests.data.make_log import depth

MARKET = MadeUp(trades_a_day=200)
"""What the stand-in archive serves; the files in the folder are of the same days."""

RUNS = ("20240808T101500-delta_flip", "20240808T103000-delta_flip")
"""Runs that examples name."""


PLANS = """
[[plan]]
id = 1
name = "trend"
symbol = "BTCUSDT"
direction = "BUY"
stop = { atr = 2 }
target = { r = 2 }
risk = 0.01

[plan.conditions]
delta_positive = true
cvd_rising = true
avoid_absorption_zones = true
hours = "07:00-21:00"
"""
"""A file of plans that examples name."""


def make_files(folder: Path, endpoint: str) -> None:
    """The files that examples read, in ``folder``; settings that fetch from ``endpoint``."""
    settings = f'progress = false\n\n[fetch]\nendpoint = "{endpoint}"\nretries = 0\n\n[log.fill]\n'
    settings += f'endpoint = "{endpoint}"\n'
    (folder / "ofs.toml").write_text(settings, encoding="utf-8")
    for day in (date(2024, 8, 8), date(2025, 1, 1)):
        archive_file(folder, "binance-um", "BTCUSDT", day)
    (folder / "recordings").mkdir()
    days = (datetime(2024, 7, 18, 23, 50, tzinfo=UTC), datetime(2024, 7, 19, tzinfo=UTC))
    for start in days:
        name = f"btcusdt_{start:%Y%m%d}.gz"
        (folder / name).write_bytes(gzip.compress(recording(start).encode()))
        shutil.copy(folder / name, folder / "recordings")
    (folder / "trades.csv").write_text(
        "timestamp,price,quantity,side,tradeId\n"
        + "".join(f"{1750507467356 + i},83.{i:02},0.1,buy,{1 + i}\n" for i in range(50)),
        encoding="utf-8",
    )
    (folder / "mytrades.csv").write_text(
        "time,pair,side,price,amount\n"
        + "".join(f"2024-08-08T00:{i:02}:00Z,LTCUSDT,sell,60.{i:02},1.5\n" for i in range(50)),
        encoding="utf-8",
    )
    (folder / "plans.toml").write_text(PLANS, encoding="utf-8")
    bars(folder / "EURUSD_M1_202401020000_202401312359.csv")


def archive_file(
    folder: Path, venue: str, symbol: str, day: date, *, without: range = range(0)
) -> Path:
    """A day of trades as the archive zips it; ``without`` leaves rows out, by their number."""
    file = ArchiveFile(venue, "aggTrades", symbol, day, day)
    text = MARKET.text(file)
    assert text is not None
    lines = [line for n, line in enumerate(text.splitlines(keepends=True)) if n not in without]
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as into:
        into.writestr(f"{symbol}-aggTrades-{day}.csv", "".join(lines))
    path = folder / f"{symbol}-aggTrades-{day}.zip"
    path.write_bytes(content.getvalue())
    return path


def recording(start: datetime, count: int = 200) -> str:
    """Lines of a websocket recording: a trade every half second."""
    at_ms = int(start.timestamp()) * 1000
    base = int(start.timestamp())
    lines = []
    for i in range(count):
        t = at_ms + 500 * i
        price, id_ = f"640{i % 90:02}.1", base + i
        trade = {"e": "aggTrade", "E": t + 2, "s": "BTCUSDT", "a": id_, "p": price, "q": "0.010",
                 "f": id_, "l": id_, "T": t, "m": i % 3 == 0}  # fmt: skip
        text = json.dumps({"stream": "btcusdt@aggTrade", "data": trade}, separators=(",", ":"))
        lines.append(f"{(t + 20) * 1000} {text}\n")
    return "".join(lines)


def bars(path: Path) -> None:
    """A month of hourly looks at one-minute bars, as MetaTrader 5 exports them."""
    rows = ["<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>"]
    at, end = datetime(2024, 1, 2), datetime(2024, 1, 31, 23, 59)  # noqa: DTZ001  the broker's clock
    while at <= end:
        if at.weekday() < 5 and at.hour % 4 == 0:
            low = 1.09 + (at.minute % 7) / 10_000
            prices = f"{low:.5f}\t{low + 0.0002:.5f}\t{low:.5f}\t{low + 0.0001:.5f}"
            rows.append(f"{at:%Y.%m.%d}\t{at:%H:%M:%S}\t{prices}\t{12 + at.minute}\t0\t8")
        at += timedelta(minutes=1)
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


def make_log(folder: Path) -> None:
    """The log of the user: two venues, trades and books, and a hole that the archive can fill."""
    store = LogStore(data_folder() / "log", create=True)
    spot = archive_file(folder, "binance-spot", "LTCUSDT", date(2025, 1, 6), without=range(80, 90))
    import_paths(store, [folder / "BTCUSDT-aggTrades-2024-08-08.zip", spot])
    spot.unlink()
    start_ns = int(datetime(2024, 8, 8, 23, 50, tzinfo=UTC).timestamp()) * 10**9
    with store.transaction() as change:
        change.merge(Kind.DEPTH, "binance-um", "BTCUSDT", depth(start_ns, 400), Scales(1, 3))


def make_planted(folder: Path) -> None:
    """The log ``planted``: half a day of a synthetic market with patterns in it."""
    spec = MarketSpec(
        duration_s=43_200, rate_per_s=2.0, depth_levels=10, depth_ms=2000,
        patterns=PATTERN_KINDS, every_s=900, strength=(2.0, 4.0),
    )  # fmt: skip
    write_market(LogStore(folder / "planted", create=True), spec)


def make_runs(made: str) -> None:
    """Copies of the run called ``made``, under the ids that examples name."""
    runs = data_folder() / "runs"
    for name in RUNS:
        shutil.copytree(runs / made, runs / name)
        path = runs / name / "manifest.json"
        facts = json.loads(path.read_text(encoding="utf-8"))
        at = datetime.strptime(name.partition("-")[0], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
        facts |= {"run": name, "created": at.isoformat()}
        path.write_text(json.dumps(facts), encoding="utf-8")
