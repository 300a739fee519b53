"""A session: the recorder with folds behind it, recovered, watched, told, and published.

Owns :class:`Session`, from a configuration to a run that ``ofs verify`` folds again; ``ofs paper``
and ``ofs live`` run the same one. What must hold: a session that was stopped or killed goes on with
the settings and plans that it began with; a clock event is written when the venue's clock has
passed a decision boundary and nothing came to say so; an operator's order is a control event, and
is answered only once that event is synced.

It refuses to know about brokers: who trades in a live session is a :class:`Trader`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from data import jitcache
from data.errors import ConfigError, DataError, OfsError
from data.events import Control
from data.live.clock import SessionClock
from data.live.items import Feed
from data.live.keep import DiskLimits, Keeper
from data.live.recorder import Recorder
from data.live.reopen import Opened, reopen
from data.live.run import Ends, run
from data.live.session_folder import SessionFolder
from data.live.session_log import SessionLog
from data.live.wiring import (
    Ask,
    filler,
    instruments,
    series_facts,
    series_in,
    socket_feed,
    wire,
)
from engine.plans.compile import compile_all
from engine.plans.load import PlanText, check_handlers, text_of_file
from engine.plans.read import parse_plans
from engine.runtime.control_server import ACTS, Act, ControlServer
from engine.runtime.paper_config import PaperConfig, from_facts
from engine.runtime.plan_reload import changes
from engine.runtime.replay import Request
from engine.runtime.session_choice import Wanted, choose, left_behind
from engine.runtime.session_folds import Folds, Places
from engine.runtime.session_notes import Notes
from engine.runtime.session_picture import Picture
from engine.runtime.session_recover import Recovery, recover
from engine.runtime.trader import Trader
from engine.runtime.usage import quiet_collector
from engine.runtime.view import Board, View

VIEW_EVERY_S = 0.25
CLOCK_EVERY_S = 0.02
STOPPED_BY_OPERATOR = "stopped by an operator"
STOP_MOST_S = 15.0
STOP_LIVE_S = 90.0
"""After an order to stop, so long (wall time) may positions take to be closed: a broker may have to
be asked until the outcome of something is known."""


@dataclass(frozen=True)
class Setup:
    """What a session is made of; ``now_ns`` is the time of a served venue, None of a real one.

    ``kept`` reads the configuration that a session of this ``command`` kept; ``trader`` is None on
    paper.
    """

    config: PaperConfig
    ask: Callable[[PaperConfig], Ask]
    request: Callable[[PaperConfig], Request]
    runs: Path
    now_ns: int | None = None
    session: str = ""
    new: bool = False
    feed: Feed | None = None
    on_cold: Callable[[], None] | None = None
    crash_point: Callable[[str], None] = lambda _name: None
    command: str = "paper"
    kept: Callable[[Mapping[str, Any]], PaperConfig] = from_facts
    trader: Trader | None = None

    @property
    def served(self) -> bool:
        """Whether a stand-in plays the venue."""
        return self.now_ns is not None

    @property
    def wanted(self) -> Wanted:
        """What a session must be to be gone on with."""
        strategy = self.request(self.config).strategy
        source = f"{jitcache.source_hash()} {strategy.source_sha256}"
        return Wanted(self.command, self.config, source, self.served)


@dataclass
class Session:
    """A session that is ready to run; made by :func:`prepare`."""

    setup: Setup
    config: PaperConfig
    folder: SessionFolder
    opened: Opened
    folds: Folds
    recorder: Recorder
    recovery: Recovery
    picture: Picture
    board: Board
    log: SessionLog
    notes: Notes
    control: ControlServer | None = None
    phase: str = "starting"
    plans: PlanText | None = None
    _answers: list[tuple[int, Act, dict[str, Any]]] = field(default_factory=list)
    _view_s: float = 0.0
    _clock_s: float = 0.0
    _stop_by: tuple[int, float] | None = None
    _stop_why: str = ""
    guarded: str = ""
    """Which guard ended the session; empty where none did."""
    left_open: bool = False
    """A broker could not close everything in time: the session is not over, and can go on."""
    flatten_asked: Callable[[], str] = lambda: ""
    """Who asks, besides the control server, that all is closed and the session ends."""
    _kept: int = 0

    @property
    def trader(self) -> Trader | None:
        """Who trades; None on paper."""
        return self.setup.trader

    # -- the loop ---------------------------------------------------------------------------------

    def run(self, ends: Ends) -> str:
        """Run until something ends it; why."""
        self.phase = "running"
        ends.told, ends.left = self._told, lambda: self.left_open
        if not ends.until_end:
            self.picture.waits_at_end("end it with `ofs control stop`")
        self.folder.update(phase="running", error=None)
        self.log.info("running", session=self.folder.id, resumed_at=self.recovery.last_seq)
        try:
            if self.trader is not None:
                self.trader.start()
            why = run(self.recorder, self.folder, ends, self._each, self._last)
        except BaseException as error:
            self.phase = "failed"
            self.log.error("failed", error=f"{type(error).__name__}: {error}")
            raise
        finally:
            if self.trader is not None:
                self.trader.stop()
            self._answer()
            self.phase = "stopped" if self.phase == "running" else self.phase
            self.board.offer(self.picture.view(self.phase))
            for _, act, _ in self._answers:
                act.refuse("the session ended before it was synced")
            self.board.synced(self.recorder.journal.synced_seq)
            self.log.close()
        return why

    def _each(self) -> None:
        now_s = time.monotonic()
        if self.trader is not None:
            self.trader.each()
        if now_s - self._clock_s >= CLOCK_EVERY_S:
            self._clock_s = now_s
            self._tick()
            self._orders()
            self._guard()
        if now_s - self._view_s >= VIEW_EVERY_S:
            self._view_s = now_s
            view = self.picture.view(self.phase)
            self.board.offer(view)
            self.notes.look(view)
        self.board.synced(self.recorder.settled_seq)
        if self.recorder.checkpoints != self._kept:
            self._kept = self.recorder.checkpoints
            self.folder.keep(**self._last())

    def _tick(self) -> None:
        """A clock event where a boundary is behind and nothing came."""
        r = self.recorder
        if r.full or r.ended:
            return
        venue_ns = r.clock.venue_ns(r.clock.now())
        late = self.folds.overdue(venue_ns, r.clock.served)
        if late:
            r.inlet.clock_event(venue_ns, late)
            r.admit(r.inlet.collect())

    def _last(self) -> dict[str, Any]:
        """Facts that the session's file keeps of its end."""
        more = self.trader.facts() if self.trader is not None else {}
        return {"digests": self.folds.digests, "published": self.folds.published, **more}

    # -- orders -----------------------------------------------------------------------------------

    def _answer(self) -> None:
        """Answer the orders whose events are synced."""
        synced = self.recorder.journal.synced_seq
        while self._answers and self._answers[0][0] <= synced:
            seq, act, facts = self._answers.pop(0)
            act.done(seq, **facts)

    def _orders(self) -> None:
        """Take orders, and answer those that are done."""
        self._answer()
        for act in self.control.take() if self.control is not None else ():
            try:
                facts = self._do(act)
            except OfsError as error:
                act.refuse(str(error))
                self.log.warn("order refused", order=act.name, why=str(error))
                continue
            self._answers.append((self.recorder.inlet.next_seq - 1, act, facts))
            self.log.info("order", order=act.name, seq=self.recorder.inlet.next_seq - 1, **facts)

    def _do(self, act: Act) -> dict[str, Any]:
        """Write the control events of an order; what else there is to tell."""
        r = self.recorder
        if r.full:
            raise DataError("the disk is full: nothing can be written", do="free space")
        facts: dict[str, Any] = {}
        if act.name == "reload-plans":
            facts = self._reload()
        # where money is at stake whoever wants out wants to stay out
        name = "stop" if act.name == "flatten" and self.trader is not None else act.name
        for code, value in ACTS[name]:
            r.inlet.control_event(code, value, self.folds.numbers)
        if name == "stop":
            self._stopping(STOPPED_BY_OPERATOR)
        r.admit(r.inlet.collect())
        return facts

    def _stopping(self, why: str) -> None:
        """From here on the session ends as soon as nothing is held, or after a while."""
        step_ns = int(self.folds.lives[0].fold.params["core"]["step_ns"][0])
        most_s = STOP_MOST_S if self.trader is None else STOP_LIVE_S
        self._stop_by = self.recorder.clock.now() + 2 * step_ns, time.monotonic() + most_s
        self._stop_why = why
        if self.trader is not None:
            self.folder.keep(stopping={"why": why, "guard": bool(self.guarded)})

    def _was_stopping(self) -> str:
        """Why the process before was closing everything when it ended; "" where it was not."""
        kept = self.folder.facts.get("stopping") if self.trader is not None else None
        if not kept:
            return ""
        self.guarded = kept["why"] if kept["guard"] else ""
        return str(kept["why"])

    def _guard(self) -> None:
        """Close everything and end where a guard of the trader, or a signal, says so, or a process
        before this one had begun to."""
        r = self.recorder
        if self._stop_by is not None or r.full:
            return
        why = self._was_stopping() or self.flatten_asked()
        if not why and self.trader is not None:
            why = self.guarded = self.trader.guard()
        if why:
            r.inlet.control_event(int(Control.STOP), 0, self.folds.numbers)
            self._stopping(why)
            r.admit(r.inlet.collect())
            self.log.error("close everything and stop", why=why)

    def _reload(self) -> dict[str, Any]:
        """The file of plans as it is now, as control events: plans are added, changed by their id,
        or cancelled where the file has them no more; one that stands as it was is left alone.
        ConfigError where the file is wrong: nothing is changed then."""
        if self.plans is None:
            raise ConfigError("the session has no file of plans", where=self.config.path,
                              do="name one in the configuration, and begin anew")  # fmt: skip
        text = text_of_file(plans_path(self.config))
        now, names = parse_plans(text.text, text.name).sound(), self.config.strategy
        found = []
        for live in self.folds.lives:
            wanted = compile_all(now, live.series.symbol, live.series.scales)
            check_handlers(wanted, tuple(h.name for h in live.fold.composition.handlers), names)
            found.append((live, wanted, changes(live.fold.state["plans"]["slots"][0], wanted)))
        for live, wanted, events in found:
            for code, value in events:
                self.recorder.inlet.control_event(code, value, [live.number])
            self.picture.name_plans(live.number, wanted)
        self.plans = text
        also = [*self.folder.facts.get("also", []), replace(self.config, plans=text).identity]
        self.folder.keep(also=also)
        codes = Counter(code for _, _, events in found for code, _ in events)
        changed, cancelled = codes[int(Control.PLAN_BEGIN)], codes[int(Control.PLAN_CANCEL)]
        return {"plans": len(now), "changed": changed, "cancelled": cancelled}

    def _told(self) -> str:
        """Why an operator's stop ends the session by now; "" while it does not."""
        if self._stop_by is None:
            return ""
        if self.recorder.ended:
            return self._stop_why  # no more time passes there, and no price closes a position
        at_ns, by_s = self._stop_by
        passed = self.recorder.clock.now() >= at_ns
        flat = passed and all(not live.open_qty for live in self.folds.lives)
        flat = flat and (self.trader is None or self.trader.flat)
        late = time.monotonic() >= by_s
        if late and not flat:
            self.log.error("not everything could be closed in time", why=self._stop_why)
            self.left_open = self.trader is not None
        if self.left_open:
            return f"{self._stop_why}; something is still open: the same command goes on closing it"
        return self._stop_why if flat or late else ""

    # -- what a last object says ------------------------------------------------------------------

    def summary(self, why: str) -> dict[str, Any]:
        """The object that ``--json`` prints at the end."""
        r, rows = self.recorder, self.folds.rows
        decided = self.picture.decision.total
        return {
            "schema": 1,
            "session": self.folder.id,
            "ended": why,
            "runs": self.folds.published or self.folder.facts.get("published", []),
            "events": r.tally.events,
            "synced": r.journal.synced_seq,
            "gaps": r.tally.gaps,
            "gaps_by_reason": dict(r.tally.reasons),
            "rejects": dict(r.inlet.facts.rejects),
            "dropped": r.feed.facts.dropped,
            "decisions": rows["decision"],
            "orders": rows["order"],
            "fills": rows["fill"],
            "digest": self.folds.digest(),
            "lag_p50_ms": round(self.picture.lag.total.percentile_ms(0.5), 3),
            "lag_p99_ms": round(self.picture.lag.total.percentile_ms(0.99), 3),
            "decision_p99_ms": round(decided.percentile_ms(0.99), 3),
            "resumed_at": self.recovery.last_seq,
            **(self.trader.summary() if self.trader is not None else {}),
        }


