"""One backtest from request to published run.

Owns the order of things: fold into a folder beside, then statistics and manifest, then rename.
Serves the command and any library user. It refuses to know about the terminal.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from data.log import LogStore
from data.runs import Run
from engine.report.statistics import headline, summarise
from engine.report.tables import write_statistics
from engine.runtime.records import RunSink
from engine.runtime.replay import Progress, Request, manifest, run
from engine.runtime.runs import new_run


def backtest(
    store: LogStore,
    log: str,
    request: Request,
    runs: Path,
    progress: Progress | None = None,
    on_cold: Callable[[], None] | None = None,
) -> dict[str, Any]:
    """Run ``request`` over ``store`` (at ``log``, for the manifest) and publish it under ``runs``.

    Returns the manifest with ``run`` set. On any failure nothing is left under ``runs``.
    """
    with new_run(runs) as folder:
        sink = RunSink(folder.path)
        try:
            outcome = run(store, request, sink, progress, on_cold)
        except BaseException:
            sink.abandon()
            raise
        sink.close()
        content = manifest(outcome, request, log, sink.digest.hexdigest(), sink.totals,
                           sink.digest.rows)  # fmt: skip
        figures = summarise(Run(folder.path.name, folder.path, content), runs=runs)
        write_statistics(folder.path, figures)
        content["statistics"] = headline(figures)
        content["run"] = folder.publish(request.strategy.name, content)
    return content


def summary(content: dict[str, Any]) -> dict[str, Any]:
    """The flat object that ``ofs backtest --json`` prints, from a manifest."""
    counts, result = content["counts"], content["result"]
    return {
        "schema": 1,
        "run": content["run"],
        "strategy": content["strategy"],
        "venue": content["venue"],
        "symbol": content["symbol"],
        "from": content["from"],
        "to": content["to"],
        **{k: counts[k] for k in ("events", "trades", "depth", "bars", "quotes", "gaps")},
        **{k: counts[k] for k in ("signals", "decisions", "orders", "fills")},
        "round_trips": result["round_trips"],
        "net_pnl": result["net_pnl"],
        "gross_pnl": result["gross_pnl"],
        "fees": result["fees"],
        "max_drawdown": result["max_drawdown"],
        "currency": content["currency"],
        "digest": content["digest"],
        "state_digest": content["state_digest"],
        "first_event_s": content["first_event_s"],
        "wall_s": content["wall_s"],
        "cpu_s": content["cpu_s"],
        "events_per_cpu_s": content["events_per_cpu_s"],
        "peak_rss_mb": content["peak_rss_mb"],
    }
