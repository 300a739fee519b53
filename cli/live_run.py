"""Running ``ofs live``: gates, then the session with screen, API, monitor and control beside it.

Owns the order of both, the sandbox where there is one, and the signals; the work is
``engine.runtime.session`` with a :class:`engine.runtime.live.LiveTrader`.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.common import App
from data.errors import EXIT_RISK, RiskHaltError, UsageError

if TYPE_CHECKING:
    from data.live.endpoint import Endpoint
    from data.live.wiring import Ask
    from engine.broker.mt5_way import Sandbox
    from engine.runtime.live_config import LiveConfig
    from engine.runtime.live_gates import Seen
    from engine.runtime.paper_config import PaperConfig
    from engine.runtime.replay import Request
    from engine.runtime.session import Session, Setup

_DAY_NS = 86_400_000_000_000
_FACTS = ("session", "runs", "events", "gaps", "decisions", "orders", "fills", "intents", "digest")


def run(app: App, file: Path | None, options: dict[str, Any]) -> int:
    """The command; see :mod:`cli.live`."""
    from cli.paper_run import begun, beside_session
    from cli.stop import Stop
    from data.live.run import Ends
    from engine.runtime.session import left_unfinished, prepare

    with ExitStack() as stack:
        stop = stack.enter_context(Stop())
        setup = _setup(app, file, options, stack)
        session = prepare(setup)
        app.say(begun(session))
        for other, reason in left_unfinished(setup, session) if not options["sandbox"] else ():
            app.say(f"note: {other} of this file did not end, and is not gone on with: {reason}")
        days = options["days"] or session.config.days or 0
        ends = Ends(lambda: stop.asked, options["until_end"], int(days * _DAY_NS))
        with _flattened_by_signal(session), beside_session(app, session, http=options["http"]):
            why = session.run(ends)
        app.say(f"{session.folder.id}: {why}")
        facts = session.summary(why)
    _tell(app, facts)
    return EXIT_RISK if session.guarded or session.left_open else stop.exit_code


def _tell(app: App, facts: dict[str, Any]) -> None:
    if app.json:
        app.emit(facts)
        return
    for name in _FACTS:
        app.print(f"{name:<10} {', '.join(facts[name]) if name == 'runs' else facts[name]}")
    account, books = facts["account"], facts["books"]
    if account is not None:
        money = f"{account['balance']:,.2f} {account['currency']}"
        app.print(f"account    {account['login']} at {account['server']}, {money}")
    said = "equal" if books["equal"] else f"differ by {books['difference']:+.8f}"
    app.print(f"books      {said}")
    app.print(f"blocked    {', '.join(facts['blocked']) or 'nothing'}")
    app.print(f"unknown    {facts['unknown']} of {facts['unknown_ever']} ever")


@contextmanager
def _flattened_by_signal(session: Session) -> Iterator[None]:
    """SIGUSR1 closes everything and ends the session, where the platform has it."""
    number = getattr(signal, "SIGUSR1", None)
    if number is None:
        yield
        return
    asked: list[str] = []
    session.flatten_asked = lambda: asked[0] if asked else ""
    before = signal.signal(number, lambda *_: asked.append("SIGUSR1 asked for it"))
    try:
        yield
    finally:
        signal.signal(number, before)


# --- putting together ----------------------------------------------------------------------------


def _setup(app: App, file: Path | None, options: dict[str, Any], stack: ExitStack) -> Setup:
    from cli.paper_check import around
    from data.live.wiring import served_ns
    from engine.runtime.live import LiveTrader
    from engine.runtime.live_config import live_from_facts
    from engine.runtime.live_gates import Given
    from engine.runtime.live_link import Link
    from engine.runtime.session import Setup

    config, box, flow = _place(app, file, options, stack)
    for mistake in around(config, http=options["http"]):
        raise mistake
    given = Given(options["account"], options["unproven"] or "")
    if file is None:  # a try at the replay: there is nothing to lose, and nothing to prove
        given = Given(config.account.login, options["unproven"] or "a try in a sandbox")
    link = Link(config, box)
    seen = _pass_gates(app, config, link, given)
    config = _kept(config)
    return Setup(
        config,
        lambda c: _ask(c, flow),
        _request,
        app.runs,
        now_ns=served_ns(flow) if box is not None else None,
        session=options["session"] or "",
        new=options["new"] or options["sandbox"],  # its account is a new one each time
        on_cold=lambda: app.say("compiling…"),
        command="live",
        kept=lambda facts: _in_place(live_from_facts(facts), config),
        trader=LiveTrader(config, link, seen, given.unproven),
    )


def _kept(config: LiveConfig) -> LiveConfig:
    """Nothing fetches over REST what a terminal missed."""
    return (
        replace(config, record=replace(config.record, fill=False)) if config.one_series else config
    )


def _in_place(kept: LiveConfig, now: LiveConfig) -> LiveConfig:
    """What a session kept, at the account and with the limits of this process."""
    return replace(kept, account=now.account, limits=now.limits)


def _place(app: App, file: Path | None, options: dict[str, Any], stack: ExitStack
           ) -> tuple[LiveConfig, Sandbox | None, Endpoint]:  # fmt: skip
    """The configuration, the sandbox (None: the real thing), and where the flow comes from."""
    from cli.live_sandbox import sandbox, text_of, words_of
    from data.live.endpoint import Endpoint
    from engine.runtime.live_config import LiveConfig, parse_live, read_live

    config = read_live(file) if file is not None else None
    if options["endpoint"]:
        line = _read_line(options["endpoint"])
    elif options["sandbox"]:
        if config is not None and config.one_series:
            _compiled(app, config)
        line = stack.enter_context(sandbox(app, words_of(app, options, config)))
        app.say(f"sandbox: terminal {line['terminal']}, account {line['login']}")
    else:
        assert config is not None
        flow = Endpoint("", "") if config.one_series else Endpoint.real(config.venue)
        return config, None, flow
    if config is None:
        made = parse_live(text_of(line), "sandbox.toml", Path.cwd()).sound()
        assert isinstance(made, LiveConfig)
        config = made
    config, box = _boxed(config, line)
    return config, box, Endpoint(line["ws"], line["rest"], line["venue"])


def _compiled(app: App, config: LiveConfig) -> None:
    """Compile the fold before a clock begins that waits for nobody."""
    from data.events import Scales
    from data.live.blocks import Series
    from engine.runtime.fold import Buffers
    from engine.runtime.session_fold import LiveFold

    series = Series(config.venue, config.symbols[0], Scales(8, 8))
    LiveFold.make(0, series, _request(config), Buffers(), lambda: app.say("compiling…"))


def sandbox_of(config: LiveConfig, endpoint: str) -> tuple[LiveConfig, Sandbox]:
    """A configuration at the sandbox whose line the file ``endpoint`` holds."""
    return _boxed(config, _read_line(endpoint))


def _boxed(config: LiveConfig, line: dict[str, Any]) -> tuple[LiveConfig, Sandbox]:
    """The session's account there: a sandbox has a server of its own."""
    from data.live.endpoint import Endpoint
    from engine.broker.mt5_way import Sandbox
    from engine.broker.sandbox_clock import SandboxClock

    rule = str(line["clock"])
    at = replace(config.account, server=line["server"], clock=rule, terminal="", bridge="")
    flow = Endpoint(line["ws"], line["rest"], line["venue"])
    box = Sandbox(line["terminal"], SandboxClock(flow), flow, line["login"], line["server"], rule)
    return replace(config, account=at), box


