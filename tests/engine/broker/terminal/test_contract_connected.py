"""What a connected terminal answers, by reading alone: the stand-in in this process, the stand-in
over a socket, and a real terminal where OFS_REAL_TERMINAL names one.

Nothing is sent: ``order_check`` is asked about orders, and only about ones that cannot pass.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from engine.broker import terminal
from engine.broker.terminal.client import Terminal
from engine.broker.terminal.server.sim import SimServer
from engine.broker.terminal.server.specs import spec_of
from engine.broker.terminal.wire import DirectLink, Reply, SocketLink, serve_stream
from tests.engine.broker.terminal.modules import FACTS, REAL, load, real_is_there, real_terminal
from tests.engine.broker.terminal.server.made import NOON_NS, NS, send, server

C_KIND = {"f64": float, "bool": bool, "utf16": str, "struct": object}
DAY_S = 86_400
QUOTES = [(s, 1.1 + s / 10_000, 1.1001 + s / 10_000) for s in range(-600, 60, 5)]


def played() -> SimServer:
    """A server with eleven minutes of quotes, two positions, a working order and one withdrawn."""
    made = server(*QUOTES, more=[spec_of("XAUUSD")])
    for side in (0, 1):
        assert send(made, action=1, type=side, magic=5, comment="ofs")["retcode"] == 10009
    for price in (1.05, 1.06):
        placed = send(made, action=5, type=2, price=price)
        assert placed["retcode"] == 10009
    assert send(made, action=8, order=placed["order"])["retcode"] == 10009
    made.advance(NOON_NS + 60 * NS)
    return made


def face(calls: Terminal) -> Any:
    """A terminal of one's own with the names of the module around it."""
    names = {name: getattr(terminal, name) for name in (*FACTS["constants"], *FACTS["structs"])}
    return SimpleNamespace(**names, **{name: getattr(calls, name) for name in FACTS["functions"]})


def in_process() -> Iterator[Any]:
    made = played()
    mt5 = face(Terminal(lambda _path: DirectLink(made)))
    assert mt5.initialize()
    yield mt5


def over_a_socket() -> Iterator[Any]:
    """The server in a thread of this process, so the caller lets the GIL go."""
    made, ready, at = played(), threading.Event(), SimpleNamespace()

    async def serve() -> None:
        at.loop, at.end = asyncio.get_running_loop(), asyncio.Event()
        listening = await asyncio.start_server(
            lambda reader, writer: serve_stream(reader, writer, made.call), "127.0.0.1", 0
        )
        at.address = f"127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        ready.set()
        await at.end.wait()
        listening.close()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    ready.wait()
    mt5 = face(Terminal(lambda _path: SocketLink(at.address, hold_gil=False)))
    try:
        assert mt5.initialize(), mt5.last_error()
        yield mt5
    finally:
        mt5.shutdown()
        at.loop.call_soon_threadsafe(at.end.set)
        thread.join()


def real() -> Iterator[Any]:
    mt5 = load(REAL)
    assert mt5.initialize(path=real_terminal()), mt5.last_error()
    yield mt5
    mt5.shutdown()


KINDS = [in_process, over_a_socket, *([real] if real_is_there() else [])]


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__, scope="module")
def mt5(request: pytest.FixtureRequest) -> Iterator[Any]:
    yield from request.param()


@pytest.fixture
def symbol(mt5: Any) -> str:
    """A symbol that can be quoted now: EURUSD, whatever its suffix is."""
    found = mt5.symbols_get("*EURUSD*") or mt5.symbols_get()
    name = str(found[0].name)
    assert mt5.symbol_select(name, True)
    return name


def is_made_of(mt5: Any, row: Any, name: str) -> None:
    """``row`` is the struct ``name``, each field of the type that its C type becomes."""
    assert type(row).__name__ == name and type(row) is getattr(mt5, name)
    for field, c_type in FACTS["structs"][name]["fields"].items():
        held = getattr(row, field)
        wanted = C_KIND.get(c_type, int)
        assert isinstance(held, wanted) and (wanted is object or type(held) is wanted), field


def test_who_and_where(mt5: Any) -> None:
    version = mt5.version()
    assert version[0] == 500 and version[1] > 2000 and isinstance(version[2], str)
    is_made_of(mt5, mt5.terminal_info(), "TerminalInfo")
    is_made_of(mt5, mt5.account_info(), "AccountInfo")
    assert mt5.account_info().login > 0
    assert mt5.last_error() == (1, "Success")


