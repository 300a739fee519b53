"""Measures this machine: decoding, the whole way from Parquet to records, and one step.

Owns the measurements behind the published ratios. Each pair of figures is taken in turn in one
process, several times, and the median ratio is reported, because absolute times of a shared
machine drift. The baseline decodes the very same columns of the very same files with pyarrow on
one thread and does nothing with them. It refuses to judge.
"""

from __future__ import annotations

import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from data.errors import DataError
from data.events import REFERENCE, Kind
from data.log import LogReader, LogStore
from data.log.files import FileReader
from data.series import pick_series
from engine.kernel.events import READ_COLUMNS
from engine.runtime.compose import compose
from engine.runtime.fold import Fold, event_columns
from engine.runtime.parameters import build, settle
from engine.runtime.records import RunSink
from engine.runtime.replay import Request, open_reader, run
from engine.runtime.strategy import Strategy
from engine.runtime.usage import Stopwatch, peak_rss_mb

STEP_BLOCK = 4_096


class _Nothing:
    """A sink that forgets."""

    def take(self, name: str, rows: np.ndarray) -> None:
        """Forget ``rows``."""


def decode(store: LogStore, venue: str, symbol: str, kinds: Sequence[Kind]) -> int:
    """Decode the fold's columns of ``kinds`` on one thread with pyarrow alone; returns the rows."""
    rows = 0
    for entry in store.catalogue().entries:
        if (entry.venue, entry.symbol) != (venue, symbol) or entry.kind not in kinds:
            continue
        with store.storage.open_input(entry.file) as source:
            groups = FileReader(source, entry.file, entry.share).numbers
            file = pq.ParquetFile(source)
            columns = list(READ_COLUMNS[entry.kind])
            for group in groups:
                # a row group at a time: for list columns half the time of iter_batches
                rows += file.read_row_group(group, columns=columns, use_threads=False).num_rows
    return rows


def whole_way(store: LogStore, request: Request) -> int:
    """From Parquet to written records, as ``ofs backtest`` does it; returns the events folded."""
    with tempfile.TemporaryDirectory() as folder:
        sink = RunSink(Path(folder))
        outcome = run(store, request, sink)
        sink.close()
    return sum(outcome.fold.events.values())


def pairs(a: Callable[[], int], b: Callable[[], int], rounds: int) -> dict[str, float]:
    """Run ``a`` and ``b`` in turn ``rounds`` times after a warm-up; medians and median ratios."""
    a()
    b()
    seen: list[tuple[float, float, float, float]] = []
    rows = 0
    for _ in range(rounds):
        first = Stopwatch()
        rows = a()
        cpu_a, wall_a = first.cpu_s, first.wall_s
        second = Stopwatch()
        b()
        seen.append((cpu_a, wall_a, second.cpu_s, second.wall_s))
    return {
        "rows": rows,
        "decode_cpu_s": statistics.median(x[0] for x in seen),
        "decode_wall_s": statistics.median(x[1] for x in seen),
        "whole_cpu_s": statistics.median(x[2] for x in seen),
        "whole_wall_s": statistics.median(x[3] for x in seen),
        "cpu_ratio": statistics.median(x[2] / x[0] for x in seen),
        "wall_ratio": statistics.median(x[3] / x[1] for x in seen),
    }


def step_times(store: LogStore, strategy: Strategy, venue: str, symbol: str, events: int) -> Any:
    """Microseconds of single ``step`` calls from Python over the log's own events, as an array.

    Decoding into the event record is not in the figure, so events are prepared in blocks; nothing
    else of ours runs while a block is timed.
    """
    composition = compose(strategy)
    settings = settle(composition, {})
    request = Request(strategy, strategy.name, venue, symbol)
    reader = open_reader(store, composition, settings, request, venue, symbol, ahead=False)
    fold = Fold(composition, build(composition, settings, reader.scales), _Nothing())
    fold.prepare_step()
    times: list[int] = []
    singles = _singles(reader)
    while len(times) < events:
        block = [fold.prepared(k, values) for k, values in itertools.islice(singles, STEP_BLOCK)]
        if not block:
            break
        times.extend(_time_block(fold, block))
    return np.array(times[len(times) // 10 :]) / 1000.0


def _time_block(fold: Fold, block: list[np.ndarray]) -> list[int]:
    times = []
    for event in block:
        start = time.perf_counter_ns()
        done = fold.step_event(event)
        times.append(time.perf_counter_ns() - start)
        while not done:
            fold.drain()
            done = fold.step_event(event)
    return times


def _singles(reader: LogReader) -> Iterator[tuple[Kind, dict[str, Any]]]:
    """Every event of ``reader``, one by one, in order."""
    for batch in reader:
        at = dict.fromkeys(batch.columns, 0)
        for number, stop in zip(batch.run_kind, batch.run_stop, strict=True):
            kind = REFERENCE if number == REFERENCE else Kind(int(number))
            for row in range(at[kind], int(stop)):
                yield kind, event_columns(kind, batch.columns[kind], row)
            at[kind] = int(stop)


def measure(
    store: LogStore,
    strategy: Strategy,
    venue: str | None = None,
    symbol: str | None = None,
    rounds: int = 5,
    steps: int = 100_000,
    say: Callable[[str], None] = lambda _text: None,
) -> dict[str, Any]:
    """All figures of ``ofs bench`` over one series; DataError where it has no trades."""
    venue, symbol = pick_series(store, venue, symbol)
    kinds = {s.kind for s in store.series() if (s.venue, s.symbol) == (venue, symbol)}
    if Kind.TRADE not in kinds:
        raise DataError("there is nothing to measure", where=f"{venue} {symbol}", why="no trades")
    say("trades only: decode against the whole way")
    base = Request(strategy, strategy.name, venue, symbol)
    trades = _pair(store, base, venue, symbol, (Kind.TRADE,), rounds)
    result = {
        "venue": venue,
        "symbol": symbol,
        "trades": int(trades["rows"]),
        "decode_trades_per_cpu_s": round(trades["rows"] / trades["decode_cpu_s"]),
        "end_to_end_trades_per_cpu_s": round(trades["rows"] / trades["whole_cpu_s"]),
        "cpu_ratio": round(trades["cpu_ratio"], 3),
        "wall_ratio": round(trades["wall_ratio"], 3),
    }
    if Kind.DEPTH in kinds:
        say("trades and depth: decode against the whole way")
        both = _pair(store, base, venue, symbol, (Kind.TRADE, Kind.DEPTH), rounds)
        result["depth_events"] = int(both["rows"])
        result["depth_cpu_ratio"] = round(both["cpu_ratio"], 3)
        result["depth_wall_ratio"] = round(both["wall_ratio"], 3)
        result["depth_events_per_cpu_s"] = round(both["rows"] / both["whole_cpu_s"])
    say("one event at a time")
    us = step_times(store, strategy, venue, symbol, steps)
    for name, q in (("step_p50_us", 50), ("step_p99_us", 99), ("step_p999_us", 99.9)):
        result[name] = round(float(np.percentile(us, q)), 3)
    result["peak_rss_mb"] = round(peak_rss_mb(), 1)
    return result


def _pair(
    store: LogStore, base: Request, venue: str, symbol: str, kinds: tuple[Kind, ...], rounds: int
) -> dict[str, float]:
    request = Request(base.strategy, base.strategy_text, venue, symbol, only=kinds)
    return pairs(
        lambda: decode(store, venue, symbol, kinds), lambda: whole_way(store, request), rounds
    )
