"""The reliability diagram as one SVG file: what was promised against what came.

Owns the drawing: bins of equal weight with their 95 % intervals, the diagonal, the base rate, how
the forecasts are spread (below), and the figures in words. It stands alone (no script, no font, no
link) and reads in light and dark, by the viewer's own setting. It refuses to compute a figure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

from engine.calibrate.scores import Bin

WIDTH, HEIGHT = 640, 720
LEFT, TOP, SIZE = 76, 88, 480
STRIP = 56
"""Height of the strip of events below the square."""

_STYLE = """
svg { --ink: #1f2328; --soft: #59636e; --line: #d1d9e0; --paper: #ffffff; --mark: #0969da;
      --band: #0969da33; --base: #9a6700; font: 13px system-ui, sans-serif; }
@media (prefers-color-scheme: dark) {
  svg { --ink: #f0f6fc; --soft: #9198a1; --line: #3d444d; --paper: #0d1117; --mark: #4493f8;
        --band: #4493f855; --base: #d29922; } }
.paper { fill: var(--paper); } text { fill: var(--ink); } .soft { fill: var(--soft); }
.title { font-size: 16px; font-weight: 600; } .num { font-variant-numeric: tabular-nums; }
.grid { stroke: var(--line); } .perfect { stroke: var(--soft); stroke-dasharray: 5 4; }
.base { stroke: var(--base); stroke-dasharray: 2 3; } .basetext { fill: var(--base); }
.whisker { stroke: var(--mark); stroke-width: 1.5; } .path { stroke: var(--mark); fill: none; }
.dot { fill: var(--mark); stroke: var(--paper); stroke-width: 1.5; } .bar { fill: var(--band); }
"""


def reliability_svg(title: str, bins: Sequence[Bin], base_rate: float, lines: Sequence[str]) -> str:
    """The diagram as the text of an SVG file; ``lines`` are figures in words, two at most."""
    low, high = _range(bins, base_rate)
    draw = _Square(low, high)
    body = [
        f'<rect class="paper" width="{WIDTH}" height="{HEIGHT}"/>',
        _text(LEFT, 30, title, "title"),
        *(_text(LEFT, 50 + 18 * n, line, "soft num") for n, line in enumerate(lines)),
        *draw.grid(),
        *draw.base(base_rate),
        *draw.bins(bins),
        *draw.strip(bins),
    ]
    label = escape(f"Reliability diagram, {title}", {'"': "&quot;"})
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'height="{HEIGHT}" role="img" aria-label="{label}">\n<style>{_STYLE}</style>\n'
        + "\n".join(body)
        + "\n</svg>\n"
    )


def _range(bins: Sequence[Bin], base_rate: float) -> tuple[float, float]:
    """The shares that the square shows: all that is drawn, in steps of 0.1, at least 0.2 wide."""
    values = [base_rate, *(v for b in bins for v in (b.forecast, b.low, b.high))]
    first = int(max(min(values), 0.0) * 10)
    last = min(-int(-max(values) * 10 // 1), 10)
    last = max(last, first + 2)
    return max(min(first, last - 2), 0) / 10, min(last, 10) / 10


def _text(x: float, y: float, text: str, name: str = "", anchor: str = "start") -> str:
    kind = f' class="{name}"' if name else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{kind} text-anchor="{anchor}">{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, name: str) -> str:
    return f'<line class="{name}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


class _Square:
    """The plot from ``low`` to ``high`` on both axes."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high

    def x(self, share: float) -> float:
        return LEFT + SIZE * (share - self.low) / (self.high - self.low)

    def y(self, share: float) -> float:
        return TOP + SIZE * (self.high - share) / (self.high - self.low)

    def grid(self) -> Iterator[str]:
        for tenth in range(round(self.low * 10), round(self.high * 10) + 1):
            share = tenth / 10
            yield _line(self.x(share), TOP, self.x(share), TOP + SIZE, "grid")
            yield _line(LEFT, self.y(share), LEFT + SIZE, self.y(share), "grid")
            yield _text(LEFT - 8, self.y(share) + 4, f"{share:.0%}", "soft num", "end")
            yield _text(self.x(share), TOP + SIZE + 18, f"{share:.0%}", "soft num", "middle")
        ends = (self.low, self.high)
        yield _line(self.x(ends[0]), self.y(ends[0]), self.x(ends[1]), self.y(ends[1]), "perfect")
        yield _text(LEFT + SIZE / 2, TOP + SIZE + 38, "probability that was promised", "", "middle")
        middle = TOP + SIZE / 2
        yield (
            f'<text transform="translate(22 {middle:.1f}) rotate(-90)" text-anchor="middle">'
            "share that was won</text>"
        )

    def base(self, rate: float) -> Iterator[str]:
        yield _line(LEFT, self.y(rate), LEFT + SIZE, self.y(rate), "base")
        yield _text(LEFT + SIZE - 6, self.y(rate) - 6, f"base rate {rate:.1%}", "basetext", "end")

    def bins(self, bins: Sequence[Bin]) -> Iterator[str]:
        for b in bins:
            yield _line(self.x(b.forecast), self.y(b.low), self.x(b.forecast), self.y(b.high),
                        "whisker")  # fmt: skip
        if len(bins) > 1:
            points = " ".join(f"{self.x(b.forecast):.1f},{self.y(b.rate):.1f}" for b in bins)
            yield f'<polyline class="path" points="{points}"/>'
        for b in bins:
            told = (
                f"promised {b.forecast:.1%}, won {b.rate:.1%} ({b.low:.1%} to {b.high:.1%}), "
                f"{b.events:.1f} effective events"
            )
            yield (
                f'<circle class="dot" cx="{self.x(b.forecast):.1f}" cy="{self.y(b.rate):.1f}" '
                f'r="5"><title>{escape(told)}</title></circle>'
            )

    def strip(self, bins: Sequence[Bin]) -> Iterator[str]:
        """Effective events of each bin as bars under the square."""
        most = max((b.events for b in bins), default=0.0) or 1.0
        floor = TOP + SIZE + 56 + STRIP
        for b in bins:
            height = (STRIP - 14) * b.events / most
            yield (
                f'<rect class="bar" x="{self.x(b.forecast) - 5:.1f}" y="{floor - height:.1f}" '
                f'width="10" height="{height:.1f}"/>'
            )
        yield _line(LEFT, floor, LEFT + SIZE, floor, "grid")
        yield _text(LEFT, floor + 18, f"effective events, {most:.0f} at most in a bin; whiskers: "
                    "95 % (Wilson)", "soft")  # fmt: skip
