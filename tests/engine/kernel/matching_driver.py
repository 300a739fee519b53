"""Drives compiled simulated matching from tests: one object with the methods of the oracle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
from numba import njit

from engine.kernel.matching import (
    SIM_PARAMS,
    SIM_STATE,
    sim_bar,
    sim_boundary,
    sim_cancel,
    sim_clock,
    sim_depth,
    sim_finish,
    sim_init,
    sim_move_stop,
    sim_quote,
    sim_submit,
    sim_trades,
)
from engine.kernel.outputs import OUT
from engine.runtime.lean import lean

BASE = {
    "mul": 10_000, "div": 1, "qty_unit": 1, "order_latency_ns": 0, "response_latency_ns": 0,
    "stale_ns": 10**9, "price_stale_ns": 0, "half_spread": 0, "slippage": 0, "taker_ppb": 0,
    "maker_ppb": 0, "fee_unit": 0, "margin_ppb": 0, "stop_out_ppb": 0, "start_balance": 10**12,
    "hedging": 0, "queue_model": 0, "queue_power": 1, "price_step": 1, "qty_step": 1, "qty_min": 1,
    "qty_max": 10**15,
}  # fmt: skip
"""Parameters with every cost and every latency at nothing."""

VIEW = (
    "known_qty", "known_entry_price", "known_open_ns", "known_position_id", "open_orders",
    "known_balance", "closed_positions", "last_exit_reason", "last_exit_ns",
)  # fmt: skip

Levels = list[tuple[int, int]]
Trade = tuple[int, int, int, int, int]
_DEPTH, _QUOTE, _BAR, CLOCK, BOUNDARY, _SUBMIT, _CANCEL, _MOVE = range(8)


@njit(cache=True, nogil=True)
def play_trades(s, p, out, ts, ids, price, qty, side, i, j):
    """The trades [i, j) of one run."""
    return sim_trades(s, p, out, ts, ids, price, qty, side, i, j)


@njit(cache=True, nogil=True)
def play(s, p, out, op, a, bid_price, bid_qty, b0, b1, ask_price, ask_qty, a0, a1):
    """Any other call, by number, with its int64 arguments in ``a``."""
    if op == _DEPTH:
        sim_depth(s, p, out, a[0], a[1], bid_price, bid_qty, b0, b1, ask_price, ask_qty, a0, a1)
    elif op == _QUOTE:
        sim_quote(s, p, out, a[0], a[1], a[2], a[3], a[4], a[5])
    elif op == _BAR:
        sim_bar(s, p, out, a[0], a[1], a[2], a[3], a[4], a[5], a[6])
    elif op == CLOCK:
        sim_clock(s, p, out, a[0])
    elif op == BOUNDARY:
        sim_boundary(s, p, out, a[0])
    elif op == _SUBMIT:
        return sim_submit(
            s, p, out, a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10]
        )
    elif op == _CANCEL:
        return sim_cancel(s, p, out, a[0], a[1])
    elif op == _MOVE:
        return sim_move_stop(s, p, out, a[0], a[1], a[2])
    return 0


def one(dtype: np.dtype) -> tuple[np.ndarray, Any]:
    """(array of one zeroed record, the record), usable with numba on and off."""
    array = np.zeros(1, dtype=dtype)
    return array, array.view(np.recarray)[0]


_NO_LEVELS = np.zeros(1, dtype=np.int64)


def _compile(s: Any, p: Any, out: Any) -> None:
    """As a fold is compiled: what other folds lowered serves here. None of the calls does a thing.

    Without it numba would compile each of the functions below as if Python called it.
    """
    if not numba.config.DISABLE_JIT and not play.signatures:
        n = _NO_LEVELS
        with lean():
            play(s, p, out, -1, np.zeros(11, dtype=np.int64), n, n, 0, 0, n, n, 0, 0)
            play_trades(s, p, out, n, n, n, n, n.astype(np.int8), 0, 0)


class Sim:
    """Compiled matching with its own state, parameters and output."""

    def __init__(self, **params: int) -> None:
        self.state, self.s = one(SIM_STATE)
        self.params, self.p = one(SIM_PARAMS)
        self.output, self.out = one(OUT)
        for name, value in {**BASE, **params}.items():
            self.params[0][name] = value
        sim_init(self.s, self.p)
        _compile(self.s, self.p, self.out)

    def _play(self, op: int, *args: int) -> int:
        a = np.array([*args, *([0] * (11 - len(args)))], dtype=np.int64)
        n = _NO_LEVELS
        return int(play(self.s, self.p, self.out, op, a, n, n, 0, 0, n, n, 0, 0))

    def trades(
        self, rows: Sequence[tuple[int, int, int, int, int]], cuts: Sequence[int] = ()
    ) -> int:
        """A run of (ts, id, price, qty, side), given in pieces that end at ``cuts``."""
        ts, ids, price, qty, side = (np.array(c, dtype=np.int64) for c in zip(*rows, strict=True))
        side = side.astype(np.int8)
        done = 0
        for end in [*sorted(cuts), len(rows)]:
            done = int(play_trades(self.s, self.p, self.out, ts, ids, price, qty, side, done, end))
        return done

    def trade(self, ts: int, id_: int, price: int, qty: int, side: int) -> None:
        self.trades([(ts, id_, price, qty, side)])

    def depth(
        self, ts: int, id_: int, bids: list[tuple[int, int]], asks: list[tuple[int, int]]
    ) -> None:
        a = np.array([ts, id_, *([0] * 9)], dtype=np.int64)
        b = np.array([(7, 7), *bids, (7, 7)], dtype=np.int64).T.copy()
        c = np.array([(9, 9), (9, 9), *asks], dtype=np.int64).T.copy()
        play(
            self.s, self.p, self.out, _DEPTH, a,
            b[0], b[1], 1, 1 + len(bids), c[0], c[1], 2, 2 + len(asks),
        )  # fmt: skip

    def quote(self, ts: int, id_: int, bid: int, bid_qty: int, ask: int, ask_qty: int) -> None:
        self._play(_QUOTE, ts, id_, bid, bid_qty, ask, ask_qty)

    def bar(
        self, ts: int, id_: int, open_ns: int, open_: int, high: int, low: int, close: int
    ) -> None:
        self._play(_BAR, ts, id_, open_ns, open_, high, low, close)

    def clock(self, now: int) -> None:
        self._play(CLOCK, now)

    def boundary(self, now: int) -> None:
        self._play(BOUNDARY, now)

    def submit(self, *args: int) -> int:
        return self._play(_SUBMIT, *args)

    def cancel(self, now: int, order_id: int) -> int:
        return self._play(_CANCEL, now, order_id)

    def move_stop(self, now: int, position_id: int, stop: int) -> int:
        return self._play(_MOVE, now, position_id, stop)

    def finish(self) -> None:
        sim_finish(self.s, self.p, self.out)

    def order(
        self, now: int, side: int, qty: int, price: int = 0, *, stop: int = 0, target: int = 0,
        reduce_only: int = 0, tif: int = 0, exit_reason: int = 0, decision: int = 1,
    ) -> int:  # fmt: skip
        """Market order, or limit order where a price is given."""
        return self.submit(
            now, decision, 1 if price else 0, side, qty, price, stop, target, reduce_only, tif,
            exit_reason,
        )  # fmt: skip

    @property
    def rows(self) -> dict[str, list[tuple[int, ...]]]:
        """Everything written so far, by table, as tuples of ints."""
        out = self.output[0]
        return {
            name: [tuple(int(x) for x in row) for row in out[name][: int(out[f"n_{name}"])]]
            for name in ("orders", "fills", "positions", "equity")
        }

    def table(self, name: str) -> list[dict[str, int]]:
        """Rows of one table as dicts."""
        names = self.output.dtype[name].base.names or ()
        return [dict(zip(names, row, strict=True)) for row in self.rows[name]]

    def view(self) -> tuple[int, ...]:
        """What a strategy may read."""
        return tuple(int(self.state[0][name]) for name in VIEW)

    @property
    def violations(self) -> list[int]:
        return [int(x) for x in self.state[0]["violations"]]
