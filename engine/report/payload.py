"""Everything that a report shows of one run: facts as JSON, numbers as packed columns.

Owns the putting together, and what happens when the log of a run is not there any more or is not
what it was: the report is still made, from what there is, and says so. What must hold: what the run
recorded is shown as recorded and never computed again; the size is bounded whatever the range.

It refuses to know about HTML and about the terminal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from data.enums import ENUMS, FillReason
from data.errors import DataError, OfsError
from data.events import MONEY_SCALE, Scales
from data.log import LogStore
from data.runs import MANIFEST, Run
from data.times import parse_utc
from engine.kernel.candles import FLAG_GAP
from engine.report.encode import Packer
from engine.report.payload_levels import Chunk, Level
from engine.report.payload_market import Market, Progress, middles, read_market, span_for
from engine.report.payload_records import (
    RATIO_SCALE,
    Frame,
    decisions_of,
    equity_of,
    pack_table,
    prices_of,
    rows_of,
)
from engine.runtime.parameters import GROUPS, parse_value
from engine.runtime.replay import files_of

DAY_NS = 86_400_000_000_000
SCHEMA = 1
GAPS_MAX = 5_000
ENUM_NAMES = ("side", "order_type", "order_state", "order_reason", "fill_reason", "liquidity",
              "action", "exit_reason", "kind", "gap_reason", "lifecycle",
              "market_state")  # fmt: skip

FILL_REASONS: dict[FillReason, str] = {
    FillReason.BOOK_WALK: "walked the visible book, level by level",
    FillReason.QUOTE_TOUCH: "taken at the touch of the last quote",
    FillReason.LAST_PRICE: "no book and no quote: last price plus half the spread and slippage",
    FillReason.TRADE_THROUGH: "a trade printed beyond the limit price",
    FillReason.QUEUE: "a trade at the limit price used up the queue ahead",
    FillReason.BOOK_CROSS: "the other side of the book reached the limit price",
    FillReason.STOP_TRADE: "a trade printed at the stop or beyond",
    FillReason.STOP_BOOK: "the touch reached the stop",
    FillReason.TARGET_TRADE: "a trade printed beyond the target",
    FillReason.TARGET_BOOK: "the touch reached the target",
    FillReason.STOP_BAR: "a bar reached the stop",
    FillReason.TARGET_BAR: "a bar went beyond the target",
    FillReason.LIMIT_BAR: "a bar went beyond the limit price",
    FillReason.STOP_OUT: "margin was used up: closed by force",
    FillReason.BY_BROKER: "a broker executed it: no rule of the fill model was asked",
}
"""What each rule of the fill model means, as ``engine.broker.simulated`` has it."""

_NEEDED = ("venue", "symbol", "price_scale", "qty_scale", "from", "to")


@dataclass
class Payload:
    """``meta`` is plain JSON, ``data`` the packed columns in base64, ``raw_bytes`` their size
    before they were deflated.
    """

    meta: dict[str, Any]
    data: str
    raw_bytes: int
    notes: list[str] = field(default_factory=list)


def build(
    run: Run,
    open_log: Callable[[], LogStore],
    numbers: dict[str, Any],
    progress: Progress | None = None,
    fill_costs: dict[str, np.ndarray] | None = None,
    on_cold: Callable[[], None] | None = None,
) -> Payload:
    """What a report shows of ``run``.

    ``open_log`` opens the log that the run was made over; ``numbers`` (statistics, costs) are shown
    as they are; ``fill_costs`` are further int64 columns of the fills; ``on_cold`` is called when
    something must be compiled first. DataError where the manifest does not say what was run,
    CorruptFileError where a table of the run cannot be read. A log that is missing, damaged or
    changed is a note.
    """
    m = run.manifest
    missing = [key for key in _NEEDED if key not in m]
    if missing:
        raise DataError(
            "the manifest does not say what was run",
            where=str(run.folder / MANIFEST),
            why=f"it lacks {', '.join(missing)}",
            do="run the backtest again",
        )
    notes: list[str] = []
    from_ns, to_ns = _time(m["from"]), _time(m["to"])
    decisions = decisions_of(run, notes)
    fills = rows_of(run, "fill", notes)
    span = (from_ns, to_ns)
    watch = (progress, on_cold)
    market = _market(run, open_log, fills["ts_ns"], span, watch, notes)
    scales = Scales(int(m["price_scale"]), int(m["qty_scale"]))
    shown = Scales(max(scales.price, market.scales.price), max(scales.qty, market.scales.qty))
    t0_ns = from_ns // DAY_NS * DAY_NS
    packer = Packer()
    frame = Frame.of(t0_ns, scales, shown)
    for name in ("order", "position", "signal"):
        pack_table(packer, frame, name, rows_of(run, name, notes))
    pack_table(packer, frame, "fill", fills)
    for name, values in (fill_costs or {}).items():
        packer.add(f"fill.{name}", values)
    pack_table(packer, frame, "decision", decisions)
    pack_table(packer, frame, "equity", equity_of(run, span_for(to_ns - from_ns), notes))
    levels = _pack_market(packer, Frame.of(t0_ns, market.scales, shown), market)
    meta = {
        "schema": SCHEMA,
        "run": run.id,
        "t0_ms": t0_ns // 1_000_000,
        "from_us": (from_ns - t0_ns) // 1000,
        "to_us": (to_ns - t0_ns) // 1000,
        "price_scale": shown.price,
        "qty_scale": shown.qty,
        "money_scale": MONEY_SCALE,
        "ratio_scale": RATIO_SCALE,
        "source": market.source,
        "session_us": [_session(m, "length") // 1000, _session(m, "offset") // 1000],
        "levels": levels,
        "gaps": _gaps(market.gaps, t0_ns, notes),
        "enums": {name: {int(e): e.name for e in ENUMS[name]} for name in ENUM_NAMES},
        "fill_reasons": {int(r): text for r, text in FILL_REASONS.items()},
        "notes": [*notes, *market.notes],
        "columns": packer.columns,
        "manifest": m,
        **numbers,
    }
    return Payload(meta, packer.text(), packer.raw_bytes, meta["notes"])


def _time(value: Any) -> int:
    return value if isinstance(value, int) else parse_utc(str(value))


def _session(m: dict[str, Any], name: str) -> int:
    """Length or offset (ns) of a session in a run's settings."""
    p = next(p for p in GROUPS["session"] if p.name == name)
    text = str(m.get("params", {}).get(f"session.{name}", p.default))
    return parse_value(p, text, Scales(0, 0), f"session.{name}")


