"""A link to a terminal that is known to be the right one: settings, signing in, checked reads.

Owns the settings of an account at a terminal, the way from a fresh worker to a terminal that is
signed in with the account that was named, and the rule that None is failure: a read gives a value
or raises.

What must hold: another account or server than the settings name is refused, every time. The
password is in no text that this module makes. It refuses to know orders.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from data.events import Scales
from engine.broker.calls import Answer, Terminal
from engine.broker.mt5_clock import ServerClock
from engine.broker.mt5_symbols import native_scales
from engine.broker.protocol import BrokerError, BrokerGoneError
from engine.broker.retcodes import LAST_ERRORS, link_is_gone, words_of

LOOK_AGAIN_S = 0.2
"""Between two looks for a quote that proves a clock passes so long."""

LAUNCH_S = 110.0
"""A terminal that must be started first takes up to this long beside the wait for its sign-in."""


@dataclass(frozen=True, slots=True)
class Mt5Settings:
    """An account at a terminal, and how to talk to it.

    ``login`` and ``server`` are checked whatever happens; ``password`` is only needed where the
    terminal is not signed in already. ``path`` names the terminal. ``symbols`` are the broker's
    names with the scales of the session. ``clock`` is the rule of the server's clock. A close may
    slip ``deviation`` points where the server obeys that. Deadlines in seconds: ``call_s`` for
    reads, ``send_s`` for what changes something, ``history_s`` for history, ``sign_in_s`` for the
    terminal to come online. A quote older than ``stale_s`` is not traded on.
    """

    login: int
    server: str
    symbols: Mapping[str, Scales]
    path: str = ""
    password: str = field(default="", repr=False)
    clock: str = "new-york"
    deviation: int = 50
    call_s: float = 5.0
    send_s: float = 15.0
    history_s: float = 30.0
    sign_in_s: float = 60.0
    stale_s: float = 30.0


def failure(name: str, answer: Answer) -> BrokerError:
    """The error of a read that gave None (or False)."""
    code = answer.code
    row = LAST_ERRORS.get(code)
    gone = link_is_gone(code)
    kind = BrokerGoneError if gone else BrokerError
    do = "connect again" if gone else "look at the terminal's journal"
    if row is not None and row.halt:
        do = "set the terminal right, then start again"
    return kind(f"{name} failed: {words_of(code)}", why=f"last_error {code}: {answer.text}", do=do)


def read(terminal: Terminal, name: str, *args: Any, deadline_s: float, **kwargs: Any) -> Any:
    """The value of a call that only reads; BrokerError where it gives None."""
    answer = terminal.call(name, *args, deadline_s=deadline_s, **kwargs)
    if answer.value is None:
        raise failure(name, answer)
    return answer.value


def sign_in(terminal: Terminal, settings: Mt5Settings) -> tuple[Any, Any]:
    """Connect to the terminal, signed in as the settings say; (TerminalInfo, AccountInfo)."""
    args = (settings.path,) if settings.path else ()
    kwargs: dict[str, Any] = {"timeout": round(settings.sign_in_s * 1000)}
    if settings.password:
        kwargs |= {
            "login": settings.login, "password": settings.password, "server": settings.server
        }  # fmt: skip
    answer = terminal.call("initialize", *args, deadline_s=settings.sign_in_s + LAUNCH_S, **kwargs)
    if not answer.value:
        raise failure("initialize", answer)
    account = identity(terminal, settings)
    return read(terminal, "terminal_info", deadline_s=settings.call_s), account


def identity(terminal: Terminal, settings: Mt5Settings) -> Any:
    """The AccountInfo; BrokerError where it is of another account than the settings name."""
    info = read(terminal, "account_info", deadline_s=settings.call_s)
    if (info.login, info.server) == (settings.login, settings.server):
        return info
    if info.login == 0:
        why = "it is not signed in to any account"
    else:
        why = f"it is signed in as {info.login} at {info.server}"
    raise BrokerError(
        f"the terminal is not at account {settings.login} of {settings.server}",
        where=settings.path,
        why=why,
        do="sign in there, or name this account in the configuration",
    )


def select(terminal: Terminal, settings: Mt5Settings, symbol: str) -> Any:
    """Have the terminal follow a symbol; its SymbolInfo."""
    answer = terminal.call("symbol_select", symbol, True, deadline_s=settings.call_s)
    if not answer.value:
        if link_is_gone(answer.code):
            raise failure("symbol_select", answer)
        alike = names_like(terminal, settings, symbol)
        raise BrokerError(
            f"the terminal does not know {symbol}",
            why=f"last_error {answer.code}: {answer.text}; {alike}",
            do="write the name as the broker does, suffix included",
        )
    return read(terminal, "symbol_info", symbol, deadline_s=settings.call_s)


def names_like(terminal: Terminal, settings: Mt5Settings, symbol: str) -> str:
    """Names of the broker that look like one that it does not know, in words: brokers hang
    suffixes on (EURUSDm, EURUSD.r), and which of them is meant only the user knows."""
    word = symbol.rstrip(".").upper()[:6]
    infos = terminal.call("symbols_get", deadline_s=settings.call_s).value or ()
    names = sorted(info.name for info in infos if word in info.name.upper())[:8]
    return f"it has {', '.join(names)}" if names else "it has nothing of that kind"


def symbol_scales(terminal: Terminal, settings: Mt5Settings) -> dict[str, Scales]:
    """Sign in and tell the coarsest scales that hold each symbol of the settings (whose own scales
    are not looked at)."""
    sign_in(terminal, settings)
    return {name: native_scales(select(terminal, settings, name)) for name in settings.symbols}


def prove_clock(terminal: Terminal, settings: Mt5Settings, look_s: float = 2.0) -> bool:
    """Hold the clock rule against quotes: True where a fresh one confirms it, False where there is
    none within ``look_s`` seconds (a closed market). BrokerError where one refutes it."""
    clock = ServerClock(settings.clock)
    until = terminal.now_ns() + round(look_s * 1e9)
    first: dict[str, int] = {}
    looks = round(look_s / LOOK_AGAIN_S)  # the time of a stand-in that nobody hears stands still
    while True:
        for name in settings.symbols:
            answer = terminal.call("symbol_info_tick", name, deadline_s=settings.call_s)
            if answer.value is None:
                if link_is_gone(answer.code):
                    raise failure("symbol_info_tick", answer)
                continue
            shown = answer.value.time_msc
            fresh = shown != first.setdefault(name, shown)
            verdict = clock.check(answer.value, terminal.now_ns(), fresh)
            if verdict.wrong:
                raise refuted(settings.clock, name, verdict.words)
            if verdict.proven:
                return True
        looks -= 1
        if looks < 0 or terminal.now_ns() >= until:
            return False
        terminal.sleep(LOOK_AGAIN_S)


def refuted(rule: str, symbol: str, words: str) -> BrokerError:
    """The error of a clock rule that a quote refutes."""
    return BrokerError(
        f"the server's clock does not run by the rule {rule!r}",
        where=f"the last quote of {symbol}",
        why=words,
        do="name the rule of this server, and see that this machine's clock is right",
    )
