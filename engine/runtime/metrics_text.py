"""The numbers of a session in Prometheus' text format.

Owns the names (``ofs_...``), their types and labels, in a registry of its own: nothing that another
library registers is told, and two sessions in one process do not meet. What must hold: every scrape
is made of one picture, so its numbers belong together; counters never fall while a session runs.

It refuses to know who asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from engine.runtime.view import PHASES, BrokerView, SymbolView, View

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_MS = 1e3


def metrics_text(view: Callable[[], View]) -> bytes:
    """The page of ``/metrics`` for the picture that ``view`` gives now."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Pictured(view()))
    return generate_latest(registry)


class _Pictured(Collector):
    """One picture as families of metrics."""

    def __init__(self, view: View) -> None:
        self._view = view

    def collect(self) -> Iterator[Metric]:
        """All families."""
        yield from _session(self._view)
        yield from _feed(self._view)
        yield from _disk(self._view)
        yield from _resources(self._view)
        yield from _symbols(self._view.symbols)
        if self._view.broker is not None:
            yield from _broker(self._view.broker)


def _gauge(name: str, doc: str, value: float | None) -> Iterator[Metric]:
    """A gauge; what nobody can tell is left out."""
    if value is not None:
        yield GaugeMetricFamily(f"ofs_{name}", doc, value=value)


def _counter(name: str, doc: str, value: float) -> Metric:
    return CounterMetricFamily(f"ofs_{name}", doc, value=value)


def _by(name: str, doc: str, label: str, values: Mapping[str, float], *, counts: bool) -> Metric:
    """One family with a value for each value of ``label``."""
    kind = CounterMetricFamily if counts else GaugeMetricFamily
    family: Metric = kind(f"ofs_{name}", doc, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)  # type: ignore[attr-defined]
    return family


def _session(v: View) -> Iterator[Metric]:
    info = GaugeMetricFamily(
        "ofs_session_info", "the session", labels=["session", "command", "venue", "strategy"]
    )
    info.add_metric([v.session, v.command, v.venue, v.strategy], 1)
    yield info
    phases = {p: float(p == v.phase) for p in PHASES}
    yield _by("phase", "1 for the phase that the session is in", "phase", phases, counts=False)
    yield from _gauge("uptime_seconds", "wall time since this process began", v.uptime_s)
    yield from _gauge("session_time_seconds", "the session's clock, Unix time", v.now_ns / 1e9)
    states = {x: getattr(v.states, x) for x in v.states.__slots__}
    doc = "last seq of which the state is true; synced is what was acknowledged"
    yield _by("last_seq", doc, "state", states, counts=False)
    yield _by("events", "events admitted", "kind", v.by_kind, counts=True)
    reasons = v.gaps.by_reason
    yield _by("gaps", "holes in the log by reason", "reason", reasons, counts=True)
    yield _counter("gaps_filled", "holes that were filled", v.gaps.filled)
    yield from _gauge("gaps_open", "holes that are open now", v.gaps.open)
    yield from _gauge("alarms", "sentences that a person should read now", len(v.alarms))


def _feed(v: View) -> Iterator[Metric]:
    f = v.feed
    yield from _gauge("connections", "open connections", f.connections)
    yield _counter("connects", "connections made", f.connects)
    yield _counter("disconnects", "connections lost", f.disconnects)
    yield _counter("rotations", "connections replaced before the venue's limit", f.rotations)
    yield _counter("frames", "messages read", f.frames)
    yield _counter("frame_bytes", "bytes of messages read", f.bytes)
    yield _counter("frames_dropped", "messages dropped because the queue was full", f.dropped)
    yield from _gauge("frames_queued", "messages that wait", f.queued)
    yield _counter("duplicates", "events that came twice", f.duplicates)
    yield _counter("late", "events left out because they came too late", f.late)
    yield _by("rejects", "messages that are no event", "reason", f.rejects, counts=True)
    yield from _gauge("silent_streams", "streams that say nothing", len(f.silent))
    yield from _gauge("frames_per_second", "messages a second", f.frames_per_s)
    yield from _gauge("events_per_second", "events a second", f.events_per_s)
    yield _lags("lag_seconds", "wall time from reading a message to its event being folded",
                f.lag_p50_ms, f.lag_p99_ms)  # fmt: skip
    yield _lags("decision_lag_seconds", "wall time from reading a message to the decision",
                f.decision_p50_ms, f.decision_p99_ms)  # fmt: skip
    yield _lags("venue_lag_seconds", "the venue's time of an event to its receive time",
                f.venue_lag_p50_ms, f.venue_lag_p99_ms)  # fmt: skip


def _lags(name: str, doc: str, p50_ms: float, p99_ms: float) -> Metric:
    values = {"0.5": p50_ms / _MS, "0.99": p99_ms / _MS}
    return _by(name, f"{doc}, over the last minute", "quantile", values, counts=False)


def _disk(v: View) -> Iterator[Metric]:
    d = v.disk
    yield from _gauge("disk_free_bytes", "bytes free where the log lies", d.free_bytes)
    yield from _gauge("log_bytes_per_day", "bytes that the log grows by in a day", d.bytes_per_day)
    yield from _gauge("log_bytes", "bytes of the log", d.log_bytes)
    yield from _gauge("journal_bytes", "bytes of the journal", d.journal_bytes)
    yield _counter("syncs", "syncs of the journal", d.syncs)
    yield _lags("sync_seconds", "how long a sync takes", d.sync_p50_ms, d.sync_p99_ms)
    yield from _gauge("disk_level", "0: everything is recorded; more: kinds left out", d.level)


