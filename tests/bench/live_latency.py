"""From a decision to the order's leaving, on this machine with a feed running: a measurement.

    python -m tests.bench.live_latency                      # 200 orders, 2,000 messages a second
    python -m tests.bench.live_latency --orders 500 --rate 5000

Everything is real: the pump with its journal on disk and a fold of ``delta_flip`` behind it, the
gateway's thread, the adapter, a worker process, and the stand-in terminal in a third process. The
intents are made beside the fold, a few a second, so that there are enough of them. One JSON line,
milliseconds:

``leaves``: from the intent's coming out of the fold until the gateway gives the order to the
broker, that is until it is synced and has found its way to the other thread; ``send``: until the
worker calls ``order_send`` (the adapter looks at account and quote first); ``read``: the same from
the reading of the frame that was folded; ``filled``: until the fill is back in the journal.
``sync`` is how long a barrier took. ``bar``: whether p99 of ``send`` is below 5 ms more than p99 of
a barrier.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from data.enums import Action, BrokerAct, Side
from data.events import RECORDS, Scales, numpy_dtype
from data.live.blocks import Group, Series
from data.live.clock import SessionClock
from data.live.inlet import Inlet
from data.live.recorder import Limits, Recorder, RecordRows
from data.live.reopen import reopen
from data.live.run import SWITCH_S
from engine.broker.mt5 import Mt5Broker, Mt5Settings
from engine.broker.protocol import NewOrder, Outcome
from engine.broker.worker import WorkerTerminal
from engine.runtime.fold import Buffers
from engine.runtime.gateway import Gateway, GatewaySeries, GatewaySettings
from engine.runtime.gateway_thread import GatewayThread
from engine.runtime.replay import Request
from engine.runtime.session_fold import LiveFold
from engine.runtime.usage import quiet_collector
from strategies import get
from tests.bench.live import Behind
from tests.campaigns.firehose import Frames, names

SCALES = Scales(2, 3)
SERIES = [Series("binance-spot", "BTCUSDT", SCALES), Series("mt5", "BTCUSDc", SCALES)]
QTY = 10
EVERY_NS = 150_000_000
INTENT = numpy_dtype(RECORDS["intent"])
MS = 1e6


def percentiles(ns: Sequence[int]) -> dict[str, float]:
    """p50, p90, p99 and the most, ms."""
    p50, p90, p99 = np.percentile(np.array(ns or [0]), (50, 90, 99)).tolist()
    most = max(ns, default=0)
    return {k: round(v / MS, 2) for k, v in
            {"p50": p50, "p90": p90, "p99": p99, "max": most}.items()}  # fmt: skip


class TimedTerminal(WorkerTerminal):
    """Keeps when the worker called ``order_send``, ns of the wall clock."""

    began: list[int]

    def call(self, name: str, *args: Any, deadline_s: float, **kwargs: Any) -> Any:
        answer = super().call(name, *args, deadline_s=deadline_s, **kwargs)
        if name == "order_send":
            self.began.append(answer.began_ns)
        return answer


class TimedBroker(Mt5Broker):
    """Keeps when an order was given to it."""

    given: list[int]

    def submit(self, order: NewOrder) -> Outcome:
        self.given.append(time.time_ns())
        return super().submit(order)


@dataclass
class Deciding:
    """Folds, and wants an order now and then: buys and sells in turn, so that a netting account is
    never far from flat."""

    live: LiveFold
    left: int
    thread: GatewayThread | None = None
    decided: list[int] = field(default_factory=list)
    read: list[int] = field(default_factory=list)
    read_ns: int = 0
    next_ns: int = 0

    def fold(self, group: Group) -> Sequence[RecordRows]:
        self.live.feed_group(group)
        thread, now_ns = self.thread, time.time_ns()
        ready = thread is not None and thread.idle and thread.gateway.reconciled
        if not ready or not self.left or now_ns < self.next_ns or thread.gateway.blocked:
            return ()
        self.left -= 1
        self.next_ns = now_ns + EVERY_NS
        n = len(self.decided) + 1
        row = np.zeros(1, INTENT)
        row["id"] = row["order_id"] = row["decision_id"] = n
        row["ts_ns"], row["qty"], row["tif"] = now_ns, QTY, 1
        row["action"] = Action.ENTER_LONG if n % 2 else Action.ENTER_SHORT
        row["side"] = Side.BUY if n % 2 else Side.SELL
        self.read.append(now_ns - (time.monotonic_ns() - self.read_ns))
        self.decided.append(time.time_ns())
        return [RecordRows(0, "intent", row, group.last_seq)]

    def cut(self, seq: int) -> None: ...

    def keep(self, seq: int, cut: Any) -> None: ...


def terminal() -> None:
    """The stand-in on the wall clock, until it is ended; prints its address."""
    from dataclasses import replace

    from engine.broker.terminal.server.port import TerminalPort
    from engine.broker.terminal.server.sim import SimServer
    from engine.broker.terminal.server.specs import AccountSpec, spec_of
    from engine.broker.terminal.server.words import Margin

    account = replace(AccountSpec(), margin_mode=Margin.NETTING)
    sim = SimServer("new-york", [spec_of("BTCUSDc")], account, start_ns=time.time_ns())

    async def serve() -> None:
        port = TerminalPort(sim, time.time_ns)
        sim.feed([(time.time_ns(), "BTCUSDc", 60_000.0, 60_000.2)])
        print(json.dumps({"terminal": await port.start()}), flush=True)
        while True:
            sim.feed([(time.time_ns(), "BTCUSDc", 60_000.0, 60_000.2)])
            port.tick()
            await asyncio.sleep(0.1)

    asyncio.run(serve())


def measured(folder: Path, address: str, orders: int, rate: int) -> dict[str, Any]:
    """Run until all orders are filled."""
    opened = reopen(folder / "log", "bench", SERIES)
    request = Request(get("delta_flip"), "delta_flip", "binance-spot")
    deciding = Deciding(LiveFold.make(0, SERIES[0], request, Buffers()), orders)
    made = Frames(names(1), 20, framed=False).make(int(rate * 600), time.time_ns() // 1_000_000)
    clock = SessionClock()
    feed = Behind(made, rate)
    recorder = Recorder(
        opened, feed, Inlet(opened.series, clock), clock, consumer=deciding,
        limits=Limits(checkpoint_bytes=1 << 40, checkpoint_ns=1 << 62),
    )  # fmt: skip
    worker = TimedTerminal("engine.broker.terminal", {"OFS_SANDBOX": address})
    worker.began = []
    settings = Mt5Settings(5_000_001, "ofs-Sandbox", {"BTCUSDc": SCALES}, path=address)
    broker = TimedBroker(worker, settings)
    broker.given = []
    gateway = Gateway([GatewaySeries(0, 1, "BTCUSDc", SCALES)], 1, 1, GatewaySettings())
    thread = deciding.thread = GatewayThread(gateway, broker, clock, lambda: None)

    def wrote(mark: int, rows: RecordRows) -> None:
        thread.expect(mark, rows.series, rows.rows)
        opened.journal.hurry()

    recorder.wrote, opened.journal.on_synced = wrote, thread.synced
    quiet_collector()
    sys.setswitchinterval(SWITCH_S)
    thread.start()
    feed.start()
    filled: list[int] = []
    wall_s, cpu_s = time.monotonic(), time.process_time()
    while len(filled) < orders and not recorder.ended:
        recorder.step()
        deciding.read_ns = recorder.read_ns or time.monotonic_ns()
        rows = thread.take()
        for row in rows:
            recorder.inlet.broker_event(row.series, row.row())
            if row.act == BrokerAct.FILL:
                filled.append(time.time_ns())
        if rows:
            recorder.admit(recorder.inlet.collect())
    wall_s, cpu_s = time.monotonic() - wall_s, time.process_time() - cpu_s
    thread.stop()
    broker.stop()
    sync = opened.journal.facts
    equal, counts = gateway.books.equal, gateway.counts
    events = recorder.tally.events
    opened.close(False)
    return {
        "orders": len(filled), "sent": counts.sent, "unknown": counts.unknown, "books": equal,
        "events_per_s": round(events / wall_s), "cpu_share": round(cpu_s / wall_s, 2),
        "leaves": percentiles(_between(deciding.decided, broker.given)),
        "send": percentiles(_between(deciding.decided, worker.began)),
        "read": percentiles(_between(deciding.read, worker.began)),
        "filled": percentiles(_between(deciding.decided, filled)),
        "sync": {"p50": round(sync.sync_p50_ms, 2), "p99": round(sync.sync_p99_ms, 2),
                 "count": sync.syncs},
    }  # fmt: skip


def _between(a: Sequence[int], b: Sequence[int]) -> list[int]:
    return [y - x for x, y in zip(a, b, strict=False)]


def main() -> None:
    """The stand-in in a process of its own, then the measurement."""
    reader = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    reader.add_argument("case", nargs="?", choices=("terminal",), help=argparse.SUPPRESS)
    reader.add_argument("--orders", type=int, default=200)
    reader.add_argument("--rate", type=int, default=2_000, help="messages a second")
    given = reader.parse_args()
    if given.case == "terminal":
        terminal()
        return
    began = os.getloadavg()[0]
    command = [sys.executable, "-m", "tests.bench.live_latency", "terminal"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding="utf-8") as server:
        assert server.stdout is not None
        address = json.loads(server.stdout.readline())["terminal"]
        try:
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                facts = measured(Path(folder), address, given.orders, given.rate)
        finally:
            server.terminate()
    bar = facts["send"]["p99"] < 5 + facts["sync"]["p99"]
    load = [round(began, 1), round(os.getloadavg()[0], 1)]
    print(json.dumps({"case": "live latency", **facts, "bar": bar, "load": load}), flush=True)


if __name__ == "__main__":
    main()
