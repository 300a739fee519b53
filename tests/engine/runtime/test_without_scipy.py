"""A process that folds does not load scipy's linear algebra; whoever wants it still can."""

from __future__ import annotations

import importlib
import sys

import pytest

from engine.runtime.lean import without_scipy


def test_it_is_kept_out_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "scipy.linalg", raising=False)
    with without_scipy(), pytest.raises(ImportError):
        importlib.import_module("scipy.linalg")
    assert importlib.import_module("scipy.linalg").norm([3.0, 4.0]) == 5.0


def test_what_is_loaded_already_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = importlib.import_module("scipy.linalg")
    with without_scipy():
        assert sys.modules["scipy.linalg"] is loaded
    assert sys.modules["scipy.linalg"] is loaded


def test_an_error_inside_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "scipy.linalg", raising=False)
    with pytest.raises(KeyError), without_scipy():
        raise KeyError
    assert sys.modules.get("scipy.linalg", 0) is not None
