"""Settings of the handlers that guard a trade: the life cycle's time limits and the risk guards.

Owns their names, kinds, defaults and documentation. The defaults of ``risk`` are those of the later
stages of the seed system (reference "orderflow" 11.12) where it states one. It refuses to know how
a text becomes a number.
"""

from __future__ import annotations

from engine.runtime.strategy import Param

GUARDS: dict[str, tuple[Param, ...]] = {
    "lifecycle": (
        Param("signal", "duration", "30s", "longest time in SIGNAL_DETECTED (0: no limit)"),
        Param("entry", "duration", "30s", "an entry not filled by then is withdrawn (0: no limit)"),
        Param("exit", "duration", "30s", "after this an exit is asked for again (0: no limit)"),
        Param("cooldown", "duration", "15s", "time in COOLDOWN after a trade or a refusal"),
        Param("blocked", "duration", "0", "longest time in BLOCKED (0: until unblocked)"),
    ),
    "risk": (
        Param("share", "ratio", "0.01", "share of equity lost at the stop", low=0, high=1),
        Param(
            "kelly", "ratio", "0.25", "share of Kelly's bet that caps it (0: off)", low=0, high=1
        ),
        Param("leverage", "ratio", "10", "notional over equity of one entry (0: off)", low=0),
        Param("notional_min", "money", "0", "smallest notional of an entry", low=0),
        Param("notional_max", "money", "0", "largest notional of an entry (0: off)", low=0),
        Param("qty_max", "quantity", "0", "largest entry (0: off)", low=0),
        Param(
            "heat_trade", "ratio", "0.02", "most risk of an entry, share of equity (0: off)", low=0
        ),
        Param(
            "heat_symbol",
            "ratio",
            "0.04",
            "most risk in this symbol, share of equity (0: off)",
            low=0,
        ),
        Param(
            "heat_total",
            "ratio",
            "0.06",
            "most risk in all symbols, share of equity (0: off)",
            low=0,
        ),
        Param("positions", "count", "1", "most positions at a time (0: off)", low=0),
        Param("daily_loss", "ratio", "0.05", "loss of a day that halts it (0: off)", low=0),
        Param("drawdown", "ratio", "0.2", "fall from the peak that halts (0: off)", low=0),
        Param("on_halt", "choice", "close", "what a halt does to a position", ("close", "hold")),
        Param("losses", "count", "3", "losses in a row that make a pause (0: off)", low=0),
        Param("losses_pause", "duration", "30m", "length of that pause"),
        Param("spread", "ratio", "0.0015", "widest spread, share of price (0: off)", low=0),
        Param("slippage", "ratio", "0.001", "most slippage by the book (0: off)", low=0),
        Param("latency", "duration", "3s", "oldest last event of the feed (0: off)"),
        Param("stale", "duration", "5s", "oldest touch that is traded on (0: off)"),
        Param("gap", "duration", "1m", "pause after a gap (0: off)"),
        Param(
            "market",
            "choice",
            "normal",
            "market states that may be entered: NORMAL, or COOLDOWN as well",
            ("normal", "tradable"),
        ),
        Param(
            "blind",
            "choice",
            "refuse",
            "where no touch was ever seen: refuse, or let the last trade do",
            ("refuse", "allow"),
        ),
        Param("min_rr", "ratio", "1", "least reward to risk, before costs (0: off)", low=0),
        Param(
            "zone",
            "zone",
            "UTC",
            "zone of the account's day: a name such as Europe/Athens, or +02:00",
            column="zone_n",
        ),
    ),
}
"""Settings by group."""
