"""Settings: every group, its parameters, and how a user's text becomes int64 in the params record.

Owns parsing (``5s``, ``250ms``, ``0.0015``, ``true``), the defaults, and the errors for unknown
keys and impossible values. A key is ``name`` for the strategy's own parameters and ``group.name``
for the rest. It refuses to know what a parameter does.
"""

from __future__ import annotations

import difflib
import re
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np

from data.errors import ConfigError
from data.events import FP9, KIND_BY_NAME, MONEY_SCALE, Scales
from data.times import parse_utc
from engine.runtime.compose import Composition
from engine.runtime.strategy import Param

_UNITS_NS = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
}
_INT64_MAX = (1 << 63) - 1

GROUPS: dict[str, tuple[Param, ...]] = {
    "decision": (
        Param("step", "duration", "5s", "decision grid, a whole number of seconds", column="step_ns"),
        Param("slow", "duration", "30s", "slow grid, a multiple of the step", column="slow_ns"),
        Param("idle", "duration", "1h", "silence after which boundaries are skipped", column="idle_ns"),
    ),
    "session": (
        Param("length", "duration", "1d", "length of a session", column="session_ns"),
        Param("offset", "duration", "0s", "start of a session after midnight UTC", column="session_offset_ns"),
    ),
    "feed": tuple(
        Param(f"latency_{name}", "duration", "0ms", f"delay of {name} events on their way to us")
        for name in ("trade", "depth", "quote", "bar")
    ),
    "sides": (
        Param("mode", "choice", "standard", "order of the side rules", ("standard", "seed")),
        Param("quote_age", "duration", "1s", "oldest quote that counts as synced"),
    ),
    "candles": (
        Param("grace", "duration", "1s", "how long a candle waits for late trades"),
    ),
    "footprint": (
        Param("row", "price", "0", "height of a price row (0: one price unit)", column="row_units"),
        Param("value", "ratio", "0.7", "share of the value area", low=0.01, high=1),
    ),
    "vwap": (Param("anchor", "time", "0", "the anchored VWAP begins here (0: first trade)"),),
    "book": (Param("stale", "duration", "5s", "a book older than this is not read"),),
    "flip": (
        Param("mode", "choice", "seed", "exit rule: seed (80 %), cusum, off", ("seed", "cusum", "off")),
        Param("share", "ratio", "0.8", "seed: share of the entry delta", low=0),
        Param("k", "ratio", "0.5", "CUSUM: slack, in sigmas", low=0),
        Param("h", "ratio", "4", "CUSUM: threshold, in sigmas", low=0),
    ),
    "sim": (
        Param("order_latency", "duration", "50ms", "from intent to the matching engine"),
        Param("response_latency", "duration", "50ms", "from a fill to our knowledge of it"),
        Param("taker_fee", "ratio", "0.0004", "commission of taking, share of notional", column="taker_ppb"),
        Param("maker_fee", "ratio", "0.0002", "commission of making, share of notional", column="maker_ppb"),
        Param("fee_per_unit", "money", "0", "commission per whole unit of quantity", column="fee_unit"),
        Param("spread", "price", "0", "spread where no book and no quote is known (half each side)", column="half_spread"),
        Param("slippage", "price", "0", "added against us where no book is known", column="slippage"),
        Param("stale", "duration", "5s", "a book or quote older than this is not traded on"),
        Param("price_stale", "duration", "0s", "a last price older than this is no price (0: off)"),
        Param("queue", "choice", "risk_averse", "queue model of limit orders", ("risk_averse", "power", "log", "ratio"), column="queue_model"),
        Param("queue_power", "count", "3", "exponent of the power and ratio models", low=1, high=8),
        Param("account", "choice", "netting", "netting or hedging account", ("netting", "hedging"), column="hedging"),
        Param("balance", "money", "10000", "balance at the start", low=0, column="start_balance"),
        Param("margin", "ratio", "0.05", "margin as a share of notional: 0.05 is leverage 20 (0: off)", low=0, high=1, column="margin_ppb"),
        Param("stop_out", "ratio", "0.5", "equity below this share of margin closes all (0: off)", low=0, column="stop_out_ppb"),
    ),
}
"""Settings of everything but the strategy, by group."""

GROUPS_OF_CORE = ("decision", "session", "feed")


def parse_value(p: Param, text: str, scales: Scales, where: str) -> int:
    """The int64 of ``text`` for parameter ``p``; ConfigError saying what is wrong and what fits."""
    try:
        value = _parse(p, text.strip(), scales)
    except (ValueError, InvalidOperation, ArithmeticError) as error:
        raise ConfigError(
            f"{text!r} is not a value for {where}",
            where=f"--set {where}",
            why=str(error) or f"a {p.kind} is asked for",
            do=f"{p.doc}; the default is {p.default}",
        ) from error
    if abs(value) > _INT64_MAX:
        raise ConfigError(f"{text!r} is too large for {where}", where=f"--set {where}")
    return value


