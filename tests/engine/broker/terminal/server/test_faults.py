"""What goes wrong at the stand-in, seen through the module: what was done, and what is known."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest

from data.errors import ConfigError
from engine.broker.terminal.client import Terminal
from engine.broker.terminal.server.faults import KINDS, Fault, read_script
from engine.broker.terminal.server.sim import SimServer
from engine.broker.terminal.wire import DirectLink
from tests.engine.broker.terminal.server.made import NOON_NS, NS, books_hold, server

FLAT = [(s / 10, 1.1, 1.1001) for s in range(1200)]
BUY = {"action": 1, "symbol": "EURUSD", "volume": 0.1, "type": 0, "type_filling": 1, "magic": 7}


class HangError(Exception):
    """A caller's deadline passed."""


def joined(made: SimServer) -> Terminal:
    """A terminal's module over the server, in virtual time."""

    def wait(seconds: float) -> None:
        if seconds == math.inf:
            raise HangError
        made.advance(made.now_ns + round(seconds * NS))

    module = Terminal(lambda _path: DirectLink(made, wait))
    assert module.initialize()
    return module


def executed(made: SimServer) -> int:
    return len(made.ledger.deals) - 1


@pytest.mark.parametrize(
    ("fault", "error", "done"),
    [
        (("pipe_death", None, {}), -10002, 0),
        (("pipe_death", None, {"executed": True}), -10002, 1),
        (("lost_answer", None, {}), -10002, 1),
        (("none", -10001, {}), -10001, 0),
        (("none", -10000, {"executed": True}), -10000, 1),
        (("python_off", "1s", {}), -8, 0),
        (("restart", "1s", {}), -10002, 0),
    ],
)
def test_an_order_without_a_result(
    fault: tuple[str, Any, dict[str, Any]], error: int, done: int
) -> None:
    made = server(*FLAT)
    module = joined(made)
    made.fault(fault[0], fault[1], call="order_send", count=1, **fault[2])
    assert module.order_send(BUY) is None
    assert module.last_error()[0] == error
    assert executed(made) == done
    assert made.plan.done[fault[0]] == 1
    books_hold(made)


@pytest.mark.parametrize(
    ("kind", "value", "code"),
    [
        ("requote", None, 10004),
        ("retcode", 10012, 10012),
        ("disconnect", "5s", 10031),
        ("autotrading_off", "5s", 10027),
        ("server_autotrading_off", "5s", 10026),
        ("account_disabled", "5s", 10017),
        ("market_closed", "5s", 10018),
    ],
)
def test_an_order_that_is_refused_on_purpose_and_goes_through_later(
    kind: str, value: Any, code: int
) -> None:
    made = server(*FLAT)
    module = joined(made)
    made.fault(kind, value, call="order_send", count=1)
    assert module.order_send(BUY).retcode == code
    assert executed(made) == 0
    made.advance(made.now_ns + 6 * NS)
    assert module.order_send(BUY).retcode == 10009


def test_a_return_code_may_lie() -> None:
    made = server(*FLAT)
    module = joined(made)
    made.fault("retcode", 10012, count=1, executed=True)
    assert module.order_send(BUY).retcode == 10012
    assert executed(made) == 1


def test_a_hang_and_what_is_executed_after_it() -> None:
    made = server(*FLAT)
    module = joined(made)
    made.fault("hang", call="order_send", count=1)
    made.fault("late_execution", "2s", count=2)
    for _ in range(2):
        with pytest.raises(HangError):
            module.order_send(BUY)
        assert module.initialize() or module.initialize()
        assert executed(made) == 0
    made.advance(made.now_ns + 3 * NS)
    assert executed(made) == 1
    assert len(module.positions_get()) == 1


def test_accepted_first_and_executed_later() -> None:
    made = server(*FLAT)
    module = joined(made)
    made.fault("placed", "2s", count=1)
    result = module.order_send(BUY)
    assert (result.retcode, result.deal) == (10008, 0)
    assert [o.ticket for o in module.orders_get()] == [result.order]
    assert module.order_send({"action": 8, "order": result.order}).retcode == 10028
    made.advance(made.now_ns + 2 * NS)
    assert module.orders_get() == ()
    assert module.history_orders_get(ticket=result.order)[0].state == 4
    assert [p.identifier for p in module.positions_get()] == [result.order]


def test_part_of_the_volume() -> None:
    made = server(*FLAT)
    module = joined(made)
    made.fault("partial", 0.55, share=1.0)
    result = module.order_send(BUY)
    assert (result.retcode, result.volume) == (10010, 0.05)
    [order] = module.history_orders_get(ticket=result.order)
    assert (order.state, order.volume_current) == (2, 0.05)
    refused = module.order_send(BUY | {"type_filling": 0})
    assert (refused.retcode, refused.volume) == (10006, 0.0)
    assert executed(made) == 1


def test_what_happens_is_seen_late_and_out_of_order() -> None:
    made = server(*FLAT)
    module = joined(made)
    made.fault("hidden_deals", "3s", count=1)
    made.fault("out_of_order", "20s", count=2)
    first = module.order_send(BUY)
    assert module.positions_get() == ()
    window = (0, 2**31 - 1)
    assert len(module.history_deals_get(*window)) == 1  # the deposit
    made.advance(made.now_ns + 4 * NS)
    assert [p.ticket for p in module.positions_get()] == [first.order]
    second, third = module.order_send(BUY), module.order_send(BUY)
    seen = [d.order for d in module.history_deals_get(*window)]
    assert seen == [0, first.order, third.order]
    made.advance(made.now_ns + 20 * NS)
    seen = [d.order for d in module.history_deals_get(*window)]
    assert seen == [0, first.order, second.order, third.order]


