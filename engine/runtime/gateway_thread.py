"""The thread on which a gateway's calls are made, one at a time, away from the session's pump.

Owns :class:`GatewayThread`. What must hold: an intent reaches the gateway only once the journal
says that it is behind a barrier, and then at once, without a turn of the pump; rows are handed over
in the order in which they were said; whatever a broker raises ends nothing but that call.

It refuses to know what is called and why.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from data.sources.row_checks import TIME_MIN_NS
from engine.broker.protocol import Broker, BrokerGoneError
from engine.runtime.gateway import Gateway
from engine.runtime.gateway_calls import Answer, Call, perform
from engine.runtime.gateway_state import BrokerRow

WAIT_MOST_S = 0.25
WAIT_SERVED_S = 0.02
"""A served session's time may jump: what is due is asked for so often, wall time."""

REST_S = 0.02
"""Between two looks with nothing under way passes at least so much wall time: in a session that
plays the past fast, looks would otherwise take a whole core."""

STOP_S = 10.0


class Clock(Protocol):
    """A session's clock."""

    served: bool

    def now(self) -> int:
        """Session time, ns UTC."""


class GatewayThread:
    """Runs ``gateway`` over ``broker``. ``clock`` is the session's; ``wake`` is called, on this
    thread, when rows wait to be taken."""

    def __init__(
        self, gateway: Gateway, broker: Broker, clock: Clock, wake: Callable[[], None]
    ) -> None:
        self.gateway, self.broker = gateway, broker
        self.failure: BaseException | None = None
        """What ended the thread before it was stopped; a bug."""
        self.surprises = 0
        """Calls in which the broker raised what its protocol does not know; taken for lost."""
        self.facts: dict[str, Any] = gateway.facts()
        """The gateway's figures after the last call."""
        self._clock, self._wake = clock, wake
        self._lock = threading.Lock()
        """Guards what waits for its barrier."""
        self._unsynced: deque[tuple[int, int, np.ndarray, int]] = deque()
        self._mark = 0
        self._inbox: deque[tuple[int, np.ndarray, int]] = deque()
        self._rows: deque[BrokerRow] = deque()
        self._alarms: deque[str] = deque()
        self._bell = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="gateway", daemon=True)

    # -- from other threads -----------------------------------------------------------------------

    def start(self) -> None:
        """Begin: the first calls connect and reconcile."""
        self._thread.start()

    def expect(self, mark: int, series: int, rows: np.ndarray, waited_ns: int = 0) -> None:
        """Rows of the table ``intent`` of fold ``series`` were appended to the journal, which gave
        ``mark`` for them; they go to the gateway once that is synced. ``waited_ns`` passed since
        they were decided; what the disk takes for its barrier comes to that."""
        since_ns = time.monotonic_ns() - waited_ns
        with self._lock:
            self._unsynced.append((mark, series, rows, since_ns))
            self._release()

    def synced(self, seq: int, mark: int) -> None:
        """The journal is behind a barrier up to ``mark``: its ``on_synced``."""
        with self._lock:
            self._mark = max(self._mark, mark)
            self._release()

    def take(self) -> list[BrokerRow]:
        """Rows for the log, in order."""
        return _drained(self._rows)

    def take_alarms(self) -> list[str]:
        """What a person should hear."""
        return _drained(self._alarms)

    @property
    def idle(self) -> bool:
        """Nothing waits, is under way, unknown, or to be taken."""
        waits = self._unsynced or self._inbox or self._rows
        return not waits and self.gateway.quiet

    def stop(self) -> None:
        """End after the call being made, at most ``STOP_S`` seconds; the broker is let go by
        whoever made it."""
        self._stopping = True
        self._bell.set()
        if self._thread.ident is not None:
            self._thread.join(STOP_S)

    def _release(self) -> None:
        """Hand over what is synced, ``_lock`` held."""
        while self._unsynced and self._unsynced[0][0] <= self._mark:
            self._inbox.append(self._unsynced[0][1:])
            self._unsynced.popleft()  # after that: it is at no time nowhere
            self._bell.set()

    # -- the thread -------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._step()
        except BaseException as error:  # noqa: BLE001  reason: the pump raises it on its thread
            self.failure = error
            self._wake()

    def _step(self) -> None:
        gateway = self.gateway
        self._bell.clear()
        while self._inbox:
            series, rows, since_ns = self._inbox[0]
            waited_ns = time.monotonic_ns() - since_ns
            for row in rows:
                gateway.intent(series, row, waited_ns)
            self._inbox.popleft()  # after that: it is at no time nowhere
        now_ns = self._clock.now()
        if now_ns < TIME_MIN_NS:  # a served venue that told no time yet
            self._bell.wait(WAIT_SERVED_S)
            return
        call = gateway.next_call(now_ns)
        if call is None:
            self._hand_over(gateway.take())
            self._rest()
            return
        answer = self._made(call)
        self._hand_over(gateway.answer(call, answer, self._clock.now()))

    def _made(self, call: Call) -> Answer:
        try:
            return perform(call, self.broker)
        except Exception as error:  # noqa: BLE001  reason: no bug of a broker ends the session
            self.surprises += 1
            return BrokerGoneError(
                f"the broker failed in {call.ask.value}", why=f"{type(error).__name__}: {error}"
            )

    def _hand_over(self, rows: Sequence[BrokerRow]) -> None:
        self._alarms.extend(self.gateway.take_alarms())
        self.facts = self.gateway.facts()
        if rows:
            self._rows.extend(rows)
            self._wake()

    def _rest(self) -> None:
        """Until something is due or comes."""
        now_ns = self._clock.now()
        due_s = (self.gateway.due_ns(now_ns) - now_ns) / 1e9
        most_s = WAIT_SERVED_S if self._clock.served else WAIT_MOST_S
        began_s = time.monotonic()
        self._bell.wait(min(max(due_s, 0.0), most_s))
        spent_s = time.monotonic() - began_s
        if self.gateway.quiet and spent_s < REST_S:
            self._bell.wait(REST_S - spent_s)


def _drained(queue: deque[Any]) -> list[Any]:
    found = []
    while queue:
        found.append(queue.popleft())
    return found
