"""A feed with duplicates, swaps, drops and lost connections gives what the clean one gives.

Outside of what a gap covers, that is. Compared with a slow oracle that sees the whole story.
"""

from __future__ import annotations

import os
import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from data.enums import GapReason, Kind
from data.live.items import Closed, Frame, Item, Opened
from tests.data.live.frames import Door, depth, liquidation, mark, quote, trade
from tests.data.live.oracle import covered, missing, restorable

EXAMPLES = 1_000 if os.environ.get("OFS_CAMPAIGN") == "1" else 40
HOLD_MS = 100.0
STREAMS = (
    "btcusdt@aggTrade",
    "btcusdt@depth20@100ms",
    "btcusdt@bookTicker",
    "btcusdt@markPrice@1s",
)
Sent = tuple[float, str, bytes]


def market(seed: int, frames: int) -> list[Sent]:
    """A clean feed of two symbols: (ms, stream, frame), in order; ids of trades count up by one."""
    rng = random.Random(seed)
    ms, ids, u = 0.0, {"BTCUSDT": 1_000, "ETHUSDT": 5_000}, 1_000
    out: list[Sent] = []
    for _ in range(frames):
        ms += rng.choice([0.0, 0.1, 1.0, 3.0])
        s = rng.choice(["BTCUSDT", "BTCUSDT", "ETHUSDT"])
        kind = rng.choice(["trade"] * 5 + ["depth", "quote", "mark", "liquidation"])
        u += rng.randrange(1, 9)
        at = int(ms)
        if kind == "trade":
            ids[s] += 1
            frame = trade(ids[s], at, s=s, q=f"0.{rng.randrange(1, 999):03d}")
        elif kind == "depth":
            frame = depth(u, at, 3, s=s)
        elif kind == "quote":
            frame = quote(u, at, s=s)
        elif kind == "mark":
            frame = mark(at, p=f"{27950 + len(out)}.10")
        else:
            frame = liquidation(at, z=f"{len(out)}.500")
        out.append((ms, frame[11 : frame.index(b'"', 11)].decode(), frame))
    return out


def played(sent: list[Sent], batch: int = 7, **more: Any) -> Door:
    door = Door(hold_ns=int(HOLD_MS * 1e6), **more)
    for i in range(0, len(sent), batch):
        part = sent[i : i + batch]
        items = [Frame(door.at(ms), 1, frame) for ms, _, frame in part]
        door.put(part[-1][0], *items)
    return door


def plain(door: Door, keep: frozenset[Kind] = frozenset(Kind)) -> list[tuple[Any, ...]]:
    """What was admitted, by symbol, without the numbers and times of reception."""
    out = []
    for series in range(len(door.series)):
        for e in door.events:
            if e["series"] == series and e["kind"] in keep:
                out.append(tuple((k, str(v)) for k, v in e.items() if k not in ("seq", "recv_ns")))
    return out


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 40), st.floats(0.01, 0.5))
def test_duplicates_change_nothing(seed: int, batch: int, share: float) -> None:
    clean, rng = market(seed, 150), random.Random(seed + 1)
    twice: list[Sent] = []
    for at, (ms, stream, frame) in enumerate(clean):
        twice.append((ms, stream, frame))
        if rng.random() < share:
            _, stream, frame = clean[rng.randrange(max(0, at - 40), at + 1)]
            twice.append((ms, stream, frame))
    door = played(twice, batch)
    assert plain(door) == plain(played(clean))
    assert door.inlet.facts.duplicates.total() == len(twice) - len(clean)


def swapped(clean: list[Sent], rng: random.Random, share: float, window: int) -> list[Sent]:
    """Frames of one trade stream change places, near each other; places keep their times."""
    out = list(clean)
    for at in range(len(out)):
        if "aggTrade" not in out[at][1] or rng.random() >= share:
            continue
        near = range(at + 1, min(len(out), at + window))
        mates = [
            k for k in near if out[k][1] == out[at][1] and out[k][0] - out[at][0] < HOLD_MS / 4
        ]
        if mates:
            k = rng.choice(mates)
            a, b = out[at], out[k]
            out[at], out[k] = (a[0], a[1], b[2]), (b[0], b[1], a[2])
    return out


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 60), st.floats(0.01, 0.3))
def test_swaps_within_the_hold_are_restored_exactly(seed: int, batch: int, share: float) -> None:
    clean = market(seed, 200)
    first = [next(f for f in clean if f[1] == s) for s in ("btcusdt@aggTrade", "ethusdt@aggTrade")]
    start = max(clean.index(f) for f in first) + 1
    mixed = clean[:start] + swapped(clean[start:], random.Random(seed + 1), share, 50)
    door, whole = played(mixed, batch).end(), played(clean)
    if any(chain_waits(mixed, stream) for stream in ("btcusdt@aggTrade", "ethusdt@aggTrade")):
        return  # swaps of swaps carried a trade further than the hold
    assert not door.gaps(0) and not door.gaps(1)
    assert plain(door) == plain(whole)


