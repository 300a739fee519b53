"""The stand-in archive is held to the real one: its names, its rows, its answers."""

from __future__ import annotations

import gzip
import hashlib
import io
import zipfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from data.errors import UsageError
from data.sources.archive_files import daily, monthly, parse_path
from data.sources.archive_layouts import recognise
from data.sources.http import Http
from data.venue.archive import ArchiveServer, serve
from data.venue.archive_rows import MadeUp
from data.venue.faults import Fault, FaultBook, parse_fault
from tests.shared import shared_data

HTTP = Http()
UM_DAY = "data/futures/um/daily/aggTrades/BTCUSDT/BTCUSDT-aggTrades-2024-07-04.zip"

# Paths as the venue's own documentation spells them, not as our code makes them.
PATHS = {
    "trading/BTCUSDT/BTCUSDT2026-07-25.csv.gz": daily(
        "bybit", "trades", "BTCUSDT", date(2026, 7, 25)
    ),
    "spot/BTCUSDT/BTCUSDT_2024-01-15.csv.gz": daily(
        "bybit-spot", "trades", "BTCUSDT", date(2024, 1, 15)
    ),
    UM_DAY: daily("binance-um", "aggTrades", "BTCUSDT", date(2024, 7, 4)),
    "data/spot/monthly/aggTrades/LTCUSDT/LTCUSDT-aggTrades-2021-12.zip": monthly(
        "binance-spot", "aggTrades", "LTCUSDT", date(2021, 12, 1)
    ),
    "data/futures/um/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2024-02.zip": monthly(
        "binance-um", "klines", "BTCUSDT", date(2024, 2, 17)
    ),
    "data/futures/um/daily/bookTicker/BTCUSDT/BTCUSDT-bookTicker-2024-01-15.zip": daily(
        "binance-um", "bookTicker", "BTCUSDT", date(2024, 1, 15)
    ),
}


@pytest.fixture(scope="module")
def server() -> Iterator[ArchiveServer]:
    with serve(content=MadeUp(trades_a_day=40)) as running:
        yield running


def text_of(server: ArchiveServer, path: str) -> str:
    answer = HTTP.get(f"{server.url}/{path}")
    assert answer.status == 200
    if path.endswith(".gz"):
        return gzip.decompress(answer.body).decode("utf-8")
    with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
        (name,) = archive.namelist()
        assert name == path.rpartition("/")[2].removesuffix(".zip") + ".csv"
        return archive.read(name).decode("utf-8")


@pytest.mark.parametrize("path", PATHS)
def test_names_are_those_of_the_archive(server: ArchiveServer, path: str) -> None:
    assert PATHS[path].path == path
    assert parse_path(path) == PATHS[path]
    assert text_of(server, path)


@pytest.mark.parametrize(
    "path",
    [
        "data/futures/um/daily/aggTrades/BTCUSDT/ETHUSDT-aggTrades-2024-07-04.zip",
        "data/spot/daily/klines/BTCUSDT/BTCUSDT-1m-2024-07-04.zip",
        "data/spot/x.zip",
        "trading/BTCUSDT/ETHUSDT2026-07-25.csv.gz",
        "spot/BTCUSDT/BTCUSDT_2026-07-32.csv.gz",
        "trading/BTCUSDT/BTCUSDT2026-07-25.csv.gz.CHECKSUM",
        "../secret",
        UM_DAY + "x",
        UM_DAY.replace("07-04", "07-32"),
        UM_DAY.replace("daily", "monthly"),
    ],
)
def test_other_names_are_nobodys(server: ArchiveServer, path: str) -> None:
    assert parse_path(path) is None
    assert HTTP.get(f"{server.url}/{path}").status == 404


def test_a_checksum_is_a_sum_two_blanks_and_the_name(server: ArchiveServer) -> None:
    body = HTTP.get(f"{server.url}/{UM_DAY}").body
    line = HTTP.get(f"{server.url}/{UM_DAY}.CHECKSUM").body.decode()
    assert line == f"{hashlib.sha256(body).hexdigest()}  {UM_DAY.rpartition('/')[2]}\n"


