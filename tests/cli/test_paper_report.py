"""``ofs paper report`` over sessions: found by name, judged by their configuration, exit 0 or 1."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.events import EVENTS, Kind, Scales
from data.live.session_folder import FACTS, SESSIONS, SessionFolder
from data.telemetry import COLUMNS, MONITOR, add_rows
from engine.report.tables import read_statistics
from engine.runtime.paper_config import as_facts, parse_paper
from engine.runtime.verdict_facts import Session, runs_of
from tests.cli.conftest import Ofs
from tests.engine.runtime.make_run import SYMBOL, VENUE, make_log, make_run
from tests.engine.tapes import START

SESSION = "20260101T000000-paper-delta_flip"
CONFIG = 'venue = "binance-um"\nsymbols = ["BTCUSDT"]\nstrategy = "delta_flip"\n'
EASY = "[gates]\ndays_min = 0\ntrades_min = 1\nexpectancy_bp_min = -1e6\nslippage_bp_max = 1e6\n"
EASY += "rejects_max = 1\nfill_p99_ms_max = 1e6\nplace_min = 0\n"
SECOND = 1_000_000_000


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder with a log and a session that was made of a backtest over it."""
    folder = tmp_path_factory.mktemp("session")
    store = make_log(folder / "log", seconds=600)
    with store.transaction() as change:
        change.merge(Kind.GAP, VENUE, SYMBOL, gap_rows(), Scales(1, 3))
    content = make_run(store, folder / "log", folder / "runs")
    run = folder / "runs" / SESSION
    (folder / "runs" / str(content["run"])).rename(run)
    manifest = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    manifest |= {"run": SESSION, "command": "paper", "session": SESSION}
    (run / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    session = folder / "runs" / SESSIONS / SESSION
    session.mkdir(parents=True)
    config = parse_paper(CONFIG + EASY, "paper.toml", folder).sound()
    there = SessionFolder(session, {"command": "paper", "starts": [{}], "served": True})
    there.update(config=as_facts(config))
    there.end("the served range is over")
    SessionFolder.create(folder / "runs", "record", "", {})
    write_monitor(session / MONITOR, range(60))
    return folder


def gap_rows() -> dict[str, Any]:
    """One hole of 100 ms in the trades, filled."""
    first = START + 60 * SECOND
    values = {"ts_ns": first, "from_ns": first, "to_ns": first + SECOND // 10,
              "stream": int(Kind.TRADE), "reason": 2, "filled": 1}  # fmt: skip
    types = {f.name: f.dtype for f in EVENTS[Kind.GAP].fields}
    return {name: np.array([values.get(name, 0)], dtype=t) for name, t in types.items()}


def write_monitor(folder: Path, at: range) -> None:
    usual = dict.fromkeys((c.name for c in COLUMNS), 1) | {
        "events_per_s": 500.0, "cpu_percent": 30.0, "memory_mb": 300.0, "disk_free": 50 * 10**9,
        "lag_p50_ms": 1.0, "lag_p99_ms": 5.0, "decision_p99_ms": 8.0,
    }  # fmt: skip
    add_rows(folder, [usual | {"ts_ns": START + k * SECOND} for k in at])


@pytest.fixture
def user(made: Path, tmp_path: Path, run: Ofs) -> Ofs:
    """Calls the report over a copy of the session; the runs lie in ``runs``."""
    shutil.copytree(made / "runs", tmp_path / "runs")
    return lambda *words: run("paper", "report", "--runs", "runs", *words)  # type: ignore[return-value]


def gates(said: dict[str, Any]) -> dict[str, str]:
    return {gate["gate"]: gate["status"] for gate in said["gates"]}


def test_a_session_that_meets_its_gates_passes(user: Ofs) -> None:
    done = user("last", "--json")
    assert done.code == 0, done.out + done.err
    said = done.json()
    assert (said["verdict"], said["session"], said["served"]) == ("PASS", SESSION, True)
    statuses = gates(said)
    assert statuses.pop("venue_lag") == "off"
    assert set(statuses.values()) == {"pass"}
    values = {gate["gate"]: gate["values"] for gate in said["gates"]}
    assert (values["parity"]["same"], values["parity"]["runs"]) == (1, 1)
    assert values["parity"]["decisions"] > 100
    assert values["filled"] == {"share": 1.0, "holes": 1, "filled": 1}
    assert values["cpu"]["mean"] == pytest.approx(0.3)
    assert 0 <= values["place"]["share"] <= 1 and values["place"]["windows"] == 2000


def test_figures_are_those_of_the_runs_statistics(user: Ofs, tmp_path: Path) -> None:
    off = 'off = ["parity", "place"]\n'
    (tmp_path / "quick.toml").write_text(CONFIG + EASY + off, encoding="utf-8")
    said = user("last", "--gates", "quick.toml", "--json").json()
    values = {gate["gate"]: gate["values"] for gate in said["gates"]}
    (recorded,) = runs_of(tmp_path / "runs", SESSION)
    kept = {s.name: s.value or 0.0 for s in read_statistics(recorded) or ()}
    assert values["trades"]["trades"] == kept["round_trips"] > 10
    assert values["expectancy"]["bp"] == pytest.approx(kept["expectancy_bp"])
    slipped = 1e4 * kept["cost_slippage"] / kept["traded"]
    assert values["slippage"]["bp"] == pytest.approx(slipped)
    assert values["rejects"]["orders"] == recorded.manifest["counts"]["orders"]
    assert values["fill_latency"]["p50_ms"] > 0


def test_a_changed_record_is_found_and_fails(user: Ofs, tmp_path: Path) -> None:
    path = tmp_path / "runs" / SESSION / "decisions.parquet"
    table = pq.read_table(path)
    at = table.schema.get_field_index("score") if "score" in table.schema.names else 1
    column = table.column(at).to_numpy().copy()
    column[7] += 1
    pq.write_table(table.set_column(at, table.schema.field(at), pa.array(column)), path)
    done = user(SESSION, "--json")
    assert done.code == 1
    (parity,) = [g for g in done.json()["gates"] if g["gate"] == "parity"]
    assert parity["status"] == "fail" and "decision row 7" in parity["why"]


def test_stricter_gates_of_another_file_fail_in_words(user: Ofs, tmp_path: Path) -> None:
    off = 'off = ["parity", "place"]\n'
    (tmp_path / "strict.toml").write_text(CONFIG + EASY + off + "cpu_max = 0.1\n", encoding="utf-8")
    done = user(SESSION[:8], "--gates", "strict.toml")
    assert done.code == 1
    assert "FAIL: 1 of 13 gates: cpu" in done.out
    assert "0.3 of a core" in done.out and "<= 0.1" in done.out


def test_a_reference_log_gives_windows(user: Ofs, made: Path, tmp_path: Path) -> None:
    make_log(tmp_path / "past", seconds=3600, seed=5)
    reference = '[reference]\nlog = "past"\nwindows_min = 3\n'
    (tmp_path / "wide.toml").write_text(
        CONFIG + EASY + 'off = ["parity"]\n' + reference, encoding="utf-8"
    )
    done = user("last", "--gates", "wide.toml", "--json")
    (place,) = [g for g in done.json()["gates"] if g["gate"] == "place"]
    assert place["status"] == "pass", place["why"]
    assert place["values"]["windows"] >= 20
    assert place["values"]["independent"] == pytest.approx(6, abs=0.2)
    too_many = (tmp_path / "wide.toml").read_text(encoding="utf-8").replace("= 3\n", "= 300\n")
    (tmp_path / "wide.toml").write_text(too_many, encoding="utf-8")
    (place,) = [
        g
        for g in user("last", "--gates", "wide.toml", "--json").json()["gates"]
        if g["gate"] == "place"
    ]
    assert place["status"] == "fail" and "300 are asked for" in place["why"]


def test_a_log_that_is_gone_is_no_parity(user: Ofs, tmp_path: Path) -> None:
    path = tmp_path / "runs" / SESSION / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["log"]["path"] = str(tmp_path / "gone")
    path.write_text(json.dumps(manifest), encoding="utf-8")
    done = user("last", "--json")
    assert done.code == 1
    why = {gate["gate"]: gate["why"] for gate in done.json()["gates"]}
    assert "gone" in why["parity"] and "gone" in why["place"]


def test_how_a_session_stands_is_said(tmp_path: Path) -> None:
    def phase(**facts: Any) -> str:
        return Session(SessionFolder(tmp_path, facts), ()).phase

    assert phase(ended={"reason": "the time is over"}, phase="stopped") == "ended: the time is over"
    assert phase(phase="stopped", error=None).startswith("stopped: ")
    assert phase(phase="failed", error="JournalError: gone") == "failed: JournalError: gone"
    assert phase(phase="running").startswith("not ended: ")


def test_what_is_not_there_is_said(user: Ofs, tmp_path: Path) -> None:
    done = user("2027")
    assert done.code == 4 and "there is no paper session '2027'" in done.err
    assert "1 lies there" in done.err
    shutil.rmtree(tmp_path / "runs" / SESSIONS / SESSION / MONITOR)
    shutil.rmtree(tmp_path / "runs" / SESSION)
    done = user("last")
    assert done.code == 4 and "has published nothing yet" in done.err
    (tmp_path / "runs" / SESSIONS / SESSION / FACTS).write_text("[", encoding="utf-8")
    assert user("last").code == 4


def test_a_damaged_monitor_names_its_file(user: Ofs, tmp_path: Path) -> None:
    (tmp_path / "runs" / SESSIONS / SESSION / MONITOR / "3.parquet").write_bytes(b"PAR1")
    off = 'off = ["parity", "place"]\n'
    (tmp_path / "quick.toml").write_text(CONFIG + EASY + off, encoding="utf-8")
    done = user("last", "--gates", "quick.toml")
    assert done.code == 4 and "3.parquet" in done.err
