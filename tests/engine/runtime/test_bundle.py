"""A run in one file: the same bytes each time, proved from it alone, and nothing else let in."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.errors import CorruptFileError, DataError, OfsError, UsageError
from data.events import Kind, Scales
from data.live.blocks import Series
from data.log import LogReader, LogStore
from data.log.compact import compact, plan_compaction
from data.log.seal import seal
from data.runs import Run, find_run
from engine.runtime.bundle import INDEX, Bundled, write_bundle
from engine.runtime.unbundle import read_contents, unpacked
from engine.runtime.verify import Verdict, check_manifest, verify
from strategies import delta_flip
from strategies.delta_flip import STRATEGY
from tests.data.log.parts import split_files
from tests.data.log.sealing import Event, groups_of
from tests.engine.runtime.make_run import SYMBOL, VENUE, columns, make_log, make_run
from tests.engine.tapes import START, market

SOURCE = Path(delta_flip.__file__)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log, a run over it, and the bundle of the run."""
    folder = tmp_path_factory.mktemp("made")
    store = make_log(folder / "log", seconds=120)
    make_run(store, folder / "log", folder / "runs")
    bundle(folder, folder / "whole.zip")
    return folder


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "copy")
    return tmp_path / "copy"


def the_run(folder: Path) -> Run:
    return find_run(folder / "runs", "last")


def bundle(folder: Path, out: Path, **options: Any) -> Bundled:
    return write_bundle(the_run(folder), LogStore(folder / "log"), SOURCE, out, **options)


def prove(path: Path) -> Verdict:
    with unpacked(path) as found:
        check_manifest(found.run)
        return verify(LogStore(found.log), found.run, STRATEGY)


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {i.filename: archive.read(i) for i in archive.infolist()}


def test_a_bundle_proves_its_run_alone(copy: Path, tmp_path: Path) -> None:
    done = bundle(copy, tmp_path / "run.zip")
    shutil.rmtree(copy)
    verdict = prove(tmp_path / "run.zip")
    assert verdict.ok and not verdict.notes and verdict.decisions > 20
    assert done.sha256 == hashlib.sha256((tmp_path / "run.zip").read_bytes()).hexdigest()
    assert done.bytes == (tmp_path / "run.zip").stat().st_size
    assert (done.own_code, done.fresh, done.notes) == (False, True, ())
    assert done.log_files == 3 and 0 < done.log_bytes < done.bytes
    contents = read_contents(tmp_path / "run.zip")
    assert contents.strategy == "delta_flip" and not contents.own_code
    assert [name for name, _ in contents.code] == ["strategy/delta_flip.py"]
    assert len(contents.members) + 1 == done.members


def test_the_same_run_gives_the_same_bytes(copy: Path, tmp_path: Path) -> None:
    first = bundle(copy, tmp_path / "a.zip")
    for path in copy.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    shutil.copytree(copy, tmp_path / "elsewhere" / "deep")
    moved = tmp_path / "elsewhere" / "deep"
    second = bundle(moved, tmp_path / "b.zip")
    assert first.sha256 == second.sha256
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    again = bundle(copy, tmp_path / "a.zip")
    assert not again.fresh and again.sha256 == first.sha256


def test_no_path_of_the_machine_is_in_it(made: Path) -> None:
    content = (made / "whole.zip").read_bytes()
    assert str(made).encode() not in content
    manifest = json.loads(members(made / "whole.zip")["run/manifest.json"])
    assert manifest["log"]["path"] == "log" and manifest["strategy"] == "delta_flip"
    recorded = the_run(made).manifest
    assert manifest["digest"] == recorded["digest"] and manifest["params"] == recorded["params"]


def test_a_range_takes_only_the_files_that_hold_it(copy: Path, tmp_path: Path) -> None:
    store = LogStore(copy / "log")
    far = [e for e in market(3, 30) if e["kind"] == Kind.TRADE]
    late = columns(Kind.TRADE, far)
    late["ts_ns"] = late["ts_ns"] + 3 * 86_400 * 10**9
    with store.transaction() as change:
        change.merge(Kind.TRADE, VENUE, SYMBOL, late, Scales(1, 3))
        change.merge(Kind.TRADE, VENUE, "OTHER", late, Scales(1, 3))
    limits = {"from_ns": START + 20 * 10**9, "to_ns": START + 90 * 10**9}
    make_run(store, copy / "log", copy / "runs", venue=VENUE, symbol=SYMBOL, **limits)
    done = bundle(copy, tmp_path / "range.zip")
    assert done.log_files == 3
    assert prove(tmp_path / "range.zip").ok
    days = {name.split("/")[4] for name in members(tmp_path / "range.zip") if "date=" in name}
    assert days == {"date=2024-08-09"}


