"""Speed: no test of this folder cuts the power, so none of them waits for the disk."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from data.log import storage


@pytest.fixture(scope="session", autouse=True)
def no_waiting_for_the_disk() -> Iterator[None]:
    """fsync does nothing; killed processes keep their page cache. Its calls are tested by name."""
    patch = pytest.MonkeyPatch()
    patch.setattr(storage, "_fsync", lambda path, flags: None)
    yield
    patch.undo()
