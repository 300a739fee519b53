"""Files as blocks of whole lines: plain, gzip or zip, decided by the first bytes.

Owns how a path becomes members (a zip may hold several), and how a member is read block by block in
bounded memory. What must hold: a name never decides how a file is opened; a file that was cut off
gives every line up to the cut and says so; a damaged one is an error that names it.

It refuses to know what the lines mean.
"""

from __future__ import annotations

import codecs
import itertools
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath

from data.errors import CorruptFileError, DataError, UsageError

BLOCK_BYTES = 4 << 20
"""Decompressed bytes a block, about."""

LINE_MAX = 16 << 20
"""A line longer than this is no line: the file is not text."""

_READ = 1 << 18
_GZIP = b"\x1f\x8b"
_ZIP = b"PK\x03\x04"
_EMPTY_ZIP = b"PK\x05\x06"
_IGNORED_SUFFIXES = (".checksum", ".md", ".tmp", ".partial")


@dataclass(frozen=True, slots=True)
class Member:
    """One readable text: a file, or one entry of a zip. ``size`` is bytes on disk."""

    path: Path
    entry: str
    size: int

    @property
    def name(self) -> str:
        """File name, with the entry behind ``!`` where the file is a zip."""
        return f"{self.path.name}!{self.entry}" if self.entry else self.path.name


@dataclass(slots=True)
class Reader:
    """Reads one member once. ``done_bytes`` counts bytes taken from disk; ``damage`` says in words
    what was wrong with the end of the file, empty when nothing was."""

    member: Member
    done_bytes: int = 0
    damage: str = ""

    def blocks(self, size: int = BLOCK_BYTES) -> Iterator[bytes]:
        """Blocks of about ``size`` bytes that end with a line end; the last may lack it."""
        held: list[bytes] = []
        length = 0
        for piece in self._pieces():
            held.append(piece)
            length += len(piece)
            if length < size:
                continue
            block = b"".join(held)
            cut = block.rfind(b"\n") + 1
            if not cut and length > LINE_MAX:
                raise DataError(
                    "this is not a text file",
                    where=str(self.member.path),
                    why=f"{LINE_MAX >> 20} MB without a line end",
                    do="import archive CSV files or websocket recordings",
                )
            if cut:
                yield block[:cut]
                block = block[cut:]
            held, length = [block], len(block)
        rest = b"".join(held)
        if rest:
            yield rest

    def _pieces(self) -> Iterator[bytes]:
        """Decompressed bytes in pieces of any size; UTF-16 becomes UTF-8, and where lines end with
        a carriage return alone (as on old Macs), they end with a line feed."""
        pieces = self._as_utf8()
        first = next(pieces, b"")
        old_mac = b"\r" in first[:-1] and b"\n" not in first
        for piece in itertools.chain([first], pieces):
            yield piece.replace(b"\r", b"\n") if old_mac else piece

    def _as_utf8(self) -> Iterator[bytes]:
        pieces = self._bytes()
        first = next(pieces, b"")
        coding = _utf16(first)
        if coding is None:
            yield first
            yield from pieces
            return
        decoder = codecs.getincrementaldecoder(coding)("replace")
        for piece in itertools.chain([first], pieces):
            yield decoder.decode(piece).encode()
        yield decoder.decode(b"", final=True).encode()

    def _bytes(self) -> Iterator[bytes]:
        """Decompressed bytes as they stand."""
        if self.member.entry:
            yield from self._zip_pieces()
            return
        with self.member.path.open("rb") as file:
            head = file.read(_READ)
            self.done_bytes = len(head)
            pieces = self._rest(file, head)
            yield from self._gzip_pieces(pieces) if head.startswith(_GZIP) else pieces

    def _rest(self, file, head: bytes) -> Iterator[bytes]:  # type: ignore[no-untyped-def]
        while head:
            yield head
            head = file.read(_READ)
            self.done_bytes += len(head)

    def _gzip_pieces(self, raw: Iterator[bytes]) -> Iterator[bytes]:
        """Streams that follow each other in one file are one text (a recorder that appends)."""
        stream = zlib.decompressobj(31)
        fresh = False
        for piece in raw:
            while piece:
                if fresh and not piece.startswith(_GZIP[: len(piece)]):
                    self.damage = "bytes after the end of the gzip stream were left out"
                    return
                fresh = False
                try:
                    # The bound keeps a small file that unpacks to gigabytes from filling memory.
                    yield stream.decompress(piece, BLOCK_BYTES)
                except zlib.error as error:
                    raise self._corrupt(str(error)) from None
                piece = stream.unconsumed_tail
                if stream.eof:
                    piece = stream.unused_data
                    stream, fresh = zlib.decompressobj(31), True
        if not fresh:
            yield stream.flush()
            self.damage = "the gzip stream is cut off; everything before the cut was read"

    def _zip_pieces(self) -> Iterator[bytes]:
        try:
            with zipfile.ZipFile(self.member.path) as archive:
                whole = archive.getinfo(self.member.entry)
                done = 0
                with archive.open(whole) as file:
                    while piece := file.read(_READ):
                        done += len(piece)
                        self.done_bytes = self.member.size * done // max(whole.file_size, 1)
                        yield piece
        # NotImplementedError is zipfile's answer to a compression method that it does not know
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise self._corrupt(str(error)) from None
        except RuntimeError as error:  # zipfile's own answer to an encrypted entry
            raise self._corrupt(str(error)) from None

    def _corrupt(self, why: str) -> CorruptFileError:
        return CorruptFileError(
            "a source file is damaged",
            where=str(self.member.path),
            why=why or "its checksum does not fit",
            do="download it again, or leave it out; nothing of this import was kept",
        )


