"""The vocabulary of plans: every condition by name, what it means, and the rows it compiles to.

Owns :data:`WORDS`. The seed's names (reference "orderflow" 11.10) mean what the seed says where our
numbers can answer it; the seed's names that this log cannot answer stand in :data:`NOT_ANSWERED`
with the reason, so that a plan that asks for one is refused and not silently passed. A condition
that is listed must be true, and all are joined by AND. What must hold: the rows of a plan turned
round (SELL for BUY, prices mirrored) are the rows turned round. It refuses to know scales.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from data.enums import MarketState
from engine.kernel.metrics import METRICS
from engine.plans.model import Row

UNITS = dict(METRICS)
"""Unit of each number that a row may compare."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What a condition is asked with: its value, the plan's side, and the plan's other words."""

    value: Any
    side: int
    words: dict[str, Any]

    def number(self, name: str, default: str) -> Decimal:
        """The number given as ``name``, else ``default``."""
        return Decimal(str(self.words.get(name, default)))


@dataclass(frozen=True, slots=True)
class Word:
    """A condition: ``kind`` of its value (flag, price, ratio, qty, percent, choice, hours, days,
    tests), the rows it becomes, or ``of``: the word that it refines and is nothing without.
    """

    kind: str
    doc: str
    rows: Callable[[Ask], tuple[Row, ...]] | None = None
    choices: tuple[str, ...] = ()
    of: str = ""
    needs: tuple[str, ...] = ()


_Rows = Callable[[Ask], tuple[Row, ...]]
_TWO = {"bull": 1, "bear": -1, "buy": 1, "sell": -1, "up": 1, "down": -1}


def _is(metric: str, side: int) -> _Rows:
    """The detector says ``side``."""
    return lambda ask: (Row(metric, "=", Decimal(side)),)


def _ours(metric: str) -> _Rows:
    """The detector says the side of the plan."""
    return lambda ask: (Row(metric, "=", Decimal(ask.side)),)


def _chosen(metric: str, refinement: str) -> _Rows:
    """The detector says the side that ``refinement`` names, else that of the plan."""
    return lambda ask: (
        Row(metric, "=", Decimal(_TWO.get(str(ask.words.get(refinement)), ask.side))),
    )


def _level(metric: str, levels: tuple[str, ...], first: int = -1) -> _Rows:
    """The level has the number of the chosen name; the first name is ``first``."""
    return lambda ask: (Row(metric, "=", Decimal(levels.index(ask.value) + first)),)


def _at_least(metric: str, levels: tuple[str, ...]) -> _Rows:
    """The level is the chosen one or one after it; the first is 0."""
    return lambda ask: (Row(metric, ">=", Decimal(levels.index(ask.value))),)


def _bound(metric: str, op: str) -> _Rows:
    return lambda ask: (Row(metric, op, Decimal(ask.value)),)


def _leaning(metric: str) -> _Rows:
    """A signed number: at least the value for BUY, at most minus the value for SELL."""
    return lambda ask: (Row(metric, ">=" if ask.side > 0 else "<=", ask.side * Decimal(ask.value)),)


def _near(ask: Ask) -> tuple[Row, ...]:
    off = ask.number("tolerance", "0")
    at = Decimal(ask.value)
    return (Row("price", "between", at - off, at + off),)


def _ratio(ask: Ask) -> tuple[Row, ...]:
    x = Decimal(ask.value)
    return (
        Row("aggressor_ratio", ">=", x) if ask.side > 0 else Row("aggressor_ratio", "<=", 1 / x),
    )


def _zones(op: str) -> _Rows:
    """Absorption zones within the tolerance of the entry; without an entry, any zone at all."""

    def rows(ask: Ask) -> tuple[Row, ...]:
        if "price_near" not in ask.words:
            return (Row("absorption_zones", ">=" if op == "zone within" else "=",
                        Decimal(op == "zone within")),)  # fmt: skip
        at, off = ask.number("price_near", "0"), ask.number("tolerance", "0")
        return (Row("absorption_zones", op, at - off, at + off),)

    return rows


