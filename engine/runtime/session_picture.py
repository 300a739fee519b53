"""The picture of a running session: numbers of recorder, feed, folds and monitor as one view.

Owns :class:`Picture`, which the session's loop asks for a view a few times a second. What must
hold: records enter it only once they are synced; a picture costs a few milliseconds at most
however many instruments there are (those that are not due keep the view that they had).

It refuses to know who looks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from data.live.recorder import Recorder
from engine.plans.compile import Compiled
from engine.runtime.alarms import alarms
from engine.runtime.lags import Lags, Rolling
from engine.runtime.monitor import Monitor
from engine.runtime.recent import Recent
from engine.runtime.recording_picture import RecordingPicture
from engine.runtime.session_fold import LiveFold
from engine.runtime.session_folds import Folds
from engine.runtime.symbol_view import Shown, symbol_view
from engine.runtime.trader import Trader
from engine.runtime.view import Resources, SymbolView, View

SYMBOLS_A_PICTURE = 8
"""Instruments whose view is made anew for one picture."""


@dataclass
class Picture:
    """Makes views of one session; ``lag`` and ``decision`` are fed by the session."""

    recorder: Recorder
    folds: Folds
    first: View
    lag: Rolling = field(default_factory=Rolling)
    decision: Rolling = field(default_factory=Rolling)
    monitor: Monitor | None = None
    control: Mapping[str, Any] = field(default_factory=dict)
    trader: Trader | None = None
    _shown: list[Shown] = field(default_factory=list)
    _views: list[SymbolView] = field(default_factory=list)
    _next: int = 0

    def __post_init__(self) -> None:
        """What stays the same of each instrument."""
        self._recording = RecordingPicture(
            self.recorder, self.first, self.lag, self.decision, self._resources
        )
        for live in self.folds.lives:
            s, recent = live.series, Recent()
            shown = Shown(
                s.venue,
                s.symbol,
                s.scales,
                live.request.strategy,
                recent,
                tuple(live.plans),
                live.request.currency,
            )
            self._shown.append(shown)
            self._views.append(SymbolView(s.venue, s.symbol))

    def waits_at_end(self, how: str) -> None:
        """The session goes on when a served range is over; ``how`` says what a person can do."""
        self._recording.at_end = how

    def facts(self) -> dict[str, Any]:
        """What a snapshot keeps: lags, and what was shown of each instrument."""
        return {
            "lag": self.lag.total.facts(),
            "decision": self.decision.total.facts(),
            "recent": [shown.recent.facts() for shown in self._shown],
        }

    def restore(self, facts: Mapping[str, Any]) -> None:
        """Go on from :meth:`facts` of the process before; counts are those of the folds."""
        if facts:
            self.lag.total = Lags.of(facts["lag"])
            self.decision.total = Lags.of(facts["decision"])
        for shown, live in zip(self._shown, self.folds.lives, strict=True):
            recent = shown.recent
            recent.counts.update(live.digest.rows)
            for name in ("gross", "fees", "round_trips", "wins", "max_drawdown", "last_equity"):
                setattr(recent.totals, name, getattr(live.totals, name))
            for rows in self._trades_before(live):
                recent.remember("position", rows)

    def _trades_before(self, live: LiveFold) -> Iterator[np.ndarray]:
        """The round trips of the processes before."""
        since = live.since_cut("position")
        kept = live.digest.rows["position"] - sum(len(rows) for rows in since)
        yield from self.folds.places.pieces(live.series.symbol).read("position", kept)
        yield from since

    def name_plans(self, number: int, plans: Sequence[Compiled]) -> None:
        """The plans of a series, by which those in its state are named from now on."""
        self._shown[number] = replace(self._shown[number], plans=tuple(plans))

    def view(self, phase: str) -> View:
        """The session as it stands now."""
        for row in self.recorder.acknowledged():
            self._shown[row.series].recent.take(row.table, row.rows)
        self._look_at_symbols()
        made = replace(
            self._recording.bare(phase),
            as_of_seq=self.folds.seq,
            symbols=tuple(self._views),
            control=dict(self.control),
            broker=self.trader.view() if self.trader is not None else None,
        )
        return replace(made, alarms=(*alarms(made), *self._recording.own_alarms(phase)))

    def _resources(self) -> Resources:
        return self.monitor.latest if self.monitor else self.first.resources

    def _look_at_symbols(self) -> None:
        lives = self.folds.lives
        for _ in range(min(len(lives), SYMBOLS_A_PICTURE)):
            n = self._next = (self._next + 1) % len(lives)
            self._views[n] = symbol_view(lives[n].fold, self._shown[n])
