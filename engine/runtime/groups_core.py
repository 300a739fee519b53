"""Settings that every fold has: its decision grids, its session, and the delay of its feed.

Owns the groups ``decision``, ``session`` and ``feed``, whose values stand in the record ``core``.
It refuses to know how a text becomes a number.
"""

from __future__ import annotations

from engine.runtime.strategy import Param

CORE: dict[str, tuple[Param, ...]] = {
    "decision": (
        Param(
            "step", "duration", "5s", "decision grid, a whole number of seconds", column="step_ns"
        ),
        Param("slow", "duration", "30s", "slow grid, a multiple of the step", column="slow_ns"),
        Param(
            "idle", "duration", "1h", "silence after which boundaries are skipped", column="idle_ns"
        ),
    ),
    "session": (
        Param("length", "duration", "1d", "length of a session", column="session_ns"),
        Param(
            "offset",
            "duration",
            "0s",
            "start of a session after midnight UTC",
            column="session_offset_ns",
        ),
    ),
    "feed": tuple(
        Param(f"latency_{name}", "duration", "0ms", f"delay of {name} events on their way to us")
        for name in ("trade", "depth", "quote", "bar")
    ),
}
"""Settings by group."""

GROUPS_OF_CORE = tuple(CORE)
