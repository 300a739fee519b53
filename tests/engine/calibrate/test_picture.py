"""The diagram is one well-formed SVG that leans on nothing and keeps what it draws in its frame."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from engine.calibrate.picture import HEIGHT, LEFT, SIZE, TOP, reliability_svg
from engine.calibrate.scores import Bin

SPREAD = [
    Bin(0.3 + 0.04 * i, 0.28 + i / 22, 0.2 + i / 22, 0.38 + i / 22, 9, 30.0) for i in range(9)
]


@pytest.mark.parametrize(
    ("bins", "base"),
    [
        (SPREAD, 0.44),
        (SPREAD[:1], 0.3),
        ([Bin(0.0, 0.0, 0.0, 0.02, 1, 2.0)], 0.0),
        ([Bin(1.0, 1.0, 0.98, 1.0, 1, 2.0)], 1.0),
    ],
)
def test_all_lies_inside(bins: list[Bin], base: float) -> None:
    text = reliability_svg('a "b" <c> & d', bins, base, ("one & two", "three"))
    root = ElementTree.fromstring(text)
    assert 'a "b" <c> & d' in "".join(root.itertext())
    circles = [e for e in root.iter() if e.tag.endswith("circle")]
    assert len(circles) == len(bins)
    for e in circles:
        assert LEFT <= float(e.attrib["cx"]) <= LEFT + SIZE
        assert TOP <= float(e.attrib["cy"]) <= TOP + SIZE
    for e in root.iter():
        for name in ("y", "y1", "y2"):
            value = e.attrib.get(name)
            assert value is None or 0 <= float(value) <= HEIGHT, (e.tag, e.attrib)


def test_it_stands_alone_in_light_and_dark() -> None:
    text = reliability_svg("t", SPREAD, 0.4, ())
    assert "prefers-color-scheme: dark" in text
    assert not re.search(r"href|<script|url\(|@import|<image", text)