def plans_path(config: PaperConfig) -> Path:
    """Where the configuration's file of plans lies."""
    return Path(config.plans.name if config.plans else "")


def prepare(setup: Setup) -> Session:
    """Find or begin the session, open its journal, fold what it has, and put the parts together.

    The feed is not started yet. LockedError where the session runs already, DataError where its log
    does not give what it wrote.
    """
    folder = choose(
        setup.runs, setup.wanted, setup.request(setup.config).strategy.name, setup.session,
        new=setup.new,
    )  # fmt: skip
    config = setup.kept(folder.facts["config"])
    config = replace(
        config, record=setup.config.record, disk=setup.config.disk, http=setup.config.http,
        days=setup.config.days,
    )  # fmt: skip
    ask, request = setup.ask(config), setup.request(config)
    known = series_in(folder.facts.get("series", []))
    with folder.beginning():
        asked = partial(instruments, ask, known)
        series = asked() if setup.trader is None else setup.trader.series(asked, known)
        opened = reopen(folder.log, folder.id, series, **ask.journal_options)
    try:
        # the session is this process's to change only now that the lock of its log is held
        if series != known:
            terms = {} if setup.trader is None else {"terms": setup.trader.terms()}
            folder.update(series=series_facts(series), **terms)
        return _ready(setup, config, folder, opened, ask, request)
    except BaseException:
        opened.close(clean=False)
        raise


