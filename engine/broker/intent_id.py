"""The id of an intent as it travels with an order: a magic number and a comment.

Owns both, and the way back. A magic is an unsigned number that the server stamps on the order, its
deals and its position; it holds 16 bits that the user chose (``base``), 16 bits of the session
(``tag``), 7 bits of the instrument's number and 24 bits of the order's id, 63 bits in all. The
comment says the same in words for people; brokers cut or replace it, so it is never what an order
is known by.

It refuses to know orders and brokers.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

BASE_MAX = (1 << 16) - 1
SERIES_MAX = (1 << 7) - 1
ORDER_MAX = (1 << 24) - 1
COMMENT_MAX = 29
"""Longest comment (UTF-16 units) that a terminal takes."""


class IntentKey(NamedTuple):
    """Number of the instrument within its session, and id of the order within its fold."""

    series: int
    order: int


def tag_of(session: str) -> int:
    """16 bits, never 0, that stand for the session called ``session``."""
    return int.from_bytes(hashlib.sha256(session.encode()).digest()[:2], "big") or 1


def magic_of(base: int, tag: int, key: IntentKey) -> int:
    """The magic of an intent, 0 < magic < 2**63. ``base`` 1 to 65,535."""
    assert 0 < base <= BASE_MAX
    assert 0 < tag <= 0xFFFF
    assert 0 <= key.series <= SERIES_MAX
    assert 0 < key.order <= ORDER_MAX
    return base << 47 | tag << 31 | key.series << 24 | key.order


def key_of(magic: int, base: int, tag: int) -> IntentKey | None:
    """The intent behind a magic; None where it is not of this base and session."""
    if magic >> 31 != base << 16 | tag:
        return None
    key = IntentKey(magic >> 24 & SERIES_MAX, magic & ORDER_MAX)
    return key if key.order > 0 else None


def of_base(magic: int, base: int) -> bool:
    """Whether some session of this base sent it."""
    return magic >> 47 == base


def comment_of(tag: int, key: IntentKey) -> str:
    """The comment of an intent: ``ofs TAG SERIES ORDER``, at most 29 characters."""
    return f"ofs {tag:04x} {key.series} {key.order}"
