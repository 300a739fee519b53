"""Puts a fold together: state and params dtypes, and the source of a small module that is the fold.

Owns the generated source. The fold of a strategy is a module of its own in the keyed cache folder;
it imports its handlers as globals, which is the form that numba's disk cache keeps (closures over
dispatchers never hit it). The same source, compiled once, folds a year of columns (``fold``) and
one live event (``step``). It refuses to know what a handler computes.

What must hold in the generated code: decision boundaries fire before the event that reaches them;
a buffer that is nearly full makes the fold return before anything is half done; splitting a batch
anywhere changes nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

import numpy as np

from data.events import REFERENCE, Kind
from engine.kernel.core import CORE_PARAMS, CORE_STATE, KNOWN
from engine.kernel.events import COLUMNS
from engine.kernel.intents import INTENTS
from engine.kernel.live import BASIS_PARAMS, BASIS_STATE, LIVE_PARAMS, LIVE_STATE
from engine.kernel.matching import SIM_PARAMS, SIM_STATE
from engine.kernel.metrics import FILLERS
from engine.kernel.registry import Handler, resolve
from engine.kernel.risk import BASIS_GUARD
from engine.runtime import compose_live as living
from engine.runtime import compose_proxy as proxied
from engine.runtime import compose_sim as matched
from engine.runtime.strategy import Strategy

ORDER = (
    Kind.GAP, Kind.CONTROL, Kind.BROKER, Kind.BAR, Kind.TRADE, Kind.DEPTH, Kind.QUOTE, Kind.CLOCK,
)  # fmt: skip
"""Kinds that a fold takes; the others are in the log for queries and later handlers."""


OF_EXECUTION = (Kind.BROKER, Kind.QUOTE)
"""Kinds that a live fold hears of the series in which its orders are executed, and of no other."""

SIMULATED, LIVE, NONE = BROKERS = ("simulated", "live", "none")
"""Who fills orders: the matching model in the fold, a broker whose answers it takes, or nobody."""


@dataclass(frozen=True, eq=False)
class Composition:
    """A fold before it is compiled: its handlers, strategy, one of :data:`BROKERS`, and dtypes."""

    strategy: Strategy
    handlers: tuple[Handler, ...]
    broker: str
    kinds: tuple[Kind, ...]
    state: np.dtype
    params: np.dtype

    @property
    def simulated(self) -> bool:
        """True where the matching model is part of the fold."""
        return self.broker == SIMULATED

    @property
    def live(self) -> bool:
        """True where orders become intents and a broker's answers are folded."""
        return self.broker == LIVE

    @property
    def account(self) -> bool:
        """True where the fold keeps an account: orders, positions and money, in ``sim``."""
        return self.broker != NONE

    @property
    def refusals(self) -> tuple[str, ...]:
        """Names of the guards, by bit of ``decision.refused``."""
        guards = self.strategy.refusals
        return (*guards, BASIS_GUARD) if guards and self.live else guards


@cache
def compose(strategy: Strategy, *, broker: str = SIMULATED) -> Composition:
    """The composition of ``strategy``; ``broker`` (of :data:`BROKERS`) says who fills its orders.

    Kept for the life of the process: numba looks a record type up by its dtype object and compares
    two equal but different ones field by field, which costs 16 microseconds a call.
    """
    handlers = resolve(strategy.handlers)
    state = [("core", CORE_STATE), ("known", KNOWN), ("intents", INTENTS)]
    params = [("core", CORE_PARAMS)]
    for h in handlers:
        state.append((h.name, h.state))
        if h.params is not None:
            params.append((h.name, h.params))
    state.append(("strategy", strategy.state))
    params.append(("strategy", strategy.params_dtype))
    if broker not in BROKERS:
        raise ValueError(f"broker must be one of {', '.join(BROKERS)}, got {broker!r}")
    if broker != NONE:
        state.append(("sim", SIM_STATE))
        params.append(("sim", SIM_PARAMS))
    if broker == LIVE:
        state += [("live", LIVE_STATE), ("basis", BASIS_STATE)]
        params += [("live", LIVE_PARAMS), ("basis", BASIS_PARAMS)]
    kinds = {Kind.TRADE, Kind.GAP, Kind.CONTROL, Kind.CLOCK}
    kinds.update(k for h in handlers for k in h.kinds)
    if broker != NONE:
        kinds.update((Kind.DEPTH, Kind.QUOTE, Kind.BAR))
    if broker == LIVE:
        kinds.add(Kind.BROKER)
    return Composition(
        strategy,
        handlers,
        broker,
        tuple(k for k in (*ORDER, REFERENCE) if k in kinds),
        np.dtype(state, align=True),
        np.dtype(params, align=True),
    )


