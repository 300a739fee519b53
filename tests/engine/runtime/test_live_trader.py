"""The guards of a live session's trader, and what it makes of a broker's terms."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from data.events import Scales
from data.live.blocks import Series
from data.live.recorder import RecordRows
from data.live.session_folder import SessionFolder
from engine.broker.protocol import Account, Instrument
from engine.runtime.live import GatewayClock, LiveTrader
from engine.runtime.live_gates import Seen
from engine.runtime.live_guards import DayLoss
from tests.engine.runtime.test_live_config import LEAST, parsed

CONFIG = parsed(LEAST)
CENTS = 10**6
ACCOUNT = Account(5001, "Demo", "USD", True, False, 10**12, 10**12, 0, True)
BTC = Instrument(
    "BTCUSDc", Scales(1, 2), 5, 1, 2, 10_000, 0, 100, 0, 0, "full", "USD"
)  # fmt: skip
FLOW = Series("binance-um", "BTCUSDT", Scales(2, 3))


def trader(**gateway: Any) -> LiveTrader:
    made = LiveTrader(CONFIG, cast(Any, None), Seen(ACCOUNT, {"BTCUSDc": BTC}))
    made.gateway = cast(Any, SimpleNamespace(account=ACCOUNT, reconciled=True, **gateway))
    made.clock = cast(Any, SimpleNamespace(now=lambda: 10**18))
    made.folder = cast(Any, SimpleNamespace(keep=lambda **_facts: None))
    made.recorder = cast(Any, SimpleNamespace(ended=False))
    return made


def at(made: LiveTrader, equity: int) -> str:
    """Another look at the account."""
    made.gateway.account = replace(ACCOUNT, equity=equity)
    return made.guard()


def test_both_sides_have_the_finer_scales() -> None:
    made = trader()
    series = made.series(lambda: [FLOW], [])
    assert [(s.venue, s.symbol) for s in series] == [
        ("binance-um", "BTCUSDT"), ("mt5", "BTCUSDc")
    ]  # fmt: skip
    assert {s.scales for s in series} == {Scales(2, 3)}
    assert made.execution(series) == {0: 1}
    assert made.series(lambda: [], series) == series, "a session keeps what it had"


def test_how_far_a_price_may_run_is_known_before_there_is_a_link() -> None:
    made = trader()
    series = made.series(lambda: [FLOW], [])
    made.execution(series)
    made.recorder = cast(Any, SimpleNamespace(opened=SimpleNamespace(series=series)))
    one = made._gateway_series(0)
    assert (one.number, one.execution, one.symbol) == (0, 1, "BTCUSDc")
    assert CONFIG.limits.slippage_bp == 5.0
    assert (one.most(10_000_000), one.most(100), one.most(0)) == (5_000, 1, 0)


def test_steps_and_bounds_are_the_brokers() -> None:
    assert trader().terms() == {
        "BTCUSDT": {
            "sim.account": "hedging", "sim.price_step": "0.5", "sim.qty_step": "0.01",
            "sim.qty_min": "0.02", "sim.qty_max": "100",
        }
    }  # fmt: skip


def test_money_is_in_the_accounts_currency() -> None:
    made = LiveTrader(CONFIG, cast(Any, None), Seen(replace(ACCOUNT, currency="EUR"), {}))
    assert made.currency == "EUR"


def test_a_loss_is_believed_at_the_second_look() -> None:
    made = trader()
    start = ACCOUNT.equity
    assert made.guard() == ""
    lost = start - 501 * 100 * CENTS
    assert at(made, lost) == "", "money may have been paid out since the deals were read"
    assert made.guard() == "", "the same look says nothing new"
    assert at(made, lost).startswith("the day lost 501.00 USD")
    again = trader()
    again.guard()
    assert at(again, lost) == at(again, start) == at(again, lost) == "", "it was nothing"


@pytest.mark.parametrize("sandbox, lost", [(None, "the day lost 501.00 USD"), (1, "")])
def test_a_session_that_the_loss_of_a_day_ended_is_no_way_to_a_new_one(
    tmp_path: Path, sandbox: int | None, lost: str
) -> None:
    first, second = (SessionFolder.create(tmp_path, "live", "x", {}) for _ in range(2))
    made = trader()
    made.folder = first
    made.guard()
    made.folder.end("the day lost 501.00 USD")
    again = trader()
    again.folder, again.link = second, cast(Any, SimpleNamespace(sandbox=sandbox))
    again._day = DayLoss.of(again._begun_day(), {})
    at(again, ACCOUNT.equity - 501 * 100 * CENTS)
    assert at(again, ACCOUNT.equity - 501 * 100 * CENTS).startswith(lost or "\0") is bool(lost)


def test_a_feed_that_says_nothing_is_lost() -> None:
    made = trader()
    made.guard()
    now = time.monotonic_ns()
    heard = [now, now]
    made._feed = cast(Any, SimpleNamespace(heard_ns=heard))
    assert made.guard() == ""
    heard[1] = now - 31 * 10**9
    assert made.guard() == "terminal said nothing for 31 s"
    heard[:] = [now - 40 * 10**9, now]
    assert made.guard() == "binance-um said nothing for 40 s"
    made.recorder.ended = True
    assert made.guard() == "", "a range that is over is no loss"


def test_what_waited_for_the_disk_is_known_to_be_old() -> None:
    made, said = trader(), []
    intents = np.zeros(1, dtype=[("ts_ns", "i8")])
    intents["ts_ns"] = 10**18 - 7 * 10**9
    rows = RecordRows(0, "intent", intents, 5)
    made.thread = cast(Any, SimpleNamespace(
        failure=None, take_alarms=list, take=list, expect=lambda *a: said.append(a[3]),
    ))  # fmt: skip
    clock = SimpleNamespace(served=False, now=lambda: 10**18 + 2, venue_ns=lambda ns: ns - 2)
    made.recorder = cast(Any, SimpleNamespace(
        clock=clock, full="", journal=SimpleNamespace(hurry=lambda: None)
    ))  # fmt: skip
    made._wrote(1, rows)
    assert said.pop() == 7 * 10**9, "of events that waited themselves"
    clock.served = True
    made._wrote(1, rows)
    assert said.pop() == 0, "nobody can tell"
    made.recorder.full = "no space"
    made.each()
    made._full_ns -= 5 * 10**9
    made.each()
    made._wrote(1, rows)
    assert 5 * 10**9 <= said.pop() < 6 * 10**10
    made.recorder.full = ""
    made.each()
    made._wrote(1, rows)
    assert said.pop() == 0


def test_a_gateways_time_does_not_stand_where_a_served_range_does() -> None:
    mono, session = [0], [1000]
    clock = GatewayClock(
        cast(Any, SimpleNamespace(served=True, mono_ns=lambda: mono[0], now=lambda: session[0]))
    )
    assert clock.now() == 1000
    mono[0] = 50
    assert clock.now() == 1050
    session[0] = 1020
    assert clock.now() == 1050, "never back"
    session[0] = 5000
    assert clock.now() == 5000
