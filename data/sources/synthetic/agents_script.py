"""What is planted in a market of agents: who does what, when, and what the null twin lacks.

Told by who acts, never by what a detector would look for. ``d`` is the label's direction.

* absorption: takers press to -d for 1 to 5 minutes. A hidden participant stands at the touch they
  press on and takes all of it, showing little; then it has what it wanted, the pressure gives up,
  and takers to d find nobody in their way. Twin: the same takers, and nobody absorbs or turns it.
* delta_divergence: takers lean to d for 2 to 5 minutes, while those who quote walk the price to -d
  and fill them all the way; afterwards the price goes where the takers leaned. Twin: the same
  takers, the quotes left to themselves.
* cvd_divergence: takers push the price to an extreme on the side -d; others take profit and give
  back most of that flow; 10 to 40 minutes after the push a second one reaches beyond the extreme,
  because those who quote walk there; takers do not come along. Twin: takers push the second time
  too, until both price and flow are beyond the first.
* liquidity_sweep: takers lead the price to the extreme of the last five minutes (or a round price
  just beyond it); some hunters take out the level, which sets off the stop orders that rest
  behind it; resting size takes them, and the price comes back through the level with takers to d.
  Twin: the same approach; no hunters, stops or resting size.
* flow_flip: takers to -d dominate for half of the pattern, then takers to d. Twin: the first go on.

What a pattern's takers want are orders like any others; they excite no further ones. Nobody of a
pattern acts after its ``settle``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from data.events import NS
from data.sources.synthetic import agents_book as book
from data.sources.synthetic import tables
from data.sources.synthetic.agents_flow import sizes
from data.sources.synthetic.agents_spec import LENGTHS, QUIET_S, SETTLE_S, AgentSpec
from data.sources.synthetic.spec import Label

PLAN, TAKERS = 41, 42
"""Roles of the random streams; a number keeps its meaning."""

PUSH_S = 150
"""Length of each push of a CVD divergence, seconds."""

APPROACH = 0.6
"""Share of a sweep that leads to its level."""

STOPS_S = 4
"""Seconds in which the stops of a sweep are run."""

PRESS = 0.45
"""Rate of a pattern's takers at strength 1, in units of the mean rate of orders."""

REACH = 0.8
"""How far a pattern moves the price at strength 1, in deviations of the price over a quarter of it,
three minutes at least."""

WILL = 1.0 / 8.0
"""Rate (1/s) at which those who quote come nearer to the price they walk to."""


@dataclass(frozen=True, slots=True)
class Planted:
    """One pattern on the calendar: times in whole seconds since the market's start."""

    index: int
    kind: str
    start_s: int
    end_s: int
    settle_s: int
    direction: int
    strength: float

    @property
    def onset_s(self) -> int:
        """Second of the thing itself: the second push, the run of the stops, the flip; or start."""
        span = self.end_s - self.start_s
        after = {
            "cvd_divergence": span - PUSH_S,
            "liquidity_sweep": int(APPROACH * span),
            "flow_flip": span // 2,
        }
        return self.start_s + after.get(self.kind, 0)

    def label(self, spec: AgentSpec, level: int = 0) -> Label:
        """The label; ``level`` in stored price units."""
        at = [spec.start_ns + x * NS for x in (self.start_s, self.onset_s, self.end_s)]
        return Label(
            type=self.kind,
            start_ns=at[0],
            onset_ns=at[1],
            end_ns=at[2],
            settle_ns=spec.start_ns + self.settle_s * NS,
            direction=self.direction,
            strength=self.strength,
            level=level if self.kind in LEVELLED else 0,
            twin=spec.null,
            seed=spec.seed,
        )


LEVELLED = ("absorption", "cvd_divergence", "liquidity_sweep")
"""Patterns whose mechanism sits at a price."""


def plan(spec: AgentSpec) -> list[Planted]:
    """The calendar of patterns: one in each whole slot of ``every_s``, kinds in shuffled rounds."""
    if not spec.patterns:
        return []
    slots = spec.duration_s // spec.every_s
    u = tables.uniforms(spec.seed, PLAN, 0, 5 * slots).reshape(-1, 5)
    out: list[Planted] = []
    deck: list[str] = []
    for i in range(slots):
        if not deck:
            deck = list(dict.fromkeys(spec.patterns))
        kind = deck.pop(int(u[i, 0] * len(deck)))
        room = spec.every_s - QUIET_S - SETTLE_S - 30
        shortest, longest = LENGTHS[kind]
        length = shortest + int(u[i, 4] * (min(longest, room) - shortest))
        start = i * spec.every_s + QUIET_S + int(u[i, 1] * (room - length))
        lo, hi = spec.strength
        strength = round(lo + (hi - lo) * float(u[i, 3]), 3)
        end = start + length
        direction = 1 if u[i, 2] < 0.5 else -1
        out.append(Planted(i, kind, start, end, end + SETTLE_S, direction, strength))
    return out


