"""A sandbox from a log: which symbols the terminal has, from which series, on which terms.

Owns :class:`Wanted` and :func:`build`. What must hold: every symbol of the terminal has prices in
the log; a flow venue is served where its series has trades, unless it is not wanted.

It refuses to know command lines and sockets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from data.enums import Kind
from data.errors import ConfigError, DataError, UsageError
from engine.broker.terminal.server.faults import Script
from engine.broker.terminal.server.sandbox import Place, Sandbox, TapeClock
from engine.broker.terminal.server.sim import SimServer
from engine.broker.terminal.server.specs import AccountSpec, SymbolSpec, spec_of
from engine.broker.terminal.server.tapes import Series
from engine.broker.terminal.server.terms import Terms
from engine.broker.terminal.server.words import Margin

if TYPE_CHECKING:
    from data.log import LogStore
    from data.venue.serve import Venue
    from data.venue.venue_faults import Script as FlowScript

MODES = {
    "hedging": Margin.HEDGING,
    "netting": Margin.NETTING,
    "exchange": Margin.EXCHANGE,
}
"""Ways to keep positions, by the word of the option."""

_PRICES = (Kind.QUOTE, Kind.DEPTH, Kind.TRADE)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a sandbox is to be: ``venue`` and ``symbols`` of the log ("": the only one, (): all),
    ``names`` (symbol of the terminal, [VENUE:]SYMBOL of the log), times ns UTC, ``history_ns`` of
    quotes before the beginning, ``spread`` (price units of the market, 0: the symbol's usual one)
    where the log has only trades, and how it is played."""

    venue: str = ""
    symbols: Sequence[str] = ()
    names: Sequence[tuple[str, str]] = ()
    from_ns: int | None = None
    to_ns: int | None = None
    history_ns: int = 0
    delay_ns: int = 0
    spread: float = 0.0
    flow: bool = True
    layout: str = ""
    speed: float = 1.0
    grace_s: float = 0.0
    hold_s: float = 0.0
    rule: str = "new-york"
    account: AccountSpec = field(default_factory=AccountSpec)
    terms: Terms = field(default_factory=Terms)
    faults: Script | None = None
    flow_faults: FlowScript | None = None
    place: Place = field(default_factory=Place)


def build(store: LogStore, wanted: Wanted) -> Sandbox:
    """The sandbox; DataError or UsageError where the log does not have what is wanted."""
    venue = wanted.venue.lower() or _only_venue(store)
    chosen = [s.upper() for s in wanted.symbols]
    series = {
        name: Series(store, *place, wanted.from_ns, wanted.to_ns, wanted.delay_ns)
        for name, place in _named(store, venue, chosen, wanted.names).items()
    }
    wanted.terms.names(list(series))
    specs = {name: _spec(name, s, wanted) for name, s in series.items()}
    account = wanted.terms.account_of(wanted.account)
    flow = _flow(store, venue, chosen, series, wanted) if wanted.flow else None
    from_ns, end_ns = _range(list(series.values()), wanted) if flow is None else (
        flow.tape.from_ns, flow.tape.end_ns
    )  # fmt: skip
    start_ns = from_ns - wanted.history_ns
    tapes = {n: replace(s, from_ns=start_ns).blocks(specs[n]) for n, s in series.items()}
    sim = SimServer(wanted.rule, specs.values(), account, start_ns=start_ns, tapes=tapes)
    sim.advance(from_ns)
    sim.market.stand()
    sim.begin_script(wanted.faults or Script())
    sim.reads.selected.clear()  # a terminal shows no quotes of a symbol before it is selected
    _check_rates(sim)
    clock = TapeClock(from_ns, end_ns, wanted.speed, wanted.grace_s)
    return Sandbox(sim, wanted.place, clock, flow)


