"""One report from run to file: payload, figures and page put together.

Owns the order of things and the facts that ``ofs report --json`` prints. What must hold: the file
is complete or not there at all; a run whose figures cannot be computed still gets its report, which
says so.

It refuses to know about the terminal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data.busy import replace
from data.errors import DataError
from data.events import RECORDS, Scales
from data.log import LogStore
from data.runs import Run
from engine.broker.simulated import money_factors
from engine.report import page, payload
from engine.report.costs import costs_of
from engine.report.payload_market import Progress
from engine.report.payload_records import ROWS_MAX
from engine.report.statistics import facts
from engine.report.tables import columns_of

FILE = "report.html"

SECTIONS: dict[str, tuple[str, ...]] = {
    "Result": ("net_pnl", "gross_pnl", "total_return", "annual_return"),
    "Returns": ("sharpe", "sortino", "volatility", "skew", "kurtosis", "periods", "period_s",
                "periods_missing", "days"),
    "Skill or luck": ("psr", "dsr", "sharpe_luck", "trials", "min_track_days"),
    "Drawdown": ("max_drawdown", "max_drawdown_share", "max_drawdown_s", "longest_drawdown_s",
                 "under_water"),
    "Round trips": ("round_trips", "win_rate", "profit_factor", "expectancy", "expectancy_bp",
                    "average_win", "average_loss", "payoff", "largest_win", "largest_loss",
                    "average_hold_s", "open_positions", "exposure", "trades_a_day", "traded",
                    "turnover"),
}  # fmt: skip
"""Figures of :mod:`engine.report.statistics` by heading; those of costs are drawn as bars, and a
figure that no heading names stands under "More"."""

LABELS: dict[str, str] = {
    "net_pnl": "Net result", "gross_pnl": "Gross result", "annual_return": "Return a year",
    "sharpe": "Sharpe ratio", "sortino": "Sortino ratio", "psr": "Probabilistic Sharpe",
    "dsr": "Deflated Sharpe", "sharpe_luck": "Sharpe of pure luck", "period_s": "Period",
    "min_track_days": "Track record needed", "max_drawdown_share": "Max drawdown, share",
    "max_drawdown_s": "Max drawdown, time", "longest_drawdown_s": "Longest drawdown",
    "under_water": "Time under water", "average_hold_s": "Average time held",
    "trades_a_day": "Trades a day", "expectancy_bp": "Expectancy, of notional",
}  # fmt: skip
"""What a figure is called where its name with spaces for underscores would not do."""

WATERFALL: tuple[tuple[str, str, int], ...] = (
    ("gross_at_mid", "At the middle", 1),
    ("cost_spread", "Spread", -1),
    ("cost_slippage", "Slippage", -1),
    ("cost_fees", "Fees", -1),
    ("net_pnl", "Net result", 1),
)
"""From the result at arrival middles to the net result: figure, label and sign."""


@dataclass(frozen=True, slots=True)
class Report:
    """A finished report: its HTML, the facts that ``--json`` prints, and its notes."""

    html: str
    facts: dict[str, Any]
    notes: list[str]


def make_report(
    run: Run,
    open_log: Callable[[], LogStore],
    progress: Progress | None = None,
    trials: int | None = None,
    on_cold: Callable[[], None] | None = None,
) -> Report:
    """The report of ``run``; ``open_log`` opens the log that it was made over.

    ``on_cold`` is called when something must be compiled first.
    ``trials`` >= 1 is how many strategies were tried in all, for the deflated Sharpe ratio.
    Raises what :func:`engine.report.payload.build` raises.
    """
    found, problem = _figures(run, trials)
    numbers: dict[str, Any] = {
        "statistics": sections(found.get("statistics", {})),
        "costs": waterfall(found.get("statistics", {})),
    }
    made = payload.build(run, open_log, numbers, progress, _fill_costs(run), on_cold)
    if problem:
        made.meta["notes"].append(problem)
    m = run.manifest
    title = f"{m.get('strategy', '')} · {m['symbol']} · {run.id}"
    text = page.render(title, made.meta, made.data)
    return Report(text, {**found, "notes": made.meta["notes"]}, made.meta["notes"])


def write_report(report: Report, path: Path) -> int:
    """Write the HTML to ``path``, whole or not at all; returns its size in bytes."""
    content = report.html.encode("utf-8")
    beside = path.with_name(f"{path.name}.part")
    try:
        beside.write_bytes(content)
        replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
    return len(content)


def _figures(run: Run, trials: int | None) -> tuple[dict[str, Any], str]:
    """The facts of :mod:`engine.report.statistics`, and a note where there are none."""
    try:
        return facts(run, trials=trials), ""
    except DataError as error:
        return {"schema": 1, "run": run.id, "statistics": {}}, (
            f"The statistics cannot be computed: {error.what}."
        )


def _fill_costs(run: Run) -> dict[str, np.ndarray]:
    """Spread, slippage and delay of each fill (int64 money, as far as fills are shown), and
    whether they are known; empty where the tables are not there.
    """
    names = ("order_id", "side", "price", "qty", "fee", "liquidity", "bid", "ask")
    if not all(run.file(RECORDS[name].view).is_file() for name in ("fill", "order")):
        return {}
    scales = Scales(int(run.manifest["price_scale"]), int(run.manifest["qty_scale"]))
    costs = costs_of(
        columns_of(run, "fill", names),
        columns_of(run, "order", ("id", "bid", "ask")),
        *money_factors(scales),
    )
    columns = {"spread": costs.spread, "slippage": costs.slippage, "known": costs.known}
    return {f"cost_{name}": np.asarray(c, np.int64)[:ROWS_MAX] for name, c in columns.items()}


def label(name: str) -> str:
    """How a figure is called on the page."""
    return LABELS.get(name) or name.replace("_", " ").capitalize()


def sections(statistics: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Headings with their figures, in the order of SECTIONS; every figure stands in one place."""
    bars = {name for name, _, _ in WATERFALL} | {n for n in statistics if n.startswith("cost_")}
    named = {name for names in SECTIONS.values() for name in names}
    rest = tuple(n for n in statistics if n not in named and n not in bars)
    found = []
    for title, names in (*SECTIONS.items(), ("More", rest)):
        rows = [{"name": n, "label": label(n), **statistics[n]} for n in names if n in statistics]
        if rows:
            found.append({"title": title, "rows": rows})
    return found


def waterfall(statistics: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """The way from the result at the middle to the net result; without a known touch, from the
    gross result over fees alone.
    """
    steps = WATERFALL
    if statistics.get("gross_at_mid", {}).get("value") is None:
        steps = (("gross_pnl", "Gross result", 1), *WATERFALL[3:])
    return [
        {
            "name": name,
            "label": title,
            "value": statistics[name]["value"] * sign,
            "unit": statistics[name]["unit"],
            "note": statistics[name]["note"],
            "doc": statistics[name]["doc"],
        }
        for name, title, sign in steps
        if statistics.get(name, {}).get("value") is not None
    ]
