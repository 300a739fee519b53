"""What a client may ask of a websocket, and the venue's answers.

Owns SUBSCRIBE, UNSUBSCRIBE and LIST_SUBSCRIPTIONS of Binance, and ``op`` of Bybit: pure functions
from a request and the streams that stand to a :class:`Reply`. What must hold: a name is looked at
for its form only; what does not exist is acknowledged and stays silent. Source: reference page of
the venue, sections 1.1 and 4.

It refuses to know sockets.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from data.venue.names import is_name

STREAMS_MOST = 1024
"""Streams that one connection may carry; the next one costs the connection."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The ``text`` sent back (empty: none), the ``streams`` that stand then, which were ``added``
    and ``removed``, and the code of a ``close`` with its reason (0: it stays open)."""

    text: str
    streams: list[str]
    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    close: int = 0
    why: str = ""


def answer(layout: str, request: bytes | Mapping[str, Any], streams: Sequence[str]) -> Reply:
    """Binance's answer to ``request`` where ``streams`` stand."""
    have = list(streams)
    if isinstance(request, bytes):
        try:
            request = json.loads(request)
        except (ValueError, RecursionError):
            return Reply(_error(3, "Invalid JSON: expected value at line 1 column 1", None), have)
    if not isinstance(request, Mapping):
        return Reply(_error(2, "Invalid request: expected an object", None), have)
    number, method = request.get("id"), request.get("method")
    names = request.get("params", [])
    if method == "LIST_SUBSCRIPTIONS":
        return Reply(_said({"result": have, "id": number}), have)
    if method not in ("SUBSCRIBE", "UNSUBSCRIBE"):
        return Reply(_error(2, f"Invalid request: unknown variant `{method}`", number), have)
    listed = isinstance(names, (list, tuple)) and all(isinstance(n, str) for n in names)
    if not listed or not all(is_name(layout, n) for n in names):
        text = _error(2, "Invalid request: invalid stream", number)
        return Reply(text, have, close=1008, why="Invalid request")
    done = _said({"result": None, "id": number})
    if method == "UNSUBSCRIBE":
        return Reply(done, [s for s in have if s not in names], removed=list(names))
    added = [n for n in dict.fromkeys(names) if n not in have]
    if len(have) + len(added) > STREAMS_MOST:
        text = _error(4, "Too many subscriptions", number)
        return Reply(text, have, close=1008, why="Too many subscriptions")
    return Reply(done, have + added, added=added)


def answer_bybit(layout: str, request: bytes, streams: Sequence[str]) -> Reply:
    """Bybit's answer to ``request`` where ``streams`` (topics) stand."""
    have = list(streams)
    try:
        asked = json.loads(request)
    except (ValueError, RecursionError):
        asked = None
    if not isinstance(asked, Mapping):
        return Reply(_bybit(False, "invalid request", "", ""), have)
    op, number = str(asked.get("op", "")), str(asked.get("req_id", ""))
    if op == "ping":
        return Reply(_bybit(True, "pong", number, op), have)
    names = asked.get("args", [])
    if op not in ("subscribe", "unsubscribe") or not isinstance(names, list):
        return Reply(_bybit(False, f"unknown op {op}", number, op), have)
    bad = [n for n in names if not (isinstance(n, str) and is_name(layout, n))]
    if bad or len(request) > 21_000:
        return Reply(_bybit(False, f"error:handler not found,topic:{bad[:1]}", number, op), have)
    done = _bybit(True, op if op == "subscribe" else "", number, op)
    if op == "unsubscribe":
        return Reply(done, [s for s in have if s not in names], removed=names)
    added = [n for n in dict.fromkeys(names) if n not in have]
    return Reply(done, have + added, added=added)


def _said(value: Mapping[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"))


def _error(code: int, text: str, number: Any) -> str:
    return _said({"error": {"code": code, "msg": text}, "id": number})


def _bybit(success: bool, text: str, number: str, op: str) -> str:
    return _said(
        {"success": success, "ret_msg": text, "conn_id": "served", "req_id": number, "op": op}
    )
