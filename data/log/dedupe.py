"""What counts as the same event: joining new rows to the rows that a partition already holds.

Owns the identity of every kind.

* trade with an id: the same id with the same price, quantity and side in the same millisecond is
  one trade (a feed tells milliseconds where the archive of the same venue tells more). The row that
  is already there stays, unless only the other one knows its receive time, or else more of its
  time. The same id with another content is kept beside it and counted as a conflict (archives have
  shipped that).
* trade without an id, liquidation: equal rows may be different events (a sweep), so a partition
  holds as many equal rows as the largest single import had: importing again adds none. The rows of
  one instant must therefore come in one import call.
* quote without an id and a receive time (a broker's ticks): one that says what the quote before it
  said in the same instant is the same quote. One that comes back within the instant (A, B, A) is
  not: dropping it would leave B standing. So equal rows are counted as for trades without an id.
* bar: interval and start. The one with more trades (a broker's ticks) is the more complete: the
  last bar of an export is often not finished. With equal counts the later import replaces the
  earlier. A different content counts as a conflict.
* gap: equal in every column but ``filled``. One that was filled stays filled, whatever is imported
  again.
* everything else: equal in every column but ``seq`` (depth, quote, mark), or in every column.

What must hold: joining is idempotent, and (bars in conflict with equal counts and rows without an
id aside) the result does not depend on the order or the split of imports.

It refuses to know about files and partitions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data.events import Kind
from data.log.columns import Rows, concat
from data.log.order import content_keys, sort_index

_TRADED = ("price", "qty", "side")
SAME_NS = 1_000_000
"""Trades with one id and content are one within this much exchange time (a whole ms), ns."""
_QUOTED = ("bid", "bid_qty", "ask", "ask_qty")
_STAMPS = frozenset({"recv_ns", "seq"})
_SESSION_KINDS = frozenset({Kind.BROKER, Kind.CONTROL, Kind.CLOCK, Kind.GAP})


@dataclass(frozen=True, slots=True)
class MergeResult:
    """Counts of rows of one merge.

    ``added`` rows are new in the log, ``duplicates`` were there already. ``conflicts`` are rows
    that carry the identity of another row and say something else: a trade is then added beside it
    (and counted in ``added`` too), a bar is replaced (and is not counted in ``added``).
    """

    added: int = 0
    duplicates: int = 0
    conflicts: int = 0

    def __add__(self, other: MergeResult) -> MergeResult:
        """Counts of both merges together."""
        return MergeResult(
            self.added + other.added,
            self.duplicates + other.duplicates,
            self.conflicts + other.conflicts,
        )


@dataclass(frozen=True, slots=True)
class Joined:
    """``rows`` in total order, the counts, and whether they differ from the old rows."""

    rows: Rows
    result: MergeResult
    changed: bool


def join(old: Rows | None, new: Rows) -> Joined:
    """Join ``new`` rows (any order) to ``old`` rows of the same kind and scales."""
    rows = concat([old, new]) if old is not None else new
    n_old = rows.n - new.n
    is_new = np.arange(rows.n) >= n_old
    keep, conflicts = keep_mask(rows, is_new)
    added = int(keep.sum()) - n_old
    changed = bool((keep != ~is_new).any())
    replaced = conflicts if rows.kind == Kind.BAR else 0
    result = MergeResult(added, new.n - added - replaced, conflicts)
    return Joined(_ordered(rows, keep), result, changed)


def keep_mask(rows: Rows, is_new: np.ndarray) -> tuple[np.ndarray, int]:
    """Which ``rows`` stay (bool[n]) when those of the mask ``is_new`` join the others, and how
    many are in conflict (see :class:`MergeResult`)."""
    if rows.kind == Kind.TRADE:
        return _join_trades(rows, is_new)
    if rows.kind == Kind.BAR:
        return _join_bars(rows, is_new)
    if rows.kind == Kind.LIQUIDATION:
        return _join_counted(rows, is_new, np.arange(rows.n), _TRADED), 0
    if rows.kind == Kind.QUOTE:
        return _join_quotes(rows, is_new), 0
    return _join_equal(rows, is_new), 0


def same_trades(a: Rows, b: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Index pairs (into ``a``, into ``b``) of trades with the same id and content."""
    common = np.intersect1d(a["id"], b["id"])
    common = common[common != 0]
    in_a = np.flatnonzero(np.isin(a["id"], common))
    in_b = np.flatnonzero(np.isin(b["id"], common))
    seen = {_trade_key(a, i): i for i in in_a.tolist()}
    pairs = [(seen[key], i) for i in in_b.tolist() if (key := _trade_key(b, i)) in seen]
    index = np.array(pairs, np.int64).reshape(-1, 2)
    return index[:, 0], index[:, 1]


