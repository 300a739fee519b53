"""Helpers of the fetch tests: terms that are quick to lose patience, and logs as bytes."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from data.log import LogStore
from data.sources.fetch import FetchReport, Terms, fetch
from data.sources.fetch_plan import Wish
from data.venue.archive import ArchiveServer
from data.venue.archive_rows import MadeUp

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
SMALL = MadeUp(trades_a_day=40)
AGG = "data/futures/um/daily/aggTrades/BTCUSDT/BTCUSDT-aggTrades-"


def terms(server: ArchiveServer | str, **changes: Any) -> Terms:
    """Terms with a short patience."""
    url = server if isinstance(server, str) else server.url
    quick: dict[str, Any] = {"timeout_s": 1.0, "backoff_s": 0.01, "retries": 3}
    return Terms(endpoint=url, **{**quick, **changes})


def wish(first: str, stop: str, kinds: str = "trade", symbols: str = "BTCUSDT") -> Wish:
    """USD-M days from ``first`` to before ``stop``."""
    days = date.fromisoformat(first), date.fromisoformat(stop)
    return Wish("binance-um", tuple(symbols.split()), tuple(kinds.split(",")), *days)


def take(
    folder: Path, server: ArchiveServer | str, asked: Wish, now: datetime = NOW, **changes: Any
) -> FetchReport:
    """Fetch into the log at ``folder``."""
    return fetch(LogStore(folder, create=True), asked, terms(server, **changes), now=now)


def states(report: FetchReport) -> dict[str, str]:
    """State by period of each file."""
    return {
        f"{i.file.first:%Y-%m}" if i.file.monthly else str(i.file.first): i.state
        for i in report.items
    }


def rows_of(folder: Path) -> dict[str, str]:
    """sha256 of every data file of a log."""
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*.parquet"))
        if p.name != "catalogue.parquet"
    }


def everything(folder: Path) -> dict[str, tuple[str, int]]:
    """sha256 and time of change of every file of a log, but for its lock."""
    return {
        p.relative_to(folder).as_posix(): (
            hashlib.sha256(p.read_bytes()).hexdigest(),
            p.stat().st_mtime_ns,
        )
        for p in sorted(folder.rglob("*"))
        if p.is_file() and not p.name.startswith(".lock")
    }