def column_names(kind: Kind) -> list[str]:
    """Names that the generated code gives to the columns of ``kind``."""
    return [f"{kind.name.lower()}_{c}" for c in COLUMNS[kind]]


def generate(c: Composition, strategy_module: str, function: str) -> str:
    """Source of the fold module; ``function`` is the compiled hook in ``strategy_module``."""
    parts = [_header(c, strategy_module, function), _session(c), _candles(c), _route(c)]
    parts += [proxied.pseudo(c.handlers), _boundary(c), _reach(c), _trades(c)]
    parts += [_rows(c, k) for k in c.kinds if k != Kind.TRADE]
    parts += [_fold(c), _step(c)]
    return "\n\n".join(p.strip("\n") for p in parts if p) + "\n"


def _has(c: Composition, name: str) -> bool:
    return any(h.name == name for h in c.handlers)


def _hook(c: Composition, hook: str, indent: int) -> str:
    lines: list[str] = []
    for h in c.handlers:
        lines += h.hooks.get(hook, ())
        if hook == "boundary" and h.name == "proxy":
            lines += proxied.gate(c.handlers)
    return "\n".join(" " * indent + line for line in lines)


_FILLER_NAME = re.compile(r"metrics_\w+|\b[A-Z][A-Z_]+\b")


def _fillers(c: Composition) -> list[str]:
    """Calls that fill in the numbers of the handlers of this fold, where it has metrics."""
    if not _has(c, "metrics"):
        return []
    return [FILLERS[h.name] for h in c.handlers if h.name in FILLERS]


def _header(c: Composition, module: str, function: str) -> str:
    imports = [f"from {h.module} import {', '.join(h.imports)}" for h in c.handlers if h.imports]
    if fillers := _fillers(c):
        names = sorted({n for call in fillers for n in _FILLER_NAME.findall(call)})
        imports.append(f"from engine.kernel.metrics import {', '.join(names)}")
    if c.simulated:
        imports.append(matched.IMPORTS)
    if c.live:
        imports.append(living.imports(c.handlers))
    return "\n".join(
        [
            f'"""Generated fold of {module}; do not edit."""',
            "from numba import njit",
            "from engine.kernel.core import advance_boundary, begin_decision, control, "
            "find_invalid, first_boundary, note_event, note_now, scan_before, session_end",
            "from engine.kernel.intents import flatten",
            "from engine.kernel.outputs import room",
            "from engine.kernel.sides import sides_trades",
            *proxied.imports(c.handlers),
            *imports,
            f"from {module} import {function} as _decide",
        ]
    )


def _session(c: Composition) -> str:
    body = _hook(c, "session", 4) or "    pass"
    return f"""
@njit(cache=True, nogil=True)
def _new_session(s, p, ts_ns):
    s.core.session_end_ns = session_end(p.core, ts_ns)
{body}
"""


def _candles(c: Composition) -> str:
    if not _has(c, "candles"):
        return ""
    rows = ""
    if _has(c, "footprint"):
        rows = f"""
    end = s.candles.end_ns
    minute_ends = end % 60000000000 == 0
    five_ends = end % 300000000000 == 0
    footprint_close(s.footprint, p.footprint, s.candles.open, minute_ends, five_ends)
{_hook(c, "rows", 4)}
    footprint_begin(s.footprint, minute_ends, five_ends)"""
    return f"""
@njit(cache=True, nogil=True)
def _close_candles(s, p):{rows}
    frames = candles_close(s.candles)
{_hook(c, "candle", 4)}
"""


def _route(c: Composition) -> str:
    if not c.account:
        return ""
    return (
        living.ROUTE + matched.SEE + living.SEE.lstrip("\n")
        if c.live
        else matched.ROUTE + matched.SEE
    )