def _market(
    run: Run,
    open_log: Callable[[], LogStore],
    interesting_ns: np.ndarray,
    span: tuple[int, int],
    watch: tuple[Progress | None, Callable[[], None] | None],
    notes: list[str],
) -> Market:
    """The market from the log; from the decisions' own prices where the log cannot be read."""
    m = run.manifest
    bounds = m.get("range") or {}
    from_ns, to_ns = bounds.get("from_ns"), bounds.get("to_ns")
    settings = {k: str(v) for k, v in m.get("params", {}).items()}
    try:
        store = open_log()
        market = read_market(
            store, m["venue"], m["symbol"], from_ns, to_ns, settings, interesting_ns, *watch
        )
    except (OfsError, OSError) as error:
        why = getattr(error, "what", "") or str(error)
        notes.insert(
            0,
            f"The log of this run cannot be read: {why}. Candles are made of the last prices that "
            "the decisions recorded; there is no volume, delta, footprint or book.",
        )
        scales = Scales(int(m["price_scale"]), int(m["qty_scale"]))
        return _from_decisions(scales, run, span_for(span[1] - span[0]))
    _compare(run, store, notes)
    _explain(market, notes)
    return market


def _from_decisions(scales: Scales, run: Run, span_ns: int) -> Market:
    """Candles of the prices of every decision, also of those that are not shown."""
    ts_ns, price = prices_of(run)
    level = Level(span_ns, 1, 1)
    if len(price):
        level.take(middles(ts_ns - 1, price))  # what a boundary sees belongs to the time before it
    source = "decisions" if len(price) else ""
    books = np.zeros((3, 0), np.int64)
    return Market(scales, source, [(level, level.finish())], books, [])


def _compare(run: Run, store: LogStore, notes: list[str]) -> None:
    """A note where the files of the range are not those that the run was made over."""
    m = run.manifest
    before = {e["path"]: e["sha256"] for e in m.get("log", {}).get("entries", [])}
    if not before:
        return
    found = files_of(m, store.catalogue())
    now = {e.path: e.sha256 for e in found}
    changed = sorted(p for p in before.keys() | now.keys() if before.get(p) != now.get(p))
    if changed:
        many = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        notes.insert(
            0,
            "The log has changed since this run: candles, footprint and book show the log as it "
            f"is now, orders and decisions what the run saw ({', '.join(changed[:3])}{many}).",
        )


