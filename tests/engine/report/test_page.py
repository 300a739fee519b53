"""The one file: nothing is fetched, no name can run, the data come through whole."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.enums import FillReason
from engine.report.page import SCRIPTS, render, safe_json, script
from engine.report.payload import FILL_REASONS


class Reader(HTMLParser):
    """Elements with their attributes, and the text of each script and style."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inside: list[tuple[dict[str, str | None], str]] = []
        self._open: str = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._open = tag
            self.inside.append((dict(attrs), ""))

    def handle_data(self, data: str) -> None:
        if self._open:
            attrs, text = self.inside[-1]
            self.inside[-1] = (attrs, text + data)

    def handle_endtag(self, tag: str) -> None:
        if tag == self._open:
            self._open = ""


NAMES = (
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "]]>",
    "\u2028",
    "@script@",
    "\\u003c",
)
META: dict[str, Any] = {"manifest": {"symbol": "BTCUSDT"}}


def test_nothing_is_fetched() -> None:
    text = render("title", META, "AAAA")
    page = Reader(text)
    for tag, attrs in page.elements:
        for name, value in attrs.items():
            assert name not in ("src", "srcset", "action", "style") or tag == "canvas", (tag, name)
            assert not (value or "").startswith(("http", "//")), (tag, name, value)
            assert not name.startswith("on"), (tag, name)
            if name == "href":
                assert value == "data:,"
    assert not re.search(r"https?://", text)
    reaching_out = r"\b(fetch|XMLHttpRequest|WebSocket|EventSource|importScripts|sendBeacon)\b"
    assert not re.search(reaching_out, text)
    assert not re.search(r"url\(|@import", text)
    assert not re.search(r"\.innerHTML|\.outerHTML|insertAdjacentHTML|document\.write|eval\(", text)


def test_the_policy_allows_our_code_and_nothing_else() -> None:
    page = Reader(render("title", META, "AAAA"))
    policy = next(a["content"] for t, a in page.elements if a.get("http-equiv"))
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert "unsafe" not in policy
    code = next(text for attrs, text in page.inside if not attrs)  # the style comes first
    scripts = [text for attrs, text in page.inside if "type" not in attrs]
    for rule, text in (("style-src", code), ("script-src", scripts[-1])):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False,
                                                                     allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(values, st.text())
def test_any_names_and_values_come_through_as_data(value: Any, title: str) -> None:
    page = Reader(render(title, {"x": value}, "AAAA"))
    found = [text for attrs, text in page.inside if attrs.get("id") == "meta"]
    assert len(page.inside) == 4  # the style, the facts, the data, the code
    assert json.loads(found[0]) == {"x": value}


@pytest.mark.parametrize(
    "name",
    ["</script><script>alert(1)</script>", "<!--<script>", "]]>", "\u2028", "@script@", "\\u003c"],
)
def test_a_name_cannot_leave_its_place(name: str) -> None:
    page = Reader(render(name, {"manifest": {"symbol": name, name: name}}, "AAAA"))
    assert len([t for t, _ in page.elements if t == "script"]) == 3
    facts = next(text for attrs, text in page.inside if attrs.get("id") == "meta")
    assert json.loads(facts)["manifest"] == {"symbol": name, name: name}


def test_numbers_that_json_lacks_are_null() -> None:
    text = safe_json({"a": float("nan"), "b": [float("inf"), 1.5], "c": (float("-inf"),)})
    assert json.loads(text) == {"a": None, "b": [None, 1.5], "c": [None]}


def test_every_asset_is_joined() -> None:
    from importlib.resources import files

    names = {p.name for p in files("engine.report").joinpath("assets").iterdir()}
    assert names == {*SCRIPTS, "report.html", "report.css"}
    assert len(script()) < 150_000
    for name in names:
        lines = files("engine.report").joinpath("assets", name).read_text("utf-8").splitlines()
        assert len(lines) <= 500, name


def test_every_reason_of_a_fill_has_its_sentence() -> None:
    assert set(FILL_REASONS) == set(FillReason)
