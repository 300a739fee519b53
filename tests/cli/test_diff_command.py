"""``ofs diff``, as a user runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cli.run import Result, ofs
from tests.data.make_runs import T, make_run

DECISION = {"ts_ns": T, "id": 1, "grid_s": 5, "gates": 1, "blocked": 2}


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Three runs: two the same but for their threshold, one that decided something else."""
    names = {"gates": ["warm", "flow"], "detectors": ["delta"]}
    signal = {"ts_ns": T, "decision_id": 1, "direction": 1, "strength_fp9": 500_000_000}
    rows = {"decision": [DECISION, {**DECISION, "ts_ns": T + 5, "id": 2}], "signal": [signal]}
    make_run(tmp_path / "runs", "20250101T000000-a", rows, params={"z": "2"}, **names)
    later = {"created": "2027-01-01T00:00:00+00:00"}
    make_run(tmp_path / "runs", "20250102T000000-b", rows, params={"z": "3"}, **names, **later)
    rows["decision"][0] = {**DECISION, "action": 1, "gates": 3, "blocked": 0}
    last = {"created": "2028-01-01T00:00:00+00:00", "result": {"net_pnl": 9.5}}
    make_run(tmp_path / "runs", "20250103T000000-c", rows, **names, **last)
    return tmp_path / "runs"


def diff(run: Any, runs: Path, *words: str) -> Result:
    result: Result = run("diff", *words, "--runs", runs)
    return result


def test_the_same_decisions(run: Any, runs: Path) -> None:
    result = diff(run, runs, "20250101", "20250102")
    assert result.code == 0 and "the same: all 3 records agree" in result.out
    lines = [line.split() for line in result.out.splitlines()]
    assert ["params", "z", "2", "3", "differs"] in lines
    assert ["result", "net_pnl", "1.5", "1.5"] in lines


def test_another_decision(run: Any, runs: Path) -> None:
    result = diff(run, runs, "last~2", "last")
    assert result.code == 1, result.err
    assert "first difference: decision 1, 2024-08-09T00:00:00.000Z" in result.out
    lines = [line.split() for line in result.out.splitlines()]
    assert ["action", "NONE", "ENTER_LONG", "differs"] in lines
    assert ["gates", "warm", "warm,", "flow", "differs"] in lines
    assert ["blocked", "flow", "none", "differs"] in lines
    assert "signal in a: delta: direction 1, strength 0.5" in result.out
    assert "Traceback" not in result.err


def test_json(run: Any, runs: Path) -> None:
    same = diff(run, runs, "last~2", "last~1", "--json")
    assert same.code == 0 and same.json()["same"] and same.json()["first"] is None
    facts = diff(run, runs, "last~2", "last", "--json").json()
    assert (facts["same"], facts["a"], facts["b"]) == (
        False, "20250101T000000-a", "20250103T000000-c",
    )  # fmt: skip
    first = facts["first"]
    assert (first["table"], first["id"], first["decision"]) == ("decision", 1, 1)
    assert first["differs"] == ["action", "gates", "blocked"] and first["missing"] is None
    assert first["values"]["gates"] == {"a": ["warm"], "b": ["warm", "flow"]}
    assert first["signals"]["b"][0]["detector"] == "delta"
    assert facts["tables"]["fill"] == {
        "same": True, "rows": {"a": 0, "b": 0}, "first": None, "not_compared": [],
    }  # fmt: skip
    named = {(f["group"], f["name"]): f for f in facts["facts"]}
    assert named["result", "net_pnl"]["b"] == 9.5 and not named["result", "net_pnl"]["same"]
    assert named["params", "z"]["b"] is None


def test_as_processes(runs: Path) -> None:
    for words, code in ((("last", "last"), 0), (("last~1", "last"), 1), (("last~9", "last"), 4)):
        result = ofs("diff", *words, "--runs", str(runs), home=runs.parent)
        assert result.code == code, result.err
    assert "there is no run 'last~9'" in result.err
    assert ofs("diff", "last", home=runs.parent).code == 2
