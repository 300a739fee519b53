"""A public archive on this machine: the real layout over a real socket, misbehaving on request.

Owns :class:`ArchiveServer`: files by path, their checksums, Range and If-Range, and how each fault
of :mod:`data.venue.faults` is carried out. It ships: rehearse a fetch with

    python -m data.venue.archive --port 8080 --fault 'reset@*2025-01-02.zip'
    ofs fetch BTCUSDT --endpoint http://127.0.0.1:8080 --venue binance-um --from 2025-01-01 ...

and the tests use the same one. What must hold: without faults an answer is what the real archive
gives (status, length, ETag, ranges, body); it listens on loopback unless told otherwise.

It refuses to know who asks.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import re
import socket
import struct
import sys
import threading
import time
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol

from data.sources.archive_files import CHECKSUM, ArchiveFile, parse_path
from data.venue.archive_rows import MadeUp
from data.venue.faults import KINDS, Fault, FaultBook, parse_fault

_ZIP_TIME = (2020, 1, 1, 0, 0, 0)
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_KEPT = 64
_BLOCK = 1 << 16


class Content(Protocol):
    """Where the CSV of an archive file comes from."""

    def text(self, file: ArchiveFile) -> str | None:
        """The CSV of ``file``; None where there is none."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that was served: its path, the byte it began at, the status, the fault met."""

    path: str
    start: int
    status: int
    fault: str


@dataclass
class ArchiveServer:
    """A running stand-in archive; made by :func:`serve`.

    ``asked`` lists every request; ``busiest`` is how many bodies of zips were on their way at once,
    at most. ``faults`` may be changed while it runs.
    """

    url: str
    faults: FaultBook
    asked: list[Asked] = field(default_factory=list)
    sent: Counter[str] = field(default_factory=Counter)
    """Bytes of body that went out, by path."""
    busiest: int = 0

    def count(self, suffix: str = "", status: int | None = None) -> int:
        """How many requests there were for paths that end so (and were answered so)."""
        return sum(a.path.endswith(suffix) and status in (None, a.status) for a in self.asked)


def packed(name: str, text: str) -> bytes:
    """A file as the archive makes it: a zip with one CSV of the same name, or gzip where the name
    says so; equal text gives equal bytes."""
    if name.endswith(".gz"):
        return gzip.compress(text.encode("utf-8"), mtime=0)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
        info = zipfile.ZipInfo(f"{name.removesuffix('.zip')}.csv", _ZIP_TIME)
        file.writestr(info, text, zipfile.ZIP_DEFLATED)
    return content.getvalue()


class Files:
    """What lies at each path: the folder's file, its CSV packed, else what ``content`` gives."""

    def __init__(self, folder: Path | None, content: Content | None) -> None:
        self._folder, self._content = folder, content
        self._made: OrderedDict[str, bytes | None] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, path: str) -> bytes | None:
        """The bytes at ``path`` (no leading slash); None where there are none."""
        if ".." in path or "\\" in path:
            return None
        if self._folder is not None and (self._folder / path).is_file():
            return (self._folder / path).read_bytes()
        if path.endswith(CHECKSUM):
            file = parse_path(path.removesuffix(CHECKSUM))
            if file is None or not file.has_checksum:
                return None
            body = self.get(file.path)
            name = path.rpartition("/")[2].removesuffix(CHECKSUM)
            return None if body is None else _checksum_line(body, name)
        with self._lock:
            if path not in self._made:
                self._made[path] = self._make(path)
                if len(self._made) > _KEPT:
                    self._made.popitem(last=False)
            return self._made[path]

    def _make(self, path: str) -> bytes | None:
        file = parse_path(path)
        if file is None:
            return None
        if self._folder is not None:
            loose = (self._folder / path.removesuffix(".gz")).with_suffix(".csv")
            if loose.is_file():
                return packed(file.name, loose.read_bytes().decode("utf-8"))
        text = self._content.text(file) if self._content else None
        return None if text is None else packed(file.name, text)


def _checksum_line(body: bytes, name: str) -> bytes:
    return f"{hashlib.sha256(body).hexdigest()}  {name}\n".encode()


