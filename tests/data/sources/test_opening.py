"""Files as blocks of whole lines: plain, gzip, zip; whole, cut off, damaged."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.errors import CorruptFileError, DataError, UsageError
from data.sources import opening
from data.sources.opening import Reader, files_of, members_of

TEXT = b"".join(b"line %d with some words\n" % i for i in range(20_000))


def read(path: Path, size: int = 1 << 16) -> tuple[bytes, str]:
    """The whole text of a file with one member, and what was wrong with its end."""
    (member,) = members_of(path)
    reader = Reader(member)
    blocks = list(reader.blocks(size))
    assert all(b.endswith(b"\n") for b in blocks[:-1])
    return b"".join(blocks), reader.damage


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(st.binary(max_size=40).map(lambda b: b.replace(b"\n", b"")), max_size=30),
    st.booleans(),
    st.integers(1, 200),
    st.sampled_from(["plain", "gz", "zip"]),
)
def test_blocks_hold_every_byte(
    tmp_path: Path, lines: list[bytes], last_end: bool, size: int, form: str
) -> None:
    text = b"\n".join(lines) + (b"\n" if last_end else b"")
    if form == "plain" and text[:2] in (b"\x1f\x8b", b"PK"):
        return
    path = tmp_path / "x"
    if form == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("x.csv", text)
    else:
        path.write_bytes(gzip.compress(text) if form == "gz" else text)
    if b"\r" in text[:-1] and b"\n" not in text:
        text = text.replace(b"\r", b"\n")  # line ends of old Macs
    assert read(path, size) == (text, "")


def test_streams_appended_to_one_gzip_file_are_one_text(tmp_path: Path) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(TEXT) + gzip.compress(b"more\n"))
    assert read(path) == (TEXT + b"more\n", "")


@pytest.mark.parametrize("keep", [20, 1_000, 30_000])
def test_a_gzip_file_that_was_cut_off_gives_what_is_there(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(TEXT)[:keep])
    text, damage = read(path)
    assert TEXT.startswith(text)
    assert len(text) > keep or keep == 20
    assert "cut off" in damage


def test_bytes_after_a_gzip_stream_are_named(tmp_path: Path) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(TEXT) + b"the rest of an older, longer file")
    assert read(path) == (TEXT, "bytes after the end of the gzip stream were left out")


def test_a_damaged_gzip_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    whole = bytearray(gzip.compress(TEXT))
    whole[len(whole) // 2] ^= 0x55
    path = tmp_path / "x.gz"
    path.write_bytes(whole)
    with pytest.raises(CorruptFileError) as error:
        read(path)
    assert str(path) in str(error.value)


def test_a_zip_may_hold_several_members(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.mkdir("folder")
        archive.writestr("folder/a.csv", b"a\n")
        archive.writestr("b.csv", b"b\n")
    members = members_of(path)
    assert [m.name for m in members] == ["x.zip!folder/a.csv", "x.zip!b.csv"]
    assert [b"".join(Reader(m).blocks()) for m in members] == [b"a\n", b"b\n"]


def test_a_damaged_zip_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", TEXT)
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"line 77 ", b"line 78 ", 1))
    with pytest.raises(CorruptFileError, match="damaged"):
        read(path)
    path.write_bytes(whole[:100])
    with pytest.raises(CorruptFileError, match="damaged"):
        members_of(path)


def test_a_small_file_that_unpacks_to_much_comes_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(
        gzip.compress(b"0" * 99 + b"\n", 9) * 1 + gzip.compress((b"1" * 99 + b"\n") * 10**6)
    )
    sizes = [len(b) for b in Reader(members_of(path)[0]).blocks()]
    assert sum(sizes) == 10**8 + 100
    assert max(sizes) < 3 * opening.BLOCK_BYTES


def test_what_has_no_line_end_is_no_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "LINE_MAX", 1 << 20)
    path = tmp_path / "x.bin"
    path.write_bytes(b"\0" * (6 << 20))
    with pytest.raises(DataError, match="not a text file"):
        list(Reader(members_of(path)[0]).blocks(1 << 18))


def test_folders_are_walked_in_order_without_hidden_files(tmp_path: Path) -> None:
    for name in ("b/2.csv", "a.csv", ".hidden/x.csv", "b/1.zip.CHECKSUM", "b/.x", "c.partial"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x\n")
    found = files_of([tmp_path, tmp_path / "a.csv"])
    assert [(p.relative_to(tmp_path.resolve()).as_posix(), named) for p, named in found] == [
        ("a.csv", True),
        ("b/2.csv", False),
    ]


def test_a_path_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        files_of([tmp_path / "nothing"])
