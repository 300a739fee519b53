"""Who trades in a session: the words between a session and whoever sends its intents.

Owns the protocol :class:`Trader`. What must hold: a session without one is on paper and nothing
else about it differs; a trader hears of an intent only once the intent is synced, and what it
learns comes back as events of the broker through the session's one inlet.

It refuses to know brokers, terminals and accounts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from data.live.blocks import Series
from data.live.clock import SessionClock
from data.live.items import Feed
from data.live.recorder import Recorder
from data.live.session_folder import SessionFolder
from data.live.session_log import SessionLog
from engine.runtime.session_folds import Folds
from engine.runtime.view import BrokerView


class Trader(Protocol):
    """Sends what a session decides, and tells it what became of that. One thread calls it."""

    def series(self, flow: Callable[[], Sequence[Series]], known: Sequence[Series]) -> list[Series]:
        """The instruments that the venue tells (``flow``) at the scales that both sides need, then
        those on which orders are executed, where these are others; ``known`` is what a session had
        before, which it keeps."""

    def terms(self) -> dict[str, dict[str, str]]:
        """Settings of the fold that the broker rules, by symbol; a session keeps those with which
        it began."""

    @property
    def currency(self) -> str:
        """What the account is kept in, and all money of its folds with it."""

    def execution(self, series: Sequence[Series]) -> dict[int, int]:
        """Number of the series that executes, by the number of the series that decides; empty
        where they are the same."""

    def feed(self, flow: Callable[[], Feed], clock: SessionClock) -> Feed:
        """A feed of the venue's streams (``flow`` makes it) and the execution quotes."""

    def join(self, recorder: Recorder, folds: Folds, folder: SessionFolder, log: SessionLog
             ) -> None:  # fmt: skip
        """The session stands as its log says; take up what it asked of the broker and was told."""

    def start(self) -> None:
        """The session runs from here on."""

    def each(self) -> None:
        """Once a turn: admit what the broker told."""

    def settle(self) -> None:
        """The session drains: let what is under way end, admit it, and send nothing more."""

    def stop(self) -> None:
        """Let go of the broker; nothing is closed or cancelled. Never raises."""

    def guard(self) -> str:
        """Why everything must be closed and the session end now; "" while nothing is wrong."""

    @property
    def flat(self) -> bool:
        """Whether nothing of ours is held or under way at the broker."""

    def view(self) -> BrokerView:
        """How the account and the link stand."""

    def facts(self) -> dict[str, Any]:
        """What the session's file keeps of it."""

    def summary(self) -> dict[str, Any]:
        """What the last object says besides that of a session on paper."""
