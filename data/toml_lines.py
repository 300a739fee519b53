"""On which line of a TOML text each key stands, which ``tomllib`` does not tell.

Owns one walk over a text that ``tomllib`` has read already. What must hold: for such a text, every
table, key and element of an array of tables gets the line on which its key begins, whatever
strings, comments, dotted keys and inline tables stand around it.

It refuses to know what a key means, and to judge whether a text is TOML.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right

Path = tuple[str | int, ...]
"""Keys from the top of the text; elements of arrays of tables are counted from 0."""

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*'""")
_DOT = re.compile(r"[ \t]*\.[ \t]*")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"""(?:"{0,2})' r"|'''.*?'''(?:'{0,2})" r'|"(?:[^"\\]|\\.)*"' r"|'[^']*'",
    re.DOTALL,
)
_BARE = re.compile(r"[^,\]}#\n]+")


def key_lines(text: str) -> dict[Path, int]:
    """Line (from 1) of every key of ``text``, which must be valid TOML."""
    walk = _Walk(text)
    walk.document()
    return walk.lines


class _Walk:
    """One pass over the text; ``at`` is the place in it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[Path, int] = {}
        self._ends = [i for i, c in enumerate(text) if c == "\n"]
        self._elements: dict[Path, int] = {}

    def document(self) -> None:
        table: Path = ()
        self._blank()
        while self.at < len(self.text):
            if self.text.startswith("[[", self.at):
                table = self._element()
            elif self.text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._blank()

    def _header(self) -> Path:
        line = self._line()
        self._skip("[")
        path = self._resolve(self._keys())
        self._skip("]")
        self._note(path, line)
        return path

    def _element(self) -> Path:
        line = self._line()
        self._skip("[")
        self._skip("[")
        keys = self._keys()
        base = (*self._resolve(keys[:-1]), keys[-1])
        self._elements[base] = self._elements.get(base, -1) + 1
        self._skip("]")
        self._skip("]")
        path = (*base, self._elements[base])
        self._note(base, line)
        self.lines[path] = line
        return path

    def _resolve(self, keys: Path) -> Path:
        """``keys`` with the number of the last element after each array of tables."""
        path: Path = ()
        for key in keys:
            path = (*path, key)
            if path in self._elements:
                path = (*path, self._elements[path])
        return path

    def _pair(self, table: Path) -> None:
        line = self._line()
        path = (*table, *self._keys())
        self._note(path, line)
        self._skip("=")
        self._value(path)

    def _value(self, path: Path) -> None:
        self._blank()
        first = self.text[self.at]
        if first == "[":
            self._list(path)
        elif first == "{":
            self._inline(path)
        else:
            form = _STRING if first in "\"'" else _BARE
            found = form.match(self.text, self.at)
            self.at = found.end() if found else len(self.text)

    def _list(self, path: Path) -> None:
        self._skip("[")
        number = 0
        while not self._closes("]"):
            self._value((*path, number))
            number += 1
            self._comma()

    def _inline(self, path: Path) -> None:
        self._skip("{")
        while not self._closes("}"):
            self._pair(path)
            self._comma()

    def _keys(self) -> Path:
        self._blank()
        keys: list[str] = []
        while found := _KEY.match(self.text, self.at):
            word = found[0]
            keys.append(tomllib.loads(f"k = {word}")["k"] if word[0] in "\"'" else word)
            self.at = found.end()
            dot = _DOT.match(self.text, self.at)
            if not dot:
                break
            self.at = dot.end()
        return tuple(keys)

    def _note(self, path: Path, line: int) -> None:
        for stop in range(1, len(path) + 1):
            self.lines.setdefault(path[:stop], line)

    def _line(self) -> int:
        self._blank()
        return bisect_right(self._ends, self.at - 1) + 1

    def _blank(self) -> None:
        found = _BLANK.match(self.text, self.at)
        self.at = found.end() if found else self.at

    def _skip(self, sign: str) -> None:
        self._blank()
        self.at += len(sign)
        self._blank()

    def _closes(self, sign: str) -> bool:
        self._blank()
        if self.at < len(self.text) and not self.text.startswith(sign, self.at):
            return False
        self.at += 1
        return True

    def _comma(self) -> None:
        self._blank()
        if self.text.startswith(",", self.at):
            self.at += 1
