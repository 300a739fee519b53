"""A day in which every guard refuses: 24 hours of BTCUSDT by hand, one fault after another.

Owns the events of the day (:func:`columns`), its plans and its settings, and what the guards must
have said (:data:`SCENES`). Each step of five seconds holds two trades and a book; a scene changes
what it must (a wide spread, a thin book, silence, a gap, walls that come and go), and a plan asks
for an entry while the fault lasts. The account's day begins at 18:00 UTC, so the loss of one day is
forgiven in the evening and the drawdown is not. The last plan, with nothing wrong, is let in.
Whole numbers only; it refuses to know the engine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from data.enums import Control, GapReason
from data.events import NS, Kind
from replays.script import Columns

START_NS = 1_767_571_200 * NS
"""2026-01-05T00:00:00Z, a Monday."""
DAY_S = 86_400
END_NS = START_NS + DAY_S * NS
STEP_S = 5
STEPS = DAY_S // STEP_S
MS = 1_000_000
PRICE = 600_000
"""60,000.0: prices are in tenths, quantities in thousandths."""
HALF = 5
WIDE = 1_000
LEVELS = 5
DEEP, THIN, WALL = 2_000, 2, 40_000
QUIET_TRADES, PUMP_TRADES = 2, 20


@dataclass(frozen=True, slots=True)
class Scene:
    """A stretch of the day: what is wrong, the plan that asks then, and what must refuse it.

    Times are ``HH:MM``, UTC. ``ask`` are the plan's own words beside direction, stop and target;
    None where no plan asks and the guards speak for themselves. ``refused`` is empty for a plan
    that is let in. ``ends`` is how its position ends.
    """

    start: str
    end: str
    what: str
    refused: tuple[str, ...]
    ask: str | None = ""
    ends: str = ""


SCENES = (
    Scene("01:08", "01:22", "the spread is a third of a percent", ("spread",)),
    Scene("02:08", "02:22", "the book holds next to nothing", ("slippage",)),
    Scene("03:08", "03:22", "the last event is always four seconds old", ("latency",)),
    Scene("03:36", "03:44", "nothing comes at all",
          ("slippage", "latency", "stale", "market_state")),
    Scene("04:08", "04:22", "trades go on, the book stands still",
          ("slippage", "stale", "market_state")),
    Scene("05:10:30", "05:11:15", "trades were missed", ("gap",)),
    Scene("06:11", "06:11:45", "the price is run up on a burst of trades", ("market_state",)),
    Scene("07:08", "07:22", "large bids are shown and pulled", ("market_state",)),
    Scene("08:06", "08:30", "the operator said stop", ("kill",), None),
    Scene("09:08", "09:22", "the target is nearer than the stop", ("rr",),
          "target = { distance = 150 }"),
    Scene("10:08", "10:22", "a size below the venue's smallest order", ("size",), "qty = 0.005"),
    Scene("11:08", "11:22", "more than ten times the account", ("notional",),
          "qty = 1.7\nstop = { share = 0.0005 }"),
    Scene("12:08", "12:22", "a twentieth of the account at risk",
          ("heat_trade", "heat_symbol", "heat_total"), "risk = 0.05"),
    Scene("13:35", "13:50", "the model is not paid enough", ("expectancy",), None),
    Scene("14:05", "14:06", "nothing is wrong", (), "", "TARGET"),
    Scene("14:07", "14:11", "a position is open", ("positions",)),
    Scene("15:00", "15:01", "nothing is wrong; the price falls", (), "", "STOP"),
    Scene("15:12", "15:13", "nothing is wrong; the price falls", (), "", "STOP"),
    Scene("15:24", "15:25", "nothing is wrong; the price falls", (), "", "STOP"),
    Scene("15:40", "15:55", "three losses in a row", ("cooldown",)),
    Scene("16:10", "16:11", "nothing is wrong; the price falls", (), "", "RISK"),
    Scene("17:00", "17:30", "the day has lost too much", ("daily_loss",)),
    Scene("18:10", "18:11", "a new day of the account; the price falls", (), "", "RISK"),
    Scene("19:00", "19:30", "too far below the best the account has been", ("drawdown",)),
    Scene("22:00", "22:01", "the operator resumed; nothing is wrong", (), "", "TARGET"),
)  # fmt: skip
"""The day in its order."""

STANDING = frozenset({"kill", "cooldown", "daily_loss", "drawdown"})
"""Guards that stand against any entry, asked for or not."""

MOVES = (
    ("06:10", "06:11:30", 9_000),
    ("06:20", "06:50", -9_000),
    ("14:12", "14:20", 5_000),
    ("15:02", "15:08", -3_400),
    ("15:14", "15:20", -3_400),
    ("15:26", "15:32", -3_400),
    ("16:12", "16:18", -3_400),
    ("18:12", "18:18", -3_400),
    ("22:05", "22:13", 5_000),
)
"""(from, to, change of the price): straight lines, in between the price only trembles."""

BROKER_ENDS = {
    "flip.mode": "off",
    "exits.breakeven_by": "off",
    "exits.partial_by": "off",
    "exits.widen": "false",
    "exits.trail": "0",
    "exits.momentum": "off",
    "exits.hold": "0",
}
"""Exits of our own are off: the broker's stop and target end what is let in."""

