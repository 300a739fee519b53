"""One file from the archive to the disk: what its checksum is, and its bytes, verified.

Owns the questions to the archive (checksum, size) and the transfer, which goes on where an earlier
one stopped, also one of a process that was killed: bytes gather in ``NAME.part``, what they belong
to stands in ``NAME.part.json``. What must hold: a file has its own name only after its sha256 was
found right; bytes of two versions of a file are never joined unnoticed.

It refuses to know which files are wanted and what happens to them.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from data.busy import replace
from data.errors import DataError, NetworkError
from data.sources.archive_files import CHECKSUM
from data.sources.fetch_pace import BACKOFF_S, Pace, TryAgain, refuse, with_patience
from data.sources.http import BLOCK_BYTES, Http, Stream, shown

T = TypeVar("T")

MISMATCHES_MAX = 2
"""How often a file whose sum is wrong is fetched again, checksum and all."""

FLOOR_BYTES_PER_S = 512
"""A transfer slower than this over a whole time limit is taken for a stalled one."""

_WORTH_BYTES = 1 << 20
_SUM = re.compile(
    r"(?P<gnu>[0-9a-f]{64})(?:\s+\*?(?P<file>.*))?"
    r"|SHA256 ?\((?P<bsd_file>.*)\) ?= ?(?P<bsd>[0-9a-f]{64})",
    re.IGNORECASE,
)
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class ChecksumError(DataError):
    """A file is not what its checksum says, again and again."""


@dataclass(frozen=True, slots=True)
class Fact:
    """What the archive says of a file: its sha256 (empty where it publishes none), its size in
    bytes (0 where nobody says), and the server's mark of its version (an ETag)."""

    sha256: str
    size: int
    mark: str = ""


