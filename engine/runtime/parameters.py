"""Settings: every group, its parameters, and how a user's text becomes int64 in the params record.

Owns parsing (``5s``, ``250ms``, ``0.0015``, ``true``), the defaults, and the errors for unknown
keys and impossible values. A key is ``name`` for the strategy's own parameters and ``group.name``
for the rest. It refuses to know what a parameter does.
"""

from __future__ import annotations

import difflib
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np

from data.errors import ConfigError, UsageError
from data.events import FP9, KIND_BY_NAME, MONEY_SCALE, Kind, Scales
from data.times import parse_utc
from data.units import INT64_MAX, NS_OF, parse_duration
from engine.broker.simulated import SimulatedBroker, money_factors
from engine.runtime.compose import LIVE, NONE, SIMULATED, Composition
from engine.runtime.day_zone import fill_zone, zone_switches
from engine.runtime.groups_broker import BROKER
from engine.runtime.groups_classifier import CLASSIFIER, check_classifiers
from engine.runtime.groups_core import CORE, GROUPS_OF_CORE
from engine.runtime.groups_desk import DESK
from engine.runtime.groups_proxy import PROXIES
from engine.runtime.groups_reference import REFERENCES, series_of
from engine.runtime.groups_risk import GUARDS
from engine.runtime.groups_trading import PRESETS, TRADING
from engine.runtime.strategy import Param

