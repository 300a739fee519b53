"""A sandbox as a child of ``ofs live``: started, waited for, and gone when its parent is.

Owns the child's command line, the configuration of a session that names no file, and the child's
end. What must hold: the child does not outlive this process, however that ends; the session learns
its addresses from the child's one line.

It refuses to know what a session does there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cli.common import App
from data.errors import DataError, UsageError

LOGIN = 5_000_001
START_S = 60.0
_LAYOUTS = {"binance-um": "futures", "binance-spot": "spot", "bybit": "bybit"}
_GUARDED = "from cli.live_sandbox import guarded; guarded()"

CONFIG = """\
# What ofs live --sandbox runs where no file is named.
venue = "{venue}"
symbols = [{symbols}]
streams = [{streams}]
strategy = "{strategy}"

[settings]
# a made-up market may not move for a minute; its last quote is as good as new
sim.stale = "2m"
basis.stale = "2m"

[account]
login = {login}
server = "{server}"
clock = "{clock}"

[map]
{map}

[limits]
daily_loss = 1000
lost_feed = "1m"
verdict_age = "30d"
quote_age = "2m"

[http]
port = 0
"""


def guarded() -> None:
    """The child: ``ofs`` with the words of this command line, until its input ends."""
    threading.Thread(target=_until_orphaned, daemon=True).start()
    from cli.main import main

    main(sys.argv[1:])


def _until_orphaned() -> None:
    while os.read(0, 1):  # not through sys.stdin, whose lock would be held at the end
        pass
    os._exit(0)  # at once: one that is stuck must not stay, and nothing of it is kept


@contextmanager
def sandbox(app: App, words: list[str]) -> Iterator[dict[str, Any]]:
    """Run ``ofs sandbox`` with ``words``; what its line says."""
    command = [sys.executable, "-c", _GUARDED, "sandbox", *words]
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        encoding="utf-8", start_new_session=os.name == "posix",
    )  # fmt: skip
    said: list[str] = []
    talk = threading.Thread(target=_listen, args=(child, said), daemon=True)
    talk.start()
    try:
        yield _line(child, said)
    finally:
        child.kill()
        child.wait()
        talk.join(5)
        if app.debug:
            app.say("".join(said))


def _listen(child: subprocess.Popen[str], said: list[str]) -> None:
    assert child.stderr is not None
    for line in child.stderr:
        said.append(line)
        del said[:-200]


def _line(child: subprocess.Popen[str], said: list[str]) -> dict[str, Any]:
    """The one line of a sandbox that is ready."""
    assert child.stdout is not None
    timer = threading.Timer(START_S, child.kill)
    timer.start()
    try:
        line = child.stdout.readline()
    finally:
        timer.cancel()
    if not line.strip():
        child.wait()
        raise DataError("the sandbox did not start", where="ofs sandbox",
                        why="".join(said).strip() or f"it ended with {child.returncode}",
                        do="mend what it names; ofs sandbox --help")  # fmt: skip
    return dict(json.loads(line))


def words_of(app: App, options: dict[str, Any], config: Any) -> list[str]:
    """Options of the child for the session of ``config`` (None: a try without a file)."""
    # without flow the clock begins with the first look at the account, before the session does
    grace = "8s" if config is not None and config.one_series else "0.5s"
    words = ["--speed", str(options["speed"] or 1.0), "--hold", "30s", "--grace", grace,
             "--history", "1h"]  # fmt: skip
    for name, flag in (("from_ns", "--from"), ("to_ns", "--to")):
        if options[name]:
            from data.times import format_utc

            words += [flag, format_utc(options[name])]
    if options["faults"]:
        words += ["--faults", str(options["faults"])]
    words += ["--log", _log(app)]
    if config is None:
        for _, symbol in flows(app):
            words += ["--symbol", symbol, "--map", f"{traded_name(symbol)}={symbol}"]
        return [*words, "--login", str(LOGIN), "--layout", "spot"]
    words += ["--login", str(config.account.login), "--clock", config.account.clock]
    if config.one_series:
        words += ["--no-flow"]
    elif config.venue in _LAYOUTS:
        words += ["--layout", _LAYOUTS[config.venue]]
    for symbol in config.symbols:
        words += ["--symbol", symbol, "--map", f"{config.traded(symbol)}={symbol}"]
    return words


def traded_name(symbol: str) -> str:
    """What a broker might call ``symbol``: BTCUSDc of BTCUSDT."""
    return f"{symbol.removesuffix('T')}c" if symbol.endswith("USDT") else symbol


def _log(app: App) -> str:
    """The log that is played: the one that was named, else the replay that comes with ofs."""
    import replays

    return app.log if app.log_named else str(replays.path())


def flows(app: App) -> list[tuple[str, str]]:
    """(venue, symbol) of what the log has trades of; UsageError where that is nothing, or much."""
    from data.enums import Kind
    from data.log import LogStore

    found = sorted({(s.venue, s.symbol) for s in LogStore(_log(app)).series()
                    if s.kind is Kind.TRADE})  # fmt: skip
    if len(found) != 1:
        raise UsageError(
            "the log has no trades" if not found else f"the log has {len(found)} symbols",
            where=_log(app), do="write a live.toml and name it with --config",
        )  # fmt: skip
    return found


def text_of(line: dict[str, Any], strategy: str = "delta_flip") -> str:
    """The configuration of a try: everything that the sandbox ``line`` serves."""
    streams = ["trade", "depth", "bar"]
    return CONFIG.format(
        venue="binance-spot", symbols=", ".join(f'"{s}"' for s in line["flow"]),
        streams=", ".join(f'"{s}"' for s in streams), strategy=strategy, login=line["login"],
        server=line["server"], clock=line["clock"],
        map="\n".join(f'{s} = "{traded_name(s)}"' for s in line["flow"]),
    )  # fmt: skip