def _utf16(first: bytes) -> str | None:
    """The kind of UTF-16 that a text begins in (Windows programs write it); None for any other."""
    if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    sample = first[:64]
    if len(sample) >= 8 and not any(sample[1::2]) and all(sample[0::2]):
        return "utf-16-le"
    if len(sample) >= 8 and not any(sample[0::2]) and all(sample[1::2]):
        return "utf-16-be"
    return None


def head(member: Member, size: int) -> bytes:
    """The first ``size`` decompressed bytes of a member, at most."""
    parts: list[bytes] = []
    length = 0
    for piece in Reader(member)._pieces():
        parts.append(piece)
        length += len(piece)
        if length >= size:
            break
    return b"".join(parts)[:size]


def files_of(paths: Sequence[str | Path]) -> list[tuple[Path, bool]]:
    """Every file named, or found below a folder named: (path, named by the user), each once.

    Hidden files, checksums and half-written files below a folder are passed over.
    """
    found: dict[Path, bool] = {}
    for given in paths:
        path = Path(given)
        if path.is_dir():
            for inner in sorted(path.rglob("*")):
                if inner.is_file() and _wanted(inner.relative_to(path)):
                    found.setdefault(inner.resolve(), False)
        elif path.is_file():
            found[path.resolve()] = True
        else:
            raise UsageError(
                "there is no such file or folder",
                where=str(path),
                do="check the path; a shell expands * before ofs sees it",
            )
    return list(found.items())


def _wanted(relative: PurePath) -> bool:
    if any(part.startswith(".") and part != ".." for part in relative.parts):
        return False
    return not relative.name.lower().endswith(_IGNORED_SUFFIXES)


def _kept(entry: str) -> bool:
    return "__MACOSX" not in PurePosixPath(entry).parts and _wanted(PurePosixPath(entry))


def members_of(path: Path) -> list[Member]:
    """The readable texts in a file: its entries when it is a zip, itself otherwise.

    What the packing system adds (``__MACOSX``, hidden files) is passed over.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        magic = file.read(4)
    if magic not in (_ZIP, _EMPTY_ZIP):
        return [Member(path, "", size)]
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [i for i in archive.infolist() if not i.is_dir() and _kept(i.filename)]
    except zipfile.BadZipFile as error:
        raise CorruptFileError(
            "a source file is damaged",
            where=str(path),
            why=str(error),
            do="download it again, or leave it out; nothing of this import was kept",
        ) from None
    total = sum(i.compress_size for i in entries) or 1
    return [Member(path, i.filename, size * i.compress_size // total) for i in entries]
