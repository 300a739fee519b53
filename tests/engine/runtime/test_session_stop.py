"""How a live session ends that was told to close everything, where its broker does not let it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from data.enums import Control
from data.live.run import Ends
from data.live.session_folder import SessionFolder, open_session
from engine.runtime import session as module
from engine.runtime.session import Session


class Inlet:
    def __init__(self) -> None:
        self.codes: list[int] = []

    def control_event(self, code: int, _value: int, _numbers: list[int]) -> None:
        self.codes.append(code)

    def collect(self) -> None: ...


def session(folder: SessionFolder, *, open_qty: int, guard: Callable[[], str] = str) -> Session:
    core = {"step_ns": [0]}
    live = SimpleNamespace(open_qty=open_qty, fold=SimpleNamespace(params={"core": core}))
    recorder = SimpleNamespace(
        full="", ended=False, inlet=Inlet(), admit=lambda _group: None,
        clock=SimpleNamespace(now=lambda: 1),
    )  # fmt: skip
    parts: dict[str, Any] = dict.fromkeys(Session.__dataclass_fields__)
    trader = SimpleNamespace(flat=not open_qty, guard=guard)
    return Session(
        **{name: parts[name] for name in ("config", "opened", "recovery", "picture", "board")},
        notes=cast(Any, None), setup=cast(Any, SimpleNamespace(trader=trader)), folder=folder,
        folds=cast(Any, SimpleNamespace(lives=[live], numbers=[0])), recorder=cast(Any, recorder),
        log=cast(Any, SimpleNamespace(error=lambda *_a, **_k: None)),
    )  # fmt: skip


def reason(made: Session) -> tuple[str, bool]:
    ends = Ends(told=made._told, left=lambda: made.left_open)
    return ends.reason(cast(Any, made.recorder), 0)


def stops(made: Session) -> list[int]:
    return cast(Any, made.recorder).inlet.codes


def test_a_session_that_could_not_close_everything_is_not_over(
    tmp_path: Path, monkeypatch: Any
) -> None:
    folder = SessionFolder.create(tmp_path, "live", "x", {})
    made = session(folder, open_qty=5, guard=lambda: "the day lost 7")
    made._guard()
    assert stops(made) == [Control.STOP] and made.guarded == "the day lost 7"
    assert reason(made) == ("", False), "it is given time"
    monkeypatch.setattr(time, "monotonic", lambda: 1e12)
    why, over = reason(made)
    assert why.startswith("the day lost 7; something is still open") and not over
    assert made.left_open


def test_the_process_after_it_goes_on_closing(tmp_path: Path) -> None:
    folder = SessionFolder.create(tmp_path, "live", "x", {})
    session(folder, open_qty=5, guard=lambda: "the day lost 7")._guard()  # and it dies
    again = session(open_session(folder.path), open_qty=5)
    again._guard()
    assert stops(again) == [Control.STOP] and again.guarded == "the day lost 7"
    again._guard()
    assert len(stops(again)) == 1
    cast(Any, again.folds.lives[0]).open_qty = 0
    cast(Any, again.trader).flat = True
    assert reason(again) == ("the day lost 7", True)


def test_an_order_of_an_operator_is_gone_on_with_and_is_no_guard(tmp_path: Path) -> None:
    folder = SessionFolder.create(tmp_path, "live", "x", {})
    session(folder, open_qty=0)._stopping(module.STOPPED_BY_OPERATOR)
    again = session(open_session(folder.path), open_qty=0)
    again._guard()
    assert reason(again) == (module.STOPPED_BY_OPERATOR, True) and not again.guarded


def test_nobody_asked_and_nothing_stops(tmp_path: Path) -> None:
    made = session(SessionFolder.create(tmp_path, "live", "x", {}), open_qty=5)
    made._guard()
    assert stops(made) == [] and reason(made) == ("", False)
