"""The simulated broker: its parameters, and every assumption of its fill model.

Owns the python side of simulated matching: a checked set of parameters in human units, their
defaults, and the int64 record that the kernel reads (``engine.kernel.matching_state.SIM_PARAMS``).
It refuses to know how anything is matched; that is compiled, in ``engine.kernel.matching``. This
page says in prose what the code does. Fill model version: :data:`MODEL_VERSION`; it is part of
every fill row (``model`` = version * 10 + queue model) and of a run's manifest.

Time
    One clock, exchange time. An order sent at ``t`` reaches the matching engine at ``t`` + order
    latency and meets the market as it was known just before that instant; its fills are known to
    the strategy one response latency after they happen, and so are the balance, the position and
    the end of the order. Latencies are constants. Cancels and moved stops travel like orders, in
    the same line: nothing overtakes. Exchange times of different streams may step back by seconds;
    an event never fills an order that became active after the event's own time, and no record's
    time ever goes back. (A venue's own matching delay, throttling and outages are not modelled.)
    What traded inside a gap of the log fills nothing; the first event after it acts.

Market orders
    Walk the last snapshot level by level, one fill a level, if it is not older than ``stale``.
    What was taken is gone until the next snapshot, for all our orders. What the visible levels
    cannot serve is cancelled, NO_LIQUIDITY; an order that finds nothing at all is REJECTED. Without
    a snapshot: the touch of a quote not older than ``stale``, plus slippage; without that: the
    last price, plus half the spread, plus slippage; both serve any quantity (choose it small
    against the market). Without any price: REJECTED, NO_PRICE. A quote that is newer than the
    snapshot bounds the snapshot's prices from the unfavourable side. There is no market impact
    beyond the levels taken: the next snapshot shows them as if we had not been there.

Limit orders
    On arrival they take what is not worse than their price (unless post-only: REJECTED,
    WOULD_TAKE; immediate-or-cancel orders end with what they got). The rest waits.
    A trade beyond the price fills everything at the limit price. A trade at the price, by an
    aggressor of the other side (a trade of unknown side serves nobody), first consumes the queue
    ahead of us (``queue_ahead`` of the fill: as it stood before that trade, 0 where unknown), then
    fills us with what it has left; our own orders at one price share one trade, older first, and
    never get more than it traded. A snapshot or quote whose other side reaches our price fills as
    maker what it shows there, no more. All these fills are at our own price.
    The queue ahead is everything visible at the price on arrival; 0 for a price inside the
    spread; unknown for a price that is not visible, and then only a trade beyond it fills until a
    snapshot or quote shows the level, whose total is then ahead of us. How cancellations shorten
    the queue is the queue model's choice: ``risk_averse`` (behind us as long as possible),
    ``power``, ``log`` or ``ratio`` (see ``engine.kernel.queue_position``). Trades that a snapshot
    already contains are not counted again. Our own quantity is not in the log, so it stands in
    nobody's way: two of our own orders never trade with each other.

Stops and targets
    Sent with the order that opens a position, held by the broker, one pair a position, for all of
    it; no latency. A later order that enlarges the position replaces what it brings. The stop
    fires when a trade prints at its price or beyond, or when the touch (bid for a long, ask for a
    short) is there, and fills as a market order, never better than the price that fired it. What
    the book cannot serve then stays triggered and is tried again at every event. The target is a
    limit order without any credit in the queue: a trade must print beyond it, or the touch must
    reach it, and then it fills what is shown (after a trade: all), at its price, as maker.

Bars
    Act only where no trade, quote or snapshot was seen since the bar's start. Stops first, then
    targets, then limits, then stops of what those opened. A stop fills at its price, or at the open
    where the bar opened beyond it, minus half the spread and slippage; targets and limits need a
    price beyond theirs. Of the bar in which an order arrived, its whole range counts for the stop,
    but only its close for limits and targets.

The touch in the records
    An order carries the bid and ask at the time it was sent (a stop or target: when it fired), a
    fill those in the matching engine at that moment: what a taker of either side would have met
    first, before slippage; 0 where nothing is shown. Where only the last price is known they are
    that price with half the spread on either side. Of a stop that a bar reached they are what its
    fill assumed, half the spread around the price it went at; of a target or limit reached inside
    a bar they are not known, 0.

Account
    Netting: one position; an opposite order reduces it, then opens the other side as a new
    position. Hedging: a position for every entry; only reduce-only orders close, the oldest first.
    Money is int64 at 1e-8, rounded half away from zero, fill by fill; average costs are rounded
    against us and sum exactly. Commission: a share of notional (taker or maker; a negative maker
    fee is a rebate) plus a fee per whole unit. Margin is a share of the notional at entry; an order
    whose opening part the equity cannot bear is REJECTED, MARGIN (a resting one is cancelled when
    it would fill). At every decision boundary an equity below ``stop_out`` of the margin ends all
    resting orders and closes all positions at the market. Open results are valued at the touch.
    Swap, funding, interest and taxes are not modelled.

Limits
    32 orders open or under way, 16 positions, 64 requests under way: beyond that NO_SLOT. Products
    that could leave int64 are refused (OVERFLOW) and counted, like every other violation.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from decimal import Decimal
from typing import Any

import numpy as np

from data.errors import ConfigError
from data.events import MONEY_SCALE, Scales
from engine.kernel.matching_state import MODEL_VERSION, SIM_PARAMS, VIOLATION_NAMES

__all__ = ["ACCOUNTS", "MODEL_VERSION", "QUEUE_MODELS", "VIOLATION_NAMES", "SimulatedBroker"]

QUEUE_MODELS = ("risk_averse", "power", "log", "ratio")
"""Names of the queue models; the index is the code in the params record and in ``model``."""

ACCOUNTS = ("netting", "hedging")
"""Names of the account kinds; the index is the ``hedging`` flag."""

_INT64_MAX = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class SimulatedBroker:
    """Parameters of simulated matching, in human units; :meth:`record` makes the kernel's record.

    Latencies and ages are int nanoseconds (``*_ns``; 0 turns ``price_stale_ns`` off), prices and
    quantities are in units of the instrument, money in account currency, fees and margins are
    shares of notional (0.0004 is 4 basis points; a ``margin`` of 0.05 is leverage 20; 0 is off).
    ``price_step``, ``qty_step`` and ``qty_min`` of 0 mean one unit of the log's scale. Raises
    ConfigError, naming the parameter, for a value that is out of range.
    """

    order_latency_ns: int = 50_000_000
    response_latency_ns: int = 50_000_000
    stale_ns: int = 5_000_000_000
    price_stale_ns: int = 0
    spread: Decimal = Decimal(0)
    slippage: Decimal = Decimal(0)
    taker_fee: Decimal = Decimal("0.0004")
    maker_fee: Decimal = Decimal("0.0002")
    fee_per_unit: Decimal = Decimal(0)
    balance: Decimal = Decimal(10_000)
    margin: Decimal = Decimal("0.05")
    stop_out: Decimal = Decimal("0.5")
    account: str = "netting"
    queue_model: str = "risk_averse"
    queue_power: int = 3
    price_step: Decimal = Decimal(0)
    qty_step: Decimal = Decimal(0)
    qty_min: Decimal = Decimal(0)
    qty_max: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        """Check every number and every word."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, int | Decimal):
                _check(field.name, Decimal(value))
        _check_choice("account", self.account, ACCOUNTS)
        _check_choice("queue_model", self.queue_model, QUEUE_MODELS)

    def record(self, scales: Scales) -> np.ndarray:
        """The params record, shape (1,), dtype SIM_PARAMS, for an instrument of these scales.

        Raises ConfigError where a price or quantity is not a whole number of the log's units.
        """
        params = np.zeros(1, dtype=SIM_PARAMS)
        r = params[0]
        for name in ("order_latency_ns", "response_latency_ns", "stale_ns", "price_stale_ns"):
            r[name] = getattr(self, name)
        r["half_spread"] = (_units("spread", self.spread, scales.price) + 1) // 2
        r["slippage"] = _units("slippage", self.slippage, scales.price)
        r["taker_ppb"] = _units("taker_fee", self.taker_fee, 9)
        r["maker_ppb"] = _units("maker_fee", self.maker_fee, 9)
        r["fee_unit"] = _units("fee_per_unit", self.fee_per_unit, MONEY_SCALE)
        r["start_balance"] = _units("balance", self.balance, MONEY_SCALE)
        r["margin_ppb"] = _units("margin", self.margin, 9)
        r["stop_out_ppb"] = _units("stop_out", self.stop_out, 9)
        r["hedging"] = ACCOUNTS.index(self.account)
        r["queue_model"] = QUEUE_MODELS.index(self.queue_model)
        r["queue_power"] = self.queue_power
        r["price_step"] = max(1, _units("price_step", self.price_step, scales.price))
        r["qty_step"] = max(1, _units("qty_step", self.qty_step, scales.qty))
        r["qty_min"] = max(1, _units("qty_min", self.qty_min, scales.qty))
        r["qty_max"] = _units("qty_max", self.qty_max, scales.qty) or _INT64_MAX >> 1
        derive(r, scales)
        return params

    def describe(self) -> dict[str, Any]:
        """What a manifest says about the fill model: version and parameters as text or int."""
        shown = {k: str(v) if isinstance(v, Decimal) else v for k, v in asdict(self).items()}
        return {"model": "simulated", "version": MODEL_VERSION, **shown}


