"""What a synthetic market is asked to be: the parameters, checked, and the words for patterns.

Owns :class:`MarketSpec`, :class:`Label` and the list of pattern kinds. Equal specifications give
equal markets, bit for bit. It refuses to know how anything is drawn.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from data.errors import ConfigError
from data.events import NS, Kind, Scales

VENUE = "synthetic"
"""Venue name under which synthetic markets stand in a log."""

PATTERN_KINDS = (
    "absorption",
    "delta_divergence",
    "cvd_divergence",
    "liquidity_sweep",
    "flow_flip",
)
"""Kinds of planted pattern; ``data.sources.synthetic.patterns`` says what each one does."""

PATTERN_SECONDS = {
    "absorption": 60,
    "delta_divergence": 60,
    "cvd_divergence": 240,
    "liquidity_sweep": 90,
    "flow_flip": 120,
}
"""Length of each pattern, seconds."""

SETTLE_SECONDS = 180
"""After a pattern the market returns to its unplanted course within this time, unless told."""

LOOKBACK_S = 180
"""A recent high or low, through which a sweep runs, is that of so many seconds, unless told."""

STOPS = 6.0
"""Rate of stop orders in a sweep of strength 1, the market's own being 1, unless told."""

FLOW_SHARE = 0.6
"""Share of the latent price's variance that order flow makes, unless told; news makes the rest."""

SIGN_NOISE = 0.12
"""Share of orders whose side is a coin's, whatever the metaorder wants, unless told."""

DAY_S = 86_400
DEFAULT_START_NS = 1_767_571_200 * NS
"""2026-01-05T00:00:00Z, a Monday."""


_BTC = Scales(price=1, qty=3)


_LATER = ("flow_share", "sign_noise", "stretch", "settle_s", "lookback_s", "stops")
"""Fields that came after markets had been written down; absent means the default."""


