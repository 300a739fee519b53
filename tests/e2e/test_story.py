"""The whole story on real recordings: import, check, backtest, verify, and every row explained.

Counts are those of the shared data's README. Each run is asked in SQL, and every figure of it is
computed again there from the events alone.
"""

from __future__ import annotations

import gzip
import math
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.support import BTC, BTC_SETTINGS, NEXO, User, new_user
from tests.shared import shared_data

KEYS = {
    "run", "events", "trades", "depth", "bars", "decisions", "orders", "fills", "round_trips",
    "net_pnl", "max_drawdown", "digest", "state_digest", "wall_s", "cpu_s", "events_per_cpu_s",
    "peak_rss_mb",
}  # fmt: skip

QTY = {NEXO: 100, BTC: 1000}
"""Units a whole coin: the quantity scale of each recording."""

SPAN_S = {NEXO: 30, BTC: 15}
"""The strategy's window in the stories."""

Stories = dict[str, dict[str, Any]]
both = pytest.mark.parametrize("symbol", [NEXO, BTC])


def seen(symbol: str) -> str:
    """CTE: every event of the symbol numbered in the total order, trades with signed quantity."""
    kinds = [f"SELECT recv, seq, time, 0 AS signed FROM {v} WHERE symbol = '{symbol}'"
             for v in ("depth", "quotes")]  # fmt: skip
    signed = f"CAST(round(qty * {QTY[symbol]}) AS BIGINT) * CASE side WHEN 'BUY' THEN 1 ELSE -1 END"
    kinds.append(f"SELECT recv, seq, time, {signed} FROM trades WHERE symbol = '{symbol}'")
    return f"""all_events AS ({" UNION ALL ".join(kinds)}),
        seen AS (SELECT *, row_number() OVER (ORDER BY recv, seq) AS n FROM all_events)"""


def test_the_log_holds_exactly_what_was_recorded(recorded: User) -> None:
    rows = recorded.json("log", "ls")
    counts = {(r["symbol"], r["kind"]): r["rows"] for r in rows}
    assert {k: n for k, n in counts.items() if k[1] != "depth"} == {
        (NEXO, "trade"): 12_458,
        (NEXO, "quote"): 33_437,
        (BTC, "trade"): 21_313,
        (BTC, "quote"): 66_089,
    }
    # a book after every diff of the quiet symbol, but for two within 100 ms of the one before;
    # at most one a 100 ms of the busy one
    assert counts[NEXO, "depth"] == 68_180
    assert 3_400 < counts[BTC, "depth"] < 3_450
    assert not any(r["gaps"] for r in rows)


def test_the_busy_recording_checks_clean_and_the_quiet_one_is_only_quiet(recorded: User) -> None:
    assert recorded.ofs("log", "check", "--symbol", BTC).code == 0
    quiet = recorded.ofs("log", "check", "--symbol", NEXO, "--json")
    assert {f["check"] for f in quiet.json()["findings"]} <= {"time_hole"}
    assert recorded.ofs("log", "check", "--symbol", NEXO, "--hole", "600").code == 0


@both
def test_the_run_counts_every_event_and_trades(symbol: str, stories: Stories) -> None:
    facts = stories[symbol]
    assert set(facts) >= KEYS
    assert facts["trades"] == {NEXO: 12_458, BTC: 21_313}[symbol]
    assert facts["fills"] >= facts["round_trips"] > 0
    assert facts["bars"] == facts["gaps"] == 0
    assert facts["events"] == facts["trades"] + facts["depth"] + facts["quotes"]
    assert len(facts["digest"]) == len(facts["state_digest"]) == 64


@both
def test_the_run_verifies(symbol: str, recorded: User, stories: Stories) -> None:
    verdict = recorded.json("verify", stories[symbol]["run"])
    assert verdict["ok"]
    assert verdict["digest"] == stories[symbol]["digest"]
    assert verdict["decisions"] == stories[symbol]["decisions"]


