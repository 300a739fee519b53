"""Measures many symbols in one process: what a second of all their markets costs, and their memory.

Owns a made-up market of busy symbols, cut into slices as a live feed would bring them, and one fold
a symbol that is fed slice by slice, all through one :class:`~engine.runtime.fold.Buffers`. Events
are columns in memory: decoding a venue's messages is not in the figures. Measured is a process of
its own that starts warm, so that neither a compile nor the making of anything else counts as
memory; every page of every symbol's state is touched first, as it would be after a day. Where the
process is asked for in an empty cache, the same figures tell what a cold compile costs.

It refuses to judge.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data.errors import OfsError
from data.events import NS, Kind, Scales
from engine.runtime.compose import Composition, compose
from engine.runtime.fold import Buffers, Fold
from engine.runtime.parameters import build, settle
from engine.runtime.strategy import Strategy, from_module
from engine.runtime.strategy_file import load_file
from engine.runtime.usage import (
    Stopwatch,
    peak_rss_mb,
    process_age_s,
    quiet_collector,
    resident_mb,
)

TRADES_HZ = 100
BOOKS_HZ = 50
LEVELS = 20
SLICES_MS = (100, 1000)
"""How long a slice of the feed is that one call folds."""

TAPES = 3
"""Different tapes; symbols beyond share them, each with a state of its own."""

START_NS = 1_700_000_000 * NS
WARM_S = 10
_SCALES = Scales(2, 3)

Columns = dict[Kind, dict[str, np.ndarray]]


@dataclass(frozen=True)
class Slice:
    """What one call of :meth:`Fold.feed` takes."""

    columns: Columns
    run_kind: np.ndarray
    run_stop: np.ndarray


class Tape:
    """``seconds`` of one symbol: TRADES_HZ trades and BOOKS_HZ books of LEVELS levels a second."""

    def __init__(self, seed: int, seconds: int) -> None:
        random = np.random.default_rng(seed)
        trades, books = seconds * TRADES_HZ, seconds * BOOKS_HZ
        self.trade = {
            "ts_ns": _times(random, trades, seconds),
            "id": np.arange(1, trades + 1),
            "price": 3_000_000 + np.cumsum(random.integers(-3, 4, trades)),
            "qty": random.integers(1, 5_000, trades),
            "side": random.choice(np.array([-1, 1], np.int8), trades),
        }
        ts_ns = _times(random, books, seconds)
        at = np.searchsorted(self.trade["ts_ns"], ts_ns).clip(1) - 1
        middle = self.trade["price"][at][:, None]
        away = np.arange(1, LEVELS + 1)[None, :]
        self.depth = {
            "ts_ns": ts_ns,
            "id": np.arange(1, books + 1),
            "bid_offsets": np.arange(books + 1) * LEVELS,
            "bid_price": (middle - away).ravel(),
            "bid_qty": random.integers(1, 50_000, books * LEVELS),
            "ask_offsets": np.arange(books + 1) * LEVELS,
            "ask_price": (middle + away).ravel(),
            "ask_qty": random.integers(1, 50_000, books * LEVELS),
        }

    def slices(self, from_s: int, to_s: int, ms: int) -> Iterator[Slice]:
        """The feed from second ``from_s`` to ``to_s`` in pieces of ``ms`` milliseconds."""
        for start_ms in range(from_s * 1000, to_s * 1000, ms):
            yield self._slice(*(START_NS + x * NS // 1000 for x in (start_ms, start_ms + ms)))

    def _slice(self, from_ns: int, to_ns: int) -> Slice:
        a, b = np.searchsorted(self.trade["ts_ns"], (from_ns, to_ns))
        trade = {name: column[a:b] for name, column in self.trade.items()}
        a, b = np.searchsorted(self.depth["ts_ns"], (from_ns, to_ns))
        depth = {
            name: column[a : b + 1] if name.endswith("offsets") else column[a:b]
            for name, column in self.depth.items()
            if name.endswith("offsets") or name in ("ts_ns", "id")
        }
        # offsets count from the first level of the whole tape
        depth.update({k: c for k, c in self.depth.items() if k not in depth})
        return Slice({Kind.TRADE: trade, Kind.DEPTH: depth}, *_runs(trade["ts_ns"], depth["ts_ns"]))


def _times(random: np.random.Generator, n: int, seconds: int) -> np.ndarray:
    """``n`` times, as many in each second."""
    second = np.arange(n) // (n // seconds)
    return np.asarray(START_NS + np.sort(second * NS + random.integers(0, NS, n)))


def _runs(trade_ns: np.ndarray, depth_ns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(run_kind, run_stop) of the two streams merged by time, a trade first on a tie."""
    kinds = np.repeat(np.array([Kind.TRADE, Kind.DEPTH], np.int8), (len(trade_ns), len(depth_ns)))
    kinds = kinds[np.argsort(np.concatenate((trade_ns, depth_ns)), kind="stable")]
    last = np.flatnonzero(np.append(kinds[1:] != kinds[:-1], np.ones(min(len(kinds), 1), bool)))
    trades, depths = np.cumsum(kinds == Kind.TRADE), np.cumsum(kinds == Kind.DEPTH)
    run_stop = np.where(kinds == Kind.TRADE, trades, depths)[last]
    return kinds[last], run_stop.astype(np.int64)


