"""The trader of a live session: its folds' intents go to the broker, and its words come back.

Owns :class:`LiveTrader`: execution series and their scales, the gateway and its thread, the guards
that close everything, and what a screen and a last object say of the account. What must hold: an
intent is hurried to the disk and goes to the gateway from the journal's own sync; every row of the
broker enters the log through the session's inlet before anybody folds it; the loss of a day is
counted from the equity at its beginning, also over restarts.

It refuses to know how a terminal is reached (:mod:`engine.runtime.live_link`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from data.events import MONEY_SCALE, Control, Kind, Scales
from data.live.blocks import Series
from data.live.clock import SessionClock
from data.live.combined import CombinedFeed
from data.live.items import Feed
from data.live.recorder import Recorder, RecordRows
from data.live.session_folder import SessionFolder, sessions
from data.live.session_log import SessionLog
from engine.broker.intent_id import tag_of
from engine.broker.protocol import Account, Broker
from engine.runtime.gateway import Gateway, GatewaySeries, GatewaySettings
from engine.runtime.gateway_state import followed
from engine.runtime.gateway_thread import GatewayThread
from engine.runtime.live_config import TERMINAL, LiveConfig
from engine.runtime.live_gates import Seen
from engine.runtime.live_guards import DayLoss, begun_day
from engine.runtime.live_history import INTENT, history
from engine.runtime.live_link import HASTE_S, Link
from engine.runtime.session_folds import Folds
from engine.runtime.view import BrokerView

SETTLE_S = 20.0
"""So long (wall time) may what is under way take to end when a session drains."""
LOOK_S = 3.0
"""And so long the last comparison of the books."""
ENTRY_AGE_NS = GatewaySettings().entry_age_ns
_MONEY = 10.0**MONEY_SCALE


class GatewayClock:
    """The session's time for a gateway, which must not stand: where a served range stands still
    (it is over, or waits), it goes on with the monotonic clock from there."""

    def __init__(self, clock: SessionClock) -> None:
        self.served = clock.served
        self._clock = clock
        self._base = self._mono = self._last = 0

    def now(self) -> int:
        """Session time, ns UTC; never back."""
        now_ns = self._clock.now()
        if self.served:
            mono_ns = self._clock.mono_ns()
            if now_ns != self._base:
                self._base, self._mono = now_ns, mono_ns
            now_ns += mono_ns - self._mono
        self._last = max(self._last, now_ns)
        return self._last


@dataclass
class LiveTrader:
    """See :class:`engine.runtime.trader.Trader`. ``seen`` is what the gates saw of the broker;
    ``unproven`` why no verdict was asked for, empty where one was."""

    config: LiveConfig
    link: Link
    seen: Seen
    unproven: str = ""
    broker: Broker | None = None
    _scales: dict[str, Scales] = field(default_factory=dict)
    _execution: dict[int, int] = field(default_factory=dict)
    _feed: CombinedFeed | None = None
    _day: DayLoss = field(default_factory=DayLoss)
    _breach: Account | None = None
    _lost_after_s: float = 0.0
    _full_ns: int = 0
    _stopped: bool = False

    # -- putting together -------------------------------------------------------------------------

    def series(self, flow: Callable[[], Sequence[Series]], known: Sequence[Series]) -> list[Series]:
        """Instruments of both sides at the finer scales of the two."""
        config = self.config
        if config.one_series:
            have = {s.symbol: s for s in known}
            return [
                have.get(symbol) or Series(TERMINAL, symbol, self._native(symbol))
                for symbol in config.symbols
            ]
        if known:
            return list(known)
        asked = list(flow())
        finer = [_finer(s.scales, self._native(s.symbol)) for s in asked]
        flows = [Series(s.venue, s.symbol, x) for s, x in zip(asked, finer, strict=True)]
        traded = [
            Series(TERMINAL, config.traded(s.symbol), x) for s, x in zip(asked, finer, strict=True)
        ]
        return [*flows, *traded]

    def _native(self, symbol: str) -> Scales:
        """Scales at which the broker trades ``symbol``."""
        return self.seen.instruments[self.config.traded(symbol)].scales

    def terms(self) -> dict[str, dict[str, str]]:
        """Steps and bounds of the orders, and how positions are kept."""
        account = self.seen.account
        assert account is not None
        found = {}
        for symbol in self.config.symbols:
            i = self.seen.instruments[self.config.traded(symbol)]
            found[symbol] = {
                "sim.account": "hedging" if account.hedging else "netting",
                "sim.price_step": _decimal(i.price_step, i.scales.price),
                "sim.qty_step": _decimal(i.qty_step, i.scales.qty),
                "sim.qty_min": _decimal(i.qty_min, i.scales.qty),
                "sim.qty_max": _decimal(i.qty_max, i.scales.qty),
            }
        return found

    @property
    def currency(self) -> str:
        """As the gates saw the account."""
        assert self.seen.account is not None
        return self.seen.account.currency

    def execution(self, series: Sequence[Series]) -> dict[int, int]:
        """By name: the broker's instrument of each symbol."""
        numbers = {s.symbol: n for n, s in enumerate(series) if s.venue == TERMINAL}
        self._scales = {s.symbol: s.scales for s in series if s.venue == TERMINAL}
        if not self.config.one_series:
            self._execution = {
                n: numbers[self.config.traded(s.symbol)]
                for n, s in enumerate(series)
                if s.venue != TERMINAL
            }
        return self._execution

    def feed(self, flow: Callable[[], Feed], clock: SessionClock) -> Feed:
        """Sockets and execution quotes; or quotes and bars alone, which are the flow then."""
        if self.config.one_series:
            kinds = [Kind[name.upper()] for name in self.config.streams]
            self._feed = CombinedFeed(self.link.feed(self._scales, kinds, None, tells=clock.served))
        else:
            until_ns = clock.now if clock.served else None
            quotes = self.link.feed(self._scales, (Kind.QUOTE,), until_ns, tells=False)
            self._feed = CombinedFeed(flow(), quotes)
        return self._feed

    def join(self, recorder: Recorder, folds: Folds, folder: SessionFolder, log: SessionLog
             ) -> None:  # fmt: skip
        """A gateway that knows what the log says."""
        self.recorder, self.folds, self.folder, self.log = recorder, folds, folder, log
        ledger = followed(history(folds, recorder.opened, self._execution))
        self.broker = self.broker or self.link.broker(self._scales)
        limits = self.config.limits
        haste_ns = round(HASTE_S * 1e9 * self.link.speed) if recorder.clock.served else 0
        settings = GatewaySettings(
            settle_ns=max(limits.settle_ns, haste_ns), entry_age_ns=max(ENTRY_AGE_NS, haste_ns),
            close_unknown=self.config.account.close_unknown,
        )  # fmt: skip
        self.gateway = Gateway(
            [self._gateway_series(live.number) for live in folds.lives],
            self.config.account.base, tag_of(folder.id), settings, ledger,
        )  # fmt: skip
        self.clock = GatewayClock(recorder.clock)
        self.thread = GatewayThread(self.gateway, self.broker, self.clock, lambda: None)
        recorder.wrote = self._wrote
        recorder.journal.on_synced = self.thread.synced
        recorder.settle = self.settle
        self._day = DayLoss.of(self._begun_day(), ledger.balances)
        if self.unproven and not folder.facts.get("unproven"):
            recorder.inlet.control_event(int(Control.UNPROVEN), 0, folds.numbers)
            recorder.journal.note({"unproven": self.unproven})
            folder.update(unproven=self.unproven)
            log.warn("traded without a verdict on paper", why=self.unproven)

    def _gateway_series(self, number: int) -> GatewaySeries:
        """The instrument of a fold, and how far its price may run."""
        execution = self._execution.get(number, number)
        s = self.recorder.opened.series[execution]
        bp = self.config.limits.slippage_bp
        return GatewaySeries(number, execution, s.symbol, s.scales, slippage_bp=bp)

    def _wrote(self, mark: int, rows: RecordRows) -> None:
        """Intents must not wait for the next sync that comes by itself."""
        if rows.table == INTENT:
            self.thread.expect(mark, rows.series, rows.rows, self._waited_ns(rows))
            self.recorder.journal.hurry()

    def _waited_ns(self, rows: RecordRows) -> int:
        """How long ago these were decided: they may have waited for space on the disk, or come of
        events that did. Where time is served only the wait for space can be told."""
        clock, waited_ns = self.recorder.clock, 0
        if self._full_ns and self.recorder.full:
            waited_ns = time.monotonic_ns() - self._full_ns
        if not clock.served:
            now_ns = clock.venue_ns(clock.now())
            waited_ns = max(waited_ns, now_ns - int(rows.rows["ts_ns"].min()))
        return waited_ns

    # -- the loop ---------------------------------------------------------------------------------

    def start(self) -> None:
        """The gateway connects and reconciles."""
        self._lost_after_s = time.monotonic() + self.config.limits.lost_feed_ns / 1e9
        self.thread.start()

    def each(self) -> None:
        """Rows of the broker go into the log, and with that into the fold."""
        if self.thread.failure is not None:
            raise self.thread.failure
        for words in self.thread.take_alarms():
            self.log.warn("broker", text="; ".join(x.strip() for x in words.splitlines()))
        if self.recorder.full:
            self._full_ns = self._full_ns or time.monotonic_ns()
            return  # they wait, as everything does, until there is space
        self._full_ns = 0
        rows = self.thread.take()
        if rows:
            if self._day.follow(rows):
                self._keep_day()
            for row in rows:
                self.recorder.inlet.broker_event(row.series, row.row())
            self.recorder.admit(self.recorder.inlet.collect())

    def settle(self) -> None:
        """Let what is under way end, compare the books once more, and send nothing from then on."""
        if self._stopped:
            return
        by_s = time.monotonic() + SETTLE_S
        while time.monotonic() < by_s and not self.thread.idle:
            self.each()
            time.sleep(0.002)
        since_ns, by_s = self.clock.now(), time.monotonic() + LOOK_S
        while self.gateway.books.checked_ns < since_ns and time.monotonic() < by_s:
            self.each()
            time.sleep(0.002)
        self._stopped = True
        self.thread.stop()
        self.each()

    def stop(self) -> None:
        """Nothing is closed or cancelled: what is held keeps its stop and target at the server."""
        self._stopped = True
        self.thread.stop()
        if self.broker is not None:
            self.broker.stop()

    def guard(self) -> str:
        """The loss of a day, or a feed that is lost."""
        return self._daily_loss() or self._lost_feed()

    def _daily_loss(self) -> str:
        """Believed only once a second look has the same: money may be paid out between the look at
        the deals and that at the account."""
        account = self.gateway.account
        if account is None or not self.gateway.reconciled:
            return ""
        before = self._day.number
        loss = self._day.loss(account.equity, self.clock.now()) / _MONEY
        if self._day.number != before:
            self._keep_day()
        most = self.config.limits.daily_loss
        if loss < most:
            self._breach = None
            return ""
        self._breach = self._breach or account
        if account is self._breach:
            return ""
        return f"the day lost {loss:,.2f} {account.currency}, the limit is {most:,.2f}"

    @property
    def _account(self) -> list[Any]:
        return [self.config.account.login, self.config.account.server]

    def _keep_day(self) -> None:
        self.folder.keep(day={**self._day.facts(), "account": self._account})

    def _begun_day(self) -> Mapping[str, Any]:
        """The day that is being counted; the account of a sandbox is a new one each time."""
        own: Mapping[str, Any] = self.folder.facts.get("day") or {}
        if self.link.sandbox is not None:
            return own
        there = sessions(self.folder.path.parent.parent)
        others = [s.facts.get("day") or {} for s in there if s.id != self.folder.id]
        return begun_day(own, others, self._account)

    def _lost_feed(self) -> str:
        feed, now_s = self._feed, time.monotonic()
        if feed is None or now_s < self._lost_after_s or self.recorder.ended:
            return ""
        most_s = self.config.limits.lost_feed_ns / 1e9
        names = ("terminal",) if self.config.one_series else (self.config.venue, "terminal")
        for name, heard_ns in zip(names, feed.heard_ns, strict=True):
            age_s = now_s - heard_ns / 1e9
            if age_s >= most_s:
                return f"{name} said nothing for {age_s:,.0f} s"
        return ""

    @property
    def flat(self) -> bool:
        """Nothing held, nothing under way."""
        ledger = self.gateway.ledger
        return self.thread.idle and not ledger.held and not ledger.open_tracks

    # -- what there is to see ---------------------------------------------------------------------

    def view(self) -> BrokerView:
        """The account as of the gateway's last look."""
        facts, account, health = self.thread.facts, self.gateway.account, self.gateway.health
        books = self.gateway.books
        view = BrokerView(
            login=self.config.account.login, server=self.config.account.server,
            connected=facts["connected"], reconciled=facts["reconciled"],
            books=books.difference / _MONEY if books.checked_ns else None,
            blocked=self._blocked(), unknown=facts["unknown_now"], unknown_ever=facts["unknown"],
            foreign=len(facts["unknown_positions"]) + facts["strays"], sent=facts["sent"],
            words=facts["halted"] or (account.why_not if account is not None else ""),
        )  # fmt: skip
        if account is not None:
            view = replace(
                view, currency=account.currency, hedging=account.hedging, real=account.real,
                trade_allowed=account.trade_allowed and not facts["halted"],
                balance=account.balance / _MONEY, equity=account.equity / _MONEY,
            )  # fmt: skip
        if health is not None:
            view = replace(
                view, restarts=health.restarts, round_trip_ms=health.round_trip_ns / 1e6,
                tick_age_s=health.tick_age_ns / 1e9 if health.tick_age_ns >= 0 else None,
                offset_s=health.offset_ns / 1e9,
            )  # fmt: skip
        return view

    def _blocked(self) -> tuple[str, ...]:
        """Symbols in which nothing may be sent, beyond the start of the session."""
        found = []
        for number, why in sorted(self.gateway.blocked.items()):
            if set(why) - {"start", "link"} or self.gateway.reconciled:
                symbol = self.folds.lives[number].series.symbol
                found.append(f"{symbol} ({', '.join(why)})")
        return tuple(found)

    def facts(self) -> dict[str, Any]:
        """What the session's file keeps of the account."""
        account = self.gateway.account
        return {} if account is None else {"account": _account_facts(account)}

    def summary(self) -> dict[str, Any]:
        """Account, books, and what is not as it should be."""
        facts, account = self.gateway.facts(), self.gateway.account
        books = facts.pop("books")
        return {
            "account": None if account is None else _account_facts(account),
            "books": {
                "equal": books["equal"], "broker": books["broker"] / _MONEY,
                "ours": books["ours"] / _MONEY, "difference": books["difference"] / _MONEY,
            },
            "intents": self.folds.rows[INTENT],
            "blocked": list(self._blocked()),
            "unknown": facts["unknown_now"],
            "unknown_ever": facts["unknown"],
            "reconciled": facts["reconciled"],
            "held": len(self.gateway.ledger.held),
            "unproven": str(self.folder.facts.get("unproven", "")),
            "gateway": {
                name: facts[name]
                for name in ("sent", "resent", "found", "unsent", "refused", "dropped", "moves",
                             "spared", "strays", "links_lost", "halts", "alarms")
            },
        }  # fmt: skip


def _account_facts(a: Account) -> dict[str, Any]:
    return {
        "login": a.login, "server": a.server, "currency": a.currency, "hedging": a.hedging,
        "real": a.real, "balance": a.balance / _MONEY, "equity": a.equity / _MONEY,
    }  # fmt: skip


def _decimal(units: int, scale: int) -> str:
    return str(Decimal(units).scaleb(-scale).normalize().__format__("f"))


def _finer(a: Scales, b: Scales) -> Scales:
    return Scales(max(a.price, b.price), max(a.qty, b.qty))
