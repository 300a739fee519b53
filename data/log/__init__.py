"""The Parquet log: typed, hive-partitioned tables of events, written whole, read in total order.

``LogStore`` opens a log and changes it in transactions, ``LogReader`` streams a range of one symbol
in bounded memory, ``Batch`` is what it yields.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from data.log.catalogue import Catalogue, Series
    from data.log.dedupe import MergeResult
    from data.log.entry import Entry
    from data.log.reader import Batch, LogReader
    from data.log.store import LogStore

__all__ = ["Batch", "Catalogue", "Entry", "LogReader", "LogStore", "MergeResult", "Series"]

_HOME = {
    "Batch": "reader",
    "Catalogue": "catalogue",
    "Entry": "entry",
    "LogReader": "reader",
    "LogStore": "store",
    "MergeResult": "dedupe",
    "Series": "catalogue",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: listing a log must not import numba."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