class Downloader:
    """Asks for files with patience; used by several threads at once.

    ``timeout_s`` is the longest silence; ``moved`` is called with the bytes that arrive.
    """

    def __init__(
        self,
        http: Http,
        pace: Pace,
        *,
        retries: int,
        timeout_s: float,
        backoff_s: float = BACKOFF_S,
        moved: Callable[[int], None] = lambda _size: None,
    ) -> None:
        self._http, self._pace = http, pace
        self._retries, self._timeout_s, self._backoff_s = retries, timeout_s, backoff_s
        self._moved = moved
        self._open: set[Stream] = set()
        self._lock = threading.Lock()

    def stop(self) -> None:
        """Begin nothing more, and end every wait."""
        self._pace.stop()

    def cut(self) -> None:
        """End the reads that are going on; call it after :meth:`stop`."""
        with self._lock:
            streams = list(self._open)
        for stream in streams:
            stream.cut()

    def checksum(self, url: str) -> str | None:
        """The sha256 that stands beside ``url``; None where there is none (the file is not there).

        NetworkError where the archive does not say within its retries.
        """

        def once() -> str | None:
            answer = self._http.get(url + CHECKSUM, max_bytes=1 << 12)
            if answer.status == 404:
                return None
            if answer.status != 200:
                raise refuse(url, answer.status, answer.headers.get("retry-after", ""))
            found = sum_in(answer.body, url.rpartition("/")[2])
            if not found:
                raise TryAgain(_strange(url, "its .CHECKSUM holds no sha256 of it"))
            return found

        return self._patiently(once)

    def about(self, url: str) -> Fact | None:
        """Size and mark of the file at ``url``; None where it is not there."""

        def once() -> Fact | None:
            answer = self._http.head(url)
            if answer.status == 404:
                return None
            if answer.status != 200:
                raise refuse(url, answer.status, answer.headers.get("retry-after", ""))
            length = answer.headers.get("content-length", "").strip()
            size = int(length) if length.isdecimal() else 0
            mark = answer.headers.get("etag", "") or answer.headers.get("last-modified", "")
            return Fact("", size, mark)

        return self._patiently(once)

    def fetch(self, url: str, fact: Fact, target: Path) -> Fact | None:
        """Bring the file to ``target``, verified; what it then is, None where it went away.

        Where the sum is wrong, sum and file are fetched again: the archive may just have replaced
        them. A file without a sum is whole when its gzip stream is (which has a CRC and a length).
        ChecksumError when it stays wrong, NetworkError when the retries are used up.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        for _ in range(MISMATCHES_MAX + 1):
            if target.is_file() and fact.sha256 and sha256_of(target) == fact.sha256:
                return fact
            part = _Part(target, url, fact)
            if not self._transfer_all(url, part):
                return None
            found = sha256_of(part.path)
            why = _unsound(part.path, found, fact)
            if not why:
                part.finish()
                return Fact(found, fact.size, fact.mark)
            part.drop()
            about = self.about(url)
            newer = self.checksum(url) if fact.sha256 else ""
            if newer is None or about is None:
                return None
            fact = Fact(newer, about.size, about.mark)
        raise ChecksumError(
            "a file of the archive is not what it must be",
            where=shown(url),
            why=f"{why}; it was fetched {MISMATCHES_MAX + 1} times",
            do="nothing of it was imported; try again later, the archive may be replacing it",
        )

    def _patiently(self, once: Callable[[], T]) -> T:
        return with_patience(once, self._pace, self._retries, self._backoff_s, lambda: False)

    def _transfer_all(self, url: str, part: _Part) -> bool:
        """Fill ``part`` to its end; False where the file is not there."""
        began = part.have

        def gained() -> bool:
            nonlocal began
            began, before = part.have, began
            return part.have - before >= _WORTH_BYTES

        def once() -> bool:
            return self._transfer(url, part)

        return with_patience(once, self._pace, self._retries, self._backoff_s, gained)

    def _transfer(self, url: str, part: _Part) -> bool:
        if part.size and part.have == part.size:
            return True
        with self._http.stream(url, part.headers()) as stream:
            if stream.status == 404:
                return False
            if stream.status == 416:  # there is less of it than we have: not what we began
                part.drop()
                raise TryAgain(_strange(url, "it is shorter than the part that was there"))
            if stream.status not in (200, 206):
                raise refuse(url, stream.status, stream.headers.get("retry-after", ""))
            part.begin(stream)
            with self._watched(stream):
                self._receive(stream, part)
        return True

    def _receive(self, stream: Stream, part: _Part) -> None:
        """Write what arrives. A body that only drips fails: nobody waits for ever."""
        window_s, window_bytes = 0.0, 0
        block_bytes = self._pace.block_bytes(BLOCK_BYTES)
        with part.path.open("ab") as sink:
            blocks = stream.blocks(block_bytes)
            while True:
                began_s = time.monotonic()
                block = next(blocks, b"")
                if not block:
                    return
                window_s += time.monotonic() - began_s
                window_bytes += len(block)
                sink.write(block)
                sink.flush()  # a killed fetch goes on from here
                part.have += len(block)
                self._moved(len(block))
                if window_s > self._timeout_s:
                    if window_bytes < FLOOR_BYTES_PER_S * window_s:
                        raise TryAgain(_strange(stream.url, "it comes too slowly to ever end"))
                    window_s, window_bytes = 0.0, 0
                self._pace.take(len(block))

    def _watched(self, stream: Stream) -> _Watched:
        return _Watched(stream, self._open, self._lock)


class _Watched:
    """Keeps a stream among those that :meth:`Downloader.cut` ends."""

    def __init__(self, stream: Stream, among: set[Stream], lock: threading.Lock) -> None:
        self._stream, self._among, self._lock = stream, among, lock

    def __enter__(self) -> None:
        with self._lock:
            self._among.add(self._stream)

    def __exit__(self, *_error: object) -> None:
        with self._lock:
            self._among.discard(self._stream)


class _Part:
    """What has arrived of one file. ``have`` bytes of ``size`` (0: not known)."""

    def __init__(self, target: Path, url: str, fact: Fact) -> None:
        self.path = target.with_name(target.name + ".part")
        self._target = target
        self._about = target.with_name(target.name + ".part.json")
        self._facts = {"url": url, "sha256": fact.sha256 or fact.mark, "validator": ""}
        self.size = fact.size
        self.have = self._resume()

    def _resume(self) -> int:
        """Bytes that an earlier transfer of the same version left; what it left else is removed."""
        try:
            facts = json.loads(self._about.read_text(encoding="utf-8"))
            have = self.path.stat().st_size
        except (OSError, ValueError):
            facts, have = {}, 0
        same = isinstance(facts, dict) and all(
            facts.get(name) == self._facts[name] for name in ("url", "sha256")
        )
        if same and (not self.size or have <= self.size):
            self._facts["validator"] = str(facts.get("validator", ""))
            return have
        self.drop()
        return 0

    def headers(self) -> dict[str, str]:
        """What to ask for: the rest, and only of the version that was begun."""
        if not self.have:
            return {}
        validator = self._facts["validator"]
        only = {"If-Range": validator} if validator else {}
        return {"Range": f"bytes={self.have}-", **only}

    def begin(self, stream: Stream) -> None:
        """Make ready for the body of an answer; TryAgain where it is not the range asked for."""
        found = _RANGE.match(stream.headers.get("content-range", ""))
        if stream.status == 206:
            total = int(found[2]) if found and found[2] != "*" else self.size
            if found is None or int(found[1]) != self.have or total != (self.size or total):
                self.drop()
                raise TryAgain(_strange(stream.url, "it sent another range than was asked for"))
            return
        self.drop()
        etag, modified = stream.headers.get("etag", ""), stream.headers.get("last-modified", "")
        # A weak ETag does not promise equal bytes, so If-Range may not use it (RFC 9110, 13.1.5).
        self._facts["validator"] = modified if etag.startswith("W/") else etag or modified
        self._about.write_text(json.dumps(self._facts), encoding="utf-8")

    def drop(self) -> None:
        """Forget what has arrived."""
        self.have = 0
        self.path.unlink(missing_ok=True)
        self._about.unlink(missing_ok=True)

    def finish(self) -> None:
        """Give the file its name."""
        replace(self.path, self._target)
        self._about.unlink(missing_ok=True)


def sum_in(body: bytes, name: str) -> str:
    """The sha256 (hex, small letters) of the file ``name`` in a ``.CHECKSUM``; empty where none is.

    The forms of sha256sum and of BSD are known. Of several sums the one beside the name counts.
    """
    lines = body.decode("utf-8-sig", "replace").splitlines()
    found = [match for line in lines if (match := _SUM.fullmatch(line.strip()))]
    named = [one for one in found if (one["file"] or one["bsd_file"] or "").endswith(name)]
    for one in named or (found if len(found) == 1 else []):
        return str(one["gnu"] or one["bsd"]).lower()
    return ""


def on_disk(target: Path) -> int:
    """Bytes of a file that earlier transfers left, whole or in part."""
    for path in (target, target.with_name(target.name + ".part")):
        if path.is_file():
            return path.stat().st_size
    return 0


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file on disk."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unsound(path: Path, found: str, fact: Fact) -> str:
    """Why a file whose sha256 is ``found`` is not the one that was meant; empty where it is."""
    if fact.sha256:
        same = found == fact.sha256
        return (
            "" if same else f"its bytes have the sha256 {found}, its .CHECKSUM says {fact.sha256}"
        )
    try:
        with gzip.open(path) as file:
            while file.read(1 << 18):
                pass
    except (OSError, EOFError, zlib.error) as error:
        return f"its gzip stream is damaged ({error})"
    return ""


def _strange(url: str, why: str) -> NetworkError:
    return NetworkError(
        "the archive did not answer as it must", where=shown(url), why=why, do="try again later"
    )