@dataclass(slots=True)
class Script:
    """One pattern, ready to be acted: its takers' orders and what it tells the book.

    ``orders`` int64[n, 4] as the book takes them, in ms since the market's start. ``walks`` are
    (from_s, to_s, goal at from, goal at to, will) of those who quote, ticks from the anchor;
    ``supply`` (from_s, to_s, bids, asks) factors of what they bring; ``events`` (second, event).
    """

    planted: Planted
    orders: np.ndarray
    walks: list[tuple[int, int, float, float, float]] = field(default_factory=list)
    supply: list[tuple[int, int, float, float]] = field(default_factory=list)
    events: list[tuple[int, int]] = field(default_factory=list)

    def within(self, from_ms: int, to_ms: int) -> np.ndarray:
        """The orders of [from_ms, to_ms)."""
        a, b = np.searchsorted(self.orders[:, 0], [from_ms, to_ms])
        return self.orders[a:b]

    def write(self, controls: np.recarray, start_ms: int, step_ms: int) -> None:
        """Tell the steps of a block that begins at ``start_ms``, in place."""
        second = (start_ms + np.arange(len(controls)) * step_ms) / 1000.0
        for a, b, x, y, will in self.walks:
            at = (second >= a) & (second < b)
            controls.goal[at] = x + (y - x) * (second[at] - a) / (b - a)
            controls.hold[at] = will * step_ms / 1000.0
        for a, b, bids, asks in self.supply:
            controls.supply[(second >= a) & (second < b)] = (bids, asks)
        for moment, event in self.events:
            k = (moment * 1000 - start_ms) // step_ms
            if 0 <= k < len(controls):
                controls.event[k] = event
                controls.side[k] = -self.planted.direction
                controls.pattern[k] = self.planted.index


class _Cast:
    """Draws the takers of one pattern."""

    def __init__(self, spec: AgentSpec, p: Planted) -> None:
        self.spec, self.p = spec, p
        self.rows: list[np.ndarray] = []

    def take(
        self, from_s: int, to_s: int, side: int, rate: float, cond: int = book.PLAIN, big: float = 1
    ) -> None:
        """Takers of one side, Poisson at ``rate`` times the market's own, sizes times ``big``."""
        per_s = rate * self.spec.rate_per_s
        area = per_s * (to_s - from_s)
        n = int(area + 8 * np.sqrt(area) + 16)
        sub = len(self.rows)
        u = tables.uniforms(self.spec.seed, TAKERS, self.p.index, 2 * n, sub=sub).reshape(-1, 2)
        ms = from_s * 1000 + (np.cumsum(-np.log1p(-u[:, 0])) / per_s * 1000.0).astype(np.int64)
        lots = np.maximum(np.rint(sizes(u[:, 1]) * big), 1).astype(np.int64)
        rows = np.stack([ms, np.full(n, side), lots, np.full(n, cond)], 1)
        self.rows.append(rows[ms < to_s * 1000])

    def orders(self) -> np.ndarray:
        """All of them in time order: int64[n, 4]."""
        rows = np.concatenate([np.zeros((0, 4), np.int64), *self.rows])
        return rows[np.argsort(rows[:, 0], kind="stable")]


def script(spec: AgentSpec, p: Planted, sigma: float) -> Script:
    """The script of a pattern, or of its null twin; ``sigma``: ticks of a minute's deviation."""
    cast = _Cast(spec, p)
    out = Script(p, np.zeros((0, 4), np.int64))
    unit = REACH * p.strength * sigma * np.sqrt(max((p.end_s - p.start_s) / 4, 180.0) / 60.0)
    out.events.append((p.start_s, book.BEGIN))
    _SCRIPTS[p.kind](p, spec.null, cast, out, float(tables.quantise(unit, 10)))
    out.events.append((p.settle_s, book.END))
    out.orders = cast.orders()
    return out


