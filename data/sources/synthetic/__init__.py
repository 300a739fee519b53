"""Synthetic markets: a seeded generator of trades, depth and bars with planted, labelled patterns.

Owns what a synthetic market is, from its specification to the log. There are two generators that
share their vocabulary and nothing else: ``flow`` (:class:`MarketSpec`, :mod:`market`: prices by a
law of impact) and ``agents`` (:class:`AgentSpec`, :mod:`agents`: a book in which agents meet).
Equal specifications give equal markets, bit for bit, in any process. They are written without
looking at the detectors that will be measured on them, and must stay so: nothing here may import
``engine`` or ``strategies``.
"""

from __future__ import annotations

from data.sources.synthetic.agents_spec import AgentSpec
from data.sources.synthetic.market import Chunk, generate, join
from data.sources.synthetic.spec import DEFAULT_START_NS, PATTERN_KINDS, VENUE, Label, MarketSpec
from data.sources.synthetic.store import (
    decode_labels,
    encode_labels,
    label_path,
    write_market,
)

__all__ = [
    "DEFAULT_START_NS",
    "PATTERN_KINDS",
    "VENUE",
    "AgentSpec",
    "Chunk",
    "Label",
    "MarketSpec",
    "decode_labels",
    "encode_labels",
    "generate",
    "join",
    "label_path",
    "write_market",
]