def _read_line(path: str) -> dict[str, Any]:
    try:
        line = json.loads(Path(path).read_text(encoding="utf-8").partition("\n")[0])
        if all(isinstance(line[name], str) for name in ("terminal", "server", "rest", "ws")):
            return dict(line)
        why = "it is not the line of ofs sandbox"
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = str(error)
    raise UsageError("this is no sandbox", where=f"--endpoint {path}", why=why,
                     do="name the file that ofs sandbox wrote its line into")  # fmt: skip


def _pass_gates(app: App, config: LiveConfig, link: Any, given: Any) -> Seen:
    """Look at every gate; what the broker told. RiskHaltError where one fails."""
    from cli.live_check import lines
    from data.doctor.lines import Status
    from engine.runtime.live_gates import Seen

    seen = Seen()
    failed = []
    for line in lines(config, link, app.runs, given, seen=seen):
        app.say(f"{line.status:<4}  {line.check:<13}  {line.fact}")
        if line.status is Status.FAIL:
            failed.append(line)
    if failed:
        raise RiskHaltError(
            "ofs live does not start", where=config.path,
            why="; ".join(f"{line.check}: {line.fact}" for line in failed),
            do="; ".join(dict.fromkeys(line.mend for line in failed)),
        )  # fmt: skip
    return seen


def _ask(c: PaperConfig, flow: Endpoint) -> Ask:
    from cli.paper_run import ask_of
    from data.enums import Kind

    if c.venue != "mt5":
        return ask_of(c, flow)
    return ask_of(c, flow, tuple(Kind[name.upper()] for name in c.streams))


def _request(c: PaperConfig) -> Request:
    from cli.paper_run import request_of

    return request_of(c, broker="live")
