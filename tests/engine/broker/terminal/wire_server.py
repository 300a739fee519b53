"""A process that serves calls over a socket as its payloads ask: run with ``-m``, prints its port.

It stands in a process of its own because a caller that holds the GIL would stop a server beside it.
"""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np

from engine.broker.terminal.wire import Fault, FaultKind, Reply, serve_stream


class Echo:
    """Answers with the payload's ``value``, under the payload's ``fault``; counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def call(self, name: str, payload: dict[str, Any]) -> Reply:
        self.calls += 1
        if name == "calls":
            return Reply(self.calls)
        if name == "rows":
            rows = np.arange(payload["rows"])
            return Reply({"time": rows, "bid": rows * 0.1, "flags": rows.astype(np.uint32)})
        if name == "fail":
            return Reply.failed(payload["code"])
        fault = payload.get("fault")
        made = None if fault is None else Fault(FaultKind(fault), payload.get("after_s", 0.0))
        return Reply(payload.get("value", self.calls), fault=made)


async def main() -> None:
    """Serve until killed."""
    echo = Echo()
    server = await asyncio.start_server(
        lambda reader, writer: serve_stream(reader, writer, echo.call), "127.0.0.1", 0
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
