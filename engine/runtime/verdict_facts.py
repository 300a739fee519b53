"""Gathers what a verdict is made of: from the session's folder, its runs, and its log.

Owns finding a session by name and reading what it left: ``session.json``, the published runs, the
gaps in its log, the monitor's table. What must hold: figures come from what was published or
sealed, never from what a dead process might have meant to write; a table that is not there is
missing figures, not zeros.

It refuses to know which figures are good enough.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data.errors import CorruptFileError, DataError, UsageError
from data.events import EVENTS, GapReason, Kind, OrderState, OrderType, Scales
from data.live.session_folder import SESSIONS, SessionFolder, sessions
from data.log import LogReader, LogStore
from data.runs import LATEST, Run, list_runs
from data.telemetry import MONITOR
from data.times import parse_utc
from engine.broker.simulated import money_factors
from engine.report.costs import costs_of, sum_of
from engine.report.tables import columns_of
from engine.runtime.paper_config import PaperConfig, from_facts
from engine.runtime.paper_sections import Reference
from engine.runtime.replay import Progress
from engine.runtime.verdict import Facts, Parity, Place, Trading
from engine.runtime.verdict_holes import Hole, open_to
from engine.runtime.verdict_place import StrategyOf, place_of, trips_of
from engine.runtime.verdict_readings import histograms, lags_of, monitored, readings_of
from engine.runtime.verify import check_manifest, verify

PAPER = "paper"
"""Command of the sessions that are judged."""


@dataclass(frozen=True, slots=True)
class Session:
    """A session that was found: its folder with its facts, and the runs that it published.

    Read of the facts are ``config`` (as :func:`engine.runtime.paper_config.as_facts` gave it),
    ``ended``, ``error``, ``phase``, ``starts`` and ``served``.
    """

    folder: SessionFolder
    runs: tuple[Run, ...]

    @property
    def id(self) -> str:
        """The session's id."""
        return self.folder.id

    def config(self) -> PaperConfig:
        """The configuration that it kept; ConfigError where it kept none."""
        kept = self.folder.facts.get("config")
        return from_facts(kept if isinstance(kept, dict) else {})

    @property
    def phase(self) -> str:
        """How it stands: why it ended, or that it did not."""
        facts = self.folder.facts
        if isinstance(facts.get("ended"), dict):
            return f"ended: {facts['ended'].get('reason')}"
        if facts.get("error"):
            return f"failed: {facts['error']}"
        if facts.get("phase") == "stopped":
            return "stopped: the same command goes on with it"
        return "not ended: it runs, or was killed; judged as of its last checkpoint"


def find_session(runs: Path, name: str) -> Session:
    """The paper session called ``name`` below the folder ``runs``: its id, the beginning of one,
    or ``last``.

    UsageError for a beginning of several, DataError where there is none.
    """
    where = str(runs / SESSIONS)
    papers = [s for s in sessions(runs) if s.facts.get("command") == PAPER]
    matches = papers[-1:] if name == LATEST else [s for s in papers if s.id == name]
    matches = matches or [s for s in papers if name and s.id.startswith(name)]
    if len(matches) > 1:
        raise UsageError(
            f"{name!r} is the beginning of {len(matches)} sessions",
            where=where,
            why=", ".join(s.id for s in matches[:5]),
            do="write more of the id",
        )
    if not matches:
        many = "1 lies there" if len(papers) == 1 else f"{len(papers) or 'none'} lie there"
        raise DataError(f"there is no paper session {name!r}", where=where, why=many,
                        do="'ofs paper --config paper.toml' makes one; check --runs")  # fmt: skip
    return Session(matches[0], runs_of(runs, matches[0].id))


def runs_of(runs: Path, session: str) -> tuple[Run, ...]:
    """The runs that ``session`` published, one a symbol, by symbol."""
    mine = [run for run in list_runs(runs)[0] if run.manifest.get("session") == session]
    return tuple(sorted(mine, key=lambda run: str(run.manifest.get("symbol"))))


def gather(
    session: Session,
    reference: Reference,
    off: Sequence[str],
    strategy_of: StrategyOf,
    progress: Progress | None = None,
    on_cold: Callable[[], None] | None = None,
) -> Facts:
    """Everything about ``session``; folds its log for parity and place unless they are ``off``.

    DataError where it published no run yet, or a table of it cannot be read.
    """
    if not session.runs:
        raise DataError("the session has published nothing yet", where=str(session.folder.path),
                        why="a run appears at the first checkpoint",
                        do="wait for it, or stop the session")  # fmt: skip
    first, state = session.runs[0].manifest, session.folder.facts
    notes: list[str] = []
    parity: tuple[Parity, ...] = ()
    place: Place | None = None
    table = monitored(session.folder.path / MONITOR)
    if "parity" not in off:
        parity = tuple(parity_of(r, strategy_of, notes, progress, on_cold) for r in session.runs)
    if "place" not in off:
        place = place_of(session.runs, reference, strategy_of, progress, on_cold)
    return Facts(
        session=session.id,
        venue=str(first["venue"]),
        symbols=tuple(str(r.manifest["symbol"]) for r in session.runs),
        strategy=str(first["strategy"]),
        phase=session.phase,
        starts=len(state.get("starts") or ()),
        served=bool(state.get("served")),
        from_ns=min(parse_utc(str(r.manifest["from"])) for r in session.runs),
        to_ns=max(parse_utc(str(r.manifest["to"])) for r in session.runs),
        holes=tuple(hole for r in session.runs for hole in holes_of(r)),
        readings=None if table is None else readings_of(table, _starts_ns(state)),
        lags=lags_of(table, histograms(session.folder.state), session.runs),
        parity=parity,
        trading=trading_of(session.runs),
        place=place,
        notes=tuple(notes),
    )


