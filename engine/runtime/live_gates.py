"""The gates of a live session: what must be true before anything may be sent.

Owns the lines of ``ofs doctor --live`` and of the start of ``ofs live``, one a gate. What must
hold: a gate that could not look fails; the only one that can be passed over is the verdict on
paper, in words that go into the session's log.

It refuses to know how a broker is reached and how lines are printed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data.doctor.lines import Line, Status
from data.errors import OfsError
from data.events import MONEY_SCALE
from data.times import format_utc
from data.units import format_duration
from engine.broker.protocol import Account, Broker, Instrument
from engine.runtime import verdict_kept
from engine.runtime.compose import Composition
from engine.runtime.live_config import LiveConfig

OFFSET_STEP_NS = 900_000_000_000
"""Servers' clocks are off UTC by whole quarters of an hour."""
TICK_AGE_NS = 60_000_000_000
"""A younger quote proves the clock's rule; with older ones the market may be closed."""
_TRADED = ("full", "long", "short")


@dataclass(frozen=True, slots=True)
class Given:
    """What the command line said: the account's number, and why no verdict is asked for."""

    account: int | None
    unproven: str = ""


@dataclass
class Seen:
    """What the lines saw of the broker: the account, and its instruments by name."""

    account: Account | None = None
    instruments: dict[str, Instrument] = field(default_factory=dict)


def account_named(config: LiveConfig, given: Given) -> Line:
    """The configuration names an account, and the command line the same."""
    login = config.account.login
    numbers = {"login": login, "given": given.account}
    if given.account is None:
        do = f"add --yes-trade-account {login}, if that is the account that may be traded"
        return Line("account", Status.FAIL, "nobody said that it may be traded", do, numbers)
    if given.account != login:
        fact = f"--yes-trade-account says {given.account}, {config.path} says {login}"
        return Line("account", Status.FAIL, fact, "name the same account in both", numbers)
    return Line("account", Status.OK, f"{login} at {config.account.server}", numbers=numbers)


def limits_set(config: LiveConfig, composition: Composition, settled: dict[str, str]) -> Line:
    """The session's own limits, and those of the strategy where it has risk guards."""
    limits = config.limits
    missing = [f"limits.{name}" for name in ("daily_loss",) if not getattr(limits, name)]
    if any(h.name == "risk" for h in composition.handlers):
        asked = ("risk.daily_loss", "risk.drawdown", "risk.positions")
        missing += [name for name in asked if not float(settled.get(name, "0") or 0)]
    if missing:
        fact = f"no limit is set: {', '.join(missing)}"
        return Line("limits", Status.FAIL, fact, "write each of them in the file, above 0")
    lost = format_duration(limits.lost_feed_ns)
    return Line("limits", Status.OK, f"daily loss {limits.daily_loss:g}, lost feed {lost}")


def proven(config: LiveConfig, runs: Path, source: str, given: Given, *, served: bool,
           now_ns: Callable[[], int] = time.time_ns) -> Line:  # fmt: skip
    """A PASS of ``ofs paper report`` on the same configuration and ``source``, not too old.

    ``served`` is a rehearsal: only there a verdict over a stand-in venue counts.
    """
    name = "paper verdict"
    if given.unproven:
        do = "have it judged on paper before more is at stake"
        return Line(name, Status.WARN, f"not asked for: {given.unproven}", do)
    kept = verdict_kept.latest(runs, config.paper_identity)
    do = "ofs paper --config paper.toml with the same keys, then ofs paper report last"
    if kept is None:
        return Line(name, Status.FAIL, "this configuration was never judged on paper", do)
    age_ns, most_ns = now_ns() - kept.at_ns, config.limits.verdict_age_ns
    about = f"{kept.session}, judged {format_utc(kept.at_ns)[:19]}Z"
    numbers: dict[str, Any] = {"session": kept.session, "age_s": age_ns / 1e9}
    why = ""
    if not kept.passed:
        why = "it did not pass"
    elif kept.source != source:
        why = "the sources of ofs or of the strategy changed since"
    elif age_ns > most_ns:
        why = f"that is longer ago than {format_duration(most_ns)}"
    elif kept.served and not served:
        why = "it was played over a stand-in of the venue"
    if why:
        return Line(name, Status.FAIL, f"{about}: {why}", do, numbers)
    return Line(name, Status.OK, f"PASS of {about}", numbers=numbers)


# --- the broker ----------------------------------------------------------------------------------