@dataclass(frozen=True, slots=True)
class MarketSpec:
    """Parameters of one synthetic market.

    ``start_ns`` is UTC and a whole minute, ``duration_s`` whole minutes. ``rate_per_s`` is the mean
    number of trades a second, ``daily_vol`` the standard deviation of a day's return (0.015 is
    1.5 %), ``ref_price`` the first price. ``tick`` and ``lot`` are in units of ``scales``. One
    pattern is planted in every ``every_s`` seconds when ``patterns`` names any kind; ``strength``
    is the range from which its strength is drawn. ``null`` makes the null twin: the same market,
    the same times, the mechanism of every pattern switched off. ``first_id`` is the id of the first
    trade.

    ``flow_share`` is the share of the price's variance that order flow makes (it sets the
    correlation of price and flow), ``sign_noise`` the share of orders with a side at random,
    ``stretch`` multiplies the length of every pattern, ``settle_s`` is the time in which what a
    pattern did to the price fades, a sweep runs the extreme of the last ``lookback_s`` seconds with
    stop orders ``stops`` times as dense as the market's own. Left at their defaults these six are
    not written down: a market of before them has the same description as now.

    Raises :class:`data.errors.ConfigError` where a value is out of range.
    """

    seed: int = 1
    symbol: str = "BTCUSDT"
    start_ns: int = DEFAULT_START_NS
    duration_s: int = DAY_S
    rate_per_s: float = 18.0
    ref_price: float = 60_000.0
    daily_vol: float = 0.015
    scales: Scales = _BTC
    tick: int = 1
    lot: int = 1
    depth_levels: int = 20
    depth_ms: int = 100
    kinds: tuple[Kind, ...] = (Kind.TRADE, Kind.DEPTH, Kind.BAR)
    patterns: tuple[str, ...] = ()
    every_s: int = 1_800
    strength: tuple[float, float] = (1.0, 2.0)
    null: bool = False
    first_id: int = 1
    flow_share: float = FLOW_SHARE
    sign_noise: float = SIGN_NOISE
    stretch: float = 1.0
    settle_s: int = SETTLE_SECONDS
    lookback_s: int = LOOKBACK_S
    stops: float = STOPS

    def __post_init__(self) -> None:
        """Check every value."""
        _require(0 <= self.seed < 1 << 63, "seed", self.seed, "0 to 2**63 - 1")
        _require(bool(self.symbol), "symbol", self.symbol, "a name")
        _require(
            self.start_ns > 0 and self.start_ns % (60 * NS) == 0,
            "start_ns",
            self.start_ns,
            "a whole minute after 1970",
        )
        _require(
            self.duration_s > 0 and self.duration_s % 60 == 0,
            "duration_s",
            self.duration_s,
            "whole minutes",
        )
        _require(0.05 <= self.rate_per_s <= 500, "rate_per_s", self.rate_per_s, "0.05 to 500")
        _require(0 < self.daily_vol <= 0.2, "daily_vol", self.daily_vol, "above 0, at most 0.2")
        _require(self.tick > 0 and self.lot > 0, "tick and lot", (self.tick, self.lot), "positive")
        ticks = self.ref_ticks
        _require(10_000 <= ticks < 1 << 40, "ref_price", self.ref_price, "10,000 to 2**40 ticks")
        _require(1 <= self.depth_levels <= 25, "depth_levels", self.depth_levels, "1 to 25")
        _require(
            10 <= self.depth_ms <= 60_000 and 60_000 % self.depth_ms == 0,
            "depth_ms",
            self.depth_ms,
            "10 to 60000, a divisor of a minute",
        )
        _require(self.first_id > 0, "first_id", self.first_id, "positive")
        known = {Kind.TRADE, Kind.DEPTH, Kind.BAR}
        _require(set(self.kinds) <= known, "kinds", self.kinds, "trade, depth and bar")
        self._check_patterns()

    def _check_patterns(self) -> None:
        unknown = [p for p in self.patterns if p not in PATTERN_KINDS]
        _require(not unknown, "patterns", unknown, f"among {', '.join(PATTERN_KINDS)}")
        lo, hi = self.strength
        _require(0 < lo <= hi <= 10, "strength", self.strength, "0 < low <= high <= 10")
        _require(0.05 <= self.flow_share <= 0.95, "flow_share", self.flow_share, "0.05 to 0.95")
        _require(0.0 <= self.sign_noise <= 1.0, "sign_noise", self.sign_noise, "0 to 1")
        _require(0.5 <= self.stretch <= 20.0, "stretch", self.stretch, "0.5 to 20")
        _require(60 <= self.settle_s <= 7_200, "settle_s", self.settle_s, "60 to 7200 seconds")
        _require(
            60 <= self.lookback_s <= 3_600, "lookback_s", self.lookback_s, "60 to 3600 seconds"
        )
        _require(0 < self.stops <= 100, "stops", self.stops, "above 0, at most 100")
        if self.patterns:
            need = max(self.pattern_s(p) for p in self.patterns) + self.settle_s + 60
            _require(self.every_s >= need, "every_s", self.every_s, f"at least {need} seconds")

    def pattern_s(self, kind: str) -> int:
        """Length of a pattern of ``kind`` in this market, whole seconds."""
        return round(PATTERN_SECONDS[kind] * self.stretch)

    @property
    def ref_ticks(self) -> int:
        """The first price in ticks."""
        return round(self.ref_price * 10**self.scales.price / self.tick)

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
        for f in fields(self):
            if f.name in _LATER and out[f.name] == f.default:
                del out[f.name]
        return out

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> MarketSpec:
        """The specification that :meth:`to_dict` wrote; ConfigError on an unknown key."""
        return cls(**arguments(cls, values))


@dataclass(frozen=True, slots=True)
class Label:
    """What was planted, and when.

    ``direction`` is the side that the pattern speaks for (+1 up, -1 down). ``onset_ns`` is the
    moment of the thing itself: the flip, the run through the level, the start elsewhere.
    From ``settle_ns`` on a market and its null twin are the same again but for their trade ids (in
    a market of agents: no participant of the pattern acts any more).
    ``level`` is the price (stored integer) at which the mechanism sits, 0 where it has none.
    ``twin`` is True in the null twin, where nothing of the kind happens.
    """

    type: str
    start_ns: int
    onset_ns: int
    end_ns: int
    settle_ns: int
    direction: int
    strength: float
    level: int
    twin: bool
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


def arguments(cls: type[Any], values: dict[str, Any]) -> dict[str, Any]:
    """Arguments of specification ``cls`` from plain JSON types; ConfigError on an unknown key."""
    names = {f.name for f in fields(cls)}
    unknown = sorted(set(values) - names)
    _require(not unknown, "market specification", unknown, f"keys among {sorted(names)}")
    v = dict(values)
    if "scales" in v:
        v["scales"] = Scales(**v["scales"])
    if "kinds" in v:
        v["kinds"] = tuple(Kind[k.upper()] for k in v["kinds"])
    for name in ("patterns", "strength"):
        if name in v:
            v[name] = tuple(v[name])
    return v


def _require(ok: bool, name: str, value: object, allowed: str) -> None:
    if not ok:
        raise ConfigError(
            f"{name} = {value!r} is out of range",
            where="market specification",
            why=f"allowed: {allowed}",
            do="change the value",
        )
