"""A paper session of the cheap strategy in one process: its file's text, and its set-up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from data.enums import Kind
from data.live.endpoint import Endpoint
from data.live.items import Feed
from data.live.recorder import Limits
from data.live.wiring import Ask
from engine.runtime.paper_config import parse_paper
from engine.runtime.replay import Request
from engine.runtime.session import Setup
from strategies import get

STRATEGY = "delta_flip"
NOWHERE = "ws://127.0.0.1:1,http://127.0.0.1:1"


def paper_text(symbols: Sequence[str] = ("BTCUSDT",), **settings: str | float) -> str:
    """The text of a configuration whose strategy trades soon; ``settings`` come on top."""
    words = ", ".join(f'"{symbol}"' for symbol in symbols)
    given: dict[str, str | float] = {"warmup": 2, "cooldown": 0, **settings}
    lines = [f"{k} = {v!r}".replace("'", '"') for k, v in given.items()]
    return "\n".join([
        'venue = "binance-um"', f"symbols = [{words}]", 'streams = ["trade", "depth"]',
        f'strategy = "{STRATEGY}"', "", "[settings]", *lines, "",
    ])  # fmt: skip


def paper_setup(
    folder: Path,
    text: str,
    feed: Feed,
    now_ns: int,
    limits: Limits | None = None,
    crash: Callable[[str], None] = lambda _name: None,
) -> Setup:
    """A session of the configuration ``text`` that takes its events from ``feed``; its runs lie in
    ``folder/runs``. ``now_ns`` is the served time, ``crash`` is called at every crash point."""
    endpoint = Endpoint.of(NOWHERE)
    return Setup(
        parse_paper(text, "paper.toml", folder).sound(),
        lambda c: Ask(
            c.venue, c.symbols, (Kind.TRADE, Kind.DEPTH), endpoint, sync_ms=1,
            limits=limits or Limits(),
        ),
        lambda c: Request(get(STRATEGY), STRATEGY, c.venue, settings=c.settings),
        folder / "runs", now_ns=now_ns, feed=feed, crash_point=crash,
    )  # fmt: skip
