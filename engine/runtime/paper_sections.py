"""The sections of ``paper.toml``: every key with its default, its unit and what it does.

Owns the tables ``[record]``, ``[disk]``, ``[http]``, ``[gates]``, ``[reference]`` and, where the
venue is a terminal, ``[account]``. What must hold: a key that stands here is read by the part that
it names; the defaults alone make a session that can run unattended.

It refuses to know how a file is read.
"""

from __future__ import annotations

from dataclasses import dataclass

from data.journal.writer import SEGMENT_BYTES
from data.live.feed import MOST_BYTES, MOST_FRAMES, ROTATE_AFTER_NS
from data.live.inlet import HOLD_MOST, HOLD_NS
from data.server_rules import WORDS
from data.units import NS_OF
from engine.runtime.paper_keys import key

MIB = 1 << 20
GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Record:
    """How what comes is kept: group commit, checkpoints, sockets, silence. Times are int64 ns."""

    sync_ms: int = key(10, "count", "longest time between two syncs, ms", low=1, high=1000)
    sync_events: int = key(4096, "count", "most events between two syncs", low=1, high=1_000_000)
    segment_bytes: int = key(
        SEGMENT_BYTES,
        "size",
        "length of a journal file",
        name="segment",
        low=MIB,
        high=2 * GIB - MIB,
    )
    checkpoint_ns: int = key(
        NS_OF["h"],
        "duration",
        "time between two checkpoints: snapshot, sealing, publishing",
        name="checkpoint",
        low=NS_OF["s"],
        high=NS_OF["d"],
    )
    checkpoint_bytes: int = key(
        512 * MIB,
        "size",
        "length of the journal at which a checkpoint comes early",
        name="checkpoint_size",
        low=MIB,
        high=64 * GIB,
    )
    hold_ns: int = key(
        HOLD_NS,
        "duration",
        "how long events wait for a trade that is missing by its id",
        name="hold",
        low=0,
        high=60 * NS_OF["s"],
    )
    hold_most: int = key(
        HOLD_MOST, "count", "most events of a symbol that wait so", low=1, high=10_000_000
    )
    rotate_ns: int = key(
        ROTATE_AFTER_NS,
        "duration",
        "age at which a connection is replaced, with overlap",
        name="rotate_after",
        low=NS_OF["s"],
        high=24 * NS_OF["h"],
    )
    queue_frames: int = key(
        MOST_FRAMES, "count", "most messages between socket and journal", low=1024, high=100_000_000
    )
    queue_bytes: int = key(
        MOST_BYTES, "size", "most bytes of them", name="queue_size", low=MIB, high=64 * GIB
    )
    fill: bool = key(True, "flag", "fetch what was missed over REST, after a checkpoint")


@dataclass(frozen=True, slots=True)
class Disk:
    """What the log may take of the disk; sizes in bytes, 0 for no limit."""

    free_bytes: int = key(
        2 * GIB, "size", "free space at which recording is cut back", name="free_min", low=0
    )
    day_bytes: int = key(
        0, "size", "bytes a day above which recording is cut back", name="day_max", low=0
    )
    keep_ns: int = key(
        0,
        "duration",
        "age at which days of the log are deleted, and parity can be proved no more; 0 keeps all",
        name="keep",
        low=0,
    )
    compact: bool = key(True, "flag", "merge each day into one file per symbol and kind")


@dataclass(frozen=True, slots=True)
class Http:
    """The read-only HTTP API."""

    on: bool = key(True, "flag", "serve it")
    host: str = key("127.0.0.1", "text", "address; other than loopback asks for a token")
    port: int = key(8710, "count", "port; 0 takes any that is free", low=0, high=65535)


GATE_NAMES = (
    "uptime", "gaps", "filled", "venue_lag", "lag", "decision_lag", "cpu", "memory", "disk",
    "parity", "trades", "slippage", "rejects", "fill_latency", "expectancy", "place",
)  # fmt: skip
"""Gates of the verdict, in the order in which they are judged."""