@both
def test_delta_and_cvd_are_sums_over_the_trades_seen(
    symbol: str, recorded: User, stories: Stories
) -> None:
    rows = recorded.sql(
        f"""WITH {seen(symbol)}, d AS (
            SELECT id, time, events, delta, cvd,
                time - INTERVAL {SPAN_S[symbol]} SECOND AS start,
                date_trunc('day', time - INTERVAL 1 MICROSECOND) AS anchor
            FROM decisions WHERE run = '{stories[symbol]["run"]}'),
        days AS (SELECT DISTINCT anchor FROM d)
        SELECT d.id, CAST(round(d.delta * {QTY[symbol]}) AS BIGINT) AS delta,
            CAST(round(d.cvd * {QTY[symbol]}) AS BIGINT) AS cvd,
            coalesce(sum(s.signed) FILTER (s.time >= d.start), 0)::BIGINT AS sql_delta,
            coalesce(sum(s.signed), 0)::BIGINT AS sql_cvd
        FROM d LEFT JOIN seen s ON s.signed <> 0 AND s.n <= d.events
            AND s.time >= d.anchor AND s.time < d.time
        GROUP BY ALL"""
    )
    assert len(rows) == stories[symbol]["decisions"]
    assert sum(r["delta"] != 0 for r in rows) > 50
    assert [r for r in rows if r["delta"] != r["sql_delta"]] == []
    assert [r for r in rows if r["cvd"] != r["sql_cvd"]] == []


@both
def test_a_decision_sees_no_event_of_its_own_time_or_later(
    symbol: str, recorded: User, stories: Stories
) -> None:
    rows = recorded.sql(
        f"""WITH {seen(symbol)}
        SELECT d.id, max(s.time) < d.time AS past, max(n) = d.events AS whole
        FROM decisions d JOIN seen s ON s.n <= d.events
        WHERE d.run = '{stories[symbol]["run"]}' AND d.action <> 'NONE'
        GROUP BY d.id, d.time, d.events"""
    )
    assert rows
    assert all(r["past"] and r["whole"] for r in rows)


@both
def test_every_fill_names_an_event_of_the_log(
    symbol: str, recorded: User, stories: Stories
) -> None:
    events = " UNION ALL ".join(
        f"SELECT '{kind}' AS kind, id, time FROM {view} WHERE symbol = '{symbol}'"
        for kind, view in (("TRADE", "trades"), ("DEPTH", "depth"), ("QUOTE", "quotes"))
    )
    (row,) = recorded.sql(
        f"""WITH e AS ({events}), named AS (
            SELECT f.id, count(e.id) AS hits, any_value(f.cause_ts <= f.time) AS before
            FROM fills f LEFT JOIN e
                ON e.kind = f.cause_kind AND e.id = f.cause_id AND e.time = f.cause_ts
            WHERE f.run = '{stories[symbol]["run"]}' GROUP BY f.id)
        SELECT count(*) AS fills, min(hits) AS least, bool_and(before) AS before FROM named"""
    )
    assert row == {"fills": stories[symbol]["fills"], "least": row["least"], "before": True}
    assert row["least"] >= 1


@both
def test_a_market_fill_is_a_level_of_the_book_that_caused_it(
    symbol: str, recorded: User, stories: Stories
) -> None:
    """Or, where a quote was newer than the book and worse for us, that quote."""
    rows = recorded.sql(
        f"""SELECT f.id, f.side, f.price,
            any_value(CASE f.side WHEN 'BUY' THEN d.ask_price ELSE d.bid_price END) AS levels,
            list(CASE f.side WHEN 'BUY' THEN q.ask ELSE q.bid END) AS quotes
        FROM fills f
        JOIN depth d ON d.symbol = f.symbol AND d.id = f.cause_id AND d.time = f.cause_ts
        LEFT JOIN quotes q ON q.symbol = f.symbol AND q.time BETWEEN f.cause_ts AND f.time
        WHERE f.run = '{stories[symbol]["run"]}' AND f.reason = 'BOOK_WALK'
        GROUP BY f.id, f.side, f.price"""
    )
    assert rows
    for row in rows:
        sign = 1 if row["side"] == "BUY" else -1
        assert sign * row["price"] >= sign * row["levels"][0], row
        assert row["price"] in row["levels"] or row["price"] in row["quotes"], row


