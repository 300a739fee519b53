"""Two connections carry the same streams for a while: what goes on is each frame once, in order."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from data.live import handover as module
from data.live.handover import Handover
from data.live.items import Frame


def frame(stream: str, number: int) -> Frame:
    return Frame(number, 1, f"{stream}:{number}".encode())


def name_of(one: Frame) -> bytes:
    return one.data.partition(b":")[0]


@st.composite
def overlaps(draw):
    """For each stream: where the old one ends, where the new one begins (within it) and ends."""
    streams = {}
    for name in "abc"[: draw(st.integers(1, 3))]:
        old_end = draw(st.integers(1, 12))
        streams[name] = (draw(st.integers(0, old_end - 1)), old_end, draw(st.integers(0, 12)))
    return streams


@given(overlaps(), st.randoms(use_true_random=False), st.integers(3, 30))
def test_each_frame_once_in_the_order_of_its_stream(streams, chance, late) -> None:
    """``late``: how much of the new connection is read before the old one is closed."""
    old = [(s, n) for s, (_, end, _) in streams.items() for n in range(end)]
    new = [(s, n) for s, (begin, end, more) in streams.items() for n in range(begin, end + more)]
    for lane in (old, new):  # any mixture of streams, each in order
        order = [s for s, _ in lane]
        chance.shuffle(order)
        rest = {s: iter([n for t, n in lane if t == s]) for s in streams}
        lane[:] = [(s, next(rest[s])) for s in order]
    between = Handover(name_of)
    before, after = new[:late], new[late:]
    assume({s for s, _ in before} == set(streams))  # the keeper waits for that
    turns = [(between.old, o) for o in old] + [(between.new, n) for n in before]
    lanes = {between.old: iter(old), between.new: iter(before)}
    order = [take for take, _ in turns]
    chance.shuffle(order)
    out: list[Frame] = []
    for take in order:
        out += take([frame(*next(lanes[take]))])
    assert between.met([s.encode() for s in streams])
    out += between.close()
    for one in after:
        out += between.new([frame(*one)])
    out += between.flush()
    for name, (_, end, more) in streams.items():
        mine = [f.mono_ns for f in out if name_of(f) == name.encode()]
        assert mine == list(range(end + more))


def test_what_only_the_new_one_has_is_never_lost_and_proves_nothing() -> None:
    between = Handover(name_of)
    assert between.old([frame("a", 1), frame("a", 2)]) == [frame("a", 1), frame("a", 2)]
    assert between.new([frame("a", 9), frame("b", 1)]) == []
    assert not between.met([b"a"])
    assert not between.met([b"b"])
    assert between.close() == []  # it waits for a:2, which may still be on its way
    assert between.new([frame("a", 10)]) == []
    assert between.flush() == [frame("a", 9), frame("b", 1), frame("a", 10)]
    assert between.new([frame("a", 11)]) == [frame("a", 11)]


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_FRAMES", 3)
    between = Handover(name_of)
    between.old([frame("a", n) for n in range(3)])
    assert between.new([frame("a", n) for n in range(1, 4)]) == []
    assert between.new([frame("a", 4)]) == [frame("a", 3), frame("a", 4)]
    assert between.new([frame("a", 5)]) == [frame("a", 5)]
