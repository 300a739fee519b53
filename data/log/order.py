"""The one place that knows the total order of events.

A row's key is its arrival: ``recv_ns`` where the recorder wrote one, else ``ts_ns`` plus a latency
configured for its kind. The total order is (arrival, seq, stream rank, id), where the rank of a
stream is the value of its :class:`Kind`. Rows of one kind have one rank, so within a kind it is
(arrival, seq, id); rows that are equal even there and carry no id, or one that is opaque and so
tells no order, keep the order in which they were given, those with an id are ordered by what they
say.

The writer sorts a file with latency 0 (:func:`sort_index`). The reader merges streams whose stored
order it takes as given: a row's key there is the running maximum of the arrivals of its stream
(:func:`running_keys`), so a latency or a clock step never reorders a stream in itself. Streams are
merged head against head (:func:`merge_runs`), which costs one comparison a row; heads that are
equal in all of that come by the rank of their streams (kinds, or files of one kind).

It refuses to know about files, chunks and what the rows mean. It is the only module of the log that
imports numba, so whoever only lists a log does not import it.
"""

from __future__ import annotations

import numpy as np

from data import jitcache
from data.ids import ordinals
from data.log.columns import Rows, list_columns, offsets_name

jitcache.activate()  # before numba decides where compiled code is kept

from numba import njit  # noqa: E402


def arrival(ts_ns: np.ndarray, recv_ns: np.ndarray, latency_ns: int = 0) -> np.ndarray:
    """Arrival times int64[n]: ``recv_ns`` where it is not 0, else ``ts_ns + latency_ns``."""
    return np.where(recv_ns != 0, recv_ns, ts_ns + np.int64(latency_ns))


def running_keys(arrivals: np.ndarray, last: int) -> np.ndarray:
    """Keys int64[n] of a stream's next rows: running maximum of ``arrivals`` and of ``last``."""
    keys = np.maximum.accumulate(arrivals)
    if len(keys) and keys[0] < last:
        np.maximum(keys, last, out=keys)
    return keys


def sort_index(rows: Rows) -> np.ndarray | None:
    """Index int64[n] that puts ``rows`` of one kind in total order; None if they are in it."""
    if rows.n < 2:
        return None
    key, seq, ids = arrival(rows["ts_ns"], rows["recv_ns"]), rows["seq"], ordinals(rows["id"])
    index = None
    if not _sorted(key, seq, ids):
        index = np.lexsort((ids, seq, key))
        key, seq, ids = key[index], seq[index], ids[index]
    same = (key[1:] == key[:-1]) & (seq[1:] == seq[:-1]) & (ids[1:] == ids[:-1]) & (ids[1:] != 0)
    if same.any():
        index = _order_ties(rows, np.arange(rows.n) if index is None else index, same)
    return index


def content_keys(rows: Rows, skip: frozenset[str] = frozenset()) -> list[np.ndarray]:
    """int64 or uint64 arrays, one entry a row, equal where the rows say the same.

    A scalar column is its own key; the levels of a side become two independent 64-bit hashes.
    ``skip`` names columns that do not count.
    """
    lists = list_columns(rows.kind)
    keys = []
    for name, values in rows.columns.items():
        if name in skip:
            continue
        if name in lists:
            keys += _hash_lists(values, rows[offsets_name(name)])
        elif name.endswith("_offsets"):
            keys.append(np.diff(values))
        else:
            keys.append(values)
    return keys


def _sorted(key: np.ndarray, seq: np.ndarray, ids: np.ndarray) -> bool:
    """True when (key, seq, id) never falls."""
    later = (seq[1:] > seq[:-1]) | ((seq[1:] == seq[:-1]) & (ids[1:] >= ids[:-1]))
    return bool(((key[1:] > key[:-1]) | ((key[1:] == key[:-1]) & later)).all())


def _order_ties(rows: Rows, index: np.ndarray, same: np.ndarray) -> np.ndarray:
    """Orders rows of equal (arrival, seq, id) by content, so that input order leaves no trace."""
    tied = np.zeros(rows.n, bool)
    tied[1:] |= same
    tied[:-1] |= same
    places = np.flatnonzero(tied)
    starts = np.concatenate(([True], ~same))
    group = np.cumsum(starts)[places]
    chosen = index[places]
    contents = content_keys(rows.take(chosen))
    index = index.copy()
    index[places] = chosen[np.lexsort((*contents[::-1], group))]
    return index


