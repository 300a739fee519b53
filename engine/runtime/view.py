"""What a session shows: one frozen picture for the screen, the HTTP API and ``/metrics``.

Owns the picture (:class:`View`, one :class:`SymbolView` an instrument) and the board that it hangs
on. What must hold: a picture never changes, so threads share it without a lock; it is shown only
when every event that it was made of is synced (:meth:`Board.synced`), because what a user has seen
must be there after a crash. Numbers are in the units that people read (prices, quantities and
account currency as floats, times in ns UTC); the records of the session keep the exact integers.

It refuses to know how a picture is made and where it is shown.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any

from data.journal.states import States

PHASES = (
    "starting", "recovering", "running", "paused", "draining", "stopped", "failed",
)  # fmt: skip
"""Where a session stands; ``paused`` is recording that waits for space on the disk."""


@dataclass(frozen=True, slots=True)
class GapView:
    """A hole: ``stream`` is the kind that is missing; times ns UTC; ids 0 where not known."""

    symbol: str
    stream: str
    from_ns: int
    to_ns: int
    from_id: int
    to_id: int
    reason: str
    filled: bool


@dataclass(frozen=True, slots=True)
class GapsView:
    """All holes of the session: how many, by reason, how many were filled, and the latest."""

    total: int = 0
    filled: int = 0
    open: int = 0
    by_reason: Mapping[str, int] = field(default_factory=dict)
    latest: tuple[GapView, ...] = ()


@dataclass(frozen=True, slots=True)
class FeedView:
    """The feed: counters since the session began, rates of the last seconds, lags.

    ``lag`` is wall time from reading a frame to its event being folded, ms; ``decision`` that to a
    decision, ms; ``venue_lag`` the venue's time to ours, ms, with the offset of clocks taken out.
    ``silent`` names streams that say nothing; ``rejects`` counts frames that are no event.
    ``ended``: the range of a served venue is over, nothing more comes.
    """

    connections: int = 0
    connects: int = 0
    disconnects: int = 0
    rotations: int = 0
    frames: int = 0
    bytes: int = 0
    dropped: int = 0
    queued: int = 0
    duplicates: int = 0
    late: int = 0
    rejects: Mapping[str, int] = field(default_factory=dict)
    routes: Mapping[str, int] = field(default_factory=dict)
    silent: tuple[str, ...] = ()
    last_error: str = ""
    frames_per_s: float = 0.0
    bytes_per_s: float = 0.0
    events_per_s: float = 0.0
    lag_p50_ms: float = 0.0
    lag_p99_ms: float = 0.0
    decision_p50_ms: float = 0.0
    decision_p99_ms: float = 0.0
    venue_lag_p50_ms: float = 0.0
    venue_lag_p99_ms: float = 0.0
    ended: bool = False


@dataclass(frozen=True, slots=True)
class DiskView:
    """The disk: bytes free and written a day, the journal, its syncs, and what is left out.

    ``level`` 0: everything is recorded; ``left_out`` names the kinds that are not, to save space.
    """

    free_bytes: int = 0
    bytes_per_day: int = 0
    log_bytes: int = 0
    journal_bytes: int = 0
    syncs: int = 0
    sync_p50_ms: float = 0.0
    sync_p99_ms: float = 0.0
    level: int = 0
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Resources:
    """What the process costs: one reading of the performance monitor.

    ``cpu_percent`` of one core; memory in MB (10**6 bytes); network and disk of this machine or
    process in bytes a second; ``engines`` folds; ``checks_per_s`` decisions a second; cache: of
    compiled folds, how many were found compiled and how many were not, and its hit rate in
    percent (None before the first). None: this system does not tell.
    """

    ts_ns: int = 0
    cpu_percent: float = 0.0
    memory_mb: float = 0.0
    threads: int = 0
    open_files: int | None = None
    net_in_per_s: float | None = None
    net_out_per_s: float | None = None
    disk_read_per_s: float | None = None
    disk_write_per_s: float | None = None
    engines: int = 0
    checks_per_s: float = 0.0
    cache_hits: int = 0
    cache_misses: int = 0
    cache_hit_percent: float | None = None


@dataclass(frozen=True, slots=True)
class SignalView:
    """A detector: ``direction`` -1, 0 or +1, ``strength`` 0 to 1, the number behind it."""

    name: str
    ready: bool
    direction: int
    strength: float
    value: float
    threshold: float
    fired_ns: int = 0


@dataclass(frozen=True, slots=True)
class PlanView:
    """A plan; ``waits``: the conditions that did not pass, each with its value and bound."""

    id: int
    name: str
    status: str
    direction: str
    met: bool
    evaluated_ns: int
    passed: int
    conditions: int
    waits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DecisionView:
    """The last decision: what, and gate by gate why."""

    id: int
    ts_ns: int
    action: str
    direction: int
    score: float
    probability: float | None
    passed: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    quality: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PositionView:
    """An open position; ``pnl`` is its open result, money; ``stop`` and ``target`` 0: none."""

    symbol: str
    id: int
    side: str
    qty: float
    entry_price: float
    stop: float
    target: float
    open_ns: int
    pnl: float
    fees: float = 0.0


@dataclass(frozen=True, slots=True)
class TradeView:
    """A round trip that is closed."""

    id: int
    side: str
    qty: float
    open_ns: int
    closed_ns: int
    entry_price: float
    exit_price: float
    gross_pnl: float
    fees: float
    net_pnl: float
    exit_reason: str


@dataclass(frozen=True, slots=True)
class AccountView:
    """Money of one symbol's account, in ``currency``, and its guards.

    In a live session ``balance`` and ``equity`` hold the whole account, the same one for every
    symbol; ``net_pnl`` is what this symbol's fills earned, less fees, and its open result.
    ``day_pnl``: equity since the account's day began; ``halts``: guards that forbid any entry.
    """

    currency: str = ""
    balance: float = 0.0
    equity: float = 0.0
    net_pnl: float = 0.0
    fees: float = 0.0
    day_pnl: float | None = None
    drawdown: float = 0.0
    open_risk: float | None = None
    open_orders: int = 0
    round_trips: int = 0
    wins: int = 0
    losses_in_row: int | None = None
    halts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ChartView:
    """Small moving charts: values in steps of ``step_s`` seconds, oldest first, the last one at
    ``end_ns``. Delta and CVD in quantity; imbalance (buy - sell) / (buy + sell), -1 to 1."""

    step_s: int = 5
    end_ns: int = 0
    delta: tuple[float, ...] = ()
    cvd: tuple[float, ...] = ()
    imbalance: tuple[float, ...] = ()
    price: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class SymbolView:
    """One instrument. None: nobody can tell (a handler is not in the fold, or is not ready).

    ``metrics`` are the numbers that plans can ask about, as text in their units; ``regimes`` the
    level of each regime by its name; ``counts`` rows of each record table; ``trades`` the latest
    round trips, newest first.
    """

    venue: str
    symbol: str
    now_ns: int = 0
    events: int = 0
    price: float | None = None
    bid: float | None = None
    ask: float | None = None
    price_decimals: int = 8
    qty_decimals: int = 8
    delta_30s: float | None = None
    delta_300s: float | None = None
    cvd: float | None = None
    cvd_approximate: bool = False
    imbalance: float | None = None
    book_imbalance: float | None = None
    chart: ChartView = ChartView()
    regimes: Mapping[str, str] = field(default_factory=dict)
    market_state: str = ""
    lifecycle: str = ""
    lifecycle_since_ns: int = 0
    paused: bool = False
    signals: tuple[SignalView, ...] = ()
    plans: tuple[PlanView, ...] = ()
    decision: DecisionView | None = None
    positions: tuple[PositionView, ...] = ()
    account: AccountView = AccountView()
    trades: tuple[TradeView, ...] = ()
    metrics: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BrokerView:
    """The account that a live session trades, and the link to it. Money in ``currency``.

    ``books``: the broker's balance less ours (0: they agree), None before they were compared.
    ``blocked`` are instruments in which something has an unknown outcome, ``unknown`` how many
    such outcomes there are now; ``foreign`` positions and orders that are not ours; ``sent`` calls
    that changed something; ``restarts`` of the terminal's worker; ``tick_age_s`` None: no quote.
    """

    login: int = 0
    server: str = ""
    currency: str = ""
    hedging: bool = False
    real: bool = False
    connected: bool = False
    trade_allowed: bool = False
    reconciled: bool = False
    balance: float | None = None
    equity: float | None = None
    books: float | None = None
    blocked: tuple[str, ...] = ()
    unknown: int = 0
    unknown_ever: int = 0
    foreign: int = 0
    sent: int = 0
    restarts: int = 0
    round_trip_ms: float = 0.0
    tick_age_s: float | None = None
    offset_s: float = 0.0
    words: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """A session at one moment.

    ``as_of_seq`` is the last event that the picture was made of; ``now_ns`` the session's clock;
    ``phase`` one of PHASES; ``by_kind`` events admitted by kind; ``alarms`` sentences that a
    person should read now. ``served``: a stand-in venue plays the past, at its own speed.
    ``broker`` is None where nothing is traded.
    """

    session: str
    command: str
    venue: str
    strategy: str = ""
    phase: str = "starting"
    as_of_seq: int = 0
    now_ns: int = 0
    started_ns: int = 0
    uptime_s: float = 0.0
    served: bool = False
    states: States = field(default_factory=States)
    events: int = 0
    by_kind: Mapping[str, int] = field(default_factory=dict)
    feed: FeedView = FeedView()
    gaps: GapsView = GapsView()
    disk: DiskView = DiskView()
    resources: Resources = Resources()
    symbols: tuple[SymbolView, ...] = ()
    alarms: tuple[str, ...] = ()
    control: Mapping[str, Any] = field(default_factory=dict)
    broker: BrokerView | None = None

    def symbol(self, name: str) -> SymbolView | None:
        """The instrument called ``name``, in any case of letters; None where there is none."""
        for x in self.symbols:
            if x.symbol.upper() == name.upper():
                return x
        return None

    @property
    def healthy(self) -> bool:
        """Recording, with nothing left out and no alarm but that something may not trade, or that a
        served range is over: a session that waits for a guard, a person or an answer is sound, and
        no reason to begin anew."""
        faults = [text for text in self.alarms if not text.startswith((*NO_TRADE, RANGE_OVER))]
        return self.phase == "running" and not faults and not self.disk.left_out


HALTED = "no entries"
"""What the alarm begins with that says that a guard halted entries."""
BLOCKED = "blocked until its outcome is known"
FORBIDDEN = "the account may not trade"
FOREIGN = "not ours, and not touched"
NO_TRADE = (HALTED, BLOCKED, FORBIDDEN, FOREIGN)
"""Beginnings of the alarms that no restart mends."""

RANGE_OVER = "the served range is over"
"""What the alarm begins with that says that a session has nothing more to wait for."""


OFFERS_MAX = 64
"""Pictures that may wait for their events to be synced; older ones are passed over."""


class Board:
    """Where the latest picture hangs: the session offers, everyone else reads.

    ``offer`` and ``synced`` are called by the session; ``view`` by any thread.
    """

    def __init__(self, first: View) -> None:
        self._shown = first
        self._offers: deque[View] = deque(maxlen=OFFERS_MAX)
        self._synced = 0
        self._lock = Lock()

    def offer(self, view: View) -> None:
        """A new picture: it is shown once its events are synced."""
        with self._lock:
            self._offers.append(view)
            self._release()

    def synced(self, seq: int) -> None:
        """Every event up to ``seq`` is behind a sync."""
        with self._lock:
            self._synced = max(self._synced, seq)
            self._release()

    def _release(self) -> None:
        while self._offers and self._offers[0].as_of_seq <= self._synced:
            self._shown = self._offers.popleft()
        states = self._shown.states
        synced = min(max(states.synced, self._synced), states.written)
        if synced != states.synced:
            states = replace(states, synced=synced)
            self._shown = replace(self._shown, states=states)

    def view(self) -> View:
        """The latest picture all of whose events are synced."""
        return self._shown