def _boundary(c: Composition) -> str:
    sim = "    sim_boundary(s.sim, p.sim, o, now)\n    _see(s)\n" if c.simulated else ""
    route = "    _route(s, p, o, now)\n" if c.account else ""
    told = ""
    if c.live:
        sim, told = living.boundary(c.handlers)
    lines = [*_fillers(c), *(line for h in c.handlers for line in h.hooks.get("metrics", ()))]
    after = "".join(f"\n    {line}" for line in lines)
    flow = "s.flow.cvd, s.flow.approximate" if _has(c, "flow") else "0, 0"
    # a desk goes on in a pause: its guards refuse entries, its exits and withdrawals are asked
    paused = "else" if _has(c, "desk") else "elif core.paused == 0"
    decided = "".join(line + "\n" for line in _hook(c, "decided", 4).splitlines())
    return f"""
@njit(cache=True, nogil=True)
def _boundary(s, p, o):
    core = s.core
    now = core.next_ns
    note_now(core, now)
    if now > core.session_end_ns:
        _new_session(s, p, now)
{sim}{_hook(c, "boundary", 4)}{told}{after}
    grid = begin_decision(core, p.core, {flow}, s.known.qty)
    s.intents.n = 0
    if core.flatten != 0:
        flatten(core, s.known, s.intents)
    {paused}:
        _decide(s, p, o, now, grid)
{decided}    o.decisions[o.n_decisions] = core.decision
    o.n_decisions += 1
{route}"""


def _reach(c: Composition) -> str:
    return f"""
@njit(cache=True, nogil=True)
def _reach(s, p, o, at):
    core = s.core
    if core.next_ns == 0:
        first_boundary(core, p.core, at)
        _new_session(s, p, at)
    while core.next_ns <= at:
        if not room(o):
            return False
{proxied.flush(c.handlers, "core.next_ns", 8)}        _boundary(s, p, o)
        advance_boundary(core, p.core, at)
{proxied.flush(c.handlers, "at", 4)}    return room(o)
"""


def _trades(c: Composition) -> str:
    names = ", ".join(column_names(Kind.TRADE))
    candles = limit = ""
    if _has(c, "candles"):
        candles = """
        while s.candles.started == 1 and trade_ts_ns[i] >= s.candles.end_ns:
            _close_candles(s, p)"""
        limit = "\n        limit = min(limit, candles_limit(s.candles, trade_ts_ns[i]))"
    limit += proxied.limit(c.handlers)
    wait = proxied.wait(c.handlers)
    sim = "k = j"
    if c.simulated:
        sim = matched.TRADES
    elif c.live:
        sim = living.TRADES
    return f"""
@njit(cache=True, nogil=True)
def _trades(s, p, o, c, side, {names}, stop):
    core = s.core
    latency = p.core.latency_ns[{int(Kind.TRADE)}]
    i = c.at[{int(Kind.TRADE)}]
    while i < stop:
        at = trade_ts_ns[i] + latency
        if {wait} and not _reach(s, p, o, at):
            return False
        if trade_ts_ns[i] >= core.session_end_ns:
            _new_session(s, p, trade_ts_ns[i])
        limit = min(core.next_ns - latency, core.session_end_ns){candles}{limit}
        j, latest = scan_before(trade_ts_ns, limit, i, stop)
        if c.sided < j:
            start = max(i, c.sided)
            c.invalid += sides_trades(s.sides, p.sides, trade_ts_ns, trade_price, trade_qty,
                                      trade_side, side, start, j)
            c.sided = j
        if c.invalid > 0:
            j = find_invalid(side, i, j)
            if j == i:
                core.invalid_trades += 1
                i += 1
                c.at[{int(Kind.TRADE)}] = i
                continue
            latest = scan_before(trade_ts_ns, limit, i, j)[1]
        {sim}
        if k < j:
            latest = scan_before(trade_ts_ns, limit, i, k)[1]
        if k > i:
{_hook(c, "trades", 12)}
            if core.first_trade_ns == 0:
                core.first_trade_ns = trade_ts_ns[i]
            core.last_price = trade_price[k - 1]
            core.last_trade_ns = trade_ts_ns[k - 1]
            core.last_trade_id = trade_id[k - 1]
            core.events[{int(Kind.TRADE)}] += k - i
            note_event(core, latest + latency)
        i = k
        c.at[{int(Kind.TRADE)}] = i
        if k < j:
            return False
    return True
"""


