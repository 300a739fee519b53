"""The live screen as text: every part of it, for any width and height.

Owns what stands where. What must hold: 80 columns by 24 lines show all that a person needs to know
(states, lag, gaps, charts, signals, plans and why they wait, position, money, resources); larger
screens show more of it; a line is never longer than the screen is wide, and there are never more
lines than it is high.

It refuses to know where a picture comes from and how often it is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from textwrap import wrap

from rich.text import Text

from cli import spark
from data.journal.states import States
from data.times import format_utc
from data.units import format_size
from engine.runtime.view import PlanView, SignalView, SymbolView, View

NARROWEST, LOWEST = 40, 10
WIDE = 120
ALARM_LINES = 2
CHART_MAX = 10
"""Most lines that a chart is high."""
_UP, _DOWN, _DIM, _HEAD, _WARN = "green", "red", "bright_black", "bold cyan", "bold red"
_PHASE = {"running": "bold green", "paused": _WARN, "failed": _WARN}

_PLAIN = str.maketrans("▲▼─…", "^v-~")

Chart = Callable[..., tuple[list[str], list[float]]]
Field = Sequence[tuple[str, str]]
Charted = tuple[str, tuple[str, str], Sequence[float], Chart, str]


def draw(
    view: View,
    width: int,
    height: int,
    focus: int = 0,
    letters: str = spark.BLOCKS,
    *,
    color: bool = True,
) -> list[Text]:
    """At most ``height`` lines of at most ``width`` letters.

    ``focus`` is the place of the symbol that is shown in full, counted round; ``letters`` are
    those of the charts. Without ``color`` the sign of a bar would be lost: every chart then runs
    from its least to its largest value.
    """
    width, height = max(width, NARROWEST), max(height, LOWEST)
    top = [_title(view, width), *_session(view, width)]
    x = view.symbols[focus % len(view.symbols)] if view.symbols else None
    bottom = _machine(view, width)
    room = height - len(top) - len(bottom)
    body = _symbol(x, view, width, room, letters, color) if x else _recorded(view, width, room)
    shown = [*top, *body, *bottom]
    for line in shown:
        line.rstrip()
        line.truncate(width, overflow="ellipsis")
        if letters == spark.ASCII:
            line.plain = line.plain.translate(_PLAIN)
    return shown[:height]


def _warn(bad: object) -> str:
    return _WARN if bad else ""


def _line(*parts: tuple[str, str] | str) -> Text:
    return Text.assemble(*parts, no_wrap=True)


def _rule(title: str, width: int) -> Text:
    return _line((f"── {title} ", _HEAD), ("─" * max(0, width - len(title) - 4), _DIM))


def _named(name: str, value: str, style: str = "") -> list[tuple[str, str]]:
    return [(f"{name} ", _DIM), (f"{value}  ", style)]


def _signed(value: float | None, decimals: int = 2) -> tuple[str, str]:
    """A number with its sign, and its colour."""
    if value is None:
        return "?", _DIM
    style = _UP if value > 0 else _DOWN if value < 0 else ""
    return f"{value:+,.{decimals}f}", style


# --- the session -------------------------------------------------------------------------------


def _fitting(width: int, *fields: Field) -> Text:
    """The first field, and of the others those that still fit whole into ``width`` letters."""
    line = _line(*fields[0])
    for field in fields[1:]:
        piece = _line(*field)
        if piece.plain and line.cell_len + len(piece.plain.rstrip()) <= width:
            line.append_text(piece)
    return line


def _title(v: View, width: int) -> Text:
    """State and session always; the strategy is part of the session's id."""
    state = (f"{v.phase.upper()}  ", _PHASE.get(v.phase, "bold yellow"))
    return _fitting(
        width, [state, (f"{v.session}  ", "bold")], [("served  ", "yellow")] if v.served else [],
        [(f"{_clock(v)}  ", "")], [(f"{v.venue}  ", "")], [(f"up {span(v.uptime_s)}", _DIM)],
    )  # fmt: skip


def _clock(v: View) -> str:
    return format_utc(v.now_ns)[:19].replace("T", " ") + "Z" if v.now_ns else "no event yet"


