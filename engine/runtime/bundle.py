"""A run in one file that can be verified anywhere: records, settings, events and strategy.

Owns the form of a bundle. It is a zip file whose members are stored as they are::

    run/manifest.json          the manifest; paths of the machine are replaced by paths in here
    run/decisions.parquet ...  every record table, and the statistics
    log/kind=.../....parquet   the files of the log that hold the range, whole
    strategy/....py            the strategy's source; of a user's file also what it imports
    bundle.json                what this is, and size and sha256 of every other member

What must hold: the same run over the same log gives the same bytes, so a bundle has one sha256;
nothing in it names a folder of the machine that made it. Files of the log go in whole, so that
their sha256 and the content hash of the range are those of the manifest; the price is that a run
over an hour takes its day along.

Reading stands in :mod:`engine.runtime.unbundle`. This module refuses to know how a run is folded.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from data.busy import replace
from data.errors import DataError, UsageError
from data.events import RECORD_VERSION, RECORDS
from data.log import LogStore
from data.log.compact import explained
from data.log.entry import Entry, hash_entry, split_path
from data.log.files import damaged
from data.runs import MANIFEST, Run
from engine.runtime.records import Digest, read_rows
from engine.runtime.replay import files_of
from engine.runtime.strategy_file import hash_of, local_modules, recorded_strategy

FORMAT = "ofs-bundle"
VERSION = 1
INDEX = "bundle.json"
TABLES = (*(t.view for t in RECORDS.values()), "statistics")
"""Files of a run that are bundled beside its manifest, those that are there."""

_EPOCH = (1980, 1, 1, 0, 0, 0)
_BLOCK = 1 << 20
_ZIP64_BYTES = 1 << 31


@dataclass(frozen=True, slots=True)
class Bundled:
    """What was written: the file, its size and sha256, and what is in it.

    ``own_code`` tells that the strategy is a user's file. ``fresh`` is False where the very same
    bundle was there already.
    """

    path: Path
    bytes: int
    sha256: str
    members: int
    log_files: int
    log_bytes: int
    own_code: bool
    fresh: bool
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """The strategy as it goes into a bundle: its name there, and files by their path there."""

    name: str
    own_code: bool
    files: dict[str, Path]
    notes: tuple[str, ...] = ()


def write_bundle(
    run: Run, store: LogStore, builtin: Path | None, out: Path, force: bool = False
) -> Bundled:
    """Write the bundle of ``run`` over ``store`` to ``out``.

    ``builtin`` is the source of a strategy that comes with ofs, None for a user's file. UsageError
    where ``out`` is there with other content and not ``force``; DataError where the log, the
    strategy or the records are no longer those of the run.
    """
    check_records(run)
    entries = log_files(run, store)
    source = strategy_source(run, builtin)
    with _beside(out) as (path, file):
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            members = _fill(archive, run, store, entries, source)
        file.flush()
        os.fsync(file.fileno())
        file.close()  # before it is renamed: Windows insists
        digest, size = _sha256(path), path.stat().st_size
        fresh = _publish(path, out, digest, force)
    return Bundled(
        out, size, digest, len(members) + 1, len(entries), sum(e.bytes for e in entries),
        source.own_code, fresh, source.notes,
    )  # fmt: skip


def check_records(run: Run) -> None:
    """DataError unless the record tables of ``run`` are those of its manifest's digest."""
    if run.manifest.get("schema") != RECORD_VERSION:
        return  # an older ofs hashed other columns
    digest = Digest()
    for name, table in RECORDS.items():
        for rows in read_rows(_there(run.file(table.view)), table):
            digest.take(name, rows)
    if digest.hexdigest() != run.manifest["digest"]:
        raise DataError(
            "the records of the run are not those that it wrote",
            where=str(run.folder),
            why="their digest is not the one in the manifest",
            do="run the backtest again",
        )


def log_files(run: Run, store: LogStore) -> list[Entry]:
    """The files of ``store`` that hold the range of ``run``, sorted by path.

    DataError unless they are those of the manifest, or a compaction of them. The log of a session
    goes on and is filled: what the session received is told apart in it when it is verified.
    """
    m = run.manifest
    before = {e["path"]: e["sha256"] for e in m["log"]["entries"]}
    span = m["range"]
    catalogue = store.catalogue()
    found = files_of(m, catalogue)
    files = {split_path(path)[0] for path in before}
    for broken in catalogue.broken:
        if broken.path in files:
            raise damaged(store.storage.name(broken.path), broken.why)
    now = {e.path: e.sha256 for e in found}
    if "upto_seq" not in span and explained(store.storage, before, now) is False:
        changed = sorted(p for p in before.keys() | now.keys() if before.get(p) != now.get(p))
        raise DataError(
            "the log is no longer the one of the run, so a bundle would not verify",
            where=store.storage.where,
            why="changed: " + ", ".join(changed[:5]),
            do="run the backtest again, and bundle the new run",
        )
    return sorted(found, key=lambda e: e.path)


