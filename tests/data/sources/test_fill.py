"""Fill: what lacks comes from the archive, nothing else changes, and what stays open is told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.enums import GapReason
from data.errors import NetworkError
from data.events import Kind
from data.log import LogStore
from data.log.checks import Wanted
from data.log.store import WRITE_WAIT_S
from data.sources.archive_files import daily
from data.sources.fill import FillReport, fill
from data.sources.fill_gaps import mark_filled
from data.venue.archive import ArchiveServer, packed, serve
from data.venue.archive_rows import MadeUp
from data.venue.faults import Fault
from tests.data.log.support import MIDNIGHT, put, trade
from tests.data.sources.fetching import NOW, terms
from tests.data.sources.imported import Imported
from tests.shared import shared_data

VENUE, SYMBOL = "binance-um", "BTCUSDT"
MARKET = MadeUp(trades_a_day=120)
DAY = daily(VENUE, "aggTrades", SYMBOL, date(2025, 1, 6))
LINES = (MARKET.text(DAY) or "").splitlines()
HEADER, ROWS = LINES[0], LINES[1:]


@pytest.fixture(scope="module")
def server() -> Iterator[ArchiveServer]:
    with serve(content=MARKET) as running:
        yield running


def log_of(folder: Path, rows: list[str], header: str = HEADER, name: str = "") -> Imported:
    """A log with these rows of the day."""
    path = folder / (name or f"{SYMBOL}-aggTrades-2025-01-06.csv")
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    log = Imported(folder / "log")
    log.take("rows", path, venue=VENUE, symbol=SYMBOL)
    return log


def filled(log: Imported, server: ArchiveServer | str, **changes: object) -> FillReport:
    return fill(log.store, Wanted(), terms(server), now=NOW, **changes)  # type: ignore[arg-type]


def ids(log: Imported, venue: str = VENUE, symbol: str = SYMBOL) -> list[int]:
    return sorted(log.rows(Kind.TRADE, venue, symbol)["id"].tolist())


def first_columns(rows: list[str]) -> list[int]:
    return [int(row.split(",")[0]) for row in rows]


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.sets(st.integers(0, len(ROWS) - 1), min_size=2))
def test_what_lacks_between_the_first_row_and_the_last_comes_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, server: ArchiveServer, kept: set[int]
) -> None:
    folder = tmp_path_factory.mktemp("fill")
    log = log_of(folder, [ROWS[i] for i in sorted(kept)])
    report = filled(log, server)
    whole = ROWS[min(kept) : max(kept) + 1]
    assert report.whole and report.added == len(whole) - len(kept)
    assert ids(log) == first_columns(whole)
    again = folder / "again"
    again.mkdir()
    assert log.digest() == log_of(again, whole).digest()


def test_the_real_holes_of_ltcusdt(tmp_path: Path) -> None:
    hours = ("06", "09", "12", "15", "18")
    files = [shared_data(f"binance-spot/LTCUSDT_2025-06-21_{h}h_trades.csv") for h in hours]
    log = Imported(tmp_path / "log")
    log.take("rows", *files, venue="binance-spot", symbol="LTCUSDT")
    before = log.rows(Kind.TRADE, "binance-spot", "LTCUSDT")
    put_archive_day(tmp_path / "www", files)
    with serve(tmp_path / "www") as server:
        report = filled(log, server)
        moved = server.count(".zip")
        again = filled(log, server)
    found = [h for h in report.holes if h.finding.check == "id_hole"]
    assert (len(found), sum(h.missing for h in found), report.added) == (16, 168, 168)
    assert report.whole and report.files == ["LTCUSDT-aggTrades-2025-06-21.zip"]
    assert again.whole and not again.holes and server.count(".zip") == moved
    after = log.rows(Kind.TRADE, "binance-spot", "LTCUSDT")
    assert after["id"].tolist() == list(range(293517768, 293571261))
    there = np.isin(after["id"], before["id"])
    for name in ("id", "ts_ns", "price", "qty", "side"):
        assert (after[name][there] == before[name]).all(), "rows that were there did not change"


def put_archive_day(www: Path, files: list[Path]) -> None:
    """The day as the archive would have it: in us, the whole day, with the ids that lack."""
    rows = [
        line.split(",")
        for file in files
        for line in file.read_text(encoding="utf-8").splitlines()[1:]
    ]
    rows.sort(key=lambda row: int(row[4]))
    out = [f"{int(rows[0][4]) - 1},80,1,1,1,{int(rows[0][0]) - 9}000,True,True"]
    for row, after in zip(rows, [*rows[1:], rows[-1]], strict=True):
        time_ms, price, qty, side, id_ = row
        out.append(f"{id_},{price},{qty},1,1,{time_ms}456,{side == 'sell'},True")
        lacking = range(int(id_) + 1, int(after[4]))
        out += [f"{i},{price},0.5,1,1,{time_ms}999,True,True" for i in lacking]
    place = www / daily("binance-spot", "aggTrades", "LTCUSDT", date(2025, 6, 21)).path
    place.parent.mkdir(parents=True)
    place.with_suffix(".csv").write_text("\n".join(out) + "\n", encoding="utf-8")


def www_with(folder: Path, **texts: str) -> Path:
    """An archive with the day in files of these types."""
    for type_, text in texts.items():
        place = folder / "www" / daily(VENUE, type_, SYMBOL, DAY.first).path
        place.parent.mkdir(parents=True)
        place.with_suffix(".csv").write_text(text, encoding="utf-8")
    return folder / "www"


SINGLE_HEADER = "id,price,qty,quote_qty,time,is_buyer_maker"


def single(rows: list[str]) -> list[str]:
    """Single trades of the same times and prices, under ids of their own."""
    cells = [row.split(",") for row in rows]
    return [f"{7_000_000 + i},{c[1]},{c[2]},1,{c[5]},{c[6]}" for i, c in enumerate(cells)]


def test_a_log_of_single_trades_is_filled_with_single_trades(tmp_path: Path) -> None:
    trades = single(ROWS)
    log = log_of(tmp_path, trades[:40] + trades[50:], SINGLE_HEADER, "x.csv")
    www = www_with(
        tmp_path,
        aggTrades="\n".join(LINES) + "\n",
        trades="\n".join([SINGLE_HEADER, *trades]) + "\n",
    )
    with serve(www) as server:
        report = filled(log, server)
    assert report.whole and report.added == 10
    assert ids(log) == list(range(7_000_000, 7_000_000 + len(ROWS)))
    assert [name.split("-")[1] for name in report.files] == ["aggTrades", "trades"]


def test_rows_of_another_numbering_go_into_no_hole(tmp_path: Path) -> None:
    shifted = [
        row.replace(str(i), str(i + 5), 1) for i, row in zip(first_columns(ROWS), ROWS, strict=True)
    ]
    log = log_of(tmp_path, shifted[:40] + shifted[50:])
    with serve(www_with(tmp_path, aggTrades="\n".join(LINES) + "\n")) as server:
        before = log.digest()
        report = filled(log, server)
    assert not report.whole and report.added == 0 and log.digest() == before
    assert {h.left for h in report.holes if h.finding.check == "id_hole"} == {10}
    assert any("another numbering" in h.why for h in report.holes)


def test_what_the_archive_lacks_too_stays_a_gap(tmp_path: Path) -> None:
    log = log_of(tmp_path, ROWS[:40] + ROWS[50:])
    from_ns, to_ns = (int(ROWS[i].split(",")[5]) * 1_000_000 for i in (39, 50))
    gap = {"from_ns": from_ns, "to_ns": to_ns, "ts_ns": to_ns, "stream": int(Kind.TRADE)}
    put(log.store, Kind.GAP, [{**gap, "filled": 0}])
    poor = "\n".join([HEADER, *ROWS[:43], *ROWS[45:]]) + "\n"
    with serve(www_with(tmp_path, aggTrades=poor)) as server:
        report = filled(log, server)
    (hole,) = [h for h in report.holes if h.finding.check == "id_hole"]
    assert (report.added, hole.missing, hole.left) == (8, 10, 2)
    assert report.marked == 0 and not log.rows(Kind.GAP, VENUE, SYMBOL)["filled"].any()
    assert "does not have these rows either" in hole.why


def test_a_day_that_is_not_there_and_a_network_that_is_not(tmp_path: Path) -> None:
    log = log_of(tmp_path, ROWS[:40] + ROWS[50:])
    with serve(content=MARKET, faults=[Fault("missing", "*", 0)]) as server:
        report = filled(log, server)
        assert not report.whole and "does not have it" in report.holes[-1].why
    with pytest.raises(NetworkError):
        filled(log, server.url)
    with serve(content=MARKET, faults=[Fault("checksum", "*.zip", 0)]) as server:
        assert "sha256" in filled(log, server).holes[-1].why


def test_a_long_hole_is_a_range_to_be_fetched(tmp_path: Path, server: ArchiveServer) -> None:
    later = daily(VENUE, "aggTrades", SYMBOL, date(2025, 1, 20))
    log = log_of(tmp_path, ROWS[:40] + (MARKET.text(later) or "").splitlines()[1:])
    asked = len(server.asked)
    report = filled(log, server)
    (hole,) = [h for h in report.holes if h.finding.check == "id_hole"]
    command = f"ofs fetch {SYMBOL} --venue {VENUE} --kinds trade --from 2025-01-06 --to 2025-01-20"
    assert command in hole.why and len(server.asked) == asked
    assert filled(log, server, longest_ns=30 * 86_400_000_000_000).whole
    assert len(ids(log)) == 40 + 13 * 120 + 80 + 120


def test_a_dry_run_asks_nobody(tmp_path: Path) -> None:
    log = log_of(tmp_path, ROWS[:40] + ROWS[50:])
    report = filled(log, "http://127.0.0.1:1", dry_run=True)
    assert [h.days for h in report.holes if h.days] == [[DAY.first]]


def test_missing_bars_come_too(tmp_path: Path, server: ArchiveServer) -> None:
    file = daily(VENUE, "klines", SYMBOL, DAY.first)
    header, *bars = (MARKET.text(file) or "").splitlines()
    log = log_of(tmp_path, bars[:600] + bars[660:1439], header, f"{SYMBOL}-1m-2025-01-06.csv")
    report = filled(log, server)
    assert report.whole and report.added == 60
    opens = log.rows(Kind.BAR, VENUE, SYMBOL)["open_ns"]
    assert len(opens) == 1439 and (np.diff(opens) == 60_000_000_000).all()


def test_recorded_gaps_are_marked_when_the_ids_go_on(tmp_path: Path, server: ArchiveServer) -> None:
    log = log_of(tmp_path, ROWS[:40] + ROWS[50:])
    times = [int(row.split(",")[5]) * 1_000_000 for row in ROWS]
    numbers = first_columns(ROWS)
    edges = {"from_ns": times[39], "to_ns": times[50], "ts_ns": times[50]}
    trade = {"stream": int(Kind.TRADE), "reason": int(GapReason.DISCONNECT), "filled": 0}
    put(log.store, Kind.GAP, [{**edges, **trade, "from_id": numbers[39], "to_id": numbers[50]}])
    put(log.store, Kind.GAP, [{**edges, **trade}])
    put(log.store, Kind.GAP, [{**edges, **trade, "stream": int(Kind.DEPTH)}])
    beyond = {"from_ns": times[-1], "to_ns": times[-1] + 9, "ts_ns": times[-1] + 9}
    put(log.store, Kind.GAP, [{**beyond, **trade}])
    report = filled(log, server)
    assert report.added == 10 and report.marked == 2 and not report.whole
    gaps = log.rows(Kind.GAP, VENUE, SYMBOL)
    assert len(gaps["filled"]) == 4 and gaps["filled"].sum() == 2
    assert set(gaps["stream"][gaps["filled"] == 0]) == {int(Kind.DEPTH), int(Kind.TRADE)}
    left = [h for h in report.holes if h.left]
    assert len(left) == 2 and all("books cannot be fetched" in h.why for h in left)
    assert filled(log, server).marked == 0


MINUTE_NS = 60_000_000_000


@pytest.mark.parametrize(("lacking", "closed"), [((), 2), ((603,), 0), ((600,), 0), ((610,), 0)])
def test_a_gap_in_bars_closes_when_they_follow_each_other(
    tmp_path: Path, lacking: tuple[int, ...], closed: int
) -> None:
    file = daily(VENUE, "klines", SYMBOL, DAY.first)
    header, *bars = (MARKET.text(file) or "").splitlines()
    there = [bar for n, bar in enumerate(bars) if n not in lacking]
    log = log_of(tmp_path, there, header, f"{SYMBOL}-1m-2025-01-06.csv")
    start = int(bars[600].split(",")[0]) * 1_000_000  # the end of bar 599
    bar = {"stream": int(Kind.BAR), "reason": int(GapReason.DOWNTIME), "filled": 0}
    for to_ns in (start + 10 * MINUTE_NS + 7, start + 11 * MINUTE_NS):
        put(log.store, Kind.GAP, [{**bar, "from_ns": start, "to_ns": to_ns, "ts_ns": to_ns}])
    assert mark_filled(log.store, VENUE, SYMBOL, None, None) == closed
    assert mark_filled(log.store, VENUE, SYMBOL, None, None) == 0


def test_a_row_that_told_the_beginning_of_a_hole_is_marked_with_the_one_that_told_its_end(
    tmp_path: Path,
) -> None:
    log = log_of(tmp_path, ROWS[:60])
    times = [int(row.split(",")[5]) * 1_000_000 for row in ROWS]
    numbers = first_columns(ROWS)
    trade = {"stream": int(Kind.TRADE), "reason": int(GapReason.DISCONNECT), "filled": 0}
    for at, whole in ((10, 0), (20, 1)):
        began = {**trade, "from_ns": times[at], "from_id": numbers[at]}
        # told at a moment at which nothing was traded, or after the time of the next trade
        for told_ns in (times[at] + 1, times[at + 1] + 5):
            row = {**began, "to_ns": told_ns, "ts_ns": told_ns, "to_id": 0}
            put(log.store, Kind.GAP, [row])
        over = {"to_ns": times[at + 1], "ts_ns": times[at + 1], "to_id": numbers[at + 1]}
        put(log.store, Kind.GAP, [{**began, **over, "filled": whole}])
    other = {"from_ns": times[30], "from_id": numbers[30], "to_ns": times[30] + 1, "to_id": 0}
    put(log.store, Kind.GAP, [{**trade, **other, "ts_ns": times[30] + 1}])
    assert mark_filled(log.store, VENUE, SYMBOL, None, None) == 5
    gaps = log.rows(Kind.GAP, VENUE, SYMBOL)
    assert gaps["from_id"][gaps["filled"] == 0].tolist() == [numbers[30]]


def test_another_venue_is_told(tmp_path: Path) -> None:
    store = LogStore(tmp_path / "log", create=True)
    rows = [trade(MIDNIGHT + i, id=i) for i in (1, 2, 7)]
    put(store, Kind.TRADE, rows, venue="synthetic")
    report = fill(store, Wanted(), terms("http://127.0.0.1:1"), now=NOW)
    assert "no archive of synthetic" in report.holes[0].why


DAYS = [date(2025, 1, 6 + i) for i in range(12)]


def holed(folder: Path) -> Imported:
    """A log with a hole in each of :data:`DAYS`."""
    rows: list[str] = []
    for day in DAYS:
        lines = (MARKET.text(daily(VENUE, "aggTrades", SYMBOL, day)) or "").splitlines()[1:]
        rows += lines[:40] + lines[50:]
    return log_of(folder, rows)


def test_an_archive_that_dies_is_not_asked_for_every_day(tmp_path: Path) -> None:
    log = holed(tmp_path)
    with serve(content=MARKET, faults=[Fault("reset", "*.zip", 0, 0)]) as server:
        with pytest.raises(NetworkError, match="did not answer"):
            filled(log, server)
        assert server.count(".zip", 200) < 40, "each would be asked for 5 times"
    faults = [Fault("reset", f"*{day}.zip", 0, 0) for day in DAYS[1:]]
    with serve(content=MARKET, faults=faults) as server:
        report = fill(log.store, Wanted(), terms(server, jobs=1), now=NOW)
    assert report.added == 10 and any("not tried" in h.why for h in report.holes)


def test_a_file_that_cannot_be_read_costs_its_own_holes(tmp_path: Path) -> None:
    log = holed(tmp_path)
    www = tmp_path / "www"
    for day in DAYS:
        file = daily(VENUE, "aggTrades", SYMBOL, day)
        place = (www / file.path).with_suffix(".csv")
        place.parent.mkdir(parents=True, exist_ok=True)
        text = MARKET.text(file) or ""
        if day == DAYS[3]:  # sound by its checksum, and no zip that can be read to its end
            whole = packed(file.name, text)
            (www / file.path).write_bytes(whole[: len(whole) // 2])
        else:
            short = text + text.splitlines()[-1].split(",")[0] + ",1\n"
            place.write_text(short if day == DAYS[5] else text, encoding="utf-8")
    with serve(www) as server:
        report = filled(log, server)
    left = [h for h in report.holes if h.left and h.days]
    assert report.added == 10 * (len(DAYS) - 1)
    assert [h.days for h in left] == [[DAYS[3]]] and "damaged" in left[0].why
    assert not (log.store.storage.local / ".fetch").exists()  # type: ignore[operator]


def test_another_writer_is_waited_for(tmp_path: Path, server: ArchiveServer) -> None:
    log = log_of(tmp_path, ROWS[:40] + ROWS[50:])
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with log.store.storage.lock():
            held.set()
            done.wait(WRITE_WAIT_S + 0.5)

    other = threading.Thread(target=hold)
    other.start()
    held.wait()
    try:
        assert filled(log, server).added == 10
    finally:
        done.set()
        other.join()


def test_folders_that_keep_files_hold_nothing_else(tmp_path: Path, server: ArchiveServer) -> None:
    log = log_of(tmp_path, ROWS[:40] + ROWS[50:])
    kept = tmp_path / "kept"
    assert fill(log.store, Wanted(), terms(server, keep=kept), now=NOW).added == 10
    assert [p.relative_to(kept).as_posix() for p in kept.rglob("*") if p.is_file()] == [DAY.path]
    assert all(any(p.iterdir()) for p in kept.rglob("*") if p.is_dir())
