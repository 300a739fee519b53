"""What counts as a trial of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.runs import find_run
from engine.report.trials import SHARPES_MIN, Trials, trials_of
from tests.data.make_runs import manifest

FROM, TO = "2024-08-09T00:00:00.000Z", "2024-08-09T01:00:00.000Z"


def add(runs: Path, name: str, sharpe: float | None = None, **changes: Any) -> None:
    """A run of which only the manifest is there."""
    import json

    folder = runs / name
    folder.mkdir(parents=True)
    changes = {"strategy_hash": "a", "from": FROM, "to": TO, **changes}
    if sharpe is not None:
        changes["statistics"] = {"sharpe": sharpe}
    text = json.dumps(manifest(name, **changes))
    (folder / "manifest.json").write_text(text, encoding="utf-8")


def counted(runs: Path, given: int | None = None) -> Trials:
    return trials_of(find_run(runs, "me"), runs, given)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    add(tmp_path, "me")
    return tmp_path


def test_a_run_alone_is_one_trial(runs: Path) -> None:
    assert counted(runs) == Trials(1, None)
    assert trials_of(find_run(runs, "me"), runs / "elsewhere") == Trials(1, None)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"venue": "bybit"},
        {"symbol": "ETHUSDT"},
        {"params": {"window_s": 5}, "from": TO, "to": "2024-08-10"},
        {"params": {"window_s": 5}, "from": "2024-08-08", "to": FROM},
        {"from": "2024-08-09T00:30:00Z"},
        {"params": {"window_s": 5}, "from": "yesterday"},
        {"params": {"window_s": 5}, "from": None, "to": ["?"]},
        {"strategy": "/elsewhere/file.py:delta_flip"},
        {"digest": "another", "versions": {"ofs": "9"}},
    ],
)
def test_what_is_no_other_trial(runs: Path, changes: dict[str, Any]) -> None:
    add(runs, "other", **changes)
    assert counted(runs).count == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"params": {"window_s": 5}},
        {"params": {"window_s": 5}, "from": "2024-08-09T00:59:59Z", "to": "2024-09-01"},
        {"strategy_hash": "b"},
        {"strategy": "other"},
    ],
)
def test_what_is_another_trial_however_often_it_ran(runs: Path, changes: dict[str, Any]) -> None:
    add(runs, "other", **changes)
    add(runs, "again", **changes)
    assert counted(runs).count == 2


def test_a_number_that_is_given_takes_the_place_of_the_count(runs: Path) -> None:
    add(runs, "other", params={"window_s": 5})
    assert counted(runs, 1000) == Trials(1000, None, given=True)


def test_the_variance_is_that_of_the_trials_once_there_are_enough(runs: Path) -> None:
    sharpes = [0.5 * k for k in range(SHARPES_MIN)]
    for k, sharpe in enumerate(sharpes[1:]):
        add(runs, f"n{k}", sharpe, params={"window_s": k})
        add(runs, f"m{k}", sharpe, params={"window_s": k})
    add(runs, "none", params={"window_s": 99})
    assert counted(runs) == Trials(SHARPES_MIN + 1, None)
    add(runs, "last", sharpes[0], params={"window_s": 98})
    found = counted(runs)
    assert found.count == SHARPES_MIN + 2
    assert found.variance == pytest.approx(float(np.var(sharpes, ddof=1)))


def test_a_manifest_that_cannot_be_read_counts_for_nothing(runs: Path) -> None:
    add(runs, "broken", params={"window_s": 5})
    (runs / "broken" / "manifest.json").write_text("{", encoding="utf-8")
    assert counted(runs).count == 1
