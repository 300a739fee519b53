"""The job that every peer does, and the slow, obvious oracle that says what must come out.

Owns the rules and the constants of the comparison. Must hold: plain Python over plain integers,
readable at a glance. Refuses to know any engine; `agreement` compares what engines answered.

The job. Delta (signed quantity) is summed per trade. At every whole multiple of 5 s UTC, before any
trade at or after it, one decision is made on the delta of the step that just ended:
flat and delta > threshold: buy at market; flat and delta < -threshold: sell at market; in a
position: leave at market once the delta runs against the side by at least 80 % of the entry delta.
One boundary is one decision, empty steps included; the last boundary is the last one that a trade
reached. Latency is constant both ways and shorter than a step, so no order is ever in flight at a
decision. Fee: a constant share of the value traded.
"""

from __future__ import annotations

from typing import Any

from tests.bench.tape import START_NS, STEP_NS, Tape

ENTRY_LATENCY_NS = 10_300_000  # off the millisecond grid: no order ever ties with a trade
RESPONSE_LATENCY_NS = 10_300_000
FEE_RATE = 0.0005  # share of the value traded
FLIP_NUM, FLIP_DEN = 4, 5  # 80 %, kept in integers
ORDER_LOTS = 100  # 0.1 base units
EXACT = ("trades", "cvd_total", "decisions", "orders", "order_checksum")


def decide(position: int, delta: int, entry_delta: int, threshold: int) -> int:
    """Side of the market order to send now: +1, -1 or 0.

    `position` is -1, 0 or +1; `delta`, `entry_delta` and `threshold` are lots.
    """
    if position == 0:
        return 1 if delta > threshold else -1 if delta < -threshold else 0
    against = -position * delta
    return -position if against * FLIP_DEN >= abs(entry_delta) * FLIP_NUM else 0


def reference_job(tape: Tape) -> dict[str, Any]:
    """Do the job trade by trade in plain Python (about 2 M trades/s: fine for any tape here).

    Returns counts, `cvd_total` in lots, `order_checksum` (sum of side times the number of the
    decision, so that the same orders at other times do not pass), and `order_log`: one
    (boundary_ns, side) an order.
    """
    boundary, decisions, cvd, cvd_before = START_NS + STEP_NS, 0, 0, 0
    position, entry_delta = 0, 0
    order_log: list[tuple[int, int]] = []
    checksum = 0
    rows = zip(tape.ts_ns.tolist(), tape.qty.tolist(), tape.side.tolist(), strict=True)
    for ts_ns, qty, side in rows:
        while ts_ns >= boundary:
            decisions += 1
            delta, cvd_before = cvd - cvd_before, cvd
            order = decide(position, delta, entry_delta, tape.threshold_lots)
            if order:
                entry_delta = delta if position == 0 else 0
                position += order
                order_log.append((boundary, order))
                checksum += order * decisions
            boundary += STEP_NS
        cvd += qty * side
    return {
        "trades": len(tape),
        "cvd_total": cvd,
        "decisions": decisions,
        "orders": len(order_log),
        "order_checksum": checksum,
        "order_log": order_log,
    }


def agreement(oracle: dict[str, Any], answer: dict[str, Any]) -> list[str]:
    """Differences between a peer's answer and the oracle over the same tape, in words."""
    return [
        f"{key}: {answer.get(key)} instead of {oracle[key]}"
        for key in EXACT
        if answer.get(key) != oracle[key]
    ]
