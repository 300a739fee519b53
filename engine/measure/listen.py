"""What every detector says over a market: one fold of a strategy that only writes signals down.

Owns the sources of the trades' side (:data:`SOURCES`), the settings of each mode, and the way from
a market's columns to a structured array of signal records. A source is a way to hide what a venue
does not tell: ``flag`` leaves the exchange's side, ``tick_rule`` sets it to unknown so that the
fold has to classify, ``bar_proxy`` leaves one-minute bars alone. What must hold: the same
market, mode and source give the same signals. It refuses to know what is right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data.events import RECORDS, Kind, Scales, numpy_dtype
from engine.runtime.compose import compose
from engine.runtime.fold import Fold
from engine.runtime.parameters import build, settle, table
from engine.runtime.strategy import Strategy

SOURCES = ("flag", "tick_rule", "bar_proxy")
SOURCE_SETTINGS = {"tick_rule": {"sides.quote_age": "0s"}}
"""A book is no help to the tick rule: beside one the fold would use the better quote rule."""

KINDS = {
    "flag": (Kind.TRADE, Kind.DEPTH, Kind.GAP),
    "tick_rule": (Kind.TRADE, Kind.DEPTH, Kind.GAP),
    "bar_proxy": (Kind.BAR,),
}
"""Events that a source lets through."""

MODES = ("seed", "standard")


@dataclass(frozen=True)
class Heard:
    """Signal records in order of time; ``boundaries`` and ``delta`` (30 s) at every decision."""

    detectors: tuple[str, ...]
    signals: np.ndarray
    boundaries: np.ndarray
    delta: np.ndarray

    def of(self, detector: str) -> np.ndarray:
        """The records of one detector; none where it is not listened to."""
        if detector not in self.detectors:
            return self.signals[:0]
        return self.signals[self.signals["detector"] == self.detectors.index(detector)]


class SignalSink:
    """A sink that keeps signals and, of decisions, time and the delta of 30 s."""

    def __init__(self) -> None:
        self._signals = [np.zeros(0, numpy_dtype(RECORDS["signal"]))]
        self._at = [np.zeros(0, np.int64)]
        self._delta = [np.zeros(0, np.int64)]

    def take(self, name: str, rows: np.ndarray) -> None:
        """Keep what is asked of ``rows``."""
        if name == "signal":
            self._signals.append(rows)
        elif name == "decision":
            self._at.append(rows["ts_ns"].copy())
            self._delta.append(rows["delta"].copy())

    def heard(self, detectors: tuple[str, ...]) -> Heard:
        """All that was kept."""
        return Heard(
            detectors,
            np.concatenate(self._signals),
            np.concatenate(self._at),
            np.concatenate(self._delta),
        )


class Listener:
    """Folds of a strategy that writes signals down, and of one that does so by proxy.

    Both are compiled at the first market that needs them, and kept. ``proxy`` makes pseudo trades
    of bars inside the fold; ``strategy`` needs trades.
    """

    def __init__(self, strategy: Strategy, proxy: Strategy) -> None:
        self._strategies = {"bar_proxy": proxy}
        self._default = strategy

    def strategy(self, source: str) -> Strategy:
        """Who listens to ``source``."""
        return self._strategies.get(source, self._default)

    def detectors(self, source: str) -> tuple[str, ...]:
        """Names of the detectors that are heard through ``source``."""
        return self.strategy(source).detectors

    def fold(
        self, scales: Scales, settings: dict[str, str], source: str
    ) -> tuple[Fold, SignalSink]:
        """A fresh fold through ``source``; settings that it does not know are left out."""
        c = compose(self.strategy(source), broker="none")
        known = table(c)
        wanted = {**settings, **SOURCE_SETTINGS.get(source, {})}
        chosen = settle(c, {k: v for k, v in wanted.items() if k in known})
        sink = SignalSink()
        return Fold(c, build(c, chosen, scales), sink), sink

    def listen(
        self,
        columns: dict[Kind, dict[str, np.ndarray]],
        scales: Scales,
        settings: dict[str, str],
        source: str,
    ) -> Heard:
        """Fold ``columns`` with ``settings`` as seen through ``source``."""
        fold, sink = self.fold(scales, settings, source)
        seen = through(columns, source)
        fold.feed(seen, *merged(seen, fold.composition.kinds))
        fold.finish()
        return sink.heard(self.detectors(source))


def through(
    columns: dict[Kind, dict[str, np.ndarray]], source: str
) -> dict[Kind, dict[str, np.ndarray]]:
    """What ``source`` lets through of a market; the columns themselves are left alone."""
    seen = {k: v for k, v in columns.items() if k in KINDS[source]}
    if source == "tick_rule":
        trades = seen[Kind.TRADE]
        seen[Kind.TRADE] = {**trades, "side": np.zeros_like(trades["side"])}
    return seen


def merged(
    columns: dict[Kind, dict[str, np.ndarray]], kinds: tuple[Kind, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """The order of merge of the rows of several kinds: (run_kind int8, run_stop int64).

    By time, then by the kind's number; rows of one kind keep their order.
    """
    have = [k for k in kinds if k in columns and len(columns[k]["ts_ns"])]
    if len(have) == 1:
        rows = len(columns[have[0]]["ts_ns"])
        return np.array([int(have[0])], np.int8), np.array([rows], np.int64)
    ts = np.concatenate([columns[k]["ts_ns"] for k in have] or [np.zeros(0, np.int64)])
    of = np.concatenate([np.full(len(columns[k]["ts_ns"]), int(k), np.int8) for k in have]
                        or [np.zeros(0, np.int8)])  # fmt: skip
    of = of[np.lexsort((of, ts))]
    ends = np.flatnonzero(np.append(of[1:] != of[:-1], True)) if len(of) else np.zeros(0, np.int64)
    kind = of[ends]
    stop = np.zeros(len(ends), np.int64)
    for k in have:
        mine = kind == int(k)
        stop[mine] = np.cumsum(of == int(k))[ends[mine]]
    return kind, stop
