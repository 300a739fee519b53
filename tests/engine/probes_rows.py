"""Numbers of the detectors that read closed footprints, for their probes."""

from __future__ import annotations

from numba import njit

from engine.kernel.numbers import fp9


@njit(cache=True, nogil=True)
def zones_number(z):
    """A number that every live zone and every count changes."""
    total = z.n + 100 * z.touched + 10_000 * z.added + 7 * z.expired + 3 * z.cleared
    for k in range(z.n):
        total += z.items[k].low * z.items[k].side + z.items[k].strength_fp9
    return total


@njit(cache=True, nogil=True)
def signal_number(g):
    """A number that every field of a signal changes."""
    spoken = g.value_fp9 + 3 * g.strength_fp9 + g.threshold_fp9 + g.until_ns % 1_000_000_007
    return spoken + g.direction + 3 * g.ready + 10 * g.fired


@njit(cache=True, nogil=True)
def diagonal(s, p, o, now, grid):
    d = s.core.decision
    x = s.diagonal
    d.delta = x.buy.volume - x.sell.volume
    d.entry_delta = 7 * x.buy.rows + 3 * x.sell.rows + x.buy.longest - x.sell.longest
    d.delta_z_fp9 = signal_number(x.signal)
    d.flip_fp9 = zones_number(x.zones)


@njit(cache=True, nogil=True)
def auction(s, p, o, now, grid):
    d = s.core.decision
    x = s.auction
    d.delta = x.dry_low_fp9 + 3 * x.dry_high_fp9
    d.entry_delta = x.open_low_fp9 + 3 * x.open_high_fp9
    d.delta_z_fp9 = signal_number(x.signal)
    d.book_fp9 = signal_number(x.unfinished)
    d.flip_fp9 = zones_number(x.zones)


@njit(cache=True, nogil=True)
def delta_turn(s, p, o, now, grid):
    d = s.core.decision
    x = s.delta_turn
    d.delta = x.session_high - 3 * x.session_low
    d.entry_delta = x.forms + 10 * x.session_candles + 100_000 * x.usual.n
    d.delta_z_fp9 = signal_number(x.signal)
    d.flip_fp9 = x.z_fp9
    d.book_fp9 = x.session_end_ns


@njit(cache=True, nogil=True)
def tape(s, p, o, now, grid):
    d = s.core.decision
    x = s.tape
    d.delta = x.pace + 1000 * x.before + 10_000_000 * x.fast
    d.entry_delta = x.large_lots + fp9(x.large * 1e-6)
    d.delta_z_fp9 = signal_number(x.signal)
    d.flip_fp9 = signal_number(x.prints)


PROBES = {f.__name__: f for f in (diagonal, auction, delta_turn, tape)}
