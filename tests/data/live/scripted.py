"""A venue on loopback that does to its n-th connection what the n-th script says.

Owns :class:`ScriptedVenue`. It answers SUBSCRIBE as the venues do and keeps what it was asked; the
rest is for the scripts, which are coroutines that get a :class:`Talk`.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from data.live.endpoint import Endpoint


class Talk:
    """One connection, as a script sees it."""

    def __init__(self, raw: ServerConnection, number: int) -> None:
        self.raw, self.number = raw, number
        self.path = raw.request.path if raw.request else ""
        self.streams: list[str] = []
        self.asked: list[dict] = []

    async def subscribed(self, count: int = 1) -> None:
        """Answer requests until ``count`` streams are asked for."""
        while len(self.streams) < count:
            await self.answer()

    async def answer(self, reply: dict | None = None) -> None:
        """Take one request and acknowledge it, or say ``reply``."""
        request = json.loads(await self.raw.recv())
        self.asked.append(request)
        self.streams += request.get("params") or request.get("args") or []
        if reply is None:
            reply = {"result": None, "id": request.get("id")}
            if "op" in request:
                reply = {"success": True, "op": request["op"], "req_id": request["req_id"]}
        await self.raw.send(json.dumps(reply))

    async def send(self, stream: str, *datas: object) -> None:
        """Send a combined frame for each of ``datas``."""
        for data in datas:
            await self.raw.send(json.dumps({"stream": stream, "data": data}, separators=(",", ":")))

    async def stay(self) -> None:
        """Be silent until the client goes."""
        with suppress(ConnectionClosed):
            while True:
                await self.raw.recv()


Script = Callable[[Talk], Awaitable[None]]
Pages = Callable[[str, dict[str, str]], tuple[int, dict[str, str], object]]


class ScriptedVenue:
    """``scripts`` by connection, the last one for all that follow; ``statuses`` refuse the first
    handshakes (0 lets one through). ``pages`` answers GET requests: (path, query) gives status,
    headers and a JSON body."""

    def __init__(
        self,
        scripts: Sequence[Script],
        statuses: Sequence[tuple[int, dict[str, str]]] = (),
        pages: Pages | None = None,
    ) -> None:
        self.scripts, self.statuses = list(scripts), list(statuses)
        self.pages = pages
        self.talks: list[Talk] = []
        self.handshakes = 0
        self.requests: list[str] = []
        self.errors: list[BaseException] = []

    @contextmanager
    def up(self) -> Iterator[Endpoint]:
        """Serve while the block lasts."""
        ready = threading.Event()
        box: dict[str, object] = {}

        async def main() -> None:
            box["stop"] = stop = asyncio.Event()
            box["loop"] = asyncio.get_running_loop()
            async with serve(
                self._talk, "127.0.0.1", 0, process_request=self._admit, compression=None
            ) as server:
                box["port"] = server.sockets[0].getsockname()[1]
                ready.set()
                await stop.wait()

        thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
        thread.start()
        assert ready.wait(10)
        rest = self._rest()
        threading.Thread(target=rest.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield Endpoint(
                f"ws://127.0.0.1:{box['port']}", f"http://127.0.0.1:{rest.server_address[1]}"
            )
        finally:
            box["loop"].call_soon_threadsafe(box["stop"].set)  # type: ignore[attr-defined]
            thread.join(10)
            rest.shutdown()
            rest.server_close()
        assert not self.errors, self.errors

    def _admit(self, raw: ServerConnection, request: Request) -> Response | None:
        self.handshakes += 1
        if self.statuses:
            status, headers = self.statuses.pop(0)
            if status:
                answer = raw.respond(status, "no\n")
                for name, value in headers.items():
                    answer.headers[name] = value
                return answer
        return None

    async def _talk(self, raw: ServerConnection) -> None:
        talk = Talk(raw, len(self.talks))
        self.talks.append(talk)
        script = self.scripts[min(talk.number, len(self.scripts) - 1)]
        try:
            await script(talk)
        except ConnectionClosed:
            return
        except BaseException as error:
            self.errors.append(error)
            raise

    def _rest(self) -> ThreadingHTTPServer:
        venue = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                split = urlsplit(self.path)
                venue.requests.append(self.path)
                query = {k: v[-1] for k, v in parse_qs(split.query).items()}
                status, headers, body = 404, {}, {}
                if venue.pages is not None:
                    status, headers, body = venue.pages(split.path, query)
                content = json.dumps(body).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Nothing on stderr."""

        return ThreadingHTTPServer(("127.0.0.1", 0), Handler)