def strategy_source(run: Run, builtin: Path | None) -> Source:
    """The strategy of ``run`` with the files that a bundle holds of it.

    DataError where a user's file is gone or was changed since the run.
    """
    text, wanted = recorded_strategy(run.manifest), run.manifest["strategy_hash"]
    if builtin is not None:
        if hashlib.sha256(builtin.read_bytes()).hexdigest() == wanted:
            return Source(text, False, {f"strategy/{builtin.name}": builtin})
        note = f"the source of {text} that comes with ofs changed since the run: left out"
        return Source(text, False, {}, (note,))
    name, _, attribute = text.rpartition(":") if ".py:" in text else (text, "", "STRATEGY")
    path = Path(name).expanduser().resolve()
    if not path.is_file():
        raise DataError(
            "the strategy file of the run is gone",
            where=str(path),
            do="put it back as it was, or run the backtest again",
        )
    modules = local_modules(path)
    if hash_of(path, modules) != wanted:
        raise DataError(
            "the strategy changed since the run, so a bundle would not verify",
            where=str(path),
            why="the hash of the file and what it imports is another one than in the manifest",
            do="put it back as it was, or run the backtest again",
        )
    files = {f"strategy/{path.name}": path}
    for module in modules.values():
        files[f"strategy/{module.relative_to(path.parent).as_posix()}"] = module
    return Source(f"strategy/{path.name}:{attribute}", True, files)


def portable_manifest(run: Run, source: Source) -> bytes:
    """The manifest as it goes into a bundle: without paths of this machine."""
    log = {**run.manifest["log"], "path": "log"}
    content = {**run.manifest, "run": run.id, "strategy": source.name, "log": log}
    content.pop("strategy_file", None)
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()


def _fill(
    archive: zipfile.ZipFile, run: Run, store: LogStore, entries: list[Entry], source: Source
) -> list[dict[str, Any]]:
    """Write every member in one fixed order; their facts."""
    members = [_member(archive, f"run/{MANIFEST}", portable_manifest(run, source))]
    for table in sorted(TABLES):
        if run.file(table).is_file():
            with run.file(table).open("rb") as file:
                members.append(_copy(archive, f"run/{table}.parquet", file, _size(file)))
    packed: set[str] = set()
    for entry in entries:
        with store.storage.open_input(entry.file) as file:
            found = hash_entry(file, entry) if entry.share else ""
            file.seek(0)
            if entry.file not in packed:
                member = _copy(archive, f"log/{entry.file}", file, entry.file_bytes or entry.bytes)
                members.append(member)
                packed.add(entry.file)
        found = found or member["sha256"]
        if found != entry.sha256:
            why = f"its sha256 is {found}, the catalogue says {entry.sha256}"
            raise damaged(store.storage.name(entry.file), why)
    for name in sorted(source.files):
        members.append(_member(archive, name, source.files[name].read_bytes()))
    m = run.manifest
    index = {
        "format": FORMAT,
        "version": VERSION,
        "run": run.id,
        "strategy": {"name": source.name, "own_code": source.own_code, "hash": m["strategy_hash"]},
        "venue": m["venue"],
        "symbol": m["symbol"],
        "from": m.get("from"),
        "to": m.get("to"),
        "content_hash": m["log"]["content_hash"],
        "members": members,
    }
    _member(archive, INDEX, (json.dumps(index, indent=1) + "\n").encode())
    return members


def _member(archive: zipfile.ZipFile, name: str, content: bytes) -> dict[str, Any]:
    archive.writestr(_info(name), content)
    digest = hashlib.sha256(content).hexdigest()
    return {"path": name, "size": len(content), "sha256": digest}


def _copy(archive: zipfile.ZipFile, name: str, source: Any, size: int) -> dict[str, Any]:
    digest = hashlib.sha256()
    total = 0
    info = _info(name)
    info.file_size = size
    with archive.open(info, "w", force_zip64=size >= _ZIP64_BYTES) as sink:
        while block := source.read(_BLOCK):
            sink.write(block)
            digest.update(block)
            total += len(block)
    return {"path": name, "size": total, "sha256": digest.hexdigest()}


def _info(name: str) -> zipfile.ZipInfo:
    """A header that says nothing of the time and the machine."""
    info = zipfile.ZipInfo(name, _EPOCH)
    info.create_system = 3
    info.external_attr = 0o100644 << 16
    return info


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _size(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size


def _there(path: Path) -> Path:
    if not path.is_file():
        raise DataError(
            "a table of the run is missing", where=str(path), do="run the backtest again"
        )
    return path


@contextmanager
def _beside(out: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """A new file beside ``out`` that is removed unless it was renamed."""
    if not out.parent.is_dir():
        raise UsageError(
            "there is no such folder", where=str(out.parent), do="make it, or name another --out"
        )
    path = out.with_name(f".{out.name}.partial-{os.getpid()}")
    try:
        with path.open("w+b") as file:
            yield path, file
    finally:
        path.unlink(missing_ok=True)


def _publish(path: Path, out: Path, digest: str, force: bool) -> bool:
    """Rename ``path`` to ``out``; False where ``out`` is that very bundle already."""
    if out.exists() and not force:
        if out.is_file() and _sha256(out) == digest:
            return False
        raise UsageError(
            "something else lies where the bundle should go",
            where=str(out),
            do="name another file with --out, or overwrite it with --force",
        )
    replace(path, out)
    return True
