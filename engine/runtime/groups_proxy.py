"""Settings of flow without prints: pseudo trades, their gate, and the seed's proxy metrics.

Owns the groups ``proxy`` and ``proxy_metrics`` of :data:`engine.runtime.parameters.GROUPS`. It
refuses to know how a text becomes a number.
"""

from __future__ import annotations

from engine.runtime.strategy import Param

PROXIES: dict[str, tuple[Param, ...]] = {
    "proxy": (
        Param("horizon", "choice", "1s", "quotes of so long make one bar", ("1s", "5s", "15s")),
        Param("volume", "choice", "updates", "volume of a quote", ("updates", "sizes")),
        Param("unit", "count", "1000", "quantity units of one update or tick", low=1, high=10**9),
        Param("dist", "choice", "normal", "law of the price change", ("normal", "t")),
        Param("length", "count", "3600", "bars that the sd of the change remembers", low=1),
        Param("warm", "count", "60", "bars before the change is judged (halves until then)", low=1),
        Param("quiet", "duration", "60s", "without trades so long, quotes speak"),
        Param("silence", "duration", "5m", "no change of price reaches across so long"),
        Param("window", "duration", "30m", "recent past of quality and source (at most 1h)"),
        Param("memory", "duration", "4h", "the weakest source of so long rules what may be said"),
        Param("gate", "flag", "true", "silence what a source cannot know (false: to measure it)"),
    ),
    "proxy_metrics": (
        Param("mode", "choice", "standard", "standard or seed", ("standard", "seed")),
        Param("minutes", "count", "30", "minutes of the window", low=5, high=300),
        Param("large", "money", "100000", "notional of a large trade", low=1),
    ),
}
"""Settings by group."""