def test_a_log_that_was_compacted_since(copy: Path, tmp_path: Path) -> None:
    split_files(copy / "log")
    store = LogStore(copy / "log")
    make_run(store, copy / "log", copy / "runs")
    assert not any(d.error for d in compact(store, plan_compaction(store.catalogue())))
    bundle(copy, tmp_path / "run.zip")
    verdict = prove(tmp_path / "run.zip")
    assert verdict.ok and "compacted" in verdict.notes[0]


def test_a_log_that_a_session_sealed(copy: Path, tmp_path: Path) -> None:
    """A shared file goes into the bundle whole; what it holds of other symbols does not count."""
    events: list[Event] = []
    for seq, e in enumerate(market(3, 60), 1):
        row = {"recv_ns": e["ts_ns"] + 1, "seq": seq, **{k: v for k, v in e.items() if k != "kind"}}
        events.append((Kind(e["kind"]), seq % 2, row))
    series = [Series(VENUE, symbol, Scales(1, 3)) for symbol in (SYMBOL, "OTHER")]
    store = LogStore(copy / "sealed", create=True)
    for upto in (len(events) // 2, len(events)):
        seal(store, "s1", series, groups_of(events), upto)
    make_run(store, copy / "sealed", copy / "runs", venue=VENUE, symbol=SYMBOL)
    done = write_bundle(the_run(copy), store, SOURCE, tmp_path / "run.zip")
    assert prove(tmp_path / "run.zip").ok
    names = [name for name in members(tmp_path / "run.zip") if name.startswith("log/sealed/")]
    assert len(names) == done.log_files == 6 and not any("symbol=" in name for name in names)
    assert not any(d.error for d in compact(store, plan_compaction(store.catalogue())))
    verdict = verify(store, the_run(copy), STRATEGY)
    assert verdict.ok and "compacted" in verdict.notes[0]
    received = len(events)
    make_run(store, copy / "sealed", copy / "runs", venue=VENUE, symbol=SYMBOL, upto_seq=received)
    fetched = columns(Kind.TRADE, [e for e in market(4, 20) if e["kind"] == Kind.TRADE])
    fetched["id"] = fetched["id"] + 10**6
    with store.transaction() as change:
        assert change.merge(Kind.TRADE, VENUE, SYMBOL, fetched, Scales(1, 3)).added
    write_bundle(the_run(copy), store, SOURCE, tmp_path / "filled.zip")
    filled = prove(tmp_path / "filled.zip")
    assert filled.ok, (filled.differences, filled.figures)


def test_another_version_is_told_and_not_failed(copy: Path, tmp_path: Path) -> None:
    change_manifest(copy, versions={"ofs": "0.0.1", "numba": "0.50.0"})
    bundle(copy, tmp_path / "run.zip")
    verdict = prove(tmp_path / "run.zip")
    assert verdict.ok
    assert any("ofs 0.0.1, here" in n and "numba 0.50.0, here" in n for n in verdict.notes)


def change_manifest(folder: Path, **changes: Any) -> None:
    file = the_run(folder).folder / "manifest.json"
    content = {**json.loads(file.read_text(encoding="utf-8")), **changes}
    file.write_text(json.dumps(content), encoding="utf-8")


def test_a_builtin_strategy_that_changed_is_left_out(copy: Path, tmp_path: Path) -> None:
    other = tmp_path / "delta_flip.py"
    other.write_text("# something else\n", encoding="utf-8")
    done = write_bundle(the_run(copy), LogStore(copy / "log"), other, tmp_path / "run.zip")
    assert "left out" in done.notes[0]
    assert read_contents(tmp_path / "run.zip").code == ()
    assert prove(tmp_path / "run.zip").ok


def grow(folder: Path) -> None:
    extra = columns(Kind.TRADE, [e for e in market(2, 60) if e["kind"] == Kind.TRADE])
    extra["id"] = extra["id"] + 10**6
    with LogStore(folder / "log").transaction() as change:
        change.merge(Kind.TRADE, VENUE, SYMBOL, extra, Scales(1, 3))


def prune_all(folder: Path) -> None:
    from data.log.prune import Limits, plan_pruning, prune

    store = LogStore(folder / "log")
    prune(store, plan_pruning(store, Limits(max_bytes=0), 0))


def damage(folder: Path) -> None:
    LogStore(folder / "log").catalogue()
    file = next((folder / "log").glob("kind=trade/**/*.parquet"))
    content = bytearray(file.read_bytes())
    content[100] ^= 1
    file.write_bytes(content)


def cut_records(folder: Path) -> None:
    import pyarrow.parquet as pq

    file = the_run(folder).file("fills")
    pq.write_table(pq.read_table(file).slice(1), file)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (grow, "no longer the one of the run"),
        (prune_all, "no longer the one of the run"),
        (damage, "cannot read"),
        (cut_records, "not those that it wrote"),
        (lambda folder: the_run(folder).file("orders").unlink(), "a table of the run is missing"),
    ],
)
def test_what_is_no_longer_that_of_the_run_is_not_bundled(
    copy: Path, tmp_path: Path, change: Callable[[Path], None], said: str
) -> None:
    change(copy)
    with pytest.raises(DataError, match=said) as caught:
        bundle(copy, tmp_path / "run.zip")
    assert caught.value.exit_code == 4
    assert [p.name for p in tmp_path.iterdir()] == ["copy"]


