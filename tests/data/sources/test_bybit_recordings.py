"""The real Bybit recordings of 2021, to the last trade and level, against another reading."""

from __future__ import annotations

import json
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.events import Kind
from data.ids import OPAQUE_ID, opaque_id
from data.log.checks import check_log
from tests.data.sources.bybit_feed import Run
from tests.data.sources.imported import Imported
from tests.shared import shared_data

LINEAR, INVERSE = "bybit/BYBIT.ws.25.0.txt", "bybit/BYBIT_inverse.ws.26.0.txt"
TICKS = {"PlusTick": 2, "ZeroPlusTick": 1, "ZeroMinusTick": -1, "MinusTick": -2}


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Imported:
    made = Imported(tmp_path_factory.mktemp("bybit"))
    made.take("linear", shared_data(LINEAR), levels=25, cadence_ns=0)
    made.take("inverse", shared_data(INVERSE), levels=25, cadence_ns=0)
    return made


def messages(path: str) -> list[tuple[float, dict[str, Any]]]:
    """(local time, message) of every line of a topic, numbers as decimals."""
    found = []
    for line in shared_data(path).read_text(encoding="utf-8").splitlines():
        if line[:1].isdigit():
            local, _, payload = line.partition(": ")
            message = json.loads(payload, parse_float=Decimal)
            if "topic" in message:
                found.append((float(local), message))
    return found


@pytest.mark.parametrize(
    ("name", "trades", "snapshots", "deltas", "answers"),
    [("linear", 101, 8, 3_252, 16), ("inverse", 150, 2, 1_016, 4)],
)
def test_real_counts(
    real: Imported, name: str, trades: int, snapshots: int, deltas: int, answers: int
) -> None:
    report = real.reports[name]
    (file,) = report.files
    assert file.rows["trade"] == trades
    assert (file.snapshots, file.snapshots_used) == (snapshots, snapshots)
    assert (file.diffs, file.diffs_applied) == (deltas, deltas)
    assert (file.sequence_breaks, file.restarts, file.crossed_books) == (0, 0, 0)
    assert not file.rejected
    assert file.skipped["answer"] == answers
    assert file.added == file.rows.total()
    assert file.rows.keys() == {"trade", "depth"}, "no gaps"


@pytest.mark.parametrize("path", [LINEAR, INVERSE])
def test_real_trades_are_those_of_the_file(real: Imported, path: str) -> None:
    wanted: dict[str, list[tuple[Any, ...]]] = {}
    for local, message in messages(path):
        if not message["topic"].startswith("trade."):
            continue
        for t in message["data"]:
            wanted.setdefault(t["symbol"], []).append((
                int(t["trade_time_ms"]) * 10**6, round(local * 1e6), opaque_id(t["trade_id"]),
                Decimal(str(t["price"])), Decimal(str(t["size"])),
                {"Buy": 1, "Sell": -1}[t["side"]], TICKS[t["tick_direction"]],
            ))  # fmt: skip
    for symbol, trades in wanted.items():
        got = real.rows(Kind.TRADE, "bybit", symbol)
        price, qty = int(got["price_scale"]), int(got["qty_scale"])
        rows = zip(
            got["ts_ns"].tolist(),
            np.round(got["recv_ns"] / 1e3).astype(int).tolist(),
            got["id"].tolist(),
            [Decimal(v).scaleb(-price) for v in got["price"].tolist()],
            [Decimal(v).scaleb(-qty) for v in got["qty"].tolist()],
            got["side"].tolist(),
            got["tick"].tolist(),
            strict=True,
        )
        # line by line, and within a line in the order of the message
        assert list(rows) == trades, symbol
    assert sum(map(len, wanted.values())) == {LINEAR: 101, INVERSE: 150}[path]


