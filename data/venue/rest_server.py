"""The HTTP side of a stand-in venue: connections, one thread each.

Owns :class:`RestServer`. What must hold: it answers while the player is busy and after the end of
the range; only GET is understood; it listens on loopback unless told otherwise.

It refuses to know what is answered.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from data.errors import OfsError
from data.venue.rest_api import Answer

Get = Callable[[str, Mapping[str, str]], Answer]


class RestServer(ThreadingHTTPServer):
    """Answers GET with ``get(path, query)`` on ``host``:``port`` (0: any free one)."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, get: Get, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__((host, port), _Handler)
        self.get = get
        self.left = 0
        self._thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )

    @property
    def url(self) -> str:
        """Its address."""
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}"

    def start(self) -> None:
        """Listen on a thread of its own."""
        self._thread.start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away in the middle is its own affair; it is counted."""
        self.left += 1

    def stop(self) -> None:
        """Stop listening."""
        if self._thread.is_alive():
            self.shutdown()
            self._thread.join()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: RestServer

    def do_GET(self) -> None:
        """Answer one request."""
        parts = urlsplit(self.path)
        try:
            answer = self.server.get(parts.path, dict(parse_qsl(parts.query)))
        except OfsError as error:  # a damaged file of the log: the client is to know
            answer = Answer(500, {"code": -1000, "msg": str(error)})
        if not answer.status:
            self.close_connection = True
            return
        data = answer.data
        self.send_response(answer.status)
        headers = {"Content-Type": "application/json;charset=UTF-8", **answer.headers}
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        """A stand-in does not talk."""
