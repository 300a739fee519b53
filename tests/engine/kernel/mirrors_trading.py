"""How the states of the handlers that trade mirror: blank ones are equal."""

from __future__ import annotations

from typing import Any


def mirror_untouched(a: Any, b: Any) -> None:
    assert a.tobytes() == b.tobytes()


def mirror_risk(a: Any, b: Any) -> None:
    """Nothing of the account has a side; the touch is turned round."""
    for f in a.dtype.names:
        if f not in ("bid", "ask_price"):
            assert a[f].tobytes() == b[f].tobytes(), f
    if int(a["bid"]):
        assert int(a["ask_price"]) - int(a["bid"]) == int(b["ask_price"]) - int(b["bid"])
        assert int(a["bid"]) + int(b["ask_price"]) == int(a["ask_price"]) + int(b["bid"])


TRADING_MIRRORS = {
    "flip": mirror_untouched, "exits": mirror_untouched, "lifecycle": mirror_untouched,
    "risk": mirror_risk, "desk": mirror_untouched, "reference": mirror_untouched,
}  # fmt: skip
TRADING_VOLUMES: dict[str, tuple[str, ...]] = {
    "flip": (), "exits": (), "lifecycle": (), "risk": ("equity",), "desk": (),
    "reference": (),
}  # fmt: skip
TRADING_PRICES: dict[str, tuple[str, ...]] = {"risk": ("bid", "ask_price")}
