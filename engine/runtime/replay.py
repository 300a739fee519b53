"""Runs a fold over a range of the log: the backtest.

Owns the loop (reader -> fold -> sink), choosing the series, and the manifest that says what was
run over what and what came out. The same loop serves ``backtest``, ``verify`` and the benchmarks.
It refuses to know how anything is printed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np

from data import jitcache
from data.errors import DataError
from data.events import MONEY_SCALE, RECORD_VERSION, REFERENCE, Kind, Scales
from data.log import LogReader, LogStore
from data.log.catalogue import Catalogue
from data.log.entry import Entry, place_of
from data.series import pick_series
from data.times import format_utc
from engine.kernel.events import READ_COLUMNS
from engine.kernel.live import LIVE_VIOLATIONS
from engine.kernel.matching import MODEL_VERSION
from engine.kernel.matching_state import VIOLATION_NAMES
from engine.plans.compile import Compiled
from engine.plans.load import PlanText, check_handlers, from_manifest, in_manifest, load_plans
from engine.runtime.behind import Behind
from engine.runtime.compose import LIVE, OF_EXECUTION, SIMULATED, Composition, compose
from engine.runtime.fold import Fold, Sink
from engine.runtime.groups_reference import beside_files, reference_series
from engine.runtime.parameters import build, feed_latency, settle
from engine.runtime.records import Totals
from engine.runtime.strategy import Strategy
from engine.runtime.usage import Stopwatch, peak_rss_mb, process_age_s, quiet_collector

Progress = Callable[[int, int, int], None]
"""Called with (events so far, events expected, market time in ns)."""


@dataclass(frozen=True)
class Request:
    """What to run: strategy and settings over a range of one series of the log.

    Times are ns UTC, from inclusive, to exclusive; None means the end of the log. ``only`` leaves
    out every other kind of event (a benchmark of trades alone asks for that). ``model`` is what the
    manifest says about a fitted model whose numbers stand among the settings; ``plans`` the text of
    a file of plans, of which those of the symbol take part. ``upto_seq`` folds what a session
    received, up to that event, and nothing that was fetched later. ``broker`` says who fills orders
    (``compose.BROKERS``), ``execution`` in which series (venue, symbol) they are executed where it
    is not the one that is named: its quotes and its broker's answers are read of that one.
    ``currency`` is that of the account where a broker keeps it; else it is the symbol's.
    """

    strategy: Strategy
    strategy_text: str
    venue: str | None = None
    symbol: str | None = None
    from_ns: int | None = None
    to_ns: int | None = None
    settings: dict[str, str] = field(default_factory=dict)
    chunk_rows: int = 32_768
    only: tuple[Kind, ...] | None = None
    model: dict[str, Any] | None = None
    plans: PlanText | None = None
    upto_seq: int | None = None
    broker: str = SIMULATED
    execution: tuple[str, str] | None = None
    currency: str = ""


@dataclass
class Outcome:
    """What a fold over a range was and gave; ``watch`` starts at the first event.

    ``first_event_s`` is how old the process was when the first batch came, None where that cannot
    be known.
    """

    fold: Fold
    settings: dict[str, str]
    venue: str
    symbol: str
    scales: Scales
    content_hash: str
    entries: list[dict[str, Any]]
    from_ns: int
    to_ns: int
    wall_s: float
    cpu_s: float
    first_event_s: float | None
    plans: list[Compiled] = field(default_factory=list)


def open_reader(
    store: LogStore,
    c: Composition,
    settings: dict[str, str],
    r: Request,
    venue: str,
    symbol: str,
    *,
    ahead: bool = True,
) -> LogReader:
    """A reader of the kinds that the fold takes, in the total order; its scales are the run's."""
    wanted = [k for k in c.kinds if k != REFERENCE]
    kinds = {k: READ_COLUMNS[k] for k in wanted if r.only is None or k in r.only}
    return LogReader(
        store,
        venue,
        symbol,
        kinds,
        from_ns=r.from_ns,
        to_ns=r.to_ns,
        latency_ns=feed_latency(settings),
        chunk_rows=r.chunk_rows,
        ahead=ahead,
        beside=reference_series(settings) if r.only is None else (),
        received=None if r.upto_seq is None else (0, r.upto_seq),
        second=None if r.execution is None else (r.execution, OF_EXECUTION),
    )


def composition_and_params(
    store: LogStore, request: Request, *, ahead: bool = True
) -> tuple[Composition, dict[str, str], LogReader, np.ndarray]:
    """The fold that ``request`` asks for, its settings, the events that it takes, and its params
    record (without plans)."""
    venue, symbol = pick_series(store, request.venue, request.symbol)
    composition = compose(request.strategy, broker=request.broker)
    settings = settle(composition, request.settings)
    reader = open_reader(store, composition, settings, request, venue, symbol, ahead=ahead)
    apart = request.execution is not None
    return composition, settings, reader, build(composition, settings, reader.scales, apart=apart)


