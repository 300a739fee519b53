"""Synthetic markets into the log, and their labels beside it.

Owns the way from chunks to one transaction of the log. Rows are gathered for :data:`GATHER_S` of
market time and merged in order, so memory stays bounded whatever the length of the market.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from data.errors import DataError
from data.events import Kind
from data.log.transaction import REJECTS
from data.sources.synthetic import agents, market
from data.sources.synthetic.agents_spec import AgentSpec
from data.sources.synthetic.market import Chunk, join
from data.sources.synthetic.spec import VENUE, Label, MarketSpec

if TYPE_CHECKING:
    from data.log import LogStore

Spec = MarketSpec | AgentSpec
"""A market of either generator."""

GATHER_S = 3600
"""Market time that is gathered in memory before a merge, seconds."""

SIDE_FILES = REJECTS
"""Folder of the log below which everything that a transaction attaches is kept."""

NS = 1_000_000_000


def write_market(
    store: LogStore, spec: Spec, progress: Callable[[Chunk], None] | None = None
) -> list[Label]:
    """Generate the market and merge it into ``store`` in one transaction; returns its labels.

    The labels and the specification are kept at :func:`label_path` of the log. ``progress`` is
    called with each chunk. The same market written twice changes nothing; DataError where another
    one stands in the same place, because two markets of one symbol would be mixed.
    """
    _refuse_another(store, spec)
    labels: list[Label] = []
    with store.transaction() as tx:
        held: list[Chunk] = []
        for chunk in _generate(spec):
            labels += chunk.labels
            held.append(chunk)
            if progress is not None:
                progress(chunk)
            whole = (chunk.to_ns - spec.start_ns) % (GATHER_S * NS) == 0
            if whole or chunk.to_ns % (86_400 * NS) == 0:
                _merge(tx, spec, held)
                held = []
        _merge(tx, spec, held)
        attached = label_path(spec).removeprefix(f"{SIDE_FILES}/")
        tx.attach(attached, encode_labels(spec, labels))
    return labels


def _generate(spec: Spec) -> Iterator[Chunk]:
    return agents.generate(spec) if isinstance(spec, AgentSpec) else market.generate(spec)


def _refuse_another(store: LogStore, spec: Spec) -> None:
    path = label_path(spec)
    if store.storage.fact(path) is not None:
        known, _ = decode_labels(store.storage.read_bytes(path))
        if known == spec:
            return
    for entry in store.catalogue().entries:
        mine = entry.venue == VENUE and entry.symbol == spec.symbol and entry.kind != Kind.BAR
        if mine and entry.min_ts_ns < spec.end_ns and entry.max_ts_ns >= spec.start_ns:
            raise DataError(
                f"the log already holds another market of {VENUE} {spec.symbol} at that time",
                where=f"{store.storage.where}: {entry.path}",
                why="two synthetic markets under one name would be mixed",
                do="choose another --symbol, another --from or another --log",
            )


def label_path(spec: Spec) -> str:
    """Where the labels of a market stand, relative to the log's root."""
    name = f"{VENUE}-{spec.symbol}-{spec.start_ns // NS}-{spec.seed}"
    kind = "-agents" if isinstance(spec, AgentSpec) else ""
    twin = "-null" if spec.null else ""
    return f"{SIDE_FILES}/labels/{name}{kind}{twin}.json"


def encode_labels(spec: Spec, labels: Iterable[Label]) -> bytes:
    """Labels with their specification as JSON: UTF-8, sorted keys, one trailing newline.

    A market of agents says so under ``generator``.
    """
    body: dict[str, Any] = {"spec": spec.to_dict(), "labels": [x.to_dict() for x in labels]}
    if isinstance(spec, AgentSpec):
        body["generator"] = "agents"
    return (json.dumps(body, indent=1, sort_keys=True) + "\n").encode()


def decode_labels(data: bytes) -> tuple[Spec, list[Label]]:
    """The specification and labels that :func:`encode_labels` wrote."""
    body = json.loads(data)
    made_by = AgentSpec if body.get("generator") == "agents" else MarketSpec
    return made_by.from_dict(body["spec"]), [Label(**x) for x in body["labels"]]


def _merge(tx: Any, spec: Spec, held: list[Chunk]) -> None:
    for kind in (Kind.TRADE, Kind.DEPTH, Kind.BAR, Kind.QUOTE):
        parts = [c.columns[kind] for c in held if kind in c.columns]
        if parts and sum(len(p["ts_ns"]) for p in parts):
            tx.merge(kind, VENUE, spec.symbol, join(parts), spec.scales)
