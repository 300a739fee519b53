"""Hosts that answer, refuse, stall or lie about the time: real sockets on loopback."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from data.doctor.lines import Status
from data.doctor.venue import Endpoint, clock, endpoint, measure
from data.errors import NetworkError
from data.sources.http import Http


class Server(ThreadingHTTPServer):
    """Answers with ``status``; its clock is ``ahead_s`` ahead; ``delay_s`` before an answer.

    ``form``: how it tells its time, ``binance``, ``bybit``, ``date`` (the header alone) or none.
    """

    daemon_threads = True
    status = 200
    ahead_s = 0.0
    delay_s = 0.0
    form = "binance"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet: no waiting for an acknowledgement between them
    server: Server

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        time.sleep(self.server.delay_s / 2)
        now_s = time.time() + self.server.ahead_s
        name = {"binance": "serverTime", "bybit": "time"}.get(self.server.form, "hello")
        body = json.dumps({name: int(now_s * 1000)} if name != "hello" else {name: 1}).encode()
        self.send_response_only(self.server.status)
        if self.server.form == "date":
            self.send_header("Date", formatdate(now_s, usegmt=True))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        time.sleep(self.server.delay_s / 2)


@contextmanager
def serving(**facts: object) -> Iterator[str]:
    server = Server(("127.0.0.1", 0), Handler)
    for name, value in facts.items():
        setattr(server, name, value)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def silent() -> Iterator[str]:
    """A server that takes the connection and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"


@pytest.fixture
def http() -> Iterator[Http]:
    made = Http(connect_s=2.0, read_s=2.0, whole_s=4.0)
    yield made
    made.close()


@pytest.mark.parametrize("form", ["binance", "bybit"])
def test_a_right_clock(http: Http, form: str) -> None:
    with serving(form=form) as url:
        line = clock(http, (url,))
    assert line.status == Status.OK and abs(line.numbers["offset_ms"]) < 60, line
    assert 0.5 <= line.numbers["uncertain_ms"] < 60 and line.numbers["samples"] == 5


@pytest.mark.parametrize(
    ("ahead_s", "status", "way"),
    [(0.4, Status.WARN, "behind"), (-0.4, Status.WARN, "ahead of"), (2.5, Status.FAIL, "behind"),
     (-3600.0, Status.FAIL, "ahead of"), (0.02, Status.OK, "behind")],
)  # fmt: skip
def test_a_wrong_clock(http: Http, ahead_s: float, status: Status, way: str) -> None:
    with serving(ahead_s=ahead_s) as url:
        line = clock(http, (url,))
    assert line.status == status and f" ms {way} " in line.fact, line
    assert line.numbers["offset_ms"] == pytest.approx(ahead_s * 1000, abs=60)
    assert bool(line.mend) == (status != Status.OK) and (not line.mend or "ntp" in line.mend)


def test_a_date_header_is_known_to_half_a_second(http: Http) -> None:
    """Also from a host that refuses us: its date is as good as any."""
    with serving(form="date", status=451) as url:
        assert clock(http, (url,)).status == Status.OK
    with serving(form="date", ahead_s=3.0) as url:
        line = clock(http, (url,))
    assert line.status == Status.FAIL and 500 <= line.numbers["uncertain_ms"] < 600


def test_a_slow_road_is_no_wrong_clock(http: Http) -> None:
    """Half the round trip is doubt: 0.2 s behind over 0.4 s of road proves nothing."""
    with serving(delay_s=0.4, ahead_s=0.2) as url:
        line = clock(http, (url,))
    assert line.status == Status.OK and line.numbers["uncertain_ms"] > 190
    assert line.numbers["offset_ms"] == pytest.approx(200, abs=60)


def test_the_next_host_is_asked_where_one_is_silent() -> None:
    quick = Http(connect_s=0.3, read_s=0.3, whole_s=0.5)
    with silent() as bad, serving() as good:
        assert clock(quick, (bad, good)).status == Status.OK
        line = clock(quick, (bad,))
    assert line.status == Status.WARN and "not measured" in line.fact and "--clock" in line.mend


def test_a_host_without_a_time(http: Http) -> None:
    with serving(form="none") as url, pytest.raises(NetworkError, match="does not tell its time"):
        measure(http, url)


@pytest.mark.parametrize(
    ("status", "says", "does"),
    [
        (451, "geoblock: the venue serves nobody at your location (HTTP 451)", "your country"),
        (403, "refused (HTTP 403)", "HTTPS_PROXY"),
        (429, "too many requests", "wait"),
        (503, "trouble of its own (HTTP 503)", "later"),
        (404, "not as expected (HTTP 404)", "--endpoint"),
    ],
)
def test_refusals_are_called_what_they_are(http: Http, status: int, says: str, does: str) -> None:
    with serving(status=status) as url:
        needed = endpoint(http, Endpoint(url, "the archive", True))
        useful = endpoint(http, Endpoint(url, "live", False))
    assert (needed.status, useful.status) == (Status.FAIL, Status.WARN)
    assert says in needed.fact and needed.fact.endswith("the archive") and does in needed.mend
    assert needed.numbers["status"] == status


def test_an_endpoint_that_answers(http: Http) -> None:
    with serving() as url:
        line = endpoint(http, Endpoint(url, "the archive", True))
    assert line.status == Status.OK and " answers in " in line.fact and line.mend == ""


def test_a_host_that_is_silent_or_gone() -> None:
    quick = Http(connect_s=0.3, read_s=0.3, whole_s=0.5)
    with silent() as url:
        start_s = time.monotonic()
        line = endpoint(quick, Endpoint(url, "the archive", True))
        assert time.monotonic() - start_s < 10
    assert line.status == Status.FAIL and "within the time limit" in line.fact
    gone = endpoint(quick, Endpoint(url, "the archive", True))
    assert gone.status == Status.FAIL and "--offline" in gone.mend
