"""Words that the shell completes: venues, symbols, kinds, runs, strategies, sections.

Owns the click types whose values can be listed, and where the lists come from. What must hold: a
press of the tab key lists folders and opens no file of the log, imports nothing heavy, and never
fails: where a list cannot be had, there are no words.

It refuses to know whether a completed word is right; the command checks that.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

VENUES = ("binance-um", "binance-spot", "bybit", "bybit-spot", "mt5", "synthetic")
"""Venues whose files can be read, completed before the log holds anything of them."""


_SOURCE_BYTES_MAX = 1 << 20
_ASSIGNED = rb"(?m)^([A-Za-z_]\w*)[ \t]*(?::[^=\n]*)?=[ \t]*(?:\w+\.)*Strategy\("


class WordType(click.types.StringParamType):
    """Text whose values ``words`` can list for a context."""

    def __init__(self, name: str, words: Callable[[click.Context], Iterable[str]]) -> None:
        self.name = name
        self._words = words

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The words that begin with ``incomplete``, whatever their case."""
        from click.shell_completion import CompletionItem

        found = sorted(set(self._words(ctx)))
        return [CompletionItem(w) for w in found if w.lower().startswith(incomplete.lower())]


class WordOrFileType(WordType):
    """Text whose values ``words`` can list, or else a file, which the shell completes."""

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The words that begin with ``incomplete``; files where there is none."""
        from click.shell_completion import CompletionItem

        found = super().shell_complete(ctx, param, incomplete)
        return found or [CompletionItem(incomplete, type="file")]


class StrategyType(WordOrFileType):
    """Name of a strategy, or ``path.py:NAME``."""

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Strategies of the package, and those in the files beside what is being written."""
        from click.shell_completion import CompletionItem

        found = WordType.shell_complete(self, ctx, param, incomplete)
        own = (word for word in _own_strategies(incomplete) if word.startswith(incomplete))
        found += [CompletionItem(word) for word in own]
        return found or [CompletionItem(incomplete, type="file")]

    def anchor(self, word: str, folder: Path) -> str:
        """A path in a file of settings is relative to the folder of that file."""
        return str(folder / Path(word).expanduser()) if ".py" in word else word


class AddressType(WordOrFileType):
    """An address, or the file that a command wrote its addresses into."""

    def anchor(self, word: str, folder: Path) -> str:
        """A path in a file of settings is relative to the folder of that file."""
        return word if ":" in word else str(folder / Path(word).expanduser())


def _series(ctx: click.Context) -> Iterable[tuple[str, str]]:
    """(venue, symbol) of every series of the log, by the names of its folders alone."""
    root = _folder(ctx, "log")
    places = root.glob("kind=*/venue=*/symbol=*") if root is not None else ()
    for place in places:
        yield place.parent.name.partition("=")[2], place.name.partition("=")[2]


def _venues(ctx: click.Context) -> Iterable[str]:
    yield from VENUES
    yield from (venue for venue, _ in _series(ctx))


def _symbols(ctx: click.Context) -> Iterable[str]:
    wanted = str(ctx.params.get("venue") or "").lower()
    return (symbol for venue, symbol in _series(ctx) if wanted in ("", venue))


def _runs(ctx: click.Context) -> Iterable[str]:
    yield "last"
    root = _folder(ctx, "runs")
    if root is not None:
        yield from (path.parent.name for path in root.glob("[!._]*/manifest.json"))


def _sessions(ctx: click.Context) -> Iterable[str]:
    root = _folder(ctx, "runs")
    if root is not None:
        yield from (path.parent.name for path in root.glob("_sessions/*/session.json"))


def _strategies(_ctx: click.Context) -> Iterable[str]:
    """Names of the modules of the package; importing it would load the engine."""
    folder = Path(__file__).parents[1] / "strategies"
    return (path.stem for path in folder.glob("[!_]*.py"))


