"""Files of settings: the line of every key, whatever stands around it, and files that are none."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import ConfigError
from data.settings_file import leaves as leaves_of_table
from data.settings_file import read_settings, text_of
from data.toml_lines import key_lines

DECOYS = ("[decoy]", "decoy = 1", '# "', "a.b = [", "'x", "\\\\", "{", "]]", "=", "é")
BLANKS = ("", "# [not] a = 'table", "\t", '  # """')
VALUES = (
    "1", "-2.5e3", "true", "1979-05-27 07:32:00", "1979-05-27T07:32:00Z", "07:32:00", "inf",
    '"a # b"', "'c:\\d'", '"\\" = ["', '""', "''", "[]", "[[1, 2], [3]]",
    '["]", # ]\n  "#",\n  \'}\',\n]', "[\n# nothing\n]",
)  # fmt: skip

keys = st.sampled_from(("a", "b-c", "D_1", "77", '"q.r"', '"s t"', "'[u]'", '"\\u00e9"'))
decoys = st.lists(st.sampled_from(DECOYS), max_size=4).map("\n".join)
long_basic = decoys.map(lambda text: '"""' + text.replace("\\", "\\\\") + '\n""x"""')
long_literal = decoys.map(lambda text: "'''" + text.replace("'", "") + "\n''x'''")
values = st.one_of(st.sampled_from(VALUES), long_basic, long_literal)


def name(word: str) -> str:
    found: str = tomllib.loads(f"k = {word}")["k"] if word[0] in "\"'" else word
    return found


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, dict[tuple[str | int, ...], int]]:
    """A TOML text and, written down while it is made, the line of each of its pairs."""
    text, table, lines = "", (), {}
    elements = 0
    for number in range(draw(st.integers(0, 12))):
        text += "".join(line + "\n" for line in draw(st.lists(st.sampled_from(BLANKS), max_size=2)))
        key, pad = draw(keys), draw(st.sampled_from(("", " ", "  ")))
        unique = f"{key}.k{number}" if draw(st.booleans()) else f"k{number}{pad}.{pad}{key}"
        path = tuple(name(part.strip()) for part in split(unique))
        line = text.count("\n") + 1
        kind = draw(st.sampled_from(("pair", "pair", "pair", "table", "element", "inline")))
        if kind == "table":
            table = (f"t{number}", *path)
            text += f"{pad}[t{number}.{unique}{pad}]{pad}# [x]\n"
            lines[table] = line
        elif kind == "element":
            table = ("list", elements)
            elements += 1
            text += f"[[{pad}list{pad}]]\n"
            lines[table] = line
        elif kind == "inline":
            text += f"{pad}x{number} = {{ {unique} = 1, z = {{y=[{{v = 2}}]}} }}\n"
            lines[(*table, f"x{number}", *path)] = line
            lines[(*table, f"x{number}", "z", "y", 0, "v")] = line
        else:
            text += f"{pad}x{number}.{unique}{pad}={pad}{draw(values)}{pad}# a = 1\n"
            lines[(*table, f"x{number}", *path)] = line
    return text, lines


def split(dotted: str) -> list[str]:
    parts, quoted = [""], ""
    for c in dotted:
        if c in "\"'":
            quoted = "" if c == quoted else quoted or c
        if c == "." and not quoted:
            parts.append("")
        else:
            parts[-1] += c
    return parts


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Any:
    if isinstance(value, dict):
        for key, below in value.items():
            yield (*path, key)
            yield from leaves(below, (*path, key))
    elif isinstance(value, list):
        for number, below in enumerate(value):
            yield from leaves(below, (*path, number))


@given(documents())
def test_every_key_has_its_line(document: tuple[str, dict[tuple[str | int, ...], int]]) -> None:
    text, lines = document
    values = tomllib.loads(text)
    found = key_lines(text)
    assert {path: found.get(path) for path in lines} == lines
    assert set(leaves(values)) <= set(found)
    assert all(1 <= line <= text.count("\n") + 1 for line in found.values())


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ('a = 1\nb = "x\n', 2, "illegal character"),
        ("a = 1\n\nb =\n", 3, "invalid value"),
        ("a = 1\na = 2\n", 2, "second value"),
        ("[a]\nb = 1\n[a]\n", 3, "given twice"),
        ("a = {b = 1}\na.c = 2\n", 2, "given twice"),
        ('log = "x"\n[log.ls]\n', 2, "log has a value above"),
        ("[a]\nx = 1\n[a]\n", 3, "twice"),
        ('a = """\nb\n\n\n', 2, "unterminated"),
        ("= 1", 1, "invalid"),
    ],
)
def test_a_text_that_is_no_toml_names_its_line(
    text: str, line: int, why: str, tmp_path: Path
) -> None:
    file = tmp_path / "ofs.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        read_settings(file)
    assert error.value.where == f"{file}:{line}"
    assert why in error.value.why.lower() and error.value.do and error.value.exit_code == 3


def test_what_editors_of_windows_write(tmp_path: Path) -> None:
    file = tmp_path / "ofs.toml"
    file.write_bytes(b"\xef\xbb\xbfa = 0.10\r\n[b]\r\nc = '''x\r\ny'''\r\nd = 1\r\n")
    settings = read_settings(file)
    assert settings.values == {"a": Decimal("0.10"), "b": {"c": "x\ny", "d": 1}}
    assert str(settings.values["a"]) == "0.10"
    assert settings.where("b", "d") == f"{file}:5" and settings.where("no") == str(file)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(b"a = '\xff'")
    for path in (tmp_path / "bad", tmp_path / "none", tmp_path):
        with pytest.raises(ConfigError, match="cannot read") as error:
            read_settings(path)
        assert error.value.where == str(path) and error.value.why


@pytest.mark.parametrize("value", ["9" * 5000, "[" * 5000 + "]" * 5000], ids=["number", "nested"])
def test_toml_that_overcomes_the_parser_is_a_mistake_in_the_file(
    tmp_path: Path, value: str
) -> None:
    file = tmp_path / "ofs.toml"
    file.write_text(f"x = {value}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="cannot read") as caught:
        read_settings(file)
    assert str(file) in caught.value.where and caught.value.why


def test_leaves_are_the_values_with_their_paths_and_lines(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_text("[set]\na = 1\nsim.spread = 2\n[set.sim.x]\non = true\n", encoding="utf-8")
    read = read_settings(file)
    found = list(leaves_of_table(read.values["set"], ("set",)))
    want = [("set", "a"), ("set", "sim", "spread"), ("set", "sim", "x", "on")]
    assert [path for path, _ in found] == want
    assert [read.where(*path).rpartition(":")[2] for path, _ in found] == ["2", "3", "5"]
    assert [text_of(value) for _, value in found] == ["1", "2", "true"]
