"""The flip exit, measured: positions held through planted flips of the flow, and through none.

Owns the episode. A position is opened with the flow that dominates before a planted flip, at the
first 30 s window whose delta is at least :data:`ENTRY_Z` of its usual size; it is held to the end
of the pattern. An exit after the onset finds the flip, one before it is false; in the null twin,
where the first side goes on, every exit is false. Both rules are the kernel's own, read at the
boundaries of a fold. It refuses to know what a position is worth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from data.events import NS
from data.sources.synthetic import Label
from engine.kernel.ewma import EWMA_STATE, ewma_sigma, ewma_update
from engine.kernel.flip import CUSUM, FLIP_PARAMS, FLIP_STATE, SEED, flip_arm, flip_cusum, flip_seed
from engine.measure.listen import Heard
from engine.measure.match import EVENT
from engine.runtime.plain import field_records

WINDOW_NS = 30 * NS
MEMORY = 240
ENTRY_Z = 1.0


def flip_params(mode: str) -> np.ndarray:
    """The kernel's parameters of ``mode`` at their defaults: the seed's rule, or the CUSUM."""
    p = np.zeros(1, FLIP_PARAMS)
    p["mode"] = SEED if mode == "seed" else CUSUM
    p["share_fp9"], p["k_fp9"], p["h_fp9"] = 800_000_000, 500_000_000, 4_000_000_000
    return p


def usual(heard: Heard) -> np.ndarray:
    """Usual size (root mean square of past 30 s windows) at every boundary, 0 where unknown."""
    s = field_records(np.zeros(1, EWMA_STATE))[0]
    out = np.zeros(len(heard.boundaries))
    for i, (ts, delta) in enumerate(zip(heard.boundaries, heard.delta, strict=True)):
        out[i] = ewma_sigma(s)
        if ts % WINDOW_NS == 0:
            ewma_update(s, float(delta), MEMORY)
    return out


def entry(heard: Heard, sigma: np.ndarray, label: Label) -> int:
    """Index of the boundary at which the position before ``label`` is opened, or -1."""
    a, b = np.searchsorted(heard.boundaries, [label.start_ns + WINDOW_NS, label.onset_ns])
    enough = (sigma[a:b] > 0) & (-label.direction * heard.delta[a:b] >= ENTRY_Z * sigma[a:b])
    at = np.flatnonzero(enough)
    return int(a + at[0]) if len(at) else -1


def held(
    heard: Heard, sigma: np.ndarray, label: Label, mode: str, until_ns: int
) -> tuple[int, float, int]:
    """(entry time, largest statistic from the onset on, exit time or 0) of one episode.

    The entry time is 0 where no position was opened. Times are ns.
    """
    at = entry(heard, sigma, label)
    if at < 0:
        return 0, 0.0, 0
    s = field_records(np.zeros(1, FLIP_STATE))[0]
    p = field_records(flip_params(mode))[0]
    flip_arm(s, np.int64(-label.direction), np.int64(heard.delta[at]))
    stop = int(np.searchsorted(heard.boundaries, until_ns, "right"))
    top, left = -math.inf, 0
    for i in range(at + 1, stop):
        ts, delta = int(heard.boundaries[i]), heard.delta[i]
        if mode == "seed":
            flips = flip_seed(s, p, np.int64(delta))
            value = -float(delta) / float(heard.delta[at])
        elif ts % WINDOW_NS == 0 and sigma[i] > 0:
            flips = flip_cusum(s, p, float(delta) / sigma[i])
            value = float(s.cusum_fp9) / 1e9
        else:
            continue
        if ts > label.onset_ns:
            top = max(top, value)
        if flips and not left:
            left = ts
    return int(heard.boundaries[at]), top, left


def episodes(
    heard: Heard, labels: Sequence[Label], mode: str, tolerance_s: int
) -> tuple[np.ndarray, np.ndarray, list[Label], np.ndarray]:
    """(exits as EVENT rows, largest statistics, the labels with a position, seconds held)."""
    sigma = usual(heard)
    exits: list[tuple[int, int, float]] = []
    tops: list[float] = []
    kept: list[Label] = []
    seconds: list[float] = []
    for label in labels:
        until = label.end_ns + tolerance_s * NS
        opened, top, left = held(heard, sigma, label, mode, until)
        if not opened:
            continue
        kept.append(label)
        tops.append(top)
        seconds.append(((left or until) - opened) / NS)
        if left:
            exits.append((left, label.direction, top))
    return np.array(exits, EVENT), np.array(tops), kept, np.array(seconds)
