"""Reading a bundle: is it whole, what is in it, and a folder in which it can be verified.

Owns the checks. What must hold: nothing is written outside the temporary folder, and nothing that
:mod:`engine.runtime.bundle` would not have written is written at all: every member is one of the
few known names, stored uncompressed, with the size and sha256 that ``bundle.json`` states. Code of
a bundle is not run here; who runs it was told (:attr:`Contents.code`).

A bundle is consistent in itself or it is refused; who made it, it cannot tell. The sender's sha256
of the file does.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.errors import CorruptFileError, DataError
from data.log.entry import place_of, split_path
from data.runs import MANIFEST, Run
from data.units import format_size
from engine.runtime.bundle import FORMAT, INDEX, TABLES, VERSION

INDEX_BYTES_MAX = 64 << 20
"""A larger ``bundle.json`` is no index of ours."""

_BLOCK = 1 << 20
_UNSAFE = re.compile(r'[\x00-\x1f\x7f\\:*?"<>|]')
_CODE = re.compile(r"strategy/(?:[A-Za-z_][A-Za-z0-9_]*/)*[A-Za-z_][A-Za-z0-9_]*\.py")
_OWN = re.compile(rf"(?P<file>{_CODE.pattern}):(?P<name>[A-Za-z_][A-Za-z0-9_]*)")
_BUILTIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RUN_FILES = {f"run/{MANIFEST}", *(f"run/{table}.parquet" for table in TABLES)}


@dataclass(frozen=True, slots=True)
class Contents:
    """What a bundle says it holds, checked against its directory, nothing unpacked.

    ``strategy`` is a built-in name, or ``strategy/FILE.py:NAME`` where ``own_code``; ``code`` gives
    path and sha256 of its files.
    """

    path: Path
    run: str
    strategy: str
    own_code: bool
    code: tuple[tuple[str, str], ...]
    members: tuple[tuple[str, int, str], ...]

    @property
    def bytes(self) -> int:
        """Bytes of all members."""
        return sum(size for _, size, _ in self.members)


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A bundle in a temporary folder: the run, the folder of its log, and where its code lies."""

    run: Run
    log: Path
    strategy: str


def read_contents(path: Path) -> Contents:
    """What the bundle at ``path`` holds; CorruptFileError where it is damaged or no bundle."""
    with _opened(path) as archive:
        return _contents(path, archive)


