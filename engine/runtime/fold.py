"""Loads a compiled fold and drives it: batches of columns, or one event at a time.

Owns the generated module's file in the keyed cache folder, the state, params and output records,
and draining the output buffers into a sink. A fold is the same whether it is fed a year of
columns or single events; its state digest and the records it hands out do not depend on how the
events were cut into batches. It refuses to know where events come from and where records go.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numba
import numpy as np

from data import jitcache
from data.busy import replace
from data.events import RECORDS, REFERENCE, Kind
from engine.kernel.events import COLUMNS, CURSOR, EVENT, empty_columns
from engine.kernel.matching import sim_finish, sim_init
from engine.kernel.outputs import OUT
from engine.runtime.compose import Composition, generate
from engine.runtime.lean import lean, without_scipy
from engine.runtime.plain import field_records

BUFFERS = {
    "signal": ("signals", "n_signals"),
    "decision": ("decisions", "n_decisions"),
    "intent": ("intents", "n_intents"),
    "order": ("orders", "n_orders"),
    "fill": ("fills", "n_fills"),
    "position": ("positions", "n_positions"),
    "equity": ("equity", "n_equity"),
}
"""Record tables and the fields of OUT that hold them."""


class Sink(Protocol):
    """Takes drained records: ``take(name, rows)`` with rows a copy, structured as RECORDS[name]."""

    def take(self, name: str, rows: np.ndarray) -> None:
        """Take ``rows`` of record table ``name``."""


@dataclass
class _Loads:
    """Folds that were found compiled, and those that were not."""

    hits: int = 0
    misses: int = 0


_LOADS = _Loads()


def cache_figures() -> tuple[int, int]:
    """(hits, misses) of the cache of compiled folds since this process began."""
    return _LOADS.hits, _LOADS.misses


def load_module(c: Composition, on_cold: Callable[[], None] | None = None) -> ModuleType:
    """The fold module of ``c``, generated into the keyed cache folder if it is not there.

    ``on_cold`` is called when nothing compiled was found for it, before the compile.
    """
    name, source = _named_source(c)
    if name in sys.modules:
        _LOADS.hits += 1
        return sys.modules[name]
    folder = jitcache.cache_dir() / "folds"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.py"
    if not path.exists() or path.read_text(encoding="utf-8") != source:
        publish_source(path, source)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    cold = not numba.config.DISABLE_JIT and not _compiled(module)
    _LOADS.misses += cold
    _LOADS.hits += not cold
    if cold and on_cold is not None:
        on_cold()
    return module


@cache
def _named_source(c: Composition) -> tuple[str, str]:
    """Module name and source of a composition's fold; the name is a hash of all that is in it."""
    hook = getattr(c.strategy.decide, "py_func", c.strategy.decide)
    source = generate(c, hook.__module__, hook.__name__)
    text = source + c.strategy.source_sha256 + str(c.state) + str(c.params)
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    # by the hook and not by the strategy: two that differ in settings alone are compiled once
    return f"ofs_fold_{hook.__module__.rpartition('.')[2]}_{digest}", source


def publish_source(path: Path, source: str) -> None:
    """Write beside and rename, so that two processes never see half a module."""
    beside = path.with_suffix(f".{os.getpid()}.tmp")
    beside.write_text(source, encoding="utf-8", newline="\n")
    try:
        replace(beside, path)
    except OSError:
        # another process holds it open on Windows: whoever came first wrote the same text
        if not path.exists() or path.read_text(encoding="utf-8") != source:
            raise
    finally:
        beside.unlink(missing_ok=True)


def _compiled(module: ModuleType) -> bool:
    """True when numba's disk cache holds the fold."""
    where = Path(module.fold._cache.cache_path)
    return any(where.glob(f"{module.__name__}.fold-*.nbi"))


def _records(dtype: np.dtype) -> Any:
    """One zeroed record; with the JIT off its fields are attributes."""
    array = np.zeros(1, dtype=dtype)
    return field_records(array) if numba.config.DISABLE_JIT else array


