"""Handlers that are probed together: one compile serves a whole group.

Owns the groups, and for each one compiled hook in which the parameter ``which`` says whose numbers
go into the decision: all that hears prints is one group, flow by proxy, which gates what others
say, the other. A handler is folded in company of the others; that this changes nothing for it is
held by ``kernel/test_alone.py``. A handler in no group is probed by itself.
"""

from __future__ import annotations

from collections.abc import Iterable

from numba import njit

from tests.engine.probes import PROBES

_MARKET = (
    "sides",
    "flow",
    "windows",
    "candles",
    "footprint",
    "vwap",
    "book",
    "recent",
    "flip",
)
_LEVELS = (
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
)
_TAPE = (
    "diagonal",
    "auction",
    "delta_turn",
    "tape",
)
_REGIMES = (
    "pressure",
    "toxicity",
    "regime",
    "walls",
    "market_state",
    "replenish",
    "microstructure",
)
_TRADING = (
    "exits",
    "lifecycle",
    "risk",
    "reference",
    "metrics",
    "plans",
    "desk",
)
_PROXY = (
    "proxy",
    "proxy_metrics",
)
GROUPS: dict[str, tuple[str, ...]] = {
    "prints": (*_MARKET, *_LEVELS, *_TAPE, *_REGIMES, *_TRADING),
    "proxy": _PROXY,
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
_confluence = PROBES["confluence"]
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
_microstructure = PROBES["microstructure"]
_exits = PROBES["exits"]
_lifecycle = PROBES["lifecycle"]
_risk = PROBES["risk"]
_reference = PROBES["reference"]
_metrics = PROBES["metrics"]
_plans = PROBES["plans"]
_desk = PROBES["desk"]
_proxy = PROBES["proxy"]
_proxy_metrics = PROBES["proxy_metrics"]


@njit(cache=True, nogil=True)
def _market_group(which, s, p, o, now, grid):
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
def _levels_group(which, s, p, o, now, grid):
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
def _tape_group(which, s, p, o, now, grid):
    if which == 0:
        _diagonal(s, p, o, now, grid)
    elif which == 1:
        _auction(s, p, o, now, grid)
    elif which == 2:
        _delta_turn(s, p, o, now, grid)
    elif which == 3:
        _tape(s, p, o, now, grid)


@njit(cache=True, nogil=True)
def _regimes_group(which, s, p, o, now, grid):
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
def _trading_group(which, s, p, o, now, grid):
    if which == 0:
        _exits(s, p, o, now, grid)
    elif which == 1:
        _lifecycle(s, p, o, now, grid)
    elif which == 2:
        _risk(s, p, o, now, grid)
    elif which == 3:
        _reference(s, p, o, now, grid)
    elif which == 4:
        _metrics(s, p, o, now, grid)
    elif which == 5:
        _plans(s, p, o, now, grid)
    elif which == 6:
        _desk(s, p, o, now, grid)


@njit(cache=True, nogil=True)
def _proxy_group(which, s, p, o, now, grid):
    if which == 0:
        _proxy(s, p, o, now, grid)
    elif which == 1:
        _proxy_metrics(s, p, o, now, grid)


_LEVELS_AT = len(_MARKET)
_TAPE_AT = _LEVELS_AT + len(_LEVELS)
_REGIMES_AT = _TAPE_AT + len(_TAPE)
_TRADING_AT = _REGIMES_AT + len(_REGIMES)


@njit(cache=True, nogil=True)
def _prints(s, p, o, now, grid):
    which = p.strategy.which
    if which < _LEVELS_AT:
        _market_group(which, s, p, o, now, grid)
    elif which < _TAPE_AT:
        _levels_group(which - _LEVELS_AT, s, p, o, now, grid)
    elif which < _REGIMES_AT:
        _tape_group(which - _TAPE_AT, s, p, o, now, grid)
    elif which < _TRADING_AT:
        _regimes_group(which - _REGIMES_AT, s, p, o, now, grid)
    else:
        _trading_group(which - _TRADING_AT, s, p, o, now, grid)


@njit(cache=True, nogil=True)
def _by_proxy(s, p, o, now, grid):
    _proxy_group(p.strategy.which, s, p, o, now, grid)


DECIDES = {"prints": _prints, "proxy": _by_proxy}