SETTINGS = {
    "impact.warm": "60",
    "confluence.coverage": "0",
    "confluence.weight_cvd_trend": "1",
    "confluence.fitted": "true",
    "confluence.beta_cvd_trend": "1",
    "confluence.knots": "1",
    "confluence.knot_p_0": "0.3",
    "confluence.knot_low_0": "0.2",
    "desk.stop": "share",
    "desk.stop_share": "0.005",
    **BROKER_ENDS,
    "sim.qty_min": "0.01",
    "risk.kelly": "0",
    "risk.heat_total": "0.045",
    "risk.daily_loss": "0.025",
    "risk.drawdown": "0.045",
    "risk.zone": "+06:00",
}
"""A model that is sure of nothing, limits that a few losses reach, a day that turns at 18:00."""


def seconds(text: str) -> int:
    """Seconds of the day of ``HH:MM`` or ``HH:MM:SS``."""
    parts = [int(x) for x in text.split(":")]
    return sum(x * unit for x, unit in zip(parts, (3_600, 60, 1), strict=False))


def at(text: str) -> int:
    """Time (ns UTC) of ``HH:MM`` or ``HH:MM:SS`` of the day."""
    return START_NS + seconds(text) * NS


def plans() -> str:
    """The file of plans: one for each scene that asks."""
    asking = [s for s in SCENES if s.ask is not None]
    return "\n".join(_plan(n, scene) for n, scene in enumerate(asking, 1))


def _plan(number: int, scene: Scene) -> str:
    words = ["stop = { share = 0.005 }", "target = { r = 1.5 }"]
    for word in (scene.ask or "").splitlines():
        name = word.split(" ")[0]
        words = [*(w for w in words if not w.startswith(f"{name} ")), word]
    return "\n".join([
        "[[plan]]", f"id = {number}", f'name = "{scene.start} {scene.what}"', 'symbol = "BTCUSDT"',
        'direction = "BUY"', *words, f"from = {_utc(scene.start)}", f"expires = {_utc(scene.end)}",
        "[plan.conditions]", "price_above = 1000", "",
    ])  # fmt: skip


def _utc(text: str) -> str:
    return f"2026-01-05T{text if text.count(':') == 2 else text + ':00'}Z"


def story() -> dict[str, Any]:
    """What must be true of the fold: by scene, and all that refused in the end."""
    number = 0
    scenes = []
    for s in SCENES:
        number += s.ask is not None
        # what stands against any entry is said before a plan is looked at
        asked = s.ask is not None and not STANDING.intersection(s.refused)
        scenes.append({
            "from": _utc(s.start), "to": _utc(s.end), "what": s.what,
            "plan": number if asked else 0, "refused": list(s.refused),
            **({"exit_reason": s.ends} if s.ends else {}),
        })  # fmt: skip
    return {"every_guard_refuses": True, "scenes": scenes}


# --- the market ------------------------------------------------------------------------------


def within(start: str, end: str) -> np.ndarray:
    """bool array by step: the step begins at or after ``start`` and before ``end``."""
    second = np.arange(STEPS) * STEP_S
    return (second >= seconds(start)) & (second < seconds(end))