GROUPS: dict[str, tuple[Param, ...]] = {
    **CORE,
    "sides": (
        Param("mode", "choice", "standard", "order of the side rules", ("standard", "seed")),
        Param("quote_age", "duration", "1s", "oldest quote that counts as synced"),
    ),
    "candles": (Param("grace", "duration", "1s", "how long a candle waits for late trades"),),
    "footprint": (
        Param(
            "row",
            "price",
            "0",
            "height of a price row (0: one price unit)",
            low=0,
            column="row_units",
        ),
        Param("value", "ratio", "0.7", "share of the value area", low=0.01, high=1),
    ),
    "diagonal": (
        Param("ratio", "ratio", "3", "imbalance: a plain ratio, 3 is 300 %", low=1, high=50),
        Param("volume", "quantity", "0", "an imbalance is larger than this", low=0),
        Param("rows", "ratio", "1", "and than so many mean volumes of a row", low=0, high=1000),
        Param("zeros", "choice", "count", "a volume that met none", ("count", "ignore")),
        Param("stack", "count", "3", "neighbouring imbalances that make a stack", low=1, high=99),
        Param("life", "duration", "1m", "how long a stack speaks"),
        Param("zone_life", "duration", "30m", "how long its zone waits to be touched"),
    ),
    "auction": (
        Param("levels", "count", "5", "exhaustion: rows of growing volume", low=2, high=99),
        Param("volume", "quantity", "0", "exhaustion: the innermost is larger than this", low=0),
        Param("rows", "ratio", "1", "and than so many mean volumes of a row", low=0, high=1000),
        Param("zeros", "choice", "count", "exhaustion: an empty extreme", ("count", "ignore")),
        Param("filter", "quantity", "0", "unfinished: the extreme holds more than this", low=0),
        Param(
            "filter_rows",
            "ratio",
            "0.25",
            "and than so many mean volumes of a row",
            low=0,
            high=1000,
        ),
        Param("life", "duration", "1m", "how long either speaks"),
        Param("zone_life", "duration", "30m", "how long an unfinished line waits to be touched"),
    ),
    "delta_turn": (
        Param("z", "ratio", "1", "least delta, in standard deviations of past ones", low=0),
        Param("form", "choice", "any", "whose rule", ("any", "quantower", "atas", "marketdelta")),
        Param("length", "count", "346", "candles remembered: a half-life of 240", low=2),
        Param("warm", "count", "30", "candles before it speaks", low=2),
        Param("settle", "count", "15", "candles before a session's extremes count", low=1),
        Param("life", "duration", "1m", "how long a turn speaks"),
    ),
    "tape": (
        Param("rule", "choice", "auto", "speed: against its mean, or a count", ("auto", "fixed")),
        Param("ratio", "ratio", "1.5", "fast: so many times the mean of 15 s", low=1, high=1000),
        Param("sigmas", "ratio", "3", "fast: so many Poisson deviations above it", low=0),
        Param("least", "count", "20", "fast: at least so many trades in 15 s", low=1),
        Param("trades", "count", "100", "fast by the fixed rule: more than this in 15 s", low=1),
        Param("lean", "ratio", "0.2", "share of the volume that gives speed a side", low=0),
        Param(
            "size", "choice", "auto", "what makes a print large", ("auto", "quantity", "notional")
        ),
        Param("multiple", "ratio", "10", "large: times the mean print of 300 s", low=1, high=10000),
        Param("quantity", "quantity", "1", "large: more than this, by quantity", low=0),
        Param("notional", "money", "100000", "large: more than this, by notional", low=1),
        Param("life", "duration", "15s", "how long large prints speak"),
    ),
    "vwap": (Param("anchor", "time", "0", "the anchored VWAP begins here (0: first trade)"),),
    **REFERENCES,
    "book": (Param("stale", "duration", "5s", "a book older than this is not read"),),
    "atr": (Param("length", "count", "14", "candles averaged", low=1, high=250),),
    "pivots": (
        Param("bars", "count", "3", "minutes on each side of a pivot", low=1, high=60),
        Param("separation", "count", "5", "least minutes between two of a kind", low=1),
    ),
    "impact": (
        Param("length", "count", "346", "sums remembered (346: a half-life of 240)", low=1),
        Param("warm", "count", "240", "sums needed before any is judged", low=1),
        Param("activity", "flag", "true", "what is usual grows with the trades of a sum"),
        Param("clip", "ratio", "3", "a sum beyond so many sigmas is folded as that (0: as is)"),
    ),
    "cvd_divergence": (
        Param("mode", "choice", "standard", "standard or seed", ("standard", "seed")),
        Param("z_alpha", "ratio", "1.645", "least surprise of the flow, in sigmas", low=0),
        Param("price_z", "ratio", "0.5", "least move of the price, in sigmas"),
        Param("classic", "flag", "false", "the CVD must also go against the price"),
        Param("span", "count", "60", "most minutes between two pivots", low=1, high=240),
        Param("ttl", "duration", "5m", "how long a divergence speaks"),
    ),
    "vwap_deviation": (
        Param("warmup", "duration", "15m", "least stretch of the session that was seen"),
        Param("bars", "count", "30", "minutes of the efficiency ratio", low=1, high=250),
        Param("trend", "ratio", "0.5", "efficiency ratio above which it is a trend", low=0),
        Param("follow", "flag", "false", "lean with the move in a trend (false: keep silent)"),
    ),
    "delta_divergence": (
        Param("mode", "choice", "standard", "standard or seed", ("standard", "seed")),
        Param("bars", "count", "6", "minutes of the window", low=1, high=120),
        Param("z_alpha", "ratio", "2.5", "least surprise of the flow, in sigmas", low=0),
        Param("price_z", "ratio", "0.5", "least move of the price, in sigmas"),
        Param("classic", "flag", "false", "the flow must also go against the price"),
        Param("slope", "ratio", "0.001", "seed: threshold of both slopes, raw units", low=0),
        Param("divisor", "ratio", "0.01", "seed: divisor of the strength", low=1e-9),
    ),
    "cvd_trend": (
        Param("mode", "choice", "standard", "standard or seed", ("standard", "seed")),
        Param("bars", "count", "10", "minutes of the window", low=2, high=250),
        Param("t", "ratio", "1", "dead band of the t statistic", low=0),
    ),
    "absorption": (
        Param(
            "mode",
            "choice",
            "standard",
            "standard, seed (its price check is a stub), seed_atr (with the real one)",
            ("standard", "seed", "seed_atr"),
        ),
        Param("bars", "count", "3", "minutes of the window", low=1, high=60),
        Param("flow_z", "ratio", "2", "least flow, in sigmas", low=0),
        Param("shortfall", "ratio", "1.6", "least impact shortfall, in sigmas", low=0),
        Param("least", "ratio", "-0.5", "least efficiency (below it price went the other way)"),
        Param("most", "ratio", "0.35", "most efficiency"),
        Param("location", "ratio", "0", "furthest from a pivot, in ATR (0: anywhere)", low=0),
        Param("life", "duration", "5m", "how long an absorption speaks"),
        Param("zone_life", "duration", "1h", "how long a zone waits for trades to go through it"),
        Param("volume", "quantity", "100000", "seed: least volume of 60 s", low=0),
        Param("imbalance", "ratio", "1.5", "seed: ratio of bids to asks", low=1),
        Param("stall", "ratio", "0.1", "seed_atr: most movement, in ATR", low=0),
    ),
    "pressure": (
        Param("mode", "choice", "standard", "how it is read", ("standard", "seed")),
        Param("z", "ratio", "2", "flow of a step, in usual sizes", low=0.1),
        Param("imbalance", "ratio", "0.1", "log ratio of ten levels on the same side", low=0),
        Param("fade", "ratio", "0.8", "weight of a level against the one before", low=0.01, high=1),
        Param("length", "count", "240", "steps that the usual size remembers", low=1),
        Param("warm", "count", "60", "steps before it speaks", low=1),
    ),
    "toxicity": (
        Param("bucket", "quantity", "0", "volume of a bucket (0: a fiftieth of a day)", low=0),
        Param("buckets", "count", "50", "buckets in the window", low=2, high=64),
        Param("warm", "count", "12", "VPIN values before a rank; 5 m candles before a pace", low=1),
        Param("enter", "ratio", "0.9", "rank at which flow is toxic", low=0, high=1),
        Param("leave", "ratio", "0.8", "rank below which it is no longer", low=0, high=1),
        Param("unflagged", "ratio", "0.05", "most volume without the venue's flag", low=0, high=1),
        Param("minutes", "count", "240", "1 m candles that Kyle's lambda remembers", low=4),
    ),
    "regime": (
        Param("window", "count", "15", "1 m candles of volatility and trend", low=2, high=240),
        Param("burst", "count", "5", "1 m candles of volume", low=1, high=240),
        Param("warm", "count", "60", "past values before a rank is read", low=1, high=256),
        Param("dwell", "count", "5", "1 m candles for which a level stands", low=1),
        Param("enter", "ratio", "0.9", "rank at which a level is entered", low=0.5, high=1),
        Param("leave", "ratio", "0.8", "rank below which it is left", low=0.5, high=1),
        Param("trend_enter", "ratio", "0.5", "efficiency ratio of a trend", low=0, high=1),
        Param("trend_leave", "ratio", "0.3", "efficiency ratio that ends it", low=0, high=1),
    ),
    "walls": (
        Param("mode", "choice", "standard", "how near is near", ("standard", "seed")),
        Param("ratio", "ratio", "3", "a wall against the mean level", low=1),
        Param("notional", "money", "500", "smallest wall", low=0),
        Param("alive", "duration", "2s", "age at which a wall that goes is a spoof"),
        Param(
            "near", "count", "5", "standard: levels from the touch that are near", low=1, high=25
        ),
        Param("eaten", "ratio", "0.5", "share traded at which a wall was no spoof", low=0, high=1),
        Param("memory", "duration", "60s", "how long a pulled wall counts"),
        Param("spoof", "ratio", "0.72", "score at which a direction is said", low=0, high=1),
    ),
    "market_state": (
        Param("mode", "choice", "standard", "how a price move is read", ("standard", "seed")),
        Param("stale", "duration", "5s", "silence of the book (without one, of trades)"),
        Param("pump_on", "ratio", "0.7", "pump score that enters PUMP", low=0, high=1),
        Param("pump_off", "ratio", "0.6", "pump score below which it is left", low=0, high=1),
        Param("jump", "ratio", "0.06", "move of one step that is a pump by itself", low=0),
        Param("spoof_on", "ratio", "0.72", "spoof score that enters MANIPULATED", low=0, high=1),
        Param("spoof_off", "ratio", "0.65", "spoof score below which it is left", low=0, high=1),
        Param("dwell", "duration", "10s", "least time in PUMP and MANIPULATED"),
        Param("cooldown", "duration", "12s", "least time in COOLDOWN"),
        Param("spike", "ratio", "10", "times its usual size that counts fully", low=1.1),
        Param("length", "count", "720", "steps that the usual sizes remember", low=1),
        Param("warm", "count", "60", "steps before a pump can be told", low=1),
    ),
    "order_block": (
        Param("frames", "choice", "both", "candles that blocks are of", ("both", "1m", "5m")),
        Param("candles", "count", "5", "how far back the block may lie", low=1, high=60),
        Param("displacement", "ratio", "1.5", "least move after it, in ATR", low=0.1),
        Param("life", "duration", "2h", "how long a block waits"),
    ),
    "sweep": (
        Param("age", "count", "10", "least minutes that a level has stood", low=1, high=240),
        Param("bars", "count", "3", "minutes until the level must be given back", low=1, high=60),
        Param("history", "count", "60", "minutes of the usual volume and flow", low=2, high=240),
        Param("least", "ratio", "0.05", "least penetration, in ATR", low=0),
        Param("most", "ratio", "0.6", "most penetration, in ATR: beyond it is a breakout", low=0),
        Param("reclaim", "ratio", "0.05", "least way back below the level, in ATR"),
        Param("burst", "ratio", "2", "least z of a minute's volume"),
        Param("push", "ratio", "1", "least flow into the level, in usual minutes", low=0),
        Param("turn", "ratio", "1", "least flow back, in usual minutes", low=0),
        Param("round", "price", "0", "grid of round numbers (0: none are levels)", low=0),
        Param("offset", "price", "0", "distance of the stops beyond a round number"),
        Param("life", "duration", "5m", "how long a sweep speaks"),
    ),
    "replenish": (
        Param("ratio", "ratio", "3", "traded at a level against the most it showed", low=1),
        Param("least", "ratio", "1", "traded there against the mean level", low=0),
        Param("away", "duration", "5s", "how long a level may be behind a better one"),
        Param("hold", "duration", "30s", "how long the signal speaks while the level stands"),
    ),
    **CLASSIFIER,
    **TRADING,
    **DESK,
    **GUARDS,
    **BROKER,
    **PROXIES,
}
"""Settings of everything but the strategy, by group."""