def _turn(p: Planted, cast: _Cast, out: Script, reach: float) -> None:
    """What comes after: takers to ``d``, and those who quote do not stand in their way."""
    d, until = p.direction, p.settle_s - 60
    cast.take(p.end_s, until, d, 0.5 * PRESS * p.strength)
    out.events.append((p.end_s, book.ANCHOR))
    out.walks.append((p.end_s, until, 0.0, d * reach, WILL / 2))


def _absorption(p: Planted, null: bool, cast: _Cast, out: Script, unit: float) -> None:
    cast.take(p.start_s, p.end_s, -p.direction, PRESS * p.strength)
    out.events.append((p.start_s + 1, book.TOUCH if null else book.WALL_ON))
    if null:
        return
    out.events.append((p.end_s - 1, book.WALL_OFF))
    _turn(p, cast, out, unit)


def _delta_divergence(p: Planted, null: bool, cast: _Cast, out: Script, unit: float) -> None:
    d = p.direction
    cast.take(p.start_s, p.end_s, d, PRESS * p.strength)
    if null:
        return
    out.walks.append((p.start_s, p.end_s, 0.0, -d * 1.5 * unit, WILL))
    # they sell what is asked for, or buy what is offered, as they go
    out.supply.append((p.start_s, p.end_s, 3.0 if d < 0 else 1.0, 3.0 if d > 0 else 1.0))
    _turn(p, cast, out, unit)


def _cvd_divergence(p: Planted, null: bool, cast: _Cast, out: Script, unit: float) -> None:
    d, side = p.direction, -p.direction
    peak, second = p.start_s + PUSH_S, p.onset_s
    cast.take(p.start_s, peak, side, 1.2 * PRESS * p.strength)
    out.walks.append((p.start_s, peak, 0.0, side * unit, WILL / 4))
    out.events.append((peak, book.PEAK))
    cast.take(peak, second, d, PRESS * p.strength, book.GIVE_BACK)
    back = (peak + second) // 2
    out.walks.append((peak + 1, back, side * unit, side * 0.3 * unit, WILL / 4))
    out.walks.append((back, second, side * 0.3 * unit, side * 0.3 * unit, WILL / 8))
    out.events.append((second, book.ANCHOR_PEAK))
    goal = side * max(0.25 * unit, 3.0)
    if null:
        cast.take(second + 1, p.end_s, side, 6.0 * PRESS * p.strength, book.CONFIRM)
        out.walks.append((second + 1, p.end_s, 0.0, goal, 1e-9))
        return
    out.walks.append((second + 1, p.end_s, -goal, goal, WILL))
    cast.take(second, p.end_s, d, PRESS * p.strength, book.GIVE_BACK)
    out.supply.append((second, p.end_s, 3.0 if d < 0 else 1.0, 3.0 if d > 0 else 1.0))
    _turn(p, cast, out, unit / 2)


def _liquidity_sweep(p: Planted, null: bool, cast: _Cast, out: Script, unit: float) -> None:
    d, side, onset = p.direction, -p.direction, p.onset_s
    out.events.append((p.start_s + 1, book.ANCHOR_LEVEL))
    short = -side * 2.0
    cast.take(p.start_s + 1, onset, side, 0.5 * PRESS * p.strength, book.PUSH)
    half = (p.start_s + onset) // 2
    out.walks.append((p.start_s + 1, half, short, short, WILL / 8))
    out.walks.append((half, onset, short, short, WILL / 2))
    if null:
        return
    pierce = side * max(0.4 * unit, 4.0)
    stops = onset + STOPS_S
    cast.take(onset, stops, side, 3.0 * p.strength, book.RUN, big=1.5)
    out.walks.append((onset, stops, pierce / 2, pierce, 4 * WILL))
    out.supply.append((stops, p.end_s, 3.0 if d > 0 else 0.5, 3.0 if d < 0 else 0.5))
    out.walks.append((stops, p.end_s, pierce, d * 0.6 * unit, WILL))
    cast.take(stops, p.end_s, d, PRESS * p.strength)


def _flow_flip(p: Planted, null: bool, cast: _Cast, out: Script, unit: float) -> None:
    cast.take(p.start_s, p.onset_s, -p.direction, 1.2 * PRESS * p.strength)
    later = -p.direction if null else p.direction
    cast.take(p.onset_s, p.end_s, later, 1.2 * PRESS * p.strength)


_SCRIPTS = {
    "absorption": _absorption,
    "delta_divergence": _delta_divergence,
    "cvd_divergence": _cvd_divergence,
    "liquidity_sweep": _liquidity_sweep,
    "flow_flip": _flow_flip,
}