def _session(v: View, width: int) -> list[Text]:
    s, f, g = v.states, v.feed, v.gaps
    feed = [
        _named("lag p50/p99", f"{f.lag_p50_ms:,.1f}/{f.lag_p99_ms:,.1f} ms"),
        _named("events/s", f"{f.events_per_s:,.0f}"),
        _named("queue", f"{f.queued:,}"),
        _named("decision", f"{f.decision_p99_ms:,.1f}"),
        _named("sync", f"{v.disk.sync_p99_ms:,.1f}"),
    ]
    holes = [
        _named("gaps", f"{g.total:,} ({g.filled:,} filled, {g.open:,} open)", _warn(g.open)),
        _named("sockets", f"{f.connections}", _warn(not f.connections)),
        _named("rejects", f"{sum(f.rejects.values()):,}"),
        _named("twice", f"{f.duplicates:,}"),
        *([(f"{name} {n:,}  ", _DIM)] for name, n in g.by_reason.items() if n),
    ]
    alarm = wrap("  ".join(v.alarms), width - 2, max_lines=ALARM_LINES, placeholder=" …")
    last = [_line((f"! {text}", _WARN)) for text in alarm] or [_line(("all is well", _DIM))]
    counts = [_states(s, width), _fitting(width, *feed), _fitting(width, *holes)]
    return [*counts, *_broker(v, width), *last]


def _states(s: States, width: int) -> Text:
    """How far events got; by their distance from what is synced where the numbers are too long."""
    near = _named("synced", f"{s.synced:,}", "bold")
    others = {"admitted": s.admitted, "written": s.written, "sealed": s.sealed,
              "checkpoint": s.checkpointed}  # fmt: skip
    whole = _line(*near, *(p for name, n in others.items() for p in _named(name, f"{n:,}")))
    if len(whole.plain.rstrip()) <= width:
        return whole
    short = {name: _short(n - s.synced) for name, n in others.items()}
    return _fitting(width, near, *(_named(name, text) for name, text in short.items()))


def _broker(v: View, width: int) -> list[Text]:
    """The account at the broker, in a session that trades one."""
    b = v.broker
    if b is None:
        return []
    books = "?" if b.books is None else "equal" if not b.books else f"{b.books:+,.2f}"
    link = "up" if b.connected else "DOWN"
    age = "" if b.tick_age_s is None else f" {b.tick_age_s:,.0f} s"
    money = f"{b.balance:,.2f} {b.currency}" if b.balance is not None else "?"
    foreign = [_named("foreign", f"{b.foreign}", _WARN)] if b.foreign else []
    return [_fitting(
        width, [(f"{'REAL' if b.real else 'demo'} {b.login}  ", "bold")],
        _named("blocked", ", ".join(b.blocked) or "none", _warn(b.blocked)),
        _named("books", books, _warn(b.books)), _named("unknown", f"{b.unknown}", _warn(b.unknown)),
        _named("balance", money), _named("link", link + age, _warn(link == "DOWN")), *foreign,
        _named("sent", f"{b.sent}"),
    )]  # fmt: skip


def _machine(v: View, width: int) -> list[Text]:
    """The last two lines: what the process and the disk are doing."""
    r, d = v.resources, v.disk
    cache = "" if r.cache_hit_percent is None else f"{r.cache_hit_percent:.0f} %"
    first = [
        *_named("cpu", f"{r.cpu_percent:.0f} %"), *_named("memory", f"{r.memory_mb:,.0f} MB"),
        *_named("engines", f"{r.engines}"), *_named("checks/s", f"{r.checks_per_s:.1f}"),
        *(_named("fold cache", cache) if cache else []),
        *(_named("files", f"{r.open_files}") if r.open_files is not None else []),
        *_named("threads", f"{r.threads}"),
    ]  # fmt: skip
    second = [
        *_named("net", f"{_rate(r.net_in_per_s)} in {_rate(r.net_out_per_s)} out"),
        *_named("disk", _rate(r.disk_write_per_s)),
        *_named("free", format_size(d.free_bytes), _warn(d.level)),
        *(_named("a day", format_size(d.bytes_per_day)) if d.bytes_per_day else []),
        (str(v.control.get("http", "")), _DIM),
    ]  # fmt: skip
    return [_rule("machine", width), _line(*first), _line(*second)]


def _rate(per_s: float | None) -> str:
    return "?" if per_s is None else f"{format_size(int(per_s))}/s"


