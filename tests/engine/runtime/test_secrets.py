"""A password shows itself to nobody but whoever must send it."""

from __future__ import annotations

import json
import pickle

import pytest

from data.errors import ConfigError
from engine.runtime.secrets import PASSWORD, Secret, bridge_token, password_of, where_of

PLANTED = "hunter2-not-to-be-seen"


def test_no_text_shows_it() -> None:
    secret = Secret(PLANTED)
    assert secret.reveal() == PLANTED and secret
    for text in (
        str(secret),
        repr(secret),
        f"{secret}",
        f"{[secret]}",
        json.dumps({}, default=str),
    ):
        assert PLANTED not in text
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(secret)


def test_it_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSWORD, PLANTED)
    assert password_of(5001).reveal() == PLANTED
    assert PASSWORD in where_of(5001)
    monkeypatch.delenv(PASSWORD)
    assert not password_of(424242424242)


def test_a_bridge_without_a_secret_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OFS_BRIDGE_TOKEN", raising=False)
    with pytest.raises(ConfigError, match="secret"):
        bridge_token()
