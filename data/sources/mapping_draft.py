"""A first draft of a mapping file, from the first lines of a table nobody has described yet.

Owns the guesses: separator, header, what each column is, the unit of its times, the words of its
sides. What must hold: a guess is written down with what it was seen from, never acted on silently;
where a column could be two things, the draft says so; a draft is a mapping file that loads.

It refuses to know how rows are parsed (the parser shows them) and who prints the draft.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from data.errors import DataError
from data.sources.mapping import BUY_WORDS, FALSE_WORDS, SELL_WORDS, TRUE_WORDS
from data.sources.mapping_times import ORDERS, read_one
from data.sources.mt5_export import epoch_unit

SAMPLE_ROWS = 500

_SEPARATORS = (",", "\t", ";", "|")
_NUMBER = re.compile(r"[-+]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][-+]?\d{1,3})?")
_CLOCK = re.compile(r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?")
_LEVEL = re.compile(
    r"(?P<side>bids?|asks?|b|a)(?P<n1>\d{0,2})(?P<what>price|px|p|size|sz|qty|quantity|amount|volume"
    r"|vol|v|q|s)?(?P<n2>\d{0,2})"
)
_PRICES = frozenset({"price", "px", "p", ""})

_NAMES: dict[str, tuple[str, ...]] = {
    "price": ("price", "tradeprice", "px", "p", "lastprice", "last", "rate", "close"),
    "qty": (
        "qty", "quantity", "size", "amount", "volume", "vol", "q", "tradeqty", "tradesize",
        "tradevolume", "baseqty", "basevolume", "sz", "lastsize", "lastqty", "foreignnotional",
    ),
    "side": ("side", "takerside", "aggressor", "aggressorside", "direction", "tradeside", "type",
             "buysell", "bs", "takersidesell", "orderside"),
    "maker": ("isbuyermaker", "buyermaker", "ismaker", "m", "wasmaker", "maker"),
    "id": ("id", "tradeid", "tid", "aggtradeid", "updateid", "trdmatchid", "seq", "sequence", "uid",
           "execid", "u", "lastupdateid"),
    "bid": ("bid", "bidprice", "bestbid", "bestbidprice", "b", "bidpx", "bp"),
    "ask": ("ask", "askprice", "bestask", "bestaskprice", "a", "askpx", "offer", "ap"),
    "bid_qty": ("bidqty", "bidsize", "bidvolume", "bestbidqty", "bidamount", "bidsz", "bq", "bv",
                "bestbidsize"),
    "ask_qty": ("askqty", "asksize", "askvolume", "bestaskqty", "askamount", "asksz", "aq", "av",
                "offersize", "bestasksize"),
    "open": ("open", "o", "openprice"),
    "high": ("high", "h", "max", "highprice"),
    "low": ("low", "l", "min", "lowprice"),
    "close": ("close", "c", "closeprice", "last"),
    "volume": ("volume", "vol", "v", "basevolume", "realvolume", "volumebtc", "qty", "amount"),
    "buy_volume": ("takerbuyvolume", "takerbuybasevolume", "buyvolume", "takerbuybaseassetvolume",
                   "takerbase"),
    "trades": ("trades", "tradecount", "count", "numberoftrades", "numtrades", "n", "tickvolume",
               "tickvol", "tradenum", "ticks"),
    "symbol": ("symbol", "pair", "instrument", "ticker", "market", "sym", "instid"),
}  # fmt: skip
"""Titles (small letters and digits) that tell a role, the best first."""

_TIMES = (
    "timestamp", "time", "datetime", "ts", "date", "tradetime", "transacttime", "exchangetimestamp",
    "eventtime", "opentime", "unix", "unixtime", "t", "localtimestamp", "gmttime", "timeutc",
    "createdat", "executedat", "timems", "timens", "tsms", "tsns", "tsevent", "datetimeutc",
)  # fmt: skip


@dataclass(slots=True)
class Column:
    """What the sample shows of one column: ``form`` is epoch, moment, date, clock, number, word or
    empty; ``detail`` the unit of an epoch or the order of a date."""

    title: str
    form: str
    detail: str = ""
    texts: list[str] = field(default_factory=list)

    @property
    def key(self) -> str:
        """The title in small letters and digits alone."""
        return re.sub(r"[^a-z0-9]", "", self.title.lower())


@dataclass(slots=True)
class Sketch:
    """Everything that was seen; ``notes`` are doubts, for the user. Columns count from 0."""

    separator: str
    decimal: str
    header: bool
    skip: int
    columns: list[Column]
    kind: str = ""
    roles: dict[str, list[int]] = field(default_factory=dict)
    time: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def sketch(lines: Sequence[bytes], where: str) -> Sketch:
    """What a table's first lines show. DataError where they are no table, or of no known kind."""
    texts = [line.decode("utf-8", "replace").strip("\ufeff\r\n") for line in lines]
    separator, skip = _shape(texts, where)
    rows = [[c.strip().strip('"').strip() for c in t.split(separator)] for t in texts[skip:] if t]
    width = len(rows[0])
    rows = [row for row in rows if len(row) == width][: SAMPLE_ROWS + 1]
    header = _is_header(rows)
    titles = rows[0] if header else [""] * width
    body = rows[1:] if header else rows
    if not body:
        raise DataError("the table has no rows", where=where, why="it is a header and nothing else")
    decimal = _decimal(separator, body)
    columns = [_column(titles[i], [row[i] for row in body], decimal) for i in range(width)]
    found = Sketch(separator, decimal, header, skip, columns)
    _find_time(found, where)
    _find_roles(found, where)
    return found


