"""Every handler of the kernel in the order of a fold: the list that folds are put together from.

Owns the order and what one handler needs of others. What a strategy does not ask for is not in its
fold and costs nothing. It refuses to know any strategy.
"""

from __future__ import annotations

from engine.kernel.handler import Handler
from engine.kernel.handlers_detectors import DETECTORS
from engine.kernel.handlers_market import MARKET
from engine.kernel.handlers_proxy import PROXIES
from engine.kernel.handlers_trading import TRADING

__all__ = ["HANDLERS", "Handler", "resolve"]

_ALL = (*MARKET, *DETECTORS, *PROXIES, *TRADING)

HANDLERS: dict[str, Handler] = {h.name: h for h in _ALL}
"""Handlers by name, in the order in which a fold calls them."""


def resolve(names: tuple[str, ...]) -> tuple[Handler, ...]:
    """The handlers ``names`` and all they need, in calling order; KeyError for an unknown name."""
    wanted: set[str] = set()

    def want(name: str) -> None:
        if name not in HANDLERS:
            raise KeyError(f"no handler {name!r}; there are {', '.join(HANDLERS)}")
        wanted.add(name)
        for other in HANDLERS[name].needs:
            want(other)

    for name in (*names, "sides"):
        want(name)
    return tuple(h for h in _ALL if h.name in wanted)
