"""A paper session in one process: however it is fed, cut and crashed, it is one fold of its log."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from data.errors import DataError, UsageError
from data.events import RECORDS, numpy_dtype
from data.live.items import Ended, Frame, Item, Opened
from data.live.recorder import Limits
from data.live.run import Ends
from data.live.session_folder import SessionFolder
from data.live.wiring import series_facts
from data.log import LogStore
from data.runs import find_run
from engine.runtime import session as module
from engine.runtime.paper_config import PaperConfig, as_facts, parse_paper
from engine.runtime.session import Session, Setup, left_unfinished, prepare
from engine.runtime.session_choice import Wanted, choose
from engine.runtime.session_state import snapshots
from engine.runtime.verify import verify
from strategies import get
from tests.data.live.frames import BTC, ETH, MS, T0_NS, depth, trade
from tests.data.live.test_recorder import ListFeed
from tests.engine.runtime.make_session import paper_setup, paper_text

CONFIG = paper_text(entry_z=1.0, window="15s")
MINUTES = 12


@cache
def market() -> tuple[Item, ...]:
    """Twelve minutes of trades and books with waves of one side."""
    chance = random.Random(3)
    items: list[Item] = [Opened(1, 1, ("btcusdt@aggTrade", "btcusdt@depth20@100ms"))]
    for n in range(1, MINUTES * 60 * 4):
        ms = n * 250
        wave = (n // 160) % 2
        size = f"{chance.randint(1, 400) / 1000:.3f}"
        price = f"{27950 + (n % 160) * (0.1 if wave else -0.1):.1f}0"
        data = trade(n, ms, p=price, q=size, m=chance.random() < (0.2 if wave else 0.8))
        items.append(Frame(1000 * n, 1, data))
        if n % 2 == 0:
            items.append(Frame(1000 * n + 1, 1, depth(n * 10, ms)))
    return (*items, Ended(10**10))


@pytest.fixture(autouse=True)
def no_venue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "instruments", lambda _ask, _known: [BTC])


def session(
    folder: Path,
    items: Sequence[Item],
    cut: Callable[[], int] = lambda: 1 << 30,
    crash: Callable[[str], None] = lambda _name: None,
    config: str = CONFIG,
) -> Session:
    limits = Limits(checkpoint_ns=3 * 60 * 1000 * MS, checkpoint_bytes=1 << 40)
    ready = prepare(paper_setup(folder, config, ListFeed(items, cut), T0_NS, limits, crash))
    ready.recorder._sleep = lambda _s: None
    return ready


def whole(paper: Session) -> dict[str, Any]:
    """Run to the end; the run that was published verifies. What the session says of itself."""
    facts = paper.summary(paper.run(Ends(until_end=True)))
    recorded = find_run(paper.setup.runs, facts["runs"][0])
    verdict = verify(LogStore(paper.folder.log), recorded, get("delta_flip"))
    assert verdict.ok, verdict
    assert verdict.digest == facts["digest"]
    return facts


def test_decisions_do_not_depend_on_how_the_pump_cut_its_groups(tmp_path: Path) -> None:
    one = whole(session(tmp_path / "one", market()))
    assert one["decisions"] == MINUTES * 12 - 1
    assert one["orders"] > 2, "or the test proves little"
    chance = random.Random(1)
    many = whole(session(tmp_path / "many", market(), lambda: chance.choice((1, 2, 3, 50, 400))))
    for name in ("digest", "events", "decisions", "orders", "fills"):
        assert one[name] == many[name], name


class Crash(BaseException):
    """The process dies here."""


POINTS = ("cut", "sealed", "records", "run written", "published", "snapshot", "kept")


def rest(dead: Session) -> list[Item]:
    """What the venue sends to the next process: the last few things once more, and on."""
    feed = dead.recorder.feed
    assert isinstance(feed, ListFeed)
    return [market()[0], *market()[max(1, feed.taken - 20) :]]


@pytest.mark.parametrize("point", POINTS)
def test_a_crash_at_any_step_of_a_checkpoint(tmp_path: Path, point: str) -> None:
    left = [1 + POINTS.index(point) % 2]

    def crash(name: str) -> None:
        left[0] -= name == point
        if name == point and left[0] == 0:
            raise Crash

    chance = random.Random(point)
    dead = session(tmp_path, market(), lambda: chance.randint(20, 60), crash)
    with pytest.raises(Crash):
        dead.run(Ends(until_end=True))
    again = session(tmp_path, rest(dead))
    assert again.folder.id == dead.folder.id
    assert again.recovery.last_seq == dead.recorder.journal.written_seq
    facts = whole(again)
    kinds = again.recorder.tally.kinds
    trades = sum(b"aggTrade" in i.data for i in market() if isinstance(i, Frame))
    assert kinds["trade"] == trades, "none was missed, none is there twice"
    assert facts["gaps_by_reason"]["downtime"] > 0
    assert facts["decisions"] == MINUTES * 12 - 1


def test_bad_snapshots_are_passed_over(tmp_path: Path) -> None:
    asked: list[str] = []
    chance = random.Random(5)
    first = session(tmp_path, market()[:2500], lambda: chance.randint(20, 60))
    first._tick = lambda: asked.append("SIGTERM") if first.recorder.feed.taken >= 2400 else None  # type: ignore[method-assign, attr-defined]
    first.run(Ends(lambda: asked[0] if asked else ""))
    kept = snapshots(first.folder.state)
    assert len(kept) == 2
    for at, path in enumerate(kept):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        again = session(tmp_path, ())
        assert len(again.recovery.passed_over) == at + 1
        assert again.folds.lives[0].fold.snapshot() == first.folds.lives[0].fold.snapshot()
        assert again.folds.rows == first.folds.rows
        again.opened.close(clean=False)
    assert again.recovery.snapshot_seq == 0, "everything was folded again"
    assert whole(session(tmp_path, rest(first)))["decisions"] == MINUTES * 12 - 1


def test_records_that_the_log_does_not_give_are_a_loud_error(tmp_path: Path) -> None:
    dead = session(tmp_path, market()[:200])
    dead.recorder.step(0)
    rows = np.zeros(1, dtype=numpy_dtype(RECORDS["fill"]))
    rows["id"] = 7
    dead.recorder.journal.append_records(0, "fill", rows, dead.recorder.journal.written_seq)
    dead.opened.close(clean=False)
    with pytest.raises(DataError, match="does not give the fills"):
        session(tmp_path, ())


def test_two_instruments_are_two_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "instruments", lambda _ask, _known: [BTC, ETH])
    both = CONFIG.replace('"BTCUSDT"', '"BTCUSDT", "ETHUSDT"')
    items: list[Item] = []
    for n, item in enumerate(market()):
        items.append(item)
        if isinstance(item, Frame) and n % 3 == 0:
            items.append(
                Frame(item.mono_ns + 2, 1, trade(n + 1, n * 160, p="1850.10", s="ETHUSDT"))
            )
    chance = random.Random(9)
    dead = session(tmp_path, items[:3000], lambda: chance.randint(20, 60), config=both)
    while dead.recorder.feed.taken < 3000:  # type: ignore[attr-defined]
        dead.recorder.step(0)
    dead.opened.close(clean=False)
    again = session(tmp_path, [items[0], *items[2980:]], config=both)
    facts = again.summary(again.run(Ends(until_end=True)))
    assert [run.rpartition("-")[2] for run in facts["runs"]] == ["BTCUSDT", "ETHUSDT"]
    store = LogStore(again.folder.log)
    for run in facts["runs"]:
        verdict = verify(store, find_run(again.setup.runs, run), get("delta_flip"))
        assert verdict.ok, verdict
    assert again.folder.facts["published"] == facts["runs"]


def test_clock_events_fire_what_nobody_else_does(tmp_path: Path) -> None:
    paper = session(tmp_path, market()[:400])
    paper.recorder.step(0)
    live, clock = paper.folds.lives[0], paper.recorder.clock
    due = live.next_ns
    paper._tick()
    assert live.next_ns == due, "the market speaks"
    clock.told(due + 7_000 * MS)
    paper._tick()
    assert live.next_ns == due, "what it sent may be on its way"
    paper.folds._seen_ns[0] -= 2_000 * MS
    paper._tick()
    assert live.next_ns == due + 10_000 * MS
    assert paper.recorder.tally.kinds["clock"] == 1
    paper.recorder.feed.items.append(Ended(10**10))  # type: ignore[attr-defined]
    whole(paper)


def test_a_session_of_another_configuration_is_another_session(tmp_path: Path) -> None:
    first = session(tmp_path, market()[:300])
    first.recorder.step(0)
    first.opened.close(clean=False)
    assert first.folder.facts["series"] == series_facts([BTC])
    other = session(tmp_path, (), config=CONFIG.replace("entry_z = 1.0", "entry_z = 2.0"))
    assert other.folder.id != first.folder.id
    other.opened.close(clean=False)


def test_a_session_that_could_not_begin_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: Any) -> None:
        raise UsageError("binance-um does not know BTCUSDT")

    first = session(tmp_path, market()[:300])
    first.recorder.step(0)
    first.opened.close(clean=False)
    monkeypatch.setattr(module, "instruments", unknown)
    for config in (CONFIG, CONFIG.replace("entry_z = 1.0", "entry_z = 2.0")):
        with pytest.raises(UsageError):
            session(tmp_path, (), config=config)
    assert [p.name for p in (tmp_path / "runs" / "_sessions").iterdir()] == [first.folder.id]


def test_a_session_that_is_left_behind_is_named(tmp_path: Path) -> None:
    config = parse_paper(CONFIG, "paper.toml", tmp_path).sound()
    other = parse_paper(CONFIG + "min_qty = 1\n", "paper.toml", tmp_path).sound()
    wanted = Wanted("paper", config, "here", False)
    setup = cast(Setup, SimpleNamespace(runs=tmp_path, wanted=wanted))
    facts = {"source": "here", "served": False}

    def begin(c: PaperConfig, **more: str) -> SessionFolder:
        made = {**facts, "config": as_facts(c), **more}
        return SessionFolder.create(tmp_path, "paper", "delta_flip", made)

    def said(new: SessionFolder, last_seq: int = 0) -> list[tuple[str, str]]:
        begun = SimpleNamespace(folder=new, recovery=SimpleNamespace(last_seq=last_seq))
        return left_unfinished(setup, cast(Session, begun))

    first = begin(other)
    assert said(first) == []
    second = begin(config, source="there")
    assert said(second) == [(first.id, "its configuration is another")]
    third = begin(config)
    assert said(third)[0][0] == second.id and "sources of ofs" in said(third)[0][1]
    assert said(third, last_seq=9) == []
    fourth = begin(config)
    assert said(fourth) == [(third.id, "--new was asked for")]
    fourth.end("stopped by an operator")
    assert said(begin(config)) == []


@pytest.mark.parametrize("served", [False, True])
def test_a_rehearsal_that_is_named_does_not_become_a_real_one(tmp_path: Path, served: bool) -> None:
    config = parse_paper(CONFIG, "paper.toml", tmp_path).sound()
    wanted = Wanted("paper", config, "here", served)
    facts = {"config": as_facts(config), "source": "here", "served": not served}
    other = SessionFolder.create(tmp_path, "paper", "delta_flip", facts)
    with pytest.raises(UsageError, match="cannot go on"):
        choose(tmp_path, wanted, "delta_flip", other.id)
    assert choose(tmp_path, wanted, "delta_flip").id != other.id
    same = SessionFolder.create(tmp_path, "paper", "delta_flip", {**facts, "served": served})
    assert choose(tmp_path, wanted, "delta_flip", same.id).id == same.id
