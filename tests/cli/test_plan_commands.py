"""``ofs plan check`` and ``ofs plan explain``, and ``ofs backtest --plans``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import replays
from tests.cli.world import PLANS

BAD = PLANS.replace("cvd_rising", "cvd_risng")


def test_check_prints_the_plans_or_every_mistake(run: Any, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    good.write_text(PLANS, encoding="utf-8")
    bad.write_text(BAD, encoding="utf-8")
    done = run("plan", "check", str(good))
    assert done.code == 0
    assert "trend" in done.out
    assert "5s" in done.out
    done = run("plan", "check", str(bad))
    assert done.code == 3
    assert "bad.toml:13" in done.out
    assert "did you mean 'cvd_rising'" in done.out
    facts = run("plan", "check", str(bad), "--json").json()
    assert (facts["ok"], len(facts["mistakes"])) == (False, 1)


def test_check_lists_the_vocabulary(run: Any) -> None:
    rows = run("plan", "check", "--json").json()
    names = [row["condition"] for row in rows]
    assert {"delta_positive", "avoid_absorption_zones", "order_block"} <= set(names)


def test_explain_and_backtest_read_the_same_plans(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "plans.toml"
    file.write_text(PLANS, encoding="utf-8")
    log = str(replays.path())
    facts = run("plan", "explain", "trend", "--at", "2026-01-05T13:00:05", "--plans", str(file),
                "--log", log, "--json").json()  # fmt: skip
    assert facts["evaluated"] == "2026-01-05T13:00:05.000Z"
    conditions = [x["condition"] for x in facts["conditions"]]
    assert conditions == ["delta_positive", "cvd_rising", "avoid_absorption_zones", "hours"]
    assert facts["conditions"][-1]["verdict"] == "passed"
    gone = run("plan", "explain", "7", "--at", "2026-01-05T13:00", "--plans", str(file),
               "--log", log)  # fmt: skip
    assert gone.code == 2
    assert "1 trend" in gone.err
    done = run("backtest", "--strategy", "plan_watch", "--plans", str(file), "--json")
    assert done.code == 0
    assert done.json()["orders"] == 0
    wrong = run("backtest", "--plans", str(file))
    assert wrong.code == 3
    assert "takes no plans" in wrong.err
