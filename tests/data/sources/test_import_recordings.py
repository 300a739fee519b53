"""The real recordings, with the exact counts that were taken from them by other means."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from data.events import GapReason, Kind
from data.sources.chunks import Chunk, concat
from data.sources.opening import Reader, members_of
from data.sources.recording import RecordingParser, Session
from data.sources.rejects import Rejects
from tests.data.sources.imported import GROUPS, Imported, group
from tests.shared import shared_data

MARKET = {"um": ("binance-um", "BTCUSDT"), "sp": ("binance-spot", "BTCUSDT")}
MARKET |= {"ne": ("binance-spot", "NEXOUSDT")}

# lines, trades, diffs, quotes, marks, snapshots, diffs applied: data/README.md of the recordings
COUNTS = {
    "um2023": (73_765, 12_935, 16_110, 44_205, 514, 1, 16_110),
    "um0718": (71_984, 10_701, 9_022, 52_260, 0, 1, 9_017),
    "um0808": (93_954, 21_313, 6_551, 66_089, 0, 1, 6_547),
    "spot2023": (15_088, 3_144, 3_929, 8_015, 0, 0, 0),
    "spot0808": (41_249, 9_757, 3_451, 28_040, 0, 1, 3_449),
    "nexo": (114_078, 12_458, 68_182, 33_437, 0, 1, 68_182),
}
SYNCED = [name for name in COUNTS if COUNTS[name][5]]


@pytest.mark.parametrize("name", COUNTS)
def test_counts(recordings: Imported, name: str) -> None:
    report = recordings.reports[name]
    lines, trades, diffs, quotes, marks, snapshots, applied = COUNTS[name]
    rows, rejected = report.counted("rows"), report.counted("rejected")
    assert report.total("lines") == lines
    assert rows["trade"] + rejected["not_market"] == trades
    assert rejected == ({"not_market": 1} if name == "um2023" else {})
    assert report.total("diffs") == diffs
    assert rows["quote"] == quotes
    assert rows["mark"] == marks
    assert report.total("snapshots") == report.total("snapshots_used") == snapshots
    assert report.total("diffs_applied") == applied
    assert report.total("sequence_breaks") == report.total("crossed_books") == 0
    assert report.total("restarts") == report.total("out_of_order") == 0
    assert report.total("added") == rows.total()
    assert lines == trades + diffs + quotes + marks + snapshots


@pytest.mark.parametrize("name", SYNCED)
def test_books_are_sorted_and_never_crossed(recordings: Imported, name: str) -> None:
    report = recordings.reports[name]
    venue, symbol = MARKET[name[:2]]
    files = report.files
    span = {"from_ns": files[0].from_ns, "to_ns": files[-1].to_ns + 1}
    depth = recordings.rows(Kind.DEPTH, venue, symbol, **span)
    n = len(depth["ts_ns"])
    assert n == report.counted("rows")["depth"]
    for side, step in (("bid", -1), ("ask", 1)):
        sizes = np.diff(depth[f"{side}_offsets"])
        assert sizes.min() > 0
        assert sizes.max() == 20
        inner = np.ones(len(depth[f"{side}_price"]), dtype=bool)
        inner[depth[f"{side}_offsets"][:-1]] = False
        steps = np.diff(depth[f"{side}_price"], prepend=0)[inner] * step
        assert steps.min() > 0
        assert depth[f"{side}_qty"].min() > 0
    best_bid = depth["bid_price"][depth["bid_offsets"][:-1]]
    best_ask = depth["ask_price"][depth["ask_offsets"][:-1]]
    assert (best_bid < best_ask).all()
    assert (np.diff(depth["id"]) > 0).all()
    slots = depth["ts_ns"] // 100_000_000
    assert (np.diff(slots) > 0).all(), "more than one book in a slot"


def every_state(name: str) -> tuple[Chunk, Chunk]:
    """(best level after every diff, all quotes) of a group, straight from the parser.

    ``lines`` counts on over the files of the group.
    """
    venue, symbol = MARKET[name[:2]]
    session = Session(levels=1, cadence_ns=0)
    found: dict[Kind, list[Chunk]] = {}
    for number, path in enumerate(group(name)):
        parser = RecordingParser(venue, symbol, session, Rejects("x", lambda *_: None))
        for block in Reader(members_of(path)[0]).blocks():
            for key, chunk in parser.parse(block):
                chunk.lines = chunk.lines + number * 1_000_000
                found.setdefault(key[0], []).append(chunk)
    return concat(found[Kind.DEPTH]), concat(found[Kind.QUOTE])


def best(depth: Chunk) -> Iterator[np.ndarray]:
    """Best bid, its size, best ask, its size."""
    for name in ("bid_price", "bid_qty", "ask_price", "ask_qty"):
        column = depth.columns[name]
        assert isinstance(column, tuple)
        yield column[0][column[1][:-1]]


@pytest.mark.parametrize(
    ("name", "matches", "at_once"),
    [("um0718", 625, 106), ("um0808", 629, 126), ("nexo", 12_198, 80)],
)
def test_best_prices_equal_the_book_ticker_of_the_same_update(
    name: str, matches: int, at_once: int
) -> None:
    depth, quotes = every_state(name)
    assert len(depth) == COUNTS[name][6]
    _, in_depth, in_quotes = np.intersect1d(
        depth.array("id"), quotes.array("id"), return_indices=True
    )
    assert len(in_depth) == matches
    # those of them that came while the diff was the last one applied
    last = np.searchsorted(depth.lines, quotes.lines[in_quotes]) - 1
    assert int((last == in_depth).sum()) == at_once
    assert depth.scales == quotes.scales
    for ours, theirs in zip(best(depth), ("bid", "bid_qty", "ask", "ask_qty"), strict=True):
        assert np.array_equal(ours[in_depth], quotes.array(theirs)[in_quotes])


def test_a_slot_keeps_the_last_state_in_it(recordings: Imported) -> None:
    every, _ = every_state("um0808")
    span = {"from_ns": 1_723_161_255_000_000_000}
    stored = recordings.rows(Kind.DEPTH, *MARKET["um"], **span)
    slots = every.array("ts_ns") // 100_000_000
    last = np.flatnonzero(np.append(slots[1:] != slots[:-1], False))
    for name in ("id", "ts_ns", "recv_ns", "seq"):
        assert np.array_equal(every.array(name)[last], stored[name])
    assert np.array_equal(next(best(every))[last], stored["bid_price"][stored["bid_offsets"][:-1]])


def test_arrival_is_the_line_and_the_local_time(recordings: Imported) -> None:
    trades = recordings.rows(Kind.TRADE, "binance-spot", "NEXOUSDT")
    assert (np.diff(trades["recv_ns"]) >= 0).all()
    assert (trades["recv_ns"] % 1_000 == 0).all()  # this recorder wrote microseconds
    assert (np.diff(trades["id"]) == 1).all()
    second = np.flatnonzero(trades["recv_ns"] > 1_721_750_401_000_000_000)[0]
    assert (np.diff(trades["seq"][:second]) > 0).all()
    assert (np.diff(trades["seq"][second:]) > 0).all()
    assert trades["seq"][second] < trades["seq"][second - 1], "a file counts its own lines"


def test_spot_quotes_are_dated_by_the_recorder(recordings: Imported) -> None:
    spot = recordings.rows(Kind.QUOTE, "binance-spot", "NEXOUSDT")
    assert np.array_equal(spot["ts_ns"], spot["recv_ns"])
    um = recordings.rows(Kind.QUOTE, "binance-um", "BTCUSDT")
    assert (um["ts_ns"] % 1_000_000 == 0).all()


def test_scales_are_the_smallest(recordings: Imported) -> None:
    wanted = {
        ("binance-um", "BTCUSDT"): (1, 3),
        ("binance-spot", "BTCUSDT"): (2, 5),
        ("binance-spot", "NEXOUSDT"): (3, 2),
    }
    kinds = (Kind.TRADE, Kind.QUOTE, Kind.DEPTH)
    for entry in recordings.store.catalogue().entries:
        if entry.kind in kinds:
            scales = (entry.scales.price, entry.scales.qty)
            assert scales == wanted[entry.venue, entry.symbol], entry.path


def test_marks_are_rounded_to_the_price_scale(recordings: Imported) -> None:
    marks = recordings.rows(Kind.MARK, "binance-um", "BTCUSDT")
    assert marks["price_scale"] == 1
    assert 281_000 < marks["mark"].min() <= marks["mark"].max() < 282_000
    assert (marks["next_funding_ns"] % (8 * 3600 * 10**9) == 0).all()
    first = json.loads(next(x for x in _text("um2023") if b"markPrice" in x).partition(b" ")[2])[
        "data"
    ]
    assert marks["mark"][0] == round(float(first["p"]) * 10)
    assert marks["funding_fp9"][0] == round(float(first["r"]) * 10**9)


def _text(name: str) -> list[bytes]:
    return b"".join(Reader(members_of(group(name)[0])[0]).blocks()).split(b"\n")


def test_the_insurance_fund_print_is_kept_beside_the_log(recordings: Imported) -> None:
    (name,) = recordings.reports["um2023"].rejects
    (record,) = map(json.loads, (recordings.folder / name).read_text(encoding="utf-8").splitlines())
    assert record["file"] == "btcusdt_20230405.dat.gz"
    assert record["reason"] == "not_market"
    assert '"t":3535191080' in record["raw"]
    lines = b"".join(Reader(members_of(group("um2023")[1])[0]).blocks()).split(b"\n")
    assert lines[record["line"] - 1].decode() == record["raw"]


def test_a_recording_without_a_snapshot_has_no_book_and_says_so(recordings: Imported) -> None:
    (file,) = recordings.reports["spot2023"].files
    assert "no REST snapshot" in file.notes[0]
    assert file.rows["depth"] == 0
    gaps = recordings.rows(Kind.GAP, "binance-spot", "BTCUSDT")
    assert gaps["reason"].tolist() == [GapReason.NO_SNAPSHOT]
    assert gaps["stream"].tolist() == [Kind.DEPTH]
    assert gaps["from_ns"][0] < gaps["to_ns"][0] == gaps["ts_ns"][0]


def test_no_gap_is_said_where_there_is_none(recordings: Imported) -> None:
    entries = [e for e in recordings.store.catalogue().entries if e.kind == Kind.GAP]
    assert [(e.venue, e.date) for e in entries] == [("binance-spot", "2023-04-05")]


def test_several_symbols_in_one_recording(tmp_path: Path) -> None:
    made = Imported(tmp_path / "log")
    report = made.take("x", shared_data("bybit/BINANCE_FUTURES.ws.1.0.txt"))
    (file,) = report.files
    assert dict(file.rows) == {"trade": 91, "quote": 613, "bar": 4, "gap": 4}
    assert file.skipped == {"control line": 1, "open kline": 63}
    assert (file.diffs, file.diffs_applied, file.sequence_breaks) == (764, 0, 0)
    assert len(file.notes) == 4
    trades = {s: made.rows(Kind.TRADE, "binance-um", s) for s in
              ("SUSHIUSDT", "AKROUSDT", "KEEPUSDT", "CTKUSDT")}  # fmt: skip
    assert {s: len(t["id"]) for s, t in trades.items()} == {
        "SUSHIUSDT": 40, "AKROUSDT": 8, "KEEPUSDT": 5, "CTKUSDT": 38,
    }  # fmt: skip
    assert all((np.diff(t["id"]) == 1).all() for t in trades.values())
    bars = made.rows(Kind.BAR, "binance-um", "SUSHIUSDT")
    assert bars["interval_ns"].tolist() == [60 * 10**9]
    assert (bars["ts_ns"] % (60 * 10**9) == 0).all()


def test_every_group_is_known() -> None:
    assert set(COUNTS) == set(GROUPS)
