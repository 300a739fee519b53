"""The sandbox's own clock, its port, and what happens when it breaks."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from engine.broker.terminal.client import Terminal
from engine.broker.terminal.server.sandbox import Place, Sandbox, TapeClock
from engine.broker.terminal.server.sim import SimServer
from engine.broker.terminal.wire import SocketLink
from tests.engine.broker.terminal.server.made import NOON_NS, NS, server

FLAT = [(float(s), 1.1, 1.1001) for s in range(600)]


def test_the_clock_stands_until_somebody_comes_and_ends_with_the_range() -> None:
    wall_s = [50.0]
    clock = TapeClock(NOON_NS, NOON_NS + 100 * NS, 20.0, 1.0, lambda: wall_s[0])
    wall_s[0] += 5
    assert clock.now_ns() == NOON_NS
    clock.begin()
    wall_s[0] += 1
    assert clock.now_ns() == NOON_NS
    wall_s[0] += 2
    clock.begin()  # the second client changes nothing
    assert clock.now_ns() == NOON_NS + 40 * NS
    wall_s[0] += 5
    assert clock.now_ns() == NOON_NS + 100 * NS
    assert clock.facts()["ended"]


class Running:
    """A sandbox on a thread; ``error`` is what ended it."""

    def __init__(self, made: SimServer, speed: float) -> None:
        self.sandbox = Sandbox(made, Place(), TapeClock(NOON_NS, NOON_NS + 600 * NS, speed))
        self.error: BaseException | None = None
        self.told: dict[str, Any] = {}
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def _work(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001  reason: the test looks at it
            self.error = error
        self._ready.set()

    async def _serve(self) -> None:
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()

        def told(facts: dict[str, Any]) -> None:
            self.told = facts
            self._ready.set()

        await self.sandbox.serve(told, self._stopped)

    def __enter__(self) -> Running:
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(20)
        assert not self._thread.is_alive()


def joined(address: str) -> Terminal:
    """A module at ``address``; its server is a thread of this process, so it may let go."""
    module = Terminal(lambda _path: SocketLink(address, hold_gil=False))
    assert module.initialize()
    return module


def test_a_delay_is_the_markets_and_shorter_when_it_is_played_faster() -> None:
    made = server(*FLAT)
    made.fault("delay", "60s", call="account_info", count=1)
    with Running(made, speed=100.0) as running:
        module = joined(running.told["terminal"])
        before = made.now_ns
        assert module.account_info().balance == 10_000.0
        module.version()
        passed_s = (made.now_ns - before) / NS
        assert 55 < passed_s < 500  # not a minute of the wall clock
    assert running.error is None


def test_a_bug_of_the_stand_in_ends_it_loudly(monkeypatch: pytest.MonkeyPatch) -> None:
    made = server(*FLAT)

    def broken(_name: str, _payload: dict[str, Any]) -> None:
        raise ZeroDivisionError

    with Running(made, speed=1.0) as running:
        module = joined(running.told["terminal"])
        monkeypatch.setattr(made, "call", broken)
        assert module.account_info() is None
        running._thread.join(20)
    assert isinstance(running.error, ZeroDivisionError)


def test_two_clients_have_one_account() -> None:
    made = server(*FLAT)
    with Running(made, speed=1.0) as running:
        one, two = (joined(running.told["terminal"]) for _ in "12")
        request = {"action": 1, "symbol": "EURUSD", "volume": 0.1, "type": 0, "type_filling": 1}
        sent = one.order_send(request)
        one.shutdown()
        assert [p.ticket for p in two.positions_get()] == [sent.order]


def test_what_is_under_way_at_the_end_of_the_range_comes_to_its_end() -> None:
    made = server(*FLAT)
    made.fault("hidden_deals", "500ms", call="order_send", count=1)
    with Running(made, speed=100_000.0) as running:
        module = joined(running.told["terminal"])
        until_s = time.monotonic() + 20
        while made.now_ns < NOON_NS + 600 * NS and time.monotonic() < until_s:
            module.version()
        request = {"action": 1, "symbol": "EURUSD", "volume": 0.1, "type": 0, "type_filling": 1}
        assert module.order_send(request).retcode == 10009
        while not module.positions_get() and time.monotonic() < until_s:
            time.sleep(0.05)
        assert len(module.positions_get()) == 1
        assert running.sandbox.clock.facts()["now_ns"] == NOON_NS + 600 * NS