def _number(p: Param, text: str) -> Decimal:
    value = Decimal(text)
    if not value.is_finite():
        raise ValueError("it must be a finite number")
    if p.low is not None and value < Decimal(str(p.low)):
        raise ValueError(f"it must be at least {p.low:g}")
    if p.high is not None and value > Decimal(str(p.high)):
        raise ValueError(f"it must be at most {p.high:g}")
    return value


def _duration(text: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ns|us|ms|s|m|h|d)", text)
    if match is None:
        if text == "0":
            return 0
        raise ValueError("a duration needs a unit: 250ms, 5s, 30m, 1h")
    value = Decimal(match[1]) * _UNITS_NS[match[2]]
    if value != value.to_integral_value():
        raise ValueError("it is finer than a nanosecond")
    return int(value)


def _parse(p: Param, text: str, scales: Scales) -> int:
    if p.kind == "duration":
        return _duration(text)
    if p.kind == "time":
        return 0 if text == "0" else parse_utc(text)
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
    scale = {"ratio": FP9, "money": 10**MONEY_SCALE, "price": 10**scales.price}[p.kind]
    return int((value * scale).to_integral_value())


def table(c: Composition) -> dict[str, Param]:
    """Every key that can be set for this fold, with its parameter."""
    keys = {p.name: p for p in c.strategy.params}
    have = {h.name for h in c.handlers} | set(GROUPS_OF_CORE) | ({"sim"} if c.simulated else set())
    for group, params in GROUPS.items():
        if group in have:
            keys.update({f"{group}.{p.name}": p for p in params})
    return keys


def settle(c: Composition, given: dict[str, str]) -> dict[str, str]:
    """All settings as text: defaults, the strategy's overrides, then ``given``.

    ConfigError for a key that does not exist, with the nearest one that does.
    """
    keys = table(c)
    values = {k: p.default for k, p in keys.items()}
    values.update(dict(c.strategy.overrides))
    for key, text in given.items():
        if key not in keys:
            close = difflib.get_close_matches(key, keys, n=1, cutoff=0.5)
            raise ConfigError(
                f"there is no setting {key!r}",
                where=f"--set {key}={text}",
                do=f"did you mean {close[0]!r}?" if close else f"settings: {', '.join(sorted(keys))}",
            )
        values[key] = text
    return values


def build(c: Composition, values: dict[str, str], scales: Scales) -> np.ndarray:
    """The params record, shape (1,), of settings that :func:`settle` returned."""
    params = np.zeros(1, dtype=c.params)
    keys = table(c)
    for key, text in values.items():
        p = keys[key]
        group = key.split(".")[0] if "." in key else "strategy"
        value = parse_value(p, text, scales, key)
        if group == "feed":
            kind = KIND_BY_NAME[p.name.removeprefix("latency_")]
            params["core"]["latency_ns"][0, int(kind)] = value
        else:
            record = "core" if group in GROUPS_OF_CORE else group
            params[record][p.field] = value
    _finish(c, params, scales)
    return params


def _finish(c: Composition, params: np.ndarray, scales: Scales) -> None:
    core = params["core"]
    _check_grid(int(core["step_ns"][0]), int(core["slow_ns"][0]), int(core["session_ns"][0]))
    mul, div = money_factors(scales)
    core["money_mul"] = mul
    core["money_div"] = div
    if c.simulated:
        sim = params["sim"]
        sim["mul"] = mul
        sim["div"] = div
        sim["qty_unit"] = 10**scales.qty
        sim["half_spread"] = (sim["half_spread"] + 1) // 2
        for name in ("price_step", "qty_step", "qty_min"):
            sim[name] = 1
        sim["qty_max"] = _INT64_MAX >> 1
    if any(h.name == "footprint" for h in c.handlers):
        rows: Any = params["footprint"]["row_units"]
        rows[rows < 1] = 1


def _check_grid(step: int, slow: int, session: int) -> None:
    second = _UNITS_NS["s"]
    if step < second or step % second:
        raise ConfigError("decision.step must be a whole number of seconds", where="--set decision.step")
    if slow < step or slow % step:
        raise ConfigError("decision.slow must be a multiple of decision.step", where="--set decision.slow")
    if session < 60 * second:
        raise ConfigError("session.length must be at least a minute", where="--set session.length")


def money_factors(scales: Scales) -> tuple[int, int]:
    """(mul, div) so that price * qty * mul / div is money at 1e-8 of the quote currency."""
    power = MONEY_SCALE - scales.price - scales.qty
    return (10**power, 1) if power >= 0 else (1, 10**-power)