def test_stops_and_targets_fill_where_their_cause_says(recorded: User, stories: Stories) -> None:
    rows = recorded.sql(
        f"""SELECT f.reason, f.side, f.price, o.price AS level, o.type, t.price AS traded
        FROM fills f JOIN orders o ON o.run = f.run AND o.id = f.order_id
        LEFT JOIN trades t ON t.symbol = f.symbol AND f.cause_kind = 'TRADE' AND t.id = f.cause_id
        WHERE f.run = '{stories[NEXO]["run"]}' AND o.type IN ('STOP', 'TARGET')"""
    )
    assert {r["type"] for r in rows} == {"STOP", "TARGET"}
    for row in rows:
        sign = 1 if row["side"] == "BUY" else -1
        if row["type"] == "TARGET":
            assert row["price"] == row["level"], row
            assert row["traded"] is None or sign * row["traded"] < sign * row["level"], row
        else:
            assert sign * row["price"] >= sign * row["level"], row
            assert row["traded"] is None or sign * row["traded"] >= sign * row["level"], row


CHAIN = """
SELECT p.id, p.exit_reason, p.side, p.closed IS NOT NULL AS closed,
    oi.time AS sent, di.time AS decided, di.action AS entered, oi.type AS entry_type,
    oi.side AS entry_side, oo.side AS exit_side, oo.type AS exit_type, do_.action AS left_by,
    do_.exit_reason AS left_why, do_.time AS left_at, oo.time AS exit_sent,
    fi.first AS first_fill, fi.qty AS entered_qty, fo.last AS last_fill, fo.qty AS left_qty,
    fo.order_id AS last_order, p.exit_order_id AS exit_order, p.time AS opened, p.closed AS ended,
    p.entry_qty, p.exit_qty
FROM positions p
JOIN orders oi ON oi.run = p.run AND oi.id = p.entry_order_id
JOIN decisions di ON di.run = p.run AND di.id = oi.decision_id
LEFT JOIN orders oo ON oo.run = p.run AND oo.id = p.exit_order_id
LEFT JOIN decisions do_ ON do_.run = p.run AND do_.id = oo.decision_id
JOIN (SELECT run, order_id, position_id, min(time) AS first, sum(qty) AS qty
    FROM fills GROUP BY ALL)
    fi ON fi.run = p.run AND fi.order_id = p.entry_order_id AND fi.position_id = p.id
LEFT JOIN (SELECT run, side, position_id, max(time) AS last, sum(qty) AS qty,
    arg_max(order_id, id) AS order_id FROM fills GROUP BY ALL)
    fo ON fo.run = p.run AND fo.side <> p.side AND fo.position_id = p.id
WHERE p.run = '{run}' ORDER BY p.id
"""


@both
def test_every_position_leads_back_to_its_decisions(
    symbol: str, recorded: User, stories: Stories
) -> None:
    (count,) = recorded.sql(
        f"SELECT count(*) AS n FROM positions WHERE run = '{stories[symbol]['run']}'"
    )
    rows = recorded.sql(CHAIN.format(run=stories[symbol]["run"]))
    assert len(rows) == count["n"]
    assert sum(r["closed"] for r in rows) == stories[symbol]["round_trips"]
    for row in rows:
        assert row["decided"] == row["sent"] < row["first_fill"] == row["opened"], row
        assert row["entered"] == ("ENTER_LONG" if row["side"] == "BUY" else "ENTER_SHORT"), row
        assert (row["entry_type"], row["entry_side"]) == ("MARKET", row["side"]), row
        assert math.isclose(row["entered_qty"], row["entry_qty"]), row
        if not row["closed"]:
            assert row["exit_reason"] == "OPEN", row
            continue
        assert row["exit_side"] != row["side"], row
        assert (row["last_fill"], row["last_order"]) == (row["ended"], row["exit_order"]), row
        assert math.isclose(row["left_qty"], row["exit_qty"]), row
        assert math.isclose(row["entry_qty"], row["exit_qty"]), row
        if row["exit_type"] == "MARKET":
            assert row["left_by"] == "EXIT", row
            assert (row["left_why"], row["left_at"]) == (row["exit_reason"], row["exit_sent"]), row
        else:
            assert row["exit_type"] == row["exit_reason"], row


