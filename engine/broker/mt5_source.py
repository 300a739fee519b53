"""A terminal as the venue of a session: its instruments, its feed, and what it has of the past.

Owns :class:`Mt5Source`, a :class:`data.live.source.Source` over a :class:`Way`. What must hold: all
parts look at the same account (the one that was named, else the first one that was seen); the feed,
the questions about instruments and the history each have a worker of their own.

It refuses to know orders.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from data.enums import Kind
from data.errors import NetworkError, UsageError
from data.events import Scales
from data.live.blocks import Series
from data.live.clock import SessionClock
from data.live.items import Feed
from data.live.streams import TERMINAL
from engine.broker.calls import Terminal
from engine.broker.mt5_clock import ServerClock
from engine.broker.mt5_feed import EVERY_S, Mt5Feed
from engine.broker.mt5_history import DAY_NS, History, open_gaps
from engine.broker.mt5_link import (
    LAUNCH_S,
    Mt5Settings,
    failure,
    prove_clock,
    read,
    refuted,
    select,
    sign_in,
)
from engine.broker.mt5_symbols import exact, native_scales
from engine.broker.mt5_way import Way
from engine.broker.protocol import BrokerError

if TYPE_CHECKING:
    from data.log import LogStore

CALL_S = 10.0
SIGN_IN_S = 60.0
REACH_NS = 7 * DAY_NS
"""Recorded gaps older than this are left to ``ofs fetch``."""

TRIES = 3
GAPS_MOST = 256


class Mt5Source:
    """The terminal at the end of ``way``."""

    def __init__(self, way: Way) -> None:
        self.way = way
        self.account: tuple[int, str] | None = None
        """Login and server of the account that is looked at; None before the first look."""
        self._tries: Counter[tuple[str, Kind, int, int]] = Counter()

    # -- what a session asks ----------------------------------------------------------------------

    def series(self, symbols: Sequence[str], where: str) -> list[Series]:
        """See :meth:`data.live.source.Source.series`; the clock's rule is held against a quote."""
        with self.terminal(symbols, where) as (terminal, infos):
            self._hold(terminal, symbols)
            return [Series(TERMINAL, s, native_scales(infos[s])) for s in symbols]

    def feed(self, symbols: Sequence[str], kinds: Sequence[Kind], clock: SessionClock) -> Feed:
        """See :meth:`data.live.source.Source.feed`; its quotes tell a played session its time."""
        terminal, box = self.way.open(), self.way.sandbox
        return Mt5Feed(
            terminal, lambda: self._join(terminal, symbols, ""), ServerClock(self.way.rule),
            symbols, kinds=kinds, deadline_s=CALL_S,
            every_s=EVERY_S if box is None else box.clock.every_s, tells=True,
            served=None if box is None else box.clock.look,
        )  # fmt: skip

    def filler(
        self, store: LogStore, symbols: Sequence[str], now_ns: Callable[[], int]
    ) -> Callable[[], None]:
        """See :meth:`data.live.source.Source.filler`."""
        return lambda: self._fill(store, symbols, now_ns())

    # -- terminals --------------------------------------------------------------------------------

    @contextmanager
    def terminal(
        self, symbols: Sequence[str], where: str
    ) -> Iterator[tuple[Terminal, dict[str, Any]]]:
        """A terminal of one's own that is signed in and follows ``symbols``, and their SymbolInfo.

        UsageError where it does not know one of them; BrokerError where it cannot be used.
        """
        terminal = self.way.open()
        try:
            yield terminal, self._join(terminal, symbols, where)
        finally:
            terminal.close()

    @contextmanager
    def history(
        self, store: LogStore, symbols: Sequence[str], where: str = "",
        progress: Callable[[int], None] = lambda _rows: None,
    ) -> Iterator[History]:  # fmt: skip
        """What fetches ranges of ``symbols`` into ``store``; errors as of :meth:`terminal`."""
        with self.terminal(symbols, where) as (terminal, infos):
            self._hold(terminal, symbols)
            yield History(
                terminal, ServerClock(self.way.rule), store,
                {s: native_scales(infos[s]) for s in symbols},
                {s: float(exact(infos[s].trade_contract_size)) for s in symbols}, progress,
            )  # fmt: skip

    def _join(self, terminal: Terminal, symbols: Sequence[str], where: str) -> dict[str, Any]:
        """Sign in and have the terminal follow ``symbols``; what it says of each."""
        settings = self._settings(terminal, symbols)
        sign_in(terminal, settings)
        infos = {}
        for symbol in symbols:
            try:
                infos[symbol] = select(terminal, settings, symbol)
            except BrokerError as error:
                if not where or "does not know" not in error.what:
                    raise
                raise UsageError(error.what, where=where, why=error.why, do=error.do) from None
        return infos

    def _settings(self, terminal: Terminal, symbols: Sequence[str]) -> Mt5Settings:
        way = self.way
        if self.account is None:
            self.account = way.login, way.server
            if not (way.login and way.server):
                self.account = self._seen(terminal)
        login, server = self.account
        return Mt5Settings(
            login, server, dict.fromkeys(symbols, Scales(0, 0)), path=way.terminal,
            password=way.password if way.login else "", clock=way.rule, call_s=CALL_S,
            sign_in_s=SIGN_IN_S,
        )  # fmt: skip

    def _seen(self, terminal: Terminal) -> tuple[int, str]:
        """The account that the terminal is signed in to, where that is not ruled otherwise."""
        way = self.way
        args = (way.terminal,) if way.terminal else ()
        answer = terminal.call("initialize", *args, deadline_s=SIGN_IN_S + LAUNCH_S,
                               timeout=round(SIGN_IN_S * 1000))  # fmt: skip
        if not answer.value:
            self.account = None
            raise failure("initialize", answer)
        info = read(terminal, "account_info", deadline_s=CALL_S)
        if info.login == 0:
            self.account = None
            raise BrokerError("the terminal is not signed in to any account",
                              do="sign in there, or name the account")  # fmt: skip
        return way.login or info.login, way.server or info.server

    def _hold(self, terminal: Terminal, symbols: Sequence[str]) -> None:
        """Refuse a clock's rule that a quote refutes now. A sandbox's clock may stand: there only
        the last quotes are looked at."""
        settings = self._settings(terminal, symbols)
        if self.way.sandbox is None:
            prove_clock(terminal, settings)
            return
        clock = ServerClock(self.way.rule)
        for symbol in symbols:
            tick = terminal.call("symbol_info_tick", symbol, deadline_s=CALL_S).value
            verdict = clock.check(tick, terminal.now_ns()) if tick is not None else None
            if verdict is not None and verdict.wrong:
                raise refuted(self.way.rule, symbol, verdict.words)

    # -- gaps -------------------------------------------------------------------------------------

    def _fill(self, store: LogStore, symbols: Sequence[str], now_ns: int) -> None:
        """Fetch what the recorded gaps of the last days lack. A gap that three answers did not
        close is left; that the terminal is not there is no try."""
        wanted: dict[str, dict[Kind, list[tuple[int, int]]]] = {}
        for symbol in symbols:
            for kind, gaps in open_gaps(store, symbol, now_ns - REACH_NS).items():
                left = [g for g in gaps if self._tries[(symbol, kind, *g)] < TRIES][-GAPS_MOST:]
                if left:
                    wanted.setdefault(symbol, {})[kind] = left
        if not wanted:
            return
        try:
            with self.history(store, list(wanted)) as history:
                for symbol, kinds in wanted.items():
                    for kind, gaps in kinds.items():
                        self._tries.update((symbol, kind, *g) for g in gaps)
                        history.close(symbol, kind, gaps)
        except BrokerError as error:
            raise NetworkError(error.what, where=error.where, why=error.why, do=error.do) from error