def _recorded(v: View, width: int, room: int) -> list[Text]:
    """What came, where nothing is folded: events by kind, streams, and the latest holes."""
    kinds = [_named(name, f"{n:,}") for name, n in sorted(v.by_kind.items())]
    found = [_rule("recorded", width), _line(*(part for kind in kinds for part in kind))]
    for g in v.gaps.latest[: max(0, (room - 2) // 2)]:
        until = format_utc(g.to_ns)[11:19] if g.to_ns else "now"
        when = f" {format_utc(g.from_ns)[11:19]} to {until}"
        found.append(
            _line(("gap  ", _DIM), f"{g.symbol} {g.stream} ", (g.reason, _WARN),
                  when, (" filled" if g.filled else "", _UP))
        )  # fmt: skip
    busiest = sorted(v.feed.routes.items(), key=lambda r: -r[1])
    for name, n in busiest[: max(0, room - len(found))]:
        found.append(_line(f"{name:<40}", (f"{n:>14,} messages", _DIM)))
    return found[: max(0, room)]


# --- a symbol ----------------------------------------------------------------------------------


def _symbol(x: SymbolView, v: View, width: int, room: int, letters: str, color: bool) -> list[Text]:
    """The symbol in focus in ``room`` lines; what is left over shows more of everything."""
    fixed = [_rule(_headline(x), width), _market(x)]
    money = [*_money(x), _decision(x)]
    spare = room - len(fixed) - len(money) - 3
    wide = width >= WIDE
    signals = _signals(x.signals, width, 2 if not wide else 3)
    plans = _plans(x.plans, max(2, spare // 3))
    spare -= len(signals) + len(plans)
    others = _others(v, x, width, max(0, spare // 2))
    spare -= len(others)
    trades = _trades(x, max(0, min(6, spare - (0 if wide else 3))))
    spare -= len(trades)
    high = max(1, min(CHART_MAX, 1 + (spare if wide else spare // 3)))
    charts = (_beside if wide else _stacked)(_charts(x, color), width, high, letters)
    body = [*fixed, *charts, *signals, *plans, *money, *trades, *others]
    return body[: max(0, room)]


def _headline(x: SymbolView) -> str:
    price = "no price yet" if x.price is None else f"{x.price:,.{x.price_decimals}f}"
    return f"{x.symbol} {price}"


def _market(x: SymbolView) -> Text:
    """Where market and trade stand."""
    regimes = [_named(name, level) for name, level in x.regimes.items()]
    calm = x.market_state in ("", "normal")
    market = _named("market", x.market_state, "" if calm else _WARN) if x.market_state else []
    since = (x.now_ns - x.lifecycle_since_ns) / 1e9 if x.lifecycle_since_ns else 0.0
    trade = _named("trade", x.lifecycle + (f" {span(since)}" if since > 0 else ""), "bold")
    paused = [("PAUSED ", _WARN)] if x.paused else []
    book = [] if x.book_imbalance is None else _named("book", f"{x.book_imbalance:+.2f}")
    return _line(*paused, *trade, *market, *(p for r in regimes for p in r), *book)


def _charts(x: SymbolView, color: bool) -> list[Charted]:
    """(name, value now, values, how to draw, colour; empty: by sign) of each chart."""
    cvd = _signed(x.cvd, x.qty_decimals)
    about = "~" if x.cvd_approximate else ""
    signed = spark.bars if color else spark.lines
    return [
        ("delta 30s", _signed(x.delta_30s, x.qty_decimals), x.chart.delta, signed, ""),
        ("CVD", (about + cvd[0], cvd[1]), x.chart.cvd, spark.lines, "cyan"),
        ("imbalance", _signed(x.imbalance), x.chart.imbalance, signed, ""),
    ]


def _coloured(row: str, values: Sequence[float], colour: str) -> Text:
    """A row of a chart; without a colour each column has that of its value's sign."""
    if colour:
        return Text(row, style=colour)
    text = Text(row[: len(row) - len(values)])
    for letter, value in zip(row[len(row) - len(values) :], values, strict=True):
        text.append(letter, style=_UP if value >= 0 else _DOWN)
    return text


def _stacked(charts: list[Charted], width: int, height: int, letters: str) -> list[Text]:
    """Charts below each other, their names to the left."""
    found = []
    for name, (value, style), values, chart, colour in charts:
        rows, shown = chart(values, width - 25, height, letters)
        for n, row in enumerate(rows):
            left = (f"{name:<10}", _DIM) if n == len(rows) - 1 else (" " * 10, "")
            number = (f"{value:>13}  ", style) if n == len(rows) - 1 else (" " * 15, "")
            line = _line(left, number)
            line.append_text(_coloured(row, shown, colour))
            found.append(line)
    return found


def _beside(charts: list[Charted], width: int, height: int, letters: str) -> list[Text]:
    """Charts beside each other, their names above."""
    each = (width - 4) // 3
    head, body = _line(), [_line() for _ in range(height)]
    for n, (name, (value, style), values, chart, colour) in enumerate(charts):
        gap = "  " if n else ""
        number = value.ljust(each - len(name) - 1)
        head.append_text(_line(gap, (f"{name} ", _DIM), (number, style)))
        rows, shown = chart(values, each, height, letters)
        for line, row in zip(body, rows, strict=True):
            line.append(gap)
            line.append_text(_coloured(row, shown, colour))
    return [head, *body]


def _signals(signals: Iterable[SignalView], width: int, most: int) -> list[Text]:
    """The signals that speak, the strongest first, and how many are silent or not ready."""
    every = list(signals)
    speak = sorted((s for s in every if s.direction), key=lambda s: -s.strength)
    quiet = sum(1 for s in every if s.ready and not s.direction)
    unready = len(every) - len(speak) - quiet
    words = [
        [(f"{'▲' if s.direction > 0 else '▼'} {s.name} ", _UP if s.direction > 0 else _DOWN),
         (f"{s.strength:.2f}  ", "")]
        for s in speak
    ]  # fmt: skip
    rest = [(f"{quiet} silent" + (f", {unready} not ready" if unready else ""), _DIM)]
    found: list[Text] = []
    line = _line(("signals   ", _DIM))
    for word in [*words, rest]:
        piece = _line(*word)
        if line.cell_len + piece.cell_len > width and len(found) < most - 1:
            found.append(line)
            line = _line(" " * 10)
        line.append_text(piece)
    return [*found, line]


def _plans(plans: Iterable[PlanView], most: int) -> list[Text]:
    """Plans that are pending with what they wait for, then the others; at least a line."""
    order = sorted(plans, key=lambda p: (p.status != "pending", not p.met, p.id))
    if not order:
        return []
    found: list[Text] = []
    for p in order[:most]:
        state = "met" if p.met else f"{p.passed}/{p.conditions}"
        waits = f"waits: {'; '.join(p.waits)}" if p.waits and not p.met else p.status
        found.append(
            _line((f"plan {p.id:<5}", _DIM), (f"{p.name or '-'} {p.direction} ", "bold"),
                  (f"{state}  ", _UP if p.met else ""), waits)
        )  # fmt: skip
    if len(order) > most:
        found[-1].append(f"  and {len(order) - most} more", style=_DIM)
    return found


def _money(x: SymbolView) -> list[Text]:
    a, unit = x.account, x.price_decimals
    held = [("position  ", _DIM)]
    for p in x.positions:
        held += [(f"{p.side} {p.qty:g} ", _UP if p.side == "long" else _DOWN),
                 (f"at {p.entry_price:,.{unit}f} ", ""),
                 (f"stop {p.stop:,.{unit}f} " if p.stop else "no stop ", _DIM),
                 (f"target {p.target:,.{unit}f} " if p.target else "", _DIM)]  # fmt: skip
        held.append((f"{_signed(p.pnl)[0]} {a.currency}  ", _signed(p.pnl)[1]))
    if not x.positions:
        held.append((f"flat, {a.open_orders} open orders" if a.open_orders else "flat", ""))
    money = [
        ("account   ", _DIM), *_named("equity", f"{a.equity:,.2f} {a.currency}"),
        *_named("net", *_signed(a.net_pnl)),
        *([] if a.day_pnl is None else _named("day", *_signed(a.day_pnl))),
        *_named("drawdown", f"{a.drawdown:,.2f}"),
    ]  # fmt: skip
    risk = [
        ("risk      ", _DIM), (f"halted: {', '.join(a.halts)}  " if a.halts else "", _WARN),
        *([] if a.open_risk is None else _named("at risk", f"{a.open_risk:,.2f}")),
        *_named("fees", f"{a.fees:,.2f}"), *_named("trades", f"{a.round_trips} ({a.wins} won)"),
        *([] if a.losses_in_row is None else _named("losses in a row", f"{a.losses_in_row}")),
    ]  # fmt: skip
    return [_line(*held), _line(*money), _line(*risk)]


def _decision(x: SymbolView) -> Text:
    d = x.decision
    if d is None:
        return _line(("decision  ", _DIM), "none yet")
    parts = [("decision  ", _DIM), (f"{d.action} ", "bold" if d.action != "none" else "")]
    parts.append((f"#{d.id:,} score {d.score:.2f} ", ""))
    if d.probability is not None:
        parts.append((f"p {d.probability:.2f} ", ""))
    for word, names, style in (
        ("blocked:", d.blocked, ""),
        ("refused:", d.refused, _WARN),
        ("seen:", d.quality, "yellow"),
    ):
        if names:
            parts.append((f" {word} {', '.join(names)}", style))
    return _line(*parts)


def _trades(x: SymbolView, most: int) -> list[Text]:
    """The last round trips."""
    found: list[Text] = []
    for t in x.trades[:most]:
        when = format_utc(t.closed_ns)[11:19]
        found.append(
            _line((f"{when}  ", _DIM), (f"{t.side} {t.qty:g} ", ""),
                  f"{t.entry_price:,.{x.price_decimals}f} to {t.exit_price:,.{x.price_decimals}f} ",
                  (f"{_signed(t.net_pnl)[0]} ", _signed(t.net_pnl)[1]), (t.exit_reason, _DIM))
        )  # fmt: skip
    return found


def _others(v: View, shown: SymbolView, width: int, most: int) -> list[Text]:
    """The other symbols of the session, a line each."""
    others = [x for x in v.symbols if x is not shown]
    if not others or most < 2:
        return []
    found = [_rule(f"{len(others)} more symbols", width)]
    others.sort(key=lambda x: (not x.positions, x.symbol))
    for x in others[: most - 1]:
        price = "?" if x.price is None else f"{x.price:,.{x.price_decimals}f}"
        delta, style = _signed(x.delta_30s, x.qty_decimals)
        net, money = _signed(x.account.net_pnl)
        held = " ".join(f"{p.side} {p.qty:g}" for p in x.positions)
        found.append(
            _line(f"{x.symbol:<14}{price:>14}  ", ("delta ", _DIM), (f"{delta:>12}  ", style),
                  f"{x.lifecycle:<16}", ("net ", _DIM), (f"{net:>10}  ", money), held)
        )  # fmt: skip
    return found


def plain(v: View) -> str:
    """The session in one line, where there is no terminal to draw on."""
    f, g, r = v.feed, v.gaps, v.resources
    net = sum(x.account.net_pnl for x in v.symbols)
    held = [f"{x.symbol} {p.side} {p.qty:g}" for x in v.symbols for p in x.positions]
    parts = [
        f"{_clock(v)} {v.phase}",
        f"{f.events_per_s:,.0f} events/s",
        f"lag {f.lag_p50_ms:,.1f}/{f.lag_p99_ms:,.1f} ms",
        f"synced {v.states.synced:,}",
        f"gaps {g.total:,} ({g.open:,} open)",
        *([f"net {net:+,.2f}", ", ".join(held[:4]) or "flat"] if v.symbols else []),
        f"cpu {r.cpu_percent:.0f} %",
        f"{r.memory_mb:,.0f} MB",
        *(f"! {alarm}" for alarm in v.alarms),
    ]
    return "  ".join(parts)


def _short(count: int) -> str:
    """A difference of counts with its sign, in at most six letters below a trillion."""
    size, unit = float(abs(count)), ""
    for unit in ("", "k", "M", "G"):
        if size < 10_000 or unit == "G":
            break
        size /= 1000
    return f"{'-' if count < 0 else '+'}{int(size):,}{unit}"


def span(seconds: float) -> str:
    """A length of time in its two largest units."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86_400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86_400}d{whole % 86_400 // 3600:02d}h"
