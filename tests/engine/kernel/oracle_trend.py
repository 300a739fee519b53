"""Recent trades, delta divergence and the trend of the CVD: the slow, obvious reference."""

from __future__ import annotations

import math
import statistics
from typing import Any

import numpy as np

from tests.engine.kernel.oracle import Oracle, Trade
from tests.engine.kernel.oracle_divergence import Lasting, Minutes, move, surprise


class Recent(Oracle):
    """Every trade's delta as the seed counts it."""

    def __init__(self, market: Any) -> None:
        super().__init__(market)
        self.deltas: list[int] = []

    def trade(self, t: Trade) -> None:
        self.deltas.append(t[2] if t[3] > 0 else -t[2])

    def check(self, s: Any) -> None:
        n = len(self.deltas)
        assert int(s["n"]) == n
        for x in range(max(0, n - 32), n):
            assert int(s["delta"][x % 32]) == self.deltas[x]


class Standing(Minutes):
    """A signal that is set anew at every look; ``seed`` says which form looks."""

    setting = ""

    def __init__(self, market: Any) -> None:
        super().__init__(market)
        self.signal = Lasting()
        self.seed = getattr(market, self.setting, False)

    def forget(self) -> None:
        super().forget()
        if not self.seed:
            self.signal.silent()

    def minute(self) -> None:
        if not self.seed:
            self.standard()

    def boundary(self, now: int) -> None:
        if self.seed:
            self.look()

    def say(self, direction: int, value: float, strength: float) -> None:
        new = direction not in (0, self.signal.direction)
        self.signal.ready, self.signal.direction = 1, direction
        self.signal.value = value
        self.signal.strength = strength if direction else 0.0
        self.signal.fired += new

    def check(self, s: Any) -> None:
        self.signal.check(s["signal"])

    def standard(self) -> None: ...
    def look(self) -> None: ...


def slope(y: list[float]) -> float:
    """Least squares over 0, 1, 2 ..."""
    x = np.arange(len(y))
    return float(np.cov(x, y)[0, 1] / np.var(x, ddof=1))


class DeltaDivergence(Standing):
    """The residual of the last six minutes, or two slopes of twenty."""

    setting = "seed_delta_divergence"

    def standard(self) -> None:
        impact, now = self.market.oracle("impact"), len(self.minutes) - 1
        if now - 6 < self.first or not impact.ready(6):
            self.signal.silent()
            return
        change, flow, trades = move(self.minutes, now - 6, now)
        e = impact.residual(6, change, flow, trades)
        z = change / impact.sigmas(6, trades)[0]
        direction = 0
        if e is not None and abs(z) >= 0.5 and abs(e) >= 2.5 and (z > 0) != (e > 0):
            direction = 1 if e > 0 else -1
        self.say(direction, e or 0.0, surprise(e or 0.0))

    def look(self) -> None:
        deltas = self.market.oracle("recent").deltas[-20:]
        if len(self.minutes) < 20 or len(deltas) < 20:
            self.signal.silent()
            return
        sp = slope([m.close / 10 for m in self.minutes[-20:]])
        sd = slope([x / 1000 for x in deltas])
        strength = min(1.0, (abs(sp) + abs(sd)) / 0.01)
        direction = 0
        if sp < -0.001 and sd > 0.001:
            direction = 1
        elif sp > 0.001 and sd < -0.001:
            direction = -1
        self.say(direction, strength, strength)


class CvdTrend(Standing):
    """Student's t of ten deltas, or the last CVD less the first of ten."""

    setting = "seed_trend"

    def standard(self) -> None:
        deltas = [m.delta for m in self.minutes[self.first :][-10:]]
        if len(deltas) < 10:
            self.signal.silent()
            return
        error = statistics.stdev(deltas) / math.sqrt(10)
        mean = sum(deltas) / 10
        t = 0.0 if not mean else mean / error if error else math.copysign(9e9, mean)
        flat = abs(t) < 1 + 5e-10  # one lone delta among zeros is exactly 1, and not beyond it
        self.say(0 if flat else 1 if t > 0 else -1, t, surprise(t))

    def look(self) -> None:
        deltas = self.market.oracle("recent").deltas
        cvd = list(np.cumsum(np.array(deltas[-10:], dtype=object)))
        change = (cvd[-1] - cvd[0]) if len(cvd) > 1 else 0
        direction = 1 if change > 0 else -1 if change < 0 else 0
        self.say(direction, change / 1000 / max(1, len(cvd)), 1.0)