def _trade_key(rows: Rows, i: int) -> tuple[int, ...]:
    return int(rows["ts_ns"][i]) // SAME_NS, *(int(rows[name][i]) for name in ("id", *_TRADED))


def _ordered(rows: Rows, keep: np.ndarray) -> Rows:
    kept = rows if keep.all() else rows.take(np.flatnonzero(keep))
    index = sort_index(kept)
    return kept if index is None else kept.take(index)


def _tied(*keys: np.ndarray) -> np.ndarray:
    """Index of the rows whose ``keys`` some other row shares; cheap where no row does."""
    order = np.arange(len(keys[0]))
    if not bool((keys[0][1:] > keys[0][:-1]).all()):
        order = np.lexsort(keys[::-1])
    same = _same_as_previous([k[order] for k in keys])
    return order[same | np.append(same[1:], False)]


def _same_as_previous(keys: list[np.ndarray]) -> np.ndarray:
    same = np.zeros(len(keys[0]), bool)
    same[1:] = True
    for key in keys:
        same[1:] &= key[1:] == key[:-1]
    return same


def _join_trades(rows: Rows, is_new: np.ndarray) -> tuple[np.ndarray, int]:
    nameless = np.flatnonzero(rows["id"] == 0)
    keep = _join_counted(rows, is_new, nameless, _TRADED)
    named = np.flatnonzero(rows["id"] != 0) if len(nameless) else np.arange(rows.n)
    chosen = named[_tied(rows["id"][named])]
    if not len(chosen):
        return keep, 0
    ids = rows["id"][chosen]
    ts_ns = rows["ts_ns"][chosen]
    contents = [ts_ns // SAME_NS, *(rows[name][chosen] for name in _TRADED)]
    unstamped, coarse = rows["recv_ns"][chosen] == 0, ts_ns % SAME_NS == 0
    # within one content: the row with a receive time first, then the one with the finer time, then
    # the row that is already there
    order = np.lexsort((chosen, is_new[chosen], coarse, unstamped, *contents[::-1], ids))
    ids = ids[order]
    same = _same_as_previous([ids, *(c[order] for c in contents)])
    keep[chosen[order[same]]] = False
    return keep, _count_conflicts(ids, ~same, ~is_new[chosen[order]])


def _count_conflicts(ids: np.ndarray, heads: np.ndarray, old: np.ndarray) -> int:
    """How many contents were added to ids that already had one; arrays are sorted by id."""
    content = np.cumsum(heads) - 1
    first = np.flatnonzero(heads)
    content_is_old = np.bincount(content, weights=old) > 0
    starts = ~_same_as_previous([ids[first]])
    group = np.cumsum(starts) - 1
    after = np.bincount(group)
    before = np.bincount(group, weights=content_is_old).astype(np.int64)
    return int((after - np.maximum(before, 1)).sum())


def _join_quotes(rows: Rows, is_new: np.ndarray) -> np.ndarray:
    """Keep-mask of quotes; see the head of this file for those without id and receive time."""
    bare = (rows["id"] == 0) & (rows["recv_ns"] == 0)
    keep = np.ones(rows.n, bool) if bare.all() else _join_equal(rows, is_new, ~bare)
    among = np.flatnonzero(bare)
    fresh = among[is_new[among]]
    if len(fresh):
        order = fresh[np.argsort(rows["ts_ns"][fresh], kind="stable")]
        again = order[_same_as_previous([rows[name][order] for name in ("ts_ns", *_QUOTED)])]
        keep[again] = False
        among = among[keep[among]]
    return keep & _join_counted(rows, is_new, among, _QUOTED)


def _join_counted(
    rows: Rows, is_new: np.ndarray, among: np.ndarray, content: tuple[str, ...]
) -> np.ndarray:
    """Keep-mask in which equal rows of ``among`` stay as often as the larger side has them."""
    keep = np.ones(rows.n, bool)
    sub = among[_tied(rows["ts_ns"][among], rows["recv_ns"][among])] if len(among) else among
    if not len(sub):
        return keep
    keys = [rows[name][sub] for name in ("ts_ns", "recv_ns", *content)]
    order = np.lexsort((sub, is_new[sub], *keys[::-1]))
    same = _same_as_previous([k[order] for k in keys])
    group = np.cumsum(~same) - 1
    fresh = is_new[sub[order]]
    olds = np.bincount(group, weights=~fresh).astype(np.int64)
    place = np.arange(len(sub)) - np.flatnonzero(~same)[group]
    # old rows stand first in their group; of the new ones, as many as there are old are known
    known = fresh & (place < 2 * olds[group])
    keep[sub[order[known]]] = False
    return keep


def _join_equal(rows: Rows, is_new: np.ndarray, within: np.ndarray | None = None) -> np.ndarray:
    """Keep-mask in which of equal rows the first stays, an old one before a new one (of gaps, a
    filled one before both).

    Rows outside the mask ``within`` are not looked at.
    """
    keep = np.ones(rows.n, bool)
    sub = _tied(rows["ts_ns"], rows["recv_ns"], rows["id"])
    if within is not None:
        sub = sub[within[sub]]
    if not len(sub):
        return keep
    skip = frozenset() if rows.kind in _SESSION_KINDS else frozenset({"seq"})
    worse = np.zeros(len(sub), bool)
    if rows.kind == Kind.GAP:
        skip, worse = frozenset({"filled"}), rows["filled"][sub] == 0
    keys = content_keys(rows.take(sub), skip)
    order = np.lexsort((sub, is_new[sub], worse, *keys[::-1]))
    same = _same_as_previous([k[order] for k in keys])
    keep[sub[order[same]]] = False
    return keep


def _join_bars(rows: Rows, is_new: np.ndarray) -> tuple[np.ndarray, int]:
    keep = np.ones(rows.n, bool)
    chosen = _tied(rows["open_ns"], rows["interval_ns"])
    if not len(chosen):
        return keep, 0
    identity = [rows["interval_ns"][chosen], rows["open_ns"][chosen]]
    order = chosen[np.lexsort((chosen, *identity))]
    contents = content_keys(rows.take(order), _STAMPS)
    starts = ~_same_as_previous([rows["interval_ns"][order], rows["open_ns"][order]])
    group = np.cumsum(starts) - 1
    # the one with most trades counts, of several the last
    by_trades = np.lexsort((np.arange(len(order)), rows["trades"][order], group))
    winner = by_trades[np.append(np.flatnonzero(starts)[1:], len(order)) - 1]
    agrees = np.ones(len(order), bool)
    for values in contents:
        agrees &= values == values[winner[group]]
    keep[order] = False
    # among the rows that say what that one says: one with a receive time, else the oldest
    best = np.lexsort((order, rows["recv_ns"][order] == 0, ~agrees, group))
    firsts = ~_same_as_previous([group[best]])
    keep[order[best[firsts]]] = True
    return keep, int((~agrees).sum())