class _Counter:
    """A sink that counts."""

    def __init__(self) -> None:
        self.rows = 0

    def take(self, name: str, rows: np.ndarray) -> None:
        """Count ``rows``."""
        self.rows += len(rows)


class Many:
    """``symbols`` folds of one strategy in this process, and the tapes that they are fed."""

    def __init__(self, strategy: Strategy, symbols: int, seconds: int) -> None:
        composition: Composition = compose(strategy)
        params = build(composition, settle(composition, {}), _SCALES)
        self.sink = _Counter()
        first = Stopwatch()
        buffers = Buffers()
        self.folds = [Fold(composition, params, self.sink, buffers=buffers)]
        self.ready_wall_s, self.ready_cpu_s = first.wall_s, first.cpu_s
        self.folds += [
            Fold(composition, params, self.sink, buffers=buffers) for _ in range(symbols - 1)
        ]
        self.tapes = [Tape(seed, seconds) for seed in range(min(TAPES, symbols))]
        self.state_bytes = composition.state.itemsize

    def feed(self, from_s: int, to_s: int, ms: int) -> float:
        """Feed all symbols, slice by slice in turn; returns the CPU seconds of the folds."""
        took = 0.0
        for together in zip(*(tape.slices(from_s, to_s, ms) for tape in self.tapes), strict=True):
            start = time.process_time()
            for n, fold in enumerate(self.folds):
                one = together[n % len(together)]
                fold.feed(one.columns, one.run_kind, one.run_stop)
            took += time.process_time() - start
        return took

    def touch(self) -> None:
        """Write every byte of every state as it is, so that each page lies in memory."""
        for fold in self.folds:
            fold.restore(fold.snapshot())

    def events(self) -> int:
        """Events that were folded so far, of all symbols."""
        return sum(sum(fold.events.values()) for fold in self.folds)


def measure(strategy: Strategy, symbols: int, seconds: int) -> dict[str, Any]:
    """The figures of ``symbols`` symbols over ``seconds`` market seconds a slice length, here."""
    many = Many(strategy, symbols, WARM_S + seconds * len(SLICES_MS))
    quiet_collector()
    many.touch()
    first_event_s = process_age_s()
    at = WARM_S
    many.feed(0, at, SLICES_MS[-1])
    warm_events = many.events()
    facts: dict[str, Any] = {}
    for ms in SLICES_MS:
        facts[f"core_share_{ms}ms"] = round(many.feed(at, at + seconds, ms) / seconds, 4)
        at += seconds
    return {
        "strategy": strategy.name,
        "symbols": symbols,
        "trades_per_s": TRADES_HZ,
        "books_per_s": BOOKS_HZ,
        "market_s": seconds * len(SLICES_MS),
        "events": many.events() - warm_events,
        "records": many.sink.rows,
        **facts,
        "state_kb": round(many.state_bytes / 1e3, 1),
        "resident_mb": round(resident_mb() or peak_rss_mb(), 1),
        "peak_rss_mb": round(peak_rss_mb(), 1),
        "ready_wall_s": round(many.ready_wall_s, 3),
        "ready_cpu_s": round(many.ready_cpu_s, 3),
        "first_event_s": first_event_s,
    }


def in_a_process(
    source: str, symbols: int, seconds: int, cache: str | None = None
) -> dict[str, Any]:
    """:func:`measure` in a process of its own; ``cache``: folder of compiled code, not the usual.

    ``source``: name of a module with ``STRATEGY`` in it, or ``path.py:NAME``. OfsError with the end
    of what it said where the process fails.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    if cache is not None:
        environment["OFS_CACHE"] = cache
    words = [sys.executable, "-m", "engine.runtime.bench_many", source, str(symbols), str(seconds)]
    done = subprocess.run(
        words, env=environment, capture_output=True, encoding="utf-8", check=False
    )
    if done.returncode:
        raise OfsError("the measuring process failed", where=source, why=done.stderr.strip()[-500:])
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main(words: list[str]) -> None:
    """What :func:`in_a_process` starts: source of the strategy, symbols, seconds."""
    source, symbols, seconds = words
    if ".py" in source:
        path, _, attribute = (
            source.rpartition(":") if ".py:" in source else (source, "", "STRATEGY")
        )
        strategy = load_file(Path(path).expanduser().resolve(), attribute)
    else:
        strategy = from_module(importlib.import_module(source), "STRATEGY", source)
    sys.stdout.write(json.dumps(measure(strategy, int(symbols), int(seconds))))


if __name__ == "__main__":
    main(sys.argv[1:])
