"""The one file that a report is: the template with its styles, its code and the data of a run.

Owns joining the assets, and what makes the file safe to open: a content security policy that allows
nothing but its own style and script (by their hashes) and no network at all, and data that cannot
end the element that holds them. What must hold: whatever a strategy, a symbol or a setting is
called, it is text.

It refuses to know what the data mean.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from functools import cache
from importlib.resources import files
from typing import Any

SCRIPTS = (
    "format.js", "decode.js", "series.js", "view.js", "canvas.js", "candles.js", "panes.js",
    "marks.js", "tips.js", "chart.js", "input.js", "panel.js", "main.js",
)  # fmt: skip
"""The page's code, in the order in which it is joined; each file uses those before it."""


@cache
def _asset(name: str) -> str:
    text = files("engine.report").joinpath("assets", name).read_text(encoding="utf-8")
    return text.replace("\r\n", "\n")


def script() -> str:
    """The page's code: every module in one function, so that nothing leaks into the page."""
    body = "\n".join(_asset(name) for name in SCRIPTS)
    return f'(() => {{\n"use strict";\n{body}\n}})();'


def _source(text: str) -> str:
    """The hash by which a policy names an inline element."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def safe_json(value: Any) -> str:
    """JSON that can stand inside a script element: no ``<``, and numbers that JSON knows."""
    text = json.dumps(_finite(value), ensure_ascii=False, separators=(",", ":"), default=str)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _finite(value: Any) -> Any:
    """``value`` with null in place of infinities and NaN."""
    if isinstance(value, float) and (value != value or abs(value) == float("inf")):
        return None
    if isinstance(value, dict):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(v) for v in value]
    return value


def render(title: str, meta: dict[str, Any], data: str) -> str:
    """The whole HTML of a report: ``meta`` as JSON, ``data`` the packed columns in base64."""
    code, style = script(), _asset("report.css")
    policy = (
        f"default-src 'none'; script-src {_source(code)}; style-src {_source(style)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    parts = {
        "policy": policy,
        "title": html.escape(title),
        "style": style,
        "meta": safe_json(meta),
        "data": data,
        "script": code,
    }
    return re.sub(r"@(\w+)@", lambda found: parts[found[1]], _asset("report.html"))
