"""Two runs side by side: the first place where they part, named; the same where they do not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.errors import CorruptFileError, DataError
from data.events import RECORDS, OrderState
from data.runs import Run, find_run
from engine.runtime import diff as module
from engine.runtime.diff import RunDiff, diff_runs
from strategies.delta_flip import STRATEGY
from tests.engine.runtime.make_run import EAGER, make_log, make_run

Rows = dict[str, list[int]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of one kind, and a third with another threshold."""
    folder = tmp_path_factory.mktemp("made")
    store = make_log(folder / "log")
    for name in ("a", "b"):
        make_run(store, folder / "log", folder / name)
    more = {**EAGER, "entry_z": "1.5"}
    from engine.runtime.backtest import backtest
    from engine.runtime.replay import Request

    backtest(store, "log", Request(STRATEGY, "delta_flip", settings=more), folder / "c")
    return folder


@pytest.fixture
def runs(made: Path, tmp_path: Path) -> Path:
    for name in "abc":
        shutil.copytree(made / name, tmp_path / name)
    return tmp_path


def run(runs: Path, name: str) -> Run:
    return find_run(runs / name, "last")


def rewrite(run: Run, table: str, change: Callable[[Rows], Any]) -> None:
    file = run.file(table)
    old = pq.read_table(file)
    rows = old.to_pydict()
    change(rows)
    pq.write_table(pa.table(rows, schema=old.schema), file)


def compare(runs: Path, a: str = "a", b: str = "b") -> RunDiff:
    return diff_runs(run(runs, a), run(runs, b))


def add_one(column: str, row: int) -> Callable[[Rows], None]:
    def change(rows: Rows) -> None:
        rows[column][row] += 1

    return change


def test_two_runs_of_one_kind_are_the_same(runs: Path) -> None:
    found = compare(runs)
    assert found.same and found.first is None and found.act is None
    wanted = ["decision", "signal", "intent", "order", "fill", "position", "equity"]
    assert list(found.tables) == wanted
    assert all(t.rows[0] == t.rows[1] for t in found.tables.values())
    assert found.tables["decision"].rows[0] > 50 and found.tables["fill"].rows[0] > 5
    counted = {(f.group, f.name): f for f in found.facts if f.group in ("digests", "log")}
    assert len(counted) == 3 and all(f.same for f in counted.values())


def test_another_threshold_is_found_in_decisions_and_facts(runs: Path) -> None:
    found = compare(runs, "a", "c")
    first = found.first
    assert first is not None and first.table == "decision" and not found.same
    values = {v.field: v for v in first.values}
    assert {v.field for v in first.values if v.differs} >= {"score"}
    assert isinstance(values["score"].left, float)
    act = found.act or first
    acted = {v.field: v for v in act.values}
    assert acted["action"].differs and acted["action"].left != acted["action"].right
    names = set(run(runs, "a").manifest["gates"])
    assert set(acted["gates"].left) | set(acted["blocked"].left) <= names
    assert acted["gates"].left != acted["gates"].right
    # the signals at that decision, by the detector's name
    detectors = run(runs, "a").manifest["detectors"]
    assert act.signals[0] and act.signals[0][0]["detector"] in detectors
    assert act.id == act.decision == act.row + 1
    params = [f for f in found.facts if f.group == "params" and not f.same]
    assert [(f.name, f.left, f.right) for f in params] == [("entry_z", "0.5", "1.5")]
    assert [f.same for f in found.facts if f.group == "log"] == [True]
    assert {f.name for f in found.facts if f.group == "digests" and not f.same} == {
        "digest", "state_digest",
    }  # fmt: skip


def test_the_act_is_the_first_that_decided_something_else(runs: Path) -> None:
    rewrite(run(runs, "b"), "decisions", add_one("delta", 7))
    rewrite(run(runs, "b"), "decisions", add_one("action", 20))
    found = compare(runs)
    assert found.first is not None and found.act is not None
    assert (found.first.row, found.act.row) == (7, 20)
    assert [v.field for v in found.act.values if v.differs] == ["action"]
    assert "gates" in {v.field for v in found.act.values}


