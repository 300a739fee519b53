"""A frame of the journal: 64 bytes of header, then rows as Arrow record batches, or a little JSON.

Owns the bytes. All numbers are little endian. The header:

====  =====  ===================================================================================
at    bytes  what
====  =====  ===================================================================================
0     4      ``OFSJ``
4     1      version of this layout
5     1      type (:class:`Type`)
6     2      number of record batches in the payload
8     4      number of the segment that the frame belongs to
12    4      CRC-32 of the previous frame's header (0 for the first of all): the frames of a journal
             are one chain, so one that was lost or is left over from before cannot go unnoticed
16    8      payload length in bytes, a multiple of 8
24    4      CRC-32 of the payload
28    4      number of rows
32    4      bytes of this segment that were behind a barrier when the frame was written: what is
             bad before that is damage, what is bad after it may be a torn tail
36    8      sequence number: of the first event (EVENTS), of the last one folded (RECORDS), of the
             event to come (SERIES, NOTE)
44    8      wall clock, ns UTC
52    8      monotonic clock, ns
60    4      CRC-32 of the 60 bytes before
====  =====  ===================================================================================

The payload of rows begins with one :data:`_BATCH` a record batch: its kind or table, its series
(-1 where the column ``series`` has them), its length in bytes. The batches follow as Arrow IPC
messages without a schema, which the schema version in the segment's head implies. SERIES and NOTE
carry a JSON object.

It refuses to know files.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
import pyarrow as pa

from data.events import EVENTS, RECORDS, Kind, Scales, arrow_schema, numpy_dtype
from data.live.blocks import Group, Part, Series
from data.log.arrow import int_array, ints_of
from data.log.columns import Rows
from data.log.files import arrays_of, rows_of

MAGIC = b"OFSJ"
VERSION = 1
_HEADER = struct.Struct("<4sBBHIIQIIIqqqI")
_BATCH = struct.Struct("<iiq")
_CHECKED = _HEADER.size - 4
_OWN_SERIES = -1
_TABLES = tuple(RECORDS)

HEADER_BYTES = _HEADER.size


class Type(IntEnum):
    """What a frame holds."""

    SERIES = 1
    """The head of a segment, and again when the table of series grew."""
    EVENTS = 2
    RECORDS = 3
    NOTE = 4


class Header(NamedTuple):
    """The fields of a header in their order; see the table above."""

    magic: bytes
    version: int
    type: int
    batches: int
    segment: int
    link: int
    length: int
    payload_crc: int
    rows: int
    synced: int
    seq: int
    wall_ns: int
    mono_ns: int
    crc: int


@dataclass(frozen=True, slots=True)
class Payload:
    """What a frame will hold: its type, rows, sequence number, and bytes."""

    type: Type
    batches: int
    count: int
    seq: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Events:
    """A group of events as it was appended, and when (ns)."""

    group: Group
    wall_ns: int
    mono_ns: int


@dataclass(frozen=True, slots=True)
class Records:
    """Rows of a record table of one series, written once event ``after_seq`` was folded."""

    series: int
    table: str
    rows: np.ndarray
    after_seq: int
    wall_ns: int
    mono_ns: int


def frame_bytes(
    payload: Payload, segment: int, link: int, synced: int, wall_ns: int, mono_ns: int
) -> tuple[bytes, int]:
    """The frame, and its header's CRC for the next one's link."""
    packed = _HEADER.pack(
        MAGIC, VERSION, payload.type, payload.batches, segment, link, len(payload.data),
        crc32(payload.data), payload.count, synced, payload.seq, wall_ns, mono_ns, 0,
    )[:_CHECKED]  # fmt: skip
    crc = crc32(packed)
    return b"".join((packed, crc.to_bytes(4, "little"), payload.data)), crc


def header_at(data: memoryview, at: int) -> Header | None:
    """The header at offset ``at``; None where no whole one stands there."""
    if len(data) - at < HEADER_BYTES:
        return None
    header = Header(*_HEADER.unpack_from(data, at))
    whole = header.magic == MAGIC and header.crc == crc32(data[at : at + _CHECKED])
    return header if whole else None


def events_payload(group: Group) -> Payload:
    """One record batch a kind, with the column ``series``."""
    batches = [
        (int(kind), _OWN_SERIES, _event_batch(part).serialize())
        for kind, part in group.parts.items()
    ]
    return Payload(Type.EVENTS, len(batches), group.events, group.first_seq, _joined(batches))


def group_of(header: Header, data: memoryview, after_seq: int = 0) -> Group | None:
    """The events with ``seq > after_seq`` of an EVENTS frame; None where there are none."""
    last_seq = header.seq + header.rows - 1
    if last_seq <= after_seq:
        return None
    parts = {}
    for kind, _, body in _batches(header, data):
        part = _part_of(Kind(kind), body)
        if header.seq <= after_seq:
            first = int(np.searchsorted(part.rows["seq"], after_seq, side="right"))
            part = Part(part.series[first:], part.rows.slice(first, part.rows.n))
        if part.rows.n:
            parts[Kind(kind)] = part
    return Group(max(header.seq, after_seq + 1), last_seq, parts)


def records_payload(series: int, table: str, rows: np.ndarray, after_seq: int) -> Payload:
    """Rows of one record table (structured as ``numpy_dtype(RECORDS[table])``)."""
    columns = [int_array(rows[f.name]) for f in RECORDS[table].fields]
    batch = pa.RecordBatch.from_arrays(columns, schema=_record_schema(table))
    body = _joined([(_TABLES.index(table), series, batch.serialize())])
    return Payload(Type.RECORDS, 1, len(rows), after_seq, body)


def records_of(header: Header, data: memoryview) -> Records:
    """What a RECORDS frame holds."""
    ((number, series, body),) = _batches(header, data)
    table = _TABLES[number]
    batch = pa.ipc.read_record_batch(pa.py_buffer(body), _record_schema(table))
    rows = np.zeros(batch.num_rows, numpy_dtype(RECORDS[table]))
    for field in RECORDS[table].fields:
        rows[field.name] = ints_of(batch[field.name])
    return Records(series, table, rows, header.seq, header.wall_ns, header.mono_ns)


def json_payload(kind: Type, seq: int, facts: dict[str, Any]) -> Payload:
    """A JSON object, filled up with blanks to a multiple of 8 bytes."""
    text = json.dumps(facts, separators=(",", ":")).encode()
    return Payload(kind, 0, 0, seq, text + b" " * (-len(text) % 8))


def json_of(data: memoryview) -> dict[str, Any]:
    """What a SERIES or NOTE frame holds."""
    facts: dict[str, Any] = json.loads(bytes(data))
    return facts


def series_to_json(series: Sequence[Series]) -> list[list[Any]]:
    """The table of series as it stands in a SERIES frame."""
    return [[s.venue, s.symbol, s.scales.price, s.scales.qty] for s in series]


def series_from_json(rows: Iterable[list[Any]]) -> list[Series]:
    """The reverse of :func:`series_to_json`."""
    return [Series(venue, symbol, Scales(price, qty)) for venue, symbol, price, qty in rows]


def _event_batch(part: Part) -> pa.RecordBatch:
    columns = [int_array(part.series), *arrays_of(part.rows)]
    return pa.RecordBatch.from_arrays(columns, schema=_event_schema(part.rows.kind))


def _part_of(kind: Kind, body: memoryview) -> Part:
    batch = pa.ipc.read_record_batch(pa.py_buffer(body), _event_schema(kind))
    rows: Rows = rows_of(kind, batch, EVENTS[kind].names)
    return Part(ints_of(batch["series"]), rows)


def _joined(batches: list[tuple[int, int, pa.Buffer]]) -> bytes:
    heads = [_BATCH.pack(key, series, len(body)) for key, series, body in batches]
    return b"".join([*heads, *(body for _, _, body in batches)])


def _batches(header: Header, data: memoryview) -> Iterator[tuple[int, int, memoryview]]:
    """(kind or table, series, bytes of the record batch) of each batch of a payload."""
    at = header.batches * _BATCH.size
    for number in range(header.batches):
        key, series, length = _BATCH.unpack_from(data, number * _BATCH.size)
        yield key, series, data[at : at + length]
        at += length


@cache
def _event_schema(kind: Kind) -> pa.Schema:
    series = pa.field("series", pa.int32(), nullable=False)
    return arrow_schema(EVENTS[kind]).insert(0, series)


@cache
def _record_schema(table: str) -> pa.Schema:
    return arrow_schema(RECORDS[table])