def _explain(market: Market, notes: list[str]) -> None:
    """Notes on what the candles are made of and what a long range leaves out."""
    made = {
        "bars": "The log has no trades here: candles are the venue's bars; no footprint.",
        "quotes": "The log has no trades here: candles are the middle of bid and ask; no volume.",
        "depth": "The log has no trades here: candles are the middle of the book; no volume.",
        "": "The log has neither trades, bars, quotes nor books here: no candles.",
    }
    if market.source in made:
        notes.append(made[market.source])
    if market.unknown_sides:
        notes.append(
            f"{market.unknown_sides:,} of {market.trades:,} trades are of unknown side: they count "
            "as volume and stay out of every delta."
        )
    for level, _ in market.levels:
        if level.row_units != level.first_units:
            notes.append(
                f"Price rows of the {_width(level.span_ns)} candles are "
                f"{level.row_units / 10**market.scales.price:g} high, to keep the file small."
            )
    if len(market.levels) > 1:
        wide, fine = market.levels[0][0], market.levels[1][0]
        hours = sum(b - a for a, b in fine.windows or ()) / 3_600_000_000_000
        notes.append(
            f"The range is long: it is kept in {_width(wide.span_ns)} candles, and in "
            f"{_width(fine.span_ns)} candles for {hours:g} hours around the fills."
        )


def _width(span_ns: int) -> str:
    seconds = span_ns // 1_000_000_000
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _pack_market(packer: Packer, frame: Frame, market: Market) -> list[dict[str, Any]]:
    """Add the columns of every level and of the book; what the page must know of each level."""
    levels = []
    for n, (level, chunk) in enumerate(market.levels):
        _pack_level(packer, frame, f"level{n}", level.span_ns, chunk)
        levels.append(
            {
                "span_us": level.span_ns // 1000,
                "row_units": level.row_units * frame.price_mul,
                "windows": [
                    [(a - frame.t0_ns) // 1000, (b - frame.t0_ns) // 1000]
                    for a, b in level.windows or ()
                ],
            }
        )
    span_ns = market.levels[0][0].span_ns if market.levels else 1
    packer.add("book.slot", (market.books[0] - frame.t0_ns) // span_ns, delta=True)
    packer.add("book.sum", np.rint(market.books[1] / 1e5).astype(np.int64))
    packer.add("book.n", market.books[2])
    return levels


def _pack_level(packer: Packer, frame: Frame, name: str, span_ns: int, chunk: Chunk) -> None:
    c = chunk.candles
    packer.add(f"{name}.slot", (c["open_ns"] - frame.t0_ns) // span_ns, delta=True)
    packer.add(f"{name}.open", c["open"] * frame.price_mul, delta=True)
    for part, value in (
        ("high", c["high"] - c["open"]),
        ("low", c["open"] - c["low"]),
        ("close", c["close"] - c["open"]),
    ):
        packer.add(f"{name}.{part}", value * frame.price_mul)
    for part in ("volume", "buy", "sell", "delta_min", "delta_max"):
        packer.add(f"{name}.{part}", c[part] * frame.qty_mul)
    packer.add(f"{name}.trades", c["trades"])
    packer.add(f"{name}.gap", c["flags"] & FLAG_GAP)
    counts = np.diff(chunk.stops, prepend=0)
    packer.add(f"{name}.rows", counts)
    packer.add(f"{name}.row", chunk.rows, delta=True)
    for part, value in zip(("cell_sell", "cell_unknown", "cell_buy"), chunk.cells, strict=True):
        packer.add(f"{name}.{part}", value * frame.qty_mul)


def _gaps(gaps: list[dict[str, int]], t0_ns: int, notes: list[str]) -> list[dict[str, int]]:
    """The holes as the page takes them, in microseconds since the origin."""
    if len(gaps) > GAPS_MAX:
        notes.append(f"Only the longest {GAPS_MAX:,} of {len(gaps):,} gaps are shown.")
        gaps = sorted(gaps, key=lambda g: g["from_ns"] - g["to_ns"])[:GAPS_MAX]
    return [
        {
            "stream": g["stream"],
            "reason": g["reason"],
            "filled": g["filled"],
            "from": (g["from_ns"] - t0_ns) // 1000,
            "to": (g["to_ns"] - t0_ns) // 1000,
        }
        for g in gaps
    ]
