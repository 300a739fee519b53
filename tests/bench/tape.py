"""The common tape: one seeded stream of trades and touches that every peer is given.

Owns the generator and its files (`.npy` columns plus `tape.json`). Must hold: the same seed and
count give the same bytes; time never runs backwards; no trade lies exactly on a multiple of five
seconds, so that "before or at the boundary" cannot make two engines differ. Refuses to know any
engine. Imports numpy and the standard library only, because peers run in environments of their own.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

FORMAT = 1
START_NS = 1_791_331_200_000_000_000  # 2026-10-07T00:00:00Z, a whole multiple of 5 s
STEP_NS = 5_000_000_000
MS_NS = 1_000_000
TOUCH_LEAD_NS = 500_000  # a touch stands half a millisecond before each boundary
TICK = 0.1  # quote units a price tick
LOT = 0.001  # base units a quantity lot
START_PRICE = 1_000_000  # ticks
MEAN_RATE_PER_S = 40.0
THRESHOLD_QUANTILE = 0.5  # of the absolute delta of a step: every second step may enter
COLUMNS = ("ts_ns", "id", "price", "qty", "side", "touch_ts_ns", "touch_bid", "touch_ask")


@dataclass(frozen=True)
class Tape:
    """Columns of a tape, all one-dimensional and C-contiguous.

    ts_ns int64[n] UTC, id int64[n], price int64[n] in ticks, qty int64[n] in lots, side int8[n]
    (+1 buyer aggressive, -1 seller); touch_ts_ns, touch_bid, touch_ask int64[m]: best bid and ask
    in ticks, the first at `START_NS`, then one half a millisecond before every boundary of 5 s.
    `threshold_lots` is the job's entry threshold, taken from the whole tape.
    """

    ts_ns: np.ndarray
    id: np.ndarray
    price: np.ndarray
    qty: np.ndarray
    side: np.ndarray
    touch_ts_ns: np.ndarray
    touch_bid: np.ndarray
    touch_ask: np.ndarray
    threshold_lots: int
    seed: int

    def __len__(self) -> int:
        return len(self.ts_ns)

    def prefix(self, trades: int) -> Tape:
        """The first `trades` trades with the touches up to the last of them."""
        if trades >= len(self):
            return self
        m = int(np.searchsorted(self.touch_ts_ns, self.ts_ns[trades - 1], side="right"))
        cut = {c: np.ascontiguousarray(getattr(self, c)[:trades]) for c in COLUMNS[:5]}
        cut |= {c: np.ascontiguousarray(getattr(self, c)[:m]) for c in COLUMNS[5:]}
        return Tape(**cut, threshold_lots=self.threshold_lots, seed=self.seed)

    def sha256(self) -> str:
        """Hash over all columns, so that a report can say which tape was run."""
        digest = hashlib.sha256()
        for name in COLUMNS:
            digest.update(np.ascontiguousarray(getattr(self, name)).tobytes())
        return digest.hexdigest()


def _times_ns(rng: np.random.Generator, n: int) -> np.ndarray:
    """Clustered arrivals on a millisecond grid: slow log-intensity, bursts within a millisecond."""
    block = 256
    blocks = -(-n // block)
    log_rate = np.empty(blocks)
    noise = rng.normal(0.0, 0.25, blocks)
    level = 0.0
    for k in range(blocks):
        level = 0.95 * level + noise[k]
        log_rate[k] = level
    rate = np.repeat(np.exp(log_rate - log_rate.mean()), block)[:n]
    gaps_s = rng.exponential(1.0, n) / rate
    gaps_s[rng.random(n) < 0.3] = 0.0  # one sweep prints several trades in one millisecond
    gaps_s *= 1.0 / (MEAN_RATE_PER_S * gaps_s.mean())
    ts_ns = START_NS + MS_NS + np.cumsum(gaps_s * 1000.0).astype(np.int64) * MS_NS
    ts_ns[ts_ns % STEP_NS == 0] += MS_NS
    return ts_ns


def _sides(rng: np.random.Generator, n: int) -> np.ndarray:
    """Aggressor sides in runs (order splitting): the side changes with probability 0.35."""
    changes = rng.random(n) < 0.35
    return np.where(np.cumsum(changes) % 2 == 0, 1, -1).astype(np.int8)


def _prices(rng: np.random.Generator, side: np.ndarray) -> np.ndarray:
    """Random walk of the middle on the tick grid; a buy prints above it and a sell below."""
    n = len(side)
    moves = np.where(rng.random(n) < 0.12, side.astype(np.int64), 0)
    moves += np.where(rng.random(n) < 0.04, rng.integers(-2, 3, n), 0)
    walk = START_PRICE + np.cumsum(moves)
    return np.maximum(walk, START_PRICE // 2) + (side > 0)


def step_deltas(ts_ns: np.ndarray, signed_lots: np.ndarray) -> np.ndarray:
    """Delta of each whole step of 5 s up to the last boundary reached, int64 lots."""
    boundary = np.arange(START_NS + STEP_NS, int(ts_ns[-1]) + 1, STEP_NS)
    cvd = np.concatenate(([0], np.cumsum(signed_lots)))
    return np.diff(cvd[np.searchsorted(ts_ns, boundary, side="left")], prepend=0)


def _touches(ts_ns: np.ndarray, price: np.ndarray, side: np.ndarray) -> tuple[np.ndarray, ...]:
    """One tick wide touch around the latest trade, before every boundary (see `Tape`)."""
    boundary = np.arange(START_NS + STEP_NS, int(ts_ns[-1]) + 1, STEP_NS)
    touch_ts = np.concatenate(([START_NS], boundary - TOUCH_LEAD_NS)).astype(np.int64)
    last = np.maximum(np.searchsorted(ts_ns, touch_ts, side="right") - 1, 0)
    bid = price[last] - (side[last] > 0)
    return touch_ts, bid, bid + 1


def make_tape(trades: int, seed: int = 7) -> Tape:
    """Generate a tape of `trades` trades (at least 1,000).

    Raises:
        ValueError: fewer than 1,000 trades.
    """
    if trades < 1_000:
        raise ValueError(f"a tape needs at least 1,000 trades, not {trades}")
    rng = np.random.default_rng(seed)
    ts_ns = _times_ns(rng, trades)
    side = _sides(rng, trades)
    price = _prices(rng, side)
    qty = np.maximum(np.exp(rng.normal(3.0, 1.2, trades)).astype(np.int64), 1)
    touch_ts, bid, ask = _touches(ts_ns, price, side)
    deltas = step_deltas(ts_ns, qty * side)
    threshold = int(np.quantile(np.abs(deltas), THRESHOLD_QUANTILE)) if len(deltas) else 1
    ids = np.arange(1, trades + 1, dtype=np.int64)
    return Tape(ts_ns, ids, price, qty, side, touch_ts, bid, ask, threshold, seed)


def save_tape(tape: Tape, folder: Path) -> None:
    """Write the columns and `tape.json`; the json comes last and marks the tape as complete."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in COLUMNS:
        np.save(folder / f"{name}.npy", getattr(tape, name))
    meta = {
        "format": FORMAT,
        "trades": len(tape),
        "seed": tape.seed,
        "threshold_lots": tape.threshold_lots,
        "sha256": tape.sha256(),
    }
    (folder / "tape.json").write_text(json.dumps(meta, indent=1) + "\n", encoding="utf-8")