@pytest.mark.parametrize(
    ("view", "table", "column"),
    [("orders", "order", "filled_qty"), ("fills", "fill", "fee"), ("positions", "position", "qty"),
     ("equity", "equity", "drawdown"), ("signals", "signal", "value_fp9")],
)  # fmt: skip
def test_the_first_difference_where_decisions_agree(
    runs: Path, view: str, table: str, column: str
) -> None:
    rewrite(run(runs, "b"), view, add_one(column, 2))
    rewrite(run(runs, "b"), view, add_one(column, 4))
    found = compare(runs)
    assert found.tables["decision"].first is None and found.first is not None
    assert (found.first.table, found.first.row, found.first.missing) == (table, 2, "")
    shown = column.removesuffix("_fp9")
    assert [v.field for v in found.first.values if v.differs] == [shown]
    others = [t for n, t in found.tables.items() if n != table]
    assert all(t.first is None for t in others)


def test_a_run_that_goes_on(runs: Path) -> None:
    def cut(rows: Rows) -> None:
        for values in rows.values():
            del values[30:]

    rewrite(run(runs, "b"), "decisions", cut)
    for a, b, side in (("a", "b", "right"), ("b", "a", "left")):
        first = compare(runs, a, b).first
        assert first is not None and (first.row, first.id, first.missing) == (30, 31, side)
        assert all((v.left is None) == (side == "left") for v in first.values)
    rewrite(run(runs, "b"), "decisions", lambda rows: [v.clear() for v in rows.values()])
    found = compare(runs)
    assert found.first is not None and found.first.row == 0
    assert found.tables["decision"].rows[1] == 0


def test_portions_do_not_matter(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rewrite(run(runs, "b"), "decisions", add_one("delta", 41))
    whole = compare(runs)
    monkeypatch.setattr(module, "PORTION", 7)
    assert compare(runs) == whole
    assert whole.first is not None and whole.first.row == 41


def test_runs_with_other_scales_are_compared_by_value(runs: Path) -> None:
    """The second run's log knew one decimal more: every price is ten times as large."""
    other = run(runs, "b")
    for table in RECORDS.values():
        priced = [f.name for f in table.fields if f.unit == "price"]

        def raise_prices(rows: Rows, priced: list[str] = priced) -> None:
            for name in priced:
                rows[name] = [value * 10 for value in rows[name]]

        rewrite(other, table.view, raise_prices)
    manifest = {**other.manifest, "price_scale": other.manifest["price_scale"] + 1}
    (other.folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    assert compare(runs).same
    rewrite(run(runs, "b"), "fills", add_one("price", 1))
    first = compare(runs).first
    assert first is not None and first.table == "fill" and first.row == 1
    (price,) = [v for v in first.values if v.differs]
    assert round(price.right - price.left, 9) == 0.01


def test_columns_that_an_older_run_lacks_are_told(runs: Path) -> None:
    file = run(runs, "b").file("fills")
    pq.write_table(pq.read_table(file).drop_columns(["queue_ahead", "model"]), file)
    found = compare(runs)
    assert found.same
    assert found.tables["fill"].not_compared == ("queue_ahead", "model")


def test_enums_and_times_are_shown_as_words(runs: Path) -> None:
    def change(rows: Rows) -> None:
        rows["state"][0] = int(OrderState.REJECTED)

    rewrite(run(runs, "b"), "orders", change)
    first = compare(runs).first
    assert first is not None
    values = {v.field: v for v in first.values}
    assert (values["state"].left, values["state"].right) == ("FILLED", "REJECTED")
    assert values["ts_ns"].left.startswith("2024-08-09T13:") and not values["ts_ns"].differs


def test_unknown_gates_are_shown_as_bits(runs: Path) -> None:
    rewrite(run(runs, "b"), "decisions", lambda rows: rows["gates"].__setitem__(3, 1 << 40 | 1))
    first = compare(runs).first
    assert first is not None
    gates = next(v for v in first.values if v.field == "gates").right
    assert gates == [run(runs, "b").manifest["gates"][0], f"bits {1 << 40:#x}"]


def test_runs_that_cannot_be_compared(runs: Path) -> None:
    run(runs, "b").file("fills").write_bytes(b"PAR1")
    with pytest.raises(CorruptFileError, match="a table of the run cannot be read"):
        compare(runs)
    run(runs, "b").file("fills").unlink()
    with pytest.raises(DataError, match="a table of the run is missing"):
        compare(runs)
    bare = Run("x", runs, {})
    with pytest.raises(DataError, match="names no scales"):
        diff_runs(bare, run(runs, "a"))
