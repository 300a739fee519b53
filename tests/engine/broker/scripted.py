"""A module to be called by workers in tests: it answers, prints, sleeps, raises and dies."""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np

from engine.broker.terminal import structs

__version__ = "7.7"
_ROWS = {name: np.zeros(2, dtype=structs.TICKS[name]) for name in structs.TICKS.names or ()}
_error = (1, "Success")


def last_error() -> tuple[int, str]:
    return _error


def version() -> tuple[int, int, str]:
    print("what a package prints must not end up among the answers")
    return (500, os.getpid(), "21 Nov 2025")


def symbol_info_tick(symbol: str) -> Any:
    return structs.make("Tick", {"time": 5, "bid": 1.5, "time_msc": 5001}) if symbol else None


def positions_get(**_given: Any) -> Any:
    return tuple(structs.make("TradePosition", {"ticket": n, "symbol": "é"}) for n in (1, 2**63))


def orders_get() -> Any:
    return ()


def copy_ticks_from(*_given: Any) -> Any:
    return structs.make_rows(structs.TICKS, {**_ROWS, "bid": np.array([1.25, 2.5])})


def order_send(request: dict[str, Any]) -> Any:
    inner = structs.make("TradeRequest", {"magic": request["magic"]})
    return structs.make("OrderSendResult", {"retcode": 10009, "request": inner})


def account_info() -> Any:
    global _error
    _error = (-10004, "No IPC connection")


def symbols_total() -> int:
    time.sleep(30)
    return 1


def login(number: int, password: str = "", server: str = "") -> bool:
    raise ValueError(f"{number}: {password} is not right at {server}")


def shutdown() -> None:
    os._exit(9)
