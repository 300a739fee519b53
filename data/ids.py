"""Trade ids that are texts (UUIDs) as the int64 that the log keeps.

Owns the range of *opaque* ids and how a text becomes one. What must hold: the same text always
gives the same id, on every machine and in every version; two different texts practically never do
(62 bits of hash: one chance in a hundred million among 300,000 trades a day), and where they would,
the log still keeps both trades, because it also compares their time, price, quantity and side.

What cannot be known from an opaque id: which trade came first, and whether one is missing. So
nothing orders by such ids, and nothing looks for holes among them.

It refuses to know which venue uses which kind of id.
"""

from __future__ import annotations

import hashlib
import re
from itertools import pairwise

import numpy as np

OPAQUE_ID = 1 << 62
"""Ids from here on are opaque; no venue's running number comes near."""

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_UUID_TEXT = 36
_HYPHENS = (8, 13, 18, 23)
_PLACES = tuple(i for i in range(_UUID_TEXT) if i not in _HYPHENS)
_BAD = 255
_WORD = (1 << 64) - 1

_NIBBLES = np.full(256, _BAD, dtype=np.uint8)
for _value, _digits in enumerate("0123456789abcdef"):
    _NIBBLES[ord(_digits)] = _NIBBLES[ord(_digits.upper())] = _value


def is_opaque(ids: np.ndarray) -> np.ndarray:
    """bool[n]: which of the int64 ``ids`` are opaque."""
    return ids >= OPAQUE_ID


def ordinals(ids: np.ndarray) -> np.ndarray:
    """int64[n]: ``ids`` with 0 (not known) where they are opaque; what ids say about order."""
    if not len(ids) or int(ids.max()) < OPAQUE_ID:
        return ids
    return np.where(ids >= OPAQUE_ID, 0, ids)


def opaque_id(text: str) -> int:
    """The id of a text; 0 for the empty text, which is no id."""
    if not text:
        return 0
    high, low = _words(text)
    mixed = _mix_int(_mix_int((high + 0x9E3779B97F4A7C15) & _WORD) ^ low)
    return (mixed >> 2) | OPAQUE_ID


def opaque_ids(texts: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """int64[n] ids of n UTF-8 texts: text i is bytes uint8 ``texts[offsets[i]:offsets[i+1]]``.

    As :func:`opaque_id` one by one; UUIDs all at once.
    """
    rows = len(offsets) - 1
    if rows and bool((np.diff(offsets) == _UUID_TEXT).all()):
        block = texts[int(offsets[0]) : int(offsets[-1])].reshape(rows, _UUID_TEXT)
        hyphens = block[:, _HYPHENS]
        nibbles = _NIBBLES[block[:, _PLACES]]
        if bool((hyphens == ord("-")).all()) and int(nibbles.max()) < _BAD:
            return _fold(_pack(nibbles[:, :16]), _pack(nibbles[:, 16:]))
    ends = offsets.tolist()
    raw = texts.tobytes()
    found = [opaque_id(raw[a:b].decode("utf-8", "replace")) for a, b in pairwise(ends)]
    return np.array(found, dtype=np.int64)


def _words(text: str) -> tuple[int, int]:
    """128 bits of a text: those of a UUID itself, else of its BLAKE2b hash."""
    if _UUID.fullmatch(text):
        value = int(text.replace("-", ""), 16)
    else:
        value = int.from_bytes(
            hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest(), "big"
        )
    return value >> 64, value & _WORD


def _pack(nibbles: np.ndarray) -> np.ndarray:
    """uint64[n] of 16 hexadecimal digits a row."""
    pairs = (nibbles[:, 0::2] << 4) | nibbles[:, 1::2]
    return np.ascontiguousarray(pairs).view(">u8")[:, 0].astype(np.uint64)


def _fold(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """int64 opaque ids of 128 bits; the finaliser of splitmix64 (Steele, Lea and Flood 2014)."""
    mixed = _mix(_mix(high + np.uint64(0x9E3779B97F4A7C15)) ^ low)
    return (mixed >> np.uint64(2)).astype(np.int64) | np.int64(OPAQUE_ID)


def _mix_int(word: int) -> int:
    """As :func:`_mix`, of one word: ten times as fast as an array of one."""
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & _WORD
    return word ^ (word >> 31)


def _mix(words: np.ndarray) -> np.ndarray:
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
