"""Numbers of the record views in words: which detector spoke, which gates passed, who refused.

Owns the columns that a run's manifest gives names to: its lists ``detectors``, ``gates`` and
``refusals``. What must hold: the columns have their types without any run; a bit that the manifest
names not stands in no list, and a run that names nothing has NULL there, never a wrong name.

It refuses to know where files lie.
"""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from data.runs import Run

LISTS = ("detectors", "gates", "refusals")
"""Lists of names in a manifest."""

_NAMED = {
    "signals": (("name", "detectors", "f.detector", "name of the detector"),),
    "decisions": (
        ("gates_passed", "gates", "f.gates", "names of the gates that passed"),
        ("gates_blocked", "gates", "f.blocked", "names of the gates that did not pass"),
        ("refused_by", "refusals", "f.refused", "names of the guards that refused"),
    ),
}
"""By view: the column, the list that names it, the number it is of, and what it means."""


def names_table(runs: Iterable[Run]) -> pa.Table:
    """One row a run: its id and the lists of names of its manifest, null where it has none."""
    found = list(runs)
    columns: dict[str, pa.Array] = {"run": pa.array([run.id for run in found], pa.string())}
    for key in LISTS:
        lists = [_list(run.manifest.get(key)) for run in found]
        columns[key] = pa.array(lists, pa.list_(pa.string()))
    return pa.table(columns)


def named_columns(view: str) -> list[str]:
    """SQL of the columns that ``view`` has more; ``f`` is the record, ``n`` its run's names."""
    columns = []
    for column, names, number, _ in _NAMED.get(view, ()):
        if view == "signals":
            columns.append(f'n.{names}[{number} + 1] AS "{column}"')
            continue
        bits = f"[n.{names}[i + 1] FOR i IN range(len(n.{names})) IF ({number} >> i) & 1 = 1]"
        columns.append(f'CASE WHEN n.{names} IS NOT NULL THEN {bits} END AS "{column}"')
    return columns


def named_docs(view: str) -> dict[str, str]:
    """What the columns of :func:`named_columns` mean, by name."""
    return {column: doc for column, _, _, doc in _NAMED.get(view, ())}


def _list(names: object) -> list[str] | None:
    """A list of names; None where the manifest says something else there."""
    return [str(name) for name in names] if isinstance(names, list) else None
