"""A symbol of a terminal: its numbers turned into the integers of the log, and back.

Owns what a symbol's properties mean: contract size and volume steps as base quantities, points and
tick sizes as price units, bits of filling modes as the ones to try. Floats end here; they are read
by their shortest decimal form, so that 0.1 + 0.2 of a server is 0.3 again.

What must hold: a price that is sent lies on the symbol's tick size, a volume on its step, and both
are floats; what does not fit the session's scales is refused when connecting, not when trading.
It refuses to know accounts and requests.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal
from typing import Any

from data.errors import ConfigError
from data.events import MONEY_SCALE, Scales
from engine.broker.protocol import Instrument

FILLING_FOK, FILLING_IOC, FILLING_RETURN = 0, 1, 2
"""Values of ``type_filling`` in a request."""

_BIT_FOK, _BIT_IOC = 1, 2
"""Bits of a symbol's ``filling_mode``, which are other numbers than a request's."""

EXECUTION_INSTANT, EXECUTION_MARKET, EXECUTION_EXCHANGE = 1, 2, 3
"""Execution modes. In market and exchange a price is only a wish; instant and request (0) obey."""

TRADE_MODES = {0: "off", 1: "long", 2: "short", 3: "close", 4: "full"}
_FLOAT_DIGITS = 10
_DECIMALS_MOST = 12


def exact(value: float, digits: int = _FLOAT_DIGITS) -> Decimal:
    """A server's float as the decimal number that was meant."""
    return Decimal(repr(round(float(value), digits)))


def money(value: float) -> int:
    """An amount of account currency, int64 at 1e-8."""
    return int(exact(value, MONEY_SCALE).scaleb(MONEY_SCALE).to_integral_value(ROUND_HALF_EVEN))


def decimals(value: Decimal) -> int:
    """How many decimals a number needs."""
    exponent = value.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def native_scales(info: Any) -> Scales:
    """The coarsest scales that hold every price and quantity of a symbol (a SymbolInfo)."""
    step = exact(info.volume_step) * exact(info.trade_contract_size)
    price = max(int(info.digits), decimals(exact(info.trade_tick_size)))
    return Scales(min(price, _DECIMALS_MOST), min(decimals(step), _DECIMALS_MOST))


@dataclass(frozen=True, slots=True)
class Symbol:
    """A symbol at a session's scales. ``instrument`` in integers; ``tick_size`` and ``point`` in
    quote currency, ``contract`` base quantity of a lot, ``step`` in lots; ``execution`` and
    ``filling`` as the terminal gives them."""

    instrument: Instrument
    tick_size: Decimal
    point: Decimal
    contract: Decimal
    step: Decimal
    execution: int
    filling: int

    @property
    def name(self) -> str:
        """The broker's name."""
        return self.instrument.symbol

    def units(self, price: float) -> int:
        """A price of the terminal in price units; 0 for none."""
        scaled = exact(price).scaleb(self.instrument.scales.price)
        return int(scaled.to_integral_value(ROUND_HALF_EVEN))

    def price(self, units: int) -> float:
        """Price units as a price on the symbol's tick size, the nearest; 0 for none."""
        if units == 0:
            return 0.0
        price = Decimal(units).scaleb(-self.instrument.scales.price)
        ticks = (price / self.tick_size).to_integral_value(ROUND_HALF_EVEN)
        return float(ticks * self.tick_size)

    def on_grid(self, units: int) -> int:
        """Price units moved to the nearest price that the symbol has."""
        return self.units(self.price(units))

    def qty(self, lots: float) -> int:
        """Lots as base quantity in units."""
        base = exact(lots) * self.contract
        return int(base.scaleb(self.instrument.scales.qty).to_integral_value(ROUND_HALF_EVEN))

    def lots(self, qty: int) -> float:
        """Quantity units, a multiple of ``instrument.qty_step``, as lots."""
        steps = Decimal(qty // self.instrument.qty_step)
        return float(steps * self.step)

    def held_lots(self, qty: int) -> float:
        """What a position holds, quantity units, as lots, whatever the step is now."""
        return float(Decimal(qty).scaleb(-self.instrument.scales.qty) / self.contract)

    def points(self, units: int) -> int:
        """A distance in price units as whole points, rounded down."""
        return int(Decimal(units).scaleb(-self.instrument.scales.price) // self.point)

    def holds_price(self) -> bool:
        """Whether price and deviation of a request bind the server (request, instant)."""
        return self.execution not in (EXECUTION_MARKET, EXECUTION_EXCHANGE)

    def fillings(self, ioc: bool) -> tuple[int, ...]:
        """Ways to fill a market order, the ones to try in this order. ``ioc``: what cannot be
        filled at once is cancelled; else it may stay working where the symbol has that."""
        by_bits = [
            mode
            for mode, bit in ((FILLING_IOC, _BIT_IOC), (FILLING_FOK, _BIT_FOK))
            if self.filling & bit
        ]
        if self.execution == EXECUTION_MARKET:
            return tuple(by_bits) or (FILLING_FOK, FILLING_IOC)
        if self.execution == EXECUTION_EXCHANGE:
            return (*by_bits, FILLING_RETURN) if ioc else (FILLING_RETURN, *by_bits)
        first = (
            (FILLING_IOC, FILLING_FOK) if self.filling & _BIT_IOC else (FILLING_FOK, FILLING_IOC)
        )
        return (*first, FILLING_RETURN) if ioc else (FILLING_RETURN, *first)


def read_symbol(info: Any, scales: Scales) -> Symbol:
    """A SymbolInfo at the session's ``scales``; ConfigError where it does not fit them."""
    point, size = exact(info.point), exact(info.trade_tick_size) or exact(info.point)
    contract, step = exact(info.trade_contract_size), exact(info.volume_step)
    if point <= 0 or contract <= 0 or step <= 0:
        raise ConfigError(
            f"{info.name} cannot be traded",
            why="the terminal gives it no point, contract size or volume step",
            do="look at the symbol's specification in the terminal",
        )
    qty_step = _whole(info.name, "volume step", step * contract, scales.qty)
    lot = _whole(info.name, "contract size", contract, scales.qty)
    price_step = _whole(info.name, "tick size", size, scales.price)

    def lots(value: float) -> int:
        units = (exact(value) * contract).scaleb(scales.qty)
        return int(units.to_integral_value(ROUND_HALF_EVEN))

    def distance(points: int) -> int:
        units = (points * point).scaleb(scales.price)
        return int(units.to_integral_value(ROUND_CEILING))

    return Symbol(
        Instrument(
            symbol=info.name,
            scales=scales,
            price_step=price_step,
            qty_step=qty_step,
            qty_min=max(qty_step, lots(info.volume_min)),
            qty_max=lots(info.volume_max),
            qty_limit=lots(info.volume_limit),
            contract=lot,
            stops_level=distance(info.trade_stops_level),
            freeze_level=distance(info.trade_freeze_level),
            trade_mode=TRADE_MODES.get(info.trade_mode, "off"),
            profit_currency=info.currency_profit,
        ),
        tick_size=size,
        point=point,
        contract=contract,
        step=step,
        execution=info.trade_exemode,
        filling=info.filling_mode,
    )


def _whole(name: str, what: str, value: Decimal, scale: int) -> int:
    """A property as a whole number of 10**-scale, at least 1."""
    units = value.scaleb(scale)
    if units != units.to_integral_value() or units < 1:
        raise ConfigError(
            f"the scales of the session are too coarse for {name}",
            why=f"its {what} is {value}, which is no whole number of 1e-{scale}",
            do="use a finer scale for this instrument",
        )
    return int(units)
