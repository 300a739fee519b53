"""What the guards know of a broker's account: a basis that may not be leaned on, money moved."""

from __future__ import annotations

import numpy as np
import pytest

from engine.kernel import risk
from engine.kernel.live_state import LIVE_STATE
from engine.runtime.compose import compose
from strategies.delta_flip import STRATEGY as DELTA_FLIP
from strategies.scalper import STRATEGY as SCALPER
from tests.engine.kernel.test_risk import MONEY, NOON, Scene
from tests.engine.tapes import S


def test_without_a_good_basis_every_entry_is_refused_and_a_pause_is_another_thing() -> None:
    scene = Scene()
    assert risk.risk_standing(scene.s[0], NOON) == 0
    risk.risk_basis(scene.s[0], 1)
    assert risk.risk_standing(scene.s[0], NOON) == 0
    risk.risk_basis(scene.s[0], 0)
    assert risk.risk_standing(scene.s[0], NOON) == risk.R_BASIS
    scene.s["paused"] |= risk.BY_OPERATOR
    assert risk.risk_standing(scene.s[0], NOON) == risk.R_BASIS | risk.R_KILL
    scene.s["paused"] = risk.BY_OPERATOR
    assert risk.risk_standing(scene.s[0], NOON) == risk.R_KILL


def test_the_names_of_the_guards_have_one_more_in_a_live_fold() -> None:
    assert compose(SCALPER).refusals == risk.REFUSALS
    live = compose(SCALPER, broker="live").refusals
    assert (
        live == (*risk.REFUSALS, "basis") and live.index("basis") == risk.R_BASIS.bit_length() - 1
    )
    assert compose(DELTA_FLIP, broker="live").refusals == ()


@pytest.mark.parametrize("moved", [-MONEY // 2, MONEY // 2], ids=["out", "in"])
def test_money_that_was_moved_is_neither_loss_nor_gain(moved: int) -> None:
    scene, live = Scene(), np.zeros(1, LIVE_STATE)
    live["adjusted"] = moved
    risk.risk_funds(scene.s[0], live[0])
    risk.risk_funds(scene.s[0], live[0])  # once is enough
    scene.know(balance=MONEY + moved)
    scene.update(NOON + S)
    assert scene.s["day_equity"][0] == scene.s["peak"][0] == scene.s["equity"][0] == MONEY + moved
    assert risk.risk_standing(scene.s[0], NOON + S) == 0
    scene.know(balance=MONEY + moved - MONEY // 15)
    scene.update(NOON + 2 * S)
    halted = risk.risk_standing(scene.s[0], NOON + 2 * S) & risk.R_DAILY_LOSS
    assert bool(halted) == (moved < 0)  # 13 % of half, or 4.4 % of one and a half
