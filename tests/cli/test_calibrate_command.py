"""From a log to a model to a run: ``ofs calibrate``, then ``ofs backtest --model``, end to end."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from data.log import LogStore
from engine.calibrate.model import read_model
from engine.calibrate.sample import SAMPLER, take_sample
from engine.kernel.confluence import SOURCES
from engine.runtime.replay import Request
from tests.cli import world
from tests.cli.run import Result

Ofs = Callable[..., Result]

LABELS = (
    "--stop", "2atr", "--target", "2atr", "--horizon", "10m", "--set", "sim.taker_fee=0.00005",
)  # fmt: skip

OWN = '''
"""A strategy that only asks the classifier."""
import numpy as np
from numba import njit
from engine.runtime.strategy import Strategy

@njit(cache=True, nogil=True)
def decide(s, p, o, now_ns, grid_s):
    d = s.core.decision
    d.direction = s.confluence.side
    d.score_fp9 = s.confluence.score_fp9
    d.probability_fp9 = s.confluence.probability_fp9

STRATEGY = Strategy(
    name="asker", doc="Ask the classifier.", handlers=("confluence", "atr"), params=(),
    state=np.dtype([("unused", "i8")], align=True), decide=decide,
)
'''


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("calibrate")
    world.make_planted(folder)
    return folder / "planted"


@pytest.fixture
def model(run: Ofs, planted: Path, tmp_path: Path) -> Path:
    assert run("calibrate", "--log", planted, *LABELS, "--out", "m.toml").code == 0
    return tmp_path / "m.toml"


@pytest.fixture(scope="module")
def asker(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("asker") / "asker.py"
    path.write_text(OWN, encoding="utf-8")
    return f"{path}:STRATEGY"


def same_but_created(a: str, b: str) -> bool:
    cut = re.compile(r"^created = .*$", re.MULTILINE)
    return cut.sub("", a) == cut.sub("", b)


def test_a_model_its_picture_and_its_figures(run: Ofs, planted: Path, tmp_path: Path) -> None:
    made = run("calibrate", "--log", planted, *LABELS, "--json")
    assert made.code == 0, made.err
    facts = made.json()
    path = tmp_path / "BTCUSDT.model.toml"
    assert facts["file"] == path.name
    values = tomllib.loads(path.read_text(encoding="utf-8"))
    assert values["digest"] == facts["digest"] and values["schema"] == 1
    assert set(values["beta"]) == set(SOURCES)
    assert values["provenance"]["symbol"] == "BTCUSDT"
    assert values["settings"]["absorption.bars"] == "3"
    assert not any(k.startswith("sim.") for k in values["settings"])
    assert len(values["folds"]) == 5 and all(f["test_effective"] > 5 for f in values["folds"])
    counts, scores = values["counts"], values["scores"]
    assert counts["labelled"] + values["labels"]["without_label"] == counts["sampled"]
    assert 0 < counts["effective"] < counts["labelled"] / 10, "labels overlap, and it is counted"
    first = values["folds"][0]["test"]  # nothing before it that a calibrator could be fitted on
    assert scores["rows"] == 2 * (counts["out_of_fold"] - first)
    assert scores["brier_skill"] == pytest.approx(1 - scores["brier"] / scores["brier_base"])
    assert values["sources"]["vwap_deviation"]["spoke"] > 0
    root = ElementTree.fromstring((tmp_path / "BTCUSDT.model.svg").read_text(encoding="utf-8"))
    assert root.tag.endswith("svg")

    text = path.read_text(encoding="utf-8")
    again = run("calibrate", "--log", planted, *LABELS)
    assert again.code == 0
    assert "Brier" in again.out and "vwap_deviation" in again.out
    assert same_but_created(path.read_text(encoding="utf-8"), text)


def test_a_run_with_a_model_needs_the_file_no_more(
    run: Ofs, planted: Path, model: Path, asker: str, tmp_path: Path
) -> None:
    text = model.read_text(encoding="utf-8")
    done = run("backtest", "--log", planted, "--strategy", asker, "--model", model, "--json")
    assert done.code == 0, done.err
    manifest = manifest_of(tmp_path, done)
    values = tomllib.loads(text)
    assert manifest["params"]["confluence.fitted"] == "true"
    for name in SOURCES:
        assert float(manifest["params"][f"confluence.beta_{name}"]) == values["beta"][name]
    assert manifest["params"]["confluence.knots"] == str(len(values["calibrator"]["x"]))
    note = manifest["model"]
    assert note["file"] == "m.toml" and note["digest"] == values["digest"]
    assert note["provenance"]["content_hash"] == values["provenance"]["content_hash"]
    told = run("query", "SELECT count(*) AS n, min(probability) AS low, max(probability) AS high "
               "FROM decisions WHERE probability > 0", "--json").json()  # fmt: skip
    assert told[0]["n"] > 500 and 0 < told[0]["low"] <= told[0]["high"] < 1

    model.unlink()
    verified = run("verify", "last", "--json")
    assert verified.code == 0, verified.out + verified.err
    assert run("bundle", "last", "--out", "b.zip").code == 0
    assert str(tmp_path) not in json.dumps(note)


def test_the_fold_reads_off_what_was_fitted(
    run: Ofs, planted: Path, model: Path, asker: str
) -> None:
    """Log-odds and table in the kernel are those of the fit, decision by decision."""
    done = run("backtest", "--log", planted, "--strategy", asker, "--model", model, "--json")
    assert done.code == 0, done.err
    told = run("query", "SELECT epoch_ns(time) AS ns, direction, probability FROM decisions "
               "WHERE probability > 0", "--json").json()  # fmt: skip
    rows = {r["ns"]: r for r in told}
    sample = take_sample(LogStore(planted), Request(SAMPLER, "sampler"))
    fitted = read_model(model)
    lean = sample.scores @ np.array([fitted.beta[name] for name in SOURCES])
    seen = 0
    for at_ns, value in zip(sample.ts_ns.tolist(), lean.tolist(), strict=True):
        if at_ns in rows:
            score = fitted.intercept + rows[at_ns]["direction"] * value
            want = float(np.interp(score, fitted.x, fitted.p))
            assert rows[at_ns]["probability"] == pytest.approx(want, abs=1e-6)
            seen += 1
    assert seen > 500


def manifest_of(folder: Path, done: Result) -> dict[str, object]:
    (path,) = folder.rglob(f"{done.json()['run']}/manifest.json")
    found: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
    return found


def test_a_model_that_does_not_fit_is_refused(
    run: Ofs, planted: Path, model: Path, asker: str, tmp_path: Path
) -> None:
    start = ("backtest", "--log", planted, "--model", model)
    other = run(*start, "--strategy", "delta_flip")
    assert other.code == 3 and "does not use the classifier" in other.err

    mine = (*start, "--strategy", asker)
    changed = run(*mine, "--set", "absorption.bars=5")
    assert changed.code == 3
    assert "fitted with absorption.bars=3, this run has 5" in changed.err
    assert run(*mine, "--set", "absorption.life=300s").code == 0, "5m, in other words"

    seed = run(*mine, "--set", "confluence.mode=seed")
    assert seed.code == 3 and "in seed mode no model is read" in seed.err

    twice = run(*mine, "--set", "confluence.intercept=0.5")
    assert twice.code == 3 and "set twice" in twice.err

    text = model.read_text(encoding="utf-8")
    model.write_text(re.sub(r"(?m)^absorption = .*$", "absorption = 2.5", text), encoding="utf-8")
    forged = run(*mine)
    assert forged.code == 3 and "changed after it was written" in forged.err
    forced = run(*mine, "--force-model", "--json")
    assert forced.code == 0 and "note: the file was changed" in forced.err
    note = manifest_of(tmp_path, forced)["model"]
    assert isinstance(note, dict) and "changed" in note["taken_in_spite_of"][0]

    model.write_text(re.sub(r'features_hash = ".*"', 'features_hash = "0"', text), encoding="utf-8")
    aged = run(*mine)
    assert aged.code == 3 and "the code of the sources changed" in aged.err


def test_the_model_can_be_a_setting(run: Ofs, planted: Path, model: Path, asker: str) -> None:
    Path("ofs.toml").write_text('[backtest]\nmodel = "m.toml"\n', encoding="utf-8")
    done = run("backtest", "--log", planted, "--strategy", asker, "--json")
    assert done.code == 0, done.err
    model.unlink()
    gone = run("backtest", "--log", planted, "--strategy", asker)
    assert gone.code == 3 and "cannot be read" in gone.err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--to", "2026-01-05T00:30"), 4, "too little"),
        (("--sources", "absorption", "--to", "2026-01-05T03:00"), 4, "is ever ready"),
        (("--sources", "absorbtion"), 2, "did you mean 'absorption'?"),
        (("--sources", ","), 2, "no source"),
        (("--stop", "4"), 2, "4atr"),
        (("--horizon", "0"), 2, "needs time"),
        (("--horizon", "13h"), 4, "no decision of the range has a label"),
        (("--set", "entry_z=2"), 3, "no setting 'entry_z'"),
        (("--from", "2026-01-05", "--to", "2026-01-05"), 2, "empty"),
        (("--symbol", "ETHUSDT"), 4, "nothing for this venue and symbol"),
    ],
)
def test_what_cannot_be_fitted_leaves_nothing(
    run: Ofs, planted: Path, tmp_path: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    done = run("calibrate", "--log", planted, *LABELS, *words)
    assert (done.code, said in done.err) == (code, True), done.err
    assert not list(tmp_path.glob("*.toml")) and not list(tmp_path.glob("*.svg"))
