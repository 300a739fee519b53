"""MetaTrader exports as terminals and scripts write them, of a market that keeps FX hours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")

Bar = tuple[datetime, float, float, float, float, int]
"""(start in UTC, open, high, low, close, ticks)"""


def is_open(moment: datetime, *, opens: int = 17, pause: bool = False) -> bool:
    """Whether spot FX trades; metals open an hour later and pause an hour a day."""
    local = moment.astimezone(NEW_YORK)
    day, hour = local.weekday(), local.hour
    if (day == 4 and hour >= 17) or day == 5 or (day == 6 and hour < opens):
        return False
    return not (pause and hour == 17)


def minutes(first: str, last: str, step: int = 1, **hours: bool | int) -> Iterator[datetime]:
    """Every minute (or every ``step``) in which the market is open, UTC."""
    moment = datetime.fromisoformat(first).replace(tzinfo=UTC)
    end = datetime.fromisoformat(last).replace(tzinfo=UTC)
    while moment < end:
        if is_open(moment, **hours):  # type: ignore[arg-type]
            yield moment
        moment += timedelta(minutes=step)


def bars(moments: Sequence[datetime]) -> list[Bar]:
    """A walk of prices, the same for the same minute."""
    out = []
    for moment in moments:
        n = int(moment.timestamp()) // 60
        base = 1.1 + ((n * 7919) % 1009) / 1e5 + ((n // 60 * 104729) % 997) / 1e5
        out.append((moment, base, base + 3e-5, base - 2e-5, base + 1e-5, 20 + n % 50))
    return out


def terminal_bars(rows: Sequence[Bar], clock: str | int, separator: str = "\t") -> str:
    """The terminal's own export: ``clock`` is an IANA zone, or hours ahead of New York or UTC."""
    lines = ["<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>"]
    for moment, o, h, low, c, n in rows:
        shown = wall(moment, clock)
        lines.append(
            f"{shown:%Y.%m.%d\t%H:%M:%S}\t{o:.5f}\t{h:.5f}\t{low:.5f}\t{c:.5f}\t{n}\t0\t12"
        )
    return ("\r\n".join(lines) + "\r\n").replace("\t", separator)


def wall(moment: datetime, clock: str | int) -> datetime:
    """A broker's wall clock: an IANA zone, ``new-york``, or a fixed number of hours."""
    if isinstance(clock, int):
        return (moment + timedelta(hours=clock)).replace(tzinfo=None)
    if clock == "new-york":
        return moment.astimezone(NEW_YORK).replace(tzinfo=None) + timedelta(hours=7)
    return moment.astimezone(ZoneInfo(clock)).replace(tzinfo=None)
