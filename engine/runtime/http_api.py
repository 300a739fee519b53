"""The HTTP API of a session: read-only, on this machine alone unless the user says otherwise.

Owns the paths and who may ask. ``/health``, ``/api/session``, ``/api/symbols``,
``/api/symbols/{symbol}``, ``/api/symbols/{symbol}/trades``, ``/api/position``, ``/api/monitor`` and
``/metrics`` answer GET and HEAD; every other method is refused. What must hold: nothing that is
asked changes anything; every answer is made of one picture; a client that is slow, gone or rude
costs one bounded thread and never the session; an address that others can reach is not bound
without a token; a page in a browser cannot read it by a name that it had resolved to this machine.

It refuses to know how a picture is made.
"""

from __future__ import annotations

import hmac
import ipaddress
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET6, socket
from threading import BoundedSemaphore, Thread
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from data.errors import ConfigError, NetworkError
from engine.runtime.metrics_text import CONTENT_TYPE, metrics_text
from engine.runtime.monitor import Monitor
from engine.runtime.view import SymbolView, View

TOKEN = "OFS_HTTP_TOKEN"
"""Variable that holds the token; it is never an option, so that no list of processes shows it."""
TOKEN_LETTERS = 16
"""Least length of a token."""
SCHEMA = 1
THREADS_MAX = 16
PATIENCE_S = 10.0
"""How long a connection may say nothing, seconds."""
_JSON = "application/json; charset=utf-8"
_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})

Answer = tuple[int, str, bytes]