def _ready(setup: Setup, config: PaperConfig, folder: SessionFolder, opened: Opened, ask: Ask,
           request: Request) -> Session:  # fmt: skip
    places = Places(folder.id, opened.store, folder.log, folder.state, setup.runs, setup.command)
    trader = setup.trader
    execution = trader.execution(opened.series) if trader is not None else {}
    if trader is not None:
        request = replace(request, currency=trader.currency)
    folds = Folds.make(
        opened.series, request, places, setup.on_cold, execution, _terms(folder, config)
    )
    folds.crash_point = setup.crash_point
    folds.digests = dict(folder.facts.get("digests", {}))
    recovery = recover(folds, opened)
    wired = wire(ask, opened, setup.now_ns, _feed_of(setup, ask, opened))
    fetched = config.record.fill and setup.feed is None
    recorder = Recorder(
        opened, wired.feed, wired.inlet, wired.clock, consumer=folds, limits=ask.limits,
        keeper=Keeper(opened.store, disk_limits(config)),
        fill=filler(ask, opened, wired.clock.now) if fetched else None,
        crash_point=setup.crash_point,
    )  # fmt: skip
    quiet_collector()
    first = View(
        folder.id, setup.command, config.venue, config.strategy, started_ns=time.time_ns(),
        served=setup.served, phase="recovering",
    )  # fmt: skip
    picture = Picture(recorder, folds, first)
    picture.restore(recovery.extra)
    folds.extra = picture.facts
    recorder.heard = picture.lag.add
    folds.decided = lambda _n, count: _decided(picture, recorder, count)
    began = picture.view("starting")
    log = SessionLog(folder.path / "session.log")
    for why in recovery.passed_over:
        log.warn("a snapshot was passed over", why=why)
    folder.update(served=setup.served)
    if trader is not None:
        picture.trader = trader
        trader.join(recorder, folds, folder, log)
    return Session(
        setup, config, folder, opened, folds, recorder, recovery, picture, Board(began), log,
        Notes(log, began),
        plans=config.plans,
    )  # fmt: skip


