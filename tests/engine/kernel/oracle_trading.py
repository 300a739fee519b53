"""References for the handlers that trade: what only a strategy writes stays blank without one."""

from __future__ import annotations

from typing import Any

from tests.engine.kernel.oracle import Oracle


class Untouched(Oracle):
    """Nothing touches it but a strategy; its rules have tests of their own."""

    def check(self, s: Any) -> None:
        assert not s.tobytes().strip(b"\0")


TRADING: dict[str, type[Oracle]] = {"flip": Untouched, "exits": Untouched}