def _stretched(ask: Ask) -> tuple[Row, ...]:
    """Price beyond so many deviations: below the VWAP for BUY, above it for SELL, or as asked."""
    off = ask.number("vwap_deviation_threshold", "2")
    below = ask.words.get("vwap_deviation_direction", "below" if ask.side > 0 else "above")
    return (Row("vwap_z", "<=", -off) if below == "below" else Row("vwap_z", ">=", off),)


def _confident(ask: Ask) -> tuple[Row, ...]:
    """The evidence is on the plan's side, and so sure."""
    return (
        Row("confluence_side", "=", Decimal(ask.side)),
        Row("confidence", ">=", Decimal(ask.value) / 100),
    )


def _hours(ask: Ask) -> tuple[Row, ...]:
    start, end = parse_hours(ask.value)
    return (Row("time_of_day", "between", Decimal(start), Decimal(end - 1)),)


def _session(ask: Ask) -> tuple[Row, ...]:
    start, end = SESSIONS[ask.value]
    return (Row("time_of_day", "between", Decimal(start * 3600), Decimal(end * 3600 - 1)),)


def _days(ask: Ask) -> tuple[Row, ...]:
    first, last = parse_days(ask.value)
    return (Row("weekday", "between", Decimal(first), Decimal(last)),)


def _tests(ask: Ask) -> tuple[Row, ...]:
    return tuple(parse_test(text) for text in ask.value)


_HOURS = re.compile(r"([01]\d|2[0-4]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")
_TEST = re.compile(r"([a-z0-9_]+)\s*(>=|<=|>|<|=)\s*([-+]?\d+(?:\.\d+)?)")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
SESSIONS = {"asia": (0, 8), "london": (7, 16), "new_york": (12, 21), "overlap": (12, 16)}
"""Hours UTC, from and to, of the sessions that a plan may name."""
TREND = ("down", "range", "up")
VOLATILITY = ("low", "normal", "high")
VOLUME = ("thin", "normal", "busy")
BOOK = ("tight", "normal", "poor")
QUALITY = ("unavailable", "limited", "proxy", "good")
STATES = tuple(state.name.lower() for state in MarketState)


def parse_hours(text: str) -> tuple[int, int]:
    """Seconds of the UTC day of ``07:00-16:00``; ValueError where it is no span within a day."""
    found = _HOURS.fullmatch(text.strip())
    if not found:
        raise ValueError("write it like 07:00-16:00, UTC")
    a, b, c, d = (int(x) for x in found.groups())
    start, end = a * 3600 + b * 60, c * 3600 + d * 60
    if not start < end <= 86_400:
        raise ValueError("the first time must lie before the second, on one day")
    return start, end


def parse_days(text: str) -> tuple[int, int]:
    """First and last day (0 is Monday) of ``mon-fri`` or ``tue``; ValueError otherwise."""
    parts = text.strip().lower().split("-")
    if len(parts) > 2 or any(x not in DAYS for x in parts):
        raise ValueError(f"write it like mon-fri; days: {', '.join(DAYS)}")
    first, last = DAYS.index(parts[0]), DAYS.index(parts[-1])
    if first > last:
        raise ValueError("the first day must not lie behind the last of the week")
    return first, last


def parse_test(text: str) -> Row:
    """The row of ``delta_30s >= 12.5``; ValueError where it is no comparison of a number."""
    found = _TEST.fullmatch(text.strip())
    if not found:
        raise ValueError(f"{text!r} is no comparison; write it like 'delta_30s >= 12.5'")
    name, op, bound = found.groups()
    if name not in UNITS:
        close = difflib.get_close_matches(name, UNITS, n=3)
        known = f"did you mean {' or '.join(close)}" if close else f"numbers: {', '.join(UNITS)}"
        raise ValueError(f"there is no number {name!r}; {known}")
    return Row(name, op, Decimal(bound))


