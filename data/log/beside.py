"""A second series that a reader merges in: bars of another instrument, a level beside the market.

Owns what such a series is called and which of its files a range needs. Its bars keep the one total
order (``order.py``): a bar's key is its arrival, its end plus ``latency_ns`` where no receive time
was written, and it comes last among events of one key. The range looks back, because a level that
was known before the range still stands in it. It refuses to know what the level means.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from data.errors import DataError
from data.events import Kind, Scales
from data.log.catalogue import Catalogue
from data.log.entry import Entry

BACK_NS = 10 * 86_400 * 10**9
"""How far before a range the last bar may lie: a week's holidays and more."""


@dataclass(frozen=True, slots=True)
class Beside:
    """Bars of ``venue`` and ``symbol`` under ``label`` in the columns of a batch.

    ``columns`` are those wanted of a bar; prices come at 10**-``price_scale``; ``latency_ns`` is
    added to the end of bars without a receive time; ``back_ns`` is how far before the range they
    are read.
    """

    label: Kind
    venue: str
    symbol: str
    columns: tuple[str, ...]
    price_scale: int = 9
    latency_ns: int = 0
    back_ns: int = BACK_NS

    def span(
        self, market: Sequence[Entry], from_ns: int | None, to_ns: int | None
    ) -> tuple[int, int]:
        """(from, to) in ns of its bars for a range that reads ``market``; it extends no range."""
        first = min(e.min_ts_ns for e in market) if from_ns is None else from_ns
        last = max(e.max_ts_ns for e in market) + 1
        last = last if to_ns is None else min(last, to_ns)
        return first - self.back_ns - self.latency_ns, last - self.latency_ns

    def entries(self, found: Catalogue, where: str, span: tuple[int, int]) -> list[Entry]:
        """Its files for a span; DataError where there is none."""
        entries = found.select([Kind.BAR], self.venue, self.symbol, *span)
        if not entries:
            raise DataError(
                f"the log has no bar of {self.venue} {self.symbol} for this range",
                where=where,
                why=f"bars are looked for up to {self.back_ns // 86_400 // 10**9} days before it",
                do="import them (ofs import --mapping), or do not name the series",
            )
        return entries

    def scales(self, entries: Sequence[Entry]) -> Scales:
        """Scales to which its rows are raised."""
        return Scales(self.price_scale, max(e.scales.qty for e in entries))
