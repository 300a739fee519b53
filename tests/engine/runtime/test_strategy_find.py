"""Strategies are found by reading, never by running, what lies in a folder."""

from __future__ import annotations

from pathlib import Path

import strategies
from engine.runtime.strategy_find import find_in_file, find_in_folder

TWO = """
from engine.runtime import strategy
raise SystemExit("a list must not run me")
A = strategy.Strategy("first", "Does   one\\n thing.", (), (), None, None)
B: object = strategy.Strategy(doc="Another.", name=NAMED, handlers=())
C = other("no")
E = replace(A, name="second", doc="As the first.")
F = replace(A, state=None)
def f():
    D = strategy.Strategy("inner", "Not at the top.")
"""


def test_names_and_docs_are_read_and_nothing_is_run(tmp_path: Path) -> None:
    (tmp_path / "two.py").write_text(TWO, encoding="utf-8")
    (tmp_path / "broken.py").write_text("Strategy(", encoding="utf-8")
    (tmp_path / "binary.py").write_bytes(b"Strategy\0\xff")
    (tmp_path / "test_two.py").write_text(TWO, encoding="utf-8")
    (tmp_path / "plain.py").write_text("x = 1", encoding="utf-8")
    (tmp_path / "folder.py").mkdir()
    found = [(f.attribute, f.name, f.doc, f.path.name) for f in find_in_folder(tmp_path)]
    assert found == [
        ("A", "first", "Does one thing.", "two.py"),
        ("B", "B", "Another.", "two.py"),
        ("E", "second", "As the first.", "two.py"),
    ]


def test_a_folder_that_is_not_there_holds_none(tmp_path: Path) -> None:
    assert find_in_folder(tmp_path / "nowhere") == []


def test_every_built_in_strategy_is_found_with_its_doc() -> None:
    for name, path in strategies.files().items():
        (found,) = find_in_file(path)
        loaded = strategies.get(name)
        assert (found.attribute, found.name, found.doc) == ("STRATEGY", loaded.name, loaded.doc)
