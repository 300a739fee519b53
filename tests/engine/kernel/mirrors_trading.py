"""How the states of the handlers that trade mirror: blank ones are equal."""

from __future__ import annotations

from typing import Any


def mirror_untouched(a: Any, b: Any) -> None:
    assert a.tobytes() == b.tobytes()


TRADING_MIRRORS = {"flip": mirror_untouched, "exits": mirror_untouched}
TRADING_VOLUMES: dict[str, tuple[str, ...]] = {"flip": (), "exits": ()}
