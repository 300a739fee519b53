"""Rows of the log as the venue's messages, Binance spot and USD-M.

Owns the text of every message: its fields and their order. What must hold: a number is written from
the integer of the log, never through a float; times are whole units, rounded down. What the log
does not hold is made from what it does: ``nq`` is ``q``, ``f`` and ``l`` are ``a``, quote volumes
are the volume at the close, and a trade without a side is sent as a buy. Source: reference page of
the venue, section 1.3.

It refuses to know sockets, subscriptions and when a message is due.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import starmap
from typing import Any

from data.enums import Kind
from data.events import Scales
from data.venue.names import FUTURES, SPOT, Asked, interval_text

Sheet = dict[str, Any]
"""Columns of some rows of one kind: lists of int; levels of books as numpy arrays with offsets."""

Encode = Callable[[Sheet, int, int], str]
"""(rows, number of the row, time of sending in ns) -> the message."""

_MEMO_MOST = 200_000


class Decimals(dict[int, str]):
    """Texts of integers with ``scale`` decimals, padded to ``shown``; a bounded memo."""

    def __init__(self, scale: int, shown: int = 0) -> None:
        super().__init__()
        self._scale = scale
        self._pad = "0" * max(0, shown - scale)

    def __missing__(self, value: int) -> str:
        """Make the text and remember it."""
        if len(self) > _MEMO_MOST:
            self.clear()
        scale, sign = self._scale, "-" if value < 0 else ""
        digits = str(abs(value)).rjust(scale + 1, "0")
        whole, part = (digits[:-scale], digits[-scale:]) if scale else (digits, "")
        part += self._pad
        text = f"{sign}{whole}.{part}" if part else sign + whole
        self[value] = text
        return text


class Encoder:
    """Messages of one symbol. ``unit_ns`` is the unit of times. Where a venue's clock or ids went
    astray, ``skew_ns`` is added to the sending time, ``id_shift`` taken from trade ids and
    ``update_shift`` from the ids of books and quotes."""

    def __init__(self, layout: str, symbol: str, scales: Scales, unit_ns: int = 1_000_000) -> None:
        shown = 8 if layout == SPOT else 0
        self.layout = layout
        self.symbol = symbol
        self.unit_ns = unit_ns
        self.skew_ns = 0
        self.id_shift = 0
        self.update_shift = 0
        self.price = Decimals(scales.price, shown)
        self.qty = Decimals(scales.qty, shown)
        self._money = Decimals(scales.price + scales.qty, shown)
        self._fine = Decimals(scales.price, 8)
        self.rate = Decimals(9)

    def encode(self, wanted: Asked) -> Encode:
        """The function that writes the messages of a stream."""
        if wanted.kind == Kind.DEPTH:
            return self._depth(wanted.levels)
        futures = self.layout == FUTURES
        made: dict[Kind, Encode] = {
            Kind.TRADE: self._trade if futures else self._spot_trade,
            Kind.QUOTE: self._quote if futures else self._spot_quote,
            Kind.BAR: self._bar,
            Kind.MARK: self._mark,
            Kind.LIQUIDATION: self._forced,
        }
        return made[wanted.kind]

    def levels(self, sheet: Sheet, i: int, side: str, most: int) -> str:
        """``["p","q"],...`` of the best ``most`` levels of a side (``bid`` or ``ask``)."""
        offsets = sheet[f"{side}_offsets"]
        begin, end = int(offsets[i]), min(int(offsets[i + 1]), int(offsets[i]) + most)
        prices = map(self.price.__getitem__, sheet[f"{side}_price"][begin:end].tolist())
        sizes = map(self.qty.__getitem__, sheet[f"{side}_qty"][begin:end].tolist())
        return ",".join(starmap('["{}","{}"]'.format, zip(prices, sizes, strict=True)))

    def _sent(self, at_ns: int) -> int:
        return (at_ns + self.skew_ns) // self.unit_ns

    def _trade(self, s: Sheet, i: int, at_ns: int) -> str:
        a, qty = s["id"][i] - self.id_shift, self.qty[s["qty"][i]]
        return (
            f'{{"e":"aggTrade","E":{self._sent(at_ns)},"a":{a},"s":"{self.symbol}",'
            f'"p":"{self.price[s["price"][i]]}","q":"{qty}","nq":"{qty}","f":{a},"l":{a},'
            f'"T":{s["ts_ns"][i] // self.unit_ns},"m":{_maker(s["side"][i])},"st":1}}'
        )

    def _spot_trade(self, s: Sheet, i: int, at_ns: int) -> str:
        a = s["id"][i] - self.id_shift
        return (
            f'{{"e":"aggTrade","E":{self._sent(at_ns)},"s":"{self.symbol}","a":{a},'
            f'"p":"{self.price[s["price"][i]]}","q":"{self.qty[s["qty"][i]]}","f":{a},"l":{a},'
            f'"T":{s["ts_ns"][i] // self.unit_ns},"m":{_maker(s["side"][i])},"M":true}}'
        )

    def _depth(self, most: int) -> Encode:
        last = 0

        def spot(s: Sheet, i: int, _at_ns: int) -> str:
            bids, asks = self.levels(s, i, "bid", most), self.levels(s, i, "ask", most)
            update = s["id"][i] - self.update_shift
            return f'{{"lastUpdateId":{update},"bids":[{bids}],"asks":[{asks}]}}'

        def futures(s: Sheet, i: int, at_ns: int) -> str:
            nonlocal last
            update = s["id"][i] - self.update_shift
            before, last = last if last < update else update - 1, update
            bids, asks = self.levels(s, i, "bid", most), self.levels(s, i, "ask", most)
            return (
                f'{{"e":"depthUpdate","E":{self._sent(at_ns)},"T":{s["ts_ns"][i] // self.unit_ns},'
                f'"s":"{self.symbol}","ps":"{self.symbol}","U":{before + 1},"u":{update},'
                f'"pu":{before},"b":[{bids}],"a":[{asks}],"st":1}}'
            )

        return futures if self.layout == FUTURES else spot

    def _quote(self, s: Sheet, i: int, at_ns: int) -> str:
        return (
            f'{{"e":"bookTicker","u":{s["id"][i] - self.update_shift},"s":"{self.symbol}",'
            f'"ps":"{self.symbol}",{self._touch(s, i)},"T":{s["ts_ns"][i] // self.unit_ns},'
            f'"E":{self._sent(at_ns)},"st":1}}'
        )

    def _spot_quote(self, s: Sheet, i: int, _at_ns: int) -> str:
        update = s["id"][i] - self.update_shift
        return f'{{"u":{update},"s":"{self.symbol}",{self._touch(s, i)}}}'

    def _touch(self, s: Sheet, i: int) -> str:
        return (
            f'"b":"{self.price[s["bid"][i]]}","B":"{self.qty[s["bid_qty"][i]]}",'
            f'"a":"{self.price[s["ask"][i]]}","A":"{self.qty[s["ask_qty"][i]]}"'
        )

    def bar(self, s: Sheet, i: int) -> dict[str, str | int]:
        """The numbers of a bar by the venue's names, as text where the venue sends text."""
        price, qty, unit = self.price, self.qty, self.unit_ns
        first, trades, close = s["id"][i], s["trades"][i], s["close"][i]
        return {
            "t": s["open_ns"][i] // unit,
            "T": (s["open_ns"][i] + s["interval_ns"][i]) // unit - 1,
            "f": first if trades else -1,
            "L": first + trades - 1 if trades else -1,
            "o": price[s["open"][i]],
            "c": price[close],
            "h": price[s["high"][i]],
            "l": price[s["low"][i]],
            "v": qty[s["volume"][i]],
            "n": trades,
            "q": self._money[close * s["volume"][i]],
            "V": qty[s["buy_volume"][i]],
            "Q": self._money[close * s["buy_volume"][i]],
        }

    def _bar(self, s: Sheet, i: int, at_ns: int) -> str:
        k = self.bar(s, i)
        return (
            f'{{"e":"kline","E":{self._sent(at_ns)},"s":"{self.symbol}","k":{{"t":{k["t"]},'
            f'"T":{k["T"]},"s":"{self.symbol}","i":"{interval_text(s["interval_ns"][i])}",'
            f'"f":{k["f"]},"L":{k["L"]},"o":"{k["o"]}","c":"{k["c"]}","h":"{k["h"]}",'
            f'"l":"{k["l"]}","v":"{k["v"]}","n":{k["n"]},"x":true,"q":"{k["q"]}","V":"{k["V"]}",'
            f'"Q":"{k["Q"]}","B":"0"}}}}'
        )

    def _mark(self, s: Sheet, i: int, at_ns: int) -> str:
        mark, index = self._fine[s["mark"][i]], self._fine[s["index"][i]]
        return (
            f'{{"e":"markPriceUpdate","E":{self._sent(at_ns)},"s":"{self.symbol}","p":"{mark}",'
            f'"ap":"{mark}","P":"{mark}","i":"{index}","r":"{self.rate[s["funding_fp9"][i]]}",'
            f'"T":{s["next_funding_ns"][i] // self.unit_ns},"st":1}}'
        )

    def _forced(self, s: Sheet, i: int, at_ns: int) -> str:
        price, qty = self.price[s["price"][i]], self.qty[s["qty"][i]]
        side = "BUY" if s["side"][i] > 0 else "SELL"
        return (
            f'{{"e":"forceOrder","E":{self._sent(at_ns)},"o":{{"s":"{self.symbol}","S":"{side}",'
            f'"o":"LIMIT","f":"IOC","q":"{qty}","p":"{price}","ap":"{price}","X":"FILLED",'
            f'"l":"{qty}","z":"{qty}","T":{s["ts_ns"][i] // self.unit_ns}}},"st":1}}'
        )


def _maker(side: int) -> str:
    return "true" if side < 0 else "false"
