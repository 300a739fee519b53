"""The model file: TOML with the numbers, what they were fitted on, and how good they were.

Owns writing it (whole or not at all), reading it back with every mistake named, and what it means:
:func:`settings` are the ``confluence.`` parameters that a fold reads, so a manifest with its
parameters holds the model and nobody needs the file again. What must hold: the same log gives the
same bytes but for the line ``created``; ``digest`` covers every other line, so a number that was
changed by hand shows. It refuses to know how anything was fitted.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from data.busy import replace
from data.errors import ConfigError, DataError
from data.toml_lines import key_lines
from engine.kernel.confluence import KNOTS_MAX, SOURCES

SCHEMA = 1
"""Version of the form of a model file."""

_OUTSIDE = re.compile(r"^(?:created|digest) = .*\n", re.MULTILINE)
_HEAD = """\
# A model of the classifier, written by `ofs calibrate`; `ofs backtest --model FILE` runs with it.
# A number that is changed here changes the digest, and the model is then refused.
"""


@dataclass(frozen=True)
class Model:
    """A model that was read or is about to be written.

    ``intercept`` and ``beta`` (by source) in log-odds; ``x``, ``p``, ``low`` the calibrator's
    knots; ``facts`` everything else of the file, by table. ``sha256`` of the file's bytes and its
    ``path``, empty until it was written or read; ``whole`` False where the digest does not fit.
    """

    intercept: float
    beta: dict[str, float]
    x: tuple[float, ...]
    p: tuple[float, ...]
    low: tuple[float, ...]
    facts: dict[str, Any]
    digest: str = ""
    sha256: str = ""
    path: str = ""
    whole: bool = True


def settings(model: Model) -> dict[str, str]:
    """The parameters of group ``confluence`` that put ``model`` into a fold, as text."""
    out = {"confluence.fitted": "true", "confluence.intercept": number(model.intercept)}
    out.update({f"confluence.beta_{s}": number(model.beta[s]) for s in SOURCES})
    out["confluence.knots"] = str(len(model.x))
    for n in range(KNOTS_MAX):
        here = n < len(model.x)
        for name, values in (("x", model.x), ("p", model.p), ("low", model.low)):
            out[f"confluence.knot_{name}_{n}"] = number(values[n]) if here else "0"
    return out


def number(value: float) -> str:
    """A number as a setting takes it: plain decimals at 1e-9, no exponent."""
    text = f"{value:.9f}".rstrip("0").rstrip(".")
    return "0" if text in ("", "-0") else text


def render(model: Model, created: str) -> tuple[str, str]:
    """(text of the file, digest); ``created`` (ISO 8601) is no part of the digest."""
    first = {
        "schema": SCHEMA,
        "created": created,
        "digest": "",
        "intercept": model.intercept,
        "beta": model.beta,
        "calibrator": {
            "method": model.facts["method"],
            "x": list(model.x),
            "p": list(model.p),
            "p_low": list(model.low),
        },
    }
    rest = {k: v for k, v in model.facts.items() if k != "method"}
    text = _HEAD + "\n".join(_toml({**first, **rest})) + "\n"
    digest = digest_of(text)
    return text.replace('\ndigest = ""\n', f'\ndigest = "{digest}"\n', 1), digest


def digest_of(text: str) -> str:
    """sha256 (hex) of a model file's text without the lines ``created`` and ``digest``."""
    return hashlib.sha256(_OUTSIDE.sub("", text, count=2).encode()).hexdigest()