@pytest.mark.parametrize("path", [LINEAR, INVERSE])
def test_real_books_are_those_of_another_reading(real: Imported, path: str) -> None:
    """Every state after every message, against a book kept in plain dictionaries."""
    books: dict[str, dict[tuple[str, Decimal], Decimal]] = {}
    wanted: dict[str, list[tuple[list[Decimal], ...]]] = {}
    for _, message in messages(path):
        name, _, symbol = message["topic"].partition(".")
        if name != "orderBookL2_25":
            continue
        data = message["data"]
        if message["type"] == "snapshot":
            levels = data if isinstance(data, list) else data["order_book"]
            books[symbol] = {}
        else:
            levels = data["update"] + data["insert"]
            for gone in data["delete"]:
                del books[symbol][gone["side"], Decimal(str(gone["price"]))]
        for level in levels:
            price = Decimal(str(level["price"]))
            books[symbol][level["side"], price] = Decimal(str(level["size"]))
        state = books[symbol]
        bids = sorted((p for s, p in state if s == "Buy"), reverse=True)
        asks = sorted(p for s, p in state if s == "Sell")
        row = (bids, [state["Buy", p] for p in bids], asks, [state["Sell", p] for p in asks])
        wanted.setdefault(symbol, []).append(row)
    for symbol, states in wanted.items():
        got = real.rows(Kind.DEPTH, "bybit", symbol)
        columns = []
        for side in ("bid", "ask"):
            offsets = got[f"{side}_offsets"].tolist()
            for what in ("price", "qty"):
                scale = int(got[f"{what}_scale"])
                values = [Decimal(v).scaleb(-scale) for v in got[f"{side}_{what}"].tolist()]
                cuts = pairwise(offsets)
                columns.append([values[a:b] for a, b in cuts])
        assert list(zip(*columns, strict=True)) == states, symbol
    assert len(books) == {LINEAR: 8, INVERSE: 2}[path]


def test_uuids_make_no_gaps_and_importing_twice_changes_nothing(real: Imported) -> None:
    assert list(check_log(real.store)) == []
    assert all(s.gaps == 0 for s in real.store.series())
    ids = real.rows(Kind.TRADE, "bybit", "BTCUSD")["id"]
    assert (ids >= OPAQUE_ID).all()
    assert len(np.unique(ids)) == 131
    before = real.digest()
    again = real.take("again", shared_data(LINEAR), levels=25, cadence_ns=0)
    assert (again.total("added"), again.total("conflicts")) == (0, 0)
    assert again.total("duplicates") == again.counted("rows").total()
    assert real.digest() == before


def test_overlapping_recordings_merge_to_one(real: Imported, tmp_path: Path) -> None:
    """Two recorders of the same minute, one of which began later and went on longer."""
    lines = shared_data(INVERSE).read_text(encoding="utf-8").splitlines(keepends=True)
    starts = [i for i, line in enumerate(lines) if '"type":"snapshot"' in line]
    (tmp_path / "a.txt").write_text("".join(lines[:800]), encoding="utf-8")
    later = lines[starts[0] : starts[-1] + 1] + lines[500:]
    (tmp_path / "b.txt").write_text("".join(later), encoding="utf-8")
    made = Imported(tmp_path / "log")
    report = made.take("x", tmp_path / "a.txt", tmp_path / "b.txt", levels=25, cadence_ns=0)
    assert report.total("sequence_breaks") == report.total("restarts") == 0
    assert report.total("duplicates") > 0
    for symbol in ("BTCUSD", "EOSUSD"):
        for kind, names in ((Kind.TRADE, ("id", "price", "qty")), (Kind.DEPTH, ("id", "bid_qty"))):
            one, two = (m.rows(kind, "bybit", symbol) for m in (real, made))
            assert all(np.array_equal(one[n], two[n]) for n in names)


def test_a_lost_delta_of_the_old_feed_is_noticed(tmp_path: Path) -> None:
    """v2 has no update ids; the levels betray a loss soon after. Nothing wrong is ever shown."""
    lines = shared_data(INVERSE).read_text(encoding="utf-8").splitlines()
    kept = [x for x in lines if "orderBookL2_25.BTCUSD" in x]
    whole = Run(kept)
    truth = set(map(str, whole.rows(Kind.DEPTH, "id", "bid_price", "ask_price")))
    noticed = 0
    for lost in range(10, 110, 10):
        assert '"insert":[' in kept[lost]
        run = Run(kept[:lost] + kept[lost + 1 :])
        breaks = run.parser.counts.books["BTCUSD orderBookL2_25"].sequence_breaks
        noticed += breaks
        wrong = [
            row
            for row in run.rows(Kind.DEPTH, "id", "bid_price", "ask_price")
            if str(row) not in truth
        ]
        assert breaks or not wrong, "a loss that changed the levels went unnoticed"
    assert noticed >= 3
