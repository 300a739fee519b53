"""Checks of the compiler: it computes what Python computes, and a strategy's fold is compiled.

Owns the proof on this machine: handlers of the kernel are compiled now, past every cache, and run
over the same data as their plain Python source; every integer, and every bit of every float, must
be the same. It refuses to know the rest of the machine (:mod:`data.doctor`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

import replays
from data.doctor.lines import Line, Status
from data.log import LogStore
from engine.kernel import flow, vwap
from engine.runtime.plain import field_records
from engine.runtime.replay import Request, run
from engine.runtime.strategy import Strategy

ROWS = 3_000
_MEND = (
    'reinstall the compiler (python -m pip install --force-reinstall "numba" "llvmlite" "numpy"); '
    "where that does not help, report it with the output of 'ofs doctor --json'"
)


def tape(rows: int = ROWS) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(price int64, qty int64, side int8) of a made-up market, the same on every machine."""
    n = np.arange(rows, dtype=np.int64)
    noise = (n * 1_103_515_245 + 12_345) % 2_147_483_648
    price = 600_000 + np.cumsum(noise // 65_536 % 7 - 3)
    qty = 1 + noise // 4_096 % 5_000
    side = (noise // 1_024 % 3 - 1).astype(np.int8)
    return price, qty, side


def compiles(function_of: Callable[[Any], Any] = lambda handler: handler.py_func) -> Line:
    """Compile the delta and the VWAP handler now and compare them with their Python source.

    ``function_of`` gives the Python function to compile of a handler (a test gives a wrong one).
    """
    name = "compile"
    if numba.config.DISABLE_JIT:
        mend = "unset NUMBA_DISABLE_JIT, unless you are looking for a fault: it is 100 times slower"
        return Line(name, Status.WARN, "the compiler is switched off", mend)
    price, qty, side = tape()
    start_s = time.perf_counter()
    differences = [
        *_differences(flow.FLOW_STATE, flow.flow_trades, function_of, (qty, side)),
        *_differences(vwap.VWAP_SUM, vwap.vwap_trades, function_of, (price, qty)),
    ]
    took_s = time.perf_counter() - start_s
    numbers = {"seconds": round(took_s, 3), "rows": ROWS, "differences": differences}
    if differences:
        fact = f"compiled code computes something else: {'; '.join(differences)}"
        return Line(name, Status.FAIL, fact, _MEND, numbers)
    fact = (
        f"delta and VWAP over {ROWS:,} trades equal the interpreter's; compiled in {took_s:.1f} s"
    )
    return Line(name, Status.OK, fact, numbers=numbers)


def _differences(
    dtype: np.dtype,
    handler: Any,
    function_of: Callable[[Any], Any],
    columns: tuple[np.ndarray, ...],
) -> list[str]:
    """Fields of the state in which compiled code and Python differ; two runs each, cut oddly."""
    compiled = numba.njit(nogil=True)(function_of(handler))
    fast, slow = np.zeros(1, dtype), field_records(np.zeros(1, dtype))
    rows = len(columns[0])
    for start, stop in ((0, rows // 3), (rows // 3, rows)):
        compiled(fast[0], *columns, start, stop)
        handler.py_func(slow[0], *columns, start, stop)
    plain = np.asarray(slow).view(dtype)
    return [
        f"{handler.py_func.__name__} {field}: {fast[field][0]} is not {plain[field][0]}"
        for field in dtype.names or ()
        if fast[field].tobytes() != plain[field].tobytes()
    ]


class _Nothing:
    """A sink that drops every record."""

    def take(self, name: str, rows: np.ndarray) -> None:
        """Drop ``rows``."""


def warm(strategy: Strategy, text: str, on_cold: Callable[[], None] | None = None) -> Line:
    """Compile everything that ``ofs backtest --strategy TEXT`` needs, by running it once.

    ``on_cold`` is called when something really has to be compiled.
    """
    cold: list[bool] = []

    def note() -> None:
        cold.append(True)
        if on_cold is not None:
            on_cold()

    start_s = time.perf_counter()
    run(LogStore(replays.path()), Request(strategy, text), _Nothing(), on_cold=note)
    took_s = time.perf_counter() - start_s
    what = "compiled" if cold else "was compiled already; asked"
    fact = f"{text} {what} in {took_s:.1f} s; the next backtest starts at once"
    numbers = {"strategy": text, "cold": bool(cold), "seconds": round(took_s, 3)}
    return Line("warm", Status.OK, fact, numbers=numbers)