_FLOW: dict[str, Word] = {
    "delta_positive": Word("flag", "more was bought than sold in the last 300 s",
                           lambda ask: (Row("delta_300s", ">", Decimal(0)),)),
    "delta_negative": Word("flag", "more was sold than bought in the last 300 s",
                           lambda ask: (Row("delta_300s", "<", Decimal(0)),)),
    "cvd_rising": Word("flag", "the trend of the CVD points up", _is("cvd_trend", 1)),
    "cvd_falling": Word("flag", "the trend of the CVD points down", _is("cvd_trend", -1)),
    "cvd_div_bull": Word("flag", "bullish CVD divergence", _is("cvd_divergence", 1)),
    "cvd_div_bear": Word("flag", "bearish CVD divergence", _is("cvd_divergence", -1)),
    "delta_divergence_bull": Word("flag", "bullish delta divergence", _is("delta_divergence", 1)),
    "delta_divergence_bear": Word("flag", "bearish delta divergence", _is("delta_divergence", -1)),
    "absorption_zone_detected": Word(
        "flag", "an absorption zone lies within the tolerance of price_near (without: anywhere)",
        _zones("zone within")),
    "avoid_absorption_zones": Word(
        "flag", "no absorption zone lies within the tolerance of price_near (without: anywhere)",
        _zones("no zone within")),
}  # fmt: skip

ORDER_FLOW = frozenset(_FLOW)
"""The seed's ten: a plan with one of them is due every 5 s, any other every 30 s (11.8)."""

ENTRY: dict[str, Word] = {
    "price_near": Word("price", "the last price lies within tolerance of this", _near,
                       needs=("tolerance",)),
    "tolerance": Word("price", "price units on either side of price_near", of="price_near"),
    "price_above": Word("price", "the last price is at or above this", _bound("price", ">=")),
    "price_below": Word("price", "the last price is at or below this", _bound("price", "<=")),
}  # fmt: skip
"""Words that may stand under ``entry`` as well as under ``conditions``."""

_SEED: dict[str, Word] = {
    "aggressor_ratio": Word("ratio", "bought over sold in 300 s: at least this for BUY, at most "
                            "1 over this for SELL", _ratio),
    "imbalance_score": Word("percent", "100 |bought - sold| / volume of 300 s is at least this",
                            _bound("imbalance_score", ">=")),
    "liquidity_sweep": Word("flag", "a level was swept and given back, on the plan's side",
                            _ours("liquidity_sweep")),
    "liquidity_grab_bull": Word("flag", "lows were swept and given back",
                                _is("liquidity_sweep", 1)),
    "liquidity_grab_bear": Word("flag", "highs were swept and given back",
                                _is("liquidity_sweep", -1)),
    "vwap_deviation": Word("flag", "price is stretched from the session VWAP, below it for BUY and "
                           "above it for SELL", _stretched),
    "vwap_deviation_threshold": Word("ratio", "how many deviations (2)", of="vwap_deviation"),
    "vwap_deviation_direction": Word("choice", "on which side of the VWAP", None,
                                     ("above", "below"), of="vwap_deviation"),
    "order_block": Word("flag", "price is in an order block of the plan's side, and delta, CVD and "
                        "absorption agree", _chosen("order_block", "order_block_type")),
    "order_block_type": Word("choice", "side of the block, where it is not the plan's", None,
                             ("bull", "bear"), of="order_block"),
    "imbalance_detected": Word("flag", "the book presses to the plan's side",
                               _chosen("pressure", "imbalance_direction")),
    "imbalance_direction": Word("choice", "side of the book, where it is not the plan's", None,
                                ("buy", "sell"), of="imbalance_detected"),
    "spoof_detected": Word("flag", "walls were pulled more often than usual on one side",
                           lambda ask: (Row("walls", "not", Decimal(0)),)),
    "liquidity_rebuild_confirmed": Word("flag", "a level of the plan's side is filled up again as "
                                        "it trades", _ours("replenish")),
    "cvd_flip_confirmed": Word("flag", "the delta of closed minutes turned to the plan's side",
                               _ours("delta_turn")),
    "tick_rate_declining": Word("flag", "fewer trades in 15 s than their mean of 300 s",
                                lambda ask: (Row("tape_speed", "<", Decimal(1)),)),
    "volatility_state": Word("choice", "regime of volatility",
                             _level("volatility_regime", VOLATILITY), VOLATILITY),
    "session": Word("choice", "hours UTC: asia 0 to 8, london 7 to 16, new_york 12 to 21, overlap "
                    "12 to 16", _session, tuple(SESSIONS)),
    "min_confidence": Word("percent", "the confluence is on the plan's side and as sure as this",
                           _confident),
    "min_confluence": Word("percent", "the same by the seed's other name", _confident),
    "min_rr_ratio": Word("ratio", "the target is at least so many times as far as the stop"),
}  # fmt: skip

