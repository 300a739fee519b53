"""What an agent-based market is asked to be: its parameters, checked.

Owns :class:`AgentSpec`. Equal specifications give equal markets, bit for bit. It refuses to know
how anything is drawn. Labels and the words for patterns are those of :mod:`spec`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from data.events import NS, Kind, Scales
from data.sources.synthetic.spec import (
    DEFAULT_START_NS,
    PATTERN_KINDS,
    _require,
    arguments,
)

LENGTHS = {
    "absorption": (60, 300),
    "delta_divergence": (120, 300),
    "cvd_divergence": (900, 2_700),
    "liquidity_sweep": (90, 180),
    "flow_flip": (120, 300),
}
"""Shortest and longest length of each pattern, seconds; the slot may shorten the longest."""

SETTLE_S = 180
"""After the end of a pattern none of its participants acts any more from this time on, seconds."""

QUIET_S = 60
"""Least time between the beginning of a slot and its pattern, seconds."""

STEPS_MS = (100, 50, 20, 10, 5)
"""Lengths of the passive participants' step; the longest with at most one order in it is taken."""

_KINDS = (Kind.TRADE, Kind.DEPTH, Kind.BAR, Kind.QUOTE)
_BTC = Scales(price=1, qty=3)


@dataclass(frozen=True, slots=True)
class AgentSpec:
    """Parameters of one agent-based market.

    ``start_ns`` is UTC and a whole minute, ``duration_s`` whole minutes. ``rate_per_s`` is the mean
    number of orders that take liquidity (a print a price: about 1.1 trades an order). ``ref_price``
    is the first price; ``tick`` and ``lot`` are in units of ``scales``, and a ``tick`` of 0 makes
    30,000 ticks of the first price. ``spread_ticks`` is the spread that market makers ask for.

    ``noise`` is the share of orders that noise traders send; metaorders send the rest.
    ``branching`` is the mean number of orders that one order excites. ``rho`` is the correlation of
    a minute's signed flow and its mid price's return that is aimed at; :mod:`agents_book` says how,
    and what it can reach.

    One pattern is planted in every ``every_s`` seconds when ``patterns`` names any kind;
    ``strength`` is the range from which its strength is drawn. ``null`` makes the null twin.
    ``depth_ms`` is a multiple of 100 that divides a minute. ``first_id`` is the id of the first
    trade.

    Raises :class:`data.errors.ConfigError` where a value is out of range.
    """

    seed: int = 1
    symbol: str = "BTCUSDT"
    start_ns: int = DEFAULT_START_NS
    duration_s: int = 86_400
    rate_per_s: float = 5.0
    ref_price: float = 60_000.0
    spread_ticks: float = 1.0
    noise: float = 0.5
    rho: float = 0.6
    branching: float = 0.5
    scales: Scales = _BTC
    tick: int = 0
    lot: int = 1
    depth_levels: int = 20
    depth_ms: int = 100
    kinds: tuple[Kind, ...] = _KINDS
    patterns: tuple[str, ...] = ()
    every_s: int = 1_800
    strength: tuple[float, float] = (1.0, 2.0)
    null: bool = False
    first_id: int = 1

    def __post_init__(self) -> None:
        """Check every value."""
        _require(0 <= self.seed < 1 << 63, "seed", self.seed, "0 to 2**63 - 1")
        _require(bool(self.symbol), "symbol", self.symbol, "a name")
        whole = self.start_ns > 0 and self.start_ns % (60 * NS) == 0
        _require(whole, "start_ns", self.start_ns, "a whole minute after 1970")
        minutes = self.duration_s > 0 and self.duration_s % 60 == 0
        _require(minutes, "duration_s", self.duration_s, "whole minutes")
        _require(0.2 <= self.rate_per_s <= 200, "rate_per_s", self.rate_per_s, "0.2 to 200")
        _require(1 <= self.spread_ticks <= 8, "spread_ticks", self.spread_ticks, "1 to 8")
        _require(0 <= self.noise <= 1, "noise", self.noise, "0 to 1")
        _require(0.2 <= self.rho <= 0.9, "rho", self.rho, "0.2 to 0.9")
        _require(0 <= self.branching <= 0.9, "branching", self.branching, "0 to 0.9")
        _require(self.tick >= 0, "tick", self.tick, "positive, or 0 to have it chosen")
        _require(self.lot > 0, "lot", self.lot, "positive")
        ticks = self.ref_ticks
        _require(10_000 <= ticks < 1 << 40, "ref_price", self.ref_price, "10,000 to 2**40 ticks")
        _require(1 <= self.depth_levels <= 25, "depth_levels", self.depth_levels, "1 to 25")
        fits = 100 <= self.depth_ms <= 60_000 and self.depth_ms % 100 == 0
        fits = fits and 60_000 % self.depth_ms == 0
        _require(fits, "depth_ms", self.depth_ms, "100 to 60000, by 100, a divisor of a minute")
        _require(self.first_id > 0, "first_id", self.first_id, "positive")
        _require(set(self.kinds) <= set(_KINDS), "kinds", self.kinds, "trade, depth, bar, quote")
        self._check_patterns()

    def _check_patterns(self) -> None:
        unknown = [p for p in self.patterns if p not in PATTERN_KINDS]
        _require(not unknown, "patterns", unknown, f"among {', '.join(PATTERN_KINDS)}")
        lo, hi = self.strength
        _require(0 < lo <= hi <= 10, "strength", self.strength, "0 < low <= high <= 10")
        if self.patterns:
            need = max(LENGTHS[p][0] for p in self.patterns) + SETTLE_S + QUIET_S + 60
            _require(self.every_s >= need, "every_s", self.every_s, f"at least {need} seconds")

    @property
    def tick_units(self) -> int:
        """One tick in price units (int), chosen where ``tick`` is 0."""
        if self.tick:
            return self.tick
        return max(1, round(self.ref_price * 10**self.scales.price / 30_000))

    @property
    def ref_ticks(self) -> int:
        """The first price in ticks."""
        return round(self.ref_price * 10**self.scales.price / self.tick_units)

    @property
    def step_ms(self) -> int:
        """Length of the passive participants' step, milliseconds."""
        return next((s for s in STEPS_MS if self.rate_per_s * s <= 1000), STEPS_MS[-1])

    @property
    def end_ns(self) -> int:
        """First nanosecond after the market."""
        return self.start_ns + self.duration_s * NS

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; :meth:`from_dict` takes it back."""
        out = asdict(self)
        out["kinds"] = [k.name.lower() for k in self.kinds]
        out["patterns"] = list(self.patterns)
        out["strength"] = list(self.strength)
        return out

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> AgentSpec:
        """The specification that :meth:`to_dict` wrote; ConfigError on an unknown key."""
        return cls(**arguments(cls, values))