@dataclass(frozen=True, slots=True)
class Gates:
    """Limits of the verdict; each stands for the gate that its comment names."""

    off: tuple[str, ...] = key((), "names", "gates that are not asked for", choices=GATE_NAMES)
    days_min: float = key(
        7.0, "number", "uptime: days of market time that the session lasted", low=0
    )
    uptime_min: float = key(
        0.99, "number", "uptime: share of that time in which it was up", low=0, high=1
    )
    gap_share_max: float = key(
        0.01, "number", "gaps: share of the time that lies in a gap, by stream", low=0, high=1
    )
    filled_min: float = key(
        0.95, "number", "filled: share of the holes in trades that were filled", low=0, high=1
    )
    venue_lag_p99_ms_max: float = key(
        2000.0, "number", "venue_lag: the venue's time to receipt, 99th percentile, ms", low=0
    )
    lag_p50_ms_max: float = key(20.0, "number", "lag: receipt to fold, median, ms", low=0)
    lag_p99_ms_max: float = key(100.0, "number", "lag: receipt to fold, 99th percentile", low=0)
    decision_p99_ms_max: float = key(
        100.0, "number", "decision_lag: receipt to decision, 99th percentile, ms", low=0
    )
    cpu_max: float = key(0.8, "number", "cpu: mean share of one core", low=0)
    memory_bytes_max: int = key(
        2 * GIB, "size", "memory: most resident memory", name="memory_max", low=0
    )
    memory_growth_max: float = key(
        0.2, "number", "memory: growth after the first tenth of the session, a share", low=0
    )
    disk_free_bytes_min: int = key(
        GIB, "size", "disk: least free space at any time", name="disk_free_min", low=0
    )
    trades_min: int = key(30, "count", "trades: closed positions", low=0)
    slippage_bp_max: float = key(
        2.0, "number", "slippage: against the quote when the order left, bp of what was traded"
    )
    rejects_max: float = key(
        0.02, "number", "rejects: share of the orders that were rejected", low=0, high=1
    )
    fill_p99_ms_max: float = key(
        2000.0, "number", "fill_latency: order to first fill of market orders, p99, ms", low=0
    )
    expectancy_bp_min: float = key(
        0.0, "number", "expectancy: lower end of the interval of a trade's result, bp of notional"
    )
    place_min: float = key(
        0.05, "number", "place: lowest percentile among the backtests", low=0, high=1
    )
    place_max: float = key(1.0, "number", "place: highest percentile among them", low=0, high=1)


@dataclass(frozen=True, slots=True)
class Reference:
    """The backtests that the session is compared with; without a log, those of its own."""

    log: str = key("", "text", "log that they are run over; the session's own where left out")
    venue: str = key("", "text", "venue in it; the session's where left out")
    from_ns: int = key(0, "time", "start of the range, UTC", name="from")
    to_ns: int = key(0, "time", "end of the range, UTC", name="to")
    windows_min: int = key(20, "count", "fewest windows that say something", low=2, high=100_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminalAccount:
    """The terminal that the quotes come from, and the account that it must be signed in to."""

    login: int = key(0, "count", "number of the account; 0 takes the one that is signed in", low=0)
    server: str = key("", "text", "name of the broker's server, as the terminal shows it")
    terminal: str = key(
        "", "text", "path of terminal64.exe, as a bridge's side writes it; else the one used last"
    )
    bridge: str = key("", "text", "HOST:PORT of a worker under the terminal's own Python")
    clock: str = key("new-york", "text", f"the server's clock: {WORDS}")


SECTIONS: dict[str, type] = {
    "record": Record, "disk": Disk, "http": Http, "gates": Gates, "reference": Reference,
    "account": TerminalAccount,
}  # fmt: skip
"""Sections by the name of their table; [settings] is the strategy's and has no keys of its own."""