def mid() -> np.ndarray:
    """int64 price by step: lines between the moves, and a tremble of a few tenths on top."""
    k = np.arange(STEPS, dtype=np.int64)
    price = PRICE + (k * 7 % 11) * 4 - 20 + (k // 12 * 5 % 7) * 6
    for start, end, change in MOVES:
        first, last = seconds(start) // STEP_S, seconds(end) // STEP_S
        done = np.clip(k - first + 1, 0, last - first)
        price += done * change // (last - first)
    return price


def columns() -> dict[Kind, Columns]:
    """Every event of the day, by kind."""
    return {
        Kind.TRADE: _trades(),
        Kind.DEPTH: _depth(),
        Kind.CONTROL: _controls(),
        Kind.GAP: _gap(),
    }


def _late() -> np.ndarray:
    return within("03:05", "03:25")


def _silent() -> np.ndarray:
    return within("03:35", "03:45")


def _trades() -> Columns:
    """Two a step, one of each side; twenty in a pump, and only buyers where the model is asked."""
    pump, missed = within("06:10", "06:11:30"), within("05:10", "05:10:20")
    many = np.where(pump, PUMP_TRADES, QUIET_TRADES)
    many[_silent() | missed] = 0
    step = np.repeat(np.arange(STEPS, dtype=np.int64), many)
    place = np.arange(len(step), dtype=np.int64) - np.repeat(np.cumsum(many) - many, many)
    ms = np.where(pump[step], 200 + 180 * place, 2_000 + 1_500 * place)
    ms = np.where(_late()[step], 300 + 300 * place, ms)
    eager = pump | within("13:20", "13:50")
    buys = np.where(eager[step], place % 10 < 8, place % 2 == 0)
    side = np.where(buys, 1, -1)
    n = np.arange(len(step), dtype=np.int64)
    return {
        "ts_ns": START_NS + step * STEP_S * NS + ms * MS,
        "id": 1 + n,
        "price": mid()[step] + side * HALF,
        "qty": 60 + n * 37 % 61 + n // 12 * 29 % 41,
        "side": side.astype(np.int8),
    }


def _depth() -> Columns:
    """One book a step, five levels a side."""
    there = ~(_silent() | within("04:05", "04:25"))
    k = np.flatnonzero(there).astype(np.int64)
    ms = np.where(_late()[k], 1_000, 4_000)
    half = np.where(within("01:05", "01:25")[k], WIDE, HALF)
    rung = np.arange(LEVELS, dtype=np.int64)
    size = np.where(within("02:05", "02:25")[k], THIN, DEEP)[:, None] + rung * (k % 3)[:, None]
    bids = size.copy()
    bids[within("07:05", "07:25")[k] & (k % 2 == 0), 2] = WALL
    offsets = np.arange(len(k) + 1, dtype=np.int64) * LEVELS
    price = mid()[k]
    return {
        "ts_ns": START_NS + k * STEP_S * NS + ms * MS,
        "id": 1 + k,
        "bid_price": (((price - half)[:, None] - 10 * rung).reshape(-1), offsets),
        "bid_qty": (bids.reshape(-1), offsets),
        "ask_price": (((price + half)[:, None] + 10 * rung).reshape(-1), offsets),
        "ask_qty": (size.reshape(-1), offsets),
    }


def _controls() -> Columns:
    """Stop and resume in the morning, and the resume that ends the drawdown's halt."""
    acts = (("08:05", Control.STOP), ("08:30", Control.RESUME), ("20:00", Control.RESUME))
    return {
        "ts_ns": np.array([at(when) for when, _ in acts], dtype=np.int64),
        "id": np.zeros(len(acts), dtype=np.int64),
        "code": np.array([int(code) for _, code in acts], dtype=np.int64),
        "value": np.zeros(len(acts), dtype=np.int64),
    }


def _gap() -> Columns:
    """The trades of twenty seconds were missed; the hole ends with the next trade."""
    start, end = at("05:10") - 1_500 * MS, at("05:10:20") + 2_000 * MS
    return {
        "ts_ns": np.array([end], dtype=np.int64),
        "id": np.zeros(1, dtype=np.int64),
        "stream": np.array([int(Kind.TRADE)], dtype=np.int8),
        "from_ns": np.array([start], dtype=np.int64),
        "to_ns": np.array([end], dtype=np.int64),
        "from_id": np.zeros(1, dtype=np.int64),
        "to_id": np.zeros(1, dtype=np.int64),
        "reason": np.array([int(GapReason.DISCONNECT)], dtype=np.int8),
        "filled": np.zeros(1, dtype=np.int8),
    }
