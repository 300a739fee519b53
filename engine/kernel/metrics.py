"""Metrics: every number that a plan may ask about, read once a boundary and shared by all plans.

Owns the list :data:`METRICS` (a name, a unit and a place for each number) and one small function
for each handler that fills its numbers in. A fold pastes the fillers of the handlers that it has,
after all of them have had their boundary (``FILLERS``); a number whose handler is not in the fold,
or is not ready, is *unknown*, which is neither true nor false. What must hold: a number is int64 in
the unit that stands beside its name, floats are rounded to 1e-9 first, and what was known a
boundary ago is forgotten. It refuses to know what a number is asked for.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from data.events import FP9, NS
from engine.kernel.core import window_ready
from engine.kernel.numbers import FP9_MAX, fp9
from engine.kernel.proxy_metrics import SOURCE_PROXY
from engine.kernel.windows import SPANS_S

METRICS: tuple[tuple[str, str], ...] = (
    ("price", "price"),
    ("bid", "price"),
    ("ask", "price"),
    ("spread", "price"),
    ("delta_30s", "qty"),
    ("delta_300s", "qty"),
    ("volume_60s", "qty"),
    ("volume_300s", "qty"),
    ("aggressor_ratio", "fp9"),
    ("imbalance_score", "fp9"),
    ("cvd", "qty"),
    ("cvd_slope", "fp9"),
    ("cvd_slope_t", "fp9"),
    ("cvd_trend", "side"),
    ("cvd_divergence", "side"),
    ("cvd_divergence_strength", "fp9"),
    ("delta_divergence", "side"),
    ("delta_divergence_strength", "fp9"),
    ("absorption", "side"),
    ("absorption_strength", "fp9"),
    ("absorption_zones", "count"),
    ("liquidity_sweep", "side"),
    ("liquidity_sweep_strength", "fp9"),
    ("vwap_z", "fp9"),
    ("vwap_deviation", "side"),
    ("vwap_deviation_strength", "fp9"),
    ("book_imbalance", "fp9"),
    ("book_share", "fp9"),
    ("pressure", "side"),
    ("pressure_strength", "fp9"),
    ("tape_speed", "fp9"),
    ("tape_fast", "count"),
    ("tape", "side"),
    ("large_prints", "side"),
    ("large_prints_strength", "fp9"),
    ("stacked_imbalance", "side"),
    ("stacked_imbalance_strength", "fp9"),
    ("exhaustion", "side"),
    ("unfinished_auction", "side"),
    ("delta_turn", "side"),
    ("replenish", "side"),
    ("walls", "side"),
    ("spoof_score", "fp9"),
    ("market_state", "level"),
    ("volatility_regime", "level"),
    ("trend_regime", "level"),
    ("volume_regime", "level"),
    ("book_regime", "level"),
    ("atr_1m", "price"),
    ("order_block", "side"),
    ("order_block_strength", "fp9"),
    ("order_block_delta", "side"),
    ("order_block_cvd", "side"),
    ("order_block_absorption", "side"),
    ("confidence", "fp9"),
    ("confluence_score", "fp9"),
    ("confluence_probability", "fp9"),
    ("confluence_side", "side"),
    ("large_trades", "count"),
    ("data_quality", "level"),
    ("time_of_day", "second"),
    ("weekday", "day"),
)
"""Name and unit of each number, in the order of ``value`` and ``known``. Units: price and qty (the
instrument's int64), fp9 (1e-9), count, side (-1, 0, +1), level (of an enum or a regime), second
(of the UTC day), day (0 is Monday)."""

AT: dict[str, int] = {name: n for n, (name, _) in enumerate(METRICS)}
"""Place of each number by its name."""
METRICS_MAX = len(METRICS)
ONE_SIDED = 999.0
"""Aggressor ratio of a window that nobody sold in; the seed's own figure (11.9)."""
DAY_S = 86_400
_SPANS = {span: n for n, span in enumerate(SPANS_S)}
_W30, _W60, _W300 = _SPANS[30], _SPANS[60], _SPANS[300]
_NS30, _NS60, _NS300 = 30 * NS, 60 * NS, 300 * NS
_MINUTE = 1

METRICS_STATE = np.dtype(
    [("value", "i8", (METRICS_MAX,)), ("known", "i8", (METRICS_MAX,))], align=True
)
"""value: the numbers in their units; known: 1 where the number stands, 0 where nobody can tell."""

FILLERS: dict[str, str] = {
    "windows": "metrics_windows(s.metrics, s.windows, core, now)",
    "flow": "metrics_flow(s.metrics, s.flow)",
    "cvd_trend": "metrics_trend(s.metrics, s.cvd_trend, p.cvd_trend)",
    "cvd_divergence": "metrics_signal(s.metrics, CVD_DIVERGENCE, s.cvd_divergence.signal)",
    "delta_divergence": "metrics_signal(s.metrics, DELTA_DIVERGENCE, s.delta_divergence.signal)",
    "absorption": "metrics_absorption(s.metrics, s.absorption)",
    "sweep": "metrics_signal(s.metrics, SWEEP, s.sweep.signal)",
    "vwap_deviation": "metrics_vwap(s.metrics, s.vwap_deviation.signal)",
    "book": "metrics_book(s.metrics, s.book)",
    "pressure": "metrics_signal(s.metrics, PRESSURE, s.pressure.signal)",
    "tape": "metrics_tape(s.metrics, s.tape)",
    "diagonal": "metrics_signal(s.metrics, STACKED, s.diagonal.signal)",
    "auction": "metrics_auction(s.metrics, s.auction)",
    "delta_turn": "metrics_side(s.metrics, DELTA_TURN, s.delta_turn.signal)",
    "replenish": "metrics_side(s.metrics, REPLENISH, s.replenish.signal)",
    "walls": "metrics_walls(s.metrics, s.walls)",
    "market_state": "metrics_market(s.metrics, s.market_state)",
    "regime": "metrics_regime(s.metrics, s.regime)",
    "atr": "metrics_atr(s.metrics, s.atr)",
    "order_block": "metrics_order_block(s.metrics, s.order_block)",
    "proxy_metrics": "metrics_proxy(s.metrics, s.proxy_metrics)",
    "confluence": "metrics_confluence(s.metrics, s.confluence)",
}
"""The call that fills in what a handler knows, by the handler's name; where two know a number, the
later one in the order of a fold is believed (``proxy_metrics`` where flow comes by proxy)."""

SOURCES: dict[str, tuple[str, ...]] = {
    "windows": ("delta_30s", "delta_300s", "volume_60s", "volume_300s", "aggressor_ratio",
                "imbalance_score"),
    "flow": ("cvd",),
    "cvd_trend": ("cvd_slope", "cvd_slope_t", "cvd_trend"),
    "cvd_divergence": ("cvd_divergence", "cvd_divergence_strength"),
    "delta_divergence": ("delta_divergence", "delta_divergence_strength"),
    "absorption": ("absorption", "absorption_strength", "absorption_zones"),
    "sweep": ("liquidity_sweep", "liquidity_sweep_strength"),
    "vwap_deviation": ("vwap_z", "vwap_deviation", "vwap_deviation_strength"),
    "book": ("bid", "ask", "spread", "book_imbalance", "book_share"),
    "pressure": ("pressure", "pressure_strength"),
    "tape": ("tape_speed", "tape_fast", "tape", "large_prints", "large_prints_strength"),
    "diagonal": ("stacked_imbalance", "stacked_imbalance_strength"),
    "auction": ("exhaustion", "unfinished_auction"),
    "delta_turn": ("delta_turn",),
    "replenish": ("replenish",),
    "walls": ("walls", "spoof_score"),
    "market_state": ("market_state",),
    "regime": ("volatility_regime", "trend_regime", "volume_regime", "book_regime"),
    "atr": ("atr_1m",),
    "order_block": ("order_block", "order_block_strength", "order_block_delta", "order_block_cvd",
                    "order_block_absorption"),
    "proxy_metrics": ("aggressor_ratio", "imbalance_score", "cvd_trend", "cvd_slope",
                      "large_trades", "data_quality"),
    "confluence": ("confidence", "confluence_score", "confluence_probability", "confluence_side"),
}  # fmt: skip
"""Which numbers a handler fills in; the rest (price, time) the core does. Where two fill in one,
the later handler of the fold speaks: where flow comes by proxy, its half hour (11.9)."""

CVD_DIVERGENCE = np.int64(AT["cvd_divergence"])
DELTA_DIVERGENCE = np.int64(AT["delta_divergence"])
SWEEP = np.int64(AT["liquidity_sweep"])
PRESSURE = np.int64(AT["pressure"])
STACKED = np.int64(AT["stacked_imbalance"])
DELTA_TURN = np.int64(AT["delta_turn"])
REPLENISH = np.int64(AT["replenish"])
_ABSORPTION = np.int64(AT["absorption"])
_VWAP = np.int64(AT["vwap_deviation"])
_PRINTS = np.int64(AT["large_prints"])
_TAPE = np.int64(AT["tape"])
_EXHAUSTION = np.int64(AT["exhaustion"])
_UNFINISHED = np.int64(AT["unfinished_auction"])
_WALLS = np.int64(AT["walls"])
_TREND = np.int64(AT["cvd_trend"])
_BLOCK = np.int64(AT["order_block"])
_CONFIDENCE, _CONFLUENCE = AT["confidence"], AT["confluence_score"]
_PROBABILITY, _SIDE = AT["confluence_probability"], AT["confluence_side"]
_LARGE, _QUALITY = AT["large_trades"], AT["data_quality"]
_PRICE, _BID, _ASK, _SPREAD = AT["price"], AT["bid"], AT["ask"], AT["spread"]
_DELTA_30S, _DELTA_300S = AT["delta_30s"], AT["delta_300s"]
_VOLUME_60S, _VOLUME_300S = AT["volume_60s"], AT["volume_300s"]
_RATIO, _SCORE, _CVD = AT["aggressor_ratio"], AT["imbalance_score"], AT["cvd"]
_SLOPE, _SLOPE_T = AT["cvd_slope"], AT["cvd_slope_t"]
_ZONES, _VWAP_Z = AT["absorption_zones"], AT["vwap_z"]
_IMBALANCE, _SHARE = AT["book_imbalance"], AT["book_share"]
_SPEED, _FAST, _SPOOF = AT["tape_speed"], AT["tape_fast"], AT["spoof_score"]
_MARKET, _ATR = AT["market_state"], AT["atr_1m"]
_REGIMES = np.int64(AT["volatility_regime"])
_TIME, _WEEKDAY = AT["time_of_day"], AT["weekday"]


@njit(cache=True, nogil=True)
def metrics_begin(m, core, now_ns):
    """Forget the last boundary; what every fold knows at ``now_ns`` (ns UTC): price and time."""
    for k in range(METRICS_MAX):
        m.value[k] = 0
        m.known[k] = 0
    m.value[_PRICE] = core.last_price
    m.known[_PRICE] = 1 if core.last_price > 0 else 0
    m.value[_TIME] = now_ns // NS % DAY_S
    m.known[_TIME] = 1
    # the first of January 1970 was a Thursday
    m.value[_WEEKDAY] = (now_ns // NS // DAY_S + 3) % 7
    m.known[_WEEKDAY] = 1


@njit(cache=True, nogil=True)
def metrics_side(m, k, g):
    """The direction of signal record ``g`` as number ``k``."""
    m.value[k] = g.direction
    m.known[k] = g.ready


@njit(cache=True, nogil=True)
def metrics_signal(m, k, g):
    """Direction and strength of signal record ``g`` as numbers ``k`` and ``k`` + 1."""
    metrics_side(m, k, g)
    m.value[k + 1] = g.strength_fp9 if g.ready == 1 else 0
    m.known[k + 1] = g.ready


@njit(cache=True, nogil=True)
def aggressor_ratio(buy, sell):
    """Buy over sell quantity (int64) as a float: ONE_SIDED without sells, 1 without either."""
    if sell > 0:
        return float(buy) / float(sell)
    return ONE_SIDED if buy > 0 else 1.0


@njit(cache=True, nogil=True)
def imbalance_score(buy, sell):
    """100 |buy - sell| / (buy + sell) of int64 quantities as a float; 0 without either (11.9)."""
    if buy + sell == 0:
        return 0.0
    return 100.0 * float(abs(buy - sell)) / float(buy + sell)


@njit(cache=True, nogil=True)
def metrics_windows(m, w, core, now_ns):
    """Deltas, volumes and ratios of the rolling windows (WINDOWS_STATE record) that are whole."""
    m.value[_DELTA_30S] = w.buy[_W30] - w.sell[_W30]
    m.known[_DELTA_30S] = 1 if window_ready(core, now_ns, _NS30) else 0
    m.value[_VOLUME_60S] = w.buy[_W60] + w.sell[_W60]
    m.known[_VOLUME_60S] = 1 if window_ready(core, now_ns, _NS60) else 0
    buy = w.buy[_W300]
    sell = w.sell[_W300]
    m.value[_DELTA_300S] = buy - sell
    m.value[_VOLUME_300S] = buy + sell
    m.value[_RATIO] = fp9(aggressor_ratio(buy, sell))
    m.value[_SCORE] = fp9(imbalance_score(buy, sell))
    whole = 1 if window_ready(core, now_ns, _NS300) else 0
    m.known[_DELTA_300S] = whole
    m.known[_VOLUME_300S] = whole
    m.known[_RATIO] = whole
    m.known[_SCORE] = whole


@njit(cache=True, nogil=True)
def metrics_flow(m, f):
    """CVD since the session began (FLOW_STATE record); unknown once trades were missed."""
    m.value[_CVD] = f.cvd
    m.known[_CVD] = 1 if f.trades > 0 and f.approximate == 0 else 0


@njit(cache=True, nogil=True)
def metrics_trend(m, t, params):
    """Slope, t statistic (standard mode has one) and direction of the CVD's trend."""
    metrics_side(m, _TREND, t.signal)
    m.value[_SLOPE] = t.slope_fp9
    m.known[_SLOPE] = t.signal.ready
    m.value[_SLOPE_T] = t.signal.value_fp9 if params.mode == 0 else 0
    m.known[_SLOPE_T] = t.signal.ready if params.mode == 0 else 0


@njit(cache=True, nogil=True)
def metrics_absorption(m, a):
    """Absorption (ABSORPTION_STATE record): what it says, and how many of its zones live."""
    metrics_signal(m, _ABSORPTION, a.signal)
    m.value[_ZONES] = a.zones.n
    m.known[_ZONES] = a.signal.ready


@njit(cache=True, nogil=True)
def metrics_vwap(m, g):
    """Signed z from the session VWAP and the lean that it gives (signal record)."""
    metrics_signal(m, _VWAP, g)
    m.value[_VWAP_Z] = g.value_fp9
    m.known[_VWAP_Z] = g.ready


@njit(cache=True, nogil=True)
def metrics_book(m, b):
    """Touch, spread and imbalance of the book (BOOK_STATE record) while it is fresh."""
    fresh = 1 - b.stale if b.snapshots > 0 else 0
    m.value[_BID] = b.bid_price[0] if fresh == 1 else 0
    m.value[_ASK] = b.ask_price[0] if fresh == 1 else 0
    m.value[_SPREAD] = m.value[_ASK] - m.value[_BID]
    m.value[_IMBALANCE] = b.imbalance5_fp9
    m.value[_SHARE] = fp9(b.bid_share)
    for k in (_BID, _ASK, _SPREAD, _IMBALANCE, _SHARE):
        m.known[k] = fresh


@njit(cache=True, nogil=True)
def metrics_tape(m, t):
    """Speed of the tape against its mean, its side, and the side of large prints (record)."""
    metrics_side(m, _TAPE, t.signal)
    metrics_signal(m, _PRINTS, t.prints)
    m.value[_SPEED] = t.signal.value_fp9
    m.value[_FAST] = t.fast
    m.known[_SPEED] = t.signal.ready
    m.known[_FAST] = t.signal.ready


@njit(cache=True, nogil=True)
def metrics_auction(m, a):
    """Exhaustion and unfinished auctions of the closed minute (AUCTION_STATE record)."""
    metrics_side(m, _EXHAUSTION, a.signal)
    metrics_side(m, _UNFINISHED, a.unfinished)


@njit(cache=True, nogil=True)
def metrics_walls(m, w):
    """What pulled walls point to, and the spoof score at 1e-9 (WALLS_STATE record)."""
    metrics_side(m, _WALLS, w.signal)
    m.value[_SPOOF] = w.score_fp9
    m.known[_SPOOF] = w.signal.ready


@njit(cache=True, nogil=True)
def metrics_market(m, a):
    """The state of the market, a number of MarketState; STALE is one and not ignorance."""
    m.value[_MARKET] = a.state
    m.known[_MARKET] = 1


@njit(cache=True, nogil=True)
def metrics_regime(m, r):
    """The four regimes, each -1, 0 or +1, in the order of their names in METRICS (record)."""
    k = _REGIMES
    m.value[k] = r.volatility.level
    m.known[k] = r.volatility.ready
    m.value[k + 1] = r.trend.level
    m.known[k + 1] = r.trend.ready
    m.value[k + 2] = r.volume.level
    m.known[k + 2] = r.volume.ready
    m.value[k + 3] = r.book.level
    m.known[k + 3] = r.book.ready


@njit(cache=True, nogil=True)
def metrics_atr(m, a):
    """Average true range of closed minutes, rounded to int64 price units (ATR_STATE record)."""
    m.value[_ATR] = np.int64(np.rint(min(a.value[_MINUTE], FP9_MAX)))
    m.known[_ATR] = a.ready[_MINUTE]


@njit(cache=True, nogil=True)
def metrics_order_block(m, b):
    """An order block that price is in, and what speaks for it (ORDER_BLOCK_STATE record)."""
    k = _BLOCK
    metrics_signal(m, k, b.signal)
    known = 1 if b.signal.ready == 1 or b.side != 0 else 0
    m.value[k + 2] = b.delta_side
    m.known[k + 2] = known
    m.value[k + 3] = b.cvd_side
    m.known[k + 3] = known * b.cvd_ready
    m.value[k + 4] = b.zones_side
    m.known[k + 4] = known * b.zones_ready


@njit(cache=True, nogil=True)
def metrics_proxy(m, x):
    """Quality of the source and count of large trades (PROXY_METRICS_STATE record).

    Where flow comes by proxy, ratio, score, trend and slope are those of half an hour (11.9), and
    unknown where its quality is ``unavailable``.
    """
    known = 1 if x.data_quality > 0 else 0
    m.value[_LARGE] = x.large_trade_count
    m.known[_LARGE] = known
    m.value[_QUALITY] = x.data_quality
    m.known[_QUALITY] = 1
    if x.data_source != SOURCE_PROXY:
        return
    m.value[_RATIO] = x.aggressor_ratio_fp9
    m.value[_SCORE] = x.imbalance_score * FP9
    m.value[_TREND] = x.cvd_slope
    m.value[_SLOPE] = x.slope_fp9
    for k in (_RATIO, _SCORE, _SLOPE):
        m.known[k] = known
    m.known[_TREND] = known


@njit(cache=True, nogil=True)
def metrics_confluence(m, c):
    """Side, score and probability of the confluence (CONFLUENCE_STATE record).

    Confidence is the probability at 1e-9 where a fitted model gives one, else the score's share.
    """
    m.value[_SIDE] = c.side
    m.known[_SIDE] = c.signal.ready
    m.value[_CONFLUENCE] = c.score_fp9
    m.known[_CONFLUENCE] = c.signal.ready
    m.value[_PROBABILITY] = c.probability_fp9
    m.known[_PROBABILITY] = c.fitted
    m.value[_CONFIDENCE] = c.probability_fp9 if c.fitted == 1 else c.signal.strength_fp9
    m.known[_CONFIDENCE] = 1 if c.fitted == 1 or c.signal.ready == 1 else 0
