"""Planted patterns: what happens in the market, when, and what its null twin does instead.

Every pattern is told by its mechanism, never by what a detector would look for:

* absorption: aggressive orders of one side press; a passive participant stands at one price with a
  hidden, refilled order and takes all of it. The price stays, then gives way against the pressure.
  Twin: the same orders, nobody absorbs, so that they move the price as orders do.
* delta_divergence: passive participants walk their quotes one way while aggressive orders of the
  other side hit them. Twin: the same orders, the quotes follow the orders.
* cvd_divergence: an aggressive push to an extreme, a pullback with aggressive orders against it,
  and a second push to a further extreme that passive participants make, by quoting away, almost
  without aggression. Twin: the same price path, the second push made by aggressive orders.
* liquidity_sweep: the price is led to its extreme of the last minutes; stop orders beyond it are
  run in a burst, the price pierces the level, meets resting size and comes back through it. Twin:
  the same approach, no stops and no resting size; the market goes its way.
* flow_flip: one side dominates the flow for a minute, then at once the other side does.
  Twin: the same orders, the first side goes on.

After each pattern whatever it did to the price fades, within ``settle_s`` seconds, and the
twins are one market again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from data.events import NS
from data.sources.synthetic import tables
from data.sources.synthetic.spec import Label, MarketSpec

APPROACH = 0.60
"""Share of a sweep that leads to the level."""

GAIN = 0.5
"""Impact of an overlay order, an ordinary one being 1: many orders of one will move the price less
than their sum, as the square-root law of metaorders says."""

NOW = 3
"""See ``book.NOW``."""

RUN = 0.06
"""Share of a sweep in which the stops run."""


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
        """Second of the thing itself."""
        span = self.end_s - self.start_s
        share = {"liquidity_sweep": APPROACH, "flow_flip": 0.5, "cvd_divergence": 0.6}
        return self.start_s + int(span * share.get(self.kind, 0.0))

    def label(self, spec: MarketSpec, level: int = 0) -> Label:
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
            level=level,
            twin=spec.null,
            seed=spec.seed,
        )


def plan(spec: MarketSpec) -> list[Planted]:
    """The calendar of patterns: one in each whole slot of ``every_s``, kinds in shuffled rounds."""
    if not spec.patterns:
        return []
    slots = spec.duration_s // spec.every_s
    u = tables.uniforms(spec.seed, tables.PLAN, 0, 4 * slots).reshape(-1, 4)
    out: list[Planted] = []
    deck: list[str] = []
    for i in range(slots):
        if not deck:
            deck = list(dict.fromkeys(spec.patterns))
        kind = deck.pop(int(u[i, 0] * len(deck)))
        length = spec.pattern_s(kind)
        free = spec.every_s - length - spec.settle_s - 30
        start = i * spec.every_s + 30 + int(u[i, 1] * free)
        lo, hi = spec.strength
        strength = round(lo + (hi - lo) * float(u[i, 3]), 3)
        end = start + length
        direction = 1 if u[i, 2] < 0.5 else -1
        out.append(Planted(i, kind, start, end, end + spec.settle_s, direction, strength))
    return out


@dataclass(slots=True)
class Script:
    """What one pattern does, second by second and step by step.

    ``buy`` and ``sell`` (float64[seconds]) are the rates of overlay orders relative to the
    market's own; ``flip`` (int64[seconds]) their sign as a factor; ``ramp`` (float64[steps], in
    units of the pattern's price scale), ``pull`` and ``target`` (float64[steps]) act on the latent
    price; ``gain`` is the impact of the overlay orders; ``cap`` the side of an absorber;
    ``extreme`` says which price is the level: the recent high (+1) or low (-1), the best ask (+2)
    or bid (-2), the latent price (3); ``follow`` is the move that comes after.
    """

    buy: np.ndarray
    sell: np.ndarray
    flip: np.ndarray
    ramp: np.ndarray
    pull: np.ndarray
    target: np.ndarray
    gain: float = GAIN
    cap: int = 0
    extreme: int = 0
    follow: float = 0.0


def script(p: Planted, spec: MarketSpec, steps_per_s: float) -> Script:
    """The script of a pattern of this market, which may be a null twin."""
    seconds = p.end_s - p.start_s
    steps = round(seconds * steps_per_s)
    blank = Script(
        buy=np.zeros(seconds),
        sell=np.zeros(seconds),
        flip=np.ones(seconds, np.int64),
        ramp=np.zeros(steps),
        pull=np.zeros(steps),
        target=np.zeros(steps),
    )
    if p.kind == "liquidity_sweep":
        return _liquidity_sweep(p, spec.null, blank, spec.stops)
    return _SCRIPTS[p.kind](p, spec.null, blank)


def _press(s: Script, sign: int, rate: np.ndarray | float, where: slice = slice(None)) -> None:
    """Overlay orders of one side at ``rate`` times the market's own."""
    (s.buy if sign > 0 else s.sell)[where] += rate


