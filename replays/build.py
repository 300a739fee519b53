"""Build the embedded replays anew: ``python -m replays.build [FOLDER [NAME ...]]``.

Owns the way from a recipe (:mod:`replays.recipes`) to a folder. What must hold: the same versions
of the libraries give the same bytes; any versions give the same content, whose hash stands in the
manifest. It never runs the engine: what that makes of a session is kept as it was while market,
strategy, settings and plans are the same.
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
from data.events import EVENTS, Kind
from data.log import LogStore
from data.sources.synthetic import (
    VENUE,
    Label,
    MarketSpec,
    encode_labels,
    generate,
    join,
    write_market,
)
from data.times import format_utc
from replays.recipes import RECIPES, Recipe
from replays.script import Script, write_script

Market = MarketSpec | Script


def build(name: str, folder: Path) -> dict[str, Any]:
    """Write the replay ``name`` into ``folder`` (replaced if it is there); returns its manifest."""
    recipe = RECIPES[name]
    shipped = replays.manifest(name) if name in replays.names() else {}
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "log"
        labels = _write(LogStore(str(root), create=True), recipe.market)
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        # the catalogue comes along, so that opening the replay never needs to write
        for part in sorted(root.rglob("*.parquet")):
            target = folder / part.relative_to(root)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(part, target)
    (folder / replays.LABELS).write_bytes(_labels(recipe.market, labels))
    if recipe.plans:
        (folder / replays.PLANS).write_text(recipe.plans, encoding="utf-8", newline="\n")
    manifest = _manifest(name, recipe, folder)
    kept = shipped.get("golden", {})
    same = shipped.get("content_sha256") == manifest["content_sha256"]
    if same and manifest["golden"].items() <= kept.items():
        # what the engine made of this market; `python -m tests.e2e.golden` writes it, for this
        # floor does not know the engine
        manifest["golden"] = kept
    text = json.dumps(manifest, indent=1, sort_keys=True) + "\n"
    (folder / replays.MANIFEST).write_text(text, encoding="utf-8", newline="\n")
    return manifest


def _write(store: LogStore, market: Market) -> list[Label]:
    if isinstance(market, MarketSpec):
        return write_market(store, market)
    write_script(store, market)
    return []


def _labels(market: Market, labels: list[Label]) -> bytes:
    """What was planted; nothing is in a market that was written by hand."""
    if isinstance(market, MarketSpec):
        return encode_labels(market, labels)
    body = {"spec": market.to_dict(), "labels": []}
    return (json.dumps(body, indent=1, sort_keys=True) + "\n").encode()


def whole(market: Market) -> dict[Kind, dict[str, Any]]:
    """Every column of a market by kind, in the order of its events."""
    if isinstance(market, Script):
        return market.columns()
    chunks = [c.columns for c in generate(market)]
    return {kind: join([c[kind] for c in chunks]) for kind in market.kinds}


def content_hash(market: Market) -> tuple[str, dict[str, int]]:
    """sha256 (hex) over all columns of a market as little-endian integers, and rows by kind.

    It does not depend on Parquet, nor on how the market was cut into chunks.
    """
    digest = hashlib.sha256()
    rows = {}
    for kind, columns in whole(market).items():
        name = EVENTS[kind].name
        rows[name] = len(columns["ts_ns"])
        for field in EVENTS[kind].fields:
            digest.update(f"{name}.{field.name}\0".encode())
            column = columns.get(field.name, np.zeros(rows[name], dtype=field.dtype))
            for part in column if isinstance(column, tuple) else (column,):
                digest.update(part.astype(np.dtype(field.dtype).newbyteorder("<")).tobytes())
    return digest.hexdigest(), rows


def _manifest(name: str, recipe: Recipe, folder: Path) -> dict[str, Any]:
    market = recipe.market
    content, rows = content_hash(market)
    files = {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*.parquet"))
    }
    return {
        "name": name,
        "title": recipe.title,
        "venue": VENUE,
        "symbol": market.symbol,
        "from": format_utc(market.start_ns),
        "to": format_utc(market.end_ns),
        "rows": rows,
        "spec": market.to_dict(),
        "content_sha256": content,
        "files": files,
        "written_with": {"pyarrow": pa.__version__},
        **({"story": recipe.story} if recipe.story else {}),
        "golden": {
            "strategy": recipe.strategy,
            **({"settings": recipe.settings} if recipe.settings else {}),
            **({"plans": replays.PLANS} if recipe.plans else {}),
        },
    }


def main(words: list[str]) -> int:
    """Build every replay, or those named, into the package or the folder of the first word."""
    root = Path(words[0]) if words else replays.ROOT
    for name in words[1:] or RECIPES:
        manifest = build(name, root / name)
        sys.stderr.write(f"{name}: {manifest['rows']}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