@contextmanager
def unpacked(path: Path) -> Iterator[Unpacked]:
    """The bundle at ``path``, every member checked, in a folder that goes when the block is left.

    CorruptFileError where a member is not what ``bundle.json`` states.
    """
    with tempfile.TemporaryDirectory(prefix="ofs-bundle-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        with _opened(path) as archive:
            contents = _contents(path, archive)
            free = shutil.disk_usage(folder).free
            if free < contents.bytes:
                raise DataError(
                    f"there is no room to unpack {format_size(contents.bytes)}",
                    where=str(folder),
                    why=f"{format_size(free)} are free",
                    do="make room, or set TMPDIR to a folder on another disk",
                )
            for member in contents.members:
                _unpack(path, archive, folder, *member)
        yield _made(contents, folder)


def _made(contents: Contents, folder: Path) -> Unpacked:
    manifest = _json((folder / "run" / MANIFEST).read_bytes(), contents.path, MANIFEST)
    if manifest.get("run") != contents.run or manifest.get("strategy") != contents.strategy:
        raise _damaged(contents.path, f"{MANIFEST} tells of another run than {INDEX}")
    run = Run(contents.run, folder / "run", manifest)
    own = str(folder / contents.strategy) if contents.own_code else contents.strategy
    return Unpacked(run, folder / "log", own)


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """The zip file; everything that zipfile finds wrong with it is one error."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (
        zipfile.BadZipFile,
        zipfile.LargeZipFile,
        EOFError,
        NotImplementedError,
        UnicodeDecodeError,
    ) as error:
        raise _damaged(path, f"it is truncated, altered or no bundle ({error})") from error
    except OSError as error:
        raise CorruptFileError(
            f"cannot read {path}", where=str(path), why=error.strerror or str(error)
        ) from error


def _contents(path: Path, archive: zipfile.ZipFile) -> Contents:
    infos = archive.infolist()
    names = [info.filename for info in infos]
    if len({name.lower() for name in names}) != len(names):
        raise _damaged(path, "it holds a name twice")
    for info in infos:
        _check_member(path, info)
    if sum(info.file_size for info in infos) > path.stat().st_size:
        raise _damaged(path, "its members are larger than itself")
    index = _index(path, archive)
    members = _members(path, index)
    if {name: size for name, size, _ in members} != {
        i.filename: i.file_size for i in infos if i.filename != INDEX
    }:
        raise _damaged(path, f"{INDEX} lists other members than are there")
    strategy = index.get("strategy")
    strategy = strategy if isinstance(strategy, dict) else {}
    run, name, own = index.get("run"), strategy.get("name"), strategy.get("own_code")
    form = _OWN if own is True else _BUILTIN
    if not isinstance(run, str) or not isinstance(name, str) or not form.fullmatch(name):
        raise _damaged(path, f"{INDEX} names no run and strategy")
    digests = {member: digest for member, _, digest in members}
    if f"run/{MANIFEST}" not in digests:
        raise _damaged(path, f"run/{MANIFEST} is missing")
    if own is True and name.rpartition(":")[0] not in digests:
        raise _damaged(path, f"the strategy file of {name} is missing")
    code = tuple((n, d) for n, d in sorted(digests.items()) if n.startswith("strategy/"))
    return Contents(path, run, name, own is True, code, tuple(members))


def _check_member(path: Path, info: zipfile.ZipInfo) -> None:
    """CorruptFileError unless a member has one of our names and is stored as it is."""
    name = info.filename
    ours = name == INDEX or name in _RUN_FILES or bool(_CODE.fullmatch(name))
    ours = ours or (name.startswith("log/") and _is_log_file(name[4:]))
    unsafe = ".." in name.split("/") or _UNSAFE.search(name) or info.orig_filename != name
    if not ours or unsafe:
        raise _damaged(path, f"it holds a member that belongs in no bundle: {name!r}")
    stored = info.compress_type == zipfile.ZIP_STORED and info.file_size == info.compress_size
    if not stored or info.flag_bits & 1:
        raise _damaged(path, f"{name} is compressed or encrypted; members of a bundle are stored")


def _is_log_file(path: str) -> bool:
    return place_of(path) is not None and not split_path(path)[1]


def _index(path: Path, archive: zipfile.ZipFile) -> dict[str, Any]:
    try:
        info = archive.getinfo(INDEX)
    except KeyError:
        raise _damaged(path, f"{INDEX} is missing: it is no bundle of ofs") from None
    if info.file_size > INDEX_BYTES_MAX:
        raise _damaged(path, f"{INDEX} is too large")
    index = _json(archive.read(info), path, INDEX)
    if index.get("format") != FORMAT:
        raise _damaged(path, f"{INDEX} is not that of an {FORMAT}")
    version = index.get("version")
    if isinstance(version, int) and version > VERSION:
        raise DataError(
            "the bundle was written by a newer ofs",
            where=str(path),
            why=f"its form has version {version}, this ofs knows up to {VERSION}",
            do="install a newer ofs",
        )
    return index


def _members(path: Path, index: dict[str, Any]) -> list[tuple[str, int, str]]:
    try:
        found = [(str(m["path"]), int(m["size"]), str(m["sha256"])) for m in index["members"]]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise _damaged(path, f"{INDEX} lists no members ({error})") from error
    if len({name for name, _, _ in found}) != len(found):
        raise _damaged(path, f"{INDEX} lists a member twice")
    return found


def _unpack(
    path: Path, archive: zipfile.ZipFile, folder: Path, name: str, size: int, digest: str
) -> None:
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    found, total = hashlib.sha256(), 0
    with archive.open(name) as source, target.open("xb") as sink:
        while block := source.read(_BLOCK):
            total += len(block)
            found.update(block)
            sink.write(block)
    if total != size or found.hexdigest() != digest:
        raise _damaged(path, f"{name} is not what {INDEX} states: its sha256 differs")


def _json(content: bytes, path: Path, name: str) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"{name} is no JSON ({error})") from error
    if not isinstance(found, dict):
        raise _damaged(path, f"{name} is no JSON object")
    return found


def _damaged(path: Path, why: str) -> CorruptFileError:
    return CorruptFileError(
        f"cannot use the bundle {path.name}",
        where=str(path),
        why=why,
        do="get it again from where it came, and compare the sha256 that 'ofs bundle' printed",
    )