def _row_body(c: Composition, kind: Kind) -> str:
    if kind == Kind.GAP:
        trade = _hook(c, "gap_trade", 12)
        depth = _hook(c, "gap_depth", 12) or "            pass"
        return f"""
        if gap_filled[r] == 0 and {proxied.gap(c.handlers)}:
            core.trade_gap_ns = max(core.trade_gap_ns, gap_to_ns[r])
{trade}
        elif gap_filled[r] == 0 and gap_stream[r] == {int(Kind.DEPTH)}:
            core.depth_gap_ns = max(core.depth_gap_ns, gap_to_ns[r])
{depth}"""
    if kind == Kind.CONTROL:
        hook = _hook(c, "control", 8)
        return "\n".join(x for x in ("        control(core, control_code[r])", hook) if x)
    lines = []
    if kind == Kind.BAR:
        lines.append("if core.last_trade_ns < bar_open_ns[r]:")
        lines.append("    core.last_price = bar_close[r]")
    hooks = _hook(c, kind.name.lower(), 0).splitlines()
    if c.live:
        hooks = living.row(kind, hooks)
    elif c.simulated and kind in matched.ROWS:
        lines.append(matched.ROWS[kind])
    lines += hooks
    return "\n".join(" " * 8 + line for line in lines)


def _references(c: Composition) -> str:
    """A level beside the market starts no clock; boundaries before it do not see it."""
    return f"""
@njit(cache=True, nogil=True)
def _references(s, p, o, c, {", ".join(column_names(REFERENCE))}, stop):
    core = s.core
    r = c.at[{int(REFERENCE)}]
    while r < stop:
        at = reference_ts_ns[r] + p.reference.latency_ns
        if core.next_ns > 0 and not _reach(s, p, o, at):
            return False
{_hook(c, "reference", 8)}
        r += 1
        c.at[{int(REFERENCE)}] = r
    return True
"""


def _rows(c: Composition, kind: Kind) -> str:
    if kind == REFERENCE:
        return _references(c)
    name = kind.name.lower()
    return f"""
@njit(cache=True, nogil=True)
def _{name}s(s, p, o, c, {", ".join(column_names(kind))}, stop):
    core = s.core
    latency = p.core.latency_ns[{int(kind)}]
    r = c.at[{int(kind)}]
    while r < stop:
        ts = {name}_ts_ns[r]
        if not _reach(s, p, o, ts + latency):
            return False
{_row_body(c, kind)}
        core.events[{int(kind)}] += 1
        note_event(core, ts + latency)
        r += 1
        c.at[{int(kind)}] = r
    return True
"""


def _dispatch(c: Composition, prefix: str) -> list[str]:
    lines = []
    for n, kind in enumerate(c.kinds):
        word = "if" if n == 0 else "elif"
        side = "side, " if kind == Kind.TRADE else ""
        columns = ", ".join(prefix.format(kind.name.lower(), c_) for c_ in COLUMNS[kind])
        lines.append(f"{word} kind == {int(kind)}:")
        lines.append(f"    done = _{kind.name.lower()}s(s, p, o, c, {side}{columns}, stop)")
    return lines


def _fold(c: Composition) -> str:
    names = ", ".join(n for k in c.kinds for n in column_names(k))
    body = "\n".join(" " * 8 + line for line in _dispatch(c, "{}_{}"))
    return f"""
@njit(cache=True, nogil=True)
def fold(state, params, out, cursor, side, run_kind, run_stop, {names}):
    s = state[0]
    p = params[0]
    o = out[0]
    c = cursor[0]
    while c.run < len(run_kind):
        kind = run_kind[c.run]
        stop = run_stop[c.run]
        done = True
{body}
        if not done:
            return False
        c.run += 1
    return True
"""


def _step(c: Composition) -> str:
    body = "\n".join(" " * 4 + line for line in _dispatch(c, "e.{}.{}"))
    return f"""
@njit(cache=True, nogil=True)
def step(state, params, event, out, cursor, side):
    s = state[0]
    p = params[0]
    e = event[0]
    o = out[0]
    c = cursor[0]
    kind = e.kind
    if c.again == 0:
        c.sided = 0
        c.invalid = 0
        if kind >= 0:
            c.at[kind] = 0
    stop = 1
    done = True
{body}
    c.again = 0 if done else 1
    return done
"""
