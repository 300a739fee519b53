"""Helpers of the import tests: logs made by real imports, and what they then hold."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from data.events import EVENTS, Kind
from data.log import LogReader, LogStore
from data.sources.import_report import ImportReport
from data.sources.importer import import_paths
from tests.shared import shared_data

GROUPS: dict[str, tuple[str, ...]] = {
    "um2023": ("binance-um/btcusdt_20230404.dat.gz", "binance-um/btcusdt_20230405.dat.gz"),
    "um0718": ("binance-um/btcusdt_20240718.gz", "binance-um/btcusdt_20240719.gz"),
    "um0808": ("binance-um/btcusdt_20240808.gz",),
    "spot2023": ("binance-spot/btcusdt_20230405.dat.gz",),
    "spot0808": ("binance-spot/btcusdt_20240808.gz",),
    "nexo": ("binance-spot/nexousdt_20240723.dat.gz", "binance-spot/nexousdt_20240724.dat.gz"),
}
"""The real recordings, in groups whose files follow each other."""


class Imported:
    """A log, and the reports of the imports that made it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = LogStore(folder, create=True)
        self.reports: dict[str, ImportReport] = {}

    def take(self, name: str, *paths: str | Path, **options: Any) -> ImportReport:
        """Import ``paths`` and keep the report under ``name``."""
        self.reports[name] = import_paths(self.store, paths, **options)
        return self.reports[name]

    def rows(self, kind: Kind, venue: str, symbol: str, **span: int) -> dict[str, np.ndarray]:
        """Every column of the rows of one series, and the scales as ``price_scale, qty_scale``."""
        names = EVENTS[kind].names
        reader = LogReader(self.store, venue, symbol, {kind: names}, **span)
        parts = [batch.columns[kind] for batch in reader]
        out = {
            name: np.concatenate([p[name] for p in parts])
            for name in parts[0]
            if not name.endswith("_offsets")
        }
        for name in parts[0]:
            if name.endswith("_offsets"):
                sizes = np.concatenate([np.diff(p[name]) for p in parts])
                out[name] = np.concatenate([[0], np.cumsum(sizes)])
        return out | {
            "price_scale": np.array(reader.scales.price),
            "qty_scale": np.array(reader.scales.qty),
        }

    def digest(self) -> dict[str, str]:
        """sha256 of every file of the log, without the lock's own."""
        return {
            p.relative_to(self.folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
            for p in sorted(self.folder.rglob("*"))
            if p.is_file() and not p.name.startswith(".lock")
        }


def group(name: str) -> list[Path]:
    """Paths of a group; skips the test where they are absent."""
    return [shared_data(path) for path in GROUPS[name]]