@contextmanager
def serve(
    folder: Path | None = None,
    *,
    content: Content | None = None,
    faults: Sequence[Fault] = (),
    host: str = "127.0.0.1",
    port: int = 0,
) -> Iterator[ArchiveServer]:
    """Serve until the block is left; ``.url`` is the endpoint to give to ``ofs fetch``.

    Below ``folder`` lie files of the archive's layout: zips, or ``.csv`` in their place (packed on
    the way); checksums are computed where none lies there. Without a folder, and without
    ``content``, a made-up market is served (:class:`data.venue.archive_rows.MadeUp`).
    """
    if folder is None and content is None:
        content = MadeUp()
    server = _Server((host, port), _Handler)
    server.files = Files(folder, content)
    name, bound = server.server_address[:2]
    server.state = ArchiveServer(f"http://{name!s}:{bound}", FaultBook(faults))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server.state
    finally:
        server.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    files: Files
    state: ArchiveServer

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.busy = 0

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error of this server."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_args: Any) -> None:
        """Say nothing: what was asked stands in :attr:`ArchiveServer.asked`."""

    def do_HEAD(self) -> None:
        """An answer without its body."""
        self._serve(with_body=False)

    def do_GET(self) -> None:
        """A file, or a range of it."""
        self._serve(with_body=True)

    def _serve(self, *, with_body: bool) -> None:
        path = self.path.partition("?")[0].lstrip("/")
        faults = self.server.state.faults
        # Only a transfer is an attempt: HEAD would use faults up that are meant for a body.
        fault = faults.strike(path) if with_body else faults.standing(path)
        kind = fault.kind if fault else ""
        body = self.server.files.get(path)
        if fault and kind in ("status", "busy"):
            self._refuse(path, fault)
        elif body is None or kind == "missing":
            self._error(path, 404, "NoSuchKey", kind)
        else:
            self._answer(path, self._spoilt(path, body, kind), fault, with_body=with_body)

    def _spoilt(self, path: str, body: bytes, kind: str) -> bytes:
        if kind != "checksum":
            return body
        if path.endswith(CHECKSUM):
            return b"0" * 64 + body[64:]
        middle = len(body) // 2
        return body[:middle] + bytes([body[middle] ^ 0xFF]) + body[middle + 1 :]

    def _refuse(self, path: str, fault: Fault) -> None:
        if fault.kind == "busy":
            self._error(path, 429, "SlowDown", "busy", {"Retry-After": str(fault.number(1))})
        else:
            self._error(path, fault.number(503), "ServiceUnavailable", "status")

    def _error(
        self,
        path: str,
        status: int,
        code: str,
        fault: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        body = (
            f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code></Error>'.encode()
        )
        self._note(path, 0, status, fault)
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _answer(self, path: str, body: bytes, fault: Fault | None, *, with_body: bool) -> None:
        etag = f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
        start, stop, status = self._span(len(body), etag, fault)
        self._note(path, start, status, fault.kind if fault else "")
        self.send_response(status)
        self.send_header("ETag", etag)
        self.send_header("Accept-Ranges", "bytes")
        if status == 416:
            self.send_header("Content-Range", f"bytes */{len(body)}")
        elif status == 206:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(body)}")
        self.send_header("Content-Type", "application/zip")
        self.send_header("Content-Length", str(stop - start))
        self.end_headers()
        if with_body:
            with self._counted(path):
                self._send(path, body[start:stop], fault)

    def _span(self, size: int, etag: str, fault: Fault | None) -> tuple[int, int, int]:
        """(first byte, stop, status) that a request asks for."""
        found = _RANGE.fullmatch(self.headers.get("Range", ""))
        known = self.headers.get("If-Range", etag)
        if found is None or known != etag or (fault and fault.kind == "whole"):
            return 0, size, 200
        first, last = found[1], found[2]
        if not first:
            return max(size - int(last or 0), 0), size, 206
        stop = min(int(last) + 1, size) if last else size
        return (0, 0, 416) if int(first) >= size else (int(first), stop, 206)

    def _send(self, path: str, body: bytes, fault: Fault | None) -> None:
        kind = fault.kind if fault else ""
        if fault and kind == "drip":
            self._drip(path, body, fault.number(200))
            return
        if fault and kind in ("truncated", "reset", "stall"):
            self._write(path, body[: fault.number(len(body) // 2)])
            self.close_connection = True
            if kind == "stall":
                self.server.stopping.wait()
            elif kind == "reset":
                time.sleep(0.02)  # let the bytes before it arrive: a reset overtakes them
                _reset(self.connection)
            return
        self._write(path, body)

    def _write(self, path: str, body: bytes) -> None:
        for at in range(0, len(body), _BLOCK):
            block = body[at : at + _BLOCK]
            self.wfile.write(block)
            with self.server.lock:
                self.server.state.sent[path] += len(block)

    def _drip(self, path: str, body: bytes, bytes_per_s: int) -> None:
        for i in range(len(body)):
            self._write(path, body[i : i + 1])
            if self.server.stopping.wait(1 / bytes_per_s):
                return

    def _note(self, path: str, start: int, status: int, fault: str) -> None:
        with self.server.lock:
            self.server.state.asked.append(Asked(path, start, status, fault))

    @contextmanager
    def _counted(self, path: str) -> Iterator[None]:
        server = self.server
        counts = not path.endswith(CHECKSUM)
        with server.lock:
            server.busy += counts
            server.state.busiest = max(server.state.busiest, server.busy)
        try:
            yield
        finally:
            with server.lock:
                server.busy -= counts


def _reset(connection: socket.socket) -> None:
    """Close so that the peer sees a reset and no orderly end."""
    form = "hh" if os.name == "nt" else "ii"
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack(form, 1, 0))
    connection.close()


def main(args: Sequence[str] | None = None) -> None:
    """``python -m data.venue.archive``: serve until interrupted."""
    import argparse

    faults = "\n".join(f"  {kind:<10} {text}" for kind, text in KINDS.items())
    parser = argparse.ArgumentParser(
        prog="python -m data.venue.archive",
        description="Serve the layout of the public archive on this machine.",
        epilog=f"faults, as KIND[=VALUE]@GLOB[#TIMES] (TIMES 0: always; left out: 1):\n{faults}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "folder", nargs="?", type=Path, help="files to serve; else a made-up market"
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--fault", action="append", type=parse_fault, default=[])
    named = parser.parse_args(args)
    with serve(named.folder, faults=named.fault, host=named.host, port=named.port) as server:
        sys.stderr.write(
            f"serving {named.folder or 'a made-up market'} at {server.url}; Ctrl-C ends\n"
        )
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            sys.stderr.write("stopped\n")


if __name__ == "__main__":
    main()