def _shape(texts: Sequence[str], where: str) -> tuple[str, int]:
    """(separator, lines before the table)."""
    filled = [(i, t) for i, t in enumerate(texts[:200]) if t.strip() and not t.startswith("#")]
    best, skip = "", 0
    top = (0.0, 0, 0)
    for separator in _SEPARATORS:
        counts = Counter(t.count(separator) for _, t in filled)
        count, lines = max(counts.items(), key=lambda c: (c[0] > 0, c[1]), default=(0, 0))
        rows = [(i, t) for i, t in filled if t.count(separator) == count]
        score = (_readable_share([t for _, t in rows[-20:]], separator), lines, count)
        if count and score > top:
            best, top, skip = separator, score, rows[0][0]
    if not best:
        raise DataError(
            "this is no table",
            where=where,
            why="no comma, tab, semicolon or bar separates its lines into the same number of cells",
            do="'ofs import --help' lists the formats",
        )
    return best, skip


def _readable_share(texts: Sequence[str], separator: str) -> float:
    """Share of the cells that are numbers or times: a decimal comma is no separator."""
    cells = [c.strip().strip('"').strip() for t in texts for c in t.split(separator)]
    return sum(map(_is_value, cells)) / max(len(cells), 1)


def _is_value(cell: str) -> bool:
    if _NUMBER.fullmatch(cell) or _CLOCK.fullmatch(cell):
        return True
    return any(read_one(cell, order) for order in ORDERS)


def _is_header(rows: list[list[str]]) -> bool:
    """Whether the first row names the columns: where others hold numbers or times, it does not."""
    if len(rows) < 2:
        return not any(map(_is_value, rows[0]))
    values = [i for i, c in enumerate(rows[1]) if _is_value(c)]
    return bool(values) and not any(_is_value(rows[0][i]) for i in values)


def _decimal(separator: str, body: list[list[str]]) -> str:
    if separator == ",":
        return "."
    cells = [c for row in body[:50] for c in row if _NUMBER.fullmatch(c)]
    return "," if any("," in c for c in cells) and not any("." in c for c in cells) else "."


def _column(title: str, cells: list[str], decimal: str) -> Column:
    """What a column holds, seen from nearly all of its cells: a few damaged rows prove nothing."""
    texts = [c for c in cells if c]
    if not texts:
        return Column(title, "empty")
    for order in ORDERS:
        times = _mostly(texts, lambda t, order=order: read_one(t, order))  # type: ignore[misc]
        if times:
            if order == "ymd" and all(t.isdigit() and len(t) == 8 for t in times):
                return Column(title, "date", order, times)
            clocked = any(":" in t or len(t) > 10 for t in times)
            return Column(title, "moment" if clocked else "date", order, times)
    clocks = _mostly(texts, _CLOCK.fullmatch)
    if clocks:
        return Column(title, "clock", "", clocks)
    numbers = _mostly(texts, lambda t: number(t, decimal) is not None)
    if numbers:
        unit = epoch_unit(numbers[0].replace(decimal, "."))
        if unit != "text" and _mostly(numbers, lambda t: _plausible(t, unit, decimal)):
            return Column(title, "epoch", unit, numbers)
        return Column(title, "number", "", numbers)
    return Column(title, "word", "", texts)