def test_where_it_goes(copy: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.zip"
    mine.write_bytes(b"my holiday pictures")
    with pytest.raises(UsageError, match="something else lies"):
        bundle(copy, mine)
    assert mine.read_bytes() == b"my holiday pictures"
    assert bundle(copy, mine, force=True).fresh and prove(mine).ok
    with pytest.raises(UsageError, match="no such folder"):
        bundle(copy, tmp_path / "none" / "run.zip")
    with pytest.raises(UsageError, match="something else lies"):
        bundle(copy, copy)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["copy", "mine.zip"]


# --- what comes from elsewhere ---------------------------------------------------------------


def rewritten(source: Path, target: Path, **changes: Any) -> Path:
    """A bundle like ``source`` with members replaced, added, or (None) left out; the index is made
    to fit, so that only what is changed is wrong."""
    index = json.loads(members(source)[INDEX])
    content = {k: v for k, v in members(source).items() if k != INDEX}
    content |= {k: v for k, v in changes.items() if k != "index"}
    content = {k: v for k, v in content.items() if v is not None}
    index["members"] = [
        {"path": k, "size": len(v), "sha256": hashlib.sha256(v).hexdigest()}
        for k, v in content.items()
    ]
    index.update(changes.get("index", {}))
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
        archive.writestr(INDEX, json.dumps(index))
    return target


def refused(path: Path, said: str) -> None:
    before = {p.name for p in path.parent.parent.rglob("*")}
    with pytest.raises(CorruptFileError, match=said) as caught, unpacked(path):
        pass
    assert caught.value.exit_code == 4 and caught.value.where == str(path)
    assert {p.name for p in path.parent.parent.rglob("*")} == before


@pytest.mark.parametrize(
    "name",
    ["../evil.py", "/etc/evil", "run/../../evil.parquet", "strategy/../evil.py", "log/x.parquet",
     "log/kind=trade/venue=v/symbol=s/date=2024-01-01/../../../../../../evil.parquet",
     "run/evil.exe", "strategy/.hidden.py", "C:/evil.py", "run\\evil.parquet", "run/",
     "log/kind=trade/venue=v/symbol=s:t/date=2024-01-01/a.parquet", "strategy/a b.py"],
)  # fmt: skip
def test_names_that_lead_elsewhere(made: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "in").mkdir()
    path = rewritten(made / "whole.zip", tmp_path / "in" / "bad.zip", **{name: b"evil"})
    refused(path, "belongs in no bundle|lists other members")


def test_members_that_are_not_stored_plain(made: Path, tmp_path: Path) -> None:
    content = members(made / "whole.zip")
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    refused(path, "compressed or encrypted")


def test_names_that_stand_twice(made: Path, tmp_path: Path) -> None:
    path = shutil.copy(made / "whole.zip", tmp_path / "twice.zip")
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("run/manifest.json", b"{}")
    refused(Path(path), "a name twice")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"run/manifest.json": None}, "manifest.json is missing"),
        ({"run/manifest.json": b"[]"}, "no JSON object"),
        ({"run/manifest.json": b"{"}, "no JSON"),
        ({"run/manifest.json": b'{"run": "x"}'}, "another run"),
        ({"index": {"format": "tar"}}, "is not that of an ofs-bundle"),
        ({"index": {"run": 5}}, "names no run and strategy"),
        ({"index": {"strategy": {"name": "../x.py:S", "own_code": True}}}, "no run and strategy"),
        ({"index": {"strategy": {"name": "os.path", "own_code": False}}}, "no run and strategy"),
        ({"index": {"strategy": {"name": "strategy/a.py:S", "own_code": True}}}, "is missing"),
        ({"index": {"members": 5}}, "lists no members"),
        (
            {"index": {"members": [{"path": "a", "size": float("inf"), "sha256": ""}]}},
            "lists no members",
        ),
        ({"index": {"members": []}}, "other members than are there"),
    ],
)
def test_an_index_that_does_not_fit(
    made: Path, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    refused(rewritten(made / "whole.zip", tmp_path / "bad.zip", **changes), said)


def test_a_member_that_is_not_the_one_stated(made: Path, tmp_path: Path) -> None:
    """A whole zip file, each checksum of its own right: the sha256 of the index is not met."""
    stated = json.loads(members(made / "whole.zip")[INDEX])["members"]
    code = members(made / "whole.zip")["strategy/delta_flip.py"]
    changed = {"strategy/delta_flip.py": code.replace(b"def ", b"dEf ", 1)}
    path = rewritten(made / "whole.zip", tmp_path / "bad.zip", **changed, index={"members": stated})
    refused(path, "its sha256 differs")


def test_code_is_not_passed_off_as_a_built_in(made: Path, tmp_path: Path) -> None:
    """The index says delta_flip, the manifest names a file: refused before anything is loaded."""
    manifest = json.loads(members(made / "whole.zip")["run/manifest.json"])
    changed = json.dumps({**manifest, "strategy": "strategy/delta_flip.py:STRATEGY"}).encode()
    path = rewritten(made / "whole.zip", tmp_path / "bad.zip", **{"run/manifest.json": changed})
    refused(path, "another run")


def test_a_manifest_of_wrong_types_is_told(made: Path, tmp_path: Path) -> None:
    manifest = json.loads(members(made / "whole.zip")["run/manifest.json"])
    for key, value in (("params", {"window": 5}), ("range", {}), ("venue", 3), ("log", [])):
        changed = json.dumps({**manifest, key: value}).encode()
        path = rewritten(made / "whole.zip", tmp_path / "bad.zip", **{"run/manifest.json": changed})
        with pytest.raises(DataError, match="does not say what was run"):
            prove(path)


def test_a_newer_form_is_told(made: Path, tmp_path: Path) -> None:
    path = rewritten(made / "whole.zip", tmp_path / "new.zip", index={"version": 2})
    with pytest.raises(DataError, match="newer ofs"):
        read_contents(path)


def test_other_events_do_not_verify(made: Path, tmp_path: Path) -> None:
    """Consistent in itself, and still not the run: the fold finds it."""
    reader = LogReader(LogStore(made / "log"), VENUE, SYMBOL, {Kind.TRADE: ("id",)})
    assert len(reader.entries) == 1
    work = shutil.copytree(made, tmp_path / "work")
    store = LogStore(work / "log")
    extra = columns(Kind.TRADE, [e for e in market(1, 60) if e["kind"] == Kind.TRADE][:50])
    extra["id"], extra["ts_ns"] = extra["id"] + 10**7, extra["ts_ns"] + np.int64(1)
    with store.transaction() as change:
        change.merge(Kind.TRADE, VENUE, SYMBOL, extra, Scales(1, 3))
    (entry,) = store.catalogue().select([Kind.TRADE])
    content = (work / "log" / entry.path).read_bytes()
    path = rewritten(made / "whole.zip", tmp_path / "f.zip", **{f"log/{entry.path}": content})
    verdict = prove(path)
    assert not verdict.ok and not verdict.log_ok


def test_no_bundle_at_all(tmp_path: Path) -> None:
    for content in (b"", b"PK", b"hello", bytes(10_000)):
        (tmp_path / "x.zip").write_bytes(content)
        refused(tmp_path / "x.zip", "truncated, altered or no bundle")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("readme.txt", "hello")
    refused(tmp_path / "other.zip", "belongs in no bundle")
    with pytest.raises(OfsError):
        read_contents(tmp_path / "none.zip")


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_flipped_byte_or_a_cut_is_found(made: Path, tmp_path: Path, data: st.DataObject) -> None:
    """Either it is refused, or what is unpacked is the same to the byte (a date in a header)."""
    whole = (made / "whole.zip").read_bytes()
    broken = bytearray(whole)
    if data.draw(st.booleans(), label="cut"):
        broken = broken[: data.draw(st.integers(0, len(whole) - 1))]
    else:
        # half of the time in the last bytes: the index and the directory
        low = data.draw(st.sampled_from([0, len(whole) - 6_000]))
        broken[data.draw(st.integers(low, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    path = tmp_path / "broken.zip"
    path.write_bytes(bytes(broken))
    try:
        with unpacked(path) as found:
            root = found.log.parent
            got = {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*.*")
                   if p.is_file()}  # fmt: skip
    except DataError:
        return
    assert got == {k: v for k, v in members(made / "whole.zip").items() if k != INDEX}