def test_symbols(mt5: Any, symbol: str) -> None:
    assert mt5.symbols_total() >= 1
    info = mt5.symbol_info(symbol)
    is_made_of(mt5, info, "SymbolInfo")
    assert info.name == symbol and info.point == pytest.approx(10.0**-info.digits)
    assert symbol in [s.name for s in mt5.symbols_get(symbol)]
    assert mt5.symbols_get("no such symbol at all") == ()
    assert mt5.last_error() == (1, "Success")
    for call in (mt5.symbol_info, mt5.symbol_info_tick):
        assert call("NO_SUCH") is None and mt5.last_error()[0] in (-1, -4)
    assert mt5.symbol_select("NO_SUCH", True) is False and mt5.last_error()[0] in (-1, -4)


def test_a_tick(mt5: Any, symbol: str) -> None:
    tick = mt5.symbol_info_tick(symbol)
    is_made_of(mt5, tick, "Tick")
    assert tick.time == tick.time_msc // 1000 and 0 < tick.bid <= tick.ask


def test_queries_that_find_nothing_are_empty(mt5: Any) -> None:
    nothing = {"ticket": 2**62}
    for name in ("positions_get", "orders_get"):
        assert getattr(mt5, name)(**nothing) == (), mt5.last_error()
        assert getattr(mt5, name)(symbol="NO_SUCH") == ()
        assert mt5.last_error() == (1, "Success")
    assert mt5.history_deals_get(position=2**62) == ()
    assert mt5.history_deals_get(1, 2) == () == mt5.history_orders_get(1, 2)
    assert mt5.history_deals_total(1, 2) == 0 == mt5.history_orders_total(1, 2)


def test_totals_agree_with_what_is_listed(mt5: Any) -> None:
    ever = (0, 2**31 - 1)
    positions, orders = mt5.positions_get(), mt5.orders_get()
    past, deals = mt5.history_orders_get(*ever), mt5.history_deals_get(*ever)
    assert (mt5.positions_total(), mt5.orders_total()) == (len(positions), len(orders))
    assert mt5.history_orders_total(*ever) == len(past)
    assert mt5.history_deals_total(*ever) == len(deals)
    if mt5 is not sys.modules.get(REAL):
        assert (len(positions), len(orders)) == (2, 1) and len(past) >= 3 and len(deals) >= 3
    for rows, name in (
        (positions, "TradePosition"), (orders, "TradeOrder"), (past, "TradeOrder"),
        (deals, "TradeDeal"),
    ):  # fmt: skip
        for row in rows[:5]:
            is_made_of(mt5, row, name)


def test_what_is_asked_for_by_its_number_is_that(mt5: Any) -> None:
    for position in mt5.positions_get()[:3]:
        assert [p.ticket for p in mt5.positions_get(ticket=position.ticket)] == [position.ticket]
        assert position in mt5.positions_get(symbol=position.symbol)
        deals = mt5.history_deals_get(position=position.identifier)
        assert deals and {d.position_id for d in deals} == {position.identifier}
        assert position.time == position.time_msc // 1000
    for order in mt5.orders_get()[:3]:
        assert [o.ticket for o in mt5.orders_get(ticket=order.ticket)] == [order.ticket]


def test_order_check_judges_and_order_calc_counts(mt5: Any, symbol: str) -> None:
    tick = mt5.symbol_info_tick(symbol)
    wrong = mt5.order_check(
        {"action": mt5.TRADE_ACTION_DEAL, "symbol": symbol, "volume": 0.0, "price": tick.ask}
    )
    is_made_of(mt5, wrong, "OrderCheckResult")
    assert wrong.retcode == mt5.TRADE_RETCODE_INVALID_VOLUME
    is_made_of(mt5, wrong.request, "TradeRequest")
    assert (wrong.request.symbol, wrong.request.price) == (symbol, tick.ask)
    margin = mt5.order_calc_margin(mt5.ORDER_TYPE_BUY, symbol, 1.0, tick.ask)
    profit = mt5.order_calc_profit(mt5.ORDER_TYPE_BUY, symbol, 1.0, tick.bid, tick.bid * 1.01)
    loss = mt5.order_calc_profit(mt5.ORDER_TYPE_SELL, symbol, 1.0, tick.bid, tick.bid * 1.01)
    assert margin > 0 and profit > 0 > loss and type(margin) is float is type(profit)
    assert mt5.order_calc_margin(mt5.ORDER_TYPE_BUY, "NO_SUCH", 1.0, 1.0) is None


