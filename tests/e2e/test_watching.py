"""A paper session watched and ordered as its user does it: over HTTP, by commands, in SQL."""

from __future__ import annotations

import json
import re
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.served import serving, session_json
from tests.e2e.support import User


class Watched:
    """A running session and the address of its API."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said: list[str] = []
        self.address = ""
        assert process.stderr is not None
        for line in process.stderr:
            self.said.append(line)
            if found := re.search(r"http://\S+", line):
                self.address = found[0]
                return
        raise AssertionError(f"no address: {self.said}")

    def get(self, path: str) -> str:
        """The body of a page, whatever its status."""
        try:
            with urllib.request.urlopen(f"{self.address}{path}", timeout=10) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            return error.read().decode()

    def json(self, path: str) -> Any:
        return json.loads(self.get(path))

    def until(self, path: str, true: Any) -> Any:
        """The object at ``path`` once it is as wanted."""
        end_s = time.monotonic() + 60
        while not true(found := self.json(path)):
            assert time.monotonic() < end_s, found
            assert self.process.poll() is None, self.said
            time.sleep(0.1)
        return found


@pytest.fixture
def watched(user: User) -> Iterator[Watched]:
    with serving(user, speed=200) as served:
        words = served.paper()
        config = user.home / "paper.toml"
        text = config.read_text(encoding="utf-8").replace("on = false", "port = 0")
        config.write_text(text, encoding="utf-8")
        watched = Watched(user.start(*words))
        yield watched
        watched.process.kill()
        watched.process.communicate()


def test_watched_paused_and_stopped(user: User, watched: Watched) -> None:
    x = watched.until("/api/symbols/btcusdt", lambda x: x.get("counts", {}).get("decision", 0) > 30)
    assert x["price"] > 0
    assert len(x["chart"]["delta"]) > 20
    health = watched.json("/health")
    assert 0 < health["states"]["synced"] <= health["states"]["written"]
    families = {f.name for f in text_string_to_metric_families(watched.get("/metrics"))}
    assert {"ofs_last_seq", "ofs_lag_seconds", "ofs_cvd", "ofs_checks_per_second"} <= families
    paused = user.json("control", "pause")
    assert paused["session"] == health["session"]
    assert watched.until("/api/symbols/BTCUSDT", lambda x: x["paused"])["lifecycle"]
    assert watched.json("/health")["states"]["synced"] >= paused["seq"]
    assert user.json("control", "resume")["seq"] > paused["seq"]
    assert user.ofs("control", "reload-plans").code == 1
    stopped = user.json("control", "stop")
    out, _ = watched.process.communicate(timeout=60)
    assert watched.process.returncode == 0
    facts = json.loads(out)
    assert facts["synced"] >= stopped["seq"]
    assert session_json(user)["ended"]["reason"] == "stopped by an operator"
    log = str(next((user.runs / "_sessions").glob("*/log")))
    asked = "SELECT session, max(engines) AS engines FROM monitor GROUP BY session"
    rows = user.json("query", "--log", log, asked)
    assert rows == [{"session": facts["session"], "engines": 1}]
    acts = user.json("query", "--log", log, "SELECT code, seq FROM controls ORDER BY seq")
    assert [a["code"] for a in acts] == [1, 2, 4]
    assert acts[-1]["seq"] == stopped["seq"]
    assert user.json("verify", facts["runs"][0])["ok"]
    assert user.ofs("control", "pause").code == 4


def test_a_recording_is_watched_too(user: User) -> None:
    with serving(user, speed=200) as served:
        watched = Watched(user.start(*served.record("--http", "0")))
        told = watched.until("/health", lambda x: x["states"]["synced"] > 200)
        assert told["phase"] == "running"
        assert watched.json("/api/session")["by_kind"]["trade"] > 50
        assert "ofs_last_seq" in watched.get("/metrics")
        watched.process.terminate()
        watched.process.communicate(timeout=60)
    kept = session_json(user)
    assert kept["phase"] == "stopped"
    folder = user.runs / "_sessions" / kept["session"]
    said = (folder / "session.log").read_text(encoding="utf-8")
    assert '"connected"' in said
    (row,) = user.sql("SELECT session, max(synced) AS synced, max(memory_mb) AS mb FROM monitor "
                      "GROUP BY session")  # fmt: skip
    assert row["session"] == kept["session"]
    assert row["synced"] > 200
    assert row["mb"] > 20