def _starts_ns(state: dict[str, Any]) -> list[int]:
    """Wall times at which the session was started, ns UTC, rising."""
    starts = state.get("starts") or []
    return sorted(parse_utc(str(s["at"])) for s in starts if isinstance(s, dict) and "at" in s)


def parity_of(
    recorded: Run,
    strategy_of: StrategyOf,
    notes: list[str],
    progress: Progress | None = None,
    on_cold: Callable[[], None] | None = None,
) -> Parity:
    """Folds the log of ``recorded`` again; what cannot be folded is no parity, and says why."""
    try:
        check_manifest(recorded)
        store = LogStore(recorded.manifest["log"]["path"])
        found = verify(store, recorded, strategy_of(recorded), progress, on_cold)
    except DataError as error:
        return Parity(recorded.id, False, 0, str(error).replace("\n", ";"))
    notes.extend(f"{recorded.id}: {note}" for note in found.notes)
    text = "the same"
    if found.differences:
        d = found.differences[0]
        text = (
            f"{d.table} row {d.row} (decision {d.decision}, {d.time}), {d.field}: the session has "
            f"{d.recorded}, the fold gives {d.computed}"
        )
    elif found.figures:
        text = f"{found.figures[0].name}: {found.figures[0].recorded} is stated, the fold gives "
        text += str(found.figures[0].computed)
    elif not found.ok:
        text = "a digest differs"
    return Parity(recorded.id, found.ok, found.decisions, text)


def holes_of(recorded: Run) -> list[Hole]:
    """Every gap that the log of ``recorded`` has of its symbol, up to the end of the run."""
    m = recorded.manifest
    names = EVENTS[Kind.GAP].names
    try:
        store = LogStore(m["log"]["path"])
        reader = LogReader(store, m["venue"], m["symbol"], {Kind.GAP: names})
    except CorruptFileError:
        raise
    except DataError:
        return []  # no gap was ever recorded here, or parity says that the log is gone
    found = []
    for batch in reader:
        c = batch.columns[Kind.GAP]
        for i in range(len(c["from_ns"])):
            found.append(
                Hole(
                    str(m["symbol"]),
                    Kind(int(c["stream"][i])).name.lower(),
                    int(c["from_ns"][i]),
                    int(c["to_ns"][i]),
                    GapReason(int(c["reason"][i])).name,
                    bool(c["filled"][i]),
                )
            )
    last_ns: dict[str, int] = {}
    for e in store.catalogue().entries:
        if (e.venue, e.symbol) == (m["venue"], m["symbol"]):
            stream = e.kind.name.lower()
            last_ns[stream] = max(last_ns.get(stream, 0), e.max_ts_ns)
    return open_to(found, last_ns, parse_utc(str(m["to"])))


def trading_of(runs: Sequence[Run]) -> Trading:
    """What all ``runs`` traded, in order of time."""
    bp, closed, fill_ms = [np.zeros(0)], [np.zeros(0, np.int64)], [np.zeros(0)]
    orders = rejected = fills = unknown = 0
    slipped: dict[str, list[int]] = {}
    for run in runs:
        p = columns_of(run, "position", ("closed_ns", "net_pnl", "entry_notional"))
        done = (p["closed_ns"] != 0) & (p["entry_notional"] != 0)
        bp.append(1e4 * p["net_pnl"][done] / np.abs(p["entry_notional"][done]))
        closed.append(p["closed_ns"][done])
        o = columns_of(run, "order", ("id", "ts_ns", "type", "state", "bid", "ask"))
        f = columns_of(run, "fill", _FILL)
        orders += len(o["id"])
        rejected += int((o["state"] == int(OrderState.REJECTED)).sum())
        fill_ms.append(_first_fills_ms(o, f))
        m = run.manifest
        mul, div = money_factors(Scales(int(m["price_scale"]), int(m["qty_scale"])))
        costs = costs_of(f, o, mul, div)
        fills, unknown = fills + len(costs.known), unknown + costs.unknown
        sums = slipped.setdefault(str(m.get("currency")), [0, 0])
        sums[0] += sum_of(costs.slippage[costs.known])
        sums[1] += sum_of(costs.traded[costs.known])
    order = np.argsort(np.concatenate(closed), kind="stable")
    worst = [1e4 * money / traded for money, traded in slipped.values() if traded]
    return Trading(
        np.concatenate(bp)[order],
        trips_of(runs)[1],
        "/".join(slipped),
        orders,
        rejected,
        fills,
        unknown,
        max(worst, default=None),
        np.concatenate(fill_ms),
    )


_FILL = (
    "order_id", "ts_ns", "side", "price", "qty", "fee", "liquidity", "bid", "ask", "pnl",
)  # fmt: skip


def _first_fills_ms(o: dict[str, np.ndarray], f: dict[str, np.ndarray]) -> np.ndarray:
    """Milliseconds from each market order to its first fill, of those that were filled."""
    first: dict[int, int] = {}
    for order, at in zip(f["order_id"].tolist(), f["ts_ns"].tolist(), strict=True):
        first.setdefault(order, at)
    market = o["type"] == int(OrderType.MARKET)
    sent = zip(o["id"][market].tolist(), o["ts_ns"][market].tolist(), strict=True)
    return np.array([(first[n] - at) / 1e6 for n, at in sent if n in first], dtype=np.float64)