def _toml(table: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Lines of ``table``: values first, then tables, then arrays of tables."""
    tables = {k: v for k, v in table.items() if isinstance(v, Mapping)}
    arrays = {k: v for k, v in table.items() if _is_rows(v)}
    for key, value in table.items():
        if key not in tables and key not in arrays and value is not None:
            yield f"{_key(key)} = {_value(value)}"
    for key, value in tables.items():
        yield from ("", f"[{path}{_key(key)}]")
        yield from _toml(value, f"{path}{_key(key)}.")
    for key, rows in arrays.items():
        for row in rows:
            yield from ("", f"[[{path}{_key(key)}]]")
            yield from _toml(row, f"{path}{_key(key)}.")


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], Mapping)


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(round(value, 9) + 0.0)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_value(v) for v in value) + "]"
    return json.dumps(str(value), ensure_ascii=False)


def write_whole(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path``, whole or not at all; DataError where that cannot be."""
    beside = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(content)
        replace(beside, path)
    except OSError as error:
        raise DataError(
            "the file cannot be written", where=str(path), why=error.strerror or str(error),
            do="choose another place with --out",
        ) from None  # fmt: skip
    finally:
        beside.unlink(missing_ok=True)


def read_model(path: Path) -> Model:
    """The model in ``path``; ConfigError that names the file and line of the first mistake."""
    try:
        content = path.read_bytes()
        text = content.decode("utf-8").replace("\r\n", "\n")
        values = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(
            "the model file cannot be read", where=str(path), why=error.strerror or str(error),
            do="`ofs calibrate --out FILE` writes one",
        ) from None  # fmt: skip
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(
            "the model file is not TOML", where=str(path), why=str(error),
            do="write it again with `ofs calibrate`",
        ) from None  # fmt: skip
    return _Reader(str(path), values, text).model(hashlib.sha256(content).hexdigest())


class _Reader:
    """Takes a file's values apart and says on which line one is wrong."""

    def __init__(self, path: str, values: dict[str, Any], text: str) -> None:
        self._path, self._values, self._text = path, values, text

    def model(self, sha256: str) -> Model:
        schema = self._values.get("schema")
        if schema != SCHEMA:
            self._fail(f"its schema is {schema!r}, this ofs reads {SCHEMA}", "schema")
        for table in ("beta", "calibrator", "labels", "provenance", "settings"):
            if not isinstance(self._values.get(table), dict):
                self._fail(f"it has no table [{table}]", table)
        beta = {name: self._number("beta", name) for name in SOURCES}
        if more := sorted(set(self._values["beta"]) - set(SOURCES)):
            self._fail(f"there is no source {more[0]!r}", "beta", more[0])
        x, p, low = (self._knots(name) for name in ("x", "p", "p_low"))
        if not (len(x) == len(p) == len(low) and 1 <= len(x) <= KNOTS_MAX):
            self._fail(f"x, p and p_low must be of one length, 1 to {KNOTS_MAX}", "calibrator")
        self._check_knots(x, p, low)
        digest = str(self._values.get("digest", ""))
        own = ("schema", "digest", "created", "intercept", "beta", "calibrator")
        facts = {k: v for k, v in self._values.items() if k not in own}
        facts["method"] = str(self._values["calibrator"].get("method", ""))
        return Model(self._number("intercept"), beta, x, p, low, facts, digest, sha256, self._path,
                     digest == digest_of(self._text))  # fmt: skip

    def _number(self, *keys: str) -> float:
        value: Any = self._values
        for key in keys:
            value = value.get(key)
        fits = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not fits or not math.isfinite(value) or abs(value) > 1e6:
            self._fail(f"{'.'.join(keys)} is {value!r}, a number is asked for", *keys)
        return float(value)

    def _knots(self, name: str) -> tuple[float, ...]:
        values = self._values["calibrator"].get(name)
        whole = isinstance(values, list) and all(
            isinstance(v, (int, float)) and not isinstance(v, bool) and math.isfinite(v)
            for v in values
        )
        if not whole:
            self._fail(f"calibrator.{name} is no list of numbers", "calibrator", name)
        return tuple(float(v) for v in values or ())

    def _check_knots(
        self, x: tuple[float, ...], p: tuple[float, ...], low: tuple[float, ...]
    ) -> None:
        if any(b <= a for a, b in pairwise(x)):
            self._fail("calibrator.x does not ascend", "calibrator", "x")
        for name, values in (("p", p), ("p_low", low)):
            if any(b < a for a, b in pairwise(values)):
                self._fail(f"calibrator.{name} falls", "calibrator", name)
        if any(not 0 <= b <= a <= 1 for a, b in zip(p, low, strict=True)):
            self._fail("0 <= p_low <= p <= 1 does not hold", "calibrator", "p_low")

    def _fail(self, why: str, *keys: str) -> None:
        lines = key_lines(self._text)
        line = next((lines[keys[:n]] for n in range(len(keys), 0, -1) if keys[:n] in lines), None)
        raise ConfigError(
            "this is no model of the classifier",
            where=self._path if line is None else f"{self._path}:{line}",
            why=why,
            do="write it again with `ofs calibrate`",
        )