def arrivals(sent: list[Sent], stream: str) -> list[tuple[int, float]]:
    return [
        (int(f[f.index(b'"a":') + 4 :].partition(b",")[0]), ms) for ms, s, f in sent if s == stream
    ]


def chain_waits(sent: list[Sent], stream: str) -> bool:
    came = arrivals(sent, stream)
    return len(restorable(came, HOLD_MS)) < len(came)


@settings(max_examples=2 * EXAMPLES, deadline=None)
@given(
    st.integers(0, 10**6), st.integers(1, 60), st.floats(0, 0.1), st.floats(0, 0.2),
    st.floats(0, 0.2), st.integers(2, 120),
)  # fmt: skip
def test_every_dropped_trade_lies_in_a_gap_and_nothing_else_does(
    seed: int, batch: int, drops: float, swaps: float, doubles: float, window: int
) -> None:
    clean, rng = market(seed, 250), random.Random(seed + 1)
    kept = [f for f in clean if rng.random() >= drops]
    mixed = []
    for frame in swapped(kept, rng, swaps, window):
        mixed += [frame] * (2 if rng.random() < doubles else 1)
    door = played(mixed, batch).end()
    for series, stream in enumerate(("btcusdt@aggTrade", "ethusdt@aggTrade")):
        came = arrivals(mixed, stream)
        ids = door.rows("id", series=series)
        assert ids == sorted(set(ids))
        if not came:
            continue
        # what arrives before the very first trade was admitted cannot be told from old trades
        came = [c for c in came if c[0] >= came[0][0]]
        assert ids == restorable(came, HOLD_MS)
        assert covered(door.gaps(series)) == missing(ids, ids[0], ids[-1])


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.integers(0, 10**6), st.floats(0, 0.05), st.floats(0, 0.1), st.integers(1, 8))
def test_reconnects_lose_nothing_in_silence(
    seed: int, drops: float, swaps: float, reconnects: int
) -> None:
    clean, rng = market(seed, 250), random.Random(seed + 1)
    kept = swapped([f for f in clean if rng.random() >= drops], rng, swaps, 30)
    cuts = sorted(rng.sample(range(20, len(kept) - 20), reconnects))
    door = Door(hold_ns=int(HOLD_MS * 1e6)).put(0, Opened(1_000, 1, STREAMS))
    lost_until, items, shown = -1.0, [], set()
    for at, (ms, stream, frame) in enumerate(kept):
        if at in cuts:
            items.append(Closed(door.at(ms), 1, STREAMS, GapReason.DISCONNECT, "reset"))
            lost_until = ms + rng.choice([0.0, 5.0, 200.0])
            items.append(Opened(door.at(lost_until), 2, STREAMS))
        if stream not in STREAMS or ms >= lost_until:
            items.append(Frame(door.at(max(ms, lost_until)), 1, frame))
            shown.add(frame)
        if rng.random() < 0.1:
            door.put(ms, *take_all(items))
    door.put(kept[-1][0], *take_all(items)).end()
    ids = door.rows("id")
    assert ids == sorted(set(ids))
    assert covered(door.gaps()) == missing(ids, ids[0], ids[-1])
    all_ids = {id for id, _ in arrivals(clean, STREAMS[0])}
    assert not {i for i in all_ids if ids[0] < i < ids[-1]} - set(ids) - covered(door.gaps())
    by_reason = [g for g in door.gaps() if g[1] == "DISCONNECT" and g[3] == 0 and g[0] == "TRADE"]
    assert len(by_reason) == reconnects


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 40), st.floats(0, 0.3), st.booleans())
def test_ids_that_begin_anew_lose_no_trade_and_are_said_once(
    seed: int, batch: int, doubles: float, up: bool
) -> None:
    rng, sent, ids, id, last = random.Random(seed), [], [], 500_000, 0
    for i in range(120):
        id += 1
        if i == 60:
            id = 9_000_000_000 if up else 7
        ids.append(id)
        sent += [(float(i), STREAMS[0], trade(id, i))] * (2 if rng.random() < doubles else 1)
        if last and rng.random() < doubles and (i < 60 or i > 70):
            sent.append((float(i), STREAMS[0], trade(last, i - 1)))
        last = id
    door = played(sent, batch).end()
    assert door.rows("id") == ids
    assert door.gaps() == [("TRADE", "SEQUENCE_BREAK", ids[59], ids[60], 0)]
    assert not door.inlet.facts.rejects["id"]


def take_all(items: list[Item]) -> list[Item]:
    out = list(items)
    items.clear()
    return out
