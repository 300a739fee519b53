"""The market of the trade server: its symbols, their quotes and hours, and the time.

Owns :class:`Market`, which plays what it was given up to a moment and says for each quote whose it
is. What must hold: quotes of all symbols come in the order of their times; while nobody waits for a
price they are taken in blocks.

It refuses to know orders and accounts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np

from data.errors import ConfigError
from engine.broker.terminal.server.clock import HOURS, ServerClock, Sessions
from engine.broker.terminal.server.quotes import Block, Quotes
from engine.broker.terminal.server.specs import SymbolSpec

Quote = tuple[int, str, float, float]
"""A quote by hand: ns UTC, symbol, bid, ask."""

_NEVER_NS = 1 << 62


class Source:
    """Blocks of one symbol that are still to be played: given ones first, then those of a tape."""

    def __init__(self, tape: Iterable[Block] = ()) -> None:
        self._tape: Iterator[Block] = iter(tape)
        self._given: deque[Block] = deque()
        self.block: Block | None = None
        self.at = 0

    def give(self, block: Block) -> None:
        """Play this too, after what was given before."""
        self._given.append(block)

    def next_ns(self) -> int:
        """Time of the next quote; far away where there is none."""
        while self.block is None or self.at >= len(self.block.ts_ns):
            self.block = self._given.popleft() if self._given else next(self._tape, None)
            self.at = 0
            if self.block is None:
                return _NEVER_NS
        return int(self.block.ts_ns[self.at])


class Market:
    """Symbols ``specs`` under one ``clock``; ``tapes`` are quotes of a log by symbol."""

    def __init__(
        self,
        clock: ServerClock,
        specs: Iterable[SymbolSpec],
        tapes: Mapping[str, Iterable[Block]] | None = None,
        start_ns: int = 0,
    ) -> None:
        self.clock = clock
        self.specs = {s.name: s for s in specs}
        self.quotes = {name: Quotes() for name in self.specs}
        self.now_ns = start_ns
        self.closed_until_ns = 0
        self._sources = {n: Source((tapes or {}).get(n, ())) for n in self.specs}
        self._sessions = {s.name: self._hours(s) for s in self.specs.values()}

    def _hours(self, spec: SymbolSpec) -> Sessions:
        follows = spec.hours in ("fx", "metals")
        clock = ServerClock("new-york") if follows else self.clock
        return Sessions(HOURS[spec.hours], clock)

    def set_spec(self, spec: SymbolSpec) -> None:
        """Trade a symbol by other facts from now on (the same digits)."""
        assert spec.digits == self.specs[spec.name].digits
        self.specs[spec.name] = spec
        self._sessions[spec.name] = self._hours(spec)

    def feed(self, quotes: Iterable[Quote]) -> None:
        """Have these played when their time has come; times of a symbol must not fall."""
        rows: dict[str, list[tuple[int, int, int, int, int]]] = {}
        for ts_ns, symbol, bid, ask in quotes:
            spec = self.specs.get(symbol)
            if spec is None:
                raise ConfigError(f"no symbol {symbol} is traded here")
            row = (ts_ns, spec.points(bid), spec.points(ask), 0, 0)
            rows.setdefault(symbol, []).append(row)
        for symbol, mine in rows.items():
            columns = np.array(mine, dtype=np.int64).T.copy()
            self._sources[symbol].give(Block(symbol, *columns))

    def mid(self, symbol: str) -> float:
        """Middle of the last quote, 0 before the first."""
        quotes, spec = self.quotes[symbol], self.specs[symbol]
        return (quotes.bid + quotes.ask) / 2 / spec.scale

    def open(self, symbol: str) -> bool:
        """Whether a symbol trades now."""
        if self.now_ns < self.closed_until_ns:
            return False
        return self._sessions[symbol].open(self.now_ns)

    def play(self, to_ns: int, waits: Callable[[], bool], met: Callable[[str], None]) -> None:
        """Take all quotes up to ``to_ns``. While ``waits()`` says that somebody waits for a price
        each one is told to ``met(symbol)`` at its time."""
        while True:
            name, next_ns = self._first()
            if next_ns > to_ns:
                break
            if not waits():
                for each in self._sources:
                    self._skip(each, to_ns)
                break
            self.now_ns = max(self.now_ns, next_ns)
            self._take(name)
            met(name)
        self.now_ns = max(self.now_ns, to_ns)

    def _first(self) -> tuple[str, int]:
        best, first_ns = "", _NEVER_NS
        for name, source in self._sources.items():
            next_ns = source.next_ns()
            if next_ns < first_ns:
                best, first_ns = name, next_ns
        return best, first_ns

    def _take(self, name: str) -> None:
        source = self._sources[name]
        block, row = source.block, source.at
        assert block is not None
        self.quotes[name].add(*(int(column[row]) for column in block[1:]))
        source.at += 1

    def _skip(self, name: str, to_ns: int) -> None:
        source = self._sources[name]
        while source.next_ns() <= to_ns:
            block = source.block
            assert block is not None
            stop = int(np.searchsorted(block.ts_ns, to_ns, side="right"))
            self.quotes[name].extend(block, source.at, stop)
            source.at = stop

    def stand(self) -> None:
        """Where a symbol has no quote yet, its first one stands from now on: a terminal that was
        running before has one."""
        for name, source in self._sources.items():
            if self.quotes[name].rows or source.next_ns() == _NEVER_NS or source.block is None:
                continue
            row = [int(column[source.at]) for column in source.block[2:]]
            self.quotes[name].add(self.now_ns, row[0], row[1], row[2], row[3])