def _mostly(texts: list[str], test: Callable[[str], object]) -> list[str]:
    """The texts that pass, if nearly all of them do; else none."""
    fitting = [t for t in texts if test(t)]
    return fitting if len(fitting) >= 0.9 * len(texts) else []


def number(text: str, decimal: str) -> float | None:
    """A cell as a number, roughly; None where it is none."""
    if decimal != "." and "." in text:
        return None
    plain = text.replace(decimal, ".", 1)
    return float(plain) if _NUMBER.fullmatch(plain) and "," not in plain else None


def _plausible(text: str, unit: str, decimal: str) -> bool:
    """Whether a number is a time of 2000 to 2050."""
    per_s = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    return 946e6 < (number(text, decimal) or 0) / per_s < 2.53e9


def _find_time(found: Sketch, where: str) -> None:
    timed = [i for i, c in enumerate(found.columns) if c.form in ("epoch", "moment")]
    dates = [i for i, c in enumerate(found.columns) if c.form == "date"]
    clocks = [i for i, c in enumerate(found.columns) if c.form == "clock"]

    def rank(i: int) -> tuple[int, int]:
        key = found.columns[i].key
        return (_TIMES.index(key) if key in _TIMES else len(_TIMES), i)

    if timed:
        found.time = [min(timed, key=rank)]
        others = [found.columns[i].title or f"column {i + 1}" for i in timed if i not in found.time]
        if others:
            found.notes.append(f"other columns hold times too: {', '.join(others)}")
    elif dates and clocks:
        found.time = [dates[0], clocks[0]]
    elif dates:
        found.time = [dates[0]]
    else:
        raise DataError(
            "no column of this table holds times",
            where=where,
            why="neither an epoch nor a date is among its columns",
            do="write a mapping by hand (the README shows one); numbers since a midnight need the "
            'key since = "2024-01-02" below [time]',
        )
    first = found.columns[found.time[0]]
    if first.detail == "dmy" and all(read_one(t, "mdy") for t in first.texts):
        found.notes.append("the day may stand before the month or after it: see 'order'")


def _find_roles(found: Sketch, where: str) -> None:
    """The kind of the table, and which column is what."""
    taken = set(found.time)
    if found.header:
        named = _named(found.columns, taken)
        levels = _levels(found.columns, taken)
        for kind, roles in (("depth", levels), ("bar", named), ("quote", named), ("trade", named)):
            need = _NEED[kind]
            if all(role in roles for role in need):
                found.kind = kind
                found.roles = {r: roles[r] for r in (*need, *_MAY[kind]) if r in roles}
                break
    else:
        _bare(found, [i for i in range(len(found.columns)) if i not in taken])
    if not found.kind:
        titles = ", ".join(c.title or f"column {i + 1}" for i, c in enumerate(found.columns))
        raise DataError(
            "what this table holds is not clear",
            where=where,
            why=f"its columns ({titles}) are not those of trades, quotes, bars or books",
            do="write a mapping by hand; the README shows one",
        )
    if found.kind == "trade" and not {"side", "maker"} & set(found.roles):
        used = taken | {i for places in found.roles.values() for i in places}
        sides = [i for i, c in enumerate(found.columns) if i not in used and _side_words(c)]
        if len(sides) == 1 and found.columns[sides[0]].form == "word":
            found.roles["side"] = sides
    _check_roles(found)


_NEED: dict[str, tuple[str, ...]] = {
    "depth": ("bid_price", "bid_qty", "ask_price", "ask_qty"),
    "bar": ("open", "high", "low", "close"),
    "quote": ("bid", "ask"),
    "trade": ("price", "qty"),
}
_MAY: dict[str, tuple[str, ...]] = {
    "depth": ("id", "symbol"),
    "bar": ("volume", "buy_volume", "trades", "symbol"),
    "quote": ("bid_qty", "ask_qty", "id", "symbol"),
    "trade": ("side", "maker", "id", "symbol"),
}


