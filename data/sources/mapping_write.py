"""A sketch of a table as the text of a mapping file, every line explained.

Owns the words of the draft. What must hold: the text is a mapping file that loads and fits its
table; every doubt of the sketch stands in it as a comment.

It refuses to guess: what it writes stands in the sketch.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from data.sources.mapping_draft import Column, Sketch, number
from data.sources.mapping_numbers import SCALE_MAX
from data.sources.mapping_parser import symbol_name
from data.sources.mapping_toml import SEPARATORS, parse, resolve
from data.sources.mt5_export import named, spacing
from data.units import format_duration

VENUE = "custom"
"""Venue of a draft whose file names none."""

_ROLE_WORDS = {
    "price": "price of the trade",
    "qty": "quantity in base units, positive",
    "side": "side of the taker (the aggressor); the words stand under [side]",
    "maker": "true where the buyer was the maker, so the aggressor sold",
    "id": "the venue's id, a whole number; it tells duplicates apart",
    "id_text": "the venue's id where it is a text (UUID); it tells duplicates apart",
    "bid": "best bid",
    "ask": "best ask",
    "bid_qty": "size at the best bid",
    "ask_qty": "size at the best ask",
    "open": "first price",
    "high": "highest price",
    "low": "lowest price",
    "close": "last price",
    "volume": "volume in base units",
    "buy_volume": "volume of takers that bought",
    "trades": "number of trades (of ticks, at a broker)",
    "bid_price": "bid prices, best level first",
    "ask_price": "ask prices, best level first",
    "symbol": "symbol of each row; rows of several symbols become several series",
}
_ZONED = re.compile(r"(?:Z|z|UTC|GMT|\d{2}:\d{2}.*[+-]\d{2}(?::?\d{2})?)$")
_OPTIONAL_WORDS = {
    "trade": ("side", "id"),
    "quote": ("bid_qty", "ask_qty", "id"),
    "bar": ("volume", "buy_volume", "trades"),
    "depth": ("id",),
}


def write(
    found: Sketch, name: str, lines: Sequence[bytes], venue: str, symbol: str, interval_ns: int
) -> str:
    """The text of the mapping of the table in the file ``name`` that begins with ``lines``.

    ``venue``, ``symbol`` and ``interval_ns`` are the user's words, empty or 0 where there are none.
    """
    interval, seen = "1m", "could not be seen: correct it"
    if interval_ns:
        interval, seen = format_duration(interval_ns), "as --interval says"
    elif found.kind == "bar":
        draft = _text(found, name, venue, symbol, interval, seen)
        step_ns = spacing(resolve(parse(draft), lines), list(lines))
        if step_ns:
            interval, seen = format_duration(step_ns), "by the distance of the rows"
    return _text(found, name, venue, symbol, interval, seen)


def _text(found: Sketch, name: str, venue: str, symbol: str, interval: str, seen: str) -> str:
    stem = re.sub(r"(\.(csv|txt|tsv|gz|zip|dat|prn))+$", "", name, flags=re.IGNORECASE)
    by_name = named(stem).symbol
    guess = symbol or by_name or symbol_name(stem)
    why = "" if symbol else ", guessed from the name of the file"
    out = [
        f"# Mapping of {_plain(name)}, drafted by 'ofs import --explain'. Correct it, then:",
        f"#   ofs import {_plain(name)} --mapping THIS-FILE.toml",
        *(f"# Doubt: {note}." for note in found.notes),
        "",
        _pair("kind", found.kind, "trade, quote, bar or depth"),
        _pair("venue", venue or VENUE, "name of the source, small letters; choose your own"),
    ]
    if "symbol" in found.roles:
        out.append(f'# symbol = "{guess}"  # the rows name it, see [columns]')
    else:
        out.append(_pair("symbol", guess, f"as it stands in the log{why}"))
    if found.kind == "bar":
        out.append(_pair("interval", interval, f"length of a bar, {seen}"))
    return "\n".join([*out, *_file(found), *_time(found), *_columns(found), *_rest(found), ""])


def _file(found: Sketch) -> list[str]:
    words = {sign: word for word, sign in SEPARATORS.items()}
    separator = "tab" if found.separator == "\t" else found.separator
    out = [
        "",
        "[file]",
        _pair("separator", separator, f"cells end with a {words[found.separator]}"),
    ]
    out.append(_pair("decimal", found.decimal, "sign before the decimals"))
    out.append(_pair("header", found.header, "whether a line names the columns"))
    if found.skip:
        out.append(_pair("skip", found.skip, "lines before the table"))
    return out


def _time(found: Sketch) -> list[str]:
    names = [_reference(found, i) for i in found.time]
    first = found.columns[found.time[0]]
    out = ["", "[time]"]
    out.append(_pair("column", names if len(names) > 1 else names[0], _sample(found, found.time)))
    if first.form == "epoch":
        out.append(_pair("unit", first.detail, "unit since 1970: s, ms, us or ns; or text"))
    else:
        out.append(_pair("unit", "text", "a written date and time; or s, ms, us, ns since 1970"))
        out.append(_pair("order", first.detail, "of day, month and year: ymd, dmy or mdy"))
    zone = 'clock of the times: "UTC", "+02:00", "new-york" (of FX brokers), "Europe/Athens"'
    if any(_ZONED.search(t) for t in first.texts[:20]) and first.form == "moment":
        zone = "clock of times that carry no zone of their own"
    else:
        zone = f"assumed! {zone}"
    out.append(_pair("zone", "UTC", zone))
    if found.kind == "bar":
        out.append(_pair("marks", "open", 'the time is the begin of the bar; "close": its end'))
    return out


def _columns(found: Sketch) -> list[str]:
    out = ["", "[columns]  # title of each, or its number counted from 1"]
    for role, places in found.roles.items():
        names = [_reference(found, i) for i in places]
        words = _ROLE_WORDS[role]
        if len(places) == 1:
            out.append(_pair(role, names[0], f"{words}; {_sample(found, places)}"))
        else:
            out.append(_pair(role, names[:25], words))
    for role in _OPTIONAL_WORDS[found.kind]:
        if role not in found.roles and not (role == "side" and "maker" in found.roles):
            out.append(f'# {role} = "..."  # {_ROLE_WORDS[role]}')
    used = {i for places in found.roles.values() for i in places} | set(found.time)
    left = [_shown(c, i) for i, c in enumerate(found.columns) if i not in used]
    if left:
        out.append(f"# not read: {', '.join(left)}")
    return out


def _rest(found: Sketch) -> list[str]:
    out = []
    if "side" in found.roles:
        texts = {t.lower() for t in found.columns[found.roles["side"][0]].texts}
        buys = sorted(t for t in texts if t in _buy_words())
        sells = sorted(texts - set(buys))
        out += ["", "[side]"]
        out.append(_pair("buy", buys or ["buy"], "words of a trade whose taker bought"))
        out.append(_pair("sell", sells or ["sell"], "words of a trade whose taker sold"))
    out += [
        "",
        "[scale]  # prices or quantities in the file are multiplied by this power of ten",
        "# price = 4  # 11025 in the file is 1.1025",
    ]
    rounding = {unit: _places(found, unit) for unit in ("price", "qty")}
    out += [
        "",
        "[round]  # to this many decimals, half to even; needed where there are more than 12",
    ]
    for unit, places in rounding.items():
        note = "the file has numbers that a program computed in floating point"
        out.append(_pair(unit, places, note) if places is not None else f"# {unit} = 8")
    return out


def _buy_words() -> frozenset[str]:
    from data.sources.mapping import BUY_WORDS

    return frozenset(BUY_WORDS)


def _places(found: Sketch, unit: str) -> int | None:
    """Decimals to round to, where some number of ``unit`` has more than can be held."""
    from data.sources.mapping import INTEGERS, PRICES, WORDS

    most, noisy = 0, False
    for role, columns in found.roles.items():
        if role in INTEGERS | WORDS | {"symbol", "id_text"} or (role in PRICES) != (
            unit == "price"
        ):
            continue
        for i in columns:
            for text in found.columns[i].texts:
                value = number(text, found.decimal)
                if value is None:
                    continue
                plain = text.replace(found.decimal, ".", 1).lower()
                decimals = len(plain.partition("e")[0].partition(".")[2])
                noisy = noisy or decimals > SCALE_MAX or "e-" in plain
                most = max(most, len(f"{value:.10f}".rstrip("0").partition(".")[2]))
    return most if noisy else None


def _reference(found: Sketch, place: int) -> str | int:
    """How a column is named: by its title where that is not empty and the only one of its name."""
    titles = [c.title for c in found.columns]
    title = titles[place]
    alone = found.header and titles.count(title) == 1
    return title if alone and title and title.isprintable() else place + 1


def _shown(column: Column, place: int) -> str:
    return _plain(column.title) or f"column {place + 1}"


def _sample(found: Sketch, places: Sequence[int]) -> str:
    texts = [found.columns[i].texts[0] for i in places if found.columns[i].texts]
    return f"such as {_plain(' '.join(texts))[:60]}"


def _plain(text: str) -> str:
    """A text that cannot break a comment."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _pair(key: str, value: object, comment: str) -> str:
    # JSON's numbers, lists and strings of printable signs are TOML's too
    text = json.dumps(value, ensure_ascii=False)
    return f"{key} = {text}  # {comment}"