@pytest.mark.parametrize(
    ("sample", "path"),
    [
        ("um_aggTrades_header_since_2022-08-11.csv", UM_DAY),
        (
            "spot_aggTrades_noheader_ms_2021-12-14.csv",
            "data/spot/daily/aggTrades/BTCUSDT/BTCUSDT-aggTrades-2021-12-14.zip",
        ),
        (
            "spot_klines_1s_us_2025-01-01.csv",
            "data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2025-01-01.zip",
        ),
        (
            "DEFECT_um_bookTicker_out_of_order_2024-01-15.csv",
            "data/futures/um/daily/bookTicker/BTCUSDT/BTCUSDT-bookTicker-2024-01-15.zip",
        ),
    ],
)
def test_rows_look_like_real_rows_of_that_day(
    server: ArchiveServer, sample: str, path: str
) -> None:
    real = (
        shared_data(f"binance-samples/archive_csv/{sample}")
        .read_text(encoding="utf-8")
        .splitlines()
    )
    made = text_of(server, path).splitlines()
    assert recognise(made[0]) == recognise(real[0])
    has_header = not real[0][0].isdigit()
    assert (made[0] == real[0]) is has_header
    for theirs, ours in zip(real[-1].split(","), made[-1].split(","), strict=True):
        # A decimal, a whole number of as many digits (ms or us), or the same spelling of a bool.
        assert ("." in theirs) == ("." in ours), (theirs, ours)
        assert theirs.isalpha() == ours.isalpha()
        assert not theirs.isalpha() or (theirs[0].isupper() == ours[0].isupper())
        if len(theirs) in (13, 16) and theirs[:2] in ("16", "17"):
            assert len(theirs) == len(ours) and theirs[:3] == ours[:3]


def test_real_rows_can_be_served(tmp_path: Path) -> None:
    real = shared_data("binance-samples/archive_csv/um_aggTrades_header_since_2022-08-11.csv")
    place = (tmp_path / UM_DAY).with_suffix(".csv")
    place.parent.mkdir(parents=True)
    place.write_bytes(real.read_bytes())
    with serve(tmp_path) as server:
        assert text_of(server, UM_DAY).encode() == real.read_bytes()
        other = UM_DAY.replace("07-04", "07-05")
        assert HTTP.get(f"{server.url}/{other}").status == 404


def test_days_join_and_bars_are_those_of_the_trades(server: ArchiveServer) -> None:
    days = [
        text_of(server, f"data/spot/daily/aggTrades/ABC/ABC-aggTrades-2024-07-0{d}.zip")
        for d in (1, 2)
    ]
    ids = [int(line.split(",")[0]) for day in days for line in day.splitlines()]
    assert ids == list(range(ids[0], ids[0] + 80))
    bars = text_of(server, "data/spot/daily/klines/ABC/1m/ABC-1m-2024-07-01.zip").splitlines()
    assert len(bars) == 1440
    volume = sum(float(line.split(",")[2]) for line in days[0].splitlines())
    assert sum(float(bar.split(",")[5]) for bar in bars) == pytest.approx(volume)


def test_ranges(server: ArchiveServer) -> None:
    url = f"{server.url}/{UM_DAY}"
    whole = HTTP.get(url)
    size, etag = len(whole.body), whole.headers["etag"]

    def part(span: str, **more: str) -> tuple[int, bytes]:
        answer = HTTP.get(url, {"Range": span, **more})
        return answer.status, answer.body

    assert part("bytes=10-") == (206, whole.body[10:])
    assert part("bytes=10-19") == (206, whole.body[10:20])
    assert part("bytes=-7") == (206, whole.body[-7:])
    assert part("bytes=10-", **{"If-Range": etag}) == (206, whole.body[10:])
    assert part("bytes=10-", **{"If-Range": '"other"'}) == (200, whole.body)
    assert part(f"bytes={size}-")[0] == 416
    head = HTTP.head(url)
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(size))


def test_faults_are_spelled_and_strike_by_path_and_attempt() -> None:
    assert parse_fault("reset=9@*01.zip#2") == Fault("reset", "*01.zip", 2, 9)
    assert parse_fault("busy@*") == Fault("busy")
    for wrong in ("", "reset", "reset@", "nonsense@*", "reset=x@*"):
        with pytest.raises(UsageError):
            parse_fault(wrong)
    book = FaultBook([Fault("reset", "a*", 2), Fault("stall", "*", 0)])
    struck = [fault.kind for path in "aaab" if (fault := book.strike(path))]
    assert struck == ["reset", "reset", "stall", "stall"]
    assert [book.strike("a2"), book.strike("a2")] == [Fault("reset", "a*", 2)] * 2
