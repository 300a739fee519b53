"""The bars of a second series reach a fold as levels: in order, never early, and proved."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.errors import ConfigError, DataError
from data.events import REFERENCE, Kind, Scales
from data.log import LogStore
from data.runs import find_run
from data.sources.importer import import_paths
from engine.runtime.backtest import backtest
from engine.runtime.bench import _singles
from engine.runtime.bundle import write_bundle
from engine.runtime.compose import compose
from engine.runtime.fold import Fold
from engine.runtime.parameters import build, settle
from engine.runtime.replay import Request, open_reader, run
from engine.runtime.unbundle import unpacked
from engine.runtime.verify import verify
from tests.engine import level
from tests.engine.driving import Collect
from tests.engine.level import STRATEGY
from tests.engine.runtime.make_run import SYMBOL, VENUE, make_log
from tests.engine.tapes import START
from tests.shared import shared_data

S = 10**9
DAY = 86_400 * S
VIX = {"reference.vix": "cboe:VIX"}
ENDS = [START - 3 * DAY, START - 60 * S, START + 60 * S, START + 100 * S + 1, START + 105 * S]
CLOSES = [1650, 1724, 2513, 0, 3103]


def add_vix(store: LogStore, ends: list[int] = ENDS, closes: list[int] = CLOSES) -> None:
    n = len(ends)
    bars = {name: np.zeros(n, np.int64) for name in ("volume", "buy_volume", "trades", "id")}
    for name in ("open", "high", "low", "close"):
        bars[name] = np.array([max(c, 1) if name != "close" else c for c in closes], np.int64)
    bars["ts_ns"] = np.array(ends, np.int64)
    bars["interval_ns"] = np.full(n, 60 * S, np.int64)
    bars["open_ns"] = bars["ts_ns"] - 60 * S
    with store.transaction() as change:
        change.merge(Kind.BAR, "cboe", "VIX", bars, Scales(2, 0))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> LogStore:
    made = make_log(tmp_path_factory.mktemp("reference") / "log", seconds=240)
    add_vix(made)
    return made


def folded(store: LogStore, settings: dict[str, str] | None = None, **changes: Any) -> Any:
    sink = Collect()
    request = Request(
        STRATEGY, "level", VENUE, SYMBOL, settings=VIX if settings is None else settings, **changes
    )
    return run(store, request, sink), sink


def known_at(ts: int, latency: int = 0, age: int = 5 * DAY) -> int:
    """The last bar whose end was known before the boundary ``ts``, slowly."""
    before = [(end, c) for end, c in zip(ENDS, CLOSES, strict=True) if end + latency < ts]
    if not before or ts - before[-1][0] > age:
        return 0
    return before[-1][1] * 10**7


@pytest.mark.parametrize(("latency", "age"), [(0, 5 * DAY), (10 * S, 5 * DAY), (0, 20 * S)])
def test_a_bar_counts_from_its_end_and_until_it_is_old(
    store: LogStore, latency: int, age: int
) -> None:
    extra = {"reference.latency": f"{latency // S}s", "reference.age": f"{age // S}s"}
    _, sink = folded(store, VIX | extra)
    rows = sink.rows("decision")
    assert len(rows) > 40
    want = [known_at(int(ts), latency, age) for ts in rows["ts_ns"]]
    assert rows["plan"].tolist() == want
    assert rows["qty"].tolist() == [int(x > 0) for x in want]
    assert len(set(want)) > 2


def test_nothing_of_it_is_mixed_with_the_market(store: LogStore) -> None:
    """Decisions at the same times, at the same prices, over the same bars as without it."""
    with_, rows = folded(store)
    without, plain = folded(store, {})
    for name in ("ts_ns", "price", "events", "quality"):
        assert rows.rows("decision")[name].tolist() == plain.rows("decision")[name].tolist()
    assert with_.fold.events[Kind.BAR] == without.fold.events[Kind.BAR] > 0
    assert with_.fold.events[REFERENCE] == len(ENDS) and without.fold.events[REFERENCE] == 0
    assert (with_.from_ns, with_.to_ns) == (without.from_ns, without.to_ns)
    assert with_.scales == without.scales
    assert with_.content_hash != without.content_hash
    assert not plain.rows("decision")["plan"].any()


def test_cuts_change_nothing(store: LogStore) -> None:
    want = folded(store)
    for chunk_rows in (1, 7, 100):
        outcome, sink = folded(store, chunk_rows=chunk_rows)
        assert sink.digest.hexdigest() == want[1].digest.hexdigest()
        assert outcome.fold.state_digest() == want[0].fold.state_digest()


def test_step_is_the_fold(store: LogStore) -> None:
    """Event by event, as a live session would hear it."""
    c = compose(STRATEGY)
    values = settle(c, VIX)
    reader = open_reader(store, c, values, Request(STRATEGY, "level"), VENUE, SYMBOL)
    sink = Collect()
    fold = Fold(c, build(c, values, reader.scales), sink)
    for kind, row in _singles(reader):
        fold.step(kind, row)
    fold.finish()
    assert sink.digest.hexdigest() == folded(store)[1].digest.hexdigest()


def test_it_stands_in_the_one_total_order(store: LogStore) -> None:
    """Keys never fall, and a bar of one time with others comes last."""
    c = compose(STRATEGY)
    reader = open_reader(store, c, settle(c, VIX), Request(STRATEGY, "level"), VENUE, SYMBOL)
    seen: list[tuple[int, int]] = []
    for b in reader:
        at = dict.fromkeys(b.columns, 0)
        for kind, stop in zip(b.run_kind.tolist(), b.run_stop.tolist(), strict=True):
            label = REFERENCE if kind == REFERENCE else Kind(kind)
            ts = b.columns[label]["ts_ns"][at[label] : stop]
            seen += [(int(t), kind) for t in ts]
            at[label] = stop
    assert sum(kind == REFERENCE for _, kind in seen) == len(ENDS)
    assert all(a <= b for a, b in pairwise(seen) if REFERENCE in (a[1], b[1]))


def test_a_range_knows_what_was_known_before_it(store: LogStore) -> None:
    _, sink = folded(store, from_ns=START + 20 * S)
    first = sink.rows("decision")[0]
    assert first["plan"] == 1724 * 10**7
    _, sink = folded(store, to_ns=START + 50 * S)
    assert set(sink.rows("decision")["plan"].tolist()) == {1724 * 10**7}


def test_it_is_covered_by_hash_verify_and_bundle(store: LogStore, tmp_path: Path) -> None:
    request = Request(STRATEGY, "level", VENUE, SYMBOL, settings=VIX)
    content = backtest(store, str(store.storage.where), request, tmp_path / "runs")
    paths = [e["path"] for e in content["log"]["entries"]]
    assert sum("symbol=VIX" in p for p in paths) == len({e // DAY for e in ENDS})
    assert content["counts"]["references"] == len(ENDS)
    recorded = find_run(tmp_path / "runs", "last")
    assert verify(store, recorded, STRATEGY).ok
    done = write_bundle(recorded, store, Path(level.__file__), tmp_path / "run.zip")
    assert done.log_files == len(paths)
    with unpacked(tmp_path / "run.zip") as found:
        assert verify(LogStore(found.log), found.run, STRATEGY).ok
        other = LogStore(found.log)
        add_vix(other, [START + 70 * S], [9999])
        verdict = verify(other, found.run, STRATEGY)
        assert not verdict.ok and not verdict.log_ok and verdict.differences
        assert any("symbol=VIX" in note for note in verdict.notes)


def test_a_series_that_is_not_there_is_an_error(store: LogStore) -> None:
    with pytest.raises(DataError, match="no bar of cboe VVIX"):
        folded(store, {"reference.vix": "cboe:VVIX"})
    c = compose(STRATEGY)
    for text in ("cboe", "cboe:", ":VIX", "a:b:c"):
        with pytest.raises(ConfigError, match="venue:symbol"):
            build(c, settle(c, {"reference.vix": text}), Scales(1, 3))


MAPPING = """\
kind = "bar"
venue = "cboe"
symbol = "VIX"
interval = "1d"
[file]
separator = ","
decimal = "."
header = true
[time]
column = "DATE"
unit = "text"
order = "ymd"
zone = "UTC"
marks = "open"
[columns]
open = "OPEN"
high = "HIGH"
low = "LOW"
close = "CLOSE"
"""


def test_the_real_vix_through_import(tmp_path: Path) -> None:
    """2024-08-09 knows the close of the day before, 23.79, and not its own, 20.37."""
    lines = shared_data("vix/vix-daily.csv").read_text(encoding="utf-8").splitlines()
    august = [line for line in lines if line.startswith("2024-08-")]
    (tmp_path / "vix.csv").write_text("\n".join([lines[0], *august]) + "\n", encoding="utf-8")
    (tmp_path / "vix.toml").write_text(MAPPING, encoding="utf-8")
    store = make_log(tmp_path / "log", seconds=60)
    import_paths(store, [tmp_path / "vix.csv"], mapping=tmp_path / "vix.toml")
    _, sink = folded(store)
    assert set(sink.rows("decision")["plan"].tolist()) == {23_790_000_000}
