"""A terminal on the other side of a socket: under Wine, in a virtual machine, on another host.

Owns the client's side of the bridge (``worker_main.py --listen``): the connection, and the proof
that each side knows the token; the rest is the worker's protocol. A missed deadline hangs up, and
the bridge kills the process that served this connection.

What must hold: nothing is sent before the bridge has proved that it knows the token, which itself
never crosses the socket. Calls and answers cross it in plain, the password of ``initialize`` too:
a bridge belongs on the loopback interface or inside a tunnel.
It refuses to know what a call means.
"""

from __future__ import annotations

import hmac
import json
import secrets
import socket
import struct
import time
from typing import Any

from engine.broker.calls import CallNotSentError
from engine.broker.worker import Channel, FramedTerminal
from engine.broker.worker_main import FRAME_MAX, PROTOCOL, frame, proof

CONNECT_S = 10.0
"""Connecting and the handshake may take this long, seconds."""


class BridgeTerminal(FramedTerminal):
    """A terminal behind the bridge at ``address`` (HOST:PORT); ``token`` is the bridge's secret."""

    def __init__(self, address: str, token: str, **others: Any) -> None:
        super().__init__(**others)
        self.address = address
        self._token = token

    def _open(self) -> Channel:
        """A connection whose other end knows the token."""
        host, _, port = self.address.rpartition(":")
        try:
            connection = socket.create_connection((host, int(port)), timeout=CONNECT_S)
        except (OSError, ValueError) as error:
            raise self._refused(str(error), "start the bridge, or name its address") from None
        channel = _Socket(connection)
        try:
            known = self._greet(channel)
        except (OSError, ValueError):
            known = False
        if not known:
            channel.kill()
            raise self._refused(
                "it did not prove that it knows the token, or refused ours",
                "give both sides the same OFS_BRIDGE_TOKEN",
            )
        return channel

    def _greet(self, channel: _Socket) -> bool:
        """Prove that we know the token, and have it proved to us."""
        said = _object(channel.receive(CONNECT_S))
        if said.get("bridge") != PROTOCOL:
            return False
        challenge = secrets.token_hex(32)
        ours = proof(self._token, "client", str(said.get("challenge")))
        channel.send(frame({"proof": ours, "challenge": challenge}))
        theirs = str(_object(channel.receive(CONNECT_S)).get("proof"))
        return hmac.compare_digest(theirs, proof(self._token, "bridge", challenge))

    def _refused(self, why: str, do: str) -> CallNotSentError:
        return CallNotSentError(
            "the bridge to the terminal cannot be used", where=self.address, why=why, do=do
        )


def _object(body: bytes | None) -> dict[str, Any]:
    """A frame's JSON object; empty for anything else."""
    said = json.loads(body) if body is not None else None
    return said if isinstance(said, dict) else {}


class _Socket(Channel):
    """Frames over a socket."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = connection
        self._bytes = bytearray()

    def send(self, data: bytes) -> None:
        """See :meth:`Channel.send`."""
        self._socket.settimeout(CONNECT_S)
        self._socket.sendall(data)

    def receive(self, seconds: float) -> bytes | None:
        """See :meth:`Channel.receive`."""
        until = time.monotonic() + seconds
        while True:
            body = self._whole()
            if body is not None:
                return body
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._socket.settimeout(left)
            data = self._socket.recv(1 << 16)
            if not data:
                return None
            self._bytes += data

    def _whole(self) -> bytes | None:
        """The first whole frame's body of what came, None before that."""
        if len(self._bytes) < 4:
            return None
        size = struct.unpack_from(">I", self._bytes)[0]
        if size > FRAME_MAX:
            raise OSError(f"a frame of {size} bytes is none of this protocol")
        if len(self._bytes) < 4 + size:
            return None
        body = bytes(self._bytes[4 : 4 + size])
        del self._bytes[: 4 + size]
        return body

    def kill(self) -> str:
        """Hang up; the bridge then kills the worker."""
        self._socket.close()
        return "the connection to the bridge ended"

    def close(self) -> None:
        """Hang up."""
        self._socket.close()
