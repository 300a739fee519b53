"""The CSV archive of Bybit's public trades: its columns, contracts and spot.

Owns recognition by the header, whatever the order of its columns and whether the newer ones (RPI)
are there. The side is the taker's: nothing is turned round. The tick direction goes to its own
column. Source: reference page of the venue, section "Bybit v5"; samples of 2019 to 2026.

Old files begin with the newest trade; they are turned round, so that trades of one instant stand in
the order in which they happened (:class:`data.sources.forward.Forward`).

What cannot be known: contracts have UUIDs, so a missing trade leaves no trace. Spot has no trade
ids at all (its ``id`` counts the rows of one file): of trades that are equal in everything the log
knows how many there are. Block trades and trades against RPI orders stand among the others.
Quantities of inverse contracts (``BTCUSD``) are contracts of one USD; they are stored as they come.

It refuses to know how a value is converted.
"""

from __future__ import annotations

from data.events import Kind
from data.sources.archive_layouts import Layout

_CONTRACTS = {
    "timestamp": "seconds",
    "symbol": "symbol",
    "side": "side",
    "size": "qty",
    "price": "price",
    "tickdirection": "tick",
    "trdmatchid": "text_id",
    "grossvalue": "",
    "homenotional": "",
    "foreignnotional": "",
    "rpi": "",
}
_SPOT = {
    "id": "",
    "timestamp": "time",
    "price": "price",
    "volume": "qty",
    "side": "side",
    "rpi": "",
}

_FORMATS = (
    ("Bybit trades", "bybit", _CONTRACTS, frozenset(_CONTRACTS) - {"rpi"}),
    ("Bybit spot trades", "bybit-spot", _SPOT, frozenset(_SPOT) - {"rpi"}),
)


def recognise(titles: tuple[str, ...]) -> Layout | None:
    """The layout that a header shows (titles in lower case, without underscores); else None."""
    seen = frozenset(titles)
    if len(seen) != len(titles):
        return None
    for name, venue, columns, needed in _FORMATS:
        if needed <= seen <= columns.keys():
            roles = tuple(columns[title] for title in titles)
            return Layout(name, Kind.TRADE, roles, venue, titles, newest_first=True)
    return None