def load_tape(folder: Path) -> Tape:
    """Read a tape written by `save_tape` into memory.

    Raises:
        ValueError: another format, or columns that are not those that were written.
    """
    meta = json.loads((folder / "tape.json").read_text(encoding="utf-8"))
    if meta["format"] != FORMAT:
        raise ValueError(f"{folder}: tape format {meta['format']}, this bench reads {FORMAT}")
    columns = {name: np.load(folder / f"{name}.npy") for name in COLUMNS}
    tape = Tape(**columns, threshold_lots=meta["threshold_lots"], seed=meta["seed"])
    if tape.sha256() != meta["sha256"]:
        raise ValueError(f"{folder}: columns differ from tape.json; delete the folder")
    return tape


def _kept(folder: Path) -> Tape | None:
    """The tape in `folder`, or None where there is none or a damaged one."""
    try:
        return load_tape(folder)
    except (ValueError, KeyError, OSError):
        return None


def ensure_tape(root: Path, trades: int, seed: int) -> tuple[Path, Tape]:
    """The tape of `trades` and `seed` below `root`, made when it is not there yet."""
    folder = root / f"tape-v{FORMAT}-{trades}-{seed}"
    tape = _kept(folder)
    if tape is None:
        shutil.rmtree(folder, ignore_errors=True)
        tape = make_tape(trades, seed)
        save_tape(tape, folder)
    return folder, tape


def ensure_prefix(folder: Path, tape: Tape, trades: int) -> tuple[Path, Tape]:
    """A folder that holds the first `trades` trades only, for the slow peers."""
    if trades >= len(tape):
        return folder, tape
    short = folder.with_name(f"{folder.name}-first-{trades}")
    kept, prefix = _kept(short), tape.prefix(trades)
    if kept is None or kept.sha256() != prefix.sha256():
        shutil.rmtree(short, ignore_errors=True)
        save_tape(prefix, short)
    return short, prefix