class HttpApi:
    """Serves ``view`` (the latest picture) at ``host``:``port`` (0: any free one).

    ``token`` is demanded of every request as ``Authorization: Bearer TOKEN``; ConfigError without
    one where ``host`` is not this machine's own, or where nothing can listen there.
    """

    def __init__(
        self,
        view: Callable[[], View],
        host: str = "127.0.0.1",
        port: int = 0,
        token: str | None = None,
        monitor: Monitor | None = None,
    ) -> None:
        self._local = is_loopback(host)
        check_token(host, token)
        self._token = token
        self._view, self._monitor = view, monitor
        self.requests = 0
        self.refused = 0
        self.failures = 0
        try:
            self._server = _Server((host, port), self, ipv6=":" in host)
        except OSError as error:
            raise NetworkError(
                "the HTTP API cannot listen",
                where=f"{host}:{port}",
                why=error.strerror or str(error),
                do="name another port ([http] port, --http of a recording), or 0 for any free one",
            ) from error
        self._thread = Thread(
            target=self._server.serve_forever, args=(0.1,), name="http", daemon=True
        )

    @property
    def address(self) -> str:
        """Where it listens, e.g. ``http://127.0.0.1:8765``."""
        host, port = self._server.server_address[:2]
        name = host.decode() if isinstance(host, bytes) else str(host)
        return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"

    def start(self) -> None:
        """Begin to answer, on threads."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening; an answer under way is not waited for."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def answer(self, path: str, headers: Mapping[str, str]) -> Answer:
        """(status, content type, body) of a GET of ``path`` with ``headers``."""
        self.requests += 1
        refusal = self._refusal(headers)
        if refusal is not None:
            self.refused += 1
            return refusal
        words = [unquote(word) for word in urlsplit(path).path.split("/") if word]
        return self._page(words)

    def _refusal(self, headers: Mapping[str, str]) -> Answer | None:
        """Why this client is told nothing; None where it may ask."""
        host = headers.get("Host", "").strip()
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if self._local and self._token is None and name.lower() not in _LOCAL_NAMES:
            return _json(403, {"error": f"this machine is asked by the name {name!r}"})
        given = headers.get("Authorization", "")
        wanted = f"Bearer {self._token}"
        if self._token is not None and not hmac.compare_digest(given.encode(), wanted.encode()):
            return _json(401, {"error": f"a token is needed: that of {TOKEN}"})
        return None

    def _page(self, words: list[str]) -> Answer:
        view = self._view()
        if words == ["metrics"]:
            return 200, CONTENT_TYPE, metrics_text(lambda: view)
        if words == ["health"]:
            return _json(200 if view.healthy else 503, health(view))
        if words[:1] == ["api"]:
            found = self._api(words[1:], view)
            if found is not None:
                return _json(200, found)
        return _json(404, {"error": "there is nothing here", "paths": list(PATHS)})

    def _api(self, words: list[str], view: View) -> Any | None:
        """The object of an ``/api/`` path; None where there is none."""
        match words:
            case ["session"]:
                return session(view)
            case ["symbols"]:
                return {"session": view.session, "symbols": [_brief(x) for x in view.symbols]}
            case ["symbols", name] if (x := view.symbol(name)) is not None:
                return {"session": view.session, "as_of_seq": view.as_of_seq, **asdict(x)}
            case ["symbols", name, "trades"] if (x := view.symbol(name)) is not None:
                trades = [asdict(t) for t in x.trades]
                return {"session": view.session, "symbol": x.symbol, "trades": trades}
            case ["position"]:
                return positions(view)
            case ["monitor"] if self._monitor is not None:
                kept, summary = self._monitor.snapshots(), self._monitor.summary()
                return {"session": view.session, "summary": summary, "snapshots": kept}
        return None


PATHS = (
    "/health", "/api/session", "/api/symbols", "/api/symbols/{symbol}",
    "/api/symbols/{symbol}/trades", "/api/position", "/api/monitor", "/metrics",
)  # fmt: skip
"""What there is to ask."""


def token_from_environment() -> str | None:
    """The token that the user set; None where there is none."""
    return os.environ.get(TOKEN) or None


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``; an unknown name is taken to be reachable."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_token(host: str, token: str | None) -> None:
    """ConfigError where an API at ``host`` would be open to others, or ``token`` is too weak."""
    if token is None and is_loopback(host):
        return
    if token is None or len(token) < TOKEN_LETTERS or not token.isascii():
        raise ConfigError(
            "the HTTP API would be open to others" if token is None else "the token is too weak",
            where=f"[http] host = {host!r}" if token is None else TOKEN,
            why=f"a token has at least {TOKEN_LETTERS} plain letters or digits",
            do=f"set {TOKEN}, or listen on 127.0.0.1",
        )


# --- objects -----------------------------------------------------------------------------------


def health(view: View) -> dict[str, Any]:
    """Whether it records as it should, and the five states apart."""
    return {
        "session": view.session,
        "healthy": view.healthy,
        "phase": view.phase,
        "alarms": view.alarms,
        "states": asdict(view.states),
        "now_ns": view.now_ns,
        "uptime_s": view.uptime_s,
        "lag_p50_ms": view.feed.lag_p50_ms,
        "lag_p99_ms": view.feed.lag_p99_ms,
        "gaps_open": view.gaps.open,
        **({"broker": asdict(view.broker)} if view.broker is not None else {}),
    }


def session(view: View) -> dict[str, Any]:
    """The whole picture, its symbols in brief."""
    whole = {name: getattr(view, name) for name in view.__slots__ if name != "symbols"}
    for name in ("states", "feed", "gaps", "disk", "resources", "broker"):
        if whole[name] is not None:
            whole[name] = asdict(whole[name])
    return {**whole, "symbols": [_brief(x) for x in view.symbols]}


def positions(view: View) -> dict[str, Any]:
    """Every open position, and the money of every symbol."""
    return {
        "session": view.session,
        "as_of_seq": view.as_of_seq,
        "positions": [asdict(p) for x in view.symbols for p in x.positions],
        "accounts": {x.symbol: asdict(x.account) for x in view.symbols},
    }


def _brief(x: SymbolView) -> dict[str, Any]:
    return {
        "symbol": x.symbol, "venue": x.venue, "now_ns": x.now_ns, "events": x.events,
        "price": x.price, "delta_30s": x.delta_30s, "cvd": x.cvd, "lifecycle": x.lifecycle,
        "market_state": x.market_state, "positions": len(x.positions),
        "net_pnl": x.account.net_pnl, "round_trips": x.account.round_trips,
    }  # fmt: skip


def _json(status: int, value: Mapping[str, Any]) -> Answer:
    # what JSON cannot say (NaN) becomes null
    return status, _JSON, msgspec.json.encode({"schema": SCHEMA, **value}, enc_hook=str) + b"\n"


# --- sockets -----------------------------------------------------------------------------------


class _Server(ThreadingHTTPServer):
    """Threads that are bounded in number; a request beyond them is turned away at once."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 32

    def __init__(self, address: tuple[str, int], api: HttpApi, *, ipv6: bool) -> None:
        if ipv6:
            self.address_family = AF_INET6
        self.api = api
        self._room = BoundedSemaphore(THREADS_MAX)
        super().__init__(address, _Handler)

    def process_request(self, request: socket | tuple[bytes, socket], client: Any) -> None:
        """Answer on a thread, where there is room for one more."""
        if not self._room.acquire(blocking=False):
            self.api.refused += 1
            self.shutdown_request(request)
            return
        super().process_request(request, client)

    def process_request_thread(
        self, request: socket | tuple[bytes, socket], client_address: Any
    ) -> None:
        """One connection, until it ends."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        """A client that went away, or a bug in a page, is counted; the session goes on."""
        self.api.failures += 1


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: _Server
    protocol_version = "HTTP/1.1"
    server_version = "ofs"
    sys_version = ""
    timeout = PATIENCE_S

    def do_GET(self) -> None:
        """Answer."""
        self._send(*self._answer(), body=True)

    def do_HEAD(self) -> None:
        """Answer without a body."""
        self._send(*self._answer(), body=False)

    def __getattr__(self, name: str) -> Callable[[], None]:
        """Every other method is refused alike."""
        if name.startswith("do_"):
            return self._refuse
        raise AttributeError(name)

    def _answer(self) -> Answer:
        named = {name: self.headers.get(name, "") for name in ("Host", "Authorization")}
        return self.server.api.answer(self.path, named)

    def _refuse(self) -> None:
        self.server.api.refused += 1
        self.close_connection = True  # what it sent along is not read
        self._send(*_json(405, {"error": "this API only answers: GET and HEAD"}), body=True)

    def _send(self, status: int, kind: str, content: bytes, *, body: bool) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        if status == 405:
            self.send_header("Allow", "GET, HEAD")
        if status == 401:
            self.send_header("WWW-Authenticate", 'Bearer realm="ofs"')
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are counted, not written down: a log that grows with them is not bounded."""
