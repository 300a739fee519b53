"""Ids of texts: the same one by one and all at once, in their range, and no two alike."""

from __future__ import annotations

import uuid

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from data.ids import OPAQUE_ID, is_opaque, opaque_id, opaque_ids, ordinals


def at_once(texts: list[str]) -> list[int]:
    raw = [t.encode() for t in texts]
    offsets = np.cumsum([0, *map(len, raw)]).astype(np.int64)
    return opaque_ids(np.frombuffer(b"".join(raw), np.uint8), offsets).tolist()


def test_a_known_id_never_changes() -> None:
    # Stored logs depend on these numbers.
    assert opaque_id("d6b9a5ac-3439-5cea-b590-fd245e5b3992") == 5201926022356305032
    assert opaque_id("2290000000055382417") == 8404910394148904549
    assert opaque_id("") == 0


@given(st.lists(st.uuids().map(str), min_size=1, max_size=20), st.booleans())
def test_uuids_at_once_are_those_one_by_one(texts: list[str], upper: bool) -> None:
    given_texts = [t.upper() for t in texts] if upper else texts
    ids = at_once(given_texts)
    assert ids == [opaque_id(t) for t in texts]
    assert all(OPAQUE_ID <= i < 1 << 63 for i in ids)


@given(st.lists(st.text(max_size=40), min_size=1, max_size=8))
def test_any_text_has_an_id(texts: list[str]) -> None:
    assert at_once(texts) == [opaque_id(t) for t in texts]


def test_a_slice_of_a_larger_buffer() -> None:
    text = "01cacfe9-8d1c-5ee4-995d-d79a43f955a6"
    raw = np.frombuffer(("xx" + text + text).encode(), np.uint8)
    assert opaque_ids(raw, np.array([2, 38, 74])).tolist() == [opaque_id(text)] * 2


def test_neighbours_lie_far_apart_and_nothing_collides() -> None:
    texts = [str(uuid.UUID(int=i)) for i in range(50_000)]
    ids = np.array(at_once(texts))
    assert len(np.unique(ids)) == len(texts)
    assert bool(is_opaque(ids).all())
    # a fair spread over the range: the mean of so many lies within 1 % of the middle
    middle = OPAQUE_ID + (1 << 61)
    assert abs(float((ids - OPAQUE_ID).mean()) / (1 << 61) - 1) < 0.01, middle


def test_ordinals_forget_opaque_ids_only() -> None:
    ids = np.array([0, 7, OPAQUE_ID, OPAQUE_ID - 1])
    assert ordinals(ids).tolist() == [0, 7, 0, OPAQUE_ID - 1]
    assert ordinals(ids[:2]) is not None
