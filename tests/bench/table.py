"""The table of a bench run, as Markdown that can stand in the README.

Owns the ratios that the project is held to and how they are printed. Refuses to measure.
"""

from __future__ import annotations

from typing import Any

# (name, ofs line, peer lines of which the fastest counts, at least)
HELD_TO = (
    ("ofs / hftbacktest, the same job", "ofs", ("hft-hashmap", "hft-roivec"), 3.0),
    ("ofs, all handlers / hftbacktest", "ofs-all", ("hft-hashmap", "hft-roivec"), 1.0),
    ("ofs / NautilusTrader 1.x", "ofs", ("nautilus-1",), 100.0),
    ("ofs / NautilusTrader 2.x", "ofs", ("nautilus-2",), 30.0),
)


def ratios(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The ratios whose both sides were measured: name, value, the least it is held to."""
    rate = {row["key"]: row["median_rate"] for row in rows}
    out = []
    for name, ours, theirs, least in HELD_TO:
        peers = [rate[key] for key in theirs if key in rate]
        if ours in rate and peers:
            value = rate[ours] / max(peers)
            out.append(
                {"name": name, "ratio": round(value, 2), "held_to": least, "met": value >= least}
            )
    return out


def _line(row: dict[str, Any], base: float) -> str:
    """One row of the table."""
    rate = row["median_rate"]
    memory = "-" if row["peak_rss_mb"] is None else f"{row['peak_rss_mb']:,.0f}"
    spread = f"{min(row['rates']) / 1e6:.2f} to {max(row['rates']) / 1e6:.2f}"
    agrees = "yes" if not row["disagrees"] else "NO: " + "; ".join(row["disagrees"])
    cells = (
        row["peer"],
        f"{row['trades']:,}",
        f"{rate / 1e6:.2f} ({spread})",
        f"{rate / base:.3g}",
        f"{row['decisions']:,} / {row['orders']:,}",
        agrees,
        memory,
    )
    return "| " + " | ".join(cells) + " |"


def print_table(facts: dict[str, Any]) -> None:
    """Print machine, lines, what each was given, ratios and what could not be had."""
    host, tape, rows = facts["machine"], facts["tape"], facts["rows"]
    print(
        f"{host['cpu']}, {host['cores']} cores, {host['system']}, Python {host['python']}, ", end=""
    )
    print(
        f"load {host['load_1min']}; tape of {tape['trades']:,} trades, seed {tape['seed']}, ",
        end="",
    )
    print(f"sha256 {tape['sha256'][:12]}\n")
    if rows:
        print("| engine | trades | M trades per CPU second (range) | against hftbacktest |", end="")
        print(" decisions / orders | agrees with the oracle | peak MiB |")
        print("| --- | ---: | ---: | ---: | ---: | --- | ---: |")
        hft = [row["median_rate"] for row in rows if row["key"].startswith("hft")]
        base = max(hft) if hft else max(row["median_rate"] for row in rows)
        for row in rows:
            print(_line(row, base))
        print()
    for row in rows:
        print(f"- {row['peer']} (Python {row['python']}, {row['pinned']}): {row['given']}")
    for item in facts["ratios"]:
        verdict = "met" if item["met"] else "MISSED"
        print(f"- {item['name']}: {item['ratio']} (held to {item['held_to']:g}: {verdict})")
    for item in facts["unavailable"]:
        print(f"- not measured: {item['key']}: {item['why']}")
