"""Handlers that are probed together: one compile serves a whole group.

Owns the groups and, for each, one compiled hook in which the parameter ``which`` says whose numbers
go into the decision. A handler in a group is folded in company of the others; that this changes
nothing for it is held by ``kernel/test_alone.py``. A handler in no group is probed by itself.
"""

from __future__ import annotations

from collections.abc import Iterable

from numba import njit

from tests.engine.probes import PROBES

GROUPS: dict[str, tuple[str, ...]] = {
    "market": (
        "sides",
        "flow",
        "windows",
        "candles",
        "footprint",
        "vwap",
        "book",
        "recent",
        "flip",
    ),
    "levels": (
        "atr",
        "pivots",
        "impact",
        "cvd_divergence",
        "delta_divergence",
        "cvd_trend",
        "vwap_deviation",
        "absorption",
        "sweep",
        "confluence",
        "order_block",
    ),
    "tape": ("diagonal", "auction", "delta_turn", "tape"),
    "regimes": (
        "pressure",
        "toxicity",
        "regime",
        "walls",
        "market_state",
        "replenish",
        "microstructure",
    ),
    "trading": ("exits", "lifecycle", "risk"),
}
"""Handlers by group; ``which`` is the place in it."""


def units(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """What one fold probes: every group, and each of ``names`` that is in none by itself."""
    grouped = {n for members in GROUPS.values() for n in members}
    return GROUPS | {n: (n,) for n in names if n not in grouped}


_sides = PROBES["sides"]
_flow = PROBES["flow"]
_windows = PROBES["windows"]
_candles = PROBES["candles"]
_footprint = PROBES["footprint"]
_vwap = PROBES["vwap"]
_book = PROBES["book"]
_recent = PROBES["recent"]
_flip = PROBES["flip"]
_atr = PROBES["atr"]
_pivots = PROBES["pivots"]
_impact = PROBES["impact"]
_cvd_divergence = PROBES["cvd_divergence"]
_delta_divergence = PROBES["delta_divergence"]
_cvd_trend = PROBES["cvd_trend"]
_vwap_deviation = PROBES["vwap_deviation"]
_absorption = PROBES["absorption"]
_sweep = PROBES["sweep"]
_order_block = PROBES["order_block"]
_diagonal = PROBES["diagonal"]
_auction = PROBES["auction"]
_delta_turn = PROBES["delta_turn"]
_tape = PROBES["tape"]
_pressure = PROBES["pressure"]
_toxicity = PROBES["toxicity"]
_regime = PROBES["regime"]
_walls = PROBES["walls"]
_market_state = PROBES["market_state"]
_replenish = PROBES["replenish"]
_exits = PROBES["exits"]
_lifecycle = PROBES["lifecycle"]
_confluence = PROBES["confluence"]
_microstructure = PROBES["microstructure"]
_risk = PROBES["risk"]


@njit(cache=True, nogil=True)
def _market_group(s, p, o, now, grid):
    which = p.strategy.which
    if which == 0:
        _sides(s, p, o, now, grid)
    elif which == 1:
        _flow(s, p, o, now, grid)
    elif which == 2:
        _windows(s, p, o, now, grid)
    elif which == 3:
        _candles(s, p, o, now, grid)
    elif which == 4:
        _footprint(s, p, o, now, grid)
    elif which == 5:
        _vwap(s, p, o, now, grid)
    elif which == 6:
        _book(s, p, o, now, grid)
    elif which == 7:
        _recent(s, p, o, now, grid)
    elif which == 8:
        _flip(s, p, o, now, grid)


@njit(cache=True, nogil=True)
def _levels_group(s, p, o, now, grid):
    which = p.strategy.which
    if which == 0:
        _atr(s, p, o, now, grid)
    elif which == 1:
        _pivots(s, p, o, now, grid)
    elif which == 2:
        _impact(s, p, o, now, grid)
    elif which == 3:
        _cvd_divergence(s, p, o, now, grid)
    elif which == 4:
        _delta_divergence(s, p, o, now, grid)
    elif which == 5:
        _cvd_trend(s, p, o, now, grid)
    elif which == 6:
        _vwap_deviation(s, p, o, now, grid)
    elif which == 7:
        _absorption(s, p, o, now, grid)
    elif which == 8:
        _sweep(s, p, o, now, grid)
    elif which == 9:
        _confluence(s, p, o, now, grid)
    elif which == 10:
        _order_block(s, p, o, now, grid)


@njit(cache=True, nogil=True)
def _tape_group(s, p, o, now, grid):
    which = p.strategy.which
    if which == 0:
        _diagonal(s, p, o, now, grid)
    elif which == 1:
        _auction(s, p, o, now, grid)
    elif which == 2:
        _delta_turn(s, p, o, now, grid)
    elif which == 3:
        _tape(s, p, o, now, grid)


@njit(cache=True, nogil=True)
def _regimes_group(s, p, o, now, grid):
    which = p.strategy.which
    if which == 0:
        _pressure(s, p, o, now, grid)
    elif which == 1:
        _toxicity(s, p, o, now, grid)
    elif which == 2:
        _regime(s, p, o, now, grid)
    elif which == 3:
        _walls(s, p, o, now, grid)
    elif which == 4:
        _market_state(s, p, o, now, grid)
    elif which == 5:
        _replenish(s, p, o, now, grid)
    elif which == 6:
        _microstructure(s, p, o, now, grid)


@njit(cache=True, nogil=True)
def _trading_group(s, p, o, now, grid):
    which = p.strategy.which
    if which == 0:
        _exits(s, p, o, now, grid)
    elif which == 1:
        _lifecycle(s, p, o, now, grid)
    elif which == 2:
        _risk(s, p, o, now, grid)


DECIDES = {
    "market": _market_group,
    "levels": _levels_group,
    "tape": _tape_group,
    "regimes": _regimes_group,
    "trading": _trading_group,
}
