"""Rows of the log as Bybit's v5 messages.

Owns the text of each topic's message. What must hold: a book is a snapshot first, and again for
whoever subscribes, then changes to it, with an ``u`` that rises by one a message, so that a lost
message shows; the taker's side is not turned round, a liquidation's is. What the log does not hold
is made from what it does: a trade's name is its id written as a UUID. Source: reference page of the
venue, section 4.

It refuses to know sockets, subscriptions and when a message is due.
"""

from __future__ import annotations

from data.enums import Kind
from data.venue.frames import Encode, Encoder, Sheet
from data.venue.names import Asked

_TICKS = {2: "PlusTick", 1: "ZeroPlusTick", -1: "ZeroMinusTick", -2: "MinusTick"}
_MS = 1_000_000


class BybitEncoder(Encoder):
    """Messages of one symbol; see :class:`data.venue.frames.Encoder`."""

    def encode(self, wanted: Asked) -> Encode:
        """The function that writes the messages of a topic."""
        topic = wanted.name
        if wanted.kind == Kind.DEPTH:
            return _BookTopic(self, topic, wanted.levels)
        made: dict[Kind, Encode] = {
            Kind.TRADE: lambda s, i, at_ns: self._message(topic, at_ns, self._deal(s, i)),
            Kind.QUOTE: lambda s, i, at_ns: self._top(topic, s, i, at_ns),
            Kind.BAR: lambda s, i, at_ns: self._message(topic, at_ns, self._candle(s, i, at_ns)),
            Kind.MARK: lambda s, i, at_ns: self._message(topic, at_ns, self._ticker(s, i)),
            Kind.LIQUIDATION: lambda s, i, at_ns: self._message(topic, at_ns, self._closed(s, i)),
        }
        return made[wanted.kind]

    def trade_name(self, number: int) -> str:
        """A trade's id as the venue's UUID."""
        text = f"{number & ((1 << 128) - 1):032x}"
        return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))

    def sent(self, at_ns: int) -> int:
        """When a message is said to be sent, ms."""
        return (at_ns + self.skew_ns) // _MS

    def _message(self, topic: str, at_ns: int, data: str) -> str:
        return f'{{"topic":"{topic}","type":"snapshot","ts":{self.sent(at_ns)},"data":{data}}}'

    def _deal(self, s: Sheet, i: int) -> str:
        number = s["id"][i] - self.id_shift
        side = "Sell" if s["side"][i] < 0 else "Buy"
        tick = _TICKS.get(s["tick"][i], "")
        tick = f'"L":"{tick}",' if tick else ""
        return (
            f'[{{"T":{s["ts_ns"][i] // _MS},"s":"{self.symbol}","S":"{side}",'
            f'"v":"{self.qty[s["qty"][i]]}","p":"{self.price[s["price"][i]]}",{tick}'
            f'"i":"{self.trade_name(number)}","BT":false,"RPI":false,"seq":{number}}}]'
        )

    def _top(self, topic: str, s: Sheet, i: int, at_ns: int) -> str:
        update = s["id"][i] - self.update_shift
        bid = f'["{self.price[s["bid"][i]]}","{self.qty[s["bid_qty"][i]]}"]'
        ask = f'["{self.price[s["ask"][i]]}","{self.qty[s["ask_qty"][i]]}"]'
        return book_text(
            topic, "snapshot", self, (bid, ask), (update, update), s["ts_ns"][i], at_ns
        )

    def _candle(self, s: Sheet, i: int, at_ns: int) -> str:
        k = self.bar(s, i)
        minutes = s["interval_ns"][i] // 60_000_000_000
        return (
            f'[{{"start":{k["t"]},"end":{k["T"]},"interval":"{minutes}","open":"{k["o"]}",'
            f'"close":"{k["c"]}","high":"{k["h"]}","low":"{k["l"]}","volume":"{k["v"]}",'
            f'"turnover":"{k["q"]}","confirm":true,"timestamp":{self.sent(at_ns)}}}]'
        )

    def _ticker(self, s: Sheet, i: int) -> str:
        return (
            f'{{"symbol":"{self.symbol}","markPrice":"{self.price[s["mark"][i]]}",'
            f'"indexPrice":"{self.price[s["index"][i]]}",'
            f'"fundingRate":"{self.rate[s["funding_fp9"][i]]}",'
            f'"nextFundingTime":"{s["next_funding_ns"][i] // _MS}"}}'
        )

    def _closed(self, s: Sheet, i: int) -> str:
        # a sell order closed a long position, which the venue calls Buy
        side = "Buy" if s["side"][i] < 0 else "Sell"
        return (
            f'[{{"T":{s["ts_ns"][i] // _MS},"s":"{self.symbol}","S":"{side}",'
            f'"v":"{self.qty[s["qty"][i]]}","p":"{self.price[s["price"][i]]}"}}]'
        )


class _BookTopic:
    """A book of up to ``most`` levels a side: what changed since the last message."""

    def __init__(self, encoder: BybitEncoder, topic: str, most: int) -> None:
        self._encoder = encoder
        self._topic = topic
        self._most = most
        self._update = 1
        self._known: tuple[dict[int, int], dict[int, int]] | None = None

    def renew(self) -> None:
        """Somebody subscribed: the next message is a snapshot."""
        self._known = None

    def __call__(self, s: Sheet, i: int, at_ns: int) -> str:
        """The next message."""
        now = self._side(s, i, "bid"), self._side(s, i, "ask")
        before, self._known = self._known, now
        self._update += 1
        ids = self._update, s["id"][i] - self._encoder.update_shift
        texts = tuple(
            self._levels(levels, before[n] if before else {}) for n, levels in enumerate(now)
        )
        type_ = "delta" if before else "snapshot"
        sides = texts[0], texts[1]
        return book_text(self._topic, type_, self._encoder, sides, ids, s["ts_ns"][i], at_ns)

    def _side(self, s: Sheet, i: int, side: str) -> dict[int, int]:
        offsets = s[f"{side}_offsets"]
        begin, end = int(offsets[i]), min(int(offsets[i + 1]), int(offsets[i]) + self._most)
        prices, sizes = s[f"{side}_price"][begin:end], s[f"{side}_qty"][begin:end]
        return dict(zip(prices.tolist(), sizes.tolist(), strict=True))

    def _levels(self, now: dict[int, int], before: dict[int, int]) -> str:
        price, qty = self._encoder.price, self._encoder.qty
        gone = [f'["{price[p]}","0"]' for p in before if p not in now]
        new = [f'["{price[p]}","{qty[q]}"]' for p, q in now.items() if before.get(p) != q]
        return ",".join(gone + new)


def book_text(
    topic: str,
    type_: str,
    encoder: BybitEncoder,
    sides: tuple[str, str],
    ids: tuple[int, int],
    ts_ns: int,
    at_ns: int,
) -> str:
    """A message of a book: ``sides`` are the levels of bids and asks, ``ids`` are u and seq."""
    return (
        f'{{"topic":"{topic}","type":"{type_}","ts":{encoder.sent(at_ns)},"data":{{'
        f'"s":"{encoder.symbol}","b":[{sides[0]}],"a":[{sides[1]}],"u":{ids[0]},"seq":{ids[1]}}},'
        f'"cts":{ts_ns // _MS}}}'
    )
