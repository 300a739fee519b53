"""The picture of a running recording: numbers of recorder, feed and journal as one view.

Owns :class:`RecordingPicture`, which ``ofs record`` shows as it is and a paper session adds its
folds to. It refuses to know what is folded, and who looks.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from data.enums import GapReason, Kind
from data.live.recorder import Recorder
from engine.runtime.alarms import alarms
from engine.runtime.lags import Rolling
from engine.runtime.view import (
    RANGE_OVER,
    DiskView,
    FeedView,
    GapsView,
    GapView,
    Resources,
    View,
)

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
class RecordingPicture:
    """Makes views of one recording; ``lag`` (and ``decision``) are fed from outside, ``resources``
    gives the latest reading of the monitor. ``at_end`` says how to end a session whose served range
    is over; empty where it ends by itself."""

    recorder: Recorder
    first: View
    lag: Rolling = field(default_factory=Rolling)
    decision: Rolling = field(default_factory=Rolling)
    resources: Callable[[], Resources] = Resources
    control: Mapping[str, Any] = field(default_factory=dict)
    at_end: str = ""
    _rates: _Rates = field(default_factory=_Rates)
    _disk: tuple[float, int] = (0.0, 0)
    _began_s: float = field(default_factory=time.monotonic)

    def view(self, phase: str) -> View:
        """The recording as it stands now, with its alarms."""
        view = self.bare(phase)
        return replace(view, alarms=(*alarms(view), *self.own_alarms(phase)))

    def bare(self, phase: str) -> View:
        """The recording as it stands now, for somebody who has more to say about it."""
        r = self.recorder
        frames, size, events = self._rates.look(
            r.inlet.facts.frames, r.inlet.facts.bytes, r.tally.events
        )
        return replace(
            self.first,
            phase="paused" if r.full else phase,
            as_of_seq=r.journal.written_seq,
            now_ns=r.clock.now(),
            uptime_s=time.monotonic() - self._began_s,
            states=r.states,
            events=r.tally.events,
            by_kind=dict(r.tally.kinds),
            feed=self._feed(frames, size, events),
            gaps=self._gaps(),
            disk=self._disk_view(),
            resources=self.resources(),
            control=dict(self.control),
        )

    def own_alarms(self, phase: str = "running") -> tuple[str, ...]:
        """What only the recorder knows to be wrong, or to be waited for in vain."""
        r = self.recorder
        found = []
        if r.last_work_error:
            found.append(f"the checkpoint waits: {_line(r.last_work_error)}")
        if r.fill_error:
            found.append(f"what was missed cannot be fetched: {_line(r.fill_error)}")
        if phase == "running" and r.ended and self.at_end:
            found.append(f"{RANGE_OVER} ({self.at_end}, or start with --until-end)")
        return tuple(found)

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
            last_error=_line(f.last_error),
            frames_per_s=frames_per_s,
            bytes_per_s=bytes_per_s,
            events_per_s=events_per_s,
            lag_p50_ms=lag[0],
            lag_p99_ms=lag[1],
            decision_p50_ms=decision[0],
            decision_p99_ms=decision[1],
            venue_lag_p50_ms=venue[0],
            venue_lag_p99_ms=venue[1],
            ended=f.ended or r.ended,
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
        r, symbols = self.recorder, [series.symbol for series in self.recorder.opened.series]
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


def _line(error: str) -> str:
    """The text of an error, which may have several lines, as one: alarms are sentences."""
    return "; ".join(line.strip() for line in error.splitlines())
