"""Checks that ask somebody else: are the venues reachable, and is the clock right.

Owns the measure of the clock: the server's time less the middle of request and answer, the median
of several, known to half the round trip (D. L. Mills, RFC 5905, section 8) and to the resolution of
what the server says: a millisecond where it tells its time in JSON, a second in the ``Date`` of a
header. What must hold: an offset is complained about only as far as it is certain; a refusal of
one's location (HTTP 451) is called that. It refuses to know what is fetched from a venue.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from data.doctor.lines import Line, Status
from data.errors import NetworkError
from data.sources.http import Answer, Http, shown

SAMPLES = 5
WARN_S = 0.1
FAIL_S = 1.0
_MS = 1000.0
_CLOCK_MEND = (
    "let the operating system keep the time (Linux: timedatectl set-ntp true; Windows: w32tm "
    "/resync as administrator; macOS: sudo sntp -sS time.apple.com)"
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A host to reach and what for; ``needed`` by a command of this version, else only useful."""

    url: str
    purpose: str
    needed: bool


ARCHIVE = Endpoint("https://data.binance.vision/", "Binance's public archive (ofs fetch)", True)
"""Where ``ofs fetch`` fetches from unless it is told otherwise."""

LIVE = (
    Endpoint("https://fapi.binance.com/fapi/v1/ping", "Binance USD-M futures, live", False),
    Endpoint("https://api.binance.com/api/v3/ping", "Binance spot, live", False),
    Endpoint("https://api.bybit.com/v5/market/time", "Bybit, live", False),
)
"""Venues that no command of this version needs."""

CLOCKS = ("https://fapi.binance.com/fapi/v1/time", "https://data.binance.vision/")
"""Where the time is asked for, one after the other until one answers."""


@dataclass(frozen=True, slots=True)
class Offset:
    """How far this machine's clock is behind the server's (negative: ahead), and how certain."""

    offset_s: float
    uncertain_s: float
    samples: int
    source: str

    @property
    def certain_s(self) -> float:
        """The part of the offset that is beyond doubt, seconds."""
        return max(0.0, abs(self.offset_s) - self.uncertain_s)


def endpoint(http: Http, asked: Endpoint) -> Line:
    """Whether a host answers, and what a refusal means."""
    host = urlsplit(asked.url).netloc.rpartition("@")[2]
    name = "endpoint"
    bad = Status.FAIL if asked.needed else Status.WARN
    start_s = time.perf_counter()
    try:
        answer = http.get(asked.url)
    except NetworkError as error:
        fact = f"{error.what}: {error.why}; {asked.purpose}"
        mend = f"{error.do}; or leave the network out with --offline"
        return Line(name, bad, fact, mend, {"url": shown(asked.url), "status": None})
    took_ms = (time.perf_counter() - start_s) * _MS
    numbers = {"url": shown(asked.url), "status": answer.status, "ms": round(took_ms, 1)}
    fact, mend = _refusal(answer.status)
    if not mend:
        return Line(
            name, Status.OK, f"{host} answers in {took_ms:.0f} ms; {asked.purpose}", "", numbers
        )
    return Line(name, bad, f"{host}: {fact}; {asked.purpose}", mend, numbers)


def _refusal(status: int) -> tuple[str, str]:
    """What an HTTP status says of a host, and what to do; nothing to do when it serves us."""
    if status == 451:
        return (
            "geoblock: the venue serves nobody at your location (HTTP 451)",
            "nothing here can mend that: use a venue that serves your country; its archive and "
            "your own recordings can be imported all the same",
        )
    if status == 403:
        return (
            "refused (HTTP 403): a firewall or a proxy, or your location",
            "open the address in a browser; behind a proxy set HTTPS_PROXY",
        )
    if status in (418, 429):
        return (
            f"too many requests came from your address (HTTP {status})",
            "wait some minutes, and ask for less at a time",
        )
    if status >= 500:
        return (
            f"the host has trouble of its own (HTTP {status})",
            "try again later; see the venue's status page",
        )
    if status >= 400:
        return f"not as expected (HTTP {status})", "check the address given with --endpoint"
    return "", ""