def _terms(folder: SessionFolder, config: PaperConfig) -> dict[str, dict[str, str]]:
    """Settings that a broker ruled when the session began, by symbol; what the configuration says
    stands over them."""
    kept: dict[str, dict[str, str]] = folder.facts.get("terms", {})
    return {
        symbol: {key: text for key, text in terms.items() if key not in config.settings}
        for symbol, terms in kept.items()
    }


def _feed_of(setup: Setup, ask: Ask, opened: Opened) -> Callable[[SessionClock], Feed] | None:
    """What makes the session's feed; None: the venue's sockets are all of it."""
    feed, trader = setup.feed, setup.trader
    if trader is not None:
        return lambda clock: trader.feed(lambda: feed or socket_feed(ask, opened), clock)
    return None if feed is None else lambda _clock: feed


def disk_limits(config: PaperConfig) -> DiskLimits:
    """What the session's log may take of the disk."""
    d = config.disk
    return DiskLimits(d.free_bytes, d.day_bytes, d.keep_ns, d.compact)


def _decided(picture: Picture, recorder: Recorder, count: int) -> None:
    """Time a decision from the reading of the oldest frame of its turn: never too short."""
    if recorder.read_ns and count:
        picture.decision.add(recorder.clock.mono_ns() - recorder.read_ns)


def left_unfinished(setup: Setup, begun: Session) -> list[tuple[str, str]]:
    """The last session of the same file that ``begun`` took the place of, and why; none where
    ``begun`` went on, or there is none."""
    if begun.recovery.last_seq:
        return []
    return left_behind(setup.runs, setup.wanted, begun.folder)
