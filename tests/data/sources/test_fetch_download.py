"""One file over a bad line: it goes on where it was, and is right or is not there."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from data.errors import NetworkError
from data.sources.fetch_crew import Crew
from data.sources.fetch_download import ChecksumError, Downloader, Fact, on_disk, sum_in
from data.sources.fetch_ledger import LEDGER, Fetched, Ledger
from data.sources.fetch_pace import Pace, Stopped, TryAgain, refuse, with_patience
from data.sources.http import Answer, AskingAgainIsUseless, Http
from data.venue.archive import ArchiveServer, serve
from data.venue.faults import Fault
from tests.data.sources.fetching import AGG

PATH = f"{AGG}2025-01-06.zip"


@pytest.fixture(scope="module")
def body() -> bytes:
    with serve() as running:
        return Http().get(f"{running.url}/{PATH}").body


@pytest.fixture
def server() -> Iterator[ArchiveServer]:
    with serve() as running:
        yield running


def downloader(pace: Pace | None = None, retries: int = 2, timeout_s: float = 1.0) -> Downloader:
    http = Http(read_s=timeout_s)
    return Downloader(http, pace or Pace(), retries=retries, timeout_s=timeout_s, backoff_s=0.001)


def fact_of(body: bytes) -> Fact:
    return Fact(hashlib.sha256(body).hexdigest(), len(body))


def parts(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if ".part" in p.name)


def test_a_transfer_goes_on_where_another_process_left_it(
    tmp_path: Path, server: ArchiveServer, body: bytes
) -> None:
    url, target = f"{server.url}/{PATH}", tmp_path / "x.zip"
    server.faults.add(Fault("reset", value=1000, times=1))
    with pytest.raises(NetworkError, match=r"reset|broke off"):
        downloader(retries=0).fetch(url, fact_of(body), target)
    left = on_disk(target)
    assert 0 < left <= 1000 and parts(tmp_path) == ["x.zip.part", "x.zip.part.json"]
    assert downloader().fetch(url, fact_of(body), target) == fact_of(body)
    assert target.read_bytes() == body and not parts(tmp_path)
    assert [(a.start, a.status) for a in server.asked] == [(0, 200), (left, 206)]


def test_every_byte_comes_once_over_a_line_that_breaks_again_and_again(
    tmp_path: Path, server: ArchiveServer, body: bytes
) -> None:
    server.faults.add(*[Fault("truncated", value=700)] * 4)
    downloader(retries=4).fetch(f"{server.url}/{PATH}", fact_of(body), tmp_path / "x.zip")
    assert [a.start for a in server.asked] == [0, 700, 1400, 2100, 2800]
    end_s = time.monotonic() + 5  # the server counts a block when it has sent it
    while server.sent[PATH] != len(body) and time.monotonic() < end_s:
        time.sleep(0.01)
    assert server.sent[PATH] == len(body)


def test_a_part_of_another_version_is_not_gone_on_with(
    tmp_path: Path, server: ArchiveServer, body: bytes
) -> None:
    url, target = f"{server.url}/{PATH}", tmp_path / "x.zip"
    part, about = tmp_path / "x.zip.part", tmp_path / "x.zip.part.json"
    facts = {"url": url, "sha256": fact_of(body).sha256, "validator": '"of another version"'}
    for wrong in (facts | {"url": "http://other/"}, facts | {"sha256": "0"}, facts, None):
        part.write_bytes(b"?" * 500)
        about.write_text(json.dumps(wrong) if wrong else "{", encoding="utf-8")
        assert downloader().fetch(url, fact_of(body), target)
        assert target.read_bytes() == body
        target.unlink()
    assert all(asked.status == 200 for asked in server.asked)


def test_a_part_with_wrong_bytes_is_found_out(
    tmp_path: Path, server: ArchiveServer, body: bytes
) -> None:
    url, target = f"{server.url}/{PATH}", tmp_path / "x.zip"
    etag = Http().head(url).headers["etag"]
    facts = {"url": url, "sha256": fact_of(body).sha256, "validator": etag}
    for wrong in (b"?" * 500, b"?" * len(body), b"?" * (len(body) + 1)):
        (tmp_path / "x.zip.part").write_bytes(wrong)
        (tmp_path / "x.zip.part.json").write_text(json.dumps(facts), encoding="utf-8")
        assert downloader().fetch(url, fact_of(body), target)
        assert target.read_bytes() == body
        target.unlink()


def test_a_wrong_sum_is_refused_and_leaves_nothing(
    tmp_path: Path, server: ArchiveServer, body: bytes
) -> None:
    server.faults.add(Fault("checksum", times=0))
    with pytest.raises(ChecksumError, match="is not what it must be"):
        downloader().fetch(f"{server.url}/{PATH}", fact_of(body), tmp_path / "x.zip")
    assert not list(tmp_path.iterdir())
    assert server.count(".zip", 200) - server.count("", 206) <= 6


def test_a_file_replaced_meanwhile_is_taken_with_its_new_sum(
    tmp_path: Path, server: ArchiveServer, body: bytes
) -> None:
    old = Fact("0" * 64, 17)
    found = downloader().fetch(f"{server.url}/{PATH}", old, tmp_path / "x.zip")
    assert found and replace(found, mark="") == fact_of(body)
    assert (tmp_path / "x.zip").read_bytes() == body


def test_a_drip_is_not_waited_for(tmp_path: Path, server: ArchiveServer, body: bytes) -> None:
    server.faults.add(Fault("drip", times=0, value=50))
    began_s = time.monotonic()
    with pytest.raises(NetworkError, match="too slowly"):
        downloader(retries=1, timeout_s=0.3).fetch(
            f"{server.url}/{PATH}", fact_of(body), tmp_path / "x.zip"
        )
    assert time.monotonic() - began_s < 20
    assert on_disk(tmp_path / "x.zip") > 10, "what came is kept"


def test_a_stop_ends_a_transfer_that_hangs(
    tmp_path: Path, server: ArchiveServer, body: bytes
) -> None:
    server.faults.add(Fault("stall", times=0))
    pace = Pace()
    loader = downloader(pace, timeout_s=60)
    crew = Crew(2, pace)
    url = f"{server.url}/{PATH}"
    for name in "ab":
        crew.start(name, lambda name=name: loader.fetch(url, fact_of(body), tmp_path / name))
    while on_disk(tmp_path / "a") + on_disk(tmp_path / "b") < len(body) // 4:
        time.sleep(0.01)
    began_s = time.monotonic()
    loader.stop()
    loader.cut()
    ended = [crew.next(), crew.next()]
    crew.close()
    assert time.monotonic() - began_s < 20
    assert all(isinstance(done and done.error, Stopped) for done in ended)
    assert on_disk(tmp_path / "a") > 0


def test_what_may_pass_is_tried_again_and_what_may_not_is_not() -> None:
    for status in (408, 425, 429, 500, 502, 503, 504):
        assert isinstance(refuse("http://x/", status), TryAgain), status
    for status in (400, 401, 403, 410):
        assert isinstance(refuse("http://x/", status), AskingAgainIsUseless), status
    assert isinstance(refuse("http://x/", 429, "301"), AskingAgainIsUseless)
    tried: list[float] = []

    def once() -> None:
        tried.append(time.monotonic())
        raise refuse("http://x/", 429, "1" if len(tried) == 1 else "")

    with pytest.raises(TryAgain):
        with_patience(once, Pace(), 2, 0.001, lambda: False)
    assert len(tried) == 3 and tried[1] - tried[0] >= 0.99, "Retry-After is kept"


def test_a_pause_that_the_server_asks_for_holds_everybody() -> None:
    pace = Pace()
    pace.hold(0.2)
    began_s = time.monotonic()
    threads = [threading.Thread(target=pace.gate) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - began_s >= 0.19


def test_a_rate_is_kept_by_several_threads() -> None:
    pace = Pace(100_000)
    began_s = time.monotonic()
    threads = [
        threading.Thread(target=lambda: [pace.take(1000) for _ in range(10)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0.35 < time.monotonic() - began_s < 4.0


def test_the_ledger_is_whole_or_says_what_to_do(tmp_path: Path) -> None:
    from data.errors import DataError
    from data.log import LogStore

    storage = LogStore(tmp_path / "log", create=True).storage
    fetched = Fetched("ab", 7, 3, {"2025-01-06": 3})
    Ledger(storage).add({"http://x/y": fetched})
    assert Ledger(storage).get("http://x/y") == fetched
    place = tmp_path / "log" / LEDGER
    for wrong in ("{", "[]", '{"schema": 2, "files": {}}', '{"schema": 1, "files": {"a": {}}}'):
        place.write_text(wrong, encoding="utf-8")
        with pytest.raises(DataError, match="cannot be read"):
            Ledger(storage)


def test_two_ledgers_of_one_log_keep_each_other_and_no_password(tmp_path: Path) -> None:
    from data.log import LogStore

    storage = LogStore(tmp_path / "log", create=True).storage
    ledgers = [Ledger(storage) for _ in range(4)]
    entries = [Fetched("ab", 7, n, {"2025-01-06": n}) for n in range(60)]

    def add(ledger: Ledger, mine: list[Fetched]) -> None:
        for entry in mine:
            ledger.add({f"http://me:secret@x/{entry.rows}": entry})

    threads = [
        threading.Thread(target=add, args=(ledger, entries[i::4]))
        for i, ledger in enumerate(ledgers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    last = Ledger(storage)
    assert [last.get(f"http://x/{n}") for n in range(60)] == entries
    assert "secret" not in (tmp_path / "log" / LEDGER).read_text(encoding="utf-8")


def test_a_ledger_of_dates_alone_still_counts(tmp_path: Path) -> None:
    from data.log import LogStore

    storage = LogStore(tmp_path / "log", create=True).storage
    old = {"sha256": "ab", "bytes": 7, "rows": 3, "dates": ["2025-01-06"], "mark": ""}
    text = json.dumps({"schema": 1, "files": {"http://x/y": old}})
    (tmp_path / "log" / LEDGER).write_text(text, encoding="utf-8")
    found = Ledger(storage).get("http://x/y")
    assert found is not None
    assert found.lost({"2025-01-06": 1}) == [] and found.lost({}) == ["2025-01-06"]


_HEX = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    "text",
    [
        f"{_HEX}  a.zip\n",
        f"{_HEX.upper()} *a.zip\r\n",
        f"{_HEX}",
        f"\ufeff{_HEX}\ta.zip",
        f"SHA256 (a.zip) = {_HEX}\n",
        f"{'0' * 64}  other.zip\n{_HEX}  ./daily/a.zip\n",
    ],
)
def test_a_checksum_is_read_in_every_common_form(text: str) -> None:
    assert sum_in(text.encode(), "a.zip") == _HEX


@pytest.mark.parametrize(
    "text",
    ["", "<html>", _HEX[1:], _HEX + "0", f"{_HEX}  b\n{_HEX}  c\n", f"MD5 (a.zip) = {_HEX}"],
)
def test_what_is_no_checksum_is_none(text: str) -> None:
    assert sum_in(text.encode(), "a.zip") == ""


def test_a_length_that_is_no_number_is_an_unknown_one() -> None:
    class Odd(Http):
        def head(self, url: str, headers: Mapping[str, str] | None = None) -> Answer:
            return Answer(200, {"content-length": "\u00b2", "etag": "x"}, b"")

    assert Downloader(Odd(), Pace(), retries=0, timeout_s=1).about("http://x/y") == Fact("", 0, "x")


def test_a_pause_that_is_no_number_is_none() -> None:
    error = refuse("http://x/y", 503, "\u00b2")
    assert isinstance(error, TryAgain) and error.after_s == 0
