# mypy: disallow-untyped-defs=False
"""When liquidity is taken, and by whom: a bivariate Hawkes process of buy and sell orders.

Owns the arrival times, sides and sizes of background orders. The intensity of side i is

    lambda_i(t) = mu_i(t) + sum over orders s < t of a_ij exp(-beta (t - s)),

a_ij = ALPHA[same or other side] * beta, so that the branching ratio is their sum over beta. The
immigrants mu are noise traders (half on each side) and metaorders: large parents of one side that
are worked child by child, whose sizes follow a power law of exponent :data:`TAIL`; that is what
gives signs their long memory (Lillo, Mike, Farmer 2005: exponent of the autocorrelation
TAIL - 1). A slow factor, log-normal and mean-reverting, makes quiet and busy hours.

Times are whole microseconds. Arrivals are drawn by Ogata's thinning (1981). It refuses to know
prices: orders do not react to the book, so a market and its null twin have the same ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from data.sources.synthetic import tables
from data.sources.synthetic.agents_spec import AgentSpec

META, BUSY, HAWKES, SIZES = range(21, 25)
"""Roles of the random streams; a number keeps its meaning."""

CROSS = 0.25
"""Share of an order's offspring that stands on the other side."""

BETA = 0.8
"""Decay of excitation, in units of the mean rate of orders."""

TAIL = 1.5
CHILDREN = (15, 3_000)
"""Exponent of the number of a metaorder's children, and its least and largest number."""

WORKED = (0.1, 0.3)
"""Rate of one metaorder, in units of all immigrants' rate: least and largest."""

BUSY_SD = 0.5
BUSY_S = 900.0
"""Deviation of the logarithm of the slow factor, and its memory in seconds."""

MEAN_LOTS = 120
"""Mean size of an order, lots."""

SIZE_SIGMA = 1.0
"""Deviation of the logarithm of a size."""

US = 1_000_000
"""Microseconds a second."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """The excitation: jumps a second of the own and the other side's intensity, and their decay."""

    same: float
    other: float
    beta: float

    @property
    def branching(self) -> float:
        """Mean number of direct offspring of an order."""
        return (self.same + self.other) / self.beta


def kernel(spec: AgentSpec) -> Kernel:
    """The excitation that ``spec`` asks for."""
    beta = BETA * spec.rate_per_s
    total = spec.branching * beta
    return Kernel(total * (1 - CROSS), total * CROSS, beta)


class Arrivals:
    """Background orders of a market, block after block: times, sides, sizes."""

    def __init__(self, spec: AgentSpec) -> None:
        self.spec = spec
        self.kernel = kernel(spec)
        self.busy = _busy(spec)
        self.immigrants = _immigrants(spec) * self.busy
        """float64[2, seconds]: rates of buying (0) and selling (1) immigrants, a second."""
        self._memory = np.zeros(2)
        self._decay = decay_table(self.kernel.beta)

    def block(self, index: int, start_s: int, seconds: int) -> tuple[np.ndarray, np.ndarray]:
        """Times in microseconds since the market's start (int64[n]) and sides (int64[n], +1, -1).

        Blocks must be asked for in order.
        """
        mu = np.ascontiguousarray(self.immigrants[:, start_s : start_s + seconds])
        k, seed = self.kernel, self.spec.seed
        cursor = np.zeros(2, np.int64)  # time, second
        times, sides, sub, done = [], [], 0, False
        while not done:
            u = tables.uniforms(seed, HAWKES, index, 1 << 14, sub=sub).reshape(-1, 2)
            gaps = -np.log1p(-u[:, 0])
            t = np.empty(len(u), np.int64)
            side = np.empty(len(u), np.int64)
            n, done = thin(
                mu, k.same, k.other, self._decay, self._memory, cursor, gaps, u[:, 1], t, side
            )
            times.append(t[:n])
            sides.append(side[:n])
            sub += 1
        return start_s * US + np.concatenate(times), np.concatenate(sides)

    def lots(self, index: int, n: int) -> np.ndarray:
        """Sizes of the ``n`` orders of block ``index``, lots: int64[n]."""
        return sizes(tables.uniforms(self.spec.seed, SIZES, index, n))

    def flow_sigma(self) -> float:
        """Deviation of a minute's signed flow, in mean orders, from what is known of the process.

        Of the metaorders as they stand; of arrivals from the variance of a Hawkes process over a
        long window, rate / (1 - own + other offspring)**2; of sizes from their law.
        """
        tilt = 1.0 - self.spec.branching * (1 - 2 * CROSS)
        net = (self.immigrants[0] - self.immigrants[1]).reshape(-1, 60).sum(1) / tilt
        orders = 60.0 * self.immigrants.sum(0).mean() / (1 - self.spec.branching)
        size = np.exp(SIZE_SIGMA**2) - 1
        return float(np.sqrt((net * net).mean() + orders * (1 / tilt**2 + size)))


def decay_table(beta: float) -> np.ndarray:
    """exp(-beta 2**k us) for k = 0 to 39: decays as products, the same on every machine."""
    return tables.quantise(np.exp(-beta * 2.0 ** np.arange(40) / US), 50)