OF_BROKER = {SIMULATED: {"sim"}, LIVE: {"sim", "basis"}, NONE: set[str]()}
"""Groups of the account, by who fills the orders of a fold."""


def parse_value(p: Param, text: str, scales: Scales, where: str) -> int:
    """The int64 of ``text`` for parameter ``p``; ConfigError saying what is wrong and what fits."""
    try:
        value = _parse(p, text.strip(), scales)
    except (ValueError, ArithmeticError) as error:
        raise ConfigError(
            f"{text!r} is not a value for {where}",
            where=f"--set {where}",
            why=str(error) or f"a {p.kind} is asked for",
            do=f"{p.doc}; the default is {p.default}",
        ) from error
    if abs(value) > INT64_MAX:
        raise ConfigError(
            f"{text!r} is too large for {where}",
            where=f"--set {where}",
            do=f"{p.doc}; the default is {p.default}",
        )
    return value


def _number(p: Param, text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ValueError("it is not a number") from None
    if not value.is_finite():
        raise ValueError("it must be a finite number")
    if p.low is not None and value < Decimal(str(p.low)):
        raise ValueError(f"it must be at least {p.low:g}")
    if p.high is not None and value > Decimal(str(p.high)):
        raise ValueError(f"it must be at most {p.high:g}")
    return value


def _parse(p: Param, text: str, scales: Scales) -> int:
    if p.kind == "duration":
        return parse_duration(text)
    if p.kind == "time":
        return 0 if text == "0" else _time(text)
    if p.kind == "series":
        return 0 if text == "none" else len(series_of(text)) // 2
    if p.kind == "zone":
        return len(zone_switches(text))
    if p.kind == "choice":
        if text not in p.choices:
            raise ValueError(f"it must be one of {', '.join(p.choices)}")
        return p.choices.index(text)
    if p.kind == "flag":
        words = {"true": 1, "yes": 1, "on": 1, "1": 1, "false": 0, "no": 0, "off": 0, "0": 0}
        if text.lower() not in words:
            raise ValueError("it must be true or false")
        return words[text.lower()]
    value = _number(p, text)
    if p.kind == "count":
        if value != value.to_integral_value():
            raise ValueError("it must be a whole number")
        return int(value)
    return _fixed(p.kind, value, scales)


def _time(text: str) -> int:
    try:
        return parse_utc(text)
    except UsageError as error:
        raise ValueError(f"{error.why}; {error.do}") from error


def _fixed(kind: str, value: Decimal, scales: Scales) -> int:
    """``value`` in the units of its kind; ValueError where it would be lost or changed.

    A price or a quantity lies on the instrument's grid; a ratio or an amount of money may be
    rounded, but not to nothing.
    """
    scale = {
        "ratio": FP9,
        "money": 10**MONEY_SCALE,
        "price": 10**scales.price,
        "quantity": 10**scales.qty,
    }[kind]
    whole = int((value * scale).to_integral_value())
    exact = kind in ("price", "quantity")
    if whole != value * scale if exact else value and not whole:
        raise ValueError(f"it is finer than {Decimal(1) / scale:f}, the smallest {kind} kept")
    return whole


def table(c: Composition) -> dict[str, Param]:
    """Every key that can be set for this fold, with its parameter."""
    keys = {p.name: p for p in c.strategy.params}
    have = {h.name for h in c.handlers} | set(GROUPS_OF_CORE) | OF_BROKER[c.broker]
    for group, params in GROUPS.items():
        if group in have:
            keys.update({f"{group}.{p.name}": p for p in params})
    return keys


def settle(c: Composition, given: dict[str, str]) -> dict[str, str]:
    """All settings as text: defaults, the strategy's overrides, then ``given``.

    A preset changes the defaults of its group where it is named: what the strategy overrides stands
    over a preset that the strategy names, and what is given stands over all.

    ConfigError for a key that does not exist, with the nearest one that does.
    """
    keys = table(c)
    values = {k: p.default for k, p in keys.items()}
    own = dict(c.strategy.overrides)
    values.update(_of_presets(own, values) | own)
    values.update(_of_presets(given, values))
    for key, text in given.items():
        if key not in keys:
            close = difflib.get_close_matches(key, keys, n=1, cutoff=0.5)
            raise ConfigError(
                f"there is no setting {key!r}",
                where=f"--set {key}={text}",
                do=f"did you mean {close[0]!r}?"
                if close
                else f"settings: {', '.join(sorted(keys))}",
            )
        values[key] = text
    return values


def _of_presets(chosen: dict[str, str], values: dict[str, str]) -> dict[str, str]:
    """Values of the presets that ``chosen`` names, of groups that there are."""
    found: dict[str, str] = {}
    for group, presets in PRESETS.items():
        named = presets.get(chosen.get(f"{group}.preset", ""), {})
        found.update({f"{group}.{k}": v for k, v in named.items() if f"{group}.{k}" in values})
    return found


def build(
    c: Composition, values: dict[str, str], scales: Scales, *, apart: bool = False
) -> np.ndarray:
    """The params record, shape (1,), of settings that :func:`settle` returned.

    ``apart``: orders are executed in another series than the one whose flow is read (live only).
    """
    params = np.zeros(1, dtype=c.params)
    keys = table(c)
    for key, text in values.items():
        p = keys[key]
        group = key.split(".")[0] if "." in key else "strategy"
        value = parse_value(p, text, scales, key)
        if group == "sim":
            continue
        if group != "feed":
            record = "core" if group in GROUPS_OF_CORE else group
            _put(params[record], p.field, value)
    for kind, latency_ns in feed_latency(values).items():
        params["core"]["latency_ns"][0, int(kind)] = latency_ns
    core = params["core"]
    for name in ("price_step", "qty_step", "qty_min"):
        core[name] = 1
    core["qty_unit"] = 10**scales.qty
    if c.account:
        params["sim"] = broker_of(values, scales).record(scales)
        for name in ("price_step", "qty_step", "qty_min", "taker_ppb", "fee_unit"):
            core[name] = params["sim"][name]
    if c.live:
        params["live"]["apart"] = int(apart)
        for name in ("order_latency_ns", "response_latency_ns", "stop_out_ppb"):
            params["sim"][name] = 0  # latencies are what they are, and the broker stops out
    if "risk.zone" in values:
        fill_zone(params["risk"], values["risk.zone"].strip())
    _finish(c, params, scales)
    return params


def _put(record: np.ndarray, field: str, value: int) -> None:
    """Set ``field``, or one place of an array (``beta_fp9[3]``), of a record of shape (1,)."""
    name, _, place = field.rstrip("]").partition("[")
    record[name][(0, int(place)) if place else 0] = value


def feed_latency(values: dict[str, str]) -> dict[Kind, int]:
    """Nanoseconds from exchange time to our knowledge, by kind, from the ``feed.`` settings."""
    plain = Scales(0, 0)
    return {
        KIND_BY_NAME[p.name.removeprefix("latency_")]: parse_value(
            p, values[f"feed.{p.name}"], plain, f"feed.{p.name}"
        )
        for p in GROUPS["feed"]
    }


def broker_of(values: dict[str, str], scales: Scales) -> SimulatedBroker:
    """The simulated broker that the ``sim.`` settings among ``values`` describe."""
    chosen: dict[str, Any] = {}
    for p in GROUPS["sim"]:
        text = values[f"sim.{p.name}"].strip()
        if p.kind == "duration":
            chosen[f"{p.name}_ns"] = parse_value(p, text, scales, f"sim.{p.name}")
        elif p.kind in ("choice", "count"):
            chosen[p.name] = text if p.kind == "choice" else int(text)
        else:
            chosen[p.name] = Decimal(text)
    return SimulatedBroker(**chosen)


def _finish(c: Composition, params: np.ndarray, scales: Scales) -> None:
    core = params["core"]
    _check_grid(int(core["step_ns"][0]), int(core["slow_ns"][0]), int(core["session_ns"][0]))
    core["money_mul"], core["money_div"] = money_factors(scales)
    for h in c.handlers:
        if h.params is not None and "price_scale" in (h.params.names or ()):
            params[h.name]["price_scale"] = 10**scales.price
            params[h.name]["qty_scale"] = 10**scales.qty
    check_classifiers(params)
    if any(h.name == "footprint" for h in c.handlers):
        rows: Any = params["footprint"]["row_units"]
        rows[rows < 1] = 1


def _check_grid(step: int, slow: int, session: int) -> None:
    second = NS_OF["s"]
    if step < second or step % second:
        raise ConfigError(
            "decision.step must be a whole number of seconds",
            where="--set decision.step",
            do="write, for example, --set decision.step=5s",
        )
    if slow < step or slow % step:
        raise ConfigError(
            "decision.slow must be a multiple of decision.step",
            where="--set decision.slow",
            do="write, for example, --set decision.slow=30s",
        )
    if session < 60 * second:
        raise ConfigError(
            "session.length must be at least a minute",
            where="--set session.length",
            do="write, for example, --set session.length=1d",
        )