@both
def test_money_adds_up_from_every_table(symbol: str, recorded: User, stories: Stories) -> None:
    facts = stories[symbol]
    (row,) = recorded.sql(
        f"""SELECT
        (SELECT sum(pnl - fee) FROM fills WHERE run = '{facts["run"]}') AS by_fills,
        (SELECT sum(net_pnl) FROM positions WHERE run = '{facts["run"]}') AS by_positions,
        (SELECT arg_max(balance, time) FROM equity WHERE run = '{facts["run"]}') AS balance,
        (SELECT max(drawdown) FROM equity WHERE run = '{facts["run"]}') AS drawdown,
        (SELECT net_pnl FROM runs WHERE run = '{facts["run"]}') AS listed,
        (SELECT sum(CASE side WHEN 'BUY' THEN -1 ELSE 1 END * price * qty - fee)
            FROM fills WHERE run = '{facts["run"]}' AND position_id NOT IN (
                SELECT id FROM positions WHERE run = '{facts["run"]}' AND closed IS NULL)) AS cash,
        (SELECT sum(net_pnl) FROM positions
            WHERE run = '{facts["run"]}' AND closed IS NOT NULL) AS closed"""
    )
    net = facts["net_pnl"]
    for name in ("by_fills", "by_positions", "listed"):
        assert math.isclose(row[name], net, abs_tol=1e-7), name
    # money that left and came back, trade by trade, is what the closed positions say they earned
    assert math.isclose(row["cash"], row["closed"], abs_tol=1e-5)
    assert math.isclose(row["balance"] - 10_000, net, abs_tol=1e-6)
    assert row["drawdown"] == facts["max_drawdown"]


DECISIVE = 5_266_589_468
"""A purchase of 15.325 BTC at 23:56:53.269: with it the flow has flipped, without it it has not."""


def without(source: Path, trade: int, target: Path) -> None:
    """Copy a recording without one trade."""
    with gzip.open(source, "rt", encoding="utf-8") as lines:
        kept = [line for line in lines if f'"t":{trade},' not in line]
    with gzip.open(target, "wt", encoding="utf-8", compresslevel=1) as out:
        out.writelines(kept)


def test_one_trade_less_is_another_decision_and_another_order(
    tmp_path: Path, recorded: User, stories: Stories
) -> None:
    source = shared_data("binance-um/btcusdt_20240808.gz")
    other = new_user(tmp_path / "other")
    without(source, DECISIVE, tmp_path / source.name)
    assert other.ofs("import", tmp_path / source.name).code == 0
    facts = other.backtest("--symbol", BTC, settings=BTC_SETTINGS)
    assert facts["trades"] == 21_312
    assert facts["digest"] != stories[BTC]["digest"]
    (hole,) = other.ofs("log", "gaps", "--json").json()["findings"]
    assert (hole["from_id"], hole["to_id"]) == (DECISIVE - 1, DECISIVE + 1)

    def told(user: User, run: object) -> list[dict[str, Any]]:
        return user.sql(
            f"""SELECT d.time, d.action, CAST(round(d.delta * 1000) AS BIGINT) AS delta, d.events,
                o.id AS sent
            FROM decisions d LEFT JOIN orders o ON o.run = d.run AND o.decision_id = d.id
            WHERE d.run = '{run}' ORDER BY d.id"""
        )

    before, after = told(recorded, stories[BTC]["run"]), told(other, facts["run"])
    changed = [n for n, (a, b) in enumerate(zip(before, after, strict=True)) if a != b]
    first = changed[0]
    assert before[first]["time"].startswith("2024-08-08T23:56:55.000")
    assert before[first]["action"] == "EXIT"
    assert before[first]["sent"] is not None
    assert after[first]["action"] == "NONE"
    assert after[first]["sent"] is None
    assert before[first]["delta"] - after[first]["delta"] == 15_325
    assert before[first]["events"] - after[first]["events"] == 1
    # nothing of it reaches back: what was decided before it is the same
    assert before[:first] == after[:first]
