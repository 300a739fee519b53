"""Where the streams of a session stood: what a restart must know to say what it missed.

Owns :class:`Resume`. It is kept as JSON and brought up to date with the groups that a journal still
holds; so what a crash leaves behind is enough.

It refuses to know where it is kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from data.errors import DataError
from data.events import Kind
from data.ids import ordinals
from data.live.blocks import Group

_STREAMED = frozenset({Kind.TRADE, Kind.DEPTH, Kind.BAR, Kind.QUOTE, Kind.LIQUIDATION, Kind.MARK})


@dataclass(slots=True)
class Resume:
    """Time (ns UTC), order key and id of the last event by (series, kind).

    The key is what :class:`data.live.gaps.Stream` orders by; id 0 means none.
    """

    last: dict[tuple[int, Kind], tuple[int, int, int]] = field(default_factory=dict)

    def follow(self, group: Group) -> None:
        """Take in what was admitted later."""
        for kind, part in group.parts.items():
            if kind not in _STREAMED or not part.rows.n:
                continue
            series, rows = part.series, part.rows
            # the last row of each series: the first one seen from the end
            owners, from_end = np.unique(series[::-1], return_index=True)
            at = len(series) - 1 - from_end
            key = "open_ns" if kind is Kind.BAR else "ts_ns" if kind is Kind.MARK else "id"
            ids = ordinals(rows["id"][at])
            keys = rows[key][at] if key != "id" else ids
            for n, ts, k, i in zip(
                owners.tolist(), rows["ts_ns"][at].tolist(), keys.tolist(), ids.tolist(),
                strict=True,
            ):  # fmt: skip
                self.last[n, kind] = ts, k, i

    def to_json(self) -> dict[str, Any]:
        """Plain data: lists of [series, kind, time, key, id]."""
        rows = [[n, int(kind), *at] for (n, kind), at in sorted(self.last.items())]
        return {"schema": 1, "last": rows}

    @staticmethod
    def of_json(data: dict[str, Any]) -> Resume:
        """What :meth:`to_json` gave; DataError where it is something else."""
        try:
            if data["schema"] != 1:
                raise DataError(f"the point of resumption has schema {data['schema']}, known is 1")
            return Resume(
                {
                    (int(n), Kind(k)): (int(ts), int(key), int(i))
                    for n, k, ts, key, i in data["last"]
                }
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                "the point of resumption cannot be read", why=f"{type(error).__name__}: {error}"
            ) from error
