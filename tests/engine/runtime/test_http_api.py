"""The API over real sockets: what it tells, whom, and what it refuses."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from data.errors import ConfigError, NetworkError
from engine.runtime.alarms import alarms
from engine.runtime.http_api import PATHS, THREADS_MAX, HttpApi, is_loopback
from engine.runtime.monitor import Monitor
from tests.engine.runtime.pictures import a_view, ill

TOKEN = "a-token-of-enough-letters"


class Asked:
    """A running API and a client."""

    def __init__(self, api: HttpApi) -> None:
        self.api = api
        self.port = int(api.address.rpartition(":")[2])

    def ask(
        self, path: str, method: str = "GET", **headers: str
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def json(self, path: str, status: int = 200) -> Any:
        found, headers, body = self.ask(path)
        assert (found, headers["Content-Type"].split(";")[0]) == (status, "application/json")
        value = json.loads(body)
        assert value["schema"] == 1
        return value


@pytest.fixture
def asked() -> Iterator[Asked]:
    view = a_view(2)
    api = HttpApi(lambda: view, monitor=Monitor(lambda: view))
    api.start()
    yield Asked(api)
    api.stop()


def test_every_path_answers(asked: Asked) -> None:
    for path in PATHS:
        assert asked.ask(path.replace("{symbol}", "ethusdt"))[0] == 200, path
    assert asked.json("/nothing", 404)["paths"] == list(PATHS)
    assert asked.ask("/api/symbols/NONE")[0] == 404
    assert asked.ask("/api/symbols/..%2f..%2fetc/trades")[0] == 404


def test_it_tells_the_picture(asked: Asked) -> None:
    health = asked.json("/health")
    assert health["healthy"]
    assert health["states"]["synced"] == 1_000
    symbol = asked.json("/api/symbols/BTCUSDT")
    assert (symbol["delta_30s"], symbol["plans"][0]["waits"][1][:5]) == (-12.5, "price")
    assert symbol["signals"][0]["name"] == "absorption"
    assert len(symbol["chart"]["cvd"]) == 120
    assert asked.json("/api/symbols/BTCUSDT/trades")["trades"][0]["net_pnl"] == 4
    position = asked.json("/api/position")
    assert [p["symbol"] for p in position["positions"]] == ["BTCUSDT", "ETHUSDT"]
    assert position["accounts"]["BTCUSDT"]["halts"] == ["cooldown"]
    session = asked.json("/api/session")
    assert session["feed"]["lag_p99_ms"] == 12.25
    assert [x["symbol"] for x in session["symbols"]] == ["BTCUSDT", "ETHUSDT"]


def test_metrics_are_what_prometheus_reads(asked: Asked) -> None:
    _, headers, body = asked.ask("/metrics")
    assert headers["Content-Type"].startswith("text/plain")
    families = {f.name: f for f in text_string_to_metric_families(body.decode())}

    def sample(name: str, **labels: str) -> float:
        rows = families[name].samples
        return next(r.value for r in rows if labels.items() <= r.labels.items())

    assert sample("ofs_last_seq", state="synced") == 1_000
    assert sample("ofs_lag_seconds", quantile="0.99") == 0.01225
    assert sample("ofs_cvd", symbol="ETHUSDT") == -1234.5
    assert sample("ofs_position", symbol="BTCUSDT") == 0.5
    assert sample("ofs_gaps", reason="id_hole") == 4
    assert sample("ofs_memory_bytes") == 310e6
    assert sample("ofs_phase", phase="running") == 1
    assert not any(name.startswith("python_") for name in families)


def test_one_that_is_ill_says_so() -> None:
    view = ill(a_view())
    view = replace(view, alarms=alarms(view))
    api = HttpApi(lambda: view)
    api.start()
    health = Asked(api).json("/health", 503)
    api.stop()
    assert "no route to host" in health["alarms"][1]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"])
def test_nothing_but_reading(asked: Asked, method: str) -> None:
    status, headers, _ = asked.ask("/api/position", method)
    assert (status, headers["Allow"]) == (405, "GET, HEAD")


def test_head_has_no_body(asked: Asked) -> None:
    status, headers, body = asked.ask("/health", "HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["Content-Length"]) > 100


def test_a_page_in_a_browser_cannot_read_it_by_another_name(asked: Asked) -> None:
    assert asked.ask("/health", Host="evil.example:80")[0] == 403
    assert asked.ask("/health", Host=f"localhost:{asked.port}")[0] == 200
    assert asked.ask("/health", Host=f"[::1]:{asked.port}")[0] == 200


def test_a_token_is_demanded_where_there_is_one() -> None:
    api = HttpApi(lambda: a_view(), "0.0.0.0", 0, TOKEN)
    api.start()
    asked = Asked(api)
    assert asked.ask("/health")[0] == 401
    assert asked.ask("/health", Authorization=f"Bearer {TOKEN}x")[0] == 401
    assert asked.ask("/health", Authorization="Bearer \xff")[0] == 401
    assert asked.ask("/metrics", Authorization=f"Bearer {TOKEN}")[0] == 200
    assert asked.ask("/metrics", Authorization=f"Bearer {TOKEN}", Host="box.lan")[0] == 200
    api.stop()
    assert api.refused == 3


@pytest.mark.parametrize(
    ("host", "token"),
    [("0.0.0.0", None), ("192.0.2.1", None), ("example.org", None), ("0.0.0.0", "short"),
     ("127.0.0.1", "short")],
)  # fmt: skip
def test_others_are_not_let_in_without_a_token(host: str, token: str | None) -> None:
    with pytest.raises(ConfigError) as caught:
        HttpApi(lambda: a_view(), host, 0, token)
    assert "OFS_HTTP_TOKEN" in caught.value.do


def test_a_port_that_is_taken_may_be_free_at_the_next_start(asked: Asked) -> None:
    with pytest.raises(NetworkError, match="cannot listen"):
        HttpApi(lambda: a_view(), "127.0.0.1", asked.port)


def test_loopback() -> None:
    assert [is_loopback(h) for h in ("127.0.0.1", "::1", "localhost", "127.9.9.9")] == [True] * 4
    assert [is_loopback(h) for h in ("0.0.0.0", "::", "10.0.0.1", "a.b")] == [False] * 4


def test_rude_clients_cost_bounded_threads(asked: Asked) -> None:
    rude = [socket.create_connection(("127.0.0.1", asked.port)) for _ in range(THREADS_MAX + 8)]
    deadline = time.monotonic() + 5
    while asked.api.refused < 8 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert asked.api.refused == 8
    for n, one in enumerate(rude):
        if n % 2:
            one.sendall(b"GET /" + b"x" * 100)
        one.close()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            assert asked.ask("/health")[0] == 200
            return
        except (OSError, http.client.HTTPException):
            time.sleep(0.02)
    pytest.fail("the API did not come back")
