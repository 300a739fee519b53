"""The replays that ship: they are there, they open without a write, and they can be made again."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

import replays
from data.errors import DataError
from data.events import Kind
from data.log import LogReader, LogStore
from data.sources.synthetic import PATTERN_KINDS, MarketSpec
from replays.build import build
from replays.recipes import RECIPES

LIMIT_BYTES = 6_000_000
SMALL_BYTES = 1_500_000


def facts(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of every file below ``folder``."""
    return {
        p.relative_to(folder).as_posix(): (p.stat().st_size, p.stat().st_mtime_ns)
        for p in folder.rglob("*")
        if p.is_file()
    }


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("replays")
    for name in RECIPES:
        build(name, root / name)
    return root


def test_every_recipe_ships_and_nothing_else() -> None:
    assert replays.names() == sorted(RECIPES)
    assert replays.DEFAULT in replays.names()


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(DataError, match=replays.DEFAULT):
        replays.path("moon_landing")


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_files_are_as_the_manifest_says(name: str) -> None:
    folder, manifest = replays.path(name), replays.manifest(name)
    assert manifest["name"] == name
    market = RECIPES[name].market
    assert manifest["spec"] == market.to_dict()
    if isinstance(market, MarketSpec):
        assert MarketSpec.from_dict(manifest["spec"]) == market
    there = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*.parquet")}
    assert set(there) == set(manifest["files"])
    for path, sha256 in manifest["files"].items():
        assert hashlib.sha256(there[path].read_bytes()).hexdigest() == sha256, path
    limit = LIMIT_BYTES if name == replays.DEFAULT else SMALL_BYTES
    assert sum(size for size, _ in facts(folder).values()) < limit


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_a_manifest_says_what_is_run_and_what_must_be_true(name: str) -> None:
    manifest, recipe = replays.manifest(name), RECIPES[name]
    golden = manifest["golden"]
    assert (manifest["title"], golden["strategy"]) == (recipe.title, recipe.strategy)
    assert golden.get("settings", {}) == recipe.settings
    assert manifest.get("story", {}) == recipe.story
    assert ("plans" in golden) == bool(recipe.plans)
    if recipe.plans:
        text = (replays.path(name) / golden["plans"]).read_text(encoding="utf-8")
        assert text == recipe.plans


def test_reading_a_replay_writes_nothing_and_gives_its_rows() -> None:
    folder, manifest = replays.path(), replays.manifest()
    before = facts(folder)
    kinds = {Kind.TRADE: ("ts_ns",), Kind.DEPTH: ("ts_ns",), Kind.BAR: ("ts_ns",)}
    store = LogStore(str(folder))
    rows = dict.fromkeys(kinds, 0)
    for batch in LogReader(store, manifest["venue"], manifest["symbol"], kinds):
        for kind, columns in batch.columns.items():
            rows[kind] += len(columns["ts_ns"])
    assert {k.name.lower(): n for k, n in rows.items()} == manifest["rows"]
    assert facts(folder) == before


def test_the_default_replay_shows_every_pattern() -> None:
    labels = replays.labels()
    assert {x["type"] for x in labels} == set(PATTERN_KINDS)
    assert not any(x["twin"] for x in labels)


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_a_rebuild_gives_the_same_content(rebuilt: Path, name: str) -> None:
    made = json.loads((rebuilt / name / replays.MANIFEST).read_text(encoding="utf-8"))
    shipped = replays.manifest(name)
    assert made["content_sha256"] == shipped["content_sha256"]
    assert made["rows"] == shipped["rows"]
    labels = json.loads((rebuilt / name / replays.LABELS).read_text(encoding="utf-8"))
    assert labels["labels"] == replays.labels(name)


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_a_rebuild_with_the_same_pyarrow_gives_the_same_bytes(rebuilt: Path, name: str) -> None:
    written_with = replays.manifest(name)["written_with"]["pyarrow"]
    if written_with != pa.__version__:
        pytest.skip(f"the replay was written with pyarrow {written_with}, this is {pa.__version__}")
    shipped = replays.path(name)
    assert set(facts(rebuilt / name)) == set(facts(shipped))
    for path in facts(shipped):
        assert (rebuilt / name / path).read_bytes() == (shipped / path).read_bytes(), path


def test_what_the_engine_made_is_kept_only_for_what_it_was_made_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "short_stopped"
    assert "digest" in build(name, tmp_path / "same")["golden"]
    other = replace(RECIPES[name], settings={**RECIPES[name].settings, "risk.share": "0.02"})
    monkeypatch.setitem(RECIPES, name, other)
    assert "digest" not in build(name, tmp_path / "other")["golden"]
