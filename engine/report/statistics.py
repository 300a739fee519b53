"""The statistics of a run: one list of figures, the same wherever a figure of a run is shown.

Owns which figures there are, what each is called, and when one is left out. What must hold: a
figure is a finite number with, where it estimates something, its 95 % interval, or it is None with
a note that says why. A short run gets no yearly return, and a Sharpe ratio only beside its
interval.

Formulas and their sources stand in :mod:`engine.report.formulas`, the period of the returns in
:mod:`engine.report.returns`, costs in :mod:`engine.report.costs`, the number of trials in
:mod:`engine.report.trials`. Annualised figures count a year of 365.25 days, every hour of it.

It refuses to know how a figure is shown.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import numpy as np

from data.events import MONEY_SCALE, NS, Scales
from data.runs import Run, flat
from engine.broker.simulated import money_factors
from engine.report import formulas
from engine.report.costs import Costs, costs_of, sum_of
from engine.report.returns import (
    DAY_NS,
    Equity,
    Returns,
    covered,
    drawdown_of,
    held_ns,
    returns_of,
)
from engine.report.tables import Statistic, columns_of, read_statistics
from engine.report.trials import Trials, trials_of

__all__ = ["MEANINGS", "Statistic", "facts", "headline", "statistics_of", "summarise"]

MONEY = 10**MONEY_SCALE
PERIODS_MIN = 30
"""Returns below which nothing is said about them."""
TRIPS_MIN = 10
"""Round trips below which the profit factor has no interval."""

_CASH = "money"
MEANINGS: dict[str, tuple[str, str]] = {
    "days": ("days", "time covered by samples of the account"),
    "period_s": ("s", "length of a period of the returns: a day, an hour or a minute"),
    "periods": ("count", "periods with a sample of the account"),
    "periods_missing": ("count", "periods between them without one: holes in the log"),
    "net_pnl": (_CASH, "realised result after fees"),
    "gross_pnl": (_CASH, "realised result before fees"),
    "total_return": ("share", "last equity over start balance, less 1; what is open at the touch"),
    "annual_return": ("share", "growth a year at the mean logarithmic return, less 1"),
    "volatility": ("share", "standard deviation of the returns, times the root of periods a year"),
    "sharpe": ("ratio", "mean over deviation of the returns, annualised; riskless rate 0"),
    "sortino": ("ratio", "mean return over downside deviation against 0, annualised"),
    "skew": ("ratio", "skewness of the returns a period; 0 for a normal"),
    "kurtosis": ("ratio", "raw kurtosis of the returns a period; 3 for a normal"),
    "psr": ("share", "probability that the true Sharpe ratio is above 0, of a single try"),
    "trials": (
        "count",
        "distinct strategies and parameters run over this series and range by then",
    ),
    "sharpe_luck": ("ratio", "annualised Sharpe ratio of the luckiest of as many worthless trials"),
    "dsr": ("share", "deflated Sharpe ratio: probability that the true one beats that luck"),
    "min_track_days": ("days", "length at which this Sharpe ratio would be above 0 at 95 %"),
    "max_drawdown": (_CASH, "largest fall of equity from its highest value so far"),
    "max_drawdown_share": ("share", "largest fall of equity as a share of that highest value"),
    "max_drawdown_s": ("s", "time from the peak of max_drawdown until it was reached again"),
    "longest_drawdown_s": ("s", "longest time from a peak until it was reached again"),
    "under_water": ("share", "share of the time in which equity was below its highest value"),
    "round_trips": ("count", "closed positions"),
    "open_positions": ("count", "positions that stood open at the end"),
    "win_rate": ("share", "share of round trips with a net result above 0; interval by Wilson"),
    "profit_factor": ("ratio", "sum of net gains over sum of net losses of round trips"),
    "expectancy": (_CASH, "mean net result of a round trip; interval by Student's t"),
    "expectancy_bp": ("bp", "mean of net result over entry notional of a round trip"),
    "average_win": (_CASH, "mean net result of the round trips that gained"),
    "average_loss": (_CASH, "mean net result of the round trips that lost"),
    "payoff": ("ratio", "average win over average loss, without its sign"),
    "largest_win": (_CASH, "best net result of a round trip"),
    "largest_loss": (_CASH, "worst net result of a round trip"),
    "average_hold_s": ("s", "mean time from first to last fill of a round trip"),
    "exposure": ("share", "share of the time with an open position"),
    "trades_a_day": ("1/day", "round trips a day of 24 hours"),
    "traded": (_CASH, "sum of price times quantity of all fills"),
    "turnover": ("1/day", "what was traded a day, in start balances"),
    "cost_fees": (_CASH, "commissions of all fills, rebates taken off"),
    "cost_spread": (_CASH, "half the spread quoted when an order left, paid by takers less earned"),
    "cost_slippage": (_CASH, "the rest of the shortfall against the middle when an order left"),
    "cost_delay": (_CASH, "part of slippage: move of the middle between the order and its fill"),
    "cost_total": (_CASH, "fees, spread and slippage"),
    "cost_bp": ("bp", "cost_total over what was traded"),
    "gross_at_mid": (_CASH, "gross result had every fill been at the middle when its order left"),
}
"""Unit and meaning of every figure, in the order in which they are listed; money is in the run's
currency."""


@dataclass
class _Sheet:
    """The figures so far."""

    currency: str
    found: dict[str, Statistic] = field(default_factory=dict)

    def put(
        self,
        name: str,
        value: float | None,
        interval: formulas.Interval | None = None,
        note: str = "",
    ) -> None:
        """Enter a figure; what is not finite counts as missing."""
        unit, doc = MEANINGS[name]
        low, high = interval if interval is not None else (None, None)
        if value is None or not math.isfinite(value):
            value = low = high = None
            note = note or "it is not defined for these returns"
        elif low is None or high is None or not math.isfinite(low + high):
            low = high = None
        currency = self.currency if unit == _CASH else unit
        self.found[name] = Statistic(name, value, low, high, currency, note, doc)

    def money(self, name: str, units: int, note: str = "") -> None:
        """Enter an amount of int64 money."""
        self.put(name, units / MONEY, note=note)

    def none(self, names: str, note: str) -> None:
        """Enter figures, named with spaces between, that do not exist because of ``note``."""
        for name in names.split():
            self.put(name, None, note=note)

    def listed(self) -> list[Statistic]:
        """Every figure, in the order of MEANINGS."""
        return [self.found[name] for name in MEANINGS]


def summarise(run: Run, *, runs: Path | None = None, trials: int | None = None) -> list[Statistic]:
    """Compute every figure of ``run`` from its tables, in the order of :data:`MEANINGS`.

    ``runs`` is the folder in which the trials of the deflated Sharpe ratio are counted (the one
    that holds the run), ``trials`` >= 1 a number that takes the place of that count. DataError
    where a table is missing or cannot be read.
    """
    sheet = _Sheet(str(run.manifest.get("currency") or ""))
    positions = columns_of(run, "position", ("ts_ns", "closed_ns", "net_pnl", "entry_notional"))
    equity = _equity(run)
    costs, gross = _costs(run)
    _activity(sheet, equity, positions, costs)
    _money(sheet, costs, gross)
    _returns(sheet, equity, trials_of(run, runs or run.folder.parent, trials))
    _drawdown(sheet, equity)
    _round_trips(sheet, positions)
    return sheet.listed()


def statistics_of(
    run: Run, *, runs: Path | None = None, trials: int | None = None
) -> list[Statistic]:
    """The figures that ``run`` has on file; computed where it has none or ``trials`` is given.

    On file, trials are those of the time when the run was made; where more were made since, the
    figures that lean on their number say so in their notes.
    """
    kept = read_statistics(run) if trials is None else None
    if kept is None:
        return summarise(run, runs=runs, trials=trials)
    then = next((s.value or 0 for s in kept if s.name == "trials"), 0)
    now = trials_of(run, runs or run.folder.parent).count
    if now <= then:
        return kept
    late = f"of the time of the run; {now} trials were made by now, --trials {now} counts them"
    leans = ("trials", "sharpe_luck", "dsr")
    return [replace(s, note=late) if s.name in leans else s for s in kept]


def facts(run: Run, *, runs: Path | None = None, trials: int | None = None) -> dict[str, Any]:
    """What ``ofs report --json`` prints: the run, its series and range, and its figures by name.

    ``statistics`` maps the name of a figure to value, low, high, unit, note and doc.
    """
    row = flat(run)
    figures = [asdict(s) for s in statistics_of(run, runs=runs, trials=trials)]
    return {
        "schema": 1,
        **{key: row[key] for key in ("run", "strategy", "venue", "symbol", "currency")},
        "from": run.manifest.get("from"),
        "to": run.manifest.get("to"),
        "statistics": {s.pop("name"): s for s in figures},
    }


def headline(statistics: list[Statistic]) -> dict[str, float | None]:
    """The few figures that a manifest repeats, so that runs are compared without opening tables."""
    by_name = {s.name: s for s in statistics}
    sharpe = by_name["sharpe"]
    names = ("trials", "dsr", "win_rate", "profit_factor", "expectancy", "exposure")
    costs = ("cost_spread", "cost_slippage")
    return {
        "sharpe": sharpe.value,
        "sharpe_low": sharpe.low,
        "sharpe_high": sharpe.high,
        **{name: by_name[name].value for name in (*names, *costs)},
    }


# --- what the tables say -----------------------------------------------------------------------


def _equity(run: Run) -> Equity:
    """The account's samples; it starts at the parameter, else at the first sample's balance."""
    table = columns_of(run, "equity", ("ts_ns", "equity", "balance"))
    row = flat(run)
    from_ns, to_ns = covered(table["ts_ns"], row["from_time"] or 0, row["to_time"] or 0)
    params = run.manifest.get("params")
    try:
        text = params.get("sim.balance") if isinstance(params, dict) else None
        start = int(Decimal(str(text)).scaleb(MONEY_SCALE))
    except (InvalidOperation, ValueError):
        start = int(table["balance"][0]) if len(table["balance"]) else 0
    return Equity(table["ts_ns"], table["equity"], start, from_ns, to_ns)


def _costs(run: Run) -> tuple[Costs, int]:
    """Costs of every fill, and the gross result of all."""
    fills = columns_of(
        run,
        "fill",
        ("order_id", "side", "price", "qty", "fee", "liquidity", "bid", "ask", "pnl"),
    )
    orders = columns_of(run, "order", ("id", "bid", "ask"))
    m = run.manifest
    mul, div = money_factors(Scales(int(m["price_scale"]), int(m["qty_scale"])))
    return costs_of(fills, orders, mul, div), sum_of(fills["pnl"])


# --- figures -----------------------------------------------------------------------------------


def _activity(sheet: _Sheet, e: Equity, positions: dict[str, np.ndarray], costs: Costs) -> None:
    traded = sum_of(costs.traded)
    opened, closed = positions["ts_ns"], positions["closed_ns"]
    sheet.put("days", e.days)
    sheet.money("traded", traded)
    if not len(e.ts_ns) or e.days <= 0:
        sheet.none("exposure trades_a_day turnover", _NO_SAMPLES)
        return
    sheet.put("exposure", held_ns(opened, closed, e) / (e.to_ns - e.from_ns))
    sheet.put("trades_a_day", int((closed != 0).sum()) / e.days)
    sheet.put(
        "turnover",
        traded / e.start / e.days if e.start > 0 else None,
        note="" if e.start > 0 else "the start balance is not above 0",
    )


def _money(sheet: _Sheet, costs: Costs, gross: int) -> None:
    fees, spread, slippage, delay = (
        sum_of(x) for x in (costs.fees, costs.spread, costs.slippage, costs.delay)
    )
    sheet.money("net_pnl", gross - fees)
    sheet.money("gross_pnl", gross)
    sheet.money("cost_fees", fees)
    n = len(costs.known)
    if n and costs.unknown == n:
        note = "no order knew the bid and the ask, or the run was made before they were recorded"
        sheet.none("cost_spread cost_slippage cost_delay cost_total cost_bp gross_at_mid", note)
        return
    note = f"{costs.unknown} of {n} fills had no known touch and count 0" if costs.unknown else ""
    sheet.money("cost_spread", spread, note)
    sheet.money("cost_slippage", slippage, note)
    sheet.money("cost_delay", delay, note)
    sheet.money("cost_total", costs.total, note)
    sheet.money("gross_at_mid", gross + spread + slippage, note)
    traded = sum_of(costs.traded)
    if traded:
        sheet.put("cost_bp", costs.total / traded * 1e4, note=note)
    else:
        sheet.none("cost_bp", "nothing was traded")


_NO_SAMPLES = "the run holds no sample of the account"


def _returns(sheet: _Sheet, e: Equity, trials: Trials) -> None:
    r = returns_of(e)
    sheet.put("period_s", r.period_ns // NS)
    sheet.put("periods", len(r.values))
    sheet.put("periods_missing", r.missing)
    sheet.put("trials", trials.count, note=_counted(trials))
    total = int(e.equity[-1]) / e.start - 1 if len(e.equity) and e.start > 0 else None
    sheet.put("total_return", total, note="" if total is not None else _NO_SAMPLES)
    m = formulas.moments(r.values)
    fault = r.fault
    if not fault and len(r.values) < PERIODS_MIN:
        fault = f"{len(r.values)} {r.period}s of returns are too few; {PERIODS_MIN} are needed"
    if m is None or fault:
        names = "annual_return volatility sharpe sortino skew kurtosis psr sharpe_luck dsr"
        sheet.none(f"{names} min_track_days", fault or "the equity never moved")
        return
    _yearly(sheet, r, m)
    _skill(sheet, r, m, trials)


def _yearly(sheet: _Sheet, r: Returns, m: formulas.Moments) -> None:
    root = math.sqrt(r.a_year)
    note = ""
    if r.period_ns < DAY_NS:
        note = f"from {m.n} {r.period}s, stretched to a year: the interval counts, not the value"
        days = f"{m.n * r.period_ns / DAY_NS:.2g} days"
        sheet.none("annual_return", f"{days} do not say what a year brings; 30 days are needed")
    else:
        logs = np.log1p(r.values)
        rate, half = float(logs.mean()), formulas.Z * float(logs.std(ddof=1)) / math.sqrt(m.n)
        ends = _growth(rate - half, r), _growth(rate + half, r)
        sheet.put("annual_return", _growth(rate, r), ends)
    low, high = formulas.deviation_interval(m)
    sheet.put("volatility", m.sd * root, (low * root, high * root), note)
    sheet.put("sharpe", m.sharpe * root, _wide(m.sharpe, formulas.sharpe_error(m), root), note)
    found = formulas.sortino(r.values)
    if found is None:
        sheet.none("sortino", f"no {r.period} lost")
    else:
        sheet.put("sortino", found[0] * root, _wide(*found, root), note)
    sheet.put("skew", m.skew)
    sheet.put("kurtosis", m.kurtosis)


def _skill(sheet: _Sheet, r: Returns, m: formulas.Moments, trials: Trials) -> None:
    chance = trials.variance is None
    variance = 1 / (m.n - 1) if trials.variance is None else trials.variance / r.a_year
    luck = formulas.luckiest_sharpe(variance, trials.count)
    source = "the variance is that of chance" if chance else "the variance is that of the trials"
    note = f"{_counted(trials)}; {source}"
    sheet.put("psr", formulas.probabilistic_sharpe(m))
    sheet.put("sharpe_luck", luck * math.sqrt(r.a_year), note=note)
    sheet.put("dsr", formulas.deflated_sharpe(m, variance, trials.count), note=note)
    periods = formulas.track_record(m)
    lacks = "the Sharpe ratio is not above 0, so no length would show that it is"
    days = periods * r.period_ns / DAY_NS if periods is not None else None
    sheet.put("min_track_days", days, note="" if periods is not None else lacks)


def _counted(trials: Trials) -> str:
    return "as given" if trials.given else "counted among the runs in the folder of this run"


def _growth(rate: float, r: Returns) -> float:
    """Growth a year, less 1, at ``rate`` a period; inf where it leaves the floats."""
    return math.expm1(rate * r.a_year) if rate * r.a_year < 700 else math.inf


def _wide(value: float, error: float, root: float) -> formulas.Interval:
    """The interval of an annualised ratio."""
    half = formulas.Z * error
    return (value - half) * root, (value + half) * root


def _drawdown(sheet: _Sheet, e: Equity) -> None:
    if not len(e.ts_ns):
        names = "max_drawdown max_drawdown_share max_drawdown_s longest_drawdown_s under_water"
        sheet.none(names, _NO_SAMPLES)
        return
    d = drawdown_of(e)
    sheet.money("max_drawdown", d.money)
    sheet.put("max_drawdown_share", d.share)
    late = "" if d.recovered else "not made good by the end of the run"
    sheet.put("max_drawdown_s", d.deepest_ns / NS, note=late)
    sheet.put("longest_drawdown_s", d.longest_ns / NS)
    sheet.put("under_water", d.under_ns / max(e.to_ns - e.from_ns, 1))


def _round_trips(sheet: _Sheet, positions: dict[str, np.ndarray]) -> None:
    done = positions["closed_ns"] != 0
    n = int(done.sum())
    sheet.put("round_trips", n)
    sheet.put("open_positions", len(done) - n)
    if not n:
        names = "win_rate profit_factor expectancy expectancy_bp average_win average_loss payoff"
        sheet.none(f"{names} largest_win largest_loss average_hold_s", "no position was closed")
        return
    net = positions["net_pnl"][done] / MONEY
    notional = positions["entry_notional"][done] / MONEY
    wins, losses = net[net > 0], net[net < 0]
    sheet.put("win_rate", len(wins) / n, formulas.wilson(len(wins), n))
    few = f"from {n} round trips" if n < PERIODS_MIN else ""
    sheet.put("expectancy", float(net.mean()), formulas.mean_interval(net), few)
    paid = 1e4 * net[notional > 0] / notional[notional > 0]
    if len(paid):
        sheet.put("expectancy_bp", float(paid.mean()), formulas.mean_interval(paid), few)
    else:
        sheet.none("expectancy_bp", "no entry has a notional")
    hold = (positions["closed_ns"] - positions["ts_ns"])[done]
    sheet.put("average_hold_s", float(hold.mean()) / NS)
    _gains(sheet, net, wins, losses)


def _gains(sheet: _Sheet, net: np.ndarray, wins: np.ndarray, losses: np.ndarray) -> None:
    won, lost = "no round trip gained", "no round trip lost"
    for name, side, reason in (("win", wins, won), ("loss", losses, lost)):
        if len(side):
            sheet.put(f"average_{name}", float(side.mean()))
            sheet.put(f"largest_{name}", float(side[np.abs(side).argmax()]))
        else:
            sheet.none(f"average_{name} largest_{name}", reason)
    found = formulas.profit_factor(net)
    if found is None:
        sheet.none("payoff profit_factor", won if not len(wins) else lost)
        return
    few = len(net) < TRIPS_MIN
    note = f"from {len(net)} round trips: too few for an interval" if few else ""
    sheet.put("profit_factor", found[0], None if few else found[1], note)
    sheet.put("payoff", float(wins.mean() / -losses.mean()))
