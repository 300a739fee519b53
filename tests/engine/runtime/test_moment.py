"""A fold stopped at a decision is where the run was then."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import replays
from data.errors import DataError
from data.events import RECORDS
from data.log import LogStore
from engine.runtime.moment import first_rows, moment
from engine.runtime.records import packed
from engine.runtime.replay import Request, run
from strategies import get

STEP_NS = 5_000_000_000


class Kept:
    """A sink that keeps decisions and signals."""

    def __init__(self) -> None:
        self.rows: dict[str, list[np.ndarray]] = {"decision": [], "signal": []}

    def take(self, name: str, rows: np.ndarray) -> None:
        if name in self.rows:
            self.rows[name].append(rows)


@pytest.fixture(scope="module")
def store() -> LogStore:
    return LogStore(str(replays.path()))


@pytest.fixture(scope="module")
def whole(store: LogStore) -> dict[str, np.ndarray]:
    kept = Kept()
    run(store, Request(get("delta_flip"), "delta_flip"), kept)
    return {name: np.concatenate(parts) for name, parts in kept.rows.items()}


@pytest.mark.parametrize("chunk", [1_000, 65_536])
@pytest.mark.parametrize("share", [0.0, 0.31, 0.77, 0.999])
def test_the_decision_is_that_of_the_run(
    store: LogStore, whole: dict[str, np.ndarray], chunk: int, share: float
) -> None:
    decisions, signals = whole["decision"], whole["signal"]
    wanted = decisions[int(share * len(decisions)) : int(share * len(decisions)) + 1]
    at = int(wanted["ts_ns"][0])
    request = Request(get("delta_flip"), "delta_flip", chunk_rows=chunk)
    found = moment(store, request, at + STEP_NS - 1)
    assert found.ts_ns == at
    assert packed(RECORDS["decision"], found.decision) == packed(RECORDS["decision"], wanted)
    same = signals[signals["ts_ns"] == at]
    assert packed(RECORDS["signal"], found.signals) == packed(RECORDS["signal"], same)


def test_before_the_first_decision_there_is_none(store: LogStore) -> None:
    with pytest.raises(DataError, match="no decision"):
        moment(store, Request(get("delta_flip"), "delta_flip"), 1_767_614_400_000_000_001)


class Runs:
    """What :func:`first_rows` reads of a batch."""

    run_kind = np.array([4, 6, 4, 4], dtype=np.int8)
    run_stop = np.array([3, 2, 4, 9], dtype=np.int64)


@pytest.mark.parametrize(
    ("rows", "want"),
    [(0, []), (2, [(4, 2)]), (3, [(4, 3)]), (4, [(4, 3), (6, 1)]), (6, [(4, 3), (6, 2), (4, 4)]),
     (8, [(4, 3), (6, 2), (4, 4), (4, 6)])],
)  # fmt: skip
def test_the_first_rows_of_a_batch(rows: int, want: list[tuple[int, int]]) -> None:
    kinds, stops = first_rows(Runs(), rows)  # type: ignore[arg-type]
    assert list(zip(kinds.tolist(), stops.tolist(), strict=True)) == want


def test_the_log_is_left_alone(store: LogStore, tmp_path: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in replays.path().rglob("*")}
    moment(store, Request(get("delta_flip"), "delta_flip"), 1_767_620_000_000_000_000)
    assert {p: p.stat().st_mtime_ns for p in replays.path().rglob("*")} == before