def _named(columns: list[Column], taken: set[int]) -> dict[str, list[int]]:
    """Roles by title; of several titles the best one."""
    roles: dict[str, list[int]] = {}
    for role, names in _NAMES.items():
        word = role in ("side", "maker", "symbol")
        fitting = [
            (names.index(c.key), i)
            for i, c in enumerate(columns)
            if i not in taken and c.key in names and (word or c.form in ("number", "epoch", "word"))
        ]
        if fitting:
            roles[role] = [min(fitting)[1]]
    if "side" in roles and columns[roles["side"][0]].form not in ("word", "number"):
        del roles["side"]
    return roles


def _levels(columns: list[Column], taken: set[int]) -> dict[str, list[int]]:
    """Columns of a book of several levels: bid_price_1, asks[0].amount, b1, bv1 ..."""
    found: dict[str, dict[int, int]] = {}
    for i, column in enumerate(columns):
        match = _LEVEL.fullmatch(column.key)
        if match is None or i in taken or not (match["n1"] or match["n2"]):
            continue
        side = "bid" if match["side"].startswith("b") else "ask"
        what = "price" if (match["what"] or "") in _PRICES else "qty"
        found.setdefault(f"{side}_{what}", {})[int(match["n1"] or match["n2"])] = i
    if len(found) < 4 or len({tuple(sorted(levels)) for levels in found.values()}) != 1:
        return {}
    roles = {role: [i for _, i in sorted(levels.items())] for role, levels in found.items()}
    ids = [i for i, c in enumerate(columns) if c.key in _NAMES["id"] and i not in taken]
    return roles | ({"id": ids[:1]} if ids else {})


def _bare(found: Sketch, free: list[int]) -> None:
    """A table without a header: by the look of its numbers."""
    numbers = [i for i in free if found.columns[i].form == "number"]
    values = {i: [number(t, found.decimal) or 0.0 for t in found.columns[i].texts] for i in numbers}
    sides = [i for i in free if found.columns[i].form == "word" and _side_words(found.columns[i])]
    found.notes.append("there is no header: the columns were told by their numbers alone")
    if len(numbers) >= 4 and not sides:
        o, h, low, c = (values[i] for i in numbers[:4])
        rows = zip(o, h, low, c, strict=False)
        if all(x[2] <= min(x[0], x[3]) and max(x[0], x[3]) <= x[1] for x in rows):
            found.kind = "bar"
            names = ("open", "high", "low", "close", "volume")
            found.roles = {n: [i] for n, i in zip(names, numbers, strict=False)}
            return
    if len(numbers) < 2:
        return
    first, second = values[numbers[0]], values[numbers[1]]
    near = all(a <= b <= 1.1 * a for a, b in zip(first, second, strict=False))
    if near and not sides:
        found.kind, found.roles = "quote", {"bid": [numbers[0]], "ask": [numbers[1]]}
    else:
        found.kind, found.roles = "trade", {"price": [numbers[0]], "qty": [numbers[1]]}
        found.notes.append("price and quantity could be the other way round")
        found.roles |= {"side": sides[:1]} if sides else {}


def _side_words(column: Column) -> bool:
    words = {t.lower() for t in column.texts}
    return bool(words) and words <= {*BUY_WORDS, *SELL_WORDS}


def _check_roles(found: Sketch) -> None:
    """Leave out columns that would reject every row, and say why."""
    for role in ("side", "maker"):
        if role not in found.roles:
            continue
        column = found.columns[found.roles[role][0]]
        words = {t.lower() for t in column.texts}
        bools = words <= {*TRUE_WORDS, *FALSE_WORDS}
        fits = bools if role == "maker" else _side_words(column) and not words <= {"0", "1", "2"}
        if not fits:
            shown = ", ".join(repr(w) for w in sorted(words)[:6])
            found.notes.append(
                f"{column.title or 'a column'} may be the side, but its words ({shown}) do not "
                "tell which is the buyer: say it under [columns] and [side]"
            )
            del found.roles[role]
    if "side" in found.roles and "maker" in found.roles:
        del found.roles["maker"]
    if "id" in found.roles:
        column = found.columns[found.roles["id"][0]]
        if not all(t.isdigit() and len(t) < 19 for t in column.texts):
            index = found.roles.pop("id")
            if found.kind == "trade":
                found.roles["id_text"] = index
    if "trades" in found.roles:
        column = found.columns[found.roles["trades"][0]]
        if not all(t.isdigit() for t in column.texts):
            del found.roles["trades"]
