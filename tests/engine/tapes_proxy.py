"""Tapes of instruments without prints: quotes and bars, a few trades, holes and silences."""

from __future__ import annotations

import random

from data.events import Kind
from tests.engine.tapes import MINUTE, MS, START, Author, Event, S


def quotes(a: Author, seconds: int, most: int = 6, step: int = 4) -> None:
    """A walk of the mid: up to ``most`` quotes a second, a third of them unchanged."""
    for _ in range(seconds):
        end = (a.now // S + 1) * S
        for _ in range(a.r.randint(0, most)):
            a.now = min(a.now + a.r.randint(1, 2 * S // (most + 1)), end - 1)
            a.price = max(1000, a.price + a.r.choice((-step, -1, 0, 0, 1, step)))
            a.quote(a.r.choice((1, 2, 3)))
        a.now = end + a.r.choice((0, 0, 1, 3 * MS))


def bars(a: Author, minutes: int, seen: bool = False) -> None:
    """Closed M1 bars on whole minutes; ``seen``: quotes of the minute come with them."""
    a.now = (a.now // MINUTE + 1) * MINUTE
    for _ in range(minutes):
        if seen and a.r.random() < 0.5:
            quotes(a, 20)
        a.now = (a.now // MINUTE + 1) * MINUTE
        first = a.price
        path = [first := max(1000, first + a.r.randint(-9, 9)) for _ in range(8)]
        a.price = path[-1]
        volume, trades = a.r.choice((0, 77)), a.r.choice((0, 3, 240))
        a.add(Kind.BAR, open_ns=a.now - MINUTE, open=path[0], high=max(path), low=min(path),
              close=a.price, volume=volume, trades=trades)  # fmt: skip


def late(a: Author) -> None:
    """Quotes behind the time that others have reached."""
    now = a.now
    for _ in range(a.r.randint(1, 4)):
        a.now = now - a.r.choice((1, MS, S, 3 * S, 40 * S))
        a.quote(2)
    a.now = now


def few_trades(a: Author) -> None:
    """Real prints, after which quotes keep silent for a while."""
    for _ in range(a.r.randint(1, 5)):
        a.now += a.r.randint(0, S)
        a.trade()
        if a.r.random() < 0.5:
            quotes(a, a.r.randint(1, 3))


def odd(a: Author) -> None:
    """Holes, silences, broken quotes, the clock, midnight."""
    what = a.r.choice(("gap", "gap", "filled", "silence", "crossed", "clock", "night"))
    if what in ("gap", "filled"):
        stream = a.r.choice((Kind.QUOTE, Kind.QUOTE, Kind.TRADE, Kind.BAR, Kind.DEPTH))
        a.gap(stream, a.r.choice((0, 10 * MS, 20 * S, 7 * MINUTE)), int(what == "filled"))
    elif what == "silence":
        a.now += a.r.choice((40 * S, 4 * MINUTE, 6 * MINUTE, 2 * 60 * MINUTE))
    elif what == "crossed":
        a.quote(a.r.choice((-1, -300)))
        a.add(Kind.QUOTE, bid=0, ask=5, bid_qty=0, ask_qty=0)
    elif what == "clock":
        a.now = (a.now // S + a.r.randint(1, 9)) * S
        a.add(Kind.CLOCK)
    else:
        a.now = (a.now // (24 * 60 * MINUTE) + 1) * 24 * 60 * MINUTE - a.r.choice((1, MS, 2 * S))
        a.quote(2)


def proxy_tape(seed: int, parts: int = 14) -> list[Event]:
    """A tape of everything above, long enough for five-minute candles."""
    a = Author(seed)
    a.r = random.Random(seed)
    quotes(a, 30)
    for _ in range(parts):
        what = a.r.random()
        if what < 0.45:
            quotes(a, a.r.choice((5, 60, 240)), a.r.choice((1, 6)))
        elif what < 0.6:
            bars(a, a.r.randint(1, 9), a.r.random() < 0.5)
        elif what < 0.7:
            few_trades(a)
        elif what < 0.8:
            late(a)
        else:
            odd(a)
    return a.events


def plain_quotes(seed: int, minutes: int, most: int = 6) -> list[Event]:
    """``minutes`` of quotes before START and nothing else, the same in every process."""
    a = Author(seed)
    a.now = START - minutes * MINUTE
    quotes(a, 60 * minutes, most)
    return a.events
