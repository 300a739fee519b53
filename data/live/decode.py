"""What a venue's decoder makes of a frame, and the checks that every decoder needs.

Owns the shape of a decoded row, the reading of decimals at an instrument's scales and the limits of
a single row. What must hold: prices and quantities are exact ints at the scales of their series (a
mark, which lies off the price grid, is rounded and nothing else is); what cannot be held raises
:class:`data.sources.rejects.RejectedError`, or what reading JSON and numbers raises; memos are
bounded.

It refuses to know which rows were seen before and what is done with them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import mul
from typing import Any, NamedTuple

import msgspec
import numpy as np

from data.events import DEPTH_LEVELS_MAX, PRICE_QTY_PRODUCT_MAX, Kind, Scales
from data.sources.decimals import Fixed, PrecisionError, round_fixed, to_fixed
from data.sources.rejects import RejectedError
from data.sources.row_checks import BAR_MAX_NS, MS_LIMIT

Row = tuple[Any, ...]
"""A row of a kind: ``ts_ns``, ``id``, then the columns of the kind in the order of the schema.

A depth row has one :class:`Levels` in place of its four columns.
"""


class Levels(NamedTuple):
    """Best levels of both sides: row ``at`` of ``block`` int64[n, 4, 25], scaled bid prices, bid
    quantities, ask prices, ask quantities; the first ``bids`` and ``asks`` of them count."""

    block: np.ndarray
    at: int
    bids: int
    asks: int


class Blocks:
    """Room for levels: hands out rows of one block until it is used up, then of a new one."""

    def __init__(self) -> None:
        self.block = np.empty((BLOCK_ROWS, 4, DEPTH_LEVELS_MAX), np.int64)
        self.at = 0

    def free(self) -> int:
        """A row of ``block`` that nothing uses; it stays free until :meth:`keep`."""
        if self.at == BLOCK_ROWS:
            self.block = np.empty((BLOCK_ROWS, 4, DEPTH_LEVELS_MAX), np.int64)
            self.at = 0
        return self.at

    def keep(self, bids: int, asks: int) -> Levels:
        """What was written to the free row."""
        at = self.at
        self.at = at + 1
        return Levels(self.block, at, bids, asks)

    def of_lists(self, sides: Sequence[list[int]]) -> Levels:
        """Bid prices, bid quantities, ask prices and ask quantities, best first, cut to 25."""
        at = self.free()  # first: it may change the block
        row = self.block[at]
        for place, values in zip(row, sides, strict=True):
            best = values[:DEPTH_LEVELS_MAX]
            place[: len(best)] = best
        return self.keep(min(len(sides[0]), len(row[0])), min(len(sides[2]), len(row[0])))


BLOCK_ROWS = 256

AHEAD_OF_SENT_NS = 60_000_000_000
"""An event may be dated this much after the message that tells it was sent, and not more."""

LevelTexts = Sequence[tuple[str, str]]
"""Prices and quantities of one side of a book as the venue writes them."""

UNREADABLE = (ValueError, RecursionError, OverflowError, msgspec.MsgspecError)
"""Everything that reading a frame raises; :func:`reason_of` says what it means."""


class Told(msgspec.Struct, gc=False):
    """What one frame says: when it was sent (ns UTC, 0 where it does not say) and its rows.

    ``gaps`` are gap rows that its reader found, ``refused`` the reasons of rows that could not be.
    ``stuck`` says that the stream is of no use until it begins anew.
    """

    sent_ns: int
    rows: Sequence[Row]
    gaps: Sequence[Row] = ()
    refused: Sequence[str] = ()
    stuck: bool = False


class SpentError(RejectedError):
    """A frame is no event but uses up the trade id ``id``: it must not show as a hole."""

    def __init__(self, reason: str, id: int) -> None:
        super().__init__(reason)
        self.id = id


@dataclass(slots=True)
class Route:
    """Where the frames of one stream of the venue go: a series' number, a kind, and a reader.

    ``read(frame, recv_ns)`` decodes a whole frame; ``recv_ns`` dates rows that carry no time.
    ``running_ids`` says that trade ids count up by one, and that bars follow each other.
    ``restart`` forgets what the reader kept of the connection, which is gone. ``goes`` is for
    whoever admits the rows: what it knows of them.
    """

    series: int
    kind: Kind
    read: Callable[[bytes, int], Told]
    running_ids: bool = True
    restart: Callable[[], None] | None = None
    goes: Any = None


class Numbers:
    """Reading of decimals for one pair of scales: memos of exact prices and quantities.

    ``shared`` keeps one memo a scale, ``blocks`` takes the levels of books; both are of a session.
    """

    def __init__(self, scales: Scales, blocks: Blocks, shared: dict[int, Fixed]) -> None:
        self.scales = scales
        self.blocks = blocks
        self.prices = shared.setdefault(scales.price, _Exact(scales.price))
        self.quantities = shared.setdefault(scales.qty, _Exact(scales.qty))

    def rounded_price(self, text: str) -> int:
        """A price off the grid, rounded half to even; RejectedError where it cannot be one."""
        value = round_fixed(text, self.scales.price)
        if not -PRICE_QTY_PRODUCT_MAX < value < PRICE_QTY_PRODUCT_MAX:
            raise RejectedError("overflow")
        return value


class _Exact(Fixed):
    """Memo that does not stumble over the zeros that venues append: ``1.50000000`` at scale 2."""

    def __missing__(self, text: str) -> int:
        if text[-1:] == "0" and "." in text:
            whole, _, frac = text.partition(".")
            if len(frac) > self.scale and frac.isascii() and frac.isdigit():
                return self._kept(text, f"{whole}.{frac.rstrip('0')}")
        return self._kept(text, text)

    def _kept(self, text: str, short: str) -> int:
        value = to_fixed(short, self.scale)
        if len(self) >= MEMO_MAX:
            self.clear()
        self[text] = value
        return value


MEMO_MAX = 20_000
"""Texts that a memo holds before it forgets them all."""


def time_ns(time: int) -> int:
    """ns UTC of a venue time in ms or us, told apart by magnitude."""
    return time * 1_000_000 if time < MS_LIMIT else time * 1_000


def deal(price: int, qty: int) -> None:
    """Check price and quantity (scaled int64) of one trade; RejectedError names what is wrong."""
    if price <= 0:
        raise RejectedError("price")
    if qty <= 0:
        raise RejectedError("qty")
    if price * qty >= PRICE_QTY_PRODUCT_MAX:
        raise RejectedError("overflow")


def touch(price: int, qty: int) -> None:
    """Check one side of a quote (scaled int64), whose size may be 0 where it is not known."""
    if price <= 0:
        raise RejectedError("price")
    if qty < 0:
        raise RejectedError("qty")
    if price * qty >= PRICE_QTY_PRODUCT_MAX or price >= PRICE_QTY_PRODUCT_MAX:
        raise RejectedError("overflow")


def side_of_book(prices: list[int], quantities: list[int], falling: bool) -> None:
    """Check one side of a book, best first (scaled int64); RejectedError names what is wrong."""
    if not prices:
        return
    if prices != sorted(prices, reverse=falling) or len(set(prices)) != len(prices):
        raise RejectedError("levels")
    if min(prices[0], prices[-1]) <= 0:
        raise RejectedError("price")
    if min(quantities) <= 0:
        raise RejectedError("qty")
    # the exact products are only looked at where their bound is too large
    if (
        max(prices[0], prices[-1]) * max(quantities) >= PRICE_QTY_PRODUCT_MAX
        and max(map(mul, prices, quantities)) >= PRICE_QTY_PRODUCT_MAX
    ):
        raise RejectedError("overflow")


def book(bids: LevelTexts, asks: LevelTexts, numbers: Numbers) -> Levels:
    """Both sides of a book; RejectedError where one is not sorted, or the book empty or crossed."""
    prices, quantities = numbers.prices, numbers.quantities
    bid, bid_qty = [prices[p] for p, _ in bids], [quantities[q] for _, q in bids]
    ask, ask_qty = [prices[p] for p, _ in asks], [quantities[q] for _, q in asks]
    side_of_book(bid, bid_qty, True)
    side_of_book(ask, ask_qty, False)
    if not (bid or ask) or (bid and ask and bid[0] >= ask[0]):
        raise RejectedError("levels")
    return numbers.blocks.of_lists((bid, bid_qty, ask, ask_qty))


def bar(
    end_ns: int, first_id: int, open_ns: int, prices: tuple[int, ...], volumes: tuple[int, int, int]
) -> Row:
    """A bar row of open, high, low, close and volume, taker buy volume, number of trades."""
    open_, high, low, close = prices
    volume, buy_volume, trades = volumes
    if low <= 0:
        raise RejectedError("price")
    if min(volumes) < 0:
        raise RejectedError("qty")
    inside = low <= min(open_, close) and max(open_, close) <= high
    if not inside or buy_volume > volume or not 0 < end_ns - open_ns <= BAR_MAX_NS:
        raise RejectedError("bar")
    if high * volume >= PRICE_QTY_PRODUCT_MAX or max(high, trades) >= PRICE_QTY_PRODUCT_MAX:
        raise RejectedError("overflow")
    return end_ns, first_id, open_ns, end_ns - open_ns, *prices, volume, buy_volume, trades


def reason_of(error: BaseException) -> str:
    """The reason (a key of ``REASONS``) behind one of :data:`UNREADABLE`."""
    if isinstance(error, RejectedError):
        return error.reason
    if isinstance(error, PrecisionError):
        return "precision"
    if isinstance(error, msgspec.ValidationError):
        return "frame"
    if isinstance(error, msgspec.DecodeError):
        return "json"
    if isinstance(error, UnicodeDecodeError):
        return "json"
    if isinstance(error, RecursionError):
        return "json"
    return "number"
