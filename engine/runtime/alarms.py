"""What a person should read now: sentences about a session that is not as it should be.

Owns the limits and the words. It refuses to do anything about it.
"""

from __future__ import annotations

from collections.abc import Iterator

from engine.runtime.view import BLOCKED, FORBIDDEN, FOREIGN, HALTED, View

CHECK_MS = 1_000.0
"""A decision that takes longer is warned about (the seeds' monitor had the same limit)."""
LAG_MS = 2_000.0
UNSYNCED = 200_000
"""Events admitted and not yet synced that are too many."""
CONNECTED_S = 10.0
"""A session that began so long ago should be connected."""
SHOWN = 3
"""Names in one sentence."""


def alarms(view: View) -> tuple[str, ...]:
    """Sentences about ``view``, the gravest first; empty when all is well."""
    if view.phase not in ("running", "paused"):
        return ()
    return (*_broker(view), *_recording(view), *_feed(view), *_late(view), *_guards(view))


def _broker(view: View) -> Iterator[str]:
    b = view.broker
    if b is None:
        return
    if b.books:
        yield f"the books differ: the broker has {b.books:+,.2f} {b.currency} more than we know of"
    if b.blocked:
        yield f"{BLOCKED}: {_names(b.blocked)}"
    if not b.connected and view.uptime_s > CONNECTED_S:
        yield f"no link to the broker{': ' + b.words if b.words else ''}"
    elif not b.trade_allowed and view.uptime_s > CONNECTED_S:
        yield f"{FORBIDDEN}{': ' + b.words if b.words else ''}"
    if b.foreign:
        yield f"{FOREIGN}: {b.foreign} positions or orders at the broker"


def _recording(view: View) -> Iterator[str]:
    s, disk = view.states, view.disk
    if view.phase == "paused":
        yield "recording waits for space on the disk"
    if s.admitted - s.synced > UNSYNCED:
        yield f"the disk is slow: {s.admitted - s.synced:,} events wait to be synced"
    if disk.left_out:
        yield f"the disk is nearly full: {_names(disk.left_out)} left out"


def _feed(view: View) -> Iterator[str]:
    feed = view.feed
    if not feed.connections and not feed.ended and view.uptime_s > CONNECTED_S:
        yield f"no connection{': ' + feed.last_error if feed.last_error else ''}"
    if feed.connections and feed.silent:
        yield f"silent: {_names(feed.silent)}"
    if feed.dropped:
        yield f"{feed.dropped:,} messages were dropped: this machine does not keep up"


def _late(view: View) -> Iterator[str]:
    if view.feed.lag_p99_ms > LAG_MS:
        yield f"events are late: p99 {view.feed.lag_p99_ms:,.0f} ms"
    if view.feed.decision_p99_ms > CHECK_MS:
        yield f"checks are slow: p99 {view.feed.decision_p99_ms:,.0f} ms"


def _guards(view: View) -> Iterator[str]:
    halted = [f"{x.symbol} ({', '.join(x.account.halts)})" for x in view.symbols if x.account.halts]
    if halted:
        yield f"{HALTED}: {_names(tuple(halted))}"


def _names(names: tuple[str, ...]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")
