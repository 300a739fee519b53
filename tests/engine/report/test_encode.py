"""Packed columns give back every integer."""

from __future__ import annotations

import base64
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.report.encode import EXACT, Packer, varints

small = st.integers(-(2**51), 2**51)


def read(data: bytes, count: int, start: int = 0) -> tuple[list[int], int]:
    """Zigzag varints, the slow way; and the bytes they took."""
    values, at = [], start
    for _ in range(count):
        z = shift = 0
        while True:
            byte = data[at]
            at += 1
            z |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        values.append(z >> 1 if z % 2 == 0 else -((z + 1) >> 1))
    return values, at - start


def unpack(text: str, columns: dict[str, list[int]]) -> dict[str, list[int]]:
    """Every column, the slow way."""
    data = zlib.decompress(base64.b64decode(text))
    found, at = {}, 0
    for name, (count, delta, divisor) in columns.items():
        values, used = read(data, count, at)
        at += used
        if delta:
            values = np.cumsum(np.array(values, dtype=np.int64)).tolist()
        found[name] = [v * divisor for v in values]
    assert at == len(data)
    return found


@given(st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_any_int64_survives(values: list[int]) -> None:
    assert read(varints(np.array(values, dtype=np.int64)), len(values))[0] == values


@given(st.lists(small), st.lists(small), st.booleans())
def test_columns_come_back_in_order(a: list[int], b: list[int], delta: bool) -> None:
    packer = Packer()
    packer.add("a", np.array(a, dtype=np.int64), delta=delta)
    packer.add("b", np.array(b, dtype=np.int64))
    assert unpack(packer.text(), packer.columns) == {"a": a, "b": b}


def test_what_a_browser_cannot_hold_is_rounded_and_says_by_how_much() -> None:
    packer = Packer()
    packer.add("huge", np.array([EXACT * 8 + 7, -5], dtype=np.int64))
    divisor = packer.columns["huge"][2]
    assert divisor == 100
    assert abs(unpack(packer.text(), packer.columns)["huge"][0] - (EXACT * 8 + 7)) < divisor


def test_a_name_stands_for_one_column() -> None:
    packer = Packer()
    packer.add("a", np.zeros(1, np.int64))
    with pytest.raises(ValueError, match="added before"):
        packer.add("a", np.zeros(1, np.int64))
