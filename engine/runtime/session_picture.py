"""The picture of a running session: numbers of recorder, feed, folds and monitor as one view.

Owns :class:`Picture`, which the session's loop asks for a view a few times a second. What must
hold: records enter it only once they are synced; a picture costs a few milliseconds at most
however many instruments there are (those that are not due keep the view that they had).

It refuses to know who looks.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from data.enums import GapReason, Kind
from data.live.recorder import Recorder
from engine.plans.compile import Compiled
from engine.runtime.alarms import alarms
from engine.runtime.lags import Lags, Rolling
from engine.runtime.monitor import Monitor
from engine.runtime.recent import Recent
from engine.runtime.session_fold import LiveFold
from engine.runtime.session_folds import Folds
from engine.runtime.symbol_view import Shown, symbol_view
from engine.runtime.view import (
    DiskView,
    FeedView,
    GapsView,
    GapView,
    SymbolView,
    View,
)

SYMBOLS_A_PICTURE = 8
"""Instruments whose view is made anew for one picture."""

DISK_EVERY_S = 5.0


@dataclass
class _Rates:
    """Counters a second, over the time between two looks that lie at least a second apart."""

    at_s: float = 0.0
    counts: tuple[int, ...] = ()
    rates: tuple[float, ...] = (0.0, 0.0, 0.0)

    def look(self, *counts: int) -> tuple[float, ...]:
        now_s = time.monotonic()
        if not self.counts:
            self.at_s, self.counts = now_s, counts
        elif now_s - self.at_s >= 1.0:
            pairs = zip(counts, self.counts, strict=True)
            self.rates = tuple((a - b) / (now_s - self.at_s) for a, b in pairs)
            self.at_s, self.counts = now_s, counts
        return self.rates


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
    _shown: list[Shown] = field(default_factory=list)
    _views: list[SymbolView] = field(default_factory=list)
    _next: int = 0
    _rates: _Rates = field(default_factory=_Rates)
    _disk: tuple[float, int] = (0.0, 0)
    _began_s: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        """What stays the same of each instrument."""
        for live in self.folds.lives:
            s, recent = live.series, Recent()
            shown = Shown(
                s.venue, s.symbol, s.scales, live.request.strategy, recent, tuple(live.plans)
            )
            self._shown.append(shown)
            self._views.append(SymbolView(s.venue, s.symbol))

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
        r = self.recorder
        for row in r.acknowledged():
            self._shown[row.series].recent.take(row.table, row.rows)
        self._look_at_symbols()
        frames, size, events = self._rates.look(
            r.inlet.facts.frames, r.inlet.facts.bytes, r.tally.events
        )
        made = replace(
            self.first,
            phase="paused" if r.full else phase,
            as_of_seq=self.folds.seq,
            now_ns=r.clock.now(),
            uptime_s=time.monotonic() - self._began_s,
            states=r.states,
            events=r.tally.events,
            by_kind=dict(r.tally.kinds),
            feed=self._feed(frames, size, events),
            gaps=self._gaps(),
            disk=self._disk_view(),
            resources=self.monitor.latest if self.monitor else self.first.resources,
            symbols=tuple(self._views),
            control=dict(self.control),
        )
        return replace(made, alarms=(*alarms(made), *self._own_alarms()))

    def _look_at_symbols(self) -> None:
        lives = self.folds.lives
        for _ in range(min(len(lives), SYMBOLS_A_PICTURE)):
            n = self._next = (self._next + 1) % len(lives)
            self._views[n] = symbol_view(lives[n].fold, self._shown[n])

    def _own_alarms(self) -> tuple[str, ...]:
        error = self.recorder.last_work_error
        return (f"the checkpoint waits: {error}",) if error else ()

    def _feed(self, frames_per_s: float, bytes_per_s: float, events_per_s: float) -> FeedView:
        r = self.recorder
        f, i = r.feed.facts, r.inlet.facts
        lag = self.lag.percentiles_ms(0.5, 0.99)
        decision = self.decision.percentiles_ms(0.5, 0.99)
        venue = self._venue_lag()
        return FeedView(
            connections=f.connections,
            connects=f.connects,
            disconnects=f.disconnects,
            rotations=f.rotations,
            frames=i.frames,
            bytes=i.bytes,
            dropped=f.dropped,
            queued=f.queued,
            duplicates=i.duplicates.total(),
            late=i.late.total(),
            rejects=dict(i.rejects),
            routes=dict(f.routes),
            silent=r.inlet.silent_streams(),
            last_error=f.last_error,
            frames_per_s=frames_per_s,
            bytes_per_s=bytes_per_s,
            events_per_s=events_per_s,
            lag_p50_ms=lag[0],
            lag_p99_ms=lag[1],
            decision_p50_ms=decision[0],
            decision_p99_ms=decision[1],
            venue_lag_p50_ms=venue[0],
            venue_lag_p99_ms=venue[1],
        )

    def _venue_lag(self) -> tuple[float, float]:
        """Sending to receipt of the last frames, ms, with the offset of the clocks taken out."""
        r = self.recorder
        lags = r.inlet.facts.lags
        if not lags:
            return 0.0, 0.0
        values = np.array(lags, dtype=np.int64) - (0 if r.clock.served else r.clock.offset_ns)
        p50, p99 = np.percentile(values, (50, 99)).tolist()
        return p50 / 1e6, p99 / 1e6

    def _gaps(self) -> GapsView:
        r, symbols = self.recorder, [live.series.symbol for live in self.folds.lives]
        latest = tuple(
            GapView(
                symbols[g["series"]], Kind(g["stream"]).name.lower(), g["from_ns"], g["to_ns"],
                g["from_id"], g["to_id"], GapReason(g["reason"]).name.lower(), bool(g["filled"]),
            )
            for g in reversed(r.tally.latest)
        )  # fmt: skip
        tally = r.tally
        return GapsView(tally.gaps, tally.filled, r.inlet.open_gaps, dict(tally.reasons), latest)

    def _disk_view(self) -> DiskView:
        r, now_s = self.recorder, time.monotonic()
        if now_s - self._disk[0] > DISK_EVERY_S or not self._disk[0]:
            # the journal's own folder is gone once a session that is over was sealed
            self._disk = now_s, shutil.disk_usage(r.journal.folder.parent).free
        facts, keeper = r.journal.facts, r.level
        return DiskView(
            free_bytes=self._disk[1],
            bytes_per_day=keeper.bytes_per_day,
            log_bytes=keeper.log_bytes,
            journal_bytes=r.journal.bytes,
            syncs=facts.syncs,
            sync_p50_ms=facts.sync_p50_ms,
            sync_p99_ms=facts.sync_p99_ms,
            level=keeper.number,
            left_out=keeper.left_out,
        )