class Buffers:
    """What a fold needs only while it runs: output records, cursor, resolved sides, one event;
    and parameters, which a fold only reads.

    A fold that stands alone has its own; folds that take turns may share one.
    """

    def __init__(self) -> None:
        self.out = _records(OUT)
        self.cursor = _records(CURSOR)
        self.event = _records(EVENT)
        self._side = np.zeros(0, dtype=np.int8)
        self._params: dict[tuple[np.dtype, bytes], Any] = {}

    def params(self, dtype: np.dtype, params: np.ndarray) -> Any:
        """A record with the values of ``params``: the same one for all folds that agree."""
        key = (dtype, hashlib.sha256(params.tobytes()).digest())
        if key not in self._params:
            self._params[key] = _records(dtype)
            self._params[key][:] = params
        return self._params[key]

    def sides(self, trades: int) -> np.ndarray:
        """int8 array of at least ``trades`` places."""
        if len(self._side) < trades:
            self._side = np.zeros(trades, dtype=np.int8)
        return self._side


class Fold:
    """A compiled fold with its state.

    ``composition`` says what is compiled in, ``params`` is the record (shape (1,)) of
    ``engine.runtime.parameters.build``, ``sink`` takes the drained records. Folds of many symbols
    pass one :class:`Buffers` to all: what a symbol then holds is its state, and parameters only
    where they are its own.
    """

    def __init__(
        self,
        composition: Composition,
        params: np.ndarray,
        sink: Sink,
        on_cold: Callable[[], None] | None = None,
        buffers: Buffers | None = None,
    ) -> None:
        self.composition = composition
        self.sink = sink
        self.module = load_module(composition, on_cold)
        self.state = _records(composition.state)
        self._shares = buffers is not None
        self._buffers = buffers or Buffers()
        self.params = self._buffers.params(composition.params, params)
        self.out = self._buffers.out
        self._cursor = self._buffers.cursor
        self._event = self._buffers.event
        self._stepped = False
        self._one_side = np.zeros(1, dtype=np.int8)
        self._empty = {k: empty_columns(k) for k in composition.kinds}
        with without_scipy(), lean():
            if composition.account:
                # on the empty state it writes nothing, and is compiled before the clock starts
                sim_finish(*self._simulation(self.state), self.out[0])
                sim_init(*self._simulation(self.state))
        with without_scipy(), lean(last=True):
            self.feed({}, np.zeros(0, dtype=np.int8), np.zeros(0, dtype=np.int64))

    def _simulation(self, state: Any) -> tuple[Any, Any]:
        """State and params records of the matching model."""
        return state[0]["sim"], self.params[0]["sim"]

    def prepare_step(self) -> None:
        """Compile :meth:`step_event` ahead, so that the first live event does not wait for it."""
        if not self._stepped:
            self._stepped = True
            kept = int(self._event["kind"][0])
            self._event["kind"] = -1
            with lean(last=True):
                self._call_step(self._event)
            self._event["kind"] = kept

    def _call_step(self, event: Any) -> bool:
        return bool(
            self.module.step(self.state, self.params, event, self.out, self._cursor, self._one_side)
        )

    def feed(
        self, columns: dict[Kind, dict[str, np.ndarray]], run_kind: np.ndarray, run_stop: np.ndarray
    ) -> None:
        """Fold one batch: columns by kind and the order of merge (run_kind int8, run_stop int64).

        Run r is the rows from where that kind stood up to run_stop[r]. The arrays are held here
        while the compiled code reads them.
        """
        args: list[np.ndarray] = []
        for kind in self.composition.kinds:
            have = columns.get(kind, self._empty[kind])
            args.extend(have[c] for c in COLUMNS[kind])
        trades = len(columns[Kind.TRADE]["ts_ns"]) if Kind.TRADE in columns else 0
        side = self._buffers.sides(trades)
        self._cursor[:] = 0
        while not self.module.fold(
            self.state, self.params, self.out, self._cursor, side, run_kind, run_stop, *args
        ):
            self.drain()
        if self._shares:
            self.drain()  # the next to write here is another symbol

    def step(self, kind: Kind, values: dict[str, Any]) -> None:
        """Fold one event: ``values`` by column name; levels as sequences, no offsets."""
        self.prepare_step()
        self.fill_event(kind, values)
        while not self.step_event():
            self.drain()

    def fill_event(self, kind: Kind, values: dict[str, Any]) -> None:
        """Put one event into the event record that :meth:`step_event` folds."""
        self._event["kind"] = int(kind)
        target = self._event[kind.name.lower()]
        for name in COLUMNS[kind]:
            if name.endswith("_offsets"):
                n = len(values[name.replace("_offsets", "_price")])
                target[name][0] = (0, n)
            elif np.ndim(values[name]) == 0:
                target[name][0, 0] = values[name]
            else:
                target[name][0, : len(values[name])] = values[name]

    def prepared(self, kind: Kind, values: dict[str, Any]) -> Any:
        """An event record of its own, for :meth:`step_event`."""
        self.fill_event(kind, values)
        return self._event.copy()

    def step_event(self, event: Any = None) -> bool:
        """Fold ``event`` (or the record that :meth:`fill_event` filled); False when a buffer is
        full: drain and call again with the same event.
        """
        return self._call_step(self._event if event is None else event)

    def drain(self) -> None:
        """Hand every buffered record to the sink and empty the buffers."""
        out = self.out[0]
        if out["lost"]:
            raise AssertionError(f"{out['lost']} records found no room in the output buffers")
        for name, (buffer, counter) in BUFFERS.items():
            n = int(out[counter])
            if n:
                self.sink.take(name, np.array(self.out[buffer][0, :n], dtype=OUT[buffer].base))
                self.out[counter] = 0

    def finish(self) -> None:
        """Write what stands open at the end (orders, positions), leaving the state as it is."""
        self.drain()
        if self.composition.account:
            copy = _records(self.composition.state)
            copy[:] = self.state
            with lean():
                sim_finish(*self._simulation(copy), self.out[0])
            self.drain()

    def snapshot(self) -> bytes:
        """The state as bytes: all that is needed to go on."""
        return self.state.tobytes()

    def restore(self, snapshot: bytes) -> None:
        """Continue from :meth:`snapshot` of a fold of the same composition."""
        if len(snapshot) != self.composition.state.itemsize:
            raise ValueError("the snapshot is of another composition")
        self.state[:] = np.frombuffer(snapshot, dtype=self.composition.state)

    def state_digest(self) -> str:
        """SHA-256 of the state's fields, hex; padding between fields does not count."""
        digest = hashlib.sha256()
        _digest_fields(digest, np.asarray(self.state).view(self.composition.state))
        return digest.hexdigest()

    @property
    def events(self) -> dict[Kind, int]:
        """How many events of each kind were folded."""
        counts = self.state["core"]["events"][0]
        found = {k: int(counts[int(k)]) for k in Kind}
        if REFERENCE in self.composition.kinds:
            found[REFERENCE] = int(self.state["reference"]["seen"][0])
        return found


def _digest_fields(digest: Any, array: np.ndarray) -> None:
    if array.dtype.names is None:
        digest.update(np.ascontiguousarray(array).tobytes())
        return
    for name in array.dtype.names:
        _digest_fields(digest, array[name])


def event_columns(kind: Kind, batch: dict[str, np.ndarray], row: int) -> dict[str, Any]:
    """Row ``row`` of a batch's columns as the values that :meth:`Fold.step` takes."""
    values: dict[str, Any] = {}
    for name in COLUMNS[kind]:
        if name.endswith("_offsets"):
            continue
        if kind == Kind.DEPTH and name not in ("ts_ns", "id"):
            offsets = batch[("bid" if name.startswith("bid") else "ask") + "_offsets"]
            values[name] = batch[name][offsets[row] : offsets[row + 1]]
        else:
            values[name] = batch[name][row]
    return values


assert set(BUFFERS) == set(RECORDS)
