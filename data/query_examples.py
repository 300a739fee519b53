"""Fourteen questions that show what the views can answer; a test runs each of them.

Owns nothing but the texts. They must run on an empty log and without a single run.
"""

from __future__ import annotations

EXAMPLES: tuple[tuple[str, str], ...] = (
    (
        "What did the runs earn, and how fast were they?",
        "SELECT run, strategy, symbol, round_trips, net_pnl, max_drawdown, events_per_cpu_s "
        "FROM runs ORDER BY time DESC LIMIT 20",
    ),
    (
        "Which figures of the runs are more than chance, and which are missing and why?",
        "SELECT run, name, value, low, high, unit, note FROM statistics "
        "WHERE name IN ('sharpe', 'dsr', 'expectancy_bp', 'win_rate', 'cost_bp') ORDER BY ALL",
    ),
    (
        "How much was bought and sold, day by day?",
        "SELECT symbol, date, count(*) AS trades, sum(qty) FILTER (side = 'BUY') AS bought, "
        "sum(qty) FILTER (side = 'SELL') AS sold FROM trades GROUP BY ALL ORDER BY ALL",
    ),
    (
        "Candles of one minute with their delta",
        "SELECT symbol, time_bucket(INTERVAL '1 minute', time) AS minute, "
        "arg_min(price, (time, id)) AS open, max(price) AS high, min(price) AS low, "
        "arg_max(price, (time, id)) AS close, sum(qty) AS volume, "
        "sum(CASE side WHEN 'BUY' THEN qty WHEN 'SELL' THEN -qty END) AS delta "
        "FROM trades GROUP BY ALL ORDER BY ALL LIMIT 1000",
    ),
    (
        "The ten largest trades",
        "SELECT time, venue, symbol, side, price, qty FROM trades ORDER BY qty DESC LIMIT 10",
    ),
    (
        "How wide is the spread, and how lopsided the first five levels?",
        "SELECT symbol, count(*) AS snapshots, avg(ask_price[1] - bid_price[1]) AS spread, "
        "avg(ln(list_sum(bid_qty[1:5]) / list_sum(ask_qty[1:5]))) AS log_ratio_5 "
        "FROM depth WHERE len(bid_qty) > 0 AND len(ask_qty) > 0 GROUP BY symbol",
    ),
    (
        "Where are the holes?",
        "SELECT venue, symbol, stream, reason, from_time, to_time, "
        "to_id - from_id - 1 AS missing, filled FROM gaps ORDER BY time",
    ),
    (
        "What was decided, and why did it leave?",
        "SELECT run, action, exit_reason, count(*) AS decisions FROM decisions "
        "WHERE action <> 'NONE' GROUP BY ALL ORDER BY ALL",
    ),
    (
        "What did each session cost, and how late was it?",
        "SELECT session, max(time) - min(time) AS length, max(memory_mb) AS memory_mb, "
        "avg(cpu_percent) AS cpu_percent, max(lag_p99_ms) AS lag_p99_ms, max(gaps) AS gaps "
        "FROM monitor GROUP BY session ORDER BY session",
    ),
    (
        "What did a live session ask of its broker, and what came of it? (--log: the session's)",
        "SELECT i.run, i.order_id, i.time, i.side, i.qty, "
        "list(b.state ORDER BY b.seq) FILTER (b.act = 'ORDER') AS states, "
        "sum(b.qty) FILTER (b.act = 'FILL') AS filled, max(b.recv) - i.time AS took, "
        "sum((b.price - if(i.side = 'BUY', i.ask, i.bid)) * if(i.side = 'BUY', 1, -1) * b.qty) "
        "FILTER (b.act = 'FILL') / filled AS slip "
        "FROM intents i JOIN brokers b ON b.order_id = i.order_id AND b.recv >= i.time "
        "WHERE i.action NOT IN ('CANCEL', 'MOVE_STOP') "
        "GROUP BY i.run, i.order_id, i.time, i.side, i.qty ORDER BY i.time",
    ),
    (
        "How long was each instrument blocked by what nobody knew?",
        "SELECT symbol, time AS blocked, code, lead(time) OVER w - time AS length FROM brokers "
        "WHERE act IN ('BLOCK', 'UNBLOCK') WINDOW w AS (PARTITION BY symbol ORDER BY seq) "
        "QUALIFY act = 'BLOCK' ORDER BY time",
    ),
    (
        "Each round trip with how long it was held",
        "SELECT run, time, side, qty, net_pnl, exit_reason, closed - time AS held "
        "FROM positions WHERE exit_reason <> 'OPEN' ORDER BY run, time",
    ),
    (
        "What did each rule of the fill model fill, and at what fee?",
        "SELECT run, reason, liquidity, count(*) AS fills, sum(qty) AS qty, sum(fee) AS fees "
        "FROM fills GROUP BY ALL ORDER BY ALL",
    ),
    (
        "How far did each fill slip from the price at its decision?",
        "SELECT f.run, f.id, f.side, d.price AS decided, f.price AS filled, "
        "(f.price - d.price) * CASE f.side WHEN 'BUY' THEN 1 ELSE -1 END AS slip "
        "FROM fills f JOIN orders o ON o.run = f.run AND o.id = f.order_id "
        "JOIN decisions d ON d.run = o.run AND d.id = o.decision_id ORDER BY slip DESC LIMIT 20",
    ),
)
"""(question, SQL) pairs."""