def _resources(v: View) -> Iterator[Metric]:
    r = v.resources
    yield from _gauge("cpu_percent", "CPU of the process, percent of one core", r.cpu_percent)
    yield from _gauge("memory_bytes", "resident memory", r.memory_mb * 1e6)
    yield from _gauge("threads", "threads of the process", r.threads)
    yield from _gauge("open_files", "open files and sockets", r.open_files)
    yield from _gauge("net_in_bytes_per_second", "network into this machine", r.net_in_per_s)
    yield from _gauge("net_out_bytes_per_second", "network out of this machine", r.net_out_per_s)
    yield from _gauge("disk_read_bytes_per_second", "read from disk", r.disk_read_per_s)
    yield from _gauge("disk_write_bytes_per_second", "written to disk", r.disk_write_per_s)
    yield from _gauge("engines", "folds that run", r.engines)
    yield from _gauge("checks_per_second", "decisions a second", r.checks_per_s)
    yield _counter("fold_cache_hits", "folds that were found compiled", r.cache_hits)
    yield _counter("fold_cache_misses", "folds that had to be compiled", r.cache_misses)


def _broker(b: BrokerView) -> Iterator[Metric]:
    info = GaugeMetricFamily(
        "ofs_broker_info", "the account", labels=["login", "server", "currency", "kind"]
    )
    kind = "real" if b.real else "demo"
    info.add_metric([str(b.login), b.server, b.currency, kind], 1)
    yield info
    yield from _gauge("broker_connected", "1: linked to the trade server", float(b.connected))
    yield from _gauge("broker_trade_allowed", "1: it may trade", float(b.trade_allowed))
    yield from _gauge("broker_reconciled", "1: what it holds is known", float(b.reconciled))
    yield from _gauge("broker_balance", "balance, account currency", b.balance)
    yield from _gauge("broker_equity", "equity, account currency", b.equity)
    yield from _gauge("broker_books", "the broker's balance less ours", b.books)
    yield from _gauge("broker_blocked", "instruments that are blocked", len(b.blocked))
    yield from _gauge("broker_unknown", "outcomes that are unknown now", b.unknown)
    yield from _gauge("broker_foreign", "positions and orders that are not ours", b.foreign)
    yield _counter("broker_unknown_ever", "outcomes that were unknown", b.unknown_ever)
    yield _counter("broker_sent", "calls that changed something", b.sent)
    yield _counter("broker_restarts", "workers of the terminal that were replaced", b.restarts)
    yield from _gauge("broker_round_trip_seconds", "time of the last call", b.round_trip_ms / _MS)
    yield from _gauge("broker_tick_age_seconds", "age of the youngest quote", b.tick_age_s)
    yield from _gauge("broker_offset_seconds", "the server's clock less UTC", b.offset_s)


def _symbols(symbols: tuple[SymbolView, ...]) -> Iterator[Metric]:
    """A family a number, a sample a symbol that knows it."""
    for name, doc, read in _OF_SYMBOL:
        family = GaugeMetricFamily(f"ofs_{name}", doc, labels=["symbol"])
        for x in symbols:
            value = read(x)
            if value is not None:
                family.add_metric([x.symbol], value)
        yield family
    decisions = {x.symbol: float(x.counts.get("decision", 0)) for x in symbols}
    yield _by("decisions", "decisions made", "symbol", decisions, counts=True)
    orders = {x.symbol: float(x.counts.get("order", 0)) for x in symbols}
    yield _by("orders", "orders that ended", "symbol", orders, counts=True)
    fills = {x.symbol: float(x.counts.get("fill", 0)) for x in symbols}
    yield _by("fills", "fills", "symbol", fills, counts=True)


def _held(x: SymbolView) -> float:
    return sum(p.qty if p.side == "long" else -p.qty for p in x.positions)


_OF_SYMBOL: tuple[tuple[str, str, Callable[[SymbolView], float | None]], ...] = (
    ("price", "last trade price", lambda x: x.price),
    ("delta_30s", "buy less sell quantity of 30 s", lambda x: x.delta_30s),
    ("cvd", "cumulative delta of the session", lambda x: x.cvd),
    ("imbalance", "(buy - sell) / (buy + sell) of 60 s", lambda x: x.imbalance),
    ("book_imbalance", "log ratio of bids to asks, five levels", lambda x: x.book_imbalance),
    ("event_time_seconds", "engine time of the symbol, Unix time", lambda x: x.now_ns / 1e9),
    ("position", "signed quantity held", _held),
    (
        "equity",
        "equity, account currency; in a live session the whole account's",
        lambda x: x.account.equity,
    ),
    ("net_pnl", "result since the session began, account currency", lambda x: x.account.net_pnl),
    ("drawdown", "highest equity less equity, account currency", lambda x: x.account.drawdown),
    ("round_trips", "positions that were closed", lambda x: float(x.account.round_trips)),
)