def broker_lines(broker: Broker, config: LiveConfig, seen: Seen | None = None) -> Iterator[Line]:
    """Connect and look: the account, its permission, the link and its clock, every instrument.

    ``seen`` takes up what they tell.
    """
    seen = seen or Seen()
    try:
        account = broker.connect()
    except OfsError as error:
        yield failed("mt5", error)
        return
    seen.account = account
    yield Line("mt5", Status.OK, f"{broker.name}: connected")
    yield _account(account, config)
    yield _permission(account)
    yield _link(broker)
    try:
        instruments = broker.instruments()
    except OfsError as error:
        yield failed("instruments", error)
        return
    seen.instruments = {i.symbol: i for i in instruments}
    for symbol in config.symbols:
        yield _instrument(config.traded(symbol), instruments, account)


def failed(name: str, error: OfsError) -> Line:
    """The line of a check that could not look."""
    why = f": {error.why}" if error.why else ""
    return Line(name, Status.FAIL, f"{error.what}{why}", error.do or "mend that and ask again")


def _account(a: Account, config: LiveConfig) -> Line:
    wanted = config.account
    numbers = {
        "login": a.login, "server": a.server, "currency": a.currency, "real": a.real,
        "hedging": a.hedging, "balance": a.balance / 10**MONEY_SCALE,
    }  # fmt: skip
    kind = "real" if a.real else "demo"
    fact = f"{kind} {a.login} at {a.server}, {'hedging' if a.hedging else 'netting'}, {a.currency}"
    if a.login != wanted.login or a.server != wanted.server:
        fact += f"; {config.path} says {wanted.login} at {wanted.server}"
        do = "log the terminal in to that account, or name this one in the file"
        return Line("login", Status.FAIL, fact, do, numbers)
    return Line("login", Status.OK, fact, numbers=numbers)


def _permission(a: Account) -> Line:
    if a.trade_allowed:
        return Line("permission", Status.OK, "the account may trade by program")
    do = "switch on Algo Trading in the terminal, and log in with the trading password"
    return Line("permission", Status.FAIL, f"it may not trade: {a.why_not or 'no reason'}", do)


def _link(broker: Broker) -> Line:
    h = broker.health()
    hours = h.offset_ns / 3.6e12
    numbers = {"round_trip_ms": h.round_trip_ns / 1e6, "offset_s": h.offset_ns / 1e9,
               "tick_age_s": h.tick_age_ns / 1e9}  # fmt: skip
    fact = f"a call takes {h.round_trip_ns / 1e6:.1f} ms, the server's clock is UTC{hours:+g} h"
    if not h.connected:
        do = "look at the terminal's connection to its server"
        return Line("link", Status.FAIL, f"no link to the server: {h.words}", do, numbers)
    if h.words:
        do = "look at the rule in [account] clock, and at the terminal"
        return Line("link", Status.FAIL, h.words, do, numbers)
    if h.offset_ns % OFFSET_STEP_NS:
        do = "name another rule in [account] clock"
        return Line("link", Status.FAIL, f"{fact}, which no server has", do, numbers)
    if not 0 <= h.tick_age_ns <= TICK_AGE_NS:
        do = "while the market is closed nothing proves the rule of the server's clock: ask again"
        old = "there is no quote" if h.tick_age_ns < 0 else f"{h.tick_age_ns / 1e9:.0f} s old"
        return Line("link", Status.WARN, f"{fact}; the youngest quote: {old}", do, numbers)
    return Line("link", Status.OK, fact, numbers=numbers)


def _instrument(name: str, instruments: Sequence[Instrument], account: Account) -> Line:
    check = f"symbol {name}"
    found = next((i for i in instruments if i.symbol == name), None)
    if found is None:
        do = "write its name as the terminal shows it into [map]"
        return Line(check, Status.FAIL, "the broker has no such instrument", do)
    numbers = {
        "price_step": found.price_step / 10**found.scales.price,
        "qty_step": found.qty_step / 10**found.scales.qty,
        "qty_min": found.qty_min / 10**found.scales.qty,
        "stops_level": found.stops_level / 10**found.scales.price,
    }  # fmt: skip
    fact = ", ".join(f"{k.replace('_', ' ')} {v:g}" for k, v in numbers.items())
    if found.trade_mode not in _TRADED:
        do = "trade another instrument, or wait for the broker"
        return Line(check, Status.FAIL, f"it cannot be traded: {found.trade_mode}", do, numbers)
    if found.profit_currency != account.currency:
        fact = f"its results arise in {found.profit_currency}, the account's in {account.currency}"
        do = "trade it in an account of that currency: the exact result cannot be known otherwise"
        return Line(check, Status.FAIL, fact, do, numbers)
    if found.trade_mode != "full":
        do = f"only {found.trade_mode} positions can be opened: a strategy of both sides is refused"
        return Line(check, Status.WARN, fact, do, numbers)
    return Line(check, Status.OK, fact, numbers=numbers)