def _hash_lists(values: np.ndarray, offsets: np.ndarray) -> list[np.ndarray]:
    lengths = np.diff(offsets)
    position = np.arange(len(values), dtype=np.uint64) - np.repeat(
        offsets[:-1].astype(np.uint64), lengths
    )
    words = values.view(np.uint64)
    hashes = []
    for factor in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F):
        mixed = _mix(_mix(words + np.uint64(factor)) ^ (position * np.uint64(factor)))
        sums = np.concatenate((np.zeros(1, np.uint64), np.cumsum(mixed, dtype=np.uint64)))
        hashes.append(sums[offsets[1:]] - sums[offsets[:-1]])
    return hashes


def _mix(words: np.ndarray) -> np.ndarray:
    """The finaliser of splitmix64 (Steele, Lea and Flood 2014), element by element."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


@njit(cache=True, nogil=True)
def _before(
    keys: np.ndarray,
    seqs: np.ndarray,
    ids: np.ndarray,
    ranks: np.ndarray,
    s: int,
    i: int,
    t: int,
    j: int,
) -> bool:
    """True when row i of stream s comes before row j of stream t: the total order itself."""
    if keys[s, i] != keys[t, j]:
        return keys[s, i] < keys[t, j]
    if seqs.shape[1] > 0 and seqs[s, i] != seqs[t, j]:
        return seqs[s, i] < seqs[t, j]
    if ids.shape[1] > 0 and ids[s, i] != ids[t, j]:
        return ids[s, i] < ids[t, j]
    return ranks[s] < ranks[t]


@njit(cache=True, nogil=True)
def _first(
    keys: np.ndarray,
    seqs: np.ndarray,
    ids: np.ndarray,
    ranks: np.ndarray,
    pos: np.ndarray,
    stop: np.ndarray,
    but: int,
) -> int:
    """The stream, other than ``but``, whose head comes first; -1 where all are empty."""
    found = -1
    for s in range(len(pos)):
        if s == but or pos[s] == stop[s]:
            continue
        if found < 0 or _before(keys, seqs, ids, ranks, s, pos[s], found, pos[found]):
            found = s
    return found


@njit(cache=True, nogil=True)
def merge_runs(
    keys: np.ndarray,
    seqs: np.ndarray,
    ids: np.ndarray,
    ranks: np.ndarray,
    pos: np.ndarray,
    stop: np.ndarray,
    ended: np.ndarray,
    max_rows: int,
    run_stream: np.ndarray,
    run_stop: np.ndarray,
) -> int:
    """Merges the heads of streams until a stream needs its next block or ``max_rows`` are out.

    ``keys``, ``seqs`` and ``ids`` are int64[streams, capacity]; stream s holds [pos[s], stop[s]),
    and ``ended[s]`` is 1 when nothing follows. Where ``seqs`` or ``ids`` has capacity 0, it does
    not count. ``ranks`` int64[streams] are all different. ``pos`` is moved on; a run goes to
    ``run_stream`` and ``run_stop`` (room for ``max_rows`` each), and stops at a position of its
    own stream. Returns the number of runs.
    """
    for s in range(len(pos)):
        if pos[s] == stop[s] and ended[s] == 0:
            return 0
    runs = 0
    rows = 0
    best = _first(keys, seqs, ids, ranks, pos, stop, -1)
    while best >= 0 and rows < max_rows:
        second = _first(keys, seqs, ids, ranks, pos, stop, best)
        start = pos[best]
        end = min(stop[best], start + max_rows - rows)
        i = end
        if second >= 0:
            i = start + 1
            j = pos[second]
            bound = keys[second, j]
            while i < end and (
                keys[best, i] < bound
                or (keys[best, i] == bound and _before(keys, seqs, ids, ranks, best, i, second, j))
            ):
                i += 1
        rows += i - start
        pos[best] = i
        run_stream[runs] = best
        run_stop[runs] = i
        runs += 1
        if i == stop[best] and ended[best] == 0:
            return runs
        best = second
    return runs
