"""Frames of a terminal: rows at the scales of their series, ids that keep their order, refusals."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from data.enums import GapReason, Kind
from data.events import Scales
from data.live.blocks import Series
from data.live.clock import SessionClock
from data.live.combined import CombinedFeed
from data.live.inlet import Inlet
from data.live.items import Closed, Ended, FeedFacts, Frame, Item, Opened
from data.live.routes import Routes

OFFSET = 10_800_000_000_000
AT = 1_717_243_200_000
SERIES = [Series("binance-um", "BTCUSDT", Scales(1, 3)), Series("mt5", "BTCUSDc", Scales(2, 4)),
          Series("mt5", "GER40.cash", Scales(1, 2))]  # fmt: skip


def ticks(symbol: str, rows: list[tuple[int, float, float]], **more) -> bytes:
    full = [[AT + 10_800_000 + ms, bid, ask, 0.0, 0.0, 6] for ms, bid, ask in rows]
    said = {"stream": f"{symbol}@tick", "offset_ns": OFFSET, "rows": full, **more}
    return json.dumps(said, separators=(",", ":")).encode()


def bars(symbol: str, rows: list[list[float]]) -> bytes:
    said = {"stream": f"{symbol}@bar", "offset_ns": OFFSET, "rows": rows, "lot": 1.0}
    return json.dumps(said, separators=(",", ":")).encode()


def read(frame: bytes, series: list[Series] = SERIES):
    routes = Routes(series)
    route = routes.of(frame)
    return route, route.read(frame, 0)


def test_a_session_of_two_venues_tells_their_frames_apart():
    routes = Routes(SERIES)
    assert routes.named("btcusdt@aggTrade").series == 0
    assert routes.named("BTCUSDc@tick").series == 1
    assert routes.named("GER40.cash@bar").kind is Kind.BAR
    assert routes.named("btcusdc@tick") is None  # a broker's names are what they are
    assert routes.of(ticks("BTCUSDc", [])).series == 1
    assert routes.of(ticks("ETHUSD", [])) is None
    assert routes.why(ticks("ETHUSD", [])) == "stream"


def test_a_session_of_bybit_and_a_terminal_does_too():
    routes = Routes([Series("bybit", "BTCUSDT", Scales(1, 3)), SERIES[1]])
    assert routes.named("publicTrade.BTCUSDT").series == 0
    assert routes.of(ticks("BTCUSDc", [])).series == 1
    assert routes.of(b'{"topic":"publicTrade.BTCUSDT","data":[]}').series == 0
    assert routes.why(b'{"topic":"publicTrade.X"}') == "stream"
    assert routes.of(b'{"op":"pong"}') is None and routes.why(b'{"op":"pong"}') == "answer"


def test_rows_are_exact_and_ticks_of_a_millisecond_keep_their_order():
    route, told = read(ticks("BTCUSDc", [(0, 67000.1, 67000.35), (0, 67000.2, 67000.35), (7, 1, 2)],
                             sent_ns=5))  # fmt: skip
    assert (route.kind, told.sent_ns) == (Kind.QUOTE, 5)
    assert told.rows == [
        (AT * 1_000_000, AT * 1000, 6700010, 0, 6700035, 0),
        (AT * 1_000_000, AT * 1000 + 1, 6700020, 0, 6700035, 0),
        ((AT + 7) * 1_000_000, (AT + 7) * 1000, 100, 0, 200, 0),
    ]


def test_what_is_no_quote_and_what_lies_off_the_grid():
    _, told = read(ticks("GER40.cash", [(0, 0.0, 18000.5), (1, 18000.55, 18001.0), (2, 1, 2)]))
    assert (len(told.rows), told.refused) == (1, ["precision"])
    _, told = read(ticks("GER40.cash", [(0, -1.0, 18000.5)]))
    assert (told.rows, told.refused) == ([], ["price"])


@given(st.integers(1, 10**9), st.integers(0, 8))
def test_any_price_of_the_grid_comes_back(units, scale):
    series = [Series("mt5", "X", Scales(scale, 0))]
    price = float(f"{units}e-{scale}")
    _, told = read(ticks("X", [(0, price, price)]), series)
    assert told.rows[0][2] == units


def test_bars_tell_ticks_and_volume():
    row = [AT // 1000 + 10_800, 1.5, 2.0, 1.0, 1.5, 12, 3, 7.0]
    _, told = read(bars("GER40.cash", [row]))
    at = AT * 1_000_000
    assert told.rows == [(at + 60_000_000_000, 0, at, 60_000_000_000, 15, 20, 10, 15, 700, 0, 12)]
    wrong = [[*row[:2], 1.0, *row[3:]]]
    assert read(bars("GER40.cash", wrong))[1].refused == ["bar"]


def frames(*data: bytes) -> list[Item]:
    return [Frame(1, 9, d) for d in data]


def kinds(inlet: Inlet, items: list[Item]) -> list[tuple[Kind, int]]:
    group = inlet.take(items)
    return sorted((k, p.rows.n) for k, p in group.parts.items()) if group else []


def test_minutes_without_a_bar_are_no_hole_and_a_lost_link_is():
    clock = SessionClock(wall_ns=lambda: AT * 1_000_000, mono_ns=lambda: 1)
    inlet = Inlet([SERIES[2]], clock)
    streams = ("GER40.cash@tick", "GER40.cash@bar")
    begin = AT // 1000 + 10_800
    rows = [[begin + s, 1.5, 2.0, 1.0, 1.5, 12, 3, 0.0] for s in (-600, -300)]
    opened = Opened(1, 9, streams)
    assert kinds(inlet, [opened, *frames(*(bars("GER40.cash", [r]) for r in rows))]) == [
        (Kind.BAR, 2)
    ]
    first = ticks("GER40.cash", [(0, 1.5, 1.6)])
    assert kinds(inlet, frames(first, ticks("GER40.cash", []))) == [(Kind.QUOTE, 1)]
    lost = Closed(1, 9, streams, GapReason.DISCONNECT, "why")
    assert kinds(inlet, [lost]) == [(Kind.GAP, 2)]
    assert inlet.open_gaps == 2
    more = ticks("GER40.cash", [(5, 1.5, 1.6)])
    assert kinds(inlet, [opened, *frames(more)]) == [(Kind.GAP, 1), (Kind.QUOTE, 1)]


class Listed:
    """A feed of what it was given."""

    def __init__(self, *items: Item) -> None:
        self.items = list(items)
        self.facts = FeedFacts(frames=len(items), routes={str(id(self)): 1})
        self.renewed: list[str] = []

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def renew(self, streams) -> None:
        self.renewed += streams

    def take(self, most: int, wait_s: float) -> list[Item]:
        taken, self.items = self.items[:most], self.items[most:]
        return taken


def test_two_feeds_are_one_in_the_order_of_reading_and_the_end_comes_last():
    flow = Listed(Frame(1, 1, b"a"), Frame(5, 1, b"b"), Ended(6))
    quotes = Listed(Frame(2, 9, b"c"), Frame(8, 9, b"d"))
    both = CombinedFeed(flow, quotes)
    both.start()
    items = both.take(10, 0.0)
    assert [getattr(i, "data", b"end") for i in items] == [b"a", b"c", b"b", b"d", b"end"]
    assert both.facts.frames == 5 and len(both.facts.routes) == 2
    both.renew(["x"])
    assert flow.renewed == quotes.renewed == ["x"]
    assert both.take(10, 0.0) == ()
    assert min(both.heard_ns) > 0
