"""Who comes when, and on which side: order arrivals, sizes and signs of the unplanted market.

The arrival intensity is a Cox process on a one-second grid (intraday profile times the exponential
of three mean-reverting factors: an hour, four minutes, ten seconds), and every order excites a
cluster of further orders, many of them within the same millisecond (a branching, that is a Hawkes
process with short memory). Signs come from metaorders of Pareto length that take turns, so their
autocorrelation falls as a power (Lillo, Mike and Farmer 2005).

Nothing here depends on prices, so a market and its null twin have the same orders.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from data.sources.synthetic import tables
from data.sources.synthetic.spec import DAY_S, MarketSpec

PROFILE = np.array(
    [
        *(1.0, 0.9, 0.85, 0.75, 0.65, 0.6, 0.65, 0.8, 0.95, 0.9, 0.85, 0.85),
        *(1.0, 1.35, 1.75, 1.7, 1.5, 1.3, 1.15, 1.1, 1.1, 1.0, 0.95, 1.0),
    ]
)
"""Relative intensity at each full hour UTC; linear between, mean near 1."""

TAU_S = np.array([3_600.0, 240.0, 10.0])
VARIANCE = np.array([0.45, 0.50, 0.40])
"""Time constants (s) and variances of the three factors of log intensity. Together with the profile
they give the lognormal spread of trades a second that BTCUSDT shows (sigma about 1.3)."""

CLUSTER_MEAN = 2.2
"""Orders a cluster, the first one included."""

ORDERS_PER_TRADE = 0.59
"""Orders for each trade print: an order that sweeps levels prints once a level."""

ACTORS = 10
STAY = 0.80
LENGTH_MIN = 6.0
LENGTH_MAX = 20_000.0


@dataclass(slots=True)
class Orders:
    """Aggressive orders in time order, one entry each.

    ``ms`` int64 since the market's start, ``sign`` int64 (+1 buy, -1 sell), ``lots`` int64,
    ``noise`` float64 standard normal (news that comes with the order), ``overlay`` int8.
    """

    ms: np.ndarray
    sign: np.ndarray
    lots: np.ndarray
    noise: np.ndarray
    overlay: np.ndarray


@njit(cache=True, nogil=True)
def _factors(state: np.ndarray, decay: np.ndarray, shock: np.ndarray, z: np.ndarray) -> np.ndarray:
    n, k = z.shape
    out = np.empty(n)
    for i in range(n):
        total = 0.0
        for j in range(k):
            state[j] = state[j] * decay[j] + shock[j] * z[i, j]
            total += state[j]
        out[i] = total
    return out


@njit(cache=True, nogil=True)
def _signs(
    actor_sign: np.ndarray,
    actor_left: np.ndarray,
    current: np.ndarray,
    u: np.ndarray,
    noise: float,
) -> np.ndarray:
    n = u.shape[0]
    out = np.empty(n, np.int64)
    k = current[0]
    for i in range(n):
        if u[i, 0] >= STAY:
            k = int(u[i, 1] * ACTORS)
        if actor_left[k] <= 0:
            v = max(u[i, 2], 1e-9)
            length = LENGTH_MIN / (np.sqrt(v) * np.sqrt(np.sqrt(v)))
            actor_left[k] = int(min(length, LENGTH_MAX))
            actor_sign[k] = 1 if u[i, 3] < 0.5 else -1
        actor_left[k] -= 1
        out[i] = actor_sign[k]
        if u[i, 4] < noise:
            out[i] = 1 if u[i, 4] * 2.0 < noise else -1
    current[0] = k
    return out


class Flow:
    """The order flow of one market, block by block, in order.

    Each call of :meth:`block` takes up where the last one ended; blocks may not be skipped.
    """

    def __init__(self, spec: MarketSpec) -> None:
        self.spec = spec
        self._factor = np.zeros(3)
        z = tables.normals(tables.uniforms(spec.seed, tables.RATE, 0, 3, sub=1))
        self._factor[:] = z * np.sqrt(VARIANCE)
        self._decay = tables.quantise(np.exp(-1.0 / TAU_S), 40)
        self._shock = np.sqrt(VARIANCE * (1.0 - self._decay**2))
        self._actor_sign = np.ones(ACTORS, np.int64)
        self._actor_left = np.zeros(ACTORS, np.int64)
        self._current = np.zeros(1, np.int64)
        self._carry = np.empty(0, np.int64)
        self.order_rate = spec.rate_per_s * ORDERS_PER_TRADE
        """Mean orders a second."""

    def block(self, index: int, start_s: int, seconds: int) -> tuple[np.ndarray, Orders]:
        """Intensity (orders a second, float64[seconds]) and the orders of the next block."""
        intensity = self._intensity(index, start_s, seconds)
        ms = self._arrivals(index, intensity, start_s)
        u = tables.uniforms(self.spec.seed, tables.FLOW, index, 8 * len(ms)).reshape(-1, 8)
        sign = _signs(
            self._actor_sign, self._actor_left, self._current, u[:, :5], self.spec.sign_noise
        )
        lots = tables.sizes(u[:, 5], u[:, 6])
        noise = tables.normals(u[:, 7])
        return intensity, Orders(ms, sign, lots, noise, np.zeros(len(ms), np.int8))

    def _intensity(self, index: int, start_s: int, seconds: int) -> np.ndarray:
        u = tables.uniforms(self.spec.seed, tables.RATE, index, 3 * seconds).reshape(-1, 3)
        z = _factors(self._factor, self._decay, self._shock, tables.normals(u))
        second = (self.spec.start_ns // 1_000_000_000 + start_s + np.arange(seconds)) % DAY_S
        profile = np.interp(second / 3600.0, np.arange(25), np.append(PROFILE, PROFILE[0]))
        level = profile / PROFILE.mean() * np.exp(z - VARIANCE.sum() / 2)
        return tables.quantise(level * self.order_rate, 20)

    def _arrivals(self, index: int, intensity: np.ndarray, start_s: int) -> np.ndarray:
        """Times of all orders of the block in ms since the market's start, sorted."""
        parents = poisson_times(
            intensity / CLUSTER_MEAN, self.spec.seed, tables.ARRIVAL, index
        ) + float(start_s)
        ms = (parents * 1000.0).astype(np.int64)
        u = tables.uniforms(self.spec.seed, tables.ARRIVAL, index, len(ms), sub=1)
        # geometric number of followers with mean CLUSTER_MEAN - 1
        stay = 1.0 - 1.0 / CLUSTER_MEAN
        followers = np.floor(np.log(np.maximum(u, 1e-12)) / np.log(stay)).astype(np.int64)
        total = int(followers.sum())
        v = tables.uniforms(self.spec.seed, tables.ARRIVAL, index, total, sub=2)
        children = np.repeat(ms, followers) + _delays(v)
        every = np.sort(np.concatenate([self._carry, ms, children]))
        cut = int(np.searchsorted(every, (start_s + len(intensity)) * 1000))
        self._carry = every[cut:]
        return every[:cut]


def _delays(u: np.ndarray) -> np.ndarray:
    """Delay of a follower behind its first order, ms: half at once, the rest 1 ms to 3 s."""
    w = np.maximum(u - 0.5, 0.0) * 2.0
    return np.where(u < 0.5, 0, np.floor(np.exp(w * 8.0)).astype(np.int64))


def poisson_times(rate: np.ndarray, seed: int, role: int, index: int, sub: int = 0) -> np.ndarray:
    """Times (s from the block's start, sorted) of a Poisson process of ``rate`` a second.

    ``rate`` is float64[seconds], constant within each second; unit-rate gaps are mapped through the
    inverse of its integral.
    """
    area = np.concatenate([[0.0], np.cumsum(rate)])
    n = int(area[-1] + 8.0 * np.sqrt(area[-1]) + 32)
    gaps = -np.log1p(-tables.uniforms(seed, role, index, n, sub=100 + sub))
    unit = np.cumsum(gaps)
    unit = unit[unit < area[-1]]
    return np.interp(unit, area, np.arange(len(rate) + 1, dtype=np.float64))
