"""Fetch against an archive that misbehaves: complete and exact, or told what is missing."""

from __future__ import annotations

import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.errors import DataError, LockedError, NetworkError, UsageError
from data.events import Kind
from data.log import LogStore
from data.sources.archive_files import daily, days_between
from data.sources.fetch import fetch
from data.sources.fetch_plan import Wish, check_wish, plan
from data.venue.archive import ArchiveServer, serve
from data.venue.faults import KINDS, Fault
from tests.data.sources.fetching import (
    AGG,
    NOW,
    SMALL,
    everything,
    rows_of,
    states,
    take,
    terms,
    wish,
)

DAYS = wish("2025-01-06", "2025-01-09")
N = SMALL.trades_a_day


@pytest.fixture
def server() -> Iterator[ArchiveServer]:
    with serve(content=SMALL) as running:
        yield running


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The data files of DAYS as a well-behaved archive gives them."""
    folder = tmp_path_factory.mktemp("clean") / "log"
    with serve(content=SMALL) as running:
        assert take(folder, running, DAYS).complete
    return rows_of(folder)


def test_a_whole_month_comes_from_one_file_and_only_once(
    tmp_path: Path, server: ArchiveServer
) -> None:
    january = wish("2025-01-01", "2025-02-01", "trade,bar")
    report = take(tmp_path, server, january)
    assert report.complete and states(report) == {"2025-01": "imported"}
    assert {i.rows for i in report.items} == {31 * N, 31 * 1440}
    zips, before = server.count(".zip", 200), everything(tmp_path)
    moved = sum(server.sent.values())
    again = take(tmp_path, server, january)
    assert again.complete and states(again) == {"2025-01": "unchanged"}
    assert again.moved_bytes == 0 and server.count(".zip", 200) == zips
    assert sum(server.sent.values()) - moved < 500, "only checksums went over the network"
    assert everything(tmp_path) == before


# A checksum that is not there says that the file is not there: see the tests of missing days.
PASSES = [(k, w) for k in sorted(KINDS) for w in ("zip", "checksum")]
PASSES.remove(("missing", "checksum"))


@pytest.mark.parametrize(("kind", "where"), PASSES)
def test_every_misbehaviour_that_passes_is_outlived(
    tmp_path: Path, server: ArchiveServer, clean: dict[str, str], kind: str, where: str
) -> None:
    value = {"busy": 0, "drip": 40}.get(kind, -1)
    suffix = ".zip" if where == "zip" else ".CHECKSUM"
    server.faults.add(Fault(kind, f"*2025-01-07{suffix}", 1, value))
    report = take(tmp_path, server, DAYS, timeout_s=0.3)
    if kind == "missing":  # gone between its checksum and its transfer: the next run has it
        assert states(report)["2025-01-07"] == "missing"
        report = take(tmp_path, server, DAYS)
    assert report.complete, [i.why for i in report.items]
    assert rows_of(tmp_path) == clean
    assert not (tmp_path / ".fetch").exists()


@pytest.mark.parametrize(
    ("fault", "state", "why"),
    [
        (Fault("status", "*07.zip", 0, 500), "failed", "answered 500"),
        (Fault("status", "*07.zip", 0, 403), "failed", "answered 403"),
        (Fault("busy", "*07.zip", 0, 9999), "failed", "9999 s"),
        (Fault("reset", "*07.zip", 0), "failed", "reset"),
        (Fault("truncated", "*07.zip", 0, 0), "failed", "broke off"),
        (Fault("checksum", "*07.zip", 0), "refused", "sha256"),
        (Fault("checksum", "*07.zip.CHECKSUM", 0), "refused", "0000"),
        (Fault("missing", "*07.zip.CHECKSUM", 0), "refused", "no .CHECKSUM"),
    ],
)
def test_one_that_stays_costs_its_own_day_and_is_told(
    tmp_path: Path, server: ArchiveServer, fault: Fault, state: str, why: str
) -> None:
    server.faults.add(fault)
    report = take(tmp_path, server, DAYS)
    assert states(report) == {
        "2025-01-06": "imported",
        "2025-01-07": state,
        "2025-01-08": "imported",
    }
    (bad,) = report.of(state)
    assert why in bad.why and not report.complete
    assert not any("2025-01-07" in path for path in rows_of(tmp_path))


def test_a_day_that_is_not_published_yet_is_told_with_its_hour(
    tmp_path: Path, server: ArchiveServer
) -> None:
    server.faults.add(Fault("missing", "*2026-01-14*", 0))
    asked = wish("2026-01-13", "2026-01-17")
    report = take(tmp_path, server, asked, now=datetime(2026, 1, 15, 8, 30, tzinfo=UTC))
    assert list(states(report).values()) == ["imported", "missing", "missing", "missing"]
    first, *others = (i.why for i in report.of("missing"))
    assert "not there yet" in first and "2026-01-15 about 08:00-09:00" in first
    assert all("not over" in why for why in others)
    assert server.count("2026-01-15.zip.CHECKSUM") == 0, "nobody asks for a day that is not over"


def test_a_month_without_a_file_comes_by_days(tmp_path: Path, server: ArchiveServer) -> None:
    server.faults.add(Fault("missing", "*monthly*", 0))
    report = take(tmp_path, server, wish("2025-02-01", "2025-03-01"))
    assert report.complete and len(report.items) == 28
    assert "there is no BTCUSDT-aggTrades-2025-02.zip" in report.items[0].notes[0]


def test_a_broken_month_is_not_even_asked_for(tmp_path: Path, server: ArchiveServer) -> None:
    report = take(tmp_path, server, wish("2023-11-01", "2023-12-01"))
    assert report.complete and len(report.items) == 30
    assert "#293" in report.items[0].notes[0]
    assert not any("monthly" in asked.path for asked in server.asked)


def test_rows_that_came_twice_are_kept_once_and_told(tmp_path: Path) -> None:
    file = daily("binance-um", "aggTrades", "BTCUSDT", date(2022, 9, 13))
    place = (tmp_path / "www" / file.path).with_suffix(".csv")
    place.parent.mkdir(parents=True)
    header, *rows = (SMALL.text(file) or "").splitlines()
    place.write_text(
        "\n".join([header, *(row for row in rows for _ in range(2))]) + "\n", encoding="utf-8"
    )
    with serve(tmp_path / "www") as server:
        (item,) = take(tmp_path / "log", server, wish("2022-09-13", "2022-09-14")).items
    assert (item.rows, item.added, item.duplicates) == (2 * N, N, N)
    assert any("#203" in note for note in item.notes)


def test_a_day_that_a_month_lacks_is_fetched_by_itself_or_told(tmp_path: Path) -> None:
    month = "data/futures/um/monthly/aggTrades/BTCUSDT/BTCUSDT-aggTrades-2023-03.csv"
    days = [daily("binance-um", "aggTrades", "BTCUSDT", date(2023, 3, d)) for d in range(1, 32)]
    texts = [SMALL.text(day) or "" for day in days]
    (tmp_path / "www" / month).parent.mkdir(parents=True)
    lacking = [t.split("\n", 1)[1] for d, t in enumerate(texts, start=1) if d not in (5, 31)]
    header = texts[0].split("\n", 1)[0]
    (tmp_path / "www" / month).write_text("\n".join([header, *lacking]), encoding="utf-8")
    (tmp_path / "www" / days[4].path).parent.mkdir(parents=True)
    (tmp_path / "www" / days[4].path).with_suffix(".csv").write_text(texts[4], encoding="utf-8")
    with serve(tmp_path / "www") as server:
        report = take(tmp_path / "log", server, wish("2023-03-01", "2023-04-01"))
        assert states(report) == {
            "2023-03": "imported",
            "2023-03-05": "imported",
            "2023-03-31": "missing",
        }
        assert "#243" in report.items[-1].why
        again = take(tmp_path / "log", server, wish("2023-03-01", "2023-04-01"))
        assert [i.state for i in again.items] == ["unchanged", "missing"]


def test_the_bar_that_ends_at_midnight_is_no_day(tmp_path: Path) -> None:
    month = "data/futures/um/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2024-02.csv"
    days = [daily("binance-um", "klines", "BTCUSDT", date(2024, 2, d)) for d in range(1, 29)]
    texts = [SMALL.text(day) or "" for day in days]
    (tmp_path / "www" / month).parent.mkdir(parents=True)
    header = texts[0].split("\n", 1)[0]
    bodies = [text.split("\n", 1)[1] for text in texts]
    (tmp_path / "www" / month).write_text("".join([header + "\n", *bodies]), encoding="utf-8")
    with serve(tmp_path / "www") as server:
        report = take(tmp_path / "log", server, wish("2024-02-01", "2024-03-01", "bar"))
    assert states(report) == {"2024-02": "imported", "2024-02-29": "missing"}


def test_a_file_that_was_replaced_is_fetched_again_and_told(tmp_path: Path) -> None:
    file = daily("binance-um", "aggTrades", "BTCUSDT", date(2025, 1, 6))
    place = (tmp_path / "www" / file.path).with_suffix(".csv")
    place.parent.mkdir(parents=True)
    lines = (SMALL.text(file) or "").splitlines(keepends=True)
    place.write_text("".join(lines[:-3]), encoding="utf-8")
    one = wish("2025-01-06", "2025-01-07")
    with serve(tmp_path / "www") as server:
        assert take(tmp_path / "log", server, one).items[0].added == N - 3
    place.write_text("".join(lines), encoding="utf-8")
    url = server.url.rpartition(":")[2]
    with serve(tmp_path / "www", port=int(url)) as server:
        (item,) = take(tmp_path / "log", server, one).items
    assert (item.state, item.added, item.duplicates) == ("imported", 3, N - 3)
    assert "replaced" in item.notes[0]


def test_a_day_that_left_the_log_is_fetched_again(tmp_path: Path, server: ArchiveServer) -> None:
    take(tmp_path, server, DAYS)
    (gone,) = tmp_path.glob("kind=trade/*/*/date=2025-01-07/*.parquet")
    gone.unlink()
    report = take(tmp_path, server, DAYS)
    assert states(report)["2025-01-07"] == "imported" and gone.is_file()
    assert "no longer has all of 2025-01-07" in report.of("imported")[0].notes[0]


def test_a_day_of_which_a_part_came_back_otherwise_is_fetched_again(
    tmp_path: Path, server: ArchiveServer
) -> None:
    from data.sources.importer import import_paths

    log = tmp_path / "log"
    take(log, server, DAYS)
    whole = rows_of(log)
    (gone,) = log.glob("kind=trade/*/*/date=2025-01-07/*.parquet")
    gone.unlink()
    lines = (SMALL.text(daily("binance-um", "aggTrades", "BTCUSDT", date(2025, 1, 7))) or "").split(
        "\n"
    )
    part = tmp_path / "part.csv"
    part.write_text("\n".join(lines[:9]) + "\n", encoding="utf-8")
    import_paths(LogStore(log), [part], venue="binance-um", symbol="BTCUSDT")
    report = take(log, server, DAYS)
    assert states(report)["2025-01-07"] == "imported"
    assert rows_of(log) == whole
    assert set(states(take(log, server, DAYS)).values()) == {"unchanged"}


@pytest.mark.parametrize("other", ["2025-02-09", ""])
def test_a_file_without_a_row_of_its_day_is_not_the_day(tmp_path: Path, other: str) -> None:
    file = daily("binance-um", "aggTrades", "BTCUSDT", date(2025, 1, 6))
    place = (tmp_path / "www" / file.path).with_suffix(".csv")
    place.parent.mkdir(parents=True)
    text = SMALL.text(daily(*AGG_TRADES, date.fromisoformat(other))) or "" if other else ""
    header = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker"
    place.write_text(text if other else f"{header}\n", encoding="utf-8")
    one = wish("2025-01-06", "2025-01-07")
    with serve(tmp_path / "www") as server:
        for fresh in (True, False):  # a second fetch says the same, and moves nothing
            report = take(tmp_path / "log", server, one)
            (item,) = report.items
            assert not report.complete and item.state == "missing"
            assert "no row of this day" in item.why
            assert bool(report.moved_bytes) == fresh


def test_a_dry_run_writes_nothing_into_the_log(tmp_path: Path, server: ArchiveServer) -> None:
    log = LogStore(tmp_path, create=True)
    (tmp_path / ".fetch").write_text("a file, so that no folder can be made", encoding="utf-8")
    report = fetch(log, DAYS, terms(server), now=NOW, dry_run=True)
    assert set(states(report).values()) == {"wanted"}
    assert [p.name for p in tmp_path.iterdir()] == [".fetch"]


def test_what_a_killed_fetch_left_of_a_file_is_removed(
    tmp_path: Path, server: ArchiveServer
) -> None:
    take(tmp_path, server, DAYS)
    left = tmp_path / ".fetch" / f"{AGG}2025-01-06.zip"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"killed between the log and the end of the file")
    assert take(tmp_path, server, DAYS).complete
    assert not (tmp_path / ".fetch").exists()


def test_folders_of_the_user_are_left_alone(tmp_path: Path, server: ArchiveServer) -> None:
    mine = tmp_path / "kept" / "data" / "mine" / "empty"
    mine.mkdir(parents=True)
    take(tmp_path / "log", server, DAYS, keep=tmp_path / "kept")
    assert mine.is_dir()


def test_transfers_are_concurrent_and_bounded(tmp_path: Path, server: ArchiveServer) -> None:
    server.faults.add(Fault("drip", "*.zip", 0, 4000))
    take(tmp_path, server, wish("2025-01-02", "2025-01-12"), jobs=3)
    assert server.busiest == 3


def test_the_rate_holds_for_all_transfers_together(tmp_path: Path) -> None:
    with serve() as server:
        began_s = time.monotonic()
        report = take(tmp_path, server, wish("2025-01-02", "2025-01-12"), bytes_per_s=60_000)
        took_s = time.monotonic() - began_s
    assert report.moved_bytes > 50_000
    assert took_s > 0.8 * report.moved_bytes / 60_000


def test_a_disk_that_is_too_small_is_told_before_anything_is_fetched(
    tmp_path: Path, server: ArchiveServer
) -> None:
    with pytest.raises(DataError, match="too little room"):
        take(tmp_path, server, DAYS, reserve_bytes=1 << 60)
    assert not rows_of(tmp_path)
    assert server.sent and all(path.endswith("CHECKSUM") for path in server.sent)


def test_nothing_reachable_is_an_error_of_the_network(tmp_path: Path) -> None:
    with serve(content=SMALL) as server:
        url = server.url
    with pytest.raises(NetworkError, match="did not answer") as caught:
        take(tmp_path, url, wish("2025-01-02", "2025-01-20"), retries=1)
    assert caught.value.exit_code == 5


def test_a_server_that_dies_is_not_asked_for_every_file(tmp_path: Path) -> None:
    with serve(content=SMALL, faults=[Fault("reset", "*.zip", 0, 0)]) as server:
        report = take(tmp_path, server, wish("2025-01-02", "2025-01-30"), retries=0)
    assert len(report.of("failed")) == 28
    assert any("not tried" in item.why for item in report.items)
    assert server.count(".zip", 200) < 28 + 12


def test_a_second_fetch_in_the_same_folder_is_refused(
    tmp_path: Path, server: ArchiveServer
) -> None:
    server.faults.add(Fault("drip", "*.zip", 0, 1500))
    first = threading.Thread(target=take, args=(tmp_path, server, DAYS))
    first.start()
    while not server.sent:
        time.sleep(0.01)
    with pytest.raises(LockedError, match="another ofs"):
        take(tmp_path, server, DAYS)
    first.join()
    assert len(rows_of(tmp_path)) == 3


def test_kept_files_are_those_of_the_archive_and_serve_again(
    tmp_path: Path, server: ArchiveServer, clean: dict[str, str]
) -> None:
    kept = tmp_path / "kept"
    take(tmp_path / "log", server, DAYS, keep=kept)
    assert len(list(kept.rglob("*.zip"))) == len(list(kept.rglob("*.CHECKSUM"))) == 3
    zipfile.ZipFile(kept / f"{AGG}2025-01-06.zip").close()
    with serve(kept) as second:
        assert take(tmp_path / "again", second, DAYS).complete
        assert rows_of(tmp_path / "again") == clean
        moved = take(tmp_path / "third", second, DAYS, keep=kept).moved_bytes
    assert moved == 0, "a kept file that is right is not fetched"


def test_several_symbols_and_kinds(tmp_path: Path, server: ArchiveServer) -> None:
    asked = wish("2024-02-28", "2024-03-02", "trade,bar,quote", "BTCUSDT ETHUSDT")
    report = take(tmp_path, server, asked)
    assert report.complete and len(report.items) == 2 * 3 * 3
    series = {(s.symbol, s.kind, s.rows) for s in LogStore(tmp_path).series()}
    kinds = ((Kind.TRADE, 3 * N), (Kind.QUOTE, 3 * N), (Kind.BAR, 3 * 1440))
    assert series == {(s, k, n) for s in ("BTCUSDT", "ETHUSDT") for k, n in kinds}


AGG_TRADES = ("binance-um", "aggTrades", "BTCUSDT")
BYBIT = Wish("bybit", ("BTCUSDT",), ("trade",), date(2025, 1, 6), date(2025, 1, 9))


@pytest.mark.parametrize("venue", ["bybit", "bybit-spot"])
@pytest.mark.parametrize("kind", ["truncated", "reset", "checksum", "status", "whole"])
def test_bybit_has_no_checksums_and_is_verified_by_its_crc(
    tmp_path: Path, server: ArchiveServer, venue: str, kind: str
) -> None:
    asked = replace(BYBIT, venue=venue)
    server.faults.add(Fault(kind, "*2025-01-07.csv.gz", 1))
    report = take(tmp_path, server, asked)
    assert report.complete and [i.rows for i in report.items] == [N, N, N]
    before = everything(tmp_path)
    again = take(tmp_path, server, asked)
    assert set(states(again).values()) == {"unchanged"} and again.moved_bytes == 0
    assert everything(tmp_path) == before and server.count("CHECKSUM") == 0


def test_a_bybit_file_that_is_damaged_is_refused_and_one_that_changed_is_fetched_again(
    tmp_path: Path,
) -> None:
    with serve(content=SMALL, faults=[Fault("checksum", "*01-07.csv.gz", 0)]) as server:
        report = take(tmp_path, server, BYBIT)
        assert list(states(report).values()) == ["imported", "refused", "imported"]
        assert "gzip stream is damaged" in report.of("refused")[0].why
        port = int(server.url.rpartition(":")[2])
    with serve(content=replace(SMALL, trades_a_day=N + 1), port=port) as server:
        report = take(tmp_path, server, BYBIT)
        assert list(states(report).values()) == ["imported"] * 3
        assert sum("replaced" in note for item in report.items for note in item.notes) == 2


@pytest.mark.parametrize(
    ("asked", "match"),
    [
        (Wish("kraken", ("X",), ("trade",), date(2025, 1, 1), date(2025, 1, 2)), "venue"),
        (Wish("bybit", ("X",), ("bar",), date(2025, 1, 1), date(2025, 1, 2)), "no bar"),
        (wish("2025-01-02", "2025-01-02"), "empty"),
        (wish("2025-01-01", "2025-01-02", "quote"), "no quotes of that time"),
        (
            Wish("binance-spot", ("X",), ("quote",), date(2024, 1, 1), date(2024, 1, 2)),
            "no quote in the archive of binance-spot",
        ),
    ],
)
def test_what_no_archive_has_is_an_error_of_use(asked: Wish, match: str) -> None:
    with pytest.raises(UsageError, match=match):
        check_wish(asked)


@given(
    st.dates(date(2022, 1, 1), date(2026, 12, 1)),
    st.integers(1, 200),
    st.booleans(),
    st.sampled_from(["trade", "bar", "quote"]),
)
def test_a_plan_covers_every_day_once_and_no_other(
    first: date, count: int, months: bool, kind: str
) -> None:
    asked = Wish("binance-um", ("A", "B"), (kind,), first, first + timedelta(count))
    units = plan(asked, "http://x/", NOW.date(), months=months)
    for symbol in asked.symbols:
        items = [i for u in units if u.symbol == symbol for i in u.items]
        days = [day for item in items for day in item.file.days()]
        assert days == list(days_between(asked.first, asked.stop))
        assert months or not any(i.file.monthly for i in items)
        assert all(i.file.last < NOW.date() for i in items if i.state == "wanted")


PASSING = st.builds(
    Fault,
    st.sampled_from(["status", "truncated", "reset", "checksum", "whole"]),
    st.sampled_from(["*06.zip", "*07.zip", "*08.zip", "*.zip", "*CHECKSUM", "*"]),
    st.integers(1, 2),
    st.sampled_from([-1, 0, 1, 500]),
).filter(lambda fault: fault.kind != "status" or fault.value in (-1, 500))


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(PASSING, max_size=4))
def test_any_mix_of_faults_gives_the_clean_log_or_says_what_lacks(
    tmp_path_factory: pytest.TempPathFactory, clean: dict[str, str], faults: list[Fault]
) -> None:
    folder = tmp_path_factory.mktemp("mix")
    with serve(content=SMALL, faults=faults) as server:
        report = take(folder, server, DAYS, retries=20, backoff_s=0.001)
        good = {path: digest for path, digest in clean.items() if path in rows_of(folder)}
        assert rows_of(folder) == good
        assert len(good) == len(report.of("imported"))
        server.faults.clear()
        assert take(folder, server, DAYS).complete
    assert rows_of(folder) == clean