def _only_venue(store: LogStore) -> str:
    venues = sorted({s.venue for s in store.series() if s.kind in _PRICES})
    if len(venues) == 1:
        return venues[0]
    if not venues:
        raise DataError("the log has no prices", where=store.storage.where, do="see ofs log ls")
    raise UsageError(
        f"the log has {len(venues)} venues, and the terminal's prices come from one",
        why=f"they are {', '.join(venues)}",
        do="choose one with --venue",
    )


def _named(
    store: LogStore, venue: str, chosen: Sequence[str], names: Sequence[tuple[str, str]]
) -> dict[str, tuple[str, str]]:
    """(venue, symbol) of the log by the terminal's symbol: the map, else what was chosen, else all
    of the venue."""
    if names:
        return {name: _place(venue, source) for name, source in names}
    known = {s.symbol for s in store.series() if s.venue == venue and s.kind in _PRICES}
    for symbol in chosen or [""]:
        if symbol not in known and (symbol or not known):
            raise DataError(
                f"the log has no prices of {venue} {symbol}".rstrip(),
                where=store.storage.where,
                do="see what is there with ofs log ls",
            )
    return {symbol: (venue, symbol) for symbol in chosen or sorted(known)}


def _place(venue: str, source: str) -> tuple[str, str]:
    other, colon, symbol = source.rpartition(":")
    return (other.lower() if colon else venue, symbol.upper())


def _spec(name: str, series: Series, wanted: Wanted) -> SymbolSpec:
    """The usual facts of a name, with the decimals of the log, then what the terms say."""
    reader = series.reader()
    spec = spec_of(name, digits=reader.scales.price)
    values = wanted.terms.symbols.get(name, {})
    digits = values.get("digits", spec.digits)
    usual = spec_of(name)
    points = round(usual.spread / usual.scale * 10**digits)
    spec = replace(spec, spread=max(1, points))
    if wanted.spread:
        spec = replace(spec, spread=max(1, round(wanted.spread * 10**digits)))
    return wanted.terms.symbol_of(spec)


def _flow(
    store: LogStore,
    venue: str,
    chosen: Sequence[str],
    series: dict[str, Series],
    wanted: Wanted,
) -> Venue | None:
    """The venue of the symbols that have trades; None where none has."""
    own = [s.symbol for s in series.values() if s.venue == venue]
    symbols = [s for s in dict.fromkeys(chosen or own) if Series(store, venue, s).has_flow()]
    if not symbols:
        return None
    from data.venue.names import layout_of
    from data.venue.serve import Options, Venue
    from data.venue.tape import LogTape
    from data.venue.venue_faults import Script as FlowScript

    tape = LogTape(store, venue, symbols, wanted.from_ns, wanted.to_ns, wanted.delay_ns)
    return Venue(
        tape,
        Options(
            layout_of(venue, wanted.layout),
            speed=wanted.speed,
            grace_s=wanted.grace_s,
            hold_s=wanted.hold_s,
            host=wanted.place.host,
            rest_port=wanted.place.rest_port,
            script=wanted.flow_faults or FlowScript(),
        ),
    )


def _range(series: Sequence[Series], wanted: Wanted) -> tuple[int, int]:
    """(first, end) of the market's time, ns UTC."""
    entries = [e for s in series for e in s.reader().entries]
    first = min(e.min_key_ns for e in entries)
    last = max(e.max_key_ns for e in entries) + wanted.delay_ns + 1
    from_ns = first if wanted.from_ns is None else max(first, wanted.from_ns)
    return from_ns, last if wanted.to_ns is None else min(last, wanted.to_ns + wanted.delay_ns)


def _check_rates(sim: SimServer) -> None:
    """ConfigError where a result could not be told in the account's currency."""
    money = sim.ledger.money
    for spec in sim.market.specs.values():
        if money.rate(spec.currency_profit) is None:
            raise ConfigError(
                f"nothing tells what {spec.currency_profit} is worth in {money.account.currency}",
                why=f"{spec.name} is paid in {spec.currency_profit}",
                do=f"write [rates] {spec.currency_profit} = ... into the file of --terms",
            )
