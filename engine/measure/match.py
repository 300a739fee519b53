"""Signals against labels, event by event.

Owns what counts as one event of a detector (:func:`onsets`) and when an event belongs to a label
(:func:`match`): it begins between the label's onset and its end plus a stated tolerance. The
first event in a label finds it, later ones in it are neither found nor false, all others are false.
Direction plays no part in finding; it is judged apart. It refuses to know what a detector is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data.events import NS
from data.sources.synthetic import Label

EVENT = np.dtype([("ts_ns", "i8"), ("direction", "i8"), ("value", "f8")])
"""Onset of an event (ns), its direction (-1 or +1) and the number behind it."""


def onsets(signals: np.ndarray, hold_ns: int) -> np.ndarray:
    """Events of one detector's signal records: EVENT rows, in order of time.

    Records that follow each other within ``hold_ns`` and point the same way are one event; its
    onset is the first of them.
    """
    ts, side = signals["ts_ns"], signals["direction"]
    new = np.ones(len(signals), bool)
    new[1:] = (ts[1:] - ts[:-1] > hold_ns) | (side[1:] != side[:-1])
    out = np.zeros(int(new.sum()), EVENT)
    out["ts_ns"], out["direction"] = ts[new], side[new]
    out["value"] = signals["value_fp9"][new] / 1e9
    return out


@dataclass(frozen=True)
class Matched:
    """``found[i]`` is the event of label i, or -1; ``false`` the events of no label (indices)."""

    found: np.ndarray
    false: np.ndarray


def match(events: np.ndarray, labels: Sequence[Label], tolerance_s: int) -> Matched:
    """Which label each event belongs to; labels lie apart by more than the tolerance."""
    found = np.full(len(labels), -1, np.int64)
    inside = np.zeros(len(events), bool)
    for i, label in enumerate(labels):
        a, b = np.searchsorted(
            events["ts_ns"], [label.onset_ns, label.end_ns + tolerance_s * NS + 1]
        )
        inside[a:b] = True
        if b > a:
            found[i] = a
    return Matched(found, np.flatnonzero(~inside))


def windows(start_ns: int, end_ns: int, window_s: int) -> np.ndarray:
    """Edges (ns, int64) of the whole windows of ``window_s`` that fit from start to end."""
    n = (end_ns - start_ns) // (window_s * NS)
    return start_ns + np.arange(n + 1, dtype=np.int64) * (window_s * NS)


def largest(ts_ns: np.ndarray, value: np.ndarray, spans: np.ndarray) -> np.ndarray:
    """Largest |value| of the records inside each [from, to) of ``spans`` (int64[n, 2]); none: -1.

    ``ts_ns`` rises.
    """
    at = np.searchsorted(ts_ns, spans)
    size = np.abs(value)
    return np.array([size[a:b].max() if b > a else -1.0 for a, b in at], np.float64)