def money_factors(scales: Scales) -> tuple[int, int]:
    """(mul, div) so that price * qty * mul / div is money at 1e-8 of the quote currency."""
    power = MONEY_SCALE - scales.price - scales.qty
    return 10 ** max(0, power), 10 ** max(0, -power)


def derive(record: Any, scales: Scales) -> None:
    """Set what follows from the scales in a SIM_PARAMS record: money factors and the whole unit."""
    record["mul"], record["div"] = money_factors(scales)
    record["qty_unit"] = 10**scales.qty


def _units(name: str, value: Decimal, scale: int) -> int:
    """``value`` as a whole number of 10**-scale; ConfigError where it is not or is too large."""
    units = Decimal(value).scaleb(scale)
    if units != units.to_integral_value() or abs(units) > _INT64_MAX:
        raise ConfigError(
            f"{value} does not fit {name}",
            where=f"sim.{name}",
            why=f"it must be a whole number of 1e-{scale} and fit into 64 bits",
            do=f"round it to {scale} decimals",
        )
    return int(units)


def _check(name: str, value: Decimal) -> None:
    """ConfigError where a number is out of the range of its parameter."""
    low, high = Decimal(0), Decimal("Infinity")
    if name == "maker_fee":
        low, high = Decimal(-1), Decimal(1)
    elif name in ("taker_fee", "margin", "stop_out"):
        high = Decimal(1)
    elif name == "queue_power":
        low, high = Decimal(1), Decimal(8)
    if not value.is_finite() or not low <= value <= high:
        raise ConfigError(
            f"{value} is out of range for {name}",
            where=f"sim.{name}",
            why=f"it must lie in {low} .. {high}",
            do="choose a value in that range",
        )


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """ConfigError where a word is not one of the choices."""
    if value not in choices:
        raise ConfigError(
            f"{value!r} is not a choice for {name}",
            where=f"sim.{name}",
            why=f"it must be one of {', '.join(choices)}",
            do=f"choose one, for example {choices[0]}",
        )