def run(
    store: LogStore,
    request: Request,
    sink: Sink,
    progress: Progress | None = None,
    on_cold: Callable[[], None] | None = None,
) -> Outcome:
    """Fold the range that ``request`` names into ``sink``.

    DataError when the range holds no event; errors of the reader pass through.
    """
    composition, settings, reader, params = composition_and_params(store, request)
    venue, symbol = reader.venue, reader.symbol
    plans = planned(request, composition, params, symbol, reader.scales)
    with Behind(sink) as behind:
        fold = Fold(composition, params, behind, on_cold)
        quiet_collector()
        watch = Stopwatch()
        first_event_s = feed_all(reader, fold, progress, sum(e.rows for e in reader.entries))
        fold.finish()
    outcome = Outcome(
        fold, settings, venue, symbol, reader.scales, reader.content_hash(),
        [{"path": e.path, "sha256": e.sha256, "rows": e.rows} for e in reader.entries],
        *span(reader, request), watch.wall_s, watch.cpu_s, first_event_s, plans,
    )  # fmt: skip
    if not any(n for kind, n in fold.events.items() if kind != REFERENCE):
        raise DataError(
            "the range holds no event that this strategy reads",
            where=f"{venue} {symbol} from {_time(request.from_ns)} to {_time(request.to_ns)}",
            do="`ofs log ls` shows what is there",
        )
    return outcome


def planned(
    request: Request, composition: Composition, params: Any, symbol: str, scales: Scales
) -> list[Compiled]:
    """Put the plans of the request into ``params``; ConfigError where one does not fit."""
    if request.plans is None:
        return []
    name = request.strategy.name
    compiled = load_plans(params, request.plans, symbol, scales, name)
    check_handlers(compiled, tuple(h.name for h in composition.handlers), name)
    return compiled


def span(reader: LogReader, request: Request) -> tuple[int, int]:
    """(from, to) in ns UTC: as asked, else the first and just past the last event of the files."""
    first = min((e.min_ts_ns for e in reader.market_entries), default=0)
    last = max((e.max_ts_ns for e in reader.market_entries), default=0) + 1
    return (
        first if request.from_ns is None else request.from_ns,
        last if request.to_ns is None else request.to_ns,
    )


def ofs_version() -> str:
    """Version of the installed distribution."""
    return version("ofs")


def _time(ns: int | None) -> str:
    return format_utc(ns) if ns else "the end of the log"


def feed_all(reader: LogReader, fold: Fold, progress: Progress | None,
             expected: int) -> float | None:  # fmt: skip
    """Feed every batch of ``reader``; returns the age of the process at the first one, seconds."""
    events = 0
    first_event_s = None
    for batch in reader:
        if not events:
            first_event_s = process_age_s()
        fold.feed(batch.columns, batch.run_kind, batch.run_stop)
        events += batch.rows
        if progress is not None:
            progress(events, expected, int(fold.state["core"]["now_ns"][0]))
    return first_event_s


def manifest(outcome: Outcome, request: Request, log: str, digest: str, totals: Totals,
             rows: dict[str, int]) -> dict[str, Any]:  # fmt: skip
    """The manifest of a run without its id and creation time."""
    events = outcome.fold.events
    total = sum(events.values())
    own_code = ".py" in request.strategy_text
    return {
        "schema": RECORD_VERSION,
        "command": "backtest",
        "strategy": request.strategy_text,
        **({"strategy_file": str(request.strategy.source)} if own_code else {}),
        **_execution(request),
        "venue": outcome.venue,
        "symbol": outcome.symbol,
        "price_scale": outcome.scales.price,
        "qty_scale": outcome.scales.qty,
        "currency": request.currency or quote_currency(outcome.symbol),
        "from": format_utc(outcome.from_ns),
        "to": format_utc(outcome.to_ns),
        "range": _range(request),
        "params": outcome.settings,
        **({"model": request.model} if request.model else {}),
        **({"plans": in_manifest(request.plans, outcome.plans)} if request.plans else {}),
        "gates": list(request.strategy.gates),
        "refusals": list(outcome.fold.composition.refusals),
        "detectors": list(request.strategy.detectors),
        "versions": {"ofs": ofs_version(), **jitcache.versions()},
        "log": {"path": log, "content_hash": outcome.content_hash, "entries": outcome.entries},
        "source_hash": jitcache.source_hash(),
        "strategy_hash": request.strategy.source_sha256,
        "fill_model": MODEL_VERSION,
        "violations": violations(outcome.fold),
        "counts": counts(outcome.fold, rows),
        "result": results(totals),
        "digest": digest,
        "state_digest": outcome.fold.state_digest(),
        "first_event_s": outcome.first_event_s,
        "wall_s": round(outcome.wall_s, 6),
        "cpu_s": round(outcome.cpu_s, 6),
        "events_per_cpu_s": round(total / outcome.cpu_s) if outcome.cpu_s > 0 else 0,
        "peak_rss_mb": round(peak_rss_mb(), 1),
    }


