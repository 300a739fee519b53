"""A picture of a session for the tests of whatever shows one."""

from __future__ import annotations

import math
from dataclasses import replace

from data.journal.states import States
from engine.runtime.view import (
    AccountView,
    ChartView,
    DecisionView,
    DiskView,
    FeedView,
    GapsView,
    GapView,
    PlanView,
    PositionView,
    Resources,
    SignalView,
    SymbolView,
    TradeView,
    View,
)

T0 = 1_767_614_400_000_000_000
"""2026-01-05T12:00Z."""
WAVE = tuple(math.sin(n / 9) * n for n in range(120))


def a_symbol(name: str = "BTCUSDT") -> SymbolView:
    """A symbol of which everything is known."""
    position = PositionView(name, 4, "long", 0.5, 27_950.1, 27_900.0, 28_050.0, T0, 12.5, 1.25)
    trade = TradeView(3, "short", 0.5, T0, T0 + 10**9, 28_000.0, 27_990.0, 5.0, 1.0, 4.0, "target")
    return SymbolView(
        "binance-um", name, T0, 123_456, 27_950.5, 27_950.4, 27_950.5, 1, 3,
        -12.5, 30.25, -1234.5, False, -0.25, 0.4,
        ChartView(5, T0, WAVE, tuple(x * 3 for x in WAVE), tuple(x / 130 for x in WAVE), WAVE),
        {"volatility": "quiet", "trend": "up"}, "normal", "in_position", T0 - 90 * 10**9, False,
        (
            SignalView("absorption", True, 1, 0.8, 2.5, 2.0, T0),
            SignalView("cvd_trend", True, -1, 0.35, -1.1, 1.0, T0),
            SignalView("sweep", False, 0, 0.0, 0.0, 0.0),
        ),
        (
            PlanView(1, "dip", "pending", "long", False, T0, 1, 3,
                     ("cvd_rising: cvd_trend sell, wants = buy", "price: 27950.5, wants <= 27900")),
            PlanView(2, "fade", "executed", "short", True, T0, 2, 2),
        ),
        DecisionView(99, T0, "none", 1, 0.31, 0.56, ("history", "idea"), ("score",), ("spread",),
                     ("book stale",)),
        (position,),
        AccountView("USDT", 10_000.0, 10_012.5, 12.5, 2.25, 8.0, 3.5, 25.0, 1, 7, 4, 1,
                    ("cooldown",)),
        (trade,),
        {"price": "27950.5"},
        {"decision": 99, "order": 14, "fill": 14, "position": 7, "signal": 120, "equity": 60},
    )  # fmt: skip


def a_view(symbols: int = 1) -> View:
    """A session that runs, of ``symbols`` instruments."""
    names = ["BTCUSDT", "ETHUSDT", *(f"COIN{n}USDT" for n in range(symbols))][:symbols]
    gap = GapView("BTCUSDT", "trade", T0 - 10**10, T0 - 9 * 10**9, 5, 9, "disconnect", False)
    return View(
        session="20260105T120000-paper-delta_flip", command="paper", venue="binance-um",
        strategy="delta_flip", phase="running", as_of_seq=1_000, now_ns=T0,
        started_ns=T0 - 3_600 * 10**9, uptime_s=3_600.0, served=False,
        states=States(1_010, 1_005, 1_000, 900, 800), events=1_010,
        by_kind={"trade": 700, "depth": 300, "gap": 10},
        feed=FeedView(2, 5, 3, 1, 2_000, 900_000, 0, 4, 11, 2, {"malformed": 1},
                      {"btcusdt@aggTrade": 700}, (), "", 1_500.0, 250_000.0, 1_480.0,
                      1.5, 12.25, 3.0, 18.0, 25.0, 80.0),
        gaps=GapsView(10, 8, 1, {"disconnect": 6, "id_hole": 4}, (gap,)),
        disk=DiskView(50 * 10**9, 2 * 10**9, 7 * 10**9, 40_000_000, 3_600, 4.0, 12.0, 0, ()),
        resources=Resources(T0, 42.5, 310.0, 9, 44, 300_000.0, 20_000.0, 0.0, 90_000.0, symbols,
                            0.2, 1, 0, 100.0),
        symbols=tuple(a_symbol(name) for name in names),
    )  # fmt: skip


def ill(view: View) -> View:
    """The same session when much is wrong."""
    feed = replace(view.feed, connections=0, last_error="no route to host", dropped=120)
    disk = replace(view.disk, level=2, left_out=("depth", "quote"))
    return replace(view, feed=feed, disk=disk)
