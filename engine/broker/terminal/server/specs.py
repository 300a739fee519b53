"""What is traded and by whom: the facts of a symbol and of an account, and symbols by name.

Owns :class:`SymbolSpec`, :class:`AccountSpec` and the defaults of a symbol that only its name is
known of (currency pairs 100,000 a lot, gold 100, silver 5,000, coins 1; a broker's suffix changes
nothing). What must hold: a fact that a name does not tell is the commonest one among retail
brokers, and every one of them can be set.

It refuses to know prices and time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from typing import Any

from data.errors import ConfigError
from engine.broker.terminal.server.clock import HOURS
from engine.broker.terminal.server.words import Execution, Fills, Margin, TradeMode

LOT = 100_000_000
"""Volumes are int64 at 1e-8 of a lot."""

FOREX, CFD, CFD_LEVERAGE = 0, 2, 4
"""Ways to work out margin: lots x contract / leverage; x price; x price / leverage."""

_CURRENCIES = "USD|EUR|GBP|JPY|CHF|AUD|NZD|CAD|SEK|NOK|DKK|PLN|HUF|CZK|MXN|ZAR|TRY|SGD|HKD|CNH"
_PAIR = re.compile(rf"({_CURRENCIES})({_CURRENCIES})(?![A-Z0-9])")
_METAL = re.compile(rf"(XAU|XAG|XPT|XPD)({_CURRENCIES})?")
_COIN = re.compile(r"([A-Z0-9]{2,6})(USDT|USDC|USD|EUR)(?![A-Z0-9])")
_COINS = frozenset(
    ["BTC", "ETH", "SOL", "BNB", "XRP", "ADA", "DOGE", "LTC", "BCH", "DOT", "LINK", "AVAX", "TRX"]
)
_METAL_LOT = {"XAU": 100, "XAG": 5_000, "XPT": 100, "XPD": 100}
_METAL_DIGITS = {"XAU": 2, "XAG": 3, "XPT": 2, "XPD": 2}


@dataclass(frozen=True, slots=True)
class SymbolSpec:
    """A symbol. ``digits`` of its price; ``tick`` (points) is what prices are multiples of;
    ``contract`` units a lot; volumes in lots; ``stops_level`` and ``freeze_level`` in points;
    ``commission`` and ``fee`` of a lot and side, in the account's currency; swaps in points of a
    lot and night; ``spread`` in points where a log has no quotes; ``hours`` see
    :data:`engine.broker.terminal.server.clock.HOURS`; ``obeys_depth``: no order fills more than
    stands at the touch, where quotes say how much that is. Enumerations and bits are the package's.
    """

    name: str
    digits: int = 2
    tick: int = 1
    contract: float = 1.0
    currency_base: str = "USD"
    currency_profit: str = "USD"
    calc_mode: int = CFD_LEVERAGE
    execution: int = Execution.MARKET
    filling: int = Fills.FOK | Fills.IOC
    trade_mode: int = TradeMode.FULL
    order_mode: int = 127
    expiration_mode: int = 15
    volume_min: float = 0.01
    volume_max: float = 100.0
    volume_step: float = 0.01
    volume_limit: float = 0.0
    stops_level: int = 0
    freeze_level: int = 0
    spread: int = 10
    leverage: float = 0.0
    margin_hedged: float = 0.0
    commission: float = 0.0
    fee: float = 0.0
    swap_long: float = 0.0
    swap_short: float = 0.0
    triple_swap_day: int = 3
    hours: str = "always"
    obeys_depth: bool = False
    tells_price: bool = True
    description: str = ""

    def __post_init__(self) -> None:
        """ConfigError where a value cannot be."""
        checks = {
            "digits": 0 <= self.digits <= 8,
            "tick": self.tick >= 1,
            "contract": self.contract > 0,
            "volume_step": self.volume_step > 0,
            "volume_min": 0 < self.volume_min <= self.volume_max,
            "stops_level": self.stops_level >= 0,
            "freeze_level": self.freeze_level >= 0,
            "hours": self.hours in HOURS,
            "name": 0 < len(self.name) <= 29,
        }
        for key, right in checks.items():
            if not right:
                raise ConfigError(
                    f"symbol {self.name}: {key} cannot be {getattr(self, key)!r}",
                    do=f"hours are {', '.join(HOURS)}" if key == "hours" else "set another value",
                )

    @property
    def scale(self) -> int:
        """Points in a price of 1."""
        return int(10**self.digits)

    def price(self, points: float) -> float:
        """A price in points as the package shows it; 0 stays 0."""
        return round(points / self.scale, self.digits)

    def points(self, price: float) -> int:
        """The nearest whole number of points."""
        return round(price * self.scale)

    def is_price(self, price: float) -> bool:
        """Whether a price is a multiple of the tick, as far as a double can tell."""
        exact = price * self.scale
        whole = round(exact)
        return whole % self.tick == 0 and abs(exact - whole) < 1e-4

    def lots(self, volume: int) -> float:
        """A volume in lots."""
        return volume / LOT


@dataclass(frozen=True, slots=True)
class AccountSpec:
    """An account. ``balance`` is what it starts with; ``margin_mode`` see
    :class:`engine.broker.terminal.server.words.Margin`; ``stop_out`` and ``margin_call`` are margin
    levels in percent; limits count open positions and pending orders (0: none), ``requests`` the
    most trade requests a second (0: no limit); ``rates`` are prices in the account's currency of
    one unit of others that no symbol tells; ``keeps_magic``: orders that the server makes carry the
    magic of their position; ``real`` and ``only_real``: what the account is, and what the server
    trades with.
    """

    login: int = 5_000_001
    password: str = ""
    server: str = "ofs-Sandbox"
    name: str = "Sandbox"
    company: str = "ofs"
    currency: str = "USD"
    currency_digits: int = 2
    balance: float = 10_000.0
    credit: float = 0.0
    leverage: int = 100
    margin_mode: int = Margin.HEDGING
    margin_call: float = 100.0
    stop_out: float = 30.0
    limit_orders: int = 200
    limit_positions: int = 0
    requests: int = 0
    fifo: bool = False
    hedging_banned: bool = False
    trade_allowed: bool = True
    trade_expert: bool = True
    real: bool = False
    only_real: bool = False
    keeps_magic: bool = True
    lag_s: float = 0.0
    rates: tuple[tuple[str, float], ...] = ()

    @property
    def hedging(self) -> bool:
        """Whether every entry is a position of its own."""
        return self.margin_mode == Margin.HEDGING


def changed(spec: Any, values: dict[str, Any], where: str) -> Any:
    """``spec`` (a symbol or an account) with ``values`` of a file; ConfigError for a wrong key or
    a value of another type."""
    types = {f.name: f.type for f in fields(spec)}
    for key, value in values.items():
        known = types.get(key)
        if known is None or key == "rates":
            raise ConfigError(
                f"there is no key {key!r}", where=where, do=f"use one of: {', '.join(types)}"
            )
        numbers = isinstance(value, (int, float)) and not isinstance(value, bool)
        right = {"int": isinstance(value, int) and not isinstance(value, bool), "float": numbers,
                 "bool": isinstance(value, bool), "str": isinstance(value, str)}  # fmt: skip
        if not right[str(known)]:
            raise ConfigError(f"{key} cannot be {value!r}", where=where, do=f"write a {known}")
    return replace(spec, **values)


def spec_of(name: str, **known: Any) -> SymbolSpec:
    """The usual facts of a symbol called ``name``; ``known`` ones take their place."""
    return replace(_by_name(name), **known)


def _by_name(name: str) -> SymbolSpec:
    upper = name.upper()
    metal = _METAL.match(upper)
    if metal:
        base, quote = metal[1], metal[2] or "USD"
        return SymbolSpec(
            name, digits=_METAL_DIGITS[base], contract=_METAL_LOT[base], currency_base=base,
            currency_profit=quote, spread=20, hours="metals", description=f"{base} in {quote}",
        )  # fmt: skip
    coin = _COIN.match(_bare(name))
    if coin and coin[1] in _COINS:
        # a coin quoted in a dollar token is a CFD in dollars at every broker that has one
        quote = "EUR" if coin[2] == "EUR" else "USD"
        return SymbolSpec(
            name, digits=2, contract=1.0, currency_base=coin[1], currency_profit=quote,
            spread=200, leverage=10.0, description=f"{coin[1]} in {quote}",
        )  # fmt: skip
    pair = _PAIR.match(_bare(name))
    if pair:
        return SymbolSpec(
            name, digits=3 if pair[2] == "JPY" else 5, contract=100_000.0, currency_base=pair[1],
            currency_profit=pair[2], calc_mode=FOREX, hours="fx",
            description=f"{pair[1]} in {pair[2]}",
        )  # fmt: skip
    return SymbolSpec(name, hours="fx", calc_mode=CFD, description=name)


def _bare(name: str) -> str:
    """A name without what a broker hung on: EURUSDm, EURUSD.raw, BTCUSDc, EURUSD#."""
    found = re.match(r"[A-Z0-9]+", name)
    return found[0] if found else name.upper()