def _own_strategies(incomplete: str) -> Iterable[str]:
    """``path.py:NAME`` of what files in the folder of ``incomplete`` assign; none is run."""
    folder = incomplete.rpartition("/")[0]
    try:
        for path in sorted(Path(folder or ".").glob("*.py")):
            if path.name.startswith("test_") or path.stat().st_size > _SOURCE_BYTES_MAX:
                continue
            for found in re.finditer(_ASSIGNED, path.read_bytes()):
                yield f"{folder and folder + '/'}{path.name}:{found[1].decode()}"
    except OSError:
        return  # a folder or file that cannot be read offers nothing


def _sections(ctx: click.Context) -> Iterable[str]:
    """Sections of a file of settings, and the keys at its top."""
    from cli.keys import SECTIONS, all_keys
    from cli.settings import root_of

    yield from SECTIONS
    for key in all_keys(root_of(ctx)):
        yield ".".join(key.section) or key.name


def _nothing(_ctx: click.Context) -> Iterable[str]:
    return ()


def _clocks(_ctx: click.Context) -> Iterable[str]:
    """Rules by which the clocks of trade servers run; offsets can be any."""
    return ("new-york", "eet", "utc", "utc+2", "utc+3")


def _replays(_ctx: click.Context) -> Iterable[str]:
    folder = Path(__file__).parents[1] / "replays"
    return (path.parent.name for path in folder.glob("*/replay.json"))


def _folder(ctx: click.Context, name: str) -> Path | None:
    """The log or the folder of runs that the unfinished command line means; None elsewhere."""
    from cli.common import data_folder
    from cli.keys import shared_keys
    from cli.settings import config_flag, read, root_of
    from data.errors import OfsError

    at: click.Context | None = ctx
    while at is not None:
        if at.params.get(name):
            return _local(str(at.params[name]))
        at = at.parent
    try:
        root = root_of(ctx)
        given = read(root, config_flag(ctx)).find(shared_keys(root)[name])
    except OfsError:
        given = None  # a mistake in a file is told by the command, not by the tab key
    return _local(str(given.value)) if given is not None else data_folder() / name


def _local(text: str) -> Path | None:
    """The folder; None for a URI, where listing takes a network."""
    return None if "://" in text else Path(os.path.expanduser(text))  # noqa: PTH111  may be "~"


VENUE = WordType("VENUE", _venues)
"""A venue of the log, or one whose files can be read."""

SYMBOL = WordType("SYMBOL", _symbols)
"""A symbol of the log; of ``--venue`` where it stands before."""

RUN = WordType("RUN", _runs)
"""The id of a run, or ``last``."""

SESSION = WordType("SESSION", _sessions)
"""The id of a session."""

RUN_OR_FILE = WordOrFileType("RUN", _runs)
"""The id of a run, ``last``, or the file of a bundle."""

SECTION = WordType("SECTION", _sections)
"""A section of a file of settings."""

REPLAY = WordType("REPLAY", _replays)
"""A replay that comes with ofs."""

STRATEGY = StrategyType("STRATEGY", _strategies)
"""A strategy of the package, or ``path.py:NAME``."""

ADDRESS = AddressType("ADDRESS", _nothing)
"""An address of a served venue or archive, or the file with it; the path of a terminal."""

CLOCK = WordType("RULE", _clocks)
"""Rule of a trade server's clock."""

WORDS: dict[str, WordType] = {
    "venue": VENUE, "symbol": SYMBOL, "run": RUN, "strategy": STRATEGY, "replay": REPLAY,
    "session": SESSION, "endpoint": ADDRESS, "terminal": ADDRESS, "sandbox_file": ADDRESS,
    "rule": CLOCK, "clock": CLOCK,
}  # fmt: skip
"""The types of parameters that are called so and are plain text otherwise."""


def with_words(params: Iterable[click.Parameter]) -> None:
    """Give plain parameters called as in :data:`WORDS` their type."""
    for param in params:
        if param.type is click.STRING and param.name in WORDS:
            param.type = WORDS[param.name]


def comma_words(words: Iterable[str], incomplete: str) -> list[Any]:
    """Completions of the last of several words with commas between them."""
    from click.shell_completion import CompletionItem

    head, comma, tail = incomplete.rpartition(",")
    had = set(head.split(","))
    return [
        CompletionItem(f"{head}{comma}{word}")
        for word in words
        if word.startswith(tail) and word not in had
    ]