@njit(cache=True, nogil=True)
def thin(mu, same, other, decay, memory, cursor, gaps, accept, t, side):
    """Ogata's thinning over one block, until it ends or the pool of random numbers does.

    ``mu`` float64[2, seconds]; ``memory`` float64[2] the excitation of each side at ``cursor[0]``
    (us in the block), both kept between calls; ``gaps`` unit exponentials and ``accept`` uniforms
    float64[m]; ``t`` and ``side`` int64[m] take the orders. Returns (orders, whether it ended).
    """
    now, n = cursor[0], 0
    seconds = mu.shape[1]
    for i in range(len(gaps)):
        second = now // 1_000_000
        if second >= seconds:
            break
        bound = mu[0, second] + mu[1, second] + memory[0] + memory[1]
        until = (second + 1) * 1_000_000
        step = until - now
        if bound > 0.0 and gaps[i] / bound * 1e6 < step:
            step = max(1, int(gaps[i] / bound * 1e6))
        _fade(memory, decay, step)
        now += step
        if now >= until:
            continue  # the bound changes with the second: begin again from there, unbiased
        x = accept[i] * bound
        buy = mu[0, second] + memory[0]
        if x < buy:
            t[n], side[n] = now, 1
            memory[0] += same
            memory[1] += other
            n += 1
        elif x < buy + mu[1, second] + memory[1]:
            t[n], side[n] = now, -1
            memory[1] += same
            memory[0] += other
            n += 1
    cursor[0] = now
    ended = now // 1_000_000 >= seconds
    return n, ended


@njit(cache=True, nogil=True)
def _fade(memory, decay, us):
    k = 0
    while us > 0:
        if us & 1:
            memory[0] *= decay[k]
            memory[1] *= decay[k]
        us >>= 1
        k += 1


@njit(cache=True, nogil=True)
def residuals(mu, same, other, decay, t, side):
    """Compensators between consecutive orders of each side: (float64[n], int64[n] sides).

    By the time-rescaling theorem those of one side are independent Exp(1) if the orders are what
    the parameters say (Ogata 1988). ``t`` in us, not falling; ``mu`` float64[2, seconds].
    """
    beta = -np.log(decay[20]) / (2.0**20 / 1e6)
    memory = np.zeros(2)
    area = np.zeros(2)
    out = np.empty(len(t))
    now = 0
    for i in range(len(t)):
        while now < t[i]:
            second = now // 1_000_000
            step = min(t[i], (second + 1) * 1_000_000) - now
            before = memory.copy()
            _fade(memory, decay, step)
            for s in range(2):
                area[s] += mu[s, second] * step / 1e6 + (before[s] - memory[s]) / beta
            now += step
        own = 0 if side[i] > 0 else 1
        out[i] = area[own]
        area[own] = 0.0
        memory[own] += same
        memory[1 - own] += other
    return out


def sizes(u: np.ndarray) -> np.ndarray:
    """Order sizes in lots from uniforms: log-normal with mean :data:`MEAN_LOTS`, int64."""
    median = MEAN_LOTS * np.exp(-(SIZE_SIGMA**2) / 2)
    z = tables.normals(u)
    q = np.rint(tables.quantise(median * np.exp(SIZE_SIGMA * z), 10)).astype(np.int64)
    return np.maximum(q, 1)


def _busy(spec: AgentSpec) -> np.ndarray:
    """The slow factor of activity, mean 1: float64[seconds], constant within a minute."""
    minutes = spec.duration_s // 60
    z = tables.normals(tables.uniforms(spec.seed, BUSY, 0, minutes + 1))
    keep = float(np.exp(-60.0 / BUSY_S))
    x = np.empty(minutes)
    level = z[0]
    for i in range(minutes):
        x[i] = level
        level = keep * level + np.sqrt(1 - keep * keep) * z[i + 1]
    return np.repeat(tables.quantise(np.exp(BUSY_SD * x - BUSY_SD**2 / 2), 20), 60)


def _immigrants(spec: AgentSpec) -> np.ndarray:
    """Rates of noise traders and metaorders, a second: float64[2, seconds]."""
    total = spec.rate_per_s * (1 - spec.branching)
    mu = np.full((2, spec.duration_s), spec.noise * total / 2)
    if spec.noise == 1:
        return mu
    lo, hi = CHILDREN
    warm = round(hi / (WORKED[0] * total))  # metaorders that began before the market
    warm = min(warm, 40_000)
    mean = TAIL / (TAIL - 1) * lo * (1 - (lo / hi) ** (TAIL - 1)) / (1 - (lo / hi) ** TAIL)
    span = warm + spec.duration_s
    expected = (1 - spec.noise) * total / mean * span
    n = round(expected)
    u = tables.uniforms(spec.seed, META, 0, 4 * n).reshape(-1, 4)
    start = u[:, 0] * span - warm
    children = lo * (1 - u[:, 1] * (1 - (lo / hi) ** TAIL)) ** (-1 / TAIL)
    rate = total * (WORKED[0] + (WORKED[1] - WORKED[0]) * u[:, 2])
    first = np.floor(start).astype(np.int64)
    length = np.maximum(np.rint(children / rate), 1).astype(np.int64)
    rate = tables.quantise(children / length, 30)
    edges = np.zeros((2, spec.duration_s + 1))
    side = (u[:, 3] < 0.5).astype(np.int64)
    begin = np.clip(first, 0, spec.duration_s)
    end = np.clip(first + length, 0, spec.duration_s)
    np.add.at(edges, (side, begin), rate)
    np.add.at(edges, (side, end), -rate)
    return mu + np.maximum(tables.quantise(np.cumsum(edges[:, :-1], axis=1), 30), 0.0)