def _hold(s: Script, weight: float) -> None:
    """Passive participants quote the price: a pull of ``weight`` that sets in over 10 s or so."""
    x = np.linspace(0.0, 1.0, len(s.pull))
    s.pull[:] = weight * np.clip(x / 0.15, 0.0, 1.0)


def _absorption(p: Planted, null: bool, s: Script) -> Script:
    pressure = -p.direction
    _press(s, pressure, 0.6 * p.strength)
    s = replace(s, extreme=2 * pressure)
    if null:
        return s
    return replace(s, gain=0.0, cap=pressure, follow=0.8 * p.direction * p.strength)


def _delta_divergence(p: Planted, null: bool, s: Script) -> Script:
    _press(s, p.direction, 0.6 * p.strength)
    s = replace(s, extreme=NOW)
    if null:
        return s
    _hold(s, 0.8)
    x = np.linspace(0.0, 1.0, len(s.target))
    s.target[:] = -2.0 * p.direction * p.strength * x
    return replace(s, gain=0.0, follow=0.8 * p.direction * p.strength)


def _cvd_divergence(p: Planted, null: bool, s: Script) -> Script:
    push = -p.direction
    n = len(s.buy)
    first, second = int(0.35 * n), int(0.6 * n)
    _press(s, push, 0.8 * p.strength, slice(0, first))
    _press(s, -push, 1.0 * p.strength, slice(first, second))
    _press(s, push, (1.4 if null else 0.1) * p.strength, slice(second, n))
    _hold(s, 0.8)
    x = np.linspace(0.0, 1.0, len(s.target))
    s.target[:] = push * p.strength * np.interp(x, [0, 0.35, 0.6, 1.0], [0, 1.4, 0.5, 2.4])
    follow = 0.0 if null else 0.8 * p.direction * p.strength
    return replace(s, gain=0.0, extreme=NOW, follow=follow)


def _liquidity_sweep(p: Planted, null: bool, s: Script, stops: float) -> Script:
    side = -p.direction
    n = len(s.buy)
    run, back = int(APPROACH * n), int((APPROACH + RUN) * n)
    x = np.linspace(0.0, 1.0, len(s.pull))
    s.pull[:] = 0.9 * np.clip(x / APPROACH, 0.0, 1.0) ** 2
    _press(s, side, 0.4, slice(0, run))
    s = replace(s, gain=0.0, extreme=side)
    if null:
        s.pull[:] = np.where(x > APPROACH, 0.9 - (x - APPROACH), s.pull)
        return s
    _press(s, side, stops * p.strength, slice(run, back + 1))
    _press(s, p.direction, 0.8 * p.strength, slice(back + 1, n))
    knots = [0.0, APPROACH, APPROACH + RUN, APPROACH + 0.2, 1.0]
    s.target[:] = side * p.strength * np.interp(x, knots, [0.0, 0.0, 1.0, -0.4, -1.0])
    return replace(s, follow=0.3 * p.direction * p.strength)


def _flow_flip(p: Planted, null: bool, s: Script) -> Script:
    _press(s, -p.direction, 0.8 * p.strength)
    if not null:
        s.flip[len(s.flip) // 2 :] = -1
    return s


_SCRIPTS = {
    "absorption": _absorption,
    "delta_divergence": _delta_divergence,
    "cvd_divergence": _cvd_divergence,
    "flow_flip": _flow_flip,
}
