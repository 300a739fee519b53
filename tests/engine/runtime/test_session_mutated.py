"""A feed that repeats, swaps and drops: what a session decides then, against the clean one."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from data.enums import GapReason
from data.live.items import Closed, Frame, Item, Opened
from engine.runtime import session as module
from tests.data.live.frames import BTC
from tests.engine.runtime.test_session import Session, market, session, whole

STREAMS = ("btcusdt@aggTrade", "btcusdt@depth20@100ms")
Q_GAP = 1


@pytest.fixture(autouse=True)
def no_venue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "instruments", lambda _ask, _known: [BTC])


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """The session over the feed as it is."""
    patch = pytest.MonkeyPatch()
    patch.setattr(module, "instruments", lambda _ask, _known: [BTC])
    paper = session(tmp_path_factory.mktemp("clean"), market())
    whole(paper)
    patch.undo()
    return paper


def digest(paper: Session) -> str:
    return paper.folds.digest()


def decisions(paper: Session) -> dict[str, np.ndarray]:
    """Columns of the published decisions."""
    table = pq.read_table(paper.setup.runs / paper.folds.published[0] / "decisions.parquet")
    return {name: table[name].to_numpy() for name in table.column_names}


def is_trade(item: Item) -> bool:
    return isinstance(item, Frame) and b"aggTrade" in item.data


def played(folder: Path, items: Sequence[Item]) -> Session:
    chance = random.Random(len(items))
    paper = session(folder, items, lambda: chance.randint(1, 80))
    whole(paper)
    return paper


def test_duplicates_change_nothing(tmp_path: Path, clean: Session) -> None:
    chance = random.Random(1)
    items: list[Item] = []
    for item in market():
        items.append(item)
        if isinstance(item, Frame) and chance.random() < 0.03:
            items.append(item)
    paper = played(tmp_path, items)
    assert len(items) > len(market()) + 50
    assert digest(paper) == digest(clean)
    assert paper.recorder.inlet.facts.duplicates.total() == len(items) - len(market())


def test_swapped_trades_change_nothing(tmp_path: Path, clean: Session) -> None:
    chance = random.Random(2)
    items = list(market())
    at = [i for i, item in enumerate(items) if is_trade(item)]
    swaps = 0
    for a, b in zip(at[1::2], at[2::2], strict=False):
        if chance.random() < 0.02:
            one, two = items[a], items[b]
            assert isinstance(one, Frame)
            assert isinstance(two, Frame)
            items[a], items[b] = one._replace(data=two.data), two._replace(data=one.data)
            swaps += 1
    paper = played(tmp_path, items)
    assert swaps > 10
    assert paper.recorder.tally.gaps == 0
    assert decisions(paper).keys() == decisions(clean).keys()
    for name, values in decisions(clean).items():
        assert np.array_equal(decisions(paper)[name], values), name


def test_what_is_dropped_is_a_gap_and_the_rest_is_the_same(tmp_path: Path, clean: Session) -> None:
    chance = random.Random(3)
    items: list[Item] = []
    dropped = 0
    for n, item in enumerate(market()):
        if is_trade(item) and n > 100 and chance.random() < 0.002:
            dropped += 1
            continue
        items.append(item)
        if n % 1000 == 999 and isinstance(item, Frame):
            items.append(Closed(item.mono_ns, 1, STREAMS, GapReason.DISCONNECT, "cut"))
            items.append(Opened(item.mono_ns, 1, STREAMS))
    paper = played(tmp_path, items)
    reasons = paper.recorder.tally.reasons
    assert dropped > 2
    assert 1 <= reasons["id_hole"] <= dropped
    assert reasons["disconnect"] >= 4
    mine, right = decisions(paper), decisions(clean)
    assert np.array_equal(mine["ts_ns"], right["ts_ns"]), "every boundary is decided"
    whole_ = (mine["quality"] & Q_GAP) == 0
    assert 0.2 < whole_.mean() < 1
    for name in ("delta", "price", "grid_s"):
        assert np.array_equal(mine[name][whole_], right[name][whole_]), name
