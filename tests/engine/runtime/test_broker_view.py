"""The account of a live session on the screen, in the alarms, at /health and at /metrics."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cli.screen_parts import draw
from engine.runtime.alarms import alarms
from engine.runtime.http_api import health, session
from engine.runtime.metrics_text import metrics_text
from engine.runtime.view import BrokerView, View

BROKER = BrokerView(
    login=5001, server="Demo", currency="USD", hedging=True, connected=True, trade_allowed=True,
    reconciled=True, balance=9_999.14, equity=9_990.0, books=0.0, sent=4, round_trip_ms=12.5,
    tick_age_s=0.4, offset_s=7_200.0,
)  # fmt: skip
VIEW = View("20260105T120000-live-x", "live", "binance-um", "x", phase="running", uptime_s=60.0,
            broker=BROKER)  # fmt: skip
FED = replace(VIEW, feed=replace(VIEW.feed, connections=2))


def lines(view: View, width: int = 120) -> str:
    return "\n".join(line.plain for line in draw(view, width, 30))


def test_nothing_is_said_of_a_broker_where_there_is_none() -> None:
    bare = replace(VIEW, broker=None)
    assert "books" not in lines(bare) and b"ofs_broker" not in metrics_text(lambda: bare)
    assert "broker" not in health(bare) and session(bare)["broker"] is None


def test_the_account_has_a_line() -> None:
    shown = lines(FED)
    for word in ("demo 5001", "books equal", "blocked none", "9,999.14 USD", "link up"):
        assert word in shown, shown
    assert "REAL 5001" in lines(replace(FED, broker=replace(BROKER, real=True)))
    assert "link DOWN" in lines(replace(FED, broker=replace(BROKER, connected=False)))


@pytest.mark.parametrize(
    ("change", "alarm", "healthy"),
    [
        ({"books": -0.5}, "the books differ", False),
        ({"blocked": ("BTCUSDT (unknown)",)}, "blocked until its outcome is known", True),
        ({"connected": False, "words": "pipe lost"}, "no link to the broker: pipe lost", False),
        ({"trade_allowed": False, "words": "investor"}, "may not trade: investor", True),
        ({"foreign": 2}, "not ours, and not touched: 2", True),
        ({}, "", True),
    ],
)
def test_alarms_of_the_account(change: dict[str, object], alarm: str, healthy: bool) -> None:
    view = replace(FED, broker=replace(BROKER, **change))  # type: ignore[arg-type]
    said = alarms(view)
    assert [alarm in text for text in said] == ([True] if alarm else [])
    assert replace(view, alarms=said).healthy is healthy


def test_numbers_of_the_account_are_measured() -> None:
    text = metrics_text(lambda: FED).decode()
    assert 'ofs_broker_info{currency="USD",kind="demo",login="5001",server="Demo"} 1.0' in text
    assert "ofs_broker_balance 9999.14" in text and "ofs_broker_books 0.0" in text
    assert "ofs_broker_round_trip_seconds 0.0125" in text
    assert health(FED)["broker"]["reconciled"] is True
