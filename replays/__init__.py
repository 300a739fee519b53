"""Golden sessions that ship with the package: small logs whose content is known.

Owns the names of the replays and where they lie. Each is a folder that is an ofs log (opened
read-only), with ``labels.json`` (what was planted), ``plans.toml`` (its plans, where it has any)
and ``replay.json`` (how it was made, counts, hashes, what is run over it, what that must give).
``replays.build`` makes them anew, byte for byte. Importing this package is light.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from data.errors import DataError

ROOT = Path(__file__).resolve().parent
"""Folder of the package; every replay is a folder in it."""

DEFAULT = "btc_flow"
"""The replay that runs when none is named."""

MANIFEST = "replay.json"
LABELS = "labels.json"
PLANS = "plans.toml"


def names() -> list[str]:
    """Names of the replays that are there, sorted."""
    return sorted(p.parent.name for p in ROOT.glob(f"*/{MANIFEST}"))


def path(name: str = DEFAULT) -> Path:
    """Folder (root of the log) of the replay ``name``; DataError where there is none."""
    folder = ROOT / name
    if name not in names():
        raise DataError(
            f"there is no replay {name!r}",
            where=str(ROOT),
            why=f"the replays are: {', '.join(names()) or 'none, the installation lacks its data'}",
            do="name one of them, or run over a log with --symbol",
        )
    return folder


def manifest(name: str = DEFAULT) -> dict[str, Any]:
    """What ``replay.json`` says: name, title, spec, range, counts, hashes, versions."""
    return dict(json.loads((path(name) / MANIFEST).read_text(encoding="utf-8")))


def labels(name: str = DEFAULT) -> list[dict[str, Any]]:
    """The planted patterns of a replay, as ``data.sources.synthetic.Label.to_dict`` gives them."""
    body = json.loads((path(name) / LABELS).read_text(encoding="utf-8"))
    return list(body["labels"])
