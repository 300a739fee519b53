"""How fast a session takes what a venue sends, on this machine: a measurement, no test.

    python -m tests.bench.live                    # all four, one JSON line each
    python -m tests.bench.live socket --seconds 30
    python -m tests.bench.live soak --seconds 300

``socket``: a paper session behind a real socket, 20,000 messages a second from a sender on the same
cores; is all of it synced, and how long from reading to decision? ``behind``: frames that were made
before, of one symbol, put behind the socket at 50,000 a second, into journal and folds of nothing.
``many``: 300 symbols at 50 books of 20 levels and 100 trades each a second. ``soak``: full speed,
and how resident memory moves after the first quarter.

``behind`` and ``many`` are run twice, at their pace and as fast as can be; ``ratio`` is what the
second came to over what was asked.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from data.events import Scales
from data.live.blocks import Series
from data.live.clock import SessionClock
from data.live.inlet import Inlet
from data.live.items import Ended, FeedFacts, Frame, Item
from data.live.recorder import Limits, Recorder
from data.live.reopen import reopen
from engine.runtime.lags import Lags
from tests.campaigns.firehose import Frames, names
from tests.cli.run import command, environment

CASES = ("socket", "behind", "many", "soak")
SYMBOLS = 300
MB = 1 << 20
PAPER = """
venue = "binance-spot"
symbols = ["BTCUSDT", "S001USDT", "S002USDT"]
streams = ["trade", "depth"]
strategy = "delta_flip"
[settings]
"decision.step" = "1s"
window = "1s"
warmup = 2
[http]
on = false
"""


class Behind:
    """A feed of messages that are there already: ``rate`` a second, or all at once (0). Where
    ``frames`` makes them, ``made`` is taken anew as often as needed, until ``until_s``."""

    def __init__(self, made: list[bytes], rate: float, frames: Frames | None = None) -> None:
        self.facts = FeedFacts(connections=1)
        self.made, self.rate, self.frames = made, rate, frames
        self.at = 0
        self.began_s = self.until_s = 0.0
        self.ended = False

    def start(self) -> None:
        self.began_s = time.monotonic()

    def stop(self) -> None: ...

    def take(self, most: int, wait_s: float) -> Sequence[Item]:
        now_s = time.monotonic()
        if self.frames is not None and now_s < self.until_s:
            data = self.frames.make(2048, time.time_ns() // 1_000_000)
            return [Frame(time.monotonic_ns(), 1, x) for x in data]
        due = int((now_s - self.began_s) * self.rate) if self.rate else len(self.made)
        stop = min(due, len(self.made), self.at + most)
        if stop == self.at < len(self.made):
            time.sleep(min(wait_s, 0.001))
            return []
        # the time at which it should have come: what waits is late
        begin_ns, step_ns = int(self.began_s * 1e9), int(1e9 / self.rate) if self.rate else 0
        now_ns = time.monotonic_ns()
        items: list[Item] = [
            Frame(begin_ns + n * step_ns if step_ns else now_ns, 1, self.made[n])
            for n in range(self.at, stop)
        ]
        self.at = stop
        if items or self.ended:
            return items
        self.ended = True
        return [Ended(now_ns)]


def recorded(folder: Path, symbols: int, feed: Behind) -> tuple[Recorder, Lags, float, float]:
    """Record a feed to its end; (recorder, lags, wall and CPU seconds until all was synced)."""
    series = [Series("binance-spot", s, Scales(1, 3)) for s in names(symbols)]
    opened = reopen(folder, "bench", series)
    clock, lags = SessionClock(), Lags()
    recorder = Recorder(
        opened, feed, Inlet(opened.series, clock), clock, heard=lags.add,
        limits=Limits(checkpoint_bytes=256 * MB),
    )  # fmt: skip
    feed.start()
    wall, cpu = time.perf_counter(), time.process_time()
    while not recorder.ended:
        recorder.step()
    recorder.admit(recorder.inlet.flush())
    opened.journal.wait_synced(opened.last_seq, 60)
    return recorder, lags, time.perf_counter() - wall, time.process_time() - cpu


def _closed(recorder: Recorder) -> None:
    recorder.drain()
    recorder.opened.close(True)


def paced(case: str, seconds: float) -> dict[str, Any]:
    """``behind`` and ``many``: at their pace, then as fast as can be."""
    symbols, rate, every = (1, 50_000, 20) if case == "behind" else (SYMBOLS, SYMBOLS * 150, 3)
    facts: dict[str, Any] = {"symbols": symbols, "asked_per_s": rate}
    for name, pace in (("paced", rate), ("free", 0)):
        made = Frames(names(symbols), every, framed=False).make(
            int(rate * seconds), time.time_ns() // 1_000_000
        )
        with tempfile.TemporaryDirectory() as folder:
            recorder, lags, wall_s, cpu_s = recorded(Path(folder), symbols, Behind(made, pace))
            found = {
                "events": recorder.tally.events, "per_s": round(len(made) / wall_s),
                "cpu_us": round(cpu_s / len(made) * 1e6, 2), "gaps": recorder.tally.gaps,
                "sync_p99_ms": round(recorder.journal.facts.sync_p99_ms, 1),
            }  # fmt: skip
            if pace:
                found |= {"lag_p50_ms": round(lags.percentile_ms(0.5), 2),
                          "lag_p99_ms": round(lags.percentile_ms(0.99), 2)}  # fmt: skip
            facts[name] = found
            _closed(recorder)
    facts["ratio"] = round(facts["free"]["per_s"] / rate, 2)
    return facts


def soak(seconds: float) -> dict[str, Any]:
    """Full speed for ``seconds``; memory is read at every step after a quarter of the time."""
    frames, process = Frames(names(20), 3, framed=False), psutil.Process()
    feed = Behind([], 0, frames)
    feed.until_s = time.monotonic() + seconds
    seen: list[int] = []
    series = [Series("binance-spot", s, Scales(1, 3)) for s in names(20)]
    with tempfile.TemporaryDirectory() as folder:
        opened = reopen(Path(folder), "bench", series)
        clock = SessionClock()
        recorder = Recorder(
            opened, feed, Inlet(opened.series, clock), clock,
            limits=Limits(checkpoint_bytes=16 * MB),
        )  # fmt: skip
        feed.start()
        began_s = next_s = time.monotonic()
        while not recorder.ended:
            recorder.step()
            if time.monotonic() >= next_s:
                next_s += 0.5
                if next_s - began_s > seconds / 4:
                    seen.append(process.memory_info().rss // MB)
        wall_s = time.monotonic() - began_s
        events, checkpoints = recorder.tally.events, recorder.checkpoints
        _closed(recorder)
    first, last = seen[: len(seen) // 4], seen[-len(seen) // 4 :]
    return {
        "seconds": round(wall_s), "events": events, "per_s": round(events / wall_s),
        "checkpoints": checkpoints, "rss_mb": [min(seen), max(seen)],
        "first_mb": round(sum(first) / len(first)), "last_mb": round(sum(last) / len(last)),
        "growth": round(sum(last) / len(last) / (sum(first) / len(first)) - 1, 3),
    }  # fmt: skip


def socket(seconds: float) -> dict[str, Any]:
    """A paper session of three symbols, each event folded, behind a socket."""
    with tempfile.TemporaryDirectory() as home:
        env = environment(Path(home), OFS_RUNS=f"{home}/runs", OFS_LOG=f"{home}/log")
        sender = subprocess.Popen(
            [sys.executable, "-m", "tests.campaigns.firehose", "20000", "3"],
            stdout=subprocess.PIPE, text=True, encoding="utf-8",
        )  # fmt: skip
        assert sender.stdout is not None
        line = json.loads(sender.stdout.readline())
        (Path(home) / "paper.toml").write_text(PAPER, encoding="utf-8")
        session = subprocess.Popen(
            command("paper", "--config", "paper.toml", "--endpoint", f"{line['ws']},{line['rest']}",
                    "--json", "--no-progress"),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, cwd=home, text=True,
            encoding="utf-8",
        )  # fmt: skip
        assert session.stderr is not None
        for said in session.stderr:
            if said.startswith("session "):
                break
        watched, began_s = psutil.Process(session.pid), time.monotonic()
        before = watched.cpu_times()
        time.sleep(seconds)
        after, wall_s = watched.cpu_times(), time.monotonic() - began_s
        session.terminate()  # SIGTERM: drains and seals; Windows just ends it
        out, err = session.communicate(timeout=120)
        sender.terminate()
        sent = json.loads(sender.communicate(timeout=30)[0])
    assert out, f"{session.returncode}: {err}"
    facts = json.loads(out)
    cpu_s = after.user + after.system - before.user - before.system
    wanted = ("events", "synced", "gaps", "dropped", "decisions", "lag_p50_ms", "lag_p99_ms",
              "decision_p99_ms")  # fmt: skip
    return {
        "asked_per_s": 20_000, "per_s": round(facts["events"] / wall_s), "sender": sent,
        "cpu_share": round(cpu_s / wall_s, 2), **{name: facts[name] for name in wanted},
    }  # fmt: skip


def main() -> None:
    """One case here, all of them in processes of their own."""
    reader = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    reader.add_argument("case", nargs="?", choices=CASES)
    reader.add_argument("--seconds", type=float, default=0.0, help="of each case")
    given = reader.parse_args()
    if given.case is None:
        for case in CASES:
            more = ["--seconds", str(given.seconds)] if given.seconds else []
            subprocess.run([sys.executable, "-m", "tests.bench.live", case, *more], check=True)
        return
    began = os.getloadavg()[0]
    if given.case == "socket":
        facts = socket(given.seconds or 20)
    elif given.case == "soak":
        facts = soak(given.seconds or 60)
    else:
        facts = paced(given.case, given.seconds or 5)
    load = [round(began, 1), round(os.getloadavg()[0], 1)]
    print(json.dumps({"case": given.case, **facts, "load": load}), flush=True)


if __name__ == "__main__":
    main()