def _execution(request: Request) -> dict[str, Any]:
    """Who filled the orders, where the matching model did not, and in which other series."""
    said: dict[str, Any] = {} if request.broker == SIMULATED else {"broker": request.broker}
    if request.execution is not None:
        said["execution"] = dict(zip(("venue", "symbol"), request.execution, strict=True))
    return said


def execution_of(m: dict[str, Any]) -> tuple[str, tuple[str, str] | None]:
    """``broker`` and ``execution`` of the request that made the run with manifest ``m``."""
    place = m.get("execution")
    return m.get("broker", SIMULATED), (place["venue"], place["symbol"]) if place else None


def files_of(m: dict[str, Any], catalogue: Catalogue) -> list[Entry]:
    """Files of ``catalogue`` that hold the range and kinds of the run with manifest ``m``, those
    of the series in which its orders were executed and of its references among them."""
    places = [place_of(e["path"]) for e in m["log"]["entries"]]
    kinds = sorted({p.kind for p in places if p is not None})
    span = m.get("range") or {}
    bounds = span.get("from_ns"), span.get("to_ns")
    place = execution_of(m)[1]
    theirs = OF_EXECUTION if place is not None else ()
    ours = [k for k in kinds if k not in theirs]
    found = catalogue.select(ours, m["venue"], m["symbol"], *bounds)
    if place is not None:
        found += catalogue.select([k for k in kinds if k in theirs], *place, *bounds)
    return found + beside_files(m.get("params", {}), bounds, catalogue, found)


def request_of(m: dict[str, Any], strategy: Strategy, chunk_rows: int = 32_768) -> Request:
    """The request that made the run with manifest ``m``, for another fold over the same log.

    Of an account at a broker the currency is what the session was told; no event says it.
    """
    span = m["range"]
    broker, execution = execution_of(m)
    return Request(
        strategy, m["strategy"], m["venue"], m["symbol"], span["from_ns"], span["to_ns"],
        dict(m["params"]), chunk_rows, plans=from_manifest(m), upto_seq=span.get("upto_seq"),
        broker=broker, execution=execution,
        currency=m.get("currency", "") if broker == LIVE else "",
    )  # fmt: skip


def _range(request: Request) -> dict[str, int | None]:
    asked = {"from_ns": request.from_ns, "to_ns": request.to_ns}
    return asked if request.upto_seq is None else {**asked, "upto_seq": request.upto_seq}


def counts(fold: Fold, rows: dict[str, int]) -> dict[str, int]:
    """Events folded by kind, what the fold passed over, and rows of each record table."""
    events, state = fold.events, fold.state["core"]
    return {
        "events": sum(events.values()),
        "trades": events[Kind.TRADE],
        "depth": events[Kind.DEPTH],
        "bars": events[Kind.BAR],
        "quotes": events[Kind.QUOTE],
        "gaps": events[Kind.GAP],
        **({"references": events[REFERENCE]} if REFERENCE in events else {}),
        **({"answers": events[Kind.BROKER]} if fold.composition.live else {}),
        "invalid_trades": int(state["invalid_trades"][0]),
        "skipped_boundaries": int(state["skipped_boundaries"][0]),
        **{f"{name}s" if name != "equity" else name: n for name, n in rows.items()},
    }


def results(totals: Totals) -> dict[str, Any]:
    """What a run earned, in account currency, and in how many round trips."""
    money = 10**MONEY_SCALE
    return {
        "net_pnl": (totals.gross - totals.fees) / money,
        "gross_pnl": totals.gross / money,
        "fees": totals.fees / money,
        "max_drawdown": totals.max_drawdown / money,
        "round_trips": totals.round_trips,
        "wins": totals.wins,
    }


def violations(fold: Fold) -> dict[str, int]:
    """What the kernel refused or left out, by name; empty when nothing was."""
    found: dict[str, int] = {}
    if fold.composition.account:
        sim = fold.state["sim"]
        found = {name: int(sim["violations"][0][n]) for n, name in enumerate(VIOLATION_NAMES)}
        found["reports of fills merged into later ones"] = int(sim["reports_merged"][0])
    if fold.composition.live:
        odd = fold.state["live"]["violations"][0]
        found |= {name: int(odd[n]) for n, name in enumerate(LIVE_VIOLATIONS)}
    if any(h.name == "lifecycle" for h in fold.composition.handlers):
        found["illegal step of the life cycle"] = int(fold.state["lifecycle"]["illegal"][0])
    return {name: count for name, count in found.items() if count}


def quote_currency(symbol: str) -> str:
    """Currency that the symbol is priced in; the symbol's end, or the whole of it if unknown."""
    for code in ("USDT", "USDC", "FDUSD", "BUSD", "TUSD", "USD", "EUR", "GBP", "JPY", "BTC", "ETH"):
        if symbol.endswith(code) and len(symbol) > len(code):
            return code
    return symbol
