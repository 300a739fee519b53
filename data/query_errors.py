"""What a question may be, and what its failure is called.

Owns the rule that a question is one statement that reads, and the translation of DuckDB's errors:
wrong SQL is a usage error with a suggestion, a file that cannot be read is a data error that names
the file, an interrupt is an interrupt. It refuses to know the views.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

import duckdb

from data.errors import CorruptFileError, DataError, UsageError

_EXPLAIN = re.compile(
    r"\A(?:\s|--[^\n]*\n|/\*.*?\*/)*EXPLAIN(?:\s+ANALYZE|\s*\([^)]*\))?", re.IGNORECASE | re.DOTALL
)
_FILE = re.compile(r"['\"]([^'\"]+\.parquet)['\"]")
_READ_FAILURES = re.compile(
    r"parquet|zstd|thrift|magic bytes|page header|deserializ", re.IGNORECASE
)
_DENIED = "disabled by configuration"


def check_reads_only(sql: str, views: Sequence[str]) -> None:
    """Raise :class:`UsageError` unless ``sql`` is one statement that cannot write."""
    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as error:
        raise explain(error, views) from None
    if not statements:
        raise UsageError("the question is empty", do='ask e.g. "SELECT * FROM runs"')
    if len(statements) > 1 and _kind(statements[0]) == "SELECT":
        raise UsageError(
            f"there are {len(statements)} statements", why="one question is answered at a time"
        )
    kind = _kind(statements[0])
    if kind == "EXPLAIN":
        # EXPLAIN ANALYZE runs what it explains, so what it explains must be a question too.
        check_reads_only(_EXPLAIN.sub("", sql, count=1), views)
    elif kind != "SELECT":
        raise UsageError(
            f"ofs query only reads, and this is not a SELECT (DuckDB calls it {kind})",
            do="ask with SELECT, FROM, DESCRIBE, SUMMARIZE or EXPLAIN; "
            "a PIVOT goes into FROM (PIVOT ... )",
        )


def explain(error: Exception, views: Sequence[str]) -> BaseException:
    """The error to raise for DuckDB's ``error``: usage, data, or an interrupt."""
    text = str(error).strip()
    if isinstance(error, duckdb.InterruptException) or "Query interrupted" in text:
        return KeyboardInterrupt()
    if _DENIED in text:
        return UsageError(
            text.split(" - ")[0],
            why="a question may read the log and the runs only",
            do="read files through the views; see 'ofs query --list'",
        )
    if isinstance(error, duckdb.OutOfMemoryException):
        return DataError(text, do="narrow the question, e.g. by symbol and date")
    if _is_read_failure(error, text):
        found = _FILE.search(text)
        return CorruptFileError(
            "a file could not be read",
            where=found.group(1) if found else "",
            why=text,
            do="see 'ofs log check'; to answer without it, exclude it by venue, symbol and date",
        )
    return UsageError(f"cannot answer: {text}", do=_suggest(text, views))


def _kind(statement: duckdb.Statement) -> str:
    return str(statement.type).rsplit(".", maxsplit=1)[-1]


def _is_read_failure(error: Exception, text: str) -> bool:
    if isinstance(error, (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException)):
        return False
    return isinstance(error, duckdb.IOException) or bool(_READ_FAILURES.search(text))


def _suggest(text: str, views: Sequence[str]) -> str:
    missing = re.search(r"(?:Table|View) with name ([\w.]+) does not exist", text)
    if missing is None:
        return "see 'ofs query --list' for the views, their columns and examples"
    near = difflib.get_close_matches(missing.group(1), views, n=2, cutoff=0.6)
    hint = f"did you mean {' or '.join(near)}? " if near and "Did you mean" not in text else ""
    return f"{hint}the views are {', '.join(views)}"
