"""What a fault script says is what happens, counted exactly; the same seed, the same acts."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from data.errors import ConfigError, DataError
from data.log import LogStore
from data.venue.serve import Options, running
from data.venue.tape import LogTape
from data.venue.venue_faults import KINDS, Script, Trigger, read_script
from tests.data.make_log import T
from tests.data.venue import client
from tests.data.venue.made import SECONDS, make

MS = T // 1_000_000
TRADES = "btcusdt@aggTrade"
Start = Callable[..., tuple[dict[str, Any], Callable[[], dict[str, Any]]]]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("log")
    make(folder)
    return folder


@pytest.fixture
def start(log: Path, tmp_path: Path) -> Iterator[Start]:
    with ExitStack() as stack:

        def run(script: str, layout: str = "futures", **more: Any) -> Any:
            file = tmp_path / "faults.toml"
            file.write_text(script, encoding="utf-8")
            options = Options(layout, **{"speed": 1000.0, "grace_s": 0.1, **more},
                              script=read_script(file))  # fmt: skip
            _, told = stack.enter_context(running(LogTape(LogStore(log)), options))
            return told, lambda: client.get(told["rest"] + "/ofs/faults")[1]

        yield run


def market(told: dict[str, Any], *names: str) -> client.Heard:
    return client.listen(client.subscribe(told["ws"] + "/market/stream", *(names or (TRADES,))))


def acts(done: dict[str, Any], kind: str) -> list[int]:
    return [act["id"] for act in done["list"] if act["kind"] == kind]


FRAMES = """
seed = {seed}
[[fault]]
kind = "drop"
stream = "*@aggTrade"
share = 0.1
[[fault]]
kind = "duplicate"
stream = "*@aggTrade"
share = 0.1
[[fault]]
kind = "reorder"
stream = "*@aggTrade"
share = 0.1
value = 4
within = "1m"
"""


def test_frames_are_dropped_doubled_and_swapped_as_told(start: Start) -> None:
    told, done = start(FRAMES.format(seed=3))
    ids = [t["a"] for t in market(told).data(TRADES)]
    facts = done()
    dropped, doubled = acts(facts, "drop"), acts(facts, "duplicate")
    assert dropped and doubled and acts(facts, "reorder")
    expected = Counter(range(1, SECONDS + 1)) + Counter(doubled) - Counter(dropped)
    assert Counter(ids) == expected
    late = {b for n, b in enumerate(ids) if b < max(ids[:n], default=0)}
    assert late == set(acts(facts, "reorder"))
    assert facts["done"] == dict(Counter(act["kind"] for act in facts["list"]))


def test_equal_seeds_do_the_same_whoever_listens(start: Start) -> None:
    found = []
    for seed, names in ((5, (TRADES,)), (5, (TRADES, "btcusdt@kline_1m")), (6, (TRADES,))):
        told, done = start(FRAMES.format(seed=seed))
        market(told, *names)
        found.append([(a["kind"], a["id"]) for a in done()["list"]])
    assert found[0] == found[1] != found[2]


def test_nothing_is_counted_that_met_nobody(start: Start) -> None:
    told, done = start(FRAMES.format(seed=3))
    market(told, "btcusdt@kline_1m")
    assert done()["list"] == [] and done()["done"] == {}


def test_delay_and_stall_keep_the_order_of_a_stream(start: Start) -> None:
    told, done = start(
        '[[fault]]\nkind = "stall"\nat = "30s"\nvalue = "20s"\n'
        '[[fault]]\nkind = "delay"\nstream = "*@aggTrade"\nat = "90s"\nvalue = "5s"\n'
    )
    names = (TRADES, "btcusdt@markPrice@1s")
    heard = market(told, *names)
    assert [t["a"] for t in heard.data(TRADES)] == list(range(1, SECONDS + 1))
    place = {m["data"].get("a", -1): i for i, m in enumerate(heard.messages)}
    marks = [i for i, m in enumerate(heard.messages) if m["stream"] == names[1]]
    between = [i for i in marks if place[90] < i < place[91]]
    assert len(between) == 6, "marks overtake a delayed trade"
    assert done()["done"] == {"stall": 1, "delay": 1}


def test_spoilt_frames(start: Start) -> None:
    told, done = start(
        '[[fault]]\nkind = "malformed"\nstream = "*@aggTrade"\nevery = 10\n'
        '[[fault]]\nkind = "absurd"\nstream = "*@aggTrade"\nevery = 7\ninsert = true\n'
    )
    heard = market(told)
    counts = done()["done"]
    assert counts == {"malformed": 12, "absurd": 17}
    assert len(heard.messages) == SECONDS + 17
    whole = {t["a"] for t in heard.data(TRADES) if isinstance(t, dict) and t.get("T")}
    good = set(range(1, SECONDS + 1)) - set(range(10, SECONDS + 1, 10))
    assert good <= whole | {"1"} | set(range(SECONDS + 1)) and len(good) == 108
    assert any(isinstance(m, str) for m in heard.messages)


def test_ids_and_clocks_go_astray(start: Start) -> None:
    told, _ = start(
        '[[fault]]\nkind = "id_reset"\nstream = "*@aggTrade"\nat = "60s"\nvalue = 1\n'
        '[[fault]]\nkind = "clock_skew"\nat = "90s"\nvalue = "-1500ms"\n'
    )
    trades = market(told).data(TRADES)
    assert [t["a"] for t in trades] == [*range(1, 61), *range(1, 61)]
    off = [t["E"] - t["T"] for t in trades]
    assert off[:90] == [0] * 90 and set(off[90:]) == {-1500}


@pytest.mark.parametrize(
    ("kind", "value", "code"),
    [("cut", "", 1006), ("disconnect", "", 1006), ("disconnect", "value = 1011", 1011)],
)
def test_connections_end(kind: str, value: str, code: int, start: Start) -> None:
    told, done = start(f'[[fault]]\nkind = "{kind}"\nstream = "*@aggTrade"\nat = "60s"\n{value}\n')
    heard = market(told)
    assert heard.code == code and [t["a"] for t in heard.data(TRADES)] == list(range(1, 61))
    assert done()["done"] == {kind: 1}


def test_a_shutdown_is_announced(start: Start) -> None:
    told, _ = start('[[fault]]\nkind = "shutdown"\nat = "60s"\nvalue = "20ms"\n', speed=200.0)
    heard = market(told)
    assert {"stream": "!serverShutdown", "data": {"e": "serverShutdown", "E": MS + 60_000}} in (
        heard.messages
    )
    assert (heard.code, heard.reason) == (1001, "server shutdown")


def test_a_silent_route_and_a_slow_one(start: Start) -> None:
    told, done = start(
        '[[fault]]\nkind = "wrong_path"\nstream = "*@aggTrade"\nvalue = 1\n'
        '[[fault]]\nkind = "drip"\nstream = "*@aggTrade"\nat = "10s"\nvalue = 4000\n'
        'lasts = "500ms"\n'
    )
    silent = client.subscribe(told["ws"] + "/market/stream", TRADES)
    heard = market(told)
    assert client.listen(silent).messages == []
    assert [t["a"] for t in heard.data(TRADES)] == list(range(1, SECONDS + 1))
    assert done()["done"] == {"wrong_path": 1, "drip": 1}


def test_a_slow_socket_does_not_hold_the_other(start: Start) -> None:
    told, _ = start(
        '[[fault]]\nkind = "drip"\nstream = "*@aggTrade"\nat = "10s"\nvalue = 100\nlasts = "2s"\n',
        skew_ns=0, speed=100.0,
    )  # fmt: skip
    slow = client.subscribe(told["ws"] + "/market/stream", TRADES)
    fast = client.subscribe(told["ws"] + "/public/stream", "btcusdt@depth20@100ms")
    with ThreadPoolExecutor(1) as beside:
        dripped = beside.submit(client.listen, slow)
        assert len(client.listen(fast, 60).messages) == 60
        assert not dripped.done(), "the slow one takes two seconds, the fast one 0.6"
        assert [t["a"] for t in dripped.result(60).data(TRADES)] == list(range(1, SECONDS + 1))


def test_rest_errors(start: Start) -> None:
    told, done = start(
        '[[fault]]\nkind = "rest_error"\npath = "*/time"\ntimes = 2\nvalue = 429\nretry = 7\n'
        '[[fault]]\nkind = "rest_error"\npath = "*/ping"\nvalue = 451\n'
        '[[fault]]\nkind = "rest_error"\npath = "*/depth"\nvalue = 200\n'
    )
    answers = [client.get(told["rest"] + "/fapi/v1/time") for _ in range(3)]
    assert [a[0] for a in answers] == [429, 429, 200]
    assert answers[0][2]["Retry-After"] == "7"
    assert client.get(told["rest"] + "/fapi/v1/ping")[0] == 451
    assert client.get(told["rest"] + "/fapi/v1/depth?symbol=BTCUSDT")[:2] == (200, "rubbish")
    assert done()["done"] == {"rest_error": 4}


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('[[fault]]\nkind = "drip"\n', 1, "exactly one of share, at and every"),
        ('seed = 1\n\n[[fault]]\nkind = "dorp"\nshare = 0.1\n', 3, "did you mean 'drop'?"),
        ('[[fault]]\nkind = "drop"\nshare = 2\n', 1, "from 0 to 1"),
        ('[[fault]]\nkind = "drop"\nshare = 0.1\nvalue = 1\n', 1, "takes no value"),
        ('[[fault]]\nkind = "drop"\nsymbl = "x"\nshare = 0.1\n', 1, "did you mean 'symbol'?"),
        ('[[fault]]\nkind = "delay"\nshare = 0.1\nvalue = 5\n', 1, "length of time"),
        ('[[fault]]\nkind = "drop"\nat = "noon"\n', 1, "noon"),
        ("sead = 1\n", 1, "there is no key 'sead'"),
        ("[[fault\n", 0, "no TOML"),
    ],
)
def test_mistakes_in_a_script(text: str, line: int, said: str, tmp_path: Path) -> None:
    file = tmp_path / "faults.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_script(file)
    assert said in str(caught.value)
    assert not line or f"{file}:{line}" in str(caught.value)


def test_the_script_of_the_readme(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    (block,) = [b for b in blocks if "[[fault]]" in b and "rest_error" in b]
    (tmp_path / "faults.toml").write_text(block, encoding="utf-8")
    kinds = [f.kind for f in read_script(tmp_path / "faults.toml").faults]
    assert kinds == ["drop", "reorder", "disconnect", "rest_error"]
    assert set(re.findall(r"\w+", block)) >= set(KINDS), "a kind of fault is not in the README"


def test_a_script_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read"):
        read_script(tmp_path / "typo.toml")
    (tmp_path / "empty.toml").write_text("", encoding="utf-8")
    assert read_script(tmp_path / "empty.toml") == Script()


def test_moments_of_a_trigger(tmp_path: Path) -> None:
    file = tmp_path / "faults.toml"
    file.write_text(
        '[[fault]]\nkind = "drop"\nat = ["1s", "2024-08-09T00:00:05Z"]\n'
        '[[fault]]\nkind = "drop"\nevery = "10s"\ntimes = 2\n',
        encoding="utf-8",
    )
    found = read_script(file).faults
    seconds = [T + n * 10**9 for n in range(60)]
    struck = []
    for fault in found:
        trigger = Trigger(fault, 1, "x", T)
        struck.append([n for n, at in enumerate(seconds) if trigger.strikes(at)])
    assert struck == [[1, 5], [10, 20]]
    assert json.dumps(sorted(KINDS)) and len(KINDS) == 15