def test_ticks_are_packed_read_only_and_in_order(mt5: Any, symbol: str) -> None:
    last = mt5.symbol_info_tick(symbol).time
    rows = mt5.copy_ticks_from(symbol, last - 300, 20, mt5.COPY_TICKS_ALL)
    assert rows is not None, mt5.last_error()
    holds_to(rows, "ticks")
    assert 0 < len(rows) <= 20 and (rows["time_msc"][1:] >= rows["time_msc"][:-1]).all()
    assert (rows["time"] == rows["time_msc"] // 1000).all() and rows["time"][0] >= last - 300
    ranged = mt5.copy_ticks_range(symbol, last - 300, last, mt5.COPY_TICKS_INFO)
    holds_to(ranged, "ticks")
    assert ranged["time_msc"][-1] <= last * 1000 + 999
    later = mt5.copy_ticks_range(symbol, last + 10 * DAY_S, last + 11 * DAY_S, mt5.COPY_TICKS_ALL)
    assert later is not None and len(later) == 0


def test_bars_run_from_old_to_new(mt5: Any, symbol: str) -> None:
    rows = mt5.copy_rates_from_pos(symbol, mt5.TIMEFRAME_M1, 0, 5)
    assert rows is not None, mt5.last_error()
    holds_to(rows, "rates")
    assert len(rows) == 5 and (rows["time"][1:] - rows["time"][:-1] >= 60).all()
    assert (rows["time"] % 60 == 0).all()
    assert (rows["low"] <= rows["open"]).all() and (rows["high"] >= rows["close"]).all()
    back = mt5.copy_rates_from(symbol, mt5.TIMEFRAME_M1, int(rows["time"][-1]), 3)
    assert back["time"].tolist() == rows["time"][-3:].tolist()
    ends = int(rows["time"][0]), int(rows["time"][-1])
    between = mt5.copy_rates_range(symbol, mt5.TIMEFRAME_M1, *ends)
    assert between["time"].tolist() == rows["time"].tolist()
    assert mt5.copy_rates_from_pos("NO_SUCH", mt5.TIMEFRAME_M1, 0, 5) is None
    assert mt5.last_error()[0] in (-1, -4)


def holds_to(rows: Any, kind: str) -> None:
    """The dtype of the reference, packed, not to be written to."""
    laid_out = [[f, rows.dtype[f].str, rows.dtype.fields[f][1]] for f in rows.dtype.names]
    assert laid_out == FACTS["dtypes"][kind] and rows.dtype.itemsize == 60
    assert rows.ndim == 1 and not rows.flags.writeable and rows.flags.owndata
    if len(rows):
        with pytest.raises(ValueError, match="read-only"):
            rows["time"][0] = 0


def test_depth_is_there_or_refused_without_an_error(mt5: Any, symbol: str) -> None:
    added = mt5.market_book_add(symbol)
    assert type(added) is bool and mt5.last_error() == (1, "Success")
    if added:
        for level in mt5.market_book_get(symbol) or ():
            is_made_of(mt5, level, "BookInfo")
    assert mt5.market_book_release(symbol) in (True, False)
    assert mt5.last_error() == (1, "Success")


GIVEN: dict[str, tuple[Any, ...]] = {
    "copy_rates_from": ("EURUSD", 1, 5, 1),
    "copy_rates_from_pos": ("EURUSD", 1, 0, 1),
    "copy_rates_range": ("EURUSD", 1, 0, 5),
    "copy_ticks_from": ("EURUSD", 0, 1, -1),
    "copy_ticks_range": ("EURUSD", 0, 5, -1),
    "history_orders_get": (0, 5),
    "history_orders_total": (0, 5),
    "history_deals_get": (0, 5),
    "history_deals_total": (0, 5),
    "order_calc_margin": (0, "EURUSD", 1.0, 1.1),
    "order_calc_profit": (0, "EURUSD", 1.0, 1.1, 1.2),
    "order_check": ({"action": 1, "symbol": "EURUSD", "volume": 0.1},),
    "order_send": ({"action": 1, "symbol": "EURUSD", "volume": 0.1},),
}


def test_the_server_knows_every_call_that_the_module_makes() -> None:
    """-2 from the server is a name or an argument that it does not know."""
    made, asked = played(), set()

    class Noting:
        def call(self, name: str, payload: dict[str, Any]) -> Reply:
            asked.add(name)
            reply = made.call(name, payload)
            assert reply.error[0] != -2, (name, payload)
            return reply

    mt5 = Terminal(lambda _path: DirectLink(Noting()))
    assert mt5.initialize() and mt5.login(made.ledger.account.login)
    wants = {name for name, facts in FACTS["functions"].items() if facts["call"] != "no arguments"}
    for name in FACTS["functions"]:
        if name in ("initialize", "login", "shutdown", "Buy", "Sell", "Close", "_RawOrder"):
            continue
        one = ("EURUSD",) if name in wants and not name.endswith("s_get") else ()
        getattr(mt5, name)(*GIVEN.get(name, one))
    own = {"shutdown", "last_error", "Buy", "Sell", "Close", "_RawOrder"}
    assert asked == set(FACTS["functions"]) - own