_OWN: dict[str, Word] = {
    "stacked_imbalance": Word("flag", "stacked imbalances of the plan's side in a closed minute",
                              _ours("stacked_imbalance")),
    "exhaustion": Word("flag", "volume dries up at the extreme, for the plan's side",
                       _ours("exhaustion")),
    "unfinished_auction": Word("flag", "an unfinished extreme points to the plan's side",
                               _ours("unfinished_auction")),
    "large_prints": Word("flag", "large prints are on the plan's side", _ours("large_prints")),
    "tape_fast": Word("flag", "the tape runs faster than usual",
                      lambda ask: (Row("tape_fast", "=", Decimal(1)),)),
    "book_imbalance": Word("ratio", "log ratio of 5 levels: at least this for BUY, at most minus "
                           "this for SELL", _leaning("book_imbalance")),
    "delta_30s": Word("qty", "delta of 30 s: at least this for BUY, at most minus this for SELL",
                      _leaning("delta_30s")),
    "volume_above": Word("qty", "volume of 300 s is at least this", _bound("volume_300s", ">=")),
    "max_spread": Word("price", "the book's spread is at most this", _bound("spread", "<=")),
    "with_trend": Word("flag", "the trend regime is that of the plan's side",
                       _ours("trend_regime")),
    "trend_regime": Word("choice", "regime of trend", _level("trend_regime", TREND), TREND),
    "volume_regime": Word("choice", "regime of volume", _level("volume_regime", VOLUME), VOLUME),
    "book_regime": Word("choice", "quality of the book", _level("book_regime", BOOK), BOOK),
    "market_state": Word("choice", "state of the market", _level("market_state", STATES, 0),
                         STATES),
    "min_data_quality": Word("choice", "the source of the flow is at least this good",
                             _at_least("data_quality", QUALITY), QUALITY),
    "hours": Word("hours", "time of day UTC, the end exclusive, like 07:00-16:00", _hours),
    "weekdays": Word("days", "days of the week UTC, like mon-fri", _days),
    "where": Word("tests", "comparisons of any number, like 'atr_1m <= 25'", _tests),
}  # fmt: skip

WORDS: dict[str, Word] = {**ENTRY, **_FLOW, **_SEED, **_OWN}
"""Every condition by name."""

_STRUCTURE = "no detector of ours reads this structure"
_BARS = "it is an indicator of bars that no detector of ours computes"
_OTHERS = "the log of one symbol holds no other market"
_LABEL = "it says nothing that can be true or false"
NOT_ANSWERED: dict[str, str] = {
    **dict.fromkeys(("bos_", "choch_", "mss_", "fvg_", "breaker_block", "mitigation_block_",
                     "equal_highs", "equal_lows", "rejection_wick", "price_in_"), _STRUCTURE),
    **dict.fromkeys(("bb_", "inside_bar", "atr_stretch", "rmag_atr_ratio", "rsi_", "macd_"), _BARS),
    **dict.fromkeys(("correlation_", "dxy_", "spx_", "yield_", "ethbtc_", "nasdaq_"), _OTHERS),
    "kill_zone_active": "the seed does not say when; write hours = \"07:00-10:00\"",
    "news_": "the log holds no calendar of news",
    **dict.fromkeys(("bid_rebuild_speed", "ask_decay_speed"),
                    "the seed gives these speeds no unit; ask for liquidity_rebuild_confirmed"),
    "entry_levels": "a plan has one entry; write a plan for each level",
    "min_validation_score": "nothing computes this score; ask for min_confidence",
    **dict.fromkeys(("timeframe", "strategy_type", "plan_type"), _LABEL + "; put it into note"),
}  # fmt: skip
"""Beginnings of seed names that cannot be answered here, and why."""


def not_answered(name: str) -> str:
    """Why the seed's name ``name`` cannot be asked for; empty for any other name."""
    for start, why in NOT_ANSWERED.items():
        if name == start or (start.endswith("_") and name.startswith(start)):
            return why
    return ""
