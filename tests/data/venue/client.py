"""A plain websocket client: what a connection carried, and how it ended."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

TIMEOUT_S = 20


@dataclass
class Heard:
    """Messages as JSON in their order (text where they are none), code and reason of the end."""

    messages: list[Any] = field(default_factory=list)
    code: int = 0
    reason: str = ""

    def data(self, stream: str) -> list[Any]:
        """The messages of one stream of a combined connection."""
        return [
            m["data"] for m in self.messages if isinstance(m, dict) and m.get("stream") == stream
        ]


def opened(url: str, queue: int | None = None) -> ClientConnection:
    """A connection without compression and without a proxy."""
    return connect(
        url, proxy=None, compression=None, max_queue=queue, open_timeout=TIMEOUT_S
    ).__enter__()


def listen(socket: ClientConnection, most: int = 10**9) -> Heard:
    """Everything until the connection ends, or ``most`` messages."""
    heard = Heard()
    try:
        while len(heard.messages) < most:
            text = socket.recv(TIMEOUT_S)
            try:
                heard.messages.append(json.loads(text))
            except ValueError:
                heard.messages.append(text)
    except ConnectionClosed as closed:
        heard.code = closed.rcvd.code if closed.rcvd else 1006
        heard.reason = closed.rcvd.reason if closed.rcvd else ""
    return heard


def subscribe(url: str, *names: str, number: int = 1) -> ClientConnection:
    """A connection that has subscribed and seen its acknowledgement."""
    socket = opened(url)
    ask(socket, "SUBSCRIBE", *names, number=number)
    assert json.loads(socket.recv(TIMEOUT_S)) == {"result": None, "id": number}
    return socket


def ask(socket: ClientConnection, method: str, *names: str, number: int = 1) -> None:
    """Send a request."""
    socket.send(json.dumps({"method": method, "params": list(names), "id": number}))


def get(url: str) -> tuple[int, Any, dict[str, str]]:
    """Status, JSON and headers of a GET."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=TIMEOUT_S) as answer:
            return answer.status, json.loads(answer.read()), dict(answer.headers)
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read()), dict(error.headers)
