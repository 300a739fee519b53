"""Checks of the log: is it there and whole, and who is writing to it.

Owns the words in which a person is told; the look itself is :mod:`data.log.quick`. A log that does
not exist yet is no failure: the replay that comes with ofs runs without one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from data.doctor.lines import Line, Status
from data.units import format_size

if TYPE_CHECKING:
    from data.log import LogStore
    from data.log.quick import Quick

_NONE_YET = "ofs import FILE..., ofs fetch SYMBOL or ofs synth make one; ofs backtest needs none"
_SHOWN = 3

Opened = Callable[[], "LogStore | None"]
"""Opens the log; None where there is none and nobody named one."""


def integrity(open_log: Opened, where: str = "") -> Line:
    """The catalogue against the files, footers, sizes, and the sha256 of a sample.

    ``where`` is the place of the log as the settings name it.
    """
    name = "log"
    store = open_log()
    if store is None:
        fact = "there is none yet" + (f" at {where}" if where else "")
        return Line(name, Status.WARN, fact, _NONE_YET, {"files": 0})
    from data.log.quick import quick_check

    found = quick_check(store)
    place = store.storage.name("")
    numbers = {
        "path": place,
        "files": found.files,
        "rows": found.rows,
        "bytes": found.bytes,
        "footers_read": found.footers,
        "files_hashed": found.hashed,
        "bytes_hashed": found.hashed_bytes,
        "faults": [{"path": path, "why": why} for path, why in found.faults],
        "gone": found.gone,
    }
    if found.committing:
        mend = "wait until the import is done, and ask again"
        return Line(name, Status.WARN, f"a commit is under way in {place}", mend, numbers)
    if found.faults:
        return Line(name, Status.FAIL, _faults(found), _mend(found), numbers)
    if found.gone:
        shown = ", ".join(found.gone[:_SHOWN]) + (", ..." if len(found.gone) > _SHOWN else "")
        fact = f"{len(found.gone)} files are gone since the log was last read: {shown}"
        mend = "import or fetch their source again; if you deleted them yourself, all is well"
        return Line(name, Status.WARN, fact, mend, numbers)
    if not found.files:
        return Line(name, Status.WARN, f"{place} holds no events yet", _NONE_YET, numbers)
    looked = (
        f"{found.footers:,} footers and {found.hashed:,} sha256 ({format_size(found.hashed_bytes)})"
    )
    files = "1 file" if found.files == 1 else f"{found.files:,} files"
    fact = f"{files}, {found.rows:,} events, {format_size(found.bytes)}, all there; {looked} agree"
    if found.hashed < found.files:
        fact += "; 'ofs log check' reads everything"
    return Line(name, Status.OK, fact, numbers=numbers)


def _faults(found: Quick) -> str:
    shown = "; ".join(f"{path}: {why}" for path, why in found.faults[:_SHOWN])
    more = len(found.faults) - _SHOWN
    count = "1 file" if len(found.faults) == 1 else f"{len(found.faults)} files"
    return f"{count} cannot be trusted: {shown}" + (f"; and {more} more" if more > 0 else "")


def _mend(found: Quick) -> str:
    return (
        "restore them from a copy, or delete what is damaged and import its source again; "
        f"'ofs log check' tells whether there is more ({found.footers} footers were read)"
    )


def writer(open_log: Opened) -> Line:
    """Whether somebody holds the lock of the one writer, and who."""
    name = "writer"
    store = open_log()
    if store is None:
        return Line(name, Status.OK, "nobody writes: there is no log yet")
    if store.storage.local is None:
        return Line(name, Status.OK, "an object store has no lock: let one process write at a time")
    try:
        holder = store.storage.writer()
    except OSError as error:
        fact = f"not known: the lock cannot be tried ({error.strerror or error})"
        return Line(name, Status.OK, f"{fact}; nobody can write from here")
    if holder is None:
        return Line(name, Status.OK, "nobody is writing to the log", numbers={"pid": None})
    fact = f"process {holder['pid']} on {holder['host']} is writing to the log"
    mend = "imports have to wait until it is done; reading and backtests need not"
    return Line(name, Status.WARN, fact, mend, dict(holder))
