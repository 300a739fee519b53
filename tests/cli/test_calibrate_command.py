"""From a log to a model: ``ofs calibrate``, end to end."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from engine.kernel.confluence import SOURCES
from tests.cli import world
from tests.cli.run import Result

Ofs = Callable[..., Result]

LABELS = (
    "--stop", "2atr", "--target", "2atr", "--horizon", "10m", "--set", "sim.taker_fee=0.00005",
)  # fmt: skip


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("calibrate")
    world.make_planted(folder)
    return folder / "planted"


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
