"""Which clock a broker's export runs on, found from the data themselves.

MetaTrader writes the broker's wall clock and says nowhere which one that is. Owns the search: every
piece of evidence says how far the clock was ahead of UTC at one moment, and of the rules in use (a
fixed offset; switching on the dates of New York or of Europe) the one is taken that agrees with it.
Evidence is

* the weekend: spot FX and metals stop on Friday at 17:00 in New York; FX begins again on Sunday at
  17:00, metals at 18:00 (so it stands in OANDA's ticks of 2014, and in the hours of FX brokers);
* the daily pause of metals, which ends at 18:00 in New York;
* the same prices in the log: the shift in time at which they agree.

What must hold: where evidence contradicts itself, or two rules that differ within the file fit
alike, nothing is assumed. It refuses to know how rows become events.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from data.sources.mapping_zones import Clock, Zone, offset_text
from data.sources.mt5_export import FX, METAL

HOUR_NS = 3_600_000_000_000
MINUTE_NS = 60_000_000_000
DAY_NS = 24 * HOUR_NS
WEEK_NS = 7 * DAY_NS

WEEKEND_NS = (44 * HOUR_NS, 56 * HOUR_NS)
"""A silence of this length is a weekend; longer ones hold a holiday and prove nothing."""

PAUSE_NS = (40 * MINUTE_NS, 80 * MINUTE_NS)
"""The daily pause of a metal."""

STEP_NS = HOUR_NS // 2
TOLERANCE_NS = 12 * MINUTE_NS
"""The last and the first price of a week lie this near to the hour of the market."""

AHEAD_NS = (-12 * HOUR_NS, 14 * HOUR_NS)
"""Every clock on earth lies between these offsets."""

AGREE = 0.8
"""Share of the evidence that a rule must agree with."""

MINUTES_LEAST = 60
"""Fewer minutes in common prove nothing."""

NEAR = 2e-4
"""Two sources of one market differ by less than this share of the price, minute by minute."""

_FRIDAY_NS = 1 * DAY_NS  # 1970-01-02 was a Friday
_NEW_YORK = Zone("America/New_York", 0, "America/New_York")
_BOTH_SIDES = 2


@dataclass(frozen=True, slots=True)
class Evidence:
    """At ``utc_ns`` the clock was ``ahead_ns`` ahead of UTC; ``source`` says how that is known."""

    utc_ns: int
    ahead_ns: int
    source: str
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Estimate:
    """The clock that was found, or None, and in words why."""

    zone: Zone | None
    why: str


class Silences:
    """Collects the edges of silences from the wall-clock times of a file, block by block.

    ``length_ns`` is how long a row lasts (the interval of bars, 0 for ticks).
    """

    def __init__(self, length_ns: int) -> None:
        self.length_ns = length_ns
        self._last_ns: int | None = None
        self.first_ns = 0
        self.last_ns = 0
        self.edges: list[tuple[int, int]] = []

    def add(self, wall_ns: np.ndarray) -> None:
        """Take the next times, int64[rows]."""
        if not len(wall_ns):
            return
        if self._last_ns is None:
            self._last_ns = self.first_ns = int(wall_ns[0])
        steps = np.diff(wall_ns, prepend=self._last_ns) - self.length_ns
        for i in np.flatnonzero(steps >= PAUSE_NS[0]):
            before = int(wall_ns[i - 1]) if i else self._last_ns
            self.edges.append((before + self.length_ns, int(wall_ns[i])))
        self._last_ns = int(wall_ns[-1])
        self.first_ns = min(self.first_ns, int(wall_ns.min()))
        self.last_ns = max(self.last_ns, int(wall_ns.max()))


def from_silences(symbol: str, found: Silences) -> list[Evidence]:
    """What weekends and daily pauses of a currency pair or a metal prove; nothing for others."""
    metal = bool(METAL.match(symbol))
    if found.length_ns > HOUR_NS or not (metal or FX.match(symbol)):
        return []  # a bar of four hours or a day begins before its market does
    opens = 18 if metal else 17
    out = []
    for closed, opened in found.edges:
        silence = opened - closed
        if WEEKEND_NS[0] <= silence <= WEEKEND_NS[1]:
            friday = _nearest(closed, 17, 0)
            out += _prove(closed, friday, "a weekend's begin")
            out += _prove(opened, _nearest(opened, opens, 2), "a weekend's end")
        elif metal and PAUSE_NS[0] <= silence <= PAUSE_NS[1]:
            out += _prove(opened, _nearest(opened, opens, None), "the end of a daily pause")
    return out


def doubt(symbol: str, found: Silences) -> str:
    """What the weekends of times that are UTC by now say against that; empty where nothing does."""
    evidence = from_silences(symbol, found)
    wrong = [e for e in evidence if e.ahead_ns]
    if len(wrong) < _BOTH_SIDES or len(wrong) < (1 - AGREE) * len(evidence):
        return ""
    apart = sorted({offset_text(e.ahead_ns // 1_000_000_000) for e in wrong})
    return (
        f"is the clock right? {len(wrong)} of {len(evidence)} weekends and pauses lie "
        f"{' or '.join(apart)} from the hours of FX; nothing was changed"
    )


def _prove(wall_ns: int, utc_ns: int, source: str) -> list[Evidence]:
    ahead = wall_ns - utc_ns
    rounded = round(ahead / STEP_NS) * STEP_NS
    if abs(ahead - rounded) > TOLERANCE_NS or not AHEAD_NS[0] <= rounded <= AHEAD_NS[1]:
        return []
    return [Evidence(utc_ns, rounded, source)]


def _nearest(wall_ns: int, hour: int, days_after_friday: int | None) -> int:
    """UTC of the moment nearest to ``wall_ns`` at which it is ``hour`` o'clock in New York, on that
    day of the week (any working day where None). The middle of :data:`AHEAD_NS` is assumed."""
    about = wall_ns - (AHEAD_NS[0] + AHEAD_NS[1]) // 2
    if days_after_friday is None:
        days = [about // DAY_NS + k for k in (-1, 0, 1)]
    else:
        first = _FRIDAY_NS + days_after_friday * DAY_NS
        week = (about - first) // WEEK_NS
        days = [(first + (week + k) * WEEK_NS) // DAY_NS for k in (0, 1)]
    local = np.array([d * DAY_NS + hour * HOUR_NS for d in days], dtype=np.int64)
    utc = Clock(_NEW_YORK).to_utc(local).utc_ns
    return int(utc[np.abs(utc - about).argmin()])


def from_overlap(
    wall_ns: np.ndarray, prices: np.ndarray, log_ns: np.ndarray, log_prices: np.ndarray
) -> list[Evidence]:
    """What prices already in the log prove: the one shift that fits much better than every other.

    Minutes are int64 ns, sorted and without repetition, of the wall clock and of UTC; prices are
    float64, positive, in any unit.
    """
    price, there = np.log(prices), np.log(log_prices)
    scores: dict[int, float] = {}
    for ahead in range(AHEAD_NS[0], AHEAD_NS[1] + 1, STEP_NS):
        _, mine, other = np.intersect1d(
            wall_ns - ahead, log_ns, assume_unique=True, return_indices=True
        )
        if len(mine) >= MINUTES_LEAST:
            # the two sources may quote in different units or with another spread
            difference = price[mine] - there[other]
            scores[ahead] = float(np.median(np.abs(difference - np.median(difference))))
    if len(scores) < _BOTH_SIDES:
        return []
    best, second = sorted(scores, key=lambda a: scores[a])[:2]
    if scores[best] > scores[second] / 2 or scores[best] > NEAR:
        return []
    middle = int(wall_ns[len(wall_ns) // 2]) - best
    return [Evidence(middle, best, "the same prices in the log", _BOTH_SIDES)]


def estimate(evidence: Sequence[Evidence], first_ns: int, last_ns: int) -> Estimate:
    """The rule that agrees with the evidence; times are wall-clock ns of the file's ends."""
    if sum(e.weight for e in evidence) < _BOTH_SIDES:
        return Estimate(
            None, "it shows neither a weekend of FX or a metal nor prices that the log has"
        )
    fitting = [(zone, _agrees(zone, evidence)) for zone in _candidates(evidence)]
    fitting = [(zone, share) for zone, share in fitting if share >= AGREE]
    if not fitting:
        seen = sorted({e.ahead_ns for e in evidence})
        texts = ", ".join(offset_text(a // 1_000_000_000) for a in seen)
        return Estimate(None, f"what it shows fits no rule: offsets of {texts}")
    top = max(share for _, share in fitting)
    best = [zone for zone, share in fitting if share == top]
    days = np.arange(first_ns, max(last_ns, first_ns + 1), DAY_NS // 4, dtype=np.int64)
    answers = {Clock(zone).to_utc(days).utc_ns.tobytes(): zone for zone in reversed(best)}
    if len(answers) > 1:
        names = " and ".join(zone.name for zone in answers.values())
        return Estimate(None, f"{names} fit alike, and differ within the file")
    return Estimate(best[0], _why(evidence, top))


def _why(evidence: Sequence[Evidence], share: float) -> str:
    counts: dict[str, int] = {}
    for one in evidence:
        counts[one.source] = counts.get(one.source, 0) + 1
    sources = ", ".join(f"{name} ({n})" if n > 1 else name for name, n in counts.items())
    against = "" if share == 1 else f"; {1 - share:.0%} of it says otherwise"
    return f"seen from {sources}{against}"


def _agrees(zone: Zone, evidence: Sequence[Evidence]) -> float:
    wall = np.array([e.utc_ns + e.ahead_ns for e in evidence], dtype=np.int64)
    utc = np.array([e.utc_ns for e in evidence], dtype=np.int64)
    weight = np.array([e.weight for e in evidence], dtype=np.float64)
    return float(weight[Clock(zone).to_utc(wall).utc_ns == utc].sum() / weight.sum())


def _candidates(evidence: Iterable[Evidence]) -> list[Zone]:
    """Rules that could hold, the most usual ones first."""
    ahead = sorted({e.ahead_ns // 1_000_000_000 for e in evidence})
    fixed = [Zone(offset_text(a), a) if a else Zone("UTC") for a in ahead]
    american, european = [], []
    for a in sorted({*ahead, *(x - 3600 for x in ahead)}):
        shift = a + 5 * 3600  # New York is five hours behind UTC in winter
        name = "new-york" if shift == 7 * 3600 else f"America/New_York{offset_text(shift)}"
        american.append(Zone(name, shift, "America/New_York"))
        if a in _EUROPE:
            european.append(Zone(_EUROPE[a], 0, _EUROPE[a]))
    usual = [z for z in american if z.name == "new-york"]
    return [*usual, *fixed, *european, *(z for z in american if z not in usual)]


_EUROPE = {0: "Europe/London", 3600: "Europe/Berlin", 7200: "Europe/Athens"}
"""Zones that switch on European dates, by their winter offset in seconds."""
