"""The adapter of a terminal: what is lost, refused, closed in, and never sent twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from data.enums import Side
from data.errors import ConfigError
from data.events import Scales
from engine.broker.mt5 import LOST, Mt5Broker, Mt5Settings
from engine.broker.mt5_link import symbol_scales
from engine.broker.protocol import BrokerError, BrokerGoneError, Outcome, Tick, Treatment
from engine.broker.retcodes import LAST_ERRORS, RETCODES, treatment_of
from engine.broker.terminal.server.sim import SimServer
from engine.broker.terminal.server.specs import AccountSpec, spec_of
from tests.engine.broker.rigs import (
    BID,
    NOON_NS,
    NS,
    SCALES,
    SYMBOL,
    TerminalRig,
    connected,
    direct,
    executed,
    magic,
    market,
    sends,
)

BUY, SELL = Side.BUY, Side.SELL
LOT = 10
SECRET = "planted-Secret-4711"
COIN = spec_of(SYMBOL)


@pytest.fixture
def rig() -> TerminalRig:
    return connected()


# --- every code, through the adapter


@pytest.mark.parametrize("code", [c for c in RETCODES if c not in (10008, 10009, 10010)])
def test_a_retcode_becomes_its_treatment_and_is_sent_once(rig: TerminalRig, code: int) -> None:
    rig.server.fault("retcode", code, call="order_send", share=1.0)
    outcome = rig.broker.submit(market(BUY, LOT))
    assert (outcome.treatment, outcome.code) == (treatment_of(code), code)
    assert RETCODES[code].words in outcome.text
    # a way of filling that is not taken is tried once each way that the symbol has
    assert sends(rig) == (2 if code == 10030 else 1)
    assert executed(rig) == 0


@pytest.mark.parametrize("code", [10013, 10036, 10038, 10039])
def test_a_refused_close_is_read_anew(rig: TerminalRig, code: int) -> None:
    rig.broker.submit(market(BUY, LOT))
    rig.server.fault("retcode", code, call="order_send", share=1.0)
    (held,) = rig.broker.positions()
    assert rig.broker.close(held, LOT, magic(2), "x").treatment is Treatment.REREAD
    assert rig.broker.modify(SYMBOL, held.ticket, 5_000_000, 0).treatment is Treatment.REREAD


@pytest.mark.parametrize("code", [c for c in LAST_ERRORS if c < 0])
def test_no_result_at_all_becomes_what_its_error_says(rig: TerminalRig, code: int) -> None:
    rig.server.fault("none", code, call="order_send", count=1)
    if code == -10004:
        with pytest.raises(BrokerGoneError, match="order_send failed"):
            rig.broker.submit(market(BUY, LOT))
        return
    outcome = rig.broker.submit(market(BUY, LOT))
    assert (outcome.treatment, outcome.code) == (LAST_ERRORS[code].sent, code)
    assert sends(rig) == 1


READS: dict[str, Callable[[Mt5Broker], Any]] = {
    "positions_get": lambda b: b.positions(),
    "orders_get": lambda b: b.orders(0),
    "history_orders_get": lambda b: b.orders(0),
    "history_deals_get": lambda b: b.deals(0),
    "account_info": lambda b: b.account(),
    "terminal_info": lambda b: b.account(),
    "copy_ticks_from": lambda b: b.quotes(SYMBOL, NOON_NS),
    "symbol_info_tick": lambda b: b.quotes(SYMBOL, 0),
    "initialize": lambda b: b.connect(),
}
CODES = (-1, -6, -10000, -10004)
NOT_QUOTED = ("symbol_info_tick", -1)
"""The one failure that is an answer: the symbol has no quote yet."""


@pytest.mark.parametrize(
    ("name", "code"), [(n, c) for n in READS for c in CODES if (n, c) != NOT_QUOTED]
)
def test_a_read_that_failed_is_never_empty(rig: TerminalRig, name: str, code: int) -> None:
    rig.server.fault("none", code, call=name, count=1)
    with pytest.raises(BrokerError, match=f"{name} failed") as error:
        READS[name](rig.broker)
    assert isinstance(error.value, BrokerGoneError) == (code < -9999)


# --- answers that are lost, late, or of another request


@pytest.mark.parametrize(
    ("kind", "value", "done"),
    [
        ("lost_answer", None, 1), ("pipe_death", None, 0), ("hang", None, 0),
        ("late_answer", "60s", 1), ("late_execution", "5s", 1),
    ],
)  # fmt: skip
def test_a_lost_answer_is_unknown_and_never_sent_again(
    rig: TerminalRig, kind: str, value: str | None, done: int
) -> None:
    rig.server.fault(kind, value, call="order_send", count=1)
    outcome = rig.broker.submit(market(BUY, LOT))
    assert (outcome.treatment, outcome.code) == (Treatment.RECONCILE, LOST)
    assert sends(rig) == 1
    with pytest.raises(BrokerGoneError):
        rig.broker.positions()
    rig.wait(6)
    rig.broker.connect()
    assert len(rig.broker.positions()) == executed(rig) == done
    assert all(p.magic == magic(1) for p in rig.broker.positions())


def test_a_hang_ends_at_the_deadline(rig: TerminalRig) -> None:
    rig.server.fault("hang", call="order_send", count=1)
    before = rig.server.now_ns
    rig.broker.submit(market(BUY, LOT))
    assert rig.server.now_ns - before == rig.settings.send_s * NS
    assert rig.terminal.restarts == 0
    rig.wait(0)
    rig.broker.connect()
    assert rig.terminal.restarts == 1


def test_an_answer_that_came_twice_is_not_taken_for_the_next_one(rig: TerminalRig) -> None:
    rig.server.fault("duplicate_answer", call="order_send", count=1)
    assert rig.broker.submit(market(BUY, LOT, 1)).treatment is Treatment.DONE
    outcomes: list[Outcome] = []
    for number in (2, 3):
        try:
            outcomes.append(rig.broker.submit(market(BUY, LOT, number)))
        except BrokerGoneError:
            rig.broker.connect()
    assert all(o.treatment is not Treatment.DONE or o.deal > 1_000_002 for o in outcomes)
    told = [o.order for o in outcomes if o.order]
    assert len(told) == len(set(told))


def test_a_result_that_was_given_before_is_unknown_and_ends_the_worker() -> None:
    rig = connected()

    class Echo:
        """A terminal that gives the last result again."""

        def __init__(self) -> None:
            self.last: Any = None

        def __getattr__(self, name: str) -> Any:
            return getattr(rig.terminal, name)

        def call(self, name: str, *args: Any, **more: Any) -> Any:
            if name == "order_send" and self.last is not None:
                return self.last
            answer = rig.terminal.call(name, *args, **more)
            self.last = answer if name == "order_send" else self.last
            return answer

    broker = Mt5Broker(Echo(), rig.settings)  # type: ignore[arg-type]
    broker.connect()
    assert broker.submit(market(BUY, LOT, 1)).treatment is Treatment.DONE
    again = broker.submit(market(BUY, LOT, 2))
    assert again.treatment is Treatment.RECONCILE and "another request" in again.text
    with pytest.raises(BrokerGoneError):
        broker.positions()


def test_a_terminal_that_restarts_is_connected_to_again(rig: TerminalRig) -> None:
    rig.broker.submit(market(BUY, LOT, stop=5_900_000))
    rig.server.fault("restart", "5s", at="1s")
    rig.wait(2)
    with pytest.raises(BrokerGoneError):
        rig.broker.positions()
    with pytest.raises(BrokerGoneError):
        rig.broker.connect()
    rig.wait(5)
    rig.broker.connect()
    assert rig.broker.positions()[0].stop == 5_900_000


# --- who, and whether it may


def test_another_account_is_refused_when_connecting() -> None:
    for wrong in ({"login": 1}, {"server": "another"}):
        rig = TerminalRig()
        broker = Mt5Broker(rig.terminal, replace(rig.settings, **wrong))
        with pytest.raises(BrokerError, match="not at account") as error:
            broker.connect()
        assert "5000001 at ofs-Sandbox" in error.value.why


def test_an_account_that_changed_is_found_before_the_next_order(rig: TerminalRig) -> None:
    rig.broker.submit(market(BUY, LOT))
    rig.server.fault("wrong_account", "60s", at="1s")
    rig.wait(3)
    for act in (
        lambda: rig.broker.submit(market(BUY, LOT, 2)),
        lambda: rig.broker.modify(SYMBOL, 1_000_001, 5_000_000, 0),
        lambda: rig.broker.cancel(SYMBOL, 1),
        rig.broker.account,
    ):
        with pytest.raises(BrokerError, match="not at account"):
            act()
    assert sends(rig) == 1


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("disconnect", "no connection"), ("autotrading_off", "Algo Trading"),
        ("python_off", "Python API"), ("account_disabled", "may not trade"),
        ("server_autotrading_off", "automated trading"),
    ],
)  # fmt: skip
def test_why_nothing_may_be_traded(rig: TerminalRig, kind: str, words: str) -> None:
    rig.server.fault(kind, "60s", at="1s")
    rig.wait(2)
    account, health = rig.broker.account(), rig.broker.health()
    assert not account.trade_allowed and words in account.why_not
    assert words in health.words and not health.trade_allowed
    assert health.connected == (kind != "disconnect")


def test_health_never_raises(rig: TerminalRig) -> None:
    rig.server.fault("restart", "60s", at="1s")
    rig.wait(2)
    health = rig.broker.health()
    assert not health.connected and not health.trade_allowed and health.words
    assert health.tick_age_ns == -1


def test_results_in_another_currency_are_refused() -> None:
    spec = replace(COIN, currency_profit="EUR")
    rig = TerminalRig(symbol=spec, account=AccountSpec(rates=(("EUR", 1.1),)))
    with pytest.raises(ConfigError, match="cannot be traded") as error:
        rig.broker.connect()
    assert "EUR" in error.value.why and "USD" in error.value.why


def test_a_symbol_that_the_broker_does_not_have_is_told() -> None:
    rig = TerminalRig()
    broker = Mt5Broker(rig.terminal, replace(rig.settings, symbols={"BTCUSD.x": SCALES}))
    with pytest.raises(BrokerError, match=r"does not know BTCUSD\.x") as error:
        broker.connect()
    assert f"it has {SYMBOL}" in error.value.why


@pytest.mark.parametrize("scales", [Scales(1, 2), Scales(2, 1)])
def test_scales_that_are_too_coarse_are_refused(scales: Scales) -> None:
    rig = TerminalRig()
    broker = Mt5Broker(rig.terminal, replace(rig.settings, symbols={SYMBOL: scales}))
    with pytest.raises(ConfigError, match="too coarse"):
        broker.connect()


def test_the_scales_that_a_symbol_needs() -> None:
    rig = TerminalRig(symbol=spec_of("EURUSDm"))
    assert symbol_scales(rig.terminal, rig.settings) == {"EURUSDm": Scales(5, 0)}


def test_no_text_tells_the_password(rig: TerminalRig) -> None:
    account = AccountSpec(password="another")
    wrong = TerminalRig(account=account, password=SECRET)
    assert SECRET not in repr(wrong.settings)
    with pytest.raises(BrokerError, match="initialize failed") as error:
        wrong.broker.connect()
    seen: Any = error.value
    while seen is not None:
        assert SECRET not in f"{seen} {seen!r} {vars(seen)}"
        seen = seen.__cause__ or seen.__context__
    assert connected(account=replace(account, password=SECRET), password=SECRET)


# --- the server's clock


@pytest.mark.parametrize("rule", ["utc", "utc+2", "utc-5"])
def test_a_rule_that_the_quotes_refute_is_refused(rule: str) -> None:
    with pytest.raises(BrokerError, match="does not run by the rule") as error:
        connected(clock=rule)
    assert rule in str(error.value)


def test_a_rule_that_lies_ahead_is_refuted_by_a_quote_that_moves() -> None:
    rig = TerminalRig(clock="utc+6")
    rig.server.feed([(NOON_NS + 700_000_000, SYMBOL, 60_000.0, 60_002.0)])
    with pytest.raises(BrokerError, match="fresh quote"):
        rig.broker.connect()


def test_in_a_closed_market_the_rule_is_not_proven_yet() -> None:
    rig = TerminalRig()
    rig.server.advance(NOON_NS + 3_600 * NS)
    rig.broker.connect()
    assert not rig.broker.clock_proven
    assert "confirmed" in rig.broker.health().words
    rig.wait(1)
    assert rig.broker.health().words == "" and rig.broker.clock_proven


def test_a_rule_that_goes_wrong_in_autumn_stops_everything() -> None:
    rig = TerminalRig(rule="new-york", clock="eet")
    rig.broker.connect()
    # the last Sunday of October: Europe's summer time ends, New York's does not
    rig.wait(13 * 86_400)
    with pytest.raises(BrokerError, match="does not run by the rule"):
        rig.broker.submit(market(BUY, LOT))
    assert sends(rig) == 0


def test_deals_on_both_sides_of_the_hour_that_comes_twice() -> None:
    rig = connected()
    change = 1_762_063_200 * NS  # 2025-11-02 06:00 UTC
    rig.wait((change - NOON_NS) / NS - 600)
    rig.broker.submit(market(BUY, LOT, 1))
    rig.wait(1_200)
    rig.broker.submit(market(BUY, LOT, 2))
    for since in (0, change - 700 * NS, change - 600 * NS):
        deals = [d for d in rig.broker.deals(since) if d.qty]
        assert [d.magic for d in deals][-2:] == [magic(1), magic(2)]
        assert [d.ts_ns - change for d in deals][-2:] == [-600 * NS, 600 * NS]
    assert [p.open_ns - change for p in rig.broker.positions()] == [-600 * NS, 600 * NS]
    assert rig.broker.health().offset_ns == 2 * 3_600 * NS


def test_nothing_that_happened_lies_in_the_future() -> None:
    rig = connected()
    change = 1_762_063_200 * NS
    rig.wait((change - NOON_NS) / NS - 1_800)
    rig.broker.submit(market(BUY, LOT, 1))
    rig.wait(2_400)
    # ten minutes after the change; the same wall time comes again in twenty
    assert rig.broker.deals(0)[-1].ts_ns == rig.broker.positions()[0].open_ns == change - 1_800 * NS
    ticks = rig.broker.quotes(SYMBOL, change - 2_000 * NS)
    assert [t.ts_ns - change for t in ticks] == [-1_800 * NS, 600 * NS]


def test_a_deal_of_this_moment_is_seen_though_the_server_is_hours_ahead(rig: TerminalRig) -> None:
    rig.broker.submit(market(BUY, LOT))
    assert [d.magic for d in rig.broker.deals(rig.server.now_ns)] == [0, magic(1)]


# --- quotes


def test_an_old_quote_is_not_traded_on_but_closed_on(rig: TerminalRig) -> None:
    rig.broker.submit(market(BUY, LOT))
    rig.server.advance(rig.server.now_ns + 31 * NS)
    outcome = rig.broker.submit(market(BUY, LOT, 2))
    assert (outcome.treatment, outcome.code) == (Treatment.FRESH_PRICE, 0)
    assert "31 s old" in outcome.text and sends(rig) == 1
    (held,) = rig.broker.positions()
    assert rig.broker.close(held, LOT, magic(3), "x").treatment is Treatment.DONE


def test_an_order_goes_out_at_once_where_everything_is_known_already(rig: TerminalRig) -> None:
    rig.broker.health()
    for act, calls in (
        (lambda: rig.broker.submit(market(BUY, LOT, 1)), 1),
        (lambda: rig.broker.close(rig.broker.positions()[0], LOT, magic(2), "x"), 2),
    ):
        before = rig.terminal.calls
        assert act().treatment is Treatment.DONE
        assert rig.terminal.calls - before == calls
    rig.wait(2)
    before = rig.server.calls["symbol_info_tick"], rig.server.calls["account_info"]
    rig.broker.submit(market(BUY, LOT, 3))
    after = rig.server.calls["symbol_info_tick"], rig.server.calls["account_info"]
    assert after == (before[0] + 1, before[1] + 1)


def test_what_an_old_quote_speaks_against_is_asked_of_a_new_one(rig: TerminalRig) -> None:
    rig.broker.health()
    moved = rig.server.now_ns + NS // 2
    rig.server.feed([(moved, SYMBOL, 61_000.0, 61_002.0)])
    rig.server.advance(moved)
    done = rig.broker.submit(market(BUY, LOT, stop=6_050_000))
    assert (done.treatment, done.price) == (Treatment.DONE, 6_100_200)


def test_a_symbol_without_a_quote_is_not_traded() -> None:
    spec = replace(COIN, name="ETHUSDc")
    server = SimServer("new-york", [spec], AccountSpec(), start_ns=NOON_NS)
    settings = Mt5Settings(5_000_001, "ofs-Sandbox", {"ETHUSDc": SCALES})
    broker = Mt5Broker(direct(server), settings)
    broker.connect()
    assert broker.quotes("ETHUSDc", 0) == [Tick(0, 0, 0)]
    outcome = broker.submit(replace(market(BUY, LOT), symbol="ETHUSDc"))
    assert (outcome.treatment, outcome.code) == (Treatment.FRESH_PRICE, 0)
    assert broker.health().connected and broker.health().tick_age_ns == -1


def test_more_quotes_in_a_second_than_are_asked_for_at_once(
    rig: TerminalRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.broker.mt5._TICKS", 4)
    moments = [NOON_NS + NS * s + 50_000_000 * k for s in range(1, 4) for k in range(7 + s)]
    rig.server.feed([(t, SYMBOL, 60_000.0 + n, 60_001.0 + n) for n, t in enumerate(moments)])
    rig.server.advance(NOON_NS + 10 * NS)
    ticks = rig.broker.quotes(SYMBOL, NOON_NS)
    assert [t.ts_ns for t in ticks] == moments
    assert [t.bid for t in ticks] == [BID + 100 * n for n in range(len(moments))]
    assert [t.ts_ns for t in rig.broker.quotes(SYMBOL, moments[11])] == moments[12:]
