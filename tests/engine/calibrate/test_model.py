"""The file of a model: there and back, bytes that repeat, and every mistake with its line."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from pathlib import Path

import pytest

from data.errors import ConfigError, DataError
from data.events import Scales
from engine.calibrate.model import (
    Model,
    digest_of,
    number,
    read_model,
    render,
    settings,
    write_whole,
)
from engine.kernel.confluence import KNOTS_MAX, SOURCES
from engine.runtime.parameters import GROUPS, parse_value

FACTS = {
    "method": "platt",
    "labels": {"stop": "2atr", "needed": 0.5},
    "provenance": {"strategy": 'a "quoted" näme', "sources": ["absorption"]},
    "settings": {"absorption.bars": "3"},
    "scores": {"auc": None, "traded": {"rows": 0}},
    "folds": [{"train": 1, "scored": True}, {"train": 2, "scored": False}],
}
MODEL = Model(
    -0.25, dict(zip(SOURCES, (1.5, -0.5, 0.0, 1e-7, 2.0, 0.1, 0.2, 0.3), strict=True)),
    (-1.0, 0.5, 2.0), (0.2, 0.4, 0.7), (0.1, 0.3, 0.5), FACTS,
)  # fmt: skip


def written(path: Path, model: Model = MODEL, created: str = "2026-01-01T00:00:00+00:00") -> str:
    text, _ = render(model, created)
    write_whole(path, text.encode())
    return text


def test_there_and_back(tmp_path: Path) -> None:
    text = written(tmp_path / "m.toml")
    found = read_model(tmp_path / "m.toml")
    assert (found.intercept, found.beta, found.x, found.p, found.low) == (
        MODEL.intercept, MODEL.beta, MODEL.x, MODEL.p, MODEL.low,
    )  # fmt: skip
    assert found.whole and found.digest == digest_of(text) and len(found.sha256) == 64
    assert found.facts["method"] == "platt"
    assert found.facts["provenance"] == FACTS["provenance"]
    assert found.facts["folds"] == FACTS["folds"]
    assert "auc" not in found.facts["scores"]
    assert settings(found) == settings(MODEL)
    assert tomllib.loads(text)["calibrator"]["p_low"] == [0.1, 0.3, 0.5]
    assert [p.name for p in tmp_path.iterdir()] == ["m.toml"]


def test_only_the_line_created_differs(tmp_path: Path) -> None:
    one, two = (render(MODEL, created) for created in ("2026-01-01", "2026-01-02"))
    assert one[1] == two[1]
    other = [a for a, b in zip(one[0].splitlines(), two[0].splitlines(), strict=True) if a != b]
    assert other == ['created = "2026-01-01"']


def test_the_settings_are_those_that_the_classifier_has() -> None:
    given = settings(MODEL)
    keys = {f"confluence.{p.name}": p for p in GROUPS["confluence"]}
    words = ("fitted", "intercept", "beta_", "knots", "knot_")
    assert set(given) == {k for k in keys if k.partition(".")[2].startswith(words)}
    values = {k: parse_value(keys[k], text, Scales(9, 9), k) for k, text in given.items()}
    assert values["confluence.fitted"] == 1 and values["confluence.knots"] == 3
    assert values["confluence.intercept"] == -250_000_000
    assert values["confluence.beta_cvd_divergence"] == 100
    assert values["confluence.knot_low_2"] == 500_000_000
    assert values[f"confluence.knot_x_{KNOTS_MAX - 1}"] == 0


@pytest.mark.parametrize("value", [0.0, -0.0, 1e-12, -1e-12, 1e-9, -12.5, 123456.789, 1e-7])
def test_numbers_are_plain(value: float) -> None:
    text = number(value)
    assert "e" not in text.lower() and text != "-0"
    assert abs(Decimal(text) - Decimal(value)) <= Decimal("5.1e-10")


@pytest.mark.parametrize(
    ("old", "new", "line", "why"),
    [
        ("schema = 1", "schema = 2", 3, "schema is 2"),
        ("[beta]", "[bet]", 0, "no table [beta]"),
        ("absorption = 1.5", 'absorption = "much"', 9, "beta.absorption is 'much'"),
        ("absorption = 1.5", "absorption = nan", 9, "beta.absorption is nan"),
        ("absorption = 1.5", "absorbtion = 1.5", 8, "beta.absorption is None"),
        ("diagonal = 0.3", "diagonal = 0.3\nmood = 1.0", 17, "no source 'mood'"),
        ("intercept = -0.25", "intercept = true", 6, "intercept is True"),
        ("x = [-1.0, 0.5, 2.0]", "x = [-1.0, 0.5]", 18, "of one length"),
        ("x = [-1.0, 0.5, 2.0]", "x = [-1.0, 2.0, 0.5]", 20, "does not ascend"),
        ("p = [0.2, 0.4, 0.7]", "p = [0.4, 0.2, 0.7]", 21, "calibrator.p falls"),
        ("p_low = [0.1, 0.3, 0.5]", "p_low = [0.1, 0.3, 0.9]", 22, "p_low <= p"),
        ("p_low = [0.1, 0.3, 0.5]", 'p_low = ["a"]', 22, "no list of numbers"),
    ],
)
def test_a_mistake_is_named_with_its_line(
    tmp_path: Path, old: str, new: str, line: int, why: str
) -> None:
    path = tmp_path / "m.toml"
    text = written(path)
    assert text.count(f"\n{old}\n") == 1
    path.write_text(text.replace(f"\n{old}\n", f"\n{new}\n"), encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        read_model(path)
    assert why in error.value.why
    assert error.value.where == (f"{path}:{line}" if line else str(path))


def test_a_number_changed_by_hand_shows(tmp_path: Path) -> None:
    path = tmp_path / "m.toml"
    path.write_text(written(path).replace("absorption = 1.5", "absorption = 9.5"), encoding="utf-8")
    assert not read_model(path).whole


def test_what_is_no_file_of_a_model(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_model(tmp_path / "none.toml")
    (tmp_path / "m.toml").write_bytes(b"\xff = 1")
    with pytest.raises(ConfigError, match="not TOML"):
        read_model(tmp_path / "m.toml")
    (tmp_path / "m.toml").write_text("a = ", encoding="utf-8")
    with pytest.raises(ConfigError, match="not TOML"):
        read_model(tmp_path / "m.toml")


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "m.toml").mkdir()
    with pytest.raises(DataError, match="cannot be written"):
        write_whole(tmp_path / "m.toml", b"x")
    assert [p.name for p in tmp_path.iterdir()] == ["m.toml"]
