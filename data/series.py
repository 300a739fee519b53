"""Which venue and symbol of a log is meant, when a command or a run needs exactly one.

Owns that choice and its messages. It refuses to know what is done with the series.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from data.enums import Kind
from data.errors import DataError, UsageError

if TYPE_CHECKING:
    from data.log import LogStore


def pick_series(store: LogStore, venue: str | None, symbol: str | None) -> tuple[str, str]:
    """The one (venue, symbol) that fits; None fits all.

    DataError where none fits, UsageError where several do, each listing what is there.
    """
    pairs = sorted({(s.venue, s.symbol) for s in store.series() if s.kind != Kind.GAP})
    fits = [
        (v, s)
        for v, s in pairs
        if (venue is None or v == venue.lower()) and (symbol is None or s.upper() == symbol.upper())
    ]
    if len(fits) == 1:
        return fits[0]
    if fits:
        raise UsageError(
            f"{len(fits)} series fit, and one is needed",
            where=f"--venue {venue or 'any'} --symbol {symbol or 'any'}",
            why=f"the log holds {_listing(fits)}",
            do="choose one with --venue and --symbol",
        )
    wanted = [word for word in (venue and venue.lower(), symbol and symbol.upper()) if word]
    known = sorted({word for pair in pairs for word in pair})
    near = [m for word in wanted for m in difflib.get_close_matches(word, known, n=1)]
    raise DataError(
        "the log holds nothing for this venue and symbol",
        where=f"--venue {venue or 'any'} --symbol {symbol or 'any'}",
        why=f"it holds {_listing(pairs)}",
        do=f"did you mean {', '.join(near)}?" if near else "import data: ofs import PATH",
    )


def _listing(pairs: list[tuple[str, str]]) -> str:
    shown = ", ".join(f"{venue} {symbol}" for venue, symbol in pairs[:10])
    more = f" and {len(pairs) - 10} more" if len(pairs) > 10 else ""
    return shown + more or "nothing"
