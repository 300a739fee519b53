"""The whole way to a terminal, in real time: adapter, worker or bridge, module, socket, server."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from data.enums import Side
from engine.broker import worker_main
from engine.broker.bridge import BridgeTerminal
from engine.broker.mt5 import LOST, Mt5Broker, Mt5Settings
from engine.broker.protocol import BrokerGoneError, Treatment
from engine.broker.terminal.server.sim import SimServer
from engine.broker.terminal.server.specs import AccountSpec, spec_of
from engine.broker.terminal.wire import Reply, serve_stream
from engine.broker.worker import FramedTerminal, WorkerTerminal
from tests.engine.broker.rigs import ASK, BID, NS, SCALES, SYMBOL, magic, market
from tests.engine.broker.test_worker import ROOT, TOKEN
from tests.shared import CAMPAIGN

MODULE = "engine.broker.terminal"
PASSWORD = "planted-Secret-4711"


class Served:
    """A simulated server behind a socket, on the wall clock, quoted with each call."""

    def __init__(self) -> None:
        account = AccountSpec(password=PASSWORD)
        now = time.time_ns()
        self.server = SimServer("new-york", [spec_of(SYMBOL)], account, start_ns=now - NS)
        self.began_ns: list[int] = []
        self.address = ""
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def answer(self, name: str, payload: dict[str, Any]) -> Reply:
        now = time.time_ns()
        if name == "order_send":
            self.began_ns.append(now)
        self.server.feed([(now, SYMBOL, BID / 100, ASK / 100)])
        self.server.advance(now)
        return self.server.call(name, payload)

    def _run(self) -> None:
        async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(asyncio.CancelledError):  # the test is over
                await serve_stream(reader, writer, self.answer)

        async def begin() -> None:
            server = await asyncio.start_server(one, "127.0.0.1", 0)
            self.address = "{}:{}".format(*server.sockets[0].getsockname())
            self._ready.set()

        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(begin())
        self._loop.run_forever()
        pending = asyncio.all_tasks(self._loop)
        for task in pending:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
        self._loop.close()

    @contextmanager
    def up(self) -> Iterator[Served]:
        self._thread.start()
        self._ready.wait(10)
        yield self
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)


@pytest.fixture
def served() -> Iterator[Served]:
    with Served().up() as made:
        yield made


@contextmanager
def bridged() -> Iterator[str]:
    """The address of a bridge to the stand-in."""
    command = [sys.executable, worker_main.__file__, "--module", MODULE, "--listen", "127.0.0.1:0"]
    env = os.environ | {"OFS_BRIDGE_TOKEN": TOKEN, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["bridge"]
        process.kill()


def broker(terminal: FramedTerminal, served: Served, **more: Any) -> Mt5Broker:
    account = served.server.ledger.account
    settings = Mt5Settings(
        account.login, account.server, {SYMBOL: SCALES}, path=served.address, password=PASSWORD,
        **more,
    )  # fmt: skip
    made = Mt5Broker(terminal, settings)
    assert made.connect().trade_allowed and made.clock_proven
    return made


@pytest.mark.parametrize("way", ["worker", "bridge"])
def test_a_trade_and_a_hang_on_the_real_way(served: Served, way: str) -> None:
    if way == "worker":
        trade_and_hang(WorkerTerminal(MODULE), served)
        return
    with bridged() as address:
        trade_and_hang(BridgeTerminal(address, TOKEN), served)


def trade_and_hang(terminal: FramedTerminal, served: Served) -> None:
    """Open, lose an answer to a hang, find out, close."""
    b = broker(terminal, served, send_s=0.5)
    done = b.submit(market(Side.BUY, 10, 1, stop=5_900_000))
    assert (done.treatment, done.price) == (Treatment.DONE, ASK)
    (held,) = b.positions()
    assert (held.magic, held.stop) == (magic(1), 5_900_000)
    assert 0 <= time.time_ns() - held.open_ns < 60 * NS
    served.server.fault("hang", call="order_send", count=1, executed=True)
    lost = b.submit(market(Side.BUY, 10, 2))
    assert (lost.treatment, lost.code) == (Treatment.RECONCILE, LOST)
    with pytest.raises(BrokerGoneError):
        b.positions()
    b.connect()
    assert terminal.restarts == 1
    assert [p.magic for p in b.positions()] == [magic(1), magic(2)]
    for number, position in enumerate(b.positions(), 3):
        assert b.close(position, 10, magic(number), "out").treatment is Treatment.DONE
    assert [d.magic for d in b.deals(0)][1:] == [magic(n) for n in (1, 2, 3, 4)]
    assert b.quotes(SYMBOL, held.open_ns)[-1].ask == ASK
    b.stop()


def test_a_wrong_password_is_told_without_it(served: Served) -> None:
    served.server.ledger.account = AccountSpec(password="another")
    with pytest.raises(Exception, match="not authorized") as error:
        broker(WorkerTerminal(MODULE), served)
    assert PASSWORD not in str(error.value) + repr(error.value)


def test_an_order_is_on_its_way_soon(served: Served) -> None:
    b = broker(WorkerTerminal(MODULE), served)
    took = []
    for number in range(1, 101):
        began = time.time_ns()
        assert b.submit(market(Side.BUY, 1, number)).treatment is Treatment.DONE
        took.append(served.began_ns[-1] - began)
    median, high = sorted(took)[50], sorted(took)[98]
    # 0.3 ms and 5.1 ms from submit() to the server were measured on two cores under a load of 7

    assert median < (3 if CAMPAIGN else 30) * 1_000_000, (median, high)
    b.stop()