def clock(
    http: Http, urls: tuple[str, ...] = CLOCKS, now_ns: Callable[[], int] = time.time_ns
) -> Line:
    """The clock of this machine against the first of ``urls`` that tells its time."""
    name = "clock"
    troubles: list[str] = []
    for url in urls:
        try:
            found = measure(http, url, now_ns)
        except NetworkError as error:
            troubles.append(f"{urlsplit(url).hostname}: {error.why or error.what}")
            continue
        return _judged(name, found)
    mend = "check the network, name a server with --clock URL, or leave it out with --offline"
    return Line(name, Status.WARN, f"not measured: {'; '.join(troubles)}", mend)


def _judged(name: str, found: Offset) -> Line:
    numbers = {
        "offset_ms": round(found.offset_s * _MS, 1),
        "uncertain_ms": round(found.uncertain_s * _MS, 1),
        "samples": found.samples,
        "source": found.source,
    }
    way = "behind" if found.offset_s >= 0 else "ahead of"
    fact = (
        f"{abs(found.offset_s) * _MS:.0f} ms {way} {found.source}, "
        f"known to {found.uncertain_s * _MS:.0f} ms (median of {found.samples})"
    )
    if found.certain_s > WARN_S:
        status = Status.FAIL if found.certain_s > FAIL_S else Status.WARN
        return Line(name, status, fact, _CLOCK_MEND, numbers)
    if found.uncertain_s > FAIL_S:
        mend = "the network is slow: ask again, or name a nearer server with --clock URL"
        return Line(name, Status.WARN, f"not measured well: {fact}", mend, numbers)
    return Line(name, Status.OK, fact, numbers=numbers)


def measure(http: Http, url: str, now_ns: Callable[[], int] = time.time_ns) -> Offset:
    """The offset to the server of ``url``; NetworkError where it does not tell its time.

    A first request that is not counted opens the connection, so that the round trips are those of
    one request each.
    """
    http.get(url)
    offsets: list[float] = []
    uncertain: list[float] = []
    for _ in range(SAMPLES):
        start_ns = now_ns()
        start_s = time.perf_counter()
        answer = http.get(url)
        trip_s = time.perf_counter() - start_s
        server_s, resolution_s = _server_time(answer, url)
        offsets.append(server_s - (start_ns / 1e9 + trip_s / 2))
        uncertain.append((trip_s + resolution_s) / 2)
    source = urlsplit(url).netloc.rpartition("@")[2]
    return Offset(statistics.median(offsets), statistics.median(uncertain), SAMPLES, source)


def _server_time(answer: Answer, url: str) -> tuple[float, float]:
    """(middle of the time that the server may mean, resolution), seconds since 1970 UTC."""
    if answer.status == 200 and (told_ms := _json_time_ms(answer.body)) is not None:
        return (told_ms + 0.5) / _MS, 1 / _MS
    try:
        moment = parsedate_to_datetime(answer.headers["date"])
    except (KeyError, TypeError, ValueError):
        raise NetworkError(
            f"{urlsplit(url).hostname} does not tell its time",
            where=shown(url),
            why=f"its answer (HTTP {answer.status}) has no time in it and no date",
            do="name another server with --clock URL",
        ) from None
    zoned = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return zoned.timestamp() + 0.5, 1.0


def _json_time_ms(body: bytes) -> float | None:
    """Milliseconds of ``{"serverTime": ms}`` (Binance) or ``{"time": ms}`` (Bybit); else None."""
    try:
        facts: Any = json.loads(body)
    except ValueError:
        return None
    told: Any = facts.get("serverTime", facts.get("time")) if isinstance(facts, dict) else None
    if not isinstance(told, int) or isinstance(told, bool):
        return None
    low, high = (datetime(year, 1, 1, tzinfo=UTC).timestamp() * _MS for year in (2000, 2200))
    return float(told) if low < told < high else None