def test_quotes_stand_still_while_the_server_goes_on() -> None:
    made = server(*[(s, 1.1 + s * 1e-4, 1.1001 + s * 1e-4) for s in range(30)])
    module = joined(made)
    module.order_send(BUY | {"tp": 1.1005})
    made.fault("disconnect", "10s", call="terminal_info", count=1)
    assert not module.terminal_info().connected
    before = module.account_info()
    made.advance(made.now_ns + 8 * NS)
    assert module.symbol_info_tick("EURUSD").bid == 1.1
    assert len(module.positions_get()) == 1
    assert module.account_info() == before
    assert made.keeper.counts == {"take profits": 1}
    made.advance(made.now_ns + 3 * NS)
    assert module.symbol_info_tick("EURUSD").bid == 1.1011
    assert module.positions_get() == ()
    assert module.account_info().balance == 10_004.0


def test_another_account() -> None:
    made = server(*FLAT)
    module = joined(made)
    module.order_send(BUY)
    made.fault("wrong_account", "5s", call="account_info", count=1)
    assert module.account_info().login == made.ledger.account.login + 1
    assert module.positions_get() == ()
    assert module.order_send(BUY).retcode == 10009
    assert (executed(made), made.front.elsewhere) == (1, 1)
    made.advance(made.now_ns + 6 * NS)
    assert module.account_info().login == made.ledger.account.login


def test_a_terminal_that_dies_keeps_the_account() -> None:
    made = server(*FLAT)
    module = joined(made)
    module.order_send(BUY)
    made.fault("restart", "5s", at="1s")
    made.advance(NOON_NS + 2 * NS)
    assert module.positions_get() is None
    assert module.last_error()[0] == -10002
    assert module.positions_get() is None
    assert module.last_error()[0] == -10004
    assert not module.initialize()
    assert module.last_error()[0] == -10003
    made.advance(NOON_NS + 6 * NS + NS // 2)
    assert module.initialize()
    assert module.order_send(BUY).retcode == 10031
    made.advance(NOON_NS + 8 * NS)
    assert len(module.positions_get()) == 1


def test_an_answer_that_comes_twice() -> None:
    made = server(*FLAT)
    module = joined(made)
    made.fault("duplicate_answer", call="order_send", count=1)
    first = module.order_send(BUY)
    assert module.order_send(BUY).order == first.order
    assert executed(made) == 2


def test_money_that_no_trade_brings() -> None:
    made = server(*FLAT)
    made.fault("deposit", -250.5, at=["1s", "3s"])
    made.advance(NOON_NS + 2 * NS)
    assert made.facts()["balance"] == 9749.5
    made.advance(NOON_NS + 4 * NS)
    assert made.facts()["balance"] == 9499.0
    books_hold(made)


def test_a_position_gets_another_ticket_and_keeps_its_identifier() -> None:
    made = server(*FLAT)
    module = joined(made)
    first = module.order_send(BUY)
    made.fault("reopen", at="1s")
    made.advance(NOON_NS + 2 * NS)
    [held] = module.positions_get()
    assert held.identifier == first.order != held.ticket
    close = BUY | {"type": 1, "position": first.order}
    assert module.order_send(close).retcode == 10036
    assert module.order_send(close | {"position": held.ticket}).retcode == 10009
    assert [d.position_id for d in module.history_deals_get(position=first.order)] == [
        first.order,
        first.order,
    ]
    books_hold(made)


def test_the_readmes_script_holds_every_kind(tmp_path: Path) -> None:
    readme = (Path(__file__).parents[5] / "README.md").read_text(encoding="utf-8")
    section = readme.partition("### `ofs sandbox`")[2].partition("\n### ")[0]
    [script] = [b for b in re.findall(r"```toml\n(.*?)```", section, re.DOTALL) if "kind" in b]
    path = tmp_path / "faults.toml"
    path.write_text(script, encoding="utf-8")
    assert {f.kind for f in read_script(path).faults} == set(KINDS)


def test_the_same_seed_strikes_the_same_calls() -> None:
    def struck() -> list[bool]:
        made = server(*FLAT)
        made.fault("requote", share=0.3)
        return [joined(made).order_send(BUY).retcode == 10004 for _ in range(40)]

    assert struck() == struck()
    assert 4 < sum(struck()) < 20


def test_every_kind_can_be_written_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "faults.toml"
    tables = "".join(f'[[fault]]\nkind = "{kind}"\nat = "5s"\n' for kind in KINDS)
    path.write_text(f"seed = 3\n{tables}", encoding="utf-8")
    script = read_script(path)
    assert [f.kind for f in script.faults] == list(KINDS)
    assert script.seed == 3


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ('kind = "hangs"\ncount = 1', "did you mean 'hang'"),
        ('kind = "hang"', "exactly one of share, at, every and count"),
        ('kind = "hang"\ncount = 1\nvalue = 3', "takes no value"),
        ('kind = "requote"\ncount = 1\nexecuted = true', "executed is for"),
        ('kind = "partial"\ncount = 1\nvalue = 2.0', "share that can be had"),
        ('kind = "hang"\nshare = 3', "from 0 to 1"),
        ('kind = "hang"\ncalls = 3\ncount = 1', "no key 'calls'"),
    ],
)
def test_a_file_that_is_wrong_says_where(tmp_path: Path, table: str, says: str) -> None:
    path = tmp_path / "faults.toml"
    path.write_text(f'[[fault]]\nkind = "hang"\ncount = 1\n[[fault]]\n{table}\n', encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        read_script(path)
    assert says in str(error.value)
    assert f"{path}:4" in str(error.value)


def test_a_fault_by_hand_is_checked_too() -> None:
    with pytest.raises(ConfigError):
        Fault.of("hang", 5, count=1)
