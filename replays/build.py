"""Build the embedded replays anew: ``python -m replays.build [FOLDER]``.

Owns the recipe of every replay. What must hold: the same versions of the libraries give the same
bytes; any versions give the same content, whose hash stands in the manifest.

The recipes were chosen for what they show (a busy afternoon, every pattern planted) and never for
what a strategy earns on them.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import replays
from data.events import EVENTS
from data.log import LogStore
from data.sources.synthetic import (
    PATTERN_KINDS,
    VENUE,
    MarketSpec,
    encode_labels,
    generate,
    join,
    write_market,
)
from data.times import format_utc

AFTERNOON_NS = 1_767_614_400_000_000_000
"""2026-01-05T12:00:00Z: six hours from before the opening of New York."""

RECIPES: dict[str, tuple[str, MarketSpec]] = {
    replays.DEFAULT: (
        "Six hours of a synthetic BTCUSDT with every pattern planted",
        MarketSpec(
            seed=20_260_105,
            start_ns=AFTERNOON_NS,
            duration_s=6 * 3_600,
            rate_per_s=12.0,
            depth_ms=500,
            patterns=PATTERN_KINDS,
            every_s=900,
        ),
    ),
}
"""Title and specification of every replay, by name."""


def build(name: str, folder: Path) -> dict[str, Any]:
    """Write the replay ``name`` into ``folder`` (replaced if it is there); returns its manifest."""
    title, spec = RECIPES[name]
    shipped = replays.manifest(name) if name in replays.names() else {}
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "log"
        labels = write_market(LogStore(str(root), create=True), spec)
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        # the catalogue comes along, so that opening the replay never needs to write
        for part in sorted(root.rglob("*.parquet")):
            target = folder / part.relative_to(root)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(part, target)
    (folder / replays.LABELS).write_bytes(encode_labels(spec, labels))
    manifest = _manifest(name, title, spec, folder)
    if shipped.get("content_sha256") == manifest["content_sha256"] and "golden" in shipped:
        # what the engine made of this market; `python -m tests.e2e.golden` writes it, for this
        # floor does not know the engine
        manifest["golden"] = shipped["golden"]
    text = json.dumps(manifest, indent=1, sort_keys=True) + "\n"
    (folder / replays.MANIFEST).write_text(text, encoding="utf-8", newline="\n")
    return manifest


def content_hash(spec: MarketSpec) -> tuple[str, dict[str, int]]:
    """sha256 (hex) over all columns of a market as little-endian integers, and rows by kind.

    It does not depend on Parquet, nor on how the market was cut into chunks.
    """
    columns = [c.columns for c in generate(spec)]
    digest = hashlib.sha256()
    rows = {}
    for kind in spec.kinds:
        whole = join([c[kind] for c in columns])
        name = EVENTS[kind].name
        rows[name] = len(whole["ts_ns"])
        for field in EVENTS[kind].fields:
            digest.update(f"{name}.{field.name}\0".encode())
            column = whole[field.name]
            for part in column if isinstance(column, tuple) else (column,):
                digest.update(part.astype(np.dtype(field.dtype).newbyteorder("<")).tobytes())
    return digest.hexdigest(), rows


def _manifest(name: str, title: str, spec: MarketSpec, folder: Path) -> dict[str, Any]:
    content, rows = content_hash(spec)
    files = {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*.parquet"))
    }
    return {
        "name": name,
        "title": title,
        "venue": VENUE,
        "symbol": spec.symbol,
        "from": format_utc(spec.start_ns),
        "to": format_utc(spec.end_ns),
        "rows": rows,
        "spec": spec.to_dict(),
        "content_sha256": content,
        "files": files,
        "written_with": {"pyarrow": pa.__version__},
    }


def main(words: list[str]) -> int:
    """Build every replay into the package, or into the folder that ``words`` names."""
    root = Path(words[0]) if words else replays.ROOT
    for name in RECIPES:
        manifest = build(name, root / name)
        sys.stderr.write(f"{name}: {manifest['rows']}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
