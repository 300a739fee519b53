"""What a venue says of its instruments: the steps of prices and quantities, as scales.

Owns :func:`series_of`. What must hold: scales come from the venue's own price step and quantity
step, so that every price and quantity of a feed fits exactly; an unknown symbol is named before
anything connects (its stream would be acknowledged and stay silent).

It refuses to know streams.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from data.errors import NetworkError, UsageError
from data.events import Scales
from data.live.blocks import Series
from data.live.endpoint import Endpoint
from data.live.rest import UNKNOWN_SYMBOL, RefusedError, Rest, known_or_refuse
from data.live.streams import venue_named

_PAGES_MOST = 50


class _Filter(msgspec.Struct):
    filterType: str  # noqa: N815  reason: the venue's name
    tickSize: str = ""  # noqa: N815
    stepSize: str = ""  # noqa: N815


class _Symbol(msgspec.Struct):
    symbol: str
    filters: list[_Filter]
    status: str = "TRADING"


class _Info(msgspec.Struct):
    symbols: list[_Symbol]


class _PriceFilter(msgspec.Struct):
    tickSize: str  # noqa: N815


class _LotFilter(msgspec.Struct):
    qtyStep: str  # noqa: N815


class _Contract(msgspec.Struct):
    symbol: str
    priceFilter: _PriceFilter  # noqa: N815
    lotSizeFilter: _LotFilter  # noqa: N815
    status: str = "Trading"


_Contracts = list[_Contract]


class _Page(msgspec.Struct):
    list: _Contracts
    nextPageCursor: str = ""  # noqa: N815


class _Result(msgspec.Struct):
    result: _Page


def series_of(
    venue: str,
    symbols: Iterable[str],
    endpoint: Endpoint | None = None,
    rest: Rest | None = None,
    where: str = "--symbol",
) -> list[Series]:
    """A series for each of ``symbols`` (upper case, once each, in order) with the venue's scales.

    ``where`` is the option or the file that named them, for messages.

    UsageError where the venue does not know or does not trade one of them; NetworkError where it
    cannot be asked.
    """
    venue_named(venue)
    wanted = list(dict.fromkeys(symbol.upper() for symbol in symbols))
    asked = rest or Rest(venue, endpoint)
    found = _bybit(asked) if venue == "bybit" else _binance(asked, wanted)
    known_or_refuse(wanted, list(found), venue, where)
    for symbol in wanted:
        status = found[symbol][2]
        if status.upper() != "TRADING":
            raise UsageError(
                f"{symbol} is not traded at {venue} now",
                where=where,
                why=f"its status is {status}",
                do="leave it out",
            )
    return [
        Series(venue, symbol, Scales(_scale(found[symbol][0]), _scale(found[symbol][1])))
        for symbol in wanted
    ]


def _binance(rest: Rest, symbols: list[str]) -> Mapping[str, tuple[str, str, str]]:
    try:
        info = rest.exchange_info(symbols, _Info)
    except RefusedError as refusal:
        if refusal.code != UNKNOWN_SYMBOL:
            raise
        info = rest.exchange_info([], _Info)  # one is unknown: all of them tell which
    return {s.symbol: (*_steps(s), s.status) for s in info.symbols}


def _steps(about: _Symbol) -> tuple[str, str]:
    filters = {f.filterType: f for f in about.filters}
    price, lot = filters.get("PRICE_FILTER"), filters.get("LOT_SIZE")
    return (price.tickSize if price else "", lot.stepSize if lot else "")


def _bybit(rest: Rest) -> Mapping[str, tuple[str, str, str]]:
    found: dict[str, tuple[str, str, str]] = {}
    cursor = ""
    for _ in range(_PAGES_MOST):
        page = rest.instruments_info(cursor, _Result).result
        for about in page.list:
            steps = about.priceFilter.tickSize, about.lotSizeFilter.qtyStep
            found[about.symbol] = (*steps, about.status)
        cursor = page.nextPageCursor
        if not cursor:
            break
    return found


def _scale(step: str) -> int:
    """Decimals of a step: "0.10" has 1, "0.00100000" 3, "10" 0."""
    whole, _, decimals = step.partition(".")
    if not whole.isdecimal() or not (decimals or "0").isdecimal() or len(decimals) > 20:
        raise NetworkError("the venue names a step that is no number", why=f"{step!r}")
    return len(decimals.rstrip("0"))
