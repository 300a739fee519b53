"""The real recordings, each imported once a session."""

from __future__ import annotations

import pytest

from tests.data.sources.imported import GROUPS, Imported, group


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Imported:
    """A log with every group of recordings, one import a group."""
    made = Imported(tmp_path_factory.mktemp("recordings"))
    for name in GROUPS:
        made.take(name, *group(name))
    return made
